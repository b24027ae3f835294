// Alerts: rules with their instances, history, silences, contact points.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { errorText } from '../api/http';
import { own, type HistoryEvent, type Rule, type RuleAlert, type RuleGroup, type Silence, type SilenceMatcher } from '../api/own';
import type { Labels } from '../fields/frame';
import { formatAgo, formatSpan, formatTime } from '../time/format';
import { parseDuration, parseTime } from '../time/range';
import { dashboardZone, now, rawRange, range, refreshEvery, setRawRange, startAutoRefresh, tick, zone } from '../shell/clock';
import { Icon } from '../shell/icons';
import { useLoad } from '../shell/load';
import { navigate, params, setParams } from '../shell/router';
import { settings, toast } from '../shell/state';
import { TimeControls } from '../shell/timepicker';
import { Button, Empty, ErrorBox, IconButton, Modal, Spinner } from '../shell/ui';
import { exploreHref } from '../explore/url';
import { HistoryTimeline } from './timeline';
import { hiddenLabel, LabelPills, StateBadge } from './state';

const silenceHref = (labels: Labels): string => { const p = new URLSearchParams({ new: '1' }); for (const [k, v] of Object.entries(labels)) if (!hiddenLabel(k)) p.append('matcher', `${k}=${v}`); return `/alerting/silences?${p}`; };
const links = (a: Labels | undefined): { title: string; href: string }[] => {
  if (!a) return [];
  const out: { title: string; href: string }[] = [];
  if (a.runbook_url && /^https?:/.test(a.runbook_url)) out.push({ title: 'Runbook', href: a.runbook_url });
  if (a.__dashboardUid__) out.push({ title: 'Dashboard', href: `/d/${a.__dashboardUid__}${a.__panelId__ ? `?viewPanel=${a.__panelId__}` : ''}` });
  return out;
};

function Instance({ a, rule }: { a: RuleAlert; rule: Rule }) {
  return (
    <tr>
      <td><StateBadge state={a.state} /></td><td><LabelPills labels={a.labels} skip={['alertname', 'grafana_folder']} /></td><td class="num">{formatValueText(a.value)}</td><td>{a.activeAt && !a.activeAt.startsWith('0001') ? <time title={formatTime(Date.parse(a.activeAt), zone.value)}>{formatAgo(Date.parse(a.activeAt), now.value)}</time> : '–'}</td>
      <td>{a.annotations.summary ?? ''}</td><td class="acts"><a class="btn small" href={silenceHref({ alertname: rule.name, ...a.labels })}><Icon name="silence" size={13} /><span>Silence</span></a></td>
    </tr>
  );
}

/** "[ var='A' labels={} value=1.5 ]" and plain numbers, shortened. */
export function formatValueText(v: string): string {
  const parts = [...v.matchAll(/var='([^']+)'[^\]]*?value=([^\s\]]+)/g)].map((m) => `${m[1]}=${short(m[2]!)}`);
  return parts.length ? parts.join(', ') : short(v);
}
const short = (s: string): string => { const n = Number(s); return s !== '' && !Number.isNaN(n) && !Number.isInteger(n) ? String(Number(n.toPrecision(5))) : s; };

function RuleRow({ rule, group, open, toggle }: { rule: Rule; group: RuleGroup; open: boolean; toggle: () => void }) {
  const ann = rule.annotations ?? {}, alerts = rule.alerts ?? [], active = alerts.filter((a) => !/^(normal|inactive)/i.test(a.state));
  return (
    <div class={`rule ${open ? 'open' : ''}`} data-rule={rule.name}>
      <button type="button" class="rule-head" aria-expanded={open} onClick={toggle}>
        <Icon name={open ? 'down' : 'right'} size={14} /><StateBadge state={rule.isPaused ? 'paused' : rule.state} /><span class="name">{rule.name}</span>{rule.health && rule.health !== 'ok' && <StateBadge state={rule.health} />}<span class="spacer" />{active.length > 0 && <span class="badge">{active.length} {active.length === 1 ? 'instance' : 'instances'}</span>}<span class="dim hide-small">{ann.summary ?? ''}</span>
      </button>
      {open && (
        <div class="rule-body">
          {rule.lastError && <ErrorBox text={rule.lastError} />}
          <dl class="facts">
            <div><dt>Pending for</dt><dd>{rule.duration ? formatSpan(rule.duration) : 'none'}</dd></div>{rule.keepFiringFor ? <div><dt>Keeps firing</dt><dd>{formatSpan(rule.keepFiringFor)}</dd></div> : null}<div><dt>Evaluated every</dt><dd>{formatSpan(group.interval)}</dd></div>
            <div><dt>Last evaluation</dt><dd>{rule.lastEvaluation && !rule.lastEvaluation.startsWith('0001') ? formatAgo(Date.parse(rule.lastEvaluation), now.value) : 'not yet'}</dd></div>{rule.evaluationTime !== undefined && <div><dt>Took</dt><dd>{formatSpan(rule.evaluationTime)}</dd></div>}<div><dt>Labels</dt><dd><LabelPills labels={rule.labels ?? {}} /></dd></div>
          </dl>
          {Object.entries(ann).filter(([k]) => !hiddenLabel(k)).map(([k, v]) => <p key={k} class="annotation"><span class="dim">{k}</span> {v}</p>)}
          {rule.query && <pre class="code" tabIndex={0}>{rule.query}</pre>}
          <div class="row">{links(ann).map((l) => <a key={l.title} class="btn small" href={l.href}>{l.title}</a>)}{rule.query && !rule.query.trim().startsWith('[') && <a class="btn small" href={exploreHref({ left: { datasource: '', queries: [rule.query] }, right: null, from: 'now-1h', to: 'now' })}>Explore</a>}<a class="btn small" href={`/alerting/history?ruleUID=${encodeURIComponent(rule.uid ?? '')}&rule=${encodeURIComponent(rule.name)}`}>History</a><a class="btn small" href={silenceHref({ alertname: rule.name })}>Silence</a></div>
          {alerts.length ? <div class="scroll" tabIndex={0} role="group" aria-label={`Instances of ${rule.name}`}><table class="plain"><thead><tr><th scope="col">State</th><th scope="col">Labels</th><th scope="col" class="num">Value</th><th scope="col">Since</th><th scope="col">Summary</th><th scope="col"><span class="sr">Actions</span></th></tr></thead><tbody>{alerts.map((a, i) => <Instance key={i} a={a} rule={rule} />)}</tbody></table></div> : <p class="dim">No instances.</p>}
        </div>
      )}
    </div>
  );
}

function RulesTab() {
  const l = useLoad((s) => own.rules(s), [tick.value]), p = params.value, search = (p.get('search') ?? '').toLowerCase(), wanted = p.get('state') ?? '';
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set()), [auto, setAuto] = useState(true);
  const groups = useMemo(() => (l.data ?? []).map((g) => ({ ...g, rules: g.rules.filter((r) => (!wanted || r.state === wanted || (wanted === 'error' && r.health === 'error')) && (!search || r.uid?.toLowerCase() === search || r.name.toLowerCase().includes(search) || Object.entries(r.labels ?? {}).some(([k, v]) => `${k}=${v}`.toLowerCase().includes(search)))) })).filter((g) => g.rules.length), [l.data, search, wanted]);
  useEffect(() => { if (auto && l.data) { setAuto(false); const firing = l.data.flatMap((g) => g.rules.filter((r) => r.state === 'firing').map((r) => `${g.file}/${g.name}/${r.name}`)); if (search || firing.length <= 3) setOpen(new Set(search ? groups.flatMap((g) => g.rules.map((r) => `${g.file}/${g.name}/${r.name}`)).slice(0, 3) : firing)); } }, [l.data]);
  if (l.error && !l.data) return <ErrorBox text={l.error} retry={l.reload} />;
  if (!l.data) return <Spinner />;
  const all = l.data.flatMap((g) => g.rules), count = (s: string) => all.filter((r) => r.state === s).length;
  return (
    <>
      <div class="filters">
        <input class="input" type="search" placeholder="Search rules and labels" aria-label="Search rules" value={p.get('search') ?? ''} onInput={(e) => setParams({ search: e.currentTarget.value || null }, { replace: true })} />
        <div class="chips" role="group" aria-label="State">{[['', `All ${all.length}`], ['firing', `Firing ${count('firing')}`], ['pending', `Pending ${count('pending')}`], ['recovering', `Recovering ${count('recovering')}`], ['inactive', `Normal ${count('inactive')}`]].filter(([s]) => s !== 'recovering' || count('recovering')).map(([s, t]) => <button key={s} type="button" class={`chip ${s}`} aria-pressed={wanted === s} onClick={() => setParams({ state: s || null }, { replace: true })}>{t}</button>)}</div>
      </div>
      {groups.length ? groups.map((g) => (
        <section key={`${g.file}/${g.name}`} class="rule-group" aria-label={`Group ${g.name}`}>
          <header><h2><Icon name="folder" size={14} /> {g.file} <span class="dim">/ {g.name}</span></h2><span class="dim">every {formatSpan(g.interval)}</span></header>
          {g.rules.map((r) => { const key = `${g.file}/${g.name}/${r.name}`; return <RuleRow key={key} rule={r} group={g} open={open.has(key)} toggle={() => setOpen((s) => { const n = new Set(s); if (n.has(key)) n.delete(key); else n.add(key); return n; })} />; })}
        </section>
      )) : <Empty title={all.length ? 'No rule fits' : 'There are no alert rules'} icon="alert" />}
    </>
  );
}

function HistoryTab() {
  const r = range.value, p = params.value, uid = p.get('ruleUID') ?? undefined, l = useLoad((s) => own.history({ from: r.from, to: r.to, limit: 1000, ruleUID: uid || undefined }, s), [r.from, r.to, tick.value, uid]);
  if (l.error && !l.data) return <ErrorBox text={l.error} retry={l.reload} />;
  if (!l.data) return <Spinner />;
  const events = l.data as HistoryEvent[];
  return (
    <>
      {uid && <div class="filters"><span class="pill">Rule: {p.get('rule') ?? uid}<IconButton icon="close" size={12} label="All rules" onClick={() => setParams({ ruleUID: null, rule: null })} /></span></div>}
      {!events.length ? <Empty title="Nothing changed in this time" icon="history" /> : <>
        <HistoryTimeline events={events} range={r} zone={zone.value} />
        <ol class="events" aria-label="State changes">{events.slice(0, 300).map((e, i) => <li key={i}><time title={formatTime(e.time, zone.value)}>{formatTime(e.time, zone.value)}</time><span class="change"><StateBadge state={e.previous} /><Icon name="right" size={13} /><StateBadge state={e.current} /></span><a href={`/alerting/list?search=${encodeURIComponent(e.ruleTitle)}`}>{e.ruleTitle}</a><LabelPills labels={e.labels} skip={['alertname', 'grafana_folder']} /><span class="dim">{Object.entries(e.values ?? {}).map(([k, v]) => `${k}=${Number(v.toPrecision(5))}`).join(' ')} {e.reason ?? ''}</span></li>)}</ol>
      </>}
    </>
  );
}

interface MatcherDraft { name: string; op: string; value: string }
export const toMatcher = (m: MatcherDraft): SilenceMatcher => ({ name: m.name.trim(), value: m.value, isRegex: m.op === '=~' || m.op === '!~', isEqual: m.op === '=' || m.op === '=~' });
const matcherText = (m: SilenceMatcher): string => `${m.name}${m.isEqual ? (m.isRegex ? '=~' : '=') : m.isRegex ? '!~' : '!='}${m.value}`;

function SilenceForm({ onClose, onDone, from }: { onClose: () => void; onDone: () => void; from?: Silence }) {
  const [matchers, setMatchers] = useState<MatcherDraft[]>(() => from ? from.matchers.map((m) => ({ name: m.name, op: m.isEqual ? (m.isRegex ? '=~' : '=') : m.isRegex ? '!~' : '!=', value: m.value })) : (() => { const list = params.peek().getAll('matcher').map((x) => { const i = x.indexOf('='); return { name: x.slice(0, i), op: '=', value: x.slice(i + 1) }; }).filter((m) => m.name); return list.length ? list : [{ name: 'alertname', op: '=', value: '' }]; })());
  const [duration, setDuration] = useState('2h'), [end, setEnd] = useState(''), [comment, setComment] = useState(from?.comment ?? ''), [by, setBy] = useState(from?.createdBy ?? settings.value?.user?.login ?? ''), [error, setError] = useState<string | null>(null), [busy, setBusy] = useState(false);
  const alerts = useLoad((s) => own.amAlerts(s), []);
  const ready = matchers.filter((m) => m.name.trim() && m.value !== '').map(toMatcher);
  const hit = (alerts.data ?? []).filter((a) => ready.length && ready.every((m) => { const v = a.labels[m.name] ?? ''; let ok: boolean; try { ok = m.isRegex ? new RegExp(`^(?:${m.value})$`).test(v) : v === m.value; } catch { ok = false; } return ok === m.isEqual; }));
  const until = end ? parseTime(end, { now: Date.now(), zone: zone.value }) : (() => { const d = parseDuration(duration); return d ? Date.now() + d : null; })();
  const submit = async (e: Event) => {
    e.preventDefault();
    if (!ready.length || !until) return;
    setBusy(true);
    try {
      await own.createSilence({ ...(from ? { id: from.id } : {}), matchers: ready, startsAt: new Date().toISOString(), endsAt: new Date(until).toISOString(), createdBy: by.trim() || 'anonymous', comment: comment.trim() });
      toast('ok', 'Silence created');
      onDone();
    } catch (x) { setError(errorText(x)); setBusy(false); }
  };
  return (
    <Modal title={from ? 'Recreate silence' : 'New silence'} onClose={onClose}>
      <form class="form" onSubmit={(e) => void submit(e)}>
        <fieldset><legend>Labels to match</legend>
          {matchers.map((m, i) => <div class="row matcher" key={i}><input class="input" aria-label="Label" placeholder="label" value={m.name} onInput={(e) => setMatchers(matchers.map((x, j) => (j === i ? { ...x, name: e.currentTarget.value } : x)))} /><select class="input op" aria-label="Operator" value={m.op} onChange={(e) => setMatchers(matchers.map((x, j) => (j === i ? { ...x, op: e.currentTarget.value } : x)))}><option>=</option><option>!=</option><option>=~</option><option>!~</option></select><input class="input" aria-label="Value" placeholder="value" value={m.value} onInput={(e) => setMatchers(matchers.map((x, j) => (j === i ? { ...x, value: e.currentTarget.value } : x)))} /><IconButton icon="trash" label="Remove this matcher" onClick={() => setMatchers(matchers.filter((_, j) => j !== i))} disabled={matchers.length === 1} /></div>)}
          <Button icon="plus" onClick={() => setMatchers([...matchers, { name: '', op: '=', value: '' }])}>Add matcher</Button>
        </fieldset>
        <div class="cols"><label>For<input class="input" value={duration} onInput={(e) => { setDuration(e.currentTarget.value); setEnd(''); }} placeholder="2h" /></label><label>or until<input class="input" value={end} onInput={(e) => setEnd(e.currentTarget.value)} placeholder="2026-11-24 08:00" /></label><label>Created by<input class="input" value={by} onInput={(e) => setBy(e.currentTarget.value)} /></label></div>
        <div class="chips">{['30m', '2h', '8h', '1d', '3d', '1w'].map((d) => <button key={d} type="button" class="chip" aria-pressed={!end && duration === d} onClick={() => { setDuration(d); setEnd(''); }}>{d}</button>)}</div>
        <label>Comment<textarea class="input" rows={2} required value={comment} onInput={(e) => setComment(e.currentTarget.value)} /></label>
        <p class="dim">{until ? `Ends ${formatTime(until, zone.value)}. ` : 'The end is not readable. '}{alerts.data ? `${hit.length} of ${alerts.data.length} active alerts match.` : ''}</p>
        {error && <ErrorBox text={error} />}
        <div class="row end"><Button onClick={onClose}>Cancel</Button><Button kind="primary" type="submit" disabled={busy || !ready.length || !until || !comment.trim()}>Create silence</Button></div>
      </form>
    </Modal>
  );
}

function SilencesTab() {
  const l = useLoad((s) => own.silences(s), [tick.value]), [expired, setExpired] = useState(false), [again, setAgain] = useState<Silence | null>(null), fresh = params.value.has('new');
  const close = () => { setAgain(null); setParams({ new: null, matcher: null }, { replace: true }); };
  const list = (l.data ?? []).filter((s) => expired || s.status.state !== 'expired').sort((a, b) => Date.parse(b.endsAt) - Date.parse(a.endsAt));
  const expire = async (s: Silence) => { try { await own.expireSilence(s.id); toast('ok', 'Silence expired'); l.reload(); } catch (e) { toast('error', errorText(e)); } };
  return (
    <>
      <div class="filters"><Button kind="primary" icon="plus" onClick={() => setParams({ new: '1' })}>New silence</Button><label class="check"><input type="checkbox" checked={expired} onChange={(e) => setExpired(e.currentTarget.checked)} />Show expired</label></div>
      {l.error && !l.data ? <ErrorBox text={l.error} retry={l.reload} /> : !l.data ? <Spinner /> : list.length ? (
        <div class="cards">{list.map((s) => <article key={s.id} class="card silence" data-silence={s.id}><header><StateBadge state={s.status.state} /><span class="dim">{s.status.state === 'expired' ? `ended ${formatAgo(Date.parse(s.endsAt), now.value)}` : s.status.state === 'pending' ? `starts ${formatAgo(Date.parse(s.startsAt), now.value)}` : `ends ${formatAgo(Date.parse(s.endsAt), now.value)}`}</span><span class="spacer" />{s.status.state === 'expired' ? <Button onClick={() => setAgain(s)}>Recreate</Button> : <Button kind="danger" onClick={() => void expire(s)}>Expire</Button>}</header><span class="pills">{s.matchers.map((m) => <span key={matcherText(m)} class="pill">{matcherText(m)}</span>)}</span><p>{s.comment}</p><p class="dim small">by {s.createdBy}, {formatTime(Date.parse(s.startsAt), zone.value)} – {formatTime(Date.parse(s.endsAt), zone.value)}</p></article>)}</div>
      ) : <Empty title="No silences" icon="silence" />}
      {(fresh || again) && <SilenceForm from={again ?? undefined} onClose={close} onDone={() => { close(); l.reload(); }} />}
    </>
  );
}

function ContactsTab() {
  const l = useLoad((s) => own.contactPoints(s), []);
  if (l.error && !l.data) return <ErrorBox text={l.error} retry={l.reload} />;
  if (!l.data) return <Spinner />;
  const by = new Map<string, typeof l.data>();
  for (const c of l.data) by.set(c.name, [...(by.get(c.name) ?? []), c]);
  return by.size ? <div class="cards">{[...by].map(([name, list]) => <article key={name} class="card"><header><Icon name="send" /><h2>{name}</h2></header>{list.map((c, i) => <div key={i} class="contact"><span class="badge">{c.type}</span>{c.disableResolveMessage && <span class="dim">no resolved messages</span>}<dl class="facts">{Object.entries(c.settings).filter(([, v]) => v !== '' && v !== null).map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{typeof v === 'object' ? JSON.stringify(v) : String(v)}</dd></div>)}</dl></div>)}</article>)}{settings.value?.slackReceiverUrl && <article class="card"><header><Icon name="external" /><h2>Built-in receiver</h2></header><p>Messages sent to the built-in Slack receiver: <a class="inline" href={settings.value.slackReceiverUrl}>{settings.value.slackReceiverUrl}</a></p></article>}</div> : <Empty title="No contact points" icon="send" />;
}

const tabs: { path: string; text: string }[] = [{ path: '/alerting/list', text: 'Rules' }, { path: '/alerting/history', text: 'History' }, { path: '/alerting/silences', text: 'Silences' }, { path: '/alerting/contacts', text: 'Contact points' }];

export function AlertsPage({ path }: { path: string }) {
  const at = tabs.find((t) => path.startsWith(t.path))?.path ?? '/alerting/list', history = at === '/alerting/history';
  useEffect(() => { document.title = 'Alerts – Foursight'; dashboardZone.value = ''; refreshEvery.value = params.peek().get('refresh') ?? '30s'; return startAutoRefresh(); }, []);
  useEffect(() => { const p = params.value; setRawRange({ from: p.get('from') ?? (history ? 'now-24h' : rawRange.peek().from), to: p.get('to') ?? 'now' }); const r = p.get('refresh'); if (r !== null) refreshEvery.value = r; }, [params.value, history]);
  useEffect(() => {
    // addresses that messages of other versions carry
    const view = /^\/alerting\/(?:grafana\/)?([^/]+)\/view$/.exec(path);
    if (view) navigate(`/alerting/list?search=${view[1]}`, { replace: true });
    else if (path === '/alerting/silence/new') { const q = new URLSearchParams({ new: '1' }); for (const m of params.peek().getAll('matcher')) q.append('matcher', m); navigate(`/alerting/silences?${q}`, { replace: true }); } else if (!tabs.some((t) => path.startsWith(t.path))) navigate('/alerting/list', { replace: true });
  }, [path]);
  return (
    <div class="page alerts">
      <div class="toolbar"><div class="crumbs"><h1>Alerts</h1></div><div class="actions"><TimeControls hidden={!history} /></div></div>
      <nav class="tabs links" aria-label="Alerting">{tabs.map((t) => <a key={t.path} href={t.path} aria-current={t.path === at ? 'page' : undefined}>{t.text}</a>)}</nav>
      {at === '/alerting/list' ? <RulesTab /> : at === '/alerting/history' ? <HistoryTab /> : at === '/alerting/silences' ? <SilencesTab /> : <ContactsTab />}
    </div>
  );
}
