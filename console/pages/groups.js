import { get, segment } from '../core/api.js';
import { groupLink } from '../core/attention.js';
import { count, duration, eta, rate } from '../core/format.js';
import { groupKey, live } from '../core/live.js';
import { Table } from '../core/table.js';
import { seedTrends } from '../core/trends.js';
import { button, chip, el, link, severity, sparkline } from '../core/ui.js';
import { createGroup } from './group_actions.js';

// All groups, the most troubled first.

const TRENDS_MAX = 40; // Groups whose past is shown.

export function show(view) {
  const table = new Table({
    view,
    key: groupKey,
    order: ['verdict', 'down'],
    words: (group) => `${group.group} ${group.topics.join(' ')} ${group.verdict} ${group.kind} ${group.protocol ?? ''}`,
    open: (group) => groupLink(group),
    empty: 'There are no groups. A consumer makes its group when it first asks for records, or you make one here.',
    tools: button('New group …', () => createGroup(view), { class: 'primary' }),
    columns: [
      { name: 'group', title: 'Group', value: (g) => g.group, sign: (g) => `${g.group}${g.topics}${g.state}`, show: nameCell },
      { name: 'verdict', title: 'Verdict', value: (g) => severity(g.verdict) * 1e9 + (g.lag_seconds ?? 0), sign: (g) => `${g.verdict}${g.cause}`, show: (g) => chip(g.verdict, g.cause), number: false, hint: 'Rest the pointer on it for the cause' },
      { name: 'lag', title: 'Lag', unit: 'records', number: true, value: (g) => g.lag, show: (g) => count(g.lag) },
      { name: 'lag_seconds', title: 'Lag time', number: true, value: (g) => g.lag_seconds, show: lagTime, hint: 'Age of the oldest record that is not finished' },
      { name: 'trend', title: 'Trend', unit: '15 min', value: (g) => g.lag_seconds, sign: (g) => live.trail(g).join(), show: (g) => sparkline(live.trail(g), `lag time of ${g.group}`) },
      { name: 'eta', title: 'Caught up', value: (g) => (g.lag === 0 ? 0 : g.eta_seconds), sign: eta, show: (g) => el('span', { class: 'whole' }, eta(g)), hint: 'An estimate from the present rates' },
      { name: 'in_rate', title: 'Rates', unit: 'records/s', number: true, value: (g) => g.in_rate, sign: (g) => `${g.in_rate} ${g.out_rate}`, show: (g) => two(`${rate(g.in_rate)} in`, `${rate(g.out_rate)} out`) },
      { name: 'members', title: 'Members', number: true, value: (g) => g.members, show: (g) => count(g.members) },
      { name: 'in_flight', title: 'In hands', number: true, value: (g) => g.in_flight, sign: (g) => `${g.in_flight} ${g.retrying}`, show: (g) => (g.in_flight === null ? '–' : two(`${count(g.in_flight)} in flight`, `${count(g.retrying)} retrying`)) },
      { name: 'dead', title: 'Dead', unit: 'records', number: true, value: (g) => g.dead, show: (g) => (g.dead > 0 ? link(`#/dlq/${segment(g, 'group')}`, count(g.dead)) : count(g.dead)) },
      { name: 'headroom', title: 'Headroom', number: true, value: (g) => g.headroom_seconds, show: (g) => (g.headroom_seconds === null ? 'no limit' : duration(g.headroom_seconds)), hint: 'Until retention removes the oldest record not finished' },
    ],
  });
  view.root.append(el('h1', {}, 'Groups'), table.element);
  view.poll(async (signal) => {
    const groups = await get('/groups', signal);
    table.update(groups);
    await seedTrends(groups, TRENDS_MAX, signal);
  }, 2);
}

function nameCell(group) {
  const kind = [group.kind, group.protocol].filter(Boolean).join(' · ');
  return el('div', {}, link(groupLink(group), group.group, { class: 'name' }), el('div', { class: 'sub' }, `${kind} on ${group.topics.join(', ') || 'no topic'}`));
}

const two = (first, second) => el('div', {}, el('div', {}, first), el('div', {}, second));

function lagTime(group) {
  const over = group.lag_seconds !== null && group.lag_seconds > group.objective_seconds;
  return el('span', { 'data-tone': over ? 'bad' : null, title: `objective ${duration(group.objective_seconds)}` }, duration(group.lag_seconds));
}
