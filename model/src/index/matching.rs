//! From matchers to ids: set algebra over posting lists, cheapest matcher first.
//!
//! A matcher that a missing label does not satisfy keeps the ids of the values that do; one that a missing label
//! satisfies (`x=""`, `x!="a"`, `x=~"a|"`) takes away the ids of the values that do not. Which values those are is asked of
//! a [`ValueTest`]: literals are looked up, a prefix is a range, and only what is left walks over all values, with an
//! automaton that goes on where the common beginning of two neighbours ends.
//!
//! Invariant: the result equals testing every label set with [`Matcher::matches_labels`].

use std::cmp::Reverse;

use memchr::memmem::Finder;
use regex_automata::Anchored;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_syntax::hir::{Hir, HirKind};
use roaring::RoaringBitmap;

use super::posting::Union;
use super::{IndexError, LabelIndex, Value};
use crate::matcher::{MatchOp, Matcher};

/// More literals than this are no longer looked up one by one.
const MAX_LITERALS: usize = 4_096;

/// An automaton above this size is not built; the expression is then run value by value.
const MAX_AUTOMATON_BYTES: usize = 4 << 20;

/// Below this many values a walk asks the regular expression itself: building an automaton costs more.
const FEW_VALUES: u64 = 512;

/// The ids of the series that satisfy all matchers.
///
/// # Errors
/// When the index is damaged.
pub fn select<I: LabelIndex + ?Sized>(index: &I, matchers: &[Matcher]) -> Result<RoaringBitmap, IndexError> {
    let mut clauses: Vec<Clause<'_>> = matchers.iter().map(Clause::new).collect();
    clauses.sort_by_key(|clause| (clause.subtracts, clause.cost(), Reverse(clause.matcher.value().len())));
    let mut result: Option<RoaringBitmap> = None;
    for clause in &clauses {
        if result.as_ref().is_some_and(RoaringBitmap::is_empty) {
            break;
        }
        let values = clause.ids(index)?;
        result = Some(match (result, clause.subtracts) {
            (None, false) => values,
            (None, true) => index.all()? - values,
            (Some(result), false) => result & values,
            (Some(result), true) => result - values,
        });
    }
    match result {
        Some(result) => Ok(result),
        None => index.all(),
    }
}

/// A matcher, and how it takes part in the algebra.
struct Clause<'a> {
    matcher: &'a Matcher,
    /// Whether the ids found are taken away (a missing label satisfies the matcher) or kept.
    subtracts: bool,
    /// Whether values that pass the test are looked for, or those that do not.
    want: bool,
    test: ValueTest,
}

impl<'a> Clause<'a> {
    fn new(matcher: &'a Matcher) -> Self {
        let subtracts = matcher.matches_empty();
        // Kept: values that satisfy the matcher. Taken away: values that do not. The test is that of the positive operator.
        let want = matcher.op().is_negative() == subtracts;
        Self { matcher, subtracts, want, test: ValueTest::new(matcher) }
    }

    /// Rank: the smaller the cheaper, and the likelier to leave little.
    fn cost(&self) -> u32 {
        match &self.test {
            _ if !self.want => 6,
            ValueTest::Literals(literals) if literals.len() == 1 => 0,
            ValueTest::Literals(_) => 1,
            ValueTest::Prefix(_) => 2,
            ValueTest::Suffix { .. } | ValueTest::Contains { .. } => 3,
            ValueTest::Expression { .. } => 4,
            ValueTest::Any { .. } => 5,
        }
    }

    fn ids<I: LabelIndex + ?Sized>(&self, index: &I) -> Result<RoaringBitmap, IndexError> {
        let mut union = Union::default();
        let name = self.matcher.name();
        match &self.test {
            ValueTest::Literals(literals) if self.want => {
                for literal in literals {
                    index.with_value(name, literal, &mut |ids| union.add(ids))?;
                }
            }
            ValueTest::Any { .. } if !self.want => {
                // Only the empty value can fail the test, and no value is empty.
            }
            test => {
                let mut walker = Walker::new(test, self.matcher, index.value_count(name)?);
                let mut failure = None;
                index.walk(name, if self.want { test.prefix() } else { "" }, &mut |value| {
                    if walker.passes(value) == self.want
                        && let Err(error) = union.add(value.ids)
                    {
                        failure = Some(error);
                        return false;
                    }
                    true
                })?;
                if let Some(error) = failure {
                    return Err(error);
                }
            }
        }
        Ok(union.finish())
    }
}

/// What the positive form of a matcher asks of a value.
#[derive(Debug)]
enum ValueTest {
    /// It is one of these (ascending).
    Literals(Vec<String>),
    /// It begins with this.
    Prefix(String),
    /// It ends with this.
    Suffix { suffix: String },
    /// It contains this.
    Contains { needle: String },
    /// Anything; with `nonempty`, anything but the empty string, which no value is.
    Any { nonempty: bool },
    /// It matches the whole expression; all matches begin with `prefix`.
    Expression { prefix: String },
}

impl ValueTest {
    fn new(matcher: &Matcher) -> Self {
        match matcher.op() {
            MatchOp::Equal | MatchOp::NotEqual => Self::Literals(vec![matcher.value().to_owned()]),
            MatchOp::Regex | MatchOp::NotRegex => Self::of_pattern(matcher.value()),
        }
    }

    fn of_pattern(pattern: &str) -> Self {
        let parsed = regex_syntax::ParserBuilder::new().dot_matches_new_line(true).build().parse(pattern);
        let Ok(hir) = parsed else { return Self::Expression { prefix: String::new() } };
        if let Some(mut literals) = literal_set(&hir) {
            literals.sort_unstable();
            literals.dedup();
            return Self::Literals(literals);
        }
        let parts = flatten(&hir);
        match parts.as_slice() {
            [only] if is_any(only) => Self::Any { nonempty: false },
            [only] if is_any_nonempty(only) => Self::Any { nonempty: true },
            [Part::Text(prefix), rest] if is_any(rest) => Self::Prefix(prefix.clone()),
            [any, Part::Text(suffix)] if is_any(any) => Self::Suffix { suffix: suffix.clone() },
            [before, Part::Text(needle), after] if is_any(before) && is_any(after) => {
                Self::Contains { needle: needle.clone() }
            }
            [Part::Text(prefix), ..] => Self::Expression { prefix: prefix.clone() },
            _ => Self::Expression { prefix: String::new() },
        }
    }

    /// What every passing value begins with.
    fn prefix(&self) -> &str {
        match self {
            Self::Prefix(prefix) | Self::Expression { prefix } => prefix,
            _ => "",
        }
    }
}

/// A piece of a concatenation.
enum Part<'a> {
    Text(String),
    Other(&'a Hir),
}

/// The pieces of an expression, neighbouring literals joined.
fn flatten(hir: &Hir) -> Vec<Part<'_>> {
    let pieces: Vec<&Hir> = match hir.kind() {
        HirKind::Concat(pieces) => pieces.iter().collect(),
        _ => vec![hir],
    };
    let mut parts: Vec<Part<'_>> = Vec::new();
    for piece in pieces {
        let mut piece = piece;
        while let HirKind::Capture(capture) = piece.kind() {
            piece = &capture.sub;
        }
        match piece.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => match (std::str::from_utf8(&literal.0), parts.last_mut()) {
                (Ok(text), Some(Part::Text(before))) => before.push_str(text),
                (Ok(text), _) => parts.push(Part::Text(text.to_owned())),
                (Err(_), _) => parts.push(Part::Other(piece)),
            },
            _ => parts.push(Part::Other(piece)),
        }
    }
    parts
}

fn repeats_any_char(part: &Part<'_>, at_least: u32) -> bool {
    let Part::Other(hir) = part else { return false };
    let HirKind::Repetition(repetition) = hir.kind() else { return false };
    let mut inner = &*repetition.sub;
    while let HirKind::Capture(capture) = inner.kind() {
        inner = &capture.sub;
    }
    repetition.min == at_least
        && repetition.max.is_none()
        && *inner.kind() == *Hir::dot(regex_syntax::hir::Dot::AnyChar).kind()
}

fn is_any(part: &Part<'_>) -> bool {
    repeats_any_char(part, 0)
}

fn is_any_nonempty(part: &Part<'_>) -> bool {
    repeats_any_char(part, 1)
}

/// All texts an expression matches, if they are finite and few.
fn literal_set(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(literal) => Some(vec![std::str::from_utf8(&literal.0).ok()?.to_owned()]),
        HirKind::Capture(capture) => literal_set(&capture.sub),
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(literal_set(branch)?);
                if all.len() > MAX_LITERALS {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Concat(pieces) => {
            let mut all = vec![String::new()];
            for piece in pieces {
                let tails = literal_set(piece)?;
                if all.len() * tails.len() > MAX_LITERALS {
                    return None;
                }
                all = all.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}"))).collect();
            }
            Some(all)
        }
        HirKind::Repetition(repetition) if repetition.max == Some(1) && repetition.min == 0 => {
            let mut all = literal_set(&repetition.sub)?;
            all.push(String::new());
            Some(all)
        }
        HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => {
            let count: usize =
                class.ranges().iter().map(|range| range.end() as usize - range.start() as usize + 1).sum();
            (count <= 64).then(|| class.ranges().iter().flat_map(|r| r.start()..=r.end()).map(String::from).collect())
        }
        _ => None,
    }
}

/// Tests the values of a walk one after the other.
struct Walker<'a> {
    test: &'a ValueTest,
    matcher: &'a Matcher,
    finder: Finder<'a>,
    automaton: Option<Resuming>,
}

impl<'a> Walker<'a> {
    fn new(test: &'a ValueTest, matcher: &'a Matcher, values: u64) -> Self {
        let needle = if let ValueTest::Contains { needle } = test { needle.as_str() } else { "" };
        let automaton = match test {
            ValueTest::Expression { .. } if values > FEW_VALUES => Resuming::new(matcher.value()),
            _ => None,
        };
        Self { test, matcher, finder: Finder::new(needle), automaton }
    }

    fn passes(&mut self, value: Value<'_>) -> bool {
        match self.test {
            ValueTest::Literals(literals) => literals.binary_search_by(|l| l.as_bytes().cmp(value.text)).is_ok(),
            ValueTest::Prefix(prefix) => value.text.starts_with(prefix.as_bytes()),
            ValueTest::Suffix { suffix } => value.text.ends_with(suffix.as_bytes()),
            ValueTest::Contains { .. } => self.finder.find(value.text).is_some(),
            ValueTest::Any { nonempty } => !nonempty || !value.text.is_empty(),
            ValueTest::Expression { .. } => match &mut self.automaton {
                Some(automaton) => automaton.passes(value),
                // The matcher may be the negative one of the pair.
                None => std::str::from_utf8(value.text)
                    .is_ok_and(|text| self.matcher.matches(text) != self.matcher.op().is_negative()),
            },
        }
    }
}

/// A table automaton that remembers its states along the last value.
struct Resuming {
    automaton: dense::DFA<Vec<u32>>,
    /// State before byte `i` of the last value, as far as it was read.
    states: Vec<StateID>,
}

impl Resuming {
    /// `None` when the automaton would be too large or cannot be built.
    fn new(pattern: &str) -> Option<Self> {
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .dfa_size_limit(Some(MAX_AUTOMATON_BYTES))
            .determinize_size_limit(Some(MAX_AUTOMATON_BYTES));
        let automaton = dense::Builder::new().configure(config).build(&format!("^(?s:{pattern})$")).ok()?;
        let start = automaton.start_state(&start::Config::new().anchored(Anchored::Yes)).ok()?;
        Some(Self { automaton, states: vec![start] })
    }

    fn passes(&mut self, value: Value<'_>) -> bool {
        // Fewer states than shared bytes: the automaton died within them, and does so again.
        if value.shared >= self.states.len() {
            return false;
        }
        self.states.truncate(value.shared + 1);
        let mut state = self.states[value.shared];
        for &byte in &value.text[value.shared..] {
            state = self.automaton.next_state(state, byte);
            if self.automaton.is_special_state(state) && self.automaton.is_dead_state(state) {
                return false;
            }
            self.states.push(state);
        }
        self.automaton.is_match_state(self.automaton.next_eoi_state(state))
    }
}

#[cfg(test)]
mod tests;
