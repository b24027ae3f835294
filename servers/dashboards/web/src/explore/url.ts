// Explore's URL: `left` and `right` hold a pane as JSON `{datasource, queries:[{refId, expr}], range}`; one range for both.
import type { PlannedQuery } from '../dash/query';
import { isObject, objs, str } from '../model/read';
import { addLogFilter, splitMatchers } from '../logs/parse';
import { dataSources } from '../shell/state';

export interface Pane { datasource: string; queries: string[]; legends?: string[] }
export interface ExploreState { left: Pane; right: Pane | null; from: string; to: string }

export function encodePane(p: Pane, range?: { from: string; to: string }): string {
  return JSON.stringify({ datasource: p.datasource, queries: p.queries.map((expr, i) => ({ refId: String.fromCharCode(65 + i), expr })), ...(range ? { range } : {}) });
}

function paneOf(v: unknown): { pane: Pane; range?: { from: string; to: string } } | null {
  if (Array.isArray(v)) { // ["now-1h","now","source",{expr}]
    const queries = v.slice(3).filter(isObject).map((q) => str(q.expr)).filter(Boolean);
    return { pane: { datasource: str(v[2]), queries }, range: { from: str(v[0], 'now-1h'), to: str(v[1], 'now') } };
  }
  if (!isObject(v)) return null;
  const r = isObject(v.range) ? { from: str(v.range.from, 'now-1h'), to: str(v.range.to, 'now') } : undefined;
  return { pane: { datasource: str(v.datasource), queries: objs(v.queries).map((q) => str(q.expr) || str(q.query)) }, range: r };
}

export function readExplore(p: URLSearchParams): ExploreState {
  const parse = (name: string) => { try { return paneOf(JSON.parse(p.get(name) ?? 'null')); } catch { return null; } };
  let left = parse('left'), right = parse('right');
  if (!left && p.get('panes')) { try { const all = Object.values(JSON.parse(p.get('panes')!) as object); left = paneOf(all[0]); right = paneOf(all[1]); } catch { /* unreadable: start empty */ } }
  const range = left?.range ?? right?.range;
  return { left: left?.pane ?? { datasource: '', queries: [''] }, right: right?.pane ?? null, from: p.get('from') ?? range?.from ?? 'now-1h', to: p.get('to') ?? range?.to ?? 'now' };
}

export function exploreHref(s: ExploreState): string {
  const p = new URLSearchParams({ from: s.from, to: s.to, left: encodePane(s.left) });
  if (s.right) p.set('right', encodePane(s.right));
  return `/explore?${p}`;
}

export function exploreUrl(queries: readonly PlannedQuery[], raw: { from: string; to: string }, filter?: { key: string; op: '=' | '!='; value: string }): string {
  const source = queries[0]?.source.uid ?? '';
  const mine = queries.filter((q) => q.source.uid === source).map((q) => (filter && q.source.type === 'loki' ? addLogFilter(q.expr, filter.key, filter.op, filter.value, 'label') : q.expr));
  return exploreHref({ left: { datasource: source, queries: mine.length ? mine : [''] }, right: null, ...raw });
}

/** Equality matchers of a metric query that a log stream may share, as a log selector. */
export function sharedSelector(expr: string, logLabels: readonly string[]): string | null {
  const seen = new Map<string, string>();
  for (const m of expr.matchAll(/\{([^{}]*)\}/g)) for (const x of splitMatchers(m[1]!)) {
    const k = /^([a-zA-Z_]\w*)\s*(=~|=)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)$/.exec(x);
    if (k && logLabels.includes(k[1]!) && k[3] !== '""' && !/^"\.[*+]"$/.test(k[3]!)) seen.set(k[1]!, `${k[1]}${k[2]}${k[3]}`);
  }
  return seen.size ? `{${[...seen.values()].join(', ')}}` : null;
}

/** Labels that metrics and logs name alike. `instance` is a port on metrics and rarely a stream label. */
const shareable = ['job', 'host', 'namespace', 'pod', 'container', 'app', 'service', 'cluster', 'env', 'level', 'filename'];

/** Split view with the metrics left and the logs that share their labels right; null when nothing fits. */
export function logsForUrl(queries: readonly PlannedQuery[], raw: { from: string; to: string }): string | null {
  const logs = dataSources.peek().find((d) => d.type === 'loki'), metric = queries.filter((q) => q.source.type === 'prometheus');
  if (!logs || !metric.length) return null;
  const selector = metric.map((q) => sharedSelector(q.expr, shareable)).find(Boolean) ?? '{job=~".+"}';
  return exploreHref({ left: { datasource: metric[0]!.source.uid, queries: metric.filter((q) => q.source.uid === metric[0]!.source.uid).map((q) => q.expr) }, right: { datasource: logs.uid, queries: [selector] }, ...raw });
}
