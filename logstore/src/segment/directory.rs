//! What the directory of a segment keeps of its columns, read when a line is wanted for the first time.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use disk::Mapped;
use model::GapClass;

use super::column::{Column, Payload};
use super::format::{HEADER_LEN, PAGE_LEN};
use super::template::FIELD;
use super::words::Words;
use crate::bytes::{Cursor, Malformed};
use crate::codec::bits::PADDING;
use crate::codec::ints::Ints;
use crate::error::Error;

/// The payloads of a segment; pages are checked when they are read for the first time.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) path: std::path::PathBuf,
    pub(super) map: Mapped,
    crcs: Vec<u32>,
    checked: Vec<AtomicBool>,
}

impl Pages {
    /// `section`: the checksums.
    pub(super) fn new(path: std::path::PathBuf, map: Mapped, section: &[u8]) -> Self {
        let crcs: Vec<u32> =
            section.chunks_exact(4).map(|crc| u32::from_le_bytes([crc[0], crc[1], crc[2], crc[3]])).collect();
        let checked = crcs.iter().map(|_| AtomicBool::new(false)).collect();
        Self { path, map, crcs, checked }
    }

    pub(super) fn damaged(&self, offset: usize, what: &'static str) -> Error {
        Error::corrupt(&self.path, 0, Malformed { what, at: offset })
    }

    /// Bytes of the file and the padding after them, checked.
    fn get(&self, range: Range<usize>, end_of_payloads: usize) -> Result<&[u8], Error> {
        let bytes = range.end.checked_add(PADDING).and_then(|end| self.map.get(range.start..end));
        let bytes = bytes.ok_or_else(|| self.damaged(range.start, "payload lies outside the file"))?;
        for page in range.start / PAGE_LEN..range.end.div_ceil(PAGE_LEN) {
            let checked = self.checked.get(page).ok_or_else(|| self.damaged(range.start, "page without a checksum"))?;
            if checked.load(Ordering::Relaxed) {
                continue;
            }
            let start = page * PAGE_LEN;
            let end = (start + PAGE_LEN).min(end_of_payloads);
            if self.map.get(start..end).map(crc32fast::hash) != self.crcs.get(page).copied() && !cfg!(fuzzing) {
                return Err(self.damaged(start, "page has a wrong checksum"));
            }
            checked.store(true, Ordering::Relaxed);
        }
        Ok(bytes)
    }
}

/// A column that is read when it is needed.
#[derive(Debug)]
pub(super) struct LazyColumn {
    params: Range<usize>,
    payload: Range<usize>,
    column: OnceLock<Column>,
    /// Whether all values are of each of [`GapClass::ALL`].
    classes: [OnceLock<bool>; GapClass::ALL.len()],
}

/// A template and its columns.
#[derive(Debug)]
pub(super) struct TableInfo {
    /// Text with fields, or names.
    pub(super) key: Vec<u8>,
    pub(super) rows: usize,
    pub(super) columns: Vec<LazyColumn>,
}

impl TableInfo {
    /// The text before each field and after the last one.
    pub(super) fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.key.split(|byte| *byte == FIELD)
    }
}

/// Integers of all lines of a segment.
#[derive(Debug)]
pub(super) struct LineColumn {
    pub(super) ints: Ints,
    payload: Range<usize>,
}

/// The directory of a segment.
#[derive(Debug)]
pub(super) struct Directory {
    bytes: Vec<u8>,
    /// Where payloads end.
    end: usize,
    /// Place of the template of each line of units with several.
    pub(super) sequence: LineColumn,
    /// The same for structured metadata.
    pub(super) metadata_sequence: LineColumn,
    /// Difference of each timestamp to the one before.
    pub(super) differences: LineColumn,
    /// Lines in each minute.
    pub(super) minutes: LineColumn,
    /// Templates of lines.
    pub(super) lines: Vec<TableInfo>,
    /// Templates of structured metadata.
    pub(super) metadata: Vec<TableInfo>,
    words: Words,
}

/// More lines than this are in no segment.
const MAX_LINES: usize = 1 << 31;

impl Directory {
    /// Reads the section of the templates. `words`: those of the segment.
    pub(super) fn read(bytes: Vec<u8>, words: Words) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(&bytes);
        let mut next = HEADER_LEN;
        let mut take = |len: usize, cursor: &Cursor<'_>| {
            let end = next.checked_add(len).ok_or_else(|| cursor.malformed("payloads are too long"))?;
            let range = next..end;
            next = end;
            Ok::<_, Malformed>(range)
        };
        let mut line_column = |cursor: &mut Cursor<'_>| {
            let rows = cursor.bounded(MAX_LINES, "too many lines")?;
            let ints = Ints::read(&mut Cursor::new(cursor.slice()?), rows)?;
            let payload = take(cursor.bounded(usize::MAX, "payload is too long")?, cursor)?;
            if payload.len() != ints.payload_len() {
                return Err(cursor.malformed("payload has a wrong length"));
            }
            Ok(LineColumn { ints, payload })
        };
        let sequence = line_column(&mut cursor)?;
        let metadata_sequence = line_column(&mut cursor)?;
        let differences = line_column(&mut cursor)?;
        let minutes = line_column(&mut cursor)?;
        let mut tables = |cursor: &mut Cursor<'_>, columns_of: fn(&[u8]) -> Result<usize, Malformed>| {
            let mut tables = Vec::new();
            for _ in 0..cursor.count()? {
                let key = cursor.slice()?.to_vec();
                let rows = cursor.bounded(MAX_LINES, "too many lines")?;
                let count = if rows == 0 { 0 } else { columns_of(&key)? };
                let mut columns = Vec::with_capacity(count);
                for _ in 0..count {
                    let len = cursor.slice()?.len();
                    let params = cursor.position() - len..cursor.position();
                    let payload = take(cursor.bounded(usize::MAX, "payload is too long")?, cursor)?;
                    columns.push(LazyColumn { params, payload, column: OnceLock::new(), classes: Default::default() });
                }
                tables.push(TableInfo { key, rows, columns });
            }
            Ok(tables)
        };
        let lines = tables(&mut cursor, |key| Ok(key.iter().filter(|byte| **byte == FIELD).count()))?;
        let metadata = tables(&mut cursor, |key| Ok(names(key)?.len()))?;
        cursor.finish()?;
        Ok(Self { end: next, bytes, sequence, metadata_sequence, differences, minutes, lines, metadata, words })
    }

    /// Bytes of memory.
    pub(super) fn heap_bytes(&self) -> usize {
        let of_column = |lazy: &LazyColumn| size_of::<LazyColumn>() + lazy.column.get().map_or(0, Column::heap_bytes);
        let of_table = |table: &TableInfo| table.key.len() + 64 + table.columns.iter().map(of_column).sum::<usize>();
        let lines = [&self.sequence, &self.metadata_sequence, &self.differences, &self.minutes];
        self.bytes.len()
            + self.words.heap_bytes()
            + self.lines.iter().chain(&self.metadata).map(of_table).sum::<usize>()
            + lines.iter().map(|column| column.ints.heap_bytes()).sum::<usize>()
    }

    /// The words of the segment.
    pub(super) fn words(&self) -> &Words {
        &self.words
    }

    /// A column of a table and its payload.
    pub(super) fn column<'a>(
        &'a self,
        pages: &'a Pages,
        table: &'a TableInfo,
        index: usize,
    ) -> Result<(&'a Column, ColumnPayload<'a>), Error> {
        let lazy = table.columns.get(index).ok_or_else(|| pages.damaged(0, "column that is not there"))?;
        let payload = ColumnPayload { pages, end: self.end, range: lazy.payload.clone() };
        if let Some(column) = lazy.column.get() {
            return Ok((column, payload));
        }
        let mut cursor = Cursor::new(self.bytes.get(lazy.params.clone()).unwrap_or(&[]));
        let column = Column::read(&mut cursor, table.rows).and_then(|column| {
            cursor.finish()?;
            let fits = column.payload_len() == lazy.payload.len();
            if fits { Ok(column) } else { Err(cursor.malformed("payload has a wrong length")) }
        });
        let column = column.map_err(|malformed| payload.damaged(malformed))?;
        Ok((lazy.column.get_or_init(|| column), payload))
    }

    /// Whether all values of a column are of a class.
    pub(super) fn all_are(
        &self,
        pages: &Pages,
        table: &TableInfo,
        index: usize,
        class: GapClass,
    ) -> Result<bool, Error> {
        let (column, payload) = self.column(pages, table, index)?;
        let Some(known) = table.columns.get(index).and_then(|lazy| lazy.classes.get(class as usize)) else {
            return Ok(false);
        };
        if let Some(known) = known.get() {
            return Ok(*known);
        }
        let holds = column.all_are(class, &payload, &self.words)?;
        Ok(*known.get_or_init(|| holds))
    }

    /// Replaces `out` by rows of a column of all lines.
    pub(super) fn line_values(
        &self,
        pages: &Pages,
        column: &LineColumn,
        rows: Range<usize>,
        out: &mut Vec<u64>,
    ) -> Result<(), Error> {
        out.clear();
        let payload = ColumnPayload { pages, end: self.end, range: column.payload.clone() };
        if rows.end > column.ints.rows() {
            return Err(payload.damaged(Malformed { what: "lines that are not there", at: 0 }));
        }
        let bytes = payload.get(column.ints.extent(rows.start, rows.len()))?;
        column.ints.decode(bytes, rows.start, rows.len(), out).map_err(|e| payload.damaged(e))
    }
}

/// Names of a template of structured metadata.
pub(super) fn names(key: &[u8]) -> Result<Vec<&str>, Malformed> {
    let mut cursor = Cursor::new(key);
    let names = (0..cursor.count()?).map(|_| cursor.text()).collect::<Result<_, _>>()?;
    cursor.finish()?;
    Ok(names)
}

/// The payload of one column.
pub(super) struct ColumnPayload<'a> {
    pages: &'a Pages,
    end: usize,
    range: Range<usize>,
}

impl Payload for ColumnPayload<'_> {
    fn get(&self, range: Range<usize>) -> Result<&[u8], Error> {
        if range.start > range.end || range.end > self.range.len() {
            return Err(self.damaged(Malformed { what: "outside of the payload", at: range.start }));
        }
        self.pages.get(self.range.start + range.start..self.range.start + range.end, self.end)
    }

    fn damaged(&self, malformed: Malformed) -> Error {
        Error::corrupt(&self.pages.path, self.range.start as u64, malformed)
    }
}
