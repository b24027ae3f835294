//! `| logfmt`: `key=value` pairs become labels.

use crate::pipeline::context::{Hints, may_hold_replacement};
use crate::pipeline::keys::{KeyId, Keys};
use crate::pipeline::logfmt_scan::LogfmtScan;
use crate::pipeline::names::{NameId, Names};
use crate::pipeline::state::{LineState, StageError};
use crate::syntax::ast::LogfmtFlags;

#[derive(Clone, Debug)]
pub(crate) struct LogfmtStage {
    flags: LogfmtFlags,
    keys: Keys,
}

impl LogfmtStage {
    pub(crate) fn new(flags: LogfmtFlags) -> Self {
        Self { flags, keys: Keys::default() }
    }

    pub(crate) fn keys_mut(&mut self) -> &mut Keys {
        &mut self.keys
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.flags.strict
    }

    pub(crate) fn run(&mut self, state: &mut LineState, unit: &str, hints: &Hints) -> bool {
        let (line, slice, mut cx) = state.split(unit, hints);
        if cx.wants_nothing() {
            return true;
        }
        self.keys.start();
        let odd = may_hold_replacement(line);
        let mut scan = LogfmtScan::new(line);
        while !scan.at_end() {
            let Some(key) = next_key(&mut scan, &mut self.keys, cx.names) else {
                if self.flags.strict {
                    break;
                }
                continue;
            };
            let Some(id) = self.keys.useful_label(key).and_then(|id| cx.target(id)) else { continue };
            let value = match scan.value_range() {
                Some((start, end)) => slice.part(start, end),
                None => cx.labels.store(scan.unquoted()),
            };
            let value = if odd { cx.clean(scan.value(), value) } else { value };
            if value.is_empty() && !self.flags.keep_empty {
                continue;
            }
            // A filter that refuses the label ends the entry even when all is found.
            cx.set(id, value);
            if !cx.passes(id) {
                return false;
            }
            if cx.labels.all_extracted(cx.names) {
                break;
            }
        }
        if let (true, Some(error)) = (self.flags.strict, scan.error()) {
            cx.parse_error(StageError::Logfmt, Some(&error));
            return cx.passes(NameId::ERROR);
        }
        true
    }
}

/// Goes to the next pair and gives its key; `None` where there is none.
#[inline]
pub(super) fn next_key(scan: &mut LogfmtScan<'_>, keys: &mut Keys, names: &mut Names) -> Option<KeyId> {
    let mut known = None;
    let found = scan.next_pair(|data, at| {
        let (key, end) = keys.find_expected(KeyId::ROOT, data, at, b'=')?;
        known = Some(key);
        Some(end)
    });
    match known {
        Some(key) => found.then_some(key),
        None => found.then(|| keys.find(names, KeyId::ROOT, scan.key())),
    }
}
