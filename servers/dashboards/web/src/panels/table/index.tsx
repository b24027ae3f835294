// Table panel: sortable, filterable columns, cell kinds, footer; long tables draw only the rows in sight.
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ReadyField, ReadyFrame } from '../../fields/apply';
import { inkOf, readableOn } from '../../fields/color';
import { displayer, displayText, fieldRange, type DisplayValue } from '../../fields/display';
import type { Value } from '../../fields/frame';
import { reduce } from '../../fields/reduce';
import { num, obj, objs, str, strings } from '../../model/read';
import { Icon } from '../../shell/icons';
import { ChoiceList, Popover } from '../../shell/ui';
import { compareValues } from '../../transforms/rows';
import { textWidth } from '../../charts/canvas';
import { NoData } from '../common';
import { Sparkline } from '../stat';
import type { PanelProps } from '../types';

const rowHeights: Record<string, number> = { sm: 28, md: 34, lg: 46 };

function Cell({ f, v, row, show, p, width }: { f: ReadyField; v: Value; row: number; show: (v: Value) => DisplayValue; p: PanelProps; width: number }) {
  const cell = obj(f.config.custom?.cellOptions), type = str(cell.type, 'auto');
  if (type === 'sparkline' || Array.isArray(v)) {
    const values = (Array.isArray(v) ? v : []) as (number | null)[];
    return values.length > 1 ? <Sparkline s={{ times: values.map((_, i) => i), values }} color={f.color} width={Math.max(40, width - 16)} height={22} /> : <span>–</span>;
  }
  const d = show(v), text = displayText(d), links = p.links(f.config.links, f, row, text);
  const body = links.length ? <a href={links[0]!.href} title={links[0]!.title} target={links[0]!.external ? '_blank' : undefined} rel="noreferrer">{text}</a> : text;
  switch (type) {
    case 'color-text': return <span style={{ color: inkOf(d.color, p.theme) }}>{body}</span>;
    case 'color-background': return <span class="cell-bg" style={{ background: d.color, color: readableOn(d.color) }}>{body}</span>;
    case 'gauge': return <span class="cell-gauge"><span class="track"><span class="fill" style={{ width: `${d.percent * 100}%`, background: d.color }} /></span>{cell.valueDisplayMode !== 'hidden' && <span class="num" style={{ color: cell.valueDisplayMode === 'text' ? '' : inkOf(d.color, p.theme) }}>{text}</span>}</span>;
    case 'json-view': return <code>{typeof v === 'object' ? JSON.stringify(v) : String(v ?? '')}</code>;
    case 'pill': return <span class="pills">{String(v ?? '').split(',').filter(Boolean).map((t) => <span class="pill">{t.trim()}</span>)}</span>;
    default: return <>{body}</>;
  }
}

export function Table(p: PanelProps) {
  const o = p.panel.options, usable = p.frames.filter((f) => f.fields.length);
  const [pick, setPick] = useState(num(o.frameIndex, 0));
  const frame: ReadyFrame | undefined = usable[Math.min(pick, usable.length - 1)];
  const preset = objs(o.sortBy)[0];
  const [sort, setSort] = useState<{ name: string; desc: boolean } | null>(preset ? { name: str(preset.displayName), desc: preset.desc === true } : null);
  const [filters, setFilters] = useState<Record<string, string[]>>({}), [menu, setMenu] = useState<{ name: string; at: HTMLElement } | null>(null);
  const [top, setTop] = useState(0);
  const scroller = useRef<HTMLDivElement>(null);
  const fields = useMemo(() => (frame?.fields ?? []).filter((f) => !f.config.custom?.hidden && !(f.config.custom?.hideFrom as { viz?: boolean } | undefined)?.viz), [frame]);
  const shows = useMemo(() => fields.map((f) => displayer(f, { theme: p.theme, zone: p.zone }, f.color, f.type === 'number' ? fieldRange(f) : undefined)), [fields, p.theme, p.zone]);
  const rows = useMemo(() => {
    if (!frame) return [];
    let list = Array.from({ length: frame.length }, (_, i) => i);
    fields.forEach((f, c) => { const want = filters[f.shownName]; if (want?.length) list = list.filter((i) => want.includes(displayText(shows[c]!(f.values[i])))); });
    const by = sort && fields.find((f) => f.shownName === sort.name || f.name === sort.name);
    if (by) list.sort((a, b) => compareValues(by.values[a], by.values[b]) * (sort.desc ? -1 : 1) || a - b);
    return list;
  }, [frame, fields, filters, sort, shows]);
  const widths = useMemo(() => {
    const fixed = fields.map((f) => num(f.config.custom?.width, 0));
    const natural = fields.map((f, c) => {
      const sample = [0, 1, 2, Math.floor(rows.length / 2), rows.length - 1].filter((i) => i >= 0 && i < rows.length).map((i) => textWidth(displayText(shows[c]!(f.values[rows[i]!])).slice(0, 200)));
      return Math.min(420, Math.max(num(f.config.custom?.minWidth, /gauge|sparkline/.test(str(obj(f.config.custom?.cellOptions).type)) ? 190 : 60), textWidth(f.shownName) * 1.2 + 44, ...sample.map((w) => w * 1.2 + 24)));
    });
    const used = fixed.reduce((s, w, i) => s + (w || natural[i]!), 0), loose = natural.reduce((s, w, i) => s + (fixed[i] ? 0 : w), 0), spare = p.width - 2 - used;
    return fields.map((_, i) => Math.floor(fixed[i] || natural[i]! + (spare > 0 && loose ? (spare * natural[i]!) / loose : 0)));
  }, [fields, rows, shows, p.width]);
  useLayoutEffect(() => { if (scroller.current) scroller.current.scrollTop = 0; }, [frame?.length]);
  if (!frame) return <NoData />;
  const wrap = fields.some((f) => f.config.custom?.wrapText === true || obj(f.config.custom?.cellOptions).wrapText === true), rowH = rowHeights[str(o.cellHeight, 'sm')] ?? 28, head = o.showHeader !== false ? 32 : 0, foot = obj(o.footer);
  const bodyH = p.height - (usable.length > 1 ? 30 : 0), virtual = !wrap && rows.length > 80, from = virtual ? Math.max(0, Math.floor(top / rowH) - 8) : 0, to = virtual ? Math.min(rows.length, from + Math.ceil(bodyH / rowH) + 16) : rows.length;
  const align = (f: ReadyField): string => { const a = str(f.config.custom?.align, 'auto'); return a !== 'auto' ? a : f.type === 'number' ? 'right' : 'left'; };
  const template = widths.map((w) => `${w}px`).join(' '), total = widths.reduce((s, w) => s + w, 0);
  const footFields = strings(foot.fields);
  return (
    <div class="table-panel">
      <div class="table-scroll" ref={scroller} style={{ height: `${bodyH}px` }} onScroll={(e) => virtual && setTop(e.currentTarget.scrollTop)} tabIndex={0} role="group" aria-label={p.panel.title || 'Table'}>
        <div role="table" aria-rowcount={rows.length} style={{ width: `${total}px` }}>
          {head > 0 && <div role="rowgroup" class="t-head"><div role="row" style={{ gridTemplateColumns: template }}>
            {fields.map((f) => {
              const on = sort && (sort.name === f.shownName || sort.name === f.name);
              return <div key={f.shownName} role="columnheader" aria-sort={on ? (sort.desc ? 'descending' : 'ascending') : 'none'} class={`align-${align(f)}`}>
                <button type="button" title={f.config.description ?? f.shownName} onClick={() => setSort(on ? (sort.desc ? null : { name: f.shownName, desc: true }) : { name: f.shownName, desc: false })}><span>{f.shownName}</span>{on && <Icon name={sort.desc ? 'down' : 'up'} size={12} />}</button>
                {f.config.custom?.filterable === true || f.config.filterable ? <button type="button" class={`filter ${filters[f.shownName]?.length ? 'on' : ''}`} aria-label={`Filter ${f.shownName}`} onClick={(e) => setMenu({ name: f.shownName, at: e.currentTarget })}><Icon name="search" size={12} /></button> : null}
              </div>;
            })}
          </div></div>}
          <div role="rowgroup" class={`t-body ${wrap ? 'wrap' : ''}`} style={virtual ? { height: `${rows.length * rowH}px` } : undefined}>
            {rows.slice(from, to).map((row, n) => (
              <div key={row} role="row" aria-rowindex={from + n + 1} style={virtual ? { gridTemplateColumns: template, height: `${rowH}px`, position: 'absolute', top: `${(from + n) * rowH}px`, width: '100%' } : { gridTemplateColumns: template, minHeight: `${rowH}px` }}>
                {fields.map((f, c) => <div key={c} role="cell" class={`align-${align(f)}`}><Cell f={f} v={f.values[row]} row={row} show={shows[c]!} p={p} width={widths[c]!} /></div>)}
              </div>
            ))}
            {!rows.length && <div role="row"><div role="cell" class="dim">No rows</div></div>}
          </div>
          {foot.show === true && <div role="rowgroup" class="t-foot"><div role="row" style={{ gridTemplateColumns: template }}>
            {fields.map((f, c) => <div key={c} role="cell" class={`align-${align(f)}`}>{f.type === 'number' && (!footFields.length || footFields.includes(f.shownName)) ? (foot.countRows === true && c === 0 ? `Count ${rows.length}` : displayText(displayer(f, { theme: p.theme, zone: p.zone })(reduce(rows.map((r) => f.values[r]), strings(foot.reducer)[0] ?? 'sum')))) : c === 0 ? (foot.countRows === true ? `Count ${rows.length}` : (strings(foot.reducer)[0] ?? 'sum')) : ''}</div>)}
          </div></div>}
        </div>
      </div>
      {usable.length > 1 && <select class="frame-pick" aria-label="Result" value={String(pick)} onChange={(e) => setPick(Number(e.currentTarget.value))}>{usable.map((f, i) => <option key={i} value={String(i)}>{f.name ?? f.refId ?? `Result ${i + 1}`}</option>)}</select>}
      {menu && (() => {
        const c = fields.findIndex((f) => f.shownName === menu.name), f = fields[c];
        if (!f) return null;
        const values = [...new Set(f.values.map((v) => displayText(shows[c]!(v))))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
        return <Popover anchor={menu.at} onClose={() => setMenu(null)} label={`Filter ${menu.name}`}><ChoiceList multi label={menu.name} options={values.map((v) => ({ value: v, text: v }))} selected={filters[menu.name] ?? []} onChange={(v) => setFilters({ ...filters, [menu.name]: v })} onClose={() => setMenu(null)} /></Popover>;
      })()}
    </div>
  );
}
