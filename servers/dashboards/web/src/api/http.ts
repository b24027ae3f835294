// fetch with the app's manners: JSON in and out, an error that carries the server's own message, abort passes through.

export class ApiError extends Error {
  constructor(readonly status: number, message: string, readonly body?: unknown) { super(message); }
}

export interface RequestOptions { method?: string; body?: unknown; form?: URLSearchParams; signal?: AbortSignal; headers?: Record<string, string> }

/** Called when an answer says that nobody is signed in. Set by the shell. */
export const onUnauthorized: { run: () => void } = { run: () => {} };

function messageOf(status: number, statusText: string, text: string): string {
  try {
    const j = JSON.parse(text) as { message?: string; error?: string; errorType?: string };
    if (j.message) return j.message;
    if (j.error) return j.error;
  } catch { /* plain text */ }
  const clean = text.trim();
  if (clean && clean.length < 2000 && !clean.startsWith('<')) return clean;
  return `${status} ${statusText || 'error'}`;
}

export async function request<T>(url: string, o: RequestOptions = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json', ...o.headers };
  let body: BodyInit | undefined;
  if (o.form) { body = o.form.toString(); headers['Content-Type'] = 'application/x-www-form-urlencoded'; }
  else if (o.body !== undefined) { body = JSON.stringify(o.body); headers['Content-Type'] = 'application/json'; }
  let r: Response;
  try {
    r = await fetch(url, { method: o.method ?? (body === undefined ? 'GET' : 'POST'), headers, body, signal: o.signal, credentials: 'same-origin' });
  } catch (e) {
    if (o.signal?.aborted) throw e;
    throw new ApiError(0, 'The server cannot be reached.');
  }
  const text = await r.text();
  if (!r.ok) {
    // a data source that refuses the proxy is not the user's session having ended
    if (r.status === 401 && !url.includes('/datasources/proxy/')) onUnauthorized.run();
    throw new ApiError(r.status, messageOf(r.status, r.statusText, text));
  }
  if (!text) return undefined as T;
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiError(r.status, 'The answer is not JSON.');
  }
}

export const isAbort = (e: unknown): boolean => e instanceof DOMException && e.name === 'AbortError';
export const errorText = (e: unknown): string => (e instanceof Error ? e.message : String(e));
export const segment = encodeURIComponent;
