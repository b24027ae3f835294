//! Dashboards, folders, annotations and what belongs to them, over HTTP.

use serde_json::{Value, json};

use super::Harness;

#[tokio::test]
async fn a_dashboard_is_saved_changed_restored_and_deleted() {
    let harness = Harness::new("").await;
    let save = |dashboard: Value| {
        let harness = &harness;
        async move { harness.admin("POST", "/api/dashboards/db", json!({"dashboard": dashboard, "message": "m"})).await }
    };
    let saved = save(json!({"id": null, "title": "My Board", "tags": ["a"], "panels": []})).await.expect(200);
    let uid = saved["uid"].as_str().unwrap().to_owned();
    assert_eq!(
        (saved["status"].as_str(), saved["version"].as_i64(), saved["slug"].as_str()),
        (Some("success"), Some(1), Some("my-board"))
    );
    assert_eq!(saved["url"], format!("/d/{uid}/my-board"));

    let got = harness.get(&format!("/api/dashboards/uid/{uid}")).await.expect(200);
    assert_eq!(got["dashboard"]["version"], 1);
    assert_eq!((got["meta"]["canSave"].as_bool(), got["meta"]["createdBy"].as_str()), (Some(true), Some("admin")));
    save(json!({"uid": uid, "title": "My Board", "version": 1, "n": 2})).await.expect(200);
    let stale = save(json!({"uid": uid, "title": "Other", "version": 1})).await.expect(412);
    assert_eq!(
        (stale["status"].as_str(), stale["message"].as_str()),
        (Some("version-mismatch"), Some("The dashboard has been changed by someone else"))
    );
    assert_eq!(save(json!({"title": "my board"})).await.expect(412)["status"], "name-exists");
    assert_eq!(save(json!({"title": ""})).await.expect(400)["status"], "empty-name");
    assert_eq!(
        save(json!({"title": "fast", "refresh": "1s"})).await.expect(400)["message"],
        "Dashboard refresh interval is too low"
    );
    save(json!({"title": "x", "uid": "../../etc"})).await.expect(400);
    let bad =
        harness.admin("POST", "/api/dashboards/db", json!({"dashboard": {"title": "x"}, "folderUid": "nope"})).await;
    bad.expect(400);

    let versions = harness.get(&format!("/api/dashboards/uid/{uid}/versions")).await.expect(200);
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2);
    let old = harness.get(&format!("/api/dashboards/uid/{uid}/versions/1")).await.expect(200);
    assert!(old["data"].get("n").is_none());
    let side = |version: i64| json!({"dashboardUid": uid, "version": version});
    let diff = harness
        .admin("POST", "/api/dashboards/calculate-diff", json!({"base": side(1), "new": side(2)}))
        .await
        .expect(200);
    assert!(diff.as_array().unwrap().contains(&json!({"op": "add", "path": "/n", "value": 2})), "{diff}");
    let restored =
        harness.admin("POST", &format!("/api/dashboards/uid/{uid}/restore"), json!({"version": 1})).await.expect(200);
    assert_eq!(restored["version"], 3);
    assert!(harness.get(&format!("/api/dashboards/uid/{uid}")).await.json()["dashboard"].get("n").is_none());

    harness.admin("POST", &format!("/api/user/stars/dashboard/uid/{uid}"), Value::Null).await.expect(200);
    let starred = harness.get("/api/search?starred=true").await.expect(200);
    assert_eq!(starred[0]["uid"], uid.as_str());

    let harness = harness.restart("").await;
    assert_eq!(harness.get(&format!("/api/dashboards/uid/{uid}")).await.json()["meta"]["version"], 3);
    harness.admin("PUT", "/api/user/preferences", json!({"homeDashboardUID": uid, "theme": "light"})).await.expect(200);
    assert_eq!(harness.get("/api/dashboards/home").await.json()["redirectUri"], format!("/d/{uid}/my-board"));
    let gone = harness.admin("DELETE", &format!("/api/dashboards/uid/{uid}"), Value::Null).await.expect(200);
    assert_eq!(gone["message"], "Dashboard My Board deleted");
    let missing = harness.get(&format!("/api/dashboards/uid/{uid}")).await.expect(404);
    assert_eq!(missing["message"], "Dashboard not found");
    assert!(harness.get("/api/dashboards/home").await.json()["dashboard"].is_object());
}

#[tokio::test]
async fn folders_hold_dashboards_and_are_searched() {
    let harness = Harness::new("").await;
    let folder = harness.admin("POST", "/api/folders", json!({"title": "Ops", "uid": "ops"})).await.expect(200);
    assert_eq!(folder["url"], "/dashboards/f/ops/ops");
    harness.admin("POST", "/api/folders", json!({"title": "Sub", "uid": "sub", "parentUid": "ops"})).await.expect(200);
    harness.admin("POST", "/api/folders", json!({"title": "Ops"})).await.expect(409);
    for (title, folder, tags) in
        [("Alpha disk", "ops", json!(["x", "y"])), ("Beta disk", "sub", json!(["x"])), ("Gamma", "", json!([]))]
    {
        let body = json!({"dashboard": {"title": title, "tags": tags}, "folderUid": folder});
        harness.admin("POST", "/api/dashboards/db", body).await.expect(200);
    }
    let titles = |answer: Value| {
        answer.as_array().unwrap().iter().map(|hit| hit["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (query, want) in [
        ("", vec!["Ops", "Sub", "Alpha disk", "Beta disk", "Gamma"]),
        ("?query=DISK", vec!["Alpha disk", "Beta disk"]),
        ("?tag=x&tag=y", vec!["Alpha disk"]),
        ("?type=dash-folder", vec!["Ops", "Sub"]),
        ("?type=dash-db&folderUIDs=general", vec!["Gamma"]),
        ("?type=dash-db&folderUIDs=ops&folderUIDs=sub", vec!["Alpha disk", "Beta disk"]),
        ("?type=dash-db&limit=1&page=2", vec!["Beta disk"]),
        ("?type=dash-db&sort=alpha-desc", vec!["Gamma", "Beta disk", "Alpha disk"]),
    ] {
        assert_eq!(titles(harness.get(&format!("/api/search{query}")).await.expect(200)), want, "{query}");
    }
    assert_eq!(
        harness.get("/api/dashboards/tags").await.json(),
        json!([{"term": "x", "count": 2}, {"term": "y", "count": 1}])
    );
    let sub = harness.get("/api/folders/sub").await.expect(200);
    assert_eq!(sub["parents"][0]["uid"], "ops");
    assert_eq!(harness.get("/api/folders/ops/counts").await.json()["dashboard"], 2);
    harness.admin("PUT", "/api/folders/ops", json!({"title": "Operations", "version": 9})).await.expect(412);
    harness.admin("PUT", "/api/folders/ops", json!({"title": "Operations", "version": 1})).await.expect(200);
    harness.admin("DELETE", "/api/folders/ops", Value::Null).await.expect(200);
    assert_eq!(titles(harness.get("/api/search").await.expect(200)), ["Gamma"]);
    assert_eq!(harness.get("/api/folders/ops").await.expect(404)["message"], "folder not found");
}

#[tokio::test]
async fn dashboards_are_resources_too() {
    let harness = Harness::new("").await;
    let base = "/apis/dashboard.grafana.app";
    let v1 = json!({"metadata": {"name": "one"}, "spec": {"title": "One", "panels": []}});
    let made =
        harness.admin("POST", &format!("{base}/v1beta1/namespaces/default/dashboards"), v1.clone()).await.expect(201);
    assert_eq!(
        (made["metadata"]["resourceVersion"].as_str(), made["spec"]["title"].as_str()),
        (Some("1"), Some("One"))
    );
    let twice = harness.admin("POST", &format!("{base}/v1beta1/namespaces/default/dashboards"), v1).await.expect(409);
    assert_eq!((twice["kind"].as_str(), twice["code"].as_u64()), (Some("Status"), Some(409)));
    let path = format!("{base}/v1/namespaces/default/dashboards/one");
    let update =
        |version: &str| json!({"metadata": {"name": "one", "resourceVersion": version}, "spec": {"title": "One!"}});
    harness.admin("PUT", &path, update("7")).await.expect(409);
    let updated = harness.admin("PUT", &path, update("1")).await.expect(200);
    assert_eq!(updated["metadata"]["generation"], 2);
    assert_eq!(harness.get("/api/dashboards/uid/one").await.json()["dashboard"]["title"], "One!");
    harness.get(&format!("{base}/v2/namespaces/default/dashboards/one")).await.expect(406);
    harness.get(&format!("{base}/v1/namespaces/other/dashboards/one")).await.expect(404);

    let v2 = json!({"apiVersion": "dashboard.grafana.app/v2", "kind": "Dashboard", "metadata": {"name": "two"},
        "spec": {"title": "Two", "elements": {}, "layout": {"kind": "GridLayout", "spec": {"items": []}}}});
    harness.admin("POST", &format!("{base}/v2/namespaces/default/dashboards"), v2).await.expect(201);
    let two = harness.get(&format!("{base}/v2/namespaces/default/dashboards/two")).await.expect(200);
    assert_eq!(two["spec"]["layout"]["kind"], "GridLayout");
    let shown = harness.get("/api/dashboards/uid/two").await.expect(200);
    assert_eq!(
        (shown["meta"]["apiVersion"].as_str(), shown["dashboard"]["spec"]["title"].as_str()),
        (Some("v2"), Some("Two"))
    );
    let list = harness.get(&format!("{base}/v2/namespaces/default/dashboards")).await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    harness.admin("DELETE", &path, Value::Null).await.expect(200);
    harness.get(&path).await.expect(404);
    let folder = json!({"metadata": {"name": "f"}, "spec": {"title": "F"}});
    harness.admin("POST", "/apis/folder.grafana.app/v1beta1/namespaces/default/folders", folder).await.expect(201);
    assert_eq!(harness.get("/api/folders/f").await.json()["title"], "F");
}

#[tokio::test]
async fn annotations_links_playlists_and_library_elements() {
    let harness = Harness::new("").await;
    harness
        .admin(
            "POST",
            "/api/dashboards/db",
            json!({"dashboard": {"title": "D", "uid": "d", "panels": [{"id": 1, "libraryPanel": {"uid": "lib"}}]}}),
        )
        .await
        .expect(200);
    let id = harness
        .admin(
            "POST",
            "/api/annotations",
            json!({"dashboardUID": "d", "panelId": 1, "time": 1000, "timeEnd": 2000, "text": "deploy", "tags": ["t"]}),
        )
        .await
        .expect(200)["id"]
        .clone();
    harness.admin("POST", "/api/annotations", json!({"time": 5, "timeEnd": 1, "text": "x"})).await.expect(400);
    harness.admin("POST", "/api/annotations", json!({"text": " "})).await.expect(400);
    harness
        .admin("POST", "/api/annotations/graphite", json!({"what": "build", "when": 3, "tags": "a b"}))
        .await
        .expect(200);
    let all = harness.get("/api/annotations?from=0&to=100000").await.expect(200);
    assert_eq!(all.as_array().unwrap().len(), 2);
    let own = harness.get("/api/annotations?dashboardUID=d&tags=t").await.expect(200);
    assert_eq!(
        (own[0]["text"].as_str(), own[0]["timeEnd"].as_i64(), own[0]["login"].as_str()),
        (Some("deploy"), Some(2000), Some("admin"))
    );
    harness.admin("PATCH", &format!("/api/annotations/{id}"), json!({"text": "rollback"})).await.expect(200);
    assert_eq!(harness.get(&format!("/api/annotations/{id}")).await.json()["text"], "rollback");
    harness.admin("DELETE", &format!("/api/annotations/{id}"), Value::Null).await.expect(200);
    harness.get(&format!("/api/annotations/{id}")).await.expect(404);

    let link = harness.admin("POST", "/api/short-urls", json!({"path": "d/d/d?from=now-1h"})).await.expect(200);
    let goto = harness.get(&format!("/goto/{}", link["uid"].as_str().unwrap())).await;
    assert_eq!((goto.status.as_u16(), goto.header("location")), (302, "/d/d/d?from=now-1h"));
    for path in ["", "https://evil.test", "../x", "//evil.test/x://", "\\\\evil"] {
        harness.admin("POST", "/api/short-urls", json!({ "path": path })).await.expect(400);
    }

    let list = harness
        .admin(
            "POST",
            "/api/playlists",
            json!({"name": "wall", "interval": "30s", "items": [{"type": "dashboard_by_uid", "value": "d"}]}),
        )
        .await
        .expect(200);
    assert_eq!(
        harness.get(&format!("/api/playlists/{}", list["uid"].as_str().unwrap())).await.json()["items"][0]["value"],
        "d"
    );
    harness.admin("POST", "/api/playlists", json!({"name": "wall", "interval": "often"})).await.expect(400);

    let element = json!({"uid": "lib", "name": "Shared", "kind": 1, "model": {"type": "stat"}});
    harness.admin("POST", "/api/library-elements", element.clone()).await.expect(200);
    harness.admin("POST", "/api/library-elements", element).await.expect(400);
    let found = harness.get("/api/library-elements/lib").await.expect(200);
    assert_eq!(
        (found["result"]["type"].as_str(), found["result"]["meta"]["connectedDashboards"].as_u64()),
        (Some("stat"), Some(1))
    );
    harness.admin("DELETE", "/api/library-elements/lib", Value::Null).await.expect(403);
    let harness = harness.restart("").await;
    assert_eq!(harness.get("/api/library-elements").await.json()["result"]["totalCount"], 1);
    assert_eq!(
        harness.get("/api/snapshots").await.expect(501)["message"],
        "Snapshots of dashboards is not built in Foursight"
    );
}

#[tokio::test]
async fn an_export_is_imported() {
    let harness = Harness::new("").await;
    harness
        .admin(
            "POST",
            "/api/datasources",
            json!({"name": "M", "uid": "m", "type": "prometheus", "url": "http://127.0.0.1:9"}),
        )
        .await
        .expect(200);
    let dashboard = json!({"__inputs": [{"name": "DS", "type": "datasource", "pluginId": "prometheus"}], "id": 7, "uid": "exp", "title": "E",
        "panels": [{"id": 1, "datasource": {"uid": "${DS}"}}],
        "__elements": {"el": {"uid": "el", "name": "El", "kind": 1, "model": {"type": "text"}}}});
    let body = json!({"dashboard": dashboard, "overwrite": false, "inputs": []});
    let done = harness.admin("POST", "/api/dashboards/import", body.clone()).await.expect(200);
    assert_eq!((done["importedUrl"].as_str(), done["imported"].as_bool()), (Some("/d/exp/e"), Some(true)));
    let got = harness.get("/api/dashboards/uid/exp").await.json();
    assert_eq!(got["dashboard"]["panels"][0]["datasource"]["uid"], "m");
    assert!(got["dashboard"].get("__inputs").is_none());
    harness.get("/api/library-elements/el").await.expect(200);
    assert_eq!(harness.admin("POST", "/api/dashboards/import", body).await.status, 412);
}

#[tokio::test]
async fn the_app_and_the_small_pages() {
    let harness = Harness::new("").await;
    let health = harness.request("GET", "/api/health", &[], Value::Null).await.expect(200);
    assert_eq!(health["database"], "ok");
    assert_eq!(harness.request("GET", "/healthz", &[], Value::Null).await.text(), "Ok");
    assert!(harness.request("GET", "/robots.txt", &[], Value::Null).await.text().contains("Disallow: /"));
    let page = harness.request("GET", "/d/x/y?from=now-1h", &[("accept", "text/html")], Value::Null).await;
    assert!(page.text().contains("<div id=\"app\">"), "{}", page.text());
    assert_eq!(page.header("cache-control"), "no-cache");
    let script = page.text().split("src=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for (accept, coding) in [("", ""), ("gzip", "gzip"), ("gzip, br", "br"), ("br;q=0, gzip", "gzip")] {
        let file = harness.request("GET", &script, &[("accept-encoding", accept)], Value::Null).await;
        assert_eq!((file.status.as_u16(), file.header("content-encoding")), (200, coding), "{accept}");
        assert!(
            file.header("cache-control").contains("immutable")
                && file.header("content-type").starts_with("text/javascript")
        );
        let again = harness
            .request(
                "GET",
                &script,
                &[("accept-encoding", accept), ("if-none-match", file.header("etag"))],
                Value::Null,
            )
            .await;
        assert_eq!(again.status.as_u16(), 304);
    }
    for path in ["/assets/nothing.js", "/favicon.ico", "/assets/../index.html", "/x.php"] {
        assert_eq!(harness.request("GET", path, &[], Value::Null).await.status.as_u16(), 404, "{path}");
    }
    let metrics = harness.request("GET", "/metrics", &[], Value::Null).await.text();
    assert_eq!(
        wire::exposition::lint::style(metrics.as_bytes(), wire::exposition::TextFormat::Prometheus),
        Ok(Vec::new()),
        "{metrics}"
    );
    for name in [
        "grafana_build_info{",
        "grafana_http_request_duration_seconds_bucket{handler=\"/api/health\"",
        "grafana_stat_totals_dashboard 0",
    ] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
    let harness = Harness::new("[metrics]\nbasic_auth_username = u\nbasic_auth_password = p\n").await;
    assert_eq!(harness.request("GET", "/metrics", &[], Value::Null).await.status.as_u16(), 401);
    let basic = [("authorization", "Basic dTpw")];
    assert_eq!(harness.request("GET", "/metrics", &basic, Value::Null).await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_sub_path_is_the_servers_root() {
    let harness = Harness::new("[server]\nroot_url = http://x.test/graf/\nserve_from_sub_path = true\n").await;
    assert_eq!(harness.get("/graf/api/health").await.status.as_u16(), 200);
    assert_eq!(harness.get("/api/health").await.status.as_u16(), 404);
    let saved = harness
        .admin("POST", "/graf/api/dashboards/db", json!({"dashboard": {"title": "A", "uid": "a"}}))
        .await
        .expect(200);
    assert_eq!(saved["url"], "/graf/d/a/a");
    let login = harness.request("POST", "/graf/login", &[], json!({"user": "admin", "password": "secret"})).await;
    assert!(login.header("set-cookie").contains("; Path=/graf;"));
}
