// Bar chart panel: one group a row of the frame, one bar a numeric column; grouped or stacked, upright or lying.
import { useState } from 'preact/hooks';
import { axisColors, fitText, textWidth } from '../../charts/canvas';
import { Legend, legendOptions, splitLegend } from '../../charts/legend';
import { hideTip, showTip } from '../../charts/tooltip';
import { displayer, displayText } from '../../fields/display';
import type { ReadyField, ReadyFrame } from '../../fields/apply';
import { num, str } from '../../model/read';
import { tickLabel } from '../../time/format';
import { unitText } from '../../units/format';
import { NoData } from '../common';
import type { PanelProps } from '../types';

export interface BarData { labels: string[]; series: { field: ReadyField; values: (number | null)[] }[] }

export function barData(frames: readonly ReadyFrame[], xField: string | undefined, zone: string): BarData | null {
  const list = frames.filter((f) => f.length);
  if (!list.length) return null;
  // many one-value series: one bar each
  if (list.length > 1 && list.every((f) => f.length === 1)) {
    const cols = list.flatMap((f) => f.fields.filter((x) => x.type === 'number'));
    return cols.length ? { labels: cols.map((c) => c.shownName), series: [{ field: cols[0]!, values: cols.map((c) => c.values[0] as number | null) }] } : null;
  }
  const f = list[0]!, x = f.fields.find((c) => xField && (c.shownName === xField || c.name === xField)) ?? f.fields.find((c) => c.type === 'string') ?? f.fields.find((c) => c.type === 'time') ?? f.fields[0]!;
  const series = f.fields.filter((c) => c.type === 'number' && c !== x && !(c.config.custom?.hideFrom as { viz?: boolean } | undefined)?.viz);
  const step = x.type === 'time' && f.length > 1 ? (Number(x.values[1]) - Number(x.values[0])) / 1000 : 60;
  const show = displayer(x, { theme: 'dark', zone });
  return series.length ? { labels: x.values.map((v) => (x.type === 'time' ? tickLabel(Number(v), step, zone) : displayText(show(v)))), series: series.map((s) => ({ field: s, values: s.values as (number | null)[] })) } : null;
}

/** Tidy axis ticks over [lo, hi]. */
export function niceTicks(lo: number, hi: number, n: number): number[] {
  const raw = (hi - lo) / Math.max(1, n) || 1, mag = 10 ** Math.floor(Math.log10(raw)), k = raw / mag, step = (k <= 1 ? 1 : k <= 2 ? 2 : k <= 5 ? 5 : 10) * mag;
  const out: number[] = [];
  for (let v = Math.ceil(lo / step - 1e-9) * step; v <= hi + step * 1e-6; v += step) out.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return out;
}

export function BarChart(p: PanelProps) {
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const o = p.panel.options, data = barData(p.frames, str(o.xField) || undefined, p.zone), lo = legendOptions(o);
  if (!data) return <NoData />;
  return <Bars p={p} data={data} hidden={hidden} setHidden={setHidden} lo={lo} horizontal={str(o.orientation, 'auto') === 'horizontal'} stacking={str(o.stacking, 'none')} gap={1 - num(o.groupWidth, 0.7)} barWidth={num(o.barWidth, 0.97)} showValue={str(o.showValue, 'auto')} rotate={num(o.xTickLabelRotation, 0)} />;
}

export function Bars(q: { p: PanelProps; data: BarData; hidden: ReadonlySet<string>; setHidden: (h: Set<string>) => void; lo: ReturnType<typeof legendOptions>; horizontal: boolean; stacking: string; gap: number; barWidth: number; showValue: string; rotate: number; edges?: string[] }) {
  const { p, data } = q, c = axisColors(p.theme), all = data.series, series = all.filter((s) => !q.hidden.has(s.field.shownName)), area = splitLegend(q.lo, all.map((s) => s.field.shownName), p.width, p.height), n = data.labels.length, stacked = q.stacking !== 'none' && q.stacking !== '', percent = q.stacking === 'percent';
  const totals = data.labels.map((_, i) => series.reduce((s, x) => s + Math.max(0, x.values[i] ?? 0), 0));
  const at = (s: (typeof series)[number], i: number): number => { const v = s.values[i] ?? 0; return percent ? (totals[i] ? (v / totals[i]!) * 100 : 0) : v; };
  let hi = 0, low = 0;
  data.labels.forEach((_, i) => { let sum = 0; for (const s of series) { const v = at(s, i); if (stacked) sum += Math.max(0, v); else if (v > hi) hi = v; if (v < low) low = v; } if (stacked && sum > hi) hi = sum; });
  const def = all[0]!.field.config, unit = percent ? 'percent' : def.unit;
  hi = percent ? 100 : (def.max ?? (hi * 1.05 || 1));
  low = def.min ?? low * 1.05;
  const W = area.chartW, H = Math.max(40, area.chartH), longest = Math.max(...data.labels.map(textWidth), 8), ticks = niceTicks(low, hi, q.horizontal ? W / 90 : H / 44), tickTexts = ticks.map((t) => unitText(t, unit, def.decimals ?? null).replace(/\.0+(?=\D|$)/, ''));
  const left = q.horizontal ? Math.min(W * 0.35, longest + 12) : Math.max(...tickTexts.map(textWidth)) + 12, foot = q.horizontal ? 20 : q.rotate ? Math.min(H * 0.4, longest * Math.abs(Math.sin((q.rotate * Math.PI) / 180)) + 14) : 22;
  const pw = W - left - 8, ph = H - foot - 8, span = hi - low || 1, slot = (q.horizontal ? ph : pw) / n, inner = slot * (1 - q.gap), each = stacked ? inner : inner / Math.max(1, series.length);
  const scale = (v: number): number => (q.horizontal ? left + ((v - low) / span) * pw : 8 + ph - ((v - low) / span) * ph);
  const every = q.rotate || q.horizontal ? Math.max(1, Math.ceil((q.horizontal ? 13 : 13) / slot)) : Math.max(1, Math.ceil((Math.min(longest, 110) + 10) / slot));
  const name = (s: (typeof series)[number], i: number) => displayText(displayer(s.field, { theme: p.theme, zone: p.zone })(s.values[i] ?? null));
  const colorOf = (s: (typeof series)[number], i: number) => displayer(s.field, { theme: p.theme, zone: p.zone }, s.field.color, [low, hi])(s.values[i] ?? null).color;
  const tipAt = (e: PointerEvent, i: number) => showTip(p.id, e.clientX, e.clientY, { title: q.edges?.[i] ?? data.labels[i]!, rows: series.map((s) => ({ name: s.field.shownName, value: name(s, i), color: colorOf(s, i) })) });
  return (
    <div class={`chart ${area.right ? 'legend-right' : ''}`}>
      <svg width={W} height={H} role="img" aria-label={`${p.panel.title}. Bar chart: ${data.labels.slice(0, 8).map((l, i) => `${l} ${series.map((s) => name(s, i)).join(', ')}`).join('; ')}`} onPointerLeave={() => hideTip(p.id)}>
        {ticks.map((t, i) => (q.horizontal ? <g key={i}><line x1={scale(t)} x2={scale(t)} y1={8} y2={8 + ph} stroke={c.grid} /><text x={scale(t)} y={H - 6} fill={c.text} class="axis" text-anchor="middle">{tickTexts[i]}</text></g> : <g key={i}><line x1={left} x2={left + pw} y1={scale(t)} y2={scale(t)} stroke={c.grid} /><text x={left - 6} y={scale(t) + 4} fill={c.text} class="axis" text-anchor="end">{tickTexts[i]}</text></g>))}
        {data.labels.map((label, i) => {
          const base = (q.horizontal ? 8 : left) + i * slot + (slot - inner) / 2;
          let sum = 0;
          return (
            <g key={i} onPointerMove={(e) => tipAt(e, i)}>
              <rect x={q.horizontal ? left : left + i * slot} y={q.horizontal ? 8 + i * slot : 8} width={q.horizontal ? pw : slot} height={q.horizontal ? slot : ph} fill="transparent" />
              {series.map((s, k) => {
                const v = at(s, i), a = stacked ? sum : 0, b = a + v;
                if (stacked) sum = b;
                if (s.values[i] === null || s.values[i] === undefined) return null;
                const y0 = scale(Math.max(low, Math.min(hi, a))), y1 = scale(Math.max(low, Math.min(hi, b))), off = base + (stacked ? 0 : k * each) + (each * (1 - q.barWidth)) / 2, w = Math.max(1, each * q.barWidth), text = name(s, i), big = q.horizontal ? Math.abs(y1 - y0) > textWidth(text) + 6 && w > 11 : w > textWidth(text) + 2;
                return (
                  <g key={k}>
                    <rect x={q.horizontal ? Math.min(y0, y1) : off} y={q.horizontal ? off : Math.min(y0, y1)} width={q.horizontal ? Math.abs(y1 - y0) : w} height={q.horizontal ? w : Math.abs(y1 - y0)} fill={colorOf(s, i)} opacity={0.88} rx={Math.min(2, w / 3)} />
                    {q.showValue !== 'never' && (q.showValue === 'always' || (big && n * series.length < 60)) && !stacked && <text x={q.horizontal ? y1 + 4 : off + w / 2} y={q.horizontal ? off + w / 2 + 4 : y1 - 4} class="axis" fill={c.text} text-anchor={q.horizontal ? 'start' : 'middle'}>{text}</text>}
                  </g>
                );
              })}
              {i % every === 0 && (q.horizontal ? <text x={left - 6} y={base + inner / 2 + 4} class="axis" fill={c.text} text-anchor="end">{fitText(label, left - 10)}</text>
                : q.rotate ? <text transform={`translate(${base + inner / 2},${8 + ph + 12}) rotate(${q.rotate})`} class="axis" fill={c.text} text-anchor={q.rotate > 0 ? 'start' : 'end'}>{fitText(label, 140)}</text> : <text x={base + inner / 2} y={8 + ph + 16} class="axis" fill={c.text} text-anchor="middle">{fitText(label, Math.max(slot * every - 4, 20))}</text>)}
            </g>
          );
        })}
      </svg>
      {area.legendMax > 0 && <Legend kind="dot" items={all.map((s) => ({ name: s.field.shownName, color: s.field.color, field: s.field, values: s.values }))} options={q.lo} hidden={q.hidden} onHidden={q.setHidden} theme={p.theme} zone={p.zone} maxHeight={area.legendMax} />}
    </div>
  );
}
