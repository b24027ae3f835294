// The Loki HTTP API behind the data source proxy; log answers as one frame of lines, metric answers as Prometheus ones.
import { field, type Frame, type Labels } from '../fields/frame';
import type { TimeRange } from '../time/range';
import { request, segment } from './http';
import type { PromData } from './prometheus';

export interface LogLine { id: string; timeMs: number; timeNs: string; line: string; labels: Labels; meta: Labels; level: Level }
export type Level = 'critical' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'unknown';
type StreamValue = [string, string] | [string, string, { structuredMetadata?: Labels; parsed?: Labels }];
export interface Stream { stream: Labels; values: StreamValue[] }
export type LokiData = { resultType: 'streams'; result: Stream[]; stats?: LokiStats } | (PromData & { stats?: LokiStats });
export interface LokiStats { summary?: { totalBytesProcessed?: number; totalLinesProcessed?: number; execTime?: number } }
export interface LokiAnswer { status: string; data: LokiData; warnings?: string[] }

const base = (uid: string): string => `/api/datasources/proxy/uid/${segment(uid)}/loki/api/v1`;
const ns = (ms: number): string => `${Math.round(ms)}000000`;

function get<T>(uid: string, path: string, p: Record<string, string | undefined>, signal?: AbortSignal): Promise<T> {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(p)) if (v !== undefined) q.set(k, v);
  return request<T>(`${base(uid)}/${path}?${q}`, { signal });
}

export const loki = {
  queryRange: (uid: string, query: string, r: { fromNs: string; toNs: string }, o: { limit?: number; direction?: string; step?: number }, signal?: AbortSignal) =>
    get<LokiAnswer>(uid, 'query_range', { query, start: r.fromNs, end: r.toNs, limit: o.limit === undefined ? undefined : String(o.limit), direction: o.direction, step: o.step === undefined ? undefined : String(o.step) }, signal),
  query: (uid: string, query: string, timeMs: number, limit: number | undefined, signal?: AbortSignal) => get<LokiAnswer>(uid, 'query', { query, time: ns(timeMs), limit: limit === undefined ? undefined : String(limit) }, signal),
  labels: (uid: string, r: TimeRange | null, query?: string, signal?: AbortSignal) => get<{ data?: string[] }>(uid, 'labels', { ...ends(r), query }, signal).then((x) => (x.data ?? []).filter((l) => !l.startsWith('__'))),
  labelValues: (uid: string, name: string, r: TimeRange | null, query?: string, signal?: AbortSignal) => get<{ data?: string[] }>(uid, `label/${segment(name)}/values`, { ...ends(r), query }, signal).then((x) => x.data ?? []),
  series: (uid: string, match: string, r: TimeRange | null, signal?: AbortSignal) => get<{ data?: Labels[] }>(uid, 'series', { ...ends(r), 'match[]': match }, signal).then((x) => x.data ?? []),
  tailUrl: (uid: string, query: string, startMs: number): string => {
    const u = new URL(`${base(uid)}/tail`, location.href);
    u.protocol = u.protocol === 'https:' ? 'wss:' : 'ws:';
    u.search = new URLSearchParams({ query, start: ns(startMs), limit: '100' }).toString();
    return u.toString();
  },
};

export const nsRange = (r: TimeRange): { fromNs: string; toNs: string } => ({ fromNs: ns(r.from), toNs: ns(r.to) });
const ends = (r: TimeRange | null): Record<string, string> => (r ? { start: ns(r.from), end: ns(r.to) } : {});

const levelNames: Record<string, Level> = {
  emerg: 'critical', fatal: 'critical', alert: 'critical', crit: 'critical', critical: 'critical', err: 'error', eror: 'error', error: 'error', warn: 'warn', wrn: 'warn', warning: 'warn', info: 'info', inf: 'info', information: 'info', informational: 'info', notice: 'info',
  dbug: 'debug', dbg: 'debug', debug: 'debug', trace: 'trace', trc: 'trace', unknown: 'unknown',
};
export const levels: Level[] = ['critical', 'error', 'warn', 'info', 'debug', 'trace', 'unknown'];
export const toLevel = (s: string | undefined): Level => levelNames[(s ?? '').toLowerCase()] ?? 'unknown';
const levelWord = /\b(critical|crit|fatal|emerg|error|err|warning|warn|info|notice|debug|dbg|trace)\b/i;
const levelField = /(?:"?(?:level|lvl|severity)"?\s*[:=]\s*"?)([a-z]+)/i;

/** Level of a line: its labels first, a level field in the text, then a word. */
export function levelOf(labels: Labels, meta: Labels, line: string): Level {
  for (const k of ['level', 'detected_level', 'lvl', 'severity', 'loglevel']) {
    const l = toLevel(labels[k] ?? meta[k]);
    if (l !== 'unknown') return l;
  }
  const f = levelField.exec(line);
  if (f && toLevel(f[1]) !== 'unknown') return toLevel(f[1]);
  return toLevel(levelWord.exec(line.slice(0, 400))?.[1]);
}

/** Lines of all streams in one list, newest or oldest first. Lines keep the API's nanosecond text. */
export function linesOf(streams: readonly Stream[], newestFirst = true): LogLine[] {
  const out: LogLine[] = [];
  const seen = new Map<string, number>();
  for (const s of streams) {
    const key = Object.entries(s.stream).map(([k, v]) => `${k}=${v}`).sort().join(',');
    for (const [t, line, more] of s.values) {
      const meta = { ...more?.structuredMetadata, ...more?.parsed }, id0 = `${t}|${key}|${line.length > 80 ? line.slice(0, 80) + line.length : line}`;
      const n = seen.get(id0) ?? 0;
      seen.set(id0, n + 1);
      out.push({ id: n ? `${id0}|${n}` : id0, timeMs: Number(t.slice(0, -6)) + Number(t.slice(-6)) / 1e6, timeNs: t, line, labels: s.stream, meta, level: levelOf(s.stream, meta, line) });
    }
  }
  const sign = newestFirst ? -1 : 1;
  return out.sort((a, b) => (a.timeNs.length - b.timeNs.length || (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0)) * sign);
}

/** Lines as a frame: Time, Line, labels, and the lines themselves for the logs panel. */
export function logsFrame(lines: LogLine[], refId: string): Frame {
  return { refId, length: lines.length, meta: { kind: 'logs', custom: { lines } }, fields: [field('Time', 'time', lines.map((l) => l.timeMs), { extra: lines.map((l) => l.timeNs) }), field('Line', 'string', lines.map((l) => l.line)), field('labels', 'other', lines.map((l) => l.labels)), field('id', 'string', lines.map((l) => l.id), { config: { custom: { hidden: true } } })] };
}

/** A query asks for lines unless a metric function stands around the selector. */
export function isLogsQuery(expr: string): boolean {
  const bare = expr.replace(/"(?:[^"\\]|\\.)*"|`[^`]*`/g, '""').replace(/#[^\n]*/g, '').trim();
  return bare.startsWith('{') && !/^\{[^}]*\}\s*\[/.test(bare);
}
