//! Durations as Prometheus writes them: `1h30m`, units `y w d h m s ms` in descending order, each at most once.

use std::fmt;

const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing was given.
    #[error("empty duration string")]
    Empty,
    /// Wrong form, unit or order of units.
    #[error("not a valid duration string: {0:?}")]
    Invalid(String),
    /// More milliseconds than fit.
    #[error("duration out of range")]
    OutOfRange,
}

/// Reads a duration in milliseconds. `0` needs no unit; anything else is numbers with units, largest first.
///
/// # Errors
/// When the text is empty, not of that form, or too large (292 years are the limit, as in Prometheus).
pub fn parse_duration_ms(text: &str) -> Result<i64, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text == "0" {
        return Ok(0);
    }
    let invalid = || DurationError::Invalid(text.to_owned());
    let mut rest = text;
    let mut total: i64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let at = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(invalid)?;
        if number.is_empty() || at < next_unit {
            return Err(invalid());
        }
        next_unit = at + 1;
        let number: i64 = number.parse().map_err(|_| DurationError::OutOfRange)?;
        total =
            number.checked_mul(UNITS[at].1).and_then(|ms| total.checked_add(ms)).ok_or(DurationError::OutOfRange)?;
        rest = tail;
    }
    // Prometheus counts in nanoseconds, 64 bits of them.
    if total > i64::MAX / 1_000_000 {
        return Err(DurationError::OutOfRange);
    }
    Ok(total)
}

/// Prints milliseconds as Prometheus does: `1h30m`, `0s`; years, weeks and days only when nothing smaller is left over.
pub struct DurationMs(pub i64);

impl fmt::Display for DurationMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ms = self.0.unsigned_abs();
        if ms == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        for (unit, size) in UNITS {
            let size = size.unsigned_abs();
            // Only whole years, weeks and days are written as such: `90d` stays `90d`, `36h` becomes `1d12h`.
            if matches!(unit, "y" | "w") && !ms.is_multiple_of(size) {
                continue;
            }
            if ms >= size {
                write!(f, "{}{unit}", ms / size)?;
                ms %= size;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_prometheus_reads() {
        let good = [("0", 0), ("0s", 0), ("5m", 300_000), ("1h30m", 5_400_000), ("10ms", 10), ("1d1ms", 86_400_001)];
        for (text, want) in good {
            assert_eq!(parse_duration_ms(text), Ok(want), "{text}");
        }
        assert_eq!(parse_duration_ms("1y2w3d"), Ok((365 + 14 + 3) * 86_400_000));
        for text in ["", "5", "m", "5 m", "1m1h", "1m1m", "-5m", "1.5h", "5mm", "1h30"] {
            assert!(parse_duration_ms(text).is_err(), "{text}");
        }
        assert_eq!(parse_duration_ms("99999999999999999999h"), Err(DurationError::OutOfRange));
        assert_eq!(parse_duration_ms("294y"), Err(DurationError::OutOfRange));
    }

    #[test]
    fn prints_as_prometheus_does() {
        let cases = [
            (0, "0s"),
            (324_000, "5m24s"),
            (5_400_000, "1h30m"),
            (604_800_000, "1w"),
            (86_400_000 * 8, "8d"),
            (86_400_000 * 365, "1y"),
            (1, "1ms"),
            (-60_000, "-1m"),
            (90_000_000, "1d1h"),
        ];
        for (ms, want) in cases {
            assert_eq!(DurationMs(ms).to_string(), want);
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_prints(ms in 0i64..=9_000_000_000_000) {
            prop_assert_eq!(parse_duration_ms(&DurationMs(ms).to_string()), Ok(ms));
        }
    }
}
