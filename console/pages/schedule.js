import { query, remove } from '../core/api.js';
import { bars } from '../core/chart.js';
import { actionDialog } from '../core/dialog.js';
import { bytes, clock, count, counted, duration, utc } from '../core/format.js';
import { getIfThere, notGiven } from '../core/missing.js';
import { preview } from '../core/record.js';
import { Table } from '../core/table.js';
import { button, card, el, link, tag, tile } from '../core/ui.js';
import { topicLink } from './topics.js';

// Records that wait for their time: no reader sees them before.

const PAGE = 1000; // The most the broker gives at once.

// Spans from now on that due times are counted in.
const SPANS = [['overdue', 0], ['within 1 min', 60], ['within 10 min', 600], ['within 1 h', 3600], ['within 1 day', 86_400], ['later', Infinity]];

export function show(view) {
  const tiles = { waiting: tile('Waiting'), next: tile('Next one due'), failed: tile('Could not be delivered', { hint: 'Their topic is gone or refuses them; see the reason in the list' }) };
  const histogram = el('div');
  const note = el('p', { class: 'muted' });
  const missing = notGiven('its scheduled records');
  const topic = el('input', { type: 'search', value: view.query.topic ?? '', placeholder: 'all topics', 'aria-label': 'Only this topic', on: { change: () => {
    view.set({ topic: topic.value.trim() });
    view.refresh();
  } } });
  const table = new Table({
    view, order: ['due', 'up'],
    key: (row) => row.id,
    words: (row) => `${row.id} ${row.topic} ${row.key ?? ''} ${row.state} ${row.reason ?? ''}`,
    empty: 'Nothing is scheduled. Produce with a delay, and it waits here.',
    tools: el('label', {}, 'topic ', topic),
    columns: [
      { name: 'due', title: 'Due', value: (r) => r.due_ms, show: (r) => el('span', { title: utc(r.due_ms) }, clock(r.due_ms)) },
      { name: 'in', title: 'In', number: true, value: (r) => r.due_ms, sign: left, show: left },
      { name: 'topic', title: 'Topic', value: (r) => r.topic, show: (r) => link(topicLink(r.topic), r.topic) },
      { name: 'partition', title: 'Partition', number: true, value: (r) => r.partition, show: (r) => (r.partition === null ? 'by key' : count(r.partition)) },
      { name: 'key', title: 'Key', value: (r) => r.key ?? null, sign: (r) => JSON.stringify([r.key, r.key_base64]), show: (r) => preview(r, 'key') },
      { name: 'bytes', title: 'Size', number: true, value: (r) => r.bytes ?? null, show: (r) => bytes(r.bytes) },
      { name: 'state', title: 'State', value: (r) => r.state, sign: (r) => `${r.state}${r.reason}`, show: (r) => tag(r.state, r.reason ? 'bad' : 'calm', r.reason ?? '') },
      { name: 'reason', title: 'Why not delivered', value: (r) => r.reason ?? '' },
      { name: 'id', title: 'Id', value: (r) => r.id, show: (r) => el('code', {}, r.id) },
      { name: 'act', title: '', value: (r) => r.id, show: (r) => button('Cancel …', () => cancel(view, r), { class: 'danger-text' }) },
    ],
  });
  const content = el('div', { class: 'stack' }, el('div', { class: 'tiles' }, Object.values(tiles).map((one) => one.element)), card('When they are due', null, histogram), table.element, note);
  view.root.append(el('h1', {}, 'Schedule'), missing, content);
  missing.hidden = true;
  view.poll(async (signal) => {
    const page = await getIfThere(`/schedules${query({ topic: view.query.topic, limit: PAGE })}`, signal);
    missing.hidden = page !== null;
    content.hidden = page === null;
    if (page === null) return;
    const first = page.records.reduce((least, row) => Math.min(least, row.due_ms), Infinity);
    tiles.waiting.set(count(page.waiting), 'records');
    tiles.next.set(page.records.length === 0 ? '–' : inTime(first), page.records.length === 0 ? '' : clock(first));
    tiles.failed.set(count(page.failed), 'records', page.failed > 0 ? 'bad' : '');
    histogram.replaceChildren(bars(spans(page.records), (value) => counted(value, 'record')));
    note.textContent = page.next === null ? '' : `The first ${count(page.records.length)} are shown and counted by their due time.`;
    table.update(page.records);
  }, 2);
}

const inTime = (ms) => (ms <= Date.now() ? 'now' : `in ${duration((ms - Date.now()) / 1000)}`);
const left = (row) => inTime(row.due_ms);

function spans(records) {
  const counts = SPANS.map(() => 0);
  for (const record of records) counts[SPANS.findIndex(([, seconds]) => (record.due_ms - Date.now()) / 1000 <= seconds)] += 1;
  return SPANS.map(([name], i) => ({ name, value: counts[i] }));
}

function cancel(view, row) {
  return actionDialog({
    title: `Cancel ${row.id}`, verb: 'Cancel the record', danger: true,
    intro: `It is due ${inTime(row.due_ms)} in ${row.topic} and would never be delivered.`,
    act: async () => {
      await remove(`/schedules/${encodeURIComponent(row.id)}`);
      view.refresh();
      return `${row.id} was cancelled.`;
    },
  });
}
