//! What is meant to hurt the server gets a clear error, and the server goes on taking samples and answering.

mod common;

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use common::{PATIENCE, Server, error_of, escape};
use kit::client::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn monstrous_queries_are_refused_with_their_reason() {
    let mut server = Server::start("", &["--query.max-samples=100000", "--query.timeout=20s"]).await;
    let now = kit::time::now_ms();
    let samples: Vec<(i64, f64)> = (0..1000).map(|i| (now - 1_000_000 + i * 1000, i as f64)).collect();
    server.write_samples(&[("__name__", "m"), ("a", &"x".repeat(5000))], &samples).await;
    let deep = |open: &str, inner: &str, close: &str, n: usize| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
    let megabyte = format!("m{}", "+m".repeat(500_000));
    let cases = [
        ("nested brackets", deep("(", "m", ")", 10_000), 400, "bad_data"),
        ("nested calls", deep("abs(", "m", ")", 10_000), 400, "bad_data"),
        ("nested signs", deep("-", "m", "", 100_000), 400, "bad_data"),
        ("nested subqueries", deep("", "m", "[5m:1s]", 1_000), 400, "bad_data"),
        ("nested aggregations", deep("sum by (a) (", "m", ")", 10_000), 400, "bad_data"),
        ("a megabyte of operators", megabyte, 400, "bad_data"),
        ("a megabyte of garbage", "\u{1}é{".repeat(300_000), 400, "bad_data"),
        ("a megabyte of one name", "m".repeat(1 << 20) + "(", 400, "bad_data"),
        ("an endless subquery", "max_over_time(m[30y:1ms])".to_owned(), 422, "execution"),
        ("a subquery of subqueries", "sum_over_time(sum_over_time(m[10d:1s])[10d:1s])".to_owned(), 422, "execution"),
        ("a regex that explodes when built", "m{a=~\"((a{1,1000}){1,1000}){1,1000}\"}".to_owned(), 400, "bad_data"),
        ("a regex of nested groups", format!("m{{a=~\"{}\"}}", deep("(", "a", ")", 5_000)), 400, "bad_data"),
    ];
    for (what, query, status, kind) in cases {
        let answer = server.post("/api/v1/query", format!("query={}", escape(&query))).await;
        let (got, error_kind, text) = error_of(&answer);
        assert_eq!((got, error_kind.as_str()), (status, kind), "{what}: {text:.300}");
        assert!(!text.is_empty() && text.len() < 12_000, "{what}: an error of {} bytes", text.len());
    }
    // Regexes that a backtracking engine would never finish.
    for regex in ["(x+x+)+y", "(x*)*b", "(x|x|xx)+$y", ".*.*.*.*.*.*.*.*y"] {
        assert_eq!(server.query(&format!("m{{a=~{regex:?}}}")).await.as_array().map(Vec::len), Some(0), "{regex}");
    }
    server.assert_unharmed("queries").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_without_end_are_refused() {
    let mut server = Server::start("", &["--query.max-samples=100000", "--query.timeout=20s"]).await;
    let range =
        |start: &str, end: &str, step: &str| format!("/api/v1/query_range?query=1&start={start}&end={end}&step={step}");
    for (start, end, step) in [("0", "1e9", "1"), ("0", "1e6", "0.001"), ("-9e15", "9e15", "1"), ("0", "1", "1e-9")] {
        let (status, kind, text) = server.error(&range(start, end, step)).await;
        assert_eq!((status, kind.as_str()), (400, "bad_data"), "{start}..{end} by {step}: {text}");
    }
    for (start, end, step) in [("0", "NaN", "1"), ("0", "1e300", "1"), ("0", "10", "1e300"), ("Inf", "Inf", "1")] {
        let (status, kind, _) = server.error(&range(start, end, step)).await;
        assert_eq!((status, kind.as_str()), (400, "bad_data"), "{start}..{end} by {step}");
    }
    server.assert_unharmed("ranges").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_are_refused() {
    let mut server = Server::start("", &[]).await;
    let now = kit::time::now_ms();
    let long = "x".repeat(10 << 20);
    let many: Vec<(String, String)> = (0..10_000).map(|i| (format!("l{i:05}"), "v".to_owned())).collect();
    let mut many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    many.insert(0, ("__name__", "m"));
    let label_bombs: [(&str, Vec<(&str, &str)>); 5] = [
        ("a long value", vec![("__name__", "m"), ("a", &long)]),
        ("a long name", vec![("__name__", "m"), (&long, "a")]),
        ("many labels", many),
        ("the same label twice", vec![("__name__", "m"), ("a", "1"), ("a", "2")]),
        ("no name", vec![("a", "1")]),
    ];
    for (what, labels) in label_bombs {
        let answer = server.write_samples(&labels, &[(now, 1.0)]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}: {}", answer.excerpt());
        assert!(!answer.body.is_empty() && answer.body.len() < 4_000, "{what}: {} bytes", answer.body.len());
    }

    // 1 GiB announced, nothing there; 64 MiB of zeros in a small block; no snappy at all.
    let announced = vec![0x80, 0x80, 0x80, 0x80, 0x04, 0x00];
    let zeros = wire::compress::snappy_encode(&vec![0; 64 << 20]);
    for (what, body) in
        [("announced", announced), ("zeros", zeros), ("garbage", b"garbage".to_vec()), ("nothing", vec![])]
    {
        let answer = server.write("application/x-protobuf", body).await;
        assert!(answer.status.is_client_error(), "{what}: {} {}", answer.status, answer.excerpt());
    }

    let gzip = wire::compress::gzip_encode(&vec![b'a'; 256 << 20]);
    for path in ["/api/v1/query", "/api/v1/series", "/api/v1/labels"] {
        let request = Request::post(format!("{}{path}", server.url), "application/x-www-form-urlencoded", gzip.clone())
            .header(HeaderName::from_static("content-encoding"), HeaderValue::from_static("gzip"));
        let answer = server.send(request).await;
        assert!(answer.status.is_client_error(), "{path}: {} {}", answer.status, answer.excerpt());
    }
    server.assert_unharmed("bombs").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_idle_clients_keep_nobody_out() {
    let mut server = Server::start("", &["--web.max-connections=100"]).await;
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    // Far more than the server takes at a time: silent ones, ones within a header, ones within a body, ones that do not read.
    let mut held = Vec::new();
    for i in 0..400 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let part: &[u8] = match i % 4 {
            0 => b"",
            1 => b"GET /api/v1/query?query=1 HTTP/1.1\r\nHost: x\r\nX-Slow: ",
            2 => b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nquery=",
            _ => b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
        };
        // One that was closed to make room is gone: that is the point.
        let _ = stream.write_all(part).await;
        held.push(stream);
    }
    server.assert_unharmed("idle").await;
    drop(held);

    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(b"\x16\x03\x01 this is no HTTP \r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await.unwrap();
    server.assert_unharmed("garbage").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_ends_with_its_caller_and_can_be_killed() {
    let mut server =
        Server::start("", &["--query.timeout=5m", "--query.max-samples=100000000000", "--query.max-concurrency=2"])
            .await;
    let now = kit::time::now_ms();
    let samples: Vec<(i64, f64)> = (0..5_000).map(|i| (now - 5_000_000 + i * 1000, i as f64)).collect();
    assert_eq!(server.write_samples(&[("__name__", "m")], &samples).await.status, StatusCode::NO_CONTENT);
    let endless = format!(
        "/api/v1/query?query={}",
        escape(
            "sum_over_time(quantile_over_time(0.5, m[1h:1s])[10d:1s]) + sum_over_time(quantile_over_time(0.5, m[1h:1s])[10d:1s] offset 1s)"
        )
    );
    let running = async || server.data("/api/v1/queries/active").await.as_array().map_or(0, Vec::len);

    let gone = tokio::time::timeout(Duration::from_millis(500), server.get(&endless)).await;
    if gone.is_err() {
        server.until("the query of a caller that left has ended", async || running().await == 0).await;
    }

    let killed = async {
        server.until("the query runs", async || running().await == 1).await;
        let id = server.data("/api/v1/queries/active").await[0]["id"].as_u64().unwrap();
        let answer = server.post(&format!("/api/v1/queries/kill?id={id}"), "").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.excerpt());
    };
    let (answer, ()) = tokio::join!(server.get(&endless), killed);
    let (status, kind, _) = error_of(&answer);
    assert_eq!((status, kind.as_str()), (499, "canceled"));
    server.assert_unharmed("killed").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_and_samples_of_a_query_are_limited() {
    let mut server = Server::start("", &["--query.timeout=300ms", "--query.max-samples=1000000"]).await;
    let now = kit::time::now_ms();
    let samples: Vec<(i64, f64)> = (0..2_000).map(|i| (now - 2_000_000 + i * 1000, i as f64)).collect();
    server.write_samples(&[("__name__", "m")], &samples).await;
    let slow = "sum_over_time(quantile_over_time(0.5, m[30m:1s])[5m:1s] )";
    let (status, kind, text) = server.error(&format!("/api/v1/query?query={}&timeout=1ms", escape(slow))).await;
    assert_eq!((status, kind.as_str()), (503, "timeout"), "{text}");
    let (status, kind, text) =
        server.error(&format!("/api/v1/query?query={}", escape("count_over_time(m[20d:1s])"))).await;
    assert_eq!((status, kind.as_str()), (422, "execution"), "{text}");
    assert!(text.contains("too many samples"), "{text}");
    server.assert_unharmed("limits").await;
    server.stop().await;
}
