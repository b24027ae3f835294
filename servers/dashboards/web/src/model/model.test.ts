import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { panelTypes } from './paneltypes.testdata';
import { exportDashboard, fillInputs, importDashboard, unwrap } from './import';
import { allPanels, compact, layoutDashboard, mapPanel, sections } from './layout';
import { placePanel } from '../dash/placement';
import { ImportError } from './types';

const panel = (id: number, x: number, y: number, w = 12, h = 8, more = {}) => ({ id, type: 'timeseries', title: `p${id}`, gridPos: { x, y, w, h }, ...more });
const read = (json: unknown) => importDashboard(json).dashboard;
const none = () => [];

describe('import', () => {
  it.each([[null], [[]], ['text'], [{}], [{ title: 'x' }], [{ dashboard: { title: 'x' } }]])('refuses %j with a sentence', (json) => expect(() => importDashboard(json)).toThrow(ImportError));
  it('opens API wrappers and V1 resources', () => {
    expect(read({ meta: {}, dashboard: { title: 'a', panels: [] } }).title).toBe('a');
    expect(read({ apiVersion: 'dashboard.grafana.app/v1', kind: 'Dashboard', metadata: { name: 'uid1' }, spec: { title: 'b', panels: [] } }).uid).toBe('uid1');
    expect(unwrap({ apiVersion: 'dashboard.grafana.app/v2', metadata: {}, spec: { elements: {}, layout: {} } }).kind).toBe('v2');
  });
  it('survives any junk in the fields', () => {
    const d = read({ title: 5, panels: [{}, null, 7, { type: 'stat', fieldConfig: 'x', targets: { a: 1 }, gridPos: { x: -4, w: 99, h: 'x' }, options: [] }], templating: { list: [{ name: 'a', current: null, options: 'x' }, 3] }, annotations: [], time: null, refresh: false, graphTooltip: 9 });
    expect(d.panels).toHaveLength(2);
    expect(d.panels[1]!.gridPos).toEqual({ x: 0, y: 0, w: 24, h: 8 });
    expect(d.variables).toHaveLength(1);
    expect(d).toMatchObject({ title: '5', refresh: '', graphTooltip: 0, time: { from: 'now-6h', to: 'now' } });
  });
  it('gives missing and double panel ids fresh ones', () => { const ids = allPanels(read({ panels: [panel(1, 0, 0), panel(1, 12, 0), { type: 'text' }] }).panels).map((p) => p.id); expect(new Set(ids).size).toBe(3); });
  it('reads every style of data source reference', () => {
    const refs = [{ type: 'prometheus', uid: '${datasource}' }, '$datasource', 'Prometheus', null, undefined, { uid: '-- Mixed --' }].map((datasource, i) => read({ panels: [panel(i + 1, 0, 0, 12, 8, { datasource })] }).panels[0]!.datasource);
    expect(refs).toEqual([{ type: 'prometheus', uid: '${datasource}' }, { uid: '$datasource' }, { uid: 'Prometheus' }, null, null, { uid: '-- Mixed --' }]);
  });
  it('asks for inputs but not for variables of the same name', () => {
    const json = { __inputs: [{ name: 'DS_A', type: 'datasource', pluginId: 'prometheus', label: 'A' }, { name: 'DS_B', type: 'datasource' }], templating: { list: [{ name: 'DS_B', type: 'datasource' }] }, panels: [panel(1, 0, 0, 12, 8, { datasource: { uid: '${DS_A}' } })] };
    expect(importDashboard(json).inputs.map((i) => i.name)).toEqual(['DS_A']);
    expect(read(fillInputs(json, { DS_A: 'm1' })).panels[0]!.datasource).toEqual({ uid: 'm1' });
  });
  it('keeps what it does not know when saving', () => {
    const out = exportDashboard(read({ title: 'x', panels: [{ ...panel(3, 0, 0), mystery: { a: 1 } }], gnetId: 1860, uid: 'u' }));
    expect(out).toMatchObject({ gnetId: 1860, uid: 'u', schemaVersion: 41 });
    expect((out.panels as Record<string, unknown>[])[0]).toMatchObject({ mystery: { a: 1 } });
    expect(exportDashboard(read(out))).toEqual(out); // a second round changes nothing
  });
});

describe('old panels', () => {
  it('graph becomes timeseries', () => {
    const p = read({ schemaVersion: 18, panels: [{ ...panel(1, 0, 0), type: 'graph', fill: 3, linewidth: 2, stack: true, nullPointMode: 'connected', steppedLine: true, yaxes: [{ format: 'bytes', min: '0', label: 'left' }, { format: 'percent', max: 100 }], aliasColors: { a: '#ff0000' }, seriesOverrides: [{ alias: '/tx/', transform: 'negative-Y', yaxis: 2, fill: 0 }], legend: { show: true, values: true, max: true, avg: true, current: true, alignAsTable: true, rightSide: true, sort: 'max', sortDesc: true }, tooltip: { shared: true, sort: 2 }, thresholds: [{ op: 'gt', value: 5, colorMode: 'critical', line: true }] }] }).panels[0]!;
    expect(p.type).toBe('timeseries');
    expect(p.fieldConfig.defaults).toMatchObject({ unit: 'bytes', min: 0, custom: { fillOpacity: 30, lineWidth: 2, spanNulls: true, lineInterpolation: 'stepAfter', stacking: { mode: 'normal' }, thresholdsStyle: { mode: 'line' } } });
    expect(p.fieldConfig.defaults.thresholds!.steps[1]).toEqual({ value: 5, color: 'red' });
    expect(p.fieldConfig.overrides[1]).toMatchObject({ matcher: { id: 'byRegexp', options: '/tx/' }, properties: expect.arrayContaining([{ id: 'custom.axisPlacement', value: 'right' }, { id: 'unit', value: 'percent' }, { id: 'custom.fillOpacity', value: 0 }, { id: 'custom.transform', value: 'negative-Y' }]) });
    expect(p.options).toMatchObject({ legend: { displayMode: 'table', placement: 'right', calcs: ['max', 'mean', 'lastNotNull'], sortBy: 'max', sortDesc: true }, tooltip: { mode: 'multi', sort: 'desc' } });
  });
  it('singlestat becomes stat or gauge', () => {
    const s = read({ panels: [{ ...panel(1, 0, 0), type: 'singlestat', valueName: 'current', format: 's', thresholds: '10,20', colors: ['g', 'y', 'r'], colorBackground: true, sparkline: { show: true }, valueMaps: [{ value: 'null', text: 'N/A' }, { value: '1', text: 'up' }] }] }).panels[0]!;
    expect(s).toMatchObject({ type: 'stat', options: { graphMode: 'area', colorMode: 'background', reduceOptions: { calcs: ['lastNotNull'] } } });
    expect(s.fieldConfig.defaults).toMatchObject({ unit: 's', thresholds: { steps: [{ value: null, color: 'g' }, { value: 10, color: 'y' }, { value: 20, color: 'r' }] } });
    expect(s.fieldConfig.defaults.mappings).toHaveLength(2);
    expect(read({ panels: [{ ...panel(1, 0, 0), type: 'singlestat', gauge: { show: true, minValue: 0, maxValue: 50 } }] }).panels[0]).toMatchObject({ type: 'gauge', fieldConfig: { defaults: { max: 50 } } });
  });
  it('rows[] becomes a grid', () => {
    const d = read({ schemaVersion: 14, rows: [{ title: 'A', height: '250px', panels: [{ type: 'graph', span: 6 }, { type: 'graph', span: 6 }, { type: 'text', span: 12 }] }, { title: 'B', collapse: true, height: 100, panels: [{ type: 'singlestat', span: 3 }] }] });
    expect(d.panels.map((p) => [p.type, p.gridPos.x, p.gridPos.y, p.gridPos.w])).toEqual([['row', 0, 0, 24], ['timeseries', 0, 1, 12], ['timeseries', 12, 1, 12], ['text', 0, 8, 24], ['row', 0, 15, 24]]);
    expect(d.panels[4]!.panels![0]!.type).toBe('stat');
    expect(d.panels[4]!.collapsed).toBe(true);
  });
});

describe('V2 resources', () => {
  const element = (id: number, title: string) => ({ kind: 'Panel', spec: { id, title, vizConfig: { kind: 'VizConfig', group: 'stat', spec: { options: { a: 1 }, fieldConfig: { defaults: { unit: 's' }, overrides: [] } } }, data: { kind: 'QueryGroup', spec: { queries: [{ kind: 'PanelQuery', spec: { refId: 'A', hidden: false, query: { kind: 'DataQuery', group: 'prometheus', datasource: { name: 'm1' }, spec: { expr: 'up' } } } }], transformations: [{ kind: 'Transformation', group: 'merge', spec: { options: {} } }], queryOptions: { maxDataPoints: 50 } } } } });
  const v2 = { apiVersion: 'dashboard.grafana.app/v2', kind: 'Dashboard', metadata: { name: 'abc' }, spec: {
    title: 'New', cursorSync: 'Crosshair', timeSettings: { from: 'now-3h', to: 'now', autoRefresh: '30s', timezone: 'utc' }, elements: { a: element(1, 'One'), b: element(2, 'Two'), c: element(3, 'Three') },
    layout: { kind: 'RowsLayout', spec: { rows: [{ kind: 'RowsLayoutRow', spec: { title: 'R1', collapse: false, layout: { kind: 'GridLayout', spec: { items: [{ kind: 'GridLayoutItem', spec: { x: 0, y: 0, width: 6, height: 4, element: { kind: 'ElementReference', name: 'a' }, repeat: { mode: 'variable', value: 'host', direction: 'h' } } }] } } } }, { kind: 'RowsLayoutRow', spec: { title: 'R2', collapse: true, layout: { kind: 'AutoGridLayout', spec: { maxColumnCount: 2, items: [{ kind: 'AutoGridLayoutItem', spec: { element: { name: 'b' } } }, { kind: 'AutoGridLayoutItem', spec: { element: { name: 'c' } } }] } } } }] } },
    variables: [{ kind: 'QueryVariable', spec: { name: 'host', refresh: 'onTimeRangeChanged', sort: 'alphabeticalAsc', hide: 'hideLabel', multi: true, query: { kind: 'DataQuery', group: 'prometheus', datasource: { name: 'm1' }, spec: { query: 'label_values(up, host)', refId: 'x' } } } }, { kind: 'SwitchVariable', spec: { name: 's', current: 'true' } }], annotations: [], links: [] } };
  it('reads elements, nested layouts and variables', () => {
    const d = read(v2);
    expect(d).toMatchObject({ title: 'New', uid: 'abc', graphTooltip: 1, refresh: '30s', time: { from: 'now-3h', to: 'now' }, timezone: 'utc' });
    expect(d.panels.map((p) => [p.type, p.title, p.gridPos.y])).toEqual([['row', 'R1', 0], ['stat', 'One', 1], ['row', 'R2', 5]]);
    expect(d.panels[1]).toMatchObject({ repeat: 'host', maxDataPoints: 50, targets: [{ refId: 'A', expr: 'up', datasource: { type: 'prometheus', uid: 'm1' } }], transformations: [{ id: 'merge' }] });
    expect(d.panels[2]!.panels!.map((p) => p.gridPos.x)).toEqual([0, 12]);
    expect(d.variables[0]).toMatchObject({ type: 'query', refresh: 2, sort: 1, hide: 1, multi: true });
  });
  it('tabs are rows, and it says so', () => { const r = importDashboard({ ...v2, spec: { ...v2.spec, layout: { kind: 'TabsLayout', spec: { tabs: [{ kind: 'TabsLayoutTab', spec: { title: 'T', layout: { kind: 'GridLayout', spec: { items: [] } } } }] } } } }); expect(r.notes.join()).toContain('tabs'); });
});

describe('layout', () => {
  it('rows own what follows', () => expect(sections(read({ panels: [panel(1, 0, 0), { id: 9, type: 'row', gridPos: { x: 0, y: 8, w: 24, h: 1 } }, panel(2, 0, 9), panel(3, 12, 9)] }).panels).map((s) => [s.row?.id, s.panels.map((p) => p.id)])).toEqual([[undefined, [1]], [9, [2, 3]]]));
  it('moves up and pushes overlaps down', () => {
    const item = (id: number, x: number, y: number, w: number, h: number) => ({ id, pos: { x, y, w, h } });
    expect(compact([item(1, 0, 5, 12, 4), item(2, 0, 5, 12, 4), item(3, 12, 20, 12, 2)]).map((i) => [i.id, i.pos.y])).toEqual([[1, 0], [2, 4], [3, 0]]);
  });
  const values = (n: number) => () => Array.from({ length: n }, (_, i) => ({ text: `h${i}`, value: `h${i}` }));
  it('repeats panels across and down', () => {
    const across = layoutDashboard(read({ panels: [panel(1, 0, 0, 24, 4, { repeat: 'h', maxPerRow: 2 }), panel(2, 0, 4, 24, 4)] }).panels, values(3), () => false)[0]!.items;
    expect(across.map((i) => [i.key, i.pos.x, i.pos.y, i.pos.w])).toEqual([['1', 0, 0, 12], ['1-h1', 12, 0, 12], ['1-h2', 0, 4, 12], ['2', 0, 8, 24]]);
    expect(across[1]!.scope).toEqual({ h: { text: 'h1', value: 'h1' } });
    const down = layoutDashboard(read({ panels: [panel(1, 0, 0, 6, 4, { repeat: 'h', repeatDirection: 'v' })] }).panels, values(2), () => false)[0]!.items;
    expect(down.map((i) => i.pos.y)).toEqual([0, 4]);
  });
  it('repeats rows with their panels', () => expect(layoutDashboard(read({ panels: [{ id: 5, type: 'row', repeat: 'h', title: '$h', gridPos: { x: 0, y: 0, w: 24, h: 1 } }, panel(6, 0, 1)] }).panels, values(2), () => false).map((s) => [s.key, s.items.map((i) => i.key)])).toEqual([['row-5', ['6']], ['row-5-h1', ['6-h1']]]));
  it('a collapsed row shows nothing and knows its count', () => expect(layoutDashboard(read({ panels: [{ id: 5, type: 'row', collapsed: true, gridPos: { x: 0, y: 0, w: 24, h: 1 }, panels: [panel(6, 0, 1)] }] }).panels, none, (r) => !!r.collapsed)[0]).toMatchObject({ collapsed: true, items: [], count: 1 }));
  it('changes and removes panels inside rows', () => {
    const d = read({ panels: [{ id: 5, type: 'row', collapsed: true, gridPos: { x: 0, y: 0, w: 24, h: 1 }, panels: [panel(6, 0, 1)] }] });
    expect(mapPanel(d.panels, 6, (p) => ({ ...p, title: 'new' }))[0]!.panels![0]!.title).toBe('new');
    expect(mapPanel(d.panels, 6, () => null)[0]!.panels).toEqual([]);
  });
  it('a moved panel pushes the others', () => {
    const d = read({ panels: [panel(1, 0, 0, 12, 4), panel(2, 12, 0, 12, 4), panel(3, 0, 4, 24, 4)] });
    const out = placePanel(d.panels, 2, { x: 0, y: 0, w: 12, h: 4 });
    expect(out.map((p) => [p.id, p.gridPos.x, p.gridPos.y])).toEqual([[1, 0, 4], [2, 0, 0], [3, 0, 8]]);
  });
});

describe('provisioned dashboards', () => {
  const dir = new URL('../../../provisioning/dashboards/', import.meta.url);
  it.each(['system', 'application', 'logs'])('%s is whole', (name) => {
    const json = JSON.parse(readFileSync(new URL(`${name}.json`, dir), 'utf8')) as Record<string, unknown>, { dashboard: d, notes, inputs } = importDashboard(json);
    expect(d.uid).toBe(name);
    expect(json.schemaVersion).toBe(41);
    expect([notes, inputs]).toEqual([[], []]);
    const panels = d.panels.filter((p) => p.type !== 'row');
    for (const p of panels) { expect(panelTypes).toContain(p.type); expect(p.title).not.toBe(''); for (const t of p.targets) expect(['metrics', 'logs']).toContain(t.datasource?.uid); }
    const boxes = layoutDashboard(d.panels, none, () => false).flatMap((s) => s.items.map((i) => ({ ...i.pos, s: s.key })));
    for (const a of boxes) expect(boxes.filter((b) => b.s === a.s && a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h)).toHaveLength(1);
  });
});

describe('acceptance dashboard', () => {
  // data beside the repository; FOURSIGHT_DASHBOARDS or FOURSIGHT_CONFORMANCE tell another place
  const root = new URL('../../../../../', import.meta.url).pathname, folder = process.env.FOURSIGHT_DASHBOARDS ?? path.join(process.env.FOURSIGHT_CONFORMANCE ?? path.join(root, '../shared/conformance'), '../dashboards'), file = path.join(folder, 'node-exporter-full.json');
  it.skipIf(!existsSync(file))('Node Exporter Full imports as it is', () => {
    const { dashboard: d, inputs } = importDashboard(JSON.parse(readFileSync(file, 'utf8')));
    expect(allPanels(d.panels).filter((p) => p.type !== 'row')).toHaveLength(125);
    expect(inputs).toEqual([]);
    expect(d.variables.map((v) => v.name)).toEqual(['ds_prometheus', 'job', 'nodename', 'node']);
    for (const p of allPanels(d.panels)) expect(['row', ...panelTypes]).toContain(p.type);
  });
});
