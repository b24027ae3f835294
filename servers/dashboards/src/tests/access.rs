//! Every route, asked by everybody: what it needs is what it demands.

use axum::http::Method;
use serde_json::Value;

use super::Harness;
use crate::auth::Role;
use crate::auth::guard::Need;

/// A path with something in the place of its parameters.
fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| match part {
            "{version}" if path.starts_with("/apis") => "v1",
            "{namespace}" => "default",
            _ if part.starts_with("{*") => "x/y",
            _ if part.starts_with('{') => "9999",
            _ => part,
        })
        .collect::<Vec<_>>()
        .join("/")
}

#[tokio::test]
async fn every_route_demands_its_role() {
    let harness = Harness::new("").await;
    let tokens = [
        (Some(Role::Viewer), harness.token("Viewer").await),
        (Some(Role::Editor), harness.token("Editor").await),
        (None, String::new()),
    ];
    let table = crate::api::routes(&harness.app).table;
    assert!(table.len() > 150, "{}", table.len());
    for (method, path, need) in table {
        // Asking for these as an equal would change the state of the test.
        if path.starts_with("/api/serviceaccounts") && method != Method::GET {
            continue;
        }
        for (role, token) in &tokens {
            let headers: &[(&str, &str)] = if token.is_empty() { &[] } else { &[("authorization", token)] };
            let answer = harness.request(method.as_str(), &filled(path), headers, Value::Null).await;
            let refused = match (need, role) {
                (Need::Nothing, _) => None,
                (_, None) => Some(401),
                (Need::Role(needed), Some(role)) if *role < needed => Some(403),
                (Need::ServerAdmin, Some(_)) => Some(403),
                _ => None,
            };
            let status = answer.status.as_u16();
            match refused {
                Some(wanted) => assert_eq!(status, wanted, "{method} {path} as {role:?}: {}", answer.text()),
                // Past the guard anything may be wrong with the request, but not who sends it.
                None => {
                    let denied =
                        answer.text().contains("additional permissions") || answer.text().contains("\"Unauthorized\"");
                    assert!(!denied && status != 500, "{method} {path} as {role:?}: {status} {}", answer.text());
                }
            }
        }
    }
}

#[tokio::test]
async fn unnamed_visitors_have_the_configured_role() {
    let harness = Harness::new("[auth.anonymous]\nenabled = true\norg_role = Viewer\n").await;
    let ask = |method: &'static str, path: &'static str, headers: &'static [(&str, &str)]| {
        let harness = &harness;
        async move {
            harness
                .request(method, path, headers, serde_json::json!({"dashboard": {"title": "x"}}))
                .await
                .status
                .as_u16()
        }
    };
    assert_eq!(ask("GET", "/api/search", &[]).await, 200);
    assert_eq!(ask("GET", "/api/user", &[]).await, 200);
    // Signing in would help, so the answer is not "forbidden".
    assert_eq!(ask("POST", "/api/dashboards/db", &[]).await, 401);
    assert_eq!(ask("GET", "/api/user/stars", &[]).await, 401);
    // A wrong token is not a visitor without one.
    assert_eq!(ask("GET", "/api/search", &[("authorization", "Bearer glsa_wrong")]).await, 401);
    assert_eq!(ask("GET", "/api/health", &[("authorization", "Bearer glsa_wrong")]).await, 200);

    let harness = Harness::new("[auth.anonymous]\nenabled = true\norg_role = Editor\n").await;
    let save = serde_json::json!({"dashboard": {"title": "x"}});
    let from = |origin: &'static str| {
        let (harness, save) = (&harness, save.clone());
        async move { harness.request("POST", "/api/dashboards/db", &[("origin", origin)], save).await.status.as_u16() }
    };
    assert_eq!(from("http://evil.test").await, 403, "another site must not write through a visitor's browser");
    assert_eq!(from("http://localhost").await, 200);
}

#[tokio::test]
async fn answers_carry_security_headers() {
    let harness = Harness::new("").await;
    let answer = harness.get("/api/search").await;
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("x-frame-options"), "deny");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.header("content-security-policy").contains("script-src 'self'"));
    assert!(!answer.header("content-security-policy").contains("unsafe"));
    let missing = harness.get("/api/nothing").await;
    assert_eq!((missing.status.as_u16(), missing.json()["message"].as_str()), (404, Some("Not found")));
    assert_eq!(harness.request("PATCH", "/api/search", &[], Value::Null).await.status.as_u16(), 405);
    let harness =
        Harness::new("[server]\nenforce_domain = true\ndomain = dash.test\nroot_url = https://dash.test/\n").await;
    let moved = harness.get("/api/health").await;
    assert_eq!((moved.status.as_u16(), moved.header("location")), (301, "https://dash.test/api/health"));
}
