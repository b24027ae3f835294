//! What can only be wrong once it is read: regular expressions, patterns, parameters, selectors that select everything.

use model::regex::{Flags, GoRegex};
use model::{MatchOp, Matcher};

use super::{NO_MATCHER, ParseError, Parser};
use crate::pattern::Pattern;
use crate::syntax::ast::{MetricExpr, RangeAggregation, RangeOp, Selector, Span, VectorOp};

impl Parser<'_> {
    /// A matcher with a regular expression that compiles.
    pub(super) fn matcher(&self, op: MatchOp, label: &str, value: &str, span: Span) -> Result<Matcher, ParseError> {
        let fail = |message: String| ParseError::of(span.start as usize, message);
        if matches!(op, MatchOp::Regex | MatchOp::NotRegex) {
            GoRegex::new(value, Flags::MATCHER).map_err(|e| fail(e.to_string()))?;
        }
        Matcher::new(op, label, value).map_err(|e| fail(e.to_string()))
    }

    /// Notes an error if a selector has no matcher that refuses the empty value.
    pub(super) fn require_matcher(&mut self, selector: &Selector, span: Span) {
        let selective = selector.matchers.iter().any(|matcher| !matcher.matches_empty());
        if !selective && !self.options.any_selector {
            self.later(span, NO_MATCHER);
        }
    }

    /// The expression of `| regexp`.
    pub(super) fn check_regexp_parser(&self, pattern: &str, span: Span) -> Result<(), ParseError> {
        let fail = |message: String| ParseError::of(span.start as usize, format!("invalid regexp parser: {message}"));
        let regex = GoRegex::new(pattern, Flags::SEARCH).map_err(|e| fail(e.to_string()))?;
        let mut names: Vec<&str> = Vec::new();
        for name in regex.group_names().flatten() {
            if names.contains(&name) {
                return Err(fail(format!("duplicate extracted label name '{name}'")));
            }
            names.push(name);
        }
        if names.is_empty() {
            return Err(fail("at least one named capture must be supplied".into()));
        }
        Ok(())
    }

    /// The expression of `| pattern`.
    pub(super) fn check_pattern_parser(&self, pattern: &str, span: Span) -> Result<(), ParseError> {
        Pattern::parser(pattern)
            .map(|_| ())
            .map_err(|e| ParseError::of(span.start as usize, format!("invalid pattern parser: {e}")))
    }

    /// Whether an aggregation over a window fits its operand and has its parameter; gives the parameter.
    pub(super) fn check_range(&mut self, node: &RangeAggregation, parameter: Option<&str>) -> Option<f64> {
        let name = node.op.as_str();
        let mut quantile = None;
        let problem = match parameter {
            Some(text) if node.op != RangeOp::Quantile => {
                Some(format!("parameter {text} not supported for operation {name}"))
            }
            Some(text) => match model::number::parse_float(text) {
                Ok(value) => {
                    quantile = Some(value);
                    None
                }
                Err(e) => Some(format!("invalid parameter for operation {name}: {e}")),
            },
            None if node.op == RangeOp::Quantile => Some(format!("parameter required for operation {name}")),
            None => None,
        };
        let problem = problem.or_else(|| {
            if node.grouping.is_some() && !node.op.allows_grouping() {
                Some(format!("grouping not allowed for {name} aggregation"))
            } else if node.range.unwrap.is_some() {
                (!node.op.allows_unwrap()).then(|| format!("invalid aggregation {name} with unwrap"))
            } else {
                (!node.op.allows_plain()).then(|| format!("invalid aggregation {name} without unwrap"))
            }
        });
        match problem {
            Some(problem) => self.later(node.span, problem),
            None => self.require_matcher(&node.range.log.selector, node.span),
        }
        quantile
    }

    /// Whether an aggregation over series has its parameter and may be grouped; gives the parameter.
    pub(super) fn check_vector(
        &mut self,
        op: VectorOp,
        parameter: Option<&str>,
        grouping: Option<&super::super::ast::Grouping>,
        span: Span,
    ) -> Option<usize> {
        let name = op.as_str();
        let problem = match parameter {
            None if op.takes_parameter() => Some(format!("parameter required for operation {name}")),
            Some(text) if !op.takes_parameter() => Some(format!("unsupported parameter for operation {name}({text},")),
            Some(text) => match model::number::parse_int(text, 10, 64) {
                Err(_) => Some(format!("invalid parameter {name}({text},")),
                Ok(k) if k <= 0 => Some(format!("invalid parameter (must be greater than 0) {name}({text}")),
                Ok(_) if op == VectorOp::ApproxTopk && grouping.is_some() => {
                    Some(format!("grouping not allowed for {name} aggregation"))
                }
                Ok(k) => return usize::try_from(k).ok(),
            },
            None if matches!(op, VectorOp::Sort | VectorOp::SortDesc)
                && grouping.is_some_and(|g| !g.labels.is_empty()) =>
            {
                Some("sort and sort_desc doesn't allow grouping by ".into())
            }
            None => None,
        };
        if let Some(problem) = problem {
            self.later(span, problem);
        }
        None
    }

    /// A number; what is none becomes NaN and an error for later.
    pub(super) fn literal(&mut self, text: &str, negative: bool, span: Span, what: &str) -> f64 {
        match model::number::parse_float(text) {
            Ok(value) if negative => -value,
            Ok(value) => value,
            Err(e) => {
                self.later(span, format!("unable to parse {what} as a float: {e}"));
                f64::NAN
            }
        }
    }

    /// Whether `and`, `or`, `unless` have series on both sides.
    pub(super) fn check_set_operands(&mut self, op: &str, left: &MetricExpr, right: &MetricExpr, span: Span) {
        for (side, operand) in [("left", left), ("right", right)] {
            if let MetricExpr::Literal(value, _) = operand {
                self.later(
                    span,
                    format!("unexpected literal for {side} leg of logical/set binary operation ({op}): {value:.6}"),
                );
                return;
            }
        }
    }
}
