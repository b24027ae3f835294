//! From syntax tree to plan: what is to be done, over which times, as data.
//!
//! [`lower`] turns the checked tree into operators and settles what the tree leaves open (durations, `start()`, parentheses).
//! Passes then rewrite it, each keeping the results: [`passes::fold`] works out constants, [`passes::push_down`] carries
//! matchers across joins, [`passes::histogram_stats`] spares buckets that nobody looks at, [`passes::invariant`] marks what is the same at every step and has to be done once.
//! [`bind`] fixes the evaluation times of every part, and which series and times each selector reads; selectors that read
//! the same share one selection. A plan prints as a tree: that is `explain`.

mod bind;
mod durations;
mod lower;
pub(crate) mod passes;
mod print;

use model::{Labels, Matcher, SelectHints};

use crate::ast::{AggregateOp, BinaryOp, Expr, Extension, Matching, ValueType};
use crate::engine::EngineOptions;
use crate::error::QueryError;
use crate::kernels::{RangeKernel, WindowEnd};
use crate::span::Span;
use crate::vector::Steps;

/// A query bound to its times.
pub struct Plan {
    /// What to do.
    pub(crate) root: Node,
    /// Times of the result.
    pub(crate) steps: Steps,
    /// What is read, one selection each.
    pub(crate) selections: Vec<SelectionSpec>,
    /// Type of the result.
    pub(crate) value_type: ValueType,
    /// Number of nodes; their ids are below it.
    pub(crate) nodes: usize,
}

/// One read of the source.
#[derive(Clone, Debug)]
pub(crate) struct SelectionSpec {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) hints: SelectHints,
}

/// An operator with its operands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Its place in the query, without parentheses around it.
    pub(crate) span: Span,
    /// Number of the node in the plan, outer before inner.
    pub(crate) id: usize,
}

/// What an operator does.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// The evaluation time.
    Time,
    /// Two numbers per step.
    ScalarBinary { op: ScalarOp, left: Box<Node>, right: Box<Node> },
    /// The newest sample before each step.
    Select(Box<Selector>),
    /// A function of the samples in a window.
    Range(Box<RangeCall>),
    /// The samples of a window themselves; only as the whole query.
    Matrix(Box<Window>),
    /// A change of single elements.
    Map { map: Map, input: Box<Node>, args: Vec<Node> },
    /// A function of whole vectors.
    Call { call: Call, args: Vec<Node> },
    /// Two vectors.
    Join { op: BinaryOp, matching: Matching, return_bool: bool, left: Box<Node>, right: Box<Node> },
    /// An aggregation.
    Aggregate(Box<Aggregate>),
    /// The same at every step: done once.
    Invariant(Box<Node>),
}

/// Operators on two numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ScalarOp {
    Binary(BinaryOp),
    MinOf,
    MaxOf,
}

/// What a selector gives for a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SelectValue {
    Sample,
    /// Its time in seconds.
    Timestamp,
    /// Its start time in seconds.
    StartTimestamp,
}

/// An instant selector.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) end: WindowEnd,
    pub(crate) smoothed: bool,
    pub(crate) value: SelectValue,
    /// Whether counts and sums of histograms are all that is needed.
    pub(crate) stats: bool,
    /// Index into [`Plan::selections`], once bound.
    pub(crate) selection: usize,
}

/// A window of samples before each step.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) source: WindowSource,
    pub(crate) range_ms: i64,
    pub(crate) end: WindowEnd,
    pub(crate) extension: Option<Extension>,
}

/// Where the samples of a window come from.
#[derive(Clone, Debug)]
pub(crate) enum WindowSource {
    /// The store.
    Select {
        matchers: Vec<Matcher>,
        selection: usize,
        /// Whether counts and sums of histograms are all that is needed.
        stats: bool,
    },
    /// Another evaluation, at steps of its own; their distance 0: the engine's default.
    Subquery { node: Box<Node>, step_ms: i64, steps: Steps },
}

/// A function of the samples in a window.
#[derive(Clone, Debug)]
pub(crate) struct RangeCall {
    pub(crate) function: &'static str,
    pub(crate) kernel: RangeKernel,
    pub(crate) window: Window,
    pub(crate) args: Vec<Node>,
    /// Place of the first argument, for annotations.
    pub(crate) note_span: Span,
}

/// A change of single elements, which keeps labels but for the name.
#[derive(Clone, Debug)]
pub(crate) enum Map {
    /// A sign.
    Negate,
    /// A function of floats.
    Float { name: &'static str, f: fn(f64) -> f64 },
    /// A calendar function.
    Date { name: &'static str, f: fn(i64) -> f64 },
    /// A number of a native histogram.
    Histogram { name: &'static str, f: fn(&model::FloatHistogram) -> f64 },
    /// `round`, to multiples of the argument.
    Round,
    /// `clamp` and its like, to the range of the two arguments.
    Clamp(&'static str),
    /// A binary operator with the number of the argument.
    Binary { op: BinaryOp, number_is_left: bool, return_bool: bool },
    /// `timestamp` of anything but a selector: the evaluation time.
    Timestamp,
    /// `start_timestamp` of anything but a selector: nothing.
    Nothing,
}

/// A function of whole vectors.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Absent { name: &'static str, labels: Labels },
    Scalar,
    Vector,
    Sort { descending: bool },
    SortByLabel { names: Vec<String>, descending: bool },
    LabelReplace(Box<LabelReplace>),
    LabelJoin { target: String, separator: String, sources: Vec<String> },
    HistogramQuantile,
    HistogramQuantiles { label: String },
    HistogramFraction,
    Info(Box<Info>),
}

/// Arguments of `label_replace`; the pattern is compiled when the query runs, and an error is one of the run.
#[derive(Clone, Debug)]
pub(crate) struct LabelReplace {
    pub(crate) target: String,
    pub(crate) replacement: String,
    pub(crate) source: String,
    pub(crate) pattern: String,
}

/// Arguments of `info`.
#[derive(Clone, Debug)]
pub(crate) struct Info {
    /// Matchers of the second argument, when there is one.
    pub(crate) matchers: Option<Vec<Matcher>>,
    /// Time at which info series are looked up.
    pub(crate) end: WindowEnd,
}

/// An aggregation.
#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) input: Node,
    pub(crate) param: Option<Node>,
    /// Label of `count_values`.
    pub(crate) label: String,
    pub(crate) grouping: Vec<String>,
    pub(crate) without: bool,
}

impl Plan {
    /// Plans a query over `steps`. `instant`: there is one step, and no distance between steps.
    ///
    /// # Errors
    /// When durations make no sense, or modifiers stand where they cannot.
    pub(crate) fn new(
        expr: &Expr,
        steps: Steps,
        end_ms: i64,
        instant: bool,
        options: &EngineOptions,
        lookback_ms: i64,
    ) -> Result<Self, QueryError> {
        let times = QueryTimes { start_ms: steps.start_ms, end_ms, step_ms: if instant { 0 } else { steps.step_ms } };
        let mut root = lower::lower(expr, &times)?;
        passes::fold(&mut root);
        passes::histogram_stats(&mut root);
        passes::push_down(&mut root);
        passes::invariant(&mut root);
        let mut binder = bind::Binder::new(options, lookback_ms, steps);
        binder.bind(&mut root);
        let (selections, nodes) = binder.finish();
        Ok(Self { root, steps, selections, value_type: expr.value_type(), nodes })
    }
}

/// Times of a query as its text sees them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryTimes {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// 0 for an instant query.
    pub(crate) step_ms: i64,
}

impl Node {
    pub(crate) fn new(kind: Kind, span: Span) -> Self {
        Self { kind, span, id: 0 }
    }

    /// Operands, in the order of evaluation.
    pub(crate) fn children_mut(&mut self) -> Vec<&mut Self> {
        match &mut self.kind {
            Kind::Number(_) | Kind::Text(_) | Kind::Time | Kind::Select(_) => Vec::new(),
            Kind::ScalarBinary { left, right, .. } | Kind::Join { left, right, .. } => vec![left, right],
            Kind::Range(call) => {
                let mut children: Vec<&mut Self> = call.window.source.node_mut().into_iter().collect();
                children.extend(call.args.iter_mut());
                children
            }
            Kind::Matrix(window) => window.source.node_mut().into_iter().collect(),
            Kind::Map { input, args, .. } => std::iter::once(&mut **input).chain(args).collect(),
            Kind::Call { args, .. } => args.iter_mut().collect(),
            Kind::Aggregate(aggregate) => {
                std::iter::once(&mut aggregate.input).chain(aggregate.param.as_mut()).collect()
            }
            Kind::Invariant(node) => vec![node],
        }
    }
}

impl WindowSource {
    fn node_mut(&mut self) -> Option<&mut Node> {
        match self {
            Self::Select { .. } => None,
            Self::Subquery { node, .. } => Some(node),
        }
    }
}
