//! How fast queries go over lines that lie in memory, by stage.
//!
//! `cargo run --release -p foursight-logql --example speed [LINES [THREADS [WORD]]]`: lines of each kind, threads, and a
//! word that the names of the cases to run contain.

#![allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]

mod generate;

use std::time::Instant;

use foursight_logql::{Engine, ParseOptions, QueryContext, Request, Value, parse};
use generate::Random;
use model::{LabelQuery, Labels, LogColumns, LogSelect, LogSelection, LogSource, LogUnit, SourceError};

const UNIT_BYTES: usize = 1 << 20;
const STREAMS: usize = 8;
const SPAN_NS: i64 = 3_600_000_000_000;

/// Units as a store would have them after decompression.
#[derive(Default)]
struct Units {
    streams: Vec<Labels>,
    units: Vec<(LogUnit, LogColumns)>,
}

impl Units {
    fn add(&mut self, kind: &str, lines: usize, write: impl Fn(&mut String, &mut Random)) {
        let mut random = Random::new(7);
        let mut line = String::new();
        for stream in 0..STREAMS {
            let index = self.streams.len() as u32;
            let host = format!("host-{stream}");
            self.streams.push(Labels::from_pairs([("kind", kind), ("host", &host), ("job", "demo")]));
            let mut columns = LogColumns::new();
            let count = lines / STREAMS;
            for i in 0..count {
                line.clear();
                write(&mut line, &mut random);
                let time = SPAN_NS / count as i64 * i as i64 + (random.next() & 1023) as i64;
                columns.push(time, &line, []);
                if columns.text.len() >= UNIT_BYTES || i + 1 == count {
                    let columns = std::mem::take(&mut columns);
                    let unit = LogUnit {
                        stream: index,
                        min_ns: columns.timestamps[0],
                        max_ns: columns.timestamps[columns.len() - 1],
                        entries: columns.len() as u64,
                        bytes: columns.text.len() as u64,
                    };
                    self.units.push((unit, columns));
                }
            }
        }
    }
}

struct Found<'a> {
    source: &'a Units,
    request: LogSelect,
    chosen: Vec<usize>,
    units: Vec<LogUnit>,
}

impl LogSource for Units {
    fn select<'a>(&'a self, request: &LogSelect) -> Result<Box<dyn LogSelection + 'a>, SourceError> {
        let wanted = |unit: &LogUnit| {
            let labels = &self.streams[unit.stream as usize];
            request.matchers.iter().all(|matcher| matcher.matches_labels(labels))
                && unit.min_ns < request.end_ns
                && unit.max_ns >= request.start_ns
        };
        let mut chosen: Vec<usize> = (0..self.units.len()).filter(|i| wanted(&self.units[*i].0)).collect();
        match request.direction {
            model::Direction::Forward => chosen.sort_by_key(|i| self.units[*i].0.min_ns),
            model::Direction::Backward => chosen.sort_by_key(|i| -self.units[*i].0.max_ns),
        }
        let units = chosen.iter().map(|i| self.units[*i].0).collect();
        Ok(Box::new(Found { source: self, request: request.clone(), chosen, units }))
    }

    fn label_names(&self, _: &LabelQuery) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &LabelQuery) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn series(&self, _: &LabelQuery) -> Result<Vec<Labels>, SourceError> {
        Ok(self.streams.clone())
    }
}

impl LogSelection for Found<'_> {
    fn streams(&self) -> &[Labels] {
        &self.source.streams
    }

    fn units(&self) -> &[LogUnit] {
        &self.units
    }

    fn read(&self, index: usize, out: &mut LogColumns) -> Result<(), SourceError> {
        let columns = &self.source.units[self.chosen[index]].1;
        let inside = |time: i64| self.request.start_ns <= time && time < self.request.end_ns;
        let from = columns.timestamps.partition_point(|time| *time < self.request.start_ns);
        let to = from + columns.timestamps[from..].partition_point(|time| inside(*time));
        out.clear();
        out.timestamps.extend_from_slice(&columns.timestamps[from..to]);
        out.lines.extend_from_slice(&columns.lines[from..to]);
        if !self.request.skip_lines {
            out.text.push_str(&columns.text);
        }
        Ok(())
    }

    fn counts(&self, index: usize, edges_ns: &[i64], out: &mut Vec<u64>) -> bool {
        let times = &self.source.units[self.chosen[index]].1.timestamps;
        let before = |limit: i64| times.partition_point(|time| *time < limit) as u64;
        out.clear();
        out.extend(edges_ns.windows(2).map(|edges| before(edges[1]) - before(edges[0])));
        true
    }

    fn has_metadata(&self, _: usize) -> bool {
        false
    }
}

/// Name, kind of lines, query.
const CASES: &[(&str, &str, &str)] = &[
    ("count, headers", "all", r#"sum by (kind)(count_over_time({job="demo"}[1m]))"#),
    ("count by host", "all", r#"sum by (host)(count_over_time({job="demo"}[1m]))"#),
    ("newest 100", "all", r#"{job="demo"}"#),
    ("newest 100 of a word", "all", r#"{job="demo"} |= "error""#),
    ("filter, absent word", "all", r#"sum(count_over_time({job="demo"} |= "xylophone"[1m]))"#),
    ("filter, common word", "all", r#"sum(count_over_time({job="demo"} |= "error"[1m]))"#),
    ("filter, not", "all", r#"sum(count_over_time({job="demo"} != "error"[1m]))"#),
    ("filter, or", "all", r#"sum(count_over_time({job="demo"} |= "timed out" or "retrying" or "refunds"[1m]))"#),
    ("filter, any case", "all", r#"sum(count_over_time({job="demo"} |~ "(?i)ERROR"[1m]))"#),
    ("filter, regex", "web", r#"sum(count_over_time({kind="web"} |~ "users\\?id=\\d+5 "[1m]))"#),
    ("filter, regex without literal", "web", r#"sum(count_over_time({kind="web"} |~ "\\d{2}:\\d{2}:3\\d"[1m]))"#),
    ("filter, three", "all", r#"sum(count_over_time({job="demo"} |= "GET" != "200" |~ "users|orders"[1m]))"#),
    ("filter, pattern", "web", r#"sum(count_over_time({kind="web"} |> "<_> - - [<_>] \"GET <_>\" 500 <_>"[1m]))"#),
    ("filter, ip", "web", r#"sum(count_over_time({kind="web"} |= ip("10.1.0.0/16")[1m]))"#),
    ("json, whole line", "json", r#"sum(count_over_time({kind="json"} | json | __error__=""[1m]))"#),
    ("json, one field", "json", r#"sum by (level)(count_over_time({kind="json"} | json[1m]))"#),
    ("json, status 5xx", "json", r#"sum(count_over_time({kind="json"} | json | status >= 500[1m]))"#),
    ("json, nested by path", "json", r#"sum by (request_path)(rate({kind="json"} | json | level="error"[1m]))"#),
    ("json, expression", "json", r#"sum by (p)(rate({kind="json"} | json p="request.path"[1m]))"#),
    (
        "json, unwrap",
        "json",
        r#"sum by (level)(avg_over_time({kind="json"} | json | unwrap duration_ms [1m]) by (level))"#,
    ),
    ("json, lines of a page", "json", r#"{kind="json"} | json | user="u77""#),
    ("logfmt, whole line", "logfmt", r#"sum(count_over_time({kind="logfmt"} | logfmt | __error__=""[1m]))"#),
    ("logfmt, one field", "logfmt", r#"sum by (level)(count_over_time({kind="logfmt"} | logfmt[1m]))"#),
    (
        "logfmt, p99",
        "logfmt",
        r#"quantile_over_time(0.99, {kind="logfmt"} | logfmt | unwrap duration(duration) [1m]) by (method)"#,
    ),
    ("logfmt, expression", "logfmt", r#"sum by (s)(rate({kind="logfmt"} | logfmt s="status"[1m]))"#),
    (
        "pattern, top paths",
        "web",
        r#"topk(5, sum by (path)(count_over_time({kind="web"} | pattern "<_> \"<method> <path>?<_>\" <status> <_>"[1m])))"#,
    ),
    (
        "regexp",
        "web",
        r#"sum by (status)(count_over_time({kind="web"} | regexp "\" (?P<status>\\d{3}) (?P<size>\\d+)"[1m]))"#,
    ),
    (
        "regexp, filtered",
        "web",
        r#"sum by (status)(count_over_time({kind="web"} |= "\" 500 " | regexp "\" (?P<status>\\d{3}) (?P<size>\\d+)"[1m]))"#,
    ),
    (
        "line_format",
        "logfmt",
        r#"sum(bytes_over_time({kind="logfmt"} | logfmt | line_format "{{.level | ToUpper}} {{.msg}}"[1m]))"#,
    ),
    (
        "label_format",
        "logfmt",
        r#"sum by (x)(count_over_time({kind="logfmt"} | logfmt | label_format x="{{.method}} {{.status}}"[1m]))"#,
    ),
    ("decolorize", "web", r#"sum(bytes_over_time({kind="web"} | decolorize[1m]))"#),
    ("bytes", "all", r#"sum by (kind)(bytes_over_time({job="demo"}[1m]))"#),
    ("drop", "logfmt", r#"sum by (level)(count_over_time({kind="logfmt"} | logfmt | drop ts, trace_id[1m]))"#),
];

/// Measures time on the wall, and where the system tells it, time of this thread on a core.
struct Stopwatch(Instant, Option<u64>);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now(), Self::cpu_ns())
    }

    fn cpu_ns() -> Option<u64> {
        std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
    }

    fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    fn cpu_seconds(&self) -> f64 {
        match (self.1, Self::cpu_ns()) {
            (Some(before), Some(now)) => (now - before) as f64 / 1e9,
            _ => self.seconds(),
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| arguments.get(at).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (lines, threads) = (number(0, 400_000), number(1, 1));
    let word = arguments.get(2).map_or("", String::as_str);
    let mut source = Units::default();
    source.add("web", lines, generate::web);
    source.add("json", lines, generate::json);
    source.add("logfmt", lines, generate::logfmt);
    source.add("syslog", lines, generate::syslog);
    println!("{:32}{:>10}{:>14}{:>10}{:>12}", "", "ms", "lines/s", "MB/s", "result");
    for (name, kind, query) in CASES.iter().filter(|(name, ..)| name.contains(word)) {
        let units = source.units.iter().map(|(unit, _)| unit);
        let of_kind =
            |unit: &&LogUnit| *kind == "all" || source.streams[unit.stream as usize].get("kind") == Some(kind);
        let (entries, bytes) =
            units.filter(of_kind).fold((0, 0), |(entries, bytes), unit| (entries + unit.entries, bytes + unit.bytes));
        let expr = parse(query, ParseOptions::default()).unwrap_or_else(|e| panic!("{query}: {e}"));
        let request = Request::range(0, SPAN_NS, 60_000_000_000);
        let context = QueryContext { threads, ..QueryContext::at(0) };
        let mut best = f64::INFINITY;
        let mut result = 0;
        for _ in 0..5 {
            let start = Stopwatch::start();
            let output = Engine::default().query(&source, &expr, &request, &context);
            best = best.min(if threads == 1 { start.cpu_seconds() } else { start.seconds() });
            let output = output.unwrap_or_else(|e| panic!("{query}: {e}"));
            result = match output.value {
                Value::Streams(found) => found.streams.iter().map(|one| one.entries.len()).sum(),
                Value::Matrix(series) => series.iter().map(|one| one.points.len()).sum(),
                _ => 0,
            };
        }
        let (lines_s, mb_s) = (entries as f64 / best, bytes as f64 / best / 1e6);
        println!("{name:32}{:10.2}{lines_s:14.0}{mb_s:10.0}{result:12}", best * 1e3);
    }
}
