// Wall-clock arithmetic in a time zone: `browser` (local), `utc` or an IANA name. Everything is milliseconds since the
// epoch; `Parts` is what a clock on the wall shows. Offsets are cached per quarter of an hour, because axes ask often.

export interface Parts { year: number; month: number; day: number; hour: number; minute: number; second: number; ms: number }

const formatters = new Map<string, Intl.DateTimeFormat | null>();
const offsets = new Map<string, number>();

/** The IANA name or `utc` that a dashboard's time zone text means; `browser`, `default` and empty are the local zone. */
export function normalizeZone(zone: string | undefined | null): string {
  if (!zone || zone === 'browser' || zone === 'default') return 'browser';
  return zone.toLowerCase() === 'utc' ? 'utc' : zone;
}

function formatter(zone: string): Intl.DateTimeFormat | null {
  let f = formatters.get(zone);
  if (f === undefined) {
    try {
      f = new Intl.DateTimeFormat('en-US', {
        timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric',
      });
    } catch {
      f = null; // an unknown zone reads as local time
    }
    formatters.set(zone, f);
  }
  return f;
}

/** Offset from UTC in ms at an instant (positive east of Greenwich). */
export function zoneOffset(ms: number, zone: string): number {
  if (zone === 'utc') return 0;
  if (zone === 'browser') return -new Date(ms).getTimezoneOffset() * 60000;
  const key = `${zone}|${Math.floor(ms / 900000)}`;
  const hit = offsets.get(key);
  if (hit !== undefined) return hit;
  const f = formatter(zone);
  let off: number;
  if (!f) off = -new Date(ms).getTimezoneOffset() * 60000;
  else {
    const p: Record<string, number> = {};
    for (const { type, value } of f.formatToParts(ms)) p[type] = Number(value);
    off = Date.UTC(p.year!, p.month! - 1, p.day!, p.hour!, p.minute!, p.second!) - Math.floor(ms / 1000) * 1000;
  }
  if (offsets.size > 5000) offsets.clear();
  offsets.set(key, off);
  return off;
}

export function toParts(ms: number, zone: string): Parts {
  const d = new Date(ms + zoneOffset(ms, zone));
  return {
    year: d.getUTCFullYear(), month: d.getUTCMonth() + 1, day: d.getUTCDate(), hour: d.getUTCHours(), minute: d.getUTCMinutes(), second: d.getUTCSeconds(), ms: d.getUTCMilliseconds(),
  };
}

/** The instant at which a clock in `zone` shows these parts (overflowing parts carry over, as in `Date.UTC`). */
export function fromParts(p: Parts, zone: string): number {
  const wall = Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second, p.ms);
  let ms = wall - zoneOffset(wall, zone);
  const again = wall - zoneOffset(ms, zone);
  if (again !== ms) ms = again;
  return ms;
}

/** Names offered by the zone picker. */
export function knownZones(): string[] {
  const list = (Intl as { supportedValuesOf?: (k: string) => string[] }).supportedValuesOf?.('timeZone') ?? [];
  return ['browser', 'utc', ...list.filter((z) => z !== 'UTC')];
}
