//! Command lines: the server itself ([`server`]), and its clients, as logcli has them ([`query`], [`tail()`]).

mod client;
mod download;
mod flags;
mod output;
mod query;
mod stdin;
mod tail;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches};
use kit::Shutdown;
use kit::yaml;

use crate::config::{self, Config};
use crate::flags::Flags;
use crate::server::{Running, StartError};

/// The server's command line, without the program's name: `-config.file=loki.yaml …`.
pub fn server(args: Vec<String>) -> ExitCode {
    let flags = match Flags::from_args(args) {
        Ok(flags) => flags,
        Err(e) => {
            eprintln!("{e}\nRun with -help to get a list of available parameters.");
            return ExitCode::from(2);
        }
    };
    if flags.help {
        print!("{}", Flags::usage());
        return ExitCode::SUCCESS;
    }
    if flags.version {
        println!(
            "foursight-logs, version {}\n  API and configuration: Loki {}",
            env!("CARGO_PKG_VERSION"),
            crate::api::PEER_VERSION
        );
        return ExitCode::SUCCESS;
    }
    if flags.list_targets {
        println!("all");
        return ExitCode::SUCCESS;
    }
    let config = match config::load(&flags.sources) {
        Ok(config) => config,
        Err(e) => {
            eprintln!("failed parsing config: {e}");
            return ExitCode::FAILURE;
        }
    };
    if flags.print_config {
        eprintln!("---\n{}", yaml::emit(&config.effective()));
    }
    let log = kit::log::init(config.server.log_level, config.server.log_format);
    if flags.verify_config {
        return match crate::server::verify(&config) {
            Ok(()) => {
                tracing::info!(component = "main", "config is valid");
                ExitCode::SUCCESS
            }
            Err(e) => {
                tracing::error!(component = "main", err = %e, "config is invalid");
                ExitCode::FAILURE
            }
        };
    }
    serve(config, log)
}

fn serve(config: Config, log: kit::log::Handle) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            tracing::error!(component = "main", error = %e, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        let stop = Shutdown::new();
        stop.listen_for_signals();
        let started: Result<Running, StartError> = crate::server::start_with(config, Some(log), stop).await;
        match started {
            Ok(running) => {
                running.wait().await;
                ExitCode::SUCCESS
            }
            Err(e) => {
                tracing::error!(component = "main", error = %e, "the server cannot start");
                ExitCode::FAILURE
            }
        }
    });
    // Queries that nobody waits for any more must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(2));
    code
}

/// `logs-query`: asks a server, or standard input.
pub fn query(args: Vec<String>) -> ExitCode {
    client_command::<flags::QueryFlags>("foursight logs-query", args, async |flags| query::run(flags).await)
}

/// `tail`: follows a query.
pub fn tail(args: Vec<String>) -> ExitCode {
    client_command::<flags::TailFlags>("foursight tail", args, async |flags| tail::run(flags).await)
}

fn client_command<F: CommandFactory + FromArgMatches>(
    name: &str,
    args: Vec<String>,
    work: impl AsyncFnOnce(F) -> Result<(), client::CliError>,
) -> ExitCode {
    let flags: F = match kit::flags::parse_from(std::iter::once(name.to_owned()).chain(args)) {
        Ok(flags) => flags,
        Err(e) => e.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("{name}: cannot start: {e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(work(flags)) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has seen enough.
        Err(client::CliError::Output(e)) if e.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{name}: {e}");
            ExitCode::FAILURE
        }
    }
}
