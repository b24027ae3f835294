//! Cuts the time range of a selection into slices of about as many entries as are wanted next.
//!
//! Entries of a unit are taken to lie evenly between its ends: that decides how much is read at once, never what is answered.
//! Slices lie one behind the other, newest first or oldest first, and every entry of the selection is in exactly one of
//! them; so the entries of a slice, sorted, are the next ones of the answer, whatever the units that they come from.
//!
//! Inside, time runs ahead in both directions: backwards it is turned round ([`Way::place`]).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use model::{Direction, LogUnit};

/// Bytes of a line that count as much as a line does.
const LINE_BYTES: u64 = 256;

/// A part of the time range: from `start_ns`, inclusive, to `end_ns`, exclusive; an end of `i64::MAX` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    /// Where the slice ends on its way.
    end: i64,
}

impl Slice {
    /// Whether nothing is behind it.
    pub(super) fn is_last(self) -> bool {
        self.end == i64::MAX
    }
}

/// The way through time, and its ends.
#[derive(Clone, Copy, Debug)]
struct Way {
    direction: Direction,
    near: i64,
    far: i64,
}

impl Way {
    /// Where a time is on the way.
    fn place(self, time_ns: i64) -> i64 {
        match self.direction {
            Direction::Forward => time_ns,
            // Greatest becomes least; nothing overflows.
            Direction::Backward => !time_ns,
        }
    }

    /// Where a unit begins, and where its last entry may be.
    fn unit(self, unit: &LogUnit) -> (i64, i64) {
        let (near, far) = match self.direction {
            Direction::Forward => (unit.min_ns, unit.max_ns),
            Direction::Backward => (unit.max_ns, unit.min_ns),
        };
        (self.place(near).max(self.near), self.place(far).min(self.far))
    }

    fn slice(self, start: i64, end: i64) -> Slice {
        let (start_ns, end_ns) = match self.direction {
            Direction::Forward => (start, end),
            Direction::Backward if end == i64::MAX => (i64::MIN, (!start).saturating_add(1)),
            Direction::Backward => ((!end).saturating_add(1), (!start).saturating_add(1)),
        };
        Slice { start_ns, end_ns, end }
    }
}

/// Where the cutting stands. Units come in the order of a selection.
#[derive(Debug)]
pub(super) struct Slices {
    way: Way,
    /// Everything before this is in a slice.
    at: i64,
    next_unit: usize,
    /// The units that lie here: where each ends, and its weight by nanosecond.
    open: BinaryHeap<Reverse<(i64, Weight)>>,
    density: f64,
}

/// Entries by nanosecond, as bits: the order among units that end together is of no matter.
type Weight = u64;

impl Slices {
    /// Slices of the times from `start_ns` to before `end_ns`.
    pub(super) fn new(start_ns: i64, end_ns: i64, direction: Direction) -> Self {
        let last_ns = if end_ns == i64::MAX { end_ns } else { end_ns.saturating_sub(1) };
        let mut way = Way { direction, near: i64::MIN, far: i64::MAX };
        let (one, other) = (way.place(start_ns), way.place(last_ns));
        (way.near, way.far) = (one.min(other), one.max(other));
        Self { way, at: i64::MIN, next_unit: 0, open: BinaryHeap::new(), density: 0.0 }
    }

    /// The next slice, with about so many entries; the last one has all that is left.
    pub(super) fn next(&mut self, units: &[LogUnit], entries: usize) -> Slice {
        let start = self.at;
        let mut wanted = entries.max(1) as f64;
        loop {
            let arrival = units.get(self.next_unit).map(|unit| self.way.unit(unit).0);
            let leaving = self.open.peek().map(|Reverse((far, _))| far.saturating_add(1));
            let Some(event) = arrival.into_iter().chain(leaving).min() else {
                self.at = i64::MAX;
                return self.way.slice(start, i64::MAX);
            };
            let length = event.abs_diff(self.at) as f64;
            if event > self.at && self.density * length >= wanted {
                // At least a nanosecond, so that there is an end to it.
                let step = ((wanted / self.density) as i64).max(1);
                self.at = self.at.saturating_add(step).min(event);
                return self.way.slice(start, self.at);
            }
            wanted -= self.density * length;
            self.at = self.at.max(event);
            self.pass(units, event);
        }
    }

    /// Lets go of the units that end before a place, and takes those that begin there.
    fn pass(&mut self, units: &[LogUnit], place: i64) {
        while let Some(Reverse((far, weight))) = self.open.peek()
            && far.saturating_add(1) <= place
        {
            self.density -= f64::from_bits(*weight);
            self.open.pop();
        }
        while let Some(unit) = units.get(self.next_unit) {
            let (near, far) = self.way.unit(unit);
            if near > place {
                break;
            }
            let length = unit.max_ns.abs_diff(unit.min_ns) as f64 + 1.0;
            let weight = (unit.entries + unit.bytes / LINE_BYTES) as f64 / length;
            self.density += weight;
            self.open.push(Reverse((far.max(place), weight.to_bits())));
            self.next_unit += 1;
        }
        if self.open.is_empty() {
            self.density = 0.0;
        }
    }

    /// Whether a unit may have entries in the slice or before it.
    pub(super) fn begins(&self, unit: &LogUnit, slice: Slice) -> bool {
        slice.is_last() || self.way.unit(unit).0 < slice.end
    }

    /// Whether a unit has no entries behind the slice.
    pub(super) fn ends(&self, unit: &LogUnit, slice: Slice) -> bool {
        slice.is_last() || self.way.unit(unit).1 < slice.end
    }

    /// The slice and everything behind it.
    pub(super) fn rest(&self, slice: Slice) -> Slice {
        match self.way.direction {
            Direction::Forward => Slice { end_ns: i64::MAX, end: i64::MAX, ..slice },
            Direction::Backward => Slice { start_ns: i64::MIN, end: i64::MAX, ..slice },
        }
    }

    /// About which part of a unit's entries is in a slice.
    pub(super) fn share(&self, unit: &LogUnit, slice: Slice) -> f64 {
        let start = unit.min_ns.max(slice.start_ns);
        let end = if slice.end_ns == i64::MAX { unit.max_ns } else { unit.max_ns.min(slice.end_ns - 1) };
        let inside = if end < start { 0.0 } else { end.abs_diff(start) as f64 + 1.0 };
        inside / (unit.max_ns.abs_diff(unit.min_ns) as f64 + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit(min_ns: i64, max_ns: i64, entries: u64) -> LogUnit {
        LogUnit { stream: 0, min_ns, max_ns, entries, bytes: 0 }
    }

    #[test]
    fn slices_have_about_as_many_entries_as_wanted() {
        // Two units at the same time, then nothing, then one.
        let units = [unit(1_000, 1_999, 1_000), unit(1_000, 1_999, 1_000), unit(5_000, 5_999, 100)];
        let mut slices = Slices::new(0, 10_000, Direction::Forward);
        let ends: Vec<i64> = [200, 400, 1_000, 450, 1].map(|wanted| slices.next(&units, wanted).end_ns).into();
        assert_eq!(ends, [1_100, 1_300, 1_800, 5_500, 5_510]);
        let mut backward: Vec<LogUnit> = units.to_vec();
        backward.reverse();
        let mut slices = Slices::new(0, 5_500, Direction::Backward);
        assert_eq!(slices.next(&backward, 10), Slice { start_ns: 5_400, end_ns: i64::MAX, end: !5_399 });
        let next = slices.next(&backward, 140);
        assert_eq!((next.start_ns, next.end_ns), (1_950, 5_400));
        let last = slices.next(&backward, 1 << 20);
        assert_eq!((last.start_ns, last.end_ns), (i64::MIN, 1_950));
    }

    proptest! {
        #[test]
        fn every_time_is_in_one_slice(
            units in prop::collection::vec((-60i64..60, 0i64..40, 1u64..30), 0..12),
            wanted in prop::collection::vec(1usize..60, 200),
            range in (-50i64..0, 1i64..50),
            backward in any::<bool>(),
        ) {
            let (start_ns, end_ns) = range;
            let direction = if backward { Direction::Backward } else { Direction::Forward };
            let inside = |unit: &LogUnit| unit.max_ns >= start_ns && unit.min_ns < end_ns;
            let mut units: Vec<LogUnit> =
                units.into_iter().map(|(min, len, n)| unit(min, min + len, n)).filter(inside).collect();
            if backward {
                units.sort_by_key(|unit| Reverse(unit.max_ns));
            } else {
                units.sort_by_key(|unit| unit.min_ns);
            }
            let mut slices = Slices::new(start_ns, end_ns, direction);
            let mut last: Option<Slice> = None;
            for wanted in wanted {
                let slice = slices.next(&units, wanted);
                match (last, direction) {
                    (None, Direction::Forward) => prop_assert_eq!(slice.start_ns, i64::MIN),
                    (None, Direction::Backward) => prop_assert!(slice.end_ns >= end_ns),
                    (Some(last), Direction::Forward) => prop_assert_eq!(slice.start_ns, last.end_ns),
                    (Some(last), Direction::Backward) => prop_assert_eq!(slice.end_ns, last.start_ns),
                }
                prop_assert!(slice.start_ns < slice.end_ns);
                for unit in &units {
                    let times = unit.min_ns.max(start_ns)..=unit.max_ns.min(end_ns - 1);
                    let behind = |t: i64| if backward { t < slice.start_ns } else { t >= slice.end_ns };
                    prop_assert_eq!(slices.ends(unit, slice), !times.clone().any(behind));
                    prop_assert_eq!(slices.begins(unit, slice), !times.clone().all(behind));
                }
                last = Some(slice);
                if slice.end == i64::MAX {
                    return Ok(());
                }
            }
            prop_assert!(false, "there is no end to it");
        }
    }
}
