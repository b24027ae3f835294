// Heatmap panel on a canvas: time across, buckets up, count as colour, with a colour scale and a tooltip.
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { axisColors, chartFont, sharpContext, textWidth } from '../../charts/canvas';
import { moveCursor, subscribeCursor } from '../../charts/cursor';
import { schedule } from '../../charts/schedule';
import { hideTip, showTip } from '../../charts/tooltip';
import { alpha, heatSchemes, ramp, resolveColor } from '../../fields/color';
import { num, obj, str } from '../../model/read';
import { formatTime, tickLabel, timeTicks } from '../../time/format';
import { unitText } from '../../units/format';
import { NoData } from '../common';
import { dragRange } from '../drag';
import type { PanelProps } from '../types';
import { cellsOf } from './cells';

export function Heatmap(p: PanelProps) {
  const canvas = useRef<HTMLCanvasElement>(null), line = useRef<HTMLDivElement>(null), box = useRef<HTMLDivElement>(null);
  const o = p.panel.options, cells = useMemo(() => cellsOf(p.frames, o, p.range.to - p.range.from), [p.frames, o, p.range]);
  const color = obj(o.color), yAxis = obj(o.yAxis), unit = str(yAxis.unit) || p.panel.fieldConfig.defaults.unit, legend = obj(o.legend).show !== false && p.height > 120;
  const stops = useMemo(() => { const s = heatSchemes[str(color.scheme, 'Oranges')] ?? heatSchemes.Oranges!; const dark = p.theme === 'dark'; const list = color.reverse === true ? [...s].reverse() : s; return dark === (color.reverse !== true) && /^(Oranges|Blues|Greens|Greys|Reds|Purples|YlOrRd|OrRd|BuPu|GnBu|YlGnBu)$/.test(str(color.scheme, 'Oranges')) ? [...list].reverse() : list; }, [color.scheme, color.reverse, p.theme]);
  const fill = color.mode === 'opacity' ? resolveColor(str(color.fill, 'dark-orange'), p.theme) : null, exponent = num(color.exponent, 0.5);
  const lo = num(color.min, 0), hi = num(color.max, cells?.max ?? 1) || 1;
  const colorAt = (v: number): string => { const k = Math.min(1, Math.max(0, (v - lo) / (hi - lo || 1))); return fill ? alpha(fill, 0.08 + 0.92 * k ** exponent) : ramp(stops, color.mode === 'opacity' ? k ** exponent : k ** (exponent === 0.5 ? 0.65 : exponent)); };
  const legendH = legend ? 22 : 0, H = p.height - legendH, foot = 22;
  const yLabel = (i: number, top: boolean): string => { const r = cells!.rows[i]!; if (!cells!.numericY) return r.label; const v = top ? r.hi : r.lo; return Number.isFinite(v) ? unitText(v, unit, yAxis.decimals as number | undefined) : '+Inf'; };
  const left = cells ? Math.min(110, Math.max(28, ...cells.rows.map((_, i) => textWidth(yLabel(i, true)))) + 10) : 40;
  const plotW = p.width - left - 6, plotH = H - foot - 6, min = num(obj(o.filterValues).le, 1e-9);
  const xOf = (t: number): number => left + ((t - p.range.from) / (p.range.to - p.range.from)) * plotW;

  useEffect(() => schedule(() => {
    if (!canvas.current || !cells) return;
    const ctx = sharpContext(canvas.current, p.width, H), c = axisColors(p.theme), n = cells.rows.length, h = plotH / n, gap = Math.min(num(o.cellGap, 1), h / 4);
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, 0, plotW, H - foot);
    ctx.clip();
    cells.counts.forEach((row, i) => {
      const flip = yAxis.reverse === true ? i : n - 1 - i, y = 6 + flip * h;
      row.forEach((v, k) => {
        if (v === null || v === undefined || v <= min) return;
        const x = xOf(cells.x0[k]!), w = (cells.xSize / (p.range.to - p.range.from)) * plotW;
        ctx.fillStyle = colorAt(v);
        const g = Math.min(gap, w / 4);
        ctx.fillRect(x + g / 2, y + gap / 2, Math.max(1, w - g), Math.max(1, h - gap));
      });
    });
    ctx.restore();
    ctx.font = chartFont;
    ctx.fillStyle = c.text;
    ctx.textAlign = 'right';
    ctx.textBaseline = 'middle';
    const every = Math.max(1, Math.ceil(14 / h));
    for (let i = 0; i < n; i += every) { const flip = yAxis.reverse === true ? i : n - 1 - i, y = 6 + flip * h + (cells.numericY ? 0 : h / 2); if (y > 3) ctx.fillText(yLabel(i, true), left - 6, Math.max(8, y)); }
    ctx.textAlign = 'center';
    ctx.textBaseline = 'top';
    const { ticks, step } = timeTicks(p.range.from / 1000, p.range.to / 1000, Math.max(1, Math.floor(plotW / 78)), p.zone);
    for (const t of ticks) ctx.fillText(tickLabel(t * 1000, step, p.zone), xOf(t * 1000), H - foot + 6);
    canvas.current.dataset.drawn = String(n);
  }), [cells, p.width, H, p.theme, p.range, p.zone]);

  useEffect(() => subscribeCursor(p.cursorGroup, (e) => {
    const l = line.current;
    if (!l) return;
    const x = e.time === null || e.source === p.id || !p.cursorMode ? -1 : xOf(e.time);
    l.hidden = x < left || x > left + plotW;
    l.style.transform = `translateX(${x}px)`;
    l.style.top = '6px';
    l.style.height = `${plotH}px`;
  }), [p.cursorGroup, p.range, p.width, left]);
  if (!cells || !cells.rows.length) return <NoData />;
  const move = (e: PointerEvent) => {
    const r = canvas.current!.getBoundingClientRect(), x = e.clientX - r.left, y = e.clientY - r.top, t = p.range.from + ((x - left) / plotW) * (p.range.to - p.range.from);
    if (x < left || y > H - foot) { hideTip(p.id); return; }
    if (p.cursorMode) moveCursor(p.cursorGroup, { time: t, source: p.id });
    const k = cells.x0.findIndex((a) => t >= a && t < a + cells.xSize), n = cells.rows.length, at = Math.floor((y - 6) / (plotH / n)), i = yAxis.reverse === true ? at : n - 1 - at;
    if (k < 0 || i < 0 || i >= n) { hideTip(p.id); return; }
    const v = cells.counts[i]![k];
    showTip(p.id, e.clientX, e.clientY, { title: `${formatTime(cells.x0[k]!, p.zone)} – ${formatTime(cells.x0[k]! + cells.xSize, p.zone).slice(11)}`, rows: [{ name: cells.numericY ? `${yLabel(i, false)} – ${yLabel(i, true)}` : cells.rows[i]!.label, value: v === null || v === undefined ? '0' : unitText(v, str(obj(o.cellValues).unit) || 'short', (obj(o.cellValues).decimals as number | undefined) ?? null), color: colorAt(v ?? 0) }] });
  };
  return (
    <div class="heatmap" ref={box}>
      <div class="plot">
        <canvas ref={canvas} role="img" aria-label={`${p.panel.title}. Heatmap with ${cells.rows.length} buckets; highest count ${unitText(cells.max, 'short')}.`} onPointerMove={move} onPointerLeave={() => { hideTip(p.id); if (p.cursorMode) moveCursor(p.cursorGroup, { time: null, source: p.id }); }}
          onPointerDown={(e) => dragRange(e, canvas.current!, left, plotW, p.range, p.onZoom)} onDblClick={() => document.dispatchEvent(new CustomEvent('foursight:zoomout'))} />
        <div ref={line} class="crosshair" hidden />
      </div>
      {legend && <div class="scale" aria-hidden="true"><span>{unitText(lo, 'short')}</span><span class="ramp" style={{ background: `linear-gradient(to right, ${[0, 0.2, 0.4, 0.6, 0.8, 1].map((k) => colorAt(lo + (hi - lo) * k)).join(', ')})` }} /><span>{unitText(hi, 'short')}</span></div>}
    </div>
  );
}
