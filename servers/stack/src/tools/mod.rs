//! `foursight tool …`: checks and tests of files, questions to servers. Exit codes are the peer's: 0 all is well, 1 something is
//! wrong (the command line, too), 3 there are only lint findings.

mod args;
mod ask;
mod check;
mod promql_text;
mod promqltest;
mod push;
mod query;
mod store;
mod unit_test;

use std::process::ExitCode;

use promql::ParserOptions;

pub(crate) use query::friendly as query_command;

const USAGE: &str = "Usage:
  foursight tool promqltest FILE…                     run PromQL test scripts

  foursight tool check config [--agent] [--syntax-only] [--lint=…] [--lint-fatal] [--ignore-unknown-fields] FILE…
  foursight tool check rules [--lint=…] [--lint-fatal] [--ignore-unknown-fields] [FILE…]
  foursight tool check metrics [--extended] [--lint=all|none]     lint a page of metrics read from standard input
  foursight tool check web-config FILE…
  foursight tool check service-discovery [--timeout=30s] CONFIG JOB
  foursight tool check healthy|ready [--url=http://localhost:9090]

  foursight tool test rules [--run=REGEX…] [--diff] [--debug] [--junit=FILE] [--ignore-unknown-fields] FILE…

  foursight tool query instant [-o promql|json] [--time=T] SERVER EXPR
  foursight tool query range [-o …] [--start=T] [--end=T] [--step=D] SERVER EXPR
  foursight tool query series [-o …] --match=SELECTOR… [--start=T] [--end=T] SERVER
  foursight tool query labels [-o …] [--match=SELECTOR…] [--start=T] [--end=T] SERVER NAME
  foursight tool push metrics [--label=NAME=VALUE…] [--timeout=30s] [--header=NAME=VALUE…] [--protobuf_message=…] URL [FILE…]

  foursight tool promql format EXPR
  foursight tool promql label-matchers set [-t =|!=|=~|!~] EXPR NAME VALUE
  foursight tool promql label-matchers delete EXPR NAME

  foursight tool tsdb list [-r] [DIR]                 blocks of a store that no server has open
  foursight tool tsdb analyze [--limit=20] [DIR] [BLOCK]
  foursight tool tsdb dump [--min-time=MS] [--max-time=MS] [--match=SELECTOR…] [DIR]
  foursight tool tsdb dump-openmetrics [--min-time=MS] [--max-time=MS] [--match=SELECTOR…] [DIR]
  foursight tool tsdb create-blocks-from openmetrics [-r] [--quiet] FILE [DIR]
  foursight tool tsdb create-blocks-from rules --start=T [--end=T] [--url=http://localhost:9090] [--eval-interval=60s] [--output-dir=data/] FILE…
  foursight tool tsdb import PROMETHEUS-DIR [DIR]     copies a data directory of Prometheus into a store

Query tools take --http.config.file=FILE and --header=NAME=VALUE. Before any tool, --enable-feature=NAME,… allows experimental PromQL.
Times are RFC 3339 or seconds since 1970, durations are Prometheus'.
";

/// Why a tool ended badly.
enum Failure {
    /// The command line cannot be understood.
    Usage(String),
    /// Something is wrong; it may have been said already.
    Failed(Option<String>),
    /// Nothing is wrong but style.
    Lint,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Failed(Some(message))
    }
}

type Outcome = Result<(), Failure>;

/// Runs a tool.
pub(crate) fn command(args: Vec<String>) -> ExitCode {
    let mut words: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut features = Vec::new();
    while let Some(list) = words.first().and_then(|word| word.strip_prefix("--enable-feature=")) {
        features.extend(list.split(',').map(str::to_owned));
        words.remove(0);
    }
    words.retain(|word| *word != "--experimental");
    let parser = parser_options(&features);
    let outcome = match words.as_slice() {
        ["promqltest", files @ ..] if !files.is_empty() => return promqltest::run(files),
        ["check", "config", rest @ ..] => check::config(rest, parser),
        ["check", "rules", rest @ ..] => check::rules(rest, parser),
        ["check", "metrics", rest @ ..] => check::metrics(rest),
        ["check", "web-config", rest @ ..] => check::web_config(rest),
        ["check", "service-discovery", rest @ ..] => check::service_discovery(rest),
        ["check", what @ ("healthy" | "ready"), rest @ ..] => ask::health(what, rest),
        ["test", "rules", rest @ ..] => unit_test::run(rest, parser, &features),
        ["query", what @ ("instant" | "range" | "series" | "labels"), rest @ ..] => query::run(what, rest),
        ["push", "metrics", rest @ ..] => push::run(rest),
        ["promql", "format", rest @ ..] => promql_text::format(rest, parser),
        ["promql", "label-matchers", "set", rest @ ..] => promql_text::set_matcher(rest, parser),
        ["promql", "label-matchers", "delete", rest @ ..] => promql_text::delete_matcher(rest, parser),
        ["tsdb", "create-blocks-from", "openmetrics", rest @ ..] => store::openmetrics(rest),
        ["tsdb", "create-blocks-from", "rules", rest @ ..] => store::rules(rest, parser),
        ["tsdb", "import", rest @ ..] => store::import(rest),
        ["tsdb", what @ ("list" | "analyze" | "dump" | "dump-openmetrics"), rest @ ..] => store::run(what, rest),
        [] | ["help" | "--help" | "-h", ..] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(Failure::Usage(format!("{:?} is no tool, or its files are missing", words.join(" ")))),
    };
    finish(outcome)
}

fn finish(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            eprint!("foursight tool: {message}\n\n{USAGE}");
            ExitCode::FAILURE
        }
        Err(Failure::Failed(message)) => {
            if let Some(message) = message {
                eprintln!("{message}");
            }
            ExitCode::FAILURE
        }
        Err(Failure::Lint) => ExitCode::from(3),
    }
}

/// What the server allows with the same `--enable-feature`.
fn parser_options(features: &[String]) -> ParserOptions {
    let has = |name: &str| features.iter().any(|feature| feature == name);
    ParserOptions {
        experimental_functions: has("promql-experimental-functions"),
        duration_expressions: true,
        extended_range_selectors: has("promql-extended-range-selectors"),
        fill_modifiers: has("promql-binop-fill-modifiers"),
    }
}

/// A duration in ms.
fn duration(name: &str, text: &str) -> Result<i64, Failure> {
    model::duration::parse_duration_ms(text).map_err(|e| Failure::Usage(format!("--{name}: {e}")))
}
