//! Functions of single numbers, and what an instant function does to a column.

use crate::vector::{Column, Scalars, is_absent};

/// Go's `math.Max`: NaN when either is.
pub(crate) fn go_max(a: f64, b: f64) -> f64 {
    if a.is_infinite() && a > 0.0 || b.is_infinite() && b > 0.0 {
        return f64::INFINITY;
    }
    if a.is_nan() || b.is_nan() {
        return f64::NAN;
    }
    if a == 0.0 && b == 0.0 {
        return if a.is_sign_negative() { b } else { a };
    }
    if a > b { a } else { b }
}

/// Go's `math.Min`: NaN when either is.
pub(crate) fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}

/// A function of one number.
pub(crate) fn float_function(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "rad" => |v| v * std::f64::consts::PI / 180.0,
        "deg" => |v| v * 180.0 / std::f64::consts::PI,
        "sgn" => |v| match v {
            v if v < 0.0 => -1.0,
            v if v > 0.0 => 1.0,
            v => v,
        },
        _ => return None,
    })
}

/// Applies a function to the floats of a column; histograms go. False when nothing is left.
pub(crate) fn map(column: &mut Column, f: impl Fn(f64) -> f64) -> bool {
    column.histograms.clear();
    let mut any = false;
    for value in column.floats.iter_mut() {
        if !is_absent(*value) {
            *value = f(*value);
            any = true;
        }
    }
    any
}

/// Rounds to multiples, ties up.
pub(crate) fn round(column: &mut Column, to: &Scalars) -> bool {
    column.histograms.clear();
    let mut any = false;
    for (step, value) in column.floats.iter_mut().enumerate().filter(|(_, v)| !is_absent(**v)) {
        // Through the inverse: fewer rounding errors for the usual 0.1 and its like.
        let inverse = 1.0 / to.get(step);
        *value = (*value * inverse + 0.5).floor() / inverse;
        any = true;
    }
    any
}

/// Limits values to a range; where the range is empty there is nothing.
pub(crate) fn clamp(column: &mut Column, min: &Scalars, max: &Scalars) -> bool {
    column.histograms.clear();
    let mut any = false;
    for step in 0..column.len() {
        let (min, max) = (min.get(step), max.get(step));
        if max < min {
            column.remove(step);
            continue;
        }
        let value = &mut column.floats[step];
        if !is_absent(*value) {
            *value = go_max(min, go_min(max, *value));
            any = true;
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_follow_go() {
        assert!(go_max(f64::NAN, 1.0).is_nan() && go_min(1.0, f64::NAN).is_nan());
        assert_eq!(go_max(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert_eq!(go_min(2.0, 1.0), 1.0);
        assert!(go_min(0.0, -0.0).is_sign_negative() && go_max(-0.0, 0.0).is_sign_positive());
    }
}
