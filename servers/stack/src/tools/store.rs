//! `tool tsdb …`: what a store holds. The store must not be open elsewhere.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use model::{Matcher, SampleColumns, SelectHints, SeriesSource};
use tsdb::{Db, Options, RealFiles, Retention};
use wire::exposition::{TextFormat, TextWriter};

use super::args::{Args, Known};
use super::{Failure, Outcome};

/// Runs one of the tools.
pub(super) fn run(what: &str, words: &[&str]) -> Outcome {
    let known = Known { switches: &["human-readable", "r"], values: &["limit", "min-time", "max-time", "match"] };
    let args = Args::read(words, &known).map_err(Failure::Usage)?;
    let dir = match args.words.as_slice() {
        [] => "data/",
        [dir] => dir,
        _ => return Err(Failure::Usage("one directory at most".to_owned())),
    };
    if !std::path::Path::new(dir).is_dir() {
        return Err(format!("{dir}: no such directory").into());
    }
    // Nothing is deleted while somebody looks.
    let options = Options { retention: Retention::default(), ..Options::default() };
    let db = Db::open_with(Arc::new(RealFiles), dir, options).map_err(|e| e.to_string())?;
    let out = std::io::stdout().lock();
    let mut out = BufWriter::new(out);
    let done = match what {
        "list" => list(&db, args.is_set("r") || args.is_set("human-readable"), &mut out),
        "analyze" => analyze(&db, number(&args, "limit", 20)?, &mut out),
        "dump" => dump(&db, &Wanted::of(&args)?, &mut out),
        _ => dump_openmetrics(&db, &Wanted::of(&args)?, &mut out),
    };
    done.and_then(|()| out.flush().map_err(|e| e.to_string()))?;
    db.close().map_err(|e| e.to_string())?;
    Ok(())
}

fn number<T: std::str::FromStr>(args: &Args, name: &str, default: T) -> Result<T, Failure> {
    match args.get(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| Failure::Usage(format!("--{name}: {text:?} is no number"))),
    }
}

fn list(db: &Db, readable: bool, out: &mut impl Write) -> Result<(), String> {
    let time = |ms: i64| if readable { kit::time::Rfc3339(ms).to_string() } else { ms.to_string() };
    let mut rows = vec![
        "BLOCK ULID|MIN TIME|MAX TIME|DURATION|NUM SAMPLES|NUM CHUNKS|NUM SERIES"
            .split('|')
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    ];
    for meta in db.blocks() {
        rows.push(vec![
            meta.ulid.to_string(),
            time(meta.min_time),
            time(meta.max_time),
            model::duration::DurationMs(meta.max_time - meta.min_time).to_string(),
            meta.stats.num_samples.to_string(),
            meta.stats.num_chunks.to_string(),
            meta.stats.num_series.to_string(),
        ]);
    }
    let widths: Vec<usize> =
        (0..rows[0].len()).map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end()).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn analyze(db: &Db, limit: usize, out: &mut impl Write) -> Result<(), String> {
    let report = db.cardinality(limit).map_err(|e| e.to_string())?;
    let mut text =
        format!("Series in memory: {}\nLabel pairs: {}\nBlocks: {}\n", report.series, report.pairs, db.blocks().len());
    for (title, rows) in [
        ("Highest cardinality metric names", &report.series_by_metric),
        ("Highest cardinality labels", &report.values_by_name),
        ("Label names with highest cumulative label value length", &report.bytes_by_name),
        ("Most common label pairs", &report.series_by_pair),
    ] {
        text.push_str(&format!("\n{title}:\n"));
        rows.iter().for_each(|row| text.push_str(&format!("{} {}\n", row.count, row.name)));
    }
    out.write_all(text.as_bytes()).map_err(|e| e.to_string())
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
        let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let series = format!("{{{}}}", pairs.join(", "));
        for (time, value) in columns.timestamps.iter().zip(&columns.values).filter(|(time, _)| wanted.holds(**time)) {
            let mut text = Vec::new();
            wire::number::write_float(&mut text, *value);
            writeln!(out, "{series} {} {time}", String::from_utf8_lossy(&text))?;
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
    let mut page = Vec::new();
    let mut histograms = 0;
    wanted.each(db, |labels, columns| {
        histograms += columns.histograms.len();
        page.clear();
        let mut writer = TextWriter::new(&mut page, TextFormat::OpenMetrics);
        for (time, value) in columns.timestamps.iter().zip(&columns.values) {
            // The format has no word for the end of a series.
            if wanted.holds(*time) && !model::is_stale(*value) {
                let name = labels.metric_name().unwrap_or("");
                writer.series(name, "", labels.iter().filter(|(n, _)| *n != model::METRIC_NAME), None);
                writer.value(*value, Some(*time), None);
            }
        }
        out.write_all(&page)
    })?;
    if histograms > 0 {
        eprintln!("{histograms} native histograms were left out: the format has none");
    }
    out.write_all(b"# EOF\n").map_err(|e| e.to_string())
}
