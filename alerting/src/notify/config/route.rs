//! `route`: the tree that sends alerts to receivers, as configured.

use std::collections::{BTreeMap, BTreeSet};

use model::MatchOp;
use serde::{Deserialize, Serialize};

use super::matchers::MatcherLines;
use super::{ConfigError, check_classic_names};
use crate::notify::matcher::{AlertMatcher, MatcherMode, Matchers};
use crate::text::{NameScheme, PromDuration, null_default};

/// What stands in `group_by` for all labels.
pub const GROUP_BY_ALL: &str = "...";

/// A node of the routing tree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// Receiver; the parent's if empty.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub receiver: String,
    /// Labels to group by, `...` for all; the parent's if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<Vec<String>>,
    /// Deprecated: values of labels.
    #[serde(rename = "match", deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub match_: BTreeMap<String, String>,
    /// Deprecated: regular expressions for labels.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub match_re: BTreeMap<String, String>,
    /// Which alerts go here.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "MatcherLines::is_empty")]
    pub matchers: MatcherLines,
    /// Which alerts go here, as `[name, operator, value]` (Grafana).
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub object_matchers: Vec<(String, String, String)>,
    /// Intervals in which nothing is sent.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub mute_time_intervals: Vec<String>,
    /// Intervals outside of which nothing is sent.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub active_time_intervals: Vec<String>,
    /// Whether routes after this one are tried too.
    #[serde(rename = "continue", deserialize_with = "null_default")]
    pub continue_: bool,
    /// Children, tried in order.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Self>,
    /// How long a new group waits for more alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_wait: Option<PromDuration>,
    /// How long until a group is looked at again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_interval: Option<PromDuration>,
    /// How long until an unchanged group is sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_interval: Option<PromDuration>,
    /// Labels of the route, templates; children inherit them.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Route {
    /// Checks this node and those below. `depth` bounds the recursion.
    pub(crate) fn check(
        &self,
        place: &str,
        names: NameScheme,
        mode: MatcherMode,
        depth: usize,
    ) -> Result<(), ConfigError> {
        let error = |problem: String| Err(ConfigError::new(place, problem));
        if depth == 0 {
            return error("routes are nested too deeply".to_owned());
        }
        self.compile_matchers(place, mode)?;
        for name in self.labels.keys() {
            if !names.is_label_name(name) {
                return error(format!("invalid label name {name:?} in route labels"));
            }
        }
        let group_by = self.group_by.as_deref().unwrap_or_default();
        let all = group_by.iter().any(|name| name == GROUP_BY_ALL);
        let mut seen = BTreeSet::new();
        for name in group_by.iter().filter(|name| *name != GROUP_BY_ALL) {
            if !names.is_label_name(name) {
                return error(format!("invalid label name {name:?} in group_by list"));
            }
            if all {
                return error("cannot have wildcard group_by (`...`) and other labels at the same time".to_owned());
            }
            if !seen.insert(name) {
                return error(format!("duplicated label {name:?} in group_by"));
            }
        }
        for (interval, name) in [(self.group_interval, "group_interval"), (self.repeat_interval, "repeat_interval")] {
            if interval == Some(PromDuration(0)) {
                return error(format!("{name} cannot be zero"));
            }
        }
        for (i, route) in self.routes.iter().enumerate() {
            route.check(&format!("{place}.routes[{i}]"), names, mode, depth - 1)?;
        }
        Ok(())
    }

    /// The node's matchers of all forms, sorted.
    pub(crate) fn compile_matchers(&self, place: &str, mode: MatcherMode) -> Result<Matchers, ConfigError> {
        check_classic_names(place, self.match_.keys().chain(self.match_re.keys()))?;
        let wrong = |error: crate::notify::matcher::MatcherError| ConfigError::new(place, error.message);
        let mut matchers: Vec<_> = self.match_.iter().map(|(name, value)| AlertMatcher::equal(name, value)).collect();
        for (name, value) in &self.match_re {
            matchers.push(AlertMatcher::new(MatchOp::Regex, name, value).map_err(wrong)?);
        }
        for (name, op, value) in &self.object_matchers {
            let op = match op.as_str() {
                "=" => MatchOp::Equal,
                "!=" => MatchOp::NotEqual,
                "=~" => MatchOp::Regex,
                "!~" => MatchOp::NotRegex,
                _ => return Err(ConfigError::new(place, format!("unsupported match type {op:?} in matcher"))),
            };
            matchers.push(AlertMatcher::new(op, name, value).map_err(wrong)?);
        }
        matchers.extend(self.matchers.parse(place, mode)?);
        Ok(Matchers::sorted(matchers))
    }

    /// Calls `visit` for this node and those below, with their places.
    pub(crate) fn walk<'a>(
        &'a self,
        place: &str,
        visit: &mut dyn FnMut(&str, &'a Self) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        for (i, route) in self.routes.iter().enumerate() {
            route.walk(&format!("{place}.routes[{i}]"), visit)?;
        }
        visit(place, self)
    }
}
