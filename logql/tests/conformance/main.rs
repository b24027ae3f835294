//! Replays requests that were answered by a reference Loki against the library and compares the answers.
//!
//! The data are found by the environment variable `FOURSIGHT_CONFORMANCE`, else in `../shared/conformance` beside the
//! workspace; without them the test passes and says so. `FOURSIGHT_CASES` names cases or groups to run alone.

mod answer;
mod compare;
mod dataset;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

/// Requests that only a server can answer.
const SERVER_ONLY: [&str; 2] = ["/ready", "/loki/api/v1/status/buildinfo"];

fn folder() -> Option<PathBuf> {
    let folder = match std::env::var_os("FOURSIGHT_CONFORMANCE") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"),
    };
    let folder = folder.join("logql");
    folder.is_dir().then_some(folder)
}

#[test]
fn answers_as_the_reference_does() {
    let Some(folder) = folder() else {
        println!("conformance data absent: nothing was compared");
        return;
    };
    let wanted: Vec<String> =
        std::env::var("FOURSIGHT_CASES").map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default();
    let cases = std::fs::read_to_string(folder.join("cases.jsonl")).expect("cases.jsonl");
    // Small units, so that merging and windows are exercised as well.
    for unit_entries in [1000, 7] {
        let logs = dataset::load(&folder.join("dataset.json.gz"), unit_entries);
        let mut groups: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let (mut passed, mut failed, mut skipped, mut texts) = (0, 0, 0, 0);
        for line in cases.lines().filter(|line| !line.trim().is_empty()) {
            let case: Value = serde_json::from_str(line).expect("a case");
            let (id, group) = (case["id"].as_str().unwrap(), case["group"].as_str().unwrap());
            if !wanted.is_empty() && !wanted.iter().any(|name| name == id || name == group) {
                continue;
            }
            let endpoint = case["endpoint"].as_str().unwrap();
            if SERVER_ONLY.contains(&endpoint) || case["status"] == 404 || case["compare"] == "stats_keys" {
                skipped += 1;
                continue;
            }
            let got = answer::answer(&logs, &case);
            let counts = groups.entry(group.to_owned()).or_default();
            counts.1 += 1;
            match compare::judge(&case, &got) {
                None => {
                    passed += 1;
                    counts.0 += 1;
                    if let (Err(error), Some(text), true) = (&got, case["error"].as_str(), case["error_varies"] != true)
                        && error.text.trim() != text.trim()
                    {
                        texts += 1;
                        println!("TEXT {id}: {:?}, expected {:?}", error.text, text);
                    }
                }
                Some(difference) => {
                    failed += 1;
                    println!("FAIL {id}: {difference}\n     {endpoint} {}", case["params"]);
                }
            }
        }
        for (group, (passed, all)) in &groups {
            println!("{group:24} {passed:4} of {all:4} passed");
        }
        println!("{passed} passed, {failed} failed, {skipped} left to the server, {texts} error texts differ");
        assert_eq!(failed, 0);
    }
}
