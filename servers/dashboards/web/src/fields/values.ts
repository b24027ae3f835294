// Values for panels that show one value a field (stat, gauge, bar gauge, pie): reduced columns, or every row when asked.
import { obj, num, str, strings } from '../model/read';
import type { ReadyField, ReadyFrame } from './apply';
import { displayer, toRegExp, type DisplayContext, type DisplayValue } from './display';
import { keepsUnit, reduce } from './reduce';

export interface ShownValue { name: string; value: DisplayValue; field: ReadyField; row: number; range: [number, number]; series?: { times: readonly number[]; values: readonly (number | null)[] } }

/** All fields' common min and max where a field has none of its own. */
function commonRange(fields: readonly ReadyField[]): [number, number] {
  let lo = Infinity, hi = -Infinity;
  for (const f of fields) for (const v of f.values) if (typeof v === 'number' && Number.isFinite(v)) { if (v < lo) lo = v; if (v > hi) hi = v; }
  return Number.isFinite(lo) ? [lo, hi] : [0, 100];
}

export function shownValues(frames: readonly ReadyFrame[], options: Record<string, unknown>, c: DisplayContext, zeroBased = false): ShownValue[] {
  const r = obj(options.reduceOptions), all = r.values === true, calcs = strings(r.calcs), calc = calcs[0] ?? 'lastNotNull', pick = str(r.fields), limit = num(r.limit, 25);
  const regex = pick && pick !== '/.*/' ? toRegExp(pick) : null;
  const wanted = (f: ReadyField) => (pick === '' ? f.type === 'number' : pick === '/.*/' ? f.type !== 'time' : (regex?.test(f.shownName) ?? false) || (pick.startsWith('/^') && f.name === pick.slice(2, -2)));
  const picked = frames.flatMap((frame) => frame.fields.filter((f) => wanted(f) && !(f.config.custom?.hideFrom as { viz?: boolean } | undefined)?.viz).map((f) => ({ frame, f })));
  const common = commonRange(picked.map((x) => x.f).filter((f) => f.type === 'number'));
  const out: ShownValue[] = [];
  for (const { frame, f } of picked) {
    const lo = f.config.min ?? (zeroBased ? Math.min(0, common[0]) : common[0]), hi = f.config.max ?? common[1], range: [number, number] = [lo, hi > lo ? hi : lo + 1];
    const show = displayer(f, c, f.color, range), times = frame.fields.find((x) => x.type === 'time');
    if (all) {
      const label = frame.fields.filter((x) => x.type === 'string' && x !== f);
      for (let row = 0; row < Math.min(frame.length, limit); row++) out.push({ name: [label.map((x) => String(x.values[row] ?? '')).join(' '), picked.length > 1 || !label.length ? f.shownName : ''].filter(Boolean).join(' '), value: show(f.values[row]), field: f, row, range });
      continue;
    }
    for (const id of calcs.length ? calcs : [calc]) {
      const v = reduce(f.values, id), d = keepsUnit(id) ? show(v) : displayer({ ...f, config: { ...f.config, unit: undefined } }, c, f.color, range)(v);
      out.push({ name: calcs.length > 1 ? `${f.shownName} ${id}` : f.shownName, value: d, field: f, row: frame.length - 1, range, series: times && f.type === 'number' && f.values.length > 1 ? { times: times.values as number[], values: f.values as (number | null)[] } : undefined });
    }
  }
  return out;
}
