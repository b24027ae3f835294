//! Tails over a websocket: what is stored first, then what comes, in the order in which it was pushed.

mod support;

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use support::{Server, escape, now_ns};
use tokio_tungstenite::tungstenite::Message;

struct Frames(tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>);

impl Frames {
    async fn open(server: &Server, path: &str) -> Self {
        let url = format!("{}{path}", server.url.replace("http", "ws"));
        Self(tokio_tungstenite::connect_async(url).await.unwrap().0)
    }

    /// Lines of the next frames, until there are as many.
    async fn lines(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < count {
            let frame = self.frame().await;
            for stream in frame["streams"].as_array().unwrap() {
                lines.extend(stream["values"].as_array().unwrap().iter().map(|v| v[1].as_str().unwrap().to_owned()));
            }
        }
        lines
    }

    async fn frame(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(30), self.0.next()).await;
            match next.expect("a frame in time").expect("an open tail").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(frame) => return Value::from(frame.map(|f| f.reason.to_string()).unwrap_or_default()),
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_entries_come_first_and_then_the_live_ones() {
    let dir = tempfile::tempdir().unwrap();
    let yaml =
        "limits_config: {discover_service_name: [], discover_log_levels: false, max_concurrent_tail_requests: 2}\n";
    let server = Server::start(dir.path(), yaml).await;
    let now = now_ns();
    assert_eq!(
        server.push(r#"{"job":"a"}"#, &[(now - 3, "one"), (now - 2, "two"), (now - 1, "drop")]).await.status,
        204
    );
    let query = escape(r#"{job=~"a|b"} != "drop" | line_format "{{.job}}: {{__line__}}""#);
    let mut tail = Frames::open(&server, &format!("/loki/api/v1/tail?query={query}&limit=10")).await;
    assert_eq!(tail.lines(2).await, ["a: one", "a: two"]);
    assert_eq!(
        server.push(r#"{"job":"b"}"#, &[(now + 5, "later"), (now + 4, "sooner"), (now + 3, "drop")]).await.status,
        204
    );
    assert_eq!(server.push(r#"{"job":"c"}"#, &[(now, "other")]).await.status, 204);
    assert_eq!(server.push(r#"{"job":"a"}"#, &[(now + 6, "three")]).await.status, 204);
    assert_eq!(tail.lines(3).await, ["b: sooner", "b: later", "a: three"]);

    let mut second = Frames::open(&server, &format!("/api/prom/tail?query={}", escape(r#"{job="b"}"#))).await;
    let frame = second.frame().await;
    assert_eq!(frame["streams"][0]["labels"], r#"{job="b"}"#);
    assert!(frame["streams"][0]["entries"][0]["ts"].is_string());
    // There may be two; the third is refused, unless one goes.
    let third = format!("/loki/api/v1/tail?query={}", escape(r#"{job="b"}"#));
    let refused = tokio_tungstenite::connect_async(format!("{}{third}", server.url.replace("http", "ws"))).await;
    assert!(refused.is_err());
    server.wait_for("/metrics", |a| String::from_utf8_lossy(&a.body).contains("loki_querier_tail_active 2")).await;
    drop(second);
    server.wait_for("/metrics", |a| String::from_utf8_lossy(&a.body).contains("loki_querier_tail_active 1")).await;

    // A stop ends the tail with a reason.
    let stopping = tokio::spawn(server.stop());
    assert_eq!(tail.frame().await, "server is stopping");
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_may_begin_before_its_tenant() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "limits_config: {discover_log_levels: false}\n").await;
    let query = escape(r#"{job="new"}"#);
    let mut tail = Frames::open(&server, &format!("/loki/api/v1/tail?query={query}&delay_for=1")).await;
    let now = now_ns();
    assert_eq!(server.push(r#"{"job":"new"}"#, &[(now + 1, "second")]).await.status, 204);
    assert_eq!(server.push(r#"{"job":"new"}"#, &[(now, "first")]).await.status, 204);
    let mut lines = tail.lines(2).await;
    lines.sort();
    assert_eq!(lines, ["first", "second"]);
    server.stop().await;
}
