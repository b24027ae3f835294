// Interactions 5, 10, 11, 12: time picker, variables, keyboard, loading and failure; and editing, saving, importing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { board, center, open, panel, param, series, settled } from './harness.mjs';

const grid = (i) => ({ x: (i % 2) * 12, y: Math.floor(i / 2) * 8, w: 12, h: 8 });
const simple = (uid, more = {}) => board({ uid, title: 'Simple', graphTooltip: 1, panels: [series(1, 'Load', 'node_load1', grid(0)), series(2, 'Requests', 'sum(rate(http_requests_total[1m]))', grid(1))], ...more });
const rangeButton = (page) => page.getByRole('button', { name: /^Time range:/ });

test('5 time picker: relative, absolute, paste, zone; each panel asks exactly once', async () => {
  const { page, requests, close } = await open(await simple('browser-time'), { permissions: ['clipboard-read', 'clipboard-write'] });
  const asked = () => requests.filter((r) => /query(_range)?$/.test(r.url));
  assert.equal(asked().length, 2, 'first load: one request a panel');
  requests.length = 0;
  await rangeButton(page).click();
  await page.getByRole('button', { name: 'Last 6 hours' }).click();
  await settled(page);
  assert.equal(param(page, 'from'), 'now-6h');
  assert.equal(asked().length, 2, 'a new range: one request a panel');
  assert.match(await rangeButton(page).textContent(), /Last 6 hours/);
  await rangeButton(page).click();
  await page.getByLabel('From', { exact: true }).fill('2026-01-02 03:00');
  await page.getByLabel('To', { exact: true }).fill('2026-01-02 04:00');
  await page.getByRole('button', { name: 'Apply' }).click();
  await settled(page);
  assert.equal(Number(param(page, 'to')) - Number(param(page, 'from')), 3600e3);
  await page.evaluate(() => navigator.clipboard.writeText('{"from":"now-15m","to":"now"}'));
  await rangeButton(page).click();
  await page.getByRole('button', { name: 'Paste' }).click();
  await page.waitForFunction(() => location.search.includes('from=now-15m'));
  await rangeButton(page).click();
  await page.getByLabel('From', { exact: true }).fill('now-x');
  assert.ok(await page.getByRole('button', { name: 'Apply' }).isDisabled(), 'an unreadable time cannot be applied');
  await page.getByRole('button', { name: /^Time zone/ }).click();
  await page.getByRole('combobox', { name: 'Search Time zone' }).fill('berlin');
  await page.getByRole('option', { name: /Berlin/ }).click();
  await page.keyboard.press('Escape');
  assert.match(await rangeButton(page).textContent(), /Europe\/Berlin/);
  requests.length = 0;
  await page.getByRole('button', { name: /^Refresh/ }).click();
  await settled(page);
  assert.equal(asked().length, 2, 'a refresh: one request a panel');
  await close();
});

test('5 auto-refresh rests while the tab is hidden', async () => {
  const { page, requests, close } = await open(`${await simple('browser-auto')}?refresh=5s`);
  const hide = (hidden) => page.evaluate((h) => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => h }); document.dispatchEvent(new Event('visibilitychange')); }, hidden);
  requests.length = 0;
  await page.waitForTimeout(5600);
  assert.equal(requests.length, 2, 'one round in five seconds');
  await hide(true);
  requests.length = 0;
  await page.waitForTimeout(6500);
  assert.equal(requests.length, 0, 'no round while hidden');
  await hide(false);
  await page.waitForTimeout(500);
  assert.equal(requests.length, 2, 'a round at once when shown again');
  await close();
});

test('10 variables: search, multi, All, chains in order, URL, nothing unresolved', async () => {
  const q = (name, query, o = {}) => ({ name, type: 'query', datasource: { type: 'prometheus', uid: '${ds}' }, query: { query, refId: 'x' }, refresh: 1, sort: 1, ...o });
  const path = await board({ uid: 'browser-vars', title: 'Variables', templating: { list: [q('endpoint', 'label_values(http_requests_total{job="$job"}, endpoint)', { multi: true, includeAll: true, current: { text: 'All', value: '$__all' } }), q('job', 'label_values(http_requests_total, job)'), { name: 'ds', type: 'datasource', query: 'prometheus', current: {} }] },
    panels: [{ ...series(1, 'By $endpoint', 'sum by (endpoint) (rate(http_requests_total{job="$job", endpoint=~"$endpoint"}[$__rate_interval]))', grid(0)), datasource: { type: 'prometheus', uid: '${ds}' }, targets: [{ refId: 'A', expr: 'sum by (endpoint) (rate(http_requests_total{job="$job", endpoint=~"$endpoint"}[$__rate_interval]))', datasource: { uid: '${ds}' } }] }] });
  const { page, requests, close } = await open(path);
  const order = requests.filter((r) => /label\//.test(r.url)).map((r) => r.url.replace(/.*label\/(\w+)\/.*/, '$1'));
  assert.deepEqual(order, ['job', 'endpoint'], 'chained variables are asked in order, once each');
  assert.ok(requests.findIndex((r) => r.url.endsWith('query_range')) > requests.findIndex((r) => /label\/endpoint/.test(r.url)), 'panels wait for the variables');
  assert.equal(param(page, 'var-endpoint'), '$__all');
  await page.getByRole('button', { name: 'endpoint: All' }).click();
  const search = page.getByRole('combobox', { name: /Search/ });
  await search.fill('cart');
  assert.match(await page.getByRole('option').first().textContent(), /\/api\/cart/);
  assert.ok(await page.getByRole('option').count() <= 2, 'the search narrows the list');
  await page.getByRole('option').first().click();
  await search.fill('orders');
  await page.getByRole('option').first().click();
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => new URLSearchParams(location.search).getAll('var-endpoint').length === 2);
  await settled(page);
  const last = requests.filter((r) => r.url.endsWith('query_range')).at(-1).query;
  assert.match(last, /endpoint=~"\(\/api\/cart\|\/api\/orders\)"/);
  assert.match(await page.locator('.panel h3').first().textContent(), /cart \+ .*orders/);
  for (const r of requests) assert.ok(!r.query.includes('$'), `unresolved: ${r.query}`);
  await page.goBack();
  await page.waitForFunction(() => new URLSearchParams(location.search).get('var-endpoint') === '$__all');
  await close();
});

test('11 keyboard: view, explore, refresh, shift, palette, help, Esc, focus', async () => {
  const { page, requests, close } = await open(await simple('browser-keys')), c = await center(panel(page, 'Load'));
  await page.mouse.move(c.x, c.y);
  await page.keyboard.press('v');
  await page.waitForFunction(() => location.search.includes('viewPanel=1'));
  assert.equal(await page.locator('.panel').count(), 1);
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => !location.search.includes('viewPanel'));
  await settled(page);
  requests.length = 0;
  await page.keyboard.press('d');
  await page.keyboard.press('r');
  await settled(page);
  assert.equal(requests.length, 2);
  await page.keyboard.press('t');
  await page.keyboard.press('ArrowLeft');
  await page.waitForFunction(() => /from=\d{13}/.test(location.search));
  assert.ok(Number(param(page, 'to')) < Date.now() - 25 * 60000, 'half an hour earlier');
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('/');
  const palette = page.getByRole('dialog', { name: 'Command palette' });
  await palette.waitFor();
  await page.keyboard.press('Escape');
  await palette.waitFor({ state: 'hidden' });
  await page.keyboard.press('Control+k');
  await palette.waitFor();
  await page.keyboard.type('silences');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/alerting\/silences/);
  await page.goBack();
  await settled(page);
  const c2 = await center(panel(page, 'Load'));
  await page.mouse.move(c2.x, c2.y);
  await page.mouse.move(c2.x + 3, c2.y);
  await page.keyboard.press('e');
  await page.waitForURL(/\/explore/);
  assert.match(decodeURIComponent(page.url()), /node_load1/);
  await page.goBack();
  await settled(page);
  // every stop of the Tab key shows where it is
  await page.mouse.move(2, 2);
  for (let i = 0; i < 25; i++) {
    await page.keyboard.press('Tab');
    const seen = await page.evaluate(() => { const e = document.activeElement; if (!e || e === document.body) return true; const s = getComputedStyle(e); return (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== 'none'; });
    assert.ok(seen, `no visible focus on stop ${i}`);
  }
  const menu = panel(page, 'Load').getByRole('button', { name: 'Menu of Load' });
  await menu.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('menuitem', { name: 'Inspect data' }).waitFor();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Escape');
  assert.ok(await menu.evaluate((e) => e === document.activeElement), 'Esc gives the focus back');
  await close();
});

test('12 loading keeps layout and old data, aborts what is out of date; errors stay in their panel', async () => {
  let hold = null, fail = false;
  const { page, requests, close } = await open(`${await simple('browser-load')}?from=now-1h&to=now`, { before: (p) => p.route(/\/api\/datasources\/proxy\/uid\/metrics\/.*query_range/, async (route) => {
    if (fail && (route.request().postData() ?? '').includes('node_load1')) return route.fulfill({ status: 422, contentType: 'application/json', body: JSON.stringify({ status: 'error', errorType: 'execution', error: 'query processing would load too many samples into memory' }) });
    if (hold) await hold;
    return route.continue().catch(() => {});
  }) });
  const boxes = () => page.locator('.panel').evaluateAll((l) => l.map((p) => { const r = p.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })), before = await boxes();
  const aborted = [];
  page.on('requestfailed', (r) => { if (/query_range/.test(r.url())) aborted.push(r.failure()?.errorText); });
  let release;
  hold = new Promise((r) => { release = r; });
  requests.length = 0;
  await page.keyboard.press('d');
  await page.keyboard.press('r');
  await page.waitForFunction(() => document.querySelectorAll('.panel-body.stale').length === 2);
  assert.equal(await page.locator('.u-over').count(), 2, 'the old charts stay');
  assert.deepEqual(await boxes(), before, 'nothing jumps');
  await rangeButton(page).click();
  await page.getByRole('button', { name: 'Last 15 minutes' }).click();
  await page.waitForTimeout(400);
  assert.ok(aborted.length >= 2 && aborted.every((e) => /ABORTED/.test(e)), `requests of the old range are aborted: ${aborted}`);
  release();
  hold = null;
  await settled(page);
  fail = true;
  await page.keyboard.press('d');
  await page.keyboard.press('r');
  await panel(page, 'Load').getByRole('alert').waitFor();
  assert.match(await panel(page, 'Load').getByRole('alert').textContent(), /too many samples/);
  await settled(page);
  assert.equal(await panel(page, 'Requests').getAttribute('data-state'), 'done');
  assert.equal(await panel(page, 'Requests').getByRole('alert').count(), 0, 'the other panel works');
  assert.deepEqual(await boxes(), before);
  await close();
});

test('panels of every type draw, an unknown type is a quiet placeholder', async () => {
  const p = (id, type, expr, o = {}) => ({ id, type, title: type, gridPos: { x: ((id - 1) % 4) * 6, y: Math.floor((id - 1) / 4) * 6, w: 6, h: 6 }, datasource: { type: 'prometheus', uid: 'metrics' }, targets: expr ? [{ refId: 'A', expr, instant: !!o.instant, range: !o.instant, format: o.format ?? 'time_series', legendFormat: '__auto' }] : [], fieldConfig: { defaults: o.defaults ?? {}, overrides: [] }, options: o.options ?? {} });
  const logs = { type: 'loki', uid: 'logs' };
  const path = await board({ uid: 'browser-types', title: 'Types', panels: [
    p(1, 'timeseries', 'node_load1'), p(2, 'stat', 'node_load1'), p(3, 'gauge', 'node_load1'), p(4, 'bargauge', 'sum by (mode) (node_cpu_seconds_total)', { instant: true }), p(5, 'table', 'up', { instant: true, format: 'table' }), p(6, 'text', null, { options: { mode: 'markdown', content: '# Hello\n\n<script>window.evil = 1</script><img src=x onerror="window.evil=1"><a href="javascript:window.evil=1">x</a> **bold**' } }),
    { ...p(7, 'logs', '{job="titan"}'), datasource: logs }, p(8, 'heatmap', 'sum by (le) (increase(http_request_duration_seconds_bucket[1m]))', { format: 'heatmap' }), p(9, 'barchart', 'sum by (endpoint) (http_requests_total)', { instant: true, format: 'table' }), p(10, 'piechart', 'sum by (endpoint) (http_requests_total)', { instant: true }), p(11, 'histogram', 'node_load1'),
    p(12, 'state-timeline', 'up'), p(13, 'status-history', 'up'), p(14, 'alertlist', null), p(15, 'dashlist', null), p(16, 'annolist', null), p(17, 'nodeGraph', 'up'),
  ] });
  const { page, close } = await open(path, { height: 1500 });
  const inside = { timeseries: '.plot-host[data-drawn]', stat: '.stat-value', gauge: 'svg[role=img]', bargauge: '[role=meter]', table: '[role=row] [role=cell]', text: '.markdown strong', logs: '.log', heatmap: 'canvas[data-drawn]', barchart: 'svg rect', piechart: 'svg path', histogram: 'svg rect', 'state-timeline': 'canvas[data-drawn]', 'status-history': 'canvas[data-drawn]', alertlist: '.list-panel li, .no-data', dashlist: '.list-panel li', annolist: '.list-panel, .no-data', nodeGraph: '.panel-message.quiet' };
  for (const [type, selector] of Object.entries(inside)) await page.locator(`.panel[data-type="${type}"] ${selector}`).first().waitFor({ state: 'attached', timeout: 8000 }).catch(() => assert.fail(`${type} drew nothing`));
  assert.match(await page.locator('.panel[data-type=nodeGraph]').textContent(), /nodeGraph/);
  assert.equal(await page.evaluate(() => window.evil), undefined);
  assert.equal(await page.locator('.markdown script, .markdown [onerror], .markdown a[href^="javascript"]').count(), 0);
  await close();
});

test('edit: query, title, layout; save over the API; inspect and CSV; panel JSON', async () => {
  const { page, close } = await open(await simple('browser-edit'));
  await page.getByRole('button', { name: 'Edit', exact: true }).click();
  const size = page.getByRole('button', { name: /^Resize Load/ });
  await size.focus();
  const before = (await panel(page, 'Load').boundingBox()).height;
  await page.keyboard.press('ArrowDown');
  await page.waitForTimeout(300);
  assert.ok((await panel(page, 'Load').boundingBox()).height > before + 20, 'the panel grew by a row');
  await panel(page, 'Load').hover();
  await page.getByRole('button', { name: 'Menu of Load' }).click();
  await page.getByRole('menuitem', { name: 'Edit' }).click();
  await page.getByLabel('Query A').first().waitFor();
  await page.waitForSelector('.cm-host[data-ready]');
  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+a');
  await page.keyboard.type('node_load5');
  await page.keyboard.press('Escape');
  await page.locator('.cm-content').click();
  const sent = page.waitForRequest((r) => (r.postData() ?? '').includes('node_load5'));
  await page.keyboard.press('Shift+Enter');
  await sent;
  await page.getByRole('tab', { name: 'Options' }).click();
  await page.getByLabel('Title').fill('Load 5');
  await page.getByRole('button', { name: 'Back to the dashboard' }).click();
  await panel(page, 'Load 5').waitFor();
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  const saved = page.waitForResponse((r) => r.url().endsWith('/api/dashboards/db'));
  await page.getByRole('dialog').getByRole('button', { name: 'Save', exact: true }).click();
  assert.equal((await saved).status(), 200);
  await page.reload();
  await settled(page);
  await panel(page, 'Load 5').waitFor();
  await panel(page, 'Load 5').hover();
  await page.getByRole('button', { name: 'Menu of Load 5' }).click();
  await page.getByRole('menuitem', { name: 'Inspect data' }).click();
  const csv = page.waitForEvent('download');
  await page.getByRole('button', { name: 'CSV' }).click();
  const text = await (await csv).createReadStream().then(async (s) => { let t = ''; for await (const c of s) t += c; return t; });
  assert.match(text.split('\n')[0], /^Time,/);
  assert.ok(text.split('\n').length > 50);
  await page.getByRole('tab', { name: 'JSON' }).click();
  assert.match(await page.getByLabel('Panel JSON').inputValue(), /node_load5/);
  await close();
});

test('import: a file with inputs asks for the data source', async () => {
  const { page, close } = await open('/dashboard/import');
  await page.getByLabel('or paste its JSON').fill('{"a":');
  await page.getByRole('alert').waitFor();
  const json = { __inputs: [{ name: 'DS_X', label: 'Prometheus', type: 'datasource', pluginId: 'prometheus' }], title: 'Imported', uid: 'browser-import', schemaVersion: 14, rows: [{ height: '250px', panels: [{ type: 'graph', title: 'Old graph', span: 12, datasource: '${DS_X}', targets: [{ expr: 'node_load1', legendFormat: 'load' }], yaxes: [{ format: 'short' }, {}] }] }] };
  await page.locator('input[type=file]').setInputFiles({ name: 'd.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(json)) });
  await page.getByLabel('Title').waitFor();
  assert.equal(await page.getByLabel('Prometheus').inputValue(), 'metrics', 'the only source of the type is chosen');
  await page.getByLabel(/Overwrite/).check();
  await page.getByRole('button', { name: 'Import', exact: true }).click();
  await page.waitForURL(/\/d\/browser-import/);
  await settled(page);
  await panel(page, 'Old graph').locator('.plot-host[data-drawn]').waitFor();
  await page.request.delete(new URL('/api/dashboards/uid/browser-import', page.url()).href);
  await close();
});

test('the provisioned dashboards are there and every panel has its data', async () => {
  for (const uid of ['system', 'application', 'logs']) {
    const { page, close } = await open(`/d/${uid}`, { height: 1700, width: 1600 });
    await page.waitForTimeout(800);
    await settled(page);
    const bad = await page.locator('.panel').evaluateAll((l) => l.filter((p) => p.dataset.state !== 'done' || p.querySelector('.panel-message, .no-data')).map((p) => `${p.querySelector('h3')?.textContent}: ${p.querySelector('.panel-message, .no-data')?.textContent ?? p.dataset.state}`));
    assert.deepEqual(bad, [], uid);
    await close();
  }
});
