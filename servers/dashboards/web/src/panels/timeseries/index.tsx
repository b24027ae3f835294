// Time series panel: legend, tooltip, crosshair shared over panels, drag to zoom.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { moveCursor, subscribeCursor } from '../../charts/cursor';
import { Legend, legendOptions, splitLegend } from '../../charts/legend';
import { schedule } from '../../charts/schedule';
import { hideTip, showTip, type TooltipRow } from '../../charts/tooltip';
import { hiddenFrom } from '../../fields/apply';
import { displayer, displayText } from '../../fields/display';
import { obj, str } from '../../model/read';
import { formatTime, formatTimeMs } from '../../time/format';
import type { PanelProps } from '../types';
import { build, describeChart, type Built, type BuiltSeries } from './build';
import { plotOptions } from './plot';

const noHidden: ReadonlySet<string> = new Set();

/** Index of the series whose drawn value is nearest to a height, or -1. */
function nearestSeries(u: uPlot, b: Built, idx: number, y: number): number {
  let nearest = -1, best = Infinity;
  b.series.forEach((s, i) => {
    const v = u.data[i + 1]?.[idx];
    if (!s.visible || v == null) return;
    const d = Math.abs(u.valToPos(v, s.scale) - y);
    if (d < best) { best = d; nearest = i; }
  });
  return nearest;
}

export function TimeSeries(p: PanelProps) {
  const [hidden, setHidden] = useState<ReadonlySet<string>>(noHidden);
  const host = useRef<HTMLDivElement>(null), line = useRef<HTMLDivElement>(null), plot = useRef<uPlot | null>(null);
  const built = useMemo(() => build(p.frames, hidden), [p.frames, hidden]);
  const shows = useMemo(() => new Map(built.series.map((s) => [s, displayer(s.field, { theme: p.theme, zone: p.zone }, s.field.color)] as const)), [built, p.theme, p.zone]);
  const text = (s: BuiltSeries, v: number | null): string => displayText(shows.get(s)!(v));
  const lo = legendOptions(p.panel.options), items = built.series.filter((s) => !hiddenFrom(s.field, 'legend'));
  const area = splitLegend(lo, items.map((s) => s.field.shownName), p.width, p.height);
  const t = obj(p.panel.options.tooltip), tipMode = str(t.mode, 'single'), tipSort = str(t.sort, 'none'), hideZeros = t.hideZeros === true;
  const latest = useRef({ p, text });
  latest.current = { p, text };

  useEffect(() => {
    let u: uPlot | null = null, over = false, unsubscribe = () => {};
    const owner = p.id;
    const tooltip = (self: uPlot, idx: number, x: number, y: number, cursorY: number | null) => {
      const { p: now, text: show } = latest.current;
      if (tipMode === 'none') return;
      const nearest = cursorY === null ? -1 : nearestSeries(self, built, idx, cursorY);
      let rows: (TooltipRow & { v: number })[] = [];
      built.series.forEach((s, i) => {
        const v = s.display[idx];
        if (v == null || !s.visible || hiddenFrom(s.field, 'tooltip') || (hideZeros && v === 0) || (tipMode === 'single' && nearest >= 0 && i !== nearest)) return;
        rows.push({ name: s.field.shownName, value: show(s, v), color: s.field.color, bold: i === nearest && tipMode !== 'single', v });
      });
      if (!rows.length) { hideTip(owner); return; }
      if (tipSort !== 'none') rows.sort((a, c) => (tipSort === 'asc' ? a.v - c.v : c.v - a.v));
      const total = rows.length, limit = Math.max(8, Math.floor((innerHeight - 90) / 19));
      if (total > limit) { const near = rows.find((r) => r.bold); rows = rows.slice(0, limit); if (near && !rows.includes(near)) rows[limit - 1] = near; }
      const ms = built.x[idx]!, marks = now.annotations.filter((a) => Math.abs(self.valToPos(a.time / 1000, 'x') - self.valToPos(ms / 1000, 'x')) < 6);
      showTip(owner, x, y, { title: ms % 1000 ? formatTimeMs(ms, now.zone) : formatTime(ms, now.zone), rows, more: total - rows.length, footer: marks.length ? <div class="marks">{marks.slice(0, 4).map((m) => <div><b>{m.title}</b> {m.text}</div>)}</div> : undefined });
    };
    const follow = (time: number | null, source: string) => {
      const l = line.current;
      if (!l || !u) return;
      const x = time === null || source === owner ? -1 : u.valToPos(time / 1000, 'x'), ratio = devicePixelRatio || 1;
      l.hidden = x < 0 || x > u.over.clientWidth;
      if (l.hidden) { if (source !== owner && p.cursorMode === 2) hideTip(`${owner}`); return; }
      l.style.transform = `translateX(${u.bbox.left / ratio + x}px)`;
      l.style.top = `${u.bbox.top / ratio}px`;
      l.style.height = `${u.bbox.height / ratio}px`;
    };
    const cancel = schedule(() => {
      if (!host.current) return;
      const field = built.series[0]?.field, style = built.series[0]?.custom.thresholdsStyle?.mode ?? 'off';
      u = new uPlot(plotOptions({
        built, range: p.range, width: area.chartW, height: area.chartH, theme: p.theme, zone: p.zone, annotations: p.annotations, cursorPoints: tipMode !== 'none', dragZoom: true,
        thresholds: field?.config.thresholds && style !== 'off' ? { config: field.config.thresholds, mode: style, min: field.config.min ?? 0, max: field.config.max ?? 100 } : undefined,
        hooks: {
          setCursor: [(self) => {
            if (!over) return;
            const { idx, left, top } = self.cursor;
            if (idx == null || left == null || left < 0) return;
            const r = self.over.getBoundingClientRect();
            tooltip(self, idx, r.left + left, r.top + (top ?? 0), top ?? null);
            if (p.cursorMode) moveCursor(p.cursorGroup, { time: self.posToVal(left, 'x') * 1000, source: owner });
          }],
          setSelect: [(self) => {
            const { left, width } = self.select;
            if (width < 4) return;
            const from = Math.round(self.posToVal(left, 'x') * 1000), to = Math.round(self.posToVal(left + width, 'x') * 1000);
            self.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
            hideTip(owner);
            if (to - from >= 10) latest.current.p.onZoom(from, to);
          }],
          ready: [(self) => {
            self.over.addEventListener('mouseenter', () => { over = true; });
            self.over.addEventListener('mouseleave', () => { over = false; hideTip(owner); if (p.cursorMode) moveCursor(p.cursorGroup, { time: null, source: owner }); });
            self.over.addEventListener('dblclick', () => document.dispatchEvent(new CustomEvent('foursight:zoomout')));
          }],
        },
      }), built.data, host.current);
      plot.current = u;
      host.current.dataset.drawn = String(built.series.length);
      if (p.cursorMode) unsubscribe = subscribeCursor(p.cursorGroup, (e) => follow(e.time, e.source));
    });
    return () => {
      cancel();
      unsubscribe();
      hideTip(owner);
      u?.destroy();
      plot.current = null;
    };
    // a change of size alone is handled below, without a rebuild
  }, [built, p.range.from, p.range.to, p.theme, p.zone, p.annotations, p.cursorMode, p.cursorGroup, tipMode, tipSort]);

  useEffect(() => { plot.current?.setSize({ width: Math.max(40, area.chartW), height: Math.max(30, area.chartH) }); }, [area.chartW, area.chartH]);

  const focus = (name: string | null) => {
    const u = plot.current;
    if (!u || built.series.length < 2) return;
    built.series.forEach((s, i) => { u.series[i + 1]!.alpha = name === null || s.field.shownName === name ? 1 : 0.2; });
    u.redraw(false, false);
  };
  return (
    <div class={`chart ${area.right ? 'legend-right' : ''}`}>
      <div class="plot" style={{ width: `${area.chartW}px`, height: `${Math.max(30, area.chartH)}px` }}>
        <div ref={host} class="plot-host" role="img" aria-label={describeChart(p.panel.title, built, text)} />
        <div ref={line} class="crosshair" hidden />
      </div>
      {area.legendMax > 0 && <Legend items={items.map((s) => ({ name: s.field.shownName, color: s.field.color, field: s.field, values: s.display }))} options={lo} hidden={hidden} onHidden={setHidden} onHover={focus} theme={p.theme} zone={p.zone} maxHeight={area.legendMax} />}
    </div>
  );
}
