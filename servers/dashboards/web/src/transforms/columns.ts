// Transformations that choose, rename, order or convert columns and leave rows as they are.
import { baseName } from '../fields/apply';
import { toRegExp } from '../fields/display';
import { field, guessType, type Field, type FieldType, type Frame, type Value } from '../fields/frame';
import { formatPattern } from '../time/format';
import { parseTime } from '../time/range';
import type { TransformFn } from './run';

// Options come from dashboard files: any shape is possible, so every read is checked where it is made.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Options = Record<string, any>;

export const nameOf = (f: Field, frame: Frame, all: readonly Frame[]): string => f.config.displayName ?? baseName(f, frame, all);
export const withFields = (frame: Frame, fields: Field[]): Frame => ({ ...frame, fields, length: fields[0]?.values.length ?? 0 });
export const rename = (f: Field, name: string): Field => ({ ...f, name, config: { ...f.config, displayName: name, displayNameFromDS: undefined } });

const organize: TransformFn = (frames, o) => frames.map((frame) => {
  const exclude = o.excludeByName ?? {}, include = o.includeByName ?? {}, order = o.indexByName ?? {}, renames = o.renameByName ?? {};
  const named = frame.fields.map((f) => ({ f, name: nameOf(f, frame, frames) }));
  const any = Object.values(include).some(Boolean);
  const key = (x: { f: Field; name: string }, table: Options) => table[x.name] ?? table[x.f.name];
  let kept = named.filter((x) => !key(x, exclude) && (!any || key(x, include)));
  if (Object.keys(order).length) kept = kept.map((x, i) => ({ ...x, i })).sort((a, b) => (key(a, order) ?? 999 + (a as { i: number }).i) - (key(b, order) ?? 999 + (b as { i: number }).i));
  return withFields(frame, kept.map((x) => { const to = key(x, renames); return to ? rename(x.f, String(to)) : x.f; }));
});

const filterFieldsByName: TransformFn = (frames, o, c) => {
  const pick = (spec: Options | undefined, name: string): boolean => {
    if (!spec) return false;
    const names: string[] = Array.isArray(spec.names) ? spec.names : [];
    return names.includes(name) || (!!spec.pattern && (toRegExp(c.interpolate(spec.pattern))?.test(name) ?? false));
  };
  return frames.map((frame) => withFields(frame, frame.fields.filter((f) => {
    const name = nameOf(f, frame, frames);
    const hasInclude = o.include && (o.include.names?.length || o.include.pattern);
    const ok = hasInclude ? pick(o.include, name) || pick(o.include, f.name) : true;
    return ok && !(o.exclude && (pick(o.exclude, name) || pick(o.exclude, f.name)));
  }))).filter((f) => f.fields.length);
};

const renameByRegex: TransformFn = (frames, o) => {
  const r = toRegExp(o.regex ?? '');
  if (!r) return frames;
  const all = new RegExp(r.source, r.flags.replace('g', '') + 'g');
  return frames.map((frame) => withFields(frame, frame.fields.map((f) => {
    const name = nameOf(f, frame, frames);
    if (f.type === 'time' && name === f.name && !all.test(name)) return f;
    const to = name.replace(new RegExp(all.source, all.flags), o.renamePattern ?? '');
    return to === name ? f : rename(f, to);
  })));
};

const filterByRefId: TransformFn = (frames, o) => {
  const text = String(o.include ?? '').replace(/^\/(?:\^)?\(?(.*?)\)?(?:\$)?\/$/, '$1');
  if (!text) return frames;
  const names = new Set(text.split('|'));
  return frames.filter((f) => names.has(f.refId ?? ''));
};

function convert(v: Value, type: FieldType, o: Options, zone: string): Value {
  if (v === null || v === undefined) return null;
  switch (type) {
    case 'number': { if (typeof v === 'number') return v; const n = Number(String(v).replace(/,/g, '')); return String(v).trim() === '' || Number.isNaN(n) ? null : n; }
    case 'string': return o.dateFormat && typeof v === 'number' ? formatPattern(v, o.dateFormat, zone) : typeof v === 'object' ? JSON.stringify(v) : String(v);
    case 'boolean': return typeof v === 'string' ? !(v === '' || v === 'false' || v === '0') : Boolean(v);
    case 'time': return typeof v === 'number' ? v : parseTime(String(v), { now: Date.now(), zone }, false);
    case 'other': { if (typeof v !== 'string') return v; try { return JSON.parse(v) as Value; } catch { return null; } }
  }
}

const convertFieldType: TransformFn = (frames, o, c) => frames.map((frame) => withFields(frame, frame.fields.map((f) => {
  const rule = (o.conversions ?? []).find((x: Options) => x.targetField === f.name || x.targetField === nameOf(f, frame, frames));
  const to = rule?.destinationType === 'complex' ? 'other' : rule?.destinationType;
  return to ? { ...f, type: to as FieldType, values: f.values.map((v) => convert(v, to as FieldType, rule, c.zone)) } : f;
})));

const formatString: TransformFn = (frames, o) => frames.map((frame) => withFields(frame, frame.fields.map((f) => {
  if (f.name !== o.stringField && nameOf(f, frame, frames) !== o.stringField) return f;
  const fn = (s: string): string => {
    switch (o.outputFormat) {
      case 'Upper Case': return s.toUpperCase();
      case 'Lower Case': return s.toLowerCase();
      case 'Sentence Case': return s.charAt(0).toUpperCase() + s.slice(1);
      case 'First Letter': return s.charAt(0);
      case 'Title Case': return s.replace(/\w\S*/g, (w) => w[0]!.toUpperCase() + w.slice(1).toLowerCase());
      case 'Snake Case': return s.trim().replace(/[\s-]+/g, '_').toLowerCase();
      case 'Kebab Case': return s.trim().replace(/[\s_]+/g, '-').toLowerCase();
      case 'Trim': return s.trim();
      case 'Substring': return s.substring(o.substringStart ?? 0, o.substringEnd ?? s.length);
      default: return s;
    }
  };
  return { ...f, type: 'string', values: f.values.map((v) => (v === null || v === undefined ? v : fn(String(v)))) };
})));

const formatTimeOp: TransformFn = (frames, o, c) => frames.map((frame) => withFields(frame, frame.fields.map((f) => {
  if (f.name !== o.timeField && nameOf(f, frame, frames) !== o.timeField) return f;
  return { ...f, type: 'string', values: f.values.map((v) => (typeof v === 'number' ? formatPattern(v, o.outputFormat || 'YYYY-MM-DD HH:mm:ss', o.timezone || c.zone) : v)) };
})));

function parseFields(text: string, format: string, o: Options): Record<string, Value> {
  const out: Record<string, Value> = {};
  if (format === 'kvp') {
    for (const [, k, q, bare] of text.matchAll(/([^\s,;=]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,;]*))/g)) out[k!] = q ?? bare ?? '';
  } else if (format === 'delimiter') {
    text.split(o.delimiter || ',').forEach((x, i) => { out[String(i)] = x.trim(); });
  } else if (format === 'regexp') {
    const m = toRegExp(o.regExp ?? '')?.exec(text);
    if (m?.groups) Object.assign(out, m.groups);
  } else {
    try {
      const j = JSON.parse(text) as unknown;
      if (j && typeof j === 'object') {
        if (Array.isArray(o.jsonPaths) && o.jsonPaths.length) {
          for (const p of o.jsonPaths as { path: string; alias?: string }[]) out[p.alias || p.path] = p.path.split('.').reduce<unknown>((at, k) => (at && typeof at === 'object' ? (at as Record<string, unknown>)[k] : undefined), j) as Value;
        } else Object.assign(out, j);
      }
    } catch { /* not JSON: no fields */ }
  }
  return out;
}

const extractFields: TransformFn = (frames, o) => frames.map((frame) => {
  const src = frame.fields.find((f) => f.name === o.source || nameOf(f, frame, frames) === o.source);
  if (!src) return frame;
  const cols = new Map<string, Value[]>();
  src.values.forEach((v, row) => {
    const format = o.format && o.format !== 'auto' ? o.format : typeof v === 'string' && v.trim().startsWith('{') ? 'json' : 'kvp';
    const obj = v && typeof v === 'object' ? (v as Record<string, Value>) : parseFields(String(v ?? ''), format, o);
    for (const [k, x] of Object.entries(obj)) {
      if (!cols.has(k)) cols.set(k, new Array<Value>(frame.length).fill(null));
      cols.get(k)![row] = x;
    }
  });
  const extracted = [...cols].map(([name, values]) => field(name, guessType(values), values));
  const kept = o.replace ? (o.keepTime ? frame.fields.filter((f) => f.type === 'time') : []) : frame.fields;
  return withFields(frame, [...kept, ...extracted]);
});

const labelsToFields: TransformFn = (frames, o) => {
  const keep = Array.isArray(o.keepLabels) && o.keepLabels.length ? new Set<string>(o.keepLabels) : null;
  if (o.mode === 'rows') {
    return frames.map((frame) => {
      const rows = frame.fields.flatMap((f) => Object.entries(f.labels ?? {}).filter(([k]) => !keep || keep.has(k)));
      return { ...frame, fields: [field('label', 'string', rows.map(([k]) => k)), field('value', 'string', rows.map(([, v]) => v))], length: rows.length };
    });
  }
  const out = frames.map((frame) => {
    const extra = new Map<string, string>();
    const fields = frame.fields.map((f) => {
      if (!f.labels) return f;
      for (const [k, v] of Object.entries(f.labels)) if (k !== '__name__' && (!keep || keep.has(k)) && k !== o.valueLabel) extra.set(k, v);
      const valueName = o.valueLabel && f.labels[o.valueLabel];
      return { ...f, name: valueName || f.labels.__name__ || f.name, labels: undefined, config: { ...f.config, displayNameFromDS: undefined } };
    });
    const times = fields.filter((f) => f.type === 'time'), rest = fields.filter((f) => f.type !== 'time');
    return withFields(frame, [...times, ...[...extra].map(([k, v]) => field(k, 'string', new Array<Value>(frame.length).fill(v))), ...rest]);
  });
  return mergeAlike(out);
};

/** Frames with the same column names become one, rows after rows. */
export function mergeAlike(frames: Frame[]): Frame[] {
  const groups = new Map<string, Frame[]>();
  for (const f of frames) {
    const key = f.fields.map((x) => `${x.name}:${x.type}`).join('|');
    groups.set(key, [...(groups.get(key) ?? []), f]);
  }
  return [...groups.values()].map((g) => (g.length === 1 ? g[0]! : withFields(g[0]!, g[0]!.fields.map((f, i) => ({ ...f, values: g.flatMap((x) => x.fields[i]!.values) })))));
}

export const columns: Record<string, TransformFn> = { organize, filterFieldsByName, renameByRegex, filterByRefId, convertFieldType, formatString, formatTime: formatTimeOp, extractFields, labelsToFields };
