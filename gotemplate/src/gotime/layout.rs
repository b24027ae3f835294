//! Elements of a layout: which pieces of the example date stand for what.

/// A piece of a layout that stands for a part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekDay,
    WeekDay,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    Pm {
        lower: bool,
    },
    ZoneName,
    Offset(OffsetStyle),
    /// `.000` (all digits) or `.999` (trailing zeros dropped), the separator a point or a comma.
    Fraction {
        separator: u8,
        digits: usize,
        trim: bool,
    },
}

/// How a numeric offset is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffsetStyle {
    /// Zero is `Z`.
    pub(super) iso: bool,
    pub(super) colon: bool,
    pub(super) minutes: bool,
    pub(super) seconds: bool,
}

/// The numeric offsets behind their first character, longest first where one starts another.
const OFFSETS: &[(&str, bool, bool, bool)] = &[
    ("070000", false, true, true),
    ("07:00:00", true, true, true),
    ("0700", false, true, false),
    ("07:00", true, true, false),
    ("07", false, false, false),
];

/// Splits `layout` at its first element: text before it, the element, its own text, text after it.
pub(super) fn next(layout: &str) -> (&str, Option<(Element, &str)>, &str) {
    for (at, byte) in layout.bytes().enumerate() {
        if !matches!(byte, b'J' | b'M' | b'0'..=b'5' | b'_' | b'P' | b'p' | b'-' | b'Z' | b'.' | b',') {
            continue;
        }
        let rest = &layout[at..];
        if let Some((skip, len, element)) = element(rest) {
            let start = at + skip;
            return (&layout[..start], Some((element, &layout[start..start + len])), &layout[start + len..]);
        }
    }
    (layout, None, "")
}

/// The element at the start of `rest`: bytes of plain text before it, its length, itself.
fn element(rest: &str) -> Option<(usize, usize, Element)> {
    use Element as E;
    let bytes = rest.as_bytes();
    let starts = |text: &str| rest.starts_with(text);
    let lower_at = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_lowercase);
    let found = match bytes[0] {
        b'J' if starts("January") => (7, E::LongMonth),
        b'J' if starts("Jan") && !lower_at(3) => (3, E::Month),
        b'M' if starts("Monday") => (6, E::LongWeekDay),
        b'M' if starts("Mon") && !lower_at(3) => (3, E::WeekDay),
        b'M' if starts("MST") => (3, E::ZoneName),
        b'0' => match bytes.get(1..)? {
            [b'1', ..] => (2, E::ZeroMonth),
            [b'2', ..] => (2, E::ZeroDay),
            [b'3', ..] => (2, E::ZeroHour12),
            [b'4', ..] => (2, E::ZeroMinute),
            [b'5', ..] => (2, E::ZeroSecond),
            [b'6', ..] => (2, E::Year),
            [b'0', b'2', ..] => (3, E::ZeroYearDay),
            _ => return None,
        },
        b'1' if starts("15") => (2, E::Hour),
        b'1' => (1, E::NumMonth),
        b'2' if starts("2006") => (4, E::LongYear),
        b'2' => (1, E::Day),
        b'_' if starts("_2006") => return Some((1, 4, E::LongYear)),
        b'_' if starts("_2") => (2, E::UnderDay),
        b'_' if starts("__2") => (3, E::UnderYearDay),
        b'3' => (1, E::Hour12),
        b'4' => (1, E::Minute),
        b'5' => (1, E::Second),
        b'P' if starts("PM") => (2, E::Pm { lower: false }),
        b'p' if starts("pm") => (2, E::Pm { lower: true }),
        first @ (b'-' | b'Z') => {
            let &(text, colon, minutes, seconds) = OFFSETS.iter().find(|(text, ..)| rest[1..].starts_with(text))?;
            (1 + text.len(), E::Offset(OffsetStyle { iso: first == b'Z', colon, minutes, seconds }))
        }
        separator @ (b'.' | b',') => {
            let digit = *bytes.get(1).filter(|b| matches!(b, b'0' | b'9'))?;
            let digits = bytes[1..].iter().take_while(|b| **b == digit).count();
            if bytes.get(1 + digits).is_some_and(u8::is_ascii_digit) {
                return None;
            }
            (1 + digits, E::Fraction { separator, digits, trim: digit == b'9' })
        }
        _ => return None,
    };
    Some((0, found.0, found.1))
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Sunday first, as Go counts.
pub(super) const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
