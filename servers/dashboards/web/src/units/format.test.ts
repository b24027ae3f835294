import { describe, expect, it } from 'vitest';
import { autoDecimals, unitText } from './format';

const now = Date.UTC(2026, 10, 23, 12);
describe('units', () => {
  it.each([
    [1234, 'short', undefined, '1.23 K'], [999, 'short', undefined, '999'], [1e6, 'short', undefined, '1 Mil'], [2.5e9, 'short', 1, '2.5 Bil'], [0.1234, 'short', undefined, '0.123'], [-1500, 'short', undefined, '-1.50 K'], [0, 'short', undefined, '0'],
    [1024, 'bytes', undefined, '1 KiB'], [1536, 'bytes', undefined, '1.50 KiB'], [25276514304, 'bytes', undefined, '23.5 GiB'], [500, 'bytes', undefined, '500 B'], [1500, 'decbytes', undefined, '1.50 kB'], [5, 'mbytes', undefined, '5 MiB'], [2048, 'kbytes', undefined, '2 MiB'], [5e6, 'decbits', undefined, '5 Mb'],
    [1.5e6, 'Bps', undefined, '1.50 MB/s'], [2048, 'binBps', undefined, '2 KiB/s'], [8e6, 'bps', undefined, '8 Mb/s'], [12000, 'pps', undefined, '12 kp/s'], [3, 'MBs', undefined, '3 MB/s'],
    [45.678, 'percent', undefined, '45.7%'], [0.45678, 'percentunit', undefined, '45.7%'], [0.5, 'percentunit', 0, '50%'], [0.00493, 'percentunit', undefined, '0.493%'],
    [0.0123, 's', undefined, '12.3 ms'], [90, 's', undefined, '1.50 min'], [7200, 's', undefined, '2 hours'], [86400, 's', 0, '1 day'], [0.0000005, 's', undefined, '500 ns'], [450, 'ms', undefined, '450 ms'], [1500, 'ms', undefined, '1.50 s'], [12, 'µs', undefined, '12 µs'], [1e9, 'ns', undefined, '1 s'], [0, 's', undefined, '0 s'],
    [93600, 'dtdurations', undefined, '1 day'], [93600, 'dtdurations', 1, '1 day, 2 hours'], [5400000, 'dtdurationms', 1, '1 hour, 30 minutes'], [3661, 'dthms', undefined, '01:01:01'], [90061, 'dtdhms', undefined, '1 d 01:01:01'],
    [12.34, 'ops', undefined, '12.3 ops/s'], [1500, 'reqps', undefined, '1.50 K req/s'], [7, 'iops', undefined, '7 io/s'], [3, 'opm', undefined, '3 ops/min'], [2.4e9, 'hertz', undefined, '2.40 GHz'], [21.5, 'celsius', undefined, '21.5 °C'], [1200, 'rotrpm', undefined, '1200 rpm'], [45, 'watt', undefined, '45 W'], [0.045, 'watt', undefined, '45 mW'],
    [1, 'bool', undefined, 'True'], [0, 'bool_yes_no', undefined, 'No'], [1, 'bool_on_off', undefined, 'On'], [255, 'hex0x', undefined, '0xFF'], [1234567, 'locale', undefined, '1,234,567'], [4.2, 'none', undefined, '4.20'], [4, 'none', undefined, '4'], [3.14159, 'none', 1, '3.1'],
    [5, 'suffix:rows/s', undefined, '5 rows/s'], [5, 'instances', undefined, '5 instances'], [5, 'prefix:~', undefined, '~5'], [1500, 'si:W', undefined, '1.50 kW'], [2, 'si:mF', undefined, '2 mF'], [1200, 'currencyUSD', undefined, '$1.20 K'], [9, 'currency:£', undefined, '£9'], [1, 'bool:open/closed', undefined, 'open'],
    [now, 'time:YYYY/MM/DD', undefined, '2026/11/23'], [now, 'dateTimeAsIso', undefined, '2026-11-23 12:00:00'], [now - 120000, 'dateTimeFromNow', undefined, '2 minutes ago'], [now, 'dateTimeAsIsoNoDateIfToday', undefined, '12:00:00'],
    [Infinity, 'bytes', undefined, '+Inf'], [-Infinity, 's', undefined, '-Inf'], [NaN, 'short', undefined, 'NaN'], [999.96, 'bytes', 1, '1000.0 B'], [1023.99, 'bytes', 1, '1.0 KiB'], [-0.001, 'none', 1, '0.0'],
  ] as [number, string, number | undefined, string][])('%d %s (%s) -> %s', (v, unit, decimals, want) => expect(unitText(v, unit, decimals, { zone: 'utc', now })).toBe(want));
  it('an absent value is empty', () => expect(unitText(null, 'bytes')).toBe(''));
  it('about three significant digits', () => expect([123.4, 12.34, 1.234, 0.1234, 0.01234, 7].map(autoDecimals)).toEqual([0, 1, 2, 3, 4, 0]));
});
