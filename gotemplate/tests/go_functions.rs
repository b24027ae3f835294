//! Functions on text and numbers, against what Go and the packages that sprig builds on answer.

use foursight_gotemplate::{Context, Functions, MissingKey, TemplateSet, Value, sets};

/// Tab-separated, texts in hexadecimal: function, arguments, answer (starting with `E`: an error).
const CASES: &str = include_str!("fixtures/go_functions.txt");

fn unhex(text: &str) -> String {
    let byte = |i: usize| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap();
    String::from_utf8_lossy(&(0..text.len() / 2).map(byte).collect::<Vec<u8>>()).into_owned()
}

fn check(line: &str, loki: &Functions, messages: &Functions, rules: &Functions) -> Result<(), String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let (function, want) = (fields[0], unhex(fields[fields.len() - 1]));
    let args: Vec<String> = fields[1..fields.len() - 1]
        .iter()
        .take(if function == "round" { 1 } else { 3 })
        .map(|arg| unhex(arg))
        .collect();
    let (template, functions) = match function {
        "intf" => ("{{ add (float64 .a) }}".to_owned(), loki),
        "round" => (format!("{{{{ round .a {} }}}}", fields[2]), loki),
        "maxf" | "minf" => (format!("{{{{ {function} .a .b }}}}"), loki),
        "addf" | "subf" | "mulf" | "divf" => (format!("{{{{ {function} .a .b .c }}}}"), loki),
        "amtitle" => ("{{ title .a }}".to_owned(), messages),
        "promtitle" => ("{{ title .a }}".to_owned(), rules),
        // Loki adds missing padding; the agent's is the plain one.
        "b64" => ("{{ b64dec .a }}".to_owned(), &sets::agent()),
        other => (format!("{{{{ {other} .a }}}}"), loki),
    };
    let set = TemplateSet::of("t", &template, functions, MissingKey::Zero).map_err(|error| error.to_string())?;
    let context = Context::at("2026-01-01T00:00:00Z".parse().unwrap());
    let names = ["a", "b", "c"];
    let data = Value::map(names.iter().zip(&args).map(|(name, arg)| (*name, Value::from(arg.as_str()))));
    let got = match set.render(data, &context) {
        Ok(text) => text,
        Err(error) => {
            let error = error.to_string();
            let message =
                error.split_once(&format!("error calling {function}: ")).map_or(&*error, |(_, message)| message);
            format!("E{message}")
        }
    };
    if got == want { Ok(()) } else { Err(format!("{function} {args:?}: {got:?}, want {want:?}")) }
}

#[test]
fn as_go_and_sprig_have_them() {
    let (loki, messages, rules) = (sets::loki(), sets::alertmanager(), sets::prometheus());
    let wrong: Vec<String> = CASES.lines().filter_map(|line| check(line, &loki, &messages, &rules).err()).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(80)].join("\n"));
}
