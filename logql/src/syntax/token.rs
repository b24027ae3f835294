//! Tokens of LogQL and their names in error messages.

use super::ast::{BinaryOp, RangeOp, VectorOp};

/// What a token is. Numbers keep their text: only its place in the grammar decides how it is read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    End,
    Bytes(u64),
    /// A name, or a character that nothing else wants.
    Identifier(String),
    String(String),
    Number(String),
    /// `--strict`, `--keep-empty`
    Flag(String),
    /// Nanoseconds.
    Duration(i64),
    /// `[5m]`, in nanoseconds.
    Range(i64),
    /// `[1h:5m]`, window and resolution in nanoseconds; only with extensions.
    Subquery(i64, Option<i64>),
    Equal,
    RegexMatch,
    NotRegexMatch,
    NotPattern,
    OpenBrace,
    CloseBrace,
    Comma,
    Dot,
    CloseBracket,
    PipeMatch,
    PipeExact,
    PipePattern,
    OpenParen,
    CloseParen,
    By,
    Without,
    RangeOp(RangeOp),
    VectorOp(VectorOp),
    Bool,
    Json,
    Regexp,
    Logfmt,
    Pipe,
    LineFormat,
    LabelFormat,
    Unwrap,
    BytesConversion,
    DurationConversion,
    DurationSecondsConversion,
    Vector,
    LabelReplace,
    Unpack,
    Offset,
    Pattern,
    Ip,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Decolorize,
    Drop,
    Keep,
    /// An operator between metric expressions; `!=`, `and` and `or` also stand in filters.
    Binary(BinaryOp),
}

impl Token {
    /// Name in error messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::End => "$end",
            Self::Bytes(_) => "BYTES",
            Self::Identifier(_) => "IDENTIFIER",
            Self::String(_) => "STRING",
            Self::Number(_) => "NUMBER",
            Self::Flag(_) => "FUNCTION_FLAG",
            Self::Duration(_) => "DURATION",
            Self::Range(_) => "RANGE",
            Self::Subquery(..) => "SUBQUERY",
            Self::Equal => "=",
            Self::RegexMatch => "=~",
            Self::NotRegexMatch => "!~",
            Self::NotPattern => "!>",
            Self::OpenBrace => "{",
            Self::CloseBrace => "}",
            Self::Comma => ",",
            Self::Dot => ".",
            Self::CloseBracket => "]",
            Self::PipeMatch => "|~",
            Self::PipeExact => "|=",
            Self::PipePattern => "|>",
            Self::OpenParen => "(",
            Self::CloseParen => ")",
            Self::By => "by",
            Self::Without => "without",
            Self::RangeOp(op) => range_token(*op),
            Self::VectorOp(op) => vector_token(*op),
            Self::Bool => "bool",
            Self::Json => "json",
            Self::Regexp => "regexp",
            Self::Logfmt => "logfmt",
            Self::Pipe => "|",
            Self::LineFormat => "line_format",
            Self::LabelFormat => "label_format",
            Self::Unwrap => "unwrap",
            Self::BytesConversion => "BYTES_CONV",
            Self::DurationConversion => "DURATION_CONV",
            Self::DurationSecondsConversion => "DURATION_SECONDS_CONV",
            Self::Vector => "VECTOR",
            Self::LabelReplace => "label_replace",
            Self::Unpack => "unpack",
            Self::Offset => "offset",
            Self::Pattern => "pattern",
            Self::Ip => "ip",
            Self::On => "on",
            Self::Ignoring => "ignoring",
            Self::GroupLeft => "group_left",
            Self::GroupRight => "group_right",
            Self::Decolorize => "decolorize",
            Self::Drop => "drop",
            Self::Keep => "keep",
            Self::Binary(op) => op.as_str(),
        }
    }

    /// Words and signs that always mean themselves; `text` is in lower case.
    pub(crate) fn keyword(text: &str) -> Option<Self> {
        Some(match text {
            "," => Self::Comma,
            "." => Self::Dot,
            "{" => Self::OpenBrace,
            "}" => Self::CloseBrace,
            "=" => Self::Equal,
            "=~" => Self::RegexMatch,
            "!~" => Self::NotRegexMatch,
            "!>" => Self::NotPattern,
            "|=" => Self::PipeExact,
            "|~" => Self::PipeMatch,
            "|>" => Self::PipePattern,
            "|" => Self::Pipe,
            "unwrap" => Self::Unwrap,
            "(" => Self::OpenParen,
            ")" => Self::CloseParen,
            "by" => Self::By,
            "without" => Self::Without,
            "bool" => Self::Bool,
            "]" => Self::CloseBracket,
            "label_replace" => Self::LabelReplace,
            "offset" => Self::Offset,
            "on" => Self::On,
            "ignoring" => Self::Ignoring,
            "group_left" => Self::GroupLeft,
            "group_right" => Self::GroupRight,
            "json" => Self::Json,
            "regexp" => Self::Regexp,
            "logfmt" => Self::Logfmt,
            "unpack" => Self::Unpack,
            "pattern" => Self::Pattern,
            "label_format" => Self::LabelFormat,
            "line_format" => Self::LineFormat,
            "ip" => Self::Ip,
            "decolorize" => Self::Decolorize,
            "drop" => Self::Drop,
            "keep" => Self::Keep,
            _ => return BinaryOp::from_str(text).map(Self::Binary),
        })
    }

    /// Words that mean a function when an opening parenthesis, `by (` or `without (` follows, and are names otherwise;
    /// `text` is in lower case.
    pub(crate) fn function(text: &str) -> Option<Self> {
        Some(match text {
            "bytes" => Self::BytesConversion,
            "duration" => Self::DurationConversion,
            "duration_seconds" => Self::DurationSecondsConversion,
            "ip" => Self::Ip,
            "label_replace" => Self::LabelReplace,
            "vector" => Self::Vector,
            _ => {
                return RangeOp::from_str(text)
                    .map(Self::RangeOp)
                    .or_else(|| VectorOp::from_str(text).map(Self::VectorOp));
            }
        })
    }
}

fn range_token(op: RangeOp) -> &'static str {
    match op {
        RangeOp::Count => "COUNT_OVER_TIME",
        RangeOp::Rate => "RATE",
        RangeOp::RateCounter => "RATE_COUNTER",
        RangeOp::Bytes => "BYTES_OVER_TIME",
        RangeOp::BytesRate => "BYTES_RATE",
        RangeOp::Avg => "AVG_OVER_TIME",
        RangeOp::Sum => "SUM_OVER_TIME",
        RangeOp::Min => "MIN_OVER_TIME",
        RangeOp::Max => "MAX_OVER_TIME",
        RangeOp::Stdvar => "STDVAR_OVER_TIME",
        RangeOp::Stddev => "STDDEV_OVER_TIME",
        RangeOp::Quantile => "QUANTILE_OVER_TIME",
        RangeOp::First => "FIRST_OVER_TIME",
        RangeOp::Last => "LAST_OVER_TIME",
        RangeOp::Absent => "ABSENT_OVER_TIME",
        RangeOp::CountDistinct => "COUNT_DISTINCT",
    }
}

fn vector_token(op: VectorOp) -> &'static str {
    match op {
        VectorOp::Sum => "SUM",
        VectorOp::Avg => "AVG",
        VectorOp::Count => "COUNT",
        VectorOp::Max => "MAX",
        VectorOp::Min => "MIN",
        VectorOp::Stddev => "STDDEV",
        VectorOp::Stdvar => "STDVAR",
        VectorOp::Bottomk => "BOTTOMK",
        VectorOp::Topk => "TOPK",
        VectorOp::Sort => "SORT",
        VectorOp::SortDesc => "SORT_DESC",
        VectorOp::ApproxTopk => "APPROX_TOPK",
    }
}
