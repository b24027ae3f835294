//! How an evaluator reads a metrics store: [`SeriesSource`] selects, [`Selection`] decodes series by series.
//!
//! Selecting resolves matchers once and copies no sample. The selection is then read from any number of threads, each
//! with its own [`SampleColumns`]: a sample is decoded once and no thread waits for another. What a store may do with
//! [`SelectHints`] is only ever to do less work: results never depend on them, except that samples outside
//! `[start_ms, end_ms]` may be left out.

use crate::error::SourceError;
use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::sample::SampleColumns;

/// What the evaluator will do with the samples.
#[derive(Clone, Debug, Default)]
pub struct SelectHints {
    /// Samples before this are not needed (ms, inclusive).
    pub start_ms: i64,
    /// Samples after this are not needed (ms, inclusive).
    pub end_ms: i64,
    /// Distance between evaluation times in ms, 0 for an instant query.
    pub step_ms: i64,
    /// Length of the window in ms, 0 for an instant selector.
    pub range_ms: i64,
    /// Function or aggregation directly around the selector.
    pub func: Option<&'static str>,
    /// Labels of the aggregation around the selector.
    pub grouping: Vec<String>,
    /// Whether `grouping` lists labels to keep (`by`) or to drop (`without`).
    pub by: bool,
    /// Only label sets are needed, no samples.
    pub labels_only: bool,
    /// Most series to return, 0 for all.
    pub limit: usize,
}

/// What `labels`, `label values` and `series` calls ask.
#[derive(Clone, Debug, Default)]
pub struct LabelQuery {
    /// Selectors of which a series has to satisfy at least one; empty: every series.
    pub selectors: Vec<Vec<Matcher>>,
    /// Start of the time range in ms, inclusive.
    pub start_ms: i64,
    /// End of the time range in ms, inclusive.
    pub end_ms: i64,
    /// Most results, 0 for all.
    pub limit: usize,
}

/// A place where series can be read. Implemented by stores, by remote peers and by tests.
pub trait SeriesSource: Send + Sync {
    /// The series that satisfy all matchers and may have samples in the hinted range, in no particular order.
    ///
    /// # Errors
    /// When the store cannot look them up. A damaged part is no error: it is left out and named in [`Selection::warnings`].
    fn select<'a>(&'a self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn Selection + 'a>, SourceError>;

    /// Names of the labels of the selected series, ascending.
    ///
    /// # Errors
    /// As [`SeriesSource::select`].
    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, SourceError>;

    /// Values of one label over the selected series, ascending.
    ///
    /// # Errors
    /// As [`SeriesSource::select`].
    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, SourceError>;
}

/// Series found by [`SeriesSource::select`], each read by its index `0..len()`.
pub trait Selection: Send + Sync {
    /// Number of series.
    fn len(&self) -> usize;

    /// True when no series was found.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Label set of series `index`.
    fn labels(&self, index: usize) -> Labels;

    /// Appends for each label in `names` a number that stands for its value in series `index`; 0 for no value. Within one
    /// selection equal numbers stand for equal values of a label and different ones for different values, so that series
    /// can be grouped without looking at strings. False, with `out` unchanged, when the store has no such numbers.
    fn value_ids(&self, index: usize, names: &[String], out: &mut Vec<u32>) -> bool {
        let _ = (index, names, out);
        false
    }

    /// Replaces the content of `out` by the samples of series `index` in the hinted range (it may hold a few around it), ascending.
    ///
    /// # Errors
    /// When the samples cannot be read; what could be read before is not in `out`.
    fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError>;

    /// The newest sample of series `index` in `(at_ms - lookback_ms, at_ms]`, through `out`, which then holds at most that
    /// sample. Stores answer this without decoding whole chunks where they can.
    ///
    /// # Errors
    /// As [`Selection::read`].
    fn read_last(
        &self,
        index: usize,
        at_ms: i64,
        lookback_ms: i64,
        out: &mut SampleColumns,
    ) -> Result<(), SourceError> {
        self.read(index, out)?;
        let inside = |t: &i64| *t > at_ms.saturating_sub(lookback_ms) && *t <= at_ms;
        let float = out.timestamps.iter().rposition(inside);
        let histogram = out.histogram_timestamps.iter().rposition(inside);
        let float_time = float.map_or(i64::MIN, |at| out.timestamps[at]);
        let histogram_time = histogram.map_or(i64::MIN, |at| out.histogram_timestamps[at]);
        match (float, histogram) {
            (Some(at), _) if float_time >= histogram_time => {
                let (value, start) = (out.values[at], out.start_timestamps.get(at).copied());
                out.clear();
                out.timestamps.push(float_time);
                out.values.push(value);
                out.start_timestamps.extend(start);
            }
            (_, Some(at)) => {
                let (value, start) = (out.histograms[at].clone(), out.histogram_start_timestamps.get(at).copied());
                out.clear();
                out.histogram_timestamps.push(histogram_time);
                out.histograms.push(value);
                out.histogram_start_timestamps.extend(start);
            }
            _ => out.clear(),
        }
        Ok(())
    }

    /// What was left out, and why: damaged files, peers that did not answer.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}
