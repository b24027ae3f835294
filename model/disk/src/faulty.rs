//! [`Files`] that fail on demand: the n-th operation, or all operations while a fault is on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::files::{DirEntry, Files, Lock, ReadFile, Space, WriteFile};
use crate::map::Mapped;

/// What an injected fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The operation fails and changes nothing.
    Fail(io::ErrorKind),
    /// A write puts down half of its bytes and fails; other operations fail.
    Torn(io::ErrorKind),
    /// From here on every operation fails and changes nothing, as if the machine had stopped.
    Stop,
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Number of the first operation that changes something (counted from 0) that fails.
    pub at: u64,
    /// How many such operations fail; `u64::MAX`: until [`FaultyFiles::heal`].
    pub times: u64,
    /// What happens.
    pub kind: FaultKind,
}

#[derive(Debug, Default)]
struct State {
    /// Operations that change something, so far.
    operations: u64,
    fault: Option<Fault>,
    stopped: bool,
    log: Vec<(&'static str, PathBuf)>,
    space: Option<Space>,
}

/// A file system whose changing operations (create, append, sync, rename, remove, …) are counted and can be made to fail.
#[derive(Clone, Debug)]
pub struct FaultyFiles {
    inner: Arc<dyn Files>,
    state: Arc<Mutex<State>>,
}

impl FaultyFiles {
    /// Wraps a file system; without a fault it behaves the same.
    pub fn new(inner: Arc<dyn Files>) -> Self {
        Self { inner, state: Arc::default() }
    }

    /// Sets the fault to come.
    pub fn inject(&self, fault: Fault) {
        self.state.lock().fault = Some(fault);
    }

    /// Fails every operation from now on, until [`FaultyFiles::heal`].
    pub fn fail_from_now(&self, kind: FaultKind) {
        let mut state = self.state.lock();
        state.fault = Some(Fault { at: state.operations, times: u64::MAX, kind });
    }

    /// Takes the fault away.
    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.fault = None;
        state.stopped = false;
    }

    /// What [`Files::space`] answers from now on; `None`: the truth.
    pub fn pretend_space(&self, space: Option<Space>) {
        self.state.lock().space = space;
    }

    /// Number of changing operations so far.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// The changing operations so far, for messages of failing tests.
    pub fn log(&self) -> Vec<(&'static str, PathBuf)> {
        self.state.lock().log.clone()
    }

    fn operation(&self, name: &'static str, path: &Path) -> Result<(), (io::Error, bool)> {
        let mut state = self.state.lock();
        let number = state.operations;
        state.operations += 1;
        state.log.push((name, path.to_owned()));
        let error = |kind: io::ErrorKind| io::Error::new(kind, format!("injected at operation {number} ({name})"));
        if state.stopped {
            return Err((error(io::ErrorKind::Other), false));
        }
        match state.fault {
            Some(Fault { at, times, kind }) if number >= at && number - at < times => match kind {
                FaultKind::Fail(kind) => Err((error(kind), false)),
                FaultKind::Torn(kind) => Err((error(kind), true)),
                FaultKind::Stop => {
                    state.stopped = true;
                    Err((error(io::ErrorKind::Other), true))
                }
            },
            _ => Ok(()),
        }
    }

    fn check(&self, name: &'static str, path: &Path) -> io::Result<()> {
        self.operation(name, path).map_err(|(error, _)| error)
    }
}

struct FaultyWriter {
    files: FaultyFiles,
    path: PathBuf,
    inner: Box<dyn WriteFile>,
}

impl WriteFile for FaultyWriter {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.files.operation("append", &self.path) {
            Ok(()) => self.inner.append(bytes),
            Err((error, torn)) => {
                if torn {
                    self.inner.append(&bytes[..bytes.len() / 2])?;
                }
                Err(error)
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.files.check("sync", &self.path)?;
        self.inner.sync()
    }

    fn len(&self) -> u64 {
        self.inner.len()
    }
}

impl Files for FaultyFiles {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.check("create_dir_all", path)?;
        self.inner.create_dir_all(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.read_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.check("create", path)?;
        let inner = self.inner.create(path)?;
        Ok(Box::new(FaultyWriter { files: self.clone(), path: path.to_owned(), inner }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let inner = self.inner.open_append(path)?;
        Ok(Box::new(FaultyWriter { files: self.clone(), path: path.to_owned(), inner }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>> {
        self.inner.open(path)
    }

    fn map(&self, path: &Path) -> io::Result<Mapped> {
        self.inner.map(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check("rename", from)?;
        self.inner.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check("hard_link", from)?;
        self.inner.hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.check("remove_file", path)?;
        self.inner.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.check("remove_dir_all", path)?;
        self.inner.remove_dir_all(path)
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.check("truncate", path)?;
        self.inner.truncate(path, len)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.check("sync_dir", path)?;
        self.inner.sync_dir(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        match self.state.lock().space {
            Some(space) => Ok(space),
            None => self.inner.space(path),
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.inner.lock(path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.inner.exists(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::MemFiles;

    #[test]
    fn the_chosen_operation_fails_and_no_other() {
        let files = FaultyFiles::new(Arc::new(MemFiles::new()));
        let mut file = files.create(Path::new("x")).unwrap();
        files.inject(Fault { at: 2, times: 1, kind: FaultKind::Torn(io::ErrorKind::StorageFull) });
        file.append(b"1234").unwrap();
        assert_eq!(file.append(b"5678").unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.append(b"9").unwrap();
        assert_eq!(&files.map(Path::new("x")).unwrap()[..], b"1234569");
        files.fail_from_now(FaultKind::Stop);
        assert!(file.sync().is_err());
        assert!(files.remove_file(Path::new("x")).is_err());
        files.heal();
        file.sync().unwrap();
        assert_eq!(files.operations(), 7);
    }
}
