//! Selectors, and what may follow an expression: `[…]`, `offset`, `@`, `anchored`, `smoothed`.

use model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};

use super::expr::{Node, Parsed, Parser};
use super::number::seconds_to_ms;
use super::token::{Kind, Token};
use crate::ast::{AtModifier, DurationExpr, DurationValue, Expr, Extension, MatrixSelector, Subquery, VectorSelector};
use crate::span::Span;

const RANGE_OR_SUBQUERY: (&str, &str) = ("subquery or range selector", "number, duration, step(), or range()");

impl Parser<'_> {
    /// The whole text as one selector.
    pub(super) fn whole_selector(&mut self) -> Option<VectorSelector> {
        if self.kind() != Kind::LeftBrace && !self.kind().is_metric_name() {
            let _: Parsed<()> = self.unexpected();
            return None;
        }
        let selector = self.selector().ok()?;
        self.at_end().then_some(selector)
    }

    fn at_end(&mut self) -> bool {
        self.kind() == Kind::Eof || self.unexpected::<()>().is_ok()
    }

    /// A selector without what may follow it.
    pub(super) fn selector(&mut self) -> Parsed<VectorSelector> {
        let first = self.peek();
        let mut span = first.span;
        let mut name = String::new();
        let mut matchers = Vec::new();
        if first.kind != Kind::LeftBrace {
            self.bump();
            name = self.text_of(first).to_owned();
        }
        if self.kind() == Kind::LeftBrace {
            span = span.to(self.matchers(&mut matchers)?);
        }
        if !name.is_empty() {
            matchers.push(Matcher::equal(METRIC_NAME, &name));
        }
        Ok(VectorSelector { name, matchers, offset: DurationValue::default(), at: None, extension: None, span })
    }

    /// `{ matcher, … }`; returns where it stands.
    fn matchers(&mut self, matchers: &mut Vec<Matcher>) -> Parsed<Span> {
        let open = self.bump();
        if let Some(close) = self.eat(Kind::RightBrace) {
            return Ok(open.span.to(close.span));
        }
        loop {
            self.matcher(matchers)?;
            let comma = self.eat(Kind::Comma).is_some();
            if let Some(close) = self.eat(Kind::RightBrace) {
                return Ok(open.span.to(close.span));
            }
            if !comma {
                return self.unexpected_in(("label matching", "\",\" or \"}\""));
            }
        }
    }

    fn matcher(&mut self, matchers: &mut Vec<Matcher>) -> Parsed<()> {
        let token = self.peek();
        let name = match token.kind {
            Kind::Identifier => {
                self.bump();
                self.text_of(token).to_owned()
            }
            Kind::String => {
                self.bump();
                self.unquote(token).0
            }
            _ => return self.unexpected_in(("label matching", "identifier or \"}\"")),
        };
        let op = match self.kind() {
            Kind::Equal => MatchOp::Equal,
            Kind::NotEqual => MatchOp::NotEqual,
            Kind::RegexEqual => MatchOp::Regex,
            Kind::RegexNotEqual => MatchOp::NotRegex,
            // A string alone is the metric's name.
            _ if token.kind == Kind::String => {
                matchers.push(Matcher::equal(METRIC_NAME, &name));
                return Ok(());
            }
            _ => return self.unexpected_in(("label matching", "label matching operator")),
        };
        self.bump();
        if self.kind() != Kind::String {
            return self.unexpected_in(("label matching", "string"));
        }
        let value_token = self.bump();
        let (value, _) = self.unquote(value_token);
        match Matcher::new(op, &name, &value) {
            Ok(matcher) => matchers.push(matcher),
            Err(error) => self.problem(token.span.to(value_token.span), error.to_string()),
        }
        Ok(())
    }

    /// Everything that may follow an expression.
    pub(super) fn postfix(&mut self, mut node: Node) -> Parsed<Node> {
        loop {
            match self.kind() {
                Kind::LeftBracket => node = self.brackets(node)?,
                Kind::Offset => self.offset(&mut node.expr)?,
                Kind::At => self.at_modifier(&mut node.expr)?,
                Kind::Anchored => self.extension(&mut node.expr, Extension::Anchored),
                Kind::Smoothed => self.extension(&mut node.expr, Extension::Smoothed),
                _ => return Ok(node),
            }
        }
    }

    fn brackets(&mut self, node: Node) -> Parsed<Node> {
        let open = self.bump();
        let range = self.within(RANGE_OR_SUBQUERY, Self::positive_duration)?;
        let mut step = DurationValue::default();
        if self.eat(Kind::Colon).is_some() {
            if self.kind() != Kind::RightBracket {
                let context = ("subquery selector", "number, duration, step(), range(), or \"]\"");
                step = self.within(context, Self::positive_duration)?;
                if self.kind() != Kind::RightBracket {
                    return self.unexpected_in(("subquery selector", "\"]\""));
                }
            }
            let close = self.bump();
            let span = node.expr.span().to(close.span);
            let offset = DurationValue::default();
            let subquery = Subquery { expr: node.expr, range, step, offset, at: None, span };
            return Ok(Node { expr: Expr::Subquery(Box::new(subquery)), height: node.height + 1 });
        }
        if self.kind() != Kind::RightBracket {
            return self.unexpected_in(("subquery or range", "\":\" or \"]\""));
        }
        let close = self.bump();
        let brackets = open.span.to(close.span);
        let span = node.expr.span().to(close.span);
        let vector = match node.expr {
            Expr::Vector(vector) => {
                if !vector.offset.is_unset() {
                    self.problem(brackets, "no offset modifiers allowed before range");
                } else if vector.at.is_some() {
                    self.problem(brackets, "no @ modifiers allowed before range");
                }
                *vector
            }
            other => {
                self.problem(brackets, "ranges only allowed for vector selectors");
                let span = other.span();
                let offset = DurationValue::default();
                VectorSelector { name: String::new(), matchers: Vec::new(), offset, at: None, extension: None, span }
            }
        };
        Ok(Node { expr: Expr::Matrix(Box::new(MatrixSelector { vector, range, span })), height: node.height })
    }

    fn positive_duration(&mut self) -> Parsed<DurationValue> {
        match self.duration_expr()? {
            DurationExpr::Number(number) if number.value.is_nan() || number.value <= 0.0 => {
                self.problem(number.span, "duration must be greater than 0");
                Ok(DurationValue::default())
            }
            DurationExpr::Number(number) => Ok(DurationValue { ms: seconds_to_ms(number.value), expr: None }),
            expr => Ok(DurationValue { ms: 0, expr: Some(expr) }),
        }
    }

    fn offset(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.bump();
        let context = ("offset", "number, duration, step(), or range()");
        let offset = match self.within(context, Self::offset_duration)? {
            DurationExpr::Number(number) => DurationValue { ms: seconds_to_ms(number.value), expr: None },
            expr => DurationValue { ms: 0, expr: Some(expr) },
        };
        let end = self.last_end();
        let span = expr.span();
        let (target, place) = match expr {
            Expr::Vector(vector) => (&mut vector.offset, &mut vector.span),
            Expr::Matrix(matrix) => (&mut matrix.vector.offset, &mut matrix.span),
            Expr::Subquery(subquery) => (&mut subquery.offset, &mut subquery.span),
            _ => {
                self.problem(
                    span,
                    "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                );
                return Ok(());
            }
        };
        place.end = end;
        if target.is_unset() {
            *target = offset;
        } else {
            self.problem(span, "offset may not be set multiple times");
        }
        Ok(())
    }

    fn at_modifier(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.bump();
        let context = ("@", "timestamp");
        let span = expr.span();
        let at = match self.kind() {
            start @ (Kind::Start | Kind::End) => {
                self.bump();
                self.within(context, |p| {
                    p.expect(Kind::LeftParen)?;
                    p.expect(Kind::RightParen)
                })?;
                if start == Kind::Start { AtModifier::Start } else { AtModifier::End }
            }
            _ => {
                let seconds = self.within(context, Self::signed_number)?;
                let limit = 9_223_372_036_854_775_807.0;
                if seconds.is_nan() || seconds >= limit || seconds <= -limit {
                    let shown = crate::format::fixed(seconds, 6);
                    self.problem(span, format!("timestamp out of bounds for @ modifier: {shown}"));
                }
                AtModifier::Timestamp((seconds * 1000.0).round() as i64)
            }
        };
        let end = self.last_end();
        let (target, place) = match expr {
            Expr::Vector(vector) => (&mut vector.at, &mut vector.span),
            Expr::Matrix(matrix) => (&mut matrix.vector.at, &mut matrix.span),
            Expr::Subquery(subquery) => (&mut subquery.at, &mut subquery.span),
            _ => {
                self.problem(
                    span,
                    "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                );
                return Ok(());
            }
        };
        if target.is_some() {
            self.problem(span, "@ <timestamp> may not be set multiple times");
        } else {
            *target = Some(at);
            place.end = end;
        }
        Ok(())
    }

    fn extension(&mut self, expr: &mut Expr, extension: Extension) {
        self.bump();
        let name = if extension == Extension::Anchored { "anchored" } else { "smoothed" };
        let span = expr.span();
        if !self.options.extended_range_selectors {
            self.problem(span, format!("{name} modifier is experimental and not enabled"));
            return;
        }
        let target = match expr {
            Expr::Vector(vector) => &mut vector.extension,
            Expr::Matrix(matrix) => &mut matrix.vector.extension,
            Expr::Subquery(_) => {
                self.problem(span, format!("{name} modifier is not supported for subqueries"));
                return;
            }
            _ => {
                self.problem(span, format!("{name} modifier not implemented"));
                return;
            }
        };
        if target.is_some_and(|set| set != extension) {
            self.problem(span, "anchored and smoothed modifiers cannot be used together");
        }
        *target = Some(extension);
    }

    /// The whole text as one series.
    pub(super) fn whole_metric(&mut self) -> Option<Labels> {
        let mut labels = LabelsBuilder::new();
        let first = self.peek();
        if first.kind.is_metric_name() {
            self.bump();
        }
        if self.kind() == Kind::LeftBrace {
            self.label_set(&mut labels).ok()?;
        }
        if first.kind.is_metric_name() {
            labels.set(METRIC_NAME, self.text_of(first));
        }
        self.at_end().then(|| labels.build())
    }

    fn label_set(&mut self, labels: &mut LabelsBuilder) -> Parsed<()> {
        self.bump();
        if self.eat(Kind::RightBrace).is_some() {
            return Ok(());
        }
        loop {
            self.label(labels)?;
            let comma = self.eat(Kind::Comma).is_some();
            if self.eat(Kind::RightBrace).is_some() {
                return Ok(());
            }
            if !comma {
                return self.unexpected_in(("label set", "\",\" or \"}\""));
            }
        }
    }

    fn label(&mut self, labels: &mut LabelsBuilder) -> Parsed<()> {
        let token = self.peek();
        let name = match token.kind {
            Kind::Identifier => {
                self.bump();
                self.text_of(token).to_owned()
            }
            Kind::String => {
                self.bump();
                self.unquote(token).0
            }
            _ => return self.unexpected_in(("label set", "identifier or \"}\"")),
        };
        if self.eat(Kind::Equal).is_none() {
            if token.kind == Kind::String {
                labels.set(METRIC_NAME, &name);
                return Ok(());
            }
            return self.unexpected_in(("label set", "\"=\""));
        }
        if self.kind() != Kind::String {
            return self.unexpected_in(("label set", "string"));
        }
        let value: Token = self.bump();
        let (value, _) = self.unquote(value);
        labels.set(&name, &value);
        Ok(())
    }
}
