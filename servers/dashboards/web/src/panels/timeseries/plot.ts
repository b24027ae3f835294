// uPlot options from a built chart: series styles, bands, scales, axes, threshold lines, annotation marks.
import uPlot from 'uplot';
import { alpha, continuous, mix, ramp, resolveColor, type Theme } from '../../fields/color';
import { absoluteSteps } from '../../fields/display';
import type { Thresholds } from '../../fields/frame';
import { tickLabel, timeTicks } from '../../time/format';
import type { TimeRange } from '../../time/range';
import { isBinaryUnit, unitText } from '../../units/format';
import { axisColors, chartFont, textWidth } from '../../charts/canvas';
import type { AnnotationMark } from '../types';
import type { Built, BuiltScale, BuiltSeries } from './build';

// Tick distances: powers of two for byte units, whole minutes and hours for seconds, 1-2-2.5-5 otherwise
const binaryIncrs = Array.from({ length: 70 }, (_, i) => 2 ** (i - 4));
const decimalIncrs = Array.from({ length: 45 }, (_, i) => [1, 2, 2.5, 5].map((m) => Number(`${m}e${i - 18}`))).flat();
const durationIncrs = [...decimalIncrs.filter((x) => x <= 10), 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400, 172800, 432000, 604800, 1209600, 2592000, 5184000, 15552000, 31536000, 63072000, 157680000, 315360000];

/** Decimals that tell neighbouring ticks apart. */
function tickDecimals(incr: number, unitSize: number): number {
  const s = incr / unitSize;
  for (let d = 0; d <= 8; d++) if (Math.abs(s * 10 ** d - Math.round(s * 10 ** d)) < 1e-6) return d;
  return 8;
}

function axisTexts(scale: BuiltScale, ticks: number[], incr: number): string[] {
  const shorten = (s: string) => (s.includes('.') ? s.replace(/(\.\d*?)0+(?=\D|$)/, '$1').replace(/\.(?=\D|$)/, '') : s);
  if (!scale.unit || scale.unit === 'none' || scale.unit === 'percent') return ticks.map((v) => unitText(v, scale.unit, tickDecimals(incr, 1)));
  if (scale.unit === 'percentunit') return ticks.map((v) => unitText(v, scale.unit, tickDecimals(incr, 0.01)));
  return ticks.map((v) => shorten(unitText(Math.abs(v) < incr / 1e6 ? 0 : v, scale.unit, v === 0 ? 0 : null)));
}

export interface PlotInput { built: Built; range: TimeRange; width: number; height: number; theme: Theme; zone: string; thresholds?: { config: Thresholds; mode: string; min: number; max: number }; annotations: readonly AnnotationMark[]; cursorPoints: boolean; hooks: uPlot.Hooks.Arrays; dragZoom: boolean }

function fillOf(s: BuiltSeries, theme: Theme): uPlot.Series['fill'] {
  const o = (s.custom.fillOpacity ?? 0) / 100, color = s.field.color, mode = s.custom.gradientMode;
  if (o <= 0) return undefined;
  if (!mode || mode === 'none') return alpha(color, o);
  return (u) => {
    const { top, height } = u.bbox, g = u.ctx.createLinearGradient(0, top, 0, top + Math.max(1, height));
    if (mode === 'scheme') return schemeGradient(u, s, o, theme) ?? alpha(color, o);
    g.addColorStop(0, alpha(color, o));
    g.addColorStop(1, mode === 'hue' ? alpha(mix(color, theme === 'dark' ? '#202a3a' : '#d5dde8', 0.75), o) : alpha(color, 0));
    return g;
  };
}

/** Vertical gradient that follows the thresholds or the continuous colours of the field. */
function schemeGradient(u: uPlot, s: BuiltSeries, opacity: number, theme: Theme): CanvasGradient | null {
  const sc = u.scales[s.scale];
  if (!sc || sc.min == null || sc.max == null || sc.max === sc.min) return null;
  const { top, height } = u.bbox, g = u.ctx.createLinearGradient(0, top + height, 0, top), span = sc.max - sc.min;
  const stops = continuous[s.field.config.color?.mode ?? ''];
  if (stops) {
    for (let i = 0; i <= 8; i++) g.addColorStop(i / 8, alpha(ramp(stops, i / 8), opacity));
    return g;
  }
  const steps = absoluteSteps(s.field.config.thresholds, s.field.config.min ?? sc.min, s.field.config.max ?? sc.max);
  if (!steps.length) return null;
  let color = alpha(resolveColor(steps[0]!.color, theme), opacity);
  g.addColorStop(0, color);
  for (const st of steps) {
    if (st.value === null) continue;
    const k = Math.min(1, Math.max(0, (st.value - sc.min) / span)), next = alpha(resolveColor(st.color, theme), opacity);
    g.addColorStop(k, color);
    g.addColorStop(k, next);
    color = next;
  }
  return g;
}

const bars = uPlot.paths.bars!, spline = uPlot.paths.spline!(), linear = uPlot.paths.linear!(), stepAfter = uPlot.paths.stepped!({ align: 1 }), stepBefore = uPlot.paths.stepped!({ align: -1 });

function seriesOptions(s: BuiltSeries, p: PlotInput): uPlot.Series {
  const c = s.custom, mode = s.field.config.color?.mode ?? '', color = s.field.color, isScheme = (mode === 'thresholds' || mode.startsWith('continuous-')) && c.gradientMode === 'scheme';
  const style = c.drawStyle ?? 'line';
  const paths = style === 'bars' ? bars({ size: [c.barWidthFactor ?? 0.6, c.barMaxWidth ?? 200, 1], align: (c.barAlignment ?? 0) as 0 }) : style === 'points' ? () => null : c.lineInterpolation === 'smooth' ? spline : c.lineInterpolation === 'stepAfter' ? stepAfter : c.lineInterpolation === 'stepBefore' ? stepBefore : linear;
  return {
    show: s.visible, scale: s.scale, label: s.field.shownName, paths: paths as uPlot.Series.PathBuilder, width: style === 'points' ? 0 : (c.lineWidth ?? 1), stroke: isScheme ? (u) => schemeGradient(u, s, 1, p.theme) ?? color : color, fill: style === 'points' ? undefined : fillOf(s, p.theme),
    fillTo: style === 'bars' || c.transform === 'negative-Y' || s.stackGroup ? 0 : undefined, spanGaps: c.spanNulls === true, dash: c.lineStyle?.fill === 'dash' ? (c.lineStyle.dash ?? [8, 8]) : c.lineStyle?.fill === 'dot' ? (c.lineStyle.dash ?? [1, 6]) : undefined, cap: c.lineStyle?.fill === 'dot' ? 'round' : undefined,
    points: { show: style === 'points' || c.showPoints === 'always' ? true : c.showPoints === 'never' || style === 'bars' ? false : fewPoints, size: c.pointSize ?? 5, fill: color, stroke: color, width: 0 },
  };
}

/** `auto`: points when there is room for each, or when most values stand alone between gaps and no line would show them. */
function fewPoints(u: uPlot, si: number): boolean {
  const [i0, i1] = u.series[0]!.idxs ?? [0, 0], d = u.data[si]!, width = u.bbox.width / (devicePixelRatio || 1);
  if ((i1 - i0) * 14 < width) return true;
  let alone = 0, some = 0;
  for (let i = i0; i <= i1; i++) if (d[i] != null) { some++; if (d[i - 1] == null && d[i + 1] == null) alone++; }
  return alone > 0 && alone * 2 > some;
}

function rangeOf(sc: BuiltScale): uPlot.Scale.Range {
  if (sc.percent) return [0, 100];
  return (_u, lo, hi) => {
    let min = lo as number | null, max = hi as number | null;
    if (min == null || max == null || !Number.isFinite(min) || !Number.isFinite(max)) return [sc.min ?? 0, sc.max ?? (sc.min ?? 0) + 1] as uPlot.Range.MinMax;
    if (sc.log) {
      const b = sc.log, down = (v: number) => b ** Math.floor(Math.log(v) / Math.log(b) + 1e-9), up = (v: number) => b ** Math.ceil(Math.log(v) / Math.log(b) - 1e-9);
      const a = sc.min && sc.min > 0 ? sc.min : down(Math.max(min, 1e-12));
      return [a, Math.max(sc.max ?? up(Math.max(max, a)), a * b)] as uPlot.Range.MinMax;
    }
    if (sc.softMin !== undefined) min = Math.min(min, sc.softMin);
    if (sc.softMax !== undefined) max = Math.max(max, sc.softMax);
    if (sc.centered) { const m = Math.max(Math.abs(min), Math.abs(max)) || 1; min = -m; max = m; }
    const pad = (max - min || Math.abs(max) || 1) * 0.07;
    // an axis starts at zero when the values come near it, so that bands and levels are honest
    let a = min >= 0 && min - pad <= 0 + (max - min) * 0.5 ? 0 : min < 0 ? min - pad : Math.max(0, min - pad), z = max > 0 ? max + pad : max === 0 && min < 0 ? 0 : max + pad;
    if (sc.softMin !== undefined && min === sc.softMin) a = sc.softMin;
    if (sc.softMax !== undefined && max === sc.softMax) z = sc.softMax;
    if (sc.min !== undefined) a = sc.min;
    if (sc.max !== undefined) z = sc.max;
    if (!(z > a)) z = a + (Math.abs(a) || 1);
    return [a, z] as uPlot.Range.MinMax;
  };
}

export function plotOptions(p: PlotInput): uPlot.Options {
  const { built: b, theme } = p, colors = axisColors(theme), ratio = devicePixelRatio || 1;
  const scales: uPlot.Scales = { x: { time: true, range: () => [p.range.from / 1000, p.range.to / 1000] as uPlot.Range.MinMax } };
  for (const sc of b.scales) scales[sc.key] = { distr: sc.log ? 3 : 1, log: (sc.log === 10 ? 10 : 2) as 2, range: rangeOf(sc) };
  const bands: uPlot.Band[] = [];
  b.series.forEach((s, i) => { if (s.below !== null && s.visible && (s.custom.fillOpacity ?? 0) > 0 && (s.custom.drawStyle ?? 'line') !== 'points') bands.push({ series: [i + 1, s.below + 1] }); });
  let lastStep = 60;
  const axes: uPlot.Axis[] = [{
    scale: 'x', font: chartFont, stroke: colors.text, size: 24, gap: 4, grid: { stroke: colors.grid, width: 1 / ratio }, ticks: { stroke: colors.grid, width: 1 / ratio, size: 4 }, space: 70,
    splits: (u, _a, lo, hi) => { const t = timeTicks(lo, hi, Math.max(1, Math.floor(u.bbox.width / ratio / 78)), p.zone); lastStep = t.step; return t.ticks; }, values: (_u, splits) => splits.map((s) => tickLabel(s * 1000, lastStep, p.zone)),
  }];
  const gridOwner = b.scales.findIndex((s) => s.show);
  b.scales.forEach((sc, n) => {
    if (!sc.show) return;
    const seconds = /^(s|dtdurations|clocks)$/.test(sc.unit ?? '');
    axes.push({
      scale: sc.key, side: sc.side, font: chartFont, stroke: sc.color ?? colors.text, gap: 4, grid: { show: sc.grid && n === gridOwner, stroke: colors.grid, width: 1 / ratio }, ticks: { show: false }, space: (u) => Math.max(18, Math.min(46, u.bbox.height / ratio / 4.5)),
      incrs: sc.log ? undefined : isBinaryUnit(sc.unit) ? binaryIncrs : seconds ? durationIncrs : decimalIncrs, values: (_u, ticks, _i, _s, incr) => (sc.log ? ticks.map((v) => (v === null ? '' : unitText(v, sc.unit, null))) : axisTexts(sc, ticks, incr)),
      filter: sc.log ? (_u, ticks) => ticks.map((v) => { const e = Math.log(v) / Math.log(sc.log); return Math.abs(e - Math.round(e)) < 1e-6 ? v : null; }) : undefined,
      size: (_u, values) => (sc.width && sc.width > 0 ? sc.width : Math.ceil((values ?? []).reduce((m, v) => Math.max(m, textWidth(String(v ?? ''))), 16)) + 10), label: sc.label || undefined, labelFont: chartFont, labelSize: 18, labelGap: 0,
    });
  });
  const side = (k: 1 | 3) => b.scales.some((s) => s.side === k && s.show);
  return {
    width: Math.max(40, p.width), height: Math.max(30, p.height), ms: 1e-3, series: [{}, ...b.series.map((s) => seriesOptions(s, p))], scales, axes, bands, legend: { show: false }, padding: [8, side(1) ? 0 : 10, 0, side(3) ? 0 : 8],
    cursor: { x: true, y: false, drag: { x: p.dragZoom, y: false, setScale: false, dist: 4 }, points: { show: p.cursorPoints, size: 7, width: 1.5 } },
    hooks: { ...p.hooks, drawAxes: [...(p.hooks.drawAxes ?? []), (u) => drawThresholds(u, p, 'area')], draw: [(u) => { drawThresholds(u, p, 'line'); drawAnnotations(u, p.annotations); }, ...(p.hooks.draw ?? [])] },
  };
}

function drawThresholds(u: uPlot, p: PlotInput, what: 'line' | 'area'): void {
  const t = p.thresholds, scale = p.built.scales[0];
  if (!t || !scale || t.mode === 'off' || !p.built.series.length) return;
  if (what === 'line' ? !/line|dashed/.test(t.mode) : !(t.mode.includes('area') || t.mode === 'series')) return;
  const sc = u.scales[scale.key];
  if (!sc || sc.min == null || sc.max == null) return;
  const steps = absoluteSteps(t.config, t.min, t.max), { left, top, width, height } = u.bbox, ctx = u.ctx, ratio = devicePixelRatio || 1;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  steps.forEach((s, i) => {
    if (s.color === 'transparent') return;
    const color = resolveColor(s.color, p.theme), from = s.value === null ? sc.min! : s.value;
    if (what === 'area') {
      const to = steps[i + 1]?.value ?? sc.max!, y0 = u.valToPos(Math.max(from, sc.min!), scale.key, true), y1 = u.valToPos(Math.min(to, sc.max!), scale.key, true);
      ctx.fillStyle = alpha(color, 0.1);
      if (y1 < y0) ctx.fillRect(left, y1, width, y0 - y1);
    } else if (s.value !== null) {
      const y = Math.round(u.valToPos(s.value, scale.key, true)) + 0.5;
      ctx.strokeStyle = alpha(color, 0.85);
      ctx.lineWidth = Math.max(1, ratio * 1.4);
      ctx.setLineDash(t.mode.includes('dashed') ? [8 * ratio, 6 * ratio] : []);
      ctx.beginPath();
      ctx.moveTo(left, y);
      ctx.lineTo(left + width, y);
      ctx.stroke();
    }
  });
  ctx.restore();
}

function drawAnnotations(u: uPlot, marks: readonly AnnotationMark[]): void {
  const { left, top, width, height } = u.bbox, ctx = u.ctx, ratio = devicePixelRatio || 1;
  ctx.save();
  for (const m of marks) {
    const x = u.valToPos(m.time / 1000, 'x', true), x2 = m.timeEnd && m.timeEnd > m.time ? u.valToPos(m.timeEnd / 1000, 'x', true) : x;
    if (x2 < left || x > left + width) continue;
    if (x2 > x + 1) { ctx.fillStyle = alpha(m.color, 0.12); ctx.fillRect(Math.max(left, x), top, Math.min(x2, left + width) - Math.max(left, x), height); }
    ctx.strokeStyle = alpha(m.color, 0.9);
    ctx.lineWidth = ratio;
    ctx.setLineDash([4 * ratio, 3 * ratio]);
    for (const at of x2 > x + 1 ? [x, x2] : [x]) {
      if (at < left || at > left + width) continue;
      ctx.beginPath();
      ctx.moveTo(at, top);
      ctx.lineTo(at, top + height);
      ctx.stroke();
    }
    ctx.setLineDash([]);
    ctx.fillStyle = m.color;
    const d = 5 * ratio, at = Math.max(left, x);
    ctx.beginPath();
    ctx.moveTo(at, top + height - d * 1.4);
    ctx.lineTo(at - d, top + height);
    ctx.lineTo(at + d, top + height);
    ctx.fill();
  }
  ctx.restore();
}
