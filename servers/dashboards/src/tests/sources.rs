//! Data sources: provisioning, the API, the proxy and queries, against a fake Prometheus and Loki.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State, WebSocketUpgrade, ws};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{BASIC, Harness};

/// What the upstream was asked: method, path and query, headers, body.
type Seen = Arc<Mutex<Vec<(String, String, HashMap<String, String>, String)>>>;

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Seen,
    _server: tokio::task::JoinHandle<()>,
}

async fn answer(State(seen): State<Seen>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let headers = parts.headers.iter().map(|(k, v)| (k.to_string(), v.to_str().unwrap_or("?").to_owned())).collect();
    let body = String::from_utf8_lossy(&body).into_owned();
    let target = parts.uri.path_and_query().map_or(String::new(), ToString::to_string);
    seen.lock().push((parts.method.to_string(), target.clone(), headers, body.clone()));
    let path = parts.uri.path();
    let vector = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a"},"value":[1,"1"]}]}}"#;
    let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"job":"a"},"values":[[1,"1"],[2,"NaN"]]}]}}"#;
    let streams = r#"{"status":"success","data":{"resultType":"streams","result":[{"stream":{"job":"a"},"values":[["1000000","line"]]}]}}"#;
    match path.trim_start_matches("/base") {
        "/api/v1/query" if body.contains("bad") => {
            (StatusCode::BAD_REQUEST, r#"{"status":"error","errorType":"bad_data","error":"parse error: bad"}"#)
                .into_response()
        }
        "/api/v1/query" => vector.into_response(),
        "/api/v1/query_range" => matrix.into_response(),
        "/loki/api/v1/query" => vector.into_response(),
        "/loki/api/v1/query_range" if target.contains("broken") => {
            (StatusCode::BAD_REQUEST, "parse error at line 1").into_response()
        }
        "/loki/api/v1/query_range" => streams.into_response(),
        "/api/v1/redirect" => (StatusCode::FOUND, [("location", "http://169.254.169.254/")]).into_response(),
        "/api/v1/denied" => StatusCode::UNAUTHORIZED.into_response(),
        "/api/v1/page" => {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                ("set-cookie", "a=b"),
                ("connection", "x-private"),
                ("x-private", "1"),
                ("content-type", "text/html"),
                ("x-kept", "1"),
            ] {
                headers.insert(axum::http::HeaderName::from_static(name), value.parse().unwrap());
            }
            (headers, "<script>alert(1)</script>").into_response()
        }
        _ => (StatusCode::NOT_FOUND, "nothing here").into_response(),
    }
}

async fn tail(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket: ws::WebSocket| async move {
        let _ = socket.send(ws::Message::Text("hello".into())).await;
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let seen = Seen::default();
        let router = Router::new().route("/loki/api/v1/tail", any(tail)).fallback(answer).with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, seen, _server: server }
    }

    fn last(&self) -> (String, String, HashMap<String, String>, String) {
        self.seen.lock().last().cloned().expect("it was asked")
    }
}

async fn harness(upstream: &Upstream) -> Harness {
    let url = format!("http://{}", upstream.address);
    let yaml = format!(
        "apiVersion: 1\ndatasources:\n\
         - {{name: Metrics, uid: metrics, type: prometheus, url: '{url}/base/', isDefault: true, basicAuth: true, basicAuthUser: me,\n\
         \x20  secureJsonData: {{basicAuthPassword: hush, httpHeaderValue1: tenant-1}}, jsonData: {{httpMethod: POST, timeInterval: 15s, httpHeaderName1: X-Scope-OrgID}}}}\n\
         - {{name: Logs, uid: logs, type: loki, url: '{url}', editable: true, jsonData: {{maxLines: 50}}}}\n\
         - {{name: Away, type: prometheus, url: 'http://127.0.0.1:1'}}\n"
    );
    Harness::with("", |dir| {
        let folder = dir.join("provisioning/datasources");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.yaml"), yaml).unwrap();
        std::fs::write(
            folder.join("b.yaml"),
            "apiVersion: 1\ndatasources:\n  - name: Broken\n    type: loki\n    url: nowhere\n",
        )
        .unwrap();
    })
    .await
}

#[tokio::test]
async fn provisioned_sources_are_there_without_their_secrets() {
    let upstream = Upstream::start().await;
    let harness = harness(&upstream).await;
    let list = harness.get("/api/datasources").await;
    assert!(!list.text().contains("hush") && !list.text().contains("tenant-1"));
    let list = list.json();
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Away", "Logs", "Metrics"], "the broken one is left out, the rest goes on");
    let one = harness.get("/api/datasources/uid/metrics").await;
    assert!(!one.text().contains("hush"));
    let one = one.json();
    assert_eq!(one["secureJsonFields"], json!({"basicAuthPassword": true, "httpHeaderValue1": true}));
    assert_eq!((one["readOnly"].as_bool(), one["basicAuthUser"].as_str()), (Some(true), Some("me")));
    let viewer = harness.token("Viewer").await;
    let seen = harness
        .request("GET", "/api/datasources/uid/metrics", &[("authorization", &viewer)], Value::Null)
        .await
        .expect(200);
    assert_eq!((seen["url"].as_str(), seen["basicAuthUser"].as_str()), (Some(""), Some("")));

    harness.admin("DELETE", "/api/datasources/uid/metrics", Value::Null).await.expect(403);
    harness
        .admin("PUT", "/api/datasources/uid/metrics", json!({"name": "x", "type": "loki", "url": "http://x"}))
        .await
        .expect(403);
    let new = json!({"name": "New", "type": "loki", "url": "http://127.0.0.1:1", "isDefault": true, "secureJsonData": {"basicAuthPassword": "p1"}});
    let made = harness.admin("POST", "/api/datasources", new.clone()).await.expect(200);
    let uid = made["datasource"]["uid"].as_str().unwrap().to_owned();
    harness.admin("POST", "/api/datasources", new).await.expect(409);
    for bad in [
        json!({"name": "", "type": "loki", "url": "http://x"}),
        json!({"name": "y", "type": "loki", "url": "file:///etc/passwd"}),
        json!({"name": "y", "type": "prometheus"}),
    ] {
        harness.admin("POST", "/api/datasources", bad.clone()).await.expect(400);
    }
    let change = json!({"name": "Newer", "type": "loki", "url": "http://127.0.0.1:2", "version": 1});
    harness.admin("PUT", &format!("/api/datasources/uid/{uid}"), change.clone()).await.expect(200);
    harness.admin("PUT", &format!("/api/datasources/uid/{uid}"), change).await.expect(409);
    assert_eq!(
        harness.app.datasources.by_uid(&uid).unwrap().secrets.get("basicAuthPassword"),
        Some("p1"),
        "secrets not given stay"
    );

    let harness = harness.restart("").await;
    assert!(harness.get("/api/datasources/uid/metrics").await.json()["isDefault"].as_bool().unwrap());
    assert_eq!(
        harness.get("/api/datasources/name/Newer").await.json()["isDefault"],
        false,
        "the file says which is the default"
    );
    harness.admin("DELETE", &format!("/api/datasources/uid/{uid}"), Value::Null).await.expect(200);
    harness.get(&format!("/api/datasources/uid/{uid}")).await.expect(404);
}

#[tokio::test]
async fn the_proxy_asks_as_configured_and_passes_on_what_is_safe() {
    let upstream = Upstream::start().await;
    let harness = harness(&upstream).await;
    let headers = [
        ("authorization", BASIC),
        ("cookie", "grafana_session=secret"),
        ("x-scope-orgid", "other"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-forwarded-for", "1.2.3.4"),
    ];
    let answer = harness
        .request("POST", "/api/datasources/proxy/uid/metrics/api/v1/query?x=%2F", &headers, json!("query=up"))
        .await;
    assert_eq!(answer.expect(200)["data"]["resultType"], "vector");
    let (method, target, seen, body) = upstream.last();
    assert_eq!((method.as_str(), target.as_str(), body.as_str()), ("POST", "/base/api/v1/query?x=%2F", "\"query=up\""));
    assert_eq!(seen["authorization"], "Basic bWU6aHVzaA==");
    assert_eq!(seen["x-scope-orgid"], "tenant-1");
    assert_eq!(seen["content-type"], "application/x-www-form-urlencoded");
    assert!(!seen.contains_key("cookie") && !seen.contains_key("x-forwarded-for"));

    let page = harness.get("/api/datasources/proxy/uid/metrics/api/v1/page").await;
    assert_eq!(
        (
            page.header("content-security-policy"),
            page.header("x-kept"),
            page.header("x-private"),
            page.header("set-cookie")
        ),
        ("sandbox", "1", "", "")
    );
    for (path, want) in [
        ("api/v1/redirect", 502),
        ("api/v1/denied", 400),
        ("api/v1/nothing", 404),
        ("api/v1/admin/tsdb/snapshot", 403),
        ("api/v1/%2e%2e/%2e%2e/secret", 400),
        ("..%2f..%2fsecret", 400),
    ] {
        let answer = harness.get(&format!("/api/datasources/proxy/uid/metrics/{path}")).await;
        assert_eq!(answer.status.as_u16(), want, "{path}: {}", answer.text());
    }
    assert_eq!(harness.get("/api/datasources/proxy/uid/nope/api/v1/query").await.status.as_u16(), 404);
    let away = harness.app.datasources.by_name("Away").unwrap().uid;
    let refused = harness.get(&format!("/api/datasources/proxy/uid/{away}/api/v1/query")).await.expect(502);
    assert!(refused["message"].as_str().unwrap().starts_with("data source Away: "), "{refused}");
    harness.admin("DELETE", "/api/datasources/proxy/uid/metrics/api/v1/series", Value::Null).await.expect(403);
    harness.admin("POST", "/api/datasources/proxy/uid/logs/loki/api/v1/push", json!({})).await.expect(403);
    let labels = harness.get("/api/datasources/uid/logs/resources/labels").await;
    assert_eq!(labels.status.as_u16(), 404);
    assert_eq!(upstream.last().1, "/loki/api/v1/labels");
}

#[tokio::test]
async fn websockets_are_joined() {
    let upstream = Upstream::start().await;
    let harness = harness(&upstream).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (router, shutdown) = (harness.router.clone(), harness.app.shutdown.clone());
    let server =
        tokio::spawn(kit::http::serve(vec![listener], router, kit::http::ServeOptions::default(), shutdown.clone()));
    let connect = |origin: &'static str| async move {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /api/datasources/proxy/uid/logs/loki/api/v1/tail?query=%7B%7D HTTP/1.1\r\nHost: {address}\r\nAuthorization: {BASIC}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{origin}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        (stream, String::from_utf8(head).unwrap())
    };
    let (mut stream, head) = connect("").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    let mut frame = [0; 7];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\x81\x05hello");
    // A masked text frame "hi" comes back as it is.
    stream.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await.unwrap();
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"\x81\x02hi");
    shutdown.trigger();
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0, "the stop of the server ends it");
    assert!(shutdown.join(std::time::Duration::from_secs(5)).await);
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn another_sites_websocket_is_refused() {
    let upstream = Upstream::start().await;
    let harness = harness(&upstream).await;
    let login = harness.request("POST", "/login", &[], json!({"user": "admin", "password": "secret"})).await.cookie();
    let path = "/api/datasources/proxy/uid/logs/loki/api/v1/tail?query=x";
    let headers = [
        ("cookie", login.as_str()),
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("origin", "http://evil.test"),
    ];
    assert_eq!(harness.request("GET", path, &headers, Value::Null).await.status.as_u16(), 403);
}

#[tokio::test]
async fn queries_give_frames() {
    let upstream = Upstream::start().await;
    let harness = harness(&upstream).await;
    let ask = |queries: Value| {
        let harness = &harness;
        async move {
            harness.admin("POST", "/api/ds/query", json!({"queries": queries, "from": "now-1h", "to": "now"})).await
        }
    };
    let answer = ask(json!([
        {"refId": "A", "datasource": {"uid": "metrics"}, "expr": "up", "instant": true},
        {"refId": "B", "expr": "rate(x[$__rate_interval])", "range": true, "intervalMs": 1000},
        {"refId": "C", "datasource": {"uid": "logs"}, "expr": "{job=\"a\"}", "queryType": "range"},
    ]))
    .await
    .expect(200);
    assert_eq!(answer["results"]["A"]["frames"][0]["schema"]["meta"]["type"], "numeric-multi");
    assert_eq!(answer["results"]["B"]["frames"][0]["data"]["values"], json!([[1000, 2000], [1.0, null]]));
    assert_eq!(answer["results"]["C"]["frames"][0]["data"]["values"][2], json!(["line"]));
    let asked = upstream.seen.lock().clone();
    let form =
        &asked.iter().find(|(_, target, ..)| target.contains("query_range") && !target.contains("loki")).unwrap().3;
    assert!(
        form.contains("query=rate%28x%5B1m%5D%29") && form.contains("step=15.000"),
        "the source's shortest step counts: {form}"
    );
    assert!(asked.iter().any(|(_, target, ..)| target.contains("limit=50")), "the source's own limit of lines");

    let partly =
        ask(json!([{"refId": "A", "expr": "bad", "instant": true}, {"refId": "B", "expr": "up", "instant": true}]))
            .await
            .expect(207);
    assert_eq!(partly["results"]["A"]["error"], "data source Metrics: parse error: bad");
    assert_eq!(partly["results"]["A"]["status"], 400);
    let all = ask(json!([{"refId": "A", "datasource": {"uid": "logs"}, "expr": "{broken"}])).await.expect(400);
    assert_eq!(all["results"]["A"]["error"], "data source Logs: parse error at line 1");
    ask(json!([])).await.expect(400);
    ask(json!([{"refId": "A", "datasource": {"uid": "nope"}, "expr": "x"}])).await.expect(400);
    for (uid, status) in [("metrics", 200), ("logs", 200)] {
        let health = harness.get(&format!("/api/datasources/uid/{uid}/health")).await.expect(status);
        assert_eq!(health["status"], "OK");
    }
    let away = harness.app.datasources.by_name("Away").unwrap().uid;
    assert_eq!(harness.get(&format!("/api/datasources/uid/{away}/health")).await.expect(400)["status"], "ERROR");
    let hosts = harness.get("/api/foursight/hosts").await.expect(200);
    let names: Vec<&str> =
        hosts["hosts"].as_array().unwrap().iter().map(|host| host["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["web", "metrics", "logs", "dashboards"]);
    assert_eq!((hosts["hosts"][1]["up"].as_bool(), hosts["hosts"][0]["up"].as_bool()), (Some(true), Some(false)));
    assert_eq!(hosts["hosts"][1]["detail"]["series"], 1.0);
}
