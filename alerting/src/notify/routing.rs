//! The routing tree: which receivers an alert goes to, and the options in force there.
//!
//! Search is depth first, left to right. An alert that matches a node goes to its first matching child, and to those after
//! it as long as each says `continue`; if no child matches, to the node itself. Options are inherited, except time
//! intervals, which hold for their node alone.

use std::collections::{BTreeMap, BTreeSet};

use model::Labels;

use super::config::{ConfigError, GROUP_BY_ALL, Route};
use super::matcher::{MatcherMode, Matchers};
use crate::text::PromDuration;

/// Options of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteOptions {
    /// Receiver.
    pub receiver: String,
    /// Labels to group by.
    pub group_by: BTreeSet<String>,
    /// Group by all labels.
    pub group_by_all: bool,
    /// How long a new group waits.
    pub group_wait_ms: i64,
    /// How long until a group is looked at again.
    pub group_interval_ms: i64,
    /// How long until an unchanged group is sent again.
    pub repeat_interval_ms: i64,
    /// Intervals in which nothing is sent.
    pub mute_time_intervals: Vec<String>,
    /// Intervals outside of which nothing is sent.
    pub active_time_intervals: Vec<String>,
    /// Labels of the route, templates.
    pub labels: BTreeMap<String, String>,
}

impl Default for RouteOptions {
    fn default() -> Self {
        Self {
            receiver: String::new(),
            group_by: BTreeSet::new(),
            group_by_all: false,
            group_wait_ms: 30_000,
            group_interval_ms: 300_000,
            repeat_interval_ms: 4 * 3_600_000,
            mute_time_intervals: Vec::new(),
            active_time_intervals: Vec::new(),
            labels: BTreeMap::new(),
        }
    }
}

/// A node of the tree.
#[derive(Clone, Debug)]
pub struct RouteNode {
    /// Options in force.
    pub options: RouteOptions,
    /// Which alerts match.
    pub matchers: Matchers,
    /// Whether nodes after this one are tried too.
    pub continue_: bool,
    /// Indexes of the children.
    pub children: Vec<usize>,
    /// Matchers of the nodes from the root to here. Not unique: siblings may have the same ones.
    pub key: String,
    /// As the key, with the positions: unique.
    pub id: String,
}

/// The tree, as nodes by index; the root is the first.
#[derive(Clone, Debug)]
pub struct RouteTree {
    nodes: Vec<RouteNode>,
}

impl RouteTree {
    /// Builds the tree of a checked configuration.
    ///
    /// # Errors
    /// When a matcher cannot be read.
    pub fn new(root: &Route, mode: MatcherMode) -> Result<Self, ConfigError> {
        let mut tree = Self { nodes: Vec::new() };
        tree.add(root, None, "", mode)?;
        Ok(tree)
    }

    /// What is odd about the times of routes, by the route's key: repeating more often than groups are looked at, or after
    /// what was delivered is forgotten (`retention_ms`).
    pub fn timing_warnings(&self, retention_ms: i64) -> Vec<(String, String)> {
        let mut warnings = Vec::new();
        for node in &self.nodes {
            let RouteOptions { repeat_interval_ms: repeat_ms, group_interval_ms: group_ms, .. } = node.options;
            let [repeat, group, retention] = [repeat_ms, group_ms, retention_ms].map(PromDuration);
            if repeat_ms > retention_ms {
                let problem = format!(
                    "repeat_interval ({repeat}) is greater than the data retention period ({retention}): \
                     notifications may be repeated more often than expected"
                );
                warnings.push((node.key.clone(), problem));
            }
            if repeat_ms < group_ms {
                let problem = format!(
                    "repeat_interval ({repeat}) is less than group_interval ({group}): \
                     notifications are not repeated until the next group_interval"
                );
                warnings.push((node.key.clone(), problem));
            }
        }
        warnings
    }

    fn add(
        &mut self,
        route: &Route,
        parent: Option<usize>,
        position: &str,
        mode: MatcherMode,
    ) -> Result<usize, ConfigError> {
        let matchers = route.compile_matchers("route", mode)?;
        let parent = parent.and_then(|parent| self.nodes.get(parent));
        let mut options = parent.map(|node| node.options.clone()).unwrap_or_default();
        options.labels.extend(route.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
        if !route.receiver.is_empty() {
            options.receiver.clone_from(&route.receiver);
        }
        if let Some(group_by) = &route.group_by {
            options.group_by_all = group_by.iter().any(|name| name == GROUP_BY_ALL);
            // With the wildcard the inherited names have no effect, and a child that names its own drops both.
            if !options.group_by_all {
                options.group_by = group_by.iter().cloned().collect();
            }
        }
        for (own, slot) in [
            (route.group_wait, &mut options.group_wait_ms),
            (route.group_interval, &mut options.group_interval_ms),
            (route.repeat_interval, &mut options.repeat_interval_ms),
        ] {
            if let Some(own) = own {
                *slot = own.0;
            }
        }
        options.mute_time_intervals.clone_from(&route.mute_time_intervals);
        options.active_time_intervals.clone_from(&route.active_time_intervals);
        let (key, id) = match parent {
            Some(parent) => (format!("{}/{matchers}", parent.key), format!("{}/{matchers}/{position}", parent.id)),
            None => (matchers.to_string(), matchers.to_string()),
        };
        let index = self.nodes.len();
        self.nodes.push(RouteNode { options, matchers, continue_: route.continue_, children: Vec::new(), key, id });
        for (i, child) in route.routes.iter().enumerate() {
            let child = self.add(child, Some(index), &i.to_string(), mode)?;
            if let Some(node) = self.nodes.get_mut(index) {
                node.children.push(child);
            }
        }
        Ok(index)
    }

    /// The nodes; the root is the first.
    pub fn nodes(&self) -> &[RouteNode] {
        &self.nodes
    }

    /// A node by index.
    pub fn node(&self, index: usize) -> Option<&RouteNode> {
        self.nodes.get(index)
    }

    /// Indexes of the nodes that an alert goes to, in the order in which they are found. At least one: the root.
    pub fn matching(&self, labels: &Labels) -> Vec<usize> {
        let mut found = Vec::new();
        self.collect(0, labels, &mut found);
        found
    }

    fn collect(&self, index: usize, labels: &Labels, found: &mut Vec<usize>) -> bool {
        let Some(node) = self.nodes.get(index) else { return false };
        if !node.matchers.matches(labels) {
            return false;
        }
        let before = found.len();
        for child in &node.children {
            if self.collect(*child, labels, found) && !self.nodes.get(*child).is_some_and(|child| child.continue_) {
                break;
            }
        }
        if found.len() == before {
            found.push(index);
        }
        true
    }

    /// The labels by which a node groups an alert.
    pub fn group_labels(&self, index: usize, labels: &Labels) -> Labels {
        let Some(node) = self.nodes.get(index) else { return Labels::empty() };
        if node.options.group_by_all {
            return labels.clone();
        }
        labels.without(|name| !node.options.group_by.contains(name))
    }
}

#[cfg(test)]
mod tests;
