//! The server itself: health, metrics, settings, probes of the hosts, reloading.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use serde_json::{Value, json};

use super::{ADMIN, MaybeWho, Routes, VIEWER};
use crate::app::Shared;
use crate::auth::guard::Need;
use crate::error::{ApiError, ApiResult, done};
use crate::{COMMIT, VERSION};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/health", Need::Nothing, health)
        .get("/healthz", Need::Nothing, healthz)
        .get("/metrics", Need::Nothing, metrics)
        .get("/robots.txt", Need::Nothing, robots)
        .get("/api/frontend/settings", Need::Nothing, settings)
        .get("/api/foursight/hosts", VIEWER, hosts)
        .get("/api/plugins", VIEWER, plugins)
        .get("/api/admin/settings", Need::ServerAdmin, admin_settings)
        .get("/api/admin/stats", Need::ServerAdmin, stats)
        .post("/api/admin/provisioning/{kind}/reload", ADMIN, reload)
}

async fn health(State(app): State<Shared>, MaybeWho(who): MaybeWho) -> Json<Value> {
    let mut body = json!({"database": "ok"});
    if let (false, Some(body)) = (hides_version(&app, who.is_some_and(|who| who.is_signed_in())), body.as_object_mut())
    {
        body.insert("version".into(), VERSION.into());
        body.insert("commit".into(), COMMIT.into());
    }
    Json(body)
}

fn hides_version(app: &Shared, signed_in: bool) -> bool {
    app.settings.auth.hide_version && !signed_in
}

async fn healthz() -> &'static str {
    "Ok"
}

async fn robots() -> &'static str {
    "User-agent: *\nDisallow: /\n"
}

async fn metrics(State(app): State<Shared>, headers: HeaderMap) -> Response {
    if !app.settings.metrics.enabled {
        return ApiError::not_found("Not found").into_response();
    }
    if let Some((user, password)) = &app.settings.metrics.basic_auth {
        let wanted = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", password.reveal()));
        let shown = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or("");
        // Hashes of both are compared, so that the time it takes says nothing.
        let same = crate::store::sha256(shown.as_bytes()) == crate::store::sha256(format!("Basic {wanted}").as_bytes());
        if !same {
            let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"metrics\"")];
            return (StatusCode::UNAUTHORIZED, ask, "Unauthorized").into_response();
        }
    }
    let m = &app.metrics;
    let now_ms = app.now_ms();
    m.dashboards.set(app.dashboards.len() as f64);
    m.users.set(app.auth.users.get().users.len() as f64);
    m.active_users.set(app.auth.sessions.active_users(30 * 86_400_000, now_ms) as f64);
    m.datasources.set(app.datasources.all().len() as f64);
    app.alerts.set_gauges(m);
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let (content_type, page) = kit::metrics::scrape_page(&m.registry, accept);
    ([(header::CONTENT_TYPE, content_type)], page).into_response()
}

async fn settings(State(app): State<Shared>, MaybeWho(who): MaybeWho) -> Json<Value> {
    let settings = &app.settings;
    let signed_in = who.as_ref().is_some_and(|who| who.is_signed_in());
    let person = who.as_ref().filter(|_| signed_in).map(|who| app.personal.of(who.id)).unwrap_or_default();
    let everyone = app.personal.of(0);
    let theme = [person.preferences.theme, everyone.preferences.theme, settings.users.default_theme.clone()];
    let theme = theme.into_iter().find(|theme| !theme.is_empty()).unwrap_or_default();
    let hidden = hides_version(&app, signed_in);
    let mut body = json!({
        "buildInfo": {
            "version": if hidden { "" } else { VERSION },
            "commit": if hidden { "" } else { COMMIT },
            "edition": "Foursight",
        },
        "anonymousEnabled": settings.auth.anonymous.is_some(),
        "disableLoginForm": !settings.auth.login_form,
        "appUrl": settings.server.root_url,
        "appSubUrl": settings.server.sub_path,
        "defaultTheme": theme,
        "homePage": settings.users.home_page,
        "viewersCanEdit": settings.users.viewers_can_edit,
        "minRefreshInterval": settings.dashboards.min_refresh_interval,
        "dateFormats": settings.date_formats,
        "featureToggles": settings.feature_toggles,
        "unifiedAlertingEnabled": settings.alerting.execute,
        "user": {
            "isSignedIn": signed_in,
            "login": who.as_ref().map_or("", |who| who.login.as_str()),
            "orgRole": who.as_ref().map_or("", |who| who.role.as_str()),
            "timezone": person.preferences.timezone,
        },
    });
    if let (Some(url), Some(body)) = (&settings.foursight.slack_receiver_url, body.as_object_mut()) {
        body.insert("slackReceiverUrl".into(), url.clone().into());
    }
    Json(body)
}

async fn hosts(State(app): State<Shared>) -> Json<Value> {
    Json(crate::hosts::answer(&app).await)
}

async fn plugins() -> Json<Value> {
    let plugin = |id: &str, kind: &str, name: &str| json!({"id": id, "type": kind, "name": name, "enabled": true, "signature": "internal"});
    let sources = [("prometheus", "Prometheus"), ("loki", "Loki"), ("alertmanager", "Alertmanager")];
    let panels = [
        "alertlist",
        "annolist",
        "barchart",
        "bargauge",
        "dashlist",
        "gauge",
        "heatmap",
        "histogram",
        "logs",
        "piechart",
        "stat",
        "state-timeline",
        "status-history",
        "table",
        "text",
        "timeseries",
    ];
    let sources = sources.into_iter().map(|(id, name)| plugin(id, "datasource", name));
    Json(sources.chain(panels.into_iter().map(|id| plugin(id, "panel", id))).collect())
}

async fn admin_settings(State(app): State<Shared>) -> Json<Value> {
    let settings = &app.settings;
    Json(json!({
        "paths": {"data": settings.paths.data, "provisioning": settings.paths.provisioning},
        "server": {
            "root_url": settings.server.root_url,
            "domain": settings.server.domain,
            "enforce_domain": settings.server.enforce_domain.to_string(),
        },
        "auth.anonymous": {
            "enabled": settings.auth.anonymous.is_some().to_string(),
            "org_role": settings.auth.anonymous.map_or("", |role| role.as_str()),
        },
        "security": {"admin_user": settings.security.admin_user, "admin_password": "*********"},
        "unified_alerting": {"execute_alerts": settings.alerting.execute.to_string()},
    }))
}

async fn stats(State(app): State<Shared>) -> Json<Value> {
    let users = app.auth.users.get();
    let now_ms = app.now_ms();
    Json(json!({
        "orgs": 1,
        "dashboards": app.dashboards.len(),
        "folders": app.folders.all().len(),
        "users": users.users.len(),
        "activeUsers": app.auth.sessions.active_users(30 * 86_400_000, now_ms),
        "dailyActiveUsers": app.auth.sessions.active_users(86_400_000, now_ms),
        "datasources": app.datasources.all().len(),
        "alerts": app.alerts.rule_count(),
    }))
}

async fn reload(State(app): State<Shared>, Path(kind): Path<String>) -> ApiResult {
    let (errors, message) = match kind.as_str() {
        "dashboards" => (app.reload_dashboards().await, "Dashboards config reloaded"),
        "datasources" => (app.reload_datasources().await, "Datasources config reloaded"),
        "alerting" => (app.alerts.reload(&app).await, "Alerting config reloaded"),
        "plugins" | "access-control" | "accesscontrol" => (Vec::new(), "Nothing to reload"),
        _ => return Err(ApiError::not_found("Not found")),
    };
    if errors.is_empty() {
        return Ok(done(message).into_response());
    }
    Err(ApiError::internal(errors.join("; ")))
}
