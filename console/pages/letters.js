import { get, post } from '../core/api.js';
import { bars } from '../core/chart.js';
import { actionDialog } from '../core/dialog.js';
import { ago, clock, count, counted, utc } from '../core/format.js';
import { preview, recordDetail } from '../core/record.js';
import { decoded, link as address } from '../core/route.js';
import { Table } from '../core/table.js';
import { button, card, el, emptiness, facts, link, tile } from '../core/ui.js';
import { topicLink } from './topics.js';

// Records that could not be processed: why, how often it was tried, and giving them back.

const LETTERS_MAX = 1000;
const DEFAULT_LIMIT = '100';
const REASONS_MAX = 12;

export function show(view) {
  if (view.params.length > 0) showGroup(view);
  else showAll(view);
}

const groupPage = (name, query = {}) => address('dlq', [encodeURIComponent(name)], query);

// The same words of several groups and topics count together.
function byReason(lists) {
  const counts = new Map();
  lists.flatMap((list) => list.reasons).forEach(({ reason, letters }) => counts.set(reason, (counts.get(reason) ?? 0) + letters));
  return [...counts].map(([reason, letters]) => ({ name: reason || '(no reason given)', reason, value: letters })).sort((a, b) => b.value - a.value);
}

function showAll(view) {
  const table = new Table({
    view, order: ['letters', 'down'],
    key: (row) => `${row.group} ${row.source}`,
    words: (row) => `${row.group} ${row.source} ${row.reasons.map((one) => one.reason).join(' ')}`,
    open: (row) => groupPage(row.group),
    empty: 'There are no dead letters: every record could be processed so far.',
    columns: [
      { name: 'group', title: 'Group', value: (r) => r.group, show: (r) => link(groupPage(r.group), r.group, { class: 'name' }) },
      { name: 'source', title: 'From topic', value: (r) => r.source },
      { name: 'letters', title: 'Dead letters', unit: 'records', number: true, value: (r) => r.letters, show: (r) => count(r.letters) },
      { name: 'reason', title: 'Most of them', value: (r) => byReason([r])[0]?.name ?? '' },
      { name: 'oldest', title: 'Oldest', number: true, value: (r) => r.oldest_ms, sign: (r) => ago(r.oldest_ms), show: (r) => el('span', { title: utc(r.oldest_ms) }, ago(r.oldest_ms)) },
      { name: 'newest', title: 'Newest', number: true, value: (r) => r.newest_ms, sign: (r) => ago(r.newest_ms), show: (r) => el('span', { title: utc(r.newest_ms) }, ago(r.newest_ms)) },
      { name: 'topic', title: 'They lie in', value: (r) => r.topic, show: (r) => link(topicLink(r.topic), r.topic) },
    ],
  });
  const reasons = el('div');
  const box = card('Why, over all groups', null, reasons);
  view.root.append(el('h1', {}, 'Dead letters'), table.element, box);
  view.poll(async (signal) => {
    const lists = await get('/dlq', signal);
    table.update(lists);
    const parts = byReason(lists).slice(0, REASONS_MAX);
    box.hidden = parts.length === 0;
    reasons.replaceChildren(bars(parts, (value) => counted(value, 'record'), 'series-3'));
  }, 3);
}

function showGroup(view) {
  view.parent = '#/dlq';
  const name = decoded(view.params[0]);
  const path = `/dlq/${view.params[0]}`;
  document.title = `Dead letters of ${name} – Tidemark`;
  const tiles = { letters: tile('Dead letters'), oldest: tile('Oldest'), newest: tile('Newest') };
  const reasons = el('div', { id: 'reasons' });
  const limit = el('select', { 'aria-label': 'How many', on: { change: () => {
    view.set({ limit: limit.value === DEFAULT_LIMIT ? '' : limit.value });
    view.refresh();
  } } }, ['20', DEFAULT_LIMIT, String(LETTERS_MAX)].map((value) => el('option', { value, selected: value === (view.query.limit ?? DEFAULT_LIMIT) }, `newest ${value}`)));
  const table = new Table({
    view,
    key: (letter) => `${letter.partition}:${letter.offset}`,
    words: (letter) => `${letter.reason} ${letter.key ?? ''} ${letter.value ?? ''} ${letter.source.topic}:${letter.source.partition}:${letter.source.offset} ${letter.member ?? ''}`,
    empty: 'There are none.',
    tools: limit,
    detail: (letter) => letterDetail(view, path, name, letter),
    columns: [
      { name: 'source', title: 'Record', value: (l) => `${l.source.topic}:${l.source.partition}:${l.source.offset}` },
      { name: 'reason', title: 'Reason', wide: true, value: (l) => l.reason, show: (l) => l.reason || '(no reason given)' },
      { name: 'deliveries', title: 'Deliveries', unit: 'times', number: true, value: (l) => l.deliveries, show: (l) => count(l.deliveries) },
      { name: 'failures', title: 'Failures', unit: 'times', number: true, value: (l) => l.failures, show: (l) => count(l.failures) },
      { name: 'member', title: 'Last with', value: (l) => l.member ?? '' },
      { name: 'died', title: 'Died', number: true, value: (l) => l.died_ms, show: (l) => el('span', { title: utc(l.died_ms) }, clock(l.died_ms)) },
      { name: 'key', title: 'Key', value: (l) => l.key, show: (l) => preview(l, 'key') },
      { name: 'value', title: 'Value', wide: true, value: (l) => l.value, show: (l) => preview(l, 'value') },
    ],
  });
  const buttons = el('div', { class: 'aside' },
    button('Redrive …', () => redrive(view, path, name), { class: 'primary', id: 'redrive' }),
    button('Purge …', () => purge(view, path, name), { class: 'danger-text' }));
  view.root.append(
    el('div', { class: 'title' }, el('div', { class: 'head' }, el('h1', {}, `Dead letters of ${name}`), link(`#/group/${view.params[0]}?kind=queue`, 'the group')), buttons),
    el('div', { class: 'tiles' }, Object.values(tiles).map((one) => one.element)), card('By reason', null, reasons), table.element);
  view.poll(async (signal) => {
    const [lists, letters] = await Promise.all([get('/dlq', signal), get(`${path}?limit=${limit.value}`, signal)]);
    const mine = lists.filter((list) => list.group === name);
    const total = mine.reduce((sum, list) => sum + list.letters, 0);
    tiles.letters.set(count(total), `from ${mine.map((list) => list.source).join(', ') || 'no topic'}`, total > 0 ? 'warn' : '');
    const times = (field) => mine.map((list) => list[field]).filter((time) => time !== null);
    tiles.oldest.set(times('oldest_ms').length > 0 ? ago(Math.min(...times('oldest_ms'))) : '–');
    tiles.newest.set(times('newest_ms').length > 0 ? ago(Math.max(...times('newest_ms'))) : '–');
    drawReasons(view, path, name, reasons, byReason(mine));
    table.update(letters);
  }, 3);
}

const quoted = (text) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
const matching = (reason) => (reason === '' ? '' : `reason = ${quoted(reason)}`);

function drawReasons(view, path, name, box, parts) {
  const sign = JSON.stringify(parts);
  if (box.dataset.now === sign) return;
  box.dataset.now = sign;
  if (parts.length === 0) {
    box.replaceChildren(emptiness('There are none.'));
    return;
  }
  const chart = bars(parts.slice(0, REASONS_MAX), (value) => counted(value, 'record'), 'series-3');
  [...chart.children].forEach((row, i) => row.append(button('Redrive these …', () => redrive(view, path, name, matching(parts[i].reason)), { class: 'quiet' })));
  box.replaceChildren(chart);
}

function letterDetail(view, path, name, letter) {
  const where = letter.source;
  const told = facts([
    ['came from', link(topicLink(where.topic, { partition: where.partition, from: where.offset, limit: 1 }), `${where.topic}:${where.partition}:${where.offset}`)],
    ['written', `${clock(letter.timestamp_ms)} (${ago(letter.timestamp_ms)})`],
    ['handed out', `${counted(letter.deliveries, 'time')}, failed ${counted(letter.failures, 'time')}${letter.member ? `, the last time with ${letter.member}` : ''}`],
    ['died', `${clock(letter.died_ms)} (${ago(letter.died_ms)})`],
    ['reason', letter.reason || '(no reason given)'],
  ]);
  const again = button('Redrive this one …', () => redrive(view, path, name, `partition = ${letter.partition} and offset = ${letter.offset}`));
  return el('div', {}, told, recordDetail(letter, `tidemark get '${letter.topic}:${letter.partition}:${letter.offset}'`, [again]));
}

function redrive(view, path, name, match = '') {
  const body = (values, execute) => ({
    execute, ...(values.match ? { match: values.match } : {}), ...(values.max === undefined ? {} : { max: values.max }),
    ...(values.rate === undefined ? {} : { rate: values.rate }), ...(values.to ? { to: values.to } : {}),
  });
  return actionDialog({
    title: `Redrive dead letters of ${name}`, verb: 'Redrive',
    intro: 'They are given back to this group only, as if never tried. Mend the cause first, or they come back.',
    fields: [
      { name: 'match', label: 'Only those that match', value: match, placeholder: 'all of them', hint: 'reason ~ "timeout", key = "42", header.type = "order", time > -1h; and or not ( )' },
      { name: 'max', label: 'At most', kind: 'number', min: 1, placeholder: 'all of them', hint: 'records' },
      { name: 'rate', label: 'No faster than', kind: 'number', min: 0, placeholder: 'no limit', hint: 'records a second' },
      { name: 'to', label: 'Publish to a topic instead', placeholder: 'no: back to the group', hint: 'for everybody who reads that topic' },
    ],
    plan: async (values) => {
      const found = await post(`${path}/redrive`, body(values, false));
      const skipped = found.skipped > 0 ? ` ${counted(found.skipped, 'record')} would be left where they are.` : '';
      return el('p', { class: 'plan' }, `${counted(found.matched, 'dead letter')} match and would be given back.${skipped}`);
    },
    act: async (values) => {
      const done = await post(`${path}/redrive`, body(values, true));
      view.refresh();
      return `${counted(done.redriven, 'dead letter')} of ${count(done.matched)} given back${done.gone > 0 ? `, ${count(done.gone)} were gone` : ''}.`;
    },
  });
}

function purge(view, path, name) {
  return actionDialog({
    title: `Purge dead letters of ${name}`, verb: 'Purge', danger: true, typed: name, intro: 'They go for good, unprocessed.',
    plan: async () => el('p', { class: 'plan' }, `${counted((await post(`${path}/purge`, { execute: false })).letters, 'dead letter')} would go.`),
    act: async () => {
      const done = await post(`${path}/purge`, { execute: true });
      view.refresh();
      return `${counted(done.letters, 'dead letter')} purged.`;
    },
  });
}
