//! Quantiles and fractions of classic histograms, whose buckets are series with a label `le`, and single numbers of
//! native histograms.

use model::FloatHistogram;
use model::sample::kahan_inc;

/// A classic bucket: observations up to a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ClassicBucket {
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

/// Differences between counts up to this part of them are rounding errors.
const SMALL_DIFFERENCE: f64 = 1e-12;

/// Counts that had to be raised: lowest and highest bound, largest difference.
pub(crate) type Raised = (f64, f64, f64);

/// Merges buckets of one bound; they are sorted.
fn merge_equal(buckets: &mut Vec<ClassicBucket>) {
    buckets.dedup_by(|next, kept| {
        let equal = next.upper == kept.upper;
        if equal {
            kept.count += next.count;
        }
        equal
    });
}

/// Raises counts that fall from one bucket to the next. Tells when a difference was more than a rounding error.
fn make_monotonic(buckets: &mut [ClassicBucket]) -> Option<Raised> {
    let mut raised: Option<Raised> = None;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if almost_equal(before, count, SMALL_DIFFERENCE) {
            bucket.count = before;
            continue;
        }
        if count < before {
            bucket.count = before;
            let (min, max, difference) = raised.unwrap_or((f64::INFINITY, f64::NEG_INFINITY, 0.0));
            raised = Some((min.min(bucket.upper), max.max(bucket.upper), difference.max(before - count)));
            continue;
        }
        before = count;
    }
    raised
}

/// Whether two numbers differ by less than a part of their size; staleness markers equal only each other.
pub(crate) fn almost_equal(a: f64, b: f64, epsilon: f64) -> bool {
    if model::is_stale(a) || model::is_stale(b) {
        return model::is_stale(a) && model::is_stale(b);
    }
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let (size, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || size < f64::MIN_POSITIVE {
        return difference < epsilon * f64::MIN_POSITIVE;
    }
    difference / size.min(f64::MAX) < epsilon
}

/// The `q`-quantile of buckets sorted by bound, linear within a bucket. NaN without a bucket for +Inf, with fewer than
/// two buckets, or without observations.
pub(crate) fn bucket_quantile(q: f64, buckets: &mut Vec<ClassicBucket>) -> (f64, Option<Raised>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return (f64::NAN, None);
    }
    merge_equal(buckets);
    let raised = make_monotonic(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return (f64::NAN, raised);
    }
    let mut rank = q * observations;
    let at = buckets[..last].partition_point(|b| b.count < rank || b.count.is_nan() || rank.is_nan());
    if at == last {
        return (buckets[last - 1].upper, raised);
    }
    if at == 0 && buckets[0].upper <= 0.0 {
        return (buckets[0].upper, raised);
    }
    let (mut lower, mut count) = (0.0, buckets[at].count);
    if at > 0 {
        lower = buckets[at - 1].upper;
        count -= buckets[at - 1].count;
        rank -= buckets[at - 1].count;
    }
    (lower + (buckets[at].upper - lower) * (rank / count), raised)
}

/// The part of the observations between two values.
pub(crate) fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<ClassicBucket>) -> f64 {
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return f64::NAN;
    }
    merge_equal(buckets);
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let mut bound = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let mut rank = 0.0;
    let (mut lower_rank, mut upper_rank) = (None, None);
    for bucket in buckets.iter() {
        let rank_of = |value: f64| {
            if bound >= value {
                return Some(rank);
            }
            if bucket.upper <= value {
                return None;
            }
            // Nothing is known within a bucket of infinite width.
            Some(if bound == f64::NEG_INFINITY {
                bucket.count
            } else {
                rank + (bucket.count - rank) * (value - bound) / (bucket.upper - bound)
            })
        };
        lower_rank = lower_rank.or_else(|| rank_of(lower));
        upper_rank = upper_rank.or_else(|| rank_of(upper));
        rank = bucket.count;
        bound = bucket.upper;
    }
    let within = |rank: Option<f64>| rank.filter(|r| *r <= count).unwrap_or(count);
    (within(upper_rank) - within(lower_rank)) / count
}

/// A number of a native histogram.
pub(crate) fn histogram_function(name: &str) -> Option<fn(&FloatHistogram) -> f64> {
    Some(match name {
        "histogram_count" => |h| h.count,
        "histogram_sum" => |h| h.sum,
        "histogram_avg" => |h| h.sum / h.count,
        "histogram_stdvar" => variance,
        "histogram_stddev" => |h| variance(h).sqrt(),
        _ => return None,
    })
}

/// Estimated variance: all observations of a bucket stand in its middle.
fn variance(h: &FloatHistogram) -> f64 {
    let mean = h.sum / h.count;
    let (mut sum, mut c) = (0.0, 0.0);
    for bucket in h.all_buckets().filter(|b| b.count != 0.0) {
        let middle = if h.has_custom_buckets() {
            (bucket.upper + bucket.lower) / 2.0
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
        };
        let delta = middle - mean;
        (sum, c) = kahan_inc(bucket.count * delta * delta, sum, c);
    }
    (sum + c) / h.count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(list: &[(f64, f64)]) -> Vec<ClassicBucket> {
        list.iter().map(|(upper, count)| ClassicBucket { upper: *upper, count: *count }).collect()
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn quantiles() {
        type Case = (f64, &'static [(f64, f64)], f64);
        let cases: &[Case] = &[
            (0.5, &[(1.0, 5.0), (2.0, 10.0), (INF, 10.0)], 1.0),
            (0.75, &[(1.0, 5.0), (2.0, 10.0), (INF, 10.0)], 1.5),
            (0.25, &[(1.0, 5.0), (2.0, 10.0), (INF, 10.0)], 0.5),
            (0.99, &[(1.0, 5.0), (INF, 10.0)], 1.0),
            (0.1, &[(-1.0, 5.0), (INF, 10.0)], -1.0),
            (0.5, &[(1.0, 2.0), (1.0, 3.0), (2.0, 10.0), (INF, 10.0)], 1.0),
        ];
        for (q, list, want) in cases {
            assert_eq!(bucket_quantile(*q, &mut buckets(list)), (*want, None), "{q} {list:?}");
        }
        assert!(bucket_quantile(0.5, &mut buckets(&[(1.0, 1.0)])).0.is_nan());
        assert!(bucket_quantile(0.5, &mut buckets(&[(1.0, 0.0), (INF, 0.0)])).0.is_nan());
        let (value, raised) = bucket_quantile(0.5, &mut buckets(&[(1.0, 6.0), (2.0, 4.0), (INF, 8.0)]));
        assert!((value - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(raised, Some((2.0, 2.0, 2.0)));
    }

    #[test]
    fn fractions() {
        let list = [(1.0, 5.0), (2.0, 10.0), (INF, 20.0)];
        let cases = [(0.0, 1.0, 0.25), (0.5, 1.5, 0.25), (1.0, INF, 0.75), (2.0, 1.0, 0.0), (5.0, INF, 0.5)];
        for (lower, upper, want) in cases {
            assert_eq!(bucket_fraction(lower, upper, &mut buckets(&list)), want, "{lower} {upper}");
        }
    }
}
