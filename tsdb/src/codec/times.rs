//! Columns of timestamps: a regular grid costs a few bytes, anything else what it strays from the grid.
//!
//! Series that were scraped together have equal columns; a block stores each distinct one once. So a column carries its own number
//! of samples, and comparing bytes compares columns. The page `docs/format/column.md` is the specification.

use super::bytes::{Cursor, Damaged, Decoded, put_signed, put_varint};
use super::ints::{Carry, put_block, read_block};
use super::pack::BLOCK;
use super::values::MAX_COLUMN;

const REGULAR: u8 = 0;
const STRAYING: u8 = 1;

/// What a column of timestamps says before its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) count: usize,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
}

/// Appends a column of 1 to [`MAX_COLUMN`] timestamps, ascending strictly.
pub(crate) fn encode(timestamps: &[i64], out: &mut Vec<u8>) {
    debug_assert!(!timestamps.is_empty() && timestamps.len() <= MAX_COLUMN);
    let (Some(&first), Some(&last)) = (timestamps.first(), timestamps.last()) else { return };
    let step = usual_step(timestamps);
    let expected = |i: usize| first.wrapping_add(step.wrapping_mul(i as i64));
    let regular = timestamps.iter().enumerate().all(|(i, &t)| t == expected(i));
    out.push(if regular { REGULAR } else { STRAYING });
    put_varint(out, timestamps.len() as u64);
    put_signed(out, first);
    put_varint(out, step as u64);
    if regular {
        return;
    }
    put_varint(out, last.wrapping_sub(first) as u64);
    let mut carry = Carry::default();
    let mut block = [0i64; BLOCK];
    for (nth, chunk) in timestamps.chunks(BLOCK).enumerate() {
        for (i, (stray, &time)) in block.iter_mut().zip(chunk).enumerate() {
            *stray = time.wrapping_sub(expected(nth * BLOCK + i));
        }
        put_block(&block[..chunk.len()], &mut carry, out);
    }
}

/// The median distance of neighbours.
fn usual_step(timestamps: &[i64]) -> i64 {
    let mut distances: Vec<u64> = timestamps.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]) as u64).collect();
    if distances.is_empty() {
        return 0;
    }
    let middle = distances.len() / 2;
    *distances.select_nth_unstable(middle).1 as i64
}

/// Reads what stands before the blocks; the cursor is left at the first of them.
fn read_head(cursor: &mut Cursor<'_>) -> Decoded<(Extent, u64, bool)> {
    let form = cursor.u8()?;
    let count = cursor.length(MAX_COLUMN, "a column has an impossible number of samples")?;
    if count == 0 || form > STRAYING {
        return Err(Damaged("a column of timestamps begins with a form that does not exist"));
    }
    let first_ms = cursor.signed()?;
    let step = cursor.varint()?;
    let regular = form == REGULAR;
    let span = if regular { step.checked_mul(count as u64 - 1) } else { Some(cursor.varint()?) };
    let last_ms = span.and_then(|span| first_ms.checked_add_unsigned(span));
    let last_ms = last_ms.ok_or(Damaged("a column of timestamps ends after time itself"))?;
    Ok((Extent { count, first_ms, last_ms }, step, regular))
}

/// Number and range of the timestamps of a column, without decoding it.
pub(crate) fn extent(column: &[u8]) -> Decoded<Extent> {
    Ok(read_head(&mut Cursor::new(column))?.0)
}

/// Appends the timestamps of a column and returns how many they are.
///
/// What was appended before an error is left to the caller to cut off.
pub(crate) fn decode(cursor: &mut Cursor<'_>, out: &mut Vec<i64>) -> Decoded<usize> {
    let (Extent { count, first_ms, last_ms }, step, regular) = read_head(cursor)?;
    out.reserve(count);
    let start = out.len();
    if regular {
        if count > 1 && step == 0 {
            return Err(Damaged("timestamps do not ascend"));
        }
        let mut time = first_ms;
        out.push(time);
        out.extend((1..count).map(|_| {
            time = time.wrapping_add_unsigned(step);
            time
        }));
        return Ok(count);
    }
    let mut carry = Carry::default();
    let mut block = [0i64; BLOCK];
    let mut expected = first_ms;
    let mut left = count;
    while left > 0 {
        let strays = &mut block[..left.min(BLOCK)];
        read_block(cursor, &mut carry, strays)?;
        out.extend(strays.iter().map(|stray| {
            let time = expected.wrapping_add(*stray);
            expected = expected.wrapping_add_unsigned(step);
            time
        }));
        left -= strays.len();
    }
    let times = out.get(start..).unwrap_or_default();
    if times.first() != Some(&first_ms) || times.last() != Some(&last_ms) || times.windows(2).any(|p| p[0] >= p[1]) {
        return Err(Damaged("timestamps do not ascend"));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(timestamps: &[i64]) -> usize {
        let mut bytes = Vec::new();
        encode(timestamps, &mut bytes);
        let want =
            Extent { count: timestamps.len(), first_ms: timestamps[0], last_ms: timestamps[timestamps.len() - 1] };
        assert_eq!(extent(&bytes), Ok(want));
        let mut out = vec![7];
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(decode(&mut cursor, &mut out), Ok(timestamps.len()));
        assert!(cursor.is_empty());
        assert_eq!(&out[1..], timestamps);
        bytes.len()
    }

    #[test]
    fn shapes() {
        let start = 1_700_000_000_000;
        assert!(round_trip(&(0..480).map(|i| start + i * 15_000).collect::<Vec<_>>()) <= 12);
        assert!(round_trip(&(0..480).map(|i| start + i * 15_000 + i * 7919 % 7 - 3).collect::<Vec<_>>()) <= 480 / 2);
        let gap: Vec<i64> = (0..480).map(|i| start + i * 15_000 + if i > 300 { 60_000 } else { 0 }).collect();
        assert!(round_trip(&gap) <= 480 * 17 / 8 / 3, "one gap costs one block's width");
        round_trip(&[start]);
        round_trip(&[0, i64::MAX]);
        round_trip(&[i64::MIN, -1, 0, 5, i64::MAX]);
        round_trip(&[i64::MIN, i64::MAX]);
    }

    #[test]
    fn damage_is_refused_or_ascends() {
        let times: Vec<i64> = (0..200).map(|i| i * 1000 + i % 3).collect();
        let mut bytes = Vec::new();
        encode(&times, &mut bytes);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let mut out = Vec::new();
                if decode(&mut Cursor::new(&flipped), &mut out).is_ok() {
                    assert!(out.windows(2).all(|p| p[0] < p[1]));
                }
            }
            assert!(decode(&mut Cursor::new(&bytes[..at]), &mut Vec::new()).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_times(mut times in prop::collection::vec(any::<i64>(), 1..300), narrow in 0u32..60) {
            times.iter_mut().for_each(|t| *t >>= narrow);
            times.sort_unstable();
            times.dedup();
            round_trip(&times);
        }

        #[test]
        fn noise_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut out = Vec::new();
            let _ = decode(&mut Cursor::new(&bytes), &mut out);
        }
    }
}
