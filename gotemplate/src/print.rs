//! Go's `fmt`: how values print, alone and by a format.

mod format;
mod verbs;

use crate::value::Value;

pub(crate) use format::sprintf;

/// Appends `value` as an action prints it.
pub(crate) fn write_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        // What nearly every action prints.
        Value::Str(text) => out.extend_from_slice(text),
        Value::Missing => out.extend_from_slice(b"<no value>"),
        Value::Int(n) | Value::Int64(n) => model::number::write_i64(out, *n),
        value => verbs::plain(out, value),
    }
}

/// `value` as `%v` prints it.
pub(crate) fn display(value: &Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::Missing => out.extend_from_slice(b"<nil>"),
        value => write_value(&mut out, value),
    }
    out
}

/// `value` by a verb without flags.
pub(crate) fn by_verb(value: &Value<'_>, verb: char) -> Vec<u8> {
    let mut out = Vec::new();
    verbs::by_verb(&mut out, value, verb);
    out
}

/// `fmt.Sprint`: spaces between operands when neither is a string.
pub(crate) fn sprint(values: &[Value<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut after_string = true;
    for value in values {
        let string = matches!(value, Value::Str(_));
        if !string && !after_string {
            out.push(b' ');
        }
        verbs::plain(&mut out, value);
        after_string = string;
    }
    out
}

/// `fmt.Sprintln`: spaces between all operands, a newline at the end.
pub(crate) fn sprintln(values: &[Value<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        verbs::plain(&mut out, value);
    }
    out.push(b'\n');
    out
}
