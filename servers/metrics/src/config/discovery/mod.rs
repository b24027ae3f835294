//! Where targets come from: the discovery sections of a job.
//!
//! Static, file, HTTP and DNS discovery are done by this server. The other kinds are read and checked as upstream does
//! (`kinds`), so that a configuration is judged alike; a server told to use one says so for the job.

mod kinds;
mod kubernetes;

use std::path::{Path, PathBuf};

use kit::client::{HTTP_CLIENT_KEYS, HttpClientConfig};
use kit::config::PromDuration;
use kit::relabel::{Rule, process};
use kit::yaml::{ConfigError, FromNode, Kind, Node, Section};
use model::{Labels, LabelsBuilder};

pub use kinds::OtherDiscovery;

/// A list of targets with the labels they share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetGroup {
    /// `host:port`.
    pub targets: Vec<String>,
    /// Labels of each of them.
    pub labels: Labels,
}

impl FromNode for TargetGroup {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "struct { Targets []string; Labels model.LabelSet }")?;
        let group = Self { targets: section.get("targets")?, labels: label_set(&mut section, "labels")? };
        section.finish()?;
        Ok(group)
    }
}

fn label_set(section: &mut Section<'_>, key: &str) -> Result<Labels, ConfigError> {
    let Some(node) = section.raw(key).filter(|node| !node.is_null()) else { return Ok(Labels::empty()) };
    let Kind::Mapping(pairs) = &node.kind else {
        return Err(ConfigError::at(node, "labels have to be a mapping"));
    };
    let mut labels = LabelsBuilder::new();
    for (name, value) in pairs {
        if name.text.is_empty() {
            return Err(ConfigError::at(value, "\"\" is not a valid label name"));
        }
        labels.set(&name.text, &String::from_node(value)?);
    }
    Ok(labels.build())
}

/// Target files that are watched.
#[derive(Clone, Debug, PartialEq)]
pub struct FileDiscovery {
    /// Patterns, made absolute.
    pub files: Vec<PathBuf>,
    /// Time between readings, ms.
    pub refresh_interval_ms: i64,
}

impl FromNode for FileDiscovery {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "file.plain")?;
        let files: Vec<String> = section.get("files")?;
        if files.is_empty() {
            return Err(ConfigError::at(node, "file service discovery config must contain at least one path name"));
        }
        for file in &files {
            let path = Path::new(file);
            let known = path
                .extension()
                .is_some_and(|e| ["json", "yml", "yaml"].iter().any(|known| e.eq_ignore_ascii_case(known)));
            if !known || super::check_glob(file).is_err() {
                return Err(section.error("files", format!("path name {file:?} is not valid for file discovery")));
            }
        }
        let config = Self {
            files: files.into_iter().map(PathBuf::from).collect(),
            refresh_interval_ms: section.or("refresh_interval", PromDuration(300_000))?.0,
        };
        section.finish()?;
        Ok(config)
    }
}

/// A URL that lists targets.
#[derive(Clone, Debug)]
pub struct HttpDiscovery {
    /// The URL.
    pub url: String,
    /// Time between requests, ms.
    pub refresh_interval_ms: i64,
    /// How it is reached.
    pub http: HttpClientConfig,
}

impl FromNode for HttpDiscovery {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "http.plain")?;
        let http = HttpClientConfig::from_node(&section.take(&HTTP_CLIENT_KEYS))?;
        let url: String = section.get("url")?;
        if url.is_empty() {
            return Err(section.error("url", "URL is missing"));
        }
        check_http_url(&url).map_err(|message| section.error("url", message))?;
        let config = Self { url, refresh_interval_ms: section.or("refresh_interval", PromDuration(60_000))?.0, http };
        section.finish()?;
        Ok(config)
    }
}

/// `http` or `https`, with a host.
pub(super) fn check_http_url(url: &str) -> Result<(), &'static str> {
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else {
        return Err("URL scheme must be 'http' or 'https'");
    };
    if rest.split(['/', '?', '#']).next().is_none_or(str::is_empty) {
        return Err("host is missing in URL");
    }
    Ok(())
}

/// Kinds of DNS records that list targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsRecord {
    /// Host and port.
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Mail servers.
    Mx,
    /// Name servers.
    Ns,
}

/// Names whose DNS records list targets.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsDiscovery {
    /// Names to look up.
    pub names: Vec<String>,
    /// Kind of record.
    pub record: DnsRecord,
    /// Port where the record has none.
    pub port: u16,
    /// Time between look-ups, ms.
    pub refresh_interval_ms: i64,
}

impl FromNode for DnsDiscovery {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "dns.plain")?;
        let names: Vec<String> = section.get("names")?;
        if names.is_empty() {
            return Err(ConfigError::at(node, "DNS-SD config must contain at least one SRV record name"));
        }
        let kind: String = section.or("type", "SRV".to_owned())?;
        let record = match kind.to_ascii_uppercase().as_str() {
            "SRV" => DnsRecord::Srv,
            "A" => DnsRecord::A,
            "AAAA" => DnsRecord::Aaaa,
            "MX" => DnsRecord::Mx,
            "NS" => DnsRecord::Ns,
            _ => return Err(section.error("type", format!("invalid DNS-SD records type {kind}"))),
        };
        let port: u16 = section.get("port")?;
        if port == 0 && record != DnsRecord::Srv {
            return Err(section.error("port", "a port is required in DNS-SD configs for all record types except SRV"));
        }
        let config =
            Self { names, record, port, refresh_interval_ms: section.or("refresh_interval", PromDuration(30_000))?.0 };
        section.finish()?;
        Ok(config)
    }
}

/// All discovery sections of a job.
#[derive(Clone, Debug, Default)]
pub struct DiscoveryConfigs {
    /// `static_configs`
    pub statics: Vec<TargetGroup>,
    /// `file_sd_configs`
    pub files: Vec<FileDiscovery>,
    /// `http_sd_configs`
    pub http: Vec<HttpDiscovery>,
    /// `dns_sd_configs`
    pub dns: Vec<DnsDiscovery>,
    /// The kinds this server checks but does not do.
    pub others: Vec<OtherDiscovery>,
}

impl DiscoveryConfigs {
    /// Reads the discovery sections out of a job's.
    ///
    /// # Errors
    /// What upstream refuses in any of them.
    pub(super) fn read(section: &mut Section<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            statics: section.list("static_configs", "section in static_configs")?,
            files: section.list("file_sd_configs", "section in file_sd_configs")?,
            http: section.list("http_sd_configs", "section in http_sd_configs")?,
            dns: section.list("dns_sd_configs", "section in dns_sd_configs")?,
            others: kinds::read(section)?,
        })
    }

    pub(super) fn resolve(&mut self, dir: &Path) {
        for path in self.files.iter_mut().flat_map(|config| &mut config.files) {
            *path = dir.join(&*path);
        }
        for config in &mut self.http {
            config.http.set_directory(dir);
        }
    }

    /// Refuses static targets whose address is none, after relabelling as the job does it.
    pub(super) fn check_static_targets(&self, rules: &[Rule], job: &str) -> Result<(), String> {
        for group in &self.statics {
            for target in &group.targets {
                let mut labels = group.labels.to_builder();
                labels.set("__address__", target).set("job", job);
                let Some(labels) = process(&labels.build(), rules) else { continue };
                let address = labels.value("__address__");
                if address.contains('/') {
                    return Err(format!("{address:?} is not a valid hostname"));
                }
            }
        }
        Ok(())
    }
}
