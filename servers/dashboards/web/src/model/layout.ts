// From the model's panels to what is on the page: rows own what follows them, collapsed rows hide their panels, `repeat`
// makes one copy per value of a variable, and everything is moved up as far as it goes. Pure; the page draws the result.
import type { GridPos, Panel } from './types';

export type Scope = Record<string, { text: string; value: string }>;
export interface Placed { key: string; panel: Panel; pos: GridPos; scope: Scope }
export interface RepeatSource { (variable: string): { text: string; value: string }[] }

export interface Section { row: Panel | null; panels: Panel[] }

/** Rows with the panels that belong to them; panels before the first row stand under `row: null`. */
export function sections(panels: readonly Panel[]): Section[] {
  const sorted = [...panels].sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x);
  const out: Section[] = [{ row: null, panels: [] }];
  for (const p of sorted) {
    if (p.type === 'row') out.push({ row: p, panels: p.collapsed ? [...(p.panels ?? [])] : [...(p.panels ?? [])] });
    else out.at(-1)!.panels.push(p);
  }
  return out.filter((s) => s.row || s.panels.length);
}

const overlaps = (a: GridPos, b: GridPos): boolean => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

/** Moves every item up until it meets another; keeps the order by (y, x). Resolves overlaps by pushing down. */
export function compact<T extends { pos: GridPos }>(items: readonly T[]): T[] {
  const done: T[] = [];
  const sorted = [...items].sort((a, b) => a.pos.y - b.pos.y || a.pos.x - b.pos.x);
  for (const item of sorted) {
    const pos = { ...item.pos };
    while (done.some((d) => overlaps(d.pos, pos))) pos.y++;
    while (pos.y > 0 && !done.some((d) => overlaps(d.pos, { ...pos, y: pos.y - 1 }))) pos.y--;
    done.push({ ...item, pos });
  }
  return done;
}

const bottom = (items: readonly { pos: GridPos }[]): number => items.reduce((m, i) => Math.max(m, i.pos.y + i.pos.h), 0);

function expandPanels(panels: readonly Panel[], scope: Scope, repeat: RepeatSource, suffix: string): Placed[] {
  const sorted = [...panels].sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x);
  const out: Placed[] = [];
  let shift = 0;
  for (const p of sorted) {
    const key = `${p.id}${suffix}`;
    const base = { ...p.gridPos, y: p.gridPos.y + shift };
    const values = p.repeat && !scope[p.repeat] ? repeat(p.repeat) : [];
    if (!p.repeat || !values.length) {
      out.push({ key, panel: p, pos: base, scope });
      continue;
    }
    if (p.repeatDirection === 'v') {
      values.forEach((v, i) => out.push({ key: i ? `${key}-${v.value}` : key, panel: p, pos: { ...base, y: base.y + i * base.h }, scope: { ...scope, [p.repeat!]: v } }));
      shift += (values.length - 1) * base.h;
    } else {
      const perRow = Math.max(1, Math.min(p.maxPerRow ?? 4, values.length)), w = Math.max(1, Math.floor(24 / perRow));
      values.forEach((v, i) => out.push({ key: i ? `${key}-${v.value}` : key, panel: p, pos: { x: (i % perRow) * w, y: base.y + Math.floor(i / perRow) * base.h, w, h: base.h }, scope: { ...scope, [p.repeat!]: v } }));
      shift += (Math.ceil(values.length / perRow) - 1) * base.h;
    }
  }
  return out;
}

export interface PlacedSection { key: string; row: Panel | null; scope: Scope; collapsed: boolean; items: Placed[]; height: number; count: number }

/** The page: sections top to bottom, each with its panels placed on a 24-column grid of its own. */
export function layoutDashboard(panels: readonly Panel[], repeat: RepeatSource, collapsed: (row: Panel, key: string) => boolean): PlacedSection[] {
  const out: PlacedSection[] = [];
  for (const s of sections(panels)) {
    const scopes: { scope: Scope; suffix: string }[] = [{ scope: {}, suffix: '' }];
    if (s.row?.repeat) {
      const values = repeat(s.row.repeat);
      if (values.length) scopes.splice(0, 1, ...values.map((v, i) => ({ scope: { [s.row!.repeat!]: v }, suffix: i ? `-${v.value}` : '' })));
    }
    for (const { scope, suffix } of scopes) {
      const key = s.row ? `row-${s.row.id}${suffix}` : 'top';
      const top = Math.min(...s.panels.map((p) => p.gridPos.y), Infinity);
      const moved = s.panels.map((p) => ({ ...p, gridPos: { ...p.gridPos, y: p.gridPos.y - (Number.isFinite(top) ? top : 0) } }));
      const isCollapsed = s.row ? collapsed(s.row, key) : false;
      const items = isCollapsed ? [] : compact(expandPanels(moved, scope, repeat, suffix));
      out.push({ key, row: s.row, scope, collapsed: isCollapsed, items, height: bottom(items), count: s.panels.length });
    }
  }
  return out;
}

/** All panels, those inside rows included. */
export function allPanels(panels: readonly Panel[]): Panel[] {
  return panels.flatMap((p) => (p.type === 'row' ? [p, ...(p.panels ?? [])] : [p]));
}

/** Changes one panel wherever it is. */
export function mapPanel(panels: readonly Panel[], id: number, fn: (p: Panel) => Panel | null): Panel[] {
  return panels.flatMap((p) => {
    if (p.id === id) { const q = fn(p); return q ? [q] : []; }
    return [p.panels ? { ...p, panels: mapPanel(p.panels, id, fn) } : p];
  });
}
