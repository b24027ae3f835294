//! What the dashboards host adds: namespaces for messages, functions on label sets for rules.

use super::args::{bytes, ok, shown, text};
use super::{json, strings};
use crate::error::CallError;
use crate::function::{CallResult, Function, Param};
use crate::gotime::Time;
use crate::value::{Element, Map, Record, Text, Type, Value};

/// A namespace: a value whose methods are its functions.
const fn namespace(name: &'static str, methods: &'static [Function]) -> Type {
    Type { name, element: Element::Any, methods, display: None, json_lower: false }
}

static COLL: &Type = &namespace("*gomplate.CollFuncs", COLL_METHODS);
static DATA: &Type = &namespace("*gomplate.DataFuncs", DATA_METHODS);
static TMPL: &Type = &namespace("*gomplate.TmplFuncs", TMPL_METHODS);
static TIME: &Type = &namespace("*gomplate.TimeFuncs", TIME_METHODS);

fn of<'d>(ty: &'static Type) -> CallResult<'d> {
    Ok(Value::Record(Record::new(ty, Vec::new())))
}

pub(super) static MESSAGES: &[Function] = &[
    Function::new("coll", &[], "coll.Dict, coll.Slice, coll.Append", |_, _| of(COLL)),
    Function::new("data", &[], "data.JSON, data.ToJSON, data.ToJSONPretty", |_, _| of(DATA)),
    Function::new("tmpl", &[], "tmpl.Exec, tmpl.Inline", |_, _| of(TMPL)),
    Function::new("time", &[], "time.Now", |_, _| of(TIME)),
];

static COLL_METHODS: &[Function] = &[
    Function::variadic("Dict", &[], Param::Any, "A map of the arguments, name and value in turn.", |_, args| {
        let entries = args[1..].chunks(2).map(|pair| {
            let key = if let Value::Nil | Value::Missing = pair[0] { "nil".to_owned() } else { shown(&pair[0]) };
            (key, pair.get(1).cloned().unwrap_or_else(|| "".into()))
        });
        Ok(Value::map(entries))
    }),
    Function::variadic("Slice", &[], Param::Any, "A list of the arguments.", |_, args| {
        Ok(Value::list(args[1..].to_vec()))
    }),
    Function::new("Append", &[Param::Any, Param::Any], "`coll.Append item list`", |_, args| match &args[2] {
        Value::List(list) => Ok(Value::list(list.items.iter().chain([&args[1]]).cloned().collect())),
        _ => Err(CallError::new("expected an array or slice, but got a reflect.Value")),
    }),
];

static DATA_METHODS: &[Function] = &[
    Function::new("JSON", &[Param::Any], "The value of a JSON text.", |_, args| {
        let input = shown(&args[1]);
        json::parse(input.as_bytes())
            .ok_or_else(|| CallError::Failed(format!("unable to unmarshal object {input}: not JSON")))
    }),
    Function::new("ToJSON", &[Param::Any], "As JSON.", |_, args| ok(json::write(&args[1])?)),
    Function::new("ToJSONPretty", &[Param::Str, Param::Any], "`data.ToJSONPretty indent value`", |_, args| {
        ok(json::write_pretty(&args[2], bytes(args, 1)?)?)
    }),
];

static TMPL_METHODS: &[Function] = &[
    Function::variadic(
        "Exec",
        &[Param::Str],
        Param::Any,
        "`tmpl.Exec name data`: what a template writes.",
        |call, args| {
            let name = text(args, 1)?.into_owned();
            if name.is_empty() {
                return Err(CallError::new("template name is required"));
            }
            // With more than one value Go passes none.
            let data = match &args[2..] {
                [data] => data.clone(),
                _ => Value::Missing,
            };
            if !call.has_template(&name) {
                return Err(CallError::Failed(format!("template \"{name}\" not defined")));
            }
            ok(call.render(&name, data)?)
        },
    ),
    Function::new("Inline", &[Param::Any, Param::Any], "`tmpl.Inline text data`", |call, args| {
        let Value::Str(template) = &args[1] else {
            let ty = args[1].type_name();
            return Err(CallError::Failed(format!("wrong input: first arg must be string, got {ty}")));
        };
        ok(call.render_text("<inline>", &template.to_str(), args[2].clone())?)
    }),
];

static TIME_METHODS: &[Function] = &[Function::new("Now", &[], "The present time.", |call, _| {
    ok(Time { timestamp: call.context().now, zone: call.context().local.clone() })
})];

const STR: &[Param] = &[Param::Str];

pub(super) static RULES: &[Function] = &[
    Function::new("filterLabels", &[Param::Any, Param::Str], "`filterLabels labels prefix`", |_, args| {
        let prefix = bytes(args, 1)?;
        keep(&args[0], |name| name.starts_with(prefix))
    }),
    Function::new("removeLabels", &[Param::Any, Param::Str], "`removeLabels labels prefix`", |_, args| {
        let prefix = bytes(args, 1)?;
        keep(&args[0], |name| !name.starts_with(prefix))
    }),
    Function::new("filterLabelsRe", &[Param::Any, Param::Str], "`filterLabelsRe labels regex`", |call, args| {
        let regex = super::prometheus::must_compile(call, &text(args, 1)?)?;
        keep(&args[0], |name| regex.is_match_bytes(name))
    }),
    Function::new("removeLabelsRe", &[Param::Any, Param::Str], "`removeLabelsRe labels regex`", |call, args| {
        let regex = super::prometheus::must_compile(call, &text(args, 1)?)?;
        keep(&args[0], |name| !regex.is_match_bytes(name))
    }),
    Function::new(
        "mergeLabelValues",
        &[Param::Any],
        "Labels of all values, distinct ones joined by commas.",
        |_, args| merge_label_values(&args[0]),
    ),
    Function::new("toUpper", STR, "In upper case.", |_, args| ok(strings::upper(&text(args, 0)?))),
];

fn keep<'d>(labels: &Value<'d>, keep: impl Fn(&[u8]) -> bool) -> CallResult<'d> {
    match labels {
        Value::Map(map) => {
            let kept = map.entries().iter().filter(|(name, _)| keep(name)).cloned().collect();
            Ok(Value::Map(Map::new(map.ty, kept)))
        }
        Value::Object(object) => {
            let object: &'d dyn crate::value::Object = *object;
            let entries = (0..object.len()).map_while(|index| object.entry(index));
            Ok(Value::Map(Map::new(Type::STR_MAP, entries.filter(|(name, _)| keep(name)).collect())))
        }
        other => Err(CallError::Failed(format!("not a set of labels: {}", other.type_name()))),
    }
}

/// `$values` is a map of structs with a field `Labels`.
fn merge_label_values<'d>(values: &Value<'d>) -> CallResult<'d> {
    let Value::Map(values) = values else {
        return Err(CallError::Failed(format!("not a map of values: {}", values.type_name())));
    };
    let mut merged: Vec<(Text<'d>, Vec<Text<'d>>)> = Vec::new();
    for (_, value) in values.entries() {
        let Value::Record(record) = value else { continue };
        let Some(Value::Map(labels)) = record.get("Labels") else { continue };
        for (name, value) in labels.entries() {
            let Value::Str(value) = value else { continue };
            match merged.iter_mut().find(|(known, _)| known == name) {
                Some((_, all)) if all.contains(value) => {}
                Some((_, all)) => all.push(value.clone()),
                None => merged.push((name.clone(), vec![value.clone()])),
            }
        }
    }
    let entries = merged.into_iter().map(|(name, mut all)| {
        all.sort_by(|a, b| a.cmp(b));
        (name, Value::text(all.iter().map(|text| text.to_vec()).collect::<Vec<_>>().join(&b", "[..])))
    });
    Ok(Value::Map(Map::new(Type::STR_MAP, entries.collect())))
}
