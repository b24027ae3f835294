//! Stages that take a line apart: `json`, `logfmt`, `regex`, `pattern`, `split_json`, `cri`, `docker`.

use std::collections::HashMap;

use model::Labels;
use model::regex::{GoRegex, Groups};
use serde_json::Value as Json;

use super::{Item, Result, Stage, StageContext, each, regex_of, required_regex};
use crate::agent::syntax::{Args, Diag};

/// A step of a path into JSON.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Index(i64),
}

/// The paths of JMESPath: names, quoted names, indexes. Its functions and projections are refused.
fn parse_path(expression: &str) -> std::result::Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = expression.trim();
    let refuse =
        || Err(format!("expression {expression:?}: only names and indexes are supported, such as a.\"b c\"[0]"));
    if rest == "@" {
        return Ok(steps);
    }
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('[') {
            let Some((index, tail)) = tail.split_once(']') else { return refuse() };
            let Ok(index) = index.trim().parse() else { return refuse() };
            steps.push(Step::Index(index));
            rest = tail.strip_prefix('.').unwrap_or(tail);
        } else if let Some(tail) = rest.strip_prefix('"') {
            let Some((name, tail)) = tail.split_once('"') else { return refuse() };
            steps.push(Step::Key(name.to_owned()));
            rest = tail.strip_prefix('.').unwrap_or(tail);
        } else {
            let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            if len == 0 {
                return refuse();
            }
            let (name, tail) = rest.split_at(len);
            steps.push(Step::Key(name.to_owned()));
            rest = match tail.as_bytes().first() {
                None | Some(b'[') => tail,
                Some(b'.') if tail.len() > 1 => &tail[1..],
                Some(_) => return refuse(),
            };
        }
    }
    Ok(steps)
}

fn walk<'j>(json: &'j Json, steps: &[Step]) -> &'j Json {
    let mut value = json;
    for step in steps {
        let next = match (step, value) {
            (Step::Key(name), Json::Object(fields)) => fields.get(name),
            (Step::Index(at), Json::Array(items)) => {
                let at = if *at < 0 { items.len() as i64 + at } else { *at };
                usize::try_from(at).ok().and_then(|at| items.get(at))
            }
            _ => None,
        };
        value = next.unwrap_or(&Json::Null);
    }
    value
}

pub(super) fn json(args: &mut Args, context: &StageContext) -> Result<Box<dyn Stage>> {
    let pos = args.pos_of("expressions");
    let mut paths = Vec::new();
    for (name, expression) in args.text_map("expressions")? {
        let expression = expression.filter(|text| !text.is_empty()).unwrap_or_else(|| format!("\"{name}\""));
        paths.push((name, parse_path(&expression).map_err(|message| Diag::new(&pos, message))?));
    }
    let names = regex_of(args, "regex")?;
    let source = args.text_or("source", "")?;
    let drop_malformed = args.bool_or("drop_malformed", false)?;
    if paths.is_empty() && names.is_none() {
        return Err(Diag::new(&args.pos, "stage.json needs expressions"));
    }
    let dropped = context.dropped("malformed_json");
    Ok(Box::new(JsonStage { paths, names, source, drop_malformed, dropped }))
}

struct JsonStage {
    paths: Vec<(String, Vec<Step>)>,
    names: Option<GoRegex>,
    source: String,
    drop_malformed: bool,
    dropped: kit::metrics::Counter,
}

impl Stage for JsonStage {
    fn process(&mut self, mut item: Item, out: &mut Vec<Item>) {
        let parsed = item.source(&self.source).and_then(|text| serde_json::from_str::<Json>(&text).ok());
        match parsed.filter(Json::is_object) {
            Some(json) => {
                for (name, steps) in &self.paths {
                    let value = walk(&json, steps);
                    // Objects and lists are kept as text, as the peer does.
                    let value = match value {
                        Json::Object(_) | Json::Array(_) => Json::from(value.to_string()),
                        value => value.clone(),
                    };
                    item.extract(name.clone(), value);
                }
                if let (Some(names), Json::Object(fields)) = (&self.names, &json) {
                    for (name, value) in fields.iter().filter(|(name, _)| names.is_match(name)) {
                        item.extract(name.clone(), value.clone());
                    }
                }
            }
            None if self.drop_malformed => {
                self.dropped.inc();
                return;
            }
            None => {}
        }
        out.push(item);
    }
}

/// `key=value key="quoted \" value" flag`
pub(super) fn logfmt_pairs(line: &str) -> Vec<(&str, String)> {
    let mut pairs = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(|c: char| c <= ' ');
        if rest.is_empty() {
            return pairs;
        }
        let len = rest.find(|c: char| c <= ' ' || c == '=').unwrap_or(rest.len());
        let (key, tail) = rest.split_at(len);
        let Some(tail) = tail.strip_prefix('=') else {
            if !key.is_empty() {
                pairs.push((key, String::new()));
            }
            rest = tail;
            continue;
        };
        if let Some(quoted) = tail.strip_prefix('"') {
            let mut value = String::new();
            let mut end = quoted.len();
            let mut chars = quoted.char_indices();
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    '\\' => match chars.next() {
                        Some((_, 'n')) => value.push('\n'),
                        Some((_, 't')) => value.push('\t'),
                        Some((_, 'r')) => value.push('\r'),
                        Some((_, c)) => value.push(c),
                        None => {}
                    },
                    c => value.push(c),
                }
            }
            if !key.is_empty() {
                pairs.push((key, value));
            }
            rest = quoted.get(end..).unwrap_or("");
        } else {
            let len = tail.find(|c: char| c <= ' ').unwrap_or(tail.len());
            if !key.is_empty() {
                pairs.push((key, tail[..len].to_owned()));
            }
            rest = &tail[len..];
        }
    }
}

pub(super) fn logfmt(args: &mut Args) -> Result<Box<dyn Stage>> {
    let mapping = args.text_map("mapping")?;
    let names = regex_of(args, "regex")?;
    let source = args.text_or("source", "")?;
    if mapping.is_empty() && names.is_none() {
        return Err(Diag::new(&args.pos, "stage.logfmt needs a mapping"));
    }
    // The field's name to the names it is kept under.
    let mut wanted: HashMap<String, Vec<String>> = HashMap::new();
    for (name, field) in mapping {
        let field = field.filter(|field| !field.is_empty()).unwrap_or_else(|| name.clone());
        wanted.entry(field).or_default().push(name);
    }
    Ok(each(move |item| {
        let Some(text) = item.source(&source) else { return };
        for (key, value) in logfmt_pairs(&text) {
            for name in wanted.get(key).into_iter().flatten() {
                item.extract(name.clone(), value.clone());
            }
            if names.as_ref().is_some_and(|names| names.is_match(key)) {
                item.extract(key, value);
            }
        }
    }))
}

pub(super) fn regex(args: &mut Args) -> Result<Box<dyn Stage>> {
    let regex = required_regex(args, "expression")?;
    let source = args.text_or("source", "")?;
    let as_labels = args.bool_or("labels_from_groups", false)?;
    let names: Vec<(usize, String)> = regex
        .group_names()
        .enumerate()
        .filter_map(|(index, name)| Some((index, name.filter(|name| !name.is_empty())?.to_owned())))
        .collect();
    if names.is_empty() {
        return Err(Diag::new(&args.pos, "expression has no named group"));
    }
    Ok(each(move |item| {
        let Some(text) = item.source(&source) else { return };
        let mut groups = Groups::default();
        if !regex.captures_into(text.as_bytes(), &mut groups) {
            return;
        }
        for (index, name) in &names {
            let value = groups.get(*index).and_then(|range| text.get(range)).unwrap_or("").to_owned();
            if as_labels {
                item.set_label(name, &value);
            }
            item.extract(name.clone(), value);
        }
    }))
}

/// A part of a pattern: text, or a name (`<_>` is none).
enum Part {
    Text(String),
    Name(Option<String>),
}

pub(super) fn pattern(args: &mut Args) -> Result<Box<dyn Stage>> {
    let pattern = args.required("pattern")?;
    let source = args.text_or("source", "")?;
    let as_labels = args.bool_or("labels_from_groups", false)?;
    let parts = parse_pattern(&pattern).map_err(|message| Diag::new(&args.pos, message))?;
    Ok(each(move |item| {
        let Some(text) = item.source(&source) else { return };
        for (name, value) in match_pattern(&parts, &text) {
            if as_labels {
                item.set_label(name, value);
            }
            item.extract(name, value);
        }
    }))
}

fn parse_pattern(pattern: &str) -> std::result::Result<Vec<Part>, String> {
    let mut parts: Vec<Part> = Vec::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        let capture = rest.strip_prefix('<').and_then(|tail| tail.split_once('>')).filter(|(name, _)| {
            let mut chars = name.chars();
            chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        if let Some((name, tail)) = capture {
            if matches!(parts.last(), Some(Part::Name(_))) {
                return Err(format!("pattern {pattern:?} has two names with nothing between them"));
            }
            parts.push(Part::Name((name != "_").then(|| name.to_owned())));
            rest = tail;
            continue;
        }
        let len = rest.char_indices().skip(1).find(|(_, c)| *c == '<').map_or(rest.len(), |(at, _)| at);
        let (text, tail) = rest.split_at(len);
        match parts.last_mut() {
            Some(Part::Text(before)) => before.push_str(text),
            _ => parts.push(Part::Text(text.to_owned())),
        }
        rest = tail;
    }
    if !parts.iter().any(|part| matches!(part, Part::Name(Some(_)))) {
        return Err(format!("pattern {pattern:?} has no name"));
    }
    Ok(parts)
}

/// Names and what stands at their places, as far as the pattern fits.
fn match_pattern<'p, 't>(parts: &'p [Part], text: &'t str) -> Vec<(&'p str, &'t str)> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut open: Option<&Option<String>> = None;
    for part in parts {
        match part {
            Part::Name(name) => open = Some(name),
            Part::Text(literal) => match open.take() {
                None => match rest.strip_prefix(literal.as_str()) {
                    Some(tail) => rest = tail,
                    None => return found,
                },
                Some(name) => {
                    let Some((value, tail)) = rest.split_once(literal.as_str()) else { return found };
                    if let Some(name) = name {
                        found.push((name.as_str(), value));
                    }
                    rest = tail;
                }
            },
        }
    }
    if let Some(Some(name)) = open {
        found.push((name.as_str(), rest));
    }
    found
}

pub(super) fn split_json(args: &mut Args) -> Result<Box<dyn Stage>> {
    let source = args.text_or("source", "")?;
    Ok(Box::new(SplitJson { source }))
}

/// A line that is a list becomes a line for each of its items.
struct SplitJson {
    source: String,
}

impl Stage for SplitJson {
    fn process(&mut self, item: Item, out: &mut Vec<Item>) {
        let parsed = item.source(&self.source).and_then(|text| serde_json::from_str(&text).ok());
        let Some(Json::Array(parts)) = parsed else {
            out.push(item);
            return;
        };
        for part in parts {
            let mut one = item.clone();
            one.entry.line = match part {
                Json::String(text) => text,
                other => other.to_string(),
            };
            out.push(one);
        }
    }
}

pub(super) fn docker() -> Box<dyn Stage> {
    each(|item| {
        let Ok(Json::Object(fields)) = serde_json::from_str(&item.entry.line) else { return };
        let text = |name: &str| fields.get(name).and_then(Json::as_str).map(str::to_owned);
        if let Some(stream) = text("stream") {
            item.set_label("stream", &stream);
        }
        if let Some(time) = text("time").and_then(|time| wire::loki::parse_rfc3339_ns(&time)) {
            item.entry.timestamp_ns = time;
        }
        if let Some(line) = text("log") {
            item.entry.line = line.strip_suffix('\n').unwrap_or(&line).to_owned();
        }
    })
}

pub(super) fn cri(args: &mut Args) -> Result<Box<dyn Stage>> {
    Ok(Box::new(Cri {
        max_lines: args.count_or("max_partial_lines", 100)?.max(1),
        max_size: args.size_or("max_partial_line_size", 0)? as usize,
        truncate: args.bool_or("max_partial_line_size_truncate", false)?,
        open: HashMap::new(),
    }))
}

/// `2026-11-23T00:38:27.123Z stdout F the line`; `P` instead of `F` is a part of a line.
struct Cri {
    max_lines: usize,
    max_size: usize,
    truncate: bool,
    /// Parts by stream, with the entry of the first one.
    open: HashMap<Labels, Item>,
}

impl Stage for Cri {
    fn process(&mut self, mut item: Item, out: &mut Vec<Item>) {
        let parts: Vec<&str> = item.entry.line.splitn(4, ' ').collect();
        let [time, stream, flag, content] = parts.as_slice() else {
            out.push(item);
            return;
        };
        let (Some(time), true) = (wire::loki::parse_rfc3339_ns(time), matches!(*stream, "stdout" | "stderr")) else {
            out.push(item);
            return;
        };
        let (stream, content) = ((*stream).to_owned(), (*content).to_owned());
        let part = flag.split(':').next() == Some("P");
        item.entry.timestamp_ns = time;
        item.set_label("stream", &stream);
        item.entry.line = content;
        let key = item.entry.labels.clone();
        if part {
            match self.open.get_mut(&key) {
                Some(open) => append(open, &item.entry.line, self.max_size, self.truncate),
                None => {
                    if self.open.len() >= self.max_lines {
                        out.extend(self.open.drain().map(|(_, item)| item));
                    }
                    self.open.insert(key, item);
                }
            }
            return;
        }
        if let Some(mut open) = self.open.remove(&key) {
            append(&mut open, &item.entry.line, self.max_size, self.truncate);
            item.entry.line = open.entry.line;
            // The first part's acknowledgement holds the later ones' places.
            item.entry.ack = open.entry.ack;
        }
        out.push(item);
    }

    fn flush(&mut self, out: &mut Vec<Item>) {
        out.extend(self.open.drain().map(|(_, item)| item));
    }
}

fn append(item: &mut Item, part: &str, max: usize, truncate: bool) {
    let line = &mut item.entry.line;
    line.push_str(part);
    if truncate && max > 0 && line.len() > max {
        let mut end = max;
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
    }
}
