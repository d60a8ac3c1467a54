import { patch, remove } from '../core/api.js';
import { actionDialog } from '../core/dialog.js';
import { bytes, count, counted } from '../core/format.js';
import { Table } from '../core/table.js';
import { button, el, facts, tag } from '../core/ui.js';
import { changesOf, diffTable, settingsOf } from './group_actions.js';
import { meaning } from './topics.js';

// Settings of a topic, default or set; a change shows its difference first.

export function settingsPanel(view, first) {
  let topic = first;
  const table = new Table({
    view, order: ['set', 'down'],
    key: (row) => row.key,
    words: (row) => `${row.key} ${row.value}`,
    tools: button('Change several …', () => changeSeveral(view, topic), { class: 'primary' }),
    columns: [
      { name: 'key', title: 'Setting', value: (r) => r.key, show: (r) => el('code', {}, r.key) },
      { name: 'value', title: 'Value', value: (r) => r.value, show: (r) => (r.value === '' ? '(empty)' : r.value) },
      { name: 'meaning', title: 'Means', value: (r) => meaning(r.key, r.value) },
      { name: 'set', title: 'From', value: (r) => (r.set ? 1 : 0), show: (r) => (r.set ? tag('set here', 'calm') : tag('default')) },
      { name: 'act', title: '', value: (r) => r.value, show: (r) => button('Change …', () => changeOne(view, topic, r)) },
    ],
  });
  const update = async (now) => {
    topic = now;
    table.update(Object.entries(now.effective_config).map(([key, value]) => ({ key, value, set: key in now.config })).sort((a, b) => a.key.localeCompare(b.key)));
  };
  return { element: table.element, update };
}

const pathOf = (topic) => `/topics/${encodeURIComponent(topic.name)}`;

function changeOne(view, topic, row) {
  const change = (values) => {
    const wanted = values.reset ? null : values.value;
    return wanted === row.value ? {} : { [row.key]: wanted };
  };
  return actionDialog({
    title: `${row.key} of ${topic.name}`, verb: 'Apply',
    fields: [
      { name: 'value', label: 'Value', value: row.value, hint: 'Durations and sizes may be written 7d, 1GiB' },
      ...(row.set ? [{ name: 'reset', label: 'Back to the default', kind: 'check' }] : []),
    ],
    plan: async (values) => diffTable({ [row.key]: row.value }, change(values)),
    act: async (values) => {
      await patch(pathOf(topic), { config: change(values) });
      view.refresh();
      return `${row.key} of ${topic.name} was changed.`;
    },
  });
}

function changeSeveral(view, topic) {
  const before = topic.config;
  return actionDialog({
    title: `Settings of ${topic.name}`, verb: 'Apply', intro: 'What is set, one KEY=VALUE a line. A line taken away means the default.',
    fields: [{ name: 'text', label: 'Settings', kind: 'area', rows: 8, value: Object.entries(before).map(([key, value]) => `${key}=${value}`).join('\n') }],
    plan: async (values) => {
      const changes = changesOf(before, settingsOf(values.text));
      return diffTable({ ...Object.fromEntries(Object.keys(changes).map((key) => [key, topic.effective_config[key]])), ...before }, changes);
    },
    act: async (values) => {
      await patch(pathOf(topic), { config: changesOf(before, settingsOf(values.text)) });
      view.refresh();
      return `Settings of ${topic.name} were changed.`;
    },
  });
}

export function addPartitions(view, topic) {
  return actionDialog({
    title: `Add partitions to ${topic.name}`, verb: 'Add them',
    intro: 'Records of a key go to another partition afterwards: per key, the order holds only among the old ones and among the new ones. Partitions cannot be taken away again.',
    fields: [{ name: 'partitions', label: 'Partitions in all', kind: 'number', min: topic.partitions + 1, max: 10_000, required: true, value: topic.partitions + 1 }],
    plan: async ({ partitions }) => `From ${counted(topic.partitions, 'partition')} to ${count(partitions)}.`,
    act: async ({ partitions }) => {
      await patch(pathOf(topic), { partitions });
      view.refresh();
      return `${topic.name} has ${counted(partitions, 'partition')} now.`;
    },
  });
}

export function removeTopic(topic) {
  return actionDialog({
    title: `Remove ${topic.name}`, verb: 'Remove the topic', danger: true, typed: topic.name,
    intro: el('div', {}, el('p', {}, 'The topic and all its records go, for good.'), facts([
      ['records', count(topic.records)], ['on disk', bytes(topic.bytes)], ['stream groups that read it', topic.groups.join(', ') || 'none'],
    ])),
    act: async () => {
      await remove(pathOf(topic));
      location.hash = '#/topics';
      return `Topic ${topic.name} was removed.`;
    },
  });
}
