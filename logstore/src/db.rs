//! [`Db`]: opens the parts and joins them. Pushes are in `write`, reads in `select`, background work in `maintain`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use disk::{Files, IoContext, Lock, RealFiles, Wal, WalOptions, WalStats, wal};
use model::Labels;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use crate::deletes::{Batch, Deletes};
use crate::error::Error;
use crate::head::Head;
use crate::limits::{Limits, TokenBucket};
use crate::options::Options;
use crate::record;
use crate::retention::{Rules, Schedule};
use crate::segment::{Segment, SegmentId};
use crate::tail::Tails;
use crate::view::View;

/// Most places of damage that are remembered.
const MAX_DAMAGE: usize = 1_000;

/// A log store in a directory. One process at a time has it open; threads share it by reference.
///
/// Nothing runs in the background: call [`Db::maintain`] every second or so.
pub struct Db {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) limits: RwLock<Arc<Limits>>,
    pub(crate) wal: Wal,
    pub(crate) head: Head,
    /// The generation of the head that takes entries. A push holds it for reading from its record to its last entry,
    /// so that a generation that was closed under the write lock is complete, in the log and in memory.
    pub(crate) generation: RwLock<Generation>,
    view: RwLock<Arc<View>>,
    pub(crate) rate: Mutex<TokenBucket>,
    pub(crate) retention: RwLock<Arc<Rules>>,
    pub(crate) deletes: Deletes,
    pub(crate) tails: Tails,
    /// Held by whoever changes files.
    pub(crate) maintenance: Mutex<Maintenance>,
    /// Why pushes are refused, set by the brake.
    pub(crate) refusing: RwLock<Option<String>>,
    pub(crate) counters: Counters,
    /// Memory for records.
    pub(crate) buffers: Mutex<Vec<Vec<u8>>>,
    damage: Mutex<Vec<String>>,
    closed: AtomicBool,
    _lock: Box<dyn Lock>,
}

/// One generation of the head.
#[derive(Debug, Default)]
pub(crate) struct Generation {
    pub(crate) number: u64,
    /// Bytes of lines and metadata put into it.
    pub(crate) bytes: AtomicU64,
    /// When the first push came, 0: none yet.
    pub(crate) since_ns: AtomicI64,
}

/// What only background work needs to know.
#[derive(Debug, Default)]
pub(crate) struct Maintenance {
    pub(crate) next_segment: SegmentId,
    /// The generation that takes no entries any more and is not in a segment yet, and the log segment that begins after it.
    pub(crate) frozen: Option<(u64, disk::SegmentId)>,
    /// Files of segments that are not read any more. As long as one may still be there, no other segment is replaced: the one
    /// that says what became of it could go.
    pub(crate) garbage: Vec<PathBuf>,
    /// Segments that are left alone, for they cannot be read to the end.
    pub(crate) unmergeable: HashSet<SegmentId>,
    pub(crate) schedule: Schedule,
    /// Delete requests that are being carried out.
    pub(crate) deleting: Option<Batch>,
}

/// Figures since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) entries: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) sealed: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) merged: AtomicU64,
    /// Bytes of the frozen generation.
    pub(crate) unsealed: AtomicU64,
}

/// Figures of a store.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Streams in memory.
    pub streams: u64,
    /// Bytes of lines and metadata that are not in a segment yet.
    pub head_bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Entries in segments.
    pub segment_entries: u64,
    /// Bytes of the lines in segments.
    pub segment_line_bytes: u64,
    /// Bytes of the segments on disk.
    pub segment_file_bytes: u64,
    /// Entries stored since the store was opened.
    pub entries: u64,
    /// Bytes of their lines and metadata.
    pub bytes: u64,
    /// Entries that were there already.
    pub duplicates: u64,
    /// Entries refused.
    pub refused: u64,
    /// Segments written.
    pub sealed: u64,
    /// Segments dropped by retention.
    pub expired: u64,
    /// Segments that were made into larger ones.
    pub merged: u64,
    /// The write-ahead log.
    pub wal: WalStats,
    /// Damage found so far: file, offset and what is lost.
    pub damage: Vec<String>,
}

impl Db {
    /// Opens the store in a directory of the operating system, making it where there is none.
    ///
    /// # Errors
    /// When a file cannot be read or made, or another process has the store open. Damage is no error: what is whole is
    /// there, the rest is told in [`Stats::damage`].
    pub fn open(dir: impl Into<PathBuf>, options: Options) -> Result<Self, Error> {
        Self::open_with(Arc::new(RealFiles), dir, options)
    }

    /// As [`Db::open`], on any file layer.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub fn open_with(files: Arc<dyn Files>, dir: impl Into<PathBuf>, options: Options) -> Result<Self, Error> {
        let dir = dir.into();
        files.create_dir_all(&dir).at("create directory", &dir)?;
        let lock_path = dir.join("LOCK");
        let lock = match files.lock(&lock_path) {
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Err(Error::Locked { dir }),
            other => other.at("lock", &lock_path)?,
        };
        let segments_dir = segments_dir(&dir);
        files.create_dir_all(&segments_dir).at("create directory", &segments_dir)?;
        files.sync_dir(&dir).at("sync", &dir)?;
        let mut damage = Vec::new();
        let (segments, maintenance) = open_segments(&*files, &segments_dir, &mut damage)?;
        let sealed = segments.iter().map(|segment| segment.info.generation).max().unwrap_or(0);
        let view = View::new(segments, sealed);
        let head = Head::default();
        let wal_dir = dir.join("wal");
        let old_log = wal::list_segments(&*files, &wal_dir)?;
        let generation = replay(&*files, &old_log, &view, &head, &mut damage)?;
        let deletes = Deletes::open(&*files, deletes_path(&dir), options.delete_reader.clone(), &mut damage)?;
        let wal_options = WalOptions { sync: options.wal_sync, ..WalOptions::default() };
        let wal = Wal::open(files.clone(), wal_dir, wal_options)?;
        Ok(Self {
            files,
            dir,
            limits: RwLock::new(Arc::new(options.limits.clone())),
            wal,
            head,
            generation: RwLock::new(generation),
            view: RwLock::new(Arc::new(view)),
            rate: Mutex::default(),
            retention: RwLock::new(Arc::new(Rules {
                all: options.retention,
                streams: options.stream_retention.clone(),
            })),
            deletes,
            tails: Tails::default(),
            maintenance: Mutex::new(maintenance),
            refusing: RwLock::default(),
            counters: Counters::default(),
            buffers: Mutex::default(),
            damage: Mutex::new(damage),
            closed: AtomicBool::new(false),
            options,
            _lock: lock,
        })
    }

    /// Replaces the limits; pushes that run are finished under the old ones.
    pub fn set_limits(&self, limits: Limits) {
        *self.limits.write() = Arc::new(limits);
        // Streams that are known by their text are not checked again: know them anew.
        self.head.forget_raw();
    }

    /// Forgets what the raw texts of streams stand for, for when the way to read them changes.
    pub fn forget_raw_keys(&self) {
        self.head.forget_raw();
    }

    /// Syncs what is in the log and refuses everything from now on. What is in memory only is read from the log next time.
    ///
    /// # Errors
    /// When the log cannot be synced.
    pub fn close(&self) -> Result<(), Error> {
        self.closed.store(true, Ordering::SeqCst);
        self.tails.close();
        let _background = self.maintenance.lock();
        self.wal.close()?;
        Ok(())
    }

    /// Figures at this moment.
    pub fn stats(&self) -> Stats {
        let view = self.view.read().clone();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let sum = |f: fn(&Segment) -> u64| view.segments.iter().map(|s| f(s)).sum();
        Stats {
            streams: self.head.len() as u64,
            head_bytes: load(&self.generation.read().bytes) + load(&self.counters.unsealed),
            segments: view.segments.len() as u64,
            segment_entries: sum(|s| s.info.entries),
            segment_line_bytes: sum(|s| s.info.bytes),
            segment_file_bytes: sum(Segment::file_bytes),
            entries: load(&self.counters.entries),
            bytes: load(&self.counters.bytes),
            duplicates: load(&self.counters.duplicates),
            refused: load(&self.counters.refused),
            sealed: load(&self.counters.sealed),
            expired: load(&self.counters.expired),
            merged: load(&self.counters.merged),
            wal: self.wal.stats(),
            damage: self.damage.lock().iter().cloned().chain(view.segments.iter().flat_map(|s| s.notes())).collect(),
        }
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::SeqCst) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Remembers damage, once.
    pub(crate) fn note_damage(&self, error: &Error) {
        let mut damage = self.damage.lock();
        let text = error.to_string();
        if damage.len() < MAX_DAMAGE && !damage.contains(&text) {
            damage.push(text);
        }
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// The view; while it is held nothing leaves the head.
    pub(crate) fn view(&self) -> RwLockReadGuard<'_, Arc<View>> {
        self.view.read()
    }

    pub(crate) fn set_view(&self, view: View) {
        *self.view.write() = Arc::new(view);
    }

    pub(crate) fn segments_dir(&self) -> PathBuf {
        segments_dir(&self.dir)
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// File of the delete requests.
pub(crate) fn deletes_path(dir: &Path) -> PathBuf {
    dir.join("deletes")
}

pub(crate) fn segments_dir(dir: &Path) -> PathBuf {
    dir.join("segments")
}

/// Opens all whole segments but those that were made into another, and removes what was being written when the last process
/// ended.
fn open_segments(
    files: &dyn Files,
    dir: &Path,
    damage: &mut Vec<String>,
) -> Result<(Vec<Arc<Segment>>, Maintenance), Error> {
    let mut segments: Vec<Arc<Segment>> = Vec::new();
    let mut next = 1;
    for entry in files.read_dir(dir).at("list", dir)? {
        if entry.name.ends_with(".tmp") {
            let path = dir.join(&entry.name);
            files.remove_file(&path).at("remove", &path)?;
            continue;
        }
        let Some(id) = SegmentId::from_file_name(&entry.name) else { continue };
        next = next.max(id.0 + 1);
        match Segment::open(files, dir, id) {
            Ok(segment) => segments.push(Arc::new(segment)),
            Err(error @ Error::Corrupt { .. }) => damage.push(format!("{error}; the segment is left out")),
            Err(error) => return Err(error),
        }
    }
    // The process may have ended between a segment and the removal of its sources.
    let replaced: HashSet<u64> = segments.iter().flat_map(|segment| segment.info.sources.iter().copied()).collect();
    let (gone, segments): (Vec<_>, Vec<_>) = segments.into_iter().partition(|s| replaced.contains(&s.id.0));
    let garbage = gone.into_iter().map(|segment| segment.path.clone()).collect();
    Ok((segments, Maintenance { next_segment: SegmentId(next), garbage, ..Maintenance::default() }))
}

/// Puts what the log holds beyond the segments into the head, as one new generation.
fn replay(
    files: &dyn Files,
    log: &[wal::Segment],
    view: &View,
    head: &Head,
    damage: &mut Vec<String>,
) -> Result<Generation, Error> {
    // First the newest generation, then the entries: they all go into the one after it.
    let mut newest = view.sealed;
    for segment in log {
        wal::read_segment(files, segment, &mut |entry| {
            let _ = record::read(
                entry.payload,
                |generation| {
                    newest = newest.max(generation);
                    false
                },
                |_| {},
            );
        })?;
    }
    let generation = Generation { number: newest + 1, ..Generation::default() };
    for segment in log {
        let report = wal::read_segment(files, segment, &mut |entry| {
            let wanted = |of: u64| of > view.sealed;
            let result = record::read(entry.payload, wanted, |stream| match Labels::from_encoded(stream.labels) {
                Some(labels) => restore(&labels, &stream, &generation, view, head),
                None => damage.push(format!(
                    "{} at byte {}: labels of a stream are malformed; its entries in this record are lost",
                    segment.path.display(),
                    entry.offset
                )),
            });
            if let Err(malformed) = result {
                damage.push(format!(
                    "{} at byte {}: {malformed}; the rest of this record is lost",
                    segment.path.display(),
                    entry.offset
                ));
            }
        })?;
        damage.extend(report.damage.iter().map(|skipped| {
            format!(
                "{} at byte {}: {} bytes lost: {}",
                segment.path.display(),
                skipped.offset,
                skipped.len,
                skipped.what
            )
        }));
    }
    Ok(generation)
}

fn restore(labels: &Labels, stream: &record::RecordStream<'_>, generation: &Generation, view: &View, head: &Head) {
    let Ok(found) = head.stream(labels, 0) else { return };
    let Some((chunk, _)) = found.open(generation.number) else { return };
    let mut bytes = 0;
    chunk.insert(
        stream.entries(),
        |timestamp_ns, line, metadata| view.contains(labels, timestamp_ns, line, metadata),
        |_, line, metadata| bytes += entry_bytes(line, metadata),
    );
    generation.bytes.fetch_add(bytes, Ordering::Relaxed);
}

/// Bytes of an entry as memory is counted.
pub(crate) fn entry_bytes(line: &str, metadata: &[(&str, &str)]) -> u64 {
    let metadata: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    (line.len() + metadata) as u64
}
