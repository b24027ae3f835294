// What several value panels share: a grid of equal cells, font sizes that fit, values with links.
import type { ComponentChildren } from 'preact';
import { textWidth } from '../charts/canvas';
import { joinValue } from '../units/format';
import type { ShownValue } from '../fields/values';
import type { PanelProps } from './types';

/** Columns and rows for `n` cells so that cells are as square as the box allows; orientation may fix one line. */
export function gridFor(n: number, width: number, height: number, orientation: string, minW = 60, minH = 40): { cols: number; rows: number } {
  if (n <= 1) return { cols: 1, rows: 1 };
  if (orientation === 'horizontal') return { cols: 1, rows: n };
  if (orientation === 'vertical') return { cols: n, rows: 1 };
  let best = { cols: 1, rows: n }, score = -1;
  for (let cols = 1; cols <= n; cols++) {
    const rows = Math.ceil(n / cols), w = width / cols, h = height / rows;
    const s = Math.min(w / 2.2, h) * (w < minW || h < minH ? 0.5 : 1) - (rows * cols - n) * 0.01;
    if (s > score) { score = s; best = { cols, rows }; }
  }
  return best;
}

/** Largest size at which the text fits the box. */
export function fontFor(text: string, width: number, height: number, max: number, weight = 1.06): number {
  const at11 = Math.max(1, textWidth(text)) * weight;
  return Math.max(9, Math.min(max, (width / at11) * 11, height));
}

export const valueText = (v: ShownValue): string => joinValue(v.value);

/** A value as a link when its field has links, else as text. */
export function ValueLink({ p, v, children }: { p: PanelProps; v: ShownValue; children: ComponentChildren }) {
  const links = p.links(v.field.config.links, v.field, v.row, joinValue(v.value));
  if (!links.length) return <>{children}</>;
  return <a class="value-link" href={links[0]!.href} title={links[0]!.title} target={links[0]!.external ? '_blank' : undefined} rel="noreferrer">{children}</a>;
}

export const NoData = ({ text = 'No data' }: { text?: string }) => <div class="no-data">{text}</div>;
