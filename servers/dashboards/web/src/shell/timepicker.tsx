// Time picker: quick ranges, absolute ends, paste, zone, shift and zoom, refresh and auto-refresh.
import { useRef, useState } from 'preact/hooks';
import { describeRelative, isRelative, parsePastedRange, parseTime, quickRanges, resolveRange, shiftRange, zoomOut, type RawRange } from '../time/range';
import { formatTime } from '../time/format';
import { knownZones, normalizeZone, zoneOffset } from '../time/zone';
import { fiscalStart, now, range, rawRange, refreshEvery, refreshNow, weekStart, zone, zoneChoice } from './clock';
import { Icon } from './icons';
import { setParams } from './router';
import { remember, toast } from './state';
import { Button, copyText, IconButton, MenuButton, Popover, Select } from './ui';

export const applyRange = (r: RawRange): void => setParams({ from: r.from, to: r.to });
export const doZoomOut = (): void => applyRange(zoomOut(range.peek()));
export const doShift = (d: -1 | 1): void => applyRange(shiftRange(range.peek(), d));

export function rangeText(): string {
  const r = range.value;
  return describeRelative(rawRange.value) ?? `${formatTime(r.from, zone.value)} to ${formatTime(r.to, zone.value)}`;
}

const offsetText = (z: string): string => { const m = zoneOffset(Date.now(), z) / 60000, a = Math.abs(m); return `UTC${m < 0 ? '−' : '+'}${String(Math.floor(a / 60)).padStart(2, '0')}:${String(a % 60).padStart(2, '0')}`; };

function Picker({ onClose }: { onClose: () => void }) {
  const ctx = { now: now.value, zone: zone.value, weekStart: weekStart.value, fiscalStart: fiscalStart.value };
  const show = (t: string, ms: number) => (/^\s*now/.test(t) ? t : formatTime(ms, zone.value));
  const [from, setFrom] = useState(show(rawRange.value.from, range.value.from)), [to, setTo] = useState(show(rawRange.value.to, range.value.to)), [find, setFind] = useState('');
  const okFrom = parseTime(from, ctx) !== null, okTo = parseTime(to, ctx, true) !== null, order = okFrom && okTo && parseTime(from, ctx)! < parseTime(to, ctx, true)!;
  const pick = (r: RawRange) => { applyRange(r); onClose(); };
  const absolute = (t: string, up: boolean) => (/^\s*now/.test(t) ? t.trim() : String(parseTime(t, ctx, up)));
  const submit = (e: Event) => { e.preventDefault(); if (order) pick({ from: absolute(from, false), to: absolute(to, true) }); };
  const paste = async () => {
    try {
      const r = parsePastedRange(await navigator.clipboard.readText(), ctx);
      if (r) pick(r);
      else toast('error', 'The clipboard holds no time range');
    } catch { toast('error', 'The clipboard is not open to this page: paste into a field instead'); }
  };
  const onPaste = (e: ClipboardEvent) => { const r = parsePastedRange(e.clipboardData?.getData('text') ?? '', ctx); if (r) { e.preventDefault(); setFrom(r.from); setTo(r.to); } };
  const list = quickRanges.filter(([label]) => label.toLowerCase().includes(find.toLowerCase()));
  return (
    <div class="timepicker">
      <form class="absolute" onSubmit={submit}>
        <h3>From – to</h3>
        <label>From<input class={`input ${okFrom ? '' : 'bad'}`} type="text" value={from} aria-invalid={!okFrom} spellcheck={false} onInput={(e) => setFrom(e.currentTarget.value)} onPaste={onPaste} /></label>
        <label>To<input class={`input ${okTo ? '' : 'bad'}`} type="text" value={to} aria-invalid={!okTo} spellcheck={false} onInput={(e) => setTo(e.currentTarget.value)} onPaste={onPaste} /></label>
        <p class="dim small">{okFrom && okTo ? (order ? `${formatTime(parseTime(from, ctx)!, zone.value)} – ${formatTime(parseTime(to, ctx, true)!, zone.value)}` : 'The start is not before the end') : 'Like now-6h, now/d, 2026-11-23 08:00 or epoch ms'}</p>
        <div class="row"><Button kind="primary" type="submit" disabled={!order}>Apply</Button><IconButton icon="copy" label="Copy the range" onClick={() => void copyText(JSON.stringify({ from: rawRange.value.from, to: rawRange.value.to })).then((ok) => toast(ok ? 'ok' : 'error', ok ? 'Range copied' : 'Not copied'))} /><Button onClick={() => void paste()}>Paste</Button></div>
        <h3>Time zone</h3>
        <Select label="Time zone" value={normalizeZone(zoneChoice.value || zone.value)} options={knownZones().map((z) => ({ value: z, text: z === 'browser' ? 'Browser time' : z === 'utc' ? 'UTC' : z.replace(/_/g, ' '), hint: offsetText(z) }))} onChange={(z) => { remember.set('zone', z); zoneChoice.value = z; }} />
      </form>
      <div class="quick">
        <input class="input" type="search" placeholder="Search ranges" aria-label="Search ranges" value={find} onInput={(e) => setFind(e.currentTarget.value)} onKeyDown={(e) => { if (e.key === 'Enter' && list[0]) { e.preventDefault(); pick({ from: list[0][1], to: list[0][2] }); } }} />
        <ul role="list">{list.map(([label, f, t]) => { const on = f === rawRange.value.from && t === rawRange.value.to; return <li key={label}><button type="button" class={on ? 'on' : ''} aria-current={on ? 'true' : undefined} onClick={() => pick({ from: f, to: t })}>{label}{on && <Icon name="check" size={13} />}</button></li>; })}</ul>
      </div>
    </div>
  );
}

const refreshDefaults = ['5s', '10s', '30s', '1m', '5m', '15m', '30m', '1h', '2h', '1d'];

export function TimeControls({ intervals, hidden }: { intervals?: string[]; hidden?: boolean }) {
  const [open, setOpen] = useState(false), ref = useRef<HTMLButtonElement>(null), text = rangeText();
  const close = () => { setOpen(false); };
  const list = (intervals?.length ? intervals : refreshDefaults).filter((x) => x !== '');
  return (
    <div class="timecontrols" role="group" aria-label="Time range">
      {!hidden && <>
        <IconButton icon="left" label="Earlier (t ←)" cls="wide-only" onClick={() => doShift(-1)} />
        <button ref={ref} type="button" class="select time" aria-haspopup="dialog" aria-expanded={open} aria-label={`Time range: ${text}`} onClick={() => setOpen(!open)}><Icon name="clock" size={15} /><span class="text">{text}</span>{zone.value !== 'browser' && <span class="badge">{zone.value === 'utc' ? 'UTC' : zone.value}</span>}<Icon name="down" size={13} /></button>
        <IconButton icon="right" label="Later (t →)" cls="wide-only" onClick={() => doShift(1)} />
        <IconButton icon="zoomout" label="Zoom out (t z)" onClick={doZoomOut} />
        {open && <Popover anchor={ref.current} onClose={close} align="end" label="Time range" cls="time-pop"><Picker onClose={() => { close(); ref.current?.focus(); }} /></Popover>}
      </>}
      <div class="joined">
        <IconButton icon="refresh" label="Refresh (d r)" onClick={refreshNow} />
        <MenuButton label={`Auto-refresh: ${refreshEvery.value || 'off'}`} text={refreshEvery.value || 'Off'} cls={`refresh ${refreshEvery.value ? 'on' : ''}`} items={[{ label: 'Off', onClick: () => setParams({ refresh: '' }) }, { label: 'Auto', onClick: () => setParams({ refresh: 'auto' }) }, ...list.map((x) => ({ label: x, onClick: () => setParams({ refresh: x }) }))]} />
      </div>
    </div>
  );
}

/** Resolves a raw range with the page's zone. */
export const resolveHere = (r: RawRange) => resolveRange(r, { now: now.peek(), zone: zone.peek(), weekStart: weekStart.peek(), fiscalStart: fiscalStart.peek() });
export { isRelative };
