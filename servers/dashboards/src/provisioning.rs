//! Reading provisioning files: which there are, as trees with their places, references replaced.
//!
//! Each kind of provisioning has a folder (`datasources`, `dashboards`, `alerting`) of `.yaml`, `.yml` and `.json` files, read
//! in the order of their names. A broken file is an error with file, line and column; the other files go on.

use std::path::{Path, PathBuf};

use kit::yaml::{ConfigError, FromNode, Kind, Node, Section};

use crate::interpolate::{self, Env};

/// A provisioning file.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) root: Node,
}

/// All files of a folder, and what is wrong with those that cannot be read. A missing folder has none. `keep` names what
/// holds dollar signs of its own (see [`interpolate::provisioning_tree`]).
pub(crate) fn read_folder(dir: &Path, env: &Env, keep: &[&[&str]]) -> (Vec<File>, Vec<ConfigError>) {
    let (mut files, mut errors) = (Vec::new(), Vec::new());
    let mut paths = match std::fs::read_dir(dir) {
        Ok(items) => items.filter_map(|item| Some(item.ok()?.path())).collect::<Vec<_>>(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            errors.push(ConfigError::plain(error.to_string()).in_file(dir));
            Vec::new()
        }
    };
    paths.retain(|path| {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        matches!(extension, "yaml" | "yml" | "json") && path.is_file()
    });
    paths.sort();
    for path in paths {
        match read_file(&path, env, keep) {
            Ok(root) => files.push(File { path, root }),
            Err(error) => errors.push(error),
        }
    }
    (files, errors)
}

fn read_file(path: &Path, env: &Env, keep: &[&[&str]]) -> Result<Node, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError::plain(e.to_string()).in_file(path))?;
    let mut root = kit::yaml::parse(&text).map_err(|e| e.in_file(path))?;
    interpolate::provisioning_tree(&mut root, env, keep).map_err(|e| e.in_file(path))?;
    Ok(root)
}

/// The items of a list of mappings, each read on its own: what is wrong with one does not touch the others. Absent and `null`
/// are empty.
pub(crate) fn items<T>(
    section: &mut Section<'_>,
    key: &str,
    file: &Path,
    errors: &mut Vec<ConfigError>,
    mut read: impl FnMut(&Node) -> Result<T, ConfigError>,
) -> Vec<T> {
    let Some(node) = section.raw(key).filter(|node| !node.is_null()) else { return Vec::new() };
    let Kind::Sequence(nodes) = &node.kind else {
        errors.push(ConfigError::at(node, "a list is expected").in_field(key).in_file(file));
        return Vec::new();
    };
    let mut found = Vec::new();
    for node in nodes {
        match read(node) {
            Ok(item) => found.push(item),
            Err(error) => errors.push(error.placed(node).in_file(file)),
        }
    }
    found
}

/// Ends the reading of a mapping; keys that nobody knows are warned of, as Grafana ignores them.
pub(crate) fn finish(section: Section<'_>, file: &Path) {
    let node = section.node();
    for key in section.finish_ignoring_unknown() {
        let line = match &node.kind {
            Kind::Mapping(pairs) => pairs.iter().find(|(k, _)| k.text == key).map_or(0, |(k, _)| k.line),
            _ => 0,
        };
        tracing::warn!(component = "provisioning", "{}:{line}: field {key} is unknown, it is ignored", file.display());
    }
}

/// Demands `apiVersion: 1`, as all provisioning files have it.
pub(crate) fn check_version(section: &mut Section<'_>) -> Result<(), ConfigError> {
    let version: Option<i64> = section.opt("apiVersion")?;
    match version {
        Some(1) => Ok(()),
        Some(other) => Err(section.error("apiVersion", format!("{other} is not 1"))),
        None => Err(section.error("apiVersion", "missing, 1 is expected")),
    }
}

/// Refuses another organisation than the only one there is.
pub(crate) fn check_org(section: &mut Section<'_>) -> Result<(), ConfigError> {
    let keys = ["orgId", "org_id"];
    for key in keys {
        if let Some(org) = section.opt::<i64>(key)?
            && org > 1
        {
            return Err(section.error(key, format!("there is no organisation {org}, only 1")));
        }
    }
    Ok(())
}

/// A tree as a JSON value: plain scalars become numbers, booleans or null where they look like it.
pub(crate) fn to_json(node: &Node) -> serde_json::Value {
    use serde_json::Value;
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned().into(),
        Kind::Scalar { text, plain: false } => text.clone().into(),
        Kind::Scalar { text, plain: true } => match text.as_str() {
            "true" | "True" | "TRUE" => true.into(),
            "false" | "False" | "FALSE" => false.into(),
            "null" | "Null" | "NULL" | "~" | "" => Value::Null,
            _ => {
                let number = text.parse::<i64>().map(Value::from).ok();
                let number = number.or_else(|| {
                    let looks =
                        text.bytes().next().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.'));
                    let float = text.parse::<f64>().ok().filter(|f| looks && f.is_finite());
                    float.and_then(serde_json::Number::from_f64).map(Value::Number)
                });
                number.unwrap_or_else(|| text.clone().into())
            }
        },
        Kind::Sequence(items) => items.iter().map(to_json).collect(),
        Kind::Mapping(pairs) => {
            Value::Object(pairs.iter().map(|(key, value)| (key.text.clone(), to_json(value))).collect())
        }
    }
}

/// A JSON object field of a section; `null` and absent are empty.
pub(crate) fn json_object(
    section: &mut Section<'_>,
    key: &str,
) -> Result<serde_json::Map<String, serde_json::Value>, ConfigError> {
    match section.raw(key) {
        None => Ok(serde_json::Map::new()),
        Some(node) => match to_json(node) {
            serde_json::Value::Object(map) => Ok(map),
            serde_json::Value::Null => Ok(serde_json::Map::new()),
            _ => Err(ConfigError::at(node, "a mapping is expected").in_field(key)),
        },
    }
}

/// A text that must be there.
pub(crate) fn needed(section: &mut Section<'_>, key: &str) -> Result<String, ConfigError> {
    let text: String = section.get(key)?;
    if text.is_empty() { Err(section.error(key, "missing")) } else { Ok(text) }
}

/// Text of any scalar: a number or boolean where a text is wanted is taken as it is written.
pub(crate) fn text_map(
    section: &mut Section<'_>,
    key: &str,
) -> Result<std::collections::BTreeMap<String, String>, ConfigError> {
    let Some(node) = section.raw(key).filter(|node| !node.is_null()) else { return Ok(Default::default()) };
    let Kind::Mapping(pairs) = &node.kind else {
        return Err(ConfigError::at(node, "a mapping is expected").in_field(key));
    };
    pairs
        .iter()
        .map(|(key, value)| {
            Ok((key.text.clone(), String::from_node(value).map_err(|e| e.placed(value).in_field(&key.text))?))
        })
        .collect()
}
