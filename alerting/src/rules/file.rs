//! Rule files: what they hold and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use model::METRIC_NAME;
use serde::{Deserialize, Serialize};

use super::expand::Expander;
use crate::text::{NameScheme, PromDuration, null_default};

/// A rule file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// Groups, in the order of the file.
    #[serde(default, deserialize_with = "null_default")]
    pub groups: Vec<RuleGroup>,
}

/// Rules that are evaluated one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleGroup {
    /// Name, unique in the file.
    #[serde(default)]
    pub name: String,
    /// How often; the global interval if absent or zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<PromDuration>,
    /// How far back expressions are evaluated; the global offset if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_offset: Option<PromDuration>,
    /// Most alerts or series a rule may produce; 0 is no limit.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "is_zero")]
    pub limit: usize,
    /// The rules.
    #[serde(default, deserialize_with = "null_default")]
    pub rules: Vec<Rule>,
    /// Labels for every rule of the group.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A recording or an alerting rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the series to record.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub record: String,
    /// Name of the alert.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub alert: String,
    /// The expression.
    #[serde(default, deserialize_with = "null_default")]
    pub expr: String,
    /// How long the condition must hold.
    #[serde(rename = "for", default, deserialize_with = "null_default", skip_serializing_if = "is_no_time")]
    pub for_: PromDuration,
    /// How long the alert lingers.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "is_no_time")]
    pub keep_firing_for: PromDuration,
    /// Labels to add; templates in alerting rules.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations; templates.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

fn is_no_time(d: &PromDuration) -> bool {
    d.0 == 0
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleProblem {
    /// A group without name.
    #[error("Groupname must not be empty")]
    GroupWithoutName,
    /// Two groups of one name.
    #[error("groupname: \"{0}\" is repeated in the same file")]
    GroupRepeated(String),
    /// Both kinds at once.
    #[error("only one of 'record' and 'alert' must be set")]
    RecordAndAlert,
    /// Neither kind.
    #[error("one of 'record' or 'alert' must be set")]
    NoRecordOrAlert,
    /// No expression.
    #[error("field 'expr' must be set in rule")]
    NoExpression,
    /// The expression is not one.
    #[error("could not parse expression: {0}")]
    Expression(String),
    /// A field that recording rules do not have.
    #[error("invalid field '{0}' in recording rule")]
    RecordingField(&'static str),
    /// The recorded name is not a metric name.
    #[error("invalid recording rule name: {0}")]
    RecordName(String),
    /// The recorded name looks like an expression.
    #[error("braces present in the recording rule name; should it be in expr?: {0}")]
    RecordBraces(String),
    /// A label's name is none, or is the metric name.
    #[error("invalid label name: {0}")]
    LabelName(String),
    /// An annotation's name is none.
    #[error("invalid annotation name: {0}")]
    AnnotationName(String),
    /// A label or annotation is not a template.
    #[error("{kind} \"{name}\": {message}")]
    Template {
        /// `label` or `annotation`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The template engine's words.
        message: String,
    },
}

/// A problem and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFileError {
    /// Index of the group in the file.
    pub group_index: usize,
    /// Name of the group.
    pub group: String,
    /// Index of the rule in the group and its name, unless the group itself is wrong.
    pub rule: Option<(usize, String)>,
    /// The key to point at, if one is to blame.
    pub field: Option<&'static str>,
    /// What is wrong.
    pub problem: RuleProblem,
}

impl std::fmt::Display for RuleFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.rule {
            Some((index, name)) => {
                write!(f, "group {:?}, rule {}, {name:?}: {}", self.group, index + 1, self.problem)
            }
            None => self.problem.fmt(f),
        }
    }
}

impl std::error::Error for RuleFileError {}

/// What validation asks others.
pub struct RuleChecks<'a> {
    /// Which names are allowed.
    pub names: NameScheme,
    /// Reads an expression; the error is the parser's.
    pub parse: &'a dyn Fn(&str) -> Result<(), String>,
    /// Checks templates.
    pub expander: &'a dyn Expander,
}

impl RuleFile {
    /// Everything that is wrong with the file, in its order.
    ///
    /// # Errors
    /// At least one problem.
    pub fn validate(&self, checks: &RuleChecks<'_>) -> Result<(), Vec<RuleFileError>> {
        let mut errors = Vec::new();
        let mut names = BTreeSet::new();
        for (group_index, group) in self.groups.iter().enumerate() {
            let mut problem = |rule: Option<(usize, &Rule)>, field, problem| {
                let rule = rule.map(|(index, rule)| (index, rule.name().to_owned()));
                errors.push(RuleFileError { group_index, group: group.name.clone(), rule, field, problem });
            };
            if group.name.is_empty() {
                problem(None, Some("name"), RuleProblem::GroupWithoutName);
            }
            if !names.insert(&group.name) {
                problem(None, Some("name"), RuleProblem::GroupRepeated(group.name.clone()));
            }
            for name in group.labels.keys().filter(|name| !is_label(checks.names, name)) {
                problem(None, Some("labels"), RuleProblem::LabelName(name.clone()));
            }
            for (index, rule) in group.rules.iter().enumerate() {
                rule.validate(checks, &mut |field, found| problem(Some((index, rule)), field, found));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

fn is_label(names: NameScheme, name: &str) -> bool {
    names.is_label_name(name) && name != METRIC_NAME
}

impl Rule {
    /// Name of the alert or of the recorded series.
    pub fn name(&self) -> &str {
        if self.alert.is_empty() { &self.record } else { &self.alert }
    }

    fn validate(&self, checks: &RuleChecks<'_>, problem: &mut dyn FnMut(Option<&'static str>, RuleProblem)) {
        match (self.record.is_empty(), self.alert.is_empty()) {
            (false, false) => problem(Some("record"), RuleProblem::RecordAndAlert),
            (true, true) => problem(None, RuleProblem::NoRecordOrAlert),
            _ => {}
        }
        if self.expr.is_empty() {
            problem(Some("expr"), RuleProblem::NoExpression);
        } else if let Err(message) = (checks.parse)(&self.expr) {
            problem(Some("expr"), RuleProblem::Expression(message));
        }
        if !self.record.is_empty() {
            self.validate_recording(checks, problem);
        }
        for name in self.labels.keys().filter(|name| !is_label(checks.names, name)) {
            problem(Some("labels"), RuleProblem::LabelName(name.clone()));
        }
        for name in self.annotations.keys().filter(|name| !checks.names.is_label_name(name)) {
            problem(Some("annotations"), RuleProblem::AnnotationName(name.clone()));
        }
        if self.alert.is_empty() {
            return;
        }
        for (kind, field, map) in [("label", "labels", &self.labels), ("annotation", "annotations", &self.annotations)]
        {
            for (name, text) in map {
                if let Err(message) = checks.expander.check(&self.alert, text) {
                    problem(Some(field), RuleProblem::Template { kind, name: name.clone(), message });
                }
            }
        }
    }

    fn validate_recording(&self, checks: &RuleChecks<'_>, problem: &mut dyn FnMut(Option<&'static str>, RuleProblem)) {
        if !self.annotations.is_empty() {
            problem(Some("annotations"), RuleProblem::RecordingField("annotations"));
        }
        if self.for_.0 != 0 {
            problem(Some("for"), RuleProblem::RecordingField("for"));
        }
        if self.keep_firing_for.0 != 0 {
            problem(Some("keep_firing_for"), RuleProblem::RecordingField("keep_firing_for"));
        }
        if !checks.names.is_metric_name(&self.record) {
            problem(Some("record"), RuleProblem::RecordName(self.record.clone()));
        }
        if self.record.contains(['{', '}']) {
            problem(Some("record"), RuleProblem::RecordBraces(self.record.clone()));
        }
    }
}
