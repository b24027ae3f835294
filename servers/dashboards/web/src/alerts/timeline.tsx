// State history as rows of coloured runs, one row an alert instance.
import { useMemo, useRef } from 'preact/hooks';
import type { HistoryEvent } from '../api/own';
import { useSize } from '../dash/panelbox';
import { applyFieldConfig } from '../fields/apply';
import { field, type Frame, type Value } from '../fields/frame';
import { readPanel } from '../model/import';
import { StateTimeline } from '../panels/state-timeline';
import { setParams } from '../shell/router';
import { theme } from '../shell/state';
import type { TimeRange } from '../time/range';

const colors: Record<string, string> = { Normal: '#4fa36a', Pending: '#e9b23b', Alerting: '#e4626f', Firing: '#e4626f', Recovering: '#5a9bea', NoData: '#8a94a0', Error: '#b065e0' };
const base = (s: string): string => s.split(' (')[0]!;

/** One series a (rule, labels): its state from each change on, starting with what was before the first one. */
export function historyFrames(events: readonly HistoryEvent[], range: TimeRange): Frame[] {
  const by = new Map<string, HistoryEvent[]>();
  for (const e of [...events].sort((a, b) => a.time - b.time)) {
    const extra = Object.entries(e.labels).filter(([k]) => !/^__|^(alertname|grafana_folder|severity)$/.test(k)).map(([, v]) => v).join(' ');
    const key = `${e.ruleTitle}${extra ? ` · ${extra}` : ''}`;
    by.set(key, [...(by.get(key) ?? []), e]);
  }
  return [...by].slice(0, 40).map(([name, list]) => {
    const times = [range.from, ...list.map((e) => e.time)], values: Value[] = [base(list[0]!.previous), ...list.map((e) => base(e.current))];
    return { name, length: times.length, fields: [field('Time', 'time', times), field(name, 'string', values, { config: { displayName: name } })] };
  });
}

export function HistoryTimeline({ events, range, zone }: { events: readonly HistoryEvent[]; range: TimeRange; zone: string }) {
  const ref = useRef<HTMLDivElement>(null), { width } = useSize(ref);
  const frames = useMemo(() => historyFrames(events, range), [events, range]), height = Math.min(520, 70 + frames.length * 26);
  const panel = useMemo(() => readPanel({ type: 'state-timeline', title: 'Alert history', options: { mergeValues: true, rowHeight: 0.8, showValue: 'auto', legend: { showLegend: true } }, fieldConfig: { defaults: { custom: { fillOpacity: 80 }, mappings: [{ type: 'value', options: Object.fromEntries(Object.entries(colors).map(([k, color]) => [k, { color, text: k }])) }] } } }, []), []);
  return <div ref={ref} class="card timeline" style={{ height: `${height + 28}px` }}>{width > 0 && <StateTimeline panel={panel} frames={applyFieldConfig(frames, panel.fieldConfig, theme.value)} range={range} width={width} height={height} theme={theme.value} zone={zone} id="alert-history" cursorMode={0} cursorGroup="alerts" annotations={[]} interpolate={(t) => t} links={() => []} onZoom={(from, to) => setParams({ from: String(from), to: String(to) })} />}</div>;
}
