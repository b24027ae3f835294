//! A server in a directory of its own, on a port of its own, and requests to it.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]
#![allow(clippy::disallowed_methods, reason = "tests of a server wait for it")]

use std::path::Path;
use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use foursight_metrics::{Flags, Running, start};
use kit::Shutdown;
use kit::client::{Client, HttpClientConfig, Request, Response};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take on a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Server {
    pub url: String,
    pub dir: TempDir,
    pub client: Client,
    running: Option<Running>,
    stop: Shutdown,
    args: Vec<String>,
}

impl Server {
    /// Starts a server with this `prometheus.yml` and these flags more, and waits until it is ready.
    pub async fn start(config: &str, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let mut all = vec![
            format!("--config.file={}", dir.path().join("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", dir.path().join("data").display()),
            "--web.listen-address=127.0.0.1:0".to_owned(),
            "--web.enable-lifecycle".to_owned(),
            "--web.enable-admin-api".to_owned(),
            "--web.enable-remote-write-receiver".to_owned(),
            "--web.enable-otlp-receiver".to_owned(),
            "--web.remote-write-receiver.accepted-protobuf-messages=prometheus.WriteRequest,io.prometheus.write.v2.Request"
                .to_owned(),
        ];
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        let client = Client::new(&HttpClientConfig::default(), "test").unwrap();
        let mut server = Self { url: String::new(), dir, client, running: None, stop: Shutdown::new(), args: all };
        server.run().await;
        server
    }

    async fn run(&mut self) {
        self.stop = Shutdown::new();
        let flags = Flags::from_args(self.args.clone()).unwrap();
        let running = start(flags, self.stop.clone()).await.unwrap();
        self.url = format!("http://{}", running.addresses[0]);
        self.running = Some(running);
        self.until("the server is ready", async || self.get("/-/ready").await.status == StatusCode::OK).await;
    }

    /// Stops the server as a signal does, and starts it again on the same directory.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.run().await;
    }

    pub async fn stop(&mut self) {
        self.stop.trigger();
        if let Some(running) = self.running.take() {
            running.wait().await;
        }
    }

    pub fn config_file(&self) -> std::path::PathBuf {
        self.dir.path().join("prometheus.yml")
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub async fn send(&self, request: Request) -> Response {
        self.client.send(request.timeout(PATIENCE)).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Response {
        self.send(Request::get(format!("{}{path}", self.url))).await
    }

    pub async fn post(&self, path: &str, body: impl Into<bytes::Bytes>) -> Response {
        self.send(Request::post(format!("{}{path}", self.url), "application/x-www-form-urlencoded", body)).await
    }

    pub async fn method(&self, method: Method, path: &str) -> Response {
        let mut request = Request::get(format!("{}{path}", self.url));
        request.method = method;
        self.send(request).await
    }

    /// The data of a successful answer.
    pub async fn data(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(body["status"], "success", "{path}: {body}");
        body["data"].clone()
    }

    /// Status, kind and text of an error.
    pub async fn error(&self, path: &str) -> (u16, String, String) {
        error_of(&self.get(path).await)
    }

    /// The result of an instant query.
    pub async fn query(&self, query: &str) -> Value {
        self.data(&format!("/api/v1/query?query={}", escape(query))).await["result"].clone()
    }

    /// The value of an instant query that has one series, or none.
    pub async fn value(&self, query: &str) -> Option<f64> {
        let result = self.query(query).await;
        result.get(0)?["value"][1].as_str()?.parse().ok()
    }

    /// Waits until `done` says so.
    pub async fn until(&self, what: &str, mut done: impl AsyncFnMut() -> bool) {
        let begun = Instant::now();
        while !done().await {
            assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a body to `/api/v1/write`.
    pub async fn write(&self, content_type: &'static str, body: Vec<u8>) -> Response {
        let request = Request::post(format!("{}/api/v1/write", self.url), content_type, body)
            .header(HeaderName::from_static("content-encoding"), HeaderValue::from_static("snappy"));
        self.send(request).await
    }

    /// Writes samples of one series by remote write.
    pub async fn write_samples(&self, labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Response {
        let mut request = wire::remote_write::RequestWriter::new();
        request.series(labels.iter().copied(), |values| samples.iter().for_each(|(t, v)| values.sample(*t, *v)));
        self.write("application/x-protobuf", wire::compress::snappy_encode(&request.finish())).await
    }

    /// That a sample gets in and can be asked for: whatever happened before has done no harm.
    pub async fn assert_unharmed(&self, mark: &str) {
        let now = kit::time::now_ms();
        let answer = self.write_samples(&[("__name__", "unharmed"), ("mark", mark)], &[(now, 1.0)]).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{mark}: {}", answer.excerpt());
        assert_eq!(self.value(&format!("unharmed{{mark={mark:?}}}")).await, Some(1.0), "{mark}");
    }
}

pub fn error_of(answer: &Response) -> (u16, String, String) {
    let body: Value = serde_json::from_slice(&answer.body)
        .unwrap_or_else(|_| panic!("no JSON: {} {}", answer.status, answer.excerpt()));
    assert_eq!(body["status"], "error", "{body}");
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), text("errorType"), text("error"))
}

pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// A target that answers every request with what it is told to, on a port of its own.
pub struct Target {
    pub address: std::net::SocketAddr,
    page: std::sync::Arc<parking_lot::Mutex<Page>>,
    stop: Shutdown,
}

#[derive(Clone, Default)]
pub struct Page {
    pub status: u16,
    pub content_type: String,
    pub body: Vec<u8>,
    pub asked: Vec<axum::http::HeaderMap>,
    pub received: Vec<bytes::Bytes>,
}

impl Target {
    pub async fn start(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let page = std::sync::Arc::new(parking_lot::Mutex::new(Page {
            status: 200,
            content_type: content_type.to_owned(),
            body: body.into(),
            ..Page::default()
        }));
        let shared = page.clone();
        let router = axum::Router::new().fallback(async move |headers: axum::http::HeaderMap, body: bytes::Bytes| {
            let mut page = shared.lock();
            page.asked.push(headers);
            page.received.push(body);
            let mut response = axum::http::Response::new(axum::body::Body::from(page.body.clone()));
            *response.status_mut() = StatusCode::from_u16(page.status).unwrap();
            if let Ok(value) = HeaderValue::from_str(&page.content_type) {
                response.headers_mut().insert("content-type", value);
            }
            response
        });
        let listener = kit::http::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Shutdown::new();
        let serving = stop.clone();
        tokio::spawn(async move {
            let _ = kit::http::serve(vec![listener], router, kit::http::ServeOptions::default(), serving).await;
        });
        Self { address, page, stop }
    }

    pub fn set(&self, body: impl Into<Vec<u8>>) {
        self.page.lock().body = body.into();
    }

    pub fn set_status(&self, status: u16) {
        self.page.lock().status = status;
    }

    /// Bodies of the requests so far.
    pub fn received(&self) -> Vec<bytes::Bytes> {
        self.page.lock().received.clone()
    }

    pub fn forget(&self) {
        self.page.lock().received.clear();
    }

    /// From now on answers with another status; what came before is forgotten.
    pub fn forget_and_answer(&self, status: u16) {
        let mut page = self.page.lock();
        page.status = status;
        page.received.clear();
    }

    pub fn asked(&self) -> Vec<axum::http::HeaderMap> {
        self.page.lock().asked.clone()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.stop.trigger();
    }
}
