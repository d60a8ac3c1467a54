import { metrics } from './api.js';

// Rates of the whole broker, from its counters in /metrics: the difference of two readings over their time.

const COUNTERS = {
  tidemark_topic_records_in_total: 'records_in',
  tidemark_topic_records_out_total: 'records_out',
  tidemark_topic_bytes_in_total: 'bytes_in',
  tidemark_topic_bytes_out_total: 'bytes_out',
};

const POINTS_MAX = 720;

// Points of this browser's own memory: the broker keeps counters, not their history.
export const points = []; // { x: ms, records_in, records_out, bytes_in, bytes_out }, a second.

let before = null;

export async function read(signal) {
  const text = await metrics(signal);
  const now = { x: Date.now(), ...sums(text) };
  if (before && now.x - before.x < 60_000) {
    const seconds = (now.x - before.x) / 1000;
    const point = { x: now.x };
    // A counter that went back: the broker was started anew, and counts from zero.
    for (const name of Object.values(COUNTERS)) point[name] = Math.max(0, now[name] - before[name]) / seconds;
    points.push(point);
    if (points.length > POINTS_MAX) points.shift();
  }
  before = now;
}

function sums(text) {
  const found = Object.fromEntries(Object.values(COUNTERS).map((name) => [name, 0]));
  for (const [, name, value] of text.matchAll(/^(tidemark_topic_\w+_total)\{[^\n]*\} (\S+)$/gm)) {
    if (COUNTERS[name]) found[COUNTERS[name]] += Number(value);
  }
  return found;
}
