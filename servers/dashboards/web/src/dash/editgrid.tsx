// Moving and resizing panels on the grid in edit mode, by pointer or by arrow keys on the handles.
import type { Placed } from '../model/layout';
import { compact, sections } from '../model/layout';
import type { GridPos, Panel } from '../model/types';
import { Icon } from '../shell/icons';
import type { DashState } from './state';

const rowPx = 38;

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

export function EditHandles({ item, state }: { item: Placed; state: DashState }) {
  const { panel } = item;
  const apply = (pos: GridPos) => state.change((d) => ({ ...d, panels: placePanel(d.panels, panel.id, pos) }));
  const drag = (e: PointerEvent, kind: 'move' | 'size') => {
    if (e.button !== 0) return;
    e.preventDefault();
    const handle = e.currentTarget as HTMLElement, cell = handle.parentElement!, grid = cell.parentElement!, col = grid.clientWidth / 24, start = panel.gridPos, x0 = e.clientX, y0 = e.clientY + scrollY;
    cell.classList.add('dragging');
    const delta = (m: PointerEvent) => ({ dx: m.clientX - x0, dy: m.clientY + scrollY - y0 });
    const move = (m: PointerEvent) => {
      const { dx, dy } = delta(m);
      if (kind === 'move') cell.style.transform = `translate(${dx}px,${dy}px)`;
      else { cell.style.width = `${Math.max(60, start.w * col - 8 + dx)}px`; cell.style.height = `${Math.max(60, start.h * rowPx - 8 + dy)}px`; }
    };
    const up = (m: PointerEvent) => {
      document.removeEventListener('pointermove', move);
      document.removeEventListener('pointerup', up);
      cell.classList.remove('dragging');
      cell.style.transform = cell.style.width = cell.style.height = '';
      const { dx, dy } = delta(m), c = Math.round(dx / col), r = Math.round(dy / rowPx);
      if (c || r) apply(kind === 'move' ? { ...start, x: start.x + c, y: start.y + r } : { ...start, w: Math.min(24 - start.x, start.w + c), h: start.h + r });
    };
    document.addEventListener('pointermove', move);
    document.addEventListener('pointerup', up);
  };
  const key = (e: KeyboardEvent, kind: 'move' | 'size') => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (!step) return;
    e.preventDefault();
    e.stopPropagation();
    const p = panel.gridPos, [dx, dy] = step as [number, number];
    apply(kind === 'move' ? { ...p, x: p.x + dx, y: dy > 0 ? p.y + p.h : p.y + dy } : { ...p, w: Math.min(24 - p.x, p.w + dx), h: p.h + dy });
  };
  return (
    <>
      <button type="button" class="handle move" aria-label={`Move ${panel.title || 'panel'} (arrow keys)`} title="Move" onPointerDown={(e) => drag(e, 'move')} onKeyDown={(e) => key(e, 'move')}><Icon name="drag" size={14} /></button>
      <button type="button" class="handle size" aria-label={`Resize ${panel.title || 'panel'} (arrow keys)`} title="Resize" onPointerDown={(e) => drag(e, 'size')} onKeyDown={(e) => key(e, 'size')} />
    </>
  );
}
