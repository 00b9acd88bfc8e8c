// SPDX-License-Identifier: Apache-2.0
//
// Numbers and times as people read them.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function bytes(count) {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    ++unit;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

export function rate(perSecond) {
  return perSecond < 0.5 ? '0 B/s' : `${bytes(perSecond)}/s`;
}

// For a cell of the matrix.
export function shortRate(perSecond) {
  if (perSecond < 0.5) return '0';
  const [value, unit] = bytes(perSecond).split(' ');
  return `${Number(value) >= 10 ? Math.round(value) : value}${unit[0] === 'B' ? '' : unit[0]}`;
}

export function count(number) {
  return Math.round(number).toLocaleString('en');
}

export function percent(share) {
  return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// Of a moment as JSON has it, or as milliseconds.
export function since(timestamp, now = Date.now()) {
  return duration((now - new Date(timestamp).getTime()) / 1000);
}

export function clock(timestamp) {
  const at = new Date(timestamp);
  const two = (number) => String(number).padStart(2, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

// JSON has 64-bit numbers as text, and leaves out what is zero.
export function number(value) {
  return value === undefined || value === null ? 0 : Number(value);
}

// "1.5s", as JSON has a duration.
export function seconds(value) {
  return value === undefined ? 0 : Number.parseFloat(value);
}

export function shortName(name) {
  return (name ?? '').replace(/^(vms|connections|networks|forwards)\//, '');
}
