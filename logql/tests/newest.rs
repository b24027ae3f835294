//! A query for few entries reads slices of time until it has enough: its answer is the beginning of all entries, sorted.

use std::ops::ControlFlow;

use foursight_logql::ast::{Expr, LogExpr};
use foursight_logql::testing::MemoryLogs;
use foursight_logql::{Cursor, LogParams, ParseOptions, QueryContext, for_each_entry, parse};
use model::{Direction, Labels};
use proptest::prelude::*;

/// Stream, time, value.
type Line = (u8, i64, u8);

fn line(number: usize, (_, _, value): Line) -> String {
    format!("n={number} v={value} word{}", value % 3)
}

fn logs(lines: &[Line], unit: usize) -> MemoryLogs {
    let mut logs = MemoryLogs::new(unit);
    for (number, of) in lines.iter().enumerate() {
        let labels = Labels::from_pairs([("app", "a"), ("pod", ["x", "y", "z", "w"][usize::from(of.0 % 4)])]);
        logs.push(&labels, of.1, &line(number, *of), (of.2 % 5 == 0).then_some(("trace", "t1")));
    }
    logs
}

/// A pipeline and which values it lets pass.
type Filter = (&'static str, fn(u8) -> bool);

const PIPELINES: [Filter; 5] = [
    ("", |_| true),
    ("|= \"word1\"", |value| value % 3 == 1),
    ("| logfmt | v >= 7", |value| value >= 7),
    ("!= \"word2\" | logfmt | v < 3", |value| value % 3 != 2 && value < 3),
    ("|= \"absent\"", |_| false),
];

/// At most so many entries, and where the last one is.
fn entries(
    logs: &MemoryLogs,
    expr: &LogExpr,
    params: &LogParams,
    context: &QueryContext<'_>,
) -> (Vec<(i64, String)>, Option<Cursor>) {
    let (mut found, mut last) = (Vec::new(), None);
    let sink = |entry: foursight_logql::Entry, at| {
        found.push((entry.timestamp_ns, String::from(entry.line)));
        last = Some(at);
        if found.len() < params.limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    for_each_entry(logs, expr, params, context, sink).unwrap();
    (found, last)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn few_are_the_first_of_all(
        // Some at the same time, some far from the others.
        lines in prop::collection::vec((0u8..4, prop_oneof![0i64..40, 0i64..100_000, 99_000i64..100_000], 0u8..10), 1..200),
        pipeline in prop::sample::select(&PIPELINES[..]),
        unit in 1usize..40,
        limit in 1usize..80,
        backward in any::<bool>(),
        threads in 1usize..3,
        (start, end) in (0i64..60_000, 40_000i64..120_000),
    ) {
        let logs = logs(&lines, unit);
        let direction = if backward { Direction::Backward } else { Direction::Forward };
        let expr = parse(&format!("{{app=\"a\"}} {}", pipeline.0), ParseOptions::default()).unwrap();
        let context = QueryContext { threads, ..QueryContext::at(0) };
        let Expr::Log(log) = &expr else { panic!("a query of entries") };
        let params = LogParams {
            start_ns: start, end_ns: end, direction, limit: usize::MAX, interval_ns: 0, categorize: false, after: None,
        };
        let (all, _) = entries(&logs, log, &params, &context);
        // All of them are those that pass, in order.
        let passes = |(number, of): (usize, &Line)| {
            (start <= of.1 && of.1 < end && pipeline.1(of.2)).then(|| (of.1, line(number, *of)))
        };
        let mut want: Vec<(i64, String)> = lines.iter().enumerate().filter_map(passes).collect();
        let in_order = all.is_sorted_by(|a, b| if backward { a.0 >= b.0 } else { a.0 <= b.0 });
        prop_assert!(in_order);
        let mut sorted = all.clone();
        sorted.sort();
        want.sort();
        prop_assert_eq!(sorted, want);
        // Few of them are the first ones of all, also page by page.
        let mut params = LogParams { limit, ..params };
        let mut rest = &all[..];
        for _ in 0..4 {
            let (found, last) = entries(&logs, log, &params, &context);
            let (page, later) = rest.split_at(limit.min(rest.len()));
            prop_assert_eq!(&found, page);
            rest = later;
            params.after = last;
            if last.is_none() {
                break;
            }
        }
    }
}
