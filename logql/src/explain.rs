//! How a query is evaluated, as a tree: what is asked of the store, which stages run in which order, what is combined.
//!
//! [`crate::Engine::explain`] shows the plan, [`crate::Engine::analyze`] runs the query and adds what was measured. A plan
//! node keeps its [`Profile`] entry by its place in the walk, children after parents.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use crate::engine::Budget;
use crate::logs::LogParams;
use crate::metric::plan::Node;
use crate::metric::range::{Key, RangeNode};
use crate::pipeline::compile::Compiled;
use crate::syntax::ast::LogExpr;
use crate::units::duration::prometheus;

/// A part of a plan. Displays as an indented tree, one part a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlanNode {
    /// What it does, as the query language writes it where it can.
    pub operation: String,
    /// More about it: name and value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<(String, String)>,
    /// What was measured, if the query ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// What it works on. Stages of a pipeline stand in the order in which they run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<PlanNode>,
}

/// What a part of a plan took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// Time in nanoseconds by the clock of [`crate::Watch::now_ns`]: of stages the sum over threads, of others on the wall
    /// with their children.
    pub time_ns: u64,
    /// Lines that went in, for stages and queries of entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines_in: Option<u64>,
    /// Lines or series that came out.
    pub out: u64,
}

impl PlanNode {
    fn new(operation: impl Into<String>) -> Self {
        Self { operation: operation.into(), ..Self::default() }
    }

    fn fact(&mut self, name: &str, value: impl Into<String>) {
        self.facts.push((name.to_owned(), value.into()));
    }

    fn write(&self, f: &mut Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:1$}{2}", "", depth * 2, self.operation)?;
        for (name, value) in &self.facts {
            write!(f, "  {name}: {value}")?;
        }
        if let Some(measured) = &self.measured {
            let ms = measured.time_ns as f64 / 1e6;
            match measured.lines_in {
                Some(lines) => write!(f, "  ({ms:.3} ms, lines in {lines}, out {})", measured.out)?,
                None => write!(f, "  ({ms:.3} ms, series {})", measured.out)?,
            }
        }
        writeln!(f)?;
        self.children.iter().try_for_each(|child| child.write(f, depth + 1))
    }
}

impl Display for PlanNode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// What stages of one pipeline took: lines in, lines out, nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StageMeasure {
    pub(crate) lines_in: u64,
    pub(crate) lines_out: u64,
    pub(crate) time_ns: u64,
}

impl StageMeasure {
    pub(crate) fn add(&mut self, lines_in: usize, lines_out: usize, time_ns: u64) {
        self.lines_in += lines_in as u64;
        self.lines_out += lines_out as u64;
        self.time_ns += time_ns;
    }

    /// Adds what another thread measured.
    pub(crate) fn merge(all: &mut Vec<Self>, more: &[Self]) {
        all.resize(all.len().max(more.len()), Self::default());
        for (sum, one) in all.iter_mut().zip(more) {
            sum.lines_in += one.lines_in;
            sum.lines_out += one.lines_out;
            sum.time_ns += one.time_ns;
        }
    }
}

/// What the nodes of a plan took, in the order in which they were begun.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    nodes: Vec<NodeMeasure>,
}

#[derive(Debug, Default)]
struct NodeMeasure {
    began_ns: u64,
    time_ns: u64,
    series: u64,
    stages: Vec<StageMeasure>,
}

impl Profile {
    /// A node begins; gives its number.
    pub(crate) fn begin(&mut self, budget: &Budget<'_>) -> usize {
        self.nodes.push(NodeMeasure { began_ns: budget.now_ns(), ..NodeMeasure::default() });
        self.nodes.len() - 1
    }

    /// A node has its series.
    pub(crate) fn end(&mut self, node: usize, series: usize, budget: &Budget<'_>) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.time_ns = budget.now_ns().saturating_sub(node.began_ns);
            node.series = series as u64;
        }
    }

    /// Adds what a thread measured of the stages of the node that was begun last.
    pub(crate) fn stages(&mut self, more: &[StageMeasure]) {
        if let Some(node) = self.nodes.last_mut() {
            StageMeasure::merge(&mut node.stages, more);
        }
    }
}

/// The plan of a query of numbers, with what was measured.
pub(crate) fn metric(node: &Node, profile: Option<&Profile>) -> PlanNode {
    let mut next = 0;
    describe(node, profile, &mut next)
}

fn describe(node: &Node, profile: Option<&Profile>, next: &mut usize) -> PlanNode {
    let measure = profile.and_then(|profile| profile.nodes.get(*next));
    *next += 1;
    let mut inner: Vec<&Node> = Vec::new();
    let mut plan = match node {
        Node::Range(range) => describe_range(range, measure.map(|measure| measure.stages.as_slice())),
        Node::Aggregate { op, parameter, grouping, inner: one } => {
            inner.push(one);
            let parameter = if *parameter > 0 { format!(" {parameter}") } else { String::new() };
            let grouping = if grouping.is_singleton() { String::new() } else { grouping.to_string() };
            PlanNode::new(format!("{}{parameter}{grouping}", op.as_str()))
        }
        Node::WithLiteral { op, literal, literal_left, return_bool, inner: one } => {
            inner.push(one);
            let op = format!("{}{}", op.as_str(), if *return_bool { " bool" } else { "" });
            PlanNode::new(if *literal_left { format!("{literal} {op} …") } else { format!("… {op} {literal}") })
        }
        Node::Between { node, left, right } => {
            inner.extend([&**left, right]);
            PlanNode::new(format!("… {} …", node.op.as_str()))
        }
        Node::LabelReplace { replace, inner: one } => {
            inner.push(one);
            PlanNode::new(format!("label_replace {}", replace.describe()))
        }
        Node::Vector(value) => PlanNode::new(format!("vector({value})")),
        Node::Subquery { node, inner: one } => {
            inner.push(one);
            let mut plan = PlanNode::new(node.op.as_str());
            plan.fact("range", prometheus(node.range_ns).to_string());
            plan.fact("step", node.step_ns.map_or("that of the query".to_owned(), |step| prometheus(step).to_string()));
            plan
        }
    };
    plan.measured = measure.map(|measure| Measured { time_ns: measure.time_ns, lines_in: None, out: measure.series });
    plan.children.extend(inner.into_iter().map(|one| describe(one, profile, next)));
    plan
}

fn describe_range(range: &RangeNode, measures: Option<&[StageMeasure]>) -> PlanNode {
    let parameter = range.parameter.map_or(String::new(), |parameter| format!("{parameter}, "));
    let selector: Vec<String> = range.matchers.iter().map(ToString::to_string).collect();
    let mut plan = PlanNode::new(format!(
        "{}({parameter}{{{}}}[{}])",
        range.op.as_str(),
        selector.join(", "),
        prometheus(range.range_ns)
    ));
    if range.offset_ns != 0 {
        plan.fact("offset", prometheus(range.offset_ns).to_string());
    }
    let names = &range.compiled.pipeline.state.names;
    let list =
        |ids: &[crate::pipeline::names::NameId]| ids.iter().map(|id| names.text(*id)).collect::<Vec<_>>().join(", ");
    plan.fact(
        "series",
        match &range.key {
            Key::Nothing => "one".to_owned(),
            Key::By(ids) => format!("by ({})", list(ids)),
            Key::Without(ids) if ids.is_empty() => "by all labels".to_owned(),
            Key::Without(ids) => format!("without ({})", list(ids)),
        },
    );
    let reads = match (range.needs_lines(), range.needs_metadata()) {
        (true, _) => "lines",
        (false, true) => "times and metadata",
        (false, false) => "counts where they are known, else times",
    };
    plan.fact("reads", reads);
    describe_pipeline(&mut plan, &range.compiled, measures);
    plan
}

/// The plan of a query of entries, with what was measured.
pub(crate) fn log(
    expr: &LogExpr,
    params: &LogParams,
    compiled: &Compiled,
    measured: Option<(Measured, &[StageMeasure])>,
) -> PlanNode {
    let mut plan = PlanNode::new(expr.selector.to_string());
    let order = if params.direction == model::Direction::Forward { "oldest first" } else { "newest first" };
    plan.fact("entries", format!("at most {}, {order}", params.limit));
    plan.measured = measured.map(|(measured, _)| measured);
    describe_pipeline(&mut plan, compiled, measured.map(|(_, stages)| stages));
    plan
}

fn describe_pipeline(plan: &mut PlanNode, compiled: &Compiled, measures: Option<&[StageMeasure]>) {
    let names = &compiled.pipeline.state.names;
    if compiled.pipeline.hints.no_labels {
        plan.fact("labels wanted", "none");
    } else if names.wanted_count() > 0 {
        plan.fact("labels wanted", names.wanted_names().collect::<Vec<_>>().join(", "));
    }
    let words = |list: &Vec<String>| {
        let quoted: Vec<String> = list.iter().map(|word| model::number::quote(word)).collect();
        quoted.join(" or ")
    };
    if !compiled.needles.is_empty() {
        plan.fact("lines contain", compiled.needles.iter().map(words).collect::<Vec<_>>().join(" and "));
    }
    let derived: Vec<String> = compiled.derived_words().map(words).collect();
    if !derived.is_empty() {
        plan.fact("contain unless the stream tells", derived.join(" and "));
    }
    for (index, text) in compiled.texts.iter().enumerate() {
        let mut stage = PlanNode::new(text.clone());
        stage.measured = measures.map(|measures| {
            let measure = measures.get(index).copied().unwrap_or_default();
            Measured { time_ns: measure.time_ns, lines_in: Some(measure.lines_in), out: measure.lines_out }
        });
        plan.children.push(stage);
    }
}
