//! Data sources: list and change, health, and the way through to them.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{ADMIN, Body, Routes, VIEWER, Who};
use crate::app::Shared;
use crate::auth::{Identity, Role};
use crate::datasources::query::Asker;
use crate::datasources::{DataSource, SourceKind, not_found, proxy};
use crate::error::{ApiError, ApiResult};

pub(super) fn routes(routes: Routes) -> Routes {
    let mut routes = routes
        .get("/api/datasources", VIEWER, list)
        .post("/api/datasources", ADMIN, create)
        .get("/api/datasources/uid/{uid}", VIEWER, by_uid)
        .put("/api/datasources/uid/{uid}", ADMIN, update_by_uid)
        .delete("/api/datasources/uid/{uid}", ADMIN, delete_by_uid)
        .get("/api/datasources/name/{name}", VIEWER, by_name)
        .delete("/api/datasources/name/{name}", ADMIN, delete_by_name)
        .get("/api/datasources/id/{name}", VIEWER, id_of_name)
        .get("/api/datasources/{id}", VIEWER, by_id)
        .put("/api/datasources/{id}", ADMIN, update_by_id)
        .delete("/api/datasources/{id}", ADMIN, delete_by_id)
        .get("/api/datasources/uid/{uid}/health", VIEWER, health);
    // What may pass is decided by the source's kind and the path.
    for path in [
        "/api/datasources/proxy/uid/{uid}",
        "/api/datasources/proxy/uid/{uid}/",
        "/api/datasources/proxy/uid/{uid}/{*path}",
    ] {
        routes = routes
            .get(path, VIEWER, through_uid)
            .post(path, VIEWER, through_uid)
            .put(path, VIEWER, through_uid)
            .delete(path, VIEWER, through_uid);
    }
    routes
        .get("/api/datasources/proxy/{id}/{*path}", VIEWER, through_id)
        .post("/api/datasources/proxy/{id}/{*path}", VIEWER, through_id)
        .get("/api/datasources/uid/{uid}/resources/{*path}", VIEWER, resources)
        .post("/api/datasources/uid/{uid}/resources/{*path}", VIEWER, resources)
}

fn is_admin(who: &Identity) -> bool {
    who.role >= Role::Admin
}

async fn list(State(app): State<Shared>, Who(who): Who) -> Json<Value> {
    Json(app.datasources.all().iter().map(|source| source.to_json(false, is_admin(&who))).collect())
}

fn shown(source: &DataSource, who: &Identity) -> Response {
    Json(source.to_json(true, is_admin(who))).into_response()
}

async fn by_uid(State(app): State<Shared>, Who(who): Who, Path(uid): Path<String>) -> ApiResult {
    Ok(shown(&app.datasources.by_uid(&uid).ok_or_else(not_found)?, &who))
}

async fn by_name(State(app): State<Shared>, Who(who): Who, Path(name): Path<String>) -> ApiResult {
    Ok(shown(&app.datasources.by_name(&name).ok_or_else(not_found)?, &who))
}

async fn by_id(State(app): State<Shared>, Who(who): Who, Path(id): Path<u64>) -> ApiResult {
    Ok(shown(&app.datasources.by_id(id).ok_or_else(not_found)?, &who))
}

async fn id_of_name(State(app): State<Shared>, Path(name): Path<String>) -> ApiResult {
    let source = app.datasources.by_name(&name).ok_or_else(not_found)?;
    Ok(Json(json!({"id": source.id})).into_response())
}

/// A data source as it is sent. Secrets that are not given stay.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wanted {
    uid: String,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    access: String,
    url: String,
    user: String,
    database: String,
    basic_auth: bool,
    basic_auth_user: String,
    with_credentials: bool,
    is_default: bool,
    json_data: Option<Map<String, Value>>,
    secure_json_data: Option<Map<String, Value>>,
    version: Option<i64>,
}

impl Wanted {
    fn apply(self, source: &mut DataSource) -> Result<(), ApiError> {
        if !["", "proxy", "direct"].contains(&self.access.as_str()) {
            return Err(ApiError::bad_request(format!("access: {:?} is neither proxy nor direct", self.access)));
        }
        if !self.uid.is_empty() {
            source.uid = self.uid;
        }
        source.name = self.name.trim().to_owned();
        source.kind = self.kind;
        source.access = if self.access.is_empty() { "proxy".to_owned() } else { self.access };
        source.url = self.url.trim().to_owned();
        source.user = self.user;
        source.database = self.database;
        source.basic_auth = self.basic_auth;
        source.basic_auth_user = self.basic_auth_user;
        source.with_credentials = self.with_credentials;
        source.is_default = self.is_default;
        source.json_data = self.json_data.unwrap_or_default();
        for (name, value) in self.secure_json_data.unwrap_or_default() {
            match value {
                Value::String(text) => source.secrets.0.insert(name, text),
                Value::Null => source.secrets.0.remove(&name),
                _ => return Err(ApiError::bad_request(format!("secureJsonData.{name}: a text is expected"))),
            };
        }
        Ok(())
    }
}

fn changed(source: &DataSource, message: &str) -> Response {
    Json(json!({
        "datasource": source.to_json(true, true), "id": source.id, "message": message, "name": source.name,
    }))
    .into_response()
}

async fn create(State(app): State<Shared>, Body(wanted): Body<Wanted>) -> ApiResult {
    let mut source = DataSource::default();
    wanted.apply(&mut source)?;
    let added = app.datasources.add(source, app.now_ms()).await?;
    Ok(changed(&added, "Datasource added"))
}

async fn update(app: &Shared, uid: &str, wanted: Wanted) -> ApiResult {
    let updated = app
        .datasources
        .update(uid, false, app.now_ms(), |source| {
            if wanted.version.is_some_and(|version| version > 0 && version != source.version) {
                let message = "Datasource has already been updated by someone else. Please reload and try again";
                return Err(ApiError::conflict(message));
            }
            wanted.apply(source)
        })
        .await?;
    Ok(changed(&updated, "Datasource updated"))
}

async fn update_by_uid(State(app): State<Shared>, Path(uid): Path<String>, Body(wanted): Body<Wanted>) -> ApiResult {
    update(&app, &uid, wanted).await
}

async fn update_by_id(State(app): State<Shared>, Path(id): Path<u64>, Body(wanted): Body<Wanted>) -> ApiResult {
    let uid = app.datasources.by_id(id).ok_or_else(not_found)?.uid;
    update(&app, &uid, wanted).await
}

async fn delete(app: &Shared, uid: &str) -> ApiResult {
    let gone = app.datasources.delete(uid, false).await?;
    Ok(Json(json!({"id": gone.id, "message": "Data source deleted"})).into_response())
}

async fn delete_by_uid(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    delete(&app, &uid).await
}

async fn delete_by_name(State(app): State<Shared>, Path(name): Path<String>) -> ApiResult {
    let uid = app.datasources.by_name(&name).ok_or_else(not_found)?.uid;
    delete(&app, &uid).await
}

async fn delete_by_id(State(app): State<Shared>, Path(id): Path<u64>) -> ApiResult {
    let uid = app.datasources.by_id(id).ok_or_else(not_found)?.uid;
    delete(&app, &uid).await
}

async fn health(State(app): State<Shared>, Path(uid): Path<String>) -> ApiResult {
    let source = app.datasources.by_uid(&uid).ok_or_else(not_found)?;
    let timeout = std::time::Duration::from_secs(10);
    let checked = match Asker::new(&app.datasources, source, timeout, 1 << 20) {
        Ok(asker) => asker.health().await,
        Err(error) => Err(error),
    };
    match checked {
        Ok(message) => Ok(Json(json!({"status": "OK", "message": message})).into_response()),
        Err(error) => {
            let body = json!({"status": "ERROR", "message": error.message, "details": {}});
            Ok((StatusCode::BAD_REQUEST, Json(body)).into_response())
        }
    }
}

/// What stands behind the source in the request's path, escapes and all: the router has undone them.
fn rest_of(request: &Request, segments: usize) -> String {
    let original = request.extensions().get::<axum::extract::OriginalUri>();
    let path = original.map_or_else(|| request.uri().path(), |uri| uri.0.path());
    let at = path.find("/api/datasources/").unwrap_or(0);
    path[at..].splitn(segments + 2, '/').nth(segments + 1).unwrap_or("").to_owned()
}

async fn through_uid(State(app): State<Shared>, Who(who): Who, request: Request) -> ApiResult {
    let at = request.uri().path().find("/api/datasources/").unwrap_or(0);
    let uid = request.uri().path()[at..].split('/').nth(5).unwrap_or("").to_owned();
    let uid = kit::percent::decode(&uid);
    let source = app.datasources.by_uid(&uid).ok_or_else(not_found)?;
    let path = rest_of(&request, 5);
    proxy::forward(&app, &source, &who, &path, request).await
}

async fn through_id(
    State(app): State<Shared>,
    Who(who): Who,
    Path((id, _)): Path<(u64, String)>,
    request: Request,
) -> ApiResult {
    let source = app.datasources.by_id(id).ok_or_else(not_found)?;
    let path = rest_of(&request, 4);
    proxy::forward(&app, &source, &who, &path, request).await
}

/// How Grafana's own plugins reach a source: the paths of its API, Loki's without their beginning.
async fn resources(
    State(app): State<Shared>,
    Who(who): Who,
    Path((uid, _)): Path<(String, String)>,
    request: Request,
) -> ApiResult {
    let source = app.datasources.by_uid(&uid).ok_or_else(not_found)?;
    let path = rest_of(&request, 5);
    let path = match source.source_kind() {
        SourceKind::Loki if !path.starts_with("loki/") => format!("loki/api/v1/{path}"),
        _ => path,
    };
    proxy::forward(&app, &source, &who, &path, request).await
}
