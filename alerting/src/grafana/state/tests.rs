use std::collections::BTreeMap;

use model::Labels;
use proptest::prelude::*;
use serde_json::json;

use super::instance::state_text;
use super::*;
use crate::grafana::eval::{Capture, EvalError, Evaluation, InstanceResult, NoDataSource};
use crate::grafana::rule::tests::{PLACE, rule};
use crate::grafana::rule::{ExecErrState, NoDataState, PreparedRule};
use crate::grafana::template::GrafanaExpander;
use crate::rules::OutgoingAlert;

const SETTINGS: [(NoDataState, ExecErrState); 4] = [
    (NoDataState::NoData, ExecErrState::Error),
    (NoDataState::Alerting, ExecErrState::Alerting),
    (NoDataState::Ok, ExecErrState::Ok),
    (NoDataState::KeepLast, ExecErrState::KeepLast),
];

/// State, whether its time has passed, and the next state: after Alerting, after Normal, and after no data with each of the
/// settings (own state, Alerting, OK, KeepLast). `*` stands for `(NoData)`, `+` for `(NoData, KeepLast)`.
type Row = (State, bool, [&'static str; 6]);

const WITH_TIMES: [Row; 12] = [
    (State::Normal, false, ["Pending", "Normal", "Pending *", "Pending *", "Normal *", "Normal +"]),
    (State::Normal, true, ["Pending", "Normal", "Pending *", "Pending *", "Normal *", "Normal +"]),
    (State::Pending, false, ["Pending", "Normal", "Pending *", "Pending *", "Normal *", "Pending +"]),
    (State::Pending, true, ["Alerting", "Normal", "NoData", "Alerting *", "Normal *", "Alerting +"]),
    (State::Alerting, false, ["Alerting", "Recovering", "Pending *", "Alerting *", "Recovering *", "Alerting +"]),
    (State::Alerting, true, ["Alerting", "Recovering", "Pending *", "Alerting *", "Recovering *", "Alerting +"]),
    (State::NoData, false, ["Pending", "Normal", "NoData", "Pending *", "Normal *", "Normal +"]),
    (State::NoData, true, ["Pending", "Normal", "NoData", "Pending *", "Normal *", "Normal +"]),
    (State::Error, false, ["Pending", "Normal", "Pending *", "Pending *", "Normal *", "Normal +"]),
    (State::Error, true, ["Pending", "Normal", "Pending *", "Pending *", "Normal *", "Normal +"]),
    (State::Recovering, false, ["Alerting", "Recovering", "NoData", "Alerting *", "Recovering *", "Recovering +"]),
    (State::Recovering, true, ["Alerting", "Normal", "NoData", "Alerting *", "Normal *", "Normal +"]),
];

const WITHOUT_TIMES: [Row; 6] = [
    (State::Normal, true, ["Alerting", "Normal", "NoData", "Alerting *", "Normal *", "Normal +"]),
    (State::Pending, true, ["Alerting", "Normal", "NoData", "Alerting *", "Normal *", "Alerting +"]),
    (State::Alerting, true, ["Alerting", "Normal", "NoData", "Alerting *", "Normal *", "Alerting +"]),
    (State::NoData, true, ["Alerting", "Normal", "NoData", "Alerting *", "Normal *", "Normal +"]),
    (State::Error, true, ["Alerting", "Normal", "NoData", "Alerting *", "Normal *", "Normal +"]),
    (State::Recovering, true, ["Alerting", "Normal", "NoData", "Alerting *", "Normal *", "Normal +"]),
];

fn timing(for_ms: i64, keep_firing_for_ms: i64, (no_data, exec_err): (NoDataState, ExecErrState)) -> Timing {
    Timing { for_ms, keep_firing_for_ms, lease_ms: 240_000, no_data, exec_err }
}

/// Errors are to Error what nothing is to NoData.
fn mirrored(text: &str) -> String {
    text.replace("NoData", "\0").replace("Error", "NoData").replace('\0', "Error")
}

#[test]
fn every_cell_of_the_table() {
    let tables: [(i64, &[Row]); 2] = [(60_000, &WITH_TIMES), (0, &WITHOUT_TIMES)];
    for (time_ms, rows) in tables {
        for (state, late, cells) in rows {
            let full = |cell: &str| cell.replace('*', "(NoData)").replace('+', "(NoData, KeepLast)");
            let now_ms = if *late { 1_060_000 } else { 1_030_000 };
            let run = |state: State, outcome: Outcome, settings| {
                let core = Core { state, starts_at_ms: 1_000_000, ends_at_ms: 1_200_000, ..Core::default() };
                let next = step(&core, now_ms, outcome, &timing(time_ms, time_ms, settings));
                check_times(&core, &next, now_ms);
                state_text(&next)
            };
            let place = format!("{state:?} late={late} time={time_ms}");
            assert_eq!(run(*state, Outcome::Alerting, SETTINGS[0]), full(cells[0]), "{place}");
            assert_eq!(run(*state, Outcome::Normal, SETTINGS[0]), full(cells[1]), "{place}");
            for (settings, cell) in SETTINGS.iter().zip(&cells[2..]) {
                assert_eq!(run(*state, Outcome::NoData, *settings), full(cell), "{place} {settings:?}");
                let other = match state {
                    State::NoData => State::Error,
                    State::Error => State::NoData,
                    state => *state,
                };
                assert_eq!(run(other, Outcome::Error, *settings), mirrored(&full(cell)), "{place} {settings:?}");
            }
        }
    }
}

fn check_times(before: &Core, after: &Core, now_ms: i64) {
    let place = format!("{before:?} -> {after:?}");
    if before.state == after.state {
        assert_eq!(after.starts_at_ms, before.starts_at_ms, "{place}");
    } else {
        assert_eq!(after.starts_at_ms, now_ms, "{place}");
    }
    match after.state {
        State::Normal if before.state == State::Normal => assert_eq!(after.ends_at_ms, before.ends_at_ms, "{place}"),
        State::Normal => {
            assert_eq!(after.ends_at_ms, now_ms, "{place}");
            assert_eq!(after.resolved_at_ms.is_some(), before.state.fires(), "{place}");
        }
        _ => assert_eq!(after.ends_at_ms, now_ms + 240_000, "{place}"),
    }
}

struct Sim {
    rule: PreparedRule,
    state: RuleState,
    expander: GrafanaExpander,
    now_ms: i64,
}

impl Sim {
    fn new(more: serde_json::Value) -> Self {
        let rule = rule(more).prepare(&PLACE).expect("a good rule");
        Self { rule, state: RuleState::new(), expander: GrafanaExpander::new("http://g"), now_ms: 0 }
    }

    fn context(&self) -> RuleContext<'_> {
        RuleContext { expander: &self.expander, app_url: "http://g/", resolved_retention_ms: 900_000 }
    }

    /// Evaluates a minute after the last time.
    fn next(&mut self, evaluation: &Evaluation) -> Processed {
        self.now_ms += 60_000;
        let mut state = std::mem::take(&mut self.state);
        let processed = state.process(&self.rule, evaluation, self.now_ms, &self.context());
        self.state = state;
        processed
    }

    fn states(&self) -> Vec<String> {
        let text = |instance: &Instance| format!("{} {}", instance.labels.value("host"), instance.state_text());
        self.state.instances().map(text).collect()
    }
}

/// Instances by host: `true` is alerting.
fn instances(hosts: &[(&str, bool)]) -> Evaluation {
    let instance = |(host, alerting): &(&str, bool)| {
        let labels = Labels::from_pairs([("host", *host)]);
        let capture = |value| Capture { labels: labels.clone(), value: Some(value) };
        let captures =
            BTreeMap::from([("B".to_owned(), capture(0.5)), ("C".to_owned(), capture(f64::from(u8::from(*alerting))))]);
        let outcome = if *alerting { Outcome::Alerting } else { Outcome::Normal };
        InstanceResult { labels, outcome, captures }
    };
    Evaluation::Instances(hosts.iter().map(instance).collect())
}

fn nothing() -> Evaluation {
    Evaluation::NoData(vec![NoDataSource { datasource_uid: "prom".to_owned(), ref_ids: vec!["A".to_owned()] }])
}

fn error() -> Evaluation {
    Evaluation::Error(EvalError {
        message: "timeout".to_owned(),
        ref_id: "A".to_owned(),
        datasource_uid: "prom".to_owned(),
    })
}

fn texts(alerts: &[OutgoingAlert], now_ms: i64) -> Vec<String> {
    let text = |alert: &OutgoingAlert| {
        let fires = alert.ends_at_ms.is_some_and(|ends_at_ms| ends_at_ms > now_ms);
        let (name, host) = (alert.labels.value("alertname"), alert.labels.value("host"));
        format!("{}{name} {host}", if fires { "+" } else { "-" })
    };
    alerts.iter().map(text).collect()
}

#[test]
fn an_alert_with_its_labels_and_annotations() {
    let mut sim = Sim::new(json!({
        "labels": { "severity": "{{ if lt $values.B.Value 1.0 }}page{{ else }}mail{{ end }}", "host": "rule wins", "alertname": "no" },
        "annotations": { "summary": "{{ $labels.host }} is at {{ $values.B }}, {{ $value }}" },
        "dashboardUid": "d", "panelId": 2, "orgID": 1,
    }));
    let processed = sim.next(&instances(&[("a", true)]));
    let labels = Labels::from_pairs([
        ("__alert_rule_namespace_uid__", "f1"),
        ("__alert_rule_uid__", "r1"),
        ("alertname", "Down"),
        ("grafana_folder", "Ops"),
        ("host", "rule wins"),
        ("severity", "page"),
    ]);
    let text = "[ var='B' labels={host=a} value=0.5 ], [ var='C' labels={host=a} value=1 ]";
    let summary = format!("a is at 0.5, {text}");
    let annotations = Labels::from_pairs([
        ("__dashboardUid__", "d"),
        ("__orgId__", "1"),
        ("__panelId__", "2"),
        ("__value_string__", text),
        ("__values__", "{\"B\":0.5,\"C\":1}"),
        ("summary", &summary),
    ]);
    let want = OutgoingAlert {
        labels,
        annotations,
        starts_at_ms: 60_000,
        ends_at_ms: Some(300_000),
        generator_url: "http://g/alerting/grafana/r1/view".to_owned(),
    };
    assert_eq!(processed.alerts, [want]);
    let event = serde_json::to_value(&processed.history[0]).expect("JSON");
    assert_eq!(
        (&event["previous"], &event["current"], &event["panelID"]),
        (&"Normal".into(), &"Alerting".into(), &2.into())
    );
    assert_eq!(
        event["labels"],
        json!({ "alertname": "Down", "grafana_folder": "Ops", "host": "rule wins", "severity": "page" })
    );
    assert_eq!(HistoryEvent::stream(&sim.rule).value("folderUID"), "f1");
}

#[test]
fn instances_go_their_ways() {
    let mut sim = Sim::new(json!({ "for": "2m", "keep_firing_for": "1m" }));
    let both = |a, b| instances(&[("a", a), ("b", b)]);
    let steps = [
        (both(true, false), vec!["a Pending", "b Normal"], vec![]),
        (both(true, true), vec!["a Pending", "b Pending"], vec![]),
        (both(true, false), vec!["a Alerting", "b Normal"], vec!["+Down a"]),
        (both(true, false), vec!["a Alerting", "b Normal"], vec!["+Down a"]),
        (both(false, false), vec!["a Recovering", "b Normal"], vec!["+Down a"]),
        (both(false, true), vec!["a Normal", "b Pending"], vec!["-Down a"]),
        (both(false, false), vec!["a Normal", "b Normal"], vec!["-Down a"]),
    ];
    for (i, (evaluation, states, alerts)) in steps.into_iter().enumerate() {
        let processed = sim.next(&evaluation);
        assert_eq!(
            (sim.states(), texts(&processed.alerts, sim.now_ms)),
            (states.iter().map(|s| (*s).to_owned()).collect(), alerts.iter().map(|s| (*s).to_owned()).collect()),
            "step {i}"
        );
    }
    // Resolved ones are repeated for a quarter of an hour.
    let counts: Vec<usize> = (0..20).map(|_| sim.next(&both(false, false)).alerts.len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 13, "{counts:?}");
}

#[test]
fn a_series_that_is_gone_is_resolved() {
    let mut sim = Sim::new(json!({}));
    sim.next(&instances(&[("a", true), ("b", true)]));
    let processed = sim.next(&instances(&[("b", true)]));
    assert_eq!(texts(&processed.alerts, sim.now_ms), ["+Down a", "+Down b"], "one missing evaluation is none");
    let processed = sim.next(&instances(&[("b", true)]));
    assert_eq!(texts(&processed.alerts, sim.now_ms), ["-Down a", "+Down b"]);
    assert_eq!(processed.history[0].current, "Normal (MissingSeries)");
    assert_eq!(processed.alerts[0].annotations.value("grafana_state_reason"), "MissingSeries");
    assert_eq!(sim.states(), ["b Alerting"]);
    let mut sim = Sim::new(json!({ "missing_series_evals_to_resolve": 4 }));
    sim.next(&instances(&[("a", true), ("b", true)]));
    let resolved = (0..4).map(|_| sim.next(&instances(&[("b", true)]))).filter(|p| !p.history.is_empty()).count();
    assert_eq!((resolved, sim.states().len()), (1, 1));
}

#[test]
fn no_data_and_errors_are_alerts_of_their_own() {
    let mut sim = Sim::new(json!({}));
    let steps: [(Evaluation, &[&str], &[&str], Health); 7] = [
        (instances(&[("a", true)]), &["a Alerting"], &["+Down a"], Health::Ok),
        (nothing(), &[" NoData", "a Alerting"], &["+DatasourceNoData ", "+Down a"], Health::NoData),
        (nothing(), &[" NoData"], &["+DatasourceNoData ", "-Down a"], Health::NoData),
        (error(), &[" Error"], &["+DatasourceError ", "-DatasourceNoData "], Health::Error),
        (error(), &[" Error"], &["+DatasourceError "], Health::Error),
        (instances(&[("a", false)]), &["a Normal"], &["-DatasourceError "], Health::Ok),
        (instances(&[("a", false)]), &["a Normal"], &[], Health::Ok),
    ];
    for (i, (evaluation, states, alerts, health)) in steps.into_iter().enumerate() {
        let processed = sim.next(&evaluation);
        assert_eq!(sim.states(), states, "step {i}");
        let mut sent = texts(&processed.alerts, sim.now_ms);
        sent.sort();
        assert_eq!(sent, alerts, "step {i}");
        assert_eq!(sim.state.health(), health, "step {i}");
    }
}

#[test]
fn the_example_of_the_format_is_read_and_written_as_it_stands() {
    let page = include_str!("../../../docs/format/rules.md");
    let line = page.split("```json\n").nth(2).and_then(|rest| rest.lines().next()).expect("an example");
    let state: RuleState = serde_json::from_str(line).expect("a state");
    assert_eq!(
        serde_json::to_value(&state).expect("JSON"),
        serde_json::from_str::<serde_json::Value>(line).expect("JSON")
    );
    let instance = state.instances().next().expect("an instance");
    assert_eq!((instance.state_text().as_str(), state.health()), ("Alerting (NoData)", Health::Ok));
}

#[test]
fn values_of_events_are_numbers_where_they_can_be() {
    let mut sim = Sim::new(json!({}));
    let event = sim.next(&instances(&[("a", true)])).history.remove(0);
    let event =
        HistoryEvent { values: BTreeMap::from([("A".to_owned(), 0.5), ("B".to_owned(), f64::INFINITY)]), ..event };
    let written = serde_json::to_value(&event).expect("JSON");
    assert_eq!(written["values"], json!({ "A": 0.5, "B": "+Inf" }));
    let read: HistoryEvent = serde_json::from_value(written).expect("an event");
    assert_eq!(read.values, event.values);
}

#[test]
fn no_data_and_errors_wait_too() {
    let mut sim = Sim::new(json!({ "for": "2m" }));
    let steps: [(Evaluation, &[&str], &[&str]); 7] = [
        (nothing(), &[" Pending (NoData)"], &[]),
        // What has not fired goes without a word, and at once.
        (instances(&[("a", false)]), &["a Normal"], &[]),
        (nothing(), &[" Pending (NoData)", "a Normal"], &[]),
        (nothing(), &[" Pending (NoData)"], &[]),
        (nothing(), &[" NoData"], &["+DatasourceNoData "]),
        (error(), &[" Pending (Error)"], &["-DatasourceNoData "]),
        (instances(&[("a", false)]), &["a Normal"], &[]),
    ];
    for (i, (evaluation, states, alerts)) in steps.into_iter().enumerate() {
        let processed = sim.next(&evaluation);
        assert_eq!(sim.states(), states, "step {i}");
        assert_eq!(texts(&processed.alerts, sim.now_ms), alerts, "step {i}");
    }
}

#[test]
fn alerts_about_errors_say_where() {
    let mut sim = Sim::new(json!({}));
    let processed = sim.next(&error());
    let alert = &processed.alerts[0];
    let label = |name: &str| alert.labels.value(name).to_owned();
    assert_eq!(
        (label("rulename"), label("datasource_uid"), label("ref_id")),
        ("Down".into(), "prom".into(), "A".into())
    );
    assert_eq!(alert.annotations.value("Error"), "timeout");
    assert_eq!(sim.state.last_error(), "timeout");
    let processed = Sim::new(json!({})).next(&nothing());
    let alert = &processed.alerts[0];
    assert_eq!((alert.labels.value("datasource_uid"), alert.labels.value("ref_id")), ("prom", "A"));
}

#[test]
fn other_settings_hold_for_all_instances() {
    for (no_data, want) in
        [("Alerting", "Alerting (NoData)"), ("OK", "Normal (NoData)"), ("KeepLast", "Alerting (NoData, KeepLast)")]
    {
        let mut sim = Sim::new(json!({ "noDataState": no_data }));
        sim.next(&instances(&[("a", true), ("b", true)]));
        let processed = sim.next(&nothing());
        assert_eq!(sim.states(), [format!("a {want}"), format!("b {want}")]);
        assert_eq!(processed.alerts[0].annotations.value("datasource_uid"), "prom");
        assert_eq!(processed.alerts[0].annotations.value("__values__"), "{\"B\":-1,\"C\":-1}");
    }
    // Without instances there is one for the rule.
    let mut sim = Sim::new(json!({ "execErrState": "Alerting" }));
    sim.next(&error());
    assert_eq!(sim.states(), [" Alerting (Error)"]);
    assert_eq!(sim.state.worst(), "firing");
}

#[test]
fn a_rule_that_stops_resolves_what_fires() {
    let mut sim = Sim::new(json!({}));
    sim.next(&instances(&[("a", true), ("b", false)]));
    let mut state = std::mem::take(&mut sim.state);
    let processed = state.reset(&sim.rule, reason::PAUSED, sim.now_ms + 1, &sim.context());
    assert_eq!(texts(&processed.alerts, sim.now_ms + 1), ["-Down a"]);
    assert_eq!(processed.history.len(), 1);
    assert_eq!(
        (processed.history[0].previous.as_str(), processed.history[0].current.as_str()),
        ("Alerting", "Normal (Paused)")
    );
    assert_eq!(state.instances().count(), 0);
}

#[test]
fn results_with_reserved_labels_stay_apart() {
    let mut sim = Sim::new(json!({ "notification_settings": { "receiver": "ops" } }));
    let instance = |uid: &str| InstanceResult {
        labels: Labels::from_pairs([("__alert_rule_uid__", uid)]),
        outcome: Outcome::Alerting,
        captures: BTreeMap::new(),
    };
    let processed = sim.next(&Evaluation::Instances(vec![instance("x"), instance("y")]));
    let uids: Vec<_> = processed.alerts.iter().map(|alert| alert.labels.value("alert_rule_uid").to_owned()).collect();
    assert_eq!(uids, ["x", "y"]);
    assert_eq!(processed.alerts[0].labels.value("__alert_rule_uid__"), "r1");
    assert_eq!(processed.alerts[0].labels.value("__grafana_receiver__"), "ops");
    assert_eq!(sim.state.loaded().len(), 2);
}

fn evaluation() -> impl Strategy<Value = Evaluation> {
    prop_oneof![
        6 => proptest::collection::vec((0..3usize, any::<bool>()), 0..3).prop_map(|hosts| {
            let hosts: BTreeMap<&str, bool> = hosts.into_iter().map(|(i, fires)| (["a", "b", "c"][i], fires)).collect();
            let hosts: Vec<_> = hosts.into_iter().collect();
            if hosts.is_empty() { nothing() } else { instances(&hosts) }
        }),
        1 => Just(nothing()),
        1 => Just(error()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// A restored state goes on as if it had never stopped; nothing fires before its time; what was told to fire is told
    /// to have ended before it is forgotten.
    #[test]
    fn random_timelines(
        evaluations in proptest::collection::vec(evaluation(), 1..25),
        for_minutes in 0..3i64,
        keep_minutes in 0..3i64,
        settings in 0..4usize,
    ) {
        let names = [("NoData", "Error"), ("Alerting", "Alerting"), ("OK", "OK"), ("KeepLast", "KeepLast")][settings];
        let keys = json!({
            "for": format!("{for_minutes}m"), "keep_firing_for": format!("{keep_minutes}m"),
            "noDataState": names.0, "execErrState": names.1,
        });
        let (mut plain, mut restless) = (Sim::new(keys.clone()), Sim::new(keys));
        let mut told: BTreeMap<Labels, i64> = BTreeMap::new();
        let mut pending_since: BTreeMap<Labels, i64> = BTreeMap::new();
        for evaluation in &evaluations {
            let processed = plain.next(evaluation);
            let text = serde_json::to_string(&restless.state).expect("a state writes");
            restless.state = serde_json::from_str(&text).expect("a state reads");
            prop_assert_eq!(&processed, &restless.next(evaluation));
            let now_ms = plain.now_ms;
            for alert in &processed.alerts {
                let ends_at_ms = alert.ends_at_ms.expect("an end");
                prop_assert!(alert.starts_at_ms <= ends_at_ms);
                told.insert(alert.labels.clone(), ends_at_ms);
            }
            for instance in plain.state.instances() {
                let labels = &instance.labels;
                match instance.core.state {
                    State::Pending => {
                        pending_since.entry(labels.clone()).or_insert(now_ms);
                    }
                    State::Alerting | State::NoData | State::Error => {
                        if let Some(since) = pending_since.remove(labels) {
                            prop_assert!(now_ms - since >= for_minutes * 60_000);
                        }
                    }
                    State::Normal | State::Recovering => {
                        pending_since.remove(labels);
                    }
                }
                if let (true, Some(told_as)) = (instance.core.state.fires(), &instance.told_as) {
                    prop_assert!(told[told_as] > now_ms, "{told_as:?} fires but its end has passed");
                }
            }
            // An alert either goes on, or has ended, or will by itself.
            for ends_at_ms in told.values() {
                prop_assert!(*ends_at_ms <= now_ms + 240_000);
            }
        }
    }
}
