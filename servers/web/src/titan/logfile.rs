//! Log files of an application: written by one thread, rotated by size, opened again when somebody moved them.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines waiting for the disk; more are dropped and counted.
const QUEUE: usize = 10_000;
/// How often a file is looked at for having been moved away.
const CHECK: Duration = Duration::from_millis(500);

/// Where a line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// `access.log`
    Access,
    /// `error.log`
    Error,
    /// `info.log`
    Info,
}

const NAMES: [&str; 3] = ["access.log", "error.log", "info.log"];

/// Hands lines to the writing thread; clones write to the same files.
#[derive(Clone, Debug)]
pub struct LogFiles {
    sender: SyncSender<(Stream, String)>,
    dropped: Arc<AtomicU64>,
}

/// Waits for the writing thread: drop all [`LogFiles`] first.
#[derive(Debug)]
pub struct LogWriter(JoinHandle<()>);

impl LogWriter {
    /// Waits until everything is written.
    pub fn join(self) {
        // A panic of the thread has been reported by its hook.
        let _ = self.0.join();
    }
}

impl LogFiles {
    /// Opens the files in a folder, which is made when missing. A file over `max_bytes` is renamed to `name.1` (older ones
    /// to `.2` … `.keep`) and begun anew.
    ///
    /// # Errors
    /// When the folder or a file cannot be made.
    pub fn open(dir: &Path, max_bytes: u64, keep: u32) -> std::io::Result<(Self, LogWriter)> {
        std::fs::create_dir_all(dir)?;
        let mut files = Vec::new();
        for name in NAMES {
            files.push(Rotating::open(dir.join(name), max_bytes, keep)?);
        }
        let (sender, receiver) = sync_channel(QUEUE);
        let thread =
            std::thread::Builder::new().name("titan-logs".into()).spawn(move || write_all(&receiver, files))?;
        Ok((Self { sender, dropped: Arc::default() }, LogWriter(thread)))
    }

    /// Writes a line soon. Never waits: when the disk cannot keep up the line is dropped and counted.
    pub fn write(&self, stream: Stream, line: String) {
        match self.sender.try_send((stream, line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Lines dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn write_all(lines: &Receiver<(Stream, String)>, mut files: Vec<Rotating>) {
    loop {
        let first = match lines.recv_timeout(CHECK) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let Some(first) = first else { continue };
        // What has piled up goes out in one write per file.
        for (stream, line) in std::iter::once(first).chain(lines.try_iter().take(1000)) {
            if let Some(file) = files.get_mut(stream as usize) {
                file.buffer.extend_from_slice(line.as_bytes());
                file.buffer.push(b'\n');
            }
        }
        for file in &mut files {
            file.flush();
        }
    }
    for file in &mut files {
        file.flush();
    }
}

#[derive(Debug)]
struct Rotating {
    path: PathBuf,
    file: File,
    inode: u64,
    size: u64,
    max_bytes: u64,
    keep: u32,
    checked: Instant,
    buffer: Vec<u8>,
}

impl Rotating {
    fn open(path: PathBuf, max_bytes: u64, keep: u32) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let meta = file.metadata()?;
        let (inode, size) = (meta.ino(), meta.len());
        Ok(Self { path, file, inode, size, max_bytes, keep, checked: Instant::now(), buffer: Vec::new() })
    }

    fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        if self.checked.elapsed() >= CHECK {
            self.checked = Instant::now();
            let moved = std::fs::metadata(&self.path).map_or(true, |meta| meta.ino() != self.inode);
            if moved {
                self.reopen();
            }
        }
        if self.size > 0 && self.size + self.buffer.len() as u64 > self.max_bytes {
            self.rotate();
        }
        match self.file.write_all(&self.buffer) {
            Ok(()) => self.size += self.buffer.len() as u64,
            Err(error) => {
                tracing::warn!(component = "titan", file = %self.path.display(), %error, "log lines lost");
            }
        }
        self.buffer.clear();
    }

    fn rotate(&mut self) {
        let numbered = |n: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        };
        for n in (1..self.keep).rev() {
            // Older files may not be there yet.
            let _ = std::fs::rename(numbered(n), numbered(n + 1));
        }
        let gone =
            if self.keep == 0 { std::fs::remove_file(&self.path) } else { std::fs::rename(&self.path, numbered(1)) };
        if let Err(error) = gone {
            tracing::warn!(component = "titan", file = %self.path.display(), %error, "cannot rotate");
        }
        self.reopen();
    }

    fn reopen(&mut self) {
        match Self::open(self.path.clone(), self.max_bytes, self.keep) {
            Ok(new) => {
                self.file = new.file;
                self.inode = new.inode;
                self.size = new.size;
            }
            Err(error) => {
                tracing::warn!(component = "titan", file = %self.path.display(), %error, "cannot open again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotates_by_size_and_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (logs, writer) = LogFiles::open(dir.path(), 1000, 9).unwrap();
        for n in 0..200 {
            logs.write(Stream::Access, format!("line {n:03} {}", "x".repeat(20)));
            if n % 10 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        logs.write(Stream::Error, "{}".into());
        drop(logs);
        writer.join();
        let mut lines = Vec::new();
        for n in (0..=9).rev() {
            let name = if n == 0 { "access.log".to_owned() } else { format!("access.log.{n}") };
            if let Ok(text) = std::fs::read_to_string(dir.path().join(name)) {
                assert!(n == 0 || text.len() <= 1000 || text.lines().count() > 30, "{n}: {}", text.len());
                lines.extend(text.lines().map(|line| line[..8].to_owned()));
            }
        }
        let want: Vec<String> = (0..200).map(|n| format!("line {n:03}")).collect();
        assert_eq!(lines[..], want[200 - lines.len()..], "the newest lines, in order");
        assert!(dir.path().join("access.log.1").exists());
        assert_eq!(std::fs::read_to_string(dir.path().join("error.log")).unwrap(), "{}\n");
    }

    #[test]
    fn opens_again_after_somebody_moved_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (logs, writer) = LogFiles::open(dir.path(), 1 << 20, 2).unwrap();
        let file = dir.path().join("info.log");
        logs.write(Stream::Info, "before".into());
        while std::fs::read_to_string(&file).unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::fs::rename(&file, dir.path().join("moved")).unwrap();
        std::thread::sleep(CHECK + Duration::from_millis(100));
        logs.write(Stream::Info, "after".into());
        drop(logs);
        writer.join();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "after\n");
        assert_eq!(std::fs::read_to_string(dir.path().join("moved")).unwrap(), "before\n");
    }
}
