//! Stars and preferences.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ADMIN, Body, Routes, VIEWER, Who};
use crate::app::Shared;
use crate::auth::guard::Need;
use crate::error::{ApiError, ApiResult, done};
use crate::personal::Preferences;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/user/stars", Need::SignedIn, stars)
        .post("/api/user/stars/dashboard/uid/{uid}", Need::SignedIn, star)
        .delete("/api/user/stars/dashboard/uid/{uid}", Need::SignedIn, unstar)
        .get("/api/user/preferences", VIEWER, preferences)
        .put("/api/user/preferences", Need::SignedIn, set_preferences)
        .patch("/api/user/preferences", Need::SignedIn, patch_preferences)
        .get("/api/org/preferences", VIEWER, org_preferences)
        .put("/api/org/preferences", ADMIN, set_org_preferences)
        .patch("/api/org/preferences", ADMIN, patch_org_preferences)
}

async fn stars(State(app): State<Shared>, Who(who): Who) -> Json<Value> {
    Json(json!(app.personal.of(who.id).stars))
}

async fn star(State(app): State<Shared>, Who(who): Who, Path(uid): Path<String>) -> ApiResult {
    app.dashboards.get(&uid).ok_or_else(crate::dashboards::not_found)?;
    app.personal.set_star(who.id, &uid, true).await?;
    Ok(done("Dashboard starred!").into_response())
}

async fn unstar(State(app): State<Shared>, Who(who): Who, Path(uid): Path<String>) -> ApiResult {
    app.personal.set_star(who.id, &uid, false).await?;
    Ok(done("Dashboard unstarred").into_response())
}

/// What is given replaces what is there.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Patch {
    theme: Option<String>,
    timezone: Option<String>,
    week_start: Option<String>,
    language: Option<String>,
    #[serde(rename = "homeDashboardUID")]
    home_dashboard_uid: Option<String>,
}

async fn patch(app: &Shared, id: u64, patch: Patch) -> Result<(), ApiError> {
    let old = app.personal.of(id).preferences;
    let new = Preferences {
        theme: patch.theme.unwrap_or(old.theme),
        timezone: patch.timezone.unwrap_or(old.timezone),
        week_start: patch.week_start.unwrap_or(old.week_start),
        language: patch.language.unwrap_or(old.language),
        home_dashboard_uid: patch.home_dashboard_uid.unwrap_or(old.home_dashboard_uid),
    };
    set(app, id, new).await
}

async fn set(app: &Shared, id: u64, preferences: Preferences) -> Result<(), ApiError> {
    if !preferences.home_dashboard_uid.is_empty() && app.dashboards.get(&preferences.home_dashboard_uid).is_none() {
        return Err(crate::dashboards::not_found());
    }
    app.personal.set_preferences(id, preferences).await
}

async fn preferences(State(app): State<Shared>, Who(who): Who) -> Json<Preferences> {
    // Without a name one has what everyone has.
    Json(app.personal.of(who.id).preferences)
}

async fn set_preferences(State(app): State<Shared>, Who(who): Who, Body(new): Body<Preferences>) -> ApiResult {
    set(&app, who.id, new).await?;
    Ok(done("Preferences updated").into_response())
}

async fn patch_preferences(State(app): State<Shared>, Who(who): Who, Body(new): Body<Patch>) -> ApiResult {
    patch(&app, who.id, new).await?;
    Ok(done("Preferences updated").into_response())
}

async fn org_preferences(State(app): State<Shared>) -> Json<Preferences> {
    Json(app.personal.of(0).preferences)
}

async fn set_org_preferences(State(app): State<Shared>, Body(new): Body<Preferences>) -> ApiResult {
    set(&app, 0, new).await?;
    Ok(done("Preferences updated").into_response())
}

async fn patch_org_preferences(State(app): State<Shared>, Body(new): Body<Patch>) -> ApiResult {
    patch(&app, 0, new).await?;
    Ok(done("Preferences updated").into_response())
}
