//! Loki's push: protobuf and JSON in, protobuf out.
//!
//! Protobuf bodies are read in place ([`Push`]): streams, then entries, then pairs of structured metadata, all borrowed.
//! JSON bodies ([`decode_json`]) borrow whatever has no escapes. Both end in the same [`Entry`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::proto::{Reader, Writer, each_field};
use crate::{Error, Result};

/// What a push may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Streams.
    pub streams: usize,
    /// Entries of all streams.
    pub entries: usize,
    /// Pairs of structured metadata of one entry.
    pub metadata: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { streams: 100_000, entries: 10_000_000, metadata: 1000 }
    }
}

fn check(what: &'static str, limit: usize, found: usize) -> Result<()> {
    if found > limit {
        return Err(Error::Limit { what, limit: limit as u64, found: found as u64 });
    }
    Ok(())
}

/// Bytes as text; what is not UTF-8 is replaced, since a log line is worth keeping all the same.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// A protobuf push being read.
#[derive(Debug)]
pub struct Push<'a> {
    reader: Reader<'a>,
    limits: Limits,
    streams: usize,
    entries: usize,
}

impl<'a> Push<'a> {
    /// Begins to read a `PushRequest`.
    pub fn new(message: &'a [u8], limits: Limits) -> Self {
        Self { reader: Reader::new(message), limits, streams: 0, entries: 0 }
    }

    /// The next stream, `None` at the end.
    ///
    /// # Errors
    /// When the message is damaged or a limit is reached.
    pub fn next_stream(&mut self) -> Result<Option<Stream<'a>>> {
        while let Some(field) = self.reader.next_field()? {
            if field.number != 1 {
                continue;
            }
            let bytes = field.bytes()?;
            let mut stream = Stream { labels: "", entries: 0, bytes, limits: self.limits };
            each_field(bytes, |field| {
                match field.number {
                    1 => stream.labels = field.str()?,
                    2 => stream.entries += 1,
                    _ => {}
                }
                Ok(())
            })?;
            self.streams += 1;
            self.entries += stream.entries;
            check("streams of one push", self.limits.streams, self.streams)?;
            check("entries of one push", self.limits.entries, self.entries)?;
            return Ok(Some(stream));
        }
        Ok(None)
    }
}

/// A stream of a protobuf push.
#[derive(Clone, Debug)]
pub struct Stream<'a> {
    /// Its labels as text: `{job="titan", host="web"}`.
    pub labels: &'a str,
    /// Number of entries.
    pub entries: usize,
    bytes: &'a [u8],
    limits: Limits,
}

impl<'a> Stream<'a> {
    /// The entries in the order of the message.
    pub fn entries(&self) -> Entries<'a> {
        Entries { reader: Reader::new(self.bytes), limits: self.limits }
    }
}

/// Entries of one stream.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    reader: Reader<'a>,
    limits: Limits,
}

impl<'a> Entries<'a> {
    /// Reads the next entry into `entry`, whose memory is used again; false at the end.
    ///
    /// # Errors
    /// When the entry is damaged or has too much metadata.
    pub fn next_into(&mut self, entry: &mut Entry<'a>) -> Result<bool> {
        while let Some(field) = self.reader.next_field()? {
            if field.number != 2 {
                continue;
            }
            entry.timestamp_ns = 0;
            entry.line = Cow::Borrowed("");
            entry.metadata.clear();
            let limits = self.limits;
            each_field(field.bytes()?, |field| {
                match field.number {
                    1 => entry.timestamp_ns = timestamp(field.bytes()?)?,
                    2 => entry.line = text(field.bytes()?),
                    3 => {
                        let mut pair = (Cow::Borrowed(""), Cow::Borrowed(""));
                        each_field(field.bytes()?, |part| {
                            match part.number {
                                1 => pair.0 = text(part.bytes()?),
                                2 => pair.1 = text(part.bytes()?),
                                _ => {}
                            }
                            Ok(())
                        })?;
                        entry.metadata.push(pair);
                        check("structured metadata of one entry", limits.metadata, entry.metadata.len())?;
                    }
                    _ => {}
                }
                Ok(())
            })?;
            return Ok(true);
        }
        Ok(false)
    }
}

fn timestamp(bytes: &[u8]) -> Result<i64> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    each_field(bytes, |field| {
        match field.number {
            1 => seconds = field.i64()?,
            2 => nanos = i64::from(field.i32()?),
            _ => {}
        }
        Ok(())
    })?;
    seconds
        .checked_mul(1_000_000_000)
        .and_then(|ns| ns.checked_add(nanos))
        .ok_or_else(|| Error::Invalid(format!("timestamp of {seconds} seconds is out of range")))
}

/// An entry of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry<'a> {
    /// When, in nanoseconds.
    pub timestamp_ns: i64,
    /// The line.
    pub line: Cow<'a, str>,
    /// Structured metadata.
    pub metadata: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Labels of a JSON stream: pairs of the current form, or text of the old one.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonLabels<'a> {
    /// `"stream": {"job": "titan"}`
    Pairs(BTreeMap<Cow<'a, str>, Cow<'a, str>>),
    /// `"labels": "{job=\"titan\"}"`
    Text(Cow<'a, str>),
}

/// A stream of a JSON push.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonStream<'a> {
    /// Its labels.
    pub labels: JsonLabels<'a>,
    /// Its entries.
    pub entries: Vec<Entry<'a>>,
}

/// Reads a JSON push, of the current form (`stream`, `values`) or the old one (`labels`, `entries`).
///
/// # Errors
/// When the text is no such JSON (with line and column) or a limit is reached.
pub fn decode_json<'a>(body: &'a [u8], limits: &Limits) -> Result<Vec<JsonStream<'a>>> {
    #[derive(serde::Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        streams: Vec<RawStream<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct RawStream<'a> {
        #[serde(borrow, default)]
        stream: Option<BTreeMap<Text<'a>, Text<'a>>>,
        #[serde(borrow, default)]
        values: Vec<Value<'a>>,
        #[serde(borrow, default)]
        labels: Option<Text<'a>>,
        #[serde(borrow, default)]
        entries: Vec<OldEntry<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct OldEntry<'a> {
        #[serde(borrow)]
        ts: Text<'a>,
        #[serde(borrow)]
        line: Text<'a>,
    }
    let body: Body<'a> = serde_json::from_slice(body).map_err(|e| Error::Json(e.to_string()))?;
    check("streams of one push", limits.streams, body.streams.len())?;
    let total = body.streams.iter().map(|stream| stream.values.len() + stream.entries.len()).sum();
    check("entries of one push", limits.entries, total)?;
    let mut streams = Vec::with_capacity(body.streams.len());
    for raw in body.streams {
        let labels = match (raw.stream, raw.labels) {
            (Some(pairs), _) => JsonLabels::Pairs(pairs.into_iter().map(|(n, v)| (n.0, v.0)).collect()),
            (None, Some(labels)) => JsonLabels::Text(labels.0),
            (None, None) => JsonLabels::Pairs(BTreeMap::new()),
        };
        let mut entries: Vec<Entry<'a>> = raw.values.into_iter().map(|value| value.0).collect();
        for entry in &entries {
            check("structured metadata of one entry", limits.metadata, entry.metadata.len())?;
        }
        for old in raw.entries {
            let timestamp_ns = parse_rfc3339_ns(&old.ts.0)
                .ok_or_else(|| Error::Json(format!("{:?} is no RFC 3339 time", old.ts.0)))?;
            entries.push(Entry { timestamp_ns, line: old.line.0, metadata: Vec::new() });
        }
        streams.push(JsonStream { labels, entries });
    }
    Ok(streams)
}

/// A string, borrowed when it has no escapes (a plain `Cow` field would always copy).
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// `["<ns>", "line", {"name": "value"}]`
struct Value<'a>(Entry<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = Value<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("[\"<nanoseconds>\", \"line\", {metadata}]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
                let short = |n| de::Error::invalid_length(n, &"a timestamp and a line");
                let time: Text<'de> = seq.next_element()?.ok_or_else(|| short(0))?;
                let line: Text<'de> = seq.next_element()?.ok_or_else(|| short(1))?;
                let metadata: Option<BTreeMap<Text<'de>, Text<'de>>> = seq.next_element()?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                let timestamp_ns = time
                    .0
                    .parse()
                    .map_err(|_| de::Error::custom(format!("timestamp {:?} is no number of nanoseconds", time.0)))?;
                let metadata = metadata.unwrap_or_default().into_iter().map(|(n, v)| (n.0, v.0)).collect();
                Ok(Value(Entry { timestamp_ns, line: line.0, metadata }))
            }
        }
        deserializer.deserialize_seq(ValueVisitor)
    }
}

/// Nanoseconds of an RFC 3339 time such as `2026-11-23T00:38:27.123456789+01:00`; `None` when it is none or out of range.
pub fn parse_rfc3339_ns(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = bytes.get(range)?;
        digits.iter().all(u8::is_ascii_digit).then(|| digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
    };
    let sign = |at: usize, c: &[u8]| bytes.get(at).is_some_and(|b| c.contains(b));
    if !(sign(4, b"-") && sign(7, b"-") && sign(10, b"Tt ") && sign(13, b":") && sign(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (mut at, mut nanos) = (19, 0i64);
    if sign(at, b".") {
        let digits = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut scale = 100_000_000;
        for digit in bytes[at + 1..].iter().take(digits) {
            nanos += i64::from(digit - b'0') * scale;
            scale /= 10;
        }
        if digits == 0 {
            return None;
        }
        at += 1 + digits;
    }
    let offset = match bytes.get(at)? {
        b'Z' | b'z' if bytes.len() == at + 1 => 0,
        b'+' | b'-' if bytes.len() == at + 6 && sign(at + 3, b":") => {
            let minutes = number(at + 1..at + 3)? * 60 + number(at + 4..at + 6)?;
            if bytes[at] == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    // Days from the civil date (Hinnant).
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset * 60;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Builds a `PushRequest`.
#[derive(Debug, Default)]
pub struct PushWriter {
    out: Writer,
}

/// Entries of the stream being written.
#[derive(Debug)]
pub struct StreamWriter<'w> {
    out: &'w mut Writer,
}

impl PushWriter {
    /// An empty push.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stream; `labels` is its text form, names ascending.
    pub fn stream(&mut self, labels: &str, entries: impl FnOnce(&mut StreamWriter<'_>)) {
        self.out.message(1, |w| {
            w.bytes(1, labels.as_bytes());
            entries(&mut StreamWriter { out: w });
        });
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.out.into_bytes()
    }
}

impl StreamWriter<'_> {
    /// Adds an entry.
    pub fn entry<'m>(&mut self, timestamp_ns: i64, line: &str, metadata: impl IntoIterator<Item = (&'m str, &'m str)>) {
        self.out.message(2, |w| {
            w.message(1, |w| {
                w.varint(1, timestamp_ns.div_euclid(1_000_000_000) as u64);
                w.varint(2, timestamp_ns.rem_euclid(1_000_000_000) as u64);
            });
            w.bytes(2, line.as_bytes());
            for (name, value) in metadata {
                w.message(3, |w| {
                    w.bytes(1, name.as_bytes());
                    w.bytes(2, value.as_bytes());
                });
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_json_forms() {
        let body = br#"{"streams":[{"stream":{"job":"a"},"values":[["1","x\ty"],["2","z",{"user":"kim"}]]},
            {"labels":"{job=\"b\"}","entries":[{"ts":"1970-01-01T00:00:01.5Z","line":"old"}]}]}"#;
        let streams = decode_json(body, &Limits::default()).unwrap();
        assert_eq!(streams[0].labels, JsonLabels::Pairs([("job".into(), "a".into())].into()));
        assert_eq!(streams[0].entries[0].line, "x\ty");
        assert!(matches!(streams[0].entries[1].line, Cow::Borrowed("z")));
        assert_eq!(streams[0].entries[1].metadata, [("user".into(), "kim".into())]);
        assert_eq!(streams[1].labels, JsonLabels::Text("{job=\"b\"}".into()));
        assert_eq!(streams[1].entries[0].timestamp_ns, 1_500_000_000);
    }

    #[test]
    fn refuses_wrong_json() {
        for (body, want) in [
            (r#"{"streams":[{"stream":{},"values":[[1,"x"]]}]}"#, "expected a string"),
            (r#"{"streams":[{"stream":{},"values":[["1.5","x"]]}]}"#, "no number of nanoseconds"),
            (r#"{"streams":[{"stream":{},"values":[["1"]]}]}"#, "a timestamp and a line"),
            (r#"{"streams":[{"labels":"{}","entries":[{"ts":"yesterday","line":""}]}]}"#, "no RFC 3339 time"),
            (r#"{"streams""#, "line 1"),
        ] {
            let error = decode_json(body.as_bytes(), &Limits::default()).unwrap_err().to_string();
            assert!(error.contains(want), "{body}: {error}");
        }
        let limits = Limits { entries: 1, ..Limits::default() };
        let two = br#"{"streams":[{"stream":{"a":"b"},"values":[["1","x"],["2","y"]]}]}"#;
        assert!(matches!(decode_json(two, &limits), Err(Error::Limit { .. })));
    }

    #[test]
    fn reads_times() {
        let cases = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-23T00:38:27.123456789Z", Some(1_795_394_307_123_456_789)),
            ("2026-11-23T01:38:27+01:00", Some(1_795_394_307_000_000_000)),
            ("1969-12-31T23:59:59.9Z", Some(-100_000_000)),
            ("2026-13-01T00:00:00Z", None),
            ("2026-11-23T00:38:27", None),
            ("9999-12-31T00:00:00Z", None),
            ("2026-11-23T00:38:27.Z", None),
        ];
        for (text, want) in cases {
            assert_eq!(parse_rfc3339_ns(text), want, "{text}");
        }
    }
}
