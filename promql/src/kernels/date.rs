//! Calendar functions of Unix times in UTC, on the proleptic Gregorian calendar.

use crate::vector::{Column, is_absent};

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i64,
    pub(crate) month: u32,
    pub(crate) day: u32,
}

impl Date {
    /// The day of a Unix time in seconds. Days from civil: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    pub(crate) fn of_seconds(seconds: i64) -> Self {
        let days = seconds.div_euclid(86_400) + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = (of_year - (153 * shifted + 2) / 5 + 1) as u32;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year, month, day }
    }

    fn is_leap(self) -> bool {
        self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0)
    }

    fn days_in_month(self) -> u32 {
        match self.month {
            2 => 28 + u32::from(self.is_leap()),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn day_of_year(self) -> u32 {
        const BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        BEFORE[(self.month - 1) as usize] + self.day + u32::from(self.month > 2 && self.is_leap())
    }
}

/// A calendar function of a Unix time in seconds.
pub(crate) fn date_function(name: &str) -> Option<fn(i64) -> f64> {
    Some(match name {
        "days_in_month" => |t| f64::from(Date::of_seconds(t).days_in_month()),
        "day_of_month" => |t| f64::from(Date::of_seconds(t).day),
        // 1970-01-01 was a Thursday.
        "day_of_week" => |t| (t.div_euclid(86_400) + 4).rem_euclid(7) as f64,
        "day_of_year" => |t| f64::from(Date::of_seconds(t).day_of_year()),
        "hour" => |t| (t.rem_euclid(86_400) / 3600) as f64,
        "minute" => |t| (t.rem_euclid(3600) / 60) as f64,
        "month" => |t| f64::from(Date::of_seconds(t).month),
        "year" => |t| Date::of_seconds(t).year as f64,
        _ => return None,
    })
}

/// Applies a calendar function to the floats of a column; histograms go. False when nothing is left.
pub(crate) fn map(column: &mut Column, f: fn(i64) -> f64) -> bool {
    column.histograms.clear();
    let mut any = false;
    for value in column.floats.iter_mut().filter(|v| !is_absent(**v)) {
        // What is no time, or beyond all calendars, has no date.
        *value = if value.abs() < 3.6e16 { f(*value as i64) } else { f64::NAN };
        any = true;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days() {
        let cases = [
            (0, (1970, 1, 1)),
            (951_782_400, (2000, 2, 29)),
            (951_868_800, (2000, 3, 1)),
            (-1, (1969, 12, 31)),
            (1_136_239_445, (2006, 1, 2)),
            (4_107_542_400, (2100, 3, 1)),
        ];
        for (seconds, (year, month, day)) in cases {
            assert_eq!(Date::of_seconds(seconds), Date { year, month, day });
        }
        let of = |name: &str, t| date_function(name).map(|f| f(t));
        assert_eq!(of("day_of_week", 1_136_239_445), Some(1.0));
        assert_eq!(of("day_of_year", 951_868_800), Some(61.0));
        assert_eq!(of("days_in_month", 951_782_400), Some(29.0));
        assert_eq!(of("hour", -3600), Some(23.0));
        assert_eq!(of("minute", 1_136_239_445), Some(4.0));
    }
}
