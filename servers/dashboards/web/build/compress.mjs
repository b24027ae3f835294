// Writes .gz and .br copies beside the built text files (fixed levels, no time stamps: the same bytes every time) and checks
// the size budget: initial scripts, editor chunk, all scripts, gzipped.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';

const dist = new URL('../dist/', import.meta.url).pathname;
const files = [];
const walk = (dir) => { for (const f of readdirSync(dir).sort()) { const p = path.join(dir, f); if (statSync(p).isDirectory()) walk(p); else files.push(p); } };
walk(dist);
const gz = new Map();
for (const f of files) {
  if (!/\.(js|css|html|svg|json)$/.test(f)) continue;
  const body = readFileSync(f), small = zlib.gzipSync(body, { level: 9 });
  small[9] = 255; // operating system byte: unknown, on every machine
  gz.set(path.relative(dist, f), small.length);
  writeFileSync(`${f}.gz`, small);
  writeFileSync(`${f}.br`, zlib.brotliCompressSync(body, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: body.length } }));
}
const html = readFileSync(path.join(dist, 'index.html'), 'utf8');
const initial = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)].map((m) => m[1]);
const kb = (n) => `${(n / 1024).toFixed(1)} KB`, sum = (l) => l.reduce((s, f) => s + (gz.get(f) ?? 0), 0);
const scripts = [...gz.keys()].filter((f) => f.endsWith('.js')), editor = scripts.filter((f) => /\/cm-/.test(f));
const rows = [['initial', sum(initial), 150], ['editor', sum(editor), 180], ['all', sum(scripts), 400]];
let failed = false;
for (const [name, size, limit] of rows) {
  const over = size > limit * 1024;
  failed ||= over;
  console.log(`${name} scripts: ${kb(size)} gzipped of ${limit} KB${over ? '  OVER' : ''}`);
}
console.log(`styles: ${kb(sum([...gz.keys()].filter((f) => f.endsWith('.css'))))}; dist ${createHash('sha256').update(files.map((f) => readFileSync(f)).reduce((a, b) => Buffer.concat([a, b]), Buffer.alloc(0))).digest('hex').slice(0, 12)}`);
if (failed) process.exit(1);
