//! `line_format` and `label_format`.

use super::args::{bytes, ok, text, time};
use super::base64::{self, Alphabet};
use super::{humanize, json, strings, times};
use crate::error::CallError;
use crate::escape;
use crate::function::{Function, Param};
use crate::gotime::Duration;
use crate::value::Value;

const STR: &[Param] = &[Param::Str];
const STR2: &[Param] = &[Param::Str, Param::Str];
const STR3: &[Param] = &[Param::Str, Param::Str, Param::Str];
const INT_STR: &[Param] = &[Param::Int, Param::Str];

/// Those of Loki's own and those it takes from sprig.
pub(super) static LINES: &[Function] = &[
    Function::host("__line__", &[], "The log line."),
    Function::host("__timestamp__", &[], "The entry's time."),
    // The names of old.
    Function::new("ToLower", STR, "In lower case.", |_, args| ok(strings::lower(&text(args, 0)?))),
    Function::new("ToUpper", STR, "In upper case.", |_, args| ok(strings::upper(&text(args, 0)?))),
    Function::new(
        "Replace",
        &[Param::Str, Param::Str, Param::Str, Param::Int],
        "`Replace text old new n`: at most n times, all for a negative n.",
        strings::replace_some,
    ),
    Function::new("Trim", STR2, "`Trim text cutset`", |_, args| {
        ok(strings::trim_set(&text(args, 0)?, &text(args, 1)?, strings::Side::Both).to_owned())
    }),
    Function::new("TrimLeft", STR2, "`TrimLeft text cutset`", |_, args| {
        ok(strings::trim_set(&text(args, 0)?, &text(args, 1)?, strings::Side::Left).to_owned())
    }),
    Function::new("TrimRight", STR2, "`TrimRight text cutset`", |_, args| {
        ok(strings::trim_set(&text(args, 0)?, &text(args, 1)?, strings::Side::Right).to_owned())
    }),
    Function::new("TrimPrefix", STR2, "`TrimPrefix text prefix`", |_, args| strings::trim_prefix(args, 0, 1)),
    Function::new("TrimSuffix", STR2, "`TrimSuffix text suffix`", |_, args| strings::trim_suffix(args, 0, 1)),
    Function::new("TrimSpace", STR, "Without spaces at the ends.", |_, args| strings::trim_space(args, 0)),
    // Expressions.
    Function::new("regexReplaceAll", STR3, "`regexReplaceAll regex text replacement`, with `${1}`.", |call, args| {
        let regex = call.regex(&text(args, 0)?)?;
        ok(regex.replace_all_bytes(bytes(args, 1)?, bytes(args, 2)?).into_owned())
    }),
    Function::new("regexReplaceAllLiteral", STR3, "The same without groups.", |call, args| {
        let regex = call.regex(&text(args, 0)?)?;
        let replacement = bytes(args, 2)?;
        ok(regex.replace_all_with(bytes(args, 1)?, |_, out| out.extend_from_slice(replacement)).into_owned())
    }),
    Function::new("count", STR2, "`count regex text`: number of matches.", |call, args| {
        let regex = call.regex(&text(args, 0)?)?;
        Ok(Value::Int(i64::try_from(regex.count(bytes(args, 1)?)).unwrap_or(i64::MAX)))
    }),
    // Encodings.
    Function::new("urlencode", STR, "For the query of a URL.", |_, args| ok(escape::url_query(bytes(args, 0)?))),
    Function::new("urldecode", STR, "Out of the query of a URL.", |_, args| {
        escape::url_query_decode(bytes(args, 0)?).map(Value::from).map_err(CallError::Failed)
    }),
    Function::new("b64enc", STR, "In base 64.", |_, args| ok(base64::encode(bytes(args, 0)?, Alphabet::Standard))),
    Function::new("b64dec", STR, "Out of base 64, padded or not; the error if it is none.", |_, args| {
        let mut input = bytes(args, 0)?.to_vec();
        if matches!(input.len() % 4, 2 | 3) {
            input.resize(input.len().div_ceil(4) * 4, b'=');
        }
        match base64::decode(&input, Alphabet::Standard) {
            Ok(decoded) => ok(decoded),
            Err(error) => ok(error.to_string()),
        }
    }),
    Function::new("fromJson", STR, "The value of a JSON text; nil if it is none.", |_, args| {
        Ok(json::parse(bytes(args, 0)?).unwrap_or(Value::Nil))
    }),
    // Units.
    Function::new("bytes", STR, "A size such as 1.5MB in bytes.", |_, args| {
        humanize::parse_bytes(&text(args, 0)?).map(Value::Float)
    }),
    Function::new("duration", STR, "A duration such as 1m30s in seconds.", |_, args| {
        Duration::parse(&text(args, 0)?).map(|d| Value::Float(d.seconds())).map_err(CallError::new)
    }),
    Function::new("duration_seconds", STR, "A duration such as 1m30s in seconds.", |_, args| {
        Duration::parse(&text(args, 0)?).map(|d| Value::Float(d.seconds())).map_err(CallError::new)
    }),
    // Times.
    Function::new("unixEpochMillis", &[Param::Time], "Milliseconds since the epoch, as text.", |_, args| {
        ok(time(args, 0)?.unix_milli().to_string())
    }),
    Function::new("unixEpochNanos", &[Param::Time], "Nanoseconds since the epoch, as text.", |_, args| {
        ok(time(args, 0)?.unix_nano().to_string())
    }),
    Function::new("toDateInZone", STR3, "`toDateInZone layout zone text`", times::to_date_in_zone),
    Function::new(
        "unixToTime",
        STR,
        "The time of days, s, ms, us or ns, by the number of digits.",
        times::unix_to_time,
    ),
    // Text.
    Function::new("alignLeft", INT_STR, "So many characters from the left, filled with spaces.", |call, args| {
        strings::align(call, args, false)
    }),
    Function::new("alignRight", INT_STR, "So many characters from the right, filled with spaces.", |call, args| {
        strings::align(call, args, true)
    }),
    Function::new("lower", STR, "In lower case.", |_, args| ok(strings::lower(&text(args, 0)?))),
    Function::new("upper", STR, "In upper case.", |_, args| ok(strings::upper(&text(args, 0)?))),
    Function::new("title", STR, "A capital at the start of each word.", |_, args| ok(strings::title(&text(args, 0)?))),
    Function::new("trunc", INT_STR, "The first n bytes, or the last for a negative n.", |_, args| strings::trunc(args)),
    Function::new("substr", &[Param::Int, Param::Int, Param::Str], "`substr start end text`, in bytes.", |_, args| {
        strings::substr(args)
    }),
    Function::new("contains", STR2, "`contains part text`", |_, args| {
        ok(strings::contains(bytes(args, 1)?, bytes(args, 0)?))
    }),
    Function::new("hasPrefix", STR2, "`hasPrefix prefix text`", |_, args| {
        ok(bytes(args, 1)?.starts_with(bytes(args, 0)?))
    }),
    Function::new("hasSuffix", STR2, "`hasSuffix suffix text`", |_, args| {
        ok(bytes(args, 1)?.ends_with(bytes(args, 0)?))
    }),
    Function::new("indent", INT_STR, "Every line moved right.", |call, args| strings::indent(call, args, false)),
    Function::new("nindent", INT_STR, "The same on a new line.", |call, args| strings::indent(call, args, true)),
    Function::new("replace", STR3, "`replace old new text`, everywhere.", strings::replace_all),
    Function::new("repeat", INT_STR, "`repeat n text`", strings::repeat),
    Function::new("trim", STR, "Without spaces at the ends.", |_, args| strings::trim_space(args, 0)),
    Function::new("trimAll", STR2, "`trimAll cutset text`", |_, args| {
        ok(strings::trim_set(&text(args, 1)?, &text(args, 0)?, strings::Side::Both).to_owned())
    }),
    Function::new("trimPrefix", STR2, "`trimPrefix prefix text`", |_, args| strings::trim_prefix(args, 1, 0)),
    Function::new("trimSuffix", STR2, "`trimSuffix suffix text`", |_, args| strings::trim_suffix(args, 1, 0)),
    Function::variadic("default", &[Param::Any], Param::Any, "`default d v`: v, or d if v is empty.", |_, args| {
        Ok(match args.get(1) {
            Some(given) if given.is_true() => given.clone(),
            _ => args[0].clone(),
        })
    }),
];
