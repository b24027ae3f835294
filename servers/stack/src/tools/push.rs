//! `tool push metrics URL [FILE…]`: sends pages of text metrics by remote write.

use std::io::Read;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use kit::client::Request;
use model::Labels;
use wire::exposition::{Event, MetricKind, Parser, TextFormat};
use wire::remote_write::{Metadata, RequestWriter, RequestWriterV2, Sample, Version};

use super::args::{Args, Known};
use super::ask::{FLAGS, Server};
use super::{Failure, Outcome, duration};

/// Reads pages from files or standard input and sends each.
pub(super) fn run(words: &[&str]) -> Outcome {
    let known = Known { switches: &[], values: &["label", "timeout", "protobuf_message", FLAGS[0], FLAGS[1]] };
    let args = Args::read(words, &known).map_err(Failure::Usage)?;
    let Some((url, files)) = args.words.split_first() else {
        return Err(Failure::Usage("required argument 'remote-write-url' not provided".to_owned()));
    };
    let version = match args.get("protobuf_message").unwrap_or("prometheus.WriteRequest") {
        "prometheus.WriteRequest" => Version::V1,
        "io.prometheus.write.v2.Request" => Version::V2,
        other => return Err(Failure::Usage(format!("unknown protobuf message {other:?}"))),
    };
    let timeout_ms = duration("timeout", args.get("timeout").unwrap_or("30s"))?;
    let mut more = Vec::new();
    for label in args.all("label") {
        let pair = label.split_once('=').ok_or_else(|| format!("--label {label:?}: NAME=VALUE is needed"))?;
        more.push(pair);
    }
    if more.is_empty() {
        more.push(("job", "promtool"));
    }
    let server = Server::new(url, &args)?;
    let send = |what: &str, page: &[u8]| -> Result<(), String> {
        println!("Parsing {what} for metrics");
        let body = message(page, &more, version, kit::time::now_ms()).map_err(|e| format!("  FAILED: {e}"))?;
        let body = wire::compress::snappy_encode(&body);
        let protocol = if version == Version::V1 { "0.1.0" } else { "2.0.0" };
        let answer = server
            .send("", |url| {
                Request::post(url, version.content_type(), body)
                    .header(HeaderName::from_static("content-encoding"), HeaderValue::from_static("snappy"))
                    .header(
                        HeaderName::from_static("x-prometheus-remote-write-version"),
                        HeaderValue::from_static(protocol),
                    )
                    .timeout(Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0)))
            })
            .map_err(|e| format!("  FAILED: {e}"))?;
        if !answer.status.is_success() {
            return Err(format!("  FAILED: server returned HTTP status {}: {}", answer.status, answer.excerpt()));
        }
        println!("  SUCCESS: metrics pushed to remote write.");
        Ok(())
    };
    if files.is_empty() {
        let mut page = Vec::new();
        std::io::stdin().read_to_end(&mut page).map_err(|e| format!("  FAILED: {e}"))?;
        send("standard input", &page)?;
    }
    let mut failed = false;
    for file in files {
        let sent = std::fs::read(file).map_err(|e| format!("  FAILED: {e}")).and_then(|page| send(file, &page));
        if let Err(reason) = sent {
            eprintln!("{reason}");
            failed = true;
        }
    }
    if failed { Err(Failure::Failed(None)) } else { Ok(()) }
}

/// A page as a message, labels added where the page has none of the name.
fn message(page: &[u8], more: &[(&str, &str)], version: Version, now_ms: i64) -> Result<Vec<u8>, String> {
    let (mut v1, mut v2) = (RequestWriter::new(), RequestWriterV2::new());
    let mut family: (String, MetricKind, String) = Default::default();
    let mut count = 0;
    let mut parser = Parser::new(page, TextFormat::Prometheus);
    while let Some(event) = parser.next_event().map_err(|e| e.to_string())? {
        let series = match event {
            Event::Help { name, text } => {
                if family.0 != name {
                    family = (name.to_owned(), MetricKind::Unknown, String::new());
                }
                family.2 = wire::exposition::unescape(text).into_owned();
                continue;
            }
            Event::Type { name, kind } => {
                if family.0 != name {
                    family = (name.to_owned(), kind, String::new());
                }
                family.1 = kind;
                let metadata = Metadata { family: &family.0, kind, help: &family.2, unit: "" };
                v1.metadata(&metadata);
                continue;
            }
            Event::Series(series) => series,
            _ => continue,
        };
        count += 1;
        let mut labels = series.to_labels(true).map_err(|e| e.to_string())?.to_builder();
        for (name, value) in more {
            if labels.get(name).is_none() {
                labels.set(name, value);
            }
        }
        let labels: Labels = labels.build();
        let sample = Sample { timestamp_ms: series.timestamp_ms.unwrap_or(now_ms), value: series.value, start_ms: 0 };
        match version {
            Version::V1 => v1.series(&labels, |values| values.sample(sample.timestamp_ms, sample.value)),
            Version::V2 => {
                let metadata = Metadata { family: "", kind: family.1, help: &family.2, unit: "" };
                v2.series(&labels, &[sample], &[], &metadata);
            }
        }
    }
    if count == 0 {
        return Err("there is no sample on the page".to_owned());
    }
    Ok(match version {
        Version::V1 => v1.finish(),
        Version::V2 => v2.finish(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::remote_write::{Item, Limits, Request, SeriesValue};

    #[test]
    fn pages_become_messages_of_both_versions() {
        let page = b"# HELP a Things.\n# TYPE a counter\na{x=\"1\"} 5\na{job=\"own\"} 6 1000\n";
        for version in [Version::V1, Version::V2] {
            let bytes = message(page, &[("job", "push")], version, 7).unwrap();
            let mut request = Request::new(&bytes, version, Limits::default()).unwrap();
            let mut seen = Vec::new();
            while let Some(item) = request.next_item().unwrap() {
                let Item::Series(series) = item else { continue };
                let Some(SeriesValue::Sample(sample)) = series.values().next_value().unwrap() else {
                    panic!("a sample")
                };
                seen.push((series.labels().unwrap().to_string(), sample.timestamp_ms, sample.value));
            }
            seen.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(
                seen,
                [(r#"a{job="own"}"#.to_owned(), 1000, 6.0), (r#"a{job="push", x="1"}"#.to_owned(), 7, 5.0)]
            );
        }
        assert!(message(b"", &[], Version::V1, 0).is_err());
    }
}
