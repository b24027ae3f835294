//! The trim operators: `</` keeps observations below a value, `>/` those above it.
//!
//! A bucket that the value cuts keeps the estimated part. Count and sum are worked out again from what is left, each
//! bucket at its middle, if anything was cut at all.

use super::{Bucket, FloatHistogram};

impl FloatHistogram {
    /// Removes the observations above (`upper`) or below a value.
    pub fn trim(&mut self, at: f64, upper: bool) {
        let custom = self.has_custom_buckets();
        let mut kept = Kept::default();
        let positive: Vec<Bucket> = self.positive().collect();
        let negative: Vec<Bucket> = self.negative().collect();
        let has_positive = kept.side(&positive, &mut self.positive_buckets, at, upper, true, custom);
        let has_negative = kept.side(&negative, &mut self.negative_buckets, at, upper, false, custom);
        if self.zero_count > 0.0 {
            let (count, middle) = cut_zero(self.zero_bucket(), at, upper, has_negative, has_positive);
            kept.cut |= count != self.zero_count;
            self.zero_count = count;
            kept.sum += middle * count;
            kept.count += count;
        }
        if kept.cut {
            self.count = kept.count;
            self.sum = kept.sum;
            self.compact();
        }
    }
}

#[derive(Default)]
struct Kept {
    count: f64,
    sum: f64,
    cut: bool,
}

impl Kept {
    /// Trims one side; whether it has observations.
    fn side(
        &mut self,
        buckets: &[Bucket],
        counts: &mut [f64],
        at: f64,
        upper: bool,
        positive: bool,
        custom: bool,
    ) -> bool {
        let mut populated = false;
        for (bucket, count) in buckets.iter().zip(counts).filter(|(b, _)| b.count != 0.0) {
            populated = true;
            let (inside, outside) =
                if upper { (bucket.upper <= at, bucket.lower >= at) } else { (bucket.lower >= at, bucket.upper <= at) };
            if inside {
                self.count += bucket.count;
                self.sum += middle(bucket.lower, bucket.upper, positive, custom) * bucket.count;
            } else if outside || at.is_nan() {
                *count = 0.0;
                self.cut = true;
            } else {
                let (keep, middle) = cut_bucket(bucket, at, upper, positive, custom);
                self.count += keep;
                self.sum += middle * keep;
                self.cut |= *count != keep;
                *count = keep;
            }
        }
        populated
    }
}

/// What is left of a bucket that the value cuts, and the middle of that.
fn cut_bucket(bucket: &Bucket, at: f64, upper: bool, positive: bool, custom: bool) -> (f64, f64) {
    if bucket.lower == f64::NEG_INFINITY || bucket.upper == f64::INFINITY {
        return cut_infinite(bucket, at, upper);
    }
    let below = if at <= bucket.lower {
        0.0
    } else if at >= bucket.upper {
        bucket.count
    } else {
        bucket.count * bucket.fraction_below(at, custom)
    };
    if upper {
        (below, middle(bucket.lower, at, positive, custom))
    } else {
        (bucket.count - below, middle(at, bucket.upper, positive, custom))
    }
}

/// A bucket with an infinite boundary: its distribution is unknown, except that a first custom bucket that ends above
/// zero is taken to begin there.
fn cut_infinite(bucket: &Bucket, at: f64, upper: bool) -> (f64, f64) {
    let finite = |v: f64| if v.is_infinite() { 0.0 } else { v };
    if bucket.lower == f64::NEG_INFINITY {
        if upper {
            if at >= bucket.upper {
                return (bucket.count, 0.0);
            }
            if at > 0.0 && bucket.upper > 0.0 && bucket.upper != f64::INFINITY {
                return (bucket.count * at / bucket.upper, at / 2.0);
            }
            if bucket.upper <= 0.0 {
                return (bucket.count, at);
            }
            return (0.0, finite(bucket.upper));
        }
        if at <= bucket.lower {
            return (bucket.count, 0.0);
        }
        if at >= 0.0 && bucket.upper > at && bucket.upper != f64::INFINITY {
            return (bucket.count * (1.0 - at / bucket.upper), (at + bucket.upper) / 2.0);
        }
        return (0.0, finite(bucket.upper));
    }
    if !upper && at >= bucket.lower { (bucket.count, at) } else { (0.0, finite(bucket.lower)) }
}

fn cut_zero(zero: Bucket, at: f64, upper_trim: bool, has_negative: bool, has_positive: bool) -> (f64, f64) {
    let lower = if has_positive && !has_negative { 0.0 } else { zero.lower };
    let upper = if has_negative && !has_positive { 0.0 } else { zero.upper };
    let whole = (zero.count, (lower + upper) / 2.0);
    if upper_trim {
        if at <= lower {
            return (0.0, 0.0);
        }
        if at >= upper {
            return whole;
        }
        (zero.count * ((at - lower) / (upper - lower)), (lower + at) / 2.0)
    } else {
        if at <= lower {
            return whole;
        }
        if at >= upper {
            return (0.0, 0.0);
        }
        (zero.count * ((upper - at) / (upper - lower)), (at + upper) / 2.0)
    }
}

/// The middle of an interval: arithmetic for custom buckets, geometric for exponential ones.
fn middle(lower: f64, upper: f64, positive: bool, linear: bool) -> f64 {
    if lower.is_infinite() {
        if upper.is_infinite() {
            return 0.0;
        }
        return if upper > 0.0 { upper / 2.0 } else { upper };
    }
    if upper.is_infinite() {
        return lower;
    }
    if linear {
        return (lower + upper) / 2.0;
    }
    let mean = (lower * upper).abs().sqrt();
    if positive { mean } else { -mean }
}
