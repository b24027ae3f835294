//! Files of a server's data directory: a lock that keeps a second process out, and writes that are whole or absent.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// A data directory could not be locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process holds the lock.
    #[error("{} is in use by another process (lock file {})", dir.display(), file.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// Its lock file.
        file: PathBuf,
    },
    /// The directory or its lock file could not be made.
    #[error("lock {}: {source}", file.display())]
    Io {
        /// The lock file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Holds a data directory for this process until dropped. The kernel drops the lock when the process dies, so a left-over
/// file never stands in the way.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Makes the directory if needed and takes its lock (the file `lock` in it).
    ///
    /// # Errors
    /// When another process holds it, or the directory cannot be written.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let file = dir.join("lock");
        let io = |source| LockError::Io { file: file.clone(), source };
        fs::create_dir_all(dir).map_err(io)?;
        let mut handle = OpenOptions::new().create(true).truncate(false).write(true).open(&file).map_err(io)?;
        match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(LockError::InUse { dir: dir.to_owned(), file }),
            Err(errno) => return Err(io(errno.into())),
        }
        // For the reader of the directory; the lock itself is the kernel's.
        let _ = handle.set_len(0).and_then(|()| writeln!(handle, "{}", std::process::id()));
        Ok(Self { _file: handle })
    }
}

/// Replaces a file so that after a crash it is the old one or the new one: writes a temporary file beside it, syncs it,
/// renames it, syncs the directory. Blocking.
///
/// # Errors
/// When any of that fails; the old file is then untouched and the temporary one removed.
pub fn write_atomic(path: &Path, contents: &[u8]) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no file name"))?;
    let mut temp = name.to_owned();
    temp.push(format!(".{}.tmp", std::process::id()));
    let temp = dir.join(temp);
    let result = File::create(&temp)
        .and_then(|mut file| {
            file.write_all(contents)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temp, path))
        .and_then(|()| File::open(dir)?.sync_all());
    if result.is_err() {
        let _ = fs::remove_file(&temp);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let lock = DirLock::acquire(dir.path()).unwrap();
        let error = DirLock::acquire(dir.path()).unwrap_err();
        assert!(error.to_string().contains("in use by another process"), "{error}");
        drop(lock);
        DirLock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn writes_replace_the_whole_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        write_atomic(&path, b"a longer first version").unwrap();
        write_atomic(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_atomic(&dir.path().join("missing/state"), b"x").is_err());
    }
}
