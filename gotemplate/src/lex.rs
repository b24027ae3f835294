//! Cuts the text of a template into tokens.
//!
//! Outside `{{ … }}` everything is text (less what a trim marker takes away); inside are the words of the template
//! language. The whole text is cut at once; a mistake becomes an error token at its place, after which nothing follows.

/// What a [`Token`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Bool,
    /// A character that means something only here and there, such as a comma.
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    // Keywords.
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl Kind {
    fn is_keyword(self) -> bool {
        use Kind as K;
        matches!(
            self,
            K::Block | K::Break | K::Continue | K::Dot | K::Define | K::Else | K::End | K::If | K::Nil | K::Range
        ) || matches!(self, K::Template | K::With)
    }
}

/// A piece of the template.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Where it starts.
    pub(crate) pos: usize,
    /// Line on which it starts, from 1.
    pub(crate) line: usize,
    /// Its text; for an error, the message.
    pub(crate) text: String,
}

/// As shown in "unexpected …".
impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            Kind::Eof => f.write_str("EOF"),
            Kind::Error => f.write_str(&self.text),
            kind if kind.is_keyword() => write!(f, "<{}>", self.text),
            _ if self.text.len() > 10 => {
                let start: String = self.text.chars().take(10).collect();
                write!(f, "{}...", model::number::quote(&start))
            }
            _ => f.write_str(&model::number::quote(&self.text)),
        }
    }
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts `input` into tokens. The last one is the end or an error.
pub(crate) fn lex(input: &str) -> Vec<Token> {
    let mut lexer =
        Lexer { input, pos: 0, start: 0, start_line: 1, counted: 0, line: 1, parens: 0, tokens: Vec::new() };
    if let Err(message) = lexer.text() {
        let (pos, line) = (lexer.start, lexer.start_line);
        lexer.tokens.push(Token { kind: Kind::Error, pos, line, text: message });
    }
    let (pos, line) = (lexer.pos, lexer.line_at(lexer.pos));
    lexer.tokens.push(Token { kind: Kind::Eof, pos, line, text: "EOF".to_owned() });
    lexer.tokens
}

struct Lexer<'i> {
    input: &'i str,
    pos: usize,
    start: usize,
    start_line: usize,
    /// `line` is right for this place.
    counted: usize,
    line: usize,
    parens: usize,
    tokens: Vec<Token>,
}

fn is_space(c: char) -> bool {
    SPACES.contains(&c)
}

/// A letter, digit or underscore.
pub(crate) fn is_word(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}

fn left_trim(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.starts_with(SPACES))
}

fn right_trim(text: &str) -> bool {
    text.strip_prefix(SPACES).is_some_and(|rest| rest.starts_with('-'))
}

impl<'i> Lexer<'i> {
    fn rest(&self) -> &'i str {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn line_at(&mut self, pos: usize) -> usize {
        if pos >= self.counted {
            self.line += self.input[self.counted..pos].matches('\n').count();
        } else {
            self.line -= self.input[pos..self.counted].matches('\n').count();
        }
        self.counted = pos;
        self.line
    }

    /// What follows belongs to the next token.
    fn ignore(&mut self) {
        self.start = self.pos;
        self.start_line = self.line_at(self.pos);
    }

    fn emit(&mut self, kind: Kind) {
        let text = self.input[self.start..self.pos].to_owned();
        self.tokens.push(Token { kind, pos: self.start, line: self.start_line, text });
        self.ignore();
    }

    fn accept(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        if found {
            self.next();
        }
        found
    }

    fn accept_run(&mut self, set: &str) {
        while self.accept(set) {}
    }

    /// Whether a closing delimiter is here, and whether it trims.
    fn at_right(&self) -> Option<bool> {
        let rest = self.rest();
        if right_trim(rest) && rest[2..].starts_with(RIGHT) {
            return Some(true);
        }
        rest.starts_with(RIGHT).then_some(false)
    }

    fn text(&mut self) -> Result<(), String> {
        while let Some(at) = self.rest().find(LEFT) {
            let text = &self.rest()[..at];
            let opened = self.pos + at;
            let trim = left_trim(&self.input[opened + LEFT.len()..]);
            let kept = if trim { text.trim_end_matches(SPACES) } else { text };
            self.pos += kept.len();
            if !kept.is_empty() {
                self.emit(Kind::Text);
            }
            self.pos = opened;
            self.ignore();
            self.pos += LEFT.len();
            let marker = if trim { 2 } else { 0 };
            if self.rest()[marker..].starts_with("/*") {
                self.pos += marker;
                self.comment()?;
                continue;
            }
            self.emit(Kind::LeftDelim);
            self.pos += marker;
            self.ignore();
            self.parens = 0;
            self.action()?;
        }
        self.pos = self.input.len();
        if self.pos > self.start {
            self.emit(Kind::Text);
        }
        Ok(())
    }

    fn comment(&mut self) -> Result<(), String> {
        self.ignore();
        self.pos += 2;
        let Some(end) = self.rest().find("*/") else { return Err("unclosed comment".to_owned()) };
        self.pos += end + 2;
        let Some(trim) = self.at_right() else { return Err("comment ends before closing delimiter".to_owned()) };
        self.skip_right(trim);
        self.ignore();
        Ok(())
    }

    /// Passes a closing delimiter and the spaces it trims.
    fn skip_right(&mut self, trim: bool) {
        self.pos += if trim { 2 } else { 0 } + RIGHT.len();
        if trim {
            self.pos += self.rest().len() - self.rest().trim_start_matches(SPACES).len();
        }
    }

    fn right(&mut self, trim: bool) {
        if trim {
            self.pos += 2;
            self.ignore();
        }
        self.pos += RIGHT.len();
        self.emit(Kind::RightDelim);
        if trim {
            self.pos += self.rest().len() - self.rest().trim_start_matches(SPACES).len();
            self.ignore();
        }
    }

    fn action(&mut self) -> Result<(), String> {
        loop {
            if let Some(trim) = self.at_right() {
                if self.parens > 0 {
                    return Err("unclosed left paren".to_owned());
                }
                self.right(trim);
                return Ok(());
            }
            let Some(c) = self.next() else { return Err("unclosed action".to_owned()) };
            match c {
                _ if is_space(c) => self.space(),
                '=' => self.emit(Kind::Assign),
                ':' => {
                    if self.next() != Some('=') {
                        return Err("expected :=".to_owned());
                    }
                    self.emit(Kind::Declare);
                }
                '|' => self.emit(Kind::Pipe),
                '"' => self.quoted('"', "unterminated quoted string", Kind::String)?,
                '\'' => self.quoted('\'', "unterminated character constant", Kind::CharConstant)?,
                '`' => {
                    let Some(end) = self.rest().find('`') else {
                        return Err("unterminated raw quoted string".to_owned());
                    };
                    self.pos += end + 1;
                    self.emit(Kind::RawString);
                }
                '$' => self.field_or_variable(Kind::Variable)?,
                '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) && self.pos < self.input.len() => {
                    self.field_or_variable(Kind::Field)?;
                }
                '.' | '+' | '-' | '0'..='9' => {
                    self.pos -= 1;
                    self.number()?;
                }
                _ if is_word(c) => self.identifier()?,
                '(' => {
                    self.parens += 1;
                    self.emit(Kind::LeftParen);
                }
                ')' => {
                    if self.parens == 0 {
                        return Err("unexpected right paren".to_owned());
                    }
                    self.parens -= 1;
                    self.emit(Kind::RightParen);
                }
                ' '..='~' => self.emit(Kind::Char),
                _ => return Err(format!("unrecognized character in action: {}", unicode(c))),
            }
        }
    }

    fn space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.next();
        }
        // The space before a trimming close belongs to the close.
        let last = self.pos - 1;
        if right_trim(&self.input[last..]) && self.input[last + 2..].starts_with(RIGHT) {
            self.pos = last;
            if last == self.start {
                return;
            }
        }
        self.emit(Kind::Space);
    }

    fn quoted(&mut self, mark: char, unterminated: &str, kind: Kind) -> Result<(), String> {
        loop {
            match self.next() {
                Some('\\') => {
                    if matches!(self.next(), None | Some('\n')) {
                        return Err(unterminated.to_owned());
                    }
                }
                None | Some('\n') => return Err(unterminated.to_owned()),
                Some(c) if c == mark => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    /// Whether a word may end here.
    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => is_space(c) || self.rest().starts_with(RIGHT),
        }
    }

    fn check_terminator(&self) -> Result<(), String> {
        match self.peek() {
            Some(c) if !self.at_terminator() => Err(format!("bad character {}", unicode(c))),
            _ => Ok(()),
        }
    }

    fn field_or_variable(&mut self, kind: Kind) -> Result<(), String> {
        if self.at_terminator() {
            self.emit(if kind == Kind::Variable { kind } else { Kind::Dot });
            return Ok(());
        }
        while self.peek().is_some_and(is_word) {
            self.next();
        }
        self.check_terminator()?;
        self.emit(kind);
        Ok(())
    }

    fn identifier(&mut self) -> Result<(), String> {
        while self.peek().is_some_and(is_word) {
            self.next();
        }
        self.check_terminator()?;
        let kind = match &self.input[self.start..self.pos] {
            "block" => Kind::Block,
            "break" => Kind::Break,
            "continue" => Kind::Continue,
            "define" => Kind::Define,
            "else" => Kind::Else,
            "end" => Kind::End,
            "if" => Kind::If,
            "nil" => Kind::Nil,
            "range" => Kind::Range,
            "template" => Kind::Template,
            "with" => Kind::With,
            "true" | "false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        let bad = |lexer: &Self| {
            Err(format!("bad number syntax: {}", model::number::quote(&lexer.input[lexer.start..lexer.pos])))
        };
        if !self.scan_number() {
            return bad(self);
        }
        if matches!(self.peek(), Some('+' | '-')) {
            if !self.scan_number() || !self.input[..self.pos].ends_with('i') {
                return bad(self);
            }
            self.emit(Kind::Complex);
            return Ok(());
        }
        self.emit(Kind::Number);
        Ok(())
    }

    fn scan_number(&mut self) -> bool {
        const HEX: &str = "0123456789abcdefABCDEF_";
        const DECIMAL: &str = "0123456789_";
        self.accept("+-");
        let mut digits = DECIMAL;
        if self.accept("0") {
            if self.accept("xX") {
                digits = HEX;
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = if digits == HEX { "pP" } else { "eE" };
        if (digits == DECIMAL || digits == HEX) && self.accept(exponent) {
            self.accept("+-");
            self.accept_run(DECIMAL);
        }
        self.accept("i");
        if self.peek().is_some_and(is_word) {
            self.next();
            return false;
        }
        true
    }
}

/// `U+0040 '@'`, as Go's `%#U`.
fn unicode(c: char) -> String {
    let code = u32::from(c);
    if model::number::is_print(c) { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}
