import { Lost, Problem, told } from './api.js';
import { live } from './live.js';
import { link } from './route.js';
import { emptiness, link as anchor, warning } from './ui.js';

// One page while it is shown: where it draws, its part of the address, and everything that has to end with it.
export class View {
  constructor(root, route) {
    this.root = root;
    this.page = route.page;
    this.params = route.params;
    this.query = route.query;
    this.open = true;
    this.list = null; // The table that j, k, Enter and / act on.
    this.parent = null; // Where Esc leads, a hash.
    this.#ending = new AbortController();
  }

  #ending;
  #again = new Set(); // The tasks of poll().

  get signal() {
    return this.#ending.signal;
  }

  // Changes part of the address without a new entry in the browser's history, and without drawing the page anew.
  set(changes) {
    Object.assign(this.query, changes);
    for (const [name, value] of Object.entries(this.query)) {
      if (value === undefined || value === null || value === '') delete this.query[name];
    }
    if (this.open) history.replaceState(null, '', link(this.page, this.params, this.query));
  }

  // The address of this view with some of it changed.
  href(changes) {
    return link(this.page, this.params, { ...this.query, ...changes });
  }

  on(target, name, listener) {
    target.addEventListener(name, listener, { signal: this.signal });
  }

  // Runs `task` now, then again and again: `seconds` after it has ended, longer when it takes long, at once when a lost broker is back.
  // The returned function asks for a run now.
  poll(task, seconds = 3) {
    let timer = 0;
    let running = false;
    let wanted = false;
    const run = async () => {
      clearTimeout(timer);
      if (!this.open) return;
      if (running) {
        wanted = true;
        return;
      }
      running = true;
      wanted = false;
      const began = performance.now();
      await this.attempt(task);
      running = false;
      // Ten thousand topics take a while to tell: ask for them more rarely.
      const pause = Math.max(seconds * 1000, 10 * (performance.now() - began));
      if (this.open && !document.hidden) timer = setTimeout(run, wanted ? 0 : pause);
    };
    this.#again.add(run);
    this.on(document, 'visibilitychange', () => !document.hidden && run());
    this.on(live, 'link', () => live.state === 'live' && run());
    run();
    return run;
  }

  // Everything that is polled, now: something was changed.
  refresh() {
    this.#again.forEach((run) => run());
  }

  // Runs `task`; a refusal is shown on the page, a lost broker is the business of the banner.
  async attempt(task) {
    try {
      await task(this.signal);
      this.#refused(task, null);
    } catch (problem) {
      if (!this.open || problem.name === 'AbortError' || problem instanceof Lost) return;
      if (!(problem instanceof Problem)) console.error(problem);
      this.#refused(task, problem);
    }
  }

  #shown = new Map(); // By task: what it was refused, and the box that says so.

  #refused(task, problem) {
    const text = problem === null ? null : told(problem);
    const shown = this.#shown.get(task);
    if ((shown?.text ?? null) === text) return;
    shown?.box.remove();
    this.#shown.delete(task);
    if (text === null || !this.open) return;
    const back = problem.status === 404 && this.parent ? [' ', anchor(this.parent, 'Back')] : [];
    const box = problem.status === 404 ? emptiness(text, '.', ...back) : warning(text);
    this.root.prepend(box);
    this.#shown.set(task, { text, box });
  }

  close() {
    this.open = false;
    this.#ending.abort();
  }
}
