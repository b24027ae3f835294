// Numbers in units. `formatValue(value, unit, decimals)` gives the parts of a text; `unitText` joins them. A unit id is one of
// the table's, one of the custom forms (`suffix:x prefix:x time:YYYY si:mF count:x currency:x bool:yes/no`), or any other
// text, which is shown as a suffix. Scaled units choose their scale from the magnitude; without `decimals` about three
// significant digits are kept.
import { formatAgo, formatPattern } from '../time/format';
import { table, type UnitDef } from './table';

export interface FormattedValue { text: string; prefix?: string; suffix?: string }
export interface UnitContext { zone?: string; now?: number }

/** Decimals for about three significant digits; whole numbers have none. */
export function autoDecimals(v: number): number {
  if (v === 0 || Number.isInteger(v) || !Number.isFinite(v)) return 0;
  return Math.min(20, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(v)) + 1e-9)));
}

/** Fixed decimals without a negative zero. */
export function fixed(v: number, decimals?: number | null): string {
  if (!Number.isFinite(v)) return Number.isNaN(v) ? 'NaN' : v > 0 ? '+Inf' : '-Inf';
  const s = v.toFixed(Math.min(20, Math.max(0, decimals ?? autoDecimals(v))));
  return /^-0(\.0*)?$/.test(s) ? s.slice(1) : s;
}

function scale(v: number, factor: number, names: readonly string[], start: number, decimals?: number | null): FormattedValue {
  let i = start, x = v;
  if (x !== 0 && Number.isFinite(x)) {
    while (Math.abs(x) >= factor && i < names.length - 1) { x /= factor; i++; }
    while (Math.abs(x) < 1 && i > 0 && names[i - 1] !== undefined) { x *= factor; i--; }
    // 999.96 with one decimal would read "1000.0": go one up
    if (i < names.length - 1 && Math.abs(Number(fixed(x, decimals))) >= factor) { x /= factor; i++; }
  }
  return { text: fixed(x, decimals), suffix: names[i] };
}

const siNames = ['y', 'z', 'a', 'f', 'p', 'n', 'µ', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
const iecNames = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi'];
const shortNames = ['', ' K', ' Mil', ' Bil', ' Tri', ' Quadr', ' Quint', ' Sext', ' Sept'];

const timeScale: [seconds: number, suffix: string, name: string][] = [
  [31536000, ' year', 'year'], [2592000, ' month', 'month'], [604800, ' week', 'week'], [86400, ' day', 'day'], [3600, ' hour', 'hour'], [60, ' min', 'minute'],
  [1, ' s', 'second'], [1e-3, ' ms', 'millisecond'], [1e-6, ' µs', 'microsecond'], [1e-9, ' ns', 'nanosecond'],
];

/** Seconds in the unit that fits: `0.0123` -> `12.3 ms`, `5400` -> `1.50 hour`. Months are not used. */
function duration(seconds: number, decimals?: number | null): FormattedValue {
  if (seconds === 0) return { text: fixed(0, decimals), suffix: ' s' };
  const a = Math.abs(seconds);
  for (const [size, suffix, name] of timeScale) {
    if (name === 'month') continue;
    if (a >= size || name === 'nanosecond') {
      const n = seconds / size, plural = size >= 3600 && fixed(n, decimals) !== fixed(1, decimals) ? 's' : '';
      return { text: fixed(n, decimals), suffix: suffix + plural };
    }
  }
  return { text: fixed(seconds, decimals) };
}

/** "1 day, 2 hours": the leading unit and `decimals` more. */
function longDuration(seconds: number, decimals?: number | null): string {
  if (seconds === 0) return '0 seconds';
  const negative = seconds < 0;
  let rest = Math.abs(seconds), left = (decimals ?? 0) + 1;
  const out: string[] = [];
  for (const [size, , name] of timeScale.slice(0, 8)) {
    const n = Math.floor(rest / size + 1e-9);
    if (n > 0 || out.length) {
      out.push(`${n} ${name}${n === 1 ? '' : 's'}`);
      rest = Math.max(0, rest - n * size);
      if (--left === 0) break;
    }
  }
  return (out.join(', ') || '0 seconds') + (negative ? ' ago' : '');
}

function clock(ms: number, decimals?: number | null): string {
  const h = Math.floor(ms / 3600000), m = Math.floor(ms / 60000) % 60, s = Math.floor(ms / 1000) % 60, f = Math.floor(ms) % 1000;
  const p = (n: number, w = 2) => String(n).padStart(w, '0');
  const parts = [`${p(h)}h`, `${p(m)}m`, `${p(s)}s`, `${p(f, 3)}ms`];
  return parts.slice(0, Math.min(4, (decimals ?? 2) + 1)).join(':');
}

const hms = (seconds: number): string => {
  const neg = seconds < 0 ? '-' : '', a = Math.abs(Math.round(seconds));
  const p = (n: number) => String(n).padStart(2, '0');
  return `${neg}${p(Math.floor(a / 3600))}:${p(Math.floor(a / 60) % 60)}:${p(a % 60)}`;
};
const dhms = (seconds: number): string => {
  const a = Math.abs(seconds), d = Math.floor(a / 86400);
  return `${seconds < 0 ? '-' : ''}${d > 0 ? `${d} d ` : ''}${hms(a % 86400)}`;
};

function apply(def: UnitDef, v: number, decimals: number | null | undefined, c: UnitContext): FormattedValue {
  switch (def.kind) {
    case 'plain': return { text: fixed(v, decimals), suffix: def.suffix };
    case 'short': return scale(v, 1000, shortNames, 0, decimals);
    case 'locale': return { text: v.toLocaleString('en-US', { maximumFractionDigits: decimals ?? 20, minimumFractionDigits: decimals ?? 0 }) };
    case 'sci': return { text: v.toExponential(decimals ?? undefined) };
    case 'hex': return { text: (def.suffix ?? '') + (Number.isInteger(v) ? v.toString(16).toUpperCase() : v.toString(16).toUpperCase()) };
    case 'bool': return { text: v ? def.yes! : def.no! };
    case 'percentunit': return { text: fixed(v * 100, decimals), suffix: '%' };
    case 'si': { const f = scale(v, 1000, siNames, 8 + (def.exp ?? 0), decimals); return { text: f.text, suffix: ` ${f.suffix}${def.suffix}` }; }
    case 'siUp': { const f = scale(v, 1000, siNames.slice(8), def.exp ?? 0, decimals); return { text: f.text, suffix: ` ${f.suffix}${def.suffix}` }; }
    case 'iec': { const f = scale(v, 1024, iecNames, def.exp ?? 0, decimals); return { text: f.text, suffix: ` ${f.suffix}${def.suffix}` }; }
    case 'count': { const f = scale(v, 1000, shortNames, 0, decimals); return { text: f.text, suffix: `${f.suffix} ${def.suffix}` }; }
    case 'currency': { const f = scale(v, 1000, shortNames, 0, decimals); return def.suffix ? { text: f.text, suffix: `${f.suffix} ${def.suffix}` } : { prefix: def.prefix, text: f.text, suffix: f.suffix }; }
    case 'duration': return duration(v * def.seconds!, decimals);
    case 'longDuration': return { text: longDuration(v * def.seconds!, decimals) };
    case 'clock': return { text: clock(v * def.seconds! * 1000, decimals) };
    case 'hms': return { text: hms(v) };
    case 'dhms': return { text: dhms(v) };
    case 'date': {
      const zone = c.zone ?? 'browser';
      const today = formatPattern(c.now ?? Date.now(), 'YYYY-MM-DD', zone) === formatPattern(v, 'YYYY-MM-DD', zone);
      return { text: formatPattern(v, def.noDateIfToday && today ? def.timePattern! : def.pattern!, zone) };
    }
    case 'ago': return { text: formatAgo(v, c.now ?? Date.now()) };
  }
}

function customUnit(unit: string): UnitDef | null {
  const colon = unit.indexOf(':');
  if (colon < 0) return null;
  const kind = unit.slice(0, colon), arg = unit.slice(colon + 1);
  switch (kind) {
    case 'suffix': return { kind: 'plain', suffix: ` ${arg}` };
    case 'prefix': return { kind: 'currency', prefix: arg };
    case 'time': return { kind: 'date', pattern: arg };
    case 'count': return { kind: 'count', suffix: arg };
    case 'currency': {
      const [p, s] = arg.split(':');
      return s === 'suffix' ? { kind: 'currency', suffix: p } : { kind: 'currency', prefix: p };
    }
    case 'bool': { const [yes = 'true', no = 'false'] = arg.split('/'); return { kind: 'bool', yes, no }; }
    case 'si': {
      const m = /^([yzafpnµmkMGTPEZY]?)(.+)$/.exec(arg);
      if (!m) return null;
      const named = m[1] && arg.length > 1 ? siNames.indexOf(m[1]) - 8 : 0;
      return { kind: 'si', suffix: m[1] && arg.length > 1 ? m[2]! : arg, exp: named };
    }
    default: return null;
  }
}

/** The parts of `value` in `unit`; `decimals` null or absent chooses by magnitude. */
export function formatValue(value: number | null | undefined, unit?: string | null, decimals?: number | null, c: UnitContext = {}): FormattedValue {
  if (value === null || value === undefined) return { text: '' };
  if (Number.isNaN(value)) return { text: 'NaN' };
  const def = !unit ? table.none! : (table[unit] ?? customUnit(unit) ?? ({ kind: 'plain', suffix: ` ${unit}` } satisfies UnitDef));
  if (!Number.isFinite(value) && def.kind !== 'bool') return { text: value > 0 ? '+Inf' : '-Inf' };
  return apply(def, value, decimals, c);
}

export function joinValue(f: FormattedValue): string {
  return `${f.prefix ?? ''}${f.text}${f.suffix ?? ''}`.trim();
}

export const unitText = (value: number | null | undefined, unit?: string | null, decimals?: number | null, c?: UnitContext): string => joinValue(formatValue(value, unit, decimals, c));

/** True when an axis in this unit should place its ticks on powers of two. */
export const isBinaryUnit = (unit?: string | null): boolean => !!unit && table[unit]?.kind === 'iec';
