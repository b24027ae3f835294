// Old `rows[]` layouts (no gridPos): rows with a pixel height, panels with a span of 12. Gives classic panels on the grid.
import { num, objs, optStr, str, type Json } from './read';

const rowHeightPx = 30, gapPx = 8;

function heightOf(v: unknown, fallback: number): number {
  const px = typeof v === 'string' ? Number(v.replace('px', '')) : num(v, NaN);
  return Number.isFinite(px) && px > 0 ? Math.max(3, Math.ceil((px + gapPx) / (rowHeightPx + gapPx))) : fallback;
}

export function rowsToPanels(rows: Json[], version: number): Json[] {
  const out: Json[] = [];
  const showRows = rows.some((r) => r.collapse === true || r.showTitle === true || optStr(r.repeat));
  let y = 0;
  for (const row of rows) {
    const height = heightOf(row.height, 7), panels: Json[] = [];
    const rowPanel: Json | null = showRows ? { type: 'row', title: str(row.title, ''), collapsed: row.collapse === true, repeat: optStr(row.repeat), gridPos: { x: 0, y, w: 24, h: 1 }, panels: [] } : null;
    if (rowPanel) { out.push(rowPanel); y++; }
    let x = 0, lineHeight = 0;
    for (const p of objs(row.panels)) {
      const w = Math.max(1, Math.min(24, Math.floor(num(p.span, version < 8 ? 12 : 4) * 2))), h = Math.max(heightOf(p.height, height), 1);
      if (x + w > 24) { y += lineHeight; x = 0; lineHeight = 0; }
      panels.push({ ...p, gridPos: { x, y, w, h } });
      x += w;
      lineHeight = Math.max(lineHeight, h);
    }
    if (rowPanel?.collapsed) rowPanel.panels = panels;
    else out.push(...panels);
    if (!rowPanel?.collapsed) y += lineHeight;
  }
  return out;
}
