// Bar gauge panel: one bar a value, horizontal or vertical; basic, gradient or LCD.
import { continuous, inkOf, mix, ramp, resolveColor } from '../../fields/color';
import { absoluteSteps, valueColor } from '../../fields/display';
import { shownValues, type ShownValue } from '../../fields/values';
import { num, str } from '../../model/read';
import { NoData, ValueLink, valueText } from '../common';
import { textWidth } from '../../charts/canvas';
import type { PanelProps } from '../types';

function gradientOf(v: ShownValue, p: PanelProps, direction: string): string {
  const [lo, hi] = v.range, stops = continuous[v.field.config.color?.mode ?? ''];
  if (stops) return `linear-gradient(${direction}, ${[0, 0.25, 0.5, 0.75, 1].map((k) => ramp(stops, k * v.value.percent)).join(', ')})`;
  const steps = absoluteSteps(v.field.config.thresholds, lo, hi);
  if (v.field.config.color?.mode !== 'thresholds' || steps.length < 2) return `linear-gradient(${direction}, ${mix(v.value.color, p.theme === 'dark' ? '#10161d' : '#ffffff', 0.45)}, ${v.value.color})`;
  const reached = v.value.numeric ?? lo, parts = steps.filter((s) => s.value === null || s.value <= reached).map((s) => `${resolveColor(s.color, p.theme)} ${reached > lo && s.value !== null ? Math.max(0, ((s.value - lo) / (reached - lo)) * 100).toFixed(1) : 0}%`);
  return parts.length > 1 ? `linear-gradient(${direction}, ${parts.join(', ')})` : v.value.color;
}

function Lcd({ v, p, vertical, length }: { v: ShownValue; p: PanelProps; vertical: boolean; length: number }) {
  const cells = Math.max(4, Math.min(60, Math.floor(length / 11))), [lo, hi] = v.range;
  return (
    <div class={`lcd ${vertical ? 'vertical' : ''}`}>
      {Array.from({ length: cells }, (_, i) => {
        const at = lo + ((hi - lo) * i) / (cells - 1), on = v.value.numeric !== null && at <= v.value.numeric;
        return <span key={i} class={on ? 'on' : ''} style={{ background: valueColor(at, v.field.config, lo, hi, v.value.color, p.theme) }} />;
      })}
    </div>
  );
}

export function BarGauge(p: PanelProps) {
  const o = p.panel.options, values = shownValues(p.frames, o, { theme: p.theme, zone: p.zone }, true);
  if (!values.length) return <NoData />;
  const mode = str(o.displayMode, 'gradient'), auto = p.width >= p.height ? 'horizontal' : 'vertical', orientation = str(o.orientation, 'auto') === 'auto' ? auto : str(o.orientation), vertical = orientation === 'vertical';
  const unfilled = o.showUnfilled !== false, valueMode = str(o.valueMode, 'color'), named = values.length > 1 && o.namePlacement !== 'hidden';
  const n = values.length, gap = vertical ? 6 : Math.max(2, Math.min(8, p.height / n / 6)), cell = vertical ? Math.max(num(o.minVizWidth, 8), (p.width - gap * (n - 1)) / n) : Math.min(num(o.maxVizHeight, 300), Math.max(num(o.minVizHeight, 16), 12, (p.height - gap * (n - 1)) / n));
  const longest = Math.max(...values.map((v) => textWidth(v.name)), 10), nameW = named && !vertical ? Math.min(p.width * 0.32, longest * 1.15 + 12) : 0, valueW = valueMode === 'hidden' ? 0 : Math.min(p.width * 0.35, Math.max(...values.map((v) => textWidth(valueText(v)))) * 1.35 + 14);
  const above = named && !vertical && cell > 44 && (p.width < 260 || o.namePlacement === 'top');
  return (
    <div class={`bargauge ${vertical ? 'vertical' : 'horizontal'} ${above ? 'above' : ''}`} style={{ gap: `${gap}px` }}>
      {values.map((v, i) => {
        const length = vertical ? p.height - 44 : p.width - (above ? 0 : nameW) - valueW, size = `${(v.value.percent * 100).toFixed(2)}%`, color = valueMode === 'text' ? '' : inkOf(v.value.color, p.theme);
        return (
          <div key={i} class="bar-row" style={vertical ? { width: `${cell}px`, height: `${p.height}px` } : { height: `${cell}px` }} title={`${v.name}: ${valueText(v)}`}>
            {named && <div class="bar-name" style={vertical ? {} : { width: above ? '100%' : `${nameW}px` }}>{v.name}</div>}
            <div class={`bar-track ${unfilled ? 'unfilled' : ''}`} role="meter" aria-label={v.name} aria-valuenow={v.value.numeric ?? 0} aria-valuemin={v.range[0]} aria-valuemax={v.range[1]} aria-valuetext={valueText(v)}>
              {mode === 'lcd' ? <Lcd v={v} p={p} vertical={vertical} length={length} /> : <div class={`bar-fill ${mode}`} style={{ [vertical ? 'height' : 'width']: size, background: mode === 'gradient' ? gradientOf(v, p, vertical ? 'to top' : 'to right') : v.value.color, '--edge': v.value.color }} />}
            </div>
            {valueMode !== 'hidden' && <div class="bar-value" style={vertical ? { color } : { width: `${valueW}px`, color }}><ValueLink p={p} v={v}>{valueText(v)}</ValueLink></div>}
          </div>
        );
      })}
    </div>
  );
}
