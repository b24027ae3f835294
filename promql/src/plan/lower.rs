//! Syntax tree to operators.

use model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};

use super::durations::resolve;
use super::{
    Aggregate, Call, Info, Kind, LabelReplace, Map, Node, QueryTimes, RangeCall, ScalarOp, SelectValue, Selector,
    Window, WindowSource,
};
use crate::ast::{
    self, AggregateOp, AtModifier, Binary, DurationValue, Expr, Extension, StringLiteral, ValueType, VectorSelector,
};
use crate::error::QueryError;
use crate::kernels::date::date_function;
use crate::kernels::histogram::histogram_function;
use crate::kernels::math::float_function;
use crate::kernels::{WindowEnd, range_kernel};
use crate::parse::quote::{go_quote, go_quote_bytes};
use crate::span::Span;
use crate::vector::Steps;

type Lowered<T = Node> = Result<T, QueryError>;

/// The operators of an expression.
pub(super) fn lower(expr: &Expr, times: &QueryTimes) -> Lowered {
    Lowering { times }.node(expr)
}

struct Lowering<'a> {
    times: &'a QueryTimes,
}

fn boxed(node: Node) -> Box<Node> {
    Box::new(node)
}

impl Lowering<'_> {
    fn node(&self, expr: &Expr) -> Lowered {
        let expr = expr.unwrap_parens();
        let span = expr.span();
        let kind = match expr {
            Expr::Number(number) => Kind::Number(number.value),
            Expr::String(text) => Kind::Text(text.value.clone()),
            Expr::Vector(selector) => Kind::Select(Box::new(self.selector(selector, SelectValue::Sample)?)),
            Expr::Matrix(_) | Expr::Subquery(_) => Kind::Matrix(Box::new(self.window(expr)?)),
            Expr::Paren(paren) => return self.node(&paren.expr),
            Expr::Unary(unary) => return self.unary(unary, span),
            Expr::Binary(binary) => self.binary(binary)?,
            Expr::Aggregate(aggregate) => self.aggregate(aggregate)?,
            Expr::Call(call) => return self.call(call),
        };
        Ok(Node::new(kind, span))
    }

    fn end(&self, at: Option<AtModifier>, offset: &DurationValue) -> Lowered<WindowEnd> {
        let offset = resolve(offset, self.times, true)?;
        Ok(match at {
            None => WindowEnd::Offset(offset),
            Some(AtModifier::Timestamp(at)) => WindowEnd::At(at.saturating_sub(offset)),
            Some(AtModifier::Start) => WindowEnd::At(self.times.start_ms.saturating_sub(offset)),
            Some(AtModifier::End) => WindowEnd::At(self.times.end_ms.saturating_sub(offset)),
        })
    }

    fn selector(&self, selector: &VectorSelector, value: SelectValue) -> Lowered<Selector> {
        Ok(Selector {
            matchers: selector.matchers.clone(),
            end: self.end(selector.at, &selector.offset)?,
            smoothed: selector.extension == Some(Extension::Smoothed),
            value,
            stats: false,
            selection: usize::MAX,
        })
    }

    fn window(&self, expr: &Expr) -> Lowered<Window> {
        match expr {
            Expr::Subquery(subquery) => Ok(Window {
                end: self.end(subquery.at, &subquery.offset)?,
                range_ms: resolve(&subquery.range, self.times, false)?,
                extension: None,
                source: WindowSource::Subquery {
                    step_ms: resolve(&subquery.step, self.times, false)?,
                    node: boxed(self.node(&subquery.expr)?),
                    steps: Steps::instant(0),
                },
            }),
            Expr::Matrix(matrix) => Ok(Window {
                end: self.end(matrix.vector.at, &matrix.vector.offset)?,
                range_ms: resolve(&matrix.range, self.times, false)?,
                extension: matrix.vector.extension,
                source: WindowSource::Select {
                    matchers: matrix.vector.matchers.clone(),
                    selection: usize::MAX,
                    stats: false,
                },
            }),
            other => Err(QueryError::Invalid(format!("{other} is no range vector"))),
        }
    }

    fn unary(&self, unary: &ast::Unary, span: Span) -> Lowered {
        let input = self.node(&unary.expr)?;
        if !unary.negative {
            return Ok(input);
        }
        let kind = if unary.expr.value_type() == ValueType::Scalar {
            let minus = Node::new(Kind::Number(-1.0), span);
            Kind::ScalarBinary { op: ScalarOp::Binary(ast::BinaryOp::Mul), left: boxed(minus), right: boxed(input) }
        } else {
            Kind::Map { map: Map::Negate, input: boxed(input), args: Vec::new() }
        };
        Ok(Node::new(kind, span))
    }

    fn binary(&self, binary: &Binary) -> Lowered<Kind> {
        let (left, right) = (self.node(&binary.left)?, self.node(&binary.right)?);
        let types = (binary.left.value_type(), binary.right.value_type());
        let (op, return_bool) = (binary.op, binary.return_bool);
        let map = |number_is_left| Map::Binary { op, number_is_left, return_bool };
        Ok(match types {
            (ValueType::Scalar, ValueType::Scalar) => {
                Kind::ScalarBinary { op: ScalarOp::Binary(op), left: boxed(left), right: boxed(right) }
            }
            (ValueType::Scalar, _) => Kind::Map { map: map(true), input: boxed(right), args: vec![left] },
            (_, ValueType::Scalar) => Kind::Map { map: map(false), input: boxed(left), args: vec![right] },
            _ => {
                let matching = binary.matching.clone().unwrap_or_default();
                Kind::Join { op, matching, return_bool, left: boxed(left), right: boxed(right) }
            }
        })
    }

    fn aggregate(&self, aggregate: &ast::Aggregate) -> Lowered<Kind> {
        let mut label = String::new();
        let mut param = None;
        match (aggregate.op, aggregate.param.as_ref().map(Expr::unwrap_parens)) {
            (AggregateOp::CountValues, Some(Expr::String(text))) => {
                if text.bytes.is_some() || text.value.is_empty() {
                    return Err(QueryError::Execution(format!("invalid label name {text}")));
                }
                label.clone_from(&text.value);
            }
            (_, Some(expr)) => param = Some(self.node(expr)?),
            _ => {}
        }
        Ok(Kind::Aggregate(Box::new(Aggregate {
            op: aggregate.op,
            input: self.node(&aggregate.expr)?,
            param,
            label,
            grouping: aggregate.grouping.clone(),
            without: aggregate.without,
        })))
    }

    fn call(&self, call: &ast::Call) -> Lowered {
        let name = call.function.name;
        let span = call.span;
        let args: Vec<&Expr> = call.args.iter().map(Expr::unwrap_parens).collect();
        let number = |value: f64| Ok(Node::new(Kind::Number(value), span));
        match name {
            "start" => return number(self.times.start_ms as f64 / 1000.0),
            "end" => return number(self.times.end_ms as f64 / 1000.0),
            "range" => return number((self.times.end_ms - self.times.start_ms) as f64 / 1000.0),
            "step" => {
                let one = self.times.start_ms == self.times.end_ms;
                return number(if one { 0.0 } else { self.times.step_ms as f64 / 1000.0 });
            }
            "pi" => return number(std::f64::consts::PI),
            "time" => return Ok(Node::new(Kind::Time, span)),
            _ => {}
        }
        if let Some(at) = args.iter().position(|a| a.value_type() == ValueType::Matrix) {
            return self.range_call(name, &args, at, span);
        }
        let kind = match name {
            "min_of" | "max_of" => {
                let op = if name == "min_of" { ScalarOp::MinOf } else { ScalarOp::MaxOf };
                Kind::ScalarBinary { op, left: boxed(self.node(args[0])?), right: boxed(self.node(args[1])?) }
            }
            "timestamp" | "start_timestamp" => self.timestamp(name, args[0])?,
            "round" => {
                let to = match args.get(1) {
                    Some(to) => self.node(to)?,
                    None => Node::new(Kind::Number(1.0), span),
                };
                self.map(Map::Round, args[0], vec![to])?
            }
            "clamp" => self.map(Map::Clamp(name), args[0], vec![self.node(args[1])?, self.node(args[2])?])?,
            "clamp_min" => {
                let max = Node::new(Kind::Number(f64::INFINITY), span);
                self.map(Map::Clamp("clamp_min"), args[0], vec![self.node(args[1])?, max])?
            }
            "clamp_max" => {
                let min = Node::new(Kind::Number(f64::NEG_INFINITY), span);
                self.map(Map::Clamp("clamp_max"), args[0], vec![min, self.node(args[1])?])?
            }
            _ => {
                if let Some(f) = float_function(name) {
                    self.map(Map::Float { name, f }, args[0], Vec::new())?
                } else if let Some(f) = histogram_function(name) {
                    self.map(Map::Histogram { name, f }, args[0], Vec::new())?
                } else if let Some(f) = date_function(name) {
                    self.date(name, f, args.first().copied(), span)?
                } else {
                    self.vector_call(name, &args, span)?
                }
            }
        };
        Ok(Node::new(kind, span))
    }

    fn map(&self, map: Map, input: &Expr, args: Vec<Node>) -> Lowered<Kind> {
        Ok(Kind::Map { map, input: boxed(self.node(input)?), args })
    }

    /// Without an argument, of the evaluation time.
    fn date(&self, name: &'static str, f: fn(i64) -> f64, arg: Option<&Expr>, span: Span) -> Lowered<Kind> {
        let input = match arg {
            Some(arg) => self.node(arg)?,
            None => {
                let time = Node::new(Kind::Time, span);
                Node::new(Kind::Call { call: Call::Vector, args: vec![time] }, span)
            }
        };
        Ok(Kind::Map { map: Map::Date { name, f }, input: boxed(input), args: Vec::new() })
    }

    fn timestamp(&self, name: &str, arg: &Expr) -> Lowered<Kind> {
        let value = if name == "timestamp" { SelectValue::Timestamp } else { SelectValue::StartTimestamp };
        if let Expr::Vector(selector) = arg {
            let mut selector = self.selector(selector, value)?;
            // Only samples have times; what is interpolated between them has none of its own.
            selector.smoothed = false;
            return Ok(Kind::Select(Box::new(selector)));
        }
        let map = if value == SelectValue::Timestamp { Map::Timestamp } else { Map::Nothing };
        self.map(map, arg, Vec::new())
    }

    fn range_call(&self, name: &'static str, args: &[&Expr], matrix: usize, span: Span) -> Lowered {
        let window = self.window(args[matrix])?;
        check_extension(name, window.extension)?;
        let Some(kernel) = range_kernel(name) else {
            return Err(QueryError::Invalid(format!("function \"{name}\" takes no range vector")));
        };
        let others = args.iter().enumerate().filter(|(at, _)| *at != matrix);
        let others = others.map(|(_, arg)| self.node(arg)).collect::<Lowered<Vec<Node>>>()?;
        // A subquery has no place of its own once it is evaluated.
        let is_subquery = matches!(args[0], Expr::Subquery(_));
        let note_span = if is_subquery { Span::default() } else { args[0].span() };
        let function = if name == "absent_over_time" { "present_over_time" } else { name };
        let call = RangeCall { function, kernel, window, args: others, note_span };
        let node = Node::new(Kind::Range(Box::new(call)), span);
        if name != "absent_over_time" {
            return Ok(node);
        }
        let labels = match args[matrix] {
            Expr::Matrix(matrix) => absent_labels(&matrix.vector.matchers),
            _ => Labels::empty(),
        };
        Ok(Node::new(Kind::Call { call: Call::Absent { name, labels }, args: vec![node] }, span))
    }

    fn vector_call(&self, name: &'static str, args: &[&Expr], span: Span) -> Lowered<Kind> {
        let node = |at: usize| self.node(args[at]);
        let kind = |call: Call, args: Vec<Node>| Ok(Kind::Call { call, args });
        match name {
            "absent" => {
                let labels = match args[0] {
                    Expr::Vector(selector) => absent_labels(&selector.matchers),
                    _ => Labels::empty(),
                };
                kind(Call::Absent { name, labels }, vec![node(0)?])
            }
            "scalar" => kind(Call::Scalar, vec![node(0)?]),
            "vector" => kind(Call::Vector, vec![node(0)?]),
            "sort" | "sort_desc" => kind(Call::Sort { descending: name == "sort_desc" }, vec![node(0)?]),
            "sort_by_label" | "sort_by_label_desc" => {
                let names = args[1..].iter().map(|a| text(a).value.clone()).collect();
                kind(Call::SortByLabel { names, descending: name == "sort_by_label_desc" }, vec![node(0)?])
            }
            "label_replace" => {
                let replace = LabelReplace {
                    target: label_name(text(args[1]), "destination", name)?,
                    replacement: text(args[2]).value.clone(),
                    source: text(args[3]).value.clone(),
                    pattern: text(args[4]).value.clone(),
                };
                kind(Call::LabelReplace(Box::new(replace)), vec![node(0)?])
            }
            "label_join" => {
                let sources =
                    args[3..].iter().map(|a| label_name(text(a), "source", name)).collect::<Lowered<Vec<String>>>()?;
                let target = label_name(text(args[1]), "destination", name)?;
                let separator = text(args[2]).value.clone();
                kind(Call::LabelJoin { target, separator, sources }, vec![node(0)?])
            }
            "histogram_quantile" => kind(Call::HistogramQuantile, vec![node(0)?, node(1)?]),
            "histogram_quantiles" => {
                let label = text(args[1]).value.clone();
                let mut nodes = vec![node(0)?];
                for at in 2..args.len() {
                    nodes.push(node(at)?);
                }
                kind(Call::HistogramQuantiles { label }, nodes)
            }
            "histogram_fraction" => kind(Call::HistogramFraction, vec![node(0)?, node(1)?, node(2)?]),
            "info" => {
                let matchers = match args.get(1) {
                    Some(Expr::Vector(selector)) => Some(selector.matchers.clone()),
                    _ => None,
                };
                let end = self.info_end(args[0])?;
                kind(Call::Info(Box::new(Info { matchers, end })), vec![node(0)?])
            }
            _ => Err(QueryError::Invalid(format!("function {} is not known at {}", go_quote(name), span.start))),
        }
    }

    /// When info series are looked up: at the time of the first selector, whose `@` and offset count together with those
    /// of the subqueries around it, up to the first that has an `@`.
    fn info_end(&self, expr: &Expr) -> Lowered<WindowEnd> {
        let mut path: Vec<&Expr> = Vec::new();
        let Some(selector) = first_selector(expr, &mut path) else { return Ok(WindowEnd::Offset(0)) };
        let mut at = selector.at;
        let mut offset = resolve(&selector.offset, self.times, true)?;
        for outer in path.iter().rev() {
            if at.is_some() {
                break;
            }
            if let Expr::Subquery(subquery) = outer {
                offset = offset.saturating_add(resolve(&subquery.offset, self.times, true)?);
                at = subquery.at;
            }
        }
        self.end(at, &DurationValue { ms: offset, expr: None })
    }
}

/// The first selector of an expression, and what stands around it, outermost first.
fn first_selector<'a>(expr: &'a Expr, path: &mut Vec<&'a Expr>) -> Option<&'a VectorSelector> {
    match expr {
        Expr::Vector(selector) => return Some(selector),
        Expr::Matrix(matrix) => return Some(&matrix.vector),
        _ => {}
    }
    path.push(expr);
    for child in expr.children() {
        if let Some(found) = first_selector(child, path) {
            return Some(found);
        }
    }
    path.pop();
    None
}

/// The text of an argument; the parser has checked that it is one.
fn text(expr: &Expr) -> &StringLiteral {
    static EMPTY: StringLiteral = StringLiteral { value: String::new(), bytes: None, span: Span { start: 0, end: 0 } };
    match expr {
        Expr::String(text) => text,
        _ => &EMPTY,
    }
}

fn label_name(text: &StringLiteral, role: &str, function: &str) -> Lowered<String> {
    if text.bytes.is_none() && !text.value.is_empty() {
        return Ok(text.value.clone());
    }
    let shown = text.bytes.as_deref().map_or_else(
        || text.value.clone(),
        |b| {
            let quoted = go_quote_bytes(b);
            quoted[1..quoted.len() - 1].to_owned()
        },
    );
    Err(QueryError::Execution(format!("invalid {role} label name in {function}(): {shown}")))
}

fn check_extension(name: &str, extension: Option<Extension>) -> Lowered<()> {
    let (modifier, functions) = match extension {
        None => return Ok(()),
        Some(Extension::Anchored) => ("anchored", &["changes", "delta", "increase", "rate", "resets"][..]),
        Some(Extension::Smoothed) => ("smoothed", &["delta", "increase", "rate"][..]),
    };
    if functions.contains(&name) {
        return Ok(());
    }
    let functions = functions.join(", ");
    Err(QueryError::Execution(format!("{modifier} modifier can only be used with: {functions} - not with {name}")))
}

/// Labels that a selector fixes: those with one `=` matcher and no other.
fn absent_labels(matchers: &[Matcher]) -> Labels {
    let mut labels = LabelsBuilder::new();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in matchers.iter().filter(|m| m.name() != METRIC_NAME) {
        if matcher.op() == MatchOp::Equal && !seen.contains(&matcher.name()) {
            labels.set(matcher.name(), matcher.value());
            seen.push(matcher.name());
        } else {
            labels.del(matcher.name());
        }
    }
    labels.build()
}
