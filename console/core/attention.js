import { bytes, counted, duration, eta, percent } from './format.js';
import { groupQuery, link } from './route.js';
import { segment } from './api.js';
import { severity } from './ui.js';

// What needs a person, in sentences. From GET /groups, /status and /doctor.

const LOW_DISK = 0.1;
const HIGH_MEMORY = 0.9;

export const groupLink = (group, more = {}) => link('group', [segment(group, 'group')], { ...groupQuery(group), ...more });

export const inTrouble = (group) => severity(group.verdict) >= severity('slow');

// The one line above everything.
export function headline(groups, status) {
  if (status.read_only) return `The broker takes no records: ${status.read_only_reason}.`;
  const bad = groups.filter(inTrouble);
  const draining = groups.filter((group) => group.verdict === 'draining');
  const catching = draining.length > 0 ? ` ${counted(draining.length, 'group')} ${draining.length === 1 ? 'is' : 'are'} catching up.` : '';
  if (bad.length > 0) {
    return `${counted(bad.length, 'group')} ${bad.length === 1 ? 'needs' : 'need'} a person: ${namesOrNumbers(bad)}.${catching}`;
  }
  return groups.length === 0 ? 'Nothing needs a person. There are no groups yet.' : `Nothing needs a person.${catching || ' All groups keep up.'}`;
}

const VERBS = { stopped: 'has stopped', stalled: 'is stalled', 'at-risk': 'loses records soon', rewound: 'went back', slow: 'is slow' };
const NAMES_MAX = 3;

function namesOrNumbers(bad) {
  if (bad.length <= NAMES_MAX && bad.every((group) => group.group.length <= 40)) return bad.map((group) => `${group.group} ${VERBS[group.verdict]}`).join(', ');
  const numbers = Object.keys(VERBS).map((verdict) => [verdict, bad.filter((group) => group.verdict === verdict).length]);
  return numbers.filter(([, number]) => number > 0).map(([verdict, number]) => `${number} ${verdict}`).join(', ');
}

// [{ level: bad | warn, title, text, href }], the worst first.
export function attention(groups, status, checks) {
  const items = [];
  if (status.read_only) {
    items.push({ level: 'bad', title: 'The broker takes no records', text: status.read_only_reason, href: '#/storage' });
  }
  const troubled = groups.filter(inTrouble).sort((a, b) => severity(b.verdict) - severity(a.verdict) || (b.lag_seconds ?? 0) - (a.lag_seconds ?? 0));
  for (const group of troubled) {
    items.push({
      level: ['slow', 'rewound'].includes(group.verdict) ? 'warn' : 'bad', verdict: group.verdict, title: group.group, where: group.topics.join(', '),
      text: `${group.cause || 'no cause is known'}.`, more: behind(group), href: groupLink(group),
    });
  }
  for (const group of groups.filter((candidate) => candidate.dead > 0)) {
    items.push({
      level: 'warn', title: group.group, where: 'dead letters', text: `${counted(group.dead, 'record')} could not be processed and lie aside.`,
      more: 'See why, mend the cause, then redrive them.', href: link('dlq', [segment(group, 'group')]),
    });
  }
  for (const group of groups.filter((candidate) => candidate.parked > 0)) {
    items.push({
      level: 'warn', title: group.group, where: 'parked', text: `${counted(group.parked, 'record')} failed too often and could not be made dead letters.`,
      more: 'They wait until somebody makes them available again.', href: groupLink(group, { tab: 'pending' }),
    });
  }
  if (status.disk_total_bytes > 0 && status.disk_free_bytes < LOW_DISK * status.disk_total_bytes) {
    items.push({
      level: 'warn', title: 'The disk fills up', text: `${bytes(status.disk_free_bytes)} of ${bytes(status.disk_total_bytes)} are free (${percent(status.disk_free_bytes, status.disk_total_bytes)}).`,
      href: '#/storage',
    });
  }
  if (status.memory_limit_bytes > 0 && status.memory_used_bytes > HIGH_MEMORY * status.memory_limit_bytes) {
    items.push({ level: 'warn', title: 'Memory is nearly used up', text: `${bytes(status.memory_used_bytes)} of ${bytes(status.memory_limit_bytes)}.`, href: '#/settings' });
  }
  for (const check of checks.filter((candidate) => candidate.result === 'fail')) {
    items.push({ level: 'bad', title: `Check “${check.check}” fails`, text: `${check.value}. ${check.advice}`, href: '#/settings' });
  }
  return items;
}

// How far a group is behind and until when, in one sentence.
export function behind(group) {
  if (group.lag === null) return 'Nothing committed yet, so how far it is behind is not known.';
  if (group.lag === 0) return 'It is caught up.';
  const age = group.lag_seconds > 0 ? `, the oldest for ${duration(group.lag_seconds)}` : '';
  const until = group.verdict === 'paused' ? 'Paused.' : group.eta_seconds === null ? 'Never caught up at this pace.' : `Caught up ${eta(group)}.`;
  return `${counted(group.lag, 'record')} wait${group.lag === 1 ? 's' : ''}${age}. ${until}`;
}
