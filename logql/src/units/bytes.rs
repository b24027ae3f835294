//! Byte sizes: `1.5KiB`, `20 MB`, `512`. Sizes of 1000 (`kB`) and of 1024 (`KiB`), the unit in any case.

use std::fmt;

use model::number::{NumberError, parse_float};

/// A text is not a byte size. Displays in the words that `__error_details__` carries.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BytesError {
    /// The number before the unit is none.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// More than 64 bits hold.
    #[error("too large: {0}")]
    TooLarge(String),
    /// No such unit.
    #[error("unhandled size name: {0}")]
    Unit(String),
}

const UNITS: [(&str, u64); 26] = [
    ("", 1),
    ("b", 1),
    ("k", 1000),
    ("kb", 1000),
    ("ki", 1 << 10),
    ("kib", 1 << 10),
    ("m", 1_000_000),
    ("mb", 1_000_000),
    ("mi", 1 << 20),
    ("mib", 1 << 20),
    ("g", 1_000_000_000),
    ("gb", 1_000_000_000),
    ("gi", 1 << 30),
    ("gib", 1 << 30),
    ("t", 1_000_000_000_000),
    ("tb", 1_000_000_000_000),
    ("ti", 1 << 40),
    ("tib", 1 << 40),
    ("p", 1_000_000_000_000_000),
    ("pb", 1_000_000_000_000_000),
    ("pi", 1 << 50),
    ("pib", 1 << 50),
    ("e", 1_000_000_000_000_000_000),
    ("eb", 1_000_000_000_000_000_000),
    ("ei", 1 << 60),
    ("eib", 1 << 60),
];

/// Reads a size: a number of digits, points and commas (which are ignored), then a unit with or without space before it.
///
/// # Errors
/// When the number or the unit is none, or the size exceeds 64 bits.
pub fn parse_bytes(text: &str) -> Result<u64, BytesError> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number = if number.contains(',') { parse_float(&number.replace(',', ""))? } else { parse_float(number)? };
    let unit = unit.trim();
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) else {
        return Err(BytesError::Unit(unit.to_lowercase()));
    };
    let size = number * *factor as f64;
    if size >= u64::MAX as f64 {
        return Err(BytesError::TooLarge(text.to_owned()));
    }
    Ok(size as u64)
}

/// Prints a size in units of 1000 with at most two digits before rounding loses the rest, as `5.0kB` or `83MB`.
pub struct BytesText(pub u64);

impl fmt::Display for BytesText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
        if self.0 < 10 {
            return write!(f, "{}B", self.0);
        }
        let size = self.0 as f64;
        let exponent = (size.ln() / 1000f64.ln()).floor();
        let value = (size / 1000f64.powf(exponent) * 10.0 + 0.5).floor() / 10.0;
        let digits = usize::from(value < 10.0);
        write!(f, "{value:.digits$}{}", NAMES[(exponent as usize).min(NAMES.len() - 1)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes() {
        let good = [
            ("512", 512),
            ("512B", 512),
            ("42 MB", 42_000_000),
            ("42mib", 42 << 20),
            ("1.5KiB", 1536),
            ("1,000 kB", 1_000_000),
            ("5k", 5000),
            ("2Ei", 2 << 60),
        ];
        for (text, want) in good {
            assert_eq!(parse_bytes(text), Ok(want), "{text}");
        }
        let bad = [
            ("", "strconv.ParseFloat: parsing \"\": invalid syntax"),
            ("abc", "strconv.ParseFloat: parsing \"\": invalid syntax"),
            ("1.2.3", "strconv.ParseFloat: parsing \"1.2.3\": invalid syntax"),
            ("5XB", "unhandled size name: xb"),
            ("99EB", "too large: 99EB"),
        ];
        for (text, want) in bad {
            assert_eq!(parse_bytes(text).unwrap_err().to_string(), want, "{text}");
        }
    }

    #[test]
    fn prints_sizes() {
        let cases = [
            (0, "0B"),
            (9, "9B"),
            (10, "10B"),
            (5000, "5.0kB"),
            (1536, "1.5kB"),
            (82_854_982, "83MB"),
            (20_000, "20kB"),
        ];
        for (size, want) in cases {
            assert_eq!(BytesText(size).to_string(), want);
        }
    }
}
