//! The codecs against an independent encoder: messages are built by `prost` from hand-written structs and read by this
//! crate, and the other way round. Cut at every length and with any byte flipped, nothing panics.

use foursight_wire::exposition::{self, Family, Metric, MetricKind, MetricValue};
use foursight_wire::loki::{Entry, Limits as PushLimits, Push, PushWriter};
use foursight_wire::remote_write::{
    Item, Limits, Request, RequestWriter, RequestWriterV2, Sample, SeriesValue, Version,
};
use foursight_wire::{Native, remote_write};
use model::{Histogram, Labels, ResetHint, Span};
use proptest::prelude::*;
use prost::Message;

mod pb {
    use prost::Message;

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(crate) timeseries: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) metadata: Vec<Metadata>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub(crate) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(crate) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) exemplars: Vec<Exemplar>,
        #[prost(message, repeated, tag = "4")]
        pub(crate) histograms: Vec<Histogram>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Label {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(string, tag = "2")]
        pub(crate) value: String,
    }
    #[derive(Clone, Copy, PartialEq, Message)]
    pub(crate) struct Sample {
        #[prost(double, tag = "1")]
        pub(crate) value: f64,
        #[prost(int64, tag = "2")]
        pub(crate) timestamp: i64,
        #[prost(int64, tag = "3")]
        pub(crate) start: i64,
    }
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub(crate) labels: Vec<Label>,
        #[prost(double, tag = "2")]
        pub(crate) value: f64,
        #[prost(int64, tag = "3")]
        pub(crate) timestamp: i64,
    }
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(crate) kind: i32,
        #[prost(string, tag = "2")]
        pub(crate) family: String,
        #[prost(string, tag = "4")]
        pub(crate) help: String,
        #[prost(string, tag = "5")]
        pub(crate) unit: String,
    }
    #[derive(Clone, Copy, PartialEq, Message)]
    pub(crate) struct Span {
        #[prost(sint32, tag = "1")]
        pub(crate) offset: i32,
        #[prost(uint32, tag = "2")]
        pub(crate) length: u32,
    }
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Histogram {
        #[prost(uint64, tag = "1")]
        pub(crate) count: u64,
        #[prost(double, tag = "3")]
        pub(crate) sum: f64,
        #[prost(sint32, tag = "4")]
        pub(crate) schema: i32,
        #[prost(double, tag = "5")]
        pub(crate) zero_threshold: f64,
        #[prost(uint64, tag = "6")]
        pub(crate) zero_count: u64,
        #[prost(message, repeated, tag = "8")]
        pub(crate) negative_spans: Vec<Span>,
        #[prost(sint64, repeated, tag = "9")]
        pub(crate) negative_deltas: Vec<i64>,
        #[prost(message, repeated, tag = "11")]
        pub(crate) positive_spans: Vec<Span>,
        #[prost(sint64, repeated, tag = "12")]
        pub(crate) positive_deltas: Vec<i64>,
        #[prost(int32, tag = "14")]
        pub(crate) reset_hint: i32,
        #[prost(int64, tag = "15")]
        pub(crate) timestamp: i64,
        #[prost(double, repeated, tag = "16")]
        pub(crate) custom_values: Vec<f64>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct RequestV2 {
        #[prost(string, repeated, tag = "4")]
        pub(crate) symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub(crate) timeseries: Vec<TimeSeriesV2>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct TimeSeriesV2 {
        #[prost(uint32, repeated, tag = "1")]
        pub(crate) labels_refs: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub(crate) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) histograms: Vec<Histogram>,
        #[prost(message, optional, tag = "5")]
        pub(crate) metadata: Option<MetadataV2>,
    }
    #[derive(Clone, Copy, PartialEq, Message)]
    pub(crate) struct MetadataV2 {
        #[prost(int32, tag = "1")]
        pub(crate) kind: i32,
        #[prost(uint32, tag = "3")]
        pub(crate) help_ref: u32,
        #[prost(uint32, tag = "4")]
        pub(crate) unit_ref: u32,
    }
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct PushRequest {
        #[prost(message, repeated, tag = "1")]
        pub(crate) streams: Vec<Stream>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Stream {
        #[prost(string, tag = "1")]
        pub(crate) labels: String,
        #[prost(message, repeated, tag = "2")]
        pub(crate) entries: Vec<Entry>,
        #[prost(uint64, tag = "3")]
        pub(crate) hash: u64,
    }
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Entry {
        #[prost(message, optional, tag = "1")]
        pub(crate) timestamp: Option<Timestamp>,
        #[prost(string, tag = "2")]
        pub(crate) line: String,
        #[prost(message, repeated, tag = "3")]
        pub(crate) metadata: Vec<Label>,
    }
    #[derive(Clone, Copy, PartialEq, Message)]
    pub(crate) struct Timestamp {
        #[prost(int64, tag = "1")]
        pub(crate) seconds: i64,
        #[prost(int32, tag = "2")]
        pub(crate) nanos: i32,
    }
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct MetricFamily {
        #[prost(string, optional, tag = "1")]
        pub(crate) name: Option<String>,
        #[prost(string, optional, tag = "2")]
        pub(crate) help: Option<String>,
        #[prost(int32, optional, tag = "3")]
        pub(crate) kind: Option<i32>,
        #[prost(message, repeated, tag = "4")]
        pub(crate) metric: Vec<Metric>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Metric {
        #[prost(message, repeated, tag = "1")]
        pub(crate) label: Vec<Label>,
        #[prost(message, optional, tag = "3")]
        pub(crate) counter: Option<Counter>,
        #[prost(message, optional, tag = "7")]
        pub(crate) histogram: Option<ClientHistogram>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Counter {
        #[prost(double, optional, tag = "1")]
        pub(crate) value: Option<f64>,
        #[prost(message, optional, tag = "3")]
        pub(crate) start: Option<Timestamp>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct ClientHistogram {
        #[prost(uint64, optional, tag = "1")]
        pub(crate) count: Option<u64>,
        #[prost(double, optional, tag = "2")]
        pub(crate) sum: Option<f64>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) bucket: Vec<Bucket>,
        #[prost(sint32, optional, tag = "5")]
        pub(crate) schema: Option<i32>,
        #[prost(double, optional, tag = "6")]
        pub(crate) zero_threshold: Option<f64>,
        #[prost(uint64, optional, tag = "7")]
        pub(crate) zero_count: Option<u64>,
        // Written unpacked, as the original schema (proto2 style) does.
        #[prost(message, repeated, tag = "12")]
        pub(crate) positive_span: Vec<Span>,
        #[prost(sint64, repeated, packed = "false", tag = "13")]
        pub(crate) positive_delta: Vec<i64>,
    }
    #[derive(Clone, Copy, PartialEq, Message)]
    pub(crate) struct Bucket {
        #[prost(uint64, optional, tag = "1")]
        pub(crate) count: Option<u64>,
        #[prost(double, optional, tag = "2")]
        pub(crate) bound: Option<f64>,
    }
}

fn label(name: &str, value: &str) -> pb::Label {
    pb::Label { name: name.into(), value: value.into() }
}

fn histogram() -> (pb::Histogram, Histogram) {
    let span = |offset, length| (pb::Span { offset, length }, Span { offset, length });
    let (a, b) = (span(-2, 2), span(3, 1));
    let message = pb::Histogram {
        count: 7,
        sum: 1.5,
        schema: -1,
        zero_threshold: 1e-9,
        zero_count: 2,
        negative_spans: vec![],
        negative_deltas: vec![],
        positive_spans: vec![a.0, b.0],
        positive_deltas: vec![1, 1, -1],
        reset_hint: 2,
        timestamp: 1234,
        custom_values: vec![0.5, 2.5],
    };
    let histogram = Histogram {
        schema: -1,
        zero_threshold: 1e-9,
        zero_count: 2,
        count: 7,
        sum: 1.5,
        positive_spans: vec![a.1, b.1],
        positive_deltas: vec![1, 1, -1],
        negative_spans: vec![],
        negative_deltas: vec![],
        custom_values: [0.5, 2.5].into(),
        reset_hint: ResetHint::NotReset,
    };
    (message, histogram)
}

fn request() -> pb::WriteRequest {
    pb::WriteRequest {
        timeseries: vec![pb::TimeSeries {
            labels: vec![label("__name__", "up"), label("job", "node")],
            samples: vec![
                pb::Sample { value: 1.5, timestamp: -1, start: 0 },
                pb::Sample { value: 2.0, timestamp: 1_700_000_000_000, start: 0 },
            ],
            exemplars: vec![pb::Exemplar { labels: vec![label("trace_id", "x")], value: 0.25, timestamp: 9 }],
            histograms: vec![histogram().0],
        }],
        metadata: vec![pb::Metadata { kind: 1, family: "up".into(), help: "h".into(), unit: "u".into() }],
    }
}

/// Everything a request holds, as one list of texts.
fn read_all(bytes: &[u8], version: Version) -> foursight_wire::Result<Vec<String>> {
    let mut request = Request::new(bytes, version, Limits::default())?;
    let mut out = Vec::new();
    while let Some(item) = request.next_item()? {
        let series = match item {
            Item::Metadata(metadata) => {
                out.push(format!("{metadata:?}"));
                continue;
            }
            Item::Series(series) => series,
        };
        out.push(series.labels()?.to_string());
        let mut values = series.values();
        while let Some(value) = values.next_value()? {
            out.push(match value {
                SeriesValue::Exemplar(exemplar) => {
                    format!(
                        "exemplar {} {} {}",
                        request.exemplar_labels(&exemplar)?,
                        exemplar.timestamp_ms,
                        exemplar.value
                    )
                }
                SeriesValue::Sample(sample) => format!("{} {}", sample.timestamp_ms, sample.value),
                SeriesValue::Histogram { timestamp_ms, histogram, .. } => format!("{timestamp_ms} {histogram:?}"),
            });
        }
    }
    Ok(out)
}

fn never_panics(bytes: &[u8], read: impl Fn(&[u8])) {
    for at in 0..bytes.len() {
        read(&bytes[..at]);
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= flip;
            read(&damaged);
        }
    }
}

#[test]
fn reads_remote_write_1() {
    let bytes = request().encode_to_vec();
    let want = [
        "up{job=\"node\"}".to_owned(),
        "-1 1.5".into(),
        "1700000000000 2".into(),
        "exemplar {trace_id=\"x\"} 9 0.25".into(),
        format!("1234 {:?}", Native::Integer(histogram().1)),
        "Metadata { family: \"up\", kind: Counter, help: \"h\", unit: \"u\" }".into(),
    ];
    assert_eq!(read_all(&bytes, Version::V1).unwrap(), want);
    never_panics(&bytes, |bytes| drop(read_all(bytes, Version::V1)));
}

#[test]
fn labels_behind_samples_are_found() {
    let series = &request().timeseries[0];
    let mut body = Vec::new();
    // One label, a sample, the other label.
    let part = |f: &dyn Fn(&mut pb::TimeSeries)| {
        let mut part = pb::TimeSeries::default();
        f(&mut part);
        part.encode_to_vec()
    };
    body.extend(part(&|p| p.labels.push(series.labels[0].clone())));
    body.extend(part(&|p| p.samples.push(series.samples[0])));
    body.extend(part(&|p| p.labels.push(series.labels[1].clone())));
    let mut bytes = vec![0x0a, body.len() as u8];
    bytes.extend(body);
    assert_eq!(read_all(&bytes, Version::V1).unwrap(), ["up{job=\"node\"}", "-1 1.5"]);
}

#[test]
fn reads_remote_write_2() {
    let message = pb::RequestV2 {
        symbols: ["", "__name__", "up", "job", "node", "help text"].map(str::to_owned).to_vec(),
        timeseries: vec![pb::TimeSeriesV2 {
            labels_refs: vec![1, 2, 3, 4],
            samples: vec![pb::Sample { value: 3.0, timestamp: 5, start: 4 }],
            histograms: vec![histogram().0],
            metadata: Some(pb::MetadataV2 { kind: 2, help_ref: 5, unit_ref: 0 }),
        }],
    };
    let bytes = message.encode_to_vec();
    let mut request = Request::new(&bytes, Version::V2, Limits::default()).unwrap();
    let Some(Item::Series(series)) = request.next_item().unwrap() else { panic!() };
    assert_eq!(series.labels().unwrap(), Labels::from_pairs([("__name__", "up"), ("job", "node")]));
    assert_eq!(series.metadata.unwrap().help, "help text");
    // The key is the one version 1 would have sent.
    let v1 = self::request().encode_to_vec();
    let mut first = Request::new(&v1, Version::V1, Limits::default()).unwrap();
    let Some(Item::Series(same)) = first.next_item().unwrap() else { panic!() };
    assert_eq!(series.key, same.key);
    let mut values = series.values();
    let Some(SeriesValue::Sample(sample)) = values.next_value().unwrap() else { panic!() };
    assert_eq!(sample, Sample { timestamp_ms: 5, value: 3.0, start_ms: 4 });
    never_panics(&bytes, |bytes| drop(read_all(bytes, Version::V2)));
    let outside = pb::RequestV2 { symbols: vec![String::new()], ..message };
    assert!(
        read_all(&outside.encode_to_vec(), Version::V2).unwrap_err().to_string().contains("outside the symbol table")
    );
}

#[test]
fn limits_are_enforced() {
    let bytes = request().encode_to_vec();
    let read = |limits: Limits| {
        let mut request = Request::new(&bytes, Version::V1, limits).unwrap();
        match request.next_item() {
            Ok(Some(Item::Series(series))) => series.labels().err(),
            other => other.err(),
        }
    };
    let defaults = Limits::default();
    assert_eq!(read(defaults), None);
    for limits in [
        Limits { series: 0, ..defaults },
        Limits { values: 3, ..defaults },
        Limits { labels: 1, ..defaults },
        Limits { label_bytes: 3, ..defaults },
    ] {
        assert_eq!(read(limits).map(|e| e.kind()), Some(foursight_wire::ErrorKind::Limit), "{limits:?}");
    }
}

#[test]
fn prost_reads_what_is_written() {
    let mut writer = RequestWriter::new();
    writer.series([("__name__", "up"), ("job", "node")], |s| {
        s.sample(-1, 1.5);
        s.sample(1_700_000_000_000, 2.0);
        s.exemplar([("trace_id", "x")], 9, 0.25);
        s.histogram(1234, &Native::Integer(histogram().1));
    });
    let metadata = remote_write::Metadata { family: "up", kind: MetricKind::Counter, help: "h", unit: "u" };
    writer.metadata(&metadata);
    assert_eq!(pb::WriteRequest::decode(writer.finish().as_slice()).unwrap(), request());

    let mut writer = RequestWriterV2::new();
    let sample = Sample { timestamp_ms: 5, value: 3.0, start_ms: 4 };
    writer.series([("__name__", "up")], &[sample], &[(1234, 0, Native::Integer(histogram().1))], &metadata);
    let bytes = writer.finish();
    let decoded = pb::RequestV2::decode(bytes.as_slice()).unwrap();
    assert_eq!(decoded.symbols, ["", "__name__", "up", "h", "u"]);
    assert_eq!(decoded.timeseries[0].histograms, [histogram().0]);
    assert_eq!(read_all(&bytes, Version::V2).unwrap()[0], "up");
}

fn push_entries(bytes: &[u8]) -> foursight_wire::Result<Vec<String>> {
    let mut push = Push::new(bytes, PushLimits::default());
    let mut out = Vec::new();
    let mut entry = Entry::default();
    while let Some(stream) = push.next_stream()? {
        let mut entries = stream.entries();
        while entries.next_into(&mut entry)? {
            out.push(format!("{} {} {} {:?}", stream.labels, entry.timestamp_ns, entry.line, entry.metadata));
        }
    }
    Ok(out)
}

#[test]
fn reads_and_writes_pushes() {
    let message = pb::PushRequest {
        streams: vec![pb::Stream {
            labels: "{job=\"titan\"}".into(),
            entries: vec![
                pb::Entry {
                    timestamp: Some(pb::Timestamp { seconds: -1, nanos: 999_999_999 }),
                    line: "first".into(),
                    metadata: vec![label("user", "kim")],
                },
                pb::Entry {
                    timestamp: Some(pb::Timestamp { seconds: 17, nanos: 5 }),
                    line: "second é".into(),
                    metadata: vec![],
                },
            ],
            hash: 0,
        }],
    };
    let bytes = message.encode_to_vec();
    assert_eq!(
        push_entries(&bytes).unwrap(),
        ["{job=\"titan\"} -1 first [(\"user\", \"kim\")]", "{job=\"titan\"} 17000000005 second é []"]
    );
    never_panics(&bytes, |bytes| drop(push_entries(bytes)));
    let mut writer = PushWriter::new();
    writer.stream("{job=\"titan\"}", |s| {
        s.entry(-1, "first", [("user", "kim")]);
        s.entry(17_000_000_005, "second é", []);
    });
    assert_eq!(pb::PushRequest::decode(writer.finish().as_slice()).unwrap(), message);
}

#[test]
fn lines_that_are_not_utf8_are_kept() {
    let mut writer = PushWriter::new();
    writer.stream("{}", |s| s.entry(1, "aXb", []));
    let mut bytes = writer.finish();
    let at = bytes.iter().position(|b| *b == b'X').unwrap();
    bytes[at] = 0xff;
    assert_eq!(push_entries(&bytes).unwrap(), ["{} 1 a\u{fffd}b []"]);
}

#[test]
fn reads_delimited_families() {
    let family = pb::MetricFamily {
        name: Some("x_seconds".into()),
        help: Some("help".into()),
        kind: Some(4),
        metric: vec![pb::Metric {
            label: vec![label("a", "b")],
            counter: None,
            histogram: Some(pb::ClientHistogram {
                count: Some(3),
                sum: Some(4.5),
                bucket: vec![pb::Bucket { count: Some(1), bound: Some(0.5) }],
                schema: Some(3),
                zero_threshold: Some(0.001),
                zero_count: Some(1),
                positive_span: vec![pb::Span { offset: -4, length: 2 }],
                positive_delta: vec![1, 0],
            }),
        }],
    };
    let counter = pb::MetricFamily {
        name: Some("c_total".into()),
        help: None,
        kind: Some(0),
        metric: vec![pb::Metric {
            label: vec![],
            counter: Some(pb::Counter {
                value: Some(7.0),
                start: Some(pb::Timestamp { seconds: 3, nanos: 500_000_000 }),
            }),
            histogram: None,
        }],
    };
    let mut page = Vec::new();
    family.encode_length_delimited(&mut page).unwrap();
    counter.encode_length_delimited(&mut page).unwrap();
    let families: Vec<_> = exposition::protobuf::Families::new(&page).collect::<Result<_, _>>().unwrap();
    assert_eq!((families[0].name, families[0].help, families[0].kind), ("x_seconds", "help", MetricKind::Histogram));
    let metric = families[0].metrics().next().unwrap().unwrap();
    assert_eq!(metric.labels().collect::<Vec<_>>(), [("a", "b")]);
    let exposition::protobuf::ValueRef::Histogram(histogram) = &metric.value else { panic!() };
    assert_eq!((histogram.count, histogram.sum, histogram.buckets[0].1), (3.0, 4.5, 1.0));
    let Some(Native::Integer(native)) = &histogram.native else { panic!() };
    assert_eq!((native.schema, native.positive_deltas.as_slice()), (3, &[1, 0][..]));
    let total = families[1].metrics().next().unwrap().unwrap();
    assert!(matches!(total.value, exposition::protobuf::ValueRef::Single(7.0, None)));
    assert_eq!(total.start_ms, Some(3500));
    never_panics(&page, |page| {
        for family in exposition::protobuf::Families::new(page).flatten() {
            for metric in family.metrics().flatten() {
                metric.labels().count();
            }
        }
    });

    let mut written = Family::new("c_total", "", MetricKind::Counter);
    written.metrics.push(Metric {
        labels: vec![],
        value: MetricValue::Single(7.0),
        exemplar: None,
        timestamp_ms: None,
    });
    let mut out = Vec::new();
    exposition::write_protobuf(&mut out, &[written]);
    let decoded = pb::MetricFamily::decode_length_delimited(out.as_slice()).unwrap();
    assert_eq!(decoded.metric[0].counter.as_ref().unwrap().value, Some(7.0));
}

proptest! {
    #[test]
    fn requests_round_trip(
        series in prop::collection::vec(
            (prop::collection::btree_map("[a-z_]{1,8}", "[ -~é]{1,12}", 1..6), prop::collection::vec((any::<i64>(), any::<u64>()), 0..20)),
            0..8,
        )
    ) {
        let mut v1 = RequestWriter::new();
        let mut v2 = RequestWriterV2::new();
        let mut want = Vec::new();
        for (labels, samples) in &series {
            let pairs = || labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
            v1.series(pairs(), |s| samples.iter().for_each(|(t, bits)| s.sample(*t, f64::from_bits(*bits))));
            let list: Vec<_> = samples
                .iter()
                .map(|(t, bits)| Sample { timestamp_ms: *t, value: f64::from_bits(*bits), start_ms: 0 })
                .collect();
            v2.series(pairs(), &list, &[], &remote_write::Metadata::default());
            want.push((Labels::from_pairs(pairs()), samples.clone()));
        }
        for (bytes, version) in [(v1.finish(), Version::V1), (v2.finish(), Version::V2)] {
            let mut request = Request::new(&bytes, version, Limits::default()).unwrap();
            let mut got = Vec::new();
            while let Some(Item::Series(series)) = request.next_item().unwrap() {
                let (mut values, mut quick) = (series.values(), series.values());
                let mut samples = Vec::new();
                while let Some(SeriesValue::Sample(sample)) = values.next_value().unwrap() {
                    samples.push((sample.timestamp_ms, sample.value.to_bits()));
                    // All but times before 1970, which are written in ten bytes.
                    let plain = quick.next_plain_sample().map(|s| (s.timestamp_ms, s.value.to_bits()));
                    if plain.is_none() {
                        prop_assert!(sample.timestamp_ms < 0);
                        quick = values.clone();
                    } else {
                        prop_assert_eq!(plain, samples.last().copied());
                    }
                }
                prop_assert_eq!(series.samples, samples.len());
                got.push((series.labels().unwrap(), samples));
            }
            prop_assert_eq!(&got, &want);
        }
    }

    /// What the short way reads is what the long way reads, whatever the bytes are.
    #[test]
    fn plain_samples_are_samples(
        time in prop_oneof![any::<i64>(), 0..4_000_000_000_000i64],
        value in prop_oneof![Just(None), any::<u64>().prop_map(Some)],
        place in 0usize..24,
        byte in any::<u8>(),
        length in 0usize..40,
    ) {
        let mut sample = foursight_wire::proto::Writer::new();
        if let Some(bits) = value {
            sample.double(1, f64::from_bits(bits));
        }
        sample.varint(2, time as u64);
        let mut series = foursight_wire::proto::Writer::new();
        series.bytes(2, sample.as_bytes());
        series.bytes(2, sample.as_bytes());
        let mut bytes = series.into_bytes();
        if let Some(b) = bytes.get_mut(place) {
            *b = byte;
        }
        bytes.truncate(length);
        let mut message = foursight_wire::proto::Writer::new();
        message.bytes(1, &bytes);
        let message = message.into_bytes();
        let mut request = Request::new(&message, Version::V1, Limits::default()).unwrap();
        let Ok(Some(Item::Series(series))) = request.next_item() else { return Ok(()) };
        let (mut quick, mut slow) = (series.values(), series.values());
        while let Some(sample) = quick.next_plain_sample() {
            let Ok(Some(SeriesValue::Sample(want))) = slow.next_value() else { panic!("the long way finds no sample") };
            prop_assert_eq!((sample.timestamp_ms, sample.value.to_bits(), 0), (want.timestamp_ms, want.value.to_bits(), want.start_ms));
            prop_assert_eq!(format!("{quick:?}"), format!("{slow:?}"));
        }
    }
}
