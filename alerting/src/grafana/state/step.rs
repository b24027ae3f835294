//! One alert instance of a Grafana rule: the pure transition.
//!
//! What an evaluation says becomes a target by the rule's settings (`noDataState`, `execErrState`): normal, or one of the
//! states that fire: Alerting, NoData, Error. `T` is such a target:
//!
//! ```text
//! state \ target | T                                         | Normal
//! ---------------+-------------------------------------------+------------------------------------------
//! T itself       | stays                                     | (for Alerting: Recovering if keep_firing_for > 0)
//! Pending        | T once `for` has passed, else stays       | Normal
//! Recovering     | T                                         | Normal once keep_firing_for has passed
//! any other      | Pending if `for` > 0, else T              | Normal
//! ```
//!
//! A pending instance keeps its timer when what it waits for changes between Alerting, NoData and Error; its reason says
//! what it waits for now. A missing series is not a target: see [`end`].

use serde::{Deserialize, Serialize};

use crate::grafana::rule::{ExecErrState, NoDataState};

/// State of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// Nothing is wrong.
    #[default]
    Normal,
    /// The condition holds, but not for long enough.
    Pending,
    /// It fires.
    Alerting,
    /// There is no data.
    NoData,
    /// The evaluation failed.
    Error,
    /// It fires on although the condition no longer holds.
    Recovering,
}

impl State {
    /// As people see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Pending => "Pending",
            Self::Alerting => "Alerting",
            Self::NoData => "NoData",
            Self::Error => "Error",
            Self::Recovering => "Recovering",
        }
    }

    /// Whether receivers are told that something fires.
    pub fn fires(self) -> bool {
        matches!(self, Self::Alerting | Self::NoData | Self::Error | Self::Recovering)
    }
}

/// What an evaluation says about an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The condition does not hold.
    Normal,
    /// It does.
    Alerting,
    /// There was nothing to look at.
    NoData,
    /// It failed.
    Error,
}

/// Settings of a rule that decide transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long the condition must hold.
    pub for_ms: i64,
    /// How long it fires on.
    pub keep_firing_for_ms: i64,
    /// How long an instance counts as firing without news.
    pub lease_ms: i64,
    /// What becomes of it without data.
    pub no_data: NoDataState,
    /// What becomes of it on errors.
    pub exec_err: ExecErrState,
}

/// Why a state is not what the evaluation says, or what it stands for.
pub mod reason {
    /// There was no data.
    pub const NO_DATA: &str = "NoData";
    /// The evaluation failed.
    pub const ERROR: &str = "Error";
    /// The state before was kept.
    pub const KEEP_LAST: &str = "KeepLast";
    /// The series is gone.
    pub const MISSING_SERIES: &str = "MissingSeries";
    /// The rule is paused.
    pub const PAUSED: &str = "Paused";
    /// The rule was changed.
    pub const UPDATED: &str = "Updated";
    /// The rule was deleted.
    pub const RULE_DELETED: &str = "RuleDeleted";
}

/// The state of an instance with its times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Core {
    /// The state.
    pub state: State,
    /// Why, if it is not plain.
    pub reason: String,
    /// Since when.
    pub starts_at_ms: i64,
    /// Until when receivers may count on it; when it ended, if it is normal.
    pub ends_at_ms: i64,
    /// When it last stopped firing.
    pub resolved_at_ms: Option<i64>,
}

/// What an evaluation aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Normal,
    Fire(State),
    /// What the instance is already.
    Keep,
}

impl Timing {
    fn target(&self, outcome: Outcome) -> Target {
        match outcome {
            Outcome::Normal => Target::Normal,
            Outcome::Alerting => Target::Fire(State::Alerting),
            Outcome::NoData => match self.no_data {
                NoDataState::NoData => Target::Fire(State::NoData),
                NoDataState::Alerting => Target::Fire(State::Alerting),
                NoDataState::Ok => Target::Normal,
                NoDataState::KeepLast => Target::Keep,
            },
            Outcome::Error => match self.exec_err {
                ExecErrState::Error => Target::Fire(State::Error),
                ExecErrState::Alerting => Target::Fire(State::Alerting),
                ExecErrState::Ok => Target::Normal,
                ExecErrState::KeepLast => Target::Keep,
            },
        }
    }
}

/// The next state of an instance after an evaluation at `now_ms`.
pub fn step(core: &Core, now_ms: i64, outcome: Outcome, timing: &Timing) -> Core {
    let from = match outcome {
        Outcome::Normal | Outcome::Alerting => "",
        Outcome::NoData => reason::NO_DATA,
        Outcome::Error => reason::ERROR,
    };
    match timing.target(outcome) {
        Target::Normal => normal(core, now_ms, from, timing),
        Target::Fire(target) => fire(core, now_ms, target, from, timing),
        Target::Keep => {
            let kept = format!("{from}, {}", reason::KEEP_LAST);
            match core.state {
                State::Alerting | State::Pending => fire(core, now_ms, State::Alerting, &kept, timing),
                State::Normal | State::NoData | State::Error | State::Recovering => normal(core, now_ms, &kept, timing),
            }
        }
    }
}

/// The reason is left out where the state says it.
fn plain(state: State, reason: &str) -> &str {
    if state.as_str() == reason { "" } else { reason }
}

fn fire(core: &Core, now_ms: i64, target: State, from: &str, timing: &Timing) -> Core {
    let ends_at_ms = now_ms.saturating_add(timing.lease_ms);
    let at_once = |state: State| Core {
        state,
        reason: plain(state, from).to_owned(),
        starts_at_ms: now_ms,
        ends_at_ms,
        resolved_at_ms: None,
    };
    match core.state {
        state if state == target => Core { reason: plain(target, from).to_owned(), ends_at_ms, ..core.clone() },
        State::Pending if now_ms.saturating_sub(core.starts_at_ms) >= timing.for_ms => at_once(target),
        State::Pending => Core { reason: from.to_owned(), ends_at_ms, ..core.clone() },
        State::Recovering => at_once(target),
        _ if timing.for_ms > 0 => at_once(State::Pending),
        _ => at_once(target),
    }
}

fn normal(core: &Core, now_ms: i64, from: &str, timing: &Timing) -> Core {
    let lingers = Core { reason: from.to_owned(), ends_at_ms: now_ms.saturating_add(timing.lease_ms), ..core.clone() };
    match core.state {
        State::Normal => Core { reason: from.to_owned(), ..core.clone() },
        State::Alerting if timing.keep_firing_for_ms > 0 => {
            Core { state: State::Recovering, starts_at_ms: now_ms, ..lingers }
        }
        State::Recovering if now_ms.saturating_sub(core.starts_at_ms) < timing.keep_firing_for_ms => lingers,
        _ => end(core, now_ms, from),
    }
}

/// The instance ended for a reason other than an evaluation: its series is gone, the rule was paused, changed or deleted.
pub fn end(core: &Core, now_ms: i64, reason: &str) -> Core {
    let resolved_at_ms = if core.state.fires() { Some(now_ms) } else { core.resolved_at_ms };
    let starts_at_ms = if core.state == State::Normal { core.starts_at_ms } else { now_ms };
    Core { state: State::Normal, reason: reason.to_owned(), starts_at_ms, ends_at_ms: now_ms, resolved_at_ms }
}
