// The dashboards host's own HTTP API, typed by what the app reads.
import type { Labels } from '../fields/frame';
import { request, segment } from './http';

export interface Settings { buildInfo: { version: string; commit?: string }; anonymousEnabled: boolean; appUrl: string; defaultTheme?: string; slackReceiverUrl?: string; user?: { isSignedIn: boolean; login: string; orgRole: string } }
export interface DataSource { id?: number; uid: string; name: string; type: string; isDefault: boolean; url?: string; jsonData?: { timeInterval?: string; httpMethod?: string; maxLines?: number | string; derivedFields?: DerivedField[] } }
export interface DerivedField { name: string; matcherType?: 'regex' | 'label'; matcherRegex: string; url?: string; urlDisplayLabel?: string; datasourceUid?: string }
export interface SearchHit { uid: string; title: string; type: string; tags: string[]; url: string; folderUid?: string; folderTitle?: string; isStarred?: boolean }
export interface Folder { uid: string; title: string }
export interface HostPart { name: string; url: string; up: boolean; latencyMs?: number; error?: string }
export interface Host { name: string; url: string; up: boolean; parts: HostPart[]; detail: { version?: string; uptimeSeconds?: number; [figure: string]: unknown } }
export interface RuleAlert { labels: Labels; annotations: Labels; state: string; activeAt?: string; value: string }
export interface Rule { uid?: string; name: string; state: string; health: string; query: string; duration: number; keepFiringFor?: number; labels: Labels; annotations?: Labels; alerts?: RuleAlert[]; type: string; lastEvaluation?: string; evaluationTime?: number; lastError?: string; folderUid?: string; isPaused?: boolean; provenance?: string; totals?: Record<string, number> }
export interface RuleGroup { name: string; file: string; folderUid?: string; interval: number; rules: Rule[]; lastEvaluation?: string; evaluationTime?: number }
export interface SilenceMatcher { name: string; value: string; isRegex: boolean; isEqual: boolean }
export interface Silence { id: string; matchers: SilenceMatcher[]; startsAt: string; endsAt: string; createdBy: string; comment: string; status: { state: 'active' | 'pending' | 'expired' }; updatedAt?: string }
export interface AmAlert { labels: Labels; annotations: Labels; startsAt: string; endsAt: string; updatedAt?: string; fingerprint: string; generatorURL?: string; receivers?: { name: string }[]; status: { state: 'active' | 'suppressed' | 'unprocessed'; silencedBy: string[]; inhibitedBy: string[]; mutedBy?: string[] } }
export interface AmGroup { labels: Labels; receiver: { name: string }; alerts: AmAlert[] }
export interface HistoryEvent { time: number; ruleUID: string; ruleTitle: string; labels: Labels; previous: string; current: string; values: Record<string, number>; reason?: string }
export interface ContactPoint { uid?: string; name: string; type: string; settings: Record<string, unknown>; disableResolveMessage?: boolean; provenance?: string }
export interface ApiAnnotation { id: number; time: number; timeEnd?: number; text: string; title?: string; tags: string[]; dashboardUID?: string; panelId?: number; login?: string; newState?: string }

const am = '/api/alertmanager/grafana/api/v2';
export const own = {
  settings: (s?: AbortSignal) => request<Settings>('/api/frontend/settings', { signal: s }),
  login: (user: string, password: string) => request<{ message: string }>('/login', { body: { user, password } }),
  user: () => request<{ login: string; email?: string; orgRole?: string }>('/api/user'),
  datasources: (s?: AbortSignal) => request<DataSource[]>('/api/datasources', { signal: s }),
  datasourceHealth: (uid: string, s?: AbortSignal) => request<{ status: string; message: string }>(`/api/datasources/uid/${segment(uid)}/health`, { signal: s }),
  search: (q: { query?: string; tag?: string[]; type?: string; folder?: string; limit?: number }, s?: AbortSignal) => {
    const p = new URLSearchParams();
    if (q.query) p.set('query', q.query);
    if (q.type) p.set('type', q.type);
    if (q.folder) p.set('folderUIDs', q.folder);
    if (q.limit) p.set('limit', String(q.limit));
    for (const t of q.tag ?? []) p.append('tag', t);
    return request<SearchHit[]>(`/api/search?${p}`, { signal: s });
  },
  folders: (s?: AbortSignal) => request<Folder[]>('/api/folders', { signal: s }),
  dashboard: (uid: string, s?: AbortSignal) => request<{ meta: { canSave?: boolean; canEdit?: boolean; provisioned?: boolean; folderUid?: string; folderTitle?: string; slug?: string; url?: string; version?: number }; dashboard: unknown }>(`/api/dashboards/uid/${segment(uid)}`, { signal: s }),
  saveDashboard: (body: { dashboard: unknown; folderUid?: string; message?: string; overwrite?: boolean }) => request<{ uid: string; url: string; version: number; slug?: string }>('/api/dashboards/db', { body }),
  deleteDashboard: (uid: string) => request<unknown>(`/api/dashboards/uid/${segment(uid)}`, { method: 'DELETE' }),
  importDashboard: (body: { dashboard: unknown; overwrite: boolean; inputs: unknown[]; folderUid?: string }) => request<{ uid?: string; importedUrl?: string; importedUri?: string; slug?: string; title?: string }>('/api/dashboards/import', { body }),
  hosts: (s?: AbortSignal) => request<{ hosts: Host[] }>('/api/foursight/hosts', { signal: s }),
  rules: (s?: AbortSignal) => request<{ data: { groups: RuleGroup[] } }>('/api/prometheus/grafana/api/v1/rules', { signal: s }).then((r) => r.data?.groups ?? []),
  amAlerts: (s?: AbortSignal) => request<AmAlert[]>(`${am}/alerts`, { signal: s }),
  amGroups: (s?: AbortSignal) => request<AmGroup[]>(`${am}/alerts/groups`, { signal: s }),
  silences: (s?: AbortSignal) => request<Silence[]>(`${am}/silences`, { signal: s }),
  createSilence: (body: Omit<Silence, 'id' | 'status'> & { id?: string }) => request<{ silenceID: string }>(`${am}/silences`, { body }),
  expireSilence: (id: string) => request<unknown>(`${am}/silence/${segment(id)}`, { method: 'DELETE' }),
  history: (q: { from?: number; to?: number; limit?: number; ruleUID?: string }, s?: AbortSignal) => {
    const p = new URLSearchParams();
    for (const [k, v] of Object.entries(q)) if (v !== undefined) p.set(k, String(v));
    return request<{ events: HistoryEvent[] }>(`/api/v1/rules/history?${p}`, { signal: s }).then((r) => r.events ?? []);
  },
  contactPoints: (s?: AbortSignal) => request<ContactPoint[]>('/api/v1/provisioning/contact-points', { signal: s }),
  annotations: (q: Record<string, string | number | undefined>, tags: string[], s?: AbortSignal) => {
    const p = new URLSearchParams();
    for (const [k, v] of Object.entries(q)) if (v !== undefined) p.set(k, String(v));
    for (const t of tags) p.append('tags', t);
    return request<ApiAnnotation[]>(`/api/annotations?${p}`, { signal: s });
  },
};
