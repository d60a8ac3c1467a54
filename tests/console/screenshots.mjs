#!/usr/bin/env node
// Pictures of a running broker's console, for people and for the front page.
//
//     node screenshots.mjs URL DIR [--group NAME] [--stay SECONDS] [WIDTHxHEIGHT-SCHEME...], such as 1920x1080-dark
//
// Needs playwright-core (npm ci beside this file) and Debian's chromium. One picture a page, width and colour scheme:
// DIR/overview-1440-light.png. The group shown is the one in most trouble, unless one is named; the topic is the largest. The overview stays
// open for SECONDS before its picture is taken, because its rates begin when it is opened.
//
// The pictures of the front page, with `tidemark demo` running for two minutes:
//
//     node screenshots.mjs URL ../../docs/pictures --group inventory --stay 60 1440x900-light

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { launchBrowser, openPage } from './harness.mjs';

const VIEWS = ['1440x900-light', '1440x900-dark', '360x740-light', '360x740-dark'];
const TROUBLE = ['ok', 'draining', 'paused', 'slow', 'rewound', 'stalled', 'stopped', 'at-risk'];

export async function takeScreenshots(browser, url, folder, views = VIEWS, { group, stay = 0 } = {}) {
  mkdirSync(folder, { recursive: true });
  const pages = await pagesOf(url, group);
  const taken = [];
  for (const view of views) {
    const [, width, height, scheme] = /^(\d+)x(\d+)-(light|dark)$/.exec(view) ?? [];
    if (!scheme) throw new Error(`“${view}” is not WIDTHxHEIGHT-light or -dark`);
    const page = await openPage(browser, url, { width: Number(width), height: Number(height), scheme });
    for (const [name, hash, ready] of pages) {
      await page.goto(`${url}/${hash}`);
      await page.locator(ready).first().waitFor();
      if (name === 'overview') await pause(stay * 1000);
      await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
      const path = join(folder, `${name}-${width}-${scheme}.png`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      await page.screenshot({ path, fullPage: width < 600 });
      taken.push({ path, name, width: Number(width), overflow, faults: [...page.faults] });
    }
    await page.context().close();
  }
  return taken;
}

// [name, address, what tells that it is drawn]
async function pagesOf(url, wanted) {
  const ask = async (path) => (await fetch(`${url}/api/v1${path}`)).json();
  const [groups, topics, letters] = await Promise.all([ask('/groups'), ask('/topics'), ask('/dlq')]);
  const pages = [
    ['overview', '#/overview', '#attention li'], ['groups', '#/groups', '.list tbody tr, .list .empty:not([hidden])'], ['topics', '#/topics', '.list tbody tr, .list .empty:not([hidden])'],
    ['dead-letters', '#/dlq', '.list tbody tr, .list .empty:not([hidden])'], ['schedule', '#/schedule', '.bars, .empty:not([hidden])'], ['replays', '#/replays', '.list tbody tr, .list .empty:not([hidden])'],
    ['clients', '#/clients', '.tile'], ['storage', '#/storage', '.list tbody tr, .list .empty:not([hidden])'], ['settings', '#/settings', '.facts'],
  ];
  const troubled = groups.sort((a, b) => TROUBLE.indexOf(b.verdict) - TROUBLE.indexOf(a.verdict));
  const group = wanted === undefined ? troubled[0] : troubled.find((candidate) => candidate.group === wanted);
  if (group) {
    const query = group.kind === 'queue' ? `kind=queue&topic=${encodeURIComponent(group.topics[0])}` : 'kind=stream';
    pages.push(['group', `#/group/${encodeURIComponent(group.group)}?${query}`, 'svg.map']);
  }
  const topic = topics.sort((a, b) => b.bytes - a.bytes)[0];
  if (topic) {
    pages.push(['topic', `#/topic/${encodeURIComponent(topic.name)}`, '.list tbody tr, .list .empty:not([hidden])']);
    pages.push(['partitions', `#/topic/${encodeURIComponent(topic.name)}?tab=partitions`, '.bars']);
  }
  if (letters.length > 0) pages.push(['letters', `#/dlq/${encodeURIComponent(letters[0].group)}`, '.list tbody tr']);
  return pages;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { group: { type: 'string' }, stay: { type: 'string', default: '0' } } });
  const [url, folder, ...views] = positionals;
  if (!url || !folder) {
    console.error('usage: screenshots.mjs URL DIR [--group NAME] [--stay SECONDS] [WIDTHxHEIGHT-SCHEME...]');
    process.exit(2);
  }
  const browser = await launchBrowser();
  try {
    const options = { group: values.group, stay: Number(values.stay) };
    for (const one of await takeScreenshots(browser, url.replace(/\/$/, ''), folder, views.length > 0 ? views : VIEWS, options)) console.log(one.path);
  } finally {
    await browser.close();
  }
}
