//! A list in a file that grows at its end: one line an item, `checksum json`.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{StoreError, blocking, checksum};

/// See the module. Bounded by whoever appends: [`Journal::rewrite`] when [`Journal::lines`] has grown too far.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    file: File,
    lines: usize,
    /// Length of the file up to the last whole line: a failed write is cut off before the next.
    len: u64,
}

impl Journal {
    /// Opens `<dir>/<name>.jsonl` and reads its items in order. Lines that are damaged are left out and logged; a torn line at
    /// the end, which a crash leaves, is cut off.
    ///
    /// # Errors
    /// When the file cannot be read or opened for writing.
    pub(crate) fn open<T: DeserializeOwned>(dir: &Path, name: &str) -> Result<(Self, Vec<T>), StoreError> {
        let path = dir.join(format!("{name}.jsonl"));
        let io = |source| StoreError::io(&path, source);
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(io)?;
        let bytes = std::fs::read(&path).map_err(io)?;
        let mut items = Vec::new();
        let mut lines = 0;
        let mut len = 0u64;
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            let Some(body) = line.strip_suffix(b"\n") else { break };
            lines += 1;
            len += line.len() as u64;
            match decode(body) {
                Ok(item) => items.push(item),
                Err(what) => {
                    let error = StoreError::Damaged { file: path.clone(), line: lines, what };
                    tracing::error!(component = "store", %error, "line is damaged and left out");
                }
            }
        }
        if len < bytes.len() as u64 {
            tracing::warn!(component = "store", file = %path.display(), bytes = bytes.len() as u64 - len, "torn last line cut off");
            file.set_len(len).map_err(io)?;
        }
        file.seek(SeekFrom::Start(len)).map_err(io)?;
        let state = Arc::new(Mutex::new(State { file, lines, len }));
        Ok((Self { path, state }, items))
    }

    /// Lines in the file.
    pub(crate) fn lines(&self) -> usize {
        self.state.lock().lines
    }

    /// Appends items and syncs: all of them are there afterwards, or none.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) async fn append<T: Serialize>(&self, items: &[T]) -> Result<(), StoreError> {
        if items.is_empty() {
            return Ok(());
        }
        let text = encode(&self.path, items)?;
        let (path, state, count) = (self.path.clone(), self.state.clone(), items.len());
        blocking(move || {
            let mut state = state.lock();
            let state = &mut *state;
            let written = state
                .file
                .seek(SeekFrom::Start(state.len))
                .and_then(|_| state.file.write_all(&text))
                .and_then(|()| state.file.sync_data());
            if let Err(error) = written {
                // What was written of it must not stand before the next line.
                let _ = state.file.set_len(state.len);
                return Err(StoreError::io(path, error));
            }
            state.len += text.len() as u64;
            state.lines += count;
            Ok(())
        })
        .await
    }

    /// Replaces the file by one of these items.
    ///
    /// # Errors
    /// When the file cannot be written; the old one stays.
    pub(crate) async fn rewrite<T: Serialize>(&self, items: &[T]) -> Result<(), StoreError> {
        let text = encode(&self.path, items)?;
        let (path, state, count) = (self.path.clone(), self.state.clone(), items.len());
        blocking(move || {
            let mut state = state.lock();
            let io = |source| StoreError::io(&path, source);
            kit::files::write_atomic(&path, &text).map_err(io)?;
            let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(io)?;
            file.seek(SeekFrom::End(0)).map_err(io)?;
            *state = State { file, lines: count, len: text.len() as u64 };
            Ok(())
        })
        .await
    }
}

fn encode<T: Serialize>(path: &Path, items: &[T]) -> Result<Vec<u8>, StoreError> {
    let mut text = Vec::new();
    for item in items {
        let json = serde_json::to_vec(item).map_err(|e| StoreError::io(path, std::io::Error::other(e)))?;
        text.extend_from_slice(checksum(&json).as_bytes());
        text.push(b' ');
        text.extend_from_slice(&json);
        text.push(b'\n');
    }
    Ok(text)
}

fn decode<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    let (sum, json) = line.split_at_checked(16).ok_or("shorter than its checksum")?;
    let json = json.strip_prefix(b" ").ok_or("no blank behind the checksum")?;
    if sum != checksum(json).as_bytes() {
        return Err("checksum does not fit".into());
    }
    serde_json::from_slice(json).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn appended_items_survive_and_a_torn_line_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, items) = Journal::open::<String>(dir.path(), "log").unwrap();
        assert!(items.is_empty());
        journal.append(&["a", "b"]).await.unwrap();
        journal.append(&["c"]).await.unwrap();
        assert_eq!(journal.lines(), 3);
        let path = dir.path().join("log.jsonl");
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (journal, items) = Journal::open::<String>(dir.path(), "log").unwrap();
            let want = whole[..cut].iter().filter(|b| **b == b'\n').count();
            assert_eq!(items.len(), want, "cut at {cut}");
            journal.append(&["z"]).await.unwrap();
            let (_, items) = Journal::open::<String>(dir.path(), "log").unwrap();
            assert_eq!(items.last().map(String::as_str), Some("z"), "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_damaged_line_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open::<String>(dir.path(), "log").unwrap();
        journal.append(&["one", "two", "three"]).await.unwrap();
        let path = dir.path().join("log.jsonl");
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(3).position(|w| w == b"two").unwrap();
        bytes[at] = b'T';
        std::fs::write(&path, &bytes).unwrap();
        let (journal, items) = Journal::open::<String>(dir.path(), "log").unwrap();
        assert_eq!(items, ["one", "three"]);
        journal.rewrite(&items).await.unwrap();
        journal.append(&["four"]).await.unwrap();
        let (_, items) = Journal::open::<String>(dir.path(), "log").unwrap();
        assert_eq!(items, ["one", "three", "four"]);
    }
}
