//! Lists and counts over an index: label names, label values, and where the series come from.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use roaring::RoaringBitmap;

use super::format::IndexError;
use super::{Ids, LabelIndex};
use crate::labels::METRIC_NAME;

/// The label names of the ids in `within` (of all, when `None`), ascending, at most `limit` (0: all).
///
/// # Errors
/// When the index is damaged.
pub fn label_names<I: LabelIndex + ?Sized>(
    index: &I,
    within: Option<&RoaringBitmap>,
    limit: usize,
) -> Result<Vec<String>, IndexError> {
    let mut names = Vec::new();
    index.names(&mut |name| {
        names.push(name.to_owned());
        within.is_some() || limit == 0 || names.len() < limit
    })?;
    let Some(within) = within else { return Ok(names) };
    let mut found = Vec::new();
    for name in names {
        if limit != 0 && found.len() == limit {
            break;
        }
        let mut carried = false;
        let mut failure = None;
        index.walk(&name, "", &mut |value| {
            match value.ids.intersects(within) {
                Ok(intersects) => carried = intersects,
                Err(error) => failure = Some(error),
            }
            !carried && failure.is_none()
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        if carried {
            found.push(name);
        }
    }
    Ok(found)
}

/// The values of a label over the ids in `within` (over all, when `None`), ascending, at most `limit` (0: all).
///
/// # Errors
/// When the index is damaged.
pub fn label_values<I: LabelIndex + ?Sized>(
    index: &I,
    name: &str,
    within: Option<&RoaringBitmap>,
    limit: usize,
) -> Result<Vec<String>, IndexError> {
    let mut values = Vec::new();
    let mut failure = None;
    index.walk(name, "", &mut |value| {
        match (within.map_or(Ok(true), |within| value.ids.intersects(within)), std::str::from_utf8(value.text)) {
            (Ok(true), Ok(text)) => values.push(text.to_owned()),
            (Ok(true), Err(_)) => failure = Some(IndexError::Damaged("a label value is not UTF-8")),
            (Ok(false), _) => {}
            (Err(error), _) => failure = Some(error),
        }
        failure.is_none() && (limit == 0 || values.len() < limit)
    })?;
    failure.map_or(Ok(values), Err)
}

/// A name (or a pair `name=value`) and how many there are of something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count {
    /// What is counted.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// Where series come from: the greatest first, equal ones by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Number of series.
    pub series: u64,
    /// Number of distinct label pairs.
    pub pairs: u64,
    /// Series by metric name.
    pub series_by_metric: Vec<Count>,
    /// Values by label name.
    pub values_by_name: Vec<Count>,
    /// Bytes of the values by label name.
    pub bytes_by_name: Vec<Count>,
    /// Series by pair, written `name=value`.
    pub series_by_pair: Vec<Count>,
}

/// Counts what an index holds, at most `limit` entries of each kind. Walks over all values.
///
/// # Errors
/// When the index is damaged.
pub fn cardinality<I: LabelIndex + ?Sized>(index: &I, limit: usize) -> Result<Cardinality, IndexError> {
    let mut names = Vec::new();
    index.names(&mut |name| {
        names.push(name.to_owned());
        true
    })?;
    let mut metrics = Top::new(limit);
    let mut values = Top::new(limit);
    let mut bytes = Top::new(limit);
    let mut pairs = Top::new(limit);
    let mut total = 0;
    for name in &names {
        let mut count = 0u64;
        let mut len = 0u64;
        index.walk(name, "", &mut |value| {
            count += 1;
            len += value.text.len() as u64;
            let series = Ids::len(&value.ids);
            pairs.offer(series, || format!("{name}={}", String::from_utf8_lossy(value.text)));
            if name == METRIC_NAME {
                metrics.offer(series, || String::from_utf8_lossy(value.text).into_owned());
            }
            true
        })?;
        total += count;
        values.offer(count, || name.clone());
        bytes.offer(len, || name.clone());
    }
    Ok(Cardinality {
        series: index.all()?.len(),
        pairs: total,
        series_by_metric: metrics.finish(),
        values_by_name: values.finish(),
        bytes_by_name: bytes.finish(),
        series_by_pair: pairs.finish(),
    })
}

/// Keeps the greatest counts seen.
struct Top {
    limit: usize,
    /// The least of those kept is on top.
    kept: BinaryHeap<(Reverse<u64>, String)>,
}

impl Top {
    fn new(limit: usize) -> Self {
        Self { limit, kept: BinaryHeap::new() }
    }

    fn offer(&mut self, count: u64, name: impl FnOnce() -> String) {
        if self.kept.len() == self.limit && self.kept.peek().is_none_or(|(Reverse(least), _)| *least > count) {
            return;
        }
        self.kept.push((Reverse(count), name()));
        if self.kept.len() > self.limit {
            self.kept.pop();
        }
    }

    fn finish(self) -> Vec<Count> {
        let sorted = self.kept.into_sorted_vec();
        sorted.into_iter().map(|(Reverse(count), name)| Count { name, count }).collect()
    }
}
