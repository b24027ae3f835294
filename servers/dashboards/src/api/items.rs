//! Short links, playlists, library elements.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, EDITOR, Params, Routes, VIEWER, Who, time_text};
use crate::app::Shared;
use crate::auth::guard::Need;
use crate::auth::token;
use crate::dashboards::model::check_uid;
use crate::error::{ApiError, ApiResult};
use crate::items::{LibraryElement, Playlist};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .post("/api/short-urls", VIEWER, shorten)
        .get("/goto/{uid}", Need::Nothing, goto)
        .get("/api/playlists", VIEWER, playlists)
        .post("/api/playlists", EDITOR, create_playlist)
        .get("/api/playlists/{uid}", VIEWER, playlist)
        .get("/api/playlists/{uid}/items", VIEWER, playlist_items)
        .put("/api/playlists/{uid}", EDITOR, update_playlist)
        .delete("/api/playlists/{uid}", EDITOR, delete_playlist)
        .get("/api/library-elements", VIEWER, elements)
        .post("/api/library-elements", EDITOR, create_element)
        .get("/api/library-elements/{uid}", VIEWER, element)
        .patch("/api/library-elements/{uid}", EDITOR, update_element)
        .delete("/api/library-elements/{uid}", EDITOR, delete_element)
        .get("/api/library-elements/name/{name}", VIEWER, elements_by_name)
        .get("/api/library-elements/{uid}/connections", VIEWER, connections)
}

#[derive(Deserialize)]
struct Shorten {
    path: String,
}

async fn shorten(State(app): State<Shared>, Body(request): Body<Shorten>) -> ApiResult {
    let uid = app.items.shorten(&request.path, app.now_ms()).await?;
    Ok(Json(json!({"uid": uid, "url": app.url(&format!("goto/{uid}?orgId=1"))})).into_response())
}

async fn goto(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    let items = app.items.get();
    let link = items.links.iter().find(|link| link.uid == uid);
    let target = match link {
        Some(link) => app.path(&format!("/{}", link.path)),
        None => app.path("/"),
    };
    Ok((StatusCode::FOUND, [(header::LOCATION, target)]).into_response())
}

fn no_playlist() -> ApiError {
    ApiError::not_found("Playlist not found")
}

fn playlist_json(one: &Playlist) -> Value {
    json!({"id": 0, "uid": one.uid, "name": one.name, "interval": one.interval, "items": one.items})
}

async fn playlists(State(app): State<Shared>, params: Params) -> ApiResult {
    let query = params.get("query").unwrap_or("").to_lowercase();
    let limit = params.count("limit", 1000, 1000)?;
    let items = app.items.get();
    let found = items.playlists.iter().filter(|one| one.name.to_lowercase().contains(&query)).take(limit);
    Ok(Json(found.map(playlist_json).collect::<Value>()).into_response())
}

async fn playlist(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    let items = app.items.get();
    let one = items.playlists.iter().find(|one| one.uid == uid).ok_or_else(no_playlist)?;
    Ok(Json(playlist_json(one)).into_response())
}

async fn playlist_items(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    let items = app.items.get();
    let one = items.playlists.iter().find(|one| one.uid == uid).ok_or_else(no_playlist)?;
    Ok(Json(&one.items).into_response())
}

fn check_playlist(one: &Playlist) -> Result<(), ApiError> {
    if one.name.trim().is_empty() || one.items.len() > 1000 {
        return Err(ApiError::bad_request("name must not be empty, items at most 1000"));
    }
    match model::duration::parse_duration_ms(&one.interval) {
        Ok(ms) if ms > 0 => Ok(()),
        _ => Err(ApiError::bad_request(format!("interval: {:?} is no duration", one.interval))),
    }
}

async fn create_playlist(State(app): State<Shared>, Body(one): Body<Playlist>) -> ApiResult {
    check_playlist(&one)?;
    let one = Playlist { uid: token::random_text(14).to_lowercase(), ..one };
    let body = playlist_json(&one);
    app.items
        .change(|file| {
            file.playlists.push(one);
            Ok(())
        })
        .await?;
    Ok(Json(body).into_response())
}

async fn update_playlist(State(app): State<Shared>, Path(uid): Path<String>, Body(one): Body<Playlist>) -> ApiResult {
    check_playlist(&one)?;
    let one = Playlist { uid: uid.clone(), ..one };
    let body = playlist_json(&one);
    app.items
        .change(|file| {
            let known = file.playlists.iter_mut().find(|one| one.uid == uid).ok_or_else(no_playlist)?;
            *known = one;
            Ok(())
        })
        .await?;
    Ok(Json(body).into_response())
}

async fn delete_playlist(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    app.items
        .change(|file| {
            let before = file.playlists.len();
            file.playlists.retain(|one| one.uid != uid);
            if file.playlists.len() == before { Err(no_playlist()) } else { Ok(()) }
        })
        .await?;
    Ok(Json(json!({})).into_response())
}

fn no_element() -> ApiError {
    ApiError::not_found("library element could not be found")
}

fn element_json(app: &Shared, one: &LibraryElement) -> Value {
    let who = |name: &str| json!({"id": 0, "name": name, "avatarUrl": ""});
    json!({
        "id": one.id, "uid": one.uid, "orgId": 1, "folderId": 0, "folderUid": one.folder_uid, "name": one.name, "kind": one.kind,
        "type": one.model.get("type").and_then(Value::as_str).unwrap_or(""),
        "description": one.model.get("description").and_then(Value::as_str).unwrap_or(""),
        "model": one.model, "version": one.version,
        "meta": {
            "folderName": app.folders.get(&one.folder_uid).map_or("Dashboards".to_owned(), |folder| folder.title),
            "folderUid": one.folder_uid,
            "connectedDashboards": users_of(app, &one.uid).len(),
            "created": time_text(one.created_ms), "createdBy": who(&one.created_by),
            "updated": time_text(one.updated_ms), "updatedBy": who(&one.updated_by),
        },
    })
}

/// Dashboards that show the element.
fn users_of(app: &Shared, uid: &str) -> Vec<std::sync::Arc<crate::dashboards::Entry>> {
    let reference = format!("\"uid\":\"{uid}\"");
    let shows = |entry: &std::sync::Arc<crate::dashboards::Entry>| {
        entry.text.contains("\"libraryPanel\"") && entry.text.contains(&reference)
    };
    app.dashboards.all().into_iter().filter(shows).collect()
}

async fn elements(State(app): State<Shared>, params: Params) -> ApiResult {
    let query = params.get("searchString").unwrap_or("").to_lowercase();
    let kind = params.integer("kind")?;
    let (per_page, page) = (params.count("perPage", 100, 5000)?, params.count("page", 1, 1_000_000)?);
    let items = app.items.get();
    let mut found: Vec<&LibraryElement> = items
        .elements
        .iter()
        .filter(|one| one.name.to_lowercase().contains(&query) && kind.is_none_or(|kind| one.kind == kind))
        .collect();
    found.sort_by_key(|one| one.name.to_lowercase());
    let total = found.len();
    let shown: Vec<Value> =
        found.into_iter().skip((page - 1) * per_page).take(per_page).map(|one| element_json(&app, one)).collect();
    Ok(Json(json!({"result": {"totalCount": total, "elements": shown, "page": page, "perPage": per_page}}))
        .into_response())
}

async fn element(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    let items = app.items.get();
    let one = items.elements.iter().find(|one| one.uid == uid).ok_or_else(no_element)?;
    Ok(Json(json!({"result": element_json(&app, one)})).into_response())
}

async fn elements_by_name(State(app): State<Shared>, Path(name): Path<String>) -> ApiResult {
    let items = app.items.get();
    let found: Vec<Value> =
        items.elements.iter().filter(|one| one.name == name).map(|one| element_json(&app, one)).collect();
    if found.is_empty() { Err(no_element()) } else { Ok(Json(json!({ "result": found })).into_response()) }
}

async fn connections(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    let items = app.items.get();
    let one = items.elements.iter().find(|one| one.uid == uid).ok_or_else(no_element)?;
    let found = users_of(&app, &uid);
    let found = found.iter().map(|entry| {
        json!({"id": entry.id(), "kind": 1, "elementId": one.id, "connectionId": entry.id(), "connectionUid": entry.uid})
    });
    Ok(Json(json!({"result": found.collect::<Vec<_>>()})).into_response())
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NewElement {
    uid: String,
    folder_uid: Option<String>,
    name: Option<String>,
    kind: i64,
    model: Option<Value>,
    version: Option<i64>,
}

async fn create_element(State(app): State<Shared>, Who(who): Who, Body(new): Body<NewElement>) -> ApiResult {
    let name = new.name.unwrap_or_default();
    if name.trim().is_empty() || !new.model.as_ref().is_some_and(Value::is_object) {
        return Err(ApiError::bad_request("name and model are needed"));
    }
    let uid = if new.uid.is_empty() { token::random_text(14).to_lowercase() } else { new.uid };
    check_uid(&uid)?;
    let now_ms = app.now_ms();
    let one = LibraryElement {
        uid,
        folder_uid: new.folder_uid.unwrap_or_default(),
        name,
        kind: if new.kind == 0 { 1 } else { new.kind },
        model: new.model.unwrap_or_default(),
        version: 1,
        created_ms: now_ms,
        created_by: who.login.clone(),
        updated_ms: now_ms,
        updated_by: who.login,
        ..LibraryElement::default()
    };
    let one = app
        .items
        .change(|file| {
            let taken = |other: &LibraryElement| {
                other.uid == one.uid || (other.name == one.name && other.folder_uid == one.folder_uid)
            };
            if file.elements.iter().any(taken) {
                return Err(ApiError::bad_request("library element with that name or UID already exists"));
            }
            let id = file.elements.iter().map(|other| other.id).max().unwrap_or(0) + 1;
            let one = LibraryElement { id, ..one };
            file.elements.push(one.clone());
            Ok(one)
        })
        .await?;
    Ok(Json(json!({"result": element_json(&app, &one)})).into_response())
}

async fn update_element(
    State(app): State<Shared>,
    Who(who): Who,
    Path(uid): Path<String>,
    Body(new): Body<NewElement>,
) -> ApiResult {
    let now_ms = app.now_ms();
    let one = app
        .items
        .change(|file| {
            let one = file.elements.iter_mut().find(|one| one.uid == uid).ok_or_else(no_element)?;
            if new.version.is_some_and(|version| version != one.version) {
                return Err(ApiError::new(
                    StatusCode::PRECONDITION_FAILED,
                    "the library element has been changed by someone else",
                ));
            }
            one.name = new.name.unwrap_or_else(|| one.name.clone());
            one.folder_uid = new.folder_uid.unwrap_or_else(|| one.folder_uid.clone());
            one.model = new.model.filter(Value::is_object).unwrap_or_else(|| one.model.clone());
            one.version += 1;
            one.updated_ms = now_ms;
            one.updated_by = who.login;
            Ok(one.clone())
        })
        .await?;
    Ok(Json(json!({"result": element_json(&app, &one)})).into_response())
}

async fn delete_element(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    if !users_of(&app, &uid).is_empty() {
        return Err(ApiError::forbidden("the library element is connected to dashboards"));
    }
    let id = app
        .items
        .change(|file| {
            let at = file.elements.iter().position(|one| one.uid == uid).ok_or_else(no_element)?;
            Ok(file.elements.remove(at).id)
        })
        .await?;
    Ok(Json(json!({"message": "Library element deleted", "id": id})).into_response())
}

/// Elements that came with an exported dashboard: those that are not there are added.
pub(super) async fn import_elements(app: &Shared, elements: Value, login: &str) -> Result<(), ApiError> {
    let Value::Object(elements) = elements else { return Ok(()) };
    let now_ms = app.now_ms();
    app.items
        .change(|file| {
            for (uid, element) in elements {
                let uid = element.get("uid").and_then(Value::as_str).unwrap_or(&uid).to_owned();
                if check_uid(&uid).is_err() || file.elements.iter().any(|one| one.uid == uid) {
                    continue;
                }
                let id = file.elements.iter().map(|other| other.id).max().unwrap_or(0) + 1;
                file.elements.push(LibraryElement {
                    id,
                    uid,
                    name: element.get("name").and_then(Value::as_str).unwrap_or("").to_owned(),
                    kind: element.get("kind").and_then(Value::as_i64).unwrap_or(1),
                    model: element.get("model").cloned().unwrap_or_default(),
                    version: 1,
                    created_ms: now_ms,
                    created_by: login.to_owned(),
                    updated_ms: now_ms,
                    updated_by: login.to_owned(),
                    ..LibraryElement::default()
                });
            }
            Ok(())
        })
        .await
}
