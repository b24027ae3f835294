// Starts Debian's prometheus on a free loopback port with a history filled in beforehand; it goes on scraping the same
// synthetic pages (node.mjs, titan.mjs) from the test server. Test only. Needs `prometheus` and `promtool` in the PATH.
import { spawn, spawnSync } from 'node:child_process';
import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { nodeSeries } from './node.mjs';
import { labelText, titanSamples } from './titan.mjs';

export function freePort() {
  return new Promise((resolve, reject) => {
    const s = net.createServer();
    s.once('error', reject);
    s.listen(0, '127.0.0.1', () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
}

async function waitFor(url, ms = 20000) {
  const end = Date.now() + ms;
  for (;;) {
    try {
      const r = await fetch(url);
      if (r.ok) return r;
    } catch { /* not up yet */ }
    if (Date.now() > end) throw new Error(`${url} did not come up in ${ms} ms`);
    await new Promise((r) => setTimeout(r, 150));
  }
}

/** Writes OpenMetrics text for the history and turns it into blocks. */
async function backfill(dir, hours, targets) {
  const file = path.join(dir, 'history.om');
  const out = createWriteStream(file);
  const now = Math.floor(Date.now() / 1000);
  const stepSecs = 15, from = now - hours * 3600, to = now - 10;
  const write = async (chunk) => { if (!out.write(chunk)) await once(out, 'drain'); };
  const families = new Map();
  for (const s of nodeSeries()) {
    if (!families.has(s.name)) families.set(s.name, []);
    families.get(s.name).push({ labels: `{${s.body ? s.body + ',' : ''}job="node",instance="${targets.node}"}`, at: s.at });
  }
  for (const [name, list] of families) {
    await write(`# TYPE ${name} unknown\n`);
    for (const { labels, at } of list) {
      let text = '';
      for (let t = from; t <= to; t += stepSecs) text += `${name}${labels} ${at(t)} ${t}\n`;
      await write(text);
    }
  }
  const titan = new Map();
  for (let t = from; t <= to; t += stepSecs) {
    for (const [name, labels, value] of titanSamples(t)) {
      const key = labelText({ ...labels, job: 'titan', instance: targets.titan });
      if (!titan.has(name)) titan.set(name, []);
      titan.get(name).push(`${name}${key} ${value} ${t}\n`);
    }
  }
  for (const [name, lines] of titan) await write(`# TYPE ${name} unknown\n${lines.join('')}`);
  const up = [['node', targets.node], ['titan', targets.titan], ['metrics', '127.0.0.1:9090']];
  await write('# TYPE up unknown\n');
  for (const [job, instance] of up) for (let t = from; t <= to; t += stepSecs) await write(`up{job="${job}",instance="${instance}"} 1 ${t}\n`);
  await write('# EOF\n');
  out.end();
  await once(out, 'finish');
  const r = spawnSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', '--max-block-duration=24h', file, path.join(dir, 'tsdb')], { encoding: 'utf8' });
  if (r.status !== 0) throw new Error(`promtool: ${r.stderr || r.stdout}`);
  rmSync(file);
}

export async function startPrometheus({ hours = 3, appPort, log = () => {} }) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'foursight-prom-'));
  mkdirSync(path.join(dir, 'tsdb'));
  const children = [];
  const stop = async () => {
    await Promise.all(children.map((c) => new Promise((done) => {
      if (c.exitCode !== null) return done();
      c.once('exit', done);
      c.kill('SIGTERM');
      setTimeout(() => c.kill('SIGKILL'), 4000).unref();
    })));
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const promPort = await freePort();
    const run = (cmd, args) => {
      const c = spawn(cmd, args, { stdio: 'ignore', cwd: dir });
      c.once('error', (e) => log(`${cmd}: ${e.message} (apt-get install prometheus)`));
      children.push(c);
    };
    const targets = { node: '127.0.0.1:9100', titan: '127.0.0.1:5000' };
    log(`filling in ${hours} h of history`);
    await backfill(dir, hours, targets);
    const job = (name, port, instance, extra = '') => `  - job_name: ${name}
    static_configs: [{targets: ['127.0.0.1:${port}']}]
    ${extra}
    relabel_configs: [{target_label: instance, replacement: '${instance}'}]
`;
    writeFileSync(path.join(dir, 'prometheus.yml'), `global: {scrape_interval: 15s}
scrape_configs:
${job('node', appPort, targets.node, 'metrics_path: /test/node/metrics')}${job('titan', appPort, targets.titan, 'metrics_path: /test/titan/metrics')}${job('metrics', promPort, '127.0.0.1:9090')}`);
    run('prometheus', [`--config.file=${dir}/prometheus.yml`, `--storage.tsdb.path=${dir}/tsdb`, `--web.listen-address=127.0.0.1:${promPort}`, '--storage.tsdb.retention.time=30d']);
    const url = `http://127.0.0.1:${promPort}`;
    await waitFor(`${url}/-/ready`, 60000);
    return { url, stop };
  } catch (e) {
    await stop();
    throw e;
  }
}
