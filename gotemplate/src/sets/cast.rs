//! Numbers out of anything, as sprig's arithmetic takes them (the `cast` package): what is no number is zero.

use model::number::{parse_float, parse_int};

use crate::value::Value;

/// `cast.ToInt64`
pub(super) fn to_int(value: &Value<'_>) -> i64 {
    match value {
        Value::Int(n) | Value::Int64(n) => *n,
        Value::Duration(duration) => duration.0,
        Value::Uint64(n) => *n as i64,
        Value::Byte(n) => i64::from(*n),
        Value::Float(n) => truncate(*n),
        Value::Bool(flag) => i64::from(*flag),
        Value::Str(text) => std::str::from_utf8(text).map_or(0, |text| {
            let text = without_fraction(text);
            // A leading zero means octal, as in a Go literal.
            parse_int(text, 0, 64).unwrap_or(0)
        }),
        _ => 0,
    }
}

/// Go's conversion on the usual machines: what does not fit is the smallest number.
pub(super) fn truncate(number: f64) -> i64 {
    const TWO_TO_63: f64 = (1u64 << 63) as f64;
    if (-TWO_TO_63..TWO_TO_63).contains(&number) { number as i64 } else { i64::MIN }
}

/// The integer part of `[-+]digits.digits`, anything else as it is.
fn without_fraction(text: &str) -> &str {
    let Some((whole, fraction)) = text.split_once('.') else { return text };
    let digits = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match (plain(digits) && plain(fraction), digits.is_empty()) {
        (true, true) => "0",
        (true, false) => whole,
        (false, _) => text,
    }
}

/// `cast.ToFloat64`
pub(super) fn to_float(value: &Value<'_>) -> f64 {
    match value {
        Value::Float(n) => *n,
        Value::Uint64(n) => *n as f64,
        Value::Str(text) => std::str::from_utf8(text).ok().and_then(|text| parse_float(text).ok()).unwrap_or(0.0),
        other => to_int(other) as f64,
    }
}
