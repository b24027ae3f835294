// Loading data into a component: old data stays while new is on its way, an old request is aborted, errors are text.
import { useEffect, useRef, useState } from 'preact/hooks';
import { errorText, isAbort } from '../api/http';

export interface Loaded<T> { data: T | null; error: string | null; loading: boolean; reload: () => void }

export function useLoad<T>(fn: (signal: AbortSignal) => Promise<T>, deps: readonly unknown[]): Loaded<T> {
  const [state, set] = useState<{ data: T | null; error: string | null; loading: boolean }>({ data: null, error: null, loading: true });
  const [again, setAgain] = useState(0);
  const alive = useRef(true);
  useEffect(() => {
    const abort = new AbortController();
    alive.current = true;
    set((s) => ({ ...s, loading: true }));
    fn(abort.signal).then((data) => { if (!abort.signal.aborted) set({ data, error: null, loading: false }); }, (e: unknown) => { if (!abort.signal.aborted && !isAbort(e)) set((s) => ({ data: s.data, error: errorText(e), loading: false })); });
    return () => { abort.abort(); };
  }, [...deps, again]);
  return { ...state, reload: () => setAgain((n) => n + 1) };
}
