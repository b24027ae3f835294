// The list of log lines: level colour and text, time, line with highlights, details on demand. Used by the logs panel and by
// Explore. Rows out of sight cost little (CSS content-visibility).
import { memo } from './memo';
import { useMemo, useState } from 'preact/hooks';
import type { LogLine } from '../api/loki';
import { formatPattern } from '../time/format';
import { Icon } from '../shell/icons';
import { copyText, IconButton } from '../shell/ui';
import { toast } from '../shell/state';
import { dedupe, fieldsOf, highlight, prettyJson, stripAnsi, type LineFields } from './parse';

export type FilterWhere = 'label' | 'meta' | 'json' | 'logfmt';
export interface LogOptions { time: boolean; labels: boolean; wrap: boolean; pretty: boolean; details: boolean; dedup: string; fields?: string[]; ns?: boolean; small?: boolean }
export interface LogActions { filter?: (key: string, op: '=' | '!=', value: string, where: FilterWhere) => void; context?: (l: LogLine) => void; showField?: (name: string) => void }

export function lineTime(l: LogLine, zone: string, ns = false): string {
  const t = formatPattern(l.timeMs, 'YYYY-MM-DD HH:mm:ss', zone);
  return `${t}.${l.timeNs.slice(-9, ns ? undefined : -6)}`;
}

function Details({ l, actions, onClose, zone }: { l: LogLine; actions: LogActions; onClose: () => void; zone: string }) {
  const f: LineFields = useMemo(() => fieldsOf(l), [l]);
  const [find, setFind] = useState('');
  const fits = ([k, v]: [string, string]) => !find || k.toLowerCase().includes(find.toLowerCase()) || v.toLowerCase().includes(find.toLowerCase());
  const section = (title: string, rows: [string, string][], where: FilterWhere) => {
    const shown = rows.filter(fits);
    return shown.length ? (
      <><tr><th colSpan={3} scope="colgroup">{title}</th></tr>
        {shown.map(([k, v]) => (
          <tr key={k}>
            <td class="acts">
              {actions.filter && <><IconButton icon="filterIn" size={14} label={`Filter for ${k} = ${v}`} onClick={() => actions.filter!(k, '=', v, where)} /><IconButton icon="filterOut" size={14} label={`Filter out ${k} = ${v}`} onClick={() => actions.filter!(k, '!=', v, where)} /></>}
              {actions.showField && <IconButton icon="eye" size={14} label={`Show ${k} instead of the line`} onClick={() => actions.showField!(k)} />}
              <IconButton icon="copy" size={14} label={`Copy ${k}`} onClick={() => void copyText(v).then((ok) => toast(ok ? 'ok' : 'error', ok ? 'Copied' : 'The clipboard is not open to this page'))} />
            </td>
            <td class="key">{k}</td><td class="val">{v}</td>
          </tr>
        ))}</>
    ) : null;
  };
  const json = f.kind === 'json';
  return (
    <div class="log-details" role="group" aria-label="Details of the line">
      <div class="bar">
        <input class="input" type="search" placeholder="Find a field" aria-label="Find a field" value={find} onInput={(e) => setFind(e.currentTarget.value)} />
        <span class="dim">{lineTime(l, zone, true)}</span><span class="spacer" />
        {actions.context && <button type="button" class="btn small" onClick={() => actions.context!(l)}><Icon name="logs" size={14} /><span>Context</span></button>}
        <button type="button" class="btn small" onClick={() => void copyText(l.line).then(() => toast('ok', 'Line copied'))}><Icon name="copy" size={14} /><span>Copy line</span></button>
        {json && <button type="button" class="btn small" onClick={() => void copyText(prettyJson(l.line)).then(() => toast('ok', 'JSON copied'))}><Icon name="copy" size={14} /><span>Copy JSON</span></button>}
        <IconButton icon="close" label="Close details" onClick={onClose} />
      </div>
      <table><tbody>{section('Labels', f.labels, 'label')}{section('Structured metadata', f.meta, 'meta')}{f.kind && section(json ? 'JSON fields' : 'logfmt fields', f.parsed, f.kind)}</tbody></table>
      {json && <pre class="pretty">{prettyJson(l.line)}</pre>}
    </div>
  );
}

const Row = memo(function Row(p: { l: LogLine; repeats: number; o: LogOptions; zone: string; pattern: RegExp | null; open: boolean; toggle: (id: string) => void; actions: LogActions; common: ReadonlySet<string>; here?: boolean }) {
  const { l, o } = p, text = stripAnsi(o.pretty && l.line.trim().startsWith('{') ? prettyJson(l.line) : l.line);
  const shown = o.fields?.length ? o.fields.map((k) => { const f = fieldsOf(l), v = [...f.labels, ...f.meta, ...f.parsed].find(([n]) => n === k)?.[1]; return v === undefined ? '' : `${k}=${v}`; }).filter(Boolean).join(' ') : text;
  const extra = o.labels ? Object.entries(l.labels).filter(([k]) => !p.common.has(k)) : [];
  const body = (
    <>
      <span class="level">{l.level === 'unknown' ? '·' : l.level}</span>
      {o.time && <time>{lineTime(l, p.zone, o.ns)}</time>}
      {extra.length > 0 && <span class="labels">{extra.map(([k, v]) => <span key={k}>{k}={v}</span>)}</span>}
      <span class={`line ${o.pretty ? 'pre' : ''}`}>{highlight(shown, p.pattern).map((x, i) => (x.hit ? <mark key={i}>{x.text}</mark> : x.text))}</span>
      {p.repeats > 0 && <span class="repeats" title="Repeated lines">×{p.repeats + 1}</span>}
    </>
  );
  return (
    <div class={`log level-${l.level} ${p.open ? 'open' : ''} ${p.here ? 'here' : ''}`}>
      {o.details ? <button type="button" class="log-line" aria-expanded={p.open} onClick={() => { if (!String(getSelection() ?? '')) p.toggle(l.id); }}>{body}</button> : <div class="log-line">{body}</div>}
      {p.open && <Details l={l} actions={p.actions} zone={p.zone} onClose={() => p.toggle(l.id)} />}
    </div>
  );
});

/** Labels that all lines share: shown once above instead of on every line. */
export function commonLabels(lines: readonly LogLine[]): [string, string][] {
  if (!lines.length) return [];
  return Object.entries(lines[0]!.labels).filter(([k, v]) => lines.every((l) => l.labels[k] === v));
}

export function LogList(p: { lines: LogLine[]; options: LogOptions; zone: string; pattern: RegExp | null; actions: LogActions; limit?: number; mark?: string; label?: string }) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [shown, setShown] = useState(300);
  const rows = useMemo(() => dedupe(p.lines, p.options.dedup), [p.lines, p.options.dedup]);
  const common = useMemo(() => new Set(commonLabels(p.lines).map(([k]) => k)), [p.lines]);
  const toggle = useMemo(() => (id: string) => setOpen((s) => { const n = new Set(s); if (n.has(id)) n.delete(id); else n.add(id); return n; }), []);
  return (
    <div class={`log-list ${p.options.wrap ? 'wrap' : ''} ${p.options.small ? 'small' : ''}`} role="log" aria-label={p.label ?? 'Log lines'} aria-live="off" tabIndex={0}>
      {rows.slice(0, shown).map((r) => <Row key={r.line.id} l={r.line} repeats={r.repeats} o={p.options} zone={p.zone} pattern={p.pattern} open={open.has(r.line.id)} toggle={toggle} actions={p.actions} common={common} here={p.mark === r.line.id} />)}
      {rows.length > shown && <button type="button" class="btn more" onClick={() => setShown(shown + 700)}>Show {Math.min(700, rows.length - shown)} more of {rows.length}</button>}
    </div>
  );
}
