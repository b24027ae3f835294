// Query editor component: a text field at once, CodeMirror as soon as its chunk is there.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { TimeRange } from '../time/range';
import type { EditorHandle } from './cm';

export function QueryEditor(p: { language: 'promql' | 'logql'; value: string; source: string; range: () => TimeRange; onChange: (v: string) => void; onRun: () => void; label: string; placeholder?: string; autofocus?: boolean }) {
  const host = useRef<HTMLDivElement>(null), editor = useRef<EditorHandle | null>(null), [ready, setReady] = useState(false);
  // texts told to the parent and not yet come back as `value`: an echo must not overwrite what was typed since
  const told = useRef<string[]>([]), latest = useRef(p);
  latest.current = p;
  useEffect(() => {
    let dead = false;
    void import('./cm').then((m) => {
      if (dead || !host.current) return;
      editor.current = m.createEditor(host.current, { language: latest.current.language, value: latest.current.value, source: latest.current.source, range: () => latest.current.range(), onChange: (v) => { told.current = [...told.current.slice(-50), v]; latest.current.onChange(v); }, onRun: () => latest.current.onRun(), label: latest.current.label, placeholder: latest.current.placeholder });
      setReady(true);
      if (p.autofocus) editor.current.focus();
    }, () => { /* stays a text field */ });
    return () => { dead = true; editor.current?.destroy(); editor.current = null; };
  }, []);
  useEffect(() => {
    const at = told.current.lastIndexOf(p.value);
    if (at >= 0) { told.current = told.current.slice(at + 1); return; }
    told.current = [];
    editor.current?.set(p.value);
  }, [p.value, ready]);
  useEffect(() => { if (ready) editor.current?.source(p.source, p.language); }, [p.source, p.language]);
  return (
    <div class="query-editor">
      {!ready && <textarea class="code" rows={1} spellcheck={false} aria-label={p.label} value={p.value} placeholder={p.placeholder} onInput={(e) => p.onChange(e.currentTarget.value)} onKeyDown={(e) => { if (e.key === 'Enter' && (e.shiftKey || e.ctrlKey || e.metaKey)) { e.preventDefault(); p.onRun(); } }} />}
      <div ref={host} class="cm-host" hidden={!ready} data-ready={ready ? '1' : undefined} />
    </div>
  );
}
