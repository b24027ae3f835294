//! From tokens to the parsed form.
//!
//! A recursive descent over the token list with Go's look-ahead rules. Functions are looked up while parsing, so that
//! execution finds them in the tree; an unknown name is an error here. Nesting is bounded by [`MAX_NESTING`].

mod number;

use std::sync::Arc;

use crate::ast::{Branch, Command, List, Node, Operand, Pipe, Pos};
use crate::error::Error;
use crate::function::Functions;
use crate::lex::{Kind, Token, lex};
use crate::unquote::unquote;

/// Most branches, blocks and parentheses inside each other.
pub(crate) const MAX_NESTING: usize = 200;

/// The text a template came from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A parsed template.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) name: String,
    pub(crate) source: Arc<Source>,
    pub(crate) root: Arc<List>,
}

impl Tree {
    /// Nothing but white space: a later definition may replace it, and it replaces none.
    pub(crate) fn is_empty(&self) -> bool {
        self.root.iter().all(|node| matches!(node, Node::Text(_, text) if text.trim().is_empty()))
    }
}

/// Parses `text`, giving the template called `name` and those it defines.
pub(crate) fn parse(name: &str, text: &str, functions: &Functions) -> Result<Vec<Tree>, Error> {
    let source = Arc::new(Source { name: name.to_owned(), text: text.to_owned() });
    let mut parser = Parser {
        source,
        tokens: lex(text),
        at: 0,
        furthest: 0,
        functions,
        variables: vec!["$".into()],
        range_depth: 0,
        depth: 0,
        action_line: 0,
        trees: Vec::new(),
    };
    let root = parser.top()?;
    parser.add(name, root)?;
    Ok(parser.trees)
}

struct Parser<'f> {
    source: Arc<Source>,
    tokens: Vec<Token>,
    at: usize,
    /// The last token looked at; errors name its line.
    furthest: usize,
    functions: &'f Functions,
    variables: Vec<Box<str>>,
    range_depth: usize,
    depth: usize,
    action_line: usize,
    trees: Vec<Tree>,
}

/// What ended a list.
enum End {
    End,
    Else,
}

/// An element of a list.
enum Item {
    Node(Node),
    End(End),
}

type Parsed<T> = Result<T, Error>;

fn pos(token: &Token) -> Pos {
    Pos::try_from(token.pos).unwrap_or(Pos::MAX)
}

impl Parser<'_> {
    fn next(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn peek(&mut self) -> Token {
        // Past the end there is nothing but the end.
        let index = self.at.min(self.tokens.len() - 1);
        self.furthest = self.furthest.max(index);
        self.tokens[index].clone()
    }

    fn peek_kind(&mut self) -> Kind {
        let index = self.at.min(self.tokens.len() - 1);
        self.furthest = self.furthest.max(index);
        self.tokens[index].kind
    }

    fn skip_space(&mut self) {
        while self.peek_kind() == Kind::Space {
            self.at += 1;
        }
    }

    fn next_non_space(&mut self) -> Token {
        self.skip_space();
        self.next()
    }

    fn peek_non_space(&mut self) -> Token {
        self.skip_space();
        self.peek()
    }

    fn error<T>(&self, message: impl std::fmt::Display) -> Parsed<T> {
        let line = self.tokens[self.furthest].line;
        Err(Error::Parse { template: self.source.name.clone(), line, message: message.to_string() })
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        if token.kind == Kind::Error {
            let mut extra = String::new();
            if self.action_line != 0 && self.action_line != token.line {
                // Not "action in action".
                let article = if token.text.ends_with(" action") { "" } else { " in action" };
                extra = format!("{article} started at {}:{}", self.source.name, self.action_line);
            }
            return self.error(format_args!("{token}{extra}"));
        }
        self.error(format_args!("unexpected {token} in {context}"))
    }

    fn expect(&mut self, kinds: &[Kind], context: &str) -> Parsed<Token> {
        let token = self.next_non_space();
        if kinds.contains(&token.kind) { Ok(token) } else { self.unexpected(&token, context) }
    }

    fn deeper<T>(&mut self, message: &str, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_NESTING {
            return self.error(message);
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Puts a finished template among those found, by Go's rule for repeated names in one text.
    fn add(&mut self, name: &str, root: List) -> Parsed<()> {
        let tree = Tree { name: name.to_owned(), source: Arc::clone(&self.source), root: Arc::new(root) };
        match self.trees.iter_mut().find(|other| other.name == name) {
            None => self.trees.push(tree),
            Some(other) if other.is_empty() => *other = tree,
            Some(_) if tree.is_empty() => {}
            Some(_) => {
                let name = model::number::quote(name);
                return self.error(format_args!("template: multiple definition of template {name}"));
            }
        }
        Ok(())
    }

    fn top(&mut self) -> Parsed<List> {
        let mut root = List::new();
        loop {
            match self.peek_kind() {
                Kind::Eof => return Ok(root),
                Kind::LeftDelim => {
                    let start = self.at;
                    self.at += 1;
                    if self.next_non_space().kind == Kind::Define {
                        self.definition()?;
                        continue;
                    }
                    self.at = start;
                }
                _ => {}
            }
            match self.text_or_action()? {
                Item::Node(node) => root.push(node),
                Item::End(End::End) => return self.error("unexpected {{end}}"),
                Item::End(End::Else) => return self.error("unexpected {{else}}"),
            }
        }
    }

    /// Parses a template inside this one, with variables and loops of its own.
    fn inner_template(&mut self, name: &str, context: &str) -> Parsed<()> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".into()]);
        let range_depth = std::mem::take(&mut self.range_depth);
        let action_line = std::mem::take(&mut self.action_line);
        let (list, end) = self.item_list()?;
        if matches!(end, End::Else) {
            return self.error(format_args!("unexpected {{{{else}}}} in {context}"));
        }
        self.variables = variables;
        self.range_depth = range_depth;
        self.action_line = action_line;
        self.add(name, list)
    }

    fn definition(&mut self) -> Parsed<()> {
        let context = "define clause";
        let token = self.expect(&[Kind::String, Kind::RawString], context)?;
        let name = self.unquoted(&token)?;
        self.expect(&[Kind::RightDelim], context)?;
        self.inner_template(&name, context)
    }

    fn unquoted(&mut self, token: &Token) -> Parsed<String> {
        match unquote(&token.text) {
            Some(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            None => self.error("invalid syntax"),
        }
    }

    fn item_list(&mut self) -> Parsed<(List, End)> {
        self.deeper("exceeded maximum nesting of actions", |parser| {
            let mut list = List::new();
            while parser.peek_non_space().kind != Kind::Eof {
                match parser.text_or_action()? {
                    Item::Node(node) => list.push(node),
                    Item::End(end) => return Ok((list, end)),
                }
            }
            parser.error("unexpected EOF")
        })
    }

    fn text_or_action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(pos(&token), token.text.into()))),
            Kind::LeftDelim => {
                self.action_line = token.line;
                let item = self.action()?;
                self.action_line = 0;
                Ok(item)
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        Ok(Item::Node(match token.kind {
            Kind::Block => self.block()?,
            Kind::Break | Kind::Continue => {
                let context = format!("{{{{{}}}}}", token.text);
                self.expect(&[Kind::RightDelim], &context)?;
                if self.range_depth == 0 {
                    return self.error(format_args!("{context} outside {{{{range}}}}"));
                }
                if token.kind == Kind::Break { Node::Break(pos(&token)) } else { Node::Continue(pos(&token)) }
            }
            Kind::Else => {
                if !matches!(self.peek_non_space().kind, Kind::If | Kind::With) {
                    self.expect(&[Kind::RightDelim], "else")?;
                }
                return Ok(Item::End(End::Else));
            }
            Kind::End => {
                self.expect(&[Kind::RightDelim], "end")?;
                return Ok(Item::End(End::End));
            }
            Kind::If => Node::If(self.control("if")?),
            Kind::Range => Node::Range(self.control("range")?),
            Kind::With => Node::With(self.control("with")?),
            Kind::Template => self.template()?,
            _ => {
                self.at -= 1;
                let first = self.peek();
                Node::Action(pos(&first), self.pipeline("command", Kind::RightDelim)?)
            }
        }))
    }

    fn control(&mut self, context: &str) -> Parsed<Branch> {
        let known = self.variables.len();
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        self.range_depth += usize::from(context == "range");
        let (list, end) = self.item_list()?;
        self.range_depth -= usize::from(context == "range");
        let mut otherwise = None;
        if matches!(end, End::Else) {
            // `{{else if …}}` is `{{else}}{{if …}}` whose end serves both.
            let kind = self.peek_kind();
            let chained = context == "if" && kind == Kind::If || context == "with" && kind == Kind::With;
            otherwise = Some(if chained {
                self.at += 1;
                let branch = self.deeper("exceeded maximum nesting of actions", |parser| parser.control(context))?;
                vec![if context == "if" { Node::If(branch) } else { Node::With(branch) }]
            } else {
                let (list, end) = self.item_list()?;
                if matches!(end, End::Else) {
                    return self.error("expected end; found {{else}}");
                }
                list
            });
        }
        self.variables.truncate(known);
        Ok(Branch { pos: pipe.pos, pipe, list, otherwise })
    }

    fn template_name(&mut self, token: &Token, context: &str) -> Parsed<String> {
        match token.kind {
            Kind::String | Kind::RawString => self.unquoted(token),
            _ => self.unexpected(token, context),
        }
    }

    fn block(&mut self) -> Parsed<Node> {
        let context = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, context)?;
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        self.inner_template(&name, context)?;
        Ok(Node::Template(pos(&token), name.into(), Some(pipe)))
    }

    fn template(&mut self) -> Parsed<Node> {
        let context = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, context)?;
        let mut pipe = None;
        if self.next_non_space().kind != Kind::RightDelim {
            self.at -= 1;
            pipe = Some(self.pipeline(context, Kind::RightDelim)?);
        }
        Ok(Node::Template(pos(&token), name.into(), pipe))
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let first = self.peek_non_space();
        let mut pipe = Pipe { pos: pos(&first), assign: false, variables: Vec::new(), commands: Vec::new() };
        self.declarations(context, &mut pipe)?;
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool | Kind::CharConstant | Kind::Complex | Kind::Dot | Kind::Field | Kind::Identifier => {}
                Kind::Number | Kind::Nil | Kind::RawString | Kind::String | Kind::Variable | Kind::LeftParen => {}
                _ => return self.unexpected(&token, context),
            }
            self.at -= 1;
            pipe.commands.push(self.command()?);
        }
        if pipe.commands.is_empty() {
            return self.error(format_args!("missing value for {context}"));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            if let Operand::Bool(..) | Operand::Dot(_) | Operand::Nil(_) | Operand::Number(..) | Operand::String(..) =
                command.args[0]
            {
                return self.error(format_args!("non executable command in pipeline stage {}", index + 1));
            }
        }
        Ok(pipe)
    }

    /// `$x :=`, `$x =`, `$i, $x :=` at the start of a pipeline.
    fn declarations(&mut self, context: &str, pipe: &mut Pipe) -> Parsed<()> {
        loop {
            let start = self.at;
            let variable = self.peek_non_space();
            if variable.kind != Kind::Variable {
                self.at = start;
                return Ok(());
            }
            self.at += 1;
            let next = self.peek_non_space();
            let comma = next.kind == Kind::Char && next.text == ",";
            if !comma && !matches!(next.kind, Kind::Assign | Kind::Declare) {
                self.at = start;
                return Ok(());
            }
            self.at += 1;
            pipe.variables.push(variable.text.clone().into());
            self.variables.push(variable.text.into());
            if !comma {
                pipe.assign = next.kind == Kind::Assign;
                return Ok(());
            }
            if context != "range" || pipe.variables.len() >= 2 {
                return self.error(format_args!("too many declarations in {context}"));
            }
            match self.peek_non_space().kind {
                Kind::Variable | Kind::RightDelim | Kind::RightParen => {}
                _ => return self.error("range can only initialize variables"),
            }
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        let first = self.peek_non_space();
        let mut command = Command { pos: pos(&first), args: Vec::new() };
        loop {
            self.skip_space();
            if let Some(operand) = self.operand()? {
                command.args.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.at -= 1,
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if command.args.is_empty() {
            return self.error("empty command");
        }
        Ok(command)
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        if self.peek_kind() != Kind::Field {
            return Ok(Some(operand));
        }
        let at = pos(&self.peek());
        let mut names: Vec<Box<str>> = Vec::new();
        while self.peek_kind() == Kind::Field {
            names.push(self.next().text[1..].into());
        }
        operand = match operand {
            Operand::Field(_, mut own) => {
                own.append(&mut names);
                Operand::Field(at, own)
            }
            Operand::Variable(_, mut own) => {
                own.append(&mut names);
                Operand::Variable(at, own)
            }
            Operand::Bool(..) | Operand::String(..) | Operand::Number(..) | Operand::Nil(_) | Operand::Dot(_) => {
                let term = model::number::quote(&operand.to_string());
                return self.error(format_args!("unexpected . after term {term}"));
            }
            other => Operand::Chain(at, Box::new(other), names),
        };
        Ok(Some(operand))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.next_non_space();
        let at = pos(&token);
        Ok(Some(match token.kind {
            Kind::Identifier => match self.functions.get(&token.text) {
                Some(function) => Operand::Function(at, function),
                None => {
                    let name = model::number::quote(&token.text);
                    return self.error(format_args!("function {name} not defined"));
                }
            },
            Kind::Dot => Operand::Dot(at),
            Kind::Nil => Operand::Nil(at),
            Kind::Variable => {
                if !self.variables.iter().any(|known| **known == *token.text) {
                    let name = model::number::quote(&token.text);
                    return self.error(format_args!("undefined variable {name}"));
                }
                Operand::Variable(at, vec![token.text.into()])
            }
            Kind::Field => Operand::Field(at, vec![token.text[1..].into()]),
            Kind::Bool => Operand::Bool(at, token.text == "true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => match number::constant(&token) {
                Ok(number) => Operand::Number(at, Box::new(number)),
                Err(message) => return self.error(message),
            },
            Kind::LeftParen => {
                let pipe = self.deeper("max expression depth exceeded", |parser| {
                    parser.pipeline("parenthesized pipeline", Kind::RightParen)
                })?;
                Operand::Pipe(Box::new(pipe))
            }
            Kind::String | Kind::RawString => match unquote(&token.text) {
                Some(text) => Operand::String(at, token.text.into(), text.into()),
                None => return self.error("invalid syntax"),
            },
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        }))
    }
}
