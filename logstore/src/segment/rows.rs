//! Reads the lines of a unit: which lines are wanted, then their text, field by field.

use model::LogColumns;
use model::log::MetadataPair;

use super::column::{Column, Decoded};
use super::directory::{ColumnPayload, Directory, Pages, TableInfo, names};
use super::format::UnitInfo;
use super::reader::Unit;
use super::words::Words;
use crate::bytes::Malformed;
use crate::codec::ints::BLOCK_ROWS;
use crate::error::Error;
use crate::head::ReadSpec;

/// Reads one unit.
pub(super) struct UnitReader<'a> {
    directory: &'a Directory,
    pages: &'a Pages,
    unit: &'a Unit,
}

/// Writes out the fields of one template, row after row.
struct TableReader<'a> {
    literals: Vec<&'a [u8]>,
    columns: Vec<ColumnReader<'a>>,
}

struct ColumnReader<'a> {
    column: &'a Column,
    payload: ColumnPayload<'a>,
    decoded: Decoded,
    /// No row from here on is wanted.
    end: usize,
}

impl<'a> TableReader<'a> {
    /// `end`: rows from here on are not wanted.
    fn new(directory: &'a Directory, pages: &'a Pages, table: &'a TableInfo, end: usize) -> Result<Self, Error> {
        let columns = (0..table.columns.len()).map(|index| {
            let (column, payload) = directory.column(pages, table, index)?;
            Ok(ColumnReader { column, payload, decoded: Decoded::default(), end })
        });
        Ok(Self { literals: table.literals().collect(), columns: columns.collect::<Result<_, Error>>()? })
    }

    fn print_line(&mut self, row: usize, entry_ns: i64, words: &Words, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut literals = self.literals.iter();
        out.extend_from_slice(literals.next().unwrap_or(&&[][..]));
        for (column, literal) in self.columns.iter_mut().zip(literals) {
            column.print(row, entry_ns, words, out)?;
            out.extend_from_slice(literal);
        }
        Ok(())
    }
}

impl ColumnReader<'_> {
    #[inline]
    fn print(&mut self, row: usize, entry_ns: i64, words: &Words, out: &mut Vec<u8>) -> Result<(), Error> {
        if !self.decoded.has(row) {
            // The rest of the block: rows are asked for in ascending order.
            let end = (row / BLOCK_ROWS + 1) * BLOCK_ROWS;
            self.decoded.load(self.column, &self.payload, row..end.min(self.end))?;
        }
        self.decoded.print(self.column, row, entry_ns, words, out);
        Ok(())
    }
}

impl<'a> UnitReader<'a> {
    pub(super) fn new(directory: &'a Directory, pages: &'a Pages, unit: &'a Unit) -> Self {
        Self { directory, pages, unit }
    }

    /// Timestamps of the first `count` lines.
    fn timestamps(&self, count: usize) -> Result<Vec<i64>, Error> {
        let mut differences = Vec::with_capacity(count);
        let first = self.unit.first_line;
        self.directory.line_values(self.pages, &self.directory.differences, first..first + count, &mut differences)?;
        let scale = 10u64.pow(u32::from(self.unit.info.scale));
        let mut timestamp = self.unit.info.min_ns;
        let mut timestamps = Vec::with_capacity(count);
        for difference in differences {
            timestamp = timestamp.wrapping_add(difference.wrapping_mul(scale) as i64);
            timestamps.push(timestamp);
        }
        Ok(timestamps)
    }

    /// Lines with a timestamp in `[start_ns, end_ns)`.
    pub(super) fn count(&self, start_ns: i64, end_ns: i64) -> Result<u64, Error> {
        if let Some(count) = self.count_minutes(start_ns, end_ns)? {
            return Ok(count);
        }
        let timestamps = self.timestamps(self.unit.info.entries as usize)?;
        let low = timestamps.partition_point(|t| *t < start_ns);
        let high = timestamps.partition_point(|t| *t < end_ns);
        Ok(high.saturating_sub(low) as u64)
    }

    /// The same from the counts per minute, when the range begins and ends where minutes do.
    fn count_minutes(&self, start_ns: i64, end_ns: i64) -> Result<Option<u64>, Error> {
        let info = &self.unit.info;
        let first = UnitInfo::minute(info.min_ns);
        let minutes = info.minutes() as usize;
        // How many whole minutes of the unit lie before a moment; `None`: it lies within one.
        let before = |moment: i64| {
            if moment <= info.min_ns {
                return Some(0);
            }
            if moment > info.max_ns {
                return Some(minutes);
            }
            let inside = moment.wrapping_sub(1).rem_euclid(60_000_000_000) != 0;
            if inside { None } else { Some(UnitInfo::minute(moment).wrapping_sub(first) as usize) }
        };
        let (Some(start), Some(end)) = (before(start_ns), before(end_ns)) else { return Ok(None) };
        if !info.has_minutes || start > end || end > minutes {
            return Ok(None);
        }
        let mut counts = Vec::new();
        let base = self.unit.first_minute;
        self.directory.line_values(self.pages, &self.directory.minutes, base + start..base + end, &mut counts)?;
        Ok(Some(counts.iter().sum()))
    }

    /// Replaces `out` by the wanted entries, oldest first.
    pub(super) fn read(&self, spec: &ReadSpec<'_>, out: &mut LogColumns) -> Result<(), Error> {
        out.clear();
        let info = &self.unit.info;
        let timestamps = self.timestamps(info.entries as usize)?;
        let covered = spec.covers(info.min_ns, info.max_ns);
        let low = if covered { 0 } else { timestamps.partition_point(|t| *t < spec.start_ns) };
        let high = if covered { timestamps.len() } else { timestamps.partition_point(|t| *t < spec.end_ns) };
        if low >= high {
            return Ok(());
        }
        let mut lines = low..high;
        let mut text = std::mem::take(&mut out.text).into_bytes();
        let result = self.read_lines(&mut lines, &timestamps, spec, &mut text, out);
        out.text = match String::from_utf8(text) {
            Ok(text) => text,
            Err(_) => {
                out.clear();
                return result.and(Err(self.pages.damaged(0, "lines are not UTF-8")));
            }
        };
        if result.is_err() {
            out.clear();
        }
        result
    }

    fn read_lines(
        &self,
        lines: &mut std::ops::Range<usize>,
        timestamps: &[i64],
        spec: &ReadSpec<'_>,
        text: &mut Vec<u8>,
        out: &mut LogColumns,
    ) -> Result<(), Error> {
        let words = self.directory.words(self.pages)?;
        let searches = !spec.needles.is_empty();
        if !spec.skip_lines || searches {
            self.print_lines(lines.clone(), timestamps, words, text, out)?;
        } else {
            out.lines.resize(lines.len(), (0, 0));
        }
        out.timestamps.extend_from_slice(&timestamps[lines.clone()]);
        let mut kept: Option<Vec<u32>> = None;
        if searches {
            let ends: Vec<u32> = out.lines.iter().map(|(_, end)| *end).collect();
            let mut rows = Vec::new();
            spec.needles.search(text, &ends, 0, &mut rows);
            keep_lines(&rows, out, text);
            kept = Some(rows.iter().map(|row| row + lines.start as u32).collect());
        }
        if !spec.skip_metadata && self.unit.info.pairs > 0 {
            match kept {
                Some(kept) => self.print_metadata(kept.iter().map(|line| *line as usize), timestamps, words, text, out)?,
                None => self.print_metadata(lines.clone(), timestamps, words, text, out)?,
            }
        }
        Ok(())
    }

    /// Appends the text of lines.
    fn print_lines(
        &self,
        lines: std::ops::Range<usize>,
        timestamps: &[i64],
        words: &Words,
        text: &mut Vec<u8>,
        out: &mut LogColumns,
    ) -> Result<(), Error> {
        let info = &self.unit.info;
        let mut places = Vec::new();
        if info.templates.len() > 1 {
            let first = self.unit.first_sequence;
            self.directory.line_values(self.pages, &self.directory.sequence, first..first + lines.end, &mut places)?;
        } else {
            places.resize(lines.end, 0);
        }
        let mut next_rows: Vec<u32> = self.unit.first_rows.clone();
        let mut readers: Vec<Option<TableReader<'_>>> = info.templates.iter().map(|_| None).collect();
        text.reserve(info.bytes as usize);
        for (line, place) in places.iter().enumerate() {
            let place = *place as usize;
            let (Some(row), Some(reader)) = (next_rows.get_mut(place), readers.get_mut(place)) else {
                return Err(self.pages.damaged(0, "line of a template that is not there"));
            };
            let this = *row as usize;
            *row += 1;
            if line < lines.start {
                continue;
            }
            let reader = match reader {
                Some(reader) => reader,
                None => {
                    let (template, count) = info.templates[place];
                    let end = (self.unit.first_rows[place] + count) as usize;
                    let table = self.directory.lines.get(template as usize).filter(|table| end <= table.rows);
                    let table = table.ok_or_else(|| self.pages.damaged(0, "template that is not there"))?;
                    reader.insert(TableReader::new(self.directory, self.pages, table, end)?)
                }
            };
            let start = text.len() as u32;
            reader.print_line(this, timestamps[line], words, text)?;
            out.lines.push((start, text.len() as u32));
        }
        Ok(())
    }

    /// Appends the structured metadata of lines, given ascending.
    fn print_metadata(
        &self,
        lines: impl Iterator<Item = usize>,
        timestamps: &[i64],
        words: &Words,
        text: &mut Vec<u8>,
        out: &mut LogColumns,
    ) -> Result<(), Error> {
        let info = &self.unit.info;
        let mut places = Vec::new();
        if info.metadata.len() > 1 {
            let first = self.unit.first_metadata;
            let rows = first..first + info.entries as usize;
            self.directory.line_values(self.pages, &self.directory.metadata_sequence, rows, &mut places)?;
        } else {
            places.resize(info.entries as usize, 0);
        }
        let mut rows = Vec::with_capacity(places.len());
        let mut next_rows = self.unit.first_metadata_rows.clone();
        for place in &places {
            let row = next_rows.get_mut(*place as usize);
            let row = row.ok_or_else(|| self.pages.damaged(0, "line of a template that is not there"))?;
            rows.push(*row);
            *row += 1;
        }
        let mut readers: Vec<Option<(TableReader<'_>, Vec<(u32, u32)>)>> = info.metadata.iter().map(|_| None).collect();
        for line in lines {
            let place = places[line] as usize;
            let reader = &mut readers[place];
            let (reader, names) = match reader {
                Some(reader) => reader,
                None => {
                    let (template, count) = info.metadata[place];
                    let end = (self.unit.first_metadata_rows[place] + count) as usize;
                    let table = self.directory.metadata.get(template as usize).filter(|t| end <= t.rows || t.columns.is_empty());
                    let table = table.ok_or_else(|| self.pages.damaged(0, "template that is not there"))?;
                    let names = names(&table.key).map_err(|e: Malformed| self.pages.damaged(0, e.what))?;
                    // Names are written once for each read.
                    let names = names.into_iter().map(|name| push(name.as_bytes(), text)).collect();
                    reader.insert((TableReader::new(self.directory, self.pages, table, end)?, names))
                }
            };
            for (column, name) in reader.columns.iter_mut().zip(names) {
                let start = text.len() as u32;
                column.print(rows[line] as usize, timestamps[line], words, text)?;
                out.metadata.push(MetadataPair { name: *name, value: (start, text.len() as u32) });
            }
            out.metadata_ends.push(out.metadata.len() as u32);
        }
        if out.metadata.is_empty() {
            out.metadata_ends.clear();
        }
        Ok(())
    }
}

fn push(part: &[u8], text: &mut Vec<u8>) -> (u32, u32) {
    let start = text.len() as u32;
    text.extend_from_slice(part);
    (start, text.len() as u32)
}

/// Keeps some of the entries.
fn keep_lines(rows: &[u32], out: &mut LogColumns, text: &mut Vec<u8>) {
    let mut end = 0;
    for (to, row) in rows.iter().enumerate() {
        let row = *row as usize;
        out.timestamps[to] = out.timestamps[row];
        let (from, until) = out.lines[row];
        text.copy_within(from as usize..until as usize, end);
        out.lines[to] = (end as u32, end as u32 + until - from);
        end += (until - from) as usize;
    }
    out.timestamps.truncate(rows.len());
    out.lines.truncate(rows.len());
    text.truncate(end);
}
