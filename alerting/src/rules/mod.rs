//! Prometheus rules: files, the alert state machine, recording rules, evaluation of groups, restoring.
//!
//! A host reads a file into [`RuleFile`], calls [`RuleFile::validate`], builds one [`Group`] per group and asks its
//! [`Schedule`] when to evaluate. [`Group::evaluate`] runs the rules in order through an [`crate::Evaluator`], writes
//! what they produce to a [`crate::SampleSink`] and returns the alerts to send. Nothing here reads a clock.
//!
//! The heart is [`step`], one alert's transition; [`AlertRule`] keeps the alerts of one rule, [`Group`] the rules of one
//! group. Rules: Prometheus documentation, "Alerting rules" and "Recording rules", and its behaviour in 3.14.

mod alert_rule;
pub mod api;
mod expand;
mod file;
mod group;
mod recording;
mod restore;
mod schedule;
mod send;
mod state;
mod synthetic;
mod template;

pub use alert_rule::{ActiveAlert, AlertRule, AlertRuleSnapshot, DUPLICATE_LABELS};
pub use expand::{Expander, Expansion, External};
pub use file::{Rule, RuleChecks, RuleFile, RuleFileError, RuleGroup, RuleProblem};
pub use group::{Group, GroupOptions, GroupReport, GroupSnapshot, Health, RuleKind, RuleReport, RuleStatus, group_key};
pub use recording::RecordingRule;
pub use restore::{ForStateQuery, ForStateSeries, RestoreOptions, restored_active_at};
pub use schedule::{Due, Schedule};
pub use send::{OutgoingAlert, generator_url, needs_sending, valid_until};
pub use state::{AlertState, Observation, RESOLVED_RETENTION_MS, Timing, Transition, step};
pub use synthetic::{ALERTS, ALERTS_FOR_STATE};
pub use template::TemplateExpander;
