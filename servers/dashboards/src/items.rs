//! Small things that the API keeps: short links, playlists, library elements.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::token;
use crate::error::ApiError;
use crate::store::{Doc, StoreError};

/// A short link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShortLink {
    pub(crate) uid: String,
    /// Below the root URL.
    pub(crate) path: String,
    pub(crate) created_ms: i64,
}

/// A playlist.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Playlist {
    pub(crate) uid: String,
    pub(crate) name: String,
    pub(crate) interval: String,
    pub(crate) items: Vec<PlaylistItem>,
}

/// A dashboard, or all of a tag.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PlaylistItem {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) value: String,
    pub(crate) title: String,
}

/// A panel that dashboards share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LibraryElement {
    pub(crate) id: u64,
    pub(crate) uid: String,
    pub(crate) folder_uid: String,
    pub(crate) name: String,
    /// 1 for a panel.
    pub(crate) kind: i64,
    pub(crate) model: Value,
    pub(crate) version: i64,
    pub(crate) created_ms: i64,
    pub(crate) created_by: String,
    pub(crate) updated_ms: i64,
    pub(crate) updated_by: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ItemFile {
    pub(crate) links: Vec<ShortLink>,
    pub(crate) playlists: Vec<Playlist>,
    pub(crate) elements: Vec<LibraryElement>,
}

/// How long a short link is kept.
const LINK_LIFETIME_MS: i64 = 7 * 86_400_000;
const MAX_LINKS: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Items {
    doc: Doc<ItemFile>,
}

impl Items {
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { doc: Doc::open_or_begin(dir, "items")? })
    }

    pub(crate) fn get(&self) -> Arc<ItemFile> {
        self.doc.get()
    }

    pub(crate) async fn change<R>(
        &self,
        change: impl FnOnce(&mut ItemFile) -> Result<R, ApiError>,
    ) -> Result<R, ApiError> {
        self.doc.change(change).await
    }

    /// Makes a short link to a path of this server; one that is there already is used again.
    pub(crate) async fn shorten(&self, path: &str, now_ms: i64) -> Result<String, ApiError> {
        let path = path.trim_start_matches('/');
        // A link that leads elsewhere would lend this server's name to it.
        let elsewhere =
            path.contains("://") || path.contains("..") || path.contains('\\') || path.contains(char::is_control);
        if path.is_empty() || elsewhere || path.len() > 16 << 10 {
            return Err(ApiError::bad_request("path: must be a path of this server").id("shorturl.invalid-path"));
        }
        if let Some(link) = self.get().links.iter().find(|link| link.path == path) {
            return Ok(link.uid.clone());
        }
        self.doc
            .change(|file| {
                file.links.retain(|link| now_ms - link.created_ms < LINK_LIFETIME_MS);
                let surplus = (file.links.len() + 1).saturating_sub(MAX_LINKS);
                file.links.drain(..surplus);
                let uid = token::random_text(14).to_lowercase();
                file.links.push(ShortLink { uid: uid.clone(), path: path.to_owned(), created_ms: now_ms });
                Ok(uid)
            })
            .await
    }
}
