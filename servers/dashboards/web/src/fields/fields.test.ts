import { describe, expect, it } from 'vitest';
import { applyFieldConfig, legendText, matchesField, seriesNames } from './apply';
import { inkOf, parseRgb, ramp, readableOn, resolveColor } from './color';
import { activeStep, displayer, findMapping, toRegExp } from './display';
import { field, labelsText, type Frame, type Mapping } from './frame';
import { reduce } from './reduce';
import { shownValues } from './values';

const series = (name: string, values: (number | null)[], labels: Record<string, string> = {}): Frame => ({ refId: 'A', name, length: values.length, meta: { kind: 'series' }, fields: [field('Time', 'time', values.map((_, i) => i * 1000)), field('Value', 'number', values, { labels, config: { displayNameFromDS: name } })] });

describe('legends', () => {
  it('fills labels, spaces and absent ones', () => expect(legendText('{{ job }} – {{mode}}{{none}}', { job: 'node', mode: 'idle' })).toBe('node – idle'));
  it.each([
    ['{{mode}}', [{ mode: 'user' }, { mode: 'idle' }], ['user', 'idle']], ['Total', [{}], ['Total']], ['__auto', [{ __name__: 'up', job: 'a' }, { __name__: 'up', job: 'b' }], ['a', 'b']], ['__auto', [{ a: '1', b: '1' }, { a: '2', b: '2' }], ['{a="1", b="1"}', '{a="2", b="2"}']],
    [undefined, [{ __name__: 'up', job: 'a' }], ['up{job="a"}']], ['__auto', [{}], ['sum(x)']], ['__auto', [{ job: 'node' }], ['node']],
  ] as [string | undefined, Record<string, string>[], string[]][])('%s', (format, labels, want) => expect(seriesNames(format, labels, 'sum(x)')).toEqual(want));
  it('label sets are sorted', () => expect(labelsText({ z: '1', __name__: 'up', a: '2' })).toBe('up{a="2", z="1"}'));
});

describe('reducers', () => {
  const v = [1, null, 5, NaN, 3, null];
  it.each([['lastNotNull', 3], ['last', null], ['firstNotNull', 1], ['first', 1], ['min', 1], ['max', 5], ['mean', 3], ['sum', 9], ['count', 3], ['countAll', 6], ['range', 4], ['diff', 2], ['diffperc', 2], ['median', 3], ['changeCount', 3], ['distinctCount', 5], ['allIsNull', false], ['step', -2], ['delta', 7], ['p50', 3], ['p99', 5], ['current', 3], ['avg', 3], ['total', 9], ['nonsense', null]] as [string, unknown][])('%s', (id, want) => expect(reduce(v, id)).toEqual(want));
  it('deviation is of the population', () => expect(reduce([2, 4, 4, 4, 5, 5, 7, 9], 'stdDev')).toBe(2));
  it('nothing gives null, not zero', () => { for (const id of ['sum', 'mean', 'max', 'lastNotNull']) expect(reduce([], id)).toBeNull(); });
});

describe('mappings and thresholds', () => {
  const m: Mapping[] = [{ type: 'value', options: { '1': { text: 'up' } } }, { type: 'range', options: { from: 5, to: 10, result: { text: 'mid' } } }, { type: 'regex', options: { pattern: '/^web-(\\d+)$/', result: { text: 'w$1' } } }, { type: 'special', options: { match: 'null+nan', result: { text: 'N/A' } } }, { type: 'special', options: { match: 'empty', result: { text: 'empty' } } }];
  it.each([[1, 'up'], [7, 'mid'], [11, undefined], ['web-12', 'w12'], [null, 'N/A'], [NaN, 'N/A'], ['', 'empty']] as [string | number | null, string | undefined][])('%s', (v, want) => expect(findMapping(v, m)?.text).toBe(want));
  const steps = [{ value: null, color: 'green' }, { value: 70, color: 'yellow' }, { value: 90, color: 'red' }];
  it.each([[0, 'green'], [69.9, 'green'], [70, 'yellow'], [95, 'red'], [-5, 'green']])('step at %d', (v, want) => expect(activeStep(v, { mode: 'absolute', steps })!.color).toBe(want));
  it('percentages are of the range', () => expect(activeStep(0.8, { mode: 'percentage', steps }, 0, 1)!.color).toBe('yellow'));
  it('regexes with and without slashes', () => { expect(toRegExp('/A+/i')!.test('xaa')).toBe(true); expect(toRegExp('b$')!.test('ab')).toBe(true); expect(toRegExp('(')).toBeNull(); });
});

describe('field config', () => {
  const frames = [series('Busy User', [1, 2]), series('Idle', [5, 6], { mode: 'idle' })];
  it('overrides fit by name, regex, value and frame; later ones win', () => {
    const out = applyFieldConfig(frames, { defaults: { unit: 'percent', custom: { lineWidth: 1 } }, overrides: [
      { matcher: { id: 'byName', options: 'Idle' }, properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: '#052B51' } }, { id: 'custom.stacking', value: { mode: 'none' } }] },
      { matcher: { id: 'byRegexp', options: '/busy/i' }, properties: [{ id: 'displayName', value: 'Busy!' }, { id: 'custom.a.b', value: 3 }] },
      { matcher: { id: 'byValue', options: { reducer: 'max', op: 'gte', value: 6 } }, properties: [{ id: 'unit', value: 's' }] },
    ] }, 'dark');
    expect(out[1]!.fields[1]!.color).toBe('#052B51');
    expect(out[0]!.fields[1]!.shownName).toBe('Busy!');
    expect(out[0]!.fields[1]!.config.custom).toMatchObject({ lineWidth: 1, a: { b: 3 } });
    expect(out[1]!.fields[1]!.config.unit).toBe('s');
    expect(out[0]!.fields[1]!.config.unit).toBe('percent');
    expect(frames[0]!.fields[1]!.config.unit).toBeUndefined(); // inputs are not changed
  });
  it('display names take labels', () => expect(applyFieldConfig([series('x', [1], { host: 'a' })], { defaults: { displayName: '${__field.labels.host} load' }, overrides: [] }, 'dark')[0]!.fields[1]!.shownName).toBe('a load'));
  it('refuses to touch the prototype', () => { applyFieldConfig(frames, { defaults: {}, overrides: [{ matcher: { id: 'numeric' }, properties: [{ id: 'custom.__proto__.polluted', value: 1 }] }] }, 'dark'); expect(({} as Record<string, unknown>).polluted).toBeUndefined(); });
  it('inverted and combined matchers', () => {
    const f = frames[0]!.fields[1]!;
    expect(matchesField({ id: 'invertMatch', options: { id: 'byName', options: 'Idle' } }, f, frames[0]!, 'Busy User')).toBe(true);
    expect(matchesField({ id: 'byNames', options: { mode: 'exclude', names: ['Idle'] } }, f, frames[0]!, 'Busy User')).toBe(true);
    expect(matchesField({ id: 'someday' }, f, frames[0]!, 'Busy User')).toBe(false);
  });
  it('shows values with unit, colour and share', () => {
    const d = displayer({ type: 'number', values: [], config: { unit: 'percent', min: 0, max: 200, color: { mode: 'thresholds' }, thresholds: { mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: 65, color: '#ff0000' }] } } }, { theme: 'dark', zone: 'utc' })(70);
    expect(d).toMatchObject({ text: '70', suffix: '%', color: '#ff0000', percent: 0.35 });
  });
  it('one value a field by default, every row when asked', () => {
    const ready = applyFieldConfig(frames, { defaults: {}, overrides: [] }, 'dark');
    expect(shownValues(ready, { reduceOptions: { calcs: ['max'] } }, { theme: 'dark' }).map((v) => [v.name, v.value.numeric])).toEqual([['Busy User', 2], ['Idle', 6]]);
    expect(shownValues(ready, { reduceOptions: { values: true } }, { theme: 'dark' })).toHaveLength(4);
  });
});

describe('colours', () => {
  it('knows names, hex and rgba', () => { expect(resolveColor('dark-red', 'dark')).toMatch(/^#/); expect(parseRgb('rgba(50, 172, 45, 0.97)')).toEqual([50, 172, 45, 0.97]); expect(parseRgb('#fff')).toEqual([255, 255, 255, 1]); });
  it('ramps between stops', () => expect(ramp(['#000000', '#ffffff'], 0.5)).toBe('rgb(128,128,128)'));
  it('text on colours is readable', () => { expect(readableOn('#ffff00')).toBe('#10151b'); expect(readableOn('#20206f')).toBe('#ffffff'); expect(inkOf('#63bf73', 'light')).not.toBe('#63bf73'); expect(inkOf('#63bf73', 'dark')).toBe('#63bf73'); });
});
