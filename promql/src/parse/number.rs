//! Numbers and durations as they stand in a query.

use model::number::quote;

/// The number of a literal: decimal, hexadecimal, octal with a leading zero, `Inf`, `NaN`; underscores between digits.
pub(crate) fn parse_number(text: &str) -> Result<f64, String> {
    if let Ok(integer) = model::number::parse_int(text, 0, 64) {
        return Ok(integer as f64);
    }
    match model::number::parse_float(text) {
        Ok(number) if number.is_nan() => Ok(model::sample::NORMAL_NAN),
        other => other.map_err(|e| e.to_string()),
    }
}

/// Units, largest first, in ms.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Most milliseconds of a duration: 64 bits of nanoseconds.
const MAX_DURATION_MS: u64 = i64::MAX as u64 / 1_000_000;

/// Milliseconds of a duration such as `1h30m`, with Prometheus' messages.
pub(crate) fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let invalid = || format!("not a valid duration string: {}", quote(text));
    let range = || "duration out of range".to_owned();
    let mut rest = text;
    let mut total: u64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        if number.is_empty() || unit.is_empty() {
            return Err(invalid());
        }
        let at = UNITS
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or_else(|| format!("unknown unit {} in duration {}", quote(unit), quote(text)))?;
        if at < next_unit {
            return Err(invalid());
        }
        next_unit = at + 1;
        let number: u64 = number.parse().map_err(|_| invalid())?;
        total = number.checked_mul(UNITS[at].1).and_then(|ms| total.checked_add(ms)).ok_or_else(range)?;
        rest = tail;
    }
    if total > MAX_DURATION_MS {
        return Err(range());
    }
    Ok(total as i64)
}

/// Milliseconds of a number of seconds, through whole nanoseconds as Prometheus keeps them.
pub(crate) fn seconds_to_ms(seconds: f64) -> i64 {
    ((seconds * 1e9).round() / 1e6) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_as_go_does() {
        let good = [
            ("1", 1.0),
            ("0x8f", 143.0),
            ("0X_8_F", 143.0),
            ("017", 15.0),
            ("089", 89.0),
            ("1_000.5", 1000.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e-3", 0.001),
            ("Inf", f64::INFINITY),
            ("iNf", f64::INFINITY),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
        ];
        for (text, want) in good {
            assert_eq!(parse_number(text), Ok(want), "{text}");
        }
        assert!(parse_number("NAN").is_ok_and(|n| n.to_bits() == 0x7ff8_0000_0000_0001));
        assert_eq!(parse_number("1_"), Err("strconv.ParseFloat: parsing \"1_\": invalid syntax".to_owned()));
        assert_eq!(parse_number("1e999"), Err("strconv.ParseFloat: parsing \"1e999\": value out of range".to_owned()));
    }

    #[test]
    fn reads_durations() {
        assert_eq!(parse_duration_ms("1h30m"), Ok(5_400_000));
        assert_eq!(parse_duration_ms("5y1hs"), Err("unknown unit \"hs\" in duration \"5y1hs\"".to_owned()));
        assert_eq!(parse_duration_ms("5m1h"), Err("not a valid duration string: \"5m1h\"".to_owned()));
        assert_eq!(parse_duration_ms("300y"), Err("duration out of range".to_owned()));
    }
}
