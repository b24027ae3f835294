//! Values of configuration files: secrets, durations, sizes. They read strings (and bare numbers where the peers do) and
//! print what they would read.

use std::fmt;
use std::time::Duration;

use model::duration::{DurationMs, parse_duration_ms};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A password, token or key. Prints as `<secret>` everywhere; only [`Secret::reveal`] gives it away.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the wire, never for a log, an answer or an error.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// True when there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "" } else { "<secret>" })
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<String>::deserialize(deserializer)?.unwrap_or_default()))
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a string or a bare number through `parse`.
struct TextVisitor<T>(&'static str, fn(&str) -> Result<T, String>);

impl<T> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

/// A duration of Prometheus' configuration in milliseconds: `1h30m`, units from `y` to `ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PromDuration(pub i64);

impl PromDuration {
    /// Seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds * 1000)
    }

    /// As the standard library's type; a negative one is zero.
    pub fn to_std(self) -> Duration {
        Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }
}

impl fmt::Display for PromDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DurationMs(self.0).fmt(f)
    }
}

impl<'de> Deserialize<'de> for PromDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |text: &str| parse_duration_ms(text).map(Self).map_err(|e| e.to_string());
        deserializer.deserialize_str(TextVisitor("a duration such as 1h30m", parse))
    }
}

impl Serialize for PromDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A duration as Go programs read it, in nanoseconds: `1.5h`, `2m30s`, `300ms`, also with `d`, `w` and `y` as Loki's limits
/// allow. A bare number other than 0 is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub i64);

impl GoDuration {
    /// Milliseconds.
    pub const fn millis(ms: i64) -> Self {
        Self(ms * 1_000_000)
    }

    /// Seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Self::millis(seconds * 1000)
    }

    /// As the standard library's type; a negative one is zero.
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// Reads the text.
    ///
    /// # Errors
    /// `invalid duration "…"` when it is not of that form or too large.
    pub fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("invalid duration {text:?}");
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total = 0f64;
        let mut whole: i64 = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
            let (number, tail) = rest.split_at(digits);
            let unit_len = tail.bytes().take_while(|b| !b.is_ascii_digit() && *b != b'.').count();
            let (unit, tail) = tail.split_at(unit_len);
            let scale: i64 = match unit {
                "ns" => 1,
                "us" | "µs" | "μs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                "d" => 86_400_000_000_000,
                "w" => 7 * 86_400_000_000_000,
                "y" => 365 * 86_400_000_000_000,
                _ => return Err(invalid()),
            };
            match number.parse::<i64>() {
                Ok(number) => {
                    let part = number.checked_mul(scale).ok_or_else(invalid)?;
                    whole = whole.checked_add(part).ok_or_else(invalid)?;
                }
                Err(_) => total += number.parse::<f64>().map_err(|_| invalid())? * scale as f64,
            }
            rest = tail;
        }
        let sum = whole as f64 + total;
        if sum >= i64::MAX as f64 {
            return Err(invalid());
        }
        let ns = whole + total as i64;
        Ok(Self(if negative { -ns } else { ns }))
    }
}

/// Go's own form: `1h30m0s`, `1.5s`, `300ms`, `0s`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        if ns == 0 {
            return f.write_str("0s");
        }
        let small = |f: &mut fmt::Formatter<'_>, ns: u64, unit: u64, name: &str| {
            let text = format!("{}.{:0width$}", ns / unit, ns % unit, width = unit.ilog10() as usize);
            let text = if unit == 1 { ns.to_string() } else { text };
            let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            write!(f, "{text}{name}")
        };
        match ns {
            0..1_000 => return small(f, ns, 1, "ns"),
            1_000..1_000_000 => return small(f, ns, 1_000, "µs"),
            1_000_000..1_000_000_000 => return small(f, ns, 1_000_000, "ms"),
            _ => {}
        }
        let (hours, minutes) = (ns / 3_600_000_000_000, ns / 60_000_000_000 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        small(f, ns % 60_000_000_000, 1_000_000_000, "s")
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor("a duration such as 1h30m or 1.5s", Self::parse))
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A number of bytes: `512`, `10MB`, `1.5GiB`. `KB` and `KiB` are both 1024, as Prometheus and Loki read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const SIZE_UNITS: [(&str, u64); 7] =
    [("EB", 1 << 60), ("PB", 1 << 50), ("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10), ("B", 1)];

impl ByteSize {
    /// Mebibytes.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// Reads the text; case does not matter, and blanks before the unit are allowed.
    ///
    /// # Errors
    /// When it is not of that form or too large.
    pub fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("invalid size {text:?}, want a number with a unit such as 512MB");
        let trimmed = text.trim();
        let digits = trimmed.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, unit) = trimmed.split_at(digits);
        let unit = unit.trim().to_ascii_uppercase().replace("IB", "B");
        let scale = match unit.as_str() {
            "" => 1,
            unit => SIZE_UNITS
                .iter()
                .find(|(name, _)| *name == unit || name.strip_suffix('B') == Some(unit))
                .map(|(_, scale)| *scale)
                .ok_or_else(invalid)?,
        };
        if let Ok(number) = number.parse::<u64>() {
            return number.checked_mul(scale).map(Self).ok_or_else(invalid);
        }
        let bytes = number.parse::<f64>().map_err(|_| invalid())? * scale as f64;
        if bytes < u64::MAX as f64 { Ok(Self(bytes as u64)) } else { Err(invalid()) }
    }
}

/// The largest unit that leaves no rest: `1536KiB`, `10MiB`, `0B`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, scale) in SIZE_UNITS {
            if self.0 >= scale && self.0.is_multiple_of(scale) {
                return write!(
                    f,
                    "{}{}",
                    self.0 / scale,
                    if scale == 1 { name.to_owned() } else { name.replace('B', "iB") }
                );
            }
        }
        f.write_str("0B")
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor("a size such as 512MB", Self::parse))
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "<secret> <secret>");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"<secret>\"");
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn go_durations_round_trip() {
        let cases = [
            ("1h30m", 5_400_000_000_000, "1h30m0s"),
            ("1.5s", 1_500_000_000, "1.5s"),
            ("300ms", 300_000_000, "300ms"),
            ("2d", 172_800_000_000_000, "48h0m0s"),
            ("1us", 1_000, "1µs"),
            ("-1m0.25s", -60_250_000_000, "-1m0.25s"),
            ("0", 0, "0s"),
            ("1500us", 1_500_000, "1.5ms"),
        ];
        for (text, ns, printed) in cases {
            assert_eq!(GoDuration::parse(text), Ok(GoDuration(ns)), "{text}");
            assert_eq!(GoDuration(ns).to_string(), printed);
            assert_eq!(GoDuration::parse(printed), Ok(GoDuration(ns)));
        }
        for text in ["", "5", "1x", "s", "1h-5m", "999999999h", "1..5s", "-"] {
            assert!(GoDuration::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_round_trip() {
        let cases = [
            ("0", 0, "0B"),
            ("512", 512, "512B"),
            ("10MB", 10 << 20, "10MiB"),
            ("1.5KiB", 1536, "1536B"),
            ("4 mb", 4 << 20, "4MiB"),
            ("1g", 1 << 30, "1GiB"),
        ];
        for (text, bytes, printed) in cases {
            assert_eq!(ByteSize::parse(text), Ok(ByteSize(bytes)), "{text}");
            assert_eq!(ByteSize(bytes).to_string(), printed);
        }
        for text in ["", "MB", "1XB", "-1", "99999999999EB", "1 2"] {
            assert!(ByteSize::parse(text).is_err(), "{text}");
        }
    }
}
