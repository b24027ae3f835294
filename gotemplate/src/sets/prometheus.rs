//! Labels and annotations of rules.

use std::net::IpAddr;

use super::args::{bytes, list, ok, text};
use super::{humanize, strings};
use crate::error::CallError;
use crate::escape::url_query;
use crate::exec::Call;
use crate::function::{CallResult, Function, Param};
use crate::gotime::Duration;
use crate::value::{Element, List, Map, Record, Text, Type, Value};

/// `template.queryResult`, what `query` gives.
pub static QUERY_RESULT: &Type = &Type::plain("template.queryResult", Element::Host(SAMPLE));
/// `*template.sample`, a series of a query's result: `Labels` and `Value`.
pub static SAMPLE: &Type = &Type::plain("*template.sample", Element::Any);

const STR: &[Param] = &[Param::Str];
const STR2: &[Param] = &[Param::Str, Param::Str];

/// A series as templates see it.
pub fn sample<'d>(labels: impl IntoIterator<Item = (Text<'d>, Text<'d>)>, value: f64) -> Value<'d> {
    let labels = labels.into_iter().map(|(name, value)| (name, Value::Str(value))).collect();
    let fields = vec![("Labels", Value::Map(Map::new(Type::STR_MAP, labels))), ("Value", Value::Float(value))];
    Value::Record(Record::new(SAMPLE, fields))
}

/// The label `name` of a sample, empty if it has none.
fn label<'d>(sample: &Value<'d>, name: &[u8]) -> Value<'d> {
    let labels = match sample {
        Value::Record(record) => record.get("Labels"),
        _ => None,
    };
    match labels {
        Some(Value::Map(labels)) => labels.get(name).cloned().unwrap_or_else(|| "".into()),
        _ => "".into(),
    }
}

pub(super) static RULES: &[Function] = &[
    Function::host("query", STR, "The result of a PromQL expression at the time of the evaluation."),
    Function::host("externalURL", &[], "The address under which the server is reached."),
    Function::host("pathPrefix", &[], "The path of that address."),
    Function::new("first", &[Param::Of(QUERY_RESULT)], "The first series of a result.", |_, args| {
        let first = list(args, 0)?.items.first().cloned();
        first.ok_or_else(|| CallError::new("first() called on vector with no elements"))
    }),
    Function::new("label", &[Param::Str, Param::Of(SAMPLE)], "`label name series`", |_, args| {
        Ok(label(&args[1], bytes(args, 0)?))
    }),
    Function::new("value", &[Param::Of(SAMPLE)], "The value of a series.", |_, args| {
        Ok(match &args[0] {
            Value::Record(record) => record.get("Value").cloned().unwrap_or(Value::Nil),
            _ => Value::Nil,
        })
    }),
    Function::new("strvalue", &[Param::Of(SAMPLE)], "The value of a series of strings.", |_, args| {
        Ok(label(&args[0], b"__value__"))
    }),
    Function::new("sortByLabel", &[Param::Str, Param::Of(QUERY_RESULT)], "`sortByLabel name result`", |_, args| {
        let name = bytes(args, 0)?;
        let mut items = list(args, 1)?.items.to_vec();
        let key = |item: &Value<'_>| match label(item, name) {
            Value::Str(text) => text.to_vec(),
            _ => Vec::new(),
        };
        items.sort_by_cached_key(key);
        Ok(Value::List(List::new(QUERY_RESULT, items)))
    }),
    Function::variadic("args", &[], Param::Any, "A map of the arguments as arg0, arg1, …", |_, args| {
        Ok(Value::map(args.iter().enumerate().map(|(index, arg)| (format!("arg{index}"), arg.clone()))))
    }),
    Function::new("tmpl", &[Param::Str, Param::Any], "`tmpl name data`: what a template writes.", |call, args| {
        let name = text(args, 0)?.into_owned();
        ok(call.render(&name, args[1].clone())?)
    }),
    Function::new("safeHtml", STR, "The text as it is.", |_, args| Ok(args[0].clone())),
    Function::new("humanize", &[Param::Any], "With a metric prefix.", |_, args| {
        ok(humanize::humanize(humanize::to_float(&args[0])?))
    }),
    Function::new("humanize1024", &[Param::Any], "With a binary prefix.", |_, args| {
        ok(humanize::humanize1024(humanize::to_float(&args[0])?))
    }),
    Function::new("humanizeDuration", &[Param::Any], "Seconds as 1d 2h 3m 4s.", humanize_duration),
    Function::new("humanizePercentage", &[Param::Any], "A ratio in percent.", |_, args| {
        ok(humanize::percentage(humanize::to_float(&args[0])?))
    }),
    Function::new("humanizeTimestamp", &[Param::Any], "Unix seconds as a time.", |_, args| {
        ok(humanize::timestamp(humanize::to_float(&args[0])?)?)
    }),
    Function::new("toTime", &[Param::Any], "Unix seconds as a time value.", |_, args| {
        ok(humanize::to_time(humanize::to_float(&args[0])?)?)
    }),
    Function::new("toDuration", &[Param::Any], "Seconds as a duration value.", |_, args| {
        ok(Duration(super::cast::truncate(humanize::to_float(&args[0])? * 1e9)))
    }),
    Function::new("now", &[], "The time of the evaluation in seconds.", |call, _| {
        ok(call.context().now.as_millisecond() as f64 / 1000.0)
    }),
    Function::new("parseDuration", STR, "A duration such as 1h30m in seconds.", |_, args| {
        ok(parse_duration(&text(args, 0)?)?)
    }),
    Function::new("parseDurationTime", STR, "A duration such as 1h30m as a duration value.", |_, args| {
        ok(Duration(super::cast::truncate(parse_duration(&text(args, 0)?)? * 1e9)))
    }),
    Function::new("title", STR, "A capital at the start of each word.", |_, args| {
        ok(strings::title_words(&text(args, 0)?, true))
    }),
    Function::new("toUpper", STR, "In upper case.", |_, args| ok(strings::upper(&text(args, 0)?))),
    Function::new("toLower", STR, "In lower case.", |_, args| ok(strings::lower(&text(args, 0)?))),
    Function::new("stripPort", STR, "host of host:port.", |_, args| {
        let address = text(args, 0)?;
        ok(split_host_port(&address).map_or(&*address, |(host, _)| host).to_owned())
    }),
    Function::new("stripDomain", STR, "The first part of a host name, with the port.", |_, args| {
        ok(strip_domain(&text(args, 0)?))
    }),
    Function::new("match", STR2, "`match regex text`", regex_match),
    Function::new(
        "reReplaceAll",
        &[Param::Str, Param::Str, Param::Str],
        "`reReplaceAll regex replacement text`",
        re_replace,
    ),
    Function::new("graphLink", STR, "Path of the graph of an expression.", |_, args| {
        ok(format!("/graph?g0.expr={}&g0.tab=0", url_query(bytes(args, 0)?)))
    }),
    Function::new("tableLink", STR, "Path of the table of an expression.", |_, args| {
        ok(format!("/graph?g0.expr={}&g0.tab=1", url_query(bytes(args, 0)?)))
    }),
    Function::new("urlQueryEscape", STR, "For the query of a URL.", |_, args| ok(url_query(bytes(args, 0)?))),
];

/// `humanizeDuration`, which messages have too.
pub(super) fn humanize_duration<'d>(_: &mut Call<'_, 'd>, args: &[Value<'d>]) -> CallResult<'d> {
    ok(humanize::humanize_duration(humanize::to_float(&args[0])?))
}

/// `match regex text`
pub(super) fn regex_match<'d>(call: &mut Call<'_, 'd>, args: &[Value<'d>]) -> CallResult<'d> {
    ok(call.regex(&text(args, 0)?)?.is_match_bytes(bytes(args, 1)?))
}

/// `reReplaceAll regex replacement text`; Go panics on a bad pattern, and says so.
pub(super) fn re_replace<'d>(call: &mut Call<'_, 'd>, args: &[Value<'d>]) -> CallResult<'d> {
    let regex = must_compile(call, &text(args, 0)?)?;
    ok(regex.replace_all_bytes(bytes(args, 2)?, bytes(args, 1)?).into_owned())
}

/// A regular expression, with the words of Go's `MustCompile` if it is none.
pub(super) fn must_compile(call: &Call<'_, '_>, pattern: &str) -> Result<model::regex::GoRegex, CallError> {
    call.regex(pattern).map_err(|error| match error {
        CallError::Failed(message) => CallError::Failed(format!("regexp: Compile({}): {message}", go_quote(pattern))),
        other => other,
    })
}

/// In backquotes if that is possible.
fn go_quote(text: &str) -> String {
    let plain = text.chars().all(|c| c != '`' && (c >= ' ' || c == '\t') && c != '\x7f' && c != '\u{feff}');
    if plain { format!("`{text}`") } else { model::number::quote(text) }
}

/// Go's `net.SplitHostPort`.
fn split_host_port(address: &str) -> Option<(&str, &str)> {
    let colon = address.rfind(':')?;
    let (host, after_bracket) = if address.starts_with('[') {
        let end = address.find(']')?;
        if end + 1 != colon {
            return None;
        }
        (&address[1..end], end + 1)
    } else {
        let host = &address[..colon];
        if host.contains(':') {
            return None;
        }
        (host, 0)
    };
    let inner = if after_bracket > 0 { 1 } else { 0 };
    if address[inner..].contains('[') || address[after_bracket..].contains(']') {
        return None;
    }
    Some((host, &address[colon + 1..]))
}

fn strip_domain(address: &str) -> String {
    let (host, port) = split_host_port(address).unwrap_or((address, ""));
    if host.parse::<IpAddr>().is_ok() {
        return address.to_owned();
    }
    let host = host.split('.').next().unwrap_or_default();
    match port {
        "" => host.to_owned(),
        port if host.contains(':') => format!("[{host}]:{port}"),
        port => format!("{host}:{port}"),
    }
}

/// A Prometheus duration, perhaps negative, in seconds.
fn parse_duration(input: &str) -> Result<f64, CallError> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let invalid = || CallError::Failed(format!("not a valid duration string: {}", model::number::quote(input)));
    let (negative, text) = match input.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, input),
    };
    if text == "0" {
        return Ok(0.0);
    }
    if text.is_empty() {
        return Err(CallError::new("empty duration string"));
    }
    let mut rest = text;
    let mut total = 0i64;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let len = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        // Each unit once, the larger first.
        let unit = UNITS.iter().position(|(name, _)| *name == &rest[..len]).filter(|unit| *unit >= next_unit);
        let unit = unit.ok_or_else(invalid)?;
        next_unit = unit + 1;
        rest = &rest[len..];
        let nanoseconds = count.checked_mul(UNITS[unit].1).and_then(|ms| ms.checked_mul(1_000_000));
        total = nanoseconds
            .and_then(|nanoseconds| total.checked_add(nanoseconds))
            .ok_or_else(|| CallError::new("duration out of range"))?;
    }
    Ok((if negative { -total } else { total }) as f64 / 1e9)
}
