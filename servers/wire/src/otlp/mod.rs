//! OTLP metrics and logs, protobuf and JSON, read into one shape.
//!
//! OpenTelemetry's messages are trees of attributes that the receiver has to look at anyway, so here (unlike in remote
//! write) the tree is built; names and texts are borrowed from the body where it has them in one piece.
//! [`decode_metrics`] and [`decode_logs`] take either encoding. Messages: <https://opentelemetry.io/docs/specs/otlp/>.
//!
//! Limits: values nest at most [`MAX_DEPTH`] deep; the tree is at most a small multiple of the body, whose size the caller
//! has bounded, and [`MAX_POINTS`] bounds points and records.

mod json;
mod logs;
mod metrics;

use std::borrow::Cow;

use crate::proto::each_field;
use crate::{Error, Result};

pub use logs::{LogRecord, ResourceLogs, ScopeLogs, decode_logs};
pub use metrics::{
    Data, Exemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint, Metric, NumberPoint, PointValue,
    ResourceMetrics, ScopeMetrics, SummaryPoint, Temporality, decode_metrics,
};

/// Nesting of attribute values.
pub const MAX_DEPTH: usize = 32;
/// Data points or log records of one request.
pub const MAX_POINTS: usize = 5_000_000;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

impl Encoding {
    /// By `Content-Type`; `None` for anything else.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        match content_type.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// A value of an attribute or a log body.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AnyValue<'a> {
    /// Nothing was set.
    #[default]
    Empty,
    /// Text.
    Str(Cow<'a, str>),
    /// Boolean.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Float.
    Double(f64),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// List.
    Array(Vec<AnyValue<'a>>),
    /// Mapping.
    Map(Vec<KeyValue<'a>>),
}

/// An attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyValue<'a> {
    /// Name.
    pub key: Cow<'a, str>,
    /// Value.
    pub value: AnyValue<'a>,
}

/// Who speaks: service, host, ….
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource<'a> {
    /// Attributes.
    pub attributes: Vec<KeyValue<'a>>,
}

/// The library that made the data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope<'a> {
    /// Name.
    pub name: Cow<'a, str>,
    /// Version.
    pub version: Cow<'a, str>,
    /// Attributes.
    pub attributes: Vec<KeyValue<'a>>,
}

/// Counts points and records of one request.
#[derive(Debug, Default)]
struct Budget(usize);

impl Budget {
    fn take(&mut self) -> Result<()> {
        self.0 += 1;
        if self.0 > MAX_POINTS {
            return Err(Error::Limit { what: "points of one request", limit: MAX_POINTS as u64, found: self.0 as u64 });
        }
        Ok(())
    }
}

fn value(bytes: &[u8], depth: usize) -> Result<AnyValue<'_>> {
    if depth >= MAX_DEPTH {
        return Err(Error::Limit { what: "nesting of values", limit: MAX_DEPTH as u64, found: depth as u64 + 1 });
    }
    let mut out = AnyValue::Empty;
    each_field(bytes, |field| {
        match field.number {
            1 => out = AnyValue::Str(Cow::Borrowed(field.str()?)),
            2 => out = AnyValue::Bool(field.bool()?),
            3 => out = AnyValue::Int(field.i64()?),
            4 => out = AnyValue::Double(field.f64()?),
            5 => {
                let mut items = Vec::new();
                each_field(field.bytes()?, |item| {
                    if item.number == 1 {
                        items.push(value(item.bytes()?, depth + 1)?);
                    }
                    Ok(())
                })?;
                out = AnyValue::Array(items);
            }
            6 => {
                let mut pairs = Vec::new();
                each_field(field.bytes()?, |item| {
                    if item.number == 1 {
                        pairs.push(key_value(item.bytes()?, depth + 1)?);
                    }
                    Ok(())
                })?;
                out = AnyValue::Map(pairs);
            }
            7 => out = AnyValue::Bytes(Cow::Borrowed(field.bytes()?)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(out)
}

fn key_value(bytes: &[u8], depth: usize) -> Result<KeyValue<'_>> {
    let mut pair = KeyValue::default();
    each_field(bytes, |field| {
        match field.number {
            1 => pair.key = Cow::Borrowed(field.str()?),
            2 => pair.value = value(field.bytes()?, depth)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(pair)
}

fn resource(bytes: &[u8]) -> Result<Resource<'_>> {
    let mut resource = Resource::default();
    each_field(bytes, |field| {
        if field.number == 1 {
            resource.attributes.push(key_value(field.bytes()?, 0)?);
        }
        Ok(())
    })?;
    Ok(resource)
}

fn scope(bytes: &[u8]) -> Result<Scope<'_>> {
    let mut scope = Scope::default();
    each_field(bytes, |field| {
        match field.number {
            1 => scope.name = Cow::Borrowed(field.str()?),
            2 => scope.version = Cow::Borrowed(field.str()?),
            3 => scope.attributes.push(key_value(field.bytes()?, 0)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(scope)
}

#[cfg(test)]
mod tests;
