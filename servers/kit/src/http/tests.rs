use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::routing::{get, post};

use super::*;
use crate::client::{Client, HttpClientConfig, Request as ClientRequest};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");

struct Running {
    address: String,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<Result<(), WebConfigError>>,
}

async fn start(router: Router, options: ServeOptions) -> Running {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let shutdown = Shutdown::new();
    let task = tokio::spawn(serve(vec![listener], router, options, shutdown.clone()));
    Running { address, shutdown, task }
}

fn client(settings: &HttpClientConfig) -> Client {
    Client::new(settings, "test/1").unwrap()
}

fn web_config(dir: &tempfile::TempDir, text: &str) -> ServeOptions {
    let file = dir.path().join("web.yml");
    std::fs::write(&file, text).unwrap();
    ServeOptions { web_config: Some(file), ..ServeOptions::default() }
}

#[tokio::test]
async fn answers_compressed_counts_and_survives_panics() {
    let (seen, panics) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (s, p) = (seen.clone(), panics.clone());
    let boom = || async {
        if seen_everything() {
            panic!("boom");
        }
    };
    let router = Router::new()
        .route(
            "/big/{size}",
            get(|axum::extract::Path(size): axum::extract::Path<usize>| async move { "x".repeat(size) }),
        )
        .route("/panic", get(boom));
    let router = instrument(router, move |info| {
        s.fetch_add(1, Ordering::Relaxed);
        p.fetch_add(u64::from(info.panicked), Ordering::Relaxed);
        assert!(["/big/{size}", "/panic"].contains(&info.route));
    });
    let server = start(router, ServeOptions::default()).await;
    let client = client(&HttpClientConfig::default());
    let answer = client.send(ClientRequest::get(format!("http://{}/big/50000", server.address))).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 50_000));
    assert!(answer.wire_bytes < 1000, "{}", answer.wire_bytes);
    let small = client.send(ClientRequest::get(format!("http://{}/big/10", server.address))).await.unwrap();
    assert_eq!(small.wire_bytes, 10);
    let panicked = client.send(ClientRequest::get(format!("http://{}/panic", server.address))).await.unwrap();
    assert_eq!(panicked.status, StatusCode::INTERNAL_SERVER_ERROR);
    let missing = client.send(ClientRequest::get(format!("http://{}/missing", server.address))).await.unwrap();
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!((seen.load(Ordering::Relaxed), panics.load(Ordering::Relaxed)), (3, 1));
    server.shutdown.trigger();
    server.task.await.unwrap().unwrap();
}

fn seen_everything() -> bool {
    true
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    // Listeners of this process set SO_REUSEADDR, which does not let two listen at once.
    let address = listener.local_addr().unwrap().to_string();
    let error = bind(&address).await.unwrap_err().to_string();
    assert_eq!(error, format!("cannot listen on {address}: the address is in use by another process"));
    assert!(bind("127.0.0.1:x").await.is_err());
    assert!(bind(":0").await.is_ok());
}

#[tokio::test]
async fn waits_for_running_requests() {
    let router = Router::new().route(
        "/slow",
        get(|| async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            "done"
        }),
    );
    let server = start(router, ServeOptions::default()).await;
    let client = client(&HttpClientConfig::default());
    let url = format!("http://{}/slow", server.address);
    let request = tokio::spawn(async move { client.send(ClientRequest::get(url)).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.shutdown.trigger();
    assert_eq!(request.await.unwrap().unwrap().body, "done");
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn errors_have_words() {
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/bare", get(|| async { (StatusCode::IM_A_TEAPOT, [("x-kept", "yes")]) }))
        .route("/own", get(|| async { (StatusCode::BAD_REQUEST, "own words") }));
    let server = start(router, ServeOptions::default()).await;
    let client = client(&HttpClientConfig::default());
    let cases = [
        ("/", StatusCode::OK, "hello"),
        ("/none", StatusCode::NOT_FOUND, "404 page not found\n"),
        ("/bare", StatusCode::IM_A_TEAPOT, "I'm a teapot\n"),
        ("/own", StatusCode::BAD_REQUEST, "own words"),
    ];
    for (path, status, body) in cases {
        let answer = client.send(ClientRequest::get(format!("http://{}{path}", server.address))).await.unwrap();
        assert_eq!((answer.status, &*answer.body), (status, body.as_bytes()), "{path}");
        assert_eq!(answer.header("x-kept").is_some(), path == "/bare");
    }
    let post = ClientRequest::post(format!("http://{}/", server.address), "text/plain", Vec::new());
    let answer = client.send(post).await.unwrap();
    assert_eq!((answer.status, &*answer.body), (StatusCode::METHOD_NOT_ALLOWED, b"Method Not Allowed\n".as_slice()));
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
}

#[tokio::test]
async fn passwords_headers_and_rate_limit() {
    let dir = tempfile::tempdir().unwrap();
    let hash = bcrypt::hash("secret", 4).unwrap();
    let text = format!(
        "basic_auth_users: {{alice: '{hash}'}}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}\nrate_limit: {{interval: 1h, burst: 4}}\n"
    );
    let server = start(Router::new().route("/", get(|| async { "hello" })), web_config(&dir, &text)).await;
    let ask = async |user: Option<(&str, &str)>| {
        let settings = HttpClientConfig {
            basic_auth: user.map(|(user, password)| crate::client::BasicAuth {
                username: user.into(),
                password: crate::config::Secret::new(password),
                ..Default::default()
            }),
            ..HttpClientConfig::default()
        };
        client(&settings).send(ClientRequest::get(format!("http://{}/", server.address))).await.unwrap()
    };
    let refused = ask(None).await;
    assert_eq!((refused.status, refused.header(header::WWW_AUTHENTICATE)), (StatusCode::UNAUTHORIZED, Some("Basic")));
    assert_eq!(ask(Some(("alice", "wrong"))).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(Some(("bob", "secret"))).await.status, StatusCode::UNAUTHORIZED);
    let allowed = ask(Some(("alice", "secret"))).await;
    assert_eq!((allowed.status, allowed.header("x-frame-options")), (StatusCode::OK, Some("deny")));
    assert_eq!(ask(Some(("alice", "secret"))).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn tls_with_client_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "tls_server_config:\n  cert_file: {FIXTURES}/server.pem\n  key_file: {FIXTURES}/server.key\n  client_ca_file: {FIXTURES}/ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [agent.example]\n  min_version: TLS12\n"
    );
    let server = start(Router::new().route("/", get(|| async { "hello" })), web_config(&dir, &text)).await;
    let url = format!("https://{}/", server.address);
    let tls = |ca: bool, cert: bool| {
        let file = |name: &str| Some(std::path::Path::new(FIXTURES).join(name));
        let mut settings = HttpClientConfig::default();
        settings.tls_config.ca_file = if ca { file("ca.pem") } else { None };
        if cert {
            settings.tls_config.cert_file = file("client.pem");
            settings.tls_config.key_file = file("client.key");
        }
        settings
    };
    for http2 in [true, false] {
        let mut settings = tls(true, true);
        settings.enable_http2 = http2;
        assert_eq!(client(&settings).send(ClientRequest::get(&url)).await.unwrap().body, "hello");
    }
    let mut insecure = tls(false, true);
    insecure.tls_config.insecure_skip_verify = true;
    assert_eq!(client(&insecure).send(ClientRequest::get(&url)).await.unwrap().status, StatusCode::OK);
    let unknown_ca = client(&tls(false, true)).send(ClientRequest::get(&url)).await.unwrap_err();
    assert!(unknown_ca.to_string().contains("certificate"), "{unknown_ca}");
    assert!(client(&tls(true, false)).send(ClientRequest::get(&url)).await.is_err());
}

#[test]
fn refuses_broken_web_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        ("tls_server_config: {cert_file: x}", "x: No such file"),
        ("tls_server_config: {}", "missing cert_file"),
        ("nope: 1", "nope"),
        ("basic_auth_users: {a: plain}", "no bcrypt hash"),
        ("http_server_config: {headers: {X-Nope: a}}", "can not be configured"),
        ("tls_server_config: {client_auth_type: Whatever}", "Whatever"),
    ];
    for (text, want) in cases {
        let file = web_config(&dir, text).web_config.unwrap();
        let error = WebConfig::load(&file).unwrap_err().to_string();
        assert!(error.contains(want), "{text}: {error}");
    }
}

#[tokio::test]
async fn bodies_are_limited_on_both_sides() {
    let text = "a".repeat(10_000);
    let limits = BodyLimits { wire: 5000, decompressed: 10_000, timeout: Duration::from_secs(5) };
    let read = async |encoding: &str, body: Vec<u8>| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_str(encoding).unwrap());
        read_body(&headers, Body::from(body), &limits).await
    };
    let gzip = wire::compress::gzip_encode(text.as_bytes());
    assert_eq!(read("gzip", gzip.clone()).await.unwrap(), text);
    assert_eq!(read("snappy", wire::compress::snappy_encode(text.as_bytes())).await.unwrap(), text);
    let bomb = wire::compress::gzip_encode(&vec![0; 10_001]);
    assert_eq!(read("gzip", bomb).await.unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(read("identity", vec![0; 5001]).await.unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(read("br", gzip.clone()).await.unwrap_err().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(read("snappy", gzip).await.unwrap_err().status(), StatusCode::BAD_REQUEST);

    let router = Router::new().route(
        "/",
        post(async |headers: HeaderMap, body: Body| {
            let limits = BodyLimits { wire: 100, ..BodyLimits::default() };
            match read_body(&headers, body, &limits).await {
                Ok(bytes) => text_answer(bytes.len()),
                Err(error) => super::text(error.status(), error.to_string()),
            }
        }),
    );
    let server = start(router, ServeOptions::default()).await;
    let client = client(&HttpClientConfig::default());
    for (len, want) in [(100, StatusCode::OK), (101, StatusCode::PAYLOAD_TOO_LARGE)] {
        let url = format!("http://{}/", server.address);
        let answer = client.send(ClientRequest::post(url, "text/plain", vec![b'x'; len])).await.unwrap();
        assert_eq!(answer.status, want);
    }
}

fn text_answer(len: usize) -> Response<Body> {
    text(StatusCode::OK, len.to_string())
}

#[test]
fn cors_follows_prometheus() {
    let mut request = HeaderMap::new();
    request.insert(header::ORIGIN, HeaderValue::from_static("https://a.example"));
    for (pattern, want) in [(".*", Some("*")), ("https://a\\.example", Some("https://a.example")), ("https://b", None)]
    {
        let mut answer = HeaderMap::new();
        Cors::new(pattern).unwrap().apply(&request, &mut answer);
        assert_eq!(answer.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|v| v.to_str().unwrap()), want, "{pattern}");
    }
    assert!(Cors::new("(").is_err());
}
