//! What is configured as provisioning files, to be kept with the other files of a team.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::api::Params;
use crate::error::{ApiError, ApiResult};

/// Deepest nesting that is written.
const MAX_DEPTH: usize = 64;

/// A file with one section, in the format that was asked for.
pub(super) fn answer(section: &str, items: Vec<Value>, params: &Params, headers: &HeaderMap) -> ApiResult {
    let accepts_json = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("application/json"));
    let format = params.get("format").unwrap_or(if accepts_json { "json" } else { "yaml" });
    let mut file = Map::new();
    file.insert("apiVersion".to_owned(), 1.into());
    file.insert(section.to_owned(), items.into());
    let file = Value::Object(file);
    let mut response: Response = match format {
        "json" => Json(file).into_response(),
        "yaml" => ([(header::CONTENT_TYPE, "text/yaml")], yaml(&file)).into_response(),
        "hcl" => return Err(ApiError::not_built("Export as HCL")),
        other => return Err(ApiError::bad_request(format!("format: {other:?} is none of yaml, json"))),
    };
    if params.flag("download")
        && let Ok(value) = HeaderValue::from_str(&format!("attachment;filename=export.{format}"))
    {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// A group of rules as files have it.
pub(super) fn group_json(group: &crate::alerts::config::RuleGroup, folder: &str) -> Value {
    let rules: Vec<Value> = group
        .rules
        .iter()
        .map(|item| {
            let mut rule = serde_json::to_value(&item.value).unwrap_or_default();
            if let Some(map) = rule.as_object_mut() {
                for key in ["orgID", "folderUID", "ruleGroup"] {
                    map.remove(key);
                }
            }
            rule
        })
        .collect();
    json!({
        "orgId": 1,
        "name": group.name,
        "folder": folder,
        "interval": crate::datasources::query::duration_text(group.interval_ms),
        "rules": rules,
    })
}

/// A value as YAML in block style. Texts are written as JSON writes them, which YAML reads alike.
pub(super) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    write_block(value, 0, 0, &mut out);
    out
}

fn plain(text: &str) -> bool {
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    let safe = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    let word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    first && safe && !word
}

fn text_of(text: &str) -> String {
    if plain(text) { text.to_owned() } else { Value::from(text).to_string() }
}

fn inline(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text_of(text)),
        Value::Array(items) if items.is_empty() => Some("[]".to_owned()),
        Value::Object(map) if map.is_empty() => Some("{}".to_owned()),
        Value::Array(_) | Value::Object(_) => None,
        scalar => Some(scalar.to_string()),
    }
}

fn write_block(value: &Value, indent: usize, depth: usize, out: &mut String) {
    let pad = "  ".repeat(indent);
    if depth > MAX_DEPTH {
        out.push_str(&format!("{pad}{value}\n"));
        return;
    }
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                out.push_str(&format!("{pad}{}:", text_of(key)));
                match inline(value) {
                    Some(text) => out.push_str(&format!(" {text}\n")),
                    None => {
                        out.push('\n');
                        write_block(value, indent + 1, depth + 1, out);
                    }
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                match inline(item) {
                    Some(text) => out.push_str(&format!("{pad}- {text}\n")),
                    None => {
                        // The first line of the item stands behind its dash.
                        let mut block = String::new();
                        write_block(item, indent + 1, depth + 1, &mut block);
                        let rest = block.get(pad.len() + 2..).unwrap_or_default();
                        out.push_str(&format!("{pad}- {rest}"));
                    }
                }
            }
        }
        other => out.push_str(&format!("{pad}{}\n", inline(other).unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_alike() {
        let value = json!({
            "apiVersion": 1,
            "groups": [
                {"name": "a b", "rules": [{"uid": "x", "for": "5m", "labels": {"a": "true", "b": "1", "c": "x: y # z"}, "data": []}], "n": null},
                {"nested": [[1, 2.5], [{"q": "\"quoted\"\nline"}]], "yes": true},
            ],
            "empty": {},
            "~": "-",
        });
        let text = yaml(&value);
        let node = kit::yaml::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(crate::provisioning::to_json(&node), value, "{text}");
    }
}
