//! Rules in the form of Grafana's ruler API: by folder and group, with what is Grafana's under `grafana_alert`.

use alerting::grafana::GrafanaRule;
use alerting::text::PromDuration;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::bad;
use super::provisioning::replace_group;
use crate::alerts::config::{Item, Provenance, RuleGroup};
use crate::api::{Body, EDITOR, Routes, VIEWER};
use crate::app::Shared;
use crate::datasources::query::duration_text;
use crate::error::{ApiError, ApiResult};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/ruler/grafana/api/v1/rules", VIEWER, all)
        .get("/api/ruler/grafana/api/v1/rules/{folder}", VIEWER, of_folder)
        .post("/api/ruler/grafana/api/v1/rules/{folder}", EDITOR, put)
        .delete("/api/ruler/grafana/api/v1/rules/{folder}", EDITOR, delete_folder)
        .get("/api/ruler/grafana/api/v1/rules/{folder}/{group}", VIEWER, one)
        .delete("/api/ruler/grafana/api/v1/rules/{folder}/{group}", EDITOR, delete_group)
        .get("/api/ruler/grafana/api/v1/rule/{uid}", VIEWER, by_uid)
}

fn rule_json(group: &RuleGroup, item: &Item<GrafanaRule>) -> Value {
    let rule = &item.value;
    let mut alert = json!({
        "id": 0, "orgId": 1, "version": 1,
        "uid": rule.uid, "title": rule.title, "condition": rule.condition, "data": rule.data,
        "updated": crate::api::time_text(item.updated_ms),
        "intervalSeconds": group.interval_ms / 1000,
        "namespace_uid": group.folder_uid, "rule_group": group.name,
        "no_data_state": rule.no_data_state, "exec_err_state": rule.exec_err_state,
        "is_paused": rule.is_paused, "provenance": item.provenance.as_str(),
    });
    if let Some(settings) = &rule.notification_settings {
        alert["notification_settings"] = json!(settings);
    }
    if let Some(record) = &rule.record {
        alert["record"] = json!(record);
    }
    if let Some(count) = rule.missing_series_evals {
        alert["missing_series_evals_to_resolve"] = count.into();
    }
    json!({
        "expr": "", "for": rule.for_, "keep_firing_for": rule.keep_firing_for,
        "labels": rule.labels, "annotations": rule.annotations, "grafana_alert": alert,
    })
}

fn group_json(group: &RuleGroup) -> Value {
    let rules: Vec<Value> = group.rules.iter().map(|rule| rule_json(group, rule)).collect();
    json!({"name": group.name, "interval": duration_text(group.interval_ms), "rules": rules})
}

fn by_folder(app: &Shared, wanted: Option<&str>) -> Map<String, Value> {
    let mut out: Map<String, Value> = Map::new();
    for group in app.alerts.config.get().groups.iter().filter(|group| wanted.is_none_or(|uid| group.folder_uid == uid))
    {
        let list = out.entry(app.folders.full_path(&group.folder_uid)).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(group_json(group));
        }
    }
    out
}

async fn all(State(app): State<Shared>) -> Json<Value> {
    Json(Value::Object(by_folder(&app, None)))
}

async fn of_folder(State(app): State<Shared>, Path(folder): Path<String>) -> ApiResult {
    app.folders.get(&folder).ok_or_else(crate::dashboards::folders::not_found)?;
    Ok((StatusCode::ACCEPTED, Json(Value::Object(by_folder(&app, Some(&folder))))).into_response())
}

fn no_group() -> ApiError {
    ApiError::not_found("rule group does not exist")
}

async fn one(State(app): State<Shared>, Path((folder, name)): Path<(String, String)>) -> ApiResult {
    let config = app.alerts.config.get();
    let group = config.group(&folder, &name).ok_or_else(no_group)?;
    Ok((StatusCode::ACCEPTED, Json(group_json(group))).into_response())
}

async fn by_uid(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    let config = app.alerts.config.get();
    let (group, rule) = config.rule(&uid).ok_or_else(|| ApiError::not_found("alert rule not found"))?;
    Ok(Json(rule_json(group, rule)).into_response())
}

#[derive(Deserialize)]
struct Put {
    name: String,
    #[serde(default)]
    interval: Option<PromDuration>,
    #[serde(default)]
    rules: Vec<Map<String, Value>>,
}

/// A rule as it is sent: Grafana's part in one map with the rest, under the names that the rest of the API has.
fn read_rule(mut sent: Map<String, Value>) -> Result<GrafanaRule, ApiError> {
    let Some(Value::Object(alert)) = sent.remove("grafana_alert") else {
        return Err(ApiError::bad_request("grafana_alert: missing"));
    };
    for (key, value) in alert {
        let key = match key.as_str() {
            "no_data_state" => "noDataState".to_owned(),
            "exec_err_state" => "execErrState".to_owned(),
            "is_paused" => "isPaused".to_owned(),
            _ => key,
        };
        sent.insert(key, value);
    }
    for key in ["expr", "alert", "id", "orgId", "version", "intervalSeconds", "namespace_uid", "rule_group"] {
        sent.remove(key);
    }
    serde_json::from_value(Value::Object(sent)).map_err(bad)
}

async fn put(State(app): State<Shared>, Path(folder): Path<String>, Body(new): Body<Put>) -> ApiResult {
    app.folders.get(&folder).ok_or_else(crate::dashboards::folders::not_found)?;
    let interval_ms = new.interval.map_or(app.settings.alerting.default_interval_ms, |interval| interval.0);
    let rules = new.rules.into_iter().map(read_rule).collect::<Result<Vec<_>, _>>()?;
    let replaced = replace_group(&app, &folder, &new.name, interval_ms, rules, Provenance::None).await?;
    let body = json!({
        "message": "rule group updated successfully",
        "created": replaced.created, "updated": replaced.updated, "deleted": replaced.deleted,
    });
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

async fn delete(app: &Shared, wanted: impl Fn(&RuleGroup) -> bool) -> ApiResult {
    let config = app.alerts.config.get();
    let groups = config.groups.iter().filter(|group| wanted(group));
    let uids: Vec<String> = groups.flat_map(|group| &group.rules).map(|rule| rule.value.uid.clone()).collect();
    if uids.is_empty() {
        return Err(no_group());
    }
    app.alerts.delete_rules(app, &uids).await?;
    Ok((StatusCode::ACCEPTED, crate::error::done("rules deleted")).into_response())
}

async fn delete_folder(State(app): State<Shared>, Path(folder): Path<String>) -> ApiResult {
    delete(&app, |group| group.folder_uid == folder).await
}

async fn delete_group(State(app): State<Shared>, Path((folder, name)): Path<(String, String)>) -> ApiResult {
    delete(&app, |group| group.folder_uid == folder && group.name == name).await
}
