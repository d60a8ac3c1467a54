import { get, post } from '../core/api.js';
import { groupLink } from '../core/attention.js';
import { actionDialog } from '../core/dialog.js';
import { bytes, count, counted, day, duration } from '../core/format.js';
import { groupKey } from '../core/live.js';
import { link as address } from '../core/route.js';
import { Table } from '../core/table.js';
import { button, chip, el, facts, link, severity } from '../core/ui.js';
import { settingsOf } from './group_actions.js';

// All topics. With ten thousand of them a page of a hundred is drawn; filter and order work on all.

const CHIPS_MAX = 4; // Groups of a topic that are shown; the rest is a number.

export const topicLink = (name, query = {}) => address('topic', [encodeURIComponent(name)], query);

export function show(view) {
  let groupsOf = new Map();
  const of = (topic) => groupsOf.get(topic.name) ?? [];
  const worst = (topic) => Math.max(-1, ...of(topic).map((group) => severity(group.verdict)));
  const internal = el('input', { type: 'checkbox', checked: view.query.internal === 'yes', on: { change: () => {
    view.set({ internal: internal.checked ? 'yes' : '' });
    view.refresh();
  } } });
  const table = new Table({
    view, order: ['name', 'up'],
    key: (topic) => topic.name,
    words: (topic) => topic.name,
    open: (topic) => topicLink(topic.name),
    empty: 'There are no topics yet. Make one here, or let a producer make it.',
    tools: [el('label', { class: 'check' }, internal, ' the broker’s own, too'), button('New topic …', () => createTopic(view), { class: 'primary', id: 'new-topic' })],
    columns: [
      { name: 'name', title: 'Topic', value: (t) => t.name, show: (t) => link(topicLink(t.name), t.name, { class: 'name' }) },
      { name: 'groups', title: 'Groups', wide: true, value: worst, sign: (t) => of(t).map((g) => groupKey(g) + g.verdict).join(), show: (t) => groupChips(of(t)), hint: 'Who reads it, and how they do' },
      { name: 'partitions', title: 'Partitions', number: true, value: (t) => t.partitions, show: (t) => count(t.partitions) },
      { name: 'records', title: 'Records', unit: 'kept', number: true, value: (t) => t.records, show: (t) => count(t.records) },
      { name: 'bytes', title: 'On disk', number: true, value: (t) => t.bytes, show: (t) => bytes(t.bytes) },
      { name: 'durability', title: 'Durability', value: (t) => t.durability, hint: 'fsync: on the disk before it is acknowledged' },
      { name: 'set', title: 'Settings', unit: 'not default', value: (t) => Object.entries(t.config).map(([key, value]) => `${key}=${value}`).join(' '), show: (t) => settingsText(t.config) },
      { name: 'created', title: 'Made', value: (t) => t.created_ms, show: (t) => el('span', { title: t.created_time }, day(t.created_ms)) },
    ],
  });
  view.root.append(el('h1', {}, 'Topics'), table.element);
  view.poll(async (signal) => {
    const [topics, groups] = await Promise.all([get(internal.checked ? '/topics?internal=true' : '/topics', signal), get('/groups', signal)]);
    groupsOf = new Map();
    for (const group of groups) group.topics.forEach((topic) => groupsOf.set(topic, [...(groupsOf.get(topic) ?? []), group]));
    table.update(topics);
  }, 3);
}

function groupChips(groups) {
  const sorted = [...groups].sort((a, b) => severity(b.verdict) - severity(a.verdict));
  const shown = sorted.slice(0, CHIPS_MAX).map((group) => link(groupLink(group), [chip(group.verdict, group.cause), ` ${group.group}`], { class: 'group-chip' }));
  return el('div', { class: 'chips' }, shown, sorted.length > CHIPS_MAX ? el('span', { class: 'muted' }, `and ${sorted.length - CHIPS_MAX} more`) : null);
}

function settingsText(config) {
  const entries = Object.entries(config);
  return el('span', { class: 'muted' }, entries.length === 0 ? 'none' : entries.slice(0, 2).map(([key, value]) => `${key}=${meaning(key, value) || value}`).join(', ') + (entries.length > 2 ? ` and ${entries.length - 2} more` : ''));
}

// What a bare number in a setting stands for.
export function meaning(key, value) {
  const number = Number(value);
  if (value === '' || !Number.isFinite(number)) return '';
  if (number < 0 || number >= 9e18) return key.endsWith('.ms') || key.endsWith('.bytes') || key.endsWith('.ttl') ? 'no limit' : '';
  if (key.endsWith('.ms')) return duration(number / 1000);
  return key.endsWith('.bytes') ? bytes(number) : '';
}

export function createTopic(view) {
  const body = (values, dry) => ({
    name: values.name, ...(values.partitions === undefined ? {} : { partitions: values.partitions }), config: settingsOf(values.config), ...(dry ? { dry_run: true } : {}),
  });
  return actionDialog({
    title: 'New topic', verb: 'Make the topic',
    fields: [
      { name: 'name', label: 'Name', required: true, hint: '1 to 249 of letters, digits and . _ : { } / -' },
      { name: 'partitions', label: 'Partitions', kind: 'number', min: 1, max: 10_000, placeholder: 'as the broker is set', hint: 'How many consumers of one group can share the work in order' },
      { name: 'config', label: 'Settings', kind: 'area', placeholder: 'retention.ms=86400000\ndurability=fsync', hint: 'one KEY=VALUE a line' },
    ],
    plan: async (values) => {
      const made = await post('/topics', body(values, true));
      return el('div', { class: 'plan' }, facts([
        ['topic', made.name], ['partitions', count(made.partitions)], ['durability', made.durability],
        ['retention', [meaning('retention.ms', made.effective_config['retention.ms']), meaning('retention.bytes', made.effective_config['retention.bytes'])].join(', by size ')],
        ...Object.entries(made.config).map(([key, value]) => [key, value]),
      ]));
    },
    act: async (values) => {
      const made = await post('/topics', body(values, false));
      view.refresh();
      return `Topic ${made.name} was made with ${counted(made.partitions, 'partition')}.`;
    },
  });
}
