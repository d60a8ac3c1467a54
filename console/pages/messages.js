import { get, query, told } from '../core/api.js';
import { clock, count, counted, utc } from '../core/format.js';
import { preview, recordDetail, sizeOf } from '../core/record.js';
import { Table } from '../core/table.js';
import { button, el, warning } from '../core/ui.js';
import { produce } from './produce.js';

// Records of a topic: from some place on, those that match, or those that come in right now.

const LIMITS = ['20', '50', '100', '500', '1000'];
const DEFAULT_LIMIT = '50';
const SHOWN_MAX = 1000;
const STARTS = [['', 'the newest'], ['earliest', 'the oldest kept'], ['-15m', '15 minutes ago'], ['-1h', 'an hour ago'], ['@2026-03-01T10:00Z', 'a time']];

// The live tail asks only partitions that have grown. What comes faster than can be read is left out, and counted.
const TAIL_MS = 1000;
const TAIL_ROWS_MAX = 300;
const TAIL_ROUND_MAX = 100; // Records of a partition in one round.
const TAIL_PARTITIONS_MAX = 16; // Asked in one round.

export function messagesPanel(view, first) {
  let topic = first;
  let records = [];
  let next = [];
  let tail = null;
  const path = `/topics/${encodeURIComponent(topic.name)}`;

  const inputs = {
    partition: el('select', { 'aria-label': 'Partition' }, el('option', { value: '' }, 'all partitions'),
      topic.partition_list.map((one) => el('option', { value: one.partition, selected: String(one.partition) === view.query.partition }, `partition ${one.partition}`))),
    from: el('input', { type: 'text', list: 'starts', value: view.query.from ?? '', placeholder: 'newest', 'aria-label': 'From: earliest, an offset, -1h, @time', class: 'short', spellcheck: 'false' }),
    limit: el('select', { 'aria-label': 'How many' }, LIMITS.map((limit) => el('option', { value: limit, selected: limit === (view.query.limit ?? DEFAULT_LIMIT) }, limit))),
    where: el('input', { type: 'search', value: view.query.where ?? '', class: 'filter', placeholder: 'key = "42" and value ~ "refused"', 'aria-label': 'Filter the broker applies', spellcheck: 'false', title: 'Fields: key value header.NAME partition offset time. Operators: = != < <= > >= ^= (prefix) ~ (expression) *= (glob); and or not ( )' }),
  };
  const ranged = el('span', { class: 'muted amount' });
  const problem = el('div');
  const live = button('Live tail', () => (tail ? stop() : start()), { 'aria-pressed': 'false', id: 'tail' });
  const more = button('Read on', () => view.attempt(readOn), { hidden: true });
  const form = el('form', { class: 'bar', id: 'look', on: { submit: (event) => {
    event.preventDefault();
    stop();
    remember();
    look();
  } } },
  el('label', {}, 'from ', inputs.from), inputs.partition, inputs.limit, inputs.where, el('button', { type: 'submit', class: 'primary' }, 'Look'), live,
  el('div', { class: 'aside' }, ranged, button('Download', () => download(topic.name, records), { title: 'What is shown, one JSON object a line' })),
  el('datalist', { id: 'starts' }, STARTS.filter(([value]) => value !== '').map(([value, text]) => el('option', { value }, text))));
  const table = new Table({
    view, prefix: 'm_', key: (record) => `${record.partition}:${record.offset}`,
    empty: 'No record here matches.',
    detail: (record) => recordDetail(record, `tidemark get '${topic.name}:${record.partition}:${record.offset}'`, [button('Produce again …', () => produce(view, topic, record))]),
    columns: [
      { name: 'place', title: 'Partition : offset', value: (r) => `${r.partition}:${r.offset}`, show: (r) => `${r.partition} : ${count(r.offset)}` },
      { name: 'time', title: 'Time', value: (r) => r.timestamp_ms, show: (r) => el('span', { title: utc(r.timestamp_ms < 0 ? null : r.timestamp_ms) }, clock(r.timestamp_ms)) },
      { name: 'key', title: 'Key', value: (r) => r.key, show: (r) => preview(r, 'key') },
      { name: 'value', title: 'Value', wide: true, value: (r) => r.value, show: (r) => preview(r, 'value') },
      { name: 'headers', title: 'Headers', number: true, value: (r) => r.headers.length, show: (r) => count(r.headers.length) },
      { name: 'size', title: 'Value', unit: 'bytes', number: true, value: (r) => sizeOf(r, 'value'), show: (r) => count(sizeOf(r, 'value')) },
    ],
  });
  const element = el('div', { id: 'messages' }, form, problem, table.element, el('div', { class: 'buttons left' }, more));
  // The filter of this page is the one the broker applies: / goes there.
  Object.assign(table, { filter: inputs.where });

  const remember = () => view.set({
    partition: inputs.partition.value, from: inputs.from.value.trim(), limit: inputs.limit.value === DEFAULT_LIMIT ? '' : inputs.limit.value, where: inputs.where.value.trim(),
  });
  const refuse = (text) => problem.replaceChildren(text ? warning(text) : '');
  const ask = (values) => get(`${path}/records${query({ limit: inputs.limit.value, filter: inputs.where.value.trim(), ...values })}`, view.signal);
  const draw = (text) => {
    more.hidden = tail !== null || records.length >= SHOWN_MAX || !next.some((one) => one.next < one.end);
    ranged.textContent = text;
    table.update(records);
  };

  const attempt = async (task) => {
    try {
      await task();
      refuse('');
    } catch (failure) {
      if (failure.name === 'AbortError') return;
      refuse(told(failure));
    }
  };

  const look = () => attempt(async () => {
    const from = inputs.from.value.trim();
    const found = await ask({ partition: inputs.partition.value, from: from === '' ? `-${inputs.limit.value}` : from });
    // The newest first, as long as the newest are what was asked for.
    records = from === '' ? found.records.reverse() : found.records;
    next = from === '' ? [] : found.next;
    draw(counted(records.length, 'record'));
    if (found.errors.length > 0) throw new Error(found.errors.map((error) => `partition ${error.partition}: ${error.message}`).join('; '));
  });

  const readOn = () => attempt(async () => {
    const open = next.filter((one) => one.next < one.end).slice(0, TAIL_PARTITIONS_MAX);
    const answers = await Promise.all(open.map((one) => ask({ partition: one.partition, from: one.next })));
    const rest = next.filter((one) => !open.includes(one));
    next = [...rest, ...answers.flatMap((answer) => answer.next)];
    records = [...records, ...answers.flatMap((answer) => answer.records).sort((a, b) => a.timestamp_ms - b.timestamp_ms)].slice(0, SHOWN_MAX);
    draw(counted(records.length, 'record'));
  });

  const start = () => {
    remember();
    const wanted = inputs.partition.value;
    tail = { places: new Map(), seen: 0, missed: 0, timer: 0, wanted };
    for (const one of topic.partition_list) if (wanted === '' || String(one.partition) === wanted) tail.places.set(one.partition, one.high_watermark);
    live.setAttribute('aria-pressed', 'true');
    records = [];
    draw('waiting for records …');
    round(tail);
  };

  const stop = () => {
    clearTimeout(tail?.timer);
    tail = null;
    live.setAttribute('aria-pressed', 'false');
  };
  view.signal.addEventListener('abort', stop);

  const round = async (mine) => {
    await attempt(async () => {
      const now = await get(path, view.signal);
      const grown = now.partition_list.filter((one) => mine.places.has(one.partition) && one.high_watermark > mine.places.get(one.partition)).slice(0, TAIL_PARTITIONS_MAX);
      const fresh = await Promise.all(grown.map((one) => follow(mine, one)));
      if (tail !== mine) return;
      const came = fresh.flat().sort((a, b) => b.timestamp_ms - a.timestamp_ms || b.offset - a.offset);
      mine.seen += came.length;
      records = [...came, ...records].slice(0, TAIL_ROWS_MAX);
      draw(mine.seen === 0 ? 'waiting for records …' : `${counted(mine.seen, 'record')} since the start${mine.missed > 0 ? `, ${count(mine.missed)} left out: they come too fast` : ''}`);
    });
    // A lost broker does not end the tail: it goes on where it was.
    if (tail === mine && view.open) mine.timer = setTimeout(() => round(mine), TAIL_MS);
  };

  const follow = async (mine, partition) => {
    const number = partition.partition;
    const behind = partition.high_watermark - mine.places.get(number);
    if (behind > TAIL_ROUND_MAX && inputs.where.value.trim() === '') {
      mine.missed += behind - TAIL_ROUND_MAX;
      mine.places.set(number, partition.high_watermark - TAIL_ROUND_MAX);
    }
    const found = await ask({ partition: number, from: mine.places.get(number), limit: TAIL_ROUND_MAX });
    mine.places.set(number, found.next.find((one) => one.partition === number)?.next ?? partition.high_watermark);
    return found.records;
  };

  look();
  return { element, update: async (now) => (topic = now) };
}

function download(name, records) {
  const lines = records.map((record) => `${JSON.stringify(record)}\n`).join('');
  const url = URL.createObjectURL(new Blob([lines], { type: 'application/x-ndjson' }));
  el('a', { href: url, download: `${name.replaceAll(/[^\w.-]/g, '_')}.jsonl` }).click();
  URL.revokeObjectURL(url);
}
