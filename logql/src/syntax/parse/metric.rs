//! Expressions with numbers: windows, aggregations, operators.

use super::{MAX_HEIGHT, ParseError, Parser, Sized};
use crate::syntax::ast::{
    Binary, BinaryOp, Cardinality, Conversion, Expr, Grouping, LabelReplace, LogExpr, LogRange, Matching, MetricExpr,
    RangeAggregation, RangeOp, Span, Subquery, Unwrap, VectorAggregation, VectorOp,
};
use crate::syntax::token::Token;

impl Parser<'_> {
    /// An expression whose operators all bind tighter than `above`.
    pub(super) fn expression(&mut self, above: u8) -> Result<Sized, ParseError> {
        let mut left = self.nested(Self::operand)?;
        while let Token::Binary(op) = *self.peek() {
            let precedence = op.precedence();
            if precedence <= above {
                break;
            }
            self.advance()?;
            let (return_bool, matching) = self.modifiers()?;
            // `^` takes its own kind as right side, the others do not.
            let right = self.nested(|p| p.expression(if op == BinaryOp::Pow { precedence - 1 } else { precedence }))?;
            left = self.binary(op, return_bool, matching, left, right)?;
        }
        Ok(left)
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        return_bool: bool,
        matching: Matching,
        left: Sized,
        right: Sized,
    ) -> Result<Sized, ParseError> {
        let span = left.expr.span().to(right.expr.span());
        let height = left.height.max(right.height) + 1;
        if height > MAX_HEIGHT {
            return Err(self.too_deep());
        }
        let (left, right) = match (left.expr, right.expr) {
            (Expr::Metric(left), Expr::Metric(right)) => (left, right),
            (Expr::Log(log), _) => return Ok(self.wrong_operand("left", op, &log, span, height)),
            (_, Expr::Log(log)) => return Ok(self.wrong_operand("right", op, &log, span, height)),
        };
        if op.is_set() {
            self.check_set_operands(op.as_str(), &left, &right, span);
        }
        if let (MetricExpr::Literal(a, _), MetricExpr::Literal(b, _)) = (&left, &right)
            && let Some(value) = op.apply(*a, *b)
        {
            return Ok(Sized { expr: Expr::Metric(MetricExpr::Literal(value, span)), height: 1 });
        }
        let node = Binary { op, return_bool, matching, left, right, span };
        Ok(Sized { expr: Expr::Metric(MetricExpr::Binary(Box::new(node))), height })
    }

    /// Entries cannot be operands; the reference says so with the names of its types.
    fn wrong_operand(&mut self, side: &str, op: BinaryOp, log: &LogExpr, span: Span, height: usize) -> Sized {
        let kind = if log.stages.is_empty() { "MatchersExpr" } else { "PipelineExpr" };
        let op = op.as_str();
        self.later(span, format!("unexpected type for {side} leg of binary operation ({op}): *syntax.{kind}"));
        Sized { expr: Expr::Metric(MetricExpr::Literal(f64::NAN, span)), height }
    }

    fn modifiers(&mut self) -> Result<(bool, Matching), ParseError> {
        let return_bool = self.accept(&Token::Bool)?.is_some();
        let mut matching = Matching::default();
        matching.on = match self.peek() {
            Token::On => true,
            Token::Ignoring => false,
            _ => return Ok((return_bool, matching)),
        };
        self.advance()?;
        matching.labels = self.labels()?.0;
        matching.cardinality = match self.peek() {
            Token::GroupLeft => Cardinality::ManyToOne,
            Token::GroupRight => Cardinality::OneToMany,
            _ => return Ok((return_bool, matching)),
        };
        self.advance()?;
        if self.peek() == &Token::OpenParen {
            matching.include = self.labels()?.0;
        }
        Ok((return_bool, matching))
    }

    /// `(a, b)` or `()`
    fn labels(&mut self) -> Result<(Vec<String>, Span), ParseError> {
        self.expect(&Token::OpenParen)?;
        let mut labels = Vec::new();
        if let Some(end) = self.accept(&Token::CloseParen)? {
            return Ok((labels, end));
        }
        let mut expected: &[&str] = &["IDENTIFIER", ")"];
        loop {
            labels.push(self.expect_identifier(expected)?.0);
            expected = &["IDENTIFIER"];
            if let Some(end) = self.accept(&Token::CloseParen)? {
                return Ok((labels, end));
            }
            if self.accept(&Token::Comma)?.is_none() {
                return Err(self.unexpected(&[",", ")"]));
            }
        }
    }

    /// `by (…)` or `without (…)`, if it is next.
    fn grouping(&mut self) -> Result<Option<(Grouping, Span)>, ParseError> {
        let without = match self.peek() {
            Token::By => false,
            Token::Without => true,
            _ => return Ok(None),
        };
        self.advance()?;
        let (labels, end) = self.labels()?;
        Ok(Some((Grouping { labels, without }, end)))
    }

    fn operand(&mut self) -> Result<Sized, ParseError> {
        let start = self.here();
        let leaf = |expr| Sized { expr, height: 1 };
        match *self.peek() {
            Token::OpenBrace => Ok(leaf(Expr::Log(self.log_expression()?))),
            Token::OpenParen => {
                self.advance()?;
                let inner = self.expression(0)?;
                let end = self.close()?;
                Ok(Sized { expr: respan(inner.expr, start.to(end)), height: inner.height })
            }
            Token::Number(_) => {
                let (text, span) = self.expect_number()?;
                let value = self.literal(&text, false, span, "literal");
                Ok(leaf(Expr::Metric(MetricExpr::Literal(value, span))))
            }
            Token::Binary(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.advance()?;
                let (text, end) = self.expect_number()?;
                let span = start.to(end);
                let value = self.literal(&text, op == BinaryOp::Sub, span, "literal");
                Ok(leaf(Expr::Metric(MetricExpr::Literal(value, span))))
            }
            Token::RangeOp(op) => {
                self.advance()?;
                self.range_aggregation(op, start)
            }
            Token::VectorOp(op) => {
                self.advance()?;
                self.vector_aggregation(op, start)
            }
            Token::LabelReplace => {
                self.advance()?;
                self.label_replace(start)
            }
            Token::Vector => {
                self.advance()?;
                self.expect(&Token::OpenParen)?;
                let (text, number) = self.expect_number()?;
                let end = self.expect(&Token::CloseParen)?;
                let value = self.literal(&text, false, number, "vectorExpr");
                Ok(leaf(Expr::Metric(MetricExpr::VectorLiteral(value, start.to(end)))))
            }
            _ => Err(self.unexpected(&[])),
        }
    }

    /// The closing parenthesis of an expression.
    fn close(&mut self) -> Result<Span, ParseError> {
        match self.accept(&Token::CloseParen)? {
            Some(end) => Ok(end),
            None => self.refuse_unwrap(),
        }
    }

    /// The error for the next token, or for the `unwrap` behind it where one stands without a range.
    pub(super) fn refuse_unwrap<T>(&mut self) -> Result<T, ParseError> {
        if self.peek() == &Token::Pipe && self.unwrap_follows()? {
            self.advance()?;
        }
        Err(self.unexpected(&[]))
    }

    /// An expression of numbers; entries are refused at the token after them.
    fn metric_expression(&mut self) -> Result<(MetricExpr, usize), ParseError> {
        let inner = self.expression(0)?;
        match inner.expr {
            Expr::Metric(metric) => Ok((metric, inner.height)),
            Expr::Log(_) => self.refuse_unwrap(),
        }
    }

    fn vector_aggregation(&mut self, op: VectorOp, start: Span) -> Result<Sized, ParseError> {
        let mut grouping = self.grouping()?;
        if self.peek() != &Token::OpenParen {
            let expected: &[&str] = if grouping.is_some() { &["("] } else { &["(", "by", "without"] };
            return Err(self.unexpected(expected));
        }
        self.advance()?;
        let mut parameter = None;
        if let Token::Number(text) = self.peek().clone()
            && self.comma_follows()
        {
            self.advance()?;
            self.expect(&Token::Comma)?;
            parameter = Some(text);
        }
        let (inner, height) = self.metric_expression()?;
        let mut end = match self.accept(&Token::CloseParen)? {
            Some(end) => end,
            None => return Err(self.unexpected(&[])),
        };
        if grouping.is_none() {
            grouping = self.grouping()?;
            end = grouping.as_ref().map_or(end, |(_, span)| *span);
        }
        let span = start.to(end);
        let grouping = grouping.map(|(grouping, _)| grouping);
        let parameter = self.check_vector(op, parameter.as_deref(), grouping.as_ref(), span);
        let node = VectorAggregation { op, parameter, grouping: grouping.unwrap_or_default(), inner, span };
        self.taller(MetricExpr::Vector(Box::new(node)), height)
    }

    fn taller(&self, expr: MetricExpr, height: usize) -> Result<Sized, ParseError> {
        if height >= MAX_HEIGHT {
            return Err(self.too_deep());
        }
        Ok(Sized { expr: Expr::Metric(expr), height: height + 1 })
    }

    /// Whether a comma comes after the token that is next.
    fn comma_follows(&self) -> bool {
        let after = self.text.get(self.next.span.end as usize..).unwrap_or("");
        let mut lexer = crate::syntax::lexer::Lexer::new(after, false);
        lexer.next().is_ok_and(|lexeme| lexeme.token == Token::Comma)
    }

    fn label_replace(&mut self, start: Span) -> Result<Sized, ParseError> {
        self.expect(&Token::OpenParen)?;
        let (inner, height) = self.metric_expression()?;
        if self.peek() != &Token::Comma {
            return Err(self.unexpected(&[]));
        }
        let mut texts = [const { String::new() }; 4];
        for text in &mut texts {
            self.expect(&Token::Comma)?;
            *text = self.expect_string(&["STRING"])?.0;
        }
        let end = self.expect(&Token::CloseParen)?;
        let span = start.to(end);
        let [destination, replacement, source, regex] = texts;
        let anchored = format!("^(?:{regex})$");
        if let Err(e) = model::regex::GoRegex::new(&anchored, model::regex::Flags::SEARCH) {
            self.later(span, format!("invalid regex in label_replace: {e}"));
        }
        let node = LabelReplace { inner, destination, replacement, source, regex, span };
        self.taller(MetricExpr::LabelReplace(Box::new(node)), height)
    }

    fn range_aggregation(&mut self, op: RangeOp, start: Span) -> Result<Sized, ParseError> {
        self.expect(&Token::OpenParen)?;
        let mut parameter = None;
        let mut field = None;
        let mut expected: &[&str] = &["NUMBER", "{", "("];
        if op == RangeOp::CountDistinct {
            field = Some(self.expect_identifier(&["IDENTIFIER"])?.0);
            self.expect(&Token::Comma)?;
            expected = &["{", "("];
        } else if let Token::Number(text) = self.peek().clone()
            && (!self.options.extensions || self.comma_follows())
        {
            self.advance()?;
            self.expect(&Token::Comma)?;
            parameter = Some(text);
            expected = &["{", "("];
        }
        if self.options.extensions && self.subquery_follows() {
            return self.subquery(op, parameter.as_deref(), start);
        }
        let range = self.log_range(expected)?;
        let mut end = self.expect(&Token::CloseParen)?;
        let grouping = self.grouping()?;
        end = grouping.as_ref().map_or(end, |(_, span)| *span);
        let grouping = grouping.map(|(grouping, _)| grouping);
        let mut node = RangeAggregation { op, parameter: None, field, range, grouping, span: start.to(end) };
        node.parameter = self.check_range(&node, parameter.as_deref());
        self.taller(MetricExpr::Range(Box::new(node)), 1)
    }

    /// With extensions, whether an expression of numbers comes next: a function, a sign or a number inside any
    /// number of parentheses.
    fn subquery_follows(&self) -> bool {
        let mut lexer = crate::syntax::lexer::Lexer::new(
            self.text.get(self.next.span.start as usize..).unwrap_or(""),
            self.options.extensions,
        );
        loop {
            match lexer.next().map(|lexeme| lexeme.token) {
                Ok(Token::OpenParen) => {}
                Ok(
                    Token::RangeOp(_)
                    | Token::VectorOp(_)
                    | Token::LabelReplace
                    | Token::Vector
                    | Token::Number(_)
                    | Token::Binary(BinaryOp::Add | BinaryOp::Sub),
                ) => return true,
                _ => return false,
            }
        }
    }

    fn subquery(&mut self, op: RangeOp, parameter: Option<&str>, start: Span) -> Result<Sized, ParseError> {
        let (inner, height) = self.metric_expression()?;
        let Token::Subquery(range_ns, step_ns) = *self.peek() else {
            return Err(self.unexpected(&["SUBQUERY"]));
        };
        self.advance()?;
        let offset_ns = self.offset()?.unwrap_or(0);
        let end = self.expect(&Token::CloseParen)?;
        let span = start.to(end);
        let parameter = match (op, parameter) {
            (RangeOp::Quantile, Some(text)) => Some(self.literal(text, false, span, "literal")),
            (RangeOp::Quantile, None) => {
                self.later(span, format!("parameter required for operation {}", op.as_str()));
                None
            }
            (_, Some(text)) => {
                self.later(span, format!("parameter {text} not supported for operation {}", op.as_str()));
                None
            }
            (_, None) => None,
        };
        if !op.allows_unwrap() && op != RangeOp::Count || range_ns <= 0 || step_ns.is_some_and(|step| step <= 0) {
            self.later(span, format!("{} does not take a subquery of this form", op.as_str()));
        }
        let node = Subquery { op, parameter, inner, range_ns, step_ns, offset_ns, span };
        self.taller(MetricExpr::Subquery(Box::new(node)), height)
    }

    fn offset(&mut self) -> Result<Option<i64>, ParseError> {
        if self.accept(&Token::Offset)?.is_none() {
            return Ok(None);
        }
        match *self.peek() {
            Token::Duration(ns) => {
                self.advance()?;
                Ok(Some(ns))
            }
            _ => Err(self.unexpected(&["DURATION"])),
        }
    }

    /// Entries with a window, which stands behind the selector or behind the pipeline.
    fn log_range(&mut self, expected: &[&str]) -> Result<LogRange, ParseError> {
        let start = self.here();
        match self.peek() {
            Token::OpenBrace => self.bare_range(),
            Token::OpenParen => {
                self.advance()?;
                let mut range = if self.peek() == &Token::OpenBrace {
                    match self.parenthesised_log()? {
                        Ok(range) => return Ok(range_from(range, start)),
                        Err(range) => range,
                    }
                } else {
                    self.nested(|p| p.log_range(&["{", "("]))?
                };
                let end = self.expect(&Token::CloseParen)?;
                range.span = start.to(end);
                Ok(range)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    /// After `(` and before `{`: either entries in parentheses whose window follows (`Ok`), or entries with their window,
    /// whose parenthesis is still open (`Err`).
    fn parenthesised_log(&mut self) -> Result<Result<LogRange, LogRange>, ParseError> {
        let start = self.here();
        let selector = self.selector()?;
        if matches!(self.peek(), Token::Range(_)) {
            return Ok(Err(self.range_first(selector)?));
        }
        let stages = self.pipeline()?;
        let unwrap = self.unwrap()?;
        let end = self.here();
        let plain = stages.is_empty() && unwrap.is_none();
        let log = LogExpr { span: selector.span.to(stages.last().map_or(selector.span, |s| s.span)), selector, stages };
        if let Token::Range(range_ns) = *self.peek() {
            self.advance()?;
            let offset_ns = self.offset()?.unwrap_or(0);
            return Ok(Err(LogRange { log, range_ns, offset_ns, unwrap, span: start.to(end) }));
        }
        match self.accept(&Token::CloseParen)? {
            Some(_) => {}
            None => return Err(self.unexpected(if unwrap.is_some() { &[")", "RANGE", "|"] } else { &[] })),
        }
        let Token::Range(range_ns) = *self.peek() else { return Err(self.unexpected(&["RANGE"])) };
        let mut end = self.advance()?.span;
        let mut offset_ns = 0;
        if self.peek() == &Token::Offset {
            end = self.here();
            offset_ns = self.offset()?.unwrap_or(0);
        }
        let unwrap = if plain { self.unwrap()? } else { unwrap };
        let end = unwrap.as_ref().filter(|_| plain).map_or(end, |unwrap| unwrap.span);
        Ok(Ok(LogRange { log, range_ns, offset_ns, unwrap, span: start.to(end) }))
    }

    fn bare_range(&mut self) -> Result<LogRange, ParseError> {
        let start = self.here();
        let selector = self.selector()?;
        if matches!(self.peek(), Token::Range(_)) {
            return self.range_first(selector);
        }
        let stages = self.pipeline()?;
        let unwrap = self.unwrap()?;
        let Token::Range(range_ns) = *self.peek() else {
            return Err(self.unexpected(if unwrap.is_some() { &["RANGE", "|"] } else { &[] }));
        };
        let mut end = self.advance()?.span;
        let mut offset_ns = 0;
        if self.peek() == &Token::Offset {
            end = self.here();
            offset_ns = self.offset()?.unwrap_or(0);
        }
        let log = LogExpr { span: selector.span.to(stages.last().map_or(selector.span, |s| s.span)), selector, stages };
        Ok(LogRange { log, range_ns, offset_ns, unwrap, span: start.to(end) })
    }

    /// `{…}[5m] offset 1h | json | unwrap a`
    fn range_first(&mut self, selector: crate::syntax::ast::Selector) -> Result<LogRange, ParseError> {
        let mut end = self.here();
        let range_ns = match self.advance()?.token {
            Token::Range(ns) => ns,
            _ => 0,
        };
        let mut offset_ns = 0;
        if self.peek() == &Token::Offset {
            end = self.here();
            offset_ns = self.offset()?.unwrap_or(0);
        }
        let stages = self.pipeline()?;
        let unwrap = self.unwrap()?;
        end = stages.last().map_or(end, |stage| stage.span);
        end = unwrap.as_ref().map_or(end, |unwrap| unwrap.span);
        let span = selector.span.to(end);
        let log = LogExpr { span: selector.span, selector, stages };
        Ok(LogRange { log, range_ns, offset_ns, unwrap, span })
    }

    /// `| unwrap a | b > 5`, if it is next.
    fn unwrap(&mut self) -> Result<Option<Unwrap>, ParseError> {
        if self.peek() != &Token::Pipe || !self.unwrap_follows()? {
            return Ok(None);
        }
        let start = self.advance()?.span;
        self.advance()?;
        let conversion = match self.peek() {
            Token::BytesConversion => Conversion::Bytes,
            Token::DurationConversion => Conversion::Duration,
            Token::DurationSecondsConversion => Conversion::DurationSeconds,
            _ => Conversion::Number,
        };
        let (label, mut end) = if conversion == Conversion::Number {
            self.expect_identifier(&["IDENTIFIER", "BYTES_CONV", "DURATION_CONV", "DURATION_SECONDS_CONV"])?
        } else {
            self.advance()?;
            self.expect(&Token::OpenParen)?;
            let (label, _) = self.expect_identifier(&["IDENTIFIER"])?;
            (label, self.expect(&Token::CloseParen)?)
        };
        let mut filters = Vec::new();
        while self.peek() == &Token::Pipe {
            self.advance()?;
            if !matches!(self.peek(), Token::Identifier(_) | Token::OpenParen) {
                return Err(self.unexpected(&["IDENTIFIER", "("]));
            }
            let filter = self.label_filter()?;
            end = filter.span;
            filters.push(filter.filter);
        }
        Ok(Some(Unwrap { label, conversion, filters, span: start.to(end) }))
    }
}

fn range_from(mut range: LogRange, start: Span) -> LogRange {
    range.span = start.to(range.span);
    range
}

/// The expression with the place of its parentheses.
fn respan(expr: Expr, place: Span) -> Expr {
    match expr {
        Expr::Metric(MetricExpr::Literal(value, _)) => Expr::Metric(MetricExpr::Literal(value, place)),
        other => other,
    }
}
