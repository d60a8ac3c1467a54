import { get, named, patch, post, query, remove, segment } from '../core/api.js';
import { bytes, count, counted } from '../core/format.js';
import { actionDialog } from '../core/dialog.js';
import { decoded, groupQuery, link } from '../core/route.js';
import { button, el, tag } from '../core/ui.js';

// What can be done with a group. Everything shows its plan first; the broker makes the plan.

export const pathOf = (group, verb = '') => `/groups/${segment(group, 'group')}${verb}${query(groupQuery(group))}`;

const SEEK_TARGETS = [
  ['earliest', 'the oldest record kept'], ['latest', 'the end'], ['-1h', 'an hour ago'], ['-15m', '15 minutes ago'], ['-1000', '1000 records before the end'],
  ['committed', 'where it stands'],
];

export async function createGroup(view, topicName = '') {
  const topics = await get('/topics');
  return actionDialog({
    title: 'New group', verb: 'Make the group',
    fields: [
      { name: 'group', label: 'Name', required: true },
      { name: 'kind', label: 'Kind', kind: 'select', options: [['queue', 'queue: each record to one worker, acknowledged one by one'], ['stream', 'stream: partitions shared out, positions committed']], value: 'queue' },
      { name: 'topic', label: 'Topic', value: topicName, required: true, options: topics.slice(0, 500).map((topic) => [topic.name, '']) },
      { name: 'from', label: 'Begins at', value: 'earliest', options: SEEK_TARGETS.slice(0, 2), hint: 'earliest, latest, an offset, or a time: @2026-03-01T10:00' },
    ],
    act: async (values) => {
      await post('/groups', { group: values.group, kind: values.kind, topics: [values.topic], from: values.from });
      view.refresh();
      return `Group ${values.group} was made.`;
    },
  });
}

export function planTable(plan) {
  const moved = plan.rows.filter((row) => row.from !== row.to);
  const total = plan.rows.reduce((sum, row) => sum + row.records, 0);
  const size = plan.rows.reduce((sum, row) => sum + Math.abs(row.bytes), 0);
  const sized = size > 0 ? ` (${bytes(size)})` : ''; // Not known of work queues.
  const what = total < 0 ? `${counted(-total, 'record')}${sized} will be delivered again` : total > 0 ? `${counted(total, 'record')}${sized} will be skipped` : 'no record is skipped or delivered again';
  const head = el('p', { class: 'plan' }, moved.length === 0 ? 'Nothing moves: the group stands there already.' : `${counted(moved.length, 'partition')} would move; ${what}.`);
  const rows = moved.slice(0, 200).map((row) => el('tr', {},
    el('td', {}, `${row.topic}:${row.partition}`), el('td', { class: 'number' }, count(row.from)), el('td', { class: 'number' }, count(row.to)),
    el('td', { class: 'number' }, row.records > 0 ? `+${count(row.records)}` : count(row.records)),
    el('td', {}, row.clamped ? tag('clamped', 'warn', 'The wanted place is not kept; the nearest one is taken') : '')));
  const headings = ['partition', 'from offset', 'to offset', 'records', ''].map((text, i) => el('th', { class: i > 0 && i < 4 ? 'number' : null }, text));
  const rest = moved.length > 200 ? el('p', { class: 'muted' }, `and ${count(moved.length - 200)} more`) : null;
  return el('div', {}, head, moved.length > 0 ? el('div', { class: 'scroll' }, el('table', { class: 'plain' }, el('thead', {}, el('tr', {}, headings)), el('tbody', {}, rows))) : null, rest);
}

export function seek(view, group) {
  const ask = (values, execute) => post(pathOf(group, '/seek'), {
    to: values.to, execute, ...(group.kind === 'stream' ? { force: values.force, ...(values.topic ? { topic: values.topic } : {}) } : {}),
  });
  return actionDialog({
    title: `Move ${group.group}`, verb: 'Move the group', danger: true,
    intro: 'Where the group goes on reading. The plan says which records would be delivered again or skipped.',
    fields: [
      { name: 'to', label: 'To', value: 'earliest', required: true, options: SEEK_TARGETS, hint: 'earliest, latest, committed, an offset, +n, -n, -15m, @2026-03-01T10:00, group:NAME' },
      ...(group.kind === 'stream' ? [
        { name: 'topic', label: 'Only this topic', options: group.topics.map((topic) => [topic, '']), placeholder: 'all of them' },
        { name: 'force', label: 'Although members are connected', kind: 'check', hint: ' They are told to begin there.' },
      ] : []),
    ],
    plan: async (values) => planTable(await ask(values, false)),
    act: async (values) => {
      const done = await ask(values, true);
      view.refresh();
      return `${group.group} was moved: ${counted(done.rows.filter((row) => row.from !== row.to).length, 'partition')}.`;
    },
  });
}

export function undo(view, group) {
  return actionDialog({
    title: `Take the latest move of ${group.group} back`, verb: 'Move it back', danger: true,
    fields: [{ name: 'force', label: 'Although members are connected', kind: 'check' }],
    plan: async (values) => planTable(await post(pathOf(group, '/undo'), { execute: false, force: values.force })),
    act: async (values) => {
      await post(pathOf(group, '/undo'), { execute: true, force: values.force });
      view.refresh();
      return `${group.group} stands where it stood before.`;
    },
  });
}

export function pause(view, group) {
  return actionDialog({
    title: `Pause ${group.group}`, verb: 'Pause',
    intro: 'No record is handed out until then. What was handed out can still be acknowledged.',
    fields: [{ name: 'until', label: 'Until', value: 'forever', required: true, options: [['forever', 'until it is resumed'], ['15m', ''], ['1h', ''], ['8h', '']], hint: 'forever, a duration (15m, 8h), or a time: 2026-03-01T10:00Z' }],
    act: async (values) => {
      await post(pathOf(group, '/pause'), { until: values.until });
      view.refresh();
      return `${group.group} is paused.`;
    },
  });
}

export async function resume(view, group) {
  return actionDialog({
    title: `Resume ${group.group}`, verb: 'Resume', intro: 'Its records are handed out again.',
    act: async () => {
      await post(pathOf(group, '/resume'));
      view.refresh();
      return `${group.group} goes on.`;
    },
  });
}

// purge, release and kick count what they would touch unless told to act.
function counting(view, group, verb, options, bodyOf = () => ({})) {
  return actionDialog({
    danger: true, ...options,
    plan: async (values) => el('p', { class: 'plan' }, `${counted((await post(pathOf(group, `/${verb}`), { ...bodyOf(values), execute: false })).records, 'record')} ${options.would}.`),
    act: async (values) => {
      const done = await post(pathOf(group, `/${verb}`), { ...bodyOf(values), execute: true });
      view.refresh();
      return `${counted(done.records, 'record')} ${options.was}.`;
    },
  });
}

export const purge = (view, group) => counting(view, group, 'purge', {
  title: `Purge ${group.group}`, verb: 'Purge', typed: group.group, would: 'would count as done without having been processed', was: 'count as done now',
  intro: 'Everything that no worker has in its hands is finished unprocessed. The records stay in the topic; other groups do not notice.',
});

export const release = (view, group, member = null) => counting(view, group, 'release', {
  title: member ? `Take records back from ${member.member}` : `Take records of ${group.group} back`, verb: 'Take them back',
  would: 'would be taken back and handed to others', was: 'were taken back', intro: 'The member can no longer acknowledge them. Use it when a worker hangs.',
  fields: [{ name: 'older', label: 'Handed out at least so long ago', value: member ? '' : '5m', placeholder: 'any time', hint: 'a duration: 30s, 5m' }],
}, (values) => ({ ...(values.older ? { older: values.older } : {}), ...(member ? named(member, 'member') : {}) }));

export const releaseRecord = (view, group, record) => counting(view, group, 'release', {
  title: `Take ${record.id} back`, verb: 'Take it back', would: 'would be taken back and handed to another worker', was: 'was taken back',
}, () => ({ records: [{ partition: record.partition, offset: record.offset }] }));

export const kick = (view, group, record = null) => counting(view, group, 'kick', {
  title: record ? `Make ${record.id} available` : `Make parked and delayed records of ${group.group} available`, verb: 'Make available',
  would: 'would be handed out again at once', was: 'are available', danger: false,
}, () => (record ? { records: [{ partition: record.partition, offset: record.offset }] } : {}));

// An operator's word on one record, whoever has it.
export function settle(view, group, record, kind) {
  const words = {
    ack: ['Finish', 'It counts as processed; no worker gets it again.'],
    reject: ['Make it a dead letter', 'It goes where the records of this group go that cannot be processed; from there it can be redriven.'],
  }[kind];
  return actionDialog({
    title: `${words[0]}: ${record.id}`, verb: words[0], danger: true, intro: words[1],
    fields: kind === 'reject' ? [{ name: 'reason', label: 'Reason', value: 'rejected in the console', required: true }] : [],
    act: async (values) => {
      const settlement = { partition: record.partition, offset: record.offset, kind, ...(values.reason ? { reason: values.reason } : {}) };
      const done = await post(pathOf(group, '/settle'), { settlements: [settlement] });
      if (done.failures.length > 0) throw new Error(done.failures[0].message);
      view.refresh();
      return `${record.id}: done.`;
    },
  });
}

export function removeGroup(group) {
  const name = decoded(segment(group, 'group'));
  const waits = group.lag > 0 ? ` ${counted(group.lag, 'record')} it has not finished stay in the topic; nobody will process them for it.` : '';
  return actionDialog({
    title: `Remove ${group.group}`, verb: 'Remove the group', danger: true, typed: name,
    intro: `Its position, its settings and what it knows of single records go, and cannot be had back.${waits} ${counted(group.members, 'member')} connected.`,
    act: async () => {
      await remove(pathOf(group));
      location.hash = link('groups');
      return `Group ${group.group} was removed.`;
    },
  });
}

// A table of what would change, then the change. `settings`: { key: new text, or null for the default }.
export function diffTable(before, changes) {
  const row = ([key, value]) => el('tr', {}, el('td', {}, el('code', {}, key)), el('td', { class: 'old' }, before[key] ?? 'default'), el('td', { class: 'new' }, value ?? 'default'));
  const rows = Object.entries(changes);
  if (rows.length === 0) throw new Error('Nothing would change.'); // Then there is nothing to confirm.
  return el('div', { class: 'scroll' }, el('table', { class: 'plain diff' }, el('thead', {}, el('tr', {}, ['setting', 'now', 'then'].map((text) => el('th', {}, text)))), el('tbody', {}, rows.map(row))));
}

// key=value lines to { key: value }; an empty value means the default.
export function settingsOf(text) {
  const lines = text.split('\n').map((line) => line.trim()).filter((line) => line !== '');
  return Object.fromEntries(lines.map((line) => {
    const at = line.indexOf('=');
    if (at < 1) throw new Error(`“${line}” is not KEY=VALUE`);
    return [line.slice(0, at).trim(), line.slice(at + 1).trim() || null];
  }));
}

export function alter(view, group) {
  const before = group.settings;
  return actionDialog({
    title: `Settings of ${group.group}`, verb: 'Apply', intro: 'One KEY=VALUE a line; an empty value means the default.',
    fields: [{ name: 'text', label: 'Settings', kind: 'area', rows: 8, value: Object.entries(before).map(([key, value]) => `${key}=${value}`).join('\n'), placeholder: 'lag.objective=30s' }],
    plan: async (values) => diffTable(before, changesOf(before, settingsOf(values.text))),
    act: async (values) => {
      await patch(pathOf(group), { settings: changesOf(before, settingsOf(values.text)) });
      view.refresh();
      return `Settings of ${group.group} were changed.`;
    },
  });
}

// What to ask for so that `before` becomes `wanted`: a key that is gone is set back to its default.
export function changesOf(before, wanted) {
  const changes = Object.fromEntries(Object.entries(wanted).filter(([key, value]) => (before[key] ?? null) !== value));
  Object.keys(before).filter((key) => !(key in wanted)).forEach((key) => (changes[key] = null));
  return changes;
}

// The row of buttons on a group's page.
export function actions(view, group) {
  const queue = group.kind === 'queue';
  const paused = group.state === 'paused';
  return [
    button('Move …', () => seek(view, group), { id: 'seek' }),
    queue ? (paused ? button('Resume …', () => resume(view, group)) : button('Pause …', () => pause(view, group))) : null,
    queue ? button('Take back …', () => release(view, group)) : null,
    queue ? button('Purge …', () => purge(view, group), { class: 'danger-text' }) : null,
    button('Remove …', () => removeGroup(group), { class: 'danger-text' }),
  ];
}
