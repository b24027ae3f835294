//! Reads the lines of a unit: which lines are wanted, then their text, field by field.

use std::cell::OnceCell;
use std::ops::Range;

use model::LogColumns;
use model::Shortened;
use model::log::MetadataPair;

use super::column::{Column, Decoded};
use super::counts::Minutes;
use super::directory::{ColumnPayload, Directory, Pages, TableInfo, names};
use super::format::UnitInfo;
use super::reader::Unit;
use super::search::{Plan, TemplatePlan};
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
    timestamps: OnceCell<Vec<i64>>,
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
    /// Most rows are wanted: a block is decoded up to its end.
    dense: bool,
}

impl<'a> TableReader<'a> {
    /// `end`: rows from here on are not wanted.
    fn new(
        directory: &'a Directory,
        pages: &'a Pages,
        table: &'a TableInfo,
        end: usize,
        dense: bool,
    ) -> Result<Self, Error> {
        let columns = (0..table.columns.len()).map(|index| {
            let (column, payload) = directory.column(pages, table, index)?;
            Ok(ColumnReader { column, payload, decoded: Decoded::default(), end, dense })
        });
        Ok(Self { literals: table.literals().collect(), columns: columns.collect::<Result<_, Error>>()? })
    }

    /// The same for lines of which only a part is put together.
    fn short(
        directory: &'a Directory,
        pages: &'a Pages,
        table: &'a TableInfo,
        short: &'a Shortened,
        end: usize,
        dense: bool,
    ) -> Result<Self, Error> {
        let columns = short.gaps.iter().map(|index| {
            let (column, payload) = directory.column(pages, table, *index)?;
            Ok(ColumnReader { column, payload, decoded: Decoded::default(), end, dense })
        });
        let literals = short.texts.iter().map(Vec::as_slice).collect();
        Ok(Self { literals, columns: columns.collect::<Result<_, Error>>()? })
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
            // Rows are asked for in ascending order.
            let end = if self.dense { (row / BLOCK_ROWS + 1) * BLOCK_ROWS } else { row + 1 };
            self.decoded.load(self.column, &self.payload, row..end.min(self.end))?;
        }
        self.decoded.print(self.column, row, entry_ns, words, out);
        Ok(())
    }
}

/// A template of structured metadata, and where its names are in the text.
type MetadataReader<'a> = (TableReader<'a>, Vec<(u32, u32)>);

/// A line that is wanted.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// Its place in the unit.
    line: u32,
    /// Place of its template among those of the unit.
    place: u32,
    /// Its row in the template.
    row: u32,
    /// Whether its text has to be searched for the needles.
    search: bool,
}

impl<'a> UnitReader<'a> {
    pub(super) fn new(directory: &'a Directory, pages: &'a Pages, unit: &'a Unit) -> Self {
        Self { directory, pages, unit, timestamps: OnceCell::new() }
    }

    /// Timestamps of all lines; decoded once.
    pub(super) fn timestamps(&self) -> Result<&[i64], Error> {
        if let Some(timestamps) = self.timestamps.get() {
            return Ok(timestamps);
        }
        let (first, count) = (self.unit.first_line, self.unit.info.entries as usize);
        let mut differences = Vec::with_capacity(count);
        self.directory.line_values(self.pages, &self.directory.differences, first..first + count, &mut differences)?;
        let scale = 10u64.pow(u32::from(self.unit.info.scale));
        let mut timestamp = self.unit.info.min_ns;
        let timestamps = differences.into_iter().map(|difference| {
            timestamp = timestamp.wrapping_add(difference.wrapping_mul(scale) as i64);
            timestamp
        });
        let timestamps: Vec<i64> = timestamps.collect();
        Ok(self.timestamps.get_or_init(|| timestamps))
    }

    pub(super) fn info(&self) -> &UnitInfo {
        &self.unit.info
    }

    /// Replaces `out` by the number of lines in each minute from the first to the last.
    pub(super) fn minutes(&self, kept: &Minutes, out: &mut Vec<u64>) -> Result<(), Error> {
        let first = self.unit.first_minute;
        let end = usize::try_from(self.unit.info.minutes()).ok().and_then(|count| first.checked_add(count));
        kept.get(self.directory, self.pages, first..end.unwrap_or(usize::MAX), out)
    }

    /// Replaces `out` by the wanted entries, oldest first. `plan`: where the needles of `spec` are, if it has any.
    pub(super) fn read(&self, spec: &ReadSpec<'_>, plan: Option<&Plan>, out: &mut LogColumns) -> Result<(), Error> {
        out.clear();
        if let Some(plan) = plan
            && !self.may_match(plan)?
        {
            return Ok(());
        }
        let mut lines = 0..self.unit.info.entries as usize;
        if !spec.covers(self.unit.info.min_ns, self.unit.info.max_ns) {
            let timestamps = self.timestamps()?;
            lines.start = timestamps.partition_point(|t| *t < spec.start_ns);
            lines.end = timestamps.partition_point(|t| *t < spec.end_ns);
        }
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = std::mem::take(&mut out.text).into_bytes();
        let result = self.read_lines(lines, spec, plan, &mut text, out);
        out.text = String::from_utf8(text).map_err(|_| self.pages.damaged(0, "lines are not UTF-8"))?;
        if result.is_err() {
            out.clear();
        }
        result
    }

    /// Whether a template of the unit may have lines with all that is wanted.
    pub(super) fn may_match(&self, plan: &Plan) -> Result<bool, Error> {
        for (template, _) in &self.unit.info.templates {
            if !matches!(plan.template(self.directory, self.pages, *template)?, TemplatePlan::Never) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read_lines(
        &self,
        lines: Range<usize>,
        spec: &ReadSpec<'_>,
        plan: Option<&Plan>,
        text: &mut Vec<u8>,
        out: &mut LogColumns,
    ) -> Result<(), Error> {
        let words = self.directory.words();
        let wanted = match plan {
            None if spec.skip_lines => None,
            None => Some(self.all_lines(lines.clone())?),
            Some(plan) => Some(self.matching_lines(lines.clone(), plan)?),
        };
        if wanted.as_ref().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        let timestamps = self.timestamps()?;
        let kept: Vec<u32> = match wanted {
            Some(wanted) => self.print_lines(&wanted, timestamps, words, spec, text, out)?,
            None => {
                out.lines.resize(lines.len(), (0, 0));
                (lines.start as u32..lines.end as u32).collect()
            }
        };
        out.timestamps.extend(kept.iter().map(|line| timestamps[*line as usize]));
        if !spec.skip_metadata && self.unit.info.pairs > 0 {
            self.print_metadata(&kept, timestamps, words, text, out)?;
        }
        Ok(())
    }

    /// Place of the template of each of the first `count` lines.
    fn places(&self, count: usize) -> Result<Vec<u64>, Error> {
        let mut places = Vec::new();
        if self.unit.info.templates.len() > 1 {
            let first = self.unit.first_sequence;
            self.directory.line_values(self.pages, &self.directory.sequence, first..first + count, &mut places)?;
        } else {
            places.resize(count, 0);
        }
        Ok(places)
    }

    fn all_lines(&self, lines: Range<usize>) -> Result<Vec<Line>, Error> {
        let mut next_rows = self.unit.first_rows.clone();
        let mut wanted = Vec::with_capacity(lines.len());
        for (line, place) in self.places(lines.end)?.into_iter().enumerate() {
            let row = next_rows.get_mut(place as usize).ok_or_else(|| self.no_template())?;
            if line >= lines.start {
                wanted.push(Line { line: line as u32, place: place as u32, row: *row, search: false });
            }
            *row += 1;
        }
        Ok(wanted)
    }

    /// The lines that have what is wanted, and those of which it is not known.
    fn matching_lines(&self, lines: Range<usize>, plan: &Plan) -> Result<Vec<Line>, Error> {
        let info = &self.unit.info;
        let mut lines_of: Vec<Vec<u32>> = vec![Vec::new(); info.templates.len()];
        let mut before: Vec<u32> = vec![0; info.templates.len()];
        for (line, place) in self.places(lines.end)?.into_iter().enumerate() {
            let Some(of) = lines_of.get_mut(place as usize) else { return Err(self.no_template()) };
            if line < lines.start {
                before[place as usize] += 1;
            } else {
                of.push(line as u32);
            }
        }
        let mut wanted = Vec::new();
        for (place, (template, _)) in info.templates.iter().enumerate() {
            let lines = &lines_of[place];
            let first = self.unit.first_rows[place] + before[place];
            let template_plan = plan.template(self.directory, self.pages, *template)?;
            let search = match template_plan {
                TemplatePlan::Never => continue,
                TemplatePlan::Lines => true,
                TemplatePlan::Groups(_) => false,
            };
            let mut rows: Vec<u32> = (first..first + lines.len() as u32).collect();
            let line_of = |row: u32| lines[(row - first) as usize];
            if !search {
                let table = self.table(place)?.0;
                let timestamps = if template_plan.needs_times() { self.timestamps()? } else { &[] };
                let entry_ns = |row: u32| timestamps.get(line_of(row) as usize).copied().unwrap_or(0);
                template_plan.retain(self.directory, self.pages, table, entry_ns, &mut rows)?;
            }
            wanted.extend(rows.into_iter().map(|row| Line { line: line_of(row), place: place as u32, row, search }));
        }
        wanted.sort_unstable_by_key(|wanted| wanted.line);
        Ok(wanted)
    }

    fn no_template(&self) -> Error {
        self.pages.damaged(0, "line of a template that is not there")
    }

    /// The template at a place of the unit, and where the unit's rows in it end.
    fn table(&self, place: usize) -> Result<(&'a TableInfo, usize), Error> {
        let (Some((template, count)), Some(first)) =
            (self.unit.info.templates.get(place), self.unit.first_rows.get(place))
        else {
            return Err(self.no_template());
        };
        let end = *first as usize + *count as usize;
        let table = self.directory.lines.get(*template as usize).filter(|table| end <= table.rows);
        Ok((table.ok_or_else(|| self.no_template())?, end))
    }

    /// Appends the text of lines; returns which of them were kept.
    fn print_lines(
        &self,
        wanted: &[Line],
        timestamps: &[i64],
        words: &Words,
        spec: &ReadSpec<'_>,
        text: &mut Vec<u8>,
        out: &mut LogColumns,
    ) -> Result<Vec<u32>, Error> {
        let info = &self.unit.info;
        let mut counts = vec![0usize; info.templates.len()];
        wanted.iter().for_each(|line| counts[line.place as usize] += 1);
        let mut readers: Vec<Option<TableReader<'_>>> = info.templates.iter().map(|_| None).collect();
        let mut kept = Vec::with_capacity(wanted.len());
        for line in wanted {
            let place = line.place as usize;
            if spec.skip_lines && !line.search {
                out.lines.push((0, 0));
                kept.push(line.line);
                continue;
            }
            let reader = match &mut readers[place] {
                Some(reader) => reader,
                none => {
                    let (table, end) = self.table(place)?;
                    let dense = counts[place] * 8 >= info.templates[place].1 as usize;
                    // What is searched has to be whole.
                    let by = spec.shorten.filter(|_| !line.search);
                    let template = info.templates[place].0;
                    let reader = match by.and_then(|by| by.of(self.directory, self.pages, template)) {
                        Some(short) => TableReader::short(self.directory, self.pages, table, short, end, dense)?,
                        None => TableReader::new(self.directory, self.pages, table, end, dense)?,
                    };
                    none.insert(reader)
                }
            };
            let start = text.len();
            reader.print_line(line.row as usize, timestamps[line.line as usize], words, text)?;
            if line.search && !spec.needles.pass(&text[start..]) {
                text.truncate(start);
                continue;
            }
            out.lines.push((start as u32, text.len() as u32));
            kept.push(line.line);
        }
        Ok(kept)
    }

    /// Appends the structured metadata of lines, given ascending.
    fn print_metadata(
        &self,
        lines: &[u32],
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
            let row = row.ok_or_else(|| self.no_template())?;
            rows.push(*row);
            *row += 1;
        }
        let mut readers: Vec<Option<MetadataReader<'_>>> = info.metadata.iter().map(|_| None).collect();
        for line in lines {
            let line = *line as usize;
            let place = places[line] as usize;
            let reader = &mut readers[place];
            let (reader, names) = match reader {
                Some(reader) => reader,
                None => {
                    let (template, count) = info.metadata[place];
                    let end = (self.unit.first_metadata_rows[place] + count) as usize;
                    let table = self
                        .directory
                        .metadata
                        .get(template as usize)
                        .filter(|t| end <= t.rows || t.columns.is_empty());
                    let table = table.ok_or_else(|| self.no_template())?;
                    let names = names(&table.key).map_err(|e: Malformed| self.pages.damaged(0, e.what))?;
                    // Names are written once for each read.
                    let names = names.into_iter().map(|name| push(name.as_bytes(), text)).collect();
                    reader.insert((TableReader::new(self.directory, self.pages, table, end, true)?, names))
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
