//! Numbers as people read them in messages.

use model::number::{FloatFormat, float_text};

/// As Go's `%v`: without an exponent between 1e-4 and 1e21.
pub fn plain_number(value: f64) -> String {
    let magnitude = value.abs();
    let plain = magnitude == 0.0 || (1e-4..1e21).contains(&magnitude) || !value.is_finite();
    float_text(value, if plain { FloatFormat::Fixed } else { FloatFormat::Exponent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_go_prints_them() {
        let cases = [
            (0.0, "0"),
            (1.5, "1.5"),
            (-1_234_567.0, "-1234567"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, want) in cases {
            assert_eq!(plain_number(value), want);
        }
    }
}
