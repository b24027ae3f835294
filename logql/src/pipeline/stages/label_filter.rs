//! `| a = "b"`, `| a > 5ms and b != ip("10.0.0.0/8")`.
//!
//! A comparison of texts takes an absent label for an empty one. The others drop an entry without the label; a value that
//! cannot be read keeps the entry and marks it with an error, unless it has one already.

use model::regex::{Flags, GoRegex, RegexError};
use model::{MatchOp, Matcher};

use crate::pipeline::bytes::same;
use crate::pipeline::names::{NameId, Names};
use crate::pipeline::state::{EntryLabels, StageError, Texts};
use crate::syntax::ast::{CompareOp, LabelFilter};
use crate::units::bytes::{BytesText, parse_bytes};
use crate::units::duration::parse_go;
use crate::units::ip::IpPattern;
use model::number::parse_float;

/// A condition on labels, with names numbered and patterns compiled.
#[derive(Clone)]
pub(crate) enum LabelTest {
    Text { label: NameId, test: TextTest },
    Number(NameId, CompareOp, f64),
    Duration(NameId, CompareOp, i64),
    Bytes(NameId, CompareOp, u64),
    Ip { label: NameId, negative: bool, pattern: IpPattern },
    All(Vec<LabelTest>),
    Any(Vec<LabelTest>),
}

impl std::fmt::Debug for LabelTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LabelTest")
    }
}

/// A comparison of texts.
#[derive(Clone)]
pub(crate) enum TextTest {
    Equal(Box<str>),
    NotEqual(Box<str>),
    Regex(GoRegex),
    NotRegex(GoRegex),
}

impl TextTest {
    fn new(matcher: &Matcher) -> Result<Self, RegexError> {
        let text = matcher.value();
        // The reference turns expressions without operators but `.*` into searches, which newlines do not stop.
        let plain = !text.replace(".*", "").replace(".+", "").contains(['.', '*', '+', '?', '[', '{', '^', '$', '\\']);
        let flags = Flags { anchored: true, dot_matches_newline: plain, ..Flags::default() };
        Ok(match matcher.op() {
            MatchOp::Equal => Self::Equal(text.into()),
            MatchOp::NotEqual => Self::NotEqual(text.into()),
            MatchOp::Regex => Self::Regex(GoRegex::new(text, flags)?),
            MatchOp::NotRegex => Self::NotRegex(GoRegex::new(text, flags)?),
        })
    }

    #[inline]
    fn holds(&self, value: &str) -> bool {
        match self {
            // Comparing with an empty box of text in the usual way can cost a hundred nanoseconds: its address is invalid.
            Self::Equal(text) => same(text.as_bytes(), value.as_bytes()),
            Self::NotEqual(text) => !same(text.as_bytes(), value.as_bytes()),
            Self::Regex(regex) => regex.is_match(value),
            Self::NotRegex(regex) => !regex.is_match(value),
        }
    }
}

/// Why a filter cannot be compiled.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum FilterError {
    #[error(transparent)]
    Regex(#[from] RegexError),
    #[error("ip: invalid pattern: {}", model::number::quote(.0))]
    Ip(String),
}

impl LabelTest {
    pub(crate) fn new(filter: &LabelFilter, names: &mut Names) -> Result<Self, FilterError> {
        Ok(match filter {
            LabelFilter::Text(matcher) => Self::Text { label: names.id(matcher.name()), test: TextTest::new(matcher)? },
            LabelFilter::Number(label, op, value) => Self::Number(names.id(label), *op, *value),
            LabelFilter::Duration(label, op, ns) => Self::Duration(names.id(label), *op, *ns),
            // The reference hands queries on as text, in which sizes have two digits: `10KiB` is compared as `10kB`.
            LabelFilter::Bytes(label, op, bytes) => {
                Self::Bytes(names.id(label), *op, parse_bytes(&BytesText(*bytes).to_string()).unwrap_or(*bytes))
            }
            LabelFilter::Ip { label, negative, pattern } => Self::Ip {
                label: names.id(label),
                negative: *negative,
                pattern: IpPattern::parse(pattern).ok_or_else(|| FilterError::Ip(pattern.clone()))?,
            },
            LabelFilter::Group(group) => {
                let items = group.items.iter().map(|item| Self::new(item, names)).collect::<Result<_, _>>()?;
                if group.all { Self::All(items) } else { Self::Any(items) }
            }
        })
    }

    /// The label, if it is only one and no operator.
    pub(crate) fn single_label(&self) -> Option<NameId> {
        match self {
            Self::Text { label, .. }
            | Self::Number(label, ..)
            | Self::Duration(label, ..)
            | Self::Bytes(label, ..)
            | Self::Ip { label, .. } => Some(*label),
            Self::All(_) | Self::Any(_) => None,
        }
    }

    /// Whether the entry passes; may set its error.
    pub(crate) fn test(&self, labels: &mut EntryLabels, texts: Texts<'_>) -> bool {
        match self {
            Self::Text { label, test } => {
                let value = if *label == NameId::ERROR { labels.error_slice() } else { labels.get(*label) };
                test.holds(value.map_or("", |slice| labels.resolve(slice, texts)))
            }
            Self::Number(label, op, wanted) => {
                compare(labels, texts, *label, *op, *wanted, |text| parse_float(text).map_err(|e| e.to_string()))
            }
            Self::Duration(label, op, wanted) => {
                compare(labels, texts, *label, *op, *wanted, |text| parse_go(text).map_err(|e| e.to_string()))
            }
            Self::Bytes(label, op, wanted) => {
                compare(labels, texts, *label, *op, *wanted, |text| parse_bytes(text).map_err(|e| e.to_string()))
            }
            Self::Ip { label, negative, pattern } => {
                if labels.has_error() {
                    return true;
                }
                let Some(value) = labels.get(*label) else { return false };
                pattern.found_in(labels.resolve(value, texts)) != *negative
            }
            // All of them are tested: the error that one sets shows if another lets the entry through.
            Self::All(items) => items.iter().filter(|item| !item.test(labels, texts)).count() == 0,
            Self::Any(items) => items.iter().any(|item| item.test(labels, texts)),
        }
    }
}

#[inline]
fn compare<T: PartialOrd>(
    labels: &mut EntryLabels,
    texts: Texts<'_>,
    label: NameId,
    op: CompareOp,
    wanted: T,
    read: impl Fn(&str) -> Result<T, String>,
) -> bool {
    let Some(value) = labels.get(label) else { return false };
    match read(labels.resolve(value, texts)) {
        Ok(value) => op.holds(value, wanted),
        Err(error) => {
            if !labels.has_error() {
                labels.fail(StageError::LabelFilter, Some(&error));
            }
            true
        }
    }
}
