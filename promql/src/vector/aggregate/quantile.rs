//! `quantile`: linear interpolation between the two values around a rank.

use std::cmp::Ordering;

use super::super::{ABSENT, Column, Scalars, is_absent};
use super::AggregateNotes;

pub(super) struct Values {
    q: Scalars,
    values: Vec<Vec<f64>>,
}

impl Values {
    pub(super) fn new(q: Scalars) -> Self {
        Self { q, values: Vec::new() }
    }

    pub(super) fn grow(&mut self, slots: usize) {
        self.values.resize(slots, Vec::new());
    }

    pub(super) fn add(&mut self, from: usize, column: &Column, notes: &mut AggregateNotes) -> bool {
        notes.histogram_ignored |= column.histograms.iter().any(Option::is_some);
        for (step, value) in column.floats.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
            self.values[from + step].push(*value);
        }
        false
    }

    pub(super) fn absorb(&mut self, other: Self, map: &[u32], steps: usize) {
        for (there, mut values) in other.values.into_iter().enumerate() {
            self.values[map[there / steps] as usize * steps + there % steps].append(&mut values);
        }
    }

    pub(super) fn finish(mut self, steps: usize) -> Vec<Column> {
        let slots = self.values.iter_mut().enumerate().map(|(slot, values)| {
            if values.is_empty() { ABSENT } else { quantile_of(self.q.get(slot % steps), values) }
        });
        super::cut_floats(slots.collect(), steps)
    }
}

/// The `q`-quantile of some values, which get another order. NaN counts as the smallest.
pub(crate) fn quantile_of(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    let order = |a: &f64, b: &f64| match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        _ => a.partial_cmp(b).unwrap_or(Ordering::Equal),
    };
    let (_, at_lower, above) = values.select_nth_unstable_by(lower, order);
    let at_lower = *at_lower;
    let at_upper = if upper == lower { at_lower } else { above.iter().copied().min_by(order).unwrap_or(at_lower) };
    at_lower * (1.0 - weight) + at_upper * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolates_between_ranks() {
        let cases: [(f64, &[f64], f64); 7] = [
            (0.5, &[3.0, 1.0, 2.0], 2.0),
            (0.25, &[4.0, 2.0, 1.0, 3.0], 1.75),
            (1.0, &[1.0, 5.0], 5.0),
            (0.0, &[7.0], 7.0),
            (-0.1, &[1.0], f64::NEG_INFINITY),
            (1.1, &[1.0], f64::INFINITY),
            (1.0, &[f64::NAN, 2.0], 2.0),
        ];
        for (q, values, want) in cases {
            assert_eq!(quantile_of(q, &mut values.to_vec()), want, "{q} {values:?}");
        }
        assert!(quantile_of(f64::NAN, &mut [1.0]).is_nan() && quantile_of(0.5, &mut []).is_nan());
    }
}
