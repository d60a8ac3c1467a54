import { bytesOf } from './api.js';
import { bytes, counted } from './format.js';
import { button, el, toast } from './ui.js';

// Keys, values and headers are any bytes. Here they become something to look at, and always as text.

const PREVIEW_MAX = 240;
const HEX_MAX = 64 * 1024;

// One line: what a list shows of a key or a value. undefined is no field, null a field without bytes.
export function preview(record, field) {
  const coded = record[`${field}_base64`];
  if (coded !== undefined) return el('span', { class: 'muted' }, `${counted(bytesOf(coded).length, 'byte')}, no text`);
  const text = record[field];
  if (text === null || text === undefined) return el('span', { class: 'muted' }, field === 'key' ? 'no key' : 'no value');
  return el('span', { class: 'text' }, text === '' ? '(empty)' : text.length > PREVIEW_MAX ? `${text.slice(0, PREVIEW_MAX)} …` : text);
}

export function sizeOf(record, field) {
  const coded = record[`${field}_base64`];
  if (coded !== undefined) return bytesOf(coded).length;
  return new TextEncoder().encode(record[field] ?? '').length;
}

function hex(data) {
  const lines = [];
  for (let at = 0; at < Math.min(data.length, HEX_MAX); at += 16) {
    const line = [...data.slice(at, at + 16)];
    const digits = line.map((byte) => byte.toString(16).padStart(2, '0')).join(' ').padEnd(47);
    lines.push(`${at.toString(16).padStart(6, '0')}  ${digits}  ${line.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.')).join('')}`);
  }
  if (data.length > HEX_MAX) lines.push(`… ${bytes(data.length - HEX_MAX)} more`);
  return lines.join('\n');
}

function pretty(text) {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return null;
  }
}

// The whole of one record: value as JSON, text or bytes, headers, what can be done with it.
export function recordDetail(record, command, tools = []) {
  const coded = record.value_base64;
  const data = coded === undefined ? new TextEncoder().encode(record.value ?? '') : bytesOf(coded);
  const views = [
    ['JSON', coded === undefined && record.value !== null ? pretty(record.value) : null],
    ['Text', coded === undefined ? record.value ?? '(no value)' : null],
    ['Bytes', hex(data)],
  ].filter(([, text]) => text !== null);
  const body = el('pre', { class: 'value' }, views[0][1]);
  const choices = views.map(([name, text]) => button(name, (event) => {
    body.textContent = text;
    choices.forEach((choice) => choice.setAttribute('aria-pressed', String(choice === event.currentTarget)));
  }, { class: 'quiet', 'aria-pressed': String(name === views[0][0]) }));
  const key = record.key_base64 === undefined ? record.key ?? '(none)' : hex(bytesOf(record.key_base64));
  return el('div', { class: 'record' },
    el('div', { class: 'part' }, el('h4', {}, 'Key'), el('pre', { class: 'value key' }, key)),
    record.headers.length === 0 ? null : el('div', { class: 'part' }, el('h4', {}, 'Headers'), el('table', { class: 'plain' }, el('tbody', {}, record.headers.map((header) => el('tr', {},
      el('th', { scope: 'row' }, header.name ?? hex(bytesOf(header.name_base64))), el('td', {}, header.value ?? (header.value_base64 === undefined ? '(no value)' : hex(bytesOf(header.value_base64))))))))),
    el('div', { class: 'part' }, el('h4', {}, 'Value ', el('span', { class: 'unit' }, bytes(data.length)), el('span', { class: 'choices' }, choices)), body),
    el('div', { class: 'buttons left' },
      command ? button('Copy as command', () => copy(command)) : null,
      coded === undefined && record.value !== null ? button('Copy value', () => copy(record.value)) : null,
      tools));
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast('Copied.');
  } catch {
    toast('This browser does not let the page copy.', 'warn');
  }
}
