//! The `textfile` collector: metrics that other programs leave in `*.prom` files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use kit::metrics::{Family, LabelPair, Metric, MetricKind, MetricValue};
use wire::exposition::{Event, Histogram, Parser, Summary, TextFormat, unescape};

use super::Collector;
use super::source::{Out, Result, names};

pub(super) fn textfile(node: &Collector, out: &mut Out) -> Result {
    let mut failed = false;
    let mut files = Vec::new();
    for pattern in &node.config.textfile_directories {
        let dirs = crate::glob::expand(pattern);
        let dirs = if dirs.is_empty() { vec![PathBuf::from(pattern)] } else { dirs };
        for dir in dirs {
            if !dir.is_dir() {
                tracing::error!(component = "node", path = %dir.display(), "failed to read textfile collector directory");
                failed = true;
                continue;
            }
            files.extend(names(&dir).into_iter().filter(|name| name.ends_with(".prom")).map(|name| dir.join(name)));
        }
    }
    let mut help: HashMap<String, String> = HashMap::new();
    let mut origins: HashMap<String, Vec<String>> = HashMap::new();
    let mut families = Vec::new();
    let mut times = BTreeMap::new();
    for file in files {
        let shown = file.display().to_string();
        match read_file(&file) {
            Ok((mtime, parsed)) => {
                for family in parsed {
                    if let Some(first) = help.get(&*family.name)
                        && !family.help.is_empty()
                        && *first != family.help
                    {
                        tracing::error!(component = "node", metric = %family.name, file = shown, "inconsistent metric help text");
                        failed = true;
                        continue;
                    }
                    if !family.help.is_empty() {
                        help.insert(family.name.to_string(), family.help.to_string());
                    }
                    origins.entry(family.name.to_string()).or_default().push(shown.clone());
                    families.push(family);
                }
                times.insert(shown, mtime);
            }
            Err(error) => {
                tracing::error!(component = "node", file = shown, error, "failed to collect textfile data");
                failed = true;
            }
        }
    }
    for family in families {
        let text = match help.get(&*family.name) {
            Some(text) => text.clone(),
            None => {
                let files = origins.get(&*family.name).map(|files| files.join(", ")).unwrap_or_default();
                format!("Metric read from {files}")
            }
        };
        out.family(family.kind, family.name, text.into()).metrics.extend(family.metrics);
    }
    for (file, mtime) in times {
        let help = "Unixtime mtime of textfiles successfully read.";
        out.gauge("node_textfile_mtime_seconds", help, &[("file", &file)], mtime);
    }
    let help = "1 if there was an error opening or reading a file, 0 otherwise";
    out.gauge("node_textfile_scrape_error", help, &[], f64::from(u8::from(failed)));
    Ok(())
}

fn read_file(file: &Path) -> Result<(f64, Vec<Family>), String> {
    let page = std::fs::read(file).map_err(|e| format!("failed to open textfile data file: {e}"))?;
    let families = parse(&page).map_err(|e| format!("failed to parse textfile data: {e}"))?;
    let modified = std::fs::metadata(file).and_then(|meta| meta.modified()).map_err(|e| e.to_string())?;
    let mtime = modified.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs() as f64);
    Ok((mtime, families))
}

/// Labels in the order of the file.
type LabelSet = Vec<(String, String)>;
/// Suffix of the sample's name, bound of a bucket or quantile, value.
type Part = (&'static str, Option<f64>, f64);

/// Reads a page into families; parts of histograms and summaries are put together.
fn parse(page: &[u8]) -> std::result::Result<Vec<Family>, String> {
    let mut families: BTreeMap<String, (MetricKind, String)> = BTreeMap::new();
    let mut samples: Vec<(String, LabelSet, f64)> = Vec::new();
    let mut parser = Parser::new(page, TextFormat::Prometheus);
    while let Some(event) = parser.next_event().map_err(|e| e.to_string())? {
        match event {
            Event::Type { name, kind } => families.entry(name.to_owned()).or_default().0 = kind,
            Event::Help { name, text } => {
                families.entry(name.to_owned()).or_default().1 = unescape(text).into_owned();
            }
            Event::Series(series) => {
                if series.timestamp_ms.is_some() {
                    return Err("contains unsupported client-side timestamps, skipping entire file".into());
                }
                let mut labels = series.labels();
                let name = labels.next().map(|(_, name)| name.into_owned()).unwrap_or_default();
                let labels = labels.map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
                samples.push((name, labels, series.value));
            }
            Event::Unit { .. } | Event::Comment => {}
        }
    }
    let mut built: BTreeMap<String, Building> = BTreeMap::new();
    for (sample, labels, value) in samples {
        let part = ["_bucket", "_count", "_sum"].into_iter().find_map(|suffix| {
            let base = sample.strip_suffix(suffix)?;
            let kind = families.get(base)?.0;
            let fits = kind == MetricKind::Histogram || (kind == MetricKind::Summary && suffix != "_bucket");
            fits.then(|| (base.to_owned(), suffix))
        });
        let (name, suffix) = part.unwrap_or((sample, ""));
        let special = match (families.get(&name).map(|(kind, _)| *kind), suffix) {
            (Some(MetricKind::Histogram), "_bucket") => "le",
            (Some(MetricKind::Summary), "") => "quantile",
            _ => "",
        };
        built.entry(name).or_default().add(suffix, special, labels, value);
    }
    Ok(built
        .into_iter()
        .map(|(name, building)| {
            let (kind, help) = families.remove(&name).unwrap_or_default();
            let mut family = Family::new(name, help, kind);
            family.metrics = building.finish(kind);
            family
        })
        .collect())
}

/// Samples of one family by label set (without `le` and `quantile`), in the order of the file.
#[derive(Default)]
struct Building {
    order: Vec<LabelSet>,
    parts: HashMap<LabelSet, Vec<Part>>,
}

impl Building {
    fn add(&mut self, suffix: &'static str, special: &str, mut labels: LabelSet, value: f64) {
        let bound = labels.iter().position(|(name, _)| name == special);
        let bound = bound.map(|at| labels.remove(at).1);
        let bound = bound.map(|text| text.parse().unwrap_or(f64::INFINITY));
        let parts = self.parts.entry(labels.clone()).or_insert_with(|| {
            self.order.push(labels);
            Vec::new()
        });
        parts.push((suffix, bound, value));
    }

    fn finish(self, kind: MetricKind) -> Vec<Metric> {
        // Labels that some metrics of the family lack are filled with nothing, so that all have the same.
        let all: BTreeSet<String> = self.order.iter().flatten().map(|(name, _)| name.clone()).collect();
        let mut metrics = Vec::new();
        for labels in self.order {
            let parts = self.parts.get(&labels).map_or(&[][..], Vec::as_slice);
            let pairs: Vec<LabelPair> = all
                .iter()
                .map(|name| {
                    let value = labels.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v);
                    (name.clone().into(), value.to_owned().into())
                })
                .collect();
            let get = |suffix: &str| parts.iter().find(|(s, ..)| *s == suffix).map_or(0.0, |(.., value)| *value);
            let bounds = |suffix: &str| {
                let rows = parts.iter().filter(|(s, bound, _)| *s == suffix && bound.is_some());
                rows.map(|(_, bound, value)| (bound.unwrap_or(0.0), *value)).collect::<Vec<_>>()
            };
            let values = match kind {
                MetricKind::Histogram => vec![MetricValue::Histogram(Histogram {
                    count: get("_count") as u64,
                    sum: get("_sum"),
                    buckets: bounds("_bucket").into_iter().map(|(le, count)| (le, count as u64)).collect(),
                })],
                MetricKind::Summary => vec![MetricValue::Summary(Summary {
                    count: get("_count") as u64,
                    sum: get("_sum"),
                    quantiles: bounds(""),
                })],
                _ => parts.iter().map(|(.., value)| MetricValue::Single(*value)).collect(),
            };
            for value in values {
                metrics.push(Metric { labels: pairs.clone(), value, exemplar: None, timestamp_ms: None });
            }
        }
        metrics
    }
}
