//! Alertmanager's API, version 2, over the notifier, and Grafana's views of its configuration.

use alerting::notify::api::{AlertQuery, ApiCluster, ApiConfig, ApiStatus, ApiVersion, PostedSilence, parse_filter};
use alerting::notify::matcher::MatcherMode;
use alerting::notify::{PostableSilence, SilenceError, uuid_v4};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::bad;
use crate::alerts::config::redacted;
use crate::api::{ADMIN, Body, EDITOR, Params, Routes, VIEWER, Who};
use crate::app::Shared;
use crate::error::{ApiError, ApiResult};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/alertmanager/grafana/api/v2/status", VIEWER, status)
        .get("/api/alertmanager/grafana/api/v2/alerts", VIEWER, alerts)
        .get("/api/alertmanager/grafana/api/v2/alerts/groups", VIEWER, groups)
        .get("/api/alertmanager/grafana/api/v2/receivers", VIEWER, receivers)
        .get("/api/alertmanager/grafana/api/v2/silences", VIEWER, silences)
        .post("/api/alertmanager/grafana/api/v2/silences", EDITOR, create_silence)
        .get("/api/alertmanager/grafana/api/v2/silence/{id}", VIEWER, silence)
        .delete("/api/alertmanager/grafana/api/v2/silence/{id}", EDITOR, expire_silence)
        .get("/api/alertmanager/grafana/config/api/v1/alerts", ADMIN, config)
        .get("/api/alertmanager/grafana/config/api/v1/receivers", VIEWER, config_receivers)
}

async fn status(State(app): State<Shared>) -> Json<ApiStatus> {
    Json(ApiStatus {
        cluster: ApiCluster { status: "disabled".to_owned(), ..ApiCluster::default() },
        version_info: ApiVersion {
            version: crate::VERSION.to_owned(),
            revision: crate::COMMIT.to_owned(),
            ..ApiVersion::default()
        },
        config: ApiConfig::default(),
        uptime: kit::time::Rfc3339(app.started_ms).to_string(),
    })
}

fn alert_query(params: &Params) -> Result<AlertQuery, ApiError> {
    let query = AlertQuery {
        active: params.flag_or_true("active"),
        silenced: params.flag_or_true("silenced"),
        inhibited: params.flag_or_true("inhibited"),
        unprocessed: params.flag_or_true("unprocessed"),
        muted: params.flag_or_true("muted"),
        ..AlertQuery::default()
    };
    let filter = params.texts("filter");
    query
        .with_texts(&filter, params.get("receiver"), &params.texts("receiver_matchers"), MatcherMode::default())
        .map_err(bad)
}

async fn alerts(State(app): State<Shared>, params: Params) -> ApiResult {
    let query = alert_query(&params)?;
    let now_ms = app.now_ms();
    Ok(Json(app.alerts.notify.read(|notifier| notifier.query_alerts(&query, now_ms))).into_response())
}

async fn groups(State(app): State<Shared>, params: Params) -> ApiResult {
    let query = alert_query(&params)?;
    let now_ms = app.now_ms();
    Ok(Json(app.alerts.notify.read(|notifier| notifier.query_groups(&query, now_ms))).into_response())
}

async fn receivers(State(app): State<Shared>) -> ApiResult {
    Ok(Json(app.alerts.notify.read(|notifier| notifier.query_receivers(&[]))).into_response())
}

async fn silences(State(app): State<Shared>, params: Params) -> ApiResult {
    let filter = parse_filter(&params.texts("filter"), MatcherMode::default()).map_err(bad)?;
    let now_ms = app.now_ms();
    Ok(Json(app.alerts.notify.read(|notifier| notifier.query_silences(&filter, now_ms))).into_response())
}

fn silence_error(error: SilenceError) -> ApiError {
    match error {
        SilenceError::NotFound => ApiError::not_found(error.to_string()),
        _ => bad(error),
    }
}

fn new_id() -> String {
    let mut bytes = [0; 16];
    // Without randomness there is nothing to be done that would be right.
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(component = "alerting", %error, "no random numbers");
    }
    uuid_v4(bytes)
}

async fn create_silence(
    State(app): State<Shared>,
    Who(who): Who,
    Body(mut silence): Body<PostableSilence>,
) -> ApiResult {
    if silence.created_by.is_empty() {
        silence.created_by = who.login;
    }
    let now_ms = app.now_ms();
    let id = app.alerts.notify.change(|notifier| notifier.set_silence(now_ms, silence, new_id)).await?;
    let posted = PostedSilence { silence_id: id.map_err(silence_error)? };
    tracing::info!(component = "alerting", silence = posted.silence_id, "silence set");
    let body = json!({"id": posted.silence_id, "silenceID": posted.silence_id});
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

async fn silence(State(app): State<Shared>, Path(id): Path<String>) -> ApiResult {
    let now_ms = app.now_ms();
    let found = app.alerts.notify.read(|notifier| notifier.query_silence(&id, now_ms));
    Ok(Json(found.ok_or_else(|| silence_error(SilenceError::NotFound))?).into_response())
}

async fn expire_silence(State(app): State<Shared>, Path(id): Path<String>) -> ApiResult {
    let now_ms = app.now_ms();
    app.alerts.notify.change(|notifier| notifier.expire_silence(now_ms, &id)).await?.map_err(silence_error)?;
    tracing::info!(component = "alerting", silence = id, "silence ended");
    Ok(crate::error::done("silence deleted").into_response())
}

async fn config(State(app): State<Shared>) -> Json<Value> {
    let config = app.alerts.config.get();
    let receivers: Vec<Value> = config
        .points_by_name()
        .into_iter()
        .map(|(name, points)| {
            let integrations: Vec<Value> = points
                .into_iter()
                .map(|point| {
                    let mut value = serde_json::to_value(redacted(&point.value)).unwrap_or_default();
                    value["provenance"] = point.provenance.as_str().into();
                    value
                })
                .collect();
            json!({"name": name, "grafana_managed_receiver_configs": integrations})
        })
        .collect();
    let templates: serde_json::Map<String, Value> = config
        .templates
        .iter()
        .map(|template| (template.value.name.clone(), template.value.template.clone().into()))
        .collect();
    let timings: Vec<_> = config.mute_timings.iter().map(|timing| &timing.value).collect();
    Json(json!({
        "template_files": templates,
        "alertmanager_config": {"route": config.policy().value, "time_intervals": timings, "receivers": receivers},
    }))
}

/// Contact points and how their last messages went.
async fn config_receivers(State(app): State<Shared>) -> Json<Value> {
    let config = app.alerts.config.get();
    let used = app.alerts.notify.read(|notifier| {
        let nodes = notifier.config().routes.nodes();
        nodes.iter().map(|node| node.options.receiver.clone()).collect::<Vec<_>>()
    });
    let list = config.points_by_name().into_iter().map(|(name, points)| {
        let integrations: Vec<Value> = points
            .iter()
            .map(|point| {
                let kind = &point.value.kind;
                json!({"name": kind, "sendResolved": !point.value.disable_resolve_message})
            })
            .collect();
        json!({"name": name, "active": used.iter().any(|one| one == name), "integrations": integrations})
    });
    Json(list.collect())
}
