//! Expressions by precedence climbing.
//!
//! Operators bind, loosest first: `or`; `and unless`; comparisons and trims; `+ -`; `* / % atan2` and signs; `^` to the
//! right. `offset`, `@`, `[…]`, `anchored` and `smoothed` follow a selector and bind tightest.

use super::lexer::lex;
use super::token::{Kind, Token, describe};
use super::{MAX_HEIGHT, MAX_NESTING, MAX_TEXT_LEN, ParseError, ParserOptions, Problem, number};
use crate::ast::{
    Aggregate, AggregateOp, Binary, BinaryOp, Call, Cardinality, Expr, Matching, NumberLiteral, Paren, StringLiteral,
    Unary,
};
use crate::functions::function;
use crate::span::Span;

/// The text cannot be read further; what is wrong has been noted.
pub(super) struct Abort;

pub(super) type Parsed<T> = Result<T, Abort>;

/// An expression and the height of its tree.
pub(super) struct Node {
    pub(super) expr: Expr,
    pub(super) height: usize,
}

impl Node {
    pub(super) fn leaf(expr: Expr) -> Self {
        Self { expr, height: 1 }
    }
}

/// Where an unexpected token is met: what is being read and what would fit.
type Context = (&'static str, &'static str);

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) options: ParserOptions,
    pub(super) problems: Vec<Problem>,
    tokens: Vec<Token>,
    at: usize,
    lex_error: Option<String>,
    /// Innermost last.
    contexts: Vec<Context>,
    nesting: usize,
}

const LOWEST: u8 = 1;
const SIGN: u8 = 6;

/// Operator and how tightly it binds.
fn operator(kind: Kind) -> Option<(BinaryOp, u8)> {
    Some(match kind {
        Kind::Or => (BinaryOp::Or, 1),
        Kind::And => (BinaryOp::And, 2),
        Kind::Unless => (BinaryOp::Unless, 2),
        Kind::EqualEqual => (BinaryOp::Equal, 3),
        Kind::NotEqual => (BinaryOp::NotEqual, 3),
        Kind::Less => (BinaryOp::Less, 3),
        Kind::LessEqual => (BinaryOp::LessEqual, 3),
        Kind::Greater => (BinaryOp::Greater, 3),
        Kind::GreaterEqual => (BinaryOp::GreaterEqual, 3),
        Kind::TrimUpper => (BinaryOp::TrimUpper, 3),
        Kind::TrimLower => (BinaryOp::TrimLower, 3),
        Kind::Add => (BinaryOp::Add, 4),
        Kind::Sub => (BinaryOp::Sub, 4),
        Kind::Mul => (BinaryOp::Mul, 5),
        Kind::Div => (BinaryOp::Div, 5),
        Kind::Mod => (BinaryOp::Mod, 5),
        Kind::Atan2 => (BinaryOp::Atan2, 5),
        Kind::Pow => (BinaryOp::Pow, 6),
        _ => return None,
    })
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, options: &ParserOptions) -> Result<Self, ParseError> {
        if text.len() > MAX_TEXT_LEN {
            let message = format!("query of {} bytes is longer than {MAX_TEXT_LEN}", text.len());
            return Err(ParseError::new("", vec![Problem { span: Span::default(), message }]));
        }
        let lexed = lex(text);
        Ok(Self {
            text,
            options: *options,
            problems: Vec::new(),
            tokens: lexed.tokens,
            at: 0,
            lex_error: lexed.error,
            contexts: Vec::new(),
            nesting: 0,
        })
    }

    /// The result, unless a problem was noted.
    pub(super) fn finish<T>(self, text: &str, parsed: Option<T>) -> Result<T, ParseError> {
        match parsed {
            Some(parsed) if self.problems.is_empty() => Ok(parsed),
            _ => Err(ParseError::new(text, self.problems)),
        }
    }

    // Tokens.

    pub(super) fn peek(&self) -> Token {
        self.tokens[self.at]
    }

    pub(super) fn kind(&self) -> Kind {
        self.tokens[self.at].kind
    }

    pub(super) fn kind_after(&self, ahead: usize) -> Kind {
        self.tokens.get(self.at + ahead).map_or(Kind::Eof, |t| t.kind)
    }

    pub(super) fn bump(&mut self) -> Token {
        let token = self.peek();
        if !matches!(token.kind, Kind::Eof | Kind::Error) {
            self.at += 1;
        }
        token
    }

    /// Where the last token taken ends.
    pub(super) fn last_end(&self) -> u32 {
        self.at.checked_sub(1).map_or(0, |at| self.tokens[at].span.end)
    }

    pub(super) fn eat(&mut self, kind: Kind) -> Option<Token> {
        (self.kind() == kind).then(|| self.bump())
    }

    pub(super) fn expect(&mut self, kind: Kind) -> Parsed<Token> {
        self.eat(kind).ok_or(Abort).or_else(|_| self.unexpected())
    }

    pub(super) fn text_of(&self, token: Token) -> &'a str {
        &self.text[token.span.start as usize..token.span.end as usize]
    }

    // Problems.

    pub(super) fn problem(&mut self, span: Span, message: impl Into<String>) {
        self.problems.push(Problem { span, message: message.into() });
    }

    /// Notes the next token as out of place in the innermost context.
    pub(super) fn unexpected<T>(&mut self) -> Parsed<T> {
        let context = self.contexts.last().copied().unwrap_or(("", ""));
        self.unexpected_in(context)
    }

    /// Notes the next token as out of place.
    pub(super) fn unexpected_in<T>(&mut self, (context, expected): Context) -> Parsed<T> {
        let token = self.peek();
        if token.kind == Kind::Error {
            let message = self.lex_error.clone().unwrap_or_default();
            self.problem(token.span, message);
            return Err(Abort);
        }
        let mut message = format!("unexpected {}", describe(token.kind, self.text_of(token)));
        if !context.is_empty() {
            message.push_str(" in ");
            message.push_str(context);
        }
        if !expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(expected);
        }
        self.problem(token.span, message);
        Err(Abort)
    }

    /// Runs `parse` with a context for unexpected tokens that have none closer to them.
    pub(super) fn within<T>(&mut self, context: Context, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.contexts.push(context);
        let parsed = parse(self);
        self.contexts.pop();
        parsed
    }

    /// Runs `parse` one level deeper.
    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= MAX_NESTING {
            let span = self.peek().span;
            self.problem(span, format!("query is nested deeper than {MAX_NESTING} levels"));
            return Err(Abort);
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    fn node(&mut self, expr: Expr, below: usize) -> Parsed<Node> {
        let height = below + 1;
        if height > MAX_HEIGHT {
            self.problem(expr.span(), format!("query has a chain of more than {MAX_HEIGHT} operations"));
            return Err(Abort);
        }
        Ok(Node { expr, height })
    }

    // Grammar.

    /// The whole text as one expression.
    pub(super) fn whole_expr(&mut self) -> Option<Expr> {
        if self.kind() == Kind::Eof {
            self.problem(Span::default(), "no expression found in input");
            return None;
        }
        let node = self.expr(LOWEST).ok()?;
        if self.kind() != Kind::Eof {
            let _: Parsed<()> = self.unexpected();
            return None;
        }
        Some(node.expr)
    }

    fn expr(&mut self, min: u8) -> Parsed<Node> {
        self.nested(|p| {
            let mut left = p.prefix()?;
            loop {
                let Some((op, binding)) = operator(p.kind()).filter(|(_, binding)| *binding >= min) else {
                    return Ok(left);
                };
                left = p.binary(left, op, binding)?;
            }
        })
    }

    fn prefix(&mut self) -> Parsed<Node> {
        let sign = self.peek();
        if !matches!(sign.kind, Kind::Add | Kind::Sub) {
            let primary = self.primary()?;
            return self.postfix(primary);
        }
        self.bump();
        let negative = sign.kind == Kind::Sub;
        let Node { mut expr, height } = self.expr(SIGN)?;
        if let Expr::Number(number) = &mut expr {
            if negative {
                number.value = -number.value;
            }
            number.span.start = sign.span.start;
            return Ok(Node { expr, height });
        }
        let span = sign.span.to(expr.span());
        self.node(Expr::Unary(Box::new(Unary { negative, expr, span })), height)
    }

    fn binary(&mut self, left: Node, op: BinaryOp, binding: u8) -> Parsed<Node> {
        let op_token = self.bump();
        let (matching, return_bool) = self.binary_modifiers()?;
        let op_span = Span::new(op_token.span.start, self.last_end());
        // `^` groups to the right, all others to the left.
        let right = self.expr(if op == BinaryOp::Pow { binding } else { binding + 1 })?;
        if !self.options.fill_modifiers && (matching.fill_left.is_some() || matching.fill_right.is_some()) {
            let span = left.expr.span().to(right.expr.span());
            self.problem(span, "binop fill modifiers are experimental and not enabled");
        }
        let below = left.height.max(right.height);
        let binary = Binary { op, left: left.expr, right: right.expr, matching: Some(matching), return_bool, op_span };
        self.node(Expr::Binary(Box::new(binary)), below)
    }

    fn binary_modifiers(&mut self) -> Parsed<(Matching, bool)> {
        let mut matching = Matching::default();
        let return_bool = self.eat(Kind::Bool).is_some();
        if matches!(self.kind(), Kind::On | Kind::Ignoring) {
            matching.on = self.bump().kind == Kind::On;
            matching.labels = self.grouping_labels()?;
            if matches!(self.kind(), Kind::GroupLeft | Kind::GroupRight) {
                let left = self.bump().kind == Kind::GroupLeft;
                matching.cardinality = if left { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                if self.kind() == Kind::LeftParen {
                    matching.include = self.grouping_labels()?;
                }
            }
        }
        match self.kind() {
            Kind::Fill => {
                let fill = self.fill_value()?;
                (matching.fill_left, matching.fill_right) = (Some(fill), Some(fill));
            }
            first @ (Kind::FillLeft | Kind::FillRight) => {
                let fill = self.fill_value()?;
                let other = if first == Kind::FillLeft { Kind::FillRight } else { Kind::FillLeft };
                let second = if self.kind() == other { Some(self.fill_value()?) } else { None };
                (matching.fill_left, matching.fill_right) =
                    if first == Kind::FillLeft { (Some(fill), second) } else { (second, Some(fill)) };
            }
            _ => {}
        }
        Ok((matching, return_bool))
    }

    /// `fill ( number )`
    fn fill_value(&mut self) -> Parsed<f64> {
        self.bump();
        self.expect(Kind::LeftParen)?;
        let value = self.signed_number()?;
        self.expect(Kind::RightParen)?;
        Ok(value)
    }

    /// A number or duration with an optional sign.
    pub(super) fn signed_number(&mut self) -> Parsed<f64> {
        let negative = self.kind() == Kind::Sub;
        if matches!(self.kind(), Kind::Add | Kind::Sub) {
            self.bump();
        }
        let number = self.number()?.value;
        Ok(if negative { -number } else { number })
    }

    /// `( label, … )`
    fn grouping_labels(&mut self) -> Parsed<Vec<String>> {
        if self.eat(Kind::LeftParen).is_none() {
            return self.unexpected_in(("grouping opts", "\"(\""));
        }
        let mut labels = Vec::new();
        loop {
            if self.eat(Kind::RightParen).is_some() {
                return Ok(labels);
            }
            let token = self.peek();
            let name = if token.kind.is_label_name() {
                self.bump();
                self.text_of(token).to_owned()
            } else if token.kind == Kind::String {
                self.bump();
                let (name, bytes) = self.unquote(token);
                if bytes.is_some() || name.is_empty() {
                    let shown = super::quote::go_quote_bytes(bytes.as_deref().unwrap_or(name.as_bytes()));
                    self.problem(token.span, format!("invalid label name for grouping: {shown}"));
                }
                name
            } else {
                return self.unexpected_in(("grouping opts", "label"));
            };
            labels.push(name);
            if self.eat(Kind::Comma).is_none() && self.kind() != Kind::RightParen {
                return self.unexpected_in(("grouping opts", "\",\" or \")\""));
            }
        }
    }

    fn primary(&mut self) -> Parsed<Node> {
        let token = self.peek();
        match token.kind {
            Kind::Number | Kind::Duration => Ok(Node::leaf(Expr::Number(self.number()?))),
            Kind::String => {
                self.bump();
                let (value, bytes) = self.unquote(token);
                Ok(Node::leaf(Expr::String(StringLiteral { value, bytes, span: token.span })))
            }
            Kind::LeftParen => {
                self.bump();
                let inner = self.expr(LOWEST)?;
                let close = self.expect(Kind::RightParen)?;
                let span = token.span.to(close.span);
                self.node(Expr::Paren(Box::new(Paren { expr: inner.expr, span })), inner.height)
            }
            Kind::LeftBrace => Ok(Node::leaf(Expr::Vector(Box::new(self.selector()?)))),
            Kind::Aggregator if matches!(self.kind_after(1), Kind::LeftParen | Kind::By | Kind::Without) => {
                self.within(("aggregation", ""), Self::aggregate)
            }
            kind if self.kind_after(1) == Kind::LeftParen && (kind == Kind::Identifier || kind.is_preprocessor()) => {
                self.call()
            }
            kind if kind.is_metric_name() => Ok(Node::leaf(Expr::Vector(Box::new(self.selector()?)))),
            _ => self.unexpected(),
        }
    }

    pub(super) fn number(&mut self) -> Parsed<NumberLiteral> {
        let token = self.peek();
        let text = self.text_of(token);
        let (value, duration) = match token.kind {
            Kind::Number => (number::parse_number(text).map_err(|e| format!("error parsing number: {e}")), false),
            Kind::Duration => (number::parse_duration_ms(text).map(|ms| ms as f64 / 1000.0), true),
            _ => return self.unexpected(),
        };
        self.bump();
        let value = value.unwrap_or_else(|message| {
            self.problem(token.span, message);
            0.0
        });
        Ok(NumberLiteral { value, duration, span: token.span })
    }

    /// The text of a string token, and its bytes when they are not UTF-8.
    pub(super) fn unquote(&mut self, token: Token) -> (String, Option<Vec<u8>>) {
        let text = self.text_of(token);
        match super::quote::unquote(text) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(value) => (value, None),
                Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(error.into_bytes())),
            },
            Err(_) => {
                let message = format!("error unquoting string {}: invalid syntax", super::quote::go_quote(text));
                self.problem(token.span, message);
                (String::new(), None)
            }
        }
    }

    /// `( expr, … )`; returns the arguments, their height and where it ends.
    fn call_body(&mut self) -> Parsed<(Vec<Expr>, usize, u32)> {
        self.expect(Kind::LeftParen)?;
        let (mut args, mut height) = (Vec::new(), 0);
        if let Some(close) = self.eat(Kind::RightParen) {
            return Ok((args, height, close.span.end));
        }
        loop {
            let arg = self.expr(LOWEST)?;
            height = height.max(arg.height);
            args.push(arg.expr);
            if let Some(comma) = self.eat(Kind::Comma) {
                if self.kind() != Kind::RightParen {
                    continue;
                }
                self.problem(comma.span, "trailing commas not allowed in function call args");
            }
            let close = self.expect(Kind::RightParen)?;
            return Ok((args, height, close.span.end));
        }
    }

    fn call(&mut self) -> Parsed<Node> {
        let token = self.bump();
        let name = self.text_of(token);
        let (args, height, end) = self.call_body()?;
        let span = Span::new(token.span.start, end);
        let Some(function) = function(name) else {
            self.problem(token.span, format!("unknown function with name {}", super::quote::go_quote(name)));
            return Ok(Node::leaf(Expr::Number(NumberLiteral { value: 0.0, duration: false, span })));
        };
        if function.experimental && !self.options.experimental_functions {
            self.problem(token.span, format!("function \"{name}\" is not enabled"));
        }
        self.node(Expr::Call(Box::new(Call { function, args, span })), height)
    }

    fn aggregate(&mut self) -> Parsed<Node> {
        let token = self.bump();
        let op = AggregateOp::from_name(self.text_of(token)).unwrap_or(AggregateOp::Sum);
        let mut modifier = self.aggregate_modifier()?;
        let (mut args, height, mut end) = self.call_body()?;
        if modifier.is_none() {
            modifier = self.aggregate_modifier()?;
            if modifier.is_some() {
                end = self.last_end();
            }
        }
        let span = Span::new(token.span.start, end);
        let (grouping, without) = modifier.unwrap_or_default();
        let found = args.len();
        let wanted = if op.has_param() { 2 } else { 1 };
        if found == 0 {
            self.problem(span, "no arguments for aggregate expression provided");
        } else if op.is_experimental() && !self.options.experimental_functions {
            let name = op.as_str();
            self.problem(
                span,
                format!(
                    "{name}() is experimental and must be enabled with --enable-feature=promql-experimental-functions"
                ),
            );
        } else if found != wanted {
            self.problem(
                span,
                format!("wrong number of arguments for aggregate expression provided, expected {wanted}, got {found}"),
            );
        }
        let Some(expr) = args.pop() else {
            return Ok(Node::leaf(Expr::Number(NumberLiteral { value: 0.0, duration: false, span })));
        };
        let param = args.pop();
        self.node(Expr::Aggregate(Box::new(Aggregate { op, expr, param, grouping, without, span })), height)
    }

    fn aggregate_modifier(&mut self) -> Parsed<Option<(Vec<String>, bool)>> {
        if !matches!(self.kind(), Kind::By | Kind::Without) {
            return Ok(None);
        }
        let without = self.bump().kind == Kind::Without;
        Ok(Some((self.grouping_labels()?, without)))
    }
}
