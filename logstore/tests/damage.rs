//! Damaged files: what is read is what was written, whatever is missing is told, and nothing panics.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Files, MemFiles, PowerLoss};
use foursight_logstore::Db;
use model::{LabelQuery, LogColumns, LogSelect, LogSource, Matcher};
use support::{Content, Entry, NOW, content, entry, open, options, push, stream};

/// A store with two streams in one small segment, closed.
fn sealed() -> (MemFiles, Content) {
    let disk = MemFiles::new();
    let db = open(&(Arc::new(disk.clone()) as Arc<dyn Files>));
    for job in ["a", "b"] {
        let entries: Vec<Entry> = (0..24i64)
            .map(|i| {
                let line = match i % 4 {
                    0 => format!("GET /cart/{} 200 {}ms", i * 7919 % 13, i * i),
                    1 => format!(
                        "{{\"level\":\"info\",\"trace\":\"{:016x}\"}}",
                        (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    ),
                    2 => format!("user {job} logged in"),
                    _ => format!("odd one out: {}", "y".repeat(i as usize)),
                };
                let metadata = if i % 5 == 0 { vec![("pod".to_owned(), format!("p{i}"))] } else { Vec::new() };
                (NOW + i * 1_000_000_000, line, metadata)
            })
            .collect();
        push(&db, &stream(job), &entries).unwrap();
    }
    db.flush().unwrap();
    let want = content(&db);
    db.close().unwrap();
    (disk, want)
}

fn file_below(disk: &MemFiles, dir: &str) -> (PathBuf, usize) {
    let path = disk.paths().into_iter().rfind(|path| path.starts_with(dir)).unwrap();
    let len = disk.map(&path).unwrap().len();
    (path, len)
}

/// Opens the store on a copy of the files with one of them changed, and reads all there is. Damage may be told when
/// the store is opened, with the selection, or by the unit that is read.
fn read_damaged(disk: &MemFiles, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> (Content, bool) {
    let copy = disk.power_loss(PowerLoss::Nothing);
    copy.tamper(path, change).unwrap();
    let db = Db::open_with(Arc::new(copy), "data", options()).unwrap();
    let request = LogSelect { start_ns: i64::MIN, end_ns: i64::MAX, ..LogSelect::default() };
    let (mut found, mut told) = (Content::new(), false);
    let selection = db.select(&request).unwrap();
    told |= !selection.warnings().is_empty();
    let mut columns = LogColumns::new();
    for (index, unit) in selection.units().iter().enumerate() {
        if selection.read(index, &mut columns).is_err() {
            told = true;
            continue;
        }
        let of = found.entry(selection.streams()[unit.stream as usize].to_string()).or_default();
        of.extend((0..columns.len()).map(|row| {
            let metadata = columns.metadata(row).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            (columns.timestamps[row], columns.line(row).to_owned(), metadata)
        }));
    }
    // Other ways to read: whatever they say, they come back.
    let needles = LogSelect { needles: vec![vec!["cart/1".to_owned()]], ..request.clone() };
    for request in [needles, LogSelect { matchers: vec![Matcher::equal("job", "a")], skip_lines: true, ..request }] {
        if let Ok(selection) = db.select(&request) {
            for index in 0..selection.units().len() {
                let _ = selection.read(index, &mut columns);
                let _ = selection.count(index, NOW + 5, NOW + 9_000_000_000);
            }
        }
    }
    let _ = db.label_values("job", &LabelQuery { end_ms: i64::MAX, ..LabelQuery::default() });
    told |= !db.stats().damage.is_empty();
    (found, told)
}

fn is_part_of(found: &Content, want: &Content) -> bool {
    let within = |found: &[Entry], want: &[Entry]| {
        let mut rest = want.iter();
        found.iter().all(|entry| rest.any(|one| one == entry))
    };
    found.iter().all(|(labels, entries)| want.get(labels).is_some_and(|want| within(entries, want)))
}

#[test]
fn a_flipped_bit_in_a_segment_costs_little_and_is_told() {
    let (disk, want) = sealed();
    let (path, len) = file_below(&disk, "data/segments");
    let mut costly = Vec::new();
    for at in 0..len {
        let (found, told) = read_damaged(&disk, &path, |bytes| bytes[at] ^= 1 << (at % 8));
        // Nobody looks at the copy of what is whole.
        assert!(told || found == want, "byte {at}: not told");
        assert!(is_part_of(&found, &want), "byte {at}: {found:?}");
        if found != want {
            costly.push(at);
        }
    }
    // Payloads stand first and once; all the rest stands twice.
    let payloads = *costly.last().unwrap() + 1;
    assert!(payloads < len / 3, "of {len} bytes these cost entries: {costly:?}");
}

#[test]
fn a_segment_cut_short_is_told() {
    let (disk, want) = sealed();
    let (path, len) = file_below(&disk, "data/segments");
    for cut in 0..len {
        let (found, told) = read_damaged(&disk, &path, |bytes| bytes.truncate(cut));
        assert!((told || found == want) && is_part_of(&found, &want), "cut at {cut}: told {told}, {found:?}");
    }
    let (found, told) = read_damaged(&disk, &path, |bytes| bytes.push(0));
    assert!(told && is_part_of(&found, &want));
}

#[test]
fn a_flipped_bit_in_the_log_costs_one_push() {
    let disk = MemFiles::new();
    let db = open(&(Arc::new(disk.clone()) as Arc<dyn Files>));
    for i in 0..5i64 {
        let entries = [entry(NOW + i, format!("first of {i}")), entry(NOW + i + 100, format!("second of {i}"))];
        push(&db, &stream("a"), &entries).unwrap();
    }
    let want = content(&db);
    drop(db);
    let (path, len) = file_below(&disk, "data/wal");
    let of = |content: &Content| content.get(&stream("a").to_string()).cloned().unwrap_or_default();
    for at in 0..len {
        let (found, _) = read_damaged(&disk, &path, |bytes| bytes[at] ^= 1 << (at % 8));
        let (found, want) = (of(&found), of(&want));
        let lost: Vec<&Entry> = want.iter().filter(|entry| !found.contains(entry)).collect();
        assert!(found.iter().all(|entry| want.contains(entry)), "byte {at}: {found:?}");
        let one_push = lost.len() == 2 && lost[0].1.strip_prefix("first") == lost[1].1.strip_prefix("second");
        // The header of the log's segment says nothing about its records.
        assert!(lost.is_empty() || one_push, "byte {at}: lost {lost:?}");
    }
    for cut in 0..len {
        let (found, _) = read_damaged(&disk, &path, |bytes| bytes.truncate(cut));
        let (found, want) = (of(&found), of(&want));
        assert!(found.iter().all(|entry| want.contains(entry)) && found.len() % 2 == 0, "cut at {cut}: {found:?}");
    }
}

#[test]
fn a_store_with_a_damaged_segment_goes_on() {
    let (disk, want) = sealed();
    let (path, len) = file_below(&disk, "data/segments");
    disk.tamper(&path, |bytes| bytes[..len].fill(0x5a)).unwrap();
    let files: Arc<dyn Files> = Arc::new(disk);
    let db = open(&files);
    assert!(content(&db).is_empty());
    let damage = db.stats().damage;
    assert!(damage.len() == 1 && damage[0].contains("00000001.seg"), "{damage:?}");
    for (labels, entries) in &want {
        let job = if labels.contains("job=\"a\"") { "a" } else { "b" };
        // Lost entries may be sent again.
        assert_eq!(push(&db, &stream(job), entries).unwrap().accepted as usize, entries.len());
    }
    db.flush().unwrap();
    drop(db);
    let db = open(&files);
    assert_eq!(content(&db), want);
    assert!(files.exists(&path), "a damaged file stays for whoever wants to look at it");
}
