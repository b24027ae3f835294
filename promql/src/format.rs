//! Numbers and label sets as Go prints them, for messages and label values.

use model::Labels;
use model::number::{FloatFormat, float_text, quote, write_float_precision};

/// `%g`, shortest: `0.5`, `1e+06`, `+Inf`.
pub(crate) fn general(value: f64) -> String {
    float_text(value, FloatFormat::General)
}

/// `%f` without needless digits: `0.5`, `1000000`.
pub(crate) fn plain(value: f64) -> String {
    float_text(value, FloatFormat::Fixed)
}

/// `%.Nf`.
pub(crate) fn fixed(value: f64, digits: usize) -> String {
    let mut out = String::new();
    write_float_precision(&mut out, value, FloatFormat::Fixed, digits);
    out
}

/// `%.Ng`.
pub(crate) fn general_digits(value: f64, digits: usize) -> String {
    let mut out = String::new();
    write_float_precision(&mut out, value, FloatFormat::General, digits);
    out
}

/// `{__name__="up", job="node"}`: a label set with its name among the labels.
pub(crate) fn label_set(labels: &Labels) -> String {
    model::labels::InBraces(labels).to_string()
}

/// A label's name, in quotes when it needs them.
pub(crate) fn label_name(name: &str) -> std::borrow::Cow<'_, str> {
    if model::labels::is_label_identifier(name) { name.into() } else { quote(name).into() }
}
