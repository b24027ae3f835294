//! `tool check …`: configurations, rule files, pages of metrics.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use metrics::config::{Config, LoadOptions, NameValidation};
use metrics::rules::file::{self, RuleOptions};
use promql::ParserOptions;
use wire::exposition::{TextFormat, lint};

/// Checks configurations and the rule files they name.
pub(super) fn config(files: &[&str]) -> ExitCode {
    let mut failed = false;
    for name in files {
        println!("Checking {name}");
        match Config::load(Path::new(name), LoadOptions::default()) {
            Ok(config) => {
                println!("  SUCCESS: {name} is valid prometheus config file syntax");
                for rules in file::expand(&config.rule_files) {
                    failed |= !rule_file(&rules, config.global.name_validation);
                }
            }
            Err(e) => {
                println!("  FAILED: {e}");
                failed = true;
            }
        }
        println!();
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Checks rule files.
pub(super) fn rules(files: &[&str]) -> ExitCode {
    // All of them are checked, whatever the first one says.
    let bad = files.iter().filter(|name| !rule_file(Path::new(name), NameValidation::Utf8)).count();
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn rule_file(path: &Path, validation: NameValidation) -> bool {
    println!("Checking {}", path.display());
    let options = RuleOptions { parser: ParserOptions::default(), validation, ignore_unknown: false };
    match file::load(path, options) {
        Ok(file) => {
            let rules: usize = file.groups.iter().map(|group| group.rules.len()).sum();
            println!("  SUCCESS: {rules} rules found");
            true
        }
        Err(errors) => {
            println!("  FAILED:");
            for error in errors {
                println!("  {error}");
            }
            false
        }
    }
}

/// Lints a page of metrics from standard input.
pub(super) fn metrics() -> ExitCode {
    let mut page = Vec::new();
    if let Err(e) = std::io::stdin().read_to_end(&mut page) {
        eprintln!("error while reading standard input: {e}");
        return ExitCode::FAILURE;
    }
    match lint::style(&page, TextFormat::Prometheus) {
        Err(e) => {
            eprintln!("error while linting: {e}");
            ExitCode::FAILURE
        }
        Ok(problems) if problems.is_empty() => ExitCode::SUCCESS,
        Ok(problems) => {
            for problem in problems {
                eprintln!("{} {}", problem.metric, problem.text);
            }
            ExitCode::from(3)
        }
    }
}
