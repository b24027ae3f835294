//! The agent as a whole, against peers that only listen.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use kit::client::{Client, Request};
use wire::loki::{Entry, Limits, Push};
use wire::remote_write::{self, Item, SeriesValue, Version};

use super::*;

/// Takes pushes and samples, unless told to refuse.
#[derive(Clone, Default)]
struct Peer {
    lines: Arc<Mutex<Vec<String>>>,
    samples: Arc<Mutex<Vec<String>>>,
    refusing: Arc<AtomicBool>,
}

async fn take_logs(State(peer): State<Peer>, body: Bytes) -> StatusCode {
    if peer.refusing.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let body = wire::compress::snappy_decode(&body, 64 << 20).unwrap();
    let mut push = Push::new(&body, Limits::default());
    let mut entry = Entry::default();
    while let Some(stream) = push.next_stream().unwrap() {
        let mut entries = stream.entries();
        while entries.next_into(&mut entry).unwrap() {
            peer.lines.lock().push(format!("{} {}", stream.labels, entry.line));
        }
    }
    StatusCode::NO_CONTENT
}

async fn take_samples(State(peer): State<Peer>, body: Bytes) -> StatusCode {
    if peer.refusing.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let body = wire::compress::snappy_decode(&body, 64 << 20).unwrap();
    let mut request = remote_write::Request::new(&body, Version::V1, remote_write::Limits::default()).unwrap();
    while let Some(item) = request.next_item().unwrap() {
        let Item::Series(series) = item else { continue };
        let labels = series.labels().unwrap();
        let mut values = series.values();
        while let Some(SeriesValue::Sample(sample)) = values.next_value().unwrap() {
            peer.samples.lock().push(format!("{labels} {}", sample.value));
        }
    }
    StatusCode::NO_CONTENT
}

async fn start_peer() -> (Peer, String, Shutdown) {
    let peer = Peer::default();
    let router = Router::new()
        .route("/push", post(take_logs))
        .route("/write", post(take_samples))
        .route("/metrics", get(async || "# TYPE demo gauge\ndemo{a=\"b\",job=\"own\"} 7\n"))
        .with_state(peer.clone());
    let listener = kit::http::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let shutdown = Shutdown::new();
    tokio::spawn(kit::http::serve(vec![listener], router, ServeOptions::default(), shutdown.clone()));
    (peer, address, shutdown)
}

struct Running {
    address: String,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<Result<(), RunError>>,
}

async fn start_agent(dir: &Path, text: &str) -> Running {
    let file = dir.join("config.alloy");
    std::fs::write(&file, text).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let config = AgentConfig { listen: free.clone(), storage: dir.join("storage"), ..AgentConfig::new(file) };
    let shutdown = Shutdown::new();
    let task = tokio::spawn(run(config, None, shutdown.clone()));
    let running = Running { address: free, shutdown, task };
    for _ in 0..400 {
        if running.task.is_finished() || get_page(&running, "/-/ready").await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running
}

async fn get_page(agent: &Running, path: &str) -> Result<(u16, String), String> {
    let client = Client::new(&Default::default(), "test").unwrap();
    let answer = client.send(Request::get(format!("http://{}{path}", agent.address))).await;
    answer.map(|a| (a.status.as_u16(), String::from_utf8_lossy(&a.body).into_owned())).map_err(|e| e.to_string())
}

impl Running {
    async fn stop(self) {
        self.shutdown.trigger();
        self.task.await.unwrap().unwrap();
    }
}

/// Waits until something holds, at most half a minute.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not happen");
}

fn append(path: &Path, text: &str) {
    use std::io::Write;
    std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn logs_config(logs: &Path, address: &str) -> String {
    format!(
        r#"
logging {{ level = "error" }}
local.file_match "titan" {{
  path_targets = [{{ __path__ = "{logs}/*.log", job = "titan", host = "web" }}]
  sync_period  = "200ms"
}}
loki.source.file "titan" {{
  targets    = local.file_match.titan.targets
  forward_to = [loki.process.titan.receiver]
  file_watch {{ min_poll_frequency = "20ms" }}
}}
loki.process "titan" {{
  forward_to = [loki.relabel.drop.receiver]
  stage.logfmt {{ mapping = {{ level = "" }} }}
  stage.labels {{ values = {{ level = "" }} }}
}}
loki.relabel "drop" {{
  forward_to = [loki.write.out.receiver]
  rule {{
    source_labels = ["level"]
    regex         = "debug"
    action        = "drop"
  }}
}}
loki.write "out" {{
  endpoint {{
    url                = "http://{address}/push"
    batch_wait         = "50ms"
    min_backoff_period = "20ms"
    max_backoff_period = "100ms"
    max_backoff_retries = 0
    queue_config {{ drain_timeout = "100ms" }}
  }}
  external_labels = {{ cluster = "test" }}
}}
"#,
        logs = logs.display()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_arrive_once_over_outages_rotation_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let file = logs.join("a.log");
    let (peer, address, _peer_shutdown) = start_peer().await;
    let config = logs_config(&logs, &address);
    let line = |n: u32| format!("level=info n={n}\n");
    let arrived = |n: usize| {
        let lines = peer.lines.clone();
        move || lines.lock().len() >= n
    };

    append(&file, &(0..10).map(line).collect::<String>());
    append(&file, "level=debug dropped\n");
    let agent = start_agent(dir.path(), &config).await;
    until("first lines", arrived(10)).await;
    let (_, page) = get_page(&agent, "/").await.unwrap();
    assert!(page.contains("loki.source.file.titan") && page.contains("healthy"), "{page}");
    agent.stop().await;

    // Written while nobody looks, then rotated.
    append(&file, &(10..20).map(line).collect::<String>());
    std::fs::rename(&file, logs.join("a.log.1")).unwrap();
    append(&file, &(20..30).map(line).collect::<String>());
    let agent = start_agent(dir.path(), &config).await;
    until("lines after the restart", arrived(30)).await;

    // The receiver is out: nothing is lost, and a stop in the middle keeps the place.
    peer.refusing.store(true, Ordering::SeqCst);
    append(&file, &(30..40).map(line).collect::<String>());
    tokio::time::sleep(Duration::from_millis(300)).await;
    agent.stop().await;
    append(&file, &(40..50).map(line).collect::<String>());
    peer.refusing.store(false, Ordering::SeqCst);
    let agent = start_agent(dir.path(), &config).await;
    until("lines after the outage", arrived(50)).await;
    // Copied and cut.
    std::fs::write(&file, "").unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    append(&file, &(50..60).map(line).collect::<String>());
    until("lines after the cut", arrived(60)).await;
    agent.stop().await;

    let lines = peer.lines.lock().clone();
    let numbers: Vec<u32> = lines.iter().map(|l| l.rsplit_once("n=").unwrap().1.parse().unwrap()).collect();
    assert_eq!(numbers, (0..60).collect::<Vec<_>>(), "each once, in order");
    let want = format!(
        "{{cluster=\"test\", filename=\"{}\", host=\"web\", job=\"titan\", level=\"info\"}} level=info n=0",
        file.display()
    );
    assert_eq!(lines[0], want);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_go_through_the_queue_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (peer, address, _peer_shutdown) = start_peer().await;
    let config = format!(
        r#"
prometheus.exporter.self "own" {{}}
prometheus.exporter.unix "host" {{
  set_collectors = ["loadavg"]
}}
discovery.relabel "titan" {{
  targets = [{{ __address__ = "{address}", env = "test" }}]
  rule {{
    source_labels = ["env"]
    target_label  = "stage"
  }}
}}
prometheus.scrape "all" {{
  targets         = array.concat(discovery.relabel.titan.output, prometheus.exporter.unix.host.targets)
  forward_to      = [prometheus.relabel.names.receiver]
  scrape_interval = "200ms"
  scrape_timeout  = "200ms"
}}
prometheus.relabel "names" {{
  forward_to = [prometheus.remote_write.out.receiver]
  rule {{
    source_labels = ["__name__"]
    regex         = "scrape_duration_seconds"
    action        = "drop"
  }}
}}
prometheus.remote_write "out" {{
  endpoint {{
    url = "http://{address}/write"
    queue_config {{
      batch_send_deadline = "50ms"
      max_backoff         = "100ms"
    }}
  }}
  external_labels = {{ cluster = "c" }}
}}
"#
    );
    let demo = format!(
        r#"demo{{a="b", cluster="c", env="test", exported_job="own", instance="{address}", job="prometheus.scrape.all", stage="test"}} 7"#
    );
    peer.refusing.store(true, Ordering::SeqCst);
    let agent = start_agent(dir.path(), &config).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    agent.stop().await;
    assert!(peer.samples.lock().is_empty());
    // What was scraped while the receiver was out comes after a restart.
    peer.refusing.store(false, Ordering::SeqCst);
    let agent = start_agent(dir.path(), &config).await;
    until("samples", || {
        let samples = peer.samples.lock();
        samples.iter().filter(|s| **s == demo).count() >= 4 && samples.iter().any(|s| s.starts_with("node_load1{"))
    })
    .await;
    let (_, metrics) = get_page(&agent, "/metrics").await.unwrap();
    assert!(metrics.contains("prometheus_remote_storage_samples_total{component_id=\"prometheus.remote_write.out\""));
    let (_, node) = get_page(&agent, "/api/v0/component/prometheus.exporter.unix.host/metrics").await.unwrap();
    assert!(node.contains("\nnode_load1 "));
    agent.stop().await;
    let samples = peer.samples.lock();
    let names: BTreeSet<&str> = samples.iter().map(|s| s.split('{').next().unwrap()).collect();
    assert!(names.contains("up") && names.contains("scrape_samples_scraped"), "{names:?}");
    assert!(!names.contains("scrape_duration_seconds"), "{names:?}");
    assert!(samples.iter().any(|s| s.starts_with("demo{") && s.ends_with(" NaN")), "a stale marker at the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_reload_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (peer, address, _peer_shutdown) = start_peer().await;
    let logs = dir.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let good = logs_config(&logs, &address);
    let agent = start_agent(dir.path(), &good).await;
    let file = dir.path().join("config.alloy");
    std::fs::write(&file, good.replace("loki.write.out.receiver", "loki.write.gone.receiver")).unwrap();
    let (status, text) = get_page(&agent, "/-/reload").await.unwrap();
    assert_eq!(status, 400);
    assert!(
        text.contains("config.alloy:18:17: component or name \"loki.write.gone.receiver\" does not exist"),
        "{text}"
    );
    append(&logs.join("a.log"), "level=info still=here\n");
    until("a line under the old configuration", || peer.lines.lock().len() == 1).await;
    std::fs::write(&file, good.replace("cluster = \"test\"", "cluster = \"new\"")).unwrap();
    assert_eq!(get_page(&agent, "/-/reload").await.unwrap().0, 200);
    append(&logs.join("a.log"), "level=info after=reload\n");
    until("a line under the new configuration", || peer.lines.lock().len() == 2).await;
    assert!(peer.lines.lock()[1].contains("cluster=\"new\""));
    let (status, _) = get_page(&agent, "/-/healthy").await.unwrap();
    assert_eq!(status, 200);
    agent.stop().await;
}

#[test]
fn configurations_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.alloy");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        validate(&file)
    };
    let name = file.display();
    assert_eq!(check("// nothing\n"), Ok(()));
    let cases = [
        ("x = 1\n", format!("{name}:1:1: unrecognized attribute \"x\"")),
        (
            "otelcol.receiver.otlp \"a\" {}\n",
            format!("{name}:1:1: \"otelcol.receiver.otlp\" is not built into this agent"),
        ),
        ("declare \"a\" {}\n", "is not built into this agent".into()),
        ("lokii.write \"a\" {}\n", format!("{name}:1:1: unrecognized component or block \"lokii.write\"")),
        ("loki.write {}\n", "needs a label".into()),
        (
            "loki.write \"a\" {}\nloki.write \"a\" {}\n",
            format!("{name}:2:1: component \"loki.write.a\" is given twice"),
        ),
        (
            "loki.process \"a\" { forward_to = [loki.process.b.receiver] }\nloki.process \"b\" { forward_to = [loki.process.a.receiver] }\n",
            "in a circle: loki.process.a -> loki.process.b -> loki.process.a".into(),
        ),
        ("loki.write \"a\" { endpoint { } }\n", format!("{name}:1:18: missing required attribute \"url\"")),
        ("loki.write \"a\" {\n  endpoint {\n    url = 5 + true\n  }\n}\n", format!("{name}:3:11: operator +")),
        ("loki.write \"a\" { wal { enabled = true } }\n", "wal: not built".into()),
        (
            "prometheus.scrape \"a\" { targets = 5\n forward_to = [] }\n",
            "targets must be a list of targets, not number".into(),
        ),
        ("loki.source.file \"a\" { targets = [{__path__ = \"rel\"}]\n forward_to = [] }\n", "absolute __path__".into()),
        ("discovery.dns \"a\" { names = [\"x\"] }\n", "type SRV are not supported".into()),
        ("logging { level = \"loud\" }\n", format!("{name}:1:19: unknown log level \"loud\"")),
    ];
    for (text, want) in cases {
        let error = check(text).unwrap_err();
        assert!(error.contains(&want), "{text}: {error}");
    }
    let shown = check("loki.write \"a\" {\n\tnope = 1\n}\n").unwrap_err();
    assert!(shown.ends_with("\n\n2 | \tnope = 1\n  | \t       ^"), "{shown}");
}
