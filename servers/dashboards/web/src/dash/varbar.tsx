// The row of variables above a dashboard: pickers with search, text boxes, ad hoc filters, annotation switches, links.
import { useRef, useState } from 'preact/hooks';
import { loki } from '../api/loki';
import { own } from '../api/own';
import { prom } from '../api/prometheus';
import type { AdhocFilter, DashLink, Variable } from '../model/types';
import { safeUrl } from '../panels/text/markdown';
import { range } from '../shell/clock';
import { Icon } from '../shell/icons';
import { useLoad } from '../shell/load';
import { findSource } from '../shell/state';
import { ChoiceList, IconButton, MenuButton, Popover, type Choice } from '../shell/ui';
import { allValue, interpolate } from '../vars/interpolate';
import { withState } from './links';
import { fillRef } from './query';
import type { DashState } from './state';

function valueText(v: Variable): string {
  if (v.current.value[0] === allValue) return 'All';
  const t = v.current.text.length ? v.current.text : v.current.value;
  return t.length ? t.join(' + ') : 'None';
}

function Picker({ v, state }: { v: Variable; state: DashState }) {
  const [open, setOpen] = useState(false), ref = useRef<HTMLButtonElement>(null);
  const options: Choice[] = [...(v.includeAll ? [{ value: allValue, text: 'All' }] : []), ...v.options.filter((o) => o.value !== allValue).map((o) => ({ value: o.value, text: o.text, hint: o.text !== o.value && v.type !== 'datasource' && !o.value.startsWith('$__auto') ? o.value : undefined }))];
  const label = v.label || v.name, close = () => { setOpen(false); ref.current?.focus(); };
  return (
    <div class="var">
      {v.hide !== 1 && <span class="var-label" title={v.description}>{label}</span>}
      <button ref={ref} type="button" class={`select ${v.problem ? 'bad' : ''}`} aria-haspopup="listbox" aria-expanded={open} aria-label={`${label}: ${valueText(v)}`} title={v.problem ? String(v.problem) : valueText(v)} onClick={() => setOpen(!open)}><span class="text">{valueText(v)}</span>{v.multi && v.current.value.length > 1 && <span class="count">{v.current.value.length}</span>}<Icon name="down" size={13} /></button>
      {open && <Popover anchor={ref.current} onClose={close} label={label}>{v.problem ? <p class="error-text">{String(v.problem)}</p> : null}<ChoiceList label={label} options={options} selected={v.current.value} multi={v.multi} custom={v.type === 'query' || v.type === 'custom' ? v.allowCustomValue !== false : false} exclusive={v.includeAll ? allValue : undefined} onChange={(x) => state.setVariable(v.name, x)} onClose={close} /></Popover>}
    </div>
  );
}

function TextBox({ v, state }: { v: Variable; state: DashState }) {
  const [text, setText] = useState<string | null>(null), now = v.current.value[0] ?? '';
  const apply = () => { if (text !== null && text !== now) state.setVariable(v.name, [text]); setText(null); };
  return (
    <label class="var">
      {v.hide !== 1 && <span class="var-label">{v.label || v.name}</span>}
      <input class="input" type="text" aria-label={v.label || v.name} placeholder={typeof v.placeholder === 'string' ? v.placeholder : ''} value={text ?? now} onInput={(e) => setText(e.currentTarget.value)} onBlur={apply} onKeyDown={(e) => { if (e.key === 'Enter') apply(); }} />
    </label>
  );
}

const operators: Choice[] = ['=', '!=', '=~', '!~', '=|', '!=|'].map((o) => ({ value: o, text: o, hint: o === '=|' ? 'one of' : o === '!=|' ? 'none of' : undefined }));

function Adhoc({ v, state }: { v: Variable; state: DashState }) {
  const [draft, setDraft] = useState<Partial<AdhocFilter> | null>(null), button = useRef<HTMLButtonElement>(null);
  const source = findSource(fillRef(v.datasource, state.context())), filters = v.filters ?? [];
  const keys = useLoad(async (s) => (draft && source ? (source.type === 'loki' ? loki.labels(source.uid, range.peek(), undefined, s) : prom.labels(source.uid, [], range.peek(), s)) : []), [draft !== null, source?.uid]);
  const values = useLoad(async (s) => (draft?.key && source ? (source.type === 'loki' ? loki.labelValues(source.uid, draft.key, range.peek(), undefined, s) : prom.labelValues(source.uid, draft.key, [], range.peek(), s)) : []), [draft?.key, source?.uid]);
  const choices = (l: string[] | null): Choice[] => (l ?? []).filter((x) => x !== '__name__').map((x) => ({ value: x, text: x }));
  const step = !draft ? null : !draft.key ? 'key' : !draft.operator ? 'operator' : 'value';
  return (
    <div class="var adhoc">
      {v.hide !== 1 && <span class="var-label">{v.label || v.name}</span>}
      {filters.map((f, i) => <span key={i} class="pill">{f.key} {f.operator} {f.value}<IconButton icon="close" size={12} label={`Remove the filter ${f.key} ${f.operator} ${f.value}`} onClick={() => state.setFilters(v.name, filters.filter((_, j) => j !== i))} /></span>)}
      <button ref={button} type="button" class="icon-btn" aria-label={`Add a filter to ${v.label || v.name}`} title="Add filter" onClick={() => setDraft({})}><Icon name="plus" size={14} /></button>
      {draft && step && (
        <Popover anchor={button.current} onClose={() => setDraft(null)} label="New filter">
          <p class="dim">{draft.key ?? 'Label'} {draft.operator ?? ''}</p>
          <ChoiceList key={step} label={step} custom={step !== 'operator'} options={step === 'key' ? choices(keys.data) : step === 'operator' ? operators : choices(values.data)} selected={[]} onClose={() => {}} multi={step === 'value' && draft.operator!.endsWith('|')}
            onChange={(x) => { if (step === 'value') { state.setFilters(v.name, [...filters, { key: draft.key!, operator: draft.operator!, value: x.join('|') }]); setDraft(null); } else setDraft({ ...draft, [step]: x[0] }); }} />
        </Popover>
      )}
    </div>
  );
}

function LinkItem({ l, state }: { l: DashLink; state: DashState }) {
  const c = state.context(), tags = l.tags.join();
  const found = useLoad(async (s) => (l.type === 'dashboards' ? own.search({ tag: l.tags, type: 'dash-db', limit: 100 }, s) : []), [l.type, tags]);
  if (l.type === 'link') {
    const href = withState(interpolate(l.url ?? '', c, 'url'), l, c);
    return safeUrl(href) && href ? <a class="btn" href={href} target={l.targetBlank ? '_blank' : undefined} rel="noreferrer" title={l.tooltip}><Icon name={/^https?:/.test(href) ? 'external' : 'link'} size={14} /><span>{interpolate(l.title, c)}</span></a> : null;
  }
  const hits = (found.data ?? []).filter((d) => d.uid !== state.dashboard.value.uid);
  if (!hits.length) return null;
  if (l.asDropdown) return <MenuButton label={l.title || 'Dashboards'} text={l.title || 'Dashboards'} icon="dashboards" items={hits.map((d) => ({ label: d.title, href: withState(d.url, l, c), external: l.targetBlank }))} />;
  return <>{hits.map((d) => <a key={d.uid} class="btn" href={withState(d.url, l, c)} target={l.targetBlank ? '_blank' : undefined}><Icon name="dashboards" size={14} /><span>{d.title}</span></a>)}</>;
}

export function VarBar({ state }: { state: DashState }) {
  const d = state.dashboard.value, vars = state.variables.value.filter((v) => v.hide < 2 && !['constant', 'system', 'groupby'].includes(v.type));
  const marks = d.annotations.filter((a) => !a.hide), off = state.annotationsOff.value;
  if (!vars.length && !marks.length && !d.links.length) return null;
  return (
    <div class="varbar" role="group" aria-label="Variables and links">
      {vars.map((v) => v.type === 'textbox' ? <TextBox key={v.name} v={v} state={state} /> : v.type === 'adhoc' ? <Adhoc key={v.name} v={v} state={state} /> : <Picker key={v.name} v={v} state={state} />)}
      {marks.map((a) => { const on = a.enable !== off.has(a.name); return <button key={a.name} type="button" class={`btn toggle ${on ? 'on' : ''}`} aria-pressed={on} onClick={() => { const n = new Set(off); if (n.has(a.name)) n.delete(a.name); else n.add(a.name); state.annotationsOff.value = n; }}><Icon name="star" size={13} /><span>{a.name}</span></button>; })}
      <span class="spacer" />
      {d.links.map((l, i) => <LinkItem key={i} l={l} state={state} />)}
    </div>
  );
}
