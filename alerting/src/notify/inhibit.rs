//! Inhibition: alerts that keep others quiet.
//!
//! A rule holds for an alert (the target) while another alert (a source) fires that matches the rule's source side and has
//! the same values in the rule's `equal` labels; an absent label equals an empty one. An alert that matches both sides of a
//! rule is not inhibited by alerts that do too, itself above all.
//!
//! [`Inhibitor`] is an index over the alerts that fire at one time; the notifier builds it when it has something to send.

use std::collections::HashMap;

use model::Labels;

use super::alert::Alert;
use super::config::CompiledInhibitRule;

/// Which alerts inhibit, at one time.
pub struct Inhibitor<'a> {
    rules: &'a [CompiledInhibitRule],
    /// By rule and the values of its `equal` labels, the sources: (labels, also matches the target side).
    sources: Vec<HashMap<Vec<&'a str>, Vec<(&'a Labels, bool)>>>,
}

impl<'a> Inhibitor<'a> {
    /// Indexes the alerts that fire at a time.
    pub fn new(rules: &'a [CompiledInhibitRule], alerts: impl Iterator<Item = &'a Alert>, now_ms: i64) -> Self {
        let mut sources: Vec<HashMap<Vec<&str>, Vec<(&Labels, bool)>>> = rules.iter().map(|_| HashMap::new()).collect();
        for alert in alerts.filter(|alert| !alert.is_resolved_at(now_ms)) {
            for (rule, index) in rules.iter().zip(&mut sources) {
                if rule.source.matches(&alert.labels) {
                    let both = rule.target.matches(&alert.labels);
                    index.entry(values(rule, &alert.labels)).or_default().push((&alert.labels, both));
                }
            }
        }
        Self { rules, sources }
    }

    /// The alert that inhibits this one, if one does.
    pub fn inhibited_by(&self, labels: &Labels) -> Option<&'a Labels> {
        self.rules.iter().zip(&self.sources).find_map(|(rule, index)| {
            if !rule.target.matches(labels) {
                return None;
            }
            let candidates = index.get(&values(rule, labels))?;
            let exclude_both = rule.source.matches(labels);
            candidates.iter().find(|(_, both)| !(exclude_both && *both)).map(|(source, _)| *source)
        })
    }
}

fn values<'l>(rule: &CompiledInhibitRule, labels: &'l Labels) -> Vec<&'l str> {
    rule.equal.iter().map(|name| labels.value(name)).collect()
}

#[cfg(test)]
mod tests;
