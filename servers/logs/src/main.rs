//! The log server as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    foursight_logs::cli::server(std::env::args().skip(1).collect())
}
