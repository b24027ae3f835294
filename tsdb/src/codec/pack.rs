//! Packing unsigned integers in as few bits as the largest needs.
//!
//! A whole block is 128 values of at most 32 bits in four interleaved lanes (value `i` is in lane `i % 4`): four
//! neighbours stand in four neighbouring words at the same bit, so that the plain loop compiles to vector
//! instructions. Everything else (a shorter block, wider values) is packed value after value.
//! Layout after Lemire and Boytsov, "Decoding billions of integers per second through vectorization", 2015.

use super::bytes::{Cursor, Damaged, Decoded};

/// Values in a whole block.
pub(crate) const BLOCK: usize = 128;
const LANES: usize = 4;
const ROWS: usize = BLOCK / LANES;
/// Widest value of a block in lanes.
const LANE_BITS: u32 = 32;

/// Bits that hold `value`.
#[inline]
pub(crate) fn width_of(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// Bytes of `count` values of `width` bits.
pub(crate) fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends up to [`BLOCK`] values, each below `2^width`.
pub(crate) fn pack(values: &[u64], width: u32, out: &mut Vec<u8>) {
    debug_assert!(values.len() <= BLOCK && width <= 64);
    match <&[u64; BLOCK]>::try_from(values) {
        Ok(block) if width <= LANE_BITS => pack_lanes(block, width, out),
        _ => pack_line(values, width, out),
    }
}

/// Reads `out.len()` values (at most [`BLOCK`]).
#[inline]
pub(crate) fn unpack(cursor: &mut Cursor<'_>, width: u32, out: &mut [u64]) -> Decoded<()> {
    if width > 64 || out.len() > BLOCK {
        return Err(Damaged("a packed block is wider than 64 bits"));
    }
    let bytes = cursor.take(packed_len(out.len(), width))?;
    match <&mut [u64; BLOCK]>::try_from(&mut *out) {
        Ok(block) if width <= LANE_BITS => unpack_lanes(bytes, width, block),
        _ => unpack_line(bytes, width, out),
    }
    Ok(())
}

fn pack_lanes(values: &[u64; BLOCK], width: u32, out: &mut Vec<u8>) {
    let mut words = [[0u32; LANES]; ROWS + 1];
    for (row, lanes) in values.chunks_exact(LANES).enumerate() {
        let bit = row * width as usize;
        let (word, shift) = (bit / 32, bit % 32);
        for (lane, &value) in lanes.iter().enumerate() {
            let shifted = (value & 0xffff_ffff) << shift;
            words[word][lane] |= shifted as u32;
            words[word + 1][lane] |= (shifted >> 32) as u32;
        }
    }
    for word in words.iter().take(width as usize).flatten() {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

fn unpack_lanes(bytes: &[u8], width: u32, out: &mut [u64; BLOCK]) {
    let mut words = [[0u32; LANES]; ROWS + 1];
    for (word, bytes) in words.iter_mut().flatten().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    let mask = if width == 0 { 0 } else { u32::MAX >> (32 - width) };
    for (row, lanes) in out.chunks_exact_mut(LANES).enumerate() {
        let bit = row * width as usize;
        let (word, shift) = (bit / 32, (bit % 32) as u32);
        let (low, high) = (words[word], words[word + 1]);
        for lane in 0..LANES {
            // Two shifts, because one by 32 (when `shift` is 0) would be none at all.
            let value = low[lane] >> shift | high[lane] << 1 << (31 - shift);
            lanes[lane] = u64::from(value & mask);
        }
    }
}

fn pack_line(values: &[u64], width: u32, out: &mut Vec<u8>) {
    let mut buffer = 0u128;
    let mut bits = 0;
    for &value in values {
        buffer |= u128::from(value) << bits;
        bits += width;
        while bits >= 8 {
            out.push(buffer as u8);
            buffer >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(buffer as u8);
    }
}

fn unpack_line(bytes: &[u8], width: u32, out: &mut [u64]) {
    // A copy with zeros behind it: every value can then be read as a whole word.
    let mut padded = [0u8; BLOCK * 8 + 16];
    padded[..bytes.len()].copy_from_slice(bytes);
    let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
    if width <= 56 {
        for (i, out) in out.iter_mut().enumerate() {
            let bit = i * width as usize;
            let word = padded[bit / 8..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
            *out = word >> (bit % 8) & mask;
        }
    } else {
        for (i, out) in out.iter_mut().enumerate() {
            let bit = i * width as usize;
            let word = padded[bit / 8..].first_chunk().map_or(0, |word| u128::from_le_bytes(*word));
            *out = (word >> (bit % 8)) as u64 & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[u64], width: u32) {
        let mut bytes = Vec::new();
        pack(values, width, &mut bytes);
        assert_eq!(bytes.len(), packed_len(values.len(), width));
        let mut out = vec![u64::MAX; values.len()];
        unpack(&mut Cursor::new(&bytes), width, &mut out).unwrap();
        assert_eq!(out, values, "width {width}");
    }

    #[test]
    fn every_width_and_length() {
        for width in 0..=64 {
            for count in [0, 1, 2, 7, 8, 9, 63, 120, 127, 128] {
                let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
                let values: Vec<u64> =
                    (0..count).map(|i| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask).collect();
                round_trip(&values, width);
                round_trip(&vec![mask; count], width);
            }
        }
    }

    #[test]
    fn short_bytes_are_refused() {
        let mut out = [0; BLOCK];
        assert!(unpack(&mut Cursor::new(&[0; 47]), 3, &mut out).is_err());
        assert!(unpack(&mut Cursor::new(&[0; 48]), 3, &mut out).is_ok());
        assert!(unpack(&mut Cursor::new(&[0; 2000]), 65, &mut out).is_err());
    }

    proptest! {
        #[test]
        fn any_values(values in prop::collection::vec(any::<u64>(), 0..=BLOCK), narrow in 0u32..64) {
            let values: Vec<u64> = values.iter().map(|v| v >> narrow).collect();
            let width = values.iter().map(|&v| width_of(v)).max().unwrap_or(0);
            round_trip(&values, width);
        }
    }
}
