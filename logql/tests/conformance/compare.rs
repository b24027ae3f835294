//! The comparison rules of the conformance data.

use serde_json::Value;

use crate::answer::Refusal;

/// What is wrong with an answer, if anything is.
pub fn judge(case: &Value, got: &Result<Value, Refusal>) -> Option<String> {
    let want_status = case["status"].as_i64().unwrap();
    let status = got.as_ref().map_or_else(|refusal| refusal.status, |_| 200);
    if status != want_status && !(want_status >= 500 && status >= 400) {
        let text = got.as_ref().err().map(|refusal| refusal.text.as_str()).unwrap_or("");
        return Some(format!("status {status} ({text}), expected {want_status}"));
    }
    let Ok(got) = got else { return None };
    difference(case, &normal(case, case["expected"].clone()), &normal(case, got.clone()))
}

fn key(value: &Value) -> String {
    // Objects print with sorted keys.
    value.to_string()
}

fn sort_by_labels(list: &mut [Value]) {
    list.sort_by_cached_key(|item| {
        let labels = item.get("stream").or(item.get("metric")).cloned().unwrap_or_default();
        (key(&labels), key(item.get("value").or(item.get("values")).unwrap_or(&Value::Null)))
    });
}

/// Sorts what has no order.
fn normal(case: &Value, mut value: Value) -> Value {
    let endpoint = case["endpoint"].as_str().unwrap();
    match case["compare"].as_str() {
        Some("keys") => {
            let name = |v: &Value| {
                match v {
                    Value::Array(_) => "list",
                    Value::String(text) if text == "list" || text == "str" => return v.clone(),
                    Value::String(_) => "str",
                    _ => "other",
                }
                .into()
            };
            return value.as_object().unwrap().iter().map(|(k, v)| (k.clone(), name(v))).collect();
        }
        Some(other) if other != "exact" => panic!("comparison {other}"),
        _ => {}
    }
    let list = if endpoint == "query" || endpoint == "query_range" || endpoint.starts_with("index/volume") {
        if case["ordered"] == true { None } else { value.get_mut("result") }
    } else if endpoint.starts_with("detected") {
        ["detectedLabels", "fields", "values"]
            .iter()
            .find(|name| value.get(**name).is_some())
            .and_then(|name| value.get_mut(*name))
    } else {
        ["data", "values", "streams"]
            .iter()
            .find(|name| value.get(**name).is_some())
            .and_then(|name| value.get_mut(*name))
    };
    if let Some(Value::Array(list)) = list {
        match endpoint {
            "query" | "query_range" => {
                if list.first().is_some_and(Value::is_object) {
                    sort_by_labels(list);
                }
            }
            _ if endpoint.starts_with("index/volume") => sort_by_labels(list),
            _ => {
                for item in list.iter_mut() {
                    if let Some(Value::Array(parsers)) = item.get_mut("parsers") {
                        parsers.sort_by_cached_key(key);
                    }
                }
                list.sort_by_cached_key(|item| key(item.get("label").unwrap_or(item)));
            }
        }
    }
    value
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "+Inf" => Some(f64::INFINITY),
            "-Inf" => Some(f64::NEG_INFINITY),
            text => text.parse().ok(),
        },
        _ => None,
    }
}

/// Equal within 1e-9 of the larger, or 1e-12.
fn same_number(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (number(a), number(b)) else { return false };
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    a == b || (a - b).abs() <= (1e-9 * a.abs().max(b.abs())).max(1e-12)
}

fn same_points(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| same_number(&a[0], &b[0]) && b[1].is_string() && same_number(&a[1], &b[1]))
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(600) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

fn difference(case: &Value, want: &Value, got: &Value) -> Option<String> {
    if want == got {
        return None;
    }
    let endpoint = case["endpoint"].as_str().unwrap();
    let plain = || Some(format!("{}\n     expected {}", short(got), short(want)));
    if endpoint == "index/stats" {
        let same = ["streams", "entries"].iter().all(|name| want[*name] == got[*name]);
        return if same { None } else { plain() };
    }
    if want["resultType"] != got["resultType"] {
        return plain();
    }
    if endpoint.starts_with("index/volume") {
        let metrics = |value: &Value| {
            value["result"].as_array().map(|list| list.iter().map(|item| item["metric"].clone()).collect::<Vec<_>>())
        };
        return if metrics(want) == metrics(got) { None } else { plain() };
    }
    let result_type = want["resultType"].as_str().unwrap_or("");
    match result_type {
        "scalar" => {
            let (a, b) = (want["result"].clone(), got["result"].clone());
            if same_points(&[a], &[b]) { None } else { plain() }
        }
        "vector" | "matrix" => {
            let (Some(a), Some(b)) = (want["result"].as_array(), got["result"].as_array()) else { return plain() };
            let points = |item: &Value| match item.get("value") {
                Some(value) => vec![value.clone()],
                None => item["values"].as_array().cloned().unwrap_or_default(),
            };
            let same = |(a, b): (&Value, &Value)| a["metric"] == b["metric"] && same_points(&points(a), &points(b));
            if a.len() == b.len() && a.iter().zip(b).all(same) { None } else { plain() }
        }
        _ => plain(),
    }
}
