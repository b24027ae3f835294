//! What a push is answered when not all of it was taken: status and text as the peer's.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::http::StatusCode;
use kit::http::BodyError;
use logstore::{Error as StoreError, ErrorKind, PushReport, Refusal, Refused};
use model::Labels;

use super::metadata::NameError;

/// Most refused entries that are told one by one.
const MAX_TOLD: usize = 10;

/// A push was refused, wholly or in part.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    /// The body could not be read.
    #[error("{}", body_text(.0))]
    Body(#[from] BodyError),
    /// The body is not what it claims to be.
    #[error("{0}")]
    Malformed(#[from] wire::Error),
    /// A stream's labels cannot be read.
    #[error("couldn't parse labels: {0}")]
    Labels(String),
    /// Something else is wrong with the request.
    #[error("{0}")]
    Invalid(String),
    /// A name of structured metadata is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nothing to store.
    #[error("error at least one valid stream is required for ingestion")]
    Empty,
    /// Too many bytes of pushes are in progress.
    #[error("distributor is at its limit of bytes in progress, try again later")]
    Overloaded,
    /// Some entries were refused; the rest is stored.
    #[error("{text}")]
    Refused {
        /// The answer's status.
        status: StatusCode,
        /// What was refused and why.
        text: String,
    },
    /// The store did not take the push.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tenant's store cannot be opened.
    #[error(transparent)]
    Open(#[from] crate::tenants::OpenError),
    /// The work was not finished.
    #[error("the push was not finished: {0}")]
    Unfinished(String),
}

fn body_text(error: &BodyError) -> String {
    match error {
        BodyError::TooLarge { limit, decompressed } => {
            let what = if *decompressed { "decompressed message size larger" } else { "message size larger" };
            format!("request body too large: {what} than max ({limit})")
        }
        other => other.to_string(),
    }
}

impl PushError {
    /// The answer's status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Body(BodyError::TooLarge { .. }) | Self::Malformed(wire::Error::Limit { .. }) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Body(BodyError::Timeout(_)) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(_) | Self::Malformed(_) | Self::Labels(_) | Self::Invalid(_) | Self::Name(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Empty => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused { status, .. } => *status,
            Self::Store(StoreError::Refused(refusal)) if refusal.is_temporary() => StatusCode::TOO_MANY_REQUESTS,
            Self::Store(error) => match error.kind() {
                ErrorKind::Invalid => StatusCode::BAD_REQUEST,
                ErrorKind::Limit => match error {
                    StoreError::PushTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                    _ => StatusCode::TOO_MANY_REQUESTS,
                },
                ErrorKind::Closed | ErrorKind::Refusing => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Open(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unfinished(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Collects what was refused of one push.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// Texts of validation errors with how many entries they are for.
    invalid: BTreeMap<String, u64>,
    /// Entries refused beyond those whose texts are kept.
    untold: u64,
    /// The answer that the store's own limits give; it comes before the others.
    limited: Option<String>,
    /// The answer to blocked streams; it comes after the others.
    blocked: Option<(StatusCode, String)>,
}

impl Refusals {
    /// Entries that cannot be stored as they are.
    pub(crate) fn invalid(&mut self, text: String, entries: u64) {
        if self.invalid.len() >= MAX_TOLD && !self.invalid.contains_key(&text) {
            self.untold += entries;
        } else {
            *self.invalid.entry(text).or_default() += entries;
        }
    }

    /// A stream that is blocked.
    pub(crate) fn blocked(&mut self, status: StatusCode, text: String) {
        self.blocked = Some((status, text));
    }

    /// What the store refused. `stream` gives labels and number of entries of a stream of the push.
    pub(crate) fn add(
        &mut self,
        report: &PushReport,
        tenant: &str,
        max_told: usize,
        stream: &dyn Fn(usize) -> (Labels, usize),
    ) {
        for refused in &report.refused {
            match refused.examples.first() {
                Some((_, Refusal::StreamLimit { .. })) => {
                    let text = refused.examples[0].1.to_string();
                    self.limited.get_or_insert(text);
                }
                Some((_, Refusal::StreamRateLimited { .. })) => {
                    let (labels, total) = stream(refused.stream);
                    self.limited.get_or_insert(ignored(refused, tenant, max_told, &labels, total));
                }
                _ => {
                    for (_, refusal) in &refused.examples {
                        self.invalid(refusal.to_string(), 1);
                    }
                    let told = refused.examples.len() as u64;
                    // Refusals of a whole stream have one text for all of its entries.
                    match refused.examples.as_slice() {
                        [(_, one)] if refused.entries > 1 => self.invalid(one.to_string(), refused.entries - told),
                        _ => self.untold += refused.entries.saturating_sub(told),
                    }
                }
            }
        }
    }

    /// The error of the push, if anything was refused.
    pub(crate) fn into_error(self) -> Option<PushError> {
        if let Some(text) = self.limited {
            return Some(PushError::Refused { status: StatusCode::TOO_MANY_REQUESTS, text });
        }
        if !self.invalid.is_empty() {
            let several = self.invalid.len() > 1 || self.invalid.values().any(|n| *n > 1);
            let mut text = String::new();
            for (index, (error, count)) in self.invalid.iter().enumerate() {
                let between = if index > 0 { "; " } else { "" };
                // Writing to a string cannot fail.
                let _ = if several {
                    write!(text, "{between}{count} errors like: {error}")
                } else {
                    write!(text, "{error}")
                };
            }
            if self.untold > 0 {
                let _ = write!(text, "; {} more errors", self.untold);
            }
            return Some(PushError::Refused { status: StatusCode::BAD_REQUEST, text });
        }
        self.blocked.map(|(status, text)| PushError::Refused { status, text })
    }
}

/// The text for entries of one stream that came too fast.
fn ignored(refused: &Refused, tenant: &str, max_told: usize, labels: &Labels, total: usize) -> String {
    let mut text = String::new();
    let told = if max_told == 0 { usize::MAX } else { max_told };
    for (timestamp_ns, refusal) in refused.examples.iter().take(told) {
        let _ = writeln!(text, "entry with timestamp {} ignored, reason: '{refusal}',", go_time(*timestamp_ns));
    }
    let _ = write!(text, "user '{tenant}', total ignored: {} out of {total} for stream: {labels}", refused.entries);
    text
}

/// A time as Go prints it: `2026-01-05 10:00:00.5 +0000 UTC`.
fn go_time(timestamp_ns: i64) -> String {
    let (seconds, ns) = (timestamp_ns.div_euclid(1_000_000_000), timestamp_ns.rem_euclid(1_000_000_000));
    let text = kit::time::Rfc3339(seconds.saturating_mul(1000)).to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    let time = time.get(..8).unwrap_or(time);
    let fraction = if ns == 0 { String::new() } else { format!(".{ns:09}").trim_end_matches('0').to_owned() };
    format!("{day} {time}{fraction} +0000 UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_go_prints_them() {
        assert_eq!(go_time(1_767_607_200_000_000_000), "2026-01-05 10:00:00 +0000 UTC");
        assert_eq!(go_time(1_767_607_200_500_000_000), "2026-01-05 10:00:00.5 +0000 UTC");
        assert_eq!(go_time(-1), "1969-12-31 23:59:59.999999999 +0000 UTC");
    }

    #[test]
    fn texts_are_grouped_and_bounded() {
        let mut refusals = Refusals::default();
        refusals.invalid("a".into(), 1);
        assert_eq!(refusals.into_error().unwrap().to_string(), "a");
        let mut refusals = Refusals::default();
        for index in 0..30 {
            refusals.invalid(format!("e{:02}", index / 2), 1);
        }
        let error = refusals.into_error().unwrap();
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        let text = error.to_string();
        assert!(text.starts_with("2 errors like: e00; 2 errors like: e01; "), "{text}");
        assert!(text.ends_with("2 errors like: e09; 10 more errors"), "{text}");
    }

    #[test]
    fn rates_come_before_what_is_invalid() {
        let labels = Labels::from_pairs([("a", "b")]);
        let limited = Refusal::StreamRateLimited { labels: labels.clone(), bytes_per_second: 1, bytes: 2 };
        let report = PushReport {
            refused: vec![Refused {
                stream: 0,
                entries: 3,
                bytes: 6,
                examples: vec![(0, limited.clone()), (1, limited)],
            }],
            ..PushReport::default()
        };
        let mut refusals = Refusals::default();
        refusals.invalid("a".into(), 1);
        refusals.add(&report, "fake", 1, &|_| (labels.clone(), 9));
        let error = refusals.into_error().unwrap();
        assert_eq!(error.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            error.to_string(),
            "entry with timestamp 1970-01-01 00:00:00 +0000 UTC ignored, reason: 'Per stream rate limit exceeded (limit: 1B/sec) while attempting to ingest for stream '{a=\"b\"}' totaling 2B, consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased',\nuser 'fake', total ignored: 3 out of 9 for stream: {a=\"b\"}"
        );
    }
}
