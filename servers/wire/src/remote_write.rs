//! Prometheus remote write, versions 1.0 and 2.0, decompressed on the way in and not yet compressed on the way out.
//!
//! [`Request`] reads either version and yields [`Series`]: the labels as one run of bytes ([`Series::key`]) which
//! identifies the series without looking at a single label, then its values one by one. The key of version 2 is written
//! in version 1's form, so a cache by key serves both. Labels are decoded only when asked for ([`Series::labels`]).
//! [`RequestWriter`] and [`RequestWriterV2`] build messages.

use std::borrow::Cow;
use std::collections::HashMap;

use model::{Labels, LabelsBuilder};

use crate::exposition::MetricKind;
use crate::histogram::{self, Native};
use crate::proto::{Field, Reader, Value, Writer, each_field, utf8};
use crate::{Error, Result};

/// The two messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// `prometheus.WriteRequest`
    V1,
    /// `io.prometheus.write.v2.Request`
    V2,
}

impl Version {
    /// The version a `Content-Type` announces; `None` when it is none of the two.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let mut parts = content_type.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case("application/x-protobuf") {
            return None;
        }
        let mut version = Self::V1;
        for part in parts {
            match part.split_once('=').map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim())) {
                Some((name, "prometheus.WriteRequest")) if name == "proto" => version = Self::V1,
                Some((name, "io.prometheus.write.v2.Request")) if name == "proto" => version = Self::V2,
                Some((name, _)) if name == "proto" => return None,
                _ => {}
            }
        }
        Some(version)
    }

    /// The `Content-Type` of this version.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::V1 => "application/x-protobuf",
            Self::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }
}

/// What a request may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time series.
    pub series: usize,
    /// Samples, histograms and exemplars together.
    pub values: usize,
    /// Labels of one series.
    pub labels: usize,
    /// Bytes of one label name or value.
    pub label_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { series: 1_000_000, values: 10_000_000, labels: 500, label_bytes: 64 << 10 }
    }
}

fn check(what: &'static str, limit: usize, found: usize) -> Result<()> {
    if found > limit {
        return Err(Error::Limit { what, limit: limit as u64, found: found as u64 });
    }
    Ok(())
}

/// A request being read.
#[derive(Debug)]
pub struct Request<'a> {
    reader: Reader<'a>,
    version: Version,
    limits: Limits,
    symbols: Vec<&'a str>,
    /// References of a version 2 series, used again.
    refs: Vec<u64>,
    series: usize,
    values: usize,
}

impl<'a> Request<'a> {
    /// Begins to read a message.
    ///
    /// # Errors
    /// When a version 2 message's symbol table is damaged.
    pub fn new(message: &'a [u8], version: Version, limits: Limits) -> Result<Self> {
        let mut symbols = Vec::new();
        if version == Version::V2 {
            each_field(message, |field| {
                if field.number == 4 {
                    symbols.push(field.str()?);
                }
                Ok(())
            })?;
            if symbols.first().is_some_and(|first| !first.is_empty()) {
                return Err(Error::Invalid("the first symbol must be the empty string".into()));
            }
        }
        Ok(Self { reader: Reader::new(message), version, limits, symbols, refs: Vec::new(), series: 0, values: 0 })
    }

    /// The next series or metadata entry; `None` at the end. A series without labels is the caller's to refuse.
    ///
    /// # Errors
    /// When the message is damaged or a limit is reached. What was yielded before is valid.
    pub fn next_item(&mut self) -> Result<Option<Item<'a>>> {
        while let Some(field) = self.reader.next_field()? {
            match (self.version, field.number) {
                (Version::V1, 1) => {
                    let series = self.series_v1(field.bytes()?)?;
                    return self.count(series).map(|series| Some(Item::Series(series)));
                }
                (Version::V1, 3) => return Metadata::read(field.bytes()?).map(|m| Some(Item::Metadata(m))),
                (Version::V2, 5) => {
                    let series = self.series_v2(field.bytes()?)?;
                    return self.count(series).map(|series| Some(Item::Series(series)));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn count(&mut self, series: Series<'a>) -> Result<Series<'a>> {
        self.series += 1;
        self.values += series.samples + series.histograms + series.exemplars;
        check("time series of one request", self.limits.series, self.series)?;
        check("samples of one request", self.limits.values, self.values)?;
        Ok(series)
    }

    fn series_v1(&self, bytes: &'a [u8]) -> Result<Series<'a>> {
        let mut series = Series::new(bytes, self.version, self.limits);
        // Labels come first in every encoder there is: then the key is one slice of the message, and behind it is mostly one sample.
        let (leading, mut labels) = leading_labels(bytes);
        let (mut run, mut scattered) = (0..leading, false);
        let mut reader = Reader::at(bytes, leading);
        series.values_at = leading;
        if plain_sample(reader.rest()).is_some_and(|(_, length)| leading + length == bytes.len()) {
            check("labels of one series", self.limits.labels, labels)?;
            series.samples = 1;
            series.key = Cow::Borrowed(bytes.get(run).unwrap_or(&[]));
            return Ok(series);
        }
        loop {
            let start = reader.offset();
            let Some(field) = reader.next_field()? else { break };
            match field.number {
                1 => {
                    labels += 1;
                    if labels == 1 {
                        run = start..reader.offset();
                    } else if start == run.end {
                        run.end = reader.offset();
                    } else {
                        scattered = true;
                    }
                }
                2 => series.samples += 1,
                3 => series.exemplars += 1,
                4 => series.histograms += 1,
                _ => {}
            }
        }
        check("labels of one series", self.limits.labels, labels)?;
        series.key = if scattered {
            let mut key = Writer::new();
            each_field(bytes, |field| {
                if field.number == 1 {
                    key.bytes(1, field.bytes()?);
                }
                Ok(())
            })?;
            Cow::Owned(key.into_bytes())
        } else {
            Cow::Borrowed(bytes.get(run).unwrap_or(&[]))
        };
        Ok(series)
    }

    fn series_v2(&mut self, bytes: &'a [u8]) -> Result<Series<'a>> {
        let mut refs = std::mem::take(&mut self.refs);
        let series = self.series_v2_with(bytes, &mut refs);
        self.refs = refs;
        series
    }

    fn series_v2_with(&self, bytes: &'a [u8], refs: &mut Vec<u64>) -> Result<Series<'a>> {
        refs.clear();
        let mut series = Series::new(bytes, self.version, self.limits);
        let mut reader = Reader::new(bytes);
        while let Some(field) = reader.next_field()? {
            match field.number {
                1 => {
                    field.push_varints(|v| refs.push(v))?;
                    check("labels of one series", self.limits.labels, refs.len() / 2)?;
                    if series.samples + series.histograms + series.exemplars == 0 {
                        series.values_at = reader.offset();
                    }
                }
                2 => series.samples += 1,
                3 => series.histograms += 1,
                4 => series.exemplars += 1,
                5 => series.metadata = Some(self.metadata_v2(field.bytes()?)?),
                _ => {}
            }
        }
        if !refs.len().is_multiple_of(2) {
            return Err(Error::Invalid(format!("invalid labelRefs length {}", refs.len())));
        }
        let mut key = Writer::over(Vec::with_capacity(256));
        for pair in refs.chunks_exact(2) {
            let (name, value) = (self.symbol(pair[0])?, self.symbol(pair[1])?);
            key.message(1, |w| {
                w.bytes(1, name.as_bytes());
                w.bytes(2, value.as_bytes());
            });
        }
        series.key = Cow::Owned(key.into_bytes());
        Ok(series)
    }

    fn symbol(&self, index: u64) -> Result<&'a str> {
        let found = usize::try_from(index).ok().and_then(|index| self.symbols.get(index));
        found.copied().ok_or_else(|| {
            Error::Invalid(format!(
                "label reference {index} outside the symbol table of {} entries",
                self.symbols.len()
            ))
        })
    }

    fn pairs(&self, refs: &[u64]) -> Result<Vec<(&'a str, &'a str)>> {
        if !refs.len().is_multiple_of(2) {
            return Err(Error::Invalid(format!("invalid labelRefs length {}", refs.len())));
        }
        refs.chunks_exact(2).map(|pair| Ok((self.symbol(pair[0])?, self.symbol(pair[1])?))).collect()
    }

    fn metadata_v2(&self, bytes: &'a [u8]) -> Result<Metadata<'a>> {
        let mut metadata = Metadata::default();
        each_field(bytes, |field| {
            match field.number {
                1 => metadata.kind = kind_of(field.i32()?),
                3 => metadata.help = self.symbol(field.u64()?)?,
                4 => metadata.unit = self.symbol(field.u64()?)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(metadata)
    }

    /// Reads the labels of an exemplar of this request's series.
    ///
    /// # Errors
    /// When they refer to symbols that are not there.
    pub fn exemplar_labels(&self, exemplar: &Exemplar<'a>) -> Result<Labels> {
        match self.version {
            Version::V1 => labels_of(&exemplar.labels, &self.limits),
            Version::V2 => {
                let mut refs = Vec::new();
                each_field(&exemplar.labels, |field| field.push_varints(|v| refs.push(v)))?;
                Ok(Labels::from_pairs(self.pairs(&refs)?))
            }
        }
    }
}

/// An element of a request.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    /// Values of one series.
    Series(Series<'a>),
    /// What is known about a metric family (version 1; version 2 has it at the series).
    Metadata(Metadata<'a>),
}

/// Metadata of a family.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metadata<'a> {
    /// Name; empty in version 2, where the series has it.
    pub family: &'a str,
    /// Type.
    pub kind: MetricKind,
    /// Description.
    pub help: &'a str,
    /// Unit.
    pub unit: &'a str,
}

impl<'a> Metadata<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut metadata = Self::default();
        each_field(bytes, |field| {
            match field.number {
                1 => metadata.kind = kind_of(field.i32()?),
                2 => metadata.family = field.str()?,
                4 => metadata.help = field.str()?,
                5 => metadata.unit = field.str()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(metadata)
    }
}

/// By the number that messages have for them.
const KINDS: [MetricKind; 8] = [
    MetricKind::Unknown,
    MetricKind::Counter,
    MetricKind::Gauge,
    MetricKind::Histogram,
    MetricKind::GaugeHistogram,
    MetricKind::Summary,
    MetricKind::Info,
    MetricKind::StateSet,
];

fn kind_of(number: i32) -> MetricKind {
    usize::try_from(number).ok().and_then(|index| KINDS.get(index)).copied().unwrap_or_default()
}

fn kind_number(kind: MetricKind) -> u64 {
    KINDS.iter().position(|k| *k == kind).unwrap_or(0) as u64
}

/// One series of a request.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    /// The labels as version 1 encodes them: equal bytes are the same series. (Unequal bytes may be, too: a sender that
    /// changes the order of labels.)
    pub key: Cow<'a, [u8]>,
    /// Number of float samples.
    pub samples: usize,
    /// Number of native histograms.
    pub histograms: usize,
    /// Number of exemplars.
    pub exemplars: usize,
    /// Metadata (version 2).
    pub metadata: Option<Metadata<'a>>,
    bytes: &'a [u8],
    /// Offset in `bytes` before which there are labels only.
    values_at: usize,
    version: Version,
    limits: Limits,
}

impl<'a> Series<'a> {
    fn new(bytes: &'a [u8], version: Version, limits: Limits) -> Self {
        let key = Cow::Borrowed(&[][..]);
        Self { key, samples: 0, histograms: 0, exemplars: 0, metadata: None, bytes, values_at: 0, version, limits }
    }

    /// The labels as a set. Names must be unique and lengths within the limits; an empty value is left out.
    ///
    /// # Errors
    /// When they are not, or not UTF-8.
    pub fn labels(&self) -> Result<Labels> {
        labels_of(&self.key, &self.limits)
    }

    /// The values in the order of the message.
    pub fn values(&self) -> Values<'a> {
        Values { reader: Reader::at(self.bytes, self.values_at), version: self.version }
    }
}

/// Decodes a run of label fields, the form of [`Series::key`].
///
/// # Errors
/// When a label is damaged, too long or given twice.
pub fn labels_of(run: &[u8], limits: &Limits) -> Result<Labels> {
    let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(16);
    each_field(run, |field| {
        let mut pair = ("", "");
        each_field(field.bytes()?, |part| {
            match part.number {
                1 => pair.0 = part.str()?,
                2 => pair.1 = part.str()?,
                _ => {}
            }
            Ok(())
        })?;
        check("bytes of a label name", limits.label_bytes, pair.0.len())?;
        check("bytes of a label value", limits.label_bytes, pair.1.len())?;
        pairs.push(pair);
        Ok(())
    })?;
    if let Some(labels) = Labels::from_sorted(pairs.iter().copied()) {
        return Ok(labels);
    }
    let mut builder = LabelsBuilder::new();
    for (name, value) in pairs {
        if name.is_empty() {
            return Err(Error::Invalid("label without a name".into()));
        }
        if builder.get(name).is_some() {
            return Err(Error::Invalid(format!("label name {name:?} is not unique")));
        }
        builder.set(name, value);
    }
    Ok(builder.build())
}

/// A value of a series.
#[derive(Clone, Debug)]
pub enum SeriesValue<'a> {
    /// A float sample.
    Sample(Sample),
    /// A native histogram.
    Histogram {
        /// When.
        timestamp_ms: i64,
        /// When the counter began, 0 when not said.
        start_ms: i64,
        /// The histogram.
        histogram: Box<Native>,
    },
    /// An exemplar.
    Exemplar(Exemplar<'a>),
}

/// A float sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When.
    pub timestamp_ms: i64,
    /// Its value.
    pub value: f64,
    /// When the counter began, 0 when not said.
    pub start_ms: i64,
}

/// An exemplar; [`Request::exemplar_labels`] reads its labels.
#[derive(Clone, Debug)]
pub struct Exemplar<'a> {
    labels: Cow<'a, [u8]>,
    /// When.
    pub timestamp_ms: i64,
    /// Observed value.
    pub value: f64,
}

/// Values of one series.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    reader: Reader<'a>,
    version: Version,
}

impl<'a> Values<'a> {
    /// The next value if it is a sample as every sender encodes one, otherwise `None`: then [`Values::next_value`] says what it is.
    #[inline]
    pub fn next_plain_sample(&mut self) -> Option<Sample> {
        let (sample, length) = plain_sample(self.reader.rest())?;
        self.reader.skip(length);
        Some(sample)
    }

    /// The next value, `None` at the end.
    ///
    /// # Errors
    /// When a value is damaged.
    pub fn next_value(&mut self) -> Result<Option<SeriesValue<'a>>> {
        while let Some(field) = self.reader.next_field()? {
            let value = match (self.version, field.number) {
                (_, 2) => SeriesValue::Sample(sample(&field)?),
                (Version::V1, 3) | (Version::V2, 4) => SeriesValue::Exemplar(self.exemplar(&field)?),
                (Version::V1, 4) | (Version::V2, 3) => {
                    let (native, timestamp_ms, start_ms) = histogram::read(field.bytes()?)?;
                    SeriesValue::Histogram { timestamp_ms, start_ms, histogram: Box::new(native) }
                }
                _ => continue,
            };
            return Ok(Some(value));
        }
        Ok(None)
    }

    fn exemplar(&self, field: &Field<'a>) -> Result<Exemplar<'a>> {
        let mut exemplar = Exemplar { labels: Cow::Borrowed(&[]), timestamp_ms: 0, value: 0.0 };
        let mut labels = Writer::new();
        each_field(field.bytes()?, |part| {
            match (part.number, part.value) {
                (1, Value::Bytes(bytes)) => labels.bytes(1, bytes),
                (1, Value::Varint(reference)) => labels.varint(1, reference),
                (2, _) => exemplar.value = part.f64()?,
                (3, _) => exemplar.timestamp_ms = part.i64()?,
                _ => {}
            }
            Ok(())
        })?;
        exemplar.labels = Cow::Owned(labels.into_bytes());
        Ok(exemplar)
    }
}

/// Length and number of the labels with which a series begins, as far as they are shorter than 128 bytes each.
#[inline]
fn leading_labels(bytes: &[u8]) -> (usize, usize) {
    let (mut at, mut labels) = (0, 0);
    while let Some(&[0x0a, length @ 0..0x80]) = bytes.get(at..at + 2) {
        let end = at + 2 + usize::from(length);
        if end > bytes.len() {
            break;
        }
        (at, labels) = (end, labels + 1);
    }
    (at, labels)
}

/// A sample of value and time at the beginning of `bytes` (field 2, of the same form in both versions), and its length. `None` when it
/// is anything else, which may still be a sample.
#[inline]
fn plain_sample(bytes: &[u8]) -> Option<(Sample, usize)> {
    let &[0x12, length @ 0..0x80, ref rest @ ..] = bytes else { return None };
    let body = rest.get(..usize::from(length))?;
    // Encoders leave out a value of 0.
    let (bits, time) = match body {
        [0x09, a, b, c, d, e, f, g, h, 0x10, time @ ..] => (u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), time),
        [0x10, time @ ..] => (0, time),
        _ => return None,
    };
    let (last, before) = time.split_last().filter(|(last, before)| **last < 0x80 && before.len() < 9)?;
    let mut timestamp = 0u64;
    for (index, byte) in before.iter().enumerate() {
        if *byte < 0x80 {
            return None;
        }
        timestamp |= u64::from(byte & 0x7f) << (7 * index);
    }
    timestamp |= u64::from(*last) << (7 * before.len());
    let sample = Sample { timestamp_ms: timestamp as i64, value: f64::from_bits(bits), start_ms: 0 };
    Some((sample, 2 + usize::from(length)))
}

#[inline]
fn sample(field: &Field<'_>) -> Result<Sample> {
    let bytes = field.bytes()?;
    let mut sample = Sample { timestamp_ms: 0, value: 0.0, start_ms: 0 };
    let mut reader = Reader::new(bytes);
    while let Some(part) = reader.next_field()? {
        match part.number {
            1 => sample.value = part.f64()?,
            2 => sample.timestamp_ms = part.i64()?,
            3 => sample.start_ms = part.i64()?,
            _ => {}
        }
    }
    Ok(sample)
}

/// Builds a version 1 message.
#[derive(Debug, Default)]
pub struct RequestWriter {
    out: Writer,
}

impl RequestWriter {
    /// An empty request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.out.as_bytes().len()
    }

    /// True when nothing is written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a series; `values` writes what it holds.
    pub fn series<'l>(
        &mut self,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        values: impl FnOnce(&mut SeriesWriter<'_>),
    ) {
        self.out.message(1, |w| {
            write_labels(w, 1, labels);
            values(&mut SeriesWriter { out: w });
        });
    }

    /// Adds metadata of a family.
    pub fn metadata(&mut self, metadata: &Metadata<'_>) {
        self.out.message(3, |w| {
            w.varint(1, kind_number(metadata.kind));
            w.bytes(2, metadata.family.as_bytes());
            w.bytes(4, metadata.help.as_bytes());
            w.bytes(5, metadata.unit.as_bytes());
        });
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.out.into_bytes()
    }
}

pub(crate) fn write_labels<'l>(w: &mut Writer, number: u32, labels: impl IntoIterator<Item = (&'l str, &'l str)>) {
    for (name, value) in labels {
        w.message(number, |w| {
            w.bytes(1, name.as_bytes());
            w.bytes(2, value.as_bytes());
        });
    }
}

/// Values of the series being written.
#[derive(Debug)]
pub struct SeriesWriter<'w> {
    out: &'w mut Writer,
}

impl SeriesWriter<'_> {
    /// Adds a sample.
    pub fn sample(&mut self, timestamp_ms: i64, value: f64) {
        self.out.message(2, |w| {
            w.double(1, value);
            w.varint(2, timestamp_ms as u64);
        });
    }

    /// Adds an exemplar.
    pub fn exemplar<'l>(
        &mut self,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        timestamp_ms: i64,
        value: f64,
    ) {
        self.out.message(3, |w| {
            write_labels(w, 1, labels);
            w.double(2, value);
            w.varint(3, timestamp_ms as u64);
        });
    }

    /// Adds a native histogram.
    pub fn histogram(&mut self, timestamp_ms: i64, native: &Native) {
        self.out.message(4, |w| histogram::write(w, native, timestamp_ms, 0));
    }
}

/// Builds a version 2 message: symbols are collected while series are added.
#[derive(Debug)]
pub struct RequestWriterV2 {
    symbols: Vec<String>,
    index: HashMap<String, u64>,
    series: Writer,
}

impl Default for RequestWriterV2 {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestWriterV2 {
    /// An empty request.
    pub fn new() -> Self {
        Self { symbols: vec![String::new()], index: HashMap::from([(String::new(), 0)]), series: Writer::new() }
    }

    fn symbol(&mut self, text: &str) -> u64 {
        if let Some(index) = self.index.get(text) {
            return *index;
        }
        let index = self.symbols.len() as u64;
        self.symbols.push(text.to_owned());
        self.index.insert(text.to_owned(), index);
        index
    }

    /// Adds a series with its float samples, histograms (timestamp, start, value) and metadata.
    pub fn series<'l>(
        &mut self,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        samples: &[Sample],
        histograms: &[(i64, i64, Native)],
        metadata: &Metadata<'_>,
    ) {
        let mut refs = Vec::with_capacity(32);
        for (name, value) in labels {
            refs.push(self.symbol(name));
            refs.push(self.symbol(value));
        }
        let (help, unit) = (self.symbol(metadata.help), self.symbol(metadata.unit));
        self.series.message(5, |w| {
            w.message(1, |w| refs.iter().for_each(|index| w.raw_varint(*index)));
            for sample in samples {
                w.message(2, |w| {
                    w.double(1, sample.value);
                    w.varint(2, sample.timestamp_ms as u64);
                    if sample.start_ms != 0 {
                        w.varint(3, sample.start_ms as u64);
                    }
                });
            }
            for (timestamp_ms, start_ms, native) in histograms {
                w.message(3, |w| histogram::write(w, native, *timestamp_ms, *start_ms));
            }
            w.message(5, |w| {
                w.varint(1, kind_number(metadata.kind));
                w.varint(3, help);
                w.varint(4, unit);
            });
        });
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        let mut out = Writer::new();
        for symbol in &self.symbols {
            out.bytes(4, symbol.as_bytes());
        }
        let mut bytes = out.into_bytes();
        bytes.extend_from_slice(self.series.as_bytes());
        bytes
    }
}

/// Checks that the bytes of a key are UTF-8 throughout, which makes label look-ups by bytes safe to show.
///
/// # Errors
/// When they are not.
pub fn check_key(key: &[u8]) -> Result<()> {
    each_field(key, |field| each_field(field.bytes()?, |part| utf8(part.bytes()?).map(drop)))
}
