//! Annotations, and the alerts' changes of state among them.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, EDITOR, Params, Routes, VIEWER, Who};
use crate::annotations::{Annotation, Filter, not_found};
use crate::app::Shared;
use crate::error::{ApiError, ApiResult, done};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/annotations", VIEWER, list)
        .post("/api/annotations", EDITOR, create)
        .post("/api/annotations/graphite", EDITOR, graphite)
        .post("/api/annotations/mass-delete", EDITOR, delete_many)
        .get("/api/annotations/tags", VIEWER, tags)
        .get("/api/annotations/{id}", VIEWER, get)
        .put("/api/annotations/{id}", EDITOR, replace)
        .patch("/api/annotations/{id}", EDITOR, patch)
        .delete("/api/annotations/{id}", EDITOR, delete)
}

fn to_json(app: &Shared, one: &Annotation) -> Value {
    let dashboard = app.dashboards.get(&one.dashboard_uid);
    json!({
        "id": one.id, "alertId": 0, "alertName": "", "newState": "", "prevState": "",
        "dashboardId": dashboard.map_or(0, |entry| entry.id()),
        "dashboardUID": one.dashboard_uid,
        "panelId": one.panel_id,
        "time": one.time_ms, "timeEnd": one.end_ms,
        "text": one.text, "tags": one.tags, "data": one.data,
        "userId": one.user_id, "login": one.login, "email": "", "avatarUrl": "",
        "created": one.created_ms, "updated": one.updated_ms,
    })
}

/// The dashboard that is named by uid or number.
fn dashboard_of(app: &Shared, uid: Option<&str>, id: Option<i64>) -> Option<String> {
    let by_id =
        || id.and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0).and_then(|id| app.dashboards.by_id(id));
    uid.filter(|uid| !uid.is_empty()).map(str::to_owned).or_else(|| by_id().map(|entry| entry.uid.clone()))
}

async fn list(State(app): State<Shared>, params: Params) -> ApiResult {
    let kind = params.get("type").unwrap_or("");
    let limit = params.count("limit", 100, 10_000)?;
    let filter = Filter {
        from_ms: params.integer("from")?.filter(|ms| *ms > 0),
        to_ms: params.integer("to")?.filter(|ms| *ms > 0),
        dashboard_uid: dashboard_of(&app, params.get("dashboardUID"), params.integer("dashboardId")?),
        panel_id: params.integer("panelId")?.filter(|id| *id > 0),
        user_id: params.integer("userId")?.and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0),
        tags: params.texts("tags"),
        match_any: params.flag("matchAny"),
    };
    let rule_uid = params.get("alertUID").map(str::to_owned);
    let mut found: Vec<Value> = Vec::new();
    if kind != "alert" && rule_uid.is_none() {
        found.extend(app.annotations.find(&filter, limit).iter().map(|one| to_json(&app, one)));
    }
    // States of alerts have no tags and no author.
    if kind != "annotation" && filter.tags.is_empty() && filter.user_id.is_none() {
        found.extend(app.alerts.annotations(&filter, rule_uid.as_deref(), limit));
    }
    found.sort_by_key(|one| std::cmp::Reverse(one["time"].as_i64()));
    found.truncate(limit);
    Ok(Json(Value::Array(found)).into_response())
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Fields {
    #[serde(rename = "dashboardUID")]
    dashboard_uid: Option<String>,
    dashboard_id: Option<i64>,
    panel_id: Option<i64>,
    time: Option<i64>,
    time_end: Option<i64>,
    text: Option<String>,
    tags: Option<Vec<String>>,
    data: Option<Value>,
}

/// Longest text, and most and longest tags.
const MAX_TEXT: usize = 64 << 10;
const MAX_TAGS: usize = 100;

fn check(fields: &Fields) -> Result<(), ApiError> {
    if fields.text.as_ref().is_some_and(|text| text.len() > MAX_TEXT) {
        return Err(ApiError::bad_request(format!("text: longer than {MAX_TEXT} bytes")));
    }
    if fields.tags.as_ref().is_some_and(|tags| tags.len() > MAX_TAGS || tags.iter().any(|tag| tag.len() > 500)) {
        return Err(ApiError::bad_request(format!("tags: at most {MAX_TAGS}, of 500 bytes each")));
    }
    if let (Some(start), Some(end)) = (fields.time, fields.time_end)
        && end > 0
        && end < start
    {
        return Err(ApiError::bad_request("timeEnd: before time"));
    }
    Ok(())
}

async fn create(State(app): State<Shared>, Who(who): Who, Body(fields): Body<Fields>) -> ApiResult {
    check(&fields)?;
    let text = fields.text.unwrap_or_default();
    if text.trim().is_empty() {
        return Err(ApiError::bad_request("Failed to save annotation: text field should not be empty"));
    }
    let uid = dashboard_of(&app, fields.dashboard_uid.as_deref(), fields.dashboard_id);
    if let Some(uid) = &uid {
        app.dashboards.get(uid).ok_or_else(crate::dashboards::not_found)?;
    }
    let now_ms = app.now_ms();
    let time_ms = fields.time.filter(|ms| *ms > 0).unwrap_or(now_ms);
    let one = Annotation {
        dashboard_uid: uid.unwrap_or_default(),
        panel_id: fields.panel_id.unwrap_or(0),
        time_ms,
        end_ms: fields.time_end.filter(|ms| *ms > 0).unwrap_or(time_ms),
        text,
        tags: fields.tags.unwrap_or_default(),
        data: fields.data.unwrap_or_else(|| json!({})),
        user_id: who.id,
        login: who.login,
        ..Annotation::default()
    };
    let id = app.annotations.add(one, now_ms).await?;
    Ok(Json(json!({"message": "Annotation added", "id": id})).into_response())
}

#[derive(Deserialize)]
struct Graphite {
    what: String,
    #[serde(default)]
    when: i64,
    #[serde(default)]
    tags: Value,
    #[serde(default)]
    data: String,
}

async fn graphite(State(app): State<Shared>, Who(who): Who, Body(event): Body<Graphite>) -> ApiResult {
    if event.what.is_empty() {
        return Err(ApiError::bad_request("Failed to save Graphite annotation: what field should not be empty"));
    }
    let tags = match event.tags {
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        Value::Array(tags) => tags.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::Null => Vec::new(),
        _ => return Err(ApiError::bad_request("tags: a text or a list of texts is expected")),
    };
    let text = if event.data.is_empty() { event.what } else { format!("{}\n{}", event.what, event.data) };
    let fields =
        Fields { time: Some(event.when.saturating_mul(1000)), text: Some(text), tags: Some(tags), ..Fields::default() };
    let added = create(State(app), Who(who), Body(fields)).await?;
    Ok(added)
}

async fn get(State(app): State<Shared>, Path(id): Path<u64>) -> ApiResult {
    let one = app.annotations.get(id).ok_or_else(not_found)?;
    Ok(Json(to_json(&app, &one)).into_response())
}

async fn replace(State(app): State<Shared>, Path(id): Path<u64>, Body(fields): Body<Fields>) -> ApiResult {
    let whole =
        Fields { text: Some(fields.text.unwrap_or_default()), tags: Some(fields.tags.unwrap_or_default()), ..fields };
    change(&app, id, whole).await?;
    Ok(done("Annotation updated").into_response())
}

async fn patch(State(app): State<Shared>, Path(id): Path<u64>, Body(fields): Body<Fields>) -> ApiResult {
    change(&app, id, fields).await?;
    Ok(done("Annotation patched").into_response())
}

async fn change(app: &Shared, id: u64, fields: Fields) -> Result<(), ApiError> {
    check(&fields)?;
    app.annotations
        .change(id, app.now_ms(), |one| {
            one.text = fields.text.unwrap_or_else(|| one.text.clone());
            one.tags = fields.tags.unwrap_or_else(|| one.tags.clone());
            one.time_ms = fields.time.filter(|ms| *ms > 0).unwrap_or(one.time_ms);
            one.end_ms = fields.time_end.filter(|ms| *ms > 0).unwrap_or(one.end_ms).max(one.time_ms);
            one.data = fields.data.unwrap_or_else(|| one.data.clone());
        })
        .await
}

async fn delete(State(app): State<Shared>, Path(id): Path<u64>) -> ApiResult {
    match app.annotations.delete(&[id]).await? {
        0 => Err(not_found()),
        _ => Ok(done("Annotation deleted").into_response()),
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Many {
    annotation_id: u64,
    #[serde(rename = "dashboardUID")]
    dashboard_uid: Option<String>,
    dashboard_id: Option<i64>,
    panel_id: i64,
}

async fn delete_many(State(app): State<Shared>, Body(which): Body<Many>) -> ApiResult {
    if which.annotation_id > 0 {
        app.annotations.delete(&[which.annotation_id]).await?;
        return Ok(done("Annotations deleted").into_response());
    }
    let uid = dashboard_of(&app, which.dashboard_uid.as_deref(), which.dashboard_id);
    let (Some(uid), true) = (uid, which.panel_id > 0) else {
        return Err(ApiError::bad_request("DashboardId and PanelId are both required for mass delete"));
    };
    let filter = Filter { dashboard_uid: Some(uid), panel_id: Some(which.panel_id), ..Filter::default() };
    let ids: Vec<u64> = app.annotations.find(&filter, usize::MAX).iter().map(|one| one.id).collect();
    app.annotations.delete(&ids).await?;
    Ok(done("Annotations deleted").into_response())
}

async fn tags(State(app): State<Shared>, params: Params) -> ApiResult {
    let wanted = params.get("tag").unwrap_or("").to_lowercase();
    let limit = params.count("limit", 100, 1000)?;
    let tags = app.annotations.tags();
    let found = tags.into_iter().filter(|(tag, _)| tag.to_lowercase().contains(&wanted)).take(limit);
    let found: Vec<Value> = found.map(|(tag, count)| json!({"tag": tag, "count": count})).collect();
    Ok(Json(json!({"result": {"tags": found}})).into_response())
}
