//! Words of hexadecimal digits, and the identifiers that are written with dashes in them.

/// How hexadecimal digits are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HexFormat {
    /// So many lower-case digits.
    Digits(u8),
    /// Thirty-two lower-case digits in groups of 8, 4, 4, 4 and 12 with dashes between them.
    Uuid,
}

/// Longest word of digits.
pub(super) const MAX_DIGITS: usize = 128;
/// Bytes of the text of [`HexFormat::Uuid`].
pub(super) const UUID_LEN: usize = 36;
/// What stands for [`HexFormat::Uuid`] where the number of digits is written.
const UUID: u8 = 255;

impl HexFormat {
    /// The format of a text, if it is one of hexadecimal digits.
    pub(super) fn find(text: &[u8]) -> Option<Self> {
        if is_uuid(text) {
            return Some(Self::Uuid);
        }
        let fits = (1..=MAX_DIGITS).contains(&text.len()) && text.iter().all(|byte| is_digit(*byte));
        fits.then_some(Self::Digits(text.len() as u8))
    }

    pub(super) fn code(self) -> u8 {
        match self {
            Self::Digits(digits) => digits,
            Self::Uuid => UUID,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        match code {
            UUID => Some(Self::Uuid),
            digits if (1..=MAX_DIGITS).contains(&usize::from(digits)) => Some(Self::Digits(digits)),
            _ => None,
        }
    }

    /// Number of digits.
    pub(super) fn digits(self) -> usize {
        match self {
            Self::Digits(digits) => usize::from(digits),
            Self::Uuid => 32,
        }
    }

    /// Bytes of the text.
    pub(super) fn text_len(self) -> usize {
        match self {
            Self::Digits(digits) => usize::from(digits),
            Self::Uuid => UUID_LEN,
        }
    }

    /// The digits of a text in this format as numbers of 16 digits, the last one of what is left.
    pub(super) fn numbers(self, text: &[u8]) -> impl Iterator<Item = u64> + '_ {
        let (first, rest) = match self {
            Self::Digits(_) => (None, text),
            Self::Uuid => {
                let number = |range| text.get(range).map_or(0, number);
                let high = number(0..8) << 32 | number(9..13) << 16 | number(14..18);
                let low = number(19..23) << 48 | number(24..36);
                (Some([high, low]), &text[..0])
            }
        };
        first.into_iter().flatten().chain(rest.chunks(16).map(number))
    }

    /// Appends the text of numbers.
    pub(super) fn print(self, mut numbers: impl FnMut() -> u64, out: &mut Vec<u8>) {
        match self {
            Self::Digits(digits) => {
                let digits = usize::from(digits);
                for at in (0..digits).step_by(16) {
                    print(numbers(), (digits - at).min(16), out);
                }
            }
            Self::Uuid => {
                let (high, low) = (numbers(), numbers());
                for (number, digits) in [(high >> 32, 8), (high >> 16, 4), (high, 4), (low >> 48, 4), (low, 12)] {
                    print(number, digits, out);
                    out.push(b'-');
                }
                out.pop();
            }
        }
    }
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Whether a text is written as [`HexFormat::Uuid`].
pub(super) fn is_uuid(text: &[u8]) -> bool {
    text.len() == UUID_LEN
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => is_digit(*byte),
        })
}

/// The number of up to 16 hexadecimal digits, the first one highest.
pub(super) fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, byte| {
        let digit = if byte.is_ascii_digit() { byte - b'0' } else { (byte - b'a').wrapping_add(10) };
        number << 4 | u64::from(digit & 15)
    })
}

/// Appends the last `digits` hexadecimal digits of a number.
fn print(number: u64, digits: usize, out: &mut Vec<u8>) {
    let mut text = [0; 16];
    for (at, byte) in text.iter_mut().enumerate().take(digits) {
        *byte = b"0123456789abcdef"[(number >> (4 * (digits - 1 - at)) & 15) as usize];
    }
    out.extend_from_slice(&text[..digits]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_words_come_back() {
        let cases = [
            ("4bf92f3577b34da6a3ce929d0e0e4736", Some(HexFormat::Digits(32))),
            ("0", Some(HexFormat::Digits(1))),
            ("0123456789abcdef0", Some(HexFormat::Digits(17))),
            ("4bf92f35-77b3-4da6-a3ce-929d0e0e4736", Some(HexFormat::Uuid)),
            ("4BF9", None),
            ("4bf92f35-77b3-4da6-a3ce929d0e0e4736-", None),
            ("", None),
            ("xyz", None),
        ];
        for (text, want) in cases {
            assert_eq!(HexFormat::find(text.as_bytes()), want, "{text}");
            let Some(format) = want else { continue };
            assert_eq!(HexFormat::from_code(format.code()), Some(format));
            assert_eq!(format.text_len(), text.len());
            let numbers: Vec<u64> = format.numbers(text.as_bytes()).collect();
            assert_eq!(numbers.len(), format.digits().div_ceil(16));
            let (mut numbers, mut out) = (numbers.into_iter(), Vec::new());
            format.print(|| numbers.next().unwrap(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
        assert_eq!(HexFormat::from_code(0), None);
        assert_eq!(HexFormat::from_code(200), None);
    }
}
