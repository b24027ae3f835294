//! Writing samples as OpenMetrics text.

use std::io::Write;

use model::number::{FloatFormat, write_float};
use model::{Labels, METRIC_NAME, Matcher, SampleColumns, SelectHints, Selection};

use crate::db::Db;
use crate::error::Error;
use crate::select::DbSelection;

/// What an export came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Series with samples that were written.
    pub series: u64,
    /// Samples written.
    pub samples: u64,
    /// Native histograms left out: the format has no way to write them.
    pub histograms_skipped: u64,
}

/// Writes the samples in `[start_ms, end_ms]` of the series that satisfy all matchers: a line each, series by series in the order of metric names, then of
/// label sets, with times in seconds, and `# EOF` at the end. Types are not written: series are stored without their families.
///
/// # Errors
/// Of the store, and of `out` as [`crate::ErrorKind::Io`].
pub fn export_openmetrics(
    db: &Db,
    matchers: &[Matcher],
    start_ms: i64,
    end_ms: i64,
    out: &mut dyn Write,
) -> Result<Exported, Error> {
    let hints = SelectHints { start_ms, end_ms, ..SelectHints::default() };
    let found = DbSelection::new(db, matchers, &hints)?;
    let mut order: Vec<(Labels, usize)> = (0..found.len()).map(|at| (found.labels(at), at)).collect();
    order.sort_by(|(a, _), (b, _)| a.metric_name().cmp(&b.metric_name()).then_with(|| a.cmp(b)));
    let failed = |source| disk::Error::Io { op: "write", path: "OpenMetrics".into(), source };
    let mut exported = Exported::default();
    let mut columns = SampleColumns::new();
    let mut text = String::new();
    for (labels, at) in order {
        found.read_all(at, &mut columns)?;
        exported.histograms_skipped += columns.histograms.len() as u64;
        exported.series += u64::from(!columns.timestamps.is_empty());
        exported.samples += columns.timestamps.len() as u64;
        let mut name = String::new();
        put_series(&labels, &mut name);
        for (time, value) in columns.timestamps.iter().zip(&columns.values) {
            text.push_str(&name);
            text.push(' ');
            if value.is_nan() {
                text.push_str("NaN");
            } else {
                write_float(&mut text, *value, FloatFormat::General);
            }
            text.push(' ');
            put_seconds(*time, &mut text);
            text.push('\n');
        }
        out.write_all(text.as_bytes()).map_err(failed)?;
        text.clear();
    }
    out.write_all(b"# EOF\n").map_err(failed)?;
    Ok(exported)
}

fn put_seconds(time_ms: i64, out: &mut String) {
    use std::fmt::Write;
    // Writing to text cannot fail.
    let _ = match time_ms.unsigned_abs() % 1_000 {
        0 => write!(out, "{}", time_ms / 1_000),
        rest => {
            let sign = if time_ms < 0 { "-" } else { "" };
            write!(out, "{sign}{}.{rest:03}", time_ms.unsigned_abs() / 1_000)
        }
    };
}

fn put_series(labels: &Labels, out: &mut String) {
    let name = labels.metric_name().unwrap_or_default();
    let bare = model::labels::is_metric_identifier(name);
    out.push_str(if bare { name } else { "" });
    let mut separator = '{';
    if !bare && !name.is_empty() {
        out.push('{');
        put_quoted(name, out);
        separator = ',';
    }
    for (label, value) in labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
        out.push(separator);
        separator = ',';
        if model::labels::is_label_identifier(label) {
            out.push_str(label);
        } else {
            put_quoted(label, out);
        }
        out.push('=');
        put_quoted(value, out);
    }
    if separator == ',' {
        out.push('}');
    }
}

/// Only these three characters are escaped.
fn put_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_times() {
        let text = |pairs: &[(&str, &str)]| {
            let mut out = String::new();
            put_series(&Labels::from_pairs(pairs.iter().copied()), &mut out);
            out
        };
        assert_eq!(text(&[("__name__", "up")]), "up");
        assert_eq!(text(&[("__name__", "up"), ("a", "x\"\\\ny"), ("b.c", "d")]), r#"up{a="x\"\\\ny","b.c"="d"}"#);
        assert_eq!(text(&[("__name__", "my.metric"), ("a", "b")]), r#"{"my.metric",a="b"}"#);
        assert_eq!(text(&[("a", "b")]), r#"{a="b"}"#);
        let seconds = |ms: i64| {
            let mut out = String::new();
            put_seconds(ms, &mut out);
            out
        };
        assert_eq!([0, 1_000, 1_001, -1, -1_500].map(seconds), ["0", "1", "1.001", "-0.001", "-1.500"]);
    }
}
