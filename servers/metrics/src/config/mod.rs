//! `prometheus.yml`: reading, defaults, validation, and the form in which the configuration page shows it.
//!
//! [`Config::load`] reads a file, the scrape configuration files it names, and checks everything that can be
//! checked without a network. Whatever upstream refuses is refused with the same reason, and the place. Nothing here is applied:
//! the server's managers compare an old and a new [`Config`] and change what differs.

mod alerting;
pub mod discovery;
mod global;
mod remote;
mod scrape;
mod show;
mod storage;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use kit::client::HttpClientConfig;
use kit::yaml::{self, ConfigError, FromNode, Node, Section};
use model::Labels;

pub use alerting::{AlertingConfig, AlertmanagerConfig};
pub use global::{EscapingScheme, GlobalConfig, NameValidation, ScrapeProtocol};
pub use remote::{QueueConfig, RemoteReadConfig, RemoteWriteConfig, WriteMessage};
pub use scrape::{Limits, ScrapeConfig};
pub use storage::{
    OtlpConfig, RetentionClassConfig, RetentionConfig, StorageConfig, TracingConfig, TranslationStrategy,
};

/// A whole configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Defaults for all jobs, and labels for everything sent elsewhere.
    pub global: GlobalConfig,
    /// Glob patterns of rule files, made absolute.
    pub rule_files: Vec<PathBuf>,
    /// Jobs of this file and of the files it names.
    pub scrape_configs: Vec<ScrapeConfig>,
    /// Where alerts go.
    pub alerting: AlertingConfig,
    /// Where samples go.
    pub remote_write: Vec<RemoteWriteConfig>,
    /// Where samples are read beside the own store.
    pub remote_read: Vec<RemoteReadConfig>,
    /// How OTLP metrics become series.
    pub otlp: OtlpConfig,
    /// Retention and out-of-order window.
    pub storage: StorageConfig,
    /// Parsed and checked; traces are not sent.
    pub tracing: Option<TracingConfig>,
    /// The tree as read, for the configuration page.
    tree: Option<Node>,
}

/// What loading depends on beside the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// Sections that an agent has no use for are refused.
    pub agent: bool,
    /// Unknown fields are let be (a lint mode; a server never does this).
    pub ignore_unknown: bool,
    /// Targets are asked for protobuf first when nobody says otherwise.
    pub prefer_protobuf: bool,
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// The first thing that is wrong, with file, line and field.
    pub fn load(file: &Path, options: LoadOptions) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file)
            .map_err(|e| ConfigError::plain(format!("cannot read the configuration file: {e}")).in_file(file))?;
        let dir = file.parent().unwrap_or(Path::new(""));
        Self::parse(&text, dir, options).map_err(|e| e.in_file(file))
    }

    /// Reads a configuration from text; `dir` is what its relative paths start from.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, dir: &Path, options: LoadOptions) -> Result<Self, ConfigError> {
        let tree = yaml::parse(text)?;
        let mut section = Section::new(&tree, "config.plain")?;
        if options.agent {
            for key in ["rule_files", "alerting", "remote_read"] {
                if section.has(key) {
                    return Err(section.error(key, format!("field {key} is not allowed in agent mode")));
                }
            }
        }
        let global = match section.raw("global") {
            Some(node) => GlobalConfig::from_node(node)?,
            None => GlobalConfig::default(),
        };
        let rule_files = section.get::<Vec<String>>("rule_files")?;
        for pattern in &rule_files {
            check_glob(pattern)
                .map_err(|()| section.error("rule_files", format!("invalid rule file path {pattern:?}")))?;
        }
        if let Some(node) = section.raw("runtime") {
            let mut runtime = Section::new(node, "config.RuntimeConfig")?;
            runtime.opt::<i64>("gogc")?;
            runtime.finish()?;
        }
        let mut scrape_configs = section.list::<ScrapeConfig>("scrape_configs", "scrape config section")?;
        let scrape_files = section.get::<Vec<String>>("scrape_config_files")?;
        for pattern in &scrape_files {
            check_glob(pattern).map_err(|()| {
                section.error("scrape_config_files", format!("invalid scrape config file path {pattern:?}"))
            })?;
        }
        let config = Self {
            rule_files: rule_files.iter().map(|pattern| dir.join(pattern)).collect(),
            alerting: section.get("alerting")?,
            remote_write: section.list("remote_write", "remote write config section")?,
            remote_read: section.list("remote_read", "remote read config section")?,
            otlp: section.get("otlp")?,
            storage: section.get("storage")?,
            tracing: section.opt("tracing")?,
            scrape_configs: Vec::new(),
            global,
            tree: None,
        };
        if options.ignore_unknown {
            section.finish_ignoring_unknown();
        } else {
            section.finish()?;
        }
        for job in &mut scrape_configs {
            job.complete(&config.global, options)?;
        }
        for pattern in scrape_files {
            for path in expand_glob(&dir.join(&pattern)) {
                scrape_configs
                    .extend(scrape_config_file(&path, &config.global, options).map_err(|e| e.in_file(&path))?);
            }
        }
        let mut config = Self { scrape_configs, tree: Some(tree), ..config };
        config.check()?;
        config.resolve(dir);
        Ok(config)
    }

    /// What only the whole can tell: names that have to be unique, names that the naming scheme forbids.
    fn check(&self) -> Result<(), ConfigError> {
        for (at, job) in self.scrape_configs.iter().enumerate() {
            if self.scrape_configs[..at].iter().any(|other| other.job_name == job.job_name) {
                return Err(job.place.error(format!("found multiple scrape configs with job name {:?}", job.job_name)));
            }
        }
        for (at, write) in self.remote_write.iter().enumerate() {
            if self.remote_write[..at].iter().any(|other| other.name == write.name && !write.name.is_empty()) {
                return Err(ConfigError::plain(format!(
                    "found multiple remote write configs with job name {:?}",
                    write.name
                )));
            }
        }
        for (at, read) in self.remote_read.iter().enumerate() {
            if self.remote_read[..at].iter().any(|other| other.name == read.name && !read.name.is_empty()) {
                return Err(ConfigError::plain(format!(
                    "found multiple remote read configs with job name {:?}",
                    read.name
                )));
            }
        }
        self.otlp.check(self.global.name_validation)
    }

    fn resolve(&mut self, dir: &Path) {
        for job in &mut self.scrape_configs {
            job.resolve(dir);
        }
        for client in self.http_configs_mut() {
            client.set_directory(dir);
        }
        for path in [&mut self.global.query_log_file, &mut self.global.scrape_failure_log_file].into_iter().flatten() {
            *path = dir.join(&*path);
        }
        self.alerting.resolve(dir);
    }

    fn http_configs_mut(&mut self) -> impl Iterator<Item = &mut HttpClientConfig> {
        let alertmanagers = self.alerting.alertmanagers.iter_mut().map(|am| &mut am.http);
        let writers = self.remote_write.iter_mut().map(|write| &mut write.http);
        let readers = self.remote_read.iter_mut().map(|read| &mut read.http);
        alertmanagers.chain(writers).chain(readers)
    }

    /// The configuration as YAML with defaults filled in and secrets replaced by `<secret>`.
    pub fn to_yaml(&self) -> String {
        show::to_yaml(self)
    }

    /// The part of the configuration that is about one job, secrets hidden.
    pub fn job_yaml(&self, name: &str) -> Option<String> {
        show::job_yaml(self, name)
    }

    /// Labels added to everything that leaves this server.
    pub fn external_labels(&self) -> &Labels {
        &self.global.external_labels
    }
}

/// A file named by `scrape_config_files`: nothing but jobs.
fn scrape_config_file(
    path: &Path,
    global: &GlobalConfig,
    options: LoadOptions,
) -> Result<Vec<ScrapeConfig>, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| ConfigError::plain(format!("cannot read the scrape config file: {e}")))?;
    let tree = yaml::parse(&text)?;
    let mut section = Section::new(&tree, "config.ScrapeConfigs")?;
    let mut jobs = section.list::<ScrapeConfig>("scrape_configs", "scrape config section")?;
    section.finish()?;
    let dir = path.parent().unwrap_or(Path::new(""));
    for job in &mut jobs {
        job.place.file = path.display().to_string();
        job.complete(global, options)?;
        job.resolve(dir);
    }
    Ok(jobs)
}

/// Where something stands, for errors that are found after reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    file: String,
    line: u32,
    column: u32,
}

impl Place {
    fn of(node: &Node) -> Self {
        Self { file: String::new(), line: node.line, column: node.column }
    }

    /// An error at this place.
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError {
            file: self.file.clone(),
            line: self.line,
            column: self.column,
            field: String::new(),
            message: message.into(),
        }
    }
}

/// Where the files of upstream's tests are, if they are there.
#[cfg(test)]
pub(crate) fn conformance_dir() -> Option<PathBuf> {
    let dir = std::env::var_os("FOURSIGHT_CONFORMANCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"), PathBuf::from)
        .join("config");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("no conformance data at {}: nothing to check", dir.display());
    None
}

/// `*` and other wildcards may stand in the last element of a path only, and not within a directory name.
fn check_glob(pattern: &str) -> Result<(), ()> {
    let path = Path::new(pattern);
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let dir_has_wildcard = path.parent().is_some_and(|dir| dir.to_string_lossy().contains(['*', '?', '[']));
    if name.is_empty() || dir_has_wildcard || !balanced_brackets(&name) { Err(()) } else { Ok(()) }
}

fn balanced_brackets(name: &str) -> bool {
    let mut open = false;
    for c in name.chars() {
        match c {
            '[' => open = true,
            ']' if open => open = false,
            _ => {}
        }
    }
    !open
}

/// Files that match a pattern whose last element may hold `*`, `?` and `[…]`, ascending.
pub fn expand_glob(pattern: &Path) -> Vec<PathBuf> {
    let Some(name) = pattern.file_name().map(|n| n.to_string_lossy().into_owned()) else { return Vec::new() };
    if !name.contains(['*', '?', '[']) {
        return if pattern.exists() { vec![pattern.to_owned()] } else { Vec::new() };
    }
    let dir = match pattern.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|n| glob_matches(&name, n)))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

/// Shell patterns over one path element: `*`, `?`, `[a-z]`, `[^a]`, `\x`.
fn glob_matches(pattern: &str, name: &str) -> bool {
    fn matches(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|skip| matches(rest, &name[skip..])),
            Some(('?', rest)) => !name.is_empty() && matches(rest, &name[1..]),
            Some(('[', rest)) => {
                let Some((c, name_rest)) = name.split_first() else { return false };
                let Some(close) = rest.iter().position(|c| *c == ']').filter(|at| *at > 0) else { return false };
                let (negated, set) = match rest[0] {
                    '^' | '!' => (true, &rest[1..close]),
                    _ => (false, &rest[..close]),
                };
                let mut found = false;
                let mut at = 0;
                while at < set.len() {
                    if at + 2 < set.len() && set[at + 1] == '-' {
                        found |= (set[at]..=set[at + 2]).contains(c);
                        at += 3;
                    } else {
                        found |= set[at] == *c;
                        at += 1;
                    }
                }
                found != negated && matches(&rest[close + 1..], name_rest)
            }
            Some(('\\', rest)) if !rest.is_empty() => name.first() == rest.first() && matches(&rest[1..], &name[1..]),
            Some((c, rest)) => name.first() == Some(c) && matches(rest, &name[1..]),
        }
    }
    // One star is plenty; many of them would make the search slow.
    let pattern: Vec<char> = pattern.chars().collect();
    pattern.iter().filter(|c| **c == '*').count() <= 8 && matches(&pattern, &name.chars().collect::<Vec<_>>())
}
