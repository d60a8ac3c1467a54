import { get, remove } from '../core/api.js';
import { groupLink } from '../core/attention.js';
import { actionDialog } from '../core/dialog.js';
import { ago, count, utc } from '../core/format.js';
import { getIfThere, notGiven } from '../core/missing.js';
import { Table } from '../core/table.js';
import { button, card, chip, el, link, severity, tile } from '../core/ui.js';

// Who is connected, over which listener, and which groups have members.

const LIST_MAX = 1000; // The broker gives no more at once.

export function show(view) {
  const tiles = new Map();
  const tileBox = el('div', { class: 'tiles' });
  const missing = notGiven('its connections one by one, only how many there are');
  const table = new Table({
    view, order: ['opened', 'down'],
    key: (row) => row.id,
    words: (row) => `${row.listener} ${row.peer} ${row.client_id ?? ''}`,
    empty: 'Nobody is connected.',
    columns: [
      { name: 'client', title: 'Client', value: (r) => r.client_id, show: (r) => r.client_id ?? '(has not said)' },
      { name: 'listener', title: 'Listener', value: (r) => r.listener },
      { name: 'peer', title: 'From', value: (r) => r.peer },
      { name: 'opened', title: 'Connected', number: true, value: (r) => r.opened_ms, sign: (r) => ago(r.opened_ms), show: (r) => el('span', { title: utc(r.opened_ms) }, ago(r.opened_ms)) },
      { name: 'id', title: 'Id', number: true, value: (r) => r.id },
      { name: 'act', title: '', value: (r) => r.id, show: (r) => button('Disconnect …', () => disconnect(view, r), { class: 'danger-text' }) },
    ],
  });
  const groups = new Table({
    view, prefix: 'g_', order: ['members', 'down'],
    key: (group) => `${group.kind} ${group.group} ${group.topics}`,
    open: (group) => groupLink(group, { tab: 'members' }),
    empty: 'No group has members.',
    columns: [
      { name: 'group', title: 'Group', value: (g) => g.group, show: (g) => link(groupLink(g, { tab: 'members' }), g.group) },
      { name: 'protocol', title: 'Protocol', value: (g) => g.protocol ?? '' },
      { name: 'members', title: 'Members', number: true, value: (g) => g.members, show: (g) => count(g.members) },
      { name: 'state', title: 'State', value: (g) => g.state },
      { name: 'verdict', title: 'Verdict', value: (g) => severity(g.verdict), sign: (g) => `${g.verdict}${g.cause}`, show: (g) => chip(g.verdict, g.cause) },
    ],
  });
  const more = el('p', { class: 'muted', hidden: true }, `Only the first ${count(LIST_MAX)} connections are shown.`);
  view.root.append(el('h1', {}, 'Clients'), tileBox, missing, table.element, more, card('Groups with members', null, groups.element));
  missing.hidden = true;
  view.poll(async (signal) => {
    const [status, list, all] = await Promise.all([get('/status', signal), getIfThere('/connections', signal), get('/groups', signal)]);
    for (const [listener, number] of Object.entries(status.connections)) {
      if (!tiles.has(listener)) {
        tiles.set(listener, tile(listener));
        tileBox.append(tiles.get(listener).element);
      }
      tiles.get(listener).set(count(number), number === 1 ? 'connection' : 'connections');
    }
    const told = Array.isArray(list); // Older brokers answer with counts.
    missing.hidden = told;
    table.element.hidden = !told;
    more.hidden = !told || list.length < LIST_MAX;
    if (told) table.update(list);
    groups.update(all.filter((group) => group.members > 0));
  }, 3);
}

function disconnect(view, row) {
  return actionDialog({
    title: `Disconnect ${row.client_id ?? row.peer}`, verb: 'Disconnect', danger: true,
    intro: `The connection from ${row.peer} to the ${row.listener} listener is closed. Most clients connect again by themselves.`,
    act: async () => {
      await remove(`/connections/${row.id}`);
      view.refresh();
      return `${row.peer} was disconnected.`;
    },
  });
}
