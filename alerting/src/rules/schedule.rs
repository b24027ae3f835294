//! When a group is evaluated: at slots that are the same after every restart, spread over the interval by the group's name.
//!
//! Slots are `offset + n * interval` with `offset = hash(file, name) % interval`, so that groups of one interval do not
//! all run at once. The hash is Prometheus', so a group keeps its slots when it moves between the two.

use model::Labels;
use serde::{Deserialize, Serialize};

/// An evaluation that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The slot to evaluate at, never later than now.
    pub at_ms: i64,
    /// Slots that passed unused because the evaluation before took too long.
    pub missed: u64,
}

/// Slots of one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    interval_ns: i128,
    next_ns: i128,
}

const NS: i128 = 1_000_000;

impl Schedule {
    /// Slots of a group; the first is the next one after now. `interval_ms` below 1 counts as 1.
    pub fn new(file: &str, name: &str, interval_ms: i64, now_ms: i64) -> Self {
        let interval_ns = i128::from(interval_ms.max(1)) * NS;
        let hash = Labels::from_pairs([("name", name), ("file", file)]).prometheus_hash();
        let offset = i128::from(hash) % interval_ns;
        let now = i128::from(now_ms) * NS;
        let slot = (now - offset).div_euclid(interval_ns) * interval_ns + offset;
        Self { interval_ns, next_ns: slot + interval_ns }
    }

    /// When the next slot is.
    pub fn next_ms(&self) -> i64 {
        // Rounded up, so that whoever sleeps until then finds the slot due.
        to_ms(self.next_ns + NS - 1)
    }

    /// The latest slot that has come by now, if one has; slots before it are counted as missed.
    pub fn due(&mut self, now_ms: i64) -> Option<Due> {
        let now = i128::from(now_ms) * NS;
        // Within the millisecond that a caller cannot tell from the slot.
        let late = now + NS - 1 - self.next_ns;
        if late < 0 {
            return None;
        }
        let missed = late / self.interval_ns;
        let at = self.next_ns + missed * self.interval_ns;
        self.next_ns = at + self.interval_ns;
        Some(Due { at_ms: to_ms(at), missed: u64::try_from(missed).unwrap_or(u64::MAX) })
    }
}

fn to_ms(ns: i128) -> i64 {
    i64::try_from(ns.div_euclid(NS)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slots_do_not_depend_on_the_start() {
        let mut a = Schedule::new("f.yml", "g", 60_000, 1_700_000_000_123);
        let mut b = Schedule::new("f.yml", "g", 60_000, 1_700_000_000_123 + 7 * 60_000);
        let at = b.next_ms();
        let first = b.due(at).map(|due| due.at_ms);
        assert_eq!(a.due(at), first.map(|at_ms| Due { at_ms, missed: 7 }));
        assert_ne!(Schedule::new("f.yml", "h", 60_000, 0).next_ms(), Schedule::new("f.yml", "g", 60_000, 0).next_ms());
    }

    proptest! {
        #[test]
        fn every_slot_is_used_or_missed(
            interval in 1i64..100_000,
            start in 0i64..2_000_000_000_000,
            waits in prop::collection::vec(0i64..500_000, 1..50),
        ) {
            let mut schedule = Schedule::new("file", "group", interval, start);
            prop_assert!(schedule.next_ms() > start - 1 && schedule.next_ms() <= start + interval + 1);
            let first = schedule.next_ns;
            let mut now = start;
            let mut slots = 0i128;
            let mut last = None;
            for wait in waits {
                now += wait;
                if let Some(due) = schedule.due(now) {
                    prop_assert!(due.at_ms <= now);
                    prop_assert!(last.is_none_or(|last| due.at_ms > last || interval < 2));
                    last = Some(due.at_ms);
                    slots += 1 + i128::from(due.missed);
                    prop_assert_eq!(schedule.next_ns, first + slots * schedule.interval_ns);
                }
                prop_assert!(schedule.next_ms() > now || interval == 1 || schedule.next_ns > i128::from(now) * NS);
            }
        }
    }
}
