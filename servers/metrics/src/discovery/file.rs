//! Target files: JSON or YAML lists of target groups. Changes are seen within seconds; a file that cannot be read keeps
//! what it said before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use kit::yaml::{ConfigError, FromNode};

use super::{Group, Provider};
use crate::config::discovery::{FileDiscovery, TargetGroup};
use crate::config::expand_glob;

/// Time between looks at the files' times and lengths.
const LOOK: Duration = Duration::from_secs(2);

type Stamp = (Option<SystemTime>, u64);

pub(super) async fn run(provider: Provider, config: FileDiscovery) {
    let refresh = Duration::from_millis(u64::try_from(config.refresh_interval_ms).unwrap_or(0)).max(LOOK);
    let mut known: BTreeMap<PathBuf, (Stamp, Vec<Group>)> = BTreeMap::new();
    let mut last_full: Option<Instant> = None;
    loop {
        let full = last_full.is_none_or(|at| at.elapsed() >= refresh);
        if full {
            last_full = Some(Instant::now());
        }
        let files = config.files.clone();
        let looked = tokio::task::spawn_blocking(move || look(&files)).await.unwrap_or_default();
        let begun = Instant::now();
        let mut next = BTreeMap::new();
        let mut changed = looked.len() != known.len();
        for (path, stamp) in looked {
            let before = known.remove(&path);
            match before {
                Some((old, groups)) if old == stamp && !full => {
                    next.insert(path, (old, groups));
                }
                before => {
                    changed = true;
                    match read(&path) {
                        Ok(groups) => {
                            next.insert(path, (stamp, groups));
                        }
                        Err(e) => {
                            provider.metrics().file_read_errors.inc();
                            tracing::error!(component = "discovery", job = provider.job, error = %e, "error reading a target file");
                            if let Some((_, groups)) = before {
                                next.insert(path, (stamp, groups));
                            }
                        }
                    }
                }
            }
        }
        known = next;
        if changed {
            provider.metrics().file_scan.observe(begun.elapsed().as_secs_f64());
            provider.found(known.values().flat_map(|(_, groups)| groups.clone()).collect());
        }
        if !provider.stop.sleep(LOOK).await {
            return;
        }
    }
}

fn look(patterns: &[PathBuf]) -> Vec<(PathBuf, Stamp)> {
    let mut files: Vec<(PathBuf, Stamp)> = patterns
        .iter()
        .flat_map(|pattern| expand_glob(pattern))
        .filter_map(|path| {
            let meta = std::fs::metadata(&path).ok()?;
            Some((path, (meta.modified().ok(), meta.len())))
        })
        .collect();
    files.sort();
    files.dedup();
    files
}

/// Reads a target file.
///
/// # Errors
/// What is no list of groups, with the place.
pub fn read(path: &Path) -> Result<Vec<Group>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError::plain(e.to_string()).in_file(path))?;
    // JSON is read as YAML, of which it is a part.
    let node = kit::yaml::parse(&text).map_err(|e| e.in_file(path))?;
    let groups = Vec::<TargetGroup>::from_node(&node).map_err(|e| e.in_file(path))?;
    let file = path.display().to_string();
    Ok(groups
        .into_iter()
        .enumerate()
        .map(|(at, group)| Group {
            source: format!("{file}:{at}"),
            targets: group
                .targets
                .iter()
                .map(|target| {
                    let mut labels = group.labels.to_builder();
                    labels.set("__address__", target).set("__meta_filepath", &file);
                    labels.build()
                })
                .collect(),
        })
        .collect())
}
