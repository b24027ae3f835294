//! Texts to expressions.

use std::iter::Peekable;
use std::str::CharIndices;

use super::{Binary, Each, Math, MathError, Node, Unary};

/// Expressions may be nested this deep.
const MAX_DEPTH: usize = 100;
/// Most tokens of an expression: a long chain of operators is a deep tree too.
const MAX_TOKENS: usize = 1000;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Variable(String),
    Operator(Binary),
    Not,
    Open,
    Close,
    Comma,
    End,
}

impl Math {
    /// # Errors
    /// When the text is no expression.
    pub fn new(text: &str) -> Result<Self, MathError> {
        let tokens = lex(text)?;
        let mut parser = Parser { tokens, next: 0, variables: Vec::new(), depth: 0 };
        let root = parser.binary(0)?;
        match parser.peek() {
            Token::End => Ok(Self { root, variables: parser.variables }),
            _ => Err(parser.unexpected("after the expression")),
        }
    }
}

fn lex(text: &str) -> Result<Vec<(usize, Token)>, MathError> {
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let error = |message: String| Err(MathError { message, at });
        let mut then = |next: char| chars.next_if(|(_, c)| *c == next).is_some();
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '+' => Token::Operator(Binary::Add),
            '-' => Token::Operator(Binary::Sub),
            '/' => Token::Operator(Binary::Div),
            '%' => Token::Operator(Binary::Mod),
            '*' => Token::Operator(if then('*') { Binary::Pow } else { Binary::Mul }),
            '>' => Token::Operator(if then('=') { Binary::Ge } else { Binary::Gt }),
            '<' => Token::Operator(if then('=') { Binary::Le } else { Binary::Lt }),
            '!' if then('=') => Token::Operator(Binary::Ne),
            '!' => Token::Not,
            '=' if then('=') => Token::Operator(Binary::Eq),
            '&' if then('&') => Token::Operator(Binary::And),
            '|' if then('|') => Token::Operator(Binary::Or),
            '$' => Token::Variable(variable(&mut chars, at)?),
            c if c.is_ascii_digit() || c == '.' => Token::Number(number(text, at, &mut chars)?),
            c if c.is_alphabetic() || c == '_' => {
                let mut name = String::from(c);
                name.push_str(&word(&mut chars));
                Token::Name(name)
            }
            c => return error(format!("invalid character: {c}")),
        };
        if tokens.len() >= MAX_TOKENS {
            return error(format!("expression has more than {MAX_TOKENS} parts"));
        }
        tokens.push((at, token));
    }
    tokens.push((text.len(), Token::End));
    Ok(tokens)
}

fn word(chars: &mut Peekable<CharIndices<'_>>) -> String {
    std::iter::from_fn(|| chars.next_if(|(_, c)| c.is_alphanumeric() || *c == '_')).map(|(_, c)| c).collect()
}

fn variable(chars: &mut Peekable<CharIndices<'_>>, at: usize) -> Result<String, MathError> {
    let error = |message: &str| Err(MathError { message: message.to_owned(), at });
    if chars.next_if(|(_, c)| *c == '{').is_none() {
        let name = word(chars);
        return if name.is_empty() { error("incomplete variable") } else { Ok(name) };
    }
    let mut name = String::new();
    for (_, c) in chars.by_ref() {
        if c == '}' {
            return if name.is_empty() { error("incomplete variable") } else { Ok(name) };
        }
        name.push(c);
    }
    error("unterminated variable missing closing }")
}

fn number(text: &str, at: usize, chars: &mut Peekable<CharIndices<'_>>) -> Result<f64, MathError> {
    let mut previous = '0';
    let mut hex = false;
    while let Some((_, c)) = chars.next_if(|(_, c)| {
        c.is_ascii_alphanumeric() || *c == '.' || (!hex && matches!(*c, '+' | '-') && matches!(previous, 'e' | 'E'))
    }) {
        hex |= matches!(c, 'x' | 'X');
        previous = c;
    }
    let end = chars.peek().map_or(text.len(), |(at, _)| *at);
    let text = text.get(at..end).unwrap_or_default();
    let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(|value| value as f64),
        None => text
            .parse()
            .ok()
            .filter(|_| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))),
    };
    value.ok_or_else(|| MathError { message: format!("bad number syntax: {text:?}"), at })
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    variables: Vec<String>,
    depth: usize,
}

/// Operators by how tightly they bind, loosest first.
fn level(operator: Binary) -> usize {
    match operator {
        Binary::Or => 0,
        Binary::And => 1,
        Binary::Eq | Binary::Ne | Binary::Gt | Binary::Ge | Binary::Lt | Binary::Le => 2,
        Binary::Add | Binary::Sub => 3,
        Binary::Mul | Binary::Div | Binary::Mod => 4,
        Binary::Pow => 5,
    }
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn unexpected(&self, place: &str) -> MathError {
        let at = self.tokens.get(self.next).map_or(0, |(at, _)| *at);
        let found = match self.peek() {
            Token::Number(value) => value.to_string(),
            Token::Name(name) => format!("{name:?}"),
            Token::Variable(name) => format!("\"${name}\""),
            Token::Operator(operator) => format!("\"{operator}\""),
            Token::Not => "\"!\"".to_owned(),
            Token::Open => "\"(\"".to_owned(),
            Token::Close => "\")\"".to_owned(),
            Token::Comma => "\",\"".to_owned(),
            Token::End => "end of input".to_owned(),
        };
        MathError { message: format!("unexpected {found} {place}"), at }
    }

    fn expect(&mut self, token: &Token, place: &str) -> Result<(), MathError> {
        if self.peek() != token {
            return Err(self.unexpected(place));
        }
        self.next += 1;
        Ok(())
    }

    /// Operators of at least this level.
    fn binary(&mut self, from: usize) -> Result<Node, MathError> {
        let mut left = self.atom()?;
        while let Token::Operator(operator) = *self.peek() {
            let own = level(operator);
            if own < from {
                break;
            }
            self.next += 1;
            let right = self.binary(own + 1)?;
            left = Node::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn atom(&mut self) -> Result<Node, MathError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let at = self.tokens.get(self.next).map_or(0, |(at, _)| *at);
            return Err(MathError { message: format!("expression is nested more than {MAX_DEPTH} deep"), at });
        }
        let node = self.atom_inner();
        self.depth -= 1;
        node
    }

    fn atom_inner(&mut self) -> Result<Node, MathError> {
        match self.peek().clone() {
            Token::Number(value) => {
                self.next += 1;
                Ok(Node::Number(value))
            }
            Token::Variable(name) => {
                self.next += 1;
                if !self.variables.contains(&name) {
                    self.variables.push(name.clone());
                }
                Ok(Node::Variable(name))
            }
            Token::Not => {
                self.next += 1;
                Ok(Node::Unary(Unary::Not, Box::new(self.atom()?)))
            }
            Token::Operator(Binary::Sub) => {
                self.next += 1;
                Ok(Node::Unary(Unary::Minus, Box::new(self.atom()?)))
            }
            Token::Open => {
                self.next += 1;
                let node = self.binary(0)?;
                self.expect(&Token::Close, "in parentheses")?;
                Ok(node)
            }
            Token::Name(name) => self.function(&name),
            _ => Err(self.unexpected("where a value is wanted")),
        }
    }

    fn function(&mut self, name: &str) -> Result<Node, MathError> {
        let at = self.tokens.get(self.next).map_or(0, |(at, _)| *at);
        let error = |message: String| Err(MathError { message, at });
        self.next += 1;
        let constant = match name {
            "nan" => Some(Some(f64::NAN)),
            "inf" => Some(Some(f64::INFINITY)),
            "infn" => Some(Some(f64::NEG_INFINITY)),
            "null" => Some(None),
            _ => None,
        };
        let each = match name {
            "abs" => Some(Each::Abs),
            "log" => Some(Each::Log),
            "ceil" => Some(Each::Ceil),
            "floor" => Some(Each::Floor),
            "round" => Some(Each::Round),
            "is_nan" => Some(Each::IsNan),
            "is_inf" => Some(Each::IsInf),
            "is_null" => Some(Each::IsNull),
            "is_number" => Some(Each::IsNumber),
            _ => None,
        };
        if constant.is_none() && each.is_none() {
            return error(format!("non existent function {name}"));
        }
        self.expect(&Token::Open, "after a function's name")?;
        let mut arguments = Vec::new();
        if *self.peek() != Token::Close {
            loop {
                arguments.push(self.binary(0)?);
                if *self.peek() != Token::Comma {
                    break;
                }
                self.advance();
            }
        }
        self.expect(&Token::Close, "in a function's arguments")?;
        match (constant, each, arguments.len()) {
            (Some(value), _, 0) => Ok(Node::Constant(value)),
            (_, Some(each), 1) => Ok(Node::Each(each, Box::new(arguments.remove(0)))),
            (Some(_), _, _) => error(format!("too many arguments for {name}")),
            (_, _, 0) => error(format!("not enough arguments for {name}")),
            _ => error(format!("too many arguments for {name}")),
        }
    }
}
