//! Alerting as a whole: rules over a fake Prometheus and Loki, messages to a fake Slack, on a clock of the test's own.

mod api;
mod life;

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::tests::Harness;

/// What the world outside says, and what it was told.
#[derive(Debug, Default)]
struct World {
    /// Values of the metric by instance; `None`: the source is broken.
    values: Option<Vec<(&'static str, f64)>>,
    /// Messages that Slack took.
    messages: Vec<Value>,
    /// How many messages Slack refuses from now on.
    refusals: usize,
    attempts: usize,
    /// Queries that Loki was asked.
    log_queries: Vec<String>,
    /// Bodies of remote writes, decompressed.
    writes: Vec<Vec<u8>>,
}

type Shared = Arc<Mutex<World>>;

async fn answer(State(world): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let mut world = world.lock();
    match parts.uri.path() {
        "/api/v1/query" => match &world.values {
            None => (StatusCode::BAD_REQUEST, r#"{"status":"error","errorType":"execution","error":"broken"}"#)
                .into_response(),
            Some(values) => {
                let series: Vec<Value> = values
                    .iter()
                    .map(|(instance, value)| json!({"metric": {"instance": instance}, "value": [1, value.to_string()]}))
                    .collect();
                let data = json!({"resultType": "vector", "result": series});
                axum::Json(json!({"status": "success", "data": data})).into_response()
            }
        },
        "/loki/api/v1/query_range" => {
            world.log_queries.push(parts.uri.query().unwrap_or("").to_owned());
            let lines = json!([["2000000000", "second <line>"], ["1000000000", "first line"]]);
            let data = json!({"resultType": "streams", "result": [{"stream": {"job": "titan"}, "values": lines}]});
            axum::Json(json!({"status": "success", "data": data})).into_response()
        }
        "/api/v1/write" => {
            world.writes.push(wire::compress::snappy_decode(&body, 1 << 20).unwrap());
            StatusCode::NO_CONTENT.into_response()
        }
        "/hook" => {
            world.attempts += 1;
            if world.refusals > 0 {
                world.refusals -= 1;
                return (StatusCode::INTERNAL_SERVER_ERROR, "try later").into_response();
            }
            world.messages.push(serde_json::from_slice(&body).unwrap());
            "ok".into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A server with the world around it.
struct Stage {
    harness: Harness,
    world: Shared,
    url: String,
    _server: tokio::task::JoinHandle<()>,
}

/// Groups lie on multiples of their interval.
const INI: &str = "[unified_alerting]\ndisable_jitter = true\n[server]\nroot_url = http://dash.test/\n";

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

const SOURCES: &str = "apiVersion: 1
datasources:
  - {name: Metrics, uid: metrics, type: prometheus, access: proxy, url: 'URL', isDefault: true}
  - {name: Logs, uid: logs, type: loki, access: proxy, url: 'URL'}
";

const POINTS: &str = "apiVersion: 1
contactPoints:
  - name: slack
    receivers:
      - uid: slack
        type: slack
        settings: {url: 'URL/hook', recipient: '#alerts'}
policies:
  - receiver: slack
    group_by: [grafana_folder, alertname]
    group_wait: 10s
    group_interval: 1m
    repeat_interval: 4h
";

const RULES: &str = "apiVersion: 1
groups:
  - name: hosts
    folder: Foursight
    interval: 1m
    rules:
      - uid: disk
        title: Disk full
        condition: C
        for: 1m
        noDataState: OK
        labels: {severity: critical}
        annotations:
          summary: 'Disk of {{ $labels.instance }} at {{ $values.A.Value }}'
          logs_query: '{job=\"titan\"} |= \"disk\"'
        data:
          - refId: A
            relativeTimeRange: {from: 600, to: 0}
            datasourceUid: metrics
            model: {refId: A, instant: true, expr: disk_used}
          - refId: C
            datasourceUid: __expr__
            model:
              refId: C
              type: threshold
              expression: A
              conditions: [{evaluator: {type: gt, params: [90]}}]
";

impl Stage {
    async fn new() -> Self {
        Self::with(RULES).await
    }

    async fn with(rules: &str) -> Self {
        let world = Shared::default();
        world.lock().values = Some(vec![("web", 10.0)]);
        let router = Router::new().fallback(answer).with_state(world.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let harness = Harness::with(INI, |root| {
            let dir = root.join("provisioning");
            write(&dir.join("datasources/all.yaml"), &SOURCES.replace("URL", &url));
            write(&dir.join("alerting/points.yaml"), &POINTS.replace("URL", &url));
            write(&dir.join("alerting/rules.yaml"), rules);
        })
        .await;
        Self { harness, world, url, _server: server }
    }

    fn set(&self, values: &[(&'static str, f64)]) {
        self.world.lock().values = Some(values.to_vec());
    }

    /// Lets time pass in steps of five seconds; what is due is done at each.
    async fn pass(&self, seconds: i64) {
        let app = &self.harness.app;
        for _ in 0..seconds / 5 {
            self.harness.advance(5000);
            app.alerts.evaluate_due(app).await;
            for send in app.alerts.notify_due(app).await {
                app.alerts.carry_out(app, send).await;
            }
        }
    }

    async fn restart(self) -> Self {
        let Self { harness, world, url, _server } = self;
        Self { harness: harness.restart(INI).await, world, url, _server }
    }

    fn messages(&self) -> Vec<String> {
        self.world.lock().messages.iter().map(ToString::to_string).collect()
    }

    /// State of the first instance of the first rule, as the API shows it.
    async fn states(&self) -> Vec<String> {
        let rules = self.harness.get("/api/prometheus/grafana/api/v1/rules").await.expect(200);
        let alerts = rules["data"]["groups"][0]["rules"][0]["alerts"].as_array().unwrap().clone();
        alerts.iter().map(|alert| alert["state"].as_str().unwrap().to_owned()).collect()
    }
}
