// A recorded node exporter page continued in time: counters grow with a waving rate, gauges wander, constants stay.
// Every value is a pure function of time, so history and live page fit together. Test only.
import { readFileSync } from 'node:fs';

const epoch = 1_700_000_000, recordedUptime = 1108;

function parsePage(text) {
  const types = new Map(), samples = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('# TYPE ')) {
      const [, , name, type] = line.split(' ');
      types.set(name, type);
    } else if (line && !line.startsWith('#')) {
      const cut = line.lastIndexOf(' '), series = line.slice(0, cut), open = series.indexOf('{');
      samples.push({ name: open < 0 ? series : series.slice(0, open), body: open < 0 ? '' : series.slice(open + 1, -1), value: Number(line.slice(cut + 1)) });
    }
  }
  return { types, samples };
}

const hash = (s) => { let h = 2166136261; for (const c of s) h = Math.imul(h ^ c.charCodeAt(0), 16777619) >>> 0; return h / 4294967296; };
const constants = /_info$|_max$|_size|_boot|time_seconds$|MemTotal|speed|mtu|_limit|SwapTotal|HugePages|Hugepagesize|_up$|carrier|scrape_collector_success|VmallocTotal|dmi|_status/;

/** Series of the page: `{name, body, at(t)}`, `body` being the label text without braces. */
export function nodeSeries(file = new URL('../fixtures/node.prom', import.meta.url)) {
  const { types, samples } = parsePage(readFileSync(file, 'utf8'));
  const busy = new Map();
  const series = samples.filter((s) => Number.isFinite(s.value)).map((s) => {
    const key = s.name + s.body, phase = hash(key) * 6.28, wave = 0.03 + hash(key + 'w') * 0.12;
    const family = s.name.replace(/_(total|bucket|sum|count)$/, '');
    const counter = types.get(s.name) === 'counter' || ['histogram', 'summary'].includes(types.get(family));
    const rate = s.value / recordedUptime, whole = Number.isInteger(s.value);
    let at;
    if (s.name === 'node_time_seconds') at = (t) => t;
    else if (s.name === 'node_boot_time_seconds') at = (t) => Math.floor(t / 864000) * 864000 - 93000;
    else if (s.value === 0 || (s.value === 1 && !/load|procs/.test(s.name)) || constants.test(s.name)) at = () => s.value;
    else if (counter) {
      const growth = (t) => rate * (t - epoch - 0.6 * 260 * Math.cos((t - epoch) / 260 + phase) - 0.25 * 41 * Math.cos((t - epoch) / 41 + phase) + 5000);
      at = whole ? (t) => Math.round(growth(t)) : growth;
    } else {
      const amp = /load|procs_running/.test(s.name) ? 0.5 : /avail|free|Free/.test(s.name) ? 0.04 : wave;
      const bounded = /avail|free|Available|Free/.test(s.name); // never above its total
      const gauge = (t) => Math.max(0, s.value * (1 + amp * (Math.sin(t / 700 + phase) - (bounded ? 1.4 : 0)) + amp * 0.35 * Math.sin(t / 83 + phase)));
      at = whole ? (t) => Math.round(gauge(t)) : gauge;
    }
    const cpu = s.name === 'node_cpu_seconds_total' && /cpu="(\d+)"/.exec(s.body)?.[1];
    if (cpu) {
      if (!busy.has(cpu)) busy.set(cpu, []);
      if (/mode="idle"/.test(s.body)) at = (t) => t - epoch + 50000 - busy.get(cpu).reduce((sum, f) => sum + f(t), 0);
      else {
        const scaled = at;
        at = (t) => scaled(t) * 0.55;
        busy.get(cpu).push(at);
      }
    }
    return { name: s.name, body: s.body, type: types.get(s.name) ?? types.get(family) ?? 'untyped', at };
  });
  return series;
}

export function nodePage(series, t) {
  return series.map((s) => `${s.name}${s.body ? `{${s.body}}` : ''} ${s.at(t)}`).join('\n') + '\n';
}
