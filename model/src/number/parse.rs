//! Reading floats and integers: Go's accepted forms and Go's error texts.

use std::borrow::Cow;

/// Why a number was refused. Displays as Go does: `strconv.ParseFloat: parsing "x": invalid syntax`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("strconv.{function}: parsing {}: {kind}", super::quote(input))]
pub struct NumberError {
    /// The Go function whose rules refused it (`ParseFloat`, `ParseInt`, `ParseUint`).
    pub function: &'static str,
    /// The text that was to be a number.
    pub input: String,
    /// What is wrong with it.
    pub kind: NumberErrorKind,
}

/// What is wrong with the text of a [`NumberError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberErrorKind {
    /// Not a number.
    #[error("invalid syntax")]
    Syntax,
    /// A number outside the type's range.
    #[error("value out of range")]
    Range,
}

fn refuse<T>(function: &'static str, input: &str, kind: NumberErrorKind) -> Result<T, NumberError> {
    // An error text is for people: a whole log line in it helps nobody, but Go keeps the input, so only the absurd is cut.
    let mut end = input.len().min(4096);
    while !input.is_char_boundary(end) {
        end -= 1;
    }
    Err(NumberError { function, input: input[..end].to_owned(), kind })
}

/// Parses a float as Go's `strconv.ParseFloat(text, 64)`: decimal and hexadecimal (`0x1.8p3`) forms, `inf`, `infinity` with
/// a sign, `nan` without, in any case, and underscores where a Go literal may have them.
///
/// # Errors
/// [`NumberErrorKind::Range`] if the value is too large for a double, [`NumberErrorKind::Syntax`] for anything else.
pub fn parse_float(text: &str) -> Result<f64, NumberError> {
    parse(text, true)
}

/// [`parse_float`] without underscores.
///
/// # Errors
/// As [`parse_float`].
pub fn parse_float_plain(text: &str) -> Result<f64, NumberError> {
    parse(text, false)
}

fn parse(text: &str, underscores: bool) -> Result<f64, NumberError> {
    if let Some(value) = special(text.as_bytes()) {
        return Ok(value);
    }
    let Some(form) = scan(text.as_bytes()) else { return refuse("ParseFloat", text, NumberErrorKind::Syntax) };
    let clean = if form.underscores {
        if !underscores || !underscores_are_between_digits(text.as_bytes()) {
            return refuse("ParseFloat", text, NumberErrorKind::Syntax);
        }
        Cow::Owned(text.replace('_', ""))
    } else {
        Cow::Borrowed(text)
    };
    let value = if form.hexadecimal { hexadecimal(clean.as_bytes()) } else { clean.parse().ok() };
    match value {
        Some(value) if value.is_finite() => Ok(value),
        Some(_) => refuse("ParseFloat", text, NumberErrorKind::Range),
        None => refuse("ParseFloat", text, NumberErrorKind::Syntax),
    }
}

fn special(text: &[u8]) -> Option<f64> {
    let (sign, name) = match text.split_first()? {
        (b'+', rest) => (Some(1.0), rest),
        (b'-', rest) => (Some(-1.0), rest),
        _ => (None, text),
    };
    if name.eq_ignore_ascii_case(b"inf") || name.eq_ignore_ascii_case(b"infinity") {
        return Some(f64::INFINITY.copysign(sign.unwrap_or(1.0)));
    }
    (sign.is_none() && name.eq_ignore_ascii_case(b"nan")).then_some(f64::NAN)
}

struct Form {
    hexadecimal: bool,
    underscores: bool,
}

/// Checks the shape of a whole decimal or hexadecimal float, underscores anywhere among the digits.
fn scan(text: &[u8]) -> Option<Form> {
    let mut rest = match text.split_first()? {
        (b'+' | b'-', rest) => rest,
        _ => text,
    };
    let hexadecimal = rest.len() > 2 && rest[0] == b'0' && rest[1].eq_ignore_ascii_case(&b'x');
    if hexadecimal {
        rest = &rest[2..];
    }
    let (mut digits, mut point, mut underscores) = (false, false, false);
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b'_' => underscores = true,
            b'.' if !point => point = true,
            b'0'..=b'9' => digits = true,
            b'a'..=b'f' | b'A'..=b'F' if hexadecimal => digits = true,
            _ => break,
        }
        rest = tail;
    }
    if !digits {
        return None;
    }
    let marker = if hexadecimal { b'p' } else { b'e' };
    match rest.split_first() {
        None if !hexadecimal => {}
        Some((byte, tail)) if byte.eq_ignore_ascii_case(&marker) => {
            let exponent = match tail.split_first() {
                Some((b'+' | b'-', tail)) => tail,
                _ => tail,
            };
            if !exponent.first()?.is_ascii_digit() || !exponent.iter().all(|b| b.is_ascii_digit() || *b == b'_') {
                return None;
            }
            underscores |= exponent.contains(&b'_');
        }
        _ => return None,
    }
    Some(Form { hexadecimal, underscores })
}

/// An underscore stands between two digits; a base prefix counts as a digit.
fn underscores_are_between_digits(text: &[u8]) -> bool {
    let mut text = match text.split_first() {
        Some((b'+' | b'-', rest)) => rest,
        _ => text,
    };
    let mut previous = b'^';
    let mut hexadecimal = false;
    if text.len() >= 2 && text[0] == b'0' && matches!(text[1] | 0x20, b'b' | b'o' | b'x') {
        hexadecimal = text[1] | 0x20 == b'x';
        previous = b'0';
        text = &text[2..];
    }
    for &byte in text {
        let digit = byte.is_ascii_digit() || hexadecimal && byte.is_ascii_hexdigit();
        if byte == b'_' && previous != b'0' || !digit && byte != b'_' && previous == b'_' {
            return false;
        }
        previous = match byte {
            b'_' => b'_',
            _ if digit => b'0',
            _ => b'!',
        };
    }
    previous != b'_'
}

/// Value of a hexadecimal float of checked shape, rounded half to even. Infinite if too large.
fn hexadecimal(text: &[u8]) -> Option<f64> {
    let (negative, body) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let body = body.get(2..)?;
    let at = body.iter().position(|b| b.eq_ignore_ascii_case(&b'p'))?;
    let mut mantissa = 0u64;
    let mut exponent = 0i64;
    let mut sticky = false;
    let mut after_point = false;
    for &byte in &body[..at] {
        if byte == b'.' {
            after_point = true;
            continue;
        }
        let digit = u64::from(char::from(byte).to_digit(16)?);
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
            exponent -= if after_point { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            exponent += if after_point { 0 } else { 4 };
        }
    }
    let (sign, digits) = match body[at + 1..].split_first()? {
        (b'-', rest) => (-1, rest),
        (b'+', rest) => (1, rest),
        _ => (1, &body[at + 1..]),
    };
    let power = digits.iter().fold(0i64, |value, &b| (value * 10 + i64::from(b - b'0')).min(1_000_000));
    let value = scale(mantissa, sticky, exponent.saturating_add(sign * power));
    Some(if negative { -value } else { value })
}

/// `mantissa × 2^exponent` (plus a little if `sticky`), rounded half to even.
fn scale(mantissa: u64, sticky: bool, exponent: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let shift = i64::from(mantissa.leading_zeros());
    let mut mantissa = u128::from(mantissa << shift) << 2 | u128::from(sticky);
    // The value is mantissa × 2^(exponent) with 66 bits; bring it to 53 bits, or fewer for a subnormal.
    let mut exponent = exponent - shift - 2;
    let lowest = (exponent + 13).max(-1074);
    let drop = (lowest - exponent).min(100);
    let lost = mantissa & ((1 << drop) - 1);
    let half = 1u128 << (drop - 1);
    mantissa >>= drop;
    exponent = lowest;
    if lost > half || lost == half && mantissa & 1 == 1 {
        mantissa += 1;
    }
    if exponent > 1023 {
        return f64::INFINITY;
    }
    // At most 2^53, so exact; the power is in range or is reached in two exact steps.
    let value = mantissa as f64;
    let exponent = i32::try_from(exponent).unwrap_or(i32::MAX);
    if exponent < -1022 { value * 2f64.powi(-1022) * 2f64.powi(exponent + 1022) } else { value * 2f64.powi(exponent) }
}

/// Parses an unsigned integer as Go's `strconv.ParseUint`: `base` 2 to 36, or 0 for the prefixes `0b`, `0o`, `0`, `0x` and
/// underscores. `bits` is the width of the type, 1 to 64.
///
/// # Errors
/// [`NumberErrorKind::Range`] if it does not fit, else [`NumberErrorKind::Syntax`].
pub fn parse_uint(text: &str, base: u32, bits: u32) -> Result<u64, NumberError> {
    unsigned(text, base, bits).or_else(|kind| refuse("ParseUint", text, kind))
}

/// Parses a signed integer as Go's `strconv.ParseInt`; arguments as for [`parse_uint`].
///
/// # Errors
/// As [`parse_uint`].
pub fn parse_int(text: &str, base: u32, bits: u32) -> Result<i64, NumberError> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = match unsigned(digits, base, bits) {
        Ok(magnitude) => i128::from(magnitude),
        Err(kind) => return refuse("ParseInt", text, kind),
    };
    let limit = 1i128 << (bits.clamp(1, 64) - 1);
    let value = if negative { -magnitude } else { magnitude };
    match i64::try_from(value) {
        Ok(narrow) if (-limit..limit).contains(&value) => Ok(narrow),
        _ => refuse("ParseInt", text, NumberErrorKind::Range),
    }
}

fn unsigned(text: &str, base: u32, bits: u32) -> Result<u64, NumberErrorKind> {
    let any_base = base == 0;
    let (radix, digits) = match (any_base, text.as_bytes()) {
        (false, _) => (base.clamp(2, 36), text),
        (true, [b'0', b'b' | b'B', _, ..]) => (2, &text[2..]),
        (true, [b'0', b'o' | b'O', _, ..]) => (8, &text[2..]),
        (true, [b'0', b'x' | b'X', _, ..]) => (16, &text[2..]),
        (true, [b'0', _, ..]) => (8, &text[1..]),
        (true, _) => (10, text),
    };
    if digits.is_empty() {
        return Err(NumberErrorKind::Syntax);
    }
    let largest = u64::MAX >> (64 - bits.clamp(1, 64));
    let mut value = 0u64;
    let mut underscores = false;
    for byte in digits.bytes() {
        if byte == b'_' && any_base {
            underscores = true;
            continue;
        }
        let digit = char::from(byte).to_digit(radix).ok_or(NumberErrorKind::Syntax)?;
        value = value
            .checked_mul(u64::from(radix))
            .and_then(|value| value.checked_add(u64::from(digit)))
            .filter(|value| *value <= largest)
            .ok_or(NumberErrorKind::Range)?;
    }
    if underscores && !underscores_are_between_digits(text.as_bytes()) {
        return Err(NumberErrorKind::Syntax);
    }
    Ok(value)
}
