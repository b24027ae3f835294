//! Names of blocks: 48 bits of time and 80 bits that tell blocks of one time apart, as 26 characters that sort by time.
//!
//! Written in Crockford's base 32, as Prometheus names its blocks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Name of a block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ulid(u128);

/// A text that is no [`Ulid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block's name has 26 characters of Crockford's base 32")]
pub struct ParseUlidError;

impl Ulid {
    /// The name of time and mark.
    pub(crate) fn new(time_ms: i64, mark: u128) -> Self {
        let time = time_ms.clamp(0, (1 << 48) - 1) as u128;
        Self(time << 80 | mark & ((1 << 80) - 1))
    }

    /// When the block was made, in ms.
    pub fn time_ms(self) -> i64 {
        (self.0 >> 80) as i64
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: [u8; 26] = std::array::from_fn(|i| DIGITS[(self.0 >> (125 - 5 * i)) as usize & 31]);
        f.write_str(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

impl fmt::Debug for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Ulid {
    type Err = ParseUlidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 26 || !(b'0'..=b'7').contains(&text.as_bytes()[0]) {
            return Err(ParseUlidError);
        }
        let mut value = 0u128;
        for byte in text.bytes() {
            let digit = DIGITS.iter().position(|&d| d == byte).ok_or(ParseUlidError)?;
            value = value << 5 | digit as u128;
        }
        Ok(Self(value))
    }
}

impl TryFrom<String> for Ulid {
    type Error = ParseUlidError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Ulid> for String {
    fn from(ulid: Ulid) -> Self {
        ulid.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_sort_by_time() {
        let names: Vec<Ulid> = [(0, 0), (0, 1), (1, 0), (1_700_000_000_000, u128::MAX), (i64::MAX, 5)]
            .map(|(time, mark)| Ulid::new(time, mark))
            .to_vec();
        for pair in names.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].to_string() < pair[1].to_string());
        }
        for name in &names {
            assert_eq!(name.to_string().parse(), Ok(*name));
        }
        assert_eq!(Ulid::new(1_700_000_000_000, 7).time_ms(), 1_700_000_000_000);
        assert_eq!(Ulid::new(1_469_918_176_385, 0).to_string(), "01ARYZ6S410000000000000000");
        for text in ["", "01ARYZ6S41TSV4RRFFQ69G5FA", "81ARYZ6S41TSV4RRFFQ69G5FAV", "01ARYZ6S41TSV4RRFFQ69G5FAI"] {
            assert_eq!(text.parse::<Ulid>(), Err(ParseUlidError), "{text}");
        }
    }
}
