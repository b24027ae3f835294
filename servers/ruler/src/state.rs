//! What alerts know (since when they are pending, when they were sent), kept in a file so that a restart goes on where the
//! server stopped.
//!
//! The content is the host's: snapshots by group ([`Snapshots`]), or those by tenant. The file is written when an
//! evaluation has happened since it was written last.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use alerting::rules::GroupSnapshot;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What groups know, by [`alerting::rules::group_key`].
pub type Snapshots = BTreeMap<String, GroupSnapshot>;

/// See the module.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    component: &'static str,
    remedy: Option<&'static str>,
    changed: AtomicBool,
}

impl StateFile {
    /// A file that may not exist yet. `component` names the part of the server in the log, `remedy` says what happens instead
    /// when the content cannot be understood.
    pub fn new(path: PathBuf, component: &'static str, remedy: Option<&'static str>) -> Self {
        Self { path, component, remedy, changed: AtomicBool::new(false) }
    }

    /// Reads it; nothing when it does not exist, or (with a warning in the log) cannot be read. Blocking.
    pub fn read<T: DeserializeOwned + Default>(&self) -> T {
        let problem = match std::fs::read(&self.path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(state) => return state,
                Err(e) => (e.to_string(), self.remedy),
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return T::default(),
            Err(e) => (e.to_string(), None),
        };
        let (error, remedy) = problem;
        let instead = remedy.map(|remedy| format!(": {remedy}")).unwrap_or_default();
        tracing::warn!(component = self.component, file = %self.path.display(), error, "the kept state of alerts cannot be read{instead}");
        T::default()
    }

    /// Says that the state is no longer what the file has.
    pub fn touch(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    /// Writes the state if it has changed; tries again next time if that fails. Blocking.
    pub fn save<T: Serialize>(&self, state: impl FnOnce() -> T) {
        if !self.changed.swap(false, Ordering::Relaxed) {
            return;
        }
        let written = serde_json::to_vec(&state())
            .map_err(std::io::Error::other)
            .and_then(|bytes| kit::files::write_atomic(&self.path, &bytes));
        if let Err(e) = written {
            self.touch();
            tracing::error!(component = self.component, file = %self.path.display(), error = %e, "the state of alerts cannot be kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_kept_and_damage_is_survived() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        let file = StateFile::new(path.clone(), "rules", Some("alerts begin anew"));
        let read = || file.read::<Snapshots>();
        let state = || Snapshots::from([("f;g".to_owned(), GroupSnapshot::default())]);
        assert_eq!(read(), Snapshots::new());
        file.save(state);
        assert!(!path.exists(), "nothing has changed");
        file.touch();
        file.save(state);
        assert_eq!(read(), state());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), r#"{"f;g":{"rules":[],"orphans":[]}}"#);
        file.save(|| -> Snapshots { panic!("it was written") });
        std::fs::write(&path, "{\"f;g\":").unwrap();
        assert_eq!(read(), Snapshots::new());
    }

    #[test]
    fn a_failed_write_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("not yet there").join("state.json");
        let file = StateFile::new(path.clone(), "rules", None);
        file.touch();
        file.save(Snapshots::new);
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        file.save(Snapshots::new);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}");
    }
}
