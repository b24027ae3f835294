// Moving and resizing panels on the grid in edit mode, by pointer or by arrow keys on the handles.
import type { Placed } from '../model/layout';
import type { GridPos } from '../model/types';
import { Icon } from '../shell/icons';
import { placePanel } from './placement';
import type { DashState } from './state';

const rowPx = 38;

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
