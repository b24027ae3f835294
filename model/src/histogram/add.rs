//! Sums and differences of two histograms.
//!
//! Differing resolutions meet at the lower one, differing zero buckets at one that holds both, differing custom
//! boundaries at those that both have. Exponential and custom buckets do not mix.

use std::cmp::Ordering;
use std::sync::Arc;

use super::buckets::{Indexed, SpanBuilder, exponential_bound, same_bounds};
use super::resolution::reduce;
use super::{FloatHistogram, ResetHint, Span};
use crate::sample::kahan_inc;

/// One histogram has exponential buckets, the other custom ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")]
pub struct IncompatibleHistograms;

/// What was noteworthy about an addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddOutcome {
    /// One side says "reset", the other "not reset": the result says "unknown".
    pub reset_collision: bool,
    /// Custom boundaries differed and were reduced to the common ones.
    pub bounds_reconciled: bool,
}

impl FloatHistogram {
    /// Adds another histogram.
    ///
    /// # Errors
    /// When one has exponential and the other custom buckets; this one is then unchanged.
    pub fn add(&mut self, other: &Self) -> Result<AddOutcome, IncompatibleHistograms> {
        self.combine(other, 1.0)
    }

    /// Subtracts another histogram. The reset hint is set as for a sum; the `-` operator makes a gauge of the result.
    ///
    /// # Errors
    /// As [`FloatHistogram::add`].
    pub fn sub(&mut self, other: &Self) -> Result<AddOutcome, IncompatibleHistograms> {
        self.combine(other, -1.0)
    }

    fn combine(&mut self, other: &Self, sign: f64) -> Result<AddOutcome, IncompatibleHistograms> {
        if self.has_custom_buckets() != other.has_custom_buckets() {
            return Err(IncompatibleHistograms);
        }
        let reset_collision = self.adjust_hint(other.reset_hint);
        let mut bounds_reconciled = false;
        if !self.has_custom_buckets() {
            let zero_count = self.reconcile_zero(other);
            self.zero_count += sign * zero_count;
        }
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        if self.has_custom_buckets() && !same_bounds(&self.custom_values, &other.custom_values) {
            bounds_reconciled = true;
            self.combine_bounds(other, sign);
        } else {
            self.combine_buckets(other, sign);
        }
        Ok(AddOutcome { reset_collision, bounds_reconciled })
    }

    fn combine_buckets(&mut self, other: &Self, sign: f64) {
        let schema = self.schema.min(other.schema);
        if self.schema > schema {
            (self.positive_spans, self.positive_buckets) =
                reduce(&self.positive_spans, &self.positive_buckets, self.schema, schema);
            (self.negative_spans, self.negative_buckets) =
                reduce(&self.negative_spans, &self.negative_buckets, self.schema, schema);
            self.schema = schema;
        }
        let threshold = if self.has_custom_buckets() { None } else { Some((schema, self.zero_threshold)) };
        let side = |spans: &mut Vec<Span>, counts: &mut Vec<f64>, o_spans: &[Span], o_counts: &[f64]| {
            if other.schema > schema {
                let (o_spans, o_counts) = reduce(o_spans, o_counts, other.schema, schema);
                combine_side(spans, counts, &o_spans, &o_counts, sign, threshold);
            } else {
                combine_side(spans, counts, o_spans, o_counts, sign, threshold);
            }
        };
        side(&mut self.positive_spans, &mut self.positive_buckets, &other.positive_spans, &other.positive_buckets);
        side(&mut self.negative_spans, &mut self.negative_buckets, &other.negative_spans, &other.negative_buckets);
    }

    /// Maps both sides to the boundaries they have in common.
    fn combine_bounds(&mut self, other: &Self, sign: f64) {
        let bounds = common_bounds(&self.custom_values, &other.custom_values);
        let mut counts = vec![(0.0, 0.0); bounds.len() + 1];
        map_to_bounds(&mut counts, self.positive_indexed(), &self.custom_values, &bounds, 1.0);
        map_to_bounds(&mut counts, other.positive_indexed(), &other.custom_values, &bounds, sign);
        let mut out = SpanBuilder::default();
        for (at, (sum, c)) in counts.into_iter().enumerate() {
            if sum != 0.0 || c != 0.0 {
                out.push(at as i32, sum);
            }
        }
        self.positive_spans = out.spans;
        self.positive_buckets = out.counts;
        self.custom_values = bounds;
    }

    /// Sets the hint of a sum; true when the two contradict each other.
    pub(super) fn adjust_hint(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        let (hint, collision) = match (self.reset_hint, other) {
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            (Reset, Reset) => (Reset, false),
            (NotReset, NotReset) => (NotReset, false),
            (Reset, NotReset) | (NotReset, Reset) => (Unknown, true),
        };
        self.reset_hint = hint;
        collision
    }

    /// Widens the zero bucket until it fits both histograms; returns the zero count of the other one in it.
    fn reconcile_zero(&mut self, other: &Self) -> f64 {
        let (mut zero_count, mut threshold) = (other.zero_count, other.zero_threshold);
        while threshold != self.zero_threshold {
            if self.zero_threshold > threshold {
                (zero_count, threshold, _) = other.zero_count_for(self.zero_threshold, None);
            }
            if threshold > self.zero_threshold {
                (self.zero_count, self.zero_threshold, _) = self.zero_count_for(threshold, None);
                let (positive, negative) = self.swallowed();
                self.positive_buckets.iter_mut().take(positive).for_each(|c| *c = 0.0);
                self.negative_buckets.iter_mut().take(negative).for_each(|c| *c = 0.0);
                self.compact();
            } else if threshold.is_nan() || self.zero_threshold.is_nan() {
                break;
            }
        }
        zero_count
    }
}

/// Adds `sign` times the buckets of one side to those of another. Buckets that end within the zero bucket given by
/// schema and threshold are left out: the zero count has them already.
fn combine_side(
    spans: &mut Vec<Span>,
    counts: &mut Vec<f64>,
    other_spans: &[Span],
    other_counts: &[f64],
    sign: f64,
    zero: Option<(i32, f64)>,
) {
    let outside = |index: i32| zero.is_none_or(|(schema, threshold)| exponential_bound(index, schema) > threshold);
    if other_counts.is_empty() {
        return;
    }
    // Equal layouts are the rule.
    let first_outside = other_spans.first().is_some_and(|s| outside(s.offset));
    if *spans == other_spans && counts.len() == other_counts.len() && first_outside {
        for (count, other) in counts.iter_mut().zip(other_counts) {
            *count += sign * other;
        }
        return;
    }
    let mut out = SpanBuilder::default();
    let others = Indexed::new(other_spans, other_counts).filter(|(index, _)| outside(*index));
    merge(Indexed::new(spans, counts), others, |index, mine, theirs| {
        out.push(index, mine.unwrap_or(0.0) + sign * theirs.unwrap_or(0.0));
    });
    *spans = out.spans;
    *counts = out.counts;
}

/// Walks two ascending sides at once.
pub(super) fn merge<A: Copy, B: Copy>(
    a: impl Iterator<Item = (i32, A)>,
    b: impl Iterator<Item = (i32, B)>,
    mut each: impl FnMut(i32, Option<A>, Option<B>),
) {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    loop {
        let order = match (a.peek(), b.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let mine = if order == Ordering::Greater { None } else { a.next() };
        let theirs = if order == Ordering::Less { None } else { b.next() };
        if let Some(index) = mine.map(|m| m.0).or(theirs.map(|t| t.0)) {
            each(index, mine.map(|m| m.1), theirs.map(|t| t.1));
        }
    }
}

/// Boundaries that two ascending lists have in common.
pub(super) fn common_bounds(a: &[f64], b: &[f64]) -> Arc<[f64]> {
    let mut out = Vec::new();
    let mut at = 0;
    for bound in a {
        while b.get(at).is_some_and(|other| other < bound) {
            at += 1;
        }
        if b.get(at) == Some(bound) {
            out.push(*bound);
        }
    }
    out.into()
}

/// Adds counts of custom buckets to those of wider ones, whose boundaries are among their own.
pub(super) fn map_to_bounds(
    counts: &mut [(f64, f64)],
    buckets: impl Iterator<Item = (i32, f64)>,
    from: &[f64],
    to: &[f64],
    sign: f64,
) {
    let mut target = 0;
    for (index, count) in buckets {
        let bound = usize::try_from(index).ok().and_then(|at| from.get(at));
        match bound {
            Some(bound) => {
                while to.get(target).is_some_and(|b| b < bound) {
                    target += 1;
                }
            }
            None => target = to.len(),
        }
        if let Some((sum, c)) = counts.get_mut(target) {
            (*sum, *c) = kahan_inc(sign * count, *sum, *c);
        }
    }
}
