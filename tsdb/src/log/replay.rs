//! Reads the log back into the head: segments one after the other, shards side by side.
//!
//! One thread reads records and hands each section to the worker of its shard; sections of one shard keep their order, and
//! nothing else has an order that matters. Queues are short, so memory stays bounded. Reads are answered meanwhile.
//!
//! Damage is contained: a record that is gone costs its samples and those that were written as differences to them, up to the next
//! values in full; a section's checksum tells which those are. All of it is reported with segment and offset.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use disk::Files;
use disk::wal::{Segment, read_segment};
use parking_lot::Mutex;

use super::extras::{self, EXTRAS, Extra};
use super::section::{Followers, Logged, Section, SectionHead};
use super::{BATCH, BATCH_ZSTD, DELETIONS, MAX_CONTENT_LEN};
use crate::codec::bytes::{Cursor, Damaged, Decoded};
use crate::error::Error;
use crate::head::{Head, SHARDS, SeriesRef};
use crate::tombstones::Deletion;

/// Sections waiting for one worker.
const QUEUE: usize = 32;

/// Reports of damage kept; more are only counted.
const MAX_REPORTS: usize = 100;

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// What was found, and what it costs.
    pub what: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}: {}", self.path.display(), self.offset, self.what)
    }
}

/// How far reading has come; shared with those who want to know.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) done: AtomicUsize,
    pub(crate) total: AtomicUsize,
    /// Set to give up early.
    pub(crate) stop: AtomicBool,
}

/// What reading the log came to.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) records: u64,
    pub(crate) samples: u64,
    pub(crate) damage: Vec<Damage>,
    pub(crate) damage_count: u64,
    /// Newest sample by base, and whether there are late ones.
    pub(crate) used: BTreeMap<u64, (i64, bool)>,
    /// Exemplars and metadata, in order.
    pub(crate) extras: Vec<Extra>,
}

impl Replayed {
    fn report(&mut self, damage: Damage) {
        self.damage_count += 1;
        if self.damage.len() < MAX_REPORTS {
            self.damage.push(damage);
        }
    }

    fn note_use(&mut self, base: u64, max_ms: i64, late: bool) {
        let entry = self.used.entry(base).or_insert((max_ms, late));
        *entry = (entry.0.max(max_ms), entry.1 || late);
    }

    fn join(&mut self, other: Self) {
        self.samples += other.samples;
        self.damage_count += other.damage_count;
        let room = MAX_REPORTS.saturating_sub(self.damage.len());
        self.damage.extend(other.damage.into_iter().take(room));
        for (base, (max_ms, late)) in other.used {
            self.note_use(base, max_ms, late);
        }
    }
}

/// What a worker does next.
enum Job {
    /// A section of one of its shards.
    Section(Box<SectionJob>),
    /// Dropped when everything before is done.
    Done(Sender<()>),
}

/// A section on its way to its worker.
struct SectionJob {
    session: u64,
    shard: u32,
    bytes: Vec<u8>,
    segment: usize,
    offset: u64,
}

/// Reads segments into the head with `workers` threads beside the caller's.
///
/// # Errors
/// When a segment cannot be read, or reading was stopped ([`Error::Closed`]).
pub(crate) fn replay(
    files: &dyn Files,
    segments: &[Segment],
    head: &Head,
    workers: usize,
    progress: &Progress,
) -> Result<Replayed, Error> {
    progress.total.store(segments.len(), Ordering::Relaxed);
    let workers = workers.clamp(1, SHARDS);
    let collected = Mutex::new(Replayed::default());
    let mut report = Replayed::default();
    let outcome: Result<(), Error> = std::thread::scope(|scope| {
        let mut queues: Vec<SyncSender<Job>> = Vec::new();
        for _ in 0..workers {
            let (sender, receiver) = sync_channel(QUEUE);
            queues.push(sender);
            let collected = &collected;
            scope.spawn(move || {
                let result = work(receiver, segments, head);
                collected.lock().join(result);
            });
        }
        let mut dispatcher = Dispatcher { queues, head, session: 0, deletions: 0 };
        for (number, segment) in segments.iter().enumerate() {
            if progress.stop.load(Ordering::Relaxed) {
                return Err(Error::Closed);
            }
            let mut broken = Vec::new();
            let extras = &mut report.extras;
            let read = read_segment(files, segment, &mut |record| {
                let sent = dispatcher.dispatch(record.kind, record.payload, (number, record.offset), extras);
                if let Err(Damaged(what)) = sent {
                    broken.push((record.offset, what));
                }
            })?;
            report.records += read.records;
            for (offset, what) in broken {
                report.report(Damage {
                    path: segment.path.clone(),
                    offset,
                    what: format!("a record is refused: {what}"),
                });
            }
            for skipped in read.damage {
                let what = format!("{} bytes are no record ({})", skipped.len, skipped.what);
                report.report(Damage { path: segment.path.clone(), offset: skipped.offset, what });
            }
            progress.done.store(number + 1, Ordering::Relaxed);
        }
        Ok(())
    });
    outcome?;
    report.join(collected.into_inner());
    Ok(report)
}

/// Hands records to the workers.
struct Dispatcher<'a> {
    queues: Vec<SyncSender<Job>>,
    head: &'a Head,
    /// Run of the store that wrote the last record.
    session: u64,
    /// Number of the last deletions of that run.
    deletions: u64,
}

impl Dispatcher<'_> {
    fn dispatch(&mut self, kind: u8, payload: &[u8], place: (usize, u64), extras: &mut Vec<Extra>) -> Decoded<()> {
        match kind {
            BATCH => self.dispatch_batch(payload, place, extras),
            BATCH_ZSTD => {
                let mut cursor = Cursor::new(payload);
                let len = cursor.length(MAX_CONTENT_LEN, "a record is too long when unpacked")?;
                let content = zstd::bulk::decompress(cursor.rest(), len);
                match content {
                    Ok(content) if content.len() == len => self.dispatch_batch(&content, place, extras),
                    _ => Err(Damaged("a record cannot be unpacked")),
                }
            }
            DELETIONS => self.delete(payload),
            _ => Err(Damaged("its kind does not exist")),
        }
    }

    fn dispatch_batch(
        &mut self,
        content: &[u8],
        (segment, offset): (usize, u64),
        extras: &mut Vec<Extra>,
    ) -> Decoded<()> {
        let mut cursor = Cursor::new(content);
        let session = cursor.varint()?;
        self.begin_session(session);
        while !cursor.is_empty() {
            let shard = cursor.varint32("a shard's number is out of range")?;
            let bytes = cursor.prefixed()?;
            if shard == EXTRAS {
                extras.extend(extras::read(bytes)?);
                continue;
            }
            let bytes = bytes.to_vec();
            if let Some(queue) = self.queues.get(shard as usize % self.queues.len().max(1)) {
                // A worker that is gone has panicked, and the scope will say so.
                let _ = queue.send(Job::Section(Box::new(SectionJob { session, shard, bytes, segment, offset })));
            }
        }
        Ok(())
    }

    /// In another run of the store a series may be in another shard: what was written before has to be in memory first.
    fn begin_session(&mut self, session: u64) {
        if session != self.session {
            self.wait();
            (self.session, self.deletions) = (session, 0);
        }
    }

    /// Returns when the workers have done what they were given.
    fn wait(&self) {
        let (sender, receiver) = channel();
        for queue in &self.queues {
            let _ = queue.send(Job::Done(sender.clone()));
        }
        drop(sender);
        // Ends when all have dropped theirs.
        while receiver.recv().is_ok() {}
    }

    fn delete(&mut self, payload: &[u8]) -> Decoded<()> {
        let mut cursor = Cursor::new(payload);
        let (session, number) = (cursor.varint()?, cursor.varint()?);
        let mut deletions = Vec::new();
        while !cursor.is_empty() {
            deletions.push(Deletion::read(&mut cursor)?);
        }
        self.begin_session(session);
        // Recovery of a failed device writes records again.
        if number <= self.deletions {
            return Ok(());
        }
        self.deletions = number;
        self.wait();
        self.head.delete_logged(&deletions)
    }
}

/// Where the reading of one shard stands.
#[derive(Default)]
struct ShardState {
    session: u64,
    sequence: u64,
    followers: Followers<SeriesRef>,
}

fn work(jobs: Receiver<Job>, segments: &[Segment], head: &Head) -> Replayed {
    let first = segments.first().map_or(0, |segment| segment.id.0);
    let mut shards: BTreeMap<u32, ShardState> = BTreeMap::new();
    let mut report = Replayed::default();
    let mut content = Logged::default();
    for job in jobs {
        let job = match job {
            Job::Section(job) => job,
            Job::Done(sender) => {
                drop(sender);
                continue;
            }
        };
        let state = shards.entry(job.shard).or_default();
        match read_section(&job, state, head, first, &mut content) {
            Ok(Some(place)) => {
                if let Some(newest) = content.max_ms() {
                    report.note_use(place.base, newest, content.has_late());
                }
                report.samples += content.len() as u64;
                head.restore(&content);
            }
            Ok(None) => {}
            Err(Damaged(what)) => {
                let path = segments.get(job.segment).map(|segment| segment.path.clone()).unwrap_or_default();
                let what = format!("the samples of one shard in this record are refused: {what}");
                report.report(Damage { path, offset: job.offset, what });
            }
        }
    }
    report
}

/// Decodes a section into `content`; `None` when it was seen before, or is not needed any more: `first` is the first segment there is.
fn read_section(
    job: &SectionJob,
    state: &mut ShardState,
    head: &Head,
    first: u64,
    content: &mut Logged<SeriesRef>,
) -> Decoded<Option<SectionHead>> {
    let section = Section::open(&job.bytes)?;
    let place = section.head;
    if state.session != job.session {
        *state = ShardState { session: job.session, ..ShardState::default() };
    }
    // Recovery of a failed device writes records again.
    if place.sequence <= state.sequence {
        return Ok(None);
    }
    state.sequence = place.sequence;
    // A writer that saw the base before while a segment was begun: its record slipped into that segment. The segments of that base were
    // deleted because all that was written under it is in blocks.
    if place.base < first {
        return Ok(None);
    }
    let mut resolve = |labels| head.resolve_logged(&labels, job.shard as usize % SHARDS).ok();
    section.read(&mut state.followers, &mut resolve, content)?;
    Ok(Some(place))
}
