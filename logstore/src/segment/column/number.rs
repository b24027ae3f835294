//! Runs of digits as numbers that are written back digit by digit.

use crate::bytes::{Cursor, Malformed};

/// Longest run of digits that is taken as a number.
pub(super) const MAX_DIGITS: usize = 18;

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberFormat {
    /// Without leading zeros.
    Plain,
    /// With so many digits.
    Fixed(u8),
    /// With any number of digits: the number counts all shorter runs first (`0`, …, `9`, `00`, …, `99`, `000`, …).
    Any,
}

/// Runs shorter than `digits`.
const fn shorter(digits: usize) -> u64 {
    let (mut sum, mut count, mut i) = (0u64, 10u64, 1);
    while i < digits {
        sum += count;
        count *= 10;
        i += 1;
    }
    sum
}

static SHORTER: [u64; MAX_DIGITS + 2] = {
    let mut table = [0; MAX_DIGITS + 2];
    let mut digits = 1;
    while digits < MAX_DIGITS + 2 {
        table[digits] = shorter(digits);
        digits += 1;
    }
    table
};

/// The value of a run of 1 to [`MAX_DIGITS`] digits.
#[inline]
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > MAX_DIGITS {
        return None;
    }
    let mut value = 0u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// The number that stands for a run of digits in format [`NumberFormat::Any`].
#[inline]
pub(super) fn any_digits(text: &[u8]) -> Option<u64> {
    Some(digits(text)? + SHORTER[text.len()])
}

/// Looks at runs of digits for the format that fits all of them.
#[derive(Debug, Default)]
pub(super) struct FormatFinder {
    /// Length of all so far; 0: they differ, `None`: there was none.
    len: Option<usize>,
    leading_zero: bool,
}

impl FormatFinder {
    /// Takes a number of format [`NumberFormat::Any`].
    pub(super) fn add(&mut self, number: u64) {
        let (len, value) = split(number);
        self.leading_zero |= len > 1 && value < SHORTER[len] - SHORTER[len - 1];
        self.len = match self.len {
            None => Some(len),
            Some(known) if known == len => Some(len),
            Some(_) => Some(0),
        };
    }

    pub(super) fn format(&self) -> NumberFormat {
        match self.len {
            _ if !self.leading_zero => NumberFormat::Plain,
            Some(len @ 1..) => NumberFormat::Fixed(len as u8),
            _ => NumberFormat::Any,
        }
    }
}

/// Number of digits and value of a number of format [`NumberFormat::Any`].
fn split(number: u64) -> (usize, u64) {
    let len = SHORTER[1..].partition_point(|shorter| *shorter <= number).min(MAX_DIGITS);
    (len, number - SHORTER[len])
}

impl NumberFormat {
    /// The number in this format of one in format [`NumberFormat::Any`].
    pub(super) fn of_any(self, number: u64) -> u64 {
        if self == Self::Any { number } else { split(number).1 }
    }

    /// The number of a run of digits, if it is written in this format.
    pub(super) fn parse(self, text: &[u8]) -> Option<u64> {
        match self {
            Self::Plain if text.len() > 1 && text[0] == b'0' => None,
            Self::Fixed(len) if text.len() != usize::from(len) => None,
            Self::Any => any_digits(text),
            _ => digits(text),
        }
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Plain => 0,
            Self::Any => 255,
            Self::Fixed(len) => len,
        });
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        match cursor.byte()? {
            0 => Ok(Self::Plain),
            255 => Ok(Self::Any),
            len if usize::from(len) <= MAX_DIGITS => Ok(Self::Fixed(len)),
            _ => Err(cursor.malformed("number with too many digits")),
        }
    }

    /// Appends the digits of a number.
    #[inline]
    pub(super) fn print(self, number: u64, out: &mut Vec<u8>) {
        match self {
            Self::Plain => print(number, 1, out),
            Self::Fixed(len) => print(number, usize::from(len), out),
            Self::Any => {
                let (len, value) = split(number);
                print(value, len, out);
            }
        }
    }
}

static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut i = 0;
    while i < 100 {
        pairs[i] = [b'0' + (i / 10) as u8, b'0' + (i % 10) as u8];
        i += 1;
    }
    pairs
};

/// Appends a number with at least `least` digits.
#[inline]
pub(super) fn print(mut number: u64, least: usize, out: &mut Vec<u8>) {
    let mut buffer = [b'0'; 20];
    let mut at = 20;
    while number >= 10 {
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    if number > 0 || at == 20 {
        at -= 1;
        buffer[at] = b'0' + number as u8;
    }
    out.extend_from_slice(&buffer[at.min(20 - least.min(20))..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(format: NumberFormat, number: u64) -> String {
        let mut out = Vec::new();
        format.print(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn formats() {
        let find = |texts: &[&str]| {
            let mut finder = FormatFinder::default();
            texts.iter().for_each(|t| finder.add(any_digits(t.as_bytes()).unwrap()));
            finder.format()
        };
        assert_eq!(find(&["0", "10", "7"]), NumberFormat::Plain);
        assert_eq!(find(&["010", "999"]), NumberFormat::Fixed(3));
        assert_eq!(find(&["010", "99"]), NumberFormat::Any);
        assert_eq!(find(&["00"]), NumberFormat::Fixed(2));
        assert_eq!(NumberFormat::Plain.parse(b"01"), None);
        assert_eq!(NumberFormat::Fixed(2).parse(b"1"), None);
        assert_eq!(any_digits(b""), None);
        assert_eq!(any_digits(b"1234567890123456789"), None);
        assert_eq!(digits(b"12a"), None);
        assert_eq!(text(NumberFormat::Plain, u64::MAX), u64::MAX.to_string());
    }

    proptest! {
        #[test]
        fn digits_come_back(text_in in "[0-9]{1,18}|0{1,18}|9{1,18}") {
            let number = any_digits(text_in.as_bytes()).unwrap();
            prop_assert_eq!(&text(NumberFormat::Any, number), &text_in);
            let mut finder = FormatFinder::default();
            finder.add(number);
            let format = finder.format();
            prop_assert_eq!(text(format, format.of_any(number)), text_in.clone());
            prop_assert_eq!(format.parse(text_in.as_bytes()), Some(format.of_any(number)));
        }

        #[test]
        fn any_number_prints(number in any::<u64>()) {
            let _ = text(NumberFormat::Any, number);
            prop_assert_eq!(text(NumberFormat::Plain, number), number.to_string());
        }
    }
}
