//! `tool test rules FILE…`: unit tests of rules.

mod host;

use std::cell::Cell;
use std::path::Path;
use std::time::Instant;

use alerting::text::go_duration_text;
use alerting::unit_test::{CaseReport, Progress, RunOptions};
use promql::ParserOptions;
use regex::Regex;

use self::host::Host;
use super::args::{Args, Known};
use super::{Failure, Outcome};

/// How tests are run.
#[derive(Clone, Debug, Default)]
struct Options {
    parser: ParserOptions,
    delayed_name_removal: bool,
    /// Only groups whose name one of these matches; empty: all.
    run: Vec<Regex>,
    ignore_unknown: bool,
    diff: bool,
    debug: bool,
}

/// What became of a file.
#[derive(Clone, Debug, Default)]
struct FileReport {
    /// Its groups, in order.
    cases: Vec<CaseReport>,
    /// Why none of them ran.
    error: Option<String>,
}

impl FileReport {
    /// Everything that failed.
    fn failures(&self) -> impl Iterator<Item = &str> {
        self.error
            .iter()
            .map(String::as_str)
            .chain(self.cases.iter().flat_map(|case| case.failures.iter().map(String::as_str)))
    }

    fn passed(&self) -> bool {
        self.failures().next().is_none()
    }
}

/// Runs the tests of files.
pub(super) fn run(words: &[&str], parser: ParserOptions, features: &[String]) -> Outcome {
    let known = Known { switches: &["diff", "debug", "ignore-unknown-fields"], values: &["run", "junit"] };
    let args = Args::read(words, &known).map_err(Failure::Usage)?;
    if args.words.is_empty() {
        return Err(Failure::Usage("required argument 'test-rule-file' not provided".to_owned()));
    }
    let run = args.all("run").map(|text| Regex::new(text).map_err(|e| Failure::Usage(format!("--run: {e}"))));
    let options = Options {
        parser,
        delayed_name_removal: features.iter().any(|feature| feature == "promql-delayed-name-removal"),
        run: run.collect::<Result<_, _>>()?,
        ignore_unknown: args.is_set("ignore-unknown-fields"),
        diff: args.is_set("diff"),
        debug: args.is_set("debug"),
    };
    let mut reports = Vec::new();
    for name in &args.words {
        println!("Unit Testing:  {name}");
        let report = run_file(Path::new(name), &options);
        if report.passed() {
            println!("  SUCCESS");
        } else {
            eprintln!("  FAILED:");
            for failure in report.failures() {
                eprintln!("{failure}");
                println!();
            }
        }
        println!();
        reports.push((name.as_str(), report));
    }
    if let Some(file) = args.get("junit") {
        std::fs::write(file, junit(&reports)).map_err(|e| format!("{file}: {e}"))?;
    }
    if reports.iter().all(|(_, report)| report.passed()) { Ok(()) } else { Err(Failure::Failed(None)) }
}

fn run_file(path: &Path, options: &Options) -> FileReport {
    match try_run(path, options) {
        Ok(cases) => FileReport { cases, error: None },
        Err(error) => FileReport { cases: Vec::new(), error: Some(error) },
    }
}

fn try_run(path: &Path, options: &Options) -> Result<Vec<CaseReport>, String> {
    let file = host::read(path, options.ignore_unknown).map_err(|e| e.to_string())?;
    let host = Host {
        parser: options.parser,
        delayed_name_removal: options.delayed_name_removal,
        ignore_unknown: options.ignore_unknown,
        rule_files: host::rule_paths(&file, path),
    };
    let selected = |name: &str| options.run.is_empty() || options.run.iter().any(|run| run.is_match(name));
    let started = Cell::new(Instant::now());
    let follow = |progress: Progress<'_>| print_progress(&progress, &started);
    let follow: Option<&dyn Fn(Progress<'_>)> = if options.debug { Some(&follow) } else { None };
    file.run(&host, RunOptions { selected: &selected, diff: options.diff, follow })
}

fn print_progress(progress: &Progress<'_>, started: &Cell<Instant>) {
    match progress {
        Progress::Started(name) => {
            started.set(Instant::now());
            println!("DEBUG: Starting test {name}");
        }
        Progress::Asked { length_ms, data: Ok(data) } => {
            let time = go_duration_text(*length_ms);
            println!("DEBUG: Dump of all data (input series and recording rules) at {time}:\n{data}");
        }
        Progress::Asked { data: Err(error), .. } => println!("DEBUG: Failed querying, err: {error}"),
        Progress::Finished(name) => println!("DEBUG: Test {name} finished, took {:?}", started.get().elapsed()),
    }
}

/// The reports in the form that build servers read.
fn junit(reports: &[(&str, FileReport)]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (name, report) in reports {
        let failed = report.cases.iter().filter(|case| !case.failures.is_empty()).count();
        let errors = usize::from(report.error.is_some());
        out.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"{errors}\">\n",
            xml(name),
            report.cases.len() + errors
        ));
        if let Some(error) = &report.error {
            out.push_str(&format!("    <testcase name=\"load\"><error message=\"{}\"/></testcase>\n", xml(error)));
        }
        for case in &report.cases {
            out.push_str(&format!("    <testcase name=\"{}\">\n", xml(&case.name)));
            for failure in &case.failures {
                out.push_str(&format!("      <failure message=\"{}\"/>\n", xml(failure)));
            }
            out.push_str("    </testcase>\n");
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
