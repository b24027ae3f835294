//! How long typical dashboard queries take over samples that lie decoded in memory, per series and step and per sample.
//!
//! `cargo run --release -p foursight-promql --example speed [THREADS]`

#![allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]

use std::time::Instant;

use foursight_promql::{Clock, Engine, Limits, QueryContext, TimeParams};
use model::{LabelQuery, Labels, Matcher, SampleColumns, SelectHints, Selection, SeriesSource, SourceError};

const SCRAPE_MS: i64 = 15_000;
const SAMPLES: i64 = 360;

/// Series with columns ready to copy, and numbers for label values as a store with a symbol table has them.
struct Columns {
    series: Vec<(Labels, SampleColumns)>,
}

impl Columns {
    fn add(&mut self, labels: Labels, value: impl Fn(i64) -> f64) {
        let mut columns = SampleColumns::new();
        for i in 0..SAMPLES {
            columns.push(i * SCRAPE_MS, value(i));
        }
        self.series.push((labels, columns));
    }
}

struct Found<'a>(Vec<&'a (Labels, SampleColumns)>, SelectHints);

impl SeriesSource for Columns {
    fn select<'a>(&'a self, matchers: &[Matcher], hints: &SelectHints) -> Result<Box<dyn Selection + 'a>, SourceError> {
        let found = self.series.iter().filter(|(l, _)| matchers.iter().all(|m| m.matches_labels(l))).collect();
        Ok(Box::new(Found(found, hints.clone())))
    }

    fn label_names(&self, _: &LabelQuery) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &LabelQuery) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }
}

impl Selection for Found<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.0[index].0.clone()
    }

    fn read(&self, index: usize, out: &mut SampleColumns) -> Result<(), SourceError> {
        let columns = &self.0[index].1;
        let from = columns.timestamps.partition_point(|t| *t < self.1.start_ms);
        let to = columns.timestamps.partition_point(|t| *t <= self.1.end_ms);
        out.clear();
        out.timestamps.extend_from_slice(&columns.timestamps[from..to]);
        out.values.extend_from_slice(&columns.values[from..to]);
        Ok(())
    }

    fn read_last(
        &self,
        index: usize,
        at_ms: i64,
        lookback_ms: i64,
        out: &mut SampleColumns,
    ) -> Result<(), SourceError> {
        let columns = &self.0[index].1;
        out.clear();
        let newest = columns.timestamps.partition_point(|t| *t <= at_ms);
        if let Some(i) = newest.checked_sub(1).filter(|i| columns.timestamps[*i] > at_ms - lookback_ms) {
            out.push(columns.timestamps[i], columns.values[i]);
        }
        Ok(())
    }
}

struct Wall(Instant);

impl Clock for Wall {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Time this thread has run, where the system tells.
fn cpu_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

fn main() {
    let threads = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut source = Columns { series: Vec::new() };
    let modes = ["user", "system", "idle", "iowait", "irq", "softirq", "steal", "nice"];
    for host in 0..82 {
        let instance = format!("host-{host:03}:9100");
        for cpu in 0..4 {
            for mode in modes {
                let labels = [
                    ("__name__", "node_cpu_seconds_total"),
                    ("cpu", &cpu.to_string()),
                    ("instance", &instance),
                    ("job", "node"),
                    ("mode", mode),
                ];
                let slope = f64::from(host + cpu + 1) / 7.0;
                source.add(Labels::from_pairs(labels), |i| (i as f64 * slope).floor());
            }
        }
        let uname =
            [("__name__", "node_uname_info"), ("instance", &instance), ("job", "node"), ("nodename", &instance[..8])];
        source.add(Labels::from_pairs(uname), |_| 1.0);
    }
    for path in 0..960 {
        for le in ["0.005", "0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "+Inf"] {
            let labels = [
                ("__name__", "http_request_duration_seconds_bucket"),
                ("le", le),
                ("path", &format!("/api/{path}")),
                ("job", "titan"),
            ];
            let weight = le.parse::<f64>().unwrap_or(40.0).min(40.0) + 1.0;
            source.add(Labels::from_pairs(labels), |i| (i as f64 * weight).floor());
        }
    }
    let mut wide = Columns { series: Vec::new() };
    for i in 0..98_240 {
        let labels = [
            ("__name__", &*format!("metric_{}", i % 1200)),
            ("instance", &*format!("host-{}:9100", i / 1200)),
            ("job", "node"),
            ("device", "eth0"),
            ("zone", "eu-1"),
        ];
        let mut columns = SampleColumns::new();
        columns.push(3_500_000, f64::from(i));
        wide.series.push((Labels::from_pairs(labels), columns));
    }

    let hour = |step_ms| TimeParams::Range { start_ms: 1_700_000, end_ms: 5_300_000, step_ms };
    let engine = Engine::default();
    let queries: [(&str, &Columns, TimeParams, u64); 8] = [
        ("sum by (mode) (rate(node_cpu_seconds_total[5m]))", &source, hour(60_000), 61),
        ("topk(5, rate(node_cpu_seconds_total[5m]))", &source, hour(60_000), 61),
        ("max_over_time(sum by (instance) (rate(node_cpu_seconds_total[5m]))[30m:1m])", &source, hour(300_000), 90),
        (
            "sum by (nodename) (rate(node_cpu_seconds_total[5m]) * on (instance, job) group_left (nodename) node_uname_info)",
            &source,
            hour(60_000),
            61,
        ),
        (
            "histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
            &source,
            hour(30_000),
            121,
        ),
        ("sum(node_cpu_seconds_total)", &source, hour(60_000), 61),
        ("avg_over_time(node_cpu_seconds_total[5m])", &source, hour(60_000), 61),
        ("count by (__name__) ({__name__=~\"metric_.*\"})", &wide, TimeParams::Instant(3_600_000), 1),
    ];
    println!("{threads} threads");
    for (query, source, times, steps) in queries {
        let clock = Wall(Instant::now());
        let context = QueryContext {
            clock: Some(&clock),
            threads,
            limits: Limits { samples: 0, ..Limits::default() },
            ..QueryContext::default()
        };
        let mut best = u128::MAX;
        let mut stats = None;
        for _ in 0..15 {
            let (from, cpu_from) = (Instant::now(), cpu_ns());
            let output = engine.query(query, source, times, &context);
            let wall = from.elapsed().as_nanos();
            // On one thread its own time says more than the clock, on a machine that others use too.
            let cpu = cpu_ns().zip(cpu_from).filter(|_| threads == 1).map(|(to, from)| u128::from(to - from));
            best = best.min(cpu.unwrap_or(wall));
            stats = output.map(|o| o.stats).ok();
        }
        let Some(stats) = stats else { continue };
        println!(
            "{:8.2} ms  {:6.1} ns per series and step  {:5.2} ns per sample in a window  {query}",
            best as f64 / 1e6,
            best as f64 / (stats.series * steps) as f64,
            best as f64 / stats.samples_total as f64,
        );
    }
}
