//! One series in memory: its open chunk, the closed ones, and what decides whether a sample is taken.
//!
//! Called with the lock of the shard held. Nothing here knows the log or the blocks.

use model::{Labels, SampleColumns};

use crate::codec::bytes::Decoded;
use crate::codec::stream::{self, MAX_SAMPLES, Step, Stream, ValueState};
use crate::log::section::{Habit, check_of};

/// Chunks end at multiples of this, so that no chunk crosses the edge of a block.
pub(crate) const CHUNK_RANGE_MS: i64 = 2 * 60 * 60 * 1000;

/// Timestamps beyond this (before its negative) are refused; it keeps all arithmetic on times from overflowing.
pub const MAX_TIMESTAMP_MS: i64 = 1 << 61;

/// What happens to a sample that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Newer than all before.
    InOrder,
    /// The newest sample over again: nothing to do.
    Duplicate,
    /// Older, but within the window.
    OutOfOrder,
    Refused(Reason),
}

/// Why a sample was not taken. The texts are Prometheus'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Not newer than the newest sample of its series, and there is no window for such samples.
    #[error("out of order sample")]
    OutOfOrder,
    /// Older than what the head still takes, or beyond [`MAX_TIMESTAMP_MS`].
    #[error("out of bounds")]
    OutOfBounds,
    /// Older than the window for samples that are out of order.
    #[error("too old sample")]
    TooOld,
    /// Another value for a timestamp that has one.
    #[error("duplicate sample for timestamp")]
    DuplicateTimestamp,
    /// The series left memory after it was resolved: resolve it again.
    #[error("unknown series reference")]
    UnknownSeries,
}

/// What a sample's time is measured against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Samples before this can only be out of order.
    pub(crate) min_valid_ms: i64,
    /// Newest timestamp in the head.
    pub(crate) max_ms: i64,
    /// Length of the window for out-of-order samples, 0: none are taken.
    pub(crate) window_ms: i64,
}

/// A chunk that grows no more.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) count: u32,
    pub(crate) bytes: Box<[u8]>,
}

#[derive(Debug)]
pub(crate) struct Series {
    labels: Labels,
    state: ValueState,
    /// Timestamp of the newest sample; `i64::MIN` before the first.
    last_ms: i64,
    /// A sample from here on begins a new chunk.
    chunk_end_ms: i64,
    open: Stream,
    closed: Vec<Closed>,
    /// Chain of the log in which this series was last written in full, see [`crate::log`].
    pub(crate) chain: u32,
    /// How its values behave in the log.
    pub(crate) habit: Habit,
    /// Part of the fingerprint: proves in the log that a number stands for this series.
    pub(crate) check: u32,
    /// Whether the label index knows the series: it does from its first sample on.
    pub(crate) indexed: bool,
    /// Whether the last collection found it without samples.
    pub(crate) idle: bool,
}

impl Series {
    pub(crate) fn new(labels: Labels) -> Self {
        let check = check_of(&labels);
        Self {
            labels,
            state: ValueState::default(),
            last_ms: i64::MIN,
            chunk_end_ms: i64::MIN,
            open: Stream::default(),
            closed: Vec::new(),
            chain: 0,
            habit: Habit::default(),
            check,
            indexed: false,
            idle: false,
        }
    }

    pub(crate) fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Timestamp of the newest sample, `i64::MIN` without one.
    #[inline]
    pub(crate) fn last_ms(&self) -> i64 {
        self.last_ms
    }

    pub(crate) fn state(&self) -> &ValueState {
        &self.state
    }

    /// Timestamp of the oldest sample in memory.
    pub(crate) fn first_ms(&self) -> Option<i64> {
        match self.closed.first() {
            Some(closed) => Some(closed.first_ms),
            None => self.open.first_ms(),
        }
    }

    /// Beginning of the first chunk with a sample at or after `from_ms`.
    pub(crate) fn first_from(&self, from_ms: i64) -> Option<i64> {
        let closed = self.closed.iter().find(|closed| closed.last_ms >= from_ms).map(|closed| closed.first_ms);
        let open = || self.open.first_ms().filter(|_| self.last_ms >= from_ms);
        closed.or_else(open)
    }

    /// Whether a sample may be appended; changes nothing. The rules are those of Prometheus' head.
    #[inline]
    pub(crate) fn admit(&self, timestamp_ms: i64, value: f64, bounds: &Bounds) -> Admission {
        if timestamp_ms > self.last_ms && timestamp_ms >= bounds.min_valid_ms && timestamp_ms <= MAX_TIMESTAMP_MS {
            return Admission::InOrder;
        }
        self.admit_late(timestamp_ms, value, bounds)
    }

    #[cold]
    fn admit_late(&self, timestamp_ms: i64, value: f64, bounds: &Bounds) -> Admission {
        if !(-MAX_TIMESTAMP_MS..=MAX_TIMESTAMP_MS).contains(&timestamp_ms) {
            return Admission::Refused(Reason::OutOfBounds);
        }
        if timestamp_ms >= bounds.min_valid_ms && timestamp_ms == self.last_ms {
            return if self.state.bits == value.to_bits() {
                Admission::Duplicate
            } else {
                Admission::Refused(Reason::DuplicateTimestamp)
            };
        }
        if bounds.window_ms > 0 {
            return if timestamp_ms >= bounds.max_ms.saturating_sub(bounds.window_ms) {
                Admission::OutOfOrder
            } else {
                Admission::Refused(Reason::TooOld)
            };
        }
        Admission::Refused(if timestamp_ms < bounds.min_valid_ms { Reason::OutOfBounds } else { Reason::OutOfOrder })
    }

    /// Appends a sample newer than all before; returns how its value follows on the one before.
    #[inline]
    pub(crate) fn append(&mut self, timestamp_ms: i64, value: f64) -> Step {
        debug_assert!(timestamp_ms > self.last_ms);
        if timestamp_ms >= self.chunk_end_ms || self.open.count() >= MAX_SAMPLES {
            return self.begin_chunk(timestamp_ms, value);
        }
        let step = self.state.advance(value);
        self.open.push(self.last_ms, timestamp_ms, step);
        self.last_ms = timestamp_ms;
        step
    }

    #[cold]
    fn begin_chunk(&mut self, timestamp_ms: i64, value: f64) -> Step {
        self.close_chunk();
        let step = self.state.advance_anew(value);
        self.open.begin(timestamp_ms, &self.state);
        self.last_ms = timestamp_ms;
        self.chunk_end_ms = (timestamp_ms.div_euclid(CHUNK_RANGE_MS) + 1) * CHUNK_RANGE_MS;
        step
    }

    fn close_chunk(&mut self) {
        let count = self.open.count();
        if let Some(first_ms) = self.open.first_ms() {
            let closed = Closed { first_ms, last_ms: self.last_ms, count, bytes: self.open.finish() };
            if self.closed.len() == self.closed.capacity() {
                self.closed.reserve_exact(1 + self.closed.len() / 4);
            }
            self.closed.push(closed);
        }
    }

    /// Appends the samples in `[from_ms, to_ms]` to `out`, ascending.
    pub(crate) fn read(&self, from_ms: i64, to_ms: i64, out: &mut SampleColumns) -> Decoded<()> {
        let overlaps = |first: i64, last: i64| first <= to_ms && last >= from_ms;
        for closed in &self.closed {
            if overlaps(closed.first_ms, closed.last_ms) {
                let start = out.timestamps.len();
                stream::decode(&closed.bytes, closed.count, 0, &mut out.timestamps, &mut out.values)?;
                trim(out, start, from_ms, to_ms);
            }
        }
        if self.open.first_ms().is_some_and(|first_ms| overlaps(first_ms, self.last_ms)) {
            let start = out.timestamps.len();
            self.open.decode(&mut out.timestamps, &mut out.values)?;
            trim(out, start, from_ms, to_ms);
        }
        Ok(())
    }

    /// Drops the samples before `before_ms`, chunk by chunk: a chunk that reaches beyond stays whole.
    pub(crate) fn forget(&mut self, before_ms: i64) {
        let gone = self.closed.partition_point(|closed| closed.last_ms < before_ms);
        self.closed.drain(..gone);
        if self.closed.is_empty() {
            self.closed = Vec::new();
        }
        if self.open.count() > 0 && self.last_ms < before_ms {
            self.open = Stream::default();
            self.chunk_end_ms = i64::MIN;
        }
    }

    /// Whether there is a sample in memory.
    pub(crate) fn has_samples(&self) -> bool {
        self.open.count() > 0 || !self.closed.is_empty()
    }

    /// Chunks and samples in memory.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let closed: u64 = self.closed.iter().map(|closed| u64::from(closed.count)).sum();
        (self.closed.len() + usize::from(self.open.count() > 0), closed + u64::from(self.open.count()))
    }

    /// Heap bytes of the samples, and of the labels.
    pub(crate) fn heap_bytes(&self) -> (usize, usize) {
        let closed: usize = self.closed.iter().map(|closed| closed.bytes.len()).sum();
        let samples = closed + self.closed.capacity() * size_of::<Closed>() + self.open.capacity();
        (samples, self.labels.heap_bytes())
    }
}

/// Cuts what was appended from `start` on to `[from_ms, to_ms]`.
pub(crate) fn trim(out: &mut SampleColumns, start: usize, from_ms: i64, to_ms: i64) {
    let added = &out.timestamps[start..];
    if added.last().is_some_and(|&last| last > to_ms) {
        let keep = start + added.partition_point(|&t| t <= to_ms);
        out.timestamps.truncate(keep);
        out.values.truncate(keep);
    }
    let added = &out.timestamps[start..];
    if added.first().is_some_and(|&first| first < from_ms) {
        let skip = start + added.partition_point(|&t| t < from_ms);
        out.timestamps.drain(start..skip);
        out.values.drain(start..skip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(min_valid_ms: i64, max_ms: i64, window_ms: i64) -> Bounds {
        Bounds { min_valid_ms, max_ms, window_ms }
    }

    #[test]
    fn samples_are_taken_as_prometheus_takes_them() {
        let mut series = Series::new(Labels::from_pairs([("a", "b")]));
        series.append(1_000, 5.0);
        use Admission::*;
        let refused = |reason| Refused(reason);
        // (time, value, (valid from, newest, window), what happens)
        let cases = [
            (1_001, 1.0, (0, 1_000, 0), InOrder),
            (1_000, 5.0, (0, 1_000, 0), Duplicate),
            (1_000, 6.0, (0, 1_000, 0), refused(Reason::DuplicateTimestamp)),
            (999, 5.0, (0, 1_000, 0), refused(Reason::OutOfOrder)),
            (999, 5.0, (1_000, 5_000, 0), refused(Reason::OutOfBounds)),
            (2_000, 5.0, (3_000, 5_000, 0), refused(Reason::OutOfBounds)),
            (999, 5.0, (0, 1_000, 100), OutOfOrder),
            (899, 5.0, (0, 1_000, 100), refused(Reason::TooOld)),
            (2_000, 5.0, (3_000, 5_000, 4_000), OutOfOrder),
            (1_000, 6.0, (2_000, 5_000, 4_000), OutOfOrder),
            (MAX_TIMESTAMP_MS + 1, 5.0, (0, 1_000, 100), refused(Reason::OutOfBounds)),
            (-MAX_TIMESTAMP_MS - 1, 5.0, (i64::MIN, 1_000, 100), refused(Reason::OutOfBounds)),
        ];
        for (time, value, (min_valid, max, window), want) in cases {
            assert_eq!(series.admit(time, value, &bounds(min_valid, max, window)), want, "{time} {value} {window}");
        }
        let fresh = Series::new(Labels::empty());
        assert_eq!(fresh.admit(-5, 1.0, &bounds(i64::MIN, i64::MIN, 0)), InOrder);
    }

    #[test]
    fn chunks_end_at_edges_and_when_full() {
        let mut series = Series::new(Labels::empty());
        let mut want = SampleColumns::new();
        for i in 0..2_000i64 {
            let (t, v) = (CHUNK_RANGE_MS - 100_000 + i * 1_000, (i / 3) as f64 / 10.0);
            series.append(t, v);
            want.push(t, v);
        }
        assert_eq!(series.counts(), (1 + 4, 2_000));
        let mut got = SampleColumns::new();
        series.read(i64::MIN, i64::MAX, &mut got).unwrap();
        assert_eq!((&got.timestamps, &got.values), (&want.timestamps, &want.values));
        for (from, to) in [(CHUNK_RANGE_MS, CHUNK_RANGE_MS + 5_500), (0, CHUNK_RANGE_MS - 99_000), (i64::MAX, i64::MAX)]
        {
            got.clear();
            series.read(from, to, &mut got).unwrap();
            let inside = |t: &&i64| **t >= from && **t <= to;
            assert_eq!(got.timestamps, want.timestamps.iter().filter(inside).copied().collect::<Vec<_>>());
            assert_eq!(got.values.len(), got.timestamps.len());
        }
        series.forget(CHUNK_RANGE_MS);
        assert_eq!(series.first_ms(), Some(CHUNK_RANGE_MS));
        series.forget(i64::MAX);
        assert!(!series.has_samples());
        // A series without samples goes on after the last one it had.
        assert_eq!(series.admit(0, 1.0, &bounds(i64::MIN, 0, 0)), Admission::Refused(Reason::OutOfOrder));
        series.append(i64::from(i32::MAX) * 1_000, 1.0);
        assert_eq!(series.counts(), (1, 1));
    }
}
