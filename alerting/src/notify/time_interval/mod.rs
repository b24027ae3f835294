//! Time intervals: when a route is muted or active.
//!
//! An interval holds at a time when each of its fields does; a field that is absent always does, one that is there holds
//! when any of its ranges does. A named interval ([`NamedIntervals`]) holds when any of its parts does. Times of day are
//! local to the interval's zone (UTC if none): on the day the clock goes back an hour counts twice, on the other it is
//! skipped. Starts are inclusive, ends of times exclusive, ends of everything else inclusive.

mod range;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use range::{DayOfMonthRange, MonthRange, TimeRange, WeekdayRange, YearRange};

/// A zone by name. `Local` is the zone the host says it is in ([`Zone::resolve`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(String);

impl Zone {
    /// # Errors
    /// When no zone has this name.
    pub fn new(name: &str) -> Result<Self, String> {
        let zone = Self(name.to_owned());
        if zone.is_local() || zone.lookup().is_some() {
            return Ok(zone);
        }
        Err(format!("unknown time zone {name}"))
    }

    fn is_local(&self) -> bool {
        self.0 == "Local"
    }

    fn lookup(&self) -> Option<TimeZone> {
        match gotemplate::gotime::Zone::load(&self.0, &gotemplate::gotime::Zone::Utc) {
            Ok(gotemplate::gotime::Zone::Named(zone)) => Some(zone),
            Ok(_) => Some(TimeZone::UTC),
            Err(_) => None,
        }
    }

    /// The zone; `local` if it is called `Local`.
    pub fn resolve(&self, local: &TimeZone) -> TimeZone {
        if self.is_local() { local.clone() } else { self.lookup().unwrap_or(TimeZone::UTC) }
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// One interval; all fields must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeInterval {
    /// Times of day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Vec<TimeRange>>,
    /// Days of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekdays: Option<Vec<WeekdayRange>>,
    /// Days of the month; negative ones count from its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_of_month: Option<Vec<DayOfMonthRange>>,
    /// Months.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub months: Option<Vec<MonthRange>>,
    /// Years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub years: Option<Vec<YearRange>>,
    /// Zone in which the other fields are meant; UTC if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Zone>,
}

impl TimeInterval {
    /// Whether the interval holds at a time. `local`: what the zone `Local` means.
    pub fn contains(&self, at_ms: i64, local: &TimeZone) -> bool {
        let zone = self.location.as_ref().map_or(TimeZone::UTC, |zone| zone.resolve(local));
        let Ok(timestamp) = Timestamp::from_millisecond(at_ms) else { return false };
        let at = timestamp.to_zoned(zone);
        let minute = i32::from(at.hour()) * 60 + i32::from(at.minute());
        let weekday = i32::from(at.weekday().to_sunday_zero_offset());
        let (day, last_day) = (i32::from(at.day()), i32::from(at.days_in_month()));
        holds(self.times.as_deref(), |range| range.contains(minute))
            && holds(self.weekdays.as_deref(), |range| range.contains(weekday))
            && holds(self.days_of_month.as_deref(), |range| range.contains(day, last_day))
            && holds(self.months.as_deref(), |range| range.contains(i32::from(at.month())))
            && holds(self.years.as_deref(), |range| range.contains(i32::from(at.year())))
    }
}

fn holds<T>(ranges: Option<&[T]>, contains: impl Fn(&T) -> bool) -> bool {
    ranges.is_none_or(|ranges| ranges.iter().any(contains))
}

/// A named list of intervals, of which any may hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedIntervals {
    /// Name by which routes refer to it.
    #[serde(default)]
    pub name: String,
    /// The intervals.
    #[serde(default, deserialize_with = "crate::text::null_default")]
    pub time_intervals: Vec<TimeInterval>,
}

impl NamedIntervals {
    /// Whether any of the intervals holds at a time.
    pub fn contains(&self, at_ms: i64, local: &TimeZone) -> bool {
        self.time_intervals.iter().any(|interval| interval.contains(at_ms, local))
    }
}

#[cfg(test)]
mod tests;
