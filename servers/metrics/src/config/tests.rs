//! Configuration files that upstream's tests use, with upstream's verdicts.

use std::path::Path;

use super::*;

#[test]
fn upstreams_files_get_upstreams_verdicts() {
    let Some(dir) = conformance_dir() else { return };
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("expected.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for case in expected.as_array().unwrap() {
        let file = case["file"].as_str().unwrap();
        // Target files and rule files are judged by their own readers.
        if !file.starts_with("prometheus/") || file.ends_with("static_config.bad.yml") {
            continue;
        }
        for (agent, verdict, text) in [(false, "load", "error_contains"), (true, "agent_mode", "agent_error_contains")]
        {
            let Some(verdict) = case[verdict].as_str() else { continue };
            let result = Config::load(&dir.join(file), LoadOptions { agent, ..Default::default() });
            match (verdict, result) {
                ("accept", Err(e)) => wrong.push(format!("{file}: refused: {e}")),
                ("refuse", Ok(_)) => wrong.push(format!("{file}: accepted, should fail with: {}", case[text])),
                ("refuse", Err(e)) => {
                    let said = e.to_string();
                    let want = case[text].as_str().unwrap_or("");
                    // The reason has to be the same; where the wording is ours, it is listed here.
                    let ours = [
                        ("\"\\xff\" is not a valid label name", "\"\\xff\" is not valid UTF-8"),
                        ("unmarshal errors", "cannot read a list as a string"),
                        ("parsing YAML file ", ""),
                        ("field scrape_configs already set in type", "field scrape_configs already set"),
                    ];
                    let same = said.contains(want)
                        || ours.iter().any(|(theirs, mine)| {
                            want.starts_with(theirs)
                                && said.contains(mine)
                                && (!mine.is_empty() || want.split(": ").last().is_some_and(|end| said.contains(end)))
                        });
                    if !same {
                        wrong.push(format!("{file}: {said}\n    should say: {want}"));
                    }
                }
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{} files judged differently:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_shown_loads_again_and_hides_secrets() {
    let Some(dir) = conformance_dir() else { return };
    for file in ["prometheus/roundtrip.good.yml", "prometheus/conf.good.yml"] {
        let config = Config::load(&dir.join(file), LoadOptions::default()).unwrap();
        let shown = config.to_yaml();
        let again = Config::parse(&shown, &dir.join("prometheus"), LoadOptions::default())
            .unwrap_or_else(|e| panic!("{file}: {e}\n{shown}"));
        assert_eq!(again.to_yaml(), shown);
        for secret in ["mysecret", "testAppSecret", "mypass"] {
            assert!(!shown.contains(secret), "{file} shows {secret}");
        }
    }
}

#[test]
fn defaults_follow_upstream() {
    let config = Config::parse(
        "scrape_configs:\n- job_name: a\n- job_name: b\n  scrape_interval: 5s\n",
        Path::new(""),
        LoadOptions::default(),
    )
    .unwrap();
    let [a, b] = &config.scrape_configs[..] else { panic!("two jobs") };
    assert_eq!((a.scrape_interval_ms, a.scrape_timeout_ms), (60_000, 10_000));
    assert_eq!((b.scrape_interval_ms, b.scrape_timeout_ms), (5_000, 5_000));
    assert_eq!((a.metrics_path.as_str(), a.scheme.as_str()), ("/metrics", "http"));
    assert!(a.honor_timestamps && a.enable_compression && !a.honor_labels);
    assert!(Config::parse("", Path::new(""), LoadOptions::default()).unwrap().scrape_configs.is_empty());
    assert_eq!(
        Config::parse("global:\n", Path::new(""), LoadOptions::default()).unwrap().global,
        GlobalConfig::default()
    );
}

#[test]
fn globs_match_as_a_shell_does() {
    let cases = [
        ("*.yml", "a.yml", true),
        ("*.yml", "a.yaml", false),
        ("a?c", "abc", true),
        ("[a-c]x", "bx", true),
        ("[^a-c]x", "bx", false),
        ("a\\*", "a*", true),
        ("a\\*", "ab", false),
        ("*", "", true),
    ];
    for (pattern, name, want) in cases {
        assert_eq!(glob_matches(pattern, name), want, "{pattern} {name}");
    }
    assert!(check_glob("my/*/rule").is_err());
    assert!(check_glob("my/rule*").is_ok());
}
