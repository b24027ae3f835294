use std::cell::RefCell;
use std::collections::BTreeMap;

use model::{Labels, is_stale};
use proptest::prelude::*;

use super::*;
use crate::evaluate::{Rejected, Sample};
use crate::rules::expand::Expansion;
use crate::rules::file::RuleFile;

/// Answers expressions from a table that the test changes as it goes.
#[derive(Default)]
struct Table(RefCell<BTreeMap<String, Result<Vec<Sample>, QueryError>>>);

impl Table {
    fn set(&self, expr: &str, samples: &[(&[(&str, &str)], f64)]) {
        let samples = samples
            .iter()
            .map(|(labels, value)| Sample::float(Labels::from_pairs(labels.iter().copied()), *value))
            .collect();
        self.0.borrow_mut().insert(expr.to_owned(), Ok(samples));
    }

    fn fail(&self, expr: &str, message: &str) {
        self.0.borrow_mut().insert(expr.to_owned(), Err(QueryError::new(message)));
    }
}

impl Evaluator for Table {
    fn query(&self, expr: &str, _: i64) -> Result<Vec<Sample>, QueryError> {
        self.0.borrow().get(expr).cloned().unwrap_or(Ok(Vec::new()))
    }
}

/// Replaces `{{ $value }}` and `{{ $labels.NAME }}`, fails on `{{ fail }}`.
struct Plain;

impl Expander for Plain {
    fn expand(&self, expansion: &Expansion<'_>) -> Result<String, String> {
        let mut text = expansion.text.replace("{{ $value }}", &expansion.value.as_float().to_string());
        for (name, value) in expansion.labels {
            text = text.replace(&format!("{{{{ $labels.{name} }}}}"), value);
        }
        if text.contains("{{ fail }}") { Err("it failed".to_owned()) } else { Ok(text) }
    }

    fn check(&self, _: &str, _: &str) -> Result<(), String> {
        Ok(())
    }
}

#[derive(Default)]
struct Store {
    samples: Vec<OutputSample>,
    reject: Option<&'static str>,
}

impl SampleSink for Store {
    fn append(&mut self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
        if let Some(message) = self.reject {
            let rejected = |index| Rejected { index, message: message.to_owned(), expected: true };
            return Ok((0..samples.len()).map(rejected).collect());
        }
        self.samples.extend_from_slice(samples);
        Ok(Vec::new())
    }
}

impl Store {
    /// What was written since the last call, as `series value`.
    fn take(&mut self) -> Vec<String> {
        let text = |sample: OutputSample| match sample.value {
            SampleValue::Float(value) if is_stale(value) => format!("{} stale", sample.labels),
            value => format!("{} {}", sample.labels, value.as_float()),
        };
        self.samples.drain(..).map(text).collect()
    }
}

fn group(yaml: &str, options: &GroupOptions) -> Group {
    let file: RuleFile = serde_saphyr::from_str(yaml).expect("the test's file is well formed");
    Group::new("f.yml", &file.groups[0], options, &|expr| Ok(expr.to_owned())).expect("expressions are not parsed here")
}

fn run(group: &mut Group, at_ms: i64, table: &Table, store: &mut Store) -> GroupReport {
    group.evaluate(at_ms, table, &Plain, store, &|| 0)
}

const DOWN: &str = r#"
groups:
- name: g
  interval: 10s
  labels: {team: infra, severity: none}
  rules:
  - alert: Down
    expr: up == 0
    for: 20s
    labels: {severity: page, who: "{{ $labels.job }}"}
    annotations: {summary: "{{ $labels.job }} is {{ $value }}", broken: "{{ fail }}"}
"#;

#[test]
fn an_alert_goes_its_way() {
    let mut g = group(DOWN, &GroupOptions::default());
    let (table, mut store) = (Table::default(), Store::default());
    table.set("up == 0", &[(&[("__name__", "up"), ("job", "node")], 0.0)]);

    let report = run(&mut g, 0, &table, &mut store);
    assert_eq!(report.alerts, []);
    let labels = r#"alertname="Down", job="node", severity="page", team="infra", who="node""#;
    assert_eq!(
        store.take(),
        [
            r#"ALERTS{alertname="Down", alertstate="pending", job="node", severity="page", team="infra", who="node"} 1"#
                .to_owned(),
            format!("ALERTS_FOR_STATE{{{labels}}} 0"),
        ]
    );
    run(&mut g, 10_000, &table, &mut store);
    store.take();

    let report = run(&mut g, 20_000, &table, &mut store);
    let [alert] = report.alerts.as_slice() else { panic!("one alert is sent: {report:?}") };
    assert_eq!(alert.labels.to_string(), format!("{{{labels}}}"));
    assert_eq!(alert.annotations.get("summary"), Some("node is 0"));
    assert_eq!(alert.annotations.get("broken"), Some("<error expanding template: it failed>"));
    assert_eq!((alert.starts_at_ms, alert.ends_at_ms), (20_000, Some(20_000 + 240_000)));
    let written = store.take();
    assert_eq!(written.len(), 3, "{written:?}");
    assert!(written[2].contains("pending") && written[2].ends_with("stale"), "{written:?}");

    // Sent again only after the resend delay, and resolved when the result is empty.
    assert_eq!(run(&mut g, 80_000, &table, &mut store).alerts.len(), 0);
    assert_eq!(run(&mut g, 80_001, &table, &mut store).alerts.len(), 1);
    table.set("up == 0", &[]);
    let report = run(&mut g, 90_000, &table, &mut store);
    assert_eq!(report.alerts.iter().map(|a| a.ends_at_ms).collect::<Vec<_>>(), [Some(90_000)]);
    assert!(store.take().iter().filter(|s| s.ends_with("stale")).count() >= 2);
    // Re-sent for 15 minutes, then forgotten.
    assert_eq!(run(&mut g, 160_000, &table, &mut store).alerts.len(), 1);
    assert_eq!(run(&mut g, 90_000 + 15 * 60_000 + 1, &table, &mut store).alerts.len(), 0);
    assert_eq!(g.snapshot().rules[0].alerts, Some(AlertRuleSnapshot::default()));
}

#[test]
fn equal_labels_fail_the_rule_and_keep_its_alerts() {
    let yaml = "groups: [{name: g, rules: [{alert: A, expr: x, labels: {job: same}}]}]";
    let mut g = group(yaml, &GroupOptions::default());
    let (table, mut store) = (Table::default(), Store::default());
    table.set("x", &[(&[("job", "a")], 1.0)]);
    run(&mut g, 0, &table, &mut store);
    let before = g.snapshot();
    table.set("x", &[(&[("job", "a")], 1.0), (&[("job", "b")], 2.0)]);
    let report = run(&mut g, 1_000, &table, &mut store);
    assert_eq!(report.rules[0].error.as_deref(), Some(crate::rules::DUPLICATE_LABELS));
    assert_eq!(g.snapshot(), before);
    assert_eq!(g.rules().map(|(_, s)| s.health).collect::<Vec<_>>(), [Health::Err]);
    table.fail("x", "boom");
    assert_eq!(run(&mut g, 2_000, &table, &mut store).rules[0].error.as_deref(), Some("boom"));
    assert_eq!(g.snapshot(), before);
}

#[test]
fn limits_fail_the_rule() {
    let yaml = "groups: [{name: g, limit: 1, rules: [{alert: A, expr: x}, {record: r, expr: x}]}]";
    let mut g = group(yaml, &GroupOptions::default());
    let (table, mut store) = (Table::default(), Store::default());
    table.set("x", &[(&[("a", "1")], 1.0), (&[("a", "2")], 1.0)]);
    let report = run(&mut g, 0, &table, &mut store);
    let errors: Vec<_> = report.rules.iter().filter_map(|r| r.error.as_deref()).collect();
    assert_eq!(errors, ["exceeded limit of 1 with 2 alerts", "exceeded limit of 1 with 2 series"]);
    assert_eq!(store.take(), [""; 0]);
}

#[test]
fn recording_rules_name_label_and_end_their_series() {
    let yaml =
        "groups: [{name: g, query_offset: 5s, labels: {g: '1'}, rules: [{record: 'a:b', expr: x, labels: {l: v}}]}]";
    let mut g = group(yaml, &GroupOptions::default());
    let (table, mut store) = (Table::default(), Store::default());
    table.set("x", &[(&[("__name__", "x"), ("i", "1")], 4.0), (&[("__name__", "x"), ("i", "2")], 5.0)]);
    run(&mut g, 60_000, &table, &mut store);
    assert!(store.samples.iter().all(|s| s.timestamp_ms == 55_000));
    assert_eq!(store.take(), [r#"a:b{g="1", i="1", l="v"} 4"#, r#"a:b{g="1", i="2", l="v"} 5"#]);
    table.set("x", &[(&[("i", "2")], 6.0)]);
    run(&mut g, 120_000, &table, &mut store);
    assert_eq!(store.take(), [r#"a:b{g="1", i="2", l="v"} 6"#, r#"a:b{g="1", i="1", l="v"} stale"#]);
    table.set("x", &[(&[("l", "a")], 6.0), (&[("l", "b")], 6.0)]);
    let report = run(&mut g, 180_000, &table, &mut store);
    assert_eq!(
        report.rules[0].error.as_deref(),
        Some("vector contains metrics with the same labelset after applying rule labels")
    );
}

#[test]
fn refused_samples_are_the_rules_error() {
    let yaml = "groups: [{name: g, rules: [{record: r, expr: x}]}]";
    let mut g = group(yaml, &GroupOptions::default());
    let (table, mut store) = (Table::default(), Store { reject: Some("out of order sample"), ..Store::default() });
    table.set("x", &[(&[], 1.0)]);
    assert_eq!(run(&mut g, 0, &table, &mut store).rules[0].error.as_deref(), Some("out of order sample"));
    // What was not written is not ended.
    store.reject = None;
    table.set("x", &[]);
    run(&mut g, 1, &table, &mut store);
    assert_eq!(store.take(), [""; 0]);
}

#[test]
fn a_reload_keeps_alerts_and_ends_what_is_gone() {
    let mut old = group(DOWN, &GroupOptions::default());
    let (table, mut store) = (Table::default(), Store::default());
    table.set("up == 0", &[(&[("job", "node")], 0.0)]);
    run(&mut old, 0, &table, &mut store);
    store.take();
    let same = group(DOWN, &GroupOptions::default());
    assert!(old.same_definition(&same));

    // Another `for`: the rule is the same one, its alert has been pending since 0.
    let mut longer = group(&DOWN.replace("20s", "30s"), &GroupOptions::default());
    assert!(!old.same_definition(&longer));
    longer.take_over(old.clone());
    run(&mut longer, 20_000, &table, &mut store);
    assert_eq!(run(&mut longer, 30_000, &table, &mut store).alerts.len(), 1);
    store.take();

    // Another label: another rule; the series of the old one are ended.
    let mut other = group(&DOWN.replace("page", "mail"), &GroupOptions::default());
    other.take_over(old.clone());
    run(&mut other, 20_000, &table, &mut store);
    let ended: Vec<_> = store.take().into_iter().filter(|s| s.ends_with("stale")).collect();
    assert_eq!(ended.len(), 2, "{ended:?}");
    assert!(ended.iter().all(|s| s.contains("page")), "{ended:?}");
    assert_eq!(old.retire().len(), 2);
}

#[test]
fn the_example_of_the_format_is_read_and_written_as_it_stands() {
    let page = include_str!("../../../docs/format/rules.md");
    let line = page.split("```json\n").nth(1).and_then(|rest| rest.lines().next()).expect("an example");
    let snapshot: GroupSnapshot = serde_json::from_str(line).expect("a snapshot");
    assert_eq!(
        serde_json::to_value(&snapshot).expect("JSON"),
        serde_json::from_str::<serde_json::Value>(line).expect("JSON")
    );
    // An alert that fired fires on, and what was written and is no longer is ended.
    let yaml = "groups: [{name: g, rules: [{alert: Down, expr: x, for: 20s, labels: {severity: page}}]}]";
    let mut g = group(yaml, &GroupOptions { wait_for_restore: true, ..GroupOptions::default() });
    g.restore(snapshot);
    let (table, mut store) = (Table::default(), Store::default());
    table.set("x", &[(&[("job", "node")], 1.0)]);
    let report = run(&mut g, 30_000, &table, &mut store);
    assert_eq!((report.rules[0].transitions.len(), report.alerts.len()), (0, 0));
    let ended: Vec<_> = store.take().into_iter().filter(|series| series.ends_with("stale")).collect();
    assert_eq!(ended, ["old stale"]);
}

#[test]
fn series_wait_for_the_restored_state() {
    let options = GroupOptions { wait_for_restore: true, ..GroupOptions::default() };
    let mut g = group(&DOWN.replace("20s", "1h"), &options);
    let (table, mut store) = (Table::default(), Store::default());
    table.set("up == 0", &[(&[("job", "node")], 0.0)]);
    let now = 100 * 3_600_000;
    run(&mut g, now, &table, &mut store);
    assert_eq!(store.take(), [""; 0]);
    let mut asked = Vec::new();
    let errors = g.restore_for_state(now, &RestoreOptions::default(), &mut |query| {
        asked.push(query.clone());
        let labels = Labels::from_pairs([
            ("__name__", "ALERTS_FOR_STATE"),
            ("alertname", "Down"),
            ("job", "node"),
            ("severity", "page"),
            ("team", "infra"),
            ("who", "node"),
        ]);
        let since = (now / 1000 - 3000) as f64;
        Ok(vec![ForStateSeries { labels, last_ms: now - 600_000, value: since }])
    });
    assert_eq!(errors, []);
    assert_eq!(asked[0].min_ms, now - 3_600_000);
    assert!(asked[0].equal.contains(&("severity".to_owned(), "page".to_owned())));
    assert!(!asked[0].equal.iter().any(|(name, _)| name == "who"));
    // 2,400 s had passed when it went down, 1,200 s are left.
    assert_eq!(run(&mut g, now + 1_199_000, &table, &mut store).alerts.len(), 0);
    assert_eq!(run(&mut g, now + 1_200_000, &table, &mut store).alerts.len(), 1);
}

proptest! {
    /// A group restored from its snapshot at any point goes on exactly as the one that was never stopped.
    #[test]
    fn a_restart_changes_nothing(
        steps in prop::collection::vec((1_000i64..200_000, prop::collection::vec(any::<bool>(), 3)), 1..40),
        cut in 0usize..40,
        keep in 0i64..120,
    ) {
        let yaml = DOWN.replace("for: 20s", &format!("for: 20s\n    keep_firing_for: {keep}s"));
        let mut live = group(&yaml, &GroupOptions::default());
        let mut restarted = group(&yaml, &GroupOptions::default());
        let (table, mut store, mut other) = (Table::default(), Store::default(), Store::default());
        let mut now = 0;
        for (i, (gap, present)) in steps.into_iter().enumerate() {
            now += gap;
            let jobs: Vec<_> = ["a", "b", "c"].into_iter().zip(present).filter(|(_, p)| *p).collect();
            let labels: Vec<_> = jobs.iter().map(|(job, _)| [("job", *job)]).collect();
            let samples: Vec<_> = labels.iter().map(|l| (l.as_slice(), gap as f64)).collect();
            table.set("up == 0", &samples);
            if i == cut {
                let text = serde_json::to_string(&restarted.snapshot()).map_err(|e| TestCaseError::fail(e.to_string()))?;
                let snapshot = serde_json::from_str(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
                let wait = GroupOptions { wait_for_restore: true, ..GroupOptions::default() };
                restarted = group(&yaml, &wait);
                restarted.restore(snapshot);
            }
            let a = run(&mut live, now, &table, &mut store);
            let b = run(&mut restarted, now, &table, &mut other);
            prop_assert_eq!(a, b);
            prop_assert_eq!(store.take(), other.take());
        }
    }
}
