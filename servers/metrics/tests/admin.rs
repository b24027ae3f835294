//! The administration API: deleting, cleaning, snapshots; closed unless the flags open it.

mod common;

use axum::http::{Method, StatusCode};
use common::{Server, error_of};

#[tokio::test(flavor = "multi_thread")]
async fn series_are_deleted_and_snapshots_are_stores() {
    let mut server = Server::start("", &[]).await;
    let now = kit::time::now_ms();
    for host in ["a", "b"] {
        server.write_samples(&[("__name__", "m"), ("host", host)], &[(now - 2000, 1.0), (now - 1000, 2.0)]).await;
    }
    let answer = server.post("/api/v1/admin/tsdb/snapshot", "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.excerpt());
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let name = body["data"]["name"].as_str().unwrap().to_owned();

    let answer = server.post("/api/v1/admin/tsdb/delete_series?match[]=m%7Bhost%3D%22a%22%7D", "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.excerpt());
    assert_eq!(server.value("count(m)").await, Some(1.0));
    assert_eq!(server.method(Method::PUT, "/api/v1/admin/tsdb/clean_tombstones").await.status, StatusCode::NO_CONTENT);
    server.restart().await;
    assert_eq!(server.value("count(m)").await, Some(1.0), "what was deleted stays so");
    let (status, kind, text) = error_of(&server.post("/api/v1/admin/tsdb/delete_series", "").await);
    assert_eq!((status, kind.as_str(), text.as_str()), (400, "bad_data", "no match[] parameter provided"));
    let (status, _, _) = error_of(&server.post("/api/v1/admin/tsdb/snapshot?skip_head=maybe", "").await);
    assert_eq!(status, 400);

    let dir = server.path().join("data").join("snapshots").join(name);
    let copy = tsdb::Db::open(dir, tsdb::Options::default()).unwrap();
    let hints = model::SelectHints { start_ms: now - 5000, end_ms: now, ..Default::default() };
    let found = model::SeriesSource::select(&copy, &[model::Matcher::equal("__name__", "m")], &hints).unwrap();
    assert_eq!(found.len(), 2, "the snapshot is from before");
    server.stop().await;
}
