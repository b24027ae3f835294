// Explore: one or two panes over one time range and one crosshair. The URL holds the panes; running a query writes it.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { errorText, isAbort } from '../api/http';
import { isLogsQuery, loki } from '../api/loki';
import { prom, tableFrame } from '../api/prometheus';
import type { DataSource } from '../api/own';
import { planPanel, runPlan } from '../dash/query';
import { QueryEditor } from '../editor';
import type { Frame } from '../fields/frame';
import { addLogFilter, searchTextOf, setSearchText } from '../logs/parse';
import { readPanel } from '../model/import';
import { range, rawRange, refreshEvery, refreshNow, setRawRange, startAutoRefresh, tick, zone, dashboardZone } from '../shell/clock';
import { Icon } from '../shell/icons';
import { useLoad } from '../shell/load';
import { navigate, params } from '../shell/router';
import { dataSources, defaultSource, findSource } from '../shell/state';
import { TimeControls } from '../shell/timepicker';
import { Button, ChoiceList, Empty, ErrorBox, IconButton, Popover, Select, Spinner, Tabs } from '../shell/ui';
import { LogsResult } from './logs';
import { Graph, ResultTable } from './results';
import { exploreHref, readExplore, type ExploreState, type Pane } from './url';

function useMetricResult(source: DataSource | undefined, queries: string[], instant: boolean): { frames: Frame[] | null; table: Frame[]; error: string | null; loading: boolean } {
  const [state, set] = useState<{ frames: Frame[] | null; table: Frame[]; error: string | null; loading: boolean }>({ frames: null, table: [], error: null, loading: false });
  const key = queries.join('\n');
  useEffect(() => {
    const texts = queries.filter((q) => q.trim());
    if (!source || !texts.length) { set({ frames: null, table: [], error: null, loading: false }); return; }
    const abort = new AbortController();
    set((s) => ({ ...s, loading: true }));
    const panel = readPanel({ type: 'timeseries', targets: texts.map((expr, i) => ({ refId: String.fromCharCode(65 + i), expr, datasource: { uid: source.uid, type: source.type }, ...(source.type === 'loki' ? { queryType: 'range' } : { range: true }) })) }, []);
    const plan = planPanel(panel, { variables: [], range: range.value, zone: zone.value, find: findSource, points: 900 });
    const values = instant && source.type === 'prometheus' ? Promise.all(plan.queries.map(async (q) => tableFrame((await prom.query(source.uid, q.expr, plan.range.to / 1000, abort.signal)).data, q.refId, plan.queries.length > 1))) : Promise.resolve([]);
    Promise.all([instant ? Promise.resolve(null) : runPlan(plan, abort.signal), values]).then(([r, table]) => {
      if (abort.signal.aborted) return;
      set({ frames: r?.frames ?? [], table, error: r?.errors.length ? r.errors.map((e) => (texts.length > 1 ? `${e.refId}: ` : '') + e.text).join('\n') : null, loading: false });
    }, (e: unknown) => { if (!isAbort(e) && !abort.signal.aborted) set((s) => ({ ...s, error: errorText(e), loading: false })); });
    return () => abort.abort();
  }, [source?.uid, key, range.value.from, range.value.to, tick.value, instant]);
  return state;
}

function MetricResult({ source, queries, id }: { source: DataSource; queries: string[]; id: string }) {
  const [tab, setTab] = useState<'graph' | 'table'>('graph');
  const r = useMetricResult(source, queries, tab === 'table' && source.type === 'prometheus');
  return (
    <div class="metric-result">
      {source.type === 'prometheus' && <Tabs label="Result" value={tab} onChange={setTab} tabs={[{ id: 'graph', text: 'Graph' }, { id: 'table', text: 'Values now' }]} />}
      {r.error && <ErrorBox text={r.error} />}
      <div class={r.loading && r.frames ? 'stale' : ''}>
        {!r.frames ? (r.loading ? <Spinner /> : null) : tab === 'table' && source.type === 'prometheus' ? (r.table.some((f) => f.length) ? r.table.map((f, i) => <ResultTable key={i} frames={[f]} range={range.value} id={`${id}-t${i}`} />) : !r.loading && <Empty title="No values" />)
          : r.frames.some((f) => f.length) ? <Graph frames={r.frames} range={range.value} id={`${id}-graph`} height={Math.min(560, 280 + Math.min(8, r.frames.length) * 22)} /> : !r.error && !r.loading && <Empty title="No data" icon="chart"><p class="dim">The query gives no series in this range.</p></Empty>}
      </div>
    </div>
  );
}

function LabelFilter({ source, query, onQuery }: { source: DataSource; query: string; onQuery: (q: string) => void }) {
  const [open, setOpen] = useState(false), [label, setLabel] = useState<string | null>(null), ref = useRef<HTMLButtonElement>(null);
  const names = useLoad(async (s) => (open ? loki.labels(source.uid, range.peek(), undefined, s) : []), [open, source.uid]), values = useLoad(async (s) => (label ? loki.labelValues(source.uid, label, range.peek(), undefined, s) : []), [label, source.uid]);
  const close = () => { setOpen(false); setLabel(null); };
  return (
    <>
      <button ref={ref} type="button" class="btn" aria-haspopup="dialog" aria-expanded={open} onClick={() => setOpen(!open)}><Icon name="plus" size={14} /><span>Label</span></button>
      {open && <Popover anchor={ref.current} onClose={close} label="Filter by label">{label ? <><p class="dim">{label} =</p><ChoiceList key={label} label={label} options={(values.data ?? []).map((v) => ({ value: v, text: v }))} selected={[]} onChange={([v]) => { onQuery(addLogFilter(query || '{}', label, '=', v!, 'label').replace('{, ', '{')); close(); }} onClose={() => {}} /></> : <ChoiceList label="Label" options={(names.data ?? []).map((v) => ({ value: v, text: v }))} selected={[]} onChange={([v]) => setLabel(v!)} onClose={() => {}} />}</Popover>}
    </>
  );
}

function PaneView({ pane, side, change, run, onClose }: { pane: Pane; side: 'left' | 'right'; change: (p: Pane) => void; run: (p: Pane) => void; onClose?: () => void }) {
  const source = (pane.datasource ? findSource({ uid: pane.datasource }) : undefined) ?? defaultSource(), isLoki = source?.type === 'loki', first = pane.queries[0] ?? '';
  const [drafts, setDrafts] = useState<string[]>(pane.queries.length ? pane.queries : ['']), [search, setSearch] = useState(searchTextOf(first));
  const stamp = JSON.stringify(pane.queries);
  useEffect(() => { setDrafts(pane.queries.length ? pane.queries : ['']); setSearch(searchTextOf(pane.queries[0] ?? '')); }, [stamp, pane.datasource]);
  const latest = useRef(drafts);
  latest.current = drafts;
  const runNow = (list = latest.current) => run({ ...pane, datasource: source?.uid ?? '', queries: list });
  const onQuery = useMemo(() => (q: string) => run({ ...pane, datasource: source?.uid ?? '', queries: [q, ...pane.queries.slice(1)] }), [pane, source?.uid]);
  if (!source) return <Empty title="There are no data sources" icon="server" />;
  const logs = isLoki && isLogsQuery(first), metrics = pane.queries.filter((q) => q.trim() && !(isLoki && isLogsQuery(q)));
  return (
    <section class="pane" aria-label={side === 'left' ? 'Left pane' : 'Right pane'} data-pane={side}>
      <div class="pane-head">
        <Select label="Data source" value={source.uid} options={dataSources.value.filter((d) => d.type === 'prometheus' || d.type === 'loki').map((d) => ({ value: d.uid, text: d.name, hint: d.type }))} onChange={(uid) => { const next = dataSources.value.find((d) => d.uid === uid)!; change({ datasource: uid, queries: next.type === source.type ? latest.current : [next.type === 'loki' ? '{job=~".+"}' : ''] }); }} />
        {isLoki && <form class="search-text" role="search" onSubmit={(e) => { e.preventDefault(); runNow([setSearchText(drafts[0] || '{job=~".+"}', search), ...drafts.slice(1)]); }}><Icon name="search" size={14} /><input class="input" type="search" placeholder="Search text in the lines" aria-label="Search text" value={search} onInput={(e) => setSearch(e.currentTarget.value)} /></form>}
        {isLoki && <LabelFilter source={source} query={drafts[0] ?? ''} onQuery={onQuery} />}
        <span class="spacer" />
        <Button icon="play" kind="primary" onClick={() => runNow()} title="Run (Shift+Enter)">Run</Button>
        {onClose && <IconButton icon="close" label="Close this pane" onClick={onClose} />}
      </div>
      {drafts.map((q, i) => (
        <div class="query-row" key={i}>
          {drafts.length > 1 && <span class="ref">{String.fromCharCode(65 + i)}</span>}
          <QueryEditor language={isLoki ? 'logql' : 'promql'} source={source.uid} range={() => range.peek()} value={q} onChange={(v) => setDrafts((d) => d.map((x, j) => (j === i ? v : x)))} onRun={() => runNow()} label={`Query ${String.fromCharCode(65 + i)}`} placeholder={isLoki ? '{job="titan"} |= "error" | json' : 'rate(http_requests_total[5m])'} />
          {drafts.length > 1 && <IconButton icon="close" label={`Remove query ${String.fromCharCode(65 + i)}`} onClick={() => runNow(drafts.filter((_, j) => j !== i))} />}
        </div>
      ))}
      {!logs && <button type="button" class="link-btn" onClick={() => setDrafts([...drafts, ''])}><Icon name="plus" size={13} /> Add query</button>}
      {logs ? <LogsResult uid={source.uid} query={first} id={side} onQuery={onQuery} /> : metrics.length ? <MetricResult source={source} queries={metrics} id={side} /> : <Empty title={isLoki ? 'Choose labels or write a query' : 'Write a query'} icon={isLoki ? 'logs' : 'chart'}><p class="dim">Ctrl+Space completes, Shift+Enter runs.</p></Empty>}
    </section>
  );
}

export function ExplorePage() {
  const state = useMemo(() => readExplore(params.value), [params.value]);
  useEffect(() => { document.title = 'Explore – Foursight'; dashboardZone.value = ''; return startAutoRefresh(); }, []);
  useEffect(() => { setRawRange({ from: state.from, to: state.to }); refreshEvery.value = params.value.get('refresh') ?? ''; }, [state]);
  const go = (patch: Partial<ExploreState>) => { const next = { ...state, ...patch, from: rawRange.peek().from, to: rawRange.peek().to }, href = exploreHref(next); if (href === location.pathname + location.search) refreshNow(); else navigate(href + (refreshEvery.peek() ? `&refresh=${refreshEvery.peek()}` : '')); };
  const runPane = (side: 'left' | 'right') => (p: Pane) => { const same = JSON.stringify(p.queries) === JSON.stringify(state[side]?.queries) && p.datasource === state[side]?.datasource; if (same) refreshNow(); else go({ [side]: p }); };
  const other = (): Pane => { const left = findSource({ uid: state.left.datasource }), type = left?.type === 'loki' ? 'prometheus' : 'loki', ds = defaultSource(type) ?? left; return { datasource: ds?.uid ?? '', queries: [ds?.type === 'loki' ? '{job=~".+"}' : ''] }; };
  return (
    <div class="explore">
      <div class="toolbar"><div class="crumbs"><h1>Explore</h1></div><div class="actions"><Button icon="split" pressed={!!state.right} onClick={() => go({ right: state.right ? null : other() })}>{state.right ? 'Close split' : 'Split'}</Button><TimeControls /></div></div>
      <div class={`panes ${state.right ? 'two' : ''}`}>
        <PaneView pane={state.left} side="left" change={(p) => go({ left: p })} run={runPane('left')} onClose={state.right ? () => go({ left: state.right!, right: null }) : undefined} />
        {state.right && <PaneView pane={state.right} side="right" change={(p) => go({ right: p })} run={runPane('right')} onClose={() => go({ right: null })} />}
      </div>
    </div>
  );
}
