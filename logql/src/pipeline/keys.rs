//! Which label a key of a parser becomes, remembered.
//!
//! Keys come in the same order line after line, so the key expected next is the one that followed last time: comparing
//! its bytes is all that a known line costs. Keys inside objects hang below the key of the object. Memory is bounded:
//! past [`MAX_KEYS`] everything is forgotten.

use hashbrown::HashTable;

use super::bytes::same;
use super::names::{NameId, Names, sanitize_into};

/// A key below another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyId(u32);

impl KeyId {
    /// The object that is the line.
    pub(crate) const ROOT: Self = Self(u32::MAX);
}

/// Most keys to remember.
pub(crate) const MAX_KEYS: usize = 1 << 16;

#[derive(Clone, Copy, Debug)]
struct Key {
    parent: KeyId,
    start: u32,
    end: u32,
    /// The label it becomes; `None` when its name is blank.
    label: Option<NameId>,
    /// Whether that label can be wanted.
    useful: bool,
    /// Whether a label below it can be wanted.
    prefix_wanted: bool,
    /// Whether it may be recognised by its bytes alone: none of them ends a key.
    plain: bool,
    hash: u64,
}

/// The keys a stage has met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    keys: Vec<Key>,
    text: String,
    table: HashTable<u32>,
    /// The keys of the last line in their order.
    sequence: Vec<u32>,
    next: usize,
    path: String,
}

impl Keys {
    /// Starts with a line. True when the keys were forgotten: numbers of names may be given again.
    pub(crate) fn start(&mut self) {
        self.next = 0;
        if self.keys.len() > MAX_KEYS || self.text.len() > MAX_KEYS * 64 {
            self.forget();
        }
    }

    /// Forgets all keys, which has to happen when names are forgotten.
    pub(crate) fn forget(&mut self) {
        self.keys.clear();
        self.text.clear();
        self.table.clear();
        self.sequence.clear();
        self.next = 0;
    }

    /// The key expected next, if it is below `parent` and the text at `at` is it with `close` behind: the key and its end.
    #[inline]
    pub(crate) fn find_expected(&mut self, parent: KeyId, data: &[u8], at: usize, close: u8) -> Option<(KeyId, usize)> {
        let id = *self.sequence.get(self.next)?;
        let key = &self.keys[id as usize];
        let end = at + (key.end - key.start) as usize;
        let expected = &self.text.as_bytes()[key.start as usize..key.end as usize];
        if key.parent != parent || data.get(end) != Some(&close) || !key.plain || !same(&data[at..end], expected) {
            return None;
        }
        self.next += 1;
        Some((KeyId(id), end))
    }

    /// The key `text` of the object `parent`.
    #[inline]
    pub(crate) fn find(&mut self, names: &mut Names, parent: KeyId, text: &str) -> KeyId {
        if let Some(id) = self.sequence.get(self.next) {
            let key = &self.keys[*id as usize];
            let known = &self.text.as_bytes()[key.start as usize..key.end as usize];
            if key.parent == parent && same(known, text.as_bytes()) {
                self.next += 1;
                return KeyId(*id);
            }
        }
        self.look_up(names, parent, text)
    }

    fn look_up(&mut self, names: &mut Names, parent: KeyId, text: &str) -> KeyId {
        let hash = Names::hash(text) ^ u64::from(parent.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (keys, texts) = (&self.keys, &self.text);
        let same = |id: &u32| {
            let key = &keys[*id as usize];
            key.parent == parent && &texts[key.start as usize..key.end as usize] == text
        };
        let id = match self.table.find(hash, same) {
            Some(id) => *id,
            None => self.insert(names, parent, text, hash),
        };
        if self.next < self.sequence.len() {
            self.sequence[self.next] = id;
        } else if self.sequence.len() < 1024 {
            self.sequence.push(id);
        }
        self.next += 1;
        KeyId(id)
    }

    fn insert(&mut self, names: &mut Names, parent: KeyId, text: &str, hash: u64) -> u32 {
        let mut path = std::mem::take(&mut self.path);
        path.clear();
        self.write_path(&mut path, parent);
        append_part(&mut path, text);
        let label = (!path.is_empty()).then(|| names.id(&path));
        let useful = label.is_some_and(|id| names.wanted(id) || names.suffixed_wanted(&path));
        let prefix_wanted = names.prefix_wanted(&path);
        let plain =
            !text.bytes().any(|byte| byte <= b' ' || matches!(byte, b'"' | b'\\' | b'=')) && !text.contains('\u{fffd}');
        self.path = path;
        let start = self.text.len() as u32;
        self.text.push_str(text);
        let id = self.keys.len() as u32;
        let end = self.text.len() as u32;
        self.keys.push(Key { parent, start, end, label, useful, prefix_wanted, plain, hash });
        let keys = &self.keys;
        self.table.insert_unique(hash, id, |id| keys[*id as usize].hash);
        id
    }

    /// The name of the keys down to `key`.
    fn write_path(&self, path: &mut String, key: KeyId) {
        let mut chain = Vec::new();
        let mut at = key;
        while at != KeyId::ROOT {
            chain.push(at);
            at = self.keys[at.0 as usize].parent;
        }
        for key in chain.iter().rev() {
            append_part(path, self.raw(*key));
        }
    }

    /// The key's text.
    pub(crate) fn raw(&self, key: KeyId) -> &str {
        let key = &self.keys[key.0 as usize];
        &self.text[key.start as usize..key.end as usize]
    }

    /// The object the key is in.
    pub(crate) fn parent(&self, key: KeyId) -> KeyId {
        self.keys[key.0 as usize].parent
    }

    /// The label the key becomes.
    #[inline]
    pub(crate) fn label(&self, key: KeyId) -> Option<NameId> {
        self.keys[key.0 as usize].label
    }

    /// The label the key becomes, if it can be wanted.
    #[inline]
    pub(crate) fn useful_label(&self, key: KeyId) -> Option<NameId> {
        let key = &self.keys[key.0 as usize];
        key.label.filter(|_| key.useful)
    }

    /// Whether a label below the key can be wanted.
    #[inline]
    pub(crate) fn prefix_wanted(&self, key: KeyId) -> bool {
        self.keys[key.0 as usize].prefix_wanted
    }
}

/// Parts are joined by `_`, blank ones left out.
fn append_part(path: &mut String, part: &str) {
    if part.trim().is_empty() {
        return;
    }
    if !path.is_empty() {
        path.push('_');
    }
    sanitize_into(path, part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_nested_keys() {
        let (mut keys, mut names) = (Keys::default(), Names::default());
        for _ in 0..2 {
            keys.start();
            let request = keys.find(&mut names, KeyId::ROOT, "request");
            let header = keys.find(&mut names, request, "9 User-Agent");
            let blank = keys.find(&mut names, KeyId::ROOT, " ");
            let below = keys.find(&mut names, blank, "9x");
            assert_eq!(keys.label(header).map(|id| names.text(id)), Some("request_9_User_Agent"));
            assert_eq!(keys.label(blank), None);
            assert_eq!(keys.label(below).map(|id| names.text(id)), Some("_9x"));
            assert_eq!(keys.find(&mut names, KeyId::ROOT, "request"), request);
        }
    }
}
