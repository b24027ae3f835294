// The frame of the app: navigation, the page for the path, what floats above.
import { useEffect, useRef, useState } from 'preact/hooks';
import { TooltipHost } from '../charts/tooltip';
import { DashboardPage, openDashboard } from '../dash/page';
import { activePanel, panelActions } from '../dash/panelbox';
import { DashboardsPage, ImportPage } from '../home/dashboards';
import { HomePage } from '../home/page';
import { own } from '../api/own';
import { errorText, onUnauthorized } from '../api/http';
import { refreshNow } from './clock';
import { Icon, Logo, type IconName } from './icons';
import { addShortcut, helpOpen, paletteOpen, shortcuts } from './keys';
import { lazy } from './lazy';
import { Palette } from './palette';
import { navigate, params, path, setParams } from './router';
import { chooseTheme, loadError, loadShell, settings, signedOut, theme, toasts } from './state';
import { doShift, doZoomOut } from './timepicker';
import { Button, Empty, ErrorBox, IconButton, MenuButton, Modal } from './ui';

const ExplorePage = lazy(() => import('../explore/page').then((m) => m.ExplorePage));
const AlertsPage = lazy<{ path: string }>(() => import('../alerts/page').then((m) => m.AlertsPage));

const nav: { href: string; text: string; icon: IconName; match: RegExp }[] = [
  { href: '/', text: 'Home', icon: 'home', match: /^\/$/ }, { href: '/dashboards', text: 'Dashboards', icon: 'dashboards', match: /^\/(dashboards?|d)(\/|$)/ }, { href: '/explore', text: 'Explore', icon: 'explore', match: /^\/explore/ },
  { href: '/d/logs', text: 'Logs', icon: 'logs', match: /^\/d\/logs(\/|$)/ }, { href: '/alerting/list', text: 'Alerts', icon: 'alert', match: /^\/alerting/ },
];

function Nav() {
  const at = path.value, active = [...nav].reverse().find((n) => n.match.test(at)), user = settings.value?.user;
  return (
    <nav class="nav" aria-label="Main">
      <a class="brand" href="/" aria-label="Foursight, home"><Logo /><span>Foursight</span></a>
      <ul>{nav.map((n) => <li key={n.href}><a href={n.href} aria-current={active === n ? 'page' : undefined} title={n.text}><Icon name={n.icon} size={18} /><span>{n.text}</span></a></li>)}</ul>
      <div class="nav-end">
        <button type="button" class="search-btn" onClick={() => { paletteOpen.value = true; }} title="Search (Ctrl+K)"><Icon name="search" size={18} /><span>Search</span><kbd aria-hidden="true">Ctrl K</kbd></button>
        <IconButton icon={theme.value === 'dark' ? 'sun' : 'moon'} label={theme.value === 'dark' ? 'Light theme' : 'Dark theme'} onClick={() => chooseTheme(theme.value === 'dark' ? 'light' : 'dark')} />
        <IconButton icon="help" label="Keyboard shortcuts (?)" cls="wide-only" onClick={() => { helpOpen.value = true; }} />
        <MenuButton label={user?.isSignedIn ? `Signed in as ${user.login}` : 'Account'} icon="user" align="start" items={[...(user?.isSignedIn ? [{ label: `${user.login} (${user.orgRole})`, icon: 'user' as const, onClick: () => {} }, { label: 'Sign out', icon: 'external' as const, onClick: () => location.assign('/logout') }] : [{ label: 'Sign in', icon: 'user' as const, onClick: () => navigate('/login') }]), { label: 'Theme: follow the system', icon: 'settings' as const, onClick: () => chooseTheme('system') }, ...(settings.value?.slackReceiverUrl ? [{ label: 'Slack messages', icon: 'external' as const, href: settings.value.slackReceiverUrl, external: true }] : [])]} />
      </div>
    </nav>
  );
}

function Login() {
  const [user, setUser] = useState(''), [password, setPassword] = useState(''), [error, setError] = useState<string | null>(null), [busy, setBusy] = useState(false);
  useEffect(() => { document.title = 'Sign in – Foursight'; }, []);
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await own.login(user, password);
      signedOut.value = false;
      await loadShell();
      const to = new URLSearchParams(location.search).get('redirectTo');
      if (path.peek() === '/login') navigate(to && to.startsWith('/') && !to.startsWith('//') ? to : '/', { replace: true });
    } catch (x) { setError(errorText(x)); }
    setBusy(false);
  };
  return (
    <main class="login"><form class="card" onSubmit={(e) => void submit(e)}><Logo size={44} /><h1>Sign in to Foursight</h1>
      <label>User<input class="input" name="user" autocomplete="username" required value={user} onInput={(e) => setUser(e.currentTarget.value)} /></label><label>Password<input class="input" name="password" type="password" autocomplete="current-password" required value={password} onInput={(e) => setPassword(e.currentTarget.value)} /></label>
      {error && <ErrorBox text={error} />}<Button kind="primary" type="submit" disabled={busy}>{busy ? 'Signing in…' : 'Sign in'}</Button></form></main>
  );
}

function Help() {
  const groups = new Map<string, [string, string][]>();
  for (const s of shortcuts()) groups.set(s.group, [...(groups.get(s.group) ?? []), [s.keys, s.text]]);
  groups.set('Query editor', [['Shift+Enter', 'Run the query'], ['Ctrl+Space', 'Complete'], ['Esc', 'Leave the editor']]);
  groups.set('Charts', [['drag', 'Zoom into a time range'], ['double click', 'Zoom out'], ['click a legend name', 'Show it alone'], ['Ctrl+click', 'Show or hide it']]);
  return <Modal title="Keyboard shortcuts" onClose={() => { helpOpen.value = false; }} wide><div class="help">{[...groups].map(([g, list]) => <section key={g}><h3>{g}</h3><dl>{list.map(([k, t]) => <div key={k}><dt>{k.split(' ').map((x) => <kbd key={x}>{x}</kbd>)}</dt><dd>{t}</dd></div>)}</dl></section>)}</div></Modal>;
}

const hasTime = (): boolean => /^\/(d|explore|alerting\/history)\b/.test(path.peek());
export function registerShortcuts(): void {
  const go = (keys: string, text: string, href: string) => addShortcut({ keys, text, group: 'Go', run: () => navigate(href) });
  addShortcut({ keys: '/', text: 'Search', group: 'General', run: () => { paletteOpen.value = true; } });
  addShortcut({ keys: 'f', text: 'Find a dashboard', group: 'General', run: () => { paletteOpen.value = true; } });
  addShortcut({ keys: '?', text: 'This help', group: 'General', run: () => { helpOpen.value = true; } });
  addShortcut({ keys: 'Esc', text: 'Back', group: 'General', run: () => { const p = params.peek(); for (const k of ['inspect', 'editPanel', 'viewPanel', 'kiosk']) if (p.has(k)) { setParams({ [k]: null, tab: null }); return; } } });
  go('g h', 'Home', '/'); go('g d', 'Dashboards', '/dashboards'); go('g e', 'Explore', '/explore'); go('g a', 'Alerts', '/alerting/list');
  addShortcut({ keys: 'd r', text: 'Refresh', group: 'Page', run: refreshNow });
  addShortcut({ keys: 'd k', text: 'Kiosk mode', group: 'Page', run: () => setParams({ kiosk: params.peek().has('kiosk') ? null : '1' }), when: () => path.peek().startsWith('/d/') });
  addShortcut({ keys: 'd e', text: 'Expand or collapse all rows', group: 'Page', when: () => !!openDashboard.current, run: () => { const s = openDashboard.current!, rows = s.dashboard.peek().panels.filter((p) => p.type === 'row'), now = s.collapsed.peek(), anyClosed = rows.some((r) => now.get(`row-${r.id}`) ?? !!r.collapsed); s.collapsed.value = new Map(rows.map((r) => [`row-${r.id}`, !anyClosed])); } });
  addShortcut({ keys: 't z', text: 'Zoom out', group: 'Time', run: doZoomOut, when: hasTime });
  addShortcut({ keys: 't ←', text: 'Earlier', group: 'Time', run: () => doShift(-1), when: hasTime });
  addShortcut({ keys: 't →', text: 'Later', group: 'Time', run: () => doShift(1), when: hasTime });
  const panel = () => (activePanel.peek() ? panelActions.get(activePanel.peek()!) : undefined);
  addShortcut({ keys: 'v', text: 'View the panel under the pointer', group: 'Panel', when: () => !!panel(), run: () => setParams({ viewPanel: params.peek().get('viewPanel') ? null : activePanel.peek() }) });
  addShortcut({ keys: 'e', text: 'Explore the panel', group: 'Panel', when: () => !!panel(), run: () => panel()!.explore() });
  addShortcut({ keys: 'i', text: 'Inspect the panel', group: 'Panel', when: () => !!panel(), run: () => setParams({ inspect: activePanel.peek() }) });
  document.addEventListener('foursight:zoomout', () => { if (hasTime()) doZoomOut(); });
}

function Page() {
  const p = path.value;
  const dash = /^\/d(?:-solo)?\/([^/]+)/.exec(p);
  if (dash) return <DashboardPage key={dash[1]} uid={decodeURIComponent(dash[1]!)} />;
  if (p === '/' || p === '/index.html') return <HomePage />;
  if (p === '/dashboard/import') return <ImportPage />;
  if (p === '/dashboard/new') return <DashboardPage key="new" uid="new" />;
  if (p.startsWith('/dashboards')) return <DashboardsPage />;
  if (p.startsWith('/explore')) return <ExplorePage />;
  if (p.startsWith('/alerting')) return <AlertsPage path={p} />;
  return <div class="page"><Empty title="There is no such page" icon="warn"><p class="dim">{p}</p><Button onClick={() => navigate('/')}>Home</Button></Empty></div>;
}

export function App() {
  const main = useRef<HTMLElement>(null), last = useRef(path.value);
  useEffect(() => { onUnauthorized.run = () => { signedOut.value = true; }; void loadShell(); }, []);
  useEffect(() => { if (last.current !== path.value) { last.current = path.value; main.current?.focus({ preventScroll: true }); } }, [path.value]);
  const solo = params.value.has('kiosk') || path.value.startsWith('/d-solo/');
  if (signedOut.value || path.value === '/login') return <Login />;
  if (loadError.value) return <main class="page center"><Empty title="The server does not answer" icon="warn"><p class="dim">{loadError.value}</p><Button onClick={() => void loadShell()}>Try again</Button></Empty></main>;
  return (
    <div class={`app ${solo ? 'solo' : ''}`}>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); main.current?.focus(); }}>Skip to the content</a>
      {!solo && <Nav />}
      <main id="main" ref={main} tabIndex={-1}>{settings.value ? <Page /> : <div class="page center"><span class="spinner" role="status" aria-label="Loading" /></div>}</main>
      <TooltipHost />
      {paletteOpen.value && <Palette />}
      {helpOpen.value && <Help />}
      <div class="toasts" role="status" aria-live="polite">{toasts.value.map((t) => <div key={t.id} class={`toast ${t.kind}`}><Icon name={t.kind === 'ok' ? 'ok' : t.kind === 'error' ? 'warn' : 'info'} /><span>{t.text}</span></div>)}</div>
    </div>
  );
}
