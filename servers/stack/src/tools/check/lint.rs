//! What is allowed and yet most likely a mistake.

use std::collections::BTreeMap;

use alerting::rules::RuleFile;
use metrics::config::Config;

use super::super::Failure;

/// Which findings are asked for.
#[derive(Clone, Copy)]
pub(super) struct Lints {
    pub(super) duplicate_rules: bool,
    pub(super) too_long_interval: bool,
}

impl Lints {
    /// Reads `--lint`; without it duplicates are looked for.
    pub(super) fn read(text: Option<&str>) -> Result<Self, Failure> {
        let mut lints = Self { duplicate_rules: false, too_long_interval: false };
        for name in text.unwrap_or("duplicate-rules").split(',') {
            match name {
                "all" => lints = Self { duplicate_rules: true, too_long_interval: true },
                "none" => {}
                "duplicate-rules" => lints.duplicate_rules = true,
                "too-long-scrape-interval" => lints.too_long_interval = true,
                other => return Err(Failure::Usage(format!("unknown lint option {other}"))),
            }
        }
        Ok(lints)
    }
}

/// Rules that write or raise the same: the name and labels of each but the first.
pub(super) fn duplicates(file: &RuleFile) -> Vec<(String, BTreeMap<String, String>)> {
    let mut rules: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    for group in &file.groups {
        for rule in &group.rules {
            let mut labels: BTreeMap<String, String> =
                group.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            labels.extend(rule.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
            let name = if rule.record.is_empty() { &rule.alert } else { &rule.record };
            rules.push((name.clone(), labels));
        }
    }
    rules.sort();
    rules.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[1].clone()).collect()
}

/// Jobs whose samples are forgotten before the next ones come.
pub(super) fn too_long_intervals(config: &Config, lookback_ms: i64) -> Vec<String> {
    config
        .scrape_configs
        .iter()
        .filter(|job| job.scrape_interval_ms >= lookback_ms)
        .map(|job| {
            format!(
                "too long scrape interval found, data point will be marked as stale - job: {}, interval: {}",
                job.job_name,
                model::duration::DurationMs(job.scrape_interval_ms)
            )
        })
        .collect()
}
