//! Queries of numbers that look at some fields of JSON or logfmt get shortened lines from the store: the answers, errors
//! included, are those of whole lines, however odd the lines are.

use std::sync::Arc;

use disk::{Files, MemFiles};
use foursight_logstore::{Db, Limits, Options, PushEntry, PushStream, StreamKey};
use logql::{Engine, ParseOptions, QueryContext, Request, parse};
use model::{LabelQuery, Labels, LogSelect, LogSelection, LogSource, SourceError};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

/// A store that gives whole lines.
struct Whole<'a>(&'a Db);

impl LogSource for Whole<'_> {
    fn select<'a>(&'a self, request: &LogSelect) -> Result<Box<dyn LogSelection + 'a>, SourceError> {
        self.0.select(&LogSelect { shorten: None, ..request.clone() })
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        self.0.label_names(query)
    }

    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        self.0.label_values(name, query)
    }

    fn series(&self, query: &LabelQuery) -> Result<Vec<Labels>, SourceError> {
        self.0.series(query)
    }
}

fn store(lines: &[String]) -> Db {
    let files: Arc<dyn Files> = Arc::new(MemFiles::new());
    let options = Options { limits: Limits::unlimited(), ..Options::default() };
    let db = Db::open_with(files, "data", options).unwrap();
    for (number, labels) in
        [("1", Labels::from_pairs([("app", "a"), ("level", "stream")])), ("0", Labels::from_pairs([("app", "b")]))]
    {
        let own = lines.iter().enumerate().filter(|(at, _)| (at % 2).to_string() == number);
        let entries: Vec<PushEntry<'_>> =
            own.map(|(at, line)| PushEntry { timestamp_ns: at as i64 * SECOND / 4, line, metadata: &[] }).collect();
        db.push(&[PushStream { key: StreamKey::Labels(&labels), entries: &entries }], 0).unwrap();
    }
    db.flush().unwrap();
    db
}

const JSON_QUERIES: [&str; 16] = [
    r#"sum(count_over_time({app=~".+"} | json | status >= 500 [20s]))"#,
    r#"sum by (status) (count_over_time({app=~".+"} | json [20s]))"#,
    r#"sum by (level) (count_over_time({app=~".+"} | json | level="error" [20s]))"#,
    r#"sum by (level_extracted) (count_over_time({app=~".+"} | json | level_extracted!="info" [20s]))"#,
    r#"sum(count_over_time({app=~".+"} | json status="status" | status >= 500 [20s]))"#,
    r#"count_over_time({app=~".+"} | json s="status", l="level", n="n.status" | s != "" [20s])"#,
    r#"sum by (app) (sum_over_time({app=~".+"} | json | __error__="" | unwrap dur [20s]))"#,
    r#"sum by (app) (sum_over_time({app=~".+"} | json | unwrap dur [20s]))"#,
    r#"quantile_over_time(0.9, {app=~".+"} | json dur="dur" | unwrap duration(dur) | __error__="" [20s]) by (app)"#,
    r#"sum by (__error__) (count_over_time({app=~".+"} | json | msg=~".*o.*" [20s]))"#,
    r#"sum by (st_atus, msg) (count_over_time({app=~".+"} | json | drop __error__ [20s]))"#,
    r#"sum by (a_b) (rate({app=~".+"} | json | keep a_b, msg [20s]))"#,
    r#"sum by (tags_1_1_status, n_status) (count_over_time({app=~".+"} | json --arrays [20s]))"#,
    r#"sum(count_over_time({app=~".+"} | json | status >= 500 | __error__="" [20s]))"#,
    r#"sum by (msg) (count_over_time({app=~".+"} | json s="status", msg | s >= 500 | __error__="" [20s]))"#,
    r#"sum by (t) (count_over_time({app=~".+"} | json t="tags[1][1].status", b="a.b" [20s]))"#,
];

const LOGFMT_QUERIES: [&str; 11] = [
    r#"sum(count_over_time({app=~".+"} | logfmt | status >= 500 [20s]))"#,
    r#"sum by (status) (count_over_time({app=~".+"} | logfmt [20s]))"#,
    r#"sum by (level) (count_over_time({app=~".+"} | logfmt --keep-empty | level="error" [20s]))"#,
    r#"sum by (level_extracted) (count_over_time({app=~".+"} | logfmt | level_extracted!="info" [20s]))"#,
    r#"sum by (status) (count_over_time({app=~".+"} | logfmt --strict | __error__="" [20s]))"#,
    r#"sum(count_over_time({app=~".+"} | logfmt s="status", l="level" | s >= 500 [20s]))"#,
    r#"sum(count_over_time({app=~".+"} | logfmt s="status", level | s >= 500 [20s]))"#,
    r#"sum by (msg) (count_over_time({app=~".+"} | logfmt | status >= 500 | __error__="" [20s]))"#,
    r#"sum by (app) (sum_over_time({app=~".+"} | logfmt | __error__="" | unwrap dur [20s]))"#,
    r#"max_over_time({app=~".+"} | logfmt | unwrap duration(dur) | __error__="" [20s]) by (msg)"#,
    r#"sum by (a_b, msg) (count_over_time({app=~".+"} | logfmt [20s]))"#,
];

fn answer(source: &dyn LogSource, query: &str) -> (String, u64) {
    let options = ParseOptions { extensions: true, any_selector: false };
    let expr = parse(query, options).unwrap();
    let request = Request::range(0, 200 * SECOND, 20 * SECOND);
    match Engine::default().query(source, &expr, &request, &QueryContext::at(0)) {
        Ok(output) => (format!("{:?} {:?}", output.value, output.warnings), output.stats.line_bytes),
        Err(error) => (error.to_string(), 0),
    }
}

/// Values that make columns of every form, and break what they can.
fn value() -> impl Strategy<Value = Vec<String>> {
    let of = |texts: &'static [&'static str]| {
        prop::collection::vec(prop::sample::select(texts), 1..12)
            .prop_map(|v| v.into_iter().map(str::to_owned).collect())
    };
    prop_oneof![
        4 => of(&["200", "500", "503", "404"]),
        2 => of(&["info", "error", "warn"]),
        2 => of(&["1.5", "12.25", "0.5", "17"]),
        2 => of(&["12ms", "1.5s", "3m", "x"]),
        2 => of(&["a b", "all is well", "oops: it broke", "GET /item/17 took 3"]),
        1 => of(&["true", "false", "null", "tru", "nul"]),
        1 => of(&["-1", "007", "1e9", "1x", "-", "1[2", "1:2"]),
        1 => of(&["say \\\"no\\\"", "tab\\there", "\\u00e9", "\\q", "back\\\\slash", "plain"]),
        1 => of(&["a\"b", "cut\\", "x=y", "a=b=c", "\"", "\u{fffd}", "é", "a,b", "}", "]", "{\"status\":500}", "[1,2]"]),
        1 => of(&["2026-01-05T10:00:02.123Z", "2026-01-05T10:00:03Z", "4bf92f3577b34da6", "00f067aa0ba902b7"]),
        1 => of(&["line\nfeed", "", " ", "500"]),
    ]
}

const KEYS: [&str; 12] =
    ["status", "level", "dur", "msg", "st.atus", "st-atus", "a.b", "a_b", "ts", "path", "__error__", "level_extracted"];

/// Key, values, whether in quotes.
type Field = (&'static str, Vec<String>, bool);

fn fields() -> impl Strategy<Value = Vec<Field>> {
    prop::collection::vec((prop::sample::select(&KEYS[..]), value(), any::<bool>()), 1..7)
}

fn json(fields: &[Field], style: u8, row: usize) -> String {
    let (colon, comma) = [(":", ","), (": ", ", "), (":", " ,")][usize::from(style % 3)];
    let member = |(at, (key, values, quoted)): (usize, &Field)| {
        let value = &values[(row * 7 + at * 3) % values.len()];
        let quote = if *quoted { "\"" } else { "" };
        format!("\"{key}\"{colon}{quote}{value}{quote}")
    };
    let members: Vec<String> = fields.iter().enumerate().map(member).collect();
    let end = ["}", "}", "}", "} ", "", "},", "} trailing \"status\":501"][usize::from(style % 7)];
    let nested = match style {
        9 => "\"tags\":[\"a\",[1,{\"status\":502}],{}],",
        10 => "\"a\":{\"b\":[true],\"c\":\"}\"}, \" \":{\"status\":503},",
        11 => "\"n\":{\"status\":502},",
        _ => "",
    };
    let begin = if style == 8 { " " } else { "" };
    format!("{begin}{{{nested}{}{end}", members.join(comma))
}

fn logfmt(fields: &[Field], style: u8, row: usize) -> String {
    let pair = |(at, (key, values, quoted)): (usize, &Field)| {
        let value = &values[(row * 7 + at * 3) % values.len()];
        let quote = if *quoted { "\"" } else { "" };
        format!("{key}={quote}{value}{quote}")
    };
    let pairs: Vec<String> = fields.iter().enumerate().map(pair).collect();
    let begin = ["", "", "", "word ", " \t", "=x ", "level= "][usize::from(style % 7)];
    format!("{begin}{}", pairs.join(["  ", " ", " "][usize::from(style % 3)]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn answers_are_those_of_whole_lines(
        shapes in prop::collection::vec((fields(), 0u8..12), 1..4),
        rows in 1usize..120,
        is_json in any::<bool>(),
    ) {
        let line = |row: usize| {
            let (fields, style) = &shapes[row % shapes.len()];
            if is_json { json(fields, *style, row / shapes.len()) } else { logfmt(fields, *style, row / shapes.len()) }
        };
        let lines: Vec<String> = (0..rows).map(line).collect();
        let db = store(&lines);
        let queries = if is_json { &JSON_QUERIES[..] } else { &LOGFMT_QUERIES[..] };
        for query in queries {
            let ((got, short), (want, whole)) = (answer(&db, query), answer(&Whole(&db), query));
            prop_assert_eq!(got, want, "{} over {:#?}", query, &lines[..lines.len().min(8)]);
            prop_assert!(short <= whole);
        }
    }
}

#[test]
fn well_formed_lines_are_shortened() {
    let json = |i: usize| {
        format!(
            r#"{{"ts":"2026-01-05T10:00:{:02}Z","level":"info","msg":"it is \"{i}\"","status":{},"dur":{i}.5}}"#,
            i % 60,
            200 + i % 4 * 100
        )
    };
    let logfmt = |i: usize| {
        format!(
            "ts=2026-01-05T10:00:{:02}Z level=info msg=\"it is {i}\" path=/a?b={i} status={} dur={i}ms",
            i % 60,
            200 + i % 4 * 100
        )
    };
    for (lines, query) in [
        ((0..200).map(json).collect::<Vec<_>>(), JSON_QUERIES[0]),
        ((0..200).map(json).collect(), JSON_QUERIES[4]),
        ((0..200).map(logfmt).collect(), LOGFMT_QUERIES[0]),
        ((0..200).map(logfmt).collect(), LOGFMT_QUERIES[5]),
    ] {
        let db = store(&lines);
        let ((got, short), (want, whole)) = (answer(&db, query), answer(&Whole(&db), query));
        assert_eq!(got, want);
        assert!(short > 0 && short * 3 < whole, "{query}: {short} of {whole} bytes");
    }
}
