//! The smallest layout that holds the same populated buckets.

use super::buckets::{Indexed, SpanBuilder};
use super::{FloatHistogram, Span};

impl FloatHistogram {
    /// Removes empty buckets, and spans that have none, on both sides.
    pub fn compact(&mut self) {
        compact_side(&mut self.positive_spans, &mut self.positive_buckets);
        compact_side(&mut self.negative_spans, &mut self.negative_buckets);
    }

    /// This histogram, compacted.
    pub fn compacted(mut self) -> Self {
        self.compact();
        self
    }
}

fn compact_side(spans: &mut Vec<Span>, counts: &mut Vec<f64>) {
    let held: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
    let tidy = held == counts.len() as u64
        && counts.iter().all(|c| *c != 0.0)
        && spans.iter().enumerate().all(|(at, s)| s.length > 0 && (at == 0 || s.offset > 0));
    if tidy {
        return;
    }
    let mut out = SpanBuilder::default();
    for (index, count) in Indexed::new(spans, counts).filter(|(_, count)| *count != 0.0) {
        out.push(index, count);
    }
    *spans = out.spans;
    *counts = out.counts;
}
