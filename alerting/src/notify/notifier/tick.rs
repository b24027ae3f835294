//! What is done when the time has come: rounds begin, attempts are made.
//!
//! A round goes through Alertmanager's stages in order: inhibition, active and mute time intervals, silences, then for each
//! integration the notification log decides whether there is news. What is held back counts as told: the round succeeds
//! without it.

use std::collections::{BTreeMap, BTreeSet};

use super::{ALIVE_MS, MAINTENANCE_MS, Notifier, NotifierEvent, Record, Suppression};
use crate::notify::alert::message_order;
use crate::notify::config::CompiledReceiver;
use crate::notify::group::{Flight, Flush, Group, GroupId, Step, StepState};
use crate::notify::inhibit::Inhibitor;
use crate::notify::log::{IntegrationKey, LogEntry, alert_hash, why_notify};
use crate::notify::message::{Message, MessageAlert, Status};
use crate::notify::request::{FailureReason, Payload, Send, SendId};
use crate::notify::retry::Answers;
use crate::notify::routing::RouteOptions;

/// Shortest time a round has for its attempts.
const MIN_TIMEOUT_MS: i64 = 10_000;
/// A host that has not reported so long after the deadline has lost the attempt.
const LOST_AFTER_MS: i64 = 60_000;

/// A round that is to begin, and what was noticed on the way.
struct Plan {
    id: GroupId,
    flush: Flush,
    suppressed: Vec<(Suppression, usize)>,
    /// Integrations that are told nothing but whose log entry changes: they do not want resolved alerts.
    log_only: Vec<(LogEntry, i64)>,
    events: Vec<NotifierEvent>,
}

impl Notifier {
    /// Does what is due at `now_ms` and returns what the host is to send.
    pub fn tick(&mut self, now_ms: i64) -> Vec<Send> {
        self.maintain(now_ms);
        let mut sends = Vec::new();
        if now_ms < self.dispatch_from_ms {
            return sends;
        }
        let due: Vec<GroupId> =
            self.queue.iter().take_while(|(at_ms, _)| *at_ms <= now_ms).map(|(_, id)| *id).collect();
        let mut starting = Vec::new();
        for id in due {
            self.advance(id, now_ms, &mut sends);
            let idle = self.groups.get(&id).filter(|group| group.flush.is_none());
            if idle.is_some_and(|group| group.next_flush_ms <= now_ms) {
                starting.push(id);
            } else {
                self.schedule(id);
            }
        }
        for plan in self.plan(&starting, now_ms) {
            self.begin(plan, now_ms, &mut sends);
        }
        sends
    }

    fn maintain(&mut self, now_ms: i64) {
        if now_ms >= self.next_maintenance_ms {
            self.silences.collect(now_ms);
            self.log.collect(now_ms);
            self.next_maintenance_ms = now_ms.saturating_add(MAINTENANCE_MS);
        }
        if now_ms >= self.last_alive_ms.saturating_add(ALIVE_MS) {
            self.last_alive_ms = now_ms;
            self.records.push(Record::Alive { at_ms: now_ms });
        }
    }

    fn plan(&self, ids: &[GroupId], now_ms: i64) -> Vec<Plan> {
        if ids.is_empty() {
            return Vec::new();
        }
        let inhibitor = Inhibitor::new(&self.config.inhibit_rules, self.alerts.iter(), now_ms);
        let groups = ids.iter().filter_map(|id| Some((*id, self.groups.get(id)?)));
        groups.filter_map(|(id, group)| self.plan_group(id, group, &inhibitor, now_ms)).collect()
    }

    fn plan_group(&self, id: GroupId, group: &Group, inhibitor: &Inhibitor<'_>, now_ms: i64) -> Option<Plan> {
        let options = &self.config.routes.node(group.route)?.options;
        let mut alerts: Vec<MessageAlert> = group
            .members
            .iter()
            .filter_map(|labels| self.alerts.get(labels))
            .map(|alert| {
                let status = if alert.is_resolved_at(now_ms) { Status::Resolved } else { Status::Firing };
                MessageAlert { alert: alert.clone(), status }
            })
            .collect();
        alerts.sort_by(|a, b| message_order(&a.alert.labels, &b.alert.labels));
        let resolved = alerts
            .iter()
            .filter(|one| one.status == Status::Resolved)
            .map(|one| (one.alert.labels.clone(), one.alert.updated_at_ms))
            .collect();
        let deadline_ms = now_ms.saturating_add(options.group_interval_ms.max(MIN_TIMEOUT_MS));
        let mut plan = Plan {
            id,
            flush: Flush { deadline_ms, resolved, steps: Vec::new() },
            suppressed: Vec::new(),
            log_only: Vec::new(),
            events: Vec::new(),
        };
        // Labels of the route see all alerts of the round, those held back below too.
        let (route_labels, failed) = if options.labels.is_empty() {
            (BTreeMap::new(), BTreeMap::new())
        } else {
            let message = Message::new(&options.receiver, &group.key, &group.labels, alerts.clone());
            self.options.renderer.templates().route_labels(&options.labels, &message, now_ms)
        };
        plan.events.extend(failed.into_iter().map(|(label, error)| {
            let group_key = group.key.clone();
            NotifierEvent::RouteLabel { group_key, label, error }
        }));
        self.hold_back(&mut alerts, options, inhibitor, now_ms, &mut plan.suppressed);
        if alerts.is_empty() {
            return Some(plan);
        }
        let Some(receiver) = self.config.receivers.get(&options.receiver) else { return Some(plan) };
        let mut message = Message::new(&options.receiver, &group.key, &group.labels, alerts);
        message.route_labels = route_labels;
        self.plan_steps(receiver, options, &message, now_ms, &mut plan);
        Some(plan)
    }

    /// Drops the alerts that are not to be sent now.
    fn hold_back(
        &self,
        alerts: &mut Vec<MessageAlert>,
        options: &RouteOptions,
        inhibitor: &Inhibitor<'_>,
        now_ms: i64,
        suppressed: &mut Vec<(Suppression, usize)>,
    ) {
        let mut keep = |alerts: &mut Vec<MessageAlert>, why: Suppression, keep: &dyn Fn(&MessageAlert) -> bool| {
            let before = alerts.len();
            alerts.retain(keep);
            if before > alerts.len() {
                suppressed.push((why, before - alerts.len()));
            }
        };
        keep(alerts, Suppression::Inhibition, &|one| inhibitor.inhibited_by(&one.alert.labels).is_none());
        let active = &options.active_time_intervals;
        let is_active = active.is_empty() || !self.intervals_at(active, now_ms).is_empty();
        keep(alerts, Suppression::ActiveTimeInterval, &|_| is_active);
        let is_muted = !self.intervals_at(&options.mute_time_intervals, now_ms).is_empty();
        keep(alerts, Suppression::MuteTimeInterval, &|_| !is_muted);
        keep(alerts, Suppression::Silence, &|one| self.silences.silencing(&one.alert.labels, now_ms).is_empty());
    }

    /// Those of the named intervals that hold.
    fn intervals_at<'n>(&self, names: &'n [String], now_ms: i64) -> Vec<&'n str> {
        let holds = |name: &&String| {
            let named = self.config.time_intervals.get(*name);
            named.is_some_and(|named| named.contains(now_ms, &self.options.local_zone))
        };
        names.iter().filter(holds).map(String::as_str).collect()
    }

    /// Names of the time intervals that mute a route: its mute intervals that hold, or, if none of its active ones does,
    /// all of those.
    pub(crate) fn muted_by(&self, route: usize, now_ms: i64) -> Vec<String> {
        let Some(node) = self.config.routes.node(route) else { return Vec::new() };
        let active = &node.options.active_time_intervals;
        if !active.is_empty() && self.intervals_at(active, now_ms).is_empty() {
            return active.clone();
        }
        self.intervals_at(&node.options.mute_time_intervals, now_ms).into_iter().map(str::to_owned).collect()
    }

    fn plan_steps(
        &self,
        receiver: &CompiledReceiver,
        options: &RouteOptions,
        message: &Message,
        now_ms: i64,
        plan: &mut Plan,
    ) {
        let hashes = |status: Status| -> BTreeSet<u64> {
            message.with_status(status).map(|one| alert_hash(&one.alert.labels)).collect()
        };
        let (firing, resolved) = (hashes(Status::Firing), hashes(Status::Resolved));
        let repeat_ms = options.repeat_interval_ms;
        let remember_ms = match repeat_ms.saturating_mul(2) {
            twice if twice > 0 && twice < self.options.retention_ms => twice,
            _ => self.options.retention_ms,
        };
        for (integration, index) in &receiver.integrations {
            let key = IntegrationKey {
                receiver: receiver.name.clone(),
                integration: integration.name().to_owned(),
                index: *index,
            };
            let known = self.log.get(&message.group_key, &key).filter(|entry| entry.expires_at_ms > now_ms);
            let send_resolved = integration.send_resolved();
            let Some(reason) = why_notify(known, &firing, &resolved, send_resolved, repeat_ms, now_ms) else {
                continue;
            };
            let entry = LogEntry {
                group_key: message.group_key.clone(),
                integration: key,
                timestamp_ms: now_ms,
                firing: firing.clone(),
                resolved: resolved.clone(),
                expires_at_ms: now_ms.saturating_add(remember_ms),
                data: known.map(|entry| entry.data.clone()).unwrap_or_default(),
            };
            let mut message = if send_resolved {
                message.clone()
            } else if firing.is_empty() {
                plan.log_only.push((entry, remember_ms));
                continue;
            } else {
                message.with_alerts(message.with_status(Status::Firing).cloned().collect())
            };
            message.reason = Some(reason);
            message.previous.clone_from(&entry.data);
            let state = StepState::Waiting { attempt: 1, at_ms: now_ms };
            let integration = integration.clone();
            plan.flush.steps.push(Step { integration, message, entry, remember_ms, state, last_error: None });
        }
    }

    fn begin(&mut self, plan: Plan, now_ms: i64, sends: &mut Vec<Send>) {
        for (why, count) in plan.suppressed {
            *self.stats.suppressed.entry(why).or_default() += count as u64;
        }
        self.events.extend(plan.events);
        for (entry, remember_ms) in plan.log_only {
            self.stats.of(&entry.integration.receiver, &entry.integration.integration).notifications += 1;
            self.remember(entry, remember_ms, now_ms);
        }
        for step in &plan.flush.steps {
            let key = &step.entry.integration;
            self.stats.of(&key.receiver, &key.integration).notifications += 1;
        }
        let config = self.config.clone();
        let Some(group) = self.groups.get_mut(&plan.id) else { return };
        let interval_ms = config.routes.node(group.route).map_or(0, |node| node.options.group_interval_ms);
        // At least a millisecond, or a group with an interval of nothing would be due forever.
        group.next_flush_ms = now_ms.saturating_add(interval_ms.max(1));
        group.flush = Some(plan.flush);
        self.record_group(plan.id);
        self.advance(plan.id, now_ms, sends);
        self.schedule(plan.id);
    }

    /// Makes the attempts of a group that are due, and ends its round if nothing is left to do.
    fn advance(&mut self, id: GroupId, now_ms: i64, sends: &mut Vec<Send>) {
        let steps = self.groups.get(&id).and_then(|group| group.flush.as_ref()).map_or(0, |flush| flush.steps.len());
        for step in 0..steps {
            self.advance_step(id, step, now_ms, sends);
        }
        self.finish_if_over(id);
    }

    fn advance_step(&mut self, id: GroupId, index: usize, now_ms: i64, sends: &mut Vec<Send>) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let Some(flush) = &mut group.flush else { return };
        let deadline_ms = flush.deadline_ms;
        let Some(step) = flush.steps.get_mut(index) else { return };
        let deadline = || (FailureReason::ContextDeadlineExceeded, "no answer in time".to_owned());
        match step.state {
            StepState::InFlight { attempt, id: send } => {
                let lost_at_ms = self.in_flight.get(&send).map_or(i64::MIN, |flight| flight.lost_at_ms);
                if now_ms >= lost_at_ms {
                    self.in_flight.remove(&send);
                    self.fail_step(id, index, attempt, deadline());
                }
            }
            StepState::Waiting { attempt, at_ms } if at_ms <= now_ms => {
                if now_ms >= deadline_ms {
                    let error = step.last_error.take().unwrap_or_else(deadline);
                    self.fail_step(id, index, attempt.saturating_sub(1), error);
                    return;
                }
                let rendered = self.options.renderer.render(&step.integration, &step.message, now_ms);
                let payload = match rendered {
                    Err(error) => {
                        self.fail_step(id, index, attempt, (FailureReason::Other, error.to_string()));
                        return;
                    }
                    // Nothing to say to this receiver is said.
                    Ok(Payload::Http(requests)) if requests.is_empty() => {
                        let (entry, remember_ms) = (step.entry.clone(), step.remember_ms);
                        step.state = StepState::Done;
                        self.remember(entry, remember_ms, now_ms);
                        return;
                    }
                    Ok(payload) => payload,
                };
                let send = SendId(self.next_id);
                self.next_id += 1;
                step.state = StepState::InFlight { attempt, id: send };
                self.in_flight.insert(
                    send,
                    Flight {
                        group: id,
                        step: index,
                        answers: Answers::of(&step.integration),
                        entry: step.entry.clone(),
                        remember_ms: step.remember_ms,
                        previous: step.message.previous.clone(),
                        lost_at_ms: deadline_ms.saturating_add(LOST_AFTER_MS),
                    },
                );
                sends.extend(step.message.reason.map(|reason| Send {
                    id: send,
                    integration: step.entry.integration.clone(),
                    group_key: group.key.clone(),
                    group_labels: group.labels.clone(),
                    reason,
                    alerts: step.message.alerts.len(),
                    attempt,
                    deadline_ms,
                    payload,
                }));
            }
            StepState::Waiting { .. } | StepState::Done | StepState::Failed => {}
        }
    }
}
