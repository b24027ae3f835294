//! Writing a time by a layout.

use std::fmt::Write as _;

use super::Time;
use super::layout::{Element, MONTHS, OffsetStyle, WEEKDAYS, next};

impl Time {
    /// The time written as `layout` shows Go's reference time, Mon Jan 2 15:04:05 MST 2006.
    pub fn format(&self, layout: &str) -> String {
        let mut out = String::with_capacity(layout.len() + 16);
        let civil = self.civil();
        let mut rest = layout;
        loop {
            let (before, element, after) = next(rest);
            out.push_str(before);
            let Some((element, _)) = element else { return out };
            self.put(&mut out, &civil, element);
            rest = after;
        }
    }

    fn put(&self, out: &mut String, civil: &jiff::civil::DateTime, element: Element) {
        use Element as E;
        let month = MONTHS[usize::from(civil.month().unsigned_abs() - 1) % 12];
        let weekday = WEEKDAYS[usize::from(civil.weekday().to_sunday_zero_offset().unsigned_abs()) % 7];
        let hour12 = match civil.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        let year = civil.year();
        let _ = match element {
            E::LongMonth => out.write_str(month),
            E::Month => out.write_str(&month[..3]),
            E::NumMonth => write!(out, "{}", civil.month()),
            E::ZeroMonth => write!(out, "{:02}", civil.month()),
            E::LongWeekDay => out.write_str(weekday),
            E::WeekDay => out.write_str(&weekday[..3]),
            E::Day => write!(out, "{}", civil.day()),
            E::UnderDay => write!(out, "{:2}", civil.day()),
            E::ZeroDay => write!(out, "{:02}", civil.day()),
            E::UnderYearDay => write!(out, "{:3}", civil.day_of_year()),
            E::ZeroYearDay => write!(out, "{:03}", civil.day_of_year()),
            E::Hour => write!(out, "{:02}", civil.hour()),
            E::Hour12 => write!(out, "{hour12}"),
            E::ZeroHour12 => write!(out, "{hour12:02}"),
            E::Minute => write!(out, "{}", civil.minute()),
            E::ZeroMinute => write!(out, "{:02}", civil.minute()),
            E::Second => write!(out, "{}", civil.second()),
            E::ZeroSecond => write!(out, "{:02}", civil.second()),
            E::LongYear => write!(out, "{}{:04}", if year < 0 { "-" } else { "" }, year.unsigned_abs()),
            E::Year => write!(out, "{:02}", year.unsigned_abs() % 100),
            E::Pm { lower } => out.write_str(match (civil.hour() >= 12, lower) {
                (true, false) => "PM",
                (false, false) => "AM",
                (true, true) => "pm",
                (false, true) => "am",
            }),
            E::ZoneName => {
                self.zone.at(self.timestamp, |offset, name| {
                    if name.is_empty() {
                        let style = OffsetStyle { iso: false, colon: false, minutes: true, seconds: false };
                        put_offset(out, offset, style);
                    } else {
                        out.push_str(name);
                    }
                });
                Ok(())
            }
            E::Offset(style) => {
                put_offset(out, self.offset_seconds(), style);
                Ok(())
            }
            E::Fraction { separator, digits, trim } => {
                put_fraction(out, civil.subsec_nanosecond().unsigned_abs(), separator, digits, trim);
                Ok(())
            }
        };
    }
}

fn put_offset(out: &mut String, offset: i32, style: OffsetStyle) {
    if style.iso && offset == 0 {
        out.push('Z');
        return;
    }
    // Go decides the sign on whole minutes.
    out.push(if offset / 60 < 0 { '-' } else { '+' });
    let seconds = offset.unsigned_abs();
    let separator = if style.colon { ":" } else { "" };
    let _ = write!(out, "{:02}", seconds / 3600);
    if style.minutes {
        let _ = write!(out, "{separator}{:02}", seconds / 60 % 60);
    }
    if style.seconds {
        let _ = write!(out, "{separator}{:02}", seconds % 60);
    }
}

fn put_fraction(out: &mut String, nanoseconds: u32, separator: u8, digits: usize, trim: bool) {
    let all = format!("{nanoseconds:09}");
    let kept = &all[..digits.min(9)];
    let kept = if trim { kept.trim_end_matches('0') } else { kept };
    if !(trim && kept.is_empty()) {
        out.push(char::from(separator));
        out.push_str(kept);
    }
}
