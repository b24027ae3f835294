//! Dashboards from files: providers name folders, every JSON file in them is a dashboard.
//!
//! A scan compares files with what was taken before (by checksum, kept with the dashboard): new and changed ones are saved as
//! new versions, those that vanished are deleted unless the provider says otherwise. A file that cannot be used is logged
//! once with its place; the dashboard stays as it was.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use kit::yaml::{ConfigError, Kind, Node, Section};
use parking_lot::Mutex;

use super::folders::Folders;
use super::model::{Model, check_uid};
use super::{Origin, Save, Store};
use crate::interpolate::Env;
use crate::provisioning;
use crate::store::{StoreError, blocking, checksum};

/// Largest dashboard file.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// How deep folders are looked into, and how many files are taken of a provider.
const MAX_DEPTH: usize = 16;
const MAX_FILES: usize = 10_000;

/// A folder of dashboards.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    folder: String,
    folder_uid: String,
    disable_deletion: bool,
    pub(crate) interval_s: u64,
    allow_ui_updates: bool,
    folders_from_files: bool,
}

/// Reads the providers of `<provisioning>/dashboards`.
pub(crate) fn read_providers(dir: &Path, env: &Env) -> (Vec<Provider>, Vec<ConfigError>) {
    let (files, mut errors) = provisioning::read_folder(&dir.join("dashboards"), env, &[]);
    let mut providers: Vec<Provider> = Vec::new();
    for file in &files {
        // The oldest form is a bare list.
        let found = match &file.root.kind {
            Kind::Sequence(nodes) => {
                let mut found = Vec::new();
                for node in nodes {
                    match read_provider(node, &file.path) {
                        Ok(provider) => found.push((node, provider)),
                        Err(error) => errors.push(error.placed(node).in_file(&file.path)),
                    }
                }
                found.into_iter().map(|(_, provider)| provider).collect()
            }
            _ => match read_file(&file.root, &file.path, &mut errors) {
                Ok(found) => found,
                Err(error) => {
                    errors.push(error.in_file(&file.path));
                    continue;
                }
            },
        };
        for provider in found {
            if providers.iter().any(|other| other.name == provider.name) {
                errors.push(
                    ConfigError::plain(format!("provider {:?} is there twice, the first one counts", provider.name))
                        .in_file(&file.path),
                );
            } else {
                providers.push(provider);
            }
        }
    }
    (providers, errors)
}

fn read_file(root: &Node, path: &Path, errors: &mut Vec<ConfigError>) -> Result<Vec<Provider>, ConfigError> {
    let mut section = Section::new(root, "dashboard providers")?;
    provisioning::check_version(&mut section)?;
    let found = provisioning::items(&mut section, "providers", path, errors, |node| read_provider(node, path));
    provisioning::finish(section, path);
    Ok(found)
}

fn read_provider(node: &Node, path: &Path) -> Result<Provider, ConfigError> {
    let mut section = Section::new(node, "dashboard provider")?;
    provisioning::check_org(&mut section)?;
    let kind: String = section.or("type", "file".to_owned())?;
    if kind != "file" && !kind.is_empty() {
        return Err(section.error("type", format!("{kind:?} is not \"file\", the only type there is")));
    }
    let options = section.raw("options").cloned().unwrap_or_else(|| Node::new(Kind::Null));
    let mut inner = Section::new(&options, "provider options").map_err(|e| e.in_field("options"))?;
    let mut folder: String = inner.get("path")?;
    if folder.is_empty() {
        folder = inner.get("folder")?;
    }
    if folder.is_empty() {
        return Err(section.error("options", "path is missing"));
    }
    let folders_from_files = inner.or("foldersFromFilesStructure", false)?;
    provisioning::finish(inner, path);
    let provider = Provider {
        name: section.or("name", "default".to_owned())?,
        path: PathBuf::from(folder),
        folder: section.get("folder")?,
        folder_uid: section.get("folderUid")?,
        disable_deletion: section.or("disableDeletion", false)?,
        interval_s: section.or("updateIntervalSeconds", 10u64)?.max(1),
        allow_ui_updates: section.or("allowUiUpdates", false)?,
        folders_from_files,
    };
    // Known, and without effect here.
    let _ = section.raw("editable");
    let _ = section.raw("updateDefinition");
    if folders_from_files && !(provider.folder.is_empty() && provider.folder_uid.is_empty()) {
        return Err(section.error("folder", "'folder' and 'folderUID' must be empty with foldersFromFilesStructure"));
    }
    if !provider.folder_uid.is_empty() {
        check_uid(&provider.folder_uid).map_err(|e| section.error("folderUid", e.message))?;
    }
    provisioning::finish(section, path);
    Ok(provider)
}

/// What a scan did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) saved: usize,
    pub(crate) deleted: usize,
    /// With file, line and column.
    pub(crate) errors: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    stamp: (Option<SystemTime>, u64),
    /// What was wrong with it.
    error: Option<String>,
}

/// Keeps the store in step with the files.
#[derive(Debug, Default)]
pub(crate) struct Provisioner {
    providers: Mutex<Vec<Provider>>,
    /// By provider and file.
    seen: Mutex<HashMap<(String, String), Seen>>,
    /// One scan at a time.
    scanning: tokio::sync::Mutex<()>,
}

impl Provisioner {
    /// Takes new providers in place of the old ones.
    pub(crate) fn set_providers(&self, providers: Vec<Provider>) {
        *self.providers.lock() = providers;
        self.seen.lock().clear();
    }

    /// How soon files are to be looked at again.
    pub(crate) fn interval_s(&self) -> u64 {
        self.providers.lock().iter().map(|provider| provider.interval_s).min().unwrap_or(10)
    }

    /// Looks at all files once.
    pub(crate) async fn scan(&self, store: &Store, folders: &Folders, now_ms: i64) -> Report {
        let _turn = self.scanning.lock().await;
        let providers = self.providers.lock().clone();
        let mut report = Report::default();
        self.release_orphans(&providers, store).await;
        for provider in &providers {
            let folder = provider.path.clone();
            match blocking(move || list(&folder)).await {
                Ok(files) => self.apply(provider, files, store, folders, now_ms, &mut report).await,
                // A folder that cannot be read is no reason to delete what came from it.
                Err(error) => {
                    let key = (provider.name.clone(), String::new());
                    self.note(key, (None, 0), Some(format!("provider {}: {error}", provider.name)), &mut report);
                }
            }
        }
        report
    }

    /// Dashboards whose provider is gone become ordinary ones.
    async fn release_orphans(&self, providers: &[Provider], store: &Store) {
        for entry in store.all() {
            let Some(origin) = entry.origin() else { continue };
            if !providers.iter().any(|provider| provider.name == origin.provider) {
                tracing::info!(
                    component = "provisioning",
                    uid = entry.uid,
                    provider = origin.provider,
                    "provider is gone, its dashboard stays as an ordinary one"
                );
                if let Err(error) = store.set_origin(&entry.uid, None).await {
                    tracing::error!(component = "provisioning", uid = entry.uid, %error, "cannot release the dashboard");
                }
            }
        }
    }

    async fn apply(
        &self,
        provider: &Provider,
        files: BTreeMap<String, (Option<SystemTime>, u64)>,
        store: &Store,
        folders: &Folders,
        now_ms: i64,
        report: &mut Report,
    ) {
        for (file, stamp) in &files {
            let key = (provider.name.clone(), file.clone());
            let known = self.seen.lock().get(&key).cloned();
            if let Some(known) = known.filter(|known| known.stamp == *stamp) {
                report.errors.extend(known.error);
                continue;
            }
            let result = take(provider, file, stamp.1, &files, store, folders, now_ms).await;
            if let Ok(true) = result {
                report.saved += 1;
            }
            self.note(key, *stamp, result.err(), report);
        }
        for entry in store.all() {
            let Some(origin) = entry.origin().filter(|o| o.provider == provider.name && !files.contains_key(&o.file))
            else {
                continue;
            };
            let result = if provider.disable_deletion {
                store.set_origin(&entry.uid, None).await.map(drop)
            } else {
                report.deleted += 1;
                store.delete(&entry.uid, true).await.map(drop)
            };
            self.seen.lock().remove(&(provider.name.clone(), origin.file.clone()));
            match result {
                Ok(()) => tracing::info!(
                    component = "provisioning",
                    uid = entry.uid,
                    file = origin.file,
                    kept = provider.disable_deletion,
                    "dashboard file is gone"
                ),
                Err(error) => report.errors.push(format!("{}: {error}", provider.path.join(&origin.file).display())),
            }
        }
    }

    /// As after a restart.
    #[cfg(test)]
    pub(super) fn seen_clear(&self) {
        self.seen.lock().clear();
    }

    /// Remembers how a file was found; an error is logged when it is new.
    fn note(
        &self,
        key: (String, String),
        stamp: (Option<SystemTime>, u64),
        error: Option<String>,
        report: &mut Report,
    ) {
        let mut seen = self.seen.lock();
        let before = seen.insert(key, Seen { stamp, error: error.clone() }).and_then(|seen| seen.error);
        if let Some(error) = error {
            if before.as_ref() != Some(&error) {
                tracing::error!(component = "provisioning", "{error}");
            }
            report.errors.push(error);
        }
    }
}

/// JSON files below a folder by their relative names.
fn list(root: &Path) -> Result<BTreeMap<String, (Option<SystemTime>, u64)>, StoreError> {
    let mut found = BTreeMap::new();
    let mut todo = vec![(root.to_owned(), String::new(), 0)];
    while let Some((dir, prefix, depth)) = todo.pop() {
        for item in std::fs::read_dir(&dir).map_err(|e| StoreError::io(&dir, e))? {
            let item = item.map_err(|e| StoreError::io(&dir, e))?;
            let Ok(name) = item.file_name().into_string() else { continue };
            // Kubernetes mounts files behind links, with the real ones in hidden folders.
            let Ok(meta) = std::fs::metadata(item.path()) else { continue };
            if name.starts_with('.') {
                continue;
            }
            let relative = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            if meta.is_dir() && depth < MAX_DEPTH {
                todo.push((item.path(), relative, depth + 1));
            } else if meta.is_file() && relative.ends_with(".json") && found.len() < MAX_FILES {
                found.insert(relative, (meta.modified().ok(), meta.len()));
            }
        }
    }
    Ok(found)
}

/// Takes a file into the store; false when its content is known already.
async fn take(
    provider: &Provider,
    file: &str,
    len: u64,
    files: &BTreeMap<String, (Option<SystemTime>, u64)>,
    store: &Store,
    folders: &Folders,
    now_ms: i64,
) -> Result<bool, String> {
    let path = provider.path.join(file);
    let place = |what: &str| format!("{}: {what}", path.display());
    if len > MAX_FILE_BYTES {
        return Err(place(&format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    let reading = path.clone();
    let bytes = blocking(move || std::fs::read(&reading).map_err(|e| StoreError::io(reading, e)));
    let bytes = bytes.await.map_err(|error| error.to_string())?;
    let sum = checksum(&bytes);
    let entries = store.all();
    let is_this = |origin: &Origin| origin.provider == provider.name && origin.file == file;
    let known = entries.iter().find(|entry| entry.origin().is_some_and(is_this));
    let folder_uid = folder_of(provider, file, folders, now_ms).await.map_err(|error| place(&error.message))?;
    if let Some(known) = known
        && let Some(origin) = known.origin().filter(|origin| origin.checksum == sum)
    {
        if origin.allow_ui_updates != provider.allow_ui_updates {
            let origin = Origin { allow_ui_updates: provider.allow_ui_updates, ..origin.clone() };
            store.set_origin(&known.uid, Some(origin)).await.map_err(|error| place(&error.message))?;
        }
        if known.folder_uid() != folder_uid {
            store.set_folder(&known.uid, &folder_uid).await.map_err(|error| place(&error.message))?;
        }
        return Ok(false);
    }
    let value: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|e| format!("{}:{}:{}: {}", path.display(), e.line(), e.column(), without_place(&e)))?;
    let mut model = Model::read(value).map_err(|error| place(&error.message))?;
    match (model.uid().map(str::to_owned), known) {
        (Some(uid), _) => {
            let other = entries.iter().find(|entry| entry.uid == uid).and_then(|entry| entry.origin());
            // A file that moved is the same dashboard; one that stands beside another with its uid is not.
            let taken = other.filter(|o| !is_this(o) && (o.provider != provider.name || files.contains_key(&o.file)));
            if let Some(other) = taken {
                return Err(place(&format!("uid {uid:?} is taken by {} of provider {:?}", other.file, other.provider)));
            }
        }
        (None, Some(known)) => model.stamp(known.id(), &known.uid, known.version()),
        (None, None) => {
            model.json.remove("id");
        }
    }
    let save = Save {
        model,
        folder_uid: Some(folder_uid),
        message: format!("from {file}"),
        overwrite: true,
        by: String::new(),
        restored_from: 0,
        origin: Some(Origin {
            provider: provider.name.clone(),
            file: file.to_owned(),
            checksum: sum,
            allow_ui_updates: provider.allow_ui_updates,
        }),
    };
    // A file that changed its uid is another dashboard; the old one goes.
    let old = known.map(|known| known.uid.clone());
    let saved = store.save(save, now_ms).await.map_err(|error| place(&error.message))?;
    if let Some(old) = old.filter(|old| *old != saved.entry.uid) {
        store.delete(&old, true).await.map_err(|error| place(&error.message))?;
    }
    Ok(true)
}

/// serde_json's message without the place, which stands in front already.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

async fn folder_of(
    provider: &Provider,
    file: &str,
    folders: &Folders,
    now_ms: i64,
) -> Result<String, crate::error::ApiError> {
    let title = match file.rsplit_once('/') {
        Some((dir, _)) if provider.folders_from_files => dir.rsplit('/').next().unwrap_or(dir),
        _ if provider.folders_from_files => "",
        _ => provider.folder.as_str(),
    };
    let uid = provider.folder_uid.as_str();
    if uid.is_empty() && (title.is_empty() || title.eq_ignore_ascii_case("general")) {
        return Ok(String::new());
    }
    let title = if title.is_empty() { uid } else { title };
    Ok(folders.ensure(title, uid, "", now_ms).await?.uid)
}
