//! Limits of single tenants: the file of `runtime_config`, read again and again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kit::yaml::{self, ConfigError, Key, Kind, Node, Section};

use super::schema::Schema;
use super::values::Values;
use super::{Config, TenantLimits};

/// Limits by tenant.
pub type TenantOverrides = BTreeMap<String, Arc<TenantLimits>>;

/// The overrides in force.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Tenants with limits of their own.
    pub tenants: TenantOverrides,
    /// The tree, for the page that shows it.
    pub tree: Option<Node>,
}

impl Overrides {
    /// Reads the files, later ones on top of earlier ones. Blocking.
    ///
    /// # Errors
    /// When one cannot be read, has an unknown key or a value that cannot be used.
    pub fn load(files: &[PathBuf], config: &Config) -> Result<Self, ConfigError> {
        let mut merged: Vec<(String, Node)> = Vec::new();
        for file in files {
            for (tenant, limits) in read(file).map_err(|e| e.in_file(file))? {
                merged.retain(|(known, _)| *known != tenant);
                merged.push((tenant, limits));
            }
        }
        let mut tenants = TenantOverrides::new();
        let base = config.set.get("limits_config").cloned().unwrap_or_else(|| Node::new(Kind::Null));
        for (tenant, own) in &merged {
            let node = overlay(&base, own);
            let values = Values::new("limits_config", &node);
            let limits = TenantLimits::read(&values, tenant, &config.otlp_index_attributes);
            let limits = limits.map_err(|e| {
                let e = ConfigError { message: format!("invalid override for tenant {tenant}: {}", e.message), ..e };
                match files.last() {
                    Some(file) => e.in_file(file),
                    None => e,
                }
            })?;
            tenants.insert(tenant.clone(), Arc::new(limits));
        }
        let pair = |text: &str, node| (Key { line: 0, column: 0, text: text.to_owned() }, node);
        let tree = merged.into_iter().map(|(tenant, limits)| pair(&tenant, limits)).collect();
        let tree = Node::new(Kind::Mapping(vec![pair("overrides", Node::new(Kind::Mapping(tree)))]));
        Ok(Self { tenants, tree: Some(tree) })
    }
}

fn read(file: &Path) -> Result<Vec<(String, Node)>, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|e| ConfigError::plain(e.to_string()))?;
    let tree = yaml::parse(&text)?;
    let mut section = Section::new(&tree, "the runtime configuration")?;
    let mut found = Vec::new();
    if let Some(Kind::Mapping(tenants)) = section.raw("overrides").map(|node| &node.kind) {
        for (tenant, limits) in tenants {
            Schema::get().check("limits_config", limits).map_err(|e| e.in_field(&tenant.text))?;
            found.push((tenant.text.clone(), limits.clone()));
        }
    }
    // Logging switches of tenants and the choice of a key-value store: known, without effect here.
    section.raw("configs");
    section.raw("multi_kv_config");
    section.finish()?;
    Ok(found)
}

/// A mapping with the keys of `base`, those of `own` in place of or beside them.
fn overlay(base: &Node, own: &Node) -> Node {
    match (&base.kind, &own.kind) {
        (_, Kind::Null) => base.clone(),
        (Kind::Mapping(below), Kind::Mapping(above)) => {
            let mut pairs = below.clone();
            for (key, value) in above {
                match pairs.iter_mut().find(|(known, _)| known.text == key.text) {
                    Some((_, known)) => *known = value.clone(),
                    None => pairs.push((key.clone(), value.clone())),
                }
            }
            Node { line: own.line, column: own.column, kind: Kind::Mapping(pairs) }
        }
        _ => own.clone(),
    }
}
