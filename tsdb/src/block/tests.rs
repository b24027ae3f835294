use super::*;
use disk::MemFiles;

fn columns(series: usize, samples: usize) -> SampleColumns {
    let mut columns = SampleColumns::new();
    for i in 0..samples {
        let value = match series % 4 {
            0 => 1.0,
            1 => (i * series) as f64,
            2 => (i * 7919 % 100) as f64 / 100.0,
            _ => (i as f64 / 10.0 + series as f64).sin(),
        };
        columns.push(1_000_000 + i as i64 * 15_000 + (series % 3) as i64, value);
    }
    columns
}

fn labels(series: usize) -> Labels {
    Labels::from_pairs([("__name__", format!("metric_{:03}", series / 10)), ("i", format!("{:04}", series))])
}

fn open(files: &MemFiles, dir: &Path) -> Result<Block, Error> {
    Block::open(files, dir, &Arc::new(PageCache::new(1 << 20)))
}

fn write(files: &Arc<MemFiles>, series: usize, samples: usize) -> Block {
    let dir = Path::new("data/01ARYZ6S410000000000000000");
    files.create_dir_all(Path::new("data")).unwrap();
    let mut writer = BlockWriter::create(files.clone(), dir.to_owned()).unwrap();
    for i in 0..series {
        let samples = Samples { floats: columns(i, samples), histograms: Vec::new() };
        writer.push(&labels(i), &samples).unwrap();
    }
    writer.push(&Labels::from_pairs([("z", "none")]), &Samples::default()).unwrap();
    let meta = |stats| BlockMeta {
        version: 1,
        ulid: "01ARYZ6S410000000000000000".parse().unwrap(),
        min_time: 1_000_000,
        max_time: i64::MAX,
        origin: Origin::Head,
        head_cut: Some(7),
        stats,
        compaction: CompactionMeta { level: 1, ..Default::default() },
        checksum: 0,
    };
    writer.finish(&[], meta).unwrap();
    open(files, dir).unwrap()
}

fn check(block: &Block, series: usize, samples: usize) {
    let mut out = SampleColumns::new();
    for i in 0..series {
        out.clear();
        block.read(i as u32, i64::MIN, i64::MAX, &mut out).unwrap();
        let want = columns(i, samples);
        assert_eq!((&out.timestamps, &out.values), (&want.timestamps, &want.values), "series {i}");
    }
}

#[test]
fn what_was_written_is_read() {
    for (series, samples) in [(0, 0), (1, 1), (500, 130), (7, 9_000)] {
        let files = Arc::new(MemFiles::new());
        let block = write(&files, series, samples);
        assert_eq!(block.meta().stats.num_samples, (series * samples) as u64);
        check(&block, series, samples);
        let mut seen = Vec::new();
        block.visit_labels(0..series as u32, &mut |_, l| seen.push(l)).unwrap();
        assert_eq!(seen, (0..series).map(labels).collect::<Vec<_>>());
        assert!(files.paths().iter().all(|path| !path.to_string_lossy().contains(TEMPORARY)));
    }
}

#[test]
fn ranges_are_exact() {
    let files = Arc::new(MemFiles::new());
    let block = write(&files, 5, 9_000);
    let want = columns(1, 9_000);
    for (from, to) in [(0, 1_000_001), (1_000_001, 1_000_001), (4_095 * 15_000, 8_200 * 15_000), (i64::MAX, i64::MAX)] {
        let mut out = SampleColumns::new();
        out.push(5, 5.0);
        block.read(1, from, to, &mut out).unwrap();
        let inside: Vec<i64> = want.timestamps.iter().copied().filter(|t| (from..=to).contains(t)).collect();
        assert_eq!(out.timestamps[1..], inside);
        assert_eq!(out.values.len(), out.timestamps.len());
    }
}

#[test]
fn selecting_by_matchers() {
    let files = Arc::new(MemFiles::new());
    let block = write(&files, 100, 3);
    assert_eq!(block.select(&[Matcher::equal("__name__", "metric_004")]).unwrap(), (40..50).collect());
    assert!(block.select(&[Matcher::equal("i", "9999")]).unwrap().is_empty());
}

#[test]
fn equal_times_are_stored_once_and_constants_take_nothing() {
    let files = Arc::new(MemFiles::new());
    let block = write(&files, 1_000, 240);
    let noise = 250 * 240 * 8;
    let bytes = block.bytes().saturating_sub(noise);
    assert!(bytes < 500 * (240 + 40) + 1_000 * 20, "{bytes}");
}

#[test]
fn any_flip_or_cut_is_an_error_or_harmless() {
    let files = Arc::new(MemFiles::new());
    let block = write(&files, 40, 30);
    for name in [CHUNKS_FILE, INDEX_FILE, META_FILE] {
        let path = block.dir().join(name);
        let whole = files.map(&path).unwrap().to_vec();
        let step = if name == META_FILE { 1 } else { whole.len() / 400 + 1 };
        for at in (0..whole.len()).step_by(step) {
            files.tamper(&path, |bytes| bytes.truncate(at)).unwrap();
            // Spaces at the end of the meta file say nothing.
            assert!(open(&files, block.dir()).is_err(), "{name} cut to {at}");
            files
                .tamper(&path, |bytes| {
                    bytes.clone_from(&whole);
                    bytes[at] ^= 1 << (at % 8);
                })
                .unwrap();
            let Ok(damaged) = open(&files, block.dir()) else { continue };
            let mut out = SampleColumns::new();
            for i in 0..40 {
                out.clear();
                match damaged.read(i as u32, i64::MIN, i64::MAX, &mut out) {
                    Ok(()) => assert_eq!(out.values, columns(i, 30).values, "{name} byte {at}"),
                    Err(error) => assert_eq!((error.kind(), out.len()), (crate::error::ErrorKind::Corrupt, 0)),
                }
            }
        }
        files.tamper(&path, |bytes| bytes.clone_from(&whole)).unwrap();
    }
    check(&open(&files, block.dir()).unwrap(), 40, 30);
}
