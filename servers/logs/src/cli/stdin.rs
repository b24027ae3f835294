//! A query over standard input: every line is an entry of a stream that has the labels the query asks for.
//!
//! Queries of entries are answered piece by piece as input comes; queries of numbers read all of it first.

use std::io::{BufRead, Write};
use std::ops::ControlFlow;

use logql::ast::Expr;
use logql::{Engine, EngineOptions, LogParams, ParseOptions, QueryContext, Request, Value};
use model::{Direction, Labels, LogColumns, MatchOp};

use super::client::CliError;
use super::flags::QueryFlags;
use super::output::{Printer, Stream};
use crate::tail::{Pushed, PushedSource};

/// Bytes that are read before they are looked at.
const PIECE: usize = 4 << 20;

/// Answers the query over `input`.
pub(super) fn run(flags: &QueryFlags, query: &str, input: &mut dyn BufRead) -> Result<(), CliError> {
    let options = ParseOptions { extensions: true, ..ParseOptions::default() };
    let expr = logql::parse(query, options).map_err(|e| CliError::Usage(e.to_string()))?;
    let labels = labels_of(&expr);
    let begun_ns = crate::now_ns();
    let mut out = std::io::stdout().lock();
    match &expr {
        Expr::Log(log) => {
            let mut printer = Printer::new(&flags.shown);
            let (mut first, mut left) = (true, if flags.limit == 0 { usize::MAX } else { flags.limit });
            let mut row_ns = begun_ns;
            while left > 0 {
                let (piece, is_last) = read(input, &mut row_ns)?;
                let params = LogParams {
                    start_ns: i64::MIN,
                    end_ns: i64::MAX,
                    direction: Direction::Forward,
                    limit: left,
                    interval_ns: 0,
                    categorize: false,
                    after: None,
                };
                let mut streams: Vec<Stream> = Vec::new();
                let source = PushedSource(vec![Pushed::new(labels.clone(), piece)]);
                let context = QueryContext::at(begun_ns);
                logql::for_each_entry(&source, log, &params, &context, |entry, _| {
                    let of: super::output::Labels =
                        entry.labels.all.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
                    let row = (entry.timestamp_ns, String::from(entry.line));
                    match streams.iter_mut().find(|stream| stream.labels == of) {
                        Some(stream) => stream.entries.push(row),
                        None => streams.push(Stream { labels: of, entries: vec![row] }),
                    }
                    left -= 1;
                    if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
                .map_err(|e| CliError::Usage(e.to_string()))?;
                if first {
                    printer.begin(&streams);
                    first = false;
                }
                printer.print(&mut out, &streams, true)?;
                if is_last {
                    break;
                }
            }
            Ok(())
        }
        Expr::Metric(_) => {
            let (mut pieces, mut row_ns) = (Vec::new(), begun_ns);
            loop {
                let (piece, is_last) = read(input, &mut row_ns)?;
                pieces.push(Pushed::new(labels.clone(), piece));
                if is_last {
                    break;
                }
            }
            let engine = Engine::new(EngineOptions::default());
            let context = QueryContext::at(row_ns);
            let answer = engine.query(&PushedSource(pieces), &expr, &Request::instant(row_ns), &context);
            let value = answer.map_err(|e| CliError::Usage(e.to_string()))?.value;
            match value {
                Value::Scalar(_, number) => writeln!(out, "{number}")?,
                Value::Vector(samples) => {
                    for sample in samples {
                        writeln!(out, "{} {}", sample.labels, sample.value)?;
                    }
                }
                Value::Streams(_) | Value::Matrix(_) => {}
            }
            Ok(())
        }
    }
}

/// Labels that satisfy the query's selector as far as names and values are given.
fn labels_of(expr: &Expr) -> Labels {
    let selectors = expr.selectors();
    let matchers = selectors.iter().flat_map(|selector| &selector.matchers);
    let equal = matchers.filter(|m| m.op() == MatchOp::Equal);
    Labels::from_pairs(equal.map(|m| (m.name().to_owned(), m.value().to_owned())))
}

/// Reads some lines; each is a nanosecond later than the one before. True when there are no more.
fn read(input: &mut dyn BufRead, row_ns: &mut i64) -> Result<(LogColumns, bool), CliError> {
    let mut piece = LogColumns::new();
    let mut line = Vec::new();
    while piece.text.len() < PIECE {
        line.clear();
        let count = input.read_until(b'\n', &mut line).map_err(|e| CliError::Io("standard input".to_owned(), e))?;
        if count == 0 {
            return Ok((piece, true));
        }
        let text = String::from_utf8_lossy(&line);
        piece.push(*row_ns, text.trim_end_matches(['\n', '\r']), []);
        *row_ns += 1;
    }
    Ok((piece, false))
}
