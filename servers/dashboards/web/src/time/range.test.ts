import { describe, expect, it } from 'vitest';
import { describeRelative, formatDuration, panelRange, parseDuration, parsePastedRange, parseTime, resolveRange, shiftRange, tidyInterval, zoomOut } from './range';
import { formatAgo, formatPattern, formatSpan, tickLabel, timeTicks } from './format';
import { fromParts, toParts, zoneOffset } from './zone';

const now = Date.UTC(2026, 10, 23, 14, 35, 7, 250); // a Monday
const at = (y: number, mo: number, d: number, h = 0, mi = 0, s = 0, ms = 0) => Date.UTC(y, mo - 1, d, h, mi, s, ms);
const utc = { now, zone: 'utc' };

describe('time syntax', () => {
  it.each([
    ['now', now], ['now-6h', now - 6 * 3600e3], ['now+1h', now + 3600e3], ['now-90s', now - 90e3], ['now/d', at(2026, 11, 23)], ['now-1d/d', at(2026, 11, 22)], ['now/h', at(2026, 11, 23, 14)], ['now/m', at(2026, 11, 23, 14, 35)], ['now/w', at(2026, 11, 23)], ['now-1w/w', at(2026, 11, 16)],
    ['now/M', at(2026, 11, 1)], ['now/Q', at(2026, 10, 1)], ['now/y', at(2026, 1, 1)], ['now-1M', at(2026, 10, 23, 14, 35, 7, 250)], ['now-1y/y', at(2025, 1, 1)], ['now-6h/h', at(2026, 11, 23, 8)], ['1795444507250', 1795444507250], ['2026-11-23T08:00:00Z', at(2026, 11, 23, 8)], ['2026-11-23 08:00', at(2026, 11, 23, 8)], ['2026-11-23', at(2026, 11, 23)], ['2026-11-23T08:00:00.125+02:00', at(2026, 11, 23, 6, 0, 0, 125)],
  ] as [string, number][])('%s', (text, want) => expect(parseTime(text, utc)).toBe(want));
  it.each([['now/d', at(2026, 11, 24) - 1], ['now-1d/d', at(2026, 11, 23) - 1], ['now/M', at(2026, 12, 1) - 1], ['now/y', at(2027, 1, 1) - 1]] as [string, number][])('%s as an end', (text, want) => expect(parseTime(text, utc, true)).toBe(want));
  it.each(['', 'yesterday', 'now-', 'now-6x', 'now/z', 'nowish', '2026-13-01', '2026-11-23T25:00', 'now-1h/fd'])('refuses %j', (text) => expect(parseTime(text, utc)).toBeNull());
  it('keeps the last day of a month when subtracting months', () => expect(parseTime('now-1M', { now: at(2026, 3, 31), zone: 'utc' })).toBe(at(2026, 2, 28)));
  it('fiscal year and quarter start where they are told', () => {
    expect(parseTime('now/fy', { ...utc, fiscalStart: 3 })).toBe(at(2026, 4, 1));
    expect(parseTime('now/fQ', { ...utc, fiscalStart: 1 })).toBe(at(2026, 11, 1));
  });
  it('weeks start on the chosen day', () => expect(parseTime('now/w', { ...utc, weekStart: 0 })).toBe(at(2026, 11, 22)));
  it('days are days of the zone, also across a clock change', () => {
    const zone = 'Europe/Berlin'; // 2026-10-25 has 25 hours there
    const from = parseTime('now/d', { now: at(2026, 10, 25, 12), zone })!, to = parseTime('now/d', { now: at(2026, 10, 25, 12), zone }, true)!;
    expect(from).toBe(at(2026, 10, 24, 22));
    expect(to - from + 1).toBe(25 * 3600e3);
  });
  it('turns a reversed range round', () => expect(resolveRange({ from: 'now', to: 'now-1h' }, utc)).toEqual({ from: now - 3600e3, to: now }));
});

describe('ranges', () => {
  it('describes relative ranges', () => {
    expect(describeRelative({ from: 'now-6h', to: 'now' })).toBe('Last 6 hours');
    expect(describeRelative({ from: 'now-7m', to: 'now' })).toBe('Last 7 minutes');
    expect(describeRelative({ from: 'now-1d/d', to: 'now-1d/d' })).toBe('Yesterday');
    expect(describeRelative({ from: '1', to: '2' })).toBeNull();
  });
  it.each([
    ['{"from":"now-3h","to":"now"}', { from: 'now-3h', to: 'now' }], ['now-2d to now-1d', { from: 'now-2d', to: 'now-1d' }], ['2026-11-20 10:00 - 2026-11-20 12:00', { from: '2026-11-20 10:00', to: '2026-11-20 12:00' }], ['1795357517109, 1795359002116', { from: '1795357517109', to: '1795359002116' }],
    ['http://x/d/a/b?from=now-6h&to=now&var-x=1', { from: 'now-6h', to: 'now' }], ['now-15m', { from: 'now-15m', to: 'now' }], ['hello to you', null], ['{"from":1}', null],
  ])('reads what is pasted: %s', (text, want) => expect(parsePastedRange(text, utc)).toEqual(want));
  it('zooms and shifts around the middle', () => {
    expect(zoomOut({ from: 1000, to: 3000 })).toEqual({ from: '0', to: '4000' });
    expect(shiftRange({ from: 10000, to: 20000 }, -1)).toEqual({ from: '5000', to: '15000' });
  });
  it('panel ranges narrow and shift', () => {
    const raw = { from: 'now-6h', to: 'now' };
    expect(panelRange(raw, '1h', undefined, utc).raw).toEqual({ from: 'now-1h', to: 'now' });
    expect(panelRange(raw, undefined, '1d', utc).raw).toEqual({ from: String(now - 30 * 3600e3), to: String(now - 24 * 3600e3) });
  });
  it.each([['1h30m', 5400e3], ['15s', 15e3], ['1.5h', 5400e3], ['500ms', 500], ['>30s', 30e3], ['', null], ['5 minutes', null], ['m', null]] as [string, number | null][])('duration %j', (t, want) => expect(parseDuration(t)).toBe(want));
  it.each([[90e3, '90s'], [3600e3, '1h'], [60e3, '1m'], [250, '250ms'], [86400e3 * 2, '2d']] as [number, string][])('writes %d', (n, want) => expect(formatDuration(n)).toBe(want));
  it('the interval is tidy and never under the minimum', () => {
    expect(tidyInterval(3600e3, 1000, 15000)).toBe(15000);
    expect(tidyInterval(24 * 3600e3, 1000, 15000)).toBe(60000); // 86.4 s is nearer to a minute than to two
    expect(tidyInterval(6 * 3600e3, 500, 1000)).toBe(30000);
  });
});

describe('zones and texts', () => {
  it('offsets follow the zone', () => {
    expect(zoneOffset(at(2026, 7, 1), 'Europe/Berlin')).toBe(7200e3);
    expect(zoneOffset(at(2026, 1, 1), 'Europe/Berlin')).toBe(3600e3);
    expect(zoneOffset(at(2026, 1, 1), 'Asia/Kolkata')).toBe(5.5 * 3600e3);
  });
  it('parts go there and back', () => { for (const z of ['utc', 'America/New_York', 'Australia/Lord_Howe']) for (let m = 1; m <= 12; m++) { const t = at(2026, m, 14, 3, 4, 5, 6); expect(fromParts(toParts(t, z), z)).toBe(t); } });
  it('patterns', () => {
    expect(formatPattern(now, 'YYYY-MM-DD HH:mm:ss.SSS', 'utc')).toBe('2026-11-23 14:35:07.250');
    expect(formatPattern(now, '[at] h:mm a, ddd D MMM YY Z', 'Asia/Kolkata')).toBe('at 8:05 pm, Mon 23 Nov 26 +05:30');
  });
  it('ago and spans', () => {
    expect(formatAgo(now - 65e3, now)).toBe('1 minute ago');
    expect(formatAgo(now + 7200e3, now)).toBe('in 2 hours');
    expect(formatSpan(93784)).toBe('1d 2h');
    expect(formatSpan(0.0041)).toBe('4 ms');
  });
  it('ticks stand at tidy wall-clock places', () => {
    const { ticks, step } = timeTicks(at(2026, 11, 23, 10, 7) / 1000, at(2026, 11, 23, 11, 7) / 1000, 8, 'utc');
    expect(step).toBe(600);
    expect(ticks.map((t) => tickLabel(t * 1000, step, 'utc'))).toEqual(['10:10', '10:20', '10:30', '10:40', '10:50', '11:00']);
  });
});
