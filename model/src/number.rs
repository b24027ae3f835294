//! Numbers as text, exactly as Go writes and reads them.
//!
//! Sample values, `le` labels, template output and API answers must carry the same characters as the peers', so the
//! layout rules of Go's `strconv` live here once: [`write_float`] appends a float in one of the three [`FloatFormat`]s,
//! [`parse_float`] and [`parse_int`] accept what Go accepts and refuse with Go's words, [`quote`] is its string quoting.
//!
//! Digits come from `zmij` (shortest) or from `core::fmt` (a given precision, correctly rounded); only the layout is
//! written here. Writing appends to the caller's buffer and allocates nothing besides the buffer's own growth.

mod parse;
mod quote;
mod write;

pub use parse::{NumberError, NumberErrorKind, parse_float, parse_float_plain, parse_int, parse_uint};
pub use quote::{is_print, write_quoted, write_quoted_ascii};
pub use write::{
    AsciiSink, FloatFormat, float_text, write_float, write_float_precision, write_i64, write_json_float, write_u64,
};

/// `text` in double quotes with Go's escapes (`strconv.Quote`).
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_quoted(&mut out, text.as_bytes(), '"');
    out
}

#[cfg(test)]
mod tests;
