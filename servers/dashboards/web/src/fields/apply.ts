// Applies a panel's field config to frames: defaults, then the overrides whose matcher fits, in order; gives every field its
// shown name and colour. Fields and configs are copied, never changed in place.
import type { Theme } from './color';
import { seriesColor, toRegExp } from './display';
import type { Field, FieldConfig, Frame, Labels } from './frame';
import { labelsText } from './frame';
import { reduce } from './reduce';

export interface Override { matcher: { id: string; options?: unknown }; properties: { id: string; value?: unknown }[] }
export interface FieldConfigSource { defaults: FieldConfig; overrides: Override[] }

/** A field with everything decided. */
export interface ReadyField extends Field { shownName: string; color: string; refId?: string; frameIndex: number; fieldIndex: number; seriesIndex: number; hidden?: boolean }
export interface ReadyFrame extends Omit<Frame, 'fields'> { fields: ReadyField[] }

/** `{{label}}` (spaces allowed) filled from labels; a missing one becomes empty. */
export function legendText(format: string, labels: Labels): string {
  return format.replace(/\{\{\s*([^{}]+?)\s*\}\}/g, (_, name: string) => labels[name] ?? '');
}

/** The name of a series: an explicit format, `__auto` (the one label that differs, else all), or the whole label set. */
export function seriesNames(format: string | undefined, series: readonly Labels[], expr = ''): string[] {
  if (format && format !== '__auto') return series.map((l) => legendText(format, l));
  if (series.length === 1 && format === '__auto') {
    const l = series[0]!, keys = Object.keys(l).filter((k) => k !== '__name__');
    if (!keys.length) return [l.__name__ ?? expr];
    if (l.__name__) return [labelsText(l)];
    return keys.length === 1 ? [l[keys[0]!]!] : [labelsText(l)];
  }
  if (format === '__auto' || format === undefined) {
    const keys = new Set(series.flatMap((l) => Object.keys(l)));
    const differing = [...keys].filter((k) => new Set(series.map((l) => l[k])).size > 1);
    if (differing.length === 1 && format === '__auto') return series.map((l) => l[differing[0]!] ?? '');
  }
  return series.map((l) => labelsText(l) || expr || 'Value');
}

const skipInName = new Set(['time', 'value']);

/** The name a field has before `displayName`: from the data source, else name and labels as far as they tell fields apart. */
export function baseName(f: Field, frame: Frame, all: readonly Frame[]): string {
  if (f.config.displayNameFromDS) return f.config.displayNameFromDS;
  if (f.type === 'time' && !f.labels) return f.name || 'Time';
  const labels = f.labels ?? {}, keys = Object.keys(labels);
  const generic = skipInName.has(f.name.toLowerCase());
  if (frame.name && all.length > 1 && generic && !keys.length) return frame.name;
  if (!keys.length) return f.name || frame.name || 'Value';
  if (generic) return keys.length === 1 ? labels[keys[0]!]! : labelsText(labels);
  return keys.length === 1 ? `${f.name} ${labels[keys[0]!]}` : `${f.name} ${labelsText(labels, false)}`;
}

function compare(value: number, op: string, right: number): boolean {
  switch (op) {
    case 'gt': return value > right;
    case 'gte': return value >= right;
    case 'lt': return value < right;
    case 'lte': return value <= right;
    case 'eq': return value === right;
    case 'neq': return value !== right;
    default: return false;
  }
}

/** Does a field matcher (`byName`, `byRegexp`, ...) fit? Names are compared in their shown form and raw. */
export function matchesField(matcher: { id: string; options?: unknown }, f: Field, frame: Frame, name: string): boolean {
  const o = matcher.options;
  const list = (x: unknown): string[] => (Array.isArray(x) ? x.map(String) : typeof x === 'string' ? x.split(',').map((s) => s.trim()) : []);
  switch (matcher.id) {
    case 'byName': return o === name || o === f.name;
    case 'byRegexp': return typeof o === 'string' && (toRegExp(o)?.test(name) ?? false);
    case 'byType': return f.type === o || (o === 'numeric' && f.type === 'number');
    case 'byTypes': return list(o).includes(f.type);
    case 'numeric': return f.type === 'number';
    case 'time': case 'firstTimeField': return f.type === 'time';
    case 'byFrameRefID': return frame.refId === o;
    case 'byNames': {
      const opt = (o ?? {}) as { names?: unknown; mode?: string };
      const names = Array.isArray(o) ? list(o) : list(opt.names);
      const hit = names.includes(name) || names.includes(f.name);
      return opt.mode === 'exclude' ? f.type === 'number' && !hit : hit;
    }
    case 'byNameOrRegexp': {
      if (typeof o === 'string') return o === name || (toRegExp(o)?.test(name) ?? false);
      const opt = (o ?? {}) as { names?: unknown; pattern?: string; variable?: string };
      return list(opt.names).includes(name) || (!!opt.pattern && (toRegExp(opt.pattern)?.test(name) ?? false));
    }
    case 'byValue': {
      const opt = (o ?? {}) as { reducer?: string; op?: string; value?: number };
      if (f.type !== 'number') return false;
      const v = reduce(f.values, opt.reducer ?? 'lastNotNull');
      return typeof v === 'number' && compare(v, opt.op ?? 'gte', opt.value ?? 0);
    }
    case 'anyMatch': return Array.isArray(o) && o.some((m) => matchesField(m as Override['matcher'], f, frame, name));
    case 'allMatch': return Array.isArray(o) && o.every((m) => matchesField(m as Override['matcher'], f, frame, name));
    case 'invertMatch': return !!o && !matchesField(o as Override['matcher'], f, frame, name);
    default: return false;
  }
}

/** Sets `color`, `custom.fillOpacity`, `custom.stacking` ... on a config; `custom.a.b` nests. */
export function setProperty(config: FieldConfig, id: string, value: unknown): void {
  if (!id.startsWith('custom.')) {
    (config as Record<string, unknown>)[id === 'displayNameFromDS' ? 'displayName' : id] = value;
    return;
  }
  const path = id.slice(7).split('.');
  const custom = { ...(config.custom ?? {}) };
  config.custom = custom;
  let at: Record<string, unknown> = custom;
  for (const key of path.slice(0, -1)) {
    if (key === '__proto__' || key === 'constructor') return;
    at[key] = { ...((at[key] as Record<string, unknown>) ?? {}) };
    at = at[key] as Record<string, unknown>;
  }
  const last = path.at(-1)!;
  if (last !== '__proto__') at[last] = value;
}

function mergeConfig(base: FieldConfig, own: FieldConfig): FieldConfig {
  const out: FieldConfig = { ...base, custom: { ...(base.custom ?? {}) } };
  for (const [k, v] of Object.entries(own)) if (v !== undefined && k !== 'custom') (out as Record<string, unknown>)[k] = v;
  if (own.custom) Object.assign(out.custom!, own.custom);
  return out;
}

/** Defaults + overrides + names + colours for all frames of a panel. `interpolate` fills variables into display names. */
export function applyFieldConfig(frames: readonly Frame[], source: FieldConfigSource, theme: Theme, interpolate: (t: string, f: Field) => string = (t) => t): ReadyFrame[] {
  let seriesIndex = 0;
  const overrides = (source.overrides ?? []).filter((o) => o?.matcher && Array.isArray(o.properties));
  return frames.map((frame, frameIndex) => {
    const numbers = frame.fields.filter((f) => f.type === 'number').length;
    return {
      ...frame,
      fields: frame.fields.map((f, fieldIndex) => {
        const config = mergeConfig(source.defaults ?? {}, f.config);
        const first = baseName(f, frame, frames);
        const named = (): string => {
          if (!config.displayName) return first;
          const t = config.displayName.replace(/\$\{?__cell_(\d+)\}?/g, '');
          const local: Record<string, string> = { '__field.name': f.name, '__series.name': numbers > 1 ? first : (frame.name ?? first), __field: f.name };
          const filled = t.replace(/\$\{(__field\.labels\.([^}]+)|__field\.labels|__field\.name|__series\.name)\}/g, (_, key: string, label?: string) => (label ? (f.labels?.[label.replace(/^\["|"\]$/g, '')] ?? '') : key === '__field.labels' ? labelsText(f.labels, false) : (local[key] ?? '')));
          return interpolate(filled, f) || first;
        };
        for (const o of overrides) {
          if (matchesField(o.matcher, f, frame, first) || (config.displayName && matchesField(o.matcher, f, frame, named()))) for (const p of o.properties) setProperty(config, p.id, p.value);
        }
        const shownName = f.type === 'time' && !config.displayName ? first : named();
        const idx = f.type === 'number' ? seriesIndex++ : 0;
        return { ...f, config, shownName, refId: frame.refId, frameIndex, fieldIndex, seriesIndex: idx, color: seriesColor(config, idx, shownName, theme) };
      }),
    };
  });
}

/** A hideFrom flag (`legend`, `tooltip`, `viz`). */
export const hiddenFrom = (f: Field, where: 'legend' | 'tooltip' | 'viz'): boolean => !!(f.config.custom?.hideFrom as Record<string, boolean> | undefined)?.[where];
