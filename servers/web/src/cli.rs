//! Command lines of the web host and its parts, for its own program and for the `foursight` command.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use kit::Shutdown;
use kit::log::{Format, Level};

use crate::agent::{AgentAction, AgentCommand, AgentConfig};
use crate::node::NodeFlags;
use crate::titan::TitanConfig;
use crate::traffic::TrafficConfig;
use crate::{RunError, agent, node, titan, traffic};

const USAGE: &str = "Parts of the web host:
  titan                      demo web shop
  node                       the host's metrics, with Node Exporter's flags
  agent run|validate PATH    collects logs and metrics, configured in Alloy's language
  traffic                    load for Titan

Without a part: Titan, node exporter and agent together (see --help).
PART --help shows the flags of a part.";

/// Flags of the whole host.
#[derive(Clone, Debug, Parser)]
#[command(name = "web", about = "The web host: Titan, node exporter and agent", version, after_help = USAGE)]
struct WebFlags {
    /// Configuration of the agent.
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: PathBuf,
    /// Folder of what the agent keeps.
    #[arg(long = "storage.path", default_value = "data/agent")]
    storage: PathBuf,
    /// Where the agent's pages are served.
    #[arg(long = "agent.listen-address", default_value = "127.0.0.1:12345")]
    agent_listen: String,
    /// Where the node exporter listens.
    #[arg(long = "node.listen-address", default_value = "127.0.0.1:9100")]
    node_listen: String,
    /// Where Titan listens.
    #[arg(long = "titan.listen-address", default_value = "127.0.0.1:5000")]
    titan_listen: String,
    /// Folder of Titan's log files.
    #[arg(long = "titan.log-dir", default_value = "data/titan/logs")]
    titan_log_dir: PathBuf,
    /// No Titan: another application takes its place.
    #[arg(long = "no-titan")]
    no_titan: bool,
}

/// Runs what a command line asks for; `program` is what usage texts call it.
pub fn run(program: &str, args: impl IntoIterator<Item = String>) -> ExitCode {
    let mut args = args.into_iter().peekable();
    let whole = args
        .peek()
        .is_none_or(|first| first.starts_with('-') && !matches!(first.as_str(), "-h" | "--help" | "--version"));
    let part = if whole { String::new() } else { args.next().unwrap_or_default() };
    let name = if part.is_empty() { program.to_owned() } else { format!("{program} {part}") };
    let rest = std::iter::once(name).chain(args);
    match part.as_str() {
        "" => match parse::<WebFlags>(rest) {
            Ok(flags) => serve(Level::Info, Format::Logfmt, |log, shutdown| host(flags, log, shutdown)),
            Err(code) => code,
        },
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
        "help" | "-h" | "--help" => {
            println!("{}", WebFlags::command().render_help());
            ExitCode::SUCCESS
        }
        "version" | "--version" => {
            println!("{program} {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        other => fail(&format!("unknown part {other:?}\n\n{USAGE}")),
    }
}

/// Titan, node exporter and agent; when one cannot run, none does.
async fn host(flags: WebFlags, log: kit::log::Handle, shutdown: Shutdown) -> Result<(), RunError> {
    let node = NodeFlags { listen: vec![flags.node_listen], ..NodeFlags::default() };
    let mut agent = AgentConfig::new(flags.config_file);
    (agent.listen, agent.storage) = (flags.agent_listen, flags.storage);
    let titan = async {
        if flags.no_titan {
            shutdown.triggered().await;
            return Ok(());
        }
        let config = TitanConfig { listen: flags.titan_listen, log_dir: flags.titan_log_dir, ..TitanConfig::default() };
        titan::run(config, shutdown.clone()).await
    };
    let parts = (node::run(node, shutdown.clone()), agent::run(agent, Some(log), shutdown.clone()), titan);
    // The first that cannot run ends the others' futures with it.
    tokio::try_join!(parts.0, parts.1, parts.2).map(|_| ())
}

fn fail(error: &str) -> ExitCode {
    eprintln!("foursight: {error}");
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
