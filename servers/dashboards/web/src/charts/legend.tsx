// Legends of every chart: a list or a table with calculations. Click isolates, Ctrl/Cmd+click toggles, a table heading sorts.
import { useState } from 'preact/hooks';
import type { ReadyField } from '../fields/apply';
import { displayer, displayText } from '../fields/display';
import type { Theme } from '../fields/color';
import { keepsUnit, reduce, reducerName } from '../fields/reduce';
import { compareValues } from '../transforms/rows';
import { obj, str, strings } from '../model/read';
import { textWidth } from './canvas';
import { Swatch } from './tooltip';

export interface LegendOptions { show: boolean; table: boolean; right: boolean; calcs: string[]; sortBy?: string; sortDesc?: boolean; width?: number }
export interface LegendItem { name: string; color: string; field?: ReadyField; values?: readonly (number | null)[]; side?: string; texts?: string[] }

export function legendOptions(options: Record<string, unknown>): LegendOptions {
  const l = obj(options.legend);
  return { show: l.showLegend !== false && l.displayMode !== 'hidden', table: l.displayMode === 'table', right: l.placement === 'right', calcs: strings(l.calcs), sortBy: str(l.sortBy) || undefined, sortDesc: l.sortDesc === true, width: typeof l.width === 'number' ? l.width : undefined };
}

/** Next set of hidden names: a plain click isolates (or shows all again), a toggle flips one. */
export function nextHidden(all: readonly string[], hidden: ReadonlySet<string>, name: string, toggle: boolean): Set<string> {
  if (toggle) { const n = new Set(hidden); if (n.has(name)) n.delete(name); else n.add(name); return n.size >= all.length ? new Set() : n; }
  const alone = !hidden.has(name) && all.every((x) => x === name || hidden.has(x));
  return alone ? new Set() : new Set(all.filter((x) => x !== name));
}

export function Legend(p: { items: LegendItem[]; options: LegendOptions; hidden: ReadonlySet<string>; onHidden: (h: Set<string>) => void; onHover?: (name: string | null) => void; theme: Theme; zone: string; maxHeight?: number; kind?: 'line' | 'dot' }) {
  const { options: o } = p;
  const [sort, setSort] = useState<{ by: string; desc: boolean } | null>(o.sortBy ? { by: o.sortBy, desc: !!o.sortDesc } : null);
  const names = p.items.map((i) => i.name);
  const calc = (i: LegendItem, c: string) => { const v = reduce((i.values ?? i.field?.values ?? []) as number[], c); return { v, text: i.field ? displayText(displayer(keepsUnit(c) ? i.field : { ...i.field, config: {} }, { theme: p.theme, zone: p.zone })(v)) : String(v ?? '') }; };
  const rows = p.items.map((i) => ({ i, calcs: o.calcs.map((c) => calc(i, c)) }));
  if (sort) {
    const at = o.calcs.findIndex((c) => c === sort.by || reducerName(c) === sort.by);
    rows.sort((a, b) => (at >= 0 ? compareValues(a.calcs[at]!.v, b.calcs[at]!.v) : a.i.name.localeCompare(b.i.name, undefined, { numeric: true })) * (sort.desc ? -1 : 1));
  }
  const click = (e: MouseEvent | KeyboardEvent, name: string) => p.onHidden(nextHidden(names, p.hidden, name, e.ctrlKey || e.metaKey));
  const button = (i: LegendItem) => (
    <button type="button" class="legend-name" aria-pressed={!p.hidden.has(i.name)} title={i.name} onClick={(e) => click(e, i.name)} onMouseEnter={() => p.onHover?.(i.name)} onMouseLeave={() => p.onHover?.(null)}><Swatch color={i.color} kind={p.kind ?? 'line'} /><span>{i.name}</span>{i.side && <span class="dim"> {i.side}</span>}</button>
  );
  const style = p.maxHeight ? { maxHeight: `${p.maxHeight}px` } : undefined;
  if (o.table) {
    const head = (id: string, text: string) => <th key={id} scope="col" aria-sort={sort?.by === id ? (sort.desc ? 'descending' : 'ascending') : 'none'} class={id === 'name' ? 'name' : ''}><button type="button" onClick={() => setSort(sort?.by === id ? (sort.desc ? { by: id, desc: false } : null) : { by: id, desc: true })}>{text}{sort && (sort.by === id || reducerName(id) === sort.by) ? (sort.desc ? ' ↓' : ' ↑') : ''}</button></th>;
    return (
      <div class={`legend table ${o.right ? 'right' : ''}`} style={style} tabIndex={0} role="group" aria-label="Legend">
        <table><thead><tr>{head('name', 'Name')}{o.calcs.map((c) => head(c, reducerName(c)))}</tr></thead>
          <tbody>{rows.map((r, n) => <tr key={n} class={p.hidden.has(r.i.name) ? 'off' : ''}><td class="name">{button(r.i)}</td>{r.calcs.map((c, k) => <td key={k}>{c.text}</td>)}</tr>)}</tbody></table>
      </div>
    );
  }
  return (
    <ul class={`legend list ${o.right ? 'right' : ''}`} style={style} tabIndex={0} aria-label="Legend">
      {rows.map((r, n) => <li key={n} class={p.hidden.has(r.i.name) ? 'off' : ''}>{button(r.i)}{r.i.texts?.map((t, k) => <span key={k} class="calc">{t}</span>)}{r.calcs.map((c, k) => <span key={k} class="calc"><span class="dim">{reducerName(o.calcs[k]!)}:</span> {c.text}</span>)}</li>)}
    </ul>
  );
}

/** Space for the legend: beside or below, at most a part of the panel. */
export function splitLegend(o: LegendOptions, names: readonly string[], width: number, height: number): { chartW: number; chartH: number; legendMax: number; right: boolean } {
  const items = names.length;
  if (!o.show || !items || height < 90) return { chartW: width, chartH: height, legendMax: 0, right: false };
  if (o.right && width > 360) {
    const w = Math.min(o.width ?? (o.table ? 150 + 68 * o.calcs.length : 200), Math.floor(width * 0.48));
    return { chartW: width - w - 8, chartH: height, legendMax: height, right: true };
  }
  let lines = 1, x = 0;
  for (const n of names) { const w = Math.min(width, textWidth(n) * 1.12 + 34 + o.calcs.length * 92); if (x > 0 && x + w > width) { lines++; x = 0; } x += w; }
  const wanted = o.table ? 24 + items * 22 : lines * 22;
  const max = Math.min(wanted, Math.max(22, Math.floor(height * (o.table ? 0.42 : 0.3) / 22) * 22));
  return { chartW: width, chartH: height - max - 4, legendMax: max, right: false };
}
