// The dashboard page: toolbar, variables, grid of sections and panels, and what opens over it.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { errorText, isAbort } from '../api/http';
import { own } from '../api/own';
import { layoutDashboard, type Placed, type PlacedSection } from '../model/layout';
import type { Panel } from '../model/types';
import { startAutoRefresh } from '../shell/clock';
import { Icon } from '../shell/icons';
import { lazy } from '../shell/lazy';
import { leaveGuard, navigate, params, setParams } from '../shell/router';
import { canEdit, toast } from '../shell/state';
import { TimeControls } from '../shell/timepicker';
import { Button, Empty, ErrorBox, IconButton, MenuButton, Spinner } from '../shell/ui';
import { interpolate } from '../vars/interpolate';
import { EditHandles } from './editgrid';
import { PanelBox } from './panelbox';
import { DashState } from './state';
import { VarBar } from './varbar';

const Inspect = lazy(() => import('./inspect').then((m) => m.Inspect));
const PanelEditor = lazy(() => import('./editor').then((m) => m.PanelEditor));
const SaveDialog = lazy(() => import('./save').then((m) => m.SaveDialog));
const SettingsDialog = lazy(() => import('./save').then((m) => m.SettingsDialog));

export const openDashboard: { current: DashState | null } = { current: null };

function Section({ s, state }: { s: PlacedSection; state: DashState }) {
  const title = s.row ? interpolate(s.row.title, state.context(s.scope)) : '';
  return (
    <div class={`dash-section ${s.row ? 'with-row' : ''}`}>
      {s.row && (
        <div class="row-head">
          <h2><button type="button" aria-expanded={!s.collapsed} onClick={() => state.toggleRow(s.key, s.collapsed)}><Icon name={s.collapsed ? 'right' : 'down'} size={15} /><span>{title || 'Row'}</span>{s.collapsed && <span class="dim">{s.count} {s.count === 1 ? 'panel' : 'panels'}</span>}</button></h2>
          {state.editing.value && <MenuButton label={`Menu of row ${title}`} icon="more" cls="small" items={[{ label: 'Rename', icon: 'edit', onClick: () => { const t = window.prompt('Title of the row', s.row!.title); if (t !== null) state.changePanel(s.row!.id, (p) => ({ ...p, title: t })); } }, { label: 'Remove the row, keep panels', icon: 'trash', danger: true, onClick: () => state.change((d) => ({ ...d, panels: d.panels.flatMap((p) => (p.id === s.row!.id ? (p.panels ?? []) : [p])) })) }]} />}
        </div>
      )}
      {!s.collapsed && (
        <div class="grid">
          {s.items.map((item) => (
            <div key={item.key} class={`cell ${item.pos.w <= 6 ? 'small' : item.pos.w <= 12 ? 'half' : ''}`} style={{ gridColumn: `${item.pos.x + 1} / span ${item.pos.w}`, gridRow: `${item.pos.y + 1} / span ${item.pos.h}`, '--h': String(item.pos.h) }}>
              <PanelBox item={item} state={state} extraMenu={state.editing.value ? editMenu(item, state) : undefined} />
              {state.editing.value && <EditHandles item={item} state={state} />}
            </div>
          ))}
        </div>
      )}
    </div>
  );
}

function editMenu(item: Placed, state: DashState) {
  const copy = () => state.change((d) => { const ids = d.panels.flatMap((p) => [p.id, ...(p.panels ?? []).map((x) => x.id)]); const c: Panel = { ...structuredClone(item.panel), id: Math.max(0, ...ids) + 1, title: `${item.panel.title} (copy)`, gridPos: { ...item.panel.gridPos, y: item.panel.gridPos.y + item.panel.gridPos.h } }; return { ...d, panels: [...d.panels, c] }; });
  return [{ label: '', separator: true }, { label: 'Duplicate', icon: 'copy' as const, onClick: copy }, { label: 'Remove', icon: 'trash' as const, danger: true, onClick: () => state.changePanel(item.panel.id, () => null) }];
}

function addPanel(state: DashState): void {
  state.change((d) => {
    const ids = d.panels.flatMap((p) => [p.id, ...(p.panels ?? []).map((x) => x.id)]), id = Math.max(0, ...ids) + 1, y = Math.max(0, ...d.panels.map((p) => p.gridPos.y + p.gridPos.h));
    const p: Panel = { id, type: 'timeseries', title: 'New panel', gridPos: { x: 0, y, w: 12, h: 8 }, datasource: null, targets: [{ refId: 'A', expr: '' }], fieldConfig: { defaults: { color: { mode: 'palette-classic' }, custom: {} }, overrides: [] }, options: { legend: { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] }, tooltip: { mode: 'multi', sort: 'desc' } }, transformations: [], links: [] };
    queueMicrotask(() => setParams({ editPanel: String(id) }));
    return { ...d, panels: [...d.panels, p] };
  });
}

function Toolbar({ state }: { state: DashState }) {
  const d = state.dashboard.value, editing = state.editing.value, [dialog, setDialog] = useState<'save' | 'settings' | null>(null), dirty = state.dirty.value;
  const kiosk = params.value.has('kiosk');
  if (kiosk) return null;
  return (
    <div class="toolbar">
      <nav class="crumbs" aria-label="Breadcrumbs">
        <a href="/dashboards">{state.meta.folderTitle && state.meta.folderTitle !== 'General' ? state.meta.folderTitle : 'Dashboards'}</a><Icon name="right" size={12} />
        <h1 title={d.description}>{d.title}</h1>{dirty && <span class="badge warn">unsaved</span>}
      </nav>
      <div class="actions">
        {editing && <><Button icon="plus" onClick={() => addPanel(state)}>Add panel</Button><IconButton icon="settings" label="Dashboard settings" onClick={() => setDialog('settings')} /><Button kind="primary" icon="save" onClick={() => setDialog('save')}>Save</Button><Button onClick={() => { if (dirty && !window.confirm('Throw the changes away?')) return; if (dirty) state.discard(); state.editing.value = false; }}>{dirty ? 'Discard' : 'Done'}</Button></>}
        {!editing && (canEdit.value || state.meta.canSave) && d.editable && <Button icon="edit" onClick={() => { state.editing.value = true; }}>Edit</Button>}
        <MenuButton label="More of this dashboard" icon="more" items={() => [
          { label: 'Copy link', icon: 'link', onClick: () => void import('../shell/ui').then((m) => m.copyText(location.href)).then(() => toast('ok', 'Link copied')) },
          { label: 'Export JSON', icon: 'download', onClick: () => void Promise.all([import('../shell/ui'), import('../model/import')]).then(([u, m]) => u.saveFile(`${d.title}.json`, 'application/json', JSON.stringify(m.exportDashboard(d), null, 2))) },
          { label: 'Kiosk mode', icon: 'expand', hint: 'd k', onClick: () => setParams({ kiosk: '1' }) },
        ]} />
        <TimeControls intervals={d.timepicker.refresh_intervals} hidden={d.timepicker.hidden} />
      </div>
      {dialog === 'save' && <SaveDialog state={state} onClose={() => setDialog(null)} />}
      {dialog === 'settings' && <SettingsDialog state={state} onClose={() => setDialog(null)} />}
    </div>
  );
}

function Board({ state }: { state: DashState }) {
  const d = state.dashboard.value, view = params.value.get('viewPanel'), edit = params.value.get('editPanel'), inspect = params.value.get('inspect');
  // repeats need resolved variables; without repeats the layout stands at once
  const repeats = useMemo(() => d.panels.some((p) => p.repeat || p.panels?.some((x) => x.repeat)), [d]);
  const sections = useMemo(() => layoutDashboard(d.panels, state.repeatValues, (row, key) => state.collapsed.value.get(key) ?? !!row.collapsed), [d.panels, state.collapsed.value, repeats ? state.variables.value : 0]);
  useEffect(() => { document.title = `${d.title} – Foursight`; }, [d.title]);
  useEffect(() => { leaveGuard.message = state.dirty.value ? 'The dashboard has changes that are not saved. Leave all the same?' : null; return () => { leaveGuard.message = null; }; }, [state.dirty.value]);
  const find = (key: string): Placed | undefined => {
    const open = layoutDashboard(d.panels, state.repeatValues, () => false).flatMap((s) => s.items), id = key.replace(/^panel-/, '');
    return open.find((i) => i.key === id) ?? open.find((i) => String(i.panel.id) === id);
  };
  const viewed = view ? find(view) : undefined, inspected = inspect ? find(inspect) : undefined;
  const editId = edit ? Number(edit) : null;
  if (editId !== null && find(String(editId))) return <PanelEditor state={state} item={find(String(editId))!} onClose={() => setParams({ editPanel: null })} />;
  return (
    <div class={`dashboard ${params.value.has('kiosk') ? 'kiosk' : ''} ${state.editing.value ? 'editing' : ''}`}>
      <Toolbar state={state} />
      <VarBar state={state} />
      {state.problem.value && <ErrorBox text={state.problem.value} />}
      {viewed ? <div class="view-panel"><PanelBox key={`view-${viewed.key}`} item={viewed} state={state} single /></div>
        : sections.length ? sections.map((s) => <Section key={s.key} s={s} state={state} />) : <Empty title="This dashboard has no panels yet" icon="dashboards">{(canEdit.value || state.meta.canSave) && <Button kind="primary" icon="plus" onClick={() => { state.editing.value = true; addPanel(state); }}>Add a panel</Button>}</Empty>}
      {inspected && <Inspect state={state} item={inspected} onClose={() => setParams({ inspect: null, tab: null })} />}
    </div>
  );
}

export function DashboardPage({ uid }: { uid: string }) {
  const [state, setState] = useState<DashState | null>(null), [error, setError] = useState<string | null>(null), [again, setAgain] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let made: DashState | null = null, stopRefresh = () => {};
    setError(null);
    setState(null);
    const empty = { dashboard: { title: 'New dashboard', panels: [], time: { from: 'now-1h', to: 'now' }, editable: true, graphTooltip: 1 }, meta: { canSave: true } };
    (uid === 'new' ? Promise.resolve(empty as Awaited<ReturnType<typeof own.dashboard>>) : own.dashboard(uid, abort.signal)).then((r) => {
      if (abort.signal.aborted) return;
      made = new DashState(r.dashboard, { canSave: r.meta.canSave === true, folderUid: r.meta.folderUid, folderTitle: r.meta.folderTitle, slug: r.meta.slug, provisioned: r.meta.provisioned, isNew: uid === 'new' });
      openDashboard.current = made;
      made.start();
      stopRefresh = startAutoRefresh();
      if (uid === 'new') made.editing.value = true;
      setState(made);
    }).catch((e: unknown) => { if (!isAbort(e) && !abort.signal.aborted) setError(errorText(e)); });
    return () => {
      abort.abort();
      stopRefresh();
      made?.stop();
      openDashboard.current = null;
    };
  }, [uid, again]);
  if (error) return <div class="page"><Empty title="The dashboard could not be opened" icon="warn"><p class="dim">{error}</p><Button onClick={() => setAgain(again + 1)}>Try again</Button> <Button onClick={() => navigate('/dashboards')}>All dashboards</Button></Empty></div>;
  if (!state) return <div class="page center"><Spinner label="Loading the dashboard" /></div>;
  return <Board key={uid} state={state} />;
}
