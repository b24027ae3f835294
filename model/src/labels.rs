//! Label sets: sorted, unique-named (name, value) pairs; an empty value equals absence.
//!
//! A [`Labels`] is one shared, immutable string in which every name and value is preceded by its length, the length
//! written in ASCII bytes so that the whole stays valid UTF-8. Cloning is a reference count, equality and hashing
//! work on the bytes, and reading a value needs neither allocation nor `unsafe`. [`LabelsBuilder`] makes and edits them.
//!
//! Invariant: names ascend strictly, no name and no value is empty, no part is longer than [`MAX_LABEL_LEN`].

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;
use xxhash_rust::xxh64::Xxh64;

use crate::number::quote;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// Longest label name or value, in bytes: what the length prefix can say (16 MiB - 1).
pub const MAX_LABEL_LEN: usize = (1 << 24) - 1;

/// Lengths up to here take one byte; longer ones a marker byte `0x78 | top 3 bits` and three bytes of 7 bits.
const SHORT_MAX: usize = 0x77;

/// A label set. See the module for its layout; `Default` is the empty set.
#[derive(Clone, Default)]
pub struct Labels(Arc<str>);

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Builds a set from pairs in any order. Pairs with an empty value are left out; of two pairs with one name the later wins.
    /// Parts longer than [`MAX_LABEL_LEN`] are cut at a character boundary.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::new();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// Builds a set from pairs that already ascend strictly by name and have no empty part; O(bytes), one allocation.
    /// Returns `None` when they do not (or a part is too long): the caller then sorts through [`Labels::from_pairs`].
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let mut text = String::with_capacity(256);
        let mut last: Option<&str> = None;
        for (name, value) in pairs {
            if name.is_empty() || value.is_empty() || name.len() > MAX_LABEL_LEN || value.len() > MAX_LABEL_LEN {
                return None;
            }
            if last.is_some_and(|last| last >= name) {
                return None;
            }
            last = Some(name);
            push_part(&mut text, name);
            push_part(&mut text, value);
        }
        Some(Self(text.into()))
    }

    /// Reads back what [`Labels::as_encoded`] gave. Returns `None` when the text breaks an invariant of the module.
    pub fn from_encoded(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut last = "";
        while !rest.is_empty() {
            let (name, after) = split_part(rest)?;
            let (value, after) = split_part(after)?;
            if name <= last || value.is_empty() {
                return None;
            }
            last = name;
            rest = after;
        }
        Some(Self(text.into()))
    }

    /// The length-prefixed form, equal for equal sets and only for those. Stable: stores may write it to disk.
    pub fn as_encoded(&self) -> &str {
        &self.0
    }

    /// Bytes of heap this set shares with its clones.
    pub fn heap_bytes(&self) -> usize {
        if self.0.is_empty() { 0 } else { self.0.len() + 16 }
    }

    /// True for the set without labels.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of pairs; O(bytes).
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The pairs, names ascending.
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.0 }
    }

    /// Value of a label, `None` when absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        for (n, v) in self.iter() {
            match n.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Some(v),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// Value of a label, the empty string when absent: what matchers compare with.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// The metric's name, the value of [`METRIC_NAME`].
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// 64-bit fingerprint of the set: finds candidates, never proves identity. Stable across versions.
    pub fn fingerprint(&self) -> u64 {
        xxh3_64(self.0.as_bytes())
    }

    /// Hash as Prometheus computes it (xxHash64 over name, 0xFF, value, 0xFF): for hashing that must agree with the peer's.
    pub fn prometheus_hash(&self) -> u64 {
        let mut hasher = Xxh64::new(0);
        for (name, value) in self.iter() {
            hasher.update(name.as_bytes());
            hasher.update(&[0xff]);
            hasher.update(value.as_bytes());
            hasher.update(&[0xff]);
        }
        hasher.digest()
    }

    /// A copy of the set without some labels.
    pub fn without(&self, drop: impl Fn(&str) -> bool) -> Self {
        if !self.iter().any(|(name, _)| drop(name)) {
            return self.clone();
        }
        let mut text = String::with_capacity(self.0.len());
        for (name, value) in self.iter().filter(|(name, _)| !drop(name)) {
            push_part(&mut text, name);
            push_part(&mut text, value);
        }
        Self(text.into())
    }

    /// A builder that starts with these labels.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.into(), v.into())).collect() }
    }
}

fn push_part(text: &mut String, part: &str) {
    let len = part.len();
    if len <= SHORT_MAX {
        text.push(char::from(len as u8));
    } else {
        text.push(char::from(0x78 | (len >> 21) as u8));
        text.push(char::from((len >> 14 & 0x7f) as u8));
        text.push(char::from((len >> 7 & 0x7f) as u8));
        text.push(char::from((len & 0x7f) as u8));
    }
    text.push_str(part);
}

fn split_part(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let first = *bytes.first()?;
    let (len, start) = if usize::from(first) <= SHORT_MAX {
        (usize::from(first), 1)
    } else if first < 0x80 {
        let tail = bytes.get(1..4)?;
        let len = tail.iter().fold(usize::from(first & 7), |len, b| len << 7 | usize::from(b & 0x7f));
        (len, 4)
    } else {
        return None;
    };
    let end = start + len;
    Some((text.get(start..end)?, text.get(end..)?))
}

/// The pairs of a [`Labels`], names ascending.
#[derive(Clone)]
pub struct Iter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = split_part(self.rest)?;
        let (value, rest) = split_part(rest)?;
        self.rest = rest;
        Some((name, value))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Pair by pair: name, then value; of two sets with one beginning the shorter is less.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        Self::from_pairs(pairs)
    }
}

/// `name{a="b", c="d"}`; names that are not plain identifiers are quoted, as in `{"my.metric", "a.b"="c"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let bare = name.filter(|n| is_metric_identifier(n));
        if let Some(name) = bare {
            f.write_str(name)?;
            if self.len() == 1 {
                return Ok(());
            }
        }
        f.write_str("{")?;
        let mut separator = "";
        if let (Some(name), None) = (name, bare) {
            write!(f, "{}", Quoted(name))?;
            separator = ", ";
        }
        for (name, value) in self.iter().filter(|(name, _)| *name != METRIC_NAME) {
            f.write_str(separator)?;
            separator = ", ";
            if is_label_identifier(name) {
                f.write_str(name)?;
            } else {
                write!(f, "{}", Quoted(name))?;
            }
            write!(f, "={}", Quoted(value))?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes a label set with the metric's name among the labels: `{__name__="up", job="node"}`.
pub struct InBraces<'a>(pub &'a Labels);

impl fmt::Display for InBraces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (name, value)) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            let (name, value) = (if is_label_identifier(name) { name.into() } else { quote(name) }, quote(value));
            write!(f, "{separator}{name}={value}")?;
        }
        f.write_str("}")
    }
}

/// Writes a string in double quotes with Go's escapes (`\"`, `\\`, `\n`, `\t`, `\x7f`, …).
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\u{7}' => f.write_str("\\a")?,
                '\u{8}' => f.write_str("\\b")?,
                '\u{c}' => f.write_str("\\f")?,
                '\u{b}' => f.write_str("\\v")?,
                c if (c as u32) < 0x20 || c as u32 == 0x7f => write!(f, "\\x{:02x}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`: a label name that needs no quotes.
pub fn is_label_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`: a metric name that needs no quotes.
pub fn is_metric_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// Makes and edits label sets: `set` with an empty value, or `del`, removes a label.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    /// Ascending by name.
    pairs: Vec<(Box<str>, Box<str>)>,
}

impl LabelsBuilder {
    /// A builder without labels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a label; an empty value removes it. A part longer than [`MAX_LABEL_LEN`] is cut at a character boundary.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        let name = cut(name);
        match self.find(name) {
            Ok(at) if value.is_empty() => {
                self.pairs.remove(at);
            }
            Ok(at) => self.pairs[at].1 = cut(value).into(),
            Err(_) if value.is_empty() || name.is_empty() => {}
            Err(at) => self.pairs.insert(at, (name.into(), cut(value).into())),
        }
        self
    }

    /// Removes a label.
    pub fn del(&mut self, name: &str) -> &mut Self {
        if let Ok(at) = self.find(name) {
            self.pairs.remove(at);
        }
        self
    }

    /// Keeps the labels for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) -> &mut Self {
        self.pairs.retain(|(name, value)| keep(name, value));
        self
    }

    /// Value of a label, `None` when absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).ok().map(|at| &*self.pairs[at].1)
    }

    /// The pairs, names ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The finished set.
    pub fn build(&self) -> Labels {
        let bytes: usize = self.pairs.iter().map(|(n, v)| n.len() + v.len() + 2).sum();
        let mut text = String::with_capacity(bytes);
        for (name, value) in self.iter() {
            push_part(&mut text, name);
            push_part(&mut text, value);
        }
        Labels(text.into())
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.pairs.binary_search_by(|(n, _)| (**n).cmp(name))
    }
}

fn cut(part: &str) -> &str {
    if part.len() <= MAX_LABEL_LEN {
        return part;
    }
    let mut end = MAX_LABEL_LEN;
    while !part.is_char_boundary(end) {
        end -= 1;
    }
    &part[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn builds_sorts_and_drops_empty_values() {
        let labels = Labels::from_pairs([("job", "node"), ("__name__", "up"), ("gone", ""), ("job", "titan")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("__name__", "up"), ("job", "titan")]);
        assert_eq!(labels.get("job"), Some("titan"));
        assert_eq!(labels.get("a"), None);
        assert_eq!(labels.value("zzz"), "");
        assert_eq!(labels.len(), 2);
    }

    #[test]
    fn prints_as_prometheus_does() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "{}"),
            (&[("__name__", "up")], "up"),
            (&[("a", "b")], r#"{a="b"}"#),
            (&[("__name__", "up"), ("a", "x\"y\\z\n")], r#"up{a="x\"y\\z\n"}"#),
            (&[("__name__", "my.metric"), ("l.x", "v")], r#"{"my.metric", "l.x"="v"}"#),
        ];
        for (pairs, want) in cases {
            assert_eq!(Labels::from_pairs(pairs.iter().copied()).to_string(), *want);
        }
    }

    #[test]
    fn orders_pair_by_pair() {
        let of = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        assert!(of(&[]) < of(&[("a", "1")]));
        assert!(of(&[("a", "1")]) < of(&[("a", "1"), ("b", "1")]));
        assert!(of(&[("a", "1"), ("c", "1")]) < of(&[("a", "2")]));
        assert!(of(&[("a", "10")]) < of(&[("a", "9")]));
    }

    #[test]
    fn long_parts_use_the_long_prefix() {
        for len in [0x77, 0x78, 300, 1 << 14, 1 << 21] {
            let value = "v".repeat(len);
            let labels = Labels::from_pairs([("n", value.as_str()), ("o", "x")]);
            assert_eq!(labels.get("n").map(str::len), Some(len));
            assert_eq!(labels.get("o"), Some("x"));
            assert_eq!(Labels::from_encoded(labels.as_encoded()), Some(labels));
        }
    }

    #[test]
    fn from_encoded_refuses_broken_text() {
        for text in ["\u{1}a", "\u{1}a\u{5}b", "\u{1}b\u{1}x\u{1}a\u{1}x", "\u{1}a\u{0}", "\u{0}\u{1}a", "é"] {
            assert_eq!(Labels::from_encoded(text), None, "{text:?}");
        }
    }

    #[test]
    fn from_sorted_takes_only_what_is_sorted() {
        assert_eq!(Labels::from_sorted([("a", "1"), ("b", "2")]), Some(Labels::from_pairs([("b", "2"), ("a", "1")])));
        assert_eq!(Labels::from_sorted([("b", "1"), ("a", "2")]), None);
        assert_eq!(Labels::from_sorted([("a", "1"), ("a", "2")]), None);
        assert_eq!(Labels::from_sorted([("a", "")]), None);
    }

    proptest! {
        #[test]
        fn behaves_like_a_map(pairs in prop::collection::vec(("[a-zé]{1,4}", "[a-z\"\\\\\n]{0,200}"), 0..12), drop in "[a-z]{1,2}") {
            let mut map = BTreeMap::new();
            for (n, v) in &pairs {
                if v.is_empty() { map.remove(n); } else { map.insert(n.clone(), v.clone()); }
            }
            let labels = Labels::from_pairs(pairs.iter().map(|(n, v)| (n, v)));
            prop_assert!(labels.iter().eq(map.iter().map(|(n, v)| (n.as_str(), v.as_str()))));
            prop_assert_eq!(labels.to_builder().build(), labels.clone());
            prop_assert_eq!(Labels::from_encoded(labels.as_encoded()), Some(labels.clone()));
            map.remove(&drop);
            let less = labels.without(|n| n == drop);
            prop_assert!(less.iter().eq(map.iter().map(|(n, v)| (n.as_str(), v.as_str()))));
        }
    }
}
