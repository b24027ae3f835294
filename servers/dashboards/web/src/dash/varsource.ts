// Variable queries against Prometheus and Loki: label_names, label_values, metrics, query_result, series selectors.
import { loki } from '../api/loki';
import { prom } from '../api/prometheus';
import { labelsText } from '../fields/frame';
import { findSource, dataSources } from '../shell/state';
import type { VariableSource } from '../vars/resolve';

/** Splits `label_values(a{b="c,d"}, e)` at its last top-level comma. */
export function parseVariableQuery(text: string): { fn: string; args: string[] } | null {
  const m = /^\s*(label_names|label_values|metrics|query_result)\s*\(([\s\S]*)\)\s*$/.exec(text);
  if (!m) return null;
  const args: string[] = [];
  let depth = 0, quote = '', at = 0;
  const body = m[2]!;
  for (let i = 0; i < body.length; i++) {
    const c = body[i]!;
    if (quote) { if (c === '\\' && quote !== '`') i++; else if (c === quote) quote = ''; } else if ('"\'`'.includes(c)) quote = c;
    else if ('({['.includes(c)) depth++;
    else if (')}]'.includes(c)) depth--;
    else if (c === ',' && depth === 0 && m[1] === 'label_values') { args.push(body.slice(at, i)); at = i + 1; }
  }
  args.push(body.slice(at));
  return { fn: m[1]!, args: args.map((a) => a.trim()).filter((a) => a !== '') };
}

export const variableSource: VariableSource = {
  datasources: () => dataSources.value,
  async query(ref, text, _structured, range, signal) {
    const ds = findSource(ref);
    if (!ds) throw new Error('there is no data source for this variable');
    const q = parseVariableQuery(text);
    if (ds.type === 'loki') {
      if (!q) throw new Error(`"${text}" is no variable query of a log source`);
      if (q.fn === 'label_names') return loki.labels(ds.uid, range, undefined, signal);
      if (q.fn === 'label_values') return q.args.length > 1 ? loki.labelValues(ds.uid, q.args.at(-1)!, range, q.args.slice(0, -1).join(','), signal) : loki.labelValues(ds.uid, q.args[0] ?? '', range, undefined, signal);
      throw new Error(`${q.fn}() is not known to log sources`);
    }
    if (!q) {
      if (!text.trim()) return [];
      const series = await prom.series(ds.uid, [text], range, signal);
      return series.map((s) => labelsText(s));
    }
    switch (q.fn) {
      case 'label_names': return (await prom.labels(ds.uid, q.args, range, signal)).filter((l) => l !== '__name__');
      case 'label_values': return prom.labelValues(ds.uid, q.args.at(-1) ?? '', q.args.length > 1 ? [q.args.slice(0, -1).join(',')] : [], range, signal);
      case 'metrics': { const r = new RegExp(q.args[0] || '.*'); return (await prom.labelValues(ds.uid, '__name__', [], range, signal)).filter((m) => r.test(m)); }
      default: {
        const a = await prom.query(ds.uid, q.args[0] ?? '', range.to / 1000, signal), ms = Math.round(range.to);
        if (a.data.resultType === 'vector') return a.data.result.filter((s) => s.value).map((s) => `${labelsText(s.metric)} ${s.value![1]} ${Math.round(s.value![0] * 1000)}`);
        return a.data.resultType === 'scalar' ? [`${a.data.result[1]} ${ms}`] : [];
      }
    }
  },
};
