// The one internal dashboard model. It is close to the classic JSON model on purpose: what the app does not know is kept and
// saved back. `importDashboard` makes it from any schema version, from rows[] files, from API wrappers and from V2 resources.
import type { FieldConfigSource } from '../fields/apply';
import type { Transformation } from '../transforms/run';

export interface DsRef { type?: string; uid?: string }
// Target models differ per data source: the known keys are typed, the rest is kept.
export interface Target {
  refId: string; datasource?: DsRef | null; expr?: string; query?: string; legendFormat?: string; instant?: boolean; range?: boolean; format?: string; interval?: string; intervalFactor?: number;
  step?: number | string; hide?: boolean; queryType?: string; maxLines?: number; direction?: string; resolution?: number; exemplar?: boolean; panelId?: number; type?: string; [key: string]: unknown;
}
export interface GridPos { x: number; y: number; w: number; h: number }
export interface PanelLink { title?: string; url?: string; targetBlank?: boolean }

export interface Panel {
  id: number; type: string; title: string; description?: string; transparent?: boolean; gridPos: GridPos; datasource: DsRef | null; targets: Target[]; fieldConfig: FieldConfigSource;
  options: Record<string, unknown>; transformations: Transformation[]; interval?: string; maxDataPoints?: number; timeFrom?: string; timeShift?: string; hideTimeOverride?: boolean;
  repeat?: string; repeatDirection?: 'h' | 'v'; maxPerRow?: number; links: PanelLink[]; collapsed?: boolean; panels?: Panel[]; libraryPanel?: { uid: string; name: string }; [key: string]: unknown;
}

export type VariableType = 'query' | 'custom' | 'interval' | 'datasource' | 'textbox' | 'constant' | 'adhoc' | 'groupby' | 'switch' | 'system';
export interface VariableOption { text: string; value: string }
export interface AdhocFilter { key: string; operator: string; value: string }
export interface Variable {
  name: string; type: VariableType; label?: string; description?: string; hide: number; query?: unknown; definition?: string; datasource?: DsRef | null; refresh?: number; regex?: string; sort?: number;
  multi?: boolean; includeAll?: boolean; allValue?: string | null; allowCustomValue?: boolean; skipUrlSync?: boolean; auto?: boolean; auto_count?: number; auto_min?: string;
  current: { text: string[]; value: string[] }; options: VariableOption[]; filters?: AdhocFilter[]; [key: string]: unknown;
}

export interface AnnotationQuery {
  name: string; enable: boolean; hide?: boolean; iconColor: string; builtIn?: number; datasource?: DsRef | null; expr?: string; target?: Record<string, unknown>; titleFormat?: string; textFormat?: string; tagKeys?: string;
  step?: string; type?: string; filter?: { exclude?: boolean; ids?: number[] }; useValueForTime?: boolean; [key: string]: unknown;
}
export interface DashLink { title: string; type: 'link' | 'dashboards'; url?: string; icon?: string; tooltip?: string; tags: string[]; asDropdown?: boolean; targetBlank?: boolean; includeVars?: boolean; keepTime?: boolean }

export interface Dashboard {
  id: number | null; uid: string; title: string; description?: string; tags: string[]; schemaVersion: number; version?: number; timezone: string; weekStart?: string; fiscalYearStartMonth?: number;
  time: { from: string; to: string }; timepicker: { refresh_intervals?: string[]; hidden?: boolean; nowDelay?: string }; refresh: string; editable: boolean; graphTooltip: 0 | 1 | 2;
  variables: Variable[]; annotations: AnnotationQuery[]; links: DashLink[]; panels: Panel[];
  /** Everything else of the file, saved back untouched. */
  rest: Record<string, unknown>;
}

export interface ImportInput { name: string; label: string; description?: string; type: 'datasource' | 'constant' | string; pluginId?: string; value?: string }
export interface Imported { dashboard: Dashboard; inputs: ImportInput[]; notes: string[] }
export class ImportError extends Error {}
