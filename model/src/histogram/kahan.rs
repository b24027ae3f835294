//! Sums of many histograms, each number with its compensation (Kahan's summation, Neumaier's form), and means.

use std::sync::Arc;

use super::add::{AddOutcome, IncompatibleHistograms, common_bounds, merge};
use super::buckets::{Indexed, SpanBuilder, exponential_bound, same_bounds};
use super::resolution::kahan_reduce;
use super::{FloatHistogram, Span};
use crate::sample::kahan_inc;

/// What rounding has taken from a running sum: the parts of a histogram with the layout of the sum.
#[derive(Clone, Debug, Default)]
pub struct Compensation {
    zero_count: f64,
    count: f64,
    sum: f64,
    positive: Vec<f64>,
    negative: Vec<f64>,
}

/// Adds `other` to `total`, keeping account of rounding in `c`, which is made when absent.
///
/// # Errors
/// When one has exponential and the other custom buckets; nothing is changed then.
pub fn kahan_add(
    total: &mut FloatHistogram,
    other: &FloatHistogram,
    c: &mut Option<Compensation>,
) -> Result<AddOutcome, IncompatibleHistograms> {
    if total.has_custom_buckets() != other.has_custom_buckets() {
        return Err(IncompatibleHistograms);
    }
    let reset_collision = total.adjust_hint(other.reset_hint);
    let c = c.get_or_insert_with(Compensation::default);
    c.positive.resize(total.positive_buckets.len(), 0.0);
    c.negative.resize(total.negative_buckets.len(), 0.0);
    let custom = total.has_custom_buckets();
    if !custom {
        let (zero, zero_c) = reconcile_zero(total, other, c);
        (total.zero_count, c.zero_count) = kahan_inc(zero, total.zero_count, c.zero_count);
        (total.zero_count, c.zero_count) = kahan_inc(zero_c, total.zero_count, c.zero_count);
    }
    (total.count, c.count) = kahan_inc(other.count, total.count, c.count);
    (total.sum, c.sum) = kahan_inc(other.sum, total.sum, c.sum);
    let mut bounds_reconciled = false;
    if custom && !same_bounds(&total.custom_values, &other.custom_values) {
        bounds_reconciled = true;
        add_bounds(total, other, c);
        return Ok(AddOutcome { reset_collision, bounds_reconciled });
    }
    if other.schema < total.schema {
        (total.positive_spans, total.positive_buckets, c.positive) =
            kahan_reduce(&total.positive_spans, &total.positive_buckets, &c.positive, total.schema, other.schema);
        (total.negative_spans, total.negative_buckets, c.negative) =
            kahan_reduce(&total.negative_spans, &total.negative_buckets, &c.negative, total.schema, other.schema);
        total.schema = other.schema;
    }
    let zero = (!custom).then_some((total.schema, total.zero_threshold));
    let (from, to) = (other.schema, total.schema);
    add_side(
        Side { spans: &mut total.positive_spans, counts: &mut total.positive_buckets, c: &mut c.positive },
        (&other.positive_spans, &other.positive_buckets),
        (from, to),
        zero,
    );
    add_side(
        Side { spans: &mut total.negative_spans, counts: &mut total.negative_buckets, c: &mut c.negative },
        (&other.negative_spans, &other.negative_buckets),
        (from, to),
        zero,
    );
    Ok(AddOutcome { reset_collision, bounds_reconciled })
}

struct Side<'a> {
    spans: &'a mut Vec<Span>,
    counts: &'a mut Vec<f64>,
    c: &'a mut Vec<f64>,
}

fn add_side(side: Side<'_>, other: (&[Span], &[f64]), (from, to): (i32, i32), zero: Option<(i32, f64)>) {
    let (other_spans, other_counts) = other;
    if other_counts.is_empty() {
        return;
    }
    if from > to {
        let none = vec![0.0; other_counts.len()];
        let (spans, counts, c) = kahan_reduce(other_spans, other_counts, &none, from, to);
        return add_aligned(side, &spans, &counts, Some(&c), zero);
    }
    add_aligned(side, other_spans, other_counts, None, zero);
}

fn add_aligned(
    side: Side<'_>,
    other_spans: &[Span],
    other_counts: &[f64],
    other_c: Option<&[f64]>,
    zero: Option<(i32, f64)>,
) {
    let outside = |index: i32| zero.is_none_or(|(schema, threshold)| exponential_bound(index, schema) > threshold);
    let first_outside = other_spans.first().is_some_and(|s| outside(s.offset));
    if *side.spans == other_spans && side.counts.len() == other_counts.len() && other_c.is_none() && first_outside {
        for ((count, c), other) in side.counts.iter_mut().zip(side.c.iter_mut()).zip(other_counts) {
            (*count, *c) = kahan_inc(*other, *count, *c);
        }
        return;
    }
    let mut out = SpanBuilder::default();
    let mut out_c = Vec::with_capacity(side.counts.len() + other_counts.len());
    let mine = Indexed::new(side.spans, side.counts)
        .zip(side.c.iter().copied())
        .map(|((index, count), c)| (index, (count, c)));
    let compensation = |at: usize| other_c.and_then(|c| c.get(at)).copied().unwrap_or(0.0);
    let theirs = Indexed::new(other_spans, other_counts)
        .enumerate()
        .map(|(at, (index, count))| (index, (count, compensation(at))))
        .filter(|(index, _)| outside(*index));
    merge(mine, theirs, |index, mine, theirs| {
        let (mut sum, mut c) = mine.or(theirs).unwrap_or_default();
        if let (Some(_), Some((count, count_c))) = (mine, theirs) {
            (sum, c) = kahan_inc(count, sum, c);
            if count_c != 0.0 {
                (sum, c) = kahan_inc(count_c, sum, c);
            }
        }
        out.push(index, sum);
        out_c.push(c);
    });
    *side.spans = out.spans;
    *side.counts = out.counts;
    *side.c = out_c;
}

fn add_bounds(total: &mut FloatHistogram, other: &FloatHistogram, c: &mut Compensation) {
    let bounds: Arc<[f64]> = common_bounds(&total.custom_values, &other.custom_values);
    let mut counts = vec![(0.0, 0.0); bounds.len() + 1];
    super::add::map_to_bounds(&mut counts, total.positive_indexed(), &total.custom_values, &bounds, 1.0);
    let rest = total.positive_indexed().zip(&c.positive).map(|((index, _), c)| (index, *c));
    super::add::map_to_bounds(&mut counts, rest, &total.custom_values, &bounds, 1.0);
    super::add::map_to_bounds(&mut counts, other.positive_indexed(), &other.custom_values, &bounds, 1.0);
    let mut out = SpanBuilder::default();
    c.positive.clear();
    for (at, (sum, rest)) in counts.into_iter().enumerate() {
        if sum != 0.0 || rest != 0.0 {
            out.push(at as i32, sum);
            c.positive.push(rest);
        }
    }
    total.positive_spans = out.spans;
    total.positive_buckets = out.counts;
    total.custom_values = bounds;
}

/// As for a plain sum, with compensations; returns the other histogram's zero count and its compensation.
fn reconcile_zero(total: &mut FloatHistogram, other: &FloatHistogram, c: &mut Compensation) -> (f64, f64) {
    let (mut zero, mut threshold, mut zero_c) = (other.zero_count, other.zero_threshold, 0.0);
    while threshold != total.zero_threshold {
        if total.zero_threshold > threshold {
            (zero, threshold, zero_c) = other.zero_count_for(total.zero_threshold, None);
        }
        if threshold > total.zero_threshold {
            (total.zero_count, total.zero_threshold, c.zero_count) =
                total.zero_count_for(threshold, Some((c.zero_count, &c.positive, &c.negative)));
            let (positive, negative) = total.swallowed();
            drop_front(&mut total.positive_spans, &mut total.positive_buckets, &mut c.positive, positive);
            drop_front(&mut total.negative_spans, &mut total.negative_buckets, &mut c.negative, negative);
        } else if threshold.is_nan() || total.zero_threshold.is_nan() {
            break;
        }
    }
    (zero, zero_c)
}

/// Removes the first `n` buckets of a side.
fn drop_front(spans: &mut Vec<Span>, counts: &mut Vec<f64>, c: &mut Vec<f64>, n: usize) {
    let mut out = SpanBuilder::default();
    for (index, count) in Indexed::new(spans, counts).skip(n) {
        out.push(index, count);
    }
    *c = c.split_off(n.min(c.len()));
    *spans = out.spans;
    *counts = out.counts;
}

impl Compensation {
    fn map(&mut self, map: impl Fn(f64) -> f64) {
        for value in [&mut self.zero_count, &mut self.count, &mut self.sum]
            .into_iter()
            .chain(&mut self.positive)
            .chain(&mut self.negative)
        {
            *value = map(*value);
        }
    }

    /// Adds what rounding took back to the sum.
    fn settle(self, total: &mut FloatHistogram) {
        total.zero_count += self.zero_count;
        total.count += self.count;
        total.sum += self.sum;
        for (count, c) in total.positive_buckets.iter_mut().zip(self.positive) {
            *count += c;
        }
        for (count, c) in total.negative_buckets.iter_mut().zip(self.negative) {
            *count += c;
        }
    }
}

/// A running sum or mean of histograms.
///
/// A mean is the compensated sum divided by the number of histograms for as long as the sum is finite, and a running
/// mean from there on.
#[derive(Clone, Debug)]
pub struct HistogramSum {
    total: FloatHistogram,
    c: Option<Compensation>,
    /// Histograms added, by [`HistogramSum::add_to_mean`] only.
    added: f64,
    incremental: bool,
}

impl HistogramSum {
    /// Starts with one histogram.
    pub fn new(first: FloatHistogram) -> Self {
        Self { total: first, c: None, added: 1.0, incremental: false }
    }

    /// Continues a mean of `count` histograms.
    pub fn of_mean(mean: FloatHistogram, count: f64) -> Self {
        Self { total: mean, c: None, added: count, incremental: true }
    }

    /// Adds one to a sum.
    ///
    /// # Errors
    /// When exponential and custom buckets meet.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<AddOutcome, IncompatibleHistograms> {
        self.added += 1.0;
        kahan_add(&mut self.total, other, &mut self.c)
    }

    /// Adds one to a mean.
    ///
    /// # Errors
    /// When exponential and custom buckets meet.
    pub fn add_to_mean(&mut self, other: &FloatHistogram) -> Result<AddOutcome, IncompatibleHistograms> {
        self.added += 1.0;
        let n = self.added;
        if !self.incremental {
            let finite = (self.total.clone(), self.c.clone());
            let outcome = kahan_add(&mut self.total, other, &mut self.c)?;
            if !self.total.has_overflow() {
                return Ok(outcome);
            }
            (self.total, self.c) = finite;
            self.incremental = true;
            self.total.divide(n - 1.0);
            if let Some(c) = &mut self.c {
                c.map(|v| v / (n - 1.0));
            }
        }
        let weight = (n - 1.0) / n;
        if let Some(c) = &mut self.c {
            c.map(|v| v * weight);
        }
        let mut part = other.clone();
        part.divide(n);
        self.total.scale(weight);
        kahan_add(&mut self.total, &part, &mut self.c)
    }

    /// The sum.
    pub fn finish(mut self) -> FloatHistogram {
        if let Some(c) = self.c.take() {
            c.settle(&mut self.total);
        }
        self.total
    }

    /// The mean.
    pub fn finish_mean(mut self) -> FloatHistogram {
        let n = self.added;
        if !self.incremental {
            self.total.divide(n);
            if let Some(c) = &mut self.c {
                c.map(|v| v / n);
            }
        }
        self.finish()
    }
}
