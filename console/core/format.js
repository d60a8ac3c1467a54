// Numbers and times as people read them. Each result carries its unit, unless a column heading does (count).

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const NONE = '–';

const absent = (value) => value === null || value === undefined || Number.isNaN(value);
const twoDigits = (value) => String(Math.floor(value)).padStart(2, '0');

// 12 345 with thin spaces: no reader takes it for a decimal fraction.
export const count = (value) => (absent(value) ? NONE : whole.format(value).replaceAll(',', '\u202f'));

// "1 record", "3 records".
export const counted = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

// "18.2 M": for places where a figure is read from afar.
export function short(value) {
  if (absent(value)) return NONE;
  const [size, unit] = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M']].find(([least]) => Math.abs(value) >= least) ?? [1e3, 'k'];
  return Math.abs(value) < 1e5 ? count(value) : `${(value / size).toFixed(1)}\u202f${unit}`;
}

// Seconds as "0.4 s", "12 s", "3m 20s", "2h 05m", "6d 03h", "3y 40d".
export function duration(seconds) {
  if (absent(seconds)) return NONE;
  if (seconds < 0) return `−${duration(-seconds)}`;
  if (seconds === 0) return '0 s';
  if (seconds < 0.0995) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const all = Math.round(seconds);
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)}m ${twoDigits(all % 60)}s`;
  if (all < 86400) return `${Math.floor(all / 3600)}h ${twoDigits((all % 3600) / 60)}m`;
  if (all < 366 * 86400) return `${Math.floor(all / 86400)}d ${twoDigits((all % 86400) / 3600)}h`;
  return `${Math.floor(all / (365 * 86400))}y ${Math.floor((all % (365 * 86400)) / 86400)}d`;
}

export function rate(perSecond) {
  if (absent(perSecond)) return NONE;
  if (perSecond === 0) return '0/s';
  if (perSecond < 0.05) return `${(perSecond * 60).toFixed(1)}/min`;
  return perSecond < 100 ? `${perSecond.toFixed(1)}/s` : `${short(Math.round(perSecond))}/s`;
}

export function bytes(value) {
  if (absent(value)) return NONE;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let size = value;
  let unit = 0;
  while (Math.abs(size) >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${count(size)} B` : `${size.toFixed(Math.abs(size) < 10 ? 2 : Math.abs(size) < 100 ? 1 : 0)} ${units[unit]}`;
}

export const percent = (part, all) => (all > 0 ? `${((100 * part) / all).toFixed(part / all < 0.1 ? 1 : 0)} %` : NONE);

// Local time of this browser; utc() goes where the pointer rests.
export function clock(ms, withSeconds = true) {
  if (absent(ms) || ms < 0) return NONE;
  const time = new Date(ms);
  const today = new Date();
  const hours = `${twoDigits(time.getHours())}:${twoDigits(time.getMinutes())}${withSeconds ? `:${twoDigits(time.getSeconds())}` : ''}`;
  const sameDay = time.toDateString() === today.toDateString();
  return sameDay ? hours : `${day(ms)} ${hours}`;
}

export function day(ms) {
  const time = new Date(ms);
  return `${time.getFullYear()}-${twoDigits(time.getMonth() + 1)}-${twoDigits(time.getDate())}`;
}

export const utc = (ms) => (absent(ms) || Number.isNaN(new Date(ms).getTime()) ? '' : `${new Date(ms).toISOString()} (UTC)`);

export const ago = (ms) => (absent(ms) ? NONE : `${duration(Math.max(0, (Date.now() - ms) / 1000))} ago`);

// When the oldest of what waits will have been dealt with, in words.
export function eta(group) {
  if (absent(group.lag)) return 'unknown: nothing committed yet';
  if (group.lag === 0) return 'caught up';
  if (group.verdict === 'paused') return 'paused';
  return absent(group.eta_seconds) ? 'never at this pace' : `in about ${duration(group.eta_seconds)}`;
}
