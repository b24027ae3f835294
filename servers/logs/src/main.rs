//! The log server as a program of its own, with its clients: `foursight-logs query …`, `foursight-logs tail …`.

use std::process::ExitCode;

use foursight_logs::cli;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    let command = match args.peek().map(String::as_str) {
        Some("query") => cli::query,
        Some("tail") => cli::tail,
        _ => return cli::server(args.collect()),
    };
    command(args.skip(1).collect())
}
