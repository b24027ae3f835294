//! The body of a unit: columns of its entries, compressed as one.

use model::LogColumns;
use model::log::MetadataPair;

use crate::bytes::{Cursor, Malformed, put_signed, put_varint};

/// Appends rows `from..to` of `columns` in the form that is compressed.
pub(super) fn encode(out: &mut Vec<u8>, columns: &LogColumns, from: usize, to: usize) {
    let mut last = 0;
    for timestamp in &columns.timestamps[from..to] {
        put_signed(out, timestamp.wrapping_sub(last));
        last = *timestamp;
    }
    for row in from..to {
        put_varint(out, columns.line(row).len() as u64);
    }
    for row in from..to {
        put_varint(out, columns.metadata(row).count() as u64);
    }
    for (name, value) in (from..to).flat_map(|row| columns.metadata(row)) {
        put_varint(out, name.len() as u64);
        put_varint(out, value.len() as u64);
    }
    for row in from..to {
        out.extend_from_slice(columns.line(row).as_bytes());
    }
    for (name, value) in (from..to).flat_map(|row| columns.metadata(row)) {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(value.as_bytes());
    }
}

/// Replaces `out` by the rows of a body.
pub(super) fn decode(bytes: &[u8], entries: usize, out: &mut LogColumns) -> Result<(), Malformed> {
    out.clear();
    let mut cursor = Cursor::new(bytes);
    if entries > bytes.len() {
        return Err(cursor.malformed("more entries than bytes"));
    }
    let mut last = 0i64;
    for _ in 0..entries {
        last = last.wrapping_add(cursor.signed()?);
        out.timestamps.push(last);
    }
    let mut end = 0u32;
    let mut add = |len: usize| {
        let start = end;
        end = end.checked_add(len as u32).ok_or(Malformed { what: "text is too long", at: 0 })?;
        Ok::<_, Malformed>((start, end))
    };
    for _ in 0..entries {
        out.lines.push(add(cursor.count()?)?);
    }
    let mut pairs = 0usize;
    for _ in 0..entries {
        pairs += cursor.count()?;
        out.metadata_ends.push(pairs as u32);
    }
    if pairs > cursor.remaining() {
        return Err(cursor.malformed("more pairs than bytes"));
    }
    for _ in 0..pairs {
        let (name, value) = (cursor.count()?, cursor.count()?);
        out.metadata.push(MetadataPair { name: add(name)?, value: add(value)? });
    }
    if pairs == 0 {
        out.metadata_ends.clear();
    }
    let at = cursor.position();
    let text = std::str::from_utf8(cursor.take(cursor.remaining())?);
    let text = text.map_err(|_| Malformed { what: "text is not UTF-8", at })?;
    if text.len() != end as usize {
        return Err(Malformed { what: "text has another length than its parts", at });
    }
    out.text.push_str(text);
    Ok(())
}
