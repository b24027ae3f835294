//! The parsed form of a template.
//!
//! Every node knows where it stands, and prints itself as it would be written, for error messages.

use std::fmt;

use crate::function::Function;

/// Byte offset in the source.
pub(crate) type Pos = u32;

/// One thing after the other.
pub(crate) type List = Vec<Node>;

#[derive(Debug)]
pub(crate) enum Node {
    Text(Pos, Box<str>),
    Action(Pos, Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(Pos, Box<str>, Option<Pipe>),
    Break(Pos),
    Continue(Pos),
}

/// What `if`, `with` and `range` have in common.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pos: Pos,
    pub(crate) pipe: Pipe,
    pub(crate) list: List,
    pub(crate) otherwise: Option<List>,
}

/// Commands, each giving its value to the next, perhaps kept in variables.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) pos: Pos,
    pub(crate) assign: bool,
    /// Names with the dollar sign.
    pub(crate) variables: Vec<Box<str>>,
    pub(crate) commands: Vec<Command>,
}

/// An operand with its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) pos: Pos,
    /// At least one.
    pub(crate) args: Vec<Operand>,
}

#[derive(Debug)]
pub(crate) enum Operand {
    Dot(Pos),
    Nil(Pos),
    Bool(Pos, bool),
    Number(Pos, Box<Number>),
    /// As written, and what it means.
    String(Pos, Box<str>, Box<[u8]>),
    /// `.a.b`
    Field(Pos, Vec<Box<str>>),
    /// `$x.a.b`; the first name is the variable's.
    Variable(Pos, Vec<Box<str>>),
    /// `(…).a.b`, `f.a`
    Chain(Pos, Box<Operand>, Vec<Box<str>>),
    Function(Pos, &'static Function),
    Pipe(Box<Pipe>),
}

/// A numeric constant; which types it can take shows in what is present.
#[derive(Debug)]
pub(crate) struct Number {
    pub(crate) text: Box<str>,
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
}

impl Node {
    pub(crate) fn pos(&self) -> Pos {
        match self {
            Self::Text(pos, _) | Self::Action(pos, _) | Self::Template(pos, ..) | Self::Break(pos) => *pos,
            Self::Continue(pos) => *pos,
            Self::If(branch) | Self::With(branch) | Self::Range(branch) => branch.pos,
        }
    }
}

impl Operand {
    pub(crate) fn pos(&self) -> Pos {
        match self {
            Self::Dot(pos) | Self::Nil(pos) | Self::Bool(pos, _) | Self::Number(pos, _) | Self::String(pos, ..) => *pos,
            Self::Field(pos, _) | Self::Variable(pos, _) | Self::Chain(pos, ..) | Self::Function(pos, _) => *pos,
            Self::Pipe(pipe) => pipe.pos,
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let branch = |f: &mut fmt::Formatter<'_>, word: &str, branch: &Branch| {
            write!(f, "{{{{{word} {}}}}}", branch.pipe)?;
            branch.list.iter().try_for_each(|node| node.fmt(f))?;
            if let Some(otherwise) = &branch.otherwise {
                f.write_str("{{else}}")?;
                otherwise.iter().try_for_each(|node| node.fmt(f))?;
            }
            f.write_str("{{end}}")
        };
        match self {
            Self::Text(_, text) => f.write_str(text),
            Self::Action(_, pipe) => write!(f, "{{{{{pipe}}}}}"),
            Self::If(inner) => branch(f, "if", inner),
            Self::With(inner) => branch(f, "with", inner),
            Self::Range(inner) => branch(f, "range", inner),
            Self::Template(_, name, pipe) => {
                write!(f, "{{{{template {}", model::number::quote(name))?;
                if let Some(pipe) = pipe {
                    write!(f, " {pipe}")?;
                }
                f.write_str("}}")
            }
            Self::Break(_) => f.write_str("{{break}}"),
            Self::Continue(_) => f.write_str("{{continue}}"),
        }
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            write!(f, "{}{}", self.variables.join(", "), if self.assign { " = " } else { " := " })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            let separator = if index > 0 { " | " } else { "" };
            write!(f, "{separator}{command}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, operand) in self.args.iter().enumerate() {
            let separator = if index > 0 { " " } else { "" };
            match operand {
                Operand::Pipe(pipe) => write!(f, "{separator}({pipe})")?,
                operand => write!(f, "{separator}{operand}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dot(_) => f.write_str("."),
            Self::Nil(_) => f.write_str("nil"),
            Self::Bool(_, value) => write!(f, "{value}"),
            Self::Number(_, number) => f.write_str(&number.text),
            Self::String(_, quoted, _) => f.write_str(quoted),
            Self::Field(_, names) => names.iter().try_for_each(|name| write!(f, ".{name}")),
            Self::Variable(_, names) => f.write_str(&names.join(".")),
            Self::Chain(_, first, names) => {
                match &**first {
                    Self::Pipe(pipe) => write!(f, "({pipe})")?,
                    first => write!(f, "{first}")?,
                }
                names.iter().try_for_each(|name| write!(f, ".{name}"))
            }
            Self::Function(_, function) => f.write_str(function.name),
            Self::Pipe(pipe) => write!(f, "{pipe}"),
        }
    }
}

/// Collects the names of all fields that `list` mentions.
pub(crate) fn fields<'a>(list: &'a [Node], names: &mut Vec<&'a str>) {
    for node in list {
        match node {
            Node::Action(_, pipe) | Node::Template(_, _, Some(pipe)) => pipe_fields(pipe, names),
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                pipe_fields(&branch.pipe, names);
                fields(&branch.list, names);
                fields(branch.otherwise.as_deref().unwrap_or_default(), names);
            }
            Node::Text(..) | Node::Template(..) | Node::Break(_) | Node::Continue(_) => {}
        }
    }
}

fn pipe_fields<'a>(pipe: &'a Pipe, names: &mut Vec<&'a str>) {
    pipe.commands.iter().flat_map(|command| &command.args).for_each(|operand| operand_fields(operand, names));
}

fn operand_fields<'a>(operand: &'a Operand, names: &mut Vec<&'a str>) {
    match operand {
        Operand::Field(_, own) => names.extend(own.iter().map(|name| &**name)),
        Operand::Variable(_, own) => names.extend(own.iter().skip(1).map(|name| &**name)),
        Operand::Chain(_, first, own) => {
            operand_fields(first, names);
            names.extend(own.iter().map(|name| &**name));
        }
        Operand::Pipe(pipe) => pipe_fields(pipe, names),
        _ => {}
    }
}
