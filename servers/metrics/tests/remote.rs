//! Remote write and read between servers: nothing is lost while a peer is dead, slow or refusing, nor over a restart.

mod common;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use common::{Server, Target};
use kit::client::Request;
use wire::remote_read::{Query, ReadRequest, ResponseType, decode_response, read_frame};
use wire::remote_write::{Item, Limits, Request as Message, RequestWriter, SeriesValue, Version};

fn sender(peer: &str, more: &str) -> String {
    format!(
        "global: {{external_labels: {{site: home}}}}\nremote_write:\n- url: {peer}\n  queue_config: {{batch_send_deadline: 50ms, min_backoff: 20ms, max_backoff: 100ms}}\n  metadata_config: {{send: false}}\n{more}"
    )
}

/// The float samples of messages, in their order: series, time, value.
fn samples(bodies: &[bytes::Bytes], version: Version) -> Vec<(String, i64, f64)> {
    let mut found = Vec::new();
    for body in bodies {
        let message = wire::compress::snappy_decode(body, 1 << 24).unwrap();
        let mut message = Message::new(&message, version, Limits::default()).unwrap();
        while let Some(item) = message.next_item().unwrap() {
            let Item::Series(series) = item else { continue };
            let labels = series.labels().unwrap().to_string();
            let mut values = series.values();
            while let Some(value) = values.next_value().unwrap() {
                if let SeriesValue::Sample(sample) = value {
                    found.push((labels.clone(), sample.timestamp_ms, sample.value));
                }
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_wait_for_a_peer_that_fails_even_over_a_restart() {
    let peer = Target::start("text/plain", "").await;
    peer.set_status(503);
    let rules = "  write_relabel_configs:\n  - {source_labels: [__name__], regex: secret, action: drop}\n";
    let mut server = Server::start(&sender(&format!("http://{}/write", peer.address), rules), &[]).await;
    // All of it lies in the past: an instant query sees the newest.
    let now = kit::time::now_ms() - 60_000;
    let mut written = 0;
    let mut write = async |server: &Server| {
        for _ in 0..20 {
            let at = now + written * 10;
            server.write_samples(&[("__name__", "m"), ("a", "b")], &[(at, written as f64)]).await;
            server.write_samples(&[("__name__", "secret")], &[(at, 1.0)]).await;
            written += 1;
        }
    };
    write(&server).await;
    server.until("the peer was asked twice", async || peer.received().len() >= 2).await;
    server.restart().await;
    write(&server).await;
    assert_eq!(server.value("m").await, Some(39.0), "a dead peer holds nobody up");
    peer.forget_and_answer(204);
    let all = async || {
        let mut seen = samples(&peer.received(), Version::V1);
        seen.dedup();
        seen
    };
    server.until("everything has come", async || all().await.iter().any(|(_, _, value)| *value == 39.0)).await;
    let seen = all().await;
    assert!(seen.iter().all(|(labels, _, _)| labels == r#"m{a="b", site="home"}"#), "{seen:?}");
    let values: Vec<f64> = seen.iter().map(|(_, _, value)| *value).collect();
    let want: Vec<f64> = (0..40).map(f64::from).collect();
    assert_eq!(values, want, "in order, none missing");
    let headers = peer.asked().pop().unwrap();
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["x-prometheus-remote-write-version"], "0.1.0");

    // What was sent is not sent again after another restart.
    server.until("the queue is empty", async || metric(&server, "samples_pending").await == 0.0).await;
    server.restart().await;
    peer.forget();
    write(&server).await;
    server.until("the new ones have come", async || all().await.iter().any(|(_, _, value)| *value == 59.0)).await;
    assert!(all().await.iter().all(|(_, _, value)| *value >= 40.0));
    server.stop().await;
}

async fn metric(server: &Server, name: &str) -> f64 {
    let page = server.get("/metrics").await;
    let start = format!("prometheus_remote_storage_{name}{{");
    let text = String::from_utf8_lossy(&page.body).into_owned();
    text.lines()
        .filter(|line| line.starts_with(&start))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_refuses_is_not_sent_again() {
    let peer = Target::start("text/plain", "no").await;
    peer.set_status(400);
    let more = "  protobuf_message: io.prometheus.write.v2.Request\n  name: mine\n";
    let mut server = Server::start(&sender(&format!("http://{}/write", peer.address), more), &[]).await;
    let now = kit::time::now_ms();
    server.write_samples(&[("__name__", "m")], &[(now, 1.0), (now + 1, 2.0)]).await;
    server.until("they are counted", async || metric(&server, "samples_failed_total").await == 2.0).await;
    peer.set_status(204);
    server.write_samples(&[("__name__", "m")], &[(now + 2, 3.0)]).await;
    server.until("the next one is taken", async || metric(&server, "samples_total").await == 1.0).await;
    let seen = samples(&peer.received(), Version::V2);
    assert_eq!(seen.iter().map(|(_, _, value)| *value).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
    let headers = peer.asked().pop().unwrap();
    assert_eq!(headers["content-type"], "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scraped_samples_and_rules_reach_another_server() {
    let mut receiver = Server::start("", &[]).await;
    let target = Target::start("text/plain; version=0.0.4", "# HELP m Things.\n# TYPE m gauge\nm 5\n").await;
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules.yml");
    std::fs::write(&rules, "groups:\n- name: g\n  interval: 200ms\n  rules:\n  - {record: twice, expr: m * 2}\n")
        .unwrap();
    let config = format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\nrule_files: ['{}']\nscrape_configs:\n- job_name: j\n  static_configs:\n  - targets: ['{}']\nremote_write:\n- url: {}/api/v1/write\n  queue_config: {{batch_send_deadline: 50ms}}\n  metadata_config: {{send_interval: 500ms}}\n",
        rules.display(),
        target.address,
        receiver.url
    );
    let mut server = Server::start(&config, &[]).await;
    receiver.until("a scraped sample has come", async || receiver.value("m{job='j'}").await == Some(5.0)).await;
    receiver.until("a recorded one too", async || receiver.value("twice").await == Some(10.0)).await;
    receiver
        .until("and the metadata", async || {
            receiver.data("/api/v1/metadata?metric=m").await["m"][0]["help"] == "Things."
        })
        .await;
    server.stop().await;
    receiver.stop().await;
}

fn read_request(accepted: Vec<ResponseType>, start_ms: i64, end_ms: i64) -> Vec<u8> {
    let matchers = vec![model::Matcher::equal("__name__", "m")];
    let query = Query { start_ms, end_ms, matchers, hints: None };
    wire::compress::snappy_encode(&ReadRequest { queries: vec![query], accepted }.encode())
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_are_read_in_both_forms_and_by_another_server() {
    let mut holder = Server::start("global: {external_labels: {site: far}}\n", &[]).await;
    let now = kit::time::now_ms() / 1000 * 1000;
    let written: Vec<(i64, f64)> = (0..300).map(|i| (now - 300_000 + i * 1000, i as f64 / 4.0)).collect();
    assert_eq!(holder.write_samples(&[("__name__", "m"), ("a", "b")], &written).await.status, StatusCode::NO_CONTENT);
    let ask = async |accepted: Vec<ResponseType>| {
        let body = read_request(accepted, written[10].0, written[280].0);
        let request = Request::post(format!("{}/api/v1/read", holder.url), "application/x-protobuf", body)
            .header(HeaderName::from_static("content-encoding"), HeaderValue::from_static("snappy"));
        holder.send(request).await
    };
    let whole = ask(vec![]).await;
    assert_eq!(whole.status, StatusCode::OK, "{}", whole.excerpt());
    let message = wire::compress::snappy_decode(&whole.body, 1 << 24).unwrap();
    let results = decode_response(&message).unwrap();
    assert_eq!(results[0][0].0.to_string(), r#"m{a="b", site="far"}"#);
    assert_eq!(results[0][0].1, written[10..=280]);
    let streamed = ask(vec![ResponseType::StreamedXorChunks]).await;
    assert!(streamed.header("content-type").unwrap().starts_with("application/x-streamed-protobuf"));
    let (_, series, rest) = read_frame(&streamed.body).unwrap().unwrap();
    assert!(rest.is_empty() && series[0].1.len() == 3);
    let bad = Request::post(format!("{}/api/v1/read", holder.url), "application/x-protobuf", "garbage");
    assert_eq!(holder.send(bad).await.status, StatusCode::BAD_REQUEST);

    let config = format!("remote_read:\n- {{url: '{}/api/v1/read', name: far, read_recent: true}}\n", holder.url);
    let mut reader = Server::start(&config, &[]).await;
    assert_eq!(reader.value("m{a='b'}").await, Some(74.75));
    assert_eq!(reader.value("count_over_time(m[10m])").await, Some(300.0));
    // Own samples and the peer's make one series.
    reader.write_samples(&[("__name__", "m"), ("a", "b"), ("site", "far")], &[(now + 1000, 80.0)]).await;
    assert_eq!(reader.value("m @ end() offset -2s").await, Some(80.0));
    assert_eq!(reader.value("count(count_over_time(m[10m] offset -2s))").await, Some(1.0));
    assert_eq!(reader.value("max_over_time(m[10m] offset -2s)").await, Some(80.0));
    holder.stop().await;
    // A peer that is gone is a warning.
    let answer = reader.get("/api/v1/query?query=m").await;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["status"], "success", "{body}");
    assert!(body["warnings"][0].as_str().is_some_and(|text| text.contains("far")), "{body}");
    reader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn histograms_exemplars_and_metadata_are_received() {
    let mut server = Server::start("", &[]).await;
    let now = kit::time::now_ms();
    let histogram = model::FloatHistogram {
        count: 4.0,
        sum: 5.0,
        positive_spans: vec![model::Span { offset: 0, length: 2 }],
        positive_buckets: vec![1.0, 3.0],
        ..model::FloatHistogram::default()
    };
    let mut message = RequestWriter::new();
    message.metadata(&wire::remote_write::Metadata {
        family: "h",
        kind: wire::exposition::MetricKind::Histogram,
        help: "Help.",
        unit: "",
    });
    message.series([("__name__", "h"), ("a", "b")], |values| {
        values.histogram(now, &wire::Native::Float(histogram.clone()));
        values.exemplar([("trace_id", "t")], now, 0.5);
    });
    let body = wire::compress::snappy_encode(&message.finish());
    let answer = server.write("application/x-protobuf", body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.excerpt());
    assert_eq!(server.value("histogram_count(h)").await, Some(4.0));
    assert_eq!(server.query("h").await[0]["histogram"][1]["sum"], "5");
    let found = server.data("/api/v1/query_exemplars?query=rate(h%5B5m%5D)").await;
    assert_eq!(found[0]["seriesLabels"], serde_json::json!({"__name__": "h", "a": "b"}));
    assert_eq!(found[0]["exemplars"][0]["labels"]["trace_id"], "t");
    assert_eq!(found[0]["exemplars"][0]["value"], "0.5");
    assert_eq!(server.data("/api/v1/metadata").await["h"][0]["type"], "histogram");

    let mut broken = RequestWriter::new();
    let wrong = model::FloatHistogram { positive_buckets: vec![1.0], ..histogram };
    broken.series([("__name__", "h")], |values| values.histogram(now, &wire::Native::Float(wrong)));
    let answer = server.write("application/x-protobuf", wire::compress::snappy_encode(&broken.finish())).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    server.assert_unharmed("histograms").await;
    server.stop().await;
}
