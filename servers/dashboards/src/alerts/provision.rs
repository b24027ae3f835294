//! Alerting from provisioning files: rule groups, contact points, the policy, mute timings, templates.
//!
//! Folders are named by title there; they are made when the files are taken. What a file does not say any more is gone with
//! the next reading; the lists of things to delete only matter for what the API made.

use std::path::Path;

use alerting::grafana::GrafanaRule;
use alerting::notify::config::Route;
use alerting::notify::contact_point::ContactPointIntegration;
use alerting::notify::time_interval::NamedIntervals;
use kit::config::PromDuration;
use kit::yaml::{ConfigError, Kind, Node, Section};
use serde::de::DeserializeOwned;

use super::config::{AlertingConfig, Item, MessageTemplate, Provenance};
use crate::interpolate::Env;
use crate::provisioning::{self, to_json};

/// Texts in which a dollar sign is a template's.
const KEPT: &[&[&str]] = &[
    &["groups", "rules", "annotations"],
    &["groups", "rules", "data", "model"],
    &["groups", "rules", "data", "relativeTimeRange"],
    &["groups", "rules", "notification_settings", "mute_time_intervals"],
    &["muteTimes", "name"],
    &["muteTimes", "time_intervals"],
    &["templates", "name"],
    &["templates", "template"],
];

/// A group as a file has it: its folder is a title.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FileGroup {
    pub(crate) folder: String,
    pub(crate) name: String,
    /// 0: the default.
    pub(crate) interval_ms: i64,
    /// With the place of each, for errors that are found later.
    pub(crate) rules: Vec<(GrafanaRule, String)>,
}

/// What the files say.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) groups: Vec<FileGroup>,
    /// Everything but the groups.
    pub(crate) config: AlertingConfig,
    pub(crate) deleted_rules: Vec<String>,
    pub(crate) deleted_points: Vec<String>,
    pub(crate) deleted_timings: Vec<String>,
    pub(crate) deleted_templates: Vec<String>,
    pub(crate) reset_policy: bool,
    /// With file, line and column.
    pub(crate) errors: Vec<ConfigError>,
}

/// Reads `<provisioning>/alerting`.
pub(crate) fn read(dir: &Path, env: &Env) -> Wanted {
    let (files, errors) = provisioning::read_folder(&dir.join("alerting"), env, KEPT);
    let mut wanted = Wanted { errors, ..Wanted::default() };
    for file in &files {
        if let Err(error) = read_file(&file.root, &file.path, &mut wanted) {
            wanted.errors.push(error.in_file(&file.path));
        }
    }
    wanted
}

fn read_file(root: &Node, path: &Path, wanted: &mut Wanted) -> Result<(), ConfigError> {
    let mut section = Section::new(root, "alerting file")?;
    provisioning::check_version(&mut section)?;
    let mut errors = Vec::new();
    let e = &mut errors;
    let groups = provisioning::items(&mut section, "groups", path, e, |node| read_group(node, path));
    for (group, mut problems) in groups {
        e.append(&mut problems);
        for (rule, place) in &group.rules {
            let taken = wanted.groups.iter().flat_map(|group| &group.rules).any(|(other, _)| other.uid == rule.uid);
            if taken {
                e.push(ConfigError::plain(format!("rule uid {:?} is there twice ({place})", rule.uid)).in_file(path));
            }
        }
        let known: Vec<String> =
            wanted.groups.iter().flat_map(|g| &g.rules).map(|(rule, _)| rule.uid.clone()).collect();
        let rules = group.rules.into_iter().filter(|(rule, _)| !known.contains(&rule.uid)).collect();
        wanted.groups.push(FileGroup { rules, ..group });
    }
    let points = provisioning::items(&mut section, "contactPoints", path, e, |node| read_point(node, path));
    for integration in points.into_iter().flatten() {
        let taken = wanted.config.contact_points.iter().any(|point| point.value.uid == integration.uid);
        if taken {
            e.push(ConfigError::plain(format!("contact point uid {:?} is there twice", integration.uid)).in_file(path));
        } else {
            wanted.config.contact_points.push(from_file(integration));
        }
    }
    for policy in provisioning::items(&mut section, "policies", path, e, read_policy) {
        wanted.config.policy = Some(from_file(policy));
    }
    for timing in
        provisioning::items(&mut section, "muteTimes", path, e, |node| read_value::<NamedIntervals>(node, &["orgId"]))
    {
        if timing.name.is_empty() {
            e.push(ConfigError::plain("a mute timing without a name").in_file(path));
        } else {
            wanted.config.mute_timings.push(from_file(timing));
        }
    }
    for template in provisioning::items(&mut section, "templates", path, e, |node| read_template(node, path)) {
        wanted.config.templates.push(from_file(template));
    }
    let mut names = |key: &'static str, field: &'static str| {
        provisioning::items(&mut section, key, path, e, |node| {
            let mut section = Section::new(node, "item to delete")?;
            provisioning::check_org(&mut section)?;
            let name = provisioning::needed(&mut section, field)?;
            provisioning::finish(section, path);
            Ok(name)
        })
    };
    wanted.deleted_rules.extend(names("deleteRules", "uid"));
    wanted.deleted_points.extend(names("deleteContactPoints", "uid"));
    wanted.deleted_timings.extend(names("deleteMuteTimes", "name"));
    wanted.deleted_templates.extend(names("deleteTemplates", "name"));
    if let Some(node) = section.raw("resetPolicies") {
        wanted.reset_policy |= !node.is_null();
    }
    provisioning::finish(section, path);
    wanted.errors.extend(errors);
    Ok(())
}

fn from_file<T>(value: T) -> Item<T> {
    Item { value, provenance: Provenance::File, updated_ms: 0 }
}

/// A serde type from a node, without the keys that only files have.
fn read_value<T: DeserializeOwned>(node: &Node, without: &[&str]) -> Result<T, ConfigError> {
    let mut section = Section::new(node, "item")?;
    provisioning::check_org(&mut section)?;
    let mut value = to_json(node);
    if let Some(map) = value.as_object_mut() {
        for key in without {
            map.remove(*key);
        }
    }
    serde_json::from_value(value).map_err(|error| ConfigError::at(node, error.to_string()))
}

fn place(node: &Node, path: &Path) -> String {
    format!("{}:{}:{}", path.display(), node.line, node.column)
}

type ReadGroup = (FileGroup, Vec<ConfigError>);

fn read_group(node: &Node, path: &Path) -> Result<ReadGroup, ConfigError> {
    let mut section = Section::new(node, "rule group")?;
    provisioning::check_org(&mut section)?;
    let name = provisioning::needed(&mut section, "name")?;
    let folder = provisioning::needed(&mut section, "folder")?;
    let interval: Option<PromDuration> = section.opt("interval")?;
    let mut errors = Vec::new();
    let mut rules: Vec<(GrafanaRule, String)> = Vec::new();
    let read =
        provisioning::items(&mut section, "rules", path, &mut errors, |node| Ok((read_rule(node)?, place(node, path))));
    provisioning::finish(section, path);
    for (rule, at) in read {
        if rules.iter().any(|(other, _)| other.uid == rule.uid) {
            errors.push(ConfigError::plain(format!("rule uid {:?} is there twice ({at})", rule.uid)).in_file(path));
        } else {
            rules.push((rule, at));
        }
    }
    Ok((FileGroup { folder, name, interval_ms: interval.map_or(0, |interval| interval.0), rules }, errors))
}

fn read_rule(node: &Node) -> Result<GrafanaRule, ConfigError> {
    // Labels and annotations are texts, whatever they look like.
    let mut value = to_json(node);
    for key in ["labels", "annotations"] {
        if let Some(Kind::Mapping(pairs)) = node.get(key).map(|node| &node.kind) {
            let texts = pairs.iter().map(|(name, value)| {
                let text = match &value.kind {
                    Kind::Scalar { text, .. } => text.clone(),
                    _ => String::new(),
                };
                (name.text.clone(), text.into())
            });
            value[key] = serde_json::Value::Object(texts.collect());
        }
    }
    let mut rule: GrafanaRule =
        serde_json::from_value(value).map_err(|error| ConfigError::at(node, error.to_string()))?;
    if rule.org_id > 1 {
        return Err(ConfigError::at(node, format!("there is no organisation {}, only 1", rule.org_id)));
    }
    rule.org_id = 1;
    if rule.uid.is_empty() {
        return Err(ConfigError::at(node, "missing").in_field("uid"));
    }
    if rule.title.is_empty() {
        return Err(ConfigError::at(node, "missing").in_field("title"));
    }
    Ok(rule)
}

fn read_point(node: &Node, path: &Path) -> Result<Vec<ContactPointIntegration>, ConfigError> {
    let mut section = Section::new(node, "contact point")?;
    provisioning::check_org(&mut section)?;
    let name = provisioning::needed(&mut section, "name")?;
    let mut errors = Vec::new();
    let found = provisioning::items(&mut section, "receivers", path, &mut errors, |node| {
        let mut integration: ContactPointIntegration = read_value(node, &[])?;
        if integration.uid.is_empty() {
            return Err(ConfigError::at(node, "missing").in_field("uid"));
        }
        if integration.kind.is_empty() {
            return Err(ConfigError::at(node, "missing").in_field("type"));
        }
        integration.name.clone_from(&name);
        Ok(integration)
    });
    provisioning::finish(section, path);
    match errors.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(found),
    }
}

fn read_policy(node: &Node) -> Result<Route, ConfigError> {
    let route: Route = read_value(node, &["orgId"])?;
    if route.receiver.is_empty() {
        return Err(ConfigError::at(node, "missing").in_field("receiver"));
    }
    Ok(route)
}

fn read_template(node: &Node, path: &Path) -> Result<MessageTemplate, ConfigError> {
    let mut section = Section::new(node, "template")?;
    provisioning::check_org(&mut section)?;
    let name = provisioning::needed(&mut section, "name")?;
    let template = section.get("template")?;
    provisioning::finish(section, path);
    Ok(MessageTemplate { name, template })
}
