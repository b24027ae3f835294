// A panel's queries: from targets, variables and range to requests, from answers to frames. `planPanel` is pure and tells what
// will be asked (its `key` decides whether to ask again); `runPlan` asks.
import { alignRange, heatmapFrame, matrixFrames, prom, tableFrame, vectorFrames, type PromData } from '../api/prometheus';
import { isLogsQuery, linesOf, logsFrame, loki, nsRange } from '../api/loki';
import type { DataSource } from '../api/own';
import { errorText, isAbort } from '../api/http';
import type { Frame } from '../fields/frame';
import { num, str } from '../model/read';
import type { DsRef, Panel, Target } from '../model/types';
import { parseDuration, tidyInterval, type TimeRange } from '../time/range';
import { addFilters } from '../vars/adhoc';
import { interpolate, unresolved, type VarContext } from '../vars/interpolate';

export interface PlannedQuery { refId: string; source: DataSource; expr: string; legend?: string; instant: boolean; range: boolean; format: string; stepMs: number; maxLines: number; direction: string; target: Target; shared: boolean }
export interface Plan { queries: PlannedQuery[]; range: TimeRange; problems: string[]; waiting: string | null; reuse?: { panelId: number; withTransforms: boolean }; key: string; stepMs: number }
export interface PlanContext extends VarContext { find: (ref: DsRef | null) => DataSource | undefined; points: number }

export const isMixed = (r: DsRef | null | undefined): boolean => r?.uid === '-- Mixed --';
const isOwn = (r: DsRef | null | undefined): boolean => r?.uid === '-- Grafana --' || r?.uid === 'grafana' || r?.type === 'grafana';
export const isReuse = (r: DsRef | null | undefined): boolean => r?.uid === '-- Dashboard --' || r?.type === '-- Dashboard --';

/** The reference with variables filled in. */
export const fillRef = (r: DsRef | null | undefined, c: VarContext): DsRef | null => (r?.uid ? { ...r, uid: interpolate(r.uid.replace(/\$\{(\w+)\}|\$(\w+)/g, (_, a?: string, b?: string) => `\${${a ?? b}:raw}`), c) } : (r ?? null));

const maxPoints = 11000;

export function planPanel(panel: Panel, c: PlanContext): Plan {
  const problems: string[] = [], queries: PlannedQuery[] = [];
  let waiting: string | null = null;
  const base: Omit<Plan, 'key'> = { queries, range: c.range, problems, waiting, stepMs: 60000 };
  if (isReuse(panel.datasource) || panel.targets.some((t) => isReuse(t.datasource))) {
    const t = panel.targets[0];
    return { ...base, reuse: { panelId: num(t?.panelId, 0), withTransforms: t?.withTransforms === true }, key: `reuse-${String(t?.panelId)}` };
  }
  const rangeMs = c.range.to - c.range.from, several = panel.targets.filter((t) => !t.hide && t.format === 'table').length > 1;
  for (const t of panel.targets) {
    if (t.hide) continue;
    const ref = t.datasource && !isMixed(t.datasource) ? t.datasource : isMixed(panel.datasource) ? null : panel.datasource;
    const filled = fillRef(ref, c);
    if (ref?.uid && unresolved(ref.uid, c)) { waiting = unresolved(ref.uid, c); continue; }
    if (filled?.uid === '__expr__' || filled?.type === '__expr__') { problems.push(`${t.refId}: expressions are evaluated in alert rules, not in panels`); continue; }
    if (isOwn(filled)) { if (panel.targets.length === 1 && !str(t.expr)) problems.push(`${t.refId}: the built-in sample data source is not available`); continue; }
    const source = c.find(filled), text = str(t.expr) || str(t.query);
    if (!source) { problems.push(`${t.refId}: there is no data source${filled?.uid ? ` "${filled.uid}"` : ''}${filled?.type ? ` of type ${filled.type}` : ''}`); continue; }
    if (source.type !== 'prometheus' && source.type !== 'loki') { problems.push(`${t.refId}: data sources of type ${source.type} are not supported`); continue; }
    if (!text.trim()) continue;
    const fillText = (s: string | undefined) => (s ? interpolate(s, c) : undefined);
    const dsInterval = parseDuration(source.jsonData?.timeInterval) ?? (source.type === 'loki' ? 1000 : 15000);
    const own = parseDuration(fillText(str(t.interval))) ?? (t.step ? num(t.step, 0) * 1000 : 0), panelMin = parseDuration(fillText(panel.interval)) ?? 0;
    const minStep = own || panelMin || dsInterval;
    const intervalMs = tidyInterval(rangeMs, panel.maxDataPoints ?? c.points, source.type === 'loki' ? Math.max(own, panelMin, 1000) : panelMin || own || dsInterval);
    let stepMs = Math.max(intervalMs * Math.max(1, num(t.intervalFactor, 1)), own, Math.ceil(rangeMs / maxPoints), 1);
    if (source.type === 'loki') { const fixed = parseDuration(fillText(str(t.step))); stepMs = Math.max(1000, fixed ?? intervalMs * Math.max(1, num(t.resolution, 1))); }
    if (stepMs >= 1000) stepMs = Math.ceil(stepMs / 1000) * 1000;
    const queryContext: VarContext = { ...c, intervalMs: stepMs, scrapeMs: own || panelMin || dsInterval || minStep };
    const missing = unresolved(text, c);
    if (missing) { waiting = missing; continue; }
    const instant = source.type === 'loki' ? t.queryType === 'instant' || t.instant === true : t.instant === true && t.range !== true, both = source.type === 'prometheus' && t.instant === true && t.range === true;
    let expr = text;
    if (source.type === 'loki') expr = expr.replace(/\$__auto\b|\$\{__auto\}/g, instant ? '${__range}' : '${__interval}');
    expr = interpolate(expr, queryContext, 'query');
    for (const v of c.variables) if (v.type === 'adhoc' && v.filters?.length) { const vs = c.find(fillRef(v.datasource, c)); if (vs?.uid === source.uid) expr = addFilters(expr, v.filters, source.type === 'loki' ? 'logql' : 'promql'); }
    queries.push({ refId: t.refId, source, expr, legend: t.legendFormat === undefined ? undefined : interpolate(t.legendFormat, queryContext) || undefined, instant: instant || both, range: !instant || both, format: str(t.format, 'time_series'), stepMs, maxLines: num(t.maxLines, num(source.jsonData?.maxLines, 1000)), direction: str(t.direction, 'backward'), target: t, shared: several });
  }
  const stepMs = queries.reduce((m, q) => Math.max(m, q.stepMs), 0) || 60000;
  const key = JSON.stringify([c.range.from, c.range.to, queries.map((q) => [q.refId, q.source.uid, q.expr, q.legend, q.instant, q.range, q.format, q.stepMs, q.maxLines]), waiting]);
  return { queries, range: c.range, problems, waiting, key, stepMs };
}

export interface QueryResult { frames: Frame[]; errors: { refId: string; text: string }[]; warnings: string[]; stats?: { bytes: number; lines: number } }

/** More series than a person or a chart can use; the rest is left out with a word about it. */
const maxSeries = 2000;

function promFrames(data: PromData, q: PlannedQuery, grid: { start: number; end: number; step: number }): Frame[] {
  if (q.format === 'table') return [tableFrame(data, q.refId, q.shared)];
  if (data.resultType === 'matrix') return q.format === 'heatmap' ? [heatmapFrame(data, grid, q.refId, q.legend)] : matrixFrames(data, grid, q.refId, q.legend, q.expr);
  return vectorFrames(data, q.refId, q.legend, q.expr);
}

async function runQuery(q: PlannedQuery, range: TimeRange, signal: AbortSignal, warnings: string[]): Promise<Frame[]> {
  const step = q.stepMs / 1000, out: Frame[] = [];
  const trim = (data: PromData): PromData => {
    if ((data.resultType === 'matrix' || data.resultType === 'vector') && data.result.length > maxSeries) { warnings.push(`${q.refId}: ${data.result.length} series, the first ${maxSeries} are shown`); return { ...data, result: data.result.slice(0, maxSeries) } as PromData; }
    return data;
  };
  if (q.source.type === 'loki') {
    if (isLogsQuery(q.expr)) {
      const a = await loki.queryRange(q.source.uid, q.expr, nsRange(range), { limit: q.maxLines, direction: q.direction === 'forward' ? 'forward' : 'backward' }, signal);
      if (a.data.resultType === 'streams') out.push(logsFrame(linesOf(a.data.result, q.direction !== 'forward'), q.refId));
      return out;
    }
    if (q.instant) {
      const a = await loki.query(q.source.uid, q.expr, range.to, undefined, signal);
      return a.data.resultType === 'streams' ? [logsFrame(linesOf(a.data.result), q.refId)] : promFrames(trim(a.data as PromData), q, { start: 0, end: 0, step });
    }
    const grid = { ...alignRange(range, step), step };
    const a = await loki.queryRange(q.source.uid, q.expr, { fromNs: `${grid.start * 1000}000000`, toNs: `${grid.end * 1000}000000` }, { step }, signal);
    return a.data.resultType === 'streams' ? [logsFrame(linesOf(a.data.result), q.refId)] : promFrames(trim(a.data as PromData), q, grid);
  }
  if (q.range) {
    const grid = { ...alignRange(range, step), step };
    const a = await prom.queryRange(q.source.uid, q.expr, grid.start, grid.end, step, signal);
    warnings.push(...(a.warnings ?? []));
    out.push(...promFrames(trim(a.data), q, grid));
  }
  if (q.instant) {
    const a = await prom.query(q.source.uid, q.expr, range.to / 1000, signal);
    warnings.push(...(a.warnings ?? []));
    out.push(...promFrames(trim(a.data), q, { start: 0, end: 0, step }));
  }
  return out;
}

/** Runs all queries of a plan side by side; one that fails leaves its error, the others their frames. */
export async function runPlan(plan: Plan, signal: AbortSignal): Promise<QueryResult> {
  const errors: { refId: string; text: string }[] = [], warnings: string[] = [];
  const frames = await Promise.all(plan.queries.map(async (q) => {
    try {
      return await runQuery(q, plan.range, signal, warnings);
    } catch (e) {
      if (isAbort(e) || signal.aborted) throw e;
      errors.push({ refId: q.refId, text: errorText(e) });
      return [];
    }
  }));
  return { frames: frames.flat(), errors, warnings: [...new Set(warnings)] };
}
