//! Whether the four hosts are well: probes of their parts and a few figures, for the home page.
//!
//! Addresses come from the section `[foursight]`; what is not there is derived: the metrics and logs hosts from the data
//! sources, the web host's parts from the targets that the metrics host scrapes under the jobs `titan`, `node` and `agent`.
//! Answers are kept for a moment, so that many watchers cost what one does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit::client::{Client, HttpClientConfig, Request};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::app::Shared;
use crate::datasources::query::{Answer, Asker, Query};

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(3);
/// Longest wait for a part.
const PATIENCE: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(crate) struct Hosts {
    client: Client,
    last: Mutex<Option<(Instant, Value)>>,
}

impl Hosts {
    pub(crate) fn new() -> Result<Self, kit::client::ClientError> {
        let settings = HttpClientConfig { follow_redirects: false, enable_http2: false, ..HttpClientConfig::default() };
        let agent = format!("Foursight/{}", crate::VERSION);
        Ok(Self { client: Client::new(&settings, &agent)?, last: Mutex::new(None) })
    }
}

/// `{"hosts": […]}`
pub(crate) async fn answer(app: &Shared) -> Value {
    // Whoever comes while a probe runs waits for its answer.
    let mut last = app.hosts.last.lock().await;
    if let Some((at, answer)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
        let _ = at;
        return answer.clone();
    }
    let answer = probe_all(app).await;
    *last = Some((Instant::now(), answer.clone()));
    answer
}

/// A part to be probed.
struct Part {
    name: &'static str,
    url: Option<String>,
    path: &'static str,
    /// How to make it known, when its address is not.
    setting: &'static str,
}

async fn probe_all(app: &Shared) -> Value {
    let settings = &app.settings.foursight;
    let metrics = app.datasources.default_of(Some("prometheus"));
    let logs = app.datasources.default_of(Some("loki"));
    let base = |url: &str| url.trim_end_matches('/').to_owned();
    let metrics_url = settings.metrics_url.clone().or_else(|| metrics.as_ref().map(|source| base(&source.url)));
    let logs_url = settings.logs_url.clone().or_else(|| logs.as_ref().map(|source| base(&source.url)));
    let web = [&settings.web_url, &settings.node_url, &settings.agent_url];
    let targets = match &metrics_url {
        Some(url) if web.iter().any(|url| url.is_none()) => targets(app, url).await,
        _ => BTreeMap::new(),
    };
    let or_target = |url: &Option<String>, job: &str| url.clone().or_else(|| targets.get(job).cloned());
    let part = |name, url, path, setting| Part { name, url, path, setting };
    let parts = [
        part("titan", or_target(&settings.web_url, "titan"), "/health", "web_url"),
        part("node", or_target(&settings.node_url, "node"), "/", "node_url"),
        part("agent", or_target(&settings.agent_url, "agent"), "/-/ready", "agent_url"),
        part("metrics", metrics_url.clone(), "/-/ready", "metrics_url"),
        part("logs", logs_url.clone(), "/ready", "logs_url"),
    ];
    let (probed, figures) = tokio::join!(probe_parts(app, parts), figures(app, metrics));
    let own_url = base(&app.settings.server.root_url);
    let mut hosts = Vec::new();
    for (name, url, part_names) in [
        ("web", probed.first().map(|part| part["url"].clone()), vec!["titan", "node", "agent"]),
        ("metrics", metrics_url.map(Value::from), vec!["metrics"]),
        ("logs", logs_url.map(Value::from), vec!["logs"]),
    ] {
        let parts: Vec<&Value> =
            probed.iter().filter(|part| part_names.iter().any(|name| part["name"] == *name)).collect();
        let up = parts.iter().all(|part| part["up"] == true);
        let detail = figures.get(name).cloned().unwrap_or_default();
        hosts.push(
            json!({"name": name, "url": url.unwrap_or_else(|| "".into()), "up": up, "parts": parts, "detail": detail}),
        );
    }
    let mut detail = Map::new();
    detail.insert("version".into(), crate::VERSION.into());
    detail.insert("uptimeSeconds".into(), ((app.now_ms() - app.started_ms) as f64 / 1000.0).into());
    detail.insert("dashboards".into(), app.dashboards.len().into());
    detail.insert("alertRules".into(), app.alerts.rule_count().into());
    let own = json!({"name": "dashboards", "url": own_url, "up": true, "latencyMs": 0.0, "error": ""});
    hosts.push(json!({"name": "dashboards", "url": own_url, "up": true, "parts": [own], "detail": detail}));
    json!({ "hosts": hosts })
}

async fn probe_parts(app: &Shared, parts: [Part; 5]) -> Vec<Value> {
    let mut tasks = tokio::task::JoinSet::new();
    for (index, part) in parts.into_iter().enumerate() {
        let app = app.clone();
        tasks.spawn(async move { (index, probe(&app, part).await) });
    }
    let mut probed = tasks.join_all().await;
    probed.sort_by_key(|(index, _)| *index);
    probed.into_iter().map(|(_, part)| part).collect()
}

async fn probe(app: &Shared, part: Part) -> Value {
    let Some(url) = part.url else {
        let error = format!("its address is not known: set [foursight] {}", part.setting);
        return json!({"name": part.name, "url": "", "up": false, "latencyMs": 0.0, "error": error});
    };
    let start = Instant::now();
    let mut request = Request::get(format!("{url}{}", part.path)).timeout(PATIENCE);
    request.max_body = 1 << 20;
    let result = app.hosts.client.send(request).await;
    let latency_ms = (start.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
    let error = match result {
        // Where there is no such page the server still answers.
        Ok(answer) if answer.status.is_success() || answer.status.is_redirection() || answer.status.as_u16() == 404 => {
            String::new()
        }
        Ok(answer) => format!("answered {}: {}", answer.status, answer.excerpt()),
        Err(error) => error.to_string(),
    };
    let shown = kit::client::without_credentials(&url);
    json!({"name": part.name, "url": shown, "up": error.is_empty(), "latencyMs": latency_ms, "error": error})
}

/// Addresses of the first target of each job.
async fn targets(app: &Shared, metrics_url: &str) -> BTreeMap<String, String> {
    let mut request = Request::get(format!("{metrics_url}/api/v1/targets?state=active")).timeout(PATIENCE);
    request.max_body = 4 << 20;
    let Ok(answer) = app.hosts.client.send(request).await else { return BTreeMap::new() };
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut found = BTreeMap::new();
    for target in body["data"]["activeTargets"].as_array().into_iter().flatten() {
        let (Some(job), Some(url)) = (target["labels"]["job"].as_str(), target["scrapeUrl"].as_str()) else { continue };
        let Some((scheme, rest)) = url.split_once("://") else { continue };
        let authority = rest.split(['/', '?']).next().unwrap_or("");
        found.entry(job.to_owned()).or_insert_with(|| format!("{scheme}://{authority}"));
    }
    found
}

/// Figures by host: name and expression.
const FIGURES: [(&str, &str, &str); 13] = [
    ("web", "uptimeSeconds", "max(time() - process_start_time_seconds{job=\"titan\"})"),
    ("web", "requestsPerSecond", "sum(rate(http_requests_total{job=\"titan\"}[1m]))"),
    ("web", "linesShipped", "sum(loki_write_sent_entries_total)"),
    ("metrics", "uptimeSeconds", "max(time() - process_start_time_seconds{job=\"metrics\"})"),
    ("metrics", "series", "sum(prometheus_tsdb_head_series)"),
    ("metrics", "samplesPerSecond", "sum(rate(prometheus_tsdb_head_samples_appended_total[1m]))"),
    (
        "metrics",
        "storageBytes",
        "sum(prometheus_tsdb_storage_blocks_bytes) + sum(prometheus_tsdb_wal_storage_size_bytes or vector(0))",
    ),
    ("logs", "uptimeSeconds", "max(time() - process_start_time_seconds{job=\"logs\"})"),
    ("logs", "streams", "sum(loki_ingester_memory_streams)"),
    ("logs", "linesPerSecond", "sum(rate(loki_distributor_lines_received_total[1m]))"),
    ("web", "version", "titan_build_info"),
    ("metrics", "version", "prometheus_build_info"),
    ("logs", "version", "loki_build_info"),
];

async fn figures(
    app: &Shared,
    metrics: Option<crate::datasources::DataSource>,
) -> BTreeMap<&'static str, Map<String, Value>> {
    let mut out: BTreeMap<&'static str, Map<String, Value>> = BTreeMap::new();
    let Some(asker) = metrics.and_then(|source| Asker::new(&app.datasources, source, PATIENCE, 1 << 20).ok()) else {
        return out;
    };
    let asker = Arc::new(asker);
    let now_ms = app.now_ms();
    let mut tasks = tokio::task::JoinSet::new();
    for (host, name, expr) in FIGURES {
        let asker = asker.clone();
        tasks.spawn(async move {
            let query = Query {
                expr: expr.to_owned(),
                instant: true,
                from_ms: now_ms,
                to_ms: now_ms,
                step_ms: 1000,
                max_lines: 1,
                forward: false,
            };
            (host, name, asker.ask(&query).await)
        });
    }
    for (host, name, answer) in tasks.join_all().await {
        let Ok(Answer::Vector(series)) = answer else { continue };
        let Some(first) = series.first() else { continue };
        let value = match (name, first.points.last()) {
            ("version", _) => first.labels.get("version").cloned().map(Value::from),
            (_, Some((_, value))) if value.is_finite() => Some((*value).into()),
            _ => None,
        };
        if let Some(value) = value {
            out.entry(host).or_default().insert(name.to_owned(), value);
        }
    }
    out
}
