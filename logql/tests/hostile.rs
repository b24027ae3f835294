//! Queries and lines that are made to hurt: each gets an answer or an error, in bounded time, memory and stack.

use foursight_logql::testing::MemoryLogs;
use foursight_logql::{
    Engine, Limits, ParseOptions, QueryContext, QueryError, QueryOutput, Request, Stop, Value, Watch, parse,
};
use model::Labels;

const EXTENSIONS: ParseOptions = ParseOptions { extensions: true, any_selector: false };

fn logs(lines: &[&str]) -> MemoryLogs {
    let mut logs = MemoryLogs::new(100);
    for (at, line) in lines.iter().enumerate() {
        logs.push(&Labels::from_pairs([("app", "a")]), at as i64 + 1, line, []);
    }
    logs
}

fn query(logs: &MemoryLogs, text: &str) -> Result<QueryOutput, QueryError> {
    let expr = parse(text, EXTENSIONS)?;
    let request = if text.starts_with('{') { Request::range(0, 1_000, 1) } else { Request::instant(1_000) };
    Engine::default().query(logs, &expr, &request, &QueryContext::at(0))
}

/// The labels of the only entry that a query finds.
fn only(logs: &MemoryLogs, text: &str) -> (String, Vec<(String, String)>) {
    let output = query(logs, text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let Value::Streams(found) = output.value else { panic!("entries") };
    assert_eq!(found.streams.len(), 1, "{text}");
    let entry = &found.streams[0].entries[0];
    let labels = entry.labels.all.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    (entry.line.to_string(), labels)
}

#[test]
fn long_and_deep_queries_are_refused() {
    let brackets = |n: usize| format!("{}vector(1){}", "(".repeat(n), ")".repeat(n));
    let chains = |n: usize| vec!["vector(1)"; n].join(" + ");
    let powers = |n: usize| vec!["vector(1)"; n].join(" ^ ");
    let sums = |n: usize| format!("{}vector(1){}", "sum(".repeat(n), ")".repeat(n));
    let filters = |n: usize| format!("{{a=\"b\"}} | {}c=1{}", "(".repeat(n), ")".repeat(n));
    let ors = |n: usize| format!("{{a=\"b\"}} |= \"x\"{}", " or \"x\"".repeat(n));
    let subqueries = |n: usize| format!("{}vector(1){}", "sum_over_time(".repeat(n), "[5m:1m])".repeat(n));
    for make in [&brackets as &dyn Fn(usize) -> String, &chains, &powers, &sums, &filters, &ors, &subqueries] {
        for n in [10, 1_000, 10_000, 100_000] {
            // Whatever becomes of it, it does not end the process; printing walks the whole tree.
            if let Ok(expr) = parse(&make(n), EXTENSIONS) {
                let _ = expr.to_string();
            }
        }
        assert!(parse(&make(100_000), EXTENSIONS).is_err());
    }
    let error = parse(&"x".repeat(1 << 20), EXTENSIONS).unwrap_err();
    assert!(error.to_string().contains("input size too long"), "{error}");
}

#[test]
fn templates_that_do_not_end_are_stopped() {
    let logs = logs(&["one line"]);
    for template in [
        r#"{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}"#,
        r#"{{ repeat 2000000000 "abcdefgh" }}"#,
        r#"{{ printf "%999999999d" 1 }}"#,
        r#"{{ range $a := until 1000000 }}x{{ end }}"#,
        r#"{{ nindent 1000000000 "a" }}"#,
        r#"{{ alignLeft 2000000000 "a" }}"#,
        r#"{{ define "a" }}{{ range $i, $x := fromJson "[1,1,1,1,1,1,1,1]" }}{{ template "b" }}{{ end }}{{ end }}{{ define "b" }}{{ range $i, $x := fromJson "[1,1,1,1,1,1,1,1]" }}{{ template "a" }}{{ end }}{{ end }}{{ template "a" }}"#,
    ] {
        let text = format!("{{app=\"a\"}} | line_format `{template}`");
        match query(&logs, &text) {
            Err(QueryError::Parse(_)) => {}
            Err(other) => panic!("{template}: {other}"),
            Ok(_) => {
                let (line, labels) = only(&logs, &text);
                if line.len() < 100 && labels.len() == 1 {
                    // Too wide a field is left out.
                    continue;
                }
                let failed = labels.iter().any(|(name, value)| name == "__error__" && value == "TemplateFormatErr");
                assert!(failed && line == "one line", "{template}: {} bytes, {labels:?}", line.len());
            }
        }
    }
}

#[test]
fn regular_expressions_take_linear_time_or_are_refused() {
    let line = "a".repeat(100_000);
    let logs = logs(&[&line]);
    for regex in ["(a*)*b", "(a+)+$x", "(a|a)*b", "(a|aa)+$b", "(.*)(.*)(.*)(.*)(.*)x", "(x+x+)+y"] {
        let output = query(&logs, &format!("{{app=\"a\"}} |~ \"{regex}\"")).unwrap();
        assert!(matches!(output.value, Value::Streams(found) if found.streams.is_empty()), "{regex}");
        let text = format!("sum(count_over_time({{app=\"a\"}} | regexp \"(?P<x>{regex})\"[1m]))");
        query(&logs, &text).unwrap();
    }
    for regex in
        ["((a{1000}){1000}){1000}", "(((((a{100}){100}){100}){100}){100})", &"(a".repeat(50_000), &"a?".repeat(60_000)]
    {
        let refused = query(&logs, &format!("{{app=\"a\"}} |~ \"{regex}\""));
        if let Err(error) = refused {
            assert!(matches!(error, QueryError::Parse(_)), "{error}");
        }
    }
}

#[test]
fn parsers_bear_any_line() {
    let many_keys: String = (0..50_000).map(|i| format!("\"k{i}\":{i},")).collect();
    let lines = [
        "{\"a\":".repeat(200_000),
        "[".repeat(1_000_000),
        format!("{{\"a\":{}", "[".repeat(1_000_000)),
        format!("{{{many_keys}\"z\":1}}"),
        format!("{{\"{}\":\"{}\"}}", "k".repeat(2_000_000), "\\u0041".repeat(300_000)),
        format!("a=\"{}", "\\\"".repeat(1_000_000)),
        "=".repeat(1_000_000),
        "a=b ".repeat(250_000),
        "\u{1b}[".repeat(500_000),
        "<".repeat(1_000_000),
        "1.".repeat(500_000),
        ":".repeat(1_000_000),
        "\\u".repeat(500_000),
    ];
    for line in &lines {
        let logs = logs(&[line]);
        for stages in [
            "| json",
            "| json --arrays",
            "| json x=\"a.a.a[0].b\"",
            "| logfmt",
            "| logfmt --strict --keep-empty",
            "| logfmt x=\"a\"",
            "| unpack",
            "| pattern \"<_>=<a> <_>\"",
            "| regexp \"(?P<x>a+)=(?P<y>.*)$\"",
            "| decolorize",
            "|> \"<_>=<_>=<_>\"",
            "!= ip(\"10.0.0.0/8\")",
            "|= ip(\"::1\")",
            "| json | logfmt | line_format \"{{ .x | len }}\"",
        ] {
            let output = query(&logs, &format!("{{app=\"a\"}} {stages} | keep x")).unwrap();
            assert!(matches!(output.value, Value::Streams(_)));
            let sum = query(&logs, &format!("sum by (x) (count_over_time({{app=\"a\"}} {stages} [1m]))"));
            assert!(matches!(sum, Ok(_) | Err(QueryError::Pipeline { .. })));
        }
    }
}

/// Stops a query after some looks.
struct After(std::sync::atomic::AtomicU64);

impl Watch for After {
    fn stop(&self) -> Option<Stop> {
        let left = self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        (left <= 1).then_some(Stop::Cancelled)
    }
}

#[test]
fn queries_stop_when_told() {
    let lines: Vec<String> = (0..2_000).map(|i| format!("n={i}")).collect();
    let logs = logs(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    for text in ["{app=\"a\"} | logfmt", "sum by (n) (count_over_time({app=\"a\"} | logfmt [1m]))"] {
        let expr = parse(text, EXTENSIONS).unwrap();
        let watch = After(3.into());
        let context = QueryContext { watch: &watch, ..QueryContext::at(0) };
        let mut request = Request::range(0, 10_000, 1_000);
        request.limit = 1_000_000;
        let error = Engine::default().query(&logs, &expr, &request, &context).unwrap_err();
        assert!(matches!(error, QueryError::Cancelled), "{text}: {error}");
    }
}

#[test]
fn memory_is_bounded() {
    let lines: Vec<String> = (0..5_000).map(|i| format!("n={i} {}", "x".repeat(200))).collect();
    let logs = logs(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    for text in [
        "{app=\"a\"} | logfmt",
        "{app=\"a\"} | logfmt | distinct n",
        "count_over_time({app=\"a\"} | logfmt [1m])",
        "quantile_over_time(0.5, {app=\"a\"} | logfmt | unwrap n [1m])",
        "count_distinct(n, {app=\"a\"} | logfmt [1m])",
    ] {
        let expr = parse(text, EXTENSIONS).unwrap();
        let limits = Limits { max_memory_bytes: 100_000, ..Limits::default() };
        let context = QueryContext { limits, ..QueryContext::at(0) };
        let mut request = Request::range(0, 10_000, 1_000);
        request.limit = 1_000_000;
        let error = Engine::default().query(&logs, &expr, &request, &context).unwrap_err();
        assert!(matches!(error, QueryError::TooMuchMemory { .. }), "{text}: {error}");
    }
}
