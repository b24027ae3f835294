//! The JSON encoding: protobuf's JSON mapping with OTLP's exceptions (ids are hexadecimal, enums are numbers). Integers of
//! 64 bits may be strings or numbers; unknown fields are ignored, as the specification demands.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    AnyValue, Budget, Data, Exemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint, KeyValue, LogRecord,
    MAX_DEPTH, Metric, NumberPoint, PointValue, Resource, ResourceLogs, ResourceMetrics, Scope, ScopeLogs,
    ScopeMetrics, SummaryPoint, Temporality,
};
use crate::{Error, Result};

fn wrong(what: &str, field: &str, found: &Value) -> Error {
    let mut shown = found.to_string();
    if let Some((cut, _)) = shown.char_indices().nth(60) {
        shown.truncate(cut);
    }
    Error::Json(format!("{field}: expected {what}, found {shown}"))
}

fn parse(body: &[u8]) -> Result<Value> {
    // serde_json bounds the nesting at 128.
    let value: Value = serde_json::from_slice(body).map_err(|e| Error::Json(e.to_string()))?;
    if value.is_object() { Ok(value) } else { Err(wrong("an object", "request", &value)) }
}

/// Items of a repeated field; absent and null are none.
fn list<'v>(value: &'v Value, field: &str) -> Result<&'v [Value]> {
    match value.get(field) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(wrong("a list", field, other)),
    }
}

fn string(value: &Value, field: &str) -> Result<Cow<'static, str>> {
    match value.get(field) {
        None | Some(Value::Null) => Ok(Cow::Borrowed("")),
        Some(Value::String(text)) => Ok(Cow::Owned(text.clone())),
        Some(other) => Err(wrong("a string", field, other)),
    }
}

fn to_i128(value: &Value, field: &str) -> Result<i128> {
    let number = match value {
        Value::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
            .or_else(|| number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 1e19).map(|f| f as i128)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| wrong("an integer", field, value))
}

fn integer<T: TryFrom<i128> + Default>(value: &Value, field: &str) -> Result<T> {
    match value.get(field) {
        None | Some(Value::Null) => Ok(T::default()),
        Some(number) => T::try_from(to_i128(number, field)?).map_err(|_| wrong("an integer in range", field, number)),
    }
}

fn to_f64(value: &Value, field: &str) -> Result<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text.parse().ok(),
        },
        _ => None,
    };
    number.ok_or_else(|| wrong("a number", field, value))
}

fn optional_f64(value: &Value, field: &str) -> Result<Option<f64>> {
    value.get(field).filter(|v| !v.is_null()).map(|v| to_f64(v, field)).transpose()
}

fn double(value: &Value, field: &str) -> Result<f64> {
    Ok(optional_f64(value, field)?.unwrap_or(0.0))
}

fn hex(value: &Value, field: &str) -> Result<Cow<'static, [u8]>> {
    let text = string(value, field)?;
    let bytes: Option<Vec<u8>> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            std::str::from_utf8(pair).ok().filter(|p| p.len() == 2).and_then(|p| u8::from_str_radix(p, 16).ok())
        })
        .collect();
    bytes.map(Cow::Owned).ok_or_else(|| wrong("hexadecimal digits", field, &Value::String(text.into_owned())))
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

fn value(json: &Value, depth: usize) -> Result<AnyValue<'static>> {
    if depth >= MAX_DEPTH {
        return Err(Error::Limit { what: "nesting of values", limit: MAX_DEPTH as u64, found: depth as u64 + 1 });
    }
    let Some(object) = json.as_object() else {
        return if json.is_null() { Ok(AnyValue::Empty) } else { Err(wrong("an object", "value", json)) };
    };
    let Some((kind, content)) = object.iter().next() else { return Ok(AnyValue::Empty) };
    Ok(match kind.as_str() {
        "stringValue" => AnyValue::Str(string(json, kind)?),
        "boolValue" => AnyValue::Bool(content.as_bool().ok_or_else(|| wrong("a boolean", kind, content))?),
        "intValue" => AnyValue::Int(integer(json, kind)?),
        "doubleValue" => AnyValue::Double(to_f64(content, kind)?),
        "bytesValue" => {
            let text = string(json, kind)?;
            AnyValue::Bytes(Cow::Owned(base64(&text).ok_or_else(|| wrong("base64", kind, content))?))
        }
        "arrayValue" => {
            AnyValue::Array(list(content, "values")?.iter().map(|v| value(v, depth + 1)).collect::<Result<_>>()?)
        }
        "kvlistValue" => AnyValue::Map(attributes(content, "values", depth + 1)?),
        _ => AnyValue::Empty,
    })
}

fn attributes(json: &Value, field: &str, depth: usize) -> Result<Vec<KeyValue<'static>>> {
    list(json, field)?
        .iter()
        .map(|pair| {
            let value = pair.get("value").map_or(Ok(AnyValue::Empty), |v| value(v, depth))?;
            Ok(KeyValue { key: string(pair, "key")?, value })
        })
        .collect()
}

fn resource(json: &Value) -> Result<Resource<'static>> {
    match json.get("resource") {
        Some(resource) => Ok(Resource { attributes: attributes(resource, "attributes", 0)? }),
        None => Ok(Resource::default()),
    }
}

fn scope(json: &Value) -> Result<Scope<'static>> {
    match json.get("scope") {
        Some(scope) => Ok(Scope {
            name: string(scope, "name")?,
            version: string(scope, "version")?,
            attributes: attributes(scope, "attributes", 0)?,
        }),
        None => Ok(Scope::default()),
    }
}

pub(super) fn logs(body: &[u8]) -> Result<Vec<ResourceLogs<'static>>> {
    let body = parse(body)?;
    let mut budget = Budget::default();
    let mut out = Vec::new();
    for logs in list(&body, "resourceLogs")? {
        let mut scopes = Vec::new();
        for scoped in list(logs, "scopeLogs")? {
            let mut records = Vec::new();
            for json in list(scoped, "logRecords")? {
                budget.take()?;
                records.push(LogRecord {
                    time_ns: integer(json, "timeUnixNano")?,
                    observed_ns: integer(json, "observedTimeUnixNano")?,
                    severity_number: integer(json, "severityNumber")?,
                    severity_text: string(json, "severityText")?,
                    body: json.get("body").map_or(Ok(AnyValue::Empty), |v| value(v, 0))?,
                    attributes: attributes(json, "attributes", 0)?,
                    dropped_attributes: integer(json, "droppedAttributesCount")?,
                    flags: integer(json, "flags")?,
                    trace_id: hex(json, "traceId")?,
                    span_id: hex(json, "spanId")?,
                    event_name: string(json, "eventName")?,
                });
            }
            scopes.push(ScopeLogs { scope: scope(scoped)?, records });
        }
        out.push(ResourceLogs { resource: resource(logs)?, scopes });
    }
    Ok(out)
}

pub(super) fn metrics(body: &[u8]) -> Result<Vec<ResourceMetrics<'static>>> {
    let body = parse(body)?;
    let mut budget = Budget::default();
    let mut out = Vec::new();
    for json in list(&body, "resourceMetrics")? {
        let mut scopes = Vec::new();
        for scoped in list(json, "scopeMetrics")? {
            let metrics =
                list(scoped, "metrics")?.iter().map(|m| metric(m, &mut budget)).collect::<Result<Vec<_>>>()?;
            scopes.push(ScopeMetrics { scope: scope(scoped)?, metrics });
        }
        out.push(ResourceMetrics { resource: resource(json)?, scopes });
    }
    Ok(out)
}

fn metric(json: &Value, budget: &mut Budget) -> Result<Metric<'static>> {
    let temporality =
        |data: &Value| integer(data, "aggregationTemporality").map(|number: i64| Temporality::from_number(number));
    let data = if let Some(data) = json.get("gauge") {
        Data::Gauge(points(data, budget, number_point)?)
    } else if let Some(data) = json.get("sum") {
        Data::Sum {
            points: points(data, budget, number_point)?,
            temporality: temporality(data)?,
            monotonic: data.get("isMonotonic").and_then(Value::as_bool).unwrap_or(false),
        }
    } else if let Some(data) = json.get("histogram") {
        Data::Histogram { points: points(data, budget, histogram_point)?, temporality: temporality(data)? }
    } else if let Some(data) = json.get("exponentialHistogram") {
        Data::Exponential { points: points(data, budget, exponential_point)?, temporality: temporality(data)? }
    } else if let Some(data) = json.get("summary") {
        Data::Summary(points(data, budget, summary_point)?)
    } else {
        Data::Empty
    };
    Ok(Metric {
        name: string(json, "name")?,
        description: string(json, "description")?,
        unit: string(json, "unit")?,
        data,
    })
}

fn points<P>(data: &Value, budget: &mut Budget, read: fn(&Value) -> Result<P>) -> Result<Vec<P>> {
    list(data, "dataPoints")?
        .iter()
        .map(|point| {
            budget.take()?;
            read(point)
        })
        .collect()
}

fn number(json: &Value) -> Result<PointValue> {
    match (json.get("asDouble"), json.get("asInt")) {
        (Some(value), _) => to_f64(value, "asDouble").map(PointValue::Double),
        (None, Some(_)) => integer(json, "asInt").map(PointValue::Int),
        (None, None) => Ok(PointValue::Missing),
    }
}

fn exemplars(json: &Value) -> Result<Vec<Exemplar<'static>>> {
    list(json, "exemplars")?
        .iter()
        .map(|json| {
            Ok(Exemplar {
                attributes: attributes(json, "filteredAttributes", 0)?,
                time_ns: integer(json, "timeUnixNano")?,
                value: number(json)?,
                span_id: hex(json, "spanId")?,
                trace_id: hex(json, "traceId")?,
            })
        })
        .collect()
}

fn counts(json: &Value, field: &str) -> Result<Vec<u64>> {
    list(json, field)?
        .iter()
        .map(|v| u64::try_from(to_i128(v, field)?).map_err(|_| wrong("a count", field, v)))
        .collect()
}

fn number_point(json: &Value) -> Result<NumberPoint<'static>> {
    Ok(NumberPoint {
        attributes: attributes(json, "attributes", 0)?,
        start_ns: integer(json, "startTimeUnixNano")?,
        time_ns: integer(json, "timeUnixNano")?,
        value: number(json)?,
        exemplars: exemplars(json)?,
        flags: integer(json, "flags")?,
    })
}

fn histogram_point(json: &Value) -> Result<HistogramPoint<'static>> {
    Ok(HistogramPoint {
        attributes: attributes(json, "attributes", 0)?,
        start_ns: integer(json, "startTimeUnixNano")?,
        time_ns: integer(json, "timeUnixNano")?,
        count: integer(json, "count")?,
        sum: optional_f64(json, "sum")?,
        bucket_counts: counts(json, "bucketCounts")?,
        explicit_bounds: list(json, "explicitBounds")?
            .iter()
            .map(|v| to_f64(v, "explicitBounds"))
            .collect::<Result<_>>()?,
        exemplars: exemplars(json)?,
        flags: integer(json, "flags")?,
        min: optional_f64(json, "min")?,
        max: optional_f64(json, "max")?,
    })
}

fn exponential_point(json: &Value) -> Result<ExponentialPoint<'static>> {
    let buckets = |field: &str| -> Result<ExponentialBuckets> {
        match json.get(field) {
            Some(side) => {
                Ok(ExponentialBuckets { offset: integer(side, "offset")?, counts: counts(side, "bucketCounts")? })
            }
            None => Ok(ExponentialBuckets::default()),
        }
    };
    Ok(ExponentialPoint {
        attributes: attributes(json, "attributes", 0)?,
        start_ns: integer(json, "startTimeUnixNano")?,
        time_ns: integer(json, "timeUnixNano")?,
        count: integer(json, "count")?,
        sum: optional_f64(json, "sum")?,
        scale: integer(json, "scale")?,
        zero_count: integer(json, "zeroCount")?,
        zero_threshold: double(json, "zeroThreshold")?,
        positive: buckets("positive")?,
        negative: buckets("negative")?,
        exemplars: exemplars(json)?,
        flags: integer(json, "flags")?,
        min: optional_f64(json, "min")?,
        max: optional_f64(json, "max")?,
    })
}

fn summary_point(json: &Value) -> Result<SummaryPoint<'static>> {
    Ok(SummaryPoint {
        attributes: attributes(json, "attributes", 0)?,
        start_ns: integer(json, "startTimeUnixNano")?,
        time_ns: integer(json, "timeUnixNano")?,
        count: integer(json, "count")?,
        sum: double(json, "sum")?,
        quantiles: list(json, "quantileValues")?
            .iter()
            .map(|q| Ok((double(q, "quantile")?, double(q, "value")?)))
            .collect::<Result<_>>()?,
        flags: integer(json, "flags")?,
    })
}
