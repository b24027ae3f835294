//! Pages of text: Prometheus' format and OpenMetrics.

use std::collections::HashMap;

use model::{Labels, METRIC_NAME};
use wire::exposition::{Event, MetricKind, Parser, Series, TextFormat, unescape};

use super::PageError;
use super::ingest::{Ingest, PageExemplar};
use super::nhcb::Collector;

/// Reads a page.
pub(super) fn read(ingest: &mut Ingest<'_>, page: &[u8], format: TextFormat) -> Result<(), PageError> {
    let times = ingest.settings.start_times;
    let wants_start = format == TextFormat::OpenMetrics && (times.zero_sample || times.store);
    if wants_start {
        ingest.created = start_times(page)?;
    }
    let mut classic = ingest.settings.convert_classic.then(Collector::default);
    let mut parser = Parser::new(page, format);
    while let Some(event) = parser.next_event_hinted(ingest.hint())? {
        let series = match event {
            Event::Series(series) => series,
            Event::Type { name, kind } => {
                flush(&mut classic, ingest)?;
                ingest.note(name, true, |metadata| metadata.kind = kind);
                continue;
            }
            Event::Help { name, text } => {
                ingest.note(name, true, |metadata| {
                    if *metadata.help != *unescape(text) {
                        metadata.help = unescape(text).into_owned();
                    }
                });
                continue;
            }
            Event::Unit { name, unit } => {
                ingest.note(name, true, |metadata| unit.clone_into(&mut metadata.unit));
                continue;
            }
            Event::Comment => continue,
        };
        if wants_start && series.is_created() {
            continue;
        }
        if let Some(classic) = &mut classic
            && series.kind == MetricKind::Histogram
        {
            let exemplar = series.exemplar.as_ref().map(|exemplar| PageExemplar {
                labels: Labels::from_pairs(exemplar.labels()),
                value: exemplar.value,
                timestamp_ms: exemplar.timestamp_ms,
            });
            let taken = classic.take(ingest, &series.to_labels(true)?, series.value, series.timestamp_ms, exemplar)?;
            if taken && !ingest.settings.keep_classic {
                continue;
            }
        }
        let found = ingest.series(series.raw, series.timestamp_ms, None, || {
            let labels = series.to_labels(true)?;
            let hidden = series.labels().filter(|(_, value)| value.is_empty()).map(|(name, _)| name.into_owned());
            let created = wants_start.then(|| start_key(&labels, series.kind));
            Ok((labels, hidden.collect(), created))
        })?;
        let Some(found) = found else { continue };
        ingest.sample(&found, series.value);
        if let Some(exemplar) = &series.exemplar {
            let exemplar = PageExemplar {
                labels: Labels::from_pairs(exemplar.labels()),
                value: exemplar.value,
                timestamp_ms: exemplar.timestamp_ms,
            };
            ingest.exemplar(&found, exemplar);
        }
    }
    flush(&mut classic, ingest)
}

fn flush(classic: &mut Option<Collector>, ingest: &mut Ingest<'_>) -> Result<(), PageError> {
    match classic {
        Some(classic) => classic.finish(ingest),
        None => Ok(()),
    }
}

/// The start times a page gives in `_created` lines, by family and labels.
fn start_times(page: &[u8]) -> Result<HashMap<Labels, i64>, PageError> {
    let mut found = HashMap::new();
    let mut parser = Parser::new(page, TextFormat::OpenMetrics);
    while let Some(event) = parser.next_event()? {
        let Event::Series(series) = event else { continue };
        if series.is_created() && series.value.is_finite() {
            found.insert(created_key(&series)?, (series.value * 1000.0) as i64);
        }
    }
    Ok(found)
}

fn created_key(series: &Series<'_>) -> Result<Labels, PageError> {
    let labels = series.to_labels(true)?;
    let mut builder = labels.to_builder();
    builder.set(METRIC_NAME, labels.metric_name().unwrap_or("").trim_end_matches("_created"));
    Ok(builder.build())
}

/// Family and labels of a series without those that tell its samples apart.
fn start_key(labels: &Labels, kind: MetricKind) -> Labels {
    let name = labels.metric_name().unwrap_or("");
    let suffixes: &[&str] = match kind {
        MetricKind::Counter => &["_total"],
        MetricKind::Histogram => &["_bucket", "_count", "_sum"],
        MetricKind::Summary => &["_count", "_sum"],
        _ => &[],
    };
    let family = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    let mut builder = labels.to_builder();
    builder.set(METRIC_NAME, family);
    match kind {
        MetricKind::Histogram => builder.del("le"),
        MetricKind::Summary => builder.del("quantile"),
        _ => &mut builder,
    };
    builder.build()
}
