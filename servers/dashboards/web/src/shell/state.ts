// What every page shares: settings, the signed-in user, theme, data sources, toasts. Signals, loaded once.
import { batch, computed, effect, signal } from '@preact/signals';
import { errorText } from '../api/http';
import { own, type DataSource, type Settings } from '../api/own';
import type { Theme } from '../fields/color';

export const settings = signal<Settings | null>(null);
export const signedOut = signal(false);
export const dataSources = signal<DataSource[]>([]);

const store = {
  get(k: string): string | null { try { return localStorage.getItem(`foursight.${k}`); } catch { return null; } },
  set(k: string, v: string): void { try { localStorage.setItem(`foursight.${k}`, v); } catch { /* private mode: not remembered */ } },
};
export const remember = store;

export const themeChoice = signal<'dark' | 'light' | 'system'>((store.get('theme') as 'dark' | 'light' | 'system' | null) ?? 'system');
const systemDark = signal(typeof matchMedia === 'undefined' ? true : matchMedia('(prefers-color-scheme: dark)').matches);
export const theme = computed<Theme>(() => {
  if (themeChoice.value !== 'system') return themeChoice.value;
  const d = settings.value?.defaultTheme;
  return store.get('theme') === null && (d === 'dark' || d === 'light') ? d : systemDark.value ? 'dark' : 'light';
});

export function startTheme(): void {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', (e) => { systemDark.value = e.matches; });
  effect(() => { document.documentElement.dataset.theme = theme.value; });
}
export function chooseTheme(t: 'dark' | 'light' | 'system'): void {
  store.set('theme', t);
  themeChoice.value = t;
}

export interface Toast { id: number; kind: 'ok' | 'error' | 'info'; text: string }
export const toasts = signal<Toast[]>([]);
let nextToast = 1;
export function toast(kind: Toast['kind'], text: string): void {
  const id = nextToast++;
  toasts.value = [...toasts.value.slice(-3), { id, kind, text }];
  setTimeout(() => { toasts.value = toasts.value.filter((t) => t.id !== id); }, kind === 'error' ? 9000 : 4000);
}

export const loadError = signal<string | null>(null);

export async function loadShell(): Promise<void> {
  loadError.value = null;
  try {
    const sources = own.datasources();
    sources.catch(() => {}); // reported below; when nobody is signed in it fails and does not matter
    const s = await own.settings();
    if (!s.anonymousEnabled && s.user && !s.user.isSignedIn) { signedOut.value = true; return; }
    // pages need the data sources from their first moment: both become visible together
    const list = await sources;
    batch(() => { dataSources.value = list; settings.value = s; });
  } catch (e) {
    if (!signedOut.value) loadError.value = errorText(e);
  }
}

export const canEdit = computed(() => { const r = settings.value?.user?.orgRole; return r === 'Admin' || r === 'Editor'; });

export const defaultSource = (type?: string): DataSource | undefined => {
  const fits = dataSources.value.filter((d) => !type || d.type === type);
  return fits.find((d) => d.isDefault) ?? fits[0];
};

/** Finds a data source by uid or name; an unknown uid falls back to the default of the same type. */
export function findSource(ref: { type?: string; uid?: string } | null | undefined): DataSource | undefined {
  if (!ref || (!ref.uid && !ref.type)) return dataSources.value.find((d) => d.isDefault) ?? dataSources.value[0];
  const hit = ref.uid ? (dataSources.value.find((d) => d.uid === ref.uid) ?? dataSources.value.find((d) => d.name === ref.uid) ?? dataSources.value.find((d) => d.name.toLowerCase() === ref.uid!.toLowerCase())) : undefined;
  return hit ?? (ref.type ? defaultSource(ref.type) : (defaultSource('prometheus') ?? defaultSource()));
}
