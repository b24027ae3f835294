//! `histogram_quantile`, `histogram_quantiles`, `histogram_fraction`: over classic histograms, whose buckets are series
//! that differ in `le` only, and over native ones.

use crate::hash::HashMap;
use model::{FloatHistogram, Labels, METRIC_NAME};

use super::{Done, Exec};
use crate::annotations::Annotations;
use crate::format::general;
use crate::kernels::histogram::{ClassicBucket, Raised, bucket_fraction, bucket_quantile};
use crate::plan::Node;
use crate::span::Span;
use crate::vector::matching::Grouper;
use crate::vector::{Column, Scalars, Series, Steps, is_absent, merge_same_labels, without_metadata};

/// Label of a classic bucket's upper bound.
const LE: &str = "le";

/// The vector and where its parts stand in the query.
pub(super) struct Input {
    pub(super) series: Vec<Series>,
    pub(super) q_span: Span,
    pub(super) span: Span,
    pub(super) steps: Steps,
}

/// A histogram of either kind: buckets by bound, native series, or both.
struct Histogram {
    /// Labels without `le`.
    labels: Labels,
    /// Bounds and indexes of the bucket series, ascending.
    buckets: Vec<(f64, usize)>,
    /// Indexes of native series.
    native: Vec<usize>,
}

/// Either kind at one step.
enum At<'a> {
    Classic(&'a mut Vec<ClassicBucket>),
    Native(&'a FloatHistogram),
}

impl Exec<'_> {
    /// The name that messages show: without delayed removal names are gone by then.
    fn shown_name<'l>(&self, labels: &'l Labels) -> &'l str {
        if self.options.delayed_name_removal { labels.value(METRIC_NAME) } else { "" }
    }

    /// Groups bucket series into histograms.
    fn histograms(&self, input: &Input, annotations: &mut Annotations) -> Vec<Histogram> {
        // All labels but `le` tell histograms apart, the name too: so the grouper must not drop it.
        let mut grouper = Grouper::without_only(&[LE.to_owned()]);
        let mut out: Vec<Histogram> = Vec::new();
        let mut slot = |labels: &Labels, out: &mut Vec<Histogram>| {
            let (group, new) = grouper.group(labels);
            if new {
                let labels = labels.without(|name| name == LE);
                out.push(Histogram { labels, buckets: Vec::new(), native: Vec::new() });
            }
            group as usize
        };
        let mut bounds: HashMap<&str, Option<f64>> = HashMap::default();
        for (index, series) in input.series.iter().enumerate() {
            let le = series.labels.value(LE);
            if series.column.floats.iter().any(|v| !is_absent(*v)) {
                let bound = *bounds.entry(le).or_insert_with(|| model::number::parse_float(le).ok());
                match bound {
                    Some(bound) => {
                        let at = slot(&series.labels, &mut out);
                        out[at].buckets.push((bound, index));
                    }
                    None => annotations.bad_bucket_label(self.shown_name(&series.labels), le, input.span),
                }
            }
            if series.column.has_histograms() {
                // A native histogram with a label `le` is one of its own.
                let native = Histogram { labels: series.labels.clone(), buckets: Vec::new(), native: vec![index] };
                if le.is_empty() {
                    let at = slot(&series.labels, &mut out);
                    out[at].native.push(index);
                } else {
                    out.push(native);
                    // Keeps numbers of groups and places in step.
                    slot(&unique(index), &mut out);
                    out.pop();
                }
            }
        }
        for histogram in &mut out {
            histogram.buckets.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
        }
        out
    }

    /// Runs `f` over all histograms and steps; it gives the value.
    fn each_histogram(
        &self,
        input: &Input,
        mut f: impl FnMut(&Labels, usize, At<'_>, &mut Annotations) -> f64,
        name: impl Fn(&Labels) -> Labels,
    ) -> Done<Vec<Series>> {
        let mut annotations = Annotations::default();
        let histograms = self.histograms(input, &mut annotations);
        let mut out = Vec::with_capacity(histograms.len());
        let mut buckets: Vec<ClassicBucket> = Vec::new();
        for histogram in &histograms {
            self.budget.check_now()?;
            let mut column = Column::absent(input.steps.count);
            let mut any = false;
            for step in 0..input.steps.count {
                buckets.clear();
                for (upper, index) in &histogram.buckets {
                    let count = input.series[*index].column.floats[step];
                    if !is_absent(count) {
                        buckets.push(ClassicBucket { upper: *upper, count });
                    }
                }
                let native = histogram.native.iter().find_map(|i| input.series[*i].column.histogram(step));
                let at = match (native, buckets.is_empty()) {
                    (None, true) => continue,
                    (Some(native), true) => At::Native(native),
                    (None, false) => At::Classic(&mut buckets),
                    (Some(_), false) => {
                        annotations.mixed_classic_native(self.shown_name(&histogram.labels), input.span);
                        continue;
                    }
                };
                column.floats[step] = f(&histogram.labels, step, at, &mut annotations);
                any = true;
            }
            if any {
                self.budget.hold(&column)?;
                let mut labels = histogram.labels.clone();
                if !self.options.delayed_name_removal {
                    labels = without_metadata(&labels);
                }
                out.push(Series { labels: name(&labels), drop_name: true, column });
            }
        }
        self.annotate(|a| a.merge(annotations));
        Ok(out)
    }

    pub(super) fn histogram_quantile(&self, input: Input, q: &Scalars, label: Option<&str>) -> Done<Vec<Series>> {
        self.note_quantiles(q, input.q_span);
        let text = label.map(|label| (label, open_metrics(q.values().first().copied().unwrap_or(f64::NAN))));
        let mut out = self.quantile(&input, q, text)?;
        let held = self.budget.held(&input.series);
        self.budget.exchange(held, &[])?;
        if !self.options.delayed_name_removal {
            merge_same_labels(&mut out)?;
        }
        Ok(out)
    }

    fn note_quantiles(&self, q: &Scalars, span: Span) {
        let mut wrong: Vec<f64> = q.values().iter().copied().filter(|q| !(0.0..=1.0).contains(q)).collect();
        wrong.dedup_by_key(|q| q.to_bits());
        self.annotate(|a| wrong.iter().for_each(|q| a.invalid_quantile(*q, span)));
    }

    fn quantile(&self, input: &Input, q: &Scalars, text: Option<(&str, String)>) -> Done<Vec<Series>> {
        let value = |labels: &Labels, step: usize, at: At<'_>, annotations: &mut Annotations| match at {
            At::Native(histogram) => {
                let (value, note) = histogram.quantile(q.get(step));
                if let Some(note) = note {
                    annotations.nan_observations(note, self.shown_name(labels), input.span);
                }
                value
            }
            At::Classic(buckets) => {
                let (value, raised): (f64, Option<Raised>) = bucket_quantile(q.get(step), buckets);
                if let Some(raised) = raised {
                    let time = input.steps.time(step);
                    annotations.forced_monotonicity(self.shown_name(labels), input.span, time, raised);
                }
                value
            }
        };
        let name = |labels: &Labels| match &text {
            Some((label, text)) => labels.to_builder().set(label, text).build(),
            None => labels.clone(),
        };
        self.each_histogram(input, value, name)
    }

    /// Several quantiles; the vector comes first, then one number each.
    pub(super) fn histogram_quantiles(&self, label: &str, args: &[Node], steps: Steps) -> Done<Vec<Series>> {
        let series = self.vector(&args[0], steps)?;
        let mut input = Input { series, q_span: Span::default(), span: args[0].span, steps };
        let mut out = Vec::new();
        for arg in &args[1..] {
            let q = self.scalars(arg, steps)?;
            input.q_span = arg.span;
            self.note_quantiles(&q, arg.span);
            // A number that changes with the steps makes a series of each of its values.
            for value in distinct(&q) {
                let mut part = self.quantile(&input, &Scalars::Constant(value), Some((label, open_metrics(value))))?;
                if let Scalars::Steps(values) = &q {
                    for s in &mut part {
                        for (step, q) in values.iter().enumerate().filter(|(_, q)| q.to_bits() != value.to_bits()) {
                            debug_assert!(step < values.len() && !q.is_infinite() || q.is_infinite());
                            s.column.remove(step);
                        }
                    }
                    part.retain(|s| !s.column.is_void());
                }
                out.append(&mut part);
            }
        }
        merge_same_labels(&mut out)?;
        Ok(out)
    }

    pub(super) fn histogram_fraction(&self, input: Input, lower: &Scalars, upper: &Scalars) -> Done<Vec<Series>> {
        let value = |labels: &Labels, step: usize, at: At<'_>, annotations: &mut Annotations| match at {
            At::Native(histogram) => {
                let (value, note) = histogram.fraction(lower.get(step), upper.get(step));
                if let Some(note) = note {
                    annotations.nan_observations(note, self.shown_name(labels), input.span);
                }
                value
            }
            At::Classic(buckets) => bucket_fraction(lower.get(step), upper.get(step), buckets),
        };
        let mut out = self.each_histogram(&input, value, Labels::clone)?;
        let held = self.budget.held(&input.series);
        self.budget.exchange(held, &[])?;
        if !self.options.delayed_name_removal {
            merge_same_labels(&mut out)?;
        }
        Ok(out)
    }
}

/// Labels that no series has.
fn unique(index: usize) -> Labels {
    Labels::from_pairs([("\u{0}", index.to_string())])
}

/// The different numbers, in the order of their first use.
fn distinct(q: &Scalars) -> Vec<f64> {
    let mut out: Vec<f64> = Vec::new();
    for value in q.values() {
        if !out.iter().any(|known| known.to_bits() == value.to_bits()) {
            out.push(*value);
        }
    }
    out
}

/// A number as label value: `1.0`, `0.5`, `1e+06`.
fn open_metrics(value: f64) -> String {
    match value {
        1.0 => "1.0".to_owned(),
        0.0 => "0.0".to_owned(),
        -1.0 => "-1.0".to_owned(),
        value => {
            let text = general(value);
            if text.contains(['e', '.', 'N', 'I']) { text } else { format!("{text}.0") }
        }
    }
}
