//! Dashboards: read, save, delete, versions, search, import.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Body, EDITOR, Params, Routes, VIEWER, Who, time_text};
use crate::app::Shared;
use crate::auth::{Identity, Role};
use crate::dashboards::import::{self, Input};
use crate::dashboards::model::Model;
use crate::dashboards::search::{Hit, Search, search as find};
use crate::dashboards::{Entry, Save, Version, not_found};
use crate::error::{ApiError, ApiResult};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .post("/api/dashboards/db", EDITOR, save)
        .post("/api/dashboards/import", EDITOR, import_dashboard)
        .get("/api/dashboards/home", VIEWER, home)
        .get("/api/dashboards/tags", VIEWER, tags)
        .get("/api/dashboards/uid/{uid}", VIEWER, get)
        .delete("/api/dashboards/uid/{uid}", EDITOR, delete)
        .get("/api/dashboards/uid/{uid}/versions", VIEWER, versions)
        .get("/api/dashboards/uid/{uid}/versions/{version}", VIEWER, version)
        .post("/api/dashboards/uid/{uid}/restore", EDITOR, restore)
        .get("/api/dashboards/uid/{uid}/permissions", VIEWER, permissions)
        .post("/api/dashboards/uid/{uid}/permissions", super::ADMIN, set_permissions)
        .post("/api/dashboards/calculate-diff", VIEWER, diff)
        .get("/api/search", VIEWER, search)
        .get("/api/search/sorting", VIEWER, sorting)
}

pub(super) fn url_of(app: &Shared, entry: &Entry) -> String {
    app.path(&format!("/d/{}/{}", entry.uid, entry.slug))
}

fn folder_facts(app: &Shared, folder_uid: &str) -> (u64, String, String) {
    match app.folders.get(folder_uid) {
        Some(folder) => {
            let url =
                app.path(&format!("/dashboards/f/{}/{}", folder.uid, crate::dashboards::model::slug(&folder.title)));
            (folder.id, folder.title, url)
        }
        None => (0, "Dashboards".to_owned(), String::new()),
    }
}

fn meta(app: &Shared, entry: &Entry, who: &Identity) -> Value {
    let (folder_id, folder_title, folder_url) = folder_facts(app, entry.folder_uid());
    let (created_ms, created_by) = entry.created();
    let (updated_ms, updated_by) = entry.updated();
    let editor = who.role >= Role::Editor;
    let origin = entry.origin();
    let name = |name: &str| if name.is_empty() { "Anonymous".to_owned() } else { name.to_owned() };
    json!({
        "type": "db",
        "canSave": editor && origin.is_none_or(|origin| origin.allow_ui_updates),
        "canEdit": editor || app.settings.users.viewers_can_edit,
        "canAdmin": who.role >= Role::Admin,
        "canStar": who.is_signed_in(),
        "canDelete": editor && origin.is_none(),
        "slug": entry.slug,
        "url": url_of(app, entry),
        "expires": "0001-01-01T00:00:00Z",
        "created": time_text(created_ms),
        "createdBy": name(created_by),
        "updated": time_text(updated_ms),
        "updatedBy": name(updated_by),
        "version": entry.version(),
        "hasAcl": false,
        "isFolder": false,
        "isStarred": app.personal.of(who.id).stars.contains(&entry.uid),
        "apiVersion": entry.api_version.as_deref().map_or("v1", |version| version.rsplit('/').next().unwrap_or("v2")),
        "folderId": folder_id,
        "folderUid": entry.folder_uid(),
        "folderTitle": folder_title,
        "folderUrl": folder_url,
        "provisioned": origin.is_some(),
        "provisionedExternalId": origin.map_or("", |origin| origin.file.as_str()),
        "annotationsPermissions": {
            "dashboard": {"canAdd": editor, "canEdit": editor, "canDelete": editor},
            "organization": {"canAdd": editor, "canEdit": editor, "canDelete": editor},
        },
    })
}

/// `{"meta": …, "dashboard": …}`; the dashboard's text goes out as it is kept.
fn full(meta: &Value, text: &str) -> Response {
    let body = format!("{{\"meta\":{meta},\"dashboard\":{text}}}");
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn get(State(app): State<Shared>, Who(who): Who, Path(uid): Path<String>) -> ApiResult {
    let entry = app.dashboards.get(&uid).ok_or_else(not_found)?;
    Ok(full(&meta(&app, &entry, &who), &entry.text))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SaveRequest {
    dashboard: Value,
    #[serde(default)]
    folder_uid: Option<String>,
    #[serde(default)]
    folder_id: Option<i64>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    overwrite: bool,
}

/// The folder that a request names by uid, or by the number that older clients use. `None`: it says nothing.
fn folder_of(app: &Shared, uid: Option<&str>, id: Option<i64>) -> Result<Option<String>, ApiError> {
    match (uid, id) {
        (Some("" | "general"), _) => Ok(Some(String::new())),
        (Some(uid), _) => match app.folders.get(uid) {
            Some(folder) => Ok(Some(folder.uid)),
            None => Err(ApiError::bad_request("folder not found").id("folder.not-found").with("status", "not-found")),
        },
        (None, Some(id)) if id > 0 => {
            let folders = app.folders.all();
            let folder = folders.iter().find(|folder| i64::try_from(folder.id) == Ok(id));
            folder
                .map(|folder| Some(folder.uid.clone()))
                .ok_or_else(|| ApiError::bad_request("folder not found").id("folder.not-found"))
        }
        (None, Some(_)) => Ok(Some(String::new())),
        (None, None) => Ok(None),
    }
}

/// Refuses a refresh faster than the server allows.
fn check_refresh(app: &Shared, model: &Model) -> Result<(), ApiError> {
    let Some(refresh) = model.json.get("refresh").and_then(Value::as_str).filter(|r| !r.is_empty() && *r != "auto")
    else {
        return Ok(());
    };
    let least = model::duration::parse_duration_ms(&app.settings.dashboards.min_refresh_interval).unwrap_or(0);
    match model::duration::parse_duration_ms(refresh) {
        Ok(ms) if ms > 0 && ms < least => Err(ApiError::bad_request("Dashboard refresh interval is too low")),
        _ => Ok(()),
    }
}

async fn save(State(app): State<Shared>, Who(who): Who, Body(request): Body<SaveRequest>) -> ApiResult {
    let model = Model::read(request.dashboard)?;
    check_refresh(&app, &model)?;
    let save = Save {
        model,
        folder_uid: folder_of(&app, request.folder_uid.as_deref(), request.folder_id)?,
        message: request.message.chars().take(500).collect(),
        overwrite: request.overwrite,
        by: who.login,
        restored_from: 0,
        origin: None,
    };
    let saved = app.dashboards.save(save, app.now_ms()).await?;
    Ok(Json(saved_json(&app, &saved.entry)).into_response())
}

fn saved_json(app: &Shared, entry: &Entry) -> Value {
    json!({
        "id": entry.id(),
        "uid": entry.uid,
        "url": url_of(app, entry),
        "status": "success",
        "version": entry.version(),
        "slug": entry.slug,
        "folderUid": entry.folder_uid(),
    })
}

async fn delete(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    let gone = app.dashboards.delete(&uid, false).await?;
    let title = &gone.facts.title;
    Ok(Json(json!({"message": format!("Dashboard {title} deleted"), "title": title, "uid": uid, "id": gone.id()}))
        .into_response())
}

fn version_json(entry: &Entry, version: &Version) -> Value {
    json!({
        "id": version.version,
        "dashboardId": entry.id(),
        "uid": entry.uid,
        "dashboardUID": entry.uid,
        "parentVersion": version.parent,
        "restoredFrom": version.restored_from,
        "version": version.version,
        "created": time_text(version.created_ms),
        "createdBy": version.created_by,
        "message": version.message,
    })
}

async fn versions(State(app): State<Shared>, Path(uid): Path<String>, params: Params) -> ApiResult {
    let entry = app.dashboards.get(&uid).ok_or_else(not_found)?;
    let limit = params.count("limit", 1000, 1000)?;
    let start = params.integer("start")?.and_then(|start| usize::try_from(start).ok()).unwrap_or(0);
    let shown: Vec<Value> =
        entry.versions().iter().rev().skip(start).take(limit).map(|version| version_json(&entry, version)).collect();
    Ok(Json(json!({"continueToken": "", "versions": shown})).into_response())
}

async fn version(State(app): State<Shared>, Path((uid, number)): Path<(String, i64)>) -> ApiResult {
    let entry = app.dashboards.get(&uid).ok_or_else(not_found)?;
    let text = app.dashboards.version_text(&uid, number).await?;
    let data: Value =
        serde_json::from_str(&text).map_err(|e| ApiError::internal(format!("the version is damaged: {e}")))?;
    let found = entry.versions().iter().find(|one| one.version == number).ok_or_else(not_found)?;
    let mut body = version_json(&entry, found);
    if let Some(body) = body.as_object_mut() {
        body.insert("data".into(), data);
    }
    Ok(Json(body).into_response())
}

#[derive(Deserialize)]
struct Restore {
    version: i64,
}

async fn restore(
    State(app): State<Shared>,
    Who(who): Who,
    Path(uid): Path<String>,
    Body(request): Body<Restore>,
) -> ApiResult {
    let entry = app.dashboards.get(&uid).ok_or_else(not_found)?;
    let text = app.dashboards.version_text(&uid, request.version).await?;
    let value = serde_json::from_str(&text).map_err(|e| ApiError::internal(format!("the version is damaged: {e}")))?;
    let mut model = Model::read(value)?;
    let current: Value = serde_json::from_str(&entry.text).map_err(|e| ApiError::internal(e.to_string()))?;
    if Model::read(current)?.comparable() == model.comparable() {
        return Err(ApiError::bad_request("Current dashboard is identical to the specified version"));
    }
    model.stamp(entry.id(), &uid, entry.version());
    let save = Save {
        model,
        folder_uid: None,
        message: format!("Restored from version {}", request.version),
        overwrite: false,
        by: who.login,
        restored_from: request.version,
        origin: None,
    };
    let saved = app.dashboards.save(save, app.now_ms()).await?;
    Ok(Json(saved_json(&app, &saved.entry)).into_response())
}

/// There are roles and no permissions of single dashboards: what the roles may do, in the form that is asked for.
pub(super) fn role_permissions() -> Value {
    json!([
        {"id": 1, "role": "Viewer", "permission": 1, "permissionName": "View", "inherited": true},
        {"id": 2, "role": "Editor", "permission": 2, "permissionName": "Edit", "inherited": true},
        {"id": 3, "role": "Admin", "permission": 4, "permissionName": "Admin", "inherited": true},
    ])
}

async fn permissions(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    app.dashboards.get(&uid).ok_or_else(not_found)?;
    Ok(Json(role_permissions()).into_response())
}

async fn set_permissions() -> ApiResult {
    Err(ApiError::not_built("Permissions of single dashboards (roles hold for all)"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Diff {
    base: Side,
    new: Side,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Side {
    #[serde(default, alias = "dashboardUID")]
    dashboard_uid: String,
    #[serde(default)]
    dashboard_id: u64,
    version: i64,
}

async fn diff(State(app): State<Shared>, Body(request): Body<Diff>) -> ApiResult {
    let mut sides = Vec::new();
    for side in [request.base, request.new] {
        let entry = match side.dashboard_uid.as_str() {
            "" => app.dashboards.by_id(side.dashboard_id),
            uid => app.dashboards.get(uid),
        };
        let entry = entry.ok_or_else(not_found)?;
        let text = app.dashboards.version_text(&entry.uid, side.version).await?;
        let value: Value = serde_json::from_str(&text).map_err(|e| ApiError::internal(e.to_string()))?;
        sides.push(value);
    }
    let mut changes = Vec::new();
    let (Some(new), Some(base)) = (sides.pop(), sides.pop()) else { return Err(not_found()) };
    compare("", &base, &new, &mut changes);
    Ok(Json(Value::Array(changes)).into_response())
}

/// Differences as JSON Patch operations with the old values beside.
fn compare(path: &str, base: &Value, new: &Value, out: &mut Vec<Value>) {
    let key_path = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
    match (base, new) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, old) in a {
                match b.get(key) {
                    Some(now) => compare(&key_path(key), old, now, out),
                    None => out.push(json!({"op": "remove", "path": key_path(key), "originalValue": old})),
                }
            }
            for (key, now) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                out.push(json!({"op": "add", "path": key_path(key), "value": now}));
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for (index, (old, now)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}/{index}"), old, now, out);
            }
            for (index, old) in a.iter().enumerate().skip(b.len()) {
                out.push(json!({"op": "remove", "path": format!("{path}/{index}"), "originalValue": old}));
            }
            for (index, now) in b.iter().enumerate().skip(a.len()) {
                out.push(json!({"op": "add", "path": format!("{path}/{index}"), "value": now}));
            }
        }
        _ if base != new => out.push(json!({"op": "replace", "path": path, "originalValue": base, "value": new})),
        _ => {}
    }
}

async fn tags(State(app): State<Shared>) -> Json<Value> {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for tag in app.dashboards.all().iter().flat_map(|entry| &entry.facts.tags) {
        *counts.entry(tag.clone()).or_default() += 1;
    }
    Json(counts.into_iter().map(|(term, count)| json!({"term": term, "count": count})).collect())
}

async fn home(State(app): State<Shared>, Who(who): Who) -> ApiResult {
    for id in [who.id, 0] {
        let uid = app.personal.of(id).preferences.home_dashboard_uid;
        if let Some(entry) = app.dashboards.get(&uid).filter(|_| !uid.is_empty()) {
            return Ok(Json(json!({"redirectUri": url_of(&app, &entry)})).into_response());
        }
    }
    let meta = json!({"isHome": true, "canEdit": false, "canSave": false, "canStar": false, "slug": "", "folderTitle": "Dashboards"});
    if let Some(path) = app.settings.dashboards.home_path.clone() {
        let shown = path.display().to_string();
        let text = tokio::fs::read_to_string(&path).await;
        let text = text.map_err(|e| ApiError::internal(format!("home dashboard {shown}: {e}")))?;
        let value: Value =
            serde_json::from_str(&text).map_err(|e| ApiError::internal(format!("home dashboard {shown}:{e}")))?;
        return Ok(full(&meta, &value.to_string()));
    }
    let dashboard = json!({
        "title": "Home", "uid": "", "schemaVersion": 41, "version": 0, "editable": false, "tags": [],
        "time": {"from": "now-6h", "to": "now"},
        "panels": [{"id": 1, "type": "dashlist", "title": "Dashboards", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 20},
            "options": {"showStarred": true, "showSearch": true, "showHeadings": true, "maxItems": 100}}],
    });
    Ok(full(&meta, &dashboard.to_string()))
}

async fn search(State(app): State<Shared>, Who(who): Who, params: Params) -> ApiResult {
    let kind = params.get("type").unwrap_or("");
    let wanted = Search {
        query: params.get("query").unwrap_or("").to_owned(),
        tags: params.texts("tag"),
        dashboards: kind != "dash-folder",
        folders: kind != "dash-db",
        dashboard_uids: params.texts("dashboardUIDs"),
        folder_uids: params.texts("folderUIDs"),
        starred: params.flag("starred").then(|| app.personal.of(who.id).stars),
        descending: params.get("sort").is_some_and(|sort| sort.ends_with("-desc")),
    };
    let limit = params.count("limit", 1000, 5000)?;
    let page = params.count("page", 1, 1_000_000)?;
    let stars = app.personal.of(who.id).stars;
    let hits = find(&app.dashboards, &app.folders, &wanted);
    let shown = hits.iter().skip((page - 1) * limit).take(limit).map(|hit| match hit {
        Hit::Dashboard(entry) => {
            let mut body = json!({
                "id": entry.id(), "uid": entry.uid, "orgId": 1, "title": entry.facts.title,
                "uri": format!("db/{}", entry.slug), "url": url_of(&app, entry), "slug": "", "type": "dash-db",
                "tags": entry.facts.tags, "description": entry.facts.description,
                "isStarred": stars.contains(&entry.uid), "sortMeta": 0, "isDeleted": false,
            });
            if let (false, Some(body)) = (entry.folder_uid().is_empty(), body.as_object_mut()) {
                let (id, title, url) = folder_facts(&app, entry.folder_uid());
                body.insert("folderId".into(), id.into());
                body.insert("folderUid".into(), entry.folder_uid().into());
                body.insert("folderTitle".into(), title.into());
                body.insert("folderUrl".into(), url.into());
            }
            body
        }
        Hit::Folder(folder) => {
            let (_, _, url) = folder_facts(&app, &folder.uid);
            let mut body = json!({
                "id": folder.id, "uid": folder.uid, "orgId": 1, "title": folder.title, "uri": format!("db/{}", folder.uid),
                "url": url, "slug": "", "type": "dash-folder", "tags": [], "isStarred": false, "sortMeta": 0, "isDeleted": false,
            });
            if let (false, Some(body)) = (folder.parent_uid.is_empty(), body.as_object_mut()) {
                let (_, title, url) = folder_facts(&app, &folder.parent_uid);
                body.insert("folderUid".into(), folder.parent_uid.clone().into());
                body.insert("folderTitle".into(), title.into());
                body.insert("folderUrl".into(), url.into());
            }
            body
        }
    });
    Ok(Json(shown.collect::<Value>()).into_response())
}

async fn sorting() -> Json<Value> {
    Json(json!({"sortOptions": [
        {"name": "alpha-asc", "displayName": "Alphabetically (A–Z)", "description": "Sort results in an alphabetically ascending order", "meta": ""},
        {"name": "alpha-desc", "displayName": "Alphabetically (Z–A)", "description": "Sort results in an alphabetically descending order", "meta": ""},
    ]}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImportRequest {
    dashboard: Value,
    #[serde(default)]
    inputs: Vec<Input>,
    #[serde(default)]
    overwrite: bool,
    #[serde(default)]
    folder_uid: Option<String>,
    #[serde(default)]
    folder_id: Option<i64>,
}

async fn import_dashboard(State(app): State<Shared>, Who(who): Who, Body(request): Body<ImportRequest>) -> ApiResult {
    let model = Model::read(request.dashboard)?;
    let default_source = |plugin: &str| app.datasources.default_of(Some(plugin)).map(|source| source.uid);
    let json: Map<String, Value> = import::fill(model.json, &request.inputs, default_source)?;
    let mut model = Model { json, api_version: model.api_version };
    // The number and version are those of another server.
    model.json.remove("id");
    if model.api_version.is_none() {
        model.json.remove("version");
        if let Some(elements) = model.json.remove("__elements") {
            super::items::import_elements(&app, elements, &who.login).await?;
        }
    }
    let folder_uid = folder_of(&app, request.folder_uid.as_deref(), request.folder_id)?.or(Some(String::new()));
    let save = Save {
        model,
        folder_uid,
        message: "Imported".into(),
        overwrite: request.overwrite,
        by: who.login,
        restored_from: 0,
        origin: None,
    };
    let entry: Arc<Entry> = app.dashboards.save(save, app.now_ms()).await?.entry;
    let (folder_id, ..) = folder_facts(&app, entry.folder_uid());
    let body = json!({
        "uid": entry.uid, "pluginId": "", "title": entry.facts.title, "imported": true,
        "importedUri": format!("db/{}", entry.slug), "importedUrl": url_of(&app, &entry), "slug": entry.slug,
        "dashboardId": entry.id(), "folderId": folder_id, "folderUid": entry.folder_uid(),
        "importedRevision": 1, "revision": 1, "description": entry.facts.description, "path": "", "removed": false,
    });
    Ok(Json(body).into_response())
}
