use model::Labels;

use super::*;
use crate::agent::syntax::{Scope, Value, parse};

struct NoScope;

impl Scope for NoScope {
    fn lookup(&self, _: &[&str]) -> Option<(Value, usize)> {
        None
    }
}

fn build(stages: &str) -> Result<(Pipeline, Registry)> {
    let body = parse("t.alloy", &format!("loki.process \"p\" {{\n{stages}\n}}\n"))?;
    let mut args = Args::evaluate(&body.blocks[0], &NoScope)?;
    let registry = Registry::new();
    let context = StageContext { id: "p".into(), metrics: AgentMetrics::new(&registry), registry: registry.clone() };
    let pipeline = Pipeline::build(&mut args, &context)?;
    args.finish()?;
    Ok((pipeline, registry))
}

fn entry(line: &str) -> Entry {
    let labels = Labels::from_pairs([("job", "titan"), ("level", "info")]);
    Entry { labels, timestamp_ns: 1, line: line.into(), ..Entry::default() }
}

/// What comes out: labels, time unless it is still 1, metadata, line.
fn run(stages: &str, lines: &[&str]) -> Vec<String> {
    let (mut pipeline, _) = build(stages).unwrap_or_else(|e| panic!("{e}"));
    let mut out = Vec::new();
    for line in lines {
        pipeline.process(Item::new(entry(line)), &mut out);
    }
    pipeline.flush(&mut out);
    out.iter()
        .map(|item| {
            let entry = &item.entry;
            let labels = entry.labels.without(|name| name == "job").to_string().replace("level=\"info\"", "i");
            let mut text = labels;
            if entry.timestamp_ns != 1 {
                text += &format!(" @{}", entry.timestamp_ns);
            }
            for (name, value) in &entry.metadata {
                text += &format!(" {name}={value}");
            }
            format!("{text} {}", entry.line)
        })
        .collect()
}

#[test]
fn stages() {
    let json = r#"{"level":"error","ts":"2026-11-23T00:38:27Z","user":{"name":"kim","tags":["a","b"]},"n":5,"f":0.5}"#;
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            r#"stage.json { expressions = { level = "", who = "user.name", tag = "user.tags[-1]", n = "", f = "f", gone = "x.y" } }
            stage.labels { values = { level = null, who = "who" } }
            stage.structured_metadata { values = { n = "", f = "", tag = "" } }
            stage.output { source = "who" }"#,
            &[json],
            &["{level=\"error\", who=\"kim\"} f=0.5 n=5 tag=b kim"],
        ),
        ("stage.json { expressions = {a = \"\"}\n drop_malformed = true }", &["no json", "{}"], &["{i} {}"]),
        (
            r#"stage.logfmt { mapping = { level = "lvl", msg = "" } }
            stage.labels { values = { level = "" } }
            stage.output { source = "msg" }"#,
            &[r#"ts=1 lvl=warn msg="a \"b\" c" flag"#],
            &["{level=\"warn\"} a \"b\" c"],
        ),
        (
            r#"stage.regex { expression = "^(?P<method>\\w+) (?P<path>\\S+)" }
            stage.labels { values = { method = "" } }"#,
            &["GET /x", "?"],
            &["{i, method=\"GET\"} GET /x", "{i} ?"],
        ),
        (
            r#"stage.pattern { pattern = "<ip> - <_> [<_>] \"<method> <path> HTTP"
              labels_from_groups = true }"#,
            &["1.2.3.4 - - [now] \"GET /x HTTP/1.1\" 200"],
            &["{ip=\"1.2.3.4\", i, method=\"GET\", path=\"/x\"} 1.2.3.4 - - [now] \"GET /x HTTP/1.1\" 200"],
        ),
        (
            r#"stage.static_labels { values = { env = "prod", none = null } }
            stage.label_drop { values = ["level"] }"#,
            &["x"],
            &["{env=\"prod\"} x"],
        ),
        ("stage.label_keep { values = [\"job\"] }", &["x"], &["{} x"]),
        (
            r#"stage.timestamp { source = "t"
              format = "RFC3339" }
            stage.json { expressions = { t = "ts" } }
            stage.timestamp { source = "t"
              format = "UnixMs"
              fallback_formats = ["RFC3339"] }"#,
            &[json],
            &[&format!("{{i}} @1795394307000000000 {json}")],
        ),
        (
            "stage.drop { expression = \"debug\" }\nstage.drop { longer_than = \"5B\" }",
            &["debug", "short", "much too long"],
            &["{i} short"],
        ),
        (
            "stage.json { expressions = {a = \"\", b = \"\"} }\nstage.drop { source = \"a,b\"\n value = \"1;2\" }",
            &[r#"{"a":1,"b":2}"#, r#"{"a":1,"b":3}"#],
            &[r#"{i} {"a":1,"b":3}"#],
        ),
        (
            r#"stage.match { selector = "{job=\"titan\", level=~\"inf.\"} |= \"pick\" !~ \"not\""
              stage.static_labels { values = { picked = "yes" } } }
            stage.match { selector = `{job="titan"} |= "gone"`
              action = "drop" }"#,
            &["pick", "pick not", "gone"],
            &["{i, picked=\"yes\"} pick", "{i} pick not"],
        ),
        (
            r#"stage.template { source = "new"
              template = "{{ .level | ToUpper }}: {{ .Entry }}" }
            stage.output { source = "new" }"#,
            &["text"],
            &["{i} INFO: text"],
        ),
        (
            r#"stage.replace { expression = "password=(\\S+)"
              replace = "***" }"#,
            &["a password=hunter2 b", "none"],
            &["{i} a password=*** b", "{i} none"],
        ),
        (
            r#"stage.replace { expression = "(\\d+)\\.(\\d+)"
              replace = "<{{ .Value }}>" }"#,
            &["1.22 x 3.4"],
            &["{i} <1>.<22> x <3>.<4>"],
        ),
        (
            "stage.multiline { firstline = \"^START\" }",
            &["START 1", " a", " b", "START 2", " c"],
            &["{i} START 1\n a\n b", "{i} START 2\n c"],
        ),
        (
            "stage.cri {}",
            &["1970-01-01T00:00:02Z stdout P first ", "1970-01-01T00:00:03Z stdout F second", "other"],
            &["{i, stream=\"stdout\"} @3000000000 first second", "{i} other"],
        ),
        (
            "stage.docker {}",
            &[r#"{"log":"line\n","stream":"stderr","time":"1970-01-01T00:00:01.5Z"}"#],
            &["{i, stream=\"stderr\"} @1500000000 line"],
        ),
        ("stage.split_json {}", &[r#"["a",{"b":1}]"#, "x"], &["{i} a", "{i} {\"b\":1}", "{i} x"]),
        ("stage.decolorize {}", &["\u{1b}[31mred\u{1b}[0m plain"], &["{i} red plain"]),
        (
            "stage.luhn { delimiters = \"- \" }",
            &["card 4539-1488-0343-6467 ok", "number 4539148803436468"],
            &["{i} card **REDACTED** ok", "{i} number 4539148803436468"],
        ),
        ("stage.truncate { rule { limit = \"5B\"\n suffix = \"…\" } }", &["abcdefgh", "abc"], &["{i} ab…", "{i} abc"]),
        (
            "stage.pack { labels = [\"level\"]\n ingest_timestamp = false }",
            &["x"],
            &[r#"{} {"_entry":"x","level":"info"}"#],
        ),
        ("stage.tenant { value = \"t1\" }", &["x"], &["{__tenant_id__=\"t1\", i} x"]),
        ("stage.limit { rate = 0.001\n burst = 2\n drop = true }", &["1", "2", "3"], &["{i} 1", "{i} 2"]),
        ("stage.sampling { rate = 1 }", &["x"], &["{i} x"]),
        ("stage.sampling { rate = 0 }", &["x"], &[]),
        (
            "stage.structured_metadata { values = { a = \"level\" } }\nstage.structured_metadata_drop { values = [\"a\"] }",
            &["x"],
            &["{i} x"],
        ),
    ];
    for (stages, lines, want) in cases {
        assert_eq!(run(stages, lines), *want, "{stages}");
    }
}

#[test]
fn mistakes_are_named_with_their_place() {
    let cases = [
        ("stage.nope {}", "t.alloy:2:1: unrecognized stage \"stage.nope\""),
        ("stage.geoip {}", "t.alloy:2:1: stage.geoip is not built into this agent"),
        (
            "stage.regex { expression = \"(\" }",
            "t.alloy:2:28: expression: error parsing regexp: missing closing ): `(`",
        ),
        ("stage.regex { expression = \"x\" }", "t.alloy:2:1: expression has no named group"),
        ("stage.output { source = \"a\"\n nope = 1 }", "t.alloy:3:9: unrecognized attribute name \"nope\""),
        ("stage.tenant {}", "t.alloy:2:1: stage.tenant needs exactly one of label, source and value"),
        ("stage.json { expressions = { a = \"length(x)\" } }", "only names and indexes are supported"),
        ("stage.match { selector = \"{a}\" }", "expected =, !=, =~ or !~"),
        ("stage.match { selector = \"{a=\\\"b\\\"} | json\" }", "parsers and other stages are not supported here"),
        ("stage.template { source = \"a\"\n template = \"{{ nope }}\" }", "function \"nope\" not defined"),
        ("stage.timestamp { source = \"a\"\n format = \"x\"\n location = \"Mars\" }", "unknown time zone Mars"),
    ];
    for (stages, want) in cases {
        let error = build(stages).map(drop).unwrap_err().to_string();
        assert!(error.contains(want), "{stages}: {error}");
    }
}

#[test]
fn metrics_of_entries() {
    let stages = r#"stage.json { expressions = { ms = "", level = "" } }
    stage.metrics {
      metric.counter { name = "lines_total"
        match_all = true
        action = "inc"
        description = "Lines." }
      metric.counter { name = "errors_total"
        source = "level"
        value = "error"
        action = "inc" }
      metric.gauge { name = "last"
        source = "ms"
        action = "set" }
      metric.histogram { name = "ms"
        buckets = [10, 100] }
    }"#;
    let (mut pipeline, registry) = build(stages).unwrap();
    let mut out = Vec::new();
    for line in [r#"{"ms":5,"level":"error"}"#, r#"{"ms":50,"level":"info"}"#, "x"] {
        pipeline.process(Item::new(entry(line)), &mut out);
    }
    let text = registry.render_text();
    for want in [
        r#"loki_process_custom_lines_total{job="titan",level="info"} 3"#,
        r#"loki_process_custom_errors_total{job="titan",level="info"} 1"#,
        r#"loki_process_custom_last{job="titan",level="info"} 50"#,
        r#"loki_process_custom_ms_bucket{job="titan",level="info",le="10"} 1"#,
        r#"loki_process_custom_ms_count{job="titan",level="info"} 2"#,
    ] {
        assert!(text.contains(want), "{want} is missing in\n{text}");
    }
    drop(pipeline);
    assert!(!registry.render_text().contains("loki_process_custom_"), "gone with its stage");
}

#[test]
fn multiline_holds_places() {
    let tracker = crate::agent::pipe::Tracker::new(0u32);
    let (mut pipeline, _) = build("stage.multiline { firstline = \"^S\"\n max_wait_time = \"0s\" }").unwrap();
    let mut out = Vec::new();
    for (end, line) in [(1, "S"), (2, " x")] {
        let ack = Some(tracker.begin(end));
        pipeline.process(Item::new(Entry { ack, ..entry(line) }), &mut out);
    }
    assert!(out.is_empty() && pipeline.holds_back());
    assert_eq!(tracker.arrived(), 0);
    pipeline.tick(&mut out);
    assert_eq!((out.len(), tracker.arrived()), (1, 0));
    out.clear();
    assert_eq!(tracker.arrived(), 2);
}
