//! Measures the metrics store as a library: `cargo run --release -p foursight-benches --bin metrics-store -- [part …]`.
//!
//! Parts: `shape` (what the data looks like), `small` and `large` (append, log, head, cut, bytes, reading, reopening), `restart` (with a saved head, and by
//! reading the log), `series` (a million new series), `regex` (matchers over a million values). All of them without arguments.

#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use benches::fleet::{Capture, Fleet};
use benches::machine::{bytes_below, resident_bytes, timed, written_bytes};
use foursight_benches as benches;
use model::{SampleColumns, SelectHints, SeriesSource};
use tsdb::{Db, Options, RawCursor, SyncPolicy};

const START: i64 = 1_700_006_400_000;

fn main() {
    let capture = match Capture::load("05s") {
        Ok(capture) => capture,
        Err(reason) => return println!("nothing measured: {reason}"),
    };
    let parts: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|p| p == part);
    if wanted("shape") {
        shape(&capture);
    }
    if wanted("small") {
        ingest(&capture, "small", 10, 1_440);
    }
    if wanted("large") {
        ingest(&capture, "large", 194, 240);
    }
    if wanted("restart") {
        restart(&capture, 194, 240);
    }
    if wanted("series") || wanted("regex") {
        million(wanted("regex"));
    }
}

fn shape(capture: &Capture) {
    let mut fleet = Fleet::new(capture, 0, 10);
    let (mut all, mut same, mut whole) = (0u64, 0u64, 0u64);
    let mut constant = 0;
    for host in 0..fleet.hosts() {
        let mut before = Vec::new();
        let mut moved = vec![false; capture.len()];
        let mut now = Vec::new();
        for scrape in 0..240 {
            fleet.scrape(host, scrape, &mut now);
            for (i, value) in now.iter().enumerate() {
                all += 1;
                whole += u64::from(value.fract() == 0.0);
                if before.get(i) == Some(value) {
                    same += 1;
                } else if scrape > 0 {
                    moved[i] = true;
                }
            }
            before.clone_from(&now);
        }
        constant += moved.iter().filter(|moved| !**moved).count();
    }
    let percent = |n: u64| 100.0 * n as f64 / all as f64;
    println!(
        "shape: {} series a host, {:.0} % constant, {:.0} % of samples as before, {:.0} % integers",
        capture.len(),
        100.0 * constant as f64 / fleet.series() as f64,
        percent(same),
        percent(whole)
    );
}

fn ingest(capture: &Capture, name: &str, hosts: usize, scrapes: usize) {
    let dir = std::env::temp_dir().join(format!("foursight-bench-{}", std::process::id()));
    let mut fleet = Fleet::new(capture, 0, hosts);
    let labels: Vec<Vec<model::Labels>> = (0..hosts).map(|host| fleet.labels(host)).collect();
    let raw: Vec<Vec<Vec<u8>>> =
        labels.iter().map(|host| host.iter().map(|l| l.as_encoded().as_bytes().to_vec()).collect()).collect();
    // The data beforehand: only the store is measured.
    let data: Vec<(i64, Vec<f64>)> = (0..scrapes)
        .flat_map(|scrape| (0..hosts).map(move |host| (scrape, host)))
        .map(|(scrape, host)| {
            let time = fleet.time(host, scrape, START);
            let mut values = Vec::new();
            fleet.scrape(host, scrape, &mut values);
            (time, values)
        })
        .collect();
    let samples = (data.len() * capture.len()) as f64;
    let before = resident_bytes();
    let written = written_bytes();
    // Synced once in a while: this measures the store, not the device.
    let options = Options { wal_sync: SyncPolicy::Never, head_budget_bytes: 4 << 30, ..Options::default() };
    let db = Db::open(&dir, options).unwrap();
    let keys = db.raw_keys();
    let mut cursors: Vec<RawCursor> = (0..hosts).map(|_| RawCursor::new(keys.clone())).collect();
    let ((), cpu, wall) = timed(|| {
        for (number, (time, values)) in data.iter().enumerate() {
            let host = number % hosts;
            let mut batch = db.appender().unwrap();
            for (i, value) in values.iter().enumerate() {
                let made = || Ok::<_, tsdb::Error>(Some(labels[host][i].clone()));
                let series = batch.resolve_raw(&mut cursors[host], &raw[host][i], made).unwrap().unwrap();
                batch.append(series, *time, *value).unwrap();
            }
            assert!(batch.commit().unwrap().refused.is_empty());
        }
    });
    let usage = db.head_usage();
    let series = usage.series as f64;
    println!(
        "{name}: {series} series, {:.2} M samples: append {:.2} M/s of CPU, {:.2} M/s on the wall; log {:.3} B/sample",
        samples / 1e6,
        samples / 1e6 / cpu.as_secs_f64(),
        samples / 1e6 / wall.as_secs_f64(),
        db.stats().wal.bytes as f64 / samples
    );
    println!(
        "{name}: head {:.0} B/series resident; chunks {:.0} ({:.3} B/sample), labels {:.0}, places {:.0}, table {:.0}, index {:.0}, raw keys {:.0}",
        (resident_bytes().saturating_sub(before)) as f64 / series,
        usage.sample_bytes as f64 / series,
        usage.sample_bytes as f64 / samples,
        usage.label_bytes as f64 / series,
        usage.series_bytes as f64 / series,
        usage.table_bytes as f64 / series,
        usage.index_bytes as f64 / series,
        keys.heap_bytes() as f64 / series
    );
    // A sample far ahead completes the range, so that it is cut.
    let ahead = START + scrapes as i64 * 15_000 + 24 * 3_600_000;
    let mut batch = db.appender().unwrap();
    let end = batch.resolve(&model::Labels::from_pairs([("__name__", "end")])).unwrap();
    batch.append(end, ahead, 1.0).unwrap();
    batch.commit().unwrap();
    let (report, cpu, _) = timed(|| db.maintain(ahead).unwrap());
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    let stats = db.stats();
    println!(
        "{name}: {} blocks in {:.2} s CPU ({:.1} M samples/s), {:.3} B/sample; all files {:.3} B/sample; written {:.3} B/sample",
        report.written.len(),
        cpu.as_secs_f64(),
        samples / 1e6 / cpu.as_secs_f64(),
        stats.block_bytes as f64 / samples,
        bytes_below(&dir) as f64 / samples,
        (written_bytes() - written) as f64 / samples
    );
    for block in db.blocks() {
        let block_dir = dir.join("blocks").join(block.ulid.to_string());
        let len = |file: &str| std::fs::metadata(block_dir.join(file)).map_or(0, |m| m.len()) as f64;
        println!("{name}:   chunks {:.3}, index {:.3} B/sample", len("chunks") / samples, len("index") / samples);
    }
    let hints = SelectHints { start_ms: 0, end_ms: ahead - 1, ..Default::default() };
    let (found, cpu, _) = timed(|| db.select(&[], &hints).unwrap());
    println!("{name}: select all {:.1} ms", cpu.as_secs_f64() * 1e3);
    let mut columns = SampleColumns::new();
    for round in 0..2 {
        let (read, cpu, _) = timed(|| {
            let mut read = 0;
            for i in 0..found.len() {
                found.read(i, &mut columns).unwrap();
                read += columns.timestamps.len();
            }
            read as f64
        });
        println!("{name}: read all, round {round}: {:.1} M samples/s", read / 1e6 / cpu.as_secs_f64());
    }
    drop(found);
    drop(db);
    let (db, cpu, wall) = timed(|| Db::open(&dir, Options::default()).unwrap());
    println!("{name}: reopened in {:.2} s ({:.2} s CPU)", wall.as_secs_f64(), cpu.as_secs_f64());
    drop(db);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Opens a store of many series again: after closing, and after a kill.
fn restart(capture: &Capture, hosts: usize, scrapes: usize) {
    let dir = std::env::temp_dir().join(format!("foursight-bench-{}", std::process::id()));
    let mut fleet = Fleet::new(capture, 0, hosts);
    let options = || Options { wal_sync: SyncPolicy::Never, head_budget_bytes: 4 << 30, ..Options::default() };
    let db = Db::open(&dir, options()).unwrap();
    let labels: Vec<Vec<model::Labels>> = (0..hosts).map(|host| fleet.labels(host)).collect();
    let mut references: Vec<Vec<tsdb::SeriesRef>> = vec![Vec::new(); hosts];
    let mut values = Vec::new();
    let mut samples = 0;
    for scrape in 0..scrapes {
        for host in 0..hosts {
            let time = fleet.time(host, scrape, START);
            fleet.scrape(host, scrape, &mut values);
            let mut batch = db.appender().unwrap();
            if scrape == 0 {
                references[host] = labels[host].iter().map(|labels| batch.resolve(labels).unwrap()).collect();
            }
            for (series, value) in references[host].iter().zip(&values) {
                batch.append(*series, time, *value).unwrap();
            }
            samples += values.len();
            assert!(batch.commit().unwrap().refused.is_empty());
        }
    }
    let ((), cpu, wall) = timed(|| db.close().unwrap());
    println!(
        "restart: {:.1} M samples; closed in {:.2} s ({:.2} s CPU)",
        samples as f64 / 1e6,
        wall.as_secs_f64(),
        cpu.as_secs_f64()
    );
    println!(
        "restart: the saved head has {:.1} MB",
        std::fs::metadata(dir.join("head")).map_or(0, |m| m.len()) as f64 / 1e6
    );
    drop(db);
    let (db, cpu, wall) = timed(|| Db::open(&dir, options()).unwrap());
    println!("restart: ready in {:.2} s ({:.2} s CPU) with a saved head", wall.as_secs_f64(), cpu.as_secs_f64());
    drop(db);
    std::fs::remove_file(dir.join("head")).unwrap();
    let (db, cpu, wall) = timed(|| Db::open(&dir, options()).unwrap());
    println!("restart: ready in {:.2} s ({:.2} s CPU) by reading the log", wall.as_secs_f64(), cpu.as_secs_f64());
    drop(db);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// A million new series, each with one sample; and matchers over a label with as many values.
fn million(regex: bool) {
    let dir = std::env::temp_dir().join(format!("foursight-bench-{}", std::process::id()));
    let db = Db::open(&dir, Options { wal_sync: SyncPolicy::Never, ..Options::default() }).unwrap();
    let before = resident_bytes();
    let count = 1_000_000u32;
    let ((), cpu, wall) = timed(|| {
        for first in (0..count).step_by(2_000) {
            let mut batch = db.appender().unwrap();
            for i in first..first + 2_000 {
                let pod = format!("checkout-{:08x}-{:05}", i.wrapping_mul(2_654_435_761), i % 99_991);
                let labels = model::Labels::from_pairs([
                    ("__name__", "http_requests_total"),
                    ("cluster", "eu-west-1"),
                    ("container", "server"),
                    ("endpoint", "metrics"),
                    ("job", "checkout"),
                    ("method", ["GET", "POST", "PUT"][i as usize % 3]),
                    ("namespace", "shop"),
                    ("pod", pod.as_str()),
                ]);
                let series = batch.resolve(&labels).unwrap();
                batch.append(series, START + i64::from(i / 100_000), f64::from(i)).unwrap();
            }
            assert!(batch.commit().unwrap().refused.is_empty());
        }
    });
    println!(
        "series: {:.0} k new series per CPU second, {:.1} s on the wall, {:.0} B/series resident",
        f64::from(count) / 1e3 / cpu.as_secs_f64(),
        wall.as_secs_f64(),
        resident_bytes().saturating_sub(before) as f64 / f64::from(count)
    );
    let hints = SelectHints { start_ms: 0, end_ms: START * 2, labels_only: true, ..Default::default() };
    for pattern in [
        "checkout-00000000-00000|checkout-9e3779b1-00001",
        "checkout-0000.*",
        ".*-00777",
        ".*7f.*9",
        "checkout-[0-9]+-.*1",
    ] {
        if regex {
            let matcher = model::Matcher::new(model::MatchOp::Regex, "pod", pattern).unwrap();
            let mut best = f64::MAX;
            let mut found = 0;
            for _ in 0..3 {
                let (len, cpu, _) = timed(|| db.select(std::slice::from_ref(&matcher), &hints).unwrap().len());
                best = best.min(cpu.as_secs_f64() * 1e3);
                found = len;
            }
            println!("regex: {best:.1} ms for pod=~{pattern:?}, {found} series found");
        }
    }
    drop(db);
    std::fs::remove_dir_all(&dir).unwrap();
}
