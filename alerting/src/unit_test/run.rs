//! Running: samples are loaded, rules evaluated, questions asked.

use std::collections::{BTreeMap, VecDeque};

use model::Labels;

use super::compare::{
    alert_difference, alerts, expected_alerts, expected_samples, same_samples, sample_difference, samples,
};
use super::{AlertTest, CaseReport, ExprTest, Progress, RunOptions, TestFile, TestGroup, TestHost, TestStore};
use crate::evaluate::{OutputSample, QueryError, Rejected, SampleSink, SampleValue};
use crate::rules::{External, Group, GroupOptions, TemplateExpander};
use crate::text::{go_duration_text, parse_time_ms};

/// Interval of files that name none.
const DEFAULT_INTERVAL_MS: i64 = 60_000;

impl TestFile {
    /// Runs the groups of tests that are selected.
    ///
    /// # Errors
    /// Why none of them could be run.
    pub fn run(&self, host: &dyn TestHost, options: RunOptions<'_>) -> Result<Vec<CaseReport>, String> {
        let mut order = BTreeMap::new();
        for (at, name) in self.group_eval_order.iter().enumerate() {
            if order.insert(name.as_str(), at).is_some() {
                return Err(format!("group name repeated in evaluation order: {name}"));
            }
        }
        let interval_ms = if self.evaluation_interval.0 > 0 { self.evaluation_interval.0 } else { DEFAULT_INTERVAL_MS };
        let run = Run { host, options, interval_ms, order, fuzzy: self.fuzzy_compare };
        let selected = self.tests.iter().enumerate().filter(|(_, test)| (options.selected)(&test.name));
        let report = |(at, test): (usize, &TestGroup)| {
            let name = if test.name.is_empty() { format!("unnamed#{at}") } else { test.name.clone() };
            run.tell(|| Progress::Started(&name));
            let failures = run.case(test).unwrap_or_else(|failures| failures);
            run.tell(|| Progress::Finished(&name));
            CaseReport { name, failures }
        };
        Ok(selected.map(report).collect())
    }
}

/// What the groups of tests of a file share.
struct Run<'a> {
    host: &'a dyn TestHost,
    options: RunOptions<'a>,
    interval_ms: i64,
    /// Places of groups of rules in the order of evaluation.
    order: BTreeMap<&'a str, usize>,
    fuzzy: bool,
}

/// Samples that are stored when their time has come.
struct Pending {
    series: BTreeMap<Labels, VecDeque<(i64, SampleValue)>>,
}

struct Sink<'a>(&'a dyn TestStore);

impl SampleSink for Sink<'_> {
    fn append(&mut self, samples: &[OutputSample]) -> Result<Vec<Rejected>, QueryError> {
        self.0.append(samples)
    }
}

impl Run<'_> {
    fn tell<'p>(&self, progress: impl FnOnce() -> Progress<'p>) {
        if let Some(follow) = self.options.follow {
            follow(progress());
        }
    }

    /// What failed; as an error, what failed before all questions were asked.
    fn case(&self, test: &TestGroup) -> Result<Vec<String>, Vec<String>> {
        let one = |text: String| vec![text];
        let start_ms = start_ms(&test.start_timestamp).map_err(one)?;
        let step_ms = if test.interval.0 > 0 { test.interval.0 } else { self.interval_ms };
        let mut pending = self.pending(test, start_ms, step_ms).map_err(one)?;
        let mut groups = self.groups(test, step_ms)?;
        let mut questions = questions(test).map_err(one)?;
        let store = self.host.store(self.interval_ms);
        let expander = TemplateExpander::new();

        let asked = test.alert_rule_test.iter().map(|alert| alert.eval_time.0);
        let last_ms = asked.chain(test.promql_expr_test.iter().map(|expr| expr.eval_time.0)).max().unwrap_or(0);
        let mut failures = Vec::new();
        let mut since_ms = 0;
        while since_ms <= last_ms {
            let at_ms = start_ms.saturating_add(since_ms);
            pending.load(&*store, at_ms).map_err(one)?;
            let mut errors = Vec::new();
            for group in &mut groups {
                let report = group.evaluate(at_ms, &*store, &expander, &mut Sink(&*store), &|| 0);
                for ((rule, _), done) in group.rules().zip(&report.rules) {
                    if let Some(error) = &done.error {
                        let time = go_duration_text(since_ms);
                        errors.push(format!("    rule: {}, time: {time}, err: {error}", rule.name()));
                    }
                }
            }
            if !errors.is_empty() {
                failures.extend(errors);
                return Err(failures);
            }
            // A question between two evaluations is about the one before it.
            while let Some(question) = questions.pop_front_if(|q| q.eval_time.0 < since_ms + self.interval_ms) {
                failures.extend(self.ask_alerts(test, question, &groups));
            }
            since_ms += self.interval_ms;
        }
        failures.extend(test.promql_expr_test.iter().filter_map(|question| self.ask(question, &*store, start_ms)));
        self.tell(|| {
            let length_ms = (last_ms / 1000 + 1).saturating_mul(1000);
            Progress::Asked { length_ms, data: store.dump(start_ms, start_ms.saturating_add(length_ms)) }
        });
        Ok(failures)
    }

    fn pending(&self, test: &TestGroup, start_ms: i64, step_ms: i64) -> Result<Pending, String> {
        let mut series = BTreeMap::new();
        for input in &test.input_series {
            let error = |error: String| format!("series {:?}: {error}", input.series);
            let labels = self.host.parse_labels(&input.series).map_err(error)?;
            let values = self.host.parse_values(&input.values).map_err(error)?;
            let times = (0i64..).map(|at| start_ms.saturating_add(at.saturating_mul(step_ms)));
            // Of two sequences for one series the later counts.
            series.insert(labels, times.zip(values).filter_map(|(at_ms, value)| Some((at_ms, value?))).collect());
        }
        Ok(Pending { series })
    }

    /// The groups of rules in the order of their files, unless the test file has another: a group that it does not name
    /// stands with its first.
    fn groups(&self, test: &TestGroup, step_ms: i64) -> Result<Vec<Group>, Vec<String>> {
        let options = GroupOptions {
            interval_ms: step_ms,
            query_offset_ms: 0,
            resend_delay_ms: 0,
            external: External { labels: Labels::from_pairs(&test.external_labels), url: test.external_url.clone() },
            wait_for_restore: false,
        };
        let mut groups = self.host.groups(&options)?;
        groups.sort_by_key(|group| self.order.get(group.name.as_str()).copied().unwrap_or(0));
        Ok(groups)
    }

    fn ask_alerts(&self, test: &TestGroup, question: &AlertTest, groups: &[Group]) -> Option<String> {
        let (want, got) = (expected_alerts(question), alerts(groups, &question.alertname));
        if want == got {
            return None;
        }
        let name = if test.name.is_empty() { String::new() } else { format!("    name: {},\n", test.name) };
        let place = format!("{name}    alertname: {}, time: {}, ", question.alertname, question.eval_time);
        Some(place + &alert_difference(&want, &got, self.options.diff))
    }

    fn ask(&self, question: &ExprTest, store: &dyn TestStore, start_ms: i64) -> Option<String> {
        let place = format!("    expr: {:?}, time: {},", question.expr, question.eval_time);
        let at_ms = start_ms.saturating_add(question.eval_time.0);
        let got = match store.query(&question.expr, at_ms) {
            Ok(result) => samples(result),
            Err(error) => return Some(format!("{place} err: {error}")),
        };
        let want = match expected_samples(self.host, question) {
            Ok(want) => want,
            Err(error) => return Some(format!("{place} err: {error}")),
        };
        if same_samples(&want, &got, self.fuzzy) {
            return None;
        }
        Some(place + &sample_difference(&want, &got, self.options.diff))
    }
}

impl Pending {
    /// Stores the samples up to a time.
    fn load(&mut self, store: &dyn TestStore, until_ms: i64) -> Result<(), String> {
        let mut batch = Vec::new();
        for (labels, samples) in &mut self.series {
            while let Some((timestamp_ms, value)) = samples.pop_front_if(|(at_ms, _)| *at_ms <= until_ms) {
                batch.push(OutputSample { labels: labels.clone(), timestamp_ms, value });
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        let rejected = store.append(&batch).map_err(|error| error.message)?;
        match rejected.first() {
            None => Ok(()),
            Some(one) => {
                let labels = batch.get(one.index).map(|sample| sample.labels.to_string()).unwrap_or_default();
                Err(format!("{labels}: {}", one.message))
            }
        }
    }
}

/// The questions about alerts by their time.
fn questions(test: &TestGroup) -> Result<VecDeque<&AlertTest>, String> {
    let mut questions: Vec<&AlertTest> = test.alert_rule_test.iter().collect();
    if let Some(nameless) = questions.iter().find(|question| question.alertname.is_empty()) {
        let group = if test.name.is_empty() { String::new() } else { format!(" (in TestGroup {})", test.name) };
        let time = nameless.eval_time;
        return Err(format!(
            "an item under alert_rule_test misses required attribute alertname at eval_time {time}{group}"
        ));
    }
    questions.sort_by_key(|question| question.eval_time);
    Ok(questions.into())
}

/// Seconds, RFC 3339, or the epoch.
fn start_ms(text: &str) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    let ms = seconds.map(|seconds| (seconds * 1000.0).round() as i64);
    ms.or_else(|| parse_time_ms(text).flatten()).ok_or_else(|| format!("cannot parse {text:?} to a valid timestamp"))
}
