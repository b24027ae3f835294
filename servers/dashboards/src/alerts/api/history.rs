//! The history of alert states.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::alerts::history::{Entry, Wanted};
use crate::api::{Params, Routes, VIEWER};
use crate::app::Shared;
use crate::error::{ApiError, ApiResult};

/// Most events of an answer.
const MAX_EVENTS: usize = 10_000;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.get("/api/v1/rules/history", VIEWER, history)
}

/// Milliseconds; whoever sends seconds means seconds.
fn time(params: &Params, name: &str) -> Result<Option<i64>, ApiError> {
    let found = params.integer(name)?.filter(|time| *time > 0);
    Ok(found.map(|time| if time < 100_000_000_000 { time * 1000 } else { time }))
}

fn event_json(entry: &Entry) -> Value {
    let (current, reason) = entry.current();
    let (previous, _) = entry.previous();
    let event = &entry.event;
    let values: serde_json::Map<String, Value> = event
        .values
        .iter()
        .filter(|(_, value)| value.is_finite())
        .map(|(name, value)| (name.clone(), (*value).into()))
        .collect();
    let labels: serde_json::Map<String, Value> =
        event.instance_labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    json!({
        "time": entry.at_ms,
        "ruleUID": event.rule_uid,
        "ruleTitle": event.rule_title,
        "folderUID": entry.folder_uid,
        "group": entry.group,
        "labels": labels,
        "previous": previous,
        "current": current,
        "reason": reason,
        "values": values,
        "error": event.error,
        "fingerprint": event.fingerprint,
        "dashboardUID": event.dashboard_uid,
        "panelID": event.panel_id,
    })
}

async fn history(State(app): State<Shared>, params: Params) -> ApiResult {
    let wanted = Wanted {
        from_ms: time(&params, "from")?,
        to_ms: time(&params, "to")?,
        rule_uid: params.get("ruleUID"),
        dashboard_uid: params.get("dashboardUID"),
        panel_id: params.integer("panelID")?.filter(|id| *id > 0),
        labels: params.prefixed("labels_"),
        previous: params.get("previous"),
        current: params.get("current"),
        quiet: params.flag("all"),
    };
    let limit = params.count("limit", 1000, MAX_EVENTS)?;
    let events: Vec<Value> = app.alerts.history.find(&wanted, limit).iter().map(event_json).collect();
    Ok(Json(json!({ "events": events })).into_response())
}
