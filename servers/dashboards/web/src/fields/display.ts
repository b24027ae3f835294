// From a value and its field's config to what a person sees: text in its unit, mapped text, colour, share of the range.
import { formatValue, joinValue, type UnitContext } from '../units/format';
import { alpha, classicPalette, colorblindPalette, continuous, hashName, ramp, resolveColor, type Theme } from './color';
import type { Field, FieldConfig, Mapping, MappingResult, Thresholds, ThresholdStep, Value } from './frame';

export interface DisplayValue { text: string; prefix?: string; suffix?: string; numeric: number | null; color: string; percent: number; icon?: string; mapped: boolean }
export interface DisplayContext extends UnitContext { theme: Theme }

const regexes = new Map<string, RegExp | null>();

/** `/x/i`, or bare text taken as a whole-string-or-part pattern; null when it does not compile. */
export function toRegExp(text: string): RegExp | null {
  let r = regexes.get(text);
  if (r !== undefined) return r;
  const m = /^\/(.*)\/([a-z]*)$/s.exec(text);
  try {
    r = m ? new RegExp(m[1]!, m[2]!.replace(/[^gimsuy]/g, '').replace('g', '')) : new RegExp(text);
  } catch {
    r = null;
  }
  regexes.set(text, r);
  return r;
}

/** The mapping that applies to a value: exact values first in file order, as they stand. */
export function findMapping(value: Value, mappings: readonly Mapping[] | undefined): MappingResult | null {
  if (!mappings) return null;
  for (const m of mappings) {
    switch (m.type) {
      case 'value': {
        if (value === null || value === undefined) { if (m.options.null) return m.options.null; break; }
        const hit = m.options[String(value)];
        if (hit) return hit;
        break;
      }
      case 'range': {
        if (value === null || value === undefined || value === '') break;
        const n = Number(value);
        if (Number.isNaN(n)) break;
        const { from, to, result } = m.options;
        if ((from === null || from === undefined || n >= from) && (to === null || to === undefined || n <= to)) return result;
        break;
      }
      case 'regex': {
        if (value === null || value === undefined) break;
        const r = toRegExp(m.options.pattern);
        const text = String(value);
        const hit = r?.exec(text);
        if (hit) {
          const t = m.options.result.text;
          return t === undefined ? m.options.result : { ...m.options.result, text: text.replace(r!, t) };
        }
        break;
      }
      case 'special': {
        const isNull = value === null || value === undefined, isNaN = typeof value === 'number' && Number.isNaN(value);
        const ok = { true: value === true || value === 'true', false: value === false || value === 'false', null: isNull, nan: isNaN, 'null+nan': isNull || isNaN, empty: value === '' }[m.options.match];
        if (ok) return m.options.result;
        break;
      }
    }
  }
  return null;
}

/** The last step whose value is not above `v`. With percentages, `v` is first placed in min..max. */
export function activeStep(v: number, t: Thresholds | undefined, min = 0, max = 100): ThresholdStep | null {
  if (!t?.steps.length) return null;
  const x = t.mode === 'percentage' ? (max === min ? 0 : ((v - min) / (max - min)) * 100) : v;
  let hit = t.steps[0]!;
  for (const s of t.steps) {
    if (s.value === null || s.value === undefined || x >= s.value) hit = s;
    else break;
  }
  return hit;
}

/** Threshold steps on the field's own scale (percentages resolved). */
export function absoluteSteps(t: Thresholds | undefined, min: number, max: number): ThresholdStep[] {
  if (!t) return [];
  return t.mode === 'percentage' ? t.steps.map((s) => ({ ...s, value: s.value === null ? null : min + ((max - min) * s.value) / 100 })) : t.steps;
}

/** Colour of a series or value slot that does not depend on the value. */
export function seriesColor(config: FieldConfig, index: number, name: string, theme: Theme): string {
  const mode = config.color?.mode ?? 'palette-classic';
  switch (mode) {
    case 'fixed': return resolveColor(config.color?.fixedColor, theme);
    case 'shades': return alpha(resolveColor(config.color?.fixedColor, theme), Math.max(0.35, 1 - (index % 6) * 0.13));
    case 'palette-colorblind': return colorblindPalette[index % colorblindPalette.length]!;
    case 'palette-classic-by-name': return classicPalette[hashName(name) % classicPalette.length]!;
    case 'gradient': return ramp([resolveColor(config.color?.fixedColor, theme), resolveColor(config.color?.gradientColorTo, theme)], (index % 8) / 8);
    default: return classicPalette[index % classicPalette.length]!;
  }
}

export const isValueMode = (mode: string | undefined): boolean => mode === 'thresholds' || !!mode?.startsWith('continuous-');

/** Colour of one value under `thresholds` and `continuous-*`; other modes give the series colour. */
export function valueColor(v: number | null, config: FieldConfig, min: number, max: number, seriesIndexColor: string, theme: Theme): string {
  const mode = config.color?.mode;
  if (mode === 'thresholds') {
    if (v === null || Number.isNaN(v)) return resolveColor(config.thresholds?.steps[0]?.color, theme);
    return resolveColor(activeStep(v, config.thresholds, min, max)?.color, theme);
  }
  if (mode && continuous[mode]) return ramp(continuous[mode]!, v === null || max === min ? 0 : (v - min) / (max - min));
  return seriesIndexColor;
}

/** Min and max of a field: configured, else of the data; with `fieldMinMax` or no hints, of this field alone. */
export function fieldRange(f: Pick<Field, 'config' | 'values'>): [number, number] {
  let lo = Infinity, hi = -Infinity;
  const { min, max } = f.config;
  if (typeof min !== 'number' || typeof max !== 'number') {
    for (const v of f.values) if (typeof v === 'number' && Number.isFinite(v)) { if (v < lo) lo = v; if (v > hi) hi = v; }
  }
  const a = typeof min === 'number' ? min : Number.isFinite(lo) ? lo : 0;
  const b = typeof max === 'number' ? max : Number.isFinite(hi) ? hi : 100;
  return [a, b];
}

/** A function that shows any value of the field. `range` is the scale for percentages (default: the field's own). */
export function displayer(f: Pick<Field, 'config' | 'values' | 'type'>, c: DisplayContext, seriesBase?: string, range?: [number, number]): (v: Value) => DisplayValue {
  const { config } = f;
  let lohi = range;
  const base = seriesBase ?? seriesColor(config, 0, '', c.theme);
  return (v) => {
    lohi ??= fieldRange(f);
    const [lo, hi] = lohi;
    const mapping = findMapping(v, config.mappings);
    let numeric: number | null = typeof v === 'number' ? v : typeof v === 'boolean' ? Number(v) : null;
    if (numeric === null && typeof v === 'string' && config.unit && config.unit !== 'string' && v.trim() !== '' && !Number.isNaN(Number(v))) numeric = Number(v);
    let shown: { text: string; prefix?: string; suffix?: string };
    if (mapping?.text !== undefined && mapping.text !== '') shown = { text: mapping.text };
    else if (v === null || v === undefined || (typeof v === 'number' && Number.isNaN(v) && config.noValue)) shown = { text: config.noValue ?? '–' };
    else if (f.type === 'time' && typeof v === 'number') shown = formatValue(v, config.unit ?? 'dateTimeAsIso', null, c);
    else if (numeric !== null && !(typeof v === 'boolean' && !config.unit) && config.unit !== 'string') shown = formatValue(numeric, config.unit, config.decimals, c);
    else shown = { text: typeof v === 'object' ? JSON.stringify(v) : String(v) };
    const color = mapping?.color ? resolveColor(mapping.color, c.theme) : valueColor(numeric, config, lo, hi, base, c.theme);
    const percent = numeric === null || hi === lo ? 0 : Math.min(1, Math.max(0, (numeric - lo) / (hi - lo)));
    return { ...shown, numeric, color, percent, icon: mapping?.icon, mapped: !!mapping };
  };
}

export const displayText = joinValue;
