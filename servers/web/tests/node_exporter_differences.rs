//! The node collectors against a real Node Exporter on this machine: names, types, labels and help of the collectors that
//! both have. Set `FOURSIGHT_NODE_EXPORTER` to the peer's program (for example `/usr/bin/prometheus-node-exporter`);
//! without it the test passes and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use foursight_web::node::{self, COLLECTORS, Collector, NodeConfig};
use kit::client::{Client, HttpClientConfig, Request};
use wire::exposition::{Event, Parser, TextFormat};

struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Family to (type, help, label names, label values of each series where they do not change by themselves).
type Shape = BTreeMap<String, (String, String, BTreeSet<String>, BTreeSet<String>)>;

fn shape(page: &[u8]) -> Shape {
    let mut shape = Shape::new();
    let mut parser = Parser::new(page, TextFormat::Prometheus);
    while let Some(event) = parser.next_event().unwrap() {
        match event {
            Event::Type { name, kind } => shape.entry(name.into()).or_default().0 = kind.as_str().into(),
            Event::Help { name, text } => shape.entry(name.into()).or_default().1 = text.into(),
            Event::Series(series) => {
                let labels = series.to_labels(false).unwrap();
                let entry = shape.entry(labels.metric_name().unwrap().to_owned()).or_default();
                entry.2.extend(labels.iter().map(|(name, _)| name.to_owned()));
                entry.3.insert(labels.to_string());
            }
            _ => {}
        }
    }
    shape.retain(|name, _| name.starts_with("node_") && name != "node_exporter_build_info");
    shape
}

/// Where 1.12, whose shape is the goal, differs from the older peer that distributions ship.
fn expected_difference(name: &str, what: &str) -> bool {
    match name {
        "node_disk_info" | "node_network_info" => what == "labels",
        "node_filesystem_mount_info" | "node_processes_state" => true,
        name if name.starts_with("node_filesystem_") => what == "labels",
        // Columns that the older one does not read yet.
        name if name.starts_with("node_softnet_") => what == "ours only",
        "node_kernel_hung_tasks_total" | "node_pressure_irq_stalled_seconds_total" => what == "ours only",
        _ => false,
    }
}

#[tokio::test]
async fn same_shape_as_the_peer() {
    let Some(program) = std::env::var_os("FOURSIGHT_NODE_EXPORTER") else {
        eprintln!("FOURSIGHT_NODE_EXPORTER is not set: nothing is compared");
        return;
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new(program)
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        // Distributions change defaults.
        .arg(format!("--collector.diskstats.device-exclude={}", node::DISK_EXCLUDE))
        .arg(format!("--collector.filesystem.mount-points-exclude={}", node::MOUNTS_EXCLUDE))
        .arg(format!("--collector.filesystem.fs-types-exclude={}", node::TYPES_EXCLUDE))
        .arg(format!("--collector.netstat.fields={}", node::NETSTAT_FIELDS))
        .arg("--collector.netdev.device-exclude=^$")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _peer = Peer(child);
    let client = Client::new(&HttpClientConfig::default(), "test").unwrap();
    let shared: Vec<String> =
        COLLECTORS.iter().filter(|c| c.default && c.is_built()).map(|c| c.name.to_owned()).collect();
    let mut page = None;
    for _ in 0..100 {
        match client.send(Request::get(format!("http://127.0.0.1:{port}/metrics"))).await {
            Ok(answer) => {
                page = Some(answer.body);
                break;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    let theirs = shape(&page.expect("the peer did not start"));
    let families = Collector::new(NodeConfig::default()).unwrap().collect(|_| true);
    let mut text = Vec::new();
    wire::exposition::write_text(&mut text, TextFormat::Prometheus, &families);
    let ours = shape(&text);

    let mut differences = Vec::new();
    let mut note = |name: &str, what: &str, detail: String| {
        let expected = expected_difference(name, what);
        println!("{} {name}: {what} {detail}", if expected { "(expected)" } else { "DIFFERENT" });
        if !expected {
            differences.push(format!("{name}: {what} {detail}"));
        }
    };
    for (name, theirs) in &theirs {
        match ours.get(name) {
            None => note(name, "theirs only", String::new()),
            Some(ours) => {
                if ours.0 != theirs.0 {
                    note(name, "type", format!("{} instead of {}", ours.0, theirs.0));
                }
                if ours.1 != theirs.1 {
                    note(name, "help", format!("{:?} instead of {:?}", ours.1, theirs.1));
                }
                if ours.2 != theirs.2 {
                    note(name, "labels", format!("{:?} instead of {:?}", ours.2, theirs.2));
                } else if ours.3 != theirs.3 && !name.starts_with("node_scrape_collector") {
                    let only: Vec<_> = ours.3.symmetric_difference(&theirs.3).collect();
                    note(name, "series", format!("{only:?}"));
                }
            }
        }
    }
    for name in ours.keys().filter(|name| !theirs.contains_key(*name)) {
        note(name, "ours only", String::new());
    }
    println!("{} families of {} collectors compared", theirs.len(), shared.len());
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
