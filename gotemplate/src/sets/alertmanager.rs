//! Messages about alerts.

use super::args::{bytes, list, ok, shown, strings, text, time};
use super::base64::{self, Alphabet};
use super::json;
use super::prometheus::{humanize_duration, re_replace, regex_match};
use super::strings as texts;
use crate::error::CallError;
use crate::escape;
use crate::function::{CallResult, Function, Param};
use crate::gotime::{Time, Zone};
use crate::value::{Element, List, Map, Record, Text, Type, Value};

/// `template.KV`: labels or annotations.
pub static KV: &Type = &Type {
    name: "template.KV",
    element: Element::Str,
    methods: KV_METHODS,
    display: Some(|value| show_pairs(&pairs_of(value))),
    json_lower: false,
};
/// `template.Pairs`: labels in an order.
pub static PAIRS: &Type = &Type {
    name: "template.Pairs",
    element: Element::Host(PAIR),
    methods: PAIRS_METHODS,
    display: Some(|value| match value {
        Value::List(list) => show_pairs(&list.items),
        _ => String::new(),
    }),
    json_lower: false,
};
/// `template.Pair`: `Name` and `Value`.
pub static PAIR: &Type = &Type::plain("template.Pair", Element::Str);
/// `template.Strings`: names or values.
pub static STRINGS: &Type = &Type {
    name: "template.Strings",
    element: Element::Str,
    methods: STRINGS_METHODS,
    display: None,
    json_lower: false,
};
/// `template.Alerts`: structs with a field `Status`.
pub static ALERTS: &Type =
    &Type { name: "template.Alerts", element: Element::Any, methods: ALERTS_METHODS, display: None, json_lower: false };

/// A [`KV`] of labels or annotations.
pub fn kv<'d>(pairs: impl IntoIterator<Item = (Text<'d>, Text<'d>)>) -> Value<'d> {
    Value::Map(Map::new(KV, pairs.into_iter().map(|(name, value)| (name, Value::Str(value))).collect()))
}

/// The pairs of a KV: the alert's name first, the rest by name.
fn pairs_of<'d>(value: &Value<'d>) -> Vec<Value<'d>> {
    let Value::Map(map) = value else { return Vec::new() };
    let (first, rest): (Vec<_>, Vec<_>) = map.entries().iter().partition(|(name, _)| **name == *b"alertname");
    let pair = |(name, value): &(Text<'d>, Value<'d>)| {
        Value::Record(Record::new(PAIR, vec![("Name", Value::Str(name.clone())), ("Value", value.clone())]))
    };
    first.into_iter().chain(rest).map(pair).collect()
}

/// A field of each pair.
fn column<'d>(pairs: &[Value<'d>], field: &str) -> Value<'d> {
    let items = pairs.iter().map(|pair| match pair {
        Value::Record(record) => record.get(field).cloned().unwrap_or(Value::Nil),
        _ => Value::Nil,
    });
    Value::List(List::new(STRINGS, items.collect()))
}

fn show_pairs(pairs: &[Value<'_>]) -> String {
    let show = |pair: &Value<'_>| match pair {
        Value::Record(record) => record.fields.iter().map(|(_, value)| shown(value)).collect::<Vec<_>>().join("="),
        _ => String::new(),
    };
    pairs.iter().map(show).collect::<Vec<_>>().join(", ")
}

static KV_METHODS: &[Function] = &[
    Function::new("SortedPairs", &[], "The pairs, alertname first, the rest by name.", |_, args| {
        Ok(Value::List(List::new(PAIRS, pairs_of(&args[0]))))
    }),
    Function::new("Names", &[], "The names in that order.", |_, args| Ok(column(&pairs_of(&args[0]), "Name"))),
    Function::new("Values", &[], "The values in that order.", |_, args| Ok(column(&pairs_of(&args[0]), "Value"))),
    Function::new("Remove", &[Param::Of(Type::STR_LIST)], "Without the names in a list.", |_, args| {
        let Value::Map(map) = &args[0] else { return Err(CallError::new("not a set of labels")) };
        let names = list(args, 1)?;
        let names = strings(&names);
        let kept = map.entries().iter().filter(|(name, _)| !names.iter().any(|gone| **gone == **name));
        Ok(Value::Map(Map::new(KV, kept.cloned().collect())))
    }),
    Function::new("String", &[], "As in a=1, b=2.", |_, args| ok(show_pairs(&pairs_of(&args[0])))),
];

static PAIRS_METHODS: &[Function] = &[
    Function::new("Names", &[], "The names.", |_, args| Ok(column(&list(args, 0)?.items, "Name"))),
    Function::new("Values", &[], "The values.", |_, args| Ok(column(&list(args, 0)?.items, "Value"))),
    Function::new("String", &[], "As in a=1, b=2.", |_, args| ok(show_pairs(&list(args, 0)?.items))),
];

static STRINGS_METHODS: &[Function] =
    &[Function::new("Join", &[Param::Str], "The texts with a separator between.", |_, args| {
        ok(texts::join(bytes(args, 1)?, &strings(&list(args, 0)?)))
    })];

static ALERTS_METHODS: &[Function] = &[
    Function::new("Firing", &[], "Those that fire.", |_, args| with_status(args, b"firing")),
    Function::new("Resolved", &[], "Those that are resolved.", |_, args| with_status(args, b"resolved")),
];

fn with_status<'d>(args: &[Value<'d>], status: &[u8]) -> CallResult<'d> {
    let alerts = list(args, 0)?;
    let has = |alert: &&Value<'d>| match alert {
        Value::Record(record) => matches!(record.get("Status"), Some(Value::Str(text)) if **text == *status),
        Value::Object(object) => matches!(object.field("Status"), Some(Value::Str(text)) if *text == *status),
        _ => false,
    };
    Ok(Value::List(List::new(alerts.ty, alerts.items.iter().filter(has).cloned().collect())))
}

const STR: &[Param] = &[Param::Str];
const STR2: &[Param] = &[Param::Str, Param::Str];

pub(super) static MESSAGES: &[Function] = &[
    Function::host("routeLabels", STR, "A label of the route that the message came by."),
    Function::new("toUpper", STR, "In upper case.", |_, args| ok(texts::upper(&text(args, 0)?))),
    Function::new("toLower", STR, "In lower case.", |_, args| ok(texts::lower(&text(args, 0)?))),
    Function::new("title", STR, "A capital at the start of each word, the rest small.", |_, args| {
        ok(texts::title_words(&text(args, 0)?, false))
    }),
    Function::new("trimSpace", STR, "Without spaces at the ends.", |_, args| texts::trim_space(args, 0)),
    Function::new("join", &[Param::Str, Param::Of(Type::STR_LIST)], "`join separator list`", |_, args| {
        ok(texts::join(bytes(args, 0)?, &strings(&list(args, 1)?)))
    }),
    Function::new("match", STR2, "`match regex text`", regex_match),
    Function::new(
        "reReplaceAll",
        &[Param::Str, Param::Str, Param::Str],
        "`reReplaceAll regex replacement text`",
        re_replace,
    ),
    Function::new("safeHtml", STR, "The text as it is.", |_, args| Ok(args[0].clone())),
    Function::new("safeUrl", STR, "The text as it is.", |_, args| Ok(args[0].clone())),
    Function::new("urlUnescape", STR, "Out of the query of a URL.", |_, args| {
        escape::url_query_decode(bytes(args, 0)?).map(Value::from).map_err(CallError::Failed)
    }),
    Function::variadic("stringSlice", &[], Param::Str, "A list of the arguments.", |_, args| {
        Ok(Value::List(List::new(Type::STR_LIST, args.to_vec())))
    }),
    Function::new("date", &[Param::Str, Param::Time], "`date layout time`", |_, args| {
        ok(time(args, 1)?.format(&text(args, 0)?))
    }),
    Function::new("tz", &[Param::Str, Param::Time], "`tz zone time`: the time in a zone.", |call, args| {
        let zone = Zone::load(&text(args, 0)?, &call.context().local).map_err(CallError::new)?;
        ok(time(args, 1)?.within(zone))
    }),
    Function::new("now", &[], "The present time.", |call, _| {
        ok(Time { timestamp: call.context().now, zone: call.context().local.clone() })
    }),
    Function::new("since", &[Param::Time], "The time passed since then.", |call, args| {
        ok(Time::utc(call.context().now).since(&*time(args, 0)?))
    }),
    Function::new("humanizeDuration", &[Param::Any], "Seconds as 1d 2h 3m 4s.", humanize_duration),
    Function::new("toDate", STR2, "`toDate layout text`, the zero time if it cannot be read.", |_, args| {
        ok(parsed(args).unwrap_or_else(|_| Time::zero()))
    }),
    Function::new("mustToDate", STR2, "`mustToDate layout text`", |_, args| ok(parsed(args)?)),
    Function::new("toJson", &[Param::Any], "As JSON.", |_, args| ok(json::write(&args[0])?)),
    Function::new("base64encode", STR, "In base 64 for URLs.", |_, args| {
        ok(base64::encode(bytes(args, 0)?, Alphabet::Url))
    }),
    Function::new("base64decode", STR, "Out of base 64 for URLs.", |_, args| {
        base64::decode(bytes(args, 0)?, Alphabet::Url).map(Value::from).map_err(CallError::new)
    }),
    Function::variadic("list", &[], Param::Any, "A list of the arguments.", |_, args| Ok(Value::list(args.to_vec()))),
    Function::variadic("append", &[Param::Of(Type::ANY_LIST)], Param::Any, "`append list items…`", |_, args| {
        Ok(Value::list(list(args, 0)?.items.iter().chain(&args[1..]).cloned().collect()))
    }),
    Function::variadic("dict", &[], Param::Any, "A map of the arguments, name and value in turn.", |_, args| {
        if args.len() % 2 != 0 {
            return Err(CallError::new("dict requires an even number of arguments"));
        }
        let entry = |pair: &[Value<'_>]| matches!(pair[0], Value::Str(_));
        if !args.chunks(2).all(entry) {
            return Err(CallError::new("dict keys must be strings"));
        }
        let key = |value: &Value<'_>| match value {
            Value::Str(text) => Text::from(text.to_vec()),
            _ => Text::from(""),
        };
        Ok(Value::map(args.chunks(2).map(|pair| (key(&pair[0]), pair[1].clone()))))
    }),
];

fn parsed(args: &[Value<'_>]) -> Result<Time, CallError> {
    Time::parse(&text(args, 0)?, &text(args, 1)?, &Zone::Utc, &Zone::Utc).map_err(CallError::new)
}
