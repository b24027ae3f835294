// LogQL for CodeMirror: grammar with highlighting, completion (labels and values from the source, stages, functions), errors.
import type { Completion, CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import { LanguageSupport, LRLanguage, syntaxTree } from '@codemirror/language';
import { linter, type Diagnostic } from '@codemirror/lint';
import { parser } from '@grafana/lezer-logql';
import { styleTags, tags as t } from '@lezer/highlight';
import { logqlContext } from './logqlcontext';
import { rangeFunctions, stages, vectorFunctions, type WordDoc } from './logqlwords';

const language = LRLanguage.define({
  parser: parser.configure({
    props: [styleTags({
      Identifier: t.labelName, LabelName: t.labelName, String: t.string, Number: t.number, Duration: t.number, Bytes: t.number, Range: t.number, LineComment: t.comment,
      'RangeOp/...': t.function(t.variableName), 'VectorOp/...': t.function(t.variableName), LabelReplace: t.function(t.variableName), Vector: t.function(t.variableName),
      'Json Logfmt Unpack Pattern Regexp Unwrap LabelFormat LineFormat Decolorize Drop Keep': t.keyword, 'ConvOp/...': t.keyword, 'By Without And Or Unless On Ignoring GroupLeft GroupRight Bool Offset': t.operatorKeyword,
      'PipeExact PipeMatch PipePattern Npa Pipe Eq Neq Re Nre Eql Gtr Gte Lss Lte Add Sub Mul Div Mod Pow': t.operator,
    })],
  }),
  languageData: { closeBrackets: { brackets: ['(', '[', '{', '"', '`'] }, commentTokens: { line: '#' } },
});

export interface LogSource { labels(query?: string): Promise<string[]>; values(label: string, query?: string): Promise<string[]> }

const wordOption = (kind: string) => (w: WordDoc): Completion => ({ label: w.name, type: kind, detail: w.detail, info: w.info, apply: w.apply });

export function logql(source: LogSource): LanguageSupport {
  const complete = async (c: CompletionContext): Promise<CompletionResult | null> => {
    const before = c.state.sliceDoc(0, c.pos), at = logqlContext(before);
    const names = (list: string[], type: string, apply?: (n: string) => string): CompletionResult => ({ from: at.from, options: list.map((label) => ({ label, type, apply: apply?.(label) })), validFor: /^[\w.:/-]*$/ });
    switch (at.kind) {
      case 'label': return names(await source.labels(at.selector), 'property', (n) => `${n}="`);
      case 'value': return names(await source.values(at.label!, at.selector), 'text');
      case 'grouping': return names(await source.labels(), 'property');
      case 'range': return names(['1m', '5m', '10m', '1h', '24h', '$__auto', '$__interval'], 'constant');
      case 'stage': return c.explicit || /\|\s*[a-z_]*$/.test(before) ? { from: at.from, options: stages.map(wordOption('keyword')), validFor: /^[a-z_]*$/ } : null;
      case 'function': return c.explicit || c.pos > at.from ? { from: at.from, options: [...rangeFunctions, ...vectorFunctions].map(wordOption('function')).concat([{ label: '{', type: 'text', detail: 'stream selector' }]), validFor: /^[a-zA-Z_]*$/ } : null;
      default: return null;
    }
  };
  return new LanguageSupport(language, [language.data.of({ autocomplete: complete })]);
}

/** Underlines where the grammar stumbles. Dashboard variables count as text. */
export const logqlLint = linter((view) => {
  const out: Diagnostic[] = [], text = view.state.doc.toString();
  if (!text.trim()) return out;
  syntaxTree(view.state).iterate({
    enter: (n) => {
      if (!n.type.isError || out.length > 4) return;
      const word = text.slice(n.from, Math.max(n.to, n.from)), around = text.slice(Math.max(0, n.from - 24), n.to + 24);
      if (/\$\w|\$\{|\[\[/.test(around)) return;
      const from = Math.min(n.from, Math.max(0, text.length - 1));
      out.push({ from, to: Math.max(n.to, from + 1), severity: 'error', message: word.trim() ? `unexpected "${word.trim().slice(0, 40)}"` : n.from >= text.trimEnd().length ? 'unexpected end of the query' : 'something is missing here' });
    },
  });
  return out;
});
