//! Write-ahead log: records are appended by any number of threads, synced together, and read back after a crash.
//!
//! [`Wal::append`] frames a record into memory, [`Wal::commit`] returns once it is as durable as the [`SyncPolicy`] asks.
//! The first thread that needs a sync does it for all records appended so far while the others wait (group commit);
//! no lock is held while the device works. [`read_segment`] reads back.
//!
//! When a write or a sync fails, nobody knows which bytes since the last good sync are on the device. The log
//! then keeps these records in memory and refuses new ones, with the reason, until [`Wal::try_recover`] has written
//! them to a fresh segment. Nothing acknowledged depends on the failed segment's tail.
//!
//! Invariant: a record is acknowledged only when it and all records before it are synced (policy `Always`) or handed to
//! the system (other policies).
#![doc = include_str!("../../docs/format/wal.md")]

mod format;
mod reader;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

pub use format::{MAX_RECORD_LEN, SegmentId};
pub use reader::{Record, Segment, SegmentReport, Skipped, list_segments, read_segment};

use crate::error::{Error, IoContext};
use crate::files::{Files, WriteFile};

/// When a record counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// After it is on the device.
    #[default]
    Always,
    /// After it was handed to the system; the owner calls [`Wal::sync`] at its interval.
    Interval,
    /// After it was handed to the system; only rotation and closing sync.
    Never,
}

/// Settings of a log.
#[derive(Clone, Copy, Debug)]
pub struct WalOptions {
    /// When a record counts as written.
    pub sync: SyncPolicy,
    /// Records kept for recovery while nothing has been synced, in bytes (policies other than `Always`). Beyond it a sync is made.
    pub max_unsynced_bytes: usize,
}

impl Default for WalOptions {
    fn default() -> Self {
        Self { sync: SyncPolicy::Always, max_unsynced_bytes: 32 << 20 }
    }
}

/// End of an appended record in the log since it was opened, in bytes: what [`Wal::commit`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

/// Figures of a log since it was opened.
#[derive(Clone, Debug, Default)]
pub struct WalStats {
    /// Records appended.
    pub records: u64,
    /// Bytes appended, framing included.
    pub bytes: u64,
    /// Successful syncs of a segment.
    pub syncs: u64,
    /// Failed writes and syncs.
    pub failures: u64,
    /// The segment being written.
    pub segment: u64,
    /// Bytes in that segment, waiting ones included.
    pub segment_bytes: u64,
    /// Why records are refused, `None` while the log works.
    pub refusing: Option<String>,
}

/// A write-ahead log in a directory. Shared by reference between threads.
pub struct Wal {
    files: Arc<dyn Files>,
    dir: PathBuf,
    options: WalOptions,
    state: Mutex<State>,
    /// Signalled when a flush ends.
    flushed: Condvar,
}

struct State {
    /// Framed records not yet handed to the system.
    pending: Vec<u8>,
    /// Framed records handed to the system since the last sync: what recovery has to write again.
    unsynced: Vec<u8>,
    /// The last buffer used for flushing, kept for its memory.
    spare: Vec<u8>,
    appended: u64,
    written: u64,
    synced: u64,
    /// The open segment; taken out by the thread that flushes.
    segment: Option<OpenSegment>,
    segment_id: SegmentId,
    segment_bytes: u64,
    flushing: bool,
    refusing: Option<String>,
    closed: bool,
    records: u64,
    syncs: u64,
    failures: u64,
}

struct OpenSegment {
    path: PathBuf,
    file: Box<dyn WriteFile>,
    /// Whether the directory knows the file for certain.
    named: bool,
}

impl Wal {
    /// Opens the log in `dir`, creating the directory, and begins a new segment. Older segments are left for [`list_segments`].
    ///
    /// # Errors
    /// When the directory or the segment cannot be made.
    pub fn open(files: Arc<dyn Files>, dir: PathBuf, options: WalOptions) -> Result<Self, Error> {
        files.create_dir_all(&dir).at("create directory", &dir)?;
        if let Some(parent) = dir.parent() {
            files.sync_dir(parent).at("sync", parent)?;
        }
        let last = list_segments(&*files, &dir)?.last().map_or(0, |segment| segment.id.0);
        let id = SegmentId(last + 1);
        let segment = open_segment(&*files, &dir, id)?;
        let state = State {
            pending: Vec::new(),
            unsynced: Vec::new(),
            spare: Vec::new(),
            appended: 0,
            written: 0,
            synced: 0,
            segment: Some(segment),
            segment_id: id,
            segment_bytes: format::SEGMENT_HEADER_LEN as u64,
            flushing: false,
            refusing: None,
            closed: false,
            records: 0,
            syncs: 0,
            failures: 0,
        };
        Ok(Self { files, dir, options, state: Mutex::new(state), flushed: Condvar::new() })
    }

    /// The directory of the segments.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Adds a record in memory; [`Wal::commit`] makes it durable. Records keep the order of these calls.
    ///
    /// # Errors
    /// [`Error::Refusing`] after a failure, [`Error::RecordTooLong`], [`Error::Closed`].
    pub fn append(&self, kind: u8, payload: &[u8]) -> Result<Position, Error> {
        if payload.len() > MAX_RECORD_LEN {
            return Err(Error::RecordTooLong { len: payload.len(), limit: MAX_RECORD_LEN });
        }
        let mut state = self.state.lock();
        state.check()?;
        let before = state.pending.len();
        format::frame(&mut state.pending, kind, payload);
        let added = (state.pending.len() - before) as u64;
        state.appended += added;
        state.segment_bytes += added;
        state.records += 1;
        Ok(Position(state.appended))
    }

    /// Returns once the record at `position` and all before it are as durable as the policy asks.
    ///
    /// # Errors
    /// The failure of the write or sync that this record needed. The record may then reappear after recovery or a restart.
    pub fn commit(&self, position: Position) -> Result<(), Error> {
        match self.options.sync {
            SyncPolicy::Always => self.flush_until(position.0, true),
            SyncPolicy::Interval | SyncPolicy::Never => self.flush_until(position.0, false),
        }
    }

    /// Returns once everything appended before this call is on the device, whatever the policy.
    ///
    /// # Errors
    /// As [`Wal::commit`].
    pub fn sync(&self) -> Result<(), Error> {
        let appended = self.state.lock().appended;
        self.flush_until(appended, true)
    }

    /// Syncs the current segment and begins a new one; returns the new one's number. Records appended before this call are in
    /// older segments, records appended after it returns are in the new one or a later one.
    ///
    /// # Errors
    /// As [`Wal::commit`]; the log then refuses records until it has recovered, into a new segment.
    pub fn rotate(&self) -> Result<SegmentId, Error> {
        self.sync()?;
        let mut state = self.wait_idle();
        state.check()?;
        state.flushing = true;
        let next = SegmentId(state.segment_id.0 + 1);
        // What was appended since the sync above still belongs to the old segment: write it there first.
        let mut batch = std::mem::take(&mut state.pending);
        let old = state.segment.take();
        let covers = state.appended;
        drop(state);
        let result = match old {
            Some(mut old) => {
                self.write_out(&mut old, &batch, true).and_then(|()| open_segment(&*self.files, &self.dir, next))
            }
            None => open_segment(&*self.files, &self.dir, next),
        };
        let mut state = self.state.lock();
        state.flushing = false;
        let outcome = match result {
            Ok(segment) => {
                state.written = covers;
                state.synced = covers;
                state.unsynced.clear();
                state.segment_bytes = format::SEGMENT_HEADER_LEN as u64 + state.pending.len() as u64;
                state.segment = Some(segment);
                state.segment_id = next;
                state.syncs += 1;
                batch.clear();
                state.spare = batch;
                Ok(next)
            }
            Err(error) => {
                state.unsynced.append(&mut batch);
                state.fail(&error);
                Err(error)
            }
        };
        drop(state);
        self.flushed.notify_all();
        outcome
    }

    /// Deletes segments older than `keep`, oldest first; returns how many. The segment being written always stays.
    ///
    /// # Errors
    /// The device's; the rest stays for the next call.
    pub fn remove_before(&self, keep: SegmentId) -> Result<usize, Error> {
        let current = self.state.lock().segment_id;
        let mut removed = 0;
        for segment in list_segments(&*self.files, &self.dir)? {
            if segment.id >= keep || segment.id >= current {
                break;
            }
            self.files.remove_file(&segment.path).at("remove", &segment.path)?;
            removed += 1;
        }
        if removed > 0 {
            self.files.sync_dir(&self.dir).at("sync", &self.dir)?;
        }
        Ok(removed)
    }

    /// After a failure: begins a new segment with the records whose fate is unknown. Returns whether the log takes records now.
    /// Cheap when nothing failed; the owner calls it now and then (every second, say).
    pub fn try_recover(&self) -> bool {
        let mut state = self.wait_idle();
        if state.closed {
            return false;
        }
        if state.refusing.is_none() {
            return true;
        }
        state.flushing = true;
        let mut batch = std::mem::take(&mut state.unsynced);
        batch.append(&mut state.pending);
        let covers = state.appended;
        let next = SegmentId(state.segment_id.0 + 1);
        drop(state);
        let result = open_segment(&*self.files, &self.dir, next).and_then(|mut segment| {
            self.write_out(&mut segment, &batch, true)?;
            Ok(segment)
        });
        let mut state = self.state.lock();
        state.flushing = false;
        let recovered = match result {
            Ok(segment) => {
                state.written = covers;
                state.synced = covers;
                state.segment_bytes = (format::SEGMENT_HEADER_LEN + batch.len()) as u64;
                state.segment = Some(segment);
                state.segment_id = next;
                state.refusing = None;
                state.syncs += 1;
                true
            }
            Err(error) => {
                // A half-made segment of this number may exist: leave it, take the next number.
                if self.files.exists(&next.path(&self.dir)) {
                    state.segment_id = next;
                }
                state.unsynced = batch;
                state.fail(&error);
                false
            }
        };
        drop(state);
        self.flushed.notify_all();
        recovered
    }

    /// Syncs and closes the log; later appends are refused.
    ///
    /// # Errors
    /// As [`Wal::commit`].
    pub fn close(&self) -> Result<(), Error> {
        let result = self.sync();
        let mut state = self.wait_idle();
        state.closed = true;
        state.segment = None;
        drop(state);
        self.flushed.notify_all();
        match result {
            Err(Error::Closed) => Ok(()),
            other => other,
        }
    }

    /// Figures at this moment.
    pub fn stats(&self) -> WalStats {
        let state = self.state.lock();
        WalStats {
            records: state.records,
            bytes: state.appended,
            syncs: state.syncs,
            failures: state.failures,
            segment: state.segment_id.0,
            segment_bytes: state.segment_bytes,
            refusing: state.refusing.clone(),
        }
    }

    fn wait_idle(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        while state.flushing {
            self.flushed.wait(&mut state);
        }
        state
    }

    fn flush_until(&self, target: u64, sync: bool) -> Result<(), Error> {
        let mut state = self.state.lock();
        loop {
            let reached = if sync { state.synced } else { state.written };
            if reached >= target {
                return Ok(());
            }
            state.check()?;
            if state.flushing {
                self.flushed.wait(&mut state);
                continue;
            }
            state.flushing = true;
            let mut batch = std::mem::take(&mut state.pending);
            state.pending = std::mem::take(&mut state.spare);
            let covers = state.appended;
            let Some(mut segment) = state.segment.take() else {
                state.flushing = false;
                return Err(Error::Closed);
            };
            let sync_now = sync || state.unsynced.len() + batch.len() > self.options.max_unsynced_bytes;
            drop(state);
            let result = self.write_out(&mut segment, &batch, sync_now);
            state = self.state.lock();
            state.flushing = false;
            match result {
                Ok(()) => {
                    state.written = covers;
                    if sync_now {
                        state.synced = covers;
                        state.syncs += 1;
                        state.unsynced.clear();
                    } else {
                        state.unsynced.extend_from_slice(&batch);
                    }
                    batch.clear();
                    state.spare = batch;
                    state.segment = Some(segment);
                    self.flushed.notify_all();
                }
                Err(error) => {
                    state.unsynced.append(&mut batch);
                    state.fail(&error);
                    self.flushed.notify_all();
                    return Err(error);
                }
            }
        }
    }

    fn write_out(&self, segment: &mut OpenSegment, batch: &[u8], sync: bool) -> Result<(), Error> {
        if !batch.is_empty() {
            segment.file.append(batch).at("write", &segment.path)?;
        }
        if sync {
            segment.file.sync().at("sync", &segment.path)?;
            if !segment.named {
                self.files.sync_dir(&self.dir).at("sync", &self.dir)?;
                segment.named = true;
            }
        }
        Ok(())
    }
}

impl State {
    fn check(&self) -> Result<(), Error> {
        match &self.refusing {
            _ if self.closed => Err(Error::Closed),
            Some(reason) => Err(Error::Refusing { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    fn fail(&mut self, error: &Error) {
        self.failures += 1;
        self.refusing = Some(error.to_string());
        self.segment = None;
    }
}

fn open_segment(files: &dyn Files, dir: &Path, id: SegmentId) -> Result<OpenSegment, Error> {
    let path = id.path(dir);
    let mut file = files.create(&path).at("create", &path)?;
    file.append(&format::segment_header(id)).at("write", &path)?;
    Ok(OpenSegment { path, file, named: false })
}

impl std::fmt::Debug for Wal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wal").field("dir", &self.dir).field("stats", &self.stats()).finish_non_exhaustive()
    }
}
