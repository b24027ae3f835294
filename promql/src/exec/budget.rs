//! Limits, deadline, cancellation, and the count of what a query uses. The one place where they are checked.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::Done;
use crate::engine::{QueryContext, Stats};
use crate::error::QueryError;
use crate::vector::{Column, Series, Steps};

pub(super) struct Budget<'a> {
    context: &'a QueryContext<'a>,
    /// Samples and bytes of vectors in memory.
    samples: AtomicUsize,
    bytes: AtomicUsize,
    samples_peak: AtomicUsize,
    bytes_peak: AtomicUsize,
    samples_total: AtomicU64,
    steps: Steps,
    per_step: Option<Vec<AtomicU64>>,
}

/// What some series take.
#[derive(Clone, Copy, Default)]
pub(super) struct Held {
    samples: usize,
    bytes: usize,
}

impl std::ops::Add for Held {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { samples: self.samples + other.samples, bytes: self.bytes + other.bytes }
    }
}

impl<'a> Budget<'a> {
    pub(super) fn new(context: &'a QueryContext<'a>, steps: Steps, per_step: bool) -> Self {
        Self {
            context,
            samples: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            samples_peak: AtomicUsize::new(0),
            bytes_peak: AtomicUsize::new(0),
            samples_total: AtomicU64::new(0),
            steps,
            per_step: per_step.then(|| (0..steps.count).map(|_| AtomicU64::new(0)).collect()),
        }
    }

    /// Cancellation and deadline.
    pub(super) fn check_now(&self) -> Done<()> {
        if self.context.cancel.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(QueryError::Cancelled);
        }
        match (self.context.clock, self.context.deadline_ns) {
            (Some(clock), Some(deadline)) if clock.now_ns() >= deadline => Err(QueryError::Timeout),
            _ => Ok(()),
        }
    }

    /// Number of series of a selector.
    pub(super) fn check_series(&self, found: usize) -> Done<()> {
        let limit = self.context.limits.series;
        if limit > 0 && found > limit { Err(QueryError::TooManySeries { found, limit }) } else { Ok(()) }
    }

    /// Samples decoded for one series, on top of what is held.
    pub(super) fn check_decoded(&self, samples: usize) -> Done<()> {
        let now = self.samples.load(Ordering::Relaxed) + samples;
        self.samples_peak.fetch_max(now, Ordering::Relaxed);
        let limit = self.context.limits.samples;
        if limit > 0 && now > limit { Err(QueryError::TooManySamples) } else { Ok(()) }
    }

    /// A column that will be kept.
    pub(super) fn hold(&self, column: &Column) -> Done<()> {
        self.take(Held { samples: column.sample_count(), bytes: column.bytes() })
    }

    fn take(&self, held: Held) -> Done<()> {
        let samples = self.samples.fetch_add(held.samples, Ordering::Relaxed) + held.samples;
        let bytes = self.bytes.fetch_add(held.bytes, Ordering::Relaxed) + held.bytes;
        self.samples_peak.fetch_max(samples, Ordering::Relaxed);
        self.bytes_peak.fetch_max(bytes, Ordering::Relaxed);
        let limits = &self.context.limits;
        if limits.samples > 0 && samples > limits.samples {
            return Err(QueryError::TooManySamples);
        }
        if limits.bytes > 0 && bytes > limits.bytes {
            return Err(QueryError::TooManyBytes { limit: limits.bytes });
        }
        Ok(())
    }

    /// What series take that are in memory.
    pub(super) fn held(&self, series: &[Series]) -> Held {
        series
            .iter()
            .fold(Held::default(), |sum, s| sum + Held { samples: s.column.sample_count(), bytes: s.column.bytes() })
    }

    /// Replaces series by others made from them.
    pub(super) fn exchange(&self, old: Held, new: &[Series]) -> Done<()> {
        self.take(self.held(new))?;
        self.samples.fetch_sub(old.samples.min(self.samples.load(Ordering::Relaxed)), Ordering::Relaxed);
        self.bytes.fetch_sub(old.bytes.min(self.bytes.load(Ordering::Relaxed)), Ordering::Relaxed);
        Ok(())
    }

    /// Whether samples are counted by step.
    pub(super) fn by_step(&self) -> bool {
        self.per_step.is_some()
    }

    /// Counts samples looked at, at whatever step.
    pub(super) fn looked_at_total(&self, count: u64) {
        self.samples_total.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts samples looked at by a step of an operator that runs over `steps`.
    pub(super) fn looked_at(&self, steps: &Steps, counts: &[u64]) {
        let total: u64 = counts.iter().sum();
        self.samples_total.fetch_add(total, Ordering::Relaxed);
        let Some(per_step) = &self.per_step else { return };
        for (step, count) in counts.iter().enumerate().filter(|(_, c)| **c > 0) {
            // Steps of a subquery count for the step of the query that uses them first.
            let behind = steps.time(step).saturating_sub(self.steps.start_ms);
            let at = if behind <= 0 { 0 } else { (behind + self.steps.step_ms - 1) / self.steps.step_ms };
            let at = usize::try_from(at).unwrap_or(0).min(per_step.len().saturating_sub(1));
            if let Some(slot) = per_step.get(at) {
                slot.fetch_add(*count, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let per_step = self.per_step.iter().flatten().enumerate();
        Stats {
            samples_total: self.samples_total.load(Ordering::Relaxed),
            samples_peak: self.samples_peak.load(Ordering::Relaxed) as u64,
            series: 0,
            bytes_peak: self.bytes_peak.load(Ordering::Relaxed) as u64,
            per_step: per_step.map(|(step, n)| (self.steps.time(step), n.load(Ordering::Relaxed))).collect(),
        }
    }
}
