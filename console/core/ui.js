// Pieces of pages. Text from elsewhere - names, keys, values, headers - becomes a text node and nothing else, whatever it contains.

// el('a', { href, class, title, on: { click } }, ...children): children are nodes, strings, or lists of both; null is left out.
export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'on') Object.entries(value).forEach(([event, listener]) => element.addEventListener(event, listener));
    else if (name === 'value' || name === 'checked' || name === 'disabled') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const link = (href, text, properties = {}) => el('a', { href, ...properties }, text);

export const button = (text, click, properties = {}) => el('button', { type: 'button', on: { click }, ...properties }, text);

export const muted = (...children) => el('span', { class: 'muted' }, ...children);

// A box with a heading. `aside` stands at its right: links, buttons.
export function card(title, aside, ...children) {
  const head = title === null ? null : el('header', {}, el('h2', {}, title), el('div', { class: 'aside' }, aside));
  return el('section', { class: 'card' }, head, ...children);
}

// One figure with its name below it. Its value can be set again.
export function tile(name, { hint = '', href = null } = {}) {
  const value = el('div', { class: 'figure' }, '–');
  const note = el('div', { class: 'note' });
  const element = el(href ? 'a' : 'div', { class: 'tile', title: hint, href }, el('div', { class: 'name' }, name), value, note);
  const set = (text, noteText = '', tone = '') => {
    value.textContent = text;
    note.textContent = noteText;
    element.dataset.tone = tone;
  };
  return { element, set };
}

const VERDICTS = {
  ok: ['good', '●'],
  draining: ['calm', '◐'],
  paused: ['off', '‖'],
  slow: ['warn', '▲'],
  rewound: ['warn', '↺'],
  stalled: ['bad', '■'],
  stopped: ['bad', '✕'],
  'at-risk': ['bad', '!'],
};

export const tone = (verdict) => (VERDICTS[verdict] ?? ['off'])[0];
// The worst last: for sorting.
export const severity = (verdict) => Object.keys(VERDICTS).indexOf(verdict);

// A verdict by colour, sign and word: none of them is needed to read the others.
export function chip(verdict, cause = '') {
  const [colour, sign] = VERDICTS[verdict] ?? ['off', '?'];
  return el('span', { class: 'chip', 'data-tone': colour, title: cause }, el('span', { 'aria-hidden': 'true' }, sign), ` ${verdict}`);
}

export const tag = (text, colour = 'off', title = '') => el('span', { class: 'chip', 'data-tone': colour, title }, text);

// The course of a number as a small line, oldest first.
export function sparkline(values, label) {
  const width = 96;
  const height = 22;
  if (values.length < 2) return muted('–');
  const top = Math.max(...values, 1e-9);
  const points = values.map((value, i) => `${((i * width) / (values.length - 1)).toFixed(1)},${(height - 2 - (value / top) * (height - 4)).toFixed(1)}`);
  const line = svg('polyline', { points: points.join(' '), class: 'line' });
  const area = svg('polygon', { points: `0,${height} ${points.join(' ')} ${width},${height}`, class: 'area' });
  return svg('svg', { class: 'spark', viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': label }, area, line);
}

// What is said instead of an empty page.
export const emptiness = (...children) => el('p', { class: 'empty' }, ...children);

export const warning = (...children) => el('p', { class: 'warning', role: 'alert' }, ...children);

// A list of names with what belongs to them.
export function facts(pairs) {
  return el('dl', { class: 'facts' }, pairs.filter(Boolean).map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
}

// Tabs as links: which one is open stands in the address.
export function tabs(entries, open, hrefOf) {
  return el('nav', { class: 'tabs', 'aria-label': 'Parts of this page' }, entries.map(([name, title]) =>
    link(hrefOf(name), title, { 'aria-current': name === open ? 'page' : null, 'data-tab': name })));
}

export function toast(text, colour = 'good') {
  const note = el('div', { class: 'toast', 'data-tone': colour }, text);
  document.getElementById('toasts').append(note);
  setTimeout(() => note.remove(), 8000);
}
