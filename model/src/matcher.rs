//! Matchers: one label name, an operator and a value. Regular expressions are Go's dialect, anchored at both ends.

use std::fmt;
use std::sync::Arc;

use crate::labels::{Labels, Quoted, is_label_identifier};
use crate::regex::{Flags, GoRegex, RegexError};

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as written in a query.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }

    /// True for `!=` and `!~`.
    pub fn is_negative(self) -> bool {
        matches!(self, Self::NotEqual | Self::NotRegex)
    }
}

/// One condition on one label. A label that is absent compares as the empty string.
#[derive(Clone)]
pub struct Matcher {
    name: Arc<str>,
    op: MatchOp,
    value: Arc<str>,
    regex: Option<GoRegex>,
}

impl Matcher {
    /// # Errors
    /// When `op` is a regular expression operator and `value` is not one; the message is Go's.
    pub fn new(op: MatchOp, name: &str, value: &str) -> Result<Self, RegexError> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(GoRegex::new(value, Flags::MATCHER)?),
        };
        Ok(Self { name: name.into(), op, value: value.into(), regex })
    }

    /// The compiled expression of `=~` and `!~`.
    pub fn regex(&self) -> Option<&GoRegex> {
        self.regex.as_ref()
    }

    /// The matcher `name="value"`.
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// Name of the label.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The literal value, or the text of the regular expression.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label value (empty for an absent label) satisfies the matcher.
    pub fn matches(&self, value: &str) -> bool {
        match (&self.regex, self.op) {
            (Some(regex), MatchOp::Regex) => regex.is_match(value),
            (Some(regex), _) => !regex.is_match(value),
            (None, MatchOp::Equal) => *self.value == *value,
            (None, _) => *self.value != *value,
        }
    }

    /// Whether a series without the label satisfies the matcher.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// Whether a label set satisfies the matcher.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.value(&self.name))
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.name == other.name && self.value == other.value
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_label_identifier(&self.name) {
            f.write_str(&self.name)?;
        } else {
            write!(f, "{}", Quoted(&self.name))?;
        }
        write!(f, "{}{}", self.op.as_str(), Quoted(&self.value))
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
