// Links of dashboards, panels and values: variables filled in, only safe targets.
import type { ReadyField, ReadyFrame } from '../fields/apply';
import type { DataLink } from '../fields/frame';
import type { DashLink } from '../model/types';
import { safeUrl } from '../panels/text/markdown';
import { interpolate, type VarContext } from '../vars/interpolate';

export interface ReadyLink { title: string; href: string; external: boolean }

/** The names a data link may use at one value. */
export function valueLocals(f: ReadyField, row: number, text: string, frame?: ReadyFrame): Record<string, string> {
  const raw = f.values[row], out: Record<string, string> = {
    '__value.raw': String(raw ?? ''), '__value.text': text, '__value.numeric': typeof raw === 'number' ? String(raw) : '', '__field.name': f.shownName, '__series.name': f.shownName, '__value.calc': '', __value: String(raw ?? ''),
  };
  for (const [k, v] of Object.entries(f.labels ?? {})) { out[`__field.labels.${k}`] = v; out[`__field.labels["${k}"]`] = v; }
  frame?.fields.forEach((c, i) => {
    const v = String(c.values[row] ?? '');
    for (const key of [`__data.fields.${c.name}`, `__data.fields["${c.name}"]`, `__data.fields.${c.shownName}`, `__data.fields["${c.shownName}"]`, `__data.fields[${i}]`]) out[key] = v;
    if (c.type === 'time') out['__value.time'] = v;
  });
  return out;
}

export function dataLinks(links: DataLink[] | undefined, f: ReadyField, row: number, text: string, frame: ReadyFrame | undefined, c: VarContext): ReadyLink[] {
  if (!links?.length) return [];
  const local = valueLocals(f, row, text, frame), ctx = { ...c, local };
  return links.map((l) => ({ title: interpolate(l.title || l.url, ctx), href: interpolate(l.url, ctx, 'url'), external: !!l.targetBlank })).filter((l) => l.href && safeUrl(l.href));
}

/** Adds the time range and variables a dashboard link asks to keep. */
export function withState(url: string, keep: Pick<DashLink, 'keepTime' | 'includeVars'>, c: VarContext): string {
  const extra = [keep.keepTime ? interpolate('${__url_time_range}', c) : '', keep.includeVars ? interpolate('${__all_variables}', c) : ''].filter(Boolean).join('&');
  return extra ? `${url}${url.includes('?') ? '&' : '?'}${extra}` : url;
}
