//! Tenants that nobody asks for are looked after too: what is in memory becomes a segment, what is too old goes, deletes are done.

mod support;

use std::path::Path;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use kit::client::Request;
use logstore::{Db, DeleteFilter, DeleteReader, DeleteRequest, DeleteState, Options};
use support::{Server, escape, now_ns};

const HOUR_NS: i64 = 3_600_000_000_000;

fn config(rest: &str) -> String {
    format!(
        "auth_enabled: true\nlimits_config: {{reject_old_samples: false, discover_service_name: [], discover_log_levels: false, retention_period: 48h}}\n{rest}"
    )
}

fn as_tenant(request: Request, tenant: &str) -> Request {
    request.header(HeaderName::from_static("x-scope-orgid"), HeaderValue::from_str(tenant).unwrap())
}

async fn post(server: &Server, tenant: &str, path: &str, body: String) {
    let request = Request::post(format!("{}{path}", server.url), "application/json", body);
    let answer = server.send(as_tenant(request, tenant)).await;
    assert_eq!(answer.status, 204, "{path}: {}", answer.excerpt());
}

fn push(lines: &[(i64, &str)]) -> String {
    let values: Vec<_> = lines.iter().map(|(ns, line)| serde_json::json!([ns.to_string(), line])).collect();
    serde_json::json!({"streams": [{"stream": {"job": "a"}, "values": values}]}).to_string()
}

/// The store of a tenant, while no server has it open.
fn open(dir: &Path) -> Result<Db, logstore::Error> {
    let anything = DeleteReader::new(|_| Ok(DeleteFilter { matchers: Vec::new(), entries: None }));
    Db::open(dir, Options { delete_reader: anything, ..Options::default() })
}

fn segments(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir.join("segments"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_stores_are_maintained() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = config(
        "compactor: {retention_enabled: true, delete_request_store: filesystem, delete_request_cancel_period: 0s, compaction_interval: 1h}\n",
    );
    let store = dir.path().join("logstore/tenants/z");
    let server = Server::start(dir.path(), &yaml.replace("48h", "2400h")).await;
    let now = now_ns();
    post(&server, "a", "/loki/api/v1/push", push(&[(now, "of a")])).await;
    post(&server, "z", "/loki/api/v1/push", push(&[(now - 72 * HOUR_NS, "too old")])).await;
    post(&server, "z", "/flush", String::new()).await;
    let old = segments(&store);
    assert_eq!(old.len(), 1);
    post(&server, "z", "/loki/api/v1/push", push(&[(now - HOUR_NS, "a secret"), (now, "fine")])).await;
    server.stop().await;
    let requested = {
        let db = open(&store).unwrap();
        let request = DeleteRequest {
            query: r#"{job="a"} |= "secret""#.into(),
            start_ns: now - 2 * HOUR_NS,
            end_ns: now,
            created_ns: now,
            due_ns: now,
        };
        let id = db.request_delete(request).unwrap();
        db.close().unwrap();
        id
    };

    // Only one may be open: the other is closed from the start on.
    let yaml = yaml.replace("1h}", "1s}") + "foursight: {max_tenants: 1}\n";
    let server = Server::start(dir.path(), &yaml).await;
    let mut done = false;
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Between visits nobody has it open. Opening alone changes nothing.
        let Ok(db) = open(&store) else { continue };
        done = db.deletes().iter().any(|info| info.id == requested && matches!(info.state, DeleteState::Done { .. }));
        db.close().unwrap();
        if done {
            break;
        }
    }
    assert!(done, "the delete request was never carried out");
    // The one that is open was not closed for it.
    post(&server, "a", "/loki/api/v1/push", push(&[(now_ns(), "more of a")])).await;
    server.stop().await;
    assert!(!segments(&store).contains(&old[0]), "too old");
    assert!(!segments(&store).is_empty());

    let server = Server::start(dir.path(), &config("")).await;
    let query = format!("{}/loki/api/v1/query_range?since=700h&query={}", server.url, escape(r#"{job="a"}"#));
    let answer = server.send(as_tenant(Request::get(query), "z")).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains("fine") && !text.contains("secret") && !text.contains("too old"), "{text}");
    server.stop().await;
}
