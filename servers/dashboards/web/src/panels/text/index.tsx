// Text panel: Markdown, sanitised HTML or code, with variables filled in.
import { useLayoutEffect, useRef } from 'preact/hooks';
import { str } from '../../model/read';
import type { PanelProps } from '../types';
import { markdownToHtml, sanitizeInto } from './markdown';

export function Text(p: PanelProps) {
  const ref = useRef<HTMLDivElement>(null), mode = str(p.panel.options.mode, 'markdown'), content = p.interpolate(str(p.panel.options.content));
  useLayoutEffect(() => { if (ref.current && mode !== 'code') sanitizeInto(ref.current, mode === 'html' ? content : markdownToHtml(content)); }, [content, mode]);
  if (mode === 'code') return <pre class="text-code" tabIndex={0}>{content}</pre>;
  return <div ref={ref} class="markdown" tabIndex={0} role="group" aria-label={p.panel.title || 'Text'} />;
}
