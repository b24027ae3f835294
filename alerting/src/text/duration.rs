//! Durations in configuration files: Prometheus' form (`1h30m`) and Go's (`1.5h`), both kept in milliseconds.

use std::fmt;

use model::duration::{DurationMs, parse_duration_ms};
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::{Serialize, Serializer};

/// A duration written as Prometheus and Alertmanager do (`5m`, `1h30m`, `0s`), in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromDuration(pub i64);

impl fmt::Display for PromDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DurationMs(self.0).fmt(f)
    }
}

impl Serialize for PromDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PromDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Go's type leaves an empty text at its zero value.
        if text.is_empty() {
            return Ok(Self(0));
        }
        parse_duration_ms(&text).map(Self).map_err(D::Error::custom)
    }
}

/// A duration written as Go does (`10s`, `1.5h`, `300ms`), or a bare number of nanoseconds, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(pub i64);

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&go_duration_text(self.0))
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = GoDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"10s\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<GoDuration, E> {
                if let Ok(nanos) = text.parse::<i64>() {
                    return Ok(GoDuration(nanos / 1_000_000));
                }
                parse_go_duration_ms(text)
                    .map(GoDuration)
                    .ok_or_else(|| E::custom(format_args!("time: invalid duration {text:?}")))
            }

            fn visit_i64<E: serde::de::Error>(self, nanos: i64) -> Result<GoDuration, E> {
                Ok(GoDuration(nanos / 1_000_000))
            }

            fn visit_u64<E: serde::de::Error>(self, nanos: u64) -> Result<GoDuration, E> {
                Ok(GoDuration(i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// Milliseconds of a Go duration text; `None` when it is not one. Fractions below a millisecond are dropped.
pub fn parse_go_duration_ms(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos = 0f64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(|b| !b.is_ascii_digit() && *b != b'.').count();
        let (unit, tail) = tail.split_at(letters);
        let unit = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        if number.is_empty() || number == "." || number.bytes().filter(|b| *b == b'.').count() > 1 {
            return None;
        }
        nanos += number.parse::<f64>().ok()? * unit;
        rest = tail;
    }
    if nanos > i64::MAX as f64 {
        return None;
    }
    let ms = (nanos / 1e6).round() as i64;
    Some(if negative { -ms } else { ms })
}

/// Milliseconds as Go's `time.Duration` prints them: `1h0m0s`, `2m3.5s`, `15ms`, `0s`.
pub fn go_duration_text(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    if ms == 0 {
        return "0s".to_owned();
    }
    if ms < 1000 {
        return format!("{sign}{ms}ms");
    }
    let (hours, minutes, seconds, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    let mut text = String::from(sign);
    if hours > 0 {
        text.push_str(&format!("{hours}h"));
    }
    if hours > 0 || minutes > 0 {
        text.push_str(&format!("{minutes}m"));
    }
    text.push_str(&seconds.to_string());
    if rest > 0 {
        let fraction = format!(".{rest:03}");
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push('s');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_read_and_print() {
        let cases = [("1h", 3_600_000, "1h0m0s"), ("1.5h", 5_400_000, "1h30m0s"), ("2m3.5s", 123_500, "2m3.5s")];
        for (text, ms, printed) in cases {
            assert_eq!(parse_go_duration_ms(text), Some(ms), "{text}");
            assert_eq!(go_duration_text(ms), printed);
        }
        assert_eq!(go_duration_text(15), "15ms");
        assert_eq!(parse_go_duration_ms("-10s"), Some(-10_000));
        for text in ["", "5", "1d", "s", ".s", "1.2.3s", "5 s", "-"] {
            assert_eq!(parse_go_duration_ms(text), None, "{text}");
        }
    }

    #[test]
    fn serde_forms() {
        assert_eq!(serde_json::from_str::<PromDuration>("\"1h30m\"").ok(), Some(PromDuration(5_400_000)));
        assert_eq!(serde_json::to_string(&PromDuration(90_000)).ok().as_deref(), Some("\"1m30s\""));
        assert!(serde_json::from_str::<PromDuration>("\"5x\"").is_err());
        assert_eq!(serde_json::from_str::<GoDuration>("\"10s\"").ok(), Some(GoDuration(10_000)));
        assert_eq!(serde_json::from_str::<GoDuration>("5000000000").ok(), Some(GoDuration(5_000)));
    }
}
