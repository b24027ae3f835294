//! Gathers the entries of a segment: lines become rows of templates, structured metadata rows of templates of names.
//!
//! [`SegmentBuilder`] holds everything of one segment in memory until [`SegmentBuilder::finish`] writes it. Streams come one after
//! the other, each with its entries oldest first, so that the rows of a template stand in the order of units.

use std::hash::BuildHasher;
use std::io;

use foldhash::fast::FixedState;
use hashbrown::{HashSet, HashTable};
use model::{Labels, LogColumns};

use super::column::{self, Gathered};
use super::format::{Info, UnitInfo, put_names};
use super::template::{FIELD, Splitter};
use super::words::WordsBuilder;
use super::writer::{Sections, SegmentFile};
use crate::bytes::{put_slice, put_varint};
use crate::codec::ints;
use crate::error::Error;

/// Lines of a unit have at most about this many bytes.
const UNIT_BYTES: usize = 1 << 20;
/// Most lines of a unit.
const UNIT_ENTRIES: usize = 4 << 10;
/// Templates with fewer rows than this are not kept: their lines go to the template that is one field.
const MIN_ROWS: usize = 8;

/// Rows of one template.
#[derive(Debug)]
struct Table {
    /// Text with fields, or names.
    key: Vec<u8>,
    columns: Vec<Gathered>,
    /// Times of the entries.
    entry_ns: Vec<i64>,
}

/// Templates by their key.
#[derive(Debug, Default)]
struct Tables {
    tables: Vec<Table>,
    by_key: HashTable<u32>,
    hasher: FixedState,
    last: u32,
}

impl Tables {
    /// The number of the template with this key.
    fn find(&mut self, key: &[u8], columns: usize) -> u32 {
        if self.tables.get(self.last as usize).is_some_and(|table| table.key == key) {
            return self.last;
        }
        let hash = self.hasher.hash_one(key);
        let tables = &self.tables;
        let found = self.by_key.find(hash, |id| tables[*id as usize].key == key).copied();
        self.last = found.unwrap_or_else(|| {
            let id = self.tables.len() as u32;
            let columns = (0..columns).map(|_| Gathered::new()).collect();
            self.tables.push(Table { key: key.to_vec(), columns, entry_ns: Vec::new() });
            let (tables, hasher) = (&self.tables, &self.hasher);
            self.by_key.insert_unique(hash, id, |id| hasher.hash_one(&tables[*id as usize].key[..]));
            id
        });
        self.last
    }
}

/// A segment in the making.
#[derive(Debug)]
pub(crate) struct SegmentBuilder {
    splitter: Splitter,
    lines: Tables,
    metadata: Tables,
    /// Template of each line.
    line_templates: Vec<u32>,
    /// Template of each entry's structured metadata.
    metadata_templates: Vec<u32>,
    /// Difference of each timestamp to the one before in its unit, scaled.
    differences: Vec<u64>,
    /// Lines in each minute of each unit.
    minutes: Vec<u64>,
    units: Vec<UnitInfo>,
    streams: Vec<(Labels, u32)>,
    info: Info,
}

/// The template of lines that are not split: one field.
const WHOLE: u32 = 0;
/// The template of entries without structured metadata.
const NONE: u32 = 0;

impl Default for SegmentBuilder {
    fn default() -> Self {
        let mut lines = Tables::default();
        lines.find(&[FIELD], 1);
        let mut metadata = Tables::default();
        metadata.find(&names_key(std::iter::empty()), 0);
        Self {
            splitter: Splitter::default(),
            lines,
            metadata,
            line_templates: Vec::new(),
            metadata_templates: Vec::new(),
            differences: Vec::new(),
            minutes: Vec::new(),
            units: Vec::new(),
            streams: Vec::new(),
            info: Info { min_ns: i64::MAX, max_ns: i64::MIN, ..Info::default() },
        }
    }
}

fn names_key<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Vec<u8> {
    let mut key = Vec::new();
    put_names(names, &mut key);
    key
}

impl SegmentBuilder {
    /// Adds a stream with its entries, oldest first. Each stream comes once.
    pub(crate) fn add_stream(&mut self, labels: &Labels, entries: &LogColumns) {
        let mut first = 0;
        let mut units = 0;
        while first < entries.len() {
            let (mut end, mut bytes) = (first, 0);
            while end < entries.len() && end - first < UNIT_ENTRIES && (end == first || bytes < UNIT_BYTES) {
                bytes += entries.line(end).len();
                end += 1;
            }
            self.add_unit(entries, first..end);
            units += 1;
            first = end;
        }
        self.streams.push((labels.clone(), units));
    }

    /// Number of entries so far.
    pub(crate) fn entries(&self) -> u64 {
        self.info.entries
    }

    fn add_unit(&mut self, entries: &LogColumns, rows: std::ops::Range<usize>) {
        let timestamps = &entries.timestamps[rows.clone()];
        let (min_ns, max_ns) = (timestamps[0], timestamps[timestamps.len() - 1]);
        let mut unit = UnitInfo { min_ns, max_ns, entries: rows.len() as u32, scale: scale_of(timestamps), ..UnitInfo::default() };
        let unit_ns = 10u64.pow(u32::from(unit.scale));
        let mut last = min_ns;
        for timestamp in timestamps {
            self.differences.push(timestamp.wrapping_sub(last) as u64 / unit_ns);
            last = *timestamp;
        }
        unit.has_minutes = unit.minutes() <= 4 * u64::from(unit.entries) + 64;
        if unit.has_minutes {
            let base = self.minutes.len();
            self.minutes.resize(base + unit.minutes() as usize, 0);
            let first = UnitInfo::minute(min_ns);
            for timestamp in timestamps {
                self.minutes[base + UnitInfo::minute(*timestamp).wrapping_sub(first) as usize] += 1;
            }
        }
        let first_line = self.line_templates.len();
        let mut symbols = HashSet::with_hasher(FixedState::default());
        for row in rows {
            let line = entries.line(row);
            unit.bytes += line.len() as u64;
            self.add_line(line.as_bytes(), entries.timestamps[row]);
            if entries.metadata_ends.is_empty() {
                self.metadata_templates.push(NONE);
                continue;
            }
            for (name, value) in entries.metadata(row) {
                unit.pairs += 1;
                for symbol in [name, value] {
                    if symbols.insert(symbol) {
                        unit.symbol_bytes += symbol.len() as u64;
                    }
                }
            }
            self.add_metadata(entries, row);
        }
        unit.templates = counts(&self.line_templates[first_line..]);
        if unit.pairs > 0 {
            unit.metadata = counts(&self.metadata_templates[first_line..]);
        }
        self.info.min_ns = self.info.min_ns.min(min_ns);
        self.info.max_ns = self.info.max_ns.max(max_ns);
        self.info.entries += u64::from(unit.entries);
        self.info.bytes += unit.bytes;
        self.units.push(unit);
    }

    fn add_line(&mut self, line: &[u8], timestamp_ns: i64) {
        let split = self.splitter.split(line);
        let id = if split { self.lines.find(&self.splitter.template, self.splitter.fields.len()) } else { WHOLE };
        let table = &mut self.lines.tables[id as usize];
        table.entry_ns.push(timestamp_ns);
        self.line_templates.push(id);
        if split {
            for (column, (start, end)) in table.columns.iter_mut().zip(&self.splitter.fields) {
                column.push(&line[*start as usize..*end as usize]);
            }
        } else {
            table.columns[0].push(line);
        }
    }

    fn add_metadata(&mut self, entries: &LogColumns, row: usize) {
        let names: smallvec::SmallVec<[&str; 8]> = entries.metadata(row).map(|(name, _)| name).collect();
        let id = self.metadata.find(&names_key(names.iter().copied()), names.len());
        let table = &mut self.metadata.tables[id as usize];
        table.entry_ns.push(entries.timestamps[row]);
        self.metadata_templates.push(id);
        for (column, (_, value)) in table.columns.iter_mut().zip(entries.metadata(row)) {
            column.push(value.as_bytes());
        }
    }

    /// Writes everything and completes the file.
    pub(super) fn finish(mut self, mut file: SegmentFile<'_>, generation: u64) -> Result<(), Error> {
        self.info.generation = generation;
        self.fold_rare_templates();
        let mut words = WordsBuilder::default();
        let mut directory = Vec::new();
        let lines = sequence(&self.units, &self.line_templates, |unit| &unit.templates[..]);
        let metadata = sequence(&self.units, &self.metadata_templates, |unit| &unit.metadata[..]);
        for values in [&lines, &metadata, &self.differences, &self.minutes] {
            let (mut params, mut payload) = (Vec::new(), Vec::new());
            ints::encode(values, &mut params, &mut payload);
            put_varint(&mut directory, values.len() as u64);
            put_column(&params, &payload, &mut directory);
            file.append(&payload)?;
        }
        for tables in [self.lines, self.metadata] {
            put_varint(&mut directory, tables.tables.len() as u64);
            for table in tables.tables {
                table.write(&mut words, &mut directory, &mut file)?;
            }
        }
        let packed = words.finish().map_err(|e| file.failed(e))?;
        packed.write(&mut directory);
        file.append(&packed.payload)?;
        let mut sections = Sections { templates: directory, ..Sections::default() };
        self.info.write(&mut sections.info);
        put_varint(&mut sections.streams, self.streams.len() as u64);
        for (labels, units) in &self.streams {
            put_slice(&mut sections.streams, labels.as_encoded().as_bytes());
            put_varint(&mut sections.streams, u64::from(*units));
        }
        self.units.iter().for_each(|unit| unit.write(&mut sections.units));
        file.finish(sections)
    }

    /// Gives the lines of templates with few rows to the template that is one field.
    fn fold_rare_templates(&mut self) {
        let tables = &mut self.lines.tables;
        let rare = |tables: &[Table], id: u32| id != WHOLE && tables[id as usize].entry_ns.len() < MIN_ROWS;
        if !(0..tables.len() as u32).any(|id| rare(tables, id)) {
            return;
        }
        let mut whole = Table { key: vec![FIELD], columns: vec![Gathered::new()], entry_ns: Vec::new() };
        let mut next_rows = vec![0usize; tables.len()];
        let mut line = Vec::new();
        for id in &self.line_templates {
            let table = &tables[*id as usize];
            let row = &mut next_rows[*id as usize];
            if *id == WHOLE || rare(tables, *id) {
                line.clear();
                table.print(*row, &mut line);
                whole.columns[0].push(&line);
                whole.entry_ns.push(table.entry_ns[*row]);
            }
            *row += 1;
        }
        // The others move together.
        let mut moved = vec![WHOLE; tables.len()];
        let mut next = 1;
        for id in 1..tables.len() as u32 {
            if !rare(tables, id) {
                moved[id as usize] = next;
                next += 1;
            }
        }
        let mut kept = Vec::with_capacity(next as usize);
        kept.push(whole);
        for (id, table) in std::mem::take(tables).into_iter().enumerate() {
            if moved[id] != WHOLE {
                kept.push(table);
            }
        }
        self.lines.tables = kept;
        self.line_templates.iter_mut().for_each(|id| *id = moved[*id as usize]);
        let mut line = 0;
        for unit in &mut self.units {
            let lines = &self.line_templates[line..line + unit.entries as usize];
            unit.templates = counts(lines);
            line += unit.entries as usize;
        }
    }
}

impl Table {
    /// Writes the columns into the file and what the directory keeps of them into `directory`.
    fn write(self, words: &mut WordsBuilder, directory: &mut Vec<u8>, file: &mut SegmentFile<'_>) -> Result<(), Error> {
        put_slice(directory, &self.key);
        put_varint(directory, self.entry_ns.len() as u64);
        if self.entry_ns.is_empty() {
            return Ok(());
        }
        let (mut params, mut payload) = (Vec::new(), Vec::new());
        for column in self.columns {
            params.clear();
            payload.clear();
            let result = column::encode(&column, &self.entry_ns, words, &mut params, &mut payload);
            result.map_err(|error| file.failed(error))?;
            put_column(&params, &payload, directory);
            file.append(&payload)?;
        }
        Ok(())
    }

    /// Appends a line of the template.
    fn print(&self, row: usize, out: &mut Vec<u8>) {
        let mut columns = self.columns.iter();
        for byte in &self.key {
            match columns.as_slice() {
                [column, ..] if *byte == FIELD => {
                    out.extend_from_slice(column.get(row));
                    columns.next();
                }
                _ => out.push(*byte),
            }
        }
    }
}

/// What the directory keeps of any column: its own part and the length of its payload.
fn put_column(params: &[u8], payload: &[u8], directory: &mut Vec<u8>) {
    put_slice(directory, params);
    put_varint(directory, payload.len() as u64);
}

/// Greatest power of ten in ns, as its exponent, of which all differences of the timestamps are multiples.
fn scale_of(timestamps: &[i64]) -> u8 {
    let mut scale = 9;
    for pair in timestamps.windows(2) {
        let difference = pair[1].wrapping_sub(pair[0]) as u64;
        while difference % 10u64.pow(scale) != 0 {
            scale -= 1;
        }
        if scale == 0 {
            break;
        }
    }
    scale as u8
}

/// How often each template occurs, most frequent first.
fn counts(templates: &[u32]) -> Vec<(u32, u32)> {
    let mut sorted = templates.to_vec();
    sorted.sort_unstable();
    let mut counts: Vec<(u32, u32)> = sorted.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u32)).collect();
    counts.sort_by_key(|(template, count)| (std::cmp::Reverse(*count), *template));
    counts
}

/// For each line of the units with more than one template: the place of its template among those of its unit.
fn sequence<'u>(units: &'u [UnitInfo], templates: &[u32], of_unit: impl Fn(&'u UnitInfo) -> &'u [(u32, u32)]) -> Vec<u64> {
    let mut sequence = Vec::new();
    let mut places = hashbrown::HashMap::with_hasher(FixedState::default());
    let mut first = 0;
    for unit in units {
        let lines = &templates[first..first + unit.entries as usize];
        first += lines.len();
        let of_unit = of_unit(unit);
        if of_unit.len() > 1 {
            places.clear();
            places.extend(of_unit.iter().enumerate().map(|(place, (template, _))| (*template, place as u64)));
            sequence.extend(lines.iter().map(|template| places[template]));
        }
    }
    sequence
}
