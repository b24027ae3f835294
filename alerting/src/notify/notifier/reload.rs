//! Changing the configuration while alerts are on their way.
//!
//! A group survives if the new tree has a route of the same id that gives it the same labels; it keeps its timer and its
//! round. All alerts are routed anew. Attempts that are on their way are still taken note of, even of groups that are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::Labels;

use super::{Notifier, Record};
use crate::notify::config::CompiledConfig;
use crate::notify::group::GroupId;
use crate::notify::group::StepState;
use crate::notify::render::Renderer;
use crate::notify::request::{FailureReason, SendId};

impl Notifier {
    /// Puts a configuration in force, with the renderer for its templates.
    pub fn reload(&mut self, now_ms: i64, config: CompiledConfig, renderer: Renderer) {
        let old = std::mem::replace(&mut self.config, Arc::new(config));
        self.options.renderer = renderer;
        self.events.extend(super::timing_events(&self.config, &self.options));
        let config = self.config.clone();
        let nodes = config.routes.nodes();
        let routes: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(i, node)| (node.id.as_str(), i)).collect();
        self.by_route.clear();
        let ids: Vec<GroupId> = self.groups.keys().copied().collect();
        for id in ids {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            let route = old.routes.node(group.route).and_then(|node| routes.get(node.id.as_str())).copied();
            let belongs = |labels: &Labels| {
                route.is_some_and(|route| {
                    config.routes.group_labels(route, labels) == group.labels
                        && config.routes.matching(labels).contains(&route)
                })
            };
            let (stay, go): (BTreeSet<Labels>, BTreeSet<Labels>) =
                std::mem::take(&mut group.members).into_iter().partition(belongs);
            group.members = stay;
            for labels in &go {
                self.part(id, labels);
            }
            let Some(group) = self.groups.get_mut(&id) else { continue };
            match route.filter(|_| !group.members.is_empty()) {
                Some(route) => {
                    group.route = route;
                    self.by_route.insert((route, group.labels.clone()), id);
                }
                None => self.drop_group(id),
            }
        }
        let alerts: Vec<_> = self.alerts.iter().cloned().collect();
        for alert in &alerts {
            for route in config.routes.matching(&alert.labels) {
                self.join(now_ms, route, alert);
            }
        }
        self.forget_strays();
    }

    /// Takes note that an alert is no longer in a group. The alert stays: it is about to join others.
    fn part(&mut self, id: GroupId, labels: &Labels) {
        let alert = self.alert_id(labels);
        self.records.push(Record::Left { group: id, alert });
        if let Some(count) = self.memberships.get_mut(labels) {
            *count = count.saturating_sub(1);
        }
    }

    /// Drops a group without members, and what it still had to say.
    fn drop_group(&mut self, id: GroupId) {
        let Some(group) = self.groups.get(&id) else { return };
        let steps = group.flush.as_ref().map(|flush| flush.steps.iter()).into_iter().flatten();
        let open = steps.filter(|step| !matches!(step.state, StepState::Done | StepState::Failed));
        for step in open {
            let key = &step.entry.integration;
            let failed = &mut self.stats.of(&key.receiver, &key.integration).failed;
            *failed.entry(FailureReason::ContextCanceled).or_default() += 1;
        }
        self.remove_group(id);
    }

    /// Forgets alerts that are in no group.
    pub(super) fn forget_strays(&mut self) {
        self.memberships.retain(|_, count| *count > 0);
        let in_group = |labels: &Labels| self.memberships.contains_key(labels);
        let strays: Vec<_> = self.alerts.iter().map(|alert| alert.labels.clone()).filter(|l| !in_group(l)).collect();
        for labels in strays {
            let alert = self.alert_id(&labels);
            self.alerts.remove(&labels);
            self.alert_ids.remove(&labels);
            self.records.push(Record::AlertGone { alert });
        }
    }

    /// Sends that are on their way.
    pub fn in_flight(&self) -> impl Iterator<Item = SendId> {
        self.in_flight.keys().copied()
    }
}
