//! [`Files`] in memory, which knows what a power cut would leave.
//!
//! Every file has bytes and a part of them that was synced; every name is known to be durable or not. [`MemFiles::power_loss`]
//! gives the file system a machine would find after a cut at this moment: all that was synced, and of the rest
//! nothing, everything, or a seeded part with a torn end, as [`PowerLoss`] says.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::files::{DirEntry, Files, Lock, ReadFile, Space, WriteFile};
use crate::map::Mapped;

/// What becomes of bytes and names that were not synced when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerLoss {
    /// All of them are lost.
    Unsynced,
    /// All of them happen to be on the device.
    Nothing,
    /// A seeded part of them: some names, of each file a prefix of its unsynced bytes, now and then with garbage at its end.
    Torn(u64),
}

#[derive(Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    /// Content after the last sync.
    synced: Vec<u8>,
}

type Node = Arc<Mutex<Inode>>;

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Node>,
    dirs: BTreeSet<PathBuf>,
    durable_files: BTreeMap<PathBuf, Node>,
    durable_dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
}

/// A file system in memory; clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemFiles(Arc<Mutex<State>>);

impl MemFiles {
    /// An empty file system.
    pub fn new() -> Self {
        Self::default()
    }

    /// The file system as found after the power went at this moment. `self` is left as it is.
    pub fn power_loss(&self, loss: PowerLoss) -> Self {
        let state = self.0.lock();
        let mut random = SplitMix(match loss {
            PowerLoss::Torn(seed) => seed,
            _ => 0,
        });
        let (files, dirs) = match loss {
            PowerLoss::Unsynced => (state.durable_files.clone(), state.durable_dirs.clone()),
            PowerLoss::Nothing => (state.files.clone(), state.dirs.clone()),
            PowerLoss::Torn(_) => {
                // Each name on its own is as it was synced or as it is now.
                let names: BTreeSet<&PathBuf> = state.files.keys().chain(state.durable_files.keys()).collect();
                let mut files = BTreeMap::new();
                for name in names {
                    let side = if random.next() & 1 == 0 { &state.files } else { &state.durable_files };
                    if let Some(node) = side.get(name) {
                        files.insert(name.clone(), node.clone());
                    }
                }
                (files, state.dirs.union(&state.durable_dirs).cloned().collect())
            }
        };
        let mut after = State { dirs, ..State::default() };
        for (path, node) in files {
            let inode = node.lock();
            let bytes = match loss {
                PowerLoss::Unsynced => inode.synced.clone(),
                PowerLoss::Nothing => inode.bytes.clone(),
                PowerLoss::Torn(_) => torn(&inode, &mut random),
            };
            for dir in path.ancestors().skip(1) {
                after.dirs.insert(dir.to_owned());
            }
            after.files.insert(path, Arc::new(Mutex::new(Inode { synced: bytes.clone(), bytes })));
        }
        after.durable_files = after.files.clone();
        after.durable_dirs = after.dirs.clone();
        Self(Arc::new(Mutex::new(after)))
    }

    /// Changes the content of a file behind everybody's back: for tests of damage.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let node = self.node(path)?;
        let mut inode = node.lock();
        change(&mut inode.bytes);
        inode.synced = inode.bytes.clone();
        Ok(())
    }

    /// Paths of all files, ascending.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.0.lock().files.keys().cloned().collect()
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        let path = clean(path);
        self.0.lock().files.get(&path).cloned().ok_or_else(|| not_found(&path))
    }
}

fn torn(inode: &Inode, random: &mut SplitMix) -> Vec<u8> {
    if !inode.bytes.starts_with(&inode.synced) {
        return if random.next() & 1 == 0 { inode.bytes.clone() } else { inode.synced.clone() };
    }
    let unsynced = &inode.bytes[inode.synced.len()..];
    let kept = random.below(unsynced.len() + 1);
    let mut bytes = inode.synced.clone();
    bytes.extend_from_slice(&unsynced[..kept]);
    match random.below(4) {
        // The length was written, the data was not.
        0 => bytes.resize(inode.bytes.len(), 0),
        // A sector of something else.
        1 if kept < unsynced.len() => {
            let garbage = random.below((unsynced.len() - kept).min(512) + 1);
            bytes.extend((0..garbage).map(|_| random.next() as u8));
        }
        _ => {}
    }
    bytes
}

struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

fn clean(path: &Path) -> PathBuf {
    path.components().filter(|c| !matches!(c, Component::CurDir)).collect()
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no such file or directory: {}", path.display()))
}

struct MemWriter(Node);

impl WriteFile for MemWriter {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut inode = self.0.lock();
        inode.synced = inode.bytes.clone();
        Ok(())
    }

    fn len(&self) -> u64 {
        self.0.lock().bytes.len() as u64
    }
}

struct MemReader(Node);

impl ReadFile for MemReader {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let inode = self.0.lock();
        let rest = usize::try_from(offset).ok().and_then(|start| inode.bytes.get(start..)).unwrap_or(&[]);
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().bytes.len() as u64)
    }
}

struct MemLock {
    files: MemFiles,
    path: PathBuf,
}

impl Lock for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        self.files.0.lock().locks.remove(&self.path);
    }
}

impl Files for MemFiles {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let path = clean(path);
        let mut state = self.0.lock();
        for dir in path.ancestors() {
            state.dirs.insert(dir.to_owned());
        }
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let path = clean(path);
        let state = self.0.lock();
        if !path.as_os_str().is_empty() && !state.dirs.contains(&path) {
            return Err(not_found(&path));
        }
        let name_in = |p: &Path| {
            let name = p.strip_prefix(&path).ok()?;
            (name.components().count() == 1).then(|| name.to_string_lossy().into_owned())
        };
        let files = state.files.iter().filter_map(|(p, node)| {
            Some(DirEntry { name: name_in(p)?, len: node.lock().bytes.len() as u64, is_dir: false })
        });
        let dirs = state.dirs.iter().filter_map(|p| Some(DirEntry { name: name_in(p)?, len: 0, is_dir: true }));
        let mut entries: Vec<_> = files.chain(dirs).collect();
        entries.sort();
        Ok(entries)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let path = clean(path);
        let mut state = self.0.lock();
        if state.files.contains_key(&path) || state.dirs.contains(&path) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("exists: {}", path.display())));
        }
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty() && !state.dirs.contains(*dir)) {
            return Err(not_found(dir));
        }
        let node = Node::default();
        state.files.insert(path, node.clone());
        Ok(Box::new(MemWriter(node)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(MemWriter(self.node(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>> {
        Ok(Arc::new(MemReader(self.node(path)?)))
    }

    fn map(&self, path: &Path) -> io::Result<Mapped> {
        Ok(Mapped::of_bytes(self.node(path)?.lock().bytes.as_slice().into()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (clean(from), clean(to));
        let mut state = self.0.lock();
        if let Some(node) = state.files.remove(&from) {
            state.files.insert(to, node);
            return Ok(());
        }
        if !state.dirs.contains(&from) {
            return Err(not_found(&from));
        }
        let moved = |p: &Path| p.strip_prefix(&from).ok().map(|rest| clean(&to.join(rest)));
        // A directory moves with all in it; what was durable in it keeps its durability under the name that is durable.
        let dirs: Vec<_> = state.dirs.iter().filter_map(|p| Some((p.clone(), moved(p)?))).collect();
        for (old, new) in dirs {
            state.dirs.remove(&old);
            state.dirs.insert(new);
        }
        let files: Vec<_> = state.files.keys().filter_map(|p| Some((p.clone(), moved(p)?))).collect();
        for (old, new) in files {
            if let Some(node) = state.files.remove(&old) {
                state.files.insert(new, node);
            }
        }
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.node(from)?;
        let to = clean(to);
        let mut state = self.0.lock();
        if state.files.contains_key(&to) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("exists: {}", to.display())));
        }
        state.files.insert(to, node);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let path = clean(path);
        self.0.lock().files.remove(&path).map(|_| ()).ok_or_else(|| not_found(&path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let path = clean(path);
        let mut state = self.0.lock();
        if !state.dirs.contains(&path) {
            return Err(not_found(&path));
        }
        state.files.retain(|p, _| !p.starts_with(&path));
        state.dirs.retain(|p| !p.starts_with(&path));
        Ok(())
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let node = self.node(path)?;
        node.lock().bytes.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = clean(path);
        let mut state = self.0.lock();
        if !path.as_os_str().is_empty() && !state.dirs.contains(&path) {
            return Err(not_found(&path));
        }
        let inside = |p: &Path| p.parent() == Some(&path);
        let State { files, dirs, durable_files, durable_dirs, .. } = &mut *state;
        // A directory that left this one takes with it what was durable in it.
        let gone: Vec<_> = durable_dirs.iter().filter(|p| inside(p) && !dirs.contains(*p)).cloned().collect();
        durable_files.retain(|p, _| !gone.iter().any(|dir| p.starts_with(dir)));
        durable_dirs.retain(|p| !gone.iter().any(|dir| p.starts_with(dir)));
        durable_files.retain(|p, _| !inside(p));
        durable_files.extend(files.iter().filter(|(p, _)| inside(p)).map(|(p, node)| (p.clone(), node.clone())));
        let new: Vec<_> = dirs.iter().filter(|p| inside(p) && !durable_dirs.contains(*p)).cloned().collect();
        for dir in new {
            // A directory that came by rename brings its synced content; names in it that were synced before the move
            // cannot be told from others here, so all of them count as durable. Stores sync a directory before moving it.
            durable_files
                .extend(files.iter().filter(|(p, _)| p.starts_with(&dir)).map(|(p, node)| (p.clone(), node.clone())));
            durable_dirs.extend(dirs.iter().filter(|p| p.starts_with(&dir)).cloned());
        }
        durable_dirs.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let used: u64 = self.0.lock().files.values().map(|node| node.lock().bytes.len() as u64).sum();
        let total = 1 << 40;
        Ok(Space { total, available: total.saturating_sub(used) })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let path = clean(path);
        if !self.0.lock().locks.insert(path.clone()) {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, format!("locked: {}", path.display())));
        }
        Ok(Box::new(MemLock { files: self.clone(), path }))
    }

    fn exists(&self, path: &Path) -> bool {
        let path = clean(path);
        let state = self.0.lock();
        state.files.contains_key(&path) || state.dirs.contains(&path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(files: &MemFiles, path: &str, bytes: &[u8], sync: bool) -> Box<dyn WriteFile> {
        let mut file = files.create(Path::new(path)).unwrap();
        file.append(bytes).unwrap();
        if sync {
            file.sync().unwrap();
        }
        file
    }

    fn content(files: &MemFiles, path: &str) -> Option<Vec<u8>> {
        files.map(Path::new(path)).ok().map(|m| m.to_vec())
    }

    #[test]
    fn a_power_cut_keeps_synced_bytes_of_synced_names() {
        let files = MemFiles::new();
        files.create_dir_all(Path::new("d")).unwrap();
        let mut kept = write(&files, "d/kept", b"one", true);
        write(&files, "d/unsynced", b"two", false);
        files.sync_dir(Path::new("")).unwrap();
        files.sync_dir(Path::new("d")).unwrap();
        kept.append(b" more").unwrap();
        write(&files, "d/nameless", b"three", true);
        let after = files.power_loss(PowerLoss::Unsynced);
        assert_eq!(content(&after, "d/kept").as_deref(), Some(&b"one"[..]));
        assert_eq!(content(&after, "d/unsynced").as_deref(), Some(&b""[..]));
        assert_eq!(content(&after, "d/nameless"), None);
        let after = files.power_loss(PowerLoss::Nothing);
        assert_eq!(content(&after, "d/kept").as_deref(), Some(&b"one more"[..]));
        assert_eq!(content(&after, "d/nameless").as_deref(), Some(&b"three"[..]));
        for seed in 0..50 {
            let after = files.power_loss(PowerLoss::Torn(seed));
            assert!(content(&after, "d/kept").is_some_and(|bytes| bytes.starts_with(b"one")));
        }
    }

    #[test]
    fn a_rename_counts_after_the_directory_was_synced() {
        let files = MemFiles::new();
        files.create_dir_all(Path::new("d/tmp")).unwrap();
        files.sync_dir(Path::new("")).unwrap();
        files.sync_dir(Path::new("d")).unwrap();
        write(&files, "d/tmp/x", b"x", true);
        files.sync_dir(Path::new("d/tmp")).unwrap();
        files.rename(Path::new("d/tmp"), Path::new("d/block")).unwrap();
        let before = files.power_loss(PowerLoss::Unsynced);
        assert_eq!(content(&before, "d/tmp/x").as_deref(), Some(&b"x"[..]));
        assert_eq!(content(&before, "d/block/x"), None);
        files.sync_dir(Path::new("d")).unwrap();
        let after = files.power_loss(PowerLoss::Unsynced);
        assert_eq!(content(&after, "d/tmp/x"), None);
        assert_eq!(content(&after, "d/block/x").as_deref(), Some(&b"x"[..]));
        files.remove_file(Path::new("d/block/x")).unwrap();
        assert!(content(&files.power_loss(PowerLoss::Unsynced), "d/block/x").is_some());
        files.sync_dir(Path::new("d/block")).unwrap();
        assert_eq!(content(&files.power_loss(PowerLoss::Unsynced), "d/block/x"), None);
    }
}
