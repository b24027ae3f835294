// Any dashboard file to the internal model: classic JSON of every schema version, API wrappers, V1 and V2 resources.
// `exportDashboard` goes back to classic JSON, keeping what the app does not know.
import type { FieldConfigSource, Override } from '../fields/apply';
import type { FieldConfig, Mapping } from '../fields/frame';
import type { Transformation } from '../transforms/run';
import { fromGraph, fromOldPie, fromOldTable, fromSinglestat, oldMappings } from './graph';
import { arr, isObject, num, obj, objs, optNum, optStr, str, strings, type Json } from './read';
import { rowsToPanels } from './rows';
import { ImportError, type AnnotationQuery, type Dashboard, type DashLink, type DsRef, type GridPos, type Imported, type ImportInput, type Panel, type Target, type Variable } from './types';
import { fromV2 } from './v2';

export const schemaVersion = 41;

/** A data source reference: a name or variable as text, `{type,uid}`, or null for the default. */
export function readRef(v: unknown): DsRef | null {
  if (typeof v === 'string') return v === '' || v === 'default' ? null : { uid: v };
  if (isObject(v)) {
    const uid = optStr(v.uid) ?? optStr(v.name), type = optStr(v.type);
    return uid || type ? { ...(type ? { type } : {}), ...(uid ? { uid } : {}) } : null;
  }
  return null;
}

function readMappings(v: unknown): Mapping[] {
  return objs(v).flatMap((m): Mapping[] => {
    if (m.type === 'value' && isObject(m.options)) return [m as unknown as Mapping];
    if ((m.type === 'range' || m.type === 'regex' || m.type === 'special') && isObject(m.options)) return [m as unknown as Mapping];
    // numeric types and bare {value,text}/{from,to,text} are older
    if (m.type === 2 || (m.from !== undefined && m.to !== undefined)) return oldMappings({ mappingType: 2, rangeMaps: [m] });
    if (m.value !== undefined) return oldMappings({ mappingType: 1, valueMaps: [m] });
    return [];
  });
}

function readConfig(v: unknown): FieldConfig {
  const d = obj(v);
  const out: FieldConfig = { ...(d as FieldConfig), mappings: readMappings(d.mappings) };
  const t = obj(d.thresholds);
  if (Array.isArray(d.thresholds)) out.thresholds = { mode: 'absolute', steps: objs(d.thresholds).map((s, i) => ({ value: i === 0 ? null : (optNum(s.value) ?? null), color: str(s.color, 'green') })) };
  else if (Array.isArray(t.steps)) out.thresholds = { mode: t.mode === 'percentage' ? 'percentage' : 'absolute', steps: objs(t.steps).map((s, i) => ({ value: i === 0 ? null : (optNum(s.value) ?? null), color: str(s.color, 'green') })) };
  else delete out.thresholds;
  if (d.title !== undefined && d.displayName === undefined) out.displayName = optStr(d.title);
  out.min = optNum(d.min);
  out.max = optNum(d.max);
  out.decimals = optNum(d.decimals);
  out.unit = optStr(d.unit);
  out.noValue = optStr(d.noValue);
  out.displayName = out.displayName === undefined ? undefined : String(out.displayName);
  out.custom = obj(d.custom);
  if (typeof d.color === 'string') out.color = { mode: 'fixed', fixedColor: d.color };
  else if (!isObject(d.color)) delete out.color;
  out.links = objs(d.links).map((l) => ({ title: str(l.title), url: str(l.url), targetBlank: l.targetBlank === true }));
  return out;
}

function readFieldConfig(v: unknown, type: string): FieldConfigSource {
  const f = obj(v), defaults = readConfig(f.defaults);
  if (!defaults.color) defaults.color = { mode: ['stat', 'gauge', 'bargauge', 'table', 'state-timeline', 'status-history'].includes(type) ? 'thresholds' : 'palette-classic' };
  if (!defaults.thresholds) defaults.thresholds = { mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: 80, color: 'red' }] };
  const overrides: Override[] = objs(f.overrides).filter((o) => isObject(o.matcher)).map((o) => ({
    matcher: { id: str(obj(o.matcher).id), options: obj(o.matcher).options },
    properties: objs(o.properties).filter((p) => typeof p.id === 'string').map((p) => {
      if (p.id === 'mappings') return { id: 'mappings', value: readMappings(p.value) };
      if (p.id === 'thresholds') return { id: 'thresholds', value: readConfig({ thresholds: p.value }).thresholds };
      if (p.id === 'custom.displayMode') { const m = str(p.value); return { id: 'custom.cellOptions', value: { type: m === 'gradient-gauge' || m === 'lcd-gauge' || m === 'basic' ? 'gauge' : m === 'color-background-solid' ? 'color-background' : m } }; }
      return { id: String(p.id), value: p.value };
    }),
  }));
  if (typeof defaults.custom?.displayMode === 'string' && !defaults.custom.cellOptions) defaults.custom = { ...defaults.custom, cellOptions: { type: defaults.custom.displayMode } };
  return { defaults, overrides };
}

function readTargets(v: unknown): Target[] {
  const used = new Set(objs(v).map((t) => t.refId));
  let next = 0;
  const fresh = (): string => {
    for (;;) {
      const id = next < 26 ? String.fromCharCode(65 + next) : `Q${next}`;
      next++;
      if (!used.has(id)) { used.add(id); return id; }
    }
  };
  return objs(v).map((t) => ({ ...t, refId: optStr(t.refId) ?? fresh(), datasource: t.datasource === undefined ? undefined : readRef(t.datasource), hide: t.hide === true }) as Target);
}

/** Panel options whose names or shapes changed over time. */
function migrateOptions(type: string, p: Json): Json {
  const o: Json = { ...obj(p.options) };
  if (type === 'text' && o.content === undefined && p.content !== undefined) Object.assign(o, { content: p.content, mode: p.mode ?? 'markdown' });
  if (['stat', 'gauge', 'bargauge'].includes(type)) {
    const old = obj(o.fieldOptions);
    if (Object.keys(old).length && !o.reduceOptions) o.reduceOptions = { calcs: strings(old.calcs).length ? strings(old.calcs) : ['mean'], values: old.values === true, fields: '' };
    const r: Json = { ...obj(o.reduceOptions) };
    r.calcs = strings(r.calcs).length ? strings(r.calcs) : ['lastNotNull'];
    o.reduceOptions = r;
  }
  const l = obj(o.legend);
  if (isObject(o.legend)) o.legend = { ...l, showLegend: l.displayMode === 'hidden' ? false : l.showLegend !== false && l.isVisible !== false, displayMode: l.displayMode === 'table' || l.asTable === true ? 'table' : 'list', placement: l.placement === 'right' ? 'right' : 'bottom', calcs: strings(l.calcs) };
  if (o.tooltipOptions && !o.tooltip) o.tooltip = o.tooltipOptions;
  return o;
}

const oldTypes: Record<string, string> = { 'heatmap-new': 'heatmap', 'grafana-singlestat-panel': 'singlestat', 'grafana-piechart-panel': 'piechart-old', 'table-old': 'table-old', 'grafana-polystat-panel': 'stat' };

function oldHeatmap(p: Json): Json {
  if (isObject(p.options) && (obj(p.options).color || obj(p.options).calculation)) return p;
  if (p.dataFormat === undefined && p.color === undefined && p.yAxis === undefined) return p;
  const c = obj(p.color), y = obj(p.yAxis), calculate = str(p.dataFormat, 'timeseries') === 'timeseries';
  return { ...p, options: { calculate, color: { mode: c.mode === 'opacity' ? 'opacity' : 'scheme', scheme: str(c.colorScheme, 'interpolateOranges').replace(/^interpolate/, ''), fill: c.cardColor, exponent: num(c.exponent, 0.5), min: optNum(c.min), max: optNum(c.max) },
    yAxis: { unit: optStr(y.format), min: optNum(y.min), max: optNum(y.max), decimals: optNum(y.decimals), reverse: p.reverseYBuckets === true }, legend: { show: obj(p.legend).show !== false }, cellGap: num(obj(p.cards).cardPadding, 1), filterValues: p.hideZeroBuckets ? { le: 1e-9 } : {} } };
}

/** One panel of the file, old types migrated. */
export function readPanel(input: Json, notes: string[]): Panel {
  let p = input;
  let type = str(p.type, 'text');
  type = oldTypes[type] ?? type;
  if (type === 'graph') p = fromGraph(p);
  else if (type === 'singlestat') p = fromSinglestat(p);
  else if (type === 'table-old' || (type === 'table' && Array.isArray(p.styles) && !isObject(p.fieldConfig))) p = fromOldTable(p);
  else if (type === 'piechart-old') p = fromOldPie(p);
  else if (type === 'heatmap') p = oldHeatmap(p);
  else if (type === 'stat' && !isObject(p.fieldConfig) && isObject(obj(p.options).fieldOptions)) {
    const old = obj(obj(p.options).fieldOptions);
    p = { ...p, fieldConfig: { defaults: old.defaults, overrides: old.overrides } };
  } else if ((type === 'gauge' || type === 'bargauge') && isObject(obj(p.options).fieldOptions) && !isObject(p.fieldConfig)) {
    const old = obj(obj(p.options).fieldOptions);
    p = { ...p, fieldConfig: { defaults: old.defaults ?? { unit: old.unit, min: old.min, max: old.max, thresholds: old.thresholds, mappings: old.mappings }, overrides: old.overrides } };
  }
  if (type !== str(p.type, type) && input.type !== p.type) notes.push(`panel "${str(p.title)}": ${str(input.type)} shown as ${str(p.type)}`);
  type = ['graph', 'singlestat', 'table-old', 'piechart-old'].includes(type) ? str(p.type) : type;
  const g = obj(p.gridPos);
  const gridPos: GridPos = { x: Math.min(23, Math.max(0, num(g.x, 0))), y: Math.max(0, num(g.y, 0)), w: Math.min(24, Math.max(1, num(g.w, 12))), h: Math.max(1, num(g.h, type === 'row' ? 1 : 8)) };
  gridPos.w = Math.min(gridPos.w, 24 - gridPos.x);
  const panel: Panel = {
    ...p, id: num(p.id, 0), type, title: str(p.title), description: optStr(p.description), transparent: p.transparent === true, gridPos, datasource: readRef(p.datasource), targets: readTargets(p.targets),
    fieldConfig: readFieldConfig(p.fieldConfig, type), options: migrateOptions(type, p), transformations: objs(p.transformations).filter((t) => typeof t.id === 'string') as unknown as Transformation[],
    interval: optStr(p.interval), maxDataPoints: optNum(p.maxDataPoints), timeFrom: optStr(p.timeFrom), timeShift: optStr(p.timeShift), repeat: optStr(p.repeat), repeatDirection: p.repeatDirection === 'v' ? 'v' : 'h',
    maxPerRow: optNum(p.maxPerRow), links: objs(p.links).map((l) => ({ title: str(l.title), url: optStr(l.url) ?? (l.type === 'dashboard' && l.dashUri ? `/d/${str(l.dashUri)}` : ''), targetBlank: l.targetBlank === true })),
  };
  if (type === 'row') {
    panel.collapsed = p.collapsed === true;
    panel.panels = objs(p.panels).map((x) => readPanel(x, notes));
    panel.gridPos = { ...gridPos, x: 0, w: 24, h: 1 };
  }
  return panel;
}

export function readVariable(v: Json): Variable {
  const cur = obj(v.current), type = str(v.type, 'query') as Variable['type'];
  const values = strings(cur.value).filter((x) => x !== ''), texts = strings(cur.text);
  const isAll = values.length === 1 && (values[0] === '$__all' || (texts[0] === 'All' && v.includeAll === true && values[0] === ''));
  const options = objs(v.options).map((o) => ({ text: strings(o.text).join(' + '), value: strings(o.value).join(',') })).filter((o) => o.value !== '$__all');
  return {
    ...v, name: str(v.name), type, label: optStr(v.label), description: optStr(v.description), hide: num(v.hide, 0), datasource: readRef(v.datasource), refresh: v.refresh === true ? 1 : num(v.refresh, 0), regex: str(v.regex), sort: num(v.sort, 0),
    multi: v.multi === true, includeAll: v.includeAll === true, allValue: typeof v.allValue === 'string' && v.allValue !== '' ? v.allValue : null, current: isAll ? { text: ['All'], value: ['$__all'] } : { text: texts, value: values }, options,
    auto: v.auto === true, auto_count: num(v.auto_count, 30), auto_min: str(v.auto_min, '10s'),
    filters: type === 'adhoc' ? objs(v.filters).map((f) => ({ key: str(f.key), operator: str(f.operator, '='), value: str(f.value) })).filter((f) => f.key) : undefined,
  };
}

function readAnnotation(a: Json): AnnotationQuery {
  const target = obj(a.target);
  return { ...a, name: str(a.name, 'Annotations'), enable: a.enable !== false, hide: a.hide === true, iconColor: str(a.iconColor, '#5a9bea'), builtIn: optNum(a.builtIn), datasource: readRef(a.datasource), expr: optStr(a.expr) ?? optStr(target.expr), target,
    titleFormat: optStr(a.titleFormat), textFormat: optStr(a.textFormat), tagKeys: optStr(a.tagKeys), step: optStr(a.step), type: optStr(a.type), filter: isObject(a.filter) ? { exclude: a.filter.exclude === true, ids: arr(a.filter.ids).filter((x): x is number => typeof x === 'number') } : undefined };
}

function readLink(l: Json): DashLink {
  return { title: str(l.title, str(l.dashboard)), type: l.type === 'link' ? 'link' : 'dashboards', url: optStr(l.url), icon: optStr(l.icon), tooltip: optStr(l.tooltip), tags: strings(l.tags), asDropdown: l.asDropdown === true, targetBlank: l.targetBlank === true, includeVars: l.includeVars === true, keepTime: l.keepTime === true };
}

const known = new Set(['id', 'uid', 'title', 'description', 'tags', 'schemaVersion', 'version', 'timezone', 'weekStart', 'fiscalYearStartMonth', 'time', 'timepicker', 'refresh', 'editable', 'graphTooltip', 'sharedCrosshair', 'templating', 'annotations', 'links', 'panels', 'rows', '__inputs', '__requires', '__elements']);

/** Opens the wrappers: `{meta,dashboard}`, `{spec}` of V1, `{dashboard}` of exports. */
export function unwrap(json: unknown): { kind: 'classic' | 'v2'; body: Json } {
  if (!isObject(json)) throw new ImportError('The file is not a JSON object, so it is no dashboard.');
  if (isObject(json.dashboard) && (json.meta !== undefined || json.panels === undefined)) return unwrap(json.dashboard);
  if (typeof json.apiVersion === 'string' && isObject(json.spec)) {
    const spec = { ...json.spec, uid: optStr(json.spec.uid) ?? str(obj(json.metadata).name) };
    return isObject(json.spec.elements) ? { kind: 'v2', body: spec } : { kind: 'classic', body: spec };
  }
  if (isObject(json.elements) && isObject(json.layout)) return { kind: 'v2', body: json };
  return { kind: 'classic', body: json };
}

export function importDashboard(json: unknown): Imported {
  const { kind, body } = unwrap(json);
  const notes: string[] = [];
  const d = kind === 'v2' ? fromV2(body, notes) : body;
  if (!Array.isArray(d.panels) && !Array.isArray(d.rows)) throw new ImportError('The file has neither "panels" nor "rows" nor "elements": it is no dashboard.');
  const source = Array.isArray(d.rows) && d.rows.length && !arr(d.panels).length ? rowsToPanels(objs(d.rows), num(d.schemaVersion, 14)) : objs(d.panels);
  const panels = source.map((p) => readPanel(p, notes));
  numberPanels(panels);
  const time = obj(d.time);
  const weekdays: Record<string, string> = { sunday: '0', monday: '1', saturday: '6' };
  const rest: Record<string, unknown> = {};
  for (const [k, v] of Object.entries(d)) if (!known.has(k)) rest[k] = v;
  const dashboard: Dashboard = {
    id: optNum(d.id) ?? null, uid: str(d.uid), title: str(d.title, 'Untitled'), description: optStr(d.description), tags: strings(d.tags), schemaVersion: num(d.schemaVersion, schemaVersion), version: optNum(d.version),
    timezone: str(d.timezone), weekStart: weekdays[str(d.weekStart)] ?? undefined, fiscalYearStartMonth: optNum(d.fiscalYearStartMonth), time: { from: str(time.from, 'now-6h'), to: str(time.to, 'now') }, timepicker: obj(d.timepicker),
    refresh: typeof d.refresh === 'string' ? d.refresh : '', editable: d.editable !== false, graphTooltip: d.sharedCrosshair === true ? 1 : ([0, 1, 2].includes(num(d.graphTooltip, 0)) ? (num(d.graphTooltip, 0) as 0 | 1 | 2) : 0),
    variables: objs(obj(d.templating).list).filter((v) => typeof v.name === 'string').map(readVariable), annotations: objs(obj(d.annotations).list).map(readAnnotation), links: objs(d.links).map(readLink), panels, rest,
  };
  const inputs: ImportInput[] = objs(d.__inputs).map((i) => ({ name: str(i.name), label: str(i.label, str(i.name)), description: optStr(i.description), type: str(i.type), pluginId: optStr(i.pluginId), value: optStr(i.value) })).filter((i) => i.name && !dashboard.variables.some((v) => v.name === i.name));
  return { dashboard, inputs, notes };
}

/** Gives panels without an id, or with one already used, a fresh id. */
export function numberPanels(panels: Panel[]): void {
  const seen = new Set<number>(), late: Panel[] = [];
  const walk = (list: Panel[]) => { for (const p of list) { if (p.id > 0 && !seen.has(p.id)) seen.add(p.id); else late.push(p); if (p.panels) walk(p.panels); } };
  walk(panels);
  let next = Math.max(0, ...seen) + 1;
  for (const p of late) p.id = next++;
}

/** Fills `${NAME}` of import inputs into every text of the file. */
export function fillInputs(json: unknown, values: Record<string, string>): unknown {
  if (typeof json === 'string') return json.replace(/\$\{([A-Za-z0-9_-]+)\}/g, (t, n: string) => values[n] ?? t);
  if (Array.isArray(json)) return json.map((x) => fillInputs(x, values));
  if (isObject(json)) return Object.fromEntries(Object.entries(json).filter(([k]) => k !== '__inputs').map(([k, v]) => [k, fillInputs(v, values)]));
  return json;
}

export function exportPanel(p: Panel): Json {
  const { repeatDirection, ...out } = p as Panel & Json;
  const json: Json = { ...out, ...(p.repeat ? { repeatDirection } : {}) };
  if (p.type === 'row') { delete json.targets; delete json.fieldConfig; delete json.options; delete json.transformations; json.panels = p.collapsed ? (p.panels ?? []).map(exportPanel) : []; }
  return json;
}

/** The internal model as classic JSON. */
export function exportDashboard(d: Dashboard): Json {
  const { rest, variables, annotations, panels, ...fields } = d;
  return {
    ...rest, ...fields, weekStart: { 0: 'sunday', 1: 'monday', 6: 'saturday' }[Number(d.weekStart)] ?? '', schemaVersion,
    annotations: { list: annotations },
    templating: { list: variables.map((v) => ({ ...v, current: v.multi || v.current.value.length > 1 ? v.current : { text: v.current.text[0] ?? '', value: v.current.value[0] ?? '' }, filters: v.filters })) },
    panels: panels.map(exportPanel),
  };
}
