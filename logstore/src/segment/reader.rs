//! An open segment: which streams and units it has, and the way to their lines.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use disk::{Files, IoContext, Mapped};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::index::{self, DiskIndex, IndexError};
use model::{Labels, LogColumns, Matcher};
use parking_lot::Mutex;
use roaring::RoaringBitmap;

use super::counts::Minutes;
use super::directory::{Directory, Pages};
use super::format::{Info, SECTIONS, Section, SectionEntry, SegmentId, UnitInfo, read_footer};
use super::rows::UnitReader;
use super::search::Plan;
use super::words::Words;
use crate::bytes::{Cursor, Malformed};
use crate::error::Error;
use crate::head::ReadSpec;

/// Counts uses of directories, so that those used last are kept.
static USES: AtomicU64 = AtomicU64::new(1);

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: SegmentId,
    pub(crate) path: PathBuf,
    pub(crate) info: Info,
    /// For each stream the end of its units.
    unit_ends: Vec<u32>,
    units: Vec<Unit>,
    index: DiskIndex<Part>,
    index_offset: u64,
    pages: Pages,
    directory: Mutex<Option<Arc<Directory>>>,
    /// When the directory was used last, by the count of uses of any.
    last_used: AtomicU64,
    sections: [SectionEntry; SECTIONS],
    /// Damage that cost nothing.
    notes: Mutex<Vec<Error>>,
}

/// A part of a mapped file.
#[derive(Debug)]
struct Part {
    map: Mapped,
    range: std::ops::Range<usize>,
}

impl std::ops::Deref for Part {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.get(self.range.clone()).unwrap_or(&[])
    }
}

/// A unit, and where its lines are.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) info: UnitInfo,
    /// First of its lines among all lines.
    pub(super) first_line: usize,
    /// … among lines of units with several templates.
    pub(super) first_sequence: usize,
    /// … among lines of units with several templates of structured metadata.
    pub(super) first_metadata: usize,
    /// First of its minutes among all minutes.
    pub(super) first_minute: usize,
    /// First row of this unit in each of its templates, in the order of `info.templates`.
    pub(super) first_rows: Vec<u32>,
    /// The same for structured metadata.
    pub(super) first_metadata_rows: Vec<u32>,
}

impl Segment {
    pub(crate) fn open(files: &dyn Files, dir: &Path, id: SegmentId) -> Result<Self, Error> {
        let path = id.path(dir);
        let map = files.map(&path).at("map", &path)?;
        let corrupt = |malformed| Error::corrupt(&path, 0, malformed);
        let mut notes = Vec::new();
        let mut note = |malformed| notes.push(Error::corrupt(&path, 0, malformed));
        let sections = read_footer(&map, id, &mut note).map_err(corrupt)?;
        let mut section = |section: Section| sections[section as usize].read(&map, &mut note).map_err(corrupt);
        let inside = |of: Section, malformed: Malformed| Error::Corrupt {
            file: path.clone(),
            offset: sections[of as usize].offset(),
            what: format!("section {of:?}, byte {}: {}", malformed.at, malformed.what),
        };
        let info = Info::read(&section(Section::Info)?).map_err(|e| inside(Section::Info, e))?;
        let pages = Pages::new(path.clone(), map.clone(), &section(Section::Pages)?);
        let (streams, units) = (section(Section::Streams)?, section(Section::Units)?);
        let labels = sections[Section::Labels as usize].range(&map, &mut note).map_err(corrupt)?;
        let index_offset = labels.start as u64;
        let index = DiskIndex::open(Part { range: labels, map: map.clone() });
        let index = index.map_err(|error| damaged_index(&path, index_offset, error))?;
        let mut segment = Self {
            id,
            path: path.clone(),
            info,
            unit_ends: Vec::new(),
            units: Vec::new(),
            index,
            index_offset,
            pages,
            directory: Mutex::default(),
            last_used: AtomicU64::new(0),
            sections,
            notes: Mutex::new(notes),
        };
        segment.read_streams(&streams).map_err(|e| inside(Section::Streams, e))?;
        segment.read_units(&units).map_err(|e| inside(Section::Units, e))?;
        Ok(segment)
    }

    fn read_streams(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(bytes);
        let mut units = 0u32;
        for _ in 0..self.index.len() {
            let count = cursor.bounded(u32::MAX as usize, "too many units")? as u32;
            units = units.checked_add(count).ok_or_else(|| cursor.malformed("too many units"))?;
            self.unit_ends.push(units);
        }
        cursor.finish()
    }

    fn read_units(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(bytes);
        let (mut first_line, mut first_sequence, mut first_metadata, mut first_minute) = (0, 0, 0, 0);
        let mut rows = HashMap::<u32, u32, RandomState>::default();
        let mut metadata_rows = HashMap::<u32, u32, RandomState>::default();
        let starts = |templates: &[(u32, u32)], rows: &mut HashMap<u32, u32, RandomState>| {
            let start = |(template, count): &(u32, u32)| {
                let next = rows.entry(*template).or_insert(0);
                let start = *next;
                *next = next.saturating_add(*count);
                start
            };
            templates.iter().map(start).collect::<Vec<u32>>()
        };
        while cursor.remaining() > 0 {
            let info = UnitInfo::read(&mut cursor)?;
            let unit = Unit {
                first_line,
                first_sequence,
                first_metadata,
                first_minute,
                first_rows: starts(&info.templates, &mut rows),
                first_metadata_rows: starts(&info.metadata, &mut metadata_rows),
                info,
            };
            let entries = unit.info.entries as usize;
            first_line += entries;
            first_sequence += if unit.info.templates.len() > 1 { entries } else { 0 };
            first_metadata += if unit.info.metadata.len() > 1 { entries } else { 0 };
            first_minute += if unit.info.has_minutes { unit.info.minutes() as usize } else { 0 };
            self.units.push(unit);
        }
        if self.unit_ends.last().map_or(0, |end| *end as usize) != self.units.len() {
            return Err(cursor.malformed("streams have another number of units"));
        }
        Ok(())
    }

    /// Bytes on disk.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.pages.map.len() as u64
    }

    /// Damage found so far that cost nothing.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().iter().map(Error::to_string).collect()
    }

    fn damaged_index(&self, error: IndexError) -> Error {
        damaged_index(&self.path, self.index_offset, error)
    }

    /// Streams that satisfy all matchers.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Result<RoaringBitmap, Error> {
        index::select(&self.index, matchers).map_err(|error| self.damaged_index(error))
    }

    /// Labels of streams, given ascending.
    pub(crate) fn visit_labels(
        &self,
        streams: impl IntoIterator<Item = u32>,
        visit: &mut dyn FnMut(u32, Labels),
    ) -> Result<(), Error> {
        self.index.visit_labels(streams, visit).map_err(|error| self.damaged_index(error))
    }

    /// Number of streams. They are numbered from 0 in the order of their labels.
    pub(crate) fn streams(&self) -> u32 {
        self.index.len()
    }

    /// Labels of one stream.
    pub(crate) fn labels(&self, stream: u32) -> Result<Labels, Error> {
        self.index.labels(stream).map_err(|error| self.damaged_index(error))
    }

    /// About how many bytes all entries take in memory while they are written into another segment.
    pub(crate) fn weight(&self) -> u64 {
        let of_metadata = |unit: &Unit| unit.info.symbol_bytes.saturating_add(unit.info.pairs.saturating_mul(32));
        self.units.iter().fold(self.info.bytes, |sum, unit| sum.saturating_add(of_metadata(unit)))
    }

    /// The stream with these labels.
    fn find_stream(&self, labels: &Labels) -> Result<Option<u32>, Error> {
        let (mut low, mut high) = (0, self.index.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.labels(middle)?.cmp(labels) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(Some(middle)),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// Units of a stream.
    pub(crate) fn units_of(&self, stream: u32) -> std::ops::Range<u32> {
        let end = |stream: u32| self.unit_ends.get(stream as usize).copied().unwrap_or(0);
        if stream == 0 { 0..end(0) } else { end(stream - 1)..end(stream) }
    }

    pub(crate) fn unit(&self, unit: u32) -> &UnitInfo {
        &self.units[unit as usize].info
    }

    /// The directory, read where it is not in memory.
    fn directory(&self) -> Result<Arc<Directory>, Error> {
        self.last_used.store(USES.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let mut kept = self.directory.lock();
        if let Some(directory) = &*kept {
            return Ok(directory.clone());
        }
        let directory = Arc::new(self.read_directory()?);
        *kept = Some(directory.clone());
        Ok(directory)
    }

    /// When the directory was used last, and the bytes of memory it takes; `None` when it is not in memory.
    pub(crate) fn directory_use(&self) -> Option<(u64, usize)> {
        let directory = self.directory.lock().clone()?;
        Some((self.last_used.load(Ordering::Relaxed), directory.heap_bytes()))
    }

    /// Lets go of the directory until it is used again.
    pub(crate) fn forget_directory(&self) {
        *self.directory.lock() = None;
    }

    fn read_directory(&self) -> Result<Directory, Error> {
        let mut note = |malformed| self.notes.lock().push(Error::corrupt(&self.path, 0, malformed));
        let mut section = |section: Section| {
            let bytes = self.sections[section as usize].read(&self.pages.map, &mut note);
            bytes.map_err(|e| Error::corrupt(&self.path, 0, e))
        };
        let inside = |section: Section| {
            let offset = self.sections[section as usize].offset();
            move |e| Error::corrupt(&self.path, offset, e)
        };
        let words = Words::read(section(Section::Words)?).map_err(inside(Section::Words))?;
        Directory::read(section(Section::Templates)?, words).map_err(inside(Section::Templates))
    }

    /// Whether a unit may have lines with all that is wanted.
    pub(crate) fn may_match(&self, unit: u32, plan: &Plan) -> Result<bool, Error> {
        UnitReader::new(&*self.directory()?, &self.pages, &self.units[unit as usize]).may_match(plan)
    }

    /// Replaces `out` by the wanted entries of a unit, oldest first. `plan`: made for the needles of `spec`, if it has any.
    pub(crate) fn read(
        &self,
        unit: u32,
        spec: &ReadSpec<'_>,
        plan: Option<&Plan>,
        out: &mut LogColumns,
    ) -> Result<(), Error> {
        UnitReader::new(&*self.directory()?, &self.pages, &self.units[unit as usize]).read(spec, plan, out)
    }

    /// Replaces `out` by the entries of a unit between each two neighbours of `edges_ns`, as far as they lie in `range_ns`, from
    /// its first, inclusive, to its second, exclusive. `minutes`: those of this segment.
    pub(crate) fn counts(
        &self,
        unit: u32,
        edges_ns: &[i64],
        range_ns: (i64, i64),
        minutes: &Minutes,
        out: &mut Vec<u64>,
    ) -> Result<(), Error> {
        let of = &self.units[unit as usize];
        if let [first, last] = edges_ns
            && *first <= of.info.min_ns
            && range_ns.0 <= of.info.min_ns
            && (*last).min(range_ns.1) > of.info.max_ns
        {
            out.clear();
            out.push(u64::from(of.info.entries));
            return Ok(());
        }
        UnitReader::new(&*self.directory()?, &self.pages, of).counts(edges_ns, range_ns, minutes, out)
    }

    /// Whether the segment holds this very entry of a stream.
    pub(crate) fn contains(
        &self,
        labels: &Labels,
        timestamp_ns: i64,
        line: &str,
        metadata: &[(&str, &str)],
    ) -> Result<bool, Error> {
        if timestamp_ns < self.info.min_ns || timestamp_ns > self.info.max_ns {
            return Ok(false);
        }
        let Some(stream) = self.find_stream(labels)? else { return Ok(false) };
        let mut found = LogColumns::new();
        for unit in self.units_of(stream) {
            let info = self.unit(unit);
            if timestamp_ns < info.min_ns || timestamp_ns > info.max_ns {
                continue;
            }
            self.read(unit, &ReadSpec::moment(timestamp_ns), None, &mut found)?;
            let same = |row: usize| found.line(row) == line && found.metadata(row).eq(metadata.iter().copied());
            if (0..found.len()).any(same) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn damaged_index(path: &Path, offset: u64, error: IndexError) -> Error {
    Error::Corrupt { file: path.to_owned(), offset, what: error.to_string() }
}
