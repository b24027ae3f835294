//! What a host relies on: limits, deadline, cancellation, statistics, the options of a server, plans as text.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use foursight_promql::promqltest::{MemorySource, SequenceValue, parse_series};
use foursight_promql::{
    Clock, Engine, EngineOptions, Level, Limits, ParserOptions, QueryContext, QueryError, QueryErrorKind, TimeParams,
    Value, parse,
};
use model::{LabelQuery, Labels, Matcher, SampleColumns, SelectHints, Selection, SeriesSource, SourceError};

const MINUTE: i64 = 60_000;

/// A store with series in the notation of test scripts, a sample a minute.
fn store(lines: &[&str]) -> MemorySource {
    let mut source = MemorySource::new();
    for line in lines {
        let (labels, values) = parse_series(line).expect("series notation");
        for (at, value) in values.iter().enumerate() {
            if let SequenceValue::Float(value) = value {
                source.append(&labels, at as i64 * MINUTE, 0, *value).expect("in order");
            }
        }
    }
    source
}

fn requests() -> MemorySource {
    store(&[
        r#"requests_total{job="a",instance="1"} 0+60x20"#,
        r#"requests_total{job="a",instance="2"} 0+120x20"#,
        r#"requests_total{job="b",instance="3"} 0+180x20"#,
        r#"errors_total{job="a",instance="1"} 0+6x20"#,
    ])
}

fn range(from: i64, to: i64) -> TimeParams {
    TimeParams::Range { start_ms: from * MINUTE, end_ms: to * MINUTE, step_ms: MINUTE }
}

fn all() -> Engine {
    Engine::new(EngineOptions { parser: ParserOptions::all(), ..EngineOptions::default() })
}

/// Result as lines `labels value@ms …`.
fn render(value: &Value) -> Vec<String> {
    match value {
        Value::Matrix(series) => series
            .iter()
            .map(|s| {
                let points: Vec<String> = s.floats.iter().map(|(t, v)| format!("{v}@{}", t / MINUTE)).collect();
                format!("{} {}", s.labels, points.join(" "))
            })
            .collect(),
        Value::Vector { samples, .. } => samples.iter().map(|s| format!("{} {:?}", s.labels, s.value)).collect(),
        other => vec![format!("{other:?}")],
    }
}

fn ask(engine: &Engine, source: &dyn SeriesSource, query: &str, times: TimeParams) -> Result<Vec<String>, QueryError> {
    engine.query(query, source, times, &QueryContext::default()).map(|o| render(&o.value))
}

fn kind(query: &str, limits: Limits) -> Result<(), QueryErrorKind> {
    let context = QueryContext { limits, ..QueryContext::default() };
    all().query(query, &requests(), range(5, 15), &context).map(|_| ()).map_err(|e| e.kind())
}

#[test]
fn limits_end_a_query() {
    let roomy = Limits { samples: 10_000, series: 10, bytes: 1 << 20 };
    assert_eq!(kind("requests_total", roomy), Ok(()));
    assert_eq!(kind("requests_total", Limits { samples: 20, ..roomy }), Err(QueryErrorKind::Limit));
    assert_eq!(kind("requests_total", Limits { series: 2, ..roomy }), Err(QueryErrorKind::Limit));
    assert_eq!(kind("requests_total", Limits { bytes: 100, ..roomy }), Err(QueryErrorKind::Limit));
    // A fold holds a column a group, and one series at a time.
    assert_eq!(kind("sum(rate(requests_total[5m]))", Limits { samples: 40, bytes: 200, ..roomy }), Ok(()));
    // Steps of a subquery are refused before memory is taken for them.
    assert_eq!(kind("sum_over_time(vector(1)[100y:1ms])", roomy), Err(QueryErrorKind::Limit));
    assert_eq!(kind("count_over_time((requests_total + 1)[100y:1ms])", roomy), Err(QueryErrorKind::Limit));
}

/// A clock that goes on by one at every look.
#[derive(Default)]
struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now_ns(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

#[test]
fn deadline_and_cancellation_end_a_query() {
    let (source, clock) = (requests(), Ticks::default());
    let query =
        |context: &QueryContext<'_>| all().query("sum(rate(requests_total[5m]))", &source, range(5, 15), context);
    let context = QueryContext { clock: Some(&clock), deadline_ns: Some(1_000), ..QueryContext::default() };
    assert!(query(&context).is_ok());
    let late = Ticks::default();
    let context = QueryContext { clock: Some(&late), deadline_ns: Some(2), ..QueryContext::default() };
    assert_eq!(query(&context).map_err(|e| e.kind()).err(), Some(QueryErrorKind::Timeout));

    for threads in [1, 3] {
        let flag = AtomicBool::new(true);
        let context = QueryContext { cancel: Some(&flag), threads, ..QueryContext::default() };
        assert_eq!(query(&context).map_err(|e| e.kind()).err(), Some(QueryErrorKind::Cancelled));
    }
}

#[test]
fn samples_are_counted_by_step() {
    let engine = Engine::new(EngineOptions { per_step_stats: true, ..EngineOptions::default() });
    let source = requests();
    let stats = |query: &str| engine.query(query, &source, range(5, 7), &QueryContext::default()).unwrap().stats;
    let plain = stats("requests_total");
    assert_eq!(plain.samples_total, 9);
    assert_eq!(plain.per_step, [(5 * MINUTE, 3), (6 * MINUTE, 3), (7 * MINUTE, 3)]);
    assert_eq!(plain.series, 3);
    let windows = stats("sum(rate(requests_total[3m]))");
    assert_eq!(windows.per_step, [(5 * MINUTE, 9), (6 * MINUTE, 9), (7 * MINUTE, 9)]);
    assert_eq!(windows.samples_total, 27);
    assert!(windows.samples_peak > 0 && windows.bytes_peak > 0);
    assert_eq!(all().query("1", &source, range(5, 7), &QueryContext::default()).unwrap().stats.samples_total, 0);
}

#[test]
fn times_must_make_sense() {
    let source = requests();
    let error = |query: &str, times| ask(&all(), &source, query, times).unwrap_err();
    let backwards = TimeParams::Range { start_ms: 10, end_ms: 5, step_ms: 1 };
    let standing = TimeParams::Range { start_ms: 0, end_ms: 5, step_ms: 0 };
    for (query, times) in [("up", backwards), ("up", standing), ("up[5m]", range(0, 5)), ("\"x\"", range(0, 5))] {
        assert_eq!(error(query, times).kind(), QueryErrorKind::Invalid, "{query}");
    }
    let mut far = TimeParams::Range { start_ms: i64::MIN, end_ms: i64::MAX, step_ms: 1 };
    assert_eq!(error("up", far).kind(), QueryErrorKind::Limit);
    far = TimeParams::Range { start_ms: i64::MIN, end_ms: i64::MAX, step_ms: i64::MAX };
    for query in ["requests_total", "rate(requests_total[5m] offset -5m)", "sum_over_time(vector(1)[5m:1m])", "time()"]
    {
        let _ = ask(&all(), &source, query, far);
        let _ = ask(&all(), &source, query, TimeParams::Instant(i64::MIN));
        let _ = ask(&all(), &source, query, TimeParams::Instant(i64::MAX));
    }
}

#[test]
fn names_go_at_once_on_a_server() {
    let source = requests();
    let server = Engine::new(EngineOptions::default());
    let late = Engine::new(EngineOptions { delayed_name_removal: true, ..EngineOptions::default() });
    let at = TimeParams::Instant(10 * MINUTE);

    // Functions of windows refuse two series of one label set, even where they do not overlap.
    let clash = r#"rate({job="a",instance="1"}[5m])"#;
    let message = "vector cannot contain metrics with the same labelset";
    assert_eq!(ask(&server, &source, clash, at).unwrap_err().to_string(), message);
    assert_eq!(ask(&late, &source, clash, at).unwrap_err().to_string(), message);

    // Late removal lets functions still see the name.
    let copied = r#"sum by (n) (label_replace(rate({job="a"}[5m]), "n", "$1", "__name__", "(.+)"))"#;
    assert_eq!(ask(&server, &source, copied, at).unwrap_err().to_string(), message);
    let mut names = ask(&late, &source, copied, at).unwrap();
    names.sort();
    assert_eq!(names, [r#"{n="errors_total"} Float(0.1)"#, r#"{n="requests_total"} Float(3.0)"#]);

    for engine in [&server, &late] {
        assert_eq!(ask(engine, &source, "sum by (__name__) (-errors_total)", at).unwrap(), ["{} Float(-60.0)"]);
    }
}

#[test]
fn start_times_count_when_asked_for() {
    let mut source = MemorySource::new();
    let labels = Labels::from_pairs([("__name__", "c_total")]);
    // The counter began anew at 4.5 min, from zero to a higher value than before: not seen without the start time.
    for (minute, value, start) in [(3, 10.0, 1_000), (4, 20.0, 1_000), (5, 50.0, 270_000), (6, 60.0, 270_000)] {
        source.append(&labels, minute * MINUTE, start, value).unwrap();
    }
    let value =
        |engine: &Engine| ask(engine, &source, "increase(c_total[5m])", TimeParams::Instant(6 * MINUTE)).unwrap();
    let server = Engine::new(EngineOptions::default());
    let started = Engine::new(EngineOptions { use_start_timestamps: true, ..EngineOptions::default() });
    assert_ne!(value(&server), value(&started));
}

#[test]
fn annotations_have_places_and_can_be_limited() {
    let query = "rate(a[5m]) + on () rate(b[5m])";
    let source = store(&["a 0+1x20", "b 0+1x20"]);
    let output = all().query(query, &source, range(10, 12), &QueryContext::default()).unwrap();
    let infos = output.annotations.render(Level::Info, query, 10);
    assert_eq!(infos.len(), 2, "{infos:?}");
    assert!(infos[0].contains("metric might not be a counter") && infos[0].contains("(1:6)"), "{infos:?}");
    assert!(infos[1].contains("(1:26)"), "{infos:?}");
    let few = output.annotations.render(Level::Info, query, 1);
    assert_eq!(few.len(), 2);
    assert!(few[1].contains("1 more"), "{few:?}");
    assert!(output.annotations.render(Level::Warning, query, 10).is_empty());
}

fn explain(query: &str) -> String {
    all().explain(query, range(5, 15), &QueryContext::default()).unwrap()
}

#[test]
fn plans_can_be_read() {
    let parts = ["map / (vector, number)", "aggregate sum by (job)", "range rate over", "5m", "number 2"];
    in_order(&explain("sum by (job) (rate(requests_total[5m] offset 1m)) / 2"), &parts);
    // Constants are worked out beforehand; what is the same at all steps is evaluated once.
    assert!(explain("requests_total * (2 + 3 * 4)").contains("number 14"));
    assert!(explain("sum(requests_total @ 300)").contains("once for all steps"));
    // Each selector stands in the tree and in the list of selections. A set operator hands the matchers of its right side over, as they can only leave less.
    let joined = explain(r#"requests_total{job="a"} and on (job) errors_total"#);
    assert_eq!(joined.matches(r#"job="a""#).count(), 4, "{joined}");
    // Not so where that could hide an error of the join.
    let joined = explain(r#"requests_total{job="a"} * on (job) errors_total"#);
    assert_eq!(joined.matches(r#"job="a""#).count(), 2, "{joined}");
}

/// The text has these parts in this order.
fn in_order(text: &str, parts: &[&str]) {
    let mut from = 0;
    for part in parts {
        let at = text[from..].find(part);
        assert!(at.is_some(), "{part:?} is missing or out of place in\n{text}");
        from += at.unwrap_or(0);
    }
}

#[test]
fn analysis_tells_what_operators_did() {
    let clock = Ticks::default();
    let context = QueryContext { clock: Some(&clock), ..QueryContext::default() };
    let source = requests();
    let analysis = all().explain_analyze("sum by (job) (rate(requests_total[5m]))", &source, range(5, 15), &context);
    let analysis = analysis.unwrap();
    assert_eq!(render(&analysis.output.value).len(), 2);
    assert!(analysis.text.contains("2 series, 22 points"), "{}", analysis.text);
    assert!(analysis.text.contains("samples read"), "{}", analysis.text);
}

/// A store that counts how often series are read and selected, and has numbers for its label values.
struct Counting {
    inner: MemorySource,
    selects: AtomicUsize,
    reads: AtomicUsize,
    labels: AtomicUsize,
}

struct CountingSelection<'a>(Box<dyn Selection + 'a>, &'a Counting);

impl SeriesSource for Counting {
    fn select<'a>(&'a self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn Selection + 'a>, SourceError> {
        self.selects.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(CountingSelection(self.inner.select(matchers, hints)?, self)))
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        self.inner.label_names(query)
    }

    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        self.inner.label_values(name, query)
    }
}

impl Selection for CountingSelection<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.1.labels.fetch_add(1, Ordering::Relaxed);
        self.0.labels(index)
    }

    fn value_ids(&self, index: usize, names: &[String], out: &mut Vec<u32>) -> bool {
        // Values have one byte here that tells them apart.
        let labels = self.0.labels(index);
        out.extend(names.iter().map(|n| labels.get(n).map_or(0, |v| u32::from(v.as_bytes()[0]))));
        true
    }

    fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError> {
        self.1.reads.fetch_add(1, Ordering::Relaxed);
        self.0.read(index, out)
    }
}

#[test]
fn stores_are_asked_no_more_than_needed() {
    let counting = |inner| Counting {
        inner,
        selects: AtomicUsize::new(0),
        reads: AtomicUsize::new(0),
        labels: AtomicUsize::new(0),
    };
    let get = |n: &AtomicUsize| n.load(Ordering::Relaxed);

    let source = counting(requests());
    let plain = ask(&all(), &source.inner, "sum by (job) (rate(requests_total[5m]))", range(5, 15)).unwrap();
    let numbered = ask(&all(), &source, "sum by (job) (rate(requests_total[5m]))", range(5, 15)).unwrap();
    assert_eq!(plain, numbered);
    // Each series is read once for all steps, and labels are built for one series a group.
    assert_eq!((get(&source.selects), get(&source.reads), get(&source.labels)), (1, 3, 2));

    // The same selector twice is one selection.
    let source = counting(requests());
    ask(&all(), &source, "sum(requests_total) / count(requests_total)", range(5, 15)).unwrap();
    assert_eq!(get(&source.selects), 1);

    // What is the same at all steps is read once, whatever the number of steps.
    let source = counting(requests());
    ask(&all(), &source, "max_over_time(sum(requests_total @ 300)[5m:1s])", range(5, 15)).unwrap();
    assert_eq!(get(&source.reads), 3);
}

#[test]
fn threads_change_nothing() {
    let lines: Vec<String> = (0..900).map(|i| format!("m{{i=\"{i}\",g=\"{}\"}} {}+0.1x30", i % 7, i)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let source = store(&lines);
    for query in
        ["sum by (g) (rate(m[5m]))", "avg(m)", "topk(3, m)", "m / on (i) m", "stddev by (g) (m)", "limitk(5, m)"]
    {
        let answer = |threads| {
            let context = QueryContext { threads, ..QueryContext::default() };
            render(&all().query(query, &source, range(5, 20), &context).unwrap().value)
        };
        let one = answer(1);
        assert!((2..9).all(|threads| answer(threads) == one), "{query}");
    }
}

#[test]
fn the_deepest_queries_fit_a_small_stack() {
    let source = requests();
    let run = std::thread::Builder::new().stack_size(2 << 20);
    let chain = vec!["sum(requests_total)"; 900].join(" + ");
    let nested = format!("{}requests_total{}", "abs(".repeat(240), ")".repeat(240));
    let signs = format!("{}1", "-(".repeat(120)) + &")".repeat(120);
    let done = run.spawn(move || {
        for query in [chain, nested, signs] {
            let expr = parse(&query, &ParserOptions::all()).unwrap();
            assert!(!expr.to_string().is_empty());
            for times in [range(5, 15), TimeParams::Instant(10 * MINUTE)] {
                all().query_expr(&expr, &source, times, &QueryContext::default()).unwrap();
                all().explain(&query, times, &QueryContext::default()).unwrap();
            }
        }
    });
    done.unwrap().join().unwrap();
}
