//! Users and service accounts.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::Role;
use crate::error::ApiError;
use crate::store::{Doc, StoreError};

/// A person.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) login: String,
    #[serde(default)]
    pub(crate) email: String,
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) role: Role,
    #[serde(default)]
    pub(crate) server_admin: bool,
    #[serde(default)]
    pub(crate) disabled: bool,
    /// Bcrypt hash.
    pub(crate) password: String,
    pub(crate) created_ms: i64,
    #[serde(default)]
    pub(crate) updated_ms: i64,
}

/// A program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServiceAccount {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// `sa-1-<name>`
    pub(crate) login: String,
    pub(crate) role: Role,
    #[serde(default)]
    pub(crate) disabled: bool,
    pub(crate) created_ms: i64,
    #[serde(default)]
    pub(crate) tokens: Vec<Token>,
}

/// A token of a service account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// SHA-256.
    pub(crate) hash: String,
    pub(crate) created_ms: i64,
    #[serde(default)]
    pub(crate) expires_ms: Option<i64>,
}

/// Everyone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct UserFile {
    next_id: u64,
    pub(crate) users: Vec<User>,
    #[serde(default)]
    pub(crate) service_accounts: Vec<ServiceAccount>,
}

impl UserFile {
    /// A number that no user, account or token has had.
    pub(crate) fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(crate) fn by_id(&self, id: u64) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    /// By login or address, whatever the case.
    pub(crate) fn by_login(&self, login: &str) -> Option<&User> {
        let wanted = login.to_lowercase();
        self.users
            .iter()
            .find(|user| user.login.to_lowercase() == wanted)
            .or_else(|| self.users.iter().find(|user| !user.email.is_empty() && user.email.to_lowercase() == wanted))
    }

    pub(crate) fn by_token(&self, hash: &str) -> Option<(&ServiceAccount, &Token)> {
        let tokens = self.service_accounts.iter().flat_map(|account| account.tokens.iter().map(move |t| (account, t)));
        tokens.into_iter().find(|(_, token)| token.hash == hash)
    }

    pub(crate) fn user_mut(&mut self, id: u64) -> Result<&mut User, ApiError> {
        let user = self.users.iter_mut().find(|user| user.id == id);
        user.ok_or_else(|| ApiError::not_found("user not found").id("user.not-found"))
    }

    pub(crate) fn account_mut(&mut self, id: u64) -> Result<&mut ServiceAccount, ApiError> {
        let account = self.service_accounts.iter_mut().find(|account| account.id == id);
        account.ok_or_else(|| ApiError::not_found("service account not found").id("serviceaccounts.ErrNotFound"))
    }

    /// Refuses to leave the server without anybody who can manage it.
    pub(crate) fn keep_an_admin(&self) -> Result<(), ApiError> {
        if self.users.iter().any(|user| user.role == Role::Admin && user.server_admin && !user.disabled) {
            return Ok(());
        }
        Err(ApiError::bad_request("the last administrator must stay one").id("user.last-admin"))
    }

    /// Refuses names that are taken.
    pub(crate) fn check_free(&self, id: u64, login: &str, email: &str) -> Result<(), ApiError> {
        let taken = |name: &str| !name.is_empty() && self.by_login(name).is_some_and(|user| user.id != id);
        if taken(login) || taken(email) {
            let message = format!("User with email '{email}' or username '{login}' already exists");
            return Err(ApiError::new(axum::http::StatusCode::PRECONDITION_FAILED, message).id("user.already-exists"));
        }
        Ok(())
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Users {
    doc: Doc<UserFile>,
    /// When tokens were last used; not worth a write each time.
    used: Mutex<HashMap<u64, i64>>,
}

impl Users {
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { doc: Doc::open(dir, "users")?, used: Mutex::default() })
    }

    pub(crate) fn get(&self) -> Arc<UserFile> {
        self.doc.get()
    }

    pub(crate) async fn change<R>(
        &self,
        change: impl FnOnce(&mut UserFile) -> Result<R, ApiError>,
    ) -> Result<R, ApiError> {
        self.doc.change(change).await
    }

    /// Adds a user; returns the id.
    pub(crate) async fn add(&self, user: User) -> Result<u64, ApiError> {
        self.doc
            .change(|file| {
                file.check_free(0, &user.login, &user.email)?;
                let id = file.new_id();
                file.users.push(User { id, ..user });
                Ok(id)
            })
            .await
    }

    pub(crate) fn token_used(&self, id: u64, now_ms: i64) {
        self.used.lock().insert(id, now_ms);
    }

    /// When a token was last used since the start.
    pub(crate) fn last_use_ms(&self, id: u64) -> Option<i64> {
        self.used.lock().get(&id).copied()
    }
}
