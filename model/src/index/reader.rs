//! Reads the label index of a finished block or segment in place. See the format below.
//!
//! [`DiskIndex`] keeps the names and where their parts are; everything else stays in the bytes it was opened on. Nothing in them
//! is trusted: a part is used only after its checksum, and every offset and length is checked.
#![doc = include_str!("../../docs/format/label-index.md")]

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};

use roaring::RoaringBitmap;

use super::format::{
    BLOCK_VALUES, FOOTER_LEN, HEADER_LEN, IndexError, MAGIC, PAGE_SERIES, REF_ALL, REF_DELTAS, REF_ONE, VERSION, part,
    read_bytes, read_len, read_signed, read_u32, read_u64, read_varint, read_varint32, verify,
};
use super::posting::Ids;
use super::{LabelIndex, Value};
use crate::labels::Labels;

/// A label index in bytes, typically a mapped file.
#[derive(Debug)]
pub struct DiskIndex<B> {
    bytes: B,
    series: u32,
    page_table: u64,
    names: Vec<Name>,
}

#[derive(Debug)]
struct Name {
    text: Box<str>,
    offset: u64,
    len: u32,
    values: u32,
    postings_len: u32,
    crc: u32,
    verified: AtomicBool,
}

impl<B: Deref<Target = [u8]>> DiskIndex<B> {
    /// Opens an index; reads its tables, verifies them, and leaves the rest for when it is used.
    ///
    /// # Errors
    /// When footer or tables are damaged, or of an unknown version.
    pub fn open(bytes: B) -> Result<Self, IndexError> {
        let data: &[u8] = &bytes;
        let mut header = part(data, 0, HEADER_LEN as u64)?;
        if read_bytes(&mut header, 4)? != MAGIC {
            return Err(IndexError::Damaged("the file does not begin with FSLI"));
        }
        if header[..2] != VERSION.to_le_bytes() {
            return Err(IndexError::Damaged("the file has another version"));
        }
        if header[2..] != [0, 0] {
            return Err(IndexError::Damaged("reserved bytes are set"));
        }
        let footer_at = data.len().checked_sub(FOOTER_LEN).ok_or(IndexError::Damaged("the file is too short"))? as u64;
        let footer = part(data, footer_at, FOOTER_LEN as u64)?;
        let (covered, mut tail) = footer.split_at(FOOTER_LEN - 8);
        verify("footer", footer_at, covered, read_u32(&mut tail)?)?;
        if tail != MAGIC {
            return Err(IndexError::Damaged("the file does not end with FSLI"));
        }
        let mut fields = covered;
        let series = read_u32(&mut fields)?;
        let name_count = read_u32(&mut fields)?;
        let page_table = read_u64(&mut fields)?;
        let name_table = read_u64(&mut fields)?;
        let name_table_len = read_u32(&mut fields)?;
        let table_crc = read_u32(&mut fields)?;
        let tables = part(data, page_table, footer_at.saturating_sub(page_table))?;
        verify("tables", page_table, tables, table_crc)?;
        let pages = u64::from(series).div_ceil(PAGE_SERIES as u64);
        if name_table.checked_sub(page_table) != Some((pages + 1) * 4)
            || name_table + u64::from(name_table_len) != footer_at
        {
            return Err(IndexError::Damaged("the tables have another length than the footer says"));
        }
        let mut table = part(data, name_table, u64::from(name_table_len))?;
        let mut names = Vec::new();
        for _ in 0..name_count {
            let len = read_len(&mut table)?;
            let text = std::str::from_utf8(read_bytes(&mut table, len)?);
            let text = text.map_err(|_| IndexError::Damaged("a label name is not UTF-8"))?.into();
            let name = Name {
                text,
                offset: read_u64(&mut table)?,
                len: read_u32(&mut table)?,
                values: read_u32(&mut table)?,
                postings_len: read_u32(&mut table)?,
                crc: read_u32(&mut table)?,
                verified: AtomicBool::new(false),
            };
            let blocks = u64::from(name.values).div_ceil(BLOCK_VALUES as u64);
            part(data, name.offset, u64::from(name.len))?;
            if u64::from(name.postings_len) + blocks * 4 > u64::from(name.len) {
                return Err(IndexError::Damaged("the values of a label are shorter than their tables"));
            }
            names.push(name);
        }
        if !names.is_sorted_by(|a, b| a.text < b.text) {
            return Err(IndexError::Damaged("label names do not ascend"));
        }
        Ok(Self { bytes, series, page_table, names })
    }

    /// Number of label sets.
    pub fn len(&self) -> u32 {
        self.series
    }

    /// True when there is no label set.
    pub fn is_empty(&self) -> bool {
        self.series == 0
    }

    fn name(&self, name: &str) -> Option<&Name> {
        let at = self.names.binary_search_by(|n| (*n.text).cmp(name)).ok()?;
        self.names.get(at)
    }

    /// The verified section of a name.
    fn section<'a>(&'a self, name: &'a Name) -> Result<Section<'a>, IndexError> {
        let bytes = part(&self.bytes, name.offset, u64::from(name.len))?;
        if !name.verified.load(Ordering::Relaxed) {
            verify("values of a label", name.offset, bytes, name.crc)?;
            name.verified.store(true, Ordering::Relaxed);
        }
        Ok(Section { bytes, name, series: self.series })
    }

    /// The label set of an id.
    ///
    /// # Errors
    /// When its page is damaged, or there is no such id.
    pub fn labels(&self, id: u32) -> Result<Labels, IndexError> {
        let mut found = None;
        self.visit_labels(std::iter::once(id), &mut |_, labels| found = Some(labels))?;
        found.ok_or(IndexError::Damaged("there is no such series"))
    }

    /// A reader of label sets that is fast for ascending ids.
    pub fn label_sets(&self) -> LabelSets<'_, B> {
        LabelSets { index: self, rest: &[], next: None, labels: Vec::new(), len: 0 }
    }

    /// The label sets of ascending ids, each page read once.
    ///
    /// # Errors
    /// As [`DiskIndex::labels`]; sets before the damage were visited.
    pub fn visit_labels(
        &self,
        ids: impl IntoIterator<Item = u32>,
        visit: &mut dyn FnMut(u32, Labels),
    ) -> Result<(), IndexError> {
        let mut sets = self.label_sets();
        for id in ids {
            visit(id, sets.read(id)?);
        }
        Ok(())
    }
}

/// The values of one name.
#[derive(Clone, Copy)]
struct Section<'a> {
    bytes: &'a [u8],
    name: &'a Name,
    series: u32,
}

impl<'a> Section<'a> {
    fn blocks(&self) -> usize {
        (self.name.values as usize).div_ceil(BLOCK_VALUES)
    }

    /// What follows in the section from the beginning of a block on.
    fn block(&self, number: usize) -> Result<&'a [u8], IndexError> {
        let table = self.bytes.len() - self.blocks() * 4;
        let mut entry = part(self.bytes, (table + number * 4) as u64, 4)?;
        let start = u64::from(read_u32(&mut entry)?);
        part(self.bytes, start, (table as u64).checked_sub(start).ok_or(IndexError::Damaged("a block lies outside"))?)
    }

    /// The first value of a block.
    fn first(&self, number: usize) -> Result<&'a [u8], IndexError> {
        let mut block = self.block(number)?;
        if read_varint(&mut block)? != 0 {
            return Err(IndexError::Damaged("the first value of a block shares bytes"));
        }
        let len = read_len(&mut block)?;
        read_bytes(&mut block, len)
    }

    /// The block in which `value` is or would be.
    fn block_of(&self, value: &[u8]) -> Result<usize, IndexError> {
        let (mut low, mut high) = (0, self.blocks());
        while low < high {
            let middle = low.midpoint(high);
            if self.first(middle)? <= value {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.saturating_sub(1))
    }

    /// Visits values from a block on; `text` holds the value visited, the second argument what it shares with the one before.
    fn each(
        &self,
        from: usize,
        mut visit: impl FnMut(&[u8], usize, u64) -> Result<bool, IndexError>,
    ) -> Result<(), IndexError> {
        if self.name.values == 0 {
            return Ok(());
        }
        let mut bytes = self.block(from)?;
        let mut text: Vec<u8> = Vec::new();
        let first = from * BLOCK_VALUES;
        for number in first..self.name.values as usize {
            let shared = read_len(&mut bytes)?;
            if shared > text.len() || (number.is_multiple_of(BLOCK_VALUES) && shared != 0) {
                return Err(IndexError::Damaged("a value shares more bytes than there are"));
            }
            let len = read_len(&mut bytes)?;
            text.truncate(shared);
            text.extend_from_slice(read_bytes(&mut bytes, len)?);
            let reference = read_varint(&mut bytes)?;
            if !visit(&text, shared, reference)? {
                break;
            }
        }
        Ok(())
    }

    /// The posting list behind a reference.
    fn ids(&self, reference: u64) -> Result<Ids<'a>, IndexError> {
        let (kind, rest) = (reference & 3, reference >> 2);
        match kind {
            REF_ONE => match u32::try_from(rest) {
                Ok(id) if id < self.series => Ok(Ids::One(id)),
                _ => Err(IndexError::Damaged("a posting list points past the last id")),
            },
            REF_ALL => Ok(Ids::Below(self.series)),
            _ => {
                let postings = part(self.bytes, 0, u64::from(self.name.postings_len))?;
                let left = (postings.len() as u64).checked_sub(rest);
                let mut list = part(postings, rest, left.ok_or(IndexError::Damaged("a posting list lies outside"))?)?;
                let count = read_varint32(&mut list)?;
                let len = read_len(&mut list)?;
                let bytes = read_bytes(&mut list, len)?;
                if kind == REF_DELTAS { Ok(Ids::Deltas(bytes, count)) } else { Ok(Ids::Roaring(bytes, count)) }
            }
        }
    }

    /// The text of a value by its number.
    fn text(&self, number: u32, out: &mut String) -> Result<(), IndexError> {
        if number >= self.name.values {
            return Err(IndexError::Damaged("a label set names a value that does not exist"));
        }
        let number = number as usize;
        let mut left = number % BLOCK_VALUES;
        let mut valid = true;
        self.each(number / BLOCK_VALUES, |text, _, _| {
            if left > 0 {
                left -= 1;
                return Ok(true);
            }
            out.clear();
            match std::str::from_utf8(text) {
                Ok(text) => out.push_str(text),
                Err(_) => valid = false,
            }
            Ok(false)
        })?;
        if valid { Ok(()) } else { Err(IndexError::Damaged("a label value is not UTF-8")) }
    }
}

impl<B: Deref<Target = [u8]>> LabelIndex for DiskIndex<B> {
    fn all(&self) -> Result<RoaringBitmap, IndexError> {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..self.series);
        Ok(all)
    }

    fn names(&self, visit: &mut dyn FnMut(&str) -> bool) -> Result<(), IndexError> {
        for name in &self.names {
            if !visit(&name.text) {
                break;
            }
        }
        Ok(())
    }

    fn value_count(&self, name: &str) -> Result<u64, IndexError> {
        Ok(self.name(name).map_or(0, |name| u64::from(name.values)))
    }

    fn with_value(
        &self,
        name: &str,
        value: &str,
        visit: &mut dyn FnMut(Ids<'_>) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let Some(name) = self.name(name) else { return Ok(()) };
        let section = self.section(name)?;
        section.each(section.block_of(value.as_bytes())?, |text, _, reference| {
            if text < value.as_bytes() {
                return Ok(true);
            }
            if text == value.as_bytes() {
                visit(section.ids(reference)?)?;
            }
            Ok(false)
        })
    }

    fn walk(&self, name: &str, prefix: &str, visit: &mut dyn FnMut(Value<'_>) -> bool) -> Result<(), IndexError> {
        let Some(name) = self.name(name) else { return Ok(()) };
        let section = self.section(name)?;
        let prefix = prefix.as_bytes();
        let mut begun = false;
        section.each(section.block_of(prefix)?, |text, shared, reference| {
            if !text.starts_with(prefix) {
                // Before the range: go on; behind it: done.
                return Ok(!begun && text < prefix);
            }
            let shared = if begun { shared } else { 0 };
            begun = true;
            Ok(visit(Value { text, shared, ids: section.ids(reference)? }))
        })
    }
}

/// Reads label sets, best in ascending order of their ids: a page is read once, and only values that changed are looked up.
#[derive(Debug)]
pub struct LabelSets<'a, B> {
    index: &'a DiskIndex<B>,
    rest: &'a [u8],
    /// Id of the set that `rest` begins with; `None` before the first page.
    next: Option<u32>,
    labels: Vec<Label>,
    /// Labels in use; the others keep their memory.
    len: usize,
}

#[derive(Debug, Default)]
struct Label {
    name: u32,
    value: u32,
    /// Text of the value, if `resolved`.
    text: String,
    resolved: bool,
}

impl<'a, B: Deref<Target = [u8]>> LabelSets<'a, B> {
    /// The label set of an id.
    ///
    /// # Errors
    /// As [`DiskIndex::labels`].
    pub fn read(&mut self, id: u32) -> Result<Labels, IndexError> {
        if id >= self.index.series {
            return Err(IndexError::Damaged("there is no such series"));
        }
        let page_of = |id: u32| id as usize / PAGE_SERIES;
        let mut next = match self.next {
            Some(next)
                if next <= id && page_of(next) == page_of(id) && !(next as usize).is_multiple_of(PAGE_SERIES) =>
            {
                next
            }
            _ => self.open_page(page_of(id))?,
        };
        self.next = None;
        while next <= id {
            self.step()?;
            next += 1;
        }
        self.next = Some(next);
        self.build()
    }

    fn open_page(&mut self, page: usize) -> Result<u32, IndexError> {
        let bytes: &'a [u8] = &self.index.bytes;
        let mut entry = part(bytes, self.index.page_table + page as u64 * 4, 8)?;
        let start = u64::from(read_u32(&mut entry)?);
        let end = u64::from(read_u32(&mut entry)?);
        let len = end.checked_sub(start).ok_or(IndexError::Damaged("pages of label sets do not ascend"))?;
        let offset = start + HEADER_LEN as u64;
        let mut content = part(bytes, offset, len)?;
        let crc = read_u32(&mut content)?;
        verify("page of label sets", offset, content, crc)?;
        self.rest = content;
        self.len = 0;
        Ok((page * PAGE_SERIES) as u32)
    }

    /// Takes in the next set of the page.
    fn step(&mut self) -> Result<(), IndexError> {
        let head = read_varint(&mut self.rest)?;
        if head & 1 == 1 {
            let mask = head >> 1;
            if self.len == 0 || (self.len < 64 && mask >> self.len != 0) {
                return Err(IndexError::Damaged("a label set changes labels that it does not have"));
            }
            for (i, label) in self.labels.iter_mut().take(self.len).enumerate() {
                if i < 64 && mask >> i & 1 == 1 {
                    let value = i64::from(label.value).wrapping_add(read_signed(&mut self.rest)?);
                    label.value =
                        u32::try_from(value).map_err(|_| IndexError::Damaged("a value's number is negative"))?;
                    label.resolved = false;
                }
            }
            return Ok(());
        }
        let len = usize::try_from(head >> 1).unwrap_or(usize::MAX);
        // Every label takes at least two bytes: this bounds what is allocated.
        if len > self.rest.len() / 2 {
            return Err(IndexError::Damaged("a label set has more labels than bytes"));
        }
        if self.labels.len() < len {
            self.labels.resize_with(len, Label::default);
        }
        self.len = len;
        let mut name = 0u32;
        for label in &mut self.labels[..len] {
            let next = name.checked_add(read_varint32(&mut self.rest)?);
            name = next.ok_or(IndexError::Damaged("a name's number is too large"))?;
            label.name = name;
            label.resolved = false;
        }
        for label in &mut self.labels[..len] {
            label.value = read_varint32(&mut self.rest)?;
        }
        Ok(())
    }

    fn build(&mut self) -> Result<Labels, IndexError> {
        let names = &self.index.names;
        let unknown = IndexError::Damaged("a label set names a label that does not exist");
        for label in &mut self.labels[..self.len] {
            if !label.resolved {
                let name = names.get(label.name as usize).ok_or(unknown)?;
                self.index.section(name)?.text(label.value, &mut label.text)?;
                label.resolved = true;
            }
        }
        let pairs = self.labels[..self.len].iter().filter_map(|label| {
            let name = names.get(label.name as usize)?;
            Some((&*name.text, label.text.as_str()))
        });
        Labels::from_sorted(pairs).ok_or(IndexError::Damaged("the labels of a set do not ascend"))
    }
}

#[cfg(test)]
mod tests;
