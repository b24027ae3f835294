//! Rules: their files by namespace and group, and how they do in Prometheus' form.

use std::sync::Arc;

use alerting::rules::RuleKind;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use kit::yaml;
use logql::params::Params as _;
use serde_json::json;

use super::answer::{Answer, ApiError, json_of};
use super::params::Params;
use crate::rules::{FileError, Namespaces, node_of, parse_group};
use crate::state::App;

/// Longest text of a group.
const MAX_GROUP: usize = 4 << 20;

impl From<FileError> for ApiError {
    fn from(error: FileError) -> Self {
        let status = match error {
            FileError::NoGroup => StatusCode::NOT_FOUND,
            FileError::Invalid(_) => StatusCode::BAD_REQUEST,
            FileError::Io(..) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

/// The tenant of a request, if rules can be asked for at all.
fn tenant(app: &App, request: &Request) -> Result<String, ApiError> {
    if !app.config.ruler.enable_api {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "404 page not found"));
    }
    Ok(app.tenants.one_named(request.headers())?)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string())))
}

fn load(app: &App, tenant: &str) -> Result<Namespaces, ApiError> {
    app.ruler.files.load(tenant).map_err(|errors| {
        let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("error loading rules: {text}"))
    })
}

fn yaml_of(value: &impl serde::Serialize) -> Answer {
    let tree = node_of(value).map_err(|e| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    let mut response = kit::http::text(StatusCode::OK, yaml::emit(&tree));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
    Ok(response)
}

fn accepted() -> Response<Body> {
    let mut response = json_of(&json!({"status": "success", "data": null, "errorType": "", "error": ""}));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// All groups by namespace.
pub(super) async fn list(State(app): State<Arc<App>>, request: Request) -> Answer {
    let tenant = tenant(&app, &request)?;
    let found = blocking(move || load(&app, &tenant)).await?;
    if found.is_empty() {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "no rule groups found"));
    }
    yaml_of(&found)
}

/// The groups of one namespace.
pub(super) async fn list_namespace(
    State(app): State<Arc<App>>,
    Path(namespace): Path<String>,
    request: Request,
) -> Answer {
    let tenant = tenant(&app, &request)?;
    let mut found = blocking(move || load(&app, &tenant)).await?;
    found.retain(|name, _| *name == namespace);
    if found.is_empty() {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "no rule groups found"));
    }
    yaml_of(&found)
}

/// One group.
pub(super) async fn group(
    State(app): State<Arc<App>>,
    Path((namespace, name)): Path<(String, String)>,
    request: Request,
) -> Answer {
    let tenant = tenant(&app, &request)?;
    let found = blocking(move || load(&app, &tenant)).await?;
    match found.get(&namespace).and_then(|groups| groups.iter().find(|group| group.name == name)) {
        Some(group) => yaml_of(group),
        None => Err(FileError::NoGroup.into()),
    }
}

/// Makes or replaces a group.
pub(super) async fn put(State(app): State<Arc<App>>, Path(namespace): Path<String>, request: Request) -> Answer {
    let tenant = tenant(&app, &request)?;
    let body = axum::body::to_bytes(request.into_body(), MAX_GROUP)
        .await
        .map_err(|e| ApiError::bad(format!("unable to read rule group: {e}")))?;
    let text =
        std::str::from_utf8(&body).map_err(|_| ApiError::bad("unable to decode rule group: it is no UTF-8 text"))?;
    let group = parse_group(text).map_err(|e| ApiError::bad(format!("unable to decode rule group: {e}")))?;
    let worker = app.clone();
    blocking(move || {
        let known = load(&worker, &tenant)?;
        worker.ruler.check_limits(&tenant, &namespace, &group, &known).map_err(ApiError::bad)?;
        Ok(worker.ruler.files.set(&tenant, &namespace, group)?)
    })
    .await?;
    app.ruler.clone().sync().await;
    Ok(accepted())
}

/// Removes a group.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Path((namespace, name)): Path<(String, String)>,
    request: Request,
) -> Answer {
    let tenant = tenant(&app, &request)?;
    let worker = app.clone();
    blocking(move || Ok(worker.ruler.files.remove(&tenant, &namespace, &name)?)).await?;
    app.ruler.clone().sync().await;
    Ok(accepted())
}

/// Removes a namespace.
pub(super) async fn remove_namespace(
    State(app): State<Arc<App>>,
    Path(namespace): Path<String>,
    request: Request,
) -> Answer {
    let tenant = tenant(&app, &request)?;
    let worker = app.clone();
    blocking(move || Ok(worker.ruler.files.remove_namespace(&tenant, &namespace)?)).await?;
    app.ruler.clone().sync().await;
    Ok(accepted())
}

/// Rules with their state, as Prometheus tells them.
pub(super) async fn states(State(app): State<Arc<App>>, request: Request) -> Answer {
    let tenant = tenant(&app, &request)?;
    let (_, params) = Params::read(request).await?;
    let kind = params.get("type").to_lowercase();
    if !matches!(kind.as_str(), "" | "alert" | "record") {
        let mut response = json_of(
            &json!({"status": "error", "data": null, "errorType": "bad_data", "error": format!("invalid type parameter: {kind:?}")}),
        );
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    }
    let one_of = |name: &str, value: &str| {
        let bracketed = format!("{name}[]");
        let mut wanted = params.all(name).chain(params.all(&bracketed)).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| wanted == value)
    };
    let keep = |rule: &RuleKind| {
        let kind_fits = match rule {
            RuleKind::Alert(_) => kind != "record",
            RuleKind::Record(_) => kind != "alert",
        };
        kind_fits && one_of("rule_name", rule.name())
    };
    let mut data = app.ruler.data(&tenant, |file, group| one_of("file", file) && one_of("rule_group", group), keep);
    data.groups.retain(|group| !group.rules.is_empty());
    Ok(json_of(&json!({"status": "success", "data": data, "errorType": "", "error": ""})))
}

/// Active alerts, as Prometheus tells them.
pub(super) async fn alerts(State(app): State<Arc<App>>, request: Request) -> Answer {
    let tenant = tenant(&app, &request)?;
    let alerts = app.ruler.alerts(&tenant);
    Ok(json_of(&json!({"status": "success", "data": {"alerts": alerts}, "errorType": "", "error": ""})))
}
