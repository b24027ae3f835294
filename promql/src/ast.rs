//! The syntax tree of a query, with the place of every node in the text.
//!
//! [`crate::parse()`] makes it; the planner reads it. A tree prints back to an equivalent query (`Display`), to an
//! indented form ([`crate::pretty()`]) and to JSON ([`crate::ast_json()`]). Its height is bounded by the parser, so walking it may recurse.

use model::Matcher;

use crate::functions::Function;
use crate::span::Span;

/// What an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// One number per step.
    Scalar,
    /// A text.
    String,
    /// At most one sample per series and step.
    Vector,
    /// Samples of a window per series.
    Matrix,
}

impl ValueType {
    /// The name in error messages.
    pub fn documented(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }

    /// The name in API answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
        }
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `sum by (l) (v)`
    Aggregate(Box<Aggregate>),
    /// `a + b`
    Binary(Box<Binary>),
    /// `rate(v[5m])`
    Call(Box<Call>),
    /// `v[5m]`
    Matrix(Box<MatrixSelector>),
    /// `1.5`, `5m`
    Number(NumberLiteral),
    /// `(v)`
    Paren(Box<Paren>),
    /// `"text"`
    String(StringLiteral),
    /// `v[1h:5m]`
    Subquery(Box<Subquery>),
    /// `-v`
    Unary(Box<Unary>),
    /// `name{label="value"}`
    Vector(Box<VectorSelector>),
}

/// An aggregation operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the operator, function or keyword of its name")]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    const ALL: [(Self, &'static str); 14] = [
        (Self::Sum, "sum"),
        (Self::Avg, "avg"),
        (Self::Count, "count"),
        (Self::Min, "min"),
        (Self::Max, "max"),
        (Self::Group, "group"),
        (Self::Stddev, "stddev"),
        (Self::Stdvar, "stdvar"),
        (Self::Topk, "topk"),
        (Self::Bottomk, "bottomk"),
        (Self::CountValues, "count_values"),
        (Self::Quantile, "quantile"),
        (Self::Limitk, "limitk"),
        (Self::LimitRatio, "limit_ratio"),
    ];

    /// The operator of a name in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(op, _)| *op)
    }

    /// The name as written in a query.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(op, _)| *op == self).map_or("", |(_, name)| name)
    }

    /// Whether it takes a parameter before the vector.
    pub fn has_param(self) -> bool {
        self.selects() || matches!(self, Self::CountValues | Self::Quantile)
    }

    /// Whether it returns some of its input series with their own labels.
    pub fn selects(self) -> bool {
        matches!(self, Self::Topk | Self::Bottomk | Self::Limitk | Self::LimitRatio)
    }

    /// Whether it needs [`crate::ParserOptions::experimental_functions`].
    pub fn is_experimental(self) -> bool {
        matches!(self, Self::Limitk | Self::LimitRatio)
    }
}

/// `op by (grouping) (param, expr)`
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// The operator.
    pub op: AggregateOp,
    /// The vector.
    pub expr: Expr,
    /// The parameter of `topk`, `quantile` and others.
    pub param: Option<Expr>,
    /// Labels to keep, or to drop.
    pub grouping: Vec<String>,
    /// Whether `grouping` lists the labels to drop.
    pub without: bool,
    /// Where it stands.
    pub span: Span,
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the operator, function or keyword of its name")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    TrimUpper,
    TrimLower,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    /// The operator as written in a query.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterEqual => ">=",
            Self::LessEqual => "<=",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    /// `== != > < >= <=`
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual | Self::Greater | Self::Less | Self::GreaterEqual | Self::LessEqual)
    }

    /// `and or unless`
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// Whether the result is another quantity than the operands, so that the metric's name no longer fits.
    pub fn changes_meaning(self) -> bool {
        matches!(self, Self::Add | Self::Sub | Self::Mul | Self::Div | Self::Mod | Self::Pow | Self::Atan2)
    }
}

/// How many series of each side may share a match group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cardinality {
    /// One on each side.
    #[default]
    OneToOne,
    /// `group_left`: several on the left.
    ManyToOne,
    /// `group_right`: several on the right.
    OneToMany,
    /// Set operators.
    ManyToMany,
}

impl Cardinality {
    /// The name in the JSON form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneToOne => "one-to-one",
            Self::ManyToOne => "many-to-one",
            Self::OneToMany => "one-to-many",
            Self::ManyToMany => "many-to-many",
        }
    }
}

/// How the series of two vectors find each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// Who may be many.
    pub cardinality: Cardinality,
    /// Labels that have to be equal, or that are left out of the comparison.
    pub labels: Vec<String>,
    /// Whether `labels` came with `on`.
    pub on: bool,
    /// Labels copied from the one side.
    pub include: Vec<String>,
    /// Value for a missing left series.
    pub fill_left: Option<f64>,
    /// Value for a missing right series.
    pub fill_right: Option<f64>,
}

/// `left op right`
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Left operand.
    pub left: Expr,
    /// Right operand.
    pub right: Expr,
    /// Present when both operands are vectors.
    pub matching: Option<Matching>,
    /// `bool`: 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// Where the operator and its modifiers stand.
    pub op_span: Span,
}

/// `function(args)`
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function.
    pub function: &'static Function,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// Where it stands.
    pub span: Span,
}

/// `@ 123`, `@ start()`, `@ end()`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtModifier {
    /// A fixed time in ms.
    Timestamp(i64),
    /// First step of the query.
    Start,
    /// Last step of the query.
    End,
}

/// A length of time in a query: a number of ms, or an expression that gives it once step and range are known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DurationValue {
    /// Milliseconds; 0 when `expr` is present.
    pub ms: i64,
    /// The expression.
    pub expr: Option<DurationExpr>,
}

impl DurationValue {
    /// Whether nothing was written.
    pub fn is_unset(&self) -> bool {
        self.ms == 0 && self.expr.is_none()
    }
}

/// Arithmetic on durations.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExpr {
    /// A number of seconds.
    Number(NumberLiteral),
    /// An operation.
    Op(Box<DurationOp>),
}

/// Operators of duration expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the operator, function or keyword of its name")]
pub enum DurationOperator {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    MinOf,
    MaxOf,
    Step,
    Range,
}

impl DurationOperator {
    /// The operator as written in a query.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::MinOf => "min_of",
            Self::MaxOf => "max_of",
            Self::Step => "step",
            Self::Range => "range",
        }
    }
}

/// `left op right`, `op right`, `step()`, `min_of(left, right)`
#[derive(Clone, Debug, PartialEq)]
pub struct DurationOp {
    /// The operator.
    pub op: DurationOperator,
    /// Left operand; absent for signs.
    pub left: Option<DurationExpr>,
    /// Right operand; absent for `step()` and `range()`.
    pub right: Option<DurationExpr>,
    /// Whether it stands in parentheses.
    pub wrapped: bool,
    /// Where it stands.
    pub span: Span,
}

impl DurationExpr {
    /// Where it stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Number(number) => number.span,
            Self::Op(op) => op.span,
        }
    }
}

/// `selector[range]`
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// The selector; `@`, `offset`, `anchored` and `smoothed` of the whole are kept here.
    pub vector: VectorSelector,
    /// Length of the window.
    pub range: DurationValue,
    /// Where it stands.
    pub span: Span,
}

/// `expr[range:step]`
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// The inner vector.
    pub expr: Expr,
    /// Length of the window.
    pub range: DurationValue,
    /// Distance of the inner steps; unset: the engine's default.
    pub step: DurationValue,
    /// How far the window is moved into the past.
    pub offset: DurationValue,
    /// Fixed time of evaluation.
    pub at: Option<AtModifier>,
    /// Where it stands.
    pub span: Span,
}

/// A number; durations are numbers of seconds.
#[derive(Clone, Copy, Debug)]
pub struct NumberLiteral {
    /// The number.
    pub value: f64,
    /// Whether it was written as a duration.
    pub duration: bool,
    /// Where it stands.
    pub span: Span,
}

/// By bits: a tree with `NaN` equals itself.
impl PartialEq for NumberLiteral {
    fn eq(&self, other: &Self) -> bool {
        self.value.to_bits() == other.value.to_bits() && self.duration == other.duration && self.span == other.span
    }
}

/// An expression in parentheses.
#[derive(Clone, Debug, PartialEq)]
pub struct Paren {
    /// The expression.
    pub expr: Expr,
    /// Where it stands, parentheses included.
    pub span: Span,
}

/// A text. Escapes can make one that is not UTF-8; no label can hold such a text.
#[derive(Clone, Debug, PartialEq)]
pub struct StringLiteral {
    /// The text; bytes that are not UTF-8 are replaced.
    pub value: String,
    /// The bytes, when they are not UTF-8.
    pub bytes: Option<Vec<u8>>,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// A sign before an expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    /// Whether the sign is `-`.
    pub negative: bool,
    /// The expression.
    pub expr: Expr,
    /// Where it stands.
    pub span: Span,
}

/// What an extended range selector does at the edges of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extension {
    /// `anchored`: takes the sample before the window in.
    Anchored,
    /// `smoothed`: interpolates at both edges.
    Smoothed,
}

/// `name{matchers} @ t offset d`
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The name before the braces, or nothing.
    pub name: String,
    /// All matchers; that of `name` is the last.
    pub matchers: Vec<Matcher>,
    /// How far the time is moved into the past.
    pub offset: DurationValue,
    /// Fixed time of evaluation.
    pub at: Option<AtModifier>,
    /// Whether windows are extended.
    pub extension: Option<Extension>,
    /// Where it stands.
    pub span: Span,
}

impl Expr {
    /// What it evaluates to.
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Aggregate(_) | Self::Vector(_) => ValueType::Vector,
            Self::Binary(binary) => {
                if binary.left.value_type() == ValueType::Scalar && binary.right.value_type() == ValueType::Scalar {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                }
            }
            Self::Call(call) => call.function.returns,
            Self::Matrix(_) | Self::Subquery(_) => ValueType::Matrix,
            Self::Number(_) => ValueType::Scalar,
            Self::Paren(paren) => paren.expr.value_type(),
            Self::String(_) => ValueType::String,
            Self::Unary(unary) => unary.expr.value_type(),
        }
    }

    /// Where it stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Aggregate(e) => e.span,
            Self::Binary(e) => e.left.span().to(e.right.span()),
            Self::Call(e) => e.span,
            Self::Matrix(e) => e.span,
            Self::Number(e) => e.span,
            Self::Paren(e) => e.span,
            Self::String(e) => e.span,
            Self::Subquery(e) => e.span,
            Self::Unary(e) => e.span,
            Self::Vector(e) => e.span,
        }
    }

    /// The expression without parentheses around it.
    pub fn unwrap_parens(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren(paren) = expr {
            expr = &paren.expr;
        }
        expr
    }

    /// The expressions directly inside, in the order of evaluation.
    pub fn children(&self) -> Vec<&Self> {
        match self {
            Self::Aggregate(e) => std::iter::once(&e.expr).chain(&e.param).collect(),
            Self::Binary(e) => vec![&e.left, &e.right],
            Self::Call(e) => e.args.iter().collect(),
            Self::Paren(e) => vec![&e.expr],
            Self::Subquery(e) => vec![&e.expr],
            Self::Unary(e) => vec![&e.expr],
            Self::Matrix(_) | Self::Number(_) | Self::String(_) | Self::Vector(_) => Vec::new(),
        }
    }

    /// Calls `visit` for this expression and all inside it, outer before inner.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// The selectors of the expression, in the order of the text.
    pub fn selectors(&self) -> Vec<&VectorSelector> {
        let mut found = Vec::new();
        self.walk(&mut |expr| match expr {
            Self::Vector(selector) => found.push(&**selector),
            Self::Matrix(matrix) => found.push(&matrix.vector),
            _ => {}
        });
        found
    }
}
