//! Warnings and infos that travel beside a result: what was left out, corrected or suspicious, and where in the query.
//!
//! Two with one text are one: the later place stays, and what they count adds up. Texts are Prometheus'.

use crate::hash::HashMap;
use std::fmt::Write;

use model::number::quote;

use crate::format::{general, general_digits};
use crate::span::Span;

/// How serious an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The result may not be what was meant.
    Warning,
    /// Worth knowing.
    Info,
}

impl Level {
    fn prefix(self) -> &'static str {
        match self {
            Self::Warning => "PromQL warning: ",
            Self::Info => "PromQL info: ",
        }
    }
}

/// One warning or info.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// How serious it is.
    pub level: Level,
    /// What happened, without prefix and place.
    pub message: String,
    /// The part of the query it is about; none for messages of a store.
    pub span: Option<Span>,
    detail: Detail,
}

/// What an annotation counts over its occurrences.
#[derive(Clone, Debug, PartialEq)]
enum Detail {
    None,
    /// Classic buckets whose counts fell.
    Monotonicity {
        min_ms: i64,
        max_ms: i64,
        min_bucket: f64,
        max_bucket: f64,
        max_diff: f64,
        count: u64,
    },
    /// Samples whose start time lies before the sample before.
    StartOverlap {
        count: u64,
    },
}

impl Annotation {
    /// The text as the API shows it: prefix, message and `(line:column)` in `query`.
    pub fn render(&self, query: &str) -> String {
        let mut out = String::from(self.level.prefix());
        out.push_str(&self.message);
        // Writing into a string cannot fail.
        let _ = match &self.detail {
            Detail::None => Ok(()),
            Detail::Monotonicity { min_ms, max_ms, min_bucket, max_bucket, max_diff, count } => write!(
                out,
                ", from buckets {} to {}, with a max diff of {}, over {count} samples from {} to {}",
                general(*min_bucket),
                general(*max_bucket),
                general_digits(*max_diff, 2),
                rfc3339(*min_ms),
                rfc3339(*max_ms),
            ),
            Detail::StartOverlap { count } if *count > 1 => write!(out, " ({count} occurrences)"),
            Detail::StartOverlap { .. } => Ok(()),
        };
        if let Some(span) = self.span {
            let _ = write!(out, " ({})", span.line_column(query));
        }
        out
    }
}

/// A time in whole seconds, UTC.
fn rfc3339(ms: i64) -> String {
    let date = crate::kernels::date::Date::of_seconds(ms.div_euclid(1000));
    let of_day = ms.div_euclid(1000).rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", date.year, date.month, date.day)
}

/// A set of annotations.
#[derive(Clone, Debug, Default)]
pub struct Annotations {
    list: Vec<Annotation>,
    index: HashMap<(Level, String), usize>,
}

/// Which operation on histograms an annotation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HistogramOperation {
    Addition,
    Subtraction,
    Aggregation,
}

impl HistogramOperation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

fn for_metric(message: &str, name: &str) -> String {
    if name.is_empty() { message.to_owned() } else { format!("{message} for metric name {}", quote(name)) }
}

impl Annotations {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, in the order of their first occurrence.
    pub fn iter(&self) -> impl Iterator<Item = &Annotation> {
        self.list.iter()
    }

    /// Rendered texts of a level, at most `limit` (0: all), then how many were left out.
    pub fn render(&self, level: Level, query: &str, limit: usize) -> Vec<String> {
        let mut texts: Vec<String> = self.list.iter().filter(|a| a.level == level).map(|a| a.render(query)).collect();
        if limit > 0 && texts.len() > limit {
            let (left_out, kind) = (texts.len() - limit, if level == Level::Info { "info" } else { "warning" });
            texts.truncate(limit);
            texts.push(format!("{left_out} more {kind} annotations omitted"));
        }
        texts
    }

    /// Adds all of another set.
    pub fn merge(&mut self, other: Self) {
        for annotation in other.list {
            self.add(annotation);
        }
    }

    fn add(&mut self, new: Annotation) {
        let key = (new.level, new.message.clone());
        let Some(at) = self.index.get(&key) else {
            self.index.insert(key, self.list.len());
            self.list.push(new);
            return;
        };
        let old = &mut self.list[*at];
        old.span = new.span;
        match (&mut old.detail, new.detail) {
            (
                Detail::Monotonicity { min_ms, max_ms, min_bucket, max_bucket, max_diff, count },
                Detail::Monotonicity {
                    min_ms: min2,
                    max_ms: max2,
                    min_bucket: min_bucket2,
                    max_bucket: max_bucket2,
                    max_diff: diff2,
                    count: count2,
                },
            ) => {
                *min_ms = min2.min(*min_ms);
                *max_ms = max2.max(*max_ms);
                *min_bucket = min_bucket2.min(*min_bucket);
                *max_bucket = max_bucket2.max(*max_bucket);
                *max_diff = diff2.max(*max_diff);
                *count += count2;
            }
            (Detail::StartOverlap { count }, Detail::StartOverlap { count: more }) => *count += more,
            _ => {}
        }
    }

    /// Adds a warning or info with its own text.
    pub fn push(&mut self, level: Level, message: impl Into<String>, span: Option<Span>) {
        self.add(Annotation { level, message: message.into(), span, detail: Detail::None });
    }

    fn warn(&mut self, message: impl Into<String>, span: Span) {
        self.push(Level::Warning, message, Some(span));
    }

    fn info(&mut self, message: impl Into<String>, span: Span) {
        self.push(Level::Info, message, Some(span));
    }

    pub(crate) fn invalid_quantile(&mut self, q: f64, span: Span) {
        self.warn(format!("quantile value should be between 0 and 1, got {}", general(q)), span);
    }

    pub(crate) fn invalid_ratio(&mut self, ratio: f64, capped: f64, span: Span) {
        let (ratio, capped) = (general(ratio), general(capped));
        self.warn(format!("ratio value should be between -1 and 1, got {ratio}, capping to {capped}"), span);
    }

    pub(crate) fn bad_bucket_label(&mut self, name: &str, label: &str, span: Span) {
        let message = format!("bucket label \"le\" is missing or has a malformed value of {}", quote(label));
        self.warn(for_metric(&message, name), span);
    }

    pub(crate) fn mixed_floats_histograms(&mut self, name: &str, span: Span) {
        self.warn(format!("encountered a mix of histograms and floats for metric name {}", quote(name)), span);
    }

    pub(crate) fn mixed_in_aggregation(&mut self, span: Span) {
        self.warn("encountered a mix of histograms and floats for aggregation", span);
    }

    pub(crate) fn mixed_classic_native(&mut self, name: &str, span: Span) {
        self.warn(for_metric("vector contains a mix of classic and native histograms", name), span);
    }

    pub(crate) fn not_counter(&mut self, name: &str, span: Span) {
        self.warn(format!("this native histogram metric is not a counter: {}", quote(name)), span);
    }

    pub(crate) fn not_gauge(&mut self, name: &str, span: Span) {
        self.warn(format!("this native histogram metric is not a gauge: {}", quote(name)), span);
    }

    pub(crate) fn mixed_schemas(&mut self, name: &str, span: Span) {
        self.warn(
            format!(
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
                quote(name)
            ),
            span,
        );
    }

    pub(crate) fn incompatible_layout(&mut self, operator: &str, span: Span) {
        self.warn(format!("incompatible bucket layout encountered for binary operator {operator}"), span);
    }

    pub(crate) fn sort_in_range_query(&mut self, span: Span) {
        self.warn("sort is ineffective for range queries since results are always ordered by labels", span);
    }

    pub(crate) fn possibly_no_counter(&mut self, name: &str, span: Span) {
        self.info(
            format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}", quote(name)),
            span,
        );
    }

    pub(crate) fn possibly_no_counter_type(&mut self, name: &str, metric_type: &str, span: Span) {
        self.info(
            format!(
                "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {}: {}",
                quote(metric_type),
                quote(name)
            ),
            span,
        );
    }

    pub(crate) fn forced_monotonicity(
        &mut self,
        name: &str,
        span: Span,
        time_ms: i64,
        (min_bucket, max_bucket, max_diff): (f64, f64, f64),
    ) {
        let message = for_metric(
            "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
            name,
        );
        let detail =
            Detail::Monotonicity { min_ms: time_ms, max_ms: time_ms, min_bucket, max_bucket, max_diff, count: 1 };
        self.add(Annotation { level: Level::Info, message, span: Some(span), detail });
    }

    pub(crate) fn incompatible_types(&mut self, left: &str, operator: &str, right: &str, span: Span) {
        self.info(
            format!(
                "incompatible sample types encountered for binary operator \"{operator}\": {left} {operator} {right}"
            ),
            span,
        );
    }

    pub(crate) fn histogram_ignored(&mut self, aggregation: &str, span: Span) {
        self.info(format!("ignored histogram in {aggregation} aggregation"), span);
    }

    pub(crate) fn histograms_ignored_in_range(&mut self, name: &str, span: Span) {
        self.info(
            format!(
                "ignored histograms in a range containing both floats and histograms for metric name {}",
                quote(name)
            ),
            span,
        );
    }

    pub(crate) fn nan_observations(&mut self, what: model::histogram::NanObservations, name: &str, span: Span) {
        use model::histogram::NanObservations::{Excluded, Result, Skew};
        let message = match what {
            Result => "input to histogram_quantile has NaN observations, result is NaN",
            Skew => "input to histogram_quantile has NaN observations, result is skewed higher",
            Excluded => "input to histogram_fraction has NaN observations, which are excluded from all fractions",
        };
        self.info(for_metric(message, name), span);
    }

    pub(crate) fn reset_collision(&mut self, operation: HistogramOperation, span: Span) {
        self.warn(format!("conflicting counter resets during histogram {}", operation.as_str()), span);
    }

    pub(crate) fn bounds_reconciled(&mut self, operation: HistogramOperation, span: Span) {
        self.info(format!("mismatched custom buckets were reconciled during {}", operation.as_str()), span);
    }

    pub(crate) fn start_overlap(&mut self, name: &str, count: u64, span: Span) {
        let message =
            format!("sample has start time that overlaps with previous sample timestamp for metric {}", quote(name));
        let detail = Detail::StartOverlap { count };
        self.add(Annotation { level: Level::Warning, message, span: Some(span), detail });
    }
}
