//! Prometheus remote read: requests, sample answers, and streamed frames of XOR chunks.
//!
//! A streamed answer is a sequence of frames: the length as a varint, the CRC-32C of the message in four bytes, most
//! significant first, and a `ChunkedReadResponse`. Chunk bytes come from the caller.

use model::{MatchOp, Matcher};

use crate::proto::{Reader, Writer, each_field};
use crate::remote_write::{Limits, labels_of, write_labels};
use crate::{Error, Result};

/// Content type of sample answers.
pub const CONTENT_TYPE_SAMPLES: &str = "application/x-protobuf";
/// Content type of streamed answers.
pub const CONTENT_TYPE_STREAMED: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
/// Most bytes of a frame that a reader accepts.
pub const MAX_FRAME_BYTES: usize = 50 << 20;
/// Most queries of one request, and most matchers of one query.
const MAX_PARTS: usize = 10_000;

/// How an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseType {
    /// One message with samples.
    Samples,
    /// Frames with chunks.
    StreamedXorChunks,
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadRequest {
    /// Queries, answered in order.
    pub queries: Vec<Query>,
    /// Acceptable forms of the answer, best first; empty means samples.
    pub accepted: Vec<ResponseType>,
}

/// One query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// First timestamp wanted.
    pub start_ms: i64,
    /// Last timestamp wanted.
    pub end_ms: i64,
    /// What the series must match.
    pub matchers: Vec<Matcher>,
    /// What the query is for.
    pub hints: Option<Hints>,
}

/// What the answer will be used for; may be ignored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    /// Step of the evaluation.
    pub step_ms: i64,
    /// Function or aggregation around the selector.
    pub func: String,
    /// Start of the evaluation.
    pub start_ms: i64,
    /// End of the evaluation.
    pub end_ms: i64,
    /// Labels of the aggregation.
    pub grouping: Vec<String>,
    /// `by` rather than `without`.
    pub by: bool,
    /// Range of the selector.
    pub range_ms: i64,
}

impl ReadRequest {
    /// Reads a message.
    ///
    /// # Errors
    /// When it is damaged, too big, or a matcher's regular expression is wrong.
    pub fn decode(message: &[u8]) -> Result<Self> {
        let mut request = Self::default();
        each_field(message, |field| {
            match field.number {
                1 => {
                    check(request.queries.len())?;
                    request.queries.push(query(field.bytes()?)?);
                }
                2 => {
                    check(request.accepted.len())?;
                    field.push_varints(|v| {
                        request.accepted.push(match v {
                            1 => ResponseType::StreamedXorChunks,
                            _ => ResponseType::Samples,
                        });
                    })?;
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(request)
    }

    /// Writes the message.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        for query in &self.queries {
            out.message(1, |w| {
                w.varint(1, query.start_ms as u64);
                w.varint(2, query.end_ms as u64);
                for matcher in &query.matchers {
                    let op = match matcher.op() {
                        MatchOp::Equal => 0,
                        MatchOp::NotEqual => 1,
                        MatchOp::Regex => 2,
                        MatchOp::NotRegex => 3,
                    };
                    w.message(3, |w| {
                        w.varint(1, op);
                        w.bytes(2, matcher.name().as_bytes());
                        w.bytes(3, matcher.value().as_bytes());
                    });
                }
                if let Some(hints) = &query.hints {
                    w.message(4, |w| {
                        w.varint(1, hints.step_ms as u64);
                        w.bytes(2, hints.func.as_bytes());
                        w.varint(3, hints.start_ms as u64);
                        w.varint(4, hints.end_ms as u64);
                        hints.grouping.iter().for_each(|label| w.bytes(5, label.as_bytes()));
                        w.varint(6, u64::from(hints.by));
                        w.varint(7, hints.range_ms as u64);
                    });
                }
            });
        }
        for accepted in &self.accepted {
            out.varint(2, u64::from(*accepted == ResponseType::StreamedXorChunks));
        }
        out.into_bytes()
    }
}

fn check(len: usize) -> Result<()> {
    if len >= MAX_PARTS {
        return Err(Error::Limit { what: "parts of a read request", limit: MAX_PARTS as u64, found: len as u64 + 1 });
    }
    Ok(())
}

fn query(bytes: &[u8]) -> Result<Query> {
    let mut query = Query::default();
    each_field(bytes, |field| {
        match field.number {
            1 => query.start_ms = field.i64()?,
            2 => query.end_ms = field.i64()?,
            3 => {
                check(query.matchers.len())?;
                query.matchers.push(matcher(field.bytes()?)?);
            }
            4 => query.hints = Some(hints(field.bytes()?)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(query)
}

fn matcher(bytes: &[u8]) -> Result<Matcher> {
    let (mut op, mut name, mut value) = (0, "", "");
    each_field(bytes, |field| {
        match field.number {
            1 => op = field.u64()?,
            2 => name = field.str()?,
            3 => value = field.str()?,
            _ => {}
        }
        Ok(())
    })?;
    let op = match op {
        0 => MatchOp::Equal,
        1 => MatchOp::NotEqual,
        2 => MatchOp::Regex,
        3 => MatchOp::NotRegex,
        _ => return Err(Error::Invalid(format!("invalid matcher type {op}"))),
    };
    Matcher::new(op, name, value).map_err(|e| Error::Invalid(e.to_string()))
}

fn hints(bytes: &[u8]) -> Result<Hints> {
    let mut hints = Hints::default();
    each_field(bytes, |field| {
        match field.number {
            1 => hints.step_ms = field.i64()?,
            2 => field.str()?.clone_into(&mut hints.func),
            3 => hints.start_ms = field.i64()?,
            4 => hints.end_ms = field.i64()?,
            5 => {
                check(hints.grouping.len())?;
                hints.grouping.push(field.str()?.to_owned());
            }
            6 => hints.by = field.bool()?,
            7 => hints.range_ms = field.i64()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(hints)
}

/// Builds a `ReadResponse`: results in the order of the queries, series in each.
#[derive(Debug, Default)]
pub struct ReadResponseWriter {
    out: Writer,
}

/// Series of one result.
#[derive(Debug)]
pub struct ResultWriter<'w> {
    out: &'w mut Writer,
}

impl ReadResponseWriter {
    /// An empty answer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the result of the next query.
    pub fn result(&mut self, write: impl FnOnce(&mut ResultWriter<'_>)) {
        self.out.message(1, |w| write(&mut ResultWriter { out: w }));
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.out.into_bytes()
    }
}

impl ResultWriter<'_> {
    /// Adds a series with its samples (timestamp, value).
    pub fn series<'l>(
        &mut self,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        samples: impl IntoIterator<Item = (i64, f64)>,
    ) {
        self.out.message(1, |w| {
            write_labels(w, 1, labels);
            for (timestamp_ms, value) in samples {
                w.message(2, |w| {
                    w.double(1, value);
                    w.varint(2, timestamp_ms as u64);
                });
            }
        });
    }
}

/// Encoding of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of Prometheus' chunk encodings")]
pub enum ChunkEncoding {
    Xor,
    Histogram,
    FloatHistogram,
}

/// A chunk of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chunk<'a> {
    /// Time of its first sample.
    pub min_ms: i64,
    /// Time of its last sample.
    pub max_ms: i64,
    /// How it is encoded.
    pub encoding: ChunkEncoding,
    /// Its bytes, without encoding byte or checksum.
    pub data: &'a [u8],
}

/// Appends one frame that holds one series of query `query_index` and some of its chunks.
pub fn write_frame<'l, 'c>(
    out: &mut Vec<u8>,
    query_index: u64,
    labels: impl IntoIterator<Item = (&'l str, &'l str)>,
    chunks: impl IntoIterator<Item = Chunk<'c>>,
) {
    let mut message = Writer::new();
    message.message(1, |w| {
        write_labels(w, 1, labels);
        for chunk in chunks {
            w.message(2, |w| {
                w.varint(1, chunk.min_ms as u64);
                w.varint(2, chunk.max_ms as u64);
                w.varint(
                    3,
                    match chunk.encoding {
                        ChunkEncoding::Xor => 1,
                        ChunkEncoding::Histogram => 2,
                        ChunkEncoding::FloatHistogram => 3,
                    },
                );
                w.bytes(4, chunk.data);
            });
        }
    });
    message.varint(2, query_index);
    let mut frame = Writer::over(std::mem::take(out));
    frame.raw_varint(message.as_bytes().len() as u64);
    *out = frame.into_bytes();
    out.extend_from_slice(&crc32c(message.as_bytes()).to_be_bytes());
    out.extend_from_slice(message.as_bytes());
}

/// A series of a streamed answer: labels, then its chunks.
pub type ChunkedSeries<'a> = (model::Labels, Vec<Chunk<'a>>);

/// Takes the next frame off `bytes`: the query's index and its series, and the bytes behind it; `None` when the frame is
/// not complete yet.
///
/// # Errors
/// When the frame is damaged (wrong checksum) or too long.
#[allow(clippy::type_complexity, reason = "a result of three parts, used once")]
pub fn read_frame(bytes: &[u8]) -> Result<Option<(u64, Vec<ChunkedSeries<'_>>, &[u8])>> {
    let mut reader = Reader::new(bytes);
    let len = match reader.varint() {
        Ok(len) => usize::try_from(len).unwrap_or(usize::MAX),
        Err(error) if bytes.len() >= 10 => return Err(error),
        Err(_) => return Ok(None),
    };
    if len > MAX_FRAME_BYTES {
        return Err(Error::Limit { what: "bytes of a frame", limit: MAX_FRAME_BYTES as u64, found: len as u64 });
    }
    let start = reader.offset();
    let (Some(checksum), Some(message)) = (bytes.get(start..start + 4), bytes.get(start + 4..start + 4 + len)) else {
        return Ok(None);
    };
    if crc32c(message).to_be_bytes() != checksum {
        return Err(Error::Invalid("checksum of a frame does not match".into()));
    }
    let (mut index, mut series) = (0, Vec::new());
    each_field(message, |field| {
        match field.number {
            1 => series.push(chunked_series(field.bytes()?)?),
            2 => index = field.u64()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Some((index, series, bytes.get(start + 4 + len..).unwrap_or(&[]))))
}

fn chunked_series(bytes: &[u8]) -> Result<ChunkedSeries<'_>> {
    let (mut run, mut chunks) = (Writer::new(), Vec::new());
    each_field(bytes, |field| {
        match field.number {
            1 => run.bytes(1, field.bytes()?),
            2 => {
                let mut chunk = Chunk { min_ms: 0, max_ms: 0, encoding: ChunkEncoding::Xor, data: &[] };
                each_field(field.bytes()?, |part| {
                    match part.number {
                        1 => chunk.min_ms = part.i64()?,
                        2 => chunk.max_ms = part.i64()?,
                        3 => {
                            chunk.encoding = match part.u64()? {
                                1 => ChunkEncoding::Xor,
                                2 => ChunkEncoding::Histogram,
                                3 => ChunkEncoding::FloatHistogram,
                                other => return Err(Error::Invalid(format!("unknown chunk encoding {other}"))),
                            }
                        }
                        4 => chunk.data = part.bytes()?,
                        _ => {}
                    }
                    Ok(())
                })?;
                chunks.push(chunk);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok((labels_of(run.as_bytes(), &Limits::default())?, chunks))
}

/// Reads a `ReadResponse`: for each query the series with their samples.
///
/// # Errors
/// When the message is damaged.
#[allow(clippy::type_complexity, reason = "plain nested data, used once")]
pub fn decode_response(message: &[u8]) -> Result<Vec<Vec<(model::Labels, Vec<(i64, f64)>)>>> {
    let mut results = Vec::new();
    each_field(message, |field| {
        if field.number != 1 {
            return Ok(());
        }
        let mut result = Vec::new();
        each_field(field.bytes()?, |field| {
            if field.number == 1 {
                let (mut run, mut samples) = (Writer::new(), Vec::new());
                each_field(field.bytes()?, |part| {
                    match part.number {
                        1 => run.bytes(1, part.bytes()?),
                        2 => {
                            let mut sample = (0, 0.0);
                            each_field(part.bytes()?, |part| {
                                match part.number {
                                    1 => sample.1 = part.f64()?,
                                    2 => sample.0 = part.i64()?,
                                    _ => {}
                                }
                                Ok(())
                            })?;
                            samples.push(sample);
                        }
                        _ => {}
                    }
                    Ok(())
                })?;
                result.push((labels_of(run.as_bytes(), &Limits::default())?, samples));
            }
            Ok(())
        })?;
        results.push(result);
        Ok(())
    })?;
    Ok(results)
}

/// CRC-32C (Castagnoli), the checksum of frames.
pub fn crc32c(bytes: &[u8]) -> u32 {
    const TABLES: [[u32; 256]; 8] = tables();
    let mut crc = !0u32;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let low = crc ^ u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        crc = TABLES[7][(low & 0xff) as usize]
            ^ TABLES[6][(low >> 8 & 0xff) as usize]
            ^ TABLES[5][(low >> 16 & 0xff) as usize]
            ^ TABLES[4][(low >> 24) as usize]
            ^ TABLES[3][chunk[4] as usize]
            ^ TABLES[2][chunk[5] as usize]
            ^ TABLES[1][chunk[6] as usize]
            ^ TABLES[0][chunk[7] as usize];
    }
    for byte in chunks.remainder() {
        crc = TABLES[0][((crc ^ u32::from(*byte)) & 0xff) as usize] ^ crc >> 8;
    }
    !crc
}

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0u32; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        tables[0][i] = crc;
        i += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut i = 0;
        while i < 256 {
            let before = tables[table - 1][i];
            tables[table][i] = tables[0][(before & 0xff) as usize] ^ before >> 8;
            i += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_the_standard_example() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn requests_round_trip() {
        let request = ReadRequest {
            queries: vec![Query {
                start_ms: -5,
                end_ms: 10,
                matchers: vec![
                    Matcher::equal("__name__", "up"),
                    Matcher::new(MatchOp::NotRegex, "job", "a|b").unwrap(),
                ],
                hints: Some(Hints { func: "rate".into(), grouping: vec!["job".into()], by: true, ..Hints::default() }),
            }],
            accepted: vec![ResponseType::StreamedXorChunks, ResponseType::Samples],
        };
        let bytes = request.encode();
        assert_eq!(ReadRequest::decode(&bytes), Ok(request));
        for cut in 0..bytes.len() {
            let _ = ReadRequest::decode(&bytes[..cut]);
        }
    }

    #[test]
    fn answers_round_trip() {
        let mut answer = ReadResponseWriter::new();
        answer.result(|r| r.series([("__name__", "up")], [(1, 2.0), (3, f64::NAN)]));
        answer.result(|_| {});
        let got = decode_response(&answer.finish()).unwrap();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0][0].0, model::Labels::from_pairs([("__name__", "up")]));
        assert_eq!((got[0][0].1[0], got[0][0].1[1].0), ((1, 2.0), 3));

        let chunk = Chunk { min_ms: 1, max_ms: 9, encoding: ChunkEncoding::Xor, data: &[1, 2, 3] };
        let mut stream = Vec::new();
        write_frame(&mut stream, 0, [("a", "1")], [chunk]);
        let first = stream.len();
        write_frame(&mut stream, 1, [("a", "2")], [chunk, chunk]);
        let (index, series, rest) = read_frame(&stream).unwrap().unwrap();
        assert_eq!((index, series[0].1.as_slice()), (0, &[chunk][..]));
        let (index, series, rest) = read_frame(rest).unwrap().unwrap();
        assert_eq!((index, series[0].1.len(), rest.len()), (1, 2, 0));
        for cut in 0..first {
            assert_eq!(read_frame(&stream[..cut]), Ok(None), "cut at {cut}");
        }
        stream[8] ^= 1;
        assert!(read_frame(&stream).is_err());
    }
}
