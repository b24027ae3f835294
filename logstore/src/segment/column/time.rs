//! Times in the text of lines: kept as their difference to the time of the entry, which mostly is none.
//!
//! A [`TimeFormat`] is found on the first value of a column; a column is kept this way only if every value is written in it
//! and comes back byte for byte.

use super::number::{digits, print};
use crate::bytes::{Cursor, Malformed, put_slice};
use crate::civil::{civil_from_days, days_from_civil};

const NS_PER_SECOND: i64 = 1_000_000_000;
const NS_PER_DAY: i64 = 86_400 * NS_PER_SECOND;
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
/// Longest text after the time, such as a zone.
const MAX_SUFFIX: usize = 8;

/// How the day and the seconds are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// `2026-01-05T10:00:02`, with this byte in the middle.
    Iso(u8),
    /// `05/Jan/2026:10:00:02`
    Clf,
    /// `10:00:02`
    Clock,
    /// `1767607202`: seconds since the epoch.
    Epoch,
}

/// How a part of a second is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fraction {
    None,
    /// After this byte with 1 to 9 digits.
    Digits(u8, u8),
    /// After this byte without zeros at the end; with neither when it is 0.
    Trimmed(u8),
    /// Right after the seconds, with 3, 6 or 9 digits (milliseconds since the epoch and the like).
    Joined(u8),
}

/// How a time is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TimeFormat {
    layout: Layout,
    fraction: Fraction,
    suffix: Vec<u8>,
}

fn number(text: &[u8], at: usize, len: usize) -> Option<i64> {
    digits(text.get(at..at + len)?).map(|value| value as i64)
}

fn clock(text: &[u8], at: usize) -> Option<i64> {
    if *text.get(at + 2)? != b':' || *text.get(at + 5)? != b':' {
        return None;
    }
    let (hour, minute, second) = (number(text, at, 2)?, number(text, at + 3, 2)?, number(text, at + 6, 2)?);
    (hour < 24 && minute < 60 && second < 60).then_some(hour * 3_600 + minute * 60 + second)
}

/// Layout, seconds, and length of the text up to them.
fn seconds(text: &[u8]) -> Option<(Layout, i64, usize)> {
    match (text.get(2)?, text.get(4)) {
        (b':', _) => Some((Layout::Clock, clock(text, 0)?, 8)),
        (b'/', _) => {
            let month = MONTHS.iter().position(|month| text.get(3..6) == Some(&month[..]))? as u32 + 1;
            if *text.get(6)? != b'/' || *text.get(11)? != b':' {
                return None;
            }
            let days = days_from_civil(number(text, 7, 4)?, month, number(text, 0, 2)? as u32);
            Some((Layout::Clf, days * 86_400 + clock(text, 12)?, 20))
        }
        (_, Some(b'-')) => {
            let middle = *text.get(10)?;
            if *text.get(7)? != b'-' || middle.is_ascii_digit() {
                return None;
            }
            let days = days_from_civil(number(text, 0, 4)?, number(text, 5, 2)? as u32, number(text, 8, 2)? as u32);
            Some((Layout::Iso(middle), days * 86_400 + clock(text, 11)?, 19))
        }
        _ => {
            // Ten digits: years 2001 to 2286.
            let seconds = number(text, 0, 10)?;
            (text[0] != b'0').then_some((Layout::Epoch, seconds, 10))
        }
    }
}

impl TimeFormat {
    /// The format in which a text is written, if it is a time.
    pub(super) fn find(text: &[u8]) -> Option<Self> {
        let (layout, _, len) = seconds(text)?;
        let rest = &text[len..];
        let count = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, len) = match rest.first() {
            Some(separator @ (b'.' | b',')) if (1..=9).contains(&count(1)) => {
                (Fraction::Digits(*separator, count(1) as u8), 1 + count(1))
            }
            Some(digit) if layout == Layout::Epoch && digit.is_ascii_digit() && matches!(count(0), 3 | 6 | 9) => {
                (Fraction::Joined(count(0) as u8), count(0))
            }
            _ => (Fraction::None, 0),
        };
        let suffix = rest[len..].to_vec();
        if suffix.first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let format = Self { layout, fraction, suffix };
        (format.suffix.len() <= MAX_SUFFIX && format.parse(text).is_some()).then_some(format)
    }

    /// The same format for fractions of varying length, as Go writes them.
    pub(super) fn trimmed(&self) -> Option<Self> {
        let separator = match self.fraction {
            Fraction::Digits(separator, _) => separator,
            Fraction::None => b'.',
            _ => return None,
        };
        Some(Self { fraction: Fraction::Trimmed(separator), ..self.clone() })
    }

    /// Units of the format in a second, as a power of ten.
    fn digits(&self) -> u32 {
        match self.fraction {
            Fraction::None => 0,
            Fraction::Digits(_, digits) | Fraction::Joined(digits) => u32::from(digits),
            Fraction::Trimmed(_) => 9,
        }
    }

    fn unit_ns(&self) -> i64 {
        10i64.pow(9 - self.digits())
    }

    /// The time of a text in units, if it is written in this very format.
    pub(super) fn parse(&self, text: &[u8]) -> Option<i64> {
        let (layout, seconds, len) = seconds(text)?;
        let rest = text[len..].strip_suffix(&self.suffix[..])?;
        if layout != self.layout {
            return None;
        }
        let fraction = match self.fraction {
            Fraction::None => rest.is_empty().then_some(0)?,
            Fraction::Joined(len) if rest.len() == usize::from(len) => digits(rest)?,
            Fraction::Digits(separator, len) if rest.len() == usize::from(len) + 1 && rest[0] == separator => {
                digits(&rest[1..])?
            }
            Fraction::Trimmed(_) if rest.is_empty() => 0,
            Fraction::Trimmed(separator) if rest[0] == separator && rest.len() <= 10 => {
                digits(&rest[1..])? * 10u64.pow(10 - rest.len() as u32)
            }
            _ => return None,
        };
        let time = seconds.checked_mul(10i64.pow(self.digits()))?.checked_add(fraction as i64)?;
        let mut again = Vec::with_capacity(text.len());
        self.print(time, &mut again);
        (again == text).then_some(time)
    }

    /// How far a time in units is from the time of its entry.
    pub(super) fn difference(&self, time: i64, entry_ns: i64) -> i64 {
        let difference = time.wrapping_sub(entry_ns.div_euclid(self.unit_ns()));
        if self.layout != Layout::Clock {
            return difference;
        }
        let day = NS_PER_DAY / self.unit_ns();
        let difference = difference.rem_euclid(day);
        if difference > day / 2 { difference - day } else { difference }
    }

    /// Appends the text of a time, given its difference to the time of its entry.
    pub(super) fn print_difference(&self, difference: i64, entry_ns: i64, out: &mut Vec<u8>) {
        let time = entry_ns.div_euclid(self.unit_ns()).wrapping_add(difference);
        let time = if self.layout == Layout::Clock { time.rem_euclid(NS_PER_DAY / self.unit_ns()) } else { time };
        self.print(time, out);
    }

    fn print(&self, time: i64, out: &mut Vec<u8>) {
        let units = 10i64.pow(self.digits());
        let (seconds, fraction) = (time.div_euclid(units), time.rem_euclid(units) as u64);
        let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) as u64);
        match self.layout {
            Layout::Iso(middle) => {
                let (year, month, day) = civil_from_days(days);
                print(year.unsigned_abs(), 4, out);
                out.push(b'-');
                print(u64::from(month), 2, out);
                out.push(b'-');
                print(u64::from(day), 2, out);
                out.push(middle);
            }
            Layout::Clf => {
                let (year, month, day) = civil_from_days(days);
                print(u64::from(day), 2, out);
                out.push(b'/');
                out.extend_from_slice(MONTHS[month as usize - 1]);
                out.push(b'/');
                print(year.unsigned_abs(), 4, out);
                out.push(b':');
            }
            Layout::Clock => {}
            Layout::Epoch => print(seconds.unsigned_abs(), 10, out),
        }
        if self.layout != Layout::Epoch {
            print(of_day / 3_600, 2, out);
            out.push(b':');
            print(of_day / 60 % 60, 2, out);
            out.push(b':');
            print(of_day % 60, 2, out);
        }
        match self.fraction {
            Fraction::None => {}
            Fraction::Joined(len) => print(fraction, usize::from(len), out),
            Fraction::Digits(separator, len) => {
                out.push(separator);
                print(fraction, usize::from(len), out);
            }
            Fraction::Trimmed(_) if fraction == 0 => {}
            Fraction::Trimmed(separator) => {
                out.push(separator);
                print(fraction, 9, out);
                while out.last() == Some(&b'0') {
                    out.pop();
                }
            }
        }
        out.extend_from_slice(&self.suffix);
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (layout, byte) = match self.layout {
            Layout::Iso(middle) => (0, middle),
            Layout::Clf => (1, 0),
            Layout::Clock => (2, 0),
            Layout::Epoch => (3, 0),
        };
        let (fraction, separator, digits) = match self.fraction {
            Fraction::None => (0, 0, 0),
            Fraction::Digits(separator, digits) => (1, separator, digits),
            Fraction::Trimmed(separator) => (2, separator, 0),
            Fraction::Joined(digits) => (3, 0, digits),
        };
        out.extend_from_slice(&[layout, byte, fraction, separator, digits]);
        put_slice(out, &self.suffix);
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let (layout, byte) = (cursor.byte()?, cursor.byte()?);
        let layout = match layout {
            0 if byte < 0x80 => Layout::Iso(byte),
            1 => Layout::Clf,
            2 => Layout::Clock,
            3 => Layout::Epoch,
            _ => return Err(cursor.malformed("unknown layout of a time")),
        };
        let (fraction, separator, digits) = (cursor.byte()?, cursor.byte()?, cursor.byte()?);
        let fraction = match fraction {
            0 => Fraction::None,
            1 if digits <= 9 && separator < 0x80 => Fraction::Digits(separator, digits),
            2 if separator < 0x80 => Fraction::Trimmed(separator),
            3 if digits <= 9 => Fraction::Joined(digits),
            _ => return Err(cursor.malformed("unknown fraction of a time")),
        };
        let suffix = cursor.slice()?.to_vec();
        Ok(Self { layout, fraction, suffix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENTRY: i64 = 1_767_607_202_172_903_000;

    fn round_trip(text: &str) -> Option<i64> {
        let format = TimeFormat::find(text.as_bytes())?;
        let mut bytes = Vec::new();
        format.write(&mut bytes);
        assert_eq!(TimeFormat::read(&mut Cursor::new(&bytes)).unwrap(), format);
        let time = format.parse(text.as_bytes()).unwrap();
        let difference = format.difference(time, ENTRY);
        let mut out = Vec::new();
        format.print_difference(difference, ENTRY, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
        Some(difference)
    }

    #[test]
    fn times_as_programs_write_them() {
        let cases = [
            ("2026-01-05T10:00:02Z", Some(0)),
            ("2026-01-05T10:00:02.172Z", Some(0)),
            ("2026-01-05T10:00:02.172903+00:00", Some(0)),
            ("2026-01-05 10:00:01,172", Some(-1_000)),
            ("2026-01-05T11:00:02+01:00", Some(3_600)),
            ("05/Jan/2026:10:00:03", Some(1)),
            ("10:00:02", Some(0)),
            ("09:00:02.5", Some(-35_996)),
            ("23:00:02", Some(-11 * 3_600)),
            ("1767607202", Some(0)),
            ("1767607202172", Some(0)),
            ("1767607202172903000", Some(0)),
            ("1767607202.17", Some(0)),
            ("0000-01-01T00:00:00Z", Some(-63_934_826_402)),
            ("2026-02-30T10:00:02Z", None),
            ("2026-13-05T10:00:02Z", None),
            ("2026-01-05T24:00:02Z", None),
            ("2026-01-05", None),
            ("05/jan/2026:10:00:03", None),
            ("17676072021", None),
            ("0067607202", None),
            ("10:00:02 and far too much text", None),
            ("10:0", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(round_trip(text), want, "{text}");
        }
        let trimmed = TimeFormat::find(b"2026-01-05T10:00:02.17Z").unwrap().trimmed().unwrap();
        for text in ["2026-01-05T10:00:02Z", "2026-01-05T10:00:02.1Z", "2026-01-05T10:00:02.123456789Z"] {
            assert!(trimmed.parse(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["2026-01-05T10:00:02.10Z", "2026-01-05T10:00:02.Z", "2026-01-05T10:00:02.1234567890Z"] {
            assert!(trimmed.parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_looks_like_a_time_is_changed(text in "[0-9T:/.,Z -]{0,30}|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9][.,]?[0-9]{0,10}Z?|[0-9]{9,20}") {
            round_trip(&text);
        }

        #[test]
        fn any_difference_prints(difference in any::<i64>(), entry_ns in any::<i64>()) {
            for text in ["2026-01-05T10:00:02Z", "10:00:02.123", "1767607202172903000", "05/Jan/2026:10:00:03"] {
                let mut out = Vec::new();
                TimeFormat::find(text.as_bytes()).unwrap().print_difference(difference, entry_ns, &mut out);
            }
        }
    }
}
