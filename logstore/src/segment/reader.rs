//! An open segment: which streams and units it has, and the way to their lines.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use disk::{Files, IoContext};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{Labels, LogColumns, Matcher};

use super::directory::{Directory, Pages};
use super::format::{Info, Section, SegmentId, UnitInfo, read_footer};
use super::rows::UnitReader;
use crate::bytes::{Cursor, Malformed};
use crate::error::Error;
use crate::head::ReadSpec;
use crate::label_index::LabelIndex;

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: SegmentId,
    pub(crate) path: PathBuf,
    pub(crate) info: Info,
    labels: Vec<Labels>,
    /// For each stream the end of its units.
    unit_ends: Vec<u32>,
    units: Vec<Unit>,
    by_labels: HashMap<Labels, u32, RandomState>,
    index: LabelIndex,
    pages: Pages,
    directory: OnceLock<Directory>,
    directory_section: super::format::SectionEntry,
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
        let sections = read_footer(&map, id).map_err(corrupt)?;
        let section = |section: Section| sections[section as usize].read(&map).map_err(corrupt);
        let inside = |of: Section, malformed: Malformed| {
            Error::Corrupt {
                file: path.clone(),
                offset: sections[of as usize].offset(),
                what: format!("section {of:?}, byte {}: {}", malformed.at, malformed.what),
            }
        };
        let info = Info::read(&section(Section::Info)?).map_err(|e| inside(Section::Info, e))?;
        let pages = Pages::new(path.clone(), map.clone(), &section(Section::Pages)?);
        let mut segment = Self {
            id,
            path: path.clone(),
            info,
            labels: Vec::new(),
            unit_ends: Vec::new(),
            units: Vec::new(),
            by_labels: HashMap::default(),
            index: LabelIndex::default(),
            pages,
            directory: OnceLock::new(),
            directory_section: sections[Section::Templates as usize],
        };
        segment.read_streams(&section(Section::Streams)?).map_err(|e| inside(Section::Streams, e))?;
        segment.read_units(&section(Section::Units)?).map_err(|e| inside(Section::Units, e))?;
        Ok(segment)
    }

    fn read_streams(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(bytes);
        let mut units = 0u32;
        for id in 0..cursor.count()? as u32 {
            let labels = Labels::from_encoded(cursor.text()?).ok_or(cursor.malformed("labels are malformed"))?;
            let count = cursor.bounded(u32::MAX as usize, "too many units")? as u32;
            units = units.checked_add(count).ok_or_else(|| cursor.malformed("too many units"))?;
            self.unit_ends.push(units);
            self.index.add(id, &labels);
            self.by_labels.insert(labels.clone(), id);
            self.labels.push(labels);
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

    /// Streams that satisfy all matchers.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> impl Iterator<Item = u32> + use<> {
        self.index.select(matchers).into_iter()
    }

    pub(crate) fn labels(&self, stream: u32) -> &Labels {
        &self.labels[stream as usize]
    }

    /// Units of a stream.
    pub(crate) fn units_of(&self, stream: u32) -> std::ops::Range<u32> {
        let start = if stream == 0 { 0 } else { self.unit_ends[stream as usize - 1] };
        start..self.unit_ends[stream as usize]
    }

    pub(crate) fn unit(&self, unit: u32) -> &UnitInfo {
        &self.units[unit as usize].info
    }

    fn directory(&self) -> Result<&Directory, Error> {
        if let Some(directory) = self.directory.get() {
            return Ok(directory);
        }
        let section = self.directory_section.read(&self.pages.map);
        let section = section.map_err(|e| Error::corrupt(&self.path, 0, e))?;
        let directory =
            Directory::read(section).map_err(|e| Error::corrupt(&self.path, self.directory_section.offset(), e))?;
        Ok(self.directory.get_or_init(|| directory))
    }

    /// Replaces `out` by the wanted entries of a unit, oldest first.
    pub(crate) fn read(&self, unit: u32, spec: &ReadSpec<'_>, out: &mut LogColumns) -> Result<(), Error> {
        UnitReader::new(self.directory()?, &self.pages, &self.units[unit as usize]).read(spec, out)
    }

    /// Entries of a unit with a timestamp in `[start_ns, end_ns)`.
    pub(crate) fn count(&self, unit: u32, start_ns: i64, end_ns: i64) -> Result<u64, Error> {
        let of = &self.units[unit as usize];
        if start_ns <= of.info.min_ns && of.info.max_ns < end_ns {
            return Ok(u64::from(of.info.entries));
        }
        if of.info.max_ns < start_ns || of.info.min_ns >= end_ns {
            return Ok(0);
        }
        UnitReader::new(self.directory()?, &self.pages, of).count(start_ns, end_ns)
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
        let Some(stream) = self.by_labels.get(labels) else { return Ok(false) };
        let mut found = LogColumns::new();
        for unit in self.units_of(*stream) {
            let info = self.unit(unit);
            if timestamp_ns < info.min_ns || timestamp_ns > info.max_ns {
                continue;
            }
            self.read(unit, &ReadSpec::moment(timestamp_ns), &mut found)?;
            let same = |row: usize| found.line(row) == line && found.metadata(row).eq(metadata.iter().copied());
            if (0..found.len()).any(same) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
