//! The parser: recursive descent with a bound on nesting.

use super::lex::{Token, tokens};
use super::{Attribute, Block, Body, Diag, Expr, ExprKind, Pos, Result, Value};

/// Blocks and expressions nested deeper are refused.
const MAX_DEPTH: u32 = 100;

struct Parser {
    tokens: Vec<(Token, Pos)>,
    at: usize,
    depth: u32,
    /// Brackets open around the current token: newlines mean nothing there.
    brackets: u32,
}

/// Parses a file.
///
/// # Errors
/// With the place of the first mistake.
pub(crate) fn parse(file: &str, source: &str) -> Result<Body> {
    let mut parser = Parser { tokens: tokens(file, source)?, at: 0, depth: 0, brackets: 0 };
    let body = parser.body()?;
    match parser.peek() {
        Token::End => Ok(body),
        other => Err(parser.error(format!("expected an attribute or a block, found {}", other.describe()))),
    }
}

impl Parser {
    fn peek(&self) -> &Token {
        let mut at = self.at;
        if self.brackets > 0 {
            while matches!(self.tokens.get(at), Some((Token::Newline, _))) {
                at += 1;
            }
        }
        self.tokens.get(at).map_or(&Token::End, |(token, _)| token)
    }

    fn pos(&self) -> Pos {
        let mut at = self.at;
        if self.brackets > 0 {
            while matches!(self.tokens.get(at), Some((Token::Newline, _))) {
                at += 1;
            }
        }
        let last = self.tokens.len().saturating_sub(1);
        self.tokens[at.min(last)].1.clone()
    }

    fn error(&self, message: String) -> Diag {
        Diag::new(&self.pos(), message)
    }

    fn next(&mut self) -> Token {
        if self.brackets > 0 {
            while matches!(self.tokens.get(self.at), Some((Token::Newline, _))) {
                self.at += 1;
            }
        }
        let token = self.tokens.get(self.at).map_or(Token::End, |(token, _)| token.clone());
        self.at += 1;
        token
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(s) if *s == sign)
    }

    fn accept(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        if self.accept(sign) {
            return Ok(());
        }
        Err(self.error(format!("expected {sign:?}, found {}", self.peek().describe())))
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("nested too deep".into()));
        }
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn bracketed<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.brackets += 1;
        let result = self.deeper(parse);
        self.brackets -= 1;
        result
    }

    fn body(&mut self) -> Result<Body> {
        let mut body = Body::default();
        loop {
            while matches!(self.peek(), Token::Newline) || self.is(";") {
                self.next();
            }
            let pos = self.pos();
            let Token::Name(first) = self.peek().clone() else { return Ok(body) };
            self.next();
            if self.accept("=") {
                if body.attributes.iter().any(|attribute: &Attribute| attribute.name == first) {
                    return Err(Diag::new(&pos, format!("attribute {first:?} is given twice")));
                }
                let value = self.expr()?;
                body.attributes.push(Attribute { name: first, pos, value });
                self.end_of_statement()?;
                continue;
            }
            let mut name = first;
            while self.accept(".") {
                match self.next() {
                    Token::Name(part) => {
                        name.push('.');
                        name.push_str(&part);
                    }
                    other => {
                        return Err(Diag::new(&pos, format!("expected a name after '.', found {}", other.describe())));
                    }
                }
            }
            let mut label = String::new();
            if let Token::Text(text) = self.peek().clone() {
                let fits =
                    text.chars().enumerate().all(|(at, c)| c == '_' || c.is_alphabetic() || (at > 0 && c.is_numeric()));
                if text.is_empty() || !fits {
                    return Err(self.error(format!("block label {text:?} must be an identifier")));
                }
                label = text;
                self.next();
            }
            if !self.is("{") {
                let found = self.peek().describe();
                return Err(self.error(format!("expected \"=\" or a block after {name:?}, found {found}")));
            }
            self.next();
            // Inside a block newlines separate statements, whatever brackets are around it.
            let outer = std::mem::take(&mut self.brackets);
            let inner = self.deeper(Self::body)?;
            self.expect("}")?;
            self.brackets = outer;
            body.blocks.push(Block { name, label, pos, body: inner });
            self.end_of_statement()?;
        }
    }

    fn end_of_statement(&mut self) -> Result<()> {
        match self.peek() {
            Token::Newline | Token::End | Token::Sign("}" | ";") => Ok(()),
            other => Err(self.error(format!("expected the end of the line, found {}", other.describe()))),
        }
    }

    fn expr(&mut self) -> Result<Expr> {
        self.binary(0)
    }

    /// Operators by precedence, lowest first; `^` is above them and binds to the right.
    fn binary(&mut self, level: usize) -> Result<Expr> {
        const LEVELS: [&[&str]; 5] =
            [&["||"], &["&&"], &["==", "!=", "<=", ">=", "<", ">"], &["+", "-"], &["*", "/", "%"]];
        let Some(operators) = LEVELS.get(level) else { return self.power() };
        let mut left = self.binary(level + 1)?;
        let mut count = 0;
        while let Token::Sign(sign) = self.peek() {
            let Some(operator) = operators.iter().find(|o| *o == sign) else { break };
            count += 1;
            if count > 10_000 {
                return Err(self.error("expression too long".into()));
            }
            self.next();
            self.brackets += 1;
            let right = self.binary(level + 1);
            self.brackets -= 1;
            let pos = left.pos.clone();
            left = Expr { pos, kind: ExprKind::Binary(operator, Box::new(left), Box::new(right?)) };
            // A long chain nests to the left; evaluation walks it, so its depth is bounded as well.
            if count > MAX_DEPTH {
                return Err(self.error("expression too long".into()));
            }
        }
        Ok(left)
    }

    fn power(&mut self) -> Result<Expr> {
        let base = self.unary()?;
        if !self.accept("^") {
            return Ok(base);
        }
        let exponent = self.deeper(Self::power)?;
        let pos = base.pos.clone();
        Ok(Expr { pos, kind: ExprKind::Binary("^", Box::new(base), Box::new(exponent)) })
    }

    fn unary(&mut self) -> Result<Expr> {
        let pos = self.pos();
        for (sign, c) in [("-", '-'), ("!", '!')] {
            if self.accept(sign) {
                let inner = self.deeper(Self::unary)?;
                return Ok(Expr { pos, kind: ExprKind::Unary(c, Box::new(inner)) });
            }
        }
        let mut expr = self.primary()?;
        let mut depth = 0;
        loop {
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(self.error("nested too deep".into()));
            }
            let pos = expr.pos.clone();
            if self.accept(".") {
                match self.next() {
                    Token::Name(name) => expr = Expr { pos, kind: ExprKind::Field(Box::new(expr), name) },
                    other => return Err(self.error(format!("expected a name after '.', found {}", other.describe()))),
                }
            } else if self.is("[") {
                let index = self.bracketed(|p| {
                    p.next();
                    let index = p.expr()?;
                    p.expect("]")?;
                    Ok(index)
                })?;
                expr = Expr { pos, kind: ExprKind::Index(Box::new(expr), Box::new(index)) };
            } else if self.is("(") {
                let arguments = self.bracketed(|p| {
                    p.next();
                    p.list(")")
                })?;
                expr = Expr { pos, kind: ExprKind::Call(Box::new(expr), arguments) };
            } else {
                return Ok(expr);
            }
        }
    }

    /// Expressions up to the closing sign, a comma after the last one allowed.
    fn list(&mut self, close: &str) -> Result<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.accept(close) {
            items.push(self.expr()?);
            if !self.accept(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(items)
    }

    fn primary(&mut self) -> Result<Expr> {
        let pos = self.pos();
        let kind = match self.peek().clone() {
            Token::Number(number) => {
                self.next();
                ExprKind::Literal(Value::Number(number))
            }
            Token::Text(text) => {
                self.next();
                ExprKind::Literal(Value::Str(text.into()))
            }
            Token::Name(name) => {
                self.next();
                match name.as_str() {
                    "true" => ExprKind::Literal(Value::Bool(true)),
                    "false" => ExprKind::Literal(Value::Bool(false)),
                    "null" => ExprKind::Literal(Value::Null),
                    _ => ExprKind::Name(name),
                }
            }
            Token::Sign("(") => {
                return self.bracketed(|p| {
                    p.next();
                    let inner = p.expr()?;
                    p.expect(")")?;
                    Ok(inner)
                });
            }
            Token::Sign("[") => self.bracketed(|p| {
                p.next();
                Ok(ExprKind::Array(p.list("]")?))
            })?,
            Token::Sign("{") => self.bracketed(Self::object)?,
            other => return Err(self.error(format!("expected a value, found {}", other.describe()))),
        };
        Ok(Expr { pos, kind })
    }

    fn object(&mut self) -> Result<ExprKind> {
        self.next();
        let mut fields = Vec::new();
        while !self.accept("}") {
            let key = match self.next() {
                Token::Name(name) | Token::Text(name) => name,
                other => return Err(self.error(format!("expected a key, found {}", other.describe()))),
            };
            if fields.iter().any(|(name, _)| *name == key) {
                return Err(self.error(format!("key {key:?} is given twice")));
            }
            self.expect("=")?;
            fields.push((key, self.expr()?));
            if !self.accept(",") {
                if !self.is("}") {
                    let found = self.peek().describe();
                    return Err(self.error(format!("expected \",\" or \"}}\", found {found}")));
                }
                self.expect("}")?;
                break;
            }
        }
        Ok(ExprKind::Object(fields))
    }
}
