import { get } from './api.js';

// What the broker tells by itself (server-sent events of /api/v1/events), and whether it can be reached at all.
//
// Events dispatched: 'link' (state changed), 'status', 'lag'. Values of the last ones stay readable here.
// A stream takes one of the few connections a browser opens to one host, so a tab that nobody sees gives its stream back.

const SILENCE_MS = 10_000; // The status changes every two seconds: a stream silent for longer is dead.
const TRAIL_MAX = 360;

class Live extends EventTarget {
  state = 'connecting'; // connecting | live | lost | starting
  since = Date.now();
  status = null;
  lag = [];
  trails = new Map(); // By group: its lag times, oldest first, since this page is open.

  #source = null;
  #silence = 0;
  #retry = 0;

  start() {
    document.addEventListener('visibilitychange', () => (document.hidden ? this.#close() : this.#open()));
    this.#open();
  }

  #close() {
    clearTimeout(this.#silence);
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #open() {
    this.#close();
    const source = new EventSource('/api/v1/events');
    this.#source = source;
    source.addEventListener('status', (event) => this.#heard('status', event));
    source.addEventListener('lag', (event) => this.#heard('lag', event));
    source.addEventListener('unavailable', () => {
      this.#listen();
      this.#turn('starting');
    });
    source.onerror = () => this.#broken();
    this.#listen();
  }

  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#broken(), SILENCE_MS);
  }

  #heard(name, event) {
    this.#listen();
    this[name] = JSON.parse(event.data);
    if (name === 'lag') this.#remember();
    this.#turn('live');
    this.dispatchEvent(new Event(name));
  }

  // The stream ended, or none was to be had: there may be too many of them. The broker is lost only if a plain question fails, too.
  async #broken() {
    this.#close();
    try {
      this.status = await get('/status');
      this.#turn('live');
      this.dispatchEvent(new Event('status'));
    } catch {
      this.#turn('lost');
    }
    if (!document.hidden) this.#retry = setTimeout(() => this.#open(), 1500);
  }

  #turn(state) {
    if (state === this.state) return;
    this.state = state;
    this.since = Date.now();
    this.dispatchEvent(new Event('link'));
  }

  #remember() {
    const now = Date.now();
    for (const group of this.lag) {
      const key = groupKey(group);
      const trail = this.trails.get(key) ?? [];
      trail.push({ time: now, value: group.lag_seconds ?? 0 });
      if (trail.length > TRAIL_MAX) trail.shift();
      this.trails.set(key, trail);
    }
  }

  // What the broker remembers from before this page was opened; `points` as of /lag/history.
  seed(group, points) {
    const key = groupKey(group);
    const trail = this.trails.get(key) ?? [];
    const first = trail[0]?.time ?? Infinity;
    const older = points.filter((point) => point.time_ms < first).map((point) => ({ time: point.time_ms, value: point.lag_seconds }));
    this.trails.set(key, [...older, ...trail].slice(-TRAIL_MAX));
  }

  trail(group) {
    return (this.trails.get(groupKey(group)) ?? []).map((point) => point.value);
  }
}

// One text for a group: kinds have namespaces of their own, and queue groups are named with their topic.
export const groupKey = (group) => `${group.kind}\n${group.kind === 'queue' ? group.topic ?? group.topics?.[0] : ''}\n${group.group}`;

export const live = new Live();
