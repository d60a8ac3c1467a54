import { count, duration } from '../core/format.js';
import { Table } from '../core/table.js';
import { chip, el, severity, svg } from '../core/ui.js';

// Each partition's log as a bar: what retention has left, what is finished, what is handed out, what waits.
//
//   log start (retention edge) ── done ── floor ── handed out ── delivered ── waiting ── end

const WIDTH = 1000; // Of the bar in its own units; it is stretched to its cell.

export function offsetMap(view) {
  const legend = el('div', { class: 'legend map' }, [['done', 'off'], ['handed out', 'series-2'], ['waiting', 'series-1']].map(([text, colour]) => el('span', { 'data-colour': colour }, text)),
    el('span', { class: 'muted' }, 'from the log start, where retention cuts, to the end; small parts are drawn wider than they are'));
  const table = new Table({
    view, prefix: 'map_', order: ['place', 'up'],
    key: (row) => `${row.topic}:${row.partition}`,
    empty: 'No partition is read yet.',
    columns: [
      { name: 'place', title: 'Partition', value: (row) => `${row.topic}:${row.partition}` },
      { name: 'bar', title: 'Log', wide: true, value: (row) => row.end - row.log_start, sign: (row) => [row.log_start, row.floor, row.delivered, row.end].join(), show: bar },
      { name: 'log_start', title: 'Log start', number: true, value: (row) => row.log_start, show: (row) => count(row.log_start), hint: 'The oldest offset retention has left' },
      { name: 'floor', title: 'Floor', number: true, value: (row) => row.floor, show: (row) => count(row.floor), hint: 'Everything below is finished' },
      { name: 'delivered', title: 'Delivered', number: true, value: (row) => row.delivered, show: (row) => count(row.delivered), hint: 'The next offset never handed out' },
      { name: 'end', title: 'End', number: true, value: (row) => row.end, show: (row) => count(row.end), hint: 'The offset the next record will get' },
      { name: 'lag', title: 'Lag', unit: 'records', number: true, value: (row) => row.lag, show: (row) => count(row.lag) },
      { name: 'lag_seconds', title: 'Lag time', number: true, value: (row) => row.lag_seconds, show: (row) => duration(row.lag_seconds) },
      { name: 'headroom', title: 'Headroom', number: true, value: (row) => row.headroom_seconds, show: (row) => (row.headroom_seconds === null ? 'no limit' : duration(row.headroom_seconds)) },
      { name: 'member', title: 'Member', value: (row) => row.member ?? '', show: (row) => el('span', { class: 'whole', title: row.member }, shortName(row.member ?? '')) },
      { name: 'verdict', title: 'Verdict', value: (row) => severity(row.verdict), sign: (row) => `${row.verdict}${row.cause}`, show: (row) => chip(row.verdict, row.cause) },
    ],
  });
  const update = (group, rows) => {
    // A work queue tells its places together; those of the rows are from a moment earlier or later and might not fit the cursor.
    const places = new Map((group.partition_list ?? []).map((one) => [one.partition, { log_start: one.log_start, floor: one.floor, delivered: one.cursor, end: one.end }]));
    table.update(rows.map((row) => ({ delivered: null, ...row, ...places.get(row.partition) })));
  };
  return { element: el('div', {}, legend, table.element), update };
}

// Many clients call themselves by a UUID.
const shortName = (name) => (name.length > 20 ? `${name.slice(0, 12)}…` : name);

// Lengths of the parts of a bar; one that is there at all is at least a hundredth.
function lengths(parts) {
  const all = parts.reduce((a, b) => a + b, 0);
  if (all === 0) return parts.map(() => 0);
  const raised = parts.map((part) => (part > 0 ? Math.max(part / all, 0.01) : 0));
  const sum = raised.reduce((a, b) => a + b, 0);
  return raised.map((part) => (part / sum) * WIDTH);
}

function bar(row) {
  const floor = row.floor ?? row.log_start;
  const delivered = Math.max(row.delivered ?? floor, floor);
  const parts = lengths([Math.max(0, floor - row.log_start), delivered - floor, Math.max(0, row.end - delivered)]);
  const colours = ['off', 'series-2', 'series-1'];
  let x = 0;
  const pieces = parts.map((width, i) => {
    const piece = svg('rect', { x, y: 3, width, height: 12, class: 'piece', 'data-colour': colours[i] });
    x += width;
    return piece;
  });
  const edge = svg('rect', { x: 0, y: 0, width: 3, height: 18, class: 'edge' });
  const mark = svg('rect', { x: Math.min(WIDTH - 3, parts[0]), y: 0, width: 3, height: 18, class: 'edge' });
  const text = `${row.topic}:${row.partition}: log start ${count(row.log_start)}, floor ${count(row.floor)}, ${row.delivered === null ? '' : `delivered ${count(row.delivered)}, `}end ${count(row.end)}`;
  return svg('svg', { class: 'map', viewBox: `0 0 ${WIDTH} 18`, preserveAspectRatio: 'none', role: 'img', 'aria-label': text }, svg('title', {}, text), pieces, edge, row.floor === null ? null : mark);
}
