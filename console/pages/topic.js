import { get } from '../core/api.js';
import { groupLink } from '../core/attention.js';
import { bytes, count, counted, duration, eta } from '../core/format.js';
import { groupKey } from '../core/live.js';
import { decoded } from '../core/route.js';
import { Table } from '../core/table.js';
import { button, chip, el, link, severity, tabs, tag } from '../core/ui.js';
import { createGroup } from './group_actions.js';
import { messagesPanel } from './messages.js';
import { partitionsPanel } from './partitions.js';
import { produce } from './produce.js';
import { addPartitions, removeTopic, settingsPanel } from './topic_settings.js';

// One topic: its records, who reads it, its partitions, its settings.

const PARTS = [['messages', 'Messages'], ['groups', 'Groups'], ['partitions', 'Partitions'], ['settings', 'Settings']];
const PANELS = { messages: messagesPanel, groups: groupsPanel, partitions: partitionsPanel, settings: settingsPanel };

export function show(view) {
  view.parent = '#/topics';
  const name = decoded(view.params[0]);
  const path = `/topics/${encodeURIComponent(name)}`;
  document.title = `${name} – Tidemark`;
  const about = el('p', { class: 'sentence' });
  const head = el('div', { class: 'head' }, el('h1', {}, name));
  const buttons = el('div', { class: 'aside' });
  const open = PANELS[view.query.tab] ? view.query.tab : 'messages';
  const bar = tabs(PARTS, open, (tab) => (tab === open ? view.href({}) : `#/topic/${view.params[0]}${tab === 'messages' ? '' : `?tab=${tab}`}`));
  const part = el('div');
  view.root.append(el('div', { class: 'title' }, head, buttons), about, bar, part);

  let panel = null;
  view.poll(async (signal) => {
    const topic = await get(path, signal);
    about.replaceChildren(`${counted(topic.records, 'record')} in ${counted(topic.partitions, 'partition')}, ${bytes(topic.bytes)} on disk, durability ${topic.durability}. `,
      damaged(topic) > 0 ? tag(`${counted(damaged(topic), 'damaged range')}`, 'bad') : '');
    if (panel === null) {
      panel = PANELS[open](view, topic);
      part.replaceChildren(panel.element);
      let latest = topic;
      buttons.replaceChildren(
        button('Produce …', () => produce(view, latest), { class: 'primary', id: 'produce' }),
        button('Add partitions …', () => addPartitions(view, latest)),
        button('Remove …', () => removeTopic(latest), { class: 'danger-text' }));
      view.onTopic = (now) => (latest = now);
    }
    view.onTopic(topic);
    await panel.update(topic, signal);
  }, 2);
}

const damaged = (topic) => topic.partition_list.reduce((sum, partition) => sum + partition.quarantined.length, 0);

function groupsPanel(view, first) {
  const table = new Table({
    view, order: ['verdict', 'down'],
    key: groupKey,
    words: (group) => `${group.group} ${group.verdict} ${group.kind}`,
    open: (group) => groupLink(group),
    empty: 'No group reads this topic.',
    tools: button('New group …', () => createGroup(view, first.name), { class: 'primary' }),
    columns: [
      { name: 'group', title: 'Group', value: (g) => g.group, show: (g) => link(groupLink(g), g.group, { class: 'name' }) },
      { name: 'kind', title: 'Kind', value: (g) => g.kind },
      { name: 'verdict', title: 'Verdict', value: (g) => severity(g.verdict), sign: (g) => `${g.verdict}${g.cause}`, show: (g) => chip(g.verdict, g.cause) },
      { name: 'cause', title: 'Why', wide: true, value: (g) => g.cause },
      { name: 'lag', title: 'Lag', unit: 'records', number: true, value: (g) => g.lag, show: (g) => count(g.lag) },
      { name: 'lag_seconds', title: 'Lag time', number: true, value: (g) => g.lag_seconds, show: (g) => duration(g.lag_seconds) },
      { name: 'eta', title: 'Caught up', value: (g) => g.eta_seconds, sign: eta, show: eta },
      { name: 'members', title: 'Members', number: true, value: (g) => g.members, show: (g) => count(g.members) },
    ],
  });
  const update = async (topic, signal) => table.update((await get('/groups', signal)).filter((group) => group.topics.includes(topic.name)));
  return { element: table.element, update };
}
