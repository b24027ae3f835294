//! Numbers, durations and sizes for people, and what turns anything into a number for them.

use model::number::{FloatFormat, parse_float, write_float_precision};

use super::args::shown;
use crate::error::CallError;
use crate::gotime::{Time, Zone};
use crate::value::Value;

/// The number in a value.
pub(super) fn to_float(value: &Value<'_>) -> Result<f64, CallError> {
    match value {
        Value::Float(n) => Ok(*n),
        Value::Int(n) | Value::Int64(n) => Ok(*n as f64),
        Value::Uint64(n) => Ok(*n as f64),
        Value::Duration(duration) => Ok(duration.seconds()),
        Value::Str(text) => parse_float(&text.to_str()).map_err(CallError::new),
        Value::Missing | Value::Nil => Err(CallError::new("can't convert <nil> to float")),
        other => Err(CallError::Failed(format!("can't convert {} to float", other.type_name()))),
    }
}

/// `%.4g`
fn four_digits(number: f64) -> String {
    let mut out = String::new();
    write_float_precision(&mut out, number, FloatFormat::General, 4);
    out
}

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

/// Divides while `number` is at least `unit`, noting the prefix.
fn scale_down(mut number: f64, unit: f64, prefixes: [&'static str; 8]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if number.abs() < unit {
            break;
        }
        prefix = next;
        number /= unit;
    }
    (number, prefix)
}

fn scale_up(mut number: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in SMALL {
        if number.abs() >= 1.0 {
            break;
        }
        prefix = next;
        number *= 1000.0;
    }
    (number, prefix)
}

/// With a metric prefix: `1.235M`, `120m`.
pub(super) fn humanize(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return four_digits(number);
    }
    let (number, prefix) = if number.abs() >= 1.0 { scale_down(number, 1000.0, LARGE) } else { scale_up(number) };
    four_digits(number) + prefix
}

/// With a binary prefix: `1Mi`.
pub(super) fn humanize1024(number: f64) -> String {
    if number.abs() <= 1.0 || !number.is_finite() {
        return four_digits(number);
    }
    let (number, prefix) = scale_down(number, 1024.0, BINARY);
    four_digits(number) + prefix
}

/// Seconds as `1d 2h 3m 4s` or with a metric prefix below one.
pub(super) fn humanize_duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return four_digits(seconds);
    }
    if seconds == 0.0 {
        return four_digits(seconds) + "s";
    }
    if seconds.abs() < 1.0 {
        let (number, prefix) = scale_up(seconds);
        return format!("{}{prefix}s", four_digits(number));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let whole = super::cast::truncate(seconds.abs());
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", four_digits(seconds.abs())),
        (0, 0, _) => format!("{sign}{minutes}m {}s", whole % 60),
        (0, ..) => format!("{sign}{hours}h {minutes}m {}s", whole % 60),
        _ => format!("{sign}{days}d {hours}h {minutes}m {}s", whole % 60),
    }
}

/// `12.34%` of a ratio.
pub(super) fn percentage(ratio: f64) -> String {
    four_digits(ratio * 100.0) + "%"
}

/// The time of a Unix timestamp in seconds.
pub(super) fn to_time(seconds: f64) -> Result<Time, CallError> {
    if !seconds.is_finite() {
        return Err(CallError::new("value is NaN or Inf"));
    }
    let nanoseconds = seconds * 1e9;
    // The largest 64-bit integer as a double is just beyond it, as in Go's comparison.
    if nanoseconds.abs() > 9_223_372_036_854_775_807.0 {
        let seconds = shown(&Value::Float(seconds));
        return Err(CallError::Failed(format!(
            "{seconds} cannot be represented as a nanoseconds timestamp since it overflows int64"
        )));
    }
    // To the millisecond, as timestamps are kept.
    let milliseconds = super::cast::truncate(nanoseconds) / 1_000_000;
    Ok(Time::from_unix(milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000) * 1_000_000, Zone::Utc))
}

/// The time of a Unix timestamp as text.
pub(super) fn timestamp(seconds: f64) -> Result<String, CallError> {
    if seconds.is_finite() { to_time(seconds).map(|time| time.to_string()) } else { Ok(four_digits(seconds)) }
}

/// A size such as `1.5GiB` or `3 kB` in bytes.
pub(super) fn parse_bytes(text: &str) -> Result<f64, CallError> {
    const UNITS: [&str; 6] = ["k", "m", "g", "t", "p", "e"];
    let len = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(text.len());
    let number = text[..len].replace(',', "");
    let number = parse_float(&number).map_err(CallError::new)?;
    let unit = super::strings::lower(text[len..].trim());
    let plain = unit.strip_suffix('b').unwrap_or(&unit);
    let (letter, base) = match plain.strip_suffix('i') {
        Some(letter) => (letter, 1024f64),
        None => (plain, 1000.0),
    };
    let scale = match UNITS.iter().position(|known| *known == letter) {
        Some(power) => base.powi(i32::try_from(power).unwrap_or(0) + 1),
        None if plain.is_empty() => 1.0,
        None => return Err(CallError::Failed(format!("unhandled size name: {unit}"))),
    };
    let bytes = number * scale;
    if bytes >= 18_446_744_073_709_551_615.0 {
        return Err(CallError::Failed(format!("too large: {text}")));
    }
    Ok(bytes.trunc().max(0.0))
}
