import { DURATION_STEPS, TimeChart } from '../core/chart.js';
import { duration, rate, short } from '../core/format.js';
import { el, link } from '../core/ui.js';

// How a group did: from the broker's own memory (a point every 5 s for an hour, then coarser).

const RANGES = [['15m', 900], ['1h', 3600], ['6h', 21_600], ['24h', 86_400], ['7d', 604_800]];
const DEFAULT_RANGE = '15m';
const FRESH_SECONDS = 60; // What is asked for again and again; what is older is known already.
const EVERY_MS = 4000;
const LEAST_MS = 60_000; // Shown at least.

export function lagCharts(view, group, ask) {
  const range = RANGES.find(([name]) => name === view.query.range) ?? RANGES.find(([name]) => name === DEFAULT_RANGE);
  const time = new TimeChart(view, {
    label: 'Lag time', format: duration, steps: DURATION_STEPS, floor: group.objective_seconds * 1.2,
    series: [{ name: 'lag_seconds', label: 'lag time', colour: 'series-1', filled: true }, { name: 'objective', label: 'objective', colour: 'bad', dashed: true }],
  });
  const split = group.kind === 'queue'
    ? [{ name: 'waiting', label: 'waiting', colour: 'series-1' }, { name: 'in_flight', label: 'in flight', colour: 'series-2' }, { name: 'retrying', label: 'retrying', colour: 'series-3' }]
    : [{ name: 'waiting', label: 'not finished', colour: 'series-1' }];
  const lag = new TimeChart(view, { label: 'Lag, records', format: short, stacked: true, floor: 1, series: split });
  const rates = new TimeChart(view, {
    label: 'Records a second', format: rate, floor: 1,
    series: [{ name: 'in_rate', label: 'in', colour: 'series-1' }, { name: 'out_rate', label: 'out', colour: 'series-2' }],
  });
  const choice = el('div', { class: 'ranges', role: 'group', 'aria-label': 'Time shown' }, RANGES.map(([name]) =>
    link(view.href({ range: name === DEFAULT_RANGE ? '' : name }), name, { 'aria-current': name === range[0] ? 'true' : null })));
  const element = el('section', { class: 'card charts' }, choice, el('div', { class: 'columns three' }, time.element, lag.element, rates.element));

  let points = [];
  let marks = [];
  let last = 0;
  const update = async (now, signal) => {
    if (Date.now() - last < EVERY_MS) return;
    last = Date.now();
    const seconds = points.length === 0 ? range[1] : Math.min(FRESH_SECONDS, range[1]);
    const fresh = await ask('/lag/history', signal, `seconds=${seconds}`);
    const newest = points.at(-1)?.x ?? 0;
    points = [...points, ...fresh.filter((point) => point.time_ms > newest).map((point) => pointOf(point, now.objective_seconds))];
    const from = Date.now() - range[1] * 1000;
    points = points.filter((point) => point.x >= from);
    if (now.kind === 'stream') marks = (await ask('/history', signal)).map((seek) => ({ time: seek.time_ms, text: seek.undid === null ? `moved to ${seek.target}` : 'moved back' }));
    // A young group fills the plot, too.
    const shown = Math.min(Math.max(from, points[0]?.x ?? from), Date.now() - LEAST_MS);
    const frame = { from: shown, to: Date.now(), marks };
    [time, lag, rates].forEach((chart) => chart.update(points, frame));
  };
  return { element, update };
}

const pointOf = (point, objective) => ({
  x: point.time_ms, lag_seconds: point.lag_seconds, objective, waiting: Math.max(0, point.lag - point.in_flight - point.retrying),
  in_flight: point.in_flight, retrying: point.retrying, in_rate: point.in_rate, out_rate: point.out_rate,
});
