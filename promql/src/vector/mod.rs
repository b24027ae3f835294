//! Vectors over time as columns: one slot per evaluation step, series by series.
//!
//! What the operators of the language do to vectors stands here, apart from where the vectors come from: [`binary`]
//! operators with [`matching`], [`set`] operators, [`aggregate`] and [`sort`], all over [`Series`]. LogQL's metric queries
//! use the same operators.
//!
//! A [`Column`] holds at each step a float, a native histogram, or nothing. Nothing is [`ABSENT`], the bits of the
//! staleness marker: no arithmetic gives them, and a marker never is a value.

pub mod aggregate;
pub mod binary;
pub mod matching;
mod merge;
pub mod set;
pub mod sort;

use std::sync::Arc;

use model::sample::STALE_NAN;
use model::{FloatHistogram, Labels, METRIC_NAME};

pub(crate) use merge::has_same_labels;
pub use merge::{drop_names, merge_same_labels};

/// The slot of a step without a float.
pub const ABSENT: f64 = STALE_NAN;

/// Whether a slot holds no float.
#[inline]
pub fn is_absent(value: f64) -> bool {
    value.to_bits() == ABSENT.to_bits()
}

/// Evaluation times: `start_ms`, `start_ms + step_ms`, …, `count` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// First time in ms.
    pub start_ms: i64,
    /// Distance in ms, above 0.
    pub step_ms: i64,
    /// How many.
    pub count: usize,
}

impl Steps {
    /// A single time.
    pub fn instant(at_ms: i64) -> Self {
        Self { start_ms: at_ms, step_ms: 1, count: 1 }
    }

    /// From `start_ms` to at most `end_ms`; none when that lies before the start.
    pub fn range(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let step_ms = step_ms.max(1);
        let count =
            if end_ms < start_ms { 0 } else { (i128::from(end_ms) - i128::from(start_ms)) / i128::from(step_ms) + 1 };
        Self { start_ms, step_ms, count: usize::try_from(count).unwrap_or(usize::MAX) }
    }

    /// Time of a step.
    #[inline]
    pub fn time(&self, step: usize) -> i64 {
        self.start_ms.saturating_add((step as i64).saturating_mul(self.step_ms))
    }

    /// Time of the last step; the start when there is none.
    pub fn last(&self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }

    /// The first time alone.
    pub fn first_only(&self) -> Self {
        Self { count: self.count.min(1), ..*self }
    }

    /// The times in order.
    pub fn times(&self) -> impl ExactSizeIterator<Item = i64> + use<> {
        let steps = *self;
        (0..steps.count).map(move |step| steps.time(step))
    }
}

/// Values of one series at all steps.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// One float per step, [`ABSENT`] where there is none.
    pub floats: Vec<f64>,
    /// Empty, or one slot per step.
    pub histograms: Vec<Option<Arc<FloatHistogram>>>,
}

/// A value at one step.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(&'a Arc<FloatHistogram>),
}

impl Column {
    /// A column without values.
    pub fn absent(steps: usize) -> Self {
        Self { floats: vec![ABSENT; steps], histograms: Vec::new() }
    }

    /// A column of floats.
    pub fn of_floats(floats: Vec<f64>) -> Self {
        Self { floats, histograms: Vec::new() }
    }

    /// Makes this a column without values, keeping the memory.
    pub fn reset(&mut self, steps: usize) {
        self.floats.clear();
        self.floats.resize(steps, ABSENT);
        self.histograms.clear();
    }

    /// Number of steps.
    pub fn len(&self) -> usize {
        self.floats.len()
    }

    /// True when there is no step at all.
    pub fn is_empty(&self) -> bool {
        self.floats.is_empty()
    }

    /// Whether some step has a histogram.
    #[inline]
    pub fn has_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }

    /// The histogram of a step.
    #[inline]
    pub fn histogram(&self, step: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.get(step)?.as_ref()
    }

    /// The value of a step.
    #[inline]
    pub fn get(&self, step: usize) -> Option<Value<'_>> {
        let float = self.floats[step];
        if is_absent(float) { self.histogram(step).map(Value::Histogram) } else { Some(Value::Float(float)) }
    }

    /// Whether a step has a value.
    #[inline]
    pub fn is_present(&self, step: usize) -> bool {
        !is_absent(self.floats[step]) || self.histogram(step).is_some()
    }

    /// Whether no step has a value.
    pub fn is_void(&self) -> bool {
        self.floats.iter().all(|v| is_absent(*v)) && self.histograms.iter().all(Option::is_none)
    }

    /// Steps with a value.
    pub fn points(&self) -> usize {
        self.floats.iter().filter(|v| !is_absent(**v)).count() + self.histograms.iter().flatten().count()
    }

    /// Sets the histogram of a step.
    pub fn set_histogram(&mut self, step: usize, histogram: Arc<FloatHistogram>) {
        if self.histograms.is_empty() {
            self.histograms.resize(self.floats.len(), None);
        }
        self.histograms[step] = Some(histogram);
    }

    /// Removes the value of a step.
    pub fn remove(&mut self, step: usize) {
        self.floats[step] = ABSENT;
        if let Some(slot) = self.histograms.get_mut(step) {
            *slot = None;
        }
    }

    /// Takes over a value of another column.
    pub fn copy_from(&mut self, other: &Self, step: usize) {
        self.floats[step] = other.floats[step];
        match other.histogram(step) {
            Some(histogram) => self.set_histogram(step, histogram.clone()),
            None => {
                if let Some(slot) = self.histograms.get_mut(step) {
                    *slot = None;
                }
            }
        }
    }

    /// Repeats the value of the only step.
    pub fn broadcast(&mut self, steps: usize) {
        if let Some(value) = self.floats.first().copied() {
            self.floats.resize(steps, value);
        }
        if let Some(histogram) = self.histograms.first().cloned() {
            self.histograms.resize(steps, histogram);
        }
    }

    /// Bytes of memory, shared histograms not included.
    pub fn bytes(&self) -> usize {
        self.floats.capacity() * 8 + self.histograms.capacity() * 8
    }

    /// What the values count for the limit of samples: a histogram by its size.
    pub fn sample_count(&self) -> usize {
        let floats = self.floats.iter().filter(|v| !is_absent(**v)).count();
        floats + self.histograms.iter().flatten().map(|h| histogram_samples(h)).sum::<usize>()
    }
}

/// How many float samples a histogram counts for.
pub fn histogram_samples(histogram: &FloatHistogram) -> usize {
    (histogram.size_bytes() + 8) / 16
}

/// A series of a vector.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its labels; with delayed name removal they still hold a name that is to go.
    pub labels: Labels,
    /// Whether the metric's name is to be removed at the end.
    pub drop_name: bool,
    /// Its values.
    pub column: Column,
}

/// One number per step.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalars {
    /// The same at every step.
    Constant(f64),
    /// One per step.
    Steps(Vec<f64>),
}

impl Scalars {
    /// The number of a step.
    #[inline]
    pub fn get(&self, step: usize) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Steps(values) => values[step],
        }
    }

    /// Combines two step by step.
    pub fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        match (self, other) {
            (Self::Constant(a), Self::Constant(b)) => Self::Constant(f(a, b)),
            (Self::Steps(mut a), b) => {
                a.iter_mut().enumerate().for_each(|(step, v)| *v = f(*v, b.get(step)));
                Self::Steps(a)
            }
            (Self::Constant(a), Self::Steps(mut b)) => {
                b.iter_mut().for_each(|v| *v = f(a, *v));
                Self::Steps(b)
            }
        }
    }

    /// The different numbers, in order.
    pub fn values(&self) -> &[f64] {
        match self {
            Self::Constant(value) => std::slice::from_ref(value),
            Self::Steps(values) => values,
        }
    }
}

/// Labels that name a metric, its type or unit: they go when the value becomes another quantity.
#[inline]
pub fn is_metadata_label(name: &str) -> bool {
    name == METRIC_NAME || name == "__type__" || name == "__unit__"
}

/// Labels without name, type and unit.
pub fn without_metadata(labels: &Labels) -> Labels {
    labels.without(is_metadata_label)
}
