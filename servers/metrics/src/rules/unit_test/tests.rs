use super::*;

#[test]
fn upstreams_unit_tests_get_upstreams_verdicts() {
    let Some(dir) = crate::config::conformance_dir() else { return };
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("expected.json")).unwrap()).unwrap();
    let mut seen = 0;
    for case in expected.as_array().unwrap() {
        let (Some(file), Some(verdict)) = (case["file"].as_str(), case["unit_test"].as_str()) else { continue };
        seen += 1;
        let run = |options: UnitTestOptions| {
            let report = run_file(&dir.join(file), &options);
            let failures: Vec<String> = report.failures().map(str::to_owned).collect();
            (report.passed(), failures)
        };
        let (passed, failures) = run(UnitTestOptions::default());
        assert_eq!(passed, verdict == "pass", "{file}: {failures:#?}");
        if verdict.starts_with("pass with unknown fields ignored") {
            let (passed, failures) = run(UnitTestOptions { ignore_unknown: true, ..UnitTestOptions::default() });
            assert!(passed, "{file}: {failures:#?}");
        }
    }
    assert_eq!(seen, 15);
}

#[test]
fn groups_are_chosen_by_name() {
    let Some(dir) = crate::config::conformance_dir() else { return };
    let run = |pattern: &str| {
        let options = UnitTestOptions { run: vec![Regex::new(pattern).unwrap()], ..UnitTestOptions::default() };
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
    let report = run_file(&path, &UnitTestOptions::default());
    let said = report.cases[0].failures.join("\n");
    assert_eq!(report.cases[0].name, "mine");
    for part in ["expr: \"a\", time: 2m", "exp: a{x=\"1\"} 4", "got: a{x=\"1\"} 3"] {
        assert!(said.contains(part), "{said} should say {part}");
    }
    let report = run_file(&path, &UnitTestOptions { diff: true, ..UnitTestOptions::default() });
    let said = report.cases[0].failures.join("\n");
    assert!(said.contains("-a{x=\"1\"} 4") && said.contains("+a{x=\"1\"} 3"), "{said}");
}
