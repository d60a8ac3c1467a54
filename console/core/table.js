import { count } from './format.js';
import { button, el, emptiness } from './ui.js';

const byWords = new Intl.Collator('en', { numeric: true }).compare; // Ten times faster than localeCompare.
const PAGE_ROWS = 100; // With ten thousand rows the page stays below three thousand nodes.

// A list of things with a filter, an order and pages, all three in the address.
//
// options:
//   view, key(row), empty (said when there is nothing at all)
//   columns: [{ name, title, unit, number, wide, hint, value(row), show(row), sign(row) }]: wide ones take a whole line where rows are
//     cards; show gives text or a node, by default the value; a cell is drawn again when its sign (by default the value) has changed
//   order: [column name, 'up' or 'down']
//   words(row): what the filter looks in; without it there is no filter
//   open(row): address that Enter or a click goes to; or detail(row): a node shown below the row
//   prefix: of the names in the address, when a page has two tables
//   tools: nodes beside the filter
export class Table {
  constructor(options) {
    this.options = options;
    this.prefix = options.prefix ?? '';
    this.rows = [];
    this.lines = new Map(); // By key: { line, cells, signs, extra }.
    this.opened = new Set();
    this.chosen = null; // Key of the row j and k stand on.
    this.#build();
  }

  #query(name) {
    return this.options.view.query[this.prefix + name];
  }

  #set(changes) {
    this.options.view.set(Object.fromEntries(Object.entries(changes).map(([name, value]) => [this.prefix + name, value])));
    this.draw();
  }

  #build() {
    const { columns, words, tools, view } = this.options;
    this.filter = el('input', {
      type: 'search', class: 'filter', placeholder: 'Filter', 'aria-label': 'Filter the list', value: this.#query('filter') ?? '',
      on: {
        input: () => this.#set({ filter: this.filter.value, at: '' }),
        keydown: (event) => {
          if (event.key === 'Escape' && this.filter.value !== '') {
            event.stopPropagation();
            this.filter.value = '';
            this.#set({ filter: '' });
          } else if (event.key === 'Escape' || event.key === 'Enter' || event.key === 'ArrowDown') {
            event.preventDefault();
            event.stopPropagation();
            this.move(event.key === 'Escape' ? 0 : 1);
          }
        },
      },
    });
    this.amount = el('span', { class: 'muted amount' });
    this.body = el('tbody');
    this.headings = columns.map((column) => {
      const unit = column.unit ? el('span', { class: 'unit' }, column.unit) : null;
      const order = button([el('span', { class: 'order' }, column.title), unit], () => this.#order(column), { class: 'heading', title: column.hint });
      return el('th', { scope: 'col', class: column.number ? 'number' : null }, column.title === '' ? '' : order);
    });
    this.pages = el('div', { class: 'pages' });
    this.empty = emptiness(this.options.empty ?? 'Nothing.');
    this.box = el('div', { class: 'scroll' }, el('table', {}, el('thead', {}, el('tr', {}, this.headings)), this.body));
    const bar = words || tools ? el('div', { class: 'bar' }, words ? this.filter : null, this.amount, el('div', { class: 'aside' }, tools)) : null;
    this.element = el('div', { class: 'list' }, bar, this.box, this.pages, this.empty);
    view.list ??= this;
  }

  #order(column) {
    const [name, direction] = this.#sorting();
    const down = name === column.name ? direction !== 'down' : Boolean(column.number);
    this.#set({ sort: `${down ? '-' : ''}${column.name}`, at: '' });
  }

  #sorting() {
    const text = this.#query('sort');
    if (!text) return this.options.order ?? [null, 'up'];
    return text.startsWith('-') ? [text.slice(1), 'down'] : [text, 'up'];
  }

  update(rows) {
    this.rows = rows;
    this.draw();
  }

  #visible() {
    const { columns, words } = this.options;
    const filter = (this.#query('filter') ?? '').toLowerCase();
    const rows = filter && words ? this.rows.filter((row) => words(row).toLowerCase().includes(filter)) : [...this.rows];
    const [name, direction] = this.#sorting();
    const column = columns.find((candidate) => candidate.name === name);
    if (column) {
      const sign = direction === 'down' ? -1 : 1;
      const ordinal = column.order ?? column.value;
      rows.sort((a, b) => compare(ordinal(a), ordinal(b), sign));
    }
    return rows;
  }

  draw() {
    const { columns, key } = this.options;
    const rows = this.#visible();
    const pages = Math.max(1, Math.ceil(rows.length / PAGE_ROWS));
    const page = Math.min(Math.max(1, Number(this.#query('at')) || 1), pages);
    const shown = rows.slice((page - 1) * PAGE_ROWS, page * PAGE_ROWS);
    const [name, direction] = this.#sorting();
    this.headings.forEach((heading, i) => {
      heading.setAttribute('aria-sort', columns[i].name !== name ? 'none' : direction === 'down' ? 'descending' : 'ascending');
    });
    const kept = new Map();
    const lines = [];
    for (const row of shown) {
      const entry = this.#line(key(row), row);
      kept.set(key(row), entry);
      lines.push(entry.line);
      if (entry.extra) lines.push(entry.extra);
    }
    this.lines = kept;
    sync(this.body, lines);
    this.shown = shown.map(key);
    this.empty.hidden = this.rows.length > 0;
    this.box.hidden = this.rows.length === 0;
    this.amount.textContent = rows.length === this.rows.length ? count(rows.length) : `${count(rows.length)} of ${count(this.rows.length)}`;
    this.#drawPages(page, pages);
  }

  #drawPages(page, pages) {
    const turn = (text, to) => button(text, () => this.#set({ at: to > 1 ? to : '' }), { disabled: to < 1 || to > pages, class: 'quiet' });
    this.pages.hidden = pages === 1;
    if (this.pages.dataset.now === `${page}/${pages}`) return;
    this.pages.dataset.now = `${page}/${pages}`;
    this.pages.replaceChildren(turn('← Previous', page - 1), el('span', {}, `page ${page} of ${pages}`), turn('Next →', page + 1));
    this.turn = (by) => page + by >= 1 && page + by <= pages && this.#set({ at: page + by > 1 ? page + by : '' });
  }

  #line(key, row) {
    const { columns, open, detail } = this.options;
    const entry = this.lines.get(key) ?? this.#newLine(key);
    entry.row = row;
    columns.forEach((column, i) => {
      const value = column.value(row);
      const sign = column.sign ? column.sign(row) : value;
      if (entry.signs[i] === sign && entry.signs.length > i) return;
      entry.signs[i] = sign;
      const content = column.show ? column.show(row) : value;
      entry.cells[i].replaceChildren(content === null || content === undefined ? '–' : content);
    });
    if (open || detail) entry.line.classList.add('goes');
    if (detail && this.opened.has(key)) this.#showDetail(key, entry);
    return entry;
  }

  #newLine(key) {
    const { columns } = this.options;
    const cells = columns.map((column) => el('td', { class: [column.number && 'number', column.wide && 'wide'].filter(Boolean).join(' ') || null, 'data-label': column.unit ? `${column.title}, ${column.unit}` : column.title }));
    const line = el('tr', { tabindex: '-1' }, cells);
    line.addEventListener('click', (event) => {
      const busy = event.target.closest('a, button, input, select') || String(getSelection()) !== '';
      this.choose(key, false);
      if (!busy) this.activate();
    });
    line.addEventListener('focus', () => this.choose(key, false));
    return { line, cells, signs: [], extra: null, row: null };
  }

  #showDetail(key, entry) {
    if (entry.extra) return;
    const content = this.options.detail(entry.row);
    entry.extra = el('tr', { class: 'detail' }, el('td', { colspan: this.options.columns.length }, content));
    entry.line.setAttribute('aria-expanded', 'true');
  }

  // The keyboard: choose a row, go up and down, open the chosen one.
  choose(key, focus = true) {
    this.lines.get(this.chosen)?.line.classList.remove('chosen');
    this.chosen = key;
    const entry = this.lines.get(key);
    entry?.line.classList.add('chosen');
    if (focus) entry?.line.focus();
  }

  move(by) {
    if (!this.shown || this.shown.length === 0) return;
    const at = this.shown.indexOf(this.chosen);
    const next = at < 0 ? 0 : Math.min(Math.max(0, at + by), this.shown.length - 1);
    this.choose(this.shown[next]);
  }

  activate() {
    const entry = this.lines.get(this.chosen);
    if (!entry) return;
    if (this.options.open) location.hash = this.options.open(entry.row);
    else if (this.options.detail) this.toggle(this.chosen);
  }

  toggle(key) {
    const entry = this.lines.get(key);
    if (this.opened.delete(key)) {
      entry.extra?.remove();
      entry.extra = null;
      entry.line.setAttribute('aria-expanded', 'false');
    } else {
      this.opened.add(key);
    }
    this.draw();
  }
}

// What is not known stands below everything else, in either direction.
function compare(a, b, sign) {
  const none = (value) => value === null || value === undefined;
  if (none(a) || none(b)) return none(a) - none(b);
  if (typeof a === 'string') return sign * byWords(a, b);
  return sign * (a - b);
}

// Makes `wanted` the children of `parent`, moving as few as possible: a moved row would lose its focus.
function sync(parent, wanted) {
  const keep = new Set(wanted);
  [...parent.children].forEach((child) => keep.has(child) || child.remove());
  let next = parent.firstChild;
  for (const child of wanted) {
    if (child === next) next = next.nextSibling;
    else parent.insertBefore(child, next);
  }
}
