//! Times: the steps of every part, and what each selector has to read.

use model::{Matcher, SelectHints};

use super::{Kind, Node, SelectionSpec, Window, WindowSource};
use crate::ast::Extension;
use crate::engine::EngineOptions;
use crate::kernels::WindowEnd;
use crate::vector::Steps;

/// What stands around a selector, for the hints to the store.
#[derive(Clone, Default)]
struct Around {
    func: Option<&'static str>,
    grouping: Vec<String>,
    by: bool,
}

pub(super) struct Binder<'a> {
    options: &'a EngineOptions,
    lookback_ms: i64,
    steps: Steps,
    selections: Vec<SelectionSpec>,
    nodes: usize,
}

impl<'a> Binder<'a> {
    pub(super) fn new(options: &'a EngineOptions, lookback_ms: i64, steps: Steps) -> Self {
        Self { options, lookback_ms, steps, selections: Vec::new(), nodes: 0 }
    }

    pub(super) fn bind(&mut self, root: &mut Node) {
        let steps = self.steps;
        self.node(root, steps, &Around::default());
    }

    pub(super) fn finish(self) -> (Vec<SelectionSpec>, usize) {
        (self.selections, self.nodes)
    }

    fn node(&mut self, node: &mut Node, steps: Steps, around: &Around) {
        node.id = self.nodes;
        self.nodes += 1;
        let call = |name: &'static str| Around { func: Some(name), ..Around::default() };
        match &mut node.kind {
            Kind::Number(_) | Kind::Text(_) | Kind::Time => {}
            Kind::Select(selector) => {
                let after = if selector.smoothed { self.lookback_ms } else { 0 };
                let (end, before) = (selector.end, self.lookback_ms);
                selector.selection = self.select(&selector.matchers, steps, end, (before, after), 0, around);
            }
            Kind::Range(range) => {
                let inner = call(range.function);
                self.window(&mut range.window, steps, &inner);
                for arg in &mut range.args {
                    self.node(arg, steps, &Around::default());
                }
            }
            Kind::Matrix(window) => self.window(window, steps, &Around::default()),
            Kind::Invariant(inner) => self.node(inner, steps.first_only(), around),
            Kind::Aggregate(aggregate) => {
                let inner = Around {
                    func: Some(aggregate.op.as_str()),
                    grouping: aggregate.grouping.clone(),
                    by: !aggregate.without,
                };
                self.node(&mut aggregate.input, steps, &inner);
                if let Some(param) = &mut aggregate.param {
                    self.node(param, steps, &Around::default());
                }
            }
            Kind::Map { map, input, args } => {
                let name = map.name();
                let inner = if name.is_empty() { Around::default() } else { call(name) };
                self.node(input, steps, &inner);
                for arg in args {
                    self.node(arg, steps, &Around::default());
                }
            }
            Kind::Call { call: function, args } => {
                let inner = call(function.name());
                for arg in args {
                    self.node(arg, steps, &inner);
                }
            }
            Kind::ScalarBinary { left, right, .. } | Kind::Join { left, right, .. } => {
                self.node(left, steps, &Around::default());
                self.node(right, steps, &Around::default());
            }
        }
    }

    fn window(&mut self, window: &mut Window, outer: Steps, around: &Around) {
        let (before, after) = self.reach(window);
        let end = window.end;
        match &mut window.source {
            WindowSource::Select { matchers, selection, .. } => {
                *selection = self.select(matchers, outer, end, (before, after), window.range_ms, around);
            }
            WindowSource::Subquery { node, step_ms, steps } => {
                if *step_ms <= 0 {
                    *step_ms = self.options.subquery_step_ms.max(1);
                }
                // Multiples of the step, from the first inside the first window to the end of the last.
                let first = end.of(&outer, 0).saturating_sub(window.range_ms);
                let last = end.of(&outer, outer.count.saturating_sub(1));
                let start = first.div_euclid(*step_ms).saturating_add(1).saturating_mul(*step_ms);
                *steps = if outer.count == 0 {
                    Steps { start_ms: start, step_ms: *step_ms, count: 0 }
                } else {
                    Steps::range(start, last, *step_ms)
                };
                let steps = *steps;
                self.node(node, steps, &Around::default());
            }
        }
    }

    /// How far a window reaches to both sides of its end.
    fn reach(&self, window: &Window) -> (i64, i64) {
        match window.extension {
            None => (window.range_ms, 0),
            Some(Extension::Anchored) => (window.range_ms.saturating_add(self.lookback_ms), 0),
            Some(Extension::Smoothed) => (window.range_ms.saturating_add(self.lookback_ms), self.lookback_ms),
        }
    }

    fn select(
        &mut self,
        matchers: &[Matcher],
        steps: Steps,
        end: WindowEnd,
        (before, after): (i64, i64),
        range_ms: i64,
        around: &Around,
    ) -> usize {
        let hints = SelectHints {
            start_ms: end.of(&steps, 0).saturating_sub(before).saturating_add(1),
            end_ms: end.of(&steps, steps.count.saturating_sub(1)).saturating_add(after),
            step_ms: if steps.count > 1 { steps.step_ms } else { 0 },
            range_ms,
            func: around.func,
            grouping: around.grouping.clone(),
            by: around.by,
            labels_only: false,
            limit: 0,
        };
        let same = |spec: &SelectionSpec| {
            spec.matchers == matchers && spec.hints.start_ms == hints.start_ms && spec.hints.end_ms == hints.end_ms
        };
        if let Some(at) = self.selections.iter().position(same) {
            let shared = &mut self.selections[at].hints;
            // Different uses: the store may count on neither.
            if shared.func != hints.func || shared.grouping != hints.grouping || shared.by != hints.by {
                shared.func = None;
                shared.grouping.clear();
                shared.by = false;
            }
            shared.range_ms = shared.range_ms.max(hints.range_ms);
            return at;
        }
        self.selections.push(SelectionSpec { matchers: matchers.to_vec(), hints });
        self.selections.len() - 1
    }
}
