//! `sum` and `avg`, compensated for rounding (Kahan, Neumaier's form).
//!
//! A mean is the compensated sum divided by the count for as long as the sum is finite, and a running mean from there on.

use std::sync::Arc;

use crate::hash::HashMap;
use model::FloatHistogram;
use model::ResetHint;
use model::histogram::{AddOutcome, HistogramSum, IncompatibleHistograms};
use model::sample::kahan_inc;

use super::super::{ABSENT, Column, is_absent};
use super::AggregateNotes;

pub(super) struct Sums {
    mean: bool,
    /// Sum, or running mean; absent before the first float.
    sum: Vec<f64>,
    c: Vec<f64>,
    /// Floats so far; kept for means only.
    count: Vec<f64>,
    /// Slots that have changed to a running mean; empty while none has.
    incremental: Vec<bool>,
    /// Slots with histograms: the exception.
    histograms: HashMap<usize, Histograms>,
}

struct Histograms {
    sum: HistogramSum,
    count: f64,
    reset: bool,
    not_reset: bool,
    incompatible: bool,
    /// A float came first: only its presence matters any more.
    spoiled: bool,
}

impl Histograms {
    fn new(first: &FloatHistogram, spoiled: bool) -> Self {
        let mut new = Self {
            sum: HistogramSum::new(first.clone()),
            count: 1.0,
            reset: false,
            not_reset: false,
            incompatible: false,
            spoiled,
        };
        new.hint(first.reset_hint);
        new
    }

    fn hint(&mut self, hint: ResetHint) {
        self.reset |= hint == ResetHint::Reset;
        self.not_reset |= hint == ResetHint::NotReset;
    }

    fn take(&mut self, outcome: Result<AddOutcome, IncompatibleHistograms>, notes: &mut AggregateNotes) -> bool {
        match outcome {
            Ok(outcome) => notes.bounds_reconciled |= outcome.bounds_reconciled,
            Err(IncompatibleHistograms) => self.incompatible = true,
        }
        self.incompatible
    }
}

impl Sums {
    pub(super) fn new(mean: bool) -> Self {
        Self {
            mean,
            sum: Vec::new(),
            c: Vec::new(),
            count: Vec::new(),
            incremental: Vec::new(),
            histograms: HashMap::default(),
        }
    }

    pub(super) fn grow(&mut self, slots: usize) {
        self.sum.resize(slots, ABSENT);
        self.c.resize(slots, 0.0);
        if self.mean {
            self.count.resize(slots, 0.0);
        }
        if !self.incremental.is_empty() {
            self.incremental.resize(slots, false);
        }
    }

    /// True when buckets did not fit together.
    pub(super) fn add(&mut self, from: usize, column: &Column, notes: &mut AggregateNotes) -> bool {
        let n = column.len();
        if self.mean {
            for (step, value) in column.floats.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
                self.add_to_mean(from + step, *value);
            }
        } else {
            let (sums, cs) = (&mut self.sum[from..from + n], &mut self.c[from..from + n]);
            for ((value, sum), c) in column.floats.iter().zip(sums).zip(cs) {
                if is_absent(*value) {
                    continue;
                }
                if is_absent(*sum) {
                    *sum = *value;
                } else {
                    (*sum, *c) = kahan_inc(*value, *sum, *c);
                }
            }
        }
        let mut misfit = false;
        for (step, histogram) in column.histograms.iter().enumerate() {
            if let Some(histogram) = histogram {
                misfit |= self.add_histogram(from + step, histogram, notes);
            }
        }
        misfit
    }

    fn add_to_mean(&mut self, slot: usize, value: f64) {
        self.count[slot] += 1.0;
        let n = self.count[slot];
        let (sum, c) = (&mut self.sum[slot], &mut self.c[slot]);
        if is_absent(*sum) {
            *sum = value;
            return;
        }
        if !self.incremental.get(slot).copied().unwrap_or(false) {
            let (new_sum, new_c) = kahan_inc(value, *sum, *c);
            if !new_sum.is_infinite() {
                (*sum, *c) = (new_sum, new_c);
                return;
            }
            *sum /= n - 1.0;
            *c /= n - 1.0;
            let slots = self.count.len();
            self.incremental.resize(slots, false);
            self.incremental[slot] = true;
        }
        let weight = (n - 1.0) / n;
        (*sum, *c) = kahan_inc(value / n, weight * *sum, weight * *c);
    }

    fn add_histogram(&mut self, slot: usize, histogram: &Arc<FloatHistogram>, notes: &mut AggregateNotes) -> bool {
        let floats_before = !is_absent(self.sum[slot]);
        let mean = self.mean;
        let mut fresh = false;
        let state = self.histograms.entry(slot).or_insert_with(|| {
            fresh = true;
            Histograms::new(histogram, floats_before)
        });
        if fresh || state.incompatible || state.spoiled {
            return false;
        }
        state.hint(histogram.reset_hint);
        state.count += 1.0;
        let outcome = if mean { state.sum.add_to_mean(histogram) } else { state.sum.add(histogram) };
        state.take(outcome, notes)
    }

    pub(super) fn absorb(&mut self, other: Self, map: &[u32], steps: usize, notes: &mut AggregateNotes) {
        for (from, to) in map.iter().enumerate() {
            for step in 0..steps {
                let (there, here) = (from * steps + step, *to as usize * steps + step);
                if is_absent(other.sum[there]) {
                    continue;
                }
                if is_absent(self.sum[here]) {
                    self.sum[here] = other.sum[there];
                    self.c[here] = other.c[there];
                    if self.mean {
                        self.count[here] = other.count[there];
                        if other.incremental.get(there).copied().unwrap_or(false) {
                            self.incremental.resize(self.count.len(), false);
                            self.incremental[here] = true;
                        }
                    }
                } else if self.mean {
                    self.absorb_mean(here, &other, there);
                } else {
                    let (sum, c) = kahan_inc(other.sum[there], self.sum[here], self.c[here]);
                    (self.sum[here], self.c[here]) = kahan_inc(other.c[there], sum, c);
                }
            }
        }
        let mut histograms: Vec<_> = other.histograms.into_iter().collect();
        histograms.sort_unstable_by_key(|(slot, _)| *slot);
        for (there, state) in histograms {
            let here = map[there / steps] as usize * steps + there % steps;
            self.absorb_histograms(here, state, notes);
        }
    }

    fn absorb_mean(&mut self, here: usize, other: &Self, there: usize) {
        let (n, m) = (self.count[here], other.count[there]);
        let incremental = |flags: &[bool], slot: usize| flags.get(slot).copied().unwrap_or(false);
        let (mine, theirs) = (incremental(&self.incremental, here), incremental(&other.incremental, there));
        self.count[here] = n + m;
        if !mine && !theirs {
            let (sum, c) = kahan_inc(other.sum[there], self.sum[here], self.c[here]);
            let (sum, c) = kahan_inc(other.c[there], sum, c);
            if !sum.is_infinite() {
                (self.sum[here], self.c[here]) = (sum, c);
                return;
            }
        }
        let as_mean = |sum: f64, c: f64, n: f64, is_mean: bool| if is_mean { (sum, c) } else { (sum / n, c / n) };
        let (a, ac) = as_mean(self.sum[here], self.c[here], n, mine);
        let (b, bc) = as_mean(other.sum[there], other.c[there], m, theirs);
        let (wa, wb) = (n / (n + m), m / (n + m));
        let (sum, c) = kahan_inc(b * wb, a * wa, ac * wa);
        (self.sum[here], self.c[here]) = kahan_inc(bc * wb, sum, c);
        self.incremental.resize(self.count.len(), false);
        self.incremental[here] = true;
    }

    fn absorb_histograms(&mut self, slot: usize, mut other: Histograms, notes: &mut AggregateNotes) {
        let floats = !is_absent(self.sum[slot]);
        let Some(state) = self.histograms.get_mut(&slot) else {
            other.spoiled |= floats;
            self.histograms.insert(slot, other);
            return;
        };
        state.reset |= other.reset;
        state.not_reset |= other.not_reset;
        state.incompatible |= other.incompatible;
        state.spoiled |= other.spoiled;
        if state.incompatible || state.spoiled {
            return;
        }
        if !self.mean {
            let outcome = state.sum.add(&other.sum.finish());
            state.take(outcome, notes);
            return;
        }
        // Two means join by their weights.
        let (n, m) = (state.count, other.count);
        let mut a = std::mem::replace(&mut state.sum, HistogramSum::new(FloatHistogram::default())).finish_mean();
        let mut b = other.sum.finish_mean();
        a.scale(n / (n + m));
        b.scale(m / (n + m));
        let mut sum = HistogramSum::new(a);
        let outcome = sum.add(&b);
        state.sum = HistogramSum::of_mean(sum.finish(), n + m);
        state.count = n + m;
        state.take(outcome, notes);
    }

    pub(super) fn finish(mut self, steps: usize, notes: &mut AggregateNotes) -> Vec<Column> {
        for slot in 0..self.sum.len() {
            let sum = self.sum[slot];
            if is_absent(sum) {
                continue;
            }
            let c = self.c[slot];
            self.sum[slot] = if self.mean && !self.incremental.get(slot).copied().unwrap_or(false) {
                let n = self.count[slot];
                sum / n + c / n
            } else {
                sum + c
            };
        }
        let histograms = std::mem::take(&mut self.histograms);
        // A slot with both kinds has no result.
        let mut results: Vec<(usize, Arc<FloatHistogram>)> = Vec::new();
        for (slot, state) in histograms {
            if !is_absent(self.sum[slot]) {
                notes.mixed = true;
                self.sum[slot] = ABSENT;
                continue;
            }
            if state.incompatible {
                continue;
            }
            notes.reset_collision |= state.reset && state.not_reset;
            let result = if self.mean { state.sum.finish_mean() } else { state.sum.finish() };
            results.push((slot, Arc::new(result.compacted())));
        }
        let mut columns = super::cut_floats(self.sum, steps);
        for (slot, histogram) in results {
            columns[slot / steps].set_histogram(slot % steps, histogram);
        }
        columns
    }
}
