//! Judging how an attempt went, and when to try again.
//!
//! Server errors (5xx), rate limits (429), broken connections and timeouts are tried again, other client errors (4xx) are
//! not: the same request would get the same answer. Slack's API says in the body whether it took a message. Waits grow
//! from half a second by half each time up to a minute, spread by a hash so that groups do not retry in step.

use std::collections::BTreeMap;
use std::hash::Hasher;

use serde::Deserialize;
use xxhash_rust::xxh64::Xxh64;

use super::config::Integration;
use super::contact_point::GrafanaKind;
use super::request::{FailureReason, HttpResponse, Outcome};

/// First wait.
const FIRST_MS: f64 = 500.0;
/// Each wait is so much longer than the one before.
const FACTOR: f64 = 1.5;
/// Longest wait.
const MAX_MS: f64 = 60_000.0;
/// A wait is shortened or lengthened by up to this part of it.
const SPREAD: f64 = 0.5;
/// Bytes of a response that an error shows.
const SHOWN_BYTES: usize = 1024;

/// How the answers of an integration are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// By the status code.
    Status,
    /// By the status code; 400 has details.
    PagerDuty,
    /// As `PagerDuty`; 403 is its rate limit.
    PagerDutyV1,
    /// A webhook answers `ok`, the API with JSON.
    Slack,
    /// JSON says whether it was taken.
    Rocketchat,
    /// JSON has a code of its own.
    KafkaV3,
}

impl Answers {
    pub(crate) fn of(integration: &Integration) -> Self {
        match integration {
            Integration::Slack(_) => Self::Slack,
            Integration::Rocketchat(_) => Self::Rocketchat,
            Integration::PagerDuty(config) if config.is_version_1() => Self::PagerDutyV1,
            Integration::PagerDuty(_) => Self::PagerDuty,
            Integration::Grafana(grafana) => match grafana.kind() {
                GrafanaKind::Slack(_) => Self::Slack,
                GrafanaKind::PagerDuty(_) => Self::PagerDuty,
                GrafanaKind::Kafka(settings) if settings.is_v3() => Self::KafkaV3,
                _ => Self::Status,
            },
            _ => Self::Status,
        }
    }
}

/// What is to be done after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It was delivered; what the receiver wants remembered.
    Delivered(BTreeMap<String, String>),
    /// Try again, not before so many milliseconds if that is said.
    Retry { reason: FailureReason, error: String, after_ms: Option<i64> },
    /// Give up.
    Fail { reason: FailureReason, error: String },
}

pub(crate) fn judge(answers: Answers, outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::MailAccepted => Verdict::Delivered(BTreeMap::new()),
        Outcome::Network(error) => {
            Verdict::Retry { reason: FailureReason::Other, error: error.clone(), after_ms: None }
        }
        Outcome::Timeout => Verdict::Retry {
            reason: FailureReason::ContextDeadlineExceeded,
            error: "no answer in time".to_owned(),
            after_ms: None,
        },
        Outcome::Rejected(error) => Verdict::Fail { reason: FailureReason::Other, error: error.clone() },
        Outcome::Http(responses) => {
            let mut data = BTreeMap::new();
            for response in responses {
                match judge_response(answers, response) {
                    Verdict::Delivered(more) => data.extend(more),
                    bad => return bad,
                }
            }
            Verdict::Delivered(data)
        }
    }
}

fn judge_response(answers: Answers, response: &HttpResponse) -> Verdict {
    let status = response.status;
    if status / 100 == 2 {
        return match answers {
            Answers::Slack => judge_slack(response),
            Answers::Rocketchat => judge_rocketchat(response),
            Answers::KafkaV3 => judge_kafka(response),
            _ => Verdict::Delivered(BTreeMap::new()),
        };
    }
    let reason = match status {
        401 | 403 => FailureReason::AuthError,
        429 => FailureReason::RateLimited,
        400..=499 => FailureReason::ClientError,
        500..=599 => FailureReason::ServerError,
        _ => FailureReason::Other,
    };
    let details = match answers {
        Answers::PagerDuty | Answers::PagerDutyV1 => pagerduty_details(response),
        _ => shown(&response.body),
    };
    let mut error = format!("unexpected status code {status}");
    if !details.is_empty() {
        error.push_str(": ");
        error.push_str(&details);
    }
    let retry = status / 100 == 5 || status == 429 || (answers == Answers::PagerDutyV1 && status == 403);
    if retry {
        return Verdict::Retry { reason, error, after_ms: response.retry_after_ms };
    }
    Verdict::Fail { reason, error }
}

#[derive(Deserialize)]
struct SlackAnswer {
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    channel: String,
    #[serde(default)]
    ts: String,
}

/// Key under which the id of a Slack message is remembered.
pub(crate) const SLACK_MESSAGE: &str = "threadTs";
/// Key under which the id of its channel is.
pub(crate) const SLACK_CHANNEL: &str = "channelId";

fn judge_slack(response: &HttpResponse) -> Verdict {
    let fail = |error: String| Verdict::Fail { reason: FailureReason::ClientError, error };
    if !response.content_type.starts_with("application/json") {
        if response.body == b"ok" {
            return Verdict::Delivered(BTreeMap::new());
        }
        return fail(format!("received an error response from Slack: {}", shown(&response.body)));
    }
    match serde_json::from_slice::<SlackAnswer>(&response.body) {
        Err(error) => no_json(response, &error),
        Ok(answer) if !answer.ok => fail(format!("error response from Slack: {}", answer.error)),
        Ok(answer) if answer.ts.is_empty() || answer.channel.is_empty() => Verdict::Delivered(BTreeMap::new()),
        Ok(answer) => Verdict::Delivered(BTreeMap::from([
            (SLACK_MESSAGE.to_owned(), answer.ts),
            (SLACK_CHANNEL.to_owned(), answer.channel),
        ])),
    }
}

fn no_json(response: &HttpResponse, error: &serde_json::Error) -> Verdict {
    let error = format!("could not unmarshal JSON response {:?}: {error}", shown(&response.body));
    Verdict::Retry { reason: FailureReason::ClientError, error, after_ms: None }
}

fn judge_rocketchat(response: &HttpResponse) -> Verdict {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        success: bool,
        error: String,
    }
    match serde_json::from_slice::<Answer>(&response.body) {
        Err(error) => no_json(response, &error),
        Ok(answer) if answer.success => Verdict::Delivered(BTreeMap::new()),
        Ok(answer) => Verdict::Fail {
            reason: FailureReason::ClientError,
            error: format!("error response from Rocketchat: {}", answer.error),
        },
    }
}

fn judge_kafka(response: &HttpResponse) -> Verdict {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        error_code: i64,
    }
    match serde_json::from_slice::<Answer>(&response.body) {
        Err(error) => no_json(response, &error),
        Ok(Answer { error_code: 200..=299 }) => Verdict::Delivered(BTreeMap::new()),
        Ok(_) => Verdict::Fail {
            reason: FailureReason::Other,
            error: format!("failed to publish message to Kafka. response: {}", shown(&response.body)),
        },
    }
}

fn pagerduty_details(response: &HttpResponse) -> String {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        message: String,
        #[serde(default)]
        errors: Vec<String>,
    }
    if response.status != 400 {
        return String::new();
    }
    serde_json::from_slice::<Answer>(&response.body)
        .map(|answer| format!("{}: {}", answer.message, answer.errors.join(",")))
        .unwrap_or_default()
}

fn shown(body: &[u8]) -> String {
    let end = body.len().min(SHOWN_BYTES);
    String::from_utf8_lossy(body.get(..end).unwrap_or_default()).into_owned()
}

/// How long to wait after the `attempt`th attempt (from 1). `seed` differs between groups and integrations.
pub(crate) fn backoff_ms(seed: &str, attempt: u32) -> i64 {
    let wait = (FIRST_MS * FACTOR.powi(attempt.saturating_sub(1).min(64) as i32)).min(MAX_MS);
    let mut hasher = Xxh64::new(u64::from(attempt));
    hasher.write(seed.as_bytes());
    let unit = (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64;
    (wait * (1.0 - SPREAD + 2.0 * SPREAD * unit)).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(status: u16, body: &str) -> HttpResponse {
        HttpResponse { content_type: "application/json; charset=utf-8".to_owned(), ..HttpResponse::new(status, body) }
    }

    #[test]
    fn answers_by_status() {
        use FailureReason::*;
        let cases = [
            (Answers::Status, 200, None),
            (Answers::Status, 204, None),
            (Answers::Status, 301, Some((Other, false))),
            (Answers::Status, 400, Some((ClientError, false))),
            (Answers::Status, 401, Some((AuthError, false))),
            (Answers::Status, 403, Some((AuthError, false))),
            (Answers::PagerDuty, 403, Some((AuthError, false))),
            (Answers::PagerDutyV1, 403, Some((AuthError, true))),
            (Answers::Status, 404, Some((ClientError, false))),
            (Answers::Status, 429, Some((RateLimited, true))),
            (Answers::Slack, 429, Some((RateLimited, true))),
            (Answers::Status, 500, Some((ServerError, true))),
            (Answers::Slack, 503, Some((ServerError, true))),
        ];
        for (answers, status, want) in cases {
            let got = match judge(answers, &Outcome::Http(vec![HttpResponse::new(status, "")])) {
                Verdict::Delivered(_) => None,
                Verdict::Retry { reason, .. } => Some((reason, true)),
                Verdict::Fail { reason, .. } => Some((reason, false)),
            };
            assert_eq!(got, want, "{answers:?} {status}");
        }
    }

    #[test]
    fn slack_says_in_the_body() {
        let judge = |response: HttpResponse| judge(Answers::Slack, &Outcome::Http(vec![response]));
        assert_eq!(judge(HttpResponse::new(200, "ok")), Verdict::Delivered(BTreeMap::new()));
        assert!(matches!(
            judge(HttpResponse::new(200, "no_channel")),
            Verdict::Fail { reason: FailureReason::ClientError, .. }
        ));
        let Verdict::Delivered(data) = judge(json(200, r#"{"ok":true,"channel":"C1","ts":"1503435956.000247"}"#))
        else {
            panic!("delivered")
        };
        assert_eq!(data.get(SLACK_MESSAGE).map(String::as_str), Some("1503435956.000247"));
        assert_eq!(data.get(SLACK_CHANNEL).map(String::as_str), Some("C1"));
        assert_eq!(
            judge(json(200, r#"{"ok":false,"error":"channel_not_found"}"#)),
            Verdict::Fail {
                reason: FailureReason::ClientError,
                error: "error response from Slack: channel_not_found".to_owned()
            }
        );
        assert!(matches!(judge(json(200, "{")), Verdict::Retry { .. }));
    }

    #[test]
    fn others_say_in_the_body_too() {
        let kind = |answers, body: &str| match judge(answers, &Outcome::Http(vec![json(200, body)])) {
            Verdict::Delivered(_) => "delivered".to_owned(),
            Verdict::Retry { .. } => "retry".to_owned(),
            Verdict::Fail { error, .. } => error,
        };
        let cases = [
            (Answers::Rocketchat, r#"{"success":true}"#, "delivered"),
            (Answers::Rocketchat, r#"{"success":false,"error":"no"}"#, "error response from Rocketchat: no"),
            (Answers::Rocketchat, "<html>", "retry"),
            (Answers::KafkaV3, r#"{"error_code":200}"#, "delivered"),
            (
                Answers::KafkaV3,
                r#"{"error_code":404}"#,
                "failed to publish message to Kafka. response: {\"error_code\":404}",
            ),
            (Answers::KafkaV3, "", "retry"),
        ];
        for (answers, body, want) in cases {
            assert_eq!(kind(answers, body), want, "{answers:?} {body}");
        }
    }

    #[test]
    fn other_outcomes() {
        let judge = |outcome: Outcome| judge(Answers::Status, &outcome);
        assert!(matches!(judge(Outcome::Network("refused".into())), Verdict::Retry { .. }));
        assert!(matches!(judge(Outcome::Timeout), Verdict::Retry { .. }));
        assert!(matches!(judge(Outcome::Rejected("no such file".into())), Verdict::Fail { .. }));
        assert_eq!(judge(Outcome::MailAccepted), Verdict::Delivered(BTreeMap::new()));
        let second = vec![HttpResponse::new(202, ""), HttpResponse::new(422, "no")];
        assert!(matches!(judge(Outcome::Http(second)), Verdict::Fail { error, .. } if error.ends_with("422: no")));
        let limited = HttpResponse { retry_after_ms: Some(30_000), ..HttpResponse::new(429, "") };
        assert!(matches!(judge(Outcome::Http(vec![limited])), Verdict::Retry { after_ms: Some(30_000), .. }));
    }

    #[test]
    fn waits_grow_and_differ() {
        let mut base = FIRST_MS;
        for attempt in 1..40 {
            let wait = backoff_ms("group", attempt) as f64;
            let expected = base.min(MAX_MS);
            assert!(wait >= expected * 0.5 - 1.0 && wait <= expected * 1.5 + 1.0, "{attempt}: {wait}");
            base *= FACTOR;
        }
        assert_ne!(backoff_ms("a", 5), backoff_ms("b", 5));
        assert_eq!(backoff_ms("a", 5), backoff_ms("a", 5));
    }
}
