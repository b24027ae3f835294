// From ready frames to what uPlot draws: one shared x column, one series per numeric field, stacks made cumulative, scales by
// unit and side. Pure: no DOM. `display` keeps the true values (tooltips, legends), `data` what is drawn.
import type uPlot from 'uplot';
import { hiddenFrom, type ReadyField, type ReadyFrame } from '../../fields/apply';

export interface Custom {
  drawStyle?: 'line' | 'bars' | 'points'; lineInterpolation?: string; lineWidth?: number; lineStyle?: { fill?: string; dash?: number[] }; fillOpacity?: number; gradientMode?: string; showPoints?: string; pointSize?: number;
  spanNulls?: boolean | number; stacking?: { mode?: string; group?: string }; transform?: string; thresholdsStyle?: { mode?: string }; axisPlacement?: string; axisLabel?: string; axisWidth?: number; axisSoftMin?: number; axisSoftMax?: number;
  axisGridShow?: boolean; axisCenteredZero?: boolean; axisColorMode?: string; scaleDistribution?: { type?: string; log?: number }; barAlignment?: number; barWidthFactor?: number; fillBelowTo?: string; nullAsZero?: boolean; barMaxWidth?: number;
}
export interface BuiltSeries { field: ReadyField; custom: Custom; scale: string; display: (number | null)[]; stackGroup: string | null; below: number | null; visible: boolean }
export interface BuiltScale { key: string; unit?: string; side: 1 | 3; show: boolean; label: string; log: number; softMin?: number; softMax?: number; min?: number; max?: number; centered: boolean; percent: boolean; grid: boolean; decimals?: number | null; width?: number; color?: string }
export interface Built { x: number[]; data: uPlot.AlignedData; series: BuiltSeries[]; scales: BuiltScale[] }

export const customOf = (f: ReadyField): Custom => (f.config.custom ?? {}) as Custom;

/** Union of the frames' time columns in ms, ascending, and each frame's row per x (null: the same rows). */
function alignTimes(frames: ReadyFrame[]): { x: number[]; rows: (Int32Array | null)[] } {
  const times = frames.map((f) => f.fields.find((x) => x.type === 'time')!.values as number[]);
  const first = times[0] ?? [];
  const same = times.every((t) => t === first || (t.length === first.length && t.every((v, i) => v === first[i])));
  if (same) return { x: first, rows: frames.map(() => null) };
  const set = new Set<number>();
  for (const t of times) for (const v of t) set.add(v);
  const x = [...set].sort((a, b) => a - b), at = new Map(x.map((v, i) => [v, i] as const));
  return { x, rows: times.map((t) => { const r = new Int32Array(x.length).fill(-1); t.forEach((v, i) => { r[at.get(v)!] = i; }); return r; }) };
}

/** Closes gaps not longer than `ms` by straight lines (spanNulls as a number). */
export function spanShortGaps(x: readonly number[], v: (number | null)[], ms: number): (number | null)[] {
  const out = [...v];
  let last = -1;
  for (let i = 0; i < v.length; i++) {
    if (v[i] === null) continue;
    if (last >= 0 && i - last > 1 && x[i]! - x[last]! <= ms) for (let j = last + 1; j < i; j++) out[j] = v[last]! + ((v[i]! - v[last]!) * (x[j]! - x[last]!)) / (x[i]! - x[last]!);
    last = i;
  }
  return out;
}

const isNegative = (c: readonly (number | null)[]): boolean => c.some((v) => v !== null && v < 0) && !c.some((v) => v !== null && v > 0);

/** Stacks columns in order; columns below zero stack downwards apart. `percent`: the shares sum to 100. */
export function stack(columns: (number | null)[][], percent: boolean): (number | null)[][] {
  const n = columns[0]?.length ?? 0;
  const totals = percent ? Array.from({ length: n }, (_, i) => columns.reduce((s, c) => s + Math.abs(c[i] ?? 0), 0)) : [];
  const any = Array.from({ length: n }, (_, i) => columns.some((c) => c[i] !== null));
  const up = new Float64Array(n), down = new Float64Array(n);
  return columns.map((c) => {
    const acc = isNegative(c) ? down : up;
    return c.map((v, i) => {
      if (!any[i]) return null; // a hole in every column stays a hole
      acc[i]! += percent ? (totals[i]! ? ((v ?? 0) / totals[i]!) * 100 : 0) : (v ?? 0);
      return acc[i]!;
    });
  });
}

export function build(frames: ReadyFrame[], hidden: ReadonlySet<string>): Built {
  const usable = frames.filter((f) => f.length > 0 && f.fields.some((x) => x.type === 'time') && f.fields.some((x) => x.type === 'number'));
  const { x, rows } = alignTimes(usable);
  const series: BuiltSeries[] = [], drawn: (number | null)[][] = [], scales = new Map<string, BuiltScale>();
  usable.forEach((frame, fi) => {
    for (const f of frame.fields) {
      if (f.type !== 'number' || hiddenFrom(f, 'viz')) continue;
      const c = customOf(f), r = rows[fi];
      const src = f.values as (number | null)[];
      let display: (number | null)[] = new Array<number | null>(x.length);
      for (let i = 0; i < x.length; i++) {
        const at = r ? r[i]! : i, v = at < 0 ? null : src[at];
        display[i] = typeof v === 'number' && Number.isFinite(v) ? v : c.nullAsZero ? 0 : null;
      }
      let values = display;
      if (c.transform === 'negative-Y') values = values.map((v) => (v === null ? null : -v));
      else if (c.transform === 'constant') { const first = values.find((v) => v !== null) ?? null; display = values = values.map(() => first); }
      if (typeof c.spanNulls === 'number') values = spanShortGaps(x, values, c.spanNulls);
      else if (r && !c.spanNulls && src.length > 1) values = spanShortGaps(x, values, ((x[x.length - 1]! - x[0]!) / (src.length - 1)) * 1.6); // other frames' times are no gaps
      series.push({ field: f, custom: c, scale: scaleFor(scales, f, c).key, display, stackGroup: null, below: null, visible: !hidden.has(f.shownName) });
      const s = series.at(-1)!, mode = c.stacking?.mode;
      if (mode === 'normal' || mode === 'percent') s.stackGroup = `${s.scale}|${c.stacking?.group ?? 'A'}|${c.drawStyle === 'bars' ? 'b' : 'l'}|${mode}`;
      drawn.push(values);
    }
  });
  const groups = new Map<string, number[]>();
  series.forEach((s, i) => { if (s.stackGroup && s.visible) groups.set(s.stackGroup, [...(groups.get(s.stackGroup) ?? []), i]); });
  for (const [key, members] of groups) {
    const negative = new Map(members.map((i) => [i, isNegative(drawn[i]!)] as const));
    const stacked = stack(members.map((i) => drawn[i]!), key.endsWith('|percent'));
    members.forEach((i, n) => {
      drawn[i] = stacked[n]!;
      series[i]!.below = members.slice(0, n).reverse().find((j) => negative.get(j) === negative.get(i)) ?? null;
    });
  }
  for (const s of series) {
    if (!s.custom.fillBelowTo) continue;
    const j = series.findIndex((o) => o.field.shownName === s.custom.fillBelowTo || o.field.name === s.custom.fillBelowTo);
    if (j >= 0) s.below = j;
  }
  return { x, data: [x.map((t) => t / 1000), ...drawn] as uPlot.AlignedData, series, scales: [...scales.values()] };
}

/** Fields share a scale when unit, side, kind and fixed ends agree. The first scale stands left, later ones right. */
function scaleFor(scales: Map<string, BuiltScale>, f: ReadyField, c: Custom): BuiltScale {
  const percent = c.stacking?.mode === 'percent', log = c.scaleDistribution?.type === 'log' ? (c.scaleDistribution.log ?? 2) : 0;
  const unit = percent ? 'percent' : f.config.unit, placement = c.axisPlacement ?? 'auto', fixedSide = placement === 'right' ? 1 : placement === 'left' ? 3 : 0;
  const key = [unit, log, fixedSide, placement === 'hidden', c.axisLabel, percent, f.config.min, f.config.max].join('|');
  let scale = scales.get(key);
  if (!scale) {
    const leftTaken = [...scales.values()].some((s) => s.side === 3 && s.show);
    scale = {
      key: `y${scales.size}`, unit, side: (fixedSide || (leftTaken ? 1 : 3)) as 1 | 3, show: placement !== 'hidden', label: c.axisLabel ?? '', log, centered: !!c.axisCenteredZero, percent, grid: c.axisGridShow !== false, softMin: c.axisSoftMin, softMax: c.axisSoftMax,
      min: percent ? 0 : (f.config.min ?? undefined), max: percent ? 100 : (f.config.max ?? undefined), decimals: f.config.decimals, width: c.axisWidth, color: c.axisColorMode === 'series' ? f.color : undefined,
    };
    scales.set(key, scale);
  }
  return scale;
}

/** Sentence for people who do not see the chart. */
export function describeChart(title: string, b: Built, show: (s: BuiltSeries, v: number | null) => string): string {
  const names = b.series.slice(0, 8).map((s) => { let v: number | null = null; for (let i = s.display.length - 1; i >= 0 && v === null; i--) v = s.display[i]!; return `${s.field.shownName}: ${show(s, v)}`; });
  return `${title ? `${title}. ` : ''}Chart with ${b.series.length} series. Latest values: ${names.join('; ')}${b.series.length > 8 ? '; and more' : ''}.`;
}
