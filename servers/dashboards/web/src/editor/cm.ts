// The CodeMirror editor of queries. It lives in a shadow root: there its styles are adopted sheets, which a strict content
// security policy allows. Loaded on first use.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, startCompletion } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { lintKeymap } from '@codemirror/lint';
import { highlightSelectionMatches } from '@codemirror/search';
import { Compartment, EditorState, Prec } from '@codemirror/state';
import { drawSelection, EditorView, keymap, placeholder } from '@codemirror/view';
import { tags as t } from '@lezer/highlight';
import { PromQLExtension, type PrometheusClient } from '@prometheus-io/codemirror-promql';
import { loki } from '../api/loki';
import { prom } from '../api/prometheus';
import type { TimeRange } from '../time/range';
import { logql, logqlLint } from './logql';

export interface EditorOptions { language: 'promql' | 'logql'; value: string; source: string; range: () => TimeRange; onChange: (text: string) => void; onRun: () => void; label: string; placeholder?: string }
export interface EditorHandle { set(text: string): void; source(uid: string, language: 'promql' | 'logql'): void; focus(): void; destroy(): void }

const look = EditorView.theme({
  '&': { color: 'var(--text)', backgroundColor: 'transparent', fontSize: '13px' },
  '.cm-content': { fontFamily: 'var(--mono)', padding: '7px 0', caretColor: 'var(--accent)', lineHeight: '1.5' },
  '.cm-line': { padding: '0 10px' },
  '&.cm-focused': { outline: 'none' },
  '.cm-cursor': { borderLeftColor: 'var(--accent)', borderLeftWidth: '2px' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--select)' },
  '.cm-placeholder': { color: 'var(--dim)' },
  '.cm-matchingBracket': { backgroundColor: 'var(--select)', outline: 'none' },
  '.cm-tooltip': { backgroundColor: 'var(--raised)', border: '1px solid var(--line-strong)', borderRadius: '8px', boxShadow: 'var(--shadow)', color: 'var(--text)', overflow: 'hidden' },
  '.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', fontSize: '12px', maxHeight: '18em' },
  '.cm-tooltip-autocomplete > ul > li': { padding: '3px 8px' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent-soft)', color: 'var(--text)' },
  '.cm-completionDetail': { color: 'var(--dim)', fontStyle: 'normal', marginLeft: '1em' },
  '.cm-completionMatchedText': { textDecoration: 'none', color: 'var(--accent)', fontWeight: '600' },
  '.cm-completionInfo': { padding: '8px 10px', maxWidth: '340px', fontFamily: 'system-ui, sans-serif' },
  '.cm-diagnostic': { padding: '5px 10px', fontFamily: 'system-ui, sans-serif', fontSize: '12px' },
  '.cm-diagnostic-error': { borderLeft: '3px solid var(--bad)' },
  '.cm-lintRange-error': { backgroundImage: 'none', textDecoration: 'underline wavy var(--bad)', textUnderlineOffset: '3px' },
  '.cm-lintRange-warning': { backgroundImage: 'none', textDecoration: 'underline wavy var(--warn)', textUnderlineOffset: '3px' },
});
const colors = HighlightStyle.define([
  { tag: [t.name, t.variableName], color: 'var(--text)' }, { tag: t.labelName, color: 'var(--syn-label)' }, { tag: t.string, color: 'var(--syn-string)' }, { tag: [t.number, t.literal], color: 'var(--syn-number)' }, { tag: [t.keyword, t.operatorKeyword, t.modifier], color: 'var(--syn-keyword)' },
  { tag: t.function(t.variableName), color: 'var(--syn-function)' }, { tag: t.operator, color: 'var(--dim)' }, { tag: t.comment, color: 'var(--dim)', fontStyle: 'italic' }, { tag: t.invalid, color: 'var(--bad-text)' },
]);

function promClient(uid: string, range: () => TimeRange): PrometheusClient {
  const seen = new Map<string, Promise<unknown>>();
  const once = <T>(key: string, fn: () => Promise<T>, empty: T): Promise<T> => {
    let p = seen.get(key) as Promise<T> | undefined;
    if (!p) { p = fn().catch(() => { seen.delete(key); return empty; }); seen.set(key, p); setTimeout(() => seen.delete(key), 60000); }
    return p;
  };
  const selector = (metric?: string, matchers?: { name: string; value: string; type: unknown; toString?: () => string }[]): string[] => (metric || matchers?.length ? [`${metric ?? ''}${matchers?.length ? `{${matchers.filter((m) => m.value !== '').map((m) => `${m.name}="${m.value}"`).join(',')}}` : ''}`] : []);
  return {
    labelNames: (metric) => once(`n${metric}`, () => prom.labels(uid, selector(metric), range()), []),
    labelValues: (label, metric) => once(`v${label}|${metric}`, () => prom.labelValues(uid, label, selector(metric), range()), []),
    metricMetadata: () => once('meta', () => prom.metadata(uid), {}),
    series: (metric) => once(`s${metric}`, () => prom.series(uid, [metric], range()).then((l) => l.map((x) => new Map(Object.entries(x)))), []),
    metricNames: () => once('names', () => prom.labelValues(uid, '__name__', [], range()), []),
    flags: () => Promise.resolve({}),
  };
}

function extensions(o: { language: 'promql' | 'logql'; source: string; range: () => TimeRange }) {
  if (o.language === 'promql') {
    const promql = new PromQLExtension().setComplete({ remote: promClient(o.source, o.range), maxMetricsMetadata: 20000 }), strict = promql.getLinter();
    // dashboard variables are no PromQL: a text that holds some is not judged
    promql.setLinter({ promQL() { const check = strict.promQL(); return (view) => (/\$[\w{]|\[\[/.test(view.state.doc.toString()) ? [] : check(view)); } });
    return promql.activateLinter(true).asExtension();
  }
  return [logql({ labels: (q) => loki.labels(o.source, o.range(), q).catch(() => []), values: (l, q) => loki.labelValues(o.source, l, o.range(), q).catch(() => []) }), logqlLint];
}

export function createEditor(host: HTMLElement, o: EditorOptions): EditorHandle {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
  root.replaceChildren();
  const lang = new Compartment();
  let quiet = false;
  const view = new EditorView({
    root, parent: root as unknown as HTMLElement,
    state: EditorState.create({
      doc: o.value,
      extensions: [
        Prec.highest(keymap.of([{ key: 'Shift-Enter', run: () => { o.onRun(); return true; } }, { key: 'Ctrl-Enter', mac: 'Cmd-Enter', run: () => { o.onRun(); return true; } }, { key: 'Escape', run: (v) => { v.contentDOM.blur(); return false; } }])),
        history(), drawSelection(), bracketMatching(), closeBrackets(), autocompletion({ activateOnTyping: true, maxRenderedOptions: 80, icons: false }), highlightSelectionMatches(), EditorView.lineWrapping, syntaxHighlighting(colors), look, placeholder(o.placeholder ?? ''),
        keymap.of([...closeBracketsKeymap, ...completionKeymap, { key: 'Alt-/', run: startCompletion }, ...lintKeymap, ...historyKeymap, ...defaultKeymap.filter((k) => k.key !== 'Mod-Enter')]),
        EditorView.contentAttributes.of({ 'aria-label': o.label, spellcheck: 'false', autocapitalize: 'off', autocorrect: 'off' }), lang.of(extensions(o)),
        EditorView.updateListener.of((u) => { if (u.docChanged && !quiet) o.onChange(u.state.doc.toString()); }),
      ],
    }),
  });
  return {
    set(text) { if (view.state.doc.toString() === text) return; quiet = true; view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }); quiet = false; },
    source(uid, language) { view.dispatch({ effects: lang.reconfigure(extensions({ ...o, source: uid, language })) }); },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}
