//! Label names as numbers.
//!
//! A worker numbers the names it meets, those of the query first. What the query wants of a name (extract it, test it
//! at once) is worked out when the name is numbered, so that a line costs one lookup of the number, or none where the
//! parsers remember the order of the keys ([`super::keys`]).

use std::sync::Arc;

use hashbrown::HashTable;

/// Number of a name within one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NameId(pub(crate) u32);

impl NameId {
    /// `__error__`: the kind of an error.
    pub(crate) const ERROR: Self = Self(0);
    /// `__error_details__`: its explanation.
    pub(crate) const ERROR_DETAILS: Self = Self(1);
    /// `__preserve_error__`: set when a query asks for errors, so that they do not fail it.
    pub(crate) const PRESERVE_ERROR: Self = Self(2);

    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Appended to the name of a parsed label that a stream or the metadata already has.
pub(crate) const SUFFIX: &str = "_extracted";

const NONE: u32 = u32::MAX;

/// What is known of a name.
#[derive(Clone, Debug)]
struct Name {
    text: Arc<str>,
    hash: u64,
    /// Number of the name with [`SUFFIX`], once asked for.
    suffixed: u32,
    wanted: bool,
    /// Index of the filter to test as soon as the label is known.
    filter: u32,
}

/// The names a worker has met.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    names: Vec<Name>,
    table: HashTable<u32>,
    /// Names whose extraction the query asks for; empty: all.
    wanted: Arc<[Arc<str>]>,
    /// Names with the filters that test them.
    filters: Arc<[(Arc<str>, u32)]>,
    /// Names that the query mentions; they keep their numbers when the others are forgotten.
    fixed: usize,
}

/// Names with a meaning of their own, in the order of the numbers in [`NameId`].
pub(crate) const SPECIAL: [&str; 3] = ["__error__", "__error_details__", "__preserve_error__"];

impl Default for Names {
    fn default() -> Self {
        let mut names = Self {
            names: Vec::new(),
            table: HashTable::new(),
            wanted: Arc::new([]),
            filters: Arc::new([]),
            fixed: SPECIAL.len(),
        };
        for name in SPECIAL {
            names.id(name);
        }
        names
    }
}

impl Names {
    pub(crate) fn hash(text: &str) -> u64 {
        use std::hash::BuildHasher;
        foldhash::fast::FixedState::with_seed(0x9e37_79b9_7f4a_7c15).hash_one(text)
    }

    /// Sets what the query wants, before any name but its own is numbered.
    pub(crate) fn set_hints(&mut self, wanted: Arc<[Arc<str>]>, filters: Arc<[(Arc<str>, u32)]>) {
        self.wanted = wanted;
        self.filters = filters;
        for id in 0..self.names.len() {
            let text = Arc::clone(&self.names[id].text);
            (self.names[id].wanted, self.names[id].filter) = self.hints_of(&text);
        }
        self.fixed = self.names.len();
    }

    fn hints_of(&self, text: &str) -> (bool, u32) {
        let wanted = self.wanted.is_empty() || self.wanted.iter().any(|name| **name == *text);
        let filter = self.filters.iter().find(|(name, _)| **name == *text).map_or(NONE, |(_, index)| *index);
        (wanted, filter)
    }

    /// Number of a name, a new one if it is met for the first time.
    pub(crate) fn id(&mut self, text: &str) -> NameId {
        let hash = Self::hash(text);
        let names = &self.names;
        if let Some(id) = self.table.find(hash, |id| &*names[*id as usize].text == text) {
            return NameId(*id);
        }
        let id = self.names.len() as u32;
        let (wanted, filter) = self.hints_of(text);
        self.names.push(Name { text: text.into(), hash, suffixed: NONE, wanted, filter });
        let names = &self.names;
        self.table.insert_unique(hash, id, |id| names[*id as usize].hash);
        NameId(id)
    }

    /// The names whose extraction the query asks for; none: all.
    pub(crate) fn wanted_names(&self) -> impl Iterator<Item = &str> {
        self.wanted.iter().map(|name| &**name)
    }

    /// Number of a name that was met before.
    pub(crate) fn find(&self, text: &str) -> Option<NameId> {
        self.table.find(Self::hash(text), |id| &*self.names[*id as usize].text == text).map(|id| NameId(*id))
    }

    pub(crate) fn text(&self, id: NameId) -> &str {
        &self.names[id.index()].text
    }

    /// A hash of the name, equal in all workers.
    pub(crate) fn hash_of(&self, id: NameId) -> u64 {
        self.names[id.index()].hash
    }

    /// Number of the name with [`SUFFIX`] appended.
    pub(crate) fn suffixed(&mut self, id: NameId) -> NameId {
        let known = self.names[id.index()].suffixed;
        if known != NONE {
            return NameId(known);
        }
        let text = format!("{}{SUFFIX}", self.names[id.index()].text);
        let suffixed = self.id(&text);
        self.names[id.index()].suffixed = suffixed.0;
        suffixed
    }

    /// Whether the query can use the label.
    #[inline]
    pub(crate) fn wanted(&self, id: NameId) -> bool {
        self.names[id.index()].wanted
    }

    /// Whether the query can use the label of that name with [`SUFFIX`] appended.
    pub(crate) fn suffixed_wanted(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|wanted| wanted.strip_suffix(SUFFIX) == Some(name))
    }

    /// Whether a wanted name starts with `prefix`.
    pub(crate) fn prefix_wanted(&self, prefix: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|name| name.starts_with(prefix))
    }

    /// The filter to test as soon as the label is known.
    #[inline]
    pub(crate) fn filter(&self, id: NameId) -> Option<usize> {
        let index = self.names[id.index()].filter;
        (index != NONE).then_some(index as usize)
    }

    /// How many names are wanted, 0 for all of them.
    pub(crate) fn wanted_count(&self) -> usize {
        self.wanted.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Keeps the names met so far when names are forgotten.
    pub(crate) fn fix(&mut self) {
        self.fixed = self.names.len();
    }

    /// Forgets all names but those of the query. Their numbers may be given again.
    pub(crate) fn forget(&mut self) {
        self.names.truncate(self.fixed);
        let fixed = self.fixed as u32;
        self.table.retain(|id| *id < fixed);
        for name in &mut self.names {
            if name.suffixed != NONE && name.suffixed >= fixed {
                name.suffixed = NONE;
            }
        }
    }
}

/// Turns any key into a label name: other characters than ASCII letters, digits and `_` become `_`, a leading digit gets
/// one in front if the name starts with it, space around the key is ignored. Appends to `out`; nothing for a blank key.
pub(crate) fn sanitize_into(out: &mut String, key: &str) {
    for c in key.trim().chars() {
        if out.is_empty() && c.is_ascii_digit() {
            out.push('_');
        }
        out.push(if c.is_ascii_alphanumeric() { c } else { '_' });
    }
}

/// Any key as a label name: what parsers do to the names they find, and what is due to the names of structured metadata
/// when entries are stored.
pub fn sanitize_label_name(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 1);
    sanitize_into(&mut out, key);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sanitizes_keys() {
        let cases = [
            ("a.b-c", "a_b_c"),
            ("9x", "_9x"),
            (" a b ", "a_b"),
            ("", ""),
            ("  ", ""),
            ("üni", "_ni"),
            ("_ok9", "_ok9"),
            ("a:b", "a_b"),
        ];
        for (key, want) in cases {
            assert_eq!(sanitize_label_name(key), want, "{key}");
        }
    }

    #[test]
    fn numbers_names_and_forgets_them() {
        let mut names = Names::default();
        let fixed = names.id("level");
        names.set_hints(["level".into()].into(), [("level".into(), 3)].into());
        let other = names.id("msg");
        assert_eq!(names.id("level"), fixed);
        assert_eq!((names.wanted(fixed), names.filter(fixed)), (true, Some(3)));
        assert_eq!((names.wanted(other), names.filter(other)), (false, None));
        let suffixed = names.suffixed(fixed);
        assert_eq!(names.text(suffixed), "level_extracted");
        assert_eq!(names.suffixed(fixed), suffixed);
        names.forget();
        assert_eq!(names.len(), SPECIAL.len() + 1);
        assert_eq!(names.find("msg"), None);
        assert_eq!(names.id("level"), fixed);
        assert_eq!(names.text(names.find("level").unwrap()), "level");
        let again = names.suffixed(fixed);
        assert_eq!(names.text(again), "level_extracted");
    }
}
