// Ad hoc filters: adds matchers to every selector of a PromQL or LogQL text. A small scanner knows strings, comments,
// braces and bare metric names; what it does not recognise is left alone.
import type { AdhocFilter } from '../model/types';
import { escapeQueryRegex, escapeQueryString } from './format';

const keywords = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'bool', 'offset', 'and', 'or', 'unless', 'start', 'end', 'inf', 'nan', 'atan2', 'smoothed', 'anchored', 'fill', 'fill_left', 'fill_right']);
const labelLists = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);

/** One matcher as text: operators `=|` and `!=|` take several values. */
export function matcherText(f: AdhocFilter): string {
  if (f.operator === '=|' || f.operator === '!=|') return `${f.key}${f.operator === '=|' ? '=~' : '!~'}"${f.value.split('|').map(escapeQueryRegex).join('|')}"`;
  return `${f.key}${f.operator}"${escapeQueryString(f.value)}"`;
}

export function addFilters(query: string, filters: readonly AdhocFilter[], language: 'promql' | 'logql'): string {
  const usable = filters.filter((f) => f.key && /^(=|!=|=~|!~|=\||!=\|)$/.test(f.operator));
  if (!usable.length) return query;
  const add = usable.map(matcherText).join(', ');
  let out = '', i = 0, skipList = false, bracket = 0;
  const n = query.length;
  const stringEnd = (at: number): number => {
    const q = query[at]!;
    let j = at + 1;
    while (j < n && query[j] !== q) j += query[j] === '\\' && q !== '`' ? 2 : 1;
    return Math.min(n, j + 1);
  };
  const closeBrace = (at: number): number => {
    let j = at + 1;
    while (j < n && query[j] !== '}') j = '"\'`'.includes(query[j]!) ? stringEnd(j) : j + 1;
    return j;
  };
  const braces = (at: number): number => {
    const end = closeBrace(at), inner = query.slice(at + 1, end).trim().replace(/,\s*$/, '');
    out += `{${inner ? `${inner}, ` : ''}${add}}`;
    return end + 1;
  };
  while (i < n) {
    const c = query[i]!;
    if ('"\'`'.includes(c)) { const e = stringEnd(i); out += query.slice(i, e); i = e; continue; }
    if (c === '#') { const e = query.indexOf('\n', i); const stop = e < 0 ? n : e; out += query.slice(i, stop); i = stop; continue; }
    if (c === '{') { i = braces(i); continue; }
    if (c === '[') bracket++;
    if (c === ']') bracket--;
    if (skipList && c === ')') skipList = false;
    if (language === 'promql' && /[a-zA-Z_:]/.test(c) && !bracket) {
      const m = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(query.slice(i))!;
      const word = m[0];
      let j = i + word.length;
      while (j < n && /\s/.test(query[j]!)) j++;
      if (skipList) { out += word; i += word.length; continue; }
      if (keywords.has(word.toLowerCase())) { if (labelLists.has(word.toLowerCase()) && query[j] === '(') skipList = true; out += word; i += word.length; continue; }
      const aggregation = /^(by|without)\b/i.test(query.slice(j));
      if (query[j] === '(' || aggregation) { out += word; i += word.length; continue; }
      out += word;
      i += word.length;
      if (query[j] === '{') { i = braces(j); continue; }
      out += `{${add}}`;
      continue;
    }
    if (/[0-9.]/.test(c)) { const m = /^(0x[0-9a-f]+|[0-9.]+(e[+-]?\d+)?[a-z]*)/i.exec(query.slice(i)); const t = m?.[0] ?? c; out += t; i += t.length; continue; }
    out += c;
    i++;
  }
  return out;
}
