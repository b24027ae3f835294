//! The part of a logged batch that belongs to no shard: exemplars and metadata. Both carry the names they are about, so
//! they need nothing from before.

use model::Labels;

use crate::codec::bytes::{Cursor, Damaged, Decoded, put_prefixed, put_signed, put_varint};
use crate::exemplars::Exemplar;
use crate::metadata::{Metadata, MetricKind};

/// In the place of a shard's number.
pub(crate) const EXTRAS: u32 = 255;

const EXEMPLAR: u8 = 1;
const METADATA: u8 = 2;
const CUT: u8 = 3;

/// Something beside samples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Extra {
    Exemplar(Labels, Exemplar),
    Metadata(String, Metadata),
    /// All samples in order before this were written to blocks.
    Cut(i64),
}

pub(crate) fn put_exemplar(out: &mut Vec<u8>, series: &Labels, exemplar: &Exemplar) {
    out.push(EXEMPLAR);
    put_prefixed(out, series.as_encoded().as_bytes());
    put_prefixed(out, exemplar.labels.as_encoded().as_bytes());
    put_signed(out, exemplar.timestamp_ms);
    out.extend_from_slice(&exemplar.value.to_bits().to_le_bytes());
}

pub(crate) fn put_metadata(out: &mut Vec<u8>, metric: &str, metadata: &Metadata) {
    out.push(METADATA);
    for text in [metric, metadata.kind.as_str(), &metadata.unit, &metadata.help] {
        put_prefixed(out, text.as_bytes());
    }
}

pub(crate) fn put_cut(out: &mut Vec<u8>, cut_ms: i64) {
    out.push(CUT);
    put_signed(out, cut_ms);
}

/// Appends extras to the content of a batch, as its last section.
pub(crate) fn put_section(content: &mut Vec<u8>, extras: &[u8]) {
    if !extras.is_empty() {
        put_varint(content, u64::from(EXTRAS));
        put_prefixed(content, extras);
    }
}

/// Reads the extras of a section.
pub(crate) fn read(bytes: &[u8]) -> Decoded<Vec<Extra>> {
    let mut cursor = Cursor::new(bytes);
    let mut extras = Vec::new();
    while !cursor.is_empty() {
        match cursor.u8()? {
            EXEMPLAR => {
                let series = labels(&mut cursor)?;
                let labels = labels(&mut cursor)?;
                let timestamp_ms = cursor.signed()?;
                let value = f64::from_bits(cursor.u64()?);
                extras.push(Extra::Exemplar(series, Exemplar { labels, value, timestamp_ms }));
            }
            METADATA => {
                let metric = text(&mut cursor)?.to_owned();
                let kind = MetricKind::from_name(text(&mut cursor)?);
                let unit = text(&mut cursor)?.to_owned();
                let help = text(&mut cursor)?.to_owned();
                extras.push(Extra::Metadata(metric, Metadata { kind, unit, help }));
            }
            CUT => extras.push(Extra::Cut(cursor.signed()?)),
            _ => return Err(Damaged("a record holds something that does not exist")),
        }
    }
    Ok(extras)
}

fn text<'a>(cursor: &mut Cursor<'a>) -> Decoded<&'a str> {
    std::str::from_utf8(cursor.prefixed()?).map_err(|_| Damaged("text is not UTF-8"))
}

fn labels(cursor: &mut Cursor<'_>) -> Decoded<Labels> {
    Labels::from_encoded(text(cursor)?).ok_or(Damaged("a label set is broken"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extras_come_back() {
        let series = Labels::from_pairs([("__name__", "m")]);
        let exemplar = Exemplar { labels: Labels::from_pairs([("trace_id", "ü")]), value: -0.0, timestamp_ms: -5 };
        let metadata = Metadata { kind: MetricKind::Summary, unit: "s".to_owned(), help: "what\nit is".to_owned() };
        let mut bytes = Vec::new();
        put_exemplar(&mut bytes, &series, &exemplar);
        put_metadata(&mut bytes, "m", &metadata);
        put_cut(&mut bytes, -7);
        let want = [Extra::Exemplar(series, exemplar), Extra::Metadata("m".to_owned(), metadata), Extra::Cut(-7)];
        assert_eq!(read(&bytes).unwrap(), want);
        for len in 1..bytes.len() {
            if let Ok(found) = read(&bytes[..len]) {
                assert_eq!(found, want[..found.len()], "cut to {len}");
            }
        }
    }
}
