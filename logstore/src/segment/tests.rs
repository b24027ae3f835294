//! Segments against plain lists of entries: everything comes back, needles find what a search of the text finds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Files, MemFiles};
use model::{Labels, LogColumns};
use proptest::prelude::*;

use super::*;
use crate::head::ReadSpec;
use crate::needles::Needles;

type Entry = (i64, String, Vec<(String, String)>);

fn columns(entries: &[Entry]) -> LogColumns {
    let mut columns = LogColumns::new();
    for (timestamp, line, metadata) in entries {
        columns.push(*timestamp, line, metadata.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    }
    columns
}

fn write(files: &MemFiles, id: u64, streams: &[(Labels, Vec<Entry>)]) -> Segment {
    let dir = Path::new("s");
    files.create_dir_all(dir).unwrap();
    let mut writer = SegmentWriter::create(files, dir, SegmentId(id)).unwrap();
    for (labels, entries) in streams {
        writer.add_stream(labels, &columns(entries));
    }
    assert!(writer.finish(Origin { generation: 3, ..Origin::default() }).unwrap());
    Segment::open(files, dir, SegmentId(id)).unwrap()
}

fn entries(columns: &LogColumns) -> Vec<Entry> {
    let metadata = |row| columns.metadata(row).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    (0..columns.len()).map(|row| (columns.timestamps[row], columns.line(row).to_owned(), metadata(row))).collect()
}

/// Entries of a stream in a range with all needles.
fn read(segment: &Segment, stream: u32, range: (i64, i64), needles: &[Vec<String>]) -> Vec<Entry> {
    let needles = Arc::new(Needles::new(needles));
    let plan = Plan::new(&needles);
    let spec = ReadSpec {
        start_ns: range.0,
        end_ns: range.1,
        needles: &needles,
        skip_lines: false,
        skip_metadata: false,
        shorten: None,
    };
    let mut out = LogColumns::new();
    let mut found = Vec::new();
    for unit in segment.units_of(stream) {
        segment.read(unit, &spec, plan.as_ref(), &mut out).unwrap();
        let may_match = plan.as_ref().is_none_or(|plan| segment.may_match(unit, plan).unwrap());
        assert!(may_match || out.is_empty());
        found.append(&mut entries(&out));
    }
    found
}

fn labels(job: &str) -> Labels {
    Labels::from_pairs([("job", job)])
}

/// Lines of a few programs, with everything that lines have.
fn line(seed: u64) -> String {
    let noise = |k: u64| xxhash_rust::xxh3::xxh3_64(&(seed * 31 + k).to_le_bytes());
    let second = seed / 7 % 60;
    match noise(0) % 9 {
        0 => format!(
            "10.0.{}.{} - {} [05/Jan/2026:10:00:{second:02} +0000] \"GET /cart/{}?x=1 HTTP/1.1\" {} {}",
            noise(1) % 4,
            noise(2) % 256,
            ["-", "kim"][(noise(3) % 2) as usize],
            noise(4) % 50,
            [200, 404, 500][(noise(5) % 3) as usize],
            noise(6) % 9_000
        ),
        1 => format!(
            "{{\"ts\":\"2026-01-05T10:00:{second:02}.{:03}Z\",\"trace\":\"{:016x}{:016x}\",\"n\":{}}}",
            noise(1) % 1_000,
            noise(2),
            noise(3),
            noise(4) % 70
        ),
        2 => format!(
            "level={} took={}ms id={:08x}-{:04x}-4000-a000-{:012x}",
            ["info", "warn"][(noise(1) % 2) as usize],
            noise(2) % 900,
            noise(3) as u32,
            noise(4) as u16,
            noise(5) & 0xffff_ffff_ffff
        ),
        3 => format!(
            "session {} of user u{} opened from {}",
            noise(1) % 5,
            noise(2) % 30,
            ["here", "there"][(noise(3) % 2) as usize]
        ),
        4 => format!("key SHA256:{:x}{:x} accepted", noise(1), noise(2)),
        5 => format!("odd line number {seed} with {} words\nand more", noise(1)),
        6 => String::new(),
        7 => "naïve ☕ route".to_owned(),
        _ => format!("x{}y 0x{:x} {}", noise(1) % 10, noise(2) % 100_000, "z".repeat((noise(3) % 20) as usize)),
    }
}

fn some_entries(count: u64, seed: u64) -> Vec<Entry> {
    let entry = |i: u64| {
        let metadata = match (seed + i) % 5 {
            0 => vec![("trace_id".to_owned(), format!("{:x}", xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes())))],
            1 => vec![("user".to_owned(), "kim".to_owned()), ("seq".to_owned(), i.to_string())],
            _ => Vec::new(),
        };
        (1_767_607_200_000_000_000 + (i / 2 * 2) as i64 * 250_000_000, line(seed * 1_000 + i), metadata)
    };
    (0..count).map(entry).collect()
}

#[test]
fn everything_comes_back() {
    let files = MemFiles::new();
    let streams = [
        (labels("a"), some_entries(3_000, 1)),
        (labels("b"), some_entries(1, 2)),
        (labels("c"), some_entries(5_000, 3)),
    ];
    let segment = write(&files, 1, &streams);
    assert_eq!(segment.info.entries, 8_001);
    assert_eq!(segment.info.generation, 3);
    for (stream, (of, want)) in streams.iter().enumerate() {
        let all = read(&segment, stream as u32, (i64::MIN, i64::MAX), &[]);
        assert_eq!(&all, want);
        let (start, end) = (want[want.len() / 3].0, want[want.len() / 2].0 + 1);
        let some: Vec<Entry> = want.iter().filter(|e| e.0 >= start && e.0 < end).cloned().collect();
        assert_eq!(read(&segment, stream as u32, (start, end), &[]), some);
        for (timestamp, line, metadata) in want.iter().step_by(97) {
            let pairs: Vec<(&str, &str)> = metadata.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert!(segment.contains(of, *timestamp, line, &pairs).unwrap());
            assert!(!segment.contains(of, *timestamp + 1, line, &pairs).unwrap());
            assert!(!segment.contains(&labels("z"), *timestamp, line, &pairs).unwrap());
        }
    }
}

#[test]
fn counts_are_right_at_and_between_minutes() {
    let files = MemFiles::new();
    let minute = 60_000_000_000i64;
    let times = [1, minute, minute, minute + 1, 3 * minute - 5, 3 * minute, 3 * minute + 1, 9 * minute + 7];
    let entries: Vec<Entry> = times.iter().enumerate().map(|(i, t)| (*t, format!("line {i}"), Vec::new())).collect();
    let segment = write(&files, 1, &[(labels("a"), entries)]);
    for start in [0, 1, 2, minute, minute + 1, 2 * minute + 1, 3 * minute + 1, 10 * minute + 1] {
        for end in [1, 2, minute, minute + 1, minute + 2, 3 * minute, 3 * minute + 1, 10 * minute + 1] {
            let want = times.iter().filter(|t| **t >= start && **t < end).count() as u64;
            let mut counts = Vec::new();
            let range = (i64::MIN, i64::MAX);
            segment.counts(0, &[start, end], range, &Minutes::default(), &mut counts).unwrap();
            assert_eq!(counts, [want], "[{start}, {end})");
        }
    }
}

#[test]
fn needles_find_what_a_search_of_the_text_finds() {
    let files = MemFiles::new();
    let want = some_entries(4_000, 7);
    let segment = write(&files, 1, &[(labels("a"), want.clone())]);
    let mut needles: Vec<String> = [
        "",
        "GET",
        "GET /cart/7",
        " 404 ",
        "\"n\":",
        "\"n\":7",
        "Jan/2026:10:00:0",
        "user u1",
        "SHA256:",
        "☕",
        "ms id=",
        "zzzz",
        "absent word",
        "=info took=1",
        "line number 7004",
        "0\" 200",
        "[05",
        "- kim [",
        "and more",
        "00Z\",\"trace\":\"",
        "-4000-a000-",
        "0x1",
    ]
    .map(String::from)
    .to_vec();
    // Pieces of lines that are there, and the same with another end.
    for (at, (_, line, _)) in want.iter().enumerate().step_by(61) {
        let chars: Vec<char> = line.chars().collect();
        for len in [1, 4, 9, 17, 40] {
            let from = at % (chars.len().saturating_sub(len) + 1);
            let piece: String = chars.iter().skip(from).take(len).collect();
            needles.push(piece.clone() + "~");
            needles.push(piece);
        }
    }
    for needle in &needles {
        let want: Vec<Entry> = want.iter().filter(|e| e.1.contains(needle.as_str())).cloned().collect();
        assert_eq!(read(&segment, 0, (i64::MIN, i64::MAX), &[vec![needle.clone()]]), want, "{needle:?}");
    }
    for pair in needles.windows(2) {
        let either: Vec<Entry> =
            want.iter().filter(|e| pair.iter().any(|n| e.1.contains(n.as_str()))).cloned().collect();
        assert_eq!(read(&segment, 0, (i64::MIN, i64::MAX), &[pair.to_vec()]), either, "{pair:?}");
        let both: Vec<Entry> = want.iter().filter(|e| pair.iter().all(|n| e.1.contains(n.as_str()))).cloned().collect();
        let groups: Vec<Vec<String>> = pair.iter().map(|n| vec![n.clone()]).collect();
        assert_eq!(read(&segment, 0, (i64::MIN, i64::MAX), &groups), both, "{pair:?}");
    }
}

/// The segment of the format page.
fn example() -> (MemFiles, Vec<(Labels, Vec<Entry>)>) {
    let files = MemFiles::new();
    let entries = vec![
        (5_000_000_000, "GET /a 200".to_owned(), Vec::new()),
        (6_000_000_000, "GET /b 404".to_owned(), vec![("user".to_owned(), "kim".to_owned())]),
    ];
    let streams = vec![(labels("a"), entries)];
    write(&files, 7, &streams);
    (files, streams)
}

#[test]
fn the_page_shows_a_segment() {
    let page = include_str!("../../docs/format/segment.md");
    let hex = page.split("```hex").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let bytes: Vec<u8> = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let (files, streams) = example();
    let path = PathBuf::from("s/00000007.seg");
    let written = files.map(&path).unwrap().to_vec();
    // Another release of zstd may compress otherwise; the page has to be read all the same.
    files.tamper(&path, |content| *content = bytes.clone()).unwrap();
    let segment = Segment::open(&files, Path::new("s"), SegmentId(7));
    let show = || {
        written
            .chunks(32)
            .map(|row| row.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let Ok(segment) = segment else { panic!("the page should show\n{}", show()) };
    assert_eq!(read(&segment, 0, (i64::MIN, i64::MAX), &[]), streams[0].1, "the page should show\n{}", show());
}

proptest! {
    #[test]
    fn any_lines_come_back(
        streams in prop::collection::btree_map("[a-c]{1,2}", prop::collection::vec((0i64..100_000, "[ab =\":,0-9\\n]{0,20}|\\PC{0,10}", prop::collection::vec(("[a-c]{1,2}", "[0-9a-f]{0,9}"), 0..3)), 1..40), 1..4),
        needle in "[ab =\":,0-9]{1,4}", copies in 1usize..20,
    ) {
        let files = MemFiles::new();
        let streams: Vec<(Labels, Vec<Entry>)> = streams
            .into_iter()
            .map(|(job, entries)| {
                let mut entries: Vec<Entry> = entries.iter().cycle().take(entries.len() * copies).cloned().collect();
                entries.sort_by_key(|entry| entry.0);
                (labels(&job), entries)
            })
            .collect();
        let segment = write(&files, 1, &streams);
        for (stream, (_, want)) in streams.iter().enumerate() {
            prop_assert_eq!(&read(&segment, stream as u32, (i64::MIN, i64::MAX), &[]), want);
            let found: Vec<Entry> = want.iter().filter(|e| e.1.contains(&needle)).cloned().collect();
            prop_assert_eq!(read(&segment, stream as u32, (i64::MIN, i64::MAX), &[vec![needle.clone()]]), found);
        }
    }
}
