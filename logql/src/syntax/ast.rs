//! The syntax tree of a query, with the place of every node in the text.
//!
//! [`crate::parse`] makes it and has checked it: operations fit their operands, parameters are in range, patterns and
//! regular expressions compile. A tree prints back to an equivalent query (`Display`, the form the reference prints)
//! and to an indented one ([`crate::format_query`]). Its height is bounded by the parser, so that walking it may recurse.

use model::Matcher;

pub use super::span::Span;

/// A query: entries or numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// Selects and transforms entries.
    Log(LogExpr),
    /// Computes numbers.
    Metric(MetricExpr),
}

impl Expr {
    /// Place of the whole expression.
    pub fn span(&self) -> Span {
        match self {
            Self::Log(log) => log.span,
            Self::Metric(metric) => metric.span(),
        }
    }

    /// The selectors of the query, from left to right.
    pub fn selectors(&self) -> Vec<&Selector> {
        let mut found = Vec::new();
        match self {
            Self::Log(log) => found.push(&log.selector),
            Self::Metric(metric) => metric.visit(&mut |node| {
                if let MetricExpr::Range(range) = node {
                    found.push(&range.range.log.selector);
                }
            }),
        }
        found
    }
}

/// `{job="api"} |= "error" | json`
#[derive(Clone, Debug, PartialEq)]
pub struct LogExpr {
    /// Which streams.
    pub selector: Selector,
    /// What is done with their entries, in order.
    pub stages: Vec<Stage>,
    /// Place in the text.
    pub span: Span,
}

impl LogExpr {
    /// Whether a stage can leave entries out.
    pub fn has_filter(&self) -> bool {
        self.stages.iter().any(|stage| match &stage.kind {
            StageKind::LabelFilter(_) | StageKind::Distinct(_) | StageKind::Dedup => true,
            StageKind::LineFilter(filter) => {
                !matches!(filter.op, LineOp::Contains | LineOp::Regex)
                    || filter.alternatives.iter().any(|alternative| !alternative.text.is_empty())
            }
            _ => false,
        })
    }
}

/// `{job="api", env!="dev"}`
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// The conditions; all have to hold.
    pub matchers: Vec<Matcher>,
    /// Place in the text.
    pub span: Span,
}

/// One step of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// What it does.
    pub kind: StageKind,
    /// Place in the text, from its `|` or operator.
    pub span: Span,
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq)]
pub enum StageKind {
    /// `|= "a" or "b"`
    LineFilter(LineFilter),
    /// `| level = "error" and status >= 500`
    LabelFilter(LabelFilter),
    /// `| json`
    Json {
        /// `--arrays` (an extension): elements of arrays become labels too.
        arrays: bool,
    },
    /// `| json a="b.c[0]"`
    JsonFields(Vec<Extraction>),
    /// `| logfmt --strict`
    Logfmt(LogfmtFlags),
    /// `| logfmt --strict a="b"`
    LogfmtFields(LogfmtFlags, Vec<Extraction>),
    /// `| regexp "(?P<a>…)"`
    Regexp(String),
    /// `| pattern "<a> - <_>"`
    Pattern(String),
    /// `| unpack`
    Unpack,
    /// `| line_format "…"`
    LineFormat(String),
    /// `| label_format a=b, c="…"`
    LabelFormat(Vec<LabelFormat>),
    /// `| decolorize`
    Decolorize,
    /// `| drop a, b="c"`
    Drop(Vec<LabelChoice>),
    /// `| keep a, b="c"`
    Keep(Vec<LabelChoice>),
    /// `| distinct a, b` (an extension): the first entry for each combination of values.
    Distinct(Vec<String>),
    /// `| dedup` (an extension): the first entry of each run of equal lines of a stream.
    Dedup,
}

/// How a line filter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineOp {
    /// `|=`
    Contains,
    /// `!=`
    NotContains,
    /// `|~`
    Regex,
    /// `!~`
    NotRegex,
    /// `|>`
    Pattern,
    /// `!>`
    NotPattern,
}

impl LineOp {
    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contains => "|=",
            Self::NotContains => "!=",
            Self::Regex => "|~",
            Self::NotRegex => "!~",
            Self::Pattern => "|>",
            Self::NotPattern => "!>",
        }
    }

    /// True for the operators that drop what matches.
    pub fn is_negative(self) -> bool {
        matches!(self, Self::NotContains | Self::NotRegex | Self::NotPattern)
    }
}

/// A line filter. `!= "a" or "b"` means neither and is read as two filters, so that only the positive operators have
/// more than one alternative.
#[derive(Clone, Debug, PartialEq)]
pub struct LineFilter {
    /// How all of the alternatives compare.
    pub op: LineOp,
    /// At least one; a line matches when one of them does.
    pub alternatives: Vec<LineAlternative>,
}

/// `"text"` or `ip("pattern")`
#[derive(Clone, Debug, PartialEq)]
pub struct LineAlternative {
    /// Text, regular expression, pattern or IP pattern.
    pub text: String,
    /// It is an IP pattern.
    pub ip: bool,
}

/// `a="b.c"`: an expression into the line and the name of the label it becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Extraction {
    /// Name of the label.
    pub label: String,
    /// JSON path or logfmt key.
    pub expression: String,
}

/// Flags of `logfmt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogfmtFlags {
    /// Stop at the first error and say so.
    pub strict: bool,
    /// Keep keys with an empty value.
    pub keep_empty: bool,
}

/// One part of `label_format`.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelFormat {
    /// The label that is written.
    pub label: String,
    /// What is written.
    pub value: LabelFormatValue,
}

/// What `label_format` writes.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelFormatValue {
    /// The value of another label, which is removed.
    Rename(String),
    /// A template.
    Template(String),
}

/// One part of `drop` and `keep`: a label, or a label with certain values.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelChoice {
    /// Whatever its value.
    Name(String),
    /// When its value matches.
    Matching(Matcher),
}

/// A condition on labels.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelFilter {
    /// `a="b"`, `a=~"b.*"`
    Text(Matcher),
    /// `a > 5`
    Number(String, CompareOp, f64),
    /// `a > 5ms`, in nanoseconds.
    Duration(String, CompareOp, i64),
    /// `a > 5KB`
    Bytes(String, CompareOp, u64),
    /// `a = ip("…")`, `a != ip("…")`
    Ip {
        /// Name of the label.
        label: String,
        /// `!=`
        negative: bool,
        /// Address, network or range.
        pattern: String,
    },
    /// Several conditions.
    Group(FilterGroup),
}

/// Conditions joined by one operator.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterGroup {
    /// True: all must hold. False: one must.
    pub all: bool,
    /// At least two.
    pub items: Vec<LabelFilter>,
    /// How more than two hang together: `(a, (b, c))` when true, `((a, b), c)` when false.
    pub right: bool,
}

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `==` or `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

impl CompareOp {
    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        }
    }

    /// Whether `left op right`.
    #[inline]
    pub fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
        }
    }
}

/// An expression of numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricExpr {
    /// `rate({a="b"}[5m])`
    Range(Box<RangeAggregation>),
    /// `sum by (a) (…)`
    Vector(Box<VectorAggregation>),
    /// `a + b`; never two literals, which are folded.
    Binary(Box<Binary>),
    /// `label_replace(…)`
    LabelReplace(Box<LabelReplace>),
    /// `1.5`: a number without labels that fits every series.
    Literal(f64, Span),
    /// `vector(1)`: one series without labels.
    VectorLiteral(f64, Span),
    /// `max_over_time(rate({a="b"}[5m])[1h:1m])` (an extension)
    Subquery(Box<Subquery>),
}

impl MetricExpr {
    /// Place in the text.
    pub fn span(&self) -> Span {
        match self {
            Self::Range(node) => node.span,
            Self::Vector(node) => node.span,
            Self::Binary(node) => node.span,
            Self::LabelReplace(node) => node.span,
            Self::Literal(_, span) | Self::VectorLiteral(_, span) => *span,
            Self::Subquery(node) => node.span,
        }
    }

    /// Calls `visit` for this node and all below it, parents first, left before right.
    pub fn visit<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        match self {
            Self::Vector(node) => node.inner.visit(visit),
            Self::Binary(node) => {
                node.left.visit(visit);
                node.right.visit(visit);
            }
            Self::LabelReplace(node) => node.inner.visit(visit),
            Self::Subquery(node) => node.inner.visit(visit),
            Self::Range(_) | Self::Literal(..) | Self::VectorLiteral(..) => {}
        }
    }
}

/// A function of the entries in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeAggregation {
    /// The function.
    pub op: RangeOp,
    /// Quantile, 0 to 1; only for [`RangeOp::Quantile`].
    pub parameter: Option<f64>,
    /// The label whose values are counted; only for [`RangeOp::CountDistinct`].
    pub field: Option<String>,
    /// The entries.
    pub range: LogRange,
    /// Labels of the result; all of the entry's when absent.
    pub grouping: Option<Grouping>,
    /// Place in the text.
    pub span: Span,
}

/// Functions of the entries in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RangeOp {
    /// `count_over_time`
    Count,
    /// `rate`
    Rate,
    /// `rate_counter`
    RateCounter,
    /// `bytes_over_time`
    Bytes,
    /// `bytes_rate`
    BytesRate,
    /// `avg_over_time`
    Avg,
    /// `sum_over_time`
    Sum,
    /// `min_over_time`
    Min,
    /// `max_over_time`
    Max,
    /// `stdvar_over_time`
    Stdvar,
    /// `stddev_over_time`
    Stddev,
    /// `quantile_over_time`
    Quantile,
    /// `first_over_time`
    First,
    /// `last_over_time`
    Last,
    /// `absent_over_time`
    Absent,
    /// `count_distinct` (an extension)
    CountDistinct,
}

impl RangeOp {
    const ALL: [(Self, &'static str); 16] = [
        (Self::Count, "count_over_time"),
        (Self::Rate, "rate"),
        (Self::RateCounter, "rate_counter"),
        (Self::Bytes, "bytes_over_time"),
        (Self::BytesRate, "bytes_rate"),
        (Self::Avg, "avg_over_time"),
        (Self::Sum, "sum_over_time"),
        (Self::Min, "min_over_time"),
        (Self::Max, "max_over_time"),
        (Self::Stdvar, "stdvar_over_time"),
        (Self::Stddev, "stddev_over_time"),
        (Self::Quantile, "quantile_over_time"),
        (Self::First, "first_over_time"),
        (Self::Last, "last_over_time"),
        (Self::Absent, "absent_over_time"),
        (Self::CountDistinct, "count_distinct"),
    ];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(op, _)| *op == self).map_or("", |(_, name)| name)
    }

    /// The standard function of a name in lower case; extensions are not found.
    pub(crate) fn from_str(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(op, n)| *n == name && *op != Self::CountDistinct).map(|(op, _)| *op)
    }

    /// May be followed by `by (…)` or `without (…)`.
    pub fn allows_grouping(self) -> bool {
        matches!(
            self,
            Self::Avg
                | Self::Stddev
                | Self::Stdvar
                | Self::Quantile
                | Self::Max
                | Self::Min
                | Self::First
                | Self::Last
                | Self::CountDistinct
        )
    }

    /// Works on the values of an unwrapped label.
    pub fn allows_unwrap(self) -> bool {
        !matches!(self, Self::Count | Self::Bytes | Self::BytesRate | Self::CountDistinct)
    }

    /// Works on entries as they are.
    pub fn allows_plain(self) -> bool {
        matches!(self, Self::Count | Self::Rate | Self::Bytes | Self::BytesRate | Self::Absent | Self::CountDistinct)
    }
}

/// Entries of a window: `{a="b"} | json | unwrap c [5m] offset 1h`
#[derive(Clone, Debug, PartialEq)]
pub struct LogRange {
    /// The entries.
    pub log: LogExpr,
    /// Length of the window in nanoseconds.
    pub range_ns: i64,
    /// How far before the evaluation time the window ends, in nanoseconds; negative: after it.
    pub offset_ns: i64,
    /// The label that gives the numbers.
    pub unwrap: Option<Unwrap>,
    /// Place in the text.
    pub span: Span,
}

/// `| unwrap duration(latency) | __error__=""`
#[derive(Clone, Debug, PartialEq)]
pub struct Unwrap {
    /// The label.
    pub label: String,
    /// How its value becomes a number.
    pub conversion: Conversion,
    /// Filters that see the result of the conversion.
    pub filters: Vec<LabelFilter>,
    /// Place in the text.
    pub span: Span,
}

/// How `unwrap` reads a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Conversion {
    /// A number.
    Number,
    /// `bytes(…)`
    Bytes,
    /// `duration(…)`, in seconds.
    Duration,
    /// `duration_seconds(…)`, the same.
    DurationSeconds,
}

/// `by (a, b)` or `without (a, b)`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    /// Names in the order of the text.
    pub labels: Vec<String>,
    /// `without`
    pub without: bool,
}

impl Grouping {
    /// Everything falls into one group without labels.
    pub fn is_singleton(&self) -> bool {
        self.labels.is_empty() && !self.without
    }
}

/// An aggregation over series.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorAggregation {
    /// The operation.
    pub op: VectorOp,
    /// How many series; only for `topk`, `bottomk` and `approx_topk`.
    pub parameter: Option<usize>,
    /// Labels of the groups.
    pub grouping: Grouping,
    /// The series.
    pub inner: MetricExpr,
    /// Place in the text.
    pub span: Span,
}

/// Aggregations over series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VectorOp {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `count`
    Count,
    /// `max`
    Max,
    /// `min`
    Min,
    /// `stddev`
    Stddev,
    /// `stdvar`
    Stdvar,
    /// `bottomk`
    Bottomk,
    /// `topk`
    Topk,
    /// `sort`
    Sort,
    /// `sort_desc`
    SortDesc,
    /// `approx_topk`
    ApproxTopk,
}

impl VectorOp {
    const ALL: [(Self, &'static str); 12] = [
        (Self::Sum, "sum"),
        (Self::Avg, "avg"),
        (Self::Count, "count"),
        (Self::Max, "max"),
        (Self::Min, "min"),
        (Self::Stddev, "stddev"),
        (Self::Stdvar, "stdvar"),
        (Self::Bottomk, "bottomk"),
        (Self::Topk, "topk"),
        (Self::Sort, "sort"),
        (Self::SortDesc, "sort_desc"),
        (Self::ApproxTopk, "approx_topk"),
    ];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(op, _)| *op == self).map_or("", |(_, name)| name)
    }

    pub(crate) fn from_str(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(op, _)| *op)
    }

    /// Takes the number of series to choose.
    pub fn takes_parameter(self) -> bool {
        matches!(self, Self::Topk | Self::Bottomk | Self::ApproxTopk)
    }
}

/// An operation between two expressions, at most one of which is a literal.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// `bool`: comparisons give 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// Which series belong together.
    pub matching: Matching,
    /// Left operand.
    pub left: MetricExpr,
    /// Right operand.
    pub right: MetricExpr,
    /// Place in the text.
    pub span: Span,
}

/// Operators between expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `or`
    Or,
    /// `and`
    And,
    /// `unless`
    Unless,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
}

impl BinaryOp {
    const ALL: [(Self, &'static str); 15] = [
        (Self::Or, "or"),
        (Self::And, "and"),
        (Self::Unless, "unless"),
        (Self::Equal, "=="),
        (Self::NotEqual, "!="),
        (Self::Greater, ">"),
        (Self::GreaterOrEqual, ">="),
        (Self::Less, "<"),
        (Self::LessOrEqual, "<="),
        (Self::Add, "+"),
        (Self::Sub, "-"),
        (Self::Mul, "*"),
        (Self::Div, "/"),
        (Self::Mod, "%"),
        (Self::Pow, "^"),
    ];

    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(op, _)| *op == self).map_or("", |(_, text)| text)
    }

    pub(crate) fn from_str(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, t)| *t == text).map(|(op, _)| *op)
    }

    /// `and`, `or`, `unless`
    pub fn is_set(self) -> bool {
        matches!(self, Self::Or | Self::And | Self::Unless)
    }

    /// The comparison, if it is one.
    pub fn comparison(self) -> Option<CompareOp> {
        Some(match self {
            Self::Equal => CompareOp::Equal,
            Self::NotEqual => CompareOp::NotEqual,
            Self::Greater => CompareOp::Greater,
            Self::GreaterOrEqual => CompareOp::GreaterOrEqual,
            Self::Less => CompareOp::Less,
            Self::LessOrEqual => CompareOp::LessOrEqual,
            _ => return None,
        })
    }

    /// Binds tighter the higher; all but `^` from left to right.
    pub(crate) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod => 5,
            Self::Pow => 6,
            _ => 3,
        }
    }

    /// The result for two numbers: comparisons give 0 or 1, division by zero gives NaN. `None` for set operators.
    pub fn apply(self, left: f64, right: f64) -> Option<f64> {
        Some(match self {
            Self::Add => left + right,
            Self::Sub => left - right,
            Self::Mul => left * right,
            Self::Div if right == 0.0 => f64::NAN,
            Self::Div => left / right,
            Self::Mod if right == 0.0 => f64::NAN,
            Self::Mod => left % right,
            Self::Pow => left.powf(right),
            _ => f64::from(u8::from(self.comparison()?.holds(left, right))),
        })
    }
}

/// Which series of the two sides of an operation belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// How many of one side may belong to one of the other.
    pub cardinality: Cardinality,
    /// `on`: compare only `labels`. Otherwise (`ignoring`): all but `labels`.
    pub on: bool,
    /// The compared or ignored labels.
    pub labels: Vec<String>,
    /// `group_left (…)`: labels copied from the side that has one series.
    pub include: Vec<String>,
}

/// How many series of each side an operation joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    /// One with one.
    #[default]
    OneToOne,
    /// `group_left`: many on the left with one on the right.
    ManyToOne,
    /// `group_right`
    OneToMany,
}

/// `label_replace(v, "dst", "replacement", "src", "regex")`
#[derive(Clone, Debug, PartialEq)]
pub struct LabelReplace {
    /// The series.
    pub inner: MetricExpr,
    /// The label that is written.
    pub destination: String,
    /// What is written, with `$1` for groups.
    pub replacement: String,
    /// The label that is looked at.
    pub source: String,
    /// What its value must match as a whole.
    pub regex: String,
    /// Place in the text.
    pub span: Span,
}

/// A window over the results of an expression (an extension).
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// The function of the values in the window.
    pub op: RangeOp,
    /// Quantile, 0 to 1; only for [`RangeOp::Quantile`].
    pub parameter: Option<f64>,
    /// The expression that is evaluated again and again.
    pub inner: MetricExpr,
    /// Length of the window in nanoseconds.
    pub range_ns: i64,
    /// Distance of the evaluations in nanoseconds; the query's step when absent.
    pub step_ns: Option<i64>,
    /// How far before the evaluation time the window ends, in nanoseconds.
    pub offset_ns: i64,
    /// Place in the text.
    pub span: Span,
}
