//! Quantiles and fractions of the observations of a histogram.

use super::FloatHistogram;

/// What observations of NaN, which are in no bucket, did to a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NanObservations {
    /// The quantile lies among them: it is NaN.
    Result,
    /// They count as larger than everything: the quantile is too high.
    Skew,
    /// They are in no fraction.
    Excluded,
}

impl FloatHistogram {
    /// The `q`-quantile, 0 <= q <= 1, estimated within a bucket: linearly for custom buckets and the zero bucket, on a
    /// logarithmic scale for the others. Below 0 it is -Inf, above 1 it is +Inf, NaN for NaN and without observations.
    pub fn quantile(&self, q: f64) -> (f64, Option<NanObservations>) {
        if q < 0.0 {
            return (f64::NEG_INFINITY, None);
        }
        if q > 1.0 {
            return (f64::INFINITY, None);
        }
        if self.count == 0.0 || q.is_nan() {
            return (f64::NAN, None);
        }
        // From the nearer end; NaN observations are missing at the upper one.
        let forward = self.sum.is_nan() || q < 0.5;
        let custom = self.has_custom_buckets();
        let mut rank = if forward { q * self.count } else { (1.0 - q) * self.count };
        let mut buckets = self.all_buckets();
        let mut bucket =
            super::Bucket { lower: 0.0, upper: 0.0, lower_inclusive: false, upper_inclusive: false, count: 0.0 };
        let mut count = 0.0;
        while let Some(next) = if forward { buckets.next() } else { buckets.next_back() } {
            bucket = next;
            if bucket.count == 0.0 {
                continue;
            }
            count += bucket.count;
            if count >= rank {
                break;
            }
        }
        if custom {
            if bucket.lower == f64::NEG_INFINITY {
                if bucket.upper <= 0.0 {
                    return (bucket.upper, None);
                }
                bucket.lower = 0.0;
            } else if bucket.upper == f64::INFINITY {
                return (bucket.lower, None);
            }
        } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
            self.clip_zero_bucket(&mut bucket);
        }
        count = count.min(self.count);
        if count < rank {
            return if self.sum.is_nan() { (f64::NAN, Some(NanObservations::Result)) } else { (bucket.upper, None) };
        }
        rank = if forward { rank - (count - bucket.count) } else { count - rank };
        let mut note = None;
        if self.sum.is_nan() {
            let counted = buckets.fold(count, |sum, b| sum + b.count);
            if counted < self.count {
                note = Some(NanObservations::Skew);
            }
        }
        let fraction = rank / bucket.count;
        if custom || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
            return (bucket.lower + (bucket.upper - bucket.lower) * fraction, note);
        }
        let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
        let value = if bucket.lower > 0.0 {
            (lower + (upper - lower) * fraction).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - fraction)).exp2()
        };
        (value, note)
    }

    /// The part of all observations between two values, estimated as for [`FloatHistogram::quantile`].
    pub fn fraction(&self, lower: f64, upper: f64) -> (f64, Option<NanObservations>) {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return (f64::NAN, None);
        }
        if lower >= upper {
            return (0.0, None);
        }
        let custom = self.has_custom_buckets();
        let (mut count, mut rank) = (0.0, 0.0);
        let (mut lower_rank, mut upper_rank) = (None, None);
        let mut buckets = self.all_buckets();
        for mut bucket in buckets.by_ref() {
            count += bucket.count;
            let around_zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if around_zero {
                self.clip_zero_bucket(&mut bucket);
            }
            let rank_of = |value: f64| {
                if bucket.lower >= value {
                    return Some(rank);
                }
                if bucket.upper <= value {
                    return None;
                }
                let linear = custom || around_zero;
                // Nothing is known within a bucket of infinite width.
                Some(if linear && bucket.lower == f64::NEG_INFINITY {
                    bucket.count
                } else {
                    rank + bucket.count * bucket.fraction_below(value, linear)
                })
            };
            lower_rank = lower_rank.or_else(|| rank_of(lower));
            upper_rank = upper_rank.or_else(|| rank_of(upper));
            if lower_rank.is_some() && upper_rank.is_some() {
                break;
            }
            rank += bucket.count;
        }
        let mut note = None;
        if self.sum.is_nan() {
            count = buckets.fold(count, |sum, b| sum + b.count);
            if count < self.count {
                note = Some(NanObservations::Excluded);
            }
        } else {
            count = self.count;
        }
        let within = |rank: Option<f64>| rank.filter(|r| *r <= count).unwrap_or(count);
        ((within(upper_rank) - within(lower_rank)) / self.count, note)
    }

    /// In a histogram with buckets on one side only, the zero bucket is on that side too.
    fn clip_zero_bucket(&self, bucket: &mut super::Bucket) {
        let (negative, positive) = (!self.negative_buckets.is_empty(), !self.positive_buckets.is_empty());
        if positive && !negative {
            bucket.lower = 0.0;
        } else if negative && !positive {
            bucket.upper = 0.0;
        }
    }
}
