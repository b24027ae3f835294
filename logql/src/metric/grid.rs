//! The steps of a query and the windows before them.

/// No number at a step: a NaN that no arithmetic makes.
pub(crate) const ABSENT: f64 = model::STALE_NAN;

/// Whether there is a number at a step.
#[inline]
pub(crate) fn is_present(value: f64) -> bool {
    !model::is_stale(value)
}

/// Evaluation times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) start_ns: i64,
    /// Positive, also when there is one step only.
    pub(crate) step_ns: i64,
    pub(crate) count: usize,
}

impl Steps {
    pub(crate) fn instant(at_ns: i64) -> Self {
        Self { start_ns: at_ns, step_ns: 1, count: 1 }
    }

    /// Steps from start to end, both included.
    pub(crate) fn range(start_ns: i64, end_ns: i64, step_ns: i64) -> Self {
        let step_ns = step_ns.max(1);
        let length = end_ns.saturating_sub(start_ns);
        let count = if length < 0 { 0 } else { (length / step_ns) as usize + 1 };
        Self { start_ns, step_ns, count }
    }

    #[inline]
    pub(crate) fn at(&self, index: usize) -> i64 {
        self.start_ns.saturating_add(self.step_ns.saturating_mul(index as i64))
    }

    pub(crate) fn last(&self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }
}

/// Windows `(step - range, step]`, all moved back by an offset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    steps: Steps,
    range_ns: i64,
}

/// The windows that a time belongs to: those from `first` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cover {
    pub(crate) first: u32,
    pub(crate) end: u32,
}

impl Cover {
    pub(crate) fn is_empty(self) -> bool {
        self.first >= self.end
    }
}

impl Grid {
    pub(crate) fn new(steps: Steps, range_ns: i64, offset_ns: i64) -> Self {
        let start_ns = steps.start_ns.saturating_sub(offset_ns);
        Self { steps: Steps { start_ns, ..steps }, range_ns }
    }

    pub(crate) fn step_count(&self) -> usize {
        self.steps.count
    }

    /// Times of entries that belong to a window: from the first, inclusive, to the second, exclusive.
    pub(crate) fn bounds(&self) -> (i64, i64) {
        let start = self.steps.start_ns.saturating_sub(self.range_ns).saturating_add(1);
        (start, self.steps.last().saturating_add(1))
    }

    /// End of window `index`, inclusive.
    pub(crate) fn window_end(&self, index: usize) -> i64 {
        self.steps.at(index)
    }

    /// The windows that time `t` belongs to, and the last time that belongs to the same ones.
    pub(crate) fn cover(&self, t: i64) -> (Cover, i64) {
        let first = self.index_from(t);
        let end = self.index_from(t.saturating_add(self.range_ns));
        let until_first = if first < self.steps.count { self.steps.at(first) } else { i64::MAX };
        let until_end =
            if end < self.steps.count { self.steps.at(end).saturating_sub(self.range_ns) } else { i64::MAX };
        (Cover { first: first as u32, end: end as u32 }, until_first.min(until_end))
    }

    /// Index of the first step at or after `t`.
    fn index_from(&self, t: i64) -> usize {
        if let Some(distance) = t.checked_sub(self.steps.start_ns).filter(|distance| *distance > 0) {
            // The usual case, without division of 128 bits.
            let (distance, step) = (distance as u64, self.steps.step_ns.max(1) as u64);
            return usize::try_from(distance.div_ceil(step)).unwrap_or(usize::MAX).min(self.steps.count);
        }
        let distance = i128::from(t) - i128::from(self.steps.start_ns);
        let step = i128::from(self.steps.step_ns);
        let index = if distance <= 0 { 0 } else { (distance + step - 1) / step };
        usize::try_from(index).unwrap_or(usize::MAX).min(self.steps.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_are_open_on_the_left() {
        let grid = Grid::new(Steps::range(100, 130, 10), 20, 0);
        assert_eq!(grid.bounds(), (81, 131));
        assert_eq!(grid.cover(80).0, Cover { first: 0, end: 0 });
        assert_eq!(grid.cover(81), (Cover { first: 0, end: 1 }, 90));
        assert_eq!(grid.cover(100), (Cover { first: 0, end: 2 }, 100));
        assert_eq!(grid.cover(101).0, Cover { first: 1, end: 3 });
        assert_eq!(grid.cover(130).0, Cover { first: 3, end: 4 });
        assert!(grid.cover(131).0.is_empty());
    }

    proptest! {
        #[test]
        fn covers_what_a_look_at_each_window_says(
            start in -1000i64..1000, step in 1i64..50, count in 1usize..20, range in 1i64..200, offset in -50i64..50, t in -2000i64..3000,
        ) {
            let steps = Steps { start_ns: start, step_ns: step, count };
            let grid = Grid::new(steps, range, offset);
            let inside = |t: i64| -> Vec<usize> {
                (0..count).filter(|n| { let end = steps.at(*n) - offset; end - range < t && t <= end }).collect()
            };
            let (cover, until) = grid.cover(t);
            let want: Vec<usize> = if cover.is_empty() { vec![] } else { (cover.first as usize..cover.end as usize).collect() };
            prop_assert_eq!(inside(t), want.clone());
            prop_assert!(until >= t);
            prop_assert_eq!(inside(until.min(4000)), want);
        }
    }
}
