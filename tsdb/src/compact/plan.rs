//! Which blocks to merge next.
//!
//! Ranges are aligned: six hours, and from there on nine times the range before, up to the longest allowed (and that one too). Every
//! sample is thus rewritten once per factor of nine, not of three: writing costs more than having some blocks more to read.
//! Blocks that overlap (late samples, backfill) are merged when they have become many or large; until then reading merges them.

use crate::options::BLOCK_RANGE_MS;
use crate::ulid::Ulid;

/// Overlapping blocks that are merged for their number.
const MANY: usize = 8;

/// Overlapping blocks are merged when they have this part of the bytes of what they lie over.
const LARGE_PART: u64 = 10;

/// A block as far as planning looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) ulid: Ulid,
    /// Start, inclusive, and end, exclusive.
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    pub(crate) bytes: u64,
}

/// The blocks to merge next, oldest range first; at least two. `head_from_ms`: before it nothing is cut any more; `max_range_ms`: longest
/// range of a block.
pub(crate) fn plan(blocks: &[Candidate], head_from_ms: i64, max_range_ms: i64) -> Option<Vec<Ulid>> {
    let mut blocks = blocks.to_vec();
    blocks.sort_by_key(|block| (block.min_ms, block.max_ms, block.ulid));
    overlapping(&blocks).or_else(|| adjacent(&blocks, head_from_ms, max_range_ms))
}

/// Ranges that blocks are merged to, ascending.
fn ranges(max_range_ms: i64) -> Vec<i64> {
    let mut ranges = vec![3 * BLOCK_RANGE_MS];
    while let Some(&last) = ranges.last()
        && last.saturating_mul(9) <= max_range_ms
    {
        ranges.push(last * 9);
    }
    let longest = ranges.last().map_or(0, |&last| if last.saturating_mul(3) <= max_range_ms { last * 3 } else { 0 });
    ranges.extend((longest > 0).then_some(longest));
    ranges
}

/// Longest range that blocks are merged to.
pub(crate) fn longest_range(max_range_ms: i64) -> i64 {
    ranges(max_range_ms).last().copied().unwrap_or(3 * BLOCK_RANGE_MS)
}

/// A group of blocks that overlap, if it has become large.
fn overlapping(blocks: &[Candidate]) -> Option<Vec<Ulid>> {
    let mut group: Vec<Candidate> = Vec::new();
    let mut end_ms = i64::MIN;
    for block in blocks.iter().map(Some).chain([None]) {
        match block {
            Some(block) if block.min_ms < end_ms => {
                end_ms = end_ms.max(block.max_ms);
                group.push(*block);
            }
            _ => {
                let largest = group.iter().map(|block| block.bytes).max().unwrap_or(0);
                let others = group.iter().map(|block| block.bytes).sum::<u64>() - largest;
                if group.len() > 1 && (group.len() >= MANY || others.saturating_mul(LARGE_PART) >= largest) {
                    return Some(group.iter().map(|block| block.ulid).collect());
                }
                group.clear();
                if let Some(block) = block {
                    end_ms = block.max_ms;
                    group.push(*block);
                }
            }
        }
    }
    None
}

/// The blocks of one aligned range that is complete.
fn adjacent(blocks: &[Candidate], head_from_ms: i64, max_range_ms: i64) -> Option<Vec<Ulid>> {
    for range_ms in ranges(max_range_ms) {
        let window = |block: &Candidate| block.min_ms.div_euclid(range_ms);
        for group in blocks.chunk_by(|a, b| window(a) == window(b)) {
            let start_ms = group.first().map(window)?.saturating_mul(range_ms);
            let end_ms = start_ms.saturating_add(range_ms);
            let inside = group.iter().filter(|block| block.max_ms <= end_ms);
            let ulids: Vec<Ulid> = inside.map(|block| block.ulid).collect();
            // A block that reaches out of the window was merged to a longer range before.
            if follow_on_each_other(group) && ulids.len() == group.len() && end_ms <= head_from_ms {
                return Some(ulids);
            }
        }
    }
    None
}

/// Whether some block begins where all before it have ended: those that only overlap wait until they are many or large.
fn follow_on_each_other(group: &[Candidate]) -> bool {
    let mut end_ms = group.first().map_or(i64::MAX, |block| block.max_ms);
    group.iter().any(|block| {
        let follows = block.min_ms >= end_ms;
        end_ms = end_ms.max(block.max_ms);
        follows
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// Blocks from (start, end, bytes) in hours; named by their places.
    fn run(blocks: &[(i64, i64, u64)], head_from: i64, max_range: i64) -> Option<Vec<usize>> {
        let name = |at: usize| Ulid::new(at as i64, 0);
        let candidates: Vec<Candidate> = blocks
            .iter()
            .enumerate()
            .map(|(at, &(min, max, bytes))| Candidate { ulid: name(at), min_ms: min * HOUR, max_ms: max * HOUR, bytes })
            .collect();
        let plan = plan(&candidates, head_from * HOUR, max_range * HOUR)?;
        Some(plan.iter().map(|ulid| ulid.time_ms() as usize).collect())
    }

    #[test]
    fn ranges_grow_ninefold_up_to_the_longest() {
        let hours = |max: i64| ranges(max * HOUR).iter().map(|r| r / HOUR).collect::<Vec<_>>();
        assert_eq!(hours(1), [6]);
        assert_eq!(hours(36), [6, 18]);
        assert_eq!(hours(54), [6, 54]);
        assert_eq!(hours(744), [6, 54, 486]);
        assert_eq!(hours(i64::MAX / HOUR).len(), 13);
    }

    #[test]
    fn complete_ranges_are_merged() {
        assert_eq!(run(&[], 100, 36), None);
        assert_eq!(run(&[(0, 6, 1)], 100, 36), None);
        // Two-hour blocks, cut early for want of memory.
        assert_eq!(run(&[(0, 2, 1), (2, 4, 1)], 4, 36), None);
        assert_eq!(run(&[(0, 2, 1), (2, 4, 1), (4, 6, 1)], 6, 36), Some(vec![0, 1, 2]));
        // A range with a gap is complete when its time is over.
        assert_eq!(run(&[(0, 2, 1), (4, 6, 1), (6, 12, 1)], 12, 36), Some(vec![0, 1]));
        let six = [(0, 6, 1), (6, 12, 1), (12, 18, 1), (18, 24, 1)];
        assert_eq!(run(&six, 24, 36), Some(vec![0, 1, 2]));
        assert_eq!(run(&six[..3], 17, 36), None);
        assert_eq!(run(&[(0, 18, 1), (18, 24, 1)], 24, 36), None);
        assert_eq!(run(&six, 24, 6), None);
    }

    #[test]
    fn overlapping_blocks_are_merged_when_they_are_many_or_large() {
        assert_eq!(run(&[(0, 6, 100), (2, 4, 5)], 6, 36), None);
        assert_eq!(run(&[(0, 6, 100), (2, 4, 10)], 6, 36), Some(vec![0, 1]));
        let mut many = vec![(0, 6, 1_000_000)];
        many.extend([(2, 4, 1); 7]);
        assert_eq!(run(&many, 6, 36).map(|plan| plan.len()), Some(8));
        // The second group is the large one.
        assert_eq!(run(&[(0, 6, 100), (2, 4, 1), (6, 12, 10), (6, 8, 9)], 12, 36), Some(vec![3, 2]));
    }

    #[test]
    fn small_overlapping_blocks_go_along_with_the_next_merge() {
        assert_eq!(
            run(&[(0, 6, 100), (2, 4, 1), (6, 12, 100), (12, 18, 100)], 18, 36).map(|mut plan| {
                plan.sort_unstable();
                plan
            }),
            Some(vec![0, 1, 2, 3])
        );
    }
}
