import { get, segment } from '../core/api.js';
import { behind, inTrouble } from '../core/attention.js';
import { clock, count, duration, rate, short, utc } from '../core/format.js';
import { decoded, link as address } from '../core/route.js';
import { card, chip, el, facts, link, tabs, tile, tone } from '../core/ui.js';
import { actions, alter, pathOf } from './group_actions.js';
import { membersTable, pendingPanel, seeksPanel } from './group_parts.js';
import { lagCharts } from './group_charts.js';
import { offsetMap } from './offset_map.js';

// One group: how far it is behind, why, and until when; who works on it; what is stuck.

// Another part of the page: filter and order belong to the lists of this one.
const partLink = (view, tab) => address('group', view.params, { kind: view.query.kind, topic: view.query.topic, range: view.query.range, tab });

const nameOf = (topic) => link(`#/topic/${encodeURIComponent(topic)}`, topic);

export function show(view) {
  view.parent = '#/groups';
  // A name that is no UTF-8 stays percent-encoded throughout.
  const asked = { path: (verb = '') => `/groups/${view.params[0]}${verb}`, kind: view.query.kind, topic: view.query.topic };
  const ask = (verb, signal, more = '') => {
    const choice = [asked.kind ? `kind=${asked.kind}` : '', asked.topic ? `topic=${encodeURIComponent(asked.topic)}` : '', more].filter(Boolean).join('&');
    return get(`${asked.path(verb)}${choice ? `?${choice}` : ''}`, signal);
  };
  const head = el('div', { class: 'head' });
  const buttons = el('div', { class: 'aside' });
  const sentence = el('p', { class: 'sentence', id: 'sentence' });
  const bar = el('div');
  const part = el('div');
  document.title = `${decoded(view.params[0])} – Tidemark`;
  view.root.append(el('div', { class: 'title' }, head, buttons), sentence, bar, part);

  let shownKind = null;
  let panel = null;
  view.poll(async (signal) => {
    const group = await ask('', signal);
    drawHead(head, buttons, sentence, view, group);
    if (shownKind !== group.kind) {
      shownKind = group.kind;
      const open = view.query.tab ?? 'lag';
      bar.replaceChildren(tabs(partsOf(group.kind), open, (tab) => partLink(view, tab === 'lag' ? '' : tab)));
      panel = PANELS[open]?.(view, group, ask) ?? PANELS.lag(view, group, ask);
      part.replaceChildren(panel.element);
    }
    await panel.update(group, signal);
  }, 2);
}

const partsOf = (kind) => [
  ['lag', 'Lag'], ['members', 'Members'], ...(kind === 'queue' ? [['pending', 'Pending']] : [['history', 'Moves']]), ['settings', 'Settings'],
];

const PANELS = { lag: lagPanel, members: membersPanel, pending: pendingPanel, history: seeksPanel, settings: settingsPanel };

function drawHead(head, buttons, sentence, view, group) {
  const sign = JSON.stringify([group.verdict, group.cause, group.state, group.settings, group.members]);
  // The cause is that of the worst partition; where nothing is wrong its figures would only disagree with those of the group.
  sentence.textContent = `${group.cause && inTrouble(group) ? `${group.cause}. ` : ''}${behind(group)}`;
  sentence.dataset.tone = tone(group.verdict);
  if (head.dataset.now === sign) return;
  head.dataset.now = sign;
  head.replaceChildren(el('h1', {}, group.group), chip(group.verdict, group.cause),
    el('span', { class: 'muted' }, `${group.kind}${group.protocol ? ` · ${group.protocol}` : ''} on `, group.topics.flatMap((topic, i) => [i > 0 ? ', ' : '', nameOf(topic)])));
  buttons.replaceChildren(...actions(view, group).filter(Boolean));
}

function lagPanel(view, first, ask) {
  const tiles = {
    lag: tile('Lag', { hint: 'Records not finished' }),
    time: tile('Lag time', { hint: 'Age of the oldest record that is not finished' }),
    eta: tile('Caught up', { hint: 'An estimate: lag over out rate less in rate' }),
    in: tile('In', { hint: 'Records a second that come in, one minute average' }),
    out: tile('Out', { hint: 'Records a second that are finished, one minute average' }),
    headroom: tile('Headroom', { hint: 'Until retention removes the oldest record that is not finished' }),
    ...(first.kind === 'queue' ? {
      hands: tile('In flight', { hint: 'Handed out and not acknowledged', href: partLink(view, 'pending') }),
      retrying: tile('Retrying', { hint: 'Failed and waiting for the next try', href: partLink(view, 'pending') }),
      dead: tile('Dead letters', { href: address('dlq', [segment(first, 'group')]) }),
    } : { members: tile('Members', { href: partLink(view, 'members') }) }),
  };
  const charts = lagCharts(view, first, ask);
  const map = offsetMap(view);
  const element = el('div', { class: 'stack' },
    el('div', { class: 'tiles' }, Object.values(tiles).map((one) => one.element)),
    charts.element,
    card('Offsets, partition by partition', null, map.element));
  const update = async (group, signal) => {
    drawTiles(tiles, group);
    const [rows] = await Promise.all([ask('/lag', signal), charts.update(group, signal)]);
    map.update(group, rows);
  };
  return { element, update };
}

function drawTiles(tiles, group) {
  const late = group.lag_seconds !== null && group.lag_seconds > group.objective_seconds;
  const split = group.kind === 'queue' ? (group.waiting === group.lag ? '' : `${short(group.waiting)} waiting`) : group.skew === null ? '' : `skew ${group.skew.toFixed(1)}×`;
  tiles.lag.set(group.lag === null ? 'unknown' : short(group.lag), group.lag === null ? 'nothing committed yet' : `records${split ? `, ${split}` : ''}`);
  tiles.time.set(duration(group.lag_seconds), `objective ${duration(group.objective_seconds)}`, late ? 'bad' : '');
  const until = group.eta_seconds > 0 ? `from now, at ${clock(Date.now() + group.eta_seconds * 1000)}` : 'an estimate';
  if (group.lag > 0 && group.eta_seconds !== null) tiles.eta.set(duration(group.eta_seconds), until);
  else if (group.lag > 0 && group.verdict !== 'paused') tiles.eta.set('never', 'at this pace', 'warn');
  else tiles.eta.set(group.lag === null ? '–' : group.lag === 0 ? 'now' : 'paused', group.lag === 0 ? 'nothing waits' : '');
  tiles.in.set(rate(group.in_rate), 'records');
  tiles.out.set(rate(group.out_rate), 'records');
  tiles.headroom.set(group.headroom_seconds === null ? 'no limit' : duration(group.headroom_seconds), 'until retention', group.headroom_seconds !== null && group.headroom_seconds < 3600 ? 'bad' : '');
  tiles.hands?.set(short(group.in_flight), 'records');
  tiles.retrying?.set(short(group.retrying + (group.delayed ?? 0)), group.delayed > 0 ? `records, ${short(group.delayed)} delayed` : 'records', group.retrying > 0 ? 'warn' : '');
  tiles.dead?.set(short(group.dead), 'records', group.dead > 0 ? 'warn' : '');
  tiles.members?.set(count(group.members), group.state);
}

function membersPanel(view) {
  const table = membersTable(view);
  return { element: table.element, update: async (group) => table.show(group) };
}

function settingsPanel(view) {
  const box = el('div');
  const update = async (group) => {
    const sign = JSON.stringify(group.settings);
    if (box.dataset.now === sign) return;
    box.dataset.now = sign;
    const own = Object.entries(group.settings);
    box.replaceChildren(card('Settings', el('button', { type: 'button', class: 'primary', on: { click: () => alter(view, group) } }, 'Change …'),
      own.length === 0 ? el('p', { class: 'muted' }, 'Everything is at its default.') : facts(own.map(([key, value]) => [el('code', {}, key), value])),
      facts([
        ['objective of the lag time', duration(group.objective_seconds)],
        ['first position', group.start],
        ['made', el('span', { title: utc(group.created_ms) }, clock(group.created_ms))],
        group.kind === 'queue' ? ['finished so far', `${count(group.done)} records; ${count(group.redelivered)} handed out again, ${count(group.timed_out)} timed out, ${count(group.gone)} gone by retention, ${count(group.filtered)} filtered out`]
          : ['skipped by retention', `${count(group.skipped_records)} records`],
      ])));
  };
  return { element: box, update };
}
