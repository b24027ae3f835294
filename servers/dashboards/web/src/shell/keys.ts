// Keyboard shortcuts: single keys and two-key sequences. Nothing happens while a field has the focus, except for the palette.
import { signal } from '@preact/signals';

export interface Shortcut { keys: string; text: string; group: string; run: () => void; when?: () => boolean }
const list = new Map<string, Shortcut>();
export const helpOpen = signal(false);
export const paletteOpen = signal(false);

export const addShortcut = (s: Shortcut): void => { list.set(s.keys, s); };
export const shortcuts = (): Shortcut[] => [...list.values()];

const typing = (e: Event): boolean => { const t = e.composedPath()[0] as HTMLElement | undefined; return !!t && (t.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName ?? '')); };
const nameOf = (e: KeyboardEvent): string => ({ ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓', Escape: 'Esc' })[e.key] ?? e.key;

export function startShortcuts(): void {
  let first = '', timer: ReturnType<typeof setTimeout> | undefined;
  document.addEventListener('keydown', (e) => {
    if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === 'k') { e.preventDefault(); paletteOpen.value = !paletteOpen.value; return; }
    if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
    if (typing(e) || document.querySelector('dialog[open]')) return;
    const key = nameOf(e), sequence = first ? `${first} ${key}` : key;
    clearTimeout(timer);
    const hit = list.get(sequence) ?? (first ? list.get(key) : undefined);
    if (hit && (!hit.when || hit.when())) { e.preventDefault(); first = ''; hit.run(); return; }
    first = [...list.keys()].some((k) => k.startsWith(`${key} `)) ? key : '';
    timer = setTimeout(() => { first = ''; }, 1200);
  });
}
