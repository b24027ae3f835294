//! `resample`: a series at regular times.

use serde::{Deserialize, Serialize};

use super::pipeline::TimeRange;
use super::reduce::Reducer;
use crate::grafana::value::{Point, Series, Value};

/// Most points a series is resampled to.
const MAX_POINTS: i64 = 1_000_000;

/// What fills times without points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Upsampler {
    /// The point before.
    Pad,
    /// The point after.
    Backfilling,
    /// Nothing.
    Fillna,
}

/// A `resample` expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Resample {
    /// Ref id of what is resampled.
    pub input: String,
    /// Distance of the times.
    pub window_ms: i64,
    /// What becomes of several points between two times.
    pub downsampler: Reducer,
    /// What fills times without points.
    pub upsampler: Upsampler,
}

impl Resample {
    pub(super) fn run(&self, values: &[Value], range: TimeRange) -> Result<Vec<Value>, String> {
        let resample = |value: &Value| match value {
            Value::Series(series) => self.resample(series, range).map(Value::Series),
            Value::NoData => Ok(Value::NoData),
            other => {
                let kind = if matches!(other, Value::Scalar(_)) { "scalar" } else { "number" };
                Err(format!("can only resample type series, got type {kind}"))
            }
        };
        values.iter().map(resample).collect()
    }

    fn resample(&self, series: &Series, range: TimeRange) -> Result<Series, String> {
        let steps = (range.to_ms - range.from_ms) / self.window_ms.max(1);
        if steps <= 0 {
            return Err("the series cannot be sampled further; the time range is shorter than the interval".to_owned());
        }
        if steps > MAX_POINTS {
            return Err(format!("resampling would give {steps} points (limit: {MAX_POINTS})"));
        }
        let mut points = Vec::new();
        let mut rest = series.points.iter().peekable();
        let mut last_seen = None;
        for step in 0..=steps {
            let at_ms = range.from_ms + step * self.window_ms;
            let mut window = Vec::new();
            while let Some(point) = rest.next_if(|point| point.at_ms <= at_ms) {
                last_seen = point.value;
                window.push(point.value);
            }
            let value = match &window[..] {
                [] => match self.upsampler {
                    Upsampler::Pad => last_seen,
                    Upsampler::Backfilling => rest.peek().and_then(|point| point.value),
                    Upsampler::Fillna => None,
                },
                [one] => *one,
                many => self.downsampler.reduce(many.iter().copied()),
            };
            points.push(Point { at_ms, value });
        }
        Ok(Series { labels: series.labels.clone(), points })
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;

    fn resample(upsampler: Upsampler, downsampler: Reducer, window_s: i64) -> Result<Vec<Option<f64>>, String> {
        let points = [(0, 2.0), (7, 3.0), (8, 1.0), (9, 5.0)].map(|(at, value)| (at * 1000, Some(value)));
        let series = Value::Series(Series::new(Labels::empty(), points));
        let resample = Resample { input: String::new(), window_ms: window_s * 1000, downsampler, upsampler };
        let out = resample.run(&[series], TimeRange { from_ms: 0, to_ms: 16_000 })?;
        let Value::Series(series) = &out[0] else { panic!("a series") };
        Ok(series.values().collect())
    }

    #[test]
    fn times_without_points_are_filled_and_several_points_reduced() {
        use Reducer::{Max, Mean, Sum};
        let some = |values: &[f64]| values.iter().map(|v| (!v.is_nan()).then_some(*v)).collect::<Vec<_>>();
        let nil = f64::NAN;
        let cases = [
            (Upsampler::Pad, Mean, 3, some(&[2.0, 2.0, 2.0, 3.0, 5.0, 5.0])),
            (Upsampler::Fillna, Mean, 3, some(&[2.0, nil, nil, 3.0, nil, nil])),
            (Upsampler::Backfilling, Max, 5, some(&[2.0, 3.0, 5.0, nil])),
            (Upsampler::Fillna, Sum, 5, some(&[2.0, nil, 9.0, nil])),
            (Upsampler::Fillna, Sum, 16, some(&[2.0, 9.0])),
        ];
        for (upsampler, downsampler, window, want) in cases {
            assert_eq!(resample(upsampler, downsampler, window), Ok(want), "{upsampler:?} {downsampler:?} {window}");
        }
        assert!(resample(Upsampler::Pad, Mean, 17).is_err_and(|error| error.contains("shorter than the interval")));
    }

    #[test]
    fn only_series_are_resampled() {
        let resample =
            Resample { input: String::new(), window_ms: 1, downsampler: Reducer::Sum, upsampler: Upsampler::Pad };
        let range = TimeRange { from_ms: 0, to_ms: 10 };
        assert_eq!(resample.run(&[Value::NoData], range), Ok(vec![Value::NoData]));
        assert!(resample.run(&[Value::Scalar(None)], range).is_err());
        let long = TimeRange { from_ms: 0, to_ms: i64::MAX / 2 };
        assert!(resample.run(&[Value::Series(Series::default())], long).is_err_and(|error| error.contains("limit")));
    }
}
