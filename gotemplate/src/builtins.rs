//! The functions every template has, and the methods of times and durations.

use crate::error::CallError;
use crate::function::{CallResult, Function, Param, Run};
use crate::gotime::{Duration, Time, Zone};
use crate::value::Value;
use crate::{escape, ops, print};

const ANY: &[Param] = &[Param::Any];
const TWO: &[Param] = &[Param::Any, Param::Any];

/// Go's predefined functions.
pub static BUILTINS: &[Function] = &[
    Function {
        name: "and",
        params: ANY,
        variadic: Some(Param::Any),
        doc: "The first empty argument, or the last; later ones are not evaluated.",
        run: Run::And,
    },
    Function {
        name: "or",
        params: ANY,
        variadic: Some(Param::Any),
        doc: "The first non-empty argument, or the last; later ones are not evaluated.",
        run: Run::Or,
    },
    Function {
        name: "call",
        params: ANY,
        variadic: Some(Param::Any),
        doc: "Calls the first argument, a function value, with the others.",
        run: Run::Call,
    },
    Function::new("not", ANY, "The negation of the argument's truth.", |_, args| Ok(Value::Bool(!args[0].is_true()))),
    Function::variadic("eq", ANY, Param::Any, "Whether the first argument equals any other.", |_, args| {
        ops::eq(&args[0], &args[1..]).map(Value::Bool)
    }),
    Function::new("ne", TWO, "Whether two values differ.", |_, args| {
        ops::eq(&args[0], &args[1..]).map(|equal| Value::Bool(!equal))
    }),
    Function::new("lt", TWO, "a < b", |_, args| ops::lt(&args[0], &args[1]).map(Value::Bool)),
    Function::new("le", TWO, "a <= b", |_, args| ops::le(&args[0], &args[1]).map(Value::Bool)),
    Function::new("gt", TWO, "a > b", |_, args| ops::le(&args[0], &args[1]).map(|le| Value::Bool(!le))),
    Function::new("ge", TWO, "a >= b", |_, args| ops::lt(&args[0], &args[1]).map(|lt| Value::Bool(!lt))),
    Function::variadic("index", ANY, Param::Any, "x[1][2] for `index x 1 2`.", |_, args| {
        ops::index(&args[0], &args[1..])
    }),
    Function::variadic("slice", ANY, Param::Any, "x[1:2] for `slice x 1 2`.", |_, args| {
        ops::slice(&args[0], &args[1..])
    }),
    Function::new("len", ANY, "Number of bytes, elements or entries.", |_, args| ops::len(&args[0]).map(Value::Int)),
    Function::variadic(
        "print",
        &[],
        Param::Any,
        "The arguments, spaces between those that are no strings.",
        |_, args| Ok(print::sprint(args).into()),
    ),
    Function::variadic("println", &[], Param::Any, "The arguments with spaces between and a newline.", |_, args| {
        Ok(print::sprintln(args).into())
    }),
    Function::variadic("printf", &[Param::Str], Param::Any, "Go's fmt.Sprintf.", |call, args| {
        let Value::Str(format) = &args[0] else { return Err(CallError::new("format is not a string")) };
        let limit = call.context().limits.output;
        match print::sprintf(format, &args[1..], limit) {
            Some(text) => Ok(text.into()),
            None => Err(crate::Limit::Output(limit).into()),
        }
    }),
    Function::variadic("html", &[], Param::Any, "The arguments printed and escaped for HTML.", |_, args| {
        Ok(escape::html(&shown(args)).into())
    }),
    Function::variadic("js", &[], Param::Any, "The arguments printed and escaped for JavaScript.", |_, args| {
        Ok(escape::js(&shown(args)).into())
    }),
    Function::variadic(
        "urlquery",
        &[],
        Param::Any,
        "The arguments printed and escaped for a URL's query.",
        |_, args| Ok(escape::url_query(&shown(args)).into()),
    ),
];

/// The arguments as an action would print them.
fn shown(args: &[Value<'_>]) -> Vec<u8> {
    let shown: Vec<Value<'_>> = args
        .iter()
        .map(|arg| match arg {
            Value::Nil | Value::Missing => Value::from("<no value>"),
            other => other.clone(),
        })
        .collect();
    print::sprint(&shown)
}

fn time<'v>(args: &'v [Value<'_>], index: usize) -> Result<&'v Time, CallError> {
    match args.get(index) {
        Some(Value::Time(time)) => Ok(time),
        _ => Err(CallError::new("not a time")),
    }
}

fn duration(args: &[Value<'_>], index: usize) -> Result<Duration, CallError> {
    match args.get(index) {
        Some(Value::Duration(duration)) => Ok(*duration),
        _ => Err(CallError::new("not a duration")),
    }
}

/// A part of a time as a layout prints it, as a number.
fn part<'d>(args: &[Value<'d>], layout: &str) -> CallResult<'d> {
    Ok(Value::Int(time(args, 0)?.format(layout).trim_start().parse().unwrap_or(0)))
}

/// Methods of `time.Time`.
pub(crate) static TIME_METHODS: &[Function] = &[
    Function::new("Format", &[Param::Str], "The time by a layout.", |_, args| {
        let Value::Str(layout) = &args[1] else { return Err(CallError::new("layout is not a string")) };
        Ok(time(args, 0)?.format(&layout.to_str()).into())
    }),
    Function::new("String", &[], "The default form.", |_, args| Ok(time(args, 0)?.to_string().into())),
    Function::new("Unix", &[], "Seconds since the epoch.", |_, args| Ok(Value::Int64(time(args, 0)?.unix()))),
    Function::new("UnixMilli", &[], "Milliseconds since the epoch.", |_, args| {
        Ok(Value::Int64(time(args, 0)?.unix_milli()))
    }),
    Function::new("UnixNano", &[], "Nanoseconds since the epoch.", |_, args| {
        Ok(Value::Int64(time(args, 0)?.unix_nano()))
    }),
    Function::new("UTC", &[], "The instant in UTC.", |_, args| Ok(time(args, 0)?.within(Zone::Utc).into())),
    Function::new("Local", &[], "The instant in the local zone.", |call, args| {
        Ok(time(args, 0)?.within(call.context().local.clone()).into())
    }),
    Function::new("IsZero", &[], "Whether it is the zero time.", |_, args| Ok(Value::Bool(time(args, 0)?.is_zero()))),
    Function::new("Year", &[], "The year.", |_, args| part(args, "2006")),
    Function::new("Month", &[], "The month's English name.", |_, args| Ok(time(args, 0)?.format("January").into())),
    Function::new("Day", &[], "The day of the month.", |_, args| part(args, "2")),
    Function::new("YearDay", &[], "The day of the year.", |_, args| part(args, "__2")),
    Function::new("Weekday", &[], "The weekday's English name.", |_, args| Ok(time(args, 0)?.format("Monday").into())),
    Function::new("Hour", &[], "The hour, 0 to 23.", |_, args| part(args, "15")),
    Function::new("Minute", &[], "The minute.", |_, args| part(args, "4")),
    Function::new("Second", &[], "The second.", |_, args| part(args, "5")),
    Function::new("Nanosecond", &[], "Nanoseconds within the second.", |_, args| {
        Ok(Value::Int(time(args, 0)?.timestamp.as_nanosecond().rem_euclid(1_000_000_000) as i64))
    }),
    Function::new("Add", &[Param::Duration], "The time a duration later.", |_, args| {
        Ok(time(args, 0)?.plus(duration(args, 1)?).into())
    }),
    Function::new("Sub", &[Param::Time], "The duration since another time.", |_, args| {
        Ok(time(args, 0)?.since(time(args, 1)?).into())
    }),
    Function::new("Before", &[Param::Time], "Whether it is before another.", |_, args| {
        Ok(Value::Bool(time(args, 0)?.timestamp < time(args, 1)?.timestamp))
    }),
    Function::new("After", &[Param::Time], "Whether it is after another.", |_, args| {
        Ok(Value::Bool(time(args, 0)?.timestamp > time(args, 1)?.timestamp))
    }),
    Function::new("Equal", &[Param::Time], "Whether it is the same instant.", |_, args| {
        Ok(Value::Bool(time(args, 0)?.timestamp == time(args, 1)?.timestamp))
    }),
];

/// Methods of `time.Duration`.
pub(crate) static DURATION_METHODS: &[Function] = &[
    Function::new("String", &[], "As in 1h2m3.5s.", |_, args| Ok(duration(args, 0)?.to_string().into())),
    Function::new("Seconds", &[], "In seconds.", |_, args| Ok(Value::Float(duration(args, 0)?.seconds()))),
    Function::new("Minutes", &[], "In minutes.", |_, args| {
        Ok(Value::Float(scaled(duration(args, 0)?, 60_000_000_000)))
    }),
    Function::new("Hours", &[], "In hours.", |_, args| Ok(Value::Float(scaled(duration(args, 0)?, 3_600_000_000_000)))),
    Function::new("Milliseconds", &[], "In whole milliseconds.", |_, args| {
        Ok(Value::Int64(duration(args, 0)?.0 / 1_000_000))
    }),
    Function::new("Microseconds", &[], "In whole microseconds.", |_, args| {
        Ok(Value::Int64(duration(args, 0)?.0 / 1_000))
    }),
    Function::new("Nanoseconds", &[], "In nanoseconds.", |_, args| Ok(Value::Int64(duration(args, 0)?.0))),
    Function::new("Round", &[Param::Duration], "Rounded to a multiple.", |_, args| {
        Ok(duration(args, 0)?.round(duration(args, 1)?).into())
    }),
    Function::new("Truncate", &[Param::Duration], "Cut to a multiple.", |_, args| {
        let (value, unit) = (duration(args, 0)?.0, duration(args, 1)?.0);
        Ok(Duration(if unit <= 0 { value } else { value - value % unit }).into())
    }),
];

fn scaled(duration: Duration, unit: i64) -> f64 {
    (duration.0 / unit) as f64 + (duration.0 % unit) as f64 / unit as f64
}
