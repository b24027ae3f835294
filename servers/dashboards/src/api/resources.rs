//! Dashboards and folders as resources: `/apis/dashboard.grafana.app/…` and `/apis/folder.grafana.app/…`.
//!
//! A dashboard is kept in the form it came in: the classic model is read and written as `v0alpha1` and `v1*`, a `v2*` one as
//! the version it has. Asking for the other form is an error that says so; browsers read both.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use super::{Body, EDITOR, Params, Routes, VIEWER, Who, time_text};
use crate::app::Shared;
use crate::auth::Identity;
use crate::dashboards::folders::{Folder, NewFolder};
use crate::dashboards::model::Model;
use crate::dashboards::{Entry, Save};
use crate::error::{ApiError, ApiResult};

const DASHBOARDS: &str = "/apis/dashboard.grafana.app/{version}/namespaces/{namespace}/dashboards";
const DASHBOARD: &str = "/apis/dashboard.grafana.app/{version}/namespaces/{namespace}/dashboards/{name}";
const DTO: &str = "/apis/dashboard.grafana.app/{version}/namespaces/{namespace}/dashboards/{name}/dto";
const FOLDERS: &str = "/apis/folder.grafana.app/{version}/namespaces/{namespace}/folders";
const FOLDER: &str = "/apis/folder.grafana.app/{version}/namespaces/{namespace}/folders/{name}";

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get(DASHBOARDS, VIEWER, list)
        .post(DASHBOARDS, EDITOR, create)
        .get(DASHBOARD, VIEWER, get)
        .get(DTO, VIEWER, get)
        .put(DASHBOARD, EDITOR, update)
        .delete(DASHBOARD, EDITOR, delete)
        .get(FOLDERS, VIEWER, list_folders)
        .post(FOLDERS, EDITOR, create_folder)
        .get(FOLDER, VIEWER, get_folder)
        .put(FOLDER, EDITOR, update_folder)
}

/// An error as Kubernetes writes it.
fn failure(error: ApiError) -> ApiError {
    let reason = match error.status {
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => "Conflict",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::BAD_REQUEST => "BadRequest",
        _ => "InternalError",
    };
    // What is 412 elsewhere is 409 here.
    let status = if error.status == StatusCode::PRECONDITION_FAILED { StatusCode::CONFLICT } else { error.status };
    ApiError::new(status, error.message)
        .with("kind", "Status")
        .with("apiVersion", "v1")
        .with("metadata", json!({}))
        .with("status", "Failure")
        .with("reason", reason)
        .with("code", status.as_u16())
}

fn check_place(version: &str, namespace: &str) -> Result<(), ApiError> {
    if !(version.starts_with("v0") || version.starts_with("v1") || version.starts_with("v2")) {
        return Err(failure(ApiError::not_found(format!("there is no version {version}"))));
    }
    if !["default", "org-1"].contains(&namespace) {
        return Err(failure(ApiError::not_found(format!("there is no namespace {namespace}"))));
    }
    Ok(())
}

fn metadata(app: &Shared, entry: &Entry) -> Value {
    let (created_ms, created_by) = entry.created();
    let (updated_ms, updated_by) = entry.updated();
    let mut annotations = Map::new();
    let mut note = |key: &str, value: &str| {
        if !value.is_empty() {
            annotations.insert(format!("grafana.app/{key}"), value.into());
        }
    };
    note("folder", entry.folder_uid());
    note("createdBy", created_by);
    note("updatedBy", updated_by);
    note("updatedTimestamp", &time_text(updated_ms));
    if let Some(origin) = entry.origin() {
        note("managedBy", "classic-file-provisioning");
        note("managerId", &origin.provider);
        note("sourcePath", &origin.file);
        note("managerAllowsEdits", if origin.allow_ui_updates { "true" } else { "" });
    }
    let message = entry.versions().last().map_or("", |version| version.message.as_str());
    note("message", message);
    let _ = app;
    json!({
        "name": entry.uid,
        "namespace": "default",
        "uid": format!("dashboard-{}", entry.uid),
        "resourceVersion": entry.version().to_string(),
        "generation": entry.version(),
        "creationTimestamp": time_text(created_ms),
        "labels": {"grafana.app/deprecatedInternalID": entry.id().to_string()},
        "annotations": annotations,
    })
}

fn resource(app: &Shared, entry: &Entry, version: &str) -> Result<Value, ApiError> {
    let value: Value = serde_json::from_str(&entry.text).map_err(|e| failure(ApiError::internal(e.to_string())))?;
    let is_v2 = entry.api_version.is_some();
    if is_v2 != version.starts_with("v2") {
        let stored = entry.api_version.as_deref().map_or("v1", |v| v.rsplit('/').next().unwrap_or("v2"));
        let message = format!("dashboard {} is kept as {stored}, it is not converted to {version}", entry.uid);
        return Err(failure(ApiError::new(StatusCode::NOT_ACCEPTABLE, message)));
    }
    let spec = match value {
        Value::Object(mut map) if is_v2 => map.remove("spec").unwrap_or_default(),
        Value::Object(mut map) => {
            for key in ["id", "uid", "version"] {
                map.remove(key);
            }
            Value::Object(map)
        }
        other => other,
    };
    Ok(json!({
        "kind": "Dashboard",
        "apiVersion": format!("dashboard.grafana.app/{version}"),
        "metadata": metadata(app, entry),
        "spec": spec,
        "status": {},
    }))
}

async fn list(
    State(app): State<Shared>,
    Path((version, namespace)): Path<(String, String)>,
    params: Params,
) -> ApiResult {
    check_place(&version, &namespace)?;
    let limit = params.count("limit", 500, 5000)?;
    let start: usize = params.get("continue").and_then(|text| text.parse().ok()).unwrap_or(0);
    let all = app.dashboards.all();
    let fits: Vec<_> = all.iter().filter(|entry| entry.api_version.is_some() == version.starts_with("v2")).collect();
    let items: Vec<Value> =
        fits.iter().skip(start).take(limit).map(|entry| resource(&app, entry, &version)).collect::<Result<_, _>>()?;
    let next = start + items.len();
    let more = if next < fits.len() { next.to_string() } else { String::new() };
    Ok(Json(json!({
        "kind": "DashboardList",
        "apiVersion": format!("dashboard.grafana.app/{version}"),
        "metadata": {"resourceVersion": app.now_ms().to_string(), "continue": more},
        "items": items,
    }))
    .into_response())
}

async fn get(State(app): State<Shared>, Path((version, namespace, name)): Path<(String, String, String)>) -> ApiResult {
    check_place(&version, &namespace)?;
    let entry = app.dashboards.get(&name).ok_or_else(|| missing("dashboards.dashboard.grafana.app", &name))?;
    Ok(Json(resource(&app, &entry, &version)?).into_response())
}

fn missing(what: &str, name: &str) -> ApiError {
    failure(ApiError::not_found(format!("{what} {name:?} not found")))
}

fn annotation<'a>(body: &'a Value, key: &str) -> Option<&'a str> {
    body.get("metadata")?.get("annotations")?.get(format!("grafana.app/{key}"))?.as_str()
}

async fn save(
    app: &Shared,
    who: Identity,
    version: &str,
    mut body: Value,
    name: Option<String>,
) -> Result<Value, ApiError> {
    if let Some(object) = body.as_object_mut() {
        object.entry("apiVersion").or_insert_with(|| format!("dashboard.grafana.app/{version}").into());
        object.entry("kind").or_insert("Dashboard".into());
        let metadata = object.entry("metadata").or_insert_with(|| json!({}));
        if let (Some(name), Some(metadata)) = (&name, metadata.as_object_mut()) {
            if metadata.get("name").and_then(Value::as_str).is_some_and(|given| given != name) {
                return Err(failure(ApiError::bad_request("metadata.name is not the name in the URL")));
            }
            metadata.insert("name".into(), name.clone().into());
        }
    }
    let given = body.get("metadata").and_then(|m| m.get("resourceVersion")).and_then(Value::as_str).map(str::to_owned);
    let given_name = body.get("metadata").and_then(|m| m.get("name")).and_then(Value::as_str).map(str::to_owned);
    let folder_uid = annotation(&body, "folder").unwrap_or("").to_owned();
    if !folder_uid.is_empty() && app.folders.get(&folder_uid).is_none() {
        return Err(failure(ApiError::bad_request(format!("folder {folder_uid:?} not found"))));
    }
    let message = annotation(&body, "message").unwrap_or("").to_owned();
    let exists = given_name.as_ref().is_some_and(|uid| app.dashboards.get(uid).is_some());
    if name.is_none() && exists {
        let message = format!("dashboards.dashboard.grafana.app {:?} already exists", given_name.unwrap_or_default());
        return Err(failure(ApiError::conflict(message)));
    }
    if name.is_some() && !exists {
        return Err(missing("dashboards.dashboard.grafana.app", &name.unwrap_or_default()));
    }
    let mut model = Model::read(body).map_err(failure)?;
    if model.api_version.is_none() {
        model.json.remove("id");
        model.json.remove("version");
        match &given_name {
            Some(name) => model.json.insert("uid".into(), name.clone().into()),
            None => model.json.remove("uid"),
        };
        if let Some(version) = given.as_deref().and_then(|v| v.parse::<i64>().ok()) {
            model.json.insert("version".into(), version.into());
        }
    }
    let save = Save {
        model,
        folder_uid: Some(folder_uid),
        message,
        // Without a version the writer does not care.
        overwrite: given.is_none_or(|version| version.is_empty()) && exists,
        by: who.login,
        restored_from: 0,
        origin: None,
    };
    let saved = app.dashboards.save(save, app.now_ms()).await.map_err(failure)?;
    resource(app, &saved.entry, version)
}

async fn create(
    State(app): State<Shared>,
    Who(who): Who,
    Path((version, namespace)): Path<(String, String)>,
    Body(body): Body<Value>,
) -> ApiResult {
    check_place(&version, &namespace)?;
    Ok((StatusCode::CREATED, Json(save(&app, who, &version, body, None).await?)).into_response())
}

async fn update(
    State(app): State<Shared>,
    Who(who): Who,
    Path((version, namespace, name)): Path<(String, String, String)>,
    Body(body): Body<Value>,
) -> ApiResult {
    check_place(&version, &namespace)?;
    Ok(Json(save(&app, who, &version, body, Some(name)).await?).into_response())
}

async fn delete(
    State(app): State<Shared>,
    Path((version, namespace, name)): Path<(String, String, String)>,
) -> ApiResult {
    check_place(&version, &namespace)?;
    let gone = app.dashboards.delete(&name, false).await.map_err(failure)?;
    Ok(Json(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": gone.uid, "group": "dashboard.grafana.app", "kind": "dashboards"},
    }))
    .into_response())
}

fn folder_resource(folder: &Folder, version: &str) -> Value {
    let mut annotations = Map::new();
    if !folder.parent_uid.is_empty() {
        annotations.insert("grafana.app/folder".into(), folder.parent_uid.clone().into());
    }
    json!({
        "kind": "Folder",
        "apiVersion": format!("folder.grafana.app/{version}"),
        "metadata": {
            "name": folder.uid, "namespace": "default", "uid": format!("folder-{}", folder.uid),
            "resourceVersion": folder.version.to_string(), "generation": folder.version,
            "creationTimestamp": time_text(folder.created_ms), "annotations": annotations,
        },
        "spec": {"title": folder.title, "description": folder.description},
    })
}

async fn list_folders(State(app): State<Shared>, Path((version, namespace)): Path<(String, String)>) -> ApiResult {
    check_place(&version, &namespace)?;
    let items: Vec<Value> = app.folders.all().iter().map(|folder| folder_resource(folder, &version)).collect();
    Ok(Json(json!({
        "kind": "FolderList",
        "apiVersion": format!("folder.grafana.app/{version}"),
        "metadata": {"resourceVersion": app.now_ms().to_string()},
        "items": items,
    }))
    .into_response())
}

async fn get_folder(
    State(app): State<Shared>,
    Path((version, namespace, name)): Path<(String, String, String)>,
) -> ApiResult {
    check_place(&version, &namespace)?;
    let folder = app.folders.get(&name).ok_or_else(|| missing("folders.folder.grafana.app", &name))?;
    Ok(Json(folder_resource(&folder, &version)).into_response())
}

fn spec_text(body: &Value, key: &str) -> Option<String> {
    body.get("spec")?.get(key)?.as_str().map(str::to_owned)
}

async fn create_folder(
    State(app): State<Shared>,
    Who(who): Who,
    Path((version, namespace)): Path<(String, String)>,
    Body(body): Body<Value>,
) -> ApiResult {
    check_place(&version, &namespace)?;
    let name = body.get("metadata").and_then(|m| m.get("name")).and_then(Value::as_str).unwrap_or("");
    let new = NewFolder {
        uid: name.to_owned(),
        title: spec_text(&body, "title").unwrap_or_default(),
        description: spec_text(&body, "description").unwrap_or_default(),
        parent_uid: annotation(&body, "folder").unwrap_or("").to_owned(),
        by: who.login,
    };
    let folder = app.folders.create(new, app.now_ms()).await.map_err(failure)?;
    Ok((StatusCode::CREATED, Json(folder_resource(&folder, &version))).into_response())
}

async fn update_folder(
    State(app): State<Shared>,
    Who(who): Who,
    Path((version, namespace, name)): Path<(String, String, String)>,
    Body(body): Body<Value>,
) -> ApiResult {
    check_place(&version, &namespace)?;
    let parent = annotation(&body, "folder").unwrap_or("").to_owned();
    let current = app.folders.get(&name).ok_or_else(|| missing("folders.folder.grafana.app", &name))?;
    let wanted = body
        .get("metadata")
        .and_then(|m| m.get("resourceVersion"))
        .and_then(Value::as_str)
        .and_then(|v| v.parse().ok());
    let (title, description) = (spec_text(&body, "title"), spec_text(&body, "description"));
    let mut folder =
        app.folders.update(&name, title, description, wanted, &who.login, app.now_ms()).await.map_err(failure)?;
    if parent != current.parent_uid {
        folder = app.folders.move_to(&name, &parent, app.now_ms()).await.map_err(failure)?;
    }
    Ok(Json(folder_resource(&folder, &version)).into_response())
}
