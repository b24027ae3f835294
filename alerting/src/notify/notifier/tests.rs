mod format;
mod properties;
pub(in crate::notify) mod sim;

use serde_json::json;
use sim::{Delivery, Sim};

use super::*;
use crate::notify::request::{HttpResponse, Outcome};

fn delivered(sim: &Sim) -> Vec<String> {
    sim.deliveries.iter().map(Delivery::to_string).collect()
}

#[test]
fn a_group_goes_its_way() {
    let mut sim = Sim::new(&sim::config(json!({})));
    sim.fire("a");
    sim.at(10).fire("b");
    sim.keep_until(3600);
    sim.at(3600).resolve("a");
    sim.keep("b").run_to(4600);
    sim.at(4600).resolve("b");
    sim.run_to(20_000);
    let want = [
        // After group_wait, both together.
        "30 hook first notification +a +b",
        // Resolved ones with the next round of the group.
        "3630 hook some alerts resolved +b -a",
        "4830 hook all alerts resolved -b",
    ];
    assert_eq!(delivered(&sim), want);
    assert_eq!((sim.notifier.group_count(), sim.notifier.alerts().len()), (0, 0));
}

#[test]
fn unchanged_groups_repeat() {
    let mut sim = Sim::new(&sim::config(json!({})));
    sim.fire("a");
    sim.keep("a").run_to(10 * 3600);
    // Every four hours, rounded up to the next round.
    let want = [
        "30 hook first notification +a",
        "14730 hook repeat interval elapsed +a",
        "29430 hook repeat interval elapsed +a",
    ];
    assert_eq!(delivered(&sim), want);
}

#[test]
fn an_alert_nobody_repeats_is_resolved_and_an_old_one_does_not_wait() {
    let mut sim = Sim::new(&sim::config(json!({})));
    sim.at(1000);
    sim.post(json!({ "labels": { "alertname": "a" }, "startsAt": sim::time(0) }));
    sim.run_to(5000);
    assert_eq!(delivered(&sim), ["1000 hook first notification +a", "1300 hook all alerts resolved -a"]);
}

#[test]
fn receivers_that_do_not_want_resolved_alerts() {
    let mut sim = Sim::new(&sim::config(json!({ "webhook": { "send_resolved": false } })));
    sim.fire("a").fire("b");
    sim.run_to(100);
    sim.resolve("a");
    sim.keep("b").run_to(1000);
    sim.resolve("b");
    sim.run_to(2000);
    sim.fire("b");
    sim.run_to(3000);
    // The log forgets what was resolved, so that it is news when it fires again.
    assert_eq!(delivered(&sim), ["30 hook first notification +a +b", "2030 hook first notification +b"]);
}

#[test]
fn silences_and_inhibition_and_times() {
    let config = sim::config(json!({
        "inhibit": [{ "source_matchers": ["alertname=source"], "target_matchers": ["alertname=target"] }],
        "route": { "routes": [{ "matchers": ["alertname=timed"], "mute_time_intervals": ["always"] }] },
        "intervals": [{ "name": "always", "time_intervals": [{ "times": [{ "start_time": "00:00", "end_time": "24:00" }] }] }],
    }));
    let mut sim = Sim::new(&config);
    sim.silence("quiet", 0, 1000);
    sim.fire("quiet").fire("target").fire("source").fire("timed").fire("loud");
    for name in ["quiet", "target", "source", "timed", "loud"] {
        sim.keep(name);
    }
    sim.run_to(1300);
    let want = [
        "30 hook first notification +loud +source",
        // Once the silence is over.
        "1230 hook new alerts added +loud +quiet +source",
    ];
    assert_eq!(delivered(&sim), want);
    let suppressed = &sim.notifier.stats().suppressed;
    assert!(suppressed[&Suppression::Inhibition] >= 5 && suppressed[&Suppression::Silence] == 4);
    assert!(suppressed[&Suppression::MuteTimeInterval] >= 5);
    sim.resolve("source");
    sim.run_to(1600);
    assert_eq!(
        delivered(&sim).last().map(String::as_str),
        Some("1530 hook new alerts added +loud +quiet +target -source")
    );
}

#[test]
fn failures_are_retried_until_the_deadline() {
    let mut sim = Sim::new(&sim::config(json!({})));
    sim.outcomes = Box::new(|attempt| match attempt {
        1 => Outcome::Network("refused".to_owned()),
        2 => Outcome::Http(vec![HttpResponse { retry_after_ms: Some(60_000), ..HttpResponse::new(429, "") }]),
        3 => Outcome::Timeout,
        _ => Outcome::Http(vec![HttpResponse::new(200, "")]),
    });
    sim.fire("a");
    sim.keep("a").run_to(200);
    assert_eq!(sim.deliveries.len(), 1);
    assert_eq!(sim.attempts.iter().map(|(_, attempt)| *attempt).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let times: Vec<i64> = sim.attempts.iter().map(|(at, _)| *at).collect();
    assert!(times[2] - times[1] >= 60_000, "{times:?}");
    let stats = sim.notifier.stats().integrations[&("hook".to_owned(), "webhook".to_owned())].clone();
    assert_eq!((stats.notifications, stats.requests, stats.requests_failed, stats.failed.len()), (1, 4, 3, 0));

    sim.outcomes = Box::new(|_| Outcome::Http(vec![HttpResponse::new(500, "oops")]));
    sim.fire("b");
    sim.keep("b").run_to(1000);
    let events = sim.notifier.take_events();
    let given_up = events.iter().find_map(|event| match event {
        NotifierEvent::Failed { reason, error, attempts, .. } => Some((*reason, error.clone(), *attempts)),
        _ => None,
    });
    let (reason, error, attempts) = given_up.expect("given up");
    assert_eq!((reason, error.as_str()), (FailureReason::ServerError, "unexpected status code 500: oops"));
    assert!(attempts > 5);
    sim.outcomes = Box::new(|_| Outcome::Http(vec![HttpResponse::new(200, "")]));
    sim.run_to(1300);
    // A later round says what this one could not.
    let last = sim.deliveries.last().expect("a delivery");
    assert!(last.at_ms > 1_000_000 && last.to_string().ends_with(" hook new alerts added +a +b"), "{last}");
}

#[test]
fn client_errors_are_not_retried_and_resolved_alerts_stay_until_told() {
    let mut sim = Sim::new(&sim::config(json!({})));
    sim.outcomes = Box::new(|_| Outcome::Http(vec![HttpResponse::new(200, "")]));
    sim.fire("a");
    sim.run_to(100);
    sim.resolve("a");
    sim.outcomes = Box::new(|_| Outcome::Http(vec![HttpResponse::new(400, "bad")]));
    sim.run_to(400);
    assert_eq!(sim.attempts.len(), 2);
    assert_eq!(sim.notifier.alerts().len(), 1);
    sim.outcomes = Box::new(|_| Outcome::Http(vec![HttpResponse::new(200, "")]));
    sim.run_to(1000);
    assert_eq!(delivered(&sim), ["30 hook first notification +a", "630 hook all alerts resolved -a"]);
    assert!(sim.notifier.alerts().is_empty());
}

#[test]
fn a_host_that_loses_a_send_does_not_stop_the_group() {
    let mut sim = Sim::new(&sim::config(json!({})));
    sim.lose = true;
    sim.fire("a");
    sim.keep("a").run_to(300);
    assert_eq!((sim.deliveries.len(), sim.attempts.len()), (0, 1));
    sim.lose = false;
    sim.run_to(1000);
    // The round's deadline is at 330; after a minute of grace the next round, already due, begins.
    assert_eq!(delivered(&sim), ["390 hook first notification +a"]);
}

#[test]
fn integrations_do_not_wait_for_each_other() {
    let mut sim = Sim::new(&sim::config(json!({ "second": true })));
    sim.outcomes_by = Some(Box::new(|key, attempt| {
        let ok = Outcome::Http(vec![HttpResponse::new(200, "")]);
        if key.index == 0 && attempt < 3 { Outcome::Timeout } else { ok }
    }));
    sim.fire("a");
    sim.keep("a").run_to(1000);
    // The first one is told late, the second at once, each of them once.
    let times: Vec<(usize, i64)> = sim.deliveries.iter().map(|d| (d.index, d.at_ms / 1000)).collect();
    assert_eq!(times.len(), 2);
    assert_eq!(times[0], (1, 30));
    assert!(times[1].0 == 0 && times[1].1 < 60, "{times:?}");
}

#[test]
fn a_new_configuration_keeps_timers_and_tells_nobody_twice() {
    let mut sim = Sim::new(&sim::config(json!({})));
    sim.fire("a").fire("b");
    sim.keep("a").keep("b").run_to(100);
    let config = json!({ "route": { "routes": [{ "matchers": ["alertname=b"], "group_by": ["alertname"] }] } });
    sim.reload(&sim::config(config));
    sim.run_to(1000);
    // `b` is in a group of its own now, which nobody was told of.
    let want = ["30 hook first notification +a +b", "100 hook first notification +b"];
    assert_eq!(delivered(&sim), want);
    sim.reload(&sim::config(json!({})));
    sim.run_to(3000);
    assert_eq!(delivered(&sim), want);
}

#[test]
fn a_send_on_its_way_counts_after_a_reload() {
    let mut sim = Sim::new(&sim::config(json!({})));
    sim.hold = true;
    sim.fire("a");
    sim.keep("a").run_to(40);
    assert_eq!(sim.held.len(), 1);
    let config = json!({ "route": { "group_by": ["alertname"] } });
    sim.reload(&sim::config(config));
    sim.hold = false;
    sim.release();
    sim.reload(&sim::config(json!({})));
    sim.run_to(1000);
    let old_group: Vec<_> = sim.deliveries.iter().filter(|d| d.group_key == "{}:{}").collect();
    assert_eq!(old_group.len(), 1, "{:?}", delivered(&sim));
}

#[test]
fn time_stopped_does_not_resolve_alerts() {
    let mut sim = Sim::new(&sim::config(json!({})));
    sim.fire("a");
    sim.run_to(100);
    sim.stop_for(7200);
    sim.run_to(7310);
    assert_eq!(delivered(&sim), ["30 hook first notification +a"], "it fires as far as anyone knows");
    sim.run_to(9000);
    assert_eq!(delivered(&sim).len(), 2, "nobody repeats it after the restart");
}

#[test]
fn limits_and_refusals() {
    let mut sim = Sim::with(&sim::config(json!({})), |options| options.per_name_limit = 1);
    sim.fire("a");
    let now_ms = sim.now_ms;
    let posted = |labels: serde_json::Value| serde_json::from_value(json!({ "labels": labels })).expect("an alert");
    let refused = sim.notifier.put_alerts(
        now_ms,
        vec![posted(json!({ "alertname": "a", "x": "1" })), posted(json!({})), posted(json!({ "alertname": "b" }))],
    );
    let errors: Vec<_> = refused.iter().map(|(i, error)| (*i, error.to_string())).collect();
    let want = [(0, "too many alerts of name \"a\" (limit: 1)"), (1, "at least one label pair required")];
    assert_eq!(errors, want.map(|(i, text)| (i, text.to_owned())));
    assert_eq!((sim.notifier.alerts().len(), sim.notifier.stats().alerts_invalid), (2, 2));
}

#[test]
fn a_start_delay_lets_everyone_report_first() {
    let mut sim = Sim::with(&sim::config(json!({})), |options| options.start_delay_ms = 120_000);
    sim.fire("a");
    sim.run_to(100);
    assert!(sim.deliveries.is_empty());
    sim.run_to(200);
    assert_eq!(delivered(&sim), ["120 hook first notification +a"]);
}

#[test]
fn snapshots_of_other_versions_are_refused() {
    let mut sim = Sim::new(&sim::config(json!({})));
    let mut snapshot = sim.notifier.snapshot(0);
    snapshot.version = 7;
    let (config, options) = (sim.compiled(), sim.notifier.options().clone());
    let error = Notifier::restore(config, options, Some(snapshot), Vec::new(), 0).map(|_| ()).expect_err("another");
    assert_eq!(error.to_string(), "snapshot has version 7, expected 1");
}
