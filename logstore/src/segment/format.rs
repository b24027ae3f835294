//! Bytes of a segment that are not a column: header, sections, footer. The page `docs/format/segment.md` is the specification.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::bytes::{Cursor, Malformed, put_signed, put_slice, put_varint};
use crate::codec::zstandard;

/// Number of a segment; a newer segment has a greater one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
pub(super) const SECTIONS: usize = 7;
/// Section table, its checksum and the last magic.
const FOOTER_LEN: usize = SECTIONS * SectionEntry::LEN + 8;
/// A section is never longer than this once decompressed.
const MAX_SECTION: usize = 1 << 30;
const LEVEL: i32 = 3;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// [`Info`]
    Info = 0,
    /// How many units each stream has.
    Streams = 1,
    /// Bounds and counts of the units.
    Units = 2,
    /// Templates and columns.
    Templates = 3,
    /// Checksums of the pages.
    Pages = 4,
    /// Words of the dictionaries.
    Words = 5,
    /// Index of the streams' labels, which is read in place: not compressed.
    Labels = 6,
}

/// Where a section is. Each is there twice: a flipped bit in it does not cost all the lines.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SectionEntry {
    offsets: [u64; 2],
    len: u32,
    /// 0: it is not compressed.
    plain_len: u32,
    crc: u32,
}

impl SectionEntry {
    const LEN: usize = 28;
}

pub(super) fn header(id: SegmentId) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&MAGIC);
    header[4..6].copy_from_slice(&VERSION.to_le_bytes());
    header[8..].copy_from_slice(&id.0.to_le_bytes());
    header
}

/// Appends sections and footer, each twice, to `out`, whose first byte is at `base` in the file.
pub(super) fn put_sections(sections: &[Vec<u8>; SECTIONS], base: u64, out: &mut Vec<u8>) -> std::io::Result<()> {
    let mut entries = [SectionEntry::default(); SECTIONS];
    let mut stored: Vec<Cow<'_, [u8]>> = Vec::new();
    for (at, (plain, entry)) in sections.iter().zip(&mut entries).enumerate() {
        let bytes = if at == Section::Labels as usize {
            Cow::Borrowed(&plain[..])
        } else {
            entry.plain_len = plain.len() as u32;
            Cow::Owned(zstd::bulk::compress(plain, LEVEL)?)
        };
        entry.len = bytes.len() as u32;
        entry.crc = crc32fast::hash(&bytes);
        stored.push(bytes);
    }
    for copy in 0..2 {
        for (bytes, entry) in stored.iter().zip(&mut entries) {
            entry.offsets[copy] = base + out.len() as u64;
            out.extend_from_slice(bytes);
        }
    }
    for _ in 0..2 {
        put_footer(&entries, out);
    }
    Ok(())
}

fn put_footer(sections: &[SectionEntry; SECTIONS], out: &mut Vec<u8>) {
    let start = out.len();
    for section in sections {
        section.offsets.iter().for_each(|offset| out.extend_from_slice(&offset.to_le_bytes()));
        out.extend_from_slice(&section.len.to_le_bytes());
        out.extend_from_slice(&section.plain_len.to_le_bytes());
        out.extend_from_slice(&section.crc.to_le_bytes());
    }
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&END_MAGIC);
}

/// Reads the section table of a whole file. Damage that costs nothing is told to `note`.
pub(super) fn read_footer(
    file: &[u8],
    id: SegmentId,
    note: &mut dyn FnMut(Malformed),
) -> Result<[SectionEntry; SECTIONS], Malformed> {
    let malformed = |what, at| Malformed { what, at };
    if file.len() < HEADER_LEN + 2 * FOOTER_LEN {
        return Err(malformed("segment is too short", file.len()));
    }
    if file[4..6] != VERSION.to_le_bytes() && file[..4] == MAGIC {
        return Err(malformed("segment has a version this reader does not know", 4));
    }
    if file[..HEADER_LEN] != header(id) {
        // Everything else says for itself that it is whole.
        note(malformed("header of the segment is damaged or another segment's", 0));
    }
    let mut last = malformed("footer is damaged", file.len());
    for copy in 1..=2 {
        let at = file.len() - copy * FOOTER_LEN;
        match read_one_footer(&file[at..at + FOOTER_LEN]) {
            Some(sections) => {
                if copy == 2 {
                    note(last);
                }
                return Ok(sections);
            }
            None => last.at = at,
        }
    }
    Err(last)
}

fn read_one_footer(bytes: &[u8]) -> Option<[SectionEntry; SECTIONS]> {
    let mut cursor = Cursor::new(bytes);
    let mut sections = [SectionEntry::default(); SECTIONS];
    for section in &mut sections {
        *section = SectionEntry {
            offsets: [cursor.u64().ok()?, cursor.u64().ok()?],
            len: cursor.u32().ok()?,
            plain_len: cursor.u32().ok()?,
            crc: cursor.u32().ok()?,
        };
    }
    // A fuzzer would never get past a checksum to what lies behind it.
    let whole = cursor.u32().ok()? == crc32fast::hash(&bytes[..SECTIONS * SectionEntry::LEN]) || cfg!(fuzzing);
    (whole && cursor.take(4).ok()? == END_MAGIC).then_some(sections)
}

impl SectionEntry {
    /// Where the section begins.
    pub(super) fn offset(&self) -> u64 {
        self.offsets[0]
    }

    /// Where the bytes of the section are in a file: the copy that is whole.
    pub(super) fn range(&self, file: &[u8], note: &mut dyn FnMut(Malformed)) -> Result<Range<usize>, Malformed> {
        let mut last = Malformed { what: "section lies outside the file", at: 0 };
        for (copy, offset) in self.offsets.into_iter().enumerate() {
            last.at = usize::try_from(offset).unwrap_or(usize::MAX);
            let end = last.at.checked_add(self.len as usize).filter(|end| *end <= file.len());
            let Some(end) = end else { continue };
            if crc32fast::hash(&file[last.at..end]) == self.crc || cfg!(fuzzing) {
                let range = last.at..end;
                if copy > 0 {
                    note(Malformed { what: "section is damaged, its copy is whole", at: self.offsets[0] as usize });
                }
                return Ok(range);
            }
            last.what = "section has a wrong checksum";
        }
        Err(last)
    }

    /// The decompressed section. Places in errors count from the beginning of the file.
    pub(super) fn read(&self, file: &[u8], note: &mut dyn FnMut(Malformed)) -> Result<Vec<u8>, Malformed> {
        let range = self.range(file, note)?;
        let malformed = |what| Malformed { what, at: range.start };
        if self.plain_len as usize > MAX_SECTION {
            return Err(malformed("section is too long"));
        }
        zstandard::decompress(&file[range.clone()], self.plain_len as usize)
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
        let info =
            Self { generation, level, sources, min_ns, max_ns, entries: cursor.varint()?, bytes: cursor.varint()? };
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
        let mut unit = Self {
            min_ns,
            max_ns,
            entries,
            bytes,
            scale,
            templates,
            has_minutes: flags & FLAG_MINUTES != 0,
            ..Self::default()
        };
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
        let lines =
            if at + 1 < count { cursor.bounded(left as usize, "more lines than there are")? as u32 } else { left };
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
        let info =
            Info { generation: 7, level: 2, sources: vec![3, 900], min_ns: -5, max_ns: i64::MAX, entries: 1, bytes: 0 };
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
