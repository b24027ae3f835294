//! The ranges that time intervals are made of, as texts (`monday:friday`, `-3:-1`, `may:august`) and numbers.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Minutes of a day, the end exclusive; a day has 1440.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// First minute.
    pub start_minute: i32,
    /// Minute after the last.
    pub end_minute: i32,
}

impl TimeRange {
    /// Whether a minute of the day is inside.
    pub fn contains(&self, minute: i32) -> bool {
        self.start_minute <= minute && minute < self.end_minute
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeRangeText {
    #[serde(default)]
    start_time: String,
    #[serde(default)]
    end_time: String,
}

impl Serialize for TimeRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |minute: i32| format!("{:02}:{:02}", minute / 60, minute % 60);
        TimeRangeText { start_time: text(self.start_minute), end_time: text(self.end_minute) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TimeRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = TimeRangeText::deserialize(deserializer)?;
        if text.start_time.is_empty() || text.end_time.is_empty() {
            return Err(D::Error::custom("both start and end times must be provided"));
        }
        let minute = |text: &str| {
            minute_of_day(text)
                .ok_or_else(|| D::Error::custom(format_args!("couldn't parse timestamp {text}, invalid format")))
        };
        let range = Self { start_minute: minute(&text.start_time)?, end_minute: minute(&text.end_time)? };
        if range.start_minute >= range.end_minute {
            return Err(D::Error::custom("start time cannot be equal or greater than end time"));
        }
        Ok(range)
    }
}

/// Minutes since midnight of `HH:MM`, up to `24:00`.
fn minute_of_day(text: &str) -> Option<i32> {
    let (hours, minutes) = text.split_once(':')?;
    let two =
        |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<i32>().ok());
    let (hours, minutes) = (two(hours)??, two(minutes)??);
    let valid = (hours < 24 && minutes < 60) || (hours == 24 && minutes == 0);
    valid.then_some(hours * 60 + minutes)
}

/// Reads `a:b` or `a` through the reading of one member.
fn read_range(text: &str, member: impl Fn(&str) -> Result<i32, String>) -> Result<(i32, i32), String> {
    let text = text.to_lowercase();
    match text.split_once(':') {
        None => member(&text).map(|value| (value, value)),
        Some((_, end)) if end.contains(':') => Err(format!("couldn't parse range {text}, invalid format")),
        Some((begin, end)) => Ok((member(begin)?, member(end)?)),
    }
}

fn number(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}

fn write_range(f: &mut fmt::Formatter<'_>, begin: impl fmt::Display, end: impl fmt::Display, one: bool) -> fmt::Result {
    if one { write!(f, "{begin}") } else { write!(f, "{begin}:{end}") }
}

/// Declares an inclusive range with its texts and checks.
macro_rules! range {
    ($(#[$doc:meta])* $name:ident, $read:expr, $write:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            /// First.
            pub begin: i32,
            /// Last.
            pub end: i32,
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let write: fn(i32) -> String = $write;
                write_range(f, write(self.begin), write(self.end), self.begin == self.end)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let read: fn(&str) -> Result<(i32, i32), String> = $read;
                let text = String::deserialize(deserializer)?;
                let (begin, end) = read(&text).map_err(D::Error::custom)?;
                Ok(Self { begin, end })
            }
        }
    };
}

range!(
    /// Days of the week, Sunday being 0.
    WeekdayRange,
    |text| {
        let (begin, end) = read_range(text, |name| {
            let at = WEEKDAYS.iter().position(|day| *day == name);
            at.and_then(|at| i32::try_from(at).ok()).ok_or_else(|| format!("{name} is not a valid weekday"))
        })?;
        if begin > end { Err("start day cannot be before end day".to_owned()) } else { Ok((begin, end)) }
    },
    |day| name_of(&WEEKDAYS, day)
);

range!(
    /// Days of the month; negative ones count from its end, -1 being the last day.
    DayOfMonthRange,
    |text| {
        let (begin, end) = read_range(text, number)?;
        for day in [begin, end] {
            if day == 0 || !(-31..=31).contains(&day) {
                return Err(format!("{day} is not a valid day of the month: out of range"));
            }
        }
        if begin < 0 && end > 0 {
            return Err("end day must be negative if start day is negative".to_owned());
        }
        // In the shortest month: what is empty there may be so in every month.
        let shortest = |day: i32| if day < 0 { 28 + day } else { day };
        if shortest(begin) > shortest(end) {
            return Err(format!("end day {end} is always before start day {begin}"));
        }
        Ok((begin, end))
    },
    |day| day.to_string()
);

range!(
    /// Months, January being 1.
    MonthRange,
    |text| {
        let (begin, end) = read_range(text, |name| {
            if let Some(at) = MONTHS.iter().position(|month| *month == name) {
                return i32::try_from(at + 1).map_err(|_| String::new());
            }
            name.parse().map_err(|_| format!("{name} is not a valid month"))
        })?;
        if begin > end {
            let name = |month| name_of(&MONTHS, month - 1);
            return Err(format!("end month {} is before start month {}", name(end), name(begin)));
        }
        Ok((begin, end))
    },
    |month| month.to_string()
);

range!(
    /// Years.
    YearRange,
    |text| {
        let (begin, end) = read_range(text, number)?;
        if begin > end { Err(format!("end year {end} is before start year {begin}")) } else { Ok((begin, end)) }
    },
    |year| year.to_string()
);

fn name_of(names: &[&str], index: i32) -> String {
    let name = usize::try_from(index).ok().and_then(|index| names.get(index));
    name.map_or_else(|| index.to_string(), |name| (*name).to_owned())
}

impl WeekdayRange {
    /// Whether a day of the week is inside.
    pub fn contains(&self, day: i32) -> bool {
        (self.begin..=self.end).contains(&day)
    }
}

impl MonthRange {
    /// Whether a month is inside.
    pub fn contains(&self, month: i32) -> bool {
        (self.begin..=self.end).contains(&month)
    }
}

impl YearRange {
    /// Whether a year is inside.
    pub fn contains(&self, year: i32) -> bool {
        (self.begin..=self.end).contains(&year)
    }
}

impl DayOfMonthRange {
    /// Whether a day is inside, in a month whose last day is `last_day`.
    pub fn contains(&self, day: i32, last_day: i32) -> bool {
        let from_end = |n: i32| if n < 0 { last_day + n + 1 } else { n };
        let (begin, end) = (from_end(self.begin), from_end(self.end));
        // A range that begins after the month's end is empty; one that ends there reaches to the month's end.
        begin <= last_day && begin.max(-last_day) <= day && day <= end.min(last_day)
    }
}
