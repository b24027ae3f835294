//! Which streams carry which labels, in memory: label name → value → posting list.
//!
//! Hides how matchers are evaluated from the head and the segments, which give their streams dense numbers.

use std::collections::BTreeMap;

use model::{Labels, MatchOp, Matcher};
use roaring::RoaringBitmap;

/// Posting lists of every label pair over some streams.
#[derive(Debug, Default)]
pub(crate) struct LabelIndex {
    names: BTreeMap<Box<str>, BTreeMap<Box<str>, RoaringBitmap>>,
    all: RoaringBitmap,
}

impl LabelIndex {
    pub(crate) fn add(&mut self, id: u32, labels: &Labels) {
        self.all.insert(id);
        for (name, value) in labels {
            if !self.names.contains_key(name) {
                self.names.insert(name.into(), BTreeMap::new());
            }
            let Some(values) = self.names.get_mut(name) else { continue };
            match values.get_mut(value) {
                Some(list) => {
                    list.insert(id);
                }
                None => {
                    values.insert(value.into(), RoaringBitmap::from_iter([id]));
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, id: u32, labels: &Labels) {
        self.all.remove(id);
        for (name, value) in labels {
            let Some(values) = self.names.get_mut(name) else { continue };
            if let Some(list) = values.get_mut(value) {
                list.remove(id);
                if list.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// Numbers of the streams that satisfy all matchers.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let mut found: Option<RoaringBitmap> = None;
        for matcher in matchers {
            let values = self.names.get(matcher.name());
            let list = if matcher.op() == MatchOp::Equal && !matcher.value().is_empty() {
                values.and_then(|values| values.get(matcher.value())).cloned().unwrap_or_default()
            } else {
                // A stream without the label has the empty value.
                let absent_too = matcher.matches_empty();
                let mut list = RoaringBitmap::new();
                for (value, postings) in values.into_iter().flatten() {
                    if matcher.matches(value) != absent_too {
                        list |= postings;
                    }
                }
                if absent_too { &self.all - list } else { list }
            };
            found = Some(match found {
                Some(found) => found & list,
                None => list,
            });
            if found.as_ref().is_some_and(RoaringBitmap::is_empty) {
                break;
            }
        }
        found.unwrap_or_else(|| self.all.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matcher() -> impl Strategy<Value = Matcher> {
        let op =
            prop_oneof![Just(MatchOp::Equal), Just(MatchOp::NotEqual), Just(MatchOp::Regex), Just(MatchOp::NotRegex)];
        (op, "[abc]", prop_oneof!["[xy]?", Just("x|y".to_owned()), Just(".*".to_owned()), Just(".+".to_owned())])
            .prop_map(|(op, name, value)| Matcher::new(op, &name, &value).unwrap())
    }

    proptest! {
        #[test]
        fn agrees_with_matching_each_stream(
            streams in prop::collection::vec(prop::collection::btree_map("[abc]", "[xyz]", 0..3), 0..12),
            matchers in prop::collection::vec(matcher(), 0..4),
            removed in any::<prop::sample::Index>(),
        ) {
            let mut index = LabelIndex::default();
            let mut labels: Vec<Option<Labels>> = streams.iter().map(|pairs| Some(Labels::from_pairs(pairs))).collect();
            for (id, labels) in labels.iter().flatten().enumerate() {
                index.add(id as u32, labels);
            }
            if !labels.is_empty() {
                let at = removed.index(labels.len());
                index.remove(at as u32, &labels[at].take().unwrap());
            }
            let want: Vec<u32> = (0..labels.len())
                .filter(|id| labels[*id].as_ref().is_some_and(|l| matchers.iter().all(|m| m.matches_labels(l))))
                .map(|id| id as u32)
                .collect();
            prop_assert_eq!(index.select(&matchers).iter().collect::<Vec<_>>(), want);
        }
    }
}
