// Replaces `$name`, `${name}`, `${name.field}`, `${name:format}` and `[[name:format]]` in texts. Where a name comes from: the panel's repeat
// scope, the dashboard's variables, the built-ins. An unknown name stays as it is. Pure over its context.
import type { Scope } from '../model/layout';
import type { Variable } from '../model/types';
import { formatDuration, type TimeRange } from '../time/range';
import { formatVariable, queryDefault } from './format';

export interface VarContext {
  variables: readonly Variable[]; scope?: Scope; range: TimeRange; raw?: { from: string; to: string }; zone: string;
  /** Of the query or panel being filled; absent elsewhere. */
  intervalMs?: number; scrapeMs?: number; dashboard?: { uid: string; title: string }; user?: { login: string; email?: string }; appUrl?: string;
  /** Values known only at a point: `__value.raw`, `__field.labels.x`, `__series.name` ... */
  local?: Record<string, string>;
}
export type Mode = 'text' | 'query' | 'url';

const pattern = /\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}/g;

export const allValue = '$__all';
export const isAll = (v: Variable): boolean => v.current.value.length === 1 && v.current.value[0] === allValue;

/** Actual values of a variable; All becomes its `allValue` (`raw`) or every option. */
export function effective(v: Variable): { values: string[]; texts: string[]; raw: boolean; multi: boolean } {
  const multi = !!(v.multi || v.includeAll);
  if (isAll(v)) {
    if (v.allValue) return { values: [v.allValue], texts: ['All'], raw: true, multi };
    const o = v.options.filter((x) => x.value !== allValue);
    return { values: o.map((x) => x.value), texts: ['All'], raw: false, multi };
  }
  return { values: v.current.value, texts: v.current.text.length ? v.current.text : v.current.value, raw: false, multi };
}

const ms = (n: number | undefined): string | null => (n === undefined ? null : formatDuration(n));

/** Interval variables with `auto` keep the marker as value and get their text from the range. */
export function autoInterval(v: Variable, range: TimeRange, tidy: (rangeMs: number, points: number, min: number) => number, parse: (s: string) => number | null): string {
  return formatDuration(tidy(range.to - range.from, v.auto_count ?? 30, parse(v.auto_min ?? '10s') ?? 10000));
}

function builtin(name: string, c: VarContext, field: string | undefined): string | null {
  const { from, to } = c.range;
  switch (name) {
    case '__from': return String(from);
    case '__to': return String(to);
    case '__interval': return ms(c.intervalMs);
    case '__interval_ms': return c.intervalMs === undefined ? null : String(c.intervalMs);
    case '__rate_interval': case '__rate_interval_ms': {
      if (c.intervalMs === undefined) return null;
      const scrape = c.scrapeMs ?? 15000, r = Math.max(c.intervalMs + scrape, 4 * scrape);
      return name === '__rate_interval' ? formatDuration(r) : String(r);
    }
    case '__range': return `${Math.round((to - from) / 1000)}s`;
    case '__range_s': return String(Math.round((to - from) / 1000));
    case '__range_ms': return String(to - from);
    case '__timezone': return c.zone === 'browser' ? Intl.DateTimeFormat().resolvedOptions().timeZone : c.zone;
    case '__dashboard': return field === 'uid' ? (c.dashboard?.uid ?? '') : (c.dashboard?.title ?? '');
    case '__org': return field === 'name' ? 'Main Org.' : '1';
    case '__user': return field === 'email' ? (c.user?.email ?? '') : field === 'id' ? '1' : (c.user?.login ?? '');
    case '__url_time_range': { const r = c.raw ?? { from: String(from), to: String(to) }; return `from=${encodeURIComponent(r.from)}&to=${encodeURIComponent(r.to)}`; }
    case '__all_variables': return urlVariables(c.variables, c.scope).map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join('&');
    case '__searchFilter': return '';
    case '__timeFilter': case 'timeFilter': return `time >= ${from}ms and time <= ${to}ms`;
    case '__name': return '';
    default: return null;
  }
}

/** `var-x` pairs as they stand in the URL. */
export function urlVariables(variables: readonly Variable[], scope?: Scope): [string, string][] {
  const out: [string, string][] = [];
  for (const v of variables) {
    if (v.skipUrlSync || v.type === 'constant' || v.type === 'system') continue;
    const scoped = scope?.[v.name];
    if (scoped) out.push([`var-${v.name}`, scoped.value]);
    else if (v.type === 'adhoc') for (const f of v.filters ?? []) out.push([`var-${v.name}`, [f.key, f.operator, f.value].map((s) => s.replace(/\|/g, '__gfp__')).join('|')]);
    else if (v.current.value.length) for (const x of v.current.value) out.push([`var-${v.name}`, x]);
    else out.push([`var-${v.name}`, '']);
  }
  return out;
}

/** Fills a text. In `query` mode values are escaped for PromQL and LogQL; in `url` they are percent-encoded. */
export function interpolate(text: string, c: VarContext, mode: Mode = 'text'): string {
  if (!text.includes('$') && !text.includes('[[')) return text;
  return text.replace(pattern, (whole, a: string | undefined, b: string | undefined, bf: string | undefined, d: string | undefined, path: string | undefined, df: string | undefined) => {
    const format = bf ?? df;
    let name = a ?? b ?? d ?? '';
    let tail = '';
    const full = path ? `${name}.${path}` : name;
    if (c.local && Object.hasOwn(c.local, full)) return mode === 'url' && !format ? c.local[full]! : format ? (formatVariable({ name: full, values: [c.local[full]!], texts: [c.local[full]!], multi: false, zone: c.zone }, format) ?? c.local[full]!) : c.local[full]!;
    const find = (n: string) => c.scope?.[n] ?? c.variables.find((v) => v.name === n);
    let hit = find(name);
    if (!hit && a) {
      // `$jobname` where only `job` exists: the longest known name wins for built-ins like `$__intervalX`? No: a word is one name.
      const builtIn = builtin(name, c, path);
      if (builtIn !== null) return builtIn + tail;
      return whole;
    }
    if (!hit) {
      const special = builtin(name, c, path);
      if (special === null) return whole;
      if (format && format !== 'raw') return formatVariable({ name, values: [special], texts: [special], multi: false, zone: c.zone }, format) ?? special;
      return special;
    }
    if ('type' in hit) {
      const v = hit as Variable;
      if (v.type === 'adhoc') return (v.filters ?? []).map((f) => `${f.key}${f.operator}"${f.value}"`).join(',');
      const e = effective(v);
      if (format === 'text') return e.texts.join(' + ');
      if (format === 'queryparam' && isAll(v)) return `var-${v.name}=${encodeURIComponent(allValue)}`;
      const marker = v.type === 'interval' && /^\$__auto/.test(e.values[0] ?? '');
      const values = marker ? [String((v as Variable & { autoText?: string }).autoText ?? '1m')] : e.values;
      if (format) {
        if (e.raw && format !== 'queryparam') return values[0]!;
        const done = formatVariable({ name: v.name, values, texts: e.texts, multi: e.multi, zone: c.zone }, format);
        if (done !== null) return done;
      }
      if (e.raw) return values[0]!;
      if (mode === 'query') return ['interval', 'constant', 'textbox', 'datasource'].includes(v.type) && !e.multi ? (v.type === 'textbox' ? (values[0] ?? '').replace(/\\(?!["\\])/g, '\\\\').replace(/"/g, '\\"') : (values[0] ?? '')) : queryDefault(values, e.multi);
      if (mode === 'url') return encodeURIComponent(values.length > 1 ? `{${values.join(',')}}` : (values[0] ?? ''));
      return values.length > 1 ? (e.texts.length === values.length || e.texts[0] === 'All' ? e.texts.join(' + ') : values.join(' + ')) : (e.texts[0] === undefined || mode === 'text' ? (e.texts[0] ?? values[0] ?? '') : values[0]!);
    }
    const s = hit as { text: string; value: string };
    if (format) return formatVariable({ name, values: [s.value], texts: [s.text], multi: true, zone: c.zone }, format) ?? s.value;
    return mode === 'query' ? queryDefault([s.value], true) : mode === 'url' ? encodeURIComponent(s.value) : s.text;
  });
}

/** Names used by a text, for ordering chained variables and knowing what a panel depends on. */
export function usedNames(text: string): string[] {
  return [...text.matchAll(pattern)].map((m) => m[1] ?? m[2] ?? m[4]!).filter(Boolean);
}

/** True when a variable's name is still written in the text although the variable exists without a value. */
export function unresolved(text: string, c: VarContext): string | null {
  for (const n of usedNames(text)) {
    if (c.scope?.[n]) continue;
    const v = c.variables.find((x) => x.name === n);
    if (v && v.type !== 'textbox' && v.type !== 'constant' && v.type !== 'adhoc' && effective(v).values.length === 0) return n;
  }
  return null;
}
