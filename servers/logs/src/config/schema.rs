//! The table of all configuration keys (`keys.txt`), read once: what a file may say, which flag sets which key, and what
//! holds when nobody says anything.
//!
//! [`Schema::check`] refuses unknown keys and values of the wrong type with their place; [`Schema::flags`] maps command-line
//! flags to keys; [`Schema::defaults`] is the whole configuration as a tree. Typed reading is [`super::values`].

use std::collections::BTreeMap;
use std::sync::OnceLock;

use kit::config::{ByteSize, GoDuration};
use kit::yaml::{ConfigError, Key, Kind, Node};

const TABLE: &str = include_str!("keys.txt");

/// Name of the block that is the whole file.
pub(crate) const ROOT: &str = "root";

/// A value's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int,
    Float,
    Duration,
    Time,
    String,
    Url,
    Secret,
    Strings,
    Map,
    List,
    Any,
}

impl Type {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "bool" => Self::Bool,
            "int" => Self::Int,
            "float" => Self::Float,
            "duration" => Self::Duration,
            "time" => Self::Time,
            "string" => Self::String,
            "url" => Self::Url,
            "secret" => Self::Secret,
            "strings" => Self::Strings,
            "map" => Self::Map,
            "list" => Self::List,
            "any" => Self::Any,
            _ => return None,
        })
    }

    /// Whether a flag of this type may stand without a value.
    pub(crate) fn is_bool(self) -> bool {
        self == Self::Bool
    }

    /// # Errors
    /// When the node is not of this type.
    fn check(self, node: &Node) -> Result<(), ConfigError> {
        let wanted = match self {
            Self::Any | Self::Map | Self::List if matches!(node.kind, Kind::Scalar { .. }) && self != Self::Any => {
                Some(if self == Self::Map { "a mapping" } else { "a list" })
            }
            Self::Any => None,
            Self::Map => matches!(node.kind, Kind::Sequence(_)).then_some("a mapping"),
            Self::List => matches!(node.kind, Kind::Mapping(_)).then_some("a list"),
            // One text stands for a list of it, and commas part several.
            Self::Strings => matches!(node.kind, Kind::Mapping(_)).then_some("a list of strings"),
            _ => {
                let Kind::Scalar { text, .. } = &node.kind else {
                    return Err(ConfigError::at(node, format!("cannot read {} as {}", node.describe(), self.words())));
                };
                let fits = match self {
                    Self::Bool => {
                        matches!(
                            text.to_ascii_lowercase().as_str(),
                            "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
                        )
                    }
                    Self::Int => text.parse::<i64>().is_ok() || ByteSize::parse(text).is_ok(),
                    Self::Float => text.parse::<f64>().is_ok(),
                    // The longest time that the peer's durations can say stands for "no limit".
                    Self::Duration => GoDuration::parse(text).is_ok() || text == "2562047h47m16.854775807s",
                    _ => true,
                };
                (!fits).then_some(self.words())
            }
        };
        match wanted {
            Some(wanted) => Err(ConfigError::at(node, format!("cannot read {} as {wanted}", node.describe()))),
            None => Ok(()),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Bool => "a boolean",
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Duration => "a duration such as 1h30m",
            Self::Time => "a time",
            _ => "a string",
        }
    }
}

/// What stands behind a key.
#[derive(Debug)]
pub(crate) enum Shape {
    Value {
        kind: Type,
        default: Option<&'static str>,
        flag: Option<&'static str>,
    },
    Inner(Block),
    Block {
        name: &'static str,
        prefix: Option<&'static str>,
    },
    ListOf(&'static str),
    MapOf(&'static str),
    /// The keys of another block, right here; the key itself has no name.
    Inline {
        name: &'static str,
        prefix: Option<&'static str>,
    },
}

/// Keys of one mapping.
#[derive(Debug, Default)]
pub(crate) struct Block(Vec<(&'static str, Shape)>);

/// See the module.
#[derive(Debug)]
pub(crate) struct Schema {
    blocks: BTreeMap<&'static str, Block>,
}

/// A key that a flag sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FlagKey {
    /// Its path, parts parted by dots.
    pub(crate) path: String,
    /// Its type.
    pub(crate) kind: Type,
}

/// Flags by name.
pub(crate) type Flags = BTreeMap<String, FlagKey>;

impl Schema {
    /// The table.
    pub(crate) fn get() -> &'static Self {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(|| Self::parse(TABLE))
    }

    fn parse(table: &'static str) -> Self {
        let lines: Vec<(usize, &'static str)> = table
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
            .map(|line| ((line.len() - line.trim_start().len()) / 2, line.trim()))
            .collect();
        let mut blocks = BTreeMap::new();
        let mut at = 0;
        while let Some((_, name)) = lines.get(at) {
            at += 1;
            let block = block(&lines, &mut at, 1);
            blocks.insert(*name, block);
        }
        Self { blocks }
    }

    fn block(&self, name: &str) -> &Block {
        static EMPTY: Block = Block(Vec::new());
        self.blocks.get(name).unwrap_or(&EMPTY)
    }

    /// Whether a mapping is one of the block `name`.
    ///
    /// # Errors
    /// Unknown keys and values of another type, with their place.
    pub(crate) fn check(&self, name: &str, node: &Node) -> Result<(), ConfigError> {
        self.check_block(self.block(name), name, node)
    }

    fn check_block(&self, block: &Block, name: &str, node: &Node) -> Result<(), ConfigError> {
        let pairs = match &node.kind {
            Kind::Null => return Ok(()),
            Kind::Mapping(pairs) => pairs,
            _ => {
                return Err(ConfigError::at(
                    node,
                    format!("cannot read {} as {name}: a mapping is needed", node.describe()),
                ));
            }
        };
        for (key, value) in pairs {
            let Some(shape) = self.find(block, &key.text) else {
                return Err(ConfigError {
                    line: key.line,
                    column: key.column,
                    ..ConfigError::plain(format!("field {} not found in {}", key.text, name))
                });
            };
            if value.is_null() {
                continue;
            }
            self.check_shape(shape, &key.text, value).map_err(|e| e.placed(value).in_field(&key.text))?;
        }
        Ok(())
    }

    fn check_shape(&self, shape: &Shape, key: &str, value: &Node) -> Result<(), ConfigError> {
        match shape {
            Shape::Value { kind, .. } => kind.check(value),
            Shape::Inner(inner) => self.check_block(inner, key, value),
            Shape::Block { name, .. } | Shape::Inline { name, .. } => self.check(name, value),
            Shape::ListOf(name) => match &value.kind {
                Kind::Sequence(items) => items.iter().try_for_each(|item| self.check(name, item)),
                _ => Err(ConfigError::at(value, format!("cannot read {} as a list", value.describe()))),
            },
            Shape::MapOf(name) => match &value.kind {
                Kind::Mapping(pairs) => pairs.iter().try_for_each(|(_, item)| self.check(name, item)),
                _ => Err(ConfigError::at(value, format!("cannot read {} as a mapping", value.describe()))),
            },
        }
    }

    /// The shape of a key of a block, inlined blocks included.
    fn find<'a>(&'a self, block: &'a Block, key: &str) -> Option<&'a Shape> {
        block.0.iter().find(|(name, _)| *name == key).map(|(_, shape)| shape).or_else(|| {
            block.0.iter().find_map(|(_, shape)| match shape {
                Shape::Inline { name, .. } => self.find(self.block(name), key),
                _ => None,
            })
        })
    }

    /// The value type and default of a key of block `name`; `path` is parted by dots.
    pub(crate) fn value(&self, name: &str, path: &str) -> Option<(Type, Option<&'static str>)> {
        let mut block = self.block(name);
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            match self.find(block, part)? {
                Shape::Value { kind, default, .. } => return parts.peek().is_none().then_some((*kind, *default)),
                Shape::Inner(inner) => block = inner,
                Shape::Block { name, .. } | Shape::Inline { name, .. } => block = self.block(name),
                Shape::ListOf(_) => return parts.peek().is_none().then_some((Type::List, None)),
                Shape::MapOf(_) => return parts.peek().is_none().then_some((Type::Map, None)),
            }
        }
        None
    }

    /// All flags with the keys they set.
    pub(crate) fn flags(&self) -> Flags {
        let mut flags = Flags::new();
        self.collect_flags(self.block(ROOT), "", None, &mut flags);
        flags
    }

    fn collect_flags(&self, block: &Block, path: &str, prefix: Option<&str>, flags: &mut Flags) {
        let full = |part: &str| match prefix {
            Some(prefix) => part.replace("<prefix>", prefix),
            None => part.replace("<prefix>.", ""),
        };
        for (key, shape) in &block.0 {
            let inner_path = if path.is_empty() { (*key).to_owned() } else { format!("{path}.{key}") };
            match shape {
                Shape::Value { kind, flag: Some(flag), .. } => {
                    let name = full(flag);
                    // Two keys may share a flag in the peer's table; the first one in the file is the one it sets.
                    flags.entry(name).or_insert(FlagKey { path: inner_path, kind: *kind });
                }
                Shape::Inner(inner) => self.collect_flags(inner, &inner_path, prefix, flags),
                Shape::Block { name, prefix: own } => {
                    self.collect_flags(self.block(name), &inner_path, own.map(full).as_deref().or(prefix), flags);
                }
                Shape::Inline { name, prefix: own } => {
                    self.collect_flags(self.block(name), path, own.map(full).as_deref().or(prefix), flags);
                }
                _ => {}
            }
        }
    }

    /// All keys of a block with their defaults, overlaid with what `set` says.
    pub(crate) fn effective(&self, name: &str, set: &Node) -> Node {
        self.effective_block(self.block(name), set)
    }

    fn effective_block(&self, block: &Block, set: &Node) -> Node {
        let mut pairs = Vec::new();
        self.effective_pairs(block, set, &mut pairs);
        Node::new(Kind::Mapping(pairs))
    }

    fn effective_pairs(&self, block: &Block, set: &Node, pairs: &mut Vec<(Key, Node)>) {
        static NULL: Node = Node { line: 0, column: 0, kind: Kind::Null };
        for (key, shape) in &block.0 {
            let given = set.get(key).filter(|node| !node.is_null());
            let value = match shape {
                Shape::Inner(inner) => self.effective_block(inner, given.unwrap_or(&NULL)),
                Shape::Block { name, .. } => self.effective(name, given.unwrap_or(&NULL)),
                Shape::Inline { name, .. } => {
                    self.effective_pairs(self.block(name), set, pairs);
                    continue;
                }
                Shape::Value { kind, default, .. } => {
                    let secret = *kind == Type::Secret || is_secret(key);
                    match given {
                        Some(node) if secret && !matches!(&node.kind, Kind::Scalar { text, .. } if text.is_empty()) => {
                            Node::text("********")
                        }
                        Some(node) => node.clone(),
                        None => default_node(*kind, default.unwrap_or("")),
                    }
                }
                Shape::ListOf(_) => given.cloned().unwrap_or_else(|| Node::new(Kind::Sequence(Vec::new()))),
                Shape::MapOf(_) => given.cloned().unwrap_or_else(|| Node::new(Kind::Mapping(Vec::new()))),
            };
            pairs.push((Key { line: 0, column: 0, text: (*key).to_owned() }, value));
        }
    }
}

/// Names of values that no answer may show.
fn is_secret(key: &str) -> bool {
    [
        "password",
        "secret",
        "credentials",
        "account_key",
        "connection_string",
        "security_token",
        "session_token",
        "acl_token",
    ]
    .iter()
    .any(|part| key.contains(part))
        && !key.ends_with("_file")
}

/// A default as a node.
pub(crate) fn default_node(kind: Type, text: &str) -> Node {
    match kind {
        Type::Strings => {
            let words = text.trim_start_matches('[').trim_end_matches(']').split_whitespace();
            Node::new(Kind::Sequence(words.map(Node::text).collect()))
        }
        Type::Map => Node::new(Kind::Mapping(Vec::new())),
        Type::List => Node::new(Kind::Sequence(Vec::new())),
        Type::Any => Node::new(Kind::Null),
        Type::String | Type::Url | Type::Secret | Type::Time => Node::text(text),
        Type::Bool if text.is_empty() => Node::plain("false"),
        Type::Int | Type::Float if text.is_empty() => Node::plain("0"),
        Type::Duration if text.is_empty() => Node::plain("0s"),
        _ => Node::plain(text),
    }
}

/// Reads the lines of one mapping; `at` moves behind them.
fn block(lines: &[(usize, &'static str)], at: &mut usize, level: usize) -> Block {
    let mut block = Block::default();
    while let Some((indent, line)) = lines.get(*at)
        && *indent >= level
    {
        *at += 1;
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (what, more) = rest.split_once(' ').unwrap_or((rest, ""));
        let prefix = Some(more.trim()).filter(|prefix| !prefix.is_empty());
        let shape = if what.is_empty() {
            Shape::Inner(self::block(lines, at, level + 1))
        } else if let Some(name) = what.strip_prefix("[@").and_then(|name| name.strip_suffix(']')) {
            Shape::ListOf(name)
        } else if let Some(name) = what.strip_prefix("{@").and_then(|name| name.strip_suffix('}')) {
            Shape::MapOf(name)
        } else if let Some(name) = what.strip_prefix('@') {
            if key == "+" { Shape::Inline { name, prefix } } else { Shape::Block { name, prefix } }
        } else {
            // A default may hold dashes, but no word that begins with one.
            let begin = more.rfind(" -").map(|at| at + 1).or_else(|| more.starts_with('-').then_some(0));
            let (default, flag) = match begin {
                Some(at) => (&more[..at], Some(&more[at + 1..])),
                None => (more, None),
            };
            let default = default.trim().strip_prefix('=').map(str::trim);
            Shape::Value { kind: Type::of(what).unwrap_or(Type::Any), default, flag }
        };
        block.0.push((key, shape));
    }
    block
}
