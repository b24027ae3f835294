//! `stage.metrics`: metrics made of log entries.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit::metrics::{Family, Metric, MetricKind, MetricValue};
use model::Labels;
use parking_lot::Mutex;

use super::{Item, Result, Stage, StageContext, each};
use crate::agent::syntax::{Args, Diag};

#[derive(Clone, Copy, PartialEq)]
enum Action {
    Inc,
    Dec,
    Add,
    Sub,
    Set,
}

/// One metric and its values by label set.
struct LogMetric {
    name: String,
    help: String,
    kind: MetricKind,
    source: String,
    value: Option<String>,
    match_all: bool,
    count_bytes: bool,
    action: Action,
    buckets: Vec<f64>,
    max_idle: Duration,
    rows: Mutex<HashMap<Labels, Row>>,
}

struct Row {
    value: f64,
    counts: Vec<u64>,
    count: u64,
    touched: Instant,
}

pub(super) fn metrics(args: &mut Args, context: &StageContext) -> Result<Box<dyn Stage>> {
    let mut metrics = Vec::new();
    for (block, kind) in [
        ("metric.counter", MetricKind::Counter),
        ("metric.gauge", MetricKind::Gauge),
        ("metric.histogram", MetricKind::Histogram),
    ] {
        for mut inner in args.blocks(block) {
            let metric = Arc::new(read(&mut inner, kind)?);
            inner.finish()?;
            // The registry outlives the pipeline: it lets go of a metric whose stage is gone.
            let weak = Arc::downgrade(&metric);
            context.registry.collector(move |out| {
                if let Some(metric) = weak.upgrade() {
                    out.push(metric.gather());
                }
            });
            metrics.push(metric);
        }
    }
    if metrics.is_empty() {
        return Err(Diag::new(&args.pos, "stage.metrics needs at least one metric"));
    }
    Ok(each(move |item| metrics.iter().for_each(|metric| metric.record(item))))
}

fn read(args: &mut Args, kind: MetricKind) -> Result<LogMetric> {
    let name = args.required("name")?;
    let prefix = args.text_or("prefix", "loki_process_custom_")?;
    let pos = args.pos_of("action");
    let default = if kind == MetricKind::Histogram { "observe" } else { "" };
    let word = args.text_or("action", default)?;
    let action = match (kind, word.as_str()) {
        (MetricKind::Counter | MetricKind::Gauge, "inc") => Action::Inc,
        (MetricKind::Counter | MetricKind::Gauge, "add") => Action::Add,
        (MetricKind::Gauge, "dec") => Action::Dec,
        (MetricKind::Gauge, "sub") => Action::Sub,
        (MetricKind::Gauge, "set") => Action::Set,
        (MetricKind::Histogram, _) => Action::Add,
        _ => return Err(Diag::new(&pos, format!("unknown action {word:?}"))),
    };
    let mut buckets = Vec::new();
    if kind == MetricKind::Histogram {
        let Some((value, pos)) = args.take("buckets") else {
            return Err(Diag::new(&args.pos, "metric.histogram needs buckets"));
        };
        let wrong = || Diag::new(&pos, "buckets must be ascending numbers");
        let crate::agent::syntax::Value::Array(items) = value else { return Err(wrong()) };
        for item in items.iter() {
            buckets.push(item.to_number().ok_or_else(wrong)?);
        }
        if buckets.is_empty() || !buckets.is_sorted() {
            return Err(wrong());
        }
    }
    let match_all = args.bool_or("match_all", false)?;
    let count_bytes = args.bool_or("count_entry_bytes", false)?;
    if count_bytes && !(match_all && action == Action::Add) {
        return Err(Diag::new(&args.pos, "count_entry_bytes needs match_all = true and action = \"add\""));
    }
    let source = args.text("source")?.unwrap_or_else(|| name.clone());
    Ok(LogMetric {
        help: args.text_or("description", "")?,
        kind,
        source,
        value: args.text("value")?,
        match_all,
        count_bytes,
        action,
        buckets,
        max_idle: args.duration_or("max_idle_duration", Duration::from_secs(300))?,
        rows: Mutex::default(),
        name: format!("{prefix}{name}"),
    })
}

impl LogMetric {
    fn record(&self, item: &Item) {
        let found = if self.match_all { Some(String::new()) } else { item.text(&self.source) };
        let Some(found) = found else { return };
        if self.value.as_ref().is_some_and(|wanted| *wanted != found) {
            return;
        }
        let number = match self.action {
            Action::Inc | Action::Dec if self.kind != MetricKind::Histogram => 1.0,
            _ if self.count_bytes => item.entry.line.len() as f64,
            _ => match found.parse::<f64>() {
                Ok(number) => number,
                Err(_) => return,
            },
        };
        let labels = item.entry.labels.without(|name| name.starts_with("__"));
        let mut rows = self.rows.lock();
        let row = rows.entry(labels).or_insert_with(|| Row {
            value: 0.0,
            counts: vec![0; self.buckets.len()],
            count: 0,
            touched: Instant::now(),
        });
        row.touched = Instant::now();
        if self.kind == MetricKind::Histogram {
            row.count += 1;
            row.value += number;
            for (bound, count) in self.buckets.iter().zip(&mut row.counts) {
                *count += u64::from(number <= *bound);
            }
            return;
        }
        match self.action {
            Action::Inc => row.value += 1.0,
            Action::Dec => row.value -= 1.0,
            // A counter cannot fall.
            Action::Add if self.kind == MetricKind::Counter => row.value += number.max(0.0),
            Action::Add => row.value += number,
            Action::Sub => row.value -= number,
            Action::Set => row.value = number,
        }
    }

    fn gather(&self) -> Family {
        let mut family = Family::new(self.name.clone(), self.help.clone(), self.kind);
        let mut rows = self.rows.lock();
        rows.retain(|_, row| row.touched.elapsed() <= self.max_idle);
        for (labels, row) in rows.iter() {
            let value = if self.kind == MetricKind::Histogram {
                let buckets = self.buckets.iter().copied().zip(row.counts.iter().copied()).collect();
                MetricValue::Histogram(wire::exposition::Histogram { count: row.count, sum: row.value, buckets })
            } else {
                MetricValue::Single(row.value)
            };
            let labels = labels.iter().map(|(n, v)| (n.to_owned().into(), v.to_owned().into())).collect();
            family.metrics.push(Metric { labels, value, exemplar: None, timestamp_ms: None });
        }
        family
    }
}
