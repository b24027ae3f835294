//! From a push's bytes to the store: decode, resolve streams, derive what is derived (service name, level, fields),
//! check, store, and say what was refused.
//!
//! [`decode`] turns protobuf and JSON pushes, [`otlp`] OpenTelemetry requests into a [`Batch`] that borrows from the body.
//! What follows from a stream's labels alone is worked out once and kept in the tenant's [`StreamCache`]. [`store()`] does the rest.

pub(crate) mod decode;
mod fields;
mod level;
mod metadata;
pub(crate) mod otlp;
mod refusals;
mod store;
mod stream;

use std::borrow::Cow;
use std::sync::Arc;

pub(crate) use refusals::PushError;
pub(crate) use store::{PushContext, PushMetrics, store};
pub(crate) use stream::{StreamCache, StreamInfo};

/// Name of the label that says which service a stream belongs to.
pub(crate) const SERVICE_NAME: &str = "service_name";
/// Value of that label when nothing says it.
pub(crate) const UNKNOWN_SERVICE: &str = "unknown_service";
/// Structured metadata that holds an entry's level.
pub(crate) const DETECTED_LEVEL: &str = "detected_level";

/// How a push came, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Loki,
    Otlp,
}

impl Format {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Loki => "loki",
            Self::Otlp => "otlp",
        }
    }
}

/// A decoded push.
#[derive(Debug, Default)]
pub(crate) struct Batch<'a> {
    pub(crate) streams: Vec<Incoming<'a>>,
}

/// Entries of one stream.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) info: Arc<StreamInfo>,
    pub(crate) entries: Vec<Entry<'a>>,
}

/// An entry on its way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry<'a> {
    pub(crate) timestamp_ns: i64,
    pub(crate) line: Cow<'a, str>,
    pub(crate) metadata: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl Entry<'_> {
    /// Bytes as rates and metrics count them.
    pub(crate) fn bytes(&self) -> u64 {
        self.line.len() as u64 + self.metadata_bytes()
    }

    pub(crate) fn metadata_bytes(&self) -> u64 {
        let size = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| (name.len() + value.len()) as u64;
        self.metadata.iter().filter(|(name, _)| name != DETECTED_LEVEL).map(size).sum()
    }
}
