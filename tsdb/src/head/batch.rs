//! A batch on its way through the head: what waits for its commit, and what becomes of it.

use std::sync::atomic::{AtomicU64, Ordering};

use disk::Position;
use model::Labels;
use smallvec::SmallVec;

use super::series::{Admission, Reason, Series};
use super::{SHARDS, SeriesId, SeriesRef};
use crate::codec::histogram::NativeHistogram;
use crate::exemplars::Exemplar;
use crate::log::section::SectionWriter;
use crate::metadata::Metadata;

/// A shard takes this many new series of a batch before the next one is chosen.
const SERIES_IN_A_ROW: u32 = 4_096;

/// A sample waiting for its commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(crate) series: SeriesId,
    pub(crate) generation: u32,
    pub(crate) timestamp_ms: i64,
    pub(crate) value: f64,
}

/// A histogram waiting for its commit.
#[derive(Clone, Debug)]
pub(crate) struct PendingHistogram {
    pub(crate) series: SeriesId,
    pub(crate) generation: u32,
    pub(crate) timestamp_ms: i64,
    pub(crate) histogram: NativeHistogram,
    /// Start timestamp, 0 when unknown.
    pub(crate) start_ms: i64,
}

/// A sample that was not taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Its series; empty for [`Reason::UnknownSeries`].
    pub labels: Labels,
    /// Its timestamp in ms.
    pub timestamp_ms: i64,
    /// Why.
    pub reason: Reason,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: series {} at {} ms", self.reason, self.labels, self.timestamp_ms)
    }
}

/// Where a batch is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logged {
    /// Nothing had to be written.
    Nothing,
    /// It ends here.
    At(Position),
    /// The device failed: it waits in memory.
    Kept,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) accepted: u64,
    /// Of those accepted, samples out of order.
    pub(crate) late: u64,
    pub(crate) duplicates: u64,
    pub(crate) refused: Vec<Refusal>,
    pub(crate) new_series: Vec<(SeriesId, Labels)>,
    /// Samples of series that are gone, with their start timestamps.
    pub(crate) unknown: Vec<(Pending, i64)>,
    pub(crate) unknown_histograms: Vec<PendingHistogram>,
    /// Newest sample in order.
    pub(crate) max_ms: i64,
    pub(crate) min_ms: i64,
    /// Newest sample out of order.
    pub(crate) late_max_ms: i64,
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            accepted: 0,
            late: 0,
            duplicates: 0,
            refused: Vec::new(),
            new_series: Vec::new(),
            unknown: Vec::new(),
            unknown_histograms: Vec::new(),
            max_ms: i64::MIN,
            min_ms: i64::MAX,
            late_max_ms: i64::MIN,
        }
    }
}

impl Outcome {
    #[inline]
    pub(super) fn took(&mut self, timestamp_ms: i64) {
        self.accepted += 1;
        self.max_ms = self.max_ms.max(timestamp_ms);
        self.min_ms = self.min_ms.min(timestamp_ms);
    }

    /// Notes a sample that is not in order; true when it is to be taken as a late one.
    #[cold]
    pub(super) fn settle(&mut self, admission: Admission, series: &Series, timestamp_ms: i64) -> bool {
        match admission {
            Admission::InOrder => true,
            Admission::OutOfOrder => {
                self.accepted += 1;
                self.late += 1;
                self.min_ms = self.min_ms.min(timestamp_ms);
                self.late_max_ms = self.late_max_ms.max(timestamp_ms);
                true
            }
            Admission::Duplicate => {
                self.duplicates += 1;
                false
            }
            Admission::Refused(reason) => {
                self.refuse(series.labels().clone(), timestamp_ms, reason);
                false
            }
        }
    }

    /// Notes a series that has a sample now, so that the index learns of it.
    pub(super) fn show(&mut self, shard: u32, place: u32, series: &mut Series) {
        if !series.indexed {
            series.indexed = true;
            self.new_series.push((SeriesId::new(shard, place), series.labels().clone()));
        }
    }

    #[cold]
    pub(super) fn refuse(&mut self, labels: Labels, timestamp_ms: i64, reason: Reason) {
        self.refused.push(Refusal { labels, timestamp_ms, reason });
    }
}

/// Memory that commits reuse.
#[derive(Default)]
pub(crate) struct CommitBuffers {
    pub(crate) pending: Vec<Pending>,
    /// Start timestamps by place in `pending`, ascending.
    pub(crate) starts: Vec<(u32, i64)>,
    pub(crate) histograms: Vec<PendingHistogram>,
    pub(crate) exemplars: Vec<(SeriesRef, Exemplar)>,
    pub(crate) metadata: Vec<(String, Metadata)>,
    /// Exemplars and metadata that were taken, as the log has them.
    pub(crate) extras: Vec<u8>,
    pub(super) order: Vec<u32>,
    pub(super) section: SectionWriter,
    pub(super) content: Vec<u8>,
    pub(super) body: Vec<u8>,
    pub(super) packed: Vec<u8>,
}

impl CommitBuffers {
    /// Forgets what was collected.
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
        self.starts.clear();
        self.histograms.clear();
        self.exemplars.clear();
        self.metadata.clear();
        self.extras.clear();
    }

    /// Whether nothing was collected.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.histograms.is_empty() && self.exemplars.is_empty() && self.metadata.is_empty()
    }

    /// Whether they are worth keeping: not after one huge batch.
    pub(crate) fn is_small(&self) -> bool {
        self.pending.capacity() <= 1 << 17 && self.content.capacity() <= 4 << 20 && self.packed.capacity() <= 4 << 20
    }
}

/// What happened in the head since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) appended: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) out_of_order: AtomicU64,
    pub(crate) out_of_bounds: AtomicU64,
    pub(crate) too_old: AtomicU64,
    pub(crate) conflicting: AtomicU64,
    pub(crate) created: AtomicU64,
    pub(crate) removed: AtomicU64,
}

impl Counters {
    pub(super) fn note(&self, outcome: &Outcome) {
        let add = |counter: &AtomicU64, n: u64| {
            if n > 0 {
                counter.fetch_add(n, Ordering::Relaxed);
            }
        };
        add(&self.appended, outcome.accepted);
        add(&self.late, outcome.late);
        add(&self.duplicates, outcome.duplicates);
        for refusal in &outcome.refused {
            match refusal.reason {
                Reason::OutOfOrder => add(&self.out_of_order, 1),
                Reason::OutOfBounds => add(&self.out_of_bounds, 1),
                Reason::TooOld => add(&self.too_old, 1),
                Reason::DuplicateTimestamp => add(&self.conflicting, 1),
                Reason::UnknownSeries => {}
            }
        }
    }
}

/// Chooses where the new series of one batch go: together, but not all into one shard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NewSeriesRow {
    shard: Option<usize>,
    made: u32,
}

impl NewSeriesRow {
    pub(super) fn shard(&mut self, next: &AtomicU64) -> usize {
        if self.made.is_multiple_of(SERIES_IN_A_ROW) {
            self.shard = None;
        }
        self.made += 1;
        *self.shard.get_or_insert_with(|| next.fetch_add(1, Ordering::Relaxed) as usize % SHARDS)
    }
}

/// The samples of one shard: `order[start..end]`.
pub(super) struct Group {
    pub(super) shard: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Sorts the places of samples by shard, keeping their order within one; `order` is left empty when all are in one shard.
pub(super) fn group_by_shard(
    pending: &[Pending],
    histograms: &[PendingHistogram],
    order: &mut Vec<u32>,
) -> SmallVec<[Group; 4]> {
    let mut counts = [0usize; SHARDS];
    for sample in pending {
        counts[sample.series.shard() % SHARDS] += 1;
    }
    let mut with_histograms = [false; SHARDS];
    histograms.iter().for_each(|pending| with_histograms[pending.series.shard() % SHARDS] = true);
    let mut groups = SmallVec::new();
    let mut starts = [0usize; SHARDS];
    let mut start = 0;
    for (shard, &count) in counts.iter().enumerate() {
        starts[shard] = start;
        if count > 0 || with_histograms[shard] {
            groups.push(Group { shard, start, end: start + count });
        }
        start += count;
    }
    order.clear();
    if groups.len() > 1 {
        order.resize(pending.len(), 0);
        for (at, sample) in pending.iter().enumerate() {
            let next = &mut starts[sample.series.shard() % SHARDS];
            order[*next] = at as u32;
            *next += 1;
        }
    }
    groups
}
