//! Tokens: their kinds, the keyword table, and how an error message names them.

use std::fmt::Write;

use super::quote::go_quote;
use crate::span::Span;

/// What a token is. Words of the language that may also be names keep their own kind; the parser decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Eof,
    Error,
    Identifier,
    MetricIdentifier,
    Number,
    Duration,
    String,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    Equal,
    // Operators.
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    EqualEqual,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    TrimUpper,
    TrimLower,
    RegexEqual,
    RegexNotEqual,
    And,
    Or,
    Unless,
    At,
    // Aggregators.
    Aggregator,
    // Keywords.
    Bool,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Offset,
    Smoothed,
    Anchored,
    // Words of duration expressions and of the `@` modifier.
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

/// One token; its text is the span's slice of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// The kind of a word, by its lower-case form.
pub(crate) fn keyword(word: &str) -> Option<Kind> {
    let mut buffer = [0u8; 16];
    let lower = buffer.get_mut(..word.len())?;
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"and" => Kind::And,
        b"or" => Kind::Or,
        b"unless" => Kind::Unless,
        b"atan2" => Kind::Atan2,
        b"sum" | b"avg" | b"count" | b"min" | b"max" | b"group" | b"stddev" | b"stdvar" | b"topk" | b"bottomk"
        | b"count_values" | b"quantile" | b"limitk" | b"limit_ratio" => Kind::Aggregator,
        b"offset" => Kind::Offset,
        b"smoothed" => Kind::Smoothed,
        b"anchored" => Kind::Anchored,
        b"by" => Kind::By,
        b"without" => Kind::Without,
        b"on" => Kind::On,
        b"ignoring" => Kind::Ignoring,
        b"group_left" => Kind::GroupLeft,
        b"group_right" => Kind::GroupRight,
        b"fill" => Kind::Fill,
        b"fill_left" => Kind::FillLeft,
        b"fill_right" => Kind::FillRight,
        b"bool" => Kind::Bool,
        b"start" => Kind::Start,
        b"end" => Kind::End,
        b"step" => Kind::Step,
        b"range" => Kind::Range,
        b"max_of" => Kind::MaxOf,
        b"min_of" => Kind::MinOf,
        b"inf" | b"nan" => Kind::Number,
        _ => return None,
    })
}

impl Kind {
    /// Words that may stand as a metric's name without quotes.
    pub(crate) fn is_metric_name(self) -> bool {
        matches!(
            self,
            Self::Identifier
                | Self::MetricIdentifier
                | Self::Aggregator
                | Self::And
                | Self::Or
                | Self::Unless
                | Self::By
                | Self::Without
                | Self::Fill
                | Self::FillLeft
                | Self::FillRight
                | Self::Offset
                | Self::Smoothed
                | Self::Anchored
        ) || self.is_preprocessor()
    }

    /// Words that may stand as a label's name in `by (…)`, `on (…)` and the like.
    pub(crate) fn is_label_name(self) -> bool {
        self.is_metric_name()
            || matches!(self, Self::Bool | Self::GroupLeft | Self::GroupRight | Self::Ignoring | Self::On | Self::Atan2)
    }

    /// `start end step range max_of min_of`.
    pub(crate) fn is_preprocessor(self) -> bool {
        matches!(self, Self::Start | Self::End | Self::Step | Self::Range | Self::MaxOf | Self::MinOf)
    }

    fn is_operator(self) -> bool {
        matches!(
            self,
            Self::Add
                | Self::Sub
                | Self::Mul
                | Self::Div
                | Self::Mod
                | Self::Pow
                | Self::Atan2
                | Self::EqualEqual
                | Self::NotEqual
                | Self::Less
                | Self::LessEqual
                | Self::Greater
                | Self::GreaterEqual
                | Self::TrimUpper
                | Self::TrimLower
                | Self::RegexEqual
                | Self::RegexNotEqual
                | Self::And
                | Self::Or
                | Self::Unless
                | Self::At
        )
    }

    fn is_keyword(self) -> bool {
        matches!(
            self,
            Self::Bool
                | Self::By
                | Self::Without
                | Self::On
                | Self::Ignoring
                | Self::GroupLeft
                | Self::GroupRight
                | Self::Fill
                | Self::FillLeft
                | Self::FillRight
                | Self::Offset
                | Self::Smoothed
                | Self::Anchored
        )
    }
}

/// How a message names a token: `<op:+>`, `<by>`, `identifier "foo"`, `end of input`.
pub(crate) fn describe(kind: Kind, text: &str) -> String {
    let class = match kind {
        Kind::Eof => return "end of input".to_owned(),
        Kind::Identifier => "identifier ",
        Kind::MetricIdentifier => "metric identifier ",
        Kind::String => "string ",
        // `inf` and `nan` are numbers too.
        Kind::Number => "number ",
        Kind::Duration => "duration ",
        _ => "",
    };
    let mut out = class.to_owned();
    if matches!(kind, Kind::Identifier | Kind::MetricIdentifier) {
        out.push_str(&go_quote(text));
    } else if kind.is_keyword() {
        let _ = write!(out, "<{text}>");
    } else if kind.is_operator() {
        let _ = write!(out, "<op:{text}>");
    } else if kind == Kind::Aggregator {
        let _ = write!(out, "<aggr:{text}>");
    } else if text.len() > 10 {
        let cut = text.char_indices().nth(10).map_or(text.len(), |(at, _)| at);
        let _ = write!(out, "{}...", go_quote(&text[..cut]));
    } else {
        out.push_str(&go_quote(text));
    }
    out
}
