//! Types and arity: what the grammar alone cannot say. Messages are Prometheus'.

use super::Problem;
use super::quote::go_quote;
use crate::ast::{Aggregate, AggregateOp, Binary, Call, Cardinality, Expr, Unary, ValueType, VectorSelector};
use crate::span::Span;

/// Checks a tree and settles what depends on types: the matching of binary operators.
pub(super) fn check(expr: &mut Expr, problems: &mut Vec<Problem>) {
    Checker { problems }.expr(expr);
}

struct Checker<'a> {
    problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    fn problem(&mut self, span: Span, message: impl Into<String>) {
        self.problems.push(Problem { span, message: message.into() });
    }

    fn expr(&mut self, expr: &mut Expr) -> ValueType {
        let value_type = expr.value_type();
        let span = expr.span();
        match expr {
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Binary(binary) => self.binary(binary, span),
            Expr::Call(call) => self.call(call),
            Expr::Paren(paren) => {
                self.expr(&mut paren.expr);
            }
            Expr::Unary(unary) => self.unary(unary),
            Expr::Subquery(subquery) => {
                let found = self.expr(&mut subquery.expr);
                if found != ValueType::Vector {
                    let found = found.as_str();
                    self.problem(span, format!("subquery is only allowed on instant vector, got {found} instead"));
                }
            }
            Expr::Matrix(matrix) => self.selector(&matrix.vector),
            Expr::Vector(vector) => self.selector(vector),
            Expr::Number(_) | Expr::String(_) => {}
        }
        value_type
    }

    fn expect(&mut self, expr: &mut Expr, want: ValueType, context: &str) {
        let found = self.expr(expr);
        if found != want {
            let (want, found) = (want.documented(), found.documented());
            self.problem(expr.span(), format!("expected type {want} in {context}, got {found}"));
        }
    }

    fn aggregate(&mut self, aggregate: &mut Aggregate) {
        self.expect(&mut aggregate.expr, ValueType::Vector, "aggregation expression");
        if let Some(param) = &mut aggregate.param {
            let want = if aggregate.op == AggregateOp::CountValues { ValueType::String } else { ValueType::Scalar };
            self.expect(param, want, "aggregation parameter");
        }
    }

    fn unary(&mut self, unary: &mut Unary) {
        let found = self.expr(&mut unary.expr);
        if !matches!(found, ValueType::Scalar | ValueType::Vector) {
            let found = go_quote(found.documented());
            self.problem(
                unary.span,
                format!("unary expression only allowed on expressions of type scalar or instant vector, got {found}"),
            );
        }
    }

    fn binary(&mut self, binary: &mut Binary, span: Span) {
        let left = self.expr(&mut binary.left);
        let right = self.expr(&mut binary.right);
        let op = binary.op;
        let op_span = binary.op_span;
        if binary.return_bool && !op.is_comparison() {
            self.problem(op_span, "bool modifier can only be used on comparison operators");
        }
        if op.is_comparison() && !binary.return_bool && left == ValueType::Scalar && right == ValueType::Scalar {
            self.problem(op_span, "comparisons between scalars must use BOOL modifier");
        }
        let Some(matching) = &mut binary.matching else { return };
        if op.is_set() && matching.cardinality == Cardinality::OneToOne {
            matching.cardinality = Cardinality::ManyToMany;
        }
        let cardinality = matching.cardinality;
        let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
        let labelled = !matching.labels.is_empty();
        let twice: Vec<String> = if matching.on {
            matching.labels.iter().filter(|l| matching.include.contains(l)).cloned().collect()
        } else {
            Vec::new()
        };
        for label in twice {
            self.problem(op_span, format!("label {} must not occur in ON and GROUP clause at once", go_quote(&label)));
        }
        for (side, expr) in [(left, &binary.left), (right, &binary.right)] {
            if !matches!(side, ValueType::Scalar | ValueType::Vector) {
                self.problem(expr.span(), "binary expression must contain only scalar and instant vector types");
            }
        }
        if left != ValueType::Vector || right != ValueType::Vector {
            if labelled {
                self.problem(span, "vector matching only allowed between instant vectors");
            }
            if filled {
                self.problem(span, "filling in missing series only allowed between instant vectors");
            }
            binary.matching = None;
        } else if op.is_set() {
            if matches!(cardinality, Cardinality::OneToMany | Cardinality::ManyToOne) {
                self.problem(span, format!("no grouping allowed for \"{}\" operation", op.as_str()));
                self.problem(span, "set operations must always be many-to-many");
            }
            if filled {
                self.problem(span, "filling in missing series not allowed for set operators");
            }
        }
        if op.is_set() && (left == ValueType::Scalar || right == ValueType::Scalar) {
            self.problem(span, format!("set operator \"{}\" not allowed in binary scalar expression", op.as_str()));
        }
    }

    fn call(&mut self, call: &mut Call) {
        let function = call.function;
        let name = function.name;
        let (want, found) = (function.args.len(), call.args.len());
        if function.variadic == 0 {
            if want != found {
                self.problem(call.span, format!("expected {want} argument(s) in call to \"{name}\", got {found}"));
            }
        } else {
            let least = want - 1;
            let most = usize::try_from(function.variadic).ok().map(|extra| least + extra);
            if found < least {
                self.problem(
                    call.span,
                    format!("expected at least {least} argument(s) in call to \"{name}\", got {found}"),
                );
            } else if let Some(most) = most.filter(|most| *most < found) {
                self.problem(
                    call.span,
                    format!("expected at most {most} argument(s) in call to \"{name}\", got {found}"),
                );
            }
        }
        let info_labels = name == "info";
        if info_labels && found > 1 {
            self.info_labels(call);
        }
        for (at, arg) in call.args.iter_mut().enumerate() {
            let want = match function.args.get(at).or(function.args.last()) {
                Some(want) if at < function.args.len() || function.variadic != 0 => *want,
                // Too many arguments have been reported already.
                _ => break,
            };
            // The second argument of `info` holds matchers only: an empty one is fine.
            if info_labels && at == 1 && matches!(arg, Expr::Vector(v) if v.name.is_empty()) {
                continue;
            }
            let found = self.expr(arg);
            if found != want {
                let (want, found) = (want.documented(), found.documented());
                self.problem(arg.span(), format!("expected type {want} in call to function \"{name}\", got {found}"));
            }
        }
    }

    fn info_labels(&mut self, call: &Call) {
        let arg = &call.args[1];
        let found = arg.value_type();
        if found != ValueType::Vector {
            let (want, found) = (ValueType::Vector.documented(), found.documented());
            self.problem(call.span, format!("expected type {want} in call to function \"info\", got {found}"));
        }
        match arg {
            Expr::Vector(vector) if vector.name.is_empty() => {}
            Expr::Vector(_) => {
                self.problem(arg.span(), "expected label selectors only, got vector selector instead");
            }
            _ => self.problem(arg.span(), "expected label selectors only"),
        }
    }

    fn selector(&mut self, selector: &VectorSelector) {
        if !selector.name.is_empty() {
            let others = &selector.matchers[..selector.matchers.len() - 1];
            for matcher in others.iter().filter(|m| m.name() == model::METRIC_NAME) {
                let (name, other) = (go_quote(&selector.name), go_quote(matcher.value()));
                self.problem(selector.span, format!("metric name must not be set twice: {name} or {other}"));
            }
        } else if selector.matchers.iter().all(model::Matcher::matches_empty) {
            self.problem(selector.span, "vector selector must contain at least one non-empty matcher");
        }
    }
}
