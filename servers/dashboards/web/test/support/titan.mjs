// Synthetic metrics of the Titan demo application as a pure function of time, so that a backfilled history and
// the live page continue each other without a seam. Test only.

const routes = [
  ['GET', '/', 3.1, 0.012],
  ['GET', '/api/products', 5.2, 0.031],
  ['GET', '/api/products/{id}', 4.1, 0.022],
  ['POST', '/api/cart', 1.4, 0.055],
  ['POST', '/api/orders', 0.8, 0.14],
  ['GET', '/health', 0.2, 0.002],
];
const bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const epoch = 1_700_000_000;

/** Integral of a daily and a quarter-hourly wave: a counter that grows at about `rate` per second. */
function grow(t, rate, phase) {
  const x = t - epoch;
  const slow = 0.35, day = 86400 / (2 * Math.PI), fast = 0.25, quarter = 1130 / (2 * Math.PI);
  return rate * (x - slow * day * Math.cos(x / day + phase) - fast * quarter * Math.cos(x / quarter + phase * 3) + 30000);
}
const logistic = (v) => 1 / (1 + Math.exp(-v));

/** Text of the metrics page at unix time `t` (seconds); `om` appends the timestamp and leaves comments out. */
export function titanSamples(t) {
  const out = [];
  const put = (name, labels, value) => out.push([name, labels, value]);
  routes.forEach(([method, endpoint, rate, median], i) => {
    const total = Math.floor(grow(t, rate, i));
    const failed = Math.floor(total * (endpoint.includes('orders') ? 0.021 : 0.004));
    const missing = Math.floor(total * 0.012);
    put('http_requests_total', { method, endpoint, status: method === 'POST' ? '201' : '200' }, total - failed - missing);
    put('http_requests_total', { method, endpoint, status: '404' }, missing);
    put('http_requests_total', { method, endpoint, status: '500' }, failed);
    let last = 0;
    for (const le of bounds) {
      last = Math.max(last, Math.floor(total * logistic((Math.log(le) - Math.log(median)) * 1.9)));
      put('http_request_duration_seconds_bucket', { method, endpoint, le: String(le) }, last);
    }
    put('http_request_duration_seconds_bucket', { method, endpoint, le: '+Inf' }, total);
    put('http_request_duration_seconds_sum', { method, endpoint }, total * median * 1.3);
    put('http_request_duration_seconds_count', { method, endpoint }, total);
  });
  put('http_requests_in_progress', {}, Math.max(0, Math.round(4 + 3 * Math.sin(t / 300) + 2 * Math.sin(t / 47))));
  put('titan_orders_total', { status: 'placed' }, Math.floor(grow(t, 0.8, 4)));
  put('titan_orders_total', { status: 'paid' }, Math.floor(grow(t, 0.71, 4)));
  put('titan_orders_total', { status: 'failed' }, Math.floor(grow(t, 0.04, 4)));
  put('titan_build_info', { version: '0.1.0' }, 1);
  put('process_cpu_seconds_total', {}, grow(t, 0.06, 1));
  put('process_resident_memory_bytes', {}, 48e6 + 6e6 * Math.sin(t / 900));
  put('process_start_time_seconds', {}, Math.floor(t / 86400) * 86400 - 7200);
  return out;
}

export function labelText(labels) {
  const pairs = Object.entries(labels).map(([k, v]) => `${k}="${String(v).replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`);
  return pairs.length ? `{${pairs.join(',')}}` : '';
}

export function titanPage(t) {
  return titanSamples(t).map(([n, l, v]) => `${n}${labelText(l)} ${v}`).join('\n') + '\n';
}
