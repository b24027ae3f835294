//! Stages that change the line or a value: `output`, `replace`, `template`, `truncate`, `pack`, `luhn`, `decolorize`.

use gotemplate::{Context, MissingKey, TemplateSet, Value, sets};
use kit::metrics::Vector;
use model::regex::Groups;
use serde_json::Value as Json;

use super::{Item, Result, Stage, StageContext, each, regex_of, required_regex};
use crate::agent::syntax::{Args, Diag};

pub(super) fn output(args: &mut Args) -> Result<Box<dyn Stage>> {
    let source = args.required("source")?;
    Ok(each(move |item| {
        if let Some(text) = item.text(&source) {
            item.entry.line = text;
        }
    }))
}

/// Sets the line, or the value when it has a name.
fn store(item: &mut Item, name: &str, text: String) {
    if name.is_empty() {
        item.entry.line = text;
    } else {
        item.extract(name, text);
    }
}

fn parse_template(args: &Args, text: &str) -> Result<TemplateSet> {
    TemplateSet::of("pipeline_template", text, &sets::agent(), MissingKey::Default)
        .map_err(|error| Diag::new(&args.pos, error.to_string()))
}

/// Renders with the extracted values and two more.
fn render(set: &TemplateSet, item: &Item, value: &str) -> Option<String> {
    let now = jiff::Timestamp::now();
    let context = Context::at(now);
    let mut fields: Vec<(String, Value<'_>)> = Vec::with_capacity(item.extracted.len() + 2);
    for (name, json) in &item.extracted {
        let value = match json {
            Json::Null => Value::Nil,
            Json::Bool(b) => Value::Bool(*b),
            Json::Number(n) => n.as_f64().map_or(Value::Nil, Value::Float),
            Json::String(text) => Value::text(text.as_str()),
            other => Value::text(other.to_string()),
        };
        fields.push((name.clone(), value));
    }
    fields.push(("Value".into(), Value::text(value)));
    fields.push(("Entry".into(), Value::text(item.entry.line.as_str())));
    set.render(Value::map(fields), &context).ok()
}

pub(super) fn template(args: &mut Args) -> Result<Box<dyn Stage>> {
    let source = args.required("source")?;
    let text = args.required("template")?;
    let set = parse_template(args, &text)?;
    Ok(each(move |item| {
        let value = item.text(&source).unwrap_or_default();
        match render(&set, item, &value) {
            Some(text) if text.is_empty() => {
                item.extracted.remove(&source);
            }
            Some(text) => item.extract(source.clone(), text),
            None => {}
        }
    }))
}

pub(super) fn replace(args: &mut Args) -> Result<Box<dyn Stage>> {
    let regex = required_regex(args, "expression")?;
    let source = args.text_or("source", "")?;
    let text = args.text_or("replace", "")?;
    let set = parse_template(args, &text)?;
    Ok(each(move |item| {
        let Some(subject) = item.source(&source) else { return };
        let mut out = String::new();
        let mut end = 0;
        let mut named: Vec<(String, String)> = Vec::new();
        let mut matches: Vec<Groups> = Vec::new();
        regex.for_each_match(subject.as_bytes(), |groups| matches.push(groups.clone()));
        for groups in &matches {
            // Every group is replaced by what the template makes of it; without groups the whole match is.
            let count = regex.group_count();
            let ranges: Vec<_> = if count > 1 {
                (1..count).filter_map(|index| groups.get(index)).collect()
            } else {
                groups.get(0).into_iter().collect()
            };
            for range in ranges {
                if range.start < end {
                    continue;
                }
                let (Some(before), Some(found)) = (subject.get(end..range.start), subject.get(range.clone())) else {
                    continue;
                };
                out.push_str(before);
                out.push_str(&render(&set, item, found).unwrap_or_default());
                end = range.end;
            }
            for (index, name) in regex.group_names().enumerate() {
                if let (Some(name), Some(range)) = (name, groups.get(index))
                    && let Some(value) = subject.get(range)
                {
                    let replaced = render(&set, item, value).unwrap_or_default();
                    named.push((name.to_owned(), replaced));
                }
            }
        }
        if matches.is_empty() {
            return;
        }
        out.push_str(subject.get(end..).unwrap_or(""));
        for (name, value) in named {
            item.extract(name, value);
        }
        store(item, &source, out);
    }))
}

/// A limit of a `rule` block.
struct Truncation {
    limit: usize,
    suffix: String,
    kind: String,
    sources: Vec<String>,
}

pub(super) fn truncate(args: &mut Args, context: &StageContext) -> Result<Box<dyn Stage>> {
    let mut rules = Vec::new();
    for mut block in args.blocks("rule") {
        let limit = block.size_or("limit", 0)? as usize;
        let suffix = block.text_or("suffix", "")?;
        let pos = block.pos_of("source_type");
        let kind = block.text_or("source_type", "line")?;
        if !["line", "label", "structured_metadata", "extracted"].contains(&kind.as_str()) {
            return Err(Diag::new(&pos, format!("unknown source_type {kind:?}")));
        }
        let sources = block.texts("sources")?;
        let pos = block.pos.clone();
        block.finish()?;
        if limit == 0 || limit <= suffix.len() {
            return Err(Diag::new(&pos, "limit must be above zero and above the length of the suffix"));
        }
        rules.push(Truncation { limit, suffix, kind, sources });
    }
    if rules.is_empty() {
        return Err(Diag::new(&args.pos, "stage.truncate needs at least one rule"));
    }
    let (counter, id) = (context.metrics.process_truncated.clone(), context.id.clone());
    Ok(each(move |item| rules.iter().for_each(|rule| apply(rule, item, &counter, &id))))
}

fn apply(rule: &Truncation, item: &mut Item, counter: &Vector<kit::metrics::Counter>, id: &str) {
    let cut = |text: &str| {
        (text.len() > rule.limit).then(|| {
            let mut end = rule.limit - rule.suffix.len();
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            counter.with(&[id, &rule.kind]).inc();
            format!("{}{}", &text[..end], rule.suffix)
        })
    };
    let wanted = |name: &str| rule.sources.is_empty() || rule.sources.iter().any(|source| source == name);
    match rule.kind.as_str() {
        "label" => {
            let labels = item.entry.labels.clone();
            for (name, value) in labels.iter().filter(|(name, _)| wanted(name)) {
                if let Some(value) = cut(value) {
                    item.set_label(name, &value);
                }
            }
        }
        "structured_metadata" => {
            for (_, value) in item.entry.metadata.iter_mut().filter(|(name, _)| wanted(name)) {
                if let Some(new) = cut(value) {
                    *value = new;
                }
            }
        }
        "extracted" => {
            for (_, value) in item.extracted.iter_mut().filter(|(name, _)| wanted(name)) {
                if let Some(new) = value.as_str().and_then(cut) {
                    *value = Json::from(new);
                }
            }
        }
        _ => {
            if let Some(line) = cut(&item.entry.line) {
                item.entry.line = line;
            }
        }
    }
}

pub(super) fn pack(args: &mut Args) -> Result<Box<dyn Stage>> {
    let names = args.texts("labels")?;
    let now = args.bool_or("ingest_timestamp", true)?;
    Ok(each(move |item| {
        let mut packed = serde_json::Map::new();
        for name in &names {
            if let Some(value) = item.entry.labels.get(name) {
                packed.insert(name.clone(), Json::from(value));
            }
        }
        packed.insert("_entry".into(), Json::from(item.entry.line.as_str()));
        item.entry.labels = item.entry.labels.without(|label| names.iter().any(|name| name == label));
        item.entry.line = Json::Object(packed).to_string();
        if now {
            item.entry.timestamp_ns = i64::try_from(kit::time::now_ns()).unwrap_or(i64::MAX);
        }
    }))
}

pub(super) fn luhn(args: &mut Args) -> Result<Box<dyn Stage>> {
    let replacement = args.text_or("replacement", "**REDACTED**")?;
    let min_length = args.count_or("min_length", 13)?.max(2);
    let delimiters = args.text_or("delimiters", "")?;
    let skip = regex_of(args, "skip_regex")?;
    let source = args.text_or("source", "")?;
    Ok(each(move |item| {
        let Some(text) = item.source(&source) else { return };
        let redacted = redact(&text, &replacement, min_length, &delimiters, |found| {
            skip.as_ref().is_some_and(|skip| skip.is_match(found))
        });
        if redacted != text {
            store(item, &source, redacted);
        }
    }))
}

/// Replaces runs of digits (with delimiters between them) that pass Luhn's check.
fn redact(text: &str, replacement: &str, min: usize, delimiters: &str, skip: impl Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut run, mut digits) = (String::new(), Vec::new());
    let end_run = |out: &mut String, run: &mut String, digits: &mut Vec<u32>| {
        // Delimiters at the end do not belong to the number.
        let kept = run.trim_end_matches(|c: char| !c.is_ascii_digit()).len();
        if digits.len() >= min && passes_luhn(digits) && !skip(&run[..kept]) {
            out.push_str(replacement);
            out.push_str(&run[kept..]);
        } else {
            out.push_str(run);
        }
        run.clear();
        digits.clear();
    };
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            run.push(c);
            digits.push(digit);
        } else if !digits.is_empty() && delimiters.contains(c) {
            run.push(c);
        } else {
            end_run(&mut out, &mut run, &mut digits);
            out.push(c);
        }
    }
    end_run(&mut out, &mut run, &mut digits);
    out
}

fn passes_luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| match index % 2 {
            0 => *digit,
            _ if digit * 2 > 9 => digit * 2 - 9,
            _ => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Removes terminal colours.
pub(super) fn decolorize() -> Box<dyn Stage> {
    each(|item| {
        if !item.entry.line.contains('\u{1b}') {
            return;
        }
        let mut out = String::with_capacity(item.entry.line.len());
        let mut chars = item.entry.line.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\u{1b}' && chars.peek() == Some(&'[') {
                chars.next();
                // Parameters, then one letter.
                while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {}
                chars.next();
            } else {
                out.push(c);
            }
        }
        item.entry.line = out;
    })
}
