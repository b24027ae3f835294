//! Whether a histogram that came from outside makes sense.

use super::{CUSTOM_BUCKETS, FloatHistogram, Span};

/// Why a histogram is refused. Messages are Prometheus'.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHistogram {
    /// Neither -4..=8 nor custom buckets.
    #[error(
        "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets, got schema {0}"
    )]
    Schema(i32),
    /// All observations are fewer than none.
    #[error("observation count is {0}: histogram's observation count is negative")]
    NegativeCount(f64),
    /// A bucket is below zero.
    #[error(
        "{side} side: bucket number {number} has observation count of {count}: histogram has a bucket whose observation count is negative"
    )]
    NegativeBucket {
        /// Positive or negative.
        side: &'static str,
        /// From 1.
        number: usize,
        /// Its count.
        count: f64,
    },
    /// The zero bucket is below zero.
    #[error("zero bucket has observation count of {0}: histogram has a bucket whose observation count is negative")]
    NegativeZeroBucket(f64),
    /// A span overlaps the one before.
    #[error("{side} side: span number {number} with offset {offset}: histogram has a span whose offset is negative")]
    NegativeOffset {
        /// Positive or negative.
        side: &'static str,
        /// From 1.
        number: usize,
        /// Its offset.
        offset: i32,
    },
    /// Spans and buckets disagree.
    #[error(
        "{side} side: spans need {need} buckets, have {have} buckets: histogram spans specify different number of buckets than provided"
    )]
    SpansMismatch {
        /// Positive or negative.
        side: &'static str,
        /// Sum of the spans' lengths.
        need: u64,
        /// Buckets given.
        have: usize,
    },
    /// Custom boundaries are out of order, infinite or NaN.
    #[error("custom buckets: histogram custom bounds must be finite and in strictly increasing order")]
    Bounds,
    /// More buckets than boundaries.
    #[error(
        "custom buckets: only {bounds} custom bounds defined which is insufficient to cover total span length of {needed}: histogram custom bounds are too few"
    )]
    TooFewBounds {
        /// Boundaries given.
        bounds: usize,
        /// Buckets the spans reach.
        needed: u64,
    },
    /// A zero bucket or negative buckets beside custom ones, or custom boundaries beside exponential buckets.
    #[error("{0}")]
    Mixed(&'static str),
}

impl FloatHistogram {
    /// Checks that spans, buckets and boundaries fit together and no count is negative.
    ///
    /// # Errors
    /// What does not fit.
    pub fn validate(&self) -> Result<(), InvalidHistogram> {
        if self.has_custom_buckets() {
            self.validate_custom()?;
        } else if (-4..=8).contains(&self.schema) {
            check_spans("positive", &self.positive_spans, self.positive_buckets.len())?;
            check_spans("negative", &self.negative_spans, self.negative_buckets.len())?;
            check_counts("negative", &self.negative_buckets)?;
            if self.zero_count < 0.0 {
                return Err(InvalidHistogram::NegativeZeroBucket(self.zero_count));
            }
            if !self.custom_values.is_empty() {
                return Err(InvalidHistogram::Mixed("histogram with exponential schema must not have custom bounds"));
            }
        } else {
            return Err(InvalidHistogram::Schema(self.schema));
        }
        if self.count < 0.0 {
            return Err(InvalidHistogram::NegativeCount(self.count));
        }
        check_counts("positive", &self.positive_buckets)
    }

    fn validate_custom(&self) -> Result<(), InvalidHistogram> {
        debug_assert_eq!(self.schema, CUSTOM_BUCKETS);
        let bounds = &self.custom_values;
        let ordered = bounds.windows(2).all(|w| w[0] < w[1]);
        if !ordered || bounds.iter().any(|b| b.is_nan()) || bounds.last() == Some(&f64::INFINITY) {
            return Err(InvalidHistogram::Bounds);
        }
        check_spans("positive", &self.positive_spans, self.positive_buckets.len())?;
        if let Some(first) = self.positive_spans.first().filter(|s| s.offset < 0) {
            return Err(InvalidHistogram::NegativeOffset { side: "positive", number: 1, offset: first.offset });
        }
        let needed: u64 =
            self.positive_spans.iter().map(|s| u64::from(s.length) + u64::from(s.offset.unsigned_abs())).sum();
        if (bounds.len() as u64) + 1 < needed {
            return Err(InvalidHistogram::TooFewBounds { bounds: bounds.len(), needed });
        }
        let mixed = [
            (self.zero_count != 0.0, "custom buckets: must have zero count of 0"),
            (self.zero_threshold != 0.0, "custom buckets: must have zero threshold of 0"),
            (!self.negative_spans.is_empty(), "custom buckets: must not have negative spans"),
            (!self.negative_buckets.is_empty(), "custom buckets: must not have negative buckets"),
        ];
        mixed.iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, what)| Err(InvalidHistogram::Mixed(what)))
    }
}

fn check_spans(side: &'static str, spans: &[Span], have: usize) -> Result<(), InvalidHistogram> {
    if let Some((at, span)) = spans.iter().enumerate().skip(1).find(|(_, s)| s.offset < 0) {
        return Err(InvalidHistogram::NegativeOffset { side, number: at + 1, offset: span.offset });
    }
    let need: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
    if need != have as u64 { Err(InvalidHistogram::SpansMismatch { side, need, have }) } else { Ok(()) }
}

fn check_counts(side: &'static str, counts: &[f64]) -> Result<(), InvalidHistogram> {
    match counts.iter().position(|c| *c < 0.0) {
        Some(at) => Err(InvalidHistogram::NegativeBucket { side, number: at + 1, count: counts[at] }),
        None => Ok(()),
    }
}
