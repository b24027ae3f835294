//! Requests to delete entries: making, listing and taking them back.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use logql::params::{self, Params as _};
use logstore::{DeleteInfo, DeleteRequest, DeleteState};
use serde_json::{Value, json};

use super::answer::{Answer, ApiError, json_of, no_content};
use super::params::Params;
use crate::config::DeletionMode;
use crate::state::App;
use crate::tenants::Tenant;

/// The tenant of a request, if it may delete.
fn allowed(app: &App, headers: &HeaderMap) -> Result<(String, DeletionMode), ApiError> {
    let tenant = app.tenants.one_named(headers)?;
    if !app.config.compactor.retention_enabled {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "deletion is not available: compactor.retention_enabled is false",
        ));
    }
    match app.tenants.limits(&tenant).deletion_mode {
        DeletionMode::Disabled => {
            Err(ApiError::new(StatusCode::FORBIDDEN, "deletion is not available for this tenant"))
        }
        mode => Ok((tenant, mode)),
    }
}

/// Runs what reads and writes files.
async fn blocking<T: Send + 'static>(
    tenant: Arc<Tenant>,
    work: impl FnOnce(&Tenant) -> Result<T, logstore::Error> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(move || work(&tenant)).await;
    let failed = |text: String| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, text);
    done.map_err(|e| failed(e.to_string()))?.map_err(|e| match e {
        logstore::Error::Invalid(text) => ApiError::bad(text),
        logstore::Error::TooManyDeletes { .. } => ApiError::new(StatusCode::TOO_MANY_REQUESTS, e.to_string()),
        other => failed(other.to_string()),
    })
}

fn seconds(name: &str, text: &str) -> Result<i64, ApiError> {
    params::parse_time(text)
        .map_err(|_| ApiError::bad(format!("invalid {name} time: require unix seconds or RFC3339 format")))
}

/// Makes a request.
pub(super) async fn add(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let (tenant, mode) = allowed(&app, &headers)?;
    let query = params.get("query").to_owned();
    if query.is_empty() {
        return Err(ApiError::bad("query not set"));
    }
    crate::deletes::read(&query).map_err(|e| ApiError::bad(format!("invalid query expression: {e}")))?;
    let now_ns = crate::now_ns();
    let start_ns = match params.get("start") {
        "" => return Err(ApiError::bad("start time not set")),
        text => seconds("start", text)?,
    };
    let end_ns = match params.get("end") {
        "" => now_ns,
        text => seconds("end", text)?,
    };
    if end_ns > now_ns {
        return Err(ApiError::bad("deletes in the future are not allowed"));
    }
    if start_ns > end_ns {
        return Err(ApiError::bad("start time can't be greater than end time"));
    }
    check_interval(params.get("max_interval"), end_ns - start_ns, app.config.compactor.max_interval_ns)?;
    let due_ns = match mode {
        DeletionMode::FilterAndDelete => now_ns.saturating_add(app.config.compactor.cancel_period_ns),
        _ => i64::MAX,
    };
    let tenant = app.tenants.open(&tenant).await?;
    let request = DeleteRequest { query, start_ns, end_ns, created_ns: now_ns, due_ns };
    let id = tenant.id.clone();
    blocking(tenant, move |tenant| tenant.db.request_delete(request)).await?;
    app.deletes_received.with(&[&id]).inc();
    Ok(no_content())
}

/// Requests are not divided here; what the parameter says must make sense nevertheless.
fn check_interval(text: &str, range_ns: i64, most_ns: i64) -> Result<(), ApiError> {
    if text.is_empty() {
        return Ok(());
    }
    let interval = kit::config::GoDuration::parse(text)
        .map_err(|_| ApiError::bad("invalid max_interval: valid time units are 's', 'm', 'h'"))?;
    if most_ns > 0 && interval.0 > most_ns {
        return Err(ApiError::bad(format!("max_interval can't be greater than {}", kit::config::GoDuration(most_ns))));
    }
    if interval.0 > range_ns {
        let range = kit::config::GoDuration(range_ns);
        return Err(ApiError::bad(format!("max_interval can't be greater than the interval to be deleted ({range})")));
    }
    Ok(())
}

/// All requests, the oldest first.
pub(super) async fn list(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let (tenant, _) = allowed(&app, &headers)?;
    let bound = |name: &str| match params.get(name) {
        "" => Ok(None),
        text => seconds(name, text).map(Some),
    };
    let (start_ns, end_ns) = (bound("start")?, bound("end")?);
    let Some(tenant) = app.tenants.find(&tenant).await? else { return Ok(json_of(&json!([]))) };
    let within = |info: &DeleteInfo| {
        start_ns.is_none_or(|start| info.request.end_ns >= start)
            && end_ns.is_none_or(|end| info.request.start_ns <= end)
    };
    let list: Vec<Value> = tenant.db.deletes().iter().filter(|info| within(info)).map(shown).collect();
    Ok(json_of(&list))
}

fn shown(info: &DeleteInfo) -> Value {
    let time = |ns: i64| match ns % 1_000_000_000 {
        0 => json!(ns / 1_000_000_000),
        _ => json!(ns as f64 / 1e9),
    };
    let status = match info.state {
        DeleteState::Waiting => "received".to_owned(),
        DeleteState::Removing { percent } => format!("{percent}% Complete"),
        DeleteState::Done { .. } => "processed".to_owned(),
    };
    json!({
        "request_id": format!("{:08x}", info.id),
        "start_time": time(info.request.start_ns),
        "end_time": time(info.request.end_ns),
        "query": info.request.query,
        "status": status,
        "created_at": time(info.request.created_ns),
    })
}

/// Takes a request back.
pub(super) async fn cancel(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (headers, params) = Params::read(request).await?;
    let (tenant, _) = allowed(&app, &headers)?;
    let text = params.get("request_id");
    if text.is_empty() {
        return Err(ApiError::bad("request_id is required"));
    }
    let missing = || ApiError::new(StatusCode::NOT_FOUND, "could not find delete request with given id");
    let id = u64::from_str_radix(text, 16).map_err(|_| missing())?;
    let tenant = app.tenants.find(&tenant).await?.ok_or_else(missing)?;
    let Some(info) = tenant.db.deletes().into_iter().find(|info| info.id == id) else { return Err(missing()) };
    if info.state != DeleteState::Waiting {
        return Err(ApiError::bad("deletion of request which is in process or already processed is not allowed"));
    }
    let period = app.config.compactor.cancel_period_ns;
    let is_late = crate::now_ns() > info.request.created_ns.saturating_add(period);
    if is_late && params.get("force") != "true" {
        return Err(ApiError::bad(format!(
            "deletion of request past the deadline of {} since its creation is not allowed",
            kit::config::GoDuration(period)
        )));
    }
    blocking(tenant, move |tenant| tenant.db.cancel_delete(id)).await?;
    let gone: Response<Body> = no_content();
    Ok(gone)
}
