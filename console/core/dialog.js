import { told } from './api.js';
import { button, el, toast, warning } from './ui.js';

// Everything that changes something is asked for here: first what it would do, then the deed.
//
// options:
//   title, intro (text or nodes), verb (on the button), danger
//   fields: [{ name, label, kind, value, options, hint, placeholder, required }], kind: text (default) | number | area | select | check | time
//   plan(values): what would happen, as text or a node; asked for before the deed can be confirmed, again when a field changes. Without
//     fields it is asked for at once. A plan that throws keeps the deed locked.
//   typed: a word to type before the deed
//   act(values): does it; its text is shown afterwards
// Returns a promise: whether it was done.
export function actionDialog(options) {
  const { fields = [], plan, act, verb, title } = options;
  return new Promise((resolve) => {
    const inputs = new Map(fields.map((field) => [field.name, inputOf(field)]));
    const values = () => Object.fromEntries(fields.map((field) => [field.name, valueOf(field, inputs.get(field.name))]));
    const outcome = el('div', { class: 'outcome', 'aria-live': 'polite' });
    const typed = options.typed ? el('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', class: 'typed' }) : null;
    let planned = !plan;
    let busy = false;
    let done = false;

    const confirm = button(verb, () => perform(), { class: options.danger ? 'danger' : 'primary' });
    const show = el('button', { type: 'submit', class: 'quiet' }, 'Show plan');
    const unlock = () => {
      confirm.disabled = busy || !planned || (typed !== null && typed.value !== options.typed);
      show.disabled = busy;
    };
    const attempt = async (task) => {
      busy = true;
      unlock();
      try {
        await task();
      } catch (problem) {
        planned = planned && !plan;
        outcome.replaceChildren(warning(told(problem)));
      }
      busy = false;
      unlock();
    };
    const makePlan = () => attempt(async () => {
      planned = false;
      outcome.replaceChildren(el('p', { class: 'muted' }, 'Asking the broker …'));
      const content = await plan(values());
      outcome.replaceChildren(content instanceof Node ? content : el('p', {}, content));
      planned = true;
    }).then(() => planned && (typed ?? confirm).focus());
    const perform = () => attempt(async () => {
      const text = await act(values());
      done = true;
      dialog.close();
      if (text) toast(text);
    });
    const changed = () => {
      if (!plan) return;
      planned = false;
      outcome.replaceChildren();
      unlock();
    };

    const form = el('form', {
      class: 'dialog', method: 'dialog',
      on: {
        submit: (event) => {
          event.preventDefault();
          if (busy) return;
          if (plan && !planned) makePlan();
          else if (!confirm.disabled) perform();
        },
        input: (event) => (event.target === typed ? unlock() : changed()),
      },
    },
    el('h2', {}, title),
    options.intro ? el('div', { class: 'intro' }, options.intro) : null,
    fields.map((field) => labelled(field, inputs.get(field.name))),
    outcome,
    typed ? el('label', { class: 'field' }, el('span', {}, 'Type ', el('code', {}, options.typed), ' to confirm'), typed) : null,
    el('div', { class: 'buttons' }, button('Cancel', () => dialog.close(), { class: 'quiet' }), plan && fields.length > 0 ? show : null, confirm));

    const dialog = openDialog(form, () => resolve(done));
    unlock();
    if (plan && fields.length === 0) makePlan();
  });
}

// A modal window around `content`; Esc closes it.
export function openDialog(content, closed = () => {}) {
  const dialog = el('dialog', { 'aria-label': content.querySelector('h2').textContent }, content);
  dialog.addEventListener('close', () => {
    dialog.remove();
    closed();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function inputOf(field) {
  const common = { name: field.name, placeholder: field.placeholder, required: field.required, autocomplete: 'off', spellcheck: 'false' };
  if (field.kind === 'area') return el('textarea', { ...common, rows: field.rows ?? 4, value: field.value ?? '' });
  if (field.kind === 'select') {
    const choices = field.options.map(([value, text]) => el('option', { value, selected: value === field.value }, text));
    return el('select', common, choices);
  }
  if (field.kind === 'check') return el('input', { ...common, type: 'checkbox', checked: Boolean(field.value) });
  if (field.kind === 'number') return el('input', { ...common, type: 'number', min: field.min, max: field.max, step: 'any', value: field.value ?? '' });
  if (field.kind === 'time') return el('input', { ...common, type: 'datetime-local', step: '1', value: field.value ?? '' });
  return el('input', { ...common, type: 'text', list: field.options ? choicesId(field) : null, value: field.value ?? '' });
}

const choicesId = (field) => `choices-${field.name}`;

function valueOf(field, input) {
  if (field.kind === 'check') return input.checked;
  if (field.kind === 'number') return input.value === '' ? undefined : Number(input.value);
  return input.value;
}

function labelled(field, input) {
  const hint = field.hint ? el('small', { class: 'muted' }, field.hint) : null;
  if (field.kind === 'check') return el('label', { class: 'field check' }, input, el('span', {}, field.label, hint));
  const suggests = field.options && field.kind === undefined;
  const choices = suggests ? el('datalist', { id: choicesId(field) }, field.options.map(([value, text]) => el('option', { value }, text))) : null;
  return el('label', { class: 'field' }, el('span', {}, field.label), input, choices, hint);
}
