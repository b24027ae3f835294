//! The label index of what is in memory: it grows and shrinks while it is used.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use super::format::IndexError;
use super::posting::{Ids, Posting};
use super::values::ValueTree;
use super::{LabelIndex, Value};
use crate::labels::Labels;

/// Ids by label name and value, in memory. Ids are the owner's to choose and may be used again once removed.
#[derive(Clone, Debug, Default)]
pub struct MemoryIndex {
    names: BTreeMap<Box<str>, ValueTree>,
    all: RoaringBitmap,
}

impl MemoryIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a label set under an id that is not in use.
    pub fn insert(&mut self, id: u32, labels: &Labels) {
        self.all.insert(id);
        for (name, value) in labels {
            match self.names.get_mut(name) {
                Some(values) => {
                    values.insert(value, id);
                }
                None => {
                    self.names.entry(name.into()).or_default().insert(value, id);
                }
            }
        }
    }

    /// Removes an id with the label set it was added under.
    pub fn remove(&mut self, id: u32, labels: &Labels) {
        if !self.all.remove(id) {
            return;
        }
        for (name, value) in labels {
            if let Some(values) = self.names.get_mut(name) {
                values.remove(value, id);
                if values.is_empty() {
                    self.names.remove(name);
                }
            }
        }
    }

    /// Number of ids.
    pub fn len(&self) -> u64 {
        self.all.len()
    }

    /// True when it holds no id.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Bytes of heap, about; O(values).
    pub fn heap_bytes(&self) -> usize {
        let all = Posting::Many(Box::new(self.all.clone())).heap_bytes();
        all + self.names.iter().map(|(name, values)| name.len() + 96 + values.heap_bytes()).sum::<usize>()
    }
}

impl LabelIndex for MemoryIndex {
    fn all(&self) -> Result<RoaringBitmap, IndexError> {
        Ok(self.all.clone())
    }

    fn names(&self, visit: &mut dyn FnMut(&str) -> bool) -> Result<(), IndexError> {
        for name in self.names.keys() {
            if !visit(name) {
                break;
            }
        }
        Ok(())
    }

    fn value_count(&self, name: &str) -> Result<u64, IndexError> {
        Ok(self.names.get(name).map_or(0, |values| values.len() as u64))
    }

    fn with_value(
        &self,
        name: &str,
        value: &str,
        visit: &mut dyn FnMut(Ids<'_>) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        match self.names.get(name).and_then(|values| values.get(value)) {
            Some(posting) => visit(posting.ids()),
            None => Ok(()),
        }
    }

    fn walk(&self, name: &str, prefix: &str, visit: &mut dyn FnMut(Value<'_>) -> bool) -> Result<(), IndexError> {
        if let Some(values) = self.names.get(name) {
            values.walk(prefix, visit);
        }
        Ok(())
    }
}
