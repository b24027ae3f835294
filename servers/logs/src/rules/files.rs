//! Rule files: `<directory>/<tenant>/<namespace>`, each a list of groups as Prometheus writes them, with LogQL expressions.
//!
//! The API reads and changes the same files. Names of namespaces become file names: what a path could misread is written
//! in percents.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alerting::rules::{RuleChecks, RuleFile, RuleGroup, TemplateExpander};
use alerting::text::NameScheme;
use kit::percent;
use kit::yaml::{self, ConfigError, Key, Kind, Node};

use crate::tenants::check_name;

/// Groups by namespace.
pub(crate) type Namespaces = BTreeMap<String, Vec<RuleGroup>>;

/// Longest rule file that is read.
const MAX_FILE: u64 = 16 << 20;

/// The files of all tenants.
#[derive(Debug)]
pub(crate) struct RuleFiles {
    dir: PathBuf,
}

/// Rules could not be changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("group does not exist")]
    NoGroup,
    #[error("{0}")]
    Invalid(String),
    #[error("cannot change the rule file {0}: {1}")]
    Io(PathBuf, std::io::Error),
}

impl RuleFiles {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Tenants that have a directory.
    pub(crate) fn tenants(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return Vec::new() };
        let dirs = entries.flatten().filter(|entry| entry.path().is_dir());
        let mut names: Vec<String> = dirs.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| check_name(name).is_ok());
        names.sort();
        names
    }

    /// Reads and checks all files of a tenant.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub(crate) fn load(&self, tenant: &str) -> Result<Namespaces, Vec<ConfigError>> {
        let dir = self.dir.join(tenant);
        let (mut found, mut errors) = (Namespaces::new(), Vec::new());
        for (name, path) in rule_files(&dir) {
            match read(&path) {
                Ok(file) => {
                    found.insert(decode(&name), file.groups);
                }
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() { Ok(found) } else { Err(errors) }
    }

    /// Puts a group into a namespace, in the place of the one of its name.
    pub(crate) fn set(&self, tenant: &str, namespace: &str, group: RuleGroup) -> Result<(), FileError> {
        let mut groups = self.groups(tenant, namespace)?;
        match groups.iter_mut().find(|known| known.name == group.name) {
            Some(known) => *known = group,
            None => groups.push(group),
        }
        self.write(tenant, namespace, groups)
    }

    /// Removes a group.
    pub(crate) fn remove(&self, tenant: &str, namespace: &str, group: &str) -> Result<(), FileError> {
        let mut groups = self.groups(tenant, namespace)?;
        let before = groups.len();
        groups.retain(|known| known.name != group);
        if groups.len() == before {
            return Err(FileError::NoGroup);
        }
        if groups.is_empty() {
            return self.remove_namespace(tenant, namespace);
        }
        self.write(tenant, namespace, groups)
    }

    /// Removes a namespace with all its groups.
    pub(crate) fn remove_namespace(&self, tenant: &str, namespace: &str) -> Result<(), FileError> {
        let path = self.path(tenant, namespace);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(FileError::NoGroup),
            Err(e) => Err(FileError::Io(path, e)),
        }
    }

    fn groups(&self, tenant: &str, namespace: &str) -> Result<Vec<RuleGroup>, FileError> {
        let path = self.path(tenant, namespace);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let first = |errors: Vec<ConfigError>| errors.first().map(ToString::to_string).unwrap_or_default();
        read(&path).map(|file| file.groups).map_err(|errors| FileError::Invalid(first(errors)))
    }

    fn write(&self, tenant: &str, namespace: &str, groups: Vec<RuleGroup>) -> Result<(), FileError> {
        let path = self.path(tenant, namespace);
        let io = |e: std::io::Error| FileError::Io(path.clone(), e);
        std::fs::create_dir_all(self.dir.join(tenant)).map_err(io)?;
        let tree = node_of(&RuleFile { groups }).map_err(|e| io(std::io::Error::other(e)))?;
        kit::files::write_atomic(&path, yaml::emit(&tree).as_bytes()).map_err(io)
    }

    /// The file of a namespace: the one that is there, as people may have named it, or the one to make.
    fn path(&self, tenant: &str, namespace: &str) -> PathBuf {
        let dir = self.dir.join(tenant);
        let own = dir.join(encode(namespace));
        if own.exists() {
            return own;
        }
        rule_files(&dir).find(|(name, _)| decode(name) == namespace).map_or(own, |(_, path)| path)
    }
}

/// Names and paths of the rule files of a directory; a mounted one has links and hidden files beside them.
fn rule_files(dir: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let (name, path) = (entry.file_name().into_string().ok()?, entry.path());
        (!name.starts_with('.') && !name.ends_with(".tmp") && path.is_file()).then_some((name, path))
    })
}

fn read(path: &Path) -> Result<RuleFile, Vec<ConfigError>> {
    let failed = |e: std::io::Error| vec![ConfigError::plain(e.to_string()).in_file(path)];
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_FILE {
        return Err(vec![ConfigError::plain(format!("a rule file may have at most {MAX_FILE} bytes")).in_file(path)]);
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    parse(&text).map_err(|errors| errors.into_iter().map(|e| e.in_file(path)).collect())
}

/// Reads and checks the text of a rule file.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub(crate) fn parse(text: &str) -> Result<RuleFile, Vec<ConfigError>> {
    let mut tree = yaml::parse(text).map_err(|e| vec![e])?;
    // The name of a namespace is that of the file; tools write it into the file too.
    forget(&mut tree, "namespace");
    if let Kind::Mapping(pairs) = &mut tree.kind
        && let Some((_, Node { kind: Kind::Sequence(groups), .. })) =
            pairs.iter_mut().find(|(key, _)| key.text == "groups")
    {
        groups.iter_mut().for_each(|group| forget(group, "remote_write"));
    }
    let file: RuleFile = tree.deserialize().map_err(|e| vec![e])?;
    check(&file, Some(&tree)).map(|()| file)
}

/// Reads and checks the text of one group.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_group(text: &str) -> Result<RuleGroup, String> {
    let mut tree = yaml::parse(text).map_err(|e| e.to_string())?;
    forget(&mut tree, "remote_write");
    let group: RuleGroup = tree.deserialize().map_err(|e| e.to_string())?;
    let file = RuleFile { groups: vec![group.clone()] };
    let told = |errors: Vec<ConfigError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    check(&file, None).map(|()| group).map_err(told)
}

fn forget(node: &mut Node, key: &str) {
    if let Kind::Mapping(pairs) = &mut node.kind {
        pairs.retain(|(known, _)| known.text != key);
    }
}

fn check(file: &RuleFile, tree: Option<&Node>) -> Result<(), Vec<ConfigError>> {
    let parse = |expr: &str| canonical(expr).map(|_| ());
    let checks = RuleChecks { names: NameScheme::Utf8, parse: &parse, expander: &TemplateExpander::new() };
    ruler::check::check(file, tree, &checks)
}

/// An expression in its usual form.
///
/// # Errors
/// The parser's.
pub(crate) fn canonical(expr: &str) -> Result<String, String> {
    logql::parse(expr, logql::ParseOptions::default()).map(|expr| expr.to_string()).map_err(|e| e.to_string())
}

/// Something that can be JSON as a YAML tree.
pub(crate) fn node_of(value: &impl serde::Serialize) -> Result<Node, serde_json::Error> {
    serde_json::to_value(value).map(|value| node(&value))
}

fn node(value: &serde_json::Value) -> Node {
    use serde_json::Value;
    match value {
        Value::Null => Node::new(Kind::Null),
        Value::Bool(_) | Value::Number(_) => Node::plain(value.to_string()),
        Value::String(text) => Node::text(text),
        Value::Array(items) => Node::new(Kind::Sequence(items.iter().map(node).collect())),
        Value::Object(pairs) => {
            let key = |text: &String| Key { line: 0, column: 0, text: text.clone() };
            Node::new(Kind::Mapping(pairs.iter().map(|(name, value)| (key(name), node(value))).collect()))
        }
    }
}

/// A file name for a namespace; none that [`RuleFiles::load`] passes over.
fn encode(namespace: &str) -> String {
    let name = percent::encode(namespace);
    let name = name.strip_suffix(".tmp").map_or_else(|| name.clone(), |rest| format!("{rest}%2Etmp"));
    name.strip_prefix('.').map_or_else(|| name.clone(), |rest| format!("%2E{rest}"))
}

/// The namespace of a file name.
fn decode(name: &str) -> String {
    String::from_utf8(percent::decode_bytes(name)).unwrap_or_else(|_| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_file_names_and_back() {
        for name in ["rules.yaml", "a/b", "..", ".hidden", "100%", "team a", "é", "a%2Fb", "a.tmp", ".tmp"] {
            let file = encode(name);
            assert!(!file.contains('/') && !file.starts_with('.') && !file.ends_with(".tmp"), "{file}");
            assert_eq!(decode(&file), name);
        }
        assert_eq!(encode("rules.yaml"), "rules.yaml");
    }

    #[test]
    fn files_are_checked_with_their_places() {
        let good = "namespace: x\ngroups:\n- name: a\n  limit: 5\n  remote_write: [{url: 'http://x'}]\n  rules:\n  - record: r\n    expr: sum(rate({a=\"b\"}[1m]))\n  - alert: B\n    expr: rate({a=\"b\"}[1m]) > 1\n    for: 5m\n    annotations: {summary: '{{ $labels.x }}'}\n";
        assert_eq!(parse(good).unwrap().groups[0].rules.len(), 2);
        let cases = [
            ("groups:\n- name: a\n  rules:\n  - record: x\n    expr: sum(\n", "4:11: ", "could not parse expression: "),
            (
                "groups:\n- name: a\n  rules:\n  - record: x\n    alert: y\n    expr: '1'\n",
                "4:",
                "only one of 'record' and 'alert' must be set",
            ),
            ("groups:\n- nme: a\n", "2:3: ", "nme"),
        ];
        for (text, place, want) in cases {
            let error = parse(text).unwrap_err()[0].to_string();
            assert!(error.contains(want), "{error}");
            if !place.is_empty() {
                assert!(error.contains(place.trim_end_matches(": ")) || error.starts_with('5'), "{error}");
            }
        }
    }

    #[test]
    fn files_keep_the_names_that_people_gave_them() {
        let dir = tempfile::tempdir().unwrap();
        let files = RuleFiles::new(dir.path().to_owned());
        let path = dir.path().join("t").join("team a (1)");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "groups: [{name: g, rules: []}]\n").unwrap();
        files.set("t", "team a (1)", parse_group("name: h\nrules: []\n").unwrap()).unwrap();
        assert_eq!(files.load("t").unwrap()["team a (1)"].len(), 2);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        files.remove_namespace("t", "team a (1)").unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn groups_come_back_as_they_were_put() {
        let dir = tempfile::tempdir().unwrap();
        let files = RuleFiles::new(dir.path().to_owned());
        assert!(files.tenants().is_empty() && files.load("t").unwrap().is_empty());
        let group =
            parse_group("name: g\ninterval: 1m\nrules: [{record: a, expr: 'vector(1)', labels: {x: 'y: z'}}]\n")
                .unwrap();
        files.set("t", "ns/1", group.clone()).unwrap();
        files.set("t", "ns/1", RuleGroup { name: "h".into(), ..group.clone() }).unwrap();
        assert_eq!(files.tenants(), ["t"]);
        let loaded = files.load("t").unwrap();
        assert_eq!(loaded["ns/1"], [group.clone(), RuleGroup { name: "h".into(), ..group }]);
        files.remove("t", "ns/1", "g").unwrap();
        assert!(matches!(files.remove("t", "ns/1", "g"), Err(FileError::NoGroup)));
        files.remove("t", "ns/1", "h").unwrap();
        assert!(files.load("t").unwrap().is_empty());
        assert!(parse_group("name: g\nrules: [{expr: '1'}]\n").is_err());
    }
}
