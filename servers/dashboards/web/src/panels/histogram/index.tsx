// Histogram panel: counts of values per bucket.
import { useMemo, useState } from 'preact/hooks';
import { legendOptions } from '../../charts/legend';
import type { ReadyField } from '../../fields/apply';
import { classicPalette } from '../../fields/color';
import { num } from '../../model/read';
import { histogramOf } from '../../transforms/shape';
import { unitText } from '../../units/format';
import { Bars, type BarData } from '../barchart';
import { NoData } from '../common';
import type { PanelProps } from '../types';

export function Histogram(p: PanelProps) {
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const o = p.panel.options;
  const made = useMemo(() => {
    const ready = p.frames.find((f) => f.meta?.type === 'histogram'), h = ready ?? histogramOf(p.frames, { bucketSize: num(o.bucketSize, 0) || undefined, bucketOffset: num(o.bucketOffset, 0), bucketCount: num(o.bucketCount, 30), combine: o.combine === true });
    if (!h) return null;
    const unit = p.panel.fieldConfig.defaults.unit, x0 = h.fields[0]!.values as number[], x1 = h.fields[1]!.values as number[];
    const source = p.frames.flatMap((f) => f.fields.filter((x) => x.type === 'number'));
    const data: BarData = { labels: x0.map((v) => unitText(v, unit)), series: h.fields.slice(2).map((f, i) => ({ field: { ...f, config: { ...f.config, unit: undefined, min: undefined, max: undefined }, shownName: source[i]?.shownName ?? f.name, color: source[i]?.color ?? classicPalette[i % classicPalette.length]!, frameIndex: 0, fieldIndex: i, seriesIndex: i } as ReadyField, values: f.values as number[] })) };
    return { data, edges: x0.map((v, i) => `${unitText(v, unit)} – ${unitText(x1[i], unit)}`) };
  }, [p.frames, o]);
  if (!made) return <NoData />;
  return <Bars p={p} data={made.data} edges={made.edges} hidden={hidden} setHidden={setHidden} lo={legendOptions(o)} horizontal={false} stacking="none" gap={0} barWidth={0.96} showValue="never" rotate={0} />;
}
