//! Taking typed arguments apart. The evaluator has checked their types already; a mismatch is an error all the same.

use std::borrow::Cow;
use std::rc::Rc;

use crate::error::CallError;
use crate::function::CallResult;
use crate::gotime::Time;
use crate::value::{List, Type, Value};

fn unfit(index: usize, want: &str) -> CallError {
    CallError::Failed(format!("argument {} is not a {want}", index + 1))
}

/// The bytes of a string argument.
pub(super) fn bytes<'v>(args: &'v [Value<'_>], index: usize) -> Result<&'v [u8], CallError> {
    match args.get(index) {
        Some(Value::Str(text)) => Ok(text),
        _ => Err(unfit(index, "string")),
    }
}

/// A string argument as UTF-8, stray bytes replaced.
pub(super) fn text<'v>(args: &'v [Value<'_>], index: usize) -> Result<Cow<'v, str>, CallError> {
    bytes(args, index).map(String::from_utf8_lossy)
}

/// An `int` or `int64` argument.
pub(super) fn int(args: &[Value<'_>], index: usize) -> Result<i64, CallError> {
    match args.get(index) {
        Some(Value::Int(n) | Value::Int64(n)) => Ok(*n),
        _ => Err(unfit(index, "number")),
    }
}

/// A `time.Time` argument.
pub(super) fn time(args: &[Value<'_>], index: usize) -> Result<Rc<Time>, CallError> {
    match args.get(index) {
        Some(Value::Time(time)) => Ok(Rc::clone(time)),
        _ => Err(unfit(index, "time")),
    }
}

/// A list argument; nil is the empty list.
pub(super) fn list<'d>(args: &[Value<'d>], index: usize) -> Result<List<'d>, CallError> {
    match args.get(index) {
        Some(Value::List(list)) => Ok(list.clone()),
        Some(Value::Nil | Value::Missing) => Ok(List::new(Type::ANY_LIST, Vec::new())),
        _ => Err(unfit(index, "list")),
    }
}

/// The texts of a list of strings.
pub(super) fn strings<'v>(list: &'v List<'_>) -> Vec<Cow<'v, [u8]>> {
    list.items
        .iter()
        .map(|item| match item {
            Value::Str(text) => Cow::Borrowed(&**text),
            other => Cow::Owned(crate::print::display(other)),
        })
        .collect()
}

/// What sprig's and gomplate's functions make a string of anything.
pub(super) fn shown(value: &Value<'_>) -> String {
    String::from_utf8_lossy(&crate::print::display(value)).into_owned()
}

/// A result that is text, which stays bytes.
pub(super) fn ok<'d>(value: impl Into<Value<'d>>) -> CallResult<'d> {
    Ok(value.into())
}
