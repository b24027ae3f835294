//! The routes of alerting: rules as Prometheus shows them, Alertmanager's API, provisioning, history.

mod alertmanager;
mod export;
mod history;
mod points;
mod policies;
mod provisioning;
mod rules;
mod state;

use alerting::grafana::GrafanaRule;
use axum::http::HeaderMap;
use serde_json::Value;

use super::config::{Item, Provenance};
use crate::api::Routes;
use crate::error::ApiError;

pub(crate) fn routes(mut routes: Routes) -> Routes {
    for add in [
        state::routes,
        alertmanager::routes,
        history::routes,
        rules::routes,
        provisioning::routes,
        points::routes,
        policies::routes,
    ] {
        routes = add(routes);
    }
    routes
}

/// Who may change what this request makes: whoever says `X-Disable-Provenance` leaves it to everybody.
fn provenance(headers: &HeaderMap) -> Provenance {
    let value = headers.get("x-disable-provenance").and_then(|value| value.to_str().ok()).unwrap_or("");
    if matches!(value, "" | "false" | "0") { Provenance::Api } else { Provenance::None }
}

/// A rule as the provisioning API has it.
fn rule_json(group: &super::config::RuleGroup, item: &Item<GrafanaRule>) -> Value {
    let mut value = serde_json::to_value(&item.value).unwrap_or_default();
    value["folderUID"] = group.folder_uid.clone().into();
    value["ruleGroup"] = group.name.clone().into();
    value["orgID"] = 1.into();
    value["provenance"] = item.provenance.as_str().into();
    value["updated"] = crate::api::time_text(item.updated_ms).into();
    value["id"] = 0.into();
    for key in ["notification_settings", "record"] {
        if value.get(key).is_none() {
            value[key] = Value::Null;
        }
    }
    value
}

fn bad(error: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request(error.to_string())
}
