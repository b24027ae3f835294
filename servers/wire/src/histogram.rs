//! Native histograms as messages carry them: shared by the protobuf exposition format and remote write.

use model::{FloatHistogram, Histogram, ResetHint, Span};

use crate::proto::{Field, Writer, each_field, unzigzag, zigzag};
use crate::{Error, Result};

/// Most spans, buckets or custom bounds of one side that are read.
const MAX_BUCKETS: usize = 100_000;

/// A native histogram as sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Native {
    /// With integer counts.
    Integer(Histogram),
    /// With float counts.
    Float(FloatHistogram),
}

impl Native {
    /// The form that evaluation uses.
    pub fn to_float(&self) -> FloatHistogram {
        match self {
            Self::Integer(histogram) => histogram.to_float(),
            Self::Float(histogram) => histogram.clone(),
        }
    }

    /// Sum of the observations: a staleness marker says so here.
    pub fn sum(&self) -> f64 {
        match self {
            Self::Integer(histogram) => histogram.sum,
            Self::Float(histogram) => histogram.sum,
        }
    }
}

/// Positive or negative buckets of a message.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) spans: Vec<Span>,
    pub(crate) deltas: Vec<i64>,
    pub(crate) counts: Vec<f64>,
}

impl Side {
    fn read_span(&mut self, field: &Field<'_>) -> Result<()> {
        self.spans.push(span(field.bytes()?)?);
        check(self.spans.len())
    }

    fn read_deltas(&mut self, field: &Field<'_>) -> Result<()> {
        field.push_varints(|v| self.deltas.push(unzigzag(v)))?;
        check(self.deltas.len())
    }

    fn read_counts(&mut self, field: &Field<'_>) -> Result<()> {
        field.push_fixed64(|v| self.counts.push(f64::from_bits(v)))?;
        check(self.counts.len())
    }
}

fn check(len: usize) -> Result<()> {
    if len > MAX_BUCKETS {
        return Err(Error::Limit { what: "buckets of one histogram", limit: MAX_BUCKETS as u64, found: len as u64 });
    }
    Ok(())
}

/// The fields of any of the histogram messages.
#[derive(Default)]
pub(crate) struct HistogramMessage {
    pub(crate) float: bool,
    pub(crate) count: u64,
    pub(crate) count_float: f64,
    pub(crate) sum: f64,
    pub(crate) schema: i32,
    pub(crate) zero_threshold: f64,
    pub(crate) zero_count: u64,
    pub(crate) zero_count_float: f64,
    pub(crate) negative: Side,
    pub(crate) positive: Side,
    pub(crate) reset_hint: ResetHint,
    pub(crate) custom_values: Vec<f64>,
}

impl HistogramMessage {
    pub(crate) fn into_native(self) -> Native {
        let (schema, zero_threshold, sum, reset_hint) = (self.schema, self.zero_threshold, self.sum, self.reset_hint);
        let custom_values = self.custom_values.into();
        if self.float {
            Native::Float(FloatHistogram {
                schema,
                zero_threshold,
                zero_count: self.zero_count_float,
                count: self.count_float,
                sum,
                positive_spans: self.positive.spans,
                positive_buckets: self.positive.counts,
                negative_spans: self.negative.spans,
                negative_buckets: self.negative.counts,
                custom_values,
                reset_hint,
            })
        } else {
            Native::Integer(Histogram {
                schema,
                zero_threshold,
                zero_count: self.zero_count,
                count: self.count,
                sum,
                positive_spans: self.positive.spans,
                positive_deltas: self.positive.deltas,
                negative_spans: self.negative.spans,
                negative_deltas: self.negative.deltas,
                custom_values,
                reset_hint,
            })
        }
    }
}

pub(crate) fn span(bytes: &[u8]) -> Result<Span> {
    let mut span = Span { offset: 0, length: 0 };
    each_field(bytes, |field| {
        match field.number {
            1 => span.offset = field.sint32()?,
            2 => span.length = field.i32()? as u32,
            _ => {}
        }
        Ok(())
    })?;
    Ok(span)
}

/// Reads remote write's `Histogram` (both versions): the histogram, its timestamp and its start timestamp.
pub(crate) fn read(bytes: &[u8]) -> Result<(Native, i64, i64)> {
    let mut message = HistogramMessage::default();
    let (mut timestamp, mut start) = (0, 0);
    each_field(bytes, |field| {
        match field.number {
            1 => message.count = field.u64()?,
            2 => {
                message.float = true;
                message.count_float = field.f64()?;
            }
            3 => message.sum = field.f64()?,
            4 => message.schema = field.sint32()?,
            5 => message.zero_threshold = field.f64()?,
            6 => message.zero_count = field.u64()?,
            7 => message.zero_count_float = field.f64()?,
            8 => message.negative.read_span(&field)?,
            9 => message.negative.read_deltas(&field)?,
            10 => message.negative.read_counts(&field)?,
            11 => message.positive.read_span(&field)?,
            12 => message.positive.read_deltas(&field)?,
            13 => message.positive.read_counts(&field)?,
            14 => {
                message.reset_hint = match field.i32()? {
                    1 => ResetHint::Reset,
                    2 => ResetHint::NotReset,
                    3 => ResetHint::Gauge,
                    _ => ResetHint::Unknown,
                }
            }
            15 => timestamp = field.i64()?,
            16 => {
                field.push_fixed64(|v| message.custom_values.push(f64::from_bits(v)))?;
                check(message.custom_values.len())?;
            }
            17 => start = field.i64()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((message.into_native(), timestamp, start))
}

/// Writes the fields of remote write's `Histogram`.
pub(crate) fn write(w: &mut Writer, native: &Native, timestamp_ms: i64, start_ms: i64) {
    let spans = |w: &mut Writer, number: u32, spans: &[Span]| {
        for span in spans {
            w.message(number, |w| {
                w.varint(1, zigzag(i64::from(span.offset)));
                w.varint(2, u64::from(span.length));
            });
        }
    };
    let deltas = |w: &mut Writer, number: u32, deltas: &[i64]| {
        if !deltas.is_empty() {
            w.message(number, |w| deltas.iter().for_each(|delta| w.raw_varint(zigzag(*delta))));
        }
    };
    let doubles = |w: &mut Writer, number: u32, values: &[f64]| {
        if !values.is_empty() {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
            w.bytes(number, &bytes);
        }
    };
    let head = |w: &mut Writer, sum: f64, schema: i32, zero_threshold: f64| {
        w.double(3, sum);
        w.varint(4, zigzag(i64::from(schema)));
        w.double(5, zero_threshold);
    };
    let (hint, custom) = match native {
        Native::Integer(h) => {
            w.varint(1, h.count);
            head(w, h.sum, h.schema, h.zero_threshold);
            w.varint(6, h.zero_count);
            spans(w, 8, &h.negative_spans);
            deltas(w, 9, &h.negative_deltas);
            spans(w, 11, &h.positive_spans);
            deltas(w, 12, &h.positive_deltas);
            (h.reset_hint, &h.custom_values)
        }
        Native::Float(h) => {
            w.double(2, h.count);
            head(w, h.sum, h.schema, h.zero_threshold);
            w.double(7, h.zero_count);
            spans(w, 8, &h.negative_spans);
            doubles(w, 10, &h.negative_buckets);
            spans(w, 11, &h.positive_spans);
            doubles(w, 13, &h.positive_buckets);
            (h.reset_hint, &h.custom_values)
        }
    };
    let hint = match hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    };
    w.varint(14, hint);
    w.varint(15, timestamp_ms as u64);
    doubles(w, 16, custom);
    if start_ms != 0 {
        w.varint(17, start_ms as u64);
    }
}
