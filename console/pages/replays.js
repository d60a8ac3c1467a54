import { get, post } from '../core/api.js';
import { actionDialog } from '../core/dialog.js';
import { bytes, clock, count, counted, duration, rate, utc } from '../core/format.js';
import { Table } from '../core/table.js';
import { button, el, facts, tag } from '../core/ui.js';

// Copies of a stretch of one topic into another, running and finished.

const TONES = { running: 'calm', paused: 'off', done: 'good', failed: 'bad', cancelled: 'off' };

export function show(view) {
  const table = new Table({
    view, order: ['job', 'down'],
    key: (job) => job.job,
    words: (job) => `${job.job} ${job.topic} ${job.into} ${job.state}`,
    empty: 'Nothing is or was replayed.',
    tools: button('New replay …', () => begin(view), { class: 'primary' }),
    detail: (job) => jobDetail(job),
    columns: [
      { name: 'job', title: 'Job', number: true, value: (j) => j.job },
      { name: 'state', title: 'State', value: (j) => j.state, sign: (j) => `${j.state}${j.wait}${j.error?.message}`, show: (j) => tag(j.wait ? `${j.state}, waits` : j.state, TONES[j.state], j.error?.message ?? j.wait ?? '') },
      { name: 'topic', title: 'From', value: (j) => j.topic },
      { name: 'into', title: 'Into', value: (j) => j.into },
      { name: 'progress', title: 'Progress', value: (j) => j.progress, show: (j) => meter(j.progress) },
      { name: 'records', title: 'Copied', unit: 'records', number: true, value: (j) => j.records, show: (j) => count(j.records) },
      { name: 'rate', title: 'Speed', unit: 'records/s', number: true, value: (j) => j.records_per_second, show: (j) => rate(j.records_per_second) },
      { name: 'eta', title: 'Done in', number: true, value: (j) => j.eta_seconds, show: (j) => duration(j.eta_seconds) },
      { name: 'created', title: 'Begun', value: (j) => j.created_ms, show: (j) => el('span', { title: utc(j.created_ms) }, clock(j.created_ms)) },
      { name: 'act', title: '', value: (j) => j.state, show: (j) => jobButtons(view, j) },
    ],
  });
  view.root.append(el('h1', {}, 'Replays'), table.element);
  view.poll(async (signal) => table.update(await get('/replays', signal)), 2);
}

function meter(progress) {
  const percent = Math.floor(100 * progress);
  return el('span', { class: 'meter' }, el('progress', { max: '1', value: progress }), ` ${percent} %`);
}

function jobDetail(job) {
  return facts([
    ['stretch', `${job.from} to ${job.to}`], ['limit', [job.rate, job.speed && `${job.speed} times the original speed`].filter(Boolean).join(', ') || 'as fast as it goes'],
    ['only those that match', job.filter ?? 'all'], ['read', `${count(job.read)} records, ${bytes(job.bytes)} written`],
    ['left out', `${count(job.filtered)} did not match, ${count(job.skipped)} were gone, ${count(job.damaged)} lie in damaged ranges`],
    job.error ? ['failed with', job.error.message] : null, job.wait ? ['waits for', job.wait] : null,
  ]);
}

function jobButtons(view, job) {
  const act = (verb, title, text) => actionDialog({
    title: `${title} replay ${job.job}`, verb: title, intro: text, danger: verb === 'cancel',
    act: async () => {
      await post(`/replays/${job.job}/${verb}`);
      view.refresh();
      return `Replay ${job.job}: done.`;
    },
  });
  const box = el('span', { class: 'chips' });
  if (job.state === 'running') box.append(button('Pause …', () => act('pause', 'Pause', 'It goes on from the same place when it is resumed.')));
  if (job.state === 'paused') box.append(button('Resume …', () => act('resume', 'Resume', 'It goes on where it was.')));
  if (['running', 'paused'].includes(job.state)) box.append(button('Cancel …', () => act('cancel', 'Cancel', 'What was copied stays; the rest is not copied.'), { class: 'danger-text' }));
  return box;
}

async function begin(view) {
  const topics = (await get('/topics')).slice(0, 500).map((topic) => [topic.name, '']);
  const body = (values, dry) => ({
    topic: values.topic, into: values.into, from: values.from, to: values.to, dry_run: dry, ...(values.rate === undefined ? {} : { records_per_second: values.rate }), ...(values.filter ? { filter: values.filter } : {}),
  });
  return actionDialog({
    title: 'New replay', verb: 'Begin',
    fields: [
      { name: 'topic', label: 'From topic', required: true, options: topics },
      { name: 'into', label: 'Into topic', required: true, options: topics },
      { name: 'from', label: 'From', value: 'earliest', required: true, hint: 'earliest, an offset, -1h, @2026-03-01T10:00Z' },
      { name: 'to', label: 'To', value: 'latest', required: true, hint: 'exclusive' },
      { name: 'rate', label: 'No faster than', kind: 'number', min: 0, placeholder: 'no limit', hint: 'records a second' },
      { name: 'filter', label: 'Only those that match', placeholder: 'all' },
    ],
    plan: async (values) => {
      const plan = await post('/replays', body(values, true));
      const offsets = plan.partition_list.reduce((sum, one) => sum + Math.max(0, one.to - one.from), 0);
      return el('p', { class: 'plan' }, `${counted(offsets, 'offset')} of ${counted(plan.partition_list.length, 'partition')} would be read and copied into ${plan.into}.`);
    },
    act: async (values) => {
      const job = await post('/replays', body(values, false));
      view.refresh();
      return `Replay ${job.job} has begun.`;
    },
  });
}
