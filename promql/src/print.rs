//! A tree as canonical text: what parses to the same tree again, save places and what has no meaning.

use std::fmt::{self, Display, Formatter, Write};

use model::duration::DurationMs;
use model::number::quote;
use model::{METRIC_NAME, MatchOp};

use crate::ast::{
    Aggregate, AtModifier, Binary, Call, Cardinality, DurationExpr, DurationOp, DurationOperator, DurationValue, Expr,
    Extension, MatrixSelector, NumberLiteral, StringLiteral, Subquery, VectorSelector,
};
use crate::format::{fixed, general, label_name, plain};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aggregate(e) => {
                write_head(e, f)?;
                f.write_char('(')?;
                if let Some(param) = &e.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", e.expr)
            }
            Self::Binary(e) => write!(f, "{} {} {}", e.left, Operator(e), e.right),
            Self::Call(e) => e.fmt(f),
            Self::Matrix(e) => e.fmt(f),
            Self::Number(e) => e.fmt(f),
            Self::Paren(e) => write!(f, "({})", e.expr),
            Self::String(e) => e.fmt(f),
            Self::Subquery(e) => write!(f, "{}{}", e.expr, Window(e)),
            Self::Unary(e) => write!(f, "{}{}", if e.negative { "-" } else { "+" }, e.expr),
            Self::Vector(e) => e.fmt(f),
        }
    }
}

/// `sum by (a, b) `: an aggregation up to its parenthesis.
pub(crate) fn write_head(aggregate: &Aggregate, f: &mut impl Write) -> fmt::Result {
    f.write_str(aggregate.op.as_str())?;
    if aggregate.without || !aggregate.grouping.is_empty() {
        f.write_str(if aggregate.without { " without (" } else { " by (" })?;
        write_labels(f, &aggregate.grouping)?;
        f.write_str(") ")?;
    }
    Ok(())
}

fn write_labels(f: &mut impl Write, names: &[String]) -> fmt::Result {
    for (at, name) in names.iter().enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        write!(f, "{separator}{}", label_name(name))?;
    }
    Ok(())
}

/// `== bool on (a) group_left (b) fill (0)`: an operator with its modifiers.
pub(crate) struct Operator<'a>(pub(crate) &'a Binary);

impl Display for Operator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op.as_str())?;
        if self.0.return_bool {
            f.write_str(" bool")?;
        }
        let Some(matching) = &self.0.matching else { return Ok(()) };
        let grouped = matches!(matching.cardinality, Cardinality::ManyToOne | Cardinality::OneToMany);
        if !matching.labels.is_empty() || matching.on || grouped {
            f.write_str(if matching.on { " on (" } else { " ignoring (" })?;
            write_labels(f, &matching.labels)?;
            f.write_char(')')?;
        }
        if grouped {
            let left = matching.cardinality == Cardinality::ManyToOne;
            f.write_str(if left { " group_left (" } else { " group_right (" })?;
            write_labels(f, &matching.include)?;
            f.write_char(')')?;
        }
        match (matching.fill_left, matching.fill_right) {
            (Some(left), Some(right)) if left == right => write!(f, " fill ({})", general(left)),
            (left, right) => {
                if let Some(left) = left {
                    write!(f, " fill_left ({})", general(left))?;
                }
                if let Some(right) = right {
                    write!(f, " fill_right ({})", general(right))?;
                }
                Ok(())
            }
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function.name)?;
        for (at, arg) in self.args.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{arg}")?;
        }
        f.write_char(')')
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.duration {
            // Go converts through whole nanoseconds.
            let nanos = (self.value * 1e9) as i64;
            let sign = if nanos < 0 { "-" } else { "" };
            write!(f, "{sign}{}", DurationMs((nanos / 1_000_000).abs()))
        } else {
            f.write_str(&plain(self.value))
        }
    }
}

impl Display for StringLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.bytes {
            Some(bytes) => f.write_str(&crate::parse::quote::go_quote_bytes(bytes)),
            None => f.write_str(&quote(&self.value)),
        }
    }
}

impl Display for DurationValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.expr {
            Some(expr) => expr.fmt(f),
            None => write!(f, "{}", DurationMs(self.ms)),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Op(op) => op.fmt(f),
        }
    }
}

impl Display for DurationOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.wrapped {
            f.write_char('(')?;
        }
        match (self.op, &self.left, &self.right) {
            (DurationOperator::MinOf | DurationOperator::MaxOf, Some(left), Some(right)) => {
                write!(f, "{}({left}, {right})", self.op.as_str())?;
            }
            (_, Some(left), Some(right)) => write!(f, "{left} {} {right}", self.op.as_str())?,
            // A plus sign says nothing.
            (DurationOperator::Add, None, Some(right)) => right.fmt(f)?,
            (_, None, Some(right)) => write!(f, "{}{right}", self.op.as_str())?,
            _ => write!(f, "{}()", self.op.as_str())?,
        }
        if self.wrapped {
            f.write_char(')')?;
        }
        Ok(())
    }
}

fn write_at(f: &mut impl Write, at: Option<AtModifier>) -> fmt::Result {
    match at {
        Some(AtModifier::Timestamp(ms)) => write!(f, " @ {}", fixed(ms as f64 / 1000.0, 3)),
        Some(AtModifier::Start) => f.write_str(" @ start()"),
        Some(AtModifier::End) => f.write_str(" @ end()"),
        None => Ok(()),
    }
}

fn write_offset(f: &mut impl Write, offset: &DurationValue) -> fmt::Result {
    if offset.is_unset() { Ok(()) } else { write!(f, " offset {offset}") }
}

fn write_extension(f: &mut impl Write, extension: Option<Extension>) -> fmt::Result {
    match extension {
        Some(Extension::Anchored) => f.write_str(" anchored"),
        Some(Extension::Smoothed) => f.write_str(" smoothed"),
        None => Ok(()),
    }
}

/// `[5m:1m] @ 10.000 offset 1m`
pub(crate) struct Window<'a>(pub(crate) &'a Subquery);

impl Display for Window<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:", self.0.range)?;
        if !self.0.step.is_unset() {
            self.0.step.fmt(f)?;
        }
        f.write_char(']')?;
        write_at(f, self.0.at)?;
        write_offset(f, &self.0.offset)
    }
}

impl VectorSelector {
    /// Name and matchers, without what follows them.
    fn write_bare(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let is_name = |m: &&model::Matcher| {
            m.name() == METRIC_NAME && m.op() == MatchOp::Equal && m.value() == self.name && !m.value().is_empty()
        };
        let mut shown: Vec<String> = self.matchers.iter().filter(|m| !is_name(m)).map(ToString::to_string).collect();
        if !shown.is_empty() {
            shown.sort_unstable();
            write!(f, "{{{}}}", shown.join(","))?;
        }
        Ok(())
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_bare(f)?;
        write_at(f, self.at)?;
        write_extension(f, self.extension)?;
        write_offset(f, &self.offset)
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.vector.write_bare(f)?;
        write!(f, "[{}]", self.range)?;
        write_extension(f, self.vector.extension)?;
        write_at(f, self.vector.at)?;
        write_offset(f, &self.vector.offset)
    }
}
