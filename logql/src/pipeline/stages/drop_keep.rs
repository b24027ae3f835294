//! `| drop a, b="c"` and `| keep a, b="c"`.

use model::Matcher;

use crate::pipeline::names::{NameId, Names, SPECIAL};
use crate::pipeline::state::LineState;
use crate::syntax::ast::LabelChoice;

#[derive(Clone, Debug)]
struct Choice {
    label: NameId,
    /// Only when the value matches.
    matcher: Option<Matcher>,
}

fn choices(choices: &[LabelChoice], names: &mut Names) -> Vec<Choice> {
    choices
        .iter()
        .map(|choice| match choice {
            LabelChoice::Name(name) => Choice { label: names.id(name), matcher: None },
            LabelChoice::Matching(matcher) => {
                Choice { label: names.id(matcher.name()), matcher: Some(matcher.clone()) }
            }
        })
        .collect()
}

#[derive(Clone, Debug)]
pub(crate) struct DropStage {
    choices: Vec<Choice>,
}

impl DropStage {
    pub(crate) fn new(list: &[LabelChoice], names: &mut Names) -> Self {
        Self { choices: choices(list, names) }
    }

    pub(crate) fn run(&self, state: &mut LineState, unit: &str) -> bool {
        for choice in &self.choices {
            let value = match choice.label {
                NameId::ERROR => Some(state.error(unit)),
                NameId::ERROR_DETAILS => Some(state.details(unit)),
                label => state.get(label, unit),
            };
            let goes = match &choice.matcher {
                Some(matcher) => matcher.matches(value.unwrap_or("")),
                None => value.is_some(),
            };
            if !goes {
                continue;
            }
            match choice.label {
                NameId::ERROR => state.labels.clear_error(),
                NameId::ERROR_DETAILS => state.labels.clear_details(),
                label => state.labels.delete(label),
            }
        }
        true
    }
}

#[derive(Clone, Debug)]
pub(crate) struct KeepStage {
    choices: Vec<Choice>,
    gone: Vec<NameId>,
}

impl KeepStage {
    pub(crate) fn new(list: &[LabelChoice], names: &mut Names) -> Self {
        Self { choices: choices(list, names), gone: Vec::new() }
    }

    pub(crate) fn run(&mut self, state: &mut LineState, unit: &str) -> bool {
        self.gone.clear();
        let texts = state.texts(unit);
        let labels = &state.labels;
        labels.for_each(|id, value, _| {
            if id.index() < SPECIAL.len() {
                return;
            }
            let stays = self.choices.iter().filter(|choice| choice.label == id).any(|choice| match &choice.matcher {
                Some(matcher) => matcher.matches(labels.resolve(value, texts)),
                None => true,
            });
            if !stays {
                self.gone.push(id);
            }
        });
        for id in &self.gone {
            state.labels.delete(*id);
        }
        true
    }
}
