//! What `amtool check-config` says about a configuration that is good.

use std::fmt;

use super::config::{CompiledConfig, Config};

/// What a configuration holds. Displays as `amtool` lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigSummary {
    /// Whether there is a `global` section.
    pub global: bool,
    /// Whether there is a route.
    pub route: bool,
    /// How many inhibition rules.
    pub inhibit_rules: usize,
    /// How many receivers.
    pub receivers: usize,
    /// How many patterns of template files.
    pub templates: usize,
    /// How many time intervals.
    pub time_intervals: usize,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// A summary of a configuration and its compiled form.
pub fn summarize(config: &Config, compiled: &CompiledConfig) -> ConfigSummary {
    ConfigSummary {
        global: config.global.is_some(),
        route: config.route.is_some(),
        inhibit_rules: config.inhibit_rules.len(),
        receivers: config.receivers.len(),
        templates: config.templates.len(),
        time_intervals: compiled.time_intervals.len(),
        warnings: compiled.warnings.clone(),
    }
}

impl fmt::Display for ConfigSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Found:")?;
        if self.global {
            writeln!(f, " - global config")?;
        }
        if self.route {
            writeln!(f, " - route")?;
        }
        writeln!(f, " - {} inhibit rules", self.inhibit_rules)?;
        writeln!(f, " - {} receivers", self.receivers)?;
        writeln!(f, " - {} templates", self.templates)?;
        if self.time_intervals > 0 {
            writeln!(f, " - {} time intervals", self.time_intervals)?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, " ! {warning}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::notify::config::ConfigOptions;

    #[test]
    fn lists_what_is_there() {
        let config: Config = serde_json::from_value(json!({
            "route": { "receiver": "r" },
            "receivers": [{ "name": "r", "sns_configs": [{ "topic_arn": "x", "sigv4": {} }] }],
            "templates": ["*.tmpl"],
        }))
        .expect("a configuration");
        let compiled = config.compile(ConfigOptions::default()).expect("a good one");
        let want = "Found:\n - route\n - 0 inhibit rules\n - 1 receivers\n - 1 templates\n \
                    ! receiver \"r\": notifications of kind sns[0] are not supported and will fail\n";
        assert_eq!(summarize(&config, &compiled).to_string(), want);
    }
}
