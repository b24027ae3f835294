//! Rules, alerts and where alerts go.

use std::sync::Arc;

use alerting::rules::RuleKind;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use model::Labels;
use serde_json::json;

use super::answer::{ApiError, success_of};
use super::params::Params;
use crate::state::App;

type Answer = Result<Response<Body>, ApiError>;

/// Rules, group by group.
pub(super) async fn rules(State(app): State<Arc<App>>, request: Request) -> Answer {
    let params = Params::read(request).await?;
    let kind = params.get("type").to_lowercase();
    if !matches!(kind.as_str(), "" | "alert" | "record") {
        return Err(ApiError::parameter("type", format!("not supported value {kind:?}")));
    }
    let exclude_alerts = match params.get("exclude_alerts") {
        "" => false,
        text => parse_bool(text)
            .ok_or_else(|| ApiError::bad_data(format!("error converting exclude_alerts: {text:?} is no boolean")))?,
    };
    let limit = match params.get("group_limit") {
        "" if params.has("group_next_token") => {
            return Err(ApiError::parameter(
                "group_next_token",
                "group_limit needs to be present in order to paginate over the groups",
            ));
        }
        "" => usize::MAX,
        text => text.parse::<usize>().ok().filter(|n| *n > 0).ok_or_else(|| {
            ApiError::parameter("group_limit", format!("group_limit needs to be a valid number: {text:?}"))
        })?,
    };
    let one_of = |name: &str, value: &str| !params.has(name) || params.all(name).any(|wanted| wanted == value);
    let selectors = params
        .all("match[]")
        .map(|text| promql::parse_selector(text).map_err(|e| ApiError::parameter("match[]", e)))
        .collect::<Result<Vec<_>, _>>()?;
    let keep = |rule: &RuleKind| {
        let kind_fits = match rule {
            RuleKind::Alert(_) => kind != "record",
            RuleKind::Record(_) => kind != "alert",
        };
        let labels = Labels::from_pairs(rule.labels().iter().map(|(name, value)| (name, value)));
        let selected =
            selectors.is_empty() || selectors.iter().any(|matchers| matchers.iter().all(|m| m.matches_labels(&labels)));
        kind_fits && selected && one_of("rule_name[]", rule.name())
    };
    let mut data = app.rules.manager.data(
        !exclude_alerts,
        |file, group| one_of("file[]", file) && one_of("rule_group[]", group),
        keep,
    );
    if !selectors.is_empty() || params.has("rule_name[]") || !kind.is_empty() {
        data.groups.retain(|group| !group.rules.is_empty());
    }
    let token = |file: &str, name: &str| {
        format!("{:016x}", Labels::from_pairs([("file", file), ("name", name)]).prometheus_hash())
    };
    if params.has("group_next_token") {
        let wanted = params.get("group_next_token");
        let Some(at) = data.groups.iter().position(|group| token(&group.file, &group.name) == wanted) else {
            return Err(ApiError::parameter("group_next_token", "invalid group_next_token. were rule groups changed?"));
        };
        data.groups.drain(..at);
    }
    if data.groups.len() > limit {
        let next = &data.groups[limit];
        data.group_next_token = Some(token(&next.file, &next.name));
        data.groups.truncate(limit);
    }
    Ok(success_of(&data))
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Active alerts.
pub(super) async fn alerts(State(app): State<Arc<App>>) -> Answer {
    Ok(success_of(&json!({"alerts": app.rules.manager.alerts()})))
}

/// Receivers of alerts.
pub(super) async fn alertmanagers(State(app): State<Arc<App>>) -> Answer {
    let active: Vec<_> = app.notifier.queue.urls().into_iter().map(|url| json!({"url": url})).collect();
    Ok(success_of(&json!({"activeAlertmanagers": active, "droppedAlertmanagers": []})))
}
