//! An anchored pattern as a deterministic automaton over the sorted dictionaries of an index.
//!
//! `fst` walks a dictionary and its transitions together and skips every branch from which no match can be reached, so a
//! pattern over a million values touches only those that share a beginning with a match.

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};

use super::{GoRegex, anchor};

/// Most bytes of an automaton's table; a pattern that needs more is matched value by value.
const MAX_TABLE_BYTES: usize = 1 << 20;

/// Accepts exactly the texts that the pattern matches as a whole.
pub struct ValueAutomaton {
    dfa: dense::DFA<Vec<u32>>,
    start: StateID,
}

/// A state of a [`ValueAutomaton`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutomatonState(StateID);

impl GoRegex {
    /// The automaton of an anchored pattern, or `None` if the pattern is not anchored or the automaton would be too large.
    /// Building costs far more than one match: worth it for dictionaries of thousands of values.
    pub fn value_automaton(&self) -> Option<ValueAutomaton> {
        if !self.flags().anchored {
            return None;
        }
        let nfa = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .nfa_size_limit(Some(MAX_TABLE_BYTES))
                    .which_captures(thompson::WhichCaptures::None),
            )
            .build_from_hir(&anchor(self.hir()))
            .ok()?;
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(MAX_TABLE_BYTES))
            .determinize_size_limit(Some(MAX_TABLE_BYTES));
        let dfa = dense::Builder::new().configure(config).build_from_nfa(&nfa).ok()?;
        let start = dfa.start_state(&start::Config::new().anchored(Anchored::Yes)).ok()?;
        Some(ValueAutomaton { dfa, start })
    }
}

impl fst::Automaton for ValueAutomaton {
    type State = AutomatonState;

    fn start(&self) -> AutomatonState {
        AutomatonState(self.start)
    }

    fn is_match(&self, state: &AutomatonState) -> bool {
        self.dfa.is_match_state(self.dfa.next_eoi_state(state.0))
    }

    fn can_match(&self, state: &AutomatonState) -> bool {
        !self.dfa.is_dead_state(state.0)
    }

    fn accept(&self, state: &AutomatonState, byte: u8) -> AutomatonState {
        AutomatonState(self.dfa.next_state(state.0, byte))
    }
}
