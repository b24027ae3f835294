//! `and`, `or`, `unless`: whole elements pass or not, whatever their values.

use super::Series;
use super::matching::MatchGroups;
use super::merge::merge_same_labels;
use crate::ast::{BinaryOp, Matching};
use crate::error::QueryError;

/// Presence of groups at steps, as bits.
struct Presence {
    words: Vec<u64>,
    per_group: usize,
}

impl Presence {
    fn new(series: &[Series], groups: &[u32], count: usize, steps: usize) -> Self {
        let per_group = steps.div_ceil(64);
        let mut words = vec![0; per_group * count];
        for (s, group) in series.iter().zip(groups) {
            let row = &mut words[*group as usize * per_group..][..per_group];
            for step in (0..steps).filter(|step| s.column.is_present(*step)) {
                row[step / 64] |= 1 << (step % 64);
            }
        }
        Self { words, per_group }
    }

    fn has(&self, group: u32, step: usize) -> bool {
        self.words[group as usize * self.per_group + step / 64] >> (step % 64) & 1 == 1
    }
}

/// Applies a set operator.
///
/// # Errors
/// When two elements of the result have one label set at one step.
pub fn combine(
    op: BinaryOp,
    mut left: Vec<Series>,
    mut right: Vec<Series>,
    matching: &Matching,
    steps: usize,
) -> Result<Vec<Series>, QueryError> {
    let groups = MatchGroups::new(&left, &right, matching);
    match op {
        BinaryOp::Or => {
            let present = Presence::new(&left, &groups.left, groups.count, steps);
            retain(&mut right, &groups.right, steps, |group, step| !present.has(group, step));
            left.append(&mut right);
            merge_same_labels(&mut left)?;
        }
        _ => {
            let present = Presence::new(&right, &groups.right, groups.count, steps);
            let want = op == BinaryOp::And;
            retain(&mut left, &groups.left, steps, |group, step| present.has(group, step) == want);
        }
    }
    Ok(left)
}

/// Keeps the values for which `keep` holds for group and step.
fn retain(series: &mut Vec<Series>, groups: &[u32], steps: usize, keep: impl Fn(u32, usize) -> bool) {
    let mut at = 0;
    series.retain_mut(|s| {
        let group = groups[at];
        at += 1;
        let mut any = false;
        for step in 0..steps {
            if s.column.is_present(step) {
                if keep(group, step) {
                    any = true;
                } else {
                    s.column.remove(step);
                }
            }
        }
        any
    });
}
