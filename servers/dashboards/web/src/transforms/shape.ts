// Transformations that turn the shape of frames: matrix, transpose, histogram, heatmap, time series, config from data.
import { baseName, setProperty } from '../fields/apply';
import { field, guessType, type Field, type FieldConfig, type Frame, type Value } from '../fields/frame';
import { reduce } from '../fields/reduce';
import { nameOf, rename, withFields } from './columns';
import { joinFrames } from './join';
import type { TransformFn } from './run';

const byName = (frame: Frame, frames: readonly Frame[], name: string | undefined): Field | undefined => (name ? frame.fields.find((f) => f.name === name || nameOf(f, frame, frames) === name) : undefined);

const groupingToMatrix: TransformFn = (frames, o) => {
  const frame = frames[0];
  if (!frame) return frames;
  const row = byName(frame, frames, o.rowField ?? 'Time'), col = byName(frame, frames, o.columnField ?? 'Time'), val = byName(frame, frames, o.valueField ?? 'Value');
  if (!row || !col || !val) return frames;
  const empty: Value = o.emptyValue === 'zero' ? 0 : o.emptyValue === 'null' ? null : o.emptyValue === 'true' ? true : o.emptyValue === 'false' ? false : o.emptyValue === 'empty' || o.emptyValue === undefined ? '' : null;
  const rows = [...new Set(row.values)], cols = [...new Set(col.values)];
  const at = new Map<string, Value>();
  for (let i = 0; i < frame.length; i++) at.set(JSON.stringify([row.values[i], col.values[i]]), val.values[i]);
  const fields: Field[] = [{ ...row, name: `${row.name}\\${col.name}`, values: rows }];
  for (const c of cols) fields.push({ name: String(c), type: val.type, config: { ...val.config, displayNameFromDS: undefined }, values: rows.map((r) => { const k = JSON.stringify([r, c]); return at.has(k) ? at.get(k) : empty; }) });
  return [withFields(frame, fields)];
};

const rowsToFields: TransformFn = (frames, o) => frames.map((frame) => {
  const handlers: Record<string, string> = Object.fromEntries((o.mappings ?? []).map((m: { fieldName: string; handlerKey?: string }) => [m.fieldName, m.handlerKey ?? 'none']));
  const entries = frame.fields.map((f) => ({ f, name: nameOf(f, frame, frames) }));
  const nameField = entries.find((e) => handlers[e.name] === 'field.name')?.f ?? frame.fields.find((f) => f.type === 'string');
  const valueField = entries.find((e) => handlers[e.name] === 'field.value')?.f ?? frame.fields.find((f) => f.type === 'number');
  if (!nameField || !valueField) return frame;
  const fields = nameField.values.map((n, i): Field => {
    const config: FieldConfig = { ...valueField.config };
    const labels: Record<string, string> = {};
    for (const e of entries) {
      if (e.f === nameField || e.f === valueField) continue;
      const h = handlers[e.name], v = e.f.values[i];
      if (!h || h === 'none' || h === '__ignore') { if (e.f.type === 'string') labels[e.name] = String(v ?? ''); } else setProperty(config, h === 'color' ? 'color' : h, h === 'color' ? { mode: 'fixed', fixedColor: String(v) } : v);
    }
    return { name: String(n), type: valueField.type, values: [valueField.values[i]], config, labels: Object.keys(labels).length ? labels : undefined };
  });
  return { ...frame, fields, length: fields.length ? 1 : 0 };
});

const transpose: TransformFn = (frames, o) => frames.map((frame) => {
  const [first, ...rest] = frame.fields;
  if (!first) return frame;
  const fields: Field[] = [field(o.firstFieldName || first.name, 'string', rest.map((f) => nameOf(f, frame, frames)))];
  first.values.forEach((v, row) => { const values = rest.map((f) => f.values[row]); fields.push(field(String(v), guessType(values), values)); });
  return withFields(frame, fields);
});

export interface Bucket { from: number; to: number }

/** Bucket edges for values: given size, else about `count` tidy ones. */
export function bucketSizeFor(lo: number, hi: number, size: number | undefined | null, count = 30): number {
  if (size && size > 0) return size;
  const raw = (hi - lo || Math.abs(hi) || 1) / Math.max(1, count), mag = 10 ** Math.floor(Math.log10(raw)), n = raw / mag;
  return (n <= 1 ? 1 : n <= 2 ? 2 : n <= 2.5 ? 2.5 : n <= 5 ? 5 : 10) * mag;
}

/** Counts per bucket for every numeric column: frame with `xMin`, `xMax` and one count column each. */
export function histogramOf(frames: readonly Frame[], o: { bucketSize?: number; bucketOffset?: number; bucketCount?: number; combine?: boolean }): Frame | null {
  const cols = frames.flatMap((frame) => frame.fields.filter((f) => f.type === 'number').map((f) => ({ f, name: nameOf(f, frame, frames) })));
  let lo = Infinity, hi = -Infinity;
  for (const { f } of cols) for (const v of f.values) if (typeof v === 'number' && Number.isFinite(v)) { if (v < lo) lo = v; if (v > hi) hi = v; }
  if (!Number.isFinite(lo)) return null;
  const size = bucketSizeFor(lo, hi, o.bucketSize, o.bucketCount), off = o.bucketOffset ?? 0;
  const start = Math.floor((lo - off) / size) * size + off, n = Math.min(10000, Math.floor((hi - start) / size) + 1);
  const counts = cols.map(({ f }) => { const c = new Array<number>(n).fill(0); for (const v of f.values) if (typeof v === 'number' && Number.isFinite(v)) c[Math.min(n - 1, Math.floor((v - start) / size))]!++; return c; });
  const edges = Array.from({ length: n }, (_, i) => start + i * size), config = { ...cols[0]!.f.config, displayName: undefined, displayNameFromDS: undefined };
  const series = o.combine ? [{ name: 'Count', values: edges.map((_, i) => counts.reduce((s, c) => s + c[i]!, 0)), config: {} as FieldConfig }] : cols.map((c, i) => ({ name: c.name, values: counts[i]!, config: { ...c.f.config, unit: undefined, displayNameFromDS: undefined, displayName: c.name } }));
  return { fields: [{ name: 'xMin', type: 'number', values: edges, config }, { name: 'xMax', type: 'number', values: edges.map((e) => e + size), config }, ...series.map((s) => ({ name: s.name, type: 'number' as const, values: s.values, config: s.config }))], length: n, meta: { type: 'histogram' } };
}

const histogram: TransformFn = (frames, o) => { const h = histogramOf(frames, o); return h ? [h] : []; };

/** Values over time counted in a grid: `x` bucket start, `y` bucket start, `count`. */
export function heatmapOf(frames: readonly Frame[], o: { xSize?: number; ySize?: number; xCount?: number; yCount?: number }): Frame | null {
  let tLo = Infinity, tHi = -Infinity, lo = Infinity, hi = -Infinity;
  const points: [number, number][] = [];
  for (const f of frames) {
    const t = f.fields.find((x) => x.type === 'time');
    if (!t) continue;
    for (const x of f.fields) if (x.type === 'number') x.values.forEach((v, i) => {
      const at = t.values[i];
      if (typeof v !== 'number' || !Number.isFinite(v) || typeof at !== 'number') return;
      points.push([at, v]);
      tLo = Math.min(tLo, at); tHi = Math.max(tHi, at); lo = Math.min(lo, v); hi = Math.max(hi, v);
    });
  }
  if (!points.length) return null;
  const xs = o.xSize ?? Math.max(1, Math.ceil((tHi - tLo + 1) / (o.xCount ?? 30))), ys = bucketSizeFor(lo, hi, o.ySize, o.yCount ?? 15);
  const cells = new Map<string, [number, number, number]>();
  for (const [t, v] of points) {
    const x = Math.floor(t / xs) * xs, y = Math.floor(v / ys) * ys, k = `${x}|${y}`, c = cells.get(k);
    if (c) c[2]++;
    else cells.set(k, [x, y, 1]);
  }
  const list = [...cells.values()].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return { fields: [field('x', 'time', list.map((c) => c[0])), field('y', 'number', list.map((c) => c[1])), field('count', 'number', list.map((c) => c[2]))], length: list.length, meta: { kind: 'heatmap', type: 'cells', custom: { xSize: xs, ySize: ys } } };
}

const heatmap: TransformFn = (frames, o) => {
  const size = (b: { mode?: string; value?: string } | undefined) => (b?.mode === 'size' && b.value ? Number(b.value) : undefined), count = (b: { mode?: string; value?: string } | undefined) => (b?.mode === 'count' && b.value ? Number(b.value) : undefined);
  const h = heatmapOf(frames, { xSize: size(o.xBuckets), ySize: size(o.yBuckets), xCount: count(o.xBuckets), yCount: count(o.yBuckets) });
  return h ? [h] : frames;
};

const prepareTimeSeries: TransformFn = (frames, o) => {
  if (o.format === 'wide' || o.format === undefined) { const j = joinFrames(frames, undefined, 'outer'); return j ? [j] : frames; }
  return partition(frames, (frame) => frame.fields.filter((f) => f.type === 'string'));
};

function partition(frames: readonly Frame[], keysOf: (f: Frame) => Field[], keep = false): Frame[] {
  return frames.flatMap((frame) => {
    const keys = keysOf(frame);
    if (!keys.length) return frame;
    const sets = new Map<string, number[]>();
    for (let i = 0; i < frame.length; i++) { const id = JSON.stringify(keys.map((k) => k.values[i])); const s = sets.get(id); if (s) s.push(i); else sets.set(id, [i]); }
    return [...sets.values()].map((rows): Frame => {
      const labels = Object.fromEntries(keys.map((k) => [k.name, String(k.values[rows[0]!])]));
      const fields = frame.fields.filter((f) => keep || !keys.includes(f)).map((f) => ({ ...f, labels: f.type === 'number' ? { ...(f.labels ?? {}), ...labels } : f.labels, values: rows.map((r) => f.values[r]) }));
      return { ...frame, name: Object.values(labels).join(' '), fields, length: rows.length };
    });
  });
}

const partitionByValues: TransformFn = (frames, o) => partition(frames, (frame) => (o.fields ?? []).map((n: string) => byName(frame, frames, n)).filter(Boolean), !!o.keepFields);

/** One row a series with its labels, a trend cell (the values) and a reduced value. */
const timeSeriesTable: TransformFn = (frames, o) => {
  const refs = [...new Set(frames.map((f) => f.refId ?? 'A'))];
  return refs.map((ref) => {
    const series = frames.filter((f) => (f.refId ?? 'A') === ref).flatMap((frame) => frame.fields.filter((f) => f.type === 'number').map((f) => ({ f, frame })));
    const names = [...new Set(series.flatMap((s) => Object.keys(s.f.labels ?? {})))].filter((k) => k !== '__name__');
    const stat = o[ref]?.stat ?? 'lastNotNull';
    const fields = names.length ? names.map((n) => field(n, 'string', series.map((s) => s.f.labels?.[n] ?? ''))) : [field('Name', 'string', series.map((s) => baseName(s.f, s.frame, frames)))];
    fields.push({ name: refs.length > 1 ? `Trend #${ref}` : 'Trend', type: 'other', values: series.map((s) => s.f.values as unknown as object), config: { ...series[0]?.f.config, displayNameFromDS: undefined, displayName: undefined }, extra: series.map((s) => reduce(s.f.values, stat)) });
    return { refId: ref, fields, length: series.length, meta: { kind: 'table' as const } };
  });
};

const configFromData: TransformFn = (frames, o) => {
  const source = frames.find((f) => f.refId === (o.configRefId ?? 'config'));
  if (!source) return frames;
  const props: [string, unknown][] = [];
  for (const f of source.fields) {
    const m = (o.mappings ?? []).find((x: { fieldName: string }) => x.fieldName === f.name);
    const key = m?.handlerKey ?? (['min', 'max', 'unit', 'decimals', 'displayName', 'color'].includes(f.name) ? f.name : null);
    if (!key || key === '__ignore') continue;
    const v = reduce(f.values, m?.reducerId ?? 'lastNotNull');
    props.push(/^threshold/.test(key) ? ['thresholds', { mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: v, color: 'red' }] }] : key === 'color' ? ['color', { mode: 'fixed', fixedColor: String(v) }] : [key, v]);
  }
  const fits = (name: string): boolean => !o.applyTo?.options || o.applyTo.id !== 'byName' || o.applyTo.options === name;
  return frames.filter((f) => f !== source).map((frame) => withFields(frame, frame.fields.map((f) => {
    if (f.type === 'time' || !fits(f.name)) return f;
    const config = { ...f.config };
    for (const [k, v] of props) setProperty(config, k, v);
    return { ...f, config };
  })));
};

const regression: TransformFn = (frames, o) => frames.flatMap((frame) => {
  const x = byName(frame, frames, o.xFieldName) ?? frame.fields.find((f) => f.type === 'time'), y = byName(frame, frames, o.yFieldName) ?? frame.fields.find((f) => f.type === 'number');
  if (!x || !y) return [frame];
  const pts = x.values.map((v, i) => [Number(v), y.values[i]] as [number, Value]).filter((p): p is [number, number] => typeof p[1] === 'number' && Number.isFinite(p[1]));
  if (pts.length < 2) return [frame];
  const x0 = pts[0]![0], n = pts.length;
  let sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (const [a, b] of pts) { const d = a - x0; sx += d; sy += b; sxx += d * d; sxy += d * b; }
  const slope = (n * sxy - sx * sy) / (n * sxx - sx * sx || 1), base = (sy - slope * sx) / n;
  return [frame, { ...frame, name: 'linear regression', fields: [x, { ...rename(y, `${nameOf(y, frame, frames)} (linear)`), values: x.values.map((v) => base + slope * (Number(v) - x0)) }] }];
});

const smoothing: TransformFn = (frames, o) => frames.map((frame) => withFields(frame, frame.fields.map((f) => {
  if (f.type !== 'number') return f;
  const w = Math.max(1, Math.round(frame.length * (1 - Math.min(0.99, (o.resolution ?? 100) / Math.max(frame.length, 1)))));
  const half = Math.min(10, Math.floor(w / 2));
  return { ...f, values: f.values.map((_, i) => reduce(f.values.slice(Math.max(0, i - half), i + half + 1), 'mean')) };
})));

const convertFrameType: TransformFn = (frames) => frames;

export const shapes: Record<string, TransformFn> = { groupingToMatrix, rowsToFields, transpose, histogram, heatmap, prepareTimeSeries, partitionByValues, timeSeriesTable, configFromData, regression, smoothing, convertFrameType };
