//! Whether a counter histogram was reset since the one before.

use super::add::{common_bounds, map_to_bounds};
use super::buckets::{Indexed, exponential_bound, same_bounds};
use super::resolution::reduce;
use super::{FloatHistogram, ResetHint, Span};

impl FloatHistogram {
    /// Whether the counter was reset between `previous` and this sample: the hint says so, or a count has fallen, or a
    /// populated bucket is gone. A wider zero bucket or a lower resolution than before is no reset by itself; the
    /// opposite is.
    pub fn is_reset_after(&self, previous: &Self) -> bool {
        match self.reset_hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.has_custom_buckets() {
            if !previous.has_custom_buckets() {
                return true;
            }
            if !same_bounds(&self.custom_values, &previous.custom_values) {
                return self.fell_in_common_bounds(previous);
            }
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero_count, threshold, _) = previous.zero_count_for(self.zero_threshold, None);
        if threshold != self.zero_threshold || self.zero_count < zero_count {
            return true;
        }
        let zero = (!self.has_custom_buckets()).then_some((self.schema, self.zero_threshold));
        let fell = |now: (&[Span], &[f64]), before: (&[Span], &[f64])| {
            if previous.schema > self.schema {
                let (spans, counts) = reduce(before.0, before.1, previous.schema, self.schema);
                side_fell(now, (&spans, &counts), zero)
            } else {
                side_fell(now, before, zero)
            }
        };
        fell((&self.positive_spans, &self.positive_buckets), (&previous.positive_spans, &previous.positive_buckets))
            || fell(
                (&self.negative_spans, &self.negative_buckets),
                (&previous.negative_spans, &previous.negative_buckets),
            )
    }

    fn fell_in_common_bounds(&self, previous: &Self) -> bool {
        let bounds = common_bounds(&self.custom_values, &previous.custom_values);
        let mut now = vec![(0.0, 0.0); bounds.len() + 1];
        let mut before = now.clone();
        map_to_bounds(&mut now, self.positive_indexed(), &self.custom_values, &bounds, 1.0);
        map_to_bounds(&mut before, previous.positive_indexed(), &previous.custom_values, &bounds, 1.0);
        now.iter().zip(&before).any(|(now, before)| now.0 < before.0)
    }
}

/// Whether a bucket outside the zero bucket has fewer observations than before.
fn side_fell(now: (&[Span], &[f64]), before: (&[Span], &[f64]), zero: Option<(i32, f64)>) -> bool {
    // Equal layouts are the rule. What has since moved into the zero bucket is empty or unequal there.
    if now.0 == before.0 && now.1.len() == before.1.len() && now.1.iter().zip(before.1).all(|(n, b)| n >= b) {
        return false;
    }
    let outside = |index: i32| zero.is_none_or(|(schema, threshold)| exponential_bound(index, schema) > threshold);
    let mut now = Indexed::new(now.0, now.1).filter(|(index, _)| outside(*index)).peekable();
    for (index, count) in Indexed::new(before.0, before.1).filter(|(index, _)| outside(*index)) {
        while now.next_if(|(at, _)| *at < index).is_some() {}
        match now.peek() {
            Some((at, new)) if *at == index => {
                let fell = *new < count;
                if fell {
                    return true;
                }
            }
            _ if count != 0.0 => return true,
            _ => {}
        }
    }
    false
}
