//! `foursight tool …`: checks and tests of files, without a server. Exit codes are the peers': 0 all is well, 1 something is wrong,
//! 2 the command line is, 3 there are only lint findings.

mod check;
mod promqltest;

use std::process::ExitCode;

const USAGE: &str = "Usage:
  foursight tool promqltest FILE…        run PromQL test scripts
  foursight tool check config FILE…      check configurations of the metrics server and the rule files they name
  foursight tool check rules FILE…       check rule files
  foursight tool check metrics           lint a page of metrics read from standard input
";

/// Runs a tool.
pub(crate) fn command(args: Vec<String>) -> ExitCode {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["promqltest", files @ ..] if !files.is_empty() => promqltest::run(files),
        ["check", "config", files @ ..] if !files.is_empty() => check::config(files),
        ["check", "rules", files @ ..] if !files.is_empty() => check::rules(files),
        ["check", "metrics", ..] => check::metrics(),
        [] | ["help" | "--help" | "-h", ..] => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("foursight tool: {:?} is no tool, or its files are missing\n\n{USAGE}", words.join(" "));
            ExitCode::from(2)
        }
    }
}
