// The time range syntax of dashboards and URLs: `now-6h`, `now-1d/d`, `now/fQ`, ISO 8601, epoch milliseconds.
// Pure: `now` is an argument. A raw range stays text (relative stays relative); `resolveRange` makes instants of it.
import { fromParts, toParts, type Parts } from './zone';

export interface RawRange { from: string; to: string }
export interface TimeRange { from: number; to: number }
export interface TimeContext { now: number; zone: string; weekStart?: number; fiscalStart?: number }

const unitNames: Record<string, keyof Parts | 'week' | 'quarter'> = { s: 'second', m: 'minute', h: 'hour', d: 'day', w: 'week', M: 'month', Q: 'quarter', y: 'year' };

function addUnits(ms: number, n: number, unit: string, zone: string): number {
  if (unit === 's' || unit === 'm' || unit === 'h') return ms + n * { s: 1000, m: 60000, h: 3600000 }[unit];
  const p = toParts(ms, zone);
  if (unit === 'd') p.day += n;
  else if (unit === 'w') p.day += 7 * n;
  else {
    const months = unit === 'y' ? 12 * n : unit === 'Q' ? 3 * n : n;
    const total = p.year * 12 + (p.month - 1) + months;
    p.year = Math.floor(total / 12);
    p.month = total - p.year * 12 + 1;
    p.day = Math.min(p.day, new Date(Date.UTC(p.year, p.month, 0)).getUTCDate()); // 31 Jan - 1M is the last of the month
  }
  return fromParts(p, zone);
}

function startOf(ms: number, unit: string, c: TimeContext): number {
  const p = toParts(ms, c.zone);
  const fiscal = unit.startsWith('f');
  const shift = fiscal ? (c.fiscalStart ?? 0) : 0;
  p.ms = 0;
  p.second = 0;
  const u = fiscal ? unit.slice(1) : unit;
  if (u === 's') { const q = toParts(ms, c.zone); q.ms = 0; return fromParts(q, c.zone); }
  if (u !== 'm') p.minute = 0;
  if (u !== 'm' && u !== 'h') p.hour = 0;
  if (u === 'w') {
    const weekday = new Date(Date.UTC(p.year, p.month - 1, p.day)).getUTCDay();
    p.day -= (weekday - (c.weekStart ?? 1) + 7) % 7;
  } else if (u === 'M' || u === 'Q' || u === 'y') {
    p.day = 1;
    const size = u === 'M' ? 1 : u === 'Q' ? 3 : 12;
    const months = p.year * 12 + p.month - 1 - shift;
    const at = Math.floor(months / size) * size + shift;
    p.year = Math.floor(at / 12);
    p.month = at - p.year * 12 + 1;
  }
  return fromParts(p, c.zone);
}

/** Instant of a time text, or null when it is not one. `roundUp` makes `/d` mean the end of the day (the `to` side). */
export function parseTime(text: string | number | undefined | null, c: TimeContext, roundUp = false): number | null {
  if (text === undefined || text === null) return null;
  if (typeof text === 'number') return Number.isFinite(text) ? text : null;
  const s = text.trim();
  if (s === '') return null;
  if (s.startsWith('now')) {
    let ms = c.now, rest = s.slice(3);
    const step = /^\s*(?:([+-])(\d*)([smhdwMQy])|\/(f?[smhdwMQy]))/;
    while (rest) {
      const m = step.exec(rest);
      if (!m) return null;
      if (m[4]) {
        if (m[4].startsWith('f') && !'Qy'.includes(m[4][1]!)) return null;
        const begin = startOf(ms, m[4], c);
        ms = roundUp ? addUnits(begin, 1, m[4].replace('f', ''), c.zone) - 1 : begin;
      } else ms = addUnits(ms, (m[1] === '-' ? -1 : 1) * (m[2] ? Number(m[2]) : 1), m[3]!, c.zone);
      rest = rest.slice(m[0].length);
    }
    return ms;
  }
  if (/^-?\d{5,}$/.test(s)) { const n = Number(s); return Number.isSafeInteger(n) ? n : null; }
  const iso = /^(\d{4})-(\d{2})(?:-(\d{2}))?(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-]\d{2}:?\d{2})?$/i.exec(s);
  if (iso) {
    const [, y, mo, d, h, mi, se, fr, off] = iso;
    const p: Parts = { year: +y!, month: +mo!, day: +(d ?? 1), hour: +(h ?? 0), minute: +(mi ?? 0), second: +(se ?? 0), ms: fr ? Math.floor(Number(`0.${fr}`) * 1000) : 0 };
    if (p.month < 1 || p.month > 12 || p.day < 1 || p.day > 31 || p.hour > 24 || p.minute > 59 || p.second > 60) return null;
    if (!off) return fromParts(p, c.zone);
    const wall = fromParts(p, 'utc');
    if (off.toUpperCase() === 'Z') return wall;
    const sign = off[0] === '-' ? -1 : 1, hm = off.slice(1).replace(':', '');
    return wall - sign * (Number(hm.slice(0, 2)) * 60 + Number(hm.slice(2))) * 60000;
  }
  return null;
}

/** Both ends as instants; an unreadable end falls back to the last six hours, a reversed range is turned round. */
export function resolveRange(raw: RawRange, c: TimeContext): TimeRange {
  const to = parseTime(raw.to, c, true) ?? c.now;
  const from = parseTime(raw.from, c, false) ?? to - 6 * 3600000;
  return from <= to ? { from, to } : { from: to, to: from };
}

export const isRelative = (raw: RawRange): boolean => /^\s*now/.test(raw.from) || /^\s*now/.test(raw.to);

export const quickRanges: [label: string, from: string, to: string][] = [
  ['Last 5 minutes', 'now-5m', 'now'], ['Last 15 minutes', 'now-15m', 'now'], ['Last 30 minutes', 'now-30m', 'now'], ['Last 1 hour', 'now-1h', 'now'],
  ['Last 3 hours', 'now-3h', 'now'], ['Last 6 hours', 'now-6h', 'now'], ['Last 12 hours', 'now-12h', 'now'], ['Last 24 hours', 'now-24h', 'now'],
  ['Last 2 days', 'now-2d', 'now'], ['Last 7 days', 'now-7d', 'now'], ['Last 30 days', 'now-30d', 'now'], ['Last 90 days', 'now-90d', 'now'],
  ['Today', 'now/d', 'now/d'], ['Today so far', 'now/d', 'now'], ['Yesterday', 'now-1d/d', 'now-1d/d'], ['This week so far', 'now/w', 'now'],
  ['This month so far', 'now/M', 'now'], ['Previous week', 'now-1w/w', 'now-1w/w'],
];

/** `now-3h` -> "Last 3 hours" and the like; absolute ranges are formatted by the caller. */
export function describeRelative(raw: RawRange): string | null {
  const from = raw.from.trim(), to = raw.to.trim();
  const known = quickRanges.find(([, f, t]) => f === from && t === to);
  if (known) return known[0];
  const m = /^now-(\d+)([smhdwMQy])$/.exec(from);
  if (m && to === 'now') {
    const name = unitNames[m[2]!] as string;
    return `Last ${m[1]} ${name}${m[1] === '1' ? '' : 's'}`;
  }
  return isRelative(raw) ? `${from} to ${to}` : null;
}

const durationMs: Record<string, number> = { ns: 1e-6, us: 1e-3, 'µs': 1e-3, ms: 1, s: 1000, m: 60000, h: 3600000, d: 86400000, w: 604800000, M: 2592000000, y: 31536000000 };

/** `1h30m`, `15s`, `1.5h` in ms; null when it is not a duration. */
export function parseDuration(text: string | number | undefined | null): number | null {
  if (text === undefined || text === null) return null;
  const s = String(text).trim().replace(/^>\s*=?\s*/, '');
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d|w|M|y))+$/.test(s)) return null;
  let total = 0;
  for (const [, n, u] of s.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w|M|y)/g)) total += Number(n) * durationMs[u!]!;
  return total;
}

/** Shortest duration text with whole units: 90000 -> `90s`, 3600000 -> `1h`. */
export function formatDuration(ms: number): string {
  const units: [number, string][] = [[31536000000, 'y'], [604800000, 'w'], [86400000, 'd'], [3600000, 'h'], [60000, 'm'], [1000, 's']];
  for (const [size, u] of units) if (ms >= size && ms % size === 0) return `${ms / size}${u}`;
  return ms >= 1000 ? `${Math.floor(ms / 1000)}s` : `${Math.max(1, Math.round(ms))}ms`;
}

const tidySteps = [1, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 15000, 20000, 30000, 60000, 120000, 300000, 600000, 900000, 1200000, 1800000,
  3600000, 7200000, 10800000, 21600000, 43200000, 86400000, 604800000, 2592000000, 31536000000];

/** `$__interval` in ms: range / points, rounded to a tidy step, at least `min`. */
export function tidyInterval(rangeMs: number, points: number, minMs: number): number {
  const exact = rangeMs / Math.max(1, points);
  let best = tidySteps[0]!;
  for (let i = 1; i < tidySteps.length; i++) {
    if (exact < (tidySteps[i - 1]! + tidySteps[i]!) / 2) break;
    best = tidySteps[i]!;
  }
  return Math.max(best, minMs);
}

/** A panel's own range: `timeFrom` ("1h", "now/d") narrows, `timeShift` ("1d", "1d/d") moves both ends back. */
export function panelRange(raw: RawRange, timeFrom: string | undefined, timeShift: string | undefined, c: TimeContext): { raw: RawRange; note: string } {
  let out = raw, note = '';
  if (timeFrom) {
    const rel = timeFrom.startsWith('now') ? timeFrom : `now-${timeFrom}`;
    if (parseTime(rel, c) !== null) {
      out = { from: rel, to: 'now' };
      note = describeRelative(out) ?? rel;
    }
  }
  if (timeShift) {
    const shift = timeShift.startsWith('now') ? timeShift.slice(3) : timeShift.startsWith('-') ? timeShift : `-${timeShift}`;
    const abs = resolveRange(out, c);
    const [amount, round] = shift.split('/') as [string, string | undefined];
    const at = (ms: number, up: boolean) => parseTime(`now${amount}${round ? `/${round}` : ''}`, { ...c, now: ms }, up);
    const from = at(abs.from, false), to = at(abs.to, true);
    if (from !== null && to !== null) {
      out = { from: String(from), to: String(to) };
      note += `${note ? ', ' : ''}shifted ${shift}`;
    }
  }
  return { raw: out, note };
}

/** What a person may paste: JSON `{from,to}`, `from to` separated by " to ", a dash or a comma, or a URL with from= and to=. */
export function parsePastedRange(text: string, c: TimeContext): RawRange | null {
  const s = text.trim();
  const ok = (from: string, to: string): RawRange | null => (parseTime(from, c) !== null && parseTime(to, c) !== null ? { from: from.trim(), to: to.trim() } : null);
  try {
    const j = JSON.parse(s) as { from?: unknown; to?: unknown };
    if (j && j.from !== undefined && j.to !== undefined) return ok(String(j.from), String(j.to));
  } catch { /* not JSON */ }
  const q = /[?&]from=([^&\s]+).*?[?&]to=([^&\s]+)/.exec(s);
  if (q) return ok(decodeURIComponent(q[1]!), decodeURIComponent(q[2]!));
  const parts = s.split(/\s+to\s+|\s*[,;→]\s*|\s+[-–]\s+|\s*\.\.\s*/i);
  if (parts.length === 2) return ok(parts[0]!, parts[1]!);
  return parts.length === 1 && s.startsWith('now') ? ok(s, 'now') : null;
}

/** Twice the span around the same middle, as absolute ends, never past now by more than the old end was. */
export function zoomOut(r: TimeRange): RawRange {
  const half = Math.max((r.to - r.from) / 2, 500);
  return { from: String(Math.round(r.from - half)), to: String(Math.round(r.to + half)) };
}

/** Both ends moved by half the span. */
export function shiftRange(r: TimeRange, direction: -1 | 1): RawRange {
  const half = Math.round((r.to - r.from) / 2) * direction;
  return { from: String(r.from + half), to: String(r.to + half) };
}
