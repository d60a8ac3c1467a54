import { openDialog } from './dialog.js';
import { button, el } from './ui.js';

// The keyboard. Keys do nothing while somebody types or a dialog is open (it has its own Esc and Enter), nor with Ctrl, Alt or Meta.

const HELP = [
  ['?', 'this help'],
  ['/', 'filter the list'],
  ['j k', 'down and up in the list, as do the arrows'],
  ['Enter', 'open what is chosen'],
  ['Esc', 'leave the filter; else go up one page'],
  ['[ ]', 'previous and next part of a long list'],
];

const PAIR_MS = 1500; // How long the letter after g may take.

export function listenForKeys(pages, currentView) {
  let leader = 0;
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector('dialog[open]')) return;
    const typing = event.target.closest('input, textarea, select');
    if (typing) {
      if (event.key === 'Escape') typing.blur();
      return;
    }
    const view = currentView();
    const afterG = performance.now() - leader < PAIR_MS;
    leader = 0;
    if (afterG) {
      const page = pages.find((candidate) => candidate.key === event.key);
      if (page) {
        event.preventDefault();
        location.hash = `#/${page.name}`;
      }
      return;
    }
    const act = action(event, view, pages);
    if (event.key === 'g') leader = performance.now();
    else if (act) {
      event.preventDefault();
      act();
    }
  });
}

function action(event, view, pages) {
  const list = view?.list;
  switch (event.key) {
    case '?':
      return () => showHelp(pages);
    case '/':
      return list && (() => list.filter.isConnected && list.filter.focus());
    case 'j':
    case 'ArrowDown':
      return list && (event.key === 'j' || event.target.closest('tr')) && (() => list.move(1));
    case 'k':
    case 'ArrowUp':
      return list && (event.key === 'k' || event.target.closest('tr')) && (() => list.move(-1));
    case 'Enter':
      return list && event.target.closest('tr') && !event.target.closest('a, button') && (() => list.activate());
    case '[':
      return list && (() => list.turn?.(-1));
    case ']':
      return list && (() => list.turn?.(1));
    case 'Escape':
      return view?.parent && (() => (location.hash = view.parent));
    default:
      return null;
  }
}

export function showHelp(pages) {
  const row = (keys, text) => el('tr', {}, el('td', {}, keys.split(' ').map((key) => el('kbd', {}, key))), el('td', {}, text));
  const dialog = openDialog(el('div', { class: 'dialog' },
    el('h2', {}, 'Keys'),
    el('table', { class: 'keys' }, HELP.map(([keys, text]) => row(keys, text)), pages.map((page) => row(`g ${page.key}`, page.title))),
    el('div', { class: 'buttons' }, button('Close', () => dialog.close(), { class: 'primary' }))));
}
