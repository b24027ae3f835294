// Home: health of the four hosts, key figures as sparklines, what is firing, ways to the dashboards.
import { useEffect, useRef } from 'preact/hooks';
import { own, type Host } from '../api/own';
import { num as promNum, prom } from '../api/prometheus';
import { useSize } from '../dash/panelbox';
import { LabelPills, StateBadge } from '../alerts/state';
import { Sparkline } from '../panels/stat';
import { now, refreshEvery, startAutoRefresh, tick } from '../shell/clock';
import { Icon, type IconName } from '../shell/icons';
import { useLoad } from '../shell/load';
import { defaultSource, settings, theme } from '../shell/state';
import { Empty, ErrorBox, Spinner } from '../shell/ui';
import { formatAgo, formatSpan } from '../time/format';
import { unitText } from '../units/format';
import { exploreHref } from '../explore/url';

const hostIcons: Record<string, IconName> = { web: 'server', metrics: 'chart', logs: 'logs', dashboards: 'dashboards' };

function figure(name: string, v: number): string {
  if (/bytes/i.test(name)) return unitText(v, 'bytes');
  if (/seconds|latency/i.test(name)) return unitText(v, 's');
  if (/(Ms|_ms)$/.test(name)) return unitText(v, 'ms');
  if (/ratio|percent/i.test(name)) return unitText(v, 'percentunit');
  return unitText(v, 'short', Number.isInteger(v) && Math.abs(v) < 1000 ? 0 : null);
}
const words = (s: string): string => s.replace(/([a-z])([A-Z])/g, '$1 $2').replace(/_/g, ' ').toLowerCase();

function HostCard({ h }: { h: Host }) {
  const d = h.detail ?? {}, figures = Object.entries(d).filter(([k, v]) => typeof v === 'number' && k !== 'uptimeSeconds').slice(0, 4) as [string, number][];
  const down = h.parts.filter((p) => !p.up);
  return (
    <article class={`card host ${h.up ? 'up' : 'down'}`} data-host={h.name}>
      <header><Icon name={hostIcons[h.name] ?? 'server'} size={17} /><h3>{h.name}</h3><span class="spacer" /><StateBadge state={!h.up ? 'down' : down.length ? 'pending' : 'up'} text={!h.up ? 'Down' : down.length ? 'Degraded' : 'Up'} /></header>
      <p class="dim small">{d.version ? `v${String(d.version)} · ` : ''}{typeof d.uptimeSeconds === 'number' ? `up ${formatSpan(d.uptimeSeconds)}` : h.url}</p>
      <ul class="parts" aria-label={`Parts of ${h.name}`}>{h.parts.map((p) => <li key={p.name} class={p.up ? 'good' : 'bad'} title={p.error || p.url}><span class="dot" aria-hidden="true" /><span>{p.name}</span><span class="sr">{p.up ? 'up' : 'down'}</span>{p.up ? p.latencyMs !== undefined && <span class="dim">{unitText(p.latencyMs, 'ms')}</span> : <span class="err">{p.error || 'no answer'}</span>}</li>)}</ul>
      {figures.length > 0 && <dl class="figures">{figures.map(([k, v]) => <div key={k}><dt>{words(k)}</dt><dd>{figure(k, v)}</dd></div>)}</dl>}
    </article>
  );
}

interface Key { title: string; expr: string; unit: string; href: string; color: string; max?: number }
const keys: Key[] = [
  { title: 'Requests', expr: 'sum(rate(http_requests_total[1m]))', unit: 'reqps', href: '/d/application', color: '#5a9bea' },
  { title: 'Error ratio', expr: 'sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))', unit: 'percentunit', href: '/d/application', color: '#e4626f' },
  { title: 'Latency p99', expr: 'histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))', unit: 's', href: '/d/application', color: '#e9b23b' },
  { title: 'CPU busy', expr: '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[1m]))', unit: 'percentunit', href: '/d/system', color: '#6cbf84' },
  { title: 'Memory used', expr: '1 - avg(node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)', unit: 'percentunit', href: '/d/system', color: '#8e7fe8' },
  { title: 'Root disk used', expr: '1 - avg(node_filesystem_avail_bytes{mountpoint="/"} / node_filesystem_size_bytes{mountpoint="/"})', unit: 'percentunit', href: '/d/system', color: '#4dc4c0' },
];

function KeyCard({ k, uid }: { k: Key; uid: string }) {
  const ref = useRef<HTMLDivElement>(null), { width } = useSize(ref);
  const l = useLoad(async (s) => {
    const end = Math.floor(Date.now() / 15000) * 15, r = await prom.queryRange(uid, k.expr, end - 3600, end, 30, s);
    return r.data.resultType === 'matrix' ? (r.data.result[0]?.values ?? []).map(([t, v]) => [t * 1000, promNum(v)] as const) : [];
  }, [uid, k.expr, tick.value]);
  const last = l.data?.at(-1)?.[1];
  return (
    <a class="card key" href={k.href} ref={ref as never}>
      <span class="dim">{k.title}</span><b>{l.error && !l.data ? '–' : last === undefined ? (l.loading ? '…' : 'no data') : unitText(last, k.unit)}</b>
      {width > 0 && l.data && l.data.length > 1 ? <Sparkline s={{ times: l.data.map((x) => x[0]), values: l.data.map((x) => (Number.isFinite(x[1]) ? x[1] : null)) }} color={k.color} width={width} height={44} /> : <span class="spark-space" />}
    </a>
  );
}

export function HomePage() {
  useEffect(() => { document.title = 'Foursight'; refreshEvery.value = '15s'; return startAutoRefresh(); }, []);
  void theme.value;
  const hosts = useLoad((s) => own.hosts(s), [tick.value]), rules = useLoad((s) => own.rules(s), [tick.value]), boards = useLoad((s) => own.search({ type: 'dash-db', limit: 12 }, s), []);
  const source = defaultSource('prometheus'), logs = defaultSource('loki');
  const firing = (rules.data ?? []).flatMap((g) => g.rules.flatMap((r) => (r.alerts ?? []).filter((a) => /^(firing|alerting|pending|recovering|nodata|error)/i.test(a.state)).map((a) => ({ a, r }))));
  const bad = firing.filter((f) => /^(firing|alerting|error)/i.test(f.a.state)).length, up = hosts.data?.hosts.filter((h) => h.up).length ?? 0, all = hosts.data?.hosts.length ?? 0;
  return (
    <div class="page home">
      <div class="hero"><div><h1>{hosts.data ? (up === all ? (bad ? `${bad} ${bad === 1 ? 'alert is' : 'alerts are'} firing` : 'All systems are working') : `${all - up} of ${all} hosts ${all - up === 1 ? 'is' : 'are'} down`) : 'Foursight'}</h1><p class="dim">{hosts.data ? `${up} of ${all} hosts up` : hosts.error ? 'The health of the hosts is not known' : 'Asking the hosts…'}{rules.data ? ` · ${rules.data.reduce((n, g) => n + g.rules.length, 0)} alert rules` : ''}{settings.value ? ` · version ${settings.value.buildInfo.version}` : ''}</p></div>
        <div class="quick"><a class="btn" href="/d/system"><Icon name="server" size={15} /><span>System</span></a><a class="btn" href="/d/application"><Icon name="chart" size={15} /><span>Application</span></a><a class="btn" href="/d/logs"><Icon name="logs" size={15} /><span>Logs</span></a>{logs && <a class="btn" href={exploreHref({ left: { datasource: logs.uid, queries: ['{job=~".+"}'] }, right: null, from: 'now-1h', to: 'now' })}><Icon name="explore" size={15} /><span>Explore</span></a>}</div></div>
      <section aria-label="Hosts"><h2>Hosts</h2>{hosts.error && !hosts.data ? <ErrorBox text={hosts.error} retry={hosts.reload} /> : hosts.data ? <div class="cards hosts">{hosts.data.hosts.map((h) => <HostCard key={h.name} h={h} />)}</div> : <div class="cards hosts">{[0, 1, 2, 3].map((i) => <div key={i} class="card host skeleton" />)}</div>}</section>
      {source && <section aria-label="Key figures"><h2>Last hour</h2><div class="cards keys">{keys.map((k) => <KeyCard key={k.title} k={k} uid={source.uid} />)}</div></section>}
      <div class="home-split">
        <section aria-label="Alerts" class="card list"><header><h2>Alerts</h2><a href="/alerting/list">All rules</a></header>
          {rules.error && !rules.data ? <p class="dim">{rules.error}</p> : !rules.data ? <Spinner /> : firing.length ? <ul>{firing.slice(0, 10).map(({ a, r }, i) => <li key={i}><StateBadge state={a.state} /><div class="grow"><a href={`/alerting/list?search=${encodeURIComponent(r.name)}`}>{r.name}</a><p class="dim small">{a.annotations.summary || ''}</p><LabelPills labels={a.labels} skip={['alertname', 'grafana_folder']} /></div><time class="dim small">{a.activeAt && !a.activeAt.startsWith('0001') ? formatAgo(Date.parse(a.activeAt), now.value) : ''}</time></li>)}</ul> : <Empty title="Nothing is firing" icon="ok" />}</section>
        <section aria-label="Dashboards" class="card list"><header><h2>Dashboards</h2><a href="/dashboards">All dashboards</a></header>
          {boards.error && !boards.data ? <p class="dim">{boards.error}</p> : !boards.data ? <Spinner /> : <ul>{boards.data.map((d) => <li key={d.uid}><Icon name="dashboards" size={15} /><a class="grow" href={d.url}>{d.title}</a><span class="dim small">{d.folderTitle ?? ''}</span></li>)}</ul>}</section>
      </div>
    </div>
  );
}
