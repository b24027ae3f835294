import { describe, expect, it } from 'vitest';
import { isLogsQuery, levelOf, linesOf } from '../api/loki';
import { foldVolume } from '../explore/volume';
import { logqlContext } from '../editor/logqlcontext';
import { markdownToHtml, safeUrl } from '../panels/text/markdown';
import { sharedSelector } from '../explore/url';
import { addLogFilter, dedupe, highlight, highlightPattern, jsonFields, logfmtFields, searchTextOf, setSearchText } from './parse';

describe('lines', () => {
  it('fields of JSON and logfmt', () => {
    expect(jsonFields('{"a":1,"b":{"c-d":"x"},"l":[1],"n":null}')).toEqual({ a: '1', b_c_d: 'x' });
    expect(jsonFields('{broken')).toBeNull();
    expect(logfmtFields('ts=1 level=info msg="a \\"b\\""')).toEqual({ ts: '1', level: 'info', msg: 'a "b"' });
    expect(logfmtFields('just words')).toBeNull();
  });
  it.each([[{ level: 'WARNING' }, {}, '', 'warn'], [{}, { detected_level: 'error' }, 'info', 'error'], [{}, {}, '{"level":"debug"}', 'debug'], [{}, {}, 'ts=1 lvl=crit', 'critical'], [{}, {}, 'an Error happened', 'error'], [{}, {}, 'nothing', 'unknown']] as [Record<string, string>, Record<string, string>, string, string][])('level %#', (l, m, line, want) => expect(levelOf(l, m, line)).toBe(want));
  it('orders nanoseconds exactly and keeps doubles apart', () => {
    const l = linesOf([{ stream: { a: '1' }, values: [['1795357517000000002', 'b'], ['1795357517000000001', 'a'], ['1795357517000000002', 'b']] }]);
    expect(l.map((x) => x.line)).toEqual(['b', 'b', 'a']);
    expect(new Set(l.map((x) => x.id)).size).toBe(3);
  });
  it.each([['{a="b"}', true], [' {a="b"} |= "x(" | json', true], ['sum(rate({a="b"}[1m]))', false], ['rate({a="}"} [5m])', false]] as [string, boolean][])('%s asks for lines: %s', (q, want) => expect(isLogsQuery(q)).toBe(want));
  it('repeats', () => { const l = linesOf([{ stream: {}, values: [['3', 'a 1'], ['2', 'a 2'], ['1', 'b']] }]); expect(dedupe(l, 'numbers').map((x) => x.repeats)).toEqual([1, 0]); expect(dedupe(l, 'none')).toHaveLength(3); });
});

describe('queries', () => {
  it.each([
    ['{job="a"}', 'level', '=', 'error', 'label', '{job="a", level="error"}'], ['{job="a"}', 'job', '=', 'b', 'label', '{job="b"}'], ['{job="a", x!="y"}', 'x', '=', 'y', 'label', '{job="a", x="y"}'], ['{job="a"} |= "}"', 'host', '!=', 'w"1', 'label', '{job="a", host!="w\\"1"} |= "}"'],
    ['{job="a"} |= "x"', 'status', '=', '500', 'json', '{job="a"} |= "x" | json | status="500"'], ['{job="a"} | json', 'status', '!=', '500', 'json', '{job="a"} | json | status!="500"'], ['{job="a"}', 'k', '=', 'v', 'meta', '{job="a"} | k="v"'], ['sum(rate({job="a"} | logfmt [1m]))', 'k', '=', 'v', 'logfmt', 'sum(rate({job="a"} | logfmt | k="v" [1m]))'],
  ] as [string, string, '=' | '!=', string, 'label' | 'meta' | 'json' | 'logfmt', string][])('%s + %s%s%s', (q, k, op, v, where, want) => expect(addLogFilter(q, k, op, v, where)).toBe(want));
  it('search text goes in, out and back', () => {
    const q = setSearchText('{job="a"} | json', 'time.out "x"');
    expect(q).toBe('{job="a"} |~ "(?i)time\\\\.out \\"x\\"" | json');
    expect(searchTextOf(q)).toBe('time.out "x"');
    expect(setSearchText(q, '')).toBe('{job="a"} | json');
  });
  it('highlights what the filters look for', () => {
    expect(highlight('An ERROR in a.b', highlightPattern('{x="error"} |~ "(?i)error" |= "a.b"')).filter((p) => p.hit).map((p) => p.text)).toEqual(['ERROR', 'a.b']);
    expect(highlightPattern('{x="y"} != "z"')).toBeNull();
    expect(highlightPattern('{x="y"} |~ "("')).toBeNull();
  });
  it('labels shared by metrics and logs', () => {
    expect(sharedSelector('sum(rate(http_total{job="titan", instance="x:1", status=~"5.."}[1m]))', ['job', 'host'])).toBe('{job="titan"}');
    expect(sharedSelector('up{instance="x"}', ['job'])).toBeNull();
  });
  it.each([
    ['{', 'label', undefined], ['{jo', 'label', undefined], ['{job="', 'value', 'job'], ['{job="a", host=~"w', 'value', 'host'], ['{job="a"} | js', 'stage', undefined], ['{job="a"} ', 'stage', undefined], ['su', 'function', undefined], ['sum by (le', 'grouping', undefined], ['rate({a="b"}[', 'range', undefined], ['{job="a"} |= "err', 'none', undefined],
  ] as [string, string, string | undefined][])('completion at %s', (before, kind, label) => { const at = logqlContext(before); expect(at.kind).toBe(kind); expect(at.label).toBe(label); });
  it('volume adds up and levels are folded', () => {
    const v = foldVolume([{ metric: { level: 'error' }, values: [[60, '2'], [120, '3']] }, { metric: { detected_level: 'err' }, values: [[120, '1']] }, { metric: {}, values: [[180, '4']] }], { start: 60, end: 180, step: 60 }, (s) => (s?.startsWith('err') ? 'error' : 'unknown'));
    expect(v.total).toBe(10);
    expect(v.series.find((s) => s.level === 'error')!.values).toEqual([2, 4, null]);
  });
});

describe('text', () => {
  it('markdown', () => {
    expect(markdownToHtml('# Hi *there*\n\n- a\n- **b**\n\n`<x>` [l](https://a.b) [bad](javascript:alert(1))')).toBe('<h1>Hi <em>there</em></h1>\n<ul><li>a</li><li><strong>b</strong></li></ul>\n<p><code>&lt;x&gt;</code> <a href="https://a.b">l</a> bad)</p>');
    expect(markdownToHtml('|a|b|\n|-|-|\n|1|2|')).toContain('<td>2</td>');
  });
  it.each([['https://x', true], ['/d/a', true], ['#x', true], ['mailto:a@b', true], ['javascript:alert(1)', false], [' java\nscript:alert(1)', false], ['data:text/html,x', false], ['vbscript:x', false]] as [string, boolean][])('link %j', (u, ok) => expect(safeUrl(u)).toBe(ok));
});
