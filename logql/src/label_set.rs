//! Label sets of results.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use model::Labels;
use model::number::write_quoted;

/// A label set of a result: names ascending, each once. Unlike [`model::Labels`] it keeps labels with an empty value,
/// which a parser makes for what it was asked for and did not find. Cloning is a reference count.
#[derive(Clone, Default)]
pub struct LabelSet(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Names and values in turn, without separators.
    text: String,
    /// Ends of name and value of each pair.
    ends: Vec<(u32, u32)>,
}

impl LabelSet {
    /// The set without labels.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Builds a set from pairs in any order; of two pairs with one name the later wins.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
        // Stable: of equal names the last one given comes last.
        pairs.sort_by_key(|(name, _)| *name);
        let mut inner = Inner::default();
        inner.text.reserve(pairs.iter().map(|(n, v)| n.len() + v.len()).sum());
        inner.ends.reserve(pairs.len());
        for (i, (name, value)) in pairs.iter().enumerate() {
            if pairs.get(i + 1).is_some_and(|(next, _)| next == name) {
                continue;
            }
            inner.text.push_str(name);
            let name_end = inner.text.len() as u32;
            inner.text.push_str(value);
            inner.ends.push((name_end, inner.text.len() as u32));
        }
        Self(Arc::new(inner))
    }

    /// True for the set without labels.
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.0.ends.len()
    }

    /// The pairs, names ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        (0..self.0.ends.len()).map(|i| self.pair(i))
    }

    fn pair(&self, index: usize) -> (&str, &str) {
        let start = if index == 0 { 0 } else { self.0.ends[index - 1].1 };
        let (name_end, value_end) = self.0.ends[index];
        (&self.0.text[start as usize..name_end as usize], &self.0.text[name_end as usize..value_end as usize])
    }

    /// Value of a label, `None` when absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (mut low, mut high) = (0, self.0.ends.len());
        while low < high {
            let middle = (low + high) / 2;
            let (found, value) = self.pair(middle);
            match found.cmp(name) {
                Ordering::Equal => return Some(value),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The set with only some of its labels.
    pub fn filter(&self, mut keep: impl FnMut(&str, &str) -> bool) -> Self {
        if self.iter().all(|(name, value)| keep(name, value)) {
            return self.clone();
        }
        Self::from_pairs(self.iter().filter(|(name, value)| keep(name, value)))
    }

    /// Bytes of heap this set shares with its clones.
    pub fn heap_bytes(&self) -> usize {
        self.0.text.len() + 8 * self.0.ends.len() + 64
    }
}

impl From<&Labels> for LabelSet {
    fn from(labels: &Labels) -> Self {
        Self::from_pairs(labels)
    }
}

impl PartialEq for LabelSet {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.ends == other.0.ends && self.0.text == other.0.text)
    }
}

impl Eq for LabelSet {}

impl Hash for LabelSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
        self.0.ends.hash(state);
    }
}

/// Pair by pair: name, then value; of two sets with one beginning the shorter is less.
impl Ord for LabelSet {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for LabelSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `{a="b", c="d"}`
impl fmt::Display for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(self.0.text.len() + 6 * self.len() + 2);
        text.push('{');
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                text.push_str(", ");
            }
            text.push_str(name);
            text.push('=');
            write_quoted(&mut text, value.as_bytes(), '"');
        }
        text.push('}');
        f.write_str(&text)
    }
}

impl fmt::Debug for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_pairs_sorted_and_unique() {
        let set = LabelSet::from_pairs([("b", "2"), ("a", ""), ("c", "x"), ("b", "3")]);
        assert_eq!(set.to_string(), r#"{a="", b="3", c="x"}"#);
        assert_eq!((set.get("a"), set.get("b"), set.get("d")), (Some(""), Some("3"), None));
        assert_eq!(set.len(), 3);
        assert_ne!(set, LabelSet::from_pairs([("b", "3"), ("c", "x")]));
        assert_eq!(set.filter(|n, _| n != "a"), LabelSet::from_pairs([("c", "x"), ("b", "3")]));
        assert_eq!(LabelSet::empty().to_string(), "{}");
        assert!(LabelSet::from_pairs([("a", "1")]) < LabelSet::from_pairs([("a", "1"), ("b", "")]));
    }
}
