//! The server as a whole: requests against its router, without a socket on its side.

mod access;
mod auth;
mod content;
mod sources;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt;

use crate::app::Shared;
use crate::interpolate::Env;
use crate::options::Options;
use crate::settings::{Settings, test_settings};

/// Noon of a Monday.
pub(crate) const START_MS: i64 = 1_795_435_200_000;

/// A server over a temporary directory, with a clock of its own.
pub(crate) struct Harness {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) app: Shared,
    pub(crate) router: Router,
    pub(crate) clock: Arc<AtomicI64>,
}

/// An answer, its body read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: bytes::Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The cookie that it sets, ready to be sent.
    pub(crate) fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    /// The JSON, when the status is as expected.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }
}

impl Harness {
    pub(crate) async fn new(ini: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::open(dir, ini, START_MS, |_| {}).await
    }

    /// As [`Harness::new`], with files put into the folder first.
    pub(crate) async fn with(ini: &str, prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::open(dir, ini, START_MS, prepare).await
    }

    async fn open(dir: tempfile::TempDir, ini: &str, now_ms: i64, prepare: impl FnOnce(&Path)) -> Self {
        prepare(dir.path());
        let settings: Settings = test_settings(dir.path(), &format!("[security]\nadmin_password = secret\n{ini}"));
        let clock = Arc::new(AtomicI64::new(now_ms));
        let read = clock.clone();
        let root = dir.path().display().to_string();
        let env: Env = Arc::new(move |name| (name == "ROOT").then(|| root.clone()));
        let options = Options { clock: Arc::new(move || read.load(Ordering::SeqCst)), env, ..Options::default() };
        let app = crate::server::open_app(settings, &options, kit::Shutdown::new()).await.unwrap();
        assert_eq!(app.auth.create_admin(&app.settings, now_ms).await, Ok(None));
        crate::server::provision(&app).await;
        let router = crate::api::router(&app);
        Self { dir, app, router, clock }
    }

    /// The same server started again over the same folder.
    pub(crate) async fn restart(self, ini: &str) -> Self {
        let now_ms = self.clock.load(Ordering::SeqCst);
        let Self { dir, app, router, .. } = self;
        drop((app, router));
        Self::open(dir, ini, now_ms, |_| {}).await
    }

    pub(crate) fn advance(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A request with headers, its body JSON unless it is null.
    pub(crate) async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        request = request.header(header::HOST, "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(request.body(body).unwrap()).await
    }

    /// As the first administrator.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: Value) -> Answer {
        self.request(method, path, &[("authorization", BASIC)], body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.admin("GET", path, Value::Null).await
    }

    /// A token of a service account with a role.
    pub(crate) async fn token(&self, role: &str) -> String {
        let name = format!("sa-{role}");
        let account = self.admin("POST", "/api/serviceaccounts", serde_json::json!({"name": name, "role": role})).await;
        let id = account.expect(201)["id"].as_u64().unwrap();
        let token =
            self.admin("POST", &format!("/api/serviceaccounts/{id}/tokens"), serde_json::json!({"name": "t"})).await;
        format!("Bearer {}", token.expect(200)["key"].as_str().unwrap())
    }
}

/// `admin:secret`
pub(crate) const BASIC: &str = "Basic YWRtaW46c2VjcmV0";
