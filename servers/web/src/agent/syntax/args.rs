//! Arguments of a block, evaluated, read by type.

use std::collections::BTreeMap;
use std::time::Duration;

use kit::config::{ByteSize, GoDuration, Secret};
use kit::relabel::RelabelConfig;

use super::{Block, Body, Capsule, Diag, Pos, Result, Scope, Value, eval};
use crate::agent::pipe::{LogReceiver, MetricReceiver};

/// Evaluated attributes and blocks. Reading takes them out; [`Args::finish`] refuses what is left.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    /// Where the block stands.
    pub pos: Pos,
    attributes: BTreeMap<String, (Value, Pos)>,
    blocks: Vec<ArgBlock>,
}

/// An inner block.
#[derive(Clone, Debug)]
pub(crate) struct ArgBlock {
    /// Name.
    pub name: String,
    /// Content.
    pub args: Args,
}

impl Args {
    /// Evaluates a block's content.
    ///
    /// # Errors
    /// Those of [`eval`].
    pub(crate) fn evaluate(block: &Block, scope: &dyn Scope) -> Result<Self> {
        Self::of_body(&block.body, &block.pos, scope)
    }

    fn of_body(body: &Body, pos: &Pos, scope: &dyn Scope) -> Result<Self> {
        let mut attributes = BTreeMap::new();
        for attribute in &body.attributes {
            let value = eval(&attribute.value, scope)?;
            attributes.insert(attribute.name.clone(), (value, attribute.value.pos.clone()));
        }
        let blocks = body
            .blocks
            .iter()
            .map(|block| {
                let args = Self::of_body(&block.body, &block.pos, scope)?;
                Ok(ArgBlock { name: block.name.clone(), args })
            })
            .collect::<Result<_>>()?;
        Ok(Self { pos: pos.clone(), attributes, blocks })
    }

    /// What was given, for the pages: secrets hidden.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let mut out = serde_json::Map::new();
        for (name, (value, _)) in &self.attributes {
            out.insert(name.clone(), value.to_json());
        }
        for block in &self.blocks {
            let list = out.entry(block.name.clone()).or_insert_with(|| serde_json::json!([]));
            if let Some(list) = list.as_array_mut() {
                list.push(block.args.to_json());
            }
        }
        serde_json::Value::Object(out)
    }

    /// An attribute, `None` when absent or null.
    pub(crate) fn take(&mut self, name: &str) -> Option<(Value, Pos)> {
        self.attributes.remove(name).filter(|(value, _)| !matches!(value, Value::Null))
    }

    /// Where an attribute stands, or the block when it is absent.
    pub(crate) fn pos_of(&self, name: &str) -> Pos {
        self.attributes.get(name).map_or_else(|| self.pos.clone(), |(_, pos)| pos.clone())
    }

    fn typed<T>(&mut self, name: &str, what: &str, read: impl FnOnce(&Value) -> Option<T>) -> Result<Option<T>> {
        let Some((value, pos)) = self.take(name) else { return Ok(None) };
        match read(&value) {
            Some(read) => Ok(Some(read)),
            None => Err(Diag::new(&pos, format!("{name} must be {what}, not {}", value.type_name()))),
        }
    }

    /// Text.
    ///
    /// # Errors
    /// When it is of another type, as with all that follow.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>> {
        self.typed(name, "a string", |value| match value {
            Value::Secret(_) => None,
            value => value.to_text(),
        })
    }

    /// Text with a default.
    ///
    /// # Errors
    /// As [`Args::text`].
    pub(crate) fn text_or(&mut self, name: &str, default: &str) -> Result<String> {
        Ok(self.text(name)?.unwrap_or_else(|| default.to_owned()))
    }

    /// Text that must be there.
    ///
    /// # Errors
    /// As [`Args::text`].
    pub(crate) fn required(&mut self, name: &str) -> Result<String> {
        let missing = Diag::new(&self.pos, format!("missing required attribute {name:?}"));
        self.text(name)?.ok_or(missing)
    }

    /// A secret; plain text is one, too.
    ///
    /// # Errors
    /// As [`Args::text`].
    pub(crate) fn secret(&mut self, name: &str) -> Result<Secret> {
        let secret = self.typed(name, "a string or a secret", |value| match value {
            Value::Secret(text) => Some(Secret::new(&**text)),
            value => value.to_text().map(Secret::new),
        })?;
        Ok(secret.unwrap_or_default())
    }

    /// A boolean with a default.
    ///
    /// # Errors
    /// As [`Args::text`].
    pub(crate) fn bool_or(&mut self, name: &str, default: bool) -> Result<bool> {
        let value = self.typed(name, "a bool", |value| match value {
            Value::Bool(b) => Some(*b),
            Value::Str(text) => text.parse().ok(),
            _ => None,
        })?;
        Ok(value.unwrap_or(default))
    }

    /// A number with a default.
    ///
    /// # Errors
    /// As [`Args::text`].
    pub(crate) fn number_or(&mut self, name: &str, default: f64) -> Result<f64> {
        Ok(self.typed(name, "a number", Value::to_number)?.unwrap_or(default))
    }

    /// A whole number that is not negative, with a default.
    ///
    /// # Errors
    /// As [`Args::text`].
    pub(crate) fn count_or(&mut self, name: &str, default: usize) -> Result<usize> {
        let read = |value: &Value| {
            value.to_number().filter(|n| *n >= 0.0 && n.fract() == 0.0 && *n < 1e15).map(|n| n as usize)
        };
        Ok(self.typed(name, "a whole number", read)?.unwrap_or(default))
    }

    /// A duration such as `"1m30s"`, with a default.
    ///
    /// # Errors
    /// As [`Args::text`].
    pub(crate) fn duration_or(&mut self, name: &str, default: Duration) -> Result<Duration> {
        let read = |value: &Value| GoDuration::parse(&value.to_text()?).ok().filter(|d| d.0 >= 0);
        let duration = self.typed(name, "a duration such as \"1m30s\"", read)?;
        Ok(duration.map_or(default, GoDuration::to_std))
    }

    /// A size such as `"1MiB"`, with a default in bytes.
    ///
    /// # Errors
    /// As [`Args::text`].
    pub(crate) fn size_or(&mut self, name: &str, default: u64) -> Result<u64> {
        let read = |value: &Value| ByteSize::parse(&value.to_text()?).ok();
        Ok(self.typed(name, "a size such as \"1MiB\"", read)?.map_or(default, |size| size.0))
    }

    /// A list of strings.
    ///
    /// # Errors
    /// As [`Args::text`].
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>> {
        let read = |value: &Value| match value {
            Value::Array(items) => items.iter().map(Value::to_text).collect(),
            _ => None,
        };
        Ok(self.typed(name, "a list of strings", read)?.unwrap_or_default())
    }

    /// A mapping to strings; null values are `None`.
    ///
    /// # Errors
    /// As [`Args::text`].
    pub(crate) fn text_map(&mut self, name: &str) -> Result<BTreeMap<String, Option<String>>> {
        let read = |value: &Value| match value {
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| match value {
                    Value::Null => Some((name.clone(), None)),
                    Value::Secret(text) => Some((name.clone(), Some(text.to_string()))),
                    value => value.to_text().map(|text| (name.clone(), Some(text))),
                })
                .collect(),
            _ => None,
        };
        Ok(self.typed(name, "a mapping of strings", read)?.unwrap_or_default())
    }

    /// Targets: a list of mappings to strings.
    ///
    /// # Errors
    /// As [`Args::text`].
    pub(crate) fn targets(&mut self, name: &str) -> Result<Vec<BTreeMap<String, String>>> {
        let read = |value: &Value| targets_of(value);
        Ok(self.typed(name, "a list of targets", read)?.unwrap_or_default())
    }

    /// Receivers of log entries.
    ///
    /// # Errors
    /// As [`Args::text`].
    pub(crate) fn log_receivers(&mut self, name: &str) -> Result<Vec<LogReceiver>> {
        let read = |value: &Value| match value {
            Value::Array(items) => items
                .iter()
                .map(|item| match item {
                    Value::Capsule(Capsule::Logs(receiver)) => Some(receiver.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        Ok(self.typed(name, "a list of log receivers", read)?.unwrap_or_default())
    }

    /// Receivers of samples.
    ///
    /// # Errors
    /// As [`Args::text`].
    pub(crate) fn metric_receivers(&mut self, name: &str) -> Result<Vec<MetricReceiver>> {
        let read = |value: &Value| match value {
            Value::Array(items) => items
                .iter()
                .map(|item| match item {
                    Value::Capsule(Capsule::Metrics(receiver)) => Some(receiver.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        Ok(self.typed(name, "a list of metric receivers", read)?.unwrap_or_default())
    }

    /// Inner blocks of a name, in order.
    pub(crate) fn blocks(&mut self, name: &str) -> Vec<Args> {
        let (taken, left) = std::mem::take(&mut self.blocks).into_iter().partition(|block| block.name == name);
        self.blocks = left;
        let taken: Vec<ArgBlock> = taken;
        taken.into_iter().map(|block| block.args).collect()
    }

    /// The one inner block of a name; `None` when absent.
    ///
    /// # Errors
    /// When it is given twice.
    pub(crate) fn block(&mut self, name: &str) -> Result<Option<Args>> {
        let mut blocks = self.blocks(name);
        match blocks.len() {
            0 | 1 => Ok(blocks.pop()),
            _ => Err(Diag::new(&blocks[1].pos, format!("block {name:?} is given twice"))),
        }
    }

    /// All inner blocks, in order.
    pub(crate) fn all_blocks(&mut self) -> Vec<ArgBlock> {
        std::mem::take(&mut self.blocks)
    }

    /// `rule { … }` blocks: relabelling rules, checked.
    ///
    /// # Errors
    /// When a rule breaks Prometheus' rules for them.
    pub(crate) fn rules(&mut self, name: &str) -> Result<Vec<RelabelConfig>> {
        let mut rules = Vec::new();
        for mut block in self.blocks(name) {
            let default = RelabelConfig::default();
            let rule = RelabelConfig {
                source_labels: block.texts("source_labels")?,
                separator: block.text_or("separator", &default.separator)?,
                target_label: block.text_or("target_label", "")?,
                regex: block.text_or("regex", &default.regex)?,
                modulus: block.count_or("modulus", 0)? as u64,
                replacement: block.text_or("replacement", &default.replacement)?,
                action: {
                    let pos = block.pos_of("action");
                    let word = block.text_or("action", "replace")?;
                    kit::relabel::Action::parse(&word).map_err(|message| Diag::new(&pos, message))?
                },
            };
            let pos = block.pos.clone();
            block.finish()?;
            rule.compile(kit::relabel::NameScheme::Utf8).map_err(|message| Diag::new(&pos, message))?;
            rules.push(rule);
        }
        Ok(rules)
    }

    /// Refuses attributes and blocks that nobody asked for.
    ///
    /// # Errors
    /// At the first one.
    pub(crate) fn finish(self) -> Result<()> {
        if let Some((name, (value, pos))) = self.attributes.into_iter().next()
            && !matches!(value, Value::Null)
        {
            return Err(Diag::new(&pos, format!("unrecognized attribute name {name:?}")));
        }
        match self.blocks.into_iter().next() {
            Some(block) => Err(Diag::new(&block.args.pos, format!("unrecognized block name {:?}", block.name))),
            None => Ok(()),
        }
    }
}

/// A list of targets; `None` for anything else.
pub(crate) fn targets_of(value: &Value) -> Option<Vec<BTreeMap<String, String>>> {
    let Value::Array(items) = value else { return None };
    items
        .iter()
        .map(|item| match item {
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| Some((name.clone(), value.to_text()?))).collect()
            }
            _ => None,
        })
        .collect()
}
