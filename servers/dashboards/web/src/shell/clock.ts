// Time state of the page in front: raw range (text, relative stays relative), zone, refresh. `tick` counts refreshes; the range
// is resolved once per tick, so all panels of a refresh ask for the same instants. Auto-refresh rests while the tab is hidden.
import { batch, computed, effect, signal } from '@preact/signals';
import { parseDuration, resolveRange, type RawRange } from '../time/range';
import { normalizeZone } from '../time/zone';
import { remember } from './state';

export const rawRange = signal<RawRange>({ from: 'now-1h', to: 'now' });
export const zoneChoice = signal<string>(remember.get('zone') ?? '');
export const dashboardZone = signal<string>('');
export const zone = computed(() => normalizeZone(zoneChoice.value || dashboardZone.value));
export const weekStart = signal<number>(1);
export const fiscalStart = signal<number>(0);
export const refreshEvery = signal<string>('');
export const now = signal(Date.now());
export const tick = signal(0);

export const range = computed(() => resolveRange(rawRange.value, { now: now.value, zone: zone.value, weekStart: weekStart.value, fiscalStart: fiscalStart.value }));

export function refreshNow(): void {
  batch(() => {
    now.value = Date.now();
    tick.value++;
  });
}

export function setRawRange(r: RawRange): void {
  if (r.from === rawRange.value.from && r.to === rawRange.value.to) return;
  batch(() => {
    now.value = Date.now();
    rawRange.value = r;
  });
}

/** Starts auto-refresh; gives a function that stops it. */
export function startAutoRefresh(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined, due = 0;
  const arm = () => {
    clearTimeout(timer);
    const every = refreshEvery.value === 'auto' ? Math.min(300000, Math.max(5000, (range.peek().to - range.peek().from) / 400)) : parseDuration(refreshEvery.value);
    if (!every) return;
    due = Date.now() + Math.max(1000, every);
    timer = setTimeout(fire, Math.max(1000, every));
  };
  const fire = () => {
    if (document.hidden) return; // taken up again by visibilitychange
    refreshNow();
    arm();
  };
  const visible = () => { if (!document.hidden && refreshEvery.value && Date.now() >= due) fire(); };
  document.addEventListener('visibilitychange', visible);
  const stop = effect(() => { void refreshEvery.value; void tick.value; arm(); });
  return () => {
    clearTimeout(timer);
    stop();
    document.removeEventListener('visibilitychange', visible);
  };
}
