// `${name:format}`: how one or several values of a variable are written into a text.
import { formatPattern } from '../time/format';

export const escapeRegex = (s: string): string => s.replace(/[\\^$*+?.()|[\]{}/]/g, '\\$&');
/** Escaping for a PromQL or LogQL regex inside double quotes: the backslash is written twice. */
export const escapeQueryRegex = (s: string): string => s.replace(/\\/g, '\\\\\\\\').replace(/[$^*{}[\]+?.()|]/g, '\\\\$&').replace(/"/g, '\\"');
export const escapeQueryString = (s: string): string => s.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');

export interface FormatInput { name: string; values: string[]; texts: string[]; multi: boolean; zone: string; range?: { from: number; to: number } }
const one = (v: string[]): string => (v.length === 1 ? v[0]! : v.join(','));
const luceneSafe = (s: string): string => (s === '' ? '__empty__' : `"${s.replace(/([+\-=&|!(){}[\]^"~*?:\\/])/g, '\\$1')}"`);

/** Null for an unknown format: the caller then uses the default. */
export function formatVariable(f: FormatInput, format: string): string | null {
  const v = f.values, [kind, ...args] = format.split(':');
  switch (kind) {
    case 'raw': return one(v);
    case 'csv': return v.join(',');
    case 'join': return v.join(args[0] ?? ',');
    case 'pipe': return v.join('|');
    case 'json': return JSON.stringify(f.multi || v.length > 1 ? v : v[0]);
    case 'glob': return v.length > 1 ? `{${v.join(',')}}` : one(v);
    case 'regex': return v.length === 1 ? escapeRegex(v[0]!) : `(${v.map(escapeRegex).join('|')})`;
    case 'doublequote': return v.map((x) => `"${x.replace(/"/g, '\\"')}"`).join(',');
    case 'singlequote': return v.map((x) => `'${x.replace(/'/g, "\\'")}'`).join(',');
    case 'sqlstring': return v.map((x) => `'${x.replace(/'/g, "''")}'`).join(',');
    case 'percentencode': return encodeURIComponent(v.length > 1 ? `{${v.join(',')}}` : one(v)).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
    case 'uriencode': return encodeURI(one(v));
    case 'lucene': return v.length > 1 ? `(${v.map(luceneSafe).join(' OR ')})` : v.map((x) => x.replace(/([+\-=&|!(){}[\]^"~*?:\\/])/g, '\\$1')).join('');
    case 'distributed': return v.map((x, i) => (i === 0 ? x : `${f.name}=${x}`)).join(',');
    case 'queryparam': return v.map((x) => `var-${f.name}=${encodeURIComponent(x)}`).join('&') || `var-${f.name}=`;
    case 'customqueryparam': { const name = encodeURIComponent(args[0] ?? f.name); return v.map((x) => `${name}=${encodeURIComponent((args[1] ?? '') + x)}`).join('&'); }
    case 'text': return f.texts.join(' + ');
    case 'date': {
      const ms = Number(v[0]);
      if (Number.isNaN(ms)) return 'NaN';
      const pattern = args.join(':');
      if (pattern === '' || pattern === 'iso') return new Date(ms).toISOString();
      if (pattern === 'seconds') return String(Math.round(ms / 1000));
      return formatPattern(ms, pattern, f.zone);
    }
    default: return null;
  }
}

/** How values stand in a PromQL or LogQL text: alternatives in parentheses, regex-escaped if several are possible. */
export function queryDefault(v: string[], multi: boolean): string {
  if (!multi) return v.length <= 1 ? escapeQueryString(v[0] ?? '') : v.map(escapeQueryRegex).join('|');
  return v.length === 1 ? escapeQueryRegex(v[0]!) : `(${v.map(escapeQueryRegex).join('|')})`;
}
