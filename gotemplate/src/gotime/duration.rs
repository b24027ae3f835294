//! Durations as Go prints and reads them.

use std::fmt;

use super::parse::quote;

/// A span of time in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(pub i64);

/// A text that is no duration. Displays as Go does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("time: {what}{}", quote(.input))]
pub struct DurationError {
    what: String,
    input: String,
}

const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl Duration {
    /// The duration in seconds.
    pub fn seconds(self) -> f64 {
        let whole = self.0 / 1_000_000_000;
        let rest = self.0 % 1_000_000_000;
        whole as f64 + rest as f64 / 1e9
    }

    /// Rounded to the nearest multiple of `unit`, halves away from zero.
    pub fn round(self, unit: Self) -> Self {
        if unit.0 <= 0 {
            return self;
        }
        let rest = self.0 % unit.0;
        let down = self.0 - rest;
        if rest.unsigned_abs() < unit.0.unsigned_abs() - rest.unsigned_abs() {
            return Self(down);
        }
        Self(if self.0 < 0 { down.saturating_sub(unit.0) } else { down.saturating_add(unit.0) })
    }

    /// Reads `1h15m30.918s`, `-1.5h`, `300ms`, `0`: numbers with a unit from `ns us µs ms s m h`.
    ///
    /// # Errors
    /// With Go's words, if the text is not of that form or too long for 64-bit nanoseconds.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        let fail = |what: &str| DurationError { what: format!("{what} "), input: text.to_owned() };
        let invalid = || fail("invalid duration");
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total = 0u64;
        while !rest.is_empty() {
            if !rest.starts_with(|c: char| c == '.' || c.is_ascii_digit()) {
                return Err(invalid());
            }
            let whole_len = rest.bytes().take_while(u8::is_ascii_digit).count();
            let whole: u64 = match &rest[..whole_len] {
                "" => 0,
                digits => digits.parse().ok().filter(|n| *n <= 1 << 63).ok_or_else(invalid)?,
            };
            rest = &rest[whole_len..];
            let mut fraction = (0u64, 1f64);
            let mut fraction_len = 0;
            if let Some(body) = rest.strip_prefix('.') {
                fraction_len = body.bytes().take_while(u8::is_ascii_digit).count();
                fraction = leading_fraction(&body[..fraction_len]);
                rest = &body[fraction_len..];
            }
            if whole_len == 0 && fraction_len == 0 {
                return Err(invalid());
            }
            let unit_len = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
            let unit = &rest[..unit_len];
            if unit.is_empty() {
                return Err(fail("missing unit in duration"));
            }
            let Some(&(_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
                return Err(fail(&format!("unknown unit {} in duration", quote(unit))));
            };
            rest = &rest[unit_len..];
            if whole > (1 << 63) / scale {
                return Err(invalid());
            }
            let mut value = whole * scale;
            if fraction.0 > 0 {
                value += (fraction.0 as f64 * (scale as f64 / fraction.1)) as u64;
            }
            total = total.checked_add(value).filter(|total| *total <= 1 << 63).ok_or_else(invalid)?;
        }
        match (negative, i64::try_from(total)) {
            (true, Ok(total)) => Ok(Self(-total)),
            (true, Err(_)) => Ok(Self(i64::MIN)),
            (false, Ok(total)) => Ok(Self(total)),
            (false, Err(_)) => Err(invalid()),
        }
    }
}

/// Digits after the point as a number and its scale; what exceeds 63 bits is ignored.
fn leading_fraction(digits: &str) -> (u64, f64) {
    let (mut value, mut scale) = (0u64, 1f64);
    for digit in digits.bytes() {
        let next = value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit - b'0')));
        match next.filter(|next| *next <= 1 << 63) {
            Some(next) => value = next,
            None => break,
        }
        scale *= 10.0;
    }
    (value, scale)
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let nanoseconds = self.0.unsigned_abs();
        if nanoseconds < 1_000_000_000 {
            return match nanoseconds {
                0 => f.write_str("0s"),
                n if n < 1_000 => write!(f, "{n}ns"),
                n if n < 1_000_000 => with_fraction(f, n, 3, "\u{b5}s"),
                n => with_fraction(f, n, 6, "ms"),
            };
        }
        let seconds = nanoseconds / 1_000_000_000;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if seconds >= 60 {
            write!(f, "{minutes}m")?;
        }
        with_fraction(f, seconds % 60 * 1_000_000_000 + nanoseconds % 1_000_000_000, 9, "s")
    }
}

/// `value / 10^digits` without trailing zeros.
fn with_fraction(f: &mut fmt::Formatter<'_>, value: u64, digits: u32, unit: &str) -> fmt::Result {
    let scale = 10u64.pow(digits);
    let fraction = format!("{:0width$}", value % scale, width = digits as usize);
    let fraction = fraction.trim_end_matches('0');
    write!(f, "{}{}{fraction}{unit}", value / scale, if fraction.is_empty() { "" } else { "." })
}
