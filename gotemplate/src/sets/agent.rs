//! The agent's `template` stage: what Promtail and Alloy add to the log functions, and the common part of sprig.

use sha2::{Digest as _, Sha256};

use super::args::{bytes, int, list, ok, shown, strings, text};
use super::base64::{self, Alphabet};
use super::keccak::sha3_256;
use super::prometheus::must_compile;
use super::strings as texts;
use super::{cast, json};
use crate::error::CallError;
use crate::exec::Call;
use crate::function::{CallResult, Function, Param};
use crate::value::{List, Map, Text, Type, Value};

const STR: &[Param] = &[Param::Str];
const STR2: &[Param] = &[Param::Str, Param::Str];
const STR3: &[Param] = &[Param::Str, Param::Str, Param::Str];
const ANY: &[Param] = &[Param::Any];
const MAP_KEY: &[Param] = &[Param::Of(Type::ANY_MAP), Param::Str];

pub(super) static STAGE: &[Function] = &[
    Function::new("Hash", STR2, "`Hash salt text`: SHA3-256 in hexadecimal.", |_, args| {
        ok(hex(&sha3_256(&[bytes(args, 0)?, bytes(args, 1)?].concat())))
    }),
    Function::new("Sha2Hash", STR2, "`Sha2Hash salt text`: SHA-256 in hexadecimal.", |_, args| {
        ok(hex(&Sha256::digest([bytes(args, 0)?, bytes(args, 1)?].concat())))
    }),
    Function::new("sha256sum", STR, "SHA-256 in hexadecimal.", |_, args| ok(hex(&Sha256::digest(bytes(args, 0)?)))),
    Function::new("regexReplaceAll", STR3, "`regexReplaceAll regex text replacement`", |call, args| {
        let regex = must_compile(call, &text(args, 0)?)?;
        ok(regex.replace_all_bytes(bytes(args, 1)?, bytes(args, 2)?).into_owned())
    }),
    Function::new("regexReplaceAllLiteral", STR3, "The same without groups.", |call, args| {
        let regex = must_compile(call, &text(args, 0)?)?;
        let replacement = bytes(args, 2)?;
        ok(regex.replace_all_with(bytes(args, 1)?, |_, out| out.extend_from_slice(replacement)).into_owned())
    }),
    Function::new("regexMatch", STR2, "`regexMatch regex text`; false for a bad pattern.", |call, args| {
        ok(call.regex(&text(args, 0)?).is_ok_and(|regex| {
            args[1..].iter().all(|arg| matches!(arg, Value::Str(text) if regex.is_match_bytes(text)))
        }))
    }),
    Function::new("regexFind", STR2, "`regexFind regex text`: the first match.", |call, args| {
        let found = must_compile(call, &text(args, 0)?)?.find(bytes(args, 1)?).unwrap_or(0..0);
        texts::part(args, 1, found.start, found.end)
    }),
    Function::new("regexFindAll", &[Param::Str, Param::Str, Param::Int], "`regexFindAll regex text n`", find_all),
    Function::new("regexQuoteMeta", STR, "The text as a pattern for itself.", |_, args| {
        ok(model::regex::quote_meta(&text(args, 0)?).into_owned())
    }),
    Function::new("b64dec", STR, "Out of base 64; the error if it is none.", |_, args| {
        match base64::decode(bytes(args, 0)?, Alphabet::Standard) {
            Ok(decoded) => ok(decoded),
            Err(error) => ok(error.to_string()),
        }
    }),
    Function::new("untitle", STR, "A small first letter.", |_, args| {
        let input = text(args, 0)?;
        let mut chars = input.chars();
        let first = chars.next().map(|c| texts::lower(c.encode_utf8(&mut [0; 4]))).unwrap_or_default();
        ok(first + chars.as_str())
    }),
    Function::new("nospace", STR, "Without any white space.", |_, args| {
        ok(text(args, 0)?.chars().filter(|c| !c.is_whitespace()).collect::<String>())
    }),
    Function::variadic("quote", &[], Param::Any, "Each argument in double quotes.", |_, args| {
        ok(quoted(args, |value| model::number::quote(&shown(value))))
    }),
    Function::variadic("squote", &[], Param::Any, "Each argument in single quotes.", |_, args| {
        ok(quoted(args, |value| format!("'{}'", shown(value))))
    }),
    Function::variadic("cat", &[], Param::Any, "The arguments with spaces between.", |_, args| ok(quoted(args, shown))),
    Function::new("toString", ANY, "As text.", |_, args| ok(shown(&args[0]))),
    Function::new("join", &[Param::Str, Param::Any], "`join separator list`", |_, args| match &args[1] {
        Value::List(list) => ok(texts::join(bytes(args, 0)?, &strings(list))),
        Value::Nil | Value::Missing => ok(""),
        other => ok(shown(other)),
    }),
    Function::new("splitList", STR2, "`splitList separator text`", |call, args| {
        let parts = split(call, &text(args, 1)?, &text(args, 0)?, None)?;
        Ok(Value::strings(parts))
    }),
    Function::new("split", STR2, "`split separator text`: a map of _0, _1, …", |call, args| {
        let parts = split(call, &text(args, 1)?, &text(args, 0)?, None)?;
        Ok(numbered(parts))
    }),
    Function::new("splitn", &[Param::Str, Param::Int, Param::Str], "`splitn separator n text`", |call, args| {
        let limit = usize::try_from(int(args, 1)?).ok();
        let parts = split(call, &text(args, 2)?, &text(args, 0)?, limit)?;
        Ok(numbered(parts))
    }),
    Function::new("empty", ANY, "Whether it is empty.", |_, args| ok(!args[0].is_true())),
    Function::variadic("coalesce", &[], Param::Any, "The first argument that is not empty.", |_, args| {
        Ok(args.iter().find(|arg| arg.is_true()).cloned().unwrap_or(Value::Nil))
    }),
    Function::new("ternary", &[Param::Any, Param::Any, Param::Bool], "`ternary yes no condition`", |_, args| {
        Ok(if args[2].is_true() { args[0].clone() } else { args[1].clone() })
    }),
    Function::new("int64", ANY, "As an int64; 0 if it is no number.", |_, args| {
        Ok(Value::Int64(cast::to_int(&args[0])))
    }),
    Function::new("atoi", STR, "As an int; 0 if it is no number.", |_, args| {
        Ok(Value::Int(model::number::parse_int(&text(args, 0)?, 10, 64).unwrap_or(0)))
    }),
    Function::new("add1", ANY, "One more.", |_, args| Ok(Value::Int64(cast::to_int(&args[0]).wrapping_add(1)))),
    Function::new("toJson", ANY, "As JSON; empty if it cannot be.", |_, args| {
        ok(json::write(&args[0]).unwrap_or_default())
    }),
    Function::variadic("list", &[], Param::Any, "A list of the arguments.", |_, args| Ok(Value::list(args.to_vec()))),
    Function::variadic("dict", &[], Param::Any, "A map of the arguments, name and value in turn.", |_, args| {
        let value = |pair: &[Value<'_>]| shown(&pair[0]);
        Ok(Value::map(args.chunks(2).map(|pair| (value(pair), pair.get(1).cloned().unwrap_or_else(|| "".into())))))
    }),
    Function::new("get", MAP_KEY, "`get map key`: empty if there is none.", |_, args| {
        Ok(entry(args)?.unwrap_or_else(|| "".into()))
    }),
    Function::new("hasKey", MAP_KEY, "`hasKey map key`", |_, args| ok(entry(args)?.is_some())),
    Function::new("first", ANY, "The first element of a list.", |_, args| {
        Ok(list(args, 0)?.items.first().cloned().unwrap_or(Value::Nil))
    }),
    Function::new("last", ANY, "The last element of a list.", |_, args| {
        Ok(list(args, 0)?.items.last().cloned().unwrap_or(Value::Nil))
    }),
    Function::new("reverse", ANY, "A list the other way round.", |_, args| {
        Ok(Value::list(list(args, 0)?.items.iter().rev().cloned().collect()))
    }),
    Function::new("fail", STR, "Fails with a message.", |_, args| Err(CallError::new(text(args, 0)?))),
];

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each argument that is not nil, shown, with spaces between.
fn quoted(args: &[Value<'_>], show: impl Fn(&Value<'_>) -> String) -> String {
    let present = args.iter().filter(|arg| !matches!(arg, Value::Nil | Value::Missing));
    present.map(show).collect::<Vec<_>>().join(" ")
}

fn find_all<'d>(call: &mut Call<'_, 'd>, args: &[Value<'d>]) -> CallResult<'d> {
    let regex = must_compile(call, &text(args, 0)?)?;
    let input = bytes(args, 1)?;
    let limit = usize::try_from(int(args, 2)?).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    regex.for_each_match(input, |groups| {
        if let Some(range) = groups.get(0).filter(|_| found.len() < limit) {
            found.push(Value::text(input[range].to_vec()));
        }
    });
    Ok(Value::List(List::new(Type::STR_LIST, found)))
}

/// Go's `strings.SplitN`; an empty separator cuts between characters.
fn split(call: &Call<'_, '_>, input: &str, separator: &str, limit: Option<usize>) -> Result<Vec<String>, CallError> {
    // The list takes far more room than its texts.
    call.check_len(input.len().saturating_mul(16))?;
    let limit = limit.unwrap_or(usize::MAX);
    if limit == 0 {
        return Ok(Vec::new());
    }
    if !separator.is_empty() {
        return Ok(input.splitn(limit, separator).map(str::to_owned).collect());
    }
    let mut parts: Vec<String> = Vec::new();
    let mut rest = input;
    while let Some(c) = rest.chars().next() {
        if parts.len() + 1 == limit {
            parts.push(rest.to_owned());
            break;
        }
        parts.push(c.to_string());
        rest = &rest[c.len_utf8()..];
    }
    Ok(parts)
}

/// A `map[string]string` of `_0`, `_1`, …
fn numbered<'d>(parts: Vec<String>) -> Value<'d> {
    let entries = parts.into_iter().enumerate().map(|(at, part)| (Text::from(format!("_{at}")), Value::from(part)));
    Value::Map(Map::new(Type::STR_MAP, entries.collect()))
}

fn entry<'d>(args: &[Value<'d>]) -> Result<Option<Value<'d>>, CallError> {
    match &args[0] {
        Value::Map(map) => Ok(map.get(bytes(args, 1)?).cloned()),
        _ => Ok(None),
    }
}
