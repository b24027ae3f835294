//! Writers of the exposition formats.

use model::labels::{is_label_identifier, is_metric_identifier};

use super::{Exemplar, Family, Metric, MetricKind, MetricValue, TextFormat};
use crate::number::{write_float, write_int, write_openmetrics_float, write_seconds, write_uint};
use crate::proto::Writer;

/// Writes a page line by line; [`write_text`] is the convenient way to use it.
#[derive(Debug)]
pub struct TextWriter<'o> {
    out: &'o mut Vec<u8>,
    format: TextFormat,
}

impl<'o> TextWriter<'o> {
    /// A writer that appends to `out`.
    pub fn new(out: &'o mut Vec<u8>, format: TextFormat) -> Self {
        Self { out, format }
    }

    /// The metadata lines of a family. `name` is the full name; OpenMetrics drops a counter's `_total` here and calls a
    /// counter without it `unknown`.
    pub fn metadata(&mut self, name: &str, kind: MetricKind, help: &str, unit: &str) {
        let (name, kind) = match (self.format, kind) {
            (TextFormat::OpenMetrics, MetricKind::Counter) => match name.strip_suffix("_total") {
                Some(name) => (name, kind),
                None => (name, MetricKind::Unknown),
            },
            (TextFormat::OpenMetrics, MetricKind::Info) => (name.strip_suffix("_info").unwrap_or(name), kind),
            _ => (name, kind),
        };
        let word = match (self.format, kind) {
            (TextFormat::OpenMetrics, kind) => kind.as_str(),
            (TextFormat::Prometheus, MetricKind::Unknown) => "untyped",
            (TextFormat::Prometheus, MetricKind::GaugeHistogram) => "histogram",
            (TextFormat::Prometheus, MetricKind::Info | MetricKind::StateSet) => "gauge",
            (TextFormat::Prometheus, kind) => kind.as_str(),
        };
        if !help.is_empty() {
            self.out.extend_from_slice(b"# HELP ");
            self.meta_name(name);
            self.out.push(b' ');
            escape(self.out, help, self.format == TextFormat::OpenMetrics);
            self.out.push(b'\n');
        }
        self.out.extend_from_slice(b"# TYPE ");
        self.meta_name(name);
        self.out.push(b' ');
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b'\n');
        if self.format == TextFormat::OpenMetrics && !unit.is_empty() {
            self.out.extend_from_slice(b"# UNIT ");
            self.meta_name(name);
            self.out.push(b' ');
            self.out.extend_from_slice(unit.as_bytes());
            self.out.push(b'\n');
        }
    }

    fn meta_name(&mut self, name: &str) {
        if is_metric_identifier(name) {
            self.out.extend_from_slice(name.as_bytes());
        } else {
            self.quoted(name);
        }
    }

    fn quoted(&mut self, text: &str) {
        self.out.push(b'"');
        escape(self.out, text, true);
        self.out.push(b'"');
    }

    /// Name and labels of a sample. `suffix` goes behind the name; `extra` is a last label whose value is a number
    /// (`le`, `quantile`).
    pub fn series<'a>(
        &mut self,
        name: &str,
        suffix: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        extra: Option<(&str, f64)>,
    ) {
        let bare = is_metric_identifier(name);
        let mut separator = b'{';
        if bare {
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(suffix.as_bytes());
        } else {
            self.out.extend_from_slice(b"{\"");
            escape(self.out, name, true);
            self.out.extend_from_slice(suffix.as_bytes());
            self.out.push(b'"');
            separator = b',';
        }
        for (name, value) in labels {
            self.out.push(separator);
            separator = b',';
            if is_label_identifier(name) {
                self.out.extend_from_slice(name.as_bytes());
            } else {
                self.quoted(name);
            }
            self.out.push(b'=');
            self.quoted(value);
        }
        if let Some((name, value)) = extra {
            self.out.push(separator);
            separator = b',';
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"=\"");
            self.number(value);
            self.out.push(b'"');
        }
        if separator == b',' {
            self.out.push(b'}');
        }
    }

    fn number(&mut self, value: f64) {
        match self.format {
            TextFormat::Prometheus => write_float(self.out, value),
            TextFormat::OpenMetrics => write_openmetrics_float(self.out, value),
        }
    }

    /// Value and timestamp of a sample, and the end of its line.
    pub fn value(&mut self, value: f64, timestamp_ms: Option<i64>, exemplar: Option<&Exemplar>) {
        self.out.push(b' ');
        self.number(value);
        self.end_line(timestamp_ms, exemplar);
    }

    /// As [`TextWriter::value`], for a count.
    pub fn count(&mut self, count: u64, timestamp_ms: Option<i64>) {
        self.out.push(b' ');
        // The classic format writes every value as a float, which shows from a million on.
        match self.format {
            TextFormat::Prometheus => write_float(self.out, count as f64),
            TextFormat::OpenMetrics => write_uint(self.out, count),
        }
        self.end_line(timestamp_ms, None);
    }

    fn end_line(&mut self, timestamp_ms: Option<i64>, exemplar: Option<&Exemplar>) {
        if let Some(ms) = timestamp_ms {
            self.out.push(b' ');
            match self.format {
                TextFormat::Prometheus => write_int(self.out, ms),
                TextFormat::OpenMetrics => write_seconds(self.out, ms),
            }
        }
        if let (Some(exemplar), TextFormat::OpenMetrics) = (exemplar, self.format) {
            self.out.extend_from_slice(b" # {");
            for (index, (name, value)) in exemplar.labels.iter().enumerate() {
                if index > 0 {
                    self.out.push(b',');
                }
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b'=');
                self.quoted(value);
            }
            self.out.extend_from_slice(b"} ");
            self.number(exemplar.value);
            if let Some(ms) = exemplar.timestamp_ms {
                self.out.push(b' ');
                write_seconds(self.out, ms);
            }
        }
        self.out.push(b'\n');
    }

    /// A family with its metrics.
    pub fn family(&mut self, family: &Family) {
        self.metadata(&family.name, family.kind, &family.help, &family.unit);
        for metric in &family.metrics {
            self.metric(family, metric);
        }
    }

    fn metric(&mut self, family: &Family, metric: &Metric) {
        let labels = || metric.labels.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        let timestamp = metric.timestamp_ms;
        match &metric.value {
            MetricValue::Single(value) => {
                self.series(&family.name, "", labels(), None);
                self.value(*value, timestamp, metric.exemplar.as_ref());
            }
            MetricValue::Histogram(histogram) => {
                let mut bounds = histogram.buckets.iter().copied().filter(|(le, _)| le.is_finite()).collect::<Vec<_>>();
                bounds.push((f64::INFINITY, histogram.count));
                for (le, count) in bounds {
                    self.series(&family.name, "_bucket", labels(), Some(("le", le)));
                    self.count(count, timestamp);
                }
                self.series(&family.name, "_sum", labels(), None);
                self.value(histogram.sum, timestamp, None);
                self.series(&family.name, "_count", labels(), None);
                self.count(histogram.count, timestamp);
            }
            MetricValue::Summary(summary) => {
                for (quantile, value) in &summary.quantiles {
                    self.series(&family.name, "", labels(), Some(("quantile", *quantile)));
                    self.value(*value, timestamp, None);
                }
                self.series(&family.name, "_sum", labels(), None);
                self.value(summary.sum, timestamp, None);
                self.series(&family.name, "_count", labels(), None);
                self.count(summary.count, timestamp);
            }
        }
    }

    /// The end of the page: `# EOF` in OpenMetrics.
    pub fn finish(&mut self) {
        if self.format == TextFormat::OpenMetrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
    }
}

/// Writes families as a whole page.
pub fn write_text(out: &mut Vec<u8>, format: TextFormat, families: &[Family]) {
    let mut writer = TextWriter::new(out, format);
    for family in families.iter().filter(|family| !family.metrics.is_empty()) {
        writer.family(family);
    }
    writer.finish();
}

fn escape(out: &mut Vec<u8>, text: &str, quotes: bool) {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr3(b'\\', b'\n', b'"', rest) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        match tail.first() {
            Some(b'\\') => out.extend_from_slice(b"\\\\"),
            Some(b'\n') => out.extend_from_slice(b"\\n"),
            _ if quotes => out.extend_from_slice(b"\\\""),
            _ => out.push(b'"'),
        }
        rest = tail.get(1..).unwrap_or(&[]);
    }
    out.extend_from_slice(rest);
}

/// Writes families as delimited `io.prometheus.client.MetricFamily` messages.
pub fn write_protobuf(out: &mut Vec<u8>, families: &[Family]) {
    let mut writer = Writer::over(std::mem::take(out));
    for family in families.iter().filter(|family| !family.metrics.is_empty()) {
        writer.delimited(|w| {
            w.bytes(1, family.name.as_bytes());
            w.bytes(2, family.help.as_bytes());
            let kind = match family.kind {
                MetricKind::Counter => 0,
                MetricKind::Gauge | MetricKind::Info | MetricKind::StateSet => 1,
                MetricKind::Summary => 2,
                MetricKind::Unknown => 3,
                MetricKind::Histogram => 4,
                MetricKind::GaugeHistogram => 5,
            };
            w.varint(3, kind);
            for metric in &family.metrics {
                w.message(4, |w| proto_metric(w, kind, metric));
            }
            if !family.unit.is_empty() {
                w.bytes(5, family.unit.as_bytes());
            }
        });
    }
    *out = writer.into_bytes();
}

fn proto_labels(w: &mut Writer, number: u32, labels: &[super::LabelPair]) {
    for (name, value) in labels {
        w.message(number, |w| {
            w.bytes(1, name.as_bytes());
            w.bytes(2, value.as_bytes());
        });
    }
}

fn proto_metric(w: &mut Writer, kind: u64, metric: &Metric) {
    proto_labels(w, 1, &metric.labels);
    match &metric.value {
        MetricValue::Single(value) => {
            // gauge = 2, counter = 3, untyped = 5
            let number = match kind {
                0 => 3,
                1 => 2,
                _ => 5,
            };
            w.message(number, |w| {
                w.double(1, *value);
                if let (0, Some(exemplar)) = (kind, &metric.exemplar) {
                    w.message(2, |w| {
                        proto_labels(w, 1, &exemplar.labels);
                        w.double(2, exemplar.value);
                        if let Some(ms) = exemplar.timestamp_ms {
                            w.message(3, |w| {
                                w.varint(1, ms.div_euclid(1000) as u64);
                                w.varint(2, (ms.rem_euclid(1000) * 1_000_000) as u64);
                            });
                        }
                    });
                }
            });
        }
        MetricValue::Summary(summary) => w.message(4, |w| {
            w.varint(1, summary.count);
            w.double(2, summary.sum);
            for (quantile, value) in &summary.quantiles {
                w.message(3, |w| {
                    w.double(1, *quantile);
                    w.double(2, *value);
                });
            }
        }),
        MetricValue::Histogram(histogram) => w.message(7, |w| {
            w.varint(1, histogram.count);
            w.double(2, histogram.sum);
            for (le, count) in &histogram.buckets {
                w.message(3, |w| {
                    w.varint(1, *count);
                    w.double(2, *le);
                });
            }
        }),
    }
    if let Some(ms) = metric.timestamp_ms {
        w.varint(6, ms as u64);
    }
}
