// Command palette: pages, dashboards, actions. Opens with / or Ctrl+K.
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { own, type SearchHit } from '../api/own';
import { Icon, type IconName } from './icons';
import { paletteOpen, shortcuts } from './keys';
import { navigate } from './router';
import { chooseTheme, theme } from './state';

interface Entry { text: string; hint: string; icon: IconName; run: () => void }

/** Words of the search all occur; earlier and whole-word hits rank higher. */
export function rank(text: string, search: string): number {
  const t = text.toLowerCase();
  let score = 0;
  for (const w of search.toLowerCase().split(/\s+/).filter(Boolean)) {
    const at = t.indexOf(w);
    if (at < 0) return -1;
    score += 100 - Math.min(60, at) + (at === 0 || /\W/.test(t[at - 1]!) ? 30 : 0);
  }
  return score;
}

export function Palette() {
  const [find, setFind] = useState(''), [at, setAt] = useState(0), [boards, setBoards] = useState<SearchHit[]>([]);
  const ref = useRef<HTMLDialogElement>(null), id = useId(), list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    ref.current?.showModal();
    const abort = new AbortController();
    own.search({ type: 'dash-db', limit: 500 }, abort.signal).then(setBoards, () => {});
    return () => abort.abort();
  }, []);
  const close = () => { paletteOpen.value = false; };
  const go = (text: string, href: string, icon: IconName): Entry => ({ text, hint: 'Go to', icon, run: () => navigate(href) });
  const entries: Entry[] = [
    ...boards.map((d): Entry => ({ text: d.title, hint: d.folderTitle || 'Dashboard', icon: 'dashboards', run: () => navigate(d.url) })),
    go('Home', '/', 'home'), go('Dashboards', '/dashboards', 'dashboards'), go('Explore', '/explore', 'explore'), go('Alert rules', '/alerting/list', 'alert'), go('Alert history', '/alerting/history', 'history'), go('Silences', '/alerting/silences', 'silence'), go('Contact points', '/alerting/contacts', 'send'), go('Import a dashboard', '/dashboard/import', 'upload'), go('New dashboard', '/dashboard/new', 'plus'),
    { text: `Switch to the ${theme.value === 'dark' ? 'light' : 'dark'} theme`, hint: 'Theme', icon: theme.value === 'dark' ? 'sun' : 'moon', run: () => chooseTheme(theme.value === 'dark' ? 'light' : 'dark') },
    ...shortcuts().filter((s) => s.group !== 'Go' && (!s.when || s.when())).map((s): Entry => ({ text: s.text, hint: s.keys, icon: 'keyboard', run: s.run })),
  ];
  const shown = (find ? entries.map((e) => ({ e, s: rank(`${e.text} ${e.hint}`, find) })).filter((x) => x.s >= 0).sort((a, b) => b.s - a.s).map((x) => x.e) : entries).slice(0, 40);
  useEffect(() => { list.current?.querySelector('[data-active=true]')?.scrollIntoView({ block: 'nearest' }); }, [at]);
  const pick = (e: Entry | undefined) => { if (e) { close(); e.run(); } };
  const key = (e: KeyboardEvent) => {
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') { e.preventDefault(); setAt((at + (e.key === 'ArrowDown' ? 1 : -1) + shown.length) % Math.max(1, shown.length)); }
    if (e.key === 'Enter') { e.preventDefault(); pick(shown[at]); }
  };
  return (
    <dialog ref={ref} class="palette" aria-label="Command palette" onCancel={(e) => { e.preventDefault(); close(); }} onClick={(e) => { if (e.target === ref.current) close(); }} onKeyDown={key}>
      <div class="palette-box">
        <div class="palette-input"><Icon name="search" /><input type="text" role="combobox" aria-expanded="true" aria-controls={id} aria-activedescendant={shown[at] ? `${id}-${at}` : undefined} aria-label="Search pages, dashboards and actions" placeholder="Search pages, dashboards, actions" value={find} ref={(e) => e?.focus()} onInput={(e) => { setFind(e.currentTarget.value); setAt(0); }} /><kbd>Esc</kbd></div>
        <ul id={id} role="listbox" aria-label="Results" ref={list}>{shown.map((e, i) => <li key={`${e.text}${e.hint}${i}`} id={`${id}-${i}`} role="option" aria-selected={i === at} data-active={i === at} onPointerMove={() => i !== at && setAt(i)} onClick={() => pick(e)}><Icon name={e.icon} size={15} /><span class="text">{e.text}</span><span class="dim">{e.hint}</span></li>)}</ul>
        {!shown.length && <p class="empty">Nothing found</p>}
      </div>
    </dialog>
  );
}
