use serde_json::json;

use super::*;
use crate::grafana::expr::DataQuery;
use crate::grafana::rule::tests::{PLACE, rule};
use crate::grafana::value::Series;

struct Source(Result<Vec<Value>, String>);

impl QuerySource for Source {
    fn query(&self, _query: &DataQuery<'_>) -> Result<Vec<Value>, String> {
        self.0.clone()
    }
}

fn labels(host: &str) -> Labels {
    Labels::from_pairs([("host", host)])
}

fn series(host: &str, value: Option<f64>) -> Value {
    Value::Series(Series::new(labels(host), [(0, value)]))
}

fn judge_of(more: serde_json::Value, source: Result<Vec<Value>, String>) -> Evaluation {
    let rule = rule(more).prepare(&PLACE).expect("a good rule");
    evaluate(&rule, &Source(source), 0, &BTreeSet::new())
}

#[test]
fn numbers_become_instances() {
    let source =
        Ok(vec![series("a", Some(0.0)), series("b", Some(1.0)), series("c", None), series("d", Some(f64::NAN))]);
    let Evaluation::Instances(instances) = judge_of(json!({}), source) else { panic!("instances") };
    let outcomes: Vec<_> = instances.iter().map(|one| (one.labels.value("host").to_owned(), one.outcome)).collect();
    let want = [
        ("a".to_owned(), Outcome::Alerting),
        ("b".to_owned(), Outcome::Normal),
        ("c".to_owned(), Outcome::NoData),
        ("d".to_owned(), Outcome::Alerting),
    ];
    assert_eq!(outcomes, want);
    let values = Values::of(&instances[0].captures);
    assert_eq!(values.by_ref, BTreeMap::from([("B".to_owned(), 0.0), ("C".to_owned(), 1.0)]));
    assert_eq!(values.text, "[ var='B' labels={host=a} value=0 ], [ var='C' labels={host=a} value=1 ]");
}

#[test]
fn nothing_and_errors() {
    let Evaluation::NoData(sources) = judge_of(json!({}), Ok(Vec::new())) else { panic!("no data") };
    assert_eq!(sources, [NoDataSource { datasource_uid: "prom".to_owned(), ref_ids: vec!["A".to_owned()] }]);
    let Evaluation::Error(error) = judge_of(json!({}), Err("timeout".to_owned())) else { panic!("an error") };
    assert_eq!(
        (error.message.as_str(), error.ref_id.as_str(), error.datasource_uid.as_str()),
        ("failed to execute query A: timeout", "A", "prom")
    );
    let Evaluation::Error(error) = judge_of(json!({ "condition": "A" }), Ok(vec![series("a", None)])) else {
        panic!("an error")
    };
    assert!(error.message.contains("only reduced data can be alerted on"), "{}", error.message);
    let twice = Ok(vec![series("a", Some(1.0)), series("a", Some(2.0))]);
    let Evaluation::Error(error) = judge_of(json!({}), twice) else { panic!("an error") };
    assert!(error.message.contains("duplicate results with labels {host=a}"), "{}", error.message);
}

#[test]
fn values_with_fewer_labels_are_captured_too() {
    let data = json!([
        { "refId": "A", "datasourceUid": "p", "model": {} },
        { "refId": "B", "datasourceUid": "__expr__", "model": { "type": "math", "expression": "5" } },
        { "refId": "C", "datasourceUid": "__expr__", "model": { "type": "math", "expression": "$A > $B" } },
    ]);
    let source = Ok(vec![Value::Number(Number::new(labels("a"), Some(7.0)))]);
    let Evaluation::Instances(instances) = judge_of(json!({ "data": data }), source) else { panic!("instances") };
    assert_eq!(instances[0].captures["B"], Capture { labels: Labels::empty(), value: Some(5.0) });
    assert_eq!(instances[0].captures["A"].labels, labels("a"));
}

#[test]
fn classic_matches_are_captured_by_their_place() {
    let data = json!([
        { "refId": "A", "datasourceUid": "p", "model": {} },
        { "refId": "B", "datasourceUid": "__expr__", "model": { "type": "classic_conditions", "conditions": [
            { "evaluator": { "type": "gt", "params": [1] }, "operator": { "type": "and" }, "query": { "params": ["A"] }, "reducer": { "type": "last" } },
        ] } },
    ]);
    let source = Ok(vec![series("a", Some(2.0)), series("b", Some(3.0)), series("c", Some(0.0))]);
    let Evaluation::Instances(instances) = judge_of(json!({ "data": data, "condition": "B" }), source) else {
        panic!("instances")
    };
    assert_eq!(instances.len(), 1);
    let names: Vec<_> = instances[0].captures.keys().cloned().collect();
    assert_eq!(
        (names, instances[0].captures["B1"].value),
        (vec!["B".to_owned(), "B0".to_owned(), "B1".to_owned()], Some(3.0))
    );
}
