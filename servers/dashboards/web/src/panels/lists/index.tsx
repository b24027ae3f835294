// Panels that list what the server knows: alerts, dashboards, annotations. They refresh with the page.
import { own, type RuleAlert } from '../../api/own';
import { labelsText } from '../../fields/frame';
import { num, obj, str, strings } from '../../model/read';
import { useLoad } from '../../shell/load';
import { now, range, tick, zone } from '../../shell/clock';
import { ErrorBox, Spinner } from '../../shell/ui';
import { StateBadge } from '../../alerts/state';
import { formatAgo, formatTime } from '../../time/format';
import { NoData } from '../common';
import type { PanelProps } from '../types';

const stateKeys: Record<string, string> = { firing: 'firing', alerting: 'firing', pending: 'pending', recovering: 'recovering', nodata: 'noData', error: 'error', inactive: 'normal', normal: 'normal' };

export function AlertList(p: PanelProps) {
  const o = p.panel.options, l = useLoad((s) => own.rules(s), [tick.value]);
  if (l.error && !l.data) return <ErrorBox text={l.error} />;
  if (!l.data) return <Spinner />;
  const filter = obj(o.stateFilter), name = p.interpolate(str(o.alertName)).toLowerCase(), folder = obj(o.folder);
  const chosen = Object.values(filter).some((v) => v === true), wanted = (s: string) => (chosen ? filter[stateKeys[s.toLowerCase().split(' ')[0]!] ?? s] === true : s !== 'inactive');
  let rules = l.data.flatMap((g) => g.rules.filter((r) => r.type !== 'recording').map((r) => ({ g, r }))).filter(({ r, g }) => wanted(r.state) && (!name || r.name.toLowerCase().includes(name)) && (!str(folder.title) || g.file === folder.title));
  const order = { firing: 0, error: 1, nodata: 2, pending: 3, recovering: 4, inactive: 5 } as Record<string, number>, sort = num(o.sortOrder, 3);
  rules.sort((a, b) => (sort === 1 ? a.r.name.localeCompare(b.r.name) : sort === 2 ? b.r.name.localeCompare(a.r.name) : (order[a.r.state] ?? 9) - (order[b.r.state] ?? 9) || a.r.name.localeCompare(b.r.name)));
  rules = rules.slice(0, num(o.maxItems, 20));
  if (str(o.viewMode) === 'stat') return <div class="alert-count"><b>{rules.reduce((s, { r }) => s + (r.alerts?.length ?? 0), 0)}</b><span>{rules.length === 1 ? 'rule' : 'rules'}</span></div>;
  if (!rules.length) return <NoData text="No alerts match" />;
  return (
    <ul class="list-panel" tabIndex={0} aria-label={p.panel.title || 'Alerts'}>
      {rules.map(({ r, g }) => (
        <li key={`${g.file}/${g.name}/${r.name}`}>
          <StateBadge state={r.state} /><a href={`/alerting/list?search=${encodeURIComponent(r.name)}`} class="grow">{r.name}</a><span class="dim">{g.file}</span>
          {o.showInstances === true && r.alerts?.map((a: RuleAlert, i) => <div key={i} class="instance dim">{labelsText(Object.fromEntries(Object.entries(a.labels).filter(([k]) => k !== 'alertname' && k !== 'grafana_folder')))} {a.value}</div>)}
        </li>
      ))}
    </ul>
  );
}

export function DashList(p: PanelProps) {
  const o = p.panel.options, tags = strings(o.tags), query = p.interpolate(str(o.query)), l = useLoad((s) => own.search({ query: o.showSearch === false ? '' : query, tag: tags, type: 'dash-db', limit: num(o.maxItems, 10) }, s), [query, tags.join()]);
  if (l.error && !l.data) return <ErrorBox text={l.error} />;
  if (!l.data) return <Spinner />;
  const extra = [o.keepTime === true ? p.interpolate('${__url_time_range}') : '', o.includeVars === true ? p.interpolate('${__all_variables}') : ''].filter(Boolean).join('&');
  if (!l.data.length) return <NoData text="No dashboards" />;
  return <ul class="list-panel" tabIndex={0} aria-label={p.panel.title || 'Dashboards'}>{l.data.slice(0, num(o.maxItems, 10)).map((d) => <li key={d.uid}><a class="grow" href={`${d.url}${extra ? `?${extra}` : ''}`}>{d.title}</a>{o.showFolderNames !== false && d.folderTitle && <span class="dim">{d.folderTitle}</span>}</li>)}</ul>;
}

export function AnnoList(p: PanelProps) {
  const o = p.panel.options, r = range.value, here = p.interpolate('${__dashboard.uid}');
  const l = useLoad((s) => own.annotations({ limit: num(o.limit, 10), dashboardUID: o.onlyFromThisDashboard === true ? here : undefined, from: o.onlyInTimeRange === true ? r.from : undefined, to: o.onlyInTimeRange === true ? r.to : undefined }, strings(o.tags), s), [tick.value, r.from, r.to]);
  if (l.error && !l.data) return <ErrorBox text={l.error} />;
  if (!l.data) return <Spinner />;
  if (!l.data.length) return <NoData text="No annotations" />;
  return <ul class="list-panel" tabIndex={0} aria-label={p.panel.title || 'Annotations'}>{l.data.map((a) => <li key={a.id}><span class="grow">{a.text || a.title}</span>{o.showTags !== false && a.tags.map((t) => <span key={t} class="pill">{t}</span>)}{o.showTime !== false && <time class="dim" title={formatTime(a.time, zone.value)}>{formatAgo(a.time, now.value)}</time>}</li>)}</ul>;
}
