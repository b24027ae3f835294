//! Rule files: reading, checking, and errors that name file, line, group and rule.

use std::path::{Path, PathBuf};

use alerting::rules::{Group, GroupOptions, RuleChecks, RuleFile, TemplateExpander};
use kit::yaml::{self, ConfigError, Kind, Node};
use promql::ParserOptions;

use crate::config::{NameValidation, expand_glob};

/// How rule files are judged.
#[derive(Clone, Copy)]
pub struct RuleOptions<'a> {
    /// Reads an expression and gives its canonical form.
    pub canonical: &'a dyn Fn(&str) -> Result<String, String>,
    /// Which names are valid.
    pub validation: NameValidation,
    /// Unknown fields are let be.
    pub ignore_unknown: bool,
}

/// Reads expressions as PromQL.
pub fn promql(parser: ParserOptions) -> impl Fn(&str) -> Result<String, String> {
    move |expr| promql::parse(expr, &parser).map(|expr| expr.to_string()).map_err(|e| e.to_string())
}

/// What groups are made with beside their files.
pub struct GroupSettings<'a> {
    /// Patterns of rule files.
    pub patterns: &'a [PathBuf],
    /// How files are judged.
    pub rules: RuleOptions<'a>,
    /// Defaults of groups.
    pub groups: GroupOptions,
}

/// Reads the groups of all rule files.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn load_groups(settings: &GroupSettings<'_>) -> Result<Vec<Group>, Vec<ConfigError>> {
    let mut groups = Vec::new();
    let mut errors = Vec::new();
    for path in expand(settings.patterns) {
        match load(&path, settings.rules) {
            Ok(file) => {
                let name = path.display().to_string();
                for group in &file.groups {
                    match Group::new(&name, group, &settings.groups, settings.rules.canonical) {
                        Ok(group) => groups.push(group),
                        Err(e) => errors.push(ConfigError::plain(e).in_file(&path)),
                    }
                }
            }
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() { Ok(groups) } else { Err(errors) }
}

/// Reads and checks a rule file.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn load(path: &Path, options: RuleOptions<'_>) -> Result<RuleFile, Vec<ConfigError>> {
    let text = std::fs::read_to_string(path).map_err(|e| vec![ConfigError::plain(e.to_string()).in_file(path)])?;
    parse(&text, options).map_err(|errors| errors.into_iter().map(|e| e.in_file(path)).collect())
}

/// As [`load`], for text.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, options: RuleOptions<'_>) -> Result<RuleFile, Vec<ConfigError>> {
    let mut tree = yaml::parse(text).map_err(|e| vec![e])?;
    if options.ignore_unknown {
        drop_unknown(&mut tree);
    }
    let file: RuleFile = tree.deserialize().map_err(|e| vec![e])?;
    let names = match options.validation {
        NameValidation::Utf8 => alerting::text::NameScheme::Utf8,
        NameValidation::Legacy => alerting::text::NameScheme::Legacy,
    };
    let parse = |expr: &str| (options.canonical)(expr).map(|_| ());
    let checks = RuleChecks { names, parse: &parse, expander: &TemplateExpander::new() };
    ruler::check::check(&file, Some(&tree), &checks).map(|()| file)
}

fn drop_unknown(tree: &mut Node) {
    fn keep(node: &mut Node, keys: &[&str]) {
        if let Kind::Mapping(pairs) = &mut node.kind {
            pairs.retain(|(key, _)| keys.contains(&key.text.as_str()));
        }
    }
    fn each(node: &mut Node, key: &str, mut work: impl FnMut(&mut Node)) {
        if let Kind::Mapping(pairs) = &mut node.kind
            && let Some((_, Node { kind: Kind::Sequence(items), .. })) = pairs.iter_mut().find(|(k, _)| k.text == key)
        {
            items.iter_mut().for_each(&mut work);
        }
    }
    keep(tree, &["groups"]);
    each(tree, "groups", |group| {
        keep(group, &["name", "interval", "query_offset", "limit", "rules", "labels"]);
        each(group, "rules", |rule| {
            keep(rule, &["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"]);
        });
    });
}

/// Files that the patterns of a configuration name, in their order, none twice.
pub fn expand(patterns: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for file in patterns.iter().flat_map(|pattern| expand_glob(pattern)) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(validation: NameValidation) -> RuleOptions<'static> {
        let canonical = &|expr: &str| promql(ParserOptions::default())(expr);
        RuleOptions { canonical, validation, ignore_unknown: false }
    }

    #[test]
    fn upstreams_files_get_upstreams_verdicts() {
        let Some(dir) = crate::config::conformance_dir() else { return };
        let expected: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.join("expected.json")).unwrap()).unwrap();
        let mut seen = 0;
        for case in expected.as_array().unwrap() {
            let Some(file) = case["file"].as_str().filter(|file| file.starts_with("rules/")) else { continue };
            seen += 1;
            let validation =
                if case["name_validation"] == "legacy" { NameValidation::Legacy } else { NameValidation::Utf8 };
            let result = load(&dir.join(file), options(validation));
            match case["load"].as_str() {
                Some("accept") => assert!(result.is_ok(), "{file}: {result:?}"),
                _ => {
                    let said: Vec<String> = result.unwrap_err().iter().map(ToString::to_string).collect();
                    let want = case["error_contains"].as_str().unwrap();
                    assert!(said.iter().any(|text| text.contains(want)), "{file}: {said:?} should say {want:?}");
                }
            }
        }
        assert!(seen >= 16);
    }

    #[test]
    fn errors_name_line_group_and_rule() {
        let text = "groups:\n- name: a\n  rules:\n  - record: x\n    expr: sum(\n";
        let errors = parse(text, options(NameValidation::Utf8)).unwrap_err();
        assert!(
            errors[0]
                .to_string()
                .starts_with("5:11: group \"a\", rule 1, \"x\": could not parse expression: 1:5: parse error:"),
            "{}",
            errors[0]
        );
    }

    #[test]
    fn unknown_fields_can_be_ignored() {
        let text = "groups:\n- name: a\n  owner: me\n  rules:\n  - {record: x, expr: '1', team: b}\n";
        assert!(parse(text, options(NameValidation::Utf8)).is_err());
        assert!(parse(text, RuleOptions { ignore_unknown: true, ..options(NameValidation::Utf8) }).is_ok());
    }
}
