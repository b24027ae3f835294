//! The provisioning API of the notification policy, mute timings and templates.

use alerting::grafana::notifier_config;
use alerting::notify::config::{ConfigOptions, Route};
use alerting::notify::contact_point::ContactPoint;
use alerting::notify::time_interval::NamedIntervals;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{bad, export, provenance};
use crate::alerts::config::{AlertingConfig, Item, MessageTemplate};
use crate::alerts::notify::{check_template, contact_point_options};
use crate::api::{Body, EDITOR, Params, Routes, VIEWER};
use crate::app::Shared;
use crate::error::{ApiError, ApiResult, done};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/v1/provisioning/policies", VIEWER, get_policy)
        .put("/api/v1/provisioning/policies", EDITOR, put_policy)
        .delete("/api/v1/provisioning/policies", EDITOR, reset_policy)
        .get("/api/v1/provisioning/policies/export", VIEWER, export_policy)
        .get("/api/v1/provisioning/mute-timings", VIEWER, timings)
        .post("/api/v1/provisioning/mute-timings", EDITOR, create_timing)
        .get("/api/v1/provisioning/mute-timings/export", VIEWER, export_timings)
        .get("/api/v1/provisioning/mute-timings/{name}", VIEWER, timing)
        .put("/api/v1/provisioning/mute-timings/{name}", EDITOR, put_timing)
        .delete("/api/v1/provisioning/mute-timings/{name}", EDITOR, delete_timing)
        .get("/api/v1/provisioning/mute-timings/{name}/export", VIEWER, export_timing)
        .get("/api/v1/provisioning/templates", VIEWER, templates)
        .get("/api/v1/provisioning/templates/{name}", VIEWER, template)
        .put("/api/v1/provisioning/templates/{name}", EDITOR, put_template)
        .delete("/api/v1/provisioning/templates/{name}", EDITOR, delete_template)
}

/// Whether the notifier could work with this configuration.
fn check(app: &Shared, config: &AlertingConfig) -> Result<(), ApiError> {
    let options = contact_point_options(&app.settings);
    let mut points: Vec<ContactPoint> = config
        .points_by_name()
        .into_iter()
        .map(|(name, _)| ContactPoint { org_id: 1, name: name.to_owned(), receivers: Vec::new() })
        .collect();
    let default = crate::alerts::config::DEFAULT_RECEIVER;
    if !points.iter().any(|point| point.name == default) {
        points.push(ContactPoint { org_id: 1, name: default.to_owned(), receivers: Vec::new() });
    }
    let timings: Vec<NamedIntervals> = config.mute_timings.iter().map(|timing| timing.value.clone()).collect();
    let policy = config.policy().value;
    notifier_config(&policy, &points, &timings, [], &options, ConfigOptions::default()).map(drop).map_err(bad)
}

fn policy_json(config: &AlertingConfig) -> Value {
    let policy = config.policy();
    let mut value = serde_json::to_value(&policy.value).unwrap_or_default();
    value["provenance"] = policy.provenance.as_str().into();
    value
}

async fn get_policy(State(app): State<Shared>) -> Json<Value> {
    Json(policy_json(&app.alerts.config.get()))
}

async fn put_policy(State(app): State<Shared>, headers: HeaderMap, Body(mut sent): Body<Value>) -> ApiResult {
    if let Some(map) = sent.as_object_mut() {
        map.remove("provenance");
    }
    let route: Route = serde_json::from_value(sent).map_err(bad)?;
    let mut config = app.alerts.config.get();
    config.policy().provenance.check_change()?;
    let item = Item { value: route, provenance: provenance(&headers), updated_ms: app.now_ms() };
    config.policy = Some(item.clone());
    check(&app, &config)?;
    app.alerts.config.edit(|own| own.policy = Some(item)).await?;
    app.alerts.put_in_force(&app).await;
    Ok((StatusCode::ACCEPTED, done("policies updated")).into_response())
}

async fn reset_policy(State(app): State<Shared>) -> ApiResult {
    app.alerts.config.get().policy().provenance.check_change()?;
    app.alerts.config.edit(|own| own.policy = None).await?;
    app.alerts.put_in_force(&app).await;
    Ok((StatusCode::ACCEPTED, Json(policy_json(&app.alerts.config.get()))).into_response())
}

async fn export_policy(State(app): State<Shared>, params: Params, headers: HeaderMap) -> ApiResult {
    let mut policy = serde_json::to_value(app.alerts.config.get().policy().value).unwrap_or_default();
    policy["orgId"] = 1.into();
    export::answer("policies", vec![policy], &params, &headers)
}

fn timing_json(item: &Item<NamedIntervals>) -> Value {
    let mut value = serde_json::to_value(&item.value).unwrap_or_default();
    value["provenance"] = item.provenance.as_str().into();
    value
}

fn no_timing() -> ApiError {
    ApiError::not_found("time interval not found").id("alerting.notifications.time-intervals.notFound")
}

fn find_timing<'c>(config: &'c AlertingConfig, name: &str) -> Option<&'c Item<NamedIntervals>> {
    config.mute_timings.iter().find(|timing| timing.value.name == name)
}

async fn timings(State(app): State<Shared>) -> Json<Value> {
    Json(app.alerts.config.get().mute_timings.iter().map(timing_json).collect())
}

async fn timing(State(app): State<Shared>, Path(name): Path<String>) -> ApiResult {
    let config = app.alerts.config.get();
    Ok(Json(timing_json(find_timing(&config, &name).ok_or_else(no_timing)?)).into_response())
}

fn read_timing(mut sent: Value) -> Result<NamedIntervals, ApiError> {
    if let Some(map) = sent.as_object_mut() {
        map.remove("provenance");
        map.remove("version");
    }
    let timing: NamedIntervals = serde_json::from_value(sent).map_err(bad)?;
    if timing.name.trim().is_empty() {
        return Err(ApiError::bad_request("name: missing"));
    }
    Ok(timing)
}

async fn store_timing(app: &Shared, item: Item<NamedIntervals>) -> Result<Value, ApiError> {
    let mut config = app.alerts.config.get();
    config.mute_timings.retain(|known| known.value.name != item.value.name);
    config.mute_timings.push(item.clone());
    check(app, &config)?;
    let body = timing_json(&item);
    app.alerts
        .config
        .change(|own| {
            match own.mute_timings.iter_mut().find(|known| known.value.name == item.value.name) {
                Some(known) => *known = item,
                None => own.mute_timings.push(item),
            }
            Ok(())
        })
        .await?;
    app.alerts.put_in_force(app).await;
    Ok(body)
}

async fn create_timing(State(app): State<Shared>, headers: HeaderMap, Body(sent): Body<Value>) -> ApiResult {
    let timing = read_timing(sent)?;
    if find_timing(&app.alerts.config.get(), &timing.name).is_some() {
        let message = format!("a time interval {:?} exists", timing.name);
        return Err(ApiError::conflict(message).id("alerting.notifications.time-intervals.nameExists"));
    }
    let item = Item { value: timing, provenance: provenance(&headers), updated_ms: app.now_ms() };
    Ok((StatusCode::CREATED, Json(store_timing(&app, item).await?)).into_response())
}

async fn put_timing(
    State(app): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Body(mut sent): Body<Value>,
) -> ApiResult {
    find_timing(&app.alerts.config.get(), &name).ok_or_else(no_timing)?.provenance.check_change()?;
    if let Some(map) = sent.as_object_mut() {
        map.insert("name".to_owned(), name.into());
    }
    let item = Item { value: read_timing(sent)?, provenance: provenance(&headers), updated_ms: app.now_ms() };
    Ok((StatusCode::ACCEPTED, Json(store_timing(&app, item).await?)).into_response())
}

async fn delete_timing(State(app): State<Shared>, Path(name): Path<String>) -> ApiResult {
    let mut config = app.alerts.config.get();
    if let Some(known) = find_timing(&config, &name) {
        known.provenance.check_change()?;
        config.mute_timings.retain(|known| known.value.name != name);
        check(&app, &config).map_err(|_| {
            let message = "the time interval is in use by the notification policy";
            ApiError::conflict(message).id("alerting.notifications.time-intervals.used")
        })?;
        app.alerts.config.edit(|own| own.mute_timings.retain(|known| known.value.name != name)).await?;
        app.alerts.put_in_force(&app).await;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn export_json(item: &Item<NamedIntervals>) -> Value {
    let mut value = serde_json::to_value(&item.value).unwrap_or_default();
    value["orgId"] = 1.into();
    value
}

async fn export_timings(State(app): State<Shared>, params: Params, headers: HeaderMap) -> ApiResult {
    let items = app.alerts.config.get().mute_timings.iter().map(export_json).collect();
    export::answer("muteTimes", items, &params, &headers)
}

async fn export_timing(
    State(app): State<Shared>,
    Path(name): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> ApiResult {
    let config = app.alerts.config.get();
    let item = export_json(find_timing(&config, &name).ok_or_else(no_timing)?);
    export::answer("muteTimes", vec![item], &params, &headers)
}

fn template_json(item: &Item<MessageTemplate>) -> Value {
    json!({"name": item.value.name, "template": item.value.template, "provenance": item.provenance.as_str()})
}

fn no_template() -> ApiError {
    ApiError::not_found("template not found").id("alerting.notifications.templates.notFound")
}

async fn templates(State(app): State<Shared>) -> Json<Value> {
    Json(app.alerts.config.get().templates.iter().map(template_json).collect())
}

async fn template(State(app): State<Shared>, Path(name): Path<String>) -> ApiResult {
    let config = app.alerts.config.get();
    let found = config.templates.iter().find(|template| template.value.name == name).ok_or_else(no_template)?;
    Ok(Json(template_json(found)).into_response())
}

#[derive(Deserialize)]
struct PutTemplate {
    #[serde(default)]
    template: String,
}

async fn put_template(
    State(app): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Body(sent): Body<PutTemplate>,
) -> ApiResult {
    if sent.template.trim().is_empty() {
        return Err(ApiError::bad_request("template: missing"));
    }
    check_template(&name, &sent.template).map_err(bad)?;
    let config = app.alerts.config.get();
    if let Some(known) = config.templates.iter().find(|template| template.value.name == name) {
        known.provenance.check_change()?;
    }
    let value = MessageTemplate { name, template: sent.template };
    let item = Item { value, provenance: provenance(&headers), updated_ms: app.now_ms() };
    let body = template_json(&item);
    app.alerts
        .config
        .change(|own| {
            match own.templates.iter_mut().find(|known| known.value.name == item.value.name) {
                Some(known) => *known = item,
                None => own.templates.push(item),
            }
            Ok(())
        })
        .await?;
    app.alerts.put_in_force(&app).await;
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

async fn delete_template(State(app): State<Shared>, Path(name): Path<String>) -> ApiResult {
    let config = app.alerts.config.get();
    if let Some(known) = config.templates.iter().find(|template| template.value.name == name) {
        known.provenance.check_change()?;
        app.alerts.config.edit(|own| own.templates.retain(|known| known.value.name != name)).await?;
        app.alerts.put_in_force(&app).await;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
