//! Pages of delimited protobuf messages: the format that has native histograms.
//!
//! A message names its series by structure, not by text. So that the cache of texts serves here too, each series has a key that is
//! built in one buffer: name, suffix, labels, and the bound of a bucket, with bytes between that no text holds.

use model::{Labels, LabelsBuilder, METRIC_NAME};
use tsdb::NativeHistogram;
use wire::Native;
use wire::exposition::protobuf::{ExemplarMsg, Families, FamilyRef, HistogramRef, MetricRef, ValueRef};
use wire::number::write_openmetrics_float;

use super::PageError;
use super::ingest::{Found, Ingest, PageExemplar};
use super::nhcb::Classic;

/// Reads a page.
pub(super) fn read(ingest: &mut Ingest<'_>, page: &[u8]) -> Result<(), PageError> {
    let mut key = Vec::new();
    for family in Families::new(page) {
        let family = family?;
        ingest.note(family.name, false, |metadata| {
            metadata.kind = family.kind;
            family.help.clone_into(&mut metadata.help);
            family.unit.clone_into(&mut metadata.unit);
        });
        for metric in family.metrics() {
            let metric = metric?;
            let mut reader = Reader { ingest, family: &family, metric: &metric, key: &mut key };
            match &metric.value {
                ValueRef::Single(value, exemplar) => {
                    if let Some(found) = reader.sample("", None, *value)? {
                        reader.exemplar(&found, exemplar.as_ref());
                    }
                }
                ValueRef::Summary { count, sum, quantiles } => {
                    reader.sample("_count", None, *count as f64)?;
                    reader.sample("_sum", None, *sum)?;
                    for (quantile, value) in quantiles {
                        reader.sample("", Some(("quantile", *quantile)), *value)?;
                    }
                }
                ValueRef::Histogram(histogram) => reader.histogram(histogram)?,
            }
        }
    }
    Ok(())
}

struct Reader<'r, 'i, 'p> {
    ingest: &'r mut Ingest<'i>,
    family: &'r FamilyRef<'p>,
    metric: &'r MetricRef<'p>,
    key: &'r mut Vec<u8>,
}

impl Reader<'_, '_, '_> {
    fn series(&mut self, suffix: &str, bound: Option<(&str, f64)>) -> Result<Option<Found>, PageError> {
        let Self { ingest, family, metric, key } = self;
        key.clear();
        key.extend_from_slice(family.name.as_bytes());
        key.extend_from_slice(suffix.as_bytes());
        for (name, value) in metric.labels() {
            key.push(0xff);
            key.extend_from_slice(name.as_bytes());
            key.push(0xfe);
            key.extend_from_slice(value.as_bytes());
        }
        if let Some((_, bound)) = bound {
            key.push(0xfd);
            key.extend_from_slice(&bound.to_bits().to_le_bytes());
        }
        ingest.series(key, metric.timestamp_ms, metric.start_ms, || {
            let mut builder = LabelsBuilder::new();
            let mut hidden = Vec::new();
            for (name, value) in metric.labels() {
                if builder.get(name).is_some() {
                    return Err(PageError::Invalid(format!("label name {name:?} is not unique: invalid sample")));
                }
                if value.is_empty() {
                    hidden.push(name.to_owned());
                }
                builder.set(name, value);
            }
            builder.set(METRIC_NAME, &format!("{}{suffix}", family.name));
            if let Some((name, bound)) = bound {
                let mut text = Vec::with_capacity(8);
                write_openmetrics_float(&mut text, bound);
                builder.set(name, &String::from_utf8_lossy(&text));
            }
            Ok((builder.build(), hidden, None))
        })
    }

    fn sample(&mut self, suffix: &str, bound: Option<(&str, f64)>, value: f64) -> Result<Option<Found>, PageError> {
        let found = self.series(suffix, bound)?;
        if let Some(found) = &found {
            self.ingest.sample(found, value);
        }
        Ok(found)
    }

    fn exemplar(&mut self, found: &Found, exemplar: Option<&ExemplarMsg<'_>>) {
        if let Some(exemplar) = exemplar {
            let labels = Labels::from_pairs(exemplar.labels());
            let exemplar = PageExemplar { labels, value: exemplar.value, timestamp_ms: exemplar.timestamp_ms };
            self.ingest.exemplar(found, exemplar);
        }
    }

    /// The classic form when there is no other, when it is wanted too, or when the native one is not.
    fn histogram(&mut self, histogram: &HistogramRef<'_>) -> Result<(), PageError> {
        let settings = self.ingest.settings;
        let native = histogram.native.as_ref().filter(|_| settings.native);
        let converted = match native {
            None if settings.convert_classic && !histogram.buckets.is_empty() => classic(histogram).convert(),
            _ => None,
        };
        let is_native = native.is_some() || converted.is_some();
        let histogram_sample = native.map(|native| match native {
            Native::Integer(histogram) => NativeHistogram::Integer(histogram.clone()),
            Native::Float(histogram) => NativeHistogram::Float(histogram.clone()),
        });
        if let Some(sample) = histogram_sample.or(converted)
            && let Some(found) = self.series("", None)?
        {
            self.ingest.histogram(&found, sample);
            if native.is_some() && !histogram.exemplars.is_empty() {
                // Exemplars of native histograms need a time: without one their order is not known.
                for exemplar in histogram.exemplars.iter().filter(|exemplar| exemplar.timestamp_ms.is_some()) {
                    self.exemplar(&found, Some(exemplar));
                }
            } else {
                for (_, _, exemplar) in &histogram.buckets {
                    self.exemplar(&found, exemplar.as_ref().filter(|exemplar| exemplar.timestamp_ms.is_some()));
                }
            }
        }
        let keep_classic = settings.keep_classic && !histogram.buckets.is_empty();
        if is_native && !keep_classic {
            return Ok(());
        }
        self.sample("_count", None, histogram.count)?;
        self.sample("_sum", None, histogram.sum)?;
        let mut infinite = false;
        for (bound, count, exemplar) in &histogram.buckets {
            infinite |= *bound == f64::INFINITY;
            if let Some(found) = self.sample("_bucket", Some(("le", *bound)), *count)? {
                self.exemplar(&found, exemplar.as_ref());
            }
        }
        if !infinite {
            self.sample("_bucket", Some(("le", f64::INFINITY)), histogram.count)?;
        }
        Ok(())
    }
}

fn classic(histogram: &HistogramRef<'_>) -> Classic {
    let mut classic = Classic::default();
    classic.set_count(histogram.count);
    classic.set_sum(histogram.sum);
    for (bound, count, _) in &histogram.buckets {
        classic.add_bucket(*bound, *count);
    }
    classic
}
