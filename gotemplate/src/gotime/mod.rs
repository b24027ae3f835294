//! Go's view of time: instants with a zone, layouts written as an example date, durations such as `1h2m3.5s`.
//!
//! [`Time`] pairs an instant with a [`Zone`]; [`Time::format`] and [`Time::parse`] take Go's layouts
//! (`2006-01-02T15:04:05.999Z07:00`, `Mon Jan _2`, `Z0700`, `PM`, `002`, …); [`Duration`] prints and parses as Go's does.
//! Zones come from the bundled database, so no file or environment variable is read. There is no clock here: "now" and
//! the local zone are arguments. Instants outside the years -9999 to 9999 are moved to that edge.

mod duration;
mod format;
mod layout;
mod parse;

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

pub use duration::{Duration, DurationError};
pub use parse::ParseError;

/// A zone of time, under the name it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Zone {
    /// `UTC`.
    Utc,
    /// A zone of the database, or the local one.
    Named(TimeZone),
    /// An offset with an abbreviation, as read from a text; the abbreviation may be empty.
    Fixed {
        /// Seconds east of Greenwich.
        offset_s: i32,
        /// What the layout element `MST` prints.
        abbreviation: Arc<str>,
    },
}

/// A zone name that is not known. Displays as Go does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// Not in the database.
    #[error("unknown time zone {0}")]
    Unknown(String),
    /// A path, or a name that could be one.
    #[error("time: invalid location name")]
    Invalid,
}

impl Zone {
    /// The zone called `name`: `UTC` or nothing, `Local`, or a name of the database (`Europe/Berlin`), spelled exactly so.
    ///
    /// # Errors
    /// If there is no such zone.
    pub fn load(name: &str, local: &Zone) -> Result<Self, ZoneError> {
        static DATABASE: OnceLock<TimeZoneDatabase> = OnceLock::new();
        match name {
            "" | "UTC" => return Ok(Self::Utc),
            "Local" => return Ok(local.clone()),
            _ if name.contains("..") || name.starts_with(['/', '\\']) => return Err(ZoneError::Invalid),
            _ => {}
        }
        match DATABASE.get_or_init(TimeZoneDatabase::bundled).get(name) {
            Ok(zone) if zone.iana_name() == Some(name) => Ok(Self::Named(zone)),
            _ => Err(ZoneError::Unknown(name.to_owned())),
        }
    }

    /// Offset in seconds and abbreviation in force at `at`.
    fn at<R>(&self, at: Timestamp, with: impl FnOnce(i32, &str) -> R) -> R {
        match self {
            Self::Utc => with(0, "UTC"),
            Self::Named(zone) => {
                let info = zone.to_offset_info(at);
                // The database writes zones without letters as `+03`; Go has them as names too.
                with(info.offset().seconds(), info.abbreviation())
            }
            Self::Fixed { offset_s, abbreviation } => with(*offset_s, abbreviation),
        }
    }

    fn offset_at(&self, at: Timestamp) -> i32 {
        self.at(at, |offset, _| offset)
    }
}

/// An instant, seen in a zone.
#[derive(Debug, Clone)]
pub struct Time {
    /// The instant.
    pub timestamp: Timestamp,
    /// Where it is read off a clock.
    pub zone: Zone,
}

/// Go's zero time, 1 January of the year 1 in UTC, which failed conversions give.
const ZERO_SECONDS: i64 = -62_135_596_800;

impl Time {
    /// `timestamp` in UTC.
    pub fn utc(timestamp: Timestamp) -> Self {
        Self { timestamp, zone: Zone::Utc }
    }

    /// The zero time: 0001-01-01 00:00:00 UTC.
    pub fn zero() -> Self {
        Self::from_unix(ZERO_SECONDS, 0, Zone::Utc)
    }

    /// `seconds` and `nanoseconds` since the epoch; the nanoseconds may be any number.
    pub fn from_unix(seconds: i64, nanoseconds: i64, zone: Zone) -> Self {
        let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Self { timestamp: clamp_nanoseconds(total), zone }
    }

    /// Whether it is the zero time.
    pub fn is_zero(&self) -> bool {
        self.timestamp.as_second() == ZERO_SECONDS && self.timestamp.subsec_nanosecond() == 0
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn unix(&self) -> i64 {
        let nanoseconds = self.timestamp.as_nanosecond();
        i64::try_from(nanoseconds.div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
    }

    /// Milliseconds since the epoch, rounded down.
    pub fn unix_milli(&self) -> i64 {
        i64::try_from(self.timestamp.as_nanosecond().div_euclid(1_000_000)).unwrap_or(i64::MAX)
    }

    /// Nanoseconds since the epoch; wraps around outside the years 1678 to 2262, as Go's does.
    pub fn unix_nano(&self) -> i64 {
        self.timestamp.as_nanosecond() as i64
    }

    /// The same instant in another zone.
    pub fn within(&self, zone: Zone) -> Self {
        Self { timestamp: self.timestamp, zone }
    }

    /// The instant `duration` later.
    pub fn plus(&self, duration: Duration) -> Self {
        let total = self.timestamp.as_nanosecond() + i128::from(duration.0);
        Self { timestamp: clamp_nanoseconds(total), zone: self.zone.clone() }
    }

    /// Time passed since `earlier`, held within the range of a [`Duration`].
    pub fn since(&self, earlier: &Self) -> Duration {
        let difference = self.timestamp.as_nanosecond() - earlier.timestamp.as_nanosecond();
        Duration(i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX }))
    }

    /// Offset of the zone at this instant, in seconds east.
    pub fn offset_seconds(&self) -> i32 {
        self.zone.offset_at(self.timestamp)
    }

    /// The date and clock time read off in the zone.
    fn civil(&self) -> jiff::civil::DateTime {
        let offset = Offset::from_seconds(self.offset_seconds()).unwrap_or(Offset::UTC);
        offset.to_datetime(self.timestamp)
    }
}

fn clamp_nanoseconds(total: i128) -> Timestamp {
    Timestamp::from_nanosecond(total).unwrap_or(if total < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// Go's default form, `2006-01-02 15:04:05.999999999 -0700 MST`.
impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

#[cfg(test)]
mod tests;
