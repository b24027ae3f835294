//! The state of one alert, and its one transition function.
//!
//! [`step`] is pure: state and observation in, state and transitions out. It is called once per evaluation for every
//! alert that is in the result (`Present`) or is known (`Absent`). With `held` for `now - active_at >= for` and `kept` for
//! "`keep_firing_for` has not passed since the condition cleared":
//!
//! | state | Present | Absent |
//! | --- | --- | --- |
//! | Inactive | Pending(now), then at once Firing if `for` is 0 | Inactive |
//! | Pending | Firing if held, else Pending | Inactive, the time spent pending is lost |
//! | Firing | Firing, clearing ends being kept; Pending if no longer held (`for` was raised) | Firing while kept (Pending if no longer held), else Resolved(now) |
//! | Resolved | as Inactive: a new alert | Resolved for 15 minutes after, then Inactive |
//!
//! A clock that goes back only makes waiting longer: differences are signed and compared as such.

use serde::{Deserialize, Serialize};

/// How long a resolved alert is kept and re-sent.
pub const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;

/// State of one alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// The condition does not hold; nothing is remembered.
    #[default]
    Inactive,
    /// The condition holds, not yet for long enough.
    Pending {
        /// Since when the condition holds.
        active_at_ms: i64,
    },
    /// The condition has held long enough, or lingers.
    Firing {
        /// Since when the condition holds.
        active_at_ms: i64,
        /// When it began to fire.
        fired_at_ms: i64,
        /// Since when the condition is cleared while the alert is kept firing.
        cleared_at_ms: Option<i64>,
    },
    /// It has fired and does not any more; receivers are still told.
    Resolved {
        /// Since when the condition held.
        active_at_ms: i64,
        /// When it began to fire.
        fired_at_ms: i64,
        /// When it stopped.
        resolved_at_ms: i64,
    },
}

impl AlertState {
    /// `pending`, `firing` or `inactive`, as the API and the `ALERTS` series say.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Firing { .. } => "firing",
            Self::Inactive | Self::Resolved { .. } => "inactive",
        }
    }

    /// Since when the condition holds or held.
    pub fn active_at_ms(self) -> Option<i64> {
        match self {
            Self::Inactive => None,
            Self::Pending { active_at_ms }
            | Self::Firing { active_at_ms, .. }
            | Self::Resolved { active_at_ms, .. } => Some(active_at_ms),
        }
    }

    /// Pending or firing.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Pending { .. } | Self::Firing { .. })
    }

    /// Firing, kept firing included.
    pub fn is_firing(self) -> bool {
        matches!(self, Self::Firing { .. })
    }
}

/// Whether the alert's label set was in the expression's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// It was.
    Present,
    /// It was not.
    Absent,
}

/// The durations of a rule that its alerts obey.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// `for`: how long the condition must hold.
    pub for_ms: i64,
    /// `keep_firing_for`: how long the alert lingers.
    pub keep_firing_for_ms: i64,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// State before.
    pub from: AlertState,
    /// State after.
    pub to: AlertState,
    /// When.
    pub at_ms: i64,
}

/// One alert's transition; see the module for the table. At most two transitions come back: a rule without `for` goes
/// from inactive through pending to firing in one evaluation.
pub fn step(
    state: AlertState,
    now_ms: i64,
    observation: Observation,
    timing: &Timing,
) -> (AlertState, Vec<Transition>) {
    let mut transitions = Vec::new();
    let mut go = |from: AlertState, to: AlertState| {
        if std::mem::discriminant(&from) != std::mem::discriminant(&to) {
            transitions.push(Transition { from, to, at_ms: now_ms });
        }
        to
    };
    let held = |active_at_ms: i64| now_ms.saturating_sub(active_at_ms) >= timing.for_ms;
    let next = match (state, observation) {
        (AlertState::Inactive | AlertState::Resolved { .. }, Observation::Present) => {
            let pending = go(state, AlertState::Pending { active_at_ms: now_ms });
            if held(now_ms) { go(pending, firing(now_ms, now_ms)) } else { pending }
        }
        (AlertState::Inactive, Observation::Absent) => state,
        (AlertState::Pending { active_at_ms }, Observation::Present) => {
            if held(active_at_ms) {
                go(state, firing(active_at_ms, now_ms))
            } else {
                state
            }
        }
        (AlertState::Pending { .. }, Observation::Absent) => go(state, AlertState::Inactive),
        (AlertState::Firing { active_at_ms, fired_at_ms, .. }, Observation::Present) => {
            if held(active_at_ms) {
                firing(active_at_ms, fired_at_ms)
            } else {
                go(state, AlertState::Pending { active_at_ms })
            }
        }
        (AlertState::Firing { active_at_ms, fired_at_ms, cleared_at_ms }, Observation::Absent) => {
            let since = cleared_at_ms.unwrap_or(now_ms);
            if timing.keep_firing_for_ms > 0 && now_ms.saturating_sub(since) < timing.keep_firing_for_ms {
                if held(active_at_ms) {
                    AlertState::Firing { active_at_ms, fired_at_ms, cleared_at_ms: Some(since) }
                } else {
                    go(state, AlertState::Pending { active_at_ms })
                }
            } else {
                go(state, AlertState::Resolved { active_at_ms, fired_at_ms, resolved_at_ms: now_ms })
            }
        }
        (AlertState::Resolved { resolved_at_ms, .. }, Observation::Absent) => {
            if now_ms.saturating_sub(resolved_at_ms) > RESOLVED_RETENTION_MS {
                go(state, AlertState::Inactive)
            } else {
                state
            }
        }
    };
    (next, transitions)
}

fn firing(active_at_ms: i64, fired_at_ms: i64) -> AlertState {
    AlertState::Firing { active_at_ms, fired_at_ms, cleared_at_ms: None }
}

#[cfg(test)]
mod tests;
