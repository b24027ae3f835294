// Marks on charts: stored annotations of the dashboard, and queries of the dashboard's annotation list.
import { linesOf, loki, nsRange } from '../api/loki';
import { own } from '../api/own';
import { alignRange, num as promNum, prom } from '../api/prometheus';
import { legendText } from '../fields/apply';
import { resolveColor, type Theme } from '../fields/color';
import { labelsText } from '../fields/frame';
import { obj, str, strings } from '../model/read';
import type { AnnotationQuery, Dashboard } from '../model/types';
import type { AnnotationMark } from '../panels/types';
import { parseDuration, tidyInterval } from '../time/range';
import { interpolate, type VarContext } from '../vars/interpolate';
import { findSource } from '../shell/state';
import { fillRef } from './query';

async function marksOf(a: AnnotationQuery, d: Dashboard, c: VarContext, theme: Theme, signal: AbortSignal): Promise<AnnotationMark[]> {
  const color = resolveColor(a.iconColor, theme), { from, to } = c.range;
  const ref = fillRef(a.datasource, c), target = obj(a.target);
  if (a.builtIn || ref?.type === 'datasource' || ref?.uid === '-- Grafana --' || ref?.uid === 'grafana') {
    const byTags = str(target.type, 'dashboard') === 'tags';
    if (!d.uid && !byTags) return [];
    const list = await own.annotations({ from, to, limit: 100, dashboardUID: byTags ? undefined : d.uid, matchAny: target.matchAny === true ? 'true' : undefined }, byTags ? strings(target.tags).map((t) => interpolate(t, c)) : [], signal);
    return list.map((x) => ({ time: x.time, timeEnd: x.timeEnd, title: x.title ?? x.newState ?? a.name, text: x.text, tags: x.tags ?? [], color }));
  }
  const source = findSource(ref);
  if (!source || !a.expr) return [];
  const expr = (s: string, intervalMs: number) => interpolate(s, { ...c, intervalMs, scrapeMs: 15000 }, 'query');
  if (source.type === 'loki') {
    const r = await loki.queryRange(source.uid, expr(a.expr, 60000), nsRange(c.range), { limit: 100 }, signal);
    return r.data.resultType === 'streams' ? linesOf(r.data.result).map((l) => ({ time: l.timeMs, title: a.titleFormat ? legendText(a.titleFormat, l.labels) : a.name, text: a.textFormat ? legendText(a.textFormat, l.labels) : l.line.slice(0, 200), tags: Object.values(l.labels).slice(0, 4), color })) : [];
  }
  const step = Math.max(parseDuration(interpolate(a.step ?? '60s', c)) ?? 60000, tidyInterval(to - from, 1000, 15000)) / 1000, grid = alignRange(c.range, step);
  const r = await prom.queryRange(source.uid, expr(a.expr, step * 1000), grid.start, grid.end, step, signal);
  if (r.data.resultType !== 'matrix') return [];
  const out: AnnotationMark[] = [];
  for (const s of r.data.result) {
    let open: AnnotationMark | null = null, last = 0;
    for (const [t, v] of s.values ?? []) {
      if (!(promNum(v) > 0)) continue;
      const time = a.useValueForTime ? promNum(v) : t * 1000;
      if (open && !a.useValueForTime && time - last <= step * 1500) open.timeEnd = time;
      else { open = { time, title: a.titleFormat ? legendText(a.titleFormat, s.metric) : a.name, text: a.textFormat ? legendText(a.textFormat, s.metric) : labelsText(s.metric), tags: str(a.tagKeys).split(',').map((k) => s.metric[k.trim()] ?? '').filter(Boolean), color }; out.push(open); }
      last = time;
    }
  }
  return out.slice(0, 500);
}

/** All marks in range; a query that fails gives none and its message. */
export async function loadAnnotations(d: Dashboard, c: VarContext, theme: Theme, off: ReadonlySet<string>, signal: AbortSignal): Promise<{ marks: (AnnotationMark & { source: AnnotationQuery })[]; problems: string[] }> {
  const problems: string[] = [];
  const lists = await Promise.all(d.annotations.filter((a) => a.enable !== off.has(a.name)).map(async (a) => {
    try {
      return (await marksOf(a, d, c, theme, signal)).map((m) => ({ ...m, source: a }));
    } catch (e) {
      if (signal.aborted) throw e;
      problems.push(`annotations "${a.name}": ${e instanceof Error ? e.message : String(e)}`);
      return [];
    }
  }));
  return { marks: lists.flat(), problems };
}
