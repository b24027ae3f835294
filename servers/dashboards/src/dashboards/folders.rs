//! Folders: nested, up to four levels, each with a uid. What is in none of them is in the top folder, "General" or "Dashboards".

use std::path::Path;
use std::sync::Arc;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::model::check_uid;
use crate::auth::token;
use crate::error::ApiError;
use crate::store::{Doc, StoreError};

/// How deep folders nest.
const MAX_DEPTH: usize = 4;

/// A folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Folder {
    pub(crate) id: u64,
    pub(crate) uid: String,
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) description: String,
    /// Empty for one at the top.
    #[serde(default)]
    pub(crate) parent_uid: String,
    pub(crate) version: i64,
    pub(crate) created_ms: i64,
    #[serde(default)]
    pub(crate) created_by: String,
    pub(crate) updated_ms: i64,
    #[serde(default)]
    pub(crate) updated_by: String,
}

/// All folders.
#[derive(Debug)]
pub(crate) struct Folders {
    doc: Doc<Vec<Folder>>,
}

pub(crate) fn not_found() -> ApiError {
    ApiError::not_found("folder not found").id("folder.not-found").with("status", "not-found")
}

/// What a new folder is to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewFolder {
    /// Made up if empty.
    pub(crate) uid: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) parent_uid: String,
    pub(crate) by: String,
}

fn check_title(title: &str) -> Result<(), ApiError> {
    match title.trim() {
        "" => Err(ApiError::bad_request("folder title cannot be empty").id("folder.title-empty")),
        title if title.eq_ignore_ascii_case("general") => {
            Err(ApiError::bad_request("a folder with that name is always there").id("folder.name-exists"))
        }
        title if title.len() > 189 => Err(ApiError::bad_request("folder title is too long")),
        _ => Ok(()),
    }
}

impl Folders {
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { doc: Doc::open_or_begin(dir, "folders")? })
    }

    pub(crate) fn all(&self) -> Arc<Vec<Folder>> {
        self.doc.get()
    }

    pub(crate) fn get(&self, uid: &str) -> Option<Folder> {
        self.doc.get().iter().find(|folder| folder.uid == uid).cloned()
    }

    /// Title of a folder; empty for the top.
    pub(crate) fn title(&self, uid: &str) -> String {
        self.get(uid).map(|folder| folder.title).unwrap_or_default()
    }

    /// The folders above one, the uppermost first.
    pub(crate) fn parents(&self, folder: &Folder) -> Vec<Folder> {
        let all = self.doc.get();
        let mut found: Vec<Folder> = Vec::new();
        let mut parent = folder.parent_uid.clone();
        while let Some(next) = all.iter().find(|one| one.uid == parent).filter(|_| found.len() < MAX_DEPTH) {
            parent = next.parent_uid.clone();
            found.push(next.clone());
        }
        found.reverse();
        found
    }

    /// Titles from the top, joined by slashes: how rules name their folder.
    pub(crate) fn full_path(&self, uid: &str) -> String {
        let Some(folder) = self.get(uid) else { return String::new() };
        let mut titles: Vec<String> = self.parents(&folder).into_iter().map(|parent| parent.title).collect();
        titles.push(folder.title);
        titles.iter().map(|title| title.replace('/', "\\/")).collect::<Vec<_>>().join("/")
    }

    /// A folder and all below it.
    pub(crate) fn with_descendants(&self, uid: &str) -> Vec<String> {
        let all = self.doc.get();
        let mut found = vec![uid.to_owned()];
        let mut at = 0;
        while let Some(parent) = found.get(at).cloned() {
            let children = all.iter().filter(|folder| folder.parent_uid == parent && !found.contains(&folder.uid));
            let children: Vec<String> = children.map(|folder| folder.uid.clone()).collect();
            found.extend(children);
            at += 1;
        }
        found
    }

    pub(crate) async fn create(&self, new: NewFolder, now_ms: i64) -> Result<Folder, ApiError> {
        check_title(&new.title)?;
        let uid = if new.uid.is_empty() { token::random_text(14).to_lowercase() } else { new.uid };
        check_uid(&uid)?;
        if uid == "general" {
            return Err(ApiError::bad_request("the uid general is taken").id("folder.invalid-uid"));
        }
        self.doc
            .change(|folders| {
                if folders.iter().any(|folder| folder.uid == uid) {
                    return Err(ApiError::conflict("A folder with that UID already exists").id("folder.uid-exists"));
                }
                check_place(folders, &uid, &new.parent_uid, &new.title)?;
                let folder = Folder {
                    id: folders.iter().map(|folder| folder.id).max().unwrap_or(0) + 1,
                    uid,
                    title: new.title.trim().to_owned(),
                    description: new.description,
                    parent_uid: new.parent_uid,
                    version: 1,
                    created_ms: now_ms,
                    created_by: new.by.clone(),
                    updated_ms: now_ms,
                    updated_by: new.by,
                };
                folders.push(folder.clone());
                Ok(folder)
            })
            .await
    }

    /// The folder of a title, made if it is not there: how provisioning names folders.
    pub(crate) async fn ensure(
        &self,
        title: &str,
        uid: &str,
        parent_uid: &str,
        now_ms: i64,
    ) -> Result<Folder, ApiError> {
        let by_uid = self.get(uid).filter(|_| !uid.is_empty());
        let found = by_uid.or_else(|| {
            let all = self.doc.get();
            all.iter().find(|f| uid.is_empty() && f.title == title && f.parent_uid == parent_uid).cloned()
        });
        if let Some(folder) = found {
            return Ok(folder);
        }
        // A readable uid, when it is free, makes links and files readable.
        let wanted = match uid {
            "" => Some(super::model::slug(title)).filter(|slug| check_uid(slug).is_ok() && self.get(slug).is_none()),
            uid => Some(uid.to_owned()),
        };
        let new = NewFolder {
            uid: wanted.unwrap_or_default(),
            title: title.to_owned(),
            parent_uid: parent_uid.to_owned(),
            ..NewFolder::default()
        };
        self.create(new, now_ms).await
    }

    /// Changes title and description.
    pub(crate) async fn update(
        &self,
        uid: &str,
        title: Option<String>,
        description: Option<String>,
        version: Option<i64>,
        by: &str,
        now_ms: i64,
    ) -> Result<Folder, ApiError> {
        self.doc
            .change(|folders| {
                let at = folders.iter().position(|folder| folder.uid == uid).ok_or_else(not_found)?;
                if version.is_some_and(|version| version != folders[at].version) {
                    let message = "the folder has been changed by someone else";
                    return Err(
                        ApiError::new(StatusCode::PRECONDITION_FAILED, message).with("status", "version-mismatch")
                    );
                }
                if let Some(title) = title {
                    check_title(&title)?;
                    let parent = folders[at].parent_uid.clone();
                    check_place(folders, uid, &parent, &title)?;
                    folders[at].title = title.trim().to_owned();
                }
                let folder = &mut folders[at];
                folder.description = description.unwrap_or_else(|| folder.description.clone());
                folder.version += 1;
                folder.updated_ms = now_ms;
                by.clone_into(&mut folder.updated_by);
                Ok(folder.clone())
            })
            .await
    }

    /// Moves a folder below another, or to the top.
    pub(crate) async fn move_to(&self, uid: &str, parent_uid: &str, now_ms: i64) -> Result<Folder, ApiError> {
        if self.with_descendants(uid).iter().any(|below| below == parent_uid) {
            return Err(ApiError::bad_request("a folder cannot be moved below itself").id("folder.circular-reference"));
        }
        self.doc
            .change(|folders| {
                let at = folders.iter().position(|folder| folder.uid == uid).ok_or_else(not_found)?;
                let title = folders[at].title.clone();
                check_place(folders, uid, parent_uid, &title)?;
                folders[at].parent_uid = parent_uid.to_owned();
                folders[at].version += 1;
                folders[at].updated_ms = now_ms;
                Ok(folders[at].clone())
            })
            .await
    }

    /// Forgets folders.
    pub(crate) async fn remove(&self, uids: &[String]) -> Result<(), ApiError> {
        self.doc
            .change(|folders| {
                folders.retain(|folder| !uids.contains(&folder.uid));
                Ok(())
            })
            .await
    }
}

/// The parent is there, not too deep, and the title is free in it.
fn check_place(folders: &[Folder], uid: &str, parent_uid: &str, title: &str) -> Result<(), ApiError> {
    let mut depth = 1;
    let mut at = parent_uid;
    while !at.is_empty() {
        let parent = folders.iter().find(|folder| folder.uid == at);
        let parent =
            parent.ok_or_else(|| ApiError::not_found("parent folder not found").id("folder.parent-not-found"))?;
        depth += 1;
        if depth > MAX_DEPTH {
            let message = format!("folders nest at most {MAX_DEPTH} levels deep");
            return Err(ApiError::bad_request(message).id("folder.maximum-depth-reached"));
        }
        at = &parent.parent_uid;
    }
    let same = |folder: &&Folder| {
        folder.parent_uid == parent_uid
            && folder.uid != uid
            && folder.title.to_lowercase() == title.trim().to_lowercase()
    };
    match folders.iter().find(same) {
        Some(_) => {
            let message = "a folder with the same name already exists in the current location";
            Err(ApiError::conflict(message).id("folder.name-exists"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn folders_nest_and_keep_their_names_apart() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::open(dir.path()).unwrap();
        let new = |uid: &str, title: &str, parent: &str| NewFolder {
            uid: uid.into(),
            title: title.into(),
            parent_uid: parent.into(),
            ..NewFolder::default()
        };
        let mut parent = String::new();
        for level in 1..=4 {
            let uid = format!("l{level}");
            folders.create(new(&uid, "Level/1", &parent), 0).await.unwrap();
            parent = uid;
        }
        assert!(folders.create(new("l5", "x", &parent), 0).await.unwrap_err().message.contains("4 levels"));
        assert_eq!(folders.create(new("", "level/1 ", ""), 0).await.unwrap_err().status, StatusCode::CONFLICT);
        assert_eq!(folders.create(new("l1", "other", ""), 0).await.unwrap_err().status, StatusCode::CONFLICT);
        for title in ["", " ", "General"] {
            assert_eq!(folders.create(new("", title, ""), 0).await.unwrap_err().status, StatusCode::BAD_REQUEST);
        }
        assert_eq!(folders.full_path("l2"), "Level\\/1/Level\\/1");
        assert_eq!(folders.with_descendants("l2"), ["l2", "l3", "l4"]);
        assert_eq!(folders.move_to("l1", "l3", 0).await.unwrap_err().status, StatusCode::BAD_REQUEST);
        let moved = folders.update("l4", Some("Deep".into()), None, Some(1), "me", 5).await.unwrap();
        assert_eq!((moved.version, moved.updated_by.as_str()), (2, "me"));
        let stale = folders.update("l4", None, None, Some(1), "me", 5).await.unwrap_err();
        assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
        folders.move_to("l4", "", 0).await.unwrap();
        let again = Folders::open(dir.path()).unwrap();
        assert_eq!(again.all(), folders.all());
        let ensured = folders.ensure("Foursight", "", "", 0).await.unwrap();
        assert_eq!(ensured.uid, "foursight");
        assert_eq!(folders.ensure("Foursight", "", "", 0).await.unwrap(), ensured);
    }
}
