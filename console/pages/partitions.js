import { post } from '../core/api.js';
import { bars } from '../core/chart.js';
import { actionDialog } from '../core/dialog.js';
import { bytes, count, counted } from '../core/format.js';
import { Table } from '../core/table.js';
import { button, card, el, facts, tag, warning } from '../core/ui.js';

// A topic by partition: how evenly records are spread, what is damaged, and cutting off the oldest.

const BARS_MAX = 32;

export function partitionsPanel(view, first) {
  let topic = first;
  const table = new Table({
    view, order: ['partition', 'up'],
    key: (one) => one.partition,
    detail: (one) => partitionDetail(one),
    columns: [
      { name: 'partition', title: 'Partition', number: true, value: (p) => p.partition },
      { name: 'log_start', title: 'Log start', unit: 'offset', number: true, value: (p) => p.log_start, show: (p) => count(p.log_start) },
      { name: 'end', title: 'End', unit: 'offset', number: true, value: (p) => p.end, show: (p) => count(p.end) },
      { name: 'records', title: 'Records', unit: 'kept', number: true, value: (p) => p.end - p.log_start, show: (p) => count(p.end - p.log_start) },
      { name: 'bytes', title: 'On disk', number: true, value: (p) => p.bytes, show: (p) => bytes(p.bytes) },
      { name: 'segments', title: 'Segments', number: true, value: (p) => p.segments, show: (p) => count(p.segments) },
      { name: 'in', title: 'In', unit: 'records since start', number: true, value: (p) => p.records_in, show: (p) => count(p.records_in) },
      { name: 'out', title: 'Out', unit: 'records since start', number: true, value: (p) => p.records_out, show: (p) => count(p.records_out) },
      { name: 'state', title: 'State', value: (p) => p.state, sign: (p) => p.state + p.quarantined.length, show: (p) => [tag(p.state, p.state === 'online' ? 'good' : 'bad'), p.quarantined.length > 0 ? tag(`${p.quarantined.length} damaged`, 'bad') : ''].reduce((box, one) => (box.append(one), box), el('span', { class: 'chips' })) },
      { name: 'act', title: '', value: () => '', sign: () => 'trim', show: (p) => button('Trim …', () => trim(view, topic, p.partition)) },
    ],
  });
  const spread = el('div');
  const update = async (now) => {
    topic = now;
    table.update(now.partition_list);
    const parts = now.partition_list.map((p) => ({ name: `partition ${p.partition}`, value: p.bytes })).sort((a, b) => b.value - a.value).slice(0, BARS_MAX);
    const sign = JSON.stringify(parts);
    if (spread.dataset.now === sign) return;
    spread.dataset.now = sign;
    const mean = now.bytes / now.partitions;
    const skew = mean > 0 ? `The largest holds ${(parts[0].value / mean).toFixed(1)} times the mean.` : 'Nothing is stored yet.';
    spread.replaceChildren(el('p', { class: 'muted' }, `${skew}${now.partitions > BARS_MAX ? ` The ${BARS_MAX} largest are shown.` : ''}`), bars(parts, bytes));
  };
  return { element: el('div', { class: 'stack' }, table.element, card('Spread', null, spread)), update };
}

function partitionDetail(partition) {
  if (partition.quarantined.length === 0) {
    return facts([['readers see offsets below', count(partition.high_watermark)], ['bytes in since start', bytes(partition.bytes_in)], ['bytes out since start', bytes(partition.bytes_out)],
      ['compaction', compactionText(partition.compaction)]]);
  }
  return el('div', {}, partition.quarantined.map((damage) => warning(
    `Offsets ${count(damage.from)} to ${count(damage.to - 1)} cannot be read: ${damage.file} at byte ${count(damage.position)}: ${damage.reason}. The rest is served; see “Damage” in the operations page.`)));
}

function compactionText(compaction) {
  if (compaction.running) return 'running';
  return `${compaction.due ? 'due' : 'waits'}: ${compaction.reason}`;
}

function trim(view, topic, number) {
  const now = () => topic.partition_list.find((candidate) => candidate.partition === number);
  return actionDialog({
    title: `Trim ${topic.name}, partition ${number}`, verb: 'Trim', danger: true, typed: topic.name,
    intro: 'Records below an offset go, for everybody and for good.',
    fields: [{ name: 'before', label: 'Keep from offset', kind: 'number', min: now().log_start, max: now().end, required: true, hint: `kept now: ${count(now().log_start)} to ${count(now().end)}` }],
    plan: async ({ before }) => {
      if (before === undefined || before < now().log_start || before > now().end) throw new Error(`an offset from ${count(now().log_start)} to ${count(now().end)}`);
      return el('p', { class: 'plan' }, `${counted(before - now().log_start, 'record')} would go, ${counted(now().end - before, 'record')} would stay. Space comes back segment by segment.`);
    },
    act: async ({ before }) => {
      const done = await post(`/topics/${encodeURIComponent(topic.name)}/trim`, { partition: number, before });
      view.refresh();
      return `${topic.name}:${number} begins at offset ${count(done.log_start)} now.`;
    },
  });
}
