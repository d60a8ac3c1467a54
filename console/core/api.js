// The REST interface (openapi.json). Every answer is JSON; a refusal is a Problem (RFC 9457), no answer is a Lost.

export class Problem extends Error {
  constructor(status, told) {
    super(told.detail || told.title || `the broker answered ${status}`);
    this.status = status;
    this.code = told.code ?? '';
    this.field = told.field ?? '';
    this.rule = told.rule ?? '';
  }

  // All the broker said, for people.
  get text() {
    const rule = this.rule ? ` (${this.field ? `${this.field}: ` : ''}${this.rule})` : '';
    return `${this.message}${rule}`;
  }
}

// The broker could not be asked: its outcome is not known.
export class Lost extends Error {
  get text() {
    return 'the broker does not answer';
  }
}

export const told = (problem) => problem.text ?? String(problem.message ?? problem);

const BASE = '/api/v1';

// Answer and its text. A page that is left aborts its questions: AbortError.
async function fetched(path, options) {
  try {
    const answer = await fetch(path, { cache: 'no-store', ...options });
    return [answer, await answer.text()];
  } catch (problem) {
    if (problem.name === 'AbortError') throw problem;
    throw new Lost(problem.message);
  }
}

export async function ask(method, path, body, signal) {
  const options = { method, signal, headers: { Accept: 'application/json' } };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers['Content-Type'] = 'application/json';
  }
  const [answer, text] = await fetched(BASE + path, options);
  let value = null;
  try {
    value = text === '' ? null : JSON.parse(text);
  } catch {
    if (answer.ok) throw new Problem(answer.status, { detail: 'what came is no JSON' });
  }
  if (!answer.ok) throw new Problem(answer.status, value ?? { detail: text.trim() });
  return value;
}

// The metrics in their text format.
export async function metrics(signal) {
  const [answer, text] = await fetched('/metrics', { signal });
  if (!answer.ok) throw new Problem(answer.status, { detail: text.trim() });
  return text;
}

export const get = (path, signal) => ask('GET', path, undefined, signal);
export const post = (path, body = {}) => ask('POST', path, body);
export const patch = (path, body) => ask('PATCH', path, body);
export const remove = (path) => ask('DELETE', path);

// "?a=1&b=2" of what is set.
export function query(values) {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return set.length === 0 ? '' : `?${set.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')}`;
}

// Names of groups, members and clients are any bytes. Where they are not UTF-8 the broker adds NAME_base64, and the shown text (\xNN) is
// not the name; a path segment is therefore made from the bytes.
export function segment(object, field) {
  const coded = object[`${field}_base64`];
  if (coded === undefined) return encodeURIComponent(object[field]);
  return [...atob(coded)].map((byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`).join('');
}

// The fields of a request body that name `object`.
export function named(object, field) {
  const coded = object[`${field}_base64`];
  return coded === undefined ? { [field]: object[field] } : { [`${field}_base64`]: coded };
}

export const bytesOf = (coded) => Uint8Array.from(atob(coded), (byte) => byte.charCodeAt(0));
