//! Writes the label index of a finished block or segment. See `docs/format/label-index.md`.

use super::format::{
    BLOCK_VALUES, FOOTER_LEN, HEADER_LEN, IndexError, MAGIC, MAX_DELTAS, MAX_MASKED, PAGE_SERIES, REF_ALL, REF_DELTAS,
    REF_ONE, REF_ROARING, VERSION, put_signed, put_varint,
};
use super::memory::MemoryIndex;
use super::posting::Ids;
use super::values::shared_bytes;
use super::{LabelIndex, Value};
use crate::labels::Labels;

/// Collects label sets in ascending order, then writes the index of them.
///
/// Memory: that of a [`MemoryIndex`] of the sets, and while writing eight bytes for each of their labels.
#[derive(Debug, Default)]
pub struct IndexWriter {
    index: MemoryIndex,
    last: Labels,
    series: u32,
}

impl IndexWriter {
    /// A writer without label sets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next label set and returns its id.
    ///
    /// # Errors
    /// [`IndexError::TooLarge`] after 2^32 - 1 sets.
    ///
    /// # Panics
    /// When `labels` is not above the set before: the caller's order is broken.
    pub fn push(&mut self, labels: &Labels) -> Result<u32, IndexError> {
        assert!(self.series == 0 || self.last < *labels, "label sets ascend: {} then {labels}", self.last);
        let id = self.series;
        self.series = id.checked_add(1).ok_or(IndexError::TooLarge("more than 2^32 - 1 series"))?;
        self.index.insert(id, labels);
        self.last = labels.clone();
        Ok(id)
    }

    /// Number of label sets so far.
    pub fn len(&self) -> u32 {
        self.series
    }

    /// True before the first [`IndexWriter::push`].
    pub fn is_empty(&self) -> bool {
        self.series == 0
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// [`IndexError::TooLarge`].
    pub fn finish(self) -> Result<Vec<u8>, IndexError> {
        let mut names = Vec::new();
        self.index.names(&mut |name| {
            names.push(name.to_owned());
            true
        })?;
        let sets = LabelSets::collect(&self.index, &names, self.series)?;
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        let mut page_table = Vec::new();
        sets.put_pages(&mut out, &mut page_table)?;
        drop(sets);
        let mut name_table = Vec::new();
        for name in &names {
            self.put_section(name, &mut out, &mut name_table)?;
        }
        let page_table_at = out.len() as u64;
        out.extend_from_slice(&page_table);
        let name_table_at = out.len() as u64;
        out.extend_from_slice(&name_table);
        let table_crc = crc32fast::hash(&out[page_table_at as usize..]);
        let footer_at = out.len();
        let name_table_len = narrow(name_table.len(), "the table of names is longer than 4 GiB")?;
        out.extend_from_slice(&self.series.to_le_bytes());
        out.extend_from_slice(&narrow(names.len(), "more than 2^32 - 1 label names")?.to_le_bytes());
        out.extend_from_slice(&page_table_at.to_le_bytes());
        out.extend_from_slice(&name_table_at.to_le_bytes());
        out.extend_from_slice(&name_table_len.to_le_bytes());
        out.extend_from_slice(&table_crc.to_le_bytes());
        let crc = crc32fast::hash(&out[footer_at..]);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&MAGIC);
        debug_assert_eq!(out.len() - footer_at, FOOTER_LEN);
        Ok(out)
    }

    fn put_section(&self, name: &str, out: &mut Vec<u8>, name_table: &mut Vec<u8>) -> Result<(), IndexError> {
        let start = out.len();
        let mut blocks = Vec::new();
        let mut offsets: Vec<usize> = Vec::new();
        let mut last = String::new();
        let mut count = 0usize;
        let mut failure = None;
        self.index.walk(name, "", &mut |value| {
            let reference = match put_posting(value.ids, self.series, start, out) {
                Ok(reference) => reference,
                Err(error) => {
                    failure = Some(error);
                    return false;
                }
            };
            // Values of a memory index are text.
            let text = std::str::from_utf8(value.text).unwrap_or_default();
            let mut shared = 0;
            if count.is_multiple_of(BLOCK_VALUES) {
                offsets.push(blocks.len());
            } else {
                shared = usize::from(shared_bytes(&last, text));
            }
            put_varint(&mut blocks, shared as u64);
            put_varint(&mut blocks, (text.len() - shared) as u64);
            blocks.extend_from_slice(&text.as_bytes()[shared..]);
            put_varint(&mut blocks, reference);
            text.clone_into(&mut last);
            count += 1;
            true
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        let postings_len = out.len() - start;
        out.extend_from_slice(&blocks);
        for offset in offsets {
            let offset = narrow(postings_len + offset, "the values of one label take more than 4 GiB")?;
            out.extend_from_slice(&offset.to_le_bytes());
        }
        let section = &out[start..];
        put_varint(name_table, name.len() as u64);
        name_table.extend_from_slice(name.as_bytes());
        name_table.extend_from_slice(&(start as u64).to_le_bytes());
        for number in [section.len(), count, postings_len] {
            let number = narrow(number, "the values of one label take more than 4 GiB")?;
            name_table.extend_from_slice(&number.to_le_bytes());
        }
        name_table.extend_from_slice(&crc32fast::hash(section).to_le_bytes());
        Ok(())
    }
}

fn narrow(number: usize, what: &'static str) -> Result<u32, IndexError> {
    u32::try_from(number).map_err(|_| IndexError::TooLarge(what))
}

/// Writes a posting list, if it needs bytes of its own, and returns the reference to it.
fn put_posting(ids: Ids<'_>, series: u32, section: usize, out: &mut Vec<u8>) -> Result<u64, IndexError> {
    let count = ids.len();
    let mut bitmap = ids.to_bitmap()?;
    let single = bitmap.min().filter(|_| count == 1);
    if count == u64::from(series) {
        return Ok(REF_ALL);
    }
    if let Some(id) = single {
        return Ok(u64::from(id) << 2 | REF_ONE);
    }
    let offset = (out.len() - section) as u64;
    let mut bytes = Vec::new();
    let kind = if count <= MAX_DELTAS {
        let mut next = 0;
        for id in &bitmap {
            put_varint(&mut bytes, u64::from(id - next));
            next = id + 1;
        }
        REF_DELTAS
    } else {
        bitmap.optimize();
        // Writing to memory cannot fail.
        let _ = bitmap.serialize_into(&mut bytes);
        REF_ROARING
    };
    put_varint(out, count);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(&bytes);
    Ok(offset << 2 | kind)
}

/// The label sets as numbers: for series `i`, the labels `starts[i]..starts[i + 1]`.
struct LabelSets {
    starts: Vec<usize>,
    labels: Vec<(u32, u32)>,
}

impl LabelSets {
    /// Turns the index around: walking names and values in order gives every set's labels in order.
    fn collect(index: &MemoryIndex, names: &[String], series: u32) -> Result<Self, IndexError> {
        let mut starts = vec![0usize; series as usize + 1];
        each_label(index, names, |_, _, id| starts[id as usize + 1] += 1)?;
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut labels = vec![(0, 0); starts.last().copied().unwrap_or(0)];
        each_label(index, names, |name, value, id| {
            let at = &mut next[id as usize];
            labels[*at] = (name, value);
            *at += 1;
        })?;
        Ok(Self { starts, labels })
    }

    fn put_pages(&self, out: &mut Vec<u8>, page_table: &mut Vec<u8>) -> Result<(), IndexError> {
        let offset = |out: &Vec<u8>| narrow(out.len() - HEADER_LEN, "the label sets take more than 4 GiB");
        let series = self.starts.len() - 1;
        for first in (0..series).step_by(PAGE_SERIES) {
            page_table.extend_from_slice(&offset(out)?.to_le_bytes());
            let crc_at = out.len();
            out.extend_from_slice(&[0; 4]);
            let mut before: &[(u32, u32)] = &[];
            for id in first..(first + PAGE_SERIES).min(series) {
                let labels = &self.labels[self.starts[id]..self.starts[id + 1]];
                put_set(out, labels, if id == first { None } else { Some(before) });
                before = labels;
            }
            let crc = crc32fast::hash(&out[crc_at + 4..]);
            out[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
        }
        page_table.extend_from_slice(&offset(out)?.to_le_bytes());
        Ok(())
    }
}

fn each_label(index: &MemoryIndex, names: &[String], mut visit: impl FnMut(u32, u32, u32)) -> Result<(), IndexError> {
    for (number, name) in names.iter().enumerate() {
        let mut ordinal = 0u32;
        index.walk(name, "", &mut |value: Value<'_>| {
            match value.ids {
                Ids::Bitmap(bitmap) => bitmap.iter().for_each(|id| visit(number as u32, ordinal, id)),
                Ids::Few(ids) => ids.iter().for_each(|&id| visit(number as u32, ordinal, id)),
                _ => unreachable!("a memory index holds ids in place or in bitmaps"),
            }
            ordinal += 1;
            true
        })?;
    }
    Ok(())
}

fn put_set(out: &mut Vec<u8>, labels: &[(u32, u32)], before: Option<&[(u32, u32)]>) {
    let same_names = |before: &[(u32, u32)]| before.iter().map(|l| l.0).eq(labels.iter().map(|l| l.0));
    match before {
        Some(before) if labels.len() <= MAX_MASKED && same_names(before) => {
            let mut mask = 0u64;
            for (i, (now, then)) in labels.iter().zip(before).enumerate() {
                mask |= u64::from(now != then) << i;
            }
            put_varint(out, mask << 1 | 1);
            for (now, then) in labels.iter().zip(before).filter(|(now, then)| now != then) {
                put_signed(out, i64::from(now.1) - i64::from(then.1));
            }
        }
        _ => {
            put_varint(out, (labels.len() as u64) << 1);
            let mut last = 0;
            for &(name, _) in labels {
                put_varint(out, u64::from(name - last));
                last = name;
            }
            for &(_, value) in labels {
                put_varint(out, u64::from(value));
            }
        }
    }
}
