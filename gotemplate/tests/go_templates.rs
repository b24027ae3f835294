//! Templates over one set of data, against what Go 1.27's `text/template` writes or says.

use foursight_gotemplate::gotime::{Duration, Time};
use foursight_gotemplate::{
    CallError, Context, Function, Functions, List, Map, MissingKey, Param, TemplateSet, Text, Type, Value,
};

/// Tab-separated: rule for missing keys, template in hexadecimal, then the output in hexadecimal, or `E` and the error,
/// for an error of execution followed by a slash and what was written before it. Two thirds are made at random. Left out
/// is what this crate does not follow: complex numbers, a time printed by a verb for numbers (Go shows its inside), and
/// `slice` refusing an index only because it lay in a `map[string]interface {}`.
const CASES: &str = include_str!("fixtures/go_templates.txt");

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn text(value: &Value<'_>) -> String {
    match value {
        Value::Str(text) => text.to_str().into_owned(),
        other => panic!("not a string: {other:?}"),
    }
}

/// Functions with parameters of every kind.
static FUNCTIONS: &[Function] = &[
    Function::new("up", &[Param::Str], "", |_, args| Ok(text(&args[0]).to_uppercase().into())),
    Function::new("rep", &[Param::Int, Param::Str], "", |_, args| {
        let Value::Int(count) = args[0] else { panic!() };
        Ok(if (0..=100).contains(&count) { text(&args[1]).repeat(count as usize) } else { "?".to_owned() }.into())
    }),
    Function::variadic("addi", &[], Param::Int, "", |_, args| {
        Ok(Value::Int(args.iter().map(|arg| if let Value::Int(n) = arg { *n } else { panic!() }).sum()))
    }),
    Function::variadic("cat", &[Param::Str], Param::Str, "", |_, args| {
        Ok(args.iter().map(text).collect::<String>().into())
    }),
    Function::new("sec", &[Param::Time], "", |_, args| {
        let Value::Time(time) = &args[0] else { panic!() };
        Ok(Value::Int64(time.unix()))
    }),
    Function::new("isn", &[Param::Any], "", |_, args| Ok(Value::Bool(matches!(args[0], Value::Nil | Value::Missing)))),
    Function::new("half", &[Param::Float], "", |_, args| {
        let Value::Float(number) = args[0] else { panic!() };
        Ok(Value::Float(number / 2.0))
    }),
    Function::new("wide", &[Param::Int64], "", |_, args| Ok(args[0].clone())),
    Function::new("fail", &[Param::Str], "", |_, args| Err(CallError::new(format_args!("failed: {}", text(&args[0]))))),
    Function::variadic("strs", &[], Param::Str, "", |_, args| {
        Ok(Value::List(List::new(Type::STR_LIST, args.to_vec())))
    }),
    Function::new("joinl", &[Param::Str, Param::Of(Type::STR_LIST)], "", |_, args| {
        let Value::List(list) = &args[1] else { panic!() };
        Ok(list.items.iter().map(text).collect::<Vec<_>>().join(&text(&args[0])).into())
    }),
];

fn data() -> Value<'static> {
    let strings = |items: &[(&'static str, &'static str)]| {
        let entries = items.iter().map(|(k, v)| (Text::from(*k), Value::from(*v))).collect();
        Value::Map(Map::new(Type::STR_MAP, entries))
    };
    let deep = Value::map([("d", Value::from("deep")), ("n", Value::Nil)]);
    let list = vec![Value::Int(1), "two".into(), 3.0.into(), Value::Nil, Value::strings(["in"])];
    let time = Time::from_unix(1_709_211_845, 678_000_000, foursight_gotemplate::gotime::Zone::Utc);
    Value::map([
        ("s", Value::from("hello")),
        ("i", Value::Int(42)),
        ("f", Value::Float(3.5)),
        ("t", Value::Bool(true)),
        ("n", Value::Nil),
        ("l", Value::list(list)),
        ("ss", Value::strings(["a", "b", "c"])),
        ("m", Value::map([("a", Value::Int(1)), ("b", "x".into()), ("c", deep)])),
        ("sm", strings(&[("x", "1"), ("y", "2")])),
        ("e", "".into()),
        ("z", Value::Int(0)),
        ("h", "<a href='x'>&\"=\\".into()),
        ("neg", Value::Int(-7)),
        ("el", Value::list(Vec::new())),
        ("em", Value::map::<&str>([])),
        ("u", "héllo wörld".into()),
        ("big", Value::Int64(1 << 40)),
        ("tm", time.into()),
        ("d", Duration(90_500_000_000).into()),
        ("fz", Value::Float(0.0)),
        ("fl", Value::Float(1e21)),
        ("q", "say \"hi\"\n\ttab".into()),
    ])
}

fn check(line: &str, functions: &Functions) -> Result<(), String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let rule = match fields[0] {
        "zero" => MissingKey::Zero,
        "error" => MissingKey::Error,
        _ => MissingKey::Default,
    };
    let template = String::from_utf8(unhex(fields[1])).unwrap();
    let context = Context::at("2024-02-29T00:00:00Z".parse().unwrap());
    let mut out = Vec::new();
    let set = TemplateSet::of("line", &template, functions, rule);
    let result = set.and_then(|set| {
        let result = set.execute(&mut out, data(), &context);
        // A second run over the same set gives the same.
        let mut again = Vec::new();
        assert_eq!(set.execute(&mut again, data(), &context), result);
        assert_eq!(again, out);
        result
    });
    let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let got = match &result {
        Ok(()) => format!("wrote {:?}", show(&out)),
        Err(error) => format!("wrote {:?}, error {error}", show(&out)),
    };
    let want = match fields[2].strip_prefix('E') {
        None => format!("wrote {:?}", show(&unhex(fields[2]))),
        Some(error) => {
            let (error, written) = error.split_once('/').unwrap_or((error, ""));
            format!("wrote {:?}, error {}", show(&unhex(written)), show(&unhex(error)))
        }
    };
    if got == want { Ok(()) } else { Err(format!("{template:?} ({})\n   got {got}\n  want {want}", fields[0])) }
}

#[test]
fn as_go_does() {
    let functions = Functions::builtins().with(FUNCTIONS);
    let wrong: Vec<String> = CASES.lines().filter_map(|line| check(line, &functions).err()).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(60)].join("\n"));
}
