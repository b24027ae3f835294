//! Configured JSON whose texts are templates: PagerDuty's details, custom payloads of webhooks.

use serde_json::{Map, Value};

use super::{Job, RenderError};

/// A copy of `value` with its keys and texts expanded. A text that becomes JSON other than a text counts as that, so that
/// `{{ .Alerts | toJson }}` is a list; a text that becomes empty is `null`.
pub(super) fn expand(job: &Job<'_>, field: &'static str, value: &Value) -> Result<Value, RenderError> {
    Ok(match value {
        Value::String(text) => typed(job.text(field, text)?),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| expand(job, field, item)).collect::<Result<_, _>>()?)
        }
        Value::Object(entries) => {
            let mut out = Map::new();
            for (key, value) in entries {
                out.insert(job.text(field, key)?, expand(job, field, value)?);
            }
            Value::Object(out)
        }
        other => other.clone(),
    })
}

fn typed(text: String) -> Value {
    if matches!(text.trim(), "" | "~") {
        return Value::Null;
    }
    match serde_json::from_str(&text) {
        Ok(Value::String(_)) | Err(_) => Value::String(text),
        Ok(value) => value,
    }
}
