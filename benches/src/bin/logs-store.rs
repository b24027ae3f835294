//! Measures the log store on the corpus of logs: CPU seconds of ingest, bytes on disk, reading back,
//! queries of the store alone, and queries in LogQL.
//!
//! `logs-store [MEGABYTES [DIR]]`; every answer is checked against what the generator knows.

#![allow(clippy::disallowed_methods, reason = "measuring time is what this program is for")]

use std::path::PathBuf;
use std::time::Instant;

use foursight_benches::logs::{Batch, Corpus};
use logql::{Engine, ParseOptions, QueryContext, Request, Value, parse};
use logstore::{Db, Limits, Options, PushEntry, PushStream, StreamKey, SyncPolicy};
use model::{Direction, Labels, LogColumns, LogSelect, LogSource, Matcher};

const MINUTE_NS: i64 = 60_000_000_000;

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
    // One query in LogQL again and again, for profiles.
    if let Ok(text) = std::env::var("ASK") {
        let times = std::env::var("TIMES").ok().and_then(|t| t.parse().ok()).unwrap_or(20);
        let (from, to) = (corpus.start_ns(), corpus.end_ns());
        let request = Request { limit: 100, ..Request::range(from, to, MINUTE_NS) };
        let before = cpu();
        let answers: f64 = (0..times).map(|_| ask(&db, &text, &request)).sum();
        println!(
            "{text}: {}; CPU ms {:.2} each",
            answers / f64::from(times),
            (cpu() - before) * 1e3 / f64::from(times)
        );
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
    let all = LogSelect { start_ns: from, end_ns: to, ..LogSelect::default() };
    let counted = timed("lines of each stream and minute, without lines", &|| count_minutes(&db, &all));
    let volumes = || db.volumes(&[], from, to).expect("volumes are known");
    let summed = timed("volumes of all streams: bytes", &|| volumes().iter().map(|volume| volume.bytes).sum());
    if !reuse {
        assert_eq!((counted, summed), (truth.lines, truth.bytes));
    }
    let newest = Request { limit: 100, ..Request::range(from, to, 1) };
    let minutes = Request::range(from, to, MINUTE_NS);
    let asked = |text: &str, request: &Request, want: Option<u64>| {
        let got = timed(text, &|| ask(&db, text, request).round() as u64);
        assert!(reuse || want.is_none_or(|want| want == got), "{text}: {want:?}");
    };
    asked("{job=\"nginx\"} |= \"GET\"", &newest, Some(100));
    asked("{job=~\".+\"} |= \"e\"", &newest, Some(100));
    asked("sum by (job, host, instance) (count_over_time({job=~\".+\"}[1m]))", &minutes, Some(truth.lines));
    asked("sum by (job) (rate({job=~\".+\"}[1m]))", &minutes, None);
    let quarters = Request::range(from, to, MINUTE_NS / 4);
    asked("sum by (job) (count_over_time({job=~\".+\"}[15s]))", &quarters, Some(truth.lines));
    let json = "sum by (status) (count_over_time({job=\"api\"} | json | status >= 500 [1m]))";
    asked(json, &minutes, Some(truth.json_5xx));
    asked(
        "sum(count_over_time({job=\"api\"} | json status=\"status\" | status >= 500 [1m]))",
        &minutes,
        Some(truth.json_5xx),
    );
    asked(
        "sum(count_over_time({job=\"gateway\"} | logfmt | level_extracted=\"error\" [1m]))",
        &minutes,
        Some(truth.logfmt_errors),
    );
    asked(
        "quantile_over_time(0.99, {job=\"gateway\"} | logfmt | unwrap duration(duration) [1m]) by (host)",
        &minutes,
        None,
    );
    drop(db);
    let before = (Instant::now(), cpu());
    let db = Db::open(&dir, options).expect("the store opens");
    println!("open: CPU {:.1} ms, wall {:.1} ms", (cpu() - before.1) * 1e3, before.0.elapsed().as_secs_f64() * 1e3);
    let line = [PushEntry { timestamp_ns: to, line: "a line that was pushed just now", metadata: &[] }];
    let before = Instant::now();
    db.push(&[PushStream { key: StreamKey::Raw { text: &keys[0], resolve: &resolve }, entries: &line }], to)
        .expect("the line is taken");
    let just_now = Request { limit: 1, ..Request::range(to, to + 1, 1) };
    assert_eq!(ask(&db, "{job=~\".+\"} |= \"just now\"", &just_now), 1.0);
    println!("push to visible, synced: wall {:.2} ms", before.elapsed().as_secs_f64() * 1e3);
}

/// What `count_over_time` in steps of a minute asks for.
fn count_minutes(db: &Db, request: &LogSelect) -> u64 {
    let selection = db.select(request).expect("the selection is made");
    let (mut sum, mut edges_ns, mut counts) = (0, Vec::new(), Vec::new());
    for (index, unit) in selection.units().iter().enumerate() {
        let mut edge_ns = (unit.min_ns - 1).div_euclid(MINUTE_NS) * MINUTE_NS + 1;
        edges_ns.clear();
        edges_ns.push(edge_ns);
        while edge_ns <= unit.max_ns {
            edge_ns += MINUTE_NS;
            edges_ns.push(edge_ns);
        }
        assert!(selection.counts(index, &edges_ns, &mut counts), "counts are known");
        sum += counts.iter().sum::<u64>();
    }
    sum
}

/// Asks the evaluator in a query of numbers or entries, on one thread; returns the sum of all numbers, or the number of entries.
fn ask(db: &Db, text: &str, request: &Request) -> f64 {
    let expr = parse(text, ParseOptions::default()).expect("the query is one");
    let context = QueryContext { threads: 1, ..QueryContext::at(0) };
    let output = Engine::default().query(db, &expr, request, &context).expect("the query is answered");
    match output.value {
        Value::Streams(found) => found.streams.iter().map(|stream| stream.entries.len() as f64).sum(),
        Value::Matrix(series) => series.iter().flat_map(|one| &one.points).map(|point| point.1).sum(),
        Value::Vector(samples) => samples.iter().map(|sample| sample.value).sum(),
        _ => 0.0,
    }
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
