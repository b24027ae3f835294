//! The life of alerts: pending, firing, told, resolved, told again, with restarts in between.

use serde_json::{Value, json};

use super::{RULES, Stage};

#[tokio::test]
async fn an_alert_is_told_once_and_its_end_once_whatever_restarts() {
    let stage = Stage::new().await;
    stage.pass(60).await;
    assert_eq!(stage.states().await, ["Normal"]);
    stage.set(&[("web", 97.5)]);
    stage.pass(60).await;
    assert_eq!(stage.states().await, ["Pending"]);
    assert!(stage.messages().is_empty(), "pending alerts are nobody's business");

    // A crash while it is pending does not begin the wait anew.
    let stage = stage.restart().await;
    assert_eq!(stage.states().await, ["Pending"]);
    stage.pass(60).await;
    assert_eq!(stage.states().await, ["Alerting"]);
    stage.pass(30).await;
    let messages = stage.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    let first = &messages[0];
    for part in [
        "Disk full",
        "Disk of web at 97.5",
        "Value *97.5*",
        "severity=critical",
        "instance=web",
        "first line\\nsecond &lt;line&gt;",
        "http://dash.test/explore?left=",
        "http://dash.test/alerting/silence/new?",
    ] {
        assert!(first.contains(part), "{part} is not in {first}");
    }
    assert!(
        stage.world.lock().log_queries[0].contains("query=%7Bjob%3D%22titan%22%7D"),
        "{:?}",
        stage.world.lock().log_queries
    );

    // Neither a crash nor a stop in good order lets it be told again.
    let stage = stage.restart().await;
    stage.pass(300).await;
    stage.harness.app.alerts.close(&stage.harness.app).await;
    let stage = stage.restart().await;
    stage.pass(300).await;
    assert_eq!(stage.messages().len(), 1);
    assert_eq!(stage.states().await, ["Alerting"]);

    stage.set(&[("web", 12.0)]);
    stage.pass(60).await;
    let stage = stage.restart().await;
    stage.pass(120).await;
    let messages = stage.messages();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[1].contains("Returned to *12*") && messages[1].contains("Resolved after"), "{}", messages[1]);
    let stage = stage.restart().await;
    stage.pass(900).await;
    assert_eq!(stage.messages().len(), 2);

    let history = stage.harness.get("/api/v1/rules/history?limit=10").await.expect(200);
    let changes: Vec<(&str, &str)> = history["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["previous"].as_str().unwrap(), event["current"].as_str().unwrap()))
        .collect();
    assert_eq!(changes, [("Alerting", "Normal"), ("Pending", "Alerting"), ("Normal", "Pending")]);
    assert_eq!(history["events"][1]["values"]["A"], 97.5);
    assert_eq!(history["events"][0]["labels"]["instance"], "web");
}

#[tokio::test]
async fn a_message_that_was_refused_is_sent_again() {
    let stage = Stage::new().await;
    stage.set(&[("web", 99.0)]);
    stage.world.lock().refusals = 2;
    stage.pass(150).await;
    // The wait between attempts is the notifier's, on the same clock.
    stage.pass(120).await;
    assert_eq!(stage.messages().len(), 1);
    assert_eq!(stage.world.lock().attempts, 3);
    let metrics = stage.harness.get("/metrics").await.text();
    assert!(metrics.contains(r#"grafana_alerting_notifications_total{integration="slack",org="1"} 3"#), "{metrics}");
    assert!(metrics.contains(r#"grafana_alerting_alerts{state="alerting"} 1"#));
}

#[tokio::test]
async fn series_that_vanish_and_queries_that_fail() {
    let stage = Stage::new().await;
    stage.set(&[("a", 99.0), ("b", 99.0)]);
    stage.pass(120).await;
    assert_eq!(stage.states().await, ["Alerting", "Alerting"]);
    // One series is gone: its alert ends after two evaluations without it.
    stage.set(&[("a", 99.0)]);
    stage.pass(60).await;
    assert_eq!(stage.states().await.len(), 2);
    stage.pass(60).await;
    assert_eq!(stage.states().await, ["Alerting"]);
    let history = stage.harness.get("/api/v1/rules/history?limit=1").await.expect(200);
    assert_eq!(
        (history["events"][0]["current"].as_str(), history["events"][0]["reason"].as_str()),
        (Some("Normal"), Some("MissingSeries"))
    );
    // The source is broken: the rule says so.
    stage.world.lock().values = None;
    stage.pass(60).await;
    let rules = stage.harness.get("/api/prometheus/grafana/api/v1/rules").await.expect(200);
    let rule = &rules["data"]["groups"][0]["rules"][0];
    assert_eq!(rule["health"], "error");
    assert!(rule["lastError"].as_str().unwrap().contains("broken"), "{rule}");
}

#[tokio::test]
async fn a_rule_that_changes_ends_its_alerts_and_one_that_is_gone_too() {
    let stage = Stage::new().await;
    stage.set(&[("web", 99.0)]);
    stage.pass(180).await;
    assert_eq!(stage.messages().len(), 1);
    let file = stage.harness.dir.path().join("provisioning/alerting/rules.yaml");
    std::fs::write(&file, RULES.replace("params: [90]", "params: [95]")).unwrap();
    let answer = stage.harness.admin("POST", "/api/admin/provisioning/alerting/reload", Value::Null).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    assert!(stage.states().await.is_empty(), "it begins anew");
    stage.pass(300).await;
    assert_eq!(stage.states().await, ["Alerting"]);
    // It went away while the server was down.
    std::fs::remove_file(&file).unwrap();
    let stage = stage.restart().await;
    stage.pass(300).await;
    let messages = stage.messages();
    assert!(messages.last().unwrap().contains("Resolved after"), "{messages:?}");
    let active = stage.harness.get("/api/alertmanager/grafana/api/v2/alerts").await.expect(200);
    assert_eq!(active, json!([]));
}

#[tokio::test]
async fn a_silence_holds_messages_back_until_it_ends() {
    let stage = Stage::new().await;
    stage.set(&[("web", 99.0)]);
    let end = kit::time::Rfc3339(crate::tests::START_MS + 600_000).to_string();
    let silence = json!({
        "matchers": [{"name": "instance", "value": "web", "isRegex": false, "isEqual": true}],
        "startsAt": kit::time::Rfc3339(crate::tests::START_MS).to_string(), "endsAt": end,
        "createdBy": "", "comment": "maintenance",
    });
    let posted = stage.harness.admin("POST", "/api/alertmanager/grafana/api/v2/silences", silence).await.expect(202);
    let id = posted["silenceID"].as_str().unwrap().to_owned();
    stage.pass(300).await;
    assert!(stage.messages().is_empty());
    let alerts = stage.harness.get("/api/alertmanager/grafana/api/v2/alerts").await.expect(200);
    assert_eq!(alerts[0]["status"]["state"], "suppressed");
    assert_eq!(alerts[0]["status"]["silencedBy"], json!([id]));
    let stage = stage.restart().await;
    let silences = stage.harness.get("/api/alertmanager/grafana/api/v2/silences").await.expect(200);
    assert_eq!(
        (silences[0]["status"]["state"].as_str(), silences[0]["createdBy"].as_str()),
        (Some("active"), Some("admin"))
    );
    stage
        .harness
        .admin("DELETE", &format!("/api/alertmanager/grafana/api/v2/silence/{id}"), Value::Null)
        .await
        .expect(200);
    stage.pass(120).await;
    assert_eq!(stage.messages().len(), 1);
}

#[tokio::test]
async fn a_recording_rule_writes_what_it_finds() {
    let rules = "apiVersion: 1
groups:
  - name: records
    folder: Foursight
    interval: 1m
    rules:
      - uid: rec
        title: Disk by instance
        labels: {team: ops}
        record: {metric: 'disk:used', from: A}
        data:
          - {refId: A, datasourceUid: metrics, relativeTimeRange: {from: 600, to: 0}, model: {refId: A, instant: true, expr: disk_used}}
";
    let stage = Stage::with(rules).await;
    stage.pass(60).await;
    let write = stage.world.lock().writes.first().cloned().expect("a write");
    let text = String::from_utf8_lossy(&write).into_owned();
    for part in ["disk:used", "instance", "web", "team", "ops"] {
        assert!(text.contains(part), "{part} is not in {text:?}");
    }
    let rules = stage.harness.get("/api/prometheus/grafana/api/v1/rules").await.expect(200);
    let rule = &rules["data"]["groups"][0]["rules"][0];
    assert_eq!((rule["type"].as_str(), rule["health"].as_str()), (Some("recording"), Some("ok")), "{rule}");
    assert!(stage.messages().is_empty());
}
