//! The `foursight` command: every server as a subcommand, the whole stack in one process (`up`, also without a subcommand),
//! and the tools.

#![forbid(unsafe_code)]
// Servers are where the wall clock is read; libraries get it as an argument.
#![allow(clippy::disallowed_methods)]

mod defaults;
mod run;
mod slack;
mod tools;
mod up;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A subcommand gets the arguments behind its name.
type Run = fn(Vec<String>) -> ExitCode;

/// What the command can do: name, a line of help, function.
const COMMANDS: &[(&str, &str, Run)] = &[
    ("up", "all four hosts in one process, with demo traffic, dashboards and alerts", up::command),
    ("metrics", "the metrics server (Prometheus' flags)", run::metrics),
    ("logs", "the log server (Loki's flags and YAML)", logs::cli::server),
    ("dashboards", "dashboards and alerting (Grafana's files)", run::dashboards),
    ("web", "the web host: Titan, node exporter and agent", run::web),
    ("agent", "the agent: `agent run CONFIG`, `agent fmt`, `agent validate`", run::agent),
    ("node", "the node exporter (Node Exporter's flags)", run::node),
    ("titan", "Titan, the demo application", run::titan),
    ("traffic", "demo traffic for Titan", run::traffic),
    ("query", "asks a metrics server; `--explain` shows how it answers", tools::query_command),
    ("logs-query", "asks a log server or standard input, as logcli does", logs::cli::query),
    ("tail", "follows a query of log entries", logs::cli::tail),
    (
        "tool",
        "promtool's tools: checks and tests of files, questions to servers, stores (`tool --help`)",
        tools::command,
    ),
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let first = args.next();
    let rest: Vec<String> = args.collect();
    match first.as_deref() {
        None => up::command(Vec::new()),
        Some("help" | "--help" | "-h") => {
            print!("{}", help());
            ExitCode::SUCCESS
        }
        Some("version" | "--version" | "-V") => {
            println!("foursight {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some(name) => match COMMANDS.iter().find(|(command, _, _)| *command == name) {
            Some((_, _, run)) => run(rest),
            // `foursight --data DIR` means `foursight up --data DIR`.
            None if name.starts_with('-') => up::command(std::iter::once(name.to_owned()).chain(rest).collect()),
            None => {
                eprintln!("foursight: there is no command {name:?}\n\n{}", help());
                ExitCode::from(2)
            }
        },
    }
}

fn help() -> String {
    let mut text = String::from(
        "Metrics, logs, dashboards and alerts.\n\nUsage: foursight [COMMAND] [ARGUMENTS]\n\nCommands (each with --help):\n",
    );
    for (name, what, _) in COMMANDS {
        text.push_str(&format!("  {name:<12} {what}\n"));
    }
    text.push_str("\nWithout a command: up.\n");
    text
}
