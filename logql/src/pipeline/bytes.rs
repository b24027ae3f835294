//! Finding bytes eight at a time. Texts between the bytes that parsers look for are short, so that setting up a search
//! with vector registers would cost more than it saves.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// High bits of the bytes that are zero. Only the lowest one set is sure to be right.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// High bits of the bytes that equal `byte`; only the lowest one is sure.
#[inline(always)]
fn equal(word: u64, byte: u8) -> u64 {
    zeros(word ^ (LOW * byte as u64))
}

/// High bits of the bytes up to a space; only the lowest one is sure.
#[inline(always)]
fn blank(word: u64) -> u64 {
    word.wrapping_sub(LOW * 0x21) & !word & HIGH
}

#[inline(always)]
fn find(data: &[u8], mut at: usize, mask: impl Fn(u64) -> u64, is: impl Fn(u8) -> bool) -> Option<usize> {
    while let Some(chunk) = data.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let found = mask(u64::from_le_bytes(*chunk));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    data.get(at..)?.iter().position(|byte| is(*byte)).map(|len| at + len)
}

/// The first quote or backslash from `at` on.
#[inline]
pub(crate) fn quote_or_backslash(data: &[u8], at: usize) -> Option<usize> {
    find(data, at, |w| equal(w, b'"') | equal(w, b'\\'), |b| matches!(b, b'"' | b'\\'))
}

/// The first quote or one of two brackets from `at` on.
#[inline]
pub(crate) fn quote_or(data: &[u8], at: usize, open: u8, close: u8) -> Option<usize> {
    find(data, at, |w| equal(w, b'"') | equal(w, open) | equal(w, close), |b| b == b'"' || b == open || b == close)
}

/// The first byte from `at` on that ends a word of logfmt: `=`, a quote, a space or less.
#[inline]
pub(crate) fn word_end(data: &[u8], at: usize) -> usize {
    let found =
        find(data, at, |w| equal(w, b'=') | equal(w, b'"') | blank(w), |b| matches!(b, b'=' | b'"') || b <= b' ');
    found.unwrap_or(data.len())
}

/// The first space (or less) from `at` on.
#[inline]
pub(crate) fn space(data: &[u8], at: usize) -> usize {
    find(data, at, blank, |b| b <= b' ').unwrap_or(data.len())
}

/// Whether two texts are equal, for short ones.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() || a.len() > 16 {
        return a == b;
    }
    // The first and the last bytes, which overlap.
    if let (Some(a_first), Some(b_first), Some(a_last), Some(b_last)) =
        (a.first_chunk::<8>(), b.first_chunk::<8>(), a.last_chunk::<8>(), b.last_chunk::<8>())
    {
        let (first, last) = (u64::from_le_bytes(*a_first), u64::from_le_bytes(*a_last));
        return (first ^ u64::from_le_bytes(*b_first)) | (last ^ u64::from_le_bytes(*b_last)) == 0;
    }
    if let (Some(a_first), Some(b_first), Some(a_last), Some(b_last)) =
        (a.first_chunk::<4>(), b.first_chunk::<4>(), a.last_chunk::<4>(), b.last_chunk::<4>())
    {
        let (first, last) = (u32::from_le_bytes(*a_first), u32::from_le_bytes(*a_last));
        return (first ^ u32::from_le_bytes(*b_first)) | (last ^ u32::from_le_bytes(*b_last)) == 0;
    }
    let mut differ = 0;
    for at in 0..a.len() {
        differ |= a[at] ^ b[at];
    }
    differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_loop_finds(data in "[a=\"\\\\{} \u{1}\u{7f}é\u{20ac}]{0,40}", at in 0usize..45) {
            let data = data.as_bytes();
            let slow = |is: fn(u8) -> bool| data.get(at..)?.iter().position(|b| is(*b)).map(|len| at + len);
            prop_assert_eq!(quote_or_backslash(data, at), slow(|b| b == b'"' || b == b'\\'));
            prop_assert_eq!(quote_or(data, at, b'{', b'}'), slow(|b| matches!(b, b'"' | b'{' | b'}')));
            let end = slow(|b| matches!(b, b'=' | b'"') || b <= b' ');
            prop_assert_eq!(word_end(data, at), end.unwrap_or(data.len()));
            prop_assert_eq!(space(data, at), slow(|b| b <= b' ').unwrap_or(data.len()));
        }

        #[test]
        fn compares(a in "[ab]{0,20}", b in "[ab]{0,20}") {
            prop_assert_eq!(same(a.as_bytes(), b.as_bytes()), a == b);
            prop_assert!(same(a.as_bytes(), a.clone().as_bytes()));
        }
    }
}
