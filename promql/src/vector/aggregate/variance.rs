//! `stddev` and `stdvar` of the population, by Welford's method; pieces join as Chan et al. describe.

use super::super::{ABSENT, Column, is_absent};
use super::AggregateNotes;

pub(super) struct Variances {
    root: bool,
    count: Vec<f64>,
    mean: Vec<f64>,
    /// Sum of squared distances from the mean.
    squares: Vec<f64>,
}

impl Variances {
    pub(super) fn new(root: bool) -> Self {
        Self { root, count: Vec::new(), mean: Vec::new(), squares: Vec::new() }
    }

    pub(super) fn grow(&mut self, slots: usize) {
        self.count.resize(slots, 0.0);
        self.mean.resize(slots, 0.0);
        self.squares.resize(slots, 0.0);
    }

    pub(super) fn add(&mut self, from: usize, column: &Column, notes: &mut AggregateNotes) -> bool {
        notes.histogram_ignored |= column.histograms.iter().any(Option::is_some);
        for (step, value) in column.floats.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
            let slot = from + step;
            self.count[slot] += 1.0;
            if self.count[slot] == 1.0 {
                self.mean[slot] = *value;
                self.squares[slot] = if value.is_finite() { 0.0 } else { f64::NAN };
                continue;
            }
            let delta = value - self.mean[slot];
            self.mean[slot] += delta / self.count[slot];
            self.squares[slot] += delta * (value - self.mean[slot]);
        }
        false
    }

    pub(super) fn absorb(&mut self, other: &Self, map: &[u32], steps: usize) {
        for (from, to) in map.iter().enumerate() {
            for step in 0..steps {
                let (there, here) = (from * steps + step, *to as usize * steps + step);
                let (n, m) = (self.count[here], other.count[there]);
                if m == 0.0 {
                    continue;
                }
                if n == 0.0 {
                    self.count[here] = m;
                    self.mean[here] = other.mean[there];
                    self.squares[here] = other.squares[there];
                    continue;
                }
                let delta = other.mean[there] - self.mean[here];
                self.count[here] = n + m;
                self.mean[here] += delta * m / (n + m);
                self.squares[here] += other.squares[there] + delta * delta * n * m / (n + m);
            }
        }
    }

    pub(super) fn finish(self, steps: usize) -> Vec<Column> {
        let values = self.squares.iter().zip(&self.count).map(|(squares, n)| {
            let variance = squares / n;
            match n {
                0.0 => ABSENT,
                _ if self.root => variance.sqrt(),
                _ => variance,
            }
        });
        super::cut_floats(values.collect(), steps)
    }
}
