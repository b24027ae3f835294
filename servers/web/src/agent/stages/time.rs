//! Stages about time: `timestamp` and `multiline`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use gotemplate::gotime::{Time, Zone};
use model::Labels;
use model::regex::GoRegex;

use super::{Item, Result, Stage, each, required_regex};
use crate::agent::syntax::{Args, Diag};

/// Names of layouts, as Go has them.
const NAMED: [(&str, &str); 10] = [
    ("ANSIC", "Mon Jan _2 15:04:05 2006"),
    ("UnixDate", "Mon Jan _2 15:04:05 MST 2006"),
    ("RubyDate", "Mon Jan 02 15:04:05 -0700 2006"),
    ("RFC822", "02 Jan 06 15:04 MST"),
    ("RFC822Z", "02 Jan 06 15:04 -0700"),
    ("RFC850", "Monday, 02-Jan-06 15:04:05 MST"),
    ("RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"),
    ("RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700"),
    ("RFC3339", "2006-01-02T15:04:05Z07:00"),
    ("RFC3339Nano", "2006-01-02T15:04:05.999999999Z07:00"),
];

fn read_time(format: &str, text: &str, zone: &Zone) -> Option<i64> {
    let scaled = |scale: i64| text.trim().parse::<i64>().ok()?.checked_mul(scale);
    match format {
        "Unix" => {
            let text = text.trim();
            match text.split_once('.') {
                None => scaled(1_000_000_000),
                Some((seconds, fraction)) => {
                    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
                    let nanos: i64 = digits.parse().ok()?;
                    seconds.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
                }
            }
        }
        "UnixMs" => scaled(1_000_000),
        "UnixUs" => scaled(1_000),
        "UnixNs" => scaled(1),
        format => {
            let layout = NAMED.iter().find(|(name, _)| *name == format).map_or(format, |(_, layout)| layout);
            let time = Time::parse(layout, text, zone, zone).ok()?;
            // A layout without a year means this year.
            let ns = i64::try_from(time.timestamp.as_nanosecond()).ok();
            if layout.contains("2006") || layout.contains("06") {
                return ns;
            }
            let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
            let in_utc = time.timestamp.to_zoned(jiff::tz::TimeZone::UTC);
            let this_year = in_utc.with().year(now.year()).build().ok()?;
            i64::try_from(this_year.timestamp().as_nanosecond()).ok()
        }
    }
}

pub(super) fn timestamp(args: &mut Args) -> Result<Box<dyn Stage>> {
    let source = args.required("source")?;
    let mut formats = vec![args.required("format")?];
    formats.extend(args.texts("fallback_formats")?);
    let location = args.text_or("location", "")?;
    let pos = args.pos_of("location");
    let zone = Zone::load(&location, &Zone::Utc).map_err(|error| Diag::new(&pos, error.to_string()))?;
    let pos = args.pos_of("action_on_failure");
    let fudge = match args.text_or("action_on_failure", "fudge")?.as_str() {
        "fudge" => true,
        "skip" => false,
        other => return Err(Diag::new(&pos, format!("unknown action_on_failure {other:?}"))),
    };
    args.text("action_on_duplicate_timestamp")?;
    let mut last: HashMap<Labels, i64> = HashMap::new();
    Ok(each(move |item| {
        let read = item.text(&source).and_then(|text| formats.iter().find_map(|f| read_time(f, &text, &zone)));
        match (read, fudge) {
            (Some(ns), _) => {
                item.entry.timestamp_ns = ns;
                if fudge {
                    if last.len() > 10_000 {
                        last.clear();
                    }
                    last.insert(item.entry.labels.clone(), ns);
                }
            }
            // Just behind the last known time of the stream, so that order is kept.
            (None, true) => {
                if let Some(known) = last.get_mut(&item.entry.labels) {
                    *known += 1;
                    item.entry.timestamp_ns = *known;
                }
            }
            (None, false) => {}
        }
    }))
}

pub(super) fn multiline(args: &mut Args) -> Result<Box<dyn Stage>> {
    let first = required_regex(args, "firstline")?;
    let max_lines = args.count_or("max_lines", 128)?.max(1);
    let max_wait = args.duration_or("max_wait_time", Duration::from_secs(3))?;
    let trim = args.bool_or("trim_newlines", true)?;
    Ok(Box::new(Multiline { first, max_lines, max_wait, trim, open: HashMap::new() }))
}

/// Lines up to the next first line become one, by stream.
struct Multiline {
    first: GoRegex,
    max_lines: usize,
    max_wait: Duration,
    trim: bool,
    open: HashMap<Labels, (Item, usize, Instant)>,
}

impl Stage for Multiline {
    fn process(&mut self, mut item: Item, out: &mut Vec<Item>) {
        if self.trim {
            let len = item.entry.line.trim_end_matches(['\r', '\n']).len();
            item.entry.line.truncate(len);
        }
        let key = item.entry.labels.clone();
        let begins = self.first.is_match(&item.entry.line);
        match self.open.remove(&key) {
            Some((mut open, lines, _)) if !begins && lines < self.max_lines => {
                open.entry.line.push('\n');
                open.entry.line.push_str(&item.entry.line);
                // The first line's acknowledgement is kept: places move in order, so it holds the later ones, too.
                self.open.insert(key, (open, lines + 1, Instant::now()));
            }
            open => {
                out.extend(open.map(|(item, ..)| item));
                if begins {
                    self.open.insert(key, (item, 1, Instant::now()));
                } else {
                    // The tail of something whose start was not seen.
                    out.push(item);
                }
            }
        }
    }

    fn tick(&mut self, out: &mut Vec<Item>) {
        let max_wait = self.max_wait;
        let due: Vec<Labels> =
            self.open.iter().filter(|(_, (.., at))| at.elapsed() >= max_wait).map(|(key, _)| key.clone()).collect();
        for key in due {
            out.extend(self.open.remove(&key).map(|(item, ..)| item));
        }
    }

    fn flush(&mut self, out: &mut Vec<Item>) {
        out.extend(self.open.drain().map(|(_, (item, ..))| item));
    }

    fn holds_back(&self) -> bool {
        !self.open.is_empty()
    }
}
