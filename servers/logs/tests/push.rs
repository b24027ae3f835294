//! What is pushed is found again: every form of a push, over a restart, and what is refused with the peer's words.

mod support;

use axum::http::{HeaderName, HeaderValue};
use kit::client::Request;
use support::{Server, escape, now_ns};

const OPEN: &str =
    "limits_config: {reject_old_samples: false, discover_service_name: [], discover_log_levels: false}\n";

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_a_push_is_stored_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), OPEN).await;
    let now = now_ns();
    assert_eq!(server.push(r#"{"job":"json"}"#, &[(now, "json 1"), (now + 1, "json 2")]).await.status, 204);

    let mut message = wire::loki::PushWriter::new();
    message.stream(r#"{job="proto"}"#, |stream| {
        stream.entry(now, "proto 1", [("trace_id", "abc")]);
        stream.entry(now + 1, "proto 2", []);
    });
    let message = message.finish();
    let snappy = wire::compress::snappy_encode(&message);
    let answer = server.post("/loki/api/v1/push", "application/x-protobuf", snappy.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    // Sent again, it is stored once.
    let header =
        |name: &'static str, value: &'static str| (HeaderName::from_static(name), HeaderValue::from_static(value));
    let (name, value) = header("content-encoding", "snappy");
    let again = Request::post(format!("{}/loki/api/v1/push", server.url), "application/x-protobuf", snappy);
    assert_eq!(server.send(again.header(name, value)).await.status, 204);

    let body = format!(r#"{{"streams":[{{"stream":{{"job":"gzip"}},"values":[["{now}","gzip 1"]]}}]}}"#);
    let (name, value) = header("content-encoding", "gzip");
    let gzip = wire::compress::gzip_encode(body.as_bytes());
    let request = Request::post(format!("{}/loki/api/v1/push", server.url), "application/json", gzip);
    assert_eq!(server.send(request.header(name, value)).await.status, 204);

    let time = jiff::Timestamp::from_nanosecond(i128::from(now)).unwrap();
    let body =
        format!(r#"{{"streams":[{{"labels":"{{job=\"legacy\"}}","entries":[{{"ts":"{time}","line":"legacy 1"}}]}}]}}"#);
    assert_eq!(server.post("/api/prom/push", "application/json", body).await.status, 204);

    let body = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"otlp"}}}}]}},"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"{now}","severityText":"WARN","body":{{"stringValue":"otlp 1"}}}}]}}]}}]}}"#
    );
    assert_eq!(server.post("/otlp/v1/logs", "application/json", body).await.status, 204);

    let check = async |server: &Server| {
        for (query, want) in [
            (r#"{job="json"}"#, vec!["json 1", "json 2"]),
            (r#"{job="proto"}"#, vec!["proto 1", "proto 2"]),
            (r#"{job="proto"} | trace_id="abc""#, vec!["proto 1"]),
            (r#"{job="gzip"} |= "zip""#, vec!["gzip 1"]),
            (r#"{job="legacy"}"#, vec!["legacy 1"]),
            (r#"{service_name="otlp"} | severity_text="WARN""#, vec!["otlp 1"]),
            (r#"{job="nobody"}"#, vec![]),
        ] {
            assert_eq!(server.lines(query).await, want, "{query}");
        }
        let values = server.get_json("/loki/api/v1/label/job/values").await;
        assert_eq!(values["data"], serde_json::json!(["gzip", "json", "legacy", "proto"]));
        let stats = server.get_json(&format!("/loki/api/v1/index/stats?query={}", escape("{job=~\".+\"}"))).await;
        assert_eq!((&stats["streams"], &stats["entries"]), (&serde_json::json!(4), &serde_json::json!(6)));
    };
    check(&server).await;
    server.stop().await;
    let server = Server::start(dir.path(), OPEN).await;
    check(&server).await;
    assert_eq!(server.post("/flush", "text/plain", "").await.status, 204);
    check(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn service_and_level_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "").await;
    let now = now_ns();
    assert_eq!(
        server
            .push(r#"{"app":"shop"}"#, &[(now, r#"{"level":"ERR"}"#), (now + 1, "an info"), (now + 2, "x")])
            .await
            .status,
        204
    );
    assert_eq!(server.lines(r#"{service_name="shop"} | detected_level="error""#).await, [r#"{"level":"ERR"}"#]);
    assert_eq!(server.lines(r#"{service_name="shop"} | detected_level="info""#).await, ["an info"]);
    assert_eq!(server.lines(r#"{app="shop"} | detected_level="unknown""#).await, ["x"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_and_the_rest_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let limits = "limits_config: {max_line_size: 10, max_label_names_per_series: 2, discover_service_name: [], ingestion_rate_mb: 0.01, ingestion_burst_size_mb: 0.01}\n";
    let server = Server::start(dir.path(), limits).await;
    let now = now_ns();
    let answer = server
        .push(r#"{"job":"a"}"#, &[(now, "short"), (now, "much too long"), (now - 8 * 86_400_000_000_000, "old")])
        .await;
    assert_eq!(answer.status, 400);
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(
        text.contains(
            "max entry size '10' bytes exceeded for stream '{job=\"a\"}' while adding an entry with length '13' bytes"
        ),
        "{text}"
    );
    assert!(text.contains("has timestamp too old: "), "{text}");
    assert_eq!(server.lines(r#"{job="a"}"#).await, ["short"]);
    let cases: [(&str, &'static str, String, u16, &str); 11] = [
        ("/loki/api/v1/push", "application/json", "{".into(), 400, ""),
        ("/loki/api/v1/push", "application/json", "{}".into(), 422, "at least one valid stream"),
        (
            "/loki/api/v1/push",
            "application/json",
            r#"{"streams":[{"stream":{"a":"b"},"values":[[1,"x"]]}]}"#.into(),
            400,
            "",
        ),
        (
            "/loki/api/v1/push",
            "application/json",
            format!(r#"{{"streams":[{{"stream":{{"a":"b","c":"d","e":"f"}},"values":[["{now}","x"]]}}]}}"#),
            400,
            "has 3 label names; limit 2",
        ),
        (
            "/loki/api/v1/push",
            "application/json",
            format!(r#"{{"streams":[{{"stream":{{}},"values":[["{now}","x"]]}}]}}"#),
            400,
            "error at least one label pair is required per stream",
        ),
        ("/loki/api/v1/push", "application/x-protobuf", "garbage".into(), 400, ""),
        ("/otlp/v1/logs", "application/json", "{".into(), 400, ""),
        ("/otlp/v1/logs", "application/x-protobuf", "\u{1}\u{2}".into(), 400, ""),
        ("/otlp/v1/logs", "text/csv", "x".into(), 400, "content type: text/csv is not supported"),
        (
            "/loki/api/v1/push",
            "application/json",
            format!(r#"{{"streams":[{{"stream":{{"a":"b"}},"values":[["{}","x"]]}}]}}"#, now + 3_600_000_000_000),
            400,
            "has timestamp too new: ",
        ),
        (
            "/loki/api/v1/push",
            "application/json",
            format!(
                r#"{{"streams":[{{"stream":{{"a":"b"}},"values":[{}]}}]}}"#,
                vec![format!("[\"{now}\",\"0123456789\"]"); 2000].join(",")
            ),
            429,
            "ingestion rate limit exceeded for user fake (limit: ",
        ),
    ];
    for (path, kind, body, status, want) in cases {
        let answer = server.post(path, kind, body.clone()).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status.as_u16(), status, "{path} {body:.200}: {text}");
        assert!(text.contains(want), "{path} {body:.200}: {text}");
    }
    let request = Request::post(format!("{}/loki/api/v1/push", server.url), "application/json", "{}")
        .header(HeaderName::from_static("content-encoding"), HeaderValue::from_static("zip"));
    let answer = server.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.excerpt().as_str()), (400, "Content-Encoding \"zip\" not supported"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_see_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = "auth_enabled: true\nquerier: {multi_tenant_queries_enabled: true}\n";
    let server = Server::start(dir.path(), yaml).await;
    assert_eq!(server.push(r#"{"job":"a"}"#, &[(now_ns(), "x")]).await.status, 401);
    let answer = server.get("/loki/api/v1/labels").await;
    assert_eq!((answer.status.as_u16(), answer.excerpt().as_str()), (401, "no org id"));
    let tenant = HeaderName::from_static("x-scope-orgid");
    let as_tenant = |request: Request, name: &str| request.header(tenant.clone(), HeaderValue::from_str(name).unwrap());
    for name in ["one", "two"] {
        let body =
            format!(r#"{{"streams":[{{"stream":{{"job":"{name}"}},"values":[["{}","of {name}"]]}}]}}"#, now_ns());
        let push = Request::post(format!("{}/loki/api/v1/push", server.url), "application/json", body);
        assert_eq!(server.send(as_tenant(push, name)).await.status, 204);
    }
    let ask = async |name: &str, path: &str| {
        let answer = server.send(as_tenant(Request::get(format!("{}{path}", server.url)), name)).await;
        (answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap())
    };
    let values = "/loki/api/v1/label/job/values";
    assert_eq!(ask("one", values).await, (200, "{\"status\":\"success\",\"data\":[\"one\"]}\n".into()));
    assert_eq!(ask("one|two", values).await, (200, "{\"status\":\"success\",\"data\":[\"one\",\"two\"]}\n".into()));
    assert_eq!(ask("three", values).await.1, "{\"status\":\"success\"}\n");
    let query = format!("/loki/api/v1/query_range?query={}", escape(r#"{__tenant_id__="two", job=~".+"}"#));
    let (status, text) = ask("one|two", &query).await;
    assert!(
        status == 200
            && text.contains("of two")
            && !text.contains("of one")
            && text.contains("\"__tenant_id__\":\"two\""),
        "{text}"
    );
    assert_eq!(ask("../x", values).await.0, 400);
    // Reading makes no directories.
    assert!(!dir.path().join("logstore/tenants/three").exists());
    server.stop().await;
}
