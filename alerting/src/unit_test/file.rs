//! What a file of unit tests holds, with promtool's keys and defaults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::text::{PromDuration, null_default, null_items, null_values};

/// A file of unit tests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestFile {
    /// Patterns of rule files, relative to this file.
    #[serde(deserialize_with = "null_items")]
    pub rule_files: Vec<String>,
    /// How often rules are evaluated; a minute if not said.
    #[serde(deserialize_with = "null_default")]
    pub evaluation_interval: PromDuration,
    /// Names of groups of rules that are evaluated in this order; groups without a place stand with the first.
    #[serde(deserialize_with = "null_items")]
    pub group_eval_order: Vec<String>,
    /// Groups of tests.
    #[serde(deserialize_with = "null_items")]
    pub tests: Vec<TestGroup>,
    /// Floats may differ in their last bit.
    #[serde(deserialize_with = "null_default")]
    pub fuzzy_compare: bool,
}

/// Series, and what is expected of them. Each group has a store of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestGroup {
    /// Its name.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// How far samples stand apart; the file's evaluation interval if not said.
    #[serde(deserialize_with = "null_default")]
    pub interval: PromDuration,
    /// The time of the first sample, to which all other times are relative: seconds or RFC 3339; the epoch if not said.
    #[serde(deserialize_with = "null_default")]
    pub start_timestamp: String,
    /// The series.
    #[serde(deserialize_with = "null_items")]
    pub input_series: Vec<InputSeries>,
    /// What is expected of alerts.
    #[serde(deserialize_with = "null_items")]
    pub alert_rule_test: Vec<AlertTest>,
    /// What is expected of expressions.
    #[serde(deserialize_with = "null_items")]
    pub promql_expr_test: Vec<ExprTest>,
    /// External labels, for templates.
    #[serde(deserialize_with = "null_values")]
    pub external_labels: BTreeMap<String, String>,
    /// External address, for templates.
    #[serde(deserialize_with = "null_default")]
    pub external_url: String,
}

/// A series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputSeries {
    /// Its name and labels.
    #[serde(deserialize_with = "null_default")]
    pub series: String,
    /// Its values in the notation of test scripts.
    #[serde(deserialize_with = "null_default")]
    pub values: String,
}

/// The alerts of one name that fire at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertTest {
    /// When.
    #[serde(deserialize_with = "null_default")]
    pub eval_time: PromDuration,
    /// The name.
    #[serde(deserialize_with = "null_default")]
    pub alertname: String,
    /// The alerts; none fires if empty.
    #[serde(deserialize_with = "null_items")]
    pub exp_alerts: Vec<ExpectedAlert>,
}

/// An alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedAlert {
    /// Its labels beside its name.
    #[serde(deserialize_with = "null_values")]
    pub exp_labels: BTreeMap<String, String>,
    /// Its annotations.
    #[serde(deserialize_with = "null_values")]
    pub exp_annotations: BTreeMap<String, String>,
}

/// The value of an expression at a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExprTest {
    /// The expression.
    #[serde(deserialize_with = "null_default")]
    pub expr: String,
    /// When.
    #[serde(deserialize_with = "null_default")]
    pub eval_time: PromDuration,
    /// Its series; none if empty.
    #[serde(deserialize_with = "null_items")]
    pub exp_samples: Vec<ExpectedSample>,
}

/// A series of a result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedSample {
    /// Its name and labels.
    #[serde(deserialize_with = "null_default")]
    pub labels: String,
    /// Its value, unless it is a histogram.
    #[serde(deserialize_with = "null_default")]
    pub value: f64,
    /// Its histogram in the notation of test scripts.
    #[serde(deserialize_with = "null_default")]
    pub histogram: String,
}
