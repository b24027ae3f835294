//! `tool check metrics`: hints about a page of metrics, and how many series each metric has.

use std::collections::BTreeMap;
use std::io::Read;

use wire::exposition::{Event, MetricKind, Parser, TextFormat, lint};

use super::super::args::{Args, Known};
use super::super::{Failure, Outcome};

/// Lints a page from standard input.
pub(in super::super) fn metrics(words: &[&str]) -> Outcome {
    let known = Known { switches: &["extended"], values: &["lint"] };
    let args = Args::read(words, &known).map_err(Failure::Usage)?;
    let lint = match args.get("lint") {
        None | Some("all") => true,
        Some("none") => false,
        Some(other) => return Err(Failure::Usage(format!("unknown lint option {other}"))),
    };
    let mut page = Vec::new();
    std::io::stdin().read_to_end(&mut page).map_err(|e| format!("error while reading standard input: {e}"))?;
    repeated(&page).map_err(|e| format!("error while linting: text format parsing error in {e}"))?;
    let problems = lint::style(&page, TextFormat::Prometheus).map_err(|e| format!("error while linting: {e}"))?;
    let problems = if lint { problems } else { Vec::new() };
    for problem in &problems {
        eprintln!("{} {}", problem.metric, problem.text);
    }
    if args.is_set("extended") {
        print!("{}", cardinality(&page).map_err(|e| format!("error while counting: {e}"))?);
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::Lint) }
}

/// A family that is described twice, which scrapers let be and the peer's tool does not.
fn repeated(page: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(page);
    // Of a name: whether there were a HELP line, a TYPE line, a sample.
    let mut seen: BTreeMap<&str, [bool; 3]> = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let comment = line.strip_prefix('#').map(|rest| rest.split_whitespace());
        let Some(mut words) = comment else {
            let name = line.split(['{', ' ', '\t']).next().unwrap_or("");
            seen.entry(name).or_default()[2] = true;
            continue;
        };
        let (keyword, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let known = seen.entry(name).or_default();
        match keyword {
            "HELP" if std::mem::replace(&mut known[0], true) => {
                return Err(format!("line {}: second HELP line for metric name {name:?}", at + 1));
            }
            "TYPE" if std::mem::replace(&mut known[1], true) || known[2] => {
                let what = "or TYPE reported after samples";
                return Err(format!("line {}: second TYPE line for metric name {name:?}, {what}", at + 1));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A table of metrics by their number of series, the most first.
fn cardinality(page: &[u8]) -> Result<String, wire::Error> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut family = (String::new(), MetricKind::Unknown);
    let mut parser = Parser::new(page, TextFormat::Prometheus);
    while let Some(event) = parser.next_event()? {
        match event {
            Event::Type { name, kind } => family = (name.to_owned(), kind),
            Event::Series(series) => {
                let name = series.labels().next().map(|(_, name)| name.into_owned()).unwrap_or_default();
                // Series of a histogram or a summary count for their family.
                let part = name.strip_prefix(&family.0).is_some_and(|rest| {
                    matches!(family.1, MetricKind::Histogram | MetricKind::Summary)
                        && matches!(rest, "" | "_bucket" | "_count" | "_sum")
                });
                *counts.entry(if part { family.0.clone() } else { name }).or_default() += 1;
            }
            _ => {}
        }
    }
    let total: u64 = counts.values().sum();
    let mut rows: Vec<(String, u64)> = counts.into_iter().collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max("Metric".len());
    let mut text = format!("{:width$}  {:>11}  {:>10}\n", "Metric", "Cardinality", "Percentage");
    for (name, count) in rows {
        let percent = 100.0 * count as f64 / total as f64;
        text.push_str(&format!("{name:width$}  {count:>11}  {percent:>9.2}%\n"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_described_once() {
        for (page, want) in [
            ("# TYPE a gauge\na 1\n# HELP b B.\n# TYPE b gauge\nb{x=\"# TYPE\"} 1\n", None),
            ("# HELP a A.\n# HELP a B.\n", Some("line 2: second HELP line for metric name \"a\"")),
            (
                "# TYPE a gauge\n# TYPE a gauge\n",
                Some("line 2: second TYPE line for metric name \"a\", or TYPE reported after samples"),
            ),
            (
                "a 1\n# TYPE a gauge\n",
                Some("line 2: second TYPE line for metric name \"a\", or TYPE reported after samples"),
            ),
        ] {
            assert_eq!(repeated(page.as_bytes()).err().as_deref(), want, "{page}");
        }
    }

    #[test]
    fn series_are_counted_by_family() {
        let page = b"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n# TYPE g gauge\ng 1\n";
        let table = cardinality(page).unwrap();
        let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows, [["h", "4", "80.00%"], ["g", "1", "20.00%"]]);
    }
}
