//! `stage.match`: stages for entries that a selector picks.
//!
//! The selector is LogQL's stream selector with line filters behind it: `{job="titan", level=~"e.*"} |= "timeout"`.

use model::regex::{Flags, GoRegex};
use model::{MatchOp, Matcher};

use super::{Item, Pipeline, Result, Stage, StageContext};
use crate::agent::syntax::{Args, Diag};

/// A line filter.
enum LineFilter {
    Contains(String, bool),
    Matches(GoRegex, bool),
}

struct Selector {
    matchers: Vec<Matcher>,
    filters: Vec<LineFilter>,
}

impl Selector {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let fail = |what: &str| format!("selector {text:?}: {what}");
        let mut rest = text.trim_start().strip_prefix('{').ok_or_else(|| fail("must begin with {"))?;
        let mut matchers = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(tail) = rest.strip_prefix('}') {
                rest = tail;
                break;
            }
            let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (name, tail) = rest.split_at(len);
            if name.is_empty() {
                return Err(fail("expected a label name"));
            }
            let tail = tail.trim_start();
            let known =
                [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];
            let found = known.into_iter().find_map(|(sign, op)| tail.strip_prefix(sign).map(|tail| (op, tail)));
            let (op, tail) = found.ok_or_else(|| fail("expected =, !=, =~ or !~"))?;
            let (value, tail) = string(tail.trim_start()).ok_or_else(|| fail("expected a string"))?;
            matchers.push(Matcher::new(op, name, &value).map_err(|e| fail(&e.to_string()))?);
            rest = tail.trim_start();
            if let Some(tail) = rest.strip_prefix(',') {
                rest = tail;
            } else if !rest.starts_with('}') {
                return Err(fail("expected , or }"));
            }
        }
        let mut filters = Vec::new();
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                break;
            }
            let operator = rest.get(..2).ok_or_else(|| fail("expected a line filter"))?;
            if !["|=", "!=", "|~", "!~"].contains(&operator) {
                return Err(fail("expected |=, !=, |~ or !~ (parsers and other stages are not supported here)"));
            }
            let (value, tail) = string(rest[2..].trim_start()).ok_or_else(|| fail("expected a string"))?;
            let regex = |value: &str| GoRegex::new(value, Flags::SEARCH).map_err(|e| fail(&e.to_string()));
            filters.push(match operator {
                "|=" => LineFilter::Contains(value, true),
                "!=" => LineFilter::Contains(value, false),
                "|~" => LineFilter::Matches(regex(&value)?, true),
                _ => LineFilter::Matches(regex(&value)?, false),
            });
            rest = tail;
        }
        Ok(Self { matchers, filters })
    }

    fn picks(&self, item: &Item) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches_labels(&item.entry.labels))
            && self.filters.iter().all(|filter| match filter {
                LineFilter::Contains(text, wanted) => item.entry.line.contains(text.as_str()) == *wanted,
                LineFilter::Matches(regex, wanted) => regex.is_match(&item.entry.line) == *wanted,
            })
    }
}

/// A string in double quotes (with escapes) or backticks at the start of `text`, and what follows.
fn string(text: &str) -> Option<(String, &str)> {
    if let Some(rest) = text.strip_prefix('`') {
        let (value, rest) = rest.split_once('`')?;
        return Some((value.to_owned(), rest));
    }
    let rest = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &rest[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                c @ ('"' | '\\') => value.push(c),
                _ => return None,
            },
            c => value.push(c),
        }
    }
    None
}

pub(super) fn match_stage(args: &mut Args, context: &StageContext, depth: usize) -> Result<Box<dyn Stage>> {
    let pos = args.pos_of("selector");
    let text = args.required("selector")?;
    let selector = Selector::parse(&text).map_err(|message| Diag::new(&pos, message))?;
    let pos = args.pos_of("action");
    let drop = match args.text_or("action", "keep")?.as_str() {
        "keep" => false,
        "drop" => true,
        other => return Err(Diag::new(&pos, format!("unknown action {other:?}"))),
    };
    let reason = args.text_or("drop_counter_reason", "match_stage")?;
    args.text("pipeline_name")?;
    let pipeline = Pipeline::build_at(args, context, depth + 1)?;
    if drop && !pipeline.stages.is_empty() {
        return Err(Diag::new(&args.pos, "stage.match with action = \"drop\" cannot have stages"));
    }
    Ok(Box::new(Match { selector, drop, dropped: context.dropped(&reason), pipeline }))
}

struct Match {
    selector: Selector,
    drop: bool,
    dropped: kit::metrics::Counter,
    pipeline: Pipeline,
}

impl Stage for Match {
    fn process(&mut self, item: Item, out: &mut Vec<Item>) {
        match (self.selector.picks(&item), self.drop) {
            (true, true) => self.dropped.inc(),
            (true, false) => self.pipeline.process(item, out),
            (false, _) => out.push(item),
        }
    }

    fn tick(&mut self, out: &mut Vec<Item>) {
        self.pipeline.tick(out);
    }

    fn flush(&mut self, out: &mut Vec<Item>) {
        self.pipeline.flush(out);
    }

    fn holds_back(&self) -> bool {
        self.pipeline.holds_back()
    }
}
