// Node Exporter Full imports as it is and renders every panel; its speed from cached answers is printed (and asserted with
// FOURSIGHT_PERF=1).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptance, board, open, settled } from './harness.mjs';

const json = acceptance();
const skip = json ? false : 'node-exporter-full.json is not on this machine';

test('acceptance: every panel of Node Exporter Full is drawn', { skip, timeout: 180000 }, async () => {
  const path = await board({ ...json, uid: 'browser-nef', id: null }), { page, requests, close } = await open(`${path}?from=now-3h&to=now&refresh=`);
  await page.keyboard.press('d');
  await page.keyboard.press('e');
  await page.waitForFunction(() => document.querySelectorAll('.panel').length === 125, null, { timeout: 20000 });
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  for (let y = 0; y < height; y += 700) { await page.evaluate((t) => scrollTo(0, t), y); await page.waitForTimeout(120); await settled(page); }
  const panels = await page.locator('.panel').evaluateAll((l) => l.map((p) => ({ title: p.querySelector('h3')?.textContent, type: p.dataset.type, state: p.dataset.state, message: p.querySelector('.panel-message')?.textContent ?? null, drawn: !!p.querySelector('.plot-host[data-drawn], .stat-value, .bargauge [role=meter], svg[role=img], .no-data') })));
  assert.equal(panels.length, 125);
  assert.deepEqual(panels.filter((p) => p.state !== 'done' || p.message || !p.drawn), []);
  for (const r of requests) assert.ok(!r.query.includes('$'), r.query);
  const keys = requests.filter((r) => /query(_range)?$/.test(r.url)).map((r) => `${r.url} ${r.query} ${r.start} ${r.end}`);
  console.log(`    ${panels.length} panels, ${keys.length} queries`);
  await close();
});

test('speed: Node Exporter Full from cached answers', { skip, timeout: 60000 }, async () => {
  const path = await board({ ...json, uid: 'browser-nef2', id: null }), cache = new Map(), from = Math.floor(Date.now() / 60000) * 60000 - 86400000 + 0, to = from + 86400000;
  const cached = (page) => page.route(/\/api\//, async (route) => {
    const r = route.request(), key = `${r.method()} ${r.url()} ${r.postData() ?? ''}`;
    if (!cache.has(key)) { const a = await route.fetch(); cache.set(key, { status: a.status(), headers: a.headers(), body: await a.body() }); }
    await route.fulfill(cache.get(key));
  });
  const address = `${path}?from=${from}&to=${to}&refresh=`;
  await (await open(address, { before: cached })).close();
  const { page, close } = await open('/dashboards', { before: async (p) => { await cached(p); await p.addInitScript(() => { window.longest = 0; new PerformanceObserver((l) => { for (const e of l.getEntries()) window.longest = Math.max(window.longest, e.duration); }).observe({ type: 'longtask', buffered: true }); }); } });
  await page.goto(new URL(address, page.url()).href, { waitUntil: 'commit' });
  const ms = await page.waitForFunction(() => { const near = [...document.querySelectorAll('.panel')].filter((p) => p.getBoundingClientRect().top < innerHeight); return near.length > 10 && near.every((p) => p.dataset.state === 'done' && p.querySelector('.plot-host[data-drawn], .stat-value, [role=meter], svg[role=img], .no-data')) ? performance.now() : false; }, null, { polling: 'raf', timeout: 20000 }).then((h) => h.jsonValue());
  const longest = await page.evaluate(() => window.longest);
  console.log(`    navigation to last visible chart ${Math.round(ms)} ms, longest task ${Math.round(longest)} ms`);
  if (process.env.FOURSIGHT_PERF) { assert.ok(ms < 1000); assert.ok(longest < 200); }
  await close();
});
