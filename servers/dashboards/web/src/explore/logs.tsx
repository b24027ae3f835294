// Logs in Explore: volume above, lines below, details with filters, context, older lines, live tail.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { errorText } from '../api/http';
import { levelOf, linesOf, loki, nsRange, toLevel, type LogLine, type LokiData, type Stream } from '../api/loki';
import type { PromData } from '../api/prometheus';
import { LogList, type FilterWhere, type LogOptions } from '../logs/list';
import { addLogFilter, highlightPattern } from '../logs/parse';
import { unitText } from '../units/format';
import { range, tick, zone } from '../shell/clock';
import { useLoad } from '../shell/load';
import { remember, toast } from '../shell/state';
import { Button, Empty, ErrorBox, IconButton, Modal, saveFile, Spinner } from '../shell/ui';
import { tidyInterval, type TimeRange } from '../time/range';
import { Volume } from './results';
import { foldVolume, type VolumeCounts } from './volume';

const limit = 1000;

/** Step and grid of the volume: about sixty bars, the last one covering the end. */
export function volumeGrid(r: TimeRange): { start: number; end: number; step: number } {
  const step = Math.max(1, tidyInterval(r.to - r.from, 60, 1000) / 1000);
  return { step, start: (Math.floor(r.from / 1000 / step) + 1) * step, end: Math.ceil(r.to / 1000 / step) * step };
}

async function loadVolume(uid: string, query: string, r: TimeRange, signal: AbortSignal): Promise<VolumeCounts> {
  const grid = volumeGrid(r);
  const a = await loki.queryRange(uid, `sum by (level, detected_level) (count_over_time(${query} [${grid.step}s]))`, { fromNs: `${grid.start}000000000`, toNs: `${grid.end}000000000` }, { step: grid.step }, signal);
  return foldVolume(a.data.resultType === 'matrix' ? (a.data as Extract<PromData, { resultType: 'matrix' }>).result : [], grid, toLevel);
}

function Context({ uid, line, onClose }: { uid: string; line: LogLine; onClose: () => void }) {
  const [size, setSize] = useState(20), [wrap, setWrap] = useState(true);
  const selector = `{${Object.entries(line.labels).filter(([k]) => !k.startsWith('__') && k !== 'detected_level').map(([k, v]) => `${k}="${v.replace(/\\/g, '\\\\').replace(/"/g, '\\"')}"`).join(', ')}}`;
  const l = useLoad(async (s) => {
    const day = 86400000, at = BigInt(line.timeNs), [before, after] = await Promise.all([
      loki.queryRange(uid, selector, { fromNs: String(at - BigInt(day) * 1000000n), toNs: String(at + 1n) }, { limit: size + 1, direction: 'backward' }, s), loki.queryRange(uid, selector, { fromNs: String(at), toNs: String(at + BigInt(day) * 1000000n) }, { limit: size + 1, direction: 'forward' }, s),
    ]);
    const streams = [...(before.data.resultType === 'streams' ? before.data.result : []), ...(after.data.resultType === 'streams' ? after.data.result : [])], seen = new Set<string>();
    return linesOf(streams, false).filter((x) => { const k = `${x.timeNs}|${x.line}`; return seen.has(k) ? false : (seen.add(k), true); });
  }, [size]);
  const mark = l.data?.find((x) => x.timeNs === line.timeNs && x.line === line.line)?.id;
  useEffect(() => { if (l.data) document.querySelector('.modal .log.here')?.scrollIntoView({ block: 'center' }); }, [l.data]);
  return (
    <Modal title="Log context" onClose={onClose} wide>
      <div class="row"><code class="dim grow">{selector}</code><Button onClick={() => setWrap(!wrap)} pressed={wrap}>Wrap</Button><Button onClick={() => setSize(size * 2)}>More lines</Button></div>
      {l.error ? <ErrorBox text={l.error} retry={l.reload} /> : !l.data ? <Spinner /> : <LogList lines={l.data} zone={zone.value} pattern={null} mark={mark} actions={{}} label="Lines around" options={{ time: true, labels: false, wrap, pretty: false, details: true, dedup: 'none' }} />}
    </Modal>
  );
}

const saved = (): LogOptions => { try { return { time: true, labels: false, wrap: true, pretty: false, details: true, dedup: 'none', ...(JSON.parse(remember.get('logs') ?? '{}') as object) }; } catch { return { time: true, labels: false, wrap: true, pretty: false, details: true, dedup: 'none' }; } };

/** Follows a query over the tail socket; newest line first, at most a thousand kept. */
function useTail(uid: string, query: string, on: boolean): { lines: LogLine[]; error: string | null; state: 'off' | 'opening' | 'open' | 'closed' } {
  const [lines, setLines] = useState<LogLine[]>([]), [error, setError] = useState<string | null>(null), [state, setState] = useState<'off' | 'opening' | 'open' | 'closed'>('off');
  useEffect(() => {
    if (!on) { setState('off'); return; }
    setLines([]);
    setError(null);
    setState('opening');
    const ws = new WebSocket(loki.tailUrl(uid, query, Date.now() - 30000));
    let waiting: LogLine[] = [], timer = 0;
    const flush = () => { timer = 0; const add = waiting; waiting = []; setLines((l) => [...add, ...l].slice(0, 1000)); };
    ws.onopen = () => setState('open');
    ws.onmessage = (e) => {
      try {
        const m = JSON.parse(String(e.data)) as { streams?: Stream[]; dropped_entries?: unknown[] };
        waiting = [...linesOf(m.streams ?? []), ...waiting].slice(0, 1000);
        if (m.dropped_entries?.length) setError(`${m.dropped_entries.length} lines came too fast and were left out`);
        if (!timer) timer = window.setTimeout(flush, 120);
      } catch { setError('an unreadable message came over the socket'); }
    };
    ws.onerror = () => setError('The live connection failed.');
    ws.onclose = (e) => { setState('closed'); if (e.reason) setError(e.reason); };
    return () => { clearTimeout(timer); ws.onclose = null; ws.close(); };
  }, [on, uid, query]);
  return { lines, error, state };
}

export function LogsResult({ uid, query, id, onQuery }: { uid: string; query: string; id: string; onQuery: (q: string) => void }) {
  const [options, setOptions] = useState<LogOptions>(saved), [live, setLive] = useState(false), [context, setContext] = useState<LogLine | null>(null), [older, setOlder] = useState<LogLine[]>([]), [loadingOlder, setLoadingOlder] = useState(false), [showVolume, setShowVolume] = useState(true), [ascending, setAscending] = useState(false), [level, setLevel] = useState('');
  const r = range.value, set = (patch: Partial<LogOptions>) => { const n = { ...options, ...patch }; setOptions(n); remember.set('logs', JSON.stringify({ ...n, fields: undefined })); };
  const volume = useLoad((s) => loadVolume(uid, query, r, s), [uid, query, r.from, r.to, tick.value]);
  const main = useLoad(async (s) => {
    setOlder([]);
    const a = await loki.queryRange(uid, query, nsRange(r), { limit, direction: 'backward' }, s), d = a.data as LokiData;
    return { lines: d.resultType === 'streams' ? linesOf(d.result) : [], stats: d.stats?.summary };
  }, [uid, query, r.from, r.to, tick.value]);
  const tail = useTail(uid, query, live);
  const pattern = useMemo(() => highlightPattern(query), [query]);
  const all = live ? tail.lines : older.length ? [...(main.data?.lines ?? []), ...older] : (main.data?.lines ?? []);
  const lines = useMemo(() => { const l = level ? all.filter((x) => levelOf(x.labels, x.meta, x.line) === level) : all; return ascending && !live ? [...l].reverse() : l; }, [all, ascending, live, level]);
  const actions = useMemo(() => ({ filter: (key: string, op: '=' | '!=', value: string, where: FilterWhere) => onQuery(addLogFilter(query, key, op, value, where)), context: (l: LogLine) => setContext(l), showField: (name: string) => setOptions((o) => { const f = new Set(o.fields ?? []); if (f.has(name)) f.delete(name); else f.add(name); return { ...o, fields: f.size ? [...f] : undefined }; }) }), [query, onQuery]);
  const more = useRef<AbortController | null>(null);
  const loadOlder = async () => {
    const last = (older.length ? older : main.data!.lines).at(-1);
    if (!last) return;
    setLoadingOlder(true);
    const abort = (more.current = new AbortController());
    try {
      const a = await loki.queryRange(uid, query, { fromNs: nsRange(r).fromNs, toNs: last.timeNs }, { limit, direction: 'backward' }, abort.signal);
      const next = a.data.resultType === 'streams' ? linesOf(a.data.result) : [];
      if (!next.length) toast('info', 'There are no older lines in the range');
      setOlder((o) => [...o, ...next]);
    } catch (e) { toast('error', errorText(e)); }
    setLoadingOlder(false);
  };
  const total = volume.data?.total ?? null;
  return (
    <div class="logs-result">
      {!live && showVolume && (volume.error && !volume.data ? <p class="dim">Volume: {volume.error}</p> : <div class={volume.loading && volume.data ? 'stale' : ''}>{volume.data ? <Volume counts={volume.data} range={r} id={`${id}-volume`} /> : <div class="volume skeleton" />}</div>)}
      <div class="log-tools" role="toolbar" aria-label="Log view">
        <Button icon={live ? 'stop' : 'play'} kind={live ? 'primary' : undefined} pressed={live} onClick={() => setLive(!live)}>{live ? 'Stop' : 'Live'}</Button>
        {live && <span class={`live ${tail.state}`} role="status">{tail.state === 'open' ? `live · ${tail.lines.length} lines` : tail.state === 'opening' ? 'connecting…' : 'closed'}</span>}
        <span class="sep" />
        <Button pressed={options.time} onClick={() => set({ time: !options.time })}>Time</Button>
        <Button pressed={options.labels} onClick={() => set({ labels: !options.labels })}>Labels</Button>
        <Button icon="wrap" pressed={options.wrap} onClick={() => set({ wrap: !options.wrap })}>Wrap</Button>
        <Button pressed={options.pretty} onClick={() => set({ pretty: !options.pretty })}>Pretty JSON</Button>
        {!live && <Button pressed={showVolume} onClick={() => setShowVolume(!showVolume)}>Volume</Button>}
        <label class="inline">Repeats <select class="input" value={options.dedup} onChange={(e) => set({ dedup: e.currentTarget.value })}><option value="none">all</option><option value="exact">exact</option><option value="numbers">numbers</option><option value="signature">signature</option></select></label>
        <label class="inline">Level <select class="input" value={level} onChange={(e) => setLevel(e.currentTarget.value)}><option value="">all</option>{['critical', 'error', 'warn', 'info', 'debug', 'trace', 'unknown'].map((l) => <option key={l}>{l}</option>)}</select></label>
        {!live && <Button onClick={() => setAscending(!ascending)} title="Order">{ascending ? 'Oldest first' : 'Newest first'}</Button>}
        {options.fields?.length ? <Button icon="close" onClick={() => setOptions({ ...options, fields: undefined })}>Fields: {options.fields.join(', ')}</Button> : null}
        <span class="spacer" />
        <span class="dim count" data-lines={lines.length}>{live ? '' : total !== null && !volume.loading && main.data && all.length >= limit ? `${lines.length.toLocaleString('en-US')} of ${total.toLocaleString('en-US')} lines` : `${lines.length} lines`}{main.data?.stats?.totalBytesProcessed && !live ? ` · ${unitText(main.data.stats.totalBytesProcessed, 'bytes')} read` : ''}</span>
        <IconButton icon="download" label="Download the lines" onClick={() => saveFile('logs.txt', 'text/plain', lines.map((l) => `${new Date(l.timeMs).toISOString()}\t${l.line}`).join('\n'))} />
      </div>
      {live && tail.error && <ErrorBox text={tail.error} />}
      {!live && main.error && !main.data ? <ErrorBox text={main.error} retry={main.reload} /> : !live && !main.data ? <Spinner /> : lines.length ? (
        <div class={!live && main.loading ? 'stale' : ''}>
          {main.error && <ErrorBox text={main.error} />}
          <LogList lines={lines} options={options} zone={zone.value} pattern={pattern} actions={actions} />
          {!live && !ascending && main.data!.lines.length >= limit && <div class="center"><Button onClick={() => void loadOlder()} disabled={loadingOlder}>{loadingOlder ? 'Loading…' : 'Older lines'}</Button></div>}
        </div>
      ) : live ? <p class="dim center">Waiting for lines…</p> : <Empty title="No log lines" icon="logs"><p class="dim">Nothing in this range fits the query.</p></Empty>}
      {context && <Context uid={uid} line={context} onClose={() => setContext(null)} />}
    </div>
  );
}
