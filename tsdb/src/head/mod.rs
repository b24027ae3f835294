//! The head: what was written lately, in memory.
//!
//! [`Head::commit`] takes a batch: it sorts the samples by [`shard`], locks those shards, lets each take its samples and write them to
//! its section, hands the finished record to the log, unlocks, and makes new series visible in the label index.
//! [`SeriesTable`] finds series by label set, [`Head::select`] by matchers.
//!
//! Locks are taken in the order stripe of the table, shards ascending, index. The log is waited for with none of them held.
//!
//! Invariants: records of a shard stand in the log in the order in which the shard took them; what is in memory is in the log or in its
//! backlog; a series is in the index from its first sample until it is removed.

mod batch;
pub(crate) mod rare;
mod saved;
pub(crate) mod series;
mod shard;
mod slab;
mod table;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use hashbrown::HashMap;
use model::index::{MemoryIndex, select};
use model::{Labels, Matcher};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use roaring::RoaringBitmap;
use smallvec::SmallVec;

pub use self::batch::Refusal;
use self::batch::group_by_shard;
pub(crate) use self::batch::{CommitBuffers, Counters, Logged, NewSeriesRow, Outcome, Pending, PendingHistogram};
pub(crate) use self::series::ReadRange;
use self::series::{Bounds, Offer, Series};
pub use self::series::{MAX_TIMESTAMP_MS, Reason};
use self::shard::Shard;
use self::table::SeriesTable;
use crate::codec::bytes::{Damaged, Decoded, put_prefixed, put_varint};
use crate::error::Error;
use crate::log::section::Logged as LoggedSection;
use crate::log::{Log, extras};
use crate::samples::{Samples, Sink};
use crate::tombstones::Deletion;

/// Number of shards, a power of two.
pub(crate) const SHARDS: usize = 16;
const PLACE_BITS: u32 = 28;

/// A series in the head: shard and place. Used as id in the label index; used again after the series is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SeriesId(u32);

impl SeriesId {
    fn new(shard: u32, place: u32) -> Self {
        Self(shard << PLACE_BITS | place)
    }

    pub(crate) fn from_index(id: u32) -> Self {
        Self(id)
    }

    pub(crate) fn to_index(self) -> u32 {
        self.0
    }

    #[inline]
    fn shard(self) -> usize {
        (self.0 >> PLACE_BITS) as usize
    }

    #[inline]
    fn place(self) -> u32 {
        self.0 & ((1 << PLACE_BITS) - 1)
    }
}

/// A series of the open store, as [`crate::Appender::resolve`] gave it. Good until the series has been without samples for a
/// while; a sample for a reference that is no longer good is refused with [`Reason::UnknownSeries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesRef {
    pub(crate) id: SeriesId,
    pub(crate) generation: u32,
}

/// How the head decides about samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadOptions {
    /// How far a sample may be behind the newest of all and still be in order.
    pub(crate) slack_ms: i64,
    /// Window for out-of-order samples.
    pub(crate) window_ms: i64,
    /// Most series.
    pub(crate) max_series: u64,
}

pub(crate) struct Head {
    shards: Box<[RwLock<Shard>]>,
    table: SeriesTable,
    index: RwLock<MemoryIndex>,
    options: HeadOptions,
    /// Everything before is in blocks; samples there are no longer in order.
    cut_ms: AtomicI64,
    min_ms: AtomicI64,
    max_ms: AtomicI64,
    series: AtomicU64,
    /// Late samples taken since they were written the last time.
    late: AtomicU64,
    /// How often late samples were frozen.
    freezings: AtomicU64,
    /// Counts removals from the index: tells a selection that a place may hold another series by now.
    removals: AtomicU64,
    /// Label sets of series removed lately: a batch may still name them.
    departed: Mutex<HashMap<SeriesRef, Labels, foldhash::fast::RandomState>>,
    /// Chooses the shard of new series.
    next_shard: AtomicU64,
    pub(crate) counters: Counters,
}

impl Head {
    /// An empty head that takes what is at or after `cut_ms`.
    pub(crate) fn new(options: HeadOptions, cut_ms: i64) -> Self {
        Self {
            shards: (0..SHARDS as u32).map(|number| RwLock::new(Shard::new(number))).collect(),
            table: SeriesTable::new(),
            index: RwLock::new(MemoryIndex::new()),
            options,
            cut_ms: AtomicI64::new(cut_ms),
            min_ms: AtomicI64::new(i64::MAX),
            max_ms: AtomicI64::new(i64::MIN),
            series: AtomicU64::new(0),
            late: AtomicU64::new(0),
            freezings: AtomicU64::new(0),
            removals: AtomicU64::new(0),
            departed: Mutex::default(),
            next_shard: AtomicU64::new(0),
            counters: Counters::default(),
        }
    }

    fn shard(&self, number: usize) -> &RwLock<Shard> {
        &self.shards[number % SHARDS]
    }

    /// Newest timestamp taken, `i64::MIN` before the first.
    pub(crate) fn max_ms(&self) -> i64 {
        self.max_ms.load(Ordering::Acquire)
    }

    /// Oldest timestamp in memory (or older), `i64::MAX` when there is none.
    pub(crate) fn min_ms(&self) -> i64 {
        self.min_ms.load(Ordering::Acquire)
    }

    pub(crate) fn cut_ms(&self) -> i64 {
        self.cut_ms.load(Ordering::Acquire)
    }

    /// Number of series.
    pub(crate) fn series_count(&self) -> u64 {
        self.series.load(Ordering::Relaxed)
    }

    fn bounds(&self) -> Bounds {
        let max_ms = self.max_ms();
        Bounds {
            min_valid_ms: self.cut_ms().max(max_ms.saturating_sub(self.options.slack_ms)),
            max_ms,
            window_ms: self.options.window_ms,
        }
    }

    /// The series of a label set, made if there is none. `row` numbers the new series of one batch: it keeps neighbours together.
    pub(crate) fn resolve(&self, labels: &Labels, row: &mut NewSeriesRow) -> Result<SeriesRef, Error> {
        self.table.find_or_make(labels, |labels| {
            if self.series.load(Ordering::Relaxed) >= self.options.max_series {
                return Err(Error::Limit {
                    what: "too many series in memory".to_owned(),
                    limit: self.options.max_series,
                });
            }
            let number = row.shard(&self.next_shard);
            let series = self.make_series(number, labels)?;
            self.counters.created.fetch_add(1, Ordering::Relaxed);
            Ok(series)
        })
    }

    fn make_series(&self, shard: usize, labels: &Labels) -> Result<SeriesRef, Error> {
        let full =
            || Error::Limit { what: "too many series in one shard".to_owned(), limit: u64::from(slab::MAX_PLACES) };
        let (place, generation) = self.shard(shard).write().slab.insert(labels.clone()).ok_or_else(full)?;
        self.series.fetch_add(1, Ordering::Relaxed);
        Ok(SeriesRef { id: SeriesId::new((shard % SHARDS) as u32, place), generation })
    }

    /// As [`Head::resolve`], into a given shard and without a limit: when the log is read.
    pub(crate) fn resolve_logged(&self, labels: &Labels, shard: usize) -> Result<SeriesRef, Error> {
        self.table.find_or_make(labels, |labels| self.make_series(shard, labels))
    }

    /// The series of a label set, if there is one.
    pub(crate) fn find(&self, labels: &Labels) -> Option<SeriesRef> {
        self.table.find(labels)
    }

    /// Takes a batch into memory and hands it to the log. The caller then waits for what is returned.
    pub(crate) fn commit(&self, buffers: &mut CommitBuffers, log: &Log) -> (Outcome, Logged) {
        let mut outcome = Outcome::default();
        let mut logged = self.take(buffers, log, &mut outcome);
        if !outcome.unknown.is_empty() || !outcome.unknown_histograms.is_empty() {
            self.find_departed(buffers, &mut outcome);
            let again = self.take(buffers, log, &mut outcome);
            if again != Logged::Nothing {
                logged = again;
            }
            let times = outcome.unknown.drain(..).map(|(pending, _)| pending.timestamp_ms);
            let times: Vec<i64> = times.chain(outcome.unknown_histograms.drain(..).map(|p| p.timestamp_ms)).collect();
            times.into_iter().for_each(|time| outcome.refuse(Labels::empty(), time, Reason::UnknownSeries));
        }
        self.counters.note(&outcome);
        (outcome, logged)
    }

    /// Names anew the samples whose series left memory between being resolved and now.
    #[cold]
    fn find_departed(&self, buffers: &mut CommitBuffers, outcome: &mut Outcome) {
        buffers.clear();
        let mut row = NewSeriesRow::default();
        let mut again = |id, generation| {
            let labels = self.departed.lock().get(&SeriesRef { id, generation }).cloned();
            labels.and_then(|labels| self.resolve(&labels, &mut row).ok())
        };
        for (pending, start_ms) in std::mem::take(&mut outcome.unknown) {
            match again(pending.series, pending.generation) {
                Some(SeriesRef { id, generation }) => {
                    if start_ms != 0 {
                        buffers.starts.push((buffers.pending.len() as u32, start_ms));
                    }
                    buffers.pending.push(Pending { series: id, generation, ..pending });
                }
                None => outcome.refuse(Labels::empty(), pending.timestamp_ms, Reason::UnknownSeries),
            }
        }
        for pending in std::mem::take(&mut outcome.unknown_histograms) {
            match again(pending.series, pending.generation) {
                Some(SeriesRef { id, generation }) => {
                    buffers.histograms.push(PendingHistogram { series: id, generation, ..pending });
                }
                None => outcome.refuse(Labels::empty(), pending.timestamp_ms, Reason::UnknownSeries),
            }
        }
    }

    fn take(&self, buffers: &mut CommitBuffers, log: &Log, outcome: &mut Outcome) -> Logged {
        let CommitBuffers { pending, starts, histograms, extras, order, section, content, body, packed, .. } = buffers;
        let groups = group_by_shard(pending, histograms, order);
        let mut shards: SmallVec<[RwLockWriteGuard<'_, Shard>; 4]> = SmallVec::new();
        for group in &groups {
            shards.push(self.shard(group.shard).write());
        }
        // Read with the locks held: a cut raises it and then passes through every shard.
        let bounds = self.bounds();
        let base = log.base();
        log.begin(content);
        let empty = content.len();
        let start_of = |at: usize| match starts.is_empty() {
            true => 0,
            false => starts.binary_search_by_key(&(at as u32), |(at, _)| *at).map_or(0, |found| starts[found].1),
        };
        for (group, shard) in groups.iter().zip(&mut shards) {
            if let Some(left) = shard.begin_base(base) {
                log.leave_base(left);
            }
            if groups.len() == 1 {
                let samples = pending.iter().enumerate().map(|(at, sample)| (sample, start_of(at)));
                shard.apply(samples, &bounds, section, outcome);
            } else {
                let order = &order[group.start..group.end];
                let samples = order.iter().map(|&at| (&pending[at as usize], start_of(at as usize)));
                shard.apply(samples, &bounds, section, outcome);
            }
            if !histograms.is_empty() {
                let of_shard = histograms.iter().filter(|pending| pending.series.shard() == group.shard);
                shard.apply_histograms(of_shard, &bounds, section, outcome);
            }
            if outcome.late > 0 {
                shard.note_late(self.next_freezing(), outcome.late_max_ms);
            }
            if !section.is_empty() {
                body.clear();
                section.finish(shard.next_section(), body);
                put_varint(content, u64::from(shard.number));
                put_prefixed(content, body);
            }
        }
        extras::put_section(content, extras);
        let logged = if content.len() == empty {
            Logged::Nothing
        } else {
            log.append(content, packed).map_or(Logged::Kept, Logged::At)
        };
        self.max_ms.fetch_max(outcome.max_ms, Ordering::AcqRel);
        self.min_ms.fetch_min(outcome.min_ms, Ordering::AcqRel);
        drop(shards);
        self.add_to_index(&mut outcome.new_series);
        self.late.fetch_add(outcome.late, Ordering::Relaxed);
        logged
    }

    fn add_to_index(&self, new_series: &mut Vec<(SeriesId, Labels)>) {
        if !new_series.is_empty() {
            let mut index = self.index.write();
            for (id, labels) in new_series.drain(..) {
                index.insert(id.0, &labels);
            }
        }
    }

    /// Makes what was loaded known.
    fn note_loaded(&self, outcome: &mut Outcome) {
        self.late.fetch_add(outcome.late, Ordering::Relaxed);
        self.min_ms.fetch_min(outcome.min_ms, Ordering::AcqRel);
        self.note_newest(outcome.max_ms);
        self.add_to_index(&mut outcome.new_series);
    }

    /// Notes the newest timestamp that was ever taken.
    pub(crate) fn note_newest(&self, max_ms: i64) {
        self.max_ms.fetch_max(max_ms, Ordering::AcqRel);
    }

    /// Takes what a section of the log holds. Samples before the cut are in blocks already, but for late ones that are only perhaps.
    pub(crate) fn restore(&self, section: &LoggedSection<SeriesRef>) {
        let mut outcome = Outcome::default();
        let cut_ms = self.cut_ms();
        for &(series, from_ms, start_ms) in &section.starts {
            let mut shard = self.shard(series.id.shard()).write();
            if let Some(series) = shard.slab.get_mut(series.id.place(), series.generation) {
                series.rare_mut().starts.set(from_ms, start_ms);
            }
        }
        for group in section.samples.chunk_by(|a, b| a.series.id.shard() == b.series.id.shard()) {
            let Some(first) = group.first() else { continue };
            let mut shard = self.shard(first.series.id.shard()).write();
            for sample in group {
                let id = sample.series.id;
                let Some(series) = shard.slab.get_mut(id.place(), sample.series.generation) else { continue };
                let time = sample.timestamp_ms;
                if sample.late {
                    series.insert_late(time, Offer::Float(sample.value));
                    outcome.min_ms = outcome.min_ms.min(time);
                    outcome.late += 1;
                } else if time < cut_ms || time <= series.last_ms() {
                    continue;
                } else {
                    series.append(time, sample.value);
                    outcome.took(time);
                }
                outcome.show(id.shard() as u32, id.place(), series);
            }
        }
        for sample in &section.histograms {
            let id = sample.series.id;
            let mut shard = self.shard(id.shard()).write();
            let Some(series) = shard.slab.get_mut(id.place(), sample.series.generation) else { continue };
            let time = sample.timestamp_ms;
            if sample.late {
                series.insert_late(time, Offer::Histogram(&sample.histogram));
                outcome.min_ms = outcome.min_ms.min(time);
                outcome.late += 1;
            } else if time < cut_ms || time <= series.last_ms() {
                continue;
            } else {
                series.append_histogram(time, sample.histogram.clone());
                outcome.took(time);
            }
            outcome.show(id.shard() as u32, id.place(), series);
        }
        self.late.fetch_add(outcome.late, Ordering::Relaxed);
        self.max_ms.fetch_max(outcome.max_ms, Ordering::AcqRel);
        self.min_ms.fetch_min(outcome.min_ms, Ordering::AcqRel);
        self.add_to_index(&mut outcome.new_series);
    }

    /// Drops samples, and notes in the log that they are gone. All shards are locked meanwhile: what was appended before is deleted,
    /// what comes after is not.
    pub(crate) fn delete(&self, deletions: &[Deletion], log: &Log) -> (Decoded<()>, Logged) {
        let mut shards: Vec<_> = self.shards.iter().map(RwLock::write).collect();
        let logged = log.append_deletions(deletions).map_or(Logged::Kept, Logged::At);
        (self.delete_from(&mut shards, deletions), logged)
    }

    /// As [`Head::delete`], when the log is read.
    pub(crate) fn delete_logged(&self, deletions: &[Deletion]) -> Decoded<()> {
        let mut shards: Vec<_> = self.shards.iter().map(RwLock::write).collect();
        self.delete_from(&mut shards, deletions)
    }

    fn delete_from(&self, shards: &mut [RwLockWriteGuard<'_, Shard>], deletions: &[Deletion]) -> Decoded<()> {
        let index = self.index.read();
        for Deletion { matchers, from_ms, to_ms } in deletions {
            let ids = select(&*index, matchers).map_err(|_| Damaged("the index of the head is broken"))?;
            for id in ids.iter().map(SeriesId) {
                if let Some(shard) = shards.get_mut(id.shard())
                    && let Some(series) = shard.slab.at_mut(id.place())
                {
                    series.delete(*from_ms, *to_ms)?;
                }
            }
        }
        Ok(())
    }

    /// The series that satisfy all matchers and may have a sample in a range, each as it is at this moment.
    pub(crate) fn select(
        &self,
        matchers: &[Matcher],
        range: &ReadRange,
        mut visit: impl FnMut(HeadSeries, &Labels),
    ) -> Result<(), model::index::IndexError> {
        let (ids, removals) = {
            let index = self.index.read();
            (select(&*index, matchers)?, self.removals.load(Ordering::Acquire))
        };
        let mut shard: Option<(usize, RwLockReadGuard<'_, Shard>)> = None;
        for id in ids {
            let id = SeriesId(id);
            if shard.as_ref().is_none_or(|(number, _)| *number != id.shard()) {
                // Give one lock back before the next is taken.
                drop(shard.take());
                shard = Some((id.shard(), self.shard(id.shard()).read()));
            }
            let Some((_, shard)) = &shard else { continue };
            let Some((generation, series)) = shard.slab.at(id.place()) else { continue };
            let inside = series.overlaps(range);
            let sure = self.removals.load(Ordering::Acquire) == removals;
            if inside && (sure || matchers.iter().all(|matcher| matcher.matches_labels(series.labels()))) {
                visit(
                    HeadSeries { series: SeriesRef { id, generation }, until_ms: series.newest_ms() },
                    series.labels(),
                );
            }
        }
        Ok(())
    }

    /// Ids in the index of the series that satisfy all matchers.
    pub(crate) fn select_ids(&self, matchers: &[Matcher]) -> Result<RoaringBitmap, model::index::IndexError> {
        select(&*self.index.read(), matchers)
    }

    /// Timestamp of the oldest sample at or after `from_ms`, or that of the chunk it is in where that reaches further back.
    pub(crate) fn next_sample_ms(&self, from_ms: i64) -> Option<i64> {
        let mut next = None;
        for shard in &self.shards {
            let shard = shard.read();
            let found = shard.slab.iter().filter_map(|(_, _, series)| series.first_from(from_ms)).min();
            next = match (next, found) {
                (Some(a), Some(b)) => Some(std::cmp::min::<i64>(a, b)),
                (a, b) => a.or(b),
            };
        }
        next.map(|time: i64| time.max(from_ms))
    }

    /// Appends the samples of a series in a range to `out`.
    pub(crate) fn read(&self, series: SeriesRef, range: &ReadRange, out: &mut dyn Sink) -> Decoded<()> {
        self.with_series(series, |series| series.read(range, out)).unwrap_or(Ok(()))
    }

    /// Looks at a series with its shard locked; `None` when it is gone.
    pub(crate) fn with_series<T>(&self, series: SeriesRef, look: impl FnOnce(&Series) -> T) -> Option<T> {
        let shard = self.shard(series.id.shard()).read();
        shard.slab.get(series.id.place(), series.generation).map(look)
    }

    /// The label index as it is now, for questions about labels.
    pub(crate) fn index(&self) -> RwLockReadGuard<'_, MemoryIndex> {
        self.index.read()
    }

    /// Those of some ids whose series may have a sample in a range.
    pub(crate) fn retain_in_range(&self, ids: &RoaringBitmap, range: &ReadRange) -> RoaringBitmap {
        let mut kept = RoaringBitmap::new();
        let mut shard: Option<(usize, RwLockReadGuard<'_, Shard>)> = None;
        for number in ids {
            let id = SeriesId(number);
            if shard.as_ref().is_none_or(|(number, _)| *number != id.shard()) {
                drop(shard.take());
                shard = Some((id.shard(), self.shard(id.shard()).read()));
            }
            let Some((_, shard)) = &shard else { continue };
            let Some((_, series)) = shard.slab.at(id.place()) else { continue };
            if series.overlaps(range) {
                kept.insert(number);
            }
        }
        kept
    }

    /// Refuses samples before `cut_ms` from now on; when it returns, no batch that thought otherwise is under way.
    pub(crate) fn raise_cut(&self, cut_ms: i64) {
        self.cut_ms.fetch_max(cut_ms, Ordering::AcqRel);
        for shard in &self.shards {
            drop(shard.write());
        }
    }

    /// Marks the late samples before a time as being written; returns the beginnings of the ranges of `range_ms` that have some, and
    /// the number of this freezing.
    pub(crate) fn freeze_late(&self, before_ms: i64, range_ms: i64) -> (BTreeSet<i64>, u64) {
        // What comes from here on, frozen or not, is said to need the next freezing: that is never too early.
        let number = self.freezings.fetch_add(1, Ordering::AcqRel) + 1;
        let mut ranges = BTreeSet::new();
        for shard in &self.shards {
            let mut shard = shard.write();
            for (_, _, series) in shard.slab.iter_mut() {
                if series.rare().is_some_and(|rare| !rare.late.is_empty()) {
                    let late = &mut series.rare_mut().late;
                    late.freeze(before_ms);
                    ranges.extend(late.frozen_times().map(|time| time.div_euclid(range_ms) * range_ms));
                }
            }
        }
        (ranges, number)
    }

    /// The freezing that will cover late samples that come now.
    pub(crate) fn next_freezing(&self) -> u64 {
        self.freezings.load(Ordering::Acquire) + 1
    }

    /// The series with frozen late samples, in the order of their label sets.
    pub(crate) fn series_with_frozen(&self) -> Vec<(Labels, SeriesRef)> {
        self.collect_series(|series| series.rare().is_some_and(|rare| rare.late.frozen_times().next().is_some()))
    }

    /// Late samples in memory, about.
    pub(crate) fn late_count(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// The series with samples before `before_ms`, in the order of their label sets.
    pub(crate) fn series_before(&self, before_ms: i64) -> Vec<(Labels, SeriesRef)> {
        self.collect_series(|series| series.first_ms().is_some_and(|first| first < before_ms))
    }

    fn collect_series(&self, wanted: impl Fn(&Series) -> bool) -> Vec<(Labels, SeriesRef)> {
        let mut found = Vec::new();
        for (number, shard) in self.shards.iter().enumerate() {
            let shard = shard.read();
            for (place, generation, series) in shard.slab.iter().filter(|(_, _, series)| wanted(series)) {
                let id = SeriesId::new(number as u32, place);
                found.push((series.labels().clone(), SeriesRef { id, generation }));
            }
        }
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// Puts into `all` what a cut has to write of a series.
    pub(crate) fn read_to_write(
        &self,
        series: SeriesRef,
        from_ms: i64,
        to_ms: i64,
        in_order: bool,
        all: &mut Samples,
    ) -> Decoded<()> {
        all.clear();
        self.with_series(series, |series| series.read_to_write(from_ms, to_ms, in_order, all)).unwrap_or(Ok(()))
    }

    /// Drops samples before `before_ms` and frozen late ones, which are in blocks, and the series that have had none since the call before.
    pub(crate) fn forget(&self, before_ms: i64) -> u64 {
        let mut removed = 0;
        let mut late = 0;
        let mut min_ms = i64::MAX;
        // From here on batches lower it again by themselves; only the caller of this function looks at it.
        self.min_ms.store(i64::MAX, Ordering::Release);
        for (number, lock) in self.shards.iter().enumerate() {
            let mut idle = Vec::new();
            let mut shard = lock.write();
            for (place, generation, series) in shard.slab.iter_mut() {
                series.forget(before_ms, true);
                late += series.rare().map_or(0, |rare| rare.late.count());
                match series.first_ms() {
                    Some(first) => {
                        series.idle = false;
                        min_ms = min_ms.min(first);
                    }
                    // A series made for a batch that is not committed yet is idle too: it gets another round.
                    None if series.idle => idle.push((place, generation, series.labels().clone())),
                    None => series.idle = true,
                }
            }
            drop(shard);
            for (place, generation, labels) in idle {
                removed += u64::from(self.remove_idle(number, place, generation, &labels));
            }
        }
        self.min_ms.fetch_min(min_ms, Ordering::AcqRel);
        self.late.store(late, Ordering::Relaxed);
        self.counters.removed.fetch_add(removed, Ordering::Relaxed);
        removed
    }

    fn remove_idle(&self, number: usize, place: u32, generation: u32, labels: &Labels) -> bool {
        let removed = self.table.remove(labels, || {
            let mut shard = self.shard(number).write();
            let idle = shard.slab.get(place, generation).is_some_and(|series| !series.has_samples());
            if idle {
                // The index first: the place may be given to another series as soon as it is free.
                let mut index = self.index.write();
                index.remove(SeriesId::new(number as u32, place).0, labels);
                self.removals.fetch_add(1, Ordering::AcqRel);
                drop(index);
                let id = SeriesId::new(number as u32, place);
                self.departed.lock().insert(SeriesRef { id, generation }, labels.clone());
                shard.slab.remove(place);
            }
            idle
        });
        if removed {
            self.series.fetch_sub(1, Ordering::Relaxed);
        }
        removed
    }

    /// Gives back what was kept of series removed before the last call; called some time after [`Head::forget`].
    pub(crate) fn forget_departed(&self) {
        *self.departed.lock() = HashMap::default();
    }

    /// How often series were removed: a reference seen alive stays good while this does not change.
    pub(crate) fn removals(&self) -> u64 {
        self.removals.load(Ordering::Acquire)
    }

    /// Whether a reference is still good.
    pub(crate) fn is_alive(&self, series: SeriesRef) -> bool {
        self.with_series(series, |_| ()).is_some()
    }

    /// Lets every shard take up the log's present base; returns the least base still in use.
    pub(crate) fn begin_base(&self, log: &Log) -> u64 {
        let mut least = log.base();
        for shard in &self.shards {
            let mut shard = shard.write();
            let base = log.base();
            if let Some(left) = shard.begin_base(base) {
                log.leave_base(left);
            }
            least = least.min(base);
        }
        least
    }

    /// Series, chunks and samples, and the bytes they take.
    pub(crate) fn usage(&self) -> HeadUsage {
        let mut usage = HeadUsage::default();
        for shard in &self.shards {
            let shard = shard.read();
            usage.series += shard.slab.len() as u64;
            usage.series_bytes += shard.slab.page_bytes() as u64;
            for (_, _, series) in shard.slab.iter() {
                let (chunks, samples) = series.counts();
                let (sample_bytes, label_bytes) = series.heap_bytes();
                usage.chunks += chunks as u64;
                usage.samples += samples;
                usage.sample_bytes += sample_bytes as u64;
                usage.label_bytes += label_bytes as u64;
            }
        }
        usage.table_bytes = self.table.heap_bytes() as u64;
        usage.index_bytes = self.index.read().heap_bytes() as u64;
        usage
    }
}

/// A selected series of the head, and its newest sample at that moment: later ones are not read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadSeries {
    pub(crate) series: SeriesRef,
    pub(crate) until_ms: i64,
}

/// What the head holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadUsage {
    /// Series in memory.
    pub series: u64,
    /// Chunks, the open ones included.
    pub chunks: u64,
    /// Samples.
    pub samples: u64,
    /// Bytes of the chunks.
    pub sample_bytes: u64,
    /// Bytes of the label sets.
    pub label_bytes: u64,
    /// Bytes of the places of the series.
    pub series_bytes: u64,
    /// Bytes of the table from label sets to series.
    pub table_bytes: u64,
    /// Bytes of the label index.
    pub index_bytes: u64,
}
