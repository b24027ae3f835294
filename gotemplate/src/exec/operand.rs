//! Commands, fields, arguments and calls.

use crate::ast::{Command, Number, Operand};
use crate::error::CallError;
use crate::function::{Function, Param, Run};
use crate::template::MissingKey;
use crate::value::{Element, List, Map, ObjectKind, Text, Value};

use super::{At, Call, Evaluated, Exec};

/// Arguments of a call as written: those behind the name, and the value the pipeline brings.
struct Given<'d> {
    args: &'d [Operand],
    last: Option<Value<'d>>,
}

impl Given<'_> {
    fn none() -> Self {
        Self { args: &[], last: None }
    }

    fn is_empty(&self) -> bool {
        self.args.is_empty() && self.last.is_none()
    }
}

impl<'d> Exec<'d> {
    pub(super) fn command(
        &mut self,
        dot: &Value<'d>,
        command: &'d Command,
        last: Option<Value<'d>>,
    ) -> Evaluated<Value<'d>> {
        let Some((first, args)) = command.args.split_first() else { return Ok(Value::Missing) };
        let given = Given { args, last };
        match first {
            Operand::Field(_, names) => {
                self.at = At::Operand(first);
                self.fields(dot, dot.clone(), first, names, given)
            }
            Operand::Chain(_, inner, names) => self.chain(dot, first, inner, names, given),
            Operand::Function(_, function) => {
                self.at = At::Operand(first);
                self.call(dot, function, At::Command(command), None, given)
            }
            Operand::Pipe(pipe) => {
                self.not_a_function(first, &given)?;
                self.deeper(|exec| exec.pipeline(dot, pipe))
            }
            Operand::Variable(_, names) => self.variable(dot, first, names, given),
            _ => {
                self.at = At::Operand(first);
                self.not_a_function(first, &given)?;
                match first {
                    Operand::Nil(_) => self.error("nil is not a command"),
                    Operand::Dot(_) => Ok(dot.clone()),
                    first => self.literal(first),
                }
            }
        }
    }

    fn not_a_function(&self, first: &Operand, given: &Given<'_>) -> Evaluated<()> {
        if given.is_empty() {
            return Ok(());
        }
        self.error(format_args!("can't give argument to non-function {first}"))
    }

    /// A constant by its own type.
    fn literal(&mut self, operand: &'d Operand) -> Evaluated<Value<'d>> {
        self.at = At::Operand(operand);
        match operand {
            Operand::Bool(_, value) => Ok(Value::Bool(*value)),
            Operand::String(_, _, text) => Ok(Value::Str(Text::Borrowed(text))),
            Operand::Number(_, number) => self.ideal(number),
            other => self.error(format_args!("can't evaluate command {}", model::number::quote(&other.to_string()))),
        }
    }

    fn ideal(&self, number: &Number) -> Evaluated<Value<'d>> {
        let text = &*number.text;
        let float_like = match text.as_bytes() {
            [b'\'', ..] => false,
            _ if is_hex(text) => text.contains(['p', 'P']),
            _ => text.contains(['.', 'e', 'E']),
        };
        match number {
            Number { float: Some(float), .. } if float_like => Ok(Value::Float(*float)),
            Number { int: Some(int), .. } => Ok(Value::Int(*int)),
            _ => self.error(format_args!("{text} overflows int")),
        }
    }

    fn variable(
        &mut self,
        dot: &Value<'d>,
        operand: &'d Operand,
        names: &'d [Box<str>],
        given: Given<'d>,
    ) -> Evaluated<Value<'d>> {
        self.at = At::Operand(operand);
        let Some((name, fields)) = names.split_first() else { return Ok(Value::Missing) };
        let Some((_, value)) = self.variables.iter().rev().find(|(known, _)| **known == **name) else {
            return self.error(format_args!("undefined variable: {name}"));
        };
        let value = value.clone();
        if fields.is_empty() {
            self.not_a_function(operand, &given)?;
            return Ok(value);
        }
        self.fields(dot, value, operand, fields, given)
    }

    fn chain(
        &mut self,
        dot: &Value<'d>,
        operand: &'d Operand,
        first: &'d Operand,
        names: &'d [Box<str>],
        given: Given<'d>,
    ) -> Evaluated<Value<'d>> {
        self.at = At::Operand(operand);
        if let Operand::Nil(_) = first {
            return self.error(format_args!("indirection through explicit nil in {operand}"));
        }
        let value = self.argument(dot, Param::Any, first)?.without_nil();
        self.fields(dot, value, operand, names, given)
    }

    /// `.a.b.c`, the last perhaps a method with arguments.
    fn fields(
        &mut self,
        dot: &Value<'d>,
        mut receiver: Value<'d>,
        operand: &'d Operand,
        names: &'d [Box<str>],
        given: Given<'d>,
    ) -> Evaluated<Value<'d>> {
        let Some((last, inner)) = names.split_last() else { return Ok(receiver) };
        // An element of a container of anything: Go reports the type of the slot, not of what is in it.
        let mut any = self.dot_any && matches!(operand, Operand::Field(..));
        for name in inner {
            let next_any = holds_anything(&receiver);
            receiver = self.field(dot, &receiver, any, name, operand, Given::none())?;
            any = next_any;
        }
        self.field(dot, &receiver, any, last, operand, given)
    }

    fn field(
        &mut self,
        dot: &Value<'d>,
        receiver: &Value<'d>,
        any: bool,
        name: &str,
        operand: &'d Operand,
        given: Given<'d>,
    ) -> Evaluated<Value<'d>> {
        match receiver {
            Value::Missing => {
                return match self.missing_key() {
                    MissingKey::Error => {
                        self.error(format_args!("nil data; no entry for key {}", model::number::quote(name)))
                    }
                    _ => Ok(Value::Missing),
                };
            }
            Value::Nil => return self.error(format_args!("nil pointer evaluating interface {{}}.{name}")),
            _ => {}
        }
        if let Some(method) = receiver.methods().iter().find(|method| method.name == name) {
            return self.call(dot, method, At::Operand(operand), Some(receiver.clone()), given);
        }
        let found = match receiver {
            Value::Map(map) => {
                if !given.is_empty() {
                    return self.error(format_args!("{name} is not a method but has arguments"));
                }
                map.get(name.as_bytes()).cloned().or_else(|| self.absent(map.ty))
            }
            Value::Object(object) if object.kind() == ObjectKind::Map => {
                if !given.is_empty() {
                    return self.error(format_args!("{name} is not a method but has arguments"));
                }
                let object: &'d dyn crate::value::Object = *object;
                object.field(name).or_else(|| self.absent(object.ty()))
            }
            Value::Record(record) => record.get(name).cloned(),
            Value::Object(object) => {
                let object: &'d dyn crate::value::Object = *object;
                object.field(name)
            }
            _ => {
                let ty = if any { "interface {}" } else { receiver.type_name() };
                return self.error(format_args!("can't evaluate field {name} in type {ty}"));
            }
        };
        match found {
            Some(value) if given.is_empty() => Ok(value),
            Some(_) => self.error(format_args!("{name} has arguments but cannot be invoked as function")),
            None if matches!(receiver, Value::Map(_)) || is_map(receiver) => {
                self.error(format_args!("map has no entry for key {}", model::number::quote(name)))
            }
            None => {
                let ty = if any { "interface {}" } else { receiver.type_name() };
                self.error(format_args!("can't evaluate field {name} in type {ty}"))
            }
        }
    }

    /// What a key that a map of type `ty` does not have gives. `None` is an error.
    fn absent(&self, ty: &'static crate::value::Type) -> Option<Value<'d>> {
        match self.missing_key() {
            MissingKey::Default => Some(Value::Missing),
            MissingKey::Zero => Some(ty.zero_element()),
            MissingKey::Error => None,
        }
    }

    fn call(
        &mut self,
        dot: &Value<'d>,
        function: &'static Function,
        at: At<'d>,
        receiver: Option<Value<'d>>,
        given: Given<'d>,
    ) -> Evaluated<Value<'d>> {
        let Given { args, last } = given;
        let count = args.len() + usize::from(last.is_some());
        let fixed = function.params.len();
        let name = function.name;
        if function.variadic.is_some() && count < fixed {
            let got = args.len();
            return self.error(format_args!("wrong number of args for {name}: want at least {fixed} got {got}"));
        }
        if function.variadic.is_none() && count != fixed {
            return self.error(format_args!("wrong number of args for {name}: want {fixed} got {count}"));
        }
        if let Run::And | Run::Or = function.run {
            return self.deeper(|exec| exec.short_circuit(dot, matches!(function.run, Run::Or), args, last));
        }
        let offset = usize::from(receiver.is_some());
        let mut values = Vec::with_capacity(count + offset);
        values.extend(receiver);
        for (index, operand) in args.iter().enumerate() {
            values.push(self.argument(dot, function.param(index), operand)?);
        }
        if let Some(last) = last {
            values.push(self.typed(last, function.param(args.len()))?);
        }
        let result = match function.run {
            Run::Call => {
                let callee = match (args.first(), values.first()) {
                    (Some(operand), _) => operand.to_string(),
                    (None, Some(Value::Str(text))) => text.to_str().into_owned(),
                    (None, other) => format!("<{} Value>", other.map_or("invalid", Value::type_name)),
                };
                return self.call_value(&callee, values, at);
            }
            _ => self.invoke(function, &values),
        };
        self.called(name, at, result)
    }

    fn invoke(&mut self, function: &'static Function, values: &[Value<'d>]) -> Result<Value<'d>, CallError> {
        match function.run {
            Run::Native(native) => native(&mut Call { exec: self }, values),
            _ => match self.context.host.call(function.name, values) {
                Some(result) => result,
                None => Err(CallError::Failed(format!("{} is not available here", function.name))),
            },
        }
    }

    /// The `call` builtin: the first value is a function.
    fn call_value(&mut self, callee: &str, values: Vec<Value<'d>>, at: At<'d>) -> Evaluated<Value<'d>> {
        let result = match values.split_first() {
            Some((Value::Function(function), args)) => {
                let fixed = function.params.len();
                let wrong = args.len() < fixed || function.variadic.is_none() && args.len() > fixed;
                if wrong {
                    let least = if function.variadic.is_some() { "at least " } else { "" };
                    Err(CallError::Failed(format!(
                        "wrong number of args for {callee}: got {} want {least}{fixed}",
                        args.len()
                    )))
                } else if let Some(bad) = (0..args.len()).find(|index| !function.param(*index).takes(&args[*index])) {
                    let (got, want) = (args[bad].type_name(), function.param(bad).name());
                    Err(CallError::Failed(format!("arg {bad}: value has type {got}; should be {want}")))
                } else {
                    self.invoke(function, args)
                }
            }
            Some((Value::Nil | Value::Missing, _)) | None => Err(CallError::Failed("call of nil".to_owned())),
            Some((other, _)) => Err(CallError::Failed(format!("non-function {callee} of type {}", other.type_name()))),
        };
        self.called("call", at, result)
    }

    /// `and`, `or`: the first argument that decides, else the last.
    fn short_circuit(
        &mut self,
        dot: &Value<'d>,
        or: bool,
        args: &'d [Operand],
        last: Option<Value<'d>>,
    ) -> Evaluated<Value<'d>> {
        let mut value = Value::Missing;
        for operand in args {
            value = self.argument(dot, Param::Any, operand)?;
            if value.is_true() == or {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    /// An argument of the type `param`.
    fn argument(&mut self, dot: &Value<'d>, param: Param, operand: &'d Operand) -> Evaluated<Value<'d>> {
        self.at = At::Operand(operand);
        let value = match operand {
            Operand::Dot(_) => dot.clone(),
            Operand::Nil(_) => {
                return match param {
                    Param::Any | Param::Of(_) => self.typed(Value::Missing, param),
                    _ => self.error(format_args!("cannot assign nil to {}", param.name())),
                };
            }
            Operand::Field(_, names) => self.fields(dot, dot.clone(), operand, names, Given::none())?,
            Operand::Variable(_, names) => self.variable(dot, operand, names, Given::none())?,
            Operand::Pipe(pipe) => self.deeper(|exec| exec.pipeline(dot, pipe))?,
            Operand::Function(_, function) => self.call(dot, function, At::Operand(operand), None, Given::none())?,
            Operand::Chain(_, first, names) => self.chain(dot, operand, first, names, Given::none())?,
            Operand::Bool(..) | Operand::Number(..) | Operand::String(..) => return self.constant(param, operand),
        };
        self.typed(value, param)
    }

    /// A constant as an argument: its type is what is asked for, if it can be.
    fn constant(&mut self, param: Param, operand: &'d Operand) -> Evaluated<Value<'d>> {
        let expected = match (param, operand) {
            (Param::Any, _) | (Param::Str, Operand::String(..)) | (Param::Bool, Operand::Bool(..)) => {
                return self.literal(operand);
            }
            (Param::Int, Operand::Number(_, number)) if number.int.is_some() => {
                return Ok(Value::Int(number.int.unwrap_or_default()));
            }
            (Param::Int64, Operand::Number(_, number)) if number.int.is_some() => {
                return Ok(Value::Int64(number.int.unwrap_or_default()));
            }
            (Param::Duration, Operand::Number(_, number)) if number.int.is_some() => {
                return Ok(Value::Duration(crate::gotime::Duration(number.int.unwrap_or_default())));
            }
            (Param::Float, Operand::Number(_, number)) if number.float.is_some() => {
                return Ok(Value::Float(number.float.unwrap_or_default()));
            }
            (Param::Str, _) => "string",
            (Param::Bool, _) => "bool",
            (Param::Int | Param::Int64 | Param::Duration, _) => "integer",
            (Param::Float, _) => "float",
            (Param::Time | Param::Of(_), _) => {
                return self.error(format_args!("can't handle {operand} for arg of type {}", param.name()));
            }
        };
        self.error(format_args!("expected {expected}; found {operand}"))
    }

    /// `value` if it may be passed for `param`.
    fn typed(&mut self, value: Value<'d>, param: Param) -> Evaluated<Value<'d>> {
        if let Value::Missing = value {
            return match param {
                Param::Any => Ok(Value::Missing),
                Param::Of(ty) if ty.name.starts_with("[]") => Ok(Value::List(List::new(ty, Vec::new()))),
                Param::Of(ty) => Ok(Value::Map(Map::new(ty, Vec::new()))),
                _ => self.error(format_args!("invalid value; expected {}", param.name())),
            };
        }
        if param.takes(&value) {
            return Ok(value);
        }
        let (want, got) = (param.name(), value.type_name());
        self.error(format_args!("wrong type for value; expected {want}; got {got}"))
    }
}

fn is_hex(text: &str) -> bool {
    text.len() > 2 && (text.starts_with("0x") || text.starts_with("0X"))
}

fn is_map(value: &Value<'_>) -> bool {
    matches!(value, Value::Object(object) if object.kind() == ObjectKind::Map)
}

/// The elements of `value` are of type `interface {}`.
pub(super) fn holds_anything(value: &Value<'_>) -> bool {
    let element = match value {
        Value::Map(map) => map.ty.element,
        Value::List(list) => list.ty.element,
        Value::Object(object) if object.kind() == ObjectKind::Map => object.ty().element,
        _ => return false,
    };
    matches!(element, Element::Any)
}
