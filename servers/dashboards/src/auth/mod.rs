//! Who asks: users with passwords, service accounts with tokens, sessions in cookies, and those who are let in unnamed.
//!
//! [`Auth::authenticate`] turns the headers of a request into an [`Identity`]; routes say what role they need
//! ([`guard::Need`]). Passwords are kept as bcrypt hashes, tokens and cookies as SHA-256 (they are long and random).
//! What a browser sends by itself (cookies, or nothing where anonymous users may write) counts only from the own origin.

pub(crate) mod guard;
mod limiter;
pub(crate) mod password;
pub(crate) mod sessions;
pub(crate) mod token;
pub(crate) mod users;

use std::net::IpAddr;
use std::path::Path;

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::settings::Settings;
use crate::store::StoreError;
use limiter::LoginLimiter;
use password::Passwords;
use sessions::Sessions;
use users::{User, Users};

/// What somebody may do. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Nothing; an account that is kept.
    None,
    /// Look.
    #[default]
    Viewer,
    /// Change dashboards and alerting.
    Editor,
    /// Change data sources and users.
    Admin,
}

impl Role {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::None, Self::Viewer, Self::Editor, Self::Admin]
            .into_iter()
            .find(|r| r.as_str().eq_ignore_ascii_case(name))
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Viewer => "Viewer",
            Self::Editor => "Editor",
            Self::Admin => "Admin",
        }
    }
}

/// How somebody showed who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A cookie; the id of the session.
    Session(u64),
    /// A password with the request.
    Basic,
    /// A token with the request.
    Token,
    /// None at all.
    Anonymous,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Id of the user or service account; 0 for those without a name.
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) role: Role,
    /// May manage users of the whole server.
    pub(crate) server_admin: bool,
    pub(crate) proof: Proof,
}

impl Identity {
    pub(crate) fn anonymous(role: Role) -> Self {
        Self { id: 0, login: String::new(), role, server_admin: false, proof: Proof::Anonymous }
    }

    /// Signed in, as a person or a program.
    pub(crate) fn is_signed_in(&self) -> bool {
        self.proof != Proof::Anonymous
    }

    /// Whether a browser sends the proof by itself, so that another site could make it do so.
    pub(crate) fn is_ambient(&self) -> bool {
        matches!(self.proof, Proof::Session(_) | Proof::Anonymous)
    }
}

/// An identity and the cookie that the answer has to set.
#[derive(Debug)]
pub(crate) struct Authenticated {
    pub(crate) identity: Identity,
    /// A new value for the session's cookie.
    pub(crate) new_cookie: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Auth {
    pub(crate) users: Users,
    pub(crate) sessions: Sessions,
    passwords: Passwords,
    limiter: LoginLimiter,
    anonymous: Option<Role>,
    basic: bool,
    brute_force_protection: bool,
    cookie_name: String,
}

impl Auth {
    pub(crate) fn open(dir: &Path, settings: &Settings) -> Result<Self, StoreError> {
        let auth = &settings.auth;
        Ok(Self {
            users: Users::open(dir)?,
            sessions: Sessions::open(dir, auth.rotation_ms, auth.max_inactive_ms, auth.max_lifetime_ms)?,
            passwords: Passwords::new(),
            limiter: LoginLimiter::new(settings.security.max_login_attempts),
            anonymous: auth.anonymous,
            basic: auth.basic,
            brute_force_protection: settings.security.brute_force_protection,
            cookie_name: auth.cookie_name.clone(),
        })
    }

    /// Makes the first administrator if there is no user at all. Returns name and password when the password was made up.
    pub(crate) async fn create_admin(
        &self,
        settings: &Settings,
        now_ms: i64,
    ) -> Result<Option<(String, String)>, ApiError> {
        let security = &settings.security;
        if !security.create_admin || !self.users.get().users.is_empty() {
            return Ok(None);
        }
        let (password, made_up) = match &security.admin_password {
            Some(password) => (password.reveal().to_owned(), false),
            None => (token::random_password(), true),
        };
        let hash = self.passwords.hash(&password).await?;
        let admin = User {
            login: security.admin_user.clone(),
            email: security.admin_email.clone(),
            role: Role::Admin,
            server_admin: true,
            password: hash,
            created_ms: now_ms,
            ..User::default()
        };
        self.users.add(admin).await?;
        Ok(made_up.then(|| (security.admin_user.clone(), password)))
    }

    /// Hash of a new password.
    ///
    /// # Errors
    /// When it is too short.
    pub(crate) async fn hash_password(&self, password: &str) -> Result<String, ApiError> {
        if password.chars().count() < 4 {
            return Err(ApiError::bad_request("New password is too short").id("password.too-short"));
        }
        self.passwords.hash(password).await
    }

    /// Whether a password is the user's.
    pub(crate) async fn password_fits(&self, user: &User, password: &str) -> bool {
        self.passwords.verify(Some(&user.password), password).await
    }

    /// Checks name and password as the login page sends them.
    ///
    /// # Errors
    /// 401 when they do not fit, 429 after too many failures.
    pub(crate) async fn check_password(
        &self,
        login: &str,
        password: &str,
        peer: IpAddr,
        now_ms: i64,
    ) -> Result<User, ApiError> {
        if self.brute_force_protection && self.limiter.is_blocked(login, peer, now_ms) {
            return Err(ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many failed logins, try again in a few minutes",
            )
            .id("password-auth.blocked"));
        }
        let users = self.users.get();
        let user = users.by_login(login);
        let fits = self.passwords.verify(user.map(|user| user.password.as_str()), password).await;
        match user {
            Some(user) if fits && !user.disabled => {
                self.limiter.forget(login, peer);
                Ok(user.clone())
            }
            _ => {
                self.limiter.failed(login, peer, now_ms);
                tracing::warn!(component = "auth", login, %peer, "login failed");
                Err(ApiError::new(StatusCode::UNAUTHORIZED, "Invalid username or password").id("password-auth.failed"))
            }
        }
    }

    /// Who sends these headers. `None`: nobody, and nobody is let in unnamed.
    ///
    /// # Errors
    /// 401 when what was shown is not valid; it is not taken for anonymous then.
    pub(crate) async fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: IpAddr,
        now_ms: i64,
    ) -> Result<Option<Authenticated>, ApiError> {
        let plain = |identity| Ok(Some(Authenticated { identity, new_cookie: None }));
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let value = value.to_str().unwrap_or("");
            let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
            if scheme.eq_ignore_ascii_case("bearer") {
                return plain(self.by_token(rest.trim(), now_ms)?);
            }
            if scheme.eq_ignore_ascii_case("basic") && self.basic {
                return plain(self.by_basic(rest.trim(), peer, now_ms).await?);
            }
            return Err(unauthorized("This kind of authorization is not accepted"));
        }
        if let Some(cookie) = cookie_of(headers, &self.cookie_name)
            && let Some(found) = self.sessions.find(cookie, now_ms).await?
            && let Some(user) = self.users.get().by_id(found.user_id).filter(|user| !user.disabled)
        {
            let identity = identity_of(user, Proof::Session(found.id));
            return Ok(Some(Authenticated { identity, new_cookie: found.new_cookie }));
        }
        Ok(self.anonymous.map(|role| Authenticated { identity: Identity::anonymous(role), new_cookie: None }))
    }

    fn by_token(&self, secret: &str, now_ms: i64) -> Result<Identity, ApiError> {
        let users = self.users.get();
        let found = users.by_token(&token::hash(secret)).filter(|_| token::is_well_formed(secret));
        let (account, token) = found.ok_or_else(|| unauthorized("Invalid API key"))?;
        if token.expires_ms.is_some_and(|end| end <= now_ms) {
            return Err(unauthorized("Expired API key"));
        }
        if account.disabled {
            return Err(unauthorized("The service account is disabled"));
        }
        self.users.token_used(token.id, now_ms);
        Ok(Identity {
            id: account.id,
            login: account.login.clone(),
            role: account.role,
            server_admin: false,
            proof: Proof::Token,
        })
    }

    async fn by_basic(&self, encoded: &str, peer: IpAddr, now_ms: i64) -> Result<Identity, ApiError> {
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok();
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let (login, password) = text
            .as_deref()
            .and_then(|text| text.split_once(':'))
            .ok_or_else(|| unauthorized("Basic authorization is not in the form user:password"))?;
        // Some clients send a token as the password of a user of this name.
        if login == "api_key" {
            return self.by_token(password, now_ms);
        }
        let user = self.check_password(login, password, peer, now_ms).await?;
        Ok(identity_of(&user, Proof::Basic))
    }
}

fn unauthorized(message: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, message).id("auth.unauthorized")
}

fn identity_of(user: &User, proof: Proof) -> Identity {
    Identity { id: user.id, login: user.login.clone(), role: user.role, server_admin: user.server_admin, proof }
}

/// Value of a cookie.
pub(crate) fn cookie_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}
