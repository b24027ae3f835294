//! Evaluation of expressions.

use std::collections::BTreeMap;

use super::value::number_text;
use super::{Body, Diag, Expr, ExprKind, Result, Value, stdlib};

/// Answers references.
pub(crate) trait Scope {
    /// The value that the beginning of `path` names, and how many parts of the path that is.
    fn lookup(&self, path: &[&str]) -> Option<(Value, usize)>;
}

/// Evaluates an expression.
///
/// # Errors
/// Unknown names, wrong types, failing functions: with the place.
pub(crate) fn eval(expr: &Expr, scope: &dyn Scope) -> Result<Value> {
    match &expr.kind {
        ExprKind::Literal(value) => Ok(value.clone()),
        ExprKind::Array(items) => Ok(Value::array(items.iter().map(|item| eval(item, scope)).collect::<Result<_>>()?)),
        ExprKind::Object(fields) => {
            let mut out = BTreeMap::new();
            for (name, value) in fields {
                out.insert(name.clone(), eval(value, scope)?);
            }
            Ok(Value::Object(out.into()))
        }
        ExprKind::Name(_) | ExprKind::Field(..) => reference(expr, scope),
        ExprKind::Index(inner, index) => {
            let (value, key) = (eval(inner, scope)?, eval(index, scope)?);
            match (&value, &key) {
                (Value::Array(items), Value::Number(n)) => {
                    let item = (*n >= 0.0 && n.fract() == 0.0).then(|| items.get(*n as usize)).flatten();
                    item.cloned().ok_or_else(|| {
                        Diag::new(
                            &index.pos,
                            format!("index {} out of range of {} items", number_text(*n), items.len()),
                        )
                    })
                }
                (Value::Object(fields), Value::Str(name)) => Ok(fields.get(&**name).cloned().unwrap_or_default()),
                _ => {
                    let what = format!("cannot index {} with {}", value.type_name(), key.type_name());
                    Err(Diag::new(&index.pos, what))
                }
            }
        }
        ExprKind::Call(function, arguments) => {
            let Some(path) = function.path() else {
                return Err(Diag::new(&expr.pos, "only functions of the standard library can be called"));
            };
            let name = path.join(".");
            // `coalesce` takes the first that is there, so a missing reference among the rest is no error.
            let arguments = arguments.iter().map(|argument| eval(argument, scope)).collect::<Result<Vec<_>>>()?;
            stdlib::call(&name, &arguments).map_err(|message| Diag::new(&expr.pos, message))
        }
        ExprKind::Unary(operator, inner) => {
            let value = eval(inner, scope)?;
            match (operator, &value) {
                ('-', Value::Number(n)) => Ok(Value::Number(-n)),
                ('!', Value::Bool(b)) => Ok(Value::Bool(!b)),
                _ => Err(Diag::new(&expr.pos, format!("operator {operator} does not fit {}", value.type_name()))),
            }
        }
        ExprKind::Binary(operator, left, right) => binary(expr, operator, left, right, scope),
    }
}

/// `a.b.c`: what the scope knows of it, then fields of the value.
fn reference(expr: &Expr, scope: &dyn Scope) -> Result<Value> {
    let Some(path) = expr.path() else {
        // A field of something that is no name, such as a call's result.
        let ExprKind::Field(inner, name) = &expr.kind else { return Ok(Value::Null) };
        return field(&eval(inner, scope)?, name, expr);
    };
    let (mut value, used) = match scope.lookup(&path).or_else(|| stdlib::constant(&path)) {
        Some(found) => found,
        None => {
            let name = path.join(".");
            return Err(Diag::new(&expr.pos, format!("component or name {name:?} does not exist")));
        }
    };
    for name in path.get(used..).unwrap_or(&[]) {
        value = field(&value, name, expr)?;
    }
    Ok(value)
}

fn field(value: &Value, name: &str, expr: &Expr) -> Result<Value> {
    match value {
        Value::Object(fields) => {
            fields.get(name).cloned().ok_or_else(|| Diag::new(&expr.pos, format!("field {name:?} does not exist")))
        }
        other => Err(Diag::new(&expr.pos, format!("cannot take field {name:?} of {}", other.type_name()))),
    }
}

fn binary(expr: &Expr, operator: &str, left: &Expr, right: &Expr, scope: &dyn Scope) -> Result<Value> {
    let a = eval(left, scope)?;
    if let (("&&", Value::Bool(false)) | ("||", Value::Bool(true)), true) = ((operator, &a), true) {
        return Ok(a);
    }
    let b = eval(right, scope)?;
    let misfit = || {
        let what = format!("operator {operator} does not fit {} and {}", a.type_name(), b.type_name());
        Err(Diag::new(&expr.pos, what))
    };
    Ok(match (operator, &a, &b) {
        ("==", ..) => Value::Bool(a == b),
        ("!=", ..) => Value::Bool(a != b),
        ("&&" | "||", Value::Bool(_), Value::Bool(b)) => Value::Bool(*b),
        ("+", Value::Str(x), Value::Str(y)) => Value::str(format!("{x}{y}")),
        ("+", Value::Secret(x) | Value::Str(x), Value::Secret(y) | Value::Str(y)) => {
            Value::Secret(format!("{x}{y}").into())
        }
        ("<", Value::Str(x), Value::Str(y)) => Value::Bool(x < y),
        ("<=", Value::Str(x), Value::Str(y)) => Value::Bool(x <= y),
        (">", Value::Str(x), Value::Str(y)) => Value::Bool(x > y),
        (">=", Value::Str(x), Value::Str(y)) => Value::Bool(x >= y),
        (operator, Value::Number(x), Value::Number(y)) => match operator {
            "+" => Value::Number(x + y),
            "-" => Value::Number(x - y),
            "*" => Value::Number(x * y),
            "/" | "%" if *y == 0.0 => return Err(Diag::new(&right.pos, "division by zero")),
            "/" => Value::Number(x / y),
            "%" => Value::Number(x % y),
            "^" => Value::Number(x.powf(*y)),
            "<" => Value::Bool(x < y),
            "<=" => Value::Bool(x <= y),
            ">" => Value::Bool(x > y),
            ">=" => Value::Bool(x >= y),
            _ => return misfit(),
        },
        _ => return misfit(),
    })
}

/// Calls `found` with the path of every reference in a body.
pub(crate) fn references<'a>(body: &'a Body, found: &mut dyn FnMut(Vec<&'a str>, &'a Expr)) {
    for attribute in &body.attributes {
        in_expr(&attribute.value, found);
    }
    for block in &body.blocks {
        references(&block.body, found);
    }
}

fn in_expr<'a>(expr: &'a Expr, found: &mut dyn FnMut(Vec<&'a str>, &'a Expr)) {
    if let Some(path) = expr.path() {
        found(path, expr);
        return;
    }
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Name(_) => {}
        ExprKind::Array(items) => items.iter().for_each(|item| in_expr(item, found)),
        ExprKind::Object(fields) => fields.iter().for_each(|(_, value)| in_expr(value, found)),
        ExprKind::Field(inner, _) | ExprKind::Unary(_, inner) => in_expr(inner, found),
        ExprKind::Index(a, b) | ExprKind::Binary(_, a, b) => {
            in_expr(a, found);
            in_expr(b, found);
        }
        ExprKind::Call(_, arguments) => arguments.iter().for_each(|argument| in_expr(argument, found)),
    }
}
