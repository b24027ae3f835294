//! `tool tsdb create-blocks-from …` and `tool tsdb import`: what was elsewhere becomes blocks of a store.

use std::io::Write;
use std::path::{Path, PathBuf};

use kit::time::now_ms;
use metrics::api::params::parse_time_ms;
use metrics::config::NameValidation;
use metrics::rules::RuleOptions;
use metrics::rules::file::{load, promql as read_promql};
use model::{Labels, METRIC_NAME};
use promql::ParserOptions;
use serde_json::Value;
use tsdb::{Backfill, Db};
use wire::exposition::{Event, Parser, TextFormat};

use super::super::args::{Args, Known};
use super::super::ask::{FLAGS, Server};
use super::super::{Failure, Outcome, duration};
use super::{list, open};

/// Steps that a server answers at once.
const MAX_STEPS: i64 = 10_000;
/// Rules are backfilled up to this long ago unless told otherwise: what is younger, the server writes itself.
const DEFAULT_END_AGE_MS: i64 = 3 * 3_600_000;

/// `tool tsdb create-blocks-from openmetrics INPUT [DIR]`
pub(in super::super) fn openmetrics(words: &[&str]) -> Outcome {
    let known = Known { switches: &["human-readable", "r", "quiet", "q"], values: &[] };
    let args = Args::read(words, &known).map_err(Failure::Usage)?;
    let (input, dir) = match args.words.as_slice() {
        [input] => (input, "data/"),
        [input, dir] => (input, dir.as_str()),
        _ => return Err(Failure::Usage("an input file and at most one directory are needed".to_owned())),
    };
    let page = std::fs::read(input).map_err(|e| format!("open {input}: {e}"))?;
    // The whole page is read before anything is written.
    each_sample(&page, |_, _, _| Ok(()))?;
    let print = Print {
        quiet: args.is_set("quiet") || args.is_set("q"),
        readable: args.is_set("human-readable") || args.is_set("r"),
    };
    into_store(dir, print, |backfill| {
        each_sample(&page, |labels, at_ms, value| backfill.append(labels, at_ms, value).map_err(|e| e.to_string()))
    })
}

/// Calls a function with every sample of a page of OpenMetrics.
fn each_sample(page: &[u8], mut take: impl FnMut(&Labels, i64, f64) -> Result<(), String>) -> Result<(), String> {
    let mut parser = Parser::new(page, TextFormat::OpenMetrics);
    let wrong = |e: wire::Error| format!("getting min and max timestamp: next: {e}");
    let mut last: (Vec<u8>, Labels) = Default::default();
    while let Some(event) = parser.next_event().map_err(wrong)? {
        let Event::Series(series) = event else { continue };
        // Samples of one series mostly stand together.
        if last.0 != series.raw || last.1.is_empty() {
            last = (series.raw.to_vec(), series.to_labels(true).map_err(wrong)?);
        }
        let Some(at_ms) = series.timestamp_ms else {
            return Err(format!("getting min and max timestamp: expected timestamp for series {} got none", last.1));
        };
        take(&last.1, at_ms, series.value)?;
    }
    Ok(())
}

/// `tool tsdb create-blocks-from rules --start=T FILE…`
pub(in super::super) fn rules(words: &[&str], parser: ParserOptions) -> Outcome {
    let known =
        Known { switches: &[], values: &["url", "start", "end", "output-dir", "eval-interval", FLAGS[0], FLAGS[1]] };
    let args = Args::read(words, &known).map_err(Failure::Usage)?;
    if args.words.is_empty() {
        return Err(Failure::Usage("required argument 'rule-files' not provided".to_owned()));
    }
    let time = |name: &str, text: &str| {
        parse_time_ms(text).ok_or_else(|| Failure::Usage(format!("--{name}: {text:?} is no time")))
    };
    let start = args.get("start").ok_or_else(|| Failure::Usage("required flag --start not provided".to_owned()))?;
    let start_ms = time("start", start)?;
    let end_ms = match args.get("end") {
        Some(text) => time("end", text)?,
        None => now_ms() - DEFAULT_END_AGE_MS,
    };
    if end_ms <= start_ms {
        return Err("start time is not before end time".to_owned().into());
    }
    let interval_ms = duration("eval-interval", args.get("eval-interval").unwrap_or("60s"))?.max(1);
    let server = Server::new(args.get("url").unwrap_or("http://localhost:9090"), &args)?;
    let rules = recording_rules(&args.words, interval_ms, parser)?;
    into_store(args.get("output-dir").unwrap_or("data/"), Print { quiet: true, readable: false }, |backfill| {
        for rule in &rules {
            rule.backfill(&server, start_ms, end_ms, backfill).map_err(|e| format!("rule {:?}: {e}", rule.name))?;
        }
        Ok(())
    })
}

/// A rule whose series are made afterwards.
struct Recording {
    name: String,
    expr: String,
    labels: Labels,
    interval_ms: i64,
}

/// The recording rules of files; alerts have no series to make.
fn recording_rules(files: &[String], interval_ms: i64, parser: ParserOptions) -> Result<Vec<Recording>, String> {
    let canonical = read_promql(parser);
    let options = RuleOptions { canonical: &canonical, validation: NameValidation::Utf8, ignore_unknown: false };
    let mut rules = Vec::new();
    for name in files {
        let file = load(Path::new(name), options).map_err(|errors| {
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            format!("rule importer parse error: {}", texts.join("\n"))
        })?;
        for group in file.groups {
            let interval_ms = group.interval.map(|own| own.0).filter(|own| *own > 0).unwrap_or(interval_ms);
            for rule in group.rules.iter().filter(|rule| !rule.record.is_empty()) {
                let labels = group.labels.iter().chain(&rule.labels);
                rules.push(Recording {
                    name: rule.record.clone(),
                    expr: rule.expr.clone(),
                    labels: Labels::from_pairs(labels),
                    interval_ms,
                });
            }
        }
    }
    Ok(rules)
}

impl Recording {
    /// Asks a server for the rule's expression over a time, and adds what it answers.
    fn backfill(&self, server: &Server, start_ms: i64, end_ms: i64, backfill: &mut Backfill<'_>) -> Result<(), String> {
        let seconds = |ms: i64| (ms as f64 / 1_000.0).to_string();
        // As rules are evaluated: at multiples of the interval.
        let mut from_ms = start_ms + (-start_ms).rem_euclid(self.interval_ms);
        while from_ms <= end_ms {
            let to_ms = from_ms.saturating_add(self.interval_ms.saturating_mul(MAX_STEPS - 1)).min(end_ms);
            let (start, end, step) = (seconds(from_ms), seconds(to_ms), seconds(self.interval_ms));
            let parameters = [("query", &*self.expr), ("start", &*start), ("end", &*end), ("step", &*step)];
            let answer = server.call("/query_range", &parameters)?;
            let result = answer["data"]["result"].as_array().ok_or("the server's answer has no result")?;
            for series in result {
                if !series["histograms"].is_null() {
                    return Err("its result has native histograms, which cannot be backfilled".to_owned());
                }
                let labels = self.labels_of(&series["metric"]);
                for point in series["values"].as_array().into_iter().flatten() {
                    let (at_ms, value) = sample(point).ok_or_else(|| format!("the server answered {point}"))?;
                    backfill.append(&labels, at_ms, value).map_err(|e| e.to_string())?;
                }
            }
            from_ms = to_ms.saturating_add(self.interval_ms);
        }
        Ok(())
    }

    fn labels_of(&self, metric: &Value) -> Labels {
        let mut labels = Labels::empty().to_builder();
        for (name, value) in metric.as_object().into_iter().flatten() {
            labels.set(name, value.as_str().unwrap_or(""));
        }
        for (name, value) in &self.labels {
            labels.set(name, value);
        }
        labels.set(METRIC_NAME, &self.name);
        labels.build()
    }
}

/// `[1600000000.5, "1"]`
fn sample(point: &Value) -> Option<(i64, f64)> {
    let seconds = point[0].as_f64()?;
    let value = wire::number::parse_float(point[1].as_str()?.as_bytes())?;
    Some(((seconds * 1_000.0).round() as i64, value))
}

/// `tool tsdb import PROMETHEUS-DIR [DIR]`
pub(in super::super) fn import(words: &[&str]) -> Outcome {
    let args = Args::read(words, &Known { switches: &[], values: &[] }).map_err(Failure::Usage)?;
    let (from, dir) = match args.words.as_slice() {
        [from] => (PathBuf::from(from), "data/"),
        [from, dir] => (PathBuf::from(from), dir.as_str()),
        _ => return Err(Failure::Usage("Prometheus' data directory and at most one of ours are needed".to_owned())),
    };
    if !from.is_dir() {
        return Err(format!("{}: no such directory", from.display()).into());
    }
    let db = open_or_create(dir)?;
    let progress = &mut |so_far: &tsdb::Imported| {
        eprintln!("{} blocks, {} segments, {} samples", so_far.blocks, so_far.segments, so_far.samples);
    };
    let imported = tsdb::import_prometheus(&db, &from, now_ms(), progress).map_err(|e| e.to_string())?;
    imported.skipped.iter().for_each(|what| eprintln!("skipped: {what}"));
    println!(
        "{} samples were read from {} blocks and {} segments",
        imported.samples, imported.blocks, imported.segments
    );
    db.close().map_err(|e| e.to_string())?;
    if imported.skipped.is_empty() { Ok(()) } else { Err(Failure::Failed(None)) }
}

/// What is printed of blocks that were written.
struct Print {
    quiet: bool,
    readable: bool,
}

/// Opens a store, lets a function add samples, and prints the blocks that come of it.
fn into_store(dir: &str, print: Print, fill: impl FnOnce(&mut Backfill<'_>) -> Result<(), String>) -> Outcome {
    let db = open_or_create(dir)?;
    let mut backfill = db.backfill(now_ms()).map_err(|e| e.to_string())?;
    fill(&mut backfill)?;
    let mut blocks = backfill.finish().map_err(|e| e.to_string())?;
    blocks.sort_by_key(|meta| meta.min_time);
    if !print.quiet && !blocks.is_empty() {
        let mut out = std::io::stdout().lock();
        list(&db, &blocks, print.readable, &mut out)?;
        out.flush().map_err(|e| e.to_string())?;
    }
    db.close().map_err(|e| e.to_string())?;
    Ok(())
}

fn open_or_create(dir: &str) -> Result<Db, String> {
    std::fs::create_dir_all(dir).map_err(|e| format!("{dir}: {e}"))?;
    open(dir)
}
