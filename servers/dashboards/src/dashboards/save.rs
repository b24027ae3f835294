//! Saving a dashboard: which one is meant, whether somebody else changed it meanwhile, and the new version.

use std::sync::Arc;

use axum::http::StatusCode;

use super::model::{Model, check_uid};
use super::{Entry, Origin, Record, Store, Version, entry, not_found, version_file};
use crate::auth::token;
use crate::error::ApiError;
use crate::store::{StoreError, blocking};

/// A dashboard to be saved.
#[derive(Clone, Debug)]
pub(crate) struct Save {
    pub(crate) model: Model,
    /// The folder; `None` leaves it where it is.
    pub(crate) folder_uid: Option<String>,
    pub(crate) message: String,
    /// Whatever the version in it says.
    pub(crate) overwrite: bool,
    pub(crate) by: String,
    pub(crate) restored_from: i64,
    /// Set by provisioning, which may change provisioned dashboards.
    pub(crate) origin: Option<Origin>,
}

/// What saving did.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) entry: Arc<Entry>,
}

fn conflict(status: &str, message: &str) -> ApiError {
    ApiError::new(StatusCode::PRECONDITION_FAILED, message).with("status", status)
}

impl Store {
    /// Saves a new version, or a new dashboard.
    ///
    /// # Errors
    /// 400 for what is no dashboard, 404 when an id is given that nobody has, 412 when it was changed meanwhile or the name
    /// is taken; nothing has changed then.
    pub(crate) async fn save(&self, save: Save, now_ms: i64) -> Result<Saved, ApiError> {
        let facts = save.model.facts()?;
        let _turn = self.writing.lock().await;
        let existing = self.target(&save)?;
        let folder_uid = match (&save.folder_uid, &existing) {
            (Some(folder), _) => folder.clone(),
            (None, Some(existing)) => existing.folder_uid().to_owned(),
            (None, None) => String::new(),
        };
        let existing = self.check_name(&save, &facts.title, &folder_uid, existing)?;
        if let Some(existing) = &existing {
            self.check_change(&save, existing)?;
        }
        let uid = match (&existing, save.model.uid()) {
            (Some(existing), _) => existing.uid.clone(),
            (None, Some(uid)) => uid.to_owned(),
            (None, None) => self.free_uid(),
        };
        let mut record = match &existing {
            Some(existing) => existing.record.clone(),
            None => Record {
                id: self.state.read().last_id + 1,
                created_ms: now_ms,
                created_by: save.by.clone(),
                ..Record::default()
            },
        };
        record.folder_uid = folder_uid;
        if let Some(origin) = save.origin {
            record.origin = Some(origin);
        }
        let parent = record.versions.last().map_or(0, |version| version.version);
        let version = parent + 1;
        let mut model = save.model;
        model.stamp(record.id, &uid, version);
        record.versions.push(Version {
            version,
            parent,
            restored_from: save.restored_from,
            created_ms: now_ms,
            created_by: save.by,
            message: save.message,
        });
        let surplus = record.versions.len().saturating_sub(self.versions_to_keep);
        let dropped: Vec<Version> = record.versions.drain(..surplus).collect();
        let entry = Arc::new(entry(&uid, record, &model)?);
        self.write(&entry, &model, dropped).await?;
        let mut state = self.state.write();
        state.last_id = state.last_id.max(entry.id());
        state.by_uid.insert(uid, entry.clone());
        Ok(Saved { entry })
    }

    /// The dashboard that is meant, if there is one.
    fn target(&self, save: &Save) -> Result<Option<Arc<Entry>>, ApiError> {
        if let Some(uid) = save.model.uid() {
            check_uid(uid)?;
            if let Some(entry) = self.get(uid) {
                return Ok(Some(entry));
            }
            // A number of another server means nothing here.
            return Ok(None);
        }
        match save.model.id() {
            Some(id) => self.by_id(id).map(Some).ok_or_else(not_found),
            None => Ok(None),
        }
    }

    /// Titles are unique within a folder. With `overwrite` and no uid, the one that has the title is meant.
    fn check_name(
        &self,
        save: &Save,
        title: &str,
        folder_uid: &str,
        existing: Option<Arc<Entry>>,
    ) -> Result<Option<Arc<Entry>>, ApiError> {
        // Files say what they say: two of them may have one title.
        if save.origin.is_some() {
            return Ok(existing);
        }
        let state = self.state.read();
        let same = state.by_uid.values().find(|other| {
            other.folder_uid() == folder_uid
                && other.facts.title.to_lowercase() == title.to_lowercase()
                && existing.as_ref().is_none_or(|existing| existing.uid != other.uid)
        });
        match (same, &existing) {
            (None, _) => Ok(existing),
            (Some(same), None) if save.overwrite && save.model.uid().is_none() => Ok(Some(same.clone())),
            // Whoever names both the dashboard and what may be in its way means it: titles are for people, uids tell apart.
            (Some(_), _) if save.overwrite => Ok(existing),
            // Two that were provisioned so may stay so.
            (Some(_), Some(existing))
                if existing.facts.title.to_lowercase() == title.to_lowercase()
                    && existing.folder_uid() == folder_uid =>
            {
                Ok(Some(existing.clone()))
            }
            _ => Err(conflict("name-exists", "A dashboard with the same name in the folder already exists")),
        }
    }

    fn check_change(&self, save: &Save, existing: &Entry) -> Result<(), ApiError> {
        if save.origin.is_none() && existing.origin().is_some_and(|origin| !origin.allow_ui_updates) {
            return Err(ApiError::bad_request("Cannot save provisioned dashboard")
                .id("dashboard.provisioned")
                .with("status", "provisioned"));
        }
        // A version that is not given is version 0, which nothing has.
        if !save.overwrite && save.model.version().unwrap_or(0) != existing.version() {
            return Err(conflict("version-mismatch", "The dashboard has been changed by someone else"));
        }
        Ok(())
    }

    fn free_uid(&self) -> String {
        loop {
            let uid = token::random_text(14).to_lowercase();
            if self.get(&uid).is_none() {
                return uid;
            }
        }
    }

    /// The version's file first, the record that names it after it: a crash between leaves the old version in force.
    async fn write(&self, entry: &Entry, model: &Model, dropped: Vec<Version>) -> Result<(), ApiError> {
        let uid = entry.uid.clone();
        let path = version_file(&self.dir, &uid, entry.version());
        let text = serde_json::to_vec_pretty(&model.json).map_err(|e| ApiError::internal(e.to_string()))?;
        blocking(move || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(|e| StoreError::io(folder, e))?;
            }
            kit::files::write_atomic(&path, &text).map_err(|e| StoreError::io(path, e))
        })
        .await?;
        self.write_record(&uid, &entry.record).await?;
        let old: Vec<_> = dropped.iter().map(|version| version_file(&self.dir, &uid, version.version)).collect();
        blocking(move || {
            for path in old {
                // Left behind it costs space and nothing else.
                let _ = std::fs::remove_file(path);
            }
            Ok(())
        })
        .await?;
        Ok(())
    }
}
