// What a log line holds besides text: JSON and logfmt fields, ANSI colours, matches of the query's line filters. Pure.
import type { LogLine } from '../api/loki';
import type { Labels } from '../fields/frame';

/** Fields of a JSON object, nested names joined by `_` as the `json` stage does; arrays are left out. */
export function jsonFields(line: string): Record<string, string> | null {
  const t = line.trim();
  if (!t.startsWith('{') || !t.endsWith('}')) return null;
  try {
    const out: Record<string, string> = {};
    const walk = (o: object, prefix: string, depth: number): void => {
      for (const [k, v] of Object.entries(o)) {
        const name = prefix + k.replace(/[^a-zA-Z0-9_:]/g, '_');
        if (v !== null && typeof v === 'object') { if (!Array.isArray(v) && depth < 6) walk(v as object, `${name}_`, depth + 1); } else if (v !== null) out[name] = String(v);
      }
    };
    walk(JSON.parse(t) as object, '', 0);
    return out;
  } catch {
    return null;
  }
}

/** `key=value key="a b"` pairs; null when the line does not look like logfmt. */
export function logfmtFields(line: string): Record<string, string> | null {
  const out: Record<string, string> = {};
  let n = 0, covered = 0;
  for (const m of line.matchAll(/([A-Za-z_][\w.\-/]*)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))/g)) {
    out[m[1]!.replace(/[^a-zA-Z0-9_:]/g, '_')] = m[2] !== undefined ? m[2].replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c === 't' ? '\t' : c)) : m[3]!;
    n++;
    covered += m[0].length;
  }
  return n >= 2 && covered > line.length * 0.5 ? out : null;
}

export interface LineFields { kind: 'json' | 'logfmt' | null; labels: [string, string][]; meta: [string, string][]; parsed: [string, string][] }

export function fieldsOf(l: LogLine): LineFields {
  const json = jsonFields(l.line), logfmt = json ? null : logfmtFields(l.line);
  const sort = (o: Labels) => Object.entries(o).sort(([a], [b]) => a.localeCompare(b));
  return { kind: json ? 'json' : logfmt ? 'logfmt' : null, labels: sort(l.labels), meta: sort(l.meta).filter(([k]) => !(k in l.labels)), parsed: Object.entries(json ?? logfmt ?? {}) };
}

export const prettyJson = (line: string): string => {
  try { return JSON.stringify(JSON.parse(line), null, 2); } catch { return line; }
};

/** Texts of `|=` and `|~` filters of a LogQL query, as one pattern for highlighting; null when there are none. */
export function highlightPattern(query: string): RegExp | null {
  const parts: string[] = [];
  let flags = 'g';
  // labels' matchers in braces are no line filters
  const body = query.replace(/\{[^}]*\}/g, '{}');
  for (const m of body.matchAll(/\|([=~])\s*((?:"(?:[^"\\]|\\.)*"|`[^`]*`)(?:\s+or\s+(?:"(?:[^"\\]|\\.)*"|`[^`]*`))*)/g)) {
    for (const q of m[2]!.matchAll(/"((?:[^"\\]|\\.)*)"|`([^`]*)`/g)) {
      let text = q[2] ?? q[1]!.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c === 't' ? '\t' : c));
      if (!text) continue;
      if (m[1] === '=') parts.push(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
      else { if (text.startsWith('(?i)')) { text = text.slice(4); flags = 'gi'; } parts.push(`(?:${text})`); }
    }
  }
  if (!parts.length) return null;
  try { return new RegExp(parts.join('|'), flags); } catch { return null; }
}

/** Splits text into plain and matching parts. Gives up on patterns that match nothing or everything at once. */
export function highlight(text: string, r: RegExp | null): { text: string; hit: boolean }[] {
  if (!r) return [{ text, hit: false }];
  const out: { text: string; hit: boolean }[] = [];
  let last = 0, n = 0;
  for (const m of text.matchAll(r)) {
    if (!m[0] || ++n > 200) break;
    if (m.index > last) out.push({ text: text.slice(last, m.index), hit: false });
    out.push({ text: m[0], hit: true });
    last = m.index + m[0].length;
  }
  if (last < text.length) out.push({ text: text.slice(last), hit: false });
  return out;
}

// eslint-disable-next-line no-control-regex
export const stripAnsi = (s: string): string => (s.includes('\u001b') ? s.replace(/\u001b\[[0-9;]*[A-Za-z]/g, '') : s);

/** Lines that repeat the one before: exact, with numbers masked, or with everything but signs masked. */
export function dedupe(lines: readonly LogLine[], strategy: string): { line: LogLine; repeats: number }[] {
  const key = (l: LogLine): string => {
    switch (strategy) {
      case 'exact': return l.line.replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,\d]*Z?/g, '');
      case 'numbers': return l.line.replace(/\d/g, '');
      case 'signature': return l.line.replace(/\w/g, '');
      default: return '';
    }
  };
  const out: { line: LogLine; repeats: number }[] = [];
  let last = '';
  for (const line of lines) {
    const k = strategy === 'none' || !strategy ? '' : key(line);
    if (out.length && strategy !== 'none' && strategy && k === last) out.at(-1)!.repeats++;
    else out.push({ line, repeats: 0 });
    last = k;
  }
  return out;
}

const escQ = (s: string): string => s.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');

/** The query with one more condition: on a label inside the selector, on a parsed field as a label filter after its parser. */
export function addLogFilter(query: string, key: string, op: '=' | '!=', value: string, where: 'label' | 'meta' | 'json' | 'logfmt'): string {
  const cond = `${key}${op}"${escQ(value)}"`;
  const open = query.indexOf('{');
  if (open < 0) return `{${cond}}`;
  let close = open + 1, quote = '';
  for (; close < query.length; close++) {
    const c = query[close]!;
    if (quote) { if (c === '\\' && quote !== '`') close++; else if (c === quote) quote = ''; } else if (c === '"' || c === '`') quote = c;
    else if (c === '}') break;
  }
  if (where === 'label') {
    const inner = query.slice(open + 1, close), opposite = `${key}${op === '=' ? '!=' : '='}"${escQ(value)}"`;
    const parts = splitMatchers(inner).filter((m) => m !== opposite && m !== cond && !(op === '=' && m.startsWith(`${key}="`)));
    return `${query.slice(0, open)}{${[...parts, cond].join(', ')}}${query.slice(close + 1)}`;
  }
  // before a range or the end of the pipeline
  const rest = query.slice(close + 1), cut = /\s*\[[^\]]*\]/.exec(maskStrings(rest)), at = cut ? cut.index : rest.length;
  const pipeline = rest.slice(0, at).trimEnd(), parser = where === 'meta' || new RegExp(`\\|\\s*${where}\\b`).test(pipeline) ? '' : ` | ${where}`;
  return `${query.slice(0, close + 1)}${pipeline}${parser} | ${cond}${rest.slice(at)}`;
}

const maskStrings = (s: string): string => s.replace(/"(?:[^"\\]|\\.)*"|`[^`]*`/g, (m) => ' '.repeat(m.length));

export function splitMatchers(inner: string): string[] {
  return [...inner.matchAll(/[^,"`]+(?:"(?:[^"\\]|\\.)*"|`[^`]*`)/g)].map((m) => m[0].trim()).filter(Boolean);
}

/** Adds or replaces the text searched for: the first `|=` filter of the pipeline. */
export function setSearchText(query: string, text: string, caseless = true): string {
  const clean = query.replace(/\s*\|~\s*"\(\?i\)(?:[^"\\]|\\.)*"/, '').trimEnd();
  if (!text) return clean;
  const escaped = escQ(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const close = maskStrings(clean).indexOf('}');
  return caseless ? `${clean.slice(0, close + 1)} |~ "(?i)${escaped}"${clean.slice(close + 1)}` : `${clean.slice(0, close + 1)} |= "${escQ(text)}"${clean.slice(close + 1)}`;
}

export function searchTextOf(query: string): string {
  const m = /\|~\s*"\(\?i\)((?:[^"\\]|\\.)*)"/.exec(query);
  return m ? m[1]!.replace(/\\\\/g, '\\').replace(/\\"/g, '"').replace(/\\([.*+?^${}()|[\]\\])/g, '$1') : '';
}
