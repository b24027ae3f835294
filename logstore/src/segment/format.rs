//! Bytes of a segment that are not a column: header, sections, footer. The page `docs/format/segment.md` is the specification.

use std::path::{Path, PathBuf};

use crate::bytes::{Cursor, Malformed, put_signed, put_slice, put_varint};

/// Number of a segment; a newer segment has a greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentId(pub(crate) u64);

impl SegmentId {
    /// Path of the segment's file.
    pub(crate) fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{:08}.seg", self.0))
    }

    /// Reads a file name back.
    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(".seg")?;
        if digits.len() < 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().map(Self)
    }
}

/// First bytes of a segment.
const MAGIC: [u8; 4] = *b"FSLG";
/// Last bytes of a segment.
const END_MAGIC: [u8; 4] = *b"FSLE";
/// The only version so far.
const VERSION: u16 = 1;
/// Bytes before the first payload.
pub(super) const HEADER_LEN: usize = 16;
/// Payloads are checked in pages of this many bytes, counted from the beginning of the file.
pub(super) const PAGE_LEN: usize = 16 << 10;
/// Sections of a segment.
pub(super) const SECTIONS: usize = 5;
/// Section table, its checksum and the last magic.
pub(super) const FOOTER_LEN: usize = SECTIONS * SectionEntry::LEN + 8;
/// A section is never longer than this once decompressed.
const MAX_SECTION: usize = 1 << 30;
const LEVEL: i32 = 3;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// [`Info`]
    Info = 0,
    /// Label sets, and how many units each stream has.
    Streams = 1,
    /// Bounds and counts of the units.
    Units = 2,
    /// Templates, columns, words.
    Templates = 3,
    /// Checksums of the pages.
    Pages = 4,
}

/// Where a section is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SectionEntry {
    offset: u64,
    len: u32,
    plain_len: u32,
    crc: u32,
}

impl SectionEntry {
    const LEN: usize = 20;
}

pub(super) fn header(id: SegmentId) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&MAGIC);
    header[4..6].copy_from_slice(&VERSION.to_le_bytes());
    header[8..].copy_from_slice(&id.0.to_le_bytes());
    header
}

/// Appends a section, compressed, to `out`, whose first byte is at `base` in the file.
pub(super) fn put_section(plain: &[u8], base: u64, out: &mut Vec<u8>) -> std::io::Result<SectionEntry> {
    let compressed = zstd::bulk::compress(plain, LEVEL)?;
    let entry = SectionEntry {
        offset: base + out.len() as u64,
        len: compressed.len() as u32,
        plain_len: plain.len() as u32,
        crc: crc32fast::hash(&compressed),
    };
    out.extend_from_slice(&compressed);
    Ok(entry)
}

/// Appends the footer.
pub(super) fn put_footer(sections: &[SectionEntry; SECTIONS], out: &mut Vec<u8>) {
    let start = out.len();
    for section in sections {
        out.extend_from_slice(&section.offset.to_le_bytes());
        out.extend_from_slice(&section.len.to_le_bytes());
        out.extend_from_slice(&section.plain_len.to_le_bytes());
        out.extend_from_slice(&section.crc.to_le_bytes());
    }
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&END_MAGIC);
}

/// Reads the section table of a whole file.
pub(super) fn read_footer(file: &[u8], id: SegmentId) -> Result<[SectionEntry; SECTIONS], Malformed> {
    let malformed = |what, at| Malformed { what, at };
    let at = file.len().checked_sub(FOOTER_LEN).filter(|at| *at >= HEADER_LEN);
    let at = at.ok_or(malformed("segment is too short", 0))?;
    if file[..4] != MAGIC {
        return Err(malformed("segment does not begin with FSLG", 0));
    }
    if file[4..6] != VERSION.to_le_bytes() {
        return Err(malformed("segment has a version this reader does not know", 4));
    }
    if file[..HEADER_LEN] != header(id) {
        return Err(malformed("segment has another number than its file", 6));
    }
    let mut cursor = Cursor::new(&file[at..]);
    let mut sections = [SectionEntry::default(); SECTIONS];
    for section in &mut sections {
        *section =
            SectionEntry { offset: cursor.u64()?, len: cursor.u32()?, plain_len: cursor.u32()?, crc: cursor.u32()? };
    }
    let crc = cursor.u32()?;
    if crc != crc32fast::hash(&file[at..at + SECTIONS * SectionEntry::LEN]) || cursor.take(4)? != END_MAGIC {
        return Err(malformed("footer is damaged", at));
    }
    Ok(sections)
}

impl SectionEntry {
    /// Where the section begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The decompressed section. Places in errors count from the beginning of the file.
    pub(super) fn read(&self, file: &[u8]) -> Result<Vec<u8>, Malformed> {
        let at = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let malformed = |what| Malformed { what, at };
        let bytes = at.checked_add(self.len as usize).and_then(|end| file.get(at..end));
        let bytes = bytes.ok_or(malformed("section lies outside the file"))?;
        if crc32fast::hash(bytes) != self.crc {
            return Err(malformed("section has a wrong checksum"));
        }
        if self.plain_len as usize > MAX_SECTION {
            return Err(malformed("section is too long"));
        }
        zstd::bulk::decompress(bytes, self.plain_len as usize)
            .map_err(|_| malformed("section cannot be decompressed"))
    }
}

/// What a segment is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Info {
    /// Newest generation of the head in it.
    pub(crate) generation: u64,
    /// 0: from the head; else one more than the highest level it was made of.
    pub(crate) level: u32,
    /// Segments it was made of: they are not looked at any more.
    pub(crate) sources: Vec<u64>,
    /// Oldest timestamp.
    pub(crate) min_ns: i64,
    /// Newest timestamp.
    pub(crate) max_ns: i64,
    /// Entries.
    pub(crate) entries: u64,
    /// Bytes of their lines.
    pub(crate) bytes: u64,
}

impl Info {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, self.generation);
        put_varint(out, u64::from(self.level));
        put_varint(out, self.sources.len() as u64);
        self.sources.iter().for_each(|source| put_varint(out, *source));
        put_signed(out, self.min_ns);
        put_signed(out, self.max_ns);
        put_varint(out, self.entries);
        put_varint(out, self.bytes);
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        let generation = cursor.varint()?;
        let level = cursor.bounded(u32::MAX as usize, "level that cannot be")? as u32;
        let mut sources = Vec::new();
        for _ in 0..cursor.count()? {
            sources.push(cursor.varint()?);
        }
        let (min_ns, max_ns) = (cursor.signed()?, cursor.signed()?);
        let info = Self { generation, level, sources, min_ns, max_ns, entries: cursor.varint()?, bytes: cursor.varint()? };
        cursor.finish()?;
        Ok(info)
    }
}

/// A part of one stream: what the directory keeps of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnitInfo {
    /// Oldest timestamp: that of the first line.
    pub(crate) min_ns: i64,
    /// Newest timestamp: that of the last line.
    pub(crate) max_ns: i64,
    /// Lines.
    pub(crate) entries: u32,
    /// Bytes of the lines.
    pub(crate) bytes: u64,
    /// Pairs of structured metadata.
    pub(crate) pairs: u64,
    /// Bytes of the distinct names and values of structured metadata.
    pub(crate) symbol_bytes: u64,
    /// Differences of timestamps are kept in 10^this ns.
    pub(super) scale: u8,
    /// Templates of the lines and how many lines have each, most frequent first: lines refer to them by place.
    pub(super) templates: Vec<(u32, u32)>,
    /// The same for the templates of structured metadata.
    pub(super) metadata: Vec<(u32, u32)>,
    /// Whether there are counts per minute.
    pub(super) has_minutes: bool,
}

const FLAG_METADATA: u8 = 1;
const FLAG_MINUTES: u8 = 2;

impl UnitInfo {
    /// Number of the minute a timestamp counts to: minutes end with their last moment, `(m, m + 60 s]`, as windows of queries do.
    pub(super) fn minute(timestamp_ns: i64) -> i64 {
        timestamp_ns.wrapping_sub(1).div_euclid(60_000_000_000)
    }

    /// Number of minutes from the first to the last line.
    pub(super) fn minutes(&self) -> u64 {
        Self::minute(self.max_ns).wrapping_sub(Self::minute(self.min_ns)) as u64 + 1
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.entries));
        put_varint(out, self.bytes);
        put_signed(out, self.min_ns);
        put_varint(out, self.max_ns.wrapping_sub(self.min_ns) as u64);
        let metadata = if self.pairs > 0 { FLAG_METADATA } else { 0 };
        let minutes = if self.has_minutes { FLAG_MINUTES } else { 0 };
        out.extend_from_slice(&[self.scale, metadata | minutes]);
        write_templates(&self.templates, out);
        if self.pairs > 0 {
            put_varint(out, self.pairs);
            put_varint(out, self.symbol_bytes);
            write_templates(&self.metadata, out);
        }
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let entries = cursor.bounded(u32::MAX as usize, "too many lines")? as u32;
        let bytes = cursor.varint()?;
        let min_ns = cursor.signed()?;
        let max_ns = min_ns.wrapping_add(cursor.varint()? as i64);
        let (scale, flags) = (cursor.byte()?, cursor.byte()?);
        if scale > 9 || flags & !(FLAG_METADATA | FLAG_MINUTES) != 0 || max_ns < min_ns || entries == 0 {
            return Err(cursor.malformed("unit with values that cannot be"));
        }
        let templates = read_templates(cursor, entries)?;
        let mut unit =
            Self { min_ns, max_ns, entries, bytes, scale, templates, has_minutes: flags & FLAG_MINUTES != 0, ..Self::default() };
        if flags & FLAG_METADATA != 0 {
            unit.pairs = cursor.varint()?;
            unit.symbol_bytes = cursor.varint()?;
            unit.metadata = read_templates(cursor, entries)?;
        }
        Ok(unit)
    }
}

fn write_templates(templates: &[(u32, u32)], out: &mut Vec<u8>) {
    put_varint(out, templates.len() as u64);
    let mut last = 0;
    for (at, (template, count)) in templates.iter().enumerate() {
        put_signed(out, i64::from(*template) - last);
        last = i64::from(*template);
        // The last count follows from the others.
        if at + 1 < templates.len() {
            put_varint(out, u64::from(*count));
        }
    }
}

fn read_templates(cursor: &mut Cursor<'_>, entries: u32) -> Result<Vec<(u32, u32)>, Malformed> {
    let count = cursor.count()?;
    let (mut templates, mut last, mut left) = (Vec::with_capacity(count), 0i64, entries);
    for at in 0..count {
        let template = last.checked_add(cursor.signed()?).and_then(|template| u32::try_from(template).ok());
        let template = template.ok_or_else(|| cursor.malformed("template that cannot be"))?;
        last = i64::from(template);
        let lines = if at + 1 < count { cursor.bounded(left as usize, "more lines than there are")? as u32 } else { left };
        left -= lines;
        templates.push((template, lines));
    }
    if left != 0 {
        return Err(cursor.malformed("fewer lines than there are"));
    }
    Ok(templates)
}

/// Appends a list of names.
pub(super) fn put_names<'a>(names: impl ExactSizeIterator<Item = &'a str>, out: &mut Vec<u8>) {
    put_varint(out, names.len() as u64);
    names.for_each(|name| put_slice(out, name.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infos_come_back() {
        let info = Info { generation: 7, level: 2, sources: vec![3, 900], min_ns: -5, max_ns: i64::MAX, entries: 1, bytes: 0 };
        let mut bytes = Vec::new();
        info.write(&mut bytes);
        assert_eq!(Info::read(&bytes).unwrap(), info);
        let unit = UnitInfo {
            min_ns: i64::MIN,
            max_ns: 77,
            entries: 10,
            bytes: 500,
            pairs: 3,
            symbol_bytes: 20,
            scale: 6,
            templates: vec![(4, 6), (0, 3), (9, 1)],
            metadata: vec![(1, 7), (0, 3)],
            has_minutes: true,
        };
        let mut bytes = Vec::new();
        unit.write(&mut bytes);
        assert_eq!(UnitInfo::read(&mut Cursor::new(&bytes)).unwrap(), unit);
        for len in 0..bytes.len() {
            assert!(UnitInfo::read(&mut Cursor::new(&bytes[..len])).is_err());
        }
    }

    #[test]
    fn minutes_hold_their_last_moment() {
        let minute = 60_000_000_000;
        assert_eq!(UnitInfo::minute(minute), 0);
        assert_eq!(UnitInfo::minute(minute + 1), 1);
        assert_eq!(UnitInfo::minute(0), -1);
        let unit = UnitInfo { min_ns: minute, max_ns: minute + 1, ..UnitInfo::default() };
        assert_eq!(unit.minutes(), 2);
    }
}
