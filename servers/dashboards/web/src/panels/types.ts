// What a panel component gets. Components draw what they are given and ask nothing.
import type { Theme } from '../fields/color';
import type { ReadyField, ReadyFrame } from '../fields/apply';
import type { DataLink } from '../fields/frame';
import type { Panel } from '../model/types';
import type { TimeRange } from '../time/range';

export interface AnnotationMark { time: number; timeEnd?: number; title: string; text: string; tags: string[]; color: string }

export interface PanelProps {
  panel: Panel; frames: ReadyFrame[]; range: TimeRange; width: number; height: number; theme: Theme; zone: string; id: string;
  /** 0 off, 1 shared crosshair, 2 shared tooltip. */
  cursorMode: 0 | 1 | 2; cursorGroup: string; annotations: AnnotationMark[];
  interpolate: (text: string, local?: Record<string, string>, mode?: 'text' | 'url') => string;
  onZoom: (from: number, to: number) => void;
  links: (links: DataLink[] | undefined, field: ReadyField, row: number, text: string) => { title: string; href: string; external: boolean }[];
  onFilter?: (key: string, operator: '=' | '!=', value: string) => void;
}
