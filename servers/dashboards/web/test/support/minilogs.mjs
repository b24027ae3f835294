// A log source for tests: lines are a pure function of time, queries are a small part of LogQL (selector, line filters, json,
// logfmt, label filters; count_over_time and rate with sum by). Enough to try the app against; no product code uses it.

const paths = ['/api/products', '/api/products/42', '/api/cart', '/api/orders', '/', '/health'];
const hash = (n) => { let x = Math.imul(n ^ 0x9e3779b9, 0x85ebca6b); x ^= x >>> 13; x = Math.imul(x, 0xc2b2ae35); return (x ^ (x >>> 16)) >>> 0; };
const trace = (n) => [1, 2, 3, 4].map((i) => hash(n * 7 + i).toString(16).padStart(8, '0')).join('');

/** Lines of one second. About six a second, with a burst of errors a few minutes of every half hour. */
function second(t) {
  const out = [], burst = t % 1800 < 150 ? 0.25 : 0.02, n = 3 + (hash(t) % 6);
  for (let i = 0; i < n; i++) {
    const h = hash(t * 31 + i), ns = BigInt(t) * 1000000000n + BigInt(h % 1000) * 1000000n + BigInt(i), path = paths[h % paths.length], failed = (h % 1000) / 1000 < burst, ms = (5 + (h % 90)) * (failed ? 9 : 1), status = failed ? 500 : h % 50 === 0 ? 404 : 200;
    const id = trace(t * 31 + i), when = new Date(t * 1000 + (h % 1000)).toISOString();
    out.push({ ns, labels: { job: 'titan', host: 'web', filename: '/var/log/titan/access.log', level: failed ? 'error' : status === 404 ? 'warn' : 'info' }, line: `10.0.${h % 4}.${h % 200} - - [${when}] "GET ${path} HTTP/1.1" ${status} ${200 + (h % 4000)} "-" "curl/8.5" ${(ms / 1000).toFixed(3)}` });
    if (failed) out.push({ ns: ns + 5n, labels: { job: 'titan', host: 'web', filename: '/var/log/titan/error.log', level: 'error' }, line: JSON.stringify({ ts: when, level: 'error', msg: h % 2 ? 'payment gateway timed out' : 'database connection refused', path, status, duration_ms: ms, trace_id: id, user: { id: h % 900, plan: h % 3 ? 'free' : 'pro' } }) });
    if (i === 0) out.push({ ns: ns + 9n, labels: { job: 'titan', host: 'web', filename: '/var/log/titan/info.log', level: h % 9 === 0 ? 'debug' : 'info' }, line: `ts=${when} level=${h % 9 === 0 ? 'debug' : 'info'} msg="order placed" order=${h % 100000} amount=${(h % 9000) / 100} trace_id=${id}` });
  }
  if (t % 20 === 0) out.push({ ns: BigInt(t) * 1000000000n + 500000000n, labels: { job: 'node', host: 'web', filename: '/var/log/syslog', level: 'info' }, line: `systemd[1]: Started session ${t % 9973} of user root.` });
  return out.sort((a, b) => (a.ns < b.ns ? -1 : 1));
}
const cache = new Map();
export function linesAt(t) {
  let l = cache.get(t);
  if (!l) { l = second(t); if (cache.size > 60000) cache.clear(); cache.set(t, l); }
  return l;
}

const unquote = (s) => (s[0] === '`' ? s.slice(1, -1) : JSON.parse(s));
const str = '("(?:[^"\\\\]|\\\\.)*"|`[^`]*`)';
class QueryError extends Error {}

function parsePipeline(text) {
  const sel = /^\s*\{([\s\S]*?)\}/.exec(text);
  if (!sel) throw new QueryError('parse error at line 1, col 1: syntax error: unexpected IDENTIFIER');
  const matchers = [...sel[1].matchAll(new RegExp(`([a-zA-Z_]\\w*)\\s*(=~|!~|!=|=)\\s*${str}`, 'g'))].map(([, k, op, v]) => ({ k, op, v: unquote(v) }));
  if (!matchers.some((m) => (m.op === '=' && m.v) || (m.op === '=~' && !new RegExp(`^(?:${m.v})$`).test('')))) throw new QueryError('queries require at least one regexp or equality matcher that does not have an empty-compatible value');
  const stages = [];
  let rest = text.slice(sel[0].length);
  const take = (re) => { const m = re.exec(rest); if (m) rest = rest.slice(m[0].length); return m; };
  for (;;) {
    let m;
    if ((m = take(new RegExp(`^\\s*(\\|=|!=|\\|~|!~)\\s*${str}`)))) stages.push({ kind: 'line', op: m[1], v: unquote(m[2]) });
    else if ((m = take(/^\s*\|\s*(json|logfmt)\b/))) stages.push({ kind: m[1] });
    else if ((m = take(new RegExp(`^\\s*\\|\\s*([a-zA-Z_]\\w*)\\s*(=~|!~|!=|=)\\s*${str}`)))) stages.push({ kind: 'label', k: m[1], op: m[2], v: unquote(m[3]) });
    else if ((m = take(/^\s*\|\s*([a-zA-Z_]\w*)\s*(>=|<=|>|<|==)\s*([\d.]+)\w*/))) stages.push({ kind: 'number', k: m[1], op: m[2], v: Number(m[3]) });
    else break;
  }
  return { matchers, stages, rest };
}
const fits = (value, op, v) => (op === '=' ? value === v : op === '!=' ? value !== v : new RegExp(`^(?:${v})$`).test(value) === (op === '=~'));
const goRegex = (v) => (v.startsWith('(?i)') ? new RegExp(v.slice(4), 'i') : new RegExp(v));

function compile({ matchers, stages }) {
  return (l) => {
    if (!matchers.every((m) => fits(l.labels[m.k] ?? '', m.op, m.v))) return null;
    let labels = l.labels;
    for (const s of stages) {
      if (s.kind === 'line') { const hit = s.op === '|=' || s.op === '!=' ? l.line.includes(s.v) : goRegex(s.v).test(l.line); if (hit !== (s.op[0] === '|')) return null; } else if (s.kind === 'json') { try { const flat = {}; const walk = (o, p) => { for (const [k, v] of Object.entries(o)) if (v && typeof v === 'object') walk(v, `${p}${k}_`); else flat[p + k] = String(v); }; walk(JSON.parse(l.line), ''); labels = { ...flat, ...labels }; } catch { labels = { ...labels, __error__: 'JSONParserErr' }; } } else if (s.kind === 'logfmt') { const flat = {}; for (const [, k, q, b] of l.line.matchAll(/(\w+)=(?:"([^"]*)"|(\S*))/g)) flat[k] = q ?? b; labels = { ...flat, ...labels }; } else if (s.kind === 'label') { if (!fits(labels[s.k] ?? '', s.op, s.v)) return null; } else { const n = parseFloat(labels[s.k]); const ok = { '>': n > s.v, '<': n < s.v, '>=': n >= s.v, '<=': n <= s.v, '==': n === s.v }[s.op]; if (!ok) return null; }
    }
    return labels;
  };
}
const durations = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
const seconds = (d) => [...d.matchAll(/([\d.]+)(ms|s|m|h|d|w)/g)].reduce((s, [, n, u]) => s + Number(n) * durations[u], 0);

/** Metric query: [agg by (labels)] (fn(pipeline [range])) with an optional outer topk or scalar comparison. */
function parseMetric(text) {
  const t = text.trim();
  let m = /^(?:(sum|count|avg|max|min|topk)\s*(?:by\s*\(([^)]*)\))?\s*\(\s*(?:\d+\s*,)?\s*)?(count_over_time|rate|bytes_rate|bytes_over_time)\s*\(([\s\S]*?)\[([^\]]+)\]\s*\)\s*\)?\s*(?:by\s*\(([^)]*)\))?/.exec(t);
  if (!m) throw new QueryError(`parse error at line 1, col 1: syntax error: unexpected end of input in "${t.slice(0, 60)}"`);
  const by = m[2] ?? m[6];
  return { agg: m[1], by: by === undefined ? null : by.split(',').map((s) => s.trim()).filter(Boolean), fn: m[3], inner: m[4], range: seconds(m[5]) };
}

export function queryRange(query, startNs, endNs, { limit = 100, direction = 'backward', step = 60, instant = false }) {
  if (query.trim().startsWith('{')) {
    const q = parsePipeline(query);
    if (q.rest.trim()) throw new QueryError(`parse error at line 1, col ${query.length - q.rest.length + 1}: syntax error: unexpected ${q.rest.trim().slice(0, 20)}`);
    const keep = compile(q), out = [], from = Number(startNs / 1000000000n), to = Math.min(Number(endNs / 1000000000n), Math.floor(Date.now() / 1000)), back = direction !== 'forward';
    for (let t = back ? to : from; back ? t >= from : t <= to; t += back ? -1 : 1) {
      const list = back ? [...linesAt(t)].reverse() : linesAt(t);
      for (const l of list) { if (l.ns < startNs || l.ns >= endNs) continue; const labels = keep(l); if (labels) out.push({ ...l, labels: l.labels, parsed: labels }); if (out.length >= limit) break; }
      if (out.length >= limit) break;
    }
    const streams = new Map();
    for (const l of out) { const k = JSON.stringify(l.labels); if (!streams.has(k)) streams.set(k, { stream: l.labels, values: [] }); streams.get(k).values.push([String(l.ns), l.line]); }
    return { resultType: 'streams', result: [...streams.values()], stats: { summary: { totalBytesProcessed: out.length * 140, totalLinesProcessed: out.length, execTime: 0.004 } } };
  }
  const m = parseMetric(query), q = parsePipeline(m.inner), keep = compile(q), start = Number(startNs / 1000000000n), end = Number(endNs / 1000000000n), nowS = Math.floor(Date.now() / 1000), series = new Map();
  const steps = Math.floor((end - start) / step) + 1;
  for (let t = Math.floor(start - m.range); t <= Math.min(end, nowS); t++) for (const l of linesAt(t)) {
    const labels = keep(l);
    if (!labels) continue;
    const at = Number(l.ns) / 1e9, first = Math.max(0, Math.ceil((at - start) / step - 1e-9)), last = Math.min(steps - 1, Math.ceil((at + m.range - start) / step - 1e-9) - 1);
    const out = m.by ? Object.fromEntries(m.by.filter((k) => labels[k]).map((k) => [k, labels[k]])) : m.agg ? {} : labels, key = JSON.stringify(out);
    if (!series.has(key)) series.set(key, { metric: out, counts: new Float64Array(steps) });
    const w = m.fn.startsWith('bytes') ? l.line.length : 1, s = series.get(key);
    for (let i = first; i <= last; i++) s.counts[i] += w;
  }
  const per = m.fn === 'rate' || m.fn === 'bytes_rate' ? m.range : 1;
  const result = [...series.values()].map((s) => ({ metric: s.metric, values: [...s.counts].map((c, i) => [start + i * step, String(c / per)]).filter(([, v]) => v !== '0') }));
  return instant ? { resultType: 'vector', result: result.map((s) => ({ metric: s.metric, value: s.values.at(-1) ?? [end, '0'] })) } : { resultType: 'matrix', result };
}

export function labelSets(match) {
  const sets = new Map(), keep = match ? compile(parsePipeline(match)) : () => ({}), now = Math.floor(Date.now() / 1000);
  for (let t = now - 400; t < now; t++) for (const l of linesAt(t)) if (keep(l)) sets.set(JSON.stringify(l.labels), l.labels);
  return [...sets.values()];
}
export { QueryError };

/** Lines newer than a time for the tail, filtered. */
export function tailLines(query, sinceS) {
  const keep = compile(parsePipeline(query)), out = [], now = Math.floor(Date.now() / 1000) - 1;
  for (let t = sinceS; t <= now; t++) for (const l of linesAt(t)) if (keep(l)) out.push(l);
  return { lines: out, next: now + 1 };
}
