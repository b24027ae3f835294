//! The store's side of the write-ahead log: records, and what happens when the device refuses them.
//!
//! A batch becomes one record with a section for each shard it touches ([`section`]); `disk`'s log frames it, checks it and
//! syncs it together with others. [`replay`] reads records back.
//!
//! **Numbers and chains.** A record names series by number and values by their difference. Both are defined from a *base* on, the
//! segment that was begun last when a shard started over: from then on every series is defined and written in full when it first
//! appears. So a run of segments can be read without those before it, and old segments are simply deleted.
//!
//! **A failing device.** Records are made while the samples go into memory, under the lock of their shard. When the device fails at that
//! moment the record is kept in [`Log`]'s backlog, later batches are refused before they change anything, and recovery writes what the
//! log kept, then the backlog, in order. Nothing that memory holds is ever missing from the log for good.
#![doc = include_str!("../../docs/format/wal.md")]

pub(crate) mod extras;
pub(crate) mod replay;
pub(crate) mod section;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use disk::{Files, Position, SegmentId, SyncPolicy, Wal, WalOptions, WalStats};
use parking_lot::Mutex;

use crate::codec::bytes::put_varint;
use crate::error::Error;
use crate::head::Logged;
use crate::tombstones::Deletion;

/// Kinds of records.
pub(crate) const BATCH: u8 = 1;
/// A batch whose content is compressed with zstd.
pub(crate) const BATCH_ZSTD: u8 = 2;

/// Deletions: those of the samples before them in the log.
pub(crate) const DELETIONS: u8 = 3;

/// Batches below this are not compressed: it would cost more than it saves.
const COMPRESS_FROM: usize = 16 << 10;

/// Longest content of a compressed record that a reader unpacks.
pub(crate) const MAX_CONTENT_LEN: usize = disk::wal::MAX_RECORD_LEN;

/// The write-ahead log of an open store.
pub(crate) struct Log {
    wal: Wal,
    policy: SyncPolicy,
    /// The segment that was begun when the store was opened: names this run in every record.
    session: u64,
    /// Deletions written in this run.
    deletions: AtomicU64,
    /// The segment from which on new definitions count.
    base: AtomicU64,
    /// Set while batches have to be refused.
    refusing: AtomicBool,
    trouble: Mutex<Trouble>,
    /// Bases no longer written to, and what of them has to be kept: newest sample, and the freezing that covers late ones.
    used: Mutex<BTreeMap<u64, (i64, u64)>>,
}

/// What was written under a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BaseUse {
    pub(crate) base: u64,
    /// Newest sample, late ones included.
    pub(crate) max_ms: i64,
    /// Number of the freezing of late samples after which none of this base is only in memory; 0: it has none.
    pub(crate) freezing: u64,
}

/// The last freezing of late samples: those that came before it, and lie before a time, are in blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frozen {
    pub(crate) number: u64,
    pub(crate) before_ms: i64,
}

impl Default for Frozen {
    fn default() -> Self {
        Self { number: 0, before_ms: i64::MIN }
    }
}

#[derive(Default)]
struct Trouble {
    reason: String,
    /// Records that memory holds and the log does not.
    backlog: Vec<(u8, Vec<u8>)>,
}

impl Log {
    /// Opens the log; a new segment begins, with a number beyond `after`. What older segments hold is told by [`Log::leave_base`] when they have been read.
    pub(crate) fn open(files: Arc<dyn Files>, dir: PathBuf, options: WalOptions, after: u64) -> Result<Self, Error> {
        let wal = Wal::open(files, dir, options)?;
        // A segment without records may be gone after a crash, and with it the memory of its number.
        while wal.stats().segment <= after {
            wal.rotate()?;
        }
        let session = wal.stats().segment;
        Ok(Self {
            wal,
            policy: options.sync,
            session,
            deletions: AtomicU64::new(0),
            base: AtomicU64::new(session),
            refusing: AtomicBool::new(false),
            trouble: Mutex::default(),
            used: Mutex::default(),
        })
    }

    /// The segment from which on a shard defines its series.
    pub(crate) fn base(&self) -> u64 {
        self.base.load(Ordering::Acquire)
    }

    /// # Errors
    /// The reason why no batch can be taken now.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !self.refusing.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(Error::Refusing { reason: self.trouble.lock().reason.clone() })
    }

    /// Refuses batches from now on.
    fn refuse(&self, error: &disk::Error) {
        let mut trouble = self.trouble.lock();
        trouble.reason = error.to_string();
        self.refusing.store(true, Ordering::Release);
    }

    /// Begins the content of a batch.
    pub(crate) fn begin(&self, content: &mut Vec<u8>) {
        content.clear();
        put_varint(content, self.session);
    }

    /// Adds a batch to the log. Called with the shards of the batch locked, so that the order of records is that of memory.
    /// `None`: the device failed, the record waits in the backlog.
    pub(crate) fn append(&self, content: &[u8], packed: &mut Vec<u8>) -> Option<Position> {
        let (kind, payload) = if content.len() >= COMPRESS_FROM && pack(content, packed) {
            (BATCH_ZSTD, packed.as_slice())
        } else {
            (BATCH, content)
        };
        self.append_record(kind, payload)
    }

    /// As [`Log::append`], for deletions.
    pub(crate) fn append_deletions(&self, deletions: &[Deletion]) -> Option<Position> {
        let mut payload = Vec::new();
        put_varint(&mut payload, self.session);
        put_varint(&mut payload, self.deletions.fetch_add(1, Ordering::Relaxed) + 1);
        deletions.iter().for_each(|deletion| deletion.put(&mut payload));
        self.append_record(DELETIONS, &payload)
    }

    fn append_record(&self, kind: u8, payload: &[u8]) -> Option<Position> {
        if self.refusing.load(Ordering::Acquire) {
            let mut trouble = self.trouble.lock();
            // Recovery may have ended in between.
            if self.refusing.load(Ordering::Acquire) {
                trouble.backlog.push((kind, payload.to_vec()));
                return None;
            }
        }
        match self.wal.append(kind, payload) {
            Ok(position) => Some(position),
            Err(error) => {
                // In one step with the backlog: recovery must not come in between.
                let mut trouble = self.trouble.lock();
                trouble.reason = error.to_string();
                trouble.backlog.push((kind, payload.to_vec()));
                self.refusing.store(true, Ordering::Release);
                None
            }
        }
    }

    /// Returns once a batch, and all before it, are as durable as the policy asks. A batch of which nothing had to be written still
    /// waits: what it repeats may have been written by a batch whose sync failed.
    pub(crate) fn commit(&self, logged: Logged) -> Result<(), Error> {
        match logged {
            Logged::At(position) => self.wal.commit(position).map_err(|error| {
                self.refuse(&error);
                Error::from(error)
            }),
            Logged::Nothing if self.policy == SyncPolicy::Always => self.sync(),
            // Kept: where recovery came first, it has synced the record.
            Logged::Nothing | Logged::Kept => self.check(),
        }
    }

    /// Returns once all records so far are on the device.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.check()?;
        self.wal.sync().map_err(|error| {
            self.refuse(&error);
            Error::from(error)
        })
    }

    /// Tries to bring a failed log back; returns whether it takes records. Cheap when nothing failed.
    pub(crate) fn recover(&self) -> bool {
        if !self.refusing.load(Ordering::Acquire) {
            return true;
        }
        if !self.wal.try_recover() {
            return false;
        }
        let mut trouble = self.trouble.lock();
        while let Some((kind, payload)) = trouble.backlog.first() {
            if let Err(error) = self.wal.append(*kind, payload) {
                trouble.reason = error.to_string();
                return false;
            }
            trouble.backlog.remove(0);
        }
        if let Err(error) = self.wal.sync() {
            trouble.reason = error.to_string();
            return false;
        }
        self.refusing.store(false, Ordering::Release);
        true
    }

    /// Begins a new segment, and with it a new base that shards take up one by one.
    pub(crate) fn rotate(&self) -> Result<(), Error> {
        self.check()?;
        match self.wal.rotate() {
            Ok(segment) => {
                self.base.store(segment.0, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                self.refuse(&error);
                Err(error.into())
            }
        }
    }

    /// Begins a segment and not yet its base, as a writer sees it that comes in between.
    #[cfg(test)]
    pub(crate) fn begin_segment_only(&self) {
        self.wal.rotate().expect("a segment");
    }

    /// Notes that a shard (or a run of the store before) left a base.
    pub(crate) fn leave_base(&self, left: BaseUse) {
        let mut used = self.used.lock();
        let (max_ms, freezing) = used.entry(left.base).or_insert((i64::MIN, 0));
        *max_ms = (*max_ms).max(left.max_ms);
        *freezing = (*freezing).max(left.freezing);
    }

    /// The first segment that is needed: those before it hold nothing at or after `min_ms` and no late samples but those that a freezing
    /// covers, given the least base that shards still write under.
    pub(crate) fn first_needed(&self, min_ms: i64, frozen: Frozen, least_open_base: u64) -> u64 {
        let mut used = self.used.lock();
        let needed = used.iter().find(|(_, (max_ms, freezing))| {
            // A freezing leaves what lies after its time in memory.
            let late = *freezing > frozen.number || *freezing > 0 && *max_ms >= frozen.before_ms;
            *max_ms >= min_ms || late
        });
        let keep = needed.map_or(least_open_base, |(&base, _)| base.min(least_open_base));
        used.retain(|&base, _| base >= keep);
        keep
    }

    /// Deletes the segments before one.
    pub(crate) fn remove_before(&self, keep: u64) -> Result<usize, Error> {
        Ok(self.wal.remove_before(SegmentId(keep))?)
    }

    pub(crate) fn stats(&self) -> WalStats {
        self.wal.stats()
    }

    pub(crate) fn close(&self) -> Result<(), Error> {
        Ok(self.wal.close()?)
    }
}

/// Compresses `content` into `packed`, preceded by its length; false where that gains nothing.
fn pack(content: &[u8], packed: &mut Vec<u8>) -> bool {
    packed.clear();
    put_varint(packed, content.len() as u64);
    let head = packed.len();
    packed.resize(head + zstd::zstd_safe::compress_bound(content.len()), 0);
    match zstd::bulk::compress_to_buffer(content, &mut packed[head..], 1) {
        Ok(len) if len < content.len() / 8 * 7 => {
            packed.truncate(head + len);
            true
        }
        _ => false,
    }
}
