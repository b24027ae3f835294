//! Results of queries as JSON, written straight into the body: a large answer is never a tree in memory.

use model::number::{FloatFormat, write_float};
use model::{FloatHistogram, Labels};
use promql::{MatrixSeries, SampleValue, Stats, Value, VectorSample};

use super::answer::json_string;

/// Writes `"resultType":…,"result":…` and what follows in the data object.
pub fn query_data(out: &mut Vec<u8>, value: &Value, stats: Option<&QueryStats>) {
    out.extend_from_slice(b"{\"resultType\":\"");
    let (kind, time_ms) = match value {
        Value::Scalar { time_ms, .. } => ("scalar", *time_ms),
        Value::String { time_ms, .. } => ("string", *time_ms),
        Value::Vector { time_ms, .. } => ("vector", *time_ms),
        Value::Matrix(_) => ("matrix", 0),
    };
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"result\":");
    match value {
        Value::Scalar { value, .. } => point(out, time_ms, *value),
        Value::String { value, .. } => {
            out.push(b'[');
            seconds(out, time_ms);
            out.push(b',');
            json_string(out, value);
            out.push(b']');
        }
        Value::Vector { samples, .. } => list(out, samples, |out, sample| vector_sample(out, sample, time_ms)),
        Value::Matrix(series) => list(out, series, matrix_series),
    }
    if let Some(stats) = stats {
        out.extend_from_slice(b",\"stats\":");
        stats.write(out);
    }
    out.push(b'}');
}

fn vector_sample(out: &mut Vec<u8>, sample: &VectorSample, time_ms: i64) {
    out.extend_from_slice(b"{\"metric\":");
    labels(out, &sample.labels);
    match &sample.value {
        SampleValue::Float(value) => {
            out.extend_from_slice(b",\"value\":");
            point(out, time_ms, *value);
        }
        SampleValue::Histogram(histogram) => {
            out.extend_from_slice(b",\"histogram\":");
            histogram_point(out, time_ms, histogram);
        }
    }
    out.push(b'}');
}

fn matrix_series(out: &mut Vec<u8>, series: &MatrixSeries) {
    out.extend_from_slice(b"{\"metric\":");
    labels(out, &series.labels);
    if !series.floats.is_empty() {
        out.extend_from_slice(b",\"values\":");
        list(out, &series.floats, |out, (time, value)| point(out, *time, *value));
    }
    if !series.histograms.is_empty() {
        out.extend_from_slice(b",\"histograms\":");
        list(out, &series.histograms, |out, (time, histogram)| histogram_point(out, *time, histogram));
    }
    out.push(b'}');
}

/// A JSON array.
pub fn list<T>(out: &mut Vec<u8>, items: &[T], mut each: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        each(out, item);
    }
    out.push(b']');
}

/// A label set as a JSON object.
pub fn labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json_string(out, name);
        out.push(b':');
        json_string(out, value);
    }
    out.push(b'}');
}

/// `[seconds,"value"]`
pub fn point(out: &mut Vec<u8>, time_ms: i64, value: f64) {
    out.push(b'[');
    seconds(out, time_ms);
    out.extend_from_slice(b",\"");
    write_float(out, value, FloatFormat::Fixed);
    out.extend_from_slice(b"\"]");
}

/// Milliseconds as seconds with at most three decimals.
pub fn seconds(out: &mut Vec<u8>, ms: i64) {
    if ms < 0 {
        out.push(b'-');
    }
    let ms = ms.unsigned_abs();
    model::number::write_u64(out, ms / 1000);
    let rest = ms % 1000;
    if rest > 0 {
        let digits = [b'0' + (rest / 100) as u8, b'0' + (rest / 10 % 10) as u8, b'0' + (rest % 10) as u8];
        let used = if digits[2] != b'0' {
            3
        } else if digits[1] != b'0' {
            2
        } else {
            1
        };
        out.push(b'.');
        out.extend_from_slice(&digits[..used]);
    }
}

fn histogram_point(out: &mut Vec<u8>, time_ms: i64, histogram: &FloatHistogram) {
    out.push(b'[');
    seconds(out, time_ms);
    out.extend_from_slice(b",{\"count\":\"");
    write_float(out, histogram.count, FloatFormat::Fixed);
    out.extend_from_slice(b"\",\"sum\":\"");
    write_float(out, histogram.sum, FloatFormat::Fixed);
    out.push(b'"');
    let mut first = true;
    for bucket in histogram.all_buckets() {
        if bucket.count == 0.0 {
            continue;
        }
        out.extend_from_slice(if first { b",\"buckets\":[[" } else { b",[" });
        first = false;
        let boundaries = match (bucket.lower_inclusive, bucket.upper_inclusive) {
            (true, true) => b'3',
            (true, false) => b'1',
            (false, true) => b'0',
            (false, false) => b'2',
        };
        out.push(boundaries);
        for number in [bucket.lower, bucket.upper, bucket.count] {
            out.extend_from_slice(b",\"");
            write_float(out, number, FloatFormat::Fixed);
            out.push(b'"');
        }
        out.push(b']');
    }
    if !first {
        out.push(b']');
    }
    out.extend_from_slice(b"}]");
}

/// What the parameter `stats` asks for.
#[derive(Clone, Debug, Default)]
pub struct QueryStats {
    /// What the engine counted.
    pub stats: Stats,
    /// Seconds waiting for a free slot.
    pub queue_seconds: f64,
    /// Seconds of evaluation.
    pub eval_seconds: f64,
    /// Whether samples are given for each step.
    pub per_step: bool,
}

impl QueryStats {
    fn write(&self, out: &mut Vec<u8>) {
        let total = self.queue_seconds + self.eval_seconds;
        let timings = [
            ("evalTotalTime", total),
            ("resultSortTime", 0.0),
            ("queryPreparationTime", 0.0),
            ("innerEvalTime", self.eval_seconds),
            ("execQueueTime", self.queue_seconds),
            ("execTotalTime", total),
        ];
        out.extend_from_slice(b"{\"timings\":{");
        for (at, (name, value)) in timings.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            model::number::write_json_float(out, *value);
        }
        out.extend_from_slice(b"},\"samples\":{\"totalQueryableSamples\":");
        model::number::write_u64(out, self.stats.samples_total);
        if self.per_step {
            out.extend_from_slice(b",\"totalQueryableSamplesPerStep\":");
            list(out, &self.stats.per_step, |out, (time, samples)| {
                out.push(b'[');
                seconds(out, *time);
                out.push(b',');
                model::number::write_u64(out, *samples);
                out.push(b']');
            });
        }
        out.extend_from_slice(b",\"peakSamples\":");
        model::number::write_u64(out, self.stats.samples_peak);
        out.extend_from_slice(b"}}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds() {
        for (ms, want) in [
            (0, "0"),
            (1_500, "1.5"),
            (1_435_781_451_781, "1435781451.781"),
            (1_010, "1.01"),
            (-1_500, "-1.5"),
            (20, "0.02"),
        ] {
            let mut out = Vec::new();
            seconds(&mut out, ms);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }

    #[test]
    fn results_look_as_upstreams_do() {
        let metric = Labels::from_pairs([("__name__", "up"), ("job", "a\"b")]);
        let value = Value::Vector {
            time_ms: 1_500,
            samples: vec![VectorSample { labels: metric.clone(), value: SampleValue::Float(1e21) }],
        };
        let mut out = Vec::new();
        query_data(&mut out, &value, None);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a\"b"},"value":[1.5,"1000000000000000000000"]}]}"#
        );
        let value = Value::Matrix(vec![MatrixSeries {
            labels: metric,
            floats: vec![(0, f64::NAN), (1_000, f64::INFINITY)],
            histograms: vec![],
        }]);
        let mut out = Vec::new();
        query_data(&mut out, &value, None);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"a\"b"},"values":[[0,"NaN"],[1,"+Inf"]]}]}"#
        );
    }
}
