// Runs a panel's transformations in order over its frames. Each transformation is a pure function of (frames, options);
// an unknown id leaves the frames alone and is reported, a throwing one too.
import { matchesField } from '../fields/apply';
import type { Frame } from '../fields/frame';
import { calculateField } from './calculate';
import { columns, type Options } from './columns';
import { joins } from './join';
import { rowsOps } from './rows';
import { shapes } from './shape';

export interface Transformation { id: string; options?: Options; disabled?: boolean; filter?: { id: string; options?: unknown }; topic?: string }
export type TransformFn = (frames: Frame[], options: Options, c: TransformContext) => Frame[];
export interface TransformContext { interpolate: (text: string) => string; zone: string; range: { from: number; to: number } }

const all: Record<string, TransformFn> = { ...columns, ...joins, ...rowsOps, ...shapes, calculateField, noop: (f) => f };

export const knownTransformations = (): string[] => Object.keys(all).sort();

export function runTransformations(frames: Frame[], list: readonly Transformation[] | undefined, c: TransformContext): { frames: Frame[]; problems: string[] } {
  const problems: string[] = [];
  let out = frames;
  for (const t of list ?? []) {
    if (t.disabled || (t.topic && t.topic !== 'series')) continue;
    const fn = all[t.id];
    if (!fn) {
      problems.push(`transformation "${t.id}" is not known`);
      continue;
    }
    try {
      if (t.filter?.id) {
        const fits = (f: Frame) => (t.filter!.id === 'byRefId' ? new RegExp(`^(${String(t.filter!.options).replace(/^\/(.*)\/$/, '$1')})$`).test(f.refId ?? '') : f.fields.some((x) => matchesField(t.filter!, x, f, x.name)));
        const chosen = out.filter(fits), rest = out.filter((f) => !fits(f));
        out = [...fn(chosen, t.options ?? {}, c), ...rest];
      } else out = fn(out, t.options ?? {}, c);
    } catch (e) {
      problems.push(`transformation "${t.id}": ${e instanceof Error ? e.message : String(e)}`);
    }
  }
  return { frames: out, problems };
}
