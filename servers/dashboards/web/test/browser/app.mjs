// Home, lists, alerts, silences, theme, sign-in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dropBoards, open, real, state, settled } from './harness.mjs';

test('home tells the health of the four hosts and links on', async () => {
  await dropBoards();
  const { page, close } = await open('/');
  for (const h of ['web', 'metrics', 'logs', 'dashboards']) await page.locator(`[data-host=${h}] .state`).waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll('.key b')].every((b) => b.textContent !== '…'));
  assert.equal(await page.locator('.key').count(), 6);
  await page.locator('.card.list a', { hasText: 'System' }).click();
  await page.waitForURL(/\/d\/system/);
  await close();
});

test('dashboards are searched and grouped by folder', async () => {
  const { page, close } = await open('/dashboards');
  await page.getByRole('link', { name: 'Application' }).first().waitFor();
  await page.getByRole('searchbox', { name: 'Search dashboards' }).fill('investig');
  await page.waitForFunction(() => location.search.includes('query=investig') && document.querySelectorAll('.rows li').length === 1);
  await close();
});

test('alerts: rules open, filter by state, instances lead to a silence', async () => {
  const { page, close } = await open('/alerting/list');
  await page.locator('.rule').first().waitFor();
  const all = await page.locator('.rule').count();
  await page.locator('.chip.inactive').click();
  assert.ok((await page.locator('.rule').count()) <= all);
  await page.locator('.chip').first().click();
  const head = page.locator('.rule-head').first();
  if ((await head.getAttribute('aria-expanded')) === 'false') await head.click();
  await page.locator('.rule.open .rule-body').first().getByRole('link', { name: 'Silence' }).first().click();
  const dialog = page.getByRole('dialog', { name: 'New silence' });
  await dialog.waitFor();
  assert.equal(await dialog.getByLabel('Label').first().inputValue(), 'alertname');
  assert.notEqual(await dialog.getByLabel('Value').first().inputValue(), '');
  await dialog.getByLabel('Comment').fill('made by the browser test');
  await dialog.getByRole('button', { name: '30m' }).click();
  await dialog.getByRole('button', { name: 'Create silence' }).click();
  const card = page.locator('.silence', { hasText: 'made by the browser test' });
  await card.waitFor();
  await card.getByRole('button', { name: 'Expire' }).click();
  await card.waitFor({ state: 'hidden' });
  await page.getByLabel('Show expired').check();
  await card.getByRole('button', { name: 'Recreate' }).waitFor();
  await page.getByRole('link', { name: 'Contact points' }).click();
  await page.locator('.card, .empty-state').first().waitFor();
  assert.ok(!/https:\/\/hooks\.slack/.test(await page.content()), 'no secret is shown');
  await close();
});

test('alert history: timeline and list', async () => {
  const { page, close } = await open('/alerting/history?from=now-24h&to=now');
  await page.locator('.timeline canvas[data-drawn], .empty-state').first().waitFor();
  if (!real) assert.ok((await page.locator('.events li').count()) >= 6);
  await close();
});

test('the theme is kept, an unknown page says so', async () => {
  const { page, close } = await open('/');
  await page.getByRole('button', { name: 'Light theme' }).click();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'light');
  await page.reload();
  await settled(page);
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'light');
  await page.goto(new URL('/no/such/page', page.url()).href);
  await page.getByText('There is no such page').waitFor();
  await close();
});

test('signing in', { skip: real ? 'needs the test server' : false }, async () => {
  state().signedIn = false;
  try {
    const { page, close } = await open('/d/system', { wait: false });
    await page.getByLabel('User').fill('admin');
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Password').fill('admin');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.locator('.panel').first().waitFor();
    assert.match(page.url(), /\/d\/system/);
    await close();
  } finally { state().signedIn = true; }
});
