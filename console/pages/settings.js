import { get } from '../core/api.js';
import { duration } from '../core/format.js';
import { getIfThere, notGiven } from '../core/missing.js';
import { Table } from '../core/table.js';
import { card, el, facts, link, tag } from '../core/ui.js';

// How the broker is set and from where, what it thinks of its machine, and where else to look.

export function show(view) {
  const about = el('div');
  const noChecks = notGiven('checks of its machine');
  const noSettings = notGiven('its settings; tidemarkd --print-config does');
  const checks = new Table({
    view, prefix: 'c_', order: ['result', 'down'],
    key: (check) => check.check,
    empty: 'Asking …',
    columns: [
      { name: 'check', title: 'Check', value: (c) => c.check },
      { name: 'result', title: 'Result', value: (c) => ['ok', 'warn', 'fail'].indexOf(c.result), show: (c) => tag(c.result, { ok: 'good', warn: 'warn', fail: 'bad' }[c.result]) },
      { name: 'value', title: 'Found', value: (c) => c.value },
      { name: 'advice', title: 'What to do', wide: true, value: (c) => c.advice },
    ],
  });
  const settings = new Table({
    view, order: ['key', 'up'],
    key: (setting) => setting.key,
    words: (setting) => `${setting.key} ${setting.value} ${setting.source} ${setting.help ?? ''}`,
    empty: 'Asking …',
    columns: [
      { name: 'key', title: 'Setting', value: (s) => s.key, show: (s) => el('code', {}, s.key) },
      { name: 'value', title: 'Value', value: (s) => s.value, show: (s) => (s.value === '' ? '(empty)' : s.value) },
      { name: 'source', title: 'From', value: (s) => s.source, show: (s) => tag(s.source, s.source === 'default' ? 'off' : 'calm') },
      { name: 'default', title: 'Default', value: (s) => s.default ?? null },
      { name: 'help', title: 'What it is', wide: true, value: (s) => s.help ?? '' },
    ],
  });
  view.list = settings;
  view.root.append(el('h1', {}, 'Settings'), card('This broker', null, about), card('Its machine', null, noChecks, checks.element), card('Settings in force', null, noSettings, settings.element));
  [noChecks, noSettings].forEach((note) => (note.hidden = true));
  view.poll(async (signal) => {
    const [status, machine, config] = await Promise.all([get('/status', signal), getIfThere('/doctor', signal), getIfThere('/config', signal)]);
    about.replaceChildren(facts([
      ['version', status.version], ['data directory', status.data_dir], ['cluster id', el('code', {}, status.cluster_id)], ['running for', duration(status.uptime_seconds)],
      ['for programs', [link('/api/v1/openapi.json', 'REST interface'), ' · ', link('/metrics', 'metrics'), ' · ', link('/metrics/partitions', 'by partition'), ' · ', link('/metrics/kafka', 'in kafka_exporter’s names'), ' · ', link('/readyz', 'readiness')]],
      ['plots', [link('https://www.chartjs.org', 'Chart.js', { rel: 'noreferrer' }), ' ', link('/lib/chart.LICENSE.txt', '(licence)')]],
    ]));
    noChecks.hidden = machine !== null;
    checks.element.hidden = machine === null;
    if (machine !== null) checks.update(machine);
    const told = config !== null && config.length > 0;
    noSettings.hidden = told;
    settings.element.hidden = !told;
    if (told) settings.update(config);
  }, 10);
}
