use std::cell::RefCell;

use super::*;
use crate::evaluate::Sample;
use crate::rules::RuleFile;

/// Knows two forms of expressions: a name, whose newest sample is its value, and `name > number`.
struct Host {
    rules: &'static str,
}

#[derive(Default)]
struct Store(RefCell<Vec<OutputSample>>);

impl Evaluator for Store {
    fn query(&self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        let (name, above) = match expr.split_once(" > ") {
            Some((name, limit)) => (name, limit.parse().map_err(|_| QueryError::new("not a number"))?),
            None => (expr, f64::NEG_INFINITY),
        };
        let mut newest: Vec<OutputSample> = Vec::new();
        for sample in self.0.borrow().iter().filter(|sample| sample.timestamp_ms <= at_ms) {
            newest.retain(|other| other.labels != sample.labels);
            newest.push(sample.clone());
        }
        let named = newest.into_iter().filter(|sample| sample.labels.value("__name__") == name);
        let samples = named.map(|sample| Sample { labels: sample.labels, value: sample.value });
        Ok(samples.filter(|sample| sample.value.as_float() > above).collect())
    }
}

impl TestStore for Store {
    fn append(&self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
        self.0.borrow_mut().extend_from_slice(samples);
        Ok(Vec::new())
    }

    fn dump(&self, start_ms: i64, end_ms: i64) -> Result<String, QueryError> {
        let samples = self.0.borrow();
        let within = samples.iter().filter(|sample| (start_ms..=end_ms).contains(&sample.timestamp_ms));
        Ok(within.map(|sample| format!("{} {}\n", sample.labels, sample.value.as_float())).collect())
    }
}

impl TestHost for Host {
    fn groups(&self, options: &GroupOptions) -> Result<Vec<Group>, Vec<String>> {
        let file: RuleFile = serde_saphyr::from_str(self.rules).map_err(|error| vec![error.to_string()])?;
        let group = |group| Group::new("rules.yml", group, options, &|expr| Ok(expr.to_owned()));
        file.groups.iter().map(group).collect::<Result<_, _>>().map_err(|error| vec![error])
    }

    fn store(&self, _evaluation_interval_ms: i64) -> Box<dyn TestStore + '_> {
        Box::<Store>::default()
    }

    fn parse_labels(&self, text: &str) -> Result<Labels, String> {
        match text.split_once('/') {
            Some((name, host)) => Ok(Labels::from_pairs([("__name__", name), ("host", host)])),
            None if text.contains('{') => Err("braces".to_owned()),
            None => Ok(Labels::from_pairs([("__name__", text)])),
        }
    }

    fn parse_values(&self, text: &str) -> Result<Vec<Option<SampleValue>>, String> {
        let value = |text: &str| match text {
            "_" => Ok(None),
            text => text.parse().map(|value| Some(SampleValue::Float(value))).map_err(|_| format!("{text:?}")),
        };
        text.split_whitespace().map(value).collect()
    }
}

const RULES: &str = r#"
groups:
  - name: second
    rules:
      - { record: copy, expr: seen }
  - name: first
    rules:
      - { record: seen, expr: a }
      - alert: High
        expr: a > 5
        for: 2m
        labels: { severity: page }
        annotations: { text: "{{ $labels.host }} at {{ $value }} in {{ $externalLabels.zone }} ({{ $externalURL }})" }
"#;

fn run(rules: &'static str, tests: &str) -> Vec<CaseReport> {
    let file: TestFile = serde_saphyr::from_str(tests).expect("a test file");
    file.run(&Host { rules }, RunOptions::default()).expect("tests run")
}

#[test]
fn rules_are_evaluated_step_by_step() {
    let reports = run(
        RULES,
        r#"
rule_files: [ignored.yml]
evaluation_interval: 1m
group_eval_order: [first, second]
tests:
  - name: good
    interval: 30s
    start_timestamp: "2024-01-01T00:00:00Z"
    input_series:
      - { series: a/x, values: "1 1 7 7 7 7 8 8 8 8 9 1" }
      - { series: a/y, values: "1 _ _ _ 2" }
    external_labels: { zone: z1 }
    external_url: http://p
    alert_rule_test:
      # Between two evaluations the one before counts: at 2m59s that at 2m, when it has been pending for a minute.
      - { eval_time: 2m59s, alertname: High }
      - eval_time: 3m
        alertname: High
        exp_alerts:
          - exp_labels: { severity: page, host: x }
            exp_annotations: { text: "x at 8 in z1 (http://p)" }
      - { eval_time: 3m, alertname: Other, exp_alerts: [] }
    promql_expr_test:
      - expr: copy
        eval_time: 4m
        exp_samples:
          - { labels: copy/y, value: 2 }
          - { labels: copy/x, value: 8 }
      - { expr: a > 100, eval_time: 5m }
"#,
    );
    assert_eq!(reports, [CaseReport { name: "good".to_owned(), failures: Vec::new() }]);
}

#[test]
fn differences_name_the_place_and_both_sides() {
    const TESTS: &str = r#"
tests:
  - input_series: [{ series: a/x, values: "7 7 7 7" }]
    alert_rule_test:
      - { eval_time: 3m, alertname: High }
    promql_expr_test:
      - { expr: a, eval_time: 1m, exp_samples: [{ labels: a/x, value: 6.5 }, { labels: b }] }
      - { expr: a > x, eval_time: 1m }
      - { expr: a, eval_time: 1m, exp_samples: [{ labels: "a{", value: 7 }] }
"#;
    let failures = &run(RULES, TESTS)[0].failures;
    let want = [
        "    alertname: High, time: 3m, \n        exp:[], \n        got:[\n            0:\n              \
         Labels:{alertname=\"High\", host=\"x\", severity=\"page\"}\n              \
         Annotations:{text=\"x at 7 in  ()\"}\n            ]",
        "    expr: \"a\", time: 1m,\n        exp: {__name__=\"a\", host=\"x\"} 6.5E+00, {__name__=\"b\"} 0E+00\n        \
         got: {__name__=\"a\", host=\"x\"} 7E+00",
        "    expr: \"a > x\", time: 1m, err: not a number",
        "    expr: \"a\", time: 1m, err: labels \"a{\": braces",
    ];
    assert_eq!(failures, &want);
    let file: TestFile = serde_saphyr::from_str(TESTS).expect("a test file");
    let diff = RunOptions { diff: true, ..RunOptions::default() };
    let reports = file.run(&Host { rules: RULES }, diff).expect("tests run");
    assert_eq!(
        reports[0].failures[1],
        "    expr: \"a\", time: 1m,\n        diff:\n          \
         - {__name__=\"a\", host=\"x\"} 6.5E+00\n          - {__name__=\"b\"} 0E+00\n          \
         + {__name__=\"a\", host=\"x\"} 7E+00"
    );
    assert_eq!(reports[0].name, "unnamed#0");
}

#[test]
fn what_cannot_be_run_says_why() {
    let cases = [
        ("tests: [{ start_timestamp: noon }]", "cannot parse \"noon\" to a valid timestamp"),
        ("tests: [{ input_series: [{ series: a, values: 1 x }] }]", "series \"a\": \"x\""),
        ("tests: [{ input_series: [{ series: \"a{\", values: 1 }] }]", "series \"a{\": braces"),
        (
            "tests: [{ name: t, alert_rule_test: [{ eval_time: 5m }] }]",
            "an item under alert_rule_test misses required attribute alertname at eval_time 5m (in TestGroup t)",
        ),
    ];
    for (tests, want) in cases {
        assert_eq!(run(RULES, tests)[0].failures, [want], "{tests}");
    }
    let bad = "groups: [{ name: g, rules: [{ record: r, expr: a > x }] }]";
    assert_eq!(run(bad, "tests: [{}]")[0].failures, ["    rule: r, time: 0s, err: not a number"]);
    assert_eq!(run("groups: 5", "tests: [{}]")[0].failures.len(), 1);
    let file: TestFile = serde_saphyr::from_str("group_eval_order: [a, b, a]").expect("a test file");
    let error = file.run(&Host { rules: RULES }, RunOptions::default()).expect_err("a name is there twice");
    assert_eq!(error, "group name repeated in evaluation order: a");
}

#[test]
fn groups_are_selected_by_name() {
    let file: TestFile = serde_saphyr::from_str("tests: [{ name: one }, { name: two }]").expect("a test file");
    let options = RunOptions { selected: &|name| name == "two", ..RunOptions::default() };
    let reports = file.run(&Host { rules: RULES }, options).expect("tests run");
    assert_eq!(reports.iter().map(|report| report.name.as_str()).collect::<Vec<_>>(), ["two"]);
}

#[test]
fn floats_may_differ_in_their_last_bit_if_the_file_says_so() {
    for (fuzzy, value, passes) in
        [(false, "3.0000000000000004", false), (true, "3.0000000000000004", true), (true, "3.0000000000000013", false)]
    {
        let tests = format!(
            "fuzzy_compare: {fuzzy}\ntests: [{{ input_series: [{{ series: a, values: \"{value}\" }}], \
             promql_expr_test: [{{ expr: a, eval_time: 0, exp_samples: [{{ labels: a, value: 3 }}] }}] }}]"
        );
        assert_eq!(run("groups: []", &tests)[0].failures.is_empty(), passes, "{tests}");
    }
}

#[test]
fn a_run_can_be_followed() {
    let told = RefCell::new(Vec::new());
    let follow = |progress: Progress<'_>| {
        told.borrow_mut().push(match progress {
            Progress::Started(name) => format!("{name} starts"),
            Progress::Asked { length_ms, data } => format!("{length_ms} {}", data.expect("a text")),
            Progress::Finished(name) => format!("{name} ends"),
        });
    };
    let tests = "tests: [{ name: t, input_series: [{ series: a, values: 1 2 }], promql_expr_test: [{ expr: x, eval_time: 60500ms }] }]";
    let file: TestFile = serde_saphyr::from_str(tests).expect("a test file");
    let options = RunOptions { follow: Some(&follow), ..RunOptions::default() };
    let host = Host { rules: "groups: []" };
    file.run(&host, options).expect("tests run");
    assert_eq!(told.into_inner(), ["t starts", "61000 a 1\na 2\n", "t ends"]);
}
