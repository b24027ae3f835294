//! Signing in and out.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::{Body, MaybeWho, Routes, Who};
use crate::app::{App, Shared};
use crate::auth::Proof;
use crate::auth::guard::{Need, check_origin, peer_of};
use crate::error::{ApiError, ApiResult, done};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .post("/login", Need::Nothing, login)
        .get("/logout", Need::Nothing, logout)
        .post("/logout", Need::Nothing, logout)
        .get("/api/login/ping", Need::SignedIn, ping)
        .post("/api/user/auth-tokens/rotate", Need::SignedIn, ping)
}

#[derive(Deserialize)]
struct Login {
    user: String,
    password: String,
}

async fn login(State(app): State<Shared>, request: Request) -> ApiResult {
    // Another site must not sign a browser in as somebody else.
    check_origin(&app, request.method(), request.headers())?;
    if !app.settings.auth.login_form {
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "Login form is disabled").id("auth.login-disabled"));
    }
    let peer = peer_of(&request);
    let agent = request.headers().get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
    let Body(login) = <Body<Login> as axum::extract::FromRequest<Shared>>::from_request(request, &app).await?;
    app.metrics.logins.inc();
    if login.user.is_empty() || login.password.is_empty() || login.user.len() > 1024 || login.password.len() > 4096 {
        return Err(ApiError::bad_request("user and password are needed").id("password-auth.empty"));
    }
    let user = app.auth.check_password(&login.user, &login.password, peer, app.now_ms()).await?;
    let cookie = app.auth.sessions.start(user.id, peer.to_string(), &agent, app.now_ms()).await?;
    tracing::info!(component = "auth", login = user.login, %peer, "signed in");
    let header_value = app.session_cookie(&cookie, app.auth.sessions.cookie_age_s());
    Ok(([(header::SET_COOKIE, header_value)], Json(json!({"message": "Logged in", "redirectUrl": app.path("/")})))
        .into_response())
}

async fn logout(State(app): State<Shared>, MaybeWho(who): MaybeWho, headers: HeaderMap) -> ApiResult {
    // A link elsewhere must not sign anybody out; a browser that follows one says so.
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return Err(ApiError::forbidden("origin not allowed").id("csrf.origin"));
    }
    if let Some(Proof::Session(id)) = who.map(|who| who.proof) {
        app.auth.sessions.end(|session| session.id == id).await?;
    }
    Ok(signed_out(&app))
}

fn signed_out(app: &Arc<App>) -> Response {
    let cookie = app.session_cookie("", 0);
    (StatusCode::FOUND, [(header::LOCATION, app.path("/login")), (header::SET_COOKIE, cookie)]).into_response()
}

async fn ping(Who(who): Who) -> ApiResult {
    tracing::debug!(component = "auth", login = who.login, "ping");
    Ok(done("Logged in").into_response())
}
