//! Numbers and durations as they stand in a query.

use super::quote::go_quote;

/// The number of a literal: decimal, hexadecimal, octal with a leading zero, `Inf`, `NaN`; underscores between digits.
pub(crate) fn parse_number(text: &str) -> Result<f64, String> {
    if let Some(integer) = parse_integer(text) {
        return Ok(integer as f64);
    }
    let failed = |what: &str| Err(format!("strconv.ParseFloat: parsing {}: {what}", go_quote(text)));
    if !underscores_fit(text) {
        return failed("invalid syntax");
    }
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let named = unsigned.bytes().all(|b| b.is_ascii_alphabetic());
    match plain.parse::<f64>() {
        Ok(number) if number.is_infinite() && !named => failed("value out of range"),
        Ok(number) if number.is_nan() => Ok(model::sample::NORMAL_NAN),
        Ok(number) => Ok(number),
        Err(_) => match hex_float(unsigned) {
            Some(number) if plain.starts_with('-') => Ok(-number),
            Some(number) => Ok(number),
            None => failed("invalid syntax"),
        },
    }
}

/// An integer with Go's prefixes (`0x`, `0o`, `0b`, `0`) and a sign.
pub(crate) fn parse_integer(text: &str) -> Option<i64> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !underscores_fit(rest) {
        return None;
    }
    let (radix, digits) = match rest.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &rest[2..]),
        [b'0', b'o' | b'O', ..] => (8, &rest[2..]),
        [b'0', b'b' | b'B', ..] => (2, &rest[2..]),
        [b'0', _, ..] => (8, &rest[1..]),
        _ => (10, rest),
    };
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    if plain.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from_str_radix(&plain, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// Hexadecimal digits too many for an integer.
fn hex_float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    // Go wants an exponent on hexadecimal floats, which the lexer does not know: nothing else can get here.
    let (mantissa, exponent) = digits.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let mut value = 0.0;
    for c in mantissa.chars() {
        value = value * 16.0 + f64::from(c.to_digit(16)?);
    }
    Some(value * 2f64.powi(exponent))
}

/// Underscores may stand only between digits, or between a base prefix and a digit.
fn underscores_fit(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hex = bytes.len() > 1 && bytes[0] == b'0' && matches!(bytes[1] | 0x20, b'x' | b'o' | b'b');
    bytes.iter().enumerate().filter(|(_, b)| **b == b'_').all(|(at, _)| {
        let before = at > 0 && (bytes[at - 1].is_ascii_hexdigit() || (hex && at == 2));
        let after = bytes.get(at + 1).is_some_and(u8::is_ascii_hexdigit);
        before && after
    })
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
    let invalid = || format!("not a valid duration string: {}", go_quote(text));
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
            .ok_or_else(|| format!("unknown unit {} in duration {}", go_quote(unit), go_quote(text)))?;
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
