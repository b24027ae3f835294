//! Runs scripts.

use super::notation::SequenceValue;
use super::pin::pinned;
use super::script::{Command, Eval, EvalTimes, Expect, ExpectKind, Load, ScriptError, parse_script};
use super::source::MemorySource;
use super::{MAX_SAMPLES, compare, nhcb};
use crate::annotations::Level;
use crate::ast::Expr;
use crate::engine::{Engine, Limits, QueryContext, QueryOutput, TimeParams, Value};
use crate::error::QueryError;
use crate::parse::parse;

/// An evaluation that did not go as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Line of the `eval`, from 1.
    pub line: usize,
    /// The query.
    pub query: String,
    /// What was different.
    pub message: String,
}

/// What came of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Evaluations that went as expected.
    pub passed: usize,
    /// Those that did not.
    pub failures: Vec<Failure>,
}

impl Report {
    /// All evaluations.
    pub fn total(&self) -> usize {
        self.passed + self.failures.len()
    }
}

/// Runs a script. A failed evaluation is noted and the script goes on.
///
/// # Errors
/// When the script itself is wrong.
pub fn run(text: &str, engine: &Engine) -> Result<Report, ScriptError> {
    let mut report = Report::default();
    let mut source = MemorySource::new();
    for command in parse_script(text)? {
        match command {
            Command::Clear => source.clear(),
            Command::Load(load) => append(&load, &mut source)?,
            Command::Eval(eval) => match (Runner { engine, source: &source, eval: &eval }).run() {
                Ok(()) => report.passed += 1,
                Err(message) => {
                    report.failures.push(Failure { line: eval.line, query: eval.text.clone(), message });
                }
            },
        }
    }
    Ok(report)
}

fn append(load: &Load, source: &mut MemorySource) -> Result<(), ScriptError> {
    let wrong = |e: model::SourceError| ScriptError::new(load.line, e.to_string());
    for series in &load.series {
        for (at, value) in series.values.iter().enumerate() {
            let time = at as i64 * load.step_ms;
            let start = series.starts.get(at).copied().flatten().map_or(0, |offset| time + offset);
            match value {
                SequenceValue::Omitted => {}
                SequenceValue::Float(value) => source.append(&series.labels, time, start, *value).map_err(wrong)?,
                SequenceValue::Histogram { histogram, .. } => {
                    source.append_histogram(&series.labels, time, start, histogram).map_err(wrong)?;
                }
            }
        }
    }
    if load.with_nhcb {
        for (labels, samples) in nhcb::convert(load)? {
            for (time, histogram) in samples {
                source.append_histogram(&labels, time, 0, &histogram).map_err(wrong)?;
            }
        }
    }
    Ok(())
}

struct Runner<'a> {
    engine: &'a Engine,
    source: &'a MemorySource,
    eval: &'a Eval,
}

impl Runner<'_> {
    fn run(&self) -> Result<(), String> {
        match self.eval.times {
            EvalTimes::Range { start_ms, end_ms, step_ms } => {
                let times = TimeParams::Range { start_ms, end_ms, step_ms };
                let Some(output) = self.query(&self.eval.text, &self.eval.expr, times)? else { return Ok(()) };
                self.check_annotations(&output, &self.eval.text)?;
                self.check_matrix(&output.value, (start_ms, end_ms, step_ms))
            }
            EvalTimes::Instant(at) => {
                self.instant(&self.eval.text, &self.eval.expr, at)?;
                let Some(pinned) = pinned(&self.eval.expr, at) else { return Ok(()) };
                let text = pinned.to_string();
                let pinned = parse(&text, &self.engine.options().parser).map_err(|e| format!("{text}: {e}"))?;
                let others: &[i64] = if at == 0 { &[-1000, 0, 1000] } else { &[-10 * at, 0, at / 5, at, 10 * at] };
                others.iter().try_for_each(|at| {
                    self.instant(&text, &pinned, *at).map_err(|e| format!("{e} (as {text} at {at} ms)"))
                })
            }
        }
    }

    fn expected_fail(&self) -> Option<&Expect> {
        self.eval.expect.iter().find(|e| e.kind == ExpectKind::Fail)
    }

    fn context(&self) -> QueryContext<'static> {
        QueryContext { limits: Limits { samples: MAX_SAMPLES, ..Limits::default() }, ..QueryContext::default() }
    }

    /// The answer; nothing when the query failed as it was expected to.
    fn query(&self, text: &str, expr: &Expr, times: TimeParams) -> Result<Option<QueryOutput>, String> {
        let done: Result<QueryOutput, QueryError> = self.engine.query_expr(expr, self.source, times, &self.context());
        match (done, self.expected_fail()) {
            (Ok(output), None) => Ok(Some(output)),
            (Ok(_), Some(_)) => Err(format!("expected error evaluating query {text} but got none")),
            (Err(error), None) => Err(format!("error evaluating query {text}: {error}")),
            (Err(error), Some(expect)) if expect.matches(&error.to_string()) => Ok(None),
            (Err(error), Some(expect)) => Err(format!("expected error {:?}, but got: {error}", expect.text)),
        }
    }

    fn check_annotations(&self, output: &QueryOutput, text: &str) -> Result<(), String> {
        let kinds = [
            (Level::Warning, ExpectKind::Warn, ExpectKind::NoWarn, "warning"),
            (Level::Info, ExpectKind::Info, ExpectKind::NoInfo, "info"),
        ];
        for (level, yes, no, name) in kinds {
            let got = output.annotations.render(level, text, 0);
            let of = |kind| self.eval.expect.iter().filter(move |e| e.kind == kind);
            if of(no).next().is_some() && !got.is_empty() {
                return Err(format!("expected no {name} annotations but got {got:?}"));
            }
            if of(yes).next().is_none() {
                continue;
            }
            if let Some(missing) = of(yes).find(|e| !got.iter().any(|text| e.matches(text))) {
                return Err(format!("expected {name} {:?} but got {got:?}", missing.text));
            }
            if let Some(extra) = got.iter().find(|text| !of(yes).any(|e| e.matches(text))) {
                return Err(format!("unexpected {name} annotation {extra}"));
            }
        }
        Ok(())
    }

    fn check_matrix(&self, value: &Value, times: (i64, i64, i64)) -> Result<(), String> {
        let Value::Matrix(got) = value else {
            return Err(format!("expected a matrix but got {}", compare::show(value)));
        };
        if self.eval.ordered {
            return Err("expected ordered result, but query returned a matrix".to_owned());
        }
        if self.eval.scalar.is_some() {
            return Err("expected scalar result, but got a matrix".to_owned());
        }
        compare::matrix(&self.eval.series, got, times)
    }

    fn instant(&self, text: &str, expr: &Expr, at: i64) -> Result<(), String> {
        let Some(output) = self.query(text, expr, TimeParams::Instant(at))? else { return Ok(()) };
        self.check_annotations(&output, text)?;
        let eval = self.eval;
        match &output.value {
            Value::Matrix(_) => {
                let times = eval.range_vector.ok_or("query returned a matrix")?;
                return self.check_matrix(&output.value, times);
            }
            Value::String { value, .. } => {
                return match &eval.string {
                    Some(want) if want == value => Ok(()),
                    want => Err(format!("expected string {want:?} but got {value:?}")),
                };
            }
            Value::Vector { samples, .. } => {
                if eval.scalar.is_some() {
                    return Err("expected scalar result, but got a vector".to_owned());
                }
                compare::vector(&eval.series, samples, eval.ordered)?;
            }
            Value::Scalar { value, .. } => self.check_scalar(*value)?,
        }
        if eval.range_vector.is_some() || eval.string.is_some() {
            return Ok(());
        }
        // What the query sees as its own times is different in a range query.
        if ["start()", "end()", "range()", "step()"].iter().any(|f| text.contains(f)) {
            return Ok(());
        }
        self.as_range(text, expr, at).map_err(|e| format!("{e} (in range mode)"))
    }

    fn check_scalar(&self, value: f64) -> Result<(), String> {
        match self.eval.scalar {
            Some(want) if compare::same_float(want, value) => Ok(()),
            want => Err(format!("expected {want:?} but got scalar {value}")),
        }
    }

    /// The same in the middle of a range query.
    fn as_range(&self, text: &str, expr: &Expr, at: i64) -> Result<(), String> {
        let times = TimeParams::Range { start_ms: at - 60_000, end_ms: at + 60_000, step_ms: 60_000 };
        let output = self
            .engine
            .query_expr(expr, self.source, times, &self.context())
            .map_err(|e| format!("error evaluating query {text}: {e}"))?;
        if self.eval.ordered {
            return Ok(());
        }
        let Value::Matrix(got) = &output.value else { return Err(compare::show(&output.value)) };
        compare::sorted(got)?;
        let samples = compare::at_time(got, at);
        if self.eval.scalar.is_none() {
            return compare::vector(&self.eval.series, &samples, false);
        }
        match samples.first().map(|s| &s.value) {
            Some(model::SampleValue::Float(value)) => self.check_scalar(*value),
            _ => Err("expected a scalar but got nothing".to_owned()),
        }
    }
}
