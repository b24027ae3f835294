//! Numbers as Go writes and reads them in exposition formats, straight into and out of byte buffers.

use model::number::FloatFormat;
pub use model::number::{write_i64 as write_int, write_u64 as write_uint};

/// Appends `value` in Go's `'g'` form with the fewest digits that read back: `1`, `0.25`, `1e+06`, `+Inf`, `NaN`.
pub fn write_float(out: &mut Vec<u8>, value: f64) {
    model::number::write_float(out, value, FloatFormat::General);
}

/// As [`write_float`], but OpenMetrics' form: a number without point or exponent gets `.0`.
pub fn write_openmetrics_float(out: &mut Vec<u8>, value: f64) {
    let start = out.len();
    write_float(out, value);
    if value.is_finite() && !out[start..].iter().any(|b| matches!(b, b'.' | b'e')) {
        out.extend_from_slice(b".0");
    }
}

/// Milliseconds as seconds with up to three decimals: `1520879607.789`.
pub fn write_seconds(out: &mut Vec<u8>, ms: i64) {
    if ms < 0 {
        out.push(b'-');
    }
    let ms = ms.unsigned_abs();
    write_uint(out, ms / 1000);
    let rest = ms % 1000;
    if rest != 0 {
        let decimals = [b'0' + (rest / 100) as u8, b'0' + (rest / 10 % 10) as u8, b'0' + (rest % 10) as u8];
        let keep = decimals.iter().rposition(|d| *d != b'0').map_or(0, |at| at + 1);
        out.push(b'.');
        out.extend_from_slice(&decimals[..keep]);
    }
}

/// Reads a sample value as Prometheus' parsers do: a decimal float, `NaN`, `Inf` or `Infinity` in any case with an
/// optional sign; no hex, no underscores. `None` for anything else.
#[inline]
pub fn parse_float(text: &[u8]) -> Option<f64> {
    // Up to 15 digits are exact in a double and most values are short integers: no general parser for those.
    if let [first, ..] = text
        && text.len() <= 15
        && first.is_ascii_digit()
    {
        let mut value: u64 = 0;
        let mut plain = true;
        for byte in text {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                plain = false;
                break;
            }
            value = value * 10 + u64::from(digit);
        }
        if plain {
            return Some(value as f64);
        }
    }
    parse_float_slow(text)
}

fn parse_float_slow(text: &[u8]) -> Option<f64> {
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    match unsigned.first()? {
        b'0'..=b'9' | b'.' => {
            if unsigned.iter().any(|b| !matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
                return None;
            }
        }
        b'n' | b'N' => return (text.eq_ignore_ascii_case(b"nan")).then_some(model::sample::NORMAL_NAN),
        b'i' | b'I' => {
            let known = unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity");
            let value = if text.starts_with(b"-") { f64::NEG_INFINITY } else { f64::INFINITY };
            return known.then_some(value);
        }
        _ => return None,
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    // Go answers a range error here, and its parsers pass that on.
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_as_go_does() {
        let cases = [
            (0.0, "0", "0.0"),
            (-0.0, "-0", "-0.0"),
            (1.0, "1", "1.0"),
            (-17.0, "-17", "-17.0"),
            (999_999.0, "999999", "999999.0"),
            (1_000_000.0, "1e+06", "1e+06"),
            (1_234_567.0, "1.234567e+06", "1.234567e+06"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "1e-05"),
            (0.005, "0.005", "0.005"),
            (2.5, "2.5", "2.5"),
            (123_456.789, "123456.789", "123456.789"),
            (1.5e300, "1.5e+300", "1.5e+300"),
            (5e-324, "5e-324", "5e-324"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
            (f64::NAN, "NaN", "NaN"),
        ];
        for (value, plain, openmetrics) in cases {
            assert_eq!(text(|out| write_float(out, value)), plain);
            assert_eq!(text(|out| write_openmetrics_float(out, value)), openmetrics);
        }
    }

    #[test]
    fn writes_seconds() {
        for (ms, want) in
            [(0, "0"), (1_520_879_607_789, "1520879607.789"), (-1_500, "-1.5"), (10, "0.01"), (1, "0.001")]
        {
            assert_eq!(text(|out| write_seconds(out, ms)), want);
        }
    }

    #[test]
    fn reads_what_the_scraper_reads() {
        for (input, want) in [("1", 1.0), ("+1", 1.0), ("1e3", 1000.0), (".5", 0.5), ("-inf", f64::NEG_INFINITY)] {
            assert_eq!(parse_float(input.as_bytes()), Some(want), "{input}");
        }
        assert!(parse_float(b"nAn").is_some_and(f64::is_nan));
        for input in ["", "-", "x", "1_000", "0x1p3", "1p3", "1 ", "--1", "infi", "1e", "1e999", "+nan"] {
            assert_eq!(parse_float(input.as_bytes()), None, "{input}");
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let back = parse_float(text(|out| write_float(out, value)).as_bytes()).unwrap();
            prop_assert!(back.to_bits() == value.to_bits() || (back.is_nan() && value.is_nan()));
        }
    }
}
