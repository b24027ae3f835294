//! What is wrong with a rule file, with the places in its text.

use alerting::rules::{RuleChecks, RuleFile};
use kit::yaml::{ConfigError, Kind, Node};

/// Checks a rule file; `tree` is what it was read from.
///
/// # Errors
/// Everything that is wrong with it, with its place if there is a tree.
pub fn check(file: &RuleFile, tree: Option<&Node>, checks: &RuleChecks<'_>) -> Result<(), Vec<ConfigError>> {
    let Err(problems) = file.validate(checks) else { return Ok(()) };
    Err(problems
        .into_iter()
        .map(|problem| {
            let rule = problem.rule.as_ref().map(|(index, _)| *index);
            match tree.and_then(|tree| place(tree, problem.group_index, rule, problem.field)) {
                Some(node) => ConfigError::at(node, problem.to_string()),
                None => ConfigError::plain(problem.to_string()),
            }
        })
        .collect())
}

/// The node that a problem is about.
fn place<'a>(tree: &'a Node, group: usize, rule: Option<usize>, field: Option<&str>) -> Option<&'a Node> {
    let item = |node: &'a Node, key: &str, at: usize| match &node.get(key)?.kind {
        Kind::Sequence(items) => items.get(at),
        _ => None,
    };
    let group = item(tree, "groups", group)?;
    let node = rule.and_then(|rule| item(group, "rules", rule)).unwrap_or(group);
    Some(field.and_then(|field| node.get(field)).unwrap_or(node))
}

#[cfg(test)]
mod tests {
    use alerting::rules::TemplateExpander;
    use alerting::text::NameScheme;

    use super::*;

    #[test]
    fn problems_have_their_places() {
        let text = "groups:\n- name: a\n  rules:\n  - record: x\n    expr: bad\n  - {record: x, alert: y, expr: good}\n- rules: []\n";
        let tree = kit::yaml::parse(text).unwrap();
        let file: RuleFile = tree.deserialize().unwrap();
        let parse = |expr: &str| if expr == "bad" { Err("no".to_owned()) } else { Ok(()) };
        let checks = RuleChecks { names: NameScheme::Utf8, parse: &parse, expander: &TemplateExpander::new() };
        let said = |tree| -> Vec<String> {
            check(&file, tree, &checks).unwrap_err().iter().map(ToString::to_string).collect()
        };
        let placed = said(Some(&tree));
        let starts: Vec<&str> = placed.iter().map(|text| text.split(": ").next().unwrap()).collect();
        assert_eq!(starts, ["5:11", "6:14", "7:3"], "{placed:?}");
        assert!(said(None)[0].starts_with("group \"a\", rule 1"), "{:?}", said(None));
    }
}
