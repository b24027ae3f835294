// Small building blocks: buttons, pop-overs, menus, dialogs, a searchable choice, tabs, empty and error states.
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Icon, type IconName } from './icons';

export function IconButton(p: { icon: IconName; label: string; onClick?: (e: MouseEvent) => void; pressed?: boolean; cls?: string; disabled?: boolean; size?: number; id?: string; expanded?: boolean }) {
  return (
    <button type="button" id={p.id} class={`icon-btn ${p.cls ?? ''}`} aria-label={p.label} title={p.label} onClick={p.onClick} aria-pressed={p.pressed} aria-expanded={p.expanded} disabled={p.disabled}>
      <Icon name={p.icon} size={p.size ?? 16} />
    </button>
  );
}

export function Button(p: { children: ComponentChildren; onClick?: (e: MouseEvent) => void; kind?: 'primary' | 'danger' | 'plain'; icon?: IconName; disabled?: boolean; type?: 'button' | 'submit'; cls?: string; title?: string; pressed?: boolean; label?: string }) {
  return (
    <button type={p.type ?? 'button'} class={`btn ${p.kind ?? ''} ${p.cls ?? ''}`} onClick={p.onClick} disabled={p.disabled} title={p.title} aria-pressed={p.pressed} aria-label={p.label}>
      {p.icon && <Icon name={p.icon} size={15} />}
      <span>{p.children}</span>
    </button>
  );
}

/** Keeps a floating box inside the window, below its anchor or above it. */
export function placeNear(box: HTMLElement, anchor: DOMRect, align: 'start' | 'end' = 'start'): void {
  const w = box.offsetWidth, h = box.offsetHeight, m = 6;
  let x = align === 'end' ? anchor.right - w : anchor.left, y = anchor.bottom + 4;
  if (y + h > innerHeight - m && anchor.top - h - 4 > m) y = anchor.top - h - 4;
  x = Math.max(m, Math.min(x, innerWidth - w - m));
  y = Math.max(m, Math.min(y, innerHeight - h - m));
  box.style.left = `${x}px`;
  box.style.top = `${y}px`;
}

/** A box floating at its trigger. Closes on Esc, on a click outside, and when focus leaves it; focus goes back to the trigger. */
export function Popover(p: { anchor: HTMLElement | null; onClose: () => void; align?: 'start' | 'end'; cls?: string; children: ComponentChildren; label?: string; role?: 'dialog' | 'presentation' }) {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const box = ref.current;
    if (box && p.anchor) placeNear(box, p.anchor.getBoundingClientRect(), p.align);
  });
  useEffect(() => {
    const down = (e: PointerEvent) => { const t = e.target as Node; if (!ref.current?.contains(t) && !p.anchor?.contains(t)) p.onClose(); };
    const key = (e: KeyboardEvent) => { if (e.key === 'Escape') { e.stopPropagation(); e.preventDefault(); p.onClose(); p.anchor?.focus(); } };
    document.addEventListener('pointerdown', down, true);
    document.addEventListener('keydown', key, true);
    return () => { document.removeEventListener('pointerdown', down, true); document.removeEventListener('keydown', key, true); };
  });
  return <div ref={ref} class={`popover ${p.cls ?? ''}`} role={p.role ?? 'dialog'} aria-label={p.label}>{p.children}</div>;
}

export interface MenuItem { label: string; icon?: IconName; hint?: string; onClick?: () => void; href?: string; danger?: boolean; separator?: boolean; external?: boolean }

export function MenuList({ items, onDone }: { items: MenuItem[]; onDone: () => void }) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => { (ref.current?.querySelector('[role=menuitem]') as HTMLElement | null)?.focus(); }, []);
  const key = (e: KeyboardEvent) => {
    const list = [...(ref.current?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? [])];
    const i = list.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: list.length - 1 }[e.key];
    if (to !== undefined) { e.preventDefault(); list[(to + list.length) % list.length]?.focus(); }
    if (e.key === 'Tab') onDone();
  };
  return (
    <div class="menu" role="menu" ref={ref} onKeyDown={key}>
      {items.map((m, i) => m.separator ? <div key={i} class="menu-sep" role="separator" /> : m.href !== undefined ? (
        <a key={i} role="menuitem" tabIndex={-1} href={m.href} target={m.external ? '_blank' : undefined} rel={m.external ? 'noreferrer' : undefined} onClick={onDone}>{m.icon && <Icon name={m.icon} />}<span>{m.label}</span>{m.hint && <kbd>{m.hint}</kbd>}</a>
      ) : (
        <button key={i} type="button" role="menuitem" tabIndex={-1} class={m.danger ? 'danger' : ''} onClick={() => { onDone(); m.onClick?.(); }}>{m.icon && <Icon name={m.icon} />}<span>{m.label}</span>{m.hint && <kbd>{m.hint}</kbd>}</button>
      ))}
    </div>
  );
}

export function MenuButton(p: { label: string; icon?: IconName; text?: string; items: MenuItem[] | (() => MenuItem[]); align?: 'start' | 'end'; cls?: string }) {
  const [open, setOpen] = useState(false);
  const ref = useRef<HTMLButtonElement>(null);
  const close = () => { setOpen(false); };
  return (
    <>
      <button ref={ref} type="button" class={p.text ? `btn ${p.cls ?? ''}` : `icon-btn ${p.cls ?? ''}`} aria-haspopup="menu" aria-expanded={open} aria-label={p.label} title={p.label} onClick={() => setOpen(!open)}>
        {p.icon && <Icon name={p.icon} />}{p.text && <span>{p.text}</span>}{p.text && <Icon name="down" size={13} />}
      </button>
      {open && <Popover anchor={ref.current} onClose={close} align={p.align ?? 'end'} label={p.label} role="presentation"><MenuList items={typeof p.items === 'function' ? p.items() : p.items} onDone={() => { close(); ref.current?.focus(); }} /></Popover>}
    </>
  );
}

export function Modal(p: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean; cls?: string; footer?: ComponentChildren }) {
  const ref = useRef<HTMLDialogElement>(null), id = useId();
  useEffect(() => {
    const d = ref.current!;
    const before = document.activeElement as HTMLElement | null;
    if (!d.open) d.showModal();
    (d.querySelector<HTMLElement>('.modal-body input, .modal-body textarea, .modal-body select') ?? d).focus();
    return () => { d.close(); before?.focus?.(); };
  }, []);
  return (
    <dialog ref={ref} class={`modal ${p.wide ? 'wide' : ''} ${p.cls ?? ''}`} aria-labelledby={id} onCancel={(e) => { e.preventDefault(); p.onClose(); }} onClick={(e) => { if (e.target === ref.current) p.onClose(); }}>
      <div class="modal-box">
        <header><h2 id={id}>{p.title}</h2><IconButton icon="close" label="Close" onClick={p.onClose} /></header>
        <div class="modal-body">{p.children}</div>
        {p.footer && <footer>{p.footer}</footer>}
      </div>
    </dialog>
  );
}

export interface Choice { value: string; text: string; hint?: string }

/** A choice with search, single or multiple. With `multi`, picks are applied when the list closes. */
export function ChoiceList(p: { label: string; options: Choice[]; selected: string[]; multi?: boolean; custom?: boolean; onChange: (values: string[]) => void; onClose: () => void; placeholder?: string; exclusive?: string }) {
  const [find, setFind] = useState(''), [at, setAt] = useState(0);
  const [picked, setPicked] = useState(new Set(p.selected));
  const list = useRef<HTMLUListElement>(null), id = useId();
  const words = find.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = p.options.filter((o) => words.every((w) => o.text.toLowerCase().includes(w) || o.value.toLowerCase().includes(w)));
  if (p.custom && find && !shown.some((o) => o.value === find)) shown.push({ value: find, text: find, hint: 'use this text' });
  const latest = useRef(picked);
  latest.current = picked;
  const changed = useRef(false);
  useEffect(() => () => { if (p.multi && changed.current) p.onChange([...latest.current]); }, []);
  useEffect(() => { list.current?.querySelector('[data-active=true]')?.scrollIntoView({ block: 'nearest' }); }, [at, find]);
  const pick = (v: string) => {
    if (!p.multi) { p.onChange([v]); p.onClose(); return; }
    const next = new Set(picked);
    if (v === p.exclusive) { next.clear(); next.add(v); } else {
      if (p.exclusive) next.delete(p.exclusive);
      if (next.has(v)) next.delete(v);
      else next.add(v);
      if (!next.size && p.exclusive) next.add(p.exclusive);
    }
    changed.current = true;
    setPicked(next);
  };
  const key = (e: KeyboardEvent) => {
    if (e.key === 'ArrowDown') { e.preventDefault(); setAt(Math.min(shown.length - 1, at + 1)); }
    else if (e.key === 'ArrowUp') { e.preventDefault(); setAt(Math.max(0, at - 1)); }
    else if (e.key === 'Enter') { e.preventDefault(); const o = shown[at]; if (o) pick(o.value); if (p.multi && !(e.ctrlKey || e.metaKey) && !find) p.onClose(); }
  };
  return (
    <div class="choice" onKeyDown={key}>
      <input class="input" type="text" autoFocus role="combobox" aria-expanded="true" aria-controls={id} aria-label={`Search ${p.label}`} aria-activedescendant={shown[at] ? `${id}-${at}` : undefined} placeholder={p.placeholder ?? 'Search…'} value={find} ref={(e) => e?.focus()} onInput={(e) => { setFind(e.currentTarget.value); setAt(0); }} />
      <ul id={id} role="listbox" aria-label={p.label} aria-multiselectable={p.multi} ref={list} tabIndex={-1}>
        {shown.slice(0, 500).map((o, i) => (
          <li key={o.value} id={`${id}-${i}`} role="option" aria-selected={picked.has(o.value)} data-active={i === at} onPointerDown={(e) => e.preventDefault()} onClick={() => pick(o.value)}>
            {p.multi && <span class={`box ${picked.has(o.value) ? 'on' : ''}`}>{picked.has(o.value) && <Icon name="check" size={11} />}</span>}
            <span class="text">{o.text || '(empty)'}</span>{o.hint && <span class="dim">{o.hint}</span>}
          </li>
        ))}
      </ul>
      {!shown.length && <p class="empty">Nothing found</p>}
    </div>
  );
}

export function Select(p: { label: string; value: string; options: Choice[]; onChange: (v: string) => void; custom?: boolean; cls?: string; showLabel?: boolean }) {
  const [open, setOpen] = useState(false);
  const ref = useRef<HTMLButtonElement>(null);
  const text = p.options.find((o) => o.value === p.value)?.text ?? p.value;
  return (
    <>
      <button ref={ref} type="button" class={`select ${p.cls ?? ''}`} aria-haspopup="listbox" aria-expanded={open} aria-label={`${p.label}: ${text}`} onClick={() => setOpen(!open)}>{p.showLabel && <span class="dim">{p.label}</span>}<span class="text">{text || '–'}</span><Icon name="down" size={13} /></button>
      {open && <Popover anchor={ref.current} onClose={() => setOpen(false)} label={p.label}><ChoiceList label={p.label} options={p.options} selected={[p.value]} custom={p.custom} onChange={([v]) => p.onChange(v!)} onClose={() => { setOpen(false); ref.current?.focus(); }} /></Popover>}
    </>
  );
}

export function Tabs<T extends string>(p: { label: string; tabs: { id: T; text: string; count?: number }[]; value: T; onChange: (t: T) => void }) {
  const key = (e: KeyboardEvent) => {
    const i = p.tabs.findIndex((t) => t.id === p.value), d = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0;
    if (d) { const next = p.tabs[(i + d + p.tabs.length) % p.tabs.length]!; p.onChange(next.id); (e.currentTarget as HTMLElement).querySelectorAll<HTMLElement>('[role=tab]')[p.tabs.indexOf(next)]?.focus(); }
  };
  return (
    <div class="tabs" role="tablist" aria-label={p.label} onKeyDown={key}>
      {p.tabs.map((t) => <button key={t.id} type="button" role="tab" aria-selected={t.id === p.value} tabIndex={t.id === p.value ? 0 : -1} onClick={() => p.onChange(t.id)}>{t.text}{t.count !== undefined && <span class="count">{t.count}</span>}</button>)}
    </div>
  );
}

export const Spinner = ({ label = 'Loading' }: { label?: string }) => <span class="spinner" role="status" aria-label={label} />;
export function Empty({ title, children, icon = 'info' }: { title: string; children?: ComponentChildren; icon?: IconName }) {
  return <div class="empty-state"><Icon name={icon} size={28} /><p class="title">{title}</p>{children}</div>;
}
export function ErrorBox({ text, retry }: { text: string; retry?: () => void }) {
  return <div class="error-box" role="alert"><Icon name="warn" /><span>{text}</span>{retry && <Button onClick={retry}>Try again</Button>}</div>;
}

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const t = document.createElement('textarea');
    t.value = text;
    t.className = 'off-screen';
    document.body.append(t);
    t.select();
    const ok = document.execCommand('copy');
    t.remove();
    return ok;
  }
}

export function saveFile(name: string, type: string, text: string): void {
  const a = document.createElement('a');
  a.href = URL.createObjectURL(new Blob([text], { type }));
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 1000);
}
