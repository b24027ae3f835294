//! Scrape formats: what a target's `/metrics` page says.
//!
//! [`Parser`] pulls events out of a text page (Prometheus text 0.0.4 and 1.0.0, OpenMetrics 1.0.0) without building
//! anything; [`protobuf`] reads delimited `MetricFamily` messages. Both accept exactly what Prometheus' scraper accepts,
//! which is more than the specifications allow; [`lint`] is the strict reader. [`Family`] with [`write_text`] and
//! [`write_protobuf`] is the way out.
//!
//! The raw bytes of a series (`name{a="b"}` as they stand on the page) identify it from scrape to scrape: a scraper
//! keeps a cache by them and looks at labels only once, through [`SeriesLabels`].

mod family;
pub mod lint;
mod parser;
pub mod protobuf;
mod write;

use std::borrow::Cow;

pub use family::{Exemplar, Family, Histogram, LabelPair, Metric, MetricValue, Summary};
pub use model::MetricKind;
pub use parser::{Event, ExemplarRef, Parser, Series, SeriesLabels};
pub use write::{TextWriter, write_protobuf, write_text};

/// A textual exposition format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextFormat {
    /// Prometheus text, versions 0.0.4 and 1.0.0.
    Prometheus,
    /// OpenMetrics text, versions 0.0.1 and 1.0.0.
    OpenMetrics,
}

/// Content type of Prometheus text.
pub const CONTENT_TYPE_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Content type of OpenMetrics text.
pub const CONTENT_TYPE_OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Content type of delimited protobuf messages.
pub const CONTENT_TYPE_PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// A format in which a page can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One of the text formats.
    Text(TextFormat),
    /// Delimited protobuf.
    Protobuf,
}

impl Format {
    /// The format of a page by its `Content-Type`; `None` when it is blank or unknown.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let mut parts = content_type.split(';').map(str::trim);
        match parts.next()?.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" => Some(Self::Text(TextFormat::OpenMetrics)),
            "text/plain" => Some(Self::Text(TextFormat::Prometheus)),
            "application/vnd.google.protobuf" => {
                let mut wanted = 0;
                for part in parts {
                    match part.split_once('=').map(|(k, v)| (k.trim().to_ascii_lowercase(), v.trim())) {
                        Some((key, "io.prometheus.client.MetricFamily")) if key == "proto" => wanted += 1,
                        Some((key, "delimited")) if key == "encoding" => wanted += 1,
                        _ => {}
                    }
                }
                (wanted == 2).then_some(Self::Protobuf)
            }
            _ => None,
        }
    }

    /// The format to answer with, by the request's `Accept` header: the highest `q` among those known, the first at a
    /// tie, Prometheus text when there is none.
    pub fn negotiate(accept: &str) -> Self {
        let mut best = (Self::Text(TextFormat::Prometheus), 0.0f32);
        for offer in accept.split(',') {
            let q = offer
                .split(';')
                .filter_map(|part| part.trim().strip_prefix("q="))
                .find_map(|q| q.parse().ok())
                .unwrap_or(1.0f32);
            if q > best.1
                && let Some(format) = Self::from_content_type(offer)
            {
                best = (format, q);
            }
        }
        best.0
    }

    /// The `Content-Type` of a page in this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text(TextFormat::Prometheus) => CONTENT_TYPE_TEXT,
            Self::Text(TextFormat::OpenMetrics) => CONTENT_TYPE_OPENMETRICS,
            Self::Protobuf => CONTENT_TYPE_PROTOBUF,
        }
    }

    /// Writes families in this format, a whole page.
    pub fn write(self, out: &mut Vec<u8>, families: &[Family]) {
        match self {
            Self::Text(format) => write_text(out, format, families),
            Self::Protobuf => write_protobuf(out, families),
        }
    }
}

/// The kind that a `# TYPE` line names; the two formats know different words.
fn kind_of(text: &[u8], format: TextFormat) -> Option<MetricKind> {
    let openmetrics = format == TextFormat::OpenMetrics;
    Some(match text {
        b"counter" => MetricKind::Counter,
        b"gauge" => MetricKind::Gauge,
        b"histogram" => MetricKind::Histogram,
        b"summary" => MetricKind::Summary,
        b"untyped" if !openmetrics => MetricKind::Unknown,
        b"unknown" if openmetrics => MetricKind::Unknown,
        b"gaugehistogram" if openmetrics => MetricKind::GaugeHistogram,
        b"info" if openmetrics => MetricKind::Info,
        b"stateset" if openmetrics => MetricKind::StateSet,
        _ => return None,
    })
}

/// Undoes `\\`, `\n` and, in label values, `\"`; an unknown escape stays as it is.
pub fn unescape(text: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', text.as_bytes()) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len());
    let (plain, mut rest) = text.split_at(first);
    out.push_str(plain);
    while let Some(tail) = rest.strip_prefix('\\') {
        let skip = match tail.as_bytes().first() {
            Some(b'\\') => {
                out.push('\\');
                1
            }
            Some(b'n') => {
                out.push('\n');
                1
            }
            Some(b'"') => {
                out.push('"');
                1
            }
            _ => {
                out.push('\\');
                0
            }
        };
        let tail = &tail[skip..];
        let next = memchr::memchr(b'\\', tail.as_bytes()).unwrap_or(tail.len());
        out.push_str(&tail[..next]);
        rest = &tail[next..];
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiates_like_the_go_client() {
        let cases = [
            ("", Format::Text(TextFormat::Prometheus)),
            ("*/*", Format::Text(TextFormat::Prometheus)),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3",
                Format::Text(TextFormat::OpenMetrics),
            ),
            ("text/plain;q=0.6,application/openmetrics-text;q=0.5", Format::Text(TextFormat::Prometheus)),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;q=0.5",
                Format::Protobuf,
            ),
            ("application/vnd.google.protobuf;proto=x;encoding=delimited", Format::Text(TextFormat::Prometheus)),
        ];
        for (accept, want) in cases {
            assert_eq!(Format::negotiate(accept), want, "{accept}");
        }
    }

    #[test]
    fn unescapes() {
        let cases = [("a", "a"), (r"a\\b", r"a\b"), (r"\n", "\n"), (r#"\""#, "\""), (r"\x\", r"\x\"), (r"\\n", r"\n")];
        for (text, want) in cases {
            assert_eq!(unescape(text), want, "{text}");
        }
    }
}
