// Stat panel: big values with an optional area behind them.
import { useEffect, useRef } from 'preact/hooks';
import { sharpContext } from '../../charts/canvas';
import { schedule } from '../../charts/schedule';
import { alpha, inkOf, mix, readableOn } from '../../fields/color';
import { shownValues, type ShownValue } from '../../fields/values';
import { num, obj, str } from '../../model/read';
import { fontFor, gridFor, NoData, ValueLink } from '../common';
import type { PanelProps } from '../types';

export function Sparkline({ s, color, width, height, fill = true, range }: { s: NonNullable<ShownValue['series']>; color: string; width: number; height: number; fill?: boolean; range?: [number | undefined, number | undefined] }) {
  const ref = useRef<HTMLCanvasElement>(null);
  useEffect(() => schedule(() => {
    const c = ref.current;
    if (!c || width < 10 || height < 6) return;
    const ctx = sharpContext(c, width, height);
    let lo = range?.[0] ?? Infinity, hi = range?.[1] ?? -Infinity;
    for (const v of s.values) if (typeof v === 'number' && Number.isFinite(v)) { if (v < lo) lo = v; if (v > hi) hi = v; }
    if (!Number.isFinite(lo) || !Number.isFinite(hi)) return;
    const t0 = s.times[0]!, t1 = s.times[s.times.length - 1]!, span = t1 - t0 || 1, m = 2;
    const x = (i: number) => ((s.times[i]! - t0) / span) * width, y = (v: number) => (hi === lo ? height / 2 : height - m - ((v - lo) / (hi - lo)) * (height - 2 * m));
    const runs: [number, number][][] = [];
    let run: [number, number][] = [];
    s.values.forEach((v, i) => { if (typeof v === 'number' && Number.isFinite(v)) run.push([x(i), y(v)]); else if (run.length) { runs.push(run); run = []; } });
    if (run.length) runs.push(run);
    ctx.lineJoin = 'round';
    for (const r of runs) {
      const path = new Path2D();
      r.forEach(([a, b], i) => (i ? path.lineTo(a, b) : path.moveTo(a, b)));
      if (fill) {
        const area = new Path2D(path);
        area.lineTo(r[r.length - 1]![0], height);
        area.lineTo(r[0]![0], height);
        const g = ctx.createLinearGradient(0, 0, 0, height);
        g.addColorStop(0, alpha(color, 0.28));
        g.addColorStop(1, alpha(color, 0.03));
        ctx.fillStyle = g;
        ctx.fill(area);
      }
      ctx.strokeStyle = alpha(color, 0.9);
      ctx.lineWidth = 1.4;
      ctx.stroke(path);
    }
  }), [s, color, width, height]);
  return <canvas ref={ref} class="spark" aria-hidden="true" style={{ width: `${width}px`, height: `${height}px` }} />;
}

export function Stat(p: PanelProps) {
  const o = p.panel.options, values = shownValues(p.frames, o, { theme: p.theme, zone: p.zone }).map((v) => {
    const c = v.field.config.custom ?? {};
    return c.prefix || c.postfix ? { ...v, value: { ...v.value, prefix: `${str(c.prefix)}${v.value.prefix ?? ''}`, suffix: `${v.value.suffix ?? ''}${str(c.postfix)}` } } : v;
  });
  if (!values.length) return <NoData text={str(p.panel.fieldConfig.defaults.noValue) || 'No data'} />;
  const graph = str(o.graphMode, 'area'), colorMode = str(o.colorMode, 'value'), textMode = str(o.textMode, 'auto'), text = obj(o.text), gap = 4;
  const { cols, rows } = gridFor(values.length, p.width, p.height, str(o.orientation, 'auto'));
  const w = (p.width - gap * (cols - 1)) / cols, h = Math.max(values.length > 12 ? 34 : 20, (p.height - gap * (rows - 1)) / rows);
  return (
    <div class="stat-grid" style={{ gridTemplateColumns: `repeat(${cols}, 1fr)`, gap: `${gap}px` }}>
      {values.map((v, i) => {
        const solid = colorMode === 'background' || colorMode === 'background_solid';
        const showName = textMode === 'name' || textMode === 'value_and_name' || (textMode === 'auto' && values.length > 1), showValue = textMode !== 'name' && textMode !== 'none';
        const full = `${v.value.prefix ?? ''}${v.value.text}${v.value.suffix ?? ''}`, wide = showName && showValue && o.wideLayout !== false && w > h * 3.4 && h < 70;
        const spark = graph === 'area' && v.series && h > 64 && !wide ? Math.max(20, Math.floor(h * (h > 140 ? 0.38 : 0.32))) : 0;
        const room = h - spark - 6, nameSize = num(text.titleSize, Math.max(10, Math.min(15, w / 14, room / 4)));
        const valueSize = num(text.valueSize, fontFor(full, (wide ? w * 0.5 : w) - 20, (showName && !wide ? room - nameSize * 1.4 : room) * 0.72, 62));
        const color = colorMode === 'none' ? '' : v.value.color, background = solid ? (colorMode === 'background' ? `linear-gradient(135deg, ${mix(v.value.color, '#000000', 0.18)}, ${v.value.color})` : v.value.color) : '';
        const ink = solid ? readableOn(v.value.color) : color && inkOf(color, p.theme);
        return (
          <div key={i} class={`stat ${solid ? 'solid' : ''} ${wide ? 'wide' : ''} justify-${str(o.justifyMode, 'auto')} ${values.length > 1 ? 'many' : ''}`} style={{ height: `${h}px`, background, color: solid ? ink : '' }} title={`${v.name}: ${full}`}>
            <div class="stat-text">
              {showName && <div class="stat-name" style={{ fontSize: `${nameSize}px`, color: solid ? ink : '' }}>{v.name}</div>}
              {showValue && <ValueLink p={p} v={v}><div class="stat-value" style={{ fontSize: `${valueSize}px`, color: ink }}>{v.value.prefix && <span class="affix">{v.value.prefix}</span>}{v.value.text}{v.value.suffix && <span class="affix">{v.value.suffix}</span>}</div></ValueLink>}
            </div>
            {spark > 0 && <Sparkline s={v.series!} color={solid ? ink : v.value.color} width={Math.floor(w)} height={spark} />}
          </div>
        );
      })}
    </div>
  );
}
