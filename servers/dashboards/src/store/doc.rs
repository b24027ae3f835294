//! A value in one file, replaced as a whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{StoreError, blocking, checksum};
use crate::error::ApiError;

/// Version of the form.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Head {
    file: String,
    version: u32,
    checksum: String,
}

/// See the module. Readers get the last value that was written; writers take turns.
#[derive(Debug)]
pub(crate) struct Doc<T> {
    path: PathBuf,
    kind: &'static str,
    current: ArcSwap<T>,
    writing: Mutex<()>,
}

impl<T: Serialize + DeserializeOwned + Clone + Default + Send + Sync + 'static> Doc<T> {
    /// Opens `<dir>/<kind>.json`; a missing file is the default value.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or is of another kind or version.
    pub(crate) fn open(dir: &Path, kind: &'static str) -> Result<Self, StoreError> {
        let path = dir.join(format!("{kind}.json"));
        let value = match std::fs::read(&path) {
            Ok(bytes) => decode(&path, kind, &bytes)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => T::default(),
            Err(error) => return Err(StoreError::io(path, error)),
        };
        Ok(Self { path, kind, current: ArcSwap::from_pointee(value), writing: Mutex::new(()) })
    }

    /// As [`Doc::open`], but a file that cannot be used is logged, moved aside and begun anew: for what may be lost.
    ///
    /// # Errors
    /// When it cannot even be moved.
    pub(crate) fn open_or_begin(dir: &Path, kind: &'static str) -> Result<Self, StoreError> {
        match Self::open(dir, kind) {
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::error!(component = "store", %error, "file is damaged, begun anew; the old one is kept as .damaged");
                let path = dir.join(format!("{kind}.json"));
                let aside = dir.join(format!("{kind}.json.damaged"));
                std::fs::rename(&path, aside).map_err(|e| StoreError::io(path, e))?;
                Self::open(dir, kind)
            }
            other => other,
        }
    }

    /// The value as it is now.
    pub(crate) fn get(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Changes the value: it counts once the file is on disk. When `change` fails nothing happens.
    ///
    /// # Errors
    /// What `change` says, or that the file could not be written.
    pub(crate) async fn change<R>(&self, change: impl FnOnce(&mut T) -> Result<R, ApiError>) -> Result<R, ApiError> {
        let _turn = self.writing.lock().await;
        let mut value = T::clone(&self.current.load());
        let result = change(&mut value)?;
        self.write(value).await?;
        Ok(result)
    }

    /// Replaces the value.
    ///
    /// # Errors
    /// When the file could not be written; the old value stays.
    pub(crate) async fn set(&self, value: T) -> Result<(), StoreError> {
        let _turn = self.writing.lock().await;
        self.write(value).await
    }

    async fn write(&self, value: T) -> Result<(), StoreError> {
        let (path, kind) = (self.path.clone(), self.kind);
        let value = Arc::new(value);
        let shared = value.clone();
        blocking(move || {
            let bytes = encode(kind, &*shared).map_err(|e| StoreError::io(&path, std::io::Error::other(e)))?;
            kit::files::write_atomic(&path, &bytes).map_err(|e| StoreError::io(&path, e))
        })
        .await?;
        self.current.store(value);
        Ok(())
    }
}

/// The text of a document.
pub(crate) fn encode<T: Serialize>(kind: &str, value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let body = serde_json::to_vec_pretty(value)?;
    let head = Head { file: kind.to_owned(), version: VERSION, checksum: checksum(&body) };
    let mut out = serde_json::to_vec(&head)?;
    out.push(b'\n');
    out.extend_from_slice(&body);
    out.push(b'\n');
    Ok(out)
}

/// Reads the text of a document.
pub(crate) fn decode<T: DeserializeOwned>(path: &Path, kind: &str, bytes: &[u8]) -> Result<T, StoreError> {
    let damaged = |line: usize, what: String| StoreError::Damaged { file: path.to_owned(), line, what };
    let end = bytes.iter().position(|b| *b == b'\n').ok_or_else(|| damaged(1, "the head line is missing".into()))?;
    let (head, body) = (&bytes[..end], bytes[end + 1..].strip_suffix(b"\n").unwrap_or(&bytes[end + 1..]));
    let head: Head = serde_json::from_slice(head).map_err(|e| damaged(1, format!("no head line: {e}")))?;
    if head.file != kind {
        return Err(damaged(1, format!("holds {:?}, not {kind:?}", head.file)));
    }
    if head.version != VERSION {
        return Err(damaged(1, format!("version {} is not {VERSION}, which this program reads", head.version)));
    }
    let found = checksum(body);
    if head.checksum != found {
        return Err(damaged(1, format!("checksum {} does not fit the content ({found})", head.checksum)));
    }
    serde_json::from_slice(body).map_err(|e| damaged(e.line() + 1, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Demo {
        names: Vec<String>,
    }

    #[tokio::test]
    async fn what_was_changed_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let doc: Doc<Demo> = Doc::open(dir.path(), "demo").unwrap();
        assert_eq!(*doc.get(), Demo::default());
        let len = doc
            .change(|demo| {
                demo.names.push("a".into());
                Ok(demo.names.len())
            })
            .await;
        assert_eq!(len, Ok(1));
        let refused = doc
            .change(|demo| {
                demo.names.clear();
                Err::<(), _>(ApiError::conflict("no"))
            })
            .await;
        assert!(refused.is_err());
        drop(doc);
        let doc: Doc<Demo> = Doc::open(dir.path(), "demo").unwrap();
        assert_eq!(doc.get().names, ["a"]);
    }

    #[tokio::test]
    async fn damage_is_found_wherever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let doc: Doc<Demo> = Doc::open(dir.path(), "demo").unwrap();
        doc.set(Demo { names: vec!["one".into(), "two".into()] }).await.unwrap();
        let path = dir.path().join("demo.json");
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() - 1 {
            let mut bad = good.clone();
            bad[at] ^= 0x04;
            std::fs::write(&path, &bad).unwrap();
            let error = Doc::<Demo>::open(dir.path(), "demo").expect_err("damage is found");
            assert!(error.to_string().starts_with(&format!("{}:", path.display())), "{error}");
            // The last newline is no content.
            std::fs::write(&path, &good[..at]).unwrap();
            assert!(at == good.len() - 1 || Doc::<Demo>::open(dir.path(), "demo").is_err(), "cut at {at}");
        }
        std::fs::write(&path, "rubbish\n").unwrap();
        let doc: Doc<Demo> = Doc::open_or_begin(dir.path(), "demo").unwrap();
        assert_eq!(*doc.get(), Demo::default());
        assert_eq!(std::fs::read(dir.path().join("demo.json.damaged")).unwrap(), b"rubbish\n");
    }

    #[tokio::test]
    async fn a_change_that_cannot_be_stored_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let doc: Doc<Demo> = Doc::open(&dir.path().join("missing"), "demo").unwrap();
        let result = doc
            .change(|demo| {
                demo.names.push("a".into());
                Ok(())
            })
            .await;
        assert!(result.unwrap_err().message.starts_with("the change could not be stored"));
        assert_eq!(*doc.get(), Demo::default());
    }
}
