// The list of dashboards with search, folders and tags; and the import page.
import { useEffect, useState } from 'preact/hooks';
import { errorText } from '../api/http';
import { own, type SearchHit } from '../api/own';
import { fillInputs, importDashboard, unwrap } from '../model/import';
import { allPanels } from '../model/layout';
import { panelTypes } from '../panels/registry';
import type { Imported } from '../model/types';
import { dashboardZone, refreshEvery } from '../shell/clock';
import { Icon } from '../shell/icons';
import { useLoad } from '../shell/load';
import { navigate, params, setParams } from '../shell/router';
import { canEdit, dataSources, defaultSource, toast } from '../shell/state';
import { Button, Empty, ErrorBox, MenuButton, Spinner } from '../shell/ui';

export function DashboardsPage() {
  useEffect(() => { document.title = 'Dashboards – Foursight'; dashboardZone.value = ''; refreshEvery.value = ''; }, []);
  const p = params.value, query = p.get('query') ?? '', tags = p.getAll('tag');
  const l = useLoad((s) => own.search({ query, tag: tags, type: 'dash-db', limit: 1000 }, s), [query, tags.join('\n')]), folders = useLoad((s) => own.folders(s), []);
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const groups = new Map<string, SearchHit[]>();
  for (const f of folders.data ?? []) if (!query && !tags.length) groups.set(f.title, []);
  for (const d of l.data ?? []) { const f = d.folderTitle || 'General'; groups.set(f, [...(groups.get(f) ?? []), d]); }
  const remove = async (d: SearchHit) => { if (!window.confirm(`Delete the dashboard "${d.title}"?`)) return; try { await own.deleteDashboard(d.uid); toast('ok', 'Deleted'); l.reload(); } catch (e) { toast('error', errorText(e)); } };
  return (
    <div class="page">
      <div class="toolbar"><div class="crumbs"><h1>Dashboards</h1></div><div class="actions">{canEdit.value && <><Button icon="upload" onClick={() => navigate('/dashboard/import')}>Import</Button><Button kind="primary" icon="plus" onClick={() => navigate('/dashboard/new')}>New</Button></>}</div></div>
      <div class="filters"><input class="input" type="search" placeholder="Search dashboards" aria-label="Search dashboards" value={query} onInput={(e) => setParams({ query: e.currentTarget.value || null }, { replace: true })} />{tags.map((t) => <button key={t} type="button" class="chip" aria-pressed="true" onClick={() => setParams({ tag: tags.filter((x) => x !== t) })}>{t} ×</button>)}</div>
      {l.error && !l.data ? <ErrorBox text={l.error} retry={l.reload} /> : !l.data ? <Spinner /> : !l.data.length ? <Empty title="No dashboard fits" icon="dashboards" /> : [...groups].sort(([a], [b]) => a.localeCompare(b)).map(([folder, list]) => (
        <section key={folder} class="folder" aria-label={`Folder ${folder}`}>
          <h2><button type="button" aria-expanded={!closed.has(folder)} onClick={() => setClosed((s) => { const n = new Set(s); if (n.has(folder)) n.delete(folder); else n.add(folder); return n; })}><Icon name={closed.has(folder) ? 'right' : 'down'} size={14} /><Icon name="folder" size={15} /><span>{folder}</span><span class="count">{list.length}</span></button></h2>
          {!closed.has(folder) && <ul class="rows">{list.map((d) => <li key={d.uid}><Icon name="dashboards" size={15} /><a class="grow" href={d.url}>{d.title}</a>{d.tags.map((t) => <button key={t} type="button" class="pill" onClick={() => setParams({ tag: [...new Set([...tags, t])] })}>{t}</button>)}{canEdit.value && <MenuButton label={`Menu of ${d.title}`} icon="more" cls="small" items={[{ label: 'Delete', icon: 'trash', danger: true, onClick: () => void remove(d) }]} />}</li>)}</ul>}
        </section>
      ))}
    </div>
  );
}

export function ImportPage() {
  const [text, setText] = useState(''), [error, setError] = useState<string | null>(null), [made, setMade] = useState<{ json: unknown; imported: Imported } | null>(null), [title, setTitle] = useState(''), [uid, setUid] = useState(''), [folder, setFolder] = useState(''), [inputs, setInputs] = useState<Record<string, string>>({}), [overwrite, setOverwrite] = useState(false), [busy, setBusy] = useState(false), [over, setOver] = useState(false);
  const folders = useLoad((s) => own.folders(s), []);
  useEffect(() => { document.title = 'Import – Foursight'; }, []);
  const read = (t: string) => {
    setText(t);
    setError(null);
    if (!t.trim()) { setMade(null); return; }
    try {
      const json = JSON.parse(t) as unknown, imported = importDashboard(json);
      setMade({ json, imported });
      setTitle(imported.dashboard.title);
      setUid(imported.dashboard.uid);
      setInputs(Object.fromEntries(imported.inputs.map((i) => [i.name, i.type === 'datasource' ? (defaultSource(i.pluginId)?.uid ?? '') : (i.value ?? '')])));
    } catch (e) { setMade(null); setError(e instanceof SyntaxError ? `The text is not JSON: ${e.message}` : errorText(e)); }
  };
  const file = async (f: File | undefined) => { if (f) { if (f.size > 20e6) setError('The file is larger than 20 MB.'); else read(await f.text()); } };
  const submit = async (e: Event) => {
    e.preventDefault();
    if (!made) return;
    setBusy(true);
    setError(null);
    try {
      const { kind, body } = unwrap(made.json), classic = kind === 'v2' ? (await import('../model/import')).exportDashboard(made.imported.dashboard) : (fillInputs(body, inputs) as Record<string, unknown>);
      const dashboard = { ...classic, id: null, uid: uid.trim() || undefined, title: title.trim() };
      const list = made.imported.inputs.map((i) => ({ name: i.name, type: i.type, pluginId: i.pluginId, value: inputs[i.name] }));
      const r = await own.importDashboard({ dashboard, overwrite, inputs: list, folderUid: folder || undefined });
      toast('ok', 'Dashboard imported');
      navigate(r.importedUrl || `/d/${r.uid ?? uid}`);
    } catch (x) { setError(errorText(x)); setBusy(false); }
  };
  const panels = made ? allPanels(made.imported.dashboard.panels) : [], unknown = [...new Set(panels.filter((p) => p.type !== 'row' && !panelTypes[p.type]).map((p) => p.type))];
  return (
    <div class="page narrow">
      <div class="toolbar"><div class="crumbs"><a href="/dashboards">Dashboards</a><Icon name="right" size={12} /><h1>Import</h1></div></div>
      <form class="form card" onSubmit={(e) => void submit(e)}>
        <label class={`drop ${over ? 'over' : ''}`} onDragOver={(e) => { e.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={(e) => { e.preventDefault(); setOver(false); void file(e.dataTransfer?.files[0]); }}><Icon name="upload" size={22} /><span>Drop a dashboard file here, or choose one</span><input type="file" accept=".json,application/json" onChange={(e) => void file(e.currentTarget.files?.[0])} /></label>
        <label>or paste its JSON<textarea class="input code" rows={made ? 4 : 10} spellcheck={false} value={text} onInput={(e) => read(e.currentTarget.value)} /></label>
        {made && <>
          <p class="note"><Icon name="info" size={14} /> {panels.filter((p) => p.type !== 'row').length} panels, {made.imported.dashboard.variables.length} variables, schema version {made.imported.dashboard.schemaVersion}.{unknown.length ? ` Shown as placeholders: ${unknown.join(', ')}.` : ''}{made.imported.notes.length ? ` ${made.imported.notes.slice(0, 6).join('; ')}${made.imported.notes.length > 6 ? ` and ${made.imported.notes.length - 6} more notes` : ''}.` : ''}</p>
          <div class="cols"><label>Title<input class="input" required value={title} onInput={(e) => setTitle(e.currentTarget.value)} /></label><label>UID<input class="input" value={uid} maxLength={40} pattern="[A-Za-z0-9_\-]*" placeholder="chosen by the server" onInput={(e) => setUid(e.currentTarget.value)} /></label><label>Folder<select class="input" value={folder} onChange={(e) => setFolder(e.currentTarget.value)}><option value="">General</option>{(folders.data ?? []).map((f) => <option key={f.uid} value={f.uid}>{f.title}</option>)}</select></label></div>
          {made.imported.inputs.map((i) => <label key={i.name}>{i.label}{i.description ? ` – ${i.description}` : ''}{i.type === 'datasource' ? <select class="input" required value={inputs[i.name] ?? ''} onChange={(e) => setInputs({ ...inputs, [i.name]: e.currentTarget.value })}><option value="">Choose a data source</option>{dataSources.value.filter((d) => !i.pluginId || d.type === i.pluginId).map((d) => <option key={d.uid} value={d.uid}>{d.name}</option>)}</select> : <input class="input" value={inputs[i.name] ?? ''} onInput={(e) => setInputs({ ...inputs, [i.name]: e.currentTarget.value })} />}</label>)}
          <label class="check"><input type="checkbox" checked={overwrite} onChange={(e) => setOverwrite(e.currentTarget.checked)} />Overwrite a dashboard with the same UID</label>
        </>}
        {error && <ErrorBox text={error} />}
        <div class="row end"><Button onClick={() => navigate('/dashboards')}>Cancel</Button><Button kind="primary" type="submit" icon="upload" disabled={!made || busy}>{busy ? 'Importing…' : 'Import'}</Button></div>
      </form>
    </div>
  );
}
