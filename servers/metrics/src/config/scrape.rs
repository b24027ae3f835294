//! One job: what is scraped, how, and what becomes of it.

use std::path::{Path, PathBuf};

use kit::client::{HTTP_CLIENT_KEYS, HttpClientConfig};
use kit::config::PromDuration;
use kit::relabel::{RelabelConfig, Rule, compile_all};
use kit::yaml::{ConfigError, FromNode, Node, PromSize, Section};

use super::discovery::DiscoveryConfigs;
use super::global::{EscapingScheme, GlobalConfig, NameValidation, ScrapeProtocol, scrape_protocols};
use super::{LoadOptions, Place};

/// Limits on what a job or a target may bring; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a page, decompressed.
    pub body_size: i64,
    /// Samples of a page after relabelling.
    pub samples: u64,
    /// Labels of a sample.
    pub labels: u64,
    /// Bytes of a label name.
    pub label_name_length: u64,
    /// Bytes of a label value.
    pub label_value_length: u64,
    /// Targets of a job after relabelling.
    pub targets: u64,
}

impl Limits {
    pub(super) fn read(section: &mut Section<'_>, defaults: &Self) -> Result<Self, ConfigError> {
        let own = |value: Option<u64>, default: u64| value.filter(|v| *v != 0).unwrap_or(default);
        Ok(Self {
            body_size: section.opt::<PromSize>("body_size_limit")?.map_or(defaults.body_size, |size| size.0),
            samples: own(section.opt("sample_limit")?, defaults.samples),
            labels: own(section.opt("label_limit")?, defaults.labels),
            label_name_length: own(section.opt("label_name_length_limit")?, defaults.label_name_length),
            label_value_length: own(section.opt("label_value_length_limit")?, defaults.label_value_length),
            targets: own(section.opt("target_limit")?, defaults.targets),
        })
    }
}

/// A job. Fields that a job may leave to `global` are final after [`super::Config::load`].
#[derive(Clone, Debug)]
pub struct ScrapeConfig {
    /// Name of the job.
    pub job_name: String,
    /// Time between scrapes, ms.
    pub scrape_interval_ms: i64,
    /// Time a scrape may take, ms.
    pub scrape_timeout_ms: i64,
    /// Path of the page.
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Parameters of the URL.
    pub params: Vec<(String, Vec<String>)>,
    /// A page's own labels win over the target's.
    pub honor_labels: bool,
    /// A page's timestamps are used.
    pub honor_timestamps: bool,
    /// Series with own timestamps go stale too.
    pub track_timestamps_staleness: bool,
    /// Compressed pages are asked for.
    pub enable_compression: bool,
    /// Formats to ask for, most wanted first.
    pub scrape_protocols: Vec<ScrapeProtocol>,
    /// Format of pages that do not say theirs.
    pub fallback_protocol: Option<ScrapeProtocol>,
    /// Limits on targets and pages.
    pub limits: Limits,
    /// Dropped targets to remember, 0: all.
    pub keep_dropped_targets: u64,
    /// Most buckets of a native histogram, 0: any number.
    pub native_histogram_bucket_limit: u64,
    /// Least factor between bucket boundaries.
    pub native_histogram_min_bucket_factor: f64,
    /// Native histograms are ingested.
    pub scrape_native_histograms: bool,
    /// Classic histograms become native ones with custom buckets.
    pub convert_classic_histograms: bool,
    /// Classic histograms are kept beside native ones.
    pub always_scrape_classic: bool,
    /// Adds the three extra report series.
    pub extra_scrape_metrics: bool,
    /// Which names are valid.
    pub name_validation: NameValidation,
    /// How other names are asked for.
    pub name_escaping: EscapingScheme,
    /// Failed scrapes are written there.
    pub scrape_failure_log_file: Option<PathBuf>,
    /// How targets are reached.
    pub http: HttpClientConfig,
    /// Rules for targets.
    pub relabel_rules: Vec<Rule>,
    /// Rules for samples.
    pub metric_relabel_rules: Vec<Rule>,
    /// Where targets come from.
    pub discovery: DiscoveryConfigs,
    /// Where the job stands in its file.
    pub place: Place,
    own: Own,
}

/// What a job says itself; the rest comes from `global`.
#[derive(Clone, Debug, Default)]
struct Own {
    interval_ms: Option<i64>,
    timeout_ms: Option<i64>,
    protocols: Option<Vec<ScrapeProtocol>>,
    limits: Limits,
    keep_dropped_targets: Option<u64>,
    native: Option<bool>,
    convert: Option<bool>,
    always_classic: Option<bool>,
    extra: Option<bool>,
    validation: Option<NameValidation>,
    escaping: Option<EscapingScheme>,
    relabel: Vec<RelabelConfig>,
    metric_relabel: Vec<RelabelConfig>,
}

impl FromNode for ScrapeConfig {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut section = Section::new(node, "config.ScrapeConfig")?;
        let job_name: String = section.get("job_name")?;
        let discovery = DiscoveryConfigs::read(&mut section)?;
        let http = HttpClientConfig::from_node(&section.take(&HTTP_CLIENT_KEYS))?;
        let of = format!("for scrape config with job name {job_name:?}");
        let protocol = |section: &mut Section<'_>, key: &str| -> Result<Option<ScrapeProtocol>, ConfigError> {
            let Some(name) = section.opt::<String>(key)?.filter(|name| !name.is_empty()) else { return Ok(None) };
            ScrapeProtocol::parse(&name).map(Some).map_err(|e| section.error(key, format!("invalid {key} {of}: {e}")))
        };
        let own = Own {
            interval_ms: section.opt::<PromDuration>("scrape_interval")?.map(|d| d.0),
            timeout_ms: section.opt::<PromDuration>("scrape_timeout")?.map(|d| d.0),
            protocols: scrape_protocols(&mut section, &of)?,
            limits: Limits::read(&mut section, &Limits::default())?,
            keep_dropped_targets: section.opt("keep_dropped_targets")?,
            native: section.opt("scrape_native_histograms")?,
            convert: section.opt("convert_classic_histograms_to_nhcb")?,
            always_classic: section.opt("always_scrape_classic_histograms")?,
            extra: section.opt("extra_scrape_metrics")?,
            validation: section.opt("metric_name_validation_scheme")?,
            escaping: section.opt("metric_name_escaping_scheme")?,
            relabel: section.list("relabel_configs", "target relabeling rule in scrape config")?,
            metric_relabel: section.list("metric_relabel_configs", "metric relabeling rule in scrape config")?,
        };
        let scheme: String = section.or("scheme", "http".to_owned())?;
        let job = Self {
            fallback_protocol: protocol(&mut section, "fallback_scrape_protocol")?,
            metrics_path: section.or("metrics_path", "/metrics".to_owned())?,
            params: section.get::<std::collections::BTreeMap<String, Vec<String>>>("params")?.into_iter().collect(),
            honor_labels: section.get("honor_labels")?,
            honor_timestamps: section.or("honor_timestamps", true)?,
            track_timestamps_staleness: section.get("track_timestamps_staleness")?,
            enable_compression: section.or("enable_compression", true)?,
            native_histogram_bucket_limit: section.get("native_histogram_bucket_limit")?,
            native_histogram_min_bucket_factor: section.get("native_histogram_min_bucket_factor")?,
            scrape_failure_log_file: section
                .opt::<String>("scrape_failure_log_file")?
                .filter(|p| !p.is_empty())
                .map(PathBuf::from),
            relabel_rules: Vec::new(),
            metric_relabel_rules: Vec::new(),
            scheme: if scheme.is_empty() { "http".to_owned() } else { scheme },
            place: Place::of(node),
            scrape_interval_ms: 0,
            scrape_timeout_ms: 0,
            scrape_protocols: Vec::new(),
            limits: Limits::default(),
            keep_dropped_targets: 0,
            scrape_native_histograms: false,
            convert_classic_histograms: false,
            always_scrape_classic: false,
            extra_scrape_metrics: false,
            name_validation: NameValidation::Utf8,
            name_escaping: EscapingScheme::AllowUtf8,
            http,
            discovery,
            job_name,
            own,
        };
        if job.job_name.is_empty() {
            return Err(ConfigError::at(node, "job_name is empty"));
        }
        section.finish()?;
        Ok(job)
    }
}

impl ScrapeConfig {
    /// Fills in what the job leaves to `global`, then checks what both together have to satisfy.
    pub(super) fn complete(&mut self, global: &GlobalConfig, options: LoadOptions) -> Result<(), ConfigError> {
        let own = self.own.clone();
        let fail = |place: &Place, message: String| Err(place.error(message));
        self.scrape_interval_ms = own.interval_ms.filter(|ms| *ms != 0).unwrap_or(global.scrape_interval_ms);
        self.scrape_timeout_ms = match own.timeout_ms.filter(|ms| *ms != 0) {
            Some(timeout) => timeout,
            None => global.scrape_timeout_ms.min(self.scrape_interval_ms),
        };
        if self.scrape_timeout_ms > self.scrape_interval_ms {
            return fail(
                &self.place,
                format!(
                    "scrape timeout greater than scrape interval for scrape config with job name {:?}",
                    self.job_name
                ),
            );
        }
        self.scrape_native_histograms = own.native.unwrap_or(global.scrape_native_histograms);
        self.scrape_protocols = match (own.protocols, &global.scrape_protocols) {
            (Some(protocols), _) => protocols,
            (None, Some(protocols)) => protocols.clone(),
            (None, None) => ScrapeProtocol::defaults(self.scrape_native_histograms || options.prefer_protobuf),
        };
        let or = |own: u64, global: u64| if own == 0 { global } else { own };
        let (mine, theirs) = (own.limits, global.limits);
        self.limits = Limits {
            body_size: if mine.body_size == 0 { theirs.body_size } else { mine.body_size },
            samples: or(mine.samples, theirs.samples),
            labels: or(mine.labels, theirs.labels),
            label_name_length: or(mine.label_name_length, theirs.label_name_length),
            label_value_length: or(mine.label_value_length, theirs.label_value_length),
            targets: or(mine.targets, theirs.targets),
        };
        self.keep_dropped_targets = own.keep_dropped_targets.filter(|n| *n != 0).unwrap_or(global.keep_dropped_targets);
        self.convert_classic_histograms = own.convert.unwrap_or(global.convert_classic_histograms);
        self.always_scrape_classic = own.always_classic.unwrap_or(global.always_scrape_classic);
        self.extra_scrape_metrics = own.extra.unwrap_or(global.extra_scrape_metrics);
        if self.scrape_failure_log_file.is_none() {
            self.scrape_failure_log_file.clone_from(&global.scrape_failure_log_file);
        }
        self.name_validation = own.validation.unwrap_or(global.name_validation);
        let inferred = match self.name_validation {
            NameValidation::Utf8 => EscapingScheme::AllowUtf8,
            NameValidation::Legacy => EscapingScheme::Underscores,
        };
        // A scheme given for everything does not bind a job that narrows its names.
        let inherited = global
            .name_escaping
            .filter(|_| own.validation.is_none_or(|validation| validation == global.name_validation));
        self.name_escaping = own.escaping.or(inherited).unwrap_or(inferred);
        if self.name_validation == NameValidation::Legacy && self.name_escaping == EscapingScheme::AllowUtf8 {
            return fail(
                &self.place,
                "utf8 metric names requested but validation scheme is not set to UTF8".to_owned(),
            );
        }
        let compile = |rules: &[RelabelConfig]| {
            compile_all(rules, self.name_validation.scheme()).map_err(|e| self.place.error(e))
        };
        self.relabel_rules = compile(&own.relabel)?;
        self.metric_relabel_rules = compile(&own.metric_relabel)?;
        // Targets are host and port, not URLs. With relabelling rules only what they make of a target can be judged.
        self.discovery
            .check_static_targets(&self.relabel_rules, &self.job_name)
            .map_err(|message| self.place.error(message))
    }

    /// Makes paths absolute.
    pub(super) fn resolve(&mut self, dir: &Path) {
        self.http.set_directory(dir);
        self.discovery.resolve(dir);
        if let Some(path) = &mut self.scrape_failure_log_file {
            *path = dir.join(&*path);
        }
    }
}
