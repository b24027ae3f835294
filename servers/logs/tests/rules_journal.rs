//! Samples of rules that no metrics server has taken survive `kill -9`, and are delivered once there is one that takes them.

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use kit::client::{Client, HttpClientConfig, Request};
use support::{Server, now_ns};
use wire::remote_write::{Item, Limits, Request as Message, SeriesValue, Version};

/// A metrics server that is in trouble until it is told not to be.
#[derive(Clone, Default)]
struct Receiver {
    works: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
    /// Name, time and value of what it took.
    taken: Arc<Mutex<Vec<(String, i64, f64)>>>,
}

impl Receiver {
    async fn start(&self) -> String {
        let take = async |State(receiver): State<Self>, body: Bytes| {
            receiver.asked.store(true, Ordering::Relaxed);
            if !receiver.works.load(Ordering::Relaxed) {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            receiver.taken.lock().unwrap().extend(samples(&body));
            StatusCode::OK
        };
        let routes = Router::new().route("/write", post(take)).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/write", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    fn taken(&self) -> Vec<(String, i64, f64)> {
        self.taken.lock().unwrap().clone()
    }
}

fn samples(body: &[u8]) -> Vec<(String, i64, f64)> {
    let message = wire::compress::snappy_decode(body, 1 << 20).unwrap();
    let mut request = Message::new(&message, Version::V1, Limits::default()).unwrap();
    let mut found = Vec::new();
    while let Some(Item::Series(series)) = request.next_item().unwrap() {
        let name = series.labels().unwrap().to_string();
        let mut values = series.values();
        while let Some(value) = values.next_value().unwrap() {
            if let SeriesValue::Sample(sample) = value {
                found.push((name.clone(), sample.timestamp_ms, sample.value));
            }
        }
    }
    found
}

/// The server as a process of its own, which can be killed.
fn spawn(dir: &std::path::Path, yaml: &str) -> (Child, String) {
    let file = dir.join("loki.yaml");
    let text = format!(
        "auth_enabled: false\nserver: {{http_listen_port: 0, http_listen_address: 127.0.0.1}}\ncommon: {{path_prefix: {}}}\n{yaml}",
        dir.display()
    );
    std::fs::write(&file, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_foursight-logs"))
        .arg(format!("-config.file={}", file.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let url = loop {
        let line = log.next().expect("a server that listens").unwrap();
        if let Some((_, rest)) = line.split_once("http://127.0.0.1:") {
            break format!("http://127.0.0.1:{}", rest.chars().take_while(char::is_ascii_digit).collect::<String>());
        }
    };
    // Nobody else reads it, and a full pipe would stop the server.
    std::thread::spawn(move || log.for_each(drop));
    (child, url)
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1200 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: never");
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_survive_a_kill_while_their_receiver_is_dead() {
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let dir = tempfile::tempdir().unwrap();
    let yaml = format!(
        "ruler:\n  evaluation_interval: 1s\n  remote_write:\n    enabled: true\n    clients: {{metrics: {{url: '{url}', queue_config: {{max_backoff: 1s}}}}}}\n"
    );
    let (mut child, server) = spawn(dir.path(), &yaml);
    let client = Client::new(&HttpClientConfig::default(), "test").unwrap();
    let send = async |path: &str, kind: &'static str, body: String| {
        client.send(Request::post(format!("{server}{path}"), kind, body)).await.unwrap().status.as_u16()
    };
    let push = format!(r#"{{"streams":[{{"stream":{{"job":"a"}},"values":[["{}","x"]]}}]}}"#, now_ns());
    assert_eq!(send("/loki/api/v1/push", "application/json", push).await, 204);
    let group = "name: g\nrules: [{record: lines:count, expr: 'sum(count_over_time({job=\"a\"}[1h]))'}]\n";
    assert_eq!(send("/loki/api/v1/rules/ns", "application/yaml", group.into()).await, 202);
    until("an attempt to deliver", || receiver.asked.load(Ordering::Relaxed)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let killed_ms = kit::time::now_ms();
    // Without the rule nothing new is made: what comes was there before.
    std::fs::remove_dir_all(dir.path().join("logstore/rules")).unwrap();
    receiver.works.store(true, Ordering::Relaxed);
    let server = Server::start(dir.path(), &yaml).await;
    until("delivery", || !receiver.taken().is_empty()).await;
    let sent = |a: &kit::client::Response| {
        String::from_utf8_lossy(&a.body)
            .contains("loki_ruler_wal_prometheus_remote_storage_samples_total{remote_name=\"metrics\"} ")
    };
    server.wait_for("/metrics", sent).await;
    server.stop().await;
    let taken = receiver.taken();
    for (name, time_ms, value) in &taken {
        assert_eq!((name.as_str(), *value), ("lines:count", 1.0));
        assert!(*time_ms <= killed_ms, "{taken:?}");
    }
    let mut times: Vec<i64> = taken.iter().map(|(_, time_ms, _)| *time_ms).collect();
    times.dedup();
    assert_eq!(times.len(), taken.len(), "each is delivered once: {taken:?}");
    assert!(times.is_sorted());

    // What was delivered is not sent again.
    let server = Server::start(dir.path(), &yaml).await;
    assert_eq!(server.get("/prometheus/api/v1/rules").await.status, 200);
    server.stop().await;
    assert_eq!(receiver.taken(), taken);
}
