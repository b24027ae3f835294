//! Numeric constants, which have no type until they are used.

use model::number::{parse_float, parse_int, parse_uint};

use crate::ast::Number;
use crate::lex::{Kind, Token};
use crate::unquote::{CharError, unquote_char};

const TWO_TO_63: f64 = (1u64 << 63) as f64;

/// Reads a number or character constant. The error is the message.
pub(super) fn constant(token: &Token) -> Result<Number, String> {
    let text = token.text.as_str();
    let quoted = || model::number::quote(text);
    let mut number = Number { text: text.into(), int: None, uint: None, float: None };
    if token.kind == Kind::CharConstant {
        let code = unquote_char(text).map_err(|error| match error {
            CharError::Syntax => "invalid syntax".to_owned(),
            CharError::Malformed => format!("malformed character constant: {text}"),
        })?;
        number.int = Some(code);
        number.uint = u64::try_from(code).ok();
        number.float = Some(code as f64);
        return Ok(number);
    }
    if token.kind == Kind::Complex || text.ends_with('i') {
        return Err(format!("complex constants are not supported: {}", quoted()));
    }
    number.uint = parse_uint(text, 0, 64).ok();
    number.int = parse_int(text, 0, 64).ok();
    if number.int == Some(0) {
        number.uint = Some(0);
    }
    number.float = match (number.int, number.uint) {
        (Some(int), _) => Some(int as f64),
        (None, Some(uint)) => Some(uint as f64),
        (None, None) => None,
    };
    if number.float.is_some() {
        return Ok(number);
    }
    let float = parse_float(text).map_err(|_| format!("illegal number syntax: {}", quoted()))?;
    if !text.contains(['.', 'e', 'E', 'p', 'P']) {
        return Err(format!("integer overflow: {}", quoted()));
    }
    number.float = Some(float);
    // A float without a fraction serves as an integer too.
    if (-TWO_TO_63..TWO_TO_63).contains(&float) && float.fract() == 0.0 {
        number.int = Some(float as i64);
    }
    if (0.0..2.0 * TWO_TO_63).contains(&float) && float.fract() == 0.0 {
        number.uint = Some(float as u64);
    }
    Ok(number)
}
