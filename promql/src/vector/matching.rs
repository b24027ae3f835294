//! Which series of two vectors belong together: every series gets the number of its match group.

use crate::hash::HashMap;
use model::{Labels, METRIC_NAME};

use super::Series;
use crate::ast::Matching;

/// Builds keys of label subsets in one buffer and numbers them; a label string is looked at once per series.
#[derive(Default)]
pub struct Grouper {
    names: Vec<String>,
    keep: bool,
    key: Vec<u8>,
    ids: HashMap<Box<[u8]>, u32>,
}

impl Grouper {
    /// Groups by the labels in `names` (`keep`), or by all but those and the metric's name.
    pub fn new(names: &[String], keep: bool) -> Self {
        let mut names = names.to_vec();
        if !keep {
            names.push(METRIC_NAME.to_owned());
        }
        names.sort_unstable();
        names.dedup();
        Self { names, keep, ..Self::default() }
    }

    /// As `Grouper::new(names, false)` with the metric's name kept in the key.
    pub fn without_only(names: &[String]) -> Self {
        let mut names = names.to_vec();
        names.sort_unstable();
        Self { names, keep: false, ..Self::default() }
    }

    /// Whether a label is part of the key.
    pub fn keeps(&self, name: &str) -> bool {
        self.names.binary_search_by(|n| n.as_str().cmp(name)).is_ok() == self.keep
    }

    /// The group of a label set, numbered from 0 in the order of first use; true when it is new.
    pub fn group(&mut self, labels: &Labels) -> (u32, bool) {
        self.key.clear();
        for (name, value) in labels.iter() {
            if self.keeps(name) {
                for part in [name, value] {
                    self.key.extend_from_slice(&(part.len() as u32).to_le_bytes());
                    self.key.extend_from_slice(part.as_bytes());
                }
            }
        }
        if let Some(id) = self.ids.get(self.key.as_slice()) {
            return (*id, false);
        }
        let id = self.ids.len() as u32;
        self.ids.insert(self.key.as_slice().into(), id);
        (id, true)
    }

    /// The labels of the key.
    pub fn labels(&self, labels: &Labels) -> Labels {
        labels.without(|name| !self.keeps(name))
    }

    /// Number of groups so far.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True before the first group.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// Match groups of two vectors.
pub struct MatchGroups {
    /// Group of each left series.
    pub left: Vec<u32>,
    /// Group of each right series.
    pub right: Vec<u32>,
    /// Number of groups.
    pub count: usize,
}

impl MatchGroups {
    /// Numbers the groups of two vectors.
    pub fn new(left: &[Series], right: &[Series], matching: &Matching) -> Self {
        let mut grouper = Grouper::new(&matching.labels, matching.on);
        let left = left.iter().map(|s| grouper.group(&s.labels).0).collect();
        let right = right.iter().map(|s| grouper.group(&s.labels).0).collect();
        Self { left, right, count: grouper.len() }
    }

    /// Series by group, as (offsets, indexes): those of group `g` are `indexes[offsets[g]..offsets[g + 1]]`.
    pub fn by_group(groups: &[u32], count: usize) -> (Vec<usize>, Vec<usize>) {
        let mut offsets = vec![0; count + 1];
        for group in groups {
            offsets[*group as usize + 1] += 1;
        }
        for at in 1..offsets.len() {
            offsets[at] += offsets[at - 1];
        }
        let mut next = offsets.clone();
        let mut indexes = vec![0; groups.len()];
        for (series, group) in groups.iter().enumerate() {
            indexes[next[*group as usize]] = series;
            next[*group as usize] += 1;
        }
        (offsets, indexes)
    }
}

/// The labels by which a series was matched.
pub(crate) fn match_labels(labels: &Labels, matching: &Matching) -> Labels {
    labels.without(|name| {
        let listed = matching.labels.iter().any(|l| l == name);
        if matching.on { !listed } else { listed || name == METRIC_NAME }
    })
}
