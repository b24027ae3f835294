// Where panels go when one is moved or resized: it takes its place, what it meets moves down, gaps close. Pure.
import { compact, sections } from '../model/layout';
import type { GridPos, Panel } from '../model/types';

/** Places a panel and pushes what it meets down; the panels of its section close ranks. */
export function placePanel(panels: readonly Panel[], id: number, pos: GridPos): Panel[] {
  const group = sections(panels).find((s) => s.panels.some((p) => p.id === id));
  if (!group) return [...panels];
  const top = group.row ? group.row.gridPos.y + 1 : 0, clean: GridPos = { w: Math.max(1, Math.min(24, pos.w)), h: Math.max(2, pos.h), x: 0, y: Math.max(0, pos.y - top) };
  clean.x = Math.max(0, Math.min(24 - clean.w, pos.x));
  const items = group.panels.map((p) => ({ id: p.id, pos: p.id === id ? { ...clean, y: clean.y - 0.5 } : { ...p.gridPos, y: p.gridPos.y - top } }));
  const placed = new Map(compact(items.map((i) => ({ ...i, pos: { ...i.pos, y: Math.max(0, Math.ceil(i.pos.y)) } })).sort((a, b) => (a.id === id ? -1 : b.id === id ? 1 : 0))).map((i) => [i.id, i.pos] as const));
  const before = Math.max(0, ...group.panels.map((p) => p.gridPos.y + p.gridPos.h)), after = Math.max(0, ...[...placed.values()].map((p) => p.y + p.h + top)), delta = after - before;
  const inRow = group.row?.panels?.some((p) => p.id === id);
  return panels.map((p) => {
    if (placed.has(p.id) && p.type !== 'row') { const q = placed.get(p.id)!; return { ...p, gridPos: { ...q, y: q.y + top } }; }
    if (inRow && p.id === group.row!.id) return { ...p, panels: p.panels!.map((x) => { const q = placed.get(x.id); return q ? { ...x, gridPos: { ...q, y: q.y + top } } : x; }) };
    return p.gridPos.y >= before && !inRow ? { ...p, gridPos: { ...p.gridPos, y: p.gridPos.y + delta } } : p;
  });
}
