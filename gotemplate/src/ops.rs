//! Comparison, indexing, slicing, length: the operators a template has as functions.

use crate::error::CallError;
use crate::function::CallResult;
use crate::value::{List, ObjectKind, Text, Value};

/// What comparisons tell apart.
#[derive(Clone, Copy, PartialEq)]
enum Basic<'v> {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Str(&'v [u8]),
}

fn basic<'v>(value: &'v Value<'_>) -> Option<Basic<'v>> {
    Some(match value {
        Value::Bool(value) => Basic::Bool(*value),
        Value::Int(n) | Value::Int64(n) => Basic::Int(*n),
        Value::Duration(duration) => Basic::Int(duration.0),
        Value::Uint64(n) => Basic::Uint(*n),
        Value::Byte(n) => Basic::Uint(u64::from(*n)),
        Value::Float(n) => Basic::Float(*n),
        Value::Str(text) => Basic::Str(text),
        _ => return None,
    })
}

fn is_nil(value: &Value<'_>) -> bool {
    matches!(value, Value::Missing | Value::Nil)
}

/// Go's kind of a value that is not basic.
fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::List(_) => "slice",
        Value::Map(_) => "map",
        Value::Object(object) if object.kind() == ObjectKind::Map => "map",
        Value::Function(_) => "func",
        _ => "struct",
    }
}

fn incompatible(a: &Value<'_>, b: &Value<'_>) -> CallError {
    CallError::Failed(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name()))
}

/// Whether `first` equals any of `rest`.
pub(crate) fn eq(first: &Value<'_>, rest: &[Value<'_>]) -> Result<bool, CallError> {
    if rest.is_empty() {
        return Err(CallError::new("missing argument for comparison"));
    }
    for other in rest {
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal(a: &Value<'_>, b: &Value<'_>) -> Result<bool, CallError> {
    match (basic(a), basic(b)) {
        (Some(Basic::Int(i)), Some(Basic::Uint(u))) | (Some(Basic::Uint(u)), Some(Basic::Int(i))) => {
            Ok(u64::try_from(i) == Ok(u))
        }
        (Some(x), Some(y)) if std::mem::discriminant(&x) == std::mem::discriminant(&y) => Ok(x == y),
        (Some(_), Some(_)) => Err(incompatible(a, b)),
        // Nil equals nil and nothing else.
        _ if is_nil(a) || is_nil(b) => Ok(is_nil(a) && is_nil(b)),
        (None, None) => match (a, b) {
            (Value::Time(x), Value::Time(y)) => Ok(x.timestamp == y.timestamp && x.zone == y.zone),
            _ if kind(a) != kind(b) => {
                let shown =
                    |value: &Value<'_>, verb| String::from_utf8_lossy(&crate::print::by_verb(value, verb)).into_owned();
                let (x, y) = (shown(a, 's'), shown(b, 'v'));
                let message = format!("non-comparable types {x}: {}, {}: {y}", a.type_name(), b.type_name());
                Err(CallError::Failed(message))
            }
            _ => Err(CallError::Failed(format!(
                "non-comparable type {}: {}",
                String::from_utf8_lossy(&crate::print::by_verb(b, 's')),
                b.type_name()
            ))),
        },
        _ => Err(incompatible(a, b)),
    }
}

/// Whether `a` comes before `b`.
pub(crate) fn lt(a: &Value<'_>, b: &Value<'_>) -> Result<bool, CallError> {
    let unfit = || CallError::new("invalid type for comparison");
    let (x, y) = (basic(a).ok_or_else(unfit)?, basic(b).ok_or_else(unfit)?);
    match (x, y) {
        (Basic::Int(x), Basic::Int(y)) => Ok(x < y),
        (Basic::Uint(x), Basic::Uint(y)) => Ok(x < y),
        (Basic::Float(x), Basic::Float(y)) => Ok(x < y),
        (Basic::Str(x), Basic::Str(y)) => Ok(x < y),
        (Basic::Int(x), Basic::Uint(y)) => Ok(u64::try_from(x).map_or(true, |x| x < y)),
        (Basic::Uint(x), Basic::Int(y)) => Ok(u64::try_from(y).is_ok_and(|y| x < y)),
        (Basic::Bool(_), Basic::Bool(_)) => Err(unfit()),
        _ => Err(incompatible(a, b)),
    }
}

/// Whether `a` comes before `b` or equals it.
pub(crate) fn le(a: &Value<'_>, b: &Value<'_>) -> Result<bool, CallError> {
    Ok(lt(a, b)? || equal(a, b)?)
}

/// A position in something of `len` elements.
fn position(index: &Value<'_>, len: usize) -> Result<usize, CallError> {
    let number = match index {
        Value::Int(n) | Value::Int64(n) => *n,
        Value::Duration(duration) => duration.0,
        Value::Byte(n) => i64::from(*n),
        Value::Uint64(n) => *n as i64,
        Value::Missing | Value::Nil => return Err(CallError::new("cannot index slice/array with nil")),
        other => {
            return Err(CallError::Failed(format!("cannot index slice/array with type {}", other.type_name())));
        }
    };
    usize::try_from(number)
        .ok()
        .filter(|at| *at <= len)
        .ok_or_else(|| CallError::Failed(format!("index out of range: {number}")))
}

/// `index x 1 "a"`: `x[1]["a"]`.
pub(crate) fn index<'d>(item: &Value<'d>, indexes: &[Value<'d>]) -> CallResult<'d> {
    let mut item = item.clone();
    if is_nil(&item) {
        return Err(CallError::new("index of untyped nil"));
    }
    for index in indexes {
        item = match &item {
            Value::List(list) => {
                let at = position(index, list.items.len())?;
                list.items.get(at).cloned().ok_or_else(|| CallError::new("reflect: slice index out of range"))?
            }
            Value::Str(text) => {
                let at = position(index, text.len())?;
                let byte = text.get(at).ok_or_else(|| CallError::new("reflect: string index out of range"))?;
                Value::Byte(*byte)
            }
            Value::Map(map) => {
                let key = map_key(index)?;
                map.get(key).cloned().unwrap_or_else(|| map.ty.zero_element())
            }
            Value::Object(object) if object.kind() == ObjectKind::Map => {
                let object: &'d dyn crate::value::Object = *object;
                let key = map_key(index)?;
                let found = std::str::from_utf8(key).ok().and_then(|key| object.field(key));
                found.unwrap_or_else(|| object.ty().zero_element())
            }
            Value::Missing | Value::Nil => return Err(CallError::new("index of nil pointer")),
            other => return Err(CallError::Failed(format!("can't index item of type {}", other.type_name()))),
        };
    }
    Ok(item)
}

fn map_key<'v>(index: &'v Value<'_>) -> Result<&'v [u8], CallError> {
    match index {
        Value::Str(text) => Ok(text),
        Value::Missing | Value::Nil => Err(CallError::new("value is nil; should be of type string")),
        other => Err(CallError::Failed(format!("value has type {}; should be string", other.type_name()))),
    }
}

/// `slice x 1 2`: `x[1:2]`.
pub(crate) fn slice<'d>(item: &Value<'d>, indexes: &[Value<'d>]) -> CallResult<'d> {
    if is_nil(item) {
        return Err(CallError::new("slice of untyped nil"));
    }
    if indexes.len() > 3 {
        return Err(CallError::Failed(format!("too many slice indexes: {}", indexes.len())));
    }
    let len = match item {
        Value::Str(_) if indexes.len() == 3 => return Err(CallError::new("cannot 3-index slice a string")),
        Value::Str(text) => text.len(),
        Value::List(list) => list.items.len(),
        other => return Err(CallError::Failed(format!("can't slice item of type {}", other.type_name()))),
    };
    let mut bounds = [0, len, len];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(index, len)?;
    }
    let [start, end, capacity] = bounds;
    for (low, high) in [(start, end), (end, capacity)] {
        if low > high {
            return Err(CallError::Failed(format!("invalid slice index: {low} > {high}")));
        }
    }
    Ok(match item {
        Value::Str(Text::Borrowed(text)) => Value::Str(Text::Borrowed(&text[start..end])),
        Value::Str(text) => Value::text(text[start..end].to_vec()),
        Value::List(list) => Value::List(List::new(list.ty, list.items[start..end].to_vec())),
        _ => Value::Nil,
    })
}

/// `len x`.
pub(crate) fn len(item: &Value<'_>) -> Result<i64, CallError> {
    let len = match item {
        Value::Str(text) => text.len(),
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.entries().len(),
        Value::Object(object) if object.kind() == ObjectKind::Map => object.len(),
        Value::Nil => return Err(CallError::new("len of nil pointer")),
        Value::Missing => return Err(CallError::new("reflect: call of reflect.Value.Type on zero Value")),
        other => return Err(CallError::Failed(format!("len of type {}", other.type_name()))),
    };
    Ok(i64::try_from(len).unwrap_or(i64::MAX))
}
