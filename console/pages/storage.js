import { get } from '../core/api.js';
import { bars } from '../core/chart.js';
import { bytes, count, counted, duration, percent } from '../core/format.js';
import { Table } from '../core/table.js';
import { card, el, link, tile, warning } from '../core/ui.js';
import { meaning, topicLink } from './topics.js';

// What holds the disk, how long it is kept, and how the last start went.

const BARS_MAX = 12;

export function show(view) {
  const tiles = {
    disk: tile('Disk free'), stored: tile('Records on disk'), flush: tile('Flush p50', { hint: 'Time the disk takes to make a group of records durable' }), slow: tile('Flush p99'),
    start: tile('Last start', { hint: 'Time the recovery took, and what it had to read' }),
  };
  const refused = el('div');
  const largest = el('div');
  const table = new Table({
    view, order: ['bytes', 'down'],
    key: (topic) => topic.name,
    words: (topic) => topic.name,
    open: (topic) => topicLink(topic.name, { tab: 'partitions' }),
    empty: 'Nothing is stored yet.',
    columns: [
      { name: 'name', title: 'Topic', value: (t) => t.name, show: (t) => link(topicLink(t.name, { tab: 'partitions' }), t.name, { class: 'name' }) },
      { name: 'bytes', title: 'On disk', number: true, value: (t) => t.bytes, show: (t) => bytes(t.bytes) },
      { name: 'share', title: 'Share', number: true, value: (t) => t.bytes / t.all, show: (t) => percent(t.bytes, t.all) },
      { name: 'records', title: 'Records', unit: 'kept', number: true, value: (t) => t.records, show: (t) => count(t.records) },
      { name: 'mean', title: 'Mean size', unit: 'a record', number: true, value: (t) => (t.records > 0 ? t.bytes / t.records : null), show: (t) => (t.records > 0 ? bytes(Math.round(t.bytes / t.records)) : '–') },
      { name: 'cleanup', title: 'Kept', value: (t) => kept(t.config), hint: 'Settings of the topic; “default” is what the broker is set to' },
      { name: 'durability', title: 'Durability', value: (t) => t.durability },
    ],
  });
  view.root.append(el('h1', {}, 'Storage'), refused, el('div', { class: 'tiles' }, Object.values(tiles).map((one) => one.element)), card('The largest topics', null, largest), table.element);
  view.poll(async (signal) => {
    const [status, topics] = await Promise.all([get('/status', signal), get('/topics?internal=true', signal)]);
    const all = topics.reduce((sum, topic) => sum + topic.bytes, 0);
    refused.replaceChildren(status.read_only ? warning(`The broker takes no records: ${status.read_only_reason}. Reading and removing go on.`) : '');
    const low = status.disk_free_bytes < 0.1 * status.disk_total_bytes;
    tiles.disk.set(bytes(status.disk_free_bytes), `${percent(status.disk_free_bytes, status.disk_total_bytes)} of ${bytes(status.disk_total_bytes)}`, low ? 'bad' : '');
    tiles.stored.set(bytes(all), counted(topics.length, 'topic'));
    tiles.flush.set(`${status.flush_ms_p50.toFixed(2)} ms`, 'half are faster');
    tiles.slow.set(`${status.flush_ms_p99.toFixed(2)} ms`, '99 of 100 are faster');
    tiles.start.set(duration(status.recovery_seconds), status.clean_start ? 'after a clean stop' : `after a crash, ${bytes(status.recovery_scanned_bytes)} read`, '');
    const parts = [...topics].sort((a, b) => b.bytes - a.bytes).slice(0, BARS_MAX).filter((topic) => topic.bytes > 0);
    const sign = JSON.stringify(parts.map((topic) => [topic.name, topic.bytes]));
    if (largest.dataset.now !== sign) largest.replaceChildren(bars(parts.map((topic) => ({ name: topic.name, value: topic.bytes, href: topicLink(topic.name, { tab: 'partitions' }) })), bytes));
    largest.dataset.now = sign;
    table.update(topics.map((topic) => ({ ...topic, all })));
  }, 5);
}

function kept(config) {
  const limits = ['retention.ms', 'retention.bytes'].filter((key) => key in config).map((key) => meaning(key, config[key]));
  const policy = config['cleanup.policy'];
  return [policy && policy !== 'delete' ? policy : '', limits.join(', ') || 'default'].filter(Boolean).join(', ');
}
