// State timeline and status history: one row a field, coloured runs (timeline) or cells (history) over time.
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { axisColors, fitText, sharpContext, textWidth } from '../../charts/canvas';
import { moveCursor, subscribeCursor } from '../../charts/cursor';
import { Legend, legendOptions, splitLegend } from '../../charts/legend';
import { schedule } from '../../charts/schedule';
import { hideTip, showTip } from '../../charts/tooltip';
import type { ReadyField } from '../../fields/apply';
import { alpha, readableOn, resolveColor } from '../../fields/color';
import { displayer, displayText, type DisplayValue } from '../../fields/display';
import type { Value } from '../../fields/frame';
import { num, str } from '../../model/read';
import { formatSpan, formatTime, tickLabel, timeTicks } from '../../time/format';
import { NoData } from '../common';
import { dragRange } from '../drag';
import type { PanelProps } from '../types';

export interface Run { from: number; to: number; value: Value; shown: DisplayValue }

/** Equal neighbours become one run when `merge`; a hole ends a run. */
export function runsOf(times: readonly number[], values: readonly Value[], show: (v: Value) => DisplayValue, merge: boolean, end: number): Run[] {
  const out: Run[] = [];
  const step = times.length > 1 ? times[1]! - times[0]! : 60000;
  times.forEach((t, i) => {
    const v = values[i], to = Math.min(end, times[i + 1] ?? t + step);
    if (v === null || v === undefined) return;
    const shown = show(v), last = out.at(-1);
    if (merge && last && last.to >= t && displayText(last.shown) === displayText(shown) && last.shown.color === shown.color) last.to = to;
    else out.push({ from: t, to, value: v, shown });
  });
  return out;
}

export function StateTimeline(p: PanelProps) {
  const canvas = useRef<HTMLCanvasElement>(null), line = useRef<HTMLDivElement>(null);
  const o = p.panel.options, history = p.panel.type === 'status-history', lo = legendOptions(o);
  const rows = useMemo(() => p.frames.flatMap((f) => {
    const t = f.fields.find((x) => x.type === 'time');
    return t ? f.fields.filter((x) => x !== t && x.type !== 'other').map((x): { f: ReadyField; runs: Run[] } => ({ f: x, runs: runsOf(t.values as number[], x.values, displayer(x, { theme: p.theme, zone: p.zone }, x.color), !history && o.mergeValues !== false, p.range.to) })) : [];
  }), [p.frames, p.theme, p.zone, history, o.mergeValues]);
  const states = useMemo(() => { const m = new Map<string, string>(); for (const r of rows) for (const x of r.runs) { const t = displayText(x.shown); if (!m.has(t) && m.size < 20) m.set(t, x.shown.color); } return [...m]; }, [rows]);
  const area = splitLegend({ ...lo, show: lo.show && states.length < 20 }, states.map(([n]) => n), p.width, p.height), W = area.chartW, H = Math.max(40, area.chartH), foot = 22;
  const left = Math.min(W * 0.3, Math.max(20, ...rows.map((r) => textWidth(r.f.shownName))) + 12), pw = W - left - 6, rowH = Math.max(14, (H - foot - 4) / Math.max(1, rows.length)), bar = rowH * num(o.rowHeight, 0.9), showValue = str(o.showValue, 'auto');
  const xOf = (t: number): number => left + ((t - p.range.from) / (p.range.to - p.range.from)) * pw;
  useEffect(() => schedule(() => {
    if (!canvas.current) return;
    const ctx = sharpContext(canvas.current, W, H), c = axisColors(p.theme);
    rows.forEach((r, i) => {
      const y = 4 + i * rowH + (rowH - bar) / 2, fill = num(r.f.config.custom?.fillOpacity, 70) / 100, stroke = num(r.f.config.custom?.lineWidth, 0);
      ctx.fillStyle = c.text;
      ctx.textAlign = 'right';
      ctx.textBaseline = 'middle';
      ctx.fillText(fitText(r.f.shownName, left - 10), left - 6, 4 + i * rowH + rowH / 2);
      for (const run of r.runs) {
        const x0 = Math.max(left, xOf(run.from)), x1 = Math.min(left + pw, xOf(run.to)), w = x1 - x0;
        if (w <= 0) continue;
        const gap = history ? Math.min(w * (1 - num(o.colWidth, 0.9)), 6) : Math.min(1, w / 3), color = resolveColor(run.shown.color, p.theme);
        ctx.fillStyle = alpha(color, fill);
        ctx.beginPath();
        ctx.roundRect(x0 + gap / 2, y, Math.max(1, w - gap), bar, Math.min(3, w / 4));
        ctx.fill();
        if (stroke) { ctx.strokeStyle = color; ctx.lineWidth = stroke; ctx.stroke(); }
        const text = displayText(run.shown), tw = textWidth(text);
        if (showValue !== 'never' && bar > 11 && (showValue === 'always' ? w > 8 : w > tw + 8)) {
          ctx.fillStyle = fill > 0.45 ? readableOn(color) : c.text;
          ctx.textAlign = str(o.alignValue, 'left') === 'center' || history ? 'center' : 'left';
          ctx.fillText(fitText(text, w - 4), ctx.textAlign === 'center' ? x0 + w / 2 : x0 + 5, y + bar / 2 + 0.5);
        }
      }
    });
    ctx.fillStyle = c.text;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'top';
    const { ticks, step } = timeTicks(p.range.from / 1000, p.range.to / 1000, Math.max(1, Math.floor(pw / 78)), p.zone);
    for (const t of ticks) ctx.fillText(tickLabel(t * 1000, step, p.zone), xOf(t * 1000), H - foot + 6);
    canvas.current.dataset.drawn = String(rows.length);
  }), [rows, W, H, p.theme, p.range, p.zone]);
  useEffect(() => subscribeCursor(p.cursorGroup, (e) => {
    const l = line.current;
    if (!l) return;
    const x = e.time === null || e.source === p.id || !p.cursorMode ? -1 : xOf(e.time);
    l.hidden = x < left || x > left + pw;
    l.style.transform = `translateX(${x}px)`;
    l.style.top = '4px';
    l.style.height = `${H - foot - 4}px`;
  }), [p.cursorGroup, p.range, W, left]);
  if (!rows.length) return <NoData />;
  const move = (e: PointerEvent) => {
    const r = canvas.current!.getBoundingClientRect(), t = p.range.from + ((e.clientX - r.left - left) / pw) * (p.range.to - p.range.from), i = Math.floor((e.clientY - r.top - 4) / rowH);
    if (p.cursorMode) moveCursor(p.cursorGroup, { time: t, source: p.id });
    const run = rows[i]?.runs.find((x) => t >= x.from && t < x.to);
    if (!run) { hideTip(p.id); return; }
    showTip(p.id, e.clientX, e.clientY, { title: rows[i]!.f.shownName, rows: [{ name: `${formatTime(run.from, p.zone)} for ${formatSpan((run.to - run.from) / 1000)}`, value: displayText(run.shown), color: run.shown.color }] });
  };
  return (
    <div class={`chart ${area.right ? 'legend-right' : ''}`}>
      <div class="plot">
        <canvas ref={canvas} role="img" aria-label={`${p.panel.title}. States: ${rows.slice(0, 10).map((r) => `${r.f.shownName} is ${r.runs.length ? displayText(r.runs.at(-1)!.shown) : 'unknown'}`).join('; ')}`} onPointerMove={move} onPointerLeave={() => { hideTip(p.id); if (p.cursorMode) moveCursor(p.cursorGroup, { time: null, source: p.id }); }} onPointerDown={(e) => dragRange(e, canvas.current!, left, pw, p.range, p.onZoom)} onDblClick={() => document.dispatchEvent(new CustomEvent('foursight:zoomout'))} />
        <div ref={line} class="crosshair" hidden />
      </div>
      {area.legendMax > 0 && <Legend kind="dot" items={states.map(([name, color]) => ({ name, color }))} options={{ ...lo, table: false, calcs: [] }} hidden={new Set()} onHidden={() => {}} theme={p.theme} zone={p.zone} maxHeight={area.legendMax} />}
    </div>
  );
}
