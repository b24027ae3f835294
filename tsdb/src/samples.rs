//! Where decoded samples go: columns for an evaluator, or samples as they were sent for the writer of a block.

use std::sync::Arc;

use model::SampleColumns;

use crate::codec::histogram::NativeHistogram;
use crate::tombstones::cut_floats;

/// Takes decoded samples, ascending within what one source adds.
pub(crate) trait Sink {
    /// Columns for floats and their start timestamps.
    fn floats(&mut self) -> &mut SampleColumns;

    /// Takes a histogram.
    fn histogram(&mut self, timestamp_ms: i64, histogram: &NativeHistogram, start_ms: i64);
}

impl Sink for SampleColumns {
    fn floats(&mut self) -> &mut SampleColumns {
        self
    }

    fn histogram(&mut self, timestamp_ms: i64, histogram: &NativeHistogram, start_ms: i64) {
        put_start(&mut self.histogram_start_timestamps, self.histogram_timestamps.len(), start_ms);
        self.histogram_timestamps.push(timestamp_ms);
        self.histograms.push(Arc::new(histogram.to_float()));
    }
}

/// Samples of one series as they were sent.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// Floats; the histogram columns are not used.
    pub(crate) floats: SampleColumns,
    /// Time, histogram, start timestamp (0: unknown).
    pub(crate) histograms: Vec<(i64, NativeHistogram, i64)>,
}

impl Samples {
    pub(crate) fn clear(&mut self) {
        self.floats.clear();
        self.histograms.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.floats.timestamps.is_empty() && self.histograms.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.floats.timestamps.len() + self.histograms.len()
    }

    /// Time of the first sample; samples ascend.
    pub(crate) fn first_ms(&self) -> Option<i64> {
        let histogram = self.histograms.first().map(|(time, ..)| *time);
        self.floats.timestamps.first().copied().into_iter().chain(histogram).min()
    }

    /// Time of the last sample; samples ascend.
    pub(crate) fn last_ms(&self) -> Option<i64> {
        let histogram = self.histograms.last().map(|(time, ..)| *time);
        self.floats.timestamps.last().copied().max(histogram)
    }

    /// Brings samples into the order of their times; of those of one time the first stays.
    pub(crate) fn sort(&mut self) {
        if !self.floats.timestamps.is_sorted_by(|a, b| a < b) {
            let every: Vec<Part> = (0..self.floats.timestamps.len()).map(|start| Part { start, rank: 0 }).collect();
            merge_floats(&mut self.floats, &every);
        }
        if !self.histograms.is_sorted_by(|a, b| a.0 < b.0) {
            self.histograms.sort_by_key(|(time, ..)| *time);
            self.histograms.dedup_by_key(|(time, ..)| *time);
        }
    }

    /// Takes the samples of a closed range out; samples ascend.
    pub(crate) fn delete(&mut self, from_ms: i64, to_ms: i64) {
        cut_floats(&mut self.floats, 0, from_ms, to_ms);
        self.histograms.retain(|(time, ..)| !(from_ms..=to_ms).contains(time));
    }

    /// The samples in `[from_ms, to_ms)`, and the time of the first one after them; samples ascend.
    pub(crate) fn part(&self, from_ms: i64, to_ms: i64) -> (Self, Option<i64>) {
        let times = &self.floats.timestamps;
        let (start, end) = (times.partition_point(|t| *t < from_ms), times.partition_point(|t| *t < to_ms));
        let mut part = Self::default();
        part.floats.timestamps.extend_from_slice(&times[start..end]);
        part.floats.values.extend_from_slice(&self.floats.values[start..end]);
        if !self.floats.start_timestamps.is_empty() {
            part.floats.start_timestamps.extend_from_slice(&self.floats.start_timestamps[start..end]);
        }
        let inside = self.histograms.iter().filter(|(t, ..)| (from_ms..to_ms).contains(t));
        part.histograms.extend(inside.cloned());
        let later = self.histograms.iter().map(|(t, ..)| *t).find(|t| *t >= to_ms);
        (part, times.get(end).copied().into_iter().chain(later).min())
    }

    /// Appends all of it to `out`.
    pub(crate) fn append_to(&self, out: &mut dyn Sink) {
        let columns = out.floats();
        align_starts(columns);
        let before = columns.timestamps.len();
        columns.timestamps.extend_from_slice(&self.floats.timestamps);
        columns.values.extend_from_slice(&self.floats.values);
        if !self.floats.start_timestamps.is_empty() {
            columns.start_timestamps.resize(before, 0);
            columns.start_timestamps.extend_from_slice(&self.floats.start_timestamps);
        }
        align_starts(columns);
        self.histograms.iter().for_each(|(t, histogram, start)| out.histogram(*t, histogram, *start));
    }
}

impl Sink for Samples {
    fn floats(&mut self) -> &mut SampleColumns {
        &mut self.floats
    }

    fn histogram(&mut self, timestamp_ms: i64, histogram: &NativeHistogram, start_ms: i64) {
        self.histograms.push((timestamp_ms, histogram.clone(), start_ms));
    }
}

/// Adds a start timestamp to a column that stays empty as long as none is known; `len` samples are there already.
pub(crate) fn put_start(starts: &mut Vec<i64>, len: usize, start_ms: i64) {
    if start_ms != 0 || !starts.is_empty() {
        starts.resize(len, 0);
        starts.push(start_ms);
    }
}

/// Gives the column of start timestamps an entry for every float, if it has any.
pub(crate) fn align_starts(columns: &mut SampleColumns) {
    if !columns.start_timestamps.is_empty() {
        columns.start_timestamps.resize(columns.timestamps.len(), 0);
    }
}

/// Cuts the floats that were appended from `start` on to `[from_ms, to_ms]`.
pub(crate) fn trim(columns: &mut SampleColumns, start: usize, from_ms: i64, to_ms: i64) {
    align_starts(columns);
    let has_starts = !columns.start_timestamps.is_empty();
    let added = &columns.timestamps[start..];
    if added.last().is_some_and(|&last| last > to_ms) {
        let keep = start + added.partition_point(|&t| t <= to_ms);
        columns.timestamps.truncate(keep);
        columns.values.truncate(keep);
        columns.start_timestamps.truncate(keep);
    }
    let added = &columns.timestamps[start..];
    if added.first().is_some_and(|&first| first < from_ms) {
        let skip = start + added.partition_point(|&t| t < from_ms);
        columns.timestamps.drain(start..skip);
        columns.values.drain(start..skip);
        if has_starts {
            columns.start_timestamps.drain(start..skip);
        }
    }
}

/// Samples that one source added, from `start` on, and which of two samples of one time counts: that of the smaller rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) start: usize,
    pub(crate) rank: u8,
}

/// Brings floats of several sources into one order; of samples of one time the one of the least rank (then of the first part) stays.
pub(crate) fn merge_floats(columns: &mut SampleColumns, parts: &[Part]) {
    if is_ascending(&columns.timestamps, parts) {
        return;
    }
    align_starts(columns);
    let mut samples: Vec<(i64, u8, f64, i64)> = Vec::with_capacity(columns.timestamps.len());
    for (number, part) in parts.iter().enumerate() {
        let end = parts.get(number + 1).map_or(columns.timestamps.len(), |next| next.start);
        for at in part.start..end {
            let start_ms = columns.start_timestamps.get(at).copied().unwrap_or(0);
            samples.push((columns.timestamps[at], part.rank, columns.values[at], start_ms));
        }
    }
    samples.sort_by_key(|&(t, rank, ..)| (t, rank));
    samples.dedup_by_key(|sample| sample.0);
    let has_starts = !columns.start_timestamps.is_empty();
    columns.timestamps.clear();
    columns.values.clear();
    columns.start_timestamps.clear();
    for (t, _, v, start_ms) in samples {
        columns.timestamps.push(t);
        columns.values.push(v);
        if has_starts {
            columns.start_timestamps.push(start_ms);
        }
    }
}

/// As [`merge_floats`], for the histograms of columns.
pub(crate) fn merge_histograms(columns: &mut SampleColumns, parts: &[Part]) {
    if is_ascending(&columns.histogram_timestamps, parts) {
        return;
    }
    let order = merged_order(&columns.histogram_timestamps, parts);
    let pick = |from: &[i64]| order.iter().map(|&at| from[at]).collect::<Vec<i64>>();
    if !columns.histogram_start_timestamps.is_empty() {
        columns.histogram_start_timestamps.resize(columns.histogram_timestamps.len(), 0);
        columns.histogram_start_timestamps = pick(&columns.histogram_start_timestamps);
    }
    columns.histogram_timestamps = pick(&columns.histogram_timestamps);
    columns.histograms = order.iter().map(|&at| columns.histograms[at].clone()).collect();
}

/// As [`merge_floats`], for the histograms of samples as they were sent.
pub(crate) fn merge_native(histograms: &mut Vec<(i64, NativeHistogram, i64)>, parts: &[Part]) {
    let timestamps: Vec<i64> = histograms.iter().map(|(t, ..)| *t).collect();
    if !is_ascending(&timestamps, parts) {
        let order = merged_order(&timestamps, parts);
        *histograms = order.iter().map(|&at| histograms[at].clone()).collect();
    }
}

/// Places of the samples that stay, ascending in time.
fn merged_order(timestamps: &[i64], parts: &[Part]) -> Vec<usize> {
    let mut samples: Vec<(i64, u8, usize)> = Vec::with_capacity(timestamps.len());
    for (number, part) in parts.iter().enumerate() {
        let end = parts.get(number + 1).map_or(timestamps.len(), |next| next.start);
        samples.extend((part.start..end).map(|at| (timestamps[at], part.rank, at)));
    }
    samples.sort_unstable();
    samples.dedup_by_key(|sample| sample.0);
    samples.into_iter().map(|(_, _, at)| at).collect()
}

/// Whether parts, each ascending, follow on each other.
fn is_ascending(timestamps: &[i64], parts: &[Part]) -> bool {
    parts.iter().all(|part| {
        match (part.start.checked_sub(1).and_then(|before| timestamps.get(before)), timestamps.get(part.start)) {
            (Some(before), Some(first)) => before < first,
            _ => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_become_one_order_and_the_first_written_counts() {
        let mut columns = SampleColumns::new();
        for (t, v) in [(1, 1.0), (5, 5.0), (9, 9.0), (2, 20.0), (5, 50.0), (9, 90.0), (12, 120.0)] {
            columns.push(t, v);
        }
        put_start(&mut columns.start_timestamps, 6, 7);
        let parts = [Part { start: 0, rank: 1 }, Part { start: 3, rank: 0 }];
        merge_floats(&mut columns, &parts);
        assert_eq!(columns.timestamps, [1, 2, 5, 9, 12]);
        assert_eq!(columns.values, [1.0, 20.0, 50.0, 90.0, 120.0]);
        assert_eq!(columns.start_timestamps, [0, 0, 0, 0, 7]);
        trim(&mut columns, 1, 3, 9);
        assert_eq!(columns.timestamps, [1, 5, 9]);
        assert_eq!(columns.start_timestamps, [0, 0, 0]);
        assert_eq!(
            merged_order(&[1, 5, 2, 5, 6], &[Part { start: 0, rank: 0 }, Part { start: 2, rank: 0 }]),
            [0, 2, 1, 4]
        );
    }
}
