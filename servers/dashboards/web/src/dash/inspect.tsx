// Inspect: the panel's data as a table with CSV, its queries, its JSON.
import { useMemo, useState } from 'preact/hooks';
import { applyFieldConfig, type ReadyFrame } from '../fields/apply';
import { displayer, displayText } from '../fields/display';
import { exportPanel } from '../model/import';
import type { Placed } from '../model/layout';
import { range, tick, zone } from '../shell/clock';
import { params, setParams } from '../shell/router';
import { theme, toast } from '../shell/state';
import { Button, copyText, Modal, saveFile, Spinner, Tabs } from '../shell/ui';
import { formatTimeMs } from '../time/format';
import { joinFrames } from '../transforms/join';
import { planFor, usePanelData, useReadyFrames } from './data';
import type { DashState } from './state';

const quote = (s: string): string => (/[",\n\r]/.test(s) ? `"${s.replace(/"/g, '""')}"` : s);

/** A frame as CSV; times as ISO text, shown values when `formatted`. */
export function toCsv(f: ReadyFrame, formatted: boolean, zoneName: string): string {
  const show = f.fields.map((x) => displayer(x, { theme: 'dark', zone: zoneName }, x.color));
  const cell = (c: number, row: number): string => {
    const x = f.fields[c]!, v = x.values[row];
    if (v === null || v === undefined) return '';
    if (x.type === 'time') return formatted ? formatTimeMs(Number(v), zoneName) : new Date(Number(v)).toISOString();
    return quote(formatted ? displayText(show[c]!(v)) : typeof v === 'object' ? JSON.stringify(v) : String(v));
  };
  return [f.fields.map((x) => quote(x.shownName)).join(','), ...Array.from({ length: f.length }, (_, row) => f.fields.map((_, c) => cell(c, row)).join(','))].join('\n');
}

export function Inspect({ state, item, onClose }: { state: DashState; item: Placed; onClose: () => void }) {
  const { panel, scope } = item, tab = (params.value.get('tab') ?? 'data') as 'data' | 'query' | 'json';
  const context = useMemo(() => state.context(scope), [state.variables.value, scope, range.value, zone.value]);
  const data = usePanelData(tab !== 'json', state.ready.value, tick.value, () => planFor(panel, context, 1000, state.dashboard.value), [context, panel]);
  const ready = useReadyFrames(panel, data, theme.value, context, state.dashboard.value);
  const [pick, setPick] = useState(0), [formatted, setFormatted] = useState(true), [joined, setJoined] = useState(true), [json, setJson] = useState(() => JSON.stringify(exportPanel(panel), null, 2));
  const frames = useMemo(() => {
    if (!joined || ready.frames.length < 2 || !ready.frames.every((f) => f.fields.some((x) => x.type === 'time'))) return ready.frames;
    const j = joinFrames(ready.frames.map((f) => ({ ...f, fields: f.fields.map((x) => (x.type === 'time' ? x : { ...x, config: { ...x.config, displayName: x.shownName } })) })), undefined, 'outer');
    return j ? applyFieldConfig([j], { defaults: {}, overrides: [] }, theme.value) : ready.frames;
  }, [ready, joined]);
  const frame = frames[Math.min(pick, frames.length - 1)], name = panel.title || 'panel';
  return (
    <Modal title={`Inspect: ${name}`} onClose={onClose} wide>
      <Tabs label="Inspect" value={tab} onChange={(t) => setParams({ tab: t }, { replace: true })} tabs={[{ id: 'data', text: 'Data' }, { id: 'query', text: 'Queries' }, { id: 'json', text: 'JSON' }]} />
      {tab === 'data' && (!data.result && data.loading ? <Spinner /> : !frame ? <p class="dim">{data.error ?? data.result?.errors.map((e) => e.text).join('; ') ?? 'No data'}</p> : (
        <div class="inspect-data">
          <div class="row">
            {frames.length > 1 && <select class="input" aria-label="Result" value={String(pick)} onChange={(e) => setPick(Number(e.currentTarget.value))}>{frames.map((f, i) => <option key={i} value={String(i)}>{f.name ?? f.refId ?? `Result ${i + 1}`}</option>)}</select>}
            <label class="check"><input type="checkbox" checked={formatted} onChange={(e) => setFormatted(e.currentTarget.checked)} />Values in their unit</label>
            {ready.frames.length > 1 && <label class="check"><input type="checkbox" checked={joined} onChange={(e) => { setJoined(e.currentTarget.checked); setPick(0); }} />All series in one table</label>}
            <span class="spacer" /><span class="dim">{frame.length} rows</span><Button icon="download" onClick={() => saveFile(`${name}.csv`, 'text/csv', toCsv(frame, formatted, zone.value))}>CSV</Button>
          </div>
          <div class="scroll" tabIndex={0} role="group" aria-label="Data"><table class="plain"><thead><tr>{frame.fields.map((f) => <th key={f.shownName} scope="col">{f.shownName}</th>)}</tr></thead>
            <tbody>{Array.from({ length: Math.min(frame.length, 500) }, (_, row) => <tr key={row}>{frame.fields.map((f, c) => { const v = f.values[row]; return <td key={c}>{f.type === 'time' && typeof v === 'number' ? formatTimeMs(v, zone.value) : formatted ? displayText(displayer(f, { theme: theme.value, zone: zone.value }, f.color)(v)) : v === null || v === undefined ? '' : typeof v === 'object' ? JSON.stringify(v) : String(v)}</td>; })}</tr>)}</tbody></table></div>
          {frame.length > 500 && <p class="dim">The first 500 rows; the CSV holds all.</p>}
        </div>
      ))}
      {tab === 'query' && <div class="inspect-queries">{(data.plan?.queries ?? []).map((q) => <div key={q.refId}><h3>{q.refId} · {q.source.name} · {q.instant ? 'instant' : `step ${q.stepMs / 1000} s`}</h3><pre class="code">{q.expr}</pre></div>)}{data.result?.warnings.map((w) => <p class="dim">{w}</p>)}</div>}
      {tab === 'json' && <div class="form"><textarea class="input code" rows={24} spellcheck={false} aria-label="Panel JSON" value={json} onInput={(e) => setJson(e.currentTarget.value)} /><div class="row end"><Button icon="copy" onClick={() => void copyText(json).then(() => toast('ok', 'Copied'))}>Copy</Button></div></div>}
    </Modal>
  );
}
