import { get } from '../core/api.js';
import { attention, behind, groupLink, headline } from '../core/attention.js';
import { DURATION_STEPS, TimeChart } from '../core/chart.js';
import { bytes, count, counted, duration, percent, rate } from '../core/format.js';
import { live } from '../core/live.js';
import * as traffic from '../core/traffic.js';
import { seedTrends } from '../core/trends.js';
import { card, chip, el, emptiness, link, tag, tile } from '../core/ui.js';

// Is somebody needed, and for what? Then: how much is going on.

const WINDOW_MS = 15 * 60_000;
const BUCKET_MS = 10_000; // Groups are sampled every 5 s, each at its own time.
const TRENDS_MAX = 5; // Groups whose past goes into the plot of the worst lag time.
const TOPICS_MAX = 2_000; // Beyond, the metrics page takes too much to read every few seconds.

export function show(view) {
  const line = el('h1', { id: 'headline' }, 'Asking the broker …');
  const list = el('ul', { class: 'attention', id: 'attention' });
  const draining = el('div', { id: 'draining' });
  const tiles = {
    in: tile('Records in', { hint: 'Records a second taken by all topics' }),
    out: tile('Records out', { hint: 'Records a second read from all topics' }),
    lag: tile('Worst lag time', { hint: 'Age of the oldest record not finished, over all groups', href: '#/groups?sort=-lag_seconds' }),
    flush: tile('Flush', { hint: 'Time the disk takes to make a group of records durable, 99 of 100' }),
    disk: tile('Disk free', { href: '#/storage' }),
    memory: tile('Memory', { hint: 'Used of the limit memory.limit', href: '#/settings' }),
    connections: tile('Connections', { href: '#/clients' }),
    topics: tile('Topics', { href: '#/topics' }),
  };
  const rates = new TimeChart(view, {
    label: 'Records a second', format: rate, floor: 1,
    series: [{ name: 'records_in', label: 'in', colour: 'series-1', filled: true }, { name: 'records_out', label: 'out', colour: 'series-2' }],
  });
  const worst = new TimeChart(view, {
    label: 'Worst lag time of all groups', format: duration, steps: DURATION_STEPS, floor: 1, series: [{ name: 'value', label: 'lag time', colour: 'series-3', filled: true }],
  });
  const tooMany = emptiness(`Rates of more than ${count(TOPICS_MAX)} topics are left to Prometheus (/metrics).`);
  view.root.append(
    line,
    card('What needs a person', null, list, draining),
    el('div', { class: 'tiles even' }, Object.values(tiles).map((one) => one.element)),
    el('div', { class: 'columns' }, el('section', { class: 'card' }, rates.element, tooMany), el('section', { class: 'card' }, worst.element)));
  tooMany.hidden = true;

  let checks = [];
  view.poll(async (signal) => {
    checks = await get('/doctor', signal).catch((problem) => {
      if (problem.status === 404) return [];
      throw problem;
    });
  }, 60);

  view.poll(async (signal) => {
    const [status, groups] = await Promise.all([get('/status', signal), get('/groups', signal)]);
    line.textContent = headline(groups, status);
    drawAttention(list, attention(groups, status, checks));
    drawDraining(draining, groups.filter((group) => group.verdict === 'draining'));
    drawStatus(tiles, status);
    const known = groups.filter((group) => group.lag_seconds !== null);
    const top = known.reduce((a, b) => (b.lag_seconds > (a?.lag_seconds ?? -1) ? b : a), null);
    tiles.lag.set(top ? duration(top.lag_seconds) : '–', top && top.lag > 0 ? top.group : 'nothing waits', top && top.lag_seconds > top.objective_seconds ? 'bad' : '');
    tooMany.hidden = status.topics <= TOPICS_MAX;
    rates.element.hidden = status.topics > TOPICS_MAX;
    if (status.topics <= TOPICS_MAX) await traffic.read(signal);
    drawTraffic(tiles, rates);
    await seedTrends(groups, TRENDS_MAX, signal);
    drawWorst(worst);
  }, 3);
}

function drawAttention(list, items) {
  if (items.length === 0) {
    list.replaceChildren(el('li', { class: 'fine' }, 'Nothing.'));
    return;
  }
  const text = JSON.stringify(items);
  if (list.dataset.now === text) return; // Drawn anew under a finger or a reader's cursor, a list cannot be used.
  list.dataset.now = text;
  list.replaceChildren(...items.map((item) => el('li', { 'data-level': item.level },
    el('div', { class: 'what' }, item.verdict ? chip(item.verdict) : tag(item.where ?? 'broker', item.level), link(item.href, item.title), item.verdict ? el('span', { class: 'muted' }, item.where) : null),
    el('div', { class: 'why' }, item.text, item.more ? el('span', { class: 'more' }, ` ${item.more}`) : null))));
}

function drawDraining(box, groups) {
  box.replaceChildren(...(groups.length === 0 ? [] : [
    el('h3', {}, 'Catching up by themselves'),
    el('ul', { class: 'attention' }, groups.map((group) => el('li', { 'data-level': 'calm' },
      el('div', { class: 'what' }, chip('draining', group.cause), link(groupLink(group), group.group), el('span', { class: 'muted' }, group.topics.join(', '))),
      el('div', { class: 'why' }, behind(group))))),
  ]));
}

function drawStatus(tiles, status) {
  const used = status.memory_used_bytes / status.memory_limit_bytes;
  const free = status.disk_free_bytes / status.disk_total_bytes;
  const all = Object.values(status.connections).reduce((a, b) => a + b, 0);
  tiles.flush.set(`${status.flush_ms_p99.toFixed(1)} ms`, `p99; p50 ${status.flush_ms_p50.toFixed(1)} ms`);
  tiles.disk.set(bytes(status.disk_free_bytes), `${percent(status.disk_free_bytes, status.disk_total_bytes)} of ${bytes(status.disk_total_bytes)}`, free < 0.1 ? 'bad' : '');
  tiles.memory.set(bytes(status.memory_used_bytes), `of ${bytes(status.memory_limit_bytes)}`, used > 0.9 ? 'bad' : '');
  tiles.connections.set(count(all), Object.entries(status.connections).map(([listener, n]) => `${listener} ${count(n)}`).join(' · '));
  tiles.topics.set(count(status.topics), `${counted(status.partitions, 'partition')}, ${counted(status.groups, 'group')}`);
}

function drawTraffic(tiles, chart) {
  const now = Date.now();
  const last = traffic.points.at(-1);
  tiles.in.set(last ? rate(last.records_in) : '–', last ? `${bytes(last.bytes_in)}/s` : '');
  tiles.out.set(last ? rate(last.records_out) : '–', last ? `${bytes(last.bytes_out)}/s` : '');
  const from = Math.max(now - WINDOW_MS, Math.min(now - 60_000, traffic.points[0]?.x ?? now));
  chart.update(traffic.points, { from, to: now });
}

// The worst of all groups in each stretch of time.
function drawWorst(chart) {
  const now = Date.now();
  const worst = new Map();
  for (const trail of live.trails.values()) {
    for (const { time, value } of trail) {
      const x = Math.min(now, Math.ceil(time / BUCKET_MS) * BUCKET_MS);
      worst.set(x, Math.max(worst.get(x) ?? 0, value));
    }
  }
  const points = [...worst].sort(([a], [b]) => a - b).map(([x, value]) => ({ x, value })).filter((point) => point.x > now - WINDOW_MS);
  chart.update(points, { from: Math.min(now - 60_000, points[0]?.x ?? now), to: now });
}
