import { get, segment } from '../core/api.js';
import { ago, clock, count, counted, duration, utc } from '../core/format.js';
import { Table } from '../core/table.js';
import { button, el, link, muted, tag } from '../core/ui.js';
import { kick, planTable, release, releaseRecord, settle, undo } from './group_actions.js';

// Who works for a group, what is in their hands, where the group was moved.

export function membersTable(view) {
  let group = null;
  const table = new Table({
    view, order: ['member', 'up'],
    key: (member) => segment(member, 'member'),
    words: (member) => `${member.member} ${member.client_id} ${member.host}`,
    empty: 'Nobody works for this group.',
    columns: [
      { name: 'member', title: 'Member', value: (m) => m.member },
      { name: 'client', title: 'Client', value: (m) => m.client_id },
      { name: 'host', title: 'Host', value: (m) => m.host },
      { name: 'partitions', title: 'Partitions', wide: true, value: (m) => m.partitions.length, sign: (m) => JSON.stringify(m.partitions), show: (m) => partitionsText(m) },
      { name: 'in_flight', title: 'In flight', unit: 'records', number: true, value: (m) => m.in_flight, show: (m) => count(m.in_flight) },
      { name: 'seen', title: 'Last seen', number: true, value: (m) => m.last_seen_ms, sign: (m) => ago(m.last_seen_ms), show: (m) => el('span', { title: utc(m.last_seen_ms) }, ago(m.last_seen_ms)) },
      { name: 'state', title: 'Link', value: (m) => String(m.connected ?? true), show: (m) => (m.connected === false ? tag('gone', 'warn', 'Not connected; what it holds comes back when its time is up') : tag('connected', 'good')) },
      { name: 'act', title: '', value: (m) => m.in_flight, show: (m) => (m.in_flight > 0 ? button('Take back …', () => release(view, group, m)) : '') },
    ],
  });
  const show = (now) => {
    group = now;
    table.update(now.member_list);
  };
  return { element: table.element, show };
}

function partitionsText(member) {
  const text = member.partitions.map((where) => `${where.topic}:${where.partition}`);
  const first = text.slice(0, 4).join(', ');
  return el('span', { title: text.join(', ') }, text.length > 4 ? `${first} and ${count(text.length - 4)} more` : first || 'none');
}

const OLDER = [['', 'any age'], ['60000', 'for 1 min'], ['300000', 'for 5 min'], ['3600000', 'for 1 h']];
const PENDING_MAX = 1000;

export function pendingPanel(view, first, ask) {
  let group = first;
  const older = el('select', { 'aria-label': 'Handed out at least so long', on: { change: () => {
    view.set({ older: older.value });
    view.refresh();
  } } }, OLDER.map(([value, text]) => el('option', { value, selected: value === (view.query.older ?? '') }, text)));
  const more = el('p', { class: 'muted', hidden: true }, `Only the first ${count(PENDING_MAX)} are shown.`);
  const table = new Table({
    view, order: ['idle', 'down'],
    key: (row) => row.id,
    words: (row) => `${row.id} ${row.member ?? ''} ${row.state} ${row.reason}`,
    empty: 'Nothing is in anybody’s hands, and nothing waits for another try.',
    tools: [older, button('Make parked and delayed ones available …', () => kick(view, group))],
    detail: (row) => pendingDetail(view, () => group, row),
    columns: [
      { name: 'id', title: 'Record', value: (r) => r.id },
      { name: 'state', title: 'State', value: (r) => r.state, show: (r) => tag(r.state, { acquired: 'calm', delayed: 'warn', parked: 'bad' }[r.state] ?? 'off') },
      { name: 'member', title: 'Member', value: (r) => r.member ?? '' },
      { name: 'idle', title: 'Held for', number: true, value: (r) => r.idle_ms, show: (r) => duration(r.idle_ms === null ? null : r.idle_ms / 1000) },
      { name: 'deliveries', title: 'Deliveries', unit: 'times', number: true, value: (r) => r.deliveries, show: (r) => count(r.deliveries) },
      { name: 'failures', title: 'Failures', unit: 'times', number: true, value: (r) => r.failures, show: (r) => count(r.failures) },
      { name: 'due', title: 'Next try', number: true, value: (r) => r.due_time, show: (r) => (r.due_time ? el('span', { title: r.due_time }, clock(Date.parse(r.due_time))) : '–') },
      { name: 'reason', title: 'Last failure', wide: true, value: (r) => r.reason },
    ],
  });
  const update = async (now, signal) => {
    group = now;
    const rows = await ask('/pending', signal, `limit=${PENDING_MAX}${view.query.older ? `&older_ms=${view.query.older}` : ''}`);
    more.hidden = rows.length < PENDING_MAX;
    table.update(rows);
  };
  return { element: el('div', {}, table.element, more), update };
}

function pendingDetail(view, group, row) {
  const body = el('pre', { class: 'value' }, 'Asking …');
  get(`/topics/${encodeURIComponent(row.topic)}/records/${row.partition}/${row.offset}`)
    .then((record) => (body.textContent = `key ${record.key ?? record.key_base64 ?? '(none)'}\n\n${record.value ?? record.value_base64 ?? '(no value)'}`))
    .catch((problem) => (body.textContent = problem.text ?? problem.message));
  return el('div', {}, body, el('div', { class: 'buttons left' },
    row.member ? button('Take back …', () => releaseRecord(view, group(), row)) : button('Make available …', () => kick(view, group(), row)),
    button('Finish …', () => settle(view, group(), row, 'ack')),
    button('Make it a dead letter …', () => settle(view, group(), row, 'reject'), { class: 'danger-text' }),
    link(`#/topic/${encodeURIComponent(row.topic)}?partition=${row.partition}&from=${row.offset}&limit=1`, 'See it in its topic')));
}

export function seeksPanel(view, first, ask) {
  let group = first;
  const back = button('Take the latest back …', () => undo(view, group));
  const table = new Table({
    view, order: ['id', 'down'],
    key: (seek) => seek.id,
    empty: 'This group was never moved by hand.',
    tools: back,
    detail: (seek) => planTable(seek),
    columns: [
      { name: 'id', title: 'Move', value: (s) => s.id, show: (s) => `#${s.id}` },
      { name: 'time', title: 'When', value: (s) => s.time_ms, show: (s) => el('span', { title: utc(s.time_ms) }, clock(s.time_ms)) },
      { name: 'who', title: 'By', value: (s) => s.who },
      { name: 'target', title: 'To', value: (s) => s.target, show: (s) => (s.undid === null ? s.target : muted(`back to before #${s.undid}`)) },
      { name: 'rows', title: 'What', value: (s) => s.rows.length, show: (s) => movedText(s.rows) },
      { name: 'state', title: 'Now', value: (s) => String(s.undone), show: (s) => (s.undone === null ? tag('in force', 'good') : tag(`taken back by #${s.undone}`)) },
    ],
  });
  const update = async (now, signal) => {
    group = now;
    const seeks = await ask('/history', signal);
    back.disabled = seeks.length === 0;
    table.update(seeks);
  };
  return { element: table.element, update };
}

function movedText(rows) {
  const total = rows.reduce((sum, row) => sum + row.records, 0);
  const what = total < 0 ? `${counted(-total, 'record')} again` : `${counted(total, 'record')} skipped`;
  return `${counted(rows.length, 'partition')}, ${what}`;
}
