use proptest::prelude::*;

use super::AlertState::{Firing, Inactive, Pending, Resolved};
use super::Observation::{Absent, Present};
use super::*;

const T: i64 = 1_000_000;

fn timing(for_ms: i64, keep_firing_for_ms: i64) -> Timing {
    Timing { for_ms, keep_firing_for_ms }
}

fn fire(active: i64, fired: i64, cleared: Option<i64>) -> AlertState {
    Firing { active_at_ms: active, fired_at_ms: fired, cleared_at_ms: cleared }
}

fn resolved(at: i64) -> AlertState {
    Resolved { active_at_ms: T - 900, fired_at_ms: T - 500, resolved_at_ms: at }
}

/// Every cell of the module's table, with its conditions met, just met and not met.
#[test]
fn every_cell_of_the_table() {
    let pend = |at| Pending { active_at_ms: at };
    let kept = RESOLVED_RETENTION_MS;
    let cases = [
        // state, timing, observation, next, number of transitions
        (Inactive, timing(0, 0), Absent, Inactive, 0),
        (Inactive, timing(0, 0), Present, fire(T, T, None), 2),
        (Inactive, timing(1, 0), Present, pend(T), 1),
        (pend(T - 99), timing(100, 0), Present, pend(T - 99), 0),
        (pend(T - 100), timing(100, 0), Present, fire(T - 100, T, None), 1),
        (pend(T - 101), timing(100, 0), Present, fire(T - 101, T, None), 1),
        (pend(T - 101), timing(100, 50), Absent, Inactive, 1),
        (pend(T + 50), timing(0, 0), Present, pend(T + 50), 0),
        (fire(T - 200, T - 100, None), timing(100, 0), Present, fire(T - 200, T - 100, None), 0),
        (fire(T - 200, T - 100, Some(T - 10)), timing(100, 60), Present, fire(T - 200, T - 100, None), 0),
        (fire(T - 200, T - 100, None), timing(300, 0), Present, pend(T - 200), 1),
        (
            fire(T - 200, T - 100, None),
            timing(100, 0),
            Absent,
            Resolved { active_at_ms: T - 200, fired_at_ms: T - 100, resolved_at_ms: T },
            1,
        ),
        (fire(T - 200, T - 100, None), timing(100, 60), Absent, fire(T - 200, T - 100, Some(T)), 0),
        (fire(T - 200, T - 100, Some(T - 59)), timing(100, 60), Absent, fire(T - 200, T - 100, Some(T - 59)), 0),
        (
            fire(T - 200, T - 100, Some(T - 60)),
            timing(100, 60),
            Absent,
            Resolved { active_at_ms: T - 200, fired_at_ms: T - 100, resolved_at_ms: T },
            1,
        ),
        (fire(T - 200, T - 100, None), timing(300, 60), Absent, pend(T - 200), 1),
        (resolved(T - kept), timing(0, 0), Absent, resolved(T - kept), 0),
        (resolved(T - kept - 1), timing(0, 0), Absent, Inactive, 1),
        (resolved(T - 5), timing(0, 0), Present, fire(T, T, None), 2),
        (resolved(T - 5), timing(10, 0), Present, pend(T), 1),
    ];
    for (i, (state, timing, observation, want, count)) in cases.into_iter().enumerate() {
        let (next, transitions) = step(state, T, observation, &timing);
        assert_eq!(next, want, "case {i}: {state:?} {observation:?} {timing:?}");
        assert_eq!(transitions.len(), count, "case {i}: {transitions:?}");
        if let (Some(first), Some(last)) = (transitions.first(), transitions.last()) {
            assert_eq!((first.from, last.to), (state, next), "case {i}");
        }
    }
}

proptest! {
    /// Over random timelines: an alert fires only after `for` of unbroken presence, resolves only after
    /// `keep_firing_for` of unbroken absence, and a state that went through its serialised form goes on as if it had not.
    #[test]
    fn random_timelines(
        for_ms in 0i64..500,
        keep in 0i64..500,
        gaps in prop::collection::vec((1i64..200, any::<bool>()), 1..80),
        cut in 0usize..80,
    ) {
        let timing = timing(for_ms, keep);
        let mut state = Inactive;
        let mut restored = Inactive;
        let mut now = 0;
        let mut present_since: Option<i64> = None;
        let mut absent_since: Option<i64> = None;
        for (i, (gap, present)) in gaps.into_iter().enumerate() {
            now += gap;
            if present {
                present_since.get_or_insert(now);
                absent_since = None;
            } else {
                absent_since.get_or_insert(now);
            }
            let observation = if present { Present } else { Absent };
            let was_firing = state.is_firing();
            let (next, _) = step(state, now, observation, &timing);
            if next.is_firing() && !was_firing {
                prop_assert!(present && now - present_since.unwrap_or(now) >= for_ms);
            }
            if was_firing && !next.is_firing() {
                prop_assert!(!present && now - absent_since.unwrap_or(now) >= keep);
            }
            if !present && !next.is_active() {
                present_since = None;
            }
            if i == cut {
                let text = serde_json::to_string(&restored).unwrap_or_default();
                restored = serde_json::from_str(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
            }
            restored = step(restored, now, observation, &timing).0;
            prop_assert_eq!(restored, next);
            state = next;
        }
    }

    /// Any observation, however the clock jumps: an alert never fires without having been seen.
    #[test]
    fn jumping_clocks(times in prop::collection::vec((-1_000_000i64..1_000_000, any::<bool>()), 1..50)) {
        let timing = timing(1_000, 100);
        let mut state = Inactive;
        let mut seen = false;
        for (now, present) in times {
            seen |= present;
            state = step(state, now, if present { Present } else { Absent }, &timing).0;
            prop_assert!(seen || state == Inactive);
        }
    }
}
