//! YAML configuration files as a tree in which every node knows its line and column.
//!
//! Peers' configuration embeds one structure in another, tells `field: ` from an absent field and reads `012` as text where
//! text is wanted. A tree keeps all of that: [`parse`] makes it (anchors, merge keys and `!!binary` resolved, duplicate
//! keys refused), [`Section`] reads a mapping field by field and refuses what it does not know, and any `serde` type
//! can be read from a node by [`Node::deserialize`]. [`emit`] prints a tree.
//!
//! Every error names file, line, column and field: `prometheus.yml:12:5: job_name: …`.
//!
//! Limits: [`MAX_NODES`] nodes with aliases expanded, 255 levels of nesting.

mod emit;
mod parse;
mod section;
mod serde_node;
#[cfg(test)]
mod tests;

pub use emit::emit;
pub use parse::{MAX_NODES, parse};
pub use section::{FromNode, PromSize, Section};

use std::fmt;
use std::path::Path;

/// A place in a file and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, empty while not known.
    pub file: String,
    /// Line from 1, 0 when the error has no place.
    pub line: u32,
    /// Column from 1.
    pub column: u32,
    /// The field, empty when the message speaks for itself.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl ConfigError {
    /// An error at a node.
    pub fn at(node: &Node, message: impl Into<String>) -> Self {
        Self {
            file: String::new(),
            line: node.line,
            column: node.column,
            field: String::new(),
            message: message.into(),
        }
    }

    /// An error without a place.
    pub fn plain(message: impl Into<String>) -> Self {
        Self { file: String::new(), line: 0, column: 0, field: String::new(), message: message.into() }
    }

    /// Names the file, unless an inner file was named already.
    #[must_use]
    pub fn in_file(mut self, file: &Path) -> Self {
        if self.file.is_empty() {
            self.file = file.display().to_string();
        }
        self
    }

    /// Names the field, unless an inner field was named already.
    #[must_use]
    pub fn in_field(mut self, field: &str) -> Self {
        if self.field.is_empty() {
            field.clone_into(&mut self.field);
        }
        self
    }

    /// Gives the error the place of a node, unless it has one.
    #[must_use]
    pub fn placed(mut self, node: &Node) -> Self {
        if self.line == 0 {
            (self.line, self.column) = (node.line, node.column);
        }
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:", self.file)?;
        }
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.file.is_empty() || self.line > 0 {
            f.write_str(" ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// A value of a document and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Line from 1; 0 for a node made by the program.
    pub line: u32,
    /// Column from 1.
    pub column: u32,
    /// The value.
    pub kind: Kind,
}

/// The value of a [`Node`].
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `null`, `~`, or nothing at all.
    Null,
    /// A scalar as it was written, escapes resolved.
    Scalar {
        /// Its text.
        text: String,
        /// Whether it stood without quotes, so that `true` is a boolean.
        plain: bool,
    },
    /// `!!binary` content that is no UTF-8.
    Bytes(Vec<u8>),
    /// A list.
    Sequence(Vec<Node>),
    /// A mapping in the order of the document.
    Mapping(Vec<(Key, Node)>),
}

/// A key of a mapping and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Line from 1.
    pub line: u32,
    /// Column from 1.
    pub column: u32,
    /// Its text.
    pub text: String,
}

impl Node {
    /// A node made by the program.
    pub fn new(kind: Kind) -> Self {
        Self { line: 0, column: 0, kind }
    }

    /// A quoted scalar made by the program.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Kind::Scalar { text: text.into(), plain: false })
    }

    /// A plain scalar made by the program: numbers, booleans, durations.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(Kind::Scalar { text: text.into(), plain: true })
    }

    /// True for `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// Value of a key, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Mapping(pairs) => pairs.iter().find(|(k, _)| k.text == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// What the node is, for messages.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "null".to_owned(),
            Kind::Scalar { text, .. } => format!("{text:?}"),
            Kind::Bytes(_) => "binary data".to_owned(),
            Kind::Sequence(_) => "a list".to_owned(),
            Kind::Mapping(_) => "a mapping".to_owned(),
        }
    }

    /// Reads the node as any `serde` type; errors carry the place.
    ///
    /// # Errors
    /// Wrong types, unknown fields of types that deny them, missing fields.
    pub fn deserialize<T: serde::de::DeserializeOwned>(&self) -> Result<T, ConfigError> {
        T::deserialize(serde_node::NodeDeserializer(self))
    }
}
