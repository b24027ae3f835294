//! From matchers to ids: set algebra over posting lists, cheapest matcher first.
//!
//! A matcher that a missing label does not satisfy keeps the ids of the values that do; one that a missing label
//! satisfies (`x=""`, `x!="a"`, `x=~"a|"`) takes away the ids of the values that do not. Which values those are is asked of
//! a [`ValueTest`]: literals are looked up, a prefix is a range, and only what is left walks over all values, with an
//! automaton that goes on where the common beginning of two neighbours ends.
//!
//! Invariant: the result equals testing every label set with [`Matcher::matches_labels`].

use std::cmp::Reverse;

use fst::Automaton;
use regex_syntax::hir::{Dot, Hir, HirKind};
use roaring::RoaringBitmap;

use super::posting::Union;
use super::{IndexError, LabelIndex, Value};
use crate::matcher::Matcher;
use crate::regex::{AutomatonState, GoRegex, ValueAutomaton};

/// Up to this many values a walk asks the regular expression itself: building an automaton costs more.
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
            ValueTest::Expression(regex) if !regex.prefix().is_empty() => 2,
            ValueTest::Expression(_) => 3,
            ValueTest::Any => 4,
        }
    }

    fn ids<I: LabelIndex + ?Sized>(&self, index: &I) -> Result<RoaringBitmap, IndexError> {
        let mut union = Union::default();
        let name = self.matcher.name();
        match &self.test {
            ValueTest::Literals(literals) if self.want => {
                for literal in literals.iter().filter(|literal| !literal.is_empty()) {
                    index.with_value(name, literal, &mut |ids| union.add(ids))?;
                }
            }
            ValueTest::Any if !self.want => {
                // Only the empty value can fail the test, and no value is empty.
            }
            test => {
                let mut walker = Walker::new(test, index.value_count(name)?);
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
    /// Anything: no value is empty, so `.*` and `.+` ask the same.
    Any,
    /// It matches the expression.
    Expression(GoRegex),
}

impl ValueTest {
    fn new(matcher: &Matcher) -> Self {
        let Some(regex) = matcher.regex() else { return Self::Literals(vec![matcher.value().to_owned()]) };
        if let Some(literals) = regex.literal_set() {
            let mut literals = literals.to_vec();
            literals.sort_unstable();
            return Self::Literals(literals);
        }
        if regex.matches_everything() || is_anything_nonempty(regex.hir()) {
            return Self::Any;
        }
        Self::Expression(regex.clone())
    }

    /// What every passing value begins with.
    fn prefix(&self) -> &str {
        match self {
            Self::Expression(regex) => regex.prefix(),
            _ => "",
        }
    }
}

/// Whether an expression is `.+`, perhaps in a group.
fn is_anything_nonempty(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Capture(capture) => is_anything_nonempty(&capture.sub),
        HirKind::Repetition(repetition) => {
            let any_char = Hir::dot(Dot::AnyChar);
            repetition.min == 1 && repetition.max.is_none() && repetition.sub.kind() == any_char.kind()
        }
        _ => false,
    }
}

/// Tests the values of a walk one after the other.
struct Walker<'a> {
    test: &'a ValueTest,
    automaton: Option<Resuming>,
}

impl<'a> Walker<'a> {
    fn new(test: &'a ValueTest, values: u64) -> Self {
        let automaton = match test {
            ValueTest::Expression(regex) if values > FEW_VALUES => regex.value_automaton().map(Resuming::new),
            _ => None,
        };
        Self { test, automaton }
    }

    fn passes(&mut self, value: Value<'_>) -> bool {
        match (self.test, &mut self.automaton) {
            (ValueTest::Literals(literals), _) => literals.binary_search_by(|l| l.as_bytes().cmp(value.text)).is_ok(),
            (ValueTest::Any, _) => true,
            (ValueTest::Expression(_), Some(automaton)) => automaton.passes(value),
            (ValueTest::Expression(regex), None) => regex.is_match_bytes(value.text),
        }
    }
}

/// An automaton that remembers its states along the last value.
struct Resuming {
    automaton: ValueAutomaton,
    /// State before byte `i` of the last value, as far as it was read.
    states: Vec<AutomatonState>,
}

impl Resuming {
    fn new(automaton: ValueAutomaton) -> Self {
        let start = automaton.start();
        Self { automaton, states: vec![start] }
    }

    fn passes(&mut self, value: Value<'_>) -> bool {
        // Fewer states than shared bytes: the automaton died within them, and does so again.
        let Some(&state) = self.states.get(value.shared) else { return false };
        self.states.truncate(value.shared + 1);
        let mut state = state;
        for &byte in value.text.get(value.shared..).unwrap_or_default() {
            state = self.automaton.accept(&state, byte);
            if !self.automaton.can_match(&state) {
                return false;
            }
            self.states.push(state);
        }
        self.automaton.is_match(&state)
    }
}

#[cfg(test)]
mod tests;
