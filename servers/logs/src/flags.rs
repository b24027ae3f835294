//! The command line: Loki's flags. A few of them are the program's; every other one sets a key of the configuration.
//!
//! Written as Go programs write them: `-name=value`, `-name value`, `--name`; a boolean flag may stand alone.

use crate::config::{FlagKey, Schema, Sources};

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// File and values of the configuration.
    pub sources: Sources,
    /// Check the configuration and stop.
    pub verify_config: bool,
    /// Print the whole configuration to standard error first.
    pub print_config: bool,
    /// Print the version and stop.
    pub version: bool,
    /// Print the parts that can be run and stop.
    pub list_targets: bool,
    /// Print the flags and stop.
    pub help: bool,
}

/// A command line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// No such flag.
    #[error("flag provided but not defined: -{0}")]
    Unknown(String),
    /// The value is missing.
    #[error("flag needs an argument: -{0}")]
    NoValue(String),
    /// A switch is neither on nor off.
    #[error("invalid boolean value {value:?} for -{flag}: parse error")]
    NotBoolean {
        /// The flag.
        flag: String,
        /// What was given.
        value: String,
    },
    /// Something that is no flag.
    #[error("unexpected argument {0:?}")]
    Argument(String),
}

/// Flags of the program itself, with a line of help; the rest are keys of the configuration.
const OWN: [(&str, bool, &str); 8] = [
    ("config.file", false, "Configuration file, or several parted by commas of which the first that exists is read."),
    ("config.expand-env", true, "Replace ${VAR} and ${VAR:default} in the file by environment variables."),
    ("verify-config", true, "Check the configuration and exit."),
    ("print-config-stderr", true, "Print the whole configuration to standard error."),
    ("log-config-reverse-order", true, "Accepted for compatibility, as -print-config-stderr."),
    ("list-targets", true, "Print the parts that can be run and exit."),
    ("version", true, "Print the version and exit."),
    ("help", true, "Print this text and exit."),
];

impl Flags {
    /// Reads a command line without the program's name.
    ///
    /// # Errors
    /// Unknown flags, missing values, arguments that are no flags.
    pub fn from_args<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Result<Self, FlagError> {
        let known = Schema::get().flags();
        let mut flags = Self::default();
        let mut args = args.into_iter().map(Into::into);
        while let Some(arg) = args.next() {
            let body = match arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) {
                Some(body) if !body.is_empty() => body,
                _ => return Err(FlagError::Argument(arg)),
            };
            let (name, given) = match body.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (body.to_owned(), None),
            };
            let name = if name == "h" { "help".to_owned() } else { name };
            let own = OWN.iter().find(|(own, _, _)| *own == name);
            let key = known.get(&name);
            let switch = match (own, key) {
                (Some((_, switch, _)), _) => *switch,
                (None, Some(key)) => key.kind.is_bool(),
                (None, None) => return Err(FlagError::Unknown(name)),
            };
            let value = match given {
                Some(value) => value,
                None if switch => "true".to_owned(),
                None => args.next().ok_or_else(|| FlagError::NoValue(name.clone()))?,
            };
            if switch && parse_bool(&value).is_none() {
                return Err(FlagError::NotBoolean { flag: name, value });
            }
            match key {
                Some(FlagKey { path, .. }) if own.is_none() => flags.sources.set.push((path.clone(), value)),
                _ => flags.own(&name, value),
            }
        }
        Ok(flags)
    }

    fn own(&mut self, name: &str, value: String) {
        let on = parse_bool(&value).unwrap_or(false);
        match name {
            "config.file" => self.sources.file = Some(value),
            "config.expand-env" => self.sources.expand_env = on,
            "verify-config" => self.verify_config = on,
            "print-config-stderr" | "log-config-reverse-order" => self.print_config |= on,
            "list-targets" => self.list_targets = on,
            "version" => self.version = on,
            _ => self.help = on,
        }
    }

    /// The text of `-help`.
    pub fn usage() -> String {
        let mut text = String::from("Usage of foursight logs:\n");
        for (name, switch, help) in OWN {
            let value = if switch { "" } else { " value" };
            text.push_str(&format!("  -{name}{value}\n        {help}\n"));
        }
        text.push_str("Flags that set a key of the configuration file:\n");
        for (name, key) in Schema::get().flags() {
            text.push_str(&format!("  -{name}\n        {}\n", key.path));
        }
        text
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_a_flag() {
        let flags = Flags::from_args([
            "-config.file=a.yaml",
            "--config.expand-env",
            "-target",
            "all",
            "-auth.enabled=false",
            "-pattern-ingester.enabled",
            "-server.http-listen-port=0",
            "-verify-config=true",
            "-store.chunks-cache.embedded-cache.enabled=true",
            "-consul.hostname=x",
        ])
        .unwrap();
        assert_eq!(flags.sources.file.as_deref(), Some("a.yaml"));
        assert!(flags.sources.expand_env && flags.verify_config && !flags.version);
        let set: Vec<(&str, &str)> = flags.sources.set.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            set,
            [
                ("target", "all"),
                ("auth_enabled", "false"),
                ("pattern_ingester.enabled", "true"),
                ("server.http_listen_port", "0"),
                ("chunk_store_config.chunk_cache_config.embedded_cache.enabled", "true"),
                ("ingester.lifecycler.ring.kvstore.consul.host", "x"),
            ]
        );
    }

    #[test]
    fn wrong_command_lines() {
        let cases: [(&[&str], &str); 5] = [
            (&["-nope"], "flag provided but not defined: -nope"),
            (&["-target"], "flag needs an argument: -target"),
            (&["-auth.enabled=x"], "invalid boolean value \"x\" for -auth.enabled: parse error"),
            (&["x"], "unexpected argument \"x\""),
            (&["-"], "unexpected argument \"-\""),
        ];
        for (args, want) in cases {
            assert_eq!(Flags::from_args(args.iter().copied()).unwrap_err().to_string(), want);
        }
        assert!(Flags::usage().contains("-distributor.max-line-size\n        limits_config.max_line_size\n"));
    }
}
