//! Searching dashboards and folders.

use super::folders::Folder;
use super::{Entry, Store, folders::Folders};

/// What is searched for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Search {
    pub(crate) query: String,
    /// All must be there.
    pub(crate) tags: Vec<String>,
    pub(crate) dashboards: bool,
    pub(crate) folders: bool,
    pub(crate) dashboard_uids: Vec<String>,
    /// `general` is the top.
    pub(crate) folder_uids: Vec<String>,
    /// Uids to keep, when only starred ones are asked for.
    pub(crate) starred: Option<Vec<String>>,
    pub(crate) descending: bool,
}

/// A hit.
#[derive(Clone, Debug)]
pub(crate) enum Hit {
    Dashboard(std::sync::Arc<Entry>),
    Folder(Folder),
}

impl Hit {
    fn title(&self) -> &str {
        match self {
            Self::Dashboard(entry) => &entry.facts.title,
            Self::Folder(folder) => &folder.title,
        }
    }
}

/// Every word of a query must be in the title; case does not matter.
fn matches(title: &str, query: &str) -> bool {
    let title = title.to_lowercase();
    query.to_lowercase().split_whitespace().all(|word| title.contains(word))
}

/// All hits: folders first, then dashboards, each by title.
pub(crate) fn search(store: &Store, folders: &Folders, search: &Search) -> Vec<Hit> {
    let in_folder = |uid: &str| {
        let name = if uid.is_empty() { "general" } else { uid };
        search.folder_uids.is_empty() || search.folder_uids.iter().any(|wanted| wanted == name)
    };
    let mut hits = Vec::new();
    if search.folders && search.tags.is_empty() && search.starred.is_none() && search.dashboard_uids.is_empty() {
        let found = folders.all();
        let found =
            found.iter().filter(|folder| in_folder(&folder.parent_uid) && matches(&folder.title, &search.query));
        hits.extend(found.cloned().map(Hit::Folder));
    }
    if search.dashboards {
        let found = store.all().into_iter().filter(|entry| {
            in_folder(entry.folder_uid())
                && matches(&entry.facts.title, &search.query)
                && search.tags.iter().all(|tag| entry.facts.tags.contains(tag))
                && (search.dashboard_uids.is_empty() || search.dashboard_uids.contains(&entry.uid))
                && search.starred.as_ref().is_none_or(|starred| starred.contains(&entry.uid))
        });
        hits.extend(found.map(Hit::Dashboard));
    }
    hits.sort_by(|a, b| {
        let rank = |hit: &Hit| matches!(hit, Hit::Dashboard(_));
        let by_title = a.title().to_lowercase().cmp(&b.title().to_lowercase());
        rank(a).cmp(&rank(b)).then(if search.descending { by_title.reverse() } else { by_title })
    });
    hits
}
