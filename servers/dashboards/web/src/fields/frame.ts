// The shape every data source answer takes before panels and transformations see it: a frame is a list of columns
// ("fields") of one length. Times are epoch ms. A missing number is null; NaN stays NaN.

export type FieldType = 'time' | 'number' | 'string' | 'boolean' | 'other';
export type Labels = Record<string, string>;
export type Value = number | string | boolean | null | undefined | object;

export interface ThresholdStep { value: number | null; color: string }
export interface Thresholds { mode: 'absolute' | 'percentage'; steps: ThresholdStep[] }
export interface ColorConfig { mode: string; fixedColor?: string; seriesBy?: 'last' | 'min' | 'max'; gradientColorTo?: string }
export interface MappingResult { text?: string; color?: string; icon?: string; index?: number }
export type Mapping =
  | { type: 'value'; options: Record<string, MappingResult> }
  | { type: 'range'; options: { from: number | null; to: number | null; result: MappingResult } }
  | { type: 'regex'; options: { pattern: string; result: MappingResult } }
  | { type: 'special'; options: { match: string; result: MappingResult } };
export interface DataLink { title: string; url: string; targetBlank?: boolean }

export interface FieldConfig {
  unit?: string; decimals?: number | null; min?: number | null; max?: number | null; fieldMinMax?: boolean; displayName?: string; displayNameFromDS?: string; noValue?: string;
  color?: ColorConfig; thresholds?: Thresholds; mappings?: Mapping[]; links?: DataLink[]; filterable?: boolean; description?: string; custom?: Record<string, unknown>;
}

export interface Field {
  name: string; type: FieldType; values: Value[]; labels?: Labels; config: FieldConfig;
  /** Nanosecond part or original text that a panel needs beside the value. */
  extra?: unknown[];
}

export interface Frame { name?: string; refId?: string; fields: Field[]; length: number; meta?: { kind?: 'series' | 'table' | 'logs' | 'heatmap'; type?: string; custom?: Record<string, unknown> } }

export const emptyFrame = (refId?: string): Frame => ({ refId, fields: [], length: 0 });

export function field(name: string, type: FieldType, values: Value[], extra: Partial<Field> = {}): Field {
  return { name, type, values, config: {}, ...extra };
}

export function guessType(values: Value[]): FieldType {
  for (const v of values) {
    if (v === null || v === undefined || v === '') continue;
    if (typeof v === 'number') return 'number';
    if (typeof v === 'boolean') return 'boolean';
    if (typeof v === 'object') return 'other';
    return 'string';
  }
  return 'string';
}

export const timeField = (f: Frame): Field | undefined => f.fields.find((x) => x.type === 'time');
export const isNumber = (v: Value): v is number => typeof v === 'number';

/** `{a="b", c="d"}` with names sorted; the metric name stands in front. */
export function labelsText(labels: Labels | undefined, withName = true): string {
  if (!labels) return '';
  const names = Object.keys(labels).filter((k) => k !== '__name__').sort();
  const inner = names.map((k) => `${k}="${labels[k]}"`).join(', ');
  const metric = withName ? (labels.__name__ ?? '') : '';
  return names.length || !metric ? `${metric}{${inner}}` : metric;
}
