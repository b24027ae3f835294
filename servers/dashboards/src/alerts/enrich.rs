//! What a Slack message in our own layout says besides the alert: the value now, log lines of its time, links.
//!
//! Lines come from the query in the annotation `logs_query`, or from the rule's own query when that counts log lines. What cannot
//! be had in time is left out: a message without lines is better than none.

use std::collections::BTreeMap;
use std::time::Duration;

use alerting::grafana::labels as names;
use alerting::notify::{Alert, Enrichment, HttpRequest, MessageAlert, RichMessage, Status};
use model::Labels;
use serde_json::{Value, json};

use super::rules::Rule;
use crate::app::Shared;
use crate::datasources::query::{Answer, Asker, Query};
use crate::datasources::{DataSource, SourceKind};

/// Longest wait for log lines.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most lines that are asked for.
const MAX_LINES: u32 = 8;
/// How long before an alert began its lines may be.
const BEFORE_MS: i64 = 5 * 60_000;

/// A query of a data source.
struct SourceQuery {
    source: DataSource,
    expr: String,
}

/// The request that sends the message, with everything that could be found out.
pub(super) async fn finish(app: &Shared, rich: &RichMessage) -> HttpRequest {
    let mut tasks = tokio::task::JoinSet::new();
    for one in rich.alerts() {
        let (app, one) = (app.clone(), one.clone());
        tasks.spawn(async move { (one.alert.fingerprint(), look_up(&app, &one).await) });
    }
    let found: BTreeMap<String, Enrichment> = tasks.join_all().await.into_iter().collect();
    rich.finish(&found)
}

async fn look_up(app: &Shared, one: &MessageAlert) -> Enrichment {
    let alert = &one.alert;
    let rule = app.alerts.rules.find(alert.labels.value(names::RULE_UID)).map(|(_, rule)| rule);
    let now_ms = app.now_ms();
    let fires = one.status == Status::Firing;
    let to_ms = if fires { now_ms } else { alert.ends_at_ms.min(now_ms) };
    let logs = log_query(app, rule.as_deref(), alert);
    let mut found = Enrichment {
        value: rule.as_deref().and_then(|rule| value_of(rule, &alert.labels)).map(readable),
        unit: match alert.annotations.value("unit") {
            "" => String::new(),
            unit => format!(" {unit}"),
        },
        explore_url: explore_url(app, rule.as_deref(), logs.as_ref(), (alert.starts_at_ms - 3_600_000, to_ms)),
        ..Enrichment::default()
    };
    (found.dashboard_url, found.panel_url) = dashboard_urls(app, alert, to_ms);
    if let Some(query) = logs.filter(|_| fires) {
        let lines = newest_lines(app, query, (alert.starts_at_ms - BEFORE_MS, to_ms));
        found.log_lines = match tokio::time::timeout(PATIENCE, lines).await {
            Ok(Ok(lines)) => lines,
            Ok(Err(error)) => {
                tracing::warn!(component = "alerting", alert = alert.name(), %error, "no log lines for a message");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!(
                    component = "alerting",
                    alert = alert.name(),
                    "no log lines for a message: no answer in time"
                );
                Vec::new()
            }
        };
    }
    found
}

/// The value of what the condition looks at.
fn value_of(rule: &Rule, labels: &Labels) -> Option<f64> {
    rule.read(|state| {
        let mut known = state.instances();
        let instance = known.find(|one| one.labels == *labels || one.told_as.as_ref() == Some(labels))?;
        if instance.values.text.is_empty() {
            return None;
        }
        main_value(rule, &instance.values.by_ref)
    })
}

/// Of the values of a rule the one that people think of: what its condition compares.
pub(super) fn main_value(rule: &Rule, by_ref: &BTreeMap<String, f64>) -> Option<f64> {
    let condition = rule.rule.condition.as_str();
    let compared = rule.rule.data.iter().find(|query| query.ref_id == condition).filter(|query| query.is_expression());
    let compared =
        compared.and_then(|query| query.model["expression"].as_str()).map(|name| name.trim().trim_start_matches('$'));
    compared
        .and_then(|name| by_ref.get(name))
        .or_else(|| by_ref.iter().find(|(name, _)| *name != condition).map(|(_, value)| value))
        .or_else(|| by_ref.get(condition))
        .copied()
        .filter(|value| !value.is_nan())
}

/// A number as people read it: whole ones as they are, others with five significant digits.
fn readable(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() || value.fract() == 0.0 {
        return value;
    }
    let places = 4 - value.abs().log10().floor() as i32;
    if places <= 0 {
        return value.round();
    }
    // As text and back: a multiple of a power of ten has no better form.
    format!("{value:.*}", places.min(300).unsigned_abs() as usize).parse().unwrap_or(value)
}

/// The query whose lines belong to an alert.
fn log_query(app: &Shared, rule: Option<&Rule>, alert: &Alert) -> Option<SourceQuery> {
    let own = rule.and_then(|rule| own_log_query(app, rule));
    match alert.annotations.get("logs_query").filter(|text| !text.trim().is_empty()) {
        Some(text) => {
            let source = own.map(|query| query.source).or_else(|| app.datasources.default_of(Some("loki")))?;
            Some(SourceQuery { source, expr: text.to_owned() })
        }
        None => own,
    }
}

/// The lines that a rule counts.
fn own_log_query(app: &Shared, rule: &Rule) -> Option<SourceQuery> {
    let mut queries = rule.rule.data.iter().filter(|query| !query.is_expression());
    queries.find_map(|query| {
        let source = app.datasources.by_reference(&query.datasource_uid)?;
        if source.source_kind() != SourceKind::Loki {
            return None;
        }
        Some(SourceQuery { source, expr: lines_counted(query.model["expr"].as_str()?)? })
    })
}

/// The log query inside a metric query: `{job="a"} |= "x"` of `sum(count_over_time({job="a"} |= "x" [5m]))`. A log query is
/// its own.
fn lines_counted(expr: &str) -> Option<String> {
    let (mut quote, mut escaped) = (None, false);
    let mut start = None;
    let mut end = expr.len();
    for (at, c) in expr.char_indices() {
        match (quote, c) {
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), c) if c == open && !escaped => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`') => quote = Some(c),
            (None, '{') if start.is_none() => start = Some(at),
            (None, '[') if start.is_some() => {
                end = at;
                break;
            }
            _ => {}
        }
        escaped = false;
    }
    let query = expr.get(start?..end)?;
    let query = query.split("| unwrap ").next().unwrap_or(query);
    Some(query.trim().to_owned())
}

async fn newest_lines(
    app: &Shared,
    query: SourceQuery,
    range: (i64, i64),
) -> Result<Vec<String>, crate::error::ApiError> {
    let asker = Asker::new(&app.datasources, query.source, PATIENCE, 4 << 20)?;
    let (from_ms, to_ms) = range;
    let query =
        Query { expr: query.expr, instant: false, from_ms, to_ms, step_ms: 1000, max_lines: MAX_LINES, forward: false };
    match asker.ask(&query).await? {
        Answer::Lines(lines) => Ok(lines.into_iter().take(MAX_LINES as usize).map(|line| line.text).rev().collect()),
        _ => Err(crate::error::ApiError::bad_request(format!("{:?} gives no log lines", query.expr))),
    }
}

/// Links to the dashboard and the panel that the rule names, at the time of the alert.
fn dashboard_urls(app: &Shared, alert: &Alert, to_ms: i64) -> (String, String) {
    let uid = alert.annotations.value(names::DASHBOARD_UID);
    let Some(entry) = app.dashboards.get(uid).filter(|_| !uid.is_empty()) else { return Default::default() };
    let (from, to) = (alert.starts_at_ms - 3_600_000, to_ms);
    let base = app.url(&format!("d/{uid}/{}?from={from}&to={to}", entry.slug));
    let panel = match alert.annotations.value(names::PANEL_ID) {
        "" => String::new(),
        panel => format!("{base}&viewPanel={panel}"),
    };
    (base, panel)
}

/// Explore with the log lines, or with the rule's own query.
fn explore_url(app: &Shared, rule: Option<&Rule>, logs: Option<&SourceQuery>, range: (i64, i64)) -> String {
    let own = || {
        let query = rule?.rule.data.iter().find(|query| !query.is_expression())?;
        let source = app.datasources.by_reference(&query.datasource_uid)?;
        Some((source.uid, query.model["expr"].as_str()?.to_owned()))
    };
    let Some((source, expr)) = logs.map(|query| (query.source.uid.clone(), query.expr.clone())).or_else(own) else {
        return String::new();
    };
    let pane: Value = json!({
        "datasource": source,
        "queries": [{"refId": "A", "expr": expr, "datasource": {"uid": source}}],
        "range": {"from": range.0.to_string(), "to": range.1.to_string()},
    });
    app.url(&format!("explore?left={}", alerting::text::escape_query(&pane.to_string())))
}

#[cfg(test)]
mod tests {
    use super::{lines_counted, readable};

    #[test]
    fn numbers_are_short() {
        for (value, want) in [
            (21.547_619_047, 21.548),
            (97.5, 97.5),
            (1_234_567.0, 1_234_567.0),
            (123_456.7, 123_457.0),
            (0.000_123_456_78, 0.000_123_46),
            (-2.0 / 3.0, -0.666_67),
            (0.0, 0.0),
            (f64::INFINITY, f64::INFINITY),
        ] {
            assert_eq!(readable(value), want, "{value}");
        }
    }

    #[test]
    fn the_lines_that_a_query_counts() {
        for (expr, want) in [
            (
                r#"sum by (job) (count_over_time({job="titan", level="error"}[1m]))"#,
                Some(r#"{job="titan", level="error"}"#),
            ),
            (r#"rate({a="}["} |= "[x]" | json [5m]) > 2"#, Some(r#"{a="}["} |= "[x]" | json"#)),
            (r#"sum_over_time({a=`b`} | logfmt | unwrap bytes [5m])"#, Some("{a=`b`} | logfmt")),
            (r#"{a="\"["} |= "x""#, Some(r#"{a="\"["} |= "x""#)),
            ("vector(1)", None),
        ] {
            assert_eq!(lines_counted(expr).as_deref(), want, "{expr}");
        }
    }
}
