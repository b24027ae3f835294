//! A store in memory, for tests and rule unit tests: complete, not fast.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    FloatHistogram, LabelQuery, Labels, Matcher, ResetHint, SampleColumns, SampleValue, SelectHints, Selection,
    SeriesSource, SourceError, SourceErrorKind,
};

use crate::hash::HashMap;

/// Series in memory, in the order in which they came.
#[derive(Default)]
pub struct MemorySource {
    series: Vec<Stored>,
    index: HashMap<Labels, usize>,
}

struct Stored {
    labels: Labels,
    columns: SampleColumns,
    /// The last histogram, to tell resets: those that could not stand in one chunk with it begin anew.
    last: Option<Arc<FloatHistogram>>,
}

impl MemorySource {
    /// Without series.
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes all series.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// True without series.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    fn slot(&mut self, labels: &Labels) -> &mut Stored {
        let next = self.series.len();
        let at = *self.index.entry(labels.clone()).or_insert(next);
        if at == next {
            self.series.push(Stored { labels: labels.clone(), columns: SampleColumns::new(), last: None });
        }
        &mut self.series[at]
    }

    /// Adds a sample without start time.
    ///
    /// # Errors
    /// As [`MemorySource::append`].
    pub fn append_value(&mut self, labels: &Labels, time_ms: i64, value: &SampleValue) -> Result<(), SourceError> {
        match value {
            SampleValue::Float(value) => self.append(labels, time_ms, 0, *value),
            SampleValue::Histogram(histogram) => self.append_histogram(labels, time_ms, 0, histogram),
        }
    }

    /// Adds a float with its start time (0: unknown). A sample that is not newer than the last one is left out unless it
    /// is the same.
    ///
    /// # Errors
    /// When the sample is older than the newest of its series, or has its time and another value.
    pub fn append(&mut self, labels: &Labels, time_ms: i64, start_ms: i64, value: f64) -> Result<(), SourceError> {
        let stored = self.slot(labels);
        let columns = &mut stored.columns;
        if columns.timestamps.last() == Some(&time_ms)
            && columns.values.last().is_some_and(|v| v.to_bits() == value.to_bits())
        {
            return Ok(());
        }
        check_order(columns, time_ms)?;
        columns.timestamps.push(time_ms);
        columns.values.push(value);
        columns.start_timestamps.push(start_ms);
        stored.last = None;
        Ok(())
    }

    /// Adds a histogram. The reset hint of a counter is worked out; that of a gauge is kept.
    ///
    /// # Errors
    /// As [`MemorySource::append`].
    pub fn append_histogram(
        &mut self,
        labels: &Labels,
        time_ms: i64,
        start_ms: i64,
        histogram: &FloatHistogram,
    ) -> Result<(), SourceError> {
        let stored = self.slot(labels);
        check_order(&stored.columns, time_ms)?;
        let mut histogram = histogram.clone();
        if histogram.reset_hint != ResetHint::Gauge {
            let continues = stored.last.as_ref().is_some_and(|last| follows(&histogram, last));
            // What begins a chunk may follow anything.
            histogram.reset_hint = if continues { ResetHint::NotReset } else { ResetHint::Unknown };
        }
        let histogram = Arc::new(histogram);
        stored.columns.histogram_timestamps.push(time_ms);
        stored.columns.histograms.push(histogram.clone());
        stored.columns.histogram_start_timestamps.push(start_ms);
        stored.last = Some(histogram);
        Ok(())
    }
}

fn check_order(columns: &SampleColumns, time_ms: i64) -> Result<(), SourceError> {
    let newest = columns.timestamps.last().max(columns.histogram_timestamps.last());
    if newest.is_some_and(|t| *t >= time_ms) {
        let message = format!("sample at {time_ms} ms is not newer than the last one of its series");
        return Err(SourceError::new(SourceErrorKind::Invalid, message));
    }
    Ok(())
}

/// Whether a counter histogram can stand in one chunk behind another.
fn follows(new: &FloatHistogram, last: &FloatHistogram) -> bool {
    if last.reset_hint == ResetHint::Gauge || new.reset_hint == ResetHint::Reset {
        return false;
    }
    if new.is_stale() {
        return true;
    }
    if last.is_stale() || new.schema != last.schema || new.zero_threshold != last.zero_threshold {
        return false;
    }
    if new.custom_values != last.custom_values {
        return false;
    }
    let plain = FloatHistogram { reset_hint: ResetHint::Unknown, ..new.clone() };
    !plain.is_reset_after(last)
}

impl SeriesSource for MemorySource {
    fn select<'a>(&'a self, matchers: &[Matcher], _: &SelectHints) -> Result<Box<dyn Selection + 'a>, SourceError> {
        let found: Vec<&Stored> =
            self.series.iter().filter(|s| matchers.iter().all(|m| m.matches_labels(&s.labels))).collect();
        Ok(Box::new(Selected(found)))
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        let mut names: BTreeMap<&str, ()> = BTreeMap::new();
        for s in self.selected(query) {
            names.extend(s.labels.iter().map(|(name, _)| (name, ())));
        }
        Ok(limited(names.into_keys(), query.limit))
    }

    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        let values: BTreeMap<&str, ()> =
            self.selected(query).filter_map(|s| s.labels.get(name)).map(|v| (v, ())).collect();
        Ok(limited(values.into_keys(), query.limit))
    }
}

fn limited<'a>(items: impl Iterator<Item = &'a str>, limit: usize) -> Vec<String> {
    items.take(if limit == 0 { usize::MAX } else { limit }).map(str::to_owned).collect()
}

impl MemorySource {
    fn selected<'a>(&'a self, query: &'a LabelQuery) -> impl Iterator<Item = &'a Stored> {
        self.series.iter().filter(|s| {
            query.selectors.is_empty()
                || query.selectors.iter().any(|matchers| matchers.iter().all(|m| m.matches_labels(&s.labels)))
        })
    }
}

struct Selected<'a>(Vec<&'a Stored>);

impl Selection for Selected<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.0[index].labels.clone()
    }

    fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError> {
        out.clone_from(&self.0[index].columns);
        Ok(())
    }
}
