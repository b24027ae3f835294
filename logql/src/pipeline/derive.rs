//! What a filter of a label says of the line, when a parser makes the label of it.
//!
//! `| json | level="error"` lets no line pass that lacks the text `error`, unless stream or metadata have the label, or the
//! line spells the text with escapes. So buffers can be searched before lines are parsed, and stores can leave blocks out.

use super::names::{NameId, Names};
use super::search::Search;
use super::stages::Stage;
use super::stages::label_filter::{LabelTest, TextTest};

/// Lines that pass contain one of the words, if none of the labels is the stream's or the metadata's.
#[derive(Clone)]
pub(crate) struct Derived {
    pub(crate) labels: Vec<NameId>,
    pub(crate) words: Vec<String>,
    pub(crate) search: Search,
}

/// What JSON and logfmt write for a character that needs no escape.
const ESCAPE: &str = "\\u";

/// What the filters of a pipeline say of lines as they are stored.
pub(crate) fn derive(stages: &[Stage], names: &Names) -> Vec<Derived> {
    let mut found = Vec::new();
    for stage in stages {
        match stage {
            Stage::LabelFilter(test) => {
                let Some((labels, mut words)) = words_of(test, names) else { continue };
                words.push(ESCAPE.to_owned());
                words.sort_unstable();
                words.dedup();
                let Some(search) = Search::new(&words, false) else { continue };
                found.push(Derived { labels, words, search });
            }
            Stage::LineFormat(_) | Stage::LabelFormat(_) | Stage::Unpack(_) | Stage::Decolorize(_) => break,
            _ => {}
        }
    }
    found
}

/// Labels that a test looks at, and texts of which one has to be in a value if it holds.
fn words_of(test: &LabelTest, names: &Names) -> Option<(Vec<NameId>, Vec<String>)> {
    match test {
        LabelTest::Text { label, .. } if names.text(*label).starts_with("__") => None,
        LabelTest::Text { label, test: TextTest::Equal(text) } => Some((vec![*label], vec![verbatim(text)?])),
        LabelTest::Text { label, test: TextTest::Regex(regex) } if !regex.matches_empty() => {
            let exact = regex.required_literals().iter().filter(|literal| !literal.ignore_ascii_case);
            let lists = exact.filter_map(|l| l.any_of.iter().map(|text| verbatim(text)).collect::<Option<Vec<_>>>());
            let best = lists.max_by_key(|list| list.iter().map(String::len).min())?;
            Some((vec![*label], best))
        }
        LabelTest::All(items) => {
            let shortest = |words: &[String]| words.iter().map(String::len).min();
            items.iter().filter_map(|item| words_of(item, names)).max_by_key(|(_, words)| shortest(words))
        }
        LabelTest::Any(items) => {
            let mut all = (Vec::new(), Vec::new());
            for item in items {
                let (labels, words) = words_of(item, names)?;
                all.0.extend(labels);
                all.1.extend(words);
            }
            Some(all)
        }
        _ => None,
    }
}

/// The longest part of a value that stands in the line as it is, or with [`ESCAPE`].
fn verbatim(text: &str) -> Option<String> {
    let odd = |c: char| c.is_control() || matches!(c, ' ' | '/' | '"' | '\'' | '\\' | '\u{fffd}');
    let longest = text.split(odd).max_by_key(|part| part.len())?;
    (longest.len() >= 2).then(|| longest.to_owned())
}
