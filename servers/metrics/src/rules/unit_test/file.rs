//! What a file of unit tests holds.

use std::path::{Path, PathBuf};

use alerting::text::PromDuration;
use kit::yaml::{self, ConfigError, Kind, Node};
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::config::expand_glob;

/// A file of unit tests.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TestFile {
    pub(super) rule_files: Vec<String>,
    pub(super) evaluation_interval: PromDuration,
    pub(super) group_eval_order: Vec<String>,
    pub(super) tests: Vec<TestGroup>,
    pub(super) fuzzy_compare: bool,
}

/// One store, and what is expected of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TestGroup {
    pub(super) name: String,
    pub(super) interval: PromDuration,
    pub(super) start_timestamp: String,
    pub(super) input_series: Vec<InputSeries>,
    pub(super) alert_rule_test: Vec<AlertTest>,
    pub(super) promql_expr_test: Vec<ExprTest>,
    pub(super) external_labels: BTreeMap<String, String>,
    pub(super) external_url: String,
}

/// A series and its values in the notation of test scripts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct InputSeries {
    pub(super) series: String,
    pub(super) values: String,
}

/// The alerts of one name that fire at a time.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AlertTest {
    pub(super) eval_time: PromDuration,
    pub(super) alertname: String,
    pub(super) exp_alerts: Vec<ExpectedAlert>,
}

/// Labels beside the alert's name, and annotations.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExpectedAlert {
    pub(super) exp_labels: BTreeMap<String, String>,
    pub(super) exp_annotations: BTreeMap<String, String>,
}

/// The value of an expression at a time.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExprTest {
    pub(super) expr: String,
    pub(super) eval_time: PromDuration,
    pub(super) exp_samples: Vec<ExpectedSample>,
}

/// A series of an expected result.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExpectedSample {
    pub(super) labels: String,
    pub(super) value: f64,
    pub(super) histogram: String,
}

const FIELDS: [(&str, &[&str]); 4] = [
    ("input_series", &["series", "values"]),
    ("alert_rule_test", &["eval_time", "alertname", "exp_alerts"]),
    ("promql_expr_test", &["expr", "eval_time", "exp_samples"]),
    ("", &[]),
];

impl TestFile {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(super) fn read(path: &Path, ignore_unknown: bool) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError::plain(e.to_string()).in_file(path))?;
        let mut tree = yaml::parse(&text).map_err(|e| e.in_file(path))?;
        drop_null_values(&mut tree);
        if ignore_unknown {
            drop_unknown(&mut tree);
        }
        if tree.is_null() {
            return Ok(Self::default());
        }
        tree.deserialize::<Self>().map_err(|e| e.in_file(path))
    }

    /// The rule files, patterns expanded, relative to the file itself.
    ///
    /// # Errors
    /// A pattern that names no file.
    pub(super) fn rule_paths(&self, path: &Path) -> Result<Vec<PathBuf>, String> {
        let dir = path.parent().unwrap_or(Path::new(""));
        let mut files = Vec::new();
        for pattern in &self.rule_files {
            let found = expand_glob(&dir.join(pattern));
            if found.is_empty() {
                // Upstream only warns: a test may be about no rule at all.
                println!("  WARNING: no file match pattern {}", dir.join(pattern).display());
            }
            files.extend(found);
        }
        Ok(files)
    }
}

/// A key without a value is as good as no key.
fn drop_null_values(node: &mut Node) {
    match &mut node.kind {
        Kind::Mapping(pairs) => {
            pairs.retain(|(_, value)| !value.is_null());
            pairs.iter_mut().for_each(|(_, value)| drop_null_values(value));
        }
        Kind::Sequence(items) => items.iter_mut().for_each(|item| {
            if item.is_null() {
                item.kind = Kind::Mapping(Vec::new());
            }
            drop_null_values(item);
        }),
        _ => {}
    }
}

fn drop_unknown(tree: &mut Node) {
    fn keep(node: &mut Node, keys: &[&str]) {
        if let Kind::Mapping(pairs) = &mut node.kind {
            pairs.retain(|(key, _)| keys.contains(&key.text.as_str()));
        }
    }
    fn items<'a>(node: &'a mut Node, key: &str) -> &'a mut [Node] {
        let Kind::Mapping(pairs) = &mut node.kind else { return &mut [] };
        match pairs.iter_mut().find(|(k, _)| k.text == key) {
            Some((_, Node { kind: Kind::Sequence(items), .. })) => items,
            _ => &mut [],
        }
    }
    keep(tree, &["rule_files", "evaluation_interval", "group_eval_order", "tests", "fuzzy_compare"]);
    for group in items(tree, "tests") {
        keep(
            group,
            &[
                "name",
                "interval",
                "start_timestamp",
                "input_series",
                "alert_rule_test",
                "promql_expr_test",
                "external_labels",
                "external_url",
            ],
        );
        for (list, fields) in FIELDS {
            items(group, list).iter_mut().for_each(|item| keep(item, fields));
        }
        for test in items(group, "alert_rule_test") {
            items(test, "exp_alerts").iter_mut().for_each(|item| keep(item, &["exp_labels", "exp_annotations"]));
        }
        for test in items(group, "promql_expr_test") {
            items(test, "exp_samples").iter_mut().for_each(|item| keep(item, &["labels", "value", "histogram"]));
        }
    }
}
