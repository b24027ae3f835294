// Gauge panel: an arc per value, coloured by its threshold, with the thresholds as an outer ring.
import { absoluteSteps } from '../../fields/display';
import { inkOf, resolveColor } from '../../fields/color';
import { shownValues } from '../../fields/values';
import { num, obj, str } from '../../model/read';
import { unitText } from '../../units/format';
import { fontFor, gridFor, NoData, ValueLink } from '../common';
import type { PanelProps } from '../types';

const from = -215, sweep = 250; // degrees: an arc open at the bottom
const point = (cx: number, cy: number, r: number, deg: number): string => { const a = (deg * Math.PI) / 180; return `${(cx + r * Math.cos(a)).toFixed(2)} ${(cy + r * Math.sin(a)).toFixed(2)}`; };
/** Ring segment between two shares (0..1) of the sweep. */
export function arc(cx: number, cy: number, inner: number, outer: number, a: number, b: number): string {
  const d0 = from + sweep * a, d1 = from + sweep * b, large = d1 - d0 > 180 ? 1 : 0;
  return `M ${point(cx, cy, outer, d0)} A ${outer} ${outer} 0 ${large} 1 ${point(cx, cy, outer, d1)} L ${point(cx, cy, inner, d1)} A ${inner} ${inner} 0 ${large} 0 ${point(cx, cy, inner, d0)} Z`;
}

export function Gauge(p: PanelProps) {
  const o = p.panel.options, values = shownValues(p.frames, o, { theme: p.theme, zone: p.zone }, true);
  if (!values.length) return <NoData />;
  const { cols, rows } = gridFor(values.length, p.width, p.height, str(o.orientation, 'auto') === 'auto' ? 'auto' : o.orientation === 'horizontal' ? 'horizontal' : 'vertical', 90, 80);
  const w = p.width / cols, h = p.height / rows, markers = o.showThresholdMarkers !== false, labels = o.showThresholdLabels === true && w > 150, text = obj(o.text);
  return (
    <div class="gauge-grid" style={{ gridTemplateColumns: `repeat(${cols}, 1fr)` }}>
      {values.map((v, i) => {
        const [lo, hi] = v.range, many = values.length > 1, titleH = many ? Math.min(18, h * 0.16) : 0;
        const boxH = h - titleH - 2, r = Math.max(14, Math.min(w / 2 - (labels ? 22 : 4), boxH / 1.66)), cx = w / 2, cy = r + Math.max(2, (boxH - r * 1.6) / 2) , band = Math.max(5, r * 0.19), outer = markers ? r - Math.max(4, r * 0.09) : r;
        const share = v.value.numeric === null ? 0 : Math.min(1, Math.max(0, (v.value.numeric - lo) / (hi - lo))), shown = `${v.value.prefix ?? ''}${v.value.text}${v.value.suffix ?? ''}`;
        const neutral = v.field.config.custom?.neutral, zero = typeof neutral === 'number' ? Math.min(1, Math.max(0, (neutral - lo) / (hi - lo))) : 0;
        const steps = absoluteSteps(v.field.config.thresholds, lo, hi), size = num(text.valueSize, fontFor(shown, (outer - band) * 1.55, r * 0.5, 48));
        return (
          <div key={i} class="gauge" style={{ height: `${h}px` }}>
            <svg width={w} height={boxH} role="img" aria-label={`${v.name}: ${shown}, from ${unitText(lo, v.field.config.unit)} to ${unitText(hi, v.field.config.unit)}`}>
              <path d={arc(cx, cy, outer - band, outer, 0, 1)} class="gauge-track" />
              {share !== zero && v.value.numeric !== null && <path d={arc(cx, cy, outer - band, outer, Math.min(share, zero), Math.max(share, zero))} fill={v.value.color} />}
              {markers && steps.map((s, n) => {
                const a = s.value === null ? 0 : Math.min(1, Math.max(0, (s.value - lo) / (hi - lo))), next = steps[n + 1]?.value, b = next === undefined || next === null ? 1 : Math.min(1, Math.max(0, (next - lo) / (hi - lo)));
                return b > a ? <path key={n} d={arc(cx, cy, outer + 2, outer + 2 + Math.max(2, r * 0.055), a, b)} fill={resolveColor(s.color, p.theme)} /> : null;
              })}
              {labels && steps.filter((s) => s.value !== null && s.value > lo && s.value < hi).map((s, n) => { const [x, y] = point(cx, cy, r + 10, from + (sweep * (s.value! - lo)) / (hi - lo)).split(' '); return <text key={n} x={x} y={y} class="gauge-label" text-anchor="middle" dominant-baseline="middle">{unitText(s.value, v.field.config.unit, v.field.config.decimals)}</text>; })}
              <ValueLink p={p} v={v}><text x={cx} y={cy + size * 0.32} class="gauge-value" text-anchor="middle" fill={inkOf(v.value.color, p.theme)} font-size={size}>{shown}</text></ValueLink>
            </svg>
            {many && <div class="gauge-name" title={v.name}>{v.name}</div>}
          </div>
        );
      })}
    </div>
  );
}
