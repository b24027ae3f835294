//! The routes of alerting.

use serde_json::{Value, json};

use super::{Stage, write};
use crate::tests::Harness;

const RULES: &str = "/api/v1/provisioning/alert-rules";

fn rule(uid: &str, title: &str) -> Value {
    json!({
        "uid": uid, "title": title, "folderUID": "foursight", "ruleGroup": "own", "condition": "C", "for": "5m",
        "noDataState": "OK", "execErrState": "Error", "labels": {"team": "a"}, "annotations": {"summary": "{{ $values.A.Value }}"},
        "data": [
            {"refId": "A", "datasourceUid": "metrics", "relativeTimeRange": {"from": 60, "to": 0}, "model": {"expr": "up", "instant": true, "refId": "A"}},
            {"refId": "C", "datasourceUid": "__expr__", "model": {"type": "threshold", "expression": "A", "refId": "C", "conditions": [{"evaluator": {"type": "gt", "params": [0]}}]}},
        ],
    })
}

#[tokio::test]
async fn rules_are_made_changed_and_deleted_through_the_api() {
    let stage = Stage::new().await;
    let h = &stage.harness;
    let made = h.admin("POST", RULES, rule("own-1", "Own")).await.expect(201);
    assert_eq!((made["provenance"].as_str(), made["for"].as_str()), (Some("api"), Some("5m")));
    assert_eq!(h.admin("POST", RULES, rule("own-1", "Other")).await.status.as_u16(), 409);
    assert_eq!(
        h.admin("POST", RULES, rule("own-2", "Own")).await.status.as_u16(),
        409,
        "titles are unique in a folder"
    );
    for (pointer, value, part) in [
        ("/condition", json!("Z"), "Z"),
        ("/title", json!(""), "title"),
        ("/folderUID", json!("nowhere"), "nowhere"),
        ("/annotations/summary", json!("{{ nope }}"), "nope"),
        ("/data/1/model/type", json!("sorcery"), "sorcery"),
        ("/for", json!("soon"), "soon"),
    ] {
        let mut broken = rule("broken", "Broken");
        *broken.pointer_mut(pointer).unwrap() = value;
        let answer = h.admin("POST", RULES, broken).await;
        assert_eq!(answer.status.as_u16(), 400, "{pointer}: {}", answer.text());
        assert!(answer.text().contains(part), "{pointer}: {}", answer.text());
    }
    let mut changed = rule("own-1", "Own");
    changed["for"] = "10m".into();
    changed["isPaused"] = true.into();
    let path = format!("{RULES}/own-1");
    let answer = h
        .request("PUT", &path, &[("authorization", crate::tests::BASIC), ("x-disable-provenance", "true")], changed)
        .await;
    let answer = answer.expect(200);
    assert_eq!((answer["for"].as_str(), answer["provenance"].as_str()), (Some("10m"), Some("")));
    // A file has the last word.
    assert_eq!(h.admin("PUT", &format!("{RULES}/disk"), rule("disk", "Mine")).await.status.as_u16(), 409);
    assert_eq!(h.admin("DELETE", &format!("{RULES}/disk"), Value::Null).await.status.as_u16(), 409);

    let group = h.get("/api/v1/provisioning/folder/foursight/rule-groups/own").await.expect(200);
    assert_eq!((group["interval"].as_i64(), group["rules"].as_array().map(Vec::len)), (Some(60), Some(1)));
    let body = json!({"interval": 30, "rules": [rule("own-1", "Own"), rule("", "Another")]});
    let group = h.admin("PUT", "/api/v1/provisioning/folder/foursight/rule-groups/own", body).await.expect(200);
    assert_eq!((group["interval"].as_i64(), group["rules"].as_array().map(Vec::len)), (Some(30), Some(2)));

    let ruler = h.get("/api/ruler/grafana/api/v1/rules").await.expect(200);
    let groups = ruler["Foursight"].as_array().unwrap();
    assert_eq!(groups.len(), 2, "{ruler}");
    let own = groups.iter().find(|group| group["name"] == "own").unwrap();
    assert_eq!(
        (own["interval"].as_str(), own["rules"][0]["grafana_alert"]["uid"].as_str()),
        (Some("30s"), Some("own-1"))
    );
    // What is read can be written back.
    let answer = h.admin("POST", "/api/ruler/grafana/api/v1/rules/foursight", own.clone()).await.expect(202);
    assert_eq!(
        (answer["created"].as_array().map(Vec::len), answer["updated"].as_array().map(Vec::len)),
        (Some(0), Some(2))
    );

    let stage = stage.restart().await;
    let h = &stage.harness;
    assert_eq!(h.get(RULES).await.expect(200).as_array().map(Vec::len), Some(3));
    let export = h.get("/api/v1/provisioning/alert-rules/export?format=yaml").await.text();
    let tree = kit::yaml::parse(&export).unwrap();
    assert_eq!(crate::provisioning::to_json(&tree)["groups"].as_array().map(Vec::len), Some(2), "{export}");
    h.admin("DELETE", &path, Value::Null).await.expect(204);
    assert_eq!(h.get(&path).await.status.as_u16(), 404);
    assert_eq!(h.admin("DELETE", "/api/folders/foursight", Value::Null).await.status.as_u16(), 400, "rules are in it");
}

#[tokio::test]
async fn an_export_can_be_provisioned() {
    let stage = Stage::new().await;
    stage.harness.admin("POST", RULES, rule("own-1", "Own")).await.expect(201);
    let export = stage.harness.get("/api/v1/provisioning/alert-rules/export").await.text();
    let timing =
        json!({"name": "night", "time_intervals": [{"times": [{"start_time": "22:00", "end_time": "24:00"}]}]});
    stage.harness.admin("POST", "/api/v1/provisioning/mute-timings", timing).await.expect(201);
    let timings = stage.harness.get("/api/v1/provisioning/mute-timings/export").await.text();
    let other = Harness::with("", |root| {
        write(&root.join("provisioning/alerting/rules.yaml"), &export);
        write(&root.join("provisioning/alerting/timings.yaml"), &timings);
    })
    .await;
    assert_eq!(other.app.alerts.reload(&other.app).await, Vec::<String>::new());
    let read = |value: Value| {
        let mut rules: Vec<Value> = value.as_array().unwrap().clone();
        for rule in &mut rules {
            for key in ["provenance", "updated"] {
                rule.as_object_mut().unwrap().remove(key);
            }
        }
        rules
    };
    assert_eq!(read(other.get(RULES).await.expect(200)), read(stage.harness.get(RULES).await.expect(200)));
    assert_eq!(other.get("/api/v1/provisioning/mute-timings").await.expect(200)[0]["name"], "night");
}

#[tokio::test]
async fn contact_points_keep_their_secrets_and_can_be_tried() {
    let stage = Stage::new().await;
    let h = &stage.harness;
    let url = format!("{}/hook", stage.url);
    let point = json!({"uid": "own", "name": "own", "type": "slack", "settings": {"url": url, "recipient": "#own"}});
    let made = h.admin("POST", "/api/v1/provisioning/contact-points", point.clone()).await.expect(202);
    assert_eq!(made["settings"]["url"], "[REDACTED]");
    let list = h.get("/api/v1/provisioning/contact-points").await.text();
    assert!(!list.contains("/hook"), "{list}");
    assert!(!h.get("/api/alertmanager/grafana/config/api/v1/alerts").await.text().contains("/hook"));
    assert!(!h.get("/api/v1/provisioning/contact-points/export").await.text().contains("/hook"));
    let broken = json!({"name": "x", "type": "slack", "settings": {}});
    let answer = h.admin("POST", "/api/v1/provisioning/contact-points", broken).await;
    assert_eq!(answer.status.as_u16(), 400, "{}", answer.text());
    // What was read can be written: the secret stays.
    let mut changed = made.clone();
    changed["settings"]["recipient"] = "#other".into();
    h.admin("PUT", "/api/v1/provisioning/contact-points/own", changed).await.expect(202);
    let test = json!({"receivers": [{"name": "own", "grafana_managed_receiver_configs": [made]}]});
    let answer =
        h.admin("POST", "/api/alertmanager/grafana/config/api/v1/receivers/test", test.clone()).await.expect(200);
    assert_eq!(answer["receivers"][0]["grafana_managed_receiver_configs"][0]["status"], "ok", "{answer}");
    assert!(stage.messages()[0].contains("TestAlert"));
    stage.world.lock().refusals = 1;
    let answer = h.admin("POST", "/api/alertmanager/grafana/config/api/v1/receivers/test", test).await.expect(400);
    assert!(answer["receivers"][0]["grafana_managed_receiver_configs"][0]["error"].as_str().unwrap().contains("500"));
    // The file's contact point is in use and the file's.
    assert_eq!(h.admin("DELETE", "/api/v1/provisioning/contact-points/slack", Value::Null).await.status.as_u16(), 409);
    h.admin("DELETE", "/api/v1/provisioning/contact-points/own", Value::Null).await.expect(202);
    assert_eq!(h.get("/api/v1/provisioning/contact-points").await.expect(200).as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn policies_timings_and_templates() {
    let h = Harness::new("").await;
    let policies = "/api/v1/provisioning/policies";
    assert_eq!(h.get(policies).await.expect(200)["receiver"], "grafana-default-email");
    let unknown = json!({"receiver": "nobody"});
    assert_eq!(h.admin("PUT", policies, unknown).await.status.as_u16(), 400);
    let point = json!({"uid": "w", "name": "hook", "type": "webhook", "settings": {"url": "http://127.0.0.1:9/"}});
    h.admin("POST", "/api/v1/provisioning/contact-points", point).await.expect(202);
    let timing =
        json!({"name": "night", "time_intervals": [{"times": [{"start_time": "22:00", "end_time": "24:00"}]}]});
    h.admin("POST", "/api/v1/provisioning/mute-timings", timing.clone()).await.expect(201);
    assert_eq!(h.admin("POST", "/api/v1/provisioning/mute-timings", timing).await.status.as_u16(), 409);
    let policy = json!({
        "receiver": "hook", "group_by": ["alertname"], "group_wait": "5s",
        "routes": [{"receiver": "hook", "object_matchers": [["team", "=", "a"]], "mute_time_intervals": ["night"]}],
    });
    h.admin("PUT", policies, policy).await.expect(202);
    let read = h.get(policies).await.expect(200);
    assert_eq!(
        (read["group_wait"].as_str(), read["routes"][0]["mute_time_intervals"][0].as_str()),
        (Some("5s"), Some("night"))
    );
    let used = h.admin("DELETE", "/api/v1/provisioning/mute-timings/night", Value::Null).await;
    assert_eq!(used.status.as_u16(), 409, "it is in use");
    assert_eq!(h.admin("DELETE", "/api/v1/provisioning/contact-points/w", Value::Null).await.status.as_u16(), 409);
    let broken = json!({"template": "{{ define \"x\" }}{{ nope }}{{ end }}"});
    assert_eq!(h.admin("PUT", "/api/v1/provisioning/templates/x", broken).await.status.as_u16(), 400);
    let good = json!({"template": "{{ define \"x\" }}{{ .Status }}{{ end }}"});
    h.admin("PUT", "/api/v1/provisioning/templates/x", good).await.expect(202);
    let h = h.restart("").await;
    assert_eq!(h.get("/api/v1/provisioning/templates").await.expect(200)[0]["name"], "x");
    assert_eq!(h.get("/api/alertmanager/grafana/api/v2/receivers").await.expect(200).as_array().map(Vec::len), Some(2));
    h.admin("DELETE", policies, Value::Null).await.expect(202);
    h.admin("DELETE", "/api/v1/provisioning/mute-timings/night", Value::Null).await.expect(204);
    h.admin("DELETE", "/api/v1/provisioning/templates/x", Value::Null).await.expect(204);
}

#[tokio::test]
async fn expressions_are_evaluated_for_panels_and_editors() {
    let stage = Stage::new().await;
    let queries = json!({"queries": [
        {"refId": "A", "datasource": {"uid": "metrics"}, "expr": "up", "instant": true},
        {"refId": "B", "datasource": {"type": "__expr__", "uid": "__expr__"}, "type": "math", "expression": "$A * 2"},
    ], "from": "now-1h", "to": "now"});
    let answer = stage.harness.admin("POST", "/api/ds/query", queries).await.expect(200);
    assert_eq!(answer["results"]["B"]["frames"][0]["data"]["values"][1][0], 20.0, "{answer}");
    let eval = json!({"data": rule("x", "x")["data"], "condition": "C"});
    let answer = stage.harness.admin("POST", "/api/v1/eval", eval).await.expect(200);
    assert_eq!(answer["results"]["C"]["frames"][0]["data"]["values"][1][0], 1.0, "{answer}");
    let circle = json!({"data": [{"refId": "A", "datasourceUid": "__expr__", "model": {"type": "math", "expression": "$A"}}], "condition": "A"});
    assert_eq!(stage.harness.admin("POST", "/api/v1/eval", circle).await.status.as_u16(), 400);
}

#[tokio::test]
async fn a_broken_file_is_named_and_the_others_go_on() {
    let stage = Stage::new().await;
    let dir = stage.harness.dir.path().join("provisioning/alerting");
    write(
        &dir.join("broken.yaml"),
        "apiVersion: 1\ngroups:\n  - name: g\n    folder: F\n    rules:\n      - title: no uid\n",
    );
    write(&dir.join("worse.yaml"), "groups: [");
    let errors = stage.harness.app.alerts.reload(&stage.harness.app).await;
    assert!(errors.iter().any(|error| error.contains("broken.yaml:6")), "{errors:?}");
    assert!(errors.iter().any(|error| error.contains("worse.yaml:")), "{errors:?}");
    assert_eq!(stage.harness.get(RULES).await.expect(200).as_array().map(Vec::len), Some(1));
}

/// The files that the whole stack in one process starts with.
#[tokio::test]
async fn the_stack_s_own_files_are_read_without_a_complaint() {
    let defaults = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../stack/defaults");
    let fill = |text: String, root: &std::path::Path| {
        let mut text = text;
        for (name, value) in [
            ("DASHBOARDS_HOST", "127.0.0.1".to_owned()),
            ("DASHBOARDS_PORT", "0".to_owned()),
            ("DASHBOARDS_DATA", root.join("data").display().to_string()),
            ("PROVISIONING_DIR", root.join("conf/provisioning").display().to_string()),
            ("DASHBOARDS_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/provisioning/dashboards").to_owned()),
            ("SLACK_PAGE", String::new()),
        ] {
            text = text.replace(&format!("${{{name}}}"), &value);
        }
        for name in ["METRICS_URL", "LOGS_URL", "TITAN_URL", "NODE_URL", "AGENT_URL", "SLACK_URL"] {
            text = text.replace(&format!("${{{name}}}"), "http://127.0.0.1:9/x");
        }
        text
    };
    let root = tempfile::tempdir().unwrap();
    for file in [
        "provisioning/alerting/rules.yaml",
        "provisioning/alerting/contact-points.yaml",
        "provisioning/alerting/policies.yaml",
        "provisioning/datasources/foursight.yaml",
        "provisioning/dashboards/foursight.yaml",
    ] {
        let text = std::fs::read_to_string(defaults.join(file)).unwrap();
        write(&root.path().join("conf").join(file), &fill(text, root.path()));
    }
    let ini = std::fs::read_to_string(defaults.join("grafana.ini")).unwrap();
    let config = root.path().join("grafana.ini");
    write(&config, &fill(ini, root.path()));
    let flags = crate::Flags::from_args([format!("--config={}", config.display())]).unwrap();
    let options = crate::Options { on_first_password: Some(std::sync::Arc::new(|_, _| {})), ..flags.options() };
    let server = crate::Server::open(options, kit::Shutdown::new()).await.unwrap();
    let app = server.app();
    assert_eq!(app.settings.warnings, Vec::<String>::new());
    assert_eq!(app.alerts.reload(app).await, Vec::<String>::new());
    assert_eq!(app.alerts.rule_count(), 7);
    assert_eq!(app.reload_dashboards().await, Vec::<String>::new());
    assert_eq!((app.dashboards.len(), app.datasources.all().len()), (3, 2));
    let broken: Vec<String> = app
        .alerts
        .rules
        .groups()
        .iter()
        .flat_map(|g| g.rules.iter().map(|r| r.problem.clone()))
        .filter(|p| !p.is_empty())
        .collect();
    assert_eq!(broken, Vec::<String>::new());
}
