//! Requests for measurements of whole servers: encodes them beforehand, and sends them.
//!
//! `load metrics HOSTS SCRAPES END_MS FILE` (remote write of a fleet: each sender scrapes four hosts and sends some 2,000 samples at once, as
//! Prometheus 3 does), `load churn SERIES END_MS FILE` (one sample for each of many series), `load logs MEGABYTES END_NS FILE` (Loki pushes of
//! the corpus; what it holds is printed), `load send URL FILE [CONNECTIONS]` (posts a file's requests, prints seconds). A file is a row of
//! senders and lengths (4 bytes each, little endian) and snappy bodies; the requests of a sender stay in order on one connection.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "measuring time is what this program is for")]

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Error, Read, Result, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use foursight_benches::fleet::{Capture, Fleet};
use foursight_benches::logs::{Batch, Corpus};
use wire::compress::snappy_encode;
use wire::loki::PushWriter;
use wire::remote_write::RequestWriter;

/// Requests that wait for a connection.
const QUEUE: usize = 16;
/// Hosts that one sender scrapes.
const HOSTS_OF_A_SENDER: usize = 4;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["metrics", hosts, scrapes, end, file] => metrics(number(hosts), number(scrapes), number(end), file),
        ["churn", series, end, file] => churn(number(series), number(end), file),
        ["logs", megabytes, end, file] => logs(number(megabytes), number(end), file),
        ["send", url, file] => send(url, file, 8),
        ["send", url, file, connections] => send(url, file, number(connections)),
        _ => {
            eprintln!(
                "load metrics HOSTS SCRAPES END_MS FILE | churn SERIES END_MS FILE | logs MEGABYTES END_NS FILE | send URL FILE [CONNECTIONS]"
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("load: {e}");
            ExitCode::FAILURE
        }
    }
}

fn number<T: std::str::FromStr + Default>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| {
        eprintln!("load: {text} is not a number");
        std::process::exit(2)
    })
}

fn put(out: &mut impl Write, sender: usize, message: &[u8]) -> Result<()> {
    let body = snappy_encode(message);
    out.write_all(&(sender as u32).to_le_bytes())?;
    out.write_all(&(body.len() as u32).to_le_bytes())?;
    out.write_all(&body)
}

fn metrics(hosts: usize, scrapes: usize, end_ms: i64, file: &str) -> Result<()> {
    let capture = Capture::load("05s").map_err(Error::other)?;
    let mut fleet = Fleet::new(&capture, 0, hosts);
    let labels: Vec<_> = (0..hosts).map(|host| fleet.labels(host)).collect();
    // Full hours: the windows of what is asked later begin at round times.
    let start_ms = end_ms - scrapes as i64 * 15_000;
    let mut out = BufWriter::new(File::create(file)?);
    let mut values = Vec::new();
    for scrape in 0..scrapes {
        for (sender, hosts) in labels.chunks(HOSTS_OF_A_SENDER).enumerate() {
            let mut request = RequestWriter::new();
            for (host, labels) in (sender * HOSTS_OF_A_SENDER..).zip(hosts) {
                let time = fleet.time(host, scrape, start_ms);
                fleet.scrape(host, scrape, &mut values);
                for (labels, value) in labels.iter().zip(&values) {
                    request.series(labels.iter(), |series| series.sample(time, *value));
                }
            }
            put(&mut out, sender, &request.finish())?;
        }
    }
    println!("{{\"series\":{},\"samples\":{}}}", fleet.series(), fleet.series() * scrapes);
    out.flush()
}

fn churn(series: usize, end_ms: i64, file: &str) -> Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    for (sender, first) in (0..series).step_by(2_000).enumerate() {
        let mut request = RequestWriter::new();
        for number in first..(first + 2_000).min(series) {
            let (pod, id) = (
                format!("checkout-7d9f{:05x}-{:05}", number / 40, number % 97),
                format!("{:08x}", number * 2_654_435_761 % 0xffff_ffff),
            );
            let path = format!("/api/v1/resource/{}", number % 40);
            let labels = [
                ("__name__", "http_requests_total"),
                ("cluster", "production-eu-1"),
                ("container", "checkout"),
                ("id", &id),
                ("instance", "10.1.2.3:8080"),
                ("job", "kubernetes-pods"),
                ("namespace", "shop"),
                ("path", &path),
                ("pod", &pod),
            ];
            request.series(labels, |w| w.sample(end_ms - 1_000, number as f64));
        }
        put(&mut out, sender, &request.finish())?;
    }
    println!("{{\"series\":{series},\"samples\":{series}}}");
    out.flush()
}

fn logs(megabytes: u64, end_ns: i64, file: &str) -> Result<()> {
    let mut corpus = Corpus::new(1, megabytes << 20);
    let keys: Vec<String> = corpus.streams().iter().map(ToString::to_string).collect();
    // The corpus has times of its own; it is moved so that it ends when it should.
    let shift = end_ns - corpus.end_ns();
    let mut out = BufWriter::new(File::create(file)?);
    let (mut batch, mut pending, mut bytes, mut sender) = (Batch::default(), Vec::new(), 0, 0);
    loop {
        let more = corpus.next_batch(&mut batch);
        if more {
            bytes += batch.text.len();
            pending.push(std::mem::take(&mut batch));
        }
        // About a megabyte at once, as a busy agent sends.
        if bytes >= 1 << 20 || (!more && bytes > 0) {
            let mut request = PushWriter::new();
            for (stream, key) in keys.iter().enumerate() {
                let of_stream = pending.iter().flat_map(|batch| {
                    let found = batch.streams.iter().filter(|s| s.stream == stream);
                    found.flat_map(|s| s.entries.iter().map(|(at, from, to)| (*at, &batch.text[*from..*to])))
                });
                let entries: Vec<(i64, &str)> = of_stream.collect();
                if !entries.is_empty() {
                    request.stream(key, |w| entries.iter().for_each(|(at, line)| w.entry(at + shift, line, [])));
                }
            }
            put(&mut out, sender, &request.finish())?;
            sender += 1;
            pending.clear();
            bytes = 0;
        }
        if !more {
            break;
        }
    }
    let t = corpus.truth();
    println!(
        "{{\"start_ns\":{},\"lines\":{},\"bytes\":{},\"web\":{},\"json\":{},\"logfmt\":{},\"system\":{},\"web_5xx\":{},\"json_5xx\":{},\"thousand\":{},\"trace\":{}}}",
        corpus.start_ns() + shift,
        t.lines,
        t.bytes,
        t.lines_of[0],
        t.lines_of[1],
        t.lines_of[2],
        t.lines_of[3],
        t.web_5xx,
        t.json_5xx,
        t.thousand,
        t.trace
    );
    out.flush()
}

fn send(url: &str, file: &str, connections: usize) -> Result<()> {
    let rest = url.strip_prefix("http://").ok_or_else(|| Error::other("the URL begins with http://"))?;
    let (host, path) = rest.split_at(rest.find('/').ok_or_else(|| Error::other("the URL has a path"))?);
    let start = Instant::now();
    let (queues, workers): (Vec<_>, Vec<_>) = (0..connections.max(1))
        .map(|_| {
            let (queue, waiting) = sync_channel::<Vec<u8>>(QUEUE);
            let (host, path) = (host.to_owned(), path.to_owned());
            (queue, std::thread::spawn(move || post_all(&waiting, &host, &path)))
        })
        .unzip();
    let mut input = BufReader::with_capacity(1 << 20, File::open(file)?);
    let (mut sender, mut length) = ([0; 4], [0; 4]);
    while input.read_exact(&mut sender).is_ok() {
        input.read_exact(&mut length)?;
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        input.read_exact(&mut body)?;
        if queues[u32::from_le_bytes(sender) as usize % queues.len()].send(body).is_err() {
            break;
        }
    }
    drop(queues);
    let mut sent = 0;
    for worker in workers {
        sent += worker.join().map_err(|_| Error::other("a sender panicked"))??;
    }
    println!("{{\"requests\":{sent},\"seconds\":{:.3}}}", start.elapsed().as_secs_f64());
    Ok(())
}

fn post_all(waiting: &Receiver<Vec<u8>>, host: &str, path: &str) -> Result<usize> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut sent = 0;
    let mut line = String::new();
    while let Ok(body) = waiting.recv() {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)?;
        line.clear();
        answers.read_line(&mut line)?;
        let good = line.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
        let status = line.clone();
        let mut length = 0;
        loop {
            line.clear();
            answers.read_line(&mut line)?;
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut answer = vec![0; length];
        answers.read_exact(&mut answer)?;
        if !good {
            return Err(Error::other(format!("{} {}", status.trim(), String::from_utf8_lossy(&answer))));
        }
        sent += 1;
    }
    Ok(sent)
}
