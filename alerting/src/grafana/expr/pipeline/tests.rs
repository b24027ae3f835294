use serde_json::json;

use super::*;
use crate::grafana::value::{Number, Series};

fn query(ref_id: &str) -> serde_json::Value {
    json!({ "refId": ref_id, "datasourceUid": "prom", "relativeTimeRange": { "from": 600, "to": 0 }, "model": { "expr": "up" } })
}

fn expression(ref_id: &str, model: serde_json::Value) -> serde_json::Value {
    json!({ "refId": ref_id, "datasourceUid": "__expr__", "relativeTimeRange": { "from": 600, "to": 0 }, "model": model })
}

fn pipeline(queries: serde_json::Value, condition: &str) -> Result<Pipeline, PipelineError> {
    let queries: Vec<RuleQuery> = serde_json::from_value(queries).expect("queries");
    Pipeline::new(&queries, condition)
}

struct Source;

impl QuerySource for Source {
    fn query(&self, query: &DataQuery<'_>) -> Result<Vec<Value>, String> {
        assert_eq!(query.range, TimeRange { from_ms: 400_000, to_ms: 1_000_000 });
        match query.ref_id {
            "A" => Ok([("a", 1.0), ("b", 5.0)]
                .map(|(host, value)| {
                    let labels = Labels::from_pairs([("host", host)]);
                    Value::Series(Series::new(labels, [(400_000, Some(0.0)), (1_000_000, Some(value))]))
                })
                .to_vec()),
            "N" => Ok(Vec::new()),
            other => Err(format!("no such metric {other}")),
        }
    }
}

fn run(queries: serde_json::Value, condition: &str) -> Result<Vec<Value>, NodeError> {
    let pipeline = pipeline(queries, condition).expect("a pipeline");
    pipeline.run(&Source, 1_000_000, &BTreeSet::new()).remove(condition).expect("the condition")
}

#[test]
fn expressions_feed_each_other_in_any_order() {
    let queries = json!([
        expression(
            "D",
            json!({ "type": "threshold", "expression": "C", "conditions": [{ "evaluator": { "type": "gt", "params": [5] } }] })
        ),
        expression("C", json!({ "type": "math", "expression": "$B * 2" })),
        expression("B", json!({ "type": "reduce", "expression": "$A", "reducer": "last" })),
        query("A"),
    ]);
    let number = |host: &str, value: f64| Value::Number(Number::new(Labels::from_pairs([("host", host)]), Some(value)));
    assert_eq!(run(queries, "D"), Ok(vec![number("a", 0.0), number("b", 1.0)]));
}

#[test]
fn other_expressions() {
    let classic = json!({ "type": "classic_conditions", "conditions": [
        { "evaluator": { "type": "gt", "params": [3] }, "operator": { "type": "and" }, "query": { "params": ["A"] }, "reducer": { "type": "last" } },
    ] });
    match &run(json!([query("A"), expression("B", classic)]), "B").expect("values")[..] {
        [Value::Number(number)] => assert_eq!((number.value, number.matches.len()), (Some(1.0), 1)),
        other => panic!("{other:?}"),
    }
    let resample =
        json!({ "type": "resample", "expression": "A", "window": "5m", "downsampler": "mean", "upsampler": "pad" });
    match &run(json!([query("A"), expression("B", resample)]), "B").expect("values")[..] {
        [Value::Series(series), _] => {
            assert_eq!(series.values().collect::<Vec<_>>(), [Some(0.0), Some(0.0), Some(1.0)])
        }
        other => panic!("{other:?}"),
    }
    let drop = json!({ "type": "reduce", "expression": "A", "reducer": "mean", "settings": { "mode": "replaceNN", "replaceWithValue": 3 } });
    assert_eq!(run(json!([query("A"), expression("B", drop)]), "B").expect("values").len(), 2);
}

#[test]
fn nothing_and_errors_are_passed_on() {
    let reduce = |input: &str| json!({ "type": "reduce", "expression": input, "reducer": "last" });
    let above = json!({ "type": "math", "expression": "$B > 1" });
    let queries =
        |source: &str| json!([query(source), expression("B", reduce(source)), expression("C", above.clone())]);
    assert_eq!(run(queries("N"), "C"), Ok(vec![Value::NoData]));
    let error = run(queries("X"), "C").expect_err("the query fails");
    assert_eq!((error.ref_id.as_str(), error.message.as_str()), ("X", "no such metric X"));
    let pipeline = pipeline(queries("N"), "C").expect("a pipeline");
    let results = pipeline.run(&Source, 1_000_000, &BTreeSet::new());
    assert_eq!(pipeline.sources_without_data(&results), BTreeMap::from([("prom".to_owned(), vec!["N".to_owned()])]));
}

#[test]
fn refusals() {
    let math = |text: &str| json!({ "type": "math", "expression": text });
    let cases = [
        (json!([]), "no queries or expressions are found"),
        (json!([query("")]), "query 0 has no ref id"),
        (json!([query("C"), query("C")]), "refID 'C' is already used"),
        (json!([query("A")]), "condition C does not exist, must be one of [\"A\"]"),
        (json!([expression("C", math("$X"))]), "unable to find dependent node 'X' for expression 'C'"),
        (
            json!([expression("C", math("$D")), expression("D", math("$C"))]),
            "cyclic references in query: expression 'C'",
        ),
        (json!([expression("C", math("$C"))]), "cyclic references"),
        (json!([expression("C", math("1 +"))]), "failed to parse expression 'C': expr: unexpected end of input"),
        (json!([expression("C", json!({ "type": "sql" }))]), "'sql' are not supported"),
        (json!([expression("C", json!({ "type": "magic" }))]), "'magic' is not a recognized expression type"),
        (json!([expression("C", json!({ "type": "reduce", "reducer": "last" }))]), "no variable specified"),
        (
            json!([expression("C", json!({ "type": "reduce", "expression": "A", "reducer": "first" }))]),
            "reducer \"first\"",
        ),
        (
            json!([expression(
                "C",
                json!({ "type": "reduce", "expression": "A", "reducer": "last", "settings": { "mode": "replaceNN" } })
            )]),
            "replaceWithValue must be specified",
        ),
        (
            json!([expression(
                "C",
                json!({ "type": "resample", "expression": "A", "window": "x", "downsampler": "mean", "upsampler": "pad" })
            )]),
            "duration field \"x\"",
        ),
        (
            json!([expression("C", json!({ "type": "threshold", "expression": "A", "conditions": [] }))]),
            "exactly one condition",
        ),
    ];
    for (queries, want) in cases {
        let error = pipeline(queries, "C").expect_err(want);
        assert!(error.to_string().contains(want), "{error}");
    }
}
