//! Printing entries as logcli does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::flags::{Mode, OutputFlags, Zone};

/// Labels of a stream.
pub(super) type Labels = BTreeMap<String, String>;

/// Entries of one stream as an answer has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) labels: Labels,
    /// Time in ns and line.
    pub(super) entries: Vec<(i64, String)>,
}

/// Prints entries.
pub(super) struct Printer {
    flags: OutputFlags,
    zone: TimeZone,
    /// Labels that all entries share, and that are therefore not printed.
    common: Labels,
}

impl Printer {
    pub(super) fn new(flags: &OutputFlags) -> Self {
        let zone = match flags.timezone {
            Zone::Local => TimeZone::system(),
            Zone::Utc => TimeZone::UTC,
        };
        Self { flags: flags.clone(), zone, common: Labels::new() }
    }

    /// Finds out what streams have in common and says so once.
    pub(super) fn begin(&mut self, streams: &[Stream]) {
        if self.flags.output != Mode::Default || self.flags.include_common_labels || self.flags.no_labels {
            return;
        }
        let mut common = streams.first().map(|stream| stream.labels.clone()).unwrap_or_default();
        for stream in streams {
            common.retain(|name, value| stream.labels.get(name) == Some(value));
        }
        common.retain(|name, _| !self.flags.include_label.contains(name));
        if !common.is_empty() && !self.flags.quiet {
            eprintln!("Common labels: {}", text(&common));
        }
        self.common = common;
    }

    /// Prints entries in the order of their times.
    pub(super) fn print(&self, out: &mut dyn Write, streams: &[Stream], forward: bool) -> io::Result<()> {
        let shown: Vec<String> = streams.iter().map(|stream| self.shown_labels(&stream.labels)).collect();
        let longest = shown.iter().map(|text| text.chars().count()).max().unwrap_or(0);
        let width = if self.flags.labels_length > 0 { self.flags.labels_length } else { longest };
        let mut order: Vec<(i64, usize, usize)> = Vec::new();
        for (at, stream) in streams.iter().enumerate() {
            order.extend(stream.entries.iter().enumerate().map(|(row, (time, _))| (*time, at, row)));
        }
        // Entries of one time stay in the order of the answer.
        if forward {
            order.sort_by_key(|(time, ..)| *time);
        } else {
            order.sort_by_key(|(time, ..)| std::cmp::Reverse(*time));
        }
        for (time, at, row) in order {
            let (stream, line) = (&streams[at], streams[at].entries[row].1.trim_end_matches(['\r', '\n']));
            match self.flags.output {
                Mode::Raw => writeln!(out, "{line}")?,
                Mode::Jsonl => {
                    let value =
                        serde_json::json!({"labels": stream.labels, "line": line, "timestamp": self.time(time, true)});
                    writeln!(out, "{value}")?;
                }
                Mode::Default if self.flags.no_labels => writeln!(out, "{} {line}", self.time(time, false))?,
                Mode::Default => {
                    let pad = width.saturating_sub(shown[at].chars().count());
                    let labels = self.coloured(&shown[at], &stream.labels);
                    writeln!(out, "{} {labels}{:pad$} {line}", self.time(time, false), "")?;
                }
            }
        }
        Ok(())
    }

    fn shown_labels(&self, labels: &Labels) -> String {
        let excluded: BTreeSet<&str> = self.flags.exclude_label.iter().map(String::as_str).collect();
        let include = &self.flags.include_label;
        let mut shown = labels.clone();
        shown.retain(|name, value| {
            self.common.get(name) != Some(value)
                && !excluded.contains(name.as_str())
                && (include.is_empty() || include.contains(name))
        });
        text(&shown)
    }

    fn coloured(&self, text: &str, labels: &Labels) -> String {
        if !self.flags.colored_output {
            return text.to_owned();
        }
        let name = format!("{labels:?}");
        let hash = name.bytes().fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
        format!("\u{1b}[{}m{text}\u{1b}[0m", 31 + hash % 6)
    }

    fn time(&self, ns: i64, full: bool) -> String {
        let Ok(time) = Timestamp::from_nanosecond(i128::from(ns)) else { return ns.to_string() };
        let local = time.to_zoned(self.zone.clone());
        let form = if full { "%Y-%m-%dT%H:%M:%S%.f" } else { "%Y-%m-%dT%H:%M:%S" };
        let zone = if local.offset().is_zero() { "Z".to_owned() } else { local.strftime("%:z").to_string() };
        format!("{}{zone}", local.strftime(form))
    }
}

/// Labels as LogQL writes them.
pub(super) fn text(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={}", model::number::quote(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::flags::QueryFlags;

    fn printed(args: &[&str], forward: bool) -> String {
        let args = ["logs-query", "--timezone=UTC"].iter().chain(args).chain(&["{}"]);
        let flags = QueryFlags::parse_from(args).shown;
        let stream = |level: &str, entries: &[(i64, &str)]| Stream {
            labels: [("job", "a"), ("level", level)].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            entries: entries.iter().map(|(time, line)| (*time, (*line).to_owned())).collect(),
        };
        let streams =
            [stream("info", &[(0, "one"), (2_500_000_000, "three")]), stream("warning", &[(1_000_000_000, "two\n")])];
        let mut printer = Printer::new(&flags);
        printer.begin(&streams);
        let mut out = Vec::new();
        printer.print(&mut out, &streams, forward).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn entries_in_every_form() {
        let default = "1970-01-01T00:00:00Z {level=\"info\"}    one\n1970-01-01T00:00:01Z {level=\"warning\"} two\n1970-01-01T00:00:02Z {level=\"info\"}    three\n";
        assert_eq!(printed(&["-q"], true), default);
        assert_eq!(printed(&["-q", "-o", "raw"], false), "three\ntwo\none\n");
        assert_eq!(
            printed(&["--output=jsonl"], true).lines().last().unwrap(),
            r#"{"labels":{"job":"a","level":"info"},"line":"three","timestamp":"1970-01-01T00:00:02.5Z"}"#
        );
        assert_eq!(printed(&["--no-labels", "-q"], false).lines().next().unwrap(), "1970-01-01T00:00:02Z three");
        let one = |args: &[&str]| printed(args, true).lines().next().unwrap().to_owned();
        assert_eq!(one(&["-q", "--include-common-labels"]), r#"1970-01-01T00:00:00Z {job="a", level="info"}    one"#);
        assert_eq!(one(&["-q", "--exclude-label=level"]), "1970-01-01T00:00:00Z {} one");
        assert_eq!(one(&["-q", "--include-label=job"]), r#"1970-01-01T00:00:00Z {job="a"} one"#);
        assert_eq!(
            one(&["-q", "--labels-length=20", "--exclude-label=level"]),
            "1970-01-01T00:00:00Z {}                   one"
        );
    }
}
