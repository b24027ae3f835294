//! What a function over windows keeps of each series while entries come in, and its numbers at the end.

use super::grid::{ABSENT, Cover, Grid};
use super::parts::{Part, Parts, slide};

/// Collects the entries of one series.
pub(crate) trait Accumulator: Default + Send {
    /// Memory that one more interval or sample takes, about.
    const GROWTH: usize;

    /// Adds an entry: the windows it belongs to, its time, the hash of its stream's labels, its value. True when memory
    /// has grown.
    fn add(&mut self, cover: Cover, timestamp_ns: i64, hash: u64, value: f64) -> bool;

    /// Adds so many entries of which only the number counts; false when the function needs more.
    fn add_count(&mut self, cover: Cover, count: u64) -> bool;

    /// Whether only the number of entries counts.
    fn counts() -> bool;

    /// Adds what another thread has collected of the same series.
    fn merge(&mut self, other: Self);

    /// The number at each step.
    fn finish(self, grid: &Grid, range_seconds: f64) -> Vec<f64>;
}

impl<P: Part> Accumulator for Parts<P> {
    const GROWTH: usize = size_of::<Cover>() + size_of::<P>();

    #[inline]
    fn add(&mut self, cover: Cover, timestamp_ns: i64, hash: u64, value: f64) -> bool {
        Self::add(self, cover, P::of(timestamp_ns, hash, value))
    }

    fn add_count(&mut self, cover: Cover, count: u64) -> bool {
        match P::of_count(count) {
            Some(part) => {
                Self::add(self, cover, part);
                true
            }
            None => false,
        }
    }

    fn counts() -> bool {
        P::of_count(0).is_some()
    }

    fn merge(&mut self, other: Self) {
        Self::merge(self, other);
    }

    fn finish(self, grid: &Grid, range_seconds: f64) -> Vec<f64> {
        let mut values = vec![ABSENT; grid.step_count()];
        slide(&self, grid.step_count(), |step, part| values[step] = part.value(range_seconds));
        values
    }
}

/// Number of different values, which are told apart by 64 bits of hash.
#[derive(Debug, Default)]
pub(crate) struct Distinct {
    found: Vec<(u64, Cover)>,
}

impl Accumulator for Distinct {
    const GROWTH: usize = size_of::<(u64, Cover)>();

    fn add(&mut self, cover: Cover, _: i64, value: u64, _: f64) -> bool {
        if self.found.last() == Some(&(value, cover)) {
            return false;
        }
        self.found.push((value, cover));
        true
    }

    fn add_count(&mut self, _: Cover, _: u64) -> bool {
        false
    }

    fn counts() -> bool {
        false
    }

    fn merge(&mut self, other: Self) {
        self.found.extend(other.found);
    }

    fn finish(mut self, grid: &Grid, _: f64) -> Vec<f64> {
        self.found.sort_unstable();
        // How many values begin and end to be in the window at each step.
        let mut changes = vec![0i64; grid.step_count() + 1];
        let mut last: Option<(u64, u32)> = None;
        for (value, cover) in self.found {
            let covered = last.filter(|(known, _)| *known == value).map_or(0, |(_, end)| end);
            let first = cover.first.max(covered);
            if first < cover.end {
                changes[first as usize] += 1;
                changes[cover.end as usize] -= 1;
                last = Some((value, cover.end));
            }
        }
        let mut count = 0;
        let steps = changes.iter().take(grid.step_count());
        steps
            .map(|change| {
                count += change;
                if count > 0 { count as f64 } else { ABSENT }
            })
            .collect()
    }
}

/// A function of all samples of a window.
pub(crate) trait WindowFunction: Send + 'static {
    /// The number for a window that ends at `end_ns` and has at least one sample, oldest first.
    fn value(&self, samples: &[(i64, f64)], end_ns: i64, range_ns: i64) -> f64;
}

/// Samples, for functions that cannot be put together from parts.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    samples: Vec<(i64, u64, f64)>,
}

impl Samples {
    pub(crate) const GROWTH: usize = size_of::<(i64, u64, f64)>();

    pub(crate) fn push(&mut self, timestamp_ns: i64, hash: u64, value: f64) {
        self.samples.push((timestamp_ns, hash, value));
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.samples.extend(other.samples);
    }

    /// The number at each step.
    pub(crate) fn finish(mut self, grid: &Grid, range_ns: i64, function: &dyn WindowFunction) -> Vec<f64> {
        // Stable: samples of one stream and time stay in the order of their arrival.
        self.samples.sort_by_key(|(time, hash, _)| (*time, *hash));
        let samples: Vec<(i64, f64)> = self.samples.iter().map(|(time, _, value)| (*time, *value)).collect();
        let (mut start, mut end) = (0, 0);
        (0..grid.step_count())
            .map(|step| {
                let until = grid.window_end(step);
                let from = until.saturating_sub(range_ns);
                end += samples[end..].partition_point(|(time, _)| *time <= until);
                start += samples[start..].partition_point(|(time, _)| *time <= from);
                let window = samples.get(start..end).unwrap_or(&[]);
                if window.is_empty() { ABSENT } else { function.value(window, until, range_ns) }
            })
            .collect()
    }
}

/// `quantile_over_time`: linear between ranks; infinite for a quantile outside of 0 to 1.
pub(crate) struct Quantile(pub(crate) f64);

impl WindowFunction for Quantile {
    fn value(&self, samples: &[(i64, f64)], _: i64, _: i64) -> f64 {
        let q = self.0;
        if q < 0.0 {
            return f64::NEG_INFINITY;
        }
        if q > 1.0 {
            return f64::INFINITY;
        }
        let mut values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
        // NaN is less than everything.
        let order =
            |a: &f64, b: &f64| b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        let last = values.len() - 1;
        let rank = q * last as f64;
        if rank.is_nan() {
            return f64::NAN;
        }
        let lower = (rank.floor().max(0.0) as usize).min(last);
        let (_, low, above) = values.select_nth_unstable_by(lower, order);
        let low = *low;
        let high = above.iter().copied().min_by(order).unwrap_or(low);
        let weight = rank - rank.floor();
        low * (1.0 - weight) + high * weight
    }
}

/// `rate_counter`: increase per second of a counter that may be reset, extrapolated to the ends of the window.
pub(crate) struct CounterRate;

impl WindowFunction for CounterRate {
    fn value(&self, samples: &[(i64, f64)], end_ns: i64, range_ns: i64) -> f64 {
        let ([(first_ns, first), ..], [.., (last_ns, last)]) = (samples, samples) else { return 0.0 };
        if samples.len() < 2 {
            return 0.0;
        }
        let mut increase = last - first;
        let mut before = 0.0;
        for (_, value) in samples {
            if *value < before {
                increase += before;
            }
            before = *value;
        }
        let seconds = |ns: i64| ns as f64 / 1e9;
        let mut to_start = seconds(first_ns - (end_ns - range_ns));
        let mut to_end = seconds(end_ns - last_ns);
        let sampled = seconds(last_ns - first_ns);
        let between = sampled / (samples.len() - 1) as f64;
        // Beyond this no further sample is expected.
        let threshold = between * 1.1;
        if to_start >= threshold {
            to_start = between / 2.0;
        }
        // A counter that grows was zero at some time; the window does not begin before that.
        if increase > 0.0 && *first >= 0.0 {
            to_start = to_start.min(sampled * (first / increase));
        }
        if to_end >= threshold {
            to_end = between / 2.0;
        }
        increase * ((sampled + to_start + to_end) / sampled) / seconds(range_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_linear_between_ranks() {
        let samples: Vec<(i64, f64)> = [4.0, 1.0, 3.0, 2.0].into_iter().map(|v| (0, v)).collect();
        let cases = [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (0.25, 1.75), (-0.1, f64::NEG_INFINITY), (1.1, f64::INFINITY)];
        for (q, want) in cases {
            assert_eq!(Quantile(q).value(&samples, 0, 1), want, "{q}");
        }
        let with_nan = [(0, f64::NAN), (0, 2.0), (0, 1.0)];
        assert_eq!(Quantile(1.0).value(&with_nan, 0, 1), 2.0);
        assert!(Quantile(0.0).value(&with_nan, 0, 1).is_nan());
    }

    #[test]
    fn counters_may_be_reset() {
        let s = 1_000_000_000;
        let samples = [(10 * s, 10.0), (20 * s, 20.0), (30 * s, 5.0), (40 * s, 15.0)];
        // 5 - 10 + 20 = 25 in 30 s; 10 s to the start are extrapolated, but not below zero, and 10 s to the end.
        let rate = CounterRate.value(&samples, 50 * s, 50 * s);
        assert!((rate - 25.0 * (50.0 / 30.0) / 50.0).abs() < 1e-12, "{rate}");
        assert_eq!(CounterRate.value(&samples[..1], 50 * s, 50 * s), 0.0);
    }
}
