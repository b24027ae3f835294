//! `tool test rules FILE…`: unit tests of rules.

use std::path::Path;

use metrics::rules::unit_test::{FileReport, UnitTestOptions, run_file};
use promql::ParserOptions;
use regex::Regex;

use super::args::{Args, Known};
use super::{Failure, Outcome};

/// Runs the tests of files.
pub(super) fn run(words: &[&str], parser: ParserOptions, features: &[String]) -> Outcome {
    let known = Known { switches: &["diff", "debug", "ignore-unknown-fields"], values: &["run", "junit"] };
    let args = Args::read(words, &known).map_err(Failure::Usage)?;
    if args.words.is_empty() {
        return Err(Failure::Usage("required argument 'test-rule-file' not provided".to_owned()));
    }
    let run = args.all("run").map(|text| Regex::new(text).map_err(|e| Failure::Usage(format!("--run: {e}"))));
    let options = UnitTestOptions {
        parser,
        delayed_name_removal: features.iter().any(|feature| feature == "promql-delayed-name-removal"),
        run: run.collect::<Result<_, _>>()?,
        ignore_unknown: args.is_set("ignore-unknown-fields"),
        diff: args.is_set("diff"),
    };
    let mut reports = Vec::new();
    for name in &args.words {
        println!("Unit Testing:  {name}");
        let report = run_file(Path::new(name), &options);
        if report.passed() {
            println!("  SUCCESS\n");
        } else {
            eprintln!("  FAILED:");
            report.failures().for_each(|failure| eprintln!("{failure}"));
            println!();
        }
        reports.push((name.as_str(), report));
    }
    if let Some(file) = args.get("junit") {
        std::fs::write(file, junit(&reports)).map_err(|e| format!("{file}: {e}"))?;
    }
    if reports.iter().all(|(_, report)| report.passed()) { Ok(()) } else { Err(Failure::Failed(None)) }
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
mod tests {
    use super::*;
    use metrics::rules::unit_test::CaseReport;

    #[test]
    fn reports_are_well_formed() {
        let report = FileReport {
            cases: vec![
                CaseReport { name: "good".into(), failures: Vec::new() },
                CaseReport { name: "a<b".into(), failures: vec!["exp: \"x\"\ngot: y".into()] },
            ],
            error: None,
        };
        let text = junit(&[("f.yml", report)]);
        assert!(text.contains("<testsuite name=\"f.yml\" tests=\"2\" failures=\"1\" errors=\"0\">"), "{text}");
        assert!(
            text.contains("<failure message=\"exp: &quot;x&quot;&#10;got: y\"/>") && text.contains("a&lt;b"),
            "{text}"
        );
    }
}
