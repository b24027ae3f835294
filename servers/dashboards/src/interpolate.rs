//! References in configuration values: environment variables and files.
//!
//! Provisioning files use `$NAME`, `${NAME}`, `$__env{NAME}` and `$__file{PATH}`, with `$$` for a dollar sign
//! ([`provisioning_value`]); `grafana.ini` uses `${NAME}`, `$__env{NAME}` and `$__file{PATH}` ([`ini_value`]).

use std::sync::Arc;

use kit::yaml::{ConfigError, Kind, Node};

/// Looks an environment variable up. The process' own environment by default; a program that starts several servers gives
/// each its own.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The environment of the process.
pub(crate) fn process_env() -> Env {
    Arc::new(|name| std::env::var(name).ok())
}

/// Largest file that `$__file{}` may name.
const MAX_FILE_BYTES: u64 = 1 << 20;

fn file_value(path: &str) -> Result<String, String> {
    let path = path.trim();
    let len = std::fs::metadata(path).map_err(|e| format!("$__file{{{path}}}: {e}"))?.len();
    if len > MAX_FILE_BYTES {
        return Err(format!("$__file{{{path}}}: larger than {MAX_FILE_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| format!("$__file{{{path}}}: {e}"))?;
    Ok(text.trim().to_owned())
}

/// A value of the ini file. Other dollar signs stay as they are.
pub(crate) fn ini_value(text: &str, env: &Env) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let kinds = ["${", "$__env{", "$__file{"];
        let found = kinds.into_iter().find(|open| rest.starts_with(open));
        let body = found.and_then(|open| Some((open, &rest[open.len()..rest.find('}')?])));
        let Some((open, name)) = body else {
            out.push('$');
            rest = &rest[1..];
            continue;
        };
        match open {
            "$__file{" => out.push_str(&file_value(name)?),
            _ if name == "HOSTNAME" && env(name).is_none() => out.push_str(&host_name()),
            _ => out.push_str(&env(name).unwrap_or_default()),
        }
        rest = &rest[open.len() + name.len() + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// A value of a provisioning file.
pub(crate) fn provisioning_value(text: &str, env: &Env) -> Result<String, String> {
    if !text.contains('$') {
        return Ok(text.to_owned());
    }
    let mut parts = Vec::new();
    for part in text.split("$$") {
        let mut expanded = String::with_capacity(part.len());
        let mut rest = part;
        // The named kinds first; what they give is not looked at again.
        while let Some((at, open)) = ["$__env{", "$__file{"].iter().filter_map(|o| Some((rest.find(o)?, *o))).min() {
            let Some(len) = rest[at..].find('}') else { break };
            let name = &rest[at + open.len()..at + len];
            expanded.push_str(&kit::config::expand_env(&rest[..at], |name| env(name)));
            match open {
                "$__file{" => expanded.push_str(&file_value(name)?),
                _ => expanded.push_str(&env(name).unwrap_or_default()),
            }
            rest = &rest[at + len + 1..];
        }
        expanded.push_str(&kit::config::expand_env(rest, |name| env(name)));
        parts.push(expanded);
    }
    Ok(parts.join("$"))
}

/// Replaces references in every scalar of a tree, except below the paths that `keep` names (keys from the root, list items
/// left out).
///
/// # Errors
/// When a file cannot be read; the error has the scalar's place.
pub(crate) fn provisioning_tree(node: &mut Node, env: &Env, keep: &[&[&str]]) -> Result<(), ConfigError> {
    walk(node, env, keep, &mut Vec::new())
}

fn walk(node: &mut Node, env: &Env, keep: &[&[&str]], path: &mut Vec<String>) -> Result<(), ConfigError> {
    if keep.iter().any(|kept| kept.iter().eq(path.iter())) {
        return Ok(());
    }
    let place = Node { line: node.line, column: node.column, kind: Kind::Null };
    match &mut node.kind {
        Kind::Scalar { text, .. } => {
            if text.contains('$') {
                *text = provisioning_value(text, env).map_err(|message| ConfigError::at(&place, message))?;
            }
        }
        Kind::Sequence(items) => {
            for item in items {
                walk(item, env, keep, path)?;
            }
        }
        Kind::Mapping(pairs) => {
            for (key, value) in pairs {
                path.push(key.text.clone());
                walk(value, env, keep, path)?;
                path.pop();
            }
        }
        Kind::Null | Kind::Bytes(_) => {}
    }
    Ok(())
}

#[cfg(test)]
pub(crate) fn test_env(pairs: &'static [(&'static str, &'static str)]) -> Env {
    Arc::new(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_both_kinds() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, "s3cret$HOME\n").unwrap();
        let reference = format!("a-$__file{{{}}}", file.display());
        let env = test_env(&[("NAME", "x"), ("OTHER", "$NAME")]);
        let cases = [
            ("plain", "plain", "plain"),
            ("${NAME}", "x", "x"),
            ("$NAME", "$NAME", "x"),
            ("$__env{NAME}-y", "x-y", "x-y"),
            ("$$NAME", "$$NAME", "$NAME"),
            ("p$$word", "p$$word", "p$word"),
            ("${MISSING}!", "!", "!"),
            ("$__env{OTHER}", "$NAME", "$NAME"),
            ("${unclosed", "${unclosed", "unclosed"),
            ("5$", "5$", "5$"),
        ];
        for (text, ini, provisioning) in cases {
            assert_eq!(ini_value(text, &env).as_deref(), Ok(ini), "{text}");
            assert_eq!(provisioning_value(text, &env).as_deref(), Ok(provisioning), "{text}");
        }
        assert_eq!(ini_value(&reference, &env).as_deref(), Ok("a-s3cret$HOME"));
        assert_eq!(provisioning_value(&reference, &env).as_deref(), Ok("a-s3cret$HOME"));
        assert!(provisioning_value("$__file{/does/not/exist}", &env).unwrap_err().contains("/does/not/exist"));
    }

    #[test]
    fn trees_keep_what_they_are_told_to() {
        let text =
            "groups:\n  - name: $NAME\n    rules:\n      - annotations: {a: '$NAME'}\n        labels: {b: '$NAME'}\n";
        let mut node = kit::yaml::parse(text).unwrap();
        let env = test_env(&[("NAME", "x")]);
        provisioning_tree(&mut node, &env, &[&["groups", "rules", "annotations"]]).unwrap();
        let printed = kit::yaml::emit(&node);
        assert!(printed.contains("name: x") && printed.contains("b: x"), "{printed}");
        assert!(printed.contains("$NAME"), "{printed}");
    }
}
