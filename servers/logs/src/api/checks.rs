//! What a tenant's limits ask of a query before it runs.

use axum::http::HeaderMap;
use logql::Time;
use logql::ast::{Expr, Selector};

use super::answer::{ApiError, header_text};
use crate::config::{BlockedQuery, QueryPattern, TenantLimits};

/// Tags of a request: `X-Query-Tags: source=grafana,user=kim`.
pub(super) fn tags(headers: &HeaderMap) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_=,.@ /|:".contains(c) { c } else { '_' };
    header_text(headers, "x-query-tags").chars().map(safe).collect()
}

/// What a query is, in the words of metrics and blocked queries.
pub(super) fn kind(expr: &Expr) -> &'static str {
    match expr {
        Expr::Metric(_) => "metric",
        Expr::Log(log) if log.stages.is_empty() => "limited",
        Expr::Log(_) => "filter",
    }
}

/// Whether the tenant may ask this.
///
/// # Errors
/// When the query is blocked, has too many matchers, or lacks some that are demanded.
pub(super) fn admit(text: &str, expr: &Expr, tags: &str, limits: &TenantLimits) -> Result<(), ApiError> {
    for selector in expr.selectors() {
        matchers(selector, limits)?;
    }
    if is_blocked(text, kind(expr), tags, &limits.blocked_queries) {
        return Err(ApiError::bad("query blocked by policy"));
    }
    Ok(())
}

fn matchers(selector: &Selector, limits: &TenantLimits) -> Result<(), ApiError> {
    let count = selector.matchers.len();
    let most = limits.max_streams_matchers_per_query;
    if most > 0 && count > most {
        return Err(ApiError::bad(format!(
            "max streams matchers per query exceeded, matchers-count > limit ({count} > {most})"
        )));
    }
    let present = || selector.matchers.iter().map(|m| m.name().to_owned()).collect::<Vec<_>>();
    let missing: Vec<&str> = limits
        .required_labels
        .iter()
        .map(String::as_str)
        .filter(|name| !selector.matchers.iter().any(|m| m.name() == *name))
        .collect();
    if !missing.is_empty() {
        return Err(ApiError::bad(format!(
            "stream selector is missing required matchers [{}], labels present in the query were [{}]",
            missing.join(", "),
            present().join(", ")
        )));
    }
    let least = limits.minimum_labels_number;
    if count < least {
        return Err(ApiError::bad(format!(
            "stream selector has less label matchers than required: (present: [{}], number_present: {count}, required_number_label_matchers: {least})",
            present().join(", ")
        )));
    }
    Ok(())
}

/// The first rule that fits the text decides.
fn is_blocked(text: &str, kind: &str, tags: &str, rules: &[BlockedQuery]) -> bool {
    let fits = |rule: &&BlockedQuery| match (&rule.pattern, rule.hash) {
        (_, hash) if hash > 0 => hash == fnv32(text),
        (None, _) => true,
        (Some(QueryPattern::Exact(pattern)), _) => pattern == text.trim(),
        (Some(QueryPattern::Regex(pattern)), _) => pattern.is_match(text),
    };
    let Some(rule) = rules.iter().find(fits) else { return false };
    if !rule.types.is_empty() && !rule.types.iter().any(|t| t == kind) {
        return false;
    }
    rule.tags.iter().all(|(name, value)| {
        tags.split(',')
            .filter_map(|tag| tag.split_once('='))
            .any(|(n, v)| n.trim().eq_ignore_ascii_case(name) && v.trim().eq_ignore_ascii_case(value))
    })
}

/// FNV-1, 32 bits: how the peer names queries in its logs.
fn fnv32(text: &str) -> u32 {
    text.bytes().fold(2_166_136_261, |hash: u32, byte| hash.wrapping_mul(16_777_619) ^ u32::from(byte))
}

/// Moves the start of a query to what the tenant may look at; `None` when nothing is left.
pub(super) fn clamp(time: Time, limits: &TenantLimits, now_ns: i64) -> Option<Time> {
    if limits.max_query_lookback_ns == 0 {
        return Some(time);
    }
    let oldest = now_ns.saturating_sub(limits.max_query_lookback_ns);
    match time {
        Time::Instant(at) => (at >= oldest).then_some(time),
        Time::Range { end_ns, .. } if end_ns < oldest => None,
        Time::Range { start_ns, end_ns, step_ns } => {
            Some(Time::Range { start_ns: start_ns.max(oldest), end_ns, step_ns })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn admitted(yaml: &str, query: &str, tags: &str) -> Result<(), String> {
        let limits = config::parse(yaml, &[], None).unwrap().limits;
        let expr = logql::parse(query, logql::ParseOptions::default()).unwrap();
        admit(query, &expr, tags, &limits).map_err(|e| e.text)
    }

    #[test]
    fn queries_are_blocked_as_configured() {
        let yaml = "limits_config:\n  blocked_queries:\n  - {pattern: '{a=\"b\"}'}\n  - {pattern: '.*secret.*', regex: true, types: [metric]}\n  - {pattern: '{t=\"x\"}', query_tags: {source: Grafana}}\n";
        let blocked = Err("query blocked by policy".to_owned());
        assert_eq!(admitted(yaml, r#"{a="b"}"#, ""), blocked);
        assert_eq!(admitted(yaml, r#"{a="secret"}"#, ""), Ok(()));
        assert_eq!(admitted(yaml, r#"rate({a="secret"}[1m])"#, ""), blocked);
        assert_eq!(admitted(yaml, r#"{t="x"}"#, ""), Ok(()));
        assert_eq!(admitted(yaml, r#"{t="x"}"#, "user=kim,Source=grafana"), blocked);
        assert_eq!(admitted("limits_config:\n  blocked_queries: [{types: [limited]}]\n", r#"{a="b"}"#, ""), blocked);
    }

    #[test]
    fn labels_can_be_demanded() {
        let yaml =
            "limits_config: {required_labels: [team], minimum_labels_number: 2, max_streams_matchers_per_query: 3}\n";
        assert_eq!(
            admitted(yaml, r#"{a="b"}"#, ""),
            Err("stream selector is missing required matchers [team], labels present in the query were [a]".into())
        );
        assert_eq!(
            admitted(yaml, r#"{team="b"}"#, ""),
            Err("stream selector has less label matchers than required: (present: [team], number_present: 1, required_number_label_matchers: 2)".into())
        );
        assert_eq!(
            admitted(yaml, r#"{team="b", b="1", c="1", d="1"}"#, ""),
            Err("max streams matchers per query exceeded, matchers-count > limit (4 > 3)".into())
        );
        assert_eq!(admitted(yaml, r#"{team="b", c="d"}"#, ""), Ok(()));
    }
}
