//! Operators between two sets of series, or between series and a number.

use std::collections::{HashMap, HashSet};

use super::Series;
use crate::engine::MatchingError;
use crate::label_set::LabelSet;
use crate::metric::grid::{ABSENT, is_present};
use crate::syntax::ast::{Binary, BinaryOp, Cardinality, Matching};

/// Applies an operator to each number and a literal, which stands on the left or on the right.
pub(crate) fn with_literal(
    op: BinaryOp,
    literal: f64,
    literal_left: bool,
    return_bool: bool,
    mut series: Vec<Series>,
) -> Vec<Series> {
    for one in &mut series {
        for value in &mut one.values {
            if !is_present(*value) {
                continue;
            }
            let (left, right) = if literal_left { (literal, *value) } else { (*value, literal) };
            *value = match op.comparison() {
                Some(_) if return_bool => op.apply(left, right).unwrap_or(ABSENT),
                // A comparison filters; what is left is the series' own number.
                Some(comparison) if comparison.holds(left, right) => *value,
                Some(_) => ABSENT,
                None => op.apply(left, right).unwrap_or(ABSENT),
            };
        }
    }
    drop_empty(series)
}

fn drop_empty(mut series: Vec<Series>) -> Vec<Series> {
    series.retain(|one| one.values.iter().any(|value| is_present(*value)));
    series
}

/// The labels by which series of the two sides are brought together. An empty value is as good as none.
fn signature(labels: &LabelSet, matching: &Matching) -> LabelSet {
    let listed = |name: &str| matching.labels.iter().any(|label| label == name);
    labels.filter(|name, value| !value.is_empty() && listed(name) == matching.on)
}

type BySignature = HashMap<LabelSet, Vec<usize>, foldhash::fast::FixedState>;

fn by_signature(series: &[Series], matching: &Matching) -> BySignature {
    let mut found = BySignature::default();
    for (index, one) in series.iter().enumerate() {
        found.entry(signature(&one.labels, matching)).or_default().push(index);
    }
    found
}

/// Applies an operator to two sets of series.
///
/// # Errors
/// When at some step series cannot be brought together one to one, or as the query allows.
pub(crate) fn between(node: &Binary, left: Vec<Series>, right: Vec<Series>) -> Result<Vec<Series>, MatchingError> {
    match node.op {
        BinaryOp::And => Ok(filter(left, &right, &node.matching, |found| found)),
        BinaryOp::Unless => Ok(filter(left, &right, &node.matching, |found| !found)),
        BinaryOp::Or => Ok(or(left, right, &node.matching)),
        _ => arithmetic(node, left, right),
    }
}

/// At which steps some series of a list is there.
fn presence(series: &[Series], list: &[usize], steps: usize) -> Vec<bool> {
    (0..steps).map(|step| list.iter().any(|index| is_present(series[*index].values[step]))).collect()
}

/// Keeps numbers of the left side by whether the right side has a series that matches.
fn filter(mut left: Vec<Series>, right: &[Series], matching: &Matching, keep: impl Fn(bool) -> bool) -> Vec<Series> {
    let steps = left.first().map_or(0, |one| one.values.len());
    let there: HashMap<LabelSet, Vec<bool>> = by_signature(right, matching)
        .into_iter()
        .map(|(signature, list)| (signature, presence(right, &list, steps)))
        .collect();
    for one in &mut left {
        let found = there.get(&signature(&one.labels, matching));
        for (step, value) in one.values.iter_mut().enumerate() {
            if !keep(found.is_some_and(|found| found[step])) {
                *value = ABSENT;
            }
        }
    }
    drop_empty(left)
}

fn or(left: Vec<Series>, mut right: Vec<Series>, matching: &Matching) -> Vec<Series> {
    let steps = left.first().or(right.first()).map_or(0, |one| one.values.len());
    let there: HashMap<LabelSet, Vec<bool>> = by_signature(&left, matching)
        .into_iter()
        .map(|(signature, list)| (signature, presence(&left, &list, steps)))
        .collect();
    for one in &mut right {
        if let Some(found) = there.get(&signature(&one.labels, matching)) {
            for (value, found) in one.values.iter_mut().zip(found) {
                if *found {
                    *value = ABSENT;
                }
            }
        }
    }
    let mut all = left;
    all.extend(right);
    merge_equal(drop_empty(all))
}

/// Joins series with equal labels, of which at most one is there at each step.
fn merge_equal(series: Vec<Series>) -> Vec<Series> {
    let mut by_labels: HashMap<LabelSet, usize, foldhash::fast::FixedState> = HashMap::default();
    let mut merged: Vec<Series> = Vec::with_capacity(series.len());
    for one in series {
        match by_labels.get(&one.labels) {
            Some(index) if disjoint(&merged[*index].values, &one.values) => {
                for (known, value) in merged[*index].values.iter_mut().zip(&one.values) {
                    if is_present(*value) {
                        *known = *value;
                    }
                }
            }
            _ => {
                by_labels.insert(one.labels.clone(), merged.len());
                merged.push(one);
            }
        }
    }
    merged
}

fn disjoint(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| !is_present(*a) || !is_present(*b))
}

fn arithmetic(node: &Binary, left: Vec<Series>, right: Vec<Series>) -> Result<Vec<Series>, MatchingError> {
    let matching = &node.matching;
    let swapped = matching.cardinality == Cardinality::OneToMany;
    // `many` may have several series for one of `one`.
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let steps = many.first().or(one.first()).map_or(0, |series| series.values.len());
    let ones = by_signature(&one, matching);
    // Which series is there at each step; several are an error even if nothing asks for them.
    let mut columns: HashMap<&LabelSet, Vec<Option<usize>>> = HashMap::new();
    for (signature, list) in &ones {
        let mut column = vec![None; steps];
        for index in list {
            for (slot, value) in column.iter_mut().zip(&one[*index].values) {
                if is_present(*value) && slot.replace(*index).is_some() {
                    return Err(MatchingError::Duplicate(if swapped { "left" } else { "right" }));
                }
            }
        }
        columns.insert(signature, column);
    }
    // For each signature, which result labels a step has given already.
    let mut taken: HashMap<(LabelSet, LabelSet), Vec<bool>> = HashMap::new();
    let mut used: HashMap<LabelSet, Vec<bool>> = HashMap::new();
    let mut results: Vec<Series> = Vec::new();
    let mut by_labels: HashMap<LabelSet, usize, foldhash::fast::FixedState> = HashMap::default();
    for series in &many {
        let signature = signature(&series.labels, matching);
        let Some(column) = columns.get(&signature) else { continue };
        // The partner may change from step to step, and with it the labels of the result.
        let partners: HashSet<usize> = column.iter().flatten().copied().collect();
        for partner in partners {
            let labels = result_labels(&series.labels, &one[partner].labels, matching);
            let mut values = vec![ABSENT; steps];
            for step in 0..steps {
                if column[step] != Some(partner) || !is_present(series.values[step]) {
                    continue;
                }
                let fresh = match matching.cardinality {
                    Cardinality::OneToOne => {
                        let seen = used.entry(signature.clone()).or_insert_with(|| vec![false; steps]);
                        !std::mem::replace(&mut seen[step], true)
                    }
                    _ => {
                        let key = (signature.clone(), labels.clone());
                        let seen = taken.entry(key).or_insert_with(|| vec![false; steps]);
                        !std::mem::replace(&mut seen[step], true)
                    }
                };
                if !fresh {
                    return Err(match matching.cardinality {
                        Cardinality::OneToOne => MatchingError::NotExplicit,
                        _ => MatchingError::NotUnique,
                    });
                }
                let (a, b) = (series.values[step], one[partner].values[step]);
                let (a, b) = if swapped { (b, a) } else { (a, b) };
                values[step] = match node.op.comparison() {
                    Some(comparison) if !node.return_bool => {
                        if comparison.holds(a, b) {
                            a
                        } else {
                            ABSENT
                        }
                    }
                    _ => node.op.apply(a, b).unwrap_or(ABSENT),
                };
            }
            match by_labels.get(&labels) {
                Some(index) if disjoint(&results[*index].values, &values) => {
                    for (known, value) in results[*index].values.iter_mut().zip(values) {
                        if is_present(value) {
                            *known = value;
                        }
                    }
                }
                _ => {
                    by_labels.insert(labels.clone(), results.len());
                    results.push(Series { labels, values });
                }
            }
        }
    }
    Ok(drop_empty(results))
}

fn result_labels(many: &LabelSet, one: &LabelSet, matching: &Matching) -> LabelSet {
    let kept = match matching.cardinality {
        Cardinality::OneToOne => signature(many, matching),
        _ => many.filter(|_, value| !value.is_empty()),
    };
    if matching.include.is_empty() {
        return kept;
    }
    let included = |name: &str| matching.include.iter().any(|label| label == name);
    let own = kept.iter().filter(|(name, _)| !included(name));
    let taken = one.iter().filter(|(name, value)| included(name) && !value.is_empty());
    LabelSet::from_pairs(own.chain(taken))
}
