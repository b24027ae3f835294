//! What few series have: native histograms, samples out of order, start timestamps. Kept apart so that all others stay small.

use std::collections::BTreeMap;

use super::series::Closed;
use crate::codec::bytes::Decoded;
use crate::codec::histogram::{self, HistogramStream, NativeHistogram};
use crate::samples::Sink;

#[derive(Debug, Default)]
pub(crate) struct Rare {
    pub(crate) histograms: Histograms,
    pub(crate) late: Late,
    pub(crate) starts: Starts,
}

impl Rare {
    /// Whether nothing is left that has to be kept.
    pub(crate) fn is_empty(&self) -> bool {
        !self.histograms.has_samples() && self.late.is_empty() && self.starts.0.is_empty()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let closed: usize = self.histograms.closed.iter().map(|chunk| chunk.bytes.len() + size_of::<Closed>()).sum();
        let late = (self.late.floats.len() + self.late.frozen_floats.len()) * 32
            + (self.late.histograms.len() + self.late.frozen_histograms.len()) * 512;
        size_of::<Self>() + closed + self.histograms.open.heap_bytes() + late + self.starts.0.capacity() * 16
    }
}

/// Chunks of native histograms.
#[derive(Debug, Default)]
pub(crate) struct Histograms {
    pub(crate) open: HistogramStream,
    pub(crate) closed: Vec<Closed>,
}

impl Histograms {
    /// Adds a histogram newer than all before.
    pub(crate) fn append(&mut self, timestamp_ms: i64, chunk_range_ms: i64, histogram: NativeHistogram) {
        let crosses = self
            .open
            .first_ms()
            .is_some_and(|first| first.div_euclid(chunk_range_ms) != timestamp_ms.div_euclid(chunk_range_ms));
        if crosses || self.open.is_full() {
            self.close();
        }
        self.open.push(timestamp_ms, histogram);
    }

    fn close(&mut self) {
        if let Some(first_ms) = self.open.first_ms() {
            let (last_ms, count) = (self.open.last_ms(), self.open.count());
            self.closed.push(Closed { first_ms, last_ms, count, bytes: self.open.finish() });
        }
    }

    pub(crate) fn has_samples(&self) -> bool {
        self.open.count() > 0 || !self.closed.is_empty()
    }

    pub(crate) fn first_ms(&self) -> Option<i64> {
        self.closed.first().map(|chunk| chunk.first_ms).or(self.open.first_ms())
    }

    /// Beginning of the first chunk with a sample at or after `from_ms`.
    pub(crate) fn first_from(&self, from_ms: i64) -> Option<i64> {
        let closed = self.closed.iter().find(|chunk| chunk.last_ms >= from_ms).map(|chunk| chunk.first_ms);
        closed.or_else(|| self.open.first_ms().filter(|_| self.open.last_ms() >= from_ms))
    }

    pub(crate) fn counts(&self) -> (usize, u64) {
        let closed: u64 = self.closed.iter().map(|chunk| u64::from(chunk.count)).sum();
        (self.closed.len() + usize::from(self.open.count() > 0), closed + u64::from(self.open.count()))
    }

    /// Visits the histograms in `[from_ms, to_ms]`.
    pub(crate) fn each(&self, from_ms: i64, to_ms: i64, visit: &mut dyn FnMut(i64, &NativeHistogram)) -> Decoded<()> {
        let mut inside = |time: i64, histogram: &NativeHistogram| {
            if time >= from_ms && time <= to_ms {
                visit(time, histogram);
            }
            time < to_ms
        };
        for chunk in &self.closed {
            if chunk.first_ms <= to_ms && chunk.last_ms >= from_ms {
                histogram::each(&chunk.bytes, chunk.count, &mut inside)?;
            }
        }
        if self.open.first_ms().is_some_and(|first| first <= to_ms) && self.open.last_ms() >= from_ms {
            histogram::each(self.open.bytes(), self.open.count(), &mut inside)?;
        }
        Ok(())
    }

    /// Timestamp of the newest one.
    pub(crate) fn last_ms(&self) -> Option<i64> {
        let open = (self.open.count() > 0).then(|| self.open.last_ms());
        open.or_else(|| self.closed.last().map(|chunk| chunk.last_ms))
    }

    /// Drops the histograms of a closed range.
    pub(crate) fn delete(&mut self, from_ms: i64, to_ms: i64, chunk_range_ms: i64) -> Decoded<()> {
        if self.first_ms().is_none_or(|first| first > to_ms) || self.last_ms().is_none_or(|last| last < from_ms) {
            return Ok(());
        }
        let mut kept = Self::default();
        self.each(i64::MIN, i64::MAX, &mut |time, histogram| {
            if !(from_ms..=to_ms).contains(&time) {
                kept.append(time, chunk_range_ms, histogram.clone());
            }
        })?;
        *self = kept;
        Ok(())
    }

    pub(crate) fn forget(&mut self, before_ms: i64) {
        let gone = self.closed.partition_point(|chunk| chunk.last_ms < before_ms);
        self.closed.drain(..gone);
        if self.open.count() > 0 && self.open.last_ms() < before_ms {
            self.open.finish();
        }
    }
}

/// Samples that came out of order. What a cut is writing is frozen: it stays readable until the block is there, and what comes
/// meanwhile goes beside it.
#[derive(Debug, Default)]
pub(crate) struct Late {
    floats: BTreeMap<i64, f64>,
    histograms: BTreeMap<i64, NativeHistogram>,
    frozen_floats: BTreeMap<i64, f64>,
    frozen_histograms: BTreeMap<i64, NativeHistogram>,
}

/// What is known of a time at which a late sample is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Free,
    Same,
    Other,
}

impl Late {
    pub(crate) fn is_empty(&self) -> bool {
        self.floats.is_empty()
            && self.histograms.is_empty()
            && self.frozen_floats.is_empty()
            && self.frozen_histograms.is_empty()
    }

    /// What is there at the time of a late float.
    pub(crate) fn float_at(&self, timestamp_ms: i64, value: f64) -> Taken {
        let float = self.floats.get(&timestamp_ms).or_else(|| self.frozen_floats.get(&timestamp_ms));
        match float {
            Some(there) if there.to_bits() == value.to_bits() => Taken::Same,
            Some(_) => Taken::Other,
            None if self.histogram_at(timestamp_ms).is_some() => Taken::Other,
            None => Taken::Free,
        }
    }

    fn histogram_at(&self, timestamp_ms: i64) -> Option<&NativeHistogram> {
        self.histograms.get(&timestamp_ms).or_else(|| self.frozen_histograms.get(&timestamp_ms))
    }

    /// What is there at the time of a late histogram.
    pub(crate) fn native_at(&self, timestamp_ms: i64, histogram: &NativeHistogram) -> Taken {
        match self.histogram_at(timestamp_ms) {
            Some(there) if there.is_same(histogram) => Taken::Same,
            Some(_) => Taken::Other,
            None if self.floats.contains_key(&timestamp_ms) || self.frozen_floats.contains_key(&timestamp_ms) => {
                Taken::Other
            }
            None => Taken::Free,
        }
    }

    pub(crate) fn insert_float(&mut self, timestamp_ms: i64, value: f64) {
        self.floats.insert(timestamp_ms, value);
    }

    pub(crate) fn insert_histogram(&mut self, timestamp_ms: i64, histogram: NativeHistogram) {
        self.histograms.insert(timestamp_ms, histogram);
    }

    /// Oldest and newest timestamp.
    pub(crate) fn range(&self) -> Option<(i64, i64)> {
        let firsts = [
            self.floats.keys().next(),
            self.frozen_floats.keys().next(),
            self.histograms.keys().next(),
            self.frozen_histograms.keys().next(),
        ];
        let lasts = [
            self.floats.keys().next_back(),
            self.frozen_floats.keys().next_back(),
            self.histograms.keys().next_back(),
            self.frozen_histograms.keys().next_back(),
        ];
        Some((*firsts.into_iter().flatten().min()?, *lasts.into_iter().flatten().max()?))
    }

    /// All floats, those that are being written included.
    pub(crate) fn all_floats(&self) -> Vec<(i64, f64)> {
        self.floats.iter().chain(&self.frozen_floats).map(|(t, v)| (*t, *v)).collect()
    }

    /// All histograms, those that are being written included.
    pub(crate) fn all_histograms(&self) -> Vec<(i64, &NativeHistogram)> {
        self.histograms.iter().chain(&self.frozen_histograms).map(|(t, h)| (*t, h)).collect()
    }

    pub(crate) fn count(&self) -> u64 {
        let all = self.floats.len() + self.histograms.len() + self.frozen_floats.len() + self.frozen_histograms.len();
        all as u64
    }

    /// Marks what is before a time as being written.
    pub(crate) fn freeze(&mut self, before_ms: i64) {
        let later = self.floats.split_off(&before_ms);
        self.frozen_floats.append(&mut self.floats);
        self.floats = later;
        let later = self.histograms.split_off(&before_ms);
        self.frozen_histograms.append(&mut self.histograms);
        self.histograms = later;
    }

    /// Drops the samples of a closed range, those that are being written included.
    pub(crate) fn delete(&mut self, from_ms: i64, to_ms: i64) {
        let stays = |time: &i64| !(from_ms..=to_ms).contains(time);
        self.floats.retain(|time, _| stays(time));
        self.frozen_floats.retain(|time, _| stays(time));
        self.histograms.retain(|time, _| stays(time));
        self.frozen_histograms.retain(|time, _| stays(time));
    }

    /// Drops what was written.
    pub(crate) fn forget_frozen(&mut self) {
        self.frozen_floats = BTreeMap::new();
        self.frozen_histograms = BTreeMap::new();
    }

    /// Timestamps that are frozen.
    pub(crate) fn frozen_times(&self) -> impl Iterator<Item = i64> {
        self.frozen_floats.keys().chain(self.frozen_histograms.keys()).copied()
    }

    /// Appends the floats in a range, ascending; only frozen ones with `frozen_only`.
    pub(crate) fn read_floats(&self, from_ms: i64, to_ms: i64, frozen_only: bool, out: &mut dyn Sink) {
        let columns = out.floats();
        let frozen = self.frozen_floats.range(from_ms..=to_ms);
        if frozen_only || self.floats.is_empty() {
            frozen.for_each(|(t, v)| columns.push(*t, *v));
            return;
        }
        let mut all: Vec<(i64, f64)> =
            frozen.chain(self.floats.range(from_ms..=to_ms)).map(|(t, v)| (*t, *v)).collect();
        all.sort_by_key(|(t, _)| *t);
        all.into_iter().for_each(|(t, v)| columns.push(t, v));
    }

    /// As [`Late::read_floats`], for histograms.
    pub(crate) fn read_histograms(
        &self,
        from_ms: i64,
        to_ms: i64,
        frozen_only: bool,
        starts: &Starts,
        out: &mut dyn Sink,
    ) {
        let frozen = self.frozen_histograms.range(from_ms..=to_ms);
        let live = self.histograms.range(from_ms..=to_ms).filter(|_| !frozen_only);
        let mut all: Vec<(&i64, &NativeHistogram)> = frozen.chain(live).collect();
        all.sort_by_key(|(t, _)| **t);
        all.into_iter().for_each(|(t, histogram)| out.histogram(*t, histogram, starts.at(*t)));
    }
}

/// Start timestamps: each entry holds from its time on until the next one. A start of 0 means that none is known.
#[derive(Debug, Default)]
pub(crate) struct Starts(Vec<(i64, i64)>);

impl Starts {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The start timestamp of a sample.
    pub(crate) fn at(&self, timestamp_ms: i64) -> i64 {
        let after = self.0.partition_point(|(from, _)| *from <= timestamp_ms);
        after.checked_sub(1).and_then(|at| self.0.get(at)).map_or(0, |(_, start)| *start)
    }

    /// Says the start timestamp from a time on; returns whether that is new.
    pub(crate) fn set(&mut self, from_ms: i64, start_ms: i64) -> bool {
        if self.at(from_ms) == start_ms {
            return false;
        }
        let at = self.0.partition_point(|(from, _)| *from < from_ms);
        match self.0.get_mut(at) {
            Some(entry) if entry.0 == from_ms => entry.1 = start_ms,
            _ => self.0.insert(at, (from_ms, start_ms)),
        }
        true
    }

    /// The entry that holds now.
    pub(crate) fn last(&self) -> Option<(i64, i64)> {
        self.0.last().copied()
    }

    /// All entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, i64)> {
        self.0.iter().copied()
    }

    /// Drops the entries that only hold before a time.
    pub(crate) fn forget(&mut self, before_ms: i64) {
        let after = self.0.partition_point(|(from, _)| *from <= before_ms);
        self.0.drain(..after.saturating_sub(1));
        if self.0.len() == 1 && self.0[0].1 == 0 {
            self.0 = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_hold_until_the_next_one() {
        let mut starts = Starts::default();
        assert!(!starts.set(5, 0));
        assert!(starts.set(10, 3));
        assert!(!starts.set(20, 3));
        assert!(starts.set(30, 25));
        assert!(starts.set(40, 0));
        assert_eq!([5, 10, 29, 30, 39, 40].map(|t| starts.at(t)), [0, 3, 3, 25, 25, 0]);
        starts.forget(35);
        assert_eq!([35, 40].map(|t| starts.at(t)), [25, 0]);
        starts.forget(41);
        assert!(starts.is_empty());
    }
}
