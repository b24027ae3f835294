//! Servers as subcommands: flags, log, runtime, run until a signal.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches};
use kit::Shutdown;

/// Reads a command line whose program is called `foursight NAME`; help and errors end the process as clap does.
pub(crate) fn flags<T: CommandFactory + FromArgMatches>(name: &str, args: Vec<String>) -> T {
    let args = std::iter::once(format!("foursight {name}")).chain(args);
    kit::flags::parse_from(args).unwrap_or_else(|e| e.exit())
}

/// Runs a server on a runtime of its own until it ends or a signal stops it.
pub(crate) fn block_on<E: Display>(work: impl AsyncFnOnce(Shutdown) -> Result<(), E>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("foursight: cannot start: {e}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        let stop = Shutdown::new();
        stop.listen_for_signals();
        match work(stop).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                tracing::error!(component = "main", error = %e, "cannot start");
                ExitCode::FAILURE
            }
        }
    });
    // Queries that nobody waits for any more must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(2));
    code
}

pub(crate) fn metrics(args: Vec<String>) -> ExitCode {
    let flags: metrics::Flags = flags("metrics", args);
    kit::log::init(flags.log_level, flags.log_format);
    block_on(async |stop| metrics::run(flags, stop).await)
}

/// The web host, or one of its parts.
pub(crate) fn web(args: Vec<String>) -> ExitCode {
    web::cli::run("foursight web", args)
}

/// A part of the web host under its own name: `foursight node` is `foursight web node`.
fn web_part(part: &str, args: Vec<String>) -> ExitCode {
    web::cli::run("foursight", std::iter::once(part.to_owned()).chain(args))
}

pub(crate) fn node(args: Vec<String>) -> ExitCode {
    web_part("node", args)
}

pub(crate) fn titan(args: Vec<String>) -> ExitCode {
    web_part("titan", args)
}

pub(crate) fn traffic(args: Vec<String>) -> ExitCode {
    web_part("traffic", args)
}

pub(crate) fn agent(args: Vec<String>) -> ExitCode {
    web_part("agent", args)
}
