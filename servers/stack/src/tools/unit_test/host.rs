//! What unit tests of rules need of the world: the file, rule files, PromQL over a store in memory.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use alerting::rules::{Group, GroupOptions};
use alerting::unit_test::{TestFile, TestHost, TestStore};
use alerting::{Evaluator, OutputSample, QueryError, Rejected, Sample, SampleValue};
use kit::yaml::{self, ConfigError, Kind, Node};
use metrics::config::{NameValidation, expand_glob};
use metrics::rules::RuleOptions;
use metrics::rules::file::{load, promql as read_promql};
use model::Labels;
use model::labels::InBraces;
use model::number::{FloatFormat, float_text};
use promql::promqltest::{MemorySource, SequenceValue, parse_values};
use promql::{Engine, EngineOptions, ParserOptions, QueryContext, TimeParams, Value};

/// Reads rule files and evaluates with this project's engine.
pub(super) struct Host {
    pub(super) parser: ParserOptions,
    /// Names are removed at the end of a query only.
    pub(super) delayed_name_removal: bool,
    /// Fields that rule files do not know are let be.
    pub(super) ignore_unknown: bool,
    pub(super) rule_files: Vec<PathBuf>,
}

impl TestHost for Host {
    fn groups(&self, options: &GroupOptions) -> Result<Vec<Group>, Vec<String>> {
        let canonical = read_promql(self.parser);
        let rules = RuleOptions {
            canonical: &canonical,
            validation: NameValidation::Utf8,
            ignore_unknown: self.ignore_unknown,
        };
        let mut groups = Vec::new();
        for path in &self.rule_files {
            let file =
                load(path, rules).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
            let name = path.display().to_string();
            for group in &file.groups {
                groups.push(Group::new(&name, group, options, &canonical).map_err(|error| vec![error])?);
            }
        }
        Ok(groups)
    }

    fn store(&self, evaluation_interval_ms: i64) -> Box<dyn TestStore + '_> {
        let engine = Engine::new(EngineOptions {
            parser: self.parser,
            delayed_name_removal: self.delayed_name_removal,
            subquery_step_ms: evaluation_interval_ms,
            ..EngineOptions::default()
        });
        Box::new(Store { source: RefCell::new(MemorySource::new()), engine })
    }

    fn parse_labels(&self, text: &str) -> Result<Labels, String> {
        promql::parse_metric(text).map_err(|error| error.to_string())
    }

    fn parse_values(&self, text: &str) -> Result<Vec<Option<SampleValue>>, String> {
        let values = parse_values(text).map_err(|error| error.to_string())?;
        Ok(values.into_iter().map(SequenceValue::into_sample).collect())
    }
}

struct Store {
    source: RefCell<MemorySource>,
    engine: Engine,
}

impl Store {
    fn value(&self, expr: &str, at_ms: i64) -> Result<Value, promql::QueryError> {
        let source = self.source.borrow();
        let output = self.engine.query(expr, &*source, TimeParams::Instant(at_ms), &QueryContext::default())?;
        Ok(output.value)
    }
}

impl Evaluator for Store {
    fn query(&self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        self.value(expr, at_ms).and_then(Value::into_vector).map_err(|error| QueryError::new(error.to_string()))
    }
}

impl TestStore for Store {
    fn append(&self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
        let mut source = self.source.borrow_mut();
        let mut rejected = Vec::new();
        for (index, sample) in samples.iter().enumerate() {
            if let Err(error) = source.append_value(&sample.labels, sample.timestamp_ms, &sample.value) {
                rejected.push(Rejected { index, message: error.to_string(), expected: true });
            }
        }
        Ok(rejected)
    }

    fn dump(&self, start_ms: i64, end_ms: i64) -> Result<String, QueryError> {
        let expr = format!("{{__name__=~\".+\"}}[{}ms]", end_ms.saturating_sub(start_ms));
        let value = self.value(&expr, end_ms).map_err(|error| QueryError::new(error.to_string()))?;
        let Value::Matrix(series) = value else { return Ok(String::new()) };
        let mut text = String::new();
        for one in series {
            let _ = write!(text, "{} =>", InBraces(&one.labels));
            let floats = one.floats.iter().map(|(at_ms, value)| (*at_ms, float_text(*value, FloatFormat::Fixed)));
            let histograms = one.histograms.iter().map(|(at_ms, histogram)| (*at_ms, histogram.to_string()));
            let mut points: Vec<(i64, String)> = floats.chain(histograms).collect();
            points.sort_by_key(|(at_ms, _)| *at_ms);
            points.iter().for_each(|(at_ms, value)| {
                let _ = write!(text, "\n{value} @[{at_ms}]");
            });
            text.push('\n');
        }
        Ok(text)
    }
}

/// Reads a file of tests.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn read(path: &Path, ignore_unknown: bool) -> Result<TestFile, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError::plain(e.to_string()).in_file(path))?;
    let mut tree = yaml::parse(&text).map_err(|e| e.in_file(path))?;
    if ignore_unknown {
        KNOWN.prune(&mut tree);
    }
    if tree.is_null() {
        return Ok(TestFile::default());
    }
    tree.deserialize::<TestFile>().map_err(|e| e.in_file(path))
}

/// The rule files, patterns expanded, relative to the file of tests.
pub(super) fn rule_paths(file: &TestFile, path: &Path) -> Vec<PathBuf> {
    let dir = path.parent().unwrap_or(Path::new(""));
    let mut files = Vec::new();
    for pattern in &file.rule_files {
        let found = expand_glob(&dir.join(pattern));
        if found.is_empty() {
            // Upstream only warns: a test may be about no rule at all.
            eprintln!("  WARNING: no file match pattern {}", dir.join(pattern).display());
        }
        files.extend(found);
    }
    files
}

/// The fields of a mapping, and what the items of its lists know.
struct Fields {
    plain: &'static [&'static str],
    lists: &'static [(&'static str, Fields)],
}

const fn leaf(plain: &'static [&'static str]) -> Fields {
    Fields { plain, lists: &[] }
}

/// What a file of tests knows.
const KNOWN: Fields = Fields {
    plain: &["rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare"],
    lists: &[(
        "tests",
        Fields {
            plain: &["name", "interval", "start_timestamp", "external_labels", "external_url"],
            lists: &[
                ("input_series", leaf(&["series", "values"])),
                (
                    "alert_rule_test",
                    Fields {
                        plain: &["eval_time", "alertname"],
                        lists: &[("exp_alerts", leaf(&["exp_labels", "exp_annotations"]))],
                    },
                ),
                (
                    "promql_expr_test",
                    Fields {
                        plain: &["expr", "eval_time"],
                        lists: &[("exp_samples", leaf(&["labels", "value", "histogram"]))],
                    },
                ),
            ],
        },
    )],
};

impl Fields {
    /// Drops every field that is not known.
    fn prune(&self, node: &mut Node) {
        let Kind::Mapping(pairs) = &mut node.kind else { return };
        let list = |name: &str| self.lists.iter().find(|(list, _)| *list == name).map(|(_, fields)| fields);
        pairs.retain(|(key, _)| self.plain.contains(&key.text.as_str()) || list(&key.text).is_some());
        for (key, value) in pairs {
            if let (Some(fields), Kind::Sequence(items)) = (list(&key.text), &mut value.kind) {
                items.iter_mut().for_each(|item| fields.prune(item));
            }
        }
    }
}
