//! Rules: set over the API, evaluated over what is pushed, alerts sent to an Alertmanager, samples to a metrics server.

mod support;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::routing::post;
use kit::client::Request;
use support::{Server, now_ns};

type Received = Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>;

/// A peer that remembers what it gets; returns its URL.
async fn peer(received: Received) -> String {
    let take = |path: &'static str| {
        post(async move |State(received): State<Received>, headers: HeaderMap, body: Bytes| {
            received.lock().unwrap().push((path.to_owned(), headers, body));
        })
    };
    let routes = Router::new().route("/api/v2/alerts", take("alerts")).route("/api/v1/write", take("write"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes.with_state(received)).await });
    url
}

const GROUP: &str = "name: g\nrules:\n- record: lines:count\n  expr: sum(count_over_time({job=\"a\"}[1h]))\n- alert: Errors\n  expr: sum by (job) (count_over_time({job=\"a\"} |= \"error\" [1h])) > 0\n  labels: {severity: page}\n  annotations: {summary: '{{ $labels.job }} has {{ $value }}'}\n";

#[tokio::test(flavor = "multi_thread")]
async fn rules_write_samples_and_send_alerts() {
    let received = Received::default();
    let url = peer(received.clone()).await;
    let dir = tempfile::tempdir().unwrap();
    let yaml = format!(
        "ruler:\n  alertmanager_url: {url}\n  evaluation_interval: 1s\n  external_url: http://grafana\n  datasource_uid: logs\n  remote_write:\n    enabled: true\n    clients: {{metrics: {{url: '{url}/api/v1/write'}}}}\nlimits_config: {{ruler_max_rules_per_rule_group: 2, ruler_max_rule_groups_per_tenant: 1}}\n"
    );
    let server = Server::start(dir.path(), &yaml).await;
    assert_eq!(server.push(r#"{"job":"a"}"#, &[(now_ns(), "an error"), (now_ns(), "fine")]).await.status, 204);

    assert_eq!(server.get("/loki/api/v1/rules").await.status, 404);
    for (body, want) in [
        ("nme: g\n", "unable to decode rule group"),
        ("name: g\nrules: [{record: a, expr: 'sum('}]\n", "could not parse expression"),
        (
            "name: g\nrules: [{record: a, expr: '1'}, {record: b, expr: '1'}, {record: c, expr: '1'}]\n",
            "rules per rule group limit (limit: 2 actual: 3)",
        ),
    ] {
        let answer = server.post("/loki/api/v1/rules/ns", "application/yaml", body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.excerpt().contains(want), "{}", answer.excerpt());
    }
    assert_eq!(server.post("/loki/api/v1/rules/ns", "application/yaml", GROUP).await.status, 202);
    let answer =
        server.post("/loki/api/v1/rules/ns", "application/yaml", "name: h\nrules: [{record: a, expr: '1'}]\n").await;
    assert!(answer.excerpt().contains("rule groups limit (limit: 1 actual: 2)"), "{}", answer.excerpt());
    let listed = server.get("/api/prom/rules").await;
    assert!(
        String::from_utf8_lossy(&listed.body).starts_with("ns:\n- name: g\n"),
        "{}",
        String::from_utf8_lossy(&listed.body)
    );
    assert_eq!(server.get("/loki/api/v1/rules/ns/g").await.status, 200);
    assert_eq!(server.get("/loki/api/v1/rules/ns/x").await.excerpt(), "group does not exist");

    let firing = |a: &kit::client::Response| String::from_utf8_lossy(&a.body).contains("\"state\":\"firing\"");
    server.wait_for("/prometheus/api/v1/alerts", firing).await;
    let states = server.get_json("/prometheus/api/v1/rules?type=alert").await;
    assert_eq!(states["data"]["groups"][0]["rules"][0]["name"], "Errors");
    assert_eq!(states["data"]["groups"][0]["rules"].as_array().unwrap().len(), 1);

    let find = async |path: &str| {
        for _ in 0..600 {
            let found = received.lock().unwrap().iter().find(|(p, _, _)| p == path).cloned();
            if let Some(found) = found {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("nothing came to {path}");
    };
    let (_, _, alerts) = find("alerts").await;
    let alerts: serde_json::Value = serde_json::from_slice(&alerts).unwrap();
    assert_eq!(alerts[0]["labels"], serde_json::json!({"alertname": "Errors", "job": "a", "severity": "page"}));
    assert_eq!(alerts[0]["annotations"]["summary"], "a has 1");
    assert!(alerts[0]["generatorURL"].as_str().unwrap().starts_with("http://grafana/explore?left="), "{alerts}");
    let (_, headers, body) = find("write").await;
    assert_eq!(headers.get("x-scope-orgid"), Some(&HeaderValue::from_static("fake")));
    let message = wire::compress::snappy_decode(&body, 1 << 20).unwrap();
    let limits = wire::remote_write::Limits::default();
    let mut request = wire::remote_write::Request::new(&message, wire::remote_write::Version::V1, limits).unwrap();
    let Some(wire::remote_write::Item::Series(series)) = request.next_item().unwrap() else { panic!("a series") };
    assert_eq!(series.labels().unwrap().to_string(), "lines:count");

    // A restart keeps groups, and since when their alerts fire.
    let since = server.get_json("/prometheus/api/v1/alerts").await["data"]["alerts"][0]["activeAt"].clone();
    server.stop().await;
    let server = Server::start(dir.path(), &yaml).await;
    server.wait_for("/prometheus/api/v1/alerts", firing).await;
    assert_eq!(server.get_json("/prometheus/api/v1/alerts").await["data"]["alerts"][0]["activeAt"], since);
    let delete = |path: &str| {
        let mut request = Request::get(format!("{}{path}", server.url));
        request.method = Method::DELETE;
        request.header(HeaderName::from_static("accept"), HeaderValue::from_static("*/*"))
    };
    assert_eq!(server.send(delete("/loki/api/v1/rules/ns/x")).await.status, 404);
    assert_eq!(server.send(delete("/loki/api/v1/rules/ns")).await.status, 202);
    assert_eq!(server.get("/loki/api/v1/rules").await.status, 404);
    assert_eq!(server.get_json("/prometheus/api/v1/rules").await["data"]["groups"], serde_json::json!([]));
    server.stop().await;
}
