//! Decimal arithmetic for `addf`, `subf`, `mulf`, `divf`, which do not round in binary: 0.1 + 0.2 is 0.3.
//!
//! A number is a sign, a magnitude in limbs of nine decimal digits, and a power of ten. Sums and products are exact;
//! quotients have 16 digits after the point, rounded half away from zero. Operands come from the shortest digits of a
//! double, results become the nearest double. [`MAX_LIMBS`] bounds what a long chain of products can grow to.

use model::number::{FloatFormat, float_text, parse_float};

const BASE: u64 = 1_000_000_000;
/// About 9,000 digits.
const MAX_LIMBS: usize = 1_000;
/// Digits after the point of a quotient.
const DIVISION_DIGITS: i64 = 16;

/// Limbs, least significant first, without leading zeros.
type Limbs = Vec<u32>;

/// `± magnitude × 10^exponent`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decimal {
    negative: bool,
    magnitude: Limbs,
    exponent: i64,
}

/// Why an operation failed; the texts are those of the package that sprig uses.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum DecimalError {
    #[error("Cannot create a Decimal from {0}")]
    NotFinite(String),
    #[error("decimal division by 0")]
    DivisionByZero,
    #[error("decimal number too long")]
    TooLong,
}

fn trim(mut limbs: Limbs) -> Limbs {
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
    limbs
}

fn compare(a: &Limbs, b: &Limbs) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.iter().rev().cmp(b.iter().rev()))
}

fn add(a: &Limbs, b: &Limbs) -> Limbs {
    let mut out = Vec::with_capacity(a.len().max(b.len()) + 1);
    let mut carry = 0u64;
    for at in 0..a.len().max(b.len()) {
        let sum = u64::from(a.get(at).copied().unwrap_or(0)) + u64::from(b.get(at).copied().unwrap_or(0)) + carry;
        out.push((sum % BASE) as u32);
        carry = sum / BASE;
    }
    out.push(carry as u32);
    trim(out)
}

/// `a - b` for `a >= b`.
fn subtract(a: &Limbs, b: &Limbs) -> Limbs {
    let mut out = Vec::with_capacity(a.len());
    let mut borrow = 0u64;
    for (at, &limb) in a.iter().enumerate() {
        let take = u64::from(b.get(at).copied().unwrap_or(0)) + borrow;
        let limb = u64::from(limb);
        borrow = u64::from(limb < take);
        out.push((limb + borrow * BASE - take) as u32);
    }
    trim(out)
}

fn multiply(a: &Limbs, b: &Limbs) -> Limbs {
    let mut out = vec![0u32; a.len() + b.len() + 1];
    for (i, &x) in a.iter().enumerate() {
        let mut carry = 0u64;
        for (j, &y) in b.iter().enumerate() {
            let sum = u64::from(x) * u64::from(y) + u64::from(out[i + j]) + carry;
            out[i + j] = (sum % BASE) as u32;
            carry = sum / BASE;
        }
        out[i + b.len()] = carry as u32;
    }
    trim(out)
}

fn times_power_of_ten(limbs: &Limbs, power: i64) -> Result<Limbs, DecimalError> {
    let power = usize::try_from(power).map_err(|_| DecimalError::TooLong)?;
    if limbs.is_empty() {
        return Ok(Vec::new());
    }
    if power / 9 + limbs.len() > MAX_LIMBS {
        return Err(DecimalError::TooLong);
    }
    let mut out = vec![0u32; power / 9];
    out.extend(multiply(limbs, &vec![10u32.pow((power % 9) as u32)]));
    Ok(out)
}

/// The number, if it has at most 36 digits.
fn short(limbs: &Limbs) -> Option<u128> {
    let value = |limbs: &Limbs| limbs.iter().rev().fold(0, |value, limb| value * u128::from(BASE) + u128::from(*limb));
    (limbs.len() <= 4).then(|| value(limbs))
}

fn limbs(mut value: u128) -> Limbs {
    let mut out = Vec::with_capacity(5);
    while value > 0 {
        out.push((value % u128::from(BASE)) as u32);
        value /= u128::from(BASE);
    }
    out
}

/// Quotient and remainder. Beyond 36 digits each limb of the quotient is found by bisection: such numbers are rare.
fn divide(a: &Limbs, b: &Limbs) -> (Limbs, Limbs) {
    if let (Some(a), Some(b)) = (short(a), short(b)) {
        return (limbs(a / b), limbs(a % b));
    }
    let mut quotient = vec![0u32; a.len()];
    let mut rest: Limbs = Vec::new();
    for at in (0..a.len()).rev() {
        rest.insert(0, a[at]);
        rest = trim(rest);
        let (mut low, mut high) = (0u64, BASE - 1);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if compare(&multiply(b, &vec![middle as u32]), &rest).is_gt() {
                high = middle - 1;
            } else {
                low = middle;
            }
        }
        rest = subtract(&rest, &multiply(b, &vec![low as u32]));
        quotient[at] = low as u32;
    }
    (trim(quotient), rest)
}

impl Decimal {
    /// The shortest decimal that reads back as `number`.
    pub(super) fn from_float(number: f64) -> Result<Self, DecimalError> {
        let text = float_text(number, FloatFormat::Exponent);
        if !number.is_finite() {
            return Err(DecimalError::NotFinite(text));
        }
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let negative = mantissa.starts_with('-');
        let (whole, fraction) =
            mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa.trim_start_matches('-'), ""));
        let digits = format!("{whole}{fraction}");
        let number: u64 = digits.parse().unwrap_or(0);
        let magnitude =
            trim(vec![(number % BASE) as u32, (number / BASE % BASE) as u32, (number / BASE / BASE) as u32]);
        let exponent = exponent.parse::<i64>().unwrap_or(0) - i64::try_from(fraction.len()).unwrap_or(0);
        Ok(Self { negative, magnitude, exponent })
    }

    /// The nearest double.
    pub(super) fn to_float(&self) -> f64 {
        let Some((first, rest)) = self.magnitude.split_last() else { return 0.0 };
        let mut text = format!("{}{first}", if self.negative { "-" } else { "" });
        for limb in rest.iter().rev() {
            text.push_str(&format!("{limb:09}"));
        }
        text.push_str(&format!("e{}", self.exponent));
        parse_float(&text).unwrap_or(if self.negative { f64::NEG_INFINITY } else { f64::INFINITY })
    }

    /// Both magnitudes brought to the smaller of the exponents.
    fn aligned(&self, other: &Self) -> Result<(Limbs, Limbs, i64), DecimalError> {
        let exponent = self.exponent.min(other.exponent);
        let a = times_power_of_ten(&self.magnitude, self.exponent - exponent)?;
        let b = times_power_of_ten(&other.magnitude, other.exponent - exponent)?;
        Ok((a, b, exponent))
    }

    pub(super) fn add(&self, other: &Self) -> Result<Self, DecimalError> {
        let (a, b, exponent) = self.aligned(other)?;
        let (negative, magnitude) = if self.negative == other.negative {
            (self.negative, add(&a, &b))
        } else if compare(&a, &b).is_lt() {
            (other.negative, subtract(&b, &a))
        } else {
            (self.negative, subtract(&a, &b))
        };
        Ok(Self { negative, magnitude, exponent })
    }

    pub(super) fn sub(&self, other: &Self) -> Result<Self, DecimalError> {
        self.add(&Self { negative: !other.negative, ..other.clone() })
    }

    pub(super) fn mul(&self, other: &Self) -> Result<Self, DecimalError> {
        if self.magnitude.len() + other.magnitude.len() > MAX_LIMBS {
            return Err(DecimalError::TooLong);
        }
        Ok(Self {
            negative: self.negative != other.negative,
            magnitude: multiply(&self.magnitude, &other.magnitude),
            exponent: self.exponent + other.exponent,
        })
    }

    pub(super) fn div(&self, other: &Self) -> Result<Self, DecimalError> {
        if other.magnitude.is_empty() {
            return Err(DecimalError::DivisionByZero);
        }
        // quotient × 10^-16 = a × 10^ea / (b × 10^eb)
        let shift = self.exponent - other.exponent + DIVISION_DIGITS;
        let (a, b) = if shift < 0 {
            (self.magnitude.clone(), times_power_of_ten(&other.magnitude, -shift)?)
        } else {
            (times_power_of_ten(&self.magnitude, shift)?, other.magnitude.clone())
        };
        let (mut quotient, rest) = divide(&a, &b);
        if !compare(&add(&rest, &rest), &b).is_lt() {
            quotient = add(&quotient, &vec![1]);
        }
        Ok(Self { negative: self.negative != other.negative, magnitude: quotient, exponent: -DIVISION_DIGITS })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_digits(digits: &str) -> Limbs {
        let digits = digits.as_bytes();
        let parse = |chunk: &[u8]| std::str::from_utf8(chunk).unwrap().parse::<u32>().unwrap();
        trim(digits.rchunks(9).map(parse).collect())
    }

    proptest::proptest! {
        /// Both ways of dividing agree with multiplication.
        #[test]
        fn division_is_the_inverse(a in "[0-9]{1,90}", b in "[1-9][0-9]{0,50}") {
            let (a, b) = (from_digits(&a), from_digits(&b));
            let (quotient, rest) = divide(&a, &b);
            proptest::prop_assert!(compare(&rest, &b).is_lt());
            proptest::prop_assert_eq!(add(&multiply(&quotient, &b), &rest), a);
        }

        #[test]
        fn a_decimal_keeps_its_double(bits: u64) {
            let number = f64::from_bits(bits);
            proptest::prop_assume!(number.is_finite() && number != 0.0);
            proptest::prop_assert_eq!(Decimal::from_float(number).unwrap().to_float(), number);
        }

        #[test]
        fn addition_undoes_subtraction(a in -1e12f64..1e12, b in -1e12f64..1e12) {
            let (a, b) = (Decimal::from_float(a).unwrap(), Decimal::from_float(b).unwrap());
            let back = a.sub(&b).unwrap().add(&b).unwrap();
            proptest::prop_assert_eq!(back.to_float(), a.to_float());
        }
    }

    #[test]
    fn extremes() {
        let of = |number| Decimal::from_float(number).unwrap();
        let zero = of(0.0);
        assert_eq!(of(1.0).div(&zero), Err(DecimalError::DivisionByZero));
        assert_eq!(Decimal::from_float(f64::NAN), Err(DecimalError::NotFinite("NaN".to_owned())));
        assert_eq!(of(0.1).add(&of(0.2)).unwrap().to_float(), 0.3);
        assert_eq!(of(1e308).mul(&of(1e308)).unwrap().to_float(), f64::INFINITY);
        assert_eq!(of(1e300).add(&of(-1e-300)).unwrap().to_float(), 1e300);
        assert_eq!(of(2.0).div(&of(3.0)).unwrap().to_float(), 0.666_666_666_666_666_7);
        assert_eq!(of(-2.0).div(&of(3.0)).unwrap().to_float(), -0.666_666_666_666_666_7);
        // A chain of products ends with an error, not with all memory.
        let mut product = of(1.234_567_890_123_456_7);
        let error = loop {
            match product.mul(&product) {
                Ok(next) => product = next,
                Err(error) => break error,
            }
        };
        assert_eq!(error, DecimalError::TooLong);
        assert_eq!(Decimal { exponent: i64::from(i32::MAX), ..of(1.0) }.add(&of(1.0)), Err(DecimalError::TooLong));
    }
}
