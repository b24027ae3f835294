// What the browser tests share: one server (or FOURSIGHT_URL), one Chromium, pages that fail a test on a script error or a
// breach of the content security policy.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { startServer } from '../server.mjs';

export const real = process.env.FOURSIGHT_URL?.replace(/\/$/, '') ?? null;
let server = null, browser = null, base = real, cookies = [];

const executable = () => process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

export async function start() {
  if (!real) { server = await startServer({ hours: 25, prometheus: process.env.FOURSIGHT_PROMETHEUS_URL, log: (m) => process.env.DEBUG && console.error(m) }); base = server.url; }
  browser = await chromium.launch({ executablePath: executable(), args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'] });
  if (real) {
    const c = await browser.newContext(), settings = await (await c.request.get(`${base}/api/frontend/settings`)).json();
    if (!settings.user?.isSignedIn) { const r = await c.request.post(`${base}/login`, { data: { user: process.env.FOURSIGHT_USER ?? 'admin', password: process.env.FOURSIGHT_PASSWORD ?? 'admin' } }); assert.ok(r.ok() || settings.anonymousEnabled, 'cannot sign in'); }
    cookies = await c.cookies();
    await c.close();
  }
}
export async function stop() { await browser?.close(); await server?.stop(); }
export const state = () => server?.state;
export const url = (p) => base + p;

/** A fresh page. `requests` lists queries sent to data sources. */
export async function open(p, { theme = 'dark', width = 1440, height = 900, wait = true, permissions = [], reducedMotion = 'reduce', allow = null, before = null } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion, permissions });
  if (cookies.length) await context.addCookies(cookies);
  await context.addInitScript((t) => { if (!localStorage.getItem('foursight.theme')) localStorage.setItem('foursight.theme', t); }, theme);
  const page = await context.newPage(), problems = [], requests = [];
  page.on('pageerror', (e) => problems.push(`script error: ${e.message}`));
  page.on('console', (m) => { const t = m.text(); if (m.type() === 'error' && /Content Security Policy|Refused to/i.test(t)) problems.push(t); });
  page.on('request', (r) => { if (/\/api\/datasources\/proxy\//.test(r.url())) { const u = new URL(r.url()), q = new URLSearchParams(r.postData() ?? u.search); requests.push({ url: u.pathname, query: q.get('query') ?? q.get('match[]') ?? '', start: q.get('start'), end: q.get('end') ?? q.get('time'), request: r }); } });
  if (before) await before(page);
  await page.goto(url(p));
  if (wait) await settled(page);
  return { page, requests, close: async () => { await context.close(); if (!allow) assert.deepEqual(problems, []); } };
}

/** All panels near the window are done and no request is under way. */
export async function settled(page) {
  await page.waitForSelector('main h1, main .empty-state, .login, main .dashboard', { timeout: 20000 });
  await page.waitForFunction(() => { const near = [...document.querySelectorAll('.panel')].filter((p) => { const r = p.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight; }); return near.every((p) => p.dataset.state !== 'loading' || p.dataset.type === undefined) && !document.querySelector('main .spinner, .panel-body .spinner'); }, null, { timeout: 20000 });
  await page.waitForTimeout(250);
}

export const panel = (page, title) => page.locator('.panel', { has: page.locator('h3', { hasText: new RegExp(`^${title}$`) }) }).first();
export const plotOf = (p) => p.locator('.u-over');
export const param = (page, name) => new URL(page.url()).searchParams.get(name);
export async function center(locator) { const b = await locator.boundingBox(); return { x: b.x + b.width / 2, y: b.y + b.height / 2, ...{ box: b } }; }

/** Saves a dashboard over the API and gives its path; removed by `dropBoards`. */
const made = [];
export async function board(dashboard) {
  const c = await browser.newContext();
  if (cookies.length) await c.addCookies(cookies);
  const r = await c.request.post(url('/api/dashboards/db'), { data: { dashboard: { schemaVersion: 41, time: { from: 'now-1h', to: 'now' }, ...dashboard }, overwrite: true } });
  assert.ok(r.ok(), `dashboard not saved: ${r.status()} ${await r.text()}`);
  made.push(dashboard.uid);
  await c.close();
  return `/d/${dashboard.uid}`;
}
export async function dropBoards() { const c = await browser.newContext(); if (cookies.length) await c.addCookies(cookies); for (const uid of made.splice(0)) await c.request.delete(url(`/api/dashboards/uid/${uid}`)); await c.close(); }
export async function api(p) { const c = await browser.newContext(); if (cookies.length) await c.addCookies(cookies); const r = await c.request.get(url(p)); const j = await r.json(); await c.close(); return j; }

export const explore = (left, right) => { const pane = ([datasource, ...queries]) => JSON.stringify({ datasource, queries: queries.map((expr, i) => ({ refId: 'ABC'[i], expr })) }); const p = new URLSearchParams({ from: 'now-1h', to: 'now', left: pane(left) }); if (right) p.set('right', pane(right)); return `/explore?${p}`; };

/** The dashboard that must import as it is; null when the data is not on this machine. */
export function acceptance() {
  const root = fileURLToPath(new URL('../../../../../', import.meta.url)), folder = process.env.FOURSIGHT_DASHBOARDS ?? path.join(process.env.FOURSIGHT_CONFORMANCE ?? path.join(root, '../shared/conformance'), '../dashboards'), file = path.join(folder, 'node-exporter-full.json');
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
}

export const target = (expr, o = {}) => ({ refId: 'A', expr, datasource: { type: 'prometheus', uid: 'metrics' }, legendFormat: '__auto', ...o });
export const series = (id, title, expr, gridPos, o = {}) => ({ id, type: 'timeseries', title, gridPos, datasource: { type: 'prometheus', uid: 'metrics' }, targets: [target(expr)], fieldConfig: { defaults: { custom: {}, ...(o.defaults ?? {}) }, overrides: [] }, options: { legend: { showLegend: true, displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max'] }, tooltip: { mode: 'multi', sort: 'desc' } }, ...o.panel });
