// Interactions 1 to 4: crosshair, drag to zoom, tooltip, legend.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { board, center, open, panel, param, plotOf, real, series, settled } from './harness.mjs';

const two = (uid, graphTooltip) => board({ uid, title: `Charts ${graphTooltip}`, graphTooltip, panels: [series(1, 'First', 'sum by (endpoint) (rate(http_requests_total[1m]))', { x: 0, y: 0, w: 12, h: 10 }, { defaults: { unit: 'reqps' } }), series(2, 'Second', 'node_load1', { x: 12, y: 0, w: 12, h: 10 })] });

test('1 the crosshair is shared when the dashboard asks for it', async () => {
  const { page, close } = await open(await two('browser-cross', 1)), c = await center(plotOf(panel(page, 'First')));
  await page.mouse.move(c.x, c.y);
  await page.mouse.move(c.x + 40, c.y, { steps: 4 });
  const line = panel(page, 'Second').locator('.crosshair');
  await line.waitFor({ state: 'visible' });
  const share = (b, x) => (x - b.x) / b.width, here = share(await plotOf(panel(page, 'First')).boundingBox(), c.x + 40), there = share(await plotOf(panel(page, 'Second')).boundingBox(), (await line.boundingBox()).x);
  assert.ok(Math.abs(here - there) < 0.01, `the line stands at ${there}, the pointer at ${here}`);
  await page.mouse.move(5, 5);
  await line.waitFor({ state: 'hidden' });
  await close();
  const off = await open(await two('browser-cross0', 0)), c2 = await center(plotOf(panel(off.page, 'First')));
  await off.page.mouse.move(c2.x, c2.y, { steps: 3 });
  await off.page.waitForTimeout(200);
  assert.equal(await off.page.locator('.crosshair:visible').count(), 0);
  await off.close();
});

test('2 dragging zooms all panels and the URL; Back undoes it; double click and t z zoom out', async () => {
  const { page, requests, close } = await open(`${await two('browser-zoom', 1)}?from=now-1h&to=now`), c = await center(plotOf(panel(page, 'First')));
  requests.length = 0;
  await page.mouse.move(c.x - 80, c.y);
  await page.mouse.down();
  await page.mouse.move(c.x + 80, c.y, { steps: 6 });
  await page.mouse.up();
  await page.waitForFunction(() => /from=\d{13}/.test(location.search));
  await settled(page);
  const from = Number(param(page, 'from')), to = Number(param(page, 'to')), share = (to - from) / 3600e3, want = 160 / c.box.width;
  assert.ok(Math.abs(share - want) < 0.02, `zoomed to ${share} of the range, dragged over ${want}`);
  const asked = requests.filter((r) => r.url.endsWith('query_range'));
  assert.equal(asked.length, 2, 'each panel asks once');
  for (const r of asked) assert.ok(Number(r.start) * 1000 >= from - 60000 && Number(r.end) * 1000 <= to + 1, 'panels ask for the new range');
  await page.goBack();
  await page.waitForFunction(() => new URLSearchParams(location.search).get('from') === 'now-1h');
  await settled(page);
  const p2 = await center(plotOf(panel(page, 'First')));
  await page.mouse.dblclick(p2.x, p2.y);
  await page.waitForFunction(() => /from=\d{13}/.test(location.search));
  assert.ok(Math.abs(Number(param(page, 'to')) - Number(param(page, 'from')) - 7200e3) < 5000, 'twice the span');
  await page.mouse.move(5, 5);
  await page.keyboard.press('t');
  await page.keyboard.press('z');
  await page.waitForFunction(() => { const p = new URLSearchParams(location.search); return p.get('to') - p.get('from') > 14e6; });
  await close();
});

test('3 the tooltip is sorted, marks the nearest, shows units and stays on the screen', { skip: real && 'needs an hour of data' }, async () => {
  const { page, close } = await open(await two('browser-tip', 1), { width: 1100, height: 520 }), over = plotOf(panel(page, 'First')), b = await over.boundingBox();
  for (const [fx, fy] of [[0.5, 0.5], [0.98, 0.9], [0.02, 0.05]]) {
    await page.mouse.move(b.x + b.width * fx, b.y + b.height * fy, { steps: 3 });
    const tip = page.locator('.chart-tip');
    await tip.waitFor({ state: 'visible' });
    const t = await tip.boundingBox();
    assert.ok(t.x >= 0 && t.y >= 0 && t.x + t.width <= 1100 && t.y + t.height <= 520, `clipped at ${JSON.stringify(t)}`);
  }
  const over2 = plotOf(panel(page, 'Second')), b2 = await over2.boundingBox();
  await page.mouse.move(b2.x + b2.width - 2, b2.y + b2.height - 2, { steps: 3 });
  await page.waitForTimeout(100);
  const edge = await page.locator('.chart-tip').boundingBox();
  assert.ok(edge.x + edge.width <= 1100 && edge.y + edge.height <= 520);
  await page.mouse.move(b.x + b.width * 0.4, b.y + 8, { steps: 3 });
  await page.waitForTimeout(100);
  const rows = await page.locator('.chart-tip .row').evaluateAll((l) => l.map((r) => ({ value: r.querySelector('.value').textContent, bold: r.classList.contains('bold') })));
  assert.ok(rows.length > 3);
  assert.ok(rows.every((r) => /req\/s$/.test(r.value)), 'values in their unit');
  const numbers = rows.map((r) => parseFloat(r.value));
  assert.deepEqual(numbers, [...numbers].sort((x, y) => y - x));
  assert.equal(rows.filter((r) => r.bold).length, 1);
  assert.ok(rows[0].bold, 'the top line is nearest to the top');
  await close();
});

test('4 legend: click isolates, Ctrl+click toggles, headings sort', async () => {
  const { page, close } = await open(await two('browser-legend', 1)), p = panel(page, 'First'), names = p.locator('.legend-name'), total = await names.count(), off = () => p.locator('tr.off').count();
  assert.ok(total >= 4);
  await names.nth(1).click();
  assert.equal(await off(), total - 1);
  await names.nth(1).click();
  assert.equal(await off(), 0);
  await names.nth(0).click({ modifiers: ['Control'] });
  assert.equal(await off(), 1);
  assert.equal(await names.nth(0).getAttribute('aria-pressed'), 'false');
  await names.nth(0).click({ modifiers: ['Control'] });
  assert.equal(await off(), 0);
  const column = () => p.locator('tbody tr').evaluateAll((l) => l.map((r) => parseFloat(r.lastElementChild.textContent)));
  await p.locator('th button', { hasText: 'Max' }).click();
  const down = await column();
  assert.deepEqual(down, [...down].sort((a, b) => b - a));
  assert.equal(await p.locator('th[aria-sort=descending]').count(), 1);
  await p.locator('th button', { hasText: 'Max' }).click();
  const up = await column();
  assert.deepEqual(up, [...up].sort((a, b) => a - b));
  await close();
});
