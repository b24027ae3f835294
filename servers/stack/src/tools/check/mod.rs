//! `tool check …`: configurations, rule files, pages of metrics, discovery.

mod discovery;
mod lint;
mod page;

use std::io::Read;
use std::path::{Path, PathBuf};

use kit::client::HttpClientConfig;
use metrics::config::{Config, LoadOptions, NameValidation, expand_glob};
use metrics::rules::RuleOptions;
use metrics::rules::file::{self, promql as read_promql};
use promql::ParserOptions;

use super::args::{Args, Known};
use super::{Failure, Outcome, duration};
use lint::Lints;

pub(super) use discovery::service_discovery;
pub(super) use page::metrics;

/// What went wrong so far, while all files are checked whatever the first one says.
#[derive(Default)]
struct Verdict {
    errors: bool,
    lint: bool,
}

impl Verdict {
    fn outcome(self, lint_fatal: bool) -> Outcome {
        if self.errors {
            Err(Failure::Failed(None))
        } else if self.lint && lint_fatal {
            Err(Failure::Lint)
        } else {
            Ok(())
        }
    }
}

/// Checks configurations and the rule files they name.
pub(super) fn config(words: &[&str], parser: ParserOptions) -> Outcome {
    let known = Known {
        switches: &["agent", "syntax-only", "lint-fatal", "ignore-unknown-fields"],
        values: &["lint", "lookback-delta"],
    };
    let args = Args::read(words, &known).map_err(Failure::Usage)?;
    if args.words.is_empty() {
        return Err(Failure::Usage("required argument 'config-files' not provided".to_owned()));
    }
    let lints = Lints::read(args.get("lint"))?;
    let lookback_ms = duration("lookback-delta", args.get("lookback-delta").unwrap_or("5m"))?;
    let syntax_only = args.is_set("syntax-only");
    let ignore_unknown = args.is_set("ignore-unknown-fields");
    let options = LoadOptions { agent: args.is_set("agent"), ignore_unknown, ..LoadOptions::default() };
    let mut verdict = Verdict::default();
    for name in &args.words {
        println!("Checking {name}");
        let loaded = Config::load(Path::new(name), options).map_err(|e| e.to_string());
        let checked = loaded.and_then(|config| {
            let rules = if syntax_only { Vec::new() } else { rule_files(&config)? };
            if !syntax_only {
                named_files(&config)?;
            }
            Ok((config, rules))
        });
        match checked {
            Ok((config, rule_files)) => {
                if !rule_files.is_empty() {
                    println!("  SUCCESS: {} rule files found", rule_files.len());
                }
                println!(" SUCCESS: {name} is valid prometheus config file syntax\n");
                if lints.too_long_interval {
                    for finding in lint::too_long_intervals(&config, lookback_ms) {
                        eprintln!("  FAILED: {finding}");
                        verdict.lint = true;
                    }
                }
                let checks = Rules { parser, validation: config.global.name_validation, ignore_unknown, lints };
                for rules in &rule_files {
                    checks.file(rules, &mut verdict);
                }
            }
            Err(reason) => {
                eprintln!("  FAILED: {reason}\n");
                verdict.errors = true;
            }
        }
    }
    verdict.outcome(args.is_set("lint-fatal"))
}

/// Checks rule files, or what comes on standard input.
pub(super) fn rules(words: &[&str], parser: ParserOptions) -> Outcome {
    let known = Known { switches: &["lint-fatal", "ignore-unknown-fields"], values: &["lint"] };
    let args = Args::read(words, &known).map_err(Failure::Usage)?;
    let checks = Rules {
        parser,
        validation: NameValidation::Utf8,
        ignore_unknown: args.is_set("ignore-unknown-fields"),
        lints: Lints::read(args.get("lint"))?,
    };
    let mut verdict = Verdict::default();
    if args.words.is_empty() {
        println!("Checking standard input");
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|e| format!("error while reading standard input: {e}"))?;
        let result = checks.with_options(|options| file::parse(&text, options));
        checks.report(result, &mut verdict);
    }
    for name in &args.words {
        checks.file(Path::new(name), &mut verdict);
    }
    verdict.outcome(args.is_set("lint-fatal"))
}

/// How rule files are checked.
struct Rules {
    parser: ParserOptions,
    validation: NameValidation,
    ignore_unknown: bool,
    lints: Lints,
}

type Loaded = Result<alerting::rules::RuleFile, Vec<kit::yaml::ConfigError>>;

impl Rules {
    fn with_options(&self, load: impl FnOnce(RuleOptions<'_>) -> Loaded) -> Loaded {
        let canonical = read_promql(self.parser);
        load(RuleOptions { canonical: &canonical, validation: self.validation, ignore_unknown: self.ignore_unknown })
    }

    fn file(&self, path: &Path, verdict: &mut Verdict) {
        println!("Checking {}", path.display());
        let result = self.with_options(|options| file::load(path, options));
        self.report(result, verdict);
    }

    fn report(&self, result: Loaded, verdict: &mut Verdict) {
        match result {
            Err(errors) => {
                verdict.errors = true;
                eprintln!("  FAILED:");
                for error in errors {
                    eprintln!("  {error}");
                }
            }
            Ok(file) => {
                let duplicates = if self.lints.duplicate_rules { lint::duplicates(&file) } else { Vec::new() };
                if duplicates.is_empty() {
                    let rules: usize = file.groups.iter().map(|group| group.rules.len()).sum();
                    println!("  SUCCESS: {rules} rules found");
                } else {
                    verdict.lint = true;
                    eprintln!("  FAILED:\nlint error {} duplicate rule(s) found.", duplicates.len());
                    for (metric, labels) in duplicates {
                        eprintln!("Metric: {metric}\nLabel(s):");
                        for (name, value) in labels {
                            eprintln!("\t{name}: {value}");
                        }
                    }
                    eprintln!("Might cause inconsistency while recording expressions");
                }
            }
        }
        println!();
    }
}

/// The rule files of a configuration; one that is named without a wildcard has to exist.
fn rule_files(config: &Config) -> Result<Vec<PathBuf>, String> {
    for pattern in &config.rule_files {
        let is_pattern = pattern.to_string_lossy().contains(['*', '?', '[']);
        if !is_pattern && expand_glob(pattern).is_empty() {
            return Err(format!("\"{}\" does not point to an existing file", pattern.display()));
        }
    }
    Ok(file::expand(&config.rule_files))
}

/// Checks that those files which the peer's tool looks for are there (passwords and authorities are not among them), and that target files can be read.
fn named_files(config: &Config) -> Result<(), String> {
    for job in &config.scrape_configs {
        client_files(&job.http)?;
        for http in &job.discovery.http {
            client_files(&http.http)?;
        }
        discovery::target_files(&job.discovery, &job.job_name)?;
    }
    for alertmanager in &config.alerting.alertmanagers {
        client_files(&alertmanager.http)?;
        discovery::target_files(&alertmanager.discovery, "alertmanagers")?;
    }
    Ok(())
}

fn client_files(http: &HttpClientConfig) -> Result<(), String> {
    let exists = |what: &str, path: Option<&PathBuf>| match path {
        Some(path) => std::fs::metadata(path)
            .map(drop)
            .map_err(|e| format!("error checking {what} {:?}: {e}", path.display().to_string())),
        None => Ok(()),
    };
    exists("bearer token file", http.bearer_token_file.as_ref())?;
    if let Some(authorization) = &http.authorization {
        exists("authorization credentials or bearer token file", authorization.credentials_file.as_ref())?;
    }
    let tls = &http.tls_config;
    exists("client cert file", tls.cert_file.as_ref())?;
    exists("client key file", tls.key_file.as_ref())
}

/// Checks web configuration files.
pub(super) fn web_config(words: &[&str]) -> Outcome {
    let args = Args::read(words, &Known { switches: &[], values: &[] }).map_err(Failure::Usage)?;
    if args.words.is_empty() {
        return Err(Failure::Usage("required argument 'web-config-files' not provided".to_owned()));
    }
    let mut verdict = Verdict::default();
    for name in &args.words {
        match kit::http::WebConfig::load(Path::new(name)) {
            Ok(_) => eprintln!("{name} SUCCESS"),
            Err(e) => {
                eprintln!("{name} FAILED: {e}");
                verdict.errors = true;
            }
        }
    }
    verdict.outcome(false)
}
