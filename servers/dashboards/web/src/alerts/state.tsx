// Alert states as shown everywhere: a shape, a colour and the word.
import type { Labels } from '../fields/frame';
import { Icon, type IconName } from '../shell/icons';

const looks: Record<string, [cls: string, icon: IconName, text: string]> = {
  firing: ['bad', 'fail', 'Firing'], alerting: ['bad', 'fail', 'Alerting'], pending: ['warn', 'clock', 'Pending'], recovering: ['info', 'refresh', 'Recovering'], inactive: ['good', 'ok', 'Normal'], normal: ['good', 'ok', 'Normal'], ok: ['good', 'ok', 'OK'],
  nodata: ['dimmed', 'info', 'No data'], error: ['bad', 'warn', 'Error'], paused: ['dimmed', 'pause', 'Paused'], active: ['info', 'silence', 'Active'], expired: ['dimmed', 'history', 'Expired'], suppressed: ['dimmed', 'silence', 'Silenced'], up: ['good', 'ok', 'Up'], down: ['bad', 'fail', 'Down'],
};

export function StateBadge({ state, text }: { state: string; text?: string }) {
  const [base, reason] = state.split(' (');
  const [cls, icon, name] = looks[base!.toLowerCase().replace(/\s/g, '')] ?? ['dimmed', 'info', state];
  return <span class={`state ${cls}`}><Icon name={icon as IconName} size={13} />{text ?? `${name}${reason ? ` (${reason}` : ''}`}</span>;
}

export const hiddenLabel = (k: string): boolean => k.startsWith('__');
export function LabelPills({ labels, skip = [] }: { labels: Labels; skip?: string[] }) {
  return <span class="pills">{Object.entries(labels).filter(([k]) => !hiddenLabel(k) && !skip.includes(k)).map(([k, v]) => <span key={k} class="pill"><b>{k}</b>={v}</span>)}</span>;
}
