//! The configuration as the status page shows it: what the file says, defaults filled in, secrets hidden.

use kit::yaml::{Key, Kind, Node, emit};

use super::Config;
use super::global::duration_text;

/// Fields whose value is a secret wherever they stand.
const SECRETS: [&str; 22] = [
    "password",
    "credentials",
    "client_secret",
    "client_certificate_key",
    "bearer_token",
    "secret_key",
    "token",
    "auth_token",
    "key_passphrase",
    "application_secret",
    "consumer_key",
    "application_credential_secret",
    "service_account_key",
    "private_key",
    "key",
    "secrets",
    "api_key",
    "slack_api_url",
    "proxy_connect_header",
    "license_key",
    "secret",
    "access_token",
];

pub(super) fn to_yaml(config: &Config) -> String {
    let mut tree = config.tree.clone().unwrap_or_else(|| Node::new(Kind::Mapping(Vec::new())));
    if tree.is_null() {
        tree = Node::new(Kind::Mapping(Vec::new()));
    }
    hide(&mut tree);
    let global = &config.global;
    let mut defaults = vec![
        ("scrape_interval", duration_text(global.scrape_interval_ms)),
        ("scrape_timeout", duration_text(global.scrape_timeout_ms)),
        ("evaluation_interval", duration_text(global.evaluation_interval_ms)),
    ];
    if global.rule_query_offset_ms != 0 {
        defaults.push(("rule_query_offset", duration_text(global.rule_query_offset_ms)));
    }
    let section = entry(&mut tree, "global", true);
    fill(section, &defaults);
    if let Kind::Mapping(pairs) = &mut tree.kind
        && let Some((_, Node { kind: Kind::Sequence(jobs), .. })) =
            pairs.iter_mut().find(|(key, _)| key.text == "scrape_configs")
    {
        for (node, job) in jobs.iter_mut().zip(&config.scrape_configs) {
            fill(
                node,
                &[
                    ("scrape_interval", duration_text(job.scrape_interval_ms)),
                    ("scrape_timeout", duration_text(job.scrape_timeout_ms)),
                    ("metrics_path", job.metrics_path.clone()),
                    ("scheme", job.scheme.clone()),
                ],
            );
        }
    }
    emit(&tree)
}

/// One job of the file as YAML.
pub(super) fn job_yaml(config: &Config, name: &str) -> Option<String> {
    let mut tree = config.tree.clone()?;
    hide(&mut tree);
    let Kind::Sequence(jobs) = &tree.get("scrape_configs")?.kind else { return None };
    let is_wanted = |node: &&Node| {
        node.get("job_name").is_some_and(|n| matches!(&n.kind, Kind::Scalar { text, .. } if text == name))
    };
    jobs.iter().find(is_wanted).map(emit)
}

fn entry<'a>(tree: &'a mut Node, key: &str, first: bool) -> &'a mut Node {
    if !matches!(tree.kind, Kind::Mapping(_)) {
        tree.kind = Kind::Mapping(Vec::new());
    }
    let Kind::Mapping(pairs) = &mut tree.kind else { unreachable!("it was made a mapping") };
    let at = match pairs.iter().position(|(k, _)| k.text == key) {
        Some(at) => at,
        None => {
            let at = if first { 0 } else { pairs.len() };
            pairs.insert(at, (Key { line: 0, column: 0, text: key.to_owned() }, Node::new(Kind::Mapping(Vec::new()))));
            at
        }
    };
    &mut pairs[at].1
}

fn fill(node: &mut Node, defaults: &[(&str, String)]) {
    if node.is_null() {
        node.kind = Kind::Mapping(Vec::new());
    }
    let Kind::Mapping(pairs) = &mut node.kind else { return };
    for (key, value) in defaults {
        match pairs.iter_mut().find(|(k, _)| k.text == *key) {
            Some((_, node)) if node.is_null() => *node = Node::plain(value.clone()),
            Some(_) => {}
            None => pairs.push((Key { line: 0, column: 0, text: (*key).to_owned() }, Node::plain(value.clone()))),
        }
    }
}

/// Replaces secrets by `<secret>`, also those within URLs.
fn hide(node: &mut Node) {
    match &mut node.kind {
        Kind::Mapping(pairs) => {
            for (key, value) in pairs {
                if SECRETS.contains(&key.text.as_str()) && !value.is_null() {
                    cover(value);
                } else {
                    hide(value);
                }
            }
        }
        Kind::Sequence(items) => items.iter_mut().for_each(hide),
        Kind::Scalar { text, .. } => {
            if let Some(hidden) = hide_userinfo(text) {
                *text = hidden;
            }
        }
        _ => {}
    }
}

fn cover(node: &mut Node) {
    match &mut node.kind {
        Kind::Mapping(pairs) => pairs.iter_mut().for_each(|(_, value)| cover(value)),
        Kind::Sequence(items) => items.iter_mut().for_each(cover),
        kind => *kind = Kind::Scalar { text: "<secret>".to_owned(), plain: true },
    }
}

/// `http://user:password@host` with the password hidden.
fn hide_userinfo(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (userinfo, _) = authority.rsplit_once('@')?;
    let (user, _) = userinfo.split_once(':')?;
    Some(format!("{scheme}://{user}:<secret>{}", &rest[userinfo.len()..]))
}
