// The URL is the state. `here` follows it; `navigate` and `setParams` change it; links in the page need no handler of their own.
import { computed, signal } from '@preact/signals';

export interface Here { path: string; search: string; hash: string }
const read = (): Here => ({ path: location.pathname, search: location.search, hash: location.hash });

export const here = signal<Here>(read());
export const params = computed(() => new URLSearchParams(here.value.search));
export const path = computed(() => here.value.path);

/** A page with unsaved work sets this; leaving asks first. */
export const leaveGuard: { message: string | null } = { message: null };

export function navigate(url: string, o: { replace?: boolean } = {}): void {
  const u = new URL(url, location.href);
  if (u.origin !== location.origin) { location.assign(u.toString()); return; }
  if (leaveGuard.message && u.pathname !== location.pathname) {
    if (!window.confirm(leaveGuard.message)) return;
    leaveGuard.message = null;
  }
  const next = u.pathname + u.search + u.hash;
  if (next === location.pathname + location.search + location.hash) return;
  const samePage = u.pathname === location.pathname;
  history[o.replace ? 'replaceState' : 'pushState'](null, '', next);
  here.value = read();
  if (!samePage) window.scrollTo(0, 0);
}

/** Sets or (null) removes query parameters; an array repeats the name. */
export function setParams(patch: Record<string, string | string[] | null | undefined>, o: { replace?: boolean } = {}): void {
  const p = new URLSearchParams(location.search);
  for (const [k, v] of Object.entries(patch)) {
    p.delete(k);
    if (Array.isArray(v)) for (const x of v) p.append(k, x);
    else if (v !== null && v !== undefined) p.set(k, v);
  }
  navigate(`${location.pathname}${searchText(p)}${location.hash}`, o);
}

/** `?a=b` with characters kept readable that a query may hold. */
export function searchText(p: URLSearchParams): string {
  const s = p.toString().replace(/%2F/g, '/').replace(/%3A/g, ':').replace(/%24/g, '$').replace(/%2C/g, ',');
  return s ? `?${s}` : '';
}

export function startRouter(): void {
  window.addEventListener('popstate', () => { here.value = read(); });
  document.addEventListener('click', (e) => {
    if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    const a = (e.target as Element).closest?.('a[href]') as HTMLAnchorElement | null;
    if (!a || a.target === '_blank' || a.hasAttribute('download') || a.origin !== location.origin) return;
    if (/^\/(api|logout|public|test)\b/.test(a.pathname)) return;
    e.preventDefault();
    navigate(a.href);
  });
  window.addEventListener('beforeunload', (e) => { if (leaveGuard.message) e.preventDefault(); });
}
