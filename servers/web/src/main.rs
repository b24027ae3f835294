//! `foursight-web`: the web host and its parts.

use std::process::ExitCode;

fn main() -> ExitCode {
    foursight_web::cli::run("foursight-web", std::env::args().skip(1))
}
