//! From columns to the value of a query.

use std::sync::Arc;

use model::{SampleValue, VectorSample};

use super::work::{Work, remove_stale};
use super::{Done, Exec};
use crate::ast::{Extension, ValueType};
use crate::engine::{MatrixSeries, TimeParams, Value};
use crate::error::QueryError;
use crate::kernels::extended::extend;
use crate::plan::{Kind, Node, Window, WindowSource};
use crate::vector::{Column, Series, Steps, Value as Element, drop_names, histogram_samples};

impl Exec<'_> {
    pub(super) fn output(&self, times: TimeParams) -> Done<Value> {
        let (root, steps) = (&self.plan.root, self.plan.steps);
        let instant = matches!(times, TimeParams::Instant(_));
        match self.plan.value_type {
            ValueType::String => match &inner(root).kind {
                Kind::Text(text) => Ok(Value::String { time_ms: steps.start_ms, value: text.clone() }),
                _ => Err(QueryError::Invalid("expected a string".to_owned())),
            },
            ValueType::Scalar => {
                let scalars = self.scalars(root, steps)?;
                if instant {
                    return Ok(Value::Scalar { time_ms: steps.start_ms, value: scalars.get(0) });
                }
                let floats = steps.times().enumerate().map(|(step, t)| (t, scalars.get(step))).collect();
                Ok(Value::Matrix(vec![MatrixSeries { floats, ..MatrixSeries::default() }]))
            }
            ValueType::Vector => {
                let mut series = self.vector(root, steps)?;
                if self.options.delayed_name_removal {
                    drop_names(&mut series)?;
                } else if instant && crate::vector::has_same_labels(&series) {
                    return Err(QueryError::same_labelset());
                }
                self.budget.check_now()?;
                if instant {
                    return Ok(instant_vector(series, steps));
                }
                let mut matrix: Vec<MatrixSeries> = series.into_iter().map(|s| matrix_series(s, &steps)).collect();
                matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
                Ok(Value::Matrix(matrix))
            }
            ValueType::Matrix => {
                let Kind::Matrix(window) = &inner(root).kind else {
                    return Err(QueryError::Invalid("expected a range vector".to_owned()));
                };
                let mut matrix = self.matrix(window, steps)?;
                matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
                Ok(Value::Matrix(matrix))
            }
        }
    }

    /// The samples of a window at the only step.
    fn matrix(&self, window: &Window, steps: Steps) -> Done<Vec<MatrixSeries>> {
        match &window.source {
            WindowSource::Subquery { node, steps, .. } => {
                self.check_steps(steps)?;
                let mut series = self.vector(node, *steps)?;
                if self.options.delayed_name_removal {
                    drop_names(&mut series)?;
                }
                Ok(series.into_iter().map(|s| matrix_series(s, steps)).collect())
            }
            WindowSource::Select { selection, .. } => self.selected_matrix(window, *selection, steps),
        }
    }

    fn selected_matrix(&self, window: &Window, selection: usize, steps: Steps) -> Done<Vec<MatrixSeries>> {
        let selection = &*self.selections[selection];
        let end = window.end.of(&steps, 0);
        let start = end.saturating_sub(window.range_ms);
        let (before, after) = match window.extension {
            None => (start, end),
            Some(Extension::Anchored) => (start.saturating_sub(self.lookback_ms), end),
            Some(Extension::Smoothed) => (start.saturating_sub(self.lookback_ms), end.saturating_add(self.lookback_ms)),
        };
        let mut out = Vec::new();
        let mut work = Work::default();
        for index in 0..selection.len() {
            self.budget.check_now()?;
            selection.read(index, &mut work.columns)?;
            self.budget.check_decoded(work.columns.len())?;
            let columns = if remove_stale(&work.columns, &mut work.clean) { &work.clean } else { &work.columns };
            let inside =
                |times: &[i64]| times.partition_point(|t| *t <= before)..times.partition_point(|t| *t <= after);
            let floats = inside(&columns.timestamps);
            let histograms = inside(&columns.histogram_timestamps);
            let (times, values) = (&columns.timestamps[floats.clone()], &columns.values[floats]);
            let mut series = MatrixSeries { labels: selection.labels(index), ..MatrixSeries::default() };
            match window.extension {
                None => series.floats = times.iter().copied().zip(values.iter().copied()).collect(),
                Some(extension) => {
                    let smoothed = extension == Extension::Smoothed;
                    if !histograms.is_empty() {
                        let name = if smoothed { "smoothed" } else { "anchored" };
                        return Err(QueryError::Execution(format!("{name} modifier is not supported with histograms")));
                    }
                    series.floats = extend(times, values, start, end, smoothed);
                }
            }
            let times = &columns.histogram_timestamps[histograms.clone()];
            series.histograms = times.iter().copied().zip(columns.histograms[histograms].iter().cloned()).collect();
            let sizes: usize = series.histograms.iter().map(|(_, h)| histogram_samples(h)).sum();
            let samples = series.floats.len() + sizes;
            if samples > 0 {
                self.budget.looked_at(&steps, &[samples as u64]);
                // The answer holds all of them.
                let column = Column { floats: vec![0.0; samples], histograms: Vec::new() };
                self.budget.hold(&column)?;
                out.push(series);
            }
        }
        Ok(out)
    }
}

/// The node below marks of invariance.
fn inner(node: &Node) -> &Node {
    match &node.kind {
        Kind::Invariant(node) => inner(node),
        _ => node,
    }
}

fn instant_vector(series: Vec<Series>, steps: Steps) -> Value {
    let samples = series.into_iter().filter_map(|s| {
        let value = match s.column.get(0)? {
            Element::Float(value) => SampleValue::Float(value),
            Element::Histogram(histogram) => SampleValue::Histogram(Arc::clone(histogram)),
        };
        Some(VectorSample { labels: s.labels, value })
    });
    Value::Vector { time_ms: steps.start_ms, samples: samples.collect() }
}

fn matrix_series(series: Series, steps: &Steps) -> MatrixSeries {
    let column = series.column;
    let mut out = MatrixSeries { labels: series.labels, ..MatrixSeries::default() };
    out.floats.reserve_exact(column.len());
    for step in 0..column.len() {
        match column.get(step) {
            Some(Element::Float(value)) => out.floats.push((steps.time(step), value)),
            Some(Element::Histogram(histogram)) => out.histograms.push((steps.time(step), Arc::clone(histogram))),
            None => {}
        }
    }
    out
}
