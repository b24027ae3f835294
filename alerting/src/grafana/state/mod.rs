//! The states of a rule's alert instances.
//!
//! [`step`] is one instance's transition, a pure function. [`RuleState`] keeps the instances of one rule: it feeds them
//! what an evaluation says, resolves those whose series are gone, and says which alerts to send and what to write into the
//! history.

mod history;
mod instance;
mod rule_state;
mod step;

pub use history::HistoryEvent;
pub use instance::Instance;
pub use rule_state::{Health, Processed, RuleContext, RuleState};
pub use step::{Core, Outcome, State, Timing, end, reason, step};

#[cfg(test)]
mod tests;
