//! Pull parser of the text formats.
//!
//! Accepts and refuses what the lexers of Prometheus 3 do, oddities included: in Prometheus text any blanks between
//! tokens, labels without a comma between them, any comment; in OpenMetrics exactly one blank, `# EOF` at the end. One
//! UTF-8 check of the whole page at the start saves one for each value.

use std::borrow::Cow;

use memchr::{memchr, memchr2};
use model::{Labels, LabelsBuilder};

use super::{MetricKind, TextFormat, kind_of, unescape};
use crate::number::{parse_float, write_openmetrics_float};
use crate::proto::utf8;
use crate::{Error, Result};

/// What a page says next.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// `# TYPE name kind`; the name as written, without quotes, escapes kept.
    Type {
        /// Family.
        name: &'a str,
        /// Its type.
        kind: MetricKind,
    },
    /// `# HELP name text`
    Help {
        /// Family.
        name: &'a str,
        /// Text with its escapes ([`unescape`] undoes them).
        text: &'a str,
    },
    /// `# UNIT name unit` (OpenMetrics)
    Unit {
        /// Family.
        name: &'a str,
        /// Unit.
        unit: &'a str,
    },
    /// Another comment (Prometheus text).
    Comment,
    /// A sample.
    Series(Series<'a>),
}

/// A sample as it stands on the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<'a> {
    /// `name{label="value"}` byte for byte: the key of a scraper's cache.
    pub raw: &'a [u8],
    /// Its value; any NaN is the ordinary one.
    pub value: f64,
    /// Explicit timestamp.
    pub timestamp_ms: Option<i64>,
    /// Exemplar (OpenMetrics).
    pub exemplar: Option<ExemplarRef<'a>>,
    /// Type given by the last `# TYPE` line.
    pub kind: MetricKind,
}

impl<'a> Series<'a> {
    /// The labels, the name among them.
    pub fn labels(&self) -> SeriesLabels<'a> {
        SeriesLabels::new(self.raw)
    }

    /// The labels as a set: what a scraper stores, made once for each new series. Labels with an empty value are left
    /// out. With `normalize`, `le` of histograms and `quantile` of summaries are written as OpenMetrics writes floats
    /// (`1.0`), as Prometheus does since 3.0, so that one series keeps one name in all formats.
    ///
    /// # Errors
    /// When a label is given twice.
    pub fn to_labels(&self, normalize: bool) -> Result<Labels> {
        let mut builder = LabelsBuilder::new();
        for (name, value) in self.labels() {
            if builder.get(&name).is_some() {
                return Err(Error::Invalid(format!("label name {name:?} is not unique: invalid sample")));
            }
            let bound =
                matches!((self.kind, &*name), (MetricKind::Histogram, "le") | (MetricKind::Summary, "quantile"));
            match parse_float(value.as_bytes()).filter(|_| normalize && bound) {
                Some(number) => {
                    let mut text = Vec::with_capacity(8);
                    write_openmetrics_float(&mut text, number);
                    builder.set(&name, &String::from_utf8_lossy(&text));
                }
                None => {
                    builder.set(&name, &value);
                }
            }
        }
        Ok(builder.build())
    }

    /// True for the `_created` line of a counter, histogram or summary, which is no sample but a start time.
    pub fn is_created(&self) -> bool {
        matches!(self.kind, MetricKind::Counter | MetricKind::Histogram | MetricKind::Summary)
            && self.labels().next().is_some_and(|(_, name)| name.ends_with("_created"))
    }
}

/// An exemplar as it stands on the page.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarRef<'a> {
    /// `{trace_id="x"}` byte for byte.
    pub raw_labels: &'a [u8],
    /// Observed value.
    pub value: f64,
    /// When it was observed.
    pub timestamp_ms: Option<i64>,
}

impl<'a> ExemplarRef<'a> {
    /// Its labels.
    pub fn labels(&self) -> SeriesLabels<'a> {
        SeriesLabels::new(self.raw_labels)
    }
}

/// Labels of a series in the order of the page, the metric's name first as `__name__`. Escapes are undone.
///
/// Only for bytes that a [`Parser`] has yielded; over others it ends early.
#[derive(Clone, Debug)]
pub struct SeriesLabels<'a> {
    rest: &'a [u8],
    name: Option<&'a [u8]>,
}

impl<'a> SeriesLabels<'a> {
    /// Labels of the raw bytes of a series or an exemplar.
    pub fn new(raw: &'a [u8]) -> Self {
        let raw = raw.trim_ascii_start();
        let end = raw.iter().position(|b| !is_metric_byte(*b)).unwrap_or(raw.len());
        let (name, mut rest) = raw.split_at(end);
        rest = rest.trim_ascii_start().strip_prefix(b"{").unwrap_or(&[]);
        if !name.is_empty() {
            return Self { rest, name: Some(name) };
        }
        // The quoted name is usually first, but need not be.
        let mut labels = Self { rest, name: None };
        while let Some((name, value)) = labels.next_pair() {
            if value.is_none() {
                return Self { rest, name: Some(name) };
            }
        }
        Self { rest, name: None }
    }

    /// A quoted or bare name, and its value unless it is the metric's name.
    fn next_pair(&mut self) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let mut rest = self.rest;
        while let [b' ' | b'\t' | b',', tail @ ..] = rest {
            rest = tail;
        }
        let (name, tail, quoted) = match rest.first()? {
            b'}' => return None,
            b'"' => {
                let len = quoted_len(rest)?;
                (&rest[1..len - 1], &rest[len..], true)
            }
            _ => {
                let len = rest.iter().position(|b| !is_label_byte(*b))?;
                (&rest[..len], &rest[len..], false)
            }
        };
        let tail = skip_blanks(tail);
        if let Some(tail) = tail.strip_prefix(b"=") {
            let tail = skip_blanks(tail);
            let len = quoted_len(tail)?;
            self.rest = &tail[len..];
            return Some((name, Some(&tail[1..len - 1])));
        }
        self.rest = tail;
        quoted.then_some((name, None))
    }
}

impl<'a> Iterator for SeriesLabels<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let text = |bytes: &'a [u8]| unescape(utf8(bytes).unwrap_or(""));
        if let Some(name) = self.name.take() {
            return Some((Cow::Borrowed(model::METRIC_NAME), text(name)));
        }
        loop {
            if let (name, Some(value)) = self.next_pair()? {
                return Some((text(name), text(value)));
            }
        }
    }
}

#[inline]
fn is_metric_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'
}

#[inline]
fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[inline]
fn skip_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', tail @ ..] = bytes {
        bytes = tail;
    }
    bytes
}

/// Length of a quoted string at the start of `bytes`, quotes included; `None` when it does not end.
#[inline]
fn quoted_len(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        // The lexers' dot: an escaped newline does not match.
        if bytes.get(at + 1)? == &b'\n' {
            return None;
        }
        at += 2;
    }
}

/// Pull parser over one page. After an error or the end it yields nothing more.
#[derive(Debug)]
pub struct Parser<'a> {
    page: &'a [u8],
    at: usize,
    format: TextFormat,
    kind: MetricKind,
    /// The page as a whole is UTF-8: parts need no check of their own.
    utf8: bool,
    done: bool,
}

impl<'a> Parser<'a> {
    /// A parser at the start of a page.
    pub fn new(page: &'a [u8], format: TextFormat) -> Self {
        let utf8 = simdutf8::basic::from_utf8(page).is_ok();
        Self { page, at: 0, format, kind: MetricKind::Unknown, utf8, done: false }
    }

    /// The next event, `None` at the end of the page.
    ///
    /// # Errors
    /// [`Error::Text`] with the line and what was expected; the page is refused as a whole.
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<Event<'a>>> {
        self.next_event_hinted(&[])
    }

    /// As [`Parser::next_event`], with the raw bytes of the series that probably comes next (the one that came here in
    /// the last scrape of the target; empty: no idea). A right guess costs one comparison instead of reading labels. The
    /// guess must come from this format's parser; a wrong one changes nothing.
    ///
    /// # Errors
    /// As [`Parser::next_event`].
    #[inline]
    pub fn next_event_hinted(&mut self, hint: &[u8]) -> Result<Option<Event<'a>>> {
        if self.done {
            return Ok(None);
        }
        if !hint.is_empty() && self.rest().starts_with(hint) {
            let start = self.at;
            let end = start + hint.len();
            if let Some(b' ' | b'\t') = self.page.get(end) {
                self.at = end;
                if let Ok(series) = self.after_series(start, end) {
                    return Ok(Some(Event::Series(series)));
                }
                self.at = start;
            }
        }
        let result = match self.format {
            TextFormat::Prometheus => self.next_prometheus(),
            TextFormat::OpenMetrics => self.next_openmetrics(),
        };
        if !matches!(result, Ok(Some(_))) {
            self.done = true;
        }
        result
    }

    fn rest(&self) -> &'a [u8] {
        self.page.get(self.at..).unwrap_or(&[])
    }

    fn peek(&self) -> Option<u8> {
        self.page.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn next_prometheus(&mut self) -> Result<Option<Event<'a>>> {
        loop {
            self.blanks();
            match self.peek() {
                None => return Ok(None),
                Some(b'\n') => self.at += 1,
                Some(b'#') => return self.prometheus_comment(),
                Some(_) => return self.series().map(|series| Some(Event::Series(series))),
            }
        }
    }

    fn prometheus_comment(&mut self) -> Result<Option<Event<'a>>> {
        self.at += 1;
        let before = self.at;
        self.blanks();
        let rest = self.rest();
        let word = match rest.get(..5) {
            Some([b'H', b'E', b'L', b'P', b' ' | b'\t']) if self.at > before => b'H',
            Some([b'T', b'Y', b'P', b'E', b' ' | b'\t']) if self.at > before => b'T',
            _ => {
                let Some(end) = memchr(b'\n', rest) else {
                    self.at = self.page.len();
                    return Ok(None);
                };
                self.at += end + 1;
                return Ok(Some(Event::Comment));
            }
        };
        self.at += 5;
        self.blanks();
        let name = self.meta_name()?;
        let line = self.rest();
        let end = memchr(b'\n', line).ok_or_else(|| self.error("linebreak expected after metadata"))?;
        let text = line.get(1..end).unwrap_or(&[]);
        let event = if word == b'H' {
            let text = utf8(text).map_err(|_| self.error("help text is not valid UTF-8"))?;
            Event::Help { name, text }
        } else {
            Event::Type { name, kind: self.set_kind(text)? }
        };
        self.at += end + 1;
        Ok(Some(event))
    }

    fn set_kind(&mut self, text: &[u8]) -> Result<MetricKind> {
        let kind = kind_of(text, self.format)
            .ok_or_else(|| self.error(&format!("invalid metric type {:?}", String::from_utf8_lossy(text))))?;
        self.kind = kind;
        Ok(kind)
    }

    /// Name in a metadata line, quoted or bare.
    fn meta_name(&mut self) -> Result<&'a str> {
        let rest = self.rest();
        let (name, len) = match rest.first() {
            Some(b'"') => {
                let len = quoted_len(rest).ok_or_else(|| self.error("expected metric name"))?;
                (&rest[1..len - 1], len)
            }
            Some(first) if is_metric_byte(*first) && !first.is_ascii_digit() => {
                let len = rest.iter().position(|b| !is_metric_byte(*b)).unwrap_or(rest.len());
                (&rest[..len], len)
            }
            _ => return Err(self.error("expected metric name")),
        };
        self.at += len;
        utf8(name).map_err(|_| self.error("metric name is not valid UTF-8"))
    }

    fn next_openmetrics(&mut self) -> Result<Option<Event<'a>>> {
        match self.peek() {
            None => return Err(self.error("data does not end with # EOF")),
            Some(b'#') => {}
            Some(_) => return self.series().map(|series| Some(Event::Series(series))),
        }
        let rest = self.rest();
        let word = match rest.get(..5) {
            Some(b"# EOF") => {
                if !matches!(&rest[5..], b"" | b"\n") {
                    return Err(self.error("unexpected data after # EOF"));
                }
                self.at = self.page.len();
                return Ok(None);
            }
            Some(b"# HEL") if rest.starts_with(b"# HELP ") => b'H',
            Some(b"# TYP") if rest.starts_with(b"# TYPE ") => b'T',
            Some(b"# UNI") if rest.starts_with(b"# UNIT ") => b'U',
            _ => return Err(self.error("expected a valid start token")),
        };
        self.at += 7;
        let name = self.meta_name()?;
        let line = self.rest();
        let end = memchr(b'\n', line).filter(|_| line.first() == Some(&b' '));
        let end = end.ok_or_else(|| self.error("expected text"))?;
        let text = &line[1..end];
        let event = match word {
            b'H' => {
                let text = utf8(text).map_err(|_| self.error("help text is not valid UTF-8"))?;
                Event::Help { name, text }
            }
            b'T' => Event::Type { name, kind: self.set_kind(text)? },
            _ => {
                let unit = utf8(text).map_err(|_| self.error("unit is not valid UTF-8"))?;
                let fits = unit.is_empty() || name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
                if !fits {
                    return Err(self.error(&format!("unit {unit:?} not a suffix of metric {name:?}")));
                }
                Event::Unit { name, unit }
            }
        };
        self.at += end + 1;
        Ok(Some(event))
    }

    /// A sample line: the name or brace stands at the current byte.
    fn series(&mut self) -> Result<Series<'a>> {
        let start = self.at;
        let rest = self.rest();
        let mut named = false;
        match rest.first() {
            Some(b'{') => {}
            Some(first) if is_metric_byte(*first) && !first.is_ascii_digit() => {
                named = true;
                self.at += rest.iter().position(|b| !is_metric_byte(*b)).unwrap_or(rest.len());
            }
            _ => return Err(self.error("expected a valid start token")),
        }
        let mut end = self.at;
        if self.format == TextFormat::Prometheus {
            self.blanks();
        }
        if self.peek() == Some(b'{') {
            self.at += 1;
            self.label_run(&mut named, true)?;
            end = self.at;
        }
        if !named {
            return Err(self.error("metric name not set"));
        }
        self.after_series(start, end)
    }

    /// Labels up to and with the closing brace. `named`: the metric has a name; a quoted string alone sets it.
    fn label_run(&mut self, named: &mut bool, may_name: bool) -> Result<()> {
        let prometheus = self.format == TextFormat::Prometheus;
        let mut first = true;
        loop {
            if prometheus {
                self.blanks();
            }
            let rest = self.rest();
            let quoted = match rest.first() {
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'"') => {
                    let len = quoted_len(rest).ok_or_else(|| self.error("expected label name"))?;
                    self.check_utf8(&rest[..len], "label name")?;
                    self.at += len;
                    true
                }
                Some(b) if is_label_byte(*b) && !b.is_ascii_digit() => {
                    self.at += rest.iter().position(|b| !is_label_byte(*b)).unwrap_or(rest.len());
                    false
                }
                _ if first => return Err(self.error("expected label name or closing brace")),
                _ => return Err(self.error("expected label name")),
            };
            first = false;
            if prometheus {
                self.blanks();
            }
            match self.peek() {
                Some(b'=') => self.at += 1,
                Some(b',' | b'}') if quoted && may_name => {
                    if std::mem::replace(named, true) {
                        return Err(self.error("metric name already set"));
                    }
                    if self.peek() == Some(b',') {
                        self.at += 1;
                    }
                    continue;
                }
                _ => return Err(self.error("expected equal")),
            }
            if prometheus {
                self.blanks();
            }
            let rest = self.rest();
            let len = quoted_len(rest).ok_or_else(|| self.error("expected label value"))?;
            if !prometheus && memchr(b'\n', &rest[..len]).is_some() {
                return Err(self.error("expected label value"));
            }
            self.check_utf8(&rest[..len], "label value")?;
            self.at += len;
            if prometheus {
                self.blanks();
            }
            match self.peek() {
                Some(b',') if !prometheus && self.rest().get(1) == Some(&b'}') => {
                    return Err(self.error("expected label name"));
                }
                Some(b',') => self.at += 1,
                Some(b'}') => {}
                // Prometheus text lets labels stand without a comma between them.
                _ if prometheus => {}
                _ => return Err(self.error("expected comma or closing brace")),
            }
        }
    }

    fn check_utf8(&self, bytes: &[u8], what: &str) -> Result<()> {
        if self.utf8 || std::str::from_utf8(bytes).is_ok() {
            return Ok(());
        }
        Err(self.error(&format!("invalid UTF-8 in {what}")))
    }

    /// Value, timestamp and exemplar: the current byte is the one behind the series.
    #[inline]
    fn after_series(&mut self, start: usize, end: usize) -> Result<Series<'a>> {
        let raw = self.page.get(start..end).unwrap_or(&[]);
        let (mut timestamp_ms, mut exemplar) = (None, None);
        let value;
        if self.format == TextFormat::Prometheus {
            self.blanks();
            value = self.float("value", true)?;
            self.blanks();
            if self.peek() != Some(b'\n') {
                timestamp_ms = Some(self.integer_timestamp()?);
                self.blanks();
                if self.peek() != Some(b'\n') {
                    return Err(self.error("expected next entry after timestamp"));
                }
            }
        } else {
            self.one_blank("expected value after metric")?;
            value = self.float("value", false)?;
            if self.peek() == Some(b' ') && !self.rest().starts_with(b" # {") {
                self.at += 1;
                timestamp_ms = Some(self.seconds("timestamp")?);
            }
            if self.rest().starts_with(b" # {") {
                let name = SeriesLabels::new(raw).name.unwrap_or(&[]);
                if !name.ends_with(b"_total") && !name.ends_with(b"_bucket") {
                    return Err(self.error("this metric name does not support exemplars"));
                }
                self.at += 3;
                exemplar = Some(self.exemplar()?);
            }
            match self.peek() {
                Some(b'\n') => {}
                None => return Err(self.error("data does not end with # EOF")),
                _ => return Err(self.error("expected timestamp or new record")),
            }
        }
        self.at += 1;
        Ok(Series { raw, value, timestamp_ms, exemplar, kind: self.kind })
    }

    fn one_blank(&mut self, expected: &str) -> Result<()> {
        if self.peek() != Some(b' ') {
            return Err(self.error(expected));
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn token(&self, tabs: bool) -> &'a [u8] {
        let rest = self.rest();
        let end = rest.iter().position(|b| matches!(b, b' ' | b'\n') || (tabs && matches!(b, b'\t' | b'{')));
        &rest[..end.unwrap_or(rest.len())]
    }

    #[inline]
    fn float(&mut self, what: &str, tabs: bool) -> Result<f64> {
        let token = self.token(tabs);
        let Some(value) = parse_float(token) else {
            return Err(self.error(&format!("expected {what}, got {:?}", String::from_utf8_lossy(token))));
        };
        self.at += token.len();
        Ok(value)
    }

    fn integer_timestamp(&mut self) -> Result<i64> {
        let rest = self.rest();
        let len = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
        let number = std::str::from_utf8(&rest[..len]).ok().and_then(|digits| digits.parse().ok());
        let Some(number) = number else {
            return Err(self.error("expected timestamp or new record"));
        };
        self.at += len;
        Ok(number)
    }

    fn seconds(&mut self, what: &str) -> Result<i64> {
        let seconds = self.float(what, false)?;
        if !seconds.is_finite() {
            return Err(self.error(&format!("invalid {what} {seconds}")));
        }
        Ok((seconds * 1000.0) as i64)
    }

    fn exemplar(&mut self) -> Result<ExemplarRef<'a>> {
        let start = self.at;
        self.at += 1;
        self.label_run(&mut true, false)?;
        let raw_labels = &self.page[start..self.at];
        self.one_blank("expected value after exemplar labels")?;
        let value = self.float("exemplar value", false)?;
        let mut timestamp_ms = None;
        if self.peek() == Some(b' ') {
            self.at += 1;
            timestamp_ms = Some(self.seconds("exemplar timestamp")?);
        }
        Ok(ExemplarRef { raw_labels, value, timestamp_ms })
    }

    #[cold]
    fn error(&self, message: &str) -> Error {
        let at = self.at.min(self.page.len());
        let line = memchr::memchr_iter(b'\n', &self.page[..at]).count() + 1;
        let start = memchr::memrchr(b'\n', &self.page[..at]).map_or(0, |newline| newline + 1);
        let end = memchr(b'\n', &self.page[at..]).map_or(self.page.len(), |newline| at + newline);
        let mut text = String::from_utf8_lossy(&self.page[start..end]).into_owned();
        if let Some((cut, _)) = text.char_indices().nth(120) {
            text.truncate(cut);
            text.push('…');
        }
        let column = at - start + 1;
        Error::Text { line, message: format!("{message} at column {column} of {text:?}") }
    }
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
