//! Go-style command lines on clap: `-flag`, `--flag.name=value`, `--flag value`, `--no-flag`.
//!
//! The arguments are rewritten into the one form clap reads (`--flag=value`) by looking at the flags the command knows;
//! everything else (types, defaults, help, environment) is clap's derive. A boolean flag is declared as
//! `#[arg(long = "web.enable-lifecycle", action = ArgAction::Set, default_value_t = false)]` and may then be written
//! `--web.enable-lifecycle`, `--web.enable-lifecycle=false` or `--no-web.enable-lifecycle`.

use std::any::TypeId;
use std::collections::HashMap;

use clap::{ArgAction, Command, CommandFactory, FromArgMatches};

/// Parses a command line. Given twice, the later value of a flag that takes one wins, as in Go.
///
/// # Errors
/// clap's error: the caller prints it ([`clap::Error::exit`]) or, in a test, looks at it. `--help` is one too.
pub fn parse_from<T: CommandFactory + FromArgMatches>(
    args: impl IntoIterator<Item = String>,
) -> Result<T, clap::Error> {
    let command = T::command().args_override_self(true);
    let args = rewrite(&command, args);
    let mut matches = command.try_get_matches_from(args)?;
    T::from_arg_matches_mut(&mut matches)
}

/// As [`parse_from`] with the arguments of the process; on an error prints it and exits.
pub fn parse<T: CommandFactory + FromArgMatches>() -> T {
    parse_from(std::env::args()).unwrap_or_else(|error: clap::Error| error.exit())
}

#[derive(Clone, Copy, PartialEq)]
enum Takes {
    Nothing,
    Bool,
    Value,
}

/// Rewrites arguments (the program's name first) into clap's long form. Positional arguments, everything after `--` and
/// flags that the command does not know stay as they are.
pub fn rewrite(command: &Command, args: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut known = flags_of(command);
    let mut current = command.clone();
    let mut out = Vec::new();
    let mut args = args.into_iter();
    out.extend(args.next());
    while let Some(arg) = args.next() {
        if arg == "--" {
            out.push(arg);
            out.extend(args);
            break;
        }
        let Some(body) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).filter(|body| !body.is_empty())
        else {
            if let Some(sub) = current.find_subcommand(&arg).cloned() {
                known.extend(flags_of(&sub));
                current = sub;
            }
            out.push(arg);
            continue;
        };
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (body, None),
        };
        match (known.get(name), value) {
            (Some(Takes::Nothing), _) => out.push(format!("--{body}")),
            (Some(_), Some(value)) => out.push(format!("--{name}={value}")),
            (Some(Takes::Bool), None) => out.push(format!("--{name}=true")),
            // The value is the next argument, whatever it begins with.
            (Some(Takes::Value), None) => match args.next() {
                Some(value) => out.push(format!("--{name}={value}")),
                None => out.push(format!("--{name}")),
            },
            (None, value) => match name.strip_prefix("no-").filter(|name| known.get(*name) == Some(&Takes::Bool)) {
                Some(name) if value.is_none() => out.push(format!("--{name}=false")),
                _ if arg.starts_with("--") || name.chars().count() == 1 => out.push(arg),
                _ => out.push(format!("-{arg}")),
            },
        }
    }
    out
}

fn flags_of(command: &Command) -> HashMap<String, Takes> {
    let mut flags = HashMap::new();
    for arg in command.get_arguments() {
        let takes = match arg.get_action() {
            ArgAction::Set | ArgAction::Append if arg.get_value_parser().type_id() == TypeId::of::<bool>() => {
                Takes::Bool
            }
            ArgAction::Set | ArgAction::Append => Takes::Value,
            _ => Takes::Nothing,
        };
        for name in arg.get_long_and_visible_aliases().into_iter().flatten() {
            flags.insert(name.to_owned(), takes);
        }
        for name in arg.get_all_aliases().into_iter().flatten() {
            flags.insert(name.to_owned(), takes);
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, PartialEq, Parser)]
    #[command(disable_version_flag = true)]
    struct Flags {
        #[arg(long = "config.file", default_value = "prometheus.yml")]
        config: String,
        #[arg(long = "web.enable-lifecycle", action = ArgAction::Set, default_value_t = false)]
        lifecycle: bool,
        #[arg(long = "collector.cpu", action = ArgAction::Set, default_value_t = true)]
        cpu: bool,
        #[arg(long = "web.listen-address", action = ArgAction::Append)]
        listen: Vec<String>,
        #[arg(long = "offset", default_value_t = 0)]
        offset: i64,
        path: Option<String>,
    }

    fn parse(args: &[&str]) -> Result<Flags, clap::Error> {
        parse_from(std::iter::once("test").chain(args.iter().copied()).map(str::to_owned))
    }

    #[test]
    fn reads_every_way_of_writing_a_flag() {
        let defaults = || parse(&[]).unwrap();
        assert_eq!(defaults().config, "prometheus.yml");
        let cases: [(&[&str], Flags); 9] = [
            (&["--config.file=a"], Flags { config: "a".into(), ..defaults() }),
            (&["-config.file", "a"], Flags { config: "a".into(), ..defaults() }),
            (&["-config.file=a", "--config.file=b"], Flags { config: "b".into(), ..defaults() }),
            (&["--web.enable-lifecycle"], Flags { lifecycle: true, ..defaults() }),
            (&["--web.enable-lifecycle=false"], defaults()),
            (&["--no-collector.cpu", "x"], Flags { cpu: false, path: Some("x".into()), ..defaults() }),
            (&["-collector.cpu=false"], Flags { cpu: false, ..defaults() }),
            (
                &["--web.listen-address=:1", "-web.listen-address", ":2"],
                Flags { listen: vec![":1".into(), ":2".into()], ..defaults() },
            ),
            (&["--offset", "-5", "--", "-x"], Flags { offset: -5, path: Some("-x".into()), ..defaults() }),
        ];
        for (args, want) in cases {
            assert_eq!(parse(args).unwrap(), want, "{args:?}");
        }
    }

    #[test]
    fn refuses_unknown_flags() {
        for args in [&["--nope"][..], &["-nope"], &["--no-config.file"], &["--config.file"], &["--offset=x"]] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
