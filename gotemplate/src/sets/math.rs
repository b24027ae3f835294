//! Arithmetic on anything that can be read as a number, as sprig has it.

use super::args::{int, ok};
use super::cast::{to_float, to_int};
use super::decimal::{Decimal, DecimalError};
use crate::error::CallError;
use crate::function::{CallResult, Function, Param};
use crate::value::Value;

/// sprig's arithmetic.
pub(super) static MATH: &[Function] = &[
    Function::variadic("add", &[], Param::Any, "The sum of integers.", |_, args| {
        Ok(Value::Int64(args.iter().map(to_int).fold(0, i64::wrapping_add)))
    }),
    Function::new("sub", &[Param::Any, Param::Any], "a - b of integers.", |_, args| {
        Ok(Value::Int64(to_int(&args[0]).wrapping_sub(to_int(&args[1]))))
    }),
    Function::variadic("mul", &[Param::Any], Param::Any, "The product of integers.", |_, args| {
        Ok(Value::Int64(args.iter().map(to_int).fold(1, i64::wrapping_mul)))
    }),
    Function::new("div", &[Param::Any, Param::Any], "a / b of integers, cut towards zero.", |_, args| {
        let divisor = divisor(&args[1])?;
        Ok(Value::Int64(to_int(&args[0]).wrapping_div(divisor)))
    }),
    Function::new("mod", &[Param::Any, Param::Any], "The rest of a / b, with the sign of a.", |_, args| {
        let divisor = divisor(&args[1])?;
        Ok(Value::Int64(to_int(&args[0]).wrapping_rem(divisor)))
    }),
    Function::variadic("addf", &[], Param::Any, "The sum of decimals.", |_, args| decimals(0.0, args, Decimal::add)),
    Function::variadic("subf", &[Param::Any], Param::Any, "The first decimal less all others.", |_, args| {
        decimals(to_float(&args[0]), &args[1..], Decimal::sub)
    }),
    Function::variadic("mulf", &[Param::Any], Param::Any, "The product of decimals.", |_, args| {
        decimals(to_float(&args[0]), &args[1..], Decimal::mul)
    }),
    Function::variadic("divf", &[Param::Any], Param::Any, "The first decimal by all others.", |_, args| {
        decimals(to_float(&args[0]), &args[1..], Decimal::div)
    }),
    Function::variadic("max", &[Param::Any], Param::Any, "The largest integer.", |_, args| {
        Ok(Value::Int64(args.iter().map(to_int).max().unwrap_or(0)))
    }),
    Function::variadic("min", &[Param::Any], Param::Any, "The smallest integer.", |_, args| {
        Ok(Value::Int64(args.iter().map(to_int).min().unwrap_or(0)))
    }),
    Function::variadic("maxf", &[Param::Any], Param::Any, "The largest number; NaN if one is.", |_, args| {
        ok(args.iter().map(to_float).reduce(|a, b| extreme(a, b, true)).unwrap_or(0.0))
    }),
    Function::variadic("minf", &[Param::Any], Param::Any, "The smallest number; NaN if one is.", |_, args| {
        ok(args.iter().map(to_float).reduce(|a, b| extreme(a, b, false)).unwrap_or(0.0))
    }),
    Function::new("ceil", &[Param::Any], "The next whole number up.", |_, args| ok(to_float(&args[0]).ceil())),
    Function::new("floor", &[Param::Any], "The next whole number down.", |_, args| ok(to_float(&args[0]).floor())),
    Function::variadic(
        "round",
        &[Param::Any, Param::Int],
        Param::Float,
        "A number with so many digits after the point, up from a half or the third argument on.",
        |_, args| ok(round(to_float(&args[0]), int(args, 1)?, args.get(2).map_or(0.5, to_float))),
    ),
    Function::new("int", &[Param::Any], "As an int; 0 if it is no number.", |_, args| Ok(Value::Int(to_int(&args[0])))),
    Function::new("float64", &[Param::Any], "As a float64; 0 if it is no number.", |_, args| ok(to_float(&args[0]))),
];

fn divisor(value: &Value<'_>) -> Result<i64, CallError> {
    match to_int(value) {
        0 => Err(CallError::new("runtime error: integer divide by zero")),
        divisor => Ok(divisor),
    }
}

fn decimals<'d>(
    first: f64,
    rest: &[Value<'d>],
    combine: fn(&Decimal, &Decimal) -> Result<Decimal, DecimalError>,
) -> CallResult<'d> {
    let result = rest.iter().try_fold(Decimal::from_float(first).map_err(CallError::new)?, |total, value| {
        combine(&total, &Decimal::from_float(to_float(value))?)
    });
    match result {
        Ok(total) => ok(total.to_float()),
        Err(error) => Err(CallError::new(error)),
    }
}

/// Go's `math.Max` and `math.Min`: NaN wins, except against the infinity looked for.
fn extreme(a: f64, b: f64, largest: bool) -> f64 {
    let limit = if largest { f64::INFINITY } else { f64::NEG_INFINITY };
    if a == limit || b == limit {
        limit
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        // Of two zeros the positive one is larger.
        if a.is_sign_negative() == largest { b } else { a }
    } else if largest {
        a.max(b)
    } else {
        a.min(b)
    }
}

/// sprig's `round`: up if the fraction of the scaled number reaches `on`.
fn round(number: f64, places: i64, on: f64) -> f64 {
    let scale = 10f64.powf(places as f64);
    let scaled = scale * number;
    let fraction = scaled.fract();
    (if fraction >= on { scaled.ceil() } else { scaled.floor() }) / scale
}
