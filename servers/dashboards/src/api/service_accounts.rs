//! Service accounts and their tokens. A token is shown once, when it is made.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ADMIN, Body, Params, Routes, time_text};
use crate::app::Shared;
use crate::auth::users::{ServiceAccount, Token};
use crate::auth::{Role, token};
use crate::dashboards::model::slug;
use crate::error::{ApiError, ApiResult, done};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get("/api/serviceaccounts/search", ADMIN, search)
        .post("/api/serviceaccounts", ADMIN, create)
        .get("/api/serviceaccounts/{id}", ADMIN, get)
        .patch("/api/serviceaccounts/{id}", ADMIN, change)
        .delete("/api/serviceaccounts/{id}", ADMIN, delete)
        .get("/api/serviceaccounts/{id}/tokens", ADMIN, tokens)
        .post("/api/serviceaccounts/{id}/tokens", ADMIN, add_token)
        .delete("/api/serviceaccounts/{id}/tokens/{token}", ADMIN, delete_token)
}

fn account_json(account: &ServiceAccount) -> Value {
    json!({
        "id": account.id,
        "uid": account.id.to_string(),
        "name": account.name,
        "login": account.login,
        "orgId": 1,
        "isDisabled": account.disabled,
        "role": account.role.as_str(),
        "tokens": account.tokens.len(),
        "createdAt": time_text(account.created_ms),
        "avatarUrl": "",
    })
}

fn find(app: &Shared, id: u64) -> Result<ServiceAccount, ApiError> {
    let users = app.auth.users.get();
    let found = users.service_accounts.iter().find(|account| account.id == id).cloned();
    found.ok_or_else(|| ApiError::not_found("service account not found").id("serviceaccounts.ErrNotFound"))
}

async fn search(State(app): State<Shared>, params: Params) -> ApiResult {
    let query = params.get("query").unwrap_or("").to_lowercase();
    let users = app.auth.users.get();
    let fits =
        |account: &&ServiceAccount| account.name.to_lowercase().contains(&query) || account.login.contains(&query);
    let found: Vec<Value> = users.service_accounts.iter().filter(fits).map(account_json).collect();
    let per_page = params.count("perpage", 1000, 5000)?;
    let page = params.count("page", 1, 1_000_000)?;
    let shown: Vec<Value> = found.iter().skip((page - 1) * per_page).take(per_page).cloned().collect();
    Ok(Json(json!({"totalCount": found.len(), "serviceAccounts": shown, "page": page, "perPage": per_page}))
        .into_response())
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Account {
    name: Option<String>,
    role: Option<String>,
    is_disabled: Option<bool>,
}

fn role_of(name: Option<&str>) -> Result<Option<Role>, ApiError> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
    let role = Role::from_name(name).ok_or_else(|| ApiError::bad_request(format!("role: {name:?} is no role")))?;
    Ok(Some(role))
}

async fn create(State(app): State<Shared>, Body(new): Body<Account>) -> ApiResult {
    let name = new.name.unwrap_or_default().trim().to_owned();
    if name.is_empty() || name.len() > 190 {
        return Err(ApiError::bad_request("name: 1 to 190 characters").id("serviceaccounts.ErrInvalidInput"));
    }
    let account = ServiceAccount {
        login: format!("sa-1-{}", slug(&name)),
        name,
        role: role_of(new.role.as_deref())?.unwrap_or(Role::Viewer),
        disabled: new.is_disabled.unwrap_or(false),
        created_ms: app.now_ms(),
        ..ServiceAccount::default()
    };
    let account = app
        .auth
        .users
        .change(|file| {
            if file.service_accounts.iter().any(|other| other.login == account.login) {
                return Err(
                    ApiError::bad_request("service account already exists").id("serviceaccounts.ErrAlreadyExists")
                );
            }
            let account = ServiceAccount { id: file.new_id(), ..account };
            file.service_accounts.push(account.clone());
            Ok(account)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(account_json(&account))).into_response())
}

async fn get(State(app): State<Shared>, Path(id): Path<u64>) -> ApiResult {
    Ok(Json(account_json(&find(&app, id)?)).into_response())
}

async fn change(State(app): State<Shared>, Path(id): Path<u64>, Body(new): Body<Account>) -> ApiResult {
    let role = role_of(new.role.as_deref())?;
    let account = app
        .auth
        .users
        .change(|file| {
            let account = file.account_mut(id)?;
            account.name = new.name.filter(|name| !name.is_empty()).unwrap_or_else(|| account.name.clone());
            account.role = role.unwrap_or(account.role);
            account.disabled = new.is_disabled.unwrap_or(account.disabled);
            Ok(account.clone())
        })
        .await?;
    let body = json!({"message": "Service account updated", "id": id, "name": account.name, "serviceaccount": account_json(&account)});
    Ok(Json(body).into_response())
}

async fn delete(State(app): State<Shared>, Path(id): Path<u64>) -> ApiResult {
    app.auth
        .users
        .change(|file| {
            file.account_mut(id)?;
            file.service_accounts.retain(|account| account.id != id);
            Ok(())
        })
        .await?;
    Ok(done("Service account deleted").into_response())
}

async fn tokens(State(app): State<Shared>, Path(id): Path<u64>) -> ApiResult {
    let now_ms = app.now_ms();
    let account = find(&app, id)?;
    let shown = account.tokens.iter().map(|token| {
        json!({
            "id": token.id,
            "name": token.name,
            "created": time_text(token.created_ms),
            "expiration": token.expires_ms.map(time_text),
            "secondsUntilExpiration": token.expires_ms.map_or(0.0, |end| (end - now_ms).max(0) as f64 / 1000.0),
            "hasExpired": token.expires_ms.is_some_and(|end| end <= now_ms),
            "isRevoked": false,
            "lastUsedAt": app.auth.users.last_use_ms(token.id).map(time_text),
        })
    });
    Ok(Json(shown.collect::<Value>()).into_response())
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NewToken {
    name: String,
    seconds_to_live: i64,
}

async fn add_token(State(app): State<Shared>, Path(id): Path<u64>, Body(new): Body<NewToken>) -> ApiResult {
    if new.name.trim().is_empty() || new.seconds_to_live < 0 {
        return Err(ApiError::bad_request("name must not be empty, secondsToLive not negative")
            .id("serviceaccounts.ErrInvalidInput"));
    }
    let now_ms = app.now_ms();
    let secret = token::service_account_token();
    let token = Token {
        name: new.name.trim().to_owned(),
        hash: token::hash(&secret),
        created_ms: now_ms,
        expires_ms: (new.seconds_to_live > 0).then(|| now_ms.saturating_add(new.seconds_to_live.saturating_mul(1000))),
        ..Token::default()
    };
    let token = app
        .auth
        .users
        .change(|file| {
            if file.account_mut(id)?.tokens.iter().any(|other| other.name == token.name) {
                return Err(ApiError::conflict("service account token with given name already exists"));
            }
            let token = Token { id: file.new_id(), ..token };
            file.account_mut(id)?.tokens.push(token.clone());
            Ok(token)
        })
        .await?;
    Ok(Json(json!({"id": token.id, "name": token.name, "key": secret})).into_response())
}

async fn delete_token(State(app): State<Shared>, Path((id, token)): Path<(u64, u64)>) -> ApiResult {
    app.auth
        .users
        .change(|file| {
            let tokens = &mut file.account_mut(id)?.tokens;
            let before = tokens.len();
            tokens.retain(|other| other.id != token);
            if tokens.len() == before {
                return Err(ApiError::not_found("service account token not found"));
            }
            Ok(())
        })
        .await?;
    Ok(done("Service account token deleted").into_response())
}
