//! The command line.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{CommandFactory, Parser};

use crate::interpolate::{Env, process_env};

/// Where the time comes from, in milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Told a name and a password.
pub type TellPassword = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// How to start a server. `Default` is a start without flags.
#[derive(Clone)]
pub struct Options {
    /// `grafana.ini`; without one the defaults hold.
    pub config: Option<PathBuf>,
    /// Folder of provisioning files, instead of the one that the configuration names.
    pub provisioning: Option<PathBuf>,
    /// What relative paths of the configuration start from; the current folder if not given.
    pub homepath: Option<PathBuf>,
    /// Data folder, instead of the one that the configuration names.
    pub data: Option<PathBuf>,
    /// Addresses to listen on, instead of the one that the configuration names.
    pub listen: Vec<String>,
    /// Environment variables.
    pub env: Env,
    /// The clock.
    pub clock: Clock,
    /// Told the name and password of the first administrator when the password was made up; prints them if not given.
    pub on_first_password: Option<TellPassword>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: None,
            provisioning: None,
            homepath: None,
            data: None,
            listen: Vec::new(),
            env: process_env(),
            clock: Arc::new(kit::time::now_ms),
            on_first_password: None,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("config", &self.config)
            .field("provisioning", &self.provisioning)
            .field("homepath", &self.homepath)
            .field("data", &self.data)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Level and form of the log that the configuration asks for.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn log_settings(&self) -> Result<(kit::log::Level, kit::log::Format), crate::IniError> {
        let log = crate::settings::Settings::load(self)?.log;
        Ok((log.level, log.format))
    }

    pub(crate) fn has_flag(&self, key: &str) -> bool {
        match key {
            "data" => self.data.is_some(),
            "provisioning" => self.provisioning.is_some(),
            _ => false,
        }
    }
}

/// The flags of `foursight-dashboards`, and of `foursight dashboards`.
#[derive(Clone, Debug, Parser)]
#[command(name = "foursight dashboards", about = "Dashboards, data sources, alert rules and notifications", version)]
pub struct Flags {
    /// Configuration file with Grafana's sections and keys
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Folder with data sources, dashboards and alerting files
    #[arg(long)]
    pub provisioning: Option<PathBuf>,
    /// Folder that relative paths in the configuration start from
    #[arg(long)]
    pub homepath: Option<PathBuf>,
    /// Data folder
    #[arg(long, alias = "storage.path")]
    pub data: Option<PathBuf>,
    /// Address to listen on, may be given more than once
    #[arg(long = "web.listen-address", alias = "listen")]
    pub listen: Vec<String>,
    /// Reset the administrator's password: sets a new random one, prints it, and exits
    #[arg(long = "reset-admin-password", action = clap::ArgAction::SetTrue)]
    pub reset_admin_password: bool,
}

impl Flags {
    /// Flags as if the command line were `args` (without the program's name).
    ///
    /// # Errors
    /// What clap says.
    pub fn from_args<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Result<Self, clap::Error> {
        let args = std::iter::once("foursight dashboards".to_owned()).chain(args.into_iter().map(Into::into));
        kit::flags::parse_from(args)
    }

    /// The definition of the command line, for a binary that has it as a subcommand.
    pub fn command() -> clap::Command {
        <Self as CommandFactory>::command()
    }

    /// The options that the flags stand for.
    pub fn options(&self) -> Options {
        Options {
            config: self.config.clone(),
            provisioning: self.provisioning.clone(),
            homepath: self.homepath.clone(),
            data: self.data.clone(),
            listen: self.listen.clone(),
            ..Options::default()
        }
    }
}
