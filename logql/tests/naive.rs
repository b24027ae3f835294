//! Functions over windows against their definition: the entries of each window, listed by a query of entries, and a loop.

use std::collections::BTreeMap;

use foursight_logql::testing::MemoryLogs;
use foursight_logql::{Engine, EngineOptions, LabelSet, ParseOptions, QueryContext, Request, Value, parse};
use model::{Direction, Labels};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

/// Stream, time in tenths of a second, value, user.
type Line = (u8, u16, i8, u8);

fn logs(lines: &[Line], unit: usize) -> MemoryLogs {
    let mut logs = MemoryLogs::new(unit);
    for (i, (stream, at, value, user)) in lines.iter().enumerate() {
        let labels = Labels::from_pairs([("app", "a"), ("pod", ["x", "y", "z"][usize::from(stream % 3)])]);
        let line = format!("n={i} v={value} user=u{} path=/a", user % 3);
        let metadata = (user % 4 == 0).then_some(("trace", "t1"));
        logs.push(&labels, i64::from(*at) * SECOND / 10, &line, metadata);
    }
    logs
}

/// A query, and what it is made of.
#[derive(Clone, Debug)]
struct Case {
    function: &'static str,
    stages: &'static str,
    grouping: &'static str,
    range_s: i64,
    offset_s: i64,
    step_s: i64,
}

const COUNTING: [&str; 4] = ["count_over_time", "rate", "bytes_over_time", "bytes_rate"];
const UNWRAPPED: [&str; 7] = [
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "stdvar_over_time",
    "last_over_time",
    "first_over_time",
];

fn case() -> impl Strategy<Value = Case> {
    let function = prop_oneof![prop::sample::select(&COUNTING[..]), prop::sample::select(&UNWRAPPED[..])];
    let stages = prop::sample::select(
        &[
            "",
            "| logfmt",
            "|= \"v=1\"",
            "| logfmt | user=\"u1\"",
            "| logfmt | v >= 0 | drop n",
            "| logfmt | user=~\"u[02]\" | line_format \"{{.user}}\"",
            "| logfmt v, who=\"user\" | label_format who=pod",
        ][..],
    );
    let grouping = prop::sample::select(
        &["sum", "sum by (pod)", "max by (user, pod)", "sum without (n, pod)", "count", "sum by (trace)", ""][..],
    );
    (function, stages, grouping, 1i64..40, -5i64..10, 1i64..15).prop_map(
        |(function, stages, grouping, range_s, offset_s, step_s)| Case {
            function,
            stages,
            grouping,
            range_s,
            offset_s,
            step_s,
        },
    )
}

impl Case {
    fn unwraps(&self) -> bool {
        UNWRAPPED.contains(&self.function)
    }

    fn pipeline(&self) -> String {
        // Numbers come from a parser.
        let stages = if self.unwraps() && !self.stages.contains("logfmt") { "| logfmt" } else { self.stages };
        // Without a group to add up, each line would be a series of its own.
        format!("{{app=\"a\"}} {stages} | drop path")
    }

    fn text(&self) -> String {
        let unwrap = if self.unwraps() { "| unwrap v" } else { "" };
        let offset = if self.offset_s == 0 { String::new() } else { format!(" offset {}s", self.offset_s) };
        let inner = format!("{}({} {unwrap} [{}s]{offset})", self.function, self.pipeline(), self.range_s);
        if self.grouping.is_empty() { inner } else { format!("{} ({inner})", self.grouping) }
    }

    /// The numbers of a window's entries by the labels of their series.
    fn windows(&self, logs: &MemoryLogs, at_ns: i64) -> BTreeMap<LabelSet, Vec<f64>> {
        let end = at_ns - self.offset_s * SECOND;
        let expr = parse(&self.pipeline(), ParseOptions::default()).unwrap();
        let request = Request {
            direction: Direction::Forward,
            limit: usize::MAX,
            ..Request::range(end - self.range_s * SECOND + 1, end + 1, 1)
        };
        let output = Engine::default().query(logs, &expr, &request, &QueryContext::at(0)).unwrap();
        let Value::Streams(found) = output.value else { panic!("entries") };
        let mut entries: Vec<_> = found.streams.iter().flat_map(|stream| &stream.entries).collect();
        entries.sort_by_key(|entry| entry.timestamp_ns);
        let mut windows: BTreeMap<LabelSet, Vec<f64>> = BTreeMap::new();
        for entry in entries {
            let labels = &entry.labels.all;
            if !self.unwraps() {
                windows.entry(labels.clone()).or_default().push(entry.line.len() as f64);
            } else if let Some(value) = labels.get("v") {
                let others = LabelSet::from_pairs(labels.iter().filter(|(name, _)| *name != "v"));
                windows.entry(others).or_default().push(value.parse().unwrap());
            }
        }
        windows
    }

    fn value(&self, numbers: &[f64]) -> f64 {
        let (count, seconds) = (numbers.len() as f64, self.range_s as f64);
        let sum: f64 = numbers.iter().sum();
        match self.function {
            "count_over_time" => count,
            "rate" => count / seconds,
            "bytes_over_time" | "sum_over_time" => sum,
            "bytes_rate" => sum / seconds,
            "avg_over_time" => sum / count,
            "min_over_time" => numbers.iter().copied().fold(f64::INFINITY, f64::min),
            "max_over_time" => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            "stdvar_over_time" => numbers.iter().map(|n| (n - sum / count).powi(2)).sum::<f64>() / count,
            "last_over_time" => numbers[numbers.len() - 1],
            "first_over_time" => numbers[0],
            other => panic!("{other}"),
        }
    }

    /// The answer at one step by definition.
    fn naive(&self, logs: &MemoryLogs, at_ns: i64) -> BTreeMap<LabelSet, f64> {
        let mut answer: BTreeMap<LabelSet, f64> = BTreeMap::new();
        for (labels, numbers) in self.windows(logs, at_ns) {
            let value = self.value(&numbers);
            let pick = |names: &[&str]| LabelSet::from_pairs(labels.iter().filter(|(name, _)| names.contains(name)));
            let group = match self.grouping {
                "" => labels.clone(),
                "sum" | "count" => LabelSet::empty(),
                "sum by (pod)" => pick(&["pod"]),
                "max by (user, pod)" => pick(&["user", "pod"]),
                "sum by (trace)" => pick(&["trace"]),
                _ => LabelSet::from_pairs(
                    labels.iter().filter(|(name, value)| !["n", "pod"].contains(name) && !value.is_empty()),
                ),
            };
            let known = answer.get(&group).copied();
            let new = match (self.grouping.split(' ').next(), known) {
                (Some("count"), known) => known.unwrap_or(0.0) + 1.0,
                (_, None) => value,
                (Some("max"), Some(known)) => known.max(value),
                (_, Some(known)) => known + value,
            };
            answer.insert(group, new);
        }
        answer
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn equals_the_definition(
        mut lines in prop::collection::vec((0u8..3, 0u16..600, -5i8..6, 0u8..8), 1..60),
        case in case(),
        unit in 1usize..20,
        threads in 1usize..3,
    ) {
        // Which of several entries of one moment is the first, or the last, is another matter.
        lines.sort_by_key(|line| line.1);
        lines.dedup_by_key(|line| line.1);
        let logs = logs(&lines, unit);
        let expr = parse(&case.text(), ParseOptions::default()).unwrap();
        let engine = Engine::new(EngineOptions { align_steps: false, ..EngineOptions::default() });
        let request = Request::range(3 * SECOND, 63 * SECOND, case.step_s * SECOND);
        let context = QueryContext { threads, ..QueryContext::at(0) };
        let output = engine.query(&logs, &expr, &request, &context).unwrap();
        let Value::Matrix(series) = output.value else { panic!("numbers") };
        let mut got: BTreeMap<i64, BTreeMap<LabelSet, f64>> = BTreeMap::new();
        for one in &series {
            for (at_ms, value) in &one.points {
                got.entry(*at_ms).or_default().insert(one.labels.clone(), *value);
            }
        }
        let mut at = 3;
        while at <= 63 {
            let want = case.naive(&logs, at * SECOND);
            let found = got.remove(&(at * 1000)).unwrap_or_default();
            prop_assert_eq!(
                found.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{} at {}", case.text(), at
            );
            for (labels, value) in &want {
                let close = (found[labels] - value).abs() <= 1e-9 * value.abs().max(1.0);
                prop_assert!(close, "{} at {at}: {labels} {} instead of {value}", case.text(), found[labels]);
            }
            at += case.step_s;
        }
        prop_assert!(got.is_empty());
    }
}
