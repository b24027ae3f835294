//! Reads a segment: its directory when it is opened, units when they are asked for.

use std::path::{Path, PathBuf};

use disk::{Files, IoContext, Mapped};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{Labels, LogColumns, Matcher};

use super::{END_MAGIC, FOOTER_LEN, HEADER_LEN, SegmentId, header, unit};
use crate::bytes::{Cursor, Malformed};
use crate::error::Error;
use crate::head::ReadSpec;
use crate::label_index::LabelIndex;

/// A unit is never larger than this once decompressed.
const MAX_UNIT_BYTES: usize = 1 << 30;

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: SegmentId,
    pub(crate) path: PathBuf,
    /// Newest generation of the head in it.
    pub(crate) generation: u64,
    pub(crate) min_ns: i64,
    pub(crate) max_ns: i64,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    map: Mapped,
    labels: Vec<Labels>,
    /// For each stream the end of its units.
    unit_ends: Vec<u32>,
    units: Vec<UnitInfo>,
    by_labels: HashMap<Labels, u32, RandomState>,
    index: LabelIndex,
}

/// What the directory says of a unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnitInfo {
    offset: u64,
    len: usize,
    crc: u32,
    body_len: usize,
    pub(crate) entries: usize,
    pub(crate) bytes: u64,
    pub(crate) min_ns: i64,
    pub(crate) max_ns: i64,
}

impl Segment {
    pub(crate) fn open(files: &dyn Files, dir: &Path, id: SegmentId) -> Result<Self, Error> {
        let path = id.path(dir);
        let map = files.map(&path).at("map", &path)?;
        let corrupt = |at: usize, what: &'static str| Error::corrupt(&path, 0, Malformed { what, at });
        if map.len() < HEADER_LEN + FOOTER_LEN || map[..HEADER_LEN] != header(id) {
            return Err(corrupt(0, "not a segment of this number and version"));
        }
        let footer_at = map.len() - FOOTER_LEN;
        let mut footer = Cursor::new(&map[footer_at..]);
        let broken = |e: Malformed| Error::corrupt(&path, footer_at as u64, e);
        let offset = footer.u64().map_err(broken)?;
        let len = footer.u32().map_err(broken)? as usize;
        let crc = footer.u32().map_err(broken)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        if footer.take(4).map_err(broken)? != END_MAGIC || start.checked_add(len) != Some(footer_at) {
            return Err(corrupt(footer_at, "footer is damaged"));
        }
        let directory = &map[start..footer_at];
        if crc32fast::hash(directory) != crc {
            return Err(corrupt(start, "directory has a wrong checksum"));
        }
        let mut segment = Self {
            id,
            path: path.clone(),
            generation: 0,
            min_ns: i64::MAX,
            max_ns: i64::MIN,
            entries: 0,
            bytes: 0,
            map: map.clone(),
            labels: Vec::new(),
            unit_ends: Vec::new(),
            units: Vec::new(),
            by_labels: HashMap::default(),
            index: LabelIndex::default(),
        };
        segment.read_directory(directory, offset).map_err(|e| Error::corrupt(&path, offset, e))?;
        Ok(segment)
    }

    fn read_directory(&mut self, directory: &[u8], limit: u64) -> Result<(), Malformed> {
        let mut cursor = Cursor::new(directory);
        self.generation = cursor.varint()?;
        for id in 0..cursor.count()? as u32 {
            let labels = Labels::from_encoded(cursor.text()?).ok_or(cursor.malformed("labels are malformed"))?;
            for _ in 0..cursor.count()? {
                let unit = read_unit_info(&mut cursor, limit)?;
                self.min_ns = self.min_ns.min(unit.min_ns);
                self.max_ns = self.max_ns.max(unit.max_ns);
                self.entries += unit.entries as u64;
                self.bytes += unit.bytes;
                self.units.push(unit);
            }
            self.unit_ends.push(self.units.len() as u32);
            self.index.add(id, &labels);
            self.by_labels.insert(labels.clone(), id);
            self.labels.push(labels);
        }
        cursor.finish()
    }

    /// Bytes on disk.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.map.len() as u64
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
        &self.units[unit as usize]
    }

    /// Replaces `out` by the wanted entries of a unit, oldest first.
    pub(crate) fn read(&self, unit: u32, spec: &ReadSpec<'_>, out: &mut LogColumns) -> Result<(), Error> {
        let info = self.unit(unit);
        let mut all = LogColumns::new();
        self.decode(unit, &mut all)?;
        out.clear();
        let low = all.timestamps.partition_point(|t| *t < spec.start_ns);
        let high = if spec.covers(info.min_ns, info.max_ns) {
            all.len()
        } else {
            all.timestamps.partition_point(|t| *t < spec.end_ns)
        };
        let ends: Vec<u32> = all.lines[..high].iter().map(|(_, end)| *end).collect();
        let mut rows = Vec::new();
        if low < high {
            spec.needles.search(all.text.as_bytes(), &ends, low, &mut rows);
        }
        for row in rows {
            let row = row as usize;
            let line = if spec.skip_lines { "" } else { all.line(row) };
            if spec.skip_metadata {
                out.push(all.timestamps[row], line, []);
            } else {
                out.push(all.timestamps[row], line, all.metadata(row));
            }
        }
        Ok(())
    }

    /// Replaces `out` by all entries of a unit.
    fn decode(&self, unit: u32, out: &mut LogColumns) -> Result<(), Error> {
        let info = self.unit(unit);
        let corrupt = |what| Error::corrupt(&self.path, info.offset, Malformed { what, at: 0 });
        let start = usize::try_from(info.offset).unwrap_or(usize::MAX);
        let bytes = start.checked_add(info.len).and_then(|end| self.map.get(start..end));
        let bytes = bytes.ok_or_else(|| corrupt("unit lies outside the file"))?;
        if crc32fast::hash(bytes) != info.crc {
            return Err(corrupt("unit has a wrong checksum"));
        }
        let body = zstd::bulk::decompress(bytes, info.body_len).map_err(|_| corrupt("unit cannot be decompressed"))?;
        unit::decode(&body, info.entries, out).map_err(|e| Error::corrupt(&self.path, info.offset, e))
    }

    /// Whether the segment holds this very entry of a stream.
    pub(crate) fn contains(
        &self,
        labels: &Labels,
        timestamp_ns: i64,
        line: &str,
        metadata: &[(&str, &str)],
    ) -> Result<bool, Error> {
        if timestamp_ns < self.min_ns || timestamp_ns > self.max_ns {
            return Ok(false);
        }
        let Some(stream) = self.by_labels.get(labels) else { return Ok(false) };
        let mut all = LogColumns::new();
        for unit in self.units_of(*stream) {
            let info = self.unit(unit);
            if timestamp_ns < info.min_ns || timestamp_ns > info.max_ns {
                continue;
            }
            self.decode(unit, &mut all)?;
            let from = all.timestamps.partition_point(|t| *t < timestamp_ns);
            let same = |row: &usize| all.line(*row) == line && all.metadata(*row).eq(metadata.iter().copied());
            if (from..all.len()).take_while(|row| all.timestamps[*row] == timestamp_ns).any(|row| same(&row)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn read_unit_info(cursor: &mut Cursor<'_>, limit: u64) -> Result<UnitInfo, Malformed> {
    let offset = cursor.varint()?;
    let len = cursor.bounded(MAX_UNIT_BYTES, "unit is too long")?;
    if offset.checked_add(len as u64).is_none_or(|end| end > limit) {
        return Err(cursor.malformed("unit lies outside the file"));
    }
    let crc = cursor.bounded(u32::MAX as usize, "checksum is too long")? as u32;
    let body_len = cursor.bounded(MAX_UNIT_BYTES, "unit is too long")?;
    let entries = cursor.bounded(body_len, "more entries than bytes")?;
    let bytes = cursor.varint()?;
    let min_ns = cursor.signed()?;
    let max_ns = min_ns.wrapping_add(cursor.varint()? as i64);
    Ok(UnitInfo { offset, len, crc, body_len, entries, bytes, min_ns, max_ns })
}
