use std::sync::Mutex;

use axum::Router;
use axum::extract::Request as Incoming;
use axum::response::IntoResponse;
use axum::routing::any;
use serde_json::json;

use super::*;
use crate::Shutdown;
use crate::http::{ServeOptions, bind, serve};

/// Notes each request as `METHOD /path authorization body` and answers by its path.
async fn peer() -> (String, Arc<Mutex<Vec<String>>>, Shutdown) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let handler = move |request: Incoming| {
        let log = log.clone();
        async move {
            let (parts, body) = request.into_parts();
            let auth = parts.headers.get(header::AUTHORIZATION).map_or("-", |v| v.to_str().unwrap()).to_owned();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let path = parts.uri.to_string();
            log.lock().unwrap().push(format!("{} {path} {auth} {}", parts.method, String::from_utf8_lossy(&body)));
            let redirect = |code: u16, to: &str| {
                (StatusCode::from_u16(code).unwrap(), [(header::LOCATION, to.to_owned())]).into_response()
            };
            match parts.uri.path() {
                "/302" => redirect(302, "/end"),
                "/307" => redirect(307, "end"),
                "/loop" => redirect(301, "/loop"),
                "/token" => axum::Json(json!({"access_token": "t0k", "expires_in": 3600})).into_response(),
                "/slow" => {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    "late".into_response()
                }
                "/big" => "x".repeat(100_000).into_response(),
                "/agent" => {
                    let agents: Vec<_> = parts.headers.get_all(header::USER_AGENT).iter().collect();
                    format!("{agents:?}").into_response()
                }
                _ => format!("{:?}", parts.headers.get("x-extra")).into_response(),
            }
        }
    };
    let listener = bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = Shutdown::new();
    let router = Router::new().fallback(any(handler));
    tokio::spawn(serve(vec![listener], router, ServeOptions::default(), shutdown.clone()));
    (base, seen, shutdown)
}

fn settings(yaml: &str) -> HttpClientConfig {
    crate::config::parse(Path::new("client.yml"), yaml).unwrap()
}

#[tokio::test]
async fn sends_what_the_settings_say() {
    let (base, seen, _shutdown) = peer().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "from-file\n").unwrap();
    let oauth = format!("oauth2: {{client_id: me, client_secret: s, token_url: '{base}/token', scopes: [a, b]}}");
    let cases = [
        ("{}".to_owned(), "GET / - "),
        ("basic_auth: {username: u, password: p}".to_owned(), "GET / Basic dTpw "),
        ("authorization: {credentials: c}".to_owned(), "GET / Bearer c "),
        (format!("authorization: {{type: Token, credentials_file: {}}}", file.display()), "GET / Token from-file "),
        ("bearer_token: b".to_owned(), "GET / Bearer b "),
        (oauth, "GET / Bearer t0k "),
    ];
    for (yaml, want) in cases {
        let client = Client::new(&settings(&yaml), "test").unwrap();
        client.send(Request::get(format!("{base}/"))).await.unwrap();
        assert_eq!(seen.lock().unwrap().last().unwrap(), want, "{yaml}");
    }
    let token = seen.lock().unwrap().iter().find(|line| line.contains("/token")).cloned().unwrap();
    assert_eq!(token, "POST /token Basic bWU6cw== grant_type=client_credentials&scope=a%20b");

    let client = Client::new(&settings("http_headers: {X-Extra: {values: [one], secrets: [two]}}"), "test").unwrap();
    let answer = client.send(Request::get(format!("{base}/"))).await.unwrap();
    assert_eq!(answer.body, "Some(\"one\")");
    let own = Request::get(format!("{base}/agent")).header(header::USER_AGENT, HeaderValue::from_static("own"));
    assert_eq!(client.send(own).await.unwrap().body, "[\"own\"]");
    assert_eq!(client.send(Request::get(format!("{base}/agent"))).await.unwrap().body, "[\"test\"]");
    let with_user = base.replace("http://", "http://kim:pass%20word@");
    Client::new(&settings("{}"), "test").unwrap().send(Request::get(format!("{with_user}/"))).await.unwrap();
    assert_eq!(seen.lock().unwrap().last().unwrap(), "GET / Basic a2ltOnBhc3Mgd29yZA== ");
}

#[tokio::test]
async fn follows_redirects_within_reason() {
    let (base, seen, _shutdown) = peer().await;
    let client = Client::new(&settings("bearer_token: b"), "test").unwrap();
    for path in ["302", "307"] {
        client.send(Request::post(format!("{base}/{path}"), "text/plain", "body")).await.unwrap();
    }
    assert_eq!(
        *seen.lock().unwrap(),
        ["POST /302 Bearer b body", "GET /end Bearer b ", "POST /307 Bearer b body", "POST /end Bearer b body"]
    );
    let error = client.send(Request::get(format!("{base}/loop"))).await.unwrap_err();
    assert!(error.to_string().contains("stopped after 10 redirects"), "{error}");
    let stay = Client::new(&settings("follow_redirects: false"), "test").unwrap();
    assert_eq!(stay.send(Request::get(format!("{base}/302"))).await.unwrap().status, StatusCode::FOUND);
}

#[tokio::test]
async fn fails_clearly() {
    let (base, _seen, _shutdown) = peer().await;
    let client = Client::new(&HttpClientConfig::default(), "test").unwrap();
    let late = Request::get(format!("{base}/slow")).timeout(Duration::from_millis(50));
    assert_eq!(
        client.send(late).await.unwrap_err().to_string(),
        format!("Get \"{base}/slow\": context deadline exceeded")
    );
    let mut big = Request::get(format!("{base}/big"));
    big.max_body = 1000;
    assert!(matches!(client.send(big).await, Err(ClientError::TooLarge(1000))));
    let closed = bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = client.send(Request::get(format!("http://u:secret@{closed}/"))).await.unwrap_err().to_string();
    assert_eq!(refused, format!("Get \"http://u:xxxxx@{closed}/\": dial tcp {closed}: connect: connection refused"));
    for url in ["ftp://x/", "/path", "http://"] {
        assert!(matches!(client.send(Request::get(url)).await, Err(ClientError::Url { .. })), "{url}");
    }
}

#[tokio::test]
async fn goes_through_a_proxy() {
    let (base, seen, _shutdown) = peer().await;
    let client = Client::new(&settings(&format!("proxy_url: {base}")), "test").unwrap();
    client.send(Request::get("http://target.example/path")).await.unwrap();
    assert_eq!(seen.lock().unwrap().last().unwrap(), "GET http://target.example/path - ");
}

#[test]
fn settings_exclude_each_other_as_upstream_says() {
    let cases = [
        ("{bearer_token: a, bearer_token_file: b}", "at most one of bearer_token & bearer_token_file"),
        ("{bearer_token: a, basic_auth: {}}", "at most one of basic_auth, oauth2, bearer_token"),
        ("{basic_auth: {password: a, password_file: b}}", "basic_auth password & password_file"),
        ("{authorization: {type: Basic}}", "authorization type cannot be set to \"basic\""),
        ("{authorization: {credentials: a, credentials_file: b}}", "authorization credentials & credentials_file"),
        ("{authorization: {}, basic_auth: {}}", "at most one of basic_auth, oauth2 & authorization"),
        ("{oauth2: {client_id: a}}", "oauth2 token_url must be configured"),
        ("{tls_config: {cert_file: a}}", "exactly one of key or key_file"),
        ("{tls_config: {ca: a, ca_file: b}}", "at most one of ca and ca_file"),
        ("{proxy_from_environment: true, proxy_url: 'http://x'}", "proxy_url must not be configured"),
        ("{no_proxy: x}", "if no_proxy is configured"),
        ("{http_headers: {Authorization: {values: [x]}}}", "setting header \"Authorization\" is not allowed"),
    ];
    for (yaml, want) in cases {
        let error = settings(yaml).validate().unwrap_err();
        assert!(error.contains(want), "{yaml}: {error}");
    }
    assert_eq!(HttpClientConfig::default().validate(), Ok(()));
}

#[test]
fn secrets_do_not_leave_the_settings() {
    let config = settings("basic_auth: {username: u, password: hunter2}");
    let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
    assert!(shown.contains("<secret>") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn urls() {
    let cases = [
        ("http://a/x/y?q", "z", "http://a/x/z"),
        ("http://a/x/y", "/z", "http://a/z"),
        ("http://a", "z", "http://a/z"),
        ("https://a/x", "//b/c", "https://b/c"),
        ("https://a/x", "http://b/c", "http://b/c"),
    ];
    for (base, location, want) in cases {
        assert_eq!(resolve(base, location), want);
    }
    assert_eq!(without_credentials("http://u:p@h/x@y"), "http://u:xxxxx@h/x@y");
    assert_eq!(without_credentials("http://h/x@y"), "http://h/x@y");
}
