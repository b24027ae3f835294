//! Why a pattern was refused, in the words of Go's `regexp` package.

/// What is wrong with a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RegexErrorKind {
    /// `[z-a]`, `[[:nope:]]`, `\p{nope}`.
    #[error("invalid character class range")]
    CharRange,
    /// `\y`, `\C`.
    #[error("invalid escape sequence")]
    Escape,
    /// `(?P<a.b>x)`, `(?P<a`.
    #[error("invalid named capture")]
    NamedCapture,
    /// `(?x)`, `(?=a)`.
    #[error("invalid or unsupported Perl syntax")]
    PerlSyntax,
    /// `a**`.
    #[error("invalid nested repetition operator")]
    RepeatOperator,
    /// `a{1001}`, `(a{100}){100}`, `a{2,1}`.
    #[error("invalid repeat count")]
    RepeatCount,
    /// `[a`.
    #[error("missing closing ]")]
    MissingBracket,
    /// `(a`.
    #[error("missing closing )")]
    MissingParen,
    /// `*`, `a|+`.
    #[error("missing argument to repetition operator")]
    MissingRepeatArgument,
    /// `\` at the end.
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    /// `a)`.
    #[error("unexpected )")]
    UnexpectedParen,
    /// More nested operators than [`super::MAX_NESTING`].
    #[error("expression nests too deeply")]
    Nesting,
    /// The compiled form would exceed [`super::MAX_COMPILED_BYTES`].
    #[error("expression too large")]
    TooLarge,
}

/// A refused pattern. Displays as Go does: ``error parsing regexp: missing closing ): `(a` ``.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {kind}: `{fragment}`")]
pub struct RegexError {
    /// What is wrong.
    pub kind: RegexErrorKind,
    /// The part of the pattern that is wrong.
    pub fragment: String,
}
