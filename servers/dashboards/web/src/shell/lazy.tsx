// A component loaded on first use; a failed load shows its error with a retry.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ErrorBox, Spinner } from './ui';

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): (p: P) => preact.JSX.Element {
  let done: ComponentType<P> | null = null;
  return function Lazy(p: P) {
    const [, redraw] = useState(0), [error, setError] = useState<string | null>(null);
    const go = () => { setError(null); load().then((c) => { done = c; redraw((n) => n + 1); }, () => setError('A part of the app could not be loaded.')); };
    useEffect(() => { if (!done) go(); }, []);
    if (error) return <ErrorBox text={error} retry={go} />;
    if (!done) return <div class="lazy"><Spinner /></div>;
    const C = done as ComponentType<object>;
    return <C {...p} />;
  };
}
