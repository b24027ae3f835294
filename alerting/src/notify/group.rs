//! A group of alerts on its way to one receiver: its members, its timer, and the flush in progress.
//!
//! A flush is one round of a group: the alerts as they are then, and one [`Step`] per integration that has to be told. It
//! ends when every step is done or has failed; the next one waits for that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::Labels;

use super::config::Integration;
use super::log::LogEntry;
use super::message::Message;
use super::request::{FailureReason, SendId};
use super::retry::Answers;

/// Number of a group within its notifier; records refer to groups by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct GroupId(pub(crate) u64);

/// A group.
#[derive(Debug)]
pub(crate) struct Group {
    /// Index of the route.
    pub(crate) route: usize,
    /// What it is grouped by.
    pub(crate) labels: Labels,
    /// Key in the notification log.
    pub(crate) key: String,
    /// Labels of its alerts.
    pub(crate) members: BTreeSet<Labels>,
    /// When it is due.
    pub(crate) next_flush_ms: i64,
    /// The round in progress.
    pub(crate) flush: Option<Flush>,
}

/// One round.
#[derive(Debug)]
pub(crate) struct Flush {
    /// When attempts are given up.
    pub(crate) deadline_ms: i64,
    /// Alerts that were resolved, and when they were last heard of: forgotten once everyone is told.
    pub(crate) resolved: Vec<(Labels, i64)>,
    /// What is to be done.
    pub(crate) steps: Vec<Step>,
}

/// Telling one integration.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) integration: Arc<Integration>,
    pub(crate) message: Message,
    /// What the log will say once it is told; time and expiry are filled in then.
    pub(crate) entry: LogEntry,
    /// How long the log remembers it.
    pub(crate) remember_ms: i64,
    pub(crate) state: StepState,
    pub(crate) last_error: Option<(FailureReason, String)>,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepState {
    /// The next attempt is due at a time.
    Waiting { attempt: u32, at_ms: i64 },
    /// The host is sending.
    InFlight { attempt: u32, id: SendId },
    /// Told.
    Done,
    /// Given up.
    Failed,
}

/// An attempt the host is carrying out. It outlives its group, so that what was delivered is remembered even if the group
/// is gone by then.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) group: GroupId,
    pub(crate) step: usize,
    pub(crate) answers: Answers,
    pub(crate) entry: LogEntry,
    pub(crate) remember_ms: i64,
    pub(crate) previous: BTreeMap<String, String>,
    /// When the host is taken to have lost it.
    pub(crate) lost_at_ms: i64,
}

impl Flush {
    pub(crate) fn is_over(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.state, StepState::Done | StepState::Failed))
    }

    pub(crate) fn succeeded(&self) -> bool {
        self.steps.iter().all(|step| step.state == StepState::Done)
    }
}

impl Group {
    /// When there is something to do; `lost` says when an attempt counts as lost.
    pub(crate) fn wake_ms(&self, lost: impl Fn(SendId) -> i64) -> i64 {
        let Some(flush) = &self.flush else { return self.next_flush_ms };
        let times = flush.steps.iter().filter_map(|step| match step.state {
            StepState::Waiting { at_ms, .. } => Some(at_ms),
            StepState::InFlight { id, .. } => Some(lost(id)),
            StepState::Done | StepState::Failed => None,
        });
        times.min().unwrap_or(self.next_flush_ms)
    }
}
