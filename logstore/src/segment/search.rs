//! Which lines of a segment contain a needle, found out from templates and columns before any line is put together.
//!
//! A needle stands in a line either in the text of the template, or in a field, or across both: a [`Way`] is one such
//! place, as conditions on fields that all have to hold. [`Plan`] finds the ways for each template that is asked for,
//! drops those that the columns rule out, and keeps what is left for all units of a selection.

use std::sync::{Arc, OnceLock};

use memchr::memmem;

use super::column::{Condition, Decoded, OwnedCondition, Rows, Test, Verdict, prepare};
use super::directory::{Directory, Pages, TableInfo};
use super::words::WordHits;
use crate::error::Error;
use crate::needles::Needles;

/// More ways than this are not looked for: the lines of the template are searched as text.
const MAX_WAYS: usize = 200;

/// Conditions on fields, by the fields' places in the template, that all have to hold.
type Way<'n> = Vec<(usize, Condition<'n>)>;

/// The needles of a selection, for one segment.
#[derive(Debug)]
pub(crate) struct Plan {
    needles: Arc<Needles>,
    /// For each template, once one is asked for.
    templates: OnceLock<Vec<OnceLock<TemplatePlan>>>,
    hits: WordHits,
}

/// What is known of the lines of a template.
#[derive(Debug)]
pub(super) enum TemplatePlan {
    /// No line has all that is wanted.
    Never,
    /// The rows that have it are found field by field: for each group one of the ways has to hold.
    Groups(Vec<Vec<PreparedWay>>),
    /// The lines have to be searched as text.
    Lines,
}

/// A way that the columns do not rule out: what is left to be tested.
type PreparedWay = Vec<(usize, OwnedCondition, Test)>;

impl Plan {
    /// `None` when there are no needles.
    pub(crate) fn new(needles: &Arc<Needles>) -> Option<Self> {
        let plan = || Self { needles: needles.clone(), templates: OnceLock::new(), hits: WordHits::default() };
        (!needles.is_empty()).then(plan)
    }

    /// What is known of a template.
    pub(super) fn template(&self, directory: &Directory, pages: &Pages, template: u32) -> Result<&TemplatePlan, Error> {
        let templates = self.templates.get_or_init(|| directory.lines.iter().map(|_| OnceLock::new()).collect());
        let (Some(known), Some(table)) = (templates.get(template as usize), directory.lines.get(template as usize))
        else {
            return Err(pages.damaged(0, "template that is not there"));
        };
        if let Some(plan) = known.get() {
            return Ok(plan);
        }
        let plan = self.make(directory, pages, table)?;
        Ok(known.get_or_init(|| plan))
    }

    fn make(&self, directory: &Directory, pages: &Pages, table: &TableInfo) -> Result<TemplatePlan, Error> {
        let literals: Vec<&[u8]> = table.literals().collect();
        let inner = literals.get(1..literals.len().saturating_sub(1)).unwrap_or(&[]);
        if table.columns.is_empty() && literals.len() > 1 || inner.iter().any(|literal| literal.is_empty()) {
            return Ok(TemplatePlan::Lines);
        }
        let mut groups = Vec::new();
        'groups: for group in self.needles.groups() {
            let mut prepared = Vec::new();
            for needle in group {
                let Some(ways) = ways(&literals, needle.needle()) else { return Ok(TemplatePlan::Lines) };
                for way in ways {
                    match prepare_way(directory, pages, table, &self.hits, way)? {
                        Some(tests) if tests.is_empty() => continue 'groups,
                        Some(tests) => prepared.push(tests),
                        None => {}
                    }
                }
            }
            if prepared.is_empty() {
                return Ok(TemplatePlan::Never);
            }
            groups.push(prepared);
        }
        Ok(TemplatePlan::Groups(groups))
    }
}

/// What of a way is left to be tested; nothing: it holds for every row; `None`: for no row.
fn prepare_way(
    directory: &Directory,
    pages: &Pages,
    table: &TableInfo,
    hits: &WordHits,
    way: Way<'_>,
) -> Result<Option<PreparedWay>, Error> {
    let words = directory.words();
    let mut tests = Vec::new();
    for (field, condition) in way {
        let (column, payload) = directory.column(pages, table, field)?;
        match prepare(column, &payload, words, hits, condition)? {
            Verdict::Never => return Ok(None),
            Verdict::Always => {}
            Verdict::Some(test) => tests.push((field, condition.to_owned(), test)),
        }
    }
    Ok(Some(tests))
}

/// All ways in which a needle can stand in a line of a template with this text before, between and after its fields (which are
/// never empty). `None`: there are too many.
fn ways<'n>(literals: &[&[u8]], needle: &'n [u8]) -> Option<Vec<Way<'n>>> {
    let mut search = Search { literals, ways: Vec::new() };
    for (at, literal) in literals.iter().enumerate() {
        if memmem::find(literal, needle).is_some() {
            return Some(vec![Vec::new()]);
        }
        // It begins in this literal and goes on in the field after it.
        for overlap in 1..needle.len().min(literal.len() + 1) {
            if literal.ends_with(&needle[..overlap]) && at + 1 < literals.len() {
                search.field(at, &needle[overlap..], &mut Vec::new())?;
            }
        }
        // It begins in the field before this literal.
        if let Some(field) = at.checked_sub(1) {
            search.ways.push(vec![(field, Condition::Contains(needle))]);
            for begin in 1..needle.len() {
                let rest = &needle[begin..];
                if literal.starts_with(rest) {
                    search.ways.push(vec![(field, Condition::EndsWith(&needle[..begin]))]);
                } else if rest.starts_with(literal) && !literal.is_empty() && at + 1 < literals.len() {
                    let mut way = vec![(field, Condition::EndsWith(&needle[..begin]))];
                    search.field(at, &rest[literal.len()..], &mut way)?;
                }
            }
        }
        if search.ways.len() > MAX_WAYS {
            return None;
        }
    }
    Some(search.ways)
}

struct Search<'l, 'n> {
    literals: &'l [&'l [u8]],
    ways: Vec<Way<'n>>,
}

impl<'n> Search<'_, 'n> {
    /// What is left of the needle (something is) begins with the field after literal `at`.
    fn field(&mut self, at: usize, rest: &'n [u8], way: &mut Way<'n>) -> Option<()> {
        if self.ways.len() > MAX_WAYS {
            return None;
        }
        // It ends in the field.
        let mut ended = way.clone();
        ended.push((at, Condition::StartsWith(rest)));
        self.ways.push(ended);
        let literal = self.literals[at + 1];
        for end in 1..rest.len() {
            let after = &rest[end..];
            way.push((at, Condition::Equals(&rest[..end])));
            if literal.starts_with(after) {
                self.ways.push(way.clone());
            } else if after.starts_with(literal) && !literal.is_empty() && at + 2 < self.literals.len() {
                self.field(at + 1, &after[literal.len()..], way)?;
            }
            way.pop();
        }
        Some(())
    }
}

impl TemplatePlan {
    /// Whether the times of the entries have to be known.
    pub(super) fn needs_times(&self) -> bool {
        let Self::Groups(groups) = self else { return true };
        groups.iter().flatten().flatten().any(|(.., test)| matches!(test, Test::Each))
    }

    /// Keeps of rows (ascending) of a template those that have all that is wanted.
    pub(super) fn retain(
        &self,
        directory: &Directory,
        pages: &Pages,
        table: &TableInfo,
        entry_ns: impl Fn(u32) -> i64,
        rows: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let Self::Groups(groups) = self else { return Ok(()) };
        let words = directory.words();
        let mut decoded = Decoded::default();
        for ways in groups {
            let mut found: Vec<u32> = Vec::new();
            for way in ways {
                let mut left = rows.clone();
                for (field, condition, test) in way {
                    if left.is_empty() {
                        break;
                    }
                    let (column, payload) = directory.column(pages, table, *field)?;
                    let of = Rows { column, payload: &payload, words, entry_ns: &entry_ns };
                    test.retain(&of, condition.get(), &mut decoded, &mut left)?;
                }
                found.append(&mut left);
            }
            if ways.len() > 1 {
                found.sort_unstable();
                found.dedup();
            }
            *rows = found;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ways_of_a_needle() {
        let literals: [&[u8]; 3] = [b"a=", b" b=", b"!"];
        let show = |needle: &str| -> Vec<String> {
            let ways = ways(&literals, needle.as_bytes()).unwrap();
            let condition = |(field, condition): &(usize, Condition<'_>)| {
                let text = String::from_utf8_lossy(condition.text()).into_owned();
                let kind = match condition {
                    Condition::Contains(_) => "*",
                    Condition::StartsWith(_) => "^",
                    Condition::EndsWith(_) => "$",
                    Condition::Equals(_) => "=",
                };
                format!("{field}{kind}{text}")
            };
            ways.iter().map(|way| way.iter().map(condition).collect::<Vec<_>>().join(" ")).collect()
        };
        assert_eq!(show("b="), [""]);
        assert_eq!(show("x"), ["0*x", "1*x"]);
        assert_eq!(show("a=x"), ["0^x", "0*a=x", "1*a=x"]);
        assert_eq!(show("x b=y"), ["0*x b=y", "0$x 1^y", "1*x b=y"]);
        assert_eq!(
            show("a=1 b=2!"),
            ["0^1 b=2!", "0=1 1^2!", "0=1 1=2", "0*a=1 b=2!", "0$a=1 1^2!", "0$a=1 1=2", "1*a=1 b=2!", "1$a=1 b=2"]
        );
        assert!(ways(&[&b""[..]; 3], &[b'x'; 300]).is_some());
    }

    proptest! {
        /// A line contains a needle exactly when one of the ways holds.
        #[test]
        fn ways_are_complete(literals in prop::collection::vec("[ab ]{1,3}", 2..5), fields in prop::collection::vec("[ab ]{1,4}", 4), needle in "[ab ]{1,6}", open in any::<(bool, bool)>()) {
            let mut literals: Vec<&[u8]> = literals.iter().map(|l| l.as_bytes()).collect();
            let last = literals.len() - 1;
            if open.0 { literals[0] = b""; }
            if open.1 { literals[last] = b""; }
            let mut line = literals[0].to_vec();
            for (field, literal) in fields.iter().zip(&literals[1..]) {
                line.extend_from_slice(field.as_bytes());
                line.extend_from_slice(literal);
            }
            let want = memmem::find(&line, needle.as_bytes()).is_some();
            let ways = ways(&literals, needle.as_bytes()).unwrap();
            let got = ways.iter().any(|way| way.iter().all(|(field, condition)| condition.holds(fields[*field].as_bytes())));
            prop_assert_eq!(got, want, "{:?} in {:?}", needle, String::from_utf8_lossy(&line));
        }
    }
}
