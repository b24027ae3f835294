//! Values of expressions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kit::relabel::RelabelConfig;

use crate::agent::pipe::{LogReceiver, MetricReceiver};

/// A value. Clones share what is large.
#[derive(Clone, Debug, Default)]
pub(crate) enum Value {
    /// `null`
    #[default]
    Null,
    /// `true`, `false`
    Bool(bool),
    /// Any number.
    Number(f64),
    /// Text.
    Str(Arc<str>),
    /// Text that is not shown.
    Secret(Arc<str>),
    /// List.
    Array(Arc<Vec<Value>>),
    /// Mapping.
    Object(Arc<BTreeMap<String, Value>>),
    /// Something that only components understand.
    Capsule(Capsule),
}

/// What components hand to one another.
#[derive(Clone, Debug)]
pub(crate) enum Capsule {
    /// Takes log entries.
    Logs(LogReceiver),
    /// Takes metric samples.
    Metrics(MetricReceiver),
    /// Relabelling rules.
    Rules(Arc<Vec<RelabelConfig>>),
}

impl Value {
    /// A list.
    pub(crate) fn array(items: Vec<Value>) -> Self {
        Self::Array(Arc::new(items))
    }

    /// A mapping.
    pub(crate) fn object<K: Into<String>>(fields: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Object(Arc::new(fields.into_iter().map(|(name, value)| (name.into(), value)).collect()))
    }

    /// A text.
    pub(crate) fn str(text: impl AsRef<str>) -> Self {
        Self::Str(text.as_ref().into())
    }

    /// What it is, for messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::Str(_) => "string",
            Self::Secret(_) => "secret",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
            Self::Capsule(_) => "capsule",
        }
    }

    /// As text: strings and numbers convert, a secret does not.
    pub(crate) fn to_text(&self) -> Option<String> {
        match self {
            Self::Str(text) => Some(text.to_string()),
            Self::Number(number) => Some(number_text(*number)),
            _ => None,
        }
    }

    /// As a number: numbers, and strings that are one.
    pub(crate) fn to_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Str(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// From JSON or YAML.
    pub(crate) fn from_json(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(b) => Self::Bool(b),
            serde_json::Value::Number(n) => Self::Number(n.as_f64().unwrap_or(0.0)),
            serde_json::Value::String(text) => Self::str(text),
            serde_json::Value::Array(items) => Self::array(items.into_iter().map(Self::from_json).collect()),
            serde_json::Value::Object(fields) => {
                Self::object(fields.into_iter().map(|(name, value)| (name, Self::from_json(value))))
            }
        }
    }

    /// To JSON; secrets are hidden, capsules are named.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Null => Json::Null,
            Self::Bool(b) => Json::Bool(*b),
            Self::Number(n) if n.fract() == 0.0 && n.abs() < 9e15 => Json::from(*n as i64),
            Self::Number(n) => Json::from(*n),
            Self::Str(text) => Json::from(&**text),
            Self::Secret(_) => Json::from("(secret)"),
            Self::Array(items) => items.iter().map(Self::to_json).collect(),
            Self::Object(fields) => {
                Json::Object(fields.iter().map(|(name, value)| (name.clone(), value.to_json())).collect())
            }
            Self::Capsule(Capsule::Logs(_)) => Json::from("capsule(\"loki.LogsReceiver\")"),
            Self::Capsule(Capsule::Metrics(_)) => Json::from("capsule(\"storage.Appendable\")"),
            Self::Capsule(Capsule::Rules(_)) => Json::from("capsule(\"relabel.Rules\")"),
        }
    }
}

/// Whole numbers have no point.
pub(super) fn number_text(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 { format!("{}", number as i64) } else { format!("{number}") }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::Str(a), Self::Str(b)) | (Self::Secret(a), Self::Secret(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            (Self::Capsule(Capsule::Rules(a)), Self::Capsule(Capsule::Rules(b))) => a == b,
            (Self::Capsule(Capsule::Logs(a)), Self::Capsule(Capsule::Logs(b))) => a.same(b),
            (Self::Capsule(Capsule::Metrics(a)), Self::Capsule(Capsule::Metrics(b))) => a.same(b),
            _ => false,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_json())
    }
}
