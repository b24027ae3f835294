use std::sync::Arc;

use kit::metrics::Registry;
use model::{MatchOp, Matcher, SampleColumns, SelectHints, SeriesSource};
use tsdb::{Db, MemFiles, Options};
use wire::exposition::TextFormat;
use wire::proto::{Writer, zigzag};

use super::*;

/// A store, the state of one target, and its settings.
struct Bench {
    db: Store,
    store: PageStore,
    settings: PageSettings,
    metrics: ScrapeMetrics,
}

fn store() -> Store {
    let db = Arc::new(Db::open_with(Arc::new(MemFiles::new()), "data", Options::default()).unwrap());
    let path = std::path::Path::new("unused");
    let outbox = crate::remote_send::Outbox::new(path, db.clone(), &Registry::new(), kit::Shutdown::new(), "test");
    Store::new(db, outbox)
}

const T: i64 = 1_700_000_000_000;

fn bench(yaml: &str) -> Bench {
    let text = format!("scrape_configs:\n- job_name: j\n{yaml}");
    let config = crate::config::Config::parse(&text, std::path::Path::new(""), Default::default()).unwrap();
    let labels = Labels::from_pairs([("job", "j"), ("instance", "i")]);
    Bench {
        db: store(),
        store: PageStore::default(),
        settings: PageSettings::new(&config.scrape_configs[0], &labels, 10.0),
        metrics: ScrapeMetrics::new(&Registry::new()),
    }
}

const PROM: Format = Format::Text(TextFormat::Prometheus);
const OM: Format = Format::Text(TextFormat::OpenMetrics);

impl Bench {
    fn scrape(&mut self, page: &[u8], format: Format, time_ms: i64) -> Result<PageResult, PageError> {
        self.store.store(&self.db, page, format, time_ms, &self.settings, &self.metrics)
    }

    /// Series and samples as lines, job and instance left out, times relative.
    fn dump(&self) -> Vec<String> {
        let hints = SelectHints { start_ms: T - 10_000_000, end_ms: T + 10_000_000, ..SelectHints::default() };
        let all = [Matcher::new(MatchOp::NotEqual, "__name__", "").unwrap()];
        let found = self.db.select(&all, &hints).unwrap();
        let mut lines = Vec::new();
        let mut columns = SampleColumns::new();
        for index in 0..found.len() {
            let mut labels = found.labels(index).to_builder();
            labels.del("job").del("instance");
            found.read(index, &mut columns).unwrap();
            let mut line = labels.build().to_string();
            for (at, (time, value)) in columns.timestamps.iter().zip(&columns.values).enumerate() {
                let text = if model::is_stale(*value) { "stale".to_owned() } else { value.to_string() };
                line.push_str(&format!(" {}@{}", text, time - T));
                if let Some(start) = columns.start_timestamps.get(at).filter(|start| **start != 0) {
                    line.push_str(&format!("({})", start - T));
                }
            }
            for (time, histogram) in columns.histogram_timestamps.iter().zip(&columns.histograms) {
                line.push_str(&format!(" {}@{}", model::histogram::TestNotation(histogram), time - T));
            }
            lines.push(line);
        }
        lines.sort();
        lines
    }
}

#[test]
fn what_is_missing_on_the_next_page_goes_stale() {
    let mut bench = bench("");
    let first = bench.scrape(b"a{x=\"1\"} 1\nb 2\nc 3 1700000000500\n", PROM, T).unwrap();
    assert_eq!(first, PageResult { scraped: 3, kept: 3, added: 3 });
    let second = bench.scrape(b"a{x=\"1\"} 5\na{x=\"1\"} 6\n", PROM, T + 1000).unwrap();
    assert_eq!(second, PageResult { scraped: 2, kept: 2, added: 0 });
    // The series with its own times is nobody's to end, and of a series given twice the first sample counts.
    assert_eq!(bench.dump(), [r#"a{x="1"} 1@0 5@1000"#, "b 2@0 stale@1000", "c 3@500"]);
    bench.store.fail(&bench.db, T + 2000).unwrap();
    assert_eq!(bench.dump()[0], r#"a{x="1"} 1@0 5@1000 stale@2000"#);
}

#[test]
fn timestamps_of_a_page_count_when_honoured_and_end_when_tracked() {
    let mut bench = bench("  honor_timestamps: false\n");
    bench.scrape(b"a 1 1600000000000\n", PROM, T).unwrap();
    bench.scrape(b"", PROM, T + 1000).unwrap();
    assert_eq!(bench.dump(), ["a 1@0 stale@1000"]);
    let mut bench = self::bench("  track_timestamps_staleness: true\n");
    bench.scrape(b"a 1 1700000000200\n", PROM, T).unwrap();
    bench.scrape(b"", PROM, T + 1000).unwrap();
    assert_eq!(bench.dump(), ["a 1@200 stale@1000"]);
}

#[test]
fn clashing_labels_step_aside_or_win() {
    let page = b"a{job=\"own\",exported_job=\"x\"} 1\nb{instance=\"\"} 1\n";
    let mut bench = bench("");
    bench.scrape(page, PROM, T).unwrap();
    assert_eq!(bench.dump(), [r#"a{exported_exported_job="own", exported_job="x"} 1@0"#, "b 1@0"]);
    let mut bench = self::bench("  honor_labels: true\n");
    bench.scrape(page, PROM, T).unwrap();
    let found = |labels: &[(&str, &str)]| {
        let matchers: Vec<Matcher> = labels.iter().map(|(n, v)| Matcher::equal(n, v)).collect();
        let hints = SelectHints { start_ms: T, end_ms: T, ..SelectHints::default() };
        bench.db.select(&matchers, &hints).unwrap().len()
    };
    assert_eq!(found(&[("__name__", "a"), ("job", "own"), ("instance", "i")]), 1);
    assert_eq!(found(&[("__name__", "b"), ("job", "j"), ("instance", "")]), 1, "an empty label hides the target's");
}

#[test]
fn limits_refuse_the_page_and_say_why() {
    let cases: [(&str, &[u8], &str); 6] = [
        ("  sample_limit: 1\n", b"a 1\nb 2\nc 3\n", "sample limit exceeded"),
        ("  label_limit: 3\n", b"a{x=\"1\"} 1\n", "label_limit exceeded"),
        ("  label_name_length_limit: 8\n", b"a{a_long_name=\"1\"} 1\n", "label_name_length_limit exceeded"),
        ("  label_value_length_limit: 3\n", b"a{x=\"long\"} 1\n", "label_value_length_limit exceeded"),
        ("  metric_name_validation_scheme: legacy\n", b"{\"a.b\"} 1\n", "invalid metric name"),
        ("", b"a 1\nb x\n", "2"),
    ];
    for (yaml, page, want) in cases {
        let mut bench = bench(yaml);
        let error = bench.scrape(page, PROM, T).unwrap_err().to_string();
        assert!(error.contains(want), "{yaml}: {error}");
        assert!(bench.dump().is_empty(), "{yaml}");
    }
    let mut bench = bench("  sample_limit: 1\n");
    bench.scrape(b"a 1\nb 2\nc 3\n", PROM, T).unwrap_err();
    assert_eq!(bench.store.counts().scraped, 3, "the report says how much there was");
    // What relabelling drops does not count.
    let drop =
        "  sample_limit: 1\n  metric_relabel_configs: [{source_labels: [__name__], regex: 'b|c', action: drop}]\n";
    let mut bench = self::bench(drop);
    assert_eq!(bench.scrape(b"a 1\nb 2\nc 3\n", PROM, T).unwrap(), PageResult { scraped: 3, kept: 1, added: 1 });
}

const OPENMETRICS: &[u8] = b"# HELP a_seconds Things.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total{x=\"1\"} 5 # {trace_id=\"t\"} 0.5 1699999999.5\na_seconds_created{x=\"1\"} 1699999990\n# EOF\n";

#[test]
fn exemplars_and_metadata_reach_the_store() {
    let mut bench = bench("");
    bench.scrape(OPENMETRICS, OM, T).unwrap();
    bench.scrape(OPENMETRICS, OM, T + 1000).unwrap();
    let found = bench.db.exemplars(&[vec![Matcher::equal("__name__", "a_seconds_total")]], T - 1000, T + 1000);
    assert_eq!(found.len(), 1);
    let exemplars = &found[0].exemplars;
    assert_eq!(exemplars.len(), 1, "the same exemplar twice is one");
    assert_eq!((exemplars[0].value, exemplars[0].timestamp_ms), (0.5, T - 500));
    assert_eq!(exemplars[0].labels.value("trace_id"), "t");
    let metadata = bench.db.metadata("a_seconds").unwrap();
    assert_eq!((metadata.kind.as_str(), &*metadata.help, &*metadata.unit), ("counter", "Things.", "seconds"));
}

#[test]
fn an_exemplar_without_a_time_is_the_same_until_it_changes() {
    let mut bench = bench("");
    let page = |id: &str| format!("# TYPE a counter\na_total 1 # {{id=\"{id}\"}} 1\n# EOF\n").into_bytes();
    for (at, id) in ["x", "x", "y", "y", "x"].into_iter().enumerate() {
        bench.scrape(&page(id), OM, T + at as i64 * 1000).unwrap();
    }
    let found = bench.db.exemplars(&[vec![Matcher::equal("__name__", "a_total")]], T, T + 10_000);
    let seen: Vec<_> = found[0].exemplars.iter().map(|e| (e.labels.value("id"), e.timestamp_ms - T)).collect();
    assert_eq!(seen, [("x", 0), ("y", 2000), ("x", 4000)]);
}

#[test]
fn start_times_become_zeros_or_stay_with_their_samples() {
    let mut bench = bench("");
    bench.scrape(OPENMETRICS, OM, T).unwrap();
    assert_eq!(bench.dump(), [r#"a_seconds_created{x="1"} 1699999990@0"#, r#"a_seconds_total{x="1"} 5@0"#]);
    let mut bench = self::bench("");
    bench.settings.start_times.zero_sample = true;
    bench.scrape(OPENMETRICS, OM, T).unwrap();
    bench.scrape(OPENMETRICS, OM, T + 1000).unwrap();
    assert_eq!(bench.dump(), [r#"a_seconds_total{x="1"} 0@-10000 5@0 5@1000"#]);
    let mut bench = self::bench("");
    bench.settings.start_times.store = true;
    bench.scrape(OPENMETRICS, OM, T).unwrap();
    assert_eq!(bench.dump(), [r#"a_seconds_total{x="1"} 5@0(-10000)"#]);
}

const CLASSIC: &[u8] = b"# TYPE h histogram\nh_bucket{x=\"1\",le=\"1\"} 2\nh_bucket{x=\"1\",le=\"5\"} 2\nh_bucket{x=\"1\",le=\"+Inf\"} 5\nh_sum{x=\"1\"} 20\nh_count{x=\"1\"} 5\nh_bucket{x=\"2\",le=\"+Inf\"} 1\nh_sum{x=\"2\"} 1.5\nh_count{x=\"2\"} 1\n# TYPE g gauge\ng 1\n";

#[test]
fn classic_histograms_are_converted() {
    let mut bench = bench("  convert_classic_histograms_to_nhcb: true\n");
    assert_eq!(bench.scrape(CLASSIC, PROM, T).unwrap(), PageResult { scraped: 3, kept: 3, added: 3 });
    bench.scrape(CLASSIC, PROM, T + 1000).unwrap();
    let histogram = "{{schema:-53 count:5 sum:20 custom_values:[1 5] buckets:[2 0 3]}}";
    let dump = bench.dump();
    assert_eq!(dump.len(), 3, "{dump:?}");
    assert_eq!(dump[0], "g 1@0 1@1000");
    assert_eq!(dump[1], format!(r#"h{{x="1"}} {histogram}@0 {histogram}@1000"#));
    let mut bench =
        self::bench("  convert_classic_histograms_to_nhcb: true\n  always_scrape_classic_histograms: true\n");
    bench.scrape(CLASSIC, PROM, T).unwrap();
    assert_eq!(bench.dump().len(), 11, "both forms");
    // Counts that fall make no histogram.
    let bad = b"# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 1\n";
    let mut bench = self::bench("  convert_classic_histograms_to_nhcb: true\n");
    bench.scrape(bad, PROM, T).unwrap();
    assert!(bench.dump().is_empty());
}

/// A page with one native histogram of `buckets` adjacent buckets, classic buckets beside them, an exemplar and a start time.
fn native_page(schema: i32, buckets: u32) -> Vec<u8> {
    let timestamp = |w: &mut Writer, number: u32, ms: i64| {
        w.message(number, |w| {
            w.varint(1, (ms / 1000) as u64);
            w.varint(2, (ms % 1000 * 1_000_000) as u64);
        });
    };
    let mut page = Writer::new();
    page.delimited(|w| {
        w.bytes(1, b"h");
        w.bytes(2, b"Help.");
        w.varint(3, 4);
        w.message(4, |w| {
            w.message(1, |w| {
                w.bytes(1, b"x");
                w.bytes(2, b"1");
            });
            w.message(7, |w| {
                w.varint(1, u64::from(buckets));
                w.double(2, 7.0);
                w.message(3, |w| {
                    w.varint(1, u64::from(buckets));
                    w.double(2, 1.0);
                });
                w.varint(5, zigzag(i64::from(schema)));
                w.double(6, 1e-128);
                w.message(12, |w| {
                    w.varint(1, zigzag(1));
                    w.varint(2, u64::from(buckets));
                });
                for at in 0..buckets {
                    w.varint(13, zigzag(i64::from(at == 0)));
                }
                timestamp(w, 15, T - 60_000);
                w.message(16, |w| {
                    w.message(1, |w| {
                        w.bytes(1, b"trace_id");
                        w.bytes(2, b"t");
                    });
                    w.double(2, 3.0);
                    timestamp(w, 3, T - 1000);
                });
            });
        });
    });
    page.into_bytes()
}

#[test]
fn messages_bring_native_histograms() {
    let mut bench = bench("  scrape_native_histograms: true\n");
    let page = native_page(0, 3);
    assert_eq!(bench.scrape(&page, Format::Protobuf, T).unwrap(), PageResult { scraped: 1, kept: 1, added: 1 });
    assert_eq!(bench.scrape(&page, Format::Protobuf, T + 1000).unwrap().added, 0);
    let dump = bench.dump();
    assert_eq!(dump.len(), 1, "{dump:?}");
    assert!(dump[0].contains("count:3") && dump[0].contains("buckets:[1 1 1]"), "{dump:?}");
    let found = bench.db.exemplars(&[vec![Matcher::equal("__name__", "h")]], T - 2000, T);
    assert_eq!(found[0].exemplars.len(), 1);
    assert_eq!(bench.db.metadata("h").unwrap().help, "Help.");
    bench.scrape(b"", Format::Protobuf, T + 2000).unwrap();
    let at = |time: i64| {
        let hints = SelectHints { start_ms: time - 1000, end_ms: time, ..SelectHints::default() };
        let found = bench.db.select(&[Matcher::equal("__name__", "h")], &hints).unwrap();
        let mut columns = SampleColumns::new();
        found.read_last(0, time, 1000, &mut columns).unwrap();
        columns.values.last().copied().or_else(|| columns.histograms.last().map(|h| h.sum))
    };
    assert!(at(T + 2000).is_some_and(model::is_stale), "the series has ended");

    // Without the setting the classic form counts; with both there is both.
    let mut bench = self::bench("");
    bench.scrape(&page, Format::Protobuf, T).unwrap();
    let classic = [
        r#"h_bucket{le="+Inf", x="1"} 3@0"#,
        r#"h_bucket{le="1.0", x="1"} 3@0"#,
        r#"h_count{x="1"} 3@0"#,
        r#"h_sum{x="1"} 7@0"#,
    ];
    assert_eq!(bench.dump(), classic);
    let mut bench = self::bench("  scrape_native_histograms: true\n  always_scrape_classic_histograms: true\n");
    bench.scrape(&page, Format::Protobuf, T).unwrap();
    assert_eq!(bench.dump().len(), 5);
}

#[test]
fn native_histograms_come_in_the_resolution_that_is_allowed() {
    let of = |yaml: &str, schema: i32, buckets: u32| {
        let mut bench = bench(&format!("  scrape_native_histograms: true\n{yaml}"));
        bench.scrape(&native_page(schema, buckets), Format::Protobuf, T).map(|_| bench.dump()[0].clone())
    };
    let dump = of("  native_histogram_bucket_limit: 3\n", 2, 8).unwrap();
    assert!(!dump.contains("schema") && dump.contains("buckets:[4 4]"), "{dump}");
    let dump = of("  native_histogram_min_bucket_factor: 1.4\n", 3, 8).unwrap();
    assert!(dump.contains("schema:1"), "{dump}");
    let error = of("  native_histogram_bucket_limit: 1\n", -4, 20).unwrap_err();
    assert_eq!(error.to_string(), "histogram bucket limit exceeded");
}

#[test]
fn damaged_messages_are_refused_as_a_whole() {
    let page = native_page(0, 3);
    for cut in 1..page.len() {
        let mut bench = bench("  scrape_native_histograms: true\n");
        assert!(bench.scrape(&page[..cut], Format::Protobuf, T).is_err(), "cut at {cut}");
        assert!(bench.dump().is_empty());
    }
}
