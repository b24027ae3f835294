//! Series that have become equal: joined where they do not overlap, refused where they do.

use crate::hash::HashMap;
use model::Labels;

use super::{Series, without_metadata};
use crate::error::QueryError;

/// Removes the names of the series that are marked for it, then joins series of one label set.
///
/// # Errors
/// When two of them have a value at the same step.
pub fn drop_names(series: &mut Vec<Series>) -> Result<(), QueryError> {
    for s in series.iter_mut().filter(|s| s.drop_name) {
        s.labels = without_metadata(&s.labels);
    }
    merge_same_labels(series)
}

/// Joins series of one label set.
///
/// # Errors
/// When two of them have a value at the same step.
pub fn merge_same_labels(series: &mut Vec<Series>) -> Result<(), QueryError> {
    if !has_same_labels(series) {
        return Ok(());
    }
    let mut index: HashMap<Labels, usize> = HashMap::default();
    let mut out: Vec<Series> = Vec::with_capacity(series.len());
    for s in series.drain(..) {
        match index.get(&s.labels) {
            None => {
                index.insert(s.labels.clone(), out.len());
                out.push(s);
            }
            Some(at) => join(&mut out[*at], &s)?,
        }
    }
    *series = out;
    Ok(())
}

/// Whether two series have one label set.
pub(crate) fn has_same_labels(series: &[Series]) -> bool {
    match series {
        [] | [_] => false,
        [a, b] => a.labels == b.labels,
        _ => {
            let mut seen: crate::hash::HashSet<&Labels> =
                crate::hash::HashSet::with_capacity_and_hasher(series.len(), Default::default());
            series.iter().any(|s| !seen.insert(&s.labels))
        }
    }
}

/// Moves the values of one series into another.
fn join(into: &mut Series, other: &Series) -> Result<(), QueryError> {
    for step in 0..other.column.len() {
        if other.column.is_present(step) {
            if into.column.is_present(step) {
                return Err(QueryError::same_labelset());
            }
            into.column.copy_from(&other.column, step);
        }
    }
    Ok(())
}
