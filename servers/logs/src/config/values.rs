//! Typed reading of a checked tree: [`Values`] gives the value of a key as it was set, else its default from the table,
//! and remembers which keys were asked for. What was set and never asked for has no meaning here: the server says so once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use kit::config::{ByteSize, GoDuration};
use kit::yaml::{ConfigError, FromNode, Kind, Node};
use model::Matcher;

use super::schema::{Schema, Type, default_node};

/// Values of one block of the table.
pub(crate) struct Values<'a> {
    block: &'static str,
    set: &'a Node,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Values<'a> {
    /// Values of a block: `set` was checked against it.
    pub(crate) fn new(block: &'static str, set: &'a Node) -> Self {
        Self { block, set, read: RefCell::default() }
    }

    /// What was set at a path, `None` when nothing was.
    pub(crate) fn given(&self, path: &str) -> Option<&'a Node> {
        self.read.borrow_mut().insert(path.to_owned());
        let mut node = self.set;
        for part in path.split('.') {
            node = node.get(part)?;
        }
        (!node.is_null()).then_some(node)
    }

    /// An error at the place of a key.
    pub(crate) fn error(&self, path: &str, message: impl Into<String>) -> ConfigError {
        let field = path.rsplit('.').next().unwrap_or(path);
        match self.given(path) {
            Some(node) => ConfigError::at(node, message).in_field(field),
            None => ConfigError::plain(message).in_field(field),
        }
    }

    fn read<T>(&self, path: &str, read: impl Fn(&Node) -> Result<T, ConfigError>) -> Result<T, ConfigError> {
        let field = path.rsplit('.').next().unwrap_or(path);
        match self.given(path) {
            Some(node) => read(node).map_err(|e| e.placed(node).in_field(field)),
            None => {
                let (kind, default) = Schema::get().value(self.block, path).unwrap_or((Type::Any, None));
                read(&default_node(kind, default.unwrap_or(""))).map_err(|e| e.in_field(field))
            }
        }
    }

    pub(crate) fn bool(&self, path: &str) -> Result<bool, ConfigError> {
        self.read(path, bool::from_node)
    }

    pub(crate) fn string(&self, path: &str) -> Result<String, ConfigError> {
        self.read(path, String::from_node)
    }

    pub(crate) fn float(&self, path: &str) -> Result<f64, ConfigError> {
        self.read(path, f64::from_node)
    }

    /// A whole number of 0 or more, or of bytes.
    pub(crate) fn size(&self, path: &str) -> Result<u64, ConfigError> {
        self.read(path, |node| {
            let text = String::from_node(node)?;
            // A negative number switches limits off as zero does.
            if text.parse::<i64>().is_ok_and(|number| number < 0) {
                return Ok(0);
            }
            ByteSize::parse(&text).map(|size| size.0).map_err(|e| ConfigError::at(node, e))
        })
    }

    /// As [`Values::size`], for counts.
    pub(crate) fn count(&self, path: &str) -> Result<usize, ConfigError> {
        Ok(usize::try_from(self.size(path)?).unwrap_or(usize::MAX))
    }

    pub(crate) fn port(&self, path: &str) -> Result<u16, ConfigError> {
        self.read(path, u16::from_node)
    }

    /// A length of time in nanoseconds.
    pub(crate) fn duration_ns(&self, path: &str) -> Result<i64, ConfigError> {
        self.read(path, |node| {
            let text = String::from_node(node)?;
            GoDuration::parse(&text).map(|duration| duration.0).map_err(|e| ConfigError::at(node, e))
        })
    }

    /// A length of time; a negative one is zero.
    pub(crate) fn duration(&self, path: &str) -> Result<std::time::Duration, ConfigError> {
        Ok(GoDuration(self.duration_ns(path)?).to_std())
    }

    /// A list of strings: a list, or one text parted by commas.
    pub(crate) fn strings(&self, path: &str) -> Result<Vec<String>, ConfigError> {
        self.read(path, strings)
    }

    /// A time in nanoseconds, `None` when unset.
    pub(crate) fn time_ns(&self, path: &str) -> Result<Option<i64>, ConfigError> {
        self.read(path, time_ns)
    }

    /// A mapping of names to texts.
    pub(crate) fn texts(&self, path: &str) -> Result<BTreeMap<String, String>, ConfigError> {
        self.read(path, BTreeMap::from_node)
    }

    /// Names of a mapping with their nodes.
    pub(crate) fn pairs(&self, path: &str) -> Vec<(String, &'a Node)> {
        match self.given(path).map(|node| &node.kind) {
            Some(Kind::Mapping(pairs)) => pairs.iter().map(|(key, node)| (key.text.clone(), node)).collect(),
            _ => Vec::new(),
        }
    }

    /// Items of a list.
    pub(crate) fn items(&self, path: &str) -> &'a [Node] {
        match self.given(path).map(|node| &node.kind) {
            Some(Kind::Sequence(items)) => items,
            _ => &[],
        }
    }

    /// Paths that were set and never asked for.
    pub(crate) fn unread(&self) -> Vec<String> {
        let mut unread = Vec::new();
        self.collect_unread(self.set, "", &mut unread);
        unread
    }

    fn collect_unread(&self, node: &Node, path: &str, unread: &mut Vec<String>) {
        let Kind::Mapping(pairs) = &node.kind else { return };
        for (key, value) in pairs {
            let inner = if path.is_empty() { key.text.clone() } else { format!("{path}.{}", key.text) };
            if value.is_null() || self.read.borrow().contains(&inner) {
                continue;
            }
            let is_section =
                matches!(value.kind, Kind::Mapping(_)) && Schema::get().value(self.block, &inner).is_none();
            if is_section { self.collect_unread(value, &inner, unread) } else { unread.push(inner) }
        }
    }
}

/// A list of strings, or one text parted by commas.
pub(crate) fn strings(node: &Node) -> Result<Vec<String>, ConfigError> {
    match &node.kind {
        Kind::Scalar { text, .. } => {
            Ok(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
        }
        _ => Vec::from_node(node),
    }
}

/// RFC 3339, a date, or 0 for no time.
pub(crate) fn time_ns(node: &Node) -> Result<Option<i64>, ConfigError> {
    let text = String::from_node(node)?;
    if matches!(text.as_str(), "" | "0" | "0001-01-01T00:00:00Z") {
        return Ok(None);
    }
    let full = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.clone() };
    wire::loki::parse_rfc3339_ns(&full)
        .map(Some)
        .ok_or_else(|| ConfigError::at(node, format!("cannot read {text:?} as an RFC 3339 time")))
}

/// The matchers of a stream selector.
pub(crate) fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    logql::parse_matchers(text, logql::ParseOptions::default()).map_err(|e| e.to_string())
}
