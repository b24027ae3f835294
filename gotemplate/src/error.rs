//! What can go wrong with a template, in Go's words.

/// A template that cannot be parsed or executed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a template.
    #[error("template: {template}:{line}: {message}")]
    Parse {
        /// Name under which the text was given.
        template: String,
        /// Line of the mistake, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A piece of the template cannot be evaluated with this data.
    #[error(transparent)]
    Execute(Box<ExecuteError>),
    /// The template to execute is not defined.
    #[error(
        "template: no template {} associated with template {}",
        model::number::quote(name),
        model::number::quote(template)
    )]
    NotDefined {
        /// The name asked for.
        name: String,
        /// Name of the set.
        template: String,
    },
    /// The template to execute has no content.
    #[error("template: {template}: {} is an incomplete or empty template", model::number::quote(template))]
    Empty {
        /// Its name.
        template: String,
    },
}

/// A piece of a template that cannot be evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "template: {template}:{line}:{column}: executing {} at <{context}>: {message}",
    model::number::quote(executing)
)]
pub struct ExecuteError {
    /// Name under which the text was given.
    pub template: String,
    /// Line of the piece, from 1.
    pub line: usize,
    /// Byte of the piece in its line, from 0.
    pub column: usize,
    /// Name of the template that was running.
    pub executing: String,
    /// The piece as it would be written.
    pub context: String,
    /// What is wrong.
    pub message: String,
    /// The message is about a limit, not about the template's meaning.
    pub limit: Option<Limit>,
}

/// What ended a template that would go on for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Too many evaluation steps.
    #[error("the template takes more than {0} steps")]
    Steps(u64),
    /// Too much text, in the output or in one value.
    #[error("the template produces more than {0} bytes")]
    Output(usize),
    /// Too many templates, branches and parentheses inside each other.
    #[error("exceeded maximum template depth ({0})")]
    Depth(usize),
}

/// Why a function refused its arguments.
#[derive(Debug, Clone, PartialEq)]
pub enum CallError {
    /// The function's own message; shown behind "error calling NAME: ".
    Failed(String),
    /// A limit was reached inside.
    Limit(Limit),
}

impl CallError {
    /// A failure with `message`.
    pub fn new(message: impl std::fmt::Display) -> Self {
        Self::Failed(message.to_string())
    }
}

impl From<Limit> for CallError {
    fn from(limit: Limit) -> Self {
        Self::Limit(limit)
    }
}
