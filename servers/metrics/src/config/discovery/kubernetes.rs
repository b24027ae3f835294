//! What upstream demands of a `kubernetes_sd_configs` section.

use kit::client::HttpClientConfig;
use kit::yaml::{FromNode, Kind, Node, Section};

use super::kinds::Fields;

const ROLES: [&str; 6] = ["node", "service", "pod", "endpoints", "endpointslice", "ingress"];

pub(super) fn check(f: &Fields<'_>) -> Result<(), String> {
    let role = f.text("role");
    if role.is_empty() {
        return Err("role missing (one of: pod, service, endpoints, endpointslice, node, ingress)".to_owned());
    }
    if !ROLES.contains(&role.as_str()) {
        return Err(format!("unknown Kubernetes SD role {role:?}"));
    }
    let (api_server, kubeconfig) = (f.has("api_server"), f.has("kubeconfig_file"));
    if api_server && kubeconfig {
        return Err("cannot use 'kubeconfig_file' and 'api_server' simultaneously".to_owned());
    }
    if kubeconfig && *f.http != HttpClientConfig::default() {
        return Err("cannot use a custom HTTP client configuration together with 'kubeconfig_file'".to_owned());
    }
    if !api_server && *f.http != HttpClientConfig::default() {
        return Err("to use custom HTTP client configuration please provide the 'api_server' URL explicitly".to_owned());
    }
    let own_namespace = namespaces(f.node)?;
    if own_namespace && api_server {
        return Err("cannot use 'api_server' and 'namespaces.own_namespace' simultaneously".to_owned());
    }
    if own_namespace && kubeconfig {
        return Err("cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously".to_owned());
    }
    selectors(f, &role)?;
    if let Some(node) = f.node.get("attach_metadata") {
        known_fields(node, &["node", "namespace"])?;
    }
    Ok(())
}

fn known_fields(node: &Node, fields: &[&str]) -> Result<(), String> {
    let mut section = Section::new(node, "kubernetes.plain").map_err(|e| e.message)?;
    for field in fields {
        section.raw(field);
    }
    section.finish().map_err(|e| e.message)
}

/// Whether the own namespace is to be used.
fn namespaces(node: &Node) -> Result<bool, String> {
    let Some(namespaces) = node.get("namespaces") else { return Ok(false) };
    known_fields(namespaces, &["own_namespace", "names"])?;
    Ok(namespaces.get("own_namespace").is_some_and(|node| bool::from_node(node).unwrap_or(false)))
}

fn selectors(f: &Fields<'_>, role: &str) -> Result<(), String> {
    let allowed: &[&str] = match role {
        "pod" => &["pod", "node"],
        "service" => &["service"],
        "endpoints" => &["pod", "service", "endpoints"],
        "endpointslice" => &["pod", "service", "endpointslice"],
        "ingress" => &["ingress"],
        _ => &["node"],
    };
    let mut seen = Vec::new();
    for selector in f.items("selectors") {
        known_fields(selector, &["role", "label", "field"])?;
        let text = |key: &str| selector.get(key).and_then(|node| String::from_node(node).ok()).unwrap_or_default();
        let selected = text("role");
        if seen.contains(&selected) {
            return Err(format!("duplicated selector role: {selected}"));
        }
        if !allowed.contains(&selected.as_str()) {
            return Err(format!("{role} role supports only {} selectors", allowed.join(", ")));
        }
        check_field_selector(&text("field"))?;
        if let Some(Kind::Sequence(_) | Kind::Mapping(_)) = selector.get("label").map(|node| &node.kind) {
            return Err("a label selector has to be text".to_owned());
        }
        seen.push(selected);
    }
    Ok(())
}

/// `a=b,c!=d`: each term has an operator.
fn check_field_selector(selector: &str) -> Result<(), String> {
    for term in selector.split(',').filter(|term| !term.is_empty()) {
        if !term.contains('=') {
            return Err(format!("invalid selector: '{selector}'; can't understand '{term}'"));
        }
    }
    Ok(())
}
