//! Durations: Go's `1h30m0.5s` (label values), Prometheus' `1d12h` (ranges), either of them (queries).

use std::fmt;

use model::number::quote;

/// A text is not a duration. Displays in the words of the Go function whose form it fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Go: wrong form, or more than 64 bits of nanoseconds.
    #[error("time: invalid duration {}", quote_bytes(.0))]
    Go(String),
    /// Go: a number without a unit.
    #[error("time: missing unit in duration {}", quote_bytes(.0))]
    GoMissingUnit(String),
    /// Go: no such unit.
    #[error("time: unknown unit {} in duration {}", quote_bytes(unit), quote_bytes(text))]
    GoUnit {
        /// The unit that was found.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// Prometheus: nothing was given.
    #[error("empty duration string")]
    Empty,
    /// Prometheus: wrong form or order of units.
    #[error("not a valid duration string: {}", quote(.0))]
    Prometheus(String),
    /// Prometheus: no such unit.
    #[error("unknown unit {} in duration {}", quote(unit), quote(text))]
    PrometheusUnit {
        /// The unit that was found.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// Prometheus: more than 292 years.
    #[error("duration out of range")]
    OutOfRange,
}

/// A text in quotes as errors of Go's `time` have it: what is not ASCII, and control characters, byte by byte.
fn quote_bytes(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for byte in text.bytes() {
        match byte {
            0x80.. | ..0x20 => quoted.push_str(&format!("\\x{byte:02x}")),
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            _ => quoted.push(char::from(byte)),
        }
    }
    quoted.push('"');
    quoted
}

/// Reads nanoseconds as Go's `time.ParseDuration`: signed sequence of decimal numbers with `ns us µs ms s m h`.
///
/// # Errors
/// When the text is not of that form or too long a time.
pub(crate) fn parse_go(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Go(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    // Magnitude in nanoseconds; 2^63 itself is allowed for the negative extreme.
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let whole_len = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, tail) = rest.split_at(whole_len);
        let whole = decimal(whole).ok_or_else(invalid)?;
        let (fraction, scale, fraction_len, tail) = match tail.strip_prefix('.') {
            Some(tail) => {
                let len = tail.bytes().take_while(u8::is_ascii_digit).count();
                let (fraction, scale) = decimal_fraction(&tail[..len]);
                (fraction, scale, len, &tail[len..])
            }
            None => (0, 1.0, 0, tail),
        };
        if whole_len == 0 && fraction_len == 0 {
            return Err(invalid());
        }
        let unit_len = tail.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(tail.len());
        if unit_len == 0 {
            return Err(DurationError::GoMissingUnit(text.to_owned()));
        }
        let (unit, tail) = tail.split_at(unit_len);
        let Some(size) = go_unit(unit) else {
            return Err(DurationError::GoUnit { unit: unit.to_owned(), text: text.to_owned() });
        };
        let mut part = whole.checked_mul(size).filter(|part| *part <= 1 << 63).ok_or_else(invalid)?;
        if fraction > 0 {
            part += (fraction as f64 * (size as f64 / scale)) as u64;
            if part > 1 << 63 {
                return Err(invalid());
            }
        }
        total = total.checked_add(part).filter(|total| *total <= 1 << 63).ok_or_else(invalid)?;
        rest = tail;
    }
    if negative {
        return Ok((total as i64).wrapping_neg());
    }
    i64::try_from(total).map_err(|_| invalid())
}

fn decimal(digits: &str) -> Option<u64> {
    let mut value: u64 = 0;
    for digit in digits.bytes() {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0')).filter(|v| *v <= 1 << 63)?;
    }
    Some(value)
}

/// Digits after a point as (number, power of ten it is divided by); digits beyond 63 bits are ignored.
fn decimal_fraction(digits: &str) -> (u64, f64) {
    let (mut value, mut scale) = (0u64, 1.0);
    for digit in digits.bytes() {
        let Some(next) =
            value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit - b'0'))).filter(|v| *v <= 1 << 63)
        else {
            break;
        };
        value = next;
        scale *= 10.0;
    }
    (value, scale)
}

fn go_unit(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Reads nanoseconds as Prometheus writes durations: whole numbers with `y w d h m s ms`, largest first; `0` alone.
///
/// # Errors
/// When the text is empty, not of that form or too long a time.
pub(crate) fn parse_prometheus(text: &str) -> Result<i64, DurationError> {
    const UNITS: [(&str, u64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    let invalid = || DurationError::Prometheus(text.to_owned());
    let mut rest = text;
    let mut next_unit = 0;
    let mut total_ns: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(invalid());
        }
        let number: u64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit_len = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        if unit_len == 0 {
            return Err(invalid());
        }
        let (unit, tail) = rest.split_at(unit_len);
        let Some(at) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return Err(DurationError::PrometheusUnit { unit: unit.to_owned(), text: text.to_owned() });
        };
        if at < next_unit {
            return Err(invalid());
        }
        next_unit = at + 1;
        total_ns = number
            .checked_mul(UNITS[at].1 * 1_000_000)
            .and_then(|part| total_ns.checked_add(part))
            .ok_or(DurationError::OutOfRange)?;
        rest = tail;
    }
    i64::try_from(total_ns).map_err(|_| DurationError::OutOfRange)
}

/// Reads nanoseconds in either form, Prometheus' first.
///
/// # Errors
/// Go's error when neither form fits.
pub(crate) fn parse_any(text: &str) -> Result<i64, DurationError> {
    parse_prometheus(text).or_else(|_| parse_go(text))
}

/// Prints nanoseconds as Go's `time.Duration` does: `1h30m0s`, `1.5s`, `100µs`, `0s`.
pub(crate) struct GoDuration(pub i64);

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.unsigned_abs();
        if ns == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        match ns {
            0..1_000 => return write!(f, "{ns}ns"),
            1_000..1_000_000 => return write_scaled(f, ns, 3, "µs"),
            1_000_000..1_000_000_000 => return write_scaled(f, ns, 6, "ms"),
            _ => {}
        }
        let minutes = ns / 60_000_000_000;
        if minutes >= 60 {
            write!(f, "{}h", minutes / 60)?;
        }
        if minutes > 0 {
            write!(f, "{}m", minutes % 60)?;
        }
        write_scaled(f, ns % 60_000_000_000, 9, "s")
    }
}

/// `value / 10^places` without trailing zeros, then the unit.
fn write_scaled(f: &mut fmt::Formatter<'_>, value: u64, places: usize, unit: &str) -> fmt::Result {
    let scale = 10u64.pow(places as u32);
    write!(f, "{}", value / scale)?;
    let fraction = value % scale;
    if fraction > 0 {
        let digits = format!("{fraction:0places$}");
        write!(f, ".{}", digits.trim_end_matches('0'))?;
    }
    f.write_str(unit)
}

/// Prints nanoseconds as Prometheus does (`1d12h`), cut to whole milliseconds.
pub(crate) fn prometheus(ns: i64) -> model::duration::DurationMs {
    model::duration::DurationMs(ns / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_go_durations() {
        let good = [
            ("0", 0),
            ("1s", 1_000_000_000),
            ("-5m", -300_000_000_000),
            ("1h30m", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("559us", 559_000),
            ("1µs", 1_000),
            ("-9223372036854775808ns", i64::MIN),
            ("0.3333333333333333333h", 1_200_000_000_000),
        ];
        for (text, want) in good {
            assert_eq!(parse_go(text), Ok(want), "{text}");
        }
        let bad = [
            ("", "time: invalid duration \"\""),
            ("notaduration", "time: invalid duration \"notaduration\""),
            ("é\t\"", "time: invalid duration \"\\xc3\\xa9\\x09\\\"\""),
            ("3", "time: missing unit in duration \"3\""),
            ("1d", "time: unknown unit \"d\" in duration \"1d\""),
            ("1 s", "time: unknown unit \" s\" in duration \"1 s\""),
            (".s", "time: invalid duration \".s\""),
            ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
        ];
        for (text, want) in bad {
            assert_eq!(parse_go(text).unwrap_err().to_string(), want, "{text}");
        }
    }

    #[test]
    fn reads_prometheus_durations() {
        assert_eq!(parse_prometheus("1d12h"), Ok(129_600_000_000_000));
        assert_eq!(parse_prometheus("0"), Ok(0));
        let bad = [
            ("", "empty duration string"),
            ("5", "not a valid duration string: \"5\""),
            ("5x", "unknown unit \"x\" in duration \"5x\""),
            ("-5m", "not a valid duration string: \"-5m\""),
            (" 30m ", "not a valid duration string: \" 30m \""),
            ("0.5h", "unknown unit \".\" in duration \"0.5h\""),
            ("1h-30m", "unknown unit \"h-\" in duration \"1h-30m\""),
            ("1m1h", "not a valid duration string: \"1m1h\""),
            ("293y", "duration out of range"),
        ];
        for (text, want) in bad {
            assert_eq!(parse_prometheus(text).unwrap_err().to_string(), want, "{text}");
        }
    }

    #[test]
    fn prints_as_go_does() {
        let cases = [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (-1_500_000_000, "-1.5s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ];
        for (ns, want) in cases {
            assert_eq!(GoDuration(ns).to_string(), want);
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_prints(ns: i64) {
            prop_assert_eq!(parse_go(&GoDuration(ns).to_string()), Ok(ns));
        }

        #[test]
        fn never_panics(text in ".{0,20}") {
            let _ = (parse_go(&text), parse_prometheus(&text));
        }
    }
}
