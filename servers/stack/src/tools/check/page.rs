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
    fn series_are_counted_by_family() {
        let page = b"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n# TYPE g gauge\ng 1\n";
        let table = cardinality(page).unwrap();
        let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows, [["h", "4", "80.00%"], ["g", "1", "20.00%"]]);
    }
}
