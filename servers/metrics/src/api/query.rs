//! `/query`, `/query_range` and what else is about the text of a query: formatting, parsing, explaining, exemplars.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use promql::{TimeParams, Value};

use super::answer::{ApiError, ErrorType, Notes, json_string, success};
use super::encode::{QueryStats, query_data};
use super::params::Params;
use crate::queries::{Answered, Origin, QueryRequest};
use crate::state::App;

/// Most points of one series in a range query.
const MAX_POINTS: i64 = 11_000;
/// Most warnings, and most infos, of one answer.
const MAX_ANNOTATIONS: usize = 10;

type Answer = Result<Response<Body>, ApiError>;

/// Evaluates at one time.
pub(super) async fn instant(State(app): State<Arc<App>>, request: Request) -> Answer {
    let origin = origin(&request);
    let params = Params::read(request).await?;
    let now = kit::time::now_ms();
    let times = TimeParams::Instant(params.time("time", now)?);
    answer(&app, &params, times, origin).await
}

/// Evaluates over a range of times.
pub(super) async fn range(State(app): State<Arc<App>>, request: Request) -> Answer {
    let origin = origin(&request);
    let params = Params::read(request).await?;
    let times = range_times(&params)?;
    answer(&app, &params, times, origin).await
}

fn range_times(params: &Params) -> Result<TimeParams, ApiError> {
    let start_ms = params.required_time("start")?;
    let end_ms = params.required_time("end")?;
    if end_ms < start_ms {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step = params.get("step");
    let step_ms = params
        .duration("step")?
        .ok_or_else(|| ApiError::parameter("step", format!("cannot parse {step:?} to a valid duration")))?;
    if step_ms <= 0 {
        return Err(ApiError::parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if end_ms.saturating_sub(start_ms) / step_ms > MAX_POINTS {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    Ok(TimeParams::Range { start_ms, end_ms, step_ms })
}

fn origin(request: &Request) -> Origin {
    let client = request
        .extensions()
        .get::<axum::extract::ConnectInfo<std::net::SocketAddr>>()
        .map(|info| info.0.ip().to_string())
        .unwrap_or_default();
    // Routes that are nested see what is left of the path.
    let path = match request.extensions().get::<axum::extract::OriginalUri>() {
        Some(original) => original.0.path(),
        None => request.uri().path(),
    };
    Origin::Http { path: path.to_owned(), client }
}

async fn answer(app: &Arc<App>, params: &Params, times: TimeParams, origin: Origin) -> Answer {
    app.ready()?;
    let limit = params.limit("limit")?;
    let query = query_request(app, params, times, origin)?;
    let text = query.text.clone();
    let per_step_stats = query.per_step_stats;
    let Answered { mut output, queue_seconds, eval_seconds } = app.queries.run(query).await?;
    let mut notes = annotations(&output.annotations, &text);
    if limit > 0 && truncate(&mut output.value, limit) {
        notes.warnings.push("results truncated due to limit".to_owned());
    }
    let stats = params.has("stats").then_some(QueryStats {
        stats: output.stats,
        queue_seconds,
        eval_seconds,
        per_step: per_step_stats,
    });
    // Large answers take a while to write: not on the threads that serve everybody.
    let value = output.value;
    tokio::task::spawn_blocking(move || success(&notes, |body| query_data(body, &value, stats.as_ref())))
        .await
        .map_err(|e| ApiError::new(ErrorType::Internal, e.to_string()))
}

fn query_request(app: &App, params: &Params, times: TimeParams, origin: Origin) -> Result<QueryRequest, ApiError> {
    let timeout = match params.duration("timeout")? {
        Some(ms) => Duration::from_millis(u64::try_from(ms).unwrap_or(0)),
        None => app.queries.settings().timeout,
    };
    let stats = params.get("stats");
    Ok(QueryRequest {
        text: params.get("query").to_owned(),
        times,
        timeout,
        lookback_ms: params.duration("lookback_delta")?.unwrap_or(0),
        per_step_stats: stats == "all" && app.per_step_stats,
        origin,
    })
}

/// Warnings and infos of a query, the first ten of each.
fn annotations(annotations: &promql::Annotations, text: &str) -> Notes {
    let (mut warnings, mut infos) = (Vec::new(), Vec::new());
    let (mut more_warnings, mut more_infos) = (0, 0);
    for annotation in annotations.iter() {
        let (list, more) = match annotation.level {
            promql::Level::Warning => (&mut warnings, &mut more_warnings),
            promql::Level::Info => (&mut infos, &mut more_infos),
        };
        if list.len() < MAX_ANNOTATIONS {
            list.push(annotation.render(text));
        } else {
            *more += 1;
        }
    }
    if more_warnings > 0 {
        warnings.push(format!("{more_warnings} more warning annotations omitted"));
    }
    if more_infos > 0 {
        infos.push(format!("{more_infos} more info annotations omitted"));
    }
    Notes { warnings, infos }
}

fn truncate(value: &mut Value, limit: usize) -> bool {
    let cut = |len: usize| len > limit;
    match value {
        Value::Vector { samples, .. } if cut(samples.len()) => samples.truncate(limit),
        Value::Matrix(series) if cut(series.len()) => series.truncate(limit),
        _ => return false,
    }
    true
}

/// The query in the one form that is printed.
pub(super) async fn format(State(app): State<Arc<App>>, request: Request) -> Answer {
    let params = Params::read(request).await?;
    let expr = parse(&app, &params)?;
    Ok(success(&Notes::default(), |body| json_string(body, &promql::pretty(&expr))))
}

/// The query as a tree.
pub(super) async fn parse_tree(State(app): State<Arc<App>>, request: Request) -> Answer {
    let params = Params::read(request).await?;
    let expr = parse(&app, &params)?;
    Ok(success(&Notes::default(), |body| body.extend_from_slice(promql::ast_json(&expr).as_bytes())))
}

fn parse(app: &App, params: &Params) -> Result<promql::Expr, ApiError> {
    promql::parse(params.get("query"), &app.queries.engine().options().parser)
        .map_err(|e| ApiError::parameter("query", e))
}

/// The plan of a query; with `analyze=true` the query runs, and the plan says what each operator did. With `start`, `end` and
/// `step` it is planned as a range query.
pub(super) async fn explain(State(app): State<Arc<App>>, request: Request) -> Answer {
    let origin = origin(&request);
    let params = Params::read(request).await?;
    app.ready()?;
    let times = if params.has("start") {
        range_times(&params)?
    } else {
        TimeParams::Instant(params.time("time", kit::time::now_ms())?)
    };
    let query = query_request(&app, &params, times, origin)?;
    let text = if matches!(params.get("analyze"), "true" | "1") {
        app.queries.analyze(query).await?.text
    } else {
        app.queries.engine().explain(&query.text, times, &promql::QueryContext::default())?
    };
    Ok(success(&Notes::default(), |body| json_string(body, &text)))
}

/// The queries that run now.
pub(super) async fn active(State(app): State<Arc<App>>) -> Answer {
    Ok(super::answer::success_of(&app.queries.active()))
}

/// Stops a query by its number.
pub(super) async fn kill(State(app): State<Arc<App>>, request: Request) -> Answer {
    app.admin()?;
    let params = Params::read(request).await?;
    let id = params.get("id").parse::<u64>().map_err(|_| ApiError::parameter("id", "a number is needed"))?;
    if app.queries.kill(id) {
        Ok(super::answer::success_of(&serde_json::json!({"killed": id})))
    } else {
        Err(ApiError::new(ErrorType::NotFound, format!("no query {id} is running")))
    }
}
