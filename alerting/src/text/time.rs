//! Times as text. Inside the crate a time is `i64` milliseconds since the Unix epoch; an absent one is `None`.

use jiff::Timestamp;

/// How Go writes the time that was never set.
pub const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// RFC 3339 in UTC with the fraction only where there is one, as Go's `time.Time` marshals: `2024-01-01T00:00:00.5Z`.
pub fn rfc3339(ms: i64) -> String {
    let base = timestamp(ms).strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let fraction = ms.rem_euclid(1000);
    if fraction == 0 {
        return base + "Z";
    }
    let fraction = format!(".{fraction:03}");
    base + fraction.trim_end_matches('0') + "Z"
}

/// RFC 3339 in UTC with exactly three digits of fraction, as Alertmanager's API writes times.
pub fn rfc3339_millis(ms: i64) -> String {
    format!("{}.{:03}Z", timestamp(ms).strftime("%Y-%m-%dT%H:%M:%S"), ms.rem_euclid(1000))
}

/// Reads an RFC 3339 time; `None` when it is not one. Parts below a millisecond are dropped. Go's zero time is `Some(None)`.
pub fn parse_time_ms(text: &str) -> Option<Option<i64>> {
    if text == ZERO_TIME {
        return Some(None);
    }
    let ms = text.parse::<Timestamp>().ok()?.as_millisecond();
    Some(Some(ms))
}

/// Serde form of a time that is always there: RFC 3339 with milliseconds.
pub mod serde_time {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    /// Writes milliseconds as RFC 3339.
    pub fn serialize<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::rfc3339_millis(*ms))
    }

    /// Reads RFC 3339; the zero time counts as the epoch.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = super::parse_time_ms(&text)
            .ok_or_else(|| D::Error::custom(format_args!("{text:?} is not an RFC 3339 time")))?;
        Ok(time.unwrap_or(0))
    }
}

/// Serde form of a time that may be absent: missing, `null`, empty or Go's zero time read as `None`.
pub mod serde_time_opt {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    /// Writes milliseconds as RFC 3339, `None` as the zero time.
    pub fn serialize<S: Serializer>(time: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(ms) => serializer.serialize_str(&super::rfc3339_millis(*ms)),
            None => serializer.serialize_str(super::ZERO_TIME),
        }
    }

    /// Reads RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
        match Option::<String>::deserialize(deserializer)? {
            None => Ok(None),
            Some(text) if text.is_empty() => Ok(None),
            Some(text) => super::parse_time_ms(&text)
                .ok_or_else(|| D::Error::custom(format_args!("{text:?} is not an RFC 3339 time"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_and_read() {
        assert_eq!(rfc3339(1_704_067_200_000), "2024-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_704_067_200_500), "2024-01-01T00:00:00.5Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(rfc3339_millis(1_704_067_200_000), "2024-01-01T00:00:00.000Z");
        assert_eq!(parse_time_ms("2024-01-01T02:00:00+02:00"), Some(Some(1_704_067_200_000)));
        assert_eq!(parse_time_ms("2018-08-03T09:52:26.739266876+02:00"), Some(Some(1_533_282_746_739)));
        assert_eq!(parse_time_ms(ZERO_TIME), Some(None));
        assert_eq!(parse_time_ms("yesterday"), None);
    }
}
