use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;

fn compile(yaml: &str, scheme: NameScheme) -> Result<Rule, String> {
    let config: RelabelConfig = crate::config::parse(Path::new("rule.yml"), yaml).map_err(|e| e.to_string())?;
    config.compile(scheme)
}

#[test]
fn refuses_what_prometheus_refuses() {
    let cases = [
        ("{action: hashmod, target_label: x}", "hashmod requires non-zero modulus"),
        ("{action: replace}", "replace action requires 'target_label' value"),
        ("{action: ''}", "relabel action cannot be empty"),
        ("{action: nope}", "unknown relabel action \"nope\""),
        ("{action: lowercase, target_label: x, replacement: y}", "'replacement' can not be set for lowercase action"),
        ("{action: keepequal, target_label: x, regex: y}", "keepequal action requires only 'source_labels'"),
        ("{action: labeldrop, source_labels: [a]}", "labeldrop action requires only 'regex'"),
        ("{action: labelkeep, modulus: 8}", "labelkeep action requires only 'regex'"),
        ("{target_label: x, regex: '('}", "error parsing regexp"),
        ("{target_label: x, nope: 1}", "nope"),
    ];
    for (yaml, want) in cases {
        let error = compile(yaml, NameScheme::Utf8).unwrap_err();
        assert!(error.contains(want), "{yaml}: {error}");
    }
    for yaml in ["{target_label: 'a-b'}", "{target_label: '${}'}", "{action: labelmap, replacement: 'a-$1'}"] {
        assert!(compile(yaml, NameScheme::Legacy).unwrap_err().contains("is invalid"), "{yaml}");
    }
    assert!(compile("{target_label: 'a_${1}$name', action: Replace}", NameScheme::Legacy).is_ok());
}

#[test]
fn prints_what_it_reads() {
    let config =
        RelabelConfig { source_labels: vec!["a".into()], target_label: "b".into(), ..RelabelConfig::default() };
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(
        text,
        r#"{"source_labels":["a"],"separator":";","target_label":"b","regex":"(.*)","replacement":"$1","action":"replace"}"#
    );
    assert_eq!(serde_json::from_str::<RelabelConfig>(&text).unwrap(), config);
}

/// The recorded cases: found by `FOURSIGHT_CONFORMANCE`, else `../shared/conformance` beside the workspace; without the
/// data the test passes and says so.
#[test]
fn conformance() {
    let root = std::env::var_os("FOURSIGHT_CONFORMANCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(root.join("relabel.json")) else {
        eprintln!("no conformance data at {}: nothing is checked", root.display());
        return;
    };
    #[derive(Deserialize)]
    struct File {
        cases: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        id: String,
        kind: String,
        note: String,
        rules: Vec<RelabelConfig>,
        #[serde(rename = "in")]
        input: BTreeMap<String, String>,
        out: Option<BTreeMap<String, String>>,
        #[serde(default)]
        out_v3: Option<BTreeMap<String, String>>,
        #[serde(default)]
        error: Option<String>,
    }
    let file: File = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    let mut checked = 0;
    // Cases with an error are refused after relabelling, by the scraper's checks of a target.
    for case in file.cases.iter().filter(|case| case.error.is_none()) {
        checked += 1;
        let want = case.out_v3.as_ref().or(case.out.as_ref());
        let rules = compile_all(&case.rules, NameScheme::Utf8).unwrap_or_else(|e| panic!("{}: {e}", case.id));
        let mut got = process(&Labels::from_pairs(&case.input), &rules);
        if case.kind == "target" {
            got = got.map(|labels| {
                let mut target = labels.to_builder();
                target.retain(|name, _| !name.starts_with("__meta_"));
                if target.get("instance").is_none() {
                    let address = target.get("__address__").unwrap_or("").to_owned();
                    target.set("instance", &address);
                }
                target.build()
            });
        }
        let want = want.map(Labels::from_pairs);
        if got != want {
            wrong.push(format!("{} ({}): got {got:?}, want {want:?}", case.id, case.note));
        }
    }
    assert!(checked > 80);
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.join("\n"));
}
