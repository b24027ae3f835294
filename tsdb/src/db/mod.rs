//! The store: joins head, log and blocks, and decides nothing that they could decide.
//!
//! Writing: [`crate::Appender`] → [`Head::commit`] (memory, record) → [`Log::commit`] (device). Reading: [`crate::select`] over a
//! [`View`]. Everything else ([`maintain`]) is done by whoever calls [`Db::maintain`].

mod compact;
mod delete;
mod maintain;
mod open;
mod retention;
mod saved_head;
mod snapshot;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use disk::wal::Segment;
use disk::{Files, Lock, RealFiles};
use model::index::{Cardinality, cardinality, label_names, label_values};
use model::{LabelQuery, Labels, Matcher, SelectHints, Selection, SeriesSource, SourceError};
use parking_lot::{Mutex, RwLock};

pub use self::maintain::Maintenance;
pub use self::retention::RetentionClass;
use crate::appender::{Appender, CommitReport, ExemplarRefusal};
use crate::block::{BlockMeta, PageCache};
use crate::error::Error;
use crate::exemplars::{ExemplarSeries, Exemplars};
use crate::head::{CommitBuffers, Head, HeadUsage, Logged, NewSeriesRow, SeriesRef};
use crate::log::replay::{Damage, Progress};
use crate::log::{Log, extras};
use crate::metadata::{Metadata, MetadataTable};
use crate::options::Options;
use crate::raw::RawKeys;
use crate::select::{DbSelection, collect};
use crate::view::{View, Views};

/// Batches that keep their memory for the next one.
const KEPT_BUFFERS: usize = 16;

/// Reports of damage kept; more are only counted.
const MAX_REPORTS: usize = 100;

/// An open store. Shared by reference between threads; all methods take `&self`.
///
/// The owner calls [`Db::maintain`] about once a second, from one thread, and [`Db::close`] at the end. Dropped without it, nothing
/// that was acknowledged is lost.
pub struct Db {
    files: Arc<dyn Files>,
    dir: PathBuf,
    options: Options,
    head: Head,
    log: Log,
    views: Views,
    cache: Arc<PageCache>,
    exemplars: Mutex<Exemplars>,
    metadata: Mutex<MetadataTable>,
    buffers: Mutex<Vec<CommitBuffers>>,
    raw_keys: Mutex<Vec<Weak<RawKeys>>>,
    maintenance: Mutex<maintain::State>,
    compaction: Mutex<compact::State>,
    /// Held while deletions are noted, and while a block that was made of others takes their place.
    deleting: Mutex<()>,
    rules: RwLock<retention::Rules>,
    /// Blocks made since opening: part of their names.
    blocks_made: AtomicU64,
    /// Segments to be read by [`Db::replay`].
    to_replay: Mutex<Option<Vec<Segment>>>,
    /// Last segment that the saved head stands for, while that file is there.
    saved_segment: Mutex<Option<u64>>,
    progress: Progress,
    replaying: AtomicBool,
    closed: AtomicBool,
    /// Why writes are refused although the log would take them: a full disk, a log that could not be read.
    braked: Mutex<Option<String>>,
    is_braked: AtomicBool,
    damage: Mutex<Vec<Damage>>,
    damage_count: AtomicU64,
    _lock: Box<dyn Lock>,
}

/// Figures of a store at one moment.
#[derive(Clone, Debug, Default)]
pub struct DbStats {
    /// Series in memory.
    pub head_series: u64,
    /// Oldest and newest timestamp of the head in ms, when it holds any.
    pub head_range_ms: Option<(i64, i64)>,
    /// Samples appended since opening.
    pub samples_appended: u64,
    /// Of these, samples that came out of order.
    pub samples_late: u64,
    /// Samples that were there already.
    pub samples_duplicate: u64,
    /// Samples refused as [`crate::Reason::OutOfOrder`].
    pub samples_out_of_order: u64,
    /// Samples refused as [`crate::Reason::OutOfBounds`].
    pub samples_out_of_bounds: u64,
    /// Samples refused as [`crate::Reason::TooOld`].
    pub samples_too_old: u64,
    /// Samples refused as [`crate::Reason::DuplicateTimestamp`].
    pub samples_conflicting: u64,
    /// Series made since opening.
    pub series_created: u64,
    /// Series removed from memory since opening.
    pub series_removed: u64,
    /// Exemplars kept.
    pub exemplars: u64,
    /// Blocks.
    pub blocks: u64,
    /// Bytes of the blocks.
    pub block_bytes: u64,
    /// The write-ahead log.
    pub wal: disk::WalStats,
    /// Why writes are refused now, if they are.
    pub refusing: Option<String>,
    /// Damaged places met so far.
    pub damage: u64,
    /// Segments of the log read and to be read, while it is being read.
    pub replaying: Option<(usize, usize)>,
}

impl Db {
    /// Opens the store in a directory, making it where needed, and reads its log. See [`Db::start`] to serve reads meanwhile.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it open; errors of the device. Damage is no error: see [`Db::damage`].
    pub fn open(dir: impl Into<PathBuf>, options: Options) -> Result<Self, Error> {
        Self::open_with(Arc::new(RealFiles), dir, options)
    }

    /// As [`Db::open`], on a file system of the caller's choice.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub fn open_with(files: Arc<dyn Files>, dir: impl Into<PathBuf>, options: Options) -> Result<Self, Error> {
        let db = Self::start(files, dir.into(), options)?;
        db.replay()?;
        Ok(db)
    }

    /// Begins a batch.
    ///
    /// # Errors
    /// [`Error::Refusing`], [`Error::Replaying`] or [`Error::Closed`] while no writes are taken.
    pub fn appender(&self) -> Result<Appender<'_>, Error> {
        self.check_writable()?;
        let buffers = self.buffers.lock().pop().unwrap_or_default();
        Ok(Appender::new(self, buffers))
    }

    /// A cache for the bytes in which senders write label sets, see [`Appender::resolve_raw`].
    pub fn raw_keys(&self) -> Arc<RawKeys> {
        let keys = Arc::new(RawKeys::new());
        let mut all = self.raw_keys.lock();
        all.retain(|keys| keys.strong_count() > 0);
        all.push(Arc::downgrade(&keys));
        keys
    }

    /// # Errors
    /// Why no write can be taken now.
    pub fn check_writable(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        if self.replaying.load(Ordering::Acquire) {
            let (done, total) = (&self.progress.done, &self.progress.total);
            return Err(Error::Replaying { done: done.load(Ordering::Relaxed), total: total.load(Ordering::Relaxed) });
        }
        if self.is_braked.load(Ordering::Acquire)
            && let Some(reason) = self.braked.lock().clone()
        {
            return Err(Error::Refusing { reason });
        }
        self.log.check()
    }

    pub(crate) fn give_back(&self, buffers: CommitBuffers) {
        let mut kept = self.buffers.lock();
        if kept.len() < KEPT_BUFFERS && buffers.is_small() {
            kept.push(buffers);
        }
    }

    pub(crate) fn resolve(&self, labels: &Labels, row: &mut NewSeriesRow) -> Result<SeriesRef, Error> {
        if let Some(series) = self.head.find(labels) {
            return Ok(series);
        }
        self.check_labels(labels)?;
        self.head.resolve(labels, row)
    }

    fn check_labels(&self, labels: &Labels) -> Result<(), Error> {
        let invalid = |what: String| Err(Error::InvalidLabels { what });
        if labels.is_empty() {
            return invalid("a series needs at least one label".to_owned());
        }
        let mut count = 0;
        for (name, value) in labels {
            count += 1;
            if name.len() > self.options.max_label_name_len {
                return invalid(format!(
                    "label name of {} bytes is longer than {}: {:.64}… of {labels:.200}",
                    name.len(),
                    self.options.max_label_name_len,
                    name
                ));
            }
            if value.len() > self.options.max_label_value_len {
                return invalid(format!(
                    "value of label {name} has {} bytes, more than {}: {value:.64}…",
                    value.len(),
                    self.options.max_label_value_len,
                ));
            }
        }
        if count > self.options.max_labels {
            return invalid(format!("a series with {count} labels, more than {}: {labels}", self.options.max_labels));
        }
        Ok(())
    }

    pub(crate) fn commit(&self, buffers: &mut CommitBuffers) -> Result<CommitReport, Error> {
        if buffers.is_empty() {
            return Ok(CommitReport::default());
        }
        self.check_writable()?;
        let mut report = CommitReport::default();
        self.take_extras(buffers, &mut report);
        let (outcome, logged) = self.head.commit(buffers, &self.log);
        self.log.commit(logged)?;
        report.accepted = outcome.accepted + outcome.duplicates;
        report.refused = outcome.refused;
        Ok(report)
    }

    /// Takes exemplars and metadata, and writes down those that are new.
    fn take_extras(&self, buffers: &mut CommitBuffers, report: &mut CommitReport) {
        let CommitBuffers { exemplars, metadata, extras: out, .. } = buffers;
        for (series, exemplar) in exemplars.drain(..) {
            let Some(labels) = self.head.with_series(series, |series| series.labels().clone()) else { continue };
            match self.exemplars.lock().add(&labels, &exemplar) {
                Ok(new) => {
                    report.exemplars_accepted += 1;
                    if new {
                        extras::put_exemplar(out, &labels, &exemplar);
                    }
                }
                Err(reason) => report.exemplars_refused.push(ExemplarRefusal { labels, exemplar, reason }),
            }
        }
        for (metric, metadata) in metadata.drain(..) {
            if let Some(kept) = self.metadata.lock().set(&metric, metadata) {
                extras::put_metadata(out, &metric, &kept);
            }
        }
    }

    /// Writes what holds for good to the log again: a segment has to hold it before older ones go.
    fn log_basics(&self) -> Result<(), Error> {
        let mut out = Vec::new();
        let cut_ms = self.head.cut_ms();
        if cut_ms != i64::MIN {
            extras::put_cut(&mut out, cut_ms);
        }
        for (metric, metadata) in self.metadata.lock().iter() {
            extras::put_metadata(&mut out, metric, metadata);
        }
        if out.is_empty() {
            return Ok(());
        }
        let (mut content, mut packed) = (Vec::new(), Vec::new());
        self.log.begin(&mut content);
        extras::put_section(&mut content, &out);
        let logged = self.log.append(&content, &mut packed).map_or(Logged::Kept, Logged::At);
        self.log.commit(logged)
    }

    /// What is known of a metric, by its (family) name.
    pub fn metadata(&self, metric: &str) -> Option<Metadata> {
        self.metadata.lock().get(metric).cloned()
    }

    /// What is known of the first `limit` metrics (0: of all), in the order of their names.
    pub fn all_metadata(&self, limit: usize) -> Vec<(String, Metadata)> {
        let limit = if limit == 0 { usize::MAX } else { limit };
        let table = self.metadata.lock();
        table.iter().take(limit).map(|(metric, metadata)| (metric.to_owned(), metadata.clone())).collect()
    }

    /// The exemplars in `[start_ms, end_ms]` of the series that satisfy at least one selector, in the order of the label sets.
    pub fn exemplars(&self, selectors: &[Vec<Matcher>], start_ms: i64, end_ms: i64) -> Vec<ExemplarSeries> {
        self.exemplars.lock().select(selectors, start_ms, end_ms)
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.views.now()
    }

    pub(crate) fn note_damage(&self, error: &Error) {
        let damage = match error {
            Error::Corrupt { path, offset, what } => Damage { path: path.clone(), offset: *offset, what: what.clone() },
            Error::Index { path, source } => Damage { path: path.clone(), offset: 0, what: source.to_string() },
            other => Damage { path: self.dir.clone(), offset: 0, what: other.to_string() },
        };
        self.note(damage);
    }

    fn note(&self, damage: Damage) {
        let mut all = self.damage.lock();
        if all.contains(&damage) {
            return;
        }
        self.damage_count.fetch_add(1, Ordering::Relaxed);
        if all.len() < MAX_REPORTS {
            all.push(damage);
        }
    }

    /// Damaged places met since opening: file, offset, and what it cost. At most the first hundred; [`DbStats::damage`] counts all.
    pub fn damage(&self) -> Vec<Damage> {
        self.damage.lock().clone()
    }

    /// Directory of the store.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the blocks say about themselves, ascending by time range.
    pub fn blocks(&self) -> Vec<BlockMeta> {
        self.view().blocks.iter().map(|block| block.meta().clone()).collect()
    }

    /// Figures at this moment; cheap.
    pub fn stats(&self) -> DbStats {
        let counters = &self.head.counters;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let view = self.view();
        let wal = self.log.stats();
        let (min_ms, max_ms) = (self.head.min_ms().max(view.head_from_ms), self.head.max_ms());
        let replaying = self
            .replaying
            .load(Ordering::Acquire)
            .then(|| (self.progress.done.load(Ordering::Relaxed), self.progress.total.load(Ordering::Relaxed)));
        DbStats {
            head_series: self.head.series_count(),
            head_range_ms: (min_ms <= max_ms).then_some((min_ms, max_ms)),
            samples_appended: get(&counters.appended),
            samples_late: get(&counters.late),
            samples_duplicate: get(&counters.duplicates),
            samples_out_of_order: get(&counters.out_of_order),
            samples_out_of_bounds: get(&counters.out_of_bounds),
            samples_too_old: get(&counters.too_old),
            samples_conflicting: get(&counters.conflicting),
            series_created: get(&counters.created),
            series_removed: get(&counters.removed),
            exemplars: self.exemplars.lock().len() as u64,
            blocks: view.blocks.len() as u64,
            block_bytes: view.blocks.iter().map(|block| block.bytes()).sum(),
            wal,
            refusing: self.check_writable().err().map(|error| error.to_string()),
            damage: get(&self.damage_count),
            replaying,
        }
    }

    /// What the head holds and the bytes it takes; walks over all its series.
    pub fn head_usage(&self) -> HeadUsage {
        self.head.usage()
    }

    /// Where the series in memory come from: the `limit` greatest of each kind.
    ///
    /// # Errors
    /// None at present; the index of the head is in memory.
    pub fn cardinality(&self, limit: usize) -> Result<Cardinality, Error> {
        cardinality(&*self.head.index(), limit).map_err(|source| Error::Index { path: "head".into(), source })
    }
}

impl SeriesSource for Db {
    fn select<'a>(&'a self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn Selection + 'a>, SourceError> {
        Ok(Box::new(DbSelection::new(self, matchers, hints)?))
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        Ok(collect(self, query, &|index, within, limit| label_names(index, within, limit))?)
    }

    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        Ok(collect(self, query, &|index, within, limit| label_values(index, name, within, limit))?)
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("dir", &self.dir).field("series", &self.head.series_count()).finish_non_exhaustive()
    }
}
