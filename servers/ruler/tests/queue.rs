//! Alerts reach their receivers, each relabelled for them; what nobody takes and what there is no room for is counted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alerting::rules::OutgoingAlert;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use foursight_ruler::{AlertQueue, QueueSettings, Receivers};
use kit::Shutdown;
use kit::client::{Client, HttpClientConfig};
use kit::metrics::Registry;
use kit::relabel::{NameScheme, RelabelConfig, Rule, compile_all};
use model::Labels;

type Received = Arc<Mutex<Vec<serde_json::Value>>>;

/// An Alertmanager that remembers what it gets; returns its URL.
async fn alertmanager(received: Received) -> String {
    let take = post(async |State(received): State<Received>, body: Bytes| {
        received.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    });
    let refuse = post(async || StatusCode::INTERNAL_SERVER_ERROR);
    let routes = Router::new().route("/take", take).route("/refuse", refuse).with_state(received);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

fn receivers(url: String, relabel_rules: Vec<Rule>) -> Receivers {
    Receivers {
        client: Some(Client::new(&HttpClientConfig::default(), "test").unwrap()),
        timeout: Duration::from_secs(60),
        relabel_rules,
        urls: Box::new(move || vec![url.clone()]),
    }
}

fn rules(yaml: &str) -> Vec<Rule> {
    let configs: Vec<RelabelConfig> = kit::yaml::parse(yaml).unwrap().deserialize().unwrap();
    compile_all(&configs, NameScheme::Utf8).unwrap()
}

fn alert(name: &str) -> OutgoingAlert {
    OutgoingAlert {
        labels: Labels::from_pairs([("alertname", name)]),
        annotations: Labels::empty(),
        starts_at_ms: 0,
        ends_at_ms: None,
        generator_url: String::new(),
    }
}

/// Sends what is queued; returns once it has been tried.
async fn flush(queue: &Arc<AlertQueue>) {
    let stop = Shutdown::new();
    stop.trigger();
    queue.clone().run(stop).await;
}

fn value(registry: &Registry, line: &str) -> f64 {
    let text = registry.render_text();
    let found = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
    found.unwrap_or_else(|| panic!("no {line} in {text}"))
}

#[tokio::test]
async fn each_receiver_gets_its_alerts() {
    let (received, registry) = (Received::default(), Registry::new());
    let url = alertmanager(received.clone()).await;
    let queue = AlertQueue::new(QueueSettings { component: "test", prefix: "x", capacity: 10 }, &registry);
    queue.send(vec![alert("Nobody")]);
    queue.configure(
        Labels::from_pairs([("alertname", "not this"), ("site", "a")]),
        rules("[{source_labels: [alertname], regex: Hidden, action: drop}]"),
        vec![
            receivers(format!("{url}/take"), Vec::new()),
            receivers(format!("{url}/refuse"), Vec::new()),
            receivers(format!("{url}/take"), rules("[{action: labeldrop, regex: site}]")),
        ],
    );
    assert_eq!(queue.urls().len(), 3);
    queue.send(vec![alert("A"), alert("Hidden"), alert("B")]);
    assert_eq!(value(&registry, "x_notifications_queue_length"), 2.0);
    flush(&queue).await;
    let received = received.lock().unwrap().clone();
    let labels: Vec<&serde_json::Value> = received.iter().map(|request| &request[0]["labels"]).collect();
    assert_eq!(labels, [&serde_json::json!({"alertname": "A", "site": "a"}), &serde_json::json!({"alertname": "A"})]);
    assert!(received.iter().all(|request| request.as_array().unwrap().len() == 2));
    assert_eq!(value(&registry, &format!("x_notifications_sent_total{{alertmanager=\"{url}/take\"}}")), 4.0);
    assert_eq!(value(&registry, &format!("x_notifications_errors_total{{alertmanager=\"{url}/refuse\"}}")), 2.0);
    assert_eq!(value(&registry, "x_notifications_dropped_total"), 0.0);
    assert_eq!(value(&registry, "x_notifications_queue_length"), 0.0);
}

#[tokio::test]
async fn what_is_lost_is_counted() {
    let (received, registry) = (Received::default(), Registry::new());
    let url = alertmanager(received.clone()).await;
    let queue = AlertQueue::new(QueueSettings { component: "test", prefix: "x", capacity: 2 }, &registry);
    queue.configure(Labels::empty(), Vec::new(), vec![receivers(format!("{url}/refuse"), Vec::new())]);
    queue.send(vec![alert("A"), alert("B"), alert("C")]);
    assert_eq!(value(&registry, "x_notifications_dropped_total"), 1.0);
    // The receivers may change while alerts wait.
    queue.configure(Labels::empty(), Vec::new(), vec![receivers(format!("{url}/take"), Vec::new())]);
    flush(&queue).await;
    let names: Vec<String> = received.lock().unwrap()[0]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["B", "C"], "the oldest go");
    queue.configure(Labels::empty(), Vec::new(), vec![receivers(format!("{url}/refuse"), Vec::new())]);
    queue.send(vec![alert("D")]);
    flush(&queue).await;
    assert_eq!(value(&registry, "x_notifications_dropped_total"), 2.0);
}
