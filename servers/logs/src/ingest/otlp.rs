//! OpenTelemetry log records as entries: resource attributes on the list become labels, the rest structured metadata.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use wire::otlp::{AnyValue, Encoding, KeyValue, LogRecord, ResourceLogs, ScopeLogs};

use super::metadata::label_name;
use super::stream::{StreamCache, text_of};
use super::{Batch, Entry, Incoming, PushError, SERVICE_NAME, UNKNOWN_SERVICE};
use crate::config::{Action, TenantLimits};

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Reads an export request.
///
/// # Errors
/// When the body is damaged or has attributes without a name.
pub(crate) fn decode<'a>(
    body: &'a [u8],
    encoding: Encoding,
    streams: &StreamCache,
    limits: &TenantLimits,
    now_ns: i64,
) -> Result<Batch<'a>, PushError> {
    let mut batch = Batch::default();
    // Where the entries of a stream are collected, by the text of its labels.
    let mut index: HashMap<String, usize> = HashMap::new();
    for logs in wire::otlp::decode_logs(body, encoding)? {
        resource(logs, &mut batch, &mut index, streams, limits, now_ns)?;
    }
    Ok(batch)
}

fn resource<'a>(
    logs: ResourceLogs<'a>,
    batch: &mut Batch<'a>,
    index: &mut HashMap<String, usize>,
    streams: &StreamCache,
    limits: &TenantLimits,
    now_ns: i64,
) -> Result<(), PushError> {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    let mut shared: Pairs<'a> = Vec::new();
    let named = logs.resource.attributes.iter().any(|a| a.key == "service.name" && !text(&a.value).is_empty());
    for attribute in logs.resource.attributes {
        match limits.otlp.resource(&attribute.key) {
            Action::Drop => {}
            Action::IndexLabel => flatten(attribute, "", &mut |name, value| {
                labels.insert(name, value.into_owned());
            })?,
            Action::StructuredMetadata => {
                flatten(attribute, "", &mut |name, value| shared.push((Cow::Owned(name), value)))?
            }
        }
    }
    if !named && !limits.discover_service_name.is_empty() {
        let found =
            limits.discover_service_name.iter().find_map(|name| labels.get(name).filter(|value| !value.is_empty()));
        let found = found.map_or(UNKNOWN_SERVICE, String::as_str).to_owned();
        labels.insert(SERVICE_NAME.to_owned(), found);
    }
    let mut key = String::new();
    for ScopeLogs { scope, records } in logs.scopes {
        let mut common = shared.clone();
        for attribute in scope.attributes {
            // Scopes are not streams: whatever is not dropped is metadata.
            if limits.otlp.scope(&attribute.key) != Action::Drop {
                flatten(attribute, "", &mut |name, value| common.push((Cow::Owned(name), value)))?;
            }
        }
        for (name, value) in [("scope_name", scope.name), ("scope_version", scope.version)] {
            if !value.is_empty() {
                common.push((Cow::Borrowed(name), value));
            }
        }
        for record in records {
            let (own, entry) = log_record(record, &common, limits, now_ns)?;
            let all = labels.iter().filter(|(name, _)| !own.contains_key(*name)).chain(&own);
            let mut all: Vec<(&str, &str)> = all.map(|(n, v)| (n.as_str(), v.as_str())).collect();
            all.sort_unstable();
            text_of(&mut key, all);
            let at = match index.get(&key) {
                Some(at) => *at,
                None => {
                    let info = streams.resolve(&key, limits, false).map_err(PushError::Labels)?;
                    batch.streams.push(Incoming { info, entries: Vec::new() });
                    index.insert(key.clone(), batch.streams.len() - 1);
                    batch.streams.len() - 1
                }
            };
            batch.streams[at].entries.push(entry);
        }
    }
    Ok(())
}

/// The labels that a record brings itself, and its entry.
fn log_record<'a>(
    record: LogRecord<'a>,
    common: &Pairs<'a>,
    limits: &TenantLimits,
    now_ns: i64,
) -> Result<(BTreeMap<String, String>, Entry<'a>), PushError> {
    let mut labels = BTreeMap::new();
    let mut metadata: Pairs<'a> = Vec::with_capacity(common.len() + record.attributes.len() + 6);
    for attribute in record.attributes {
        if attribute.key == "event_name" && !record.event_name.is_empty() {
            continue;
        }
        match limits.otlp.log(&attribute.key) {
            Action::Drop => {}
            Action::IndexLabel => flatten(attribute, "", &mut |name, value| {
                labels.insert(name, value.into_owned());
            })?,
            Action::StructuredMetadata => {
                flatten(attribute, "", &mut |name, value| metadata.push((Cow::Owned(name), value)))?;
            }
        }
    }
    let mut put = |name: &'static str, value: Cow<'a, str>| metadata.push((Cow::Borrowed(name), value));
    if record.time_ns != 0 && record.observed_ns != 0 {
        put("observed_timestamp", record.observed_ns.to_string().into());
    }
    if record.severity_number != 0 {
        put("severity_number", record.severity_number.to_string().into());
    }
    if !record.severity_text.is_empty() {
        if limits.otlp.severity_text_as_label {
            labels.insert("severity_text".to_owned(), record.severity_text.clone().into_owned());
        }
        put("severity_text", record.severity_text);
    }
    if record.dropped_attributes != 0 {
        put("dropped_attributes_count", record.dropped_attributes.to_string().into());
    }
    if record.flags != 0 {
        put("flags", record.flags.to_string().into());
    }
    for (name, id) in [("trace_id", &record.trace_id), ("span_id", &record.span_id)] {
        if id.iter().any(|byte| *byte != 0) {
            put(name, hex(id).into());
        }
    }
    if !record.event_name.is_empty() {
        put("event_name", record.event_name);
    }
    metadata.extend(common.iter().cloned());
    let timestamp_ns = [record.time_ns, record.observed_ns]
        .into_iter()
        .find(|time| *time != 0)
        .map_or(now_ns, |time| i64::try_from(time).unwrap_or(i64::MAX));
    let line = match record.body {
        AnyValue::Str(line) => line,
        body => text(&body).into_owned().into(),
    };
    Ok((labels, Entry { timestamp_ns, line, metadata }))
}

/// Calls `put` for an attribute; a mapping gives one pair for each of its values, names joined with underscores.
fn flatten<'a>(
    attribute: KeyValue<'a>,
    prefix: &str,
    put: &mut dyn FnMut(String, Cow<'a, str>),
) -> Result<(), PushError> {
    let name =
        if prefix.is_empty() { label_name(&attribute.key) } else { label_name(&format!("{prefix}_{}", attribute.key)) };
    let name = name.map_err(|e| PushError::Invalid(format!("symbolizer lookup: {e}")))?;
    match attribute.value {
        // The reader bounds the nesting.
        AnyValue::Map(pairs) => pairs.into_iter().try_for_each(|pair| flatten(pair, &name, put))?,
        AnyValue::Str(value) => put(name, value),
        value => put(name, Cow::Owned(text(&value).into_owned())),
    }
    Ok(())
}

/// A value as text: as it is, or as JSON for lists and mappings.
fn text<'v>(value: &'v AnyValue<'_>) -> Cow<'v, str> {
    match value {
        AnyValue::Empty => Cow::Borrowed(""),
        AnyValue::Str(text) => Cow::Borrowed(text),
        AnyValue::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        AnyValue::Int(value) => Cow::Owned(value.to_string()),
        AnyValue::Double(value) => Cow::Owned(float(*value)),
        AnyValue::Bytes(bytes) => Cow::Owned(base64(bytes)),
        AnyValue::Array(_) | AnyValue::Map(_) => Cow::Owned(json(value).to_string()),
    }
}

fn float(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        value => {
            let mut out = String::new();
            model::number::write_json_float(&mut out, value);
            out
        }
    }
}

fn json(value: &AnyValue<'_>) -> serde_json::Value {
    use serde_json::Value;
    match value {
        AnyValue::Empty => Value::Null,
        AnyValue::Str(text) => Value::from(text.as_ref()),
        AnyValue::Bool(value) => Value::from(*value),
        AnyValue::Int(value) => Value::from(*value),
        AnyValue::Double(value) => Value::from(*value),
        AnyValue::Bytes(bytes) => Value::from(base64(bytes)),
        AnyValue::Array(items) => items.iter().map(json).collect(),
        AnyValue::Map(pairs) => pairs.iter().map(|pair| (pair.key.clone().into_owned(), json(&pair.value))).collect(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"resourceLogs":[{"resource":{"attributes":[
        {"key":"service.name","value":{"stringValue":"cart"}},
        {"key":"k8s.pod.name","value":{"stringValue":"cart-1"}},
        {"key":"os.type","value":{"stringValue":"linux"}}]},
      "scopeLogs":[{"scope":{"name":"app","version":"2"},"logRecords":[
        {"timeUnixNano":"1767607200000000001","observedTimeUnixNano":"7","severityNumber":17,"severityText":"ERROR",
         "body":{"stringValue":"boom"},"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708",
         "attributes":[{"key":"http.status","value":{"intValue":"500"}},
           {"key":"deep","value":{"kvlistValue":{"values":[{"key":"a.b","value":{"doubleValue":1.5}}]}}}]},
        {"observedTimeUnixNano":"9","body":{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":true}}]}}},
        {"body":{"arrayValue":{"values":[{"intValue":"1"},{"stringValue":"x"}]}}}]}]}]}"#;

    fn limits(yaml: &str) -> TenantLimits {
        crate::config::parse(yaml, &[], None).unwrap().limits
    }

    #[test]
    fn records_become_entries() {
        let limits = limits("");
        let cache = StreamCache::default();
        let batch = decode(BODY.as_bytes(), Encoding::Json, &cache, &limits, 11).unwrap();
        assert_eq!(batch.streams.len(), 1);
        let stream = &batch.streams[0];
        assert_eq!(stream.info.labels.to_string(), r#"{k8s_pod_name="cart-1", service_name="cart"}"#);
        let lines: Vec<(i64, &str)> = stream.entries.iter().map(|e| (e.timestamp_ns, &*e.line)).collect();
        assert_eq!(lines, [(1_767_607_200_000_000_001, "boom"), (9, r#"{"k":true}"#), (11, r#"[1,"x"]"#)]);
        let metadata: Vec<String> = stream.entries[0].metadata.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(
            metadata,
            [
                "http_status=500",
                "deep_a_b=1.5",
                "observed_timestamp=7",
                "severity_number=17",
                "severity_text=ERROR",
                "trace_id=0102030405060708090a0b0c0d0e0f10",
                "span_id=0102030405060708",
                "os_type=linux",
                "scope_name=app",
                "scope_version=2"
            ]
        );
    }

    #[test]
    fn attributes_go_where_the_configuration_says() {
        let limits = limits(
            "limits_config:\n  otlp_config:\n    resource_attributes:\n      ignore_defaults: true\n      attributes_config:\n      - {action: index_label, attributes: [os.type]}\n      - {action: drop, regex: 'k8s.*'}\n    log_attributes:\n    - {action: index_label, attributes: [http.status]}\n    - {action: drop, attributes: [deep]}\n    severity_text_as_label: true\n",
        );
        let cache = StreamCache::default();
        let batch = decode(BODY.as_bytes(), Encoding::Json, &cache, &limits, 11).unwrap();
        let texts: Vec<String> = batch.streams.iter().map(|s| s.info.labels.to_string()).collect();
        assert_eq!(texts, [r#"{http_status="500", os_type="linux", severity_text="ERROR"}"#, r#"{os_type="linux"}"#]);
        assert!(batch.streams[0].entries[0].metadata.iter().any(|(n, v)| n == "service_name" && v == "cart"));
    }
}
