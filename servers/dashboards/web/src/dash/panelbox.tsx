// The box of one panel: header, menu, loading and error states, and the panel's component once the box is near the window.
import { signal } from '@preact/signals';
import { Component, type ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ReadyField } from '../fields/apply';
import type { DataLink } from '../fields/frame';
import type { Placed } from '../model/layout';
import { panelTypes } from '../panels/registry';
import { safeUrl } from '../panels/text/markdown';
import type { AnnotationMark } from '../panels/types';
import { range, tick, zone } from '../shell/clock';
import { Icon } from '../shell/icons';
import { navigate, setParams } from '../shell/router';
import { canEdit, theme, toast } from '../shell/state';
import { copyText, MenuButton, type MenuItem } from '../shell/ui';
import { interpolate } from '../vars/interpolate';
import { exploreUrl, logsForUrl } from '../explore/url';
import { planFor, usePanelData, useReadyFrames } from './data';
import { dataLinks, withState } from './links';
import type { DashState } from './state';

/** The panel under the pointer or with the focus: keys act on it. */
export const activePanel = signal<string | null>(null);
export const panelActions = new Map<string, { explore: () => void; id: number; scopeKey: string }>();

/** One panel's failure stays in its box. */
class Guard extends Component<{ children: ComponentChildren; resetKey: unknown }, { error: string | null }> {
  override state = { error: null as string | null };
  static override getDerivedStateFromError(e: unknown) { return { error: e instanceof Error ? e.message : String(e) }; }
  override componentDidUpdate(before: { resetKey: unknown }) { if (before.resetKey !== this.props.resetKey && this.state.error) this.setState({ error: null }); }
  override render() { return this.state.error ? <PanelMessage kind="error" text={`This panel could not be drawn: ${this.state.error}`} /> : this.props.children; }
}

export function PanelMessage({ kind, text, children }: { kind: 'error' | 'quiet'; text: string; children?: ComponentChildren }) {
  return <div class={`panel-message ${kind}`} role={kind === 'error' ? 'alert' : undefined}><Icon name={kind === 'error' ? 'warn' : 'info'} size={18} /><p>{text}</p>{children}</div>;
}

const observed = new Map<Element, (near: boolean) => void>();
let nearObserver: IntersectionObserver | null = null;
function watchNear(e: Element, fn: (near: boolean) => void): () => void {
  nearObserver ??= new IntersectionObserver((entries) => { for (const x of entries) observed.get(x.target)?.(x.isIntersecting); }, { rootMargin: '400px 0px' });
  observed.set(e, fn);
  nearObserver.observe(e);
  return () => { observed.delete(e); nearObserver!.unobserve(e); };
}

export function useSize<T extends HTMLElement>(ref: { current: T | null }): { width: number; height: number } {
  const [size, set] = useState({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const e = ref.current;
    if (!e) return;
    const read = () => { const c = getComputedStyle(e), width = Math.floor(e.clientWidth - parseFloat(c.paddingLeft) - parseFloat(c.paddingRight)), height = Math.floor(e.clientHeight - parseFloat(c.paddingTop) - parseFloat(c.paddingBottom)); set((s) => (s.width === width && s.height === height ? s : { width, height })); };
    read();
    const o = new ResizeObserver(read);
    o.observe(e);
    return () => o.disconnect();
  }, []);
  return size;
}

const none: AnnotationMark[] = [];

export function PanelBox({ item, state, single, extraMenu }: { item: Placed; state: DashState; single?: boolean; extraMenu?: MenuItem[] }) {
  const { panel, scope } = item, box = useRef<HTMLElement>(null), body = useRef<HTMLDivElement>(null);
  const [near, setNear] = useState(!!single), [seen, setSeen] = useState(!!single);
  const size = useSize(body);
  const type = panelTypes[panel.type], dashboard = state.dashboard.value, ready = state.ready.value;
  useEffect(() => (single ? undefined : watchNear(box.current!, (n) => { setNear(n); if (n) setSeen(true); })), []);
  const context = useMemo(() => state.context(scope), [state.variables.value, scope, range.value, zone.value, dashboard.uid, dashboard.title]);
  const asks = !!type?.needsData;
  const data = usePanelData(near && asks && size.width > 0, ready, tick.value, () => planFor(panel, context, size.width, dashboard), [context, panel, Math.round(size.width / 50)]);
  const made = useReadyFrames(panel, data, theme.value, context, dashboard);
  const fill = (t: string, local?: Record<string, string>, mode?: 'text' | 'url') => interpolate(t, local ? { ...context, local } : context, mode);
  const title = fill(panel.title), id = `panel-${item.key}`;
  const errors = data.result?.errors ?? [], failed = data.error ?? (errors.length ? errors.map((e) => (errors.length > 1 || panel.targets.length > 1 ? `${e.refId}: ` : '') + e.text).join('\n') : null);
  const problems = [...(data.plan?.problems ?? []), ...made.problems, ...(data.result?.warnings ?? [])];
  const hasFrames = made.frames.some((f) => f.length > 0);
  const explore = () => { const { plan } = planFor(panel, context, size.width || 800, dashboard); return exploreUrl(plan.queries, context.raw!); };
  const links = (l: DataLink[] | undefined, f: ReadyField, row: number, text: string) => dataLinks(l, f, row, text, made.frames[f.frameIndex], { ...context, raw: context.raw });

  useEffect(() => {
    panelActions.set(item.key, { id: panel.id, scopeKey: item.key, explore: () => { if (asks) navigate(explore()); } });
    return () => { panelActions.delete(item.key); };
  });

  const logsUrl = () => { const { plan } = planFor(panel, context, size.width || 800, dashboard); return logsForUrl(plan.queries, context.raw!); };
  const menu = (): MenuItem[] => {
    const share = () => { const u = new URL(location.href); u.searchParams.set('viewPanel', item.key); u.searchParams.set('from', String(range.value.from)); u.searchParams.set('to', String(range.value.to)); return u.toString(); };
    const logs = asks ? logsUrl() : null;
    return [
      single ? { label: 'Back to the dashboard', icon: 'left', hint: 'Esc', onClick: () => setParams({ viewPanel: null }) } : { label: 'View', icon: 'eye', hint: 'v', onClick: () => setParams({ viewPanel: item.key }) },
      ...(canEdit.value || state.editing.value ? [{ label: 'Edit', icon: 'edit', onClick: () => setParams({ editPanel: String(panel.id), viewPanel: null }) } as MenuItem] : []),
      ...(asks ? [{ label: 'Explore', icon: 'explore', hint: 'e', href: explore() } as MenuItem] : []),
      ...(logs ? [{ label: 'Logs for this', icon: 'logs', href: logs } as MenuItem] : []),
      { label: 'Inspect data', icon: 'chart', hint: 'i', onClick: () => setParams({ inspect: item.key, tab: null }) },
      { label: 'Copy link', icon: 'link', onClick: () => void copyText(share()).then((ok) => toast(ok ? 'ok' : 'error', ok ? 'Link copied' : 'The clipboard is not open to this page')) },
      { label: 'Panel JSON', icon: 'copy', onClick: () => setParams({ inspect: item.key, tab: 'json' }) },
      ...(extraMenu ?? []),
    ];
  };
  const panelLinks = panel.links.map((l) => ({ title: fill(l.title || l.url || ''), href: withState(fill(l.url ?? '', undefined, 'url'), {}, context), external: !!l.targetBlank })).filter((l) => l.href && safeUrl(l.href));
  const Body = type?.component;
  return (
    <section ref={box} class={`panel ${panel.transparent ? 'transparent' : ''} ${panel.type === 'text' ? 'is-text' : ''}`} aria-labelledby={title ? id : undefined} aria-label={title ? undefined : `${type?.name ?? panel.type} panel`} data-panel={item.key} data-type={panel.type} data-state={!asks ? 'done' : data.loading ? 'loading' : failed ? 'error' : 'done'} onMouseEnter={() => { activePanel.value = item.key; }} onMouseLeave={() => { if (activePanel.peek() === item.key) activePanel.value = null; }} onFocusIn={() => { activePanel.value = item.key; }}>
      <header class={`panel-head ${title ? '' : 'untitled'}`}>
        <h3 id={id} title={title}>{title}</h3>
        {panel.description && <span class="hint" tabIndex={0} role="note" aria-label={`Description: ${fill(panel.description)}`} data-hint={fill(panel.description)}><Icon name="info" size={14} /></span>}
        {data.note && <span class="badge" title="This panel has a time range of its own"><Icon name="clock" size={12} />{data.note}</span>}
        {panelLinks.length === 1 ? <a class="icon-btn small" href={panelLinks[0]!.href} target={panelLinks[0]!.external ? '_blank' : undefined} rel="noreferrer" aria-label={panelLinks[0]!.title} title={panelLinks[0]!.title}><Icon name="external" size={14} /></a> : panelLinks.length > 1 ? <MenuButton label="Panel links" icon="external" cls="small" items={panelLinks.map((l) => ({ label: l.title, href: l.href, external: l.external }))} /> : null}
        {failed && hasFrames && <span class="hint bad" tabIndex={0} role="note" aria-label={`Error: ${failed}`} data-hint={failed}><Icon name="warn" size={14} /></span>}
        {!failed && problems.length > 0 && <span class="hint warn" tabIndex={0} role="note" aria-label={problems.join('. ')} data-hint={problems.join('\n')}><Icon name="warn" size={14} /></span>}
        {asks && data.loading && seen && <span class="loading-bar" role="status" aria-label={`${title || 'Panel'} is loading`} />}
        <MenuButton label={`Menu of ${title || 'panel'}`} icon="more" cls="panel-menu" items={menu} />
      </header>
      <div ref={body} class={`panel-body ${data.loading && data.result ? 'stale' : ''} ${type?.flush ? 'flush' : ''}`}>
        {seen && size.width > 0 && size.height > 0 && (!Body ? <PanelMessage kind="quiet" text={`${panel.type === 'library-panel' ? 'Library panel' : `Panels of type “${panel.type}”`} cannot be shown here`} />
          : asks && failed && !hasFrames ? <PanelMessage kind="error" text={failed} />
            : asks && !data.result ? <div class="skeleton" />
              : asks && !hasFrames && problems.length && !data.plan?.queries.length ? <PanelMessage kind="quiet" text={problems.join('\n')} />
                : <Guard resetKey={made}><Body panel={panel} frames={made.frames} range={asks ? data.range : range.value} width={size.width} height={size.height} theme={theme.value} zone={zone.value} id={`${state.meta.slug ?? 'd'}-${item.key}`} cursorMode={dashboard.graphTooltip} cursorGroup="dashboard" annotations={asks && state.marks.value.length ? marksFor(state, panel.id) : none} interpolate={fill} links={links}
                  onZoom={(from, to) => setParams({ from: String(from), to: String(to) })}
                  onFilter={(key, op, value) => { const adhoc = state.variables.peek().find((v) => v.type === 'adhoc'); if (adhoc) state.setFilters(adhoc.name, [...(adhoc.filters ?? []), { key, operator: op, value }]); else navigate(exploreUrl(planFor(panel, context, size.width, dashboard).plan.queries, context.raw!, { key, op, value })); }} /></Guard>)}
      </div>
    </section>
  );
}

function marksFor(state: DashState, id: number): AnnotationMark[] {
  const all = state.marks.value;
  return all.some((m) => m.source.filter) ? all.filter((m) => { const f = m.source.filter; return !f?.ids?.length || f.ids.includes(id) !== !!f.exclude; }) : all;
}
