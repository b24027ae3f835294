//! How much there is of what, from the headers of units: per stream, and per label and value.

use std::collections::HashMap;

use model::{Labels, LogSelect, LogSource, Matcher, SourceError};

use crate::db::Db;

/// What is stored of one stream in a time range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamVolume {
    /// Its labels.
    pub labels: Labels,
    /// Units that overlap the range.
    pub units: u64,
    /// Entries in the range.
    pub entries: u64,
    /// Bytes of their lines; of units that lie partly in the range, by the share of their entries.
    pub bytes: u64,
}

/// Figures of one label name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelCount {
    /// The name.
    pub name: String,
    /// Streams that have it.
    pub streams: u64,
    /// Its values, those of most streams first.
    pub values: Vec<ValueCount>,
}

/// Figures of one value of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueCount {
    /// The value.
    pub value: String,
    /// Streams that have it.
    pub streams: u64,
    /// Their entries.
    pub entries: u64,
    /// Bytes of their lines.
    pub bytes: u64,
}

impl Db {
    /// Streams that satisfy the matchers and have entries in `[start_ns, end_ns)`, by labels, with what there is of them.
    /// Reads no line; entries that a delete request with a filter hides are counted until they are gone.
    ///
    /// # Errors
    /// When the store is closed. Damaged segments are left out.
    pub fn volumes(&self, matchers: &[Matcher], start_ns: i64, end_ns: i64) -> Result<Vec<StreamVolume>, SourceError> {
        let request = LogSelect { matchers: matchers.to_vec(), start_ns, end_ns, ..LogSelect::default() };
        let selection = self.select(&request)?;
        let empty = |labels: &Labels| StreamVolume { labels: labels.clone(), units: 0, entries: 0, bytes: 0 };
        let mut volumes: Vec<StreamVolume> = selection.streams().iter().map(empty).collect();
        for (index, unit) in selection.units().iter().enumerate() {
            let whole = start_ns <= unit.min_ns && unit.max_ns < end_ns;
            let counted = if whole { None } else { selection.count(index, start_ns, end_ns) };
            let entries = counted.unwrap_or(unit.entries);
            let volume = &mut volumes[unit.stream as usize];
            volume.units += 1;
            volume.entries += entries;
            let share = u128::from(unit.bytes) * u128::from(entries) / u128::from(unit.entries.max(1));
            volume.bytes += share as u64;
        }
        volumes.retain(|volume| volume.entries > 0);
        volumes.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(volumes)
    }
}

/// The cardinality of labels: names with most values first, and of each at most `limit` values, those of most streams first.
pub fn count_labels(volumes: &[StreamVolume], limit: usize) -> Vec<LabelCount> {
    let mut names: HashMap<&str, HashMap<&str, (u64, u64, u64)>> = HashMap::new();
    for volume in volumes {
        for (name, value) in &volume.labels {
            let of = names.entry(name).or_default().entry(value).or_default();
            *of = (of.0 + 1, of.1 + volume.entries, of.2 + volume.bytes);
        }
    }
    let mut counts: Vec<(usize, LabelCount)> = Vec::with_capacity(names.len());
    for (name, values) in names {
        let cardinality = values.len();
        let streams = values.values().map(|(streams, ..)| streams).sum();
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        values.truncate(limit);
        let value = |(value, (streams, entries, bytes)): (&str, (u64, u64, u64))| ValueCount {
            value: value.to_owned(),
            streams,
            entries,
            bytes,
        };
        let count = LabelCount { name: name.to_owned(), streams, values: values.into_iter().map(value).collect() };
        counts.push((cardinality, count));
    }
    counts.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)));
    counts.into_iter().map(|(_, count)| count).collect()
}
