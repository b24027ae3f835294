// Logs panel: the lines of its queries in one list.
import { useMemo } from 'preact/hooks';
import type { LogLine } from '../../api/loki';
import { levelOf } from '../../api/loki';
import type { Labels } from '../../fields/frame';
import { highlightPattern } from '../../logs/parse';
import { commonLabels, LogList } from '../../logs/list';
import { str, strings } from '../../model/read';
import { NoData } from '../common';
import type { PanelProps } from '../types';

/** Lines of log frames; of other frames the first text column is taken as lines. */
function linesOfFrames(p: PanelProps): LogLine[] {
  return p.frames.flatMap((f) => {
    const own = f.meta?.custom?.lines as LogLine[] | undefined;
    if (own) return own;
    const t = f.fields.find((x) => x.type === 'time'), s = f.fields.find((x) => x.type === 'string');
    if (!t || !s) return [];
    return s.values.map((v, i): LogLine => { const ms = Number(t.values[i]), labels = (s.labels ?? {}) as Labels; return { id: `${f.refId}-${i}`, timeMs: ms, timeNs: `${Math.floor(ms)}000000`, line: String(v ?? ''), labels, meta: {}, level: levelOf(labels, {}, String(v ?? '')) }; });
  });
}

export function Logs(p: PanelProps) {
  const o = p.panel.options, ascending = o.sortOrder === 'Ascending';
  const lines = useMemo(() => { const l = linesOfFrames(p); return l.sort((a, b) => (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0) * (ascending ? 1 : -1)); }, [p.frames, ascending]);
  const pattern = useMemo(() => highlightPattern(p.panel.targets.map((t) => p.interpolate(str(t.expr))).join('\n')), [p.panel, p.frames]);
  if (!lines.length) return <NoData text="No log lines" />;
  const common = o.showCommonLabels === true ? commonLabels(lines) : [];
  return (
    <div class="logs-panel" style={{ height: `${p.height}px` }}>
      {common.length > 0 && <div class="common-labels">{common.map(([k, v]) => <span class="pill">{k}={v}</span>)}</div>}
      <LogList lines={lines} zone={p.zone} pattern={pattern} label={p.panel.title || 'Log lines'} actions={p.onFilter ? { filter: (k, op, v, where) => where === 'label' && p.onFilter!(k, op, v) } : {}}
        options={{ time: o.showTime !== false, labels: o.showLabels === true, wrap: o.wrapLogMessage === true, pretty: o.prettifyLogMessage === true, details: o.enableLogDetails !== false, dedup: str(o.dedupStrategy, 'none'), fields: strings(o.displayedFields), ns: o.timestampResolution === 'ns', small: o.fontSize === 'small' }} />
    </div>
  );
}
