//! The values of one label name in memory: sorted, packed, each with its posting list.
//!
//! Values stand one after the other in the text of a [`Leaf`], up to [`LEAF_MAX`] of them; leaves are kept in a sorted list.
//! A regular expression walks over them in order at the speed of memory, and because every value knows how many bytes it
//! shares with the one before, an automaton looks only at the rest. Insertion moves at most a leaf's text.

use super::posting::{Ids, Posting};

/// A leaf splits in two above this many values.
const LEAF_MAX: usize = 128;

#[derive(Clone, Debug, Default)]
struct Leaf {
    /// All values, joined.
    text: String,
    /// End of each value in `text`.
    ends: Vec<u32>,
    /// Bytes shared with the value before, at most 255; 0 for the first.
    shared: Vec<u8>,
    postings: Vec<Posting>,
}

impl Leaf {
    fn value(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.text[start..self.ends[at] as usize]
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn search(&self, value: &str) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.value(middle).cmp(value) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    fn insert(&mut self, at: usize, value: &str, posting: Posting) {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        self.text.insert_str(start as usize, value);
        for end in &mut self.ends[at..] {
            *end += value.len() as u32;
        }
        self.ends.insert(at, start + value.len() as u32);
        self.shared.insert(at, 0);
        self.postings.insert(at, posting);
        self.note_shared(at);
        self.note_shared(at + 1);
    }

    fn remove(&mut self, at: usize) {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        let end = self.ends[at];
        self.text.replace_range(start as usize..end as usize, "");
        self.ends.remove(at);
        for later in &mut self.ends[at..] {
            *later -= end - start;
        }
        self.shared.remove(at);
        self.postings.remove(at);
        self.note_shared(at);
    }

    fn note_shared(&mut self, at: usize) {
        if at < self.len() {
            self.shared[at] = if at == 0 { 0 } else { shared_bytes(self.value(at - 1), self.value(at)) };
        }
    }

    /// Cuts off the upper half.
    fn split(&mut self) -> Self {
        let at = self.len() / 2;
        let start = self.ends[at - 1];
        let mut upper = Self {
            text: self.text.split_off(start as usize),
            ends: self.ends.split_off(at),
            shared: self.shared.split_off(at),
            postings: self.postings.split_off(at),
        };
        for end in &mut upper.ends {
            *end -= start;
        }
        upper.note_shared(0);
        upper
    }

    fn heap_bytes(&self) -> usize {
        self.text.capacity()
            + self.ends.capacity() * size_of::<u32>()
            + self.shared.capacity()
            + self.postings.capacity() * size_of::<Posting>()
            + self.postings.iter().map(Posting::heap_bytes).sum::<usize>()
    }
}

/// Length of the common beginning, at most 255.
pub(super) fn shared_bytes(a: &str, b: &str) -> u8 {
    a.bytes().zip(b.bytes()).take(255).take_while(|(a, b)| a == b).count() as u8
}

/// A value met on a walk.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    /// The value; UTF-8 unless a file is damaged.
    pub text: &'a [u8],
    /// Leading bytes that are those of the value visited just before (fewer may be said than there are).
    pub shared: usize,
    /// The ids that carry it.
    pub ids: Ids<'a>,
}

/// All values of one label name.
#[derive(Clone, Debug, Default)]
pub(super) struct ValueTree {
    leaves: Vec<Leaf>,
    len: usize,
    /// Where the last insertion went: neighbours in time often share their values.
    recent: (usize, usize),
}

impl ValueTree {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The leaf in which `value` is or would be.
    fn leaf_of(&self, value: &str) -> usize {
        self.leaves.partition_point(|leaf| leaf.value(0) <= value).saturating_sub(1)
    }

    pub(super) fn get(&self, value: &str) -> Option<&Posting> {
        let leaf = self.leaves.get(self.leaf_of(value))?;
        let at = leaf.search(value).ok()?;
        leaf.postings.get(at)
    }

    /// Adds an id to a value's list; false when it was there.
    pub(super) fn insert(&mut self, value: &str, id: u32) -> bool {
        if let Some(leaf) = self.leaves.get_mut(self.recent.0)
            && self.recent.1 < leaf.len()
            && leaf.value(self.recent.1) == value
        {
            return leaf.postings[self.recent.1].insert(id);
        }
        if self.leaves.is_empty() {
            self.leaves.push(Leaf::default());
        }
        let mut number = if self.len == 0 { 0 } else { self.leaf_of(value) };
        let leaf = &mut self.leaves[number];
        match leaf.search(value) {
            Ok(at) => {
                self.recent = (number, at);
                leaf.postings[at].insert(id)
            }
            Err(mut at) => {
                leaf.insert(at, value, Posting::of(id));
                self.len += 1;
                if leaf.len() > LEAF_MAX {
                    let upper = leaf.split();
                    let lower = leaf.len();
                    self.leaves.insert(number + 1, upper);
                    if at >= lower {
                        (number, at) = (number + 1, at - lower);
                    }
                }
                self.recent = (number, at);
                true
            }
        }
    }

    /// Removes an id from a value's list, and the value with its last id; false when it was not there.
    pub(super) fn remove(&mut self, value: &str, id: u32) -> bool {
        let number = self.leaf_of(value);
        let Some(leaf) = self.leaves.get_mut(number) else { return false };
        let Ok(at) = leaf.search(value) else { return false };
        let removed = leaf.postings[at].remove(id);
        if leaf.postings[at].is_empty() {
            leaf.remove(at);
            self.len -= 1;
            if leaf.len() == 0 {
                self.leaves.remove(number);
            }
        }
        removed
    }

    /// Visits the values that begin with `prefix`, ascending, until `visit` returns false.
    pub(super) fn walk(&self, prefix: &str, visit: &mut dyn FnMut(Value<'_>) -> bool) {
        let first = self.leaf_of(prefix);
        let mut begun = false;
        for leaf in self.leaves.get(first..).unwrap_or_default() {
            let start = if begun { 0 } else { leaf.search(prefix).unwrap_or_else(|at| at) };
            for at in start..leaf.len() {
                let text = leaf.value(at);
                if !text.starts_with(prefix) {
                    return;
                }
                let shared = if begun { usize::from(leaf.shared[at]) } else { 0 };
                begun = true;
                if !visit(Value { text: text.as_bytes(), shared, ids: leaf.postings[at].ids() }) {
                    return;
                }
            }
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.leaves.capacity() * size_of::<Leaf>() + self.leaves.iter().map(Leaf::heap_bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn check(tree: &ValueTree, model: &BTreeMap<String, BTreeSet<u32>>, prefix: &str) {
        let mut got = Vec::new();
        let mut last = String::new();
        tree.walk(prefix, &mut |value| {
            let text = std::str::from_utf8(value.text).unwrap().to_owned();
            assert!(value.shared == 0 || text.as_bytes()[..value.shared] == last.as_bytes()[..value.shared]);
            got.push((text.clone(), value.ids.to_bitmap().unwrap().iter().collect::<Vec<_>>()));
            last = text;
            true
        });
        let want: Vec<_> = model
            .iter()
            .filter(|(value, _)| value.starts_with(prefix))
            .map(|(value, ids)| (value.clone(), ids.iter().copied().collect::<Vec<_>>()))
            .collect();
        assert_eq!(got, want);
    }

    #[test]
    fn many_values_in_any_order() {
        let mut tree = ValueTree::default();
        let mut model: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        for i in 0..2_000u32 {
            let value = format!("host-{}", i.wrapping_mul(2_654_435_761) % 1_500);
            assert_eq!(tree.insert(&value, i), model.entry(value).or_default().insert(i));
        }
        assert_eq!(tree.len(), model.len());
        for prefix in ["", "host-1", "host-99", "x", "host-1499"] {
            check(&tree, &model, prefix);
        }
        for (value, ids) in std::mem::take(&mut model) {
            assert_eq!(tree.get(&value).unwrap().ids().len(), ids.len() as u64);
            for id in ids {
                assert!(tree.remove(&value, id));
                assert!(!tree.remove(&value, id));
            }
            assert!(tree.get(&value).is_none());
        }
        assert!(tree.is_empty());
        check(&tree, &model, "");
    }

    proptest! {
        #[test]
        fn behaves_like_a_map(changes in prop::collection::vec((any::<bool>(), "[a-cé]{1,3}", 0u32..4), 1..400), prefix in "[a-cé]{0,2}") {
            let mut tree = ValueTree::default();
            let mut model: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
            for (add, value, id) in changes {
                if add {
                    prop_assert_eq!(tree.insert(&value, id), model.entry(value).or_default().insert(id));
                } else {
                    let ids = model.entry(value.clone()).or_default();
                    prop_assert_eq!(tree.remove(&value, id), ids.remove(&id));
                    if ids.is_empty() { model.remove(&value); }
                }
                prop_assert_eq!(tree.len(), model.len());
            }
            check(&tree, &model, &prefix);
        }
    }
}
