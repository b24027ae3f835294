//! Signing in, sessions, users, tokens.

use serde_json::{Value, json};

use super::{BASIC, Harness};

async fn login(harness: &Harness, user: &str, password: &str) -> super::Answer {
    harness.request("POST", "/login", &[], json!({"user": user, "password": password})).await
}

#[tokio::test]
async fn a_session_begins_and_ends() {
    let harness = Harness::new("").await;
    assert_eq!(login(&harness, "admin", "wrong").await.expect(401)["message"], "Invalid username or password");
    let answer = login(&harness, "ADMIN@localhost", "secret").await;
    let set = answer.header("set-cookie").to_owned();
    assert!(
        set.starts_with("grafana_session=") && set.contains("; HttpOnly") && set.contains("; SameSite=Lax"),
        "{set}"
    );
    assert!(set.contains("; Path=/;") && !set.contains("Secure"));
    let cookie = answer.cookie();
    let headers = [("cookie", cookie.as_str())];
    let user = harness.request("GET", "/api/user", &headers, Value::Null).await.expect(200);
    assert_eq!((user["login"].as_str(), user["isGrafanaAdmin"].as_bool()), (Some("admin"), Some(true)));
    let settings = harness.request("GET", "/api/frontend/settings", &headers, Value::Null).await.expect(200);
    assert_eq!(settings["user"], json!({"isSignedIn": true, "login": "admin", "orgRole": "Admin", "timezone": ""}));

    // Nobody else's page may use it.
    let body = json!({"dashboard": {"title": "x"}});
    for (name, value, want) in [
        ("origin", "http://evil.test", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("origin", "http://localhost", 200),
    ] {
        let headers = [("cookie", cookie.as_str()), (name, value)];
        let answer = harness.request("POST", "/api/dashboards/db", &headers, body.clone()).await;
        assert_eq!(answer.status.as_u16(), want, "{name}: {value}: {}", answer.text());
        if want == 200 {
            break;
        }
    }

    // The cookie is exchanged while it is used.
    harness.advance(11 * 60_000);
    let answer = harness.request("GET", "/api/user", &headers, Value::Null).await;
    let renewed = answer.cookie();
    assert!(answer.status.is_success() && renewed.starts_with("grafana_session=") && renewed != cookie);

    let harness = harness.restart("").await;
    let headers = [("cookie", renewed.as_str())];
    assert_eq!(harness.request("GET", "/api/user", &headers, Value::Null).await.status, 200, "it survives a restart");
    let out = harness.request("GET", "/logout", &headers, Value::Null).await;
    assert_eq!((out.status.as_u16(), out.header("location")), (302, "/login"));
    assert!(out.header("set-cookie").starts_with("grafana_session=; Path=/; Max-Age=0"));
    assert_eq!(harness.request("GET", "/api/user", &headers, Value::Null).await.status, 401);
}

#[tokio::test]
async fn too_many_failures_are_stopped() {
    let harness = Harness::new("").await;
    for _ in 0..5 {
        login(&harness, "admin", "wrong").await.expect(401);
    }
    login(&harness, "admin", "secret").await.expect(429);
    // Guessing with each request is no way around it.
    assert_eq!(harness.get("/api/user").await.status, 429);
    harness.advance(6 * 60_000);
    login(&harness, "admin", "secret").await.expect(200);
    for body in
        [json!({}), json!({"user": "admin"}), json!({"user": "", "password": ""}), json!({"user": 1, "password": "x"})]
    {
        assert_eq!(harness.request("POST", "/login", &[], body.clone()).await.status, 400, "{body}");
    }
    let other_site = harness
        .request("POST", "/login", &[("origin", "http://evil.test")], json!({"user": "admin", "password": "secret"}))
        .await;
    assert_eq!(other_site.status, 403);
}

#[tokio::test]
async fn users_are_managed() {
    let harness = Harness::new("").await;
    let new = json!({"login": "ed", "email": "ed@x.test", "password": "initial", "role": "Editor"});
    let id = harness.admin("POST", "/api/admin/users", new.clone()).await.expect(200)["id"].as_u64().unwrap();
    assert_eq!(harness.admin("POST", "/api/admin/users", new).await.status, 412);
    let short = json!({"login": "x", "password": "abc"});
    assert_eq!(harness.admin("POST", "/api/admin/users", short).await.status, 400);

    let cookie = login(&harness, "ed", "initial").await.cookie();
    let own = [("cookie", cookie.as_str())];
    let other = login(&harness, "ed", "initial").await.cookie();
    let change = json!({"oldPassword": "wrong", "newPassword": "changed"});
    assert_eq!(harness.request("PUT", "/api/user/password", &own, change).await.status, 400);
    let change = json!({"oldPassword": "initial", "newPassword": "changed"});
    harness.request("PUT", "/api/user/password", &own, change).await.expect(200);
    assert_eq!(harness.request("GET", "/api/user", &own, Value::Null).await.status, 200);
    assert_eq!(
        harness.request("GET", "/api/user", &[("cookie", &other)], Value::Null).await.status,
        401,
        "other sessions end"
    );
    login(&harness, "ed", "initial").await.expect(401);

    harness.admin("PATCH", &format!("/api/org/users/{id}"), json!({"role": "Viewer"})).await.expect(200);
    let user = harness.request("GET", "/api/user", &own, Value::Null).await.expect(200);
    assert_eq!(user["orgRole"], "Viewer");
    harness.admin("POST", &format!("/api/admin/users/{id}/disable"), Value::Null).await.expect(200);
    assert_eq!(harness.request("GET", "/api/user", &own, Value::Null).await.status, 401);
    login(&harness, "ed", "changed").await.expect(401);

    let admin = harness.get("/api/users/lookup?loginOrEmail=admin").await.expect(200)["id"].as_u64().unwrap();
    for (method, path, body) in [
        ("DELETE", format!("/api/admin/users/{admin}"), Value::Null),
        ("POST", format!("/api/admin/users/{admin}/disable"), Value::Null),
        ("PUT", format!("/api/admin/users/{admin}/permissions"), json!({"isGrafanaAdmin": false})),
        ("PATCH", format!("/api/org/users/{admin}"), json!({"role": "Viewer"})),
    ] {
        let refused = harness.admin(method, &path, body).await.expect(400);
        assert_eq!(refused["messageId"], "user.last-admin", "{method} {path}");
    }
    // One who manages content does not manage those who manage the server.
    let token = harness.token("Admin").await;
    let by_token =
        harness.request("DELETE", &format!("/api/org/users/{admin}"), &[("authorization", &token)], Value::Null).await;
    assert_eq!(by_token.status, 403);
    harness.admin("DELETE", &format!("/api/admin/users/{id}"), Value::Null).await.expect(200);
    assert_eq!(harness.get(&format!("/api/users/{id}")).await.status, 404);
}

#[tokio::test]
async fn tokens_work_until_they_expire_or_are_deleted() {
    let harness = Harness::new("").await;
    let id = harness
        .admin("POST", "/api/serviceaccounts", json!({"name": "Grafana Terraform", "role": "Editor"}))
        .await
        .expect(201)["id"]
        .as_u64()
        .unwrap();
    let path = format!("/api/serviceaccounts/{id}/tokens");
    let made = harness.admin("POST", &path, json!({"name": "ci", "secondsToLive": 60})).await.expect(200);
    let key = made["key"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {key}");
    let as_token = [("authorization", bearer.as_str())];
    let user = harness.request("GET", "/api/user", &as_token, Value::Null).await.expect(200);
    assert_eq!((user["login"].as_str(), user["orgRole"].as_str()), (Some("sa-1-grafana-terraform"), Some("Editor")));
    // A token is no browser: it needs no origin.
    let headers = [as_token[0], ("origin", "http://elsewhere.test")];
    harness.request("POST", "/api/dashboards/db", &headers, json!({"dashboard": {"title": "t"}})).await.expect(200);
    let listed = harness.get(&path).await;
    assert!(!listed.text().contains(&key), "it is shown once");
    assert_eq!(listed.json()[0]["name"], "ci");
    let users = std::fs::read_to_string(harness.dir.path().join("data/private/users.json")).unwrap();
    assert!(!users.contains(&key) && !users.contains("\"secret\""), "{users}");

    harness.advance(61_000);
    assert_eq!(
        harness.request("GET", "/api/user", &as_token, Value::Null).await.expect(401)["message"],
        "Expired API key"
    );
    let lasting = harness.admin("POST", &path, json!({"name": "lasting"})).await.expect(200);
    let bearer = format!("Bearer {}", lasting["key"].as_str().unwrap());
    let as_token = [("authorization", bearer.as_str())];
    assert_eq!(harness.request("GET", "/api/user", &as_token, Value::Null).await.status, 200);
    harness.admin("DELETE", &format!("{path}/{}", lasting["id"]), Value::Null).await.expect(200);
    assert_eq!(harness.request("GET", "/api/user", &as_token, Value::Null).await.status, 401);
    for value in ["Bearer", "Bearer x", "Digest x", "Basic !!!", "Basic eA=="] {
        assert_eq!(
            harness.request("GET", "/api/user", &[("authorization", value)], Value::Null).await.status,
            401,
            "{value}"
        );
    }
}

#[tokio::test]
async fn the_first_password_is_made_up_and_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let told = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let heard = told.clone();
    let options = crate::Options {
        data: Some(dir.path().join("data")),
        provisioning: Some(dir.path().join("none")),
        listen: vec!["127.0.0.1:0".into()],
        env: std::sync::Arc::new(|_| None),
        on_first_password: Some(std::sync::Arc::new(move |login, password| {
            heard.lock().push((login.to_owned(), password.to_owned()))
        })),
        ..crate::Options::default()
    };
    for _ in 0..2 {
        let server = crate::Server::open(options.clone(), kit::Shutdown::new()).await.unwrap();
        assert_eq!(server.addresses().len(), 1);
    }
    let told = told.lock().clone();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].0.as_str(), told[0].1.len()), ("admin", 16));
    let (login, password) = crate::reset_admin_password(options).await.unwrap();
    assert!(login == "admin" && password != told[0].1);
    let users = std::fs::read_to_string(dir.path().join("data/private/users.json")).unwrap();
    assert!(!users.contains(&told[0].1) && !users.contains(&password));
    assert_ne!(BASIC, "");
}
