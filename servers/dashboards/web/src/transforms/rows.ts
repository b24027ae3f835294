// Transformations that choose, order, group or reduce rows.
import { baseName } from '../fields/apply';
import { toRegExp } from '../fields/display';
import { field, guessType, type Field, type Frame, type Value } from '../fields/frame';
import { reduce, reducerName, keepsUnit } from '../fields/reduce';
import { mergeAlike, nameOf, withFields, type Options } from './columns';
import type { TransformFn } from './run';

export function compareValues(a: Value, b: Value): number {
  const an = a === null || a === undefined || (typeof a === 'number' && Number.isNaN(a)), bn = b === null || b === undefined || (typeof b === 'number' && Number.isNaN(b));
  if (an || bn) return an === bn ? 0 : an ? -1 : 1;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

export function reorder(frame: Frame, rows: number[]): Frame {
  return { ...frame, fields: frame.fields.map((f) => ({ ...f, values: rows.map((i) => f.values[i]) })), length: rows.length };
}

const find = (frame: Frame, frames: readonly Frame[], name: string): Field | undefined => frame.fields.find((f) => nameOf(f, frame, frames) === name) ?? frame.fields.find((f) => f.name === name);

const sortBy: TransformFn = (frames, o) => frames.map((frame) => {
  const s = o.sort?.[0] ?? o.fields?.[0];
  const name = s?.field ?? s?.displayName, f = name ? find(frame, frames, name) : undefined;
  if (!f) return frame;
  const sign = s.desc ? -1 : 1;
  return reorder(frame, f.values.map((_, i) => i).sort((a, b) => sign * compareValues(f.values[a], f.values[b]) || a - b));
});

const limit: TransformFn = (frames, o, c) => frames.map((frame) => {
  const n = Number(c.interpolate(String(o.limitField ?? 10)));
  if (Number.isNaN(n)) return frame;
  const rows = Array.from({ length: frame.length }, (_, i) => i);
  return reorder(frame, n < 0 ? rows.slice(n) : rows.slice(0, n));
});

function rowFits(v: Value, config: { id?: string; options?: Options }, interpolate: (t: string) => string): boolean {
  const o = config.options ?? {};
  const right = typeof o.value === 'string' ? interpolate(o.value) : o.value;
  const n = Number(v), empty = v === null || v === undefined;
  switch (config.id) {
    case 'isNull': return empty;
    case 'isNotNull': return !empty;
    case 'equal': return typeof v === 'number' ? v === Number(right) : String(v) === String(right);
    case 'notEqual': return typeof v === 'number' ? v !== Number(right) : String(v) !== String(right);
    case 'greater': return !empty && n > Number(right);
    case 'greaterOrEqual': return !empty && n >= Number(right);
    case 'lower': return !empty && n < Number(right);
    case 'lowerOrEqual': return !empty && n <= Number(right);
    case 'range': case 'between': return !empty && n >= Number(o.from) && n <= Number(o.to);
    case 'regex': return !empty && (toRegExp(String(right))?.test(String(v)) ?? false);
    case 'substring': return !empty && String(v).toLowerCase().includes(String(right).toLowerCase());
    case 'notSubstring': return !String(v ?? '').toLowerCase().includes(String(right).toLowerCase());
    default: return true;
  }
}

const filterByValue: TransformFn = (frames, o, c) => frames.map((frame) => {
  const filters = (o.filters ?? []) as { fieldName: string; config: { id?: string; options?: Options } }[];
  if (!filters.length) return frame;
  const tests = filters.map((f) => ({ f: find(frame, frames, f.fieldName), config: f.config })).filter((t): t is { f: Field; config: { id?: string; options?: Options } } => !!t.f);
  if (!tests.length) return frame;
  const keep: number[] = [];
  for (let i = 0; i < frame.length; i++) {
    const hits = tests.map((t) => rowFits(t.f.values[i], t.config, c.interpolate));
    const hit = o.match === 'all' ? hits.every(Boolean) : hits.some(Boolean);
    if (hit === (o.type !== 'exclude')) keep.push(i);
  }
  return reorder(frame, keep);
});

interface GroupField { operation?: 'groupby' | 'aggregate' | null; aggregations?: string[] }

function groups(frame: Frame, keys: Field[]): Map<string, number[]> {
  const out = new Map<string, number[]>();
  for (let i = 0; i < frame.length; i++) {
    const id = JSON.stringify(keys.map((k) => k.values[i] ?? null));
    const g = out.get(id);
    if (g) g.push(i);
    else out.set(id, [i]);
  }
  return out;
}

const groupBy: TransformFn = (frames, o) => frames.map((frame) => {
  const spec = (f: Field): GroupField | undefined => o.fields?.[nameOf(f, frame, frames)] ?? o.fields?.[f.name];
  const keys = frame.fields.filter((f) => spec(f)?.operation === 'groupby');
  if (!keys.length) return frame;
  const sets = [...groups(frame, keys).values()];
  const fields: Field[] = keys.map((k) => ({ ...k, values: sets.map((s) => k.values[s[0]!]) }));
  for (const f of frame.fields) {
    const s = spec(f);
    if (s?.operation !== 'aggregate') continue;
    for (const a of s.aggregations ?? []) {
      const values = sets.map((set) => reduce(set.map((i) => f.values[i]), a));
      const type = ['first', 'last', 'firstNotNull', 'lastNotNull'].includes(a) ? f.type : guessType(values);
      fields.push({ name: `${nameOf(f, frame, frames)} (${a})`, type, values, config: keepsUnit(a) ? { ...f.config, displayName: undefined } : {} });
    }
  }
  return withFields(frame, fields);
});

/** Inner rows become one JSON-like cell, which the table shows as text. */
const groupToNestedTable: TransformFn = (frames, o) => frames.map((frame) => {
  const keys = frame.fields.filter((f) => o.fields?.[nameOf(f, frame, frames)]?.operation === 'groupby');
  if (!keys.length) return frame;
  const sets = [...groups(frame, keys).values()], rest = frame.fields.filter((f) => !keys.includes(f));
  return withFields(frame, [...keys.map((k) => ({ ...k, values: sets.map((s) => k.values[s[0]!]) })), field('Rows', 'string', sets.map((s) => s.map((i) => rest.map((f) => `${f.name}: ${String(f.values[i])}`).join(', ')).join('; ')))]);
});

const reduceOp: TransformFn = (frames, o) => {
  const ids: string[] = o.reducers?.length ? o.reducers : ['max'];
  if (o.mode === 'reduceFields') {
    return frames.map((frame) => {
      const fields = frame.fields.filter((f) => f.type !== 'time' || o.includeTimeField).flatMap((f) => ids.map((id) => ({ ...f, name: ids.length > 1 ? `${f.name} ${reducerName(id)}` : f.name, values: [reduce(f.values, id)] })));
      return withFields(frame, fields);
    });
  }
  const rows: { name: string; labels: Record<string, string>; values: Value[] }[] = [];
  let config = {};
  for (const frame of frames) for (const f of frame.fields) {
    if (f.type === 'time' && !o.includeTimeField) continue;
    if (o.labelsToFields ? false : f.type !== 'number' && frame.fields.some((x) => x.type === 'number') && frame.meta?.kind === 'series') continue;
    config = { ...f.config, displayName: undefined, displayNameFromDS: undefined };
    rows.push({ name: baseName(f, frame, frames), labels: f.labels ?? {}, values: ids.map((id) => reduce(f.values, id)) });
  }
  const labelNames = o.labelsToFields ? [...new Set(rows.flatMap((r) => Object.keys(r.labels)))].filter((k) => k !== '__name__') : [];
  const fields: Field[] = [field('Field', 'string', rows.map((r) => r.name)), ...labelNames.map((k) => field(k, 'string', rows.map((r) => r.labels[k] ?? '')))];
  ids.forEach((id, i) => { const values = rows.map((r) => r.values[i]); fields.push({ name: reducerName(id), type: guessType(values), values, config: keepsUnit(id) ? config : {} }); });
  return [{ refId: frames[0]?.refId, fields, length: rows.length, meta: { kind: 'table' } }];
};

const seriesToRows: TransformFn = (frames) => {
  const rows: [Value, string, Value][] = [];
  for (const frame of frames) {
    const time = frame.fields.find((f) => f.type === 'time');
    for (const f of frame.fields) if (f !== time && time) f.values.forEach((v, i) => rows.push([time.values[i], baseName(f, frame, frames), v]));
  }
  rows.sort((a, b) => Number(b[0]) - Number(a[0]));
  return [{ refId: frames[0]?.refId, fields: [field('Time', 'time', rows.map((r) => r[0])), field('Metric', 'string', rows.map((r) => r[1])), field('Value', 'number', rows.map((r) => r[2]))], length: rows.length, meta: { kind: 'table' } }];
};

export const rowsOps: Record<string, TransformFn> = { sortBy, limit, filterByValue, groupBy, groupToNestedTable, reduce: reduceOp, seriesToRows, mergeAlike: (f) => mergeAlike(f) };
