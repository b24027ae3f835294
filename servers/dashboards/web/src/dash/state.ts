// State of an open dashboard: model, resolved variables, URL sync, edit mode. One instance per opened dashboard.
import { batch, computed, effect, signal, untracked } from '@preact/signals';
import { isAbort, errorText } from '../api/http';
import { exportDashboard, importDashboard } from '../model/import';
import { mapPanel, type RepeatSource } from '../model/layout';
import type { Dashboard, Panel, Variable } from '../model/types';
import type { AnnotationMark } from '../panels/types';
import { dashboardZone, fiscalStart, range, rawRange, refreshEvery, setRawRange, tick, weekStart, zone } from '../shell/clock';
import { params, setParams } from '../shell/router';
import { settings, theme } from '../shell/state';
import { allValue, effective, urlVariables, type VarContext } from '../vars/interpolate';
import { affected, resolveVariables, variablesFromUrl } from '../vars/resolve';
import { loadAnnotations } from './annotations';
import { variableSource } from './varsource';
import type { AnnotationQuery } from '../model/types';

export interface DashMeta { canSave: boolean; folderUid?: string; folderTitle?: string; slug?: string; provisioned?: boolean; isNew?: boolean }

export class DashState {
  readonly dashboard = signal<Dashboard>(null as unknown as Dashboard);
  readonly variables = signal<Variable[]>([]);
  /** False while variables are being resolved: panels then keep what they show and ask nothing. */
  readonly ready = signal(false);
  readonly problem = signal<string | null>(null);
  readonly editing = signal(false);
  readonly marks = signal<(AnnotationMark & { source: AnnotationQuery })[]>([]);
  readonly annotationsOff = signal<ReadonlySet<string>>(new Set());
  readonly collapsed = signal<ReadonlyMap<string, boolean>>(new Map());
  readonly notes: string[];
  meta: DashMeta;
  private savedJson = '';
  private readonly stops: (() => void)[] = [];
  private resolving: AbortController | null = null;

  readonly dirty = computed(() => JSON.stringify(exportDashboard(this.dashboard.value)) !== this.savedJson);

  constructor(json: unknown, meta: DashMeta) {
    const { dashboard, notes } = importDashboard(json);
    this.notes = notes;
    this.meta = meta;
    this.dashboard.value = dashboard;
    this.savedJson = JSON.stringify(exportDashboard(dashboard));
    this.variables.value = variablesFromUrl(dashboard.variables, params.value);
  }

  /** Starts following the URL and resolving variables. */
  start(): void {
    const d = this.dashboard.peek();
    batch(() => {
      dashboardZone.value = d.timezone;
      weekStart.value = d.weekStart === undefined ? 1 : Number(d.weekStart);
      fiscalStart.value = d.fiscalYearStartMonth ?? 0;
      this.readTime(params.peek());
    });
    let first = true;
    this.stops.push(effect(() => {
      const p = params.value;
      untracked(() => {
        this.readTime(p);
        if (first) return;
        const next = variablesFromUrl(this.variables.value, p), changed = next.filter((v, i) => !sameValue(v, this.variables.value[i]!)).map((v) => v.name);
        if (changed.length) { this.variables.value = next; void this.resolve(affected(next, changed)); }
      });
    }));
    first = false;
    let lastRange = '';
    this.stops.push(effect(() => {
      const r = range.value, key = `${r.from}-${r.to}`;
      untracked(() => {
        if (key === lastRange) return;
        const before = lastRange;
        lastRange = key;
        // relative ranges move at every refresh; variables that follow time are asked again, interval ones recomputed
        const follow = this.variables.value.filter((v) => v.refresh === 2 && v.type === 'query').map((v) => v.name);
        if (before && this.ready.value) {
          const auto = this.variables.value.filter((v) => v.type === 'interval').map((v) => v.name);
          if (follow.length || auto.length) void this.resolve(affected(this.variables.value, [...follow, ...auto]), true);
        }
      });
    }));
    this.stops.push(effect(() => {
      void tick.value;
      const r = range.value, d2 = this.dashboard.value, off = this.annotationsOff.value, t = theme.value;
      if (!this.ready.value || !d2.annotations.some((a) => a.enable !== off.has(a.name))) { if (this.marks.peek().length) this.marks.value = []; return; }
      const abort = new AbortController();
      void loadAnnotations(d2, { ...this.context(), range: r }, t, off, abort.signal).then((x) => { if (!abort.signal.aborted && (x.marks.length || this.marks.peek().length)) this.marks.value = x.marks; }, () => { /* aborted */ });
      return () => abort.abort();
    }));
    void this.resolve(null);
  }

  stop(): void {
    this.resolving?.abort();
    this.stops.forEach((s) => s());
  }

  private readTime(p: URLSearchParams): void {
    const d = this.dashboard.peek();
    setRawRange({ from: p.get('from') ?? d.time.from, to: p.get('to') ?? d.time.to });
    const r = p.get('refresh');
    refreshEvery.value = r ?? d.refresh;
    const tz = p.get('timezone');
    if (tz !== null) dashboardZone.value = tz;
  }

  context(scope?: VarContext['scope'], local?: Record<string, string>): VarContext {
    const d = this.dashboard.value;
    return { variables: this.variables.value, scope, range: range.value, raw: rawRange.value, zone: zone.value, dashboard: { uid: d.uid, title: d.title }, user: { login: settings.value?.user?.login ?? '' }, local };
  }

  /** Resolves the named variables (null: all); `quiet` keeps panels as they are while it runs. */
  private async resolve(only: Set<string> | null, quiet = false): Promise<void> {
    this.resolving?.abort();
    const abort = (this.resolving = new AbortController());
    // what an aborted run left undone is done now
    const todo = only && this.pending ? new Set([...only, ...this.pending]) : this.pending === 'all' ? null : only;
    this.pending = todo ?? 'all';
    if (!quiet) this.ready.value = false;
    try {
      const { range: r, raw, zone: z, dashboard, user } = this.context();
      const next = await resolveVariables(this.variables.value, { range: r, raw, zone: z, dashboard, user }, variableSource, abort.signal, todo ?? undefined);
      if (abort.signal.aborted) return;
      this.pending = null;
      batch(() => {
        this.variables.value = next;
        this.ready.value = true;
        this.problem.value = null;
      });
      this.writeUrl();
    } catch (e) {
      if (abort.signal.aborted || isAbort(e)) return;
      this.problem.value = errorText(e);
      this.ready.value = true;
    }
  }
  private pending: Set<string> | 'all' | null = null;

  /** Puts the variables' values into the URL without a new history entry. */
  private writeUrl(): void {
    const patch: Record<string, string[]> = {};
    for (const v of this.variables.peek()) if (!v.skipUrlSync && v.type !== 'constant') patch[`var-${v.name}`] = [];
    for (const [k, v] of urlVariables(this.variables.peek())) patch[k] = [...(patch[k] ?? []), v];
    setParams(patch, { replace: true });
  }

  setVariable(name: string, values: string[]): void {
    setParams({ [`var-${name}`]: values.length ? values : [''] });
  }
  setFilters(name: string, filters: { key: string; operator: string; value: string }[]): void {
    setParams({ [`var-${name}`]: filters.map((f) => [f.key, f.operator, f.value].map((s) => s.replace(/\|/g, '__gfp__')).join('|')) });
  }

  readonly repeatValues: RepeatSource = (name) => {
    const v = this.variables.value.find((x) => x.name === name);
    if (!v) return [];
    const e = effective(v);
    if (v.current.value[0] === allValue) return v.options.filter((o) => o.value !== allValue).slice(0, 100);
    return e.values.map((value, i) => ({ value, text: e.texts[i] ?? value }));
  };

  // Editing ---------------------------------------------------------------------------------------------------------
  change(fn: (d: Dashboard) => Dashboard): void { this.dashboard.value = fn(this.dashboard.peek()); }
  changePanel(id: number, fn: (p: Panel) => Panel | null): void { this.change((d) => ({ ...d, panels: mapPanel(d.panels, id, fn) })); }
  toggleRow(key: string, now: boolean): void { this.collapsed.value = new Map(this.collapsed.peek()).set(key, !now); }
  markSaved(version?: number, uid?: string): void {
    if (version !== undefined || uid) this.change((d) => ({ ...d, version: version ?? d.version, uid: uid ?? d.uid }));
    this.savedJson = JSON.stringify(exportDashboard(this.dashboard.peek()));
    this.dashboard.value = { ...this.dashboard.peek() };
  }
  discard(): void {
    const back = importDashboard(JSON.parse(this.savedJson)).dashboard;
    this.dashboard.value = back;
  }
}

function sameValue(a: Variable, b: Variable): boolean {
  return a.type === 'adhoc' ? JSON.stringify(a.filters ?? []) === JSON.stringify(b.filters ?? []) : JSON.stringify(a.current.value) === JSON.stringify(b.current.value);
}
