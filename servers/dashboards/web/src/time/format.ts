// Time as text: moment-like patterns, the app's standard form, relative "3 minutes ago", axis tick labels.
import { toParts, zoneOffset } from './zone';

const months = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const pad = (n: number, w = 2): string => String(n).padStart(w, '0');

/** Formats with the tokens YYYY YY MMMM MMM MM M DD D dddd ddd HH H hh h mm m ss s SSS A a Z ZZ X x; `[text]` is literal. */
export function formatPattern(ms: number, pattern: string, zone: string): string {
  const p = toParts(ms, zone);
  const offset = zoneOffset(ms, zone) / 60000;
  const sign = offset < 0 ? '-' : '+', oh = pad(Math.floor(Math.abs(offset) / 60)), om = pad(Math.abs(offset) % 60);
  const weekday = new Date(Date.UTC(p.year, p.month - 1, p.day)).getUTCDay();
  const table: Record<string, string> = {
    YYYY: pad(p.year, 4), YY: pad(p.year % 100), MMMM: months[p.month - 1]!, MMM: months[p.month - 1]!.slice(0, 3), MM: pad(p.month), M: String(p.month), DD: pad(p.day), D: String(p.day),
    dddd: weekdays[weekday]!, ddd: weekdays[weekday]!.slice(0, 3), HH: pad(p.hour), H: String(p.hour), hh: pad(((p.hour + 11) % 12) + 1), h: String(((p.hour + 11) % 12) + 1),
    mm: pad(p.minute), m: String(p.minute), ss: pad(p.second), s: String(p.second), SSS: pad(p.ms, 3), A: p.hour < 12 ? 'AM' : 'PM', a: p.hour < 12 ? 'am' : 'pm',
    Z: `${sign}${oh}:${om}`, ZZ: `${sign}${oh}${om}`, X: String(Math.floor(ms / 1000)), x: String(ms),
  };
  return pattern.replace(/\[([^\]]*)\]|YYYY|YY|MMMM|MMM|MM|M|DD|D|dddd|ddd|HH|H|hh|h|mm|m|ss|s|SSS|A|a|ZZ|Z|X|x/g, (t, lit: string | undefined) => (lit !== undefined ? lit : table[t]!));
}

export const formatTime = (ms: number, zone: string): string => formatPattern(ms, 'YYYY-MM-DD HH:mm:ss', zone);
export const formatTimeMs = (ms: number, zone: string): string => formatPattern(ms, 'YYYY-MM-DD HH:mm:ss.SSS', zone);

export function formatAgo(ms: number, now: number): string {
  const d = Math.abs(now - ms), future = ms > now + 999;
  const steps: [number, string][] = [[31536000000, 'year'], [2592000000, 'month'], [86400000, 'day'], [3600000, 'hour'], [60000, 'minute'], [1000, 'second']];
  for (const [size, name] of steps) {
    if (d >= size) {
      const n = Math.floor(d / size);
      const text = `${n} ${name}${n === 1 ? '' : 's'}`;
      return future ? `in ${text}` : `${text} ago`;
    }
  }
  return 'just now';
}

/** Seconds as "2d 3h", "4m 10s": two leading units. */
export function formatSpan(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  const units: [number, string][] = [[86400, 'd'], [3600, 'h'], [60, 'm'], [1, 's']];
  let rest = Math.floor(seconds);
  const out: string[] = [];
  for (const [size, u] of units) {
    if (rest >= size) {
      out.push(`${Math.floor(rest / size)}${u}`);
      rest %= size;
      if (out.length === 2) break;
    } else if (out.length) break;
  }
  return out.join(' ') || '0s';
}

/** Axis label whose detail follows the distance between ticks (seconds). */
export function tickLabel(ms: number, stepSecs: number, zone: string): string {
  const p = toParts(ms, zone);
  if (stepSecs < 1) return `${pad(p.minute)}:${pad(p.second)}.${pad(p.ms, 3)}`;
  if (stepSecs < 60) return `${pad(p.hour)}:${pad(p.minute)}:${pad(p.second)}`;
  if (stepSecs < 86400) return p.hour === 0 && p.minute === 0 ? `${pad(p.month)}-${pad(p.day)}` : `${pad(p.hour)}:${pad(p.minute)}`;
  if (stepSecs < 86400 * 28) return `${pad(p.month)}-${pad(p.day)}`;
  if (stepSecs < 86400 * 360) return `${pad(p.year, 4)}-${pad(p.month)}`;
  return pad(p.year, 4);
}

const tickSteps = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000, 31536000];

/** Tick instants (s) between two instants (s), at tidy wall-clock places, at most `max` of them. */
export function timeTicks(from: number, to: number, max: number, zone: string): { ticks: number[]; step: number } {
  const step = tickSteps.find((s) => (to - from) / s <= Math.max(1, max)) ?? tickSteps.at(-1)!;
  const ticks: number[] = [];
  const off = zoneOffset(from * 1000, zone) / 1000;
  for (let t = Math.ceil((from + off) / step) * step - off; t <= to; t += step) {
    // keep wall-clock places when the offset changes inside the range
    const now = zoneOffset(t * 1000, zone) / 1000;
    const placed = step >= 3600 ? t + off - now : t;
    ticks.push(Math.round(placed * 1000) / 1000);
    if (ticks.length > 500) break;
  }
  return { ticks, step };
}
