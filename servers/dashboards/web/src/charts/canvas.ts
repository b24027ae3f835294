// What canvas charts share: font, axis colours, text widths, a crisp context.
import type { Theme } from '../fields/color';

export const chartFont = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
export const axisColors = (t: Theme) => (t === 'dark' ? { text: '#98a4b3', grid: 'rgba(150,165,185,0.11)', line: '#4a5666' } : { text: '#5a6675', grid: 'rgba(60,75,95,0.11)', line: '#c3ccd6' });

let ruler: CanvasRenderingContext2D | null = null;
const widths = new Map<string, number>();
export function textWidth(s: string): number {
  let w = widths.get(s);
  if (w === undefined) {
    ruler ??= document.createElement('canvas').getContext('2d')!;
    ruler.font = chartFont;
    w = ruler.measureText(s).width;
    if (widths.size > 4000) widths.clear();
    widths.set(s, w);
  }
  return w;
}

/** Sizes the canvas for the screen's pixels and gives a context that draws in CSS pixels. */
export function sharpContext(c: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const r = devicePixelRatio || 1;
  c.width = Math.max(1, Math.round(width * r));
  c.height = Math.max(1, Math.round(height * r));
  c.style.width = `${width}px`;
  c.style.height = `${height}px`;
  const ctx = c.getContext('2d')!;
  ctx.setTransform(r, 0, 0, r, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.font = chartFont;
  return ctx;
}

/** Text cut with an ellipsis to a width. */
export function fitText(s: string, width: number): string {
  if (textWidth(s) <= width) return s;
  let n = Math.max(0, Math.floor((s.length * width) / textWidth(s)) - 1);
  while (n > 0 && textWidth(`${s.slice(0, n)}…`) > width) n--;
  return n > 0 ? `${s.slice(0, n)}…` : '';
}
