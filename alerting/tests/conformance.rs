//! Rule files and unit test files as upstream judges them.
//!
//! The files lie in the folder named by `FOURSIGHT_CONFORMANCE`, else in `../shared/conformance` beside the workspace.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use foursight_alerting::rules::{Group, GroupOptions, RuleChecks, RuleFile, TemplateExpander};
use foursight_alerting::text::NameScheme;
use foursight_alerting::unit_test::{RunOptions, TestFile, TestHost, TestStore};
use foursight_alerting::{Evaluator, OutputSample, QueryError, Rejected, Sample, SampleValue};
use model::Labels;
use promql::promqltest::{MemorySource, SequenceValue, parse_values};
use promql::{Engine, EngineOptions, ParserOptions, QueryContext, TimeParams};

fn folder() -> Option<PathBuf> {
    let folder = match std::env::var_os("FOURSIGHT_CONFORMANCE") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"),
    };
    let folder = folder.join("config");
    if !folder.is_dir() {
        println!("conformance data is absent: set FOURSIGHT_CONFORMANCE");
        return None;
    }
    Some(folder)
}

fn cases(folder: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read(folder.join("expected.json")).expect("expected.json is there");
    serde_json::from_slice(&text).expect("expected.json is JSON")
}

/// Everything that is wrong with a rule file.
fn load(path: &Path, names: NameScheme) -> Result<RuleFile, Vec<String>> {
    let text = std::fs::read_to_string(path).expect("a rule file");
    let file: RuleFile = serde_saphyr::from_str(&text).map_err(|error| vec![error.to_string()])?;
    let parse = |expr: &str| canonical(expr).map(|_| ());
    let checks = RuleChecks { names, parse: &parse, expander: &TemplateExpander::new() };
    match file.validate(&checks) {
        Ok(()) => Ok(file),
        Err(errors) => Err(errors.iter().map(ToString::to_string).collect()),
    }
}

fn canonical(expr: &str) -> Result<String, String> {
    promql::parse(expr, &ParserOptions::default()).map(|expr| expr.to_string()).map_err(|error| error.to_string())
}

#[test]
fn rule_files() {
    let Some(folder) = folder() else { return };
    let mut seen = 0;
    for case in cases(&folder) {
        let Some(file) = case["file"].as_str().filter(|file| file.starts_with("rules/")) else { continue };
        seen += 1;
        let names = if case["name_validation"] == "legacy" { NameScheme::Legacy } else { NameScheme::Utf8 };
        let result = load(&folder.join(file), names);
        if case["load"] == "accept" {
            assert!(result.is_ok(), "{file}: {result:?}");
            continue;
        }
        let errors = result.expect_err(file);
        let want = case["error_contains"].as_str().expect("what upstream says");
        // What reads YAML has its own words for a field that is not known.
        let same =
            |error: &String| error.contains(want) || (want.contains("not found") && error.contains("unknown field"));
        assert!(errors.iter().any(same), "{file}: {errors:?} should say {want:?}");
    }
    assert!(seen >= 16, "{seen} rule files");
}

struct Host {
    rule_files: Vec<PathBuf>,
    engine: Engine,
}

struct Store {
    source: RefCell<MemorySource>,
    engine: Engine,
}

impl Evaluator for Store {
    fn query(&self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        let source = self.source.borrow();
        let output = self.engine.query(expr, &*source, TimeParams::Instant(at_ms), &QueryContext::default());
        output.and_then(|output| output.value.into_vector()).map_err(|error| QueryError::new(error.to_string()))
    }
}

impl TestStore for Store {
    fn append(&self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
        let mut source = self.source.borrow_mut();
        let mut rejected = Vec::new();
        for (index, sample) in samples.iter().enumerate() {
            let result = source.append_value(&sample.labels, sample.timestamp_ms, &sample.value);
            rejected.extend(result.err().map(|error| Rejected { index, message: error.to_string(), expected: true }));
        }
        Ok(rejected)
    }

    fn dump(&self, _start_ms: i64, end_ms: i64) -> Result<String, QueryError> {
        self.query("{__name__=~'.+'}", end_ms).map(|samples| format!("{samples:?}"))
    }
}

impl TestHost for Host {
    fn groups(&self, options: &GroupOptions) -> Result<Vec<Group>, Vec<String>> {
        let mut groups = Vec::new();
        for path in &self.rule_files {
            let name = path.display().to_string();
            for group in &load(path, NameScheme::Utf8)?.groups {
                groups.push(Group::new(&name, group, options, &canonical).map_err(|error| vec![error])?);
            }
        }
        Ok(groups)
    }

    fn store(&self, _evaluation_interval_ms: i64) -> Box<dyn TestStore + '_> {
        Box::new(Store { source: RefCell::new(MemorySource::new()), engine: self.engine })
    }

    fn parse_labels(&self, text: &str) -> Result<Labels, String> {
        promql::parse_metric(text).map_err(|error| error.to_string())
    }

    fn parse_values(&self, text: &str) -> Result<Vec<Option<SampleValue>>, String> {
        let values = parse_values(text).map_err(|error| error.to_string())?;
        Ok(values.into_iter().map(SequenceValue::into_sample).collect())
    }
}

/// What failed.
fn run(path: &Path, selected: &dyn Fn(&str) -> bool) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a test file");
    let file: TestFile = match serde_saphyr::from_str(&text) {
        Ok(file) => file,
        Err(error) => return vec![error.to_string()],
    };
    let dir = path.parent().expect("a folder");
    let rule_files = file.rule_files.iter().map(|name| dir.join(name)).collect();
    let host = Host { rule_files, engine: Engine::new(EngineOptions::default()) };
    match file.run(&host, RunOptions { selected, ..RunOptions::default() }) {
        Ok(reports) => reports.into_iter().flat_map(|report| report.failures).collect(),
        Err(error) => vec![error],
    }
}

#[test]
fn unit_test_files() {
    let Some(folder) = folder() else { return };
    let mut seen = 0;
    for case in cases(&folder) {
        let (Some(file), Some(verdict)) = (case["file"].as_str(), case["unit_test"].as_str()) else { continue };
        seen += 1;
        let failures = run(&folder.join(file), &|_| true);
        assert_eq!(failures.is_empty(), verdict == "pass", "{file}: {failures:#?}");
    }
    assert_eq!(seen, 15);
}

#[test]
fn groups_of_tests_by_name() {
    let Some(folder) = folder() else { return };
    for file in ["rules_run.yml", "rules_run_fuzzy.yml"] {
        let run = |part: &str| run(&folder.join("promtool").join(file), &|name| name.contains(part));
        assert!(run("correct").is_empty(), "{file}");
        assert!(!run("wrong").is_empty(), "{file}");
    }
}
