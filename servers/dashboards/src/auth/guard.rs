//! What stands before every route: who asks, from which origin, and whether the role suffices.
//!
//! [`Need`] is written beside each route, there is no route without one. Two layers do the work: [`identify`] around the
//! whole router puts the [`Identity`] into the request (and a renewed cookie into the answer), [`require`] around each
//! handler compares it with the need.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Identity, Role};
use crate::app::App;
use crate::error::ApiError;

/// What a route asks of the one who calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: health, login, the app's files.
    Nothing,
    /// A role, be it of somebody unnamed.
    Role(Role),
    /// To be signed in.
    SignedIn,
    /// To manage the server.
    ServerAdmin,
}

impl Need {
    fn check(self, identity: Option<&Identity>) -> Result<(), ApiError> {
        let nobody = || ApiError::new(StatusCode::UNAUTHORIZED, "Unauthorized").id("auth.unauthorized");
        let enough = match self {
            Self::Nothing => return Ok(()),
            Self::Role(role) => identity.ok_or_else(nobody)?.role >= role,
            Self::SignedIn => identity.ok_or_else(nobody)?.is_signed_in(),
            Self::ServerAdmin => identity.ok_or_else(nobody)?.server_admin,
        };
        match (enough, identity) {
            (true, _) => Ok(()),
            // Somebody unnamed can do something about it: sign in.
            (false, Some(identity)) if !identity.is_signed_in() => Err(nobody()),
            _ => {
                let what = match self {
                    Self::Role(role) => format!("the role {} is needed", role.as_str()),
                    _ => "only an administrator of the server may do this".to_owned(),
                };
                Err(ApiError::forbidden(format!("You'll need additional permissions to perform this action: {what}"))
                    .id("accesscontrol.permission-denied"))
            }
        }
    }
}

/// The identity of a request, put there by [`identify`].
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) Option<Identity>);

/// The layer around the whole router.
pub(crate) async fn identify(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let now_ms = app.now_ms();
    let peer = peer_of(&request);
    let found = match app.auth.authenticate(request.headers(), peer, now_ms).await {
        Ok(found) => found,
        Err(error) => {
            // Whatever is asked for, wrong credentials are an answer of their own; but open routes stay open.
            request.extensions_mut().insert(Caller(None));
            request.extensions_mut().insert(error);
            return next.run(request).await;
        }
    };
    let (identity, new_cookie) = match found {
        Some(found) => (Some(found.identity), found.new_cookie),
        None => (None, None),
    };
    request.extensions_mut().insert(Caller(identity));
    let mut response = next.run(request).await;
    if let Some(value) = new_cookie
        && let Ok(cookie) = HeaderValue::from_str(&app.session_cookie(&value, app.auth.sessions.cookie_age_s()))
        && !response.headers().contains_key(header::SET_COOKIE)
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The layer around each handler.
pub(crate) async fn require(State((app, need)): State<(Arc<App>, Need)>, request: Request, next: Next) -> Response {
    if need == Need::Nothing {
        return next.run(request).await;
    }
    if let Some(error) = request.extensions().get::<ApiError>() {
        return error.clone().into_response();
    }
    let identity = request.extensions().get::<Caller>().and_then(|caller| caller.0.as_ref());
    let checked = need.check(identity).and_then(|()| match identity {
        Some(identity) if identity.is_ambient() => check_origin(&app, request.method(), request.headers()),
        _ => Ok(()),
    });
    match checked {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Refuses what another site makes a browser send: changes, and websockets, which no other rule of browsers stops.
pub(crate) fn check_origin(app: &App, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let websocket = headers.contains_key(header::UPGRADE);
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) && !websocket {
        return Ok(());
    }
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let refused = |what: &str| Err(ApiError::forbidden(format!("origin not allowed: {what}")).id("csrf.origin"));
    match text(header::ORIGIN) {
        // "null" is what a page without an origin sends, such as a local file.
        Some(origin) => {
            let host = origin.split_once("://").map_or("", |(_, host)| host);
            let same = text(header::HOST).is_some_and(|own| own.eq_ignore_ascii_case(host));
            let trusted = app
                .settings
                .security
                .csrf_trusted_origins
                .iter()
                .any(|trusted| trusted.eq_ignore_ascii_case(origin) || trusted.eq_ignore_ascii_case(host));
            let root = app.settings.server.root_url_given
                && app.settings.server.root_url.strip_prefix(origin).is_some_and(|rest| rest.starts_with('/'));
            if same || trusted || root { Ok(()) } else { refused(origin) }
        }
        // No browser leaves both out; a program that does cannot be made to by another site.
        None => match headers.get("sec-fetch-site").and_then(|value| value.to_str().ok()) {
            None | Some("same-origin" | "none") => Ok(()),
            Some(site) => refused(site),
        },
    }
}

/// Address of the client; loopback where a request has none, which is in tests.
pub(crate) fn peer_of(request: &Request) -> std::net::IpAddr {
    let info = request.extensions().get::<ConnectInfo<std::net::SocketAddr>>();
    info.map_or(std::net::Ipv4Addr::LOCALHOST.into(), |info| info.0.ip())
}
