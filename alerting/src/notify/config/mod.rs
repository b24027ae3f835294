//! Alertmanager's configuration file: what it holds, what is wrong with it, and its compiled form.
//!
//! A host reads YAML into [`Config`] and calls [`Config::compile`], which checks everything and gives the routing tree,
//! receivers with the global section's values filled in, inhibition rules and time intervals. [`Config::validate`] is the
//! same without the result. Errors name the place as a path of keys and use Alertmanager's words.

pub mod global;
pub mod http;
mod inhibit;
mod matchers;
pub mod receiver;
mod route;
pub mod secret;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use global::GlobalConfig;
pub use inhibit::InhibitRule;
pub use matchers::MatcherLines;
pub use receiver::{Integration, Receiver};
pub use route::{GROUP_BY_ALL, Route};

use super::matcher::{MatcherMode, Matchers, matchers_warning};
use super::routing::RouteTree;
use super::time_interval::NamedIntervals;
use crate::text::{NameScheme, null_default};

/// Routes may be nested this deep.
pub const MAX_ROUTE_DEPTH: usize = 100;

/// Something is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    /// Where: a path of keys, such as `receivers[2].slack_configs[0]`.
    pub place: String,
    /// What.
    pub problem: String,
}

impl ConfigError {
    pub(crate) fn new(place: &str, problem: impl Into<String>) -> Self {
        Self { place: place.to_owned(), problem: problem.into() }
    }
}

/// The configuration file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What receivers fall back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global: Option<GlobalConfig>,
    /// The routing tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// Which alerts keep which others quiet.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub inhibit_rules: Vec<InhibitRule>,
    /// Where notifications go.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub receivers: Vec<Receiver>,
    /// Files with templates; patterns.
    #[serde(deserialize_with = "null_default")]
    pub templates: Vec<String>,
    /// Deprecated form of `time_intervals`.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub mute_time_intervals: Vec<NamedIntervals>,
    /// Times by name.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub time_intervals: Vec<NamedIntervals>,
    /// Accepted and ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<serde_json::Value>,
    /// Accepted and ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_recorder: Option<serde_json::Value>,
}

/// How a configuration is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConfigOptions {
    /// Which names are allowed.
    pub names: NameScheme,
    /// How matchers are read.
    pub matchers: MatcherMode,
}

/// A receiver ready for use.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledReceiver {
    /// Its name.
    pub name: String,
    /// Labels for filtering, the name included.
    pub labels: BTreeMap<String, String>,
    /// Its integrations, each with its index within its kind.
    pub integrations: Vec<(Integration, usize)>,
}

/// An inhibition rule ready for use.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledInhibitRule {
    /// Its name.
    pub name: String,
    /// Which alerts inhibit.
    pub source: Matchers,
    /// Which alerts are inhibited.
    pub target: Matchers,
    /// Labels that must be equal in both.
    pub equal: Vec<String>,
}

/// A configuration ready for use.
#[derive(Clone, Debug)]
pub struct CompiledConfig {
    /// After this time without news an alert without an end counts as resolved.
    pub resolve_timeout_ms: i64,
    /// The routing tree.
    pub routes: RouteTree,
    /// Receivers by name.
    pub receivers: BTreeMap<String, CompiledReceiver>,
    /// Inhibition rules in order.
    pub inhibit_rules: Vec<CompiledInhibitRule>,
    /// Time intervals by name.
    pub time_intervals: BTreeMap<String, NamedIntervals>,
    /// What an operator should know: kinds of integrations that are not sent to, matchers that are read by one grammar only.
    pub warnings: Vec<String>,
}

impl Config {
    /// Checks everything.
    ///
    /// # Errors
    /// The first problem.
    pub fn validate(&self, options: ConfigOptions) -> Result<(), ConfigError> {
        self.compile(options).map(|_| ())
    }

    /// Checks everything and prepares it for use.
    ///
    /// # Errors
    /// The first problem.
    pub fn compile(&self, options: ConfigOptions) -> Result<CompiledConfig, ConfigError> {
        let global = self.global.clone().unwrap_or_default();
        global.check()?;
        let mut warnings = Vec::new();
        let receivers = self.compile_receivers(&global, options, &mut warnings)?;
        let root = self.check_routes(options, &receivers, &mut warnings)?;
        let time_intervals = self.collect_intervals(root)?;
        let mut inhibit_rules = Vec::new();
        for (i, rule) in self.inhibit_rules.iter().enumerate() {
            let place = format!("inhibit_rules[{i}]");
            let (source, target) = rule.compile(&place, options.names, options.matchers)?;
            warn_of(&rule.source_matchers, &mut warnings);
            warn_of(&rule.target_matchers, &mut warnings);
            inhibit_rules.push(CompiledInhibitRule {
                name: rule.name.clone(),
                source,
                target,
                equal: rule.equal.clone(),
            });
        }
        Ok(CompiledConfig {
            resolve_timeout_ms: global.resolve_timeout.0,
            routes: RouteTree::new(root, options.matchers)?,
            receivers,
            inhibit_rules,
            time_intervals,
            warnings,
        })
    }

    fn compile_receivers(
        &self,
        global: &GlobalConfig,
        options: ConfigOptions,
        warnings: &mut Vec<String>,
    ) -> Result<BTreeMap<String, CompiledReceiver>, ConfigError> {
        let mut receivers = BTreeMap::new();
        for (i, receiver) in self.receivers.iter().enumerate() {
            let place = format!("receivers[{i}]");
            if receiver.name.is_empty() {
                return Err(ConfigError::new(&place, "missing name in receiver"));
            }
            if let Some(name) = receiver.labels.get("name").filter(|name| **name != receiver.name) {
                let problem =
                    format!("receiver label \"name\" must match receiver name {:?}, got {name:?}", receiver.name);
                return Err(ConfigError::new(&place, problem));
            }
            if let Some(name) = receiver.labels.keys().find(|name| !options.names.is_label_name(name)) {
                return Err(ConfigError::new(&place, format!("invalid label name {name:?} in receiver labels")));
            }
            let integrations = receiver.integrations(&place, global)?;
            for (integration, index) in &integrations {
                if let Integration::Other(other) = integration {
                    warnings.push(format!(
                        "receiver {:?}: notifications of kind {}[{index}] are not supported and will fail",
                        receiver.name, other.kind
                    ));
                }
            }
            let compiled =
                CompiledReceiver { name: receiver.name.clone(), labels: receiver.all_labels(), integrations };
            if receivers.insert(receiver.name.clone(), compiled).is_some() {
                let problem = format!("notification config name {:?} is not unique", receiver.name);
                return Err(ConfigError::new(&place, problem));
            }
        }
        Ok(receivers)
    }

    fn check_routes(
        &self,
        options: ConfigOptions,
        receivers: &BTreeMap<String, CompiledReceiver>,
        warnings: &mut Vec<String>,
    ) -> Result<&Route, ConfigError> {
        let error = |problem: &str| Err(ConfigError::new("route", problem));
        let Some(root) = &self.route else { return error("no route provided in config") };
        if root.receiver.is_empty() {
            return error("root route must specify a default receiver");
        }
        let has_matchers = !root.match_.is_empty() || !root.match_re.is_empty();
        if has_matchers || !root.matchers.is_empty() || !root.object_matchers.is_empty() {
            return error("root route must not have any matchers");
        }
        if !root.mute_time_intervals.is_empty() {
            return error("root route must not have any mute time intervals");
        }
        if !root.active_time_intervals.is_empty() {
            return error("root route must not have any active time intervals");
        }
        if root.continue_ {
            return error("cannot have continue in root route");
        }
        root.check("route", options.names, options.matchers, MAX_ROUTE_DEPTH)?;
        root.walk("route", &mut |place, route| {
            warn_of(&route.matchers, warnings);
            if !route.receiver.is_empty() && !receivers.contains_key(&route.receiver) {
                let problem = format!("undefined receiver {:?} used in route", route.receiver);
                return Err(ConfigError::new(place, problem));
            }
            Ok(())
        })?;
        Ok(root)
    }

    fn collect_intervals(&self, root: &Route) -> Result<BTreeMap<String, NamedIntervals>, ConfigError> {
        let mut intervals = BTreeMap::new();
        let lists = [
            ("mute_time_intervals", "mute time interval", &self.mute_time_intervals),
            ("time_intervals", "time interval", &self.time_intervals),
        ];
        for (key, what, list) in lists {
            for (i, named) in list.iter().enumerate() {
                let place = format!("{key}[{i}]");
                if named.name.is_empty() {
                    return Err(ConfigError::new(&place, format!("missing name in {what}")));
                }
                if intervals.insert(named.name.clone(), named.clone()).is_some() {
                    return Err(ConfigError::new(&place, format!("{what} {:?} is not unique", named.name)));
                }
            }
        }
        let known: BTreeSet<&str> = intervals.keys().map(String::as_str).collect();
        root.walk("route", &mut |place, route| {
            for name in route.active_time_intervals.iter().chain(&route.mute_time_intervals) {
                if !known.contains(name.as_str()) {
                    let problem = format!("undefined time interval {name:?} used in route");
                    return Err(ConfigError::new(place, problem));
                }
            }
            Ok(())
        })?;
        Ok(intervals)
    }
}

fn warn_of(lines: &MatcherLines, warnings: &mut Vec<String>) {
    warnings.extend(lines.0.iter().filter_map(|line| matchers_warning(line)));
}

/// Deprecated forms of matchers take names of letters, digits and underscores only.
fn check_classic_names<'a>(place: &str, names: impl Iterator<Item = &'a String>) -> Result<(), ConfigError> {
    for name in names {
        if !NameScheme::Legacy.is_label_name(name) {
            return Err(ConfigError::new(place, format!("invalid label name {name:?}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
