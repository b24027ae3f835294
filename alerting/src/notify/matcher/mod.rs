//! Matchers of alert labels: one condition on one label, as routes, silences, inhibition rules and filters use them.
//!
//! Two grammars exist. The older one (`classic`) takes a name of letters, digits and underscores and anything as a value; the
//! newer one (`utf8`) takes any name and value in quotes and wants special characters quoted. As Alertmanager does by
//! default, a text is read by both: what both read alike or only one reads is taken, where they differ the older wins.
//!
//! Regular expressions are Go's, anchored at both ends; unlike in metric selectors `.` does not match a newline.

mod classic;
mod unquote;
mod utf8;

use std::fmt;

use model::number::quote;
use model::regex::{Flags, GoRegex, RegexError};
use model::{Labels, MatchOp};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How matcher texts are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatcherMode {
    /// Both grammars, see the module.
    #[default]
    Fallback,
    /// The newer grammar only.
    Utf8,
    /// The older grammar only.
    Classic,
}

/// A text is not a matcher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MatcherError {
    /// Where and why, in Alertmanager's words.
    pub message: String,
}

impl MatcherError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl From<RegexError> for MatcherError {
    fn from(error: RegexError) -> Self {
        Self::new(error.to_string())
    }
}

/// A condition on one label. A label that is absent compares as the empty text.
#[derive(Clone)]
pub struct AlertMatcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<GoRegex>,
}

impl AlertMatcher {
    /// # Errors
    /// When the operator wants a regular expression and the value is none.
    pub fn new(op: MatchOp, name: &str, value: &str) -> Result<Self, MatcherError> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => {
                Some(GoRegex::new(value, Flags { anchored: true, ..Flags::default() })?)
            }
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), regex })
    }

    /// The matcher `name="value"`.
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), op: MatchOp::Equal, value: value.to_owned(), regex: None }
    }

    /// Name of the label.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The operator.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or regular expression.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label's value satisfies it.
    pub fn matches(&self, value: &str) -> bool {
        let positive = match &self.regex {
            Some(regex) => regex.is_match(value),
            None => self.value == value,
        };
        positive != self.op.is_negative()
    }

    /// Whether a label set satisfies it.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.value(&self.name))
    }

    fn sort_key(&self) -> (&str, &str, u8) {
        let op = match self.op {
            MatchOp::Equal => 0,
            MatchOp::NotEqual => 1,
            MatchOp::Regex => 2,
            MatchOp::NotRegex => 3,
        };
        (&self.name, &self.value, op)
    }
}

impl PartialEq for AlertMatcher {
    fn eq(&self, other: &Self) -> bool {
        self.sort_key() == other.sort_key()
    }
}

impl Eq for AlertMatcher {}

/// `name="value"`; a name with special characters is quoted, and then the value with all of Go's escapes.
impl fmt::Display for AlertMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.chars().any(utf8::is_reserved) {
            return write!(f, "{}{}{}", quote(&self.name), self.op.as_str(), quote(&self.value));
        }
        let value = self.value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
        write!(f, "{}{}\"{value}\"", self.name, self.op.as_str())
    }
}

impl fmt::Debug for AlertMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiMatcher {
    name: String,
    value: String,
    #[serde(default)]
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

fn yes() -> bool {
    true
}

/// As the API has it: `{"name", "value", "isRegex", "isEqual"}`.
impl Serialize for AlertMatcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ApiMatcher {
            name: self.name.clone(),
            value: self.value.clone(),
            is_regex: self.regex.is_some(),
            is_equal: !self.op.is_negative(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AlertMatcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let api = ApiMatcher::deserialize(deserializer)?;
        let op = match (api.is_equal, api.is_regex) {
            (true, false) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (false, true) => MatchOp::NotRegex,
        };
        Self::new(op, &api.name, &api.value).map_err(D::Error::custom)
    }
}

/// Matchers that must all hold.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Matchers(Vec<AlertMatcher>);

impl Matchers {
    /// Matchers sorted by name, value and operator: the order in which route keys show them.
    pub fn sorted(mut matchers: Vec<AlertMatcher>) -> Self {
        matchers.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        Self(matchers)
    }

    /// Matchers in the order given.
    pub fn in_order(matchers: Vec<AlertMatcher>) -> Self {
        Self(matchers)
    }

    /// Whether a label set satisfies all of them; true for none.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches_labels(labels))
    }

    /// The matchers.
    pub fn iter(&self) -> std::slice::Iter<'_, AlertMatcher> {
        self.0.iter()
    }

    /// Without any matcher.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// `{a="b",c=~"d"}`.
impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, matcher) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            matcher.fmt(f)?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads one matcher, as in a filter of the API.
///
/// # Errors
/// When the text holds none or more than one, or is in braces.
pub fn parse_matcher(text: &str, mode: MatcherMode) -> Result<AlertMatcher, MatcherError> {
    if mode != MatcherMode::Classic && (text.starts_with('{') || text.ends_with('}')) {
        return Err(MatcherError::new(format!("unexpected open or close brace: {text}")));
    }
    let one = |matchers: Vec<AlertMatcher>| {
        let count = matchers.len();
        let mut matchers = matchers.into_iter();
        match (matchers.next(), count) {
            (Some(matcher), 1) => Ok(matcher),
            (None, _) => Err(MatcherError::new("no matchers")),
            _ => Err(MatcherError::new(format!("expected 1 matcher, found {count}"))),
        }
    };
    choose(mode, || utf8::parse(text).and_then(one), || classic::parse_one(text))
}

/// Reads any number of matchers: `{a="b", c=~"d"}`, braces optional.
///
/// # Errors
/// When neither grammar of `mode` reads the text.
pub fn parse_matchers(text: &str, mode: MatcherMode) -> Result<Vec<AlertMatcher>, MatcherError> {
    choose(mode, || utf8::parse(text), || classic::parse(text))
}

/// What an operator should hear about a text that is read today but may not be one day: the two grammars disagree, or only
/// the older one reads it.
pub fn matchers_warning(text: &str) -> Option<String> {
    let classic = classic::parse(text).ok()?;
    match utf8::parse(text) {
        Ok(utf8) if utf8 == classic => None,
        Ok(_) => Some(format!("matchers {text:?} are read differently by the classic and the UTF-8 grammar")),
        Err(error) => {
            let suggestion: Vec<_> = classic.iter().map(ToString::to_string).collect();
            Some(format!(
                "matchers {text:?} are read by the classic grammar only ({error}); write {}",
                suggestion.join(",")
            ))
        }
    }
}

fn choose<T: PartialEq>(
    mode: MatcherMode,
    utf8: impl FnOnce() -> Result<T, MatcherError>,
    classic: impl FnOnce() -> Result<T, MatcherError>,
) -> Result<T, MatcherError> {
    match mode {
        MatcherMode::Utf8 => utf8(),
        MatcherMode::Classic => classic(),
        MatcherMode::Fallback => match (utf8(), classic()) {
            (Ok(new), Ok(old)) if new != old => Ok(old),
            (Ok(new), _) => Ok(new),
            (Err(_), old) => old,
        },
    }
}

#[cfg(test)]
mod tests;
