//! Loki's push bodies, protobuf and JSON, as a [`Batch`] of the tenant's streams.

use std::borrow::Cow;

use wire::loki::{self, JsonLabels, Push};

use super::stream::{StreamCache, text_of};
use super::{Batch, Entry, Incoming, PushError};
use crate::config::TenantLimits;

/// Reads a protobuf push.
///
/// # Errors
/// When the message is damaged, too large in one of its counts, or a stream's labels cannot be read.
pub(crate) fn protobuf<'a>(
    body: &'a [u8],
    streams: &StreamCache,
    limits: &TenantLimits,
) -> Result<Batch<'a>, PushError> {
    let mut push = Push::new(body, loki::Limits::default());
    let mut batch = Batch::default();
    let mut decoded = loki::Entry::default();
    while let Some(stream) = push.next_stream()? {
        let info = streams.resolve(stream.labels, limits, true).map_err(PushError::Labels)?;
        let mut entries = Vec::with_capacity(stream.entries);
        let mut reader = stream.entries();
        while reader.next_into(&mut decoded)? {
            entries.push(Entry {
                timestamp_ns: decoded.timestamp_ns,
                line: std::mem::take(&mut decoded.line),
                metadata: std::mem::take(&mut decoded.metadata),
            });
        }
        batch.streams.push(Incoming { info, entries });
    }
    Ok(batch)
}

/// Reads a JSON push, of the current form or the old one.
///
/// # Errors
/// As [`protobuf`].
pub(crate) fn json<'a>(body: &'a [u8], streams: &StreamCache, limits: &TenantLimits) -> Result<Batch<'a>, PushError> {
    let mut batch = Batch::default();
    let mut text = String::new();
    for stream in loki::decode_json(body, &loki::Limits::default())? {
        let labels: Cow<'_, str> = match &stream.labels {
            JsonLabels::Text(text) => Cow::Borrowed(text),
            JsonLabels::Pairs(pairs) => {
                text_of(&mut text, pairs.iter().map(|(name, value)| (&**name, &**value)));
                Cow::Borrowed(&text)
            }
        };
        let info = streams.resolve(&labels, limits, true).map_err(PushError::Labels)?;
        let entries = stream.entries.into_iter().map(|entry| Entry {
            timestamp_ns: entry.timestamp_ns,
            line: entry.line,
            metadata: entry.metadata,
        });
        batch.streams.push(Incoming { info, entries: entries.collect() });
    }
    Ok(batch)
}
