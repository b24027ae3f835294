// The Prometheus HTTP API behind the data source proxy, and its answers as frames.
import { seriesNames } from '../fields/apply';
import { field, type Field, type Frame, type Labels } from '../fields/frame';
import type { TimeRange } from '../time/range';
import { request, segment } from './http';

export type PromData =
  | { resultType: 'matrix'; result: { metric: Labels; values?: [number, string][]; histograms?: unknown[] }[] }
  | { resultType: 'vector'; result: { metric: Labels; value?: [number, string]; histogram?: unknown }[] }
  | { resultType: 'scalar' | 'string'; result: [number, string] };
export interface PromAnswer { status: string; data: PromData; warnings?: string[]; infos?: string[] }

const base = (uid: string): string => `/api/datasources/proxy/uid/${segment(uid)}/api/v1`;

export const num = (s: string): number => (s === '+Inf' || s === 'Inf' ? Infinity : s === '-Inf' ? -Infinity : Number(s));

/** Range ends aligned to the step, so that repeated asks give the same points. */
export function alignRange(r: TimeRange, stepSecs: number): { start: number; end: number } {
  return { start: Math.floor(r.from / 1000 / stepSecs) * stepSecs, end: Math.floor(r.to / 1000 / stepSecs) * stepSecs };
}

export const prom = {
  queryRange: (uid: string, query: string, start: number, end: number, step: number, signal?: AbortSignal) =>
    request<PromAnswer>(`${base(uid)}/query_range`, { form: new URLSearchParams({ query, start: String(start), end: String(end), step: String(step) }), signal }),
  query: (uid: string, query: string, time: number, signal?: AbortSignal) => request<PromAnswer>(`${base(uid)}/query`, { form: new URLSearchParams({ query, time: String(time) }), signal }),
  labels: (uid: string, match: string[], r: TimeRange | null, signal?: AbortSignal) => request<{ data: string[] }>(`${base(uid)}/labels?${params(match, r)}`, { signal }).then((x) => x.data ?? []),
  labelValues: (uid: string, name: string, match: string[], r: TimeRange | null, signal?: AbortSignal) => request<{ data: string[] }>(`${base(uid)}/label/${segment(name)}/values?${params(match, r)}`, { signal }).then((x) => x.data ?? []),
  series: (uid: string, match: string[], r: TimeRange | null, signal?: AbortSignal) => request<{ data: Labels[] }>(`${base(uid)}/series?${params(match, r)}`, { signal }).then((x) => x.data ?? []),
  metadata: (uid: string, signal?: AbortSignal) => request<{ data: Record<string, { type: string; help: string; unit?: string }[]> }>(`${base(uid)}/metadata`, { signal }).then((x) => x.data ?? {}),
};

function params(match: string[], r: TimeRange | null): URLSearchParams {
  const p = new URLSearchParams();
  for (const m of match) p.append('match[]', m);
  if (r) { p.set('start', String(Math.floor(r.from / 1000))); p.set('end', String(Math.ceil(r.to / 1000))); }
  return p;
}

/** A matrix as one frame a series on the full step grid: missing steps are null. */
export function matrixFrames(data: Extract<PromData, { resultType: 'matrix' }>, grid: { start: number; end: number; step: number }, refId: string, legend: string | undefined, expr: string): Frame[] {
  const { start, step } = grid;
  const n = Math.max(0, Math.floor((grid.end - start) / step + 1e-6) + 1);
  const times = Array.from({ length: n }, (_, i) => (start + i * step) * 1000);
  const names = seriesNames(legend, data.result.map((s) => s.metric), expr);
  return data.result.map((s, i) => {
    const values = new Array<number | null>(n).fill(null);
    for (const [t, v] of s.values ?? []) {
      const at = Math.round((t - start) / step);
      if (at >= 0 && at < n) values[at] = num(v);
    }
    return { refId, name: names[i], length: n, meta: { kind: 'series' as const }, fields: [field('Time', 'time', times), field('Value', 'number', values, { labels: s.metric, config: { displayNameFromDS: names[i] } })] };
  });
}

/** A vector (or scalar) as one-point series. */
export function vectorFrames(data: PromData, refId: string, legend: string | undefined, expr: string): Frame[] {
  if (data.resultType === 'scalar' || data.resultType === 'string') {
    const [t, v] = data.result;
    return [{ refId, name: expr, length: 1, meta: { kind: 'series' }, fields: [field('Time', 'time', [t * 1000]), data.resultType === 'string' ? field('Value', 'string', [v]) : field('Value', 'number', [num(v)], { labels: {}, config: { displayNameFromDS: legend && legend !== '__auto' ? legend : expr } })] }];
  }
  if (data.resultType !== 'vector') return [];
  const names = seriesNames(legend, data.result.map((s) => s.metric), expr);
  return data.result.flatMap((s, i): Frame[] => s.value ? [{ refId, name: names[i], length: 1, meta: { kind: 'series' }, fields: [field('Time', 'time', [s.value[0] * 1000]), field('Value', 'number', [num(s.value[1])], { labels: s.metric, config: { displayNameFromDS: names[i] } })] }] : []);
}

/** A vector or matrix as a table: Time, one column a label, the value column (`Value #A` when several queries share a panel). */
export function tableFrame(data: PromData, refId: string, several: boolean): Frame {
  const valueName = several ? `Value #${refId}` : 'Value';
  const rows: { t: number; m: Labels; v: number }[] = [];
  if (data.resultType === 'matrix') for (const s of data.result) for (const [t, v] of s.values ?? []) rows.push({ t: t * 1000, m: s.metric, v: num(v) });
  else if (data.resultType === 'vector') { for (const s of data.result) if (s.value) rows.push({ t: s.value[0] * 1000, m: s.metric, v: num(s.value[1]) }); }
  else rows.push({ t: data.result[0] * 1000, m: {}, v: num(data.result[1]) });
  const labels = [...new Set(rows.flatMap((r) => Object.keys(r.m)))].sort();
  const fields: Field[] = [field('Time', 'time', rows.map((r) => r.t)), ...labels.map((l) => field(l, 'string', rows.map((r) => r.m[l] ?? ''))), field(valueName, 'number', rows.map((r) => r.v))];
  return { refId, fields, length: rows.length, meta: { kind: 'table' } };
}

/** Cumulative `le` buckets as a heatmap: one numeric column per bucket, counts made separate again. */
export function heatmapFrame(data: PromData, grid: { start: number; end: number; step: number }, refId: string, legend: string | undefined): Frame {
  if (data.resultType !== 'matrix') return { refId, fields: [], length: 0 };
  const bound = (m: Labels): number => (m.le !== undefined ? num(m.le) : NaN);
  const sorted = [...data.result].sort((a, b) => bound(a.metric) - bound(b.metric));
  const cumulative = sorted.length > 0 && sorted.every((s) => s.metric.le !== undefined);
  const frames = matrixFrames({ resultType: 'matrix', result: sorted }, grid, refId, cumulative ? '{{le}}' : legend, '');
  const cols = frames.map((f) => f.fields[1]!);
  const fields = cols.map((c, i): Field => ({ ...c, name: cumulative ? (c.labels?.le ?? '') : (c.config.displayNameFromDS ?? ''), values: !cumulative || i === 0 ? c.values : c.values.map((v, j) => { const below = cols[i - 1]!.values[j]; return typeof v === 'number' ? Math.max(0, v - (typeof below === 'number' ? below : 0)) : v; }) }));
  return { refId, fields: frames.length ? [frames[0]!.fields[0]!, ...fields] : [], length: frames[0]?.length ?? 0, meta: { kind: 'heatmap', type: 'buckets', custom: { le: cumulative } } };
}
