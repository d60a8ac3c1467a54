import { duration, bytes, percent } from './core/format.js';
import { listenForKeys, showHelp } from './core/keys.js';
import { live } from './core/live.js';
import { parse } from './core/route.js';
import { el, emptiness, severity } from './core/ui.js';
import { View } from './core/view.js';
import * as clients from './pages/clients.js';
import * as group from './pages/group.js';
import * as groups from './pages/groups.js';
import * as letters from './pages/letters.js';
import * as overview from './pages/overview.js';
import * as replays from './pages/replays.js';
import * as schedule from './pages/schedule.js';
import * as settings from './pages/settings.js';
import * as storage from './pages/storage.js';
import * as topic from './pages/topic.js';
import * as topics from './pages/topics.js';

// The frame of all pages: which one is shown, the way to the others, whether the broker answers. A page is a module with show(view).

const PAGES = [
  { name: 'overview', key: 'o', title: 'Overview', module: overview },
  { name: 'groups', key: 'g', title: 'Groups', module: groups },
  { name: 'topics', key: 't', title: 'Topics', module: topics },
  { name: 'dlq', key: 'd', title: 'Dead letters', module: letters },
  { name: 'schedule', key: 's', title: 'Schedule', module: schedule },
  { name: 'replays', key: 'r', title: 'Replays', module: replays },
  { name: 'clients', key: 'c', title: 'Clients', module: clients },
  { name: 'storage', key: 'b', title: 'Storage', module: storage },
  { name: 'settings', key: 'e', title: 'Settings', module: settings },
];
// One of many: reached from the lists.
const PARTS = [
  { name: 'group', within: 'groups', module: group },
  { name: 'topic', within: 'topics', module: topic },
];

const at = (id) => document.getElementById(id);
let view = null;

function show() {
  const route = parse(location.hash);
  const page = [...PAGES, ...PARTS].find((candidate) => candidate.name === route.page);
  view?.close();
  at('main').replaceChildren();
  view = new View(at('main'), route);
  const within = page?.within ?? page?.name;
  for (const entry of at('nav').children) {
    const here = entry.dataset.page === within;
    if (here) {
      entry.setAttribute('aria-current', 'page');
      entry.scrollIntoView({ block: 'nearest', inline: 'center' });
    } else {
      entry.removeAttribute('aria-current');
    }
  }
  if (!page) {
    at('main').append(emptiness('There is no such page. ', el('a', { href: '#/overview' }, 'Overview')));
    return;
  }
  document.title = `${page.title ?? page.within} – Tidemark`;
  page.module.show(view);
  scrollTo(0, 0);
}

function drawLink() {
  const lost = live.state === 'lost';
  const box = at('lost');
  box.hidden = !lost && live.state !== 'starting';
  const since = duration(Math.round((Date.now() - live.since) / 1000));
  box.textContent = lost
    ? `The broker does not answer, for ${since} now. What is shown is from before. Trying again by itself.`
    : 'The broker is starting or stopping. The page goes on by itself.';
  document.documentElement.dataset.link = live.state;
  at('link').textContent = { live: 'live', lost: 'no connection', connecting: 'connecting …', starting: 'starting …' }[live.state];
}

function drawFoot() {
  const status = live.status;
  at('foot').textContent = `Tidemark ${status.version} · ${status.data_dir} · up ${duration(status.uptime_seconds)} · flush ` +
    `${status.flush_ms_p50.toFixed(2)} ms (p50), ${status.flush_ms_p99.toFixed(2)} ms (p99) · ` +
    `${bytes(status.disk_free_bytes)} free (${percent(status.disk_free_bytes, status.disk_total_bytes)})`;
}

// How many groups need somebody, beside the word Groups: seen from every page.
function drawBadge() {
  const bad = live.lag.filter((group) => severity(group.verdict) >= severity('slow')).length;
  const badge = at('nav').querySelector('[data-page=groups] .badge');
  badge.textContent = bad === 0 ? '' : String(bad);
  badge.hidden = bad === 0;
}

at('nav').append(...PAGES.map((page) => el('a', { href: `#/${page.name}`, 'data-page': page.name, title: `g ${page.key}` }, page.title,
  page.name === 'groups' ? el('span', { class: 'badge', hidden: true }) : null)));
at('help').addEventListener('click', () => showHelp(PAGES));
at('skip').addEventListener('click', (event) => {
  event.preventDefault(); // The address is the view: it must not become #main.
  at('main').focus();
});
live.addEventListener('link', drawLink);
live.addEventListener('status', drawFoot);
live.addEventListener('lag', drawBadge);
setInterval(() => live.state === 'lost' && drawLink(), 1000);
addEventListener('hashchange', show);
listenForKeys(PAGES, () => view);
live.start();
drawLink();
show();
