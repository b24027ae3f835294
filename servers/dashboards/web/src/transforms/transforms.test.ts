import { describe, expect, it } from 'vitest';
import { field, type Frame, type Value } from '../fields/frame';
import { knownTransformations, runTransformations, type Transformation } from './run';

const c = { interpolate: (t: string) => t.replace('$n', '2'), zone: 'utc', range: { from: 0, to: 1 } };
const table = (refId: string, cols: Record<string, Value[]>, types: Record<string, 'time' | 'number' | 'string'> = {}): Frame => { const fields = Object.entries(cols).map(([n, v]) => field(n, types[n] ?? (n === 'Time' ? 'time' : typeof v.find((x) => x !== null) === 'number' ? 'number' : 'string'), v)); return { refId, fields, length: fields[0]!.values.length, meta: { kind: 'table' } }; };
const series = (name: string, values: Value[], labels: Record<string, string> = {}, refId = 'A'): Frame => ({ refId, name, length: values.length, meta: { kind: 'series' }, fields: [field('Time', 'time', values.map((_, i) => i * 1000)), field('Value', 'number', values, { labels, config: { displayNameFromDS: name } })] });
const run = (frames: Frame[], ...list: Transformation[]) => runTransformations(frames, list, c);
const plain = (f: Frame | undefined) => Object.fromEntries((f?.fields ?? []).map((x) => [x.config.displayName ?? x.config.displayNameFromDS ?? x.name, x.values]));

const hosts = table('A', { host: ['a', 'b', 'a', 'c'], load: [1, 2, 3, null], zone: ['x', 'x', 'y', 'y'] });

describe('transformations', () => {
  it('organize: excludes, orders, renames', () => expect(Object.entries(plain(run([hosts], { id: 'organize', options: { excludeByName: { zone: true }, indexByName: { load: 0, host: 1 }, renameByName: { load: 'Load' } } }).frames[0]))).toEqual([['Load', [1, 2, 3, null]], ['host', ['a', 'b', 'a', 'c']]]));
  it('sortBy, limit with a variable', () => expect(plain(run([hosts], { id: 'sortBy', options: { sort: [{ field: 'load', desc: true }] } }, { id: 'limit', options: { limitField: '$n' } }).frames[0]).load).toEqual([3, 2]));
  it.each([
    [{ type: 'include', match: 'any', filters: [{ fieldName: 'load', config: { id: 'greater', options: { value: 1 } } }] }, [2, 3]], [{ type: 'exclude', match: 'all', filters: [{ fieldName: 'host', config: { id: 'equal', options: { value: 'a' } } }, { fieldName: 'zone', config: { id: 'regex', options: { value: '^x' } } }] }, [2, 3, null]], [{ type: 'include', match: 'any', filters: [{ fieldName: 'load', config: { id: 'isNull' } }] }, [null]],
  ])('filterByValue %#', (options, want) => expect(plain(run([hosts], { id: 'filterByValue', options }).frames[0]).load).toEqual(want));
  it('groupBy aggregates', () => expect(plain(run([hosts], { id: 'groupBy', options: { fields: { host: { operation: 'groupby', aggregations: [] }, load: { operation: 'aggregate', aggregations: ['sum', 'count'] } } } }).frames[0])).toEqual({ host: ['a', 'b', 'c'], 'load (sum)': [4, 2, null], 'load (count)': [2, 1, 0] }));
  it('merge joins rows that agree', () => {
    const a = table('A', { Time: [5, 5], host: ['a', 'b'], 'Value #A': [1, 2] }), b = table('B', { Time: [5, 5], host: ['b', 'c'], 'Value #B': [20, 30] });
    expect(plain(run([a, b], { id: 'merge' }).frames[0])).toEqual({ Time: [5, 5, 5], host: ['a', 'b', 'c'], 'Value #A': [1, 2, null], 'Value #B': [null, 20, 30] });
  });
  it('joinByField: outer, inner, and its old name', () => {
    const a = table('A', { host: ['a', 'b'], x: [1, 2] }), b = table('B', { host: ['b', 'c'], y: [20, 30] });
    expect(plain(run([a, b], { id: 'joinByField', options: { byField: 'host', mode: 'outer' } }).frames[0])).toEqual({ host: ['a', 'b', 'c'], x: [1, 2, null], y: [null, 20, 30] });
    expect(plain(run([a, b], { id: 'seriesToColumns', options: { byField: 'host', mode: 'inner' } }).frames[0])).toEqual({ host: ['b'], x: [2], y: [20] });
  });
  it('joinByField on time names columns after the series', () => expect(Object.keys(plain(run([series('up', [1, 2]), series('down', [3, 4])], { id: 'joinByField' }).frames[0]))).toEqual(['Time', 'up', 'down']));
  it.each([
    [{ mode: 'binary', alias: 'sum', binary: { left: 'x', operator: '+', right: 'y' } }, 'sum', [11, 22]], [{ mode: 'binary', binary: { left: { matcher: { id: 'byName', options: 'x' } }, operator: '*', right: { fixed: '10' } } }, 'x * 10', [10, 20]], [{ mode: 'reduceRow', reduce: { reducer: 'max' } }, 'max', [10, 20]], [{ mode: 'unary', unary: { operator: 'abs', fieldName: 'x' } }, 'abs x', [1, 2]], [{ mode: 'cumulativeFunctions', alias: 'c', cumulative: { field: 'y', reducer: 'sum' } }, 'c', [10, 30]],
  ])('calculateField %#', (options, name, want) => expect(plain(run([table('A', { x: [1, 2], y: [10, 20] })], { id: 'calculateField', options }).frames[0])[name]).toEqual(want));
  it('calculateField over several series joins them first', () => expect(plain(run([series('a', [1, 2]), series('b', [10, 20])], { id: 'calculateField', options: { mode: 'reduceRow', reduce: { reducer: 'sum' }, alias: 'T', replaceFields: true } }).frames[0])).toEqual({ Time: [0, 1000], T: [11, 22] }));
  it('filterFieldsByName and renameByRegex', () => {
    expect(Object.keys(plain(run([hosts], { id: 'filterFieldsByName', options: { include: { names: ['host', 'load'] } } }).frames[0]))).toEqual(['host', 'load']);
    expect(Object.keys(plain(run([hosts], { id: 'renameByRegex', options: { regex: '(l)oad', renamePattern: '$1d' } }).frames[0]))).toContain('ld');
  });
  it('labelsToFields', () => expect(plain(run([series('s', [1], { host: 'a', mode: 'm' })], { id: 'labelsToFields', options: {} }).frames[0])).toMatchObject({ host: ['a'], mode: ['m'], Value: [1] }));
  it('groupingToMatrix', () => expect(plain(run([table('A', { r: ['1', '1', '2'], c: ['x', 'y', 'x'], v: [1, 2, 3] })], { id: 'groupingToMatrix', options: { rowField: 'r', columnField: 'c', valueField: 'v' } }).frames[0])).toEqual({ 'r\\c': ['1', '2'], x: [1, 3], y: [2, ''] }));
  it('extractFields from JSON and key=value', () => {
    expect(plain(run([table('A', { line: ['{"a":1,"b":"x"}', 'no'] })], { id: 'extractFields', options: { source: 'line', format: 'json', replace: true } }).frames[0])).toEqual({ a: [1, null], b: ['x', null] });
    expect(plain(run([table('A', { line: ['a=1 b="x y"'] })], { id: 'extractFields', options: { source: 'line', format: 'kvp' } }).frames[0])).toMatchObject({ a: ['1'], b: ['x y'] });
  });
  it('reduce to rows and in place', () => {
    expect(plain(run([series('a', [1, 3]), series('b', [5, 7])], { id: 'reduce', options: { reducers: ['max', 'mean'] } }).frames[0])).toEqual({ Field: ['a', 'b'], Max: [3, 7], Mean: [2, 6] });
    expect(plain(run([series('a', [1, 3])], { id: 'reduce', options: { mode: 'reduceFields', reducers: ['sum'] } }).frames[0])).toEqual({ a: [4] });
  });
  it('concatenate, seriesToRows, transpose, rowsToFields', () => {
    expect(run([table('A', { x: [1] }), table('B', { y: [2, 3] })], { id: 'concatenate' }).frames[0]!.length).toBe(2);
    expect(plain(run([series('a', [1])], { id: 'seriesToRows' }).frames[0])).toEqual({ Time: [0], Metric: ['a'], Value: [1] });
    expect(plain(run([table('A', { k: ['p', 'q'], v: [1, 2] })], { id: 'transpose' }).frames[0])).toEqual({ k: ['v'], p: [1], q: [2] });
    expect(plain(run([table('A', { k: ['p', 'q'], v: [1, 2] })], { id: 'rowsToFields' }).frames[0])).toEqual({ p: [1], q: [2] });
  });
  it('histogram counts every value once', () => { const h = run([table('A', { v: [1, 2, 2, 9.9, 10] })], { id: 'histogram', options: { bucketSize: 5 } }).frames[0]!; expect(plain(h)).toMatchObject({ xMin: [0, 5, 10], xMax: [5, 10, 15] }); expect((h.fields[2]!.values as number[]).reduce((a, b) => a + b)).toBe(5); });
  it('partitionByValues, timeSeriesTable, convertFieldType, formatTime', () => {
    expect(run([hosts], { id: 'partitionByValues', options: { fields: ['zone'] } }).frames.map((f) => f.length)).toEqual([2, 2]);
    expect(plain(run([series('a', [1, 2], { host: 'h' })], { id: 'timeSeriesTable' }).frames[0]).host).toEqual(['h']);
    expect(plain(run([table('A', { n: ['1', 'x', ''] })], { id: 'convertFieldType', options: { conversions: [{ targetField: 'n', destinationType: 'number' }] } }).frames[0]).n).toEqual([1, null, null]);
    expect(plain(run([table('A', { Time: [0] })], { id: 'formatTime', options: { timeField: 'Time', outputFormat: 'YYYY' } }).frames[0]).Time).toEqual(['1970']);
  });
  it('disabled and filtered ones', () => {
    expect(run([hosts], { id: 'limit', disabled: true, options: { limitField: 1 } }).frames[0]!.length).toBe(4);
    const two = [table('A', { x: [1, 2] }), table('B', { x: [1, 2] })];
    expect(run(two, { id: 'limit', filter: { id: 'byRefId', options: 'B' }, options: { limitField: 1 } }).frames.map((f) => [f.refId, f.length])).toEqual([['B', 1], ['A', 2]]);
  });
  it('an unknown one is said and changes nothing', () => { const r = run([hosts], { id: 'wizardry' }); expect(r.frames).toEqual([hosts]); expect(r.problems[0]).toContain('wizardry'); });
  it('no option shape throws out of the runner', () => { for (const id of knownTransformations()) for (const options of [undefined, {}, { fields: 5, filters: 'x', sort: 3, reducers: 'q', conversions: 1, mappings: {} }]) expect(() => run([hosts, series('a', [1, null])], { id, options: options as never })).not.toThrow(); });
});
