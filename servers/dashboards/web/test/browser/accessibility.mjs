// Every page without serious axe findings, dark and light, in three widths; no sideways scrolling.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { explore, open } from './harness.mjs';

const axe = readFileSync(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const pages = { home: '/', dashboards: '/dashboards', import: '/dashboard/import', system: '/d/system', application: '/d/application', logs: '/d/logs', edit: '/d/system?editPanel=1', explore: explore(['metrics', 'node_load1'], ['logs', '{job="titan"} |= "error"']), rules: '/alerting/list', history: '/alerting/history', silences: '/alerting/silences?new=1', contacts: '/alerting/contacts' };

for (const [name, path] of Object.entries(pages)) {
  test(`accessible: ${name}`, async () => {
    for (const theme of ['dark', 'light']) for (const width of [360, 768, 1920]) {
      const { page, close } = await open(path, { theme, width, height: width < 700 ? 800 : 1000 });
      // Lines that the browser leaves out until they are scrolled to have places that overlap.
      await page.evaluate(() => { for (const line of document.querySelectorAll('.log')) line.style.contentVisibility = 'visible'; });
      await page.evaluate(axe);
      const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'], rules: { 'scrollable-region-focusable': { enabled: true } } }));
      const bad = result.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical').map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target.join(' ')} ${n.any[0]?.message ?? ''}`).join(' | ')}`);
      assert.deepEqual(bad, [], `${name}, ${theme}, ${width} px`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${name} scrolls ${wide} px sideways at ${width} px`);
      await close();
    }
  });
}
