//! The hook through which label and annotation templates are expanded.

use model::Labels;

use crate::evaluate::{Evaluator, SampleValue};

/// What templates know of the world outside: `$externalLabels`, `$externalURL`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct External {
    /// `external_labels` of the configuration.
    pub labels: Labels,
    /// `--web.external-url`.
    pub url: String,
}

/// One template to expand.
pub struct Expansion<'a> {
    /// Name of the alert, for error texts.
    pub alert: &'a str,
    /// The template.
    pub text: &'a str,
    /// `$labels`.
    pub labels: &'a Labels,
    /// `$value`.
    pub value: &'a SampleValue,
    /// Time of the evaluation: `now`, and the time of queries made by the template.
    pub now_ms: i64,
    /// `$externalLabels`, `$externalURL`.
    pub external: &'a External,
    /// For the function `query`.
    pub evaluator: &'a dyn Evaluator,
}

/// Expands templates.
pub trait Expander {
    /// The expanded text.
    ///
    /// # Errors
    /// The template engine's words; the text of the label or annotation will show them.
    fn expand(&self, expansion: &Expansion<'_>) -> Result<String, String>;

    /// Whether a text is a template that can be expanded at all.
    ///
    /// # Errors
    /// The template engine's words.
    fn check(&self, alert: &str, text: &str) -> Result<(), String>;
}
