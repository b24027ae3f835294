// calculateField: a new column from others of the same row (or from earlier rows).
import { field, type Field, type Frame, type Value } from '../fields/frame';
import { reduce } from '../fields/reduce';
import { nameOf, withFields, type Options } from './columns';
import { joinFrames } from './join';
import type { TransformFn } from './run';

type Operand = { matcher?: { id: string; options?: unknown }; fixed?: string } | string | undefined;
type Column = (row: number) => number | null;

const num = (v: Value): number | null => (typeof v === 'number' ? v : typeof v === 'boolean' ? Number(v) : null);

function operand(o: Operand, frame: Frame, frames: readonly Frame[], interpolate: (t: string) => string): { label: string; at: Column } | null {
  const text = typeof o === 'string' ? o : o?.fixed !== undefined && o.fixed !== '' ? o.fixed : String(o?.matcher?.options ?? '');
  const filled = interpolate(text);
  const f = frame.fields.find((x) => x.type !== 'time' && (nameOf(x, frame, frames) === filled || x.name === filled));
  if (f) return { label: filled, at: (row) => num(f.values[row]) };
  const n = Number(filled);
  return filled.trim() !== '' && !Number.isNaN(n) ? { label: filled, at: () => n } : null;
}

export function binary(op: string, a: number | null, b: number | null): number | null {
  if (a === null || b === null) return null;
  switch (op) {
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    case '/': return a / b;
    case '%': return a % b;
    case '**': case '^': return a ** b;
    case '>': return Number(a > b);
    case '<': return Number(a < b);
    case '>=': return Number(a >= b);
    case '<=': return Number(a <= b);
    case '=': case '==': return Number(a === b);
    case '!=': return Number(a !== b);
    default: return null;
  }
}

function chosen(frame: Frame, frames: readonly Frame[], include: unknown): Field[] {
  const names = Array.isArray(include) && include.length ? new Set(include.map(String)) : null;
  return frame.fields.filter((f) => f.type === 'number' && (!names || names.has(nameOf(f, frame, frames)) || names.has(f.name)));
}

const unaries: Record<string, (x: number) => number> = { abs: Math.abs, ceil: Math.ceil, floor: Math.floor, round: Math.round, exp: Math.exp, ln: Math.log, log: Math.log };

function columnOf(frame: Frame, frames: readonly Frame[], o: Options, interpolate: (t: string) => string): { name: string; values: Value[] } | null {
  const rows = Array.from({ length: frame.length }, (_, i) => i);
  switch (o.mode ?? 'reduceRow') {
    case 'binary': {
      const left = operand(o.binary?.left, frame, frames, interpolate), right = operand(o.binary?.right, frame, frames, interpolate), op = o.binary?.operator ?? '+';
      return left && right ? { name: `${left.label} ${op} ${right.label}`, values: rows.map((i) => binary(op, left.at(i), right.at(i))) } : null;
    }
    case 'unary': {
      const src = operand(o.unary?.fieldName, frame, frames, interpolate), fn = unaries[o.unary?.operator ?? 'abs'];
      return src && fn ? { name: `${o.unary?.operator ?? 'abs'} ${src.label}`, values: rows.map((i) => { const v = src.at(i); return v === null ? null : fn(v); }) } : null;
    }
    case 'index': return { name: 'Row', values: rows.map((i) => (o.index?.asPercentile ? i / Math.max(1, frame.length - 1) : i)) };
    case 'cumulativeFunctions': {
      const src = operand(o.cumulative?.field, frame, frames, interpolate);
      if (!src) return null;
      let total = 0, n = 0;
      const mean = o.cumulative?.reducer === 'mean';
      return { name: `${mean ? 'cumulative mean' : 'cumulative sum'} ${src.label}`, values: rows.map((i) => { const v = src.at(i); if (v !== null) { total += v; n++; } return mean ? (n ? total / n : null) : total; }) };
    }
    case 'windowFunctions': {
      const w = o.window ?? {}, src = operand(w.field, frame, frames, interpolate);
      if (!src) return null;
      const size = Math.max(1, Math.round(w.windowSizeMode === 'fixed' ? (w.windowSize ?? 10) : frame.length * (w.windowSize ?? 0.1)));
      return { name: `${w.windowAlignment ?? 'trailing'} moving ${w.reducer ?? 'mean'} ${src.label}`, values: rows.map((i) => { const a = w.windowAlignment === 'centered' ? i - Math.floor(size / 2) : i - size + 1; return reduce(rows.slice(Math.max(0, a), Math.min(frame.length, a + size)).map((r) => src.at(r)), w.reducer ?? 'mean') ?? null; }) };
    }
    default: {
      const fields = chosen(frame, frames, o.reduce?.include), id = o.reduce?.reducer ?? 'sum';
      return fields.length ? { name: id === 'sum' ? 'Total' : id, values: rows.map((i) => reduce(fields.map((f) => f.values[i]), id) ?? null) } : null;
    }
  }
}

export const calculateField: TransformFn = (input, o, c) => {
  const joined = o.mode !== 'index' && o.timeSeries !== false && input.length > 1 ? joinFrames(input, undefined, 'outer') : null;
  const frames = joined ? [joined] : input;
  return frames.map((frame) => {
    const col = columnOf(frame, frames, o, c.interpolate);
    if (!col) return frame;
    const f = field(o.alias || col.name, 'number', col.values, { config: o.alias ? { displayName: o.alias } : {} });
    return withFields(frame, o.replaceFields ? [...frame.fields.filter((x) => x.type === 'time'), f] : [...frame.fields, f]);
  });
};
