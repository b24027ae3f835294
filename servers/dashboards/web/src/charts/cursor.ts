// One crosshair for many charts: the chart under the pointer tells the time, the others move a line. Subscribers change the
// DOM themselves, nothing re-renders. `group` keeps pages and panes apart.

export interface CursorEvent { time: number | null; source: string }
type Listener = (e: CursorEvent) => void;
const groups = new Map<string, Set<Listener>>();
let pending: { group: string; e: CursorEvent } | null = null;

export function subscribeCursor(group: string, fn: Listener): () => void {
  if (!groups.has(group)) groups.set(group, new Set());
  groups.get(group)!.add(fn);
  return () => { groups.get(group)?.delete(fn); };
}

/** Tells the group, at most once a frame. */
export function moveCursor(group: string, e: CursorEvent): void {
  if (!pending) requestAnimationFrame(() => { const p = pending; pending = null; if (p) groups.get(p.group)?.forEach((fn) => fn(p.e)); });
  pending = { group, e };
}
