//! `foursight-web`: the parts of the web host, each as a subcommand.

use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;
use foursight_web::agent::{AgentAction, AgentCommand};
use foursight_web::node::NodeFlags;
use foursight_web::titan::TitanConfig;
use foursight_web::traffic::TrafficConfig;
use foursight_web::{RunError, agent, node, titan, traffic};
use kit::Shutdown;
use kit::log::{Format, Level};

const USAGE: &str = "usage: foursight-web PART [flags]

parts:
  titan                      demo web shop
  node                       the host's metrics, with Node Exporter's flags
  agent run|validate PATH    collects logs and metrics, configured in Alloy's language
  traffic                    load for Titan

foursight-web PART --help shows the flags of a part.";

fn main() -> ExitCode {
    let mut args = std::env::args();
    let program = args.next().unwrap_or_default();
    let part = args.next().unwrap_or_default();
    let rest = std::iter::once(format!("{program} {part}")).chain(args);
    match part.as_str() {
        "titan" => match parse::<TitanConfig>(rest) {
            Ok(config) => serve(Level::Info, Format::Logfmt, |_, shutdown| titan::run(config, shutdown)),
            Err(code) => code,
        },
        "node" => match parse::<NodeFlags>(rest) {
            Ok(flags) => match (flags.log_level.parse(), flags.log_format.parse()) {
                (Ok(level), Ok(format)) => serve(level, format, |_, shutdown| node::run(flags, shutdown)),
                (Err(error), _) | (_, Err(error)) => fail(&error),
            },
            Err(code) => code,
        },
        "agent" => match parse::<AgentCommand>(rest) {
            Ok(AgentCommand { action: AgentAction::Run(config) }) => {
                serve(Level::Info, Format::Logfmt, |log, shutdown| agent::run(config, Some(log), shutdown))
            }
            Ok(AgentCommand { action: AgentAction::Validate { path } }) => match agent::validate(&path) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error),
            },
            Err(code) => code,
        },
        "traffic" => match parse::<TrafficConfig>(rest) {
            Ok(config) => serve(Level::Info, Format::Logfmt, |_, shutdown| async move {
                traffic::run(config, shutdown).await.map(drop)
            }),
            Err(code) => code,
        },
        "" | "help" | "-h" | "--help" => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        "version" | "--version" => {
            println!("foursight-web {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        other => fail(&format!("unknown part {other:?}\n\n{USAGE}")),
    }
}

fn fail(error: &str) -> ExitCode {
    eprintln!("foursight-web: {error}");
    ExitCode::FAILURE
}

fn parse<T: CommandFactory + clap::FromArgMatches>(args: impl Iterator<Item = String>) -> Result<T, ExitCode> {
    kit::flags::parse_from(args).map_err(|error: clap::Error| {
        // Standard output or error may be closed.
        let _ = error.print();
        if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
    })
}

/// Runs a part until it ends or a signal comes.
fn serve<F: Future<Output = Result<(), RunError>>>(
    level: Level,
    format: Format,
    part: impl FnOnce(kit::log::Handle, Shutdown) -> F,
) -> ExitCode {
    let log = kit::log::init(level, format);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let result = runtime.block_on(async {
        let shutdown = Shutdown::new();
        shutdown.listen_for_signals();
        let result = part(log, shutdown.clone()).await;
        shutdown.trigger();
        shutdown.join(Duration::from_secs(5)).await;
        result
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}
