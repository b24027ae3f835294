//! Conditions on labels: `a = "b" and (c > 5ms or d != ip("10.0.0.0/8"))`.
//!
//! `and` binds tighter than `or`. A comma, or nothing at all, also means `and`, but takes everything that follows as its
//! right side: `a, b or c` is `a and (b or c)`, while `a and b or c` is `(a and b) or c`.

use model::MatchOp;

use super::{ParseError, Parser};
use crate::syntax::ast::{BinaryOp, CompareOp, FilterGroup, LabelFilter, Span};
use crate::syntax::token::Token;

/// A condition and where it stands.
pub(super) struct Placed {
    pub(super) filter: LabelFilter,
    pub(super) span: Span,
}

/// What joins two conditions.
#[derive(Clone, Copy, PartialEq)]
enum Joint {
    Or,
    And,
    /// A comma or nothing.
    List,
}

impl Joint {
    /// Whether what stands left of this joint is complete when `next` follows.
    fn ends_before(self, next: Option<Self>) -> bool {
        match (self, next) {
            (_, None) => true,
            (Self::List, _) | (_, Some(Self::List)) => false,
            (Self::And, _) => true,
            (Self::Or, next) => next == Some(Self::Or),
        }
    }
}

const OPERAND: [&str; 2] = ["IDENTIFIER", "("];

impl Parser<'_> {
    /// One condition or several; an identifier or parenthesis is next.
    pub(super) fn label_filter(&mut self) -> Result<Placed, ParseError> {
        let mut waiting: Vec<(Placed, Joint)> = Vec::new();
        loop {
            let mut operand = self.filter_operand()?;
            let next = self.joint()?;
            while let Some((_, joint)) = waiting.last() {
                if !joint.ends_before(next) {
                    break;
                }
                operand = match joint {
                    Joint::List => join_list(&mut waiting, operand),
                    Joint::And | Joint::Or => match waiting.pop() {
                        Some((left, joint)) => join(joint == Joint::And, left, operand),
                        None => operand,
                    },
                };
            }
            match next {
                None => return Ok(operand),
                Some(joint) => waiting.push((operand, joint)),
            }
        }
    }

    /// Takes what joins the condition before with the next one, if there is one.
    fn joint(&mut self) -> Result<Option<Joint>, ParseError> {
        let joint = match self.peek() {
            Token::Binary(BinaryOp::Or) => Joint::Or,
            Token::Binary(BinaryOp::And) => Joint::And,
            Token::Comma => Joint::List,
            Token::Identifier(_) | Token::OpenParen => return Ok(Some(Joint::List)),
            _ => return Ok(None),
        };
        self.advance()?;
        if !matches!(self.peek(), Token::Identifier(_) | Token::OpenParen) {
            return Err(self.unexpected(&OPERAND));
        }
        Ok(Some(joint))
    }

    fn filter_operand(&mut self) -> Result<Placed, ParseError> {
        let start = self.here();
        if self.accept(&Token::OpenParen)?.is_some() {
            let inner = self.nested(Self::label_filter)?;
            let end = match self.accept(&Token::CloseParen)? {
                Some(end) => end,
                None => return Err(self.unexpected(&[])),
            };
            return Ok(Placed { filter: inner.filter, span: start.to(end) });
        }
        let (label, start) = self.expect_identifier(&OPERAND)?;
        if let (Some(op @ (MatchOp::Regex | MatchOp::NotRegex)), _) = (self.match_op(), ()) {
            self.advance()?;
            let (value, end) = self.expect_string(&["STRING"])?;
            let filter = LabelFilter::Text(self.matcher(op, &label, &value, start)?);
            return Ok(Placed { filter, span: start.to(end) });
        }
        let (op, equality) = match self.peek() {
            Token::Equal => (CompareOp::Equal, true),
            Token::Binary(op) if op.comparison().is_some() => {
                let op = op.comparison().unwrap_or(CompareOp::Equal);
                (op, op == CompareOp::NotEqual)
            }
            _ => return Err(self.unexpected(&[])),
        };
        self.advance()?;
        let value = self.here();
        let filter = match self.peek().clone() {
            Token::String(text) if equality => {
                let op = if op == CompareOp::Equal { MatchOp::Equal } else { MatchOp::NotEqual };
                self.advance()?;
                LabelFilter::Text(self.matcher(op, &label, &text, start)?)
            }
            Token::Ip if equality => {
                self.advance()?;
                let (pattern, end) = self.parenthesised_string()?;
                let filter = LabelFilter::Ip { label, negative: op == CompareOp::NotEqual, pattern };
                return Ok(Placed { filter, span: start.to(end) });
            }
            Token::Duration(ns) => {
                self.advance()?;
                LabelFilter::Duration(label, op, ns)
            }
            Token::Bytes(bytes) => {
                self.advance()?;
                LabelFilter::Bytes(label, op, bytes)
            }
            _ => {
                let sign = match self.peek() {
                    Token::Binary(BinaryOp::Sub) => Some(-1.0),
                    Token::Binary(BinaryOp::Add) => Some(1.0),
                    Token::Number(_) => None,
                    _ => return Err(self.unexpected(&[])),
                };
                if sign.is_some() {
                    self.advance()?;
                }
                let (text, end) = self.expect_number()?;
                let number = model::number::parse_float(&text).map_err(|e| {
                    ParseError::of(value.start as usize, format!("unable to parse literal as a float: {e}"))
                })?;
                let filter = LabelFilter::Number(label, op, number * sign.unwrap_or(1.0));
                return Ok(Placed { filter, span: start.to(end) });
            }
        };
        Ok(Placed { filter, span: start.to(value) })
    }
}

fn join(all: bool, left: Placed, right: Placed) -> Placed {
    let span = left.span.to(right.span);
    let filter = match left.filter {
        LabelFilter::Group(mut group) if group.all == all && (!group.right || group.items.len() == 2) => {
            group.items.push(right.filter);
            group.right = false;
            LabelFilter::Group(group)
        }
        left => prepend(all, vec![left], right.filter),
    };
    Placed { filter, span }
}

/// Joins `last` with all that waits for a comma's right side.
fn join_list(waiting: &mut Vec<(Placed, Joint)>, last: Placed) -> Placed {
    let mut start = last.span;
    let mut items = Vec::new();
    while let Some((left, _)) = waiting.pop_if(|(_, joint)| *joint == Joint::List) {
        start = left.span;
        items.push(left.filter);
    }
    items.reverse();
    let span = start.to(last.span);
    // Two of them are one group, whichever way it is read: a group on the left goes on.
    if let [LabelFilter::Group(group)] = items.as_slice()
        && group.all
        && (!group.right || group.items.len() == 2)
    {
        let left = items.swap_remove(0);
        return Placed { filter: join(true, Placed { filter: left, span: start }, last).filter, span };
    }
    Placed { filter: prepend(true, items, last.filter), span }
}

/// `(first, (second, … last))`
fn prepend(all: bool, mut items: Vec<LabelFilter>, last: LabelFilter) -> LabelFilter {
    match last {
        LabelFilter::Group(group) if group.all == all && (group.right || group.items.len() == 2) => {
            items.extend(group.items);
        }
        last => items.push(last),
    }
    let right = items.len() > 2;
    LabelFilter::Group(FilterGroup { all, items, right })
}
