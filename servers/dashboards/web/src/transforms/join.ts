// Transformations that bring several frames together by a key, by labels, or side by side.
import { baseName } from '../fields/apply';
import { field, guessType, type Field, type Frame, type Value } from '../fields/frame';
import { nameOf, withFields } from './columns';
import type { TransformFn } from './run';

/** Joins frames on a column: named, else the time column, else the first string column. Null when some frame lacks it. */
export function joinFrames(frames: readonly Frame[], by: string | undefined, mode: string): Frame | null {
  const keyOf = (f: Frame): Field | undefined => (by ? f.fields.find((x) => x.name === by || nameOf(x, f, frames) === by) : f.fields.find((x) => x.type === 'time'));
  const parts = frames.map((f) => ({ frame: f, key: keyOf(f) })).filter((p): p is { frame: Frame; key: Field } => !!p.key);
  if (!parts.length) return null;
  const isTime = parts[0]!.key.type === 'time';
  if (mode === 'outerTabular' || (!isTime && mode === 'outer' && parts.some((p) => new Set(p.key.values).size !== p.key.values.length))) return joinTabular(parts, frames);
  const rowsOf = parts.map((p) => new Map(p.key.values.map((v, i) => [v, i] as const)));
  let keys: Value[];
  if (mode === 'inner') keys = [...rowsOf[0]!.keys()].filter((k) => rowsOf.every((m) => m.has(k)));
  else {
    const set = new Set<Value>();
    for (const m of rowsOf) for (const k of m.keys()) set.add(k);
    keys = [...set];
  }
  if (isTime) keys.sort((a, b) => Number(a) - Number(b));
  const fields: Field[] = [{ ...parts[0]!.key, values: keys }];
  parts.forEach((p, i) => {
    for (const f of p.frame.fields) {
      if (f === p.key) continue;
      const name = baseName(f, p.frame, frames);
      fields.push({ ...f, name: f.name === 'Value' || f.name === 'value' ? name : f.name, config: { ...f.config, displayNameFromDS: f.config.displayNameFromDS ?? (f.labels ? name : undefined) }, values: keys.map((k) => { const row = rowsOf[i]!.get(k); return row === undefined ? null : f.values[row]; }) });
    }
  });
  return { refId: 'joined', fields, length: keys.length };
}

function joinTabular(parts: { frame: Frame; key: Field }[], frames: readonly Frame[]): Frame {
  let rows: Value[][] = parts[0]!.key.values.map((k, i) => [k, ...parts[0]!.frame.fields.filter((f) => f !== parts[0]!.key).map((f) => f.values[i])]);
  let width = parts[0]!.frame.fields.length;
  const heads: Field[] = [parts[0]!.key, ...parts[0]!.frame.fields.filter((f) => f !== parts[0]!.key)];
  for (const p of parts.slice(1)) {
    const others = p.frame.fields.filter((f) => f !== p.key), byKey = new Map<Value, number[]>();
    p.key.values.forEach((k, i) => byKey.set(k, [...(byKey.get(k) ?? []), i]));
    const used = new Set<Value>();
    rows = rows.flatMap((r) => { used.add(r[0]); return (byKey.get(r[0]) ?? [-1]).map((i) => [...r, ...others.map((f) => (i < 0 ? null : f.values[i]))]); });
    for (const [k, list] of byKey) if (!used.has(k)) for (const i of list) rows.push([k, ...new Array<Value>(width - 1).fill(null), ...others.map((f) => f.values[i])]);
    width += others.length;
    heads.push(...others);
  }
  return { refId: 'joined', fields: heads.map((h, c) => ({ ...h, name: h.name === 'Value' ? baseName(h, frames[0]!, frames) : h.name, values: rows.map((r) => r[c]) })), length: rows.length };
}

const joinByField: TransformFn = (frames, o) => {
  if (frames.length < 2) return frames;
  const joined = joinFrames(frames, o.byField, o.mode ?? 'outer');
  return joined ? [joined] : frames;
};

/** Rows of all frames in one table; rows that agree in every shared column become one row. */
export const merge: TransformFn = (input) => {
  const frames = input.filter((f) => f.fields.length);
  if (frames.length < 2) return frames.length ? frames : input;
  const names: string[] = [], proto = new Map<string, Field>(), owners = new Map<string, number>();
  for (const f of frames) for (const x of f.fields) {
    const name = f.fields.length && x.type === 'number' && x.labels ? baseName(x, f, frames) : x.name;
    if (!proto.has(name)) { names.push(name); proto.set(name, { ...x, name }); }
    owners.set(name, (owners.get(name) ?? 0) + 1);
  }
  const shared = names.filter((n) => owners.get(n) === frames.length && proto.get(n)!.type !== 'number');
  const rows: Map<string, Value>[] = [], index = new Map<string, Map<string, Value>[]>();
  for (const f of frames) {
    const cols = f.fields.map((x) => ({ name: x.type === 'number' && x.labels ? baseName(x, f, frames) : x.name, values: x.values }));
    for (let i = 0; i < f.length; i++) {
      const row = new Map(cols.map((c) => [c.name, c.values[i]] as const));
      const key = JSON.stringify(shared.map((n) => row.get(n) ?? null));
      const fit = shared.length ? (index.get(key) ?? []).find((r) => [...row].every(([n, v]) => !r.has(n) || r.get(n) === v)) : undefined;
      if (fit) for (const [n, v] of row) fit.set(n, v);
      else { rows.push(row); index.set(key, [...(index.get(key) ?? []), row]); }
    }
  }
  return [{ refId: 'merge', fields: names.map((n) => ({ ...proto.get(n)!, labels: undefined, values: rows.map((r) => (r.has(n) ? r.get(n) : null)) })), length: rows.length, meta: { kind: 'table' } }];
};

const concatenate: TransformFn = (frames, o) => {
  if (frames.length < 2) return frames;
  const length = Math.max(...frames.map((f) => f.length));
  const fields = frames.flatMap((f) => f.fields.map((x) => {
    const values = [...x.values, ...new Array<Value>(length - x.values.length).fill(null)];
    const fname = f.name ?? f.refId;
    if (o.frameNameMode === 'label' && fname) return { ...x, values, labels: { ...(x.labels ?? {}), [o.frameNameLabel || 'frame']: fname } };
    if (o.frameNameMode === 'field' && fname) return { ...x, values, name: `${fname} · ${x.name}` };
    return { ...x, values };
  }));
  return [{ refId: frames[0]!.refId, fields, length }];
};

const joinByLabels: TransformFn = (frames, o) => {
  const label: string = o.value ?? '';
  const rows = new Map<string, Map<string, Value>>(), cols: string[] = [], keys = new Set<string>();
  for (const f of frames) for (const x of f.fields) {
    if (x.type !== 'number' || !x.labels) continue;
    const col = x.labels[label] ?? x.name;
    const rest = Object.fromEntries(Object.entries(x.labels).filter(([k]) => k !== label && k !== '__name__' && (!o.join?.length || o.join.includes(k))));
    Object.keys(rest).forEach((k) => keys.add(k));
    const id = JSON.stringify(Object.entries(rest).sort());
    if (!rows.has(id)) rows.set(id, new Map<string, Value>(Object.entries(rest)));
    if (!cols.includes(col)) cols.push(col);
    rows.get(id)!.set(`value:${col}`, x.values.at(-1));
  }
  if (!rows.size) return frames;
  const list = [...rows.values()];
  return [{ refId: 'joined', fields: [...[...keys].map((k) => field(k, 'string', list.map((r) => r.get(k) ?? null))), ...cols.map((k) => { const v = list.map((r) => r.get(`value:${k}`) ?? null); return field(k, guessType(v), v); })], length: list.length }];
};

const fieldLookup: TransformFn = (frames) => frames; // needs a gazetteer of places: absent on purpose

export const joins: Record<string, TransformFn> = { joinByField, seriesToColumns: joinByField, merge, concatenate, joinByLabels, fieldLookup, append: (frames) => (frames.length ? [withFields(frames[0]!, frames[0]!.fields.map((f) => ({ ...f, values: frames.flatMap((x) => x.fields.find((y) => y.name === f.name)?.values ?? new Array<Value>(x.length).fill(null)) })))] : frames) };
