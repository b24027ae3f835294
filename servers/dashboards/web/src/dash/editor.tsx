// Panel editor: a live preview with queries, options and the panel's JSON beside it.
import { useState } from 'preact/hooks';
import { errorText } from '../api/http';
import { QueryEditor } from '../editor';
import { exportPanel, readPanel } from '../model/import';
import type { Placed } from '../model/layout';
import { isObject, obj, str } from '../model/read';
import type { Panel, Target } from '../model/types';
import { panelTypes } from '../panels/registry';
import { range } from '../shell/clock';
import { dataSources, defaultSource, findSource } from '../shell/state';
import { TimeControls } from '../shell/timepicker';
import { Button, ErrorBox, IconButton, Tabs } from '../shell/ui';
import { fillRef, isMixed } from './query';
import { PanelBox } from './panelbox';
import type { DashState } from './state';
import { VarBar } from './varbar';

function TargetEditor({ t, panel, state, change, remove }: { t: Target; panel: Panel; state: DashState; change: (t: Target) => void; remove: () => void }) {
  const source = findSource(fillRef(t.datasource && !isMixed(t.datasource) ? t.datasource : isMixed(panel.datasource) ? null : panel.datasource, state.context())) ?? defaultSource(), isLoki = source?.type === 'loki';
  const [draft, setDraft] = useState<string | null>(null), run = () => { if (draft !== null && draft !== t.expr) change({ ...t, expr: draft }); setDraft(null); };
  return (
    <fieldset class="target">
      <legend>Query {t.refId}</legend>
      <div class="row">
        <select class="input" aria-label={`Data source of query ${t.refId}`} value={t.datasource?.uid ?? ''} onChange={(e) => { const ds = dataSources.value.find((d) => d.uid === e.currentTarget.value); change({ ...t, datasource: ds ? { type: ds.type, uid: ds.uid } : undefined }); }}>
          <option value="">{panel.datasource?.uid ? `As the panel (${panel.datasource.uid})` : 'Default'}</option>
          {t.datasource?.uid && !dataSources.value.some((d) => d.uid === t.datasource!.uid) && <option value={t.datasource.uid}>{t.datasource.uid}</option>}
          {dataSources.value.map((d) => <option key={d.uid} value={d.uid}>{d.name}</option>)}
        </select>
        <span class="spacer" />
        <Button onClick={run} kind={draft !== null && draft !== t.expr ? 'primary' : undefined} icon="play" title="Shift+Enter">Run</Button>
        <IconButton icon={t.hide ? 'pause' : 'eye'} label={t.hide ? 'Show this query' : 'Hide this query'} pressed={!!t.hide} onClick={() => change({ ...t, hide: !t.hide })} />
        <IconButton icon="trash" label={`Remove query ${t.refId}`} onClick={remove} />
      </div>
      <QueryEditor language={isLoki ? 'logql' : 'promql'} source={source?.uid ?? ''} range={() => range.peek()} value={draft ?? t.expr ?? ''} onChange={setDraft} onRun={run} label={`Query ${t.refId}`} placeholder={isLoki ? '{job="…"} |= "text"' : 'A PromQL expression'} />
      <div class="cols">
        <label>Legend<input class="input" value={t.legendFormat ?? ''} placeholder="{{label}} or __auto" onChange={(e) => change({ ...t, legendFormat: e.currentTarget.value })} /></label>
        {!isLoki && <label>Format<select class="input" value={str(t.format, 'time_series')} onChange={(e) => change({ ...t, format: e.currentTarget.value })}><option value="time_series">Time series</option><option value="table">Table</option><option value="heatmap">Heatmap</option></select></label>}
        <label>Kind<select class="input" value={isLoki ? str(t.queryType, 'range') : t.instant ? 'instant' : 'range'} onChange={(e) => { const v = e.currentTarget.value; change(isLoki ? { ...t, queryType: v } : { ...t, instant: v === 'instant', range: v !== 'instant' }); }}><option value="range">Range</option><option value="instant">Instant</option></select></label>
        <label>Min step<input class="input" value={str(t.interval)} placeholder="auto" onChange={(e) => change({ ...t, interval: e.currentTarget.value || undefined })} /></label>
      </div>
    </fieldset>
  );
}

function Options({ panel, change }: { panel: Panel; change: (p: Panel) => void }) {
  const d = panel.fieldConfig.defaults, set = (patch: Record<string, unknown>) => change({ ...panel, fieldConfig: { ...panel.fieldConfig, defaults: { ...d, ...patch } } });
  const number = (s: string): number | undefined => (s.trim() === '' || Number.isNaN(Number(s)) ? undefined : Number(s)), pos = panel.gridPos;
  const steps = d.thresholds?.steps ?? [], custom = d.custom ?? {}, legend = obj(panel.options.legend);
  const [json, setJson] = useState(() => JSON.stringify({ options: panel.options, fieldConfig: panel.fieldConfig, transformations: panel.transformations }, null, 2)), [error, setError] = useState<string | null>(null);
  return (
    <div class="form">
      <div class="cols">
        <label>Title<input class="input" value={panel.title} onInput={(e) => change({ ...panel, title: e.currentTarget.value })} /></label>
        <label>Type<select class="input" value={panel.type} onChange={(e) => change({ ...panel, type: e.currentTarget.value })}>{!panelTypes[panel.type] && <option value={panel.type}>{panel.type}</option>}{Object.entries(panelTypes).map(([id, t]) => <option key={id} value={id}>{t.name}</option>)}</select></label>
      </div>
      <label>Description<input class="input" value={panel.description ?? ''} onInput={(e) => change({ ...panel, description: e.currentTarget.value || undefined })} /></label>
      {panel.type === 'text' && <label>Content<textarea class="input" rows={8} value={str(panel.options.content)} onInput={(e) => change({ ...panel, options: { ...panel.options, content: e.currentTarget.value } })} /></label>}
      <div class="cols">
        <label>Unit<input class="input" value={d.unit ?? ''} placeholder="none, bytes, s, percentunit …" onChange={(e) => set({ unit: e.currentTarget.value || undefined })} /></label>
        <label>Decimals<input class="input" inputMode="numeric" value={d.decimals ?? ''} onChange={(e) => set({ decimals: number(e.currentTarget.value) })} /></label>
        <label>Min<input class="input" inputMode="decimal" value={d.min ?? ''} onChange={(e) => set({ min: number(e.currentTarget.value) })} /></label>
        <label>Max<input class="input" inputMode="decimal" value={d.max ?? ''} onChange={(e) => set({ max: number(e.currentTarget.value) })} /></label>
        <label>Colour<select class="input" value={d.color?.mode ?? 'palette-classic'} onChange={(e) => set({ color: { ...d.color, mode: e.currentTarget.value } })}>{['palette-classic', 'palette-classic-by-name', 'palette-colorblind', 'thresholds', 'fixed', 'shades', 'continuous-GrYlRd', 'continuous-BlYlRd', 'continuous-BlPu', 'continuous-viridis'].map((m) => <option key={m}>{m}</option>)}</select></label>
        <label>Thresholds<input class="input" value={steps.map((s) => `${s.value ?? ''}:${s.color}`).join(', ')} placeholder=":green, 65:red" onChange={(e) => set({ thresholds: { mode: d.thresholds?.mode ?? 'absolute', steps: e.currentTarget.value.split(',').map((x, i) => { const [v, ...c] = x.trim().split(':'); return { value: i === 0 ? null : (number(v ?? '') ?? 0), color: c.join(':').trim() || 'green' }; }) } })} /></label>
      </div>
      {panel.type === 'timeseries' && <div class="cols">
        <label>Style<select class="input" value={str(custom.drawStyle, 'line')} onChange={(e) => set({ custom: { ...custom, drawStyle: e.currentTarget.value } })}><option>line</option><option>bars</option><option>points</option></select></label>
        <label>Fill opacity<input class="input" type="number" min="0" max="100" value={Number(custom.fillOpacity ?? 0)} onChange={(e) => set({ custom: { ...custom, fillOpacity: Number(e.currentTarget.value) } })} /></label>
        <label>Stacking<select class="input" value={str(obj(custom.stacking).mode, 'none')} onChange={(e) => set({ custom: { ...custom, stacking: { group: 'A', ...obj(custom.stacking), mode: e.currentTarget.value } } })}><option>none</option><option>normal</option><option>percent</option></select></label>
        <label>Legend<select class="input" value={legend.showLegend === false ? 'hidden' : str(legend.displayMode, 'list')} onChange={(e) => { const m = e.currentTarget.value; change({ ...panel, options: { ...panel.options, legend: { calcs: [], placement: 'bottom', ...legend, showLegend: m !== 'hidden', displayMode: m === 'hidden' ? 'list' : m } } }); }}><option value="list">List</option><option value="table">Table</option><option value="hidden">Hidden</option></select></label>
      </div>}
      <div class="cols">{(['x', 'y', 'w', 'h'] as const).map((k) => <label key={k}>{{ x: 'Column', y: 'Row', w: 'Width', h: 'Height' }[k]}<input class="input" type="number" min={k === 'w' || k === 'h' ? 1 : 0} max={k === 'x' || k === 'w' ? 24 : 1000} value={pos[k]} onChange={(e) => change({ ...panel, gridPos: { ...pos, [k]: Math.max(k === 'w' || k === 'h' ? 1 : 0, Math.min(k === 'x' || k === 'w' ? 24 : 1000, Number(e.currentTarget.value) || 0)) } })} /></label>)}</div>
      <label>Options, field config and transformations as JSON<textarea class="input code" rows={14} spellcheck={false} value={json} onInput={(e) => setJson(e.currentTarget.value)} /></label>
      {error && <ErrorBox text={error} />}
      <div class="row end"><Button onClick={() => { try { const j = JSON.parse(json) as unknown; if (!isObject(j)) throw new Error('not an object'); change(readPanel({ ...exportPanel(panel), ...j }, [])); setError(null); } catch (e) { setError(errorText(e)); } }}>Apply JSON</Button></div>
    </div>
  );
}

export function PanelEditor({ state, item, onClose }: { state: DashState; item: Placed; onClose: () => void }) {
  const { panel } = item, [tab, setTab] = useState<'query' | 'options' | 'json'>(panelTypes[panel.type]?.needsData === false ? 'options' : 'query'), [text, setText] = useState<string | null>(null), [error, setError] = useState<string | null>(null), [start] = useState(panel);
  const change = (p: Panel) => { state.editing.value = true; state.changePanel(panel.id, () => p); };
  const nextRef = (): string => { for (let i = 0; i < 26; i++) { const r = String.fromCharCode(65 + i); if (!panel.targets.some((t) => t.refId === r)) return r; } return `Q${panel.targets.length}`; };
  return (
    <div class="dashboard panel-editor">
      <div class="toolbar"><div class="crumbs"><h1>Edit panel: {panel.title || 'untitled'}</h1></div><div class="actions"><Button onClick={() => { change(start); onClose(); }}>Discard</Button><Button kind="primary" onClick={onClose}>Back to the dashboard</Button><TimeControls /></div></div>
      <VarBar state={state} />
      <div class="editor-split">
        <div class="preview"><PanelBox key={panel.type} item={{ ...item, panel }} state={state} single /></div>
        <div class="editor-side">
          <Tabs label="Panel editor" value={tab} onChange={setTab} tabs={[{ id: 'query', text: 'Queries', count: panel.targets.length }, { id: 'options', text: 'Options' }, { id: 'json', text: 'JSON' }]} />
          {tab === 'query' && <div class="targets">
            {panel.targets.map((t, i) => <TargetEditor key={t.refId} t={t} panel={panel} state={state} change={(n) => change({ ...panel, targets: panel.targets.map((x, j) => (j === i ? n : x)) })} remove={() => change({ ...panel, targets: panel.targets.filter((_, j) => j !== i) })} />)}
            <Button icon="plus" onClick={() => change({ ...panel, targets: [...panel.targets, { refId: nextRef(), expr: '' }] })}>Add query</Button>
          </div>}
          {tab === 'options' && <Options panel={panel} change={change} />}
          {tab === 'json' && <div class="form"><textarea class="input code" rows={26} spellcheck={false} aria-label="Panel JSON" value={text ?? JSON.stringify(exportPanel(panel), null, 2)} onInput={(e) => setText(e.currentTarget.value)} />{error && <ErrorBox text={error} />}<div class="row end"><Button kind="primary" disabled={text === null} onClick={() => { try { change({ ...readPanel(JSON.parse(text!) as Record<string, unknown>, []), id: panel.id }); setText(null); setError(null); } catch (e) { setError(errorText(e)); } }}>Apply</Button></div></div>}
        </div>
      </div>
    </div>
  );
}
