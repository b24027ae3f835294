//! Carries a plan out.
//!
//! Selectors, range functions and changes of single elements are streams ([`stream::Stream`]): their series can be worked
//! out one by one, by any thread, in any order. An aggregation folds such a stream without ever holding its series
//! ([`aggregate`]); everything else works on vectors in memory. Limits, deadline and cancellation are checked in
//! [`budget`], once for every series that is worked out.

mod aggregate;
mod budget;
mod info;
mod labels;
mod output;
mod parallel;
mod profile;
mod quantile;
mod range;
mod select;
mod stream;
mod work;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{Labels, Selection, SeriesSource};

use crate::annotations::Annotations;
use crate::engine::{EngineOptions, QueryContext, QueryOutput, Stats, TimeParams};
use crate::error::QueryError;
use crate::kernels::math::go_max;
use crate::plan::{Call, Kind, Node, Plan, ScalarOp, passes};
use crate::vector::binary::{BinaryNotes, Join};
use crate::vector::{ABSENT, Column, Scalars, Series, Steps, drop_names, is_absent, set, sort};
use budget::Budget;
use profile::Profile;
use stream::Stream;
use work::Work;

type Done<T> = Result<T, QueryError>;

/// Runs a plan; the text is that of `explain analyze` when asked for.
pub(crate) fn run(
    plan: &Plan,
    options: &EngineOptions,
    source: &dyn SeriesSource,
    context: &QueryContext<'_>,
    times: TimeParams,
    analyze: bool,
) -> Done<(QueryOutput, String)> {
    Exec::run(plan, options, source, context, times, analyze)
}

/// One run of a plan.
struct Exec<'a> {
    pub(super) options: &'a EngineOptions,
    pub(super) source: &'a dyn SeriesSource,
    pub(super) context: &'a QueryContext<'a>,
    pub(super) lookback_ms: i64,
    pub(super) selections: Vec<Box<dyn Selection + 'a>>,
    /// Matchers of the selections, for names that are known beforehand.
    pub(super) plan: &'a Plan,
    pub(super) budget: Budget<'a>,
    pub(super) profile: Option<Profile>,
    pub(super) annotations: parking_lot::Mutex<Annotations>,
}

impl<'a> Exec<'a> {
    fn run(
        plan: &'a Plan,
        options: &'a EngineOptions,
        source: &'a dyn SeriesSource,
        context: &'a QueryContext<'a>,
        times: TimeParams,
        analyze: bool,
    ) -> Done<(QueryOutput, String)> {
        let lookback_ms = if context.lookback_ms > 0 { context.lookback_ms } else { options.lookback_ms };
        let budget = Budget::new(context, plan.steps, options.per_step_stats);
        budget.check_now()?;
        let mut annotations = Annotations::default();
        let mut selections = Vec::with_capacity(plan.selections.len());
        for spec in &plan.selections {
            let selection = source.select(&spec.matchers, &spec.hints)?;
            budget.check_series(selection.len())?;
            for warning in selection.warnings() {
                annotations.push(crate::annotations::Level::Warning, warning, None);
            }
            selections.push(selection);
        }
        let exec = Self {
            options,
            source,
            context,
            lookback_ms,
            selections,
            plan,
            budget,
            profile: analyze.then(|| Profile::new(plan.nodes)),
            annotations: parking_lot::Mutex::new(annotations),
        };
        let value = exec.output(times)?;
        let text = exec.profile.as_ref().map(|p| p.render(plan)).unwrap_or_default();
        let series = exec.selections.iter().map(|s| s.len() as u64).sum();
        let stats = Stats { series, ..exec.budget.stats() };
        let annotations = exec.annotations.into_inner();
        Ok((QueryOutput { value, annotations, stats }, text))
    }

    /// Adds annotations.
    pub(super) fn annotate(&self, write: impl FnOnce(&mut Annotations)) {
        write(&mut self.annotations.lock());
    }

    /// Runs `work` and books it on a node.
    fn booked<T>(&self, node: &Node, work: impl FnOnce() -> Done<T>) -> Done<T> {
        let (Some(profile), Some(clock)) = (&self.profile, self.context.clock) else { return work() };
        let from = clock.now_ns();
        let done = work();
        profile.node(node.id).nanos.fetch_add(clock.now_ns().saturating_sub(from), Ordering::Relaxed);
        done
    }

    /// A number per step.
    pub(super) fn scalars(&self, node: &Node, steps: Steps) -> Done<Scalars> {
        match &node.kind {
            Kind::Number(value) => Ok(Scalars::Constant(*value)),
            Kind::Time => Ok(Scalars::Steps(steps.times().map(|t| t as f64 / 1000.0).collect())),
            Kind::ScalarBinary { op, left, right } => {
                let (left, right) = (self.scalars(left, steps)?, self.scalars(right, steps)?);
                let op: ScalarOp = *op;
                Ok(left.zip(right, |a, b| passes::scalar_result(op, a, b)))
            }
            Kind::Call { call: Call::Scalar, args } => {
                let vector = self.vector(&args[0], steps)?;
                Ok(scalar_of(&vector, steps.count))
            }
            Kind::Invariant(inner) => match self.scalars(inner, steps.first_only())? {
                Scalars::Steps(values) => Ok(Scalars::Constant(values.first().copied().unwrap_or(f64::NAN))),
                constant => Ok(constant),
            },
            _ => Err(QueryError::Invalid("expected a scalar".to_owned())),
        }
    }

    /// All series of a vector.
    pub(super) fn vector(&self, node: &Node, steps: Steps) -> Done<Vec<Series>> {
        let series = self.booked(node, || self.vector_unbooked(node, steps))?;
        if let Some(profile) = &self.profile {
            profile.output(node.id, &series);
        }
        Ok(series)
    }

    fn vector_unbooked(&self, node: &Node, steps: Steps) -> Done<Vec<Series>> {
        if steps.count == 0 {
            return Ok(Vec::new());
        }
        match &node.kind {
            Kind::Select(_) | Kind::Range(_) | Kind::Map { .. } => {
                let stream = self.stream(node, steps)?;
                self.collect(&*stream, steps)
            }
            Kind::Join { op, matching, return_bool, left, right } => {
                let (left, right) = (self.vector(left, steps)?, self.vector(right, steps)?);
                let held = self.budget.held(&left) + self.budget.held(&right);
                let result = if op.is_set() {
                    set::combine(*op, left, right, matching, steps.count)?
                } else {
                    let mut notes = BinaryNotes::default();
                    let join = Join {
                        op: *op,
                        matching,
                        return_bool: *return_bool,
                        delayed_names: self.options.delayed_name_removal,
                        steps: steps.count,
                    };
                    let result = join.combine(left, right, &mut notes)?;
                    self.annotate(|a| notes.annotate(*op, node.span, a));
                    result
                };
                self.budget.exchange(held, &result)?;
                Ok(result)
            }
            Kind::Aggregate(aggregate) => self.aggregate(aggregate, node, steps),
            Kind::Call { call, args } => self.call(call, args, node, steps),
            Kind::Invariant(inner) => {
                let mut series = self.vector(inner, steps.first_only())?;
                let held = self.budget.held(&series);
                series.iter_mut().for_each(|s| s.column.broadcast(steps.count));
                self.budget.exchange(held, &series)?;
                Ok(series)
            }
            _ => Err(QueryError::Invalid("expected an instant vector".to_owned())),
        }
    }

    /// Works all series of a stream out, in the order of the stream.
    pub(super) fn collect(&self, stream: &dyn Stream, steps: Steps) -> Done<Vec<Series>> {
        let drop_name_now = !self.options.delayed_name_removal;
        let mut out: Vec<Series> = Vec::new();
        let mut renamed = false;
        self.for_chunks(
            stream.len(),
            |range, work: &mut Work| {
                let mut part = Vec::with_capacity(range.len());
                let mut column = Column::default();
                for index in range {
                    column.reset(steps.count);
                    if !stream.fill(index, work, &mut column)? {
                        continue;
                    }
                    self.budget.hold(&column)?;
                    let drop_name = stream.drop_name(index);
                    let mut labels = stream.labels(index);
                    if drop_name && drop_name_now {
                        labels = crate::vector::without_metadata(&labels);
                    }
                    part.push(Series { labels, drop_name, column: std::mem::take(&mut column) });
                }
                Ok(part)
            },
            |mut part| {
                renamed |= part.iter().any(|s| s.drop_name);
                out.append(&mut part);
                Ok(())
            },
        )?;
        if renamed && drop_name_now {
            if stream.strict_names() && crate::vector::has_same_labels(&out) {
                return Err(QueryError::same_labelset());
            }
            drop_names(&mut out)?;
        }
        Ok(out)
    }

    fn call(&self, call: &Call, args: &[Node], node: &Node, steps: Steps) -> Done<Vec<Series>> {
        let count = steps.count;
        match call {
            Call::Vector => {
                let scalars = self.scalars(&args[0], steps)?;
                let floats = (0..count).map(|step| scalars.get(step)).collect();
                let column = Column::of_floats(floats);
                self.budget.hold(&column)?;
                Ok(vec![Series { labels: Labels::empty(), drop_name: false, column }])
            }
            Call::Scalar => {
                let scalars = self.scalars(node, steps)?;
                let floats = (0..count).map(|step| scalars.get(step)).collect();
                Ok(vec![Series { labels: Labels::empty(), drop_name: false, column: Column::of_floats(floats) }])
            }
            Call::Absent { name, labels } => {
                let present = self.presence(&args[0], steps)?;
                let floats: Vec<f64> = present.iter().map(|p| if *p { ABSENT } else { 1.0 }).collect();
                if floats.iter().all(|v| is_absent(*v)) {
                    return Ok(Vec::new());
                }
                let drop_name = *name == "absent_over_time";
                Ok(vec![Series { labels: labels.clone(), drop_name, column: Column::of_floats(floats) }])
            }
            Call::Sort { descending } => {
                let mut series = self.vector(&args[0], steps)?;
                for s in &mut series {
                    s.column.histograms.clear();
                }
                series.retain(|s| !s.column.is_void());
                if count == 1 {
                    sort::by_value(&mut series, *descending);
                } else {
                    self.annotate(|a| a.sort_in_range_query(node.span));
                }
                Ok(series)
            }
            Call::SortByLabel { names, descending } => {
                let mut series = self.vector(&args[0], steps)?;
                if count == 1 {
                    sort::by_labels(&mut series, names, *descending);
                } else {
                    self.annotate(|a| a.sort_in_range_query(node.span));
                }
                Ok(series)
            }
            Call::LabelReplace(replace) => labels::replace(replace, self, &args[0], steps),
            Call::LabelJoin { target, separator, sources } => {
                let series = self.vector(&args[0], steps)?;
                labels::join(series, target, separator, sources)
            }
            Call::HistogramQuantile => {
                let q = self.scalars(&args[0], steps)?;
                let series = self.vector(&args[1], steps)?;
                let input = quantile::Input { series, q_span: args[0].span, span: args[1].span, steps };
                self.histogram_quantile(input, &q, None)
            }
            Call::HistogramQuantiles { label } => self.histogram_quantiles(label, args, steps),
            Call::HistogramFraction => {
                let (lower, upper) = (self.scalars(&args[0], steps)?, self.scalars(&args[1], steps)?);
                let series = self.vector(&args[2], steps)?;
                let input = quantile::Input { series, q_span: args[0].span, span: args[2].span, steps };
                self.histogram_fraction(input, &lower, &upper)
            }
            Call::Info(info) => self.info(info, &args[0], steps),
        }
    }

    /// The steps at which a vector has an element.
    fn presence(&self, node: &Node, steps: Steps) -> Done<Vec<bool>> {
        let mut present = vec![false; steps.count];
        let stream = self.stream(node, steps)?;
        self.for_chunks(
            stream.len(),
            |range, work: &mut Work| {
                let mut part = vec![false; steps.count];
                let mut column = Column::default();
                for index in range {
                    column.reset(steps.count);
                    if stream.fill(index, work, &mut column)? {
                        part.iter_mut().enumerate().for_each(|(step, p)| *p |= column.is_present(step));
                    }
                }
                Ok(part)
            },
            |part| {
                present.iter_mut().zip(part).for_each(|(p, more)| *p |= more);
                Ok(())
            },
        )?;
        Ok(present)
    }
}

/// The only float of each step, else NaN.
fn scalar_of(vector: &[Series], steps: usize) -> Scalars {
    let mut values = vec![ABSENT; steps];
    for series in vector {
        for (held, value) in values.iter_mut().zip(&series.column.floats) {
            if !is_absent(*value) {
                // A second one spoils the step; NaN is not the mark of absence.
                *held = if is_absent(*held) { *value } else { go_max(f64::NAN, 0.0) };
            }
        }
    }
    values.iter_mut().filter(|v| is_absent(**v)).for_each(|v| *v = f64::NAN);
    Scalars::Steps(values)
}

/// Labels that a matcher fixes, for names known without looking at a series.
pub(super) fn fixed_name(matchers: &[model::Matcher]) -> Option<Arc<str>> {
    let name = |m: &&model::Matcher| m.name() == model::METRIC_NAME && m.op() == model::MatchOp::Equal;
    matchers.iter().find(name).map(|m| m.value().into())
}
