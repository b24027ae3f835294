//! Selectors and pipelines.

use model::Matcher;

use super::{ParseError, Parser};
use crate::syntax::ast::{
    BinaryOp, Extraction, LabelChoice, LabelFormat, LabelFormatValue, LineAlternative, LineFilter, LineOp, LogExpr,
    LogfmtFlags, Selector, Span, Stage, StageKind,
};
use crate::syntax::token::Token;

impl Parser<'_> {
    /// `{…}` and the stages that follow it.
    pub(super) fn log_expression(&mut self) -> Result<LogExpr, ParseError> {
        let selector = self.selector()?;
        let stages = self.pipeline()?;
        let span = stages.last().map_or(selector.span, |last| selector.span.to(last.span));
        Ok(LogExpr { selector, stages, span })
    }

    pub(super) fn selector(&mut self) -> Result<Selector, ParseError> {
        let start = self.expect(&Token::OpenBrace)?;
        let mut matchers = Vec::new();
        if let Some(end) = self.accept(&Token::CloseBrace)? {
            return Ok(Selector { matchers, span: start.to(end) });
        }
        let mut expected: &[&str] = &["IDENTIFIER", "}"];
        loop {
            matchers.push(self.selector_matcher(expected)?);
            if let Some(end) = self.accept(&Token::CloseBrace)? {
                return Ok(Selector { matchers, span: start.to(end) });
            }
            if self.accept(&Token::Comma)?.is_none() {
                return Err(self.unexpected(&["}", ","]));
            }
            expected = &["IDENTIFIER"];
        }
    }

    fn selector_matcher(&mut self, expected: &[&str]) -> Result<Matcher, ParseError> {
        let (label, span) = self.expect_identifier(expected)?;
        let Some(op) = self.match_op() else { return Err(self.unexpected(&["=", "=~", "!~", "!="])) };
        self.advance()?;
        let (value, _) = self.expect_string(&["STRING"])?;
        self.matcher(op, &label, &value, span)
    }

    /// As many stages as follow; stops before `| unwrap`.
    pub(super) fn pipeline(&mut self) -> Result<Vec<Stage>, ParseError> {
        let mut stages = Vec::new();
        loop {
            let start = self.here();
            if let Some(op) = self.line_op() {
                self.advance()?;
                self.line_filter(op, start, &mut stages)?;
            } else if self.peek() == &Token::Pipe && !self.unwrap_follows()? {
                let bar = self.advance()?.span;
                let (kind, end) = self.stage(bar)?;
                stages.push(Stage { kind, span: start.to(end) });
            } else {
                return Ok(stages);
            }
        }
    }

    /// Whether the word after the `|` that is next is `unwrap`.
    pub(super) fn unwrap_follows(&mut self) -> Result<bool, ParseError> {
        let after = self.text.get(self.next.span.end as usize..).unwrap_or("");
        let mut lexer = crate::syntax::lexer::Lexer::new(after, false);
        // An error there is found again, with its place, when the parser gets to it.
        Ok(lexer.next().is_ok_and(|lexeme| lexeme.token == Token::Unwrap))
    }

    fn line_op(&self) -> Option<LineOp> {
        Some(match self.peek() {
            Token::PipeExact => LineOp::Contains,
            Token::Binary(BinaryOp::NotEqual) => LineOp::NotContains,
            Token::PipeMatch => LineOp::Regex,
            Token::NotRegexMatch => LineOp::NotRegex,
            Token::PipePattern => LineOp::Pattern,
            Token::NotPattern => LineOp::NotPattern,
            _ => return None,
        })
    }

    /// One stage, or one for each alternative where none of them may match.
    fn line_filter(&mut self, op: LineOp, mut start: Span, stages: &mut Vec<Stage>) -> Result<(), ParseError> {
        let mut alternatives = Vec::new();
        loop {
            let (alternative, end) = self.line_alternative()?;
            alternatives.push(alternative);
            let more = self.accept(&Token::Binary(BinaryOp::Or))?.is_some();
            if !more || op.is_negative() {
                let filter = LineFilter { op, alternatives: std::mem::take(&mut alternatives) };
                stages.push(Stage { kind: StageKind::LineFilter(filter), span: start.to(end) });
                start = self.here();
            }
            if !more {
                return Ok(());
            }
        }
    }

    fn line_alternative(&mut self) -> Result<(LineAlternative, Span), ParseError> {
        if self.accept(&Token::Ip)?.is_some() {
            let (text, end) = self.parenthesised_string()?;
            return Ok((LineAlternative { text, ip: true }, end));
        }
        let (text, end) = self.expect_string(&["STRING", "ip"])?;
        Ok((LineAlternative { text, ip: false }, end))
    }

    /// `("…")`
    pub(super) fn parenthesised_string(&mut self) -> Result<(String, Span), ParseError> {
        self.expect(&Token::OpenParen)?;
        let (text, _) = self.expect_string(&["STRING"])?;
        let end = self.expect(&Token::CloseParen)?;
        Ok((text, end))
    }

    /// What follows a `|`.
    fn stage(&mut self, bar: Span) -> Result<(StageKind, Span), ParseError> {
        let word = self.here();
        match self.peek() {
            Token::Json => {
                self.advance()?;
                let mut end = word;
                let mut arrays = false;
                while self.options.extensions && matches!(self.peek(), Token::Flag(flag) if flag == "--arrays") {
                    end = self.advance()?.span;
                    arrays = true;
                }
                match self.extractions()? {
                    Some((fields, end)) if !arrays => Ok((StageKind::JsonFields(fields), end)),
                    Some((_, _)) => Err(ParseError::of(bar.start as usize, "json --arrays takes no expressions")),
                    None => Ok((StageKind::Json { arrays }, end)),
                }
            }
            Token::Logfmt => {
                self.advance()?;
                let mut end = word;
                let mut flags = LogfmtFlags::default();
                while let Token::Flag(flag) = self.peek() {
                    match flag.as_str() {
                        "--strict" => flags.strict = true,
                        "--keep-empty" => flags.keep_empty = true,
                        _ => return Err(self.unexpected(&[])),
                    }
                    end = self.advance()?.span;
                }
                match self.extractions()? {
                    Some((fields, end)) => Ok((StageKind::LogfmtFields(flags, fields), end)),
                    None => Ok((StageKind::Logfmt(flags), end)),
                }
            }
            Token::Regexp => {
                self.advance()?;
                let (pattern, end) = self.expect_string(&["STRING"])?;
                self.check_regexp_parser(&pattern, bar)?;
                Ok((StageKind::Regexp(pattern), end))
            }
            Token::Pattern => {
                self.advance()?;
                let (pattern, end) = self.expect_string(&["STRING"])?;
                self.check_pattern_parser(&pattern, bar)?;
                Ok((StageKind::Pattern(pattern), end))
            }
            Token::Unpack => Ok((StageKind::Unpack, self.advance()?.span)),
            Token::Decolorize => Ok((StageKind::Decolorize, self.advance()?.span)),
            Token::LineFormat => {
                self.advance()?;
                let (template, end) = self.expect_string(&["STRING"])?;
                Ok((StageKind::LineFormat(template), end))
            }
            Token::LabelFormat => {
                self.advance()?;
                self.label_formats()
            }
            Token::Drop => {
                self.advance()?;
                let (choices, end) = self.label_choices()?;
                Ok((StageKind::Drop(choices), end))
            }
            Token::Keep => {
                self.advance()?;
                let (choices, end) = self.label_choices()?;
                Ok((StageKind::Keep(choices), end))
            }
            Token::Identifier(name) if self.options.extensions && self.extension_follows(name) => self.extension(),
            Token::Identifier(_) | Token::OpenParen => {
                let filter = self.label_filter()?;
                Ok((StageKind::LabelFilter(filter.filter), filter.span))
            }
            _ => Err(self.unexpected(&[])),
        }
    }

    /// `distinct` and `dedup` are stages unless an operator makes them labels.
    fn extension_follows(&self, name: &str) -> bool {
        let after = self.text.get(self.next.span.end as usize..).unwrap_or("").trim_start();
        let is_label = after.starts_with(['=', '!', '<', '>']) && !after.starts_with("!>");
        match name {
            "distinct" => after.starts_with(|c: char| c == '_' || c.is_alphabetic()),
            "dedup" => !is_label,
            _ => false,
        }
    }

    fn extension(&mut self) -> Result<(StageKind, Span), ParseError> {
        let (name, word) = self.expect_identifier(&[])?;
        if name == "dedup" {
            return Ok((StageKind::Dedup, word));
        }
        let mut labels = Vec::new();
        loop {
            let (label, end) = self.expect_identifier(&["IDENTIFIER"])?;
            labels.push(label);
            if self.accept(&Token::Comma)?.is_none() {
                return Ok((StageKind::Distinct(labels), end));
            }
        }
    }

    /// `a="x", b`, if a name is next.
    fn extractions(&mut self) -> Result<Option<(Vec<Extraction>, Span)>, ParseError> {
        if !matches!(self.peek(), Token::Identifier(_)) {
            return Ok(None);
        }
        let mut found = Vec::new();
        loop {
            let (label, mut end) = self.expect_identifier(&["IDENTIFIER"])?;
            let expression = if self.accept(&Token::Equal)?.is_some() {
                let (expression, span) = self.expect_string(&["STRING"])?;
                end = span;
                expression
            } else {
                label.clone()
            };
            found.push(Extraction { label, expression });
            if self.accept(&Token::Comma)?.is_none() {
                return Ok(Some((found, end)));
            }
        }
    }

    fn label_formats(&mut self) -> Result<(StageKind, Span), ParseError> {
        let mut formats = Vec::new();
        loop {
            let (label, _) = self.expect_identifier(&["IDENTIFIER"])?;
            self.expect(&Token::Equal)?;
            let (value, end) = match self.peek() {
                Token::Identifier(_) => {
                    let (source, end) = self.expect_identifier(&[])?;
                    (LabelFormatValue::Rename(source), end)
                }
                _ => {
                    let (template, end) = self.expect_string(&["IDENTIFIER", "STRING"])?;
                    (LabelFormatValue::Template(template), end)
                }
            };
            formats.push(LabelFormat { label, value });
            if self.accept(&Token::Comma)?.is_none() {
                return Ok((StageKind::LabelFormat(formats), end));
            }
        }
    }

    fn label_choices(&mut self) -> Result<(Vec<LabelChoice>, Span), ParseError> {
        let mut choices = Vec::new();
        loop {
            let (label, mut end) = self.expect_identifier(&["IDENTIFIER"])?;
            match self.match_op() {
                Some(op) => {
                    self.advance()?;
                    let (value, span) = self.expect_string(&["STRING"])?;
                    choices.push(LabelChoice::Matching(self.matcher(op, &label, &value, end)?));
                    end = span;
                }
                None => choices.push(LabelChoice::Name(label)),
            }
            if self.accept(&Token::Comma)?.is_none() {
                return Ok((choices, end));
            }
        }
    }
}
