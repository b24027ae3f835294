//! Scripts as commands.

use model::Labels;

use super::notation::{NotationError, SequenceValue, parse_series};
use super::start;
use crate::ast::Expr;
use crate::parse::quote::unquote;
use crate::parse::{ParserOptions, number, parse};

/// A script is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ScriptError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl ScriptError {
    pub(super) fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// A command of a script.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
}

/// Series to add to the storage.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    pub(super) line: usize,
    pub(super) step_ms: i64,
    pub(super) with_nhcb: bool,
    pub(super) series: Vec<LoadSeries>,
}

#[derive(Clone, Debug)]
pub(super) struct LoadSeries {
    pub(super) labels: Labels,
    pub(super) values: Vec<SequenceValue>,
    /// Offsets of start times, one per value, or nothing.
    pub(super) starts: Vec<Option<i64>>,
}

/// A query and what is expected of it.
#[derive(Clone, Debug)]
pub(super) struct Eval {
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) expr: Expr,
    pub(super) times: EvalTimes,
    pub(super) expect: Vec<Expect>,
    /// `eval_fail`: any failure, or one with this text.
    pub(super) ordered: bool,
    /// From, to and step of an expected range vector.
    pub(super) range_vector: Option<(i64, i64, i64)>,
    pub(super) string: Option<String>,
    pub(super) scalar: Option<f64>,
    pub(super) series: Vec<(Labels, Vec<SequenceValue>)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum EvalTimes {
    Instant(i64),
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExpectKind {
    Fail,
    Warn,
    NoWarn,
    Info,
    NoInfo,
}

/// An expected failure or annotation.
#[derive(Clone, Debug)]
pub(super) struct Expect {
    pub(super) kind: ExpectKind,
    pub(super) text: ExpectText,
}

#[derive(Clone, Debug)]
pub(super) enum ExpectText {
    Any,
    Exact(String),
    Pattern(model::regex::GoRegex),
}

impl Expect {
    pub(super) fn matches(&self, text: &str) -> bool {
        match &self.text {
            ExpectText::Any => true,
            ExpectText::Exact(want) => want == text,
            ExpectText::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

/// Reads a script.
pub(super) fn parse_script(text: &str) -> Result<Vec<Command>, ScriptError> {
    // A comment line is an empty line.
    let lines: Vec<&str> = text.split('\n').map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let number = at + 1;
        let word = line.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
        at += 1;
        match word.as_str() {
            "" => {}
            "clear" => commands.push(Command::Clear),
            w if w.starts_with("load") => commands.push(Command::Load(load(&lines, number, &mut at)?)),
            w if w.starts_with("eval") => commands.push(Command::Eval(Box::new(eval(&lines, number, &mut at)?))),
            _ => return Err(ScriptError::new(number, format!("invalid command {line:?}"))),
        }
    }
    Ok(commands)
}

fn duration(text: &str, line: usize) -> Result<i64, ScriptError> {
    if text == "0" {
        return Ok(0);
    }
    number::parse_duration_ms(text).map_err(|e| ScriptError::new(line, format!("invalid duration {text:?}: {e}")))
}

fn series(line: &str, number: usize) -> Result<(Labels, Vec<SequenceValue>), ScriptError> {
    parse_series(line).map_err(|e: NotationError| ScriptError::new(number, e.to_string()))
}

fn load(lines: &[&str], line: usize, at: &mut usize) -> Result<Load, ScriptError> {
    let mut words = lines[line - 1].split_whitespace();
    let command = words.next().unwrap_or("").to_ascii_lowercase();
    let with_nhcb = match command.as_str() {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err(ScriptError::new(line, "invalid load command. (load[_with_nhcb] <step:duration>)")),
    };
    let step = words.next().ok_or_else(|| ScriptError::new(line, "load without a step"))?;
    let mut load = Load { line, step_ms: duration(step, line)?, with_nhcb, series: Vec::new() };
    let mut pending: Option<(Labels, Vec<Option<i64>>, usize)> = None;
    while *at < lines.len() && !lines[*at].is_empty() {
        let (text, number) = (lines[*at], *at + 1);
        *at += 1;
        if let Some((metric, offsets)) = start::split(text) {
            if let Some((.., first)) = pending {
                return Err(ScriptError::new(first, "@st line has no following sample line"));
            }
            let labels = series(metric, number)?.0;
            pending = Some((labels, start::parse(offsets, number)?, number));
            continue;
        }
        let (labels, values) = series(text, number)?;
        let mut starts = Vec::new();
        if let Some((of, offsets, first)) = pending.take() {
            if of != labels || offsets.len() != values.len() {
                let message = "@st line does not match the following sample line";
                return Err(ScriptError::new(first, message));
            }
            starts = offsets;
        }
        // The last line of a label set counts.
        load.series.retain(|s| s.labels != labels);
        load.series.push(LoadSeries { labels, values, starts });
    }
    match pending {
        Some((.., first)) => Err(ScriptError::new(first, "@st line has no following sample line")),
        None => Ok(load),
    }
}

/// Takes one word off the beginning of a text.
fn word<'a>(rest: &mut &'a str) -> &'a str {
    let text = rest.trim_start();
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    *rest = &text[end..];
    &text[..end]
}

fn eval(lines: &[&str], line: usize, at: &mut usize) -> Result<Eval, ScriptError> {
    let wrong = |message: &str| ScriptError::new(line, message.to_owned());
    let mut rest = lines[line - 1];
    let command = word(&mut rest);
    let suffix = command.strip_prefix("eval").unwrap_or("").trim_start_matches('_');
    let kind = word(&mut rest);
    let times = match kind {
        "instant" => {
            let mut ahead = rest;
            let time = if word(&mut ahead) == "at" {
                rest = ahead;
                duration(word(&mut rest), line)?
            } else {
                0
            };
            EvalTimes::Instant(time)
        }
        "range" => {
            let mut next = |name: &str| {
                if word(&mut rest) != name {
                    return Err(wrong("invalid range evaluation: from <from> to <to> step <step> <query>"));
                }
                duration(word(&mut rest), line)
            };
            let (start_ms, end_ms, step_ms) = (next("from")?, next("to")?, next("step")?);
            if end_ms < start_ms {
                return Err(wrong("end of the range before its start"));
            }
            EvalTimes::Range { start_ms, end_ms, step_ms }
        }
        _ => return Err(wrong("invalid evaluation command: instant or range")),
    };
    let text = rest.trim().to_owned();
    let expr = parse(&text, &ParserOptions::all())
        .map_err(|e| ScriptError::new(line, format!("{text}: parse error: {}", e.message())))?;
    let mut eval = Eval {
        line,
        text,
        expr,
        times,
        expect: Vec::new(),
        ordered: suffix == "ordered",
        range_vector: None,
        string: None,
        scalar: None,
        series: Vec::new(),
    };
    let any = |kind| Expect { kind, text: ExpectText::Any };
    match suffix {
        "" | "ordered" => {}
        "fail" => eval.expect.push(any(ExpectKind::Fail)),
        "warn" => eval.expect.push(any(ExpectKind::Warn)),
        "info" => eval.expect.push(any(ExpectKind::Info)),
        _ => return Err(wrong("invalid evaluation command")),
    }
    while *at < lines.len() && !lines[*at].is_empty() {
        let (text, number) = (lines[*at], *at + 1);
        *at += 1;
        if expectation(&mut eval, text, number)? {
            break;
        }
    }
    let has = |kind| eval.expect.iter().any(|e| e.kind == kind);
    if (has(ExpectKind::Warn) && has(ExpectKind::NoWarn)) || (has(ExpectKind::Info) && has(ExpectKind::NoInfo)) {
        return Err(wrong("annotations both expected and not expected"));
    }
    Ok(eval)
}

/// Reads one line below an `eval`; true when it ends the block.
fn expectation(eval: &mut Eval, text: &str, line: usize) -> Result<bool, ScriptError> {
    let wrong = |message: String| ScriptError::new(line, message);
    if let Some(rest) = text.strip_prefix("expect range vector") {
        let mut rest = rest;
        let mut next = |name: &str| {
            if word(&mut rest) != name {
                return Err(wrong("expect range vector from <from> to <to> step <step>".to_owned()));
            }
            duration(word(&mut rest), line)
        };
        eval.range_vector = Some((next("from")?, next("to")?, next("step")?));
        return Ok(false);
    }
    if let Some(rest) = text.strip_prefix("expect string") {
        let bytes = unquote(rest.trim()).map_err(|_| wrong(format!("invalid string {rest}")))?;
        eval.string = Some(String::from_utf8_lossy(&bytes).into_owned());
        return Ok(false);
    }
    if let Some(rest) = text.strip_prefix("expected_fail_message") {
        eval.expect.retain(|e| e.kind != ExpectKind::Fail);
        eval.expect.push(Expect { kind: ExpectKind::Fail, text: ExpectText::Exact(rest.trim().to_owned()) });
        return Ok(true);
    }
    if let Some(rest) = text.strip_prefix("expected_fail_regexp") {
        eval.expect.retain(|e| e.kind != ExpectKind::Fail);
        eval.expect.push(Expect { kind: ExpectKind::Fail, text: pattern(rest.trim(), line)? });
        return Ok(true);
    }
    if text.split_whitespace().next() == Some("expect") {
        expect_line(eval, text, line)?;
        return Ok(false);
    }
    if !text.contains([' ', '\t', '{'])
        && let Ok(value) = scalar(text)
    {
        eval.scalar = Some(value);
        return Ok(true);
    }
    let (labels, values) = series(text, line)?;
    eval.series.retain(|(known, _)| *known != labels);
    eval.series.push((labels, values));
    Ok(false)
}

/// An integer with Go's prefixes, or a float.
fn scalar(text: &str) -> Result<f64, ()> {
    if let Ok(integer) = model::number::parse_int(text, 0, 64) {
        return Ok(integer as f64);
    }
    model::number::parse_float(text).map_err(|_| ())
}

fn pattern(text: &str, line: usize) -> Result<ExpectText, ScriptError> {
    let regex = model::regex::GoRegex::new(text, model::regex::Flags::SEARCH);
    regex.map(ExpectText::Pattern).map_err(|e| ScriptError::new(line, e.to_string()))
}

fn expect_line(eval: &mut Eval, text: &str, line: usize) -> Result<(), ScriptError> {
    let wrong = || ScriptError::new(line, format!("invalid expect statement {text:?}"));
    let mut rest = text;
    word(&mut rest);
    let kind = match word(&mut rest) {
        "ordered" => {
            eval.ordered = true;
            return Ok(());
        }
        "fail" => ExpectKind::Fail,
        "warn" => ExpectKind::Warn,
        "no_warn" => ExpectKind::NoWarn,
        "info" => ExpectKind::Info,
        "no_info" => ExpectKind::NoInfo,
        _ => return Err(wrong()),
    };
    let rest = rest.trim();
    let text = if rest.is_empty() {
        ExpectText::Any
    } else if let Some(message) = rest.strip_prefix("msg:") {
        ExpectText::Exact(message.trim().to_owned())
    } else if let Some(regex) = rest.strip_prefix("regex:") {
        pattern(regex.trim(), line)?
    } else {
        return Err(wrong());
    };
    if kind == ExpectKind::Fail && eval.expect.iter().any(|e| e.kind == ExpectKind::Fail) {
        return Err(wrong());
    }
    eval.expect.push(Expect { kind, text });
    Ok(())
}
