//! `tool query …`: questions to a server, answered as the peer's tool prints them; `foursight query`: the same for people.

use std::process::ExitCode;

use kit::time::now_ms;
use serde_json::Value;

use super::args::{Args, Known};
use super::ask::{FLAGS, Server};
use super::{Failure, Outcome};

/// Runs one of the query tools.
pub(super) fn run(what: &str, words: &[&str]) -> Outcome {
    let known =
        Known { switches: &[], values: &["o", "format", "time", "start", "end", "step", "match", FLAGS[0], FLAGS[1]] };
    let args = Args::read(words, &known).map_err(Failure::Usage)?;
    let json = match args.get("o").or(args.get("format")).unwrap_or("promql") {
        "promql" => false,
        "json" => true,
        other => return Err(Failure::Usage(format!("unknown output format {other:?}"))),
    };
    let wanted = if matches!(what, "series") { 1 } else { 2 };
    if args.words.len() != wanted {
        return Err(Failure::Usage(format!("query {what} takes {wanted} arguments, the server first")));
    }
    let server = Server::new(&args.words[0], &args)?;
    let mut parameters: Vec<(&str, &str)> = args.all("match").map(|selector| ("match[]", selector)).collect();
    for name in ["time", "start", "end"] {
        parameters.extend(args.get(name).map(|value| (name, value)));
    }
    let range;
    let (path, shape) = match what {
        "instant" => {
            parameters.push(("query", &args.words[1]));
            ("/query".to_owned(), Shape::Result)
        }
        "range" => {
            range = Range::of(&args)?;
            parameters.retain(|(name, _)| !matches!(*name, "start" | "end"));
            parameters.extend([("start", &*range.start), ("end", &*range.end), ("step", &*range.step)]);
            parameters.push(("query", &args.words[1]));
            ("/query_range".to_owned(), Shape::Result)
        }
        "series" => ("/series".to_owned(), Shape::Series),
        _ => (format!("/label/{}/values", args.words[1]), Shape::Strings),
    };
    let answer = server.call(&path, &parameters)?;
    print_notes(&answer);
    let data = &answer["data"];
    if json {
        println!("{}", if shape == Shape::Result { &data["result"] } else { data });
        return Ok(());
    }
    match shape {
        Shape::Result => print!("{}", result_text(data)),
        Shape::Series => items(data).for_each(|series| println!("{}", metric(series, true))),
        Shape::Strings => items(data).for_each(|value| println!("{}", value.as_str().unwrap_or(""))),
    }
    Ok(())
}

#[derive(PartialEq)]
enum Shape {
    Result,
    Series,
    Strings,
}

struct Range {
    start: String,
    end: String,
    step: String,
}

impl Range {
    /// The last five minutes unless told otherwise, in 250 steps.
    fn of(args: &Args) -> Result<Self, Failure> {
        let time = |name: &str, default: f64| match args.get(name) {
            None => Ok(default),
            Some(text) => metrics::api::params::parse_time_ms(text)
                .map(|ms| ms as f64 / 1000.0)
                .ok_or_else(|| Failure::Usage(format!("--{name}: {text:?} is no time"))),
        };
        let end = time("end", now_ms() as f64 / 1000.0)?;
        let start = time("start", end - 300.0)?;
        if end <= start {
            return Err("start time is not before end time".to_owned().into());
        }
        let step = match args.get("step") {
            Some(step) => step.to_owned(),
            None => ((end - start) / 250.0).floor().max(1.0).to_string(),
        };
        Ok(Self { start: start.to_string(), end: end.to_string(), step })
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn print_notes(answer: &Value) {
    for (key, what) in [("warnings", "Warning"), ("infos", "Info")] {
        items(&answer[key]).for_each(|note| eprintln!("{what}: {}", note.as_str().unwrap_or("")));
    }
}

/// A result as the peer's client library prints it.
fn result_text(data: &Value) -> String {
    let result = &data["result"];
    let sample = |pair: &Value| format!("{} @[{}]", shown(&pair[1]), pair[0]);
    // A result without series is an empty line.
    if items(result).next().is_none() && matches!(data["resultType"].as_str(), Some("vector" | "matrix")) {
        return "\n".to_owned();
    }
    match data["resultType"].as_str() {
        Some("scalar") => format!("scalar: {}\n", sample(result)),
        Some("string") => format!("{}\n", shown(&result[1])),
        Some("vector") => items(result)
            .map(|series| {
                let value = if series["value"].is_null() { &series["histogram"] } else { &series["value"] };
                format!("{} => {}\n", metric(&series["metric"], false), sample(value))
            })
            .collect(),
        _ => items(result)
            .map(|series| {
                let points = items(&series["values"]).chain(items(&series["histograms"]));
                let points: Vec<String> = points.map(sample).collect();
                format!("{} =>\n{}\n", metric(&series["metric"], false), points.join("\n"))
            })
            .collect(),
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A label set as text, its name in front or among the labels.
fn metric(labels: &Value, name_inside: bool) -> String {
    let Some(map) = labels.as_object() else { return "{}".to_owned() };
    let name = map.get("__name__").and_then(Value::as_str).filter(|_| !name_inside).unwrap_or("");
    let pairs: Vec<String> = map
        .iter()
        .filter(|(key, _)| name_inside || *key != "__name__")
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    match (name, pairs.is_empty()) {
        ("", _) => format!("{{{}}}", pairs.join(", ")),
        (name, true) => name.to_owned(),
        (name, false) => format!("{name}{{{}}}", pairs.join(", ")),
    }
}

const FRIENDLY_USAGE: &str = "Usage: foursight query [--server=URL] [--range=D [--step=D]] [--time=T] [--explain | --plan] [-o table|json] EXPR

Asks a metrics server (http://localhost:9090 unless told otherwise). With --range the answer is over that time up to now;
--explain runs a query and shows its operators, what each did, series, samples and time; --plan shows them without running it.
";

/// `foursight query`.
pub(crate) fn friendly(args: Vec<String>) -> ExitCode {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match ask_friendly(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            eprint!("foursight query: {message}\n\n{FRIENDLY_USAGE}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(message)) => {
            eprintln!("{}", message.unwrap_or_default());
            ExitCode::FAILURE
        }
        Err(Failure::Lint) => ExitCode::FAILURE,
    }
}

fn ask_friendly(words: &[&str]) -> Outcome {
    let known = Known {
        switches: &["explain", "plan", "help", "h"],
        values: &["server", "range", "step", "time", "o", FLAGS[0], FLAGS[1]],
    };
    let args = Args::read(words, &known).map_err(Failure::Usage)?;
    if args.is_set("help") || args.is_set("h") {
        print!("{FRIENDLY_USAGE}");
        return Ok(());
    }
    let [expr] = args.words.as_slice() else {
        return Err(Failure::Usage("one expression is needed".to_owned()));
    };
    let server = Server::new(args.get("server").unwrap_or("http://localhost:9090"), &args)?;
    let mut parameters: Vec<(&str, &str)> = vec![("query", expr)];
    let (start, end, step);
    let path = match args.get("range") {
        Some(range) => {
            let length_ms = super::duration("range", range)?;
            let end_ms = match args.get("time") {
                Some(text) => metrics::api::params::parse_time_ms(text)
                    .ok_or_else(|| Failure::Usage(format!("--time: {text:?} is no time")))?,
                None => now_ms(),
            };
            start = ((end_ms - length_ms) as f64 / 1000.0).to_string();
            end = (end_ms as f64 / 1000.0).to_string();
            step = match args.get("step") {
                Some(step) => step.to_owned(),
                None => (length_ms as f64 / 60_000.0).max(1.0).floor().to_string(),
            };
            parameters.extend([("start", &*start), ("end", &*end), ("step", &*step)]);
            "/query_range"
        }
        None => {
            parameters.extend(args.get("time").map(|time| ("time", time)));
            "/query"
        }
    };
    if args.is_set("explain") || args.is_set("plan") {
        if args.is_set("explain") {
            parameters.push(("analyze", "true"));
        }
        let answer = server.call("/explain", &parameters)?;
        print!("{}", answer["data"].as_str().unwrap_or(""));
        return Ok(());
    }
    let answer = server.call(path, &parameters)?;
    print_notes(&answer);
    let data = &answer["data"];
    match args.get("o") {
        None | Some("table") => print!("{}", table(data)),
        Some("json") => println!("{}", data["result"]),
        Some(other) => return Err(Failure::Usage(format!("unknown output format {other:?}"))),
    }
    Ok(())
}

/// Series and values in columns; of a range the first, least, greatest and last value.
fn table(data: &Value) -> String {
    let result = &data["result"];
    if !matches!(data["resultType"].as_str(), Some("vector" | "matrix")) {
        return format!("{}\n", shown(&result[1]));
    }
    let rows: Vec<(String, String)> = items(result)
        .map(|series| {
            let value = match &series["values"] {
                Value::Array(points) => summary(points),
                _ if !series["histograms"].is_null() => {
                    format!("{} histograms", items(&series["histograms"]).count())
                }
                _ if series["value"].is_null() => {
                    let histogram = &series["histogram"][1];
                    format!("histogram count {} sum {}", shown(&histogram["count"]), shown(&histogram["sum"]))
                }
                _ => shown(&series["value"][1]),
            };
            (metric(&series["metric"], false), value)
        })
        .collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(100);
    let mut text: String = rows.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect();
    text.push_str(&format!("({} series)\n", rows.len()));
    text
}

fn summary(points: &[Value]) -> String {
    let values: Vec<f64> = points.iter().filter_map(|point| point[1].as_str()?.parse().ok()).collect();
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return String::new() };
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{} points, first {first}, min {least}, max {most}, last {last}", values.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn results_look_as_the_peers_do() {
        let vector = json!({"resultType": "vector", "result": [{"metric": {"__name__": "up", "job": "a\"b"}, "value": [1435781451.781, "1"]}]});
        assert_eq!(result_text(&vector), "up{job=\"a\\\"b\"} => 1 @[1435781451.781]\n");
        let matrix = json!({"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "2"], [3, "NaN"]]}]});
        assert_eq!(result_text(&matrix), "{} =>\n2 @[1]\nNaN @[3]\n");
        let scalar = json!({"resultType": "scalar", "result": [1, "2"]});
        assert_eq!(result_text(&scalar), "scalar: 2 @[1]\n");
        assert_eq!(result_text(&json!({"resultType": "vector", "result": []})), "\n");
        assert_eq!(metric(&json!({"__name__": "up", "a": "b"}), true), r#"{__name__="up", a="b"}"#);
    }

    #[test]
    fn tables_sum_ranges_up() {
        let matrix = json!({"resultType": "matrix", "result": [{"metric": {"__name__": "m"}, "values": [[1, "2"], [3, "1"], [5, "4"]]}]});
        assert_eq!(table(&matrix), "m  3 points, first 2, min 1, max 4, last 4\n(1 series)\n");
    }
}
