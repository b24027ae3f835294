//! Writing floats and integers: digits from elsewhere, layout by Go's rules.
//!
//! A float becomes [`Digits`] (significant digits and the place of the decimal point) and is then laid out as fixed or
//! exponent form. The shortest form takes the digits from `zmij`; a given precision takes them from `core::fmt`, which
//! rounds the exact binary value half to even as Go does.

use std::fmt::Write as _;

/// Where ASCII text is appended: a byte buffer or a string.
pub trait AsciiSink {
    /// Appends `ascii`, which holds bytes below 0x80 only.
    fn put(&mut self, ascii: &[u8]);
}

impl AsciiSink for Vec<u8> {
    fn put(&mut self, ascii: &[u8]) {
        self.extend_from_slice(ascii);
    }
}

impl AsciiSink for String {
    fn put(&mut self, ascii: &[u8]) {
        self.push_str(std::str::from_utf8(ascii).unwrap_or_default());
    }
}

/// Layout of a float: Go's verbs `'f'`, `'e'` and `'g'`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FloatFormat {
    /// `'f'`: never an exponent. The form of sample values in API answers.
    Fixed,
    /// `'e'`: always an exponent, signed, of at least two digits.
    Exponent,
    /// `'g'`: exponent form for decimal exponents below -4 or from 6 on (for a given precision: from that precision on).
    /// The form of `le` and `quantile` labels and of the text exposition.
    General,
}

/// Largest number of significant decimal digits of a finite double; what follows is zeros.
const MAX_SIGNIFICANT: usize = 767;
/// Largest number of digits after the point that can differ from zero.
const MAX_FRACTION: usize = 1074;

/// Significant digits `0.d1d2d3… × 10^point`, without leading or trailing zeros. Zero has no digits and point 0.
struct Digits<const N: usize> {
    ascii: [u8; N],
    len: usize,
    point: i32,
}

impl<const N: usize> Digits<N> {
    /// Reads plain or exponent notation of a non-negative finite number (`12.5`, `1e-07`, `0.001`).
    fn from_text(text: &[u8]) -> Self {
        let mut digits = Self { ascii: [b'0'; N], len: 0, point: 0 };
        let (mantissa, exponent) = match text.iter().position(|&b| b == b'e') {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])),
            None => (text, 0),
        };
        let mut before_point = 0;
        let mut seen_point = false;
        for &byte in mantissa {
            if byte == b'.' {
                seen_point = true;
                continue;
            }
            if digits.len == 0 && byte == b'0' {
                before_point -= i32::from(seen_point);
                continue;
            }
            if digits.len < N {
                digits.ascii[digits.len] = byte;
                digits.len += 1;
            }
            before_point += i32::from(!seen_point);
        }
        while digits.len > 0 && digits.ascii[digits.len - 1] == b'0' {
            digits.len -= 1;
        }
        if digits.len > 0 {
            digits.point = before_point + exponent;
        }
        digits
    }

    fn all(&self) -> &[u8] {
        &self.ascii[..self.len]
    }

    /// `d.ddde±dd` with `fraction` digits after the point.
    fn put_exponent(&self, out: &mut impl AsciiSink, fraction: usize, two_digit_exponent: bool) {
        let digits = self.all();
        out.put(&[digits.first().copied().unwrap_or(b'0')]);
        if fraction > 0 {
            out.put(b".");
            let rest = digits.get(1..).unwrap_or_default();
            let rest = &rest[..rest.len().min(fraction)];
            out.put(rest);
            put_zeros(out, fraction - rest.len());
        }
        let exponent = if digits.is_empty() { 0 } else { self.point - 1 };
        out.put(if exponent < 0 { b"e-" } else { b"e+" });
        let magnitude = exponent.unsigned_abs();
        if magnitude < 10 && two_digit_exponent {
            out.put(b"0");
        }
        write_u64(out, u64::from(magnitude));
    }

    /// `ddd.ddd` with `fraction` digits after the point.
    fn put_fixed(&self, out: &mut impl AsciiSink, fraction: usize) {
        let digits = self.all();
        let whole = usize::try_from(self.point).unwrap_or(0);
        if whole == 0 {
            out.put(b"0");
        } else {
            let known = whole.min(digits.len());
            out.put(&digits[..known]);
            put_zeros(out, whole - known);
        }
        if fraction > 0 {
            out.put(b".");
            let gap = usize::try_from(-self.point).unwrap_or(0).min(fraction);
            put_zeros(out, gap);
            let rest = digits.get(whole..).unwrap_or_default();
            let rest = &rest[..rest.len().min(fraction - gap)];
            out.put(rest);
            put_zeros(out, fraction - gap - rest.len());
        }
    }

    /// Digits after the point that [`Self::put_fixed`] needs to lose nothing.
    fn fraction_len(&self) -> usize {
        usize::try_from(i32::try_from(self.len).unwrap_or(i32::MAX) - self.point).unwrap_or(0)
    }

    fn put_general(&self, out: &mut impl AsciiSink, threshold: i32) {
        let exponent = self.point - 1;
        if self.len > 0 && (exponent < -4 || exponent >= threshold) {
            self.put_exponent(out, self.len - 1, true);
        } else {
            self.put_fixed(out, self.fraction_len());
        }
    }
}

fn parse_exponent(text: &[u8]) -> i32 {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let magnitude = digits.iter().fold(0, |value, &b| value * 10 + i32::from(b - b'0'));
    if negative { -magnitude } else { magnitude }
}

fn put_zeros(out: &mut impl AsciiSink, mut count: usize) {
    const ZEROS: &[u8; 32] = b"00000000000000000000000000000000";
    while count > 0 {
        let step = count.min(ZEROS.len());
        out.put(&ZEROS[..step]);
        count -= step;
    }
}

/// Writes the sign and the three special values. Returns the magnitude that is still to be written.
fn put_sign_or_special(out: &mut impl AsciiSink, value: f64) -> Option<f64> {
    if value.is_nan() {
        out.put(b"NaN");
        return None;
    }
    if value.is_infinite() {
        out.put(if value > 0.0 { b"+Inf" } else { b"-Inf" });
        return None;
    }
    if value.is_sign_negative() {
        out.put(b"-");
    }
    Some(value.abs())
}

/// Doubles below this are integers that `u64` and the double hold alike.
const EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Appends the shortest digits that read back as `value`, laid out as Go's `strconv.AppendFloat(…, precision -1, 64)`.
///
/// `NaN`, `+Inf` and `-Inf` are spelled so; negative zero is `-0`.
pub fn write_float(out: &mut impl AsciiSink, value: f64, format: FloatFormat) {
    let Some(magnitude) = put_sign_or_special(out, value) else { return };
    // Most sample values are whole numbers: no digit search, no layout.
    let whole_limit = if format == FloatFormat::Fixed { EXACT_INTEGER } else { 1e6 };
    if format != FloatFormat::Exponent && magnitude < whole_limit && magnitude.fract() == 0.0 {
        return write_u64(out, magnitude as u64);
    }
    let mut buffer = zmij::Buffer::new();
    let digits = Digits::<24>::from_text(buffer.format_finite(magnitude).as_bytes());
    match format {
        FloatFormat::Fixed => digits.put_fixed(out, digits.fraction_len()),
        FloatFormat::Exponent => digits.put_exponent(out, digits.len.saturating_sub(1), true),
        FloatFormat::General => digits.put_general(out, 6),
    }
}

/// Appends `value` with a given precision: digits after the point (`Fixed`, `Exponent`) or significant digits (`General`,
/// trailing zeros dropped), rounded half to even on the exact value.
pub fn write_float_precision(out: &mut impl AsciiSink, value: f64, format: FloatFormat, precision: usize) {
    let Some(magnitude) = put_sign_or_special(out, value) else { return };
    match format {
        FloatFormat::Fixed => {
            let known = precision.min(MAX_FRACTION);
            let _ = write!(Adapter(out), "{magnitude:.known$}");
            put_zeros(out, precision - known);
        }
        FloatFormat::Exponent => {
            let digits = rounded_digits(magnitude, precision.saturating_add(1));
            digits.put_exponent(out, precision, true);
        }
        FloatFormat::General => {
            let precision = precision.max(1);
            let digits = rounded_digits(magnitude, precision);
            let len = i32::try_from(digits.len).unwrap_or(i32::MAX);
            let precision = i32::try_from(precision).unwrap_or(i32::MAX);
            let threshold = if precision > len && len >= digits.point { len } else { precision };
            digits.put_general(out, threshold);
        }
    }
}

/// The first `significant` digits of `magnitude`, correctly rounded.
fn rounded_digits(magnitude: f64, significant: usize) -> Digits<MAX_SIGNIFICANT> {
    let mut text = StackText { bytes: [0; MAX_SIGNIFICANT + 16], len: 0 };
    let fraction = significant.clamp(1, MAX_SIGNIFICANT) - 1;
    let _ = write!(text, "{magnitude:.fraction$e}");
    Digits::from_text(&text.bytes[..text.len])
}

/// Appends `value` as Go's `encoding/json` does: exponent form below 1e-6 and from 1e21 on, with one-digit negative
/// exponents. The caller refuses `NaN` and infinities, which JSON does not have.
pub fn write_json_float(out: &mut impl AsciiSink, value: f64) {
    let Some(magnitude) = put_sign_or_special(out, value) else { return };
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return write_float(out, magnitude, FloatFormat::Fixed);
    }
    let mut buffer = zmij::Buffer::new();
    let digits = Digits::<24>::from_text(buffer.format_finite(magnitude).as_bytes());
    // Go strips the padding zero of a negative exponent only; a positive one here has two digits anyway.
    digits.put_exponent(out, digits.len.saturating_sub(1), false);
}

/// [`write_float`] into a new string.
pub fn float_text(value: f64, format: FloatFormat) -> String {
    let mut out = String::new();
    write_float(&mut out, value, format);
    out
}

/// Appends an unsigned integer in decimal.
pub fn write_u64(out: &mut impl AsciiSink, mut value: u64) {
    let mut buffer = [0u8; 20];
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.put(&buffer[at..]);
}

/// Appends a signed integer in decimal.
pub fn write_i64(out: &mut impl AsciiSink, value: i64) {
    if value < 0 {
        out.put(b"-");
    }
    write_u64(out, value.unsigned_abs());
}

/// `core::fmt` output into an [`AsciiSink`]; numbers print ASCII only.
struct Adapter<'a, S>(&'a mut S);

impl<S: AsciiSink> std::fmt::Write for Adapter<'_, S> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.put(text.as_bytes());
        Ok(())
    }
}

struct StackText<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> std::fmt::Write for StackText<N> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
