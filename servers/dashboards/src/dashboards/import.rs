//! Dashboards that were exported for sharing: their inputs (`${DS_PROMETHEUS}`) get values, the rest of the export's trappings
//! goes.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// A value for an input.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Input {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) plugin_id: String,
    pub(crate) value: String,
}

/// Puts values in place of inputs. An input of a data source that is not given takes what `default_source` has for its
/// plugin, a constant its own value.
///
/// # Errors
/// When an input has no value: it is named.
pub(crate) fn fill(
    mut dashboard: Map<String, Value>,
    given: &[Input],
    default_source: impl Fn(&str) -> Option<String>,
) -> Result<Map<String, Value>, ApiError> {
    let declared = dashboard.remove("__inputs").unwrap_or_default();
    dashboard.remove("__requires");
    let mut values: Vec<(String, String)> = Vec::new();
    for input in declared.as_array().into_iter().flatten() {
        let text = |key: &str| input.get(key).and_then(Value::as_str).unwrap_or("");
        let name = text("name");
        if name.is_empty() {
            continue;
        }
        let own = given.iter().find(|one| one.name == name && !one.value.is_empty()).map(|one| one.value.clone());
        let value = own.or_else(|| match text("type") {
            "constant" => Some(text("value").to_owned()),
            "datasource" => default_source(text("pluginId")),
            _ => None,
        });
        let value = value.ok_or_else(|| {
            ApiError::bad_request(format!("the dashboard needs a value for its input {name}")).with("input", name)
        })?;
        values.push((format!("${{{name}}}"), value));
    }
    // Values for what is not declared are taken too, as older exports need it.
    for one in given.iter().filter(|one| !one.value.is_empty()) {
        let reference = format!("${{{}}}", one.name);
        if !values.iter().any(|(known, _)| *known == reference) {
            values.push((reference, one.value.clone()));
        }
    }
    if !values.is_empty() {
        for value in dashboard.values_mut() {
            replace(value, &values);
        }
    }
    Ok(dashboard)
}

/// Depth is bounded by the JSON reader's own limit.
fn replace(value: &mut Value, values: &[(String, String)]) {
    match value {
        Value::String(text) if text.contains("${") => {
            for (reference, with) in values {
                if text.contains(reference.as_str()) {
                    *text = text.replace(reference.as_str(), with);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, values)),
        Value::Object(map) => map.values_mut().for_each(|item| replace(item, values)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn inputs_get_their_values() {
        let dashboard = json!({
            "__inputs": [{"name": "DS_PROM", "type": "datasource", "pluginId": "prometheus"},
                {"name": "VAR_X", "type": "constant", "value": "5m"}],
            "__requires": [], "title": "T",
            "panels": [{"datasource": {"uid": "${DS_PROM}"}, "targets": [{"expr": "rate(a[${VAR_X}]) ${keep}"}]}]
        });
        let Value::Object(map) = dashboard else { panic!("an object") };
        let given = [Input { name: "DS_PROM".into(), value: "metrics".into(), ..Input::default() }];
        let filled = fill(map.clone(), &given, |_| None).unwrap();
        assert_eq!(
            Value::Object(filled),
            json!({"title": "T", "panels": [{"datasource": {"uid": "metrics"}, "targets": [{"expr": "rate(a[5m]) ${keep}"}]}]})
        );
        assert!(fill(map.clone(), &[], |_| None).unwrap_err().message.contains("DS_PROM"));
        assert!(fill(map, &[], |plugin| (plugin == "prometheus").then(|| "m".into())).is_ok());
    }
}
