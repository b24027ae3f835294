//! Annotations: marks on the time axis, made by people and programs. Changes of alert states, which are shown beside them, come
//! from the alerts' history and are not kept here.

use std::collections::BTreeMap;
use std::path::Path;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::ApiError;
use crate::store::{Journal, StoreError};

/// Most annotations without a limit in the configuration.
const MAX_COUNT: usize = 100_000;

/// An annotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Annotation {
    pub(crate) id: u64,
    pub(crate) dashboard_uid: String,
    pub(crate) panel_id: i64,
    pub(crate) time_ms: i64,
    /// Same as `time_ms` unless it is a region.
    pub(crate) end_ms: i64,
    pub(crate) text: String,
    pub(crate) tags: Vec<String>,
    pub(crate) data: Value,
    pub(crate) user_id: u64,
    pub(crate) login: String,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Put(Annotation),
    Delete(u64),
}

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) from_ms: Option<i64>,
    pub(crate) to_ms: Option<i64>,
    pub(crate) dashboard_uid: Option<String>,
    pub(crate) panel_id: Option<i64>,
    pub(crate) user_id: Option<u64>,
    pub(crate) tags: Vec<String>,
    /// One of the tags is enough.
    pub(crate) match_any: bool,
}

impl Filter {
    fn fits(&self, one: &Annotation) -> bool {
        let has = |tag: &String| one.tags.contains(tag);
        self.from_ms.is_none_or(|from| one.end_ms >= from)
            && self.to_ms.is_none_or(|to| one.time_ms <= to)
            && self.dashboard_uid.as_ref().is_none_or(|uid| one.dashboard_uid == *uid)
            && self.panel_id.is_none_or(|id| one.panel_id == id)
            && self.user_id.is_none_or(|id| one.user_id == id)
            && (self.tags.is_empty()
                || if self.match_any { self.tags.iter().any(has) } else { self.tags.iter().all(has) })
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Annotations {
    journal: Journal,
    state: RwLock<State>,
    writing: tokio::sync::Mutex<()>,
    max_count: usize,
    max_age_ms: i64,
}

#[derive(Debug, Default)]
struct State {
    by_id: BTreeMap<u64, Annotation>,
    last_id: u64,
}

pub(crate) fn not_found() -> ApiError {
    ApiError::not_found("Annotation not found").id("annotation.not-found")
}

impl Annotations {
    pub(crate) fn open(dir: &Path, settings: &crate::settings::Annotations) -> Result<Self, StoreError> {
        let (journal, events) = Journal::open::<Event>(dir, "annotations")?;
        let mut state = State::default();
        for event in events {
            match event {
                Event::Put(one) => {
                    state.last_id = state.last_id.max(one.id);
                    state.by_id.insert(one.id, one);
                }
                Event::Delete(id) => {
                    state.last_id = state.last_id.max(id);
                    state.by_id.remove(&id);
                }
            }
        }
        Ok(Self {
            journal,
            state: RwLock::new(state),
            writing: tokio::sync::Mutex::default(),
            max_count: if settings.max_count == 0 { MAX_COUNT } else { settings.max_count },
            max_age_ms: settings.max_age_ms,
        })
    }

    pub(crate) fn get(&self, id: u64) -> Option<Annotation> {
        self.state.read().by_id.get(&id).cloned()
    }

    /// The newest that fit.
    pub(crate) fn find(&self, filter: &Filter, limit: usize) -> Vec<Annotation> {
        let state = self.state.read();
        let mut found: Vec<&Annotation> = state.by_id.values().filter(|one| filter.fits(one)).collect();
        found.sort_by_key(|one| std::cmp::Reverse((one.time_ms, one.id)));
        found.into_iter().take(limit).cloned().collect()
    }

    /// Tags and how often they are used, by name.
    pub(crate) fn tags(&self) -> BTreeMap<String, usize> {
        let mut tags = BTreeMap::new();
        for tag in self.state.read().by_id.values().flat_map(|one| &one.tags) {
            *tags.entry(tag.clone()).or_default() += 1;
        }
        tags
    }

    /// Adds one; returns its id.
    pub(crate) async fn add(&self, one: Annotation, now_ms: i64) -> Result<u64, ApiError> {
        let _turn = self.writing.lock().await;
        let id = self.state.read().last_id + 1;
        let one = Annotation { id, created_ms: now_ms, updated_ms: now_ms, ..one };
        self.journal.append(&[Event::Put(one.clone())]).await?;
        {
            let mut state = self.state.write();
            state.last_id = id;
            state.by_id.insert(id, one);
        }
        self.tidy(now_ms).await?;
        Ok(id)
    }

    pub(crate) async fn change(
        &self,
        id: u64,
        now_ms: i64,
        change: impl FnOnce(&mut Annotation),
    ) -> Result<(), ApiError> {
        let _turn = self.writing.lock().await;
        let mut one = self.get(id).ok_or_else(not_found)?;
        change(&mut one);
        one.updated_ms = now_ms;
        self.journal.append(&[Event::Put(one.clone())]).await?;
        self.state.write().by_id.insert(id, one);
        Ok(self.tidy(now_ms).await?)
    }

    pub(crate) async fn delete(&self, ids: &[u64]) -> Result<usize, ApiError> {
        let _turn = self.writing.lock().await;
        let known: Vec<u64> = ids.iter().copied().filter(|id| self.state.read().by_id.contains_key(id)).collect();
        let events: Vec<Event> = known.iter().map(|id| Event::Delete(*id)).collect();
        self.journal.append(&events).await?;
        let mut state = self.state.write();
        for id in &known {
            state.by_id.remove(id);
        }
        Ok(known.len())
    }

    /// Drops what is too old or too many, and makes the file shorter when most of it is out of date.
    async fn tidy(&self, now_ms: i64) -> Result<(), StoreError> {
        let keep = {
            let mut state = self.state.write();
            if self.max_age_ms > 0 {
                state.by_id.retain(|_, one| now_ms - one.end_ms <= self.max_age_ms);
            }
            while state.by_id.len() > self.max_count {
                state.by_id.pop_first();
            }
            (self.journal.lines() > 2 * state.by_id.len() + 1000)
                .then(|| state.by_id.values().cloned().map(Event::Put).collect::<Vec<_>>())
        };
        match keep {
            Some(keep) => self.journal.rewrite(&keep).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn kept_changed_and_found() {
        let dir = tempfile::tempdir().unwrap();
        let settings = crate::settings::Annotations { max_age_ms: 0, max_count: 3 };
        let all = Annotations::open(dir.path(), &settings).unwrap();
        for (time_ms, tag) in [(10, "a"), (20, "b"), (30, "a")] {
            let one =
                Annotation { time_ms, end_ms: time_ms, tags: vec![tag.into(), "x".into()], ..Annotation::default() };
            all.add(one, 0).await.unwrap();
        }
        all.change(2, 5, |one| one.text = "changed".into()).await.unwrap();
        assert_eq!(all.delete(&[1, 77]).await, Ok(1));
        let all = Annotations::open(dir.path(), &settings).unwrap();
        let find = |filter: Filter| all.find(&filter, 10).into_iter().map(|one| one.id).collect::<Vec<_>>();
        assert_eq!(find(Filter::default()), [3, 2]);
        assert_eq!(find(Filter { tags: vec!["a".into(), "x".into()], ..Filter::default() }), [3]);
        assert_eq!(find(Filter { tags: vec!["a".into(), "b".into()], match_any: true, ..Filter::default() }), [3, 2]);
        assert_eq!(find(Filter { from_ms: Some(15), to_ms: Some(25), ..Filter::default() }), [2]);
        assert_eq!(all.get(2).unwrap().text, "changed");
        assert_eq!(all.tags(), [("a".into(), 1), ("b".into(), 1), ("x".into(), 2)].into());
        for _ in 0..5 {
            all.add(Annotation::default(), 0).await.unwrap();
        }
        assert_eq!(find(Filter::default()).len(), 3, "only as many as configured");
    }
}
