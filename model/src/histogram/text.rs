//! Histograms as text: `{count:3, sum:4, (1,2]:3}`, and the notation of test scripts.

use std::fmt;

use super::{Bucket, FloatHistogram, ResetHint, Span};
use crate::number::{FloatFormat, float_text};

fn general(value: f64) -> String {
    float_text(value, FloatFormat::General)
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        write!(f, "{open}{},{}{close}:{}", general(self.lower), general(self.upper), general(self.count))
    }
}

/// Count, sum and the populated buckets, ascending.
impl fmt::Display for FloatHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", general(self.count), general(self.sum))?;
        let zero = (self.zero_count != 0.0 && !self.has_custom_buckets()).then(|| self.zero_bucket());
        for bucket in self.negative().rev().chain(zero).chain(self.positive()).filter(|b| b.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

/// A histogram in the notation of test scripts: `{{schema:1 count:2 sum:3 offset:1 buckets:[1 1]}}`.
pub struct TestNotation<'a>(pub &'a FloatHistogram);

impl fmt::Display for TestNotation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let h = self.0;
        let mut parts: Vec<String> = Vec::new();
        if h.schema != 0 {
            parts.push(format!("schema:{}", h.schema));
        }
        let numbers =
            [("count", h.count), ("sum", h.sum), ("z_bucket", h.zero_count), ("z_bucket_w", h.zero_threshold)];
        parts.extend(numbers.iter().filter(|(_, v)| *v != 0.0).map(|(name, v)| format!("{name}:{}", general(*v))));
        let list = |values: &[f64]| values.iter().map(|v| general(*v)).collect::<Vec<_>>().join(" ");
        if h.has_custom_buckets() {
            parts.push(format!("custom_values:[{}]", list(&h.custom_values)));
        }
        match h.reset_hint {
            ResetHint::Unknown => {}
            ResetHint::Reset => parts.push("counter_reset_hint:reset".to_owned()),
            ResetHint::NotReset => parts.push("counter_reset_hint:not_reset".to_owned()),
            ResetHint::Gauge => parts.push("counter_reset_hint:gauge".to_owned()),
        }
        let mut side = |prefix: &str, spans: &[Span], counts: &[f64]| {
            // The notation has one run of buckets: gaps are written as zeros.
            let mut run: Vec<f64> = Vec::new();
            let mut offset = None;
            for (index, count) in super::buckets::Indexed::new(spans, counts) {
                let first = *offset.get_or_insert(index);
                let at = usize::try_from(i64::from(index) - i64::from(first)).unwrap_or(0).min(10_000);
                run.resize(at, 0.0);
                run.push(count);
            }
            if let Some(offset) = offset.filter(|o| *o != 0) {
                parts.push(format!("{prefix}offset:{offset}"));
            }
            if !run.is_empty() {
                parts.push(format!("{prefix}buckets:[{}]", list(&run)));
            }
        };
        side("", &h.positive_spans, &h.positive_buckets);
        side("n_", &h.negative_spans, &h.negative_buckets);
        write!(f, "{{{{{}}}}}", parts.join(" "))
    }
}
