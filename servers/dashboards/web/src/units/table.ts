// Unit ids and how each is written. A definition is data; format.ts interprets it.

export interface UnitDef {
  kind: 'plain' | 'short' | 'locale' | 'sci' | 'hex' | 'bool' | 'percentunit' | 'si' | 'siUp' | 'iec' | 'count' | 'currency' | 'duration' | 'longDuration' | 'clock' | 'hms' | 'dhms' | 'date' | 'ago';
  suffix?: string; prefix?: string; exp?: number; seconds?: number; pattern?: string; timePattern?: string; noDateIfToday?: boolean; yes?: string; no?: string;
}

export const table: Record<string, UnitDef> = {
  none: { kind: 'plain' }, string: { kind: 'plain' }, pixel: { kind: 'plain', suffix: ' px' }, short: { kind: 'short' }, sishort: { kind: 'si', suffix: '' },
  percent: { kind: 'plain', suffix: '%' }, percentunit: { kind: 'percentunit' }, humidity: { kind: 'plain', suffix: '%H' }, dB: { kind: 'plain', suffix: ' dB' },
  dBm: { kind: 'plain', suffix: ' dBm' }, hex0x: { kind: 'hex', suffix: '0x' }, hex: { kind: 'hex' }, sci: { kind: 'sci' }, locale: { kind: 'locale' },
  bool: { kind: 'bool', yes: 'True', no: 'False' }, bool_yes_no: { kind: 'bool', yes: 'Yes', no: 'No' }, bool_on_off: { kind: 'bool', yes: 'On', no: 'Off' },
  ns: { kind: 'duration', seconds: 1e-9 }, 'µs': { kind: 'duration', seconds: 1e-6 }, us: { kind: 'duration', seconds: 1e-6 }, ms: { kind: 'duration', seconds: 1e-3 },
  s: { kind: 'duration', seconds: 1 }, m: { kind: 'duration', seconds: 60 }, h: { kind: 'duration', seconds: 3600 }, d: { kind: 'duration', seconds: 86400 },
  dtdurationms: { kind: 'longDuration', seconds: 1e-3 }, dtdurations: { kind: 'longDuration', seconds: 1 }, dthms: { kind: 'hms' }, dtdhms: { kind: 'dhms' },
  timeticks: { kind: 'duration', seconds: 0.01 }, clockms: { kind: 'clock', seconds: 1e-3 }, clocks: { kind: 'clock', seconds: 1 },
  dateTimeAsIso: { kind: 'date', pattern: 'YYYY-MM-DD HH:mm:ss', timePattern: 'HH:mm:ss' },
  dateTimeAsIsoNoDateIfToday: { kind: 'date', pattern: 'YYYY-MM-DD HH:mm:ss', timePattern: 'HH:mm:ss', noDateIfToday: true },
  dateTimeAsUS: { kind: 'date', pattern: 'MM/DD/YYYY h:mm:ss a', timePattern: 'h:mm:ss a' },
  dateTimeAsUSNoDateIfToday: { kind: 'date', pattern: 'MM/DD/YYYY h:mm:ss a', timePattern: 'h:mm:ss a', noDateIfToday: true },
  dateTimeAsLocal: { kind: 'date', pattern: 'YYYY-MM-DD HH:mm:ss', timePattern: 'HH:mm:ss' },
  dateTimeAsLocalNoDateIfToday: { kind: 'date', pattern: 'YYYY-MM-DD HH:mm:ss', timePattern: 'HH:mm:ss', noDateIfToday: true },
  dateTimeAsSystem: { kind: 'date', pattern: 'YYYY-MM-DD HH:mm:ss', timePattern: 'HH:mm:ss' }, dateTimeFromNow: { kind: 'ago' },
  currencyBTC: { kind: 'currency', prefix: '฿' }, currencyCHF: { kind: 'currency', suffix: 'CHF' }, currencyPLN: { kind: 'currency', suffix: 'zł' }, currencySEK: { kind: 'currency', suffix: 'kr' },
  currencyNOK: { kind: 'currency', suffix: 'kr' }, currencyDKK: { kind: 'currency', suffix: 'kr' }, currencyCZK: { kind: 'currency', suffix: 'czk' },
  flops: { kind: 'siUp', suffix: 'FLOPS' }, mflops: { kind: 'siUp', suffix: 'FLOPS', exp: 2 }, gflops: { kind: 'siUp', suffix: 'FLOPS', exp: 3 }, tflops: { kind: 'siUp', suffix: 'FLOPS', exp: 4 },
  hertz: { kind: 'siUp', suffix: 'Hz' }, rothz: { kind: 'plain', suffix: ' Hz' }, rotkhz: { kind: 'plain', suffix: ' kHz' }, rotrpm: { kind: 'plain', suffix: ' rpm' },
  Hs: { kind: 'siUp', suffix: 'H/s' }, KHs: { kind: 'siUp', suffix: 'H/s', exp: 1 }, MHs: { kind: 'siUp', suffix: 'H/s', exp: 2 }, GHs: { kind: 'siUp', suffix: 'H/s', exp: 3 },
  pps: { kind: 'siUp', suffix: 'p/s' }, celsius: { kind: 'plain', suffix: ' °C' }, fahrenheit: { kind: 'plain', suffix: ' °F' }, kelvin: { kind: 'plain', suffix: ' K' },
  degree: { kind: 'plain', suffix: ' °' }, radian: { kind: 'plain', suffix: ' rad' }, lengthm: { kind: 'si', suffix: 'm' }, lengthmm: { kind: 'si', suffix: 'm', exp: -1 }, lengthkm: { kind: 'si', suffix: 'm', exp: 1 },
  massg: { kind: 'si', suffix: 'g' }, masskg: { kind: 'si', suffix: 'g', exp: 1 }, velocityms: { kind: 'plain', suffix: ' m/s' }, velocitykmh: { kind: 'plain', suffix: ' km/h' },
  watt: { kind: 'si', suffix: 'W' }, mwatt: { kind: 'si', suffix: 'W', exp: -1 }, kwatt: { kind: 'si', suffix: 'W', exp: 1 }, megwatt: { kind: 'si', suffix: 'W', exp: 2 }, gwatt: { kind: 'si', suffix: 'W', exp: 3 },
  watth: { kind: 'si', suffix: 'Wh' }, kwatth: { kind: 'si', suffix: 'Wh', exp: 1 }, joule: { kind: 'si', suffix: 'J' }, amp: { kind: 'si', suffix: 'A' }, kamp: { kind: 'si', suffix: 'A', exp: 1 }, mamp: { kind: 'si', suffix: 'A', exp: -1 },
  volt: { kind: 'si', suffix: 'V' }, mvolt: { kind: 'si', suffix: 'V', exp: -1 }, kvolt: { kind: 'si', suffix: 'V', exp: 1 }, ohm: { kind: 'si', suffix: 'Ω' }, farad: { kind: 'si', suffix: 'F' }, henry: { kind: 'si', suffix: 'H' },
  pressurebar: { kind: 'si', suffix: 'bar' }, pressurepa: { kind: 'si', suffix: 'Pa' }, pressurehpa: { kind: 'plain', suffix: ' hPa' }, pressurembar: { kind: 'plain', suffix: ' mbar' },
  litre: { kind: 'si', suffix: 'L' }, m3: { kind: 'plain', suffix: ' m³' }, ppm: { kind: 'plain', suffix: ' ppm' },
};

// Data and data rate: IEC (1024) and SI (1000), in every prefix
const steps = ['', 'k', 'm', 'g', 't', 'p'];
steps.forEach((s, exp) => {
  table[`${s}bytes`] = { kind: 'iec', suffix: 'B', exp };
  table[`dec${s}bytes`] = { kind: 'siUp', suffix: 'B', exp };
});
table.bits = { kind: 'iec', suffix: 'b' };
table.decbits = { kind: 'siUp', suffix: 'b' };
table.Bps = { kind: 'siUp', suffix: 'B/s' };
table.bps = { kind: 'siUp', suffix: 'b/s' };
table.binBps = { kind: 'iec', suffix: 'B/s' };
table.binbps = { kind: 'iec', suffix: 'b/s' };
['K', 'M', 'G', 'T', 'P'].forEach((p, i) => {
  table[`${p}iBs`] = { kind: 'iec', suffix: 'B/s', exp: i + 1 };
  table[`${p}ibits`] = { kind: 'iec', suffix: 'b/s', exp: i + 1 };
  table[`${p}Bs`] = { kind: 'siUp', suffix: 'B/s', exp: i + 1 };
  table[`${p}bits`] = { kind: 'siUp', suffix: 'b/s', exp: i + 1 };
});
const rates: Record<string, string> = {
  cps: 'c/s', ops: 'ops/s', reqps: 'req/s', rps: 'rd/s', wps: 'wr/s', iops: 'io/s', eps: 'evt/s', mps: 'msg/s', recps: 'rec/s', rowsps: 'rows/s',
  cpm: 'c/min', opm: 'ops/min', reqpm: 'req/min', rpm: 'rd/min', wpm: 'wr/min', epm: 'evt/min', mpm: 'msg/min',
};
for (const [id, suffix] of Object.entries(rates)) table[id] = { kind: 'count', suffix };
const money: Record<string, string> = { USD: '$', EUR: '€', GBP: '£', JPY: '¥', CNY: '¥', INR: '₹', RUB: '₽', KRW: '₩', UAH: '₴', BRL: 'R$', TRY: '₺', ILS: '₪', PHP: 'PHP', ZAR: 'R', VND: '₫' };
for (const [id, prefix] of Object.entries(money)) table[`currency${id}`] = { kind: 'currency', prefix };
