//! Aggregations over series: `sum by (a) (v)`, `topk(3, v)`, `sort(v)`.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::Series;
use crate::label_set::LabelSet;
use crate::metric::grid::{ABSENT, is_present};
use crate::syntax::ast::{Grouping, VectorOp};

/// The labels of the group that a label set belongs to. Those with an empty value are left out where labels are excluded.
pub(crate) fn group_labels(labels: &LabelSet, grouping: &Grouping) -> LabelSet {
    let listed = |name: &str| grouping.labels.iter().any(|label| label == name);
    match grouping.without {
        true => labels.filter(|name, value| !value.is_empty() && !listed(name) && name != model::METRIC_NAME),
        false => labels.filter(|name, _| listed(name)),
    }
}

/// Members of each group, groups in the order in which they were met.
fn groups(series: &[Series], grouping: &Grouping) -> Vec<(LabelSet, Vec<usize>)> {
    let mut groups: Vec<(LabelSet, Vec<usize>)> = Vec::new();
    let mut by_labels: HashMap<LabelSet, usize, foldhash::fast::FixedState> = HashMap::default();
    for (index, one) in series.iter().enumerate() {
        let labels = group_labels(&one.labels, grouping);
        let group = *by_labels.entry(labels).or_insert_with_key(|labels| {
            groups.push((labels.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[group].1.push(index);
    }
    groups
}

/// Aggregates. `parameter` is the number of series to choose.
pub(crate) fn aggregate(op: VectorOp, parameter: usize, grouping: &Grouping, series: Vec<Series>) -> Vec<Series> {
    let groups = groups(&series, grouping);
    match op {
        VectorOp::Topk | VectorOp::ApproxTopk => choose(series, &groups, parameter, true),
        VectorOp::Bottomk => choose(series, &groups, parameter, false),
        VectorOp::Sort => sort(series, &groups, false),
        VectorOp::SortDesc => sort(series, &groups, true),
        _ => groups
            .into_iter()
            .map(|(labels, members)| {
                let columns = members.iter().map(|index| series[*index].values.as_slice());
                Series { labels, values: fold(op, columns) }
            })
            .collect(),
    }
}

/// One aggregated number per step.
fn fold<'a>(op: VectorOp, columns: impl Iterator<Item = &'a [f64]> + Clone) -> Vec<f64> {
    let steps = columns.clone().next().map_or(0, <[f64]>::len);
    let mut values = vec![ABSENT; steps];
    match op {
        VectorOp::Sum => each(&mut values, columns, |sum, value| sum + value, |value| value),
        VectorOp::Min => {
            each(&mut values, columns, |min, v| if min > v || min.is_nan() { v } else { min }, |value| value);
        }
        VectorOp::Max => {
            each(&mut values, columns, |max, v| if max < v || max.is_nan() { v } else { max }, |value| value);
        }
        VectorOp::Count => each(&mut values, columns, |count, _| count + 1.0, |_| 1.0),
        VectorOp::Avg => {
            let mut counts = vec![0.0; steps];
            for column in columns {
                for ((mean, count), value) in values.iter_mut().zip(&mut counts).zip(column) {
                    if is_present(*value) {
                        *count += 1.0;
                        *mean = if *count == 1.0 { *value } else { next_mean(*mean, *count, *value) };
                    }
                }
            }
        }
        _ => {
            let mut states = vec![(0.0, 0.0, 0.0); steps];
            for column in columns {
                for ((count, mean, squares), value) in states.iter_mut().zip(column) {
                    if is_present(*value) {
                        *count += 1.0;
                        if *count == 1.0 {
                            *mean = *value;
                            continue;
                        }
                        let delta = value - *mean;
                        *mean += delta / *count;
                        *squares += delta * (value - *mean);
                    }
                }
            }
            for (value, (count, _, squares)) in values.iter_mut().zip(states) {
                if count > 0.0 {
                    let variance = squares / count;
                    *value = if op == VectorOp::Stddev { variance.sqrt() } else { variance };
                }
            }
        }
    }
    values
}

fn each<'a>(
    values: &mut [f64],
    columns: impl Iterator<Item = &'a [f64]>,
    next: impl Fn(f64, f64) -> f64,
    first: impl Fn(f64) -> f64,
) {
    for column in columns {
        for (known, value) in values.iter_mut().zip(column) {
            if is_present(*value) {
                *known = if is_present(*known) { next(*known, *value) } else { first(*value) };
            }
        }
    }
}

/// The mean with one more value; an infinite mean stays what it is when a finite value comes in.
fn next_mean(mean: f64, count: f64, value: f64) -> f64 {
    if mean.is_infinite() && (value.is_finite() || value == mean) {
        return mean;
    }
    mean + (value - mean) / count
}

/// Ascending, NaN first.
fn nan_first(a: f64, b: f64) -> Ordering {
    b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(&b).unwrap_or(Ordering::Equal))
}

/// Keeps at each step the largest (smallest) numbers of each group. NaN is chosen only for want of others.
fn choose(mut series: Vec<Series>, groups: &[(LabelSet, Vec<usize>)], k: usize, largest: bool) -> Vec<Series> {
    let steps = series.first().map_or(0, |one| one.values.len());
    let mut chosen: Vec<(usize, usize, f64)> = Vec::new();
    let mut ranked: Vec<(usize, f64)> = Vec::new();
    let values_at = |members: &[usize], step: usize, ranked: &mut Vec<(usize, f64)>| {
        ranked.clear();
        let there = members.iter().map(|index| (*index, series[*index].values[step]));
        ranked.extend(there.filter(|(_, value)| is_present(*value)));
    };
    for (_, members) in groups {
        for step in 0..steps {
            values_at(members, step, &mut ranked);
            if ranked.len() > k {
                let rank = |a: &(usize, f64), b: &(usize, f64)| {
                    let nan = a.1.is_nan().cmp(&b.1.is_nan());
                    let value = if largest { b.1.partial_cmp(&a.1) } else { a.1.partial_cmp(&b.1) };
                    nan.then(value.unwrap_or(Ordering::Equal)).then(a.0.cmp(&b.0))
                };
                ranked.select_nth_unstable_by(k - 1, rank);
                ranked.truncate(k);
            }
            chosen.extend(ranked.iter().map(|(index, value)| (*index, step, *value)));
        }
    }
    for one in &mut series {
        one.values.fill(ABSENT);
    }
    for (index, step, value) in chosen {
        series[index].values[step] = value;
    }
    series.retain(|one| one.values.iter().any(|value| is_present(*value)));
    if steps == 1 {
        // What is chosen at one moment is given out in order of its numbers.
        return sort(series, &[], largest);
    }
    series
}

/// Orders series by their number at the first step; matters only where there is one step.
fn sort(mut series: Vec<Series>, _groups: &[(LabelSet, Vec<usize>)], descending: bool) -> Vec<Series> {
    let value = |one: &Series| one.values.first().copied().unwrap_or(ABSENT);
    series.retain(|one| one.values.iter().any(|value| is_present(*value)));
    series.sort_by(|a, b| {
        let (a, b) = (value(a), value(b));
        if descending { nan_first(b, a) } else { nan_last(a, b) }
    });
    series
}

/// Ascending, NaN last.
fn nan_last(a: f64, b: f64) -> Ordering {
    a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(&b).unwrap_or(Ordering::Equal))
}
