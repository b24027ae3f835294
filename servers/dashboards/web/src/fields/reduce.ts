// Reducers ("calcs"): one value out of a column. Unknown ids give null.
import type { Value } from './frame';

export interface ReducerInfo { id: string; name: string; preservesUnit: boolean }

const list: [id: string, name: string, keepsUnit?: boolean][] = [
  ['lastNotNull', 'Last *'], ['last', 'Last'], ['firstNotNull', 'First *'], ['first', 'First'], ['min', 'Min'], ['max', 'Max'], ['mean', 'Mean'], ['median', 'Median'],
  ['variance', 'Variance'], ['stdDev', 'StdDev'], ['sum', 'Total'], ['count', 'Count', false], ['range', 'Range'], ['delta', 'Delta'], ['step', 'Step'], ['diff', 'Difference'],
  ['diffperc', 'Difference percent', false], ['logmin', 'Min (above zero)'], ['allIsZero', 'All zeros', false], ['allIsNull', 'All nulls', false], ['changeCount', 'Change count', false],
  ['distinctCount', 'Distinct count', false], ['countAll', 'Count all', false], ['allValues', 'All values', false], ['uniqueValues', 'All unique values', false],
];
export const reducers: ReducerInfo[] = [...list.map(([id, name, keep]) => ({ id, name, preservesUnit: keep !== false })), ...Array.from({ length: 99 }, (_, i) => ({ id: `p${i + 1}`, name: `${i + 1}th %`, preservesUnit: true }))];

const oldNames: Record<string, string> = { current: 'lastNotNull', total: 'sum', avg: 'mean', average: 'mean', stddev: 'stdDev' };
export const reducerId = (id: string): string => oldNames[id] ?? id;
export const reducerName = (id: string): string => reducers.find((r) => r.id === reducerId(id))?.name ?? id;
export const keepsUnit = (id: string): boolean => reducers.find((r) => r.id === reducerId(id))?.preservesUnit ?? true;

const numbersOf = (values: readonly Value[]): number[] => {
  const out: number[] = [];
  for (const v of values) {
    const n = typeof v === 'number' ? v : typeof v === 'boolean' ? Number(v) : NaN;
    if (!Number.isNaN(n)) out.push(n);
  }
  return out;
};

function quantile(sorted: number[], q: number): number | null {
  if (!sorted.length) return null;
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))]!;
}

/** Reduces a column. Order-based reducers work for any type; numeric ones skip nulls and NaN. */
export function reduce(values: readonly Value[], rawId: string): Value {
  const id = reducerId(rawId), n = values.length;
  switch (id) {
    case 'last': return n ? (values[n - 1] ?? null) : null;
    case 'first': return n ? (values[0] ?? null) : null;
    case 'lastNotNull': for (let i = n - 1; i >= 0; i--) { const v = values[i]; if (v !== null && v !== undefined && !(typeof v === 'number' && Number.isNaN(v))) return v; } return null;
    case 'firstNotNull': for (let i = 0; i < n; i++) { const v = values[i]; if (v !== null && v !== undefined && !(typeof v === 'number' && Number.isNaN(v))) return v; } return null;
    case 'countAll': return n;
    case 'allValues': return [...values];
    case 'uniqueValues': return [...new Set(values)];
    case 'distinctCount': return new Set(values).size;
    case 'allIsNull': return values.every((v) => v === null || v === undefined);
    case 'allIsZero': return n > 0 && values.every((v) => v === 0);
    case 'changeCount': { let c = 0, prev: Value; let seen = false; for (const v of values) { if (v === null || v === undefined) continue; if (seen && v !== prev) c++; prev = v; seen = true; } return c; }
  }
  const xs = numbersOf(values);
  if (id === 'count') return xs.length;
  if (!xs.length) return null;
  switch (id) {
    case 'sum': { let s = 0; for (const x of xs) s += x; return s; }
    case 'mean': { let s = 0; for (const x of xs) s += x; return s / xs.length; }
    case 'min': { let m = xs[0]!; for (const x of xs) if (x < m) m = x; return m; }
    case 'max': { let m = xs[0]!; for (const x of xs) if (x > m) m = x; return m; }
    case 'logmin': { let m: number | null = null; for (const x of xs) if (x > 0 && (m === null || x < m)) m = x; return m; }
    case 'range': { let lo = xs[0]!, hi = xs[0]!; for (const x of xs) { if (x < lo) lo = x; if (x > hi) hi = x; } return hi - lo; }
    case 'median': return quantile([...xs].sort((a, b) => a - b), 0.5);
    case 'variance': case 'stdDev': {
      let mean = 0, m2 = 0, i = 0;
      for (const x of xs) { i++; const d = x - mean; mean += d / i; m2 += d * (x - mean); }
      const v = m2 / xs.length;
      return id === 'stdDev' ? Math.sqrt(v) : v;
    }
    case 'diff': return xs.at(-1)! - xs[0]!;
    case 'diffperc': return (xs.at(-1)! - xs[0]!) / xs[0]!;
    case 'delta': { let d = 0; for (let i = 1; i < xs.length; i++) d += xs[i]! >= xs[i - 1]! ? xs[i]! - xs[i - 1]! : xs[i]!; return d; }
    case 'step': { let s = Infinity; for (let i = 1; i < xs.length; i++) s = Math.min(s, xs[i]! - xs[i - 1]!); return Number.isFinite(s) ? s : null; }
  }
  const p = /^p(\d{1,2})$/.exec(id);
  if (p) return quantile([...xs].sort((a, b) => a - b), Number(p[1]) / 100);
  return null;
}
