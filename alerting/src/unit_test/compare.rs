//! What is expected against what there is, and how the difference reads.

use std::fmt::Write as _;

use model::Labels;
use model::histogram::TestNotation;
use model::labels::InBraces;
use model::number::{FloatFormat, float_text};

use super::{AlertTest, ExprTest, TestHost};
use crate::evaluate::{Sample, SampleValue};
use crate::rules::{Group, RuleKind};

/// Labels and annotations of an alert.
pub(super) type Alert = (Labels, Labels);

/// The alerts of a question, sorted.
pub(super) fn expected_alerts(question: &AlertTest) -> Vec<Alert> {
    let alert = |expected: &super::ExpectedAlert| {
        let mut labels = Labels::from_pairs(&expected.exp_labels).to_builder();
        labels.set("alertname", &question.alertname);
        (labels.build(), Labels::from_pairs(&expected.exp_annotations))
    };
    let mut alerts: Vec<Alert> = question.exp_alerts.iter().map(alert).collect();
    alerts.sort();
    alerts
}

/// The alerts of a name that fire, sorted. Rules of several groups may have the name.
pub(super) fn alerts(groups: &[Group], name: &str) -> Vec<Alert> {
    let rules = groups.iter().flat_map(Group::rules).filter_map(|(rule, _)| match rule {
        RuleKind::Alert(rule) if rule.name == name => Some(rule),
        _ => None,
    });
    let firing = rules.flat_map(|rule| rule.alerts()).filter(|(_, alert)| alert.state.is_firing());
    let mut alerts: Vec<Alert> = firing.map(|(labels, alert)| (labels.clone(), alert.annotations.clone())).collect();
    alerts.sort();
    alerts
}

/// A value of a result.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    Float(f64),
    /// In the notation of test scripts.
    Histogram(String),
}

impl Shown {
    fn of(value: &SampleValue) -> Self {
        match value {
            SampleValue::Float(value) => Self::Float(*value),
            SampleValue::Histogram(histogram) => Self::Histogram(TestNotation(histogram).to_string()),
        }
    }

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

/// A result, sorted by labels.
pub(super) fn samples(result: Vec<Sample>) -> Vec<(Labels, Shown)> {
    let mut samples: Vec<_> = result.into_iter().map(|one| (one.labels, Shown::of(&one.value))).collect();
    samples.sort_by(|a, b| a.0.cmp(&b.0));
    samples
}

/// The result of a question, sorted by labels.
pub(super) fn expected_samples(host: &dyn TestHost, question: &ExprTest) -> Result<Vec<(Labels, Shown)>, String> {
    let mut samples = Vec::new();
    for sample in &question.exp_samples {
        let labels = match sample.labels.trim() {
            "" => Labels::empty(),
            text => host.parse_labels(text).map_err(|error| format!("labels {:?}: {error}", sample.labels))?,
        };
        let value = match sample.histogram.as_str() {
            "" => Shown::Float(sample.value),
            text => histogram(host, text).map_err(|error| format!("labels {:?}: {error}", sample.labels))?,
        };
        samples.push((labels, value));
    }
    samples.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(samples)
}

fn histogram(host: &dyn TestHost, text: &str) -> Result<Shown, String> {
    let values = host.parse_values(text)?;
    match &values[..] {
        [Some(value @ SampleValue::Histogram(_))] => Ok(Shown::of(value)),
        [_] => Err(format!("expected histogram, got {text:?}")),
        list => Err(format!("expected 1 value, got {}", list.len())),
    }
}

pub(super) fn same_samples(want: &[(Labels, Shown)], got: &[(Labels, Shown)], fuzzy: bool) -> bool {
    let equal = |(a, b): (&(Labels, Shown), &(Labels, Shown))| a.0 == b.0 && a.1.equals(&b.1, fuzzy);
    want.len() == got.len() && want.iter().zip(got).all(equal)
}

/// What alerts should be and what they are, or with `diff` only those that one side has.
pub(super) fn alert_difference(want: &[Alert], got: &[Alert], diff: bool) -> String {
    let text =
        |(labels, annotations): &Alert| format!("Labels:{}\nAnnotations:{}", InBraces(labels), InBraces(annotations));
    if diff {
        return sides(want, got, text);
    }
    let list = |alerts: &[Alert]| {
        let items = alerts.iter().enumerate().map(|(at, alert)| format!("\n{at}:\n{}", indented(&text(alert), "  ")));
        let items: Vec<String> = items.collect();
        if items.is_empty() { "[]".to_owned() } else { format!("[{}\n]", items.join(",")) }
    };
    let list = |alerts| list(alerts).replace('\n', "\n            ");
    format!("\n        exp:{}, \n        got:{}", list(want), list(got))
}

/// What a result should be and what it is, or with `diff` only the samples that one side has.
pub(super) fn sample_difference(want: &[(Labels, Shown)], got: &[(Labels, Shown)], diff: bool) -> String {
    let text = |(labels, value): &(Labels, Shown)| match value {
        Shown::Float(value) => {
            format!("{} {}", InBraces(labels), float_text(*value, FloatFormat::Exponent).replace('e', "E"))
        }
        Shown::Histogram(histogram) => format!("{} {histogram}", InBraces(labels)),
    };
    if diff {
        return sides(want, got, text);
    }
    let list = |samples: &[(Labels, Shown)]| {
        let samples: Vec<String> = samples.iter().map(text).collect();
        if samples.is_empty() { "nil".to_owned() } else { samples.join(", ") }
    };
    format!("\n        exp: {}\n        got: {}", list(want), list(got))
}

/// The elements that one side has and the other has not, line by line.
fn sides<T>(want: &[T], got: &[T], text: impl Fn(&T) -> String) -> String {
    let (want, got): (Vec<_>, Vec<_>) = (want.iter().map(&text).collect(), got.iter().map(&text).collect());
    let mut out = String::from("\n        diff:");
    for (sign, own, other) in [('-', &want, &got), ('+', &got, &want)] {
        for line in own.iter().filter(|element| !other.contains(element)).flat_map(|element| element.lines()) {
            let _ = write!(out, "\n          {sign} {line}");
        }
    }
    out
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}")).collect::<Vec<_>>().join("\n")
}
