//! Columns of values: the form of a finished chunk.
//!
//! Values that are all the same are stored once. Otherwise they become mantissas at one exponent ([`super::decimal`]), of which the
//! first and the greatest common factor of the differences are taken out. The rest goes either into blocks of packed integers
//! ([`super::ints`]), which are small as they are, or into planes of bytes, which a general compressor makes smaller still. The few values
//! that have no exact mantissa (NaN, a staleness marker) are listed behind; a column with many of them is stored as bit
//! patterns. Decoding looks at a value once.
//! The page `docs/format/column.md` is the specification.

use super::bytes::{Cursor, Damaged, Decoded, put_signed, put_varint, unzigzag, zigzag};
use super::decimal::{BITS, is_exponent, natural, scale, unscale, unscale_all};
use super::ints::{Carry, put_block, read_block};
use super::pack::{BLOCK, width_of};

/// Most samples of a column.
pub(crate) const MAX_COLUMN: usize = 1 << 14;

/// Bits of a column's head: exponent, form, exceptions.
const EXPONENT: u8 = 0x1f;
const FORM: u8 = 0x60;
const CONSTANT: u8 = 0x00;
const PACKED: u8 = 0x20;
const PLANES: u8 = 0x40;
const EXCEPTIONS: u8 = 0x80;

/// What becomes of a column's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// They are stored as they are: packed bits.
    Stored,
    /// They are compressed with others: planes of bytes.
    Compressed,
}

/// Memory that encoding reuses.
#[derive(Default)]
pub(crate) struct Scratch {
    mantissas: Vec<i64>,
    exceptions: Vec<(u32, u64)>,
}

/// Appends a column of 1 to [`MAX_COLUMN`] values.
pub(crate) fn encode(values: &[f64], target: Target, scratch: &mut Scratch, out: &mut Vec<u8>) {
    debug_assert!(!values.is_empty() && values.len() <= MAX_COLUMN);
    let Some(&first) = values.first() else { return };
    if values.iter().all(|v| v.to_bits() == first.to_bits()) {
        put_constant(first, out);
        return;
    }
    let exponent = exponent_of(values);
    scratch.fill(values, exponent);
    // Without a number at all (several kinds of NaN, say) bit patterns are the only form.
    if scratch.exceptions.len() * 2 > values.len() {
        scratch.exceptions.clear();
        scratch.mantissas.clear();
        scratch.mantissas.extend(values.iter().map(|v| v.to_bits() as i64));
        put_numbers(BITS, target, scratch, out);
    } else {
        put_numbers(exponent, target, scratch, out);
    }
}

fn put_constant(value: f64, out: &mut Vec<u8>) {
    let (exponent, mantissa) = natural(value, 0);
    out.push(exponent | CONSTANT);
    if exponent == BITS {
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    } else {
        put_signed(out, mantissa);
    }
}

/// The exponent at which nearly all values have a mantissa, else [`BITS`].
fn exponent_of(values: &[f64]) -> u8 {
    let mut exponent = 0;
    let mut misfits = 0;
    for &value in values {
        if scale(value, exponent).is_some() || !value.is_finite() {
            continue;
        }
        match natural(value, exponent).0 {
            wider if wider != BITS && wider > exponent => exponent = wider,
            _ => misfits += 1,
        }
        if misfits * 4 > values.len() {
            return BITS;
        }
    }
    exponent
}

impl Scratch {
    fn fill(&mut self, values: &[f64], exponent: u8) {
        self.mantissas.clear();
        self.exceptions.clear();
        let mut last = None;
        for (at, &value) in values.iter().enumerate() {
            match scale(value, exponent) {
                Some(mantissa) if exponent != BITS || value.is_finite() => {
                    if last.is_none() {
                        // Exceptions before the first number take its place in the column of numbers.
                        self.mantissas.fill(mantissa);
                    }
                    self.mantissas.push(mantissa);
                    last = Some(mantissa);
                }
                _ => {
                    self.exceptions.push((at as u32, value.to_bits()));
                    self.mantissas.push(last.unwrap_or(0));
                }
            }
        }
    }
}

fn put_numbers(exponent: u8, target: Target, scratch: &mut Scratch, out: &mut Vec<u8>) {
    let Some((base, rest)) = scratch.mantissas.split_first_mut() else { return };
    let base = *base;
    let flag = if scratch.exceptions.is_empty() { 0 } else { EXCEPTIONS };
    let form = if target == Target::Stored { PACKED } else { PLANES };
    let factor = common_factor(base, rest);
    out.push(exponent | form | flag);
    put_signed(out, base);
    put_varint(out, factor);
    for number in &mut *rest {
        *number = number.wrapping_sub(base);
        if factor > 1 {
            // The factor was found without overflow and divides exactly.
            *number /= factor as i64;
        }
    }
    match target {
        Target::Stored => {
            let mut carry = Carry::default();
            rest.chunks(BLOCK).for_each(|block| put_block(block, &mut carry, out));
        }
        Target::Compressed => put_planes(rest, out),
    }
    if flag != 0 {
        put_varint(out, scratch.exceptions.len() as u64);
        let mut next = 0;
        for &(at, bits) in &scratch.exceptions {
            put_varint(out, u64::from(at - next));
            out.extend_from_slice(&bits.to_le_bytes());
            next = at + 1;
        }
    }
}

/// Writes the zigzag differences of neighbours byte by byte: first the lowest byte of all of them, then the next.
fn put_planes(numbers: &mut [i64], out: &mut Vec<u8>) {
    let mut last = 0i64;
    let mut most = 0u64;
    for number in &mut *numbers {
        let difference = zigzag(number.wrapping_sub(last));
        last = *number;
        most |= difference;
        *number = difference as i64;
    }
    let planes = width_of(most).div_ceil(8);
    out.push(planes as u8);
    for plane in 0..planes {
        out.extend(numbers.iter().map(|&difference| (difference as u64 >> (8 * plane)) as u8));
    }
}

/// Greatest factor (below 2^63) of all differences to `base`; 1 where a difference overflows.
fn common_factor(base: i64, rest: &[i64]) -> u64 {
    let mut factor = 0u64;
    for &value in rest {
        let Some(difference) = value.checked_sub(base) else { return 1 };
        let difference = difference.unsigned_abs();
        if difference == 0 || factor != 0 && difference % factor == 0 {
            continue;
        }
        factor = gcd(factor, difference);
        if factor == 1 {
            return 1;
        }
    }
    if factor > i64::MAX as u64 { 1 } else { factor.max(1) }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Appends the `count` values of a column.
///
/// What was appended before an error is left to the caller to cut off.
pub(crate) fn decode(cursor: &mut Cursor<'_>, count: usize, out: &mut Vec<f64>) -> Decoded<()> {
    if count == 0 || count > MAX_COLUMN {
        return Err(Damaged("a column has an impossible number of samples"));
    }
    let head = cursor.u8()?;
    let exponent = head & EXPONENT;
    if !is_exponent(exponent) {
        return Err(Damaged("a column of values has an exponent that does not exist"));
    }
    let start = out.len();
    match head & FORM {
        CONSTANT if head & EXCEPTIONS == 0 => {
            let value =
                if exponent == BITS { f64::from_bits(cursor.u64()?) } else { unscale(cursor.signed()?, exponent) };
            out.resize(start + count, value);
            return Ok(());
        }
        PACKED => read_packed(cursor, exponent, count, out)?,
        PLANES => read_planes(cursor, exponent, count, out)?,
        _ => return Err(Damaged("a column of values has a form that does not exist")),
    }
    if head & EXCEPTIONS != 0 {
        let mut at = start;
        for _ in 0..cursor.length(count, "a column has more exceptions than samples")? {
            at = at.saturating_add(cursor.length(MAX_COLUMN, "an exception points past its column")?);
            let bits = cursor.u64()?;
            *out.get_mut(at).ok_or(Damaged("an exception points past its column"))? = f64::from_bits(bits);
            at += 1;
        }
    }
    Ok(())
}

/// Reads base and factor, and the first value.
fn read_base(cursor: &mut Cursor<'_>, exponent: u8, count: usize, out: &mut Vec<f64>) -> Decoded<(i64, i64)> {
    let base = cursor.signed()?;
    let factor = cursor.varint()? as i64;
    out.reserve(count);
    out.push(unscale(base, exponent));
    Ok((base, factor))
}

/// Makes values of the numbers of a block.
#[inline]
fn put_values(numbers: &mut [i64], (base, factor): (i64, i64), exponent: u8, out: &mut Vec<f64>) {
    if factor == 1 {
        numbers.iter_mut().for_each(|n| *n = n.wrapping_add(base));
    } else {
        numbers.iter_mut().for_each(|n| *n = n.wrapping_mul(factor).wrapping_add(base));
    }
    unscale_all(numbers, exponent, out);
}

fn read_packed(cursor: &mut Cursor<'_>, exponent: u8, count: usize, out: &mut Vec<f64>) -> Decoded<()> {
    let base = read_base(cursor, exponent, count, out)?;
    let mut carry = Carry::default();
    let mut block = [0i64; BLOCK];
    let mut left = count - 1;
    while left > 0 {
        let numbers = &mut block[..left.min(BLOCK)];
        read_block(cursor, &mut carry, numbers)?;
        put_values(numbers, base, exponent, out);
        left -= numbers.len();
    }
    Ok(())
}

fn read_planes(cursor: &mut Cursor<'_>, exponent: u8, count: usize, out: &mut Vec<f64>) -> Decoded<()> {
    let base = read_base(cursor, exponent, count, out)?;
    let rest = count - 1;
    let planes = usize::from(cursor.u8()?);
    if planes > 8 {
        return Err(Damaged("a column has more planes than a number has bytes"));
    }
    let bytes = cursor.take(planes * rest)?;
    let mut last = 0i64;
    let mut block = [0i64; BLOCK];
    for from in (0..rest).step_by(BLOCK) {
        let numbers = &mut block[..(rest - from).min(BLOCK)];
        let mut differences = [0u64; BLOCK];
        for (nth, plane) in bytes.chunks_exact(rest).enumerate() {
            let plane = plane.get(from..from + numbers.len()).unwrap_or_default();
            for (difference, &byte) in differences.iter_mut().zip(plane) {
                *difference |= u64::from(byte) << (8 * nth);
            }
        }
        for (number, &difference) in numbers.iter_mut().zip(&differences) {
            last = last.wrapping_add(unzigzag(difference));
            *number = last;
        }
        put_values(numbers, base, exponent, out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[f64]) -> usize {
        round_trip_as(values, Target::Compressed);
        round_trip_as(values, Target::Stored)
    }

    fn round_trip_as(values: &[f64], target: Target) -> usize {
        let mut bytes = Vec::new();
        encode(values, target, &mut Scratch::default(), &mut bytes);
        let mut out = vec![1.5];
        let mut cursor = Cursor::new(&bytes);
        decode(&mut cursor, values.len(), &mut out).unwrap();
        assert!(cursor.is_empty());
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&out[1..]), bits(values));
        bytes.len()
    }

    #[test]
    fn the_page_shows_what_is_written() {
        let page = include_str!("../../docs/format/column.md");
        for (nth, target) in [(1, Target::Stored), (2, Target::Compressed)] {
            let hex = page.split("```hex").nth(nth).unwrap().split("```").next().unwrap();
            let mut bytes = Vec::new();
            encode(&[5.0, 7.0, 9.0, 9.5, model::STALE_NAN], target, &mut Scratch::default(), &mut bytes);
            let got: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(got.join(" "), hex.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }

    #[test]
    fn shapes_of_measurements() {
        let of = |f: &dyn Fn(i32) -> f64| (0..240).map(f).collect::<Vec<_>>();
        assert_eq!(round_trip(&of(&|_| 1.0)), 2);
        assert_eq!(round_trip(&of(&|_| f64::NAN)), 9);
        assert!(round_trip(&of(&|i| f64::from(i) * 1e3)) <= 10, "a steady counter");
        assert!(round_trip(&of(&|i| f64::from(i * 7919 % 13) / 100.0)) <= 240 / 2 + 20, "two decimals");
        assert!(round_trip(&of(&|i| 4096.0 * (1000.0 + f64::from(i * 7919 % 16)))) <= 240 / 2 + 20, "pages of memory");
        assert!(round_trip(&of(&|i| 1.7e9 + f64::from(i * 15) + 1e-3 * f64::from(i % 7))) <= 240 * 2, "a clock");
        assert!(round_trip(&of(&|i| f64::from(i).sin())) <= 240 * 8 + 64, "noise");
    }

    #[test]
    fn exceptions_among_numbers() {
        let odd = [f64::NAN, f64::INFINITY, -0.0, model::STALE_NAN, 1.0 / 3.0, f64::from_bits(1)];
        for value in odd {
            for at in [0, 1, 60, 119] {
                let mut values: Vec<f64> = (0..120).map(|i| f64::from(i % 3)).collect();
                values[at] = value;
                assert!(round_trip(&values) <= 60, "{value} at {at}");
            }
            round_trip(&[value]);
            round_trip(&[value, 1.0]);
            round_trip(&[1.0, value, value, 2.0]);
        }
        round_trip(&odd);
    }

    #[test]
    fn extremes() {
        round_trip(&[f64::MAX, f64::MIN, 0.0, 9.2e18, -9.2e18]);
        round_trip(&[-9.223_372_036_854_775e18, 9.223_372_036_854_775e18]);
        round_trip(&[0.0, -9.223_372_036_854_776e18]);
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            6 => ((-100_000i64..100_000), 0u8..6).prop_map(|(v, e)| v as f64 / 10f64.powi(i32::from(e))),
            1 => any::<u64>().prop_map(f64::from_bits),
            1 => Just(model::STALE_NAN),
        ]
    }

    proptest! {
        #[test]
        fn any_values(values in prop::collection::vec(value(), 1..400)) {
            round_trip(&values);
        }

        #[test]
        fn scaled_integers(values in prop::collection::vec(-1_000_000i64..1_000_000, 1..400), factor in 1i64..10_000, digits in 0u8..8) {
            round_trip(&values.iter().map(|v| (v * factor) as f64 / 10f64.powi(i32::from(digits))).collect::<Vec<_>>());
        }

        #[test]
        fn damage_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), count in 0usize..600) {
            let mut out = Vec::new();
            let _ = decode(&mut Cursor::new(&bytes), count, &mut out);
        }
    }
}
