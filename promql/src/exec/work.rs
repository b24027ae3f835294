//! What one thread needs while it works series out: buffers, found windows, annotations.

use std::cell::OnceCell;
use std::sync::Arc;

use model::{FloatHistogram, ResetHint, SampleColumns};

use crate::annotations::Annotations;
use crate::kernels::{Samples, Window, WindowEnd, WindowShape, find_windows};
use crate::vector::{Column, Steps};

/// Scratch of one thread; buffers grow once and are used for every series.
#[derive(Default)]
pub(super) struct Work {
    pub(super) columns: SampleColumns,
    /// Samples without staleness markers, where there were any.
    pub(super) clean: SampleColumns,
    pub(super) float_windows: WindowCache,
    pub(super) histogram_windows: WindowCache,
    pub(super) inner_column: Column,
    /// Samples looked at, by step.
    pub(super) counts: Vec<u64>,
    pub(super) annotations: Annotations,
    /// The last metric about which a remark was made: most series of a selector have one name.
    pub(super) noted_name: String,
    /// For the series inside a subquery.
    pub(super) nested: Option<Box<Work>>,
}

/// Windows of the last series; the next one often has the same times.
#[derive(Default)]
pub(super) struct WindowCache {
    times: Vec<i64>,
    key: Option<(Steps, WindowEnd, i64, i64)>,
    pub(super) windows: Vec<Window>,
    /// Samples in all windows together.
    pub(super) total: u64,
    /// What `rate` makes of the times alone.
    pub(super) shapes: OnceCell<Vec<WindowShape>>,
}

impl WindowCache {
    /// Finds the windows over `times`, or sees that they are those of the last series.
    pub(super) fn find(&mut self, times: &[i64], steps: &Steps, end: WindowEnd, before_ms: i64, after_ms: i64) {
        let key = (*steps, end, before_ms, after_ms);
        if self.key == Some(key) && self.times == times {
            return;
        }
        self.key = Some(key);
        self.times.clear();
        self.times.extend_from_slice(times);
        find_windows(times, steps, end, before_ms, after_ms, &mut self.windows);
        self.total = self.windows.iter().map(|(from, to)| u64::from(to - from)).sum();
        self.shapes = OnceCell::new();
    }
}

/// Reduces histograms to their counts and sums. What the buckets say about resets becomes the hint; `from_ms` is where
/// reading began: a sample before it is not looked at.
pub(super) fn reduce_to_stats(columns: &mut SampleColumns, from_ms: i64) {
    let mut before: Option<Arc<FloatHistogram>> = None;
    for (time, slot) in columns.histogram_timestamps.iter().zip(&mut columns.histograms) {
        let histogram = slot.clone();
        let mut reset_hint = histogram.reset_hint;
        let stale = histogram.is_stale();
        if let (ResetHint::Unknown, Some(before), false) = (reset_hint, &before, stale) {
            let reset = histogram.is_reset_after(before);
            reset_hint = if reset { ResetHint::Reset } else { ResetHint::NotReset };
        }
        *slot = Arc::new(FloatHistogram {
            schema: histogram.schema,
            count: histogram.count,
            sum: histogram.sum,
            reset_hint,
            ..FloatHistogram::default()
        });
        if *time >= from_ms && !stale {
            before = Some(histogram);
        }
    }
}

/// Copies samples without staleness markers into `clean`; false when there is none and nothing was copied.
pub(super) fn remove_stale(columns: &SampleColumns, clean: &mut SampleColumns) -> bool {
    let floats = columns.values.iter().any(|v| model::is_stale(*v));
    if !floats && !columns.histograms.iter().any(|h| h.is_stale()) {
        return false;
    }
    clean.clear();
    let has_starts = !columns.start_timestamps.is_empty();
    for (i, value) in columns.values.iter().enumerate().filter(|(_, v)| !model::is_stale(**v)) {
        clean.timestamps.push(columns.timestamps[i]);
        clean.values.push(*value);
        if has_starts {
            clean.start_timestamps.push(columns.start_timestamps[i]);
        }
    }
    let has_starts = !columns.histogram_start_timestamps.is_empty();
    for (i, histogram) in columns.histograms.iter().enumerate().filter(|(_, h)| !h.is_stale()) {
        clean.histogram_timestamps.push(columns.histogram_timestamps[i]);
        clean.histograms.push(histogram.clone());
        if has_starts {
            clean.histogram_start_timestamps.push(columns.histogram_start_timestamps[i]);
        }
    }
    true
}

/// Columns as kernels see them.
pub(super) fn samples(columns: &SampleColumns, starts: bool) -> Samples<'_> {
    Samples {
        times: &columns.timestamps,
        values: &columns.values,
        starts: if starts { &columns.start_timestamps } else { &[] },
        histogram_times: &columns.histogram_timestamps,
        histograms: &columns.histograms,
        histogram_starts: if starts { &columns.histogram_start_timestamps } else { &[] },
    }
}
