//! Delimited `io.prometheus.client.MetricFamily` messages: the scrape format that carries native histograms.
//!
//! [`Families`] yields one [`FamilyRef`] per message, which yields its [`MetricRef`]s; names, labels and values are
//! borrowed, only histograms and summaries build columns.

use model::ResetHint;

use super::MetricKind;
use crate::histogram::{HistogramMessage, Native, Side, span};
use crate::proto::{Field, Reader};
use crate::{Error, Result};

/// Most buckets, spans or quantiles read of one metric.
const MAX_PARTS: usize = 100_000;

/// The families of a page.
#[derive(Clone, Debug)]
pub struct Families<'a> {
    reader: Reader<'a>,
    failed: bool,
}

impl<'a> Families<'a> {
    /// The families of a page.
    pub fn new(page: &'a [u8]) -> Self {
        Self { reader: Reader::new(page), failed: false }
    }
}

impl<'a> Iterator for Families<'a> {
    type Item = Result<FamilyRef<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.reader.is_done() {
            return None;
        }
        let family = self.reader.delimited().and_then(FamilyRef::new);
        self.failed = family.is_err();
        Some(family)
    }
}

/// One family.
#[derive(Clone, Debug)]
pub struct FamilyRef<'a> {
    bytes: &'a [u8],
    /// Name, as in the text format (counters with `_total`).
    pub name: &'a str,
    /// Description.
    pub help: &'a str,
    /// Unit.
    pub unit: &'a str,
    /// Type.
    pub kind: MetricKind,
}

impl<'a> FamilyRef<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self> {
        let mut family = Self { bytes, name: "", help: "", unit: "", kind: MetricKind::Counter };
        let mut reader = Reader::new(bytes);
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 => family.name = field.str()?,
                2 => family.help = field.str()?,
                3 => {
                    family.kind = match field.u64()? {
                        0 => MetricKind::Counter,
                        1 => MetricKind::Gauge,
                        2 => MetricKind::Summary,
                        3 => MetricKind::Unknown,
                        4 => MetricKind::Histogram,
                        5 => MetricKind::GaugeHistogram,
                        other => return Err(Error::Invalid(format!("unknown metric type {other}"))),
                    }
                }
                5 => family.unit = field.str()?,
                _ => {}
            }
        }
        if family.name.is_empty() {
            return Err(Error::Invalid("metric family without a name".into()));
        }
        Ok(family)
    }

    /// Its metrics.
    pub fn metrics(&self) -> impl Iterator<Item = Result<MetricRef<'a>>> + use<'a> {
        let (mut reader, kind, mut failed) = (Reader::new(self.bytes), self.kind, false);
        std::iter::from_fn(move || {
            loop {
                if failed {
                    return None;
                }
                let metric = match reader.next_field() {
                    Ok(None) => return None,
                    Ok(Some(field)) if field.number != 4 => continue,
                    Ok(Some(field)) => field.bytes().and_then(|bytes| MetricRef::new(bytes, kind)),
                    Err(error) => Err(error),
                };
                failed = metric.is_err();
                return Some(metric);
            }
        })
    }
}

/// One metric of a family.
#[derive(Clone, Debug)]
pub struct MetricRef<'a> {
    bytes: &'a [u8],
    /// Value.
    pub value: ValueRef<'a>,
    /// Explicit timestamp.
    pub timestamp_ms: Option<i64>,
    /// When the counter, histogram or summary began.
    pub start_ms: Option<i64>,
}

impl<'a> MetricRef<'a> {
    fn new(bytes: &'a [u8], kind: MetricKind) -> Result<Self> {
        let mut metric = Self { bytes, value: ValueRef::Single(0.0, None), timestamp_ms: None, start_ms: None };
        let mut found = false;
        let mut reader = Reader::new(bytes);
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 => {
                    pair(field.bytes()?)?;
                }
                2 if kind == MetricKind::Gauge => metric.single(&field)?,
                3 if kind == MetricKind::Counter => metric.single(&field)?,
                4 if kind == MetricKind::Summary => metric.summary(field.bytes()?)?,
                5 if kind == MetricKind::Unknown => metric.single(&field)?,
                6 => {
                    metric.timestamp_ms = Some(field.i64()?).filter(|ms| *ms != 0);
                    continue;
                }
                7 if matches!(kind, MetricKind::Histogram | MetricKind::GaugeHistogram) => {
                    let mut histogram = HistogramRef::new(field.bytes()?, kind == MetricKind::GaugeHistogram)?;
                    metric.start_ms = histogram.start_ms.take();
                    metric.value = ValueRef::Histogram(Box::new(histogram));
                }
                _ => continue,
            }
            found |= field.number != 1;
        }
        if !found {
            return Err(Error::Invalid(format!("metric without a value of type {}", kind.as_str())));
        }
        Ok(metric)
    }

    fn single(&mut self, field: &Field<'a>) -> Result<()> {
        let mut reader = Reader::new(field.bytes()?);
        let (mut value, mut exemplar) = (0.0, None);
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 => value = field.f64()?,
                2 => exemplar = Some(ExemplarMsg::new(field.bytes()?)?),
                3 => self.start_ms = Some(timestamp(field.bytes()?)?),
                _ => {}
            }
        }
        self.value = ValueRef::Single(value, exemplar);
        Ok(())
    }

    fn summary(&mut self, bytes: &'a [u8]) -> Result<()> {
        let (mut count, mut sum, mut quantiles) = (0, 0.0, Vec::new());
        let mut reader = Reader::new(bytes);
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 => count = field.u64()?,
                2 => sum = field.f64()?,
                3 => {
                    let mut quantile = (0.0, 0.0);
                    let mut reader = Reader::new(field.bytes()?);
                    while let Some(field) = reader.next_field()? {
                        match field.number {
                            1 => quantile.0 = field.f64()?,
                            2 => quantile.1 = field.f64()?,
                            _ => {}
                        }
                    }
                    push(&mut quantiles, quantile)?;
                }
                4 => self.start_ms = Some(timestamp(field.bytes()?)?),
                _ => {}
            }
        }
        self.value = ValueRef::Summary { count, sum, quantiles };
        Ok(())
    }

    /// Labels in the order of the message, without the name.
    pub fn labels(&self) -> LabelPairs<'a> {
        LabelPairs { reader: Reader::new(self.bytes) }
    }
}

/// Label pairs: every field 1 of a metric or an exemplar.
#[derive(Clone, Debug)]
pub struct LabelPairs<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for LabelPairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        // Both were checked when the message was read.
        loop {
            let field = self.reader.next_field().ok()??;
            if field.number == 1 {
                return pair(field.bytes().ok()?).ok();
            }
        }
    }
}

fn pair(bytes: &[u8]) -> Result<(&str, &str)> {
    let mut pair = ("", "");
    let mut reader = Reader::new(bytes);
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => pair.0 = field.str()?,
            2 => pair.1 = field.str()?,
            _ => {}
        }
    }
    Ok(pair)
}

fn timestamp(bytes: &[u8]) -> Result<i64> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    let mut reader = Reader::new(bytes);
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => seconds = field.i64()?,
            2 => nanos = i64::from(field.i32()?),
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
}

fn push<T>(list: &mut Vec<T>, value: T) -> Result<()> {
    if list.len() >= MAX_PARTS {
        let found = MAX_PARTS as u64 + 1;
        return Err(Error::Limit { what: "buckets of one metric", limit: MAX_PARTS as u64, found });
    }
    list.push(value);
    Ok(())
}

/// Value of a metric.
#[derive(Clone, Debug)]
pub enum ValueRef<'a> {
    /// Counter (with its exemplar), gauge or untyped.
    Single(f64, Option<ExemplarMsg<'a>>),
    /// Summary.
    Summary {
        /// Observations.
        count: u64,
        /// Their sum.
        sum: f64,
        /// Quantile and value.
        quantiles: Vec<(f64, f64)>,
    },
    /// Classic histogram, native histogram, or both.
    Histogram(Box<HistogramRef<'a>>),
}

/// An exemplar.
#[derive(Clone, Debug)]
pub struct ExemplarMsg<'a> {
    bytes: &'a [u8],
    /// Observed value.
    pub value: f64,
    /// When it was observed.
    pub timestamp_ms: Option<i64>,
}

impl<'a> ExemplarMsg<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self> {
        let mut exemplar = Self { bytes, value: 0.0, timestamp_ms: None };
        let mut reader = Reader::new(bytes);
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 => {
                    pair(field.bytes()?)?;
                }
                2 => exemplar.value = field.f64()?,
                3 => exemplar.timestamp_ms = Some(timestamp(field.bytes()?)?),
                _ => {}
            }
        }
        Ok(exemplar)
    }

    /// Its labels.
    pub fn labels(&self) -> LabelPairs<'a> {
        LabelPairs { reader: Reader::new(self.bytes) }
    }
}

/// A histogram message.
#[derive(Clone, Debug)]
pub struct HistogramRef<'a> {
    /// Observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Classic buckets: upper bound, cumulative count, exemplar. `+Inf` may be missing; its count is `count`.
    pub buckets: Vec<(f64, f64, Option<ExemplarMsg<'a>>)>,
    /// The native histogram in the message.
    pub native: Option<Native>,
    /// Exemplars of the native histogram.
    pub exemplars: Vec<ExemplarMsg<'a>>,
    start_ms: Option<i64>,
}

impl<'a> HistogramRef<'a> {
    fn new(bytes: &'a [u8], gauge: bool) -> Result<Self> {
        let (mut count, mut count_float, mut zero_count, mut zero_count_float) = (0u64, 0.0f64, 0u64, 0.0f64);
        let (mut sum, mut schema, mut zero_threshold) = (0.0, 0i32, 0.0f64);
        let (mut negative, mut positive) = (Side::default(), Side::default());
        let (mut buckets, mut exemplars, mut start_ms) = (Vec::new(), Vec::new(), None);
        let mut reader = Reader::new(bytes);
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 => count = field.u64()?,
                2 => sum = field.f64()?,
                3 => push(&mut buckets, bucket(field.bytes()?)?)?,
                4 => count_float = field.f64()?,
                5 => schema = field.sint32()?,
                6 => zero_threshold = field.f64()?,
                7 => zero_count = field.u64()?,
                8 => zero_count_float = field.f64()?,
                9 => push(&mut negative.spans, span(field.bytes()?)?)?,
                10 => field.push_varints(|v| negative.deltas.push(crate::proto::unzigzag(v)))?,
                11 => field.push_fixed64(|v| negative.counts.push(f64::from_bits(v)))?,
                12 => push(&mut positive.spans, span(field.bytes()?)?)?,
                13 => field.push_varints(|v| positive.deltas.push(crate::proto::unzigzag(v)))?,
                14 => field.push_fixed64(|v| positive.counts.push(f64::from_bits(v)))?,
                15 => start_ms = Some(timestamp(field.bytes()?)?),
                16 => push(&mut exemplars, ExemplarMsg::new(field.bytes()?)?)?,
                _ => {}
            }
        }
        let float = count_float > 0.0 || zero_count_float > 0.0;
        let is_native = !negative.spans.is_empty()
            || !positive.spans.is_empty()
            || zero_threshold > 0.0
            || zero_count > 0
            || zero_count_float > 0.0;
        let native = is_native.then(|| {
            let message = HistogramMessage {
                float,
                count,
                count_float,
                sum,
                schema,
                zero_threshold,
                zero_count,
                zero_count_float,
                negative,
                positive,
                reset_hint: if gauge { ResetHint::Gauge } else { ResetHint::Unknown },
                custom_values: Vec::new(),
            };
            message.into_native()
        });
        let count = if count_float > 0.0 { count_float } else { count as f64 };
        Ok(Self { count, sum, buckets, native, exemplars, start_ms })
    }
}

fn bucket(bytes: &[u8]) -> Result<(f64, f64, Option<ExemplarMsg<'_>>)> {
    let (mut count, mut count_float, mut bound, mut exemplar) = (0u64, 0.0f64, 0.0, None);
    let mut reader = Reader::new(bytes);
    while let Some(field) = reader.next_field()? {
        match field.number {
            1 => count = field.u64()?,
            2 => bound = field.f64()?,
            3 => exemplar = Some(ExemplarMsg::new(field.bytes()?)?),
            4 => count_float = field.f64()?,
            _ => {}
        }
    }
    Ok((bound, if count_float > 0.0 { count_float } else { count as f64 }, exemplar))
}
