//! Configuration of the stack that `up` runs: written into the data directory at the first start, and the user's from then on.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Files and their places below the configuration directory.
const FILES: &[(&str, &str)] = &[
    ("prometheus.yml", include_str!("../defaults/prometheus.yml")),
    ("rules/recording.yml", include_str!("../defaults/rules/recording.yml")),
    ("loki.yaml", include_str!("../defaults/loki.yaml")),
    ("config.alloy", include_str!("../defaults/config.alloy")),
    ("grafana.ini", include_str!("../defaults/grafana.ini")),
    ("provisioning/datasources/foursight.yaml", include_str!("../defaults/provisioning/datasources/foursight.yaml")),
    ("provisioning/dashboards/foursight.yaml", include_str!("../defaults/provisioning/dashboards/foursight.yaml")),
    ("provisioning/alerting/rules.yaml", include_str!("../defaults/provisioning/alerting/rules.yaml")),
    ("provisioning/alerting/contact-points.yaml", include_str!("../defaults/provisioning/alerting/contact-points.yaml")),
    ("provisioning/alerting/policies.yaml", include_str!("../defaults/provisioning/alerting/policies.yaml")),
    ("dashboards/system.json", include_str!("../../dashboards/provisioning/dashboards/system.json")),
    ("dashboards/application.json", include_str!("../../dashboards/provisioning/dashboards/application.json")),
    ("dashboards/logs.json", include_str!("../../dashboards/provisioning/dashboards/logs.json")),
];

/// Writes the files that are not there yet, with `${NAME}` replaced where `values` has the name. Addresses belong to a start, not
/// to a file: files that hold them are kept as they are when the user changed them, and written anew otherwise.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write(dir: &Path, values: &BTreeMap<&str, String>) -> io::Result<()> {
    for (name, template) in FILES {
        let path = dir.join(name);
        let text = fill(template, values);
        let stamp = dir.join(".written").join(name);
        match std::fs::read_to_string(&path) {
            Ok(current) if current == text => continue,
            Ok(current) => {
                // Changed by the user since we wrote it: theirs.
                if std::fs::read_to_string(&stamp).ok().as_deref() != Some(current.as_str()) {
                    continue;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(io::Error::new(e.kind(), format!("{}: {e}", path.display()))),
        }
        for file in [&path, &stamp] {
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent)?;
            }
            kit::files::write_atomic(file, text.as_bytes()).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))?;
        }
    }
    Ok(())
}

/// Replaces `${NAME}` by its value; other dollar signs stay.
fn fill(template: &str, values: &BTreeMap<&str, String>) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(end) = rest.find('}') else { break };
        match values.get(&rest[2..end]) {
            Some(value) => out.push_str(value),
            None => out.push_str(&rest[..=end]),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_filled_in_and_a_users_changes_stay() {
        let dir = tempfile::tempdir().unwrap();
        let values = |port: &str| BTreeMap::from([("METRICS_ADDRESS", format!("127.0.0.1:{port}"))]);
        write(dir.path(), &values("1")).unwrap();
        let path = dir.path().join("prometheus.yml");
        assert!(std::fs::read_to_string(&path).unwrap().contains("127.0.0.1:1"));
        write(dir.path(), &values("2")).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("127.0.0.1:2"), "untouched files follow the addresses");
        std::fs::write(&path, "mine").unwrap();
        write(dir.path(), &values("3")).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(fill("${A} ${B} $C ${", &BTreeMap::from([("A", "x".to_owned())])), "x ${B} $C ${");
    }
}
