//! The stages that look at entries in their final order: `| distinct a, b` and `| dedup` (extensions).

use std::collections::{HashMap, HashSet};

use super::Entry;
use crate::label_set::LabelSet;
use crate::pipeline::compile::OrderedStage;

/// Bytes that a remembered value or line takes beside its text, about.
const OVERHEAD: usize = 64;

/// The stages, in order, with what they remember of the entries so far.
pub(crate) struct Ordered {
    stages: Vec<State>,
    bytes: usize,
}

enum State {
    Distinct { labels: Vec<String>, seen: HashSet<Vec<String>> },
    Dedup { last: HashMap<LabelSet, Box<str>> },
}

impl Ordered {
    pub(crate) fn new(stages: Vec<OrderedStage>) -> Self {
        let state = |stage| match stage {
            OrderedStage::Distinct(labels) => State::Distinct { labels, seen: HashSet::new() },
            OrderedStage::Dedup => State::Dedup { last: HashMap::new() },
        };
        Self { stages: stages.into_iter().map(state).collect(), bytes: 0 }
    }

    /// Memory that is taken, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing like the entry came before it.
    pub(crate) fn is_first(&mut self, entry: &Entry) -> bool {
        let bytes = &mut self.bytes;
        self.stages.iter_mut().all(|stage| stage.is_first(entry, bytes))
    }
}

impl State {
    fn is_first(&mut self, entry: &Entry, bytes: &mut usize) -> bool {
        match self {
            Self::Distinct { labels, seen } => {
                let value = |label: &String| entry.labels.all.get(label).unwrap_or("").to_owned();
                let values: Vec<String> = labels.iter().map(value).collect();
                let len: usize = values.iter().map(|value| value.len() + OVERHEAD).sum();
                let first = seen.insert(values);
                *bytes += if first { len } else { 0 };
                first
            }
            Self::Dedup { last } => match last.get_mut(&entry.labels.all) {
                Some(line) if *line == entry.line => false,
                Some(line) => {
                    *bytes = (*bytes + entry.line.len()).saturating_sub(line.len());
                    line.clone_from(&entry.line);
                    true
                }
                None => {
                    *bytes += entry.line.len() + entry.labels.all.heap_bytes() + OVERHEAD;
                    last.insert(entry.labels.all.clone(), entry.line.clone());
                    true
                }
            },
        }
    }
}
