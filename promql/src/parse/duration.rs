//! Duration expressions: arithmetic inside `[…]` and behind `offset`.

use super::expr::{Parsed, Parser};
use super::token::{Kind, Token};
use crate::ast::{DurationExpr, DurationOp, DurationOperator, NumberLiteral};
use crate::span::Span;

/// Whether seconds do not fit into 64 bits of nanoseconds.
fn out_of_range(seconds: f64) -> bool {
    const LIMIT: f64 = 9_223_372_036.854_776;
    !(-LIMIT..=LIMIT).contains(&seconds)
}

fn operator(kind: Kind) -> Option<(DurationOperator, u8)> {
    Some(match kind {
        Kind::Add => (DurationOperator::Add, 1),
        Kind::Sub => (DurationOperator::Sub, 1),
        Kind::Mul => (DurationOperator::Mul, 2),
        Kind::Div => (DurationOperator::Div, 2),
        Kind::Mod => (DurationOperator::Mod, 2),
        Kind::Pow => (DurationOperator::Pow, 3),
        _ => return None,
    })
}

const SIGN: u8 = 3;

impl Parser<'_> {
    /// A duration inside brackets.
    pub(super) fn duration_expr(&mut self) -> Parsed<DurationExpr> {
        self.duration(0)
    }

    /// A duration behind `offset`: one operand, so that `a offset 5m + 1` adds to the vector. Behind parentheses
    /// without a sign arithmetic goes on.
    pub(super) fn offset_duration(&mut self) -> Parsed<DurationExpr> {
        let sign = self.peek();
        if matches!(sign.kind, Kind::Add | Kind::Sub) {
            self.bump();
            let operand = self.duration_operand()?;
            return Ok(self.signed(sign, operand));
        }
        if sign.kind != Kind::LeftParen {
            return self.duration_operand();
        }
        self.duration(0)
    }

    fn duration(&mut self, min: u8) -> Parsed<DurationExpr> {
        self.nested(|p| {
            let sign = p.peek();
            let mut left = if matches!(sign.kind, Kind::Add | Kind::Sub) {
                p.bump();
                let operand = p.duration(SIGN)?;
                p.signed(sign, operand)
            } else {
                p.duration_operand()?
            };
            while let Some((op, binding)) = operator(p.kind()).filter(|(_, binding)| *binding >= min) {
                let op_token = p.bump();
                let right = p.duration(if op == DurationOperator::Pow { binding } else { binding + 1 })?;
                left = p.duration_binary(left, op, op_token, right);
            }
            Ok(left)
        })
    }

    fn duration_binary(
        &mut self,
        left: DurationExpr,
        op: DurationOperator,
        op_token: Token,
        right: DurationExpr,
    ) -> DurationExpr {
        self.require_duration_expressions(left.span());
        let span = left.span().to(right.span());
        if let (DurationOperator::Div | DurationOperator::Mod, DurationExpr::Number(number)) = (op, &right)
            && number.value == 0.0
        {
            let what = if op == DurationOperator::Div { "division by zero" } else { "modulo by zero" };
            self.problem(op_token.span, what);
            return zero(span);
        }
        DurationExpr::Op(Box::new(DurationOp { op, left: Some(left), right: Some(right), wrapped: false, span }))
    }

    fn signed(&mut self, sign: Token, operand: DurationExpr) -> DurationExpr {
        let negative = sign.kind == Kind::Sub;
        match operand {
            DurationExpr::Number(mut number) => {
                if negative {
                    number.value = -number.value;
                }
                number.span.start = sign.span.start;
                DurationExpr::Number(number)
            }
            operand if !negative => operand,
            operand => {
                let span = sign.span.to(operand.span());
                let op = DurationOperator::Sub;
                DurationExpr::Op(Box::new(DurationOp { op, left: None, right: Some(operand), wrapped: false, span }))
            }
        }
    }

    fn duration_operand(&mut self) -> Parsed<DurationExpr> {
        let token = self.peek();
        let (op, two) = match token.kind {
            Kind::Number | Kind::Duration => {
                let number = self.number()?;
                if out_of_range(number.value) {
                    self.problem(number.span, "duration out of range");
                    return Ok(zero(number.span));
                }
                return Ok(DurationExpr::Number(number));
            }
            Kind::LeftParen => return self.duration_parens(),
            Kind::Step => (DurationOperator::Step, false),
            Kind::Range => (DurationOperator::Range, false),
            Kind::MinOf => (DurationOperator::MinOf, true),
            Kind::MaxOf => (DurationOperator::MaxOf, true),
            _ => return self.unexpected(),
        };
        self.bump();
        self.expect(Kind::LeftParen)?;
        let (mut left, mut right) = (None, None);
        if two {
            left = Some(self.duration(0)?);
            self.expect(Kind::Comma)?;
            right = Some(self.duration(0)?);
        }
        let close = self.expect(Kind::RightParen)?;
        let span = token.span.to(close.span);
        self.require_duration_expressions(span);
        Ok(DurationExpr::Op(Box::new(DurationOp { op, left, right, wrapped: false, span })))
    }

    fn duration_parens(&mut self) -> Parsed<DurationExpr> {
        let open = self.bump();
        let inner = self.duration(0)?;
        let close = self.expect(Kind::RightParen)?;
        self.require_duration_expressions(inner.span());
        Ok(match inner {
            DurationExpr::Op(mut op) => {
                op.wrapped = true;
                DurationExpr::Op(op)
            }
            number => DurationExpr::Op(Box::new(DurationOp {
                op: DurationOperator::Add,
                left: None,
                right: Some(number),
                wrapped: true,
                span: open.span.to(close.span),
            })),
        })
    }

    fn require_duration_expressions(&mut self, span: Span) {
        if !self.options.duration_expressions {
            self.problem(span, "experimental duration expression is not enabled");
        }
    }
}

fn zero(span: Span) -> DurationExpr {
    DurationExpr::Number(NumberLiteral { value: 0.0, duration: false, span })
}
