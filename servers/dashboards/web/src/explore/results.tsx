// Results of a metric query in Explore: chart and table, drawn by the panels' own components.
import { useMemo, useRef } from 'preact/hooks';
import { applyFieldConfig } from '../fields/apply';
import { field, type Frame } from '../fields/frame';
import { readPanel } from '../model/import';
import { Table } from '../panels/table';
import { TimeSeries } from '../panels/timeseries';
import type { PanelProps } from '../panels/types';
import { useSize } from '../dash/panelbox';
import { setParams } from '../shell/router';
import { theme } from '../shell/state';
import { zone } from '../shell/clock';
import type { TimeRange } from '../time/range';
import type { VolumeCounts } from './volume';

export const levelColors: Record<string, string> = { critical: '#b065e0', error: '#e4626f', warn: '#e9b23b', info: '#5fb37a', debug: '#5a9bea', trace: '#63c2c9', unknown: '#8a94a0' };

const base = (frames: Frame[], range: TimeRange, panel: Record<string, unknown>, id: string, width: number, height: number): PanelProps => {
  const p = readPanel(panel, []);
  return { panel: p, frames: applyFieldConfig(frames, p.fieldConfig, theme.value), range, width, height, theme: theme.value, zone: zone.value, id, cursorMode: 1, cursorGroup: 'explore', annotations: [], interpolate: (t) => t, links: () => [], onZoom: (from, to) => setParams({ from: String(from), to: String(to) }) };
};

export function Graph({ frames, range, id, height = 300, title = 'Result' }: { frames: Frame[]; range: TimeRange; id: string; height?: number; title?: string }) {
  const ref = useRef<HTMLDivElement>(null), { width } = useSize(ref);
  const props = useMemo(() => width ? base(frames, range, { type: 'timeseries', title, fieldConfig: { defaults: { custom: { fillOpacity: 8, lineWidth: 1.5 } } }, options: { legend: { showLegend: true, displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'mean', 'max'] }, tooltip: { mode: 'multi', sort: 'desc' } } }, id, width, height) : null, [frames, range, width, height, theme.value, zone.value]);
  return <div ref={ref} class="result-graph" style={{ height: `${height + 14}px` }}>{props && <TimeSeries {...props} />}</div>;
}

export function ResultTable({ frames, range, id }: { frames: Frame[]; range: TimeRange; id: string }) {
  const ref = useRef<HTMLDivElement>(null), { width } = useSize(ref), rows = frames[0]?.length ?? 0, height = Math.min(360, 34 + rows * 28);
  const props = useMemo(() => width ? base(frames, range, { type: 'table', title: 'Values', options: { showHeader: true }, fieldConfig: { defaults: { custom: { filterable: true }, color: { mode: 'thresholds' } }, overrides: [{ matcher: { id: 'byType', options: 'time' }, properties: [{ id: 'custom.hidden', value: true }] }] } }, id, width, height) : null, [frames, range, width, height, theme.value, zone.value]);
  return <div ref={ref} class="result-table" style={{ height: `${height + 10}px` }}>{props && <Table {...props} />}</div>;
}

/** Counts per level and step, as stacked bars. A bar stands over the span it counts. */
export function Volume({ counts, range, id }: { counts: VolumeCounts; range: TimeRange; id: string }) {
  const ref = useRef<HTMLDivElement>(null), { width } = useSize(ref), height = 132;
  const props = useMemo(() => {
    if (!width) return null;
    const frames = counts.series.map((s): Frame => ({ refId: s.level, length: counts.times.length, fields: [field('Time', 'time', counts.times), field(s.level, 'number', s.values, { config: { displayName: s.level, color: { mode: 'fixed', fixedColor: levelColors[s.level] ?? levelColors.unknown! } } })] }));
    return base(frames, range, { type: 'timeseries', title: 'Log volume', fieldConfig: { defaults: { unit: 'short', min: 0, custom: { drawStyle: 'bars', fillOpacity: 85, lineWidth: 0, stacking: { mode: 'normal', group: 'A' }, barAlignment: -1, barWidthFactor: 0.86, showPoints: 'never' } } }, options: { legend: { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: ['sum'] }, tooltip: { mode: 'multi' } } }, id, width, height);
  }, [counts, range, width, theme.value, zone.value]);
  return <div ref={ref} class="volume" style={{ height: `${height + 10}px` }} data-total={counts.total}>{props && <TimeSeries {...props} />}</div>;
}
