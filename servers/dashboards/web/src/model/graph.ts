// Old panel types to today's: graph -> timeseries, singlestat -> stat or gauge, table-old, worldping-like piechart.
// Input is the panel's JSON as it stands in the file, output the same panel in the new form.
import type { Mapping, Thresholds } from '../fields/frame';
import { arr, num, obj, objs, optNum, optStr, str, type Json } from './read';

const reducerOf: Record<string, string> = { current: 'lastNotNull', avg: 'mean', total: 'sum', min: 'min', max: 'max', first: 'first', name: 'lastNotNull', last_time: 'lastNotNull', delta: 'delta', diff: 'diff', range: 'range' };

/** Old value and range maps as mappings. */
export function oldMappings(p: Json): Mapping[] {
  const out: Mapping[] = [];
  const useRange = num(p.mappingType, 1) === 2;
  if (!useRange) {
    const options: Record<string, { text: string; index: number }> = {};
    objs(p.valueMaps).forEach((m, index) => {
      const value = str(m.value);
      if (value === 'null') out.push({ type: 'special', options: { match: 'null', result: { text: str(m.text), index } } });
      else if (value !== '') options[value] = { text: str(m.text), index };
    });
    if (Object.keys(options).length) out.push({ type: 'value', options });
  } else {
    objs(p.rangeMaps).forEach((m, index) => {
      if (str(m.from) === 'null') out.push({ type: 'special', options: { match: 'null', result: { text: str(m.text), index } } });
      else out.push({ type: 'range', options: { from: optNum(m.from) ?? null, to: optNum(m.to) ?? null, result: { text: str(m.text), index } } });
    });
  }
  return out;
}

/** `"50,80"` with three colours as threshold steps. */
export function oldThresholds(text: string, colors: string[]): Thresholds {
  const values = text.split(',').map((s) => s.trim()).filter(Boolean).map(Number).filter((n) => !Number.isNaN(n));
  return { mode: 'absolute', steps: [{ value: null, color: colors[0] ?? 'green' }, ...values.map((value, i) => ({ value, color: colors[i + 1] ?? 'red' }))] };
}

function axis(y: Json): { unit?: string; min?: number; max?: number; label?: string; log?: number } {
  return { unit: optStr(y.format), min: optNum(y.min), max: optNum(y.max), label: optStr(y.label), log: num(y.logBase, 1) > 1 ? num(y.logBase, 1) : undefined };
}

function overrideMatcher(alias: string): { id: string; options: string } {
  return /^\/.*\/[a-z]*$/.test(alias) ? { id: 'byRegexp', options: alias } : { id: 'byName', options: alias };
}

export function fromGraph(p: Json): Json {
  const yaxes = objs(p.yaxes), left = axis(yaxes[0] ?? {}), right = axis(yaxes[1] ?? {});
  const lines = p.lines !== false, bars = p.bars === true, points = p.points === true;
  const custom: Json = {
    drawStyle: bars ? 'bars' : !lines && points ? 'points' : 'line', lineWidth: lines || bars ? num(p.linewidth, 1) : 0, fillOpacity: bars ? 100 : lines ? Math.min(100, num(p.fill, 1) * 10) : 0,
    pointSize: num(p.pointradius, 2) * 2, showPoints: points ? 'always' : 'never', lineInterpolation: p.steppedLine ? 'stepAfter' : 'linear', spanNulls: p.nullPointMode === 'connected',
    gradientMode: num(p.fillGradient, 0) > 0 ? 'opacity' : 'none', stacking: { mode: p.stack ? (p.percentage ? 'percent' : 'normal') : 'none', group: 'A' },
    axisPlacement: yaxes[0]?.show === false ? 'hidden' : 'auto', axisLabel: left.label ?? '', scaleDistribution: left.log ? { type: 'log', log: left.log } : { type: 'linear' }, thresholdsStyle: { mode: 'off' },
    lineStyle: p.dashes ? { fill: 'dash', dash: [num(p.dashLength, 10), num(p.spaceLength, 10)] } : { fill: 'solid' },
  };
  const overrides: Json[] = [];
  for (const [name, color] of Object.entries(obj(p.aliasColors))) if (typeof color === 'string') overrides.push({ matcher: { id: 'byName', options: name }, properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }] });
  for (const o of objs(p.seriesOverrides)) {
    const alias = str(o.alias);
    if (!alias) continue;
    const properties: Json[] = [];
    const put = (id: string, value: unknown) => properties.push({ id, value });
    if (typeof o.color === 'string') put('color', { mode: 'fixed', fixedColor: o.color });
    if (num(o.yaxis, 1) === 2) {
      put('custom.axisPlacement', 'right');
      if (right.unit) put('unit', right.unit);
      if (right.min !== undefined) put('min', right.min);
      if (right.max !== undefined) put('max', right.max);
      if (right.label) put('custom.axisLabel', right.label);
      if (right.log) put('custom.scaleDistribution', { type: 'log', log: right.log });
    }
    if (o.fill !== undefined) put('custom.fillOpacity', num(o.fill, 0) * 10);
    if (o.linewidth !== undefined) put('custom.lineWidth', num(o.linewidth, 1));
    if (o.lines === false) put('custom.lineWidth', 0);
    if (o.bars === true) put('custom.drawStyle', 'bars');
    else if (o.lines === true && bars) put('custom.drawStyle', 'line');
    if (o.points === true) put('custom.showPoints', 'always');
    if (o.steppedLine === true) put('custom.lineInterpolation', 'stepAfter');
    if (o.dashes === true) put('custom.lineStyle', { fill: 'dash', dash: [num(o.dashLength, 10), num(o.spaceLength, 10)] });
    if (o.transform === 'negative-Y') put('custom.transform', 'negative-Y');
    if (o.fillBelowTo) put('custom.fillBelowTo', o.fillBelowTo);
    if (o.stack === false) put('custom.stacking', { mode: 'none', group: 'A' });
    else if (typeof o.stack === 'string') put('custom.stacking', { mode: p.percentage ? 'percent' : 'normal', group: o.stack });
    if (o.legend === false) put('custom.hideFrom', { legend: true, tooltip: false, viz: false });
    if (o.hideTooltip === true) put('custom.hideFrom', { legend: false, tooltip: true, viz: false });
    overrides.push({ matcher: overrideMatcher(alias), properties });
  }
  const l = obj(p.legend), calcs: string[] = [];
  if (l.values !== false) for (const [key, calc] of [['min', 'min'], ['max', 'max'], ['avg', 'mean'], ['current', 'lastNotNull'], ['total', 'sum']] as const) if (l[key] === true) calcs.push(calc);
  const t = obj(p.tooltip);
  const steps = objs(p.thresholds).filter((x) => x.op === 'gt' && optNum(x.value) !== undefined).map((x) => ({ value: num(x.value, 0), color: typeof x.lineColor === 'string' && x.colorMode === 'custom' ? x.lineColor : x.colorMode === 'warning' ? 'orange' : x.colorMode === 'ok' ? 'green' : 'red' }));
  if (steps.length) custom.thresholdsStyle = { mode: objs(p.thresholds).some((x) => x.fill) ? 'line+area' : 'line' };
  const xmode = str(obj(p.xaxis).mode, 'time');
  const type = xmode === 'histogram' ? 'histogram' : xmode === 'series' ? 'bargauge' : 'timeseries';
  return {
    ...p, type,
    fieldConfig: { defaults: { unit: left.unit ?? 'short', min: left.min, max: left.max, decimals: optNum(p.decimals), color: { mode: 'palette-classic' }, custom: p.nullPointMode === 'null as zero' ? { ...custom, nullAsZero: true } : custom, mappings: [],
      links: arr(obj(p.options).dataLinks), thresholds: { mode: 'absolute', steps: [{ value: null, color: 'transparent' }, ...steps] } }, overrides },
    options: {
      legend: { showLegend: l.show !== false, displayMode: l.alignAsTable ? 'table' : 'list', placement: l.rightSide ? 'right' : 'bottom', calcs, sortBy: optStr(l.sort), sortDesc: l.sortDesc === true },
      tooltip: { mode: t.shared === false ? 'single' : 'multi', sort: num(t.sort, 0) === 2 ? 'desc' : num(t.sort, 0) === 1 ? 'asc' : 'none' },
      ...(type === 'bargauge' ? { reduceOptions: { calcs: [reducerOf[strFirst(obj(p.xaxis).values)] ?? 'lastNotNull'] }, orientation: 'vertical' } : {}),
    },
  };
}

const strFirst = (v: unknown): string => str(arr(v)[0], 'current');

export function fromSinglestat(p: Json): Json {
  const colors = arr(p.colors).map((c) => str(c)).filter(Boolean);
  if (!colors.length) colors.push('#299c46', 'rgba(237, 129, 40, 0.89)', '#d44a3a');
  const gauge = obj(p.gauge), spark = obj(p.sparkline), isGauge = gauge.show === true;
  const valueName = str(p.valueName, 'avg');
  const thresholds = oldThresholds(str(p.thresholds), p.colorBackground || p.colorValue || isGauge ? colors : ['text']);
  const prefix = str(p.prefix), postfix = str(p.postfix);
  const mappings = oldMappings(p);
  const field = optStr(p.tableColumn);
  return {
    ...p, type: isGauge ? 'gauge' : 'stat',
    fieldConfig: { defaults: { unit: optStr(p.format) ?? 'none', decimals: optNum(p.decimals), noValue: optStr(p.nullText), mappings, color: { mode: p.colorValue || p.colorBackground || isGauge ? 'thresholds' : 'fixed', fixedColor: 'text' },
      min: isGauge ? num(gauge.minValue, 0) : undefined, max: isGauge ? num(gauge.maxValue, 100) : undefined, thresholds, links: [], custom: { prefix: prefix || undefined, postfix: postfix || undefined } }, overrides: [] },
    options: {
      reduceOptions: { calcs: [reducerOf[valueName] ?? 'lastNotNull'], fields: field && field !== 'Value' ? `/^${field.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$/` : '', values: false },
      orientation: 'horizontal', ...(isGauge ? { showThresholdLabels: gauge.thresholdLabels === true, showThresholdMarkers: gauge.thresholdMarkers !== false }
        : { graphMode: spark.show === true ? 'area' : 'none', colorMode: p.colorBackground ? 'background' : p.colorValue ? 'value' : 'none', justifyMode: 'auto', textMode: valueName === 'name' ? 'name' : 'auto' }),
    },
  };
}

export function fromOldTable(p: Json): Json {
  const overrides: Json[] = [];
  let defaults: Json = {};
  for (const s of objs(p.styles)) {
    const pattern = str(s.pattern), properties: Json[] = [];
    if (s.type === 'hidden') properties.push({ id: 'custom.hidden', value: true });
    if (optStr(s.alias)) properties.push({ id: 'displayName', value: s.alias });
    if (s.type === 'number' && optStr(s.unit)) properties.push({ id: 'unit', value: s.unit });
    if (s.type === 'number' && optNum(s.decimals) !== undefined) properties.push({ id: 'decimals', value: optNum(s.decimals) });
    if (s.type === 'date') properties.push({ id: 'unit', value: `time:${str(s.dateFormat, 'YYYY-MM-DD HH:mm:ss')}` });
    if (s.link === true && optStr(s.linkUrl)) properties.push({ id: 'links', value: [{ title: str(s.linkTooltip), url: str(s.linkUrl).replace(/\$\{?__cell_?(\d*)(:raw)?\}?/g, '${__value.raw}'), targetBlank: s.linkTargetBlank === true }] });
    if (arr(s.thresholds).length && (s.colorMode === 'cell' || s.colorMode === 'value' || s.colorMode === 'row')) {
      properties.push({ id: 'thresholds', value: oldThresholds(arr(s.thresholds).join(','), arr(s.colors).map((c) => str(c))) }, { id: 'custom.cellOptions', value: { type: s.colorMode === 'value' ? 'color-text' : 'color-background' } });
    }
    if (optStr(s.align) && s.align !== 'auto') properties.push({ id: 'custom.align', value: s.align });
    const mappings = oldMappings({ ...s, mappingType: s.mappingType ?? 1 });
    if (mappings.length) properties.push({ id: 'mappings', value: mappings });
    if (pattern === '/.*/' && s.type === 'number') defaults = { unit: s.unit, decimals: optNum(s.decimals) };
    else if (properties.length) overrides.push({ matcher: overrideMatcher(pattern), properties });
  }
  const sort = obj(p.sort);
  const transformations: Json[] = str(p.transform) === 'timeseries_aggregations' ? [{ id: 'reduce', options: { reducers: objs(p.columns).map((c) => reducerOf[str(c.value)] ?? str(c.value)) } }]
    : str(p.transform) === 'timeseries_to_rows' ? [{ id: 'seriesToRows', options: {} }] : str(p.transform) === 'timeseries_to_columns' ? [{ id: 'joinByField', options: {} }] : str(p.transform) === 'table' ? [{ id: 'merge', options: {} }] : [];
  return { ...p, type: 'table', fieldConfig: { defaults: { ...defaults, custom: {} }, overrides }, options: { showHeader: p.showHeader !== false, sortBy: typeof sort.col === 'string' ? [{ displayName: sort.col, desc: sort.desc === true }] : [] }, transformations: arr(p.transformations).length ? p.transformations : transformations };
}

export function fromOldPie(p: Json): Json {
  const l = obj(p.legend);
  return { ...p, type: 'piechart', fieldConfig: { defaults: { unit: optStr(p.format) ?? 'short', decimals: optNum(p.decimals), color: { mode: 'palette-classic' } },
    overrides: Object.entries(obj(p.aliasColors)).map(([name, c]) => ({ matcher: { id: 'byName', options: name }, properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: c } }] })) },
    options: { pieType: p.pieType === 'donut' ? 'donut' : 'pie', reduceOptions: { calcs: [reducerOf[str(p.valueName)] ?? 'lastNotNull'] },
      legend: { showLegend: l.show !== false, displayMode: 'list', placement: p.legendType === 'Right side' ? 'right' : 'bottom', values: [...(l.values === true ? ['value'] : []), ...(l.percentage === true ? ['percent'] : [])] } } };
}
