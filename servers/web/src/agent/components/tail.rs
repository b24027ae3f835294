//! Following one file: lines as they are written, across rotation.
//!
//! [`Tail::poll`] reads what is new and never waits. A place is inode, offset and a fingerprint of the file's beginning,
//! so that these are told apart: more data, a file moved away with a new one in its place (the old one is read to its
//! end first), a file cut and written again under the same inode, and after a restart a file that has meanwhile been
//! rotated (it is looked for by inode in the same folder). A last line without its newline waits for the rest.

use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;
/// A line longer than this is cut.
const MAX_LINE: usize = 4 << 20;
/// Bytes of the beginning that tell files apart.
const HEAD: usize = 256;
/// Polls without news before a file that was moved away counts as finished: its writer may still have it open.
const GRACE: u32 = 4;

/// A place in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Inode of the file.
    pub(crate) inode: u64,
    /// Bytes before it: the start of a line.
    pub(crate) offset: u64,
    /// Checksum of the beginning of the file and how many bytes it covers.
    #[serde(default)]
    pub(crate) head: u64,
    #[serde(default)]
    pub(crate) head_len: u64,
}

/// What a poll gave.
#[derive(Debug, Default)]
pub(crate) struct Polled {
    /// Whole lines, without their ends.
    pub(crate) lines: Vec<String>,
    /// The place behind them.
    pub(crate) place: Place,
    /// There is more to read at once.
    pub(crate) more: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    file: Option<File>,
    inode: u64,
    /// Next byte to read.
    offset: u64,
    partial: Vec<u8>,
    head: (u64, u64),
    quiet: u32,
    from_end: bool,
    resume: Option<Place>,
}

fn checksum(bytes: &[u8]) -> u64 {
    // FNV-1a: short input, no need for more.
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

fn head_of(file: &File, len: u64) -> u64 {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(HEAD).min(HEAD)];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => checksum(&bytes),
        // Shorter than it was: no longer the same beginning.
        Err(_) => 0,
    }
}

impl Tail {
    /// Follows a file, from `resume` if that place is still found, else from its start (or its end).
    pub(crate) fn new(path: impl Into<PathBuf>, resume: Option<Place>, from_end: bool) -> Self {
        Self {
            path: path.into(),
            file: None,
            inode: 0,
            offset: 0,
            partial: Vec::new(),
            head: (0, 0),
            quiet: 0,
            from_end: from_end && resume.is_none(),
            resume,
        }
    }

    /// Reads what is new. A file that is not there gives nothing until it comes.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub(crate) fn poll(&mut self) -> std::io::Result<Polled> {
        let mut polled = Polled::default();
        if self.file.is_none() && !self.open()? {
            polled.place = self.place();
            return Ok(polled);
        }
        self.check_cut(&mut polled.lines);
        let read = self.read(&mut polled.lines)?;
        if read == 0 {
            self.check_moved(&mut polled.lines)?;
        } else {
            self.quiet = 0;
        }
        polled.more = read == CHUNK;
        polled.place = self.place();
        Ok(polled)
    }

    /// Size of the file as it is now.
    pub(crate) fn size(&self) -> u64 {
        self.file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len())
    }

    fn place(&self) -> Place {
        let offset = self.offset - self.partial.len() as u64;
        Place { inode: self.inode, offset, head: self.head.0, head_len: self.head.1 }
    }

    fn open(&mut self) -> std::io::Result<bool> {
        let file = match File::open(&self.path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some(place) = self.resume.take() {
            let same = |file: &File| {
                file.metadata().is_ok_and(|meta| meta.ino() == place.inode && meta.len() >= place.offset)
                    && head_of(file, place.head_len) == place.head
            };
            let found = match file {
                Some(file) if same(&file) => Some(file),
                _ => self.find_moved(place.inode).filter(same),
            };
            if let Some(found) = found {
                self.inode = place.inode;
                self.offset = place.offset;
                self.head = (place.head, place.head_len);
                self.file = Some(found);
                return Ok(true);
            }
            return self.open();
        }
        let Some(file) = file else { return Ok(false) };
        let meta = file.metadata()?;
        self.inode = meta.ino();
        self.offset = if std::mem::take(&mut self.from_end) { meta.len() } else { 0 };
        self.partial.clear();
        self.head = (checksum(&[]), 0);
        self.file = Some(file);
        Ok(true)
    }

    /// A file beside this one that has the inode.
    fn find_moved(&self, inode: u64) -> Option<File> {
        let dir = self.path.parent()?;
        let name = self.path.file_name()?.to_string_lossy().into_owned();
        let stem = name.split('.').next().unwrap_or(&name).to_owned();
        for entry in std::fs::read_dir(dir).ok()?.flatten() {
            let related = entry.file_name().to_string_lossy().starts_with(&stem);
            if related && entry.metadata().is_ok_and(|meta| meta.ino() == inode && meta.is_file()) {
                return File::open(entry.path()).ok();
            }
        }
        None
    }

    /// Begins anew when the file was cut, or cut and written again.
    fn check_cut(&mut self, lines: &mut Vec<String>) {
        let Some(file) = &self.file else { return };
        let Ok(meta) = file.metadata() else { return };
        let unchanged = meta.len() == self.offset;
        let cut = meta.len() < self.offset || (!unchanged && head_of(file, self.head.1) != self.head.0);
        if cut {
            self.flush(lines);
            self.offset = 0;
            self.head = (checksum(&[]), 0);
        }
    }

    fn read(&mut self, lines: &mut Vec<String>) -> std::io::Result<usize> {
        let Some(file) = &self.file else { return Ok(0) };
        let mut chunk = vec![0; CHUNK.min(self.size().saturating_sub(self.offset) as usize)];
        let read = if chunk.is_empty() { 0 } else { file.read_at(&mut chunk, self.offset)? };
        chunk.truncate(read);
        self.offset += read as u64;
        if self.head.1 < HEAD as u64 && read > 0 {
            let len = self.offset.min(HEAD as u64);
            self.head = (head_of(file, len), len);
        }
        split_lines(&mut self.partial, &chunk, lines);
        Ok(read)
    }

    /// Goes on with the file that has taken this one's name.
    fn check_moved(&mut self, lines: &mut Vec<String>) -> std::io::Result<()> {
        let now = std::fs::metadata(&self.path).ok().map(|meta| meta.ino());
        if now == Some(self.inode) {
            self.quiet = 0;
            return Ok(());
        }
        self.quiet += 1;
        if self.quiet <= GRACE {
            return Ok(());
        }
        self.quiet = 0;
        self.flush(lines);
        self.file = None;
        self.offset = 0;
        self.head = (checksum(&[]), 0);
        self.open().map(drop)
    }

    /// A last line that will not get its end any more.
    fn flush(&mut self, lines: &mut Vec<String>) {
        if !self.partial.is_empty() {
            lines.push(String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned());
        }
    }
}

fn split_lines(partial: &mut Vec<u8>, chunk: &[u8], lines: &mut Vec<String>) {
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', chunk) {
        let part = &chunk[start..end];
        start = end + 1;
        if partial.is_empty() {
            lines.push(text(part));
        } else {
            partial.extend_from_slice(part);
            lines.push(text(partial));
            partial.clear();
        }
    }
    partial.extend_from_slice(&chunk[start..]);
    if partial.len() > MAX_LINE {
        lines.push(text(partial));
        partial.clear();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(bytes)).into_owned()
}

/// A compressed file, read once from its start (or from a place in its content).
pub(crate) struct GzTail {
    reader: Option<MultiGzDecoder<BufReader<File>>>,
    path: PathBuf,
    skip: u64,
    offset: u64,
    inode: u64,
    partial: Vec<u8>,
}

impl GzTail {
    pub(crate) fn new(path: &Path, resume: Option<Place>) -> Self {
        let skip = resume.map_or(0, |place| place.offset);
        Self { reader: None, path: path.to_owned(), skip, offset: 0, inode: 0, partial: Vec::new() }
    }

    /// The next lines; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub(crate) fn poll(&mut self) -> std::io::Result<Option<Polled>> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            slot => {
                let file = File::open(&self.path)?;
                self.inode = file.metadata()?.ino();
                let mut reader = MultiGzDecoder::new(BufReader::new(file));
                self.offset = std::io::copy(&mut (&mut reader).take(self.skip), &mut std::io::sink())?;
                slot.insert(reader)
            }
        };
        let mut chunk = Vec::with_capacity(CHUNK);
        reader.take(CHUNK as u64).read_to_end(&mut chunk)?;
        let mut lines = Vec::new();
        if chunk.is_empty() {
            if self.partial.is_empty() {
                return Ok(None);
            }
            lines.push(text(&std::mem::take(&mut self.partial)));
        }
        self.offset += chunk.len() as u64;
        split_lines(&mut self.partial, &chunk, &mut lines);
        let offset = self.offset - self.partial.len() as u64;
        let place = Place { inode: self.inode, offset, ..Place::default() };
        Ok(Some(Polled { lines, place, more: true }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;

    fn append(path: &Path, text: &str) {
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Polls until nothing more comes for a while.
    fn drain(tail: &mut Tail) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..GRACE + 4 {
            lines.append(&mut tail.poll().unwrap().lines);
        }
        lines
    }

    #[test]
    fn follows_and_holds_partial_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut tail = Tail::new(&path, None, false);
        assert!(drain(&mut tail).is_empty());
        append(&path, "one\r\ntwo\nthr");
        let polled = tail.poll().unwrap();
        assert_eq!((polled.lines, polled.place.offset), (vec!["one".to_owned(), "two".into()], 9));
        append(&path, "ee\n");
        assert_eq!(drain(&mut tail), ["three"]);
        let mut end = Tail::new(&path, None, true);
        assert!(drain(&mut end).is_empty());
        append(&path, "four\n");
        assert_eq!(drain(&mut end), ["four"]);
    }

    #[test]
    fn rotation_by_rename_reads_both_files() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("a.log"), dir.path().join("a.log.1"));
        append(&path, "1\n");
        let mut tail = Tail::new(&path, None, false);
        assert_eq!(drain(&mut tail), ["1"]);
        std::fs::rename(&path, &old).unwrap();
        // The writer has not noticed yet.
        append(&old, "2\n");
        append(&path, "3\n");
        append(&old, "last without end");
        assert_eq!(drain(&mut tail), ["2", "last without end", "3"]);
        std::fs::remove_file(&path).unwrap();
        assert!(drain(&mut tail).is_empty());
        append(&path, "4\n");
        assert_eq!(drain(&mut tail), ["4"]);
    }

    #[test]
    fn copytruncate_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        append(&path, "one\ntwo\n");
        let mut tail = Tail::new(&path, None, false);
        assert_eq!(drain(&mut tail), ["one", "two"]);
        std::fs::write(&path, "x\n").unwrap();
        assert_eq!(drain(&mut tail), ["x"]);
        // Written again beyond the old size before anyone looked.
        std::fs::write(&path, "yy\nyyyy\nyyyyyy\n").unwrap();
        assert_eq!(drain(&mut tail), ["yy", "yyyy", "yyyyyy"]);
    }

    #[test]
    fn a_restart_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        append(&path, "one\ntwo\nthree\n");
        let mut tail = Tail::new(&path, None, false);
        let place = Place { offset: 4, ..tail.poll().unwrap().place };
        assert_eq!(drain(&mut Tail::new(&path, Some(place.clone()), false)), ["two", "three"]);
        // Rotated while nobody looked: the rest of the old file comes first.
        std::fs::rename(&path, dir.path().join("a.log.1")).unwrap();
        append(&path, "four\n");
        assert_eq!(drain(&mut Tail::new(&path, Some(place.clone()), false)), ["two", "three", "four"]);
        // Another file under the name and the old one gone: from its start.
        std::fs::remove_file(dir.path().join("a.log.1")).unwrap();
        assert_eq!(drain(&mut Tail::new(&path, Some(place), true)), ["four"]);
    }

    #[test]
    fn reads_compressed_files_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log.gz");
        std::fs::write(&path, wire::compress::gzip_encode(b"one\ntwo\nthree")).unwrap();
        let read = |place: Option<Place>| {
            let mut tail = GzTail::new(&path, place);
            let mut lines = Vec::new();
            while let Some(mut polled) = tail.poll().unwrap() {
                lines.append(&mut polled.lines);
            }
            lines
        };
        assert_eq!(read(None), ["one", "two", "three"]);
        assert_eq!(read(Some(Place { offset: 4, ..Place::default() })), ["two", "three"]);
    }

    proptest::proptest! {
        #[test]
        fn every_line_once_however_it_is_written(
            steps in proptest::collection::vec((0u8..8, "[a-z]{0,6}"), 1..40)
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.log");
            let (mut want, mut current, mut rotated) = (Vec::new(), String::new(), 0);
            let mut tail = Tail::new(&path, None, false);
            let mut got = Vec::new();
            for (step, text) in steps {
                match step {
                    0..=3 => {
                        append(&path, &format!("{text}\n"));
                        want.push(format!("{current}{text}"));
                        current.clear();
                    }
                    4 | 5 => {
                        append(&path, &text);
                        current.push_str(&text);
                    }
                    6 => got.append(&mut tail.poll().unwrap().lines),
                    _ if path.exists() => {
                        got.append(&mut drain(&mut tail));
                        if !current.is_empty() {
                            want.push(std::mem::take(&mut current));
                        }
                        rotated += 1;
                        std::fs::rename(&path, dir.path().join(format!("a.log.{rotated}"))).unwrap();
                        got.append(&mut drain(&mut tail));
                    }
                    _ => {}
                }
            }
            got.append(&mut drain(&mut tail));
            proptest::prop_assert_eq!(got, want);
        }
    }
}
