// Saving a dashboard, and its settings: title, tags, description, JSON model.
import { useState } from 'preact/hooks';
import { errorText } from '../api/http';
import { own } from '../api/own';
import { exportDashboard, importDashboard } from '../model/import';
import { useLoad } from '../shell/load';
import { navigate } from '../shell/router';
import { toast } from '../shell/state';
import { Button, ErrorBox, Modal } from '../shell/ui';
import type { DashState } from './state';

export function SaveDialog({ state, onClose }: { state: DashState; onClose: () => void }) {
  const d = state.dashboard.value, [title, setTitle] = useState(d.title), [message, setMessage] = useState(''), [asCopy, setAsCopy] = useState(false), [withTime, setWithTime] = useState(false), [withVars, setWithVars] = useState(false), [folder, setFolder] = useState(state.meta.folderUid ?? ''), [error, setError] = useState<string | null>(null), [busy, setBusy] = useState(false), [overwrite, setOverwrite] = useState(false);
  const folders = useLoad((s) => own.folders(s), []), fresh = state.meta.isNew === true || asCopy;
  const save = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setError(null);
    try {
      let next = { ...d, title: title.trim() };
      if (withTime) { const { rawRange } = await import('../shell/clock'); next = { ...next, time: { ...rawRange.peek() } }; }
      if (withVars) next = { ...next, variables: next.variables.map((v) => { const now = state.variables.peek().find((x) => x.name === v.name); return now ? { ...v, current: now.current, filters: now.filters } : v; }) };
      const json = exportDashboard(fresh ? { ...next, id: null, uid: asCopy ? '' : next.uid } : next) as Record<string, unknown>;
      if (asCopy) delete json.uid;
      const r = await own.saveDashboard({ dashboard: json, folderUid: folder || undefined, message: message || undefined, overwrite });
      state.change(() => next);
      state.markSaved(r.version, r.uid);
      toast('ok', 'Dashboard saved');
      onClose();
      if (fresh) { state.markSaved(); navigate(r.url || `/d/${r.uid}`); } else state.editing.value = false;
    } catch (x) {
      setError(errorText(x));
      setBusy(false);
    }
  };
  return (
    <Modal title="Save dashboard" onClose={onClose}>
      <form class="form" onSubmit={(e) => void save(e)}>
        {state.meta.provisioned && !asCopy && <p class="note">This dashboard comes from a file. A change made here may be refused or overwritten: save a copy to keep it.</p>}
        <label>Title<input class="input" required value={title} onInput={(e) => setTitle(e.currentTarget.value)} /></label>
        <label>Folder<select class="input" value={folder} onChange={(e) => setFolder(e.currentTarget.value)}><option value="">General</option>{(folders.data ?? []).map((f) => <option key={f.uid} value={f.uid}>{f.title}</option>)}</select></label>
        <label>What changed<input class="input" value={message} placeholder="optional" onInput={(e) => setMessage(e.currentTarget.value)} /></label>
        <label class="check"><input type="checkbox" checked={withTime} onChange={(e) => setWithTime(e.currentTarget.checked)} />Save the current time range as default</label>
        <label class="check"><input type="checkbox" checked={withVars} onChange={(e) => setWithVars(e.currentTarget.checked)} />Save the current variable values as default</label>
        {!state.meta.isNew && <label class="check"><input type="checkbox" checked={asCopy} onChange={(e) => setAsCopy(e.currentTarget.checked)} />Save as a copy</label>}
        {error && <><ErrorBox text={error} /><label class="check"><input type="checkbox" checked={overwrite} onChange={(e) => setOverwrite(e.currentTarget.checked)} />Overwrite what is stored</label></>}
        <div class="row end"><Button onClick={onClose}>Cancel</Button><Button kind="primary" type="submit" icon="save" disabled={busy || !title.trim()}>{busy ? 'Saving…' : 'Save'}</Button></div>
      </form>
    </Modal>
  );
}

export function SettingsDialog({ state, onClose }: { state: DashState; onClose: () => void }) {
  const d = state.dashboard.value, [title, setTitle] = useState(d.title), [tags, setTags] = useState(d.tags.join(', ')), [description, setDescription] = useState(d.description ?? ''), [tooltip, setTooltip] = useState(String(d.graphTooltip)), [refresh, setRefresh] = useState(d.refresh), [zoneText, setZone] = useState(d.timezone), [error, setError] = useState<string | null>(null);
  const start = JSON.stringify(exportDashboard(d), null, 2), [json, setJson] = useState(start);
  const apply = (e: Event) => {
    e.preventDefault();
    try {
      const base = json === start ? d : importDashboard(JSON.parse(json)).dashboard;
      state.change(() => (json === start ? { ...base, title: title.trim() || d.title, tags: tags.split(',').map((t) => t.trim()).filter(Boolean), description: description || undefined, graphTooltip: Number(tooltip) as 0 | 1 | 2, refresh, timezone: zoneText } : base));
      if (json !== start) state.variables.value = base.variables.map((v) => state.variables.peek().find((x) => x.name === v.name && x.type === v.type) ?? v);
      onClose();
    } catch (x) { setError(errorText(x)); }
  };
  return (
    <Modal title="Dashboard settings" onClose={onClose} wide>
      <form class="form" onSubmit={apply}>
        <div class="cols">
          <label>Title<input class="input" value={title} onInput={(e) => setTitle(e.currentTarget.value)} /></label>
          <label>Tags, separated by commas<input class="input" value={tags} onInput={(e) => setTags(e.currentTarget.value)} /></label>
          <label>Crosshair<select class="input" value={tooltip} onChange={(e) => setTooltip(e.currentTarget.value)}><option value="0">each panel alone</option><option value="1">shared crosshair</option><option value="2">shared crosshair and tooltip</option></select></label>
          <label>Auto-refresh<input class="input" value={refresh} placeholder="off" onInput={(e) => setRefresh(e.currentTarget.value)} /></label>
          <label>Time zone<input class="input" value={zoneText} placeholder="browser" onInput={(e) => setZone(e.currentTarget.value)} /></label>
          <label>Description<input class="input" value={description} onInput={(e) => setDescription(e.currentTarget.value)} /></label>
        </div>
        <label>JSON model (variables, annotations and links are edited here; a changed text wins over the fields above)<textarea class="input code" rows={18} spellcheck={false} value={json} onInput={(e) => setJson(e.currentTarget.value)} /></label>
        {error && <ErrorBox text={error} />}
        <div class="row end"><Button onClick={onClose}>Cancel</Button><Button kind="primary" type="submit">Apply</Button></div>
      </form>
    </Modal>
  );
}
