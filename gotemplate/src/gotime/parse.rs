//! Reading a time by a layout, as leniently and as strictly as Go does.

use std::sync::Arc;

use jiff::civil;

use super::layout::{Element, MONTHS, OffsetStyle, WEEKDAYS, next};
use super::{Time, Zone};

/// A text that is not as its layout says. Displays as Go does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    value: String,
    layout: String,
    layout_element: String,
    value_element: String,
    message: String,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.message.is_empty() {
            let [value, layout, got, want] =
                [&self.value, &self.layout, &self.value_element, &self.layout_element].map(|text| quote(text));
            write!(f, "parsing time {value} as {layout}: cannot parse {got} as {want}")
        } else {
            write!(f, "parsing time {}{}", quote(&self.value), self.message)
        }
    }
}

impl std::error::Error for ParseError {}

/// Quoting of Go's `time` package: anything outside printable ASCII byte by byte.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'\x7f' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

/// What went wrong with one element.
enum Fault {
    Bad,
    Range(&'static str),
}

/// What has been read so far.
#[derive(Default)]
struct Fields {
    year: i32,
    month: Option<u32>,
    day: Option<u32>,
    year_day: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanosecond: u32,
    afternoon: Option<bool>,
    utc: bool,
    offset: Option<i32>,
    zone_name: Option<String>,
}

impl Time {
    /// Reads `value` as `layout` shows the reference time. Without a zone in the text the time is in `default`; an offset
    /// or abbreviation that `local` uses at that time gives a time in `local`, any other a fixed zone. Go's
    /// `time.ParseInLocation` has `default` and `local` the same.
    ///
    /// # Errors
    /// With the element of the layout that did not fit.
    pub fn parse(layout: &str, value: &str, default: &Zone, local: &Zone) -> Result<Self, ParseError> {
        let fail = |layout_element: &str, value_element: &str, message: String| ParseError {
            value: value.to_owned(),
            layout: layout.to_owned(),
            layout_element: layout_element.to_owned(),
            value_element: value_element.to_owned(),
            message,
        };
        let mut fields = Fields::default();
        let mut rest = value;
        let mut layout_rest = layout;
        loop {
            let (before, element, after) = next(layout_rest);
            rest = skip(rest, before).map_err(|at| fail(before, at, String::new()))?;
            let Some((element, text)) = element else { break };
            layout_rest = after;
            let hold = rest;
            fields.read(element, &mut rest, after).map_err(|fault| match fault {
                Fault::Bad => fail(text, hold, String::new()),
                Fault::Range(what) => fail(text, rest, format!(": {what} out of range")),
            })?;
        }
        if !rest.is_empty() {
            return Err(fail("", rest, format!(": extra text: {}", quote(rest))));
        }
        let (date, time) = fields.civil().map_err(|message| fail("", rest, format!(": {message}")))?;
        Ok(fields.place(date.to_datetime(time), default, local))
    }
}

/// Takes `prefix` off `value`; runs of spaces match any number of spaces.
fn skip<'v>(mut value: &'v str, mut prefix: &str) -> Result<&'v str, &'v str> {
    while let Some(&first) = prefix.as_bytes().first() {
        if first == b' ' {
            if !value.is_empty() && !value.starts_with(' ') {
                return Err(value);
            }
            prefix = prefix.trim_start_matches(' ');
            value = value.trim_start_matches(' ');
            continue;
        }
        let c = prefix.chars().next().unwrap_or(' ');
        value = value.strip_prefix(c).ok_or(value)?;
        prefix = &prefix[c.len_utf8()..];
    }
    Ok(value)
}

/// One or two digits (exactly two if `fixed`).
fn number(rest: &mut &str, fixed: bool) -> Result<u32, Fault> {
    let digits = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
    if digits == 0 || fixed && digits == 1 {
        return Err(Fault::Bad);
    }
    take_digits(rest, digits)
}

fn take_digits(rest: &mut &str, count: usize) -> Result<u32, Fault> {
    let (digits, after) = rest.split_at_checked(count).ok_or(Fault::Bad)?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::Bad);
    }
    *rest = after;
    digits.parse().map_err(|_| Fault::Bad)
}

/// Index of the name at the start of `rest`, in any case.
fn name(rest: &mut &str, names: &[&str], short: bool) -> Result<u32, Fault> {
    for (index, name) in names.iter().enumerate() {
        let name = if short { &name[..3] } else { name };
        if let Some((start, after)) = rest.split_at_checked(name.len())
            && start.eq_ignore_ascii_case(name)
        {
            *rest = after;
            return u32::try_from(index).map_err(|_| Fault::Bad);
        }
    }
    Err(Fault::Bad)
}

/// A separator and `digits` digits, scaled to nanoseconds; digits beyond the ninth are dropped.
fn fraction(rest: &mut &str, digits: usize) -> Result<u32, Fault> {
    let (text, after) = rest.split_at_checked(1 + digits).ok_or(Fault::Bad)?;
    let body = text.strip_prefix(['.', ',']).ok_or(Fault::Bad)?;
    if !body.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::Bad);
    }
    *rest = after;
    let mut nanoseconds = body[..digits.min(9)].parse().map_err(|_| Fault::Bad)?;
    for _ in digits..9 {
        nanoseconds *= 10;
    }
    Ok(nanoseconds)
}

/// A fraction is at the start of `rest`; gives its number of digits.
fn fraction_digits(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix(['.', ','])?;
    let digits = body.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then_some(digits)
}

fn in_range(value: u32, limit: u32, what: &'static str) -> Result<u32, Fault> {
    if value >= limit { Err(Fault::Range(what)) } else { Ok(value) }
}

impl Fields {
    fn read(&mut self, element: Element, rest: &mut &str, layout_after: &str) -> Result<(), Fault> {
        use Element as E;
        match element {
            E::Year => {
                let sign = rest.starts_with(['+', '-']);
                let year = if sign { signed_digit(rest)? } else { i32::try_from(take_digits(rest, 2)?).unwrap_or(0) };
                self.year = year + if year >= 69 { 1900 } else { 2000 };
            }
            E::LongYear => self.year = i32::try_from(take_digits(rest, 4)?).unwrap_or(0),
            E::Month => self.month = Some(name(rest, &MONTHS, true)? + 1),
            E::LongMonth => self.month = Some(name(rest, &MONTHS, false)? + 1),
            E::NumMonth | E::ZeroMonth => {
                let month = number(rest, element == E::ZeroMonth)?;
                if month == 0 {
                    return Err(Fault::Range("month"));
                }
                self.month = Some(in_range(month, 13, "month")?);
            }
            E::WeekDay => drop(name(rest, &WEEKDAYS, true)?),
            E::LongWeekDay => drop(name(rest, &WEEKDAYS, false)?),
            E::Day | E::UnderDay | E::ZeroDay => {
                if element == E::UnderDay {
                    *rest = rest.strip_prefix(' ').unwrap_or(rest);
                }
                self.day = Some(number(rest, element == E::ZeroDay)?);
            }
            E::UnderYearDay | E::ZeroYearDay => {
                if element == E::UnderYearDay {
                    for _ in 0..2 {
                        *rest = rest.strip_prefix(' ').unwrap_or(rest);
                    }
                }
                let digits = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
                if element == E::ZeroYearDay && digits != 3 {
                    return Err(Fault::Bad);
                }
                self.year_day = Some(take_digits(rest, digits)?);
            }
            E::Hour => self.hour = in_range(number(rest, false)?, 24, "hour")?,
            E::Hour12 | E::ZeroHour12 => {
                self.hour = in_range(number(rest, element == E::ZeroHour12)?, 13, "hour")?;
            }
            E::Minute | E::ZeroMinute => {
                self.minute = in_range(number(rest, element == E::ZeroMinute)?, 60, "minute")?;
            }
            E::Second | E::ZeroSecond => {
                self.second = in_range(number(rest, element == E::ZeroSecond)?, 60, "second")?;
                // A fraction that the layout does not mention is read all the same.
                let named = matches!(next(layout_after).1, Some((E::Fraction { .. }, _)));
                if let Some(digits) = fraction_digits(rest).filter(|_| !named) {
                    self.nanosecond = fraction(rest, digits)?;
                }
            }
            E::Pm { lower } => {
                let (text, after) = rest.split_at_checked(2).ok_or(Fault::Bad)?;
                self.afternoon = Some(match (text, lower) {
                    ("PM", false) | ("pm", true) => true,
                    ("AM", false) | ("am", true) => false,
                    _ => return Err(Fault::Bad),
                });
                *rest = after;
            }
            E::Offset(style) => match rest.strip_prefix('Z').filter(|_| style.iso) {
                Some(after) => {
                    self.utc = true;
                    *rest = after;
                }
                None => self.offset = Some(offset(rest, style)?),
            },
            E::ZoneName => match rest.strip_prefix("UTC") {
                Some(after) => {
                    self.utc = true;
                    *rest = after;
                }
                None => {
                    let len = zone_name_len(rest).ok_or(Fault::Bad)?;
                    self.zone_name = Some(rest[..len].to_owned());
                    *rest = &rest[len..];
                }
            },
            E::Fraction { digits, trim: false, .. } => self.nanosecond = fraction(rest, digits)?,
            E::Fraction { trim: true, .. } => {
                if let Some(digits) = fraction_digits(rest) {
                    self.nanosecond = fraction(rest, digits)?;
                }
            }
        }
        Ok(())
    }

    fn civil(&self) -> Result<(civil::Date, civil::Time), &'static str> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let year = i16::try_from(self.year).map_err(|_| "year out of range")?;
        let small = |value: u32| i8::try_from(value).unwrap_or(i8::MAX);
        let date = match self.year_day {
            Some(year_day) => {
                let start = civil::Date::new(year, 1, 1).map_err(|_| "year out of range")?;
                let days = if start.in_leap_year() { 366 } else { 365 };
                if year_day < 1 || year_day > days {
                    return Err("day-of-year out of range");
                }
                let date = start
                    .checked_add(jiff::Span::new().days(i64::from(year_day) - 1))
                    .map_err(|_| "day-of-year out of range")?;
                if self.month.is_some_and(|month| small(month) != date.month()) {
                    return Err("day-of-year does not match month");
                }
                if self.day.is_some_and(|day| small(day) != date.day()) {
                    return Err("day-of-year does not match day");
                }
                date
            }
            None => civil::Date::new(year, small(self.month.unwrap_or(1)), small(self.day.unwrap_or(1)))
                .map_err(|_| "day out of range")?,
        };
        let nanosecond = i32::try_from(self.nanosecond).unwrap_or(0);
        let time = civil::Time::new(small(hour), small(self.minute), small(self.second), nanosecond)
            .map_err(|_| "hour out of range")?;
        Ok((date, time))
    }

    /// The instant of a clock reading, by whatever the text said of the zone.
    fn place(&self, reading: civil::DateTime, default: &Zone, local: &Zone) -> Time {
        let as_utc = as_if_utc(reading);
        if self.utc {
            return Time { zone: Zone::Utc, ..as_utc };
        }
        let shift = |offset: i32| as_utc.plus(super::Duration(-i64::from(offset) * 1_000_000_000));
        let name = self.zone_name.as_deref().unwrap_or_default();
        if let Some(offset) = self.offset {
            let time = shift(offset);
            let is_local = local.at(time.timestamp, |at, known| at == offset && (name.is_empty() || known == name));
            let zone =
                if is_local { local.clone() } else { Zone::Fixed { offset_s: offset, abbreviation: Arc::from(name) } };
            return Time { zone, ..time };
        }
        if !name.is_empty() {
            if let Some(offset) = local_offset(local, name, &as_utc) {
                return Time { zone: local.clone(), ..shift(offset) };
            }
            let offset_s = name.strip_prefix("GMT").and_then(|hours| hours.parse::<i32>().ok()).unwrap_or(0) * 3600;
            let zone = Zone::Fixed { offset_s, abbreviation: Arc::from(name) };
            return Time { zone, ..shift(offset_s) };
        }
        // The offset in force at that reading; next to a change of the clock, one of the two.
        let guess = default.offset_at(as_utc.timestamp);
        let offset = if guess == 0 { 0 } else { default.offset_at(shift(guess).timestamp) };
        Time { zone: default.clone(), ..shift(offset) }
    }
}

fn as_if_utc(reading: civil::DateTime) -> Time {
    let timestamp = jiff::tz::Offset::UTC.to_timestamp(reading).unwrap_or(jiff::Timestamp::MAX);
    Time::utc(timestamp)
}

/// The offset for which `zone` uses, or once used, the abbreviation `name`; the use nearest before `time` first.
fn local_offset(zone: &Zone, name: &str, time: &Time) -> Option<i32> {
    let now = zone.at(time.timestamp, |offset, known| (known == name).then_some(offset));
    if now.is_some() {
        return now;
    }
    let Zone::Named(zone) = zone else { return None };
    // Abbreviations long out of use still count; a zone has few changes apart from the yearly ones.
    let mut changes = zone.preceding(time.timestamp).take(300).chain(zone.following(time.timestamp).take(60));
    changes.find(|change| change.abbreviation() == name).map(|change| change.offset().seconds())
}

/// Go reads a two-digit year with `Atoi`, which takes `+7` too.
fn signed_digit(rest: &mut &str) -> Result<i32, Fault> {
    let (text, after) = rest.split_at_checked(2).ok_or(Fault::Bad)?;
    *rest = after;
    text.parse().map_err(|_| Fault::Bad)
}

/// `+02:00` and its kin.
fn offset(rest: &mut &str, style: OffsetStyle) -> Result<i32, Fault> {
    let len = match (style.minutes, style.seconds, style.colon) {
        (false, ..) => 3,
        (true, false, false) => 5,
        (true, false, true) => 6,
        (true, true, false) => 7,
        (true, true, true) => 9,
    };
    let (text, after) = rest.split_at_checked(len).ok_or(Fault::Bad)?;
    if !text.is_ascii() {
        return Err(Fault::Bad);
    }
    let step = if style.colon { 3 } else { 2 };
    if style.colon && (text.as_bytes()[3] != b':' || style.seconds && text.as_bytes()[6] != b':') {
        return Err(Fault::Bad);
    }
    let part = |index: usize| -> Result<i32, Fault> {
        let start = 1 + index * step;
        let mut digits = text.get(start..start + 2).unwrap_or("00");
        i32::try_from(number(&mut digits, true)?).map_err(|_| Fault::Bad)
    };
    let (hours, minutes, seconds) = (part(0)?, part(1)?, part(2)?);
    *rest = after;
    let sign = match text.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return Err(Fault::Bad),
    };
    if hours > 24 {
        return Err(Fault::Range("time zone offset hour"));
    }
    if minutes > 60 {
        return Err(Fault::Range("time zone offset minute"));
    }
    if seconds > 60 {
        return Err(Fault::Range("time zone offset second"));
    }
    Ok(sign * ((hours * 60 + minutes) * 60 + seconds))
}

/// Length of a zone abbreviation at the start of `text`: three to five capitals with Go's exceptions, `GMT+3`, `+03`.
fn zone_name_len(text: &str) -> Option<usize> {
    if text.len() < 3 {
        return None;
    }
    if text.starts_with("ChST") || text.starts_with("MeST") {
        return Some(4);
    }
    if let Some(hours) = text.strip_prefix("GMT") {
        return Some(3 + signed_hours_len(hours));
    }
    if text.starts_with(['+', '-']) {
        return Some(signed_hours_len(text)).filter(|len| *len > 0);
    }
    let bytes = text.as_bytes();
    match bytes.iter().take(6).take_while(|b| b.is_ascii_uppercase()).count() {
        3 => Some(3),
        4 if bytes[3] == b'T' || text.starts_with("WITA") => Some(4),
        5 if bytes[4] == b'T' => Some(5),
        _ => None,
    }
}

fn signed_hours_len(text: &str) -> usize {
    let Some(digits) = text.strip_prefix(['+', '-']) else { return 0 };
    let len = digits.bytes().take_while(u8::is_ascii_digit).count();
    match digits[..len].parse::<u32>() {
        Ok(hours) if hours <= 23 => 1 + len,
        _ => 0,
    }
}
