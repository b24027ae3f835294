// Dragging across a canvas chart chooses a time range; a shade shows it while the pointer is down.
import type { TimeRange } from '../time/range';

export function dragRange(e: PointerEvent, target: HTMLElement, left: number, width: number, range: TimeRange, done: (from: number, to: number) => void): void {
  if (e.button !== 0) return;
  const box = target.getBoundingClientRect(), start = Math.min(left + width, Math.max(left, e.clientX - box.left)), host = target.parentElement!;
  const shade = document.createElement('div');
  shade.className = 'drag-shade';
  const clamp = (x: number) => Math.min(left + width, Math.max(left, x));
  const move = (m: PointerEvent) => {
    const x = clamp(m.clientX - box.left);
    if (!shade.isConnected && Math.abs(x - start) > 4) host.append(shade);
    shade.style.left = `${Math.min(start, x)}px`;
    shade.style.width = `${Math.abs(x - start)}px`;
  };
  const up = (m: PointerEvent) => {
    document.removeEventListener('pointermove', move);
    document.removeEventListener('pointerup', up);
    const on = shade.isConnected, x = clamp(m.clientX - box.left), at = (v: number) => Math.round(range.from + ((v - left) / width) * (range.to - range.from));
    shade.remove();
    if (on && Math.abs(x - start) > 4) done(at(Math.min(start, x)), at(Math.max(start, x)));
  };
  document.addEventListener('pointermove', move);
  document.addEventListener('pointerup', up);
}
