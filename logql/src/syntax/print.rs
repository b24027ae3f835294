//! A tree as text on one line, in the form the reference prints: it parses back to an equal tree.

use std::fmt::{self, Display, Formatter};

use model::number::{FloatFormat, float_text, quote};
use model::{MatchOp, Matcher};

use super::ast::*;
use crate::units::bytes::BytesText;
use crate::units::duration::{GoDuration, prometheus};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(log) => log.fmt(f),
            Self::Metric(metric) => metric.fmt(f),
        }
    }
}

impl Display for LogExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.selector.fmt(f)?;
        for stage in &self.stages {
            write!(f, " {stage}")?;
        }
        // Between entries and what follows stands a space even when there are no stages to print.
        Ok(())
    }
}

impl Display for Selector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        join(f, &self.matchers, ", ", |matcher, f| matcher_text(matcher).fmt(f))?;
        f.write_str("}")
    }
}

/// Writes `items` with `separator` between them.
pub(super) fn join<T>(
    f: &mut Formatter<'_>,
    items: &[T],
    separator: &str,
    mut write: impl FnMut(&T, &mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        write(item, f)?;
    }
    Ok(())
}

fn matcher_text(matcher: &Matcher) -> String {
    format!("{}{}{}", matcher.name(), matcher.op().as_str(), quote(matcher.value()))
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl Display for StageKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineFilter(filter) => filter.fmt(f),
            Self::LabelFilter(filter) => write!(f, "| {filter}"),
            Self::Json { arrays: false } => f.write_str("| json"),
            Self::Json { arrays: true } => f.write_str("| json --arrays"),
            Self::JsonFields(fields) => {
                f.write_str("| json ")?;
                join(f, fields, ",", |field, f| field.fmt(f))
            }
            Self::Logfmt(flags) => write!(f, "| logfmt{flags}"),
            Self::LogfmtFields(flags, fields) => {
                write!(f, "| logfmt{flags} ")?;
                join(f, fields, ",", |field, f| field.fmt(f))
            }
            Self::Regexp(pattern) => write!(f, "| regexp {}", quote(pattern)),
            Self::Pattern(pattern) => write!(f, "| pattern {}", quote(pattern)),
            Self::Unpack => f.write_str("| unpack"),
            Self::LineFormat(template) => write!(f, "| line_format {}", quote(template)),
            Self::LabelFormat(formats) => {
                f.write_str("| label_format ")?;
                join(f, formats, ",", |format, f| match &format.value {
                    LabelFormatValue::Rename(source) => write!(f, "{}={source}", format.label),
                    LabelFormatValue::Template(template) => write!(f, "{}={}", format.label, quote(template)),
                })
            }
            Self::Decolorize => f.write_str("| decolorize"),
            Self::Drop(choices) => {
                f.write_str("| drop ")?;
                join(f, choices, ",", |choice, f| choice.fmt(f))
            }
            Self::Keep(choices) => {
                f.write_str("| keep ")?;
                join(f, choices, ",", |choice, f| choice.fmt(f))
            }
            Self::Distinct(labels) => write!(f, "| distinct {}", labels.join(",")),
            Self::Dedup => f.write_str("| dedup"),
        }
    }
}

impl Display for LineFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.op.as_str())?;
        join(f, &self.alternatives, " or ", |alternative, f| alternative.fmt(f))
    }
}

impl Display for LineAlternative {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.ip { write!(f, "ip({})", quote(&self.text)) } else { f.write_str(&quote(&self.text)) }
    }
}

impl Display for Extraction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.label, quote(&self.expression))
    }
}

impl Display for LogfmtFlags {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.strict {
            f.write_str(" --strict")?;
        }
        if self.keep_empty {
            f.write_str(" --keep-empty")?;
        }
        Ok(())
    }
}

impl Display for LabelChoice {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Matching(matcher) => f.write_str(&matcher_text(matcher)),
        }
    }
}

impl Display for LabelFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(matcher) if prints_in_backticks(matcher) => {
                write!(f, "{}{}`{}`", matcher.name(), matcher.op().as_str(), matcher.value())
            }
            Self::Text(matcher) => f.write_str(&matcher_text(matcher)),
            Self::Number(label, op, value) => {
                write!(f, "{label}{}{}", op.as_str(), float_text(*value, FloatFormat::Fixed))
            }
            Self::Duration(label, op, ns) => write!(f, "{label}{}{}", op.as_str(), GoDuration(*ns)),
            Self::Bytes(label, op, bytes) => write!(f, "{label}{}{}", op.as_str(), BytesText(*bytes)),
            Self::Ip { label, negative, pattern } => {
                write!(f, "{label}{}ip({})", if *negative { "!=" } else { "=" }, quote(pattern))
            }
            Self::Group(group) => group.fmt(f),
        }
    }
}

/// The reference keeps the raw form of regular expressions that it cannot turn into plain comparisons.
fn prints_in_backticks(matcher: &Matcher) -> bool {
    matcher.op() == MatchOp::Regex && !matcher.value().contains('`') && !is_list_of_texts(matcher.value())
}

/// Whether a regular expression is an alternation of plain texts, each perhaps with `.*` before or after it.
fn is_list_of_texts(regex: &str) -> bool {
    let regex = regex.strip_prefix("(?i)").unwrap_or(regex);
    let inner = regex.strip_prefix('(').and_then(|r| r.strip_suffix(')')).unwrap_or(regex);
    matches!(inner, "" | ".*" | ".+")
        || inner.split('|').all(|part| {
            let part = part.strip_prefix(".*").unwrap_or(part);
            let part = part.strip_suffix(".*").unwrap_or(part);
            !part.contains(['.', '*', '+', '?', '(', ')', '[', ']', '{', '}', '^', '$', '\\'])
        })
}

impl Display for FilterGroup {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let joint = if self.all { " , " } else { " or " };
        let joints = self.items.len().saturating_sub(1);
        if self.right {
            for (i, item) in self.items.iter().enumerate() {
                if i < joints {
                    write!(f, "( {item}{joint}")?;
                } else {
                    item.fmt(f)?;
                }
            }
            return f.write_str(&" )".repeat(joints));
        }
        f.write_str(&"( ".repeat(joints))?;
        for (i, item) in self.items.iter().enumerate() {
            if i == 0 {
                item.fmt(f)?;
            } else {
                write!(f, "{joint}{item} )")?;
            }
        }
        Ok(())
    }
}

impl Display for MetricExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(node) => node.fmt(f),
            Self::Vector(node) => node.fmt(f),
            Self::Binary(node) => write!(f, "({} {} {})", node.left, OperatorText(node), node.right),
            Self::LabelReplace(node) => write!(
                f,
                "label_replace({},{},{},{},{})",
                node.inner,
                quote(&node.destination),
                quote(&node.replacement),
                quote(&node.source),
                quote(&node.regex)
            ),
            Self::Literal(value, _) => f.write_str(&float_text(*value, FloatFormat::General)),
            Self::VectorLiteral(value, _) => write!(f, "vector({value:.6})"),
            Self::Subquery(node) => node.fmt(f),
        }
    }
}

/// An operator with its modifiers.
pub(super) struct OperatorText<'a>(pub(super) &'a Binary);

impl Display for OperatorText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let node = self.0;
        f.write_str(node.op.as_str())?;
        if node.return_bool {
            f.write_str(" bool")?;
        }
        let matching = &node.matching;
        if matching.on || !matching.labels.is_empty() || matching.cardinality != Cardinality::OneToOne {
            let word = if matching.on { "on" } else { "ignoring" };
            write!(f, " {word} ({}) ", matching.labels.join(","))?;
        }
        f.write_str(group_word(matching.cardinality))?;
        if has_include(node) {
            write!(f, " ({})", matching.include.join(","))?;
        }
        Ok(())
    }
}

/// Whether `group_left` needs its list: also an empty one, where a parenthesis behind it would be taken for it.
pub(super) fn has_include(node: &Binary) -> bool {
    let grouped = node.matching.cardinality != Cardinality::OneToOne;
    grouped && (!node.matching.include.is_empty() || matches!(node.right, MetricExpr::Binary(_)))
}

pub(super) fn group_word(cardinality: Cardinality) -> &'static str {
    match cardinality {
        Cardinality::OneToOne => "",
        Cardinality::ManyToOne => "group_left",
        Cardinality::OneToMany => "group_right",
    }
}

impl Display for RangeAggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.op.as_str())?;
        if let Some(field) = &self.field {
            write!(f, "{field},")?;
        }
        if let Some(value) = self.parameter {
            write!(f, "{},", float_text(value, FloatFormat::Fixed))?;
        }
        write!(f, "{})", self.range)?;
        self.grouping.as_ref().map_or(Ok(()), |grouping| grouping.fmt(f))
    }
}

impl Display for LogRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.log.fmt(f)?;
        if let Some(unwrap) = &self.unwrap {
            write!(f, " {unwrap}")?;
        }
        // A pipeline that ends in a name or a number needs the space; the reference prints it without.
        write!(f, "[{}]", prometheus(self.range_ns))?;
        if self.offset_ns != 0 {
            write!(f, " offset {}", GoDuration(self.offset_ns))?;
        }
        Ok(())
    }
}

impl Display for Unwrap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("| unwrap ")?;
        match self.conversion.as_str() {
            "" => f.write_str(&self.label)?,
            name => write!(f, "{name}({})", self.label)?,
        }
        for filter in &self.filters {
            write!(f, " | {filter}")?;
        }
        Ok(())
    }
}

impl Conversion {
    /// The function's name, empty for a plain number.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "",
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::DurationSeconds => "duration_seconds",
        }
    }
}

/// With a space in front: ` by (a,b)`.
impl Display for Grouping {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " {} ({})", if self.without { "without" } else { "by" }, self.labels.join(","))
    }
}

impl Display for VectorAggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.as_str())?;
        if !self.grouping.is_singleton() {
            self.grouping.fmt(f)?;
        }
        f.write_str("(")?;
        if let Some(k) = self.parameter {
            write!(f, "{k},")?;
        }
        write!(f, "{})", self.inner)
    }
}

impl Display for Subquery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.op.as_str())?;
        if let Some(value) = self.parameter {
            write!(f, "{},", float_text(value, FloatFormat::Fixed))?;
        }
        write!(f, "{}[{}:", self.inner, prometheus(self.range_ns))?;
        if let Some(step) = self.step_ns {
            prometheus(step).fmt(f)?;
        }
        f.write_str("]")?;
        if self.offset_ns != 0 {
            write!(f, " offset {}", GoDuration(self.offset_ns))?;
        }
        f.write_str(")")
    }
}
