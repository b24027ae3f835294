// Pie and donut panel.
import { useState } from 'preact/hooks';
import { Legend, legendOptions, splitLegend } from '../../charts/legend';
import { hideTip, showTip } from '../../charts/tooltip';
import { readableOn } from '../../fields/color';
import { shownValues } from '../../fields/values';
import { obj, str, strings } from '../../model/read';
import { NoData, valueText } from '../common';
import type { PanelProps } from '../types';

export function PieChart(p: PanelProps) {
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const o = p.panel.options, lo = legendOptions(o), shown = strings(obj(o.legend).values), labels = strings(o.displayLabels);
  let all = shownValues(p.frames, o, { theme: p.theme, zone: p.zone }).filter((v) => (v.value.numeric ?? 0) > 0);
  if (!all.length) return <NoData />;
  const sort = str(o.sort, 'desc');
  if (sort !== 'none') all = [...all].sort((a, b) => ((b.value.numeric ?? 0) - (a.value.numeric ?? 0)) * (sort === 'asc' ? -1 : 1));
  const values = all.filter((v) => !hidden.has(v.name)), total = values.reduce((s, v) => s + v.value.numeric!, 0), area = splitLegend(lo, all.map((v) => `${v.name}${shown.length ? ' 000 00 %' : ''}`), p.width, p.height);
  const colorOf = (v: (typeof all)[number]): string => (v.field.config.color?.mode === 'thresholds' || v.value.mapped ? v.value.color : v.field.color);
  const W = area.chartW, H = Math.max(40, area.chartH), r = Math.max(10, Math.min(W, H) / 2 - 8), inner = str(o.pieType, 'pie') === 'donut' ? r * 0.64 : 0, cx = W / 2, cy = H / 2;
  const pct = (v: (typeof all)[number]) => `${((v.value.numeric! / total) * 100).toFixed(1).replace(/\.0$/, '')}%`;
  let angle = -Math.PI / 2;
  return (
    <div class={`chart ${area.right ? 'legend-right' : ''}`}>
      <svg width={W} height={H} role="img" aria-label={`${p.panel.title}. ${values.map((v) => `${v.name}: ${valueText(v)} (${pct(v)})`).join('; ')}`} onPointerLeave={() => hideTip(p.id)}>
        {values.map((v, i) => {
          const share = v.value.numeric! / total, a0 = angle, a1 = (angle += share * Math.PI * 2), mid = (a0 + a1) / 2, end = share > 0.9999 ? a1 - 1e-4 : a1, at = (rad: number, a: number) => `${cx + rad * Math.cos(a)} ${cy + rad * Math.sin(a)}`, large = end - a0 > Math.PI ? 1 : 0;
          const d = inner ? `M ${at(r, a0)} A ${r} ${r} 0 ${large} 1 ${at(r, end)} L ${at(inner, end)} A ${inner} ${inner} 0 ${large} 0 ${at(inner, a0)} Z` : `M ${cx} ${cy} L ${at(r, a0)} A ${r} ${r} 0 ${large} 1 ${at(r, end)} Z`;
          const text = labels.map((l) => (l === 'name' ? v.name : l === 'percent' ? pct(v) : valueText(v))).join(' '), [tx, ty] = at((r + inner) / 2 + (inner ? 0 : r * 0.15), mid).split(' ');
          const color = colorOf(v);
          return <g key={i} onPointerMove={(e) => showTip(p.id, e.clientX, e.clientY, { title: v.name, rows: [{ name: pct(v), value: valueText(v), color }] })}><path d={d} fill={color} class="slice" />{text && share > 0.05 && <text x={tx} y={ty} class="axis" fill={readableOn(color)} text-anchor="middle" dominant-baseline="middle">{text}</text>}</g>;
        })}
      </svg>
      {area.legendMax > 0 && <Legend kind="dot" items={all.map((v) => ({ name: v.name, color: colorOf(v), texts: shown.map((s) => (s === 'percent' ? (hidden.has(v.name) ? '–' : pct(v)) : valueText(v))) }))} options={{ ...lo, table: false, calcs: [] }} hidden={hidden} onHidden={setHidden} theme={p.theme} zone={p.zone} maxHeight={area.legendMax} />}
    </div>
  );
}
