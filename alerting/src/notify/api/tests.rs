use serde_json::{Value, json};

use super::*;
use crate::notify::notifier::tests::sim::{self, Sim};

fn setup() -> Sim {
    let config = sim::config(json!({
        "inhibit": [{ "source_matchers": ["alertname=source"], "target_matchers": ["alertname=target"] }],
        "route": {
            "group_by": ["alertname"], "labels": { "team": "ops-{{ .GroupLabels.alertname }}" },
            "routes": [{ "matchers": ["alertname=timed"], "mute_time_intervals": ["always"] }],
        },
        "intervals": [{ "name": "always", "time_intervals": [{ "times": [{ "start_time": "00:00", "end_time": "24:00" }] }] }],
    }));
    let mut sim = Sim::new(&config);
    sim.silence("quiet", 0, 1000);
    for name in ["quiet", "target", "source", "timed", "loud"] {
        sim.fire(name);
    }
    sim
}

fn names(alerts: &[ApiAlert]) -> Vec<&str> {
    let mut names: Vec<&str> = alerts.iter().map(|alert| alert.labels.value("alertname")).collect();
    names.sort_unstable();
    names
}

fn texts(query: AlertQuery, filter: &[&str], receiver: Option<&str>, matchers: &[&str]) -> AlertQuery {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    query.with_texts(&owned(filter), receiver, &owned(matchers), MatcherMode::Fallback).expect("a good query")
}

#[test]
fn alerts_by_state_and_filter() {
    let sim = setup();
    let all = AlertQuery::default;
    let cases: [(AlertQuery, &[&str]); 13] = [
        (all(), &["loud", "quiet", "source", "target", "timed"]),
        (AlertQuery { active: false, ..all() }, &["quiet", "target"]),
        (AlertQuery { silenced: false, ..all() }, &["loud", "source", "target", "timed"]),
        (AlertQuery { inhibited: false, ..all() }, &["loud", "quiet", "source", "timed"]),
        (AlertQuery { active: false, inhibited: false, silenced: false, ..all() }, &[]),
        (texts(all(), &["alertname=~\"l.*|t.*\"", "alertname!=timed"], None, &[]), &["loud", "target"]),
        (texts(all(), &["missing=\"\""], None, &[]), &["loud", "quiet", "source", "target", "timed"]),
        (texts(all(), &["alertname=\"\""], None, &[]), &[]),
        (texts(all(), &["alertname!=\"\""], None, &[]), &["loud", "quiet", "source", "target", "timed"]),
        (texts(all(), &["missing!=\"\""], None, &[]), &[]),
        (texts(all(), &[], Some("ho+k"), &[]), &["loud", "quiet", "source", "target", "timed"]),
        (texts(all(), &[], Some("ho"), &[]), &[]),
        (texts(all(), &[], None, &["name=other"]), &[]),
    ];
    for (query, want) in cases {
        assert_eq!(names(&sim.notifier.query_alerts(&query, 0)), want, "{query:?}");
    }
    // What has ended is not shown.
    assert_eq!(sim.notifier.query_alerts(&AlertQuery::default(), 240_001).len(), 0);
    let counts = sim.notifier.count_states(0);
    assert_eq!((counts["active"], counts["suppressed"]), (3, 2));
}

#[test]
fn bad_parameters() {
    let query = |filter: &[&str], receiver, matchers: &[&str]| {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let query = AlertQuery::default().with_texts(&owned(filter), receiver, &owned(matchers), MatcherMode::Fallback);
        query.expect_err("a bad query").to_string()
    };
    assert!(query(&["{a=b}"], None, &[]).starts_with("bad matcher format: "));
    assert!(query(&[], Some("("), &[]).starts_with("failed to parse receiver param: "));
    assert!(query(&[], None, &["x"]).starts_with("failed to parse receiver_matchers param: "));
}

#[test]
fn an_alert_as_json() {
    let sim = setup();
    let query = texts(AlertQuery::default(), &["alertname=target"], None, &[]);
    let alerts = sim.notifier.query_alerts(&query, 0);
    let source = sim.notifier.alerts().iter().find(|alert| alert.name() == "source").expect("the source").fingerprint();
    let want = json!([{
        "annotations": {}, "endsAt": "1970-01-01T00:04:00.000Z", "startsAt": "1970-01-01T00:00:00.000Z",
        "updatedAt": "1970-01-01T00:00:00.000Z", "fingerprint": alerts[0].fingerprint, "receivers": [{ "name": "hook" }],
        "status": { "inhibitedBy": [source], "mutedBy": [], "silencedBy": [], "state": "suppressed" },
        "labels": { "alertname": "target" },
    }]);
    let got = serde_json::to_value(&alerts).expect("JSON");
    assert_eq!(got, want);
    let back: Vec<ApiAlert> = serde_json::from_value(got).expect("clients read it too");
    assert_eq!(back, alerts);
}

#[test]
fn groups() {
    let sim = setup();
    let groups = sim.notifier.query_groups(&AlertQuery::default(), 0);
    let labels: Vec<&str> = groups.iter().map(|group| group.labels.value("alertname")).collect();
    assert_eq!(labels, ["loud", "quiet", "source", "target", "timed"]);
    assert_eq!(groups[0].route_labels["team"], "ops-loud");
    let timed = &groups[4].alerts[0].status;
    assert_eq!((timed.state, &timed.muted_by[..]), (AlertState::Suppressed, &["always".to_owned()][..]));
    let unmuted = sim.notifier.query_groups(&AlertQuery { muted: false, silenced: false, ..AlertQuery::default() }, 0);
    let labels: Vec<&str> = unmuted.iter().map(|group| group.labels.value("alertname")).collect();
    assert_eq!(labels, ["loud", "source", "target"]);
    let json = serde_json::to_value(&groups[0]).expect("JSON");
    assert_eq!((&json["receiver"], &json["routeLabels"]), (&json!({ "name": "hook" }), &json!({ "team": "ops-loud" })));
}

#[test]
fn silences_in_order() {
    let mut sim = Sim::new(&sim::config(json!({})));
    for (name, from, to) in [("p2", 300, 400), ("a2", 0, 900), ("p1", 200, 500), ("a1", 0, 800), ("e", 0, 50)] {
        sim.silence(name, from, to);
    }
    sim.run_to(100);
    let of = |filter: &[&str]| -> Vec<(String, Value)> {
        let filter: Vec<String> = filter.iter().map(|text| (*text).to_owned()).collect();
        let filter = parse_filter(&filter, MatcherMode::Fallback).expect("a filter");
        let found = sim.notifier.query_silences(&filter, 100_000);
        let entry = |one: &ApiSilence| {
            let json = serde_json::to_value(one).expect("JSON");
            (json["matchers"][0]["value"].as_str().expect("a value").to_owned(), json["status"]["state"].clone())
        };
        found.iter().map(entry).collect()
    };
    let want = [("a1", "active"), ("a2", "active"), ("p1", "pending"), ("p2", "pending"), ("e", "expired")];
    assert_eq!(of(&[]), want.map(|(name, state)| (name.to_owned(), Value::from(state))));
    assert_eq!(of(&["alertname=p1"]).len(), 1);
    assert_eq!(of(&["alertname=~p1"]).len(), 0);
    assert!(sim.notifier.query_silence("silence-1", 0).is_some() && sim.notifier.query_silence("x", 0).is_none());
    let receivers = serde_json::to_value(sim.notifier.query_receivers(&[])).expect("JSON");
    assert_eq!(receivers, json!([{ "name": "hook", "labels": { "name": "hook" } }]));
}
