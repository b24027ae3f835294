// Browser tests. FOURSIGHT_URL=http://host:3000 runs them against a real server instead of the test server.
import { after, before } from 'node:test';
import { dropBoards, start, stop } from './harness.mjs';

before(start, { timeout: 120000 });
after(async () => { await dropBoards().catch(() => {}); await stop(); }, { timeout: 30000 });

await import('./charts.mjs');
await import('./dashboards.mjs');
await import('./explore.mjs');
await import('./app.mjs');
await import('./accessibility.mjs');
await import('./acceptance.mjs');
