//! Floats as scaled integers: most measurements are written with few decimals, and integers compress.
//!
//! A value is `mantissa / 10^exponent`, where `exponent` is one of `0..=MAX_EXPONENT`, or it is its own bit
//! pattern ([`BITS`]). A scaling is only ever used when dividing gives back the same 64 bits, so no value changes: NaN
//! payloads, infinities and -0.0 have no decimal form and go as bits. With `|mantissa| <= 2^53` both operands of the
//! division are exact, hence the quotient is the float nearest to the decimal: the one that parsing the text gave.

/// Largest number of decimals looked for.
pub(crate) const MAX_EXPONENT: u8 = 18;

/// In place of an exponent: the mantissa is the value's bit pattern.
pub(crate) const BITS: u8 = 63;

/// In place of an exponent: the value is the mantissa times 1024. Sizes of memory and files are.
pub(crate) const KIB: u8 = 32;

const POWERS: [f64; MAX_EXPONENT as usize + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

/// Adding and subtracting this rounds a float below 2^51 to an integer (it is 1.5 * 2^52).
const ROUND: f64 = 6_755_399_441_055_744.0;

/// Largest mantissa used with decimals, 2^51: what [`ROUND`] can round.
const MAX_MANTISSA: f64 = 2_251_799_813_685_248.0;

/// True for what a decoder may find in the place of an exponent.
pub(crate) fn is_exponent(exponent: u8) -> bool {
    exponent <= MAX_EXPONENT || exponent == KIB || exponent == BITS
}

/// The mantissa of `value` at `exponent`, `None` when it has no exact one.
#[inline]
pub(crate) fn scale(value: f64, exponent: u8) -> Option<i64> {
    let mantissa = match exponent {
        0 => value as i64,
        BITS => return Some(value.to_bits() as i64),
        KIB => (value as i64) >> 10,
        _ => {
            let scaled = value * POWERS.get(usize::from(exponent))?;
            if scaled.abs() > MAX_MANTISSA {
                return None;
            }
            ((scaled + ROUND) - ROUND) as i64
        }
    };
    (unscale(mantissa, exponent).to_bits() == value.to_bits()).then_some(mantissa)
}

/// The value of a mantissa. An exponent out of range counts as [`BITS`]; decoders check it before.
#[inline]
pub(crate) fn unscale(mantissa: i64, exponent: u8) -> f64 {
    match exponent {
        0 => mantissa as f64,
        KIB => mantissa as f64 * 1024.0,
        _ => match POWERS.get(usize::from(exponent)) {
            Some(power) => mantissa as f64 / power,
            None => f64::from_bits(mantissa as u64),
        },
    }
}

/// As [`natural`] from 0 on, but whole multiples of 1024 of some size are counted as such.
pub(crate) fn coarsest(value: f64) -> (u8, i64) {
    match natural(value, 0) {
        (0, mantissa) if mantissa & 1023 == 0 && mantissa.unsigned_abs() >= 1 << 16 => (KIB, mantissa >> 10),
        other => other,
    }
}

/// The smallest exponent at or above `from` that holds `value`, else the smallest of all, else [`BITS`].
pub(crate) fn natural(value: f64, from: u8) -> (u8, i64) {
    if value.is_finite() {
        // A special exponent is above all others: the search then begins at 0.
        for exponent in (from..=MAX_EXPONENT).chain(0..from.min(MAX_EXPONENT + 1)) {
            if let Some(mantissa) = scale(value, exponent) {
                return (exponent, mantissa);
            }
        }
    }
    (BITS, value.to_bits() as i64)
}

/// Turns mantissas into values, appending them.
#[inline]
pub(crate) fn unscale_all(mantissas: &[i64], exponent: u8, out: &mut Vec<f64>) {
    match exponent {
        0 => out.extend(mantissas.iter().map(|&m| m as f64)),
        KIB => out.extend(mantissas.iter().map(|&m| m as f64 * 1024.0)),
        _ => match POWERS.get(usize::from(exponent)) {
            Some(power) => out.extend(mantissas.iter().map(|&m| m as f64 / power)),
            None => out.extend(mantissas.iter().map(|&m| f64::from_bits(m as u64))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_the_number_of_decimals() {
        for (value, want) in [
            (0.0, (0, 0)),
            (5.0, (0, 5)),
            (-17.0, (0, -17)),
            (0.1, (1, 1)),
            (12.34, (2, 1_234)),
            (-0.005, (3, -5)),
            (1e-9, (9, 1)),
            (9_007_199_254_740_993.0, (0, 9_007_199_254_740_992)),
            (1.797_5e9, (0, 1_797_500_000)),
            (1e18, (0, 1_000_000_000_000_000_000)),
        ] {
            assert_eq!(natural(value, 0), want, "{value}");
        }
        for value in
            [-0.0, f64::NAN, f64::INFINITY, 0.1 + 0.2, f64::MIN_POSITIVE, f64::MAX, model::STALE_NAN, 1.0 / 3.0]
        {
            assert_eq!(natural(value, 0), (BITS, value.to_bits() as i64), "{value}");
        }
    }

    #[test]
    fn sizes_count_in_kib() {
        assert_eq!(coarsest(4_096_000.0), (KIB, 4_000));
        assert_eq!(coarsest(1_000_000.0), (0, 1_000_000));
        assert_eq!(coarsest(1024.0), (0, 1024));
        assert_eq!(scale(1025.0, KIB), None);
        assert_eq!(scale(-0.0, KIB), None);
        for value in [0.0, -2048.0, 1.5e18] {
            assert_eq!(scale(value, KIB).map(|m| unscale(m, KIB)), Some(value));
        }
    }

    #[test]
    fn a_scale_that_grew_shrinks_only_where_it_must() {
        assert_eq!(natural(5.0, 2), (2, 500));
        assert_eq!(natural(1e17, 9), (0, 100_000_000_000_000_000));
        assert_eq!(natural(5.0, BITS), (0, 5));
    }

    proptest! {
        #[test]
        fn scaling_never_changes_a_bit(bits: u64, exponent in 0..=MAX_EXPONENT, decimal in -1_000_000_000i64..1_000_000_000, digits in 0..10i32) {
            for value in [f64::from_bits(bits), decimal as f64 / 10f64.powi(digits)] {
                if let Some(mantissa) = scale(value, exponent) {
                    prop_assert_eq!(unscale(mantissa, exponent).to_bits(), value.to_bits());
                }
                let (exponent, mantissa) = natural(value, exponent);
                prop_assert_eq!(unscale(mantissa, exponent).to_bits(), value.to_bits());
            }
        }

        #[test]
        fn decimals_are_found(decimal in -1_000_000_000i64..1_000_000_000, digits in 0u8..10) {
            let value = decimal as f64 / POWERS[usize::from(digits)];
            prop_assert!(natural(value, 0).0 <= digits);
        }
    }
}
