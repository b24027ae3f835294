//! What is meant to hurt the server gets a clear error, and the server goes on taking entries and answering.

mod support;

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use futures_util::StreamExt as _;
use kit::client::{Request, Response};
use support::{Server, escape, now_ns};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

const PLAIN: &str = "discover_service_name: [], discover_log_levels: false";
const FAST: &str = "ingestion_rate_mb: 10000, ingestion_burst_size_mb: 10000, per_stream_rate_limit: 10GB, per_stream_rate_limit_burst: 10GB";

fn limits(more: &str) -> String {
    format!("limits_config: {{{PLAIN}, {FAST}, {more}}}\n")
}

fn text(answer: &Response) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

impl Server {
    async fn assert_unharmed(&self, mark: &str) {
        assert_eq!(self.push(&format!(r#"{{"unharmed":"{mark}"}}"#), &[(now_ns(), mark)]).await.status, 204);
        assert_eq!(self.lines(&format!(r#"{{unharmed="{mark}"}}"#)).await, [mark]);
    }

    async fn query(&self, query: &str) -> Response {
        self.post(
            "/loki/api/v1/query_range",
            "application/x-www-form-urlencoded",
            format!("since=1h&limit=5000&query={}", escape(query)),
        )
        .await
    }

    async fn encoded(&self, kind: &'static str, encoding: &'static str, body: Vec<u8>) -> Response {
        let request = Request::post(format!("{}/loki/api/v1/push", self.url), kind, body)
            .header(HeaderName::from_static("content-encoding"), HeaderValue::from_static(encoding));
        self.send(request).await
    }
}

/// A push as protobuf.
fn protobuf(streams: &[(String, &str)]) -> Vec<u8> {
    let mut message = wire::loki::PushWriter::new();
    let now = now_ns();
    for (labels, line) in streams {
        message.stream(labels, |stream| stream.entry(now, line, []));
    }
    wire::compress::snappy_encode(&message.finish())
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_may_be_as_long_as_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &limits("max_line_size: 10MB")).await;
    let line: String = (0..(10 << 20) / 8).map(|n| format!("{n:07} ")).collect();
    assert_eq!(line.len(), 10 << 20);
    let labels = r#"{job="long"}"#.to_owned();
    let answer = server.post("/loki/api/v1/push", "application/x-protobuf", protobuf(&[(labels.clone(), &line)])).await;
    assert_eq!(answer.status, 204, "{}", answer.excerpt());
    assert_eq!(server.post("/flush", "text/plain", "").await.status, 204);
    for query in [r#"{job="long"}"#, r#"{job="long"} |= "1310719""#, r#"{job="long"} |~ "^0000000.*13107[01]9 $""#] {
        assert!(server.lines(query).await == [line.as_str()], "{query}");
    }
    assert!(server.lines(r#"{job="long"} |= "1310720""#).await.is_empty());
    let longer = format!("{line}x");
    let answer = server.post("/loki/api/v1/push", "application/x-protobuf", protobuf(&[(labels, &longer)])).await;
    assert_eq!(
        (answer.status.as_u16(), text(&answer).trim_end()),
        (
            400,
            "max entry size '10485760' bytes exceeded for stream '{job=\"long\"}' while adding an entry with length '10485761' bytes"
        )
    );
    server.assert_unharmed("lines").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_may_be_as_many_streams_as_the_limit() {
    const STREAMS: usize = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let yaml = limits(&format!("max_global_streams_per_user: {STREAMS}"));
    let server = Server::start(dir.path(), &yaml).await;
    let push = async |from: usize, count: usize| {
        let streams: Vec<(String, &str)> =
            (from..from + count).map(|n| (format!(r#"{{job="many", pod="pod-{n}"}}"#), "line")).collect();
        server.post("/loki/api/v1/push", "application/x-protobuf", protobuf(&streams)).await
    };
    for from in (0..STREAMS).step_by(10_000) {
        let answer = push(from, 10_000).await;
        assert_eq!(answer.status, 204, "{from}: {}", answer.excerpt());
    }
    let answer = push(STREAMS, 3).await;
    assert_eq!(
        (answer.status.as_u16(), text(&answer).trim_end()),
        (
            429,
            "maximum active stream limit exceeded when trying to create stream {job=\"many\", pod=\"pod-100000\"}, reduce the number of active streams (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased, user: 'fake'"
        )
    );
    // Streams that are there go on.
    assert_eq!(push(7, 1).await.status, 204);
    let stats = server.get_json(&format!("/loki/api/v1/index/stats?query={}", escape("{job=\"many\"}"))).await;
    assert_eq!(stats["streams"], STREAMS);
    assert_eq!(server.lines(r#"{pod="pod-99999"}"#).await, ["line"]);
    let answer = server.query("sum by (pod) (count_over_time({job=\"many\"}[1h]))").await;
    assert!(
        answer.status == 400 && text(&answer).contains("maximum number of series (500) reached"),
        "{} {}",
        answer.status,
        answer.excerpt()
    );
    let count = server
        .get_json(&format!("/loki/api/v1/query?query={}", escape("sum(count_over_time({job=\"many\"}[1h]))")))
        .await;
    assert_eq!(count["data"]["result"][0]["value"][1], (STREAMS + 1).to_string());
    // All of them are there again after a restart, and count towards the limit.
    server.stop().await;
    let server = Server::start(dir.path(), &yaml).await;
    let stats = server.get_json(&format!("/loki/api/v1/index/stats?query={}", escape("{job=\"many\"}"))).await;
    assert_eq!(stats["streams"], STREAMS);
    assert_eq!(server.push(r#"{"job":"more"}"#, &[(now_ns(), "x")]).await.status, 429);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn label_bombs_are_refused_in_few_words() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &limits("max_line_size: 0")).await;
    let long = "x".repeat(10 << 20);
    let many: String = (0..100_000).map(|n| format!("l{n}=\"v\",")).collect();
    let escapes = "\\u00e9".repeat(1 << 20);
    let bombs: [(&str, String, &str); 7] = [
        ("a long value", format!("{{a=\"{long}\"}}"), "has label value too long"),
        ("a long name", format!("{{{long}=\"a\"}}"), "has label name too long"),
        ("many labels", format!("{{{many}}}"), "label names; limit 15"),
        ("a value of escapes", format!("{{a=\"{escapes}\"}}"), "has label value too long"),
        ("brackets", "{".repeat(1 << 20), ""),
        ("no end", format!("{{a=\"{long}"), ""),
        ("nothing", String::new(), ""),
    ];
    for (what, labels, want) in bombs {
        let answer = server.post("/loki/api/v1/push", "application/x-protobuf", protobuf(&[(labels, "x")])).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.excerpt());
        assert!(!answer.body.is_empty() && answer.body.len() < 100_000, "{what}: {} bytes", answer.body.len());
        assert!(want.is_empty() || text(&answer).contains(want) || text(&answer).contains("bytes more"), "{what}");
    }
    // Structured metadata, and fields of OpenTelemetry.
    let pairs = |count: usize| (0..count).map(|n| (format!("k{n}"), "v".to_owned())).collect::<Vec<_>>();
    for (what, metadata, status, want) in [
        ("many pairs", pairs(200), 400, "has too many structured metadata labels: '200', limit: '128'"),
        ("very many pairs", pairs(1 << 20), 413, "structured metadata of one entry"),
        (
            "a large pair",
            vec![("k".to_owned(), long)],
            400,
            "has structured metadata too large: '10485761' bytes, limit: '65536' bytes",
        ),
    ] {
        let mut message = wire::loki::PushWriter::new();
        message.stream(r#"{job="a"}"#, |stream| {
            stream.entry(now_ns(), "x", metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        });
        let body = wire::compress::snappy_encode(&message.finish());
        let answer = server.post("/loki/api/v1/push", "application/x-protobuf", body).await;
        assert_eq!(answer.status, status, "{what}");
        assert!(text(&answer).contains(want), "{what}: {:.300}", text(&answer));
    }
    let deep = |open: &str, inner: &str, close: &str| {
        let value = format!("{}{inner}{}", open.repeat(100_000), close.repeat(100_000));
        format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"{}","body":{value}}}]}}]}}]}}"#,
            now_ns()
        )
    };
    for body in [
        deep(r#"{"arrayValue":{"values":["#, r#"{"stringValue":"x"}"#, "]}}"),
        deep(r#"{"kvlistValue":{"values":[{"key":"a","value":"#, r#"{"stringValue":"x"}"#, "}]}}"),
    ] {
        let answer = server.post("/otlp/v1/logs", "application/json", body).await;
        assert_eq!(answer.status, 400, "{}", answer.excerpt());
    }
    for open in ["[", "{\"a\":"] {
        let body = format!("{{\"streams\":{}", open.repeat(1 << 20));
        assert_eq!(server.post("/loki/api/v1/push", "application/json", body).await.status, 400);
    }
    server.assert_unharmed("labels").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_bombs_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = limits("max_line_size: 0") + "distributor: {max_decompressed_size: 8388608}\n";
    let server = Server::start(dir.path(), &yaml).await;
    let zeros = vec![b' '; 64 << 20];
    let gzip = wire::compress::gzip_encode(&zeros);
    let snappy = wire::compress::snappy_encode(&zeros[..64 << 20]);
    // A length of 4 GiB is announced, and nothing there.
    let announced = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    let bombs: [(&str, &'static str, &'static str, Vec<u8>); 5] = [
        ("gzip of JSON", "application/json", "gzip", gzip.clone()),
        ("gzip of protobuf", "application/x-protobuf", "gzip", gzip.clone()),
        ("snappy", "application/x-protobuf", "snappy", snappy.clone()),
        ("snappy that announces", "application/x-protobuf", "snappy", announced),
        ("snappy in gzip", "application/x-protobuf", "gzip", wire::compress::gzip_encode(&snappy)),
    ];
    for (what, kind, encoding, body) in bombs {
        assert!(body.len() < 8 << 20, "{what}: {}", body.len());
        let answer = server.encoded(kind, encoding, body).await;
        assert_eq!(answer.status, 413, "{what}: {}", answer.excerpt());
        assert_eq!(
            text(&answer).trim_end(),
            "request body too large: decompressed message size larger than max (8388608)",
            "{what}"
        );
    }
    for (what, encoding) in [("garbage", "gzip"), ("garbage", "deflate"), ("garbage", "snappy")] {
        let answer = server.encoded("application/x-protobuf", encoding, b"garbage in a body".to_vec()).await;
        assert_eq!(answer.status, 400, "{what} as {encoding}: {}", answer.excerpt());
    }
    let request = Request::post(format!("{}/otlp/v1/logs", server.url), "application/json", gzip)
        .header(HeaderName::from_static("content-encoding"), HeaderValue::from_static("gzip"));
    assert_eq!(server.send(request).await.status, 413);
    server.assert_unharmed("bombs").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_that_are_cut_store_nothing_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &limits("max_line_size: 0")).await;
    let now = now_ns();
    let mut message = wire::loki::PushWriter::new();
    message.stream(r#"{job="cut"}"#, |stream| {
        stream.entry(now, "first line", [("trace_id", "abc")]);
        stream.entry(now + 1, "second line", []);
    });
    let message = message.finish();
    let json = format!(
        r#"{{"streams":[{{"stream":{{"job":"cut"}},"values":[["{now}","first line"],["{}","second line"]]}}]}}"#,
        now + 1
    );
    let gzip = wire::compress::gzip_encode(json.as_bytes());
    let snappy = wire::compress::snappy_encode(&message);
    for len in 1..message.len() {
        // Cut before it is compressed: the message ends too early.
        let answer = server
            .post("/loki/api/v1/push", "application/x-protobuf", wire::compress::snappy_encode(&message[..len]))
            .await;
        assert!(answer.status.is_client_error(), "protobuf of {len}: {}", answer.status);
    }
    for len in 0..snappy.len() {
        let answer = server.post("/loki/api/v1/push", "application/x-protobuf", &snappy[..len]).await;
        assert!(answer.status.is_client_error(), "snappy of {len}: {}", answer.status);
    }
    for len in 0..json.len() {
        let answer = server.post("/loki/api/v1/push", "application/json", &json.as_bytes()[..len]).await;
        assert!(answer.status.is_client_error(), "JSON of {len}: {}", answer.status);
    }
    for len in 0..gzip.len() {
        let answer = server.encoded("application/json", "gzip", gzip[..len].to_vec()).await;
        assert!(answer.status.is_client_error(), "gzip of {len}: {}", answer.status);
    }
    // The connection ends in the middle of the body.
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    for len in [0, 1, json.len() / 2, json.len() - 1] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            json.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&json.as_bytes()[..len]).await.unwrap();
        stream.shutdown().await.unwrap();
    }
    server.assert_unharmed("cuts").await;
    assert_eq!(server.lines(r#"{job="cut"}"#).await, Vec::<String>::new());
    assert_eq!(server.post("/loki/api/v1/push", "application/json", json).await.status, 204);
    assert_eq!(server.lines(r#"{job="cut"}"#).await, ["first line", "second line"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn monstrous_queries_end_with_their_reason() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &limits("max_line_size: 0")).await;
    let now = now_ns();
    let line = "x".repeat(10_000);
    let entries: Vec<(i64, &str)> = (0..10).map(|n| (now - n, line.as_str())).collect();
    assert_eq!(server.push(r#"{"job":"a"}"#, &entries).await.status, 204);
    // Regexes that a backtracking engine would never finish.
    for regex in ["(x+x+)+y", "(x*)*b", "(x|x|xx)+$y", ".*.*.*.*.*.*.*.*y", "(?:(?:x{1,9}){1,9}){1,9}y"] {
        for query in
            [format!("{{job=\"a\"}} |~ `{regex}`"), format!("{{job=\"a\"}} | regexp `(?P<a>{regex})` | a != \"\"")]
        {
            let answer = server.query(&query).await;
            assert_eq!(answer.status, 200, "{query}: {}", answer.excerpt());
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(body["data"]["result"], serde_json::json!([]), "{query}");
        }
    }
    let deep = |open: &str, inner: &str, close: &str, n: usize| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
    let cases = [
        ("a regex that explodes when built", "{job=\"a\"} |~ `((x{1,1000}){1,1000}){1,1000}`".to_owned()),
        ("a regex of nested groups", format!("{{job=\"a\"}} |~ `{}`", deep("(", "x", ")", 5_000))),
        ("a matcher of nested groups", format!("{{job=~\"{}\"}}", deep("(", "x", ")", 5_000))),
        ("nested brackets", deep("(", "vector(1)", ")", 10_000)),
        ("nested aggregations", deep("sum(", "rate({job=\"a\"}[1m])", ")", 5_000)),
        ("many operators", format!("vector(1){}", "+vector(1)".repeat(100_000))),
        ("many stages", format!("{{job=\"a\"}}{}", " |= \"x\"".repeat(100_000))),
        ("nested conditions", format!("{{job=\"a\"}} | {}", deep("(", "a=\"b\"", ")", 10_000))),
        ("garbage", "\u{1}é{".repeat(300_000)),
        (
            "a template of nested actions",
            format!("{{job=\"a\"}} | line_format `{}`", deep("{{if .a}}", "x", "{{end}}", 5_000)),
        ),
        ("too many steps", "sum_over_time(vector(1)[30y:1ms])".to_owned()),
    ];
    for (what, query) in cases {
        let answer = server.query(&query).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.excerpt());
        assert!(!answer.body.is_empty() && answer.body.len() < 300_000, "{what}: {} bytes", answer.body.len());
    }
    server.assert_unharmed("queries").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_neither_loop_nor_grow() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &limits("max_line_size: 0")).await;
    let now = now_ns();
    // Each may grow to some megabytes.
    let entries: Vec<(i64, &str)> = (0..3).map(|n| (now - n, "a line")).collect();
    assert_eq!(server.push(r#"{"job":"a"}"#, &entries).await.status, 204);
    let doubling = " | label_format a=\"{{.a}}{{.a}}\"".repeat(40);
    let doubling = format!("{{job=\"a\"}} | label_format a=job{doubling}");
    let lines = " | line_format \"{{__line__}}{{__line__}}\"".repeat(40);
    let cases = [
        ("a template that calls itself", "{job=\"a\"} | line_format `{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}`".to_owned()),
        ("a long text", "{job=\"a\"} | line_format `{{repeat 1000000000 \"x\"}}`".to_owned()),
        ("a wide number", "{job=\"a\"} | line_format `{{printf \"%1000000000d\" 1}}`".to_owned()),
        ("a long list", "{job=\"a\"} | line_format `{{range until 1000000000}}x{{end}}`".to_owned()),
        ("loops in loops", format!("{{job=\"a\"}} | line_format `{}x{}`", "{{range fromJson \"[1,2,3,4,5,6,7,8,9]\"}}".repeat(12), "{{end}}".repeat(12))),
        ("replacing by longer", "{job=\"a\"} | line_format `{{$x := repeat 2000 \"x\"}}{{$y := $x | replace \"x\" $x}}{{$y | replace \"x\" $x}}`".to_owned()),
        ("labels that double", doubling),
        ("lines that double", format!("{{job=\"a\"}}{lines}")),
    ];
    for (what, query) in cases {
        let answer = server.query(&query).await;
        // The query is refused, the lines say that their template failed, or what was asked too much of is left out.
        let body = text(&answer);
        let said = answer.status == 400 || body.contains("TemplateFormatErr") || body.len() < 10_000;
        assert!(said && answer.status.as_u16() < 500, "{what}: {} {}", answer.status, answer.excerpt());
    }
    server.assert_unharmed("templates").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tails_that_never_read_hold_nobody_up() {
    const PUSHES: usize = 40;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &limits("max_line_size: 0")).await;
    let url = |query: &str| format!("{}/loki/api/v1/tail?query={}", server.url.replace("http", "ws"), escape(query));
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(tokio_tungstenite::connect_async(url(r#"{job="a"}"#)).await.unwrap().0);
    }
    let mut reading = tokio_tungstenite::connect_async(url(r#"{job="b"}"#)).await.unwrap().0;
    let line = "0123456789abcdef".repeat(1 << 16);
    for n in 0..PUSHES {
        let streams = [(r#"{job="a"}"#.to_owned(), line.as_str()), (r#"{job="b"}"#.to_owned(), "short")];
        let answer = server.post("/loki/api/v1/push", "application/x-protobuf", protobuf(&streams)).await;
        assert_eq!(answer.status, 204, "{n}: {}", answer.excerpt());
    }
    let next = async |tail: &mut (
                               dyn futures_util::Stream<Item = Result<Message, tokio_tungstenite::tungstenite::Error>>
                                   + Unpin
                                   + Send
                           )| loop {
        let frame = tokio::time::timeout(Duration::from_secs(60), tail.next()).await.expect("a frame in time");
        if let Message::Text(text) = frame.expect("an open tail").unwrap() {
            break serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    };
    let mut seen = 0;
    while seen < PUSHES {
        let frame = next(&mut reading).await;
        assert_eq!(frame.get("dropped_entries").and_then(|d| d.as_array()).map_or(0, Vec::len), 0, "{frame}");
        seen +=
            frame["streams"].as_array().unwrap().iter().map(|s| s["values"].as_array().unwrap().len()).sum::<usize>();
    }
    // Once one of them reads, it is told what it has missed.
    let mut late = silent.pop().unwrap();
    let (mut received, mut dropped) = (0, 0);
    while received + dropped < PUSHES {
        let frame = next(&mut late).await;
        dropped += frame["dropped_entries"].as_array().map_or(0, Vec::len);
        received += frame["streams"]
            .as_array()
            .map_or(0, |streams| streams.iter().map(|s| s["values"].as_array().unwrap().len()).sum::<usize>());
    }
    assert!(dropped > 0 && received + dropped == PUSHES, "{received} received, {dropped} dropped");
    drop(silent);
    let counted = |answer: &Response| {
        let page = text(answer);
        let value =
            page.lines().find_map(|l| l.strip_prefix("foursight_tail_dropped_entries_total ")?.parse::<f64>().ok());
        value.is_some_and(|value| value >= dropped as f64)
    };
    server.wait_for("/metrics", counted).await;
    server.wait_for("/metrics", |a| text(a).contains("loki_querier_tail_active 2")).await;
    server.assert_unharmed("tails").await;
    server.stop().await;
}
