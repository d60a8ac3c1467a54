// A broker and a browser of our own: started, waited for, killed. Everything waits for a condition with a limit; nothing sleeps.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

export const LIMIT_MS = 60_000; // A busy machine is slow, not wrong.

const run = promisify(execFile);

export async function until(what, condition, limit = LIMIT_MS) {
  const end = Date.now() + limit;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await pause(20);
  }
}

export class Broker {
  constructor(binaries) {
    this.binaries = binaries;
    this.home = mkdtempSync(join(tmpdir(), 'tidemark-console-'));
    this.port = 0; // Taken at the first start and kept: the browser's address must stay the same.
    this.workers = [];
  }

  async start() {
    const file = join(this.home, 'ports.json');
    rmSync(file, { force: true });
    const log = openSync(join(this.home, 'log'), 'a');
    const flags = ['--data-dir', join(this.home, 'data'), '--native', '127.0.0.1:0', '--kafka', 'off', '--redis', 'off', '--http', `127.0.0.1:${this.port}`, '--ports-file', file];
    this.process = spawn(join(this.binaries, 'tidemarkd'), flags, { stdio: ['ignore', log, log] });
    closeSync(log);
    await until('the broker has started', () => {
      if (this.process.exitCode !== null) throw new Error(`tidemarkd ended with ${this.process.exitCode}:\n${this.log()}`);
      return existsSync(file);
    });
    const ports = JSON.parse(readFileSync(file, 'utf8'));
    this.port = ports.http;
    this.native = `127.0.0.1:${ports.native}`;
    this.url = `http://127.0.0.1:${ports.http}`;
  }

  log() {
    return readFileSync(join(this.home, 'log'), 'utf8');
  }

  async kill() {
    this.process.kill('SIGKILL');
    if (this.process.signalCode === null) await once(this.process, 'exit');
  }

  async close() {
    for (const worker of this.workers) {
      worker.kill('SIGKILL');
      if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit');
    }
    if (this.process && this.process.exitCode === null && this.process.signalCode === null) await this.kill();
    rmSync(this.home, { recursive: true, force: true });
  }

  async cli(...words) {
    const { stdout } = await run(join(this.binaries, 'tidemark'), ['-s', this.native, ...words.map(String)], { maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  }

  // A member of a queue group that takes `records` and rejects them for `reason`, or holds them until it is killed.
  settler(topic, group, member, records, reason) {
    const words = [this.native, topic, group, member, String(records), ...(reason === undefined ? [] : [reason])];
    const worker = spawn(join(this.binaries, 'queue_settler'), words, { stdio: ['pipe', 'ignore', 'inherit'] });
    this.workers.push(worker);
    return worker;
  }

  async rest(method, path, body) {
    const options = { method, headers: body === undefined ? {} : { 'Content-Type': 'application/json' }, body: body === undefined ? undefined : JSON.stringify(body) };
    const answer = await fetch(`${this.url}/api/v1${path}`, options);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  produce(topic, records) {
    return this.rest('POST', `/topics/${encodeURIComponent(topic)}/records`, { records });
  }
}

// Debian's chromium, with what it would do in the background switched off.
export function launchBrowser() {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

// A page of the console that reports what went wrong in it.
export async function openPage(browser, url, { width = 1440, height = 900, scheme = 'light' } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, acceptDownloads: true });
  context.setDefaultTimeout(LIMIT_MS);
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(String(error.stack)));
  page.on('console', (message) => {
    // A broker that was killed, or does not have a path, is not the page's fault; a broken content policy is.
    if (message.type() === 'error' && !/Failed to load resource|ERR_/.test(message.text())) page.faults.push(message.text());
  });
  await page.goto(url);
  // Chromium passes on no keys for a while after a page has come.
  await page.evaluate(() => addEventListener('keydown', () => (window.takesKeys = true), { capture: true, once: true }));
  await until('the page takes keys', async () => {
    await page.keyboard.press('Shift');
    return page.evaluate(() => window.takesKeys === true);
  });
  return page;
}
