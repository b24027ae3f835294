//! What follows from how an attempt went: the log remembers it, it is repeated or given up, the round ends.

use super::{Notifier, NotifierEvent, Record};
use crate::notify::group::{GroupId, StepState};
use crate::notify::log::LogEntry;
use crate::notify::request::{FailureReason, Outcome, SendId};
use crate::notify::retry::{Verdict, backoff_ms, judge};

impl Notifier {
    /// Takes note of how a send went. A send that is not known (any more) is ignored.
    pub fn on_result(&mut self, now_ms: i64, id: SendId, outcome: &Outcome) {
        let Some(flight) = self.in_flight.remove(&id) else { return };
        let verdict = judge(flight.answers, outcome);
        let key = flight.entry.integration.clone();
        let stats = self.stats.of(&key.receiver, &key.integration);
        stats.requests += 1;
        if !matches!(verdict, Verdict::Delivered(_)) {
            stats.requests_failed += 1;
        }
        let step = self.step(flight.group, flight.step, id);
        let attempt = step.map_or(1, |(attempt, _)| attempt);
        let deadline_ms = step.map_or(i64::MIN, |(_, deadline_ms)| deadline_ms);
        match verdict {
            Verdict::Delivered(data) => {
                let mut entry = flight.entry;
                entry.data = flight.previous;
                entry.data.extend(data);
                self.remember(entry, flight.remember_ms, now_ms);
                self.set_step(flight.group, flight.step, id, StepState::Done);
            }
            Verdict::Fail { reason, error } => {
                if step.is_some() {
                    self.fail_step(flight.group, flight.step, attempt, (reason, error));
                }
            }
            Verdict::Retry { reason, error, after_ms } if step.is_some() => {
                let seed = format!("{} {key}", flight.entry.group_key);
                let wait_ms = backoff_ms(&seed, attempt).max(after_ms.unwrap_or(0));
                // At the deadline it is given up, not tried once more.
                let at_ms = now_ms.saturating_add(wait_ms).min(deadline_ms.max(now_ms));
                self.events.push(NotifierEvent::Retrying {
                    integration: key,
                    group_key: flight.entry.group_key,
                    attempt,
                    error: error.clone(),
                    next_ms: at_ms,
                });
                self.set_error(flight.group, flight.step, (reason, error));
                self.set_step(flight.group, flight.step, id, StepState::Waiting { attempt: attempt + 1, at_ms });
            }
            Verdict::Retry { .. } => {}
        }
        self.finish_if_over(flight.group);
        self.schedule(flight.group);
    }

    /// Attempt and deadline of a step, if it is the one that waits for this send.
    fn step(&self, group: GroupId, index: usize, send: SendId) -> Option<(u32, i64)> {
        let flush = self.groups.get(&group)?.flush.as_ref()?;
        match flush.steps.get(index)?.state {
            StepState::InFlight { attempt, id } if id == send => Some((attempt, flush.deadline_ms)),
            _ => None,
        }
    }

    fn set_step(&mut self, group: GroupId, index: usize, send: SendId, state: StepState) {
        if self.step(group, index, send).is_none() {
            return;
        }
        let flush = self.groups.get_mut(&group).and_then(|group| group.flush.as_mut());
        if let Some(step) = flush.and_then(|flush| flush.steps.get_mut(index)) {
            step.state = state;
        }
    }

    fn set_error(&mut self, group: GroupId, index: usize, error: (FailureReason, String)) {
        let flush = self.groups.get_mut(&group).and_then(|group| group.flush.as_mut());
        if let Some(step) = flush.and_then(|flush| flush.steps.get_mut(index)) {
            step.last_error = Some(error);
        }
    }

    /// Gives up a step.
    pub(super) fn fail_step(
        &mut self,
        group: GroupId,
        index: usize,
        attempts: u32,
        (reason, error): (FailureReason, String),
    ) {
        let flush = self.groups.get_mut(&group).and_then(|group| group.flush.as_mut());
        let Some(step) = flush.and_then(|flush| flush.steps.get_mut(index)) else { return };
        step.state = StepState::Failed;
        let integration = step.entry.integration.clone();
        let group_key = step.entry.group_key.clone();
        *self.stats.of(&integration.receiver, &integration.integration).failed.entry(reason).or_default() += 1;
        self.events.push(NotifierEvent::Failed { integration, group_key, attempts, reason, error });
    }

    /// Writes down that an integration was told.
    pub(super) fn remember(&mut self, mut entry: LogEntry, remember_ms: i64, now_ms: i64) {
        entry.timestamp_ms = now_ms;
        entry.expires_at_ms = now_ms.saturating_add(remember_ms);
        if self.log.put(entry.clone()) {
            self.records.push(Record::Notified(entry));
        }
    }

    /// Ends a group's round if nothing is left to do. If everyone was told, resolved alerts that have not changed since
    /// are forgotten.
    pub(super) fn finish_if_over(&mut self, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let Some(flush) = group.flush.take_if(|flush| flush.is_over()) else { return };
        if flush.succeeded() {
            for (labels, updated_at_ms) in &flush.resolved {
                if self.alerts.get(labels).is_none_or(|alert| alert.updated_at_ms == *updated_at_ms) {
                    self.leave(id, labels);
                }
            }
        }
        if self.groups.get(&id).is_some_and(|group| group.members.is_empty()) {
            self.remove_group(id);
        } else {
            self.record_group(id);
            self.schedule(id);
        }
    }
}
