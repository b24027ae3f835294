import { describe, expect, it } from 'vitest';
import type { Variable } from '../model/types';
import { readVariable } from '../model/import';
import { parseVariableQuery } from '../dash/varsource';
import { addFilters } from './adhoc';
import { formatVariable } from './format';
import { interpolate, unresolved, urlVariables, usedNames, type VarContext } from './interpolate';
import { affected, applyRegex, chooseCurrent, customOptions, layers, queryText, resolveVariables, sortOptions, variablesFromUrl } from './resolve';

const v = (name: string, value: string[], o: Partial<Variable> = {}): Variable => ({ name, type: 'query', hide: 0, current: { value, text: value[0] === '$__all' ? ['All'] : value }, options: value.map((x) => ({ text: x, value: x })), ...o });
const range = { from: 1000_000, to: 4600_000 };
const ctx = (variables: Variable[], more: Partial<VarContext> = {}): VarContext => ({ variables, range, zone: 'utc', ...more });

describe('formats', () => {
  const many = { name: 'x', values: ['a.b', 'c d'], texts: ['A', 'C'], multi: true, zone: 'utc' };
  it.each([
    ['csv', 'a.b,c d'], ['pipe', 'a.b|c d'], ['raw', 'a.b,c d'], ['json', '["a.b","c d"]'], ['glob', '{a.b,c d}'], ['regex', '(a\\.b|c d)'], ['doublequote', '"a.b","c d"'], ['singlequote', "'a.b','c d'"], ['sqlstring', "'a.b','c d'"], ['distributed', 'a.b,x=c d'], ['queryparam', 'var-x=a.b&var-x=c%20d'], ['customqueryparam:y', 'y=a.b&y=c%20d'],
    ['text', 'A + C'], ['percentencode', '%7Ba.b%2Cc%20d%7D'], ['lucene', '("a.b" OR "c d")'], ['join:;', 'a.b;c d'], ['uriencode', 'a.b,c%20d'],
  ])('%s', (format, want) => expect(formatVariable(many, format)).toBe(want));
  it('dates', () => {
    const d = { name: 't', values: ['1795444507250'], texts: [], multi: false, zone: 'utc' };
    expect(formatVariable(d, 'date')).toBe('2026-11-23T14:35:07.250Z');
    expect(formatVariable(d, 'date:seconds')).toBe('1795444507');
    expect(formatVariable(d, 'date:YYYY-MM')).toBe('2026-11');
  });
  it('an unknown format is no format', () => expect(formatVariable(many, 'sparkly')).toBeNull());
});

describe('interpolation', () => {
  const job = v('job', ['node']), hosts = v('host', ['a.b:9100', 'c'], { multi: true }), all = v('all', ['$__all'], { includeAll: true, options: [{ text: 'x', value: 'x' }, { text: 'y.z', value: 'y.z' }] }), dots = v('dots', ['$__all'], { includeAll: true, allValue: '.*' }), text = v('text', ['say "hi" \\d'], { type: 'textbox' });
  const c = ctx([job, hosts, all, dots, text, v('jobs', ['longer'])], { intervalMs: 30000, scrapeMs: 15000, dashboard: { uid: 'u1', title: 'Board' } });
  it.each([
    ['up{job="$job"}', 'up{job="node"}'], ['up{job="${job}"}', 'up{job="node"}'], ['up{job="[[job]]"}', 'up{job="node"}'], ['up{i=~"$host"}', 'up{i=~"(a\\\\.b:9100|c)"}'], ['up{i=~"$all"}', 'up{i=~"(x|y\\\\.z)"}'], ['up{i=~"$dots"}', 'up{i=~".*"}'],
    ['$jobs', 'longer'], ['$unknown ${unknown} [[unknown]]', '$unknown ${unknown} [[unknown]]'], ['rate(x[$__interval])', 'rate(x[30s])'], ['rate(x[$__rate_interval])', 'rate(x[1m])'], ['[$__range] $__range_s $__range_ms $__interval_ms', '[3600s] 3600 3600000 30000'], ['$__from ${__to:date:HH:mm}', '1000000 01:16'], ['${__dashboard.uid}', 'u1'], ['${host:csv}', 'a.b:9100,c'], ['${all:pipe}', 'x|y.z'], ['${dots:regex}', '.*'],
  ])('query %s', (t, want) => expect(interpolate(t, c, 'query')).toBe(want));
  it('a single value of a multi variable is escaped and stands bare', () => expect(interpolate('$h', ctx([v('h', ['a.b'], { multi: true })]), 'query')).toBe('a\\\\.b'));
  it('a single variable is escaped for quotes only', () => expect(interpolate('"$h"', ctx([v('h', ['a.b "x"'])]), 'query')).toBe('"a.b \\"x\\""'));
  it('texts show what a person chose', () => expect(interpolate('$job on $host, $all', c)).toBe('node on a.b:9100 + c, All'));
  it('the repeat scope wins', () => expect(interpolate('$host $job', { ...c, scope: { host: { text: 'C', value: 'c' } } }, 'query')).toBe('c node'));
  it('locals of data links', () => expect(interpolate('/d/x?h=${__field.labels.host}&v=${__value.raw}', { ...c, local: { '__field.labels.host': 'a', '__value.raw': '5' } }, 'url')).toBe('/d/x?h=a&v=5'));
  it('links keep time and variables', () => {
    expect(interpolate('?${__url_time_range}', { ...c, raw: { from: 'now-1h', to: 'now' } }, 'url')).toBe('?from=now-1h&to=now');
    expect(interpolate('${__all_variables}', ctx([job, all]))).toBe('var-job=node&var-all=%24__all');
  });
  it('an interval variable with auto follows the range', async () => {
    const [iv] = await resolveVariables([v('step', ['$__auto_interval_step'], { type: 'interval', query: '1m,10m', auto: true, auto_count: 60, auto_min: '10s' })], { range, zone: 'utc' }, { query: async () => [], datasources: () => [] }, new AbortController().signal);
    expect(interpolate('[$step]', ctx([iv!]), 'query')).toBe('[1m]');
  });
  it('knows what a text needs and what has no value yet', () => {
    expect(usedNames('a $x ${y:csv} [[z]]')).toEqual(['x', 'y', 'z']);
    expect(unresolved('up{a="$empty"}', ctx([v('empty', [])]))).toBe('empty');
    expect(unresolved('up{a="$job"}', c)).toBeNull();
  });
});

describe('options', () => {
  const samples = ['up{job="a",instance="h1"} 1 5', 'up{job="b",instance="h2"} 0 5'];
  it.each([
    ['', [['x', 'x'], ['y', 'y']]], ['/^x/', [['x', 'x']]], ['y', [['y', 'y']]],
  ])('regex %s filters', (r, want) => expect(applyRegex(['x', 'y', 'x'], r).map((o) => [o.text, o.value])).toEqual(want));
  it('a group chooses its part', () => expect(applyRegex(samples, '/instance="([^"]+)"/').map((o) => o.value)).toEqual(['h1', 'h2']));
  it('named groups', () => expect(applyRegex(samples, '/job="(?<text>[^"]+)".*instance="(?<value>[^"]+)"/')).toEqual([{ text: 'a', value: 'h1' }, { text: 'b', value: 'h2' }]));
  it('look-ahead works', () => expect(applyRegex(['lo', 'eth0'], '/^(?!lo)/').map((o) => o.value)).toEqual(['eth0']));
  const o = (l: string[]) => l.map((x) => ({ text: x, value: x }));
  it.each([[1, ['B', 'a', 'a10', 'a2']], [2, ['a2', 'a10', 'a', 'B']], [3, ['B', 'a', 'a2', 'a10']], [5, ['a', 'a10', 'a2', 'B']], [7, ['a', 'a2', 'a10', 'B']], [0, ['a10', 'B', 'a2', 'a']]])('sort %d', (s, want) => expect(sortOptions(o(['a10', 'B', 'a2', 'a']), s).map((x) => x.value)).toEqual(want));
  it('custom lists', () => {
    expect(customOptions('a, b : beta, c\\,d')).toEqual([{ text: 'a', value: 'a' }, { text: 'b', value: 'beta' }, { text: 'c,d', value: 'c,d' }]);
    expect(customOptions('http://x:90,y')).toEqual([{ text: 'http://x:90', value: 'http://x:90' }, { text: 'y', value: 'y' }]);
  });
  it('keeps what still exists, else the first, else All', () => {
    expect(chooseCurrent(v('a', ['x']), o(['x', 'y'])).value).toEqual(['x']);
    expect(chooseCurrent(v('a', ['gone']), o(['x', 'y'])).value).toEqual(['x']);
    expect(chooseCurrent(v('a', [], { includeAll: true }), o(['x'])).value).toEqual(['$__all']);
    expect(chooseCurrent(v('a', ['x']), []).value).toEqual([]);
  });
  it('reads every saved form', () => {
    expect(readVariable({ name: 'a', type: 'query', includeAll: true, current: { text: 'All', value: ['$__all'] }, options: [] }).current.value).toEqual(['$__all']);
    expect(readVariable({ name: 'a', type: 'query', current: { text: ['x', 'y'], value: ['x', 'y'] }, multi: true }).current.text).toEqual(['x', 'y']);
    expect(queryText(readVariable({ name: 'a', type: 'query', query: { query: 'label_values(x)', refId: 'A' } }))).toBe('label_values(x)');
    expect(queryText(readVariable({ name: 'a', type: 'query', query: { label: 'job', stream: '{a="b"}', type: 1 } }))).toBe('label_values({a="b"}, job)');
  });
  it('variable queries are split at the right comma', () => {
    expect(parseVariableQuery('label_values(up{job="a,b",x="(c"}, instance)')).toEqual({ fn: 'label_values', args: ['up{job="a,b",x="(c"}', 'instance'] });
    expect(parseVariableQuery('label_values(instance)')).toEqual({ fn: 'label_values', args: ['instance'] });
    expect(parseVariableQuery('query_result(topk(3, sum by (a) (x)))')).toEqual({ fn: 'query_result', args: ['topk(3, sum by (a) (x))'] });
    expect(parseVariableQuery('up{job="x"}')).toBeNull();
  });
});

describe('chains', () => {
  const ds = v('ds', [], { type: 'datasource', query: 'prometheus' }), job = v('job', [], { query: 'label_values(up, job)', datasource: { uid: '${ds}' } }), inst = v('inst', [], { query: 'label_values(up{job="$job"}, instance)', datasource: { uid: '$ds' } });
  it('layers follow dependencies, not the file order', () => expect(layers([inst, job, ds]).map((l) => l.map((x) => x.name))).toEqual([['ds'], ['job'], ['inst']]));
  it('a cycle does not hang', () => expect(layers([v('a', [], { query: '$b' }), v('b', [], { query: '$a' })]).flat()).toHaveLength(2));
  it('a change touches what hangs on it', () => expect([...affected([ds, job, inst], ['job'])].sort()).toEqual(['inst', 'job']));
  it('asks in order, each once, never with an unresolved name', async () => {
    const asked: string[] = [];
    const out = await resolveVariables([inst, job, ds], { range, zone: 'utc' }, { datasources: () => [{ name: 'M', uid: 'm1', type: 'prometheus', isDefault: true }], query: async (ref, text) => { asked.push(`${ref?.uid} ${text}`); return text.includes('job="node"') ? ['h1'] : ['node']; } }, new AbortController().signal);
    expect(asked).toEqual(['M label_values(up, job)', 'M label_values(up{job="node"}, instance)']);
    expect(out.find((x) => x.name === 'inst')!.current.value).toEqual(['h1']);
  });
  it('a failing query is on its variable and stops nothing', async () => {
    const out = await resolveVariables([v('bad', [], { query: 'x' }), v('good', [], { type: 'custom', query: 'a' })], { range, zone: 'utc' }, { datasources: () => [], query: async () => { throw new Error('boom'); } }, new AbortController().signal);
    expect(out[0]!.problem).toBe('boom');
    expect(out[1]!.current.value).toEqual(['a']);
  });
});

describe('URL', () => {
  it('goes there and back', () => {
    const list = [v('a', ['x', 'y'], { multi: true }), v('all', ['$__all'], { includeAll: true }), v('f', [], { type: 'adhoc', filters: [{ key: 'k', operator: '=~', value: 'p|q' }] })];
    const p = new URLSearchParams(urlVariables(list));
    expect(p.getAll('var-a')).toEqual(['x', 'y']);
    const back = variablesFromUrl(list.map((x) => ({ ...x, current: { text: [], value: [] }, filters: [] })), p);
    expect(back.map((x) => x.current.value)).toEqual([['x', 'y'], ['$__all'], []]);
    expect(back[2]!.filters).toEqual([{ key: 'k', operator: '=~', value: 'p|q' }]);
  });
});

describe('ad hoc filters', () => {
  const f = [{ key: 'env', operator: '=', value: 'prod' }], add = 'env="prod"';
  it.each([
    ['up', `up{${add}}`], ['up{job="a"}', `up{job="a", ${add}}`], ['sum by (job) (rate(http_total{a="b}"}[5m]))', `sum by (job) (rate(http_total{a="b}", ${add}}[5m]))`], ['a / on(x) group_left(y) b', `a{${add}} / on(x) group_left(y) b{${add}}`], ['rate(x[5m] offset 1h)', `rate(x{${add}}[5m] offset 1h)`],
    ['sum(x) without (a, b)', `sum(x{${add}}) without (a, b)`], ['x > bool 1e3', `x{${add}} > bool 1e3`], ['label_replace(up, "a", "$1", "b", "(.*)")', `label_replace(up{${add}}, "a", "$1", "b", "(.*)")`], ['{__name__="up",}', `{__name__="up", ${add}}`], ['a # up\n+ b', `a{${add}} # up\n+ b{${add}}`], ['histogram_quantile(0.9, sum by(le)(rate(h_bucket[1m])))', `histogram_quantile(0.9, sum by(le)(rate(h_bucket{${add}}[1m])))`], ['x unless y', `x{${add}} unless y{${add}}`],
  ])('%s', (q, want) => expect(addFilters(q, f, 'promql')).toBe(want));
  it('log selectors', () => expect(addFilters('sum(rate({job="a"} |= "{x}" | json [1m]))', f, 'logql')).toBe(`sum(rate({job="a", ${add}} |= "{x}" | json [1m]))`));
  it('one of several', () => expect(addFilters('up', [{ key: 'a', operator: '=|', value: 'x.1|y' }], 'promql')).toBe('up{a=~"x\\\\.1|y"}'));
  it('an unusable filter is left out', () => expect(addFilters('up', [{ key: '', operator: '=', value: 'x' }, { key: 'a', operator: '<<', value: 'x' }], 'promql')).toBe('up'));
});
