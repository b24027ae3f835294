use std::path::PathBuf;

use super::*;

/// The files lie in the folder named by `FOURSIGHT_CONFORMANCE`, else in `../shared/conformance` beside the workspace.
fn conformance() -> Option<PathBuf> {
    let folder = match std::env::var_os("FOURSIGHT_CONFORMANCE") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
    };
    let folder = folder.join("config");
    if !folder.is_dir() {
        println!("conformance data is absent: set FOURSIGHT_CONFORMANCE");
        return None;
    }
    Some(folder)
}

#[test]
fn upstreams_unit_tests_get_upstreams_verdicts() {
    let Some(dir) = conformance() else { return };
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("expected.json")).unwrap()).unwrap();
    let mut seen = 0;
    for case in expected.as_array().unwrap() {
        let (Some(file), Some(verdict)) = (case["file"].as_str(), case["unit_test"].as_str()) else { continue };
        seen += 1;
        let run = |options: Options| {
            let report = run_file(&dir.join(file), &options);
            let failures: Vec<String> = report.failures().map(str::to_owned).collect();
            (report.passed(), failures)
        };
        let (passed, failures) = run(Options::default());
        assert_eq!(passed, verdict == "pass", "{file}: {failures:#?}");
        if verdict.starts_with("pass with unknown fields ignored") {
            let (passed, failures) = run(Options { ignore_unknown: true, ..Options::default() });
            assert!(passed, "{file}: {failures:#?}");
        }
    }
    assert_eq!(seen, 15);
}

#[test]
fn groups_are_chosen_by_name() {
    let Some(dir) = conformance() else { return };
    let run = |pattern: &str| {
        let options = Options { run: vec![Regex::new(pattern).unwrap()], ..Options::default() };
        run_file(&dir.join("promtool/rules_run.yml"), &options)
    };
    let correct = run("correct");
    assert!(correct.passed() && correct.cases.len() == 1);
    assert!(!run("wrong").passed());
}

#[test]
fn differences_name_the_place_and_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.yml");
    let text = "tests:\n- name: mine\n  input_series:\n  - {series: 'a{x=\"1\"}', values: 1 2 3}\n  promql_expr_test:\n  - expr: a\n    eval_time: 2m\n    exp_samples:\n    - {labels: 'a{x=\"1\"}', value: 4}\n";
    std::fs::write(&path, text).unwrap();
    let report = run_file(&path, &Options::default());
    assert_eq!(report.cases[0].name, "mine");
    assert_eq!(
        report.cases[0].failures,
        [
            "    expr: \"a\", time: 2m,\n        exp: {__name__=\"a\", x=\"1\"} 4E+00\n        got: {__name__=\"a\", x=\"1\"} 3E+00"
        ]
    );
}

#[test]
fn a_file_without_anything_passes_and_nulls_are_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.yml");
    for text in [
        "",
        "tests:\n",
        "rule_files:\ntests:\n-\n",
        "tests:\n- promql_expr_test:\n  - {expr: vector(0), exp_samples: [null]}\n",
    ] {
        std::fs::write(&path, text).unwrap();
        let report = run_file(&path, &Options::default());
        assert!(report.passed(), "{text}: {report:?}");
    }
}

#[test]
fn reports_are_well_formed() {
    let report = FileReport {
        cases: vec![
            CaseReport { name: "good".into(), failures: Vec::new() },
            CaseReport { name: "a<b".into(), failures: vec!["exp: \"x\"\ngot: y".into()] },
        ],
        error: None,
    };
    let text = junit(&[("f.yml", report)]);
    assert!(text.contains("<testsuite name=\"f.yml\" tests=\"2\" failures=\"1\" errors=\"0\">"), "{text}");
    assert!(text.contains("<failure message=\"exp: &quot;x&quot;&#10;got: y\"/>") && text.contains("a&lt;b"), "{text}");
}
