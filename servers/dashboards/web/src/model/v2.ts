// V2 resources (`elements` + `layout`) to classic JSON. Layouts nest there and do not here: tabs become rows (the first
// open), a grid inside a row is placed below its heading, auto grids are laid out by column count.
import { arr, isObject, num, obj, objs, optNum, optStr, str, strings, type Json } from './read';

const kindOf = (v: unknown): string => str(obj(v).kind);
const spec = (v: unknown): Json => obj(obj(v).spec);
const hideNumbers: Record<string, number> = { dontHide: 0, hideLabel: 1, hideVariable: 2, inControlsMenu: 3 };
const refreshNumbers: Record<string, number> = { never: 0, onDashboardLoad: 1, onTimeRangeChanged: 2 };
const sortNumbers: Record<string, number> = { disabled: 0, alphabeticalAsc: 1, alphabeticalDesc: 2, numericalAsc: 3, numericalDesc: 4, alphabeticalCaseInsensitiveAsc: 5, alphabeticalCaseInsensitiveDesc: 6, naturalAsc: 7, naturalDesc: 8 };

function dataQuery(q: Json): { ref: Json | null; model: Json } {
  const body = isObject(q.query) ? obj(q.query) : q;
  const group = optStr(body.group) ?? (kindOf(body) !== 'DataQuery' ? optStr(body.kind) : undefined);
  const ds = obj(body.datasource), old = obj(q.datasource);
  const uid = optStr(ds.name) ?? optStr(ds.uid) ?? optStr(old.uid), type = group ?? optStr(old.type);
  return { ref: uid || type ? { ...(type ? { type } : {}), ...(uid ? { uid } : {}) } : null, model: obj(body.spec) };
}

function panelOf(element: unknown, notes: string[]): Json {
  const s = spec(element);
  if (kindOf(element) === 'LibraryPanel') {
    notes.push(`library panel "${str(s.title)}" is not in the file`);
    return { id: num(s.id, 0), type: 'library-panel', title: str(s.title), libraryPanel: s.libraryPanel };
  }
  const group = spec(s.data), viz = obj(s.vizConfig), vs = spec(viz), q = obj(group.queryOptions);
  const targets = objs(group.queries).map((x) => {
    const ps = isObject(x.spec) ? spec(x) : x, d = dataQuery(ps);
    return { ...d.model, refId: str(ps.refId, 'A'), hide: ps.hidden === true, ...(d.ref ? { datasource: d.ref } : {}) };
  });
  const transformations = objs(group.transformations).map((t) => ({ ...spec(t), id: optStr(t.group) ?? optStr(spec(t).id) ?? kindOf(t), options: obj(spec(t).options) }));
  return { id: num(s.id, 0), type: optStr(viz.group) ?? kindOf(viz), title: str(s.title), description: optStr(s.description), transparent: s.transparent === true, links: arr(s.links), targets, transformations,
    options: obj(vs.options), fieldConfig: obj(vs.fieldConfig), interval: optStr(q.interval), maxDataPoints: optNum(q.maxDataPoints), timeFrom: optStr(q.timeFrom), timeShift: optStr(q.timeShift), hideTimeOverride: q.hideTimeOverride === true };
}

interface Cursor { y: number; panels: Json[] }
const rowHeights: Record<string, number> = { short: 5, standard: 9, tall: 14 };
const columnWidths: Record<string, number> = { narrow: 192, standard: 448, wide: 768 };

function repeatOf(r: unknown): Json {
  const x = obj(r);
  return optStr(x.value) ? { repeat: x.value, repeatDirection: x.direction === 'v' ? 'v' : 'h', maxPerRow: optNum(x.maxPerRow) } : {};
}

function place(layout: unknown, elements: Json, at: Cursor, notes: string[], depth: number): void {
  if (depth > 8) { notes.push('layouts nest deeper than eight levels; the rest is left out'); return; }
  const s = spec(layout);
  const element = (ref: unknown): Json | null => { const name = str(obj(ref).name); return elements[name] ? panelOf(elements[name], notes) : null; };
  switch (kindOf(layout)) {
    case 'GridLayout': {
      const top = at.y;
      let bottom = top;
      for (const item of objs(s.items)) {
        const i = spec(item);
        if (kindOf(item) === 'GridLayoutRow') {
          place({ kind: 'RowsLayout', spec: { rows: [{ spec: { title: i.title, collapse: i.collapsed, repeat: i.repeat, layout: { kind: 'GridLayout', spec: { items: arr(i.elements) } } } }] } }, elements, at, notes, depth + 1);
          bottom = Math.max(bottom, at.y);
          continue;
        }
        const p = element(i.element);
        if (!p) continue;
        const gridPos = { x: num(i.x, 0), y: top + num(i.y, 0), w: num(i.width, 12), h: num(i.height, 8) };
        at.panels.push({ ...p, gridPos, ...repeatOf(i.repeat) });
        bottom = Math.max(bottom, gridPos.y + gridPos.h);
      }
      at.y = bottom;
      return;
    }
    case 'AutoGridLayout': case 'ResponsiveGridLayout': {
      const width = s.columnWidthMode === 'custom' ? num(s.columnWidth, 448) : (columnWidths[str(s.columnWidthMode)] ?? 448);
      const columns = Math.max(1, Math.min(num(s.maxColumnCount, 3), Math.floor(1728 / width) || 1)), w = Math.floor(24 / columns);
      const h = s.rowHeightMode === 'custom' ? Math.max(3, Math.round(num(s.rowHeight, 320) / 38)) : (rowHeights[str(s.rowHeightMode)] ?? 9);
      let n = 0;
      for (const item of objs(s.items)) {
        const i = spec(item), p = element(i.element);
        if (!p) continue;
        at.panels.push({ ...p, gridPos: { x: (n % columns) * w, y: at.y + Math.floor(n / columns) * h, w, h }, ...repeatOf(i.repeat) });
        n++;
      }
      at.y += Math.ceil(n / columns) * h;
      return;
    }
    case 'RowsLayout': case 'TabsLayout': {
      const tabs = kindOf(layout) === 'TabsLayout';
      objs(tabs ? s.tabs : s.rows).forEach((entry, n) => {
        const r = isObject(entry.spec) ? spec(entry) : entry;
        const collapsed = tabs ? n > 0 : r.collapse === true;
        const inner: Cursor = { y: at.y + (r.hideHeader === true ? 0 : 1), panels: [] };
        place(r.layout, elements, inner, notes, depth + 1);
        if (r.conditionalRendering !== undefined) notes.push(`"${str(r.title)}" is shown always: its show/hide rule is not followed`);
        if (r.hideHeader !== true) {
          const nested = inner.panels.filter((p) => p.type !== 'row');
          at.panels.push({ type: 'row', title: str(r.title), collapsed, gridPos: { x: 0, y: at.y, w: 24, h: 1 }, panels: collapsed ? nested : [], ...repeatOf(r.repeat) });
          if (!collapsed) at.panels.push(...inner.panels);
          at.y = collapsed ? at.y + 1 : inner.y;
        } else { at.panels.push(...inner.panels); at.y = inner.y; }
      });
      if (tabs) notes.push('tabs are shown as rows');
      return;
    }
    default: notes.push(`layout "${kindOf(layout)}" is not known`);
  }
}

const variableTypes: Record<string, string> = { QueryVariable: 'query', TextVariable: 'textbox', ConstantVariable: 'constant', DatasourceVariable: 'datasource', IntervalVariable: 'interval', CustomVariable: 'custom', GroupByVariable: 'groupby', AdhocVariable: 'adhoc', SwitchVariable: 'switch' };

function variableOf(v: Json): Json {
  const s = spec(v), type = variableTypes[kindOf(v)] ?? 'custom';
  const out: Json = { ...s, type, hide: hideNumbers[str(s.hide)] ?? num(s.hide, 0), refresh: refreshNumbers[str(s.refresh)] ?? num(s.refresh, 0), sort: sortNumbers[str(s.sort)] ?? num(s.sort, 0) };
  if (type === 'query') {
    const d = dataQuery({ query: s.query, datasource: s.datasource });
    out.query = isObject(s.query) && isObject(obj(s.query).spec) ? (optStr(d.model.__legacyStringValue) ?? d.model) : s.query;
    out.datasource = d.ref ?? s.datasource;
  }
  if (type === 'datasource') out.query = s.pluginId ?? s.query;
  if (type === 'adhoc') out.datasource = obj(v.datasource).name ? { type: optStr(v.group), uid: obj(v.datasource).name } : s.datasource;
  if (type === 'switch') { out.current = { text: s.current, value: s.current }; out.options = [{ text: str(s.enabledValue, 'true'), value: str(s.enabledValue, 'true') }, { text: str(s.disabledValue, 'false'), value: str(s.disabledValue, 'false') }]; }
  return out;
}

export function fromV2(d: Json, notes: string[]): Json {
  const t = obj(d.timeSettings), at: Cursor = { y: 0, panels: [] };
  place(d.layout, obj(d.elements), at, notes, 0);
  return {
    ...Object.fromEntries(Object.entries(d).filter(([k]) => !['elements', 'layout', 'timeSettings', 'cursorSync', 'variables'].includes(k))),
    uid: d.uid, title: d.title, tags: strings(d.tags), graphTooltip: { Off: 0, Crosshair: 1, Tooltip: 2 }[str(d.cursorSync)] ?? 0, timezone: str(t.timezone), time: { from: str(t.from, 'now-6h'), to: str(t.to, 'now') }, refresh: str(t.autoRefresh),
    timepicker: { refresh_intervals: strings(t.autoRefreshIntervals), hidden: t.hideTimepicker === true, nowDelay: optStr(t.nowDelay) }, weekStart: t.weekStart, fiscalYearStartMonth: t.fiscalYearStartMonth,
    templating: { list: objs(d.variables).map(variableOf) }, panels: at.panels, schemaVersion: 41,
    annotations: { list: objs(d.annotations).map((a) => { const s = spec(a), q = dataQuery({ query: s.query, datasource: s.datasource }); return { ...s, ...q.model, datasource: q.ref, builtIn: s.builtIn === true ? 1 : undefined, target: q.model }; }) },
    links: arr(d.links),
  };
}
