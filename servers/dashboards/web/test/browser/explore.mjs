// Interactions 6 to 9: query editor, log details, log volume, split view; and live tail.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { api, center, explore, open, panel, param, plotOf, real, settled } from './harness.mjs';

const editor = (page, n = 0) => page.locator('.cm-content').nth(n);
const ready = async (page, n = 1) => { await page.waitForFunction((k) => document.querySelectorAll('.cm-host[data-ready]').length >= k, n); };
const type = async (page, text, n = 0) => { await editor(page, n).click(); await page.keyboard.press('Control+a'); await page.keyboard.press('Delete'); await page.keyboard.type(text, { delay: 15 }); };
const offers = async (page, label) => { await page.locator('.cm-tooltip-autocomplete li', { hasText: label }).first().waitFor({ timeout: 6000 }).catch(() => assert.fail(`"${label}" is not offered`)); };

test('6 query editor: PromQL completion, errors, Shift+Enter', async () => {
  const { page, close } = await open(explore(['metrics', '']));
  await ready(page);
  await type(page, 'http_req');
  await offers(page, 'http_requests_total');
  await type(page, 'histogram_q');
  await offers(page, 'histogram_quantile');
  await type(page, 'http_requests_total{en');
  await offers(page, 'endpoint');
  await type(page, 'http_requests_total{endpoint="/api');
  await offers(page, '/api/cart');
  await type(page, 'sum(rate(http_requests_total[1m]) +');
  await page.locator('.cm-lintRange-error').first().waitFor({ state: 'attached' });
  await type(page, 'sum(rate(http_requests_total[1m]))');
  await page.keyboard.press('Escape');
  await editor(page).click();
  await page.keyboard.press('Shift+Enter');
  await page.waitForFunction(() => location.search.includes('http_requests_total'));
  await page.locator('.result-graph .plot-host[data-drawn]').waitFor();
  await page.getByRole('tab', { name: 'Values now' }).click();
  await page.locator('.result-table [role=cell]').first().waitFor();
  await close();
});

test('6 query editor: LogQL labels, values, stages, errors', async () => {
  const { page, close } = await open(explore(['logs', '{job="titan"}']));
  await ready(page);
  await type(page, '{fil');
  await offers(page, 'filename');
  await type(page, '{job="ti');
  await offers(page, 'titan');
  await type(page, '{job="titan"} | js');
  await offers(page, 'json');
  await type(page, 'count_o');
  await offers(page, 'count_over_time');
  await type(page, '{job="titan"} | json |');
  await page.locator('.cm-lintRange-error').first().waitFor({ state: 'attached' });
  await close();
});

test('7 log line details: fields, filters, wrap, levels, JSON, highlights, copy, context', { skip: real && 'reads lines that only the test server has' }, async () => {
  const { page, close } = await open(explore(['logs', '{job="titan"} |= "timed out"']), { permissions: ['clipboard-read', 'clipboard-write'] });
  const log = page.locator('.log').first();
  await log.waitFor();
  assert.equal(await log.locator('mark').first().textContent(), 'timed out');
  assert.ok(await page.locator('.log.level-error').count() > 0);
  assert.match(await log.locator('.level').textContent(), /error/i, 'the level is a word too');
  await log.locator('.log-line').click();
  const details = log.getByRole('group', { name: 'Details of the line' });
  await details.waitFor();
  assert.match(await details.textContent(), /trace_id/);
  assert.match(await details.locator('.pretty').textContent(), /\n {2}"level": "error"/);
  await details.getByRole('button', { name: 'Copy line' }).click();
  await page.waitForTimeout(150);
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /timed out/);
  await details.getByRole('button', { name: 'Context' }).click();
  const context = page.getByRole('dialog', { name: 'Log context' });
  await context.locator('.log.here').waitFor();
  assert.ok(await context.locator('.log').count() > 10, 'lines around');
  await page.keyboard.press('Escape');
  await details.getByRole('button', { name: /^Filter for path = / }).click();
  await page.waitForFunction(() => decodeURIComponent(location.search.replace(/\+/g, ' ')).includes('| json | path='));
  await settled(page);
  const line = page.locator('.log').first().locator('.log-line');
  if ((await line.getAttribute('aria-expanded')) === 'false') await line.click();
  await page.getByRole('button', { name: /^Filter out host = web/ }).first().click();
  await page.waitForFunction(() => decodeURIComponent(location.search.replace(/\+/g, ' ')).replace(/\\/g, '').includes('host!="web"'));
  await close();
  const two = await open(explore(['logs', '{job="titan"} | json']), { width: 900 });
  await two.page.locator('.log').first().waitFor();
  const wrap = two.page.getByRole('toolbar').getByRole('button', { name: 'Wrap' }), heights = () => two.page.locator('.log').evaluateAll((l) => Math.max(...l.slice(0, 30).map((x) => x.offsetHeight)));
  const wrapped = await heights();
  await wrap.click();
  assert.ok((await heights()) < wrapped, 'wrapping off makes lines one row high');
  await two.page.getByRole('button', { name: 'Pretty JSON' }).click();
  await two.page.waitForFunction(() => [...document.querySelectorAll('.log .line.pre')].some((e) => e.textContent.includes('\n')));
  await two.close();
});

test('8 log volume: bars add up to the API’s count, dragging narrows the time', async () => {
  const { page, requests, close } = await open(explore(['logs', '{job="titan"} |= "error"']));
  const box = page.locator('.volume[data-total]');
  await box.waitFor();
  const shown = Number(await box.getAttribute('data-total')), asked = requests.find((r) => r.query.includes('count_over_time')), step = Number(/\[(\d+)s\]/.exec(asked.query)[1]), start = Math.round(Number(asked.start) / 1e9), end = Math.round(Number(asked.end) / 1e9);
  const whole = await api(`/api/datasources/proxy/uid/logs/loki/api/v1/query_range?${new URLSearchParams({ query: `sum(count_over_time({job="titan"} |= "error" [${step}s]))`, start: `${start}000000000`, end: `${end}000000000`, step: String(step) })}`);
  const count = whole.data.result[0].values.reduce((s, [, v]) => s + Number(v), 0);
  assert.ok(shown > 0 && Math.abs(shown - count) <= count * 0.02 + 5, `bars ${shown}, API ${count}`); // the last bar is still growing
  const totals = await page.locator('.volume .legend .calc').allTextContents();
  assert.ok(totals.length > 0);
  const c = await center(plotOf(page.locator('.volume')));
  await page.mouse.move(c.x - 100, c.y);
  await page.mouse.down();
  await page.mouse.move(c.x + 60, c.y, { steps: 5 });
  await page.mouse.up();
  await page.waitForFunction(() => /from=\d{13}/.test(location.search));
  assert.ok(Number(param(page, 'to')) - Number(param(page, 'from')) < 3600e3 * 0.4);
  await close();
});

test('9 split view: one range, one crosshair; logs for a panel carry its labels', async () => {
  const { page, requests, close } = await open(explore(['metrics', 'sum(rate(http_requests_total{job="titan"}[1m]))'], ['logs', '{job="titan"} |= "error"']));
  await page.locator('[data-pane=left] .plot-host[data-drawn]').waitFor();
  await page.locator('[data-pane=right] .volume .plot-host[data-drawn]').waitFor();
  const c = await center(plotOf(page.locator('[data-pane=left]')));
  await page.mouse.move(c.x, c.y);
  await page.mouse.move(c.x + 20, c.y, { steps: 3 });
  await page.locator('[data-pane=right] .crosshair').waitFor({ state: 'visible' });
  requests.length = 0;
  await page.mouse.down();
  await page.mouse.move(c.x + 90, c.y, { steps: 5 });
  await page.mouse.up();
  await page.waitForFunction(() => /from=\d{13}/.test(location.search));
  await settled(page);
  const from = Number(param(page, 'from')), metric = requests.find((r) => r.url.includes('/metrics/')), logs = requests.find((r) => r.url.includes('/logs/') && r.query.startsWith('{'));
  assert.ok(Math.abs(Number(metric.start) * 1000 - from) < 60000 && Math.abs(Number(logs.start) / 1e6 - from) < 1000, 'both panes ask for the new range');
  await close();
  const two = await open('/d/application');
  await panel(two.page, 'Requests by endpoint').hover();
  await two.page.getByRole('button', { name: 'Menu of Requests by endpoint' }).click();
  await two.page.getByRole('menuitem', { name: 'Logs for this' }).click();
  await two.page.waitForURL(/\/explore/);
  await two.page.locator('[data-pane=left]').waitFor();
  await two.page.locator('[data-pane=right] .log').first().waitFor();
  await two.close();
});

test('live tail follows over a web socket', async () => {
  const { page, close } = await open(explore(['logs', '{job="titan"}']));
  await page.getByRole('button', { name: 'Live', exact: true }).click();
  await page.locator('.live.open').waitFor({ timeout: 8000 });
  await page.waitForFunction(() => Number(/(\d+) lines/.exec(document.querySelector('.live')?.textContent ?? '')?.[1] ?? 0) > 3, null, { timeout: 15000 });
  const first = await page.locator('.log time').first().textContent();
  await page.waitForFunction((t) => document.querySelector('.log time')?.textContent > t, first, { timeout: 10000 });
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.locator('.volume[data-total]').waitFor();
  await close();
});

test('search text and labels narrow the logs', async () => {
  const { page, close } = await open(explore(['logs', '{job=~".+"}'])), text = 'PRODUCTS';
  await page.getByRole('searchbox', { name: 'Search text' }).fill(text);
  await page.keyboard.press('Enter');
  await page.waitForFunction((text) => decodeURIComponent(location.search.replace(/\+/g, ' ')).includes(`(?i)${text}`), text);
  await settled(page);
  assert.match(await page.locator('.log mark').first().textContent(), /products/);
  await page.getByRole('button', { name: 'Label', exact: true }).click();
  await page.locator('.popover').getByRole('option', { name: 'level' }).click();
  await page.locator('.popover').getByRole('option', { name: 'error' }).click();
  await page.waitForFunction(() => decodeURIComponent(location.search.replace(/\+/g, ' ')).replace(/\\/g, '').includes('level="error"'));
  await close();
});
