//! Results of queries as the API's JSON, written straight into bytes.

use std::borrow::Cow;
use std::time::Duration;

use logql::{LabelSet, LogResult, Sample, SeriesPoints, Stats, Value};
use model::number::{FloatFormat, write_float, write_i64, write_u64};
use serde_json::json;

use crate::queries::Timing;

/// The whole answer to a query.
pub(super) fn query(
    value: &Value,
    stats: &Stats,
    timing: Timing,
    warnings: &[String],
    categorize: bool,
    cursor: Option<&str>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(4096);
    out.extend_from_slice(b"{\"status\":\"success\",");
    if !warnings.is_empty() {
        out.extend_from_slice(b"\"warnings\":[");
        list(&mut out, warnings, |out, warning| string(out, warning));
        out.extend_from_slice(b"],");
    }
    out.extend_from_slice(b"\"data\":{");
    data(&mut out, value, categorize);
    out.extend_from_slice(b",\"stats\":");
    out.extend_from_slice(statistics(stats, timing).to_string().as_bytes());
    if let Some(cursor) = cursor {
        out.extend_from_slice(b",\"cursor\":");
        string(&mut out, cursor);
    }
    out.extend_from_slice(b"}}\n");
    out
}

/// `resultType`, `encodingFlags` and `result`.
pub(super) fn data(out: &mut Vec<u8>, value: &Value, categorize: bool) {
    let kind = match value {
        Value::Streams(_) => "streams",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
        Value::Scalar(..) => "scalar",
    };
    out.extend_from_slice(b"\"resultType\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",");
    if categorize {
        out.extend_from_slice(b"\"encodingFlags\":[\"categorize-labels\"],");
    }
    out.extend_from_slice(b"\"result\":[");
    match value {
        Value::Streams(found) => streams(out, found, categorize),
        Value::Vector(samples) => list(out, samples, vector_sample),
        Value::Matrix(series) => list(out, series, matrix_series),
        Value::Scalar(ms, number) => {
            write_i64(out, *ms);
            out.push(b',');
            number_text(out, *number);
        }
    }
    out.push(b']');
}

fn list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
}

/// Streams with their entries, without the brackets around them.
pub(super) fn streams(out: &mut Vec<u8>, found: &LogResult, categorize: bool) {
    list(out, &found.streams, |out, stream| {
        out.extend_from_slice(b"{\"stream\":");
        labels(out, &stream.labels);
        out.extend_from_slice(b",\"values\":[");
        list(out, &stream.entries, |out, entry| {
            out.extend_from_slice(b"[\"");
            write_i64(out, entry.timestamp_ns);
            out.extend_from_slice(b"\",");
            string(out, &entry.line);
            if let (Some(parts), true) = (&entry.labels.categories, categorize) {
                out.extend_from_slice(b",{");
                let named = [("structuredMetadata", &parts.metadata), ("parsed", &parts.parsed)];
                let full: Vec<_> = named.into_iter().filter(|(_, labels)| !labels.is_empty()).collect();
                list(out, &full, |out, (name, set)| {
                    string(out, name);
                    out.push(b':');
                    labels(out, set);
                });
                out.push(b'}');
            }
            out.push(b']');
        });
        out.extend_from_slice(b"]}");
    });
}

fn vector_sample(out: &mut Vec<u8>, sample: &Sample) {
    out.extend_from_slice(b"{\"metric\":");
    labels(out, &sample.labels);
    out.extend_from_slice(b",\"value\":");
    point(out, sample.timestamp_ms, sample.value);
    out.push(b'}');
}

fn matrix_series(out: &mut Vec<u8>, series: &SeriesPoints) {
    out.extend_from_slice(b"{\"metric\":");
    labels(out, &series.labels);
    out.extend_from_slice(b",\"values\":[");
    list(out, &series.points, |out, (ms, value)| point(out, *ms, *value));
    out.extend_from_slice(b"]}");
}

fn point(out: &mut Vec<u8>, ms: i64, value: f64) {
    out.push(b'[');
    if ms < 0 {
        out.push(b'-');
    }
    let (seconds, fraction) = (ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000);
    write_u64(out, seconds);
    if fraction != 0 {
        let digits = format!("{fraction:03}");
        out.push(b'.');
        out.extend_from_slice(digits.trim_end_matches('0').as_bytes());
    }
    out.push(b',');
    number_text(out, value);
    out.push(b']');
}

fn number_text(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    write_float(out, value, FloatFormat::Fixed);
    out.push(b'"');
}

/// Labels as an object.
pub(super) fn labels(out: &mut Vec<u8>, labels: &LabelSet) {
    object(out, labels.iter());
}

/// Pairs as an object.
pub(super) fn object<'a>(out: &mut Vec<u8>, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    out.push(b'{');
    for (index, (name, value)) in pairs.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, name);
        out.push(b':');
        string(out, value);
    }
    out.push(b'}');
}

/// A string with what JSON demands escaped.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut clean = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape: Cow<'_, str> = match byte {
            b'"' => "\\\"".into(),
            b'\\' => "\\\\".into(),
            b'\n' => "\\n".into(),
            b'\r' => "\\r".into(),
            b'\t' => "\\t".into(),
            0..0x20 => format!("\\u{byte:04x}").into(),
            _ => continue,
        };
        out.extend_from_slice(&bytes[clean..at]);
        out.extend_from_slice(escape.as_bytes());
        clean = at + 1;
    }
    out.extend_from_slice(&bytes[clean..]);
    out.push(b'"');
}

/// The `stats` object with all its keys. There are no caches, splits or shards here: their figures are zero.
pub(super) fn statistics(stats: &Stats, timing: Timing) -> serde_json::Value {
    let seconds = timing.evaluated.as_secs_f64();
    let per_second = |count: u64| if seconds > 0.0 { (count as f64 / seconds) as u64 } else { 0 };
    let cache = json!({
        "entriesFound": 0, "entriesRequested": 0, "entriesStored": 0, "bytesReceived": 0, "bytesSent": 0,
        "requests": 0, "downloadTime": 0, "queryLengthServed": 0,
    });
    let store = |stats: &Stats| {
        json!({
            "totalChunksRef": stats.units,
            "totalChunksDownloaded": stats.units,
            "chunksDownloadTime": 0,
            "queryReferencedStructuredMetadata": false,
            "queryUsedV2Engine": false,
            "chunk": {
                "headChunkBytes": 0,
                "headChunkLines": 0,
                "decompressedBytes": stats.line_bytes,
                "decompressedLines": stats.lines,
                "compressedBytes": 0,
                "totalDuplicates": 0,
                "postFilterLines": stats.post_filter_lines,
                "headChunkStructuredMetadataBytes": 0,
                "decompressedStructuredMetadataBytes": stats.metadata_bytes,
            },
            "chunkRefsFetchTime": 0,
            "congestionControlLatency": 0,
            "pipelineWrapperFilteredLines": 0,
            "dataobj": {
                "prePredicateDecompressedRows": 0,
                "prePredicateDecompressedBytes": 0,
                "prePredicateDecompressedStructuredMetadataBytes": 0,
                "postPredicateRows": 0,
                "postPredicateDecompressedBytes": 0,
                "postPredicateStructuredMetadataBytes": 0,
                "postFilterRows": 0,
                "pagesScanned": 0,
                "pagesDownloaded": 0,
                "pagesDownloadedBytes": 0,
                "pageBatches": 0,
                "totalRowsAvailable": 0,
                "totalPageDownloadTime": 0,
                "wireBytesTransferred": 0,
            },
        })
    };
    json!({
        "summary": {
            "bytesProcessedPerSecond": per_second(stats.bytes()),
            "linesProcessedPerSecond": per_second(stats.lines),
            "totalBytesProcessed": stats.bytes(),
            "totalLinesProcessed": stats.lines,
            "execTime": seconds,
            "queueTime": timing.queued.as_secs_f64(),
            "subqueries": 0,
            "totalEntriesReturned": stats.entries_returned,
            "splits": 0,
            "shards": 0,
            "totalPostFilterLines": stats.post_filter_lines,
            "totalStructuredMetadataBytesProcessed": stats.metadata_bytes,
        },
        "querier": {"store": store(stats), "querierExecTime": seconds},
        "ingester": {
            "totalReached": 1,
            "totalChunksMatched": 0,
            "totalBatches": 0,
            "totalLinesSent": 0,
            "store": store(&Stats::default()),
        },
        "cache": {
            "chunk": cache, "index": cache, "result": cache, "statsResult": cache, "volumeResult": cache,
            "seriesResult": cache, "labelResult": cache, "instantMetricResult": cache, "logResult": cache, "taskResult": cache,
        },
        "index": {
            "totalChunks": 0,
            "postFilterChunks": 0,
            "shardsDuration": 0,
            "usedBloomFilters": false,
            "totalStreams": stats.streams,
            "chunkRefsLookupTime": Duration::ZERO.as_secs_f64(),
            "bloomFilterTime": Duration::ZERO.as_secs_f64(),
        },
    })
}

/// Streams in the form of the first API: labels as text, times as RFC 3339.
pub(super) fn legacy(found: &LogResult, stats: &Stats, timing: Timing) -> Vec<u8> {
    let mut out = Vec::with_capacity(4096);
    out.extend_from_slice(b"{\"streams\":");
    legacy_streams(&mut out, found);
    out.extend_from_slice(b",\"stats\":");
    out.extend_from_slice(statistics(stats, timing).to_string().as_bytes());
    out.extend_from_slice(b"}\n");
    out
}

/// The streams of [`legacy`], with brackets.
pub(super) fn legacy_streams(out: &mut Vec<u8>, found: &LogResult) {
    out.push(b'[');
    list(out, &found.streams, |out, stream| {
        out.extend_from_slice(b"{\"labels\":");
        string(out, &stream.labels.to_string());
        out.extend_from_slice(b",\"entries\":[");
        list(out, &stream.entries, |out, entry| {
            out.extend_from_slice(b"{\"ts\":\"");
            out.extend_from_slice(rfc3339(entry.timestamp_ns).as_bytes());
            out.extend_from_slice(b"\",\"line\":");
            string(out, &entry.line);
            out.push(b'}');
        });
        out.extend_from_slice(b"]}");
    });
    out.push(b']');
}

/// A time in RFC 3339 with as many digits of the second as it needs.
pub(super) fn rfc3339(timestamp_ns: i64) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(timestamp_ns)) {
        Ok(time) => time.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_have_the_digits_they_need() {
        let cases = [
            (1_767_609_000_000, "[1767609000,\"1\"]"),
            (1_500, "[1.5,\"1\"]"),
            (1_999, "[1.999,\"1\"]"),
            (-500, "[-0.5,\"1\"]"),
        ];
        for (ms, want) in cases {
            let mut out = Vec::new();
            point(&mut out, ms, 1.0);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }

    #[test]
    fn strings_are_json() {
        for text in ["", "plain", "quote \" back \\ line \n tab \t bell \u{7} é \u{2028}", "\u{0}\u{1f}"] {
            let mut out = Vec::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
