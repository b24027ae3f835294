//! `math`: arithmetic, comparisons and logic over the values of other nodes.
//!
//! ```text
//! or    = and { "||" and }
//! and   = cmp { "&&" cmp }
//! cmp   = sum { ( "==" | "!=" | ">" | ">=" | "<" | "<=" ) sum }
//! sum   = prod { ( "+" | "-" ) prod }
//! prod  = pow { ( "*" | "/" | "%" ) pow }
//! pow   = atom { "**" atom }
//! atom  = number | function "(" or { "," or } ")" | variable | "(" or ")" | ( "!" | "-" ) atom
//! ```
//!
//! All operators bind to the left, `**` too. A variable is `$A` or `${any name}`. Two sets of values meet by their labels
//! ([`union`]): equal ones, one side without any, or one side's being part of the other's.

mod eval;
mod parse;
mod union;

use std::fmt;

pub(super) use eval::Variables;

/// A `math` expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Math {
    root: Node,
    variables: Vec<String>,
}

/// A text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expr: {message} at byte {at}")]
pub struct MathError {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub at: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Number(f64),
    Variable(String),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    /// A function of values, applied to each.
    Each(Each, Box<Node>),
    /// A function without arguments.
    Constant(Option<f64>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unary {
    Not,
    Minus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binary {
    Or,
    And,
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Each {
    Abs,
    Log,
    Ceil,
    Floor,
    Round,
    IsNan,
    IsInf,
    IsNull,
    IsNumber,
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "**",
        })
    }
}

impl Math {
    /// Names of the variables, each once, in the order in which they appear.
    pub fn variables(&self) -> &[String] {
        &self.variables
    }
}

#[cfg(test)]
mod tests;
