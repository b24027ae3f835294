//! Queries of a server from the command line.

use std::collections::HashSet;
use std::io::Write;

use serde_json::Value;

use super::client::{Api, CliError, Params, streams};
use super::flags::QueryFlags;
use super::output::{Labels, Printer, Stream};

/// Names that stand before the query, as logcli has them.
const COMMANDS: [&str; 7] = ["query", "instant-query", "labels", "series", "stats", "volume", "fmt"];

/// Does what the flags ask for.
pub(super) async fn run(flags: QueryFlags) -> Result<(), CliError> {
    let (command, text) = match flags.args.as_slice() {
        [name] if name == "labels" => ("labels", ""),
        [name, text] if COMMANDS.contains(&name.as_str()) => (name.as_str(), text.as_str()),
        [text] => ("query", text.as_str()),
        other => {
            return Err(CliError::Usage(format!(
                "{:?} is not understood: quote the query as one argument",
                other.join(" ")
            )));
        }
    };
    if flags.stdin {
        return super::stdin::run(&flags, text, &mut std::io::stdin().lock());
    }
    if command == "fmt" {
        let formatted = logql::format_query(text, Default::default()).map_err(|e| CliError::Usage(e.to_string()))?;
        println!("{formatted}");
        return Ok(());
    }
    let api = Api::new(&flags.server, flags.shown.quiet)?;
    let (start_ns, end_ns) = range(&flags);
    let bounds = |mut params: Params| {
        params.extend([("start", start_ns.to_string()), ("end", end_ns.to_string())]);
        params
    };
    match command {
        "query" if flags.tail => {
            super::tail::follow(&api, &flags.shown, text, flags.limit, start_ns, flags.delay_for).await
        }
        "query" if flags.parallel_duration.is_some() => {
            super::download::run(&api, &flags, text, (start_ns, end_ns)).await
        }
        "query" => {
            let mut printer = Printer::new(&flags.shown);
            entries(&api, &flags, text, (start_ns, end_ns), &mut printer, &mut std::io::stdout()).await.map(|_| ())
        }
        "instant-query" => {
            let at = flags.now.unwrap_or_else(crate::now_ns).to_string();
            let params = vec![("query", text.to_owned()), ("time", at), ("limit", flags.limit.max(1).to_string())];
            let answer = api.get("/loki/api/v1/query", &params).await?;
            print_stats(&flags, &answer);
            pretty(&answer["data"]["result"])
        }
        "labels" => {
            let path = if text.is_empty() {
                "/loki/api/v1/labels".to_owned()
            } else {
                format!("/loki/api/v1/label/{text}/values")
            };
            let answer = api.get(&path, &bounds(Vec::new())).await?;
            lines(answer["data"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned))
        }
        "series" => {
            let answer = api.get("/loki/api/v1/series", &bounds(vec![("match[]", text.to_owned())])).await?;
            let text_of = |labels: &Value| {
                let pairs = labels.as_object().into_iter().flatten();
                let labels: Labels = pairs.map(|(n, v)| (n.clone(), v.as_str().unwrap_or("").to_owned())).collect();
                super::output::text(&labels)
            };
            lines(answer["data"].as_array().into_iter().flatten().map(text_of))
        }
        "stats" => pretty(&api.get("/loki/api/v1/index/stats", &bounds(vec![("query", text.to_owned())])).await?),
        _ => {
            let answer = api.get("/loki/api/v1/index/volume", &bounds(vec![("query", text.to_owned())])).await?;
            pretty(&answer["data"]["result"])
        }
    }
}

/// The time range of the flags in ns.
fn range(flags: &QueryFlags) -> (i64, i64) {
    let end_ns = flags.to.unwrap_or_else(crate::now_ns);
    let since = i64::try_from(flags.since.as_nanos()).unwrap_or(i64::MAX);
    (flags.from.unwrap_or_else(|| end_ns.saturating_sub(since)), end_ns)
}

fn pretty(value: &Value) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|e| CliError::Answer(e.to_string()))?;
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

fn lines(texts: impl Iterator<Item = String>) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    for text in texts {
        writeln!(out, "{text}")?;
    }
    Ok(())
}

fn print_stats(flags: &QueryFlags, answer: &Value) {
    if flags.stats
        && let Ok(text) = serde_json::to_string_pretty(&answer["data"]["stats"])
    {
        eprintln!("{text}");
    }
}

/// Asks batch by batch and prints; returns how many entries there were. Where one batch ends, the next begins with the
/// entries of the same time once more: those that were printed are left out.
pub(super) async fn entries(
    api: &Api,
    flags: &QueryFlags,
    query: &str,
    (mut start_ns, mut end_ns): (i64, i64),
    printer: &mut Printer,
    out: &mut (dyn Write + Send),
) -> Result<usize, CliError> {
    let forward = flags.forward;
    let most = if flags.limit == 0 { usize::MAX } else { flags.limit };
    let mut total = 0;
    let mut last: HashSet<(i64, Labels, String)> = HashSet::new();
    while total < most {
        let batch = flags.batch.max(1).min((most - total).saturating_add(last.len()));
        let mut params = vec![
            ("query", query.to_owned()),
            ("start", start_ns.to_string()),
            ("end", end_ns.to_string()),
            ("limit", batch.to_string()),
            ("direction", if forward { "FORWARD" } else { "BACKWARD" }.to_owned()),
        ];
        params.extend(flags.step.map(|step| ("step", step.as_secs_f64().to_string())));
        params.extend(flags.interval.map(|interval| ("interval", interval.as_secs_f64().to_string())));
        let answer = api.get("/loki/api/v1/query_range", &params).await?;
        print_stats(flags, &answer);
        let data = &answer["data"];
        if data["resultType"] != "streams" {
            let text = serde_json::to_string_pretty(&data["result"]).map_err(|e| CliError::Answer(e.to_string()))?;
            writeln!(out, "{text}")?;
            return Ok(0);
        }
        let mut found = streams(&data["result"])?;
        let count: usize = found.iter().map(|stream| stream.entries.len()).sum();
        if total == 0 {
            printer.begin(&found);
        }
        let edge = edge(&found, forward);
        for stream in &mut found {
            let labels = &stream.labels;
            stream.entries.retain(|(time, line)| !last.contains(&(*time, labels.clone(), line.clone())));
        }
        let new: usize = found.iter().map(|stream| stream.entries.len()).sum();
        // In one piece: a terminal or pipe is not written to line by line.
        let mut page = Vec::new();
        printer.print(&mut page, &found, forward)?;
        out.write_all(&page)?;
        total += new;
        let Some(edge) = edge else { break };
        if count < batch {
            break;
        }
        if new == 0 {
            return Err(CliError::Usage(format!(
                "all {count} entries of a batch have the same time: ask for a larger --batch than {}",
                flags.batch
            )));
        }
        let at_edge = found.iter().flat_map(|stream| {
            let rows = stream.entries.iter().filter(|(time, _)| *time == edge);
            rows.map(|(time, line)| (*time, stream.labels.clone(), line.clone()))
        });
        last.retain(|(time, ..)| *time == edge);
        last.extend(at_edge);
        if forward {
            start_ns = edge;
        } else {
            end_ns = edge.saturating_add(1);
        }
    }
    Ok(total)
}

/// The time of the last entry of an answer.
fn edge(streams: &[Stream], forward: bool) -> Option<i64> {
    let times = streams.iter().flat_map(|stream| stream.entries.iter().map(|(time, _)| *time));
    if forward { times.max() } else { times.min() }
}
