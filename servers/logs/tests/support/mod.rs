//! A server on a free port with its data in a directory that goes away, and a client for it.

#![allow(dead_code, reason = "not every test file uses all of it")]

use std::path::Path;
use std::time::Duration;

use foursight_logs::{Flags, Running, start};
use kit::Shutdown;
use kit::client::{Client, HttpClientConfig, Request, Response};
use serde_json::Value;

/// A running server.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) client: Client,
    stop: Shutdown,
    running: Option<Running>,
}

impl Server {
    /// Starts a server whose data is in `dir`; `yaml` is the configuration beside what every test needs.
    pub(crate) async fn start(dir: &Path, yaml: &str) -> Self {
        let file = dir.join("loki.yaml");
        let auth = if yaml.contains("auth_enabled") { "" } else { "auth_enabled: false\n" };
        let text = format!(
            "{auth}server: {{http_listen_port: 0, http_listen_address: 127.0.0.1}}\ncommon: {{path_prefix: {}}}\n{yaml}",
            dir.display()
        );
        std::fs::write(&file, text).unwrap();
        let flags = Flags::from_args([format!("-config.file={}", file.display())]).unwrap();
        let stop = Shutdown::new();
        let running = start(flags, stop.clone()).await.unwrap();
        let url = format!("http://{}", running.addresses[0]);
        let client = Client::new(&HttpClientConfig::default(), "test").unwrap();
        let server = Self { url, client, stop, running: Some(running) };
        server.wait_for("/ready", |answer| answer.status == 200).await;
        server
    }

    /// Stops it as a signal does.
    pub(crate) async fn stop(mut self) {
        self.stop.trigger();
        if let Some(running) = self.running.take() {
            running.wait().await;
        }
    }

    pub(crate) async fn send(&self, request: Request) -> Response {
        self.client.send(request).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(Request::get(format!("{}{path}", self.url))).await
    }

    pub(crate) async fn get_json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.excerpt());
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub(crate) async fn post(&self, path: &str, kind: &'static str, body: impl Into<Vec<u8>>) -> Response {
        self.send(Request::post(format!("{}{path}", self.url), kind, body.into())).await
    }

    /// Pushes lines of one stream; `labels` as JSON.
    pub(crate) async fn push(&self, labels: &str, lines: &[(i64, &str)]) -> Response {
        let values: Vec<Value> = lines.iter().map(|(ns, line)| serde_json::json!([ns.to_string(), line])).collect();
        let body = format!("{{\"streams\":[{{\"stream\":{labels},\"values\":{}}}]}}", Value::from(values));
        self.post("/loki/api/v1/push", "application/json", body).await
    }

    /// Lines of a query over all times, oldest first.
    pub(crate) async fn lines(&self, query: &str) -> Vec<String> {
        let end = now_ns() + 60_000_000_000;
        let query = escape(query);
        let path = format!("/loki/api/v1/query_range?direction=forward&limit=5000&since=600h&end={end}&query={query}");
        let answer = self.get_json(&path).await;
        let mut found: Vec<(i64, String)> = Vec::new();
        for stream in answer["data"]["result"].as_array().unwrap() {
            for value in stream["values"].as_array().unwrap() {
                found.push((value[0].as_str().unwrap().parse().unwrap(), value[1].as_str().unwrap().to_owned()));
            }
        }
        found.sort_by_key(|(ns, _)| *ns);
        found.into_iter().map(|(_, line)| line).collect()
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn wait_for(&self, path: &str, wanted: impl Fn(&Response) -> bool) -> Response {
        for _ in 0..600 {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} never answered as wanted: {}", self.get(path).await.excerpt());
    }
}

pub(crate) fn now_ns() -> i64 {
    i64::try_from(kit::time::now_ns()).unwrap()
}

pub(crate) fn escape(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
