//! Deleting series, making room for good, snapshots: only where the flags allow it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde_json::json;

use super::answer::{ApiError, ErrorType, success_of};
use super::params::{MAX_TIME_MS, MIN_TIME_MS, Params};
use crate::state::App;

type Answer = Result<Response<Body>, ApiError>;

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, tsdb::Error> + Send + 'static,
) -> Result<T, ApiError> {
    let done =
        tokio::task::spawn_blocking(work).await.map_err(|e| ApiError::new(ErrorType::Internal, e.to_string()))?;
    done.map_err(|e| match e.kind() {
        tsdb::ErrorKind::Closed => ApiError::new(ErrorType::NotReady, e.to_string()),
        _ => ApiError::new(ErrorType::Internal, e.to_string()),
    })
}

/// Hides the samples of series in a range of time.
pub(super) async fn delete_series(State(app): State<Arc<App>>, request: Request) -> Answer {
    app.admin()?;
    app.ready()?;
    let params = Params::read(request).await?;
    if !params.has("match[]") {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let start_ms = params.time("start", MIN_TIME_MS)?;
    let end_ms = params.time("end", MAX_TIME_MS)?;
    let selectors = params
        .all("match[]")
        .map(|text| promql::parse_selector(text).map_err(|e| ApiError::parameter("match[]", e)))
        .collect::<Result<Vec<_>, _>>()?;
    blocking(move || app.db.delete(&selectors, start_ms, end_ms)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Takes what was deleted off the disk.
pub(super) async fn clean_tombstones(State(app): State<Arc<App>>) -> Answer {
    app.admin()?;
    app.ready()?;
    blocking(move || app.db.clean_tombstones(kit::time::now_ms())).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Copies the store below `snapshots` in its directory.
pub(super) async fn snapshot(State(app): State<Arc<App>>, request: Request) -> Answer {
    app.admin()?;
    app.ready()?;
    let params = Params::read(request).await?;
    let skip_head = match params.get("skip_head") {
        "" | "false" | "0" | "f" | "F" | "FALSE" | "False" => false,
        "true" | "1" | "t" | "T" | "TRUE" | "True" => true,
        other => {
            return Err(ApiError::parameter(
                "skip_head",
                format!("unable to parse boolean 'skip_head' argument: {other:?}"),
            ));
        }
    };
    let time: String = kit::time::Rfc3339(kit::time::now_ms()).to_string();
    let seconds: String = time.split(['.', 'Z']).next().unwrap_or("").chars().filter(|c| !"-:".contains(*c)).collect();
    let name = format!("{seconds}Z-{:016x}", fastrand::u64(..));
    let target = app.db.dir().join("snapshots").join(&name);
    blocking(move || {
        if let Some(parent) = target.parent() {
            // What is wrong with the directory shows when the copy is made.
            let _ = std::fs::create_dir_all(parent);
        }
        app.db.snapshot(&target, !skip_head)
    })
    .await?;
    Ok(success_of(&json!({"name": name})))
}
