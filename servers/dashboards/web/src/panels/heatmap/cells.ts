// Heatmap cells from frames: bucket columns over time, sparse cells, or values counted into a grid. Pure.
import type { ReadyFrame } from '../../fields/apply';
import { num, obj, str } from '../../model/read';
import { heatmapOf } from '../../transforms/shape';
import { formatDuration, parseDuration } from '../../time/range';

export interface HeatCells { x0: number[]; xSize: number; rows: { label: string; lo: number; hi: number }[]; counts: (number | null)[][]; max: number; min: number; numericY: boolean }

export function cellsOf(frames: readonly ReadyFrame[], options: Record<string, unknown>, rangeMs: number): HeatCells | null {
  let list = frames.filter((f) => f.length && f.fields.some((x) => x.type === 'time'));
  if (options.calculate === true) {
    const c = obj(options.calculation), xb = obj(c.xBuckets), yb = obj(c.yBuckets);
    const size = (b: Record<string, unknown>, d: (s: string) => number | null) => (b.mode === 'size' && str(b.value) ? (d(str(b.value)) ?? undefined) : undefined);
    const made = heatmapOf(list, { xSize: size(xb, parseDuration) ?? Math.max(1000, Math.ceil(rangeMs / (xb.mode === 'count' ? num(xb.value, 30) : 40))), ySize: size(yb, Number), yCount: yb.mode === 'count' ? num(yb.value, 15) : 15 });
    if (!made) return null;
    list = [made as unknown as ReadyFrame];
  }
  const first = list[0];
  if (!first) return null;
  if (first.meta?.type === 'cells' || (first.fields.some((f) => /^y(Min|Max)?$/.test(f.name)) && first.fields.some((f) => f.name === 'count'))) {
    const xs = first.fields[0]!.values as number[], ys = first.fields[1]!.values as number[], ns = first.fields[2]!.values as number[];
    const x0 = [...new Set(xs)].sort((a, b) => a - b), y0 = [...new Set(ys)].sort((a, b) => a - b);
    const xSize = num(first.meta?.custom?.xSize, x0[1]! - x0[0]! || 60000), ySize = num(first.meta?.custom?.ySize, y0[1]! - y0[0]! || 1);
    const at = new Map(xs.map((x, i) => [`${x}|${ys[i]}`, ns[i]!] as const));
    const rows: HeatCells['rows'] = [];
    for (let y = y0[0]!, n = 0; y <= y0[y0.length - 1]! + ySize * 0.01 && n < 2000; y += ySize, n++) rows.push({ label: '', lo: y, hi: y + ySize });
    return finish(x0, xSize, rows, rows.map((r) => x0.map((x) => at.get(`${x}|${y0.find((y) => Math.abs(y - r.lo) < ySize * 0.01) ?? r.lo}`) ?? null)), true);
  }
  const time = first.fields.find((f) => f.type === 'time')!.values as number[];
  let cols = list.flatMap((f) => f.fields.filter((x) => x.type === 'number'));
  const bound = (s: string): number => { const t = s.replace(/^.*?(?:le=")?([-+]?(?:Inf|[\d.eE+-]+))"?\}?$/i, '$1'); return /inf/i.test(t) ? (t.startsWith('-') ? -Infinity : Infinity) : Number(t); };
  const bounds = cols.map((c) => (c.labels?.le !== undefined ? bound(c.labels.le) : bound(c.shownName)));
  const numericY = bounds.every((b) => !Number.isNaN(b));
  if (numericY) { const order = bounds.map((_, i) => i).sort((a, b) => bounds[a]! - bounds[b]!); cols = order.map((i) => cols[i]!); bounds.sort((a, b) => a - b); }
  const step = time.length > 1 ? time[1]! - time[0]! : 60000;
  const rows = cols.map((c, i) => ({ label: c.labels?.le ?? c.shownName, lo: numericY ? (i ? bounds[i - 1]! : Math.min(0, bounds[0]!)) : i, hi: numericY ? bounds[i]! : i + 1 }));
  return finish(time.map((t) => t - step), step, rows, cols.map((c) => c.values as (number | null)[]), numericY);
}

function finish(x0: number[], xSize: number, rows: HeatCells['rows'], counts: (number | null)[][], numericY: boolean): HeatCells {
  let max = 0, min = Infinity;
  for (const r of counts) for (const v of r) if (typeof v === 'number' && Number.isFinite(v)) { if (v > max) max = v; if (v > 0 && v < min) min = v; }
  return { x0, xSize, rows, counts, max, min: Number.isFinite(min) ? min : 0, numericY };
}

export const spanText = (ms: number): string => formatDuration(ms);
