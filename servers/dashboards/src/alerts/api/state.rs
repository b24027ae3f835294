//! Rules and alerts with their states, in the form of Prometheus' API.

use std::collections::BTreeMap;

use alerting::grafana::{Health, Instance, State};
use axum::Json;
use axum::extract::State as Extract;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use crate::alerts::config::Provenance;
use crate::alerts::enrich::main_value;
use crate::alerts::rules::{Group, Rule};
use crate::api::{Params, Routes, VIEWER};
use crate::app::Shared;
use crate::error::ApiResult;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/prometheus/grafana/api/v1/rules", VIEWER, rules)
        .get("/api/prometheus/grafana/api/v1/alerts", VIEWER, alerts)
        .get("/api/v1/ngalert", VIEWER, status)
        .get("/api/v1/ngalert/alertmanagers", VIEWER, alertmanagers)
}

async fn status() -> Json<Value> {
    Json(json!({"alertmanagersChoice": "internal", "numExternalAlertmanagers": 0}))
}

async fn alertmanagers() -> Json<Value> {
    Json(json!({"status": "success", "data": {"activeAlertManagers": [], "droppedAlertManagers": []}}))
}

/// Since when nothing is known: Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn time(ms: Option<i64>) -> String {
    ms.map_or_else(|| NEVER.to_owned(), |ms| kit::time::Rfc3339(ms).to_string())
}

fn label_map(labels: &model::Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn instance_json(rule: &Rule, instance: &Instance) -> Value {
    let active = !matches!(instance.core.state, State::Normal);
    let value = match main_value(rule, &instance.values.by_ref) {
        Some(value) if !instance.values.text.is_empty() => alerting::text::plain_number(value),
        _ => String::new(),
    };
    json!({
        "labels": label_map(&instance.labels),
        "annotations": label_map(&instance.annotations),
        "state": instance.state_text(),
        "activeAt": time(active.then_some(instance.core.starts_at_ms)),
        "value": value,
    })
}

/// The query of a rule as people read it: its expression, or all of it as JSON.
fn query_text(rule: &Rule) -> String {
    let mut queries = rule.rule.data.iter().filter(|query| !query.is_expression());
    match (queries.next(), queries.next()) {
        (Some(only), None) => only.model["expr"].as_str().unwrap_or_default().to_owned(),
        _ => serde_json::to_string(&rule.rule.data).unwrap_or_default(),
    }
}

/// How many instances are in each state.
fn totals<'a>(instances: impl Iterator<Item = &'a Instance>) -> BTreeMap<String, usize> {
    let mut totals = BTreeMap::new();
    for instance in instances {
        *totals.entry(instance.core.state.as_str().to_lowercase()).or_default() += 1;
    }
    totals
}

fn rule_json(group: &Group, rule: &Rule, limit: usize) -> Value {
    let took_ms = rule.took_ms();
    rule.read(|state| {
        let is_recording = rule.rule.record.is_some();
        let mut instances: Vec<&Instance> = state.instances().filter(|_| !is_recording).collect();
        let totals = totals(instances.iter().copied());
        // What fires first, as it is what is looked for.
        instances.sort_by_key(|one| match one.core.state {
            State::Alerting | State::Error | State::NoData => 0,
            State::Recovering => 1,
            State::Pending => 2,
            State::Normal => 3,
        });
        let active = instances.iter().filter(|one| one.core.state != State::Normal);
        let active_ms = active.map(|one| one.core.starts_at_ms).min();
        let health = match (rule.problem.is_empty(), state.health()) {
            (false, _) | (true, Health::Error) => "error",
            (true, Health::Ok) => "ok",
            (true, Health::NoData) => "nodata",
            (true, Health::Unknown) => "unknown",
        };
        let error = if rule.problem.is_empty() { state.last_error() } else { rule.problem.as_str() };
        let mut sources: Vec<&str> = rule
            .rule
            .data
            .iter()
            .filter(|query| !query.is_expression())
            .map(|query| query.datasource_uid.as_str())
            .collect();
        sources.dedup();
        let mut out = json!({
            "uid": rule.rule.uid,
            "name": rule.rule.title,
            "folderUid": group.folder_uid,
            "query": query_text(rule),
            "queriedDatasourceUIDs": sources,
            "labels": rule.rule.labels,
            "health": health,
            "type": if is_recording { "recording" } else { "alerting" },
            "lastEvaluation": time(state.evaluated_at_ms()),
            "evaluationTime": took_ms / 1000.0,
            "isPaused": rule.rule.is_paused,
        });
        if !error.is_empty() {
            out["lastError"] = error.into();
        }
        if rule.provenance != Provenance::None {
            out["provenance"] = rule.provenance.as_str().into();
        }
        if let Some(settings) = &rule.rule.notification_settings {
            out["notificationSettings"] = serde_json::to_value(settings).unwrap_or_default();
        }
        if !is_recording {
            let alerts: Vec<Value> = instances.iter().take(limit).map(|one| instance_json(rule, one)).collect();
            out["state"] = state.worst().into();
            out["duration"] = (rule.rule.for_.0 as f64 / 1000.0).into();
            out["keepFiringFor"] = (rule.rule.keep_firing_for.0 as f64 / 1000.0).into();
            out["annotations"] = json!(rule.rule.annotations);
            out["alerts"] = alerts.into();
            out["totals"] = json!(totals);
            out["totalsFiltered"] = json!(totals);
            if let Some(active_ms) = active_ms {
                out["activeAt"] = time(Some(active_ms)).into();
            }
        }
        out
    })
}

async fn rules(Extract(app): Extract<Shared>, params: Params) -> ApiResult {
    let wanted = |name: &'static str| params.all(name).collect::<Vec<_>>();
    let (uids, folders, groups) = (wanted("rule_uid"), wanted("folder_uid"), wanted("rule_group"));
    let (files, names, states, healths) = (wanted("file"), wanted("rule_name"), wanted("state"), wanted("health"));
    let kind = params.get("type").unwrap_or("");
    let dashboard = params.get("dashboard_uid");
    let panel = params.get("panel_id");
    let limit = params.count("limit_alerts", usize::MAX, usize::MAX)?;
    let among = |list: &[&str], text: &str| list.is_empty() || list.contains(&text);
    let mut out = Vec::new();
    let mut all: BTreeMap<String, usize> = BTreeMap::new();
    for group in app.alerts.rules.groups().iter() {
        if !among(&folders, &group.folder_uid) || !among(&files, &group.folder) || !among(&groups, &group.name) {
            continue;
        }
        let annotation = |rule: &Rule, name: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| rule.rule.annotations.get(name).is_some_and(|value| value == wanted))
        };
        let mut rules = Vec::new();
        for rule in &group.rules {
            let fits = among(&uids, &rule.rule.uid)
                && among(&names, &rule.rule.title)
                && annotation(rule, alerting::grafana::labels::DASHBOARD_UID, dashboard)
                && annotation(rule, alerting::grafana::labels::PANEL_ID, panel);
            if !fits {
                continue;
            }
            let shown = rule_json(group, rule, limit);
            let text = |key: &str| shown[key].as_str().unwrap_or("").to_owned();
            let state = text("state");
            let state_fits = states.is_empty()
                || states.iter().any(|wanted| *wanted == state || (*wanted == "normal" && state == "inactive"));
            let kind_fits = match kind {
                "alert" | "alerting" => shown["type"] == "alerting",
                "record" | "recording" => shown["type"] == "recording",
                _ => true,
            };
            if !state_fits || !kind_fits || !among(&healths, &text("health")) {
                continue;
            }
            if !state.is_empty() {
                *all.entry(state).or_default() += 1;
            }
            if text("health") == "error" {
                *all.entry("error".to_owned()).or_default() += 1;
            }
            rules.push(shown);
        }
        if rules.is_empty() && !group.rules.is_empty() {
            continue;
        }
        let timing = group.timing();
        out.push(json!({
            "name": group.name,
            "file": group.folder,
            "folderUid": group.folder_uid,
            "rules": rules,
            "interval": group.interval_ms as f64 / 1000.0,
            "lastEvaluation": time(timing.last_ms),
            "evaluationTime": timing.took_ms / 1000.0,
        }));
    }
    Ok(Json(json!({"status": "success", "data": {"groups": out, "totals": all}})).into_response())
}

async fn alerts(Extract(app): Extract<Shared>) -> Json<Value> {
    let mut out = Vec::new();
    for group in app.alerts.rules.groups().iter() {
        for rule in group.rules.iter().filter(|rule| rule.rule.record.is_none()) {
            rule.read(|state| out.extend(state.instances().map(|instance| instance_json(rule, instance))));
        }
    }
    Json(json!({"status": "success", "data": {"alerts": out}}))
}
