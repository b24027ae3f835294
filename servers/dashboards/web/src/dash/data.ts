// Hooks between a panel box and its data: when to ask, what to keep while asking, and the frames made ready for drawing.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { isAbort, errorText } from '../api/http';
import { applyFieldConfig, type ReadyFrame } from '../fields/apply';
import type { Theme } from '../fields/color';
import type { Frame } from '../fields/frame';
import { allPanels } from '../model/layout';
import type { Dashboard, Panel } from '../model/types';
import { panelRange, resolveRange, type TimeRange } from '../time/range';
import { runTransformations } from '../transforms/run';
import { interpolate, type VarContext } from '../vars/interpolate';
import { planPanel, runPlan, type Plan, type QueryResult } from './query';
import { findSource } from '../shell/state';
import { fiscalStart, now, rawRange, weekStart } from '../shell/clock';

export interface PanelData { result: QueryResult | null; loading: boolean; error: string | null; plan: Plan | null; range: TimeRange; note: string }

/** The panel's own range and what its queries would ask now. */
export function planFor(panel: Panel, c: VarContext, width: number, dashboard: Dashboard): { plan: Plan; range: TimeRange; note: string } {
  const own = panelRange(rawRange.value, panel.timeFrom ? interpolate(panel.timeFrom, c) : undefined, panel.timeShift ? interpolate(panel.timeShift, c) : undefined, { now: now.value, zone: c.zone });
  const range = panel.timeFrom || panel.timeShift ? resolveRange(own.raw, { now: now.value, zone: c.zone, weekStart: weekStart.value, fiscalStart: fiscalStart.value }) : c.range;
  const ctx = { ...c, range, find: findSource, points: Math.max(100, Math.round(width / 50) * 50) };
  let plan = planPanel(panel, ctx);
  if (plan.reuse) {
    const other = allPanels(dashboard.panels).find((p) => p.id === plan.reuse!.panelId);
    plan = other && !other.targets.some((t) => t.panelId !== undefined) ? { ...planPanel(other, ctx), reuse: plan.reuse } : { ...plan, problems: [`the panel ${plan.reuse.panelId} whose data this one shows is not here`] };
  }
  return { plan, range, note: panel.hideTimeOverride ? '' : own.note };
}

/** Asks when the plan or the refresh count changes, once each; aborts what is out of date; keeps old data meanwhile. */
export function usePanelData(active: boolean, ready: boolean, tick: number, make: () => { plan: Plan; range: TimeRange; note: string }, deps: readonly unknown[]): PanelData {
  const [state, set] = useState<PanelData>({ result: null, loading: true, error: null, plan: null, range: { from: 0, to: 1 }, note: '' });
  const asked = useRef(''), running = useRef<AbortController | null>(null);
  useEffect(() => {
    if (!active || !ready) return;
    const { plan, range, note } = make(), key = `${plan.key}#${tick}`;
    if (key === asked.current) return;
    asked.current = key;
    running.current?.abort();
    if (plan.waiting) { set((s) => ({ ...s, loading: false, plan, error: `variable "${plan.waiting}" has no value yet`, result: null, range, note })); return; }
    if (!plan.queries.length) { set({ result: { frames: [], errors: [], warnings: [] }, loading: false, error: null, plan, range, note }); return; }
    const abort = (running.current = new AbortController());
    set((s) => ({ ...s, loading: true }));
    runPlan(plan, abort.signal).then((result) => { if (!abort.signal.aborted) set({ result, loading: false, error: null, plan, range, note }); }, (e: unknown) => { if (!abort.signal.aborted && !isAbort(e)) set((s) => ({ ...s, loading: false, error: errorText(e), range, note })); });
  }, [active, ready, tick, ...deps]);
  useEffect(() => () => { running.current?.abort(); }, []);
  return state;
}

export interface ReadyData { frames: ReadyFrame[]; raw: Frame[]; problems: string[] }

/** Transformations, then field config. Variables inside names and patterns are filled. */
export function useReadyFrames(panel: Panel, data: PanelData, theme: Theme, c: VarContext, dashboard: Dashboard): ReadyData {
  return useMemo(() => {
    if (!data.result) return { frames: [], raw: [], problems: [] };
    const fill = (t: string) => interpolate(t, { ...c, range: data.range });
    const source = data.plan?.reuse?.withTransforms ? allPanels(dashboard.panels).find((p) => p.id === data.plan!.reuse!.panelId) : undefined;
    const context = { interpolate: fill, zone: c.zone, range: data.range };
    const first = source ? runTransformations(data.result.frames, source.transformations, context).frames : data.result.frames;
    const { frames, problems } = runTransformations(first, panel.transformations, context);
    return { frames: applyFieldConfig(frames, panel.fieldConfig, theme, fill), raw: frames, problems };
  }, [data.result, panel, theme, c.zone, c.variables, c.scope]);
}
