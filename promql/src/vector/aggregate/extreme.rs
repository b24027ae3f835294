//! `min`, `max`, `count`, `group`.

use super::super::{ABSENT, Column, is_absent};
use super::AggregateNotes;

/// Smallest or largest floats; NaN only where nothing else is.
pub(super) struct Extremes {
    max: bool,
    value: Vec<f64>,
}

impl Extremes {
    pub(super) fn new(max: bool) -> Self {
        Self { max, value: Vec::new() }
    }

    pub(super) fn grow(&mut self, slots: usize) {
        self.value.resize(slots, ABSENT);
    }

    pub(super) fn add(&mut self, from: usize, column: &Column, notes: &mut AggregateNotes) -> bool {
        notes.histogram_ignored |= column.histograms.iter().any(Option::is_some);
        Self::fold(self.max, &mut self.value[from..from + column.len()], &column.floats);
        false
    }

    fn fold(max: bool, into: &mut [f64], values: &[f64]) {
        for (held, value) in into.iter_mut().zip(values) {
            // The mark of absence is a NaN, which every value replaces.
            let better = if max { *held < *value } else { *held > *value };
            if !is_absent(*value) && (better || held.is_nan()) {
                *held = *value;
            }
        }
    }

    pub(super) fn absorb(&mut self, other: &Self, map: &[u32], steps: usize) {
        for (from, to) in map.iter().enumerate() {
            let there = &other.value[from * steps..][..steps];
            Self::fold(self.max, &mut self.value[*to as usize * steps..][..steps], there);
        }
    }

    pub(super) fn finish(self, steps: usize) -> Vec<Column> {
        super::cut_floats(self.value, steps)
    }
}

/// Numbers of elements, or 1 for any.
pub(super) struct Counts {
    ones: bool,
    count: Vec<u32>,
}

impl Counts {
    pub(super) fn new(ones: bool) -> Self {
        Self { ones, count: Vec::new() }
    }

    pub(super) fn grow(&mut self, slots: usize) {
        self.count.resize(slots, 0);
    }

    pub(super) fn add(&mut self, from: usize, column: &Column) -> bool {
        for (count, value) in self.count[from..from + column.len()].iter_mut().zip(&column.floats) {
            *count += u32::from(!is_absent(*value));
        }
        for (step, histogram) in column.histograms.iter().enumerate() {
            self.count[from + step] += u32::from(histogram.is_some());
        }
        false
    }

    pub(super) fn absorb(&mut self, other: &Self, map: &[u32], steps: usize) {
        for (from, to) in map.iter().enumerate() {
            for step in 0..steps {
                self.count[*to as usize * steps + step] += other.count[from * steps + step];
            }
        }
    }

    pub(super) fn finish(self, steps: usize) -> Vec<Column> {
        let value = |n: u32| match n {
            0 => ABSENT,
            _ if self.ones => 1.0,
            n => f64::from(n),
        };
        super::cut_floats(self.count.iter().map(|n| value(*n)).collect(), steps)
    }
}
