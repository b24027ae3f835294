//! What the language has beyond the reference's, and paging: off unless asked for.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use foursight_logql::ast::{Expr, LogExpr};
use foursight_logql::testing::MemoryLogs;
use foursight_logql::{
    Engine, LogParams, ParseOptions, QueryContext, QueryError, Request, Tail, Value, for_each_entry, parse,
};
use model::{Direction, Labels, LogColumns};

const EXTENSIONS: ParseOptions = ParseOptions { extensions: true, any_selector: false };

/// Two streams, an entry a second in each; some of them at the same time, some of them equal lines.
fn logs() -> MemoryLogs {
    let mut logs = MemoryLogs::new(3);
    for i in 0..20i64 {
        let pod = if i % 2 == 0 { "x" } else { "y" };
        let line = format!("{{\"user\":\"u{}\",\"n\":{i},\"tags\":[\"t{}\",{{\"k\":{i}}}]}}", i % 3, i % 2);
        logs.push(&Labels::from_pairs([("app", "a"), ("pod", pod)]), i / 4 * 4 + 1, &line, []);
    }
    for i in 0..6i64 {
        let line = if i < 3 { "same" } else { "other" };
        logs.push(&Labels::from_pairs([("app", "b")]), i, line, []);
    }
    logs
}

fn query(text: &str, request: &Request) -> Result<Value, QueryError> {
    let expr = parse(text, EXTENSIONS)?;
    Ok(Engine::default().query(&logs(), &expr, request, &QueryContext::at(0))?.value)
}

fn entries(text: &str, direction: Direction) -> Vec<(i64, String)> {
    let request = Request { direction, ..Request::range(0, 1_000, 1) };
    let Value::Streams(found) = query(text, &request).unwrap() else { panic!("entries") };
    let all = found.streams.iter().flat_map(|stream| &stream.entries);
    let mut all: Vec<(i64, String)> = all.map(|entry| (entry.timestamp_ns, entry.line.to_string())).collect();
    all.sort();
    all
}

fn number(text: &str) -> Vec<(String, f64)> {
    let Value::Vector(samples) = query(text, &Request::instant(1_000)).unwrap() else { panic!("numbers") };
    samples.iter().map(|sample| (sample.labels.to_string(), sample.value)).collect()
}

#[test]
fn are_no_syntax_unless_asked_for() {
    for text in [
        r#"{app="a"} | distinct pod"#,
        r#"{app="a"} | dedup"#,
        r#"{app="a"} | json --arrays"#,
        r#"count_distinct(pod, {app="a"}[1m])"#,
        r#"max_over_time(rate({app="a"}[1m])[5m:1m])"#,
    ] {
        assert!(parse(text, EXTENSIONS).is_ok(), "{text}");
        assert!(parse(text, ParseOptions::default()).is_err(), "{text}");
    }
}

#[test]
fn distinct_keeps_the_first_of_each_value() {
    let text = r#"{app="a"} | json | distinct user"#;
    let users = |direction| -> BTreeSet<String> {
        entries(text, direction).iter().map(|(_, line)| line[9..11].to_owned()).collect()
    };
    assert_eq!(entries(text, Direction::Forward).len(), 3);
    assert_eq!(users(Direction::Forward), users(Direction::Backward));
    // The first in the order asked for.
    assert!(entries(text, Direction::Forward).iter().all(|(at, _)| *at == 1));
    assert!(entries(text, Direction::Backward).iter().all(|(at, _)| *at == 17));
    assert_eq!(entries(r#"{app="a"} | json | distinct user, pod"#, Direction::Forward).len(), 6);
    assert!(query(r#"{app="a"} | distinct pod | json"#, &Request::range(0, 9, 1)).is_err());
}

#[test]
fn dedup_keeps_the_first_of_equal_lines_in_a_row() {
    let want = |times: [i64; 2]| vec![(times[0], "same".to_owned()), (times[1], "other".to_owned())];
    assert_eq!(entries(r#"{app="b"} | dedup"#, Direction::Forward), want([0, 3]));
    assert_eq!(entries(r#"{app="b"} | dedup"#, Direction::Backward), want([2, 5]));
}

#[test]
fn count_distinct_counts_values() {
    assert_eq!(number(r#"count_distinct(user, {app="a"} | json [1m])"#).len(), 20);
    assert_eq!(number(r#"count_distinct(user, {app="a"} | json [1m]) by (app)"#), [(r#"{app="a"}"#.into(), 3.0)]);
    assert_eq!(number(r#"count_distinct(pod, {app=~"a|b"}[1m]) by ()"#), [("{}".into(), 2.0)]);
}

#[test]
fn json_arrays_become_labels() {
    let text = r#"{app="a"} | json --arrays | n="4" | keep tags_0, tags_1_k"#;
    let Value::Streams(found) = query(text, &Request::range(0, 1_000, 1)).unwrap() else { panic!("entries") };
    assert_eq!(found.streams[0].labels.to_string(), r#"{tags_0="t0", tags_1_k="4"}"#);
}

#[test]
fn subqueries_are_functions_of_numbers() {
    let mut logs = MemoryLogs::new(10);
    // In minute `m` there are `m` entries.
    for minute in 0..10i64 {
        for i in 0..minute {
            logs.push(&Labels::from_pairs([("app", "a")]), (minute * 60 + i + 1) * 1_000_000_000, "x", []);
        }
    }
    let at = |text: &str| {
        let expr = parse(text, EXTENSIONS).unwrap();
        let request = Request::instant(600 * 1_000_000_000);
        let output = Engine::default().query(&logs, &expr, &request, &QueryContext::at(0)).unwrap();
        let Value::Vector(samples) = output.value else { panic!("numbers") };
        samples.iter().map(|sample| sample.value).collect::<Vec<_>>()
    };
    let minute = r#"sum(count_over_time({app="a"}[1m]))"#;
    assert_eq!(at(&format!("max_over_time({minute}[10m:1m])")), [9.0]);
    assert_eq!(at(&format!("sum_over_time({minute}[3m:1m])")), [9.0 + 8.0 + 7.0]);
    assert_eq!(at(&format!("min_over_time({minute}[5m:1m] offset 1m)")), [4.0]);
    assert_eq!(at(&format!("quantile_over_time(0.5, {minute}[3m:1m])")), [8.0]);
    assert_eq!(at(&format!("count_over_time({minute}[10m:30s])")).len(), 1);
}

fn log_expr(text: &str) -> LogExpr {
    match parse(text, EXTENSIONS).unwrap() {
        Expr::Log(log) => log,
        Expr::Metric(_) => panic!("{text} is about numbers"),
    }
}

#[test]
fn pages_follow_each_other_without_gaps_or_repeats() {
    let (logs, expr, context) = (logs(), log_expr(r#"{app=~"a|b"}"#), QueryContext::at(0));
    for direction in [Direction::Forward, Direction::Backward] {
        let mut params = LogParams {
            start_ns: 0,
            end_ns: 1_000,
            direction,
            limit: usize::MAX,
            interval_ns: 0,
            categorize: false,
            after: None,
        };
        let mut all = Vec::new();
        for_each_entry(&logs, &expr, &params, &context, |entry, _| {
            all.push((entry.timestamp_ns, entry.line, entry.labels.all.clone()));
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(all.len(), 26);
        for page in [1, 2, 5, 13, 25] {
            params.after = None;
            let mut paged = Vec::new();
            loop {
                let (mut count, mut last) = (0, None);
                for_each_entry(&logs, &expr, &params, &context, |entry, cursor| {
                    paged.push((entry.timestamp_ns, entry.line, entry.labels.all.clone()));
                    (count, last) = (count + 1, Some(cursor));
                    if count == page { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
                .unwrap();
                if count < page {
                    break;
                }
                params.after = last;
            }
            assert_eq!(paged, all, "pages of {page}, {direction:?}");
        }
    }
}

#[test]
fn a_tail_finds_what_a_query_finds() {
    for text in [
        r#"{app="a"} |= "u1""#,
        r#"{app="a", pod="y"} | json | user="u2" | line_format "{{.n}}""#,
        r#"{app=~"a|b"} | json | __error__="""#,
        r#"{app="b"} | dedup"#,
        r#"{app="a"} | json | distinct user"#,
    ] {
        let expr = log_expr(text);
        let params = LogParams {
            start_ns: 0,
            end_ns: 1_000,
            direction: Direction::Forward,
            limit: usize::MAX,
            interval_ns: 0,
            categorize: true,
            after: None,
        };
        let (mut all, mut want) = (Vec::new(), Vec::new());
        let keep = |entry, _| {
            all.push(entry);
            ControlFlow::Continue(())
        };
        for_each_entry(&logs(), &log_expr(r#"{app=~"a|b"}"#), &params, &QueryContext::at(0), keep).unwrap();
        let keep = |entry, _| {
            want.push(entry);
            ControlFlow::Continue(())
        };
        for_each_entry(&logs(), &expr, &params, &QueryContext::at(0), keep).unwrap();
        let mut tail = Tail::new(&expr, true, 0).unwrap();
        let mut got = Vec::new();
        for entry in &all {
            let stream = Labels::from_pairs(entry.labels.all.iter());
            let mut columns = LogColumns::new();
            columns.push(entry.timestamp_ns, &entry.line, []);
            if tail.selects(&stream) {
                tail.push(&stream, &columns, |entry| got.push(entry));
            }
        }
        // Entries of one time come as they were pushed, not by their labels.
        got.sort_by(|a, b| (a.timestamp_ns, &a.line).cmp(&(b.timestamp_ns, &b.line)));
        want.sort_by(|a, b| (a.timestamp_ns, &a.line).cmp(&(b.timestamp_ns, &b.line)));
        assert!(!want.is_empty());
        assert_eq!(got, want, "{text}");
    }
}
