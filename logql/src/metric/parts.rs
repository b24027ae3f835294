//! What is remembered of the entries between two bounds of windows, and windows put together from it.
//!
//! The bounds of all windows cut time into intervals; an entry changes only the [`Part`] of its interval, whatever the
//! number of windows it belongs to, and memory does not grow with the number of entries. A window is a run of intervals;
//! [`slide`] keeps the merged part of the run while it moves, at a cost that does not depend on the window's length.

use super::grid::Cover;

/// What a function needs to know of some entries.
pub(crate) trait Part: Clone + Send {
    /// Of one entry: its time, the hash of its stream's labels (which decides between equal times), its value.
    fn of(timestamp_ns: i64, hash: u64, value: f64) -> Self;

    /// Of so many entries, for functions that only count.
    fn of_count(_count: u64) -> Option<Self> {
        None
    }

    /// Adds what is known of others.
    fn merge(&mut self, other: &Self);

    /// The function's value for a window of so many seconds.
    fn value(&self, range_seconds: f64) -> f64;
}

/// Number of entries; the value is it, or it per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count<const RATE: bool>(pub(crate) u64);

impl<const RATE: bool> Part for Count<RATE> {
    fn of(_: i64, _: u64, _: f64) -> Self {
        Self(1)
    }

    fn of_count(count: u64) -> Option<Self> {
        Some(Self(count))
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }

    fn value(&self, range_seconds: f64) -> f64 {
        if RATE { self.0 as f64 / range_seconds } else { self.0 as f64 }
    }
}

/// Sum of values, or that per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum<const RATE: bool>(pub(crate) f64);

impl<const RATE: bool> Part for Sum<RATE> {
    fn of(_: i64, _: u64, value: f64) -> Self {
        Self(value)
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }

    fn value(&self, range_seconds: f64) -> f64 {
        if RATE { self.0 / range_seconds } else { self.0 }
    }
}

/// Smallest value, NaN only if there is no other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Min(f64);

impl Part for Min {
    fn of(_: i64, _: u64, value: f64) -> Self {
        Self(value)
    }

    fn merge(&mut self, other: &Self) {
        if other.0 < self.0 || self.0.is_nan() {
            self.0 = other.0;
        }
    }

    fn value(&self, _: f64) -> f64 {
        self.0
    }
}

/// Largest value, NaN only if there is no other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Max(f64);

impl Part for Max {
    fn of(_: i64, _: u64, value: f64) -> Self {
        Self(value)
    }

    fn merge(&mut self, other: &Self) {
        if other.0 > self.0 || self.0.is_nan() {
            self.0 = other.0;
        }
    }

    fn value(&self, _: f64) -> f64 {
        self.0
    }
}

/// Mean of values. An infinite one stays what it is when finite ones come in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    count: f64,
    mean: f64,
}

impl Part for Mean {
    fn of(_: i64, _: u64, value: f64) -> Self {
        Self { count: 1.0, mean: value }
    }

    fn merge(&mut self, other: &Self) {
        let count = self.count + other.count;
        let (a, b) = (self.mean, other.mean);
        self.mean = match (a.is_infinite(), b.is_infinite()) {
            (true, true) if a == b => a,
            (true, false) if !b.is_nan() => a,
            (false, true) if !a.is_nan() => b,
            // With equal parts this is exact.
            (false, false) => a + (b - a) * (other.count / count),
            _ => f64::NAN,
        };
        self.count = count;
    }

    fn value(&self, _: f64) -> f64 {
        self.mean
    }
}

/// Variance of the whole population, or its root (Welford; parts joined after Chan et al.).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variance<const ROOT: bool> {
    count: f64,
    mean: f64,
    squares: f64,
}

impl<const ROOT: bool> Part for Variance<ROOT> {
    fn of(_: i64, _: u64, value: f64) -> Self {
        // The first value's distance to a mean that is itself; infinite values have no variance.
        Self { count: 1.0, mean: value, squares: if value.is_finite() { 0.0 } else { f64::NAN } }
    }

    fn merge(&mut self, other: &Self) {
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        self.mean += delta * (other.count / count);
        self.squares += other.squares + delta * delta * (self.count * other.count / count);
        self.count = count;
    }

    fn value(&self, _: f64) -> f64 {
        let variance = self.squares / self.count;
        if ROOT { variance.sqrt() } else { variance }
    }
}

/// Oldest value; of equal times that of the stream with the smallest hash, then the one that came first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First {
    at: (i64, u64),
    value: f64,
}

impl Part for First {
    fn of(timestamp_ns: i64, hash: u64, value: f64) -> Self {
        Self { at: (timestamp_ns, hash), value }
    }

    fn merge(&mut self, other: &Self) {
        if other.at < self.at {
            *self = *other;
        }
    }

    fn value(&self, _: f64) -> f64 {
        self.value
    }
}

/// Newest value; of equal times that of the stream with the largest hash, then the one that came last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Last {
    at: (i64, u64),
    value: f64,
}

impl Part for Last {
    fn of(timestamp_ns: i64, hash: u64, value: f64) -> Self {
        Self { at: (timestamp_ns, hash), value }
    }

    fn merge(&mut self, other: &Self) {
        if other.at >= self.at {
            *self = *other;
        }
    }

    fn value(&self, _: f64) -> f64 {
        self.value
    }
}

/// Parts of one series by interval, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Parts<P> {
    covers: Vec<Cover>,
    parts: Vec<P>,
}

impl<P> Default for Parts<P> {
    fn default() -> Self {
        Self { covers: Vec::new(), parts: Vec::new() }
    }
}

impl<P: Part> Parts<P> {
    /// Adds what is known of entries of one interval, which come later than those added before if they are of the same
    /// stream. True when the interval is new.
    #[inline]
    pub(crate) fn add(&mut self, cover: Cover, part: P) -> bool {
        match self.covers.last() {
            Some(last) if *last == cover => {
                if let Some(known) = self.parts.last_mut() {
                    known.merge(&part);
                }
                false
            }
            Some(last) if *last > cover => self.insert(cover, part),
            _ => {
                self.covers.push(cover);
                self.parts.push(part);
                true
            }
        }
    }

    /// The same for an interval before the last one.
    fn insert(&mut self, cover: Cover, part: P) -> bool {
        match self.covers.binary_search(&cover) {
            Ok(at) => {
                self.parts[at].merge(&part);
                false
            }
            Err(at) => {
                self.covers.insert(at, cover);
                self.parts.insert(at, part);
                true
            }
        }
    }

    /// Adds all of another series' parts.
    pub(crate) fn merge(&mut self, other: Self) {
        if self.covers.is_empty() {
            *self = other;
            return;
        }
        if self.covers.last() < other.covers.first() {
            self.covers.extend(other.covers);
            self.parts.extend(other.parts);
            return;
        }
        let (covers, parts) = (std::mem::take(&mut self.covers), std::mem::take(&mut self.parts));
        let mut left = covers.into_iter().zip(parts).peekable();
        let mut right = other.covers.into_iter().zip(other.parts).peekable();
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) if a.0 <= b.0 => left.next(),
                (Some(_), None) => left.next(),
                (_, Some(_)) => right.next(),
                (None, None) => return,
            };
            if let Some((cover, part)) = next {
                self.add(cover, part);
            }
        }
    }
}

/// Calls `window` with each step that has entries in its window and what is known of them.
pub(crate) fn slide<P: Part>(parts: &Parts<P>, steps: usize, mut window: impl FnMut(usize, &P)) {
    let (covers, parts) = (&parts.covers, &parts.parts);
    // Intervals from `head` to before `middle` are merged from each to the middle, in `front` in reverse order; those from
    // there to before `tail` are merged in `back`.
    let (mut head, mut middle, mut tail) = (0, 0, 0);
    let mut front: Vec<P> = Vec::new();
    let mut back: Option<P> = None;
    let Some(first) = covers.first() else { return };
    let mut step = first.first as usize;
    while step < steps {
        while covers.get(tail).is_some_and(|cover| cover.first as usize <= step) {
            match &mut back {
                Some(merged) => merged.merge(&parts[tail]),
                None => back = Some(parts[tail].clone()),
            }
            tail += 1;
        }
        while head < tail && covers[head].end as usize <= step {
            if head == middle {
                turn_over(&parts[head..tail], &mut front);
                middle = tail;
                back = None;
            }
            front.pop();
            head += 1;
        }
        match (front.last(), &back) {
            (Some(older), Some(newer)) => {
                let mut merged = older.clone();
                merged.merge(newer);
                window(step, &merged);
            }
            (Some(part), None) | (None, Some(part)) => window(step, part),
            (None, None) => match covers.get(tail) {
                // Nothing is in this window: go on to the next that has something.
                Some(cover) => {
                    step = (cover.first as usize).max(step + 1);
                    continue;
                }
                None => return,
            },
        }
        step += 1;
    }
}

/// Merges from each part to the last one; the first part's is the last of `front`.
fn turn_over<P: Part>(parts: &[P], front: &mut Vec<P>) {
    front.clear();
    for part in parts.iter().rev() {
        let mut merged = part.clone();
        if let Some(later) = front.last() {
            merged.merge(later);
        }
        front.push(merged);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::grid::{Grid, Steps};
    use proptest::prelude::*;

    fn naive<P: Part>(entries: &[(i64, f64)], steps: Steps, range: i64) -> Vec<Option<f64>> {
        (0..steps.count)
            .map(|n| {
                let end = steps.at(n);
                let mut found: Option<P> = None;
                for (t, v) in entries.iter().filter(|(t, _)| end - range < *t && *t <= end) {
                    match &mut found {
                        Some(part) => part.merge(&P::of(*t, 0, *v)),
                        None => found = Some(P::of(*t, 0, *v)),
                    }
                }
                found.map(|part| part.value(1.0))
            })
            .collect()
    }

    fn slid<P: Part>(entries: &[(i64, f64)], steps: Steps, range: i64) -> Vec<Option<f64>> {
        let grid = Grid::new(steps, range, 0);
        let mut parts = Parts::<P>::default();
        for (t, v) in entries {
            let (cover, _) = grid.cover(*t);
            if !cover.is_empty() {
                parts.add(cover, P::of(*t, 0, *v));
            }
        }
        let mut out = vec![None; steps.count];
        slide(&parts, steps.count, |n, part| out[n] = Some(part.value(1.0)));
        out
    }

    fn close(a: &[Option<f64>], b: &[Option<f64>]) -> bool {
        a.len() == b.len()
            && a.iter().zip(b).all(|(a, b)| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(1.0) || a.is_nan() && b.is_nan() || a == b,
                (None, None) => true,
                _ => false,
            })
    }

    proptest! {
        #[test]
        fn sliding_equals_looking_at_each_window(
            times in proptest::collection::vec((0i64..500, -50i64..50), 0..80),
            start in 0i64..100, step in 1i64..60, count in 1usize..30, range in 1i64..150,
            shuffle: bool,
        ) {
            let mut entries: Vec<(i64, f64)> = times.into_iter().map(|(t, v)| (t, v as f64)).collect();
            let mut sorted = entries.clone();
            sorted.sort_by_key(|(t, _)| *t);
            if !shuffle {
                entries = sorted.clone();
            }
            let steps = Steps { start_ns: start, step_ns: step, count };
            prop_assert!(close(&slid::<Count<false>>(&entries, steps, range), &naive::<Count<false>>(&entries, steps, range)));
            prop_assert!(close(&slid::<Sum<false>>(&entries, steps, range), &naive::<Sum<false>>(&entries, steps, range)));
            prop_assert!(close(&slid::<Mean>(&entries, steps, range), &naive::<Mean>(&entries, steps, range)));
            prop_assert!(close(&slid::<Variance<true>>(&entries, steps, range), &naive::<Variance<true>>(&entries, steps, range)));
            prop_assert!(close(&slid::<Min>(&entries, steps, range), &naive::<Min>(&entries, steps, range)));
            prop_assert!(close(&slid::<Max>(&entries, steps, range), &naive::<Max>(&entries, steps, range)));
            if !shuffle {
                prop_assert_eq!(slid::<First>(&sorted, steps, range), naive::<First>(&sorted, steps, range));
                prop_assert_eq!(slid::<Last>(&sorted, steps, range), naive::<Last>(&sorted, steps, range));
            }
        }
    }

    #[test]
    fn infinities_follow_the_reference() {
        let mean = |values: &[f64]| {
            let mut parts = values.iter().map(|v| Mean::of(0, 0, *v));
            let mut first = parts.next().unwrap();
            parts.for_each(|part| first.merge(&part));
            first.value(1.0)
        };
        assert_eq!(mean(&[f64::INFINITY, 5.0]), f64::INFINITY);
        assert_eq!(mean(&[5.0, f64::NEG_INFINITY]), f64::NEG_INFINITY);
        assert!(mean(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert!(mean(&[f64::INFINITY, f64::NAN]).is_nan());
        assert!(Variance::<false>::of(0, 0, f64::INFINITY).value(1.0).is_nan());
    }
}
