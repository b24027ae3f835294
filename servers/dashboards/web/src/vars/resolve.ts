// Options of variables and the order in which chained ones are asked. Queries go through the `VariableSource` the page gives;
// regex, sort and the choice of the current value are pure.
import { toRegExp } from '../fields/display';
import { isObject, optStr, str } from '../model/read';
import type { DsRef, Variable, VariableOption } from '../model/types';
import { parseDuration, tidyInterval, type TimeRange } from '../time/range';
import { allValue, autoInterval, interpolate, usedNames, type VarContext } from './interpolate';

export interface VariableSource {
  /** Runs a variable query text on a data source and gives raw option texts. */
  query(ref: DsRef | null, text: string, structured: unknown, range: TimeRange, signal: AbortSignal): Promise<string[]>;
  datasources(): { name: string; uid: string; type: string; isDefault: boolean }[];
}

/** Text of a query variable in any of its forms. */
export function queryText(v: Variable): string {
  if (typeof v.query === 'string') return v.query;
  if (isObject(v.query)) {
    const q = v.query;
    if (optStr(q.query)) return str(q.query);
    if (q.type !== undefined && (q.label !== undefined || q.stream !== undefined)) {
      // Loki's structured form: type 0 label names, 1 label values
      return Number(q.type) === 0 ? 'label_names()' : q.stream ? `label_values(${str(q.stream)}, ${str(q.label)})` : `label_values(${str(q.label)})`;
    }
    if (optStr(q.expr)) return str(q.expr);
  }
  return v.definition ?? '';
}

/** `regex` filters options; a first group or groups named text/value choose their part. */
export function applyRegex(options: readonly string[], regex: string | undefined): VariableOption[] {
  if (!regex) return dedupe(options.map((o) => ({ text: o, value: o })));
  const bare = /^\/(.*)\/([a-z]*)$/s.test(regex) ? regex : `/^${regex}$/`;
  const r = toRegExp(bare) ?? toRegExp(regex);
  if (!r) return dedupe(options.map((o) => ({ text: o, value: o })));
  const global = /\/[a-z]*g[a-z]*$/.test(regex);
  const out: VariableOption[] = [];
  for (const o of options) {
    const matches = global ? [...o.matchAll(new RegExp(r.source, `${r.flags}g`))] : [r.exec(o)].filter((m): m is RegExpExecArray => !!m);
    for (const m of matches) {
      const g = m.groups ?? {};
      if (g.value !== undefined || g.text !== undefined) out.push({ value: g.value ?? g.text ?? '', text: g.text ?? g.value ?? '' });
      else { const x = m.length > 1 ? (m.slice(1).find((p) => p !== undefined) ?? '') : o; out.push({ text: x, value: x }); }
    }
  }
  return dedupe(out);
}

function dedupe(options: VariableOption[]): VariableOption[] {
  const seen = new Set<string>();
  return options.filter((o) => (seen.has(o.value) ? false : (seen.add(o.value), true)));
}

/** 0 none, 1/2 alphabetical, 3/4 numerical, 5/6 without case, 7/8 natural; even is descending. */
export function sortOptions(options: VariableOption[], sort: number | undefined): VariableOption[] {
  if (!sort) return options;
  const number = (s: string): number => { const m = /-?\d+(\.\d+)?/.exec(s); return m ? Number(m[0]) : -Infinity; };
  const kind = Math.ceil(sort / 2);
  const cmp = (a: VariableOption, b: VariableOption): number => {
    switch (kind) {
      case 2: return number(a.text) - number(b.text);
      case 3: { const x = a.text.toLowerCase(), y = b.text.toLowerCase(); return x < y ? -1 : x > y ? 1 : 0; }
      case 4: return a.text.localeCompare(b.text, undefined, { numeric: true });
      default: return a.text < b.text ? -1 : a.text > b.text ? 1 : 0;
    }
  };
  const sorted = [...options].sort(cmp);
  return sort % 2 === 0 ? sorted.reverse() : sorted;
}

/** `a, b : c, d\,e` -> options; `key : value` pairs. JSON lists of texts or {text,value} too. */
export function customOptions(query: string): VariableOption[] {
  const t = query.trim();
  if (t.startsWith('[')) {
    try {
      const j = JSON.parse(t) as unknown;
      if (Array.isArray(j)) return j.map((x) => (isObject(x) ? { text: str(x.text ?? x.label ?? x.value), value: str(x.value ?? x.text) } : { text: String(x), value: String(x) }));
    } catch { /* not JSON: fall through to the list form */ }
  }
  return [...query.matchAll(/(?:\\,|[^,])+/g)].map(([m]) => m.replace(/\\,/g, ',').trim()).filter(Boolean).map((m) => {
    const kv = /^\s*(.+?)\s+:\s+(.+)$/s.exec(m);
    return kv ? { text: kv[1]!.trim(), value: kv[2]!.trim() } : { text: m, value: m };
  });
}

/** Keeps values that still exist; else All if it was All, else the first option. */
export function chooseCurrent(v: Variable, options: VariableOption[]): Variable['current'] {
  const cur = v.current.value;
  if (cur.length === 1 && cur[0] === allValue && v.includeAll) return { text: ['All'], value: [allValue] };
  const kept = cur.map((c) => options.find((o) => o.value === c) ?? options.find((o) => o.text === c)).filter((o): o is VariableOption => !!o);
  if (kept.length) return { text: kept.map((o) => o.text), value: kept.map((o) => o.value) };
  if (v.type === 'query' && cur.length && v.allowCustomValue !== false && (v as Variable & { fromUrl?: boolean }).fromUrl) return { text: cur, value: cur };
  if (v.includeAll && (cur.length === 0 || v.multi) && !options.length) return { text: ['All'], value: [allValue] };
  if (v.includeAll && cur.length === 0) return { text: ['All'], value: [allValue] };
  const first = options[0];
  return first ? { text: [first.text], value: [first.value] } : { text: [], value: [] };
}

/** Texts of a variable that may name other variables. */
function dependsOn(v: Variable): string[] {
  const ref = v.datasource;
  return usedNames([queryText(v), v.regex ?? '', ref?.uid ?? '', v.type === 'custom' ? '' : '', JSON.stringify(isObject(v.query) ? v.query : '')].join(' '));
}

/** Variables in layers: each layer needs only earlier ones. A cycle is broken at the file's order. */
export function layers(variables: readonly Variable[]): Variable[][] {
  const names = new Set(variables.map((v) => v.name)), done = new Set<string>(), out: Variable[][] = [];
  let rest = [...variables];
  while (rest.length) {
    const ready = rest.filter((v) => dependsOn(v).every((d) => d === v.name || !names.has(d) || done.has(d)));
    const layer = ready.length ? ready : [rest[0]!];
    out.push(layer);
    layer.forEach((v) => done.add(v.name));
    rest = rest.filter((v) => !layer.includes(v));
  }
  return out;
}

/** Names that change when `changed` change, themselves included. */
export function affected(variables: readonly Variable[], changed: readonly string[]): Set<string> {
  const out = new Set(changed);
  for (let grew = true; grew;) {
    grew = false;
    for (const v of variables) if (!out.has(v.name) && dependsOn(v).some((d) => out.has(d))) { out.add(v.name); grew = true; }
  }
  return out;
}

async function resolveOne(v: Variable, c: VarContext, source: VariableSource, signal: AbortSignal): Promise<Variable> {
  switch (v.type) {
    case 'custom': {
      const options = customOptions(interpolate(typeof v.query === 'string' ? v.query : '', c));
      const list = options.length ? options : v.options;
      return { ...v, options: list, current: chooseCurrent(v, list) };
    }
    case 'interval': {
      const options = customOptions(typeof v.query === 'string' ? v.query : v.options.map((o) => o.value).join(',')).filter((o) => !o.value.startsWith('$__auto'));
      const marker = `$__auto_interval_${v.name}`;
      const all = v.auto ? [{ text: 'auto', value: marker }, ...options] : options;
      const saved = v.current.value[0] ?? '';
      const current = v.auto && saved.startsWith('$__auto') ? { text: ['auto'], value: [marker] } : chooseCurrent(v, all);
      return { ...v, options: all, current, autoText: autoInterval(v, c.range, tidyInterval, parseDuration) };
    }
    case 'datasource': {
      const plugin = typeof v.query === 'string' ? v.query : '', r = v.regex ? toRegExp(interpolate(v.regex, c)) : null;
      const fits = source.datasources().filter((d) => d.type === plugin && (!r || r.test(d.name)));
      fits.sort((a, b) => Number(b.isDefault) - Number(a.isDefault) || a.name.localeCompare(b.name));
      const options = fits.map((d) => ({ text: d.name, value: d.uid }));
      return { ...v, options, current: chooseCurrent(v, options) };
    }
    case 'textbox': case 'constant': {
      const q = typeof v.query === 'string' ? v.query : '';
      const value = v.type === 'constant' ? (q || v.current.value[0] || '') : (v.current.value[0] ?? q);
      return { ...v, options: [{ text: value, value }], current: { text: [value], value: [value] } };
    }
    case 'query': {
      const text = interpolate(queryText(v), c, 'query'), ref = v.datasource?.uid ? { ...v.datasource, uid: interpolate(v.datasource.uid, c) } : (v.datasource ?? null);
      const raw = await source.query(ref, text, v.query, c.range, signal);
      const options = sortOptions(applyRegex(raw, v.regex ? interpolate(v.regex, c) : ''), v.sort);
      return { ...v, options, current: chooseCurrent(v, options), problem: undefined };
    }
    case 'switch': return { ...v, current: v.current.value.length ? v.current : chooseCurrent(v, v.options) };
    default: return v;
  }
}

/** Resolves the named variables (default all) in dependency order. A failing query leaves its error on the variable. */
export async function resolveVariables(variables: readonly Variable[], base: Omit<VarContext, 'variables'>, source: VariableSource, signal: AbortSignal, only?: Set<string>): Promise<Variable[]> {
  let now = [...variables];
  for (const layer of layers(variables)) {
    const done = await Promise.all(layer.filter((v) => !only || only.has(v.name)).map(async (v) => {
      try {
        return await resolveOne(v, { ...base, variables: now }, source, signal);
      } catch (e) {
        if (signal.aborted) throw e;
        return { ...v, problem: e instanceof Error ? e.message : String(e), options: v.options, current: v.current };
      }
    }));
    const by = new Map(done.map((v) => [v.name, v]));
    now = now.map((v) => by.get(v.name) ?? v);
  }
  return now;
}

/** Takes `var-x` of a URL into the variables' current values. */
export function variablesFromUrl(variables: readonly Variable[], params: URLSearchParams): Variable[] {
  return variables.map((v) => {
    if (!params.has(`var-${v.name}`)) return v;
    const values = params.getAll(`var-${v.name}`);
    if (v.type === 'adhoc') return { ...v, filters: values.map((x) => x.split('|').map((s) => s.replace(/__gfp__/g, '|'))).filter((p) => p.length >= 3 && p[0]).map(([key, operator, ...value]) => ({ key: key!, operator: operator!, value: value.join('|') })) };
    const clean = values.filter((x) => x !== '').map((x) => (x === 'All' && v.includeAll ? allValue : x));
    const text = clean.map((x) => (x === allValue ? 'All' : (v.options.find((o) => o.value === x)?.text ?? x)));
    return { ...v, current: { value: v.type === 'textbox' ? [values[0] ?? ''] : clean, text: v.type === 'textbox' ? [values[0] ?? ''] : text }, fromUrl: true };
  });
}
