//! Reads a mapping field by field: each field once, with its default, and at the end nothing may be left over.

use std::collections::BTreeMap;

use model::duration::parse_duration_ms;

use super::{ConfigError, Kind, Node};
use crate::client::HttpClientConfig;
use crate::config::PromDuration;
use crate::relabel::RelabelConfig;

/// A type that can be read from a node. `null` reaches it only where the caller did not treat it as absent.
pub trait FromNode: Sized {
    /// # Errors
    /// When the node is not of this type; the place is the node's.
    fn from_node(node: &Node) -> Result<Self, ConfigError>;
}

/// A mapping being read. `type_name` is what messages call it: `field x not found in type …`.
pub struct Section<'a> {
    node: &'a Node,
    type_name: &'static str,
    used: Vec<bool>,
}

impl<'a> Section<'a> {
    /// Begins to read `node`; `null` counts as an empty mapping.
    ///
    /// # Errors
    /// When it is a scalar or a list.
    pub fn new(node: &'a Node, type_name: &'static str) -> Result<Self, ConfigError> {
        match &node.kind {
            Kind::Mapping(pairs) => Ok(Self { node, type_name, used: vec![false; pairs.len()] }),
            Kind::Null => Ok(Self { node, type_name, used: Vec::new() }),
            _ => Err(ConfigError::at(
                node,
                format!("cannot read {} as {type_name}: a mapping is needed", node.describe()),
            )),
        }
    }

    /// The node this section reads.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// Whether the key is given, be it as `null`.
    pub fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    /// The node of a key, `null` included; counts as read.
    pub fn raw(&mut self, key: &str) -> Option<&'a Node> {
        let Kind::Mapping(pairs) = &self.node.kind else { return None };
        let at = pairs.iter().position(|(k, _)| k.text == key)?;
        self.used[at] = true;
        Some(&pairs[at].1)
    }

    /// The value of a key; absent and `null` are `None`.
    ///
    /// # Errors
    /// When the value is of another type.
    pub fn opt<T: FromNode>(&mut self, key: &str) -> Result<Option<T>, ConfigError> {
        match self.raw(key) {
            Some(node) if !node.is_null() => T::from_node(node).map(Some).map_err(|e| e.placed(node).in_field(key)),
            _ => Ok(None),
        }
    }

    /// The value of a key, or `default` when absent or `null`.
    ///
    /// # Errors
    /// As [`Section::opt`].
    pub fn or<T: FromNode>(&mut self, key: &str, default: T) -> Result<T, ConfigError> {
        Ok(self.opt(key)?.unwrap_or(default))
    }

    /// The value of a key, or the type's own default.
    ///
    /// # Errors
    /// As [`Section::opt`].
    pub fn get<T: FromNode + Default>(&mut self, key: &str) -> Result<T, ConfigError> {
        Ok(self.opt(key)?.unwrap_or_default())
    }

    /// A list whose items may not be `null`: the error then says "empty or null `what`".
    ///
    /// # Errors
    /// As [`Section::opt`], and for `null` items.
    pub fn list<T: FromNode>(&mut self, key: &str, what: &str) -> Result<Vec<T>, ConfigError> {
        let Some(node) = self.raw(key).filter(|node| !node.is_null()) else { return Ok(Vec::new()) };
        let Kind::Sequence(items) = &node.kind else {
            return Err(ConfigError::at(node, format!("cannot read {} as a list", node.describe())).in_field(key));
        };
        items
            .iter()
            .map(|item| {
                if item.is_null() {
                    return Err(ConfigError::at(item, format!("empty or null {what}")).in_field(key));
                }
                T::from_node(item).map_err(|e| e.placed(item))
            })
            .collect()
    }

    /// A mapping of only the given keys, which count as read: for a structure embedded in this one.
    pub fn take(&mut self, keys: &[&str]) -> Node {
        let mut taken = Vec::new();
        if let Kind::Mapping(pairs) = &self.node.kind {
            for (at, (key, node)) in pairs.iter().enumerate() {
                if keys.contains(&key.text.as_str()) {
                    self.used[at] = true;
                    taken.push((key.clone(), node.clone()));
                }
            }
        }
        Node { line: self.node.line, column: self.node.column, kind: Kind::Mapping(taken) }
    }

    /// An error at a key of this section, or at the section when the key is absent.
    pub fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        let place = self.node.get(key).unwrap_or(self.node);
        ConfigError::at(place, message).in_field(key)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When a key was not read: it is unknown.
    pub fn finish(self) -> Result<(), ConfigError> {
        let Kind::Mapping(pairs) = &self.node.kind else { return Ok(()) };
        match pairs.iter().zip(&self.used).find(|(_, used)| !**used) {
            Some(((key, _), _)) => Err(ConfigError {
                line: key.line,
                column: key.column,
                ..ConfigError::plain(format!("field {} not found in type {}", key.text, self.type_name))
            }),
            None => Ok(()),
        }
    }

    /// Ends the reading and lets unknown keys be; returns them.
    pub fn finish_ignoring_unknown(self) -> Vec<String> {
        let Kind::Mapping(pairs) = &self.node.kind else { return Vec::new() };
        pairs.iter().zip(&self.used).filter(|(_, used)| !**used).map(|((key, _), _)| key.text.clone()).collect()
    }
}

fn scalar<'a>(node: &'a Node, wanted: &str) -> Result<&'a str, ConfigError> {
    match &node.kind {
        Kind::Scalar { text, .. } => Ok(text),
        Kind::Bytes(bytes) => Err(ConfigError::at(node, format!("\"{}\" is not valid UTF-8", bytes.escape_ascii()))),
        _ => Err(ConfigError::at(node, format!("cannot read {} as {wanted}", node.describe()))),
    }
}

impl FromNode for String {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        if node.is_null() {
            return Ok(Self::new());
        }
        scalar(node, "a string").map(str::to_owned)
    }
}

impl FromNode for bool {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        match scalar(node, "a boolean")? {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => Ok(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => Ok(false),
            other => Err(ConfigError::at(node, format!("cannot read {other:?} as a boolean"))),
        }
    }
}

impl FromNode for i64 {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let text = scalar(node, "an integer")?;
        let digits = text.replace('_', "");
        let parsed = match digits.strip_prefix("0x") {
            Some(hex) => Self::from_str_radix(hex, 16),
            None => digits.parse(),
        };
        parsed.map_err(|_| ConfigError::at(node, format!("cannot read {text:?} as an integer")))
    }
}

impl FromNode for u64 {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let text = scalar(node, "an integer")?;
        text.replace('_', "")
            .parse()
            .map_err(|_| ConfigError::at(node, format!("cannot read {text:?} as a whole number of 0 or more")))
    }
}

impl FromNode for u32 {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let value = u64::from_node(node)?;
        Self::try_from(value).map_err(|_| ConfigError::at(node, format!("{value} is too large")))
    }
}

impl FromNode for u16 {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let value = u64::from_node(node)?;
        Self::try_from(value).map_err(|_| ConfigError::at(node, format!("{value} is too large")))
    }
}

impl FromNode for f64 {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let text = scalar(node, "a number")?;
        match text {
            ".inf" | ".Inf" | "+.inf" => Ok(Self::INFINITY),
            "-.inf" | "-.Inf" => Ok(Self::NEG_INFINITY),
            ".nan" | ".NaN" => Ok(Self::NAN),
            _ => text
                .replace('_', "")
                .parse()
                .map_err(|_| ConfigError::at(node, format!("cannot read {text:?} as a number"))),
        }
    }
}

impl FromNode for PromDuration {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let text = scalar(node, "a duration")?;
        parse_duration_ms(text).map(Self).map_err(|e| ConfigError::at(node, e.to_string()))
    }
}

impl FromNode for HttpClientConfig {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let config: Self = node.deserialize()?;
        config.validate().map_err(|message| ConfigError::at(node, message))?;
        Ok(config)
    }
}

impl FromNode for RelabelConfig {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        node.deserialize()
    }
}

/// A number of bytes as Prometheus' configuration has them: `15MB`, `1GiB` (both count in 1024s); a unit is demanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PromSize(pub i64);

impl PromSize {
    /// Reads a size; a number without unit is refused except `0`.
    ///
    /// # Errors
    /// The message upstream gives: `units: unknown unit  in 100`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "0" {
            return Ok(Self(0));
        }
        let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let exponent = ["B", "KB", "MB", "GB", "TB", "PB", "EB"]
            .iter()
            .position(|name| *name == unit)
            .or_else(|| ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].iter().position(|name| *name == unit))
            .ok_or_else(|| format!("units: unknown unit {unit} in {text}"))?;
        let value: f64 = number.parse().map_err(|_| format!("units: invalid {text}"))?;
        Ok(Self((value * 1024f64.powi(exponent as i32)) as i64))
    }
}

impl FromNode for PromSize {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        Self::parse(scalar(node, "a size")?).map_err(|message| ConfigError::at(node, message))
    }
}

impl<T: FromNode> FromNode for Vec<T> {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        match &node.kind {
            Kind::Null => Ok(Self::new()),
            Kind::Sequence(items) => items.iter().map(|item| T::from_node(item).map_err(|e| e.placed(item))).collect(),
            _ => Err(ConfigError::at(node, format!("cannot read {} as a list", node.describe()))),
        }
    }
}

impl<T: FromNode> FromNode for BTreeMap<String, T> {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        match &node.kind {
            Kind::Null => Ok(Self::new()),
            Kind::Mapping(pairs) => pairs
                .iter()
                .map(|(key, value)| {
                    Ok((key.text.clone(), T::from_node(value).map_err(|e| e.placed(value).in_field(&key.text))?))
                })
                .collect(),
            _ => Err(ConfigError::at(node, format!("cannot read {} as a mapping", node.describe()))),
        }
    }
}

impl FromNode for Node {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        Ok(node.clone())
    }
}
