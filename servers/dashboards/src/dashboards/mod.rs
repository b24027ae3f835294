//! Dashboards: the store, their folders, those that come from provisioned files, search and import.
//!
//! [`Store`] keeps the current version of each dashboard as text in memory beside what lists need of it, and every version
//! in a file of its own. Dashboards from provisioned files go through the same store ([`provision`]): they have versions,
//! and where their provider allows it they can be changed in the browser until the file changes.

pub(crate) mod folders;
pub(crate) mod import;
pub(crate) mod model;
pub(crate) mod provision;
mod save;
pub(crate) mod search;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::store::{StoreError, blocking, doc};
use model::{Facts, Model, check_uid, slug};

pub(crate) use save::Save;

/// A version of a dashboard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) version: i64,
    pub(crate) parent: i64,
    #[serde(default)]
    pub(crate) restored_from: i64,
    pub(crate) created_ms: i64,
    #[serde(default)]
    pub(crate) created_by: String,
    #[serde(default)]
    pub(crate) message: String,
}

/// Where a provisioned dashboard comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) provider: String,
    /// The file, relative to the provider's folder.
    pub(crate) file: String,
    /// Of the file's content when it was last taken.
    pub(crate) checksum: String,
    /// Whether it may be changed in the browser.
    #[serde(default)]
    pub(crate) allow_ui_updates: bool,
}

/// What is kept about a dashboard beside its versions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Record {
    id: u64,
    #[serde(default)]
    folder_uid: String,
    created_ms: i64,
    #[serde(default)]
    created_by: String,
    /// Oldest first; the last is the current one.
    versions: Vec<Version>,
    #[serde(default)]
    origin: Option<Origin>,
}

/// A dashboard as of its current version.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) uid: String,
    record: Record,
    pub(crate) facts: Facts,
    pub(crate) slug: String,
    /// JSON.
    pub(crate) text: Arc<str>,
    pub(crate) api_version: Option<String>,
}

impl Entry {
    pub(crate) fn id(&self) -> u64 {
        self.record.id
    }

    /// Empty for the top.
    pub(crate) fn folder_uid(&self) -> &str {
        &self.record.folder_uid
    }

    pub(crate) fn created(&self) -> (i64, &str) {
        (self.record.created_ms, &self.record.created_by)
    }

    pub(crate) fn updated(&self) -> (i64, &str) {
        self.record.versions.last().map_or((0, ""), |version| (version.created_ms, version.created_by.as_str()))
    }

    pub(crate) fn version(&self) -> i64 {
        self.record.versions.last().map_or(0, |version| version.version)
    }

    pub(crate) fn versions(&self) -> &[Version] {
        &self.record.versions
    }

    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.record.origin.as_ref()
    }
}

#[derive(Debug, Default)]
struct State {
    by_uid: BTreeMap<String, Arc<Entry>>,
    last_id: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    versions_to_keep: usize,
    state: RwLock<State>,
    /// Changes take turns.
    writing: tokio::sync::Mutex<()>,
}

const KIND: &str = "dashboard";

pub(crate) fn not_found() -> ApiError {
    ApiError::not_found("Dashboard not found").id("dashboard.not-found").with("status", "not-found")
}

impl Store {
    /// Opens the folder. A dashboard whose files are damaged is logged and left out, with its files where they are.
    ///
    /// # Errors
    /// When the folder itself cannot be read.
    pub(crate) fn open(dir: &Path, versions_to_keep: usize) -> Result<Self, StoreError> {
        std::fs::create_dir_all(dir).map_err(|e| StoreError::io(dir, e))?;
        let mut state = State::default();
        for item in std::fs::read_dir(dir).map_err(|e| StoreError::io(dir, e))? {
            let path = item.map_err(|e| StoreError::io(dir, e))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            let Some(uid) = name.strip_suffix(".json").filter(|uid| check_uid(uid).is_ok()) else { continue };
            match read_entry(dir, uid) {
                Ok(entry) => {
                    state.last_id = state.last_id.max(entry.id());
                    state.by_uid.insert(uid.to_owned(), Arc::new(entry));
                }
                Err(error) => tracing::error!(component = "dashboards", %error, uid, "dashboard is left out"),
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            versions_to_keep,
            state: RwLock::new(state),
            writing: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) fn get(&self, uid: &str) -> Option<Arc<Entry>> {
        self.state.read().by_uid.get(uid).cloned()
    }

    pub(crate) fn by_id(&self, id: u64) -> Option<Arc<Entry>> {
        self.state.read().by_uid.values().find(|entry| entry.id() == id).cloned()
    }

    /// All of them, by uid.
    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.state.read().by_uid.values().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.state.read().by_uid.len()
    }

    /// The JSON of a version.
    ///
    /// # Errors
    /// When there is no such version, or its file is damaged.
    pub(crate) async fn version_text(&self, uid: &str, version: i64) -> Result<String, ApiError> {
        let entry = self.get(uid).ok_or_else(not_found)?;
        if !entry.versions().iter().any(|one| one.version == version) {
            return Err(ApiError::not_found("Dashboard version not found").id("dashboardversion.not-found"));
        }
        let path = version_file(&self.dir, uid, version);
        let text = blocking(move || std::fs::read_to_string(&path).map_err(|e| StoreError::io(path, e))).await;
        text.map_err(|error| {
            tracing::error!(component = "dashboards", %error, "cannot read a version");
            ApiError::internal("the version cannot be read")
        })
    }

    /// Forgets a dashboard and its versions.
    ///
    /// # Errors
    /// When there is none, or it is provisioned and `force` is not given.
    pub(crate) async fn delete(&self, uid: &str, force: bool) -> Result<Arc<Entry>, ApiError> {
        let _turn = self.writing.lock().await;
        let entry = self.get(uid).ok_or_else(not_found)?;
        if entry.origin().is_some() && !force {
            return Err(ApiError::bad_request("provisioned dashboard cannot be deleted"));
        }
        let (file, folder) = (self.dir.join(format!("{uid}.json")), self.dir.join(uid));
        blocking(move || {
            std::fs::remove_file(&file).map_err(|e| StoreError::io(&file, e))?;
            // Without its record a folder of versions means nothing.
            if let Err(error) = std::fs::remove_dir_all(&folder) {
                tracing::warn!(component = "dashboards", folder = %folder.display(), %error, "cannot remove old versions");
            }
            Ok(())
        })
        .await?;
        self.state.write().by_uid.remove(uid);
        Ok(entry)
    }

    /// Changes what is kept beside the versions.
    async fn change_record(&self, uid: &str, change: impl FnOnce(&mut Record)) -> Result<Arc<Entry>, ApiError> {
        let _turn = self.writing.lock().await;
        let mut entry = Entry::clone(&*self.get(uid).ok_or_else(not_found)?);
        change(&mut entry.record);
        self.write_record(uid, &entry.record).await?;
        let entry = Arc::new(entry);
        self.state.write().by_uid.insert(uid.to_owned(), entry.clone());
        Ok(entry)
    }

    /// Moves a dashboard.
    pub(crate) async fn set_folder(&self, uid: &str, folder_uid: &str) -> Result<Arc<Entry>, ApiError> {
        self.change_record(uid, |record| record.folder_uid = folder_uid.to_owned()).await
    }

    /// Sets where it is provisioned from; `None` makes it an ordinary one.
    pub(crate) async fn set_origin(&self, uid: &str, origin: Option<Origin>) -> Result<Arc<Entry>, ApiError> {
        self.change_record(uid, |record| record.origin = origin).await
    }

    async fn write_record(&self, uid: &str, record: &Record) -> Result<(), ApiError> {
        let path = self.dir.join(format!("{uid}.json"));
        let bytes = doc::encode(KIND, record).map_err(|e| ApiError::internal(e.to_string()))?;
        Ok(blocking(move || kit::files::write_atomic(&path, &bytes).map_err(|e| StoreError::io(path, e))).await?)
    }
}

fn version_file(dir: &Path, uid: &str, version: i64) -> PathBuf {
    dir.join(uid).join(format!("{version}.json"))
}

fn read_entry(dir: &Path, uid: &str) -> Result<Entry, StoreError> {
    let path = dir.join(format!("{uid}.json"));
    let bytes = std::fs::read(&path).map_err(|e| StoreError::io(&path, e))?;
    let record: Record = doc::decode(&path, KIND, &bytes)?;
    // Of the versions the newest that can be read is the current one.
    let mut last = None;
    for version in record.versions.iter().rev() {
        match read_version(dir, uid, version.version) {
            Ok(model) => {
                let mut record = record.clone();
                record.versions.retain(|one| one.version <= version.version);
                return entry(uid, record, &model).map_err(|e| damaged(&path, &e.message));
            }
            Err(error) => {
                tracing::error!(component = "dashboards", %error, uid, version = version.version, "version is damaged");
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or_else(|| damaged(&path, "it has no versions")))
}

fn damaged(path: &Path, what: &str) -> StoreError {
    StoreError::Damaged { file: path.to_owned(), line: 1, what: what.to_owned() }
}

fn read_version(dir: &Path, uid: &str, version: i64) -> Result<Model, StoreError> {
    let path = version_file(dir, uid, version);
    let bytes = std::fs::read(&path).map_err(|e| StoreError::io(&path, e))?;
    let value = serde_json::from_slice(&bytes).map_err(|e| StoreError::Damaged {
        file: path.clone(),
        line: e.line(),
        what: e.to_string(),
    })?;
    Model::read(value).map_err(|e| damaged(&path, &e.message))
}

fn entry(uid: &str, record: Record, model: &Model) -> Result<Entry, ApiError> {
    let facts = model.facts()?;
    Ok(Entry {
        uid: uid.to_owned(),
        record,
        slug: slug(&facts.title),
        facts,
        text: model.to_text().into(),
        api_version: model.api_version.clone(),
    })
}
