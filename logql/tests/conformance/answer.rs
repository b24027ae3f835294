//! Answers of the library in the form of the HTTP API.

use foursight_logql::params::{self, Params, RequestLimits};
use foursight_logql::testing::MemoryLogs;
use foursight_logql::{
    Engine, MatchersError, ParseOptions, QueryContext, QueryError, QueryErrorKind, Value as Answer, format_query,
    parse, parse_matchers,
};
use model::number::{FloatFormat, float_text};
use model::{LabelQuery, LogSource, Matcher};
use serde_json::{Value, json};

/// An answer with an error status.
pub struct Refusal {
    pub status: i64,
    pub text: String,
}

impl Refusal {
    fn new(status: i64, error: impl std::fmt::Display) -> Self {
        Self { status, text: error.to_string() }
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        let status = match error.kind() {
            QueryErrorKind::Invalid | QueryErrorKind::Limit => 400,
            _ => 500,
        };
        Self::new(status, error)
    }
}

/// When the requests were made, later than all entries.
const NOW_NS: i64 = 1_767_700_000_000_000_000;

struct CaseParams<'a>(&'a Value);

impl Params for CaseParams<'_> {
    fn get(&self, name: &str) -> &str {
        match &self.0[name] {
            Value::String(text) => text,
            Value::Array(list) => list.first().and_then(Value::as_str).unwrap_or(""),
            _ => "",
        }
    }
}

impl CaseParams<'_> {
    fn all(&self, name: &str) -> Vec<&str> {
        match &self.0[name] {
            Value::String(text) => vec![text],
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// The answer to a case: `data` of queries, the whole body of other requests.
pub fn answer(logs: &MemoryLogs, case: &Value) -> Result<Value, Refusal> {
    let endpoint = case["endpoint"].as_str().unwrap();
    let params = CaseParams(&case["params"]);
    let categorize = case["headers"]["X-Loki-Response-Encoding-Flags"] == "categorize-labels";
    match endpoint {
        "query" | "query_range" => query(logs, endpoint == "query", &params, categorize),
        "/api/prom/query" => legacy_query(logs, &params),
        "format_query" => match format_query(params.get("query"), ParseOptions::default()) {
            Ok(text) => Ok(json!({"status": "success", "data": text})),
            Err(error) => Err(Refusal::new(400, json!({"status": "invalid-query", "error": error.to_string()}))),
        },
        "labels" | "label" | "/api/prom/label" => {
            let query = label_query(&params, false)?;
            success(logs.label_names(&query).unwrap())
        }
        "series" | "/api/prom/series" => {
            let query = label_query(&params, true)?;
            let series = logs.series(&query).unwrap();
            let all: Vec<Value> = series.iter().map(|labels| labels.iter().collect::<Object>().into()).collect();
            Ok(json!({"status": "success", "data": all}))
        }
        _ => {
            let name = endpoint.trim_start_matches("/api/prom/").strip_prefix("label/");
            if let Some(name) = name.and_then(|rest| rest.strip_suffix("/values")) {
                let query = label_query(&params, false)?;
                return success(logs.label_values(name, &query).unwrap());
            }
            Err(Refusal::new(501, format!("{endpoint} is not answered yet")))
        }
    }
}

/// Labels as JSON.
struct Object(serde_json::Map<String, Value>);

impl<'a> FromIterator<(&'a str, &'a str)> for Object {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(pairs: T) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

fn success(list: Vec<String>) -> Result<Value, Refusal> {
    // An empty list is left out.
    Ok(if list.is_empty() { json!({"status": "success"}) } else { json!({"status": "success", "data": list}) })
}

fn bad(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(400, error)
}

fn matchers(text: &str, any_selector: bool) -> Result<Vec<Matcher>, Refusal> {
    if any_selector && (text.is_empty() || text == "{}") {
        return Ok(Vec::new());
    }
    let options = ParseOptions { any_selector: false, ..ParseOptions::default() };
    parse_matchers(text, options).map_err(|error| match error {
        MatchersError::Parse(error) => bad(error),
        error @ MatchersError::NotMatchers => bad(error),
    })
}

fn label_query(params: &CaseParams<'_>, series: bool) -> Result<LabelQuery, Refusal> {
    let (start_ns, end_ns) = params::bounds(params, NOW_NS).map_err(bad)?;
    let mut query = LabelQuery { start_ms: start_ns / 1_000_000, end_ms: end_ns / 1_000_000, ..LabelQuery::default() };
    let selectors = match series {
        true => params.all("match[]"),
        false => params.all("query"),
    };
    for selector in selectors {
        let matchers = matchers(selector, series)?;
        if matchers.is_empty() && series {
            return Ok(LabelQuery { selectors: Vec::new(), ..query });
        }
        query.selectors.push(matchers);
    }
    Ok(query)
}

fn query(logs: &MemoryLogs, instant: bool, params: &CaseParams<'_>, categorize: bool) -> Result<Value, Refusal> {
    let request = if instant { params::instant_request(params, NOW_NS) } else { params::range_request(params, NOW_NS) };
    let mut request = request.map_err(bad)?;
    request.categorize = categorize;
    let expr = parse(params.get("query"), ParseOptions::default()).map_err(bad)?;
    params::check(&expr, &request, &RequestLimits::default()).map_err(bad)?;
    let context = QueryContext { threads: 2, ..QueryContext::at(NOW_NS) };
    let output = Engine::default().query(logs, &expr, &request, &context)?;
    let mut data = data(output.value, categorize);
    if categorize {
        data["encodingFlags"] = json!(["categorize-labels"]);
    }
    Ok(data)
}

fn number(value: f64) -> String {
    float_text(value, FloatFormat::Fixed)
}

fn seconds(ms: i64) -> Value {
    if ms % 1000 == 0 { json!(ms / 1000) } else { json!(ms as f64 / 1000.0) }
}

fn data(answer: Answer, categorize: bool) -> Value {
    match answer {
        Answer::Scalar(ms, value) => json!({"resultType": "scalar", "result": [ms, number(value)]}),
        Answer::Vector(samples) => {
            let result: Vec<Value> = samples
                .iter()
                .map(|sample| {
                    let metric: Value = sample.labels.iter().collect::<Object>().into();
                    json!({"metric": metric, "value": [seconds(sample.timestamp_ms), number(sample.value)]})
                })
                .collect();
            json!({"resultType": "vector", "result": result})
        }
        Answer::Matrix(series) => {
            let result: Vec<Value> = series
                .iter()
                .map(|one| {
                    let metric: Value = one.labels.iter().collect::<Object>().into();
                    let values: Vec<Value> =
                        one.points.iter().map(|(ms, value)| json!([seconds(*ms), number(*value)])).collect();
                    json!({"metric": metric, "values": values})
                })
                .collect();
            json!({"resultType": "matrix", "result": result})
        }
        Answer::Streams(found) => {
            let result: Vec<Value> = found
                .streams
                .iter()
                .map(|stream| {
                    let labels: Value = stream.labels.iter().collect::<Object>().into();
                    let values: Vec<Value> = stream
                        .entries
                        .iter()
                        .map(|entry| {
                            let mut value = json!([entry.timestamp_ns.to_string(), entry.line]);
                            if let (Some(parts), true) = (&entry.labels.categories, categorize) {
                                let mut more = serde_json::Map::new();
                                let named = [("structuredMetadata", &parts.metadata), ("parsed", &parts.parsed)];
                                for (name, labels) in named.iter().filter(|(_, labels)| !labels.is_empty()) {
                                    more.insert((*name).to_owned(), labels.iter().collect::<Object>().into());
                                }
                                value.as_array_mut().unwrap().push(more.into());
                            }
                            value
                        })
                        .collect();
                    json!({"stream": labels, "values": values})
                })
                .collect();
            json!({"resultType": "streams", "result": result})
        }
    }
}

/// The form of old, with labels as text and times in RFC 3339.
fn legacy_query(logs: &MemoryLogs, params: &CaseParams<'_>) -> Result<Value, Refusal> {
    let request = params::range_request(params, NOW_NS).map_err(bad)?;
    let expr = parse(params.get("query"), ParseOptions::default()).map_err(bad)?;
    let output = Engine::default().query(logs, &expr, &request, &QueryContext::at(NOW_NS))?;
    let Answer::Streams(found) = output.value else { return Err(bad("legacy endpoints only support streams")) };
    let streams: Vec<Value> = found
        .streams
        .iter()
        .map(|stream| {
            let entries: Vec<Value> = stream
                .entries
                .iter()
                .map(|entry| {
                    let time = jiff::Timestamp::from_nanosecond(i128::from(entry.timestamp_ns)).unwrap();
                    json!({"ts": time.to_string(), "line": entry.line})
                })
                .collect();
            json!({"labels": stream.labels.to_string(), "entries": entries})
        })
        .collect();
    Ok(json!({"streams": streams}))
}
