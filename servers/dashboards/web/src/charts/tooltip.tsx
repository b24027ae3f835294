// The one floating tooltip of the app, placed beside the pointer and kept inside the window. Charts set its content; a pinned
// one stays until closed, so that its links can be followed.
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

export interface TooltipRow { name: string; value: string; color: string; bold?: boolean; dim?: boolean; raw?: number | null }
export interface TooltipContent { title: string; rows: TooltipRow[]; more?: number; footer?: ComponentChildren }
export const tip = signal<{ x: number; y: number; content: TooltipContent; owner: string } | null>(null);

export function showTip(owner: string, x: number, y: number, content: TooltipContent): void { tip.value = { x, y, content, owner }; }
export function hideTip(owner: string): void { if (tip.peek()?.owner === owner) tip.value = null; }

export function Swatch({ color, kind = 'line' }: { color: string; kind?: 'line' | 'dot' }) {
  return <span class={`swatch ${kind}`} style={{ background: color }} aria-hidden="true" />;
}

export function TooltipHost() {
  const t = tip.value, ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const box = ref.current;
    if (!box || !t) return;
    const w = box.offsetWidth, h = box.offsetHeight, gap = 14, m = 4;
    let x = t.x + gap, y = t.y + gap;
    if (x + w > innerWidth - m) x = t.x - w - gap;
    if (y + h > innerHeight - m) y = t.y - h - gap;
    box.style.transform = `translate(${Math.round(Math.max(m, Math.min(x, innerWidth - w - m)))}px,${Math.round(Math.max(m, Math.min(y, innerHeight - h - m)))}px)`;
  });
  if (!t) return null;
  return (
    <div ref={ref} class="chart-tip" role="tooltip">
      <div class="title">{t.content.title}</div>
      {t.content.rows.map((r, i) => <div key={i} class={`row ${r.bold ? 'bold' : ''} ${r.dim ? 'dim' : ''}`}><Swatch color={r.color} /><span class="name">{r.name}</span><span class="value">{r.value}</span></div>)}
      {!!t.content.more && <div class="more">and {t.content.more} more</div>}
      {t.content.footer}
    </div>
  );
}
