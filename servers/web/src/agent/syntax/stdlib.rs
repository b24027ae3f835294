//! The standard library.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::Value;
use super::value::number_text;

type Answer = Result<Value, String>;

/// `constants.*`
pub(super) fn constant(path: &[&str]) -> Option<(Value, usize)> {
    let ["constants", name, ..] = path else { return None };
    let value = match *name {
        "hostname" => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        "os" => std::env::consts::OS.to_owned(),
        "arch" => match std::env::consts::ARCH {
            "x86_64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            other => other.to_owned(),
        },
        "version" => env!("CARGO_PKG_VERSION").to_owned(),
        _ => return None,
    };
    Some((Value::str(value), 2))
}

/// Calls a function. Old names without a namespace are known, too.
pub(super) fn call(name: &str, args: &[Value]) -> Answer {
    let wrong = |what: String| Err(format!("{name}: {what}"));
    let text = |at: usize| match args.get(at) {
        Some(Value::Str(text) | Value::Secret(text)) => Ok(text.to_string()),
        Some(Value::Number(number)) => Ok(number_text(*number)),
        Some(other) => Err(format!("{name}: argument {} must be a string, not {}", at + 1, other.type_name())),
        None => Err(format!("{name}: {} arguments are too few", args.len())),
    };
    let list = |at: usize| match args.get(at) {
        Some(Value::Array(items)) => Ok(items.clone()),
        Some(other) => Err(format!("{name}: argument {} must be an array, not {}", at + 1, other.type_name())),
        None => Err(format!("{name}: {} arguments are too few", args.len())),
    };
    let string = |text: String| Ok(Value::str(text));
    match name {
        "sys.env" | "env" => string(std::env::var(text(0)?).unwrap_or_default()),
        "coalesce" => Ok(args.iter().find(|value| !is_empty(value)).or(args.last()).cloned().unwrap_or_default()),
        "array.concat" | "concat" => {
            let mut out = Vec::new();
            for at in 0..args.len() {
                out.extend(list(at)?.iter().cloned());
            }
            Ok(Value::array(out))
        }
        "array.combine_maps" => combine_maps(name, &list(0)?, &list(1)?, &list(2)?),
        "convert.nonsensitive" | "nonsensitive" => string(text(0)?),
        "encoding.from_base64" | "base64_decode" => decode(name, STANDARD.decode(text(0)?)),
        "encoding.from_URLbase64" => decode(name, URL_SAFE.decode(text(0)?)),
        "encoding.to_base64" => string(STANDARD.encode(text(0)?)),
        "encoding.to_URLbase64" => string(URL_SAFE.encode(text(0)?)),
        "encoding.url_encode" => string(url_encode(&text(0)?)),
        "encoding.url_decode" => string(kit::percent::decode_form(&text(0)?)),
        "encoding.to_json" => string(args.first().map(Value::to_json).unwrap_or_default().to_string()),
        "encoding.from_json" | "json_decode" => match serde_json::from_str(&text(0)?) {
            Ok(json) => Ok(Value::from_json(json)),
            Err(error) => wrong(error.to_string()),
        },
        "encoding.from_yaml" | "yaml_decode" => match kit::config::parse(std::path::Path::new("yaml"), &text(0)?) {
            Ok(json) => Ok(Value::from_json(json)),
            Err(error) => wrong(error.to_string()),
        },
        "json_path" => json_path(&text(0)?, &text(1)?),
        "file.path_join" | "path_join" => {
            let mut path = String::new();
            for at in 0..args.len() {
                let part = text(at)?;
                if !path.is_empty() && !path.ends_with('/') && !part.is_empty() {
                    path.push('/');
                }
                path.push_str(if path.is_empty() { &part } else { part.trim_start_matches('/') });
            }
            string(path)
        }
        "string.format" | "format" => format_text(name, &text(0)?, args.get(1..).unwrap_or(&[])),
        "string.join" | "join" => {
            let parts: Option<Vec<String>> = list(0)?.iter().map(Value::to_text).collect();
            match parts {
                Some(parts) => string(parts.join(&text(1)?)),
                None => wrong("the array must hold strings".into()),
            }
        }
        "string.replace" | "replace" => string(text(0)?.replace(&text(1)?, &text(2)?)),
        "string.split" | "split" => {
            let (subject, separator) = (text(0)?, text(1)?);
            let parts: Vec<Value> = match separator.as_str() {
                "" => subject.chars().map(|c| Value::str(c.to_string())).collect(),
                separator => subject.split(separator).map(Value::str).collect(),
            };
            Ok(Value::array(parts))
        }
        "string.to_lower" | "to_lower" => string(text(0)?.to_lowercase()),
        "string.to_upper" | "to_upper" => string(text(0)?.to_uppercase()),
        "string.trim" | "trim" => {
            let cut = text(1)?;
            string(text(0)?.trim_matches(|c| cut.contains(c)).to_owned())
        }
        "string.trim_prefix" | "trim_prefix" => {
            let subject = text(0)?;
            string(subject.strip_prefix(&text(1)?).unwrap_or(&subject).to_owned())
        }
        "string.trim_suffix" | "trim_suffix" => {
            let subject = text(0)?;
            string(subject.strip_suffix(&text(1)?).unwrap_or(&subject).to_owned())
        }
        "string.trim_space" | "trim_space" => string(text(0)?.trim().to_owned()),
        _ => Err(format!("function {name:?} does not exist")),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Str(text) | Value::Secret(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(b) => !b,
        Value::Number(n) => *n == 0.0,
        Value::Capsule(_) => false,
    }
}

fn decode(name: &str, decoded: Result<Vec<u8>, base64::DecodeError>) -> Answer {
    let bytes = decoded.map_err(|e| format!("{name}: {e}"))?;
    String::from_utf8(bytes).map(Value::str).map_err(|_| format!("{name}: the result is not UTF-8"))
}

fn url_encode(text: &str) -> String {
    kit::percent::encode(text).replace("%20", "+")
}

/// Every pair of maps from both lists that agree on all the keys, merged.
fn combine_maps(name: &str, left: &[Value], right: &[Value], keys: &[Value]) -> Answer {
    let keys: Vec<String> = keys.iter().filter_map(Value::to_text).collect();
    if keys.is_empty() {
        return Err(format!("{name}: the list of keys is empty"));
    }
    let mut out = Vec::new();
    for a in left {
        for b in right {
            let (Value::Object(a), Value::Object(b)) = (a, b) else {
                return Err(format!("{name}: both lists must hold objects"));
            };
            if keys.iter().all(|key| a.get(key).is_some_and(|value| b.get(key) == Some(value))) {
                let mut merged = (**a).clone();
                merged.extend(b.iter().map(|(k, v)| (k.clone(), v.clone())));
                out.push(Value::Object(merged.into()));
            }
        }
    }
    Ok(Value::array(out))
}

/// `%s`, `%d`, `%v`, `%q`, `%f`, `%t`, `%%`.
fn format_text(name: &str, format: &str, args: &[Value]) -> Answer {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let verb = chars.next().ok_or_else(|| format!("{name}: the format ends in a verb's middle"))?;
        if verb == '%' {
            out.push('%');
            continue;
        }
        let arg = args.next().ok_or_else(|| format!("{name}: too few arguments for the format"))?;
        match (verb, arg) {
            ('s' | 'v' | 'd', arg) if arg.to_text().is_some() => out.push_str(&arg.to_text().unwrap_or_default()),
            ('q', arg) => out.push_str(&format!("{:?}", arg.to_text().unwrap_or_default())),
            ('f', Value::Number(n)) => out.push_str(&format!("{n:.6}")),
            ('t' | 'v', Value::Bool(b)) => out.push_str(&b.to_string()),
            ('v', arg) => out.push_str(&arg.to_json().to_string()),
            (verb, arg) => return Err(format!("{name}: %{verb} does not fit {}", arg.type_name())),
        }
    }
    Ok(Value::str(out))
}

/// `$.a.b[0]`, `.a`, `#` is not known; the answer is a list of what was found.
fn json_path(text: &str, path: &str) -> Answer {
    let json: serde_json::Value = serde_json::from_str(text).map_err(|e| format!("json_path: {e}"))?;
    let pointer: String = path
        .trim_start_matches('$')
        .replace('[', ".")
        .replace(']', "")
        .split('.')
        .filter(|part| !part.is_empty())
        .map(|part| format!("/{}", part.trim_matches(['\'', '"'])))
        .collect();
    if pointer.contains(['*', '?', '@']) {
        return Err("json_path: only names and indexes are supported in a path".into());
    }
    let found = json.pointer(&pointer).cloned();
    Ok(Value::array(found.into_iter().map(Value::from_json).collect()))
}
