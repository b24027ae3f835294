//! Measures the log store on the corpus of logs: CPU seconds of ingest, bytes on disk, reading back, queries at store level.
//!
//! `logs-store [MEGABYTES [DIR]]`; every answer is checked against what the generator knows.

#![allow(clippy::disallowed_methods, reason = "measuring time is what this program is for")]

use std::path::PathBuf;
use std::time::Instant;

use foursight_benches::logs::{Batch, Corpus};
use logstore::{Db, Limits, Options, PushEntry, PushStream, StreamKey, SyncPolicy};
use model::{Direction, Labels, LogColumns, LogSelect, LogSource, Matcher};

/// CPU time of this thread in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn resident(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let megabytes: u64 = arguments.next().and_then(|a| a.parse().ok()).unwrap_or(64);
    let dir = arguments.next().map_or_else(|| std::env::temp_dir().join("foursight-logs-bench"), PathBuf::from);
    // Queries over what an earlier run has stored.
    let reuse = std::env::var_os("REUSE").is_some();
    if !reuse {
        let _ = std::fs::remove_dir_all(&dir);
    }
    let segment_bytes = std::env::var("SEGMENT_MB").ok().and_then(|mb| mb.parse::<u64>().ok()).unwrap_or(48) << 20;
    let options = Options {
        limits: Limits::unlimited(),
        wal_sync: SyncPolicy::Always,
        segment_bytes,
        segment_age_ns: 86_400_000_000_000,
        ..Options::default()
    };
    let db = Db::open(&dir, options.clone()).expect("the store opens");

    let mut corpus = Corpus::new(1, megabytes << 20);
    let keys: Vec<String> = corpus.streams().iter().map(Labels::to_string).collect();
    let labels = corpus.streams().to_vec();
    let resolve = |text: &str| {
        let at = keys.iter().position(|key| key == text).ok_or("unknown")?;
        Ok(labels[at].clone())
    };
    // The generator's own time is measured and taken off.
    let (mut making, mut pushing, mut sealing) = (0.0, 0.0, 0.0);
    let (start, start_cpu) = (Instant::now(), cpu());
    let mut batch = Batch::default();
    let mut pending: Vec<Batch> = Vec::new();
    loop {
        let before = cpu();
        pending.clear();
        // About a megabyte at once, as a busy agent sends.
        let mut bytes = 0;
        while !reuse && bytes < 1 << 20 && corpus.next_batch(&mut batch) {
            bytes += batch.text.len();
            pending.push(std::mem::take(&mut batch));
        }
        making += cpu() - before;
        if pending.is_empty() {
            break;
        }
        let before = cpu();
        let mut entries: Vec<Vec<PushEntry<'_>>> = vec![Vec::new(); keys.len()];
        for batch in &pending {
            for stream in &batch.streams {
                entries[stream.stream].extend(stream.entries.iter().map(|(timestamp_ns, from, to)| PushEntry {
                    timestamp_ns: *timestamp_ns,
                    line: &batch.text[*from..*to],
                    metadata: &[],
                }));
            }
        }
        let streams: Vec<PushStream<'_>> = keys
            .iter()
            .zip(&entries)
            .map(|(text, entries)| PushStream { key: StreamKey::Raw { text, resolve: &resolve }, entries })
            .collect();
        let report = db.push(&streams, pending.last().map_or(0, |batch| batch.now_ns)).expect("the push is taken");
        assert_eq!(report.refused_entries() + report.duplicates, 0);
        pushing += cpu() - before;
        let before = cpu();
        let report = db.maintain(pending.last().map_or(0, |b| b.now_ns));
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        sealing += cpu() - before;
    }
    let before = cpu();
    db.flush().expect("the rest is written");
    sealing += cpu() - before;
    let truth = corpus.truth().clone();
    let stats = db.stats();
    let used = cpu() - start_cpu - making;
    let raw = truth.bytes as f64;
    println!("{} lines, {:.1} MB", truth.lines, raw / 1e6);
    println!(
        "ingest: {:.2} CPU s = {:.1} MB per CPU s; wall {:.2} s (push {pushing:.2}, segments {sealing:.2}); peak {} MB",
        used,
        raw / 1e6 / used,
        start.elapsed().as_secs_f64() - making,
        resident("VmHWM")
    );
    println!(
        "disk: {} segments, {} bytes, {:.4} of raw; log {} bytes",
        stats.segments,
        stats.segment_file_bytes,
        stats.segment_file_bytes as f64 / raw,
        stats.wal.bytes
    );
    if !reuse {
        assert_eq!((stats.segment_entries, stats.segment_line_bytes), (truth.lines, truth.bytes));
    }

    if std::env::var_os("QUERY_LOOP").is_some() {
        let needle = std::env::var("QUERY_LOOP").unwrap_or_default();
        let needles = if needle.is_empty() { Vec::new() } else { vec![vec![needle]] };
        let request =
            LogSelect { start_ns: corpus.start_ns(), end_ns: corpus.end_ns(), needles, ..LogSelect::default() };
        let times = std::env::var("TIMES").ok().and_then(|t| t.parse().ok()).unwrap_or(100);
        for _ in 0..times {
            count_lines(&db, &request);
        }
        return;
    }
    if std::env::var_os("INGEST_ONLY").is_some() {
        return;
    }
    let (from, to) = (corpus.start_ns(), corpus.end_ns());
    let query = |what: &str, matchers: Vec<Matcher>, needles: &[&str], want: Option<u64>| {
        let needles = needles.iter().map(|n| vec![(*n).to_owned()]).collect();
        let request = LogSelect {
            matchers,
            start_ns: from,
            end_ns: to,
            needles,
            direction: Direction::Forward,
            ..LogSelect::default()
        };
        let mut times = Vec::new();
        let mut found = (0, 0);
        for _ in 0..3 {
            let before = cpu();
            found = count_lines(&db, &request);
            times.push((cpu() - before) * 1e3);
        }
        println!("{what}: {} lines, {} bytes; CPU ms {times:.2?}", found.0, found.1);
        if let Some(want) = want.filter(|_| !reuse) {
            assert_eq!(found.0, want, "{what}");
        }
    };
    let job = |name: &str| vec![Matcher::equal("job", name)];
    query("read everything", Vec::new(), &[], Some(truth.lines));
    query("trace id over everything", Vec::new(), &[Corpus::TRACE], Some(truth.trace));
    query("absent word over everything", Vec::new(), &[Corpus::ABSENT], Some(0));
    query("1,000 hits over everything", Vec::new(), &[Corpus::THOUSAND], Some(truth.thousand));
    query("json 5xx", job("api"), &["\"status\":5"], Some(truth.json_5xx));
    query("logfmt errors", job("gateway"), &["level=error"], Some(truth.logfmt_errors));
    query("common word", job("nginx"), &["GET"], None);

    let timed = |what: &str, work: &dyn Fn() -> u64| {
        let mut times = Vec::new();
        let mut answer = 0;
        for _ in 0..3 {
            let before = cpu();
            answer = work();
            times.push((cpu() - before) * 1e3);
        }
        println!("{what}: {answer}; CPU ms {times:.2?}");
        answer
    };
    let newest = LogSelect {
        matchers: job("nginx"),
        start_ns: from,
        end_ns: to,
        needles: vec![vec!["GET".to_owned()]],
        ..LogSelect::default()
    };
    let found = timed("common word, newest 100 lines", &|| newest_lines(&db, &newest, 100) as u64);
    assert_eq!(found, 100);
    let all = LogSelect { start_ns: from, end_ns: to, ..LogSelect::default() };
    let counted = timed("lines of each stream and minute, without lines", &|| count_minutes(&db, &all));
    let volumes = || db.volumes(&[], from, to).expect("volumes are known");
    let summed = timed("volumes of all streams: bytes", &|| volumes().iter().map(|volume| volume.bytes).sum());
    if !reuse {
        assert_eq!((counted, summed), (truth.lines, truth.bytes));
    }
    drop(db);
    let before = (Instant::now(), cpu());
    let db = Db::open(&dir, options).expect("the store opens");
    println!("open: CPU {:.1} ms, wall {:.1} ms", (cpu() - before.1) * 1e3, before.0.elapsed().as_secs_f64() * 1e3);
    let line = [PushEntry { timestamp_ns: to, line: "a line that was pushed just now", metadata: &[] }];
    let wanted = LogSelect { start_ns: to, end_ns: to + 1, needles: vec![vec!["just now".to_owned()]], ..newest };
    let before = Instant::now();
    db.push(&[PushStream { key: StreamKey::Raw { text: &keys[0], resolve: &resolve }, entries: &line }], to)
        .expect("the line is taken");
    assert_eq!(newest_lines(&db, &LogSelect { matchers: Vec::new(), ..wanted }, 1), 1);
    println!("push to visible, synced: wall {:.2} ms", before.elapsed().as_secs_f64() * 1e3);
}

/// Reads units until nothing newer can come; returns the number of lines found, at most `limit`.
fn newest_lines(db: &Db, request: &LogSelect, limit: usize) -> usize {
    let selection = db.select(request).expect("the selection is made");
    let mut columns = LogColumns::new();
    let mut newest: Vec<i64> = Vec::new();
    for (index, unit) in selection.units().iter().enumerate() {
        if newest.len() >= limit && newest[limit - 1] > unit.max_ns {
            break;
        }
        selection.read(index, &mut columns).expect("the unit is read");
        let passes = |row: &usize| {
            let line = columns.line(*row);
            request.needles.iter().all(|group| group.iter().any(|needle| line.contains(needle.as_str())))
        };
        newest.extend((0..columns.len()).filter(passes).map(|row| columns.timestamps[row]));
        newest.sort_unstable_by_key(|timestamp| std::cmp::Reverse(*timestamp));
        newest.truncate(limit);
    }
    newest.len()
}

/// What `count_over_time` in steps of a minute asks for.
fn count_minutes(db: &Db, request: &LogSelect) -> u64 {
    const MINUTE_NS: i64 = 60_000_000_000;
    let selection = db.select(request).expect("the selection is made");
    let mut sum = 0;
    for (index, unit) in selection.units().iter().enumerate() {
        let mut start_ns = (unit.min_ns - 1).div_euclid(MINUTE_NS) * MINUTE_NS + 1;
        while start_ns <= unit.max_ns {
            sum += selection.count(index, start_ns, start_ns + MINUTE_NS).expect("counts are known");
            start_ns += MINUTE_NS;
        }
    }
    sum
}

fn count_lines(db: &Db, request: &LogSelect) -> (u64, u64) {
    let selection = db.select(request).expect("the selection is made");
    let mut columns = LogColumns::new();
    let (mut lines, mut bytes) = (0, 0);
    for unit in 0..selection.units().len() {
        selection.read(unit, &mut columns).expect("the unit is read");
        for row in 0..columns.len() {
            let line = columns.line(row);
            if request.needles.iter().all(|group| group.iter().any(|needle| line.contains(needle.as_str()))) {
                lines += 1;
                bytes += line.len() as u64;
            }
        }
    }
    (lines, bytes)
}
