//! `tool tsdb analyze`: where the series of a block come from, in the words of the peer's tool.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write;

use alerting::text::go_duration_text;
use model::{Labels, METRIC_NAME, MatchOp, Matcher, SampleColumns, SelectHints, SeriesSource};
use tsdb::{BlockMeta, Db};

/// Writes about the block of a name, else about the newest one; about what is in memory if there is no block yet.
pub(super) fn analyze(db: &Db, block: Option<&str>, limit: usize, out: &mut impl Write) -> Result<(), String> {
    let blocks = db.blocks();
    let text = match block {
        Some(name) => {
            let found = blocks.iter().find(|meta| meta.ulid.to_string() == name);
            of_block(db, found.ok_or_else(|| format!("block {name} not found"))?, limit)?
        }
        None => match blocks.last() {
            Some(newest) => of_block(db, newest, limit)?,
            None => of_memory(db, limit)?,
        },
    };
    out.write_all(text.as_bytes()).map_err(|e| e.to_string())
}

/// Counts of a block's series.
#[derive(Default)]
struct Counts {
    series: usize,
    /// Label pairs of all series together.
    entries: u64,
    /// By label pair: its series, and the ms of the block for which they have no samples.
    pairs: BTreeMap<String, (u64, u64)>,
    names: BTreeMap<String, Name>,
    metrics: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Name {
    values: BTreeSet<String>,
    uncovered_ms: u64,
}

impl Counts {
    fn add(&mut self, labels: &Labels, uncovered_ms: u64) {
        self.series += 1;
        for (name, value) in labels {
            self.entries += 1;
            let pair = self.pairs.entry(format!("{name}={value}")).or_default();
            *pair = (pair.0 + 1, pair.1 + uncovered_ms);
            let entry = self.names.entry(name.to_owned()).or_default();
            entry.uncovered_ms += uncovered_ms;
            if !entry.values.contains(value) {
                entry.values.insert(value.to_owned());
            }
            if name == METRIC_NAME {
                *self.metrics.entry(value.to_owned()).or_default() += 1;
            }
        }
    }
}

fn of_block(db: &Db, meta: &BlockMeta, limit: usize) -> Result<String, String> {
    let length_ms = u64::try_from(meta.max_time - meta.min_time).unwrap_or(0);
    let every = Matcher::new(MatchOp::Regex, METRIC_NAME, "(?s:.*)").map_err(|e| e.to_string())?;
    let hints = SelectHints { start_ms: meta.min_time, end_ms: meta.max_time - 1, ..SelectHints::default() };
    let found = db.select(&[every], &hints).map_err(|e| e.to_string())?;
    let mut counts = Counts::default();
    let mut columns = SampleColumns::new();
    for index in 0..found.len() {
        found.read(index, &mut columns).map_err(|e| e.to_string())?;
        let times = || columns.timestamps.iter().chain(&columns.histogram_timestamps);
        let within = || times().copied().filter(|time| (hints.start_ms..=hints.end_ms).contains(time));
        if let (Some(first), Some(last)) = (within().min(), within().max()) {
            let covered_ms = u64::try_from(last - first).unwrap_or(0);
            counts.add(&found.labels(index), length_ms.saturating_sub(covered_ms));
        }
    }
    let mut text = String::new();
    let _ = writeln!(text, "Block ID: {}", meta.ulid);
    let _ = writeln!(text, "Duration: {}", go_duration_text(meta.max_time - meta.min_time));
    let _ = writeln!(text, "Series: {}", counts.series);
    let _ = writeln!(text, "Label names: {}", counts.names.len());
    let _ = writeln!(text, "Postings (unique label pairs): {}", counts.pairs.len());
    let _ = writeln!(text, "Postings entries (total label pairs): {}", counts.entries);
    // As so many series that were there for none of the time.
    let churn = |uncovered_ms: u64| uncovered_ms.checked_div(length_ms).unwrap_or(0);
    let pairs = || counts.pairs.iter();
    let names = || counts.names.iter();
    let value_bytes = |name: &Name| name.values.iter().map(|value| value.len() as u64).sum();
    let sections: [(&str, Vec<(u64, &str)>); 6] = [
        ("Label pairs most involved in churning", pairs().map(|(pair, n)| (churn(n.1), pair.as_str())).collect()),
        (
            "Label names most involved in churning",
            names().map(|(name, n)| (churn(n.uncovered_ms), name.as_str())).collect(),
        ),
        ("Most common label pairs", pairs().map(|(pair, n)| (n.0, pair.as_str())).collect()),
        (
            "Label names with highest cumulative label value length",
            names().map(|(name, n)| (value_bytes(n), name.as_str())).collect(),
        ),
        ("Highest cardinality labels", names().map(|(name, n)| (n.values.len() as u64, name.as_str())).collect()),
        ("Highest cardinality metric names", counts.metrics.iter().map(|(name, n)| (*n, name.as_str())).collect()),
    ];
    for (title, rows) in sections {
        section(&mut text, title, rows, limit);
    }
    Ok(text)
}

fn of_memory(db: &Db, limit: usize) -> Result<String, String> {
    let report = db.cardinality(limit).map_err(|e| e.to_string())?;
    let mut text =
        format!("There is no block yet. In memory:\nSeries: {}\nLabel pairs: {}\n", report.series, report.pairs);
    for (title, rows) in [
        ("Most common label pairs", &report.series_by_pair),
        ("Label names with highest cumulative label value length", &report.bytes_by_name),
        ("Highest cardinality labels", &report.values_by_name),
        ("Highest cardinality metric names", &report.series_by_metric),
    ] {
        section(&mut text, title, rows.iter().map(|row| (row.count, row.name.as_str())).collect(), limit);
    }
    Ok(text)
}

/// The rows with the greatest numbers.
fn section(text: &mut String, title: &str, mut rows: Vec<(u64, &str)>, limit: usize) {
    rows.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let _ = writeln!(text, "\n{title}:");
    for (count, name) in rows.into_iter().take(limit) {
        let _ = writeln!(text, "{count} {name}");
    }
}
