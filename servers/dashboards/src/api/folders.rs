//! Folders.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, EDITOR, Params, Routes, VIEWER, Who, time_text};
use crate::app::Shared;
use crate::auth::{Identity, Role};
use crate::dashboards::folders::{Folder, NewFolder, not_found};
use crate::dashboards::model::slug;
use crate::error::{ApiError, ApiResult};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/folders", VIEWER, list)
        .post("/api/folders", EDITOR, create)
        .get("/api/folders/{uid}", VIEWER, get)
        .put("/api/folders/{uid}", EDITOR, update)
        .delete("/api/folders/{uid}", EDITOR, delete)
        .post("/api/folders/{uid}/move", EDITOR, move_to)
        .get("/api/folders/{uid}/counts", VIEWER, counts)
        .get("/api/folders/{uid}/permissions", VIEWER, permissions)
        .post("/api/folders/{uid}/permissions", super::ADMIN, set_permissions)
        .get("/api/folders/id/{id}", VIEWER, by_id)
}

fn folder_json(app: &Shared, folder: &Folder, who: &Identity) -> Value {
    let editor = who.role >= Role::Editor;
    let name = |name: &str| if name.is_empty() { "Anonymous".to_owned() } else { name.to_owned() };
    let url = |folder: &Folder| app.path(&format!("/dashboards/f/{}/{}", folder.uid, slug(&folder.title)));
    let mut body = json!({
        "id": folder.id,
        "uid": folder.uid,
        "orgId": 1,
        "title": folder.title,
        "description": folder.description,
        "url": url(folder),
        "hasAcl": false,
        "canSave": editor,
        "canEdit": editor,
        "canAdmin": who.role >= Role::Admin,
        "canDelete": editor,
        "createdBy": name(&folder.created_by),
        "created": time_text(folder.created_ms),
        "updatedBy": name(&folder.updated_by),
        "updated": time_text(folder.updated_ms),
        "version": folder.version,
    });
    if let (false, Some(body)) = (folder.parent_uid.is_empty(), body.as_object_mut()) {
        body.insert("parentUid".into(), folder.parent_uid.clone().into());
        let parents = app.folders.parents(folder);
        let parents = parents.iter().map(|p| json!({"id": p.id, "uid": p.uid, "title": p.title, "url": url(p)}));
        body.insert("parents".into(), parents.collect());
    }
    body
}

async fn list(State(app): State<Shared>, params: Params) -> ApiResult {
    let parent = params.get("parentUid").unwrap_or("");
    if !parent.is_empty() && app.folders.get(parent).is_none() {
        return Err(not_found());
    }
    let limit = params.count("limit", 1000, 5000)?;
    let page = params.count("page", 1, 1_000_000)?;
    let all = app.folders.all();
    let mut found: Vec<&Folder> = all.iter().filter(|folder| folder.parent_uid == parent).collect();
    found.sort_by_key(|folder| folder.title.to_lowercase());
    let shown = found.into_iter().skip((page - 1) * limit).take(limit).map(|folder| {
        let mut body = json!({"id": folder.id, "uid": folder.uid, "title": folder.title});
        if let (false, Some(body)) = (folder.parent_uid.is_empty(), body.as_object_mut()) {
            body.insert("parentUid".into(), folder.parent_uid.clone().into());
        }
        body
    });
    Ok(Json(shown.collect::<Value>()).into_response())
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Create {
    uid: String,
    title: String,
    description: String,
    parent_uid: String,
}

async fn create(State(app): State<Shared>, Who(who): Who, Body(new): Body<Create>) -> ApiResult {
    let new = NewFolder {
        uid: new.uid,
        title: new.title,
        description: new.description,
        parent_uid: new.parent_uid,
        by: who.login.clone(),
    };
    let folder = app.folders.create(new, app.now_ms()).await?;
    Ok(Json(folder_json(&app, &folder, &who)).into_response())
}

async fn get(State(app): State<Shared>, Who(who): Who, Path(uid): Path<String>) -> ApiResult {
    if uid == "general" {
        let body = json!({"id": 0, "uid": "", "title": "Dashboards", "url": "", "hasAcl": false, "canSave": who.role >= Role::Editor, "canEdit": who.role >= Role::Editor, "canAdmin": who.role >= Role::Admin, "canDelete": false, "version": 0});
        return Ok(Json(body).into_response());
    }
    let folder = app.folders.get(&uid).ok_or_else(not_found)?;
    Ok(Json(folder_json(&app, &folder, &who)).into_response())
}

async fn by_id(State(app): State<Shared>, Who(who): Who, Path(id): Path<u64>) -> ApiResult {
    let all = app.folders.all();
    let folder = all.iter().find(|folder| folder.id == id).ok_or_else(not_found)?;
    Ok(Json(folder_json(&app, folder, &who)).into_response())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Update {
    title: Option<String>,
    description: Option<String>,
    version: Option<i64>,
    overwrite: bool,
}

async fn update(
    State(app): State<Shared>,
    Who(who): Who,
    Path(uid): Path<String>,
    Body(new): Body<Update>,
) -> ApiResult {
    let version = match (new.overwrite, new.version) {
        (true, _) => None,
        (false, version) => Some(version.unwrap_or(0)),
    };
    let folder = app.folders.update(&uid, new.title, new.description, version, &who.login, app.now_ms()).await?;
    Ok(Json(folder_json(&app, &folder, &who)).into_response())
}

/// Everything in a folder goes with it: folders, dashboards, and, when `forceDeleteRules` says so, alert rules.
async fn delete(State(app): State<Shared>, Path(uid): Path<String>, params: Params) -> ApiResult {
    let folder = app.folders.get(&uid).ok_or_else(not_found)?;
    let below = app.folders.with_descendants(&uid);
    let rules = app.alerts.rules_in_folders(&below);
    if !rules.is_empty() && !params.flag("forceDeleteRules") {
        return Err(ApiError::bad_request("folder cannot be deleted: folder contains alert rules")
            .id("folder.contains-alert-rules"));
    }
    let dashboards: Vec<_> =
        app.dashboards.all().into_iter().filter(|entry| below.iter().any(|uid| uid == entry.folder_uid())).collect();
    if dashboards.iter().any(|entry| entry.origin().is_some()) {
        return Err(ApiError::bad_request("folder cannot be deleted: it contains provisioned dashboards"));
    }
    app.alerts.delete_rules(&app, &rules).await?;
    for entry in dashboards {
        app.dashboards.delete(&entry.uid, false).await?;
    }
    app.folders.remove(&below).await?;
    let title = folder.title;
    Ok(Json(json!({"message": format!("Folder {title} deleted"), "title": title, "id": folder.id})).into_response())
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Move {
    parent_uid: String,
}

async fn move_to(State(app): State<Shared>, Who(who): Who, Path(uid): Path<String>, Body(to): Body<Move>) -> ApiResult {
    let folder = app.folders.move_to(&uid, &to.parent_uid, app.now_ms()).await?;
    Ok(Json(folder_json(&app, &folder, &who)).into_response())
}

async fn counts(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    app.folders.get(&uid).ok_or_else(not_found)?;
    let below = app.folders.with_descendants(&uid);
    let dashboards =
        app.dashboards.all().iter().filter(|entry| below.iter().any(|uid| uid == entry.folder_uid())).count();
    let body = json!({"dashboard": dashboards, "folder": below.len() - 1, "alertrule": app.alerts.rules_in_folders(&below).len()});
    Ok(Json(body).into_response())
}

async fn permissions(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    app.folders.get(&uid).ok_or_else(not_found)?;
    Ok(Json(super::dashboards::role_permissions()).into_response())
}

async fn set_permissions() -> ApiResult {
    Err(ApiError::not_built("Permissions of single folders (roles hold for all)"))
}
