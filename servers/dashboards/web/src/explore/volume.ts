// Counts of log lines per level and step. Pure.
import { levels } from '../api/loki';

export interface VolumeCounts { times: number[]; series: { level: string; values: (number | null)[] }[]; total: number; stepMs: number }

/** Adds counts of the same level (labels `level` and `detected_level`) and orders them by weight. */
export function foldVolume(result: { metric: Record<string, string>; values?: [number, string][] }[], grid: { start: number; end: number; step: number }, toLevel: (s: string | undefined) => string): VolumeCounts {
  const n = Math.max(0, Math.round((grid.end - grid.start) / grid.step) + 1), times = Array.from({ length: n }, (_, i) => (grid.start + i * grid.step) * 1000), by = new Map<string, (number | null)[]>();
  let total = 0;
  for (const s of result) {
    const level = toLevel(s.metric.level ?? s.metric.detected_level);
    if (!by.has(level)) by.set(level, new Array<number | null>(n).fill(null));
    const v = by.get(level)!;
    for (const [t, x] of s.values ?? []) { const i = Math.round((t - grid.start) / grid.step); if (i >= 0 && i < n) { v[i] = (v[i] ?? 0) + Number(x); total += Number(x); } }
  }
  const order = (l: string) => { const i = (levels as string[]).indexOf(l); return i < 0 ? 99 : i; };
  return { times, series: [...by].sort((a, b) => order(b[0]) - order(a[0])).map(([level, values]) => ({ level, values })), total, stepMs: grid.step * 1000 };
}
