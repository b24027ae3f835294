//! `tool tsdb …`: what a store holds, and what is written into it from outside. The store must not be open elsewhere.
//!
//! [`analyze`] says where a block's series come from, [`backfill`] writes blocks from pages, rules and stores of Prometheus.

mod analyze;
mod backfill;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use alerting::text::go_duration_text;
use model::labels::InBraces;
use model::number::{FloatFormat, float_text};
use model::{Matcher, SampleColumns, SelectHints, SeriesSource};
use tsdb::{BlockMeta, Db, Options, RealFiles, Retention};

pub(super) use backfill::{import, openmetrics, rules};

use super::args::{Args, Known};
use super::{Failure, Outcome};

/// Runs one of the tools.
pub(super) fn run(what: &str, words: &[&str]) -> Outcome {
    let known = Known { switches: &["human-readable", "r"], values: &["limit", "min-time", "max-time", "match"] };
    let args = Args::read(words, &known).map_err(Failure::Usage)?;
    let (dir, block) = match args.words.as_slice() {
        [] => ("data/", None),
        [dir] => (dir.as_str(), None),
        [dir, block] if what == "analyze" => (dir.as_str(), Some(block.as_str())),
        _ => return Err(Failure::Usage("one directory at most".to_owned())),
    };
    if !Path::new(dir).is_dir() {
        return Err(format!("opening the db dir: stat {dir}: no such file or directory").into());
    }
    let db = open(dir)?;
    let out = std::io::stdout().lock();
    let mut out = BufWriter::new(out);
    let done = match what {
        "list" => list(&db, &db.blocks(), args.is_set("r") || args.is_set("human-readable"), &mut out),
        "analyze" => analyze::analyze(&db, block, number(&args, "limit", 20)?, &mut out),
        "dump" => dump(&db, &Wanted::of(&args)?, &mut out),
        _ => dump_openmetrics(&db, &Wanted::of(&args)?, &mut out),
    };
    done.and_then(|()| out.flush().map_err(|e| e.to_string()))?;
    db.close().map_err(|e| e.to_string())?;
    Ok(())
}

/// A store for a tool: nothing is deleted while somebody looks.
fn open(dir: &str) -> Result<Db, String> {
    let options = Options { retention: Retention::default(), ..Options::default() };
    Db::open_with(Arc::new(RealFiles), dir, options).map_err(|e| e.to_string())
}

fn number<T: std::str::FromStr>(args: &Args, name: &str, default: T) -> Result<T, Failure> {
    match args.get(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| Failure::Usage(format!("--{name}: {text:?} is no number"))),
    }
}

/// Narrowest column, as in the peer's tables.
const MIN_WIDTH: usize = 11;

/// The blocks of a store in columns, ascending by time.
fn list(db: &Db, metas: &[BlockMeta], readable: bool, out: &mut impl Write) -> Result<(), String> {
    let time = |ms: i64| if readable { readable_time(ms) } else { ms.to_string() };
    let titles = "BLOCK ULID|MIN TIME|MAX TIME|DURATION|NUM SAMPLES|NUM CHUNKS|NUM SERIES|SIZE";
    let mut rows = vec![titles.split('|').map(str::to_owned).collect::<Vec<_>>()];
    for meta in metas {
        let size = size_bytes(&db.dir().join("blocks").join(meta.ulid.to_string()));
        rows.push(vec![
            meta.ulid.to_string(),
            time(meta.min_time),
            time(meta.max_time),
            go_duration_text(meta.max_time - meta.min_time),
            meta.stats.num_samples.to_string(),
            meta.stats.num_chunks.to_string(),
            meta.stats.num_series.to_string(),
            if readable { readable_size(size) } else { size.to_string() },
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0).max(MIN_WIDTH);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end()).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// `2020-09-13 12:26:40 +0000 UTC`
fn readable_time(ms: i64) -> String {
    let text = kit::time::Rfc3339(ms - ms.rem_euclid(1_000)).to_string();
    let seconds = text.get(..19).unwrap_or(&text);
    format!("{} +0000 UTC", seconds.replace('T', " "))
}

/// `1KiB17B`
fn readable_size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];
    let mut rest = bytes;
    let mut text = String::new();
    for (unit, bits) in units {
        if rest >> bits > 0 {
            text.push_str(&format!("{}{unit}", rest >> bits));
            rest &= (1 << bits) - 1;
        }
    }
    if text.is_empty() { "0B".to_owned() } else { text }
}

/// Bytes of the files in a directory.
fn size_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// What is to be written.
struct Wanted {
    hints: SelectHints,
    selectors: Vec<Vec<Matcher>>,
}

impl Wanted {
    fn of(args: &Args) -> Result<Self, Failure> {
        let hints = SelectHints {
            start_ms: number(args, "min-time", i64::MIN / 4)?,
            end_ms: number(args, "max-time", i64::MAX / 4)?,
            ..SelectHints::default()
        };
        let mut selectors = Vec::new();
        for text in args.all("match") {
            selectors.push(promql::parse_selector(text).map_err(|e| format!("--match {text:?}: {e}"))?);
        }
        if selectors.is_empty() {
            let every = Matcher::new(model::MatchOp::Regex, "__name__", "(?s:.*)").map_err(|e| e.to_string())?;
            selectors.push(vec![every]);
        }
        Ok(Self { hints, selectors })
    }

    /// Every series with its samples, in the order of label sets.
    fn each(
        &self,
        db: &Db,
        mut write: impl FnMut(&model::Labels, &SampleColumns) -> std::io::Result<()>,
    ) -> Result<(), String> {
        let mut columns = SampleColumns::new();
        for matchers in &self.selectors {
            let found = db.select(matchers, &self.hints).map_err(|e| e.to_string())?;
            let mut order: Vec<_> = (0..found.len()).map(|index| (found.labels(index), index)).collect();
            order.sort();
            for (labels, index) in order {
                found.read(index, &mut columns).map_err(|e| e.to_string())?;
                write(&labels, &columns).map_err(|e| e.to_string())?;
            }
            found.warnings().iter().for_each(|warning| eprintln!("{warning}"));
        }
        Ok(())
    }

    fn holds(&self, time_ms: i64) -> bool {
        (self.hints.start_ms..=self.hints.end_ms).contains(&time_ms)
    }
}

fn dump(db: &Db, wanted: &Wanted, out: &mut impl Write) -> Result<(), String> {
    wanted.each(db, |labels, columns| {
        let series = InBraces(labels);
        for (time, value) in columns.timestamps.iter().zip(&columns.values).filter(|(time, _)| wanted.holds(**time)) {
            writeln!(out, "{series} {} {time}", float_text(*value, FloatFormat::General))?;
        }
        for (time, histogram) in columns.histogram_timestamps.iter().zip(&columns.histograms) {
            if wanted.holds(*time) {
                writeln!(out, "{series} {} {time}", model::histogram::TestNotation(histogram))?;
            }
        }
        Ok(())
    })
}

fn dump_openmetrics(db: &Db, wanted: &Wanted, out: &mut impl Write) -> Result<(), String> {
    if let [matchers] = wanted.selectors.as_slice() {
        let done = tsdb::export_openmetrics(db, matchers, wanted.hints.start_ms, wanted.hints.end_ms, out);
        let done = done.map_err(|e| e.to_string())?;
        if done.histograms_skipped > 0 {
            eprintln!("{} native histograms were left out: the format has none", done.histograms_skipped);
        }
        return Ok(());
    }
    Err("one --match at most".to_owned())
}

#[cfg(test)]
mod tests;
