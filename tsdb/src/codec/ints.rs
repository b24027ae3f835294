//! Columns of integers in blocks of up to 128: each block takes the form that makes it smallest.
//!
//! A block stores what is left of its values after subtracting the least of them (frame of reference), or of the differences
//! between neighbours, or of the differences between those. Arithmetic wraps, so that every `i64` comes back.
//! The page `docs/format/column.md` is the specification. Called by the codecs of values and timestamps.

use super::bytes::{Cursor, Damaged, Decoded, put_signed, zigzag};
use super::pack::{BLOCK, pack, packed_len, unpack, width_of};

/// What a block stores, as the two upper bits of its head.
const PLAIN: u8 = 0;
const DELTA: u8 = 1;
const DELTA_OF_DELTA: u8 = 2;

/// In the place of a width: 64 bits. Width 63 is not used.
const WIDTH_64: u8 = 63;

/// Where a column stands between two blocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carry {
    /// The value before the block.
    pub(crate) last: i64,
}

/// Appends a block of at most [`BLOCK`] values that follow on `carry`.
pub(crate) fn put_block(values: &[i64], carry: &mut Carry, out: &mut Vec<u8>) {
    debug_assert!(!values.is_empty() && values.len() <= BLOCK);
    let mut deltas = [0i64; BLOCK];
    let mut last = carry.last;
    for (delta, &value) in deltas.iter_mut().zip(values) {
        *delta = value.wrapping_sub(last);
        last = value;
    }
    carry.last = last;
    let deltas = &deltas[..values.len()];
    let mut second = [0i64; BLOCK];
    for (second, pair) in second[1..].iter_mut().zip(deltas.windows(2)) {
        *second = pair[1].wrapping_sub(pair[0]);
    }
    let second = &mut second[..values.len()];
    // The difference before the block is free to choose: the one that makes the first as the second costs nothing.
    second[0] = second.get(1).copied().unwrap_or(0);
    let before = deltas[0].wrapping_sub(second[0]);

    let plain = Frame::of(values);
    let delta = Frame::of(deltas);
    let mut of_delta = Frame::of(second);
    of_delta.len += signed_len(before);
    // The simpler form wins a tie: it decodes faster.
    if plain.len <= delta.len && plain.len <= of_delta.len {
        plain.put(PLAIN, values, out);
    } else if delta.len <= of_delta.len {
        delta.put(DELTA, deltas, out);
    } else {
        of_delta.put_with(DELTA_OF_DELTA, Some(before), second, out);
    }
}

/// Reads a block of `out.len()` values (at most [`BLOCK`]).
#[inline]
pub(crate) fn read_block(cursor: &mut Cursor<'_>, carry: &mut Carry, out: &mut [i64]) -> Decoded<()> {
    let head = cursor.u8()?;
    let width = match head & 63 {
        WIDTH_64 => 64,
        width => u32::from(width),
    };
    let form = head >> 6;
    let before = if form == DELTA_OF_DELTA { cursor.signed()? } else { 0 };
    let least = cursor.signed()?;
    if width == 0 {
        out.fill(least);
    } else {
        let mut packed = [0u64; BLOCK];
        let packed = packed.get_mut(..out.len()).ok_or(Damaged("a block is longer than 128 values"))?;
        unpack(cursor, width, packed)?;
        for (out, &rest) in out.iter_mut().zip(&*packed) {
            *out = least.wrapping_add(rest as i64);
        }
    }
    match form {
        PLAIN => {}
        DELTA => sum_up(out, carry.last),
        DELTA_OF_DELTA => {
            sum_up(out, before);
            sum_up(out, carry.last);
        }
        _ => return Err(Damaged("a block has a form that does not exist")),
    }
    if let Some(&last) = out.last() {
        carry.last = last;
    }
    Ok(())
}

#[inline]
fn sum_up(out: &mut [i64], start: i64) {
    let mut sum = start;
    for value in out {
        sum = sum.wrapping_add(*value);
        *value = sum;
    }
}

/// Values as a least one and what is above it.
struct Frame {
    least: i64,
    width: u32,
    /// Bytes it takes, head included.
    len: usize,
}

impl Frame {
    fn of(values: &[i64]) -> Self {
        let least = values.iter().copied().min().unwrap_or(0);
        let most = values.iter().copied().max().unwrap_or(0);
        let width = match width_of(most.wrapping_sub(least) as u64) {
            63 => 64,
            width => width,
        };
        Self { least, width, len: 1 + signed_len(least) + packed_len(values.len(), width) }
    }

    fn put(&self, form: u8, values: &[i64], out: &mut Vec<u8>) {
        self.put_with(form, None, values, out);
    }

    fn put_with(&self, form: u8, first: Option<i64>, values: &[i64], out: &mut Vec<u8>) {
        let width = if self.width == 64 { WIDTH_64 } else { self.width as u8 };
        out.push(form << 6 | width);
        if let Some(first) = first {
            put_signed(out, first);
        }
        put_signed(out, self.least);
        let mut rest = [0u64; BLOCK];
        for (rest, &value) in rest.iter_mut().zip(values) {
            *rest = value.wrapping_sub(self.least) as u64;
        }
        pack(&rest[..values.len()], self.width, out);
    }
}

/// Bytes of a zigzag varint.
fn signed_len(value: i64) -> usize {
    (width_of(zigzag(value)).max(1) as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[i64]) -> usize {
        let mut bytes = Vec::new();
        let mut carry = Carry { last: 17 };
        for block in values.chunks(BLOCK) {
            put_block(block, &mut carry, &mut bytes);
        }
        let mut cursor = Cursor::new(&bytes);
        let mut carry = Carry { last: 17 };
        let mut out = vec![0; values.len()];
        for block in out.chunks_mut(BLOCK) {
            read_block(&mut cursor, &mut carry, block).unwrap();
        }
        assert!(cursor.is_empty());
        assert_eq!(out, values);
        bytes.len()
    }

    #[test]
    fn forms_fit_their_shapes() {
        let of = |f: &dyn Fn(i64) -> i64| (0..256).map(f).collect::<Vec<_>>();
        assert_eq!(round_trip(&of(&|_| 17)), 4);
        assert_eq!(round_trip(&of(&|i| 17 + (i + 1) * 100)), 6);
        assert!(round_trip(&of(&|i| 17 + (i + 1) * (i + 1))) <= 10);
        assert!(round_trip(&of(&|i| 1_000_000 + i * 7919 % 16)) <= 2 * (64 + 5));
    }

    #[test]
    fn extremes() {
        round_trip(&[i64::MIN, i64::MAX, 0, -1, i64::MIN, i64::MAX]);
        round_trip(&[i64::MAX]);
        round_trip(&[0, 1 << 62, 0, 1 << 62]);
        round_trip(&[i64::MIN, i64::MIN + 1]);
    }

    proptest! {
        #[test]
        fn any_values(values in prop::collection::vec(any::<i64>(), 1..300), narrow in 0u32..63) {
            round_trip(&values.iter().map(|v| v >> narrow).collect::<Vec<_>>());
        }

        #[test]
        fn damage_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), count in 1usize..=BLOCK) {
            let mut out = vec![0; count];
            let _ = read_block(&mut Cursor::new(&bytes), &mut Carry::default(), &mut out);
        }
    }
}
