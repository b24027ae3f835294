//! The values of a column while a segment is built: by number while few are distinct, as they are once most are.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Distinct values up to which a column is kept by number whatever it holds.
const FEW: usize = 1_024;

/// Values of a column, row by row.
#[derive(Debug, Default)]
pub(in crate::segment) struct Gathered {
    /// Distinct values, or all of them.
    text: Vec<u8>,
    ends: Vec<u32>,
    /// Number of the distinct value of each row; `None`: each row has its own.
    rows: Option<Vec<u32>>,
    table: HashTable<u32>,
    hasher: FixedState,
}

impl Gathered {
    pub(in crate::segment) fn new() -> Self {
        Self { rows: Some(Vec::new()), ..Self::default() }
    }

    /// Adds a row.
    #[inline]
    pub(in crate::segment) fn push(&mut self, value: &[u8]) {
        let Some(rows) = &mut self.rows else {
            self.append(value);
            return;
        };
        if let Some(last) = rows.last().copied()
            && slice(&self.text, &self.ends, last as usize) == value
        {
            rows.push(last);
            return;
        }
        let hash = self.hasher.hash_one(value);
        let (text, ends) = (&self.text, &self.ends);
        if let Some(id) = self.table.find(hash, |id| slice(text, ends, *id as usize) == value) {
            rows.push(*id);
            return;
        }
        let id = self.ends.len() as u32;
        rows.push(id);
        let many = self.ends.len() >= FEW && self.ends.len() * 2 > rows.len();
        self.append(value);
        if many {
            self.expand();
            return;
        }
        let (text, ends, hasher) = (&self.text, &self.ends, &self.hasher);
        self.table.insert_unique(hash, id, |id| hasher.hash_one(slice(text, ends, *id as usize)));
    }

    fn append(&mut self, value: &[u8]) {
        self.text.extend_from_slice(value);
        self.ends.push(self.text.len() as u32);
    }

    /// Goes over to keeping each row's own value.
    fn expand(&mut self) {
        let (text, ends) = (std::mem::take(&mut self.text), std::mem::take(&mut self.ends));
        for id in self.rows.take().unwrap_or_default() {
            self.append(slice(&text, &ends, id as usize));
        }
        self.table = HashTable::new();
    }

    pub(in crate::segment) fn rows(&self) -> usize {
        self.rows.as_ref().map_or(self.ends.len(), Vec::len)
    }

    /// Number of distinct values, unless they are too many to be known.
    pub(super) fn distinct(&self) -> Option<usize> {
        self.rows.is_some().then_some(self.ends.len())
    }

    /// Number of texts behind [`Gathered::text`]: the distinct ones, or all.
    pub(super) fn texts(&self) -> usize {
        self.ends.len()
    }

    /// A distinct value, or that of a row.
    pub(super) fn text(&self, at: usize) -> &[u8] {
        slice(&self.text, &self.ends, at)
    }

    /// Which of the texts a row has.
    pub(super) fn text_of(&self, row: usize) -> usize {
        self.rows.as_ref().map_or(row, |rows| rows[row] as usize)
    }

    /// Value of a row.
    pub(in crate::segment) fn get(&self, row: usize) -> &[u8] {
        self.text(self.text_of(row))
    }

    /// Bytes of all texts.
    pub(super) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// The distinct values, the most frequent ones first, and the place of each row's value among them. Values of about the
    /// same frequency are in ascending order. With too many distinct values every row has its own.
    pub(super) fn ranked(&self) -> (Vec<&[u8]>, Vec<u64>) {
        let Some(rows) = &self.rows else {
            let all = (0..self.ends.len()).map(|at| self.text(at)).collect();
            return (all, (0..self.ends.len() as u64).collect());
        };
        let mut counts = vec![0u32; self.ends.len()];
        rows.iter().for_each(|id| counts[*id as usize] += 1);
        let mut order: Vec<u32> = (0..self.ends.len() as u32).collect();
        // Quarter octaves of the count: as fine as the tokens that ranks become.
        let class = |id: u32| (f64::from(counts[id as usize]).log2() * 4.0) as i32;
        order.sort_by(|a, b| class(*b).cmp(&class(*a)).then_with(|| self.text(*a as usize).cmp(self.text(*b as usize))));
        let mut ranks = vec![0; order.len()];
        for (rank, id) in order.iter().enumerate() {
            ranks[*id as usize] = rank as u64;
        }
        let dictionary = order.iter().map(|id| self.text(*id as usize)).collect();
        (dictionary, rows.iter().map(|id| ranks[*id as usize]).collect())
    }
}

fn slice<'a>(text: &'a [u8], ends: &[u32], at: usize) -> &'a [u8] {
    let start = if at == 0 { 0 } else { ends[at - 1] as usize };
    &text[start..ends[at] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_ranked_by_frequency() {
        let mut column = Gathered::new();
        for value in ["b", "a", "a", "c", "", "a"] {
            column.push(value.as_bytes());
        }
        assert_eq!((column.rows(), column.distinct()), (6, Some(4)));
        let (dictionary, rows) = column.ranked();
        assert_eq!(dictionary, [&b"a"[..], b"", b"b", b"c"]);
        assert_eq!(rows, [2, 0, 0, 3, 1, 0]);
        assert_eq!(column.get(3), b"c");
    }

    #[test]
    fn many_values_are_kept_as_they_are() {
        let mut column = Gathered::new();
        let value = |i: usize| if i % 4 == 0 { "same".to_owned() } else { i.to_string() };
        for i in 0..5_000 {
            column.push(value(i).as_bytes());
        }
        assert_eq!((column.rows(), column.distinct()), (5_000, None));
        assert!((0..5_000).all(|i| column.get(i) == value(i).as_bytes()));
        let (dictionary, rows) = column.ranked();
        assert!((0..5_000).all(|i| dictionary[rows[i] as usize] == value(i).as_bytes()));
    }
}
