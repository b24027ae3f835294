// Test server: serves dist/ under the content security policy of the product, answers the dashboards host's API from memory,
// forwards Prometheus queries, synthesises logs. For development and the browser tests only.
//   node test/server.mjs [--port 3900] [--prometheus http://127.0.0.1:9090] [--hours 3]
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { labelSets, queryRange, QueryError, tailLines } from './support/minilogs.mjs';
import { nodePage, nodeSeries } from './support/node.mjs';
import { startPrometheus } from './support/prometheus.mjs';
import { titanPage } from './support/titan.mjs';

const root = fileURLToPath(new URL('../dist/', import.meta.url)), provisioned = fileURLToPath(new URL('../../provisioning/dashboards/', import.meta.url));
const types = { '.js': 'text/javascript', '.css': 'text/css', '.html': 'text/html; charset=utf-8', '.svg': 'image/svg+xml', '.json': 'application/json' };
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

function makeState() {
  const now = Date.now(), iso = (ms) => new Date(ms).toISOString();
  const dashboards = new Map();
  const add = (dashboard, folderTitle, folderUid) => dashboards.set(dashboard.uid, { dashboard: { ...dashboard, id: dashboards.size + 1, version: 1 }, meta: { canSave: true, canEdit: true, folderTitle, folderUid, slug: slugify(dashboard.title), url: `/d/${dashboard.uid}/${slugify(dashboard.title)}`, version: 1, provisioned: !!folderUid } });
  if (existsSync(provisioned)) for (const f of readdirSync(provisioned).filter((x) => x.endsWith('.json')).sort()) add(JSON.parse(readFileSync(path.join(provisioned, f), 'utf8')), 'Foursight', 'foursight');
  const extra = process.env.FOURSIGHT_EXTRA_DASHBOARDS;
  if (extra) for (const f of extra.split(':')) add(JSON.parse(readFileSync(f, 'utf8')), 'General', undefined);
  for (const f of readdirSync(new URL('./fixtures/', import.meta.url)).filter((x) => x.startsWith('dashboard-'))) add(JSON.parse(readFileSync(new URL(`./fixtures/${f}`, import.meta.url), 'utf8')), 'General', undefined);
  const alert = (labels, state, ago, value, summary) => ({ labels, annotations: { summary }, state, activeAt: iso(now - ago), value });
  const rule = (uid, name, state, query, secs, severity, alerts, summary, extraFields = {}) => ({ uid, name, state, health: 'ok', query, duration: secs, labels: { severity }, annotations: { summary, __dashboardUid__: 'system', __panelId__: '4' }, alerts, type: 'alerting', lastEvaluation: iso(now - 8000), evaluationTime: 0.0041, folderUid: 'foursight', ...extraFields });
  const disk = { alertname: 'Root disk over 65 %', grafana_folder: 'Foursight', instance: '127.0.0.1:9100', job: 'node', severity: 'warning', mountpoint: '/' };
  const groups = [
    { name: 'system', file: 'Foursight', folderUid: 'foursight', interval: 60, lastEvaluation: iso(now - 8000), evaluationTime: 0.012, rules: [
      rule('disk', 'Root disk over 65 %', 'firing', '100 * (1 - node_filesystem_avail_bytes{mountpoint="/"} / node_filesystem_size_bytes{mountpoint="/"}) > 65', 120, 'warning', [alert(disk, 'Alerting', 740000, '71.3', 'The root disk of 127.0.0.1:9100 is 71 % full')], 'The root disk fills up'),
      rule('target', 'Target down', 'inactive', 'up == 0', 60, 'critical', [], 'A scrape target does not answer'), rule('cpu', 'CPU busy', 'pending', '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])) > 0.8', 300, 'warning', [alert({ alertname: 'CPU busy', grafana_folder: 'Foursight', instance: '127.0.0.1:9100', severity: 'warning' }, 'Pending', 61000, '0.83', 'CPU of 127.0.0.1:9100 is busy')], 'A host is busy')] },
    { name: 'application', file: 'Foursight', folderUid: 'foursight', interval: 30, lastEvaluation: iso(now - 3000), evaluationTime: 0.006, rules: [
      rule('errors', 'Error ratio high', 'inactive', 'sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m])) > 0.05', 120, 'critical', [], 'Too many requests fail'), rule('errorlogs', 'Errors in the logs', 'inactive', 'sum(count_over_time({job="titan", level="error"}[5m])) > 50', 60, 'warning', [], 'Many error lines', { health: 'ok' }),
      rule('slow', 'Latency p99 high', 'inactive', 'histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m]))) > 1', 120, 'warning', [], 'Requests are slow', { health: 'error', lastError: 'the data source answered 503' })] },
  ];
  const event = (ago, uid, title, labels, previous, current, value) => ({ time: now - ago, ruleUID: uid, ruleTitle: title, labels, previous, current, values: { A: value }, reason: '' });
  const err = { alertname: 'Error ratio high', grafana_folder: 'Foursight', severity: 'critical' };
  const events = [event(740000, 'disk', 'Root disk over 65 %', disk, 'Pending', 'Alerting', 71.3), event(860000, 'disk', 'Root disk over 65 %', disk, 'Normal', 'Pending', 66.1), event(3600000, 'errors', 'Error ratio high', err, 'Alerting', 'Normal', 0.003), event(5200000, 'errors', 'Error ratio high', err, 'Pending', 'Alerting', 0.081), event(5320000, 'errors', 'Error ratio high', err, 'Normal', 'Pending', 0.062), event(30000000, 'target', 'Target down', { alertname: 'Target down', job: 'logs' }, 'Alerting', 'Normal', 1), event(30600000, 'target', 'Target down', { alertname: 'Target down', job: 'logs' }, 'Normal', 'Alerting', 0)];
  const am = groups.flatMap((g) => g.rules).flatMap((r) => r.alerts.filter((a) => a.state === 'Alerting').map((a) => ({ labels: a.labels, annotations: a.annotations, startsAt: a.activeAt, endsAt: iso(now + 300000), fingerprint: createHash('md5').update(JSON.stringify(a.labels)).digest('hex').slice(0, 16), receivers: [{ name: 'slack' }], status: { state: 'active', silencedBy: [], inhibitedBy: [] } })));
  const silences = [{ id: 'b2d0c3d8-0000-4000-8000-000000000001', matchers: [{ name: 'job', value: 'batch', isRegex: false, isEqual: true }], startsAt: iso(now - 3600000), endsAt: iso(now + 7200000), createdBy: 'admin', comment: 'Nightly batch window', status: { state: 'active' }, updatedAt: iso(now - 3600000) }];
  return { dashboards, groups, events, am, silences, contacts: [{ uid: 'slack', name: 'slack', type: 'slack', settings: { url: '[REDACTED]', recipient: '#alerts', username: 'Foursight' }, disableResolveMessage: false }, { uid: 'hook', name: 'webhook', type: 'webhook', settings: { url: 'http://127.0.0.1:9999/hook', httpMethod: 'POST' }, disableResolveMessage: true }], signedIn: true, log: [] };
}
const slugify = (t) => t.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '') || 'dashboard';
const datasources = [{ id: 1, uid: 'metrics', name: 'Metrics', type: 'prometheus', isDefault: true, url: 'http://127.0.0.1:9090', jsonData: { timeInterval: '15s' } }, { id: 2, uid: 'logs', name: 'Logs', type: 'loki', isDefault: false, url: 'http://127.0.0.1:3100', jsonData: {} }];

function hosts(started) {
  const up = (Date.now() - started) / 1000 + 93000, part = (name, port, latencyMs) => ({ name, url: `http://127.0.0.1:${port}`, up: true, latencyMs, error: '' });
  return { hosts: [
    { name: 'web', url: 'http://127.0.0.1:5000', up: true, parts: [part('titan', 5000, 1.2), part('node', 9100, 3.4), part('agent', 12345, 0.8)], detail: { version: '0.1.0', uptimeSeconds: up, requestsPerSecond: 14.8, linesShipped: 1284032 } },
    { name: 'metrics', url: 'http://127.0.0.1:9090', up: true, parts: [part('metrics', 9090, 0.6)], detail: { version: '0.1.0', uptimeSeconds: up, series: 4912, samplesPerSecond: 327, storageBytes: 48211004 } },
    { name: 'logs', url: 'http://127.0.0.1:3100', up: true, parts: [part('logs', 3100, 0.7)], detail: { version: '0.1.0', uptimeSeconds: up, streams: 14, linesPerSecond: 8.1, storageBytes: 19832320 } },
    { name: 'dashboards', url: 'http://127.0.0.1:3000', up: true, parts: [part('dashboards', 3000, 0.2)], detail: { version: '0.1.0', uptimeSeconds: up, dashboards: 4, alertRules: 6 } }] };
}

export async function startServer({ port = 0, prometheus, hours = 3, log = console.log } = {}) {
  const state = makeState(), started = Date.now(), series = nodeSeries(), sockets = new Set();
  let promUrl = prometheus, stopProm = async () => {};
  const json = (res, body, status = 200) => { res.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }); res.end(JSON.stringify(body)); };
  const readBody = async (req) => { const parts = []; for await (const c of req) parts.push(c); return Buffer.concat(parts); };

  async function lokiApi(rest, q, res) {
    const ns = (s, d) => (s ? BigInt(s.includes('.') ? Math.round(Number(s) * 1e9) : s) : d), now = BigInt(Date.now()) * 1000000n;
    try {
      if (rest === 'labels') return json(res, { status: 'success', data: [...new Set(labelSets(q.get('query')).flatMap(Object.keys))].sort() });
      const v = /^label\/([^/]+)\/values$/.exec(rest);
      if (v) return json(res, { status: 'success', data: [...new Set(labelSets(q.get('query')).map((l) => l[v[1]]).filter(Boolean))].sort() });
      if (rest === 'series') return json(res, { status: 'success', data: labelSets(q.get('match[]')) });
      if (rest === 'query_range') return json(res, { status: 'success', data: queryRange(q.get('query'), ns(q.get('start'), now - 3600000000000n), ns(q.get('end'), now), { limit: Number(q.get('limit') ?? 100), direction: q.get('direction') ?? 'backward', step: Number(q.get('step') ?? 60) }) });
      if (rest === 'query') { const t = ns(q.get('time'), now); return json(res, { status: 'success', data: queryRange(q.get('query'), t, t, { step: 60, instant: true }) }); }
    } catch (e) {
      if (!(e instanceof QueryError || e instanceof SyntaxError)) throw e;
      res.writeHead(400, { 'Content-Type': 'text/plain' });
      return res.end(e.message);
    }
    return json(res, { message: 'not found' }, 404);
  }

  async function api(req, res, u) {
    const p = u.pathname, q = u.searchParams, m = req.method;
    state.log.push(`${m} ${p}`);
    const proxy = /^\/api\/datasources\/proxy\/uid\/([^/]+)\/(.*)$/.exec(p);
    if (proxy && proxy[1] === 'logs') return lokiApi(proxy[2].replace(/^loki\/api\/v1\//, ''), q, res);
    if (proxy && proxy[1] === 'metrics') {
      const body = m === 'POST' ? await readBody(req) : undefined;
      const r = await fetch(`${promUrl}/${proxy[2]}${u.search}`, { method: m, body, headers: body ? { 'Content-Type': req.headers['content-type'] } : {} });
      res.writeHead(r.status, { 'Content-Type': r.headers.get('content-type') ?? 'text/plain' });
      return res.end(Buffer.from(await r.arrayBuffer()));
    }
    if (p === '/api/health') return json(res, { database: 'ok', version: '0.1.0' });
    if (p === '/api/frontend/settings') return json(res, { buildInfo: { version: '0.1.0', commit: 'test' }, anonymousEnabled: false, appUrl: '/', defaultTheme: 'dark', user: state.signedIn ? { isSignedIn: true, login: 'admin', orgRole: 'Admin' } : { isSignedIn: false, login: '', orgRole: '' } });
    if (p === '/login' && m === 'POST') { const b = JSON.parse(await readBody(req)); if (b.user === 'admin' && b.password === 'admin') { state.signedIn = true; return json(res, { message: 'Logged in' }); } return json(res, { message: 'Invalid username or password' }, 401); }
    if (!state.signedIn) return json(res, { message: 'Unauthorized' }, 401);
    if (p === '/api/user') return json(res, { login: 'admin', email: '', orgRole: 'Admin' });
    if (p === '/api/datasources') return json(res, datasources);
    if (/^\/api\/datasources\/uid\/[^/]+\/health$/.test(p)) return json(res, { status: 'OK', message: 'Successfully queried' });
    if (p === '/api/search') { const query = (q.get('query') ?? '').toLowerCase(), tags = q.getAll('tag'); return json(res, [...state.dashboards.values()].filter((d) => d.dashboard.title.toLowerCase().includes(query) && tags.every((t) => (d.dashboard.tags ?? []).includes(t))).map((d) => ({ uid: d.dashboard.uid, title: d.dashboard.title, type: 'dash-db', tags: d.dashboard.tags ?? [], url: d.meta.url, folderUid: d.meta.folderUid, folderTitle: d.meta.folderTitle }))); }
    if (p === '/api/folders') return json(res, [{ uid: 'foursight', title: 'Foursight' }]);
    const dash = /^\/api\/dashboards\/uid\/([^/]+)$/.exec(p);
    if (dash) { const d = state.dashboards.get(decodeURIComponent(dash[1])); if (!d) return json(res, { message: 'Dashboard not found' }, 404); if (m === 'DELETE') { state.dashboards.delete(dash[1]); return json(res, { message: 'deleted' }); } return json(res, d); }
    if ((p === '/api/dashboards/db' || p === '/api/dashboards/import') && m === 'POST') {
      const b = JSON.parse(await readBody(req)), d = { ...b.dashboard, uid: b.dashboard.uid || createHash('md5').update(String(Math.random())).digest('hex').slice(0, 12) }, old = state.dashboards.get(d.uid);
      if (old && !b.overwrite && (d.version ?? 0) !== old.dashboard.version) return json(res, { message: 'The dashboard has been changed by someone else', status: 'version-mismatch' }, 412);
      const version = (old?.dashboard.version ?? 0) + 1, slug = slugify(d.title);
      state.dashboards.set(d.uid, { dashboard: { ...d, id: old?.dashboard.id ?? state.dashboards.size + 1, version }, meta: { ...(old?.meta ?? { canSave: true, canEdit: true, folderTitle: b.folderUid === 'foursight' ? 'Foursight' : 'General', folderUid: b.folderUid }), slug, url: `/d/${d.uid}/${slug}`, version } });
      return json(res, { uid: d.uid, slug, version, status: 'success', url: `/d/${d.uid}/${slug}`, importedUrl: `/d/${d.uid}/${slug}`, title: d.title });
    }
    if (p === '/api/foursight/hosts') return json(res, hosts(started));
    if (p === '/api/prometheus/grafana/api/v1/rules') return json(res, { status: 'success', data: { groups: state.groups } });
    if (p === '/api/prometheus/grafana/api/v1/alerts') return json(res, { status: 'success', data: { alerts: state.groups.flatMap((g) => g.rules.flatMap((r) => r.alerts)) } });
    if (p === '/api/v1/rules/history') { const from = Number(q.get('from') ?? 0), to = Number(q.get('to') ?? Infinity), uid = q.get('ruleUID'); return json(res, { events: state.events.filter((e) => e.time >= from && e.time <= to && (!uid || e.ruleUID === uid)).slice(0, Number(q.get('limit') ?? 1000)) }); }
    if (p.endsWith('/api/v2/alerts')) return json(res, state.am);
    if (p.endsWith('/api/v2/alerts/groups')) return json(res, [{ labels: {}, receiver: { name: 'slack' }, alerts: state.am }]);
    if (p.endsWith('/api/v2/silences')) { if (m === 'POST') { const b = JSON.parse(await readBody(req)), id = `b2d0c3d8-0000-4000-8000-${String(state.silences.length + 1).padStart(12, '0')}`; state.silences.push({ ...b, id, status: { state: 'active' }, updatedAt: new Date().toISOString() }); return json(res, { silenceID: id }, 202); } return json(res, state.silences); }
    const sil = /\/api\/v2\/silence\/([^/]+)$/.exec(p);
    if (sil) { const s = state.silences.find((x) => x.id === sil[1]); if (!s) return json(res, { message: 'silence not found' }, 404); if (m === 'DELETE') { s.status = { state: 'expired' }; s.endsAt = new Date().toISOString(); return json(res, { message: 'silence deleted' }); } return json(res, s); }
    if (p === '/api/v1/provisioning/contact-points') return json(res, state.contacts);
    if (p === '/api/annotations') { const from = Number(q.get('from') ?? 0), to = Number(q.get('to') ?? Infinity); return json(res, [{ id: 1, time: started - 1500000, text: 'Deployed titan 0.1.0', tags: ['deploy'] }].filter((a) => a.time >= from && a.time <= to)); }
    return json(res, { message: 'not found' }, 404);
  }

  const server = http.createServer((req, res) => {
    const u = new URL(req.url, 'http://localhost');
    const fail = (e) => { log(e); if (!res.headersSent) json(res, { message: String(e.message ?? e) }, 502); else res.end(); };
    if (u.pathname === '/test/titan/metrics' || u.pathname === '/test/node/metrics') { res.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4' }); res.end(u.pathname.includes('titan') ? titanPage(Date.now() / 1000) : nodePage(series, Date.now() / 1000)); return; }
    if (u.pathname.startsWith('/api/') || (u.pathname === '/login' && req.method === 'POST')) { api(req, res, u).catch(fail); return; }
    if (u.pathname === '/logout') { state.signedIn = false; res.writeHead(302, { Location: '/login' }); res.end(); return; }
    let file = path.join(root, path.normalize(decodeURIComponent(u.pathname)));
    if (!file.startsWith(root) || u.pathname.endsWith('/') || !existsSync(file)) file = u.pathname.startsWith('/assets/') ? '' : path.join(root, 'index.html');
    if (!file) { res.writeHead(404); res.end(); return; }
    const gz = existsSync(`${file}.gz`) && /gzip/.test(req.headers['accept-encoding'] ?? '');
    res.writeHead(200, { 'Content-Type': types[path.extname(file)] ?? 'application/octet-stream', 'Content-Security-Policy': csp, 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'same-origin', 'Cache-Control': u.pathname.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache', ...(gz ? { 'Content-Encoding': 'gzip' } : {}) });
    res.end(readFileSync(gz ? `${file}.gz` : file));
  });
  server.on('upgrade', (req, socket) => {
    const u = new URL(req.url, 'http://localhost'), key = req.headers['sec-websocket-key'];
    if (!u.pathname.endsWith('/loki/api/v1/tail') || !key) { socket.destroy(); return; }
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    sockets.add(socket);
    let since = Math.floor(Number(BigInt(u.searchParams.get('start') ?? '0') / 1000000000n)) || Math.floor(Date.now() / 1000) - 10;
    const send = (text) => { const b = Buffer.from(text), head = b.length < 126 ? Buffer.from([0x81, b.length]) : b.length < 65536 ? Buffer.from([0x81, 126, b.length >> 8, b.length & 255]) : Buffer.concat([Buffer.from([0x81, 127]), (() => { const l = Buffer.alloc(8); l.writeBigUInt64BE(BigInt(b.length)); return l; })()]); socket.write(Buffer.concat([head, b])); };
    const timer = setInterval(() => {
      try {
        const { lines, next } = tailLines(u.searchParams.get('query'), since);
        since = next;
        if (lines.length) { const by = new Map(); for (const l of lines) { const k = JSON.stringify(l.labels); by.set(k, [...(by.get(k) ?? []), [String(l.ns), l.line]]); } send(JSON.stringify({ streams: [...by].map(([k, values]) => ({ stream: JSON.parse(k), values })) })); }
      } catch { socket.destroy(); }
    }, 500);
    const end = () => { clearInterval(timer); sockets.delete(socket); };
    socket.on('close', end);
    socket.on('error', end);
    socket.on('data', (d) => { if ((d[0] & 15) === 8) socket.end(); });
  });
  await new Promise((r) => server.listen(port, '127.0.0.1', r));
  const bound = server.address().port;
  if (!promUrl) { const p = await startPrometheus({ hours, appPort: bound, log }); promUrl = p.url; stopProm = p.stop; }
  return { url: `http://127.0.0.1:${bound}`, prometheus: promUrl, state, stop: async () => { for (const s of sockets) s.destroy(); server.closeAllConnections(); await new Promise((r) => server.close(r)); await stopProm(); } };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const arg = (n) => { const i = process.argv.indexOf(`--${n}`); return i < 0 ? undefined : process.argv[i + 1]; };
  const s = await startServer({ port: Number(arg('port') ?? 3900), prometheus: arg('prometheus'), hours: Number(arg('hours') ?? 3) });
  console.log(`${s.url}  (Prometheus ${s.prometheus})`);
  for (const sig of ['SIGINT', 'SIGTERM']) process.on(sig, () => void s.stop().then(() => process.exit(0)));
}
