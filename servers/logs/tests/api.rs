//! Answers of the API beside pushes: bad input everywhere, downloads, pages, status.

mod support;

use support::{Server, escape, now_ns};

const OPEN: &str = "limits_config: {discover_service_name: [], discover_log_levels: false, allow_structured_metadata: true}\npattern_ingester: {enabled: true}\n";

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_told_at_every_endpoint() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), OPEN).await;
    let bad = escape("{a=");
    let q = escape(r#"{a="b"}"#);
    let cases = [
        (format!("query?query={bad}"), 400, "parse error"),
        (format!("query?query={q}"), 400, "log queries are not supported as an instant query type"),
        (format!("query?query={q}&time=x"), 400, ""),
        (format!("query_range?query={bad}"), 400, "parse error"),
        (format!("query_range?query={q}&limit=x"), 400, ""),
        (format!("query_range?query={q}&limit=6000"), 400, "max entries limit"),
        (format!("query_range?query={q}&start=2&end=1"), 400, "end timestamp must not be before"),
        (format!("query_range?query={q}&direction=up"), 400, "direction"),
        (format!("query_range?query={q}&cursor=x"), 400, "cursor"),
        ("labels?start=x".into(), 400, ""),
        (format!("label/a/values?query={bad}"), 400, "parse error"),
        (format!("series?match[]={bad}"), 400, "parse error"),
        (format!("index/stats?query={bad}"), 400, "parse error"),
        (format!("index/volume?query={bad}"), 400, "parse error"),
        (format!("index/volume_range?query={q}&step=x"), 400, ""),
        (format!("index/shards?query={q}"), 400, "targetBytesPerShard"),
        (format!("patterns?query={bad}"), 400, "parse error"),
        (format!("detected_labels?query={bad}"), 400, "parse error"),
        (format!("detected_fields?query={bad}"), 400, "parse error"),
        (format!("detected_field/x/values?query={bad}"), 400, "parse error"),
        (format!("format_query?query={bad}"), 400, "invalid-query"),
        (format!("tail?query={bad}"), 400, "parse error"),
        (format!("tail?query={q}&delay_for=6"), 400, "delay_for can't be greater than 5"),
        (format!("tail?query={}", escape(r#"rate({a="b"}[1m])"#)), 400, "only log selector is supported"),
        (format!("tail?query={q}"), 400, "websocket"),
        (format!("export?query={bad}"), 400, "parse error"),
        (format!("export?query={q}&format=pdf"), 400, "none of ndjson, csv, text"),
        (format!("explain?query={bad}"), 400, "parse error"),
        ("rules/none".into(), 404, "no rule groups found"),
        ("nothing".into(), 404, "404 page not found"),
    ];
    for (path, status, want) in cases {
        let answer = server.get(&format!("/loki/api/v1/{path}")).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status.as_u16(), status, "{path}: {text}");
        assert!(text.contains(want), "{path}: {text}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_downloaded_and_paged_through() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), OPEN).await;
    let now = now_ns();
    let lines: Vec<String> = (0..1000).map(|n| format!("line {n}")).collect();
    // Ten entries share a time, so that pages end between entries of one time.
    let entries: Vec<(i64, &str)> =
        lines.iter().enumerate().map(|(n, line)| (now - 60_000_000_000 + n as i64 / 10, line.as_str())).collect();
    assert_eq!(server.push(r#"{"job":"a"}"#, &entries).await.status, 204);
    let query = escape(r#"{job="a"}"#);

    let text = server.get(&format!("/loki/api/v1/export?query={query}&format=text")).await;
    assert_eq!(
        String::from_utf8(text.body.to_vec()).unwrap(),
        lines.iter().map(|l| format!("{l}\n")).collect::<String>()
    );
    let ndjson = server.get(&format!("/loki/api/v1/export?query={query}&limit=2")).await;
    assert_eq!(ndjson.header("content-type"), Some("application/x-ndjson"));
    let rows: Vec<serde_json::Value> =
        std::str::from_utf8(&ndjson.body).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), &rows[1]["line"], &rows[0]["labels"]["job"]), (2, &"line 1".into(), &"a".into()));
    let csv = server.get(&format!("/loki/api/v1/export?query={query}&format=csv&gzip=true")).await;
    let csv = wire::compress::gzip_decode(&csv.body, 1 << 20).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    assert!(csv.starts_with("timestamp,timestamp_ns,labels,line\n") && csv.lines().count() == 1001, "{csv:.200}");
    assert!(csv.lines().nth(1).unwrap().ends_with(",\"{job=\"\"a\"\"}\",line 0"), "{csv:.200}");

    let broken = server.get(&format!("/loki/api/v1/export?query={query}%7C%20line_format%20%22{{{{nope}}}}%22")).await;
    assert_eq!(broken.status, 400, "{}", String::from_utf8_lossy(&broken.body));
    let nothing = server.get(&format!("/loki/api/v1/export?query={}", escape(r#"{job="b"}"#))).await;
    assert_eq!((nothing.status.as_u16(), nothing.body.len()), (200, 0));

    let path = format!("/loki/api/v1/explain?query={}&analyze=true", escape(r#"{job="a"} |= "line 99" | logfmt"#));
    let explained = server.get_json(&path).await;
    assert_eq!(explained["data"]["results"], 11, "{explained}");
    assert!(explained["data"]["text"].as_str().unwrap().contains("logfmt"), "{explained}");
    let plan = server.get_json(&path.replace("&analyze=true", "")).await;
    assert!(plan["data"]["stats"].is_null() && plan["data"]["plan"]["operation"].is_string(), "{plan}");

    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let path = format!("/loki/api/v1/query_range?query={query}&limit=77&direction=forward&cursor={cursor}");
        let answer = server.get_json(&path).await;
        let streams = answer["data"]["result"].as_array().unwrap();
        seen.extend(
            streams.iter().flat_map(|s| s["values"].as_array().unwrap()).map(|v| v[1].as_str().unwrap().to_owned()),
        );
        cursor = answer["data"]["cursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(seen, lines);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_tells_about_itself() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), OPEN).await;
    assert_eq!(server.push(r#"{"job":"a"}"#, &[(now_ns(), "x")]).await.status, 204);
    server.lines(r#"{job="a"}"#).await;
    let cases = [
        ("/ready", "ready\n"),
        ("/config", "path_prefix: "),
        ("/config?mode=diff", "auth_enabled: false"),
        ("/config?mode=defaults", "auth_enabled: true"),
        ("/services", "ingester => Running"),
        ("/runtime_config", "overrides"),
        ("/ring", "ACTIVE"),
        ("/compactor/ring", "ACTIVE"),
        ("/loki/api/v1/status/buildinfo", "\"version\":"),
        ("/loki/api/v1/drilldown-limits", "\"volume_enabled\":true"),
        ("/prometheus/api/v1/rules", "\"groups\":[]"),
        ("/prometheus/api/v1/alerts", "\"alerts\":[]"),
        ("/ingester/prepare_shutdown", "unset"),
        ("/metrics", "loki_distributor_lines_received_total{tenant=\"fake\""),
        (
            "/metrics",
            "loki_request_duration_seconds_bucket{method=\"GET\",route=\"loki_api_v1_query_range\",status_code=\"200\",ws=\"false\"",
        ),
        ("/metrics", "loki_ingester_memory_streams{tenant=\"fake\"} 1"),
    ];
    for (path, want) in cases {
        let answer = server.get(path).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "{path}: {text}");
        assert!(text.contains(want), "{path}: {text}");
    }
    assert_eq!(server.get("/log_level").await.status, 404);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overrides_of_tenants_are_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("runtime.yaml");
    std::fs::write(&file, "overrides: {}\n").unwrap();
    let server =
        Server::start(dir.path(), &format!("runtime_config: {{file: {}, period: 100ms}}\n", file.display())).await;
    assert_eq!(server.push(r#"{"job":"a"}"#, &[(now_ns(), "x")]).await.status, 204);
    std::fs::write(&file, "overrides:\n  fake: {max_query_series: 7}\n").unwrap();
    server
        .wait_for("/loki/api/v1/drilldown-limits", |a| {
            String::from_utf8_lossy(&a.body).contains("\"max_query_series\":7")
        })
        .await;
    // A broken file changes nothing.
    std::fs::write(&file, "overrides:\n  fake: {max_query_serie: 8}\n").unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(server.get_json("/loki/api/v1/drilldown-limits").await["limits"]["max_query_series"], 7);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_deleted_and_brought_back() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = "compactor: {retention_enabled: true, delete_request_store: filesystem}\nlimits_config: {discover_service_name: [], discover_log_levels: false, reject_old_samples: false}\n";
    let server = Server::start(dir.path(), yaml).await;
    let now = now_ns();
    let old = now - 3_600_000_000_000;
    let lines = [(old, "a secret"), (old + 1, "fine"), (now, "a new secret")];
    assert_eq!(server.push(r#"{"job":"a"}"#, &lines).await.status, 204);
    let delete = "/loki/api/v1/delete";
    let query = escape(r#"{job="a"} |= "secret""#);
    let (start, end) = ((old - 1_000_000_000) / 1_000_000_000, (old + 10_000_000_000) / 1_000_000_000);
    for (params, want) in [
        (String::new(), "query not set"),
        ("query=x".into(), "invalid query expression"),
        (format!("query={query}"), "start time not set"),
        (format!("query={query}&start=x"), "invalid start time"),
        (format!("query={query}&start={end}&end={start}"), "start time can't be greater than end time"),
        (format!("query={query}&start=1&end={}", now / 1_000_000_000 + 3600), "deletes in the future are not allowed"),
        (format!("query={query}&start={start}&end={end}&max_interval=1x"), "invalid max_interval"),
    ] {
        let answer = server.post(&format!("{delete}?{params}"), "text/plain", "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.excerpt().contains(want)),
            (400, true),
            "{params}: {}",
            answer.excerpt()
        );
    }
    assert_eq!(
        server.post(&format!("{delete}?query={query}&start={start}&end={end}"), "text/plain", "").await.status,
        204
    );
    assert_eq!(server.lines(r#"{job="a"}"#).await, ["fine", "a new secret"]);
    let listed = server.get_json(delete).await;
    assert_eq!((&listed[0]["status"], &listed[0]["start_time"]), (&"received".into(), &start.into()), "{listed}");
    // The request outlives a restart, and can be taken back.
    server.stop().await;
    let server = Server::start(dir.path(), yaml).await;
    assert_eq!(server.lines(r#"{job="a"}"#).await, ["fine", "a new secret"]);
    let id = listed[0]["request_id"].as_str().unwrap();
    let cancel = async |id: &str| {
        let mut request = kit::client::Request::get(format!("{}{delete}?request_id={id}", server.url));
        request.method = axum::http::Method::DELETE;
        server.send(request).await.status.as_u16()
    };
    assert_eq!([cancel("0f").await, cancel(id).await, cancel(id).await], [404, 204, 404]);
    assert_eq!(server.lines(r#"{job="a"}"#).await, ["a secret", "fine", "a new secret"]);
    server.stop().await;
    let dir = tempfile::tempdir().unwrap();
    let off = Server::start(dir.path(), OPEN).await;
    assert_eq!(off.get(delete).await.status, 404);
    off.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_or_the_server_does_not_start() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../kit/tests/fixtures/tls");
    let file = |name: &str| fixtures.join(name).display().to_string();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("loki.yaml");
    let started = async |key: &str| {
        let text = format!(
            "server: {{http_listen_port: 0, http_tls_config: {{cert_file: '{}', key_file: '{key}'}}}}\ncommon: {{path_prefix: {}}}\n",
            file("server.pem"),
            dir.path().display()
        );
        std::fs::write(&config, text).unwrap();
        let flags = foursight_logs::Flags::from_args([format!("-config.file={}", config.display())]).unwrap();
        let stop = kit::Shutdown::new();
        (foursight_logs::start(flags, stop.clone()).await, stop)
    };
    assert!(started("/nowhere.key").await.0.is_err());
    let (running, stop) = started(&file("server.key")).await;
    let running = running.unwrap();
    let mut settings = kit::client::HttpClientConfig::default();
    settings.tls_config.ca_file = Some(fixtures.join("ca.pem"));
    settings.tls_config.server_name = "localhost".to_owned();
    let client = kit::client::Client::new(&settings, "test").unwrap();
    let get = |scheme: &str| kit::client::Request::get(format!("{scheme}://{}/ready", running.addresses[0]));
    assert!(client.send(get("https")).await.is_ok());
    assert!(client.send(get("http")).await.is_err());
    stop.trigger();
    running.wait().await;
}
