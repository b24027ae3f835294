//! Asking data sources: instant and range queries of Prometheus and Loki, log lines, health.
//!
//! Answers come as [`Answer`]; [`super::frames`] turns them into Grafana's data frames, alerting reads them as they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::client::SourceClient;
use super::{DataSource, DataSources, SourceKind, access::encode_pairs};
use crate::error::ApiError;

pub(crate) type LabelMap = BTreeMap<String, String>;

/// A series of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: LabelMap,
    /// Milliseconds and values, ascending.
    pub(crate) points: Vec<(i64, f64)>,
}

/// A log line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) labels: Arc<LabelMap>,
    pub(crate) timestamp_ns: i64,
    pub(crate) text: String,
    /// Structured metadata and labels parsed by the query.
    pub(crate) metadata: LabelMap,
}

/// What a query gave.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// Series over time.
    Matrix(Vec<Series>),
    /// Series at one time.
    Vector(Vec<Series>),
    /// A number at one time.
    Scalar(i64, f64),
    /// A text.
    Text(i64, String),
    /// Log lines, newest first.
    Lines(Vec<Line>),
}

/// A query and its time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) expr: String,
    /// One time, the end, instead of a range.
    pub(crate) instant: bool,
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) step_ms: i64,
    /// Most log lines.
    pub(crate) max_lines: u32,
    /// Oldest lines first.
    pub(crate) forward: bool,
}

/// Most points a series may have: what Prometheus answers at most.
const MAX_POINTS: i64 = 11_000;

/// The expression with Grafana's variables replaced.
fn expand(query: &Query, scrape_interval_ms: i64) -> String {
    if !query.expr.contains('$') {
        return query.expr.clone();
    }
    let range_ms = (query.to_ms - query.from_ms).max(0);
    let rate_ms = (query.step_ms + scrape_interval_ms).max(4 * scrape_interval_ms);
    // The longer names first: one is the beginning of another.
    let values = [
        ("__rate_interval_ms", rate_ms.to_string()),
        ("__rate_interval", duration_text(rate_ms)),
        ("__interval_ms", query.step_ms.to_string()),
        ("__interval", duration_text(query.step_ms)),
        ("__auto", duration_text(query.step_ms)),
        ("__range_ms", range_ms.to_string()),
        ("__range_s", (range_ms / 1000).to_string()),
        ("__range", duration_text(range_ms.max(1000) / 1000 * 1000)),
    ];
    let mut out = query.expr.clone();
    for (name, value) in values {
        out = out.replace(&format!("${{{name}}}"), &value).replace(&format!("${name}"), &value);
    }
    out
}

/// A duration as query languages write it, in one unit.
pub(crate) fn duration_text(ms: i64) -> String {
    for (unit, scale) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if ms >= scale && ms % scale == 0 {
            return format!("{}{unit}", ms / scale);
        }
    }
    format!("{ms}ms")
}

/// `15s`, `1m`, as data sources and panels write their shortest step; 0 if it is none.
pub(crate) fn interval_ms(text: &str) -> i64 {
    let text = text.trim().trim_start_matches('>');
    model::duration::parse_duration_ms(text).unwrap_or_else(|_| text.parse::<i64>().map_or(0, |s| s * 1000))
}

/// Seconds with milliseconds, as both APIs take times.
fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

/// Asks one data source. Stateless but for the client it holds.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    source: DataSource,
    client: Arc<SourceClient>,
    timeout: Duration,
    limit: usize,
}

impl Asker {
    pub(crate) fn new(
        sources: &DataSources,
        source: DataSource,
        timeout: Duration,
        limit: usize,
    ) -> Result<Self, ApiError> {
        let client = sources.client(&source)?;
        Ok(Self { source, client, timeout, limit })
    }

    /// Asks.
    ///
    /// # Errors
    /// The source's own words when it refuses the query, 502 and 504 when it cannot be reached.
    pub(crate) async fn ask(&self, query: &Query) -> Result<Answer, ApiError> {
        let mut query = query.clone();
        if !query.instant {
            let least = interval_ms(self.source.text("timeInterval")).max(1);
            let points = ((query.to_ms - query.from_ms) / MAX_POINTS).max(0);
            query.step_ms = query.step_ms.max(least).max(points);
            if self.source.source_kind() == SourceKind::Prometheus {
                // Ends on multiples of the step: the same points each time.
                query.from_ms -= query.from_ms.rem_euclid(query.step_ms);
                query.to_ms -= query.to_ms.rem_euclid(query.step_ms);
            }
        }
        match self.source.source_kind() {
            SourceKind::Prometheus => self.ask_prometheus(&query).await,
            SourceKind::Loki => self.ask_loki(&query).await,
            _ => Err(ApiError::bad_request(format!(
                "data source {} is of type {}, which this server cannot query",
                self.source.name, self.source.kind
            ))),
        }
    }

    /// The expression as it is sent.
    pub(crate) fn expanded(&self, query: &Query) -> String {
        let scrape = match interval_ms(self.source.text("timeInterval")) {
            0 => 15_000,
            ms => ms,
        };
        expand(query, scrape)
    }

    async fn ask_prometheus(&self, query: &Query) -> Result<Answer, ApiError> {
        let expr = self.expanded(query);
        let (start, end, step) = (seconds(query.from_ms), seconds(query.to_ms), seconds(query.step_ms));
        let timeout = self.source.text("queryTimeout");
        let (path, mut pairs) = if query.instant {
            ("api/v1/query", vec![("query", expr.as_str()), ("time", &end)])
        } else {
            ("api/v1/query_range", vec![("query", expr.as_str()), ("start", &start), ("end", &end), ("step", &step)])
        };
        if !timeout.is_empty() {
            pairs.push(("timeout", timeout));
        }
        let pairs = encode_pairs(&pairs);
        let response = if self.source.text("httpMethod").eq_ignore_ascii_case("GET") {
            self.client.get(path, &pairs, self.timeout, self.limit).await?
        } else {
            self.client.post_form(path, pairs, self.timeout, self.limit).await?
        };
        self.read(response.status, &response.body)
    }

    async fn ask_loki(&self, query: &Query) -> Result<Answer, ApiError> {
        let expr = self.expanded(query);
        let ns = |ms: i64| format!("{}", i128::from(ms) * 1_000_000);
        let (start, end, step) = (ns(query.from_ms), ns(query.to_ms), seconds(query.step_ms));
        let limit = query.max_lines.to_string();
        let direction = if query.forward { "forward" } else { "backward" };
        let (path, pairs) = if query.instant {
            (
                "loki/api/v1/query",
                vec![("query", expr.as_str()), ("time", &end), ("limit", &limit), ("direction", direction)],
            )
        } else {
            let pairs = vec![
                ("query", expr.as_str()),
                ("start", &start),
                ("end", &end),
                ("step", &step),
                ("limit", &limit),
                ("direction", direction),
            ];
            ("loki/api/v1/query_range", pairs)
        };
        let response = self.client.get(path, &encode_pairs(&pairs), self.timeout, self.limit).await?;
        self.read(response.status, &response.body)
    }

    fn read(&self, status: StatusCode, body: &[u8]) -> Result<Answer, ApiError> {
        let name = &self.source.name;
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            return Err(ApiError::bad_request(format!("data source {name}: it refuses the credentials ({status})")));
        }
        match serde_json::from_slice::<Wire>(body) {
            Ok(Wire { status: answer, data: Some(data), .. }) if answer == "success" && status.is_success() => data
                .into_answer()
                .map_err(|what| ApiError::new(StatusCode::BAD_GATEWAY, format!("data source {name}: {what}"))),
            Ok(Wire { error, .. }) if !error.is_empty() => {
                let ours = if status.is_client_error() { StatusCode::BAD_REQUEST } else { StatusCode::BAD_GATEWAY };
                Err(ApiError::new(ours, format!("data source {name}: {error}")))
            }
            Ok(_) => {
                Err(ApiError::new(StatusCode::BAD_GATEWAY, format!("data source {name}: answer {status} without data")))
            }
            Err(error) => {
                let text = String::from_utf8_lossy(&body[..body.len().min(1024)]);
                let line: String = text.lines().next().unwrap_or("").chars().take(256).collect();
                let (ours, message) = match status {
                    // Loki's errors are plain text.
                    _ if status.is_client_error() => (StatusCode::BAD_REQUEST, line),
                    _ if !status.is_success() => (StatusCode::BAD_GATEWAY, format!("answered {status}: {line}")),
                    _ => (StatusCode::BAD_GATEWAY, format!("its answer cannot be read: {error}")),
                };
                Err(ApiError::new(ours, format!("data source {name}: {message}")))
            }
        }
    }

    /// Whether it works, and what to tell about it.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) async fn health(&self) -> Result<String, ApiError> {
        match self.source.source_kind() {
            SourceKind::Prometheus | SourceKind::Loki => {
                let loki = self.source.source_kind() == SourceKind::Loki;
                let expr = if loki { "vector(1)+vector(1)" } else { "1+1" };
                let now = kit::time::now_ms();
                let query = Query {
                    expr: expr.into(),
                    instant: true,
                    from_ms: now,
                    to_ms: now,
                    step_ms: 1000,
                    max_lines: 1,
                    forward: false,
                };
                self.ask(&query).await?;
                Ok(if loki {
                    "Data source successfully connected."
                } else {
                    "Successfully queried the Prometheus API."
                }
                .to_owned())
            }
            SourceKind::Alertmanager => {
                let response = self.client.get("api/v2/status", "", self.timeout, self.limit).await?;
                match response.status.is_success() {
                    true => Ok("Health check passed.".to_owned()),
                    false => Err(ApiError::new(StatusCode::BAD_GATEWAY, format!("answered {}", response.status))),
                }
            }
            SourceKind::Other => Err(ApiError::bad_request(format!(
                "data sources of type {} cannot be checked by this server",
                self.source.kind
            ))),
        }
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    status: String,
    #[serde(default)]
    error: String,
    data: Option<WireData>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum WireResult {
    Matrix(Vec<WireSeries>),
    Vector(Vec<WireSeries>),
    Scalar(Point),
    String((f64, String)),
    Streams(Vec<WireStream>),
}

#[derive(Deserialize)]
struct WireData {
    #[serde(flatten)]
    result: WireResult,
}

#[derive(Deserialize)]
struct WireSeries {
    #[serde(default)]
    metric: LabelMap,
    #[serde(default)]
    values: Vec<Point>,
    value: Option<Point>,
}

#[derive(Deserialize)]
struct Point(f64, String);

impl Point {
    fn read(self) -> Result<(i64, f64), String> {
        let value = match self.1.as_str() {
            "+Inf" | "Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            "NaN" => f64::NAN,
            text => text.parse().map_err(|_| format!("{text:?} is no number"))?,
        };
        Ok(((self.0 * 1000.0).round() as i64, value))
    }
}

#[derive(Deserialize)]
struct WireStream {
    stream: LabelMap,
    values: Vec<Value>,
}

impl WireSeries {
    fn read(self) -> Result<Series, String> {
        let points = self.values.into_iter().chain(self.value).map(Point::read).collect::<Result<_, _>>()?;
        Ok(Series { labels: self.metric, points })
    }
}

impl WireData {
    fn into_answer(self) -> Result<Answer, String> {
        // Native histograms have no points of their own kind here and give none.
        let series = |all: Vec<WireSeries>| all.into_iter().map(WireSeries::read).collect::<Result<Vec<_>, _>>();
        Ok(match self.result {
            WireResult::Matrix(all) => Answer::Matrix(series(all)?),
            WireResult::Vector(all) => {
                Answer::Vector(series(all)?.into_iter().filter(|one| !one.points.is_empty()).collect())
            }
            WireResult::Scalar(point) => {
                let (at, value) = point.read()?;
                Answer::Scalar(at, value)
            }
            WireResult::String((at, text)) => Answer::Text((at * 1000.0).round() as i64, text),
            WireResult::Streams(streams) => Answer::Lines(lines(streams)?),
        })
    }
}

fn lines(streams: Vec<WireStream>) -> Result<Vec<Line>, String> {
    let mut out = Vec::new();
    for stream in streams {
        let labels = Arc::new(stream.stream);
        for value in stream.values {
            let part = |at: usize| value.get(at).and_then(Value::as_str);
            let timestamp_ns = part(0).and_then(|text| text.parse().ok()).ok_or("a log line without a time")?;
            let text = part(1).ok_or("a log line without text")?.to_owned();
            let mut metadata = LabelMap::new();
            if let Some(extra) = value.get(2).and_then(Value::as_object) {
                for (key, value) in extra {
                    match value {
                        // With its own header Loki tells them apart, else they stand together.
                        Value::Object(inner) if key == "structuredMetadata" || key == "parsed" => {
                            metadata
                                .extend(inner.iter().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))));
                        }
                        Value::String(text) => {
                            metadata.insert(key.clone(), text.clone());
                        }
                        _ => {}
                    }
                }
            }
            out.push(Line { labels: labels.clone(), timestamp_ns, text, metadata });
        }
    }
    out.sort_by_key(|line| std::cmp::Reverse(line.timestamp_ns));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(json: &str) -> Result<Answer, String> {
        serde_json::from_str::<Wire>(json).map_err(|e| e.to_string())?.data.ok_or("no data")?.into_answer()
    }

    #[test]
    fn reads_every_kind_of_answer() {
        let vector = answer(
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1.5,"+Inf"]},{"metric":{},"histogram":[1,{}]}]}}"#,
        );
        let labels: LabelMap = [("a".to_owned(), "b".to_owned())].into();
        assert_eq!(
            vector,
            Ok(Answer::Vector(vec![Series { labels: labels.clone(), points: vec![(1500, f64::INFINITY)] }]))
        );
        let matrix = answer(
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[2,"-1e3"]]}],"stats":{}}}"#,
        );
        assert_eq!(
            matrix,
            Ok(Answer::Matrix(vec![Series { labels: LabelMap::new(), points: vec![(1000, 2.0), (2000, -1000.0)] }]))
        );
        assert_eq!(answer(r#"{"data":{"resultType":"scalar","result":[1,"2"]}}"#), Ok(Answer::Scalar(1000, 2.0)));
        let Ok(Answer::Lines(lines)) = answer(
            r#"{"data":{"resultType":"streams","result":[{"stream":{"a":"b"},"values":[["1","old"],["3","new",{"structuredMetadata":{"t":"1"}}]]},{"stream":{},"values":[["2","mid",{"x":"y"}]]}]}}"#,
        ) else {
            panic!("lines")
        };
        assert_eq!(lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["new", "mid", "old"]);
        assert_eq!((lines[0].metadata["t"].as_str(), lines[1].metadata["x"].as_str()), ("1", "y"));
        assert!(answer(r#"{"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}}"#).is_err());
        assert!(answer(r#"{"data":{"resultType":"streams","result":[{"stream":{},"values":[[1]]}]}}"#).is_err());
    }

    #[test]
    fn variables_are_replaced() {
        let query = Query {
            expr: "rate(a[$__rate_interval]) + b[${__interval}] $__interval_ms $__range_s $__range [[x]] $other".into(),
            instant: false,
            from_ms: 0,
            to_ms: 3_600_000,
            step_ms: 30_000,
            max_lines: 0,
            forward: false,
        };
        assert_eq!(expand(&query, 15_000), "rate(a[1m]) + b[30s] 30000 3600 1h [[x]] $other");
        assert_eq!(expand(&query, 30_000).split(' ').next(), Some("rate(a[2m])"));
        for (text, want) in [("15s", 15_000), (">1m", 60_000), ("10", 10_000), ("", 0), ("x", 0)] {
            assert_eq!(interval_ms(text), want, "{text}");
        }
    }
}
