//! Plans as text, and what `analyze` adds to them.

use std::sync::atomic::{AtomicU64, Ordering};

use foursight_logql::testing::MemoryLogs;
use foursight_logql::{Engine, EngineOptions, ParseOptions, PlanNode, QueryContext, Request, Value, Watch, parse};
use model::Labels;

fn explain(text: &str) -> String {
    let expr = parse(text, ParseOptions::default()).unwrap();
    let request = Request::range(0, 60_000_000_000, 15_000_000_000);
    Engine::default().explain(&expr, &request, &QueryContext::at(0)).unwrap().to_string()
}

#[test]
fn plans_tell_what_is_asked_of_store_and_stages() {
    let plan = r#"topk 3
  sum by (status)
    rate({app="a"}[5m])  series: by (status)  reads: lines  labels wanted: level, status  lines contain: "GET"  contain unless the stream tells: "\\u" or "error"
      |= "GET"
      | json
      | level="error"
"#;
    let text = r#"topk(3, sum by (status) (rate({app="a"} | json | level="error" |= "GET" [5m])))"#;
    // The line filter stands behind a filter of labels, so it stays there.
    assert_ne!(explain(text), plan);
    let text = r#"topk(3, sum by (status) (rate({app="a"} | json |= "GET" | level="error" [5m])))"#;
    assert_eq!(explain(text), plan);
}

#[test]
fn useless_parts_are_gone() {
    let plan = explain(r#"sum(count_over_time({app="a"} | json | line_format "{{.x}}" [5m])) > 2"#);
    let want = "… > 2\n  sum\n    count_over_time({app=\"a\"}[5m])  series: one  reads: counts where they are known, else times  labels wanted: none\n";
    assert_eq!(plan, want);
    assert_eq!(explain("1 + 1"), "2\n");
}

#[test]
fn queries_of_entries_have_plans_too() {
    let plan = explain(r#"{app="a"} |= "x" | logfmt | line_format "{{.msg}}""#);
    let want = "{app=\"a\"}  entries: at most 100, newest first  lines contain: \"x\"\n  |= \"x\"\n  | logfmt\n  | line_format \"{{.msg}}\"\n";
    assert_eq!(plan, want);
}

/// A clock that goes on by one whenever it is looked at.
#[derive(Default)]
struct Clock(AtomicU64);

impl Watch for Clock {
    fn now_ns(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

fn analyze(text: &str, threads: usize) -> (Value, PlanNode) {
    let mut logs = MemoryLogs::new(10);
    for i in 0..100i64 {
        let line = format!("level={} n={i}", if i % 4 == 0 { "error" } else { "info" });
        logs.push(&Labels::from_pairs([("app", "a")]), i + 1, &line, []);
    }
    let clock = Clock::default();
    let context = QueryContext { watch: &clock, threads, ..QueryContext::at(0) };
    let expr = parse(text, ParseOptions::default()).unwrap();
    let request = if text.starts_with('{') { Request::range(0, 1_000, 1) } else { Request::instant(1_000) };
    let engine = Engine::new(EngineOptions::default());
    let (output, plan) = engine.analyze(&logs, &expr, &request, &context).unwrap();
    let again = engine.query(&logs, &expr, &request, &context).unwrap();
    assert_eq!(output.stats, again.stats);
    (output.value, plan)
}

#[test]
fn analyze_counts_lines_through_stages() {
    for threads in [1, 3] {
        let (value, plan) = analyze(
            r#"sum by (level) (count_over_time({app="a"} |= "n=1" | logfmt | level="error" [1m])) * 2"#,
            threads,
        );
        let Value::Vector(samples) = value else { panic!("numbers") };
        // Of 1 and 10 to 19 those that four divides.
        assert_eq!(samples.iter().map(|sample| sample.value).collect::<Vec<_>>(), [4.0]);
        let range = &plan.children[0].children[0];
        let counts: Vec<_> = range.children.iter().map(|stage| stage.measured.unwrap()).collect();
        assert_eq!(
            counts.iter().map(|stage| (stage.lines_in.unwrap(), stage.out)).collect::<Vec<_>>()[1..],
            [(counts[0].out, counts[1].out), (counts[1].out, 2)]
        );
        // The store left out what cannot pass.
        assert_eq!(counts[0].lines_in, Some(2));
        assert!(counts.iter().all(|stage| stage.time_ns > 0));
        assert_eq!(plan.measured.unwrap().out, 1);
        assert!(plan.measured.unwrap().time_ns > range.measured.unwrap().time_ns);
    }
}

#[test]
fn analyze_measures_queries_of_entries() {
    let (value, plan) = analyze(r#"{app="a"} | logfmt | n > 89"#, 2);
    let Value::Streams(found) = value else { panic!("entries") };
    assert_eq!(found.streams.len(), 10);
    assert_eq!(plan.measured.unwrap().out, 10);
    assert_eq!(plan.children[1].measured.unwrap().out, 10);
    assert!(plan.to_string().contains("| logfmt  ("), "{plan}");
}
