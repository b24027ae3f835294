//! `ExportLogsServiceRequest`.

use std::borrow::Cow;

use super::{AnyValue, Budget, Encoding, KeyValue, Resource, Scope, json, key_value, resource, scope, value};
use crate::Result;
use crate::proto::each_field;

/// Logs of one resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceLogs<'a> {
    /// Who speaks.
    pub resource: Resource<'a>,
    /// By library.
    pub scopes: Vec<ScopeLogs<'a>>,
}

/// Logs of one library.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScopeLogs<'a> {
    /// The library.
    pub scope: Scope<'a>,
    /// Its records.
    pub records: Vec<LogRecord<'a>>,
}

/// A log record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogRecord<'a> {
    /// When it happened, 0 when unknown.
    pub time_ns: u64,
    /// When it was seen.
    pub observed_ns: u64,
    /// 1 (trace) to 24 (fatal), 0 when not said.
    pub severity_number: i32,
    /// The level's name.
    pub severity_text: Cow<'a, str>,
    /// What was logged.
    pub body: AnyValue<'a>,
    /// Attributes.
    pub attributes: Vec<KeyValue<'a>>,
    /// Attributes the sender left out.
    pub dropped_attributes: u32,
    /// Trace flags.
    pub flags: u32,
    /// Trace it belongs to, 16 bytes or none.
    pub trace_id: Cow<'a, [u8]>,
    /// Span it belongs to, 8 bytes or none.
    pub span_id: Cow<'a, [u8]>,
    /// Name of the event.
    pub event_name: Cow<'a, str>,
}

/// Reads a request.
///
/// # Errors
/// When the body is damaged or a limit is reached.
pub fn decode_logs(body: &[u8], encoding: Encoding) -> Result<Vec<ResourceLogs<'_>>> {
    if encoding == Encoding::Json {
        return json::logs(body);
    }
    let mut budget = Budget::default();
    let mut out = Vec::new();
    each_field(body, |field| {
        if field.number == 1 {
            let mut logs = ResourceLogs::default();
            each_field(field.bytes()?, |field| {
                match field.number {
                    1 => logs.resource = resource(field.bytes()?)?,
                    2 => logs.scopes.push(scope_logs(field.bytes()?, &mut budget)?),
                    _ => {}
                }
                Ok(())
            })?;
            out.push(logs);
        }
        Ok(())
    })?;
    Ok(out)
}

fn scope_logs<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<ScopeLogs<'a>> {
    let mut logs = ScopeLogs::default();
    each_field(bytes, |field| {
        match field.number {
            1 => logs.scope = scope(field.bytes()?)?,
            2 => {
                budget.take()?;
                logs.records.push(record(field.bytes()?)?);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(logs)
}

fn record(bytes: &[u8]) -> Result<LogRecord<'_>> {
    let mut record = LogRecord::default();
    each_field(bytes, |field| {
        match field.number {
            1 => record.time_ns = field.fixed64()?,
            2 => record.severity_number = field.i32()?,
            3 => record.severity_text = Cow::Borrowed(field.str()?),
            5 => record.body = value(field.bytes()?, 0)?,
            6 => record.attributes.push(key_value(field.bytes()?, 0)?),
            7 => record.dropped_attributes = field.u64()? as u32,
            8 => record.flags = field.fixed32()?,
            9 => record.trace_id = Cow::Borrowed(field.bytes()?),
            10 => record.span_id = Cow::Borrowed(field.bytes()?),
            11 => record.observed_ns = field.fixed64()?,
            12 => record.event_name = Cow::Borrowed(field.str()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(record)
}
