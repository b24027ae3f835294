//! One series in memory: its open chunk, the closed ones, and what decides whether a sample is taken.
//!
//! Called with the lock of the shard held. Nothing here knows the log or the blocks.

use model::{Labels, SampleColumns};

use super::rare::{Rare, Taken};
use super::saved::{put_chunks, read_chunks};
use crate::codec::bytes::{Cursor, Damaged, Decoded, put_prefixed, put_signed, put_varint};
use crate::codec::histogram::NativeHistogram;
use crate::codec::stream::{self, MAX_SAMPLES, Step, Stream, StreamTail, ValueState};
use crate::log::section::{Habit, check_of};
use crate::samples::{Part, Samples, Sink, merge_floats, merge_native, put_start, trim};
use crate::tombstones::cut_floats;

/// Chunks end at multiples of this, so that no chunk crosses the edge of a block.
pub(crate) const CHUNK_RANGE_MS: i64 = 2 * 60 * 60 * 1000;

/// Timestamps beyond this (before its negative) are refused; it keeps all arithmetic on times from overflowing.
pub const MAX_TIMESTAMP_MS: i64 = 1 << 61;

// Flags of a series as bytes.
const ENDS_IN_HISTOGRAM: u8 = 1;
const OPEN: u8 = 2;
const RARE: u8 = 4;

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

impl Closed {
    /// A chunk of floats; `None` without samples.
    fn from_floats(timestamps: &[i64], values: &[f64]) -> Option<Self> {
        let (first_ms, mut last_ms) = (*timestamps.first()?, *timestamps.first()?);
        let mut state = ValueState::default();
        let mut stream = Stream::default();
        state.advance_anew(*values.first()?);
        stream.begin(first_ms, &state);
        for (&time, &value) in timestamps.iter().zip(values).skip(1) {
            stream.push(last_ms, time, state.advance(value));
            last_ms = time;
        }
        let count = stream.count();
        Some(Self { first_ms, last_ms, count, bytes: stream.finish() })
    }
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
    rare: Option<Box<Rare>>,
    /// Chain of the log in which this series was last written in full, see [`crate::log`].
    pub(crate) chain: u32,
    /// Base of the log under which this series was defined last; counts bases of the shard.
    pub(crate) base: u32,
    /// How its values behave in the log.
    pub(crate) habit: Habit,
    /// Part of the fingerprint: proves in the log that a number stands for this series.
    pub(crate) check: u32,
    /// Whether the label index knows the series: it does from its first sample on.
    pub(crate) indexed: bool,
    /// Whether the last collection found it without samples.
    pub(crate) idle: bool,
    /// Whether the newest sample is a histogram.
    ends_in_histogram: bool,
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
            rare: None,
            chain: 0,
            base: 0,
            habit: Habit::default(),
            check,
            indexed: false,
            idle: false,
            ends_in_histogram: false,
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

    /// What few series have.
    pub(crate) fn rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }

    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The newest sample, if it is a float.
    pub(crate) fn last_float(&self) -> Option<f64> {
        (!self.ends_in_histogram && self.last_ms != i64::MIN).then(|| self.state.value())
    }

    /// Appends the newest sample in order; false when it is not at hand.
    pub(crate) fn put_last(&self, out: &mut SampleColumns) -> bool {
        let start_ms = self.rare().map_or(0, |rare| rare.starts.at(self.last_ms));
        if let Some(value) = self.last_float() {
            put_start(&mut out.start_timestamps, out.timestamps.len(), start_ms);
            out.timestamps.push(self.last_ms);
            out.values.push(value);
            return true;
        }
        match self.rare().and_then(|rare| rare.histograms.open.last()) {
            Some(histogram) => {
                out.histogram(self.last_ms, histogram, start_ms);
                true
            }
            None => false,
        }
    }

    /// Timestamp of the oldest sample in order.
    fn first_in_order_ms(&self) -> Option<i64> {
        let floats = match self.closed.first() {
            Some(closed) => Some(closed.first_ms),
            None => self.open.first_ms(),
        };
        let histograms = self.rare().and_then(|rare| rare.histograms.first_ms());
        floats.into_iter().chain(histograms).min()
    }

    /// Timestamp of the oldest sample in memory.
    pub(crate) fn first_ms(&self) -> Option<i64> {
        let late = self.rare().and_then(|rare| rare.late.range());
        self.first_in_order_ms().into_iter().chain(late.map(|(first, _)| first)).min()
    }

    /// Timestamp of the newest sample of all, late ones included; `i64::MIN` without one.
    pub(crate) fn newest_ms(&self) -> i64 {
        let late = self.rare().and_then(|rare| rare.late.range());
        self.last_ms.max(late.map_or(i64::MIN, |(_, last)| last))
    }

    /// Whether a sample may lie in the range.
    pub(crate) fn overlaps(&self, range: &ReadRange) -> bool {
        let in_order = self.last_ms >= range.from_ms.max(range.in_order_from_ms)
            && self.first_in_order_ms().is_some_and(|first| first <= range.to_ms);
        let late = || self.rare().and_then(|rare| rare.late.range());
        in_order || late().is_some_and(|(first, last)| first <= range.to_ms && last >= range.from_ms)
    }

    /// Beginning of the first in-order chunk with a sample at or after `from_ms`.
    pub(crate) fn first_from(&self, from_ms: i64) -> Option<i64> {
        let closed = self.closed.iter().find(|closed| closed.last_ms >= from_ms).map(|closed| closed.first_ms);
        let open = || self.open.first_ms().filter(|_| self.last_ms >= from_ms);
        let histograms = self.rare().and_then(|rare| rare.histograms.first_from(from_ms));
        closed.or_else(open).into_iter().chain(histograms).min()
    }

    /// Whether a sample may be appended; changes nothing. The rules are those of Prometheus' head.
    #[inline]
    pub(crate) fn admit(&self, timestamp_ms: i64, sample: Offer<'_>, bounds: &Bounds) -> Admission {
        if timestamp_ms > self.last_ms && timestamp_ms >= bounds.min_valid_ms && timestamp_ms <= MAX_TIMESTAMP_MS {
            return Admission::InOrder;
        }
        self.admit_late(timestamp_ms, sample, bounds)
    }

    #[cold]
    fn admit_late(&self, timestamp_ms: i64, sample: Offer<'_>, bounds: &Bounds) -> Admission {
        if !(-MAX_TIMESTAMP_MS..=MAX_TIMESTAMP_MS).contains(&timestamp_ms) {
            return Admission::Refused(Reason::OutOfBounds);
        }
        if timestamp_ms >= bounds.min_valid_ms && timestamp_ms == self.last_ms {
            let newest = self.rare().and_then(|rare| rare.histograms.open.last());
            let same = match (sample, newest) {
                (Offer::Float(value), _) => !self.ends_in_histogram && self.state.bits == value.to_bits(),
                (Offer::Histogram(offered), Some(newest)) => self.ends_in_histogram && newest.is_same(offered),
                (Offer::Histogram(_), None) => false,
            };
            return if same { Admission::Duplicate } else { Admission::Refused(Reason::DuplicateTimestamp) };
        }
        if bounds.window_ms > 0 {
            if timestamp_ms < bounds.max_ms.saturating_sub(bounds.window_ms) {
                return Admission::Refused(Reason::TooOld);
            }
            return match self.taken(timestamp_ms, sample) {
                Taken::Free => Admission::OutOfOrder,
                Taken::Same => Admission::Duplicate,
                Taken::Other => Admission::Refused(Reason::DuplicateTimestamp),
            };
        }
        Admission::Refused(if timestamp_ms < bounds.min_valid_ms { Reason::OutOfBounds } else { Reason::OutOfOrder })
    }

    /// What memory holds at the time of a late sample.
    fn taken(&self, timestamp_ms: i64, sample: Offer<'_>) -> Taken {
        if let Some(rare) = self.rare() {
            let late = match sample {
                Offer::Float(value) => rare.late.float_at(timestamp_ms, value),
                Offer::Histogram(histogram) => rare.late.native_at(timestamp_ms, histogram),
            };
            if late != Taken::Free {
                return late;
            }
        }
        let mut there = Samples::default();
        // A chunk that cannot be read says nothing against the sample.
        let range = ReadRange { from_ms: timestamp_ms, to_ms: timestamp_ms, in_order_from_ms: i64::MIN };
        if self.read(&range, &mut there).is_err() || there.is_empty() {
            return Taken::Free;
        }
        let same = match sample {
            Offer::Float(value) => there.floats.values.first().is_some_and(|v| v.to_bits() == value.to_bits()),
            Offer::Histogram(offered) => there.histograms.first().is_some_and(|(_, h, _)| h.is_same(offered)),
        };
        if same { Taken::Same } else { Taken::Other }
    }

    /// Takes a late sample that was admitted.
    pub(crate) fn insert_late(&mut self, timestamp_ms: i64, sample: Offer<'_>) {
        let late = &mut self.rare_mut().late;
        match sample {
            Offer::Float(value) => late.insert_float(timestamp_ms, value),
            Offer::Histogram(histogram) => late.insert_histogram(timestamp_ms, histogram.clone()),
        }
    }

    /// Appends a histogram newer than all before.
    pub(crate) fn append_histogram(&mut self, timestamp_ms: i64, histogram: NativeHistogram) {
        // The next float begins a chunk: distances within one are between floats only.
        self.close_chunk();
        self.chunk_end_ms = i64::MIN;
        self.rare_mut().histograms.append(timestamp_ms, CHUNK_RANGE_MS, histogram);
        self.last_ms = timestamp_ms;
        self.ends_in_histogram = true;
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
        self.ends_in_histogram = false;
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

    /// Appends the samples in a range to `out`, ascending.
    pub(crate) fn read(&self, range: &ReadRange, out: &mut dyn Sink) -> Decoded<()> {
        let (from_ms, to_ms) = (range.from_ms.max(range.in_order_from_ms), range.to_ms);
        let Some(rare) = self.rare() else { return self.read_in_order(from_ms, to_ms, out) };
        if rare.late.is_empty() {
            let before = out.floats().timestamps.len();
            self.read_in_order(from_ms, to_ms, out)?;
            put_starts(rare, before, out);
            return rare.histograms.each(from_ms, to_ms, &mut |t, h| out.histogram(t, h, rare.starts.at(t)));
        }
        let mut all = Samples::default();
        self.read_in_order(from_ms, to_ms, &mut all)?;
        rare.histograms.each(from_ms, to_ms, &mut |t, h| all.histogram(t, h, rare.starts.at(t)))?;
        add_late(rare, range.from_ms, to_ms, false, &mut all);
        all.append_to(out);
        Ok(())
    }

    fn read_in_order(&self, from_ms: i64, to_ms: i64, out: &mut dyn Sink) -> Decoded<()> {
        let overlaps = |first: i64, last: i64| first <= to_ms && last >= from_ms;
        let out = out.floats();
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

    /// Puts into `all` (replacing what is there) what a cut has to write of `[from_ms, to_ms]`: samples in order if asked, and late
    /// ones that are frozen.
    pub(crate) fn read_to_write(&self, from_ms: i64, to_ms: i64, in_order: bool, all: &mut Samples) -> Decoded<()> {
        all.clear();
        if in_order {
            self.read_in_order(from_ms, to_ms, all)?;
        }
        if let Some(rare) = self.rare() {
            if in_order {
                rare.histograms.each(from_ms, to_ms, &mut |t, h| all.histogram(t, h, rare.starts.at(t)))?;
            }
            add_late(rare, from_ms, to_ms, true, all);
        }
        Ok(())
    }

    /// Drops the samples before `before_ms`, chunk by chunk: a chunk that reaches beyond stays whole; and the late samples that were
    /// frozen, if they were written.
    pub(crate) fn forget(&mut self, before_ms: i64, late_written: bool) {
        let gone = self.closed.partition_point(|closed| closed.last_ms < before_ms);
        self.closed.drain(..gone);
        if self.closed.is_empty() {
            self.closed = Vec::new();
        }
        if self.open.count() > 0 && self.last_ms < before_ms {
            self.open = Stream::default();
            self.chunk_end_ms = i64::MIN;
        }
        if let Some(rare) = &mut self.rare {
            rare.histograms.forget(before_ms);
            rare.starts.forget(before_ms);
            if late_written {
                rare.late.forget_frozen();
            }
            // The newest histogram is what a duplicate is compared with.
            if rare.is_empty() && !self.ends_in_histogram {
                self.rare = None;
            }
        }
    }

    /// Drops the samples of a closed range, as if they had never been sent: what is left decides what is in order from now on.
    pub(crate) fn delete(&mut self, from_ms: i64, to_ms: i64) -> Decoded<()> {
        let overlaps = |first: i64, last: i64| first <= to_ms && last >= from_ms;
        if let Some(rare) = &mut self.rare {
            rare.late.delete(from_ms, to_ms);
            rare.histograms.delete(from_ms, to_ms, CHUNK_RANGE_MS)?;
        }
        if self.open.first_ms().is_some_and(|first_ms| overlaps(first_ms, self.last_ms)) {
            self.close_chunk();
            self.chunk_end_ms = i64::MIN;
        }
        let mut kept = Vec::with_capacity(self.closed.len());
        for closed in self.closed.drain(..) {
            if overlaps(closed.first_ms, closed.last_ms) {
                let mut columns = SampleColumns::new();
                let (timestamps, values) = (&mut columns.timestamps, &mut columns.values);
                stream::decode(&closed.bytes, closed.count, 0, timestamps, values)?;
                cut_floats(&mut columns, 0, from_ms, to_ms);
                kept.extend(Closed::from_floats(&columns.timestamps, &columns.values));
            } else {
                kept.push(closed);
            }
        }
        self.closed = kept;
        if (from_ms..=to_ms).contains(&self.last_ms) {
            self.find_newest()?;
        }
        Ok(())
    }

    /// Makes the newest sample in memory the one that others have to follow on.
    fn find_newest(&mut self) -> Decoded<()> {
        let histogram = self.rare().and_then(|rare| rare.histograms.last_ms()).unwrap_or(i64::MIN);
        let float = self.closed.last().map_or(i64::MIN, |closed| closed.last_ms);
        self.last_ms = histogram.max(float);
        self.ends_in_histogram = histogram > float;
        self.state = ValueState::default();
        if let Some(closed) = self.closed.last() {
            let (mut timestamps, mut values) = (Vec::new(), Vec::new());
            stream::decode(&closed.bytes, closed.count, 0, &mut timestamps, &mut values)?;
            values.last().map(|value| self.state.advance_anew(*value));
        }
        // The chain in the log went on from a value that is gone.
        self.chain = 0;
        Ok(())
    }

    /// Appends all of it but what belongs to the present log.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let open = self.open.count() > 0;
        let rare = self.rare();
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(flag(self.ends_in_histogram, ENDS_IN_HISTOGRAM) | flag(open, OPEN) | flag(rare.is_some(), RARE));
        put_signed(out, self.last_ms);
        stream::put_state(out, &self.state);
        put_chunks(out, &self.closed);
        if open {
            let (bytes, tail) = self.open.parts();
            put_signed(out, self.chunk_end_ms);
            put_varint(out, u64::from(tail.run));
            put_varint(out, u64::from(tail.count));
            [tail.step_ms, tail.grid_ms, tail.distance_ms].into_iter().for_each(|time| put_signed(out, time));
            put_prefixed(out, bytes);
        }
        if let Some(rare) = rare {
            rare.put(out);
        }
    }

    /// Inverse of [`Series::put`].
    pub(crate) fn restore(labels: Labels, cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let flags = cursor.u8()?;
        if flags & !(ENDS_IN_HISTOGRAM | OPEN | RARE) != 0 {
            return Err(Damaged("a series has flags that do not exist"));
        }
        let mut series = Self::new(labels);
        series.ends_in_histogram = flags & ENDS_IN_HISTOGRAM != 0;
        series.last_ms = cursor.signed()?;
        series.state = stream::read_state(cursor)?;
        series.closed = read_chunks(cursor)?;
        if flags & OPEN != 0 {
            series.chunk_end_ms = cursor.signed()?;
            let run = cursor.varint32("a run is too long")?;
            let count = cursor.varint32("a chunk has too many samples")?;
            let (step_ms, grid_ms, distance_ms) = (cursor.signed()?, cursor.signed()?, cursor.signed()?);
            let tail = StreamTail { run, count, step_ms, grid_ms, distance_ms };
            series.open = Stream::restore(cursor.prefixed()?, tail);
        }
        if flags & RARE != 0 {
            series.rare = Some(Box::new(Rare::read(cursor)?));
        }
        Ok(series)
    }

    fn has_in_order(&self) -> bool {
        self.open.count() > 0
            || !self.closed.is_empty()
            || self.rare().is_some_and(|rare| rare.histograms.has_samples())
    }

    /// Whether there is a sample in memory.
    pub(crate) fn has_samples(&self) -> bool {
        self.has_in_order() || self.rare().is_some_and(|rare| !rare.late.is_empty())
    }

    /// Chunks and samples in memory.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let closed: u64 = self.closed.iter().map(|closed| u64::from(closed.count)).sum();
        let floats = (self.closed.len() + usize::from(self.open.count() > 0), closed + u64::from(self.open.count()));
        let Some(rare) = self.rare() else { return floats };
        let (chunks, samples) = rare.histograms.counts();
        (floats.0 + chunks, floats.1 + samples + rare.late.count())
    }

    /// Heap bytes of the samples, and of the labels.
    pub(crate) fn heap_bytes(&self) -> (usize, usize) {
        let closed: usize = self.closed.iter().map(|closed| closed.bytes.len()).sum();
        let samples = closed + self.closed.capacity() * size_of::<Closed>() + self.open.capacity();
        (samples + self.rare().map_or(0, Rare::heap_bytes), self.labels.heap_bytes())
    }
}

/// What is read of a series: samples in `[from_ms, to_ms]`, of those in order only from `in_order_from_ms` on (the rest is in blocks).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadRange {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) in_order_from_ms: i64,
}

/// Adds the late samples of a range to those in order that are in `all`.
fn add_late(rare: &Rare, from_ms: i64, to_ms: i64, frozen_only: bool, all: &mut Samples) {
    let late_at = all.floats.timestamps.len();
    rare.late.read_floats(from_ms, to_ms, frozen_only, all);
    merge_floats(&mut all.floats, &[Part { start: 0, rank: 0 }, Part { start: late_at, rank: 1 }]);
    put_starts(rare, 0, all);
    let late_at = all.histograms.len();
    rare.late.read_histograms(from_ms, to_ms, frozen_only, &rare.starts, all);
    merge_native(&mut all.histograms, &[Part { start: 0, rank: 0 }, Part { start: late_at, rank: 1 }]);
}

/// Fills in the start timestamps of the floats from `start` on.
fn put_starts(rare: &Rare, start: usize, out: &mut dyn Sink) {
    if rare.starts.is_empty() {
        return;
    }
    let columns = out.floats();
    columns.start_timestamps.truncate(start);
    for at in start..columns.timestamps.len() {
        put_start(&mut columns.start_timestamps, at, rare.starts.at(columns.timestamps[at]));
    }
}

/// A sample that is offered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Offer<'a> {
    Float(f64),
    Histogram(&'a NativeHistogram),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(min_valid_ms: i64, max_ms: i64, window_ms: i64) -> Bounds {
        Bounds { min_valid_ms, max_ms, window_ms }
    }

    fn all(from_ms: i64, to_ms: i64) -> ReadRange {
        ReadRange { from_ms, to_ms, in_order_from_ms: i64::MIN }
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
            // Prometheus would store a second value for this time.
            (1_000, 6.0, (2_000, 5_000, 4_000), refused(Reason::DuplicateTimestamp)),
            (1_000, 5.0, (2_000, 5_000, 4_000), Duplicate),
            (MAX_TIMESTAMP_MS + 1, 5.0, (0, 1_000, 100), refused(Reason::OutOfBounds)),
            (-MAX_TIMESTAMP_MS - 1, 5.0, (i64::MIN, 1_000, 100), refused(Reason::OutOfBounds)),
        ];
        for (time, value, (min_valid, max, window), want) in cases {
            assert_eq!(
                series.admit(time, Offer::Float(value), &bounds(min_valid, max, window)),
                want,
                "{time} {value} {window}"
            );
        }
        let fresh = Series::new(Labels::empty());
        assert_eq!(fresh.admit(-5, Offer::Float(1.0), &bounds(i64::MIN, i64::MIN, 0)), InOrder);
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
        series.read(&all(i64::MIN, i64::MAX), &mut got).unwrap();
        assert_eq!((&got.timestamps, &got.values), (&want.timestamps, &want.values));
        for (from, to) in [(CHUNK_RANGE_MS, CHUNK_RANGE_MS + 5_500), (0, CHUNK_RANGE_MS - 99_000), (i64::MAX, i64::MAX)]
        {
            got.clear();
            series.read(&all(from, to), &mut got).unwrap();
            let inside = |t: &&i64| **t >= from && **t <= to;
            assert_eq!(got.timestamps, want.timestamps.iter().filter(inside).copied().collect::<Vec<_>>());
            assert_eq!(got.values.len(), got.timestamps.len());
        }
        series.forget(CHUNK_RANGE_MS, false);
        assert_eq!(series.first_ms(), Some(CHUNK_RANGE_MS));
        series.forget(i64::MAX, false);
        assert!(!series.has_samples());
        // A series without samples goes on after the last one it had.
        assert_eq!(series.admit(0, Offer::Float(1.0), &bounds(i64::MIN, 0, 0)), Admission::Refused(Reason::OutOfOrder));
        series.append(i64::from(i32::MAX) * 1_000, 1.0);
        assert_eq!(series.counts(), (1, 1));
    }
}
