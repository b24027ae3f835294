// Panel types and their components. An unknown type gets a quiet placeholder from the panel box.
import type { ComponentType } from 'preact';
import { BarChart } from './barchart';
import { BarGauge } from './bargauge';
import { Gauge } from './gauge';
import { Heatmap } from './heatmap';
import { Histogram } from './histogram';
import { AlertList, AnnoList, DashList } from './lists';
import { Logs } from './logs';
import { PieChart } from './piechart';
import { Stat } from './stat';
import { StateTimeline } from './state-timeline';
import { Table } from './table';
import { Text } from './text';
import { TimeSeries } from './timeseries';
import type { PanelProps } from './types';

export interface PanelType { name: string; component: ComponentType<PanelProps>; needsData: boolean; flush?: boolean }
export const panelTypes: Record<string, PanelType> = {
  timeseries: { name: 'Time series', component: TimeSeries, needsData: true }, stat: { name: 'Stat', component: Stat, needsData: true, flush: true }, gauge: { name: 'Gauge', component: Gauge, needsData: true }, bargauge: { name: 'Bar gauge', component: BarGauge, needsData: true },
  table: { name: 'Table', component: Table, needsData: true }, text: { name: 'Text', component: Text, needsData: false }, logs: { name: 'Logs', component: Logs, needsData: true }, heatmap: { name: 'Heatmap', component: Heatmap, needsData: true },
  barchart: { name: 'Bar chart', component: BarChart, needsData: true }, piechart: { name: 'Pie chart', component: PieChart, needsData: true }, histogram: { name: 'Histogram', component: Histogram, needsData: true }, 'state-timeline': { name: 'State timeline', component: StateTimeline, needsData: true },
  'status-history': { name: 'Status history', component: StateTimeline, needsData: true }, alertlist: { name: 'Alert list', component: AlertList, needsData: false }, dashlist: { name: 'Dashboard list', component: DashList, needsData: false }, annolist: { name: 'Annotation list', component: AnnoList, needsData: false },
};
