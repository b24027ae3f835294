//! Unit tests of rules, in the files that promtool runs.
//!
//! A file names rule files and holds groups of tests; a group has series, a store of its own, and what is expected of alerts and
//! expressions at certain times. The rules are evaluated from the group's start to its last question, one evaluation
//! interval after the other, each seeing only the samples up to its time. [`run_file`] runs one file.

mod file;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use alerting::rules::{External, Group, GroupOptions, RuleKind, TemplateExpander};
use model::Labels;
use model::histogram::TestNotation;
use promql::promqltest::{SequenceValue, parse_series, parse_values};
use promql::{Engine, EngineOptions, ParserOptions, SampleValue, Value};
use regex::Regex;

use self::file::{AlertTest, ExprTest, TestFile, TestGroup};
use self::store::{Pending, TestStore};
use super::file::{RuleOptions, load, promql as read_promql};
use crate::config::NameValidation;

/// How tests are run.
#[derive(Clone, Debug, Default)]
pub struct UnitTestOptions {
    /// What the language allows.
    pub parser: ParserOptions,
    /// Names are removed at the end of a query only.
    pub delayed_name_removal: bool,
    /// Only groups whose name one of these matches; empty: all.
    pub run: Vec<Regex>,
    /// Unknown fields are let be.
    pub ignore_unknown: bool,
    /// Differences are shown line by line.
    pub diff: bool,
}

/// What became of a group of tests.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// Its name, or a number.
    pub name: String,
    /// What failed.
    pub failures: Vec<String>,
}

/// What became of a file.
#[derive(Clone, Debug, Default)]
pub struct FileReport {
    /// Its groups, in order.
    pub cases: Vec<CaseReport>,
    /// Why none of them ran.
    pub error: Option<String>,
}

impl FileReport {
    /// Everything that failed.
    pub fn failures(&self) -> impl Iterator<Item = &str> {
        self.error
            .iter()
            .map(String::as_str)
            .chain(self.cases.iter().flat_map(|case| case.failures.iter().map(String::as_str)))
    }

    /// True when nothing failed.
    pub fn passed(&self) -> bool {
        self.failures().next().is_none()
    }
}

/// Runs the tests of a file.
pub fn run_file(path: &Path, options: &UnitTestOptions) -> FileReport {
    match try_run(path, options) {
        Ok(cases) => FileReport { cases, error: None },
        Err(error) => FileReport { cases: Vec::new(), error: Some(error) },
    }
}

fn try_run(path: &Path, options: &UnitTestOptions) -> Result<Vec<CaseReport>, String> {
    let file = TestFile::read(path, options.ignore_unknown).map_err(|e| e.to_string())?;
    let rule_files = file.rule_paths(path)?;
    let interval_ms = if file.evaluation_interval.0 == 0 { 60_000 } else { file.evaluation_interval.0 };
    let mut order = BTreeMap::new();
    for (at, name) in file.group_eval_order.iter().enumerate() {
        if order.insert(name.as_str(), at).is_some() {
            return Err(format!("group name repeated in evaluation order: {name}"));
        }
    }
    let setting = Setting { options, rule_files: &rule_files, interval_ms, order, fuzzy: file.fuzzy_compare };
    let mut cases = Vec::new();
    for (at, test) in file.tests.iter().enumerate() {
        if !options.run.is_empty() && !options.run.iter().any(|run| run.is_match(&test.name)) {
            continue;
        }
        let name = if test.name.is_empty() { format!("unnamed#{at}") } else { test.name.clone() };
        let failures = setting.run(test).unwrap_or_else(|errors| errors);
        cases.push(CaseReport { name, failures });
    }
    Ok(cases)
}

/// What the groups of one file share.
struct Setting<'a> {
    options: &'a UnitTestOptions,
    rule_files: &'a [PathBuf],
    interval_ms: i64,
    order: BTreeMap<&'a str, usize>,
    fuzzy: bool,
}

impl Setting<'_> {
    /// What failed, or (as an error) why there was nothing to compare.
    fn run(&self, test: &TestGroup) -> Result<Vec<String>, Vec<String>> {
        let one = |text: String| vec![text];
        let start_ms = start_ms(&test.start_timestamp).map_err(one)?;
        let step_ms = if test.interval.0 == 0 { self.interval_ms } else { test.interval.0 };
        let mut pending = Pending::default();
        for input in &test.input_series {
            let (labels, values) = parse_series(&format!("{} {}", input.series, input.values))
                .map_err(|e| one(format!("series {:?}: {e}", input.series)))?;
            pending.add(labels, values, start_ms, step_ms);
        }
        let engine = Engine::new(EngineOptions {
            parser: self.options.parser,
            delayed_name_removal: self.options.delayed_name_removal,
            subquery_step_ms: self.interval_ms,
            ..EngineOptions::default()
        });
        let store = TestStore::new(engine);
        let mut groups = self.groups(test, step_ms)?;
        if let Some(nameless) = test.alert_rule_test.iter().find(|alert| alert.alertname.is_empty()) {
            let within = if test.name.is_empty() { String::new() } else { format!(" (in TestGroup {})", test.name) };
            return Err(one(format!(
                "an item under alert_rule_test misses required attribute alertname at eval_time {}{within}",
                nameless.eval_time
            )));
        }
        let mut alert_tests: Vec<&AlertTest> = test.alert_rule_test.iter().collect();
        alert_tests.sort_by_key(|alert| alert.eval_time);
        let last_ms =
            alert_tests.iter().map(|t| t.eval_time.0).chain(test.promql_expr_test.iter().map(|t| t.eval_time.0));
        let last_ms = start_ms + last_ms.max().unwrap_or(0);

        let expander = TemplateExpander::new();
        let mut failures = Vec::new();
        let mut asked = alert_tests.into_iter().peekable();
        let mut at_ms = start_ms;
        while at_ms <= last_ms {
            pending.load(&store, at_ms).map_err(one)?;
            let mut errors = Vec::new();
            for group in &mut groups {
                let mut sink = store.sink();
                let report = group.evaluate(at_ms, &store, &expander, &mut sink, &|| 0);
                for ((kind, _), rule) in group.rules().zip(&report.rules) {
                    if let Some(error) = &rule.error {
                        let since = model::duration::DurationMs(at_ms - start_ms);
                        errors.push(format!("    rule: {}, time: {since}, err: {error}", kind.name()));
                    }
                }
            }
            if !errors.is_empty() {
                failures.extend(errors);
                return Err(failures);
            }
            // A question between two evaluations is about the one before it.
            while let Some(alert) = asked.next_if(|alert| start_ms + alert.eval_time.0 < at_ms + self.interval_ms) {
                failures.extend(self.check_alerts(test, alert, &groups));
            }
            at_ms += self.interval_ms;
        }
        for expr in &test.promql_expr_test {
            failures.extend(self.check_expr(expr, &store, start_ms));
        }
        Ok(failures)
    }

    fn groups(&self, test: &TestGroup, step_ms: i64) -> Result<Vec<Group>, Vec<String>> {
        let canonical = read_promql(self.options.parser);
        let options = RuleOptions {
            canonical: &canonical,
            validation: NameValidation::Utf8,
            ignore_unknown: self.options.ignore_unknown,
        };
        let group_options = GroupOptions {
            interval_ms: step_ms,
            query_offset_ms: 0,
            resend_delay_ms: 0,
            external: External { labels: Labels::from_pairs(&test.external_labels), url: test.external_url.clone() },
            wait_for_restore: false,
        };
        let mut groups = Vec::new();
        for path in self.rule_files {
            let file =
                load(path, options).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
            let name = path.display().to_string();
            for group in &file.groups {
                groups.push(Group::new(&name, group, &group_options, &canonical).map_err(|e| vec![e])?);
            }
        }
        // Groups that the file puts in an order come first, in that order.
        groups.sort_by_key(|group| self.order.get(group.name.as_str()).copied().unwrap_or(usize::MAX));
        Ok(groups)
    }

    fn check_alerts(&self, test: &TestGroup, alert: &AlertTest, groups: &[Group]) -> Option<String> {
        let mut expected: Vec<(Labels, BTreeMap<String, String>)> = Vec::new();
        for wanted in &alert.exp_alerts {
            let mut labels = Labels::from_pairs(&wanted.exp_labels).to_builder();
            labels.set("alertname", &alert.alertname);
            expected.push((labels.build(), wanted.exp_annotations.clone()));
        }
        let mut got: Vec<(Labels, BTreeMap<String, String>)> = Vec::new();
        for (kind, _) in groups.iter().flat_map(Group::rules) {
            let RuleKind::Alert(rule) = kind else { continue };
            if rule.name != alert.alertname {
                continue;
            }
            for (labels, active) in rule.alerts() {
                if active.state.is_firing() {
                    let annotations = active.annotations.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
                    got.push((labels.clone(), annotations));
                }
            }
        }
        expected.sort();
        got.sort();
        if expected == got {
            return None;
        }
        let list = |alerts: &[(Labels, BTreeMap<String, String>)]| -> Vec<String> {
            alerts
                .iter()
                .enumerate()
                .map(|(at, (labels, annotations))| {
                    format!("{at}:\n  Labels:{labels}\n  Annotations:{}", Labels::from_pairs(annotations))
                })
                .collect()
        };
        let name = if test.name.is_empty() { String::new() } else { format!("    name: {},\n", test.name) };
        let place = format!("{name}    alertname: {}, time: {}, ", alert.alertname, alert.eval_time);
        Some(self.difference(&place, &list(&expected), &list(&got)))
    }

    fn check_expr(&self, test: &ExprTest, store: &TestStore, start_ms: i64) -> Option<String> {
        let place = format!("    expr: {:?}, time: {},", test.expr, test.eval_time);
        let value = match store.evaluate(&test.expr, start_ms + test.eval_time.0) {
            Ok(value) => value,
            Err(e) => return Some(format!("{place} err: {e}")),
        };
        let mut got: Vec<(Labels, Shown)> = match value {
            Value::Scalar { value, .. } => vec![(Labels::empty(), Shown::Float(value))],
            Value::Vector { samples, .. } => samples
                .into_iter()
                .map(|sample| {
                    let shown = match sample.value {
                        SampleValue::Float(value) => Shown::Float(value),
                        SampleValue::Histogram(histogram) => Shown::Histogram(TestNotation(&histogram).to_string()),
                    };
                    (sample.labels, shown)
                })
                .collect(),
            Value::String { .. } | Value::Matrix(_) => {
                return Some(format!("{place} err: rule result is not a vector or scalar"));
            }
        };
        let mut expected = Vec::new();
        for sample in &test.exp_samples {
            let labels = match sample.labels.trim() {
                "" => Ok(Labels::empty()),
                text => promql::parse_metric(text).map_err(|e| e.to_string()),
            };
            let wanted = labels.and_then(|labels| match sample.histogram.as_str() {
                "" => Ok((labels, Shown::Float(sample.value))),
                text => histogram(text).map(|shown| (labels, shown)),
            });
            match wanted {
                Ok(wanted) => expected.push(wanted),
                Err(e) => return Some(format!("{place} err: labels {:?}: {e}", sample.labels)),
            }
        }
        let by_labels = |a: &(Labels, Shown), b: &(Labels, Shown)| a.0.cmp(&b.0);
        expected.sort_by(by_labels);
        got.sort_by(by_labels);
        let equal = expected.len() == got.len()
            && expected.iter().zip(&got).all(|(want, have)| want.0 == have.0 && want.1.equals(&have.1, self.fuzzy));
        if equal {
            return None;
        }
        let list = |samples: &[(Labels, Shown)]| -> Vec<String> {
            if samples.is_empty() {
                return vec!["nil".to_owned()];
            }
            samples.iter().map(|(labels, shown)| format!("{labels} {shown}")).collect()
        };
        Some(self.difference(&place, &list(&expected), &list(&got)))
    }

    fn difference(&self, place: &str, expected: &[String], got: &[String]) -> String {
        let mut text = place.to_owned();
        if self.options.diff {
            text.push_str("\n        diff:");
            for line in expected.iter().filter(|line| !got.contains(line)) {
                let _ = write!(text, "\n            -{}", line.replace('\n', "\n            -"));
            }
            for line in got.iter().filter(|line| !expected.contains(line)) {
                let _ = write!(text, "\n            +{}", line.replace('\n', "\n            +"));
            }
            return text;
        }
        for (what, lines) in [("exp", expected), ("got", got)] {
            let _ =
                write!(text, "\n        {what}: {}", lines.join("\n             ").replace('\n', "\n             "));
        }
        text
    }
}

/// A value of a result.
#[derive(Clone, Debug)]
enum Shown {
    Float(f64),
    /// In the notation of test scripts.
    Histogram(String),
}

impl Shown {
    fn equals(&self, other: &Self, fuzzy: bool) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => {
                a == b || (a.is_nan() && b.is_nan()) || (fuzzy && (a.next_up() == *b || a.next_down() == *b))
            }
            (Self::Histogram(a), Self::Histogram(b)) => a == b,
            _ => false,
        }
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Histogram(text) => f.write_str(text),
        }
    }
}

fn histogram(text: &str) -> Result<Shown, String> {
    let values = parse_values(text).map_err(|e| e.to_string())?;
    match values.as_slice() {
        [SequenceValue::Histogram { histogram, .. }] => Ok(Shown::Histogram(TestNotation(histogram).to_string())),
        [other] => Err(format!("expected histogram, got {other:?}")),
        list => Err(format!("expected 1 value, got {}", list.len())),
    }
}

/// The time of a group's first sample: seconds, RFC 3339, or the epoch.
fn start_ms(text: &str) -> Result<i64, String> {
    match text {
        "" => Ok(0),
        text => {
            crate::api::params::parse_time_ms(text).ok_or_else(|| format!("cannot parse {text:?} to a valid timestamp"))
        }
    }
}
