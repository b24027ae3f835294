//! Downloading a long time range in parts, several at a time, each into a file of its own.
//!
//! A part is written under a temporary name and gets its own when it is complete, so that a download that was broken off goes
//! on with the parts that are missing.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::client::{Api, CliError};
use super::flags::QueryFlags;
use super::output::Printer;

/// Most parts of a download.
const MAX_PARTS: i64 = 100_000;

struct Part {
    start_ns: i64,
    end_ns: i64,
    path: PathBuf,
}

/// Downloads and, if asked for, prints the parts in order.
pub(super) async fn run(api: &Api, flags: &QueryFlags, query: &str, range: (i64, i64)) -> Result<(), CliError> {
    let Some(prefix) = &flags.part_path_prefix else {
        return Err(CliError::Usage("--parallel-duration needs --part-path-prefix: where parts are kept".to_owned()));
    };
    let mut parts = parts(flags, prefix, range)?;
    let bar = Arc::new(Bar::new(parts.len(), flags.shown.quiet));
    let slots = Arc::new(Semaphore::new(flags.parallel_max_workers.max(1)));
    let mut workers = tokio::task::JoinSet::new();
    for part in &parts {
        if part.path.exists() && !flags.overwrite_completed_parts {
            bar.step();
            continue;
        }
        let (api, flags, query, slots, bar) =
            (api.clone(), flags.clone(), query.to_owned(), slots.clone(), bar.clone());
        let (range, path) = ((part.start_ns, part.end_ns), part.path.clone());
        workers.spawn(async move {
            let _slot = slots.acquire().await;
            download(&api, &QueryFlags { limit: 0, ..flags }, &query, range, &path).await?;
            bar.step();
            Ok::<_, CliError>(())
        });
    }
    let mut failed = None;
    while let Some(done) = workers.join_next().await {
        let result = done.unwrap_or_else(|e| Err(CliError::Usage(e.to_string())));
        if let Err(e) = result {
            // The others are kept for the next try.
            failed.get_or_insert(e);
        }
    }
    bar.end();
    if let Some(error) = failed {
        return Err(error);
    }
    if flags.merge_parts {
        if !flags.forward {
            parts.reverse();
        }
        let mut out = io::stdout().lock();
        for part in &parts {
            let named = |e| CliError::Io(part.path.display().to_string(), e);
            io::copy(&mut File::open(&part.path).map_err(named)?, &mut out)?;
            if !flags.keep_parts {
                fs::remove_file(&part.path).map_err(named)?;
            }
        }
    }
    Ok(())
}

/// The parts of a range, oldest first.
fn parts(flags: &QueryFlags, prefix: &Path, (start_ns, end_ns): (i64, i64)) -> Result<Vec<Part>, CliError> {
    let length = flags.parallel_duration.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX));
    if length <= 0 {
        return Err(CliError::Usage("--parallel-duration must be longer than nothing".to_owned()));
    }
    if (end_ns - start_ns) / length >= MAX_PARTS {
        return Err(CliError::Usage(format!(
            "that is more than {MAX_PARTS} parts: ask for a longer --parallel-duration"
        )));
    }
    let mut parts = Vec::new();
    let mut from = start_ns;
    while from < end_ns {
        let to = from.saturating_add(length).min(end_ns);
        let mut name = prefix.as_os_str().to_owned();
        name.push(format!("_{from}_{to}.part"));
        parts.push(Part { start_ns: from, end_ns: to, path: PathBuf::from(name) });
        from = to;
    }
    Ok(parts)
}

async fn download(api: &Api, flags: &QueryFlags, query: &str, range: (i64, i64), path: &Path) -> Result<(), CliError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let named = |e| CliError::Io(temporary.display().to_string(), e);
    let mut file = BufWriter::new(File::create(&temporary).map_err(named)?);
    let mut printer = Printer::new(&flags.shown);
    super::query::entries(api, flags, query, range, &mut printer, &mut file).await?;
    file.flush().map_err(named)?;
    fs::rename(&temporary, path).map_err(named)
}

/// Shows how far it is, on a terminal.
struct Bar {
    parts: usize,
    done: AtomicUsize,
    shown: bool,
}

impl Bar {
    fn new(parts: usize, quiet: bool) -> Self {
        let bar = Self { parts, done: AtomicUsize::new(0), shown: !quiet && io::stderr().is_terminal() };
        bar.draw(0);
        bar
    }

    fn step(&self) {
        self.draw(self.done.fetch_add(1, Ordering::Relaxed) + 1);
    }

    fn draw(&self, done: usize) {
        if self.shown {
            let filled = done * 40 / self.parts.max(1);
            eprint!("\r[{:<40}] {done}/{} parts", "#".repeat(filled), self.parts);
        }
    }

    fn end(&self) {
        if self.shown {
            eprintln!();
        }
    }
}
