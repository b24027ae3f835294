//! Users: oneself, and those an administrator manages. There is one organisation, number 1.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ADMIN, Body, Params, Routes, VIEWER, Who, time_text};
use crate::app::Shared;
use crate::auth::guard::Need;
use crate::auth::users::User;
use crate::auth::{Identity, Proof, Role};
use crate::error::{ApiError, ApiResult, done};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/user", VIEWER, own)
        .put("/api/user", Need::SignedIn, change_own)
        .put("/api/user/password", Need::SignedIn, change_password)
        .get("/api/user/orgs", Need::SignedIn, own_orgs)
        .get("/api/user/teams", Need::SignedIn, no_list)
        .get("/api/user/auth-tokens", Need::SignedIn, own_sessions)
        .post("/api/user/revoke-auth-token", Need::SignedIn, end_own_session)
        .get("/api/users", Need::ServerAdmin, list)
        .get("/api/users/search", Need::ServerAdmin, search)
        .get("/api/users/lookup", Need::ServerAdmin, lookup)
        .get("/api/users/{id}", Need::ServerAdmin, get)
        .put("/api/users/{id}", Need::ServerAdmin, change)
        .post("/api/admin/users", Need::ServerAdmin, create)
        .delete("/api/admin/users/{id}", Need::ServerAdmin, delete)
        .put("/api/admin/users/{id}/password", Need::ServerAdmin, set_password)
        .put("/api/admin/users/{id}/permissions", Need::ServerAdmin, set_server_admin)
        .post("/api/admin/users/{id}/disable", Need::ServerAdmin, disable)
        .post("/api/admin/users/{id}/enable", Need::ServerAdmin, enable)
        .post("/api/admin/users/{id}/logout", Need::ServerAdmin, logout)
        .get("/api/org", VIEWER, org)
        .get("/api/orgs", Need::ServerAdmin, orgs)
        .get("/api/orgs/{id}", Need::ServerAdmin, org_by_id)
        .get("/api/org/users", ADMIN, org_users)
        .get("/api/org/users/lookup", ADMIN, org_users)
        .patch("/api/org/users/{id}", ADMIN, set_role)
        .delete("/api/org/users/{id}", ADMIN, delete)
        .get("/api/teams/search", VIEWER, no_teams)
}

fn person(app: &Shared, user: &User) -> Value {
    let person = app.personal.of(user.id);
    json!({
        "id": user.id,
        "uid": user.id.to_string(),
        "login": user.login,
        "email": user.email,
        "name": user.name,
        "theme": person.preferences.theme,
        "orgId": 1,
        "orgRole": user.role.as_str(),
        "role": user.role.as_str(),
        "isGrafanaAdmin": user.server_admin,
        "isAdmin": user.server_admin,
        "isDisabled": user.disabled,
        "isExternal": false,
        "authLabels": [],
        "createdAt": time_text(user.created_ms),
        "updatedAt": time_text(user.updated_ms.max(user.created_ms)),
        "avatarUrl": "",
    })
}

async fn own(State(app): State<Shared>, Who(who): Who) -> ApiResult {
    if who.proof == Proof::Anonymous {
        let body = json!({"id": 0, "login": "", "email": "", "name": "Anonymous", "orgId": 1, "orgRole": who.role.as_str(), "isGrafanaAdmin": false});
        return Ok(Json(body).into_response());
    }
    match app.auth.users.get().by_id(who.id) {
        Some(user) => Ok(Json(person(&app, user)).into_response()),
        None => {
            let body = json!({"id": who.id, "login": who.login, "orgId": 1, "orgRole": who.role.as_str(), "isGrafanaAdmin": false});
            Ok(Json(body).into_response())
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Change {
    login: Option<String>,
    email: Option<String>,
    name: Option<String>,
}

async fn apply(app: &Shared, id: u64, change: Change) -> Result<(), ApiError> {
    let now_ms = app.now_ms();
    app.auth
        .users
        .change(|file| {
            let mut user = file.user_mut(id)?.clone();
            user.login = change.login.filter(|login| !login.is_empty()).unwrap_or(user.login);
            user.email = change.email.unwrap_or(user.email);
            user.name = change.name.unwrap_or(user.name);
            user.updated_ms = now_ms;
            check_login(&user.login)?;
            file.check_free(id, &user.login, &user.email)?;
            *file.user_mut(id)? = user;
            Ok(())
        })
        .await
}

fn check_login(login: &str) -> Result<(), ApiError> {
    if login.trim().is_empty() || login.len() > 190 || login.contains(':') || login.chars().any(char::is_control) {
        return Err(ApiError::bad_request("login: 1 to 190 characters without a colon"));
    }
    Ok(())
}

async fn change_own(State(app): State<Shared>, Who(who): Who, Body(change): Body<Change>) -> ApiResult {
    apply(&app, who.id, change).await?;
    Ok(done("User updated").into_response())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PasswordChange {
    old_password: String,
    new_password: String,
}

async fn change_password(State(app): State<Shared>, Who(who): Who, Body(change): Body<PasswordChange>) -> ApiResult {
    let users = app.auth.users.get();
    let user = users.by_id(who.id).ok_or_else(|| ApiError::not_found("user not found"))?;
    if !app.auth.password_fits(user, &change.old_password).await {
        return Err(ApiError::bad_request("invalid old password").id("password.invalid"));
    }
    let hash = app.auth.hash_password(&change.new_password).await?;
    store_password(&app, who.id, hash).await?;
    // Whoever got in with the old password is out; the one who changed it stays.
    let keep = if let Proof::Session(id) = who.proof { id } else { 0 };
    app.auth.sessions.end(|session| session.user_id == who.id && session.id != keep).await?;
    Ok(done("User password changed").into_response())
}

async fn store_password(app: &Shared, id: u64, hash: String) -> Result<(), ApiError> {
    let now_ms = app.now_ms();
    app.auth
        .users
        .change(|file| {
            let user = file.user_mut(id)?;
            user.password = hash;
            user.updated_ms = now_ms;
            Ok(())
        })
        .await
}

async fn own_orgs(State(app): State<Shared>, Who(who): Who) -> Json<Value> {
    Json(json!([{"orgId": 1, "name": app.settings.users.org_name, "role": who.role.as_str()}]))
}

async fn no_list() -> Json<Value> {
    Json(json!([]))
}

async fn no_teams() -> Json<Value> {
    Json(json!({"totalCount": 0, "teams": [], "page": 1, "perPage": 1000}))
}

async fn own_sessions(State(app): State<Shared>, Who(who): Who) -> Json<Value> {
    let sessions = app.auth.sessions.of_user(who.id, app.now_ms());
    Json(
        sessions
            .iter()
            .map(|session| {
                json!({
                    "id": session.id,
                    "isActive": who.proof == Proof::Session(session.id),
                    "clientIp": session.address,
                    "browser": session.user_agent,
                    "createdAt": time_text(session.created_ms),
                    "seenAt": time_text(session.rotated_ms),
                })
            })
            .collect(),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndSession {
    auth_token_id: u64,
}

async fn end_own_session(State(app): State<Shared>, Who(who): Who, Body(end): Body<EndSession>) -> ApiResult {
    let ended = app.auth.sessions.end(|session| session.user_id == who.id && session.id == end.auth_token_id).await?;
    if ended == 0 {
        return Err(ApiError::not_found("User auth token not found"));
    }
    Ok(done("User auth token revoked").into_response())
}

fn page(params: &Params, total: usize) -> Result<std::ops::Range<usize>, ApiError> {
    let per_page = params.count("perpage", 1000, 5000)?;
    let start = (params.count("page", 1, 1_000_000)? - 1) * per_page;
    Ok(start.min(total)..(start + per_page).min(total))
}

fn found(app: &Shared, params: &Params) -> Vec<Value> {
    let query = params.get("query").unwrap_or("").to_lowercase();
    let users = app.auth.users.get();
    let fits =
        |user: &&User| [&user.login, &user.email, &user.name].iter().any(|text| text.to_lowercase().contains(&query));
    users.users.iter().filter(fits).map(|user| person(app, user)).collect()
}

async fn list(State(app): State<Shared>, params: Params) -> ApiResult {
    let users = found(&app, &params);
    let range = page(&params, users.len())?;
    Ok(Json(users[range].to_vec()).into_response())
}

async fn search(State(app): State<Shared>, params: Params) -> ApiResult {
    let users = found(&app, &params);
    let range = page(&params, users.len())?;
    let body = json!({
        "totalCount": users.len(),
        "users": users[range],
        "page": params.count("page", 1, 1_000_000)?,
        "perPage": params.count("perpage", 1000, 5000)?,
    });
    Ok(Json(body).into_response())
}

fn user_not_found() -> ApiError {
    ApiError::not_found("user not found").id("user.not-found")
}

async fn lookup(State(app): State<Shared>, params: Params) -> ApiResult {
    let name = params.get("loginOrEmail").unwrap_or("");
    let users = app.auth.users.get();
    let user = users.by_login(name).ok_or_else(user_not_found)?;
    Ok(Json(person(&app, user)).into_response())
}

async fn get(State(app): State<Shared>, Path(id): Path<u64>) -> ApiResult {
    let users = app.auth.users.get();
    let user = users.by_id(id).ok_or_else(user_not_found)?;
    Ok(Json(person(&app, user)).into_response())
}

async fn change(State(app): State<Shared>, Path(id): Path<u64>, Body(change): Body<Change>) -> ApiResult {
    apply(&app, id, change).await?;
    Ok(done("User updated").into_response())
}

#[derive(Deserialize)]
struct NewUser {
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    login: String,
    password: String,
    role: Option<String>,
}

async fn create(State(app): State<Shared>, Body(new): Body<NewUser>) -> ApiResult {
    let login = if new.login.is_empty() { new.email.clone() } else { new.login };
    check_login(&login)?;
    let role = match &new.role {
        Some(name) => role_of(name)?,
        None => app.settings.users.default_role,
    };
    let password = app.auth.hash_password(&new.password).await?;
    let user =
        User { login, email: new.email, name: new.name, role, password, created_ms: app.now_ms(), ..User::default() };
    let id = app.auth.users.add(user).await?;
    Ok(Json(json!({"id": id, "uid": id.to_string(), "message": "User created"})).into_response())
}

fn role_of(name: &str) -> Result<Role, ApiError> {
    Role::from_name(name).ok_or_else(|| ApiError::bad_request(format!("role: {name:?} is not Viewer, Editor or Admin")))
}

/// Administrators of the server are not for those to change who only manage its content.
fn may_manage(app: &Shared, who: &Identity, id: u64) -> Result<(), ApiError> {
    if !who.server_admin && app.auth.users.get().by_id(id).is_some_and(|user| user.server_admin) {
        return Err(ApiError::forbidden("only an administrator of the server may change another one"));
    }
    Ok(())
}

async fn delete(State(app): State<Shared>, Who(who): Who, Path(id): Path<u64>) -> ApiResult {
    may_manage(&app, &who, id)?;
    app.auth
        .users
        .change(|file| {
            file.user_mut(id)?;
            file.users.retain(|user| user.id != id);
            file.keep_an_admin()
        })
        .await?;
    app.auth.sessions.end(|session| session.user_id == id).await?;
    app.personal.forget(id).await?;
    Ok(done("User deleted").into_response())
}

#[derive(Deserialize)]
struct NewPassword {
    password: String,
}

async fn set_password(State(app): State<Shared>, Path(id): Path<u64>, Body(new): Body<NewPassword>) -> ApiResult {
    let hash = app.auth.hash_password(&new.password).await?;
    store_password(&app, id, hash).await?;
    app.auth.sessions.end(|session| session.user_id == id).await?;
    Ok(done("User password updated").into_response())
}

/// Changes a user, unless nobody would be left to manage the server.
async fn change_user(app: &Shared, id: u64, change: impl FnOnce(&mut User)) -> Result<(), ApiError> {
    let now_ms = app.now_ms();
    app.auth
        .users
        .change(|file| {
            let user = file.user_mut(id)?;
            change(user);
            user.updated_ms = now_ms;
            file.keep_an_admin()
        })
        .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Permissions {
    is_grafana_admin: bool,
}

async fn set_server_admin(State(app): State<Shared>, Path(id): Path<u64>, Body(new): Body<Permissions>) -> ApiResult {
    change_user(&app, id, |user| user.server_admin = new.is_grafana_admin).await?;
    Ok(done("User permissions updated").into_response())
}

async fn disable(State(app): State<Shared>, Path(id): Path<u64>) -> ApiResult {
    change_user(&app, id, |user| user.disabled = true).await?;
    app.auth.sessions.end(|session| session.user_id == id).await?;
    Ok(done("User disabled").into_response())
}

async fn enable(State(app): State<Shared>, Path(id): Path<u64>) -> ApiResult {
    change_user(&app, id, |user| user.disabled = false).await?;
    Ok(done("User enabled").into_response())
}

async fn logout(State(app): State<Shared>, Path(id): Path<u64>) -> ApiResult {
    app.auth.sessions.end(|session| session.user_id == id).await?;
    Ok(done("User logged out").into_response())
}

fn org_json(app: &Shared) -> Value {
    json!({"id": 1, "name": app.settings.users.org_name, "address": {"address1": "", "address2": "", "city": "", "zipCode": "", "state": "", "country": ""}})
}

async fn org(State(app): State<Shared>) -> Json<Value> {
    Json(org_json(&app))
}

async fn orgs(State(app): State<Shared>) -> Json<Value> {
    Json(json!([{"id": 1, "name": app.settings.users.org_name}]))
}

async fn org_by_id(State(app): State<Shared>, Path(id): Path<u64>) -> ApiResult {
    match id {
        1 => Ok(Json(org_json(&app)).into_response()),
        _ => Err(ApiError::not_found("Organization not found")),
    }
}

async fn org_users(State(app): State<Shared>) -> Json<Value> {
    let users = app.auth.users.get();
    Json(
        users
            .users
            .iter()
            .map(|user| {
                json!({
                    "orgId": 1, "userId": user.id, "email": user.email, "login": user.login, "name": user.name,
                    "role": user.role.as_str(), "isDisabled": user.disabled, "avatarUrl": "",
                })
            })
            .collect(),
    )
}

#[derive(Deserialize)]
struct NewRole {
    role: String,
}

async fn set_role(
    State(app): State<Shared>,
    Who(who): Who,
    Path(id): Path<u64>,
    Body(new): Body<NewRole>,
) -> ApiResult {
    may_manage(&app, &who, id)?;
    let role = role_of(&new.role)?;
    change_user(&app, id, |user| user.role = role).await?;
    Ok(done("Organization user updated").into_response())
}
